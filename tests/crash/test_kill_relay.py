# SPDX-License-Identifier: ISC
"""kill -9 of each process at each step of a delivery to another server: nothing is lost, and a second copy is
made only where the first one's 250 could not be known (RFC 5321 6.1)."""
import os
import signal

import pytest

from gate import Gate, STEPS
from load import QUICK_RETRY, drain
from postern import PATIENCE, Server, wait_for

CONF = Server.CONF + QUICK_RETRY + """
mta limit session-keepalive 1
action "out" relay host "smtp://127.0.0.1:{port}"
match from local for any action "out"
"""
# Whose death may cost what a next hop had already taken: who brings it, who writes that down, all.
INVOLVED = ("delivery/0", "queue/0", "server")
BYSTANDERS = ("session/0", "lookup/0", "control/0", "vault/0")
# The 250 may be on its way, or not be written down yet.
UNKNOWN = ("end", "accepted")
NUMBERS = range(3)
LINE = "a line of the message" * 20 + "\r\n"
LONG, SHORT = 20_000, 3         # lines: LONG's end is not out yet when its first line is read


@pytest.fixture
def gate():
    with Gate() as g:
        yield g


@pytest.fixture
def server(make_server, gate):
    s = make_server(start=False)
    s.write_conf(CONF, port=gate.port)
    return s.start()


def send(server, number, lines=SHORT):
    with server.smtp() as s:
        s.sendmail("me@example.net", f"you{number}@far.example",
                   f"X-Number: {number}\r\nSubject: x\r\n\r\n{LINE * lines}")


def kill(server, name):
    if name == "server":
        server.kill()
        server.start()
        return
    pid = wait_for(lambda: server.pids().get(name), name)
    os.kill(pid, signal.SIGKILL)
    server.wait_log(rf"event=process-ended process={name.split('/')[0]}/\S+ pid={pid} signal=9 name=KILL")


@pytest.mark.parametrize("step", STEPS)
def test_each_process(server, gate, step):
    """One after the other, the server as it is left by the one before.  A step for each server, for what has
    killed delivery several times waits."""
    counted = {}
    for name in INVOLVED + BYSTANDERS:
        gate.hold(step)
        send(server, NUMBERS[0], lines=LONG if step == "body" else SHORT)
        assert gate.reached.wait(PATIENCE), f"no delivery came to {step}"
        if step == "QUIT":
            drain(server)
        for number in NUMBERS[1:]:
            send(server, number)
        kill(server, name)
        gate.go_on()
        wait_for(lambda: set(gate.copies) == set(NUMBERS), f"every message, {name} killed")
        drain(server)
        counted[name] = sum(gate.copies.values()) - len(NUMBERS)
        allowed = 1 if name in INVOLVED and step in UNKNOWN else 0
        assert 0 <= counted[name] <= allowed, f"{name} killed at {step}: {counted[name]} copies too many"
    print(f"second copies, killed at {step}:", counted)
