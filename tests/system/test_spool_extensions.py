# SPDX-License-Identifier: ISC
"""What senders ask for with their message, through a lone queue and out of a lone delivery process.

RFC 2852 (DELIVERBY), 3030 (BINARYMIME), 3461 (DSN), 4865 (FUTURERELEASE), 6710 (MT-PRIORITY), 8689 (REQUIRETLS).
"""
import email.utils
import os
import random
import select
import socket
import ssl
import subprocess
import threading
import time

import pytest

from ipc import ADDRESS_SPACE, Process
from lone_queue import OK, RETRY, SENDER, SHARE, Queue
from victim import Victim

BINARYMIME, REQUIRETLS, EIGHTBIT, SMTPUTF8, AUTHENTICATED = 0x40, 0x80, 0x02, 0x04, 0x10
RETURN, NOTIFY = 1, 2
SCHEDULE, REMOVE, HOLD, RELEASE = range(4)  # enum ipc_change
TTL = 4 * 86400  # the default of "queue ttl"


# -- the queue --------------------------------------------------------------------------

@pytest.fixture
def queue():
    it = Queue()
    yield it
    it.close()


def test_all_is_kept_and_handed_on(queue):
    envid, orcpt = "a+b==7Fc %s\\é", "utf-8;J\\x{F6}rg+40@example.org"
    original = '"J. D\\"oe"@Example.ORG'
    flags = BINARYMIME | REQUIRETLS | EIGHTBIT | SMTPUTF8 | AUTHENTICATED
    message = queue.submit("to@example.org", {"original": original, "orcpt": orcpt, "notify": 0xe},
                           flags=flags | 0xff00 | 0x01 | 0x08, envid=envid, ret="FULL", priority=-3)
    shown, rcpts = queue.shown(message)
    assert shown.flags == flags  # held, "a report" and what has no meaning are not a session's to say
    assert [r.original for r in rcpts] == [original]
    queue.go()
    queue.expand()
    job, rcpt = queue.job()
    assert (job.envid, job.ret, job.flags) == (envid, "FULL", flags)
    assert (rcpt.orcpt, rcpt.notify, rcpt.address) == (orcpt, 0xe, "to@example.org")


def test_not_before_its_release(queue):
    queue.go()
    release = int(time.time()) + 2
    message = queue.submit(release_s=release)
    shown, rcpts = queue.shown(message)
    assert rcpts[0].due_s == release
    assert shown.expires_s == release + TTL
    other = queue.submit("now@example.org")
    assert queue.expand().address == "now@example.org"
    job, rcpt = queue.job()
    assert job.id == other
    queue.judge(job, rcpt)
    queue.expand()
    assert time.time() >= release
    job, rcpt = queue.job()
    assert job.id == message
    queue.judge(job, rcpt)
    queue.wait_shown(message, lambda shown: shown is None)


def test_a_release_in_the_past_is_now(queue):
    queue.go()
    before = int(time.time())
    message = queue.submit(release_s=1)
    shown, rcpts = queue.shown(message)
    assert before <= rcpts[0].due_s == shown.expires_s - TTL
    queue.expand()


def test_returned_when_it_is_late(queue):
    """Tried before its time; at its time not tried any more, but returned with 5.4.7 and the last answer."""
    queue.go()
    by = int(time.time()) + 3
    message = queue.submit(by=RETURN, by_s=by, by_trace=True)
    assert queue.shown(message)[0].expires_s == by
    queue.expand()
    job, rcpt = queue.job()
    queue.judge(job, rcpt, RETRY, "4.7.1", "451 4.7.1 greylisted")
    queue.wait_shown(message, lambda shown: shown[1][0].attempts == 1)
    assert queue.shown(message)[1][0].due_s == by
    _, envelope, (one,) = queue.report()
    assert time.time() >= by
    assert (one["Action"], one["Status"]) == ("failed", "5.4.7")
    assert "greylisted" in one["Diagnostic-Code"]
    assert email.utils.parsedate_to_datetime(envelope["Deliver-By-Date"]).timestamp() == by
    assert queue.shown(message) is None


def test_not_tried_at_all_when_it_is_late_already(queue):
    message = queue.submit(by=RETURN, by_s=int(time.time()) - 10)
    queue.go()
    _, _, (one,) = queue.report()
    assert (one["Final-Recipient"], one["Status"]) == ("rfc822; to@example.org", "5.4.7")
    assert queue.shown(message) is None


def test_late_before_its_release(queue):
    """Nothing can come of it: it is returned when its time is over, not when it would be released."""
    queue.go()
    now = int(time.time())
    queue.submit(by=RETURN, by_s=now + 1, release_s=now + 3600)
    _, _, (one,) = queue.report()
    assert one["Status"] == "5.4.7"


def test_returned_although_nobody_could_deliver_it(queue):
    """Its sender hears of it as soon as there is somebody to take the report."""
    message = queue.submit(by=RETURN, by_s=int(time.time()) + 1, release_s=int(time.time()) + 3600)
    held = queue.submit(by=RETURN, by_s=int(time.time()) + 1)
    assert queue.ask(queue.control, "change", "done", what=HOLD, id=held)[-1].outcome == "OK"
    other = queue.submit(by=RETURN, by_s=int(time.time()) + 3600)
    queue.wait_shown(message, lambda shown: shown is None)
    assert (queue.counter("failed"), queue.counter("reports")) == (1, 1)
    assert queue.shown(held) and queue.shown(other)[1][0].state == 0
    assert queue.ask(queue.control, "change", "done", what=REMOVE, id=other)[-1].outcome == "OK"
    queue.go()
    _, _, (one,) = queue.report()
    assert (one["Action"], one["Status"]) == ("failed", "5.4.7")
    assert queue.ask(queue.control, "change", "done", what=RELEASE, id=held)[-1].outcome == "OK"
    _, _, (one,) = queue.report()
    assert one["Status"] == "5.4.7"


def test_who_is_being_tried_is_not_returned(queue):
    """What delivery has when the time is over is delivery's to judge."""
    queue.go()
    by = int(time.time()) + 2
    message = queue.submit(by=RETURN, by_s=by)
    queue.expand()
    job, rcpt = queue.job()
    while time.time() < by + 2:  # that nothing happens is what is tested
        assert queue.shown(message)[1][0].working
        time.sleep(0.1)
    queue.judge(job, rcpt)
    queue.wait_shown(message, lambda shown: shown is None)
    assert queue.counter("reports") == 0


def test_all_at_once_but_what_is_to_be_held(queue):
    release = int(time.time()) + 3600
    message, late = queue.submit(release_s=release), queue.submit(release_s=release, by=RETURN, by_s=release - 60)
    assert queue.ask(queue.control, "change", "done", what=SCHEDULE, id=0)[-1].outcome == "OK"
    assert queue.shown(message)[1][0].due_s == release
    assert queue.shown(late)[1][0].due_s == release - 60
    queue.go()
    assert queue.ask(queue.control, "change", "done", what=SCHEDULE, id=message)[-1].outcome == "OK"
    queue.expand()
    assert queue.job()[0].id == message


def test_what_the_next_hop_is_told(queue):
    by = int(time.time()) + 3600
    queue.submit(by=NOTIFY, by_s=by, by_trace=True, priority=-4)
    queue.go()
    queue.expand()
    job, _ = queue.job()
    assert (job.by, job.by_s, job.by_trace, job.priority) == (NOTIFY, by, True, -4)


def test_a_limit_beyond_the_days_in_the_queue(queue):
    before = int(time.time())
    message = queue.submit(by=RETURN, by_s=before + 10 * TTL)
    assert before + TTL <= queue.shown(message)[0].expires_s <= int(time.time()) + TTL


def test_told_when_it_is_late(queue):
    """The sender hears of it once, and the message goes on."""
    queue.go()
    by = int(time.time()) + 2
    message = queue.submit(by=NOTIFY, by_s=by)
    queue.expand()
    job, rcpt = queue.job()
    queue.judge(job, rcpt, RETRY, "4.4.1", "connection refused")
    _, _, (one,) = queue.report()
    assert time.time() >= by
    assert (one["Action"], one["Status"]) == ("delayed", "4.4.7")
    assert "Will-Retry-Until" in one
    shown, rcpts = queue.shown(message)
    assert shown.expires_s > by + TTL - 60 and rcpts[0].attempts == 1
    assert queue.ask(queue.control, "change", "done", what=0, id=message)[-1].outcome == "OK"
    queue.expand()
    job, rcpt = queue.job()
    assert job.id == message
    queue.judge(job, rcpt)
    queue.wait_shown(message, lambda shown: shown is None)
    assert queue.counter("reports") == 1


@pytest.mark.parametrize("values", [
    {"release_s": -1}, {"release_s": 2**63 - 1}, {"by": RETURN, "by_s": 0}, {"by": NOTIFY, "by_s": -5},
    {"by": RETURN, "by_s": 2**63 - 1}, {"by_s": -1}, {"priority": 10}, {"priority": -10}, {"by": 3},
    {"flags": 0x10000}])
def test_what_no_session_may_say(queue, values):
    queue.session.send("mail_begin", req=1, sender=SENDER, **values)
    assert queue.is_cut_off(queue.session)
    queue.session = queue.link("SESSION", 1)
    queue.submit()


def test_the_urgent_ones_first(queue):
    """Of those that wait for a busy destination, by priority, and in order within one."""
    queue.go()
    queue.submit_list(SHARE, "example.org")
    busy = queue.take(SHARE)
    ids = []
    for n, priority in enumerate((0, -5, 9, 0, 3, 9)):
        ids.append(queue.submit("n%d@example.org" % n, priority=priority))
        queue.expand()
    end = time.monotonic() + 30
    while queue.counter("parked") < len(ids):
        assert time.monotonic() < end
    order = []
    for job, rcpt in busy[:len(ids)]:
        queue.judge(job, rcpt)
        order.append(queue.job()[0].id)
    assert order == [ids[n] for n in (2, 5, 4, 0, 3, 1)]


def test_a_destination_has_not_all_the_memory(queue):
    """40,000 recipients of one host that answers nothing, and one of another."""
    queue.go()
    big, members = 4, 10_000
    for n in range(big):
        queue.submit("list%d@example.org" % n)
        m = queue.next(queue.lookup, "expand")
        for i in range(members):
            queue.lookup.send("expand_item", req=m.req, address=f"m{i}@big.test", action="out", dest="big.test")
        queue.lookup.send("expand_end", req=m.req, outcome=OK)
    queue.submit("to@other.test")
    seen, deadline = 0, time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([queue.lookup.sock, queue.delivery.sock], [], [], 1)[0] == [queue.lookup.sock]:
            queue.expand("other.test")
        elif (m := queue.delivery.receive()).type == "job_rcpt":
            seen += 1
            if m.address == "to@other.test":
                break
    assert m.address == "to@other.test" and seen <= SHARE + 1
    assert queue.counter("parked") < 32_768 - 4096


def test_who_comes_after_one_that_is_late(queue):
    """Those that wait for a busy destination and are late leave their turn to the next, not to nobody."""
    queue.go()
    by = int(time.time()) + 4
    queue.submit_list(SHARE + 300, by=RETURN, by_s=by)
    busy = queue.take(SHARE)
    queue.wait_counter("parked", lambda n: n == 300)
    other = queue.submit("last@big.test")
    queue.expand("big.test")
    queue.wait_counter("parked", lambda n: n == 301)
    while time.time() <= by:
        time.sleep(0.1)
    for job, rcpt in busy:
        queue.judge(job, rcpt, RETRY, "4.4.2", "timed out")
    job, _ = queue.job()
    assert job.id == other
    queue.wait_counter("failed", lambda n: n == SHARE + 300)
    assert queue.counter("parked") == 0


def test_the_urgent_ones_need_not_go_back(queue):
    """Where there is no more memory for those that wait, those of less priority make room."""
    queue.go()
    for _ in range(2):
        queue.submit_list(10_000)
    busy = queue.take(SHARE)
    queue.wait_counter("in-flight", lambda n: n == queue.counter("parked") + SHARE)
    parked = queue.counter("parked")
    assert 14_000 < parked < 14_500
    urgent = queue.submit("urgent@big.test", priority=9)
    queue.expand("big.test")
    queue.wait_counter("in-flight", lambda n: n == parked + SHARE)
    queue.judge(*busy[0])
    assert queue.job()[0].id == urgent


def test_no_idle_time_for_who_went_back(queue):
    """A destination that is fast has those that found no memory to wait in as soon as it can take them."""
    queue.go()
    for _ in range(2):
        queue.submit_list(10_000)
    began, left = time.monotonic(), 20_000
    while left:
        m = queue.delivery.receive()
        if m.type == "job":
            job = m
        else:
            queue.judge(job, m)
            left -= 1
        assert time.monotonic() - began < 45, left


# -- delivery ---------------------------------------------------------------------------

RIGHTS = 0x0001 | 0x0010 | 0x0100 | 0x0200  # base, connect, read-fd, tls: smtpd/roles.c
CA_FILE = 1
CONF = """
hostname "mx.example.org"
action "out" relay host "smtp://127.0.0.1:{port}"
action "plain" relay host "smtp+notls://127.0.0.1:{port}"
action "by-mx" relay
match for any action "out"
match for domain "a.example" action "plain"
match for domain "b.example" action "by-mx"
"""
BINARY = random.Random(7).randbytes(100000) + b"\r\n.\r\n\n.\n\r\r\0.\r\nno end"


class Server:
    """A next hop that speaks STARTTLS and BDAT; what it announces in plain, and behind TLS."""

    def __init__(self, plain=(), secure=(), context=None):
        self.plain, self.secure, self.context = list(plain), list(secure), context
        self.seen, self.mail = [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        keywords, text = self.plain, b""
        try:
            sock.sendall(b"220 peer.test\r\n")
            while (line := self.line(sock)):
                self.seen.append(line)
                word, *rest = line.split()
                if word == "EHLO":
                    lines = ["peer.test", *keywords]
                    sock.sendall("".join("250%s%s\r\n" % ("- "[n == len(lines) - 1], text)
                                         for n, text in enumerate(lines)).encode())
                elif word == "STARTTLS":
                    sock.sendall(b"220 go\r\n")
                    sock, keywords = self.context.wrap_socket(sock, server_side=True), self.secure
                elif word == "BDAT":
                    text += self.octets(sock, int(rest[0]))
                    if rest[1:] == ["LAST"]:
                        self.mail.append(text)
                        text = b""
                    sock.sendall(b"250 2.6.0 kept\r\n")
                elif word == "DATA":
                    sock.sendall(b"354 go\r\n")
                    text = b""
                    while not text.endswith(b"\r\n.\r\n"):
                        text += self.octets(sock, 1)
                    self.mail.append(text)
                    sock.sendall(b"250 2.6.0 kept\r\n")
                else:
                    sock.sendall(b"221 bye\r\n" if word == "QUIT" else b"250 ok\r\n")
        except OSError as e:
            self.seen.append(str(e))
        finally:
            sock.close()

    @staticmethod
    def octets(sock, n):
        data = b""
        while len(data) < n and (more := sock.recv(n - len(data))):
            data += more
        return data

    def line(self, sock):
        line = b""
        while not line.endswith(b"\r\n") and (octet := sock.recv(1)):
            line += octet
        return line.decode().rstrip()

    def commands(self, word):
        return [line for line in self.seen if line.startswith(word)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Where a certificate for 127.0.0.1 is, and a server's context with it."""
    where = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=peer.test", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", where / "key", "-out", where / "cert"],
                   check=True, capture_output=True, stdin=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(where / "cert", where / "key")
    return where / "cert", context


class Delivery(Process):
    def __init__(self, port, ca=None):
        super().__init__("smtpd-delivery", "DELIVERY", RIGHTS, CONF.format(port=port).encode(),
                         files=[(CA_FILE, "", ca)] if ca else [], ports=(port,),
                         limits=(1024, ADDRESS_SPACE, 0, 0))
        self.queue, self.lookup = self.link("QUEUE"), self.link("LOOKUP")

    def deliver(self, flags, text=b"Subject: x\r\n\r\nx\r\n", action="out", to="to@example.org", **more):
        """One message to one recipient, until its verdict."""
        pieces = [text[at:at + 32768] for at in range(0, len(text), 32768)]
        values = {"sender": SENDER, "action": action, "dest": "example.org", "flags": flags, **more}
        self.queue.send("job", req=7, id=1, size_bytes=len(text), nchunks=len(pieces), nrcpts=1, **values)
        self.queue.send("job_rcpt", req=7, key=1, address=to)
        while True:
            m = self.queue.receive() if not self.lookup_speaks() else self.answer_route()
            if m is not None and m.type == "verdict":
                return m.outcome, m.status
            if m is not None and m.type == "chunk_get":
                self.queue.send("chunk", req=m.req, data=pieces[m.seq])

    def lookup_speaks(self):
        """Lookup is asked for hosts only; each is an address of this host, and nobody vouches for it."""
        if self.queue.holds_frame():
            return False
        ready = select.select([self.queue.sock, self.lookup.sock], [], [], 30)[0]
        assert ready
        return self.lookup.sock in ready

    def answer_route(self):
        m = self.lookup.receive()
        assert m.type == "route", m
        self.lookup.send("route_host", req=m.req, host=m.name, address="127.0.0.1")
        self.lookup.send("route_end", req=m.req, outcome=OK)


@pytest.fixture
def start():
    """Starts delivery for a server; both end with the test."""
    started = []

    def begin(server, ca=None):
        started.append((Delivery(server.port, ca), server))
        return started[-1][0]
    yield begin
    for delivery, server in started:
        server.listener.close()
        assert delivery.stop() == 0


def test_binary_as_it_is(start):
    server = Server(["CHUNKING", "BINARYMIME", "PIPELINING", "SIZE"])
    assert start(server).deliver(BINARYMIME | EIGHTBIT, BINARY) == ("OK", "2.6.0")
    assert server.mail == [BINARY]
    assert server.commands("MAIL") == ["MAIL FROM:<%s> SIZE=%d BODY=BINARYMIME" % (SENDER, len(BINARY))]


@pytest.mark.parametrize("keywords", [[], ["8BITMIME"], ["CHUNKING", "8BITMIME"], ["BINARYMIME", "8BITMIME"]])
def test_binary_never_by_another_way(start, keywords):
    server = Server(keywords)
    assert start(server).deliver(BINARYMIME, BINARY) == ("FAIL", "5.6.3")
    assert not server.mail and not server.commands("MAIL")


def test_utf8_only_to_who_takes_it(start):
    server = Server(["8BITMIME"])
    delivery = start(server)
    assert delivery.deliver(0, to="jörg@example.org") == ("FAIL", "5.6.7")
    assert delivery.deliver(0, sender="jörg@example.net") == ("FAIL", "5.6.7")
    assert delivery.deliver(0)[0] == "OK"


def test_tls_required_and_passed_on(start, certificate):
    ca, context = certificate
    server = Server(["STARTTLS"], ["REQUIRETLS", "SIZE"], context)
    assert start(server, ca).deliver(REQUIRETLS)[0] == "OK"
    assert server.commands("MAIL") == ["MAIL FROM:<%s> SIZE=17 REQUIRETLS" % SENDER]


def test_tls_required_and_not_promised(start, certificate):
    """What it announces in plain is worth nothing; it is told QUIT, not left standing."""
    ca, context = certificate
    server = Server(["STARTTLS", "REQUIRETLS"], ["SIZE"], context)
    assert start(server, ca).deliver(REQUIRETLS) == ("FAIL", "5.7.30")
    assert not server.commands("MAIL") and server.commands("QUIT")


def test_tls_required_and_not_verified(start, certificate):
    _, context = certificate
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    if not os.path.exists(bundle):
        pytest.skip("no CA bundle to mistrust this certificate with")
    server = Server(["STARTTLS"], ["REQUIRETLS"], context)
    delivery = start(server, bundle)
    assert delivery.deliver(REQUIRETLS) == ("FAIL", "5.7.10")
    assert not server.commands("MAIL")
    assert delivery.deliver(0)[0] == "OK"  # who asks for nothing is served as ever


def test_tls_required_and_not_there(start, certificate):
    server = Server(["REQUIRETLS"])
    delivery = start(server, certificate[0])
    for action in ("out", "plain"):
        assert delivery.deliver(REQUIRETLS, action=action) == ("FAIL", "5.7.10")
    assert not server.commands("MAIL")


def test_tls_required_by_way_of_unproven_names(start, certificate):
    """Nobody vouches for what DNS says here: no host is even asked."""
    server = Server(["STARTTLS"], ["REQUIRETLS"], certificate[1])
    assert start(server, certificate[0]).deliver(REQUIRETLS, action="by-mx") == ("FAIL", "5.7.30")
    assert not server.seen


def test_a_report_is_not_lost_for_tls(start, certificate):
    """RFC 8689 5: that a message came to nothing is told even over a way that promises nothing."""
    ca, context = certificate
    server = Server(["STARTTLS"], ["REQUIRETLS"], context)
    assert start(server, ca).deliver(REQUIRETLS, action="plain", sender="")[0] == "OK"
    assert server.commands("MAIL") == ["MAIL FROM:<>"]


@pytest.mark.parametrize("keyword", ["DELIVERBY", "DELIVERBY 500", "DELIVERBY 500,x", "deliverby"])
@pytest.mark.parametrize("by, trace, said", [(RETURN, False, "R"), (RETURN, True, "RT"), (NOTIFY, False, "N"),
                                             (NOTIFY, True, "NT")])
def test_what_is_left_of_the_time_is_passed_on(start, keyword, by, trace, said):
    server = Server([keyword])
    assert start(server).deliver(0, by=by, by_s=int(time.time()) + 600, by_trace=trace)[0] == "OK"
    (mail,) = server.commands("MAIL")
    seconds, mode = mail.removeprefix("MAIL FROM:<%s> BY=" % SENDER).split(";")
    assert 540 < int(seconds) <= 600 and mode == said


def test_a_time_that_has_passed_is_passed_on(start):
    server = Server(["DELIVERBY 600"])
    delivery = start(server)
    assert delivery.deliver(0, by=NOTIFY, by_s=int(time.time()) - 600)[0] == "OK"
    assert delivery.deliver(0, by=NOTIFY, by_s=2**63 - 1)[0] == "OK"
    assert delivery.deliver(0, by=NOTIFY, by_s=-(2**63 - 1))[0] == "OK"
    seconds = [int(mail.split("BY=")[1].split(";")[0]) for mail in server.commands("MAIL")]
    assert -660 < seconds[0] <= -600 and seconds[1:] == [999999999, -999999999]


@pytest.mark.parametrize("keywords, left", [([], 600), (["DELIVERBY 700"], 600), (["DELIVERBY"], 0),
                                            (["DELIVERBY"], -5)])
def test_not_to_who_does_not_keep_to_its_time(start, keywords, left):
    """RFC 2852: it goes back to its sender, whatever this server would have done with it."""
    server = Server(keywords)
    assert start(server).deliver(0, by=RETURN, by_s=int(time.time()) + left) == ("FAIL", "5.4.7")
    assert not server.commands("MAIL")


def test_to_tell_of_a_delay_binds_no_next_hop(start):
    server = Server(["SIZE"])
    assert start(server).deliver(0, by=NOTIFY, by_s=int(time.time()) + 600)[0] == "OK"
    assert server.commands("MAIL") == ["MAIL FROM:<%s> SIZE=17" % SENDER]


@pytest.mark.parametrize("keywords, priority, said", [
    (["MT-PRIORITY"], -9, " MT-PRIORITY=-9"), (["MT-PRIORITY MIXER"], 4, " MT-PRIORITY=4"), (["MT-PRIORITY"], 0, ""),
    ([], 4, "")])
def test_the_priority_is_passed_on(start, keywords, priority, said):
    server = Server(keywords)
    assert start(server).deliver(0, priority=priority)[0] == "OK"
    assert server.commands("MAIL") == ["MAIL FROM:<%s>%s" % (SENDER, said)]


# -- a mailbox --------------------------------------------------------------------------

@pytest.fixture
def agent():
    it = Victim("agent")
    yield it
    it.close()


@pytest.mark.parametrize("flags, kept", [(BINARYMIME, BINARY), (EIGHTBIT, BINARY.replace(b"\r\n", b"\n"))])
def test_binary_as_it_is_in_a_maildir(agent, flags, kept):
    """RFC 3030 3: every bit of every octet; of text the line ends become this system's, as ever."""
    delivery = agent.link("DELIVERY")
    delivery.send("put", req=1, id=1, sender=SENDER, rcpt="to@example.org", size_bytes=len(BINARY), flags=flags)
    for at in range(0, len(BINARY), 32768):
        delivery.send("put_chunk", req=1, data=BINARY[at:at + 32768])
    delivery.send("put_end", req=1, ok=True)
    assert delivery.receive().outcome == "OK"
    new = os.path.join(agent.directory, "Maildir", "new")
    (name,) = os.listdir(new)
    with open(os.path.join(new, name), "rb") as f:
        assert f.read().endswith(kept)
    delivery.close()
