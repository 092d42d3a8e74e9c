# SPDX-License-Identifier: ISC
"""kill -9 at random moments under load: what was answered 250 arrives, whole; nothing else does."""
import os
import random
import signal
import time

import pytest

from load import AFTERLIFE_S, Book, Clients, QUICK_RETRY, Reckoning, counters, drain, time_to_serve
from postern import wait_for

LIVES = 18              # of a server, in each of the runs
QUEUE_KILLS = 2         # in each life, before the whole server is killed
OTHER_KILLS = 40
SERVING_S = 2           # the promise


def kill_child(server, book, name):
    """The process that had this name is dead after; when that was, by the monotonic clock."""
    pid = wait_for(lambda: server.pids().get(name), name)
    book.kill()
    when = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    server.wait_log(rf"event=process-ended process={name.split('/')[0]}/\S+ pid={pid} signal=9 name=KILL")
    return when


def kill_server(server, book, rng):
    """All of it, or the parent alone: then its children must go by themselves, and not stand in the next one's way."""
    book.kill()
    if rng.random() < 0.5:
        server.kill()
        return
    server.process.kill()
    server.process.wait()
    server.process = None


def wait_for_more(book, n):
    """The load goes on: n more messages were taken."""
    before = len(book.promised)
    wait_for(lambda: len(book.promised) >= before + n, "messages taken")


def calm(book):
    """Long enough after the last kill for what comes now to be delivered once."""
    wait_for(lambda: time.time() > book.kills[-1] + AFTERLIFE_S, "calm")
    wait_for_more(book, 100)


def show(recoveries):
    print("slowest recoveries:", [f"{t:.2f}" for t in sorted(recoveries)[-5:]])
    assert max(recoveries) < SERVING_S


@pytest.mark.parametrize("seed", range(4))
def test_queue_and_server(make_server, seed):
    rng, book, recoveries = random.Random(seed), Book(), []
    server = make_server(extra=QUICK_RETRY)
    with Clients(server, book, seed=seed):
        for _ in range(LIVES):
            for _ in range(QUEUE_KILLS):
                wait_for_more(book, rng.randint(0, 60))
                recoveries.append(time_to_serve(server, kill_child(server, book, "queue/0")))
            wait_for_more(book, rng.randint(0, 60))
            kill_server(server, book, rng)
            server.start()
        calm(book)
    drain(server)
    found = Reckoning(server, book).check()
    assert len(book.kills) == LIVES * (QUEUE_KILLS + 1) and found.delivered > LIVES
    show(recoveries)


def test_everybody_else(make_server):
    """session, lookup, delivery, control and the agents, one or two at a time."""
    rng, book, recoveries = random.Random(7), Book(), []
    server = make_server(extra=QUICK_RETRY)
    names = ("session/0", "session/1", "lookup/0", "delivery/0", "control/0", "agent/0")
    killed = set()
    with Clients(server, book, n=3, seed=7):
        for _ in range(OTHER_KILLS):
            wait_for_more(book, rng.randint(0, 60))
            for name in rng.sample([n for n in names if n in server.pids()], rng.choice((1, 1, 2))):
                when = kill_child(server, book, name)
                killed.add(name)
            recoveries.append(time_to_serve(server, when))
        calm(book)
    assert killed == set(names)
    wait_for(lambda: counters(server), "control answers")
    drain(server)
    Reckoning(server, book).check()
    show(recoveries)
