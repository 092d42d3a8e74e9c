# SPDX-License-Identifier: ISC
"""TLS handshakes beside Postfix and Exim: connect, EHLO, STARTTLS, the handshake, EHLO, QUIT, again and again.

All servers show the same certificate.  The servers take turns, round by round: what else
this machine does meets all of them alike.  The client, one thread on the servers' own
processors, takes about as much of them as a server does, so rates say less than what the
kernel charged to all of a server's processes, dead ones included.
"""
import contextlib
import os
import statistics
import subprocess
import tempfile

import mta
import peers
import server
from latency import percentile

# What a row is like: the client's options, and which port of the server.
KINDS = {"full": ((), "port"), "resumed": (("-r",), "port"), "TLS 1.2": (("-2",), "port"),
         "implicit": (("-s",), "smtps")}
ROWS = (("full", 1), ("full", 10), ("resumed", 10), ("TLS 1.2", 10), ("implicit", 10))
QUICK_ROWS = (("full", 10),)
TARGET = 2                     # times the handshakes per second of CPU of the better of the others
TARGET_CLIENTS = 10            # with one, the server sleeps between its clients: most is what waking up costs
WARM_UP_S = 1


class Samples:
    """The sessions of one server in one row."""

    def __init__(self, peer, kind, clients, seconds):
        self.peer, self.kind, self.clients, self.seconds = peer, kind, clients, max(1, round(seconds))
        self.us, self.rates, self.cpus, self.resumed = [], [], [], []
        self._send(WARM_UP_S)

    def run(self):
        cpu = server.cpu_s(self.peer.pid)
        sessions = self._send(self.seconds)
        self.rates.append(len(sessions) / self.seconds)
        self.cpus.append((server.cpu_s(self.peer.pid) - cpu) * 1000 / len(sessions))
        self.us += [us for us, _, _ in sessions]
        self.resumed += [resumed for _, _, resumed in sessions]

    def _send(self, seconds):
        options, port = KINDS[self.kind]
        return server.samples(seconds, *options, "-n", self.clients, getattr(self.peer, port), name="bench-tls")

    def __str__(self):
        p50, p99 = (percentile(self.us, p) / 1000 for p in (0.50, 0.99))
        return f"{statistics.median(self.rates):7.0f} {statistics.median(self.cpus):7.3f} {p50:6.1f} {p99:6.1f}"


NOTHING = f"{'-':>7} {'-':>7} {'-':>6} {'-':>6}"
HEAD = f"""
TLS sessions (connect to 221, nothing else in them): rate, CPU of all processes of the server for each, latency ms
{'':17} {'Postern':>29}   {'Postfix':>29}   {'Exim':>29}
{'clients':>8} {'':>8}""" + "  ".join(f" {'/s':>7} {'CPU ms':>7} {'p50':>6} {'p99':>6}" for _ in range(3))


@contextlib.contextmanager
def others(tools, options):
    """[Postfix or None, Exim or None]."""
    with contextlib.ExitStack() as stack:
        started = []
        for name, make, wanted in (
                ("Postfix", lambda d: peers.Postfix(tools, d, certificate=server.certificate()),
                 not options.no_postfix),
                ("Exim", lambda d: mta.EximDaemon(d, server.certificate()), not options.no_exim)):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="postern-bench-"))
            os.chmod(folder, 0o755)
            try:
                started.append(stack.enter_context(server.running(make(folder))) if wanted else None)
            except (OSError, peers.Unavailable, mta.fetched.Unavailable) as e:
                print(f"{name} is not measured: {e}")
                started.append(None)
        yield started


def measure(kind, clients, theirs, options):
    """A row; the servers' samples."""
    with server.running(server.SecurePostern()) as ours:
        columns = [Samples(peer, kind, clients, options.seconds) if peer else None for peer in (ours, *theirs)]
        for _ in range(options.runs):
            for column in filter(None, columns):
                column.run()
    print(f"{clients:8} {kind:>8} " + "   ".join(str(c or NOTHING) for c in columns), flush=True)
    if kind == "resumed":
        print(f"{'':17} resumed: " + ", ".join(f"{c.peer.name} {statistics.mean(c.resumed):.0%}"
                                               for c in columns if c is not None))
    return columns


def advantage(columns):
    """How many more handshakes than the better of the others in the same CPU, round by round; None: no others."""
    ours, *theirs = [c.cpus for c in columns if c is not None]
    if not theirs:
        return None
    return statistics.median(min(their) / our for our, *their in zip(ours, *theirs))


def show_targets(rows):
    for (kind, clients), columns in rows.items():
        times = advantage(columns)
        if (kind, clients) == ("full", TARGET_CLIENTS) and times is not None:
            print(f"target, {clients} clients, full handshakes: at least {TARGET} times the handshakes per second "
                  f"of CPU of the better of the others: {times:.2f}: {'met' if times >= TARGET else 'NOT MET'}")


def run(tools, options):
    """The table; whether it is complete."""
    wanted, rows = QUICK_ROWS if options.quick else ROWS, {}
    with others(tools, options) as theirs:
        print(HEAD)
        for kind, clients in wanted:
            try:
                rows[kind, clients] = measure(kind, clients, theirs, options)
            except (AssertionError, OSError, peers.Unavailable, subprocess.TimeoutExpired) as e:
                print(f"{clients:8} {kind:>8} failed: {e}", flush=True)
    show_targets(rows)
    return len(rows) == len(wanted)
