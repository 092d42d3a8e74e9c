# SPDX-License-Identifier: ISC
"""RFC 5321, row by row, of what no other file here is about: paths, limits of size, lines, trace fields, shutdown."""
import re
import signal
import time

import pytest

from postern import Server, wait_for
from talk import Client, data, envelope, hello, mailed, received, status_of

CONF = """
table mine {{ "postmaster@mx.test" = "vmail", "me@mx.test" = "vmail", "\\"john doe\\"@example.org" = "vmail", \
    "a+b=c@example.org" = "vmail" }}
action "mine" maildir "{dir}/mail/%{{dest.domain}}/all" virtual <mine> userbase <owners>
match from any for local action "mine"
smtp error-delay 0
smtp max-errors 1000
smtp max-line-size 64K
"""


@pytest.fixture(scope="module")
def s():
    server = Server(extra=CONF).start()
    yield server
    server.cleanup()


def mail_to(s, c, to, **more):
    c.say("MAIL FROM:<you@example.net>", f"RCPT TO:{to}")
    return mailed(s, c, **more)


# -- paths (4.1.2) ------------------------------------------------------------------

SENDERS = {
    "<>": "<>",
    "<you@example.net>": "<you@example.net>",
    "<You@EXAMPLE.Net>": None,
    "<@a.test:you@example.net>": "<you@example.net>",
    "<@a.test,@b.test:you@example.net>": "<you@example.net>",
    '<"you"@example.net>': "<you@example.net>",
    '<"y\\ou"@example.net>': "<you@example.net>",
    '<"y ou"@example.net>': '<"y ou"@example.net>',
    '<"a@b"@example.net>': '<"a@b"@example.net>',
    '<"a\\"b\\\\"@example.net>': '<"a\\"b\\\\"@example.net>',
    '<">"@example.net>': '<">"@example.net>',
    "<you@[192.0.2.1]>": "<you@[192.0.2.1]>",
    "<you@[IPv6:2001:db8::1]>": "<you@[IPv6:2001:db8::1]>",
    "<a.b-c_d+e=f!#$%&'*/?^`{|}~@example.net>": "<a.b-c_d+e=f!#$%&'*/?^`{|}~@example.net>",
    "<" + "l" * 64 + "@example.net>": "<" + "l" * 64 + "@example.net>",
    "<you@" + "d" * 63 + ".test>": "<you@" + "d" * 63 + ".test>",
}


@pytest.mark.parametrize("path, kept", SENDERS.items())
def test_senders(s, path, kept):
    with hello(s) as c:
        c.say(f"MAIL FROM:{path}", "RCPT TO:<demo@example.org>")
        line = mailed(s, c).decode().split("\n")[0]
        if kept is None:
            assert line.lower() == f"return-path: {path}".lower() and line.startswith("Return-Path: <You@")
        else:
            assert line == f"Return-Path: {kept}"


BAD_SENDERS = ["", "you@example.net", "<you>", "<you@>", "<@example.net>", "<you@example.net", "you@example.net>",
               "<<you@example.net>>", "<you@example..net>", "<.you@example.net>", "<you.@example.net>", "<y..ou@example.net>",
               "<you@-example.net>", "<you@[300.0.2.1]>", "<you@[192.0.2]>", "<you@[IPv6:xyz]>", "<you@[::1]>", "<you@a b>",
               "<y ou@example.net>", '<"you@example.net>', '<"you"x@example.net>', "<you@example.net>x", "<you@example.net> =",
               "<@a.test you@example.net>", "<@a.test,you@example.net>", "<" + "l" * 65 + "@example.net>",
               "<you@" + "d" * 64 + ".test>", "<you@" + "d." * 130 + "test>", "<you@exam_ple.net\\>", "<postmaster>"]


@pytest.mark.parametrize("path", BAD_SENDERS)
def test_no_senders(s, path):
    with hello(s) as c:
        assert c.cmd(f"MAIL FROM:{path}")[0] in (501, 555)
        assert c.cmd("RCPT TO:<demo@example.org>")[0] == 503


@pytest.mark.parametrize("line", ["MAIL", "MAIL FROM", "MAIL TO:<you@example.net>", "MAIL <you@example.net>",
                                  "MAIL FROM <you@example.net>",
                                  "MAIL FROM:", "MAILFROM:<you@example.net>", "MAIL\tFROM:<you@example.net>"])
def test_no_commands(s, line):
    with hello(s) as c:
        assert c.cmd(line)[0] in (500, 501)
        assert c.cmd("RCPT TO:<demo@example.org>")[0] == 503


@pytest.mark.parametrize("line", ["MAIL FROM: <you@example.net>", "mail from:<you@example.net>", "MAIL  FROM:<you@example.net>",
                                  "MAIL FROM:<you@example.net>  ", "MAIL FROM:<you@example.net>   SIZE=10"])
def test_spaces_that_real_clients_send(s, line):
    with hello(s) as c:
        c.say(line)


RCPTS = {
    "<demo@example.org>": "demo", "<DEMO@Example.ORG>": "demo", '<"demo"@example.org>': "demo", '<"d\\emo"@example.org>': "demo",
    "<@relay.test:demo@example.org>": "demo", "<@a.test,@b.test:demo@example.org>": "demo",
}


@pytest.mark.parametrize("path, user", RCPTS.items())
def test_recipients(s, path, user):
    with hello(s) as c:
        mail_to(s, c, path, user=user)


@pytest.mark.parametrize("path", ["<postmaster>", "<Postmaster>", "<POSTMASTER>", "<postmaster@mx.test>", "<me@mx.test>",
                                  "<me@MX.test>"])
def test_recipients_at_this_host(s, path):
    """Postmaster needs no domain (4.5.1)."""
    with hello(s) as c:
        mail_to(s, c, path, user="all", domain="mx.test")


@pytest.mark.parametrize("path", ["<>", "<demo>", "<@example.org>", "<demo@>", "demo@example.org", "<demo @example.org>",
                                  '<"demo@example.org>', "<" + "l" * 65 + "@example.org>", "<demo@example.org", "<postmaster@>"])
def test_no_recipients(s, path):
    with hello(s) as c:
        c.say("MAIL FROM:<you@example.net>")
        assert c.cmd(f"RCPT TO:{path}")[0] == 501
        assert c.cmd("DATA")[0] == 554


@pytest.mark.parametrize("name", ["client.test", "CLIENT", "a_b.test", "[192.0.2.1]", "[IPv6:2001:db8::1]", "xn--bcher-kva.test",
                                  "a" * 63 + ".test", "192.0.2.1"])
def test_names_of_clients(s, name):
    with Client(s.port) as c:
        c.say(f"EHLO {name}")
        mail = mailed(s, envelope(c)).decode()
        assert f"Received: from {name} (unknown" in " ".join(mail.split())


@pytest.mark.parametrize("name", ["", "a b", "[192.0.2.999]", "[IPv6:xyz]", "[]", "a..b", "<a>", "a;b", "a(b)",
                                  "\u00e9.test", "a" * 256])
def test_no_names_of_clients(s, name):
    with Client(s.port) as c:
        assert c.status(f"EHLO {name}") == (501, "5.5.4")
        assert c.cmd("MAIL FROM:<you@example.net>")[0] == 503


# -- sizes (4.5.3.1) ------------------------------------------------------------------

def test_the_length_of_a_command(s):
    """To 2,048 octets; the CRLF counts."""
    with hello(s) as c:
        for n in (512, 1024, 2047, 2048):
            c.say("NOOP " + "x" * (n - 7))


@pytest.mark.parametrize("n", [2049, 2050, 3000, 4096, 60000, 65535, 65536, 65537, 300_000])
def test_a_command_that_is_too_long(s, n):
    """It is one error, and what comes behind it is a command again; the second such line is the last."""
    with hello(s) as c:
        assert c.status("NOOP " + "x" * (n - 7)) == (500, "5.5.2")
        assert c.cmd("VRFY x")[0] == 252
        c.send("NOOP " + "x" * (n - 7) + "\r\nNOOP\r\n")
        assert c.refused() == (421, "4.7.0")


@pytest.mark.parametrize("at", [2046, 2047, 2048, 2049, 2999, 3000, 3001])
def test_a_command_that_is_too_long_in_two_pieces(s, at):
    line = b"NOOP " + b"x" * 2995 + b"\r\n"
    with hello(s) as c:
        c.send(line[:at])
        if at > 2048:
            assert c.reply()[0] == 500
        c.send(line[at:] + b"VRFY x\r\n")
        assert [c.reply()[0] for _ in range(1 if at > 2048 else 2)] == ([] if at > 2048 else [500]) + [252]


def test_a_thousand_recipients(s):
    with hello(s) as c:
        c.say("MAIL FROM:<you@example.net>")
        c.send("RCPT TO:<demo@example.org>\r\n" * 1001)
        assert [c.reply()[0] for _ in range(1001)] == [250] * 1000 + [452]


@pytest.mark.parametrize("n", [0, 1, 78, 998, 999, 1000, 4095, 4096, 4097, 32766, 32767, 32768, 40000, 65534])
def test_lines_of_any_length(s, n):
    """To the cap of 64K with their CRLF; neither wrapped nor cut."""
    with hello(s) as c:
        line = ("x" * 61 + "y") * (n // 62 + 1)
        mail = mailed(s, envelope(c), f"Subject: long\r\n\r\n{line[:n]}\r\nend\r\n").decode()
    assert mail.endswith(f"Subject: long\n\n{line[:n]}\nend\n")


@pytest.mark.parametrize("n", [65535, 65536, 200_000])
def test_a_line_beyond_the_cap_is_refused(s, n):
    with hello(s) as c:
        assert status_of(data(envelope(c), f"Subject: long\r\n\r\n{'x' * n}\r\n")) == (550, "5.6.0")
        c.say("NOOP")


def test_a_long_header_line(s):
    with hello(s) as c:
        field = "X-Long: " + "y" * 60000
        assert mailed(s, envelope(c), f"{field}\r\nSubject: x\r\n\r\n").decode().endswith(f"{field}\nSubject: x\n\n")


# -- the text (4.5.2) --------------------------------------------------------------------

TEXTS = {
    "dots": "Subject: x\r\n\r\n.\r\n..\r\n...\r\n.a\r\n. \r\n",
    "dots-first": ".\r\n.\r\n",
    "blank-lines": "Subject: x\r\n\r\n\r\n\r\n\r\n",
    "spaces": "Subject: x\r\n\r\n \r\n\t\r\n \t \r\n",
    "no-header": "\r\nhello\r\n",
    "no-body": "Subject: x\r\n",
    "folded-first": " (forged)\r\nSubject: x\r\n\r\nx\r\n",
    "no-field": "not a field\r\nSubject: x\r\n\r\nx\r\n",
    "nothing": "",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_texts(s, text):
    def stuffed(c, octets):
        return data(c, re.sub(r"(?m)^\.", "..", octets))
    with hello(s) as c:
        mail = mailed(s, envelope(c), text, stuffed).decode()
    # What has no header is not taken for a part of ours.
    own = "" if text.startswith(("\r\n", "Subject:")) else "\n"
    assert re.fullmatch(r"(?s)Return-Path: .*\n\t\w{3}, [^\n]* [+-]\d{4}\n" + own
                        + re.escape(text.replace("\r\n", "\n")), mail), mail


BARE = {"lf": "a\nb\r\n", "cr": "a\rb\r\n", "nul": "a\0b\r\n", "cr-cr-lf": "a\r\r\n",
        "lf-lf": "a\n\nb\r\n", "lf-dot-lf": "a\n.\nb\r\n"}


@pytest.mark.parametrize("text", BARE.values(), ids=BARE)
def test_octets_that_end_no_line(s, text):
    """Refused after the true end of data (2.3.8)."""
    with hello(s) as c:
        assert status_of(data(envelope(c), "Subject: x\r\n\r\n" + text)) == (550, "5.5.2")
        c.say("NOOP")


@pytest.fixture(scope="module")
def lenient():
    server = Server(extra="smtp bare-lf normalize\nlisten on 127.0.0.1 port 0 xclient {{ 127.0.0.1 }}\n").start()
    yield server
    server.cleanup()


def test_bare_lf_is_normalized_where_it_is_asked_for(lenient):
    with hello(lenient) as c:
        mail = mailed(lenient, envelope(c), "Subject: x\n\none\n.\n.two\n..three\r\nend\n")
        assert mail.endswith(b"Subject: x\n\none\n.\n.two\n..three\nend\n")
        envelope(c)
        assert c.chunk(b"Subject: x\n\none\n.\n", last=True) == (250, "2.0.0")
        assert status_of(data(envelope(c), "Subject: x\n\na\rb\r\n")) == (550, "5.5.2")


def test_bare_lf_is_normalized_for_nobody_else(lenient):
    with Client(lenient.ports[1]).xclient("ADDR=192.0.2.1") as c:
        c.say("EHLO client.test")
        assert status_of(data(envelope(c), "Subject: x\n\n\r\n")) == (550, "5.5.2")
        envelope(c)
        assert c.chunk(b"Subject: x\n\n", last=True) == (550, "5.6.0")


# -- trace fields (4.4) -----------------------------------------------------------------------

STAMP = r"id [0-9a-f]{10,}(?: for <(\S+)>)?; " \
        r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}"


@pytest.mark.parametrize("verb, protocol", [("HELO", "SMTP"), ("EHLO", "ESMTP")])
def test_the_received_field(s, verb, protocol):
    with Client(s.port) as c:
        field = received(s, c, verb)
    m = re.match(rf"Received: from client\.test \(unknown \[127\.0\.0\.1\]\) by mx\.test with {protocol} {STAMP} Subject:", field)
    assert m and m.group(1) == "demo@example.org", field


def test_its_lines_are_short(s):
    with Client(s.port) as c:
        c.say("EHLO " + "a" * 63 + "." + "b" * 63 + "." + "c" * 63)
        mail = mailed(s, envelope(c)).decode()
    head = mail[mail.index("Received:"):mail.index("Subject:")].rstrip("\n").split("\n")
    assert all(line.startswith("\t") for line in head[1:]) and max(map(len, head)) < 300


def test_blind_copies_stay_blind(s):
    """7.2: `for` with one recipient alone."""
    with hello(s) as c:
        c.say("MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>", "RCPT TO:<other@example.org>")
        assert b" for " not in mailed(s, c)


def test_the_id_of_the_answer_is_in_the_field(s):
    with envelope(hello(s)) as c:
        code, text = data(c, "Subject: id\r\n\r\nby its id\r\n")
    number = re.fullmatch(r"2\.0\.0 ([0-9a-f]+) Message accepted for delivery", text).group(1)
    assert code == 250 and wait_for(lambda: any(b" id " + number.encode() in m for m in s.maildir()), "it")


# -- loops (6.3) --------------------------------------------------------------------------------

@pytest.mark.parametrize("hops, refused", [(0, False), (99, False), (100, False), (101, True), (500, True)])
def test_loops_are_cut(s, hops, refused):
    text = "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n" * hops + "Subject: x\r\n\r\nReceived: " + "x\r\n"
    with hello(s) as c:
        answer = data(envelope(c), text)
        assert status_of(answer) == ((554, "5.4.6") if refused else (250, "2.0.0"))
        c.say("NOOP")


@pytest.mark.parametrize("text, refused", [
    ("received: x\r\n" * 3 + "\r\n", True), ("RECEIVED : x\r\n" * 3 + "\r\n", True), ("Received:\r\n x\r\n" * 3 + "\r\n", True),
    ("Received: x\r\n" * 2 + "\r\n" + "Received: x\r\n" * 9, False), ("X-Received: x\r\n" * 9 + "\r\n", False),
    ("Subject: x\r\n Received: x\r\n Received: x\r\n Received: x\r\n\r\n", False)],
    ids=["lower", "space", "folded", "in-the-body", "another", "in-a-field"])
def test_which_fields_are_hops(make_server, text, refused):
    s = make_server(extra="smtp max-received 2\n")
    with hello(s) as c:
        assert data(envelope(c), text)[0] == (554 if refused else 250)


# -- shutdown (3.8) ---------------------------------------------------------------------------------

def test_a_shutdown_is_said(make_server):
    """Who has nothing under way hears 421; who is in the middle of a message may end it."""
    s = make_server()
    idle, new, sender = hello(s), Client(s.port), envelope(hello(s))
    sender.say("DATA")
    s.process.send_signal(signal.SIGTERM)
    assert idle.refused() == (421, "4.3.2") == new.refused()
    sender.send("Subject: last\r\n\r\n.\r\n")
    assert sender.reply()[0] == 250
    assert sender.refused() == (421, "4.3.2")
    start = time.monotonic()
    assert s.process.wait(30) == 0 and time.monotonic() - start < 10
