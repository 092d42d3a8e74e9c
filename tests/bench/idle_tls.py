# SPDX-License-Identifier: ISC
"""What a session costs that has said EHLO under TLS and nothing since.

Measured as idle.py does.  Then all of them leave and as many come: what is given back in
pieces shows only then.
"""
import contextlib
import os
import subprocess
import tempfile

import mta
import peers
import server
from idle import WARM_UP, Idlers, settled_kib

TARGET_KIB = 32                # a session, all processes, the second time too
TARGET_SESSIONS = 1000         # fewer tell what 64 handshakes at once leave in a heap, rather than what a session keeps
OTHERS_MOST = 100              # a process each, of a megabyte and more
SPARE = 50


class IdleTls:
    """One server with n idle sessions, twice."""

    def __init__(self, peer, n, warm_up):
        if warm_up:
            Idlers(peer.port, warm_up, "bench-tls").leave()
        before = settled_kib(peer.pid)
        self.first, self.held = self._hold(peer, n, before)
        self.again, held = self._hold(peer, n, before)
        self.held = min(self.held, held)

    @staticmethod
    def _hold(peer, n, before):
        """KiB that each takes, and how many there were to the end."""
        idlers = Idlers(peer.port, n, "bench-tls")
        try:
            kib = (settled_kib(peer.pid) - before) / max(idlers.held, 1)
        finally:
            alive = idlers.leave()
        return kib, alive

    def __str__(self):
        return f"{self.held:6} {self.first:9.2f} {self.again:9.2f}"


NOTHING = f"{'-':>6} {'-':>9} {'-':>9}"
HEAD = f"""
idle sessions after EHLO under TLS: held, growth of memory for each in KiB, the same when all have left and come again
{'':8} {'Postern':>26}   {'Postfix':>26}   {'Exim':>26}
{'sessions':>8}""" + "  ".join(f" {'held':>6} {'each':>9} {'again':>9}" for _ in range(3))


@contextlib.contextmanager
def postfix(tools, n):
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as folder:
        os.chmod(folder, 0o755)
        yield peers.Postfix(tools, folder, n + SPARE, server.certificate())


@contextlib.contextmanager
def exim(_, __):
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as folder:
        os.chmod(folder, 0o755)
        yield mta.EximDaemon(folder, server.certificate())


def other(make, tools, n, wanted):
    """Started anew: processes left over from other measurements would cost nothing here."""
    if not wanted or n > OTHERS_MOST:
        return NOTHING
    try:
        with make(tools, n) as peer, server.running(peer):
            return str(IdleTls(peer, n, 0))
    except (OSError, peers.Unavailable, mta.fetched.Unavailable, subprocess.TimeoutExpired) as e:
        return f"{'':6} {e}"


def measure(n, tools, options):
    """A row; Postern's part of it."""
    with server.running(server.SecurePostern()) as ours:
        row = IdleTls(ours, n, WARM_UP)
    print(f"{n:8} {row}   {other(postfix, tools, n, not options.no_postfix)}   "
          f"{other(exim, tools, n, not options.no_exim)}", flush=True)
    return row


def show_targets(n, row):
    for what, value, met in (
            ("all of them held", f"{row.held}", row.held == n),
            (f"at most {TARGET_KIB} KiB each", f"{row.first:.2f}", row.first <= TARGET_KIB),
            (f"at most {TARGET_KIB} KiB each the second time", f"{row.again:.2f}", row.again <= TARGET_KIB)):
        print(f"target, {n} idle TLS sessions: {what}: {value}: {'met' if met else 'NOT MET'}")


def run(tools, options):
    """The table; whether it is complete."""
    rows = {}
    print(HEAD)
    for n in options.tls_idle:
        try:
            rows[n] = measure(n, tools, options)
        except (AssertionError, OSError, peers.Unavailable, subprocess.TimeoutExpired) as e:
            print(f"{n:8} failed: {e}", flush=True)
    for n, row in rows.items():
        if n >= TARGET_SESSIONS:
            show_targets(n, row)
    return len(rows) == len(options.tls_idle)
