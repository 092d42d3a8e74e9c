# SPDX-License-Identifier: ISC
"""Input without end: memory that does not follow it, processor time that follows it at the same pace."""
import os
import time

import pytest

from evil import PATIENT, Evil, cpu_s, peak_mib, settle

RCPTS = 100_000
FLAT_MIB = 6            # what a process may grow by, whatever is sent
SLOPE = 2               # processor time for four times the input, at most so many times four
TRIES = 8


@pytest.fixture
def one_process(make_server):
    """The plain build, whose memory and time are real; one session process."""
    def make(extra=""):
        s = make_server(extra=PATIENT + "smtp processes 1\n" + extra)
        with Evil(s) as c:
            c.envelope("other@example.org").to("DATA")
            assert c.say(b"Subject: warm\r\n\r\nx\r\n.\r\n") == "250 2.0.0"
        s.wait_mail(user="other")
        return s
    return make


def grown(server, before):
    return {role: round(peak_mib(server, role) - before[role], 1) for role in before}


def peaks(server):
    return {role: peak_mib(server, role) for role in ("session", "lookup", "queue")}


def test_33_recipients_without_end(one_process):
    """A hundred thousand RCPT in one transaction: a thousand are taken, the rest told to come in another message."""
    server = one_process()
    before = peaks(server)
    with Evil(server) as c:
        c.to("EHLO evil.example", "MAIL FROM:<a@b.example>")
        c.pour(b"RCPT TO:<demo@example.org>\r\n" * RCPTS)
        heard = [c.heard() for _ in range(RCPTS)]
        assert heard == ["250 2.1.5"] * 1000 + ["452 4.5.3"] * (RCPTS - 1000)
    assert all(mib < FLAT_MIB for mib in grown(server, before).values()), grown(server, before)


def test_33_refused_recipients_without_end(one_process):
    """As many that nobody has, sender after sender: nothing of them is kept."""
    server = one_process()
    before = peaks(server)
    for at in range(0, RCPTS // 5, 900):
        with Evil(server) as c:
            c.to("EHLO evil.example", "MAIL FROM:<a@b.example>")
            c.pour(b"".join(b"RCPT TO:<u%d@example.org>\r\n" % n for n in range(at, at + 900)))
            assert {c.heard() for _ in range(900)} == {"550 5.1.1"}
    assert all(mib < FLAT_MIB for mib in grown(server, before).values()), grown(server, before)


ENDLESS = {
    "header line": b"X-Long: " + b"x" * (1 << 20),
    "header lines": b"X-Line: y\r\n" * 100_000,
    "folded header": b" folded\r\n" * 100_000,
    "body line": b"\r\n" + b"z" * (1 << 20),
    "dots": b"..\r\n" * 250_000,
}


@pytest.mark.parametrize("what", ENDLESS)
def test_44_message_without_end(one_process, what):
    """Two hundred megabytes of one thing: read in flat memory, refused, and the client that still goes on is left."""
    server = one_process("smtp max-message-size 4M\n")
    before, started = peaks(server), time.monotonic()
    with Evil(server) as c:
        c.envelope().to("DATA")
        sent = 0
        while sent < 200 << 20:
            n = c.pour(ENDLESS[what])
            sent += n
            if n < len(ENDLESS[what]):
                break
        assert c.rest()[-1:] == ["552 5.3.4"]
    assert sent < 32 << 20, "it was listened to for too long"
    assert all(mib < FLAT_MIB for mib in grown(server, before).values()), grown(server, before)
    assert time.monotonic() - started < 30


def test_44_command_without_end(one_process):
    """A line that never ends is refused once and skipped: flat memory, and no more time than reading takes."""
    server = one_process()
    before, cpu = peaks(server), cpu_s(server)
    with Evil(server) as c:
        c.to("EHLO evil.example")
        for _ in range(200):
            assert c.pour(b"RCPT TO:<" + b"a" * (1 << 20)) == (1 << 20) + 9
        assert c.say("\r\nNOOP") == "500 5.5.2"
        assert c.heard() == "250 2.0.0"
    assert all(mib < FLAT_MIB for mib in grown(server, before).values()), grown(server, before)
    assert cpu_s(server) - cpu < 10


@pytest.mark.parametrize("stage", (("MAIL FROM:<a@b.example>", "RCPT TO:<demo@example.org>"), ()),
                         ids=("wanted", "unwanted"))
def test_44_chunk_without_end(one_process, stage):
    """A chunk said to be of 2^62 octets is read for a while at most, in flat memory, whether it has a transaction or not."""
    server = one_process("smtp max-message-size 4M\n")
    before = peaks(server)
    with Evil(server) as c:
        c.to("EHLO evil.example", *stage)
        assert c.pour(b"BDAT %d LAST\r\n" % (1 << 62) + b"QUIT\r\n" * (6 << 20)) < 32 << 20
        assert c.rest() in (["552 5.3.4"], [])  # or it was lost with the connection
    assert all(mib < FLAT_MIB for mib in grown(server, before).values()), grown(server, before)


# -- time by input ----------------------------------------------------------------

def message(header):
    return [b"DATA\r\n", header + b"\r\nx\r\n.\r\n"]


def parameters(n):
    """RFC 2231 continuations without end in one field."""
    return message(b"Content-Type: x/y;\r\n" + b"".join(b" p*%d*=utf-8''%%41;\r\n" % i for i in range(n)))


GROWING = {
    "parameters of a field": lambda n: parameters(n * 50),
    "fields": lambda n: message(b"".join(b"X-F%d: y\r\n" % i for i in range(n * 50))),
    "addresses in a field": lambda n: message(
        b"To: " + b",\r\n ".join(b"u%d@example.org" % i for i in range(n * 50)) + b"\r\n"),
    "one field's length": lambda n: message(b"X-Long: " + (b"y" * 60000 + b"\r\n ") * (n // 8) + b"\r\n"),
    "lines of dots": lambda n: message(b"X: y\r\n\r\n" + b"..\r\n" * (n * 100)),
    "short chunks": lambda n: [b"BDAT 1\r\nx" * (n * 10), b"BDAT 0 LAST\r\n"],
    "recipients": lambda n: [b"RCPT TO:<demo@example.org>\r\n" * (n * 5)],
    "recipients that differ": lambda n: [b"".join(b"RCPT TO:<demo+%d@example.org>\r\n" % i for i in range(n * 5))],
    "unknown recipients": lambda n: [
        b"".join(b"RCPT TO:<nobody%d@example.org>\r\nRSET\r\nMAIL FROM:<>\r\n" % i for i in range(n // 4))],
    "source route": lambda n: [b"RCPT TO:<" + b",".join([b"@a.b"] * 390) + b":demo@example.org>\r\n"] * (n // 8),
    "comments": lambda n: [b"RCPT TO:<" + b"(" * 1900 + b">\r\n"] * (n // 8),
    "parameters of RCPT": lambda n: [b"RCPT TO:<demo@example.org> " + b"NOTIFY=NEVER " * 150 + b"\r\n"] * (n // 8),
    "noops": lambda n: [b"NOOP " + b"x" * 100 + b"\r\n"] * n,
}


def spent(server, lines):
    """Processor time of all processes for what one client says after its envelope."""
    with Evil(server) as c:
        c.envelope()
        before = cpu_s(server)
        data = lines[0] == b"DATA\r\n"
        if data:
            c.to("DATA")
        stream = b"".join(lines[1 if data else 0:])
        c.pour(stream + b"RSET\r\nVRFY last\r\n")
        while c.heard() != "252 2.5.0":
            pass
    settle(server)
    return cpu_s(server) - before


def share_one_cpu(server):
    """A question between two CPUs costs four times what it costs on one, and which it is changes with the load."""
    cpu = {max(os.sched_getaffinity(0))}
    for pid in [server.process.pid, *server.pids().values()]:
        os.sched_setaffinity(pid, cpu)


@pytest.mark.parametrize("what", GROWING)
def test_60_time_follows_input(one_process, what):
    """Four times the input costs about four times the processor time: nothing is gone through for each new thing."""
    server = one_process("smtp max-recipients 100000\nsmtp max-line-size 1M\n")
    share_one_cpu(server)
    n = 800
    spent(server, GROWING[what](n))
    seen = []
    while len(seen) < TRIES:    # the machine is shared: one fair pair is enough
        seen.append((spent(server, GROWING[what](n)), spent(server, GROWING[what](4 * n))))
        if seen[-1][1] < SLOPE * 4 * seen[-1][0] + 0.002:
            return
    pytest.fail(f"time grows faster than the input: {seen}")


def test_60_received_fields(one_process):
    """Hops are counted, at once and for good: over the limit it is a loop, whatever the fields hold."""
    server = one_process()
    for n, answer in ((100, "250 2.0.0"), (101, "554 5.4.6"), (50_000, "554 5.4.6")):
        with Evil(server) as c:
            c.envelope().to("DATA")
            c.pour(b"received: x\r\n" * n + b"\r\nx\r\n.\r\n")
            assert c.heard() == answer
            assert c.say("NOOP") == "250 2.0.0"
