# SPDX-License-Identifier: ISC
"""What idle clients cost: memory, the patience of newcomers, descriptors; and what happens when there are too many."""
import os
import re
import resource
import socket
import statistics
import threading
import time

import pytest

from postern import Raw, wait_for
from session import Session
from talk import Client, hello, stat, wait_stat

SESSIONS = 15000
BYTES_EACH = 4096
CONF = """
smtp max-sessions 20000
smtp max-sessions-per-client 20000
smtp max-connection-rate 0
smtp error-delay 0
"""


def may_open(n):
    """Raises this process's limit; a test that can't have it is skipped by name."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < n:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (n, max(n, hard)))
        except (ValueError, OSError):
            pytest.skip(f"needs {n} descriptors: RLIMIT_NOFILE is {hard}")


@pytest.fixture
def limit():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield may_open
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def pss(server):
    """Octets of all processes of the server, what they share counted once."""
    total = 0
    for pid in (server.process.pid, *server.pids().values()):
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) * 1024
    return total


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def connected(port, source):
    """Its own port stays free for servers: another test may be waiting for it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(60)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", port))
    return sock


class Crowd:
    """So many clients that said EHLO and are silent since; they come from several addresses, a hundred at a time."""

    def __init__(self, server, n, say=b"EHLO client.test\r\n"):
        self.socks = []
        for at in range(0, n, 100):
            batch = [connected(server.port, f"127.0.1.{(at // 1000) % 250 + 1}") for _ in range(min(100, n - at))]
            for octets in (b"", say):
                for sock in batch:
                    if octets:
                        sock.sendall(octets)
                for sock in batch:
                    self._answer(sock)
            self.socks += batch

    @staticmethod
    def _answer(sock):
        octets = b""
        while not re.search(rb"^2\d\d [^\n]*\n\Z", octets, re.M):
            assert (more := sock.recv(4096)), octets
            octets += more

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.socks:
            sock.close()


def greeting_s(server):
    start = time.monotonic()
    with Client(server.port):
        return time.monotonic() - start


def patience(server, n=20):
    return statistics.median(greeting_s(server) for _ in range(n))


@pytest.mark.root
def test_what_idle_sessions_cost(make_server, limit):
    """At most 4 KiB of memory each, all processes together; a newcomer is greeted as before."""
    limit(SESSIONS + 500)
    s = make_server(extra=CONF)
    hello(s).close()
    wait_stat(s, "session.open", 0)
    empty, quick = pss(s), patience(s)
    with Crowd(s, SESSIONS) as crowd:
        assert stat(s, "session.open") == SESSIONS
        full, slow = pss(s), patience(s)
        each = (full - empty) / SESSIONS
        print(f"{each:.0f} octets a session; greeted in {quick * 1000:.1f} ms, with {SESSIONS} others in {slow * 1000:.1f} ms")
        assert each <= BYTES_EACH
        assert slow < 0.05 or slow < 3 * quick
        for sock in crowd.socks[::500]:     # they are served
            sock.sendall(b"NOOP\r\n")
            assert sock.recv(100).startswith(b"250")
    wait_stat(s, "session.open", 0)
    assert pss(s) - empty < SESSIONS * BYTES_EACH
    s.send()
    s.wait_mail()


@pytest.mark.root
def test_idle_sessions_cost_no_time(make_server, limit):
    limit(2500)
    s = make_server(extra=CONF)
    with Crowd(s, 2000):
        sessions = [pid for name, pid in s.pids().items() if name.startswith("session/")]
        before = sum(map(cpu_s, sessions))
        time.sleep(2)
        assert sum(map(cpu_s, sessions)) - before < 0.4


# -- too many ---------------------------------------------------------------------

def test_all_of_them_are_counted(make_server, limit):
    """smtp max-sessions, by so many at once that both processes are asked at the same time: exact, and graceful."""
    limit(2000)
    s = make_server(extra=CONF.replace("20000", "300", 1) + "smtp processes 2\n")
    socks = [connected(s.port, f"127.0.1.{n % 200 + 1}") for n in range(500)]
    answers = [sock.recv(200) for sock in socks]
    assert sum(a.startswith(b"220 ") for a in answers) == 300
    assert sum(a.startswith(b"421 4.3.2 ") for a in answers) == 200
    assert all(sock.recv(1) == b"" for sock, a in zip(socks, answers) if a.startswith(b"421"))
    for sock in socks:
        sock.close()

    def free():
        with Client(s.port, greeted=False) as c:
            return c.reply()[0] == 220
    wait_for(free, "a free place")


def test_descriptors_that_were_never_enough(make_server, limit):
    """Some are kept for what is not a client: over it, 421, and all the rest goes on."""
    limit(1000)
    s = make_server(extra=CONF + "smtp processes 1\n", prefix=["prlimit", "--nofile=256:256"])
    held, told = [], []
    for _ in range(300):
        c = Client(s.port, greeted=False)
        code = c.reply()[0]
        (held if code == 220 else told).append(c)
        assert code in (220, 421)
    assert 100 < len(held) < 256 and told
    assert s.ctl("show", "status").returncode == 0
    held[0].say("EHLO client.test", "MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>", "DATA")
    held[0].send("Subject: x\r\n\r\n.\r\n")
    assert held[0].reply()[0] == 250
    s.wait_mail()
    for c in held + told:
        c.close()
    wait_stat(s, "session.open", 0)
    with Client(s.port) as c:
        c.say("NOOP")


def test_descriptors_that_run_out():
    """accept() fails: no busy loop, nobody who is there suffers, and it goes on when there are some again."""
    session = Session()
    pid = session.child.pid
    held = [session.greeted() for _ in range(5)]
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    n = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (n, before[1]))
    waiting = [Raw(session.address) for _ in range(20)]
    session.wait_log("event=accept-failed")
    spent, start = cpu_s(pid), time.monotonic()
    while time.monotonic() - start < 2:
        session.pump(timeout=0.1)
    assert cpu_s(pid) - spent < 0.2 * (time.monotonic() - start)
    assert sum("event=accept-failed" in line for line in session.log) <= 4
    for c in held:
        assert c.cmd("NOOP")[0] == 250
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    for _ in waiting:
        session.admit(session.expect(session.lookup, "client_enter").req)
    assert all(c.reply()[0] == 220 for c in waiting)
    session.close()


def test_a_crowd_that_comes_and_goes(make_server):
    """Resets at every moment of the door leave nothing behind, in no process."""
    s = make_server(extra=CONF + "smtp processes 2\n")
    stop = threading.Event()

    def storm(n):
        while not stop.is_set():
            c = connected(s.port, f"127.0.2.{n}")
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            if n % 2:
                c.recv(10)
            c.close()
    threads = [threading.Thread(target=storm, args=(n,)) for n in range(1, 5)]
    for t in threads:
        t.start()
    time.sleep(1)
    stop.set()
    for t in threads:
        t.join()
    wait_stat(s, "session.open", 0)
    wait_stat(s, "lookup.clients.open", 0)
    assert stat(s, "session.connections") > 100
    assert not [line for line in s.log if "peer-cut-off" in line or "exited" in line]
