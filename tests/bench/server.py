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
import tls  # noqa: E402

TOOLS = os.path.join(postern.TOP, os.environ["POSTERN_BUILD"], "tools")
CERTIFICATE = "ecdsa"          # of tests/lib/tls.py: ECDSA over P-256, the same for every server
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
    name = "Postern"

    def __init__(self, conf=None):
        super().__init__(conf, LIMITS)

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
        return "event=started" in text and self.ports and self._all_entered()

    @property
    def pid(self):
        return self.process.pid

    def counters(self):
        """{"queue.commits": n, ...}"""
        rows = map(json.loads, self.ctl("show", "stats", "--json").stdout.splitlines())
        return {row["name"]: row["value"] for row in rows}


class SecurePostern(Postern):
    """STARTTLS on .port, TLS from the first octet on .smtps."""
    LISTEN = "listen on 127.0.0.1 port 0 "

    def __init__(self):
        listen = self.LISTEN + "tls pki bench\n" + self.LISTEN + "smtps pki bench\n"
        conf = f'pki bench cert "{certificate().crt}"\npki bench key "{certificate().key}"\n'
        super().__init__(conf=conf + postern.Server.CONF.replace(self.LISTEN.rstrip() + "\n", listen))

    @property
    def smtps(self):
        return self.ports[1]


def certificate():
    return tls.certificate(CERTIFICATE)


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

def client(*argv, name="bench-client"):
    """Starts one of the clients in tests/bench."""
    path = os.path.join(TOOLS, name)
    if not os.path.exists(path):
        raise peers.Unavailable(f"{path} is not built: make bench does")
    return subprocess.Popen([path, *map(str, argv)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def samples(seconds, *argv, name="bench-client"):
    """What a client wrote in that time: rows of numbers, one a session."""
    process = client("-t", seconds, *argv, name=name)
    try:
        out, err = process.communicate(timeout=seconds + PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    if process.returncode != 0 or not out:
        raise peers.Unavailable(err.strip() or f"the client ended with status {process.returncode}")
    return [tuple(map(int, line.split())) for line in out.splitlines()]
