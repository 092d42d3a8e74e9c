# SPDX-License-Identifier: ISC
"""BDAT in every order and size, and connections that break at every octet of a body."""
import contextlib
import os
import random
import signal

import pytest

from evil import Evil, assert_well, body_of, drain, server_process, settle, stat

SIZES = ["-1", "+1", "0x10", "1e3", "1 1", "1 LAST LAST", "1 LAS", "", "LAST", "18446744073709551616",
         "18446744073709551615",
         "9223372036854775808", "99999999999999999999999", "1.0", " ", "1,000", "4294967296x", "1\t", "\x011", "1\0"]


@pytest.mark.parametrize("argument", SIZES, ids=lambda a: repr(a)[1:-1])
@pytest.mark.parametrize("stage", ("", "M", "R"))
def test_section_2_bdat_of_unknown_size(hard, argument, stage):
    """Where nobody can know how much follows, the connection ends: nothing behind it is a command."""
    with Evil(hard) as c:
        c.to("EHLO evil.example",
             *["MAIL FROM:<a@b.example>", "RCPT TO:<demo@example.org>"][:" MR".index(stage or " ")])
        c.send(f"BDAT {argument}\r\nMAIL FROM:<smuggled@evil.example>\r\n")
        assert c.rest() in (["501 5.5.4"], ["501 5.5.2"])


@pytest.mark.parametrize("size", (4294967295, 4294967296, 4294967297, 9223372036854775807))
def test_44_chunk_of_more_than_a_word(hard, size):
    """Sizes around 2^32 and 2^63 wrap nowhere: refused as too big, and the octets that do come are no commands."""
    with Evil(hard) as c:
        c.envelope()
        c.pour(b"BDAT %d LAST\r\n" % size + b"QUIT\r\n" * 1000)
        c.sock.shutdown(1)
        assert c.rest() in (["552 5.3.4"], [])


def test_section_2_bdat_order(hard):
    """LAST twice, DATA between chunks, RSET in the middle, BDAT without MAIL: as RFC 3030 2 and 3 have it."""
    with Evil(hard) as c:
        c.to("EHLO evil.example")
        assert c.say(b"BDAT 6 LAST\r\nQUIT\r\n") == "503 5.5.1"
        c.envelope()
        assert c.say(b"BDAT 14\r\nSubject: x\r\n\r\n") == "250 2.0.0"
        for command in ("DATA", "MAIL FROM:<a@b.example>", "RCPT TO:<demo@example.org>"):
            assert c.say(command) == "503 5.5.1"
        assert c.say("RSET") == "250 2.0.0"
        assert c.say(b"BDAT 6 LAST\r\nQUIT\r\n") == "503 5.5.1"
        c.envelope()
        assert c.say(b"BDAT 18 LAST\r\nSubject: x\r\n\r\nxx\r\n") == "250 2.0.0"
        assert c.say(b"BDAT 6 LAST\r\nQUIT\r\n") == "503 5.5.1"
        c.to("MAIL FROM:<a@b.example>")
        assert c.say("RCPT TO:<nobody@example.org>") == "550 5.1.1"
        assert c.say(b"BDAT 6\r\nQUIT\r\n") == "554 5.5.1"
        assert c.say("NOOP") == "250 2.0.0"


def test_section_2_a_hundred_thousand_empty_chunks(hard):
    """Chunks of nothing cost what a command costs, and the message is still one."""
    with Evil(hard) as c:
        c.envelope("other@example.org")
        c.pour(b"BDAT 0\r\n" * 100_000)
        assert {c.heard() for _ in range(100_000)} == {"250 2.0.0"}
        assert c.say(b"BDAT 18 LAST\r\nSubject: x\r\n\r\nxx\r\n") == "250 2.0.0"


def test_27_dots_in_chunks(make_hard):
    """Lines of dots at every place of a chunk are text: nothing ends there, nothing loops, nothing is taken away."""
    server = make_hard()
    text = b"Subject: dots\r\n\r\n.\r\n..\r\n.\r\n.x\r\n\r\n.\r\n"
    with Evil(server) as c:
        for at in range(len(text) + 1):
            c.envelope()
            c.send(b"BDAT %d\r\n%sBDAT %d LAST\r\n%s" % (at, text[:at], len(text) - at, text[at:]))
            assert [c.heard(), c.heard()] == ["250 2.0.0", "250 2.0.0"], at
        c.envelope()
        for octet in text:
            assert c.say(b"BDAT 1\r\n%c" % octet) == "250 2.0.0"
        assert c.say("BDAT 0 LAST") == "250 2.0.0"
    drain(server)
    assert {body_of(m) for m in server.maildir()} == {text} and len(server.maildir()) == len(text) + 2


PIECES = [b"MAIL FROM:<a@b.example>\r\n", b"MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n",
          b"RCPT TO:<demo@example.org>\r\n", b"RCPT TO:<nobody@example.org>\r\n",
          b"RSET\r\n", b"NOOP\r\n", b"VRFY x\r\n", b"HELP\r\n", b"XYZZY\r\n", b"MAIL FROM:<\xff>\r\n"]


@pytest.mark.parametrize("seed", range(8))
def test_27_chunks_in_any_order(make_hard, seed):
    """Random commands and chunks, pipelined, the chunks full of QUIT: one answer to each, none to what is inside."""
    server = make_hard(extra="smtp max-message-size 4K\nsmtp processes 1\n")
    dice = random.Random(seed)
    for _ in range(40):
        stream, commands = b"", 0
        for _ in range(dice.randint(5, 60)):
            if dice.random() < 0.5:
                n = dice.choice((0, 1, 5, 6, 7, 6 * dice.randint(0, 50), dice.randint(0, 9000)))
                inside = (b"QUIT\r\n" if dice.random() < 0.9 else b"QUIT\r\r\n\0") * (n // 6 + 1)
                stream += b"BDAT %d%s\r\n%s" % (n, b" LAST" * (dice.random() < 0.3), inside[:n])
            else:
                stream += dice.choice(PIECES[:3] if dice.random() < 0.7 else PIECES)
            commands += 1
        with Evil(server) as c:
            c.to("EHLO evil.example")
            c.pour(stream + b"QUIT\r\n")
            heard = c.rest()
        assert len(heard) == commands + 1 and heard[-1] == "221 2.0.0" and "221 2.0.0" not in heard[:-1], (stream,
                                                                                                           heard)
        assert all(h[:3] in ("214", "250", "252", "452", "500", "501", "503", "550", "552",
                             "554") for h in heard[:-1]), heard
    assert_well(server)


# -- connections that break ---------------------------------------------------------

BODY = b"Subject: cut\r\n\r\n..dot\r\nend\r\n"
BY_DATA = [b"DATA\r\n", BODY + b".\r\n"]
BY_BDAT = [b"BDAT 10\r\n" + BODY[:10] + b"BDAT %d LAST\r\n" % (len(BODY) - 10) + BODY[10:]]
GARBAGE = {"close-notify": b"\x15\x03\x03\x00\x02\x01\x00", "newline": b"\n", "quit": b"QUIT\r\n", "ones": b"\xff" * 40}


def cut_at(server, parts, at, how):
    """What a client hears that does something else at octet `at` of what it has to say after its envelope."""
    c = Evil(server)
    c.envelope()
    for part in parts:
        if at < len(part):
            break
        c.send(part)
        at -= len(part)
        assert c.heard() == "354"   # of DATA: its body is another part
    c.send(part[:at])
    if how == "reset":
        c.reset()
        return []
    with contextlib.suppress(OSError):  # it may close any time
        if how != "half-close":
            c.send(GARBAGE[how] + part[at:] + b"\r\n.\r\n")
        c.sock.shutdown(1)
    heard = c.rest()
    c.close()
    return heard


@pytest.mark.parametrize("how", ("reset", "half-close", *GARBAGE))
@pytest.mark.parametrize("parts", (BY_DATA, BY_BDAT), ids=("data", "bdat"))
def test_42_broken_at_each_octet(make_hard, parts, how):
    """RST, FIN or strange octets at each octet of DATA and BDAT: what was not answered 250 is not stored, and nothing dies."""
    server = make_hard(extra="smtp processes 1\n")
    before = stat(server, "session.messages-accepted")
    promised = 0
    total = sum(len(p) for p in parts)
    for at in range(total):
        # In BDAT a 250 may be of a chunk: only the count tells.
        promised += "250 2.0.0" in cut_at(server, parts, at, how) and parts is BY_DATA
    settle(server)
    accepted = stat(server, "session.messages-accepted") - before
    if how in ("reset", "half-close"):
        assert accepted == promised == 0
    elif parts is BY_DATA:
        assert accepted == promised
    assert_well(server)
    drain(server)
    assert len(server.maildir()) == accepted + 1


def test_56_one_process_less(make_server):
    """The end of one session process ends its own clients alone: a message under way in another one arrives."""
    server = make_server(extra="smtp processes 2\n")
    clients = []
    while len({server_process(server, c) for c in clients}) < 2:
        clients.append(Evil(server).envelope().to("DATA"))
        assert len(clients) < 200
    victim, pid = server_process(server, clients[-1])
    others = [c for c in clients if server_process(server, c) != (victim, pid)]
    os.kill(pid, signal.SIGKILL)
    for c in others:
        assert c.say(b"Subject: other\r\n\r\nx\r\n.\r\n") == "250 2.0.0"
    assert len(server.wait_mail(len(others))) == len(others)
    assert clients[-1].rest() == []
