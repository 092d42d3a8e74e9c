#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Rate and CPU per message: Postern beside smtp-sink (no queue) and Postfix, in one run.

Every cell is the median of several runs; the servers take turns, so that what
else this machine does meets all of them alike.  The client, smtp-source, shares
the processors with the server: rates are to be compared within one run only.
CPU is what the kernel charged to all of a server's processes, dead ones included.

Postern's delivery is paused and Postfix holds its mail: acceptance is measured,
up to the 250 behind a durable commit.  One more row has Postern deliver into a Maildir.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "lib"), os.path.join(TESTS, "bench")]
os.environ.setdefault("POSTERN_BUILD", "build")

import peers  # noqa: E402
import postern  # noqa: E402

SIZE = 4096                    # octets of a message
WARM_UP = 200                  # messages before the first run of a cell
RATE_TARGET = 0.5              # of smtp-sink's, at 50 sessions
CPU_TARGET_MS = 0.25           # a message, all processes, at 50 sessions
TICKS = os.sysconf("SC_CLK_TCK")
CLIENT_PATIENCE = 120


# -- what is measured ---------------------------------------------------------

class Postern(postern.Server):
    """The release build; its log goes to a file, as a journal would have it."""

    def __init__(self):
        super().__init__(extra="smtp max-sessions-per-client 1000\n")  # all clients are one address

    def start(self):
        self.log, self.ports = [], []
        with open(self.path("smtpd.log"), "wb") as log:
            self.process = subprocess.Popen(self.argv("-d"), stdin=subprocess.DEVNULL, stderr=log,
                                            stdout=subprocess.DEVNULL, start_new_session=True)
        self.reader = threading.Thread(target=lambda: None)
        self.reader.start()
        postern.wait_for(self._is_up, "start")
        return self

    def _is_up(self):
        with open(self.path("smtpd.log"), encoding="utf-8", errors="replace") as log:
            text = log.read()
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended:\n{text}")
        self.ports = [int(n) for n in re.findall(r"event=listening .*?port=(\d+)", text)]
        return "event=started" in text and self.ports and \
            len(self.pids()) >= 6 and all(self._entered(p) for p in self.pids().values())

    @property
    def pid(self):
        return self.process.pid

    def counters(self):
        """{"queue.commits": n, ...}"""
        rows = map(json.loads, self.ctl("show", "stats", "--json").stdout.splitlines())
        return {row["name"]: row["value"] for row in rows}


def tree(pid):
    """A process and all that came of it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError), \
                open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as f:
            found += map(int, f.read().split())
    return found


def cpu_s(pid):
    """Seconds of CPU of a process tree; a dead child's are in its parent's third and fourth field."""
    ticks = 0
    for p in tree(pid):
        with contextlib.suppress(OSError), open(f"/proc/{p}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def send(tools, port, sessions, many, count):
    argv = [tools.program("smtp-source"), "-s", str(sessions), "-m", str(count), "-l", str(SIZE),
            "-M", "client.test", "-f", "you@example.net", "-t", "demo@example.org"]
    done = subprocess.run(argv + ["-d"] * many + [f"127.0.0.1:{port}"], env=tools.environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=CLIENT_PATIENCE, check=False)
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

@contextlib.contextmanager
def running(server):
    try:
        yield server.start()
    finally:
        getattr(server, "cleanup", server.stop)()


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
        deadline = started + CLIENT_PATIENCE
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


def others_percent():
    """How much of the processors other work takes at this moment."""
    def read():
        with open("/proc/stat", encoding="ascii") as f:
            ticks = list(map(int, f.readline().split()[1:9]))
        return sum(ticks), ticks[3] + ticks[4]      # idle, iowait
    total, idle = read()
    time.sleep(0.5)
    total, idle = (after - before for after, before in zip(read(), (total, idle)))
    return 100 - 100 * idle / max(total, 1)


def show_machine(folder):
    """What the figures depend on: processors, file system, what one fdatasync takes."""
    times = []
    with tempfile.NamedTemporaryFile(dir=folder) as f:
        for _ in range(50):
            f.write(b"x" * SIZE)
            f.flush()
            started = time.monotonic()
            os.fdatasync(f.fileno())
            times.append(time.monotonic() - started)
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True,
                          check=False).stdout.strip()
    print(f"{os.cpu_count()} processors shared with the client; state in {folder} ({kind}), where one "
          f"fdatasync takes {statistics.median(times) * 1000:.2f} ms")
    print(f"messages of {SIZE} octets; Postern's log: a file beside its spool; Postfix's: syslog")
    if kind in ("tmpfs", "ramfs"):
        print("WARNING: that is memory, not a disk; choose another with --directory")
    if (busy := others_percent()) > 10:
        print(f"WARNING: other work takes {busy:.0f} % of the processors: rates are low and uneven")


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


# -- the run --------------------------------------------------------------------

def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--quick", action="store_true", help="one run at 50 sessions, without Postfix")
    p.add_argument("--sessions", type=lambda s: [int(n) for n in s.split(",")], default=[1, 10, 50, 200],
                   help="comma-separated; default 1,10,50,200")
    p.add_argument("--mode", choices=("one", "many", "both"), default="both",
                   help="messages a connection")
    p.add_argument("--runs", type=int, default=3, help="of each cell; the median counts")
    p.add_argument("--seconds", type=float, default=1.0, help="of a run, about")
    p.add_argument("--no-postfix", action="store_true")
    p.add_argument("--directory", default="/var/tmp", help="where the servers keep their state")
    options = p.parse_args()
    if options.quick:
        options.sessions, options.runs, options.no_postfix = [50], 1, True
    return options


def start_postfix(tools, folder, wanted):
    if not wanted:
        return None
    try:
        return peers.Postfix(tools, folder).start()
    except (OSError, peers.Unavailable) as e:
        print(f"Postfix is not measured: {e}")
        return None


def main():
    options = arguments()
    os.environ["TMPDIR"] = tempfile.tempdir = options.directory
    try:
        tools = peers.Tools()
    except peers.Unavailable as e:
        print(f"bench: no smtp-source and smtp-sink to measure with: {e}", file=sys.stderr)
        return 1
    show_machine(options.directory)
    modes = {"one": [False], "many": [True], "both": [False, True]}[options.mode]
    cells = [Cell(n, many) for many in modes for n in options.sessions]
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as folder, \
            running(peers.Sink(tools)) as sink:
        os.chmod(folder, 0o755)
        postfix = start_postfix(tools, folder, not options.no_postfix)
        try:
            print(HEAD)
            measured = [cell for cell in cells if try_cell(cell, tools, sink, postfix, options)]
        finally:
            if postfix is not None:
                postfix.stop()
    print()
    deliver(tools, options.seconds)
    show_syncs(tools)
    show_targets(measured)
    return 0 if measured == cells else 1


if __name__ == "__main__":
    sys.exit(main())
