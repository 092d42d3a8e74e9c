#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Postern beside smtp-sink (no queue), Postfix and Exim, in one run: rate, latency, memory of idle sessions, TLS, RCPT, relay.

Postern's delivery is paused and Postfix holds its mail: acceptance is measured,
up to the 250 behind a durable commit; by relay the whole way.  The modules rate, latency,
idle, handshake, idle_tls, rcpt and relay say how.
"""
import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import server  # noqa: E402  (first: it finds the tests' own modules)
import handshake  # noqa: E402
import idle  # noqa: E402
import idle_tls  # noqa: E402
import latency  # noqa: E402
import peers  # noqa: E402
import rate  # noqa: E402
import rcpt  # noqa: E402
import relay  # noqa: E402

WITH_MAIL = ("rate", "latency")
PARTS = (*WITH_MAIL, "idle", "tls", "tls-idle", "rcpt", "relay")


# -- the machine ------------------------------------------------------------------

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
            f.write(b"x" * server.SIZE)
            f.flush()
            started = time.monotonic()
            os.fdatasync(f.fileno())
            times.append(time.monotonic() - started)
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True,
                          check=False).stdout.strip()
    print(f"{os.cpu_count()} processors shared with the client; state in {folder} ({kind}), where one "
          f"fdatasync takes {statistics.median(times) * 1000:.2f} ms")
    print(f"messages of {server.SIZE} octets; Postern's log: a file beside its spool; Postfix's: syslog")
    if kind in ("tmpfs", "ramfs"):
        print("WARNING: that is memory, not a disk; choose another with --directory")
    if (busy := others_percent()) > 10:
        print(f"WARNING: other work takes {busy:.0f} % of the processors: rates are low and uneven")


# -- the run --------------------------------------------------------------------

def numbers(text):
    return [int(n) for n in text.split(",")]


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--quick", action="store_true",
                   help="one run of each: 50 sessions, 10 TLS clients, 1000 idle ones, without Postfix and Exim")
    p.add_argument("--only", choices=PARTS, help="one of the parts")
    p.add_argument("--sessions", type=numbers, default=[1, 10, 50, 200],
                   help="of the rates: comma-separated; default 1,10,50,200")
    p.add_argument("--mode", choices=("one", "many", "both"), default="both",
                   help="of the rates: messages a connection")
    p.add_argument("--latency", type=numbers, default=[1, 10, 50], metavar="SESSIONS",
                   help="of the latencies; default 1,10,50")
    p.add_argument("--idle", type=numbers, default=[1000, 10000], metavar="SESSIONS",
                   help="that are idle; default 1000,10000")
    p.add_argument("--tls-idle", type=numbers, default=[100, 1000, 5000], metavar="SESSIONS",
                   help="that are idle under TLS; default 100,1000,5000")
    p.add_argument("--rcpt", type=numbers, default=[1, 50], metavar="SESSIONS",
                   help="that ask for recipients; default 1,50")
    p.add_argument("--users", type=int, default=100_000, help="whose mailboxes the tables know; default 100000")
    p.add_argument("--runs", type=int, default=3,
                   help="of each rate, handshake and relay, whose median counts, and latency, which counts as a whole")
    p.add_argument("--seconds", type=float, default=1.0, help="of a run, about")
    p.add_argument("--no-postfix", action="store_true")
    p.add_argument("--no-exim", action="store_true")
    p.add_argument("--directory", default="/var/tmp", help="where the servers keep their state")
    options = p.parse_args()
    if options.quick:
        options.sessions, options.latency, options.idle, options.tls_idle = [50], [50], [1000], [1000]
        options.rcpt = [50]
        options.runs, options.no_postfix, options.no_exim = 1, True, True
    return options


def start_postfix(tools, folder, wanted):
    if not wanted:
        return None
    try:
        return peers.Postfix(tools, folder).start()
    except (OSError, peers.Unavailable) as e:
        print(f"Postfix is not measured: {e}")
        return None


@contextlib.contextmanager
def rivals(tools, options):
    """smtp-sink, and Postfix or None."""
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as folder, \
            server.running(peers.Sink(tools)) as sink:
        os.chmod(folder, 0o755)
        postfix = start_postfix(tools, folder, not options.no_postfix)
        try:
            yield sink, postfix
        finally:
            if postfix is not None:
                postfix.stop()


def measure(tools, options):
    """The parts that are wanted; whether all are complete."""
    parts, complete = [options.only] if options.only else PARTS, []
    if set(parts) & set(WITH_MAIL):
        with rivals(tools, options) as (sink, postfix):
            if "rate" in parts:
                complete.append(rate.run(tools, sink, postfix, options))
            if "latency" in parts:
                complete.append(latency.run(sink, postfix, options))
    if "idle" in parts:
        complete.append(idle.run(tools, options))
    if "tls" in parts:
        complete.append(handshake.run(tools, options))
    if "tls-idle" in parts:
        complete.append(idle_tls.run(tools, options))
    if "rcpt" in parts:
        complete.append(rcpt.run(options))
    if "relay" in parts:
        complete.append(relay.run(tools, options))
    return all(complete)


def main():
    options = arguments()
    os.environ["TMPDIR"] = tempfile.tempdir = options.directory
    try:
        tools = peers.Tools()
    except peers.Unavailable as e:
        print(f"bench: no smtp-source and smtp-sink to measure with: {e}", file=sys.stderr)
        return 1
    show_machine(options.directory)
    return 0 if measure(tools, options) else 1


if __name__ == "__main__":
    sys.exit(main())
