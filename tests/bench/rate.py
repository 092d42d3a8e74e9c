# SPDX-License-Identifier: ISC
"""Rate and CPU per message, smtp-source being the client.

Every cell is the median of several runs; the servers take turns, so that what
else this machine does meets all of them alike.  The client shares the processors
with the server: rates are to be compared within one run only.  CPU is what the
kernel charged to all of a server's processes, dead ones included.
"""
import os
import re
import shutil
import statistics
import subprocess
import time

import peers
from server import PATIENCE, SIZE, Postern, cpu_s, running

import postern

WARM_UP = 200                  # messages before the first run of a cell
RATE_TARGET = 0.5              # of smtp-sink's, at 50 sessions
CPU_TARGET_MS = 0.25           # a message, all processes, at 50 sessions


def send(tools, port, sessions, many, count, recipients=1):
    argv = [tools.program("smtp-source"), "-s", str(sessions), "-m", str(count), "-l", str(SIZE),
            "-M", "client.test", "-f", "you@example.net", "-t", "demo@example.org", "-r", str(recipients)]
    done = subprocess.run(argv + ["-d"] * many + [f"127.0.0.1:{port}"], env=tools.environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    if done.returncode != 0 or done.stderr:
        raise peers.Unavailable(f"smtp-source: {done.stderr.strip() or done.returncode}")


class Samples:
    """The runs of one server in one cell."""

    def __init__(self, server, tools, cell, seconds):
        self.server, self.tools, self.cell = server, tools, cell
        self.rates, self.cpus = [], []
        started, n = time.monotonic(), max(WARM_UP, 2 * cell.sessions)
        send(tools, server.port, cell.sessions, cell.many, n)
        rate = n / (time.monotonic() - started)
        self.count = max(n, int(rate * seconds))

    def run(self):
        cpu, started = cpu_s(self.server.pid), time.monotonic()
        send(self.tools, self.server.port, self.cell.sessions, self.cell.many, self.count)
        self.rates.append(self.count / (time.monotonic() - started))
        self.cpus.append((cpu_s(self.server.pid) - cpu) * 1000 / self.count)

    @property
    def rate(self):
        return statistics.median(self.rates)

    @property
    def cpu_ms(self):
        return statistics.median(self.cpus)


class Cell:
    def __init__(self, sessions, many):
        self.sessions, self.many = sessions, many
        self.sink = self.postern = self.postfix = None
        self.group = 0.0

    def ratio(self, samples):
        """Of smtp-sink's rate, round by round: what else the machine did then met both."""
        return statistics.median(a / b for a, b in zip(samples.rates, self.sink.rates))


# -- a cell -------------------------------------------------------------------

def measure(cell, tools, sink, postfix, options):
    """A fresh Postern for each cell: an empty spool, as the others have no past either."""
    with running(Postern()) as server:
        server.ctl("pause", "delivery")
        cell.sink = Samples(sink, tools, cell, options.seconds)
        cell.postern = Samples(server, tools, cell, options.seconds)
        cell.postfix = Samples(postfix, tools, cell, options.seconds) if postfix else None
        before = server.counters()
        for _ in range(options.runs):
            for samples in filter(None, (cell.sink, cell.postern, cell.postfix)):
                samples.run()
        after = server.counters()
    commits = after["queue.commits"] - before["queue.commits"]
    cell.group = (after["queue.received"] - before["queue.received"]) / max(commits, 1)


def column(cell, samples):
    if samples is None:
        return f"{'-':>8} {'-':>6} {'-':>8}"
    return f"{samples.rate:8.0f} {cell.ratio(samples):6.2f} {samples.cpu_ms:8.3f}"


def show(cell):
    print(f"{cell.sessions:8} {'many' if cell.many else 'one':>5} {cell.sink.rate:9.0f} "
          f"{cell.sink.cpu_ms:7.3f} {column(cell, cell.postern)} {cell.group:7.1f} "
          f"{column(cell, cell.postfix)}", flush=True)


def try_cell(cell, tools, sink, postfix, options):
    try:
        measure(cell, tools, sink, postfix, options)
    except (AssertionError, peers.Unavailable, subprocess.TimeoutExpired) as e:
        print(f"{cell.sessions:8} {'many' if cell.many else 'one':>5} failed: {e}", flush=True)
        return False
    show(cell)
    return True


HEAD = f"""
{'':8} {'':>5} {'smtp-sink':>17} {'Postern':>24} {'':>7} {'Postfix':>24}
{'sessions':>8} {'mail/':>5} {'msg/s':>9} {'CPU ms':>7} {'msg/s':>8} {'ratio':>6} {'CPU ms':>8} \
{'/commit':>7} {'msg/s':>8} {'ratio':>6} {'CPU ms':>8}"""


# -- beside the table -----------------------------------------------------------

def deliver(tools, seconds):
    """The whole way: accepted, expanded, delivered to a Maildir, gone from the spool."""
    with running(Postern()) as server:
        cell = Cell(50, False)
        send(tools, server.port, cell.sessions, cell.many, WARM_UP)
        postern.wait_for(lambda: server.counters()["queue.messages"] == 0, "warm-up delivered", 60)
        count = int(1000 * seconds)
        cpu, started = cpu_s(server.pid), time.monotonic()
        send(tools, server.port, cell.sessions, cell.many, count)
        accepted = time.monotonic() - started
        deadline = started + PATIENCE
        while server.counters()["queue.messages"] > 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        gone = time.monotonic() - started
        left = server.counters()["queue.messages"]
        arrived = len(server.maildir()) - WARM_UP
        print(f"with delivery into a Maildir, 50 sessions: accepted {count / accepted:.0f}/s, "
              f"delivered {arrived / gone:.0f}/s, {(cpu_s(server.pid) - cpu) * 1000 / count:.3f} ms CPU "
              f"a message" + (f", {left} still queued" if left else ""))


def count_syncs(tools):
    """What the queue process asks of the disk, by strace: (fsync and fdatasync calls, commits)."""
    with running(Postern()) as server:
        server.ctl("pause", "delivery")
        send(tools, server.port, 50, True, WARM_UP)
        summary = server.path("strace")
        tracer = subprocess.Popen(["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", summary, "-p",
                                   str(server.pids()["queue/0"])], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            if b"attached" not in tracer.stderr.readline():
                raise peers.Unavailable("strace may not attach to a process here")
            before = server.counters()["queue.commits"]
            send(tools, server.port, 50, True, 1000)
            commits = server.counters()["queue.commits"] - before
        finally:
            tracer.terminate()
            tracer.communicate()
        with open(summary, encoding="ascii") as f:
            calls = sum(int(line.split()[3]) for line in f if re.search(r"\b(fsync|fdatasync)$", line))
    return calls, commits


def show_syncs(tools):
    if shutil.which("strace") is None:
        print("fsync calls: not counted, strace is not installed")
        return
    try:
        calls, commits = count_syncs(tools)
    except (OSError, peers.Unavailable) as e:
        print(f"fsync calls: not counted, {e}")
        return
    print(f"fsync calls of the queue (strace, 1000 messages at 50 sessions): {calls} for {commits} commits")


def show_targets(cells):
    for cell in cells:
        if cell.sessions != 50:
            continue
        how = "many messages a connection" if cell.many else "one message a connection"
        ratio, cpu_ms = cell.ratio(cell.postern), cell.postern.cpu_ms
        for what, value, met in (
                (f"at least {RATE_TARGET} of smtp-sink's rate", f"{ratio:.2f}", ratio >= RATE_TARGET),
                (f"at most {CPU_TARGET_MS} ms CPU a message", f"{cpu_ms:.3f}", cpu_ms <= CPU_TARGET_MS)):
            print(f"target, 50 sessions, {how}: {what}: {value}: {'met' if met else 'NOT MET'}")


def run(tools, sink, postfix, options):
    """The table and what goes beside it; whether it is complete."""
    modes = {"one": [False], "many": [True], "both": [False, True]}[options.mode]
    cells = [Cell(n, many) for many in modes for n in options.sessions]
    print(HEAD)
    measured = [cell for cell in cells if try_cell(cell, tools, sink, postfix, options)]
    print()
    deliver(tools, options.seconds)
    show_syncs(tools)
    show_targets(measured)
    return measured == cells
