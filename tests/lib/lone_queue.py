# SPDX-License-Identifier: ISC
"""The queue alone, between peers that the test plays, all honest."""
import email
import email.policy
import time

from ipc import OUTCOMES
from victim import Victim

OK, RETRY, FAIL = (OUTCOMES.index(name) for name in ("OK", "RETRY", "FAIL"))
SENDER = "sender@example.net"
SHARE = 1024  # what one destination may have under way while there is no other


class Queue(Victim):
    """The queue and its peers; what came and was not waited for yet is kept, by peer."""

    def __init__(self):
        super().__init__("queue")
        self.session, self.control = self.link("SESSION"), self.link("CONTROL")
        self.lookup = self.delivery = None
        self.reqs = 0

    def go(self):
        """There is somebody to deliver from now on."""
        self.lookup, self.delivery = self.link("LOOKUP"), self.link("DELIVERY")

    def submit(self, to="to@example.org", rcpt=None, also=(), **more):
        """A message; its id."""
        self.reqs += 1
        values = {"sender": SENDER, "client": "[192.0.2.1] c", **more}
        self.session.send("mail_begin", req=self.reqs, **values)
        for address in (to, *also):
            self.session.send("mail_rcpt", req=self.reqs,
                              **{"address": address, "original": address, "action": "out", **(rcpt or {})})
        self.session.send("mail_chunk", req=self.reqs, seq=1, data=b"Subject: x\r\n\r\nx\r\n")
        self.session.send("mail_commit", req=self.reqs, trace=b"Received: x\r\n")
        ready, done = self.session.receive(), self.session.receive()
        assert (ready.type, ready.outcome, done.type, done.outcome) == ("mail_ready", "OK", "mail_done", "OK")
        return done.id

    def next(self, link, name):
        m = link.receive()
        while m.type == "forgive" and name != "forgive":  # goes before what an admin schedules
            m = link.receive()
        assert m.type == name, m
        return m

    def expand(self, dest="example.org"):
        """One recipient is looked up, and stands for itself; the question."""
        m = self.next(self.lookup, "expand")
        self.lookup.send("expand_item", req=m.req, address=m.address, action="out", dest=dest)
        self.lookup.send("expand_end", req=m.req, outcome=OK)
        return m

    def job(self):
        """A job of one recipient."""
        m = self.next(self.delivery, "job")
        assert m.nrcpts == 1
        return m, self.next(self.delivery, "job_rcpt")

    def judge(self, job, rcpt, outcome=OK, status="2.0.0", text="250 ok", **more):
        values = {"tried": True, **more}
        self.delivery.send("verdict", req=job.req, key=rcpt.key, outcome=outcome, status=status, text=text, **values)

    def text(self, job):
        """The message of a job that is under way."""
        data = b""
        for seq in range(job.nchunks):
            req = self.delivery.ask("chunk_get", id=job.id, seq=seq)
            data += self.delivery.answer_to(req, "chunk")[-1].data
        return email.message_from_bytes(data, policy=email.policy.default)

    def shown(self, message):
        """(list_message, [list_rcpt...]) as an admin sees them; None when it is gone."""
        got = self.ask(self.control, "get", "list_end", id=message)
        return (got[0], got[1:-1]) if len(got) > 1 else None

    def wait_shown(self, message, condition):
        end = time.monotonic() + 30
        while not condition(self.shown(message)):
            assert time.monotonic() < end, self.shown(message)
            time.sleep(0.02)

    def counter(self, name):
        rows = self.ask(self.control, "stats", "stats_end")
        return next(m.value for m in rows if m.type == "stats_row" and m.name == name)

    def wait_counter(self, name, condition):
        end = time.monotonic() + 30
        while not condition(self.counter(name)):
            assert time.monotonic() < end, (name, self.counter(name))
            time.sleep(0.05)

    def report(self):
        """The report that comes next: (job, the fields of its recipients, per-message fields)."""
        asked = self.expand()
        assert (asked.address, asked.action) == (SENDER, "")
        job, rcpt = self.job()
        assert (job.sender, rcpt.address) == ("", SENDER)
        status = self.status(job)
        self.judge(job, rcpt)
        return job, status[0], status[1:]

    def status(self, job):
        """The fields of the report that a job is: of the message, then of each recipient."""
        return list(self.text(job).iter_parts())[1].get_payload()

    def submit_list(self, members, dest="big.test", **more):
        """A message whose one recipient stands for so many of a destination."""
        message = self.submit("list@example.org", **more)
        m = self.next(self.lookup, "expand")
        for i in range(members):
            self.lookup.send("expand_item", req=m.req, address=f"m{i}@{dest}", action="out", dest=dest)
        self.lookup.send("expand_end", req=m.req, outcome=OK)
        return message

    def take(self, n):
        """So many recipients out of the jobs that come: [(job, recipient)...]"""
        busy = []
        while len(busy) < n:
            job = self.next(self.delivery, "job")
            busy += [(job, self.next(self.delivery, "job_rcpt")) for _ in range(job.nrcpts)]
        assert len(busy) == n
        return busy
