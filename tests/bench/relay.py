# SPDX-License-Identifier: ISC
"""The whole way of mail that is relayed: accepted, queued, handed on to smtp-sink, gone from the queue.

Postern and Postfix stand between smtp-source and a smtp-sink each; as many messages
a connection as they like.  The time runs from the first message (of 5,000: from before it is
sent, of one to many: from its 250) until the sink has the last one.  CPU is what the kernel charged to all of a server's
processes, dead ones included, until its queue is empty; that of source and sink is
not in it.  The servers take turns.
"""
import contextlib
import os
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time

import peers
from rate import send
from server import LIMITS, PATIENCE, SIZE, Postern, cpu_s, running

import postern

MESSAGES = 5000
SESSIONS = 50                  # that bring them in
RECIPIENTS = 1000              # of the one message
ROUNDS = 7                     # of it, in each run: a message is soon gone, and a tick of CPU long
RATE_TARGET = 3                # times Postfix's
CPU_TARGET = 1 / 3             # of Postfix's
CONF = """
hostname "mx.test"
queue directory "{{dir}}/spool"
control socket "{{dir}}/smtpd.sock"
listen on 127.0.0.1 port 0
action "out" relay host "smtp://127.0.0.1:{port}"
match from any for any action "out"
"""


class Sink(peers.Sink):
    """Counts what arrives: .mails, and when the last one did, .last."""

    def start(self):
        self.mails, self.last = 0, time.monotonic()
        account = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.spawn([self.tools.program("smtp-sink"), *account, "-c", f"127.0.0.1:{self.port}", "1024"],
                   env=self.tools.environment, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def _read(self):
        """It writes all its counters again whenever one of them has changed."""
        text, out = b"", self.process.stdout.fileno()
        while piece := os.read(out, 65536):
            text = (text + piece)[-1024:]
            found = re.findall(rb"mesg=(\d+)\r", text)
            if found and int(found[-1]) != self.mails:
                self.last, self.mails = time.monotonic(), int(found[-1])


class Relay(peers.Postfix):
    """Hands everything on to one host, as many messages a connection as it likes."""
    MAIN = peers.Postfix.BASE + """
mydestination =
smtp_tls_security_level = none
relayhost = [127.0.0.1]:SINK
# It takes mail as fast as it can, however far behind its deliveries are.
in_flow_delay = 0
"""
    MASTER = peers.Postfix.MASTER + """
smtp unix - - n - - smtp
relay unix - - n - - smtp
scache unix - - n - 1 scache
"""

    def __init__(self, tools, folder, sink):
        super().__init__(tools, folder)
        self.MAIN = self.MAIN.replace("SINK", str(sink))

    def queued(self):
        """Messages that are anywhere in its queue."""
        return sum(len(names) for queue in ("maildrop", "incoming", "active", "deferred")
                   for _, _, names in os.walk(os.path.join(self.dir, "spool", queue)))


class Ours(Postern):
    def __init__(self, sink):
        super().__init__(CONF.format(port=sink))

    def queued(self):
        return self.counters()["queue.messages"]


def hand_in(port, recipients):
    """One message to so many, all of them pipelined; when it was accepted."""
    text = "".join(f"RCPT TO:<{n}demo@example.org>\r\n" for n in range(recipients))
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as s, s.makefile("rb") as replies:
        def talk(octets, n):
            s.sendall(octets)
            for _ in range(n):
                while (line := replies.readline())[3:4] == b"-":
                    continue
                if line[:1] not in b"23":
                    raise AssertionError(f"it answered {line!r}")

        talk(b"", 1)
        talk(b"EHLO client.test\r\n", 1)
        talk(f"MAIL FROM:<you@example.net>\r\n{text}DATA\r\n".encode(), recipients + 2)
        talk(b"Subject: to many\r\n\r\n" + (b"x" * 78 + b"\r\n") * (SIZE // 80) + b".\r\n", 1)
        accepted = time.monotonic()
        talk(b"QUIT\r\n", 1)
    return accepted


class Samples:
    """What one server did, and the sink behind it."""

    def __init__(self, server, sink, tools):
        self.server, self.sink, self.tools = server, sink, tools
        self.rates, self.cpu, self.units = [], 0.0, 0
        self.transactions = 0      # at the sink

    def warm(self):
        self._pass(1000, 1)

    def _pass(self, messages, recipients):
        """All of that through the server; how long it took."""
        before, started = self.sink.mails, time.monotonic()
        if recipients == 1:
            send(self.tools, self.server.port, SESSIONS, False, messages)
        else:
            started = hand_in(self.server.port, recipients)
        postern.wait_for(lambda: self.sink.mails - before >= messages, "the sink has it", PATIENCE)
        while self.server.queued() > 0:        # asking costs the server CPU
            if time.monotonic() > started + PATIENCE:
                raise AssertionError(f"{self.server.name} still has {self.server.queued()} messages")
            time.sleep(0.2)
        self.transactions = self.sink.mails - before
        if messages > self.transactions:
            raise AssertionError(f"{self.server.name} handed on {self.transactions} of {messages} messages")
        return self.sink.last - started

    def run(self, messages, recipients=1, rounds=1):
        cpu = cpu_s(self.server.pid)
        for _ in range(rounds):
            self.rates.append(messages * recipients / self._pass(messages, recipients))
        self.cpu += cpu_s(self.server.pid) - cpu
        self.units += messages * recipients * rounds

    @property
    def rate(self):
        return statistics.median(self.rates)

    @property
    def cpu_ms(self):
        return self.cpu * 1000 / self.units


@contextlib.contextmanager
def relays(tools, options):
    """A Samples for each server."""
    with contextlib.ExitStack() as stack:
        def behind(make):
            sink = stack.enter_context(running(Sink(tools)))
            return Samples(stack.enter_context(running(make(sink.port))), sink, tools)

        found = [behind(Ours)]
        if not options.no_postfix:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="postern-bench-"))
            os.chmod(folder, 0o755)
            try:
                found.append(behind(lambda port: Relay(tools, folder, port)))
            except (OSError, peers.Unavailable) as e:
                print(f"Postfix is not measured: {e}")
        for samples in found:
            samples.warm()
        yield found


def show(what, unit, found):
    for s in found:
        print(f"{what:26} {s.server.name:8} {s.rate:9.0f} {s.cpu_ms:8.3f} {s.transactions:13}", flush=True)
    if len(found) < 2:
        return
    ours, theirs = found
    for text, value, met in (
            (f"at least {RATE_TARGET} times Postfix's {unit}s/s", ours.rate / theirs.rate,
             ours.rate >= RATE_TARGET * theirs.rate),
            (f"at most {CPU_TARGET:.2f} of its CPU a {unit}", ours.cpu_ms / theirs.cpu_ms,
             ours.cpu_ms <= CPU_TARGET * theirs.cpu_ms)):
        print(f"target, {what}: {text}: {value:.2f}: {'met' if met else 'NOT MET'}")


def measure(tools, options, what, unit, **how):
    try:
        with relays(tools, options) as found:
            for _ in range(options.runs):
                for samples in found:
                    samples.run(**how)
            show(what, unit, found)
    except (AssertionError, OSError, peers.Unavailable, subprocess.TimeoutExpired) as e:
        print(f"{what:26} failed: {e}", flush=True)
        return False
    return True


def run(tools, options):
    """Both tables; whether they are complete."""
    messages = MESSAGES if not options.quick else 1000
    print(f"\nRelay to smtp-sink, {SIZE} octets a message, end to end\n"
          f"{'':26} {'server':8} {'a second':>9} {'CPU ms':>8} {'transactions':>13}")
    return all([
        measure(tools, options, f"{messages} messages", "message", messages=messages),
        measure(tools, options, f"1 message, {RECIPIENTS} recipients", "recipient", messages=1,
                recipients=RECIPIENTS, rounds=ROUNDS)])
