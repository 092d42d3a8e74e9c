# SPDX-License-Identifier: ISC
"""An fsync that fails: 451, no second try on the same descriptor, and later mail is taken again.

strace puts the error in place of the system call, from outside; the filter of the process stays in force, so the call
that is made instead must be one that it allows.
"""
import re
import shutil
import subprocess

import pytest

from load import Book, Clients, QUICK_RETRY, Reckoning, Refused, accepts, counters, drain
from postern import wait_for

# Which syncs fail: the n-th of files; the first two, so that the store can't be opened again at once; the directory's too.
WHICH = [("fdatasync", str(n)) for n in range(1, 9)] + [("fdatasync", "1..2"), ("fdatasync,fsync", "1")]


class Strace:
    """Attached to the queue process while in the context; .lines() is what it saw."""

    def __init__(self, server, calls, when, out):
        self.pid, self.out = server.pids()["queue/0"], out
        self.inject = f"inject={calls}:error=EIO:syscall=getpid:when={when}"

    def __enter__(self):
        if not shutil.which("strace"):
            pytest.skip("no strace here")
        self.process = subprocess.Popen(
            ["strace", "-p", str(self.pid), "-o", self.out, "-e", "trace=fdatasync,fsync,openat,close",
             "-e", self.inject],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = self.process.stderr.readline()
        if "attached" not in said:
            self.process.wait()
            pytest.skip(f"ptrace is not allowed here: {said.strip()}")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()

    def lines(self):
        with open(self.out, encoding="utf-8") as f:
            return f.read().splitlines()

    def injected(self):
        return [line for line in self.lines() if "INJECTED" in line]


def assert_never_again(lines):
    """After a failed sync a descriptor is closed before anything else is synced through it."""
    failed = set()
    for line in lines:
        m = re.match(r"(fdatasync|fsync|close)\((\d+)\)", line)
        if m is None:
            continue
        call, fd = m.groups()
        if call == "close":
            failed.discard(fd)
        else:
            assert fd not in failed, (line, lines)
            if "INJECTED" in line:
                failed.add(fd)


def test_some_sync_fails(make_server, tmp_path):
    """Under load, one after the other."""
    book = Book()
    server = make_server(extra=QUICK_RETRY)
    pid = server.pids()["queue/0"]
    with Clients(server, book, n=3, sizes=(200, 4000, 70_000)):
        wait_for(lambda: book.promised, "mail is taken")
        for calls, when in WHICH:
            with Strace(server, calls, when, str(tmp_path / f"{calls}:{when}")) as trace:
                wait_for(trace.injected, f"{calls} number {when}")
                book.kill()     # a verdict may be forgotten: a second copy is allowed
                before = len(book.promised)
                wait_for(lambda: len(book.promised) > before, "mail is taken again")
            assert_never_again(trace.lines())
    drain(server)
    Reckoning(server, book).check()
    assert server.pids()["queue/0"] == pid, [line for line in server.log if "queue" in line and "warn" in line]
    assert counters(server)["queue.store-reopened"] >= len(WHICH)
    assert book.replies[451] > 0


def test_every_sync_fails(server, tmp_path):
    """Nothing is answered 250 while the disk is broken; nothing is needed when it is whole again."""
    accepts(server)
    drain(server)
    with Strace(server, "fdatasync,fsync", "1+", str(tmp_path / "trace")) as trace:
        for _ in range(5):
            with pytest.raises(Refused) as refused:
                accepts(server)
            assert refused.value.args[0][0] == 451, refused.value
        assert trace.injected()
        assert_never_again(trace.lines())

    def taken():
        try:
            return accepts(server)
        except Refused:
            return False
    wait_for(taken, "mail is taken again")
    drain(server)
    assert len(server.wait_mail(2, user="other")) == 2
