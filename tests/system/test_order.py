# SPDX-License-Identifier: ISC
"""Every command in every state that takes commands: what may come is done, what may not is 503 and changes nothing."""
import pytest

STATES = {  # what leads there
    "new": [],
    "idle": ["EHLO c.test"],
    "mail": ["EHLO c.test", "MAIL FROM:<a@example.net>"],
    "refused": ["EHLO c.test", "MAIL FROM:<a@example.net>", "RCPT TO:<nobody@example.org>"],
    "rcpt": ["EHLO c.test", "MAIL FROM:<a@example.net>", "RCPT TO:<demo@example.org>"],
}

# command: the codes in the order of the states above
COMMANDS = {
    "HELO c.test": (250, 250, 250, 250, 250),
    "EHLO c.test": (250, 250, 250, 250, 250),
    "MAIL FROM:<b@example.net>": (503, 250, 503, 503, 503),
    "RCPT TO:<other@example.org>": (503, 503, 250, 250, 250),
    "DATA": (503, 503, 503, 554, 354),
    "RSET": (250, 250, 250, 250, 250),
    "NOOP": (250, 250, 250, 250, 250),
    "NOOP ignored": (250, 250, 250, 250, 250),
    "VRFY demo": (252, 252, 252, 252, 252),
    "EXPN list": (502, 502, 502, 502, 502),
    "HELP": (214, 214, 214, 214, 214),
    "AUTH PLAIN AGEAYg==": (538, 538, 538, 538, 538),
    "STARTTLS": (502, 502, 502, 502, 502),
    "ETRN example.org": (502, 502, 502, 502, 502),
    "QUIT": (221, 221, 221, 221, 221),
    "FROBNICATE": (500, 500, 500, 500, 500),
    "": (500, 500, 500, 500, 500),
    "RSET now": (501, 501, 501, 501, 501),
    "QUIT now": (501, 501, 501, 501, 501),
    "GET / HTTP/1.1": (221, 221, 221, 221, 221),
}
ENDS = {"HELO c.test", "EHLO c.test", "RSET"}     # a transaction ends with these


def at(server, state):
    c = server.raw()
    assert c.reply()[0] == 220
    for command in STATES[state]:
        c.cmd(command)
    return c


@pytest.mark.parametrize("state", STATES)
def test_every_command(shared_server, state):
    for command, codes in COMMANDS.items():
        with at(shared_server, state) as c:
            assert c.cmd(command)[0] == codes[list(STATES).index(state)], command


@pytest.mark.parametrize("command", [c for c, codes in COMMANDS.items()
                                     if codes[4] not in (221, 354) and c not in ENDS])
def test_a_transaction_survives_what_does_not_end_it(shared_server, command):
    with at(shared_server, "rcpt") as c:
        c.cmd(command)
        assert c.cmd("DATA")[0] == 354


@pytest.mark.parametrize("command", sorted(ENDS))
def test_a_transaction_ends(shared_server, command):
    with at(shared_server, "rcpt") as c:
        c.cmd(command)
        assert c.cmd("DATA")[0] == 503
