# SPDX-License-Identifier: ISC
"""Every command in every state that takes commands: what may come is done, what may not is refused and changes nothing.

In the states that take none (somebody else has the word) nothing is read: what a client says there waits its turn.
"""
import pytest

from ipc import OUTCOMES
from session import Session
from talk import Client

MAIL = "MAIL FROM:<a@example.net>"
CHUNK = "BDAT 3\r\nabc"
STATES = {  # what leads there
    "new": [],
    "idle": ["EHLO c.test"],
    "mail": ["EHLO c.test", MAIL],
    "refused": ["EHLO c.test", MAIL, "RCPT TO:<nobody@example.org>"],
    "rcpt": ["EHLO c.test", MAIL, "RCPT TO:<demo@example.org>"],
    "chunks": ["EHLO c.test", MAIL, "RCPT TO:<demo@example.org>", CHUNK],
}

# command: the codes in the order of the states above
COMMANDS = {
    "HELO c.test": (250, 250, 250, 250, 250, 250),
    "HELO": (501, 501, 501, 501, 501, 501),
    "EHLO c.test": (250, 250, 250, 250, 250, 250),
    "EHLO c.test extra": (501, 501, 501, 501, 501, 501),
    "LHLO c.test": (500, 500, 500, 500, 500, 500),
    "MAIL FROM:<b@example.net>": (503, 250, 503, 503, 503, 503),
    "RCPT TO:<other@example.org>": (503, 503, 250, 250, 250, 503),
    "DATA": (503, 503, 503, 554, 354, 503),
    "DATA now": (503, 503, 503, 554, 501, 503),
    "BDAT 3\r\nabc": (503, 503, 503, 554, 250, 250),
    "BDAT 3 LAST\r\nabc": (503, 503, 503, 554, 250, 250),
    "BDAT 0": (503, 503, 503, 554, 250, 250),
    "BDAT 0 LAST": (503, 503, 503, 554, 250, 250),
    "BDAT": (501, 501, 501, 501, 501, 501),
    "BDAT x": (501, 501, 501, 501, 501, 501),
    "BDAT -1": (501, 501, 501, 501, 501, 501),
    "BDAT 3 FIRST": (501, 501, 501, 501, 501, 501),
    "BDAT 99999999999999999999": (501, 501, 501, 501, 501, 501),
    "XCLIENT ADDR=192.0.2.1": (550, 550, 503, 503, 503, 503),
    "RSET": (250, 250, 250, 250, 250, 250),
    "NOOP": (250, 250, 250, 250, 250, 250),
    "NOOP ignored": (250, 250, 250, 250, 250, 250),
    "VRFY demo": (252, 252, 252, 252, 252, 252),
    "EXPN list": (502, 502, 502, 502, 502, 502),
    "HELP": (214, 214, 214, 214, 214, 214),
    "AUTH PLAIN AGEAYg==": (503, 538, 503, 503, 503, 503),
    "STARTTLS": (502, 502, 503, 503, 503, 503),
    "ETRN example.org": (502, 502, 502, 502, 502, 502),
    "QUIT": (221, 221, 221, 221, 221, 221),
    "FROBNICATE": (500, 500, 500, 500, 500, 500),
    "": (500, 500, 500, 500, 500, 500),
    "RSET now": (501, 501, 501, 501, 501, 501),
    "QUIT now": (501, 501, 501, 501, 501, 501),
    "GET / HTTP/1.1": (221, 221, 221, 221, 221, 221),
}
ENDS = {"HELO c.test", "EHLO c.test", "RSET"}     # a transaction ends with these
CLOSES = {"QUIT", "GET / HTTP/1.1", "BDAT", "BDAT x", "BDAT -1", "BDAT 3 FIRST", "BDAT 99999999999999999999"}
HARMLESS = [c for c in COMMANDS if c not in ENDS | CLOSES]


def swapped(word):
    return "".join(c.lower() if i % 2 else c.upper() for i, c in enumerate(word))


def spelled(how, command):
    """The verb and keywords in another case; addresses and octets as they are."""
    verb, space, rest = command.partition(" ")
    line, end, octets = rest.partition("\r\n")
    for word in ("FROM", "TO", "LAST"):
        line = line.replace(word, how(word))
    return how(verb) + space + line + end + octets


def at(server, state, how=str):
    c = Client(server.port)
    for command in STATES[state]:
        said(c, spelled(how, command))
    return c


def said(client, command):
    """A chunk's octets are what follows its line, with no CRLF of their own."""
    client.send(command if "\n" in command else command + "\r\n")
    return client.reply()[0]


@pytest.mark.parametrize("how", [str, str.lower, swapped], ids=["upper", "lower", "mixed"])
@pytest.mark.parametrize("state", STATES)
def test_every_command(shared_server, state, how):
    for command, codes in COMMANDS.items():
        with at(shared_server, state, how) as c:
            assert said(c, spelled(how, command)) == codes[list(STATES).index(state)], command
            if command in CLOSES or state == "new" and command.endswith("abc"):   # who said no EHLO may not pipeline
                assert c.is_closed(), command
            elif (command, state) != ("DATA", "rcpt"):
                assert c.cmd("NOOP")[0] == 250, command


@pytest.mark.parametrize("command", [c for c in HARMLESS if COMMANDS[c][4] != 354 and not c.startswith("BDAT")])
def test_a_transaction_survives_what_does_not_end_it(shared_server, command):
    with at(shared_server, "rcpt") as c:
        c.cmd(command)
        assert c.cmd("DATA")[0] == 354


@pytest.mark.parametrize("command", [c for c in HARMLESS if "LAST" not in c])
def test_a_message_in_chunks_survives_what_does_not_end_it(shared_server, command):
    with at(shared_server, "chunks") as c:
        said(c, command)
        assert said(c, "BDAT 3 LAST\r\n\r\n.") == 250


@pytest.mark.parametrize("state", ["mail", "refused", "rcpt", "chunks"])
@pytest.mark.parametrize("command", sorted(ENDS))
def test_a_transaction_ends(shared_server, command, state):
    with at(shared_server, state) as c:
        c.cmd(command)
        assert c.cmd("DATA")[0] == 503
        assert c.cmd(MAIL)[0] == 250


# -- the states that wait for somebody else ---------------------------------------

@pytest.fixture
def session():
    v = Session()
    yield v
    v.close()


def hears_nothing(client):
    """The server has said nothing so far; what comes later is in order then."""
    client.sock.settimeout(0.2)
    try:
        return client.sock.recv(1) == b""
    except TimeoutError:
        return True
    finally:
        client.sock.settimeout(30)


def test_no_command_is_read_while_lookup_is_asked(session):
    c = session.client()
    c.send("RCPT TO:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nNOOP\r\nVRFY x\r\nFROB\r\n")
    assert session.expect(session.lookup, "rcpt_check").rcpt == "a@example.org"
    assert hears_nothing(c)
    session.lookup.send("rcpt_verdict", req=session.lookup.last_req, code=250)      # to nobody
    c = session.client()
    c.send("RCPT TO:<c@example.org>\r\nRCPT TO:<d@example.org>\r\nNOOP\r\nVRFY x\r\nFROB\r\n")
    assert session.rcpt_verdict(code=550, status="5.1.1", text="no", action="").rcpt == "c@example.org"
    assert session.rcpt_verdict().rcpt == "d@example.org"
    assert [c.reply()[0] for _ in range(5)] == [550, 250, 250, 252, 500]


def test_no_command_is_read_while_the_queue_begins(session):
    c = session.client()
    session.rcpt(c)
    assert c.reply()[0] == 250
    req = session.expect(session.queue, "mail_begin").req
    c.send("BDAT 3\r\nabcNOOP\r\n")
    assert hears_nothing(c)
    session.queue.send("mail_ready", req=req, outcome=OUTCOMES.index("OK"), id=77)
    assert [c.reply() for _ in range(2)] == [(250, "2.0.0 3 octets received"), (250, "2.0.0 OK")]


def test_no_command_is_read_while_the_queue_commits(session):
    c, req = session.to_commit()
    c.send("NOOP\r\nVRFY x\r\nQUIT\r\n")
    assert hears_nothing(c)
    session.queue.send("mail_done", req=req, outcome=OUTCOMES.index("OK"), id=77)
    assert [c.reply()[0] for _ in range(4)] == [250, 250, 252, 221]


def test_no_command_is_read_while_a_refusal_waits(make_server):
    s = make_server(extra="smtp max-errors 4\nsmtp error-delay 1s\n")
    with Client(s.port) as c:
        c.say("EHLO c.test")
        c.send("FROB\r\nFROB\r\nNOOP\r\n")
        assert c.reply()[0] == 500
        assert hears_nothing(c)
        assert [c.reply()[0] for _ in range(2)] == [500, 250]
