# SPDX-License-Identifier: ISC
"""Command lines: exact answers to probes, lines of every length, languages of other protocols, verbs of old back doors."""
import contextlib
import os
import re
import subprocess

import pytest

import postern
from evil import Evil
from postern import Server, wait_for

LINE_MAX = 2048         # octets of a command line, CRLF included
SIZE_MAX = 35 << 20     # the default of smtp max-message-size

# Section 2 of the attack list: after EHLO, MAIL where "M", MAIL and RCPT where "R".
PROBES = [
    ("", b"MAIL FROM:<a@b.example>\n\r\n", "500 5.5.2"),
    ("", b"MAIL FROM:<a@b.example>\nRSET\r\n", "500 5.5.2"),
    ("", b"MAIL FROM:<a\0@b.example>\r\n", "501 5.5.2"),
    ("", b"MAIL FROM:<a@b.example>\0\r\n", "501 5.5.2"),
    ("", b"MAIL FROM:<a\r@b.example>\r\n", "501 5.5.2"),
    ("", b"MAIL FROM:<a@b.example>\r\r\n", "501 5.5.2"),
    ("", b"MAIL FROM:<a@b.example> X-UNKNOWN=1\r\n", "555 5.5.4"),
    ("", b"MAIL FROM:<a@b.example> SIZE=99999999999999999999\r\n", "552 5.3.4"),
    ("", b"MAIL FROM:<a@b.example> SIZE=%d\r\n" % (SIZE_MAX + 1), "552 5.3.4"),
    ("", b"MAIL FROM:<a@b.example> SIZE=%d\r\n" % SIZE_MAX, "250 2.1.0"),
    ("", b"MAIL FROM:<a@b.example> SIZE=999999999999999999999\r\n", "501 5.5.4"),
    ("", b"MAIL FROM:<a@b.example> SIZE=-1\r\n", "501 5.5.4"),
    ("", b"MAIL FROM:<a@b.example> SIZE=0x10\r\n", "501 5.5.4"),
    ("", b"MAIL FROM:<a@b.example> SIZE=\r\n", "501 5.5.4"),
    ("", b"MAIL FROM:<a@b.example> SIZE\r\n", "501 5.5.4"),
    ("", b"MAIL FROM:<" + b"a" * 64 + b"@b.example>\r\n", "250 2.1.0"),
    ("", b"MAIL FROM:<" + b"a" * 65 + b"@b.example>\r\n", "501 5.1.3"),
    ("M", b"RCPT TO:<" + b"a" * 65 + b"@example.org>\r\n", "501 5.1.3"),
    ("M", b"RCPT TO:<@relay.example,@b.example:demo@example.org>\r\n", "250 2.1.5"),
    ("M", b"RCPT TO:<@relay.example:u@elsewhere.example>\r\n", "550 5.7.1"),
    ("M", b"RCPT TO:<u%elsewhere.example@example.org>\r\n", "550 5.1.1"),
    ("", b"BDAT 4\r\nNOOP", "503 5.5.1"),
    ("", b"BDAT 8 LAST\r\nQUIT\r\nxx", "503 5.5.1"),
    ("", b"DATA\r\n", "503 5.5.1"),
    ("M", b"DATA\r\n", "503 5.5.1"),
    ("", b"AUTH PLAIN AGEAYg==\r\n", "538 5.7.11"),
    ("", b"AUTH NTLM\r\n", "538 5.7.11"),
    ("", b"AUTH EXTERNAL =\r\n", "538 5.7.11"),
    ("", b"VRFY demo@example.org\r\n", "252 2.5.0"),
    ("", b"VRFY nobody@example.org\r\n", "252 2.5.0"),
    ("", b"EXPN demo\r\n", "502 5.5.1"),
    ("", b"ETRN example.org\r\n", "502 5.5.1"),
    ("", b"XCLIENT ADDR=192.0.2.1\r\n", "550 5.7.0"),
    ("", b"MAIL FROM:<a@b.example> MT-PRIORITY=9\r\n", "555 5.5.4"),
    ("", b"MAIL FROM:<a@b.example> REQUIRETLS\r\n", "555 5.5.4"),
]


@pytest.mark.parametrize("stage,octets,answer", PROBES, ids=[repr(o)[2:42] for _, o, _ in PROBES])
def test_section_2_command_probes(hard, stage, octets, answer):
    """One answer, the one of the table, and the session goes on."""
    with Evil(hard) as c:
        c.to("EHLO evil.example")
        if stage:
            c.to("MAIL FROM:<a@b.example>")
        assert c.say(octets) == answer
        assert c.say("NOOP") == "250 2.0.0"


def test_section_2_data_where_every_recipient_failed(hard):
    with Evil(hard) as c:
        c.to("EHLO evil.example", "MAIL FROM:<a@b.example>")
        assert c.say("RCPT TO:<nobody@example.org>") == "550 5.1.1"
        assert c.say("DATA") == "554 5.5.1"
        assert c.say(b"BDAT 6 LAST\r\nQUIT\r\n") == "554 5.5.1"
        assert c.say("NOOP") == "250 2.0.0"


# What may not be followed before its answer (RFC 2920 3.1).
PAST_A_POINT = [b"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\n", b"HELO a.example\r\nNOOP\r\n",
                b"STARTTLS\r\nMAIL FROM:<a@b.example>\r\n", b"AUTH PLAIN\r\nAGEAYg==\r\n", b"NOOP\r\nNOOP\r\n"]


@pytest.mark.parametrize("octets", PAST_A_POINT, ids=[repr(o)[2:10] for o in PAST_A_POINT])
def test_section_2_pipelining_past_a_point(hard, octets):
    with Evil(hard) as c:
        c.send(octets)
        assert c.rest() == ["503 5.5.0"]


def test_section_2_pipelining_past_data(hard):
    """Octets behind DATA that came before 354 are no part of the message and end the connection."""
    with Evil(hard) as c:
        c.envelope()
        c.send(b"DATA\r\nSubject: early\r\n\r\nearly\r\n.\r\n")
        assert c.rest() == ["503 5.5.0"]


def test_section_2_early_talk(make_hard):
    """Who speaks before the greeting is sent away.  XCLIENT makes a client that has to wait for it."""
    server = make_hard(Server.CONF.replace("port 0", "port 0 xclient {{ 127.0.0.1 }}"),
                       "smtp greet-delay 1s\n")
    with Evil(server) as c:
        c.to("EHLO evil.example")
        c.send("XCLIENT ADDR=192.0.2.1\r\n")
        wait_for(lambda: "192.0.2.1" in server.ctl("show", "clients").stdout, "the client's admission")
        c.send("E")
        assert c.rest() == ["554 5.5.0"]


# -- other protocols --------------------------------------------------------------

HELLOS = {
    "tls12": bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
    "tls13-short": bytes.fromhex("1603010005010000010303"),
    "sslv2": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0") + b"\xff" * 16,
    "rdp": bytes.fromhex("030000130ee000000000000100080003000000"),
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n" + b"\x00\x00\x04\x14\x0a\x14" + bytes(range(256)),
    "smb": b"\x00\x00\x00\x85\xffSMBr\x00\x00\x00\x00\x18\x53\xc8" + b"\0" * 120,
    "utf16": "EHLO a.example\r\n".encode("utf-16"),
    "overlong-utf8": b"EHLO \xc0\xaf\xe0\x80\xaf\xf8\xff\r\n",
    "socks5": b"\x05\x01\x00",
    "proxy-v1": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
    "proxy-v2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12),
    "zeros": b"\0" * 5000,
    "ones": b"\xff" * 70000,
}


@pytest.mark.parametrize("name", HELLOS)
def test_23_hello_of_another_protocol(hard, name):
    """Octets that are not SMTP, before and after the greeting: refusals that are in the table, none of them echoed."""
    for greeted in (True, False):
        with Evil(hard, greeted=greeted) as c:
            c.pour(HELLOS[name] + b"\r\n")
            with contextlib.suppress(OSError):  # it may have been cut off by now
                c.sock.shutdown(1)
            heard = c.rest()
        assert set(heard) <= {"220", "500 5.5.1", "500 5.5.2", "501 5.5.2", "501 5.5.4", "503 5.5.0", "554 5.5.0",
                              "221 2.0.0", "421 4.7.0"}, heard


@pytest.mark.parametrize("verb",
                         ("GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "PRI", "get"))
def test_64_http_verb(hard, verb):
    """A browser that was lured here is told goodbye at its first line: its body is not read as commands."""
    mail = b"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<demo@example.org>\r\nDATA\r\n\r\n.\r\n"
    with Evil(hard) as c:
        c.send(verb.encode() + b" / HTTP/1.1\r\nHost: mx.test\r\nContent-Length: %d\r\n\r\n%s" % (len(mail), mail))
        assert c.rest() == ["221 2.7.0"]
    with Evil(hard) as c:
        c.envelope()
        assert c.say(f"{verb} / HTTP/1.1") == "221 2.7.0"
        assert c.rest() == []


# -- length -----------------------------------------------------------------------

VERBS = [b"EHLO ", b"HELO ", b"MAIL FROM:<", b"RCPT TO:<", b"MAIL FROM:<a@b.example> ENVID=",
         b"RCPT TO:<demo@example.org> ORCPT=rfc822;",
         b"VRFY ", b"NOOP ", b"HELP ", b"BDAT ", b"RSET", b"XCLIENT ADDR=", b"AUTH PLAIN ", b""]
LENGTHS = sorted({(1 << n) + d for n in range(6, 17) for d in (-1, 0, 1)})
LONG = [(1 << n) + d for n in (17, 18, 19, 20) for d in (-1, 0, 1)]


@pytest.mark.parametrize("verb", VERBS, ids=lambda v: v.decode().split("=")[0] or "nothing")
def test_32_length_of_a_command(hard, verb):
    """Each command at every length around a power of two, to 1 MiB: one refusal, then the next line is a line."""
    longest = 12288 if verb.startswith(b"AUTH ") else LINE_MAX  # RFC 4954 4
    for length in LENGTHS + (LONG if verb in (b"EHLO ", b"") else LONG[-3:]):
        line = (verb + b"A" * length)[:length - 2] + b"\r\n"
        with Evil(hard) as c:
            if not verb.startswith((b"EHLO", b"HELO")):
                c.to("EHLO evil.example")
            if verb.startswith(b"RCPT"):
                c.to("MAIL FROM:<a@b.example>")
            c.pour(line)
            first = c.heard()
            assert (first == "500 5.5.2") == (length > longest), (length, first)
            if verb == b"BDAT " and length <= longest:
                assert (first, c.rest()) == ("501 5.5.4", [])
                continue
            assert c.say("NOOP") == "250 2.0.0", length
            if length > longest:
                c.pour(line)
                assert c.rest()[-1:] == ["421 4.7.0"]


# -- back doors -------------------------------------------------------------------

OLD_VERBS = ("DEBUG", "WIZ", "KILL", "SHOWQ", "TURN", "ONEX", "VERB", "SEND", "SOML", "SAML", "XADR", "XCIR", "XGEN",
             "XSTA", "XUSR", "XQUE", "XREMOTEQUEUE", "X-ADAT", "XEXCH50", "B_URL", "TICK", "REPORT", "SHELL", "!",
             "IDENT", "PROBE", "ATRN", "XTRN", "XFORWARD", "STATS", "QUEUE", "RELOAD")


@pytest.mark.parametrize("argument", ("", " demo", " /bin/sh"))
def test_47_debug_verb(hard, argument):
    """There is no verb but those of the standards: the rest is not recognized, in any state."""
    with Evil(hard) as c:
        for stage in ((), ("EHLO evil.example",), ("MAIL FROM:<a@b.example>",), ("RCPT TO:<demo@example.org>",)):
            c.to(*stage)
            for verb in OLD_VERBS:
                assert c.say(verb + argument) == "500 5.5.1", verb


def test_47_no_test_hook_in_a_release():
    """What the test build can be asked to do is not in the programs that are installed."""
    release = os.path.join(postern.TOP, "build", "bin")
    if not os.path.exists(os.path.join(release, "smtpd-session")):
        pytest.skip("no release build here: make")
    hooks = {}
    for place in (release, postern.BUILD + "/bin"):
        text = b""
        for name in sorted(os.listdir(place)):
            text += subprocess.run(["strings", "-a", os.path.join(place, name)], capture_output=True, check=True).stdout
        hooks[place] = bool(re.search(rb"(?m)^probe_result$", text)), bool(re.search(rb"(?m)^(DEBUG|WIZ|SHOWQ)$", text))
    assert hooks == {release: (False, False), postern.BUILD + "/bin": (True, False)}
