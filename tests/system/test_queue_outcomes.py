# SPDX-License-Identifier: ISC
"""What the queue makes of what delivery says: when it is tried again, of what success its sender
hears, how well the way to a domain was protected; and that a few destinations leave room for all others.

RFC 3461 5.2 and 3464: "delivered", "relayed" and "expanded".
"""
import time

import pytest

from lone_queue import FAIL, OK, RETRY, SHARE, Queue

NEVER, SUCCESS, FAILURE, DELAY = 1, 2, 4, 8
SCHEDULE = 0  # enum ipc_change
PLAIN, ENCRYPTED, VERIFIED, DANE = range(4)
RETRY_MIN, RETRY_MAX = 300, 14400  # the defaults of "queue retry-min" and "retry-max"
TTL = 4 * 86400  # and of "queue ttl"


@pytest.fixture
def queue():
    it = Queue()
    it.go()
    yield it
    it.close()


def one(queue, **rcpt):
    """A message whose recipient is in delivery's hands: (id, job, recipient)."""
    message = queue.submit("to@example.org", rcpt)
    queue.expand()
    return (message, *queue.job())


def recipient(queue, message):
    return queue.shown(message)[1][0]


# -- when it is tried again -------------------------------------------------------------

@pytest.mark.parametrize("again, tried, least, most", [
    (0, True, RETRY_MIN, RETRY_MIN),
    (7, False, 7, 10),  # exactly, but for a few seconds over which all come back
    (1800, True, 1800, 1800),
    (7, True, RETRY_MIN, RETRY_MIN),  # a server's wish, within reason
    (999999, True, RETRY_MAX, RETRY_MAX),
    (2**63 - 1, False, TTL, TTL),  # no later than when it expires
])
def test_when_it_is_tried_again(queue, again, tried, least, most):
    message, job, rcpt = one(queue)
    before = time.time() - (again > TTL)  # it expires so long after it was accepted
    queue.judge(job, rcpt, RETRY, "4.3.2", "450 4.3.2 not now", again_s=again, tried=tried)
    queue.wait_shown(message, lambda shown: shown[1][0].text)
    shown = recipient(queue, message)
    assert int(before) + least <= shown.due_s <= time.time() + most
    assert shown.attempts == tried
    assert (shown.status, shown.text) == ("4.3.2", "450 4.3.2 not now")


def test_an_admin_wants_it_tried(queue):
    message, job, rcpt = one(queue)
    queue.judge(job, rcpt, RETRY, "4.4.1", "connection refused", again_s=3000, tried=False)
    queue.wait_shown(message, lambda shown: shown[1][0].text)
    queue.ask(queue.control, "change", "done", what=SCHEDULE, id=message)
    queue.next(queue.delivery, "forgive")
    queue.expand()
    assert queue.job()[0].id == message


# -- success ----------------------------------------------------------------------------

def test_relayed(queue):
    """The server it went to reports no success; so this is where the sender hears of it."""
    message, job, rcpt = one(queue, notify=SUCCESS, orcpt="rfc822;Other@example.org")
    queue.judge(job, rcpt, relayed=True, remote="mx.example.net", text="250 2.0.0 taken")
    report, _, (fields,) = queue.report()
    assert (fields["Action"], fields["Status"]) == ("relayed", "2.0.0")
    assert fields["Final-Recipient"] == "rfc822; to@example.org"
    assert fields["Original-Recipient"] == "rfc822; Other@example.org"
    assert fields["Remote-MTA"] == "dns; mx.example.net"
    assert queue.shown(message) is None and report.id != message


@pytest.mark.parametrize("where", [{"user": "to", "dest": "mailbox:to"}, {"dest": "lmtp://127.0.0.1:24"}])
def test_delivered(queue, where):
    message = queue.submit("to@example.org", {"notify": SUCCESS | FAILURE})
    m = queue.next(queue.lookup, "expand")
    queue.lookup.send("expand_item", req=m.req, address=m.address, action="box", **where)
    queue.lookup.send("expand_end", req=m.req, outcome=OK)
    queue.judge(*queue.job(), status="2.1.5", text="delivered")
    _, _, (fields,) = queue.report()
    assert (fields["Action"], fields["Status"]) == ("delivered", "2.1.5")
    assert queue.shown(message) is None


@pytest.mark.parametrize("notify, relayed", [(0, True), (NEVER, True), (FAILURE, True), (SUCCESS, False)])
def test_no_word_of_success(queue, notify, relayed):
    """Nobody asked for one, or the next server gives it."""
    message, job, rcpt = one(queue, notify=notify)
    queue.judge(job, rcpt, relayed=relayed)
    queue.wait_shown(message, lambda shown: shown is None)
    assert queue.counter("reports") == 0


def test_expanded(queue):
    """Who stands for several: the sender hears of that, and of failures, not of each one's success."""
    message = queue.submit("list@example.org", {"notify": SUCCESS | FAILURE})
    m = queue.next(queue.lookup, "expand")
    for name in "ab":
        queue.lookup.send("expand_item", req=m.req, address=name + "@big.test", action="out", dest="big.test")
    queue.lookup.send("expand_end", req=m.req, outcome=OK)
    busy = queue.take(2)
    _, _, (fields,) = queue.report()
    assert (fields["Action"], fields["Final-Recipient"]) == ("expanded", "rfc822; list@example.org")
    assert {r.notify for _, r in busy} == {FAILURE}
    queue.judge(*busy[0], relayed=True)
    queue.judge(*busy[1], FAIL, "5.1.1", "550 5.1.1 nobody")
    _, _, (fields,) = queue.report()
    assert (fields["Action"], fields["Final-Recipient"]) == ("failed", "rfc822; b@big.test")
    assert queue.shown(message) is None


def test_success_and_failure_apart(queue):
    message = queue.submit("a@example.org", {"notify": SUCCESS | FAILURE}, also=["b@example.org"])
    queue.expand()
    queue.expand()
    good, bad = queue.take(2)
    queue.judge(*good, relayed=True)
    queue.judge(*bad, FAIL, "5.1.1", "550 5.1.1 nobody")
    actions = [queue.report()[2][0]["Action"] for _ in range(2)]
    assert sorted(actions) == ["failed", "relayed"]
    assert queue.shown(message) is None


# -- how well the way was protected -----------------------------------------------------

def domains(queue):
    rows = queue.ask(queue.control, "tls_domains", "tls_domains_end", limit=100)
    return [(row.domain, row.level) for row in rows[:-1]]


def test_the_best_is_remembered(queue):
    _, job, rcpt = one(queue)
    assert job.tls_best == PLAIN
    queue.delivery.send("tls_seen", domain="Example.ORG", level=VERIFIED)
    queue.delivery.send("tls_seen", domain="example.org", level=ENCRYPTED)
    queue.delivery.send("tls_seen", domain="example.net", level=DANE)
    queue.judge(job, rcpt)
    _, job, rcpt = one(queue)
    assert job.tls_best == VERIFIED
    assert domains(queue) == [("example.net", DANE), ("example.org", VERIFIED)]
    rows = queue.ask(queue.control, "tls_domains", "tls_domains_end", after="example.net", limit=1)
    assert [row.domain for row in rows[:-1]] == ["example.org"] and rows[-1].more
    assert queue.ask(queue.control, "tls_forget", "done", domain="none.example")[-1].outcome == "GONE"
    assert queue.ask(queue.control, "tls_forget", "done", domain="example.org")[-1].outcome == "OK"
    assert domains(queue) == [("example.net", DANE)]
    assert queue.ask(queue.control, "tls_forget", "done")[-1].outcome == "OK"
    assert not domains(queue)


def test_no_domain_with_control_octets(queue):
    queue.delivery.send("tls_seen", domain="a\r\nb.example", level=DANE)
    assert queue.is_cut_off(queue.delivery)
    assert not domains(queue)


# -- shares -----------------------------------------------------------------------------

def test_many_that_never_answer(queue):
    """Each of them takes what it can get; the mail of who answers goes on as before."""
    tarpits = 60
    for n in range(tarpits):
        queue.submit_list(200, f"tarpit{n}.test")
    taken, deadline = 0, time.monotonic() + 60
    queue.wait_counter("parked", lambda n: n > 0)
    message = queue.submit("to@good.test")
    queue.expand("good.test")
    while time.monotonic() < deadline:
        job = queue.next(queue.delivery, "job")
        rcpts = [queue.next(queue.delivery, "job_rcpt") for _ in range(job.nrcpts)]
        if job.id == message:
            break
        taken += len(rcpts)
    assert job.id == message
    assert taken <= 2 * SHARE + 4 * tarpits
