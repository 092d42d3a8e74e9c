# SPDX-License-Identifier: ISC
"""CHUNKING and BINARYMIME (RFC 3030): octets of a chunk are never commands, and arrive as they were sent."""
import random
import socket
import struct

import pytest

from postern import Server, wait_for
from talk import Client, data, envelope, hello, stat, status_of, wait_stat

MAIL = "MAIL FROM:<you@example.net>"
RCPT = "RCPT TO:<demo@example.org>"
TEXT = b"Subject: chunks\r\n\r\none\r\n.\r\n..two\r\n.\r\n"
OK = (250, "2.0.0")


@pytest.fixture(scope="module")
def big():
    """A server with small limits."""
    s = Server(extra="smtp max-message-size 64K\nsmtp max-line-size 2000\nsmtp error-delay 0\n").start()
    yield s
    s.cleanup()


def body(mail):
    """What was sent, out of what was delivered to a Maildir."""
    return mail[mail.index(b"Subject: "):]


def delivered(server, n=1):
    return body(server.wait_mail(n)[-1])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_chunks_of_any_size(server, size):
    with envelope(hello(server)) as c:
        pieces = [TEXT[i:i + size] for i in range(0, len(TEXT), size)]
        for piece in pieces[:-1]:
            c.bdat(piece)
            assert c.reply() == (250, f"2.0.0 {len(piece)} octets received")
        assert c.chunk(pieces[-1], last=True) == OK
    assert delivered(server) == TEXT.replace(b"\r\n", b"\n")


def test_an_empty_last_chunk(server):
    with envelope(hello(server)) as c:
        assert c.chunk(TEXT) == OK
        assert c.chunk(b"") == OK
        assert c.chunk(b"", last=True) == OK
        assert c.cmd("BDAT 0 LAST")[0] == 503
    assert delivered(server) == TEXT.replace(b"\r\n", b"\n")


def test_a_whole_session_in_one_segment(server):
    """RFC 3030 4.2: pipelined to the last octet; each has its answer, in order."""
    with hello(server) as c:
        group = f"{MAIL}\r\n{RCPT}\r\n".encode() + b"BDAT 5\r\n" + TEXT[:5]
        group += b"BDAT %d LAST\r\n" % (len(TEXT) - 5) + TEXT[5:]
        c.send(group * 3 + b"QUIT\r\n")
        assert c.codes() == [250, 250, 250, 250] * 3 + [221]
    server.wait_mail(3)


@pytest.mark.parametrize("step", [1, 13])
def test_octet_by_octet(server, step):
    with hello(server) as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        octets = f"{MAIL}\r\n{RCPT}\r\n".encode() + b"BDAT %d LAST\r\n" % len(TEXT) + TEXT + b"NOOP\r\n"
        for i in range(0, len(octets), step):
            c.send(octets[i:i + step])
        assert [c.reply()[0] for _ in range(4)] == [250] * 4
    assert delivered(server) == TEXT.replace(b"\r\n", b"\n")


# -- octets that look like commands ------------------------------------------------

EVIL = b"\r\n.\r\nRSET\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<other@example.org>\r\nQUIT\r\n"


@pytest.mark.parametrize("before, code", [
    ([], (503, "5.5.1")), ([MAIL], (503, "5.5.1")), ([MAIL, "RCPT TO:<nobody@example.org>"], (554, "5.5.1")),
], ids=["no-mail", "no-rcpt", "all-refused"])
@pytest.mark.parametrize("last", [False, True])
def test_a_refused_chunk_is_swallowed(shared_server, before, code, last):
    with hello(shared_server) as c:
        for command in before:
            c.cmd(command)
        c.bdat(EVIL, last)
        assert status_of(c.reply()) == code
        c.bdat(EVIL * 3000, last)
        assert status_of(c.reply()) == code
        assert c.cmd("NOOP")[0] == 250


def test_a_refused_chunk_is_answered_after_its_last_octet(shared_server):
    with hello(shared_server) as c:
        c.send(b"BDAT %d\r\n" % len(EVIL) + EVIL[:-1])
        c.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            c.line()
        c.sock.settimeout(30)
        c.send(EVIL[-1:])
        assert c.reply()[0] == 503


def test_a_chunk_after_the_last(shared_server):
    with envelope(hello(shared_server)) as c:
        c.bdat(TEXT, last=True)
        c.bdat(EVIL, last=True)
        assert [c.reply()[0] for _ in range(2)] == [250, 503]
        assert c.cmd("NOOP")[0] == 250


@pytest.mark.parametrize("size", ["", "x", "-1", "+1", "1 FIRST", "1 LAST LAST", "0x10", "1e3", "1,0", "9223372036854775808",
                                  "18446744073709551616", "1" * 40])
def test_a_chunk_of_no_size_ends_the_connection(shared_server, size):
    """How much of what follows is a chunk can't be known: nothing of it may be taken for a command."""
    with envelope(hello(shared_server)) as c:
        c.send(f"BDAT {size}\r\n".encode() + EVIL)
        assert status_of(c.reply()) == (501, "5.5.4")
        assert c.codes() == []


def test_a_chunk_of_any_size_is_only_a_promise(shared_server):
    """The largest size there is costs nothing until its octets come."""
    with envelope(hello(shared_server)) as c:
        c.send(b"BDAT 9223372036854775807\r\nabc")
        c.sock.shutdown(socket.SHUT_WR)
        assert c.codes() == []


# -- order ------------------------------------------------------------------------

@pytest.mark.parametrize("command", [MAIL, RCPT, "DATA"])
def test_between_chunks_comes_no_other_step(shared_server, command):
    with envelope(hello(shared_server)) as c:
        assert c.chunk(b"abc") == OK
        assert c.status(command) == (503, "5.5.1")
        assert c.chunk(b"abc", last=True) == OK


@pytest.mark.parametrize("command", ["RSET", "EHLO again.test"])
def test_a_message_in_chunks_is_given_up(server, command):
    with envelope(hello(server)) as c:
        assert c.chunk(TEXT) == OK
        c.say(command)
        assert c.chunk(TEXT, last=True) == (503, "5.5.1")
        envelope(c)
        assert c.chunk(TEXT, last=True) == OK
    assert delivered(server) == TEXT.replace(b"\r\n", b"\n")
    wait_stat(server, "queue.messages", 0)
    assert len(server.maildir()) == 1


def test_binary_takes_chunks(shared_server):
    with envelope(hello(shared_server), mail="BODY=BINARYMIME") as c:
        assert c.status("DATA") == (503, "5.5.1")
        assert c.chunk(TEXT, last=True) == OK


def test_a_client_that_said_helo_has_no_chunks(shared_server):
    """CHUNKING was not offered; nothing of what follows is taken for a command."""
    with envelope(hello(shared_server, verb="HELO")) as c:
        c.bdat(EVIL, last=True)
        assert status_of(c.reply()) == (503, "5.5.0")
        assert c.codes() == []


# -- octets -----------------------------------------------------------------------

BAD = {"nul": b"a\0b\r\n", "cr": b"a\rb\r\n", "lf": b"a\nb\r\n", "cr-cr-lf": b"a\r\r\n", "lf-first": b"\nb\r\n"}


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD)
def test_octets_that_take_binary(shared_server, octets):
    with hello(shared_server) as c:
        c.send(f"{MAIL}\r\n{RCPT}\r\n")
        c.bdat(b"Subject: x\r\n\r\n")
        c.bdat(octets)                      # refused at its end,
        c.bdat(EVIL, last=True)             # and with it what was pipelined behind
        assert [status_of(c.reply()) for _ in range(5)] == [
            (250, "2.1.0"), (250, "2.1.5"), OK, (550, "5.6.0"), (503, "5.5.1")]
        assert c.cmd("NOOP")[0] == 250


@pytest.mark.parametrize("at", [1, 2])
def test_a_chunk_may_end_within_a_line_end(server, at):
    with envelope(hello(server)) as c:
        assert c.chunk(b"Subject: x\r\n\r\na\r\n"[:-at]) == OK
        assert c.chunk(b"Subject: x\r\n\r\na\r\n"[-at:], last=True) == OK
    assert delivered(server) == b"Subject: x\n\na\n"


@pytest.mark.parametrize("end", [b"a\r", b"\r"])
def test_the_last_chunk_may_not(shared_server, end):
    with envelope(hello(shared_server)) as c:
        assert c.chunk(b"Subject: x\r\n\r\n" + end, last=True) == (550, "5.6.0")
        assert c.cmd("NOOP")[0] == 250


def test_a_cr_at_the_end_of_a_chunk_and_no_lf_in_the_next(shared_server):
    with envelope(hello(shared_server)) as c:
        assert c.chunk(b"Subject: x\r\n\r\na\r") == OK
        assert c.chunk(b"b\r\n", last=True) == (550, "5.6.0")


def test_binary_arrives_as_it_was_sent(make_server):
    """Every octet there is, a long line, dots, bare CR and LF: to a Maildir, byte for byte."""
    s = make_server(extra="smtp max-line-size 2000\n")
    octets = b"Subject: b\r\n\r\n" + bytes(range(256)) * 9 + b"\r\r\n\n.\r\n.\n\0" + random.Random(3).randbytes(100_000)
    with envelope(hello(s), mail="BODY=BINARYMIME") as c:
        for i in range(0, len(octets), 4099):
            assert c.chunk(octets[i:i + 4099], last=i + 4099 >= len(octets)) == OK
    got = s.wait_mail()[0]
    assert got.endswith(octets), "it was changed"


# -- sizes ------------------------------------------------------------------------

def test_more_than_the_limit_by_chunks(big):
    with envelope(hello(big)) as c:
        line = b"x" * 998 + b"\r\n"
        assert c.chunk(line * 60) == OK
        assert c.chunk(line * 60) == (552, "5.3.4")
        assert c.chunk(line * 60, last=True) == (503, "5.5.1")
        assert data(envelope(c), "Subject: small\r\n\r\n")[0] == 250


def test_one_chunk_beyond_the_limit_is_read_to_its_end(big):
    with envelope(hello(big)) as c:
        assert c.chunk((b"x" * 998 + b"\r\n") * 1500, last=True) == (552, "5.3.4")
        assert c.cmd("NOOP")[0] == 250
    wait_stat(big, "queue.messages", 0)


@pytest.mark.parametrize("before", [[], [MAIL, RCPT]], ids=["unwanted", "wanted"])
def test_what_is_far_beyond_the_limit_is_not_waited_for(big, before):
    with hello(big) as c:
        for command in before:
            c.cmd(command)
        c.send(b"BDAT %d LAST\r\n" % (1 << 40))
        try:
            for _ in range(1 << 10):
                c.send(b"x" * 998 + b"\r\n" + b"y" * 64000 + b"\r\n")
            pytest.fail("it is read without end")
        except (ConnectionResetError, BrokenPipeError):
            pass


def test_a_line_beyond_the_limit(big):
    with envelope(hello(big)) as c:
        assert c.chunk(b"x" * 1500) == OK
        assert c.chunk(b"x" * 501 + b"\r\n", last=True) == (550, "5.6.0")


def test_a_declared_size_is_no_excuse(big):
    with envelope(hello(big), mail="SIZE=100") as c:
        assert c.chunk((b"x" * 998 + b"\r\n") * 70, last=True) == (552, "5.3.4")


@pytest.mark.parametrize("end", ["fin", "reset"])
def test_a_client_that_goes_within_a_chunk(make_server, end):
    s = make_server()
    for n in range(0, len(TEXT), 5):
        c = envelope(hello(s))
        c.send(b"BDAT %d LAST\r\n" % len(TEXT) + TEXT[:n])
        if end == "reset":
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()
    wait_stat(s, "session.open", 0)
    wait_for(lambda: stat(s, "queue.messages") == 0, "nothing kept")
    with Client(s.port) as c:
        assert c.cmd("QUIT")[0] == 221
    assert s.maildir() == []
