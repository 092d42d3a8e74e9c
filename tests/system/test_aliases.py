# SPDX-License-Identifier: ISC
"""Aliases, included lists, catch-all, sub-addressing, postmaster and abuse: from RCPT to the mailbox."""
import email
import re
import smtplib

import homes
import pytest
from postern import Server, wait_for

NAMES = ("ann", "bob", "eve", "root-of-mail")

MORE = """
smtp sub-addr-delim "+-"
smtp postmaster "root-of-mail"
table aliases "file:{dir}/aliases"
table users {{ "info@v.test" = "ann", "sales+eu@v.test" = "bob", "sales@v.test" = "ann" }}
table all {{ "@c.test" = "eve" }}
action "home" maildir userbase <people> alias <aliases>
action "virtual" maildir userbase <people> virtual <users>
action "catch" maildir userbase <people> virtual <all>
match from any for domain "mx.test" action "home"
match from any for domain "v.test" action "virtual"
match from any for domain "c.test" action "catch"
"""

ALIASES = """# aliases
team: ann, bob
chain: link
link: "team", eve
loop: loop2
loop2: loop
self: \\ann, eve
both: ann, "|/usr/bin/vacation ann"
pipe: |/bin/cat
stale: nobody
half: ann, ghost
far: nobody@v.test
path: /var/mail/x
list-of-two: :include:{dir}/list
nested: :include:{dir}/nested, eve
gone: :include:{dir}/none
"""


@pytest.fixture(scope="module")
def server():
    """One for all: what counts is what has come since."""
    s = homes.make(lambda text, start: Server(text), NAMES, MORE, start=False)
    homes.write(s, "aliases", ALIASES.format(dir=s.dir))
    homes.write(s, "list", "# two\nann\n\n  bob, ann\n")
    homes.write(s, "nested", f":include:{s.dir}/list\n:include:{s.dir}/nested\n")
    yield s.start()
    s.cleanup()


class Before:
    """How much more mail each has than there was."""

    def __init__(self, server):
        self.server, self.were = server, dict(zip(NAMES, homes.counts(server, *NAMES)))

    def more(self):
        now = dict(zip(NAMES, homes.counts(self.server, *NAMES)))
        return {n: now[n] - self.were[n] for n in NAMES if now[n] != self.were[n]}

    def wait(self, **wanted):
        homes.drained(self.server)
        wait_for(lambda: sum(self.more().values()) >= sum(wanted.values()), f"mail for {wanted}")
        assert self.more() == {k.replace("_", "-"): n for k, n in wanted.items()}


@pytest.mark.parametrize("to, wanted", [
    ("ann@mx.test", {"ann": 1}),
    ("team@mx.test", {"ann": 1, "bob": 1}),
    ("Chain@mx.test", {"ann": 1, "bob": 1, "eve": 1}),
    ("team+tag@mx.test", {"ann": 1, "bob": 1}),
    ("self@mx.test", {"ann": 1, "eve": 1}),
    ("list-of-two@mx.test", {"ann": 1, "bob": 1}),     # the whole name comes before a tag
    ("nested@mx.test", {"ann": 1, "bob": 1, "eve": 1}),
    ("info@v.test", {"ann": 1}),
    ("info-x+y@v.test", {"ann": 1}),                   # the leftmost delimiter
    ("sales+eu@v.test", {"bob": 1}),
    ("sales+us@v.test", {"ann": 1}),
    ("whoever@c.test", {"eve": 1}),
    ("postmaster", {"root_of_mail": 1}),
    ("Postmaster@v.test", {"root_of_mail": 1}),
    ("abuse@v.test", {"root_of_mail": 1}),
    ("abuse@c.test", {"eve": 1}),                      # the table says who
])
def test_who_gets_it(server, to, wanted):
    before = Before(server)
    with server.smtp() as s:
        s.ehlo()
        assert s.docmd("MAIL FROM:<>")[0] == 250
        assert s.docmd(f"RCPT TO:<{to}>")[0] == 250
        assert s.data("Subject: x\r\n\r\nx\r\n")[0] == 250
    before.wait(**wanted)


@pytest.mark.parametrize("to, status", [
    ("nobody@mx.test", "5.1.1"),
    ("nobody+ann@mx.test", "5.1.1"),
    ("ann_x@mx.test", "5.1.1"),
    ("ann@v.test", "5.1.1"),
    ("ann@elsewhere.test", "5.7.1"),
    # what stands for one other, which can't be
    ("pipe@mx.test", "5.1.1"),
    ("path@mx.test", "5.1.1"),
    ("loop@mx.test", "5.1.1"),
    ("stale@mx.test", "5.1.1"),
    ("far@mx.test", "5.1.1"),
])
def test_who_is_refused(server, to, status):
    with server.smtp() as s:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as e:
            s.sendmail("you@example.net", to, "x")
        code, text = e.value.recipients[to]
        assert code == 550 and text.decode().startswith(status)


@pytest.mark.parametrize("to, why", [
    ("pipe@mx.test", "commands are not allowed here: |/bin/cat"),
    ("path@mx.test", "files are not allowed here: /var/mail/x"),
])
def test_log_says_why(server, to, why):
    mark = len(server.log)
    with server.smtp() as s:
        s.ehlo()
        s.docmd("MAIL FROM:<>")
        assert s.docmd(f"RCPT TO:<{to}>")[0] == 550
    server.wait_log(f'event=recipient-refused .*why="rule at line [0-9]+, {re.escape(why)}"', after=mark)


def reports(server, of):
    return [m for m in homes.mail(server, of) if b"delivery-status" in m]


def another_report(server, known, of):
    """The one that is not among those; a Maildir keeps no order within a second."""
    return wait_for(lambda: next((r for r in reports(server, of) if r not in known), None), "a report")


def test_command_beside_a_mailbox(server):
    """Commands are not allowed: the other gets it, and the sender hears of it."""
    before, known = Before(server), reports(server, "bob")
    server.send(to="both@mx.test", sender="bob@mx.test")
    before.wait(ann=1, bob=1)
    text = another_report(server, known, "bob")
    assert b"commands are not allowed here" in text and b"\nStatus: 5.2.4\r\n" in text.replace(b"\n", b"\r\n")


def test_member_that_is_gone(server):
    """The sender hears of it now, and not when the queue gives up days later."""
    before, known = Before(server), reports(server, "bob")
    server.send(to="half@mx.test", sender="bob@mx.test")
    before.wait(ann=1, bob=1)
    assert b"\nStatus: 5.1.1\n" in another_report(server, known, "bob")


def test_postmaster_is_nobody(make_server):
    """Where "smtp postmaster" names nobody the mail is taken all the same, and the sender hears of it."""
    more = """
table users {{ "info@v.test" = "ann" }}
action "home" maildir userbase <people>
action "virtual" maildir userbase <people> virtual <users>
match from any for domain "mx.test" action "home"
match from any for domain "v.test" action "virtual"
"""
    server = homes.make(make_server, NAMES, more)
    server.send(to="postmaster@v.test", sender="bob@mx.test")
    homes.wait_counts(server, bob=1)
    assert b"\nStatus: 5.1.1\n" in homes.mail(server, "bob")[0]


def test_what_the_sender_asked_for_reports(server):
    """RFC 3461: each that a recipient stands for is reported of, or not, as was asked for that recipient."""
    before, known = Before(server), reports(server, "bob")
    with server.smtp() as s:
        s.ehlo()
        for notify in ("NEVER", "FAILURE"):
            assert s.docmd("MAIL FROM:<bob@mx.test> ENVID=e+2B1 RET=HDRS")[0] == 250
            assert s.docmd(f"RCPT TO:<both@mx.test> NOTIFY={notify} ORCPT=rfc822;first@else.test")[0] == 250
            assert s.data(f"Subject: {notify}\r\n\r\nbody\r\n")[0] == 250
    before.wait(ann=2, bob=1)
    text = another_report(server, known, "bob")
    report = email.message_from_bytes(text)
    about, one = report.get_payload(1).get_payload()
    assert about["Original-Envelope-Id"] == "e+1"
    assert one["Original-Recipient"] == "rfc822; first@else.test"
    assert one["Status"] == "5.2.4" and one["Action"] == "failed"
    assert one["Final-Recipient"] == "rfc822; |/usr/bin/vacation ann"
    assert b"FAILURE" in text and b"\nbody" not in text


def test_list_that_is_not_there_yet(server):
    """Mail for it waits, and goes out when the file is there and the table was read again."""
    before = Before(server)
    mark = len(server.log)
    server.send(to="gone@mx.test", sender="bob@mx.test")
    server.wait_log("event=deferred .*gone@mx.test.*status=4.2.4", after=mark)
    assert before.more() == {}
    homes.write(server, "none", "eve\n")
    server.ctl("update", "table", "aliases")
    before.wait(eve=1)
