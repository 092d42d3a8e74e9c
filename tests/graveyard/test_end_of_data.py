# SPDX-License-Identifier: ISC
"""Where a message ends: at CRLF.CRLF and nowhere else, coming in and going out."""
import re

import pytest

from evil import Evil, Sink, body_of, drain, stat
from postern import Server, wait_for

# Section 2 of the attack list.  What follows such a sequence must never become a message of its own.
REFUSED = {
    "LF.LF": b"\n.\n", "LF.CRLF": b"\n.\r\n", "CRLF.LF": b"\r\n.\n", "CR.CR": b"\r.\r", "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r", "CR.LF": b"\r.\n", "LF.CR": b"\n.\r", "CRLF-NUL.CRLF": b"\r\n\0.\r\n",
    "CRLF.NUL-CRLF": b"\r\n.\0\r\n", "CRLF.CRCRLF": b"\r\n.\r\r\n", "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n",
}
# sequence, and what it means in DATA; in a chunk it means itself
LITERAL = {"CRLF.SP-CRLF": (b"\r\n. \r\n", b"\r\n \r\n"), "CRLF..CRLF": (b"\r\n..\r\n", b"\r\n.\r\n")}
ALL = {**REFUSED, **{name: octets for name, (octets, _) in LITERAL.items()}}

SMUGGLED = (b"MAIL FROM:<smuggled@evil.example>\r\nRCPT TO:<demo@example.org>\r\nDATA\r\n"
            b"Subject: smuggled\r\n\r\nsmuggled\r\n")


def hiding(sequence):
    return b"Subject: outer\r\n\r\nouter" + sequence + SMUGGLED


def expect(name):
    return "250 2.0.0" if name in LITERAL else "550 5.5.2"


def check_delivered(server, texts):
    """Exactly these lie in the mailbox, besides what the fixtures put there."""
    drain(server)
    got = [body_of(m) for m in server.maildir()]
    assert sorted(t for t in got if b"still here" not in t) == sorted(texts)
    assert "from=smuggled@evil.example" not in "\n".join(server.log)


@pytest.mark.parametrize("name", ALL)
def test_16_end_of_data_by_string_compare(hard, name):
    """A sequence that only looks like the end: one answer, to the real end, and the next command is the next one."""
    before = stat(hard, "session.messages-accepted")
    with Evil(hard) as c:
        c.envelope("other@example.org").to("DATA")
        c.send(hiding(ALL[name]) + b".\r\nNOOP\r\nQUIT\r\n")
        assert c.rest() == [expect(name), "250 2.0.0", "221 2.0.0"]
    assert stat(hard, "session.messages-accepted") - before == (name in LITERAL)


@pytest.mark.parametrize("name", ALL)
def test_19_bare_line_ends_octet_by_octet(hard, name):
    """The same cut into single octets: where a reader's buffer ends changes nothing."""
    with Evil(hard) as c:
        c.envelope("other@example.org").to("DATA")
        for octet in hiding(ALL[name]) + b".\r\n":
            c.send(bytes([octet]))
        assert c.heard() == expect(name)
        assert c.say("NOOP") == "250 2.0.0"


def test_16_what_is_literal_is_delivered_as_it_was_meant(make_hard):
    """Dots are un-stuffed once in DATA and not at all in a chunk; nothing else of the fourteen is stored."""
    server = make_hard()
    for name in ALL:
        with Evil(server) as c:
            c.envelope().to("DATA")
            assert c.say(hiding(ALL[name]) + b".\r\n") == expect(name)
            c.to("MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>")
            text = hiding(ALL[name])
            assert c.say(b"BDAT %d LAST\r\n" % len(text) + text) == \
                ("250 2.0.0" if name in LITERAL else "550 5.6.0")
    check_delivered(server, [hiding(t) for pair in LITERAL.values() for t in pair])


@pytest.mark.parametrize("name", ALL)
def test_54_smuggling_in_by_chunks(hard, name):
    """BDAT cut at each octet of the sequence: what follows is never a command, a bare CR or LF never stored."""
    sequence = ALL[name]
    text = hiding(sequence)
    start = text.index(b"outer" + sequence) + 5
    for at in range(start, start + len(sequence) + 1):
        with Evil(hard) as c:
            c.envelope("other@example.org")
            c.send(b"BDAT %d\r\n%s" % (at, text[:at]) + b"BDAT %d LAST\r\n%s" % (len(text) - at,
                                                                                 text[at:]) + b"NOOP\r\nQUIT\r\n")
            heard = c.rest()
        assert heard[-2:] == ["250 2.0.0", "221 2.0.0"], heard
        if name in LITERAL:
            assert heard[:-2] == ["250 2.0.0", "250 2.0.0"]
        else:
            # Refused with the chunk that shows it; a chunk after that has no transaction.
            assert heard[:-2] in (["250 2.0.0", "550 5.6.0"], ["550 5.6.0", "503 5.5.1"]), (at, heard)


# -- going out -------------------------------------------------------------------

RELAY = Server.CONF + """
action "out" relay host "smtp://127.0.0.1:{port}"
match from local for any action "out"
queue retry-min 1h
"""


@pytest.fixture
def relay():
    """A server and the sink that it relays to."""
    sinks, servers = [], []

    def make(extra="", offers=("8BITMIME",)):
        sinks.append(Sink(offers))
        servers.append(Server(start_conf(sinks[-1].port), extra=extra))
        return servers[-1].start(), sinks[-1]
    yield make
    for s in servers:
        s.cleanup()
    for s in sinks:
        s.close()


def start_conf(port):
    return RELAY.replace("{port}", str(port))


def clean(wire):
    """No bare CR, bare LF or NUL, and no line that would end it too soon."""
    return not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", wire) and b"\r\n.\r\n" not in b"\r\n" + wire


DOTS = b"Subject: dots\r\n\r\n..\r\n. \r\n...\r\n.x\r\n x.\r\n" + b"x" * 32766 + b"\r\n..\r\n" + \
    b"y" * 65500 + b"\r\n..z\r\n"


@pytest.mark.parametrize("command", ("DATA", "BDAT"))
def test_54_smuggling_out_dots(relay, command):
    """Lines that begin with dots leave stuffed again, wherever the pieces are cut; the text is the same at the end."""
    server, sink = relay("smtp max-line-size 1M\n")
    with Evil(server) as c:
        c.envelope("you@far.example")
        if command == "DATA":
            c.to("DATA")
            assert c.say(DOTS + b".\r\n") == "250 2.0.0"
            meant = re.sub(rb"(?m)^\.", b"", DOTS)
        else:
            assert c.say(b"BDAT %d LAST\r\n%s" % (len(DOTS), DOTS)) == "250 2.0.0"
            meant = DOTS
    wire = wait_for(lambda: sink.bodies, "the message")[0]
    assert clean(wire)
    assert re.sub(rb"(?m)^\.", b"", wire).endswith(meant)


def test_54_smuggling_out_normalized(relay):
    """Where bare LF is made CRLF for local clients, LF.LF becomes a dot that is stuffed, not an end."""
    server, sink = relay("smtp bare-lf normalize\n")
    for sequence in (b"\n.\n", b"\n.\r\n", b"\r\n.\n"):
        with Evil(server) as c:
            c.envelope("you@far.example").to("DATA")
            assert c.say(hiding(sequence) + b".\r\n") == "250 2.0.0"
    wires = wait_for(lambda: len(sink.bodies) == 3 and sink.bodies, "three messages")
    for wire in wires:
        assert clean(wire) and b"\r\nMAIL FROM:<smuggled" in wire, wire


@pytest.mark.parametrize("name", REFUSED)
def test_54_smuggling_out_binary(relay, name):
    """BODY=BINARYMIME may bring any octets in; a next hop that takes no binary gets none of them."""
    server, sink = relay(offers=("8BITMIME", "PIPELINING"))
    text = hiding(REFUSED[name])
    with Evil(server) as c:
        c.envelope("you@far.example", params=" BODY=BINARYMIME")
        assert c.say(b"BDAT %d LAST\r\n%s" % (len(text), text)) == "250 2.0.0"
    server.wait_log(r"event=(failed|delivered|deferred) .*to=you@far\.example")
    assert all(clean(wire) for wire in sink.bodies)
    assert not any(b"smuggled" in line for line in sink.lines)


def test_61_parameters_smuggled_in_addresses(relay):
    """Addresses with spaces, quotes and angles leave as one path each: exact octets on the wire."""
    server, sink = relay()
    sender, rcpt = '"x> SIZE=1 RET=FULL <y"@example.net', '"a b>c\\" <d"@far.example'
    with Evil(server) as c:
        c.envelope(rcpt, sender=sender).to("DATA")
        assert c.say(b"Subject: x\r\n\r\nx\r\n.\r\n") == "250 2.0.0"
    wait_for(lambda: sink.bodies, "the message")
    paths = [line for line in sink.lines if line[:4] in (b"MAIL", b"RCPT")]
    assert len(paths) == 2
    assert re.fullmatch(rb"MAIL FROM:<%s>( [A-Z0-9=]+)*" % re.escape(sender.encode()), paths[0]), paths
    assert paths[1] == b"RCPT TO:<%s>" % rcpt.encode()
