# SPDX-License-Identifier: ISC
"""kill -9 at random moments under load: what was answered 250 arrives, whole; nothing else does."""
import os
import random
import signal
import time

import pytest

from load import Book, Clients, QUICK_RETRY, Reckoning, drain, time_to_serve
from postern import wait_for

LIVES = 18              # of a server, in each of the runs
QUEUE_KILLS = 2         # in each life, before the whole server is killed
SERVING_S = 2


def kill_child(server, book, name):
    """The process that had this name is dead after; when that was, by the monotonic clock."""
    pid = wait_for(lambda: server.pids().get(name), name)
    book.kill()
    when = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    server.wait_log(rf"event=process-ended process={name.split('/')[0]}/\S+ pid={pid} signal=9 name=KILL")
    return when


def kill_server(server, book, rng):
    """All of it, or the parent alone: its children must see it and make room for the next server at once."""
    book.kill()
    if rng.random() < 0.5:
        server.kill()
        return
    server.process.kill()
    server.process.wait()
    server.reader.join()
    server.process = None


def wait_for_more(book, n):
    """The load goes on: n more messages were taken."""
    before = len(book.promised)
    wait_for(lambda: len(book.promised) >= before + n, "messages taken")


@pytest.mark.parametrize("seed", range(4))
def test_queue_and_server(make_server, seed):
    rng, book = random.Random(seed), Book()
    server = make_server(extra=QUICK_RETRY)
    recoveries = []
    with Clients(server, book, seed=seed):
        for life in range(LIVES):
            for _ in range(QUEUE_KILLS):
                wait_for_more(book, rng.randint(0, 20))
                recoveries.append(time_to_serve(server, kill_child(server, book, "queue/0")))
            wait_for_more(book, rng.randint(0, 20))
            kill_server(server, book, rng)
            server.start()
    drain(server)
    print("slowest recoveries:", [f"{t:.2f}" for t in sorted(recoveries)[-5:]])
    found = Reckoning(server, book).check()
    assert len(book.kills) == LIVES * (QUEUE_KILLS + 1) and found.delivered > LIVES
    assert max(recoveries) < SERVING_S
