# SPDX-License-Identifier: ISC
"""Peers that keep to the protocol and lie: to the session about what is accepted, to the queue about mail.

A client is told 250 for nothing but a commit that was answered; the queue
acts on no transaction, verdict or expansion that is not its own.
"""
import socket
import time

import pytest

import postern
from ipc import OUTCOMES, Closed
from session import Session
from victim import CONF, Victim

OK, RETRY, DENIED = (OUTCOMES.index(n) for n in ("OK", "RETRY", "DENIED"))


# -- the session ----------------------------------------------------------------

@pytest.fixture
def session():
    v = Session()
    yield v
    v.close()


def test_an_honest_queue(session):
    client, req = session.to_commit()
    session.queue.send("mail_done", req=req, outcome=OK, id=77)
    assert client.reply()[0] == 250


@pytest.mark.parametrize("change", [{"id": 78}, {"id": 0}, {"req": 1}])
def test_done_with_another_id_is_no_250(session, change):
    client, req = session.to_commit()
    values = {"req": req, "outcome": OK, "id": 77, **change}
    if change.get("req") == req:
        values["req"] = req + 1
    session.queue.send("mail_done", **values)
    if "id" in change:
        assert session.is_cut_off(session.queue)
    else:
        session.queue.close()
    assert client.reply()[0] == 451


def test_done_before_the_commit_is_no_250(session):
    client, req = session.to_data()
    session.queue.send("mail_done", req=req, outcome=OK, id=77)
    assert session.is_cut_off(session.queue)
    client.send("Subject: x\r\n\r\nx\r\n.\r\n")
    assert client.reply()[0] == 451


@pytest.mark.parametrize("outcome", [RETRY, DENIED, OUTCOMES.index("FULL")])
def test_bad_news_between_chunks_ends_the_message_at_the_next(session, outcome):
    client, req = session.to_rcpt()
    client.send("BDAT 3\r\nabc")
    assert client.reply()[0] == 250
    session.queue.send("mail_done", req=req, outcome=outcome, id=77)

    def refused():  # the news and the chunk come by different ways
        client.send("BDAT 3\r\nabc")
        return (code := client.reply()[0]) != 250 and code
    assert postern.wait_for(refused) == (452 if outcome == OUTCOMES.index("FULL") else 451)
    client.send("BDAT 14 LAST\r\nMAIL FROM:<>\r\nFROB\r\n")
    assert [client.reply()[0] for _ in range(2)] == [503, 500]
    assert client.cmd("MAIL FROM:<>")[0] == 250


def test_done_between_chunks_is_no_250(session):
    client, req = session.to_rcpt()
    client.send("BDAT 3\r\nabc")
    assert client.reply()[0] == 250
    session.queue.send("mail_done", req=req, outcome=OK, id=77)
    assert session.is_cut_off(session.queue)
    client.send("BDAT 3 LAST\r\nabc")
    assert client.reply()[0] == 451


def test_a_queue_that_dies_within_a_chunk(session):
    """Its octets are read to the end whatever became of the queue: none of them is a command."""
    client, _ = session.to_rcpt()
    client.send("BDAT 20 LAST\r\nabc\r\n")
    while session.queue.receive().type != "mail_rcpt":
        pass
    session.queue.close()
    client.send("RSET\r\nRSET\r\nabcNOOP\r\n")
    assert [client.reply()[0] for _ in range(2)] == [451, 250]


def test_a_queue_that_dies_after_the_commit_is_no_250(session):
    client, _ = session.to_commit()
    session.queue.close()
    assert client.reply()[0] == 451
    assert client.cmd("NOOP")[0] == 250


def test_a_late_answer_reaches_nobody(session):
    client, req = session.to_commit()
    session.queue.send("mail_done", req=req, outcome=RETRY, id=77)
    assert client.reply()[0] == 451
    session.queue.send("mail_done", req=req, outcome=OK, id=77)
    assert client.cmd("NOOP")[0] == 250
    assert session.client().cmd("RSET")[0] == 250


def test_ready_twice(session):
    client, req = session.to_data()
    session.queue.send("mail_ready", req=req, outcome=OK, id=99)
    assert session.is_cut_off(session.queue)
    client.send(".\r\n")
    assert client.reply()[0] == 451


def test_the_queue_of_before_cannot_answer(session):
    client, req = session.to_commit()
    old, session.queue = session.queue, session.link("QUEUE")
    assert client.reply()[0] == 451
    with pytest.raises(Closed):
        while True:
            old.send("mail_done", req=req, outcome=OK, id=77)
            old.receive(0.1)


@pytest.mark.parametrize("code", [0, 99, 220, 221, 249, 251, 354, 399])
def test_no_code_but_250_and_refusals(session, code):
    client = session.client()
    session.rcpt(client, code=code)
    assert session.is_cut_off(session.lookup)
    assert client.reply()[0] == 451


@pytest.mark.parametrize("field", ["text", "status"])
@pytest.mark.parametrize("octets", [b"a\r\n250 b", b"a\nb", b"a\rb", b"\x1b[2J", b"\xff\xfe"])
def test_no_octet_of_lookup_breaks_a_reply(session, field, octets):
    """A reply stays one line of printable ASCII whatever lookup says (CVE-2026-28753 and its kind)."""
    client = session.client()
    session.rcpt(client, **{"code": 550, "status": "5.1.1", "text": "no", field: octets})
    line = client.line()
    assert line.endswith("\r\n") and line[:-2].isascii() and line[:-2].isprintable(), line
    assert line[:3] in ("550", "451")
    assert client.cmd("NOOP")[0] == 250


def test_verdict_nobody_asked_for(session):
    client = session.client()
    req = session.rcpt(client, code=550, status="5.1.1", text="no")
    assert client.reply()[0] == 550
    for n in (0, req, req + 1, 2**32 - 1):
        session.lookup.send("rcpt_verdict", req=n, code=250, status="2.1.5", text="yes", action="demo")
    assert client.cmd("DATA")[0] in (503, 554)
    session.rcpt(client)
    assert client.reply()[0] == 250


# -- lookup: who may come in -----------------------------------------------------

def another_lookup(session, client):
    """The liar is cut off; the client waits for the next one, which is asked anew."""
    assert session.is_cut_off(session.lookup)
    session.lookup = session.link("LOOKUP")
    session.admit(session.expect(session.lookup, "client_enter").req)
    assert client.reply()[0] == 220


@pytest.mark.parametrize("code", [1, 99, 200, 220, 250, 354, 399, 599])
def test_nobody_is_greeted_by_lookup_itself(session, code):
    client, asked = session.connect()
    session.admit(asked.req, code=code, status="4.3.2", text="come in")
    if code < 400:
        another_lookup(session, client)
    else:
        assert client.reply() == (code, "4.3.2 come in")


@pytest.mark.parametrize("field", ["text", "status"])
@pytest.mark.parametrize("octets", [b"a\r\n220 b", b"a\nb", b"\0", b"\x1b[2J", b"\xff\xfe"])
def test_no_octet_of_lookup_breaks_a_farewell(session, field, octets):
    client, asked = session.connect()
    session.admit(asked.req, **{"code": 421, "status": "4.7.0", "text": "no", field: octets})
    another_lookup(session, client)


@pytest.mark.parametrize("name", [b"a\r\nReceived: x", b"a b", b"<x>", b"a(b)", b"\xff\xfe", b"-a", b"a..b", b"[192.0.2.1]"])
def test_a_name_that_no_host_has(session, name):
    client, asked = session.connect()
    session.admit(asked.req, rdns=4, name=name)
    another_lookup(session, client)


def test_a_verdict_on_a_client_who_is_in_already(session):
    client, asked = session.connect()
    for code in (0, 421):
        session.admit(asked.req, code=code, status="4.7.0", text="no")
    assert client.reply()[0] == 220
    for req in (0, asked.req, asked.req + 1, 2**32 - 1):
        session.admit(req, code=421, status="4.7.0", text="no")
    assert client.cmd("NOOP")[0] == 250


def test_a_balancer_that_lookup_names_twice(session):
    """Who was named by a balancer is no balancer: what comes next is SMTP."""
    client, asked = session.connect()
    session.admit(asked.req, proxied=True)
    client.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
    asked = session.expect(session.lookup, "client_enter")
    assert (asked.client, asked.proxy, asked.local) == ("192.0.2.1", "", False)
    session.admit(asked.req, proxied=True)
    assert client.reply()[0] == 220


def test_a_lookup_that_dies_before_the_greeting(session):
    client, _ = session.connect()
    session.lookup.sock.shutdown(socket.SHUT_RDWR)
    another_lookup(session, client)


def test_a_lookup_that_does_not_come_back(session):
    client, _ = session.connect()
    session.lookup.close()
    assert client.reply()[0] == 421
    with pytest.raises(EOFError):
        client.line()


def test_a_new_lookup_is_told_who_is_there(session):
    visits = {}
    for n in range(3):
        client, asked = session.connect()
        session.admit(asked.req)
        assert client.reply()[0] == 220
        visits[asked.visit] = client
    session.lookup.close()
    session.lookup = session.link("LOOKUP")
    told = [session.expect(session.lookup, "client_enter") for _ in visits]
    assert {m.visit for m in told} == set(visits) and all(m.again for m in told)
    visits[told[0].visit].close()
    assert session.expect(session.lookup, "client_leave").visit == told[0].visit


# -- lookup: what the filters say ------------------------------------------------

FILTERED = CONF.replace("listen on 127.0.0.1 port 25", """
filter "f" phase mail-from match mail-from {{ "x@example.net" }} reject "550 no"
listen on 127.0.0.1 port 25 filter "f"
""")


@pytest.fixture
def filtered():
    v = Session(FILTERED)
    yield v
    v.close()


def test_an_honest_filter(filtered):
    client = filtered.greeted()
    client.send("MAIL FROM:<x@example.net>\r\n")
    asked = filtered.expect(filtered.lookup, "filter_check")
    assert (asked.filter, asked.sender, asked.helo) == ("f", "x@example.net", "client.test")
    filtered.lookup.send("filter_verdict", req=asked.req, code=550, status="5.7.1", text="no")
    assert client.reply() == (550, "5.7.1 no")


@pytest.mark.parametrize("code", [1, 250, 354, 399])
def test_a_filter_says_no_or_nothing(filtered, code):
    client = filtered.greeted()
    client.send("MAIL FROM:<x@example.net>\r\n")
    asked = filtered.expect(filtered.lookup, "filter_check")
    filtered.lookup.send("filter_verdict", req=asked.req, code=code, status="2.0.0", text="yes")
    assert filtered.is_cut_off(filtered.lookup)
    assert client.reply()[0] == 451
    assert client.cmd("RCPT TO:<b@example.org>")[0] == 503


@pytest.mark.parametrize("value", ["no address", "a@b\r\nRCPT TO:<x@y>", "@", "a" * 65 + "@example.org", "\u00e9@x.test"])
def test_a_filter_writes_no_address(filtered, value):
    client = filtered.greeted()
    client.send("MAIL FROM:<x@example.net>\r\n")
    asked = filtered.expect(filtered.lookup, "filter_check")
    filtered.lookup.send("filter_verdict", req=asked.req, value=value)
    assert client.reply()[0] == 451
    assert client.cmd("RCPT TO:<b@example.org>")[0] == 503


def test_a_filter_that_nobody_asked(filtered):
    client = filtered.greeted()
    client.send("MAIL FROM:<x@example.net>\r\n")
    req = filtered.expect(filtered.lookup, "filter_check").req
    filtered.lookup.send("filter_verdict", req=req)
    assert client.reply()[0] == 250
    for n in (0, req, req + 1, 2**32 - 1):
        filtered.lookup.send("filter_verdict", req=n, code=550, status="5.7.1", text="no", disconnect=True)
    filtered.rcpt(client)
    assert client.reply()[0] == 250


def test_a_filter_answers_for_the_rules(filtered):
    """The answer to one question is none to another."""
    client = filtered.greeted()
    client.send("MAIL FROM:<x@example.net>\r\n")
    req = filtered.expect(filtered.lookup, "filter_check").req
    filtered.lookup.send("rcpt_verdict", req=req, code=250, status="2.1.5", text="yes", action="demo")
    assert filtered.is_cut_off(filtered.lookup)
    assert client.reply()[0] == 451


# -- the session, and a queue that does not read ------------------------------------

def test_a_queue_that_does_not_read_holds_back_its_clients(session):
    """Back-pressure: a body of 200 MB to a queue that stands still stays with the client."""
    client, _ = session.to_data()
    before = session.memory_mib()
    client.sock.setblocking(False)
    sent, line = 0, (b"x" * 998 + b"\r\n") * 64
    quiet = time.monotonic()
    while sent < 200 << 20 and time.monotonic() - quiet < 1:
        try:
            sent += client.sock.send(line)
            quiet = time.monotonic()
        except BlockingIOError:
            session.pump(timeout=0.05)
    assert sent < 64 << 20
    assert session.memory_mib() - before < 32


# -- the queue ------------------------------------------------------------------

class Queue(Victim):
    def __init__(self):
        super().__init__("queue")
        self.session = self.link("SESSION")

    def begin(self, req, link=None, **more):
        (link or self.session).send("mail_begin", req=req, sender="a@example.net", client="[192.0.2.1] c", **more)

    def expect(self, link, name):
        m = link.receive()
        assert m.type == name, m
        return m

    def commit(self, req):
        """An honest message; its id."""
        self.begin(req)
        self.session.send("mail_rcpt", req=req, address="b@example.org", original="b@example.org", action="demo")
        ready = self.expect(self.session, "mail_ready")
        assert ready.outcome == "OK"
        self.session.send("mail_chunk", req=req, seq=1, data=b"Subject: x\r\n\r\nx\r\n")
        self.session.send("mail_commit", req=req, trace=b"Received: x\r\n")
        done = self.expect(self.session, "mail_done")
        assert (done.outcome, done.id) == ("OK", ready.id)
        return ready.id


@pytest.fixture
def queue():
    v = Queue()
    yield v
    assert v.fault() == ""
    # Whatever was done to it, it still takes mail.
    v.session = v.link("SESSION", 63)
    v.commit(1)
    v.close()


BREACHES = {
    "begun twice": [("mail_begin", {}), ("mail_begin", {})],
    "a chunk of nothing": [("mail_chunk", {"seq": 1, "data": b"x"})],
    "a chunk too early": [("mail_begin", {}), ("mail_chunk", {"seq": 2, "data": b"x"})],
    "chunk zero": [("mail_begin", {}), ("mail_chunk", {"seq": 0, "data": b"x"})],
    "a chunk twice": [("mail_begin", {}), ("mail_chunk", {"seq": 1, "data": b"x"}),
                      ("mail_chunk", {"seq": 1, "data": b"x"})],
    "a recipient of nothing": [("mail_rcpt", {"address": "b@example.org"})],
    "a commit of nothing": [("mail_commit", {})],
    "a commit for nobody": [("mail_begin", {}), ("mail_commit", {"trace": b"x"})],
    "a commit twice": [("mail_begin", {}), ("mail_rcpt", {"address": "b@example.org", "action": "demo"}),
                       ("mail_commit", {}), ("mail_commit", {})],
}


@pytest.mark.parametrize("steps", BREACHES.values(), ids=BREACHES.keys())
def test_a_session_that_breaks_the_order(queue, steps):
    for name, values in steps:
        try:
            queue.session.send(name, req=5, **values)
        except Closed:
            break
    assert queue.is_cut_off(queue.session)
    queue.wait_log("event=peer-cut-off peer=session")


def test_more_recipients_than_configured(queue):
    """The transaction fails and stays mute; its link and the others on it are none the worse."""
    queue.begin(5)
    for _ in range(1001):
        queue.session.send("mail_rcpt", req=5, address="b@example.org", action="demo")
    ready = queue.expect(queue.session, "mail_ready")
    done = queue.expect(queue.session, "mail_done")
    assert (done.outcome, done.id) == ("RETRY", ready.id)
    queue.session.send("mail_chunk", req=5, seq=1, data=b"x\r\n")
    queue.session.send("mail_commit", req=5)
    wanted = queue.commit(6)
    got = queue.ask(queue.link("CONTROL"), "list", "list_end", limit=100)
    assert [m.id for m in got if m.type == "list_message"] == [wanted]


def test_one_session_cannot_touch_anothers(queue):
    other = queue.link("SESSION", 1)
    queue.begin(5)
    queue.expect(queue.session, "mail_ready")
    other.send("mail_abort", req=5)      # of its own it has none: nothing to do
    other.send("mail_chunk", req=5, seq=1, data=b"x")
    assert queue.is_cut_off(other)
    queue.session.send("mail_rcpt", req=5, address="b@example.org", original="b@example.org", action="demo")
    queue.session.send("mail_chunk", req=5, seq=1, data=b"x\r\n")
    queue.session.send("mail_commit", req=5)
    assert queue.expect(queue.session, "mail_done").outcome == "OK"


def test_what_was_not_committed_is_not_kept(queue):
    control = queue.link("CONTROL")
    for req in range(1, 20):
        queue.begin(req)
        queue.session.send("mail_rcpt", req=req, address="b@example.org", action="demo")
        queue.session.send("mail_chunk", req=req, seq=1, data=b"x\r\n")
    queue.session.close()
    queue.session = queue.link("SESSION", 2)
    wanted = queue.commit(7)
    got = queue.ask(control, "list", "list_end", limit=100)
    assert [m.id for m in got if m.type == "list_message"] == [wanted]


@pytest.mark.parametrize("key", [0, 1, 2**63, 2**64 - 1])
def test_a_verdict_nobody_asked_for(queue, key):
    wanted = queue.commit(1)
    delivery = queue.link("DELIVERY")
    delivery.send("verdict", req=1, key=key, outcome=OK, status="2.0.0", text="ok", remote="r")
    assert queue.is_cut_off(delivery)
    got = queue.ask(queue.link("CONTROL"), "list", "list_end", limit=100)
    assert [m.id for m in got if m.type == "list_message"] == [wanted]


def test_a_body_is_not_for_who_has_no_job(queue):
    wanted = queue.commit(1)
    delivery = queue.link("DELIVERY")
    got = queue.ask(delivery, "chunk_get", "chunk", id=wanted, seq=1)[-1]
    assert got.outcome == "GONE" and not got.data


def test_an_expansion_without_end_is_bounded(queue):
    lookup, _ = queue.link("LOOKUP"), queue.link("DELIVERY")
    wanted = queue.commit(1)
    before = queue.memory_mib()
    req = queue.expect(lookup, "expand").req
    item = {"req": req, "action": "demo", "user": "u" * 60, "dest": "d" * 250}
    try:
        for n in range(60000):
            lookup.send("expand_item", address="%d@example.org" % n, **item)
            if n % 500 == 0:
                queue.pump()
        lookup.send("expand_end", req=req, outcome=OK)
    except Closed:
        pass
    assert queue.memory_mib() - before < 128
    got = queue.ask(queue.link("CONTROL"), "get", "list_end", id=wanted)
    assert len([m for m in got if m.type == "list_rcpt"]) <= 10000


def cpu_s(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


def test_transactions_without_end(queue):
    """More than it will hold: the rest is told to come again, and the end of them does not stop the others."""
    before, answers = queue.memory_mib(), {"OK": 0, "RETRY": 0}
    req = 0
    for _ in range(100):
        for _ in range(1000):
            req += 1
            queue.begin(req)
        for _ in range(1000):
            answers[queue.expect(queue.session, "mail_ready").outcome] += 1
    assert sum(answers.values()) == 100000 and answers["RETRY"] > 0
    assert queue.memory_mib() - before < 256
    queue.session.close()
    queue.session = queue.link("SESSION", 1)
    before = cpu_s(queue.child.pid)     # not the wall's: others may have the processors
    queue.commit(1)
    assert cpu_s(queue.child.pid) - before < 5
