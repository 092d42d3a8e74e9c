# SPDX-License-Identifier: ISC
"""What a next hop says, and what it hears: its words are run and obeyed by nobody, and what leaves is lines, one a command."""
import contextlib
import json
import os
import re
import socket

import pytest

import tls
import zones
from evil import Evil, Names, Sink, assert_well, labels
from evil_mx import EvilMX, Plan
from hostile_dns import Hostile
from postern import Server, wait_for
from test_dns_names import EVIL, clean_log
from test_end_of_data import ALL, LITERAL, REFUSED, clean, hiding
from tls_mx import Mx

RELAY = Server.CONF + """
action "out" relay host "smtp://127.0.0.1:{port}"
match from local for any action "out"
queue retry-min 1h
mta limit session-keepalive 0
"""


@pytest.fixture
def make_relay(make_hard):
    def make(port, extra="", **more):
        s = make_hard(start=False, **more)
        s.write_conf(RELAY + extra, port=port)
        return s.start()
    return make


def hand_in(server, rcpt, sender="demo@example.org", params="", rcpt_params="", text=b"Subject: x\r\n\r\nx\r\n"):
    with Evil(server) as c:
        c.to("EHLO evil.example", f"MAIL FROM:<{sender}>{params}", f"RCPT TO:<{rcpt}>{rcpt_params}", "DATA")
        assert c.say(text + b".\r\n") == "250 2.0.0"


# -- 2: replies that are to become an envelope ------------------------------------------------

CANARY = b"|touch {canary}"
# Lines behind the first of a reply, as they come on the wire.
SAID = {
    "envelope": b"550-\r\n550-dispatcher: local_mail\r\n550-type: mda\r\n550-mda-exec: touch {canary}\r\n550 x\r\n",
    "no-space": b"550\r\n",
    "dash": b"550-\r\n550 x\r\n",
    "dash-alone": b"550-\r\n",
    "bare-lf": b"550 no\nRCPT TO:<root@example.org>\nX-Evil: " + CANARY + b"\r\n",
    "bare-cr": b"550 no\rRCPT TO:<root@example.org>\rX-Evil: yes\r\n",
    "nul": b"550 5.1.1 no\0X-Evil: yes\r\n",
    "8-bit": b"550 5.1.1 " + bytes(range(128, 256)) + b"\r\n",
    "controls": b"550 5.1.1 " + bytes(set(range(1, 32)) - {10, 13}) + b"\x7f\x1b[2J\r\n",
    "header": b"550-5.1.1 no\r\n550-5.1.1 X-Evil: yes\r\n550-5.1.1 \r\n550 5.1.1 --boundary--\r\n",
    "shell": b"550 5.1.1 `touch {canary}`;$(touch {canary})|touch {canary}\r\n",
    "format": b"550 5.1.1 %s%n%n%1000000d%{sender}${run{touch {canary}}}\r\n",
    "long-line": b"550 5.1.1 " + b"x" * 65536 + b"\r\n",
    "64-kib": b"".join(b"550-5.1.1 %s\r\n" % (b"y" * 500) for _ in range(128)) + b"550 5.1.1 end\r\n",
    "short-lines": b"550-\r\n" * 100 + b"550 x\r\n",
}


def stored(server, rcpt):
    """What the spool has of a message for one recipient: its envelope, its text."""
    rows = [json.loads(line) for line in server.ctl("show", "queue", "--json").stdout.splitlines()]
    ident, = {r["id"] for r in rows if rcpt in json.dumps(r)}
    return server.ctl("show", "message", ident, "--json").stdout


def as_temporary(said):
    return re.sub(rb"(?m)^5(?=50)", b"4", said).replace(b" 5.1.1", b" 4.1.1").replace(b"-5.1.1", b"-4.1.1")


@pytest.mark.parametrize("step", ("MAIL", "RCPT", "DOT"))
def test_02_replies_of_a_next_hop(make_hard, step):
    """Read beyond its end, a reply once became lines of an envelope that were obeyed: here it is text, in log and spool
    and report.  The envelope is read again as it was, and leaves by the same octets."""
    server, mxs, conf = make_hard(start=False), {}, Server.CONF + "queue retry-min 1h\n"
    canary = server.path("mail", "canary").encode()
    with contextlib.ExitStack() as stack:
        for name, said in SAID.items():
            said = said.replace(b"{canary}", canary)
            mx = mxs[name] = EvilMX(*[Plan({step: octets}, cut=(step, len(octets))) for octets in (as_temporary(said), said)])
            stack.callback(mx.close)
            conf += f'action "{name}" relay host "smtp://127.0.0.1:{mx.port}"\n' \
                    f'match from local for domain "{name}.example" action "{name}"\n'
        server.write_conf(conf)
        server.start()
        for name in SAID:
            hand_in(server, f"you@{name}.example")
        lines = [server.wait_log(rf"event=(deferred|failed) .*to=you@{name}\.example\b") for name in SAID]
        before = [stored(server, f"you@{name}.example") for name in SAID]
        print(before[0], lines)
        server.stop()
        old = server.log
        server.start()
        assert before == [stored(server, f"you@{name}.example") for name in SAID]
        server.ctl("schedule", "all")
        lines += [server.wait_log(rf"event=(deferred|failed) .*to=you@{name}\.example\b") for name in SAID]
        for line in lines:
            assert line.isprintable() and line.isascii() and len(line) < 4096, line
        for name, mx in mxs.items():
            first, second = mx.visits
            assert first.lines == second.lines, name
            assert (b"RCPT TO:<you@%s.example>" % name.encode() if step != "MAIL" else
                    b"MAIL FROM:<demo@example.org>") in first.lines
        failed = sum("event=failed" in line for line in lines)
        reports = server.wait_mail(failed)
        assert failed >= len(SAID) - 3 and len(reports) == failed
        for report in reports:
            head = report.split(b"\n\n")[0]
            assert not re.search(rb"[^ -~\n\t]", report) and b"X-Evil" not in head, head
            assert not re.search(rb"(?m)^(X-Evil|RCPT|dispatcher|mda-exec|--boundary--)", report), report
        assert not os.path.exists(canary)
        assert not [line for line in old + server.log if re.search(r"[^ -~\t]", line)]


# -- 54: smuggling, by all ways in and out ------------------------------------------------------

# How a message comes in: the end of MAIL, a command before the text, what is behind it; and statements.
WAYS_IN = {
    "data": ("", b"DATA\r\n", b".\r\n", ""), "chunk": ("", b"BDAT %d LAST\r\n", b"", ""),
    "binary": (" BODY=BINARYMIME", b"BDAT %d LAST\r\n", b"", ""),
    "normalized": ("", b"DATA\r\n", b"\r\n.\r\n", "smtp bare-lf normalize\n"),
}
WAYS_OUT = {"data": (), "chunks": ("8BITMIME", "CHUNKING"), "binary": ("8BITMIME", "CHUNKING", "BINARYMIME")}
COMMAND = re.compile(rb"EHLO mx\.test|MAIL FROM:<>( (SIZE=\d+|BODY=\w+))*|RCPT TO:<\w+@far\.example>|DATA|"
                     rb"BDAT \d+( LAST)?|RSET|QUIT")


@pytest.mark.parametrize("way_out", WAYS_OUT)
@pytest.mark.parametrize("way_in", WAYS_IN)
def test_54_by_all_ways_in_and_out(make_relay, way_in, way_out):
    """The fourteen sequences: what is taken leaves as lines with dots stuffed, or as chunks of as many octets as they say."""
    params, command, end, statements = WAYS_IN[way_in]
    with contextlib.closing(EvilMX(*[Plan(offers=WAYS_OUT[way_out]) for _ in range(40)])) as mx:
        server = make_relay(mx.port, statements)
        taken = {}
        for n, (name, sequence) in enumerate(ALL.items()):
            text = hiding(sequence)
            with Evil(server) as c:
                c.envelope(f"r{n}@far.example", sender="", params=params)   # nobody gets reports
                c.send(command % len(text) if b"%" in command else command)
                if command.startswith(b"DATA"):
                    assert c.heard()[:3] == "354"
                answer = c.say(text + end)
                if answer == "250 2.0.0":
                    taken[f"r{n}@far.example"] = name, text
                else:
                    assert answer in ("550 5.5.2", "550 5.6.0") and name in REFUSED and way_in != "binary", (name, answer)
        lines = {rcpt: server.wait_log(rf"event=(delivered|failed|deferred) .*to={re.escape(rcpt)}\b") for rcpt in taken}
        assert set(LITERAL) <= {name for name, _ in taken.values()}
        for rcpt in taken:
            assert ("event=delivered" in lines[rcpt]) == (way_in != "binary" or way_out == "binary"), lines[rcpt]
        for rcpt, text in mx.kept:
            bare = way_in == "binary" and taken[rcpt][0] in REFUSED
            assert bare or way_out != "data" or clean(text), text
            assert bare or not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", text), text
            meant = re.sub(rb"(?m)^\.", b"", text) if way_out == "data" else text
            if way_in != "normalized":
                sent = taken[rcpt][1]
                assert meant.endswith(re.sub(rb"(?m)^\.", b"", sent) if way_in == "data" else sent)
        assert len(mx.kept) == sum("event=delivered" in line for line in lines.values())
        assert not [x for x in mx.heard() if not COMMAND.fullmatch(x)]


def test_54_reports_and_forwards(make_hard):
    """The same text in a report to its sender, and behind an alias: both go out by the same rules."""
    with contextlib.closing(EvilMX()) as mx:
        conf = RELAY.replace('"other@example.org" = "vmail"', '"other@example.org" = "away@far.example"') + \
            'action "no" relay host "smtp://127.0.0.1:{port}"\n'
        mx.plans += [Plan({"RCPT": b"550 5.1.1 no\n.\r\r\nMAIL FROM:<smuggled@evil.example>\r\n"}), Plan(), Plan()]
        server = make_hard(start=False)
        server.write_conf(conf, port=mx.port)
        server.start()
        texts = [hiding(octets) for octets, _ in LITERAL.values()]
        hand_in(server, "gone@far.example", sender="you@elsewhere.example", text=texts[1])
        server.wait_log(r"event=delivered .*to=you@elsewhere\.example")
        hand_in(server, "other@example.org", sender="you@elsewhere.example", text=texts[1])
        server.wait_log(r"event=delivered .*to=away@far\.example")
        assert len(mx.wire) == 2 and all(clean(w) for w in mx.wire)
        assert b"\r\nMAIL FROM:<smuggled" in mx.wire[1]
        assert not [x for x in mx.heard() if b"smuggled" in x]


# -- 61: addresses --------------------------------------------------------------------------------

LOCALS = ['"a b"', '"a>b"', '"<a>"', '"a> SIZE=1 <b"', '"a>\\"<b"', '"\\\\"', '"a\\\\\\"> X=\\""', '"> NOTIFY=NEVER <"',
          '"a@b"', '"a,b;c:d"', '"()[]"', "a=b", "a+0D+0A", "{a}|`b`$c", "!#$%&'*+-/=?^_`{|}~", '" "', '".a..b."',
          '"RCPT TO:<x@y>"', '"%s %n"']


def test_61_exact_octets_of_addresses(make_relay):
    """Each address is one path on the wire, as it came: no octet of it is a parameter, an end, or another command's."""
    with contextlib.closing(Sink(("8BITMIME", "DSN", "SIZE 1000000", "PIPELINING"))) as sink:
        server = make_relay(sink.port)
        for n, local in enumerate(LOCALS):
            hand_in(server, f"{local}@far{n}.example", f"{local}@near.example", " RET=HDRS ENVID=e+3De+20x",
                    f" NOTIFY=NEVER ORCPT=rfc822;o+2B{n}+3E+20SIZE+3D1@far.example")
        wait_for(lambda: len(sink.bodies) == len(LOCALS), "the messages")
        said = {line for line in sink.lines if line[:4] not in (b"EHLO", b"DATA", b"QUIT", b"RSET")}
        for n, local in enumerate(LOCALS):
            mail = re.compile(rb"MAIL FROM:<%s@near\.example>( (SIZE=\d+|BODY=7BIT|RET=HDRS|ENVID=e\+3De\+20x))+"
                              % re.escape(local.encode()))
            rcpt = b"RCPT TO:<%s@far%d.example> NOTIFY=NEVER ORCPT=rfc822;o+2B%d>+20SIZE+3D1@far.example" % (
                local.encode(), n, n)
            assert rcpt in said, sorted(said)[-3:]
            found = [line for line in said if mail.fullmatch(line)]
            assert len(found) == 1, (local, said)
            said -= {rcpt, *found}
        assert not said


# -- 6, 59: answers of name servers --------------------------------------------------------------------

A, CNAME, MX, PTR, TXT, AAAA = 1, 5, 15, 12, 16, 28
HOP = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
trust anchor "{anchor}"
resolver forward 127.0.0.1@{dns}
filter "named" phase mail-from match rdns {{ "nothing.example" }} reject "550 5.7.1 not you"
listen on 127.0.0.1 port 0 xclient {{ 127.0.0.1 }} filter "named"
queue retry-min 1h
smtp max-errors 1000
"""
ODD = ("fe80::1", "fe80::1:2:3:4", "fec0::1", "ff02::1", "::", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1",
       "febf:ffff::")


def hop_server(make_hard, dns, more):
    server = make_hard(start=False)
    server.write_conf(HOP + more, dns=dns, anchor=zones.Key("elsewhere.example").ds)
    return server.start()


def test_06_next_hop_with_a_scope(make_hard):
    """An address that is good on one link only, or on none, has no scope when DNS names it: it is told in the log, kept in
    the spool, and read again."""
    def answer(name, kind):
        at = re.match(rb".n(\d+)", name)
        return [(AAAA, socket.inet_pton(socket.AF_INET6, ODD[int(at.group(1))]))] if at and kind == AAAA else []
    with contextlib.closing(Names(answer)) as names, contextlib.closing(Sink()) as sink:
        server = hop_server(make_hard, names.port, "".join(
            f'action "n{n}" relay host "smtp://n{n}.odd.example:{sink.port}"\n'
            f'match from local for domain "d{n}.example" action "n{n}"\n' for n in range(len(ODD))))
        for _ in range(2):
            for n in range(len(ODD)):
                hand_in(server, f"you@d{n}.example")
            lines = [server.wait_log(rf"event=(deferred|failed|delivered) .*to=you@d{n}\.example\b") for n in range(len(ODD))]
            assert not [line for line in lines if "%" in line]
            shown = server.ctl("show", "queue").stdout
            server.stop()
            server.start()
            assert re.findall(r"you@d\d+", shown) == re.findall(r"you@d\d+", server.ctl("show", "queue").stdout)
        assert_well(server, mail=False)


def test_59_names_of_the_dns_on_the_way_out(make_hard):
    """A CNAME, an MX or a PTR of any octets: none of them in a command, in TLS's name of the server, in the header, or in the log."""
    wire = tls.certificate("ecdsa")
    with contextlib.ExitStack() as stack:
        mx = stack.enter_context(contextlib.closing(Mx(wire)))

        def answer(q):
            at = re.match(r"n(\d+)\.hop|(\d+)\.9\.64\.100", q.name)
            evil = labels(*EVIL[int(at.group(1) or at.group(2))]) if at else b"\0"
            rows = {A: [(CNAME, evil), (evil, A, b"\x7f\0\0\1")], PTR: [(PTR, evil)], MX: [(MX, b"\0\1" + evil)],
                    TXT: [(TXT, b"\x05a\r\n\0b")]}.get(q.kind, []) if at else []
            yield q.reply(rows if at or q.kind != A else [(A, b"\x7f\0\0\1")])
        dns = stack.enter_context(contextlib.closing(Hostile(answer)))
        server = hop_server(make_hard, dns.port, "".join(
            f'action "n{n}" relay host "smtp://n{n}.hop.example:{mx.port}"\n'
            f'match from any for domain "d{n}.example" action "n{n}"\n' for n in range(len(EVIL))))
        for n in range(len(EVIL)):
            with Evil(server) as c:
                c.to("EHLO balancer.example")
                assert c.cmd(f"XCLIENT ADDR=100.64.9.{n}")[0] == 220
                c.envelope(f"you@d{n}.example").to("DATA")
                assert c.say(b"Subject: x\r\n\r\nx\r\n.\r\n") == "250 2.0.0"
        for n in range(len(EVIL)):
            server.wait_log(rf"event=(delivered|deferred|failed) .*to=you@d{n}\.example\b")
        assert len(mx.mail) >= 2     # the two that are names
        for line in mx.lines:
            assert re.fullmatch(rb"(EHLO mx\.test|STARTTLS|QUIT|RSET|DATA|MAIL FROM:<you@example\.net>( [A-Z0-9=]+)*|"
                                rb"RCPT TO:<you@d\d+\.example>( [A-Z=]+)*)\r\n", line), line
        assert all(re.fullmatch(r"n\d+\.hop\.example", name) for name in mx.names), mx.names
        for _, text in mx.mail:
            assert re.search(rb"\AReceived: from evil\.example \(unknown \[100\.64\.9\.\d+\]\)\r\n\t", text), text
            assert not re.search(rb"[^ -~\r\n\t]|(?<!\r)\n|\r(?!\n)", text)
        clean_log(server)
