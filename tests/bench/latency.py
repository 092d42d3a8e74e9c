# SPDX-License-Identifier: ISC
"""How long one message takes, from connect to its last 250, while so many sessions never pause.

Every session sends one message a connection, again and again; the samples of all
rounds of a server count together.  The client is one thread on the servers' own
processors, the same for all of them.
"""
import math
import subprocess

import peers
import server

WARM_UP_S = 1                  # a round before those that count


def percentile(samples, p):
    """The least that p of them do not exceed."""
    ordered = sorted(samples)
    return ordered[max(math.ceil(p * len(ordered)), 1) - 1]


class Samples:
    """The messages of one server at one number of sessions."""

    def __init__(self, peer, sessions, seconds):
        self.peer, self.sessions, self.seconds = peer, sessions, max(1, round(seconds))
        self.us, self.rounds = [], 0
        self._send(WARM_UP_S)

    def run(self):
        self.us += self._send(self.seconds)
        self.rounds += 1

    def _send(self, seconds):
        rows = server.samples(seconds, "-n", self.sessions, "-l", server.SIZE, self.peer.port)
        return [us for us, in rows]

    @property
    def rate(self):
        return len(self.us) / (self.rounds * self.seconds)

    def __str__(self):
        p50, p99 = (percentile(self.us, p) / 1000 for p in (0.50, 0.99))
        return f"{self.rate:8.0f} {p50:7.2f} {p99:7.2f} {max(self.us) / 1000:7.1f}"


HEAD = f"""
latency of one message, connect to 250, ms
{'':8} {'smtp-sink':>32}   {'Postern':>32}   {'Postfix':>32}
{'sessions':>8}""" + "  ".join(f" {'msg/s':>8} {'p50':>7} {'p99':>7} {'max':>7}" for _ in range(3))


def measure(sessions, sink, postfix, options):
    with server.running(server.Postern()) as ours:
        ours.ctl("pause", "delivery")
        columns = [Samples(p, sessions, options.seconds) if p else None for p in (sink, ours, postfix)]
        for _ in range(options.runs):
            for samples in filter(None, columns):
                samples.run()
    nothing = f"{'-':>8} {'-':>7} {'-':>7} {'-':>7}"
    print(f"{sessions:8} " + "   ".join(str(c or nothing) for c in columns), flush=True)


def run(sink, postfix, options):
    """The table; whether it is complete."""
    complete = True
    print(HEAD)
    for sessions in options.latency:
        try:
            measure(sessions, sink, postfix, options)
        except (AssertionError, OSError, peers.Unavailable, subprocess.TimeoutExpired) as e:
            print(f"{sessions:8} failed: {e}", flush=True)
            complete = False
    return complete
