# SPDX-License-Identifier: ISC
"""A list of ten thousand: nobody else waits for it, and the spool takes it in one step."""
import contextlib
import json
import os
import signal
import sqlite3
import threading
import time

import homes
import pytest
from postern import BUILD, wait_for

MEMBERS = 10000
MAILS = 60
MEMORY = 48 << 20       # octets that many mails to it may add to a process, each of some megabytes
GAP_S = 1.0     # of a client meanwhile, however busy the machine is: unhindered it is some milliseconds

MORE = """
table aliases {aliases}
action "home" maildir userbase <people> alias <aliases>
action "out" relay host "smtp://127.0.0.1:9"
match from any for domain "mx.test" action "home"
match from local for any action "out"
"""


def in_line(server, members):
    homes.write(server, "aliases", "all: " + ", ".join(members) + "\n")


def in_list(server, members):
    homes.write(server, "aliases", f"all: :include:{server.dir}/list\n")
    homes.write(server, "list", "\n".join(members) + "\n")


def in_database(server, members):
    homes.write(server, "mail.conf", f"dbpath {server.dir}/mail.db\n"
                                     "query_alias SELECT target FROM aliases WHERE address=?\n")
    with contextlib.closing(sqlite3.connect(server.path("mail.db"))) as db, db:
        db.execute("CREATE TABLE aliases(address TEXT, target TEXT)")
        db.executemany("INSERT INTO aliases VALUES('all', ?)", [(m,) for m in members])
    os.chmod(server.path("mail.db"), 0o644)


class Other:
    """A client that asks for something else meanwhile, again and again, and how long it waited at most."""

    def __init__(self, server):
        self.server, self.longest, self.over = server, 0.0, threading.Event()
        self.failed = []
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            with self.server.raw() as c:
                c.reply()
                c.cmd("EHLO client.test")
                while not self.over.is_set():
                    for line in ("NOOP", "MAIL FROM:<>", "RCPT TO:<ann@mx.test>", "RSET"):
                        began = time.monotonic()
                        code, text = c.cmd(line)
                        self.longest = max(self.longest, time.monotonic() - began)
                        if code != 250:
                            self.failed.append((line, code, text))
        except OSError as e:
            self.failed.append(e)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def stats(server):
    rows = (json.loads(line) for line in server.ctl("show", "stats", "--json").stdout.splitlines())
    return {row["name"]: row["value"] for row in rows}


@contextlib.contextmanager
def stopped(pid):
    """Nothing is delivered meanwhile, so that what the queue commits is not about that."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def commits_for(server, members):
    """How often the disk was waited for until a mail to the list was taken and expanded."""
    def is_expanded(now):
        return now["lookup.expand.done"] == 1 and now["queue.recipients"] == members and now

    before = stats(server)["queue.commits"]
    with stopped(server.pids()["delivery/0"]), Other(server) as other:
        server.send(to="all@mx.test", sender="ann@mx.test")
        after = wait_for(lambda: is_expanded(stats(server)), f"{members} recipients")
    assert not other.failed and other.longest < GAP_S
    return after["queue.commits"] - before


@pytest.mark.parametrize("store", [in_line, in_list, in_database])
@pytest.mark.parametrize("members", [1, MEMBERS])
def test_list(make_server, store, members):
    """One commit takes the mail, and one more all of its recipients; who stands for one other costs none."""
    table = "sqlite:{dir}/mail.conf" if store is in_database else "file:{dir}/aliases"
    server = homes.make(make_server, ("ann",), MORE.replace("{aliases}", table), start=False)
    store(server, [f"member{i}@far.test" for i in range(members)])
    server.start()
    assert commits_for(server, members) == 1 + (members > 1)


def test_one_more_is_too_many(make_server):
    """Better nobody gets it and the sender hears of it."""
    server = homes.make(make_server, ("ann",), MORE.replace("{aliases}", "file:{dir}/aliases"), start=False)
    in_list(server, [f"member{i}@far.test" for i in range(MEMBERS + 1)])
    server.start()
    server.send(to="all@mx.test", sender="ann@mx.test")
    homes.wait_counts(server, ann=1)
    assert b"too many recipients" in homes.mail(server, "ann")[0]
    assert stats(server)["delivery.deferred"] == 0


def memory(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS:"))


@pytest.mark.skipif("asan" in BUILD, reason="a sanitizer keeps what was freed")
def test_many_mails_at_once(make_server):
    """The lists of some are made at a time: memory does not grow with how many are waited for."""
    server = homes.make(make_server, ("ann",), MORE.replace("{aliases}", "file:{dir}/aliases"), start=False)
    in_list(server, [f"member{i}@far.test" for i in range(MEMBERS)])
    server.start()
    server.ctl("pause", "delivery")
    with server.smtp() as s:
        for _ in range(MAILS):
            s.sendmail("", "all@mx.test", "x")
    pids = [server.pids()[role] for role in ("lookup/0", "queue/0")]
    before = [memory(pid) for pid in pids]
    most = list(before)

    def is_over():
        most[:] = map(max, most, map(memory, pids))
        now = stats(server)
        return now["lookup.expand.done"] >= MAILS and now["lookup.expand.waiting"] == 0

    with Other(server) as other:
        server.ctl("resume", "delivery")
        wait_for(is_over, f"{MAILS} lists", timeout=120)
    assert not other.failed and other.longest < GAP_S
    assert all(m - b < MEMORY for m, b in zip(most, before)), (before, most)


def test_reloaded_meanwhile(make_server):
    """What is not answered yet begins anew: each member is there once in the end, whatever comes between."""
    members, mails = 2000, 10
    server = homes.make(make_server, ("ann",), MORE.replace("{aliases}", "file:{dir}/aliases"), start=False)
    in_line(server, [f"member{i}@far.test" for i in range(members)])
    server.start()
    server.ctl("pause", "delivery")
    with server.smtp() as s:
        for _ in range(mails):
            s.sendmail("", "all@mx.test", "x")
    server.ctl("resume", "delivery")
    for _ in range(5):
        mark = len(server.log)
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("event=reloaded", after=mark)
        server.ctl("update", "table", "aliases")
    os.kill(server.pids()["lookup/0"], signal.SIGKILL)
    wait_for(lambda: stats(server)["queue.recipients"] >= members * mails, f"{members * mails} recipients")
    server.wait_log("event=restarted process=lookup/0")
    wait_for(lambda: stats(server).get("lookup.expand.waiting") == 0, "the end of it")
    assert stats(server)["queue.recipients"] == members * mails
