# SPDX-License-Identifier: ISC
"""smtpd-delivery and smtpd-agent among peers that lie: cut off and logged, never obeyed, never down."""
import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from ipc import ADDRESS_SPACE, BUILD, DEADLINE, ROLE, Closed, Link, Process, encode  # noqa: E402

DELIVERY_RIGHTS = 0x0001 | 0x0010 | 0x0100 | 0x0200  # base, connect, read-fd, tls: smtpd/roles.c
AGENT_RIGHTS = 0x0001 | 0x0080  # base, mailbox
NOBODY = 65534
UNLIMITED = 2**64 - 1

CONF = b"""
hostname "mx.example.org"
action "local" maildir
action "out" relay host "smtp://127.0.0.1:9"
action "by-mx" relay
match for any action "out"
match for domain "a.example" action "local"
match for domain "b.example" action "by-mx"
"""


TEXT = b"Subject: x\r\n\r\nx\r\n"


class Delivery(Process):
    def __init__(self, port=9):
        super().__init__("smtpd-delivery", "DELIVERY", DELIVERY_RIGHTS,
                         CONF.replace(b":9\"", b":%d\"" % port), ports=(port,),
                         limits=(1024, ADDRESS_SPACE, 0, 0))
        self.starts = []
        self.queue, self.lookup = self.link("QUEUE"), self.link("LOOKUP")

    def serve_once(self, timeout=0):
        m = super().serve_once(timeout)
        if m.type == "agent_start":
            self.starts.append(m)
        return m

    def wait_start(self):
        while not self.starts:
            self.serve_once(DEADLINE)
        return self.starts.pop(0)

    def job(self, action, n=1, req=7, user="u", **more):
        values = {"id": 1, "sender": "s@example.net", "dest": "d.example", "size_bytes": len(TEXT),
                  "nchunks": 1, **more}
        self.queue.send("job", req=req, action=action, nrcpts=n, **values)
        for i in range(n):
            self.queue.send("job_rcpt", req=req, key=i, address="r%d@example.org" % i, user=user)

    def is_cut_off(self, link):
        """Whether the other end closes, whatever it says before."""
        try:
            while True:
                link.receive()
        except Closed:
            return True

    def check_alive(self):
        """A new queue is served as if nothing had been."""
        self.queue = self.link("QUEUE")
        self.job("no-such-action", req=99)
        m = self.queue.receive()
        assert (m.type, m.req, m.outcome, m.status) == ("verdict", 99, "RETRY", "4.3.5")
        assert self.is_alive()


    def verdict(self):
        """The next verdict, whatever else is said before it."""
        while (m := self.queue.receive()).type != "verdict":
            pass
        return m


@pytest.fixture
def delivery():
    it = Delivery()
    yield it
    assert it.stop() == 0


def job(**more):
    values = {"req": 1, "id": 1, "action": "out", "dest": "d", "nrcpts": 1, **more}
    return encode("job", **values)


@pytest.mark.parametrize("frames", [
    [encode("job_rcpt", req=1, key=1, address="a@b.example")],
    [job(nrcpts=0)],
    [job(), job()],
    [job(req=1), encode("job_rcpt", req=2, key=1, address="a@b.example")],
    [job(nrcpts=1001)],
    [job(sender="x" * 513)],
    [encode("route_end", req=1)],            # lookup's to send
    [encode("agent_started", req=1)[:12]],   # the parent's, and without its descriptor
    [encode("enter", req=1, role=4)],
    [b"\x00" * 64],
    [b"\xff" * 64],
    [struct.pack("<IHBBI", 12, 65535, 0, 0, 0)],
    [job()[:-1] + b"x" * 40],
])
def test_queue_that_lies(delivery, frames):
    for frame in frames:
        try:
            delivery.queue.send_raw(frame)
        except Closed:
            break
    assert delivery.is_cut_off(delivery.queue)
    delivery.wait_log("event=peer-cut-off")
    delivery.check_alive()


def test_descriptors_nobody_asked_for(delivery):
    delivery.check_alive()
    before = len(os.listdir("/proc/%d/fd" % delivery.child.pid))
    with open("/dev/null", "rb") as null:
        delivery.queue.send_raw(job(), [null.fileno()] * 3)
    assert delivery.is_cut_off(delivery.queue)
    delivery.check_alive()
    assert len(os.listdir("/proc/%d/fd" % delivery.child.pid)) <= before


def test_answers_to_questions_never_asked(delivery):
    for req in (0, 1, 2**31, 2**32 - 1):
        delivery.queue.send("chunk", req=req, data=b"x" * 1000)
        delivery.lookup.send("route_host", req=req, host="h", address="127.0.0.1")
        delivery.lookup.send("route_end", req=req)
        delivery.parent.send("agent_refused", req=req, outcome=2)
    delivery.check_alive()


def test_another_peer_can_not_answer(delivery):
    """Lookup's answer to the queue's question and the other way round are nobody's."""
    delivery.job("by-mx")
    question = delivery.lookup.receive()
    assert question.type == "route"
    delivery.queue.send("chunk", req=question.req, data=b"x")
    delivery.lookup.send("route_end", req=question.req, outcome=2, status="5.1.2", text="no such name")
    verdict = delivery.queue.receive()
    assert (verdict.type, verdict.outcome, verdict.status) == ("verdict", "FAIL", "5.1.2")
    delivery.check_alive()


def test_flood_of_hosts(delivery):
    delivery.job("by-mx")
    question = delivery.lookup.receive()
    for n in range(20000):
        delivery.lookup.send("route_host", req=question.req, host="h%d\r\nX: y" % n,
                             address="%d.not.an.address" % n)
    delivery.lookup.send("route_end", req=question.req)
    verdict = delivery.queue.receive()
    assert (verdict.outcome, verdict.status) == ("RETRY", "4.4.3")
    delivery.check_alive()


def test_lookup_that_dies_or_claims_nonsense(delivery):
    delivery.job("by-mx")
    question = delivery.lookup.receive()
    delivery.lookup.send("route_end", req=question.req, outcome=1, status="5.9.9 x", text="a\r\nb")
    verdict = delivery.queue.receive()
    assert verdict.outcome == "RETRY" and verdict.status == "4.0.0" and "\n" not in verdict.text
    delivery.job("by-mx", req=8, dest="other.example")  # the first one's is known to be dead now
    delivery.lookup.receive()
    delivery.lookup.close()
    assert delivery.queue.receive().status == "4.4.3"
    delivery.check_alive()


def test_addresses_that_would_be_commands(delivery):
    for address in ("a@b>\r\nRCPT TO:<c@d", "a@b>", "<a@b>", "a b@c", "", "a@b\x7f", "@b"):
        delivery.queue.send("job", req=5, id=1, sender="", action="out", dest="d", nrcpts=1)
        delivery.queue.send("job_rcpt", req=5, key=1, address=address)
        verdict = delivery.queue.receive()
        assert (verdict.outcome, verdict.status) == ("FAIL", "5.1.3"), address
    delivery.queue.send("job", req=5, id=1, sender="a@b>\r\nDATA", action="out", dest="d", nrcpts=1)
    delivery.queue.send("job_rcpt", req=5, key=1, address="a@b.example")
    assert delivery.queue.receive().status == "5.1.7"


@pytest.mark.parametrize("user, address", [("u", "../x@example.org"), ("../u", "r@example.org"),
                                           ("a/b", "r@example.org"), ("", "r@example.org")])
def test_no_path_leads_up(delivery, user, address):
    delivery.queue.send("job", req=5, id=1, sender="", action="local", dest="d", nrcpts=1)
    delivery.queue.send("job_rcpt", req=5, key=1, address=address, user=user)
    assert delivery.wait_start().path == "Maildir"


def receive_all(link):
    """What there is to read now."""
    got = []
    try:
        while True:
            got.append(link.receive(0))
    except TimeoutError:
        return got


def start_fake_agent(delivery):
    start = delivery.wait_start()
    mine, its = socket.socketpair()
    delivery.parent.send("agent_started", fd=its.fileno(), req=start.req)
    its.close()
    return Link(mine)


def feed(delivery, agent):
    """Answers the question for the only chunk; the message's id once the agent has it whole."""
    m = delivery.queue.receive()
    assert m.type == "chunk_get"
    delivery.queue.send("chunk", req=m.req, data=TEXT)
    while (m := agent.receive()).type != "put_end":
        pass
    return m.req


def test_agent_that_answers_too_early(delivery):
    delivery.job("local")
    agent = start_fake_agent(delivery)
    put = agent.receive()
    agent.send("put_verdict", req=put.req, outcome=0, status="2.0.0")
    assert delivery.is_cut_off(agent)
    while (m := delivery.queue.receive()).type != "verdict":
        pass
    assert (m.outcome, m.status) == ("RETRY", "4.2.0")
    delivery.check_alive()


@pytest.mark.parametrize("outcome, status, want", [
    (0, "5.0.0", ("OK", "2.0.0")), (1, "2.0.0", ("RETRY", "4.0.0")), (2, "", ("FAIL", "5.0.0"))])
def test_agent_whose_status_is_another(delivery, outcome, status, want):
    delivery.job("local")
    agent = start_fake_agent(delivery)
    req = feed(delivery, agent)
    agent.send("put_verdict", req=req + 1, outcome=2, status="5.5.5")  # of nothing
    agent.send("put_verdict", req=req, outcome=outcome, status=status, text="a\r\nb\x1b")
    agent.send("put_verdict", req=req, outcome=2, status="5.5.5")  # a second one
    m = delivery.queue.receive()
    assert (m.outcome, m.status) == want
    assert m.text.isprintable()
    delivery.check_alive()


def test_agent_that_dies_or_never_is(delivery):
    delivery.job("local", n=3)
    agent = start_fake_agent(delivery)
    agent.close()
    statuses = []
    while len(statuses) < 3:
        m = delivery.queue.receive()
        if m.type == "verdict":
            statuses.append((m.outcome, m.status))
    assert statuses == [("RETRY", "4.2.0")] * 3
    delivery.job("local", req=8)
    delivery.parent.send("agent_refused", req=delivery.wait_start().req, outcome=2, text="no\nmore")
    m = delivery.queue.receive()
    assert (m.outcome, m.status, m.text) == ("FAIL", "5.2.0", "no\\x0amore")
    delivery.check_alive()


@pytest.mark.parametrize("pieces", [
    [TEXT[:-1]], [TEXT + b"x"], [b""], [TEXT, b"x"], [TEXT[:9], b""], [TEXT[:9], TEXT], []])
def test_what_is_not_whole_is_not_delivered(delivery, pieces):
    """The octets are as many as the queue said, or nobody gets any of it as a message."""
    delivery.job("local", nchunks=len(pieces))
    agent = start_fake_agent(delivery)
    for piece in pieces:
        delivery.queue.send("chunk", req=delivery.queue.receive().req, data=piece)
    while (m := agent.receive()).type != "put_end":
        pass
    assert not m.ok
    m = delivery.verdict()
    assert (m.outcome, m.status) == ("RETRY", "4.3.0") and "spool" in m.text
    delivery.wait_log("event=body-damaged id=0000000001 .*expected=%d" % len(TEXT))
    delivery.check_alive()


def test_memory_is_bounded_and_shared_out(delivery):
    """
    Eight mailboxes want 16 letters each at once.  One agent does not read: it
    stops nobody but its own letters, and no more than it can hold is pulled for them.
    """
    outstanding_max, agents, letters, chunks = 64, 8, 16, 48
    data = b"x" * 32768
    for n in range(agents):
        delivery.job("local", n=letters, req=n + 1, id=n + 1, user="u%d" % n,
                     size_bytes=chunks * len(data), nchunks=chunks)
    links = []
    for _ in range(agents):
        links.append(start_fake_agent(delivery))
    asked, judged = [], 0
    pulled = {}
    deadline = time.monotonic() + DEADLINE
    while judged < (agents - 1) * letters:
        assert time.monotonic() < deadline, (judged, pulled)
        ready = select.select([delivery.queue.sock, *(k.sock for k in links[1:])], [], [], 0.1)[0]
        for link in links[1:]:
            if link.sock in ready:
                for m in receive_all(link):
                    if m.type == "put_end":
                        assert m.ok
                        link.send("put_verdict", req=m.req, outcome=0, status="2.0.0")
        if delivery.queue.sock in ready:
            for m in receive_all(delivery.queue):
                if m.type == "chunk_get":
                    asked.append(m)
                    pulled[m.id] = pulled.get(m.id, 0) + 1
                else:
                    assert m.outcome == "OK"
                    judged += 1
        assert len(asked) <= outstanding_max
        for m in asked:
            delivery.queue.send("chunk", req=m.req, data=data)
        asked.clear()
    assert pulled[1] * len(data) < 4 << 20
    delivery.queue.close()
    delivery.check_alive()


@pytest.mark.parametrize("attempt", range(5))
def test_queue_that_dies_takes_its_mail_along(attempt):
    """The connection ends with the job: whatever it still says, it does not say from memory that is free."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        delivery = Delivery(listener.getsockname()[1])
        delivery.job("out")
        sink, _ = listener.accept()
        with sink, sink.makefile("rwb", buffering=0) as lines:
            lines.write(b"220 sink\r\n")
            assert lines.readline().startswith(b"EHLO ")
            os.kill(delivery.child.pid, signal.SIGSTOP)  # so that it sees both in one turn
            os.waitid(os.P_PID, delivery.child.pid, os.WSTOPPED)
            delivery.queue.close()
            lines.write(b"250 sink\r\n")
            os.kill(delivery.child.pid, signal.SIGCONT)
            try:
                said = lines.read()
            except ConnectionResetError:
                said = b""
            assert said in (b"", b"QUIT\r\n", b"MAIL FROM:<s@example.net>\r\n"), attempt
        delivery.check_alive()
        assert delivery.stop() == 0


# -- the agent --

class Agent:
    def __init__(self, base):
        wrap = () if os.getuid() else ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                                       "--clear-groups")
        os.chmod(base, 0o777)
        self.base = base
        mine, its = socket.socketpair()
        self.parent = Link(mine)

        def pass_parent():
            os.dup2(its.fileno(), 3)
            os.set_inheritable(3, True)
        self.child = subprocess.Popen([*wrap, str(BUILD / "bin/smtpd-agent")], pass_fds=[3],
                                      preexec_fn=pass_parent, stdin=subprocess.DEVNULL)
        its.close()
        self.parent.send("enter", role=ROLE["AGENT"], rights=AGENT_RIGHTS, descriptors=64,
                         file_bytes=UNLIMITED, root=str(base))

    def open(self, path="Maildir"):
        self.parent.send("mailbox", path=path)
        self.parent.send("lock")
        mine, its = socket.socketpair()
        self.parent.send("link", fd=its.fileno(), role=ROLE["DELIVERY"])
        its.close()
        self.delivery = Link(mine)
        return self

    def ended(self):
        self.child.wait(DEADLINE)
        return self.child.returncode

    def files(self, folder):
        return os.listdir(self.base / "Maildir" / folder)


@pytest.fixture
def agent(tmp_path):
    for up in tmp_path.parents[:3]:
        if up != Path("/tmp"):
            os.chmod(up, 0o755)
    it = Agent(tmp_path)
    yield it
    it.parent.close()
    it.ended()


PUT = {"sender": "s@example.net", "rcpt": "r@example.org"}


@pytest.mark.parametrize("frames", [
    [encode("put_chunk", req=1, data=b"x")],
    [encode("put_end", req=1, ok=True)],
    [encode("put", req=1, **PUT), encode("put", req=1, **PUT)],
    [encode("put", req=1, sender="a@b\r\nX: y", rcpt="r")],
    [encode("put", req=1, sender="", rcpt="r\n\nbody")],
    [encode("put", req=n, **PUT) for n in range(1000)],
    [encode("put", req=1, **PUT), encode("put_end", req=1, ok=True), encode("put_chunk", req=1)],
    [encode("put_verdict", req=1)],
    [encode("mailbox", req=1)],
    [b"\xff" * 40],
])
def test_agent_ends_with_a_peer_that_lies(agent, frames):
    agent.open()
    try:
        for frame in frames:
            agent.delivery.send_raw(frame)
        while True:
            assert agent.delivery.receive().outcome == "OK"
    except Closed:
        pass
    assert agent.ended() == 0
    assert agent.files("tmp") == []
    assert len(agent.files("new")) <= 1


def test_what_was_not_ended_is_not_kept(agent):
    agent.open()
    agent.delivery.send("put", req=1, **PUT)
    agent.delivery.send("put_chunk", req=1, data=b"x" * 30000)
    agent.delivery.send("put", req=2, **PUT)
    agent.delivery.send("put_chunk", req=2, data=b"whole\r\n")
    agent.delivery.send("put_end", req=2, ok=True)
    agent.delivery.send("put", req=3, **PUT)
    agent.delivery.send("put_end", req=3, ok=False)
    assert agent.delivery.receive().req == 2
    agent.delivery.close()
    assert agent.ended() == 0
    assert agent.files("tmp") == [] and len(agent.files("new")) == 1


@pytest.mark.parametrize("path", ["", "..", "../x", "a/../../b", "/etc", "a//b", "."])
def test_agent_refuses_paths_that_lead_elsewhere(agent, path):
    with contextlib.suppress(Closed):   # it may be gone before all is said
        agent.open(path)
    assert agent.ended() == 1
    assert os.listdir(agent.base) == []


@pytest.mark.root
def test_agent_refuses_to_be_root(tmp_path):
    it = Agent.__new__(Agent)
    it.base = tmp_path
    mine, its = socket.socketpair()
    it.parent = Link(mine)
    it.child = subprocess.Popen([str(BUILD / "bin/smtpd-agent")], pass_fds=[3],
                                stdin=subprocess.DEVNULL,
                                preexec_fn=lambda: os.dup2(its.fileno(), 3))
    its.close()
    it.parent.send("enter", role=ROLE["AGENT"], rights=AGENT_RIGHTS, descriptors=64,
                   file_bytes=UNLIMITED)
    try:
        it.open()
    except Closed:
        pass    # it has left before it was told all
    assert it.ended() == 1
    said = []
    with contextlib.suppress(Closed):
        while True:
            said.append(it.parent.receive())
    assert any(m.type == "log" and "never delivered as root" in m.line for m in said)
    assert os.listdir(tmp_path) == []
