# SPDX-License-Identifier: ISC
"""The Postern that is measured, what the kernel says a server costs, and the client written for it."""
import contextlib
import json
import os
import re
import subprocess
import sys
import threading

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "lib")]
os.environ.setdefault("POSTERN_BUILD", "build")

import peers  # noqa: E402
import postern  # noqa: E402

CLIENT = os.path.join(postern.TOP, os.environ["POSTERN_BUILD"], "tools", "bench-client")
SIZE = 4096                    # octets of a message
PATIENCE = 120                 # seconds that a client may take
TICKS = os.sysconf("SC_CLK_TCK")
# What protects a server from its clients is not what is measured.  The session processes share
# what is allowed evenly, the kernel their clients not quite: there is room for that.
LIMITS = """
smtp max-sessions 40000
smtp max-sessions-per-client 40000
smtp max-connection-rate 0
smtp max-message-rate 0
smtp max-recipient-rate 0
smtp max-refused-rate 0
"""


class Postern(postern.Server):
    """The release build; its log goes to a file, as a journal would have it."""

    def __init__(self):
        super().__init__(extra=LIMITS)

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


@contextlib.contextmanager
def running(server):
    try:
        yield server.start()
    finally:
        getattr(server, "cleanup", server.stop)()


# -- what a server costs ----------------------------------------------------------

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


def pss_kib(pid):
    """Memory of a process tree: a page that several share is counted once, in parts."""
    total = 0
    for p in tree(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup", encoding="ascii") as f:
                total += int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1))
        except PermissionError:
            raise peers.Unavailable("the memory of other accounts' processes is shown to root only") from None
        except (FileNotFoundError, ProcessLookupError):
            continue           # it has ended meanwhile
    return total


# -- the client -------------------------------------------------------------------

def client(*argv):
    """Starts bench-client."""
    if not os.path.exists(CLIENT):
        raise peers.Unavailable(f"{CLIENT} is not built: make bench does")
    return subprocess.Popen([CLIENT, *map(str, argv)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
