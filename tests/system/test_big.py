# SPDX-License-Identifier: ISC
"""Bodies stream: a message of 100 MB needs no more memory than one of 10 KB, in any process, and arrives octet for octet."""
import hashlib
import os
import random
import re
import threading

from postern import wait_for

MB = 1 << 20
BIG = 100 * MB
SLACK = 2 * MB          # the promise
PIECE = 72 * 1000


def peaks(server):
    """Peak memory of each living process, in octets."""
    found = {}
    for name, pid in {"parent/0": server.process.pid, **server.pids()}.items():
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                found[name, pid] = int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1)) << 10
        except (OSError, AttributeError):
            continue        # it ended meanwhile
    return found


class Sampler:
    """Keeps the last seen peak of each process, agents that end included."""

    def __init__(self, server):
        self.server, self.seen, self.done = server, {}, threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.done.wait(0.05):
            self.seen.update(peaks(self.server))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.seen.update(peaks(self.server))
        self.done.set()
        self.thread.join()

    def by_role(self):
        """The largest of each role."""
        best = {}
        for (name, _), octets in self.seen.items():
            role = name.split("/")[0]
            best[role] = max(best.get(role, 0), octets)
        return best


def send(server, size):
    """The sum of what was sent, with line ends as in a Maildir."""
    rng, sent, total = random.Random(size), hashlib.sha256(), 0
    with server.raw(timeout=300) as c:
        assert c.reply()[0] == 220
        for command in ("EHLO client.test", f"MAIL FROM:<you@example.net> SIZE={size}", "RCPT TO:<demo@example.org>"):
            assert c.cmd(command)[0] == 250
        assert c.cmd("DATA")[0] == 354
        while total < size:
            raw = rng.randbytes(min(PIECE, size - total) // 2).hex().encode()
            piece = b"".join(raw[i:i + 70] + b"\r\n" for i in range(0, len(raw), 70))
            piece = (b"X-Number: 0\r\n\r\n" if total == 0 else b"") + piece
            sent.update(piece.replace(b"\r\n", b"\n"))
            c.send(piece)
            total += len(piece)
        assert c.cmd(".")[0] == 250
    return sent.hexdigest()


def delivered_sum(server, n):
    """Of the n-th message, read in pieces, from its first own line on."""
    new = server.path("mail", "example.org", "demo", "new")
    name = wait_for(lambda: os.path.isdir(new) and len(os.listdir(new)) >= n and
                    max(os.listdir(new), key=lambda f: os.path.getmtime(os.path.join(new, f))),
                    "delivered", 120)
    got = hashlib.sha256()
    with open(os.path.join(new, name), "rb") as f:
        head = f.read(4096)
        f.seek(head.index(b"X-Number: 0\n"))
        while piece := f.read(MB):
            got.update(piece)
    return got.hexdigest(), os.path.getsize(os.path.join(new, name))


def carry(make_server, size):
    server = make_server(extra="smtp max-message-size 200M\n")
    with Sampler(server) as sampler:
        sent = send(server, size)
        got, octets = delivered_sum(server, 1)
    assert got == sent and octets >= size * 0.97
    assert server.stop() == 0
    return sampler.by_role()


def test_memory_does_not_grow(make_server):
    small, big = carry(make_server, 10_000), carry(make_server, BIG)
    print({role: (small[role] >> 10, big[role] >> 10) for role in small})
    assert set(small) == {"parent", "session", "queue", "lookup", "delivery", "agent", "control", "vault",
                          "hasher"} == set(big)
    for role, octets in big.items():
        assert octets - small[role] <= SLACK, (role, small[role] >> 10, octets >> 10)
