# SPDX-License-Identifier: ISC
"""What a session costs that has said EHLO and nothing since, and how long a newcomer waits meanwhile.

Memory is the growth of the proportional set size of all the server's processes,
divided by the sessions; what the kernel keeps for a connection is not in it, and
is the same for every server.  A fresh server for each number of sessions.
"""
import os
import socket
import statistics
import subprocess
import tempfile
import time

import peers
import server

NEWCOMERS = 20
MEMORY_TARGET_KIB = 4          # a session, all processes
NEWCOMER_TARGET_MS = 50
WARM_UP = 10                   # sessions that come and go before: what is paid once is no session's
SETTLE_S = 10                  # so long at most may a server take to let go what idle sessions don't need
POSTFIX_MOST = 1000            # a process each, of a megabyte and more
POSTFIX_DEFAULT = 100          # its default_process_limit, of which this makes more
SPARE = 50                     # processes for newcomers


class Idlers:
    """So many idle sessions, in a client of their own."""

    def __init__(self, port, n, client="bench-client"):
        self.process = server.client("-i", "-n", n, port, name=client)
        try:
            self.held = self._count("held")
        except peers.Unavailable:
            self.leave()
            raise

    def _count(self, what):
        line = self.process.stdout.readline().split()
        if len(line) != 2 or line[0] != what:
            raise peers.Unavailable(self.process.stderr.read().strip() or "the client ended")
        return int(line[1])

    def leave(self):
        """Has each say NOOP and QUIT; how many were answered."""
        self.process.stdin.close()
        try:
            return self._count("alive")
        except peers.Unavailable:
            return 0
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process.stderr.close()


def settled_kib(pid):
    """The memory of a server when it changes no more."""
    deadline, last = time.monotonic() + SETTLE_S, server.pss_kib(pid)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = server.pss_kib(pid)
        if abs(now - last) <= now / 1000:
            return now
        last = now
    return last


def newcomer_ms(port):
    """From connect to the greeting, of one client after another."""
    times = []
    for _ in range(NEWCOMERS):
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), server.PATIENCE) as s:
            if not s.recv(512).startswith(b"220"):
                raise peers.Unavailable("a newcomer was turned away: fewer are allowed than these")
            times.append((time.monotonic() - started) * 1000)
            s.sendall(b"QUIT\r\n")
    return times


class Idle:
    """One server with n idle sessions."""

    def __init__(self, peer, n, warm_up):
        if warm_up:
            Idlers(peer.port, warm_up).leave()
        before = settled_kib(peer.pid)
        idlers = Idlers(peer.port, n)
        try:
            self.kib = (settled_kib(peer.pid) - before) / max(idlers.held, 1)
            times = newcomer_ms(peer.port)
        finally:
            self.alive = idlers.leave()
        self.p50, self.most = statistics.median(times), max(times)

    def __str__(self):
        return f"{self.alive:8} {self.kib:9.2f} {self.p50:7.2f} {self.most:7.2f}"


NOTHING = f"{'-':>8} {'-':>9} {'-':>7} {'-':>7}"
HEAD = f"""
idle sessions after EHLO: held, growth of memory for each, a newcomer's wait for 220 meanwhile (of {NEWCOMERS})
{'':8} {'Postern':>34}   {'Postfix':>34}
{'sessions':>8}""" + "  ".join(f" {'held':>8} {'KiB each':>9} {'p50 ms':>7} {'max ms':>7}" for _ in range(2))


def postfix_idle(tools, n):
    """Started anew: processes left over from other measurements would cost nothing here."""
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as folder:
        os.chmod(folder, 0o755)
        # Its start has greeted one client; more would leave processes that cost nothing again.
        with server.running(peers.Postfix(tools, folder, processes=n + SPARE)) as peer:
            return Idle(peer, n, 0)


def measure(n, tools, options):
    """A row; Postern's part of it."""
    with server.running(server.Postern()) as ours:
        row = Idle(ours, n, WARM_UP)
    theirs = NOTHING
    if n <= POSTFIX_MOST and not options.no_postfix:
        try:
            theirs = postfix_idle(tools, n)
        except (OSError, peers.Unavailable, subprocess.TimeoutExpired) as e:
            theirs = f"{'':8} {e}"
    print(f"{n:8} {row}   {theirs}", flush=True)
    return row


def show_targets(n, row):
    for what, value, met in (
            ("all of them held", f"{row.alive}", row.alive == n),
            (f"at most {MEMORY_TARGET_KIB} KiB each", f"{row.kib:.2f}", row.kib <= MEMORY_TARGET_KIB),
            (f"a newcomer greeted within {NEWCOMER_TARGET_MS} ms", f"{row.most:.2f}",
             row.most < NEWCOMER_TARGET_MS)):
        print(f"target, {n} idle sessions: {what}: {value}: {'met' if met else 'NOT MET'}")


def run(tools, options):
    """The table; whether it is complete."""
    rows = {}
    print(HEAD)
    for n in options.idle:
        try:
            rows[n] = measure(n, tools, options)
        except (AssertionError, OSError, peers.Unavailable, subprocess.TimeoutExpired) as e:
            print(f"{n:8} failed: {e}", flush=True)
    if not options.no_postfix:
        print(f"Postfix needs a process for each, so was allowed as many and {SPARE}; "
              f"by default it holds {POSTFIX_DEFAULT}, and more wait for their greeting")
    for n, row in rows.items():
        show_targets(n, row)
    return len(rows) == len(options.idle)
