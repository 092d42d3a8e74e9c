# SPDX-License-Identifier: ISC
"""Clients that write down what they were promised, and the reckoning afterwards.

The oracle is the clients' own book, not the server's log: for each message its number, the sum of its text, whether
its end was ever sent and whether it was answered 250.
"""
import base64
import collections
import contextlib
import hashlib
import json
import os
import random
import re
import socket
import threading
import time

from postern import PATIENCE, Raw, wait_for

SIZES = (200, 1000, 4000, 4000, 20_000, 70_000, 300_000)
QUICK_RETRY = "queue retry-min 1s\nqueue retry-max 1s\n"
AFTERLIFE_S = 1         # so long may a process go on storing what it had whole when another was killed
TWICE_PER_KILL = 32     # on average: what an agent has in hand, and what waits for its commit


class Refused(Exception):
    """A reply that ends the transaction."""


def text_of(number, size, rng):
    """A message nobody else sends, with lines that begin with dots; as it is, before dot-stuffing."""
    raw = base64.b64encode(rng.randbytes(size * 3 // 4))
    lines = [raw[i:i + 72] for i in range(0, len(raw), 72)]
    lines[::7] = [b"." + line for line in lines[::7]]
    return b"X-Number: %d\r\nSubject: load\r\n\r\n%s\r\n" % (number, b"\r\n".join(lines))


def stuffed(text):
    return re.sub(rb"(?m)^\.", b"..", text)


def sum_of(text):
    """Of the text as it lies in a Maildir."""
    return hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest()


class Book:
    """What the clients know.  Shared by their threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sums, self.ended, self.promised, self.replies = {}, set(), {}, collections.Counter()
        self.kills = []          # when, by the wall clock

    def open(self, size, rng):
        with self.lock:
            number = len(self.sums)
            self.sums[number] = None
        text = text_of(number, size, rng)
        self.sums[number] = sum_of(text)
        return number, text

    def reply(self, code):
        with self.lock:
            self.replies[code] += 1

    def promise(self, number):
        with self.lock:
            self.promised[number] = time.time()
            self.replies[250] += 1

    def kill(self):
        self.kills.append(time.time())


class Clients:
    """So many clients at once, each sending message after message until stop(), whatever happens to the server."""

    def __init__(self, server, book, n=4, sizes=SIZES, seed=0, user="demo"):
        self.server, self.book, self.sizes, self.user = server, book, sizes, user
        self.stopping = threading.Event()
        self.errors = []
        self.threads = [threading.Thread(target=self._run, args=(random.Random(seed * 1000 + i),), daemon=True)
                        for i in range(n)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join(2 * PATIENCE)
        if any(t.is_alive() for t in self.threads) or self.errors:
            raise AssertionError(f"clients: {self.errors or 'hang'}")

    def _run(self, rng):
        try:
            while not self.stopping.is_set():
                # The server is being killed: a lost connection is what we came for.
                with contextlib.suppress(OSError, EOFError, Refused, IndexError):
                    self._connection(rng)
                self.stopping.wait(0.02)
        except Exception as e:      # a broken test must not look like a quiet client
            self.errors.append(repr(e))

    def _connection(self, rng):
        with Raw(("127.0.0.1", self.server.port)) as c:
            c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._expect(c.reply(), 220)
            self._expect(c.cmd("EHLO client.test"), 250)
            for _ in range(rng.randint(1, 6)):
                if self.stopping.is_set():
                    return
                if rng.random() < 0.1:
                    self._broken_off(c, rng)
                    return
                self._message(c, rng)

    def _expect(self, reply, code):
        if reply[0] != code:
            self.book.reply(reply[0])
            raise Refused(reply)

    def _begin(self, c):
        self._expect(c.cmd("RSET"), 250)
        self._expect(c.cmd("MAIL FROM:<you@example.net>"), 250)
        self._expect(c.cmd(f"RCPT TO:<{self.user}@example.org>"), 250)
        self._expect(c.cmd("DATA"), 354)

    def _message(self, c, rng):
        number, text = self.book.open(rng.choice(self.sizes), rng)
        self._begin(c)
        c.send(stuffed(text))
        self.book.ended.add(number)
        c.send(b".\r\n")
        self._expect(c.reply(), 250)
        self.book.promise(number)

    def _broken_off(self, c, rng):
        """Never sends the end: nothing of it may ever be delivered."""
        _, text = self.book.open(rng.choice(self.sizes), rng)
        self._begin(c)
        c.send(stuffed(text)[:rng.randrange(len(text))])


def accepts(server, timeout=PATIENCE):
    """One message in, by a fresh connection; an exception when it is not taken."""
    with Raw(("127.0.0.1", server.port), timeout) as c:
        for code, command in ((220, None), (250, "EHLO probe.test"), (250, "MAIL FROM:<probe@example.net>"),
                              (250, "RCPT TO:<other@example.org>"), (354, "DATA"),
                              (250, "Subject: probe\r\n\r\nprobe\r\n.")):
            reply = c.reply() if command is None else c.cmd(command)
            if reply[0] != code:
                raise Refused(reply)
    return True


def time_to_serve(server, since):
    """Seconds from `since` (monotonic) until a fresh client's message is taken."""
    def serves():
        with contextlib.suppress(OSError, EOFError, Refused, IndexError):
            return accepts(server)
    wait_for(serves, "a message is taken")
    return time.monotonic() - since


def counters(server):
    """The server's counters; {} when nobody answers."""
    done = server.ctl("show", "stats", "--json", check=False)
    if done.returncode != 0:
        return {}
    return {row["name"]: row["value"] for row in map(json.loads, done.stdout.splitlines())}


def drain(server, timeout=2 * PATIENCE):
    """Waits until the queue has nothing left."""
    def empty():
        rows = counters(server)
        return rows.get("queue.messages") == 0 and rows.get("queue.recipients") == 0
    wait_for(empty, "empty queue", timeout)


class Reckoning:
    """The Maildir against the book."""

    def __init__(self, server, book, user="demo"):
        self.lost, self.damaged, self.uncalled, self.twice = [], [], [], []
        seen = collections.defaultdict(list)
        new = server.path("mail", "example.org", user, "new")
        for name in os.listdir(new) if os.path.isdir(new) else []:
            self._read(os.path.join(new, name), book, seen)
        self.delivered = len(seen)
        self.lost = sorted(set(book.promised) - set(seen))
        self.twice = {n: sorted(when) for n, when in seen.items() if len(when) > 1}
        self.unexplained = [n for n, when in self.twice.items() if not explained(when, book.kills)]
        self.kills = len(book.kills)
        self.text = (f"promised={len(book.promised)} delivered={self.delivered} lost={len(self.lost)} "
                     f"damaged={len(self.damaged)} uncalled={len(self.uncalled)} twice={len(self.twice)} "
                     f"kills={self.kills} replies={dict(book.replies)}")

    def _read(self, path, book, seen):
        with open(path, "rb") as f:
            data = f.read()
            when = os.fstat(f.fileno()).st_mtime
        m = re.search(rb"(?m)^X-Number: (\d+)\n", data)
        number = int(m.group(1)) if m else None
        if number is None or book.sums.get(number) != sum_of(data[m.start():]):
            self.damaged.append(path)
        elif number not in book.ended:
            self.uncalled.append(number)
        seen[number].append(when)

    def check(self):
        print(self.text)
        assert not self.lost, f"lost: {self.lost[:10]}; {self.text}"
        assert not self.damaged, f"damaged: {self.damaged[:10]}; {self.text}"
        assert not self.uncalled, f"never sent whole: {self.uncalled[:10]}; {self.text}"
        assert not self.unexplained, f"twice without cause: {self.unexplained[:10]}; {self.text}"
        assert len(self.twice) <= TWICE_PER_KILL * self.kills, f"too many twice: {self.text}"
        return self


def explained(when, kills):
    """A second copy is allowed when a process died about when the first was made, and only then."""
    return all(any(a - AFTERLIFE_S <= k <= b for k in kills) for a, b in zip(when, when[1:]))
