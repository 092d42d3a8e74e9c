# SPDX-License-Identifier: ISC
"""A session process alone: the test is its parent, its queue and its lookup."""
import postern
from ipc import OUTCOMES
from victim import Victim

OK = OUTCOMES.index("OK")


class Session(Victim):
    """.queue and .lookup are the links; .address is where it listens."""

    def __init__(self, conf=None):
        super().__init__("session")
        if conf is not None:
            self.configure(conf.format(dir=self.directory, uid=0))
        self.queue, self.lookup = self.link("QUEUE"), self.link("LOOKUP")
        self.address = self.listen()

    def expect(self, link, name):
        """The next message, which must be this one; that somebody left may come at any time."""
        m = link.receive()
        while m.type == "client_leave" != name:
            m = link.receive()
        assert m.type == name, m
        return m

    def connect(self):
        """A client that lookup is asked about, and the question."""
        c = postern.Raw(self.address)
        return c, self.expect(self.lookup, "client_enter")

    def admit(self, req, **verdict):
        self.lookup.send("client_verdict", req=req, **verdict)

    def greeted(self):
        c, asked = self.connect()
        self.admit(asked.req)
        assert c.reply()[0] == 220
        assert c.cmd("EHLO client.test")[0] == 250
        return c

    def settle(self):
        """What came before has reached the process: it takes another client after it, who leaves again."""
        c, asked = self.connect()
        self.admit(asked.req, code=421, status="4.3.2", text="later")
        assert c.reply()[0] == 421
        c.close()

    def client(self):
        c = self.greeted()
        assert c.cmd("MAIL FROM:<a@example.net>")[0] == 250
        return c

    def rcpt_verdict(self, **verdict):
        """Lookup's answer to the RCPT that it is asked about; the question."""
        asked = self.expect(self.lookup, "rcpt_check")
        values = {"code": 250, "status": "2.1.5", "text": "ok", "action": "demo", **verdict}
        self.lookup.send("rcpt_verdict", req=asked.req, **values)
        return asked

    def rcpt(self, client, **verdict):
        """RCPT, and lookup's answer to it; the number of the question."""
        client.send("RCPT TO:<b@example.org>\r\n")
        return self.rcpt_verdict(**verdict).req

    def to_rcpt(self):
        """A client with a recipient; the transaction's number; its id is 77."""
        client = self.client()
        self.rcpt(client)
        assert client.reply()[0] == 250
        req = self.expect(self.queue, "mail_begin").req
        self.queue.send("mail_ready", req=req, outcome=OK, id=77)
        return client, req

    def to_data(self):
        """A client in the middle of DATA."""
        client, req = self.to_rcpt()
        assert client.cmd("DATA")[0] == 354
        return client, req

    def to_commit(self):
        client, req = self.to_data()
        client.send("Subject: x\r\n\r\nx\r\n.\r\n")
        while self.queue.receive().type != "mail_commit":
            pass
        return client, req
