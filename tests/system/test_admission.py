# SPDX-License-Identifier: ISC
"""smtpd-lookup alone: who may come in, how much each may do, and what the filters say.

The test is the session processes; clients' names come from a real nsd on loopback.
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import nameserver  # noqa: E402
import postern  # noqa: E402
from ipc import ADDRESS_SPACE, DEADLINE, Closed, Process, encode  # noqa: E402
from nameserver import BAD_LABELS, EvilServer, dns_reply, dns_type, label  # noqa: E402

RIGHTS = 0x0001 | 0x0008 | 0x0100 | 0x0800  # base, dns, read-fd, read-db: smtpd/roles.c
UNASKED, NONE, TROUBLE, NAMED, CONFIRMED = range(5)  # enum ipc_rdns
CONNECT, HELO, EHLO, MAIL_FROM, RCPT_TO, DATA, COMMIT = range(7)  # enum conf_phase

CONF = """
hostname "mx.example.org"
table balancers { 203.0.113.1, "2001:db8:ba::/48" }
table friends { 198.51.100.0/28, "unix" }
table late file:/nonexistent
table own { "mx1.example" }
filter "named" phase connect match !fcrdns reject "550 5.7.25 Your address has no name"
filter "liked" phase connect match rdns <own> bypass
filter "nets" phase connect match src { 192.0.2.66 } disconnect "421 4.7.0 Not you"
filter "spam" phase connect match src { 192.0.2.67 } junk
filter "unsure" phase connect match src <late> junk
filter "helo" phase ehlo match helo { "old.example" } rewrite "new.example"
filter "sender" phase mail-from match mail-from { "@bad.example" } disconnect "550 5.7.1 No"
filter "names" phase mail-from match !fcrdns junk
filter "all" chain { "liked", "named", "nets", "spam", "helo", "sender", "names" }
filter "quiet" chain { "nets", "spam", "helo" }
action "local" maildir
match from any for local action "local"
resolver forward 127.0.0.1@%(port)d
"""

ZONES = {
    "example": """$ORIGIN example.
$TTL 60
@ SOA ns.example. admin.example. 1 3600 600 86400 60
@ NS ns.example.
ns A 127.0.0.1
mx1 A 192.0.2.1
mx1 AAAA 2001:db8::1
other A 192.0.2.99
several A 198.51.100.7
several A 192.0.2.6
classless A 192.0.2.7
empty TXT "no address"
""",
    "2.0.192.in-addr.arpa": """$ORIGIN 2.0.192.in-addr.arpa.
$TTL 60
@ SOA ns.example. admin.example. 1 3600 600 86400 60
@ NS ns.example.
1 PTR MX1.example.
2 PTR other.example.
3 PTR gone.example.
4 TXT "no name"
5 PTR 192.0.2.5.
6 PTR gone.example.
6 PTR several.example.
7 CNAME 7.sub
7.sub PTR classless.example.
8 PTR nobody.knows.
10 PTR empty.example.
""",
    "8.b.d.0.1.0.0.2.ip6.arpa": """$ORIGIN 8.b.d.0.1.0.0.2.ip6.arpa.
$TTL 60
@ SOA ns.example. admin.example. 1 3600 600 86400 60
@ NS ns.example.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mx1.example.
2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mx1.example.
""",
}


@pytest.fixture(scope="module")
def nsd(tmp_path_factory):
    yield from nameserver.serve(tmp_path_factory.mktemp("nsd"), ZONES)


class Lookup:
    """smtpd-lookup, two session processes and control."""

    def __init__(self, port, conf=""):
        self.text = CONF % {"port": port} + conf
        self.process = Process(
            "smtpd-lookup", "LOOKUP", RIGHTS, self.text.encode(), (), [53, port],
            limits=(4096, ADDRESS_SPACE, 0, 0),
        )
        self.process.accounts = {"alice": "OK"}
        self.session = self.process.link("SESSION")
        self.other = self.process.link("SESSION", 1)
        self.control = self.process.link("CONTROL")
        self.visit = 0

    def enter(self, client="198.51.100.9", link=None, **more):
        """A client comes; lookup's verdict."""
        values = {"visit": self.visit + 1, **more}
        self.visit = max(self.visit, values["visit"])
        link = link or self.session
        return self.process.ask(link, "client_enter", "client_verdict", client=client, **values)[-1]

    def code(self, *args, **more):
        return self.enter(*args, **more).code

    def leave(self, visit, link=None):
        (link or self.session).send("client_leave", visit=visit)

    def rcpt(self, rcpt="alice@localhost", **more):
        values = {"visit": self.visit, "client": "198.51.100.9", "sender": "a@b.example", **more}
        return self.process.ask(self.session, "rcpt_check", "rcpt_verdict", rcpt=rcpt, **values)[-1]

    def check(self, phase, filters="all", **more):
        values = {"client": "198.51.100.9", **more}
        return self.process.ask(
            self.session, "filter_check", "filter_verdict", phase=phase, filter=filters, **values)[-1]

    def rows(self):
        rows, after, more = {}, 0, True
        while more:
            got = self.process.ask(self.control, "clients", "clients_end", after=after, limit=100)
            rows.update((m.client, m) for m in got[:-1])
            after, more = got[-2].number if got[:-1] else 0, got[-1].more
        return rows

    def clear(self, client):
        return self.process.ask(self.control, "clients_clear", "done", client=client)[-1].outcome

    def counter(self, name):
        rows = self.process.ask(self.control, "stats", "stats_end")[:-1]
        return {m.name: m.value for m in rows}[name]

    def wait_counter(self, name, value):
        end = time.monotonic() + DEADLINE
        while self.counter(name) != value:
            assert time.monotonic() < end, "%s is not %d" % (name, value)


@pytest.fixture
def make(nsd):
    made = []

    def it(conf="", port=nsd):
        made.append(Lookup(port, conf))
        return made[-1]
    yield it
    for lookup in made:
        assert lookup.process.stop() == 0


# -- limits --


def test_sessions_of_the_whole_server(make):
    it = make("smtp max-sessions 3\n")
    assert [it.code("192.0.2.%d" % n, visit=n) for n in (1, 2)] == [0, 0]
    assert it.code("192.0.2.3", it.other, visit=1) == 0
    m = it.enter("192.0.2.4", visit=4)
    assert (m.code, m.status) == (421, "4.3.2") and "try again" in m.text
    assert it.enter("192.0.2.5", it.other, visit=2).code == 421
    it.leave(1)
    assert it.code("192.0.2.4", visit=4) == 0
    assert it.code("192.0.2.5", it.other, visit=2) == 421
    # A session process is gone, and its clients with it.
    it.session.close()
    it.wait_counter("clients.open", 1)
    assert [it.code("192.0.2.5", it.other, visit=n) for n in (2, 3, 4)] == [0, 0, 421]
    it.process.wait_log("event=server-full limit=max-sessions")


def test_sessions_of_a_client_whichever_process_has_them(make):
    it = make("smtp max-sessions-per-client 2\n")
    assert it.code("2001:db8::1", visit=1) == 0
    assert it.code("2001:db8::ffff:2", it.other, visit=1) == 0
    m = it.enter("2001:db8::3", visit=2)
    assert (m.code, m.status) == (421, "4.7.0") and "from 2001:db8::/64" in m.text
    assert it.code("2001:db8:0:1::3", visit=2) == 0
    # IPv4 is IPv4, however it is written; being local is no exemption from this.
    assert it.code("127.0.0.1", visit=3, local=1) == 0
    assert it.code("::ffff:127.0.0.1", visit=4, local=1) == 0
    assert it.code("127.0.0.1", visit=5, local=1) == 421
    assert [it.code("unix", visit=n, local=1) for n in (6, 7, 8)] == [0, 0, 421]
    it.leave(1, it.other)
    it.wait_counter("clients.open", 6)
    assert it.code("2001:db8::3", visit=9) == 0
    it.process.wait_log("event=client-limited client=2001:db8::/64 limit=max-sessions-per-client")
    assert sum("client-limited client=2001" in line for line in it.process.log) == 1


def test_networks_make_clients(make):
    it = make("smtp client-prefix4 24\nsmtp client-prefix6 48\nsmtp max-connection-rate 1\n")
    assert it.code("192.0.2.1") == 0
    assert it.code("192.0.2.200") == 421
    assert it.code("192.0.3.1") == 0
    assert it.code("2001:db8:1:1::1") == 0
    assert it.code("2001:db8:1:2::1") == 421
    assert it.code("2001:db8:2::1") == 0
    assert set(it.rows()) == {"192.0.2.0/24", "192.0.3.0/24", "2001:db8:1::/48", "2001:db8:2::/48"}


def until_allowed(question):
    end = time.monotonic() + DEADLINE
    while True:
        m = question()
        if m.code in (0, 250):
            return
        assert time.monotonic() < end, m


def test_connection_rate(make):
    it = make("smtp max-connection-rate 2\nsmtp rate-period 3s\n")
    for _ in range(2):
        assert it.code() == 0
        it.leave(it.visit)
    m = it.enter()
    assert (m.code, m.status) == (421, "4.7.0")
    assert "too many connections from 198.51.100.9 within 3s; try again in" in m.text
    assert it.code(local=1) == 0, "local clients have no rates, without a table of exemptions"
    until_allowed(it.enter)


@pytest.mark.parametrize("setting, word", [("message", "messages"), ("recipient", "recipients")])
def test_message_and_recipient_rate(make, setting, word):
    it = make("smtp max-%s-rate 2\nsmtp rate-period 3s\n" % setting)
    assert it.code() == 0
    assert [it.rcpt(first=1).code for _ in range(2)] == [250, 250]
    m = it.rcpt(first=1)
    assert (m.code, m.status, m.action) == (451, "4.7.1", "")
    assert "too many %s from 198.51.100.9 within 3s" % word in m.text
    assert it.rcpt(first=0).code == 451
    assert it.rcpt(first=1, visit=12345).code == 250, "nothing is known of this visit"
    until_allowed(lambda: it.rcpt(first=1))


def test_who_tries_names_is_put_out(make):
    it = make("smtp max-refused-rate 3\nsmtp rate-period 3s\n")
    assert it.code() == 0
    names = ["x@localhost", "y@elsewhere.example", "z@localhost", "q@localhost"]
    assert [it.rcpt(name).code for name in names] == [550, 550, 550, 421]
    m = it.rcpt()
    assert (m.code, m.status) == (421, "4.7.1") and "try again in" in m.text
    m = it.enter()
    assert (m.code, m.status) == (421, "4.7.1") and "refused recipients" in m.text
    assert it.code("192.0.2.1") == 0
    assert it.rows()["198.51.100.9"].over == "max-refused-rate"
    until_allowed(it.enter)


def test_a_late_verdict_is_not_charged_to_who_has_the_number_now(make):
    it = make("smtp max-refused-rate 1\n")
    it.process.accounts["slow"] = None
    assert it.code("192.0.2.1", visit=7) == 0
    for n in range(3):
        it.session.ask("rcpt_check", visit=7, client="192.0.2.1", sender="", rcpt="slow@localhost")
    while "slow" not in it.process.asked:
        it.process.serve_once(DEADLINE)
    it.leave(7)
    it.session.ask("client_enter", visit=7, client="192.0.2.2")
    assert it.session.receive().type == "client_verdict"
    it.process.parent.send("user_answer", req=1, outcome=4)
    assert [it.session.receive().code for _ in range(3)] == [550] * 3
    assert it.rows()["192.0.2.2"].refused == it.rows()["192.0.2.1"].refused == 0


def test_exempt_by_table(make):
    it = make("smtp exempt-clients <friends>\nsmtp max-connection-rate 1\n"
              "smtp max-sessions-per-client 1\nsmtp max-refused-rate 1\nsmtp client-prefix4 24\n")
    for client in ["198.51.100.1", "unix"]:
        assert [it.code(client) for _ in range(5)] == [0] * 5
        assert [it.rcpt("x@localhost").code for _ in range(5)] == [550] * 5
    # Its neighbour is another matter, and who is local has to be named.
    assert [it.code("198.51.100.99") for _ in range(2)] == [0, 421]
    assert [it.code("127.0.0.1", local=1) for _ in range(2)] == [0, 421]


def test_exempt_by_a_table_that_is_not_there(make):
    it = make("smtp exempt-clients <late>\nsmtp max-connection-rate 1\n")
    assert [it.code(local=1) for _ in range(2)] == [0, 421]


def test_announced_again_to_a_lookup_that_was_restarted(make):
    it = make("smtp max-sessions-per-client 2\nsmtp max-connection-rate 3\n")
    for visit in range(5):
        it.session.send("client_enter", visit=visit, client="192.0.2.1", again=1)
    m = it.enter("192.0.2.1", visit=5)  # the only answer
    assert m.code == 421 and "at once" in m.text
    for visit in range(5):
        it.leave(visit)
    assert it.code("192.0.2.1", visit=5) == 0


# -- balancers, and hosts that speak for others --


@pytest.mark.parametrize(
    "client, tables, want",
    [
        ("203.0.113.1", {}, (0, False, False)),
        ("203.0.113.1", {"proxy": "balancers"}, (0, True, False)),
        ("203.0.113.2", {"proxy": "balancers"}, (0, False, False)),
        ("2001:db8:ba::1", {"proxy": "balancers"}, (0, True, False)),
        ("203.0.113.1", {"xclient": "balancers"}, (0, False, True)),
        ("203.0.113.2", {"xclient": "balancers"}, (0, False, False)),
        ("unix", {"xclient": "friends"}, (0, False, True)),
        ("203.0.113.1", {"proxy": "late"}, (421, False, False)),
        ("203.0.113.1", {"xclient": "late"}, (421, False, False)),
        ("203.0.113.1", {"xclient": "no-such-table"}, (421, False, False)),
    ],
)
def test_who_speaks_for_others(make, client, tables, want):
    it = make("smtp max-connection-rate 1\n")
    m = it.enter(client, **tables)
    assert (m.code, m.proxied, m.xclient) == want
    if m.code != 0:
        assert m.status == "4.4.3"
    # Nobody is counted who speaks for others, nor who could not be told.
    assert it.counter("clients.open") == (0 if m.proxied or m.code else 1)
    assert len(it.rows()) == it.counter("clients.open")


# -- names --


@pytest.mark.parametrize(
    "client, want",
    [
        ("192.0.2.1", (CONFIRMED, "mx1.example")),
        ("::ffff:192.0.2.1", (CONFIRMED, "mx1.example")),
        ("192.0.2.2", (NAMED, "other.example")),
        ("192.0.2.3", (NAMED, "gone.example")),
        ("192.0.2.4", (NONE, "")),
        ("192.0.2.5", (NONE, "")),
        ("192.0.2.6", (CONFIRMED, "several.example")),
        ("192.0.2.7", (CONFIRMED, "classless.example")),
        ("192.0.2.8", (TROUBLE, "")),
        ("192.0.2.9", (NONE, "")),
        ("192.0.2.10", (NAMED, "empty.example")),
        ("2001:db8::1", (CONFIRMED, "mx1.example")),
        ("2001:db8::2", (NAMED, "mx1.example")),
        ("10.1.2.3", (TROUBLE, "")),  # nsd refuses: its administrator is asked, nobody else
        ("127.0.0.1", (CONFIRMED, "localhost")),
        ("unix", (CONFIRMED, "localhost")),
    ],
)
def test_names(make, client, want):
    it = make('filter "f" phase data match rdns junk\n')
    m = it.enter(client, filter="f")
    assert (m.code, m.rdns, m.name) == (0, *want)


def test_no_name_is_looked_for_in_vain(make):
    it = make()
    assert it.enter("192.0.2.1").rdns == UNASKED
    assert it.enter("192.0.2.1", filter="quiet").rdns == UNASKED
    assert it.counter("dns.asked") == 0


@pytest.mark.parametrize("bad", BAD_LABELS, ids=[b.hex() for b in BAD_LABELS])
def test_names_that_no_host_has(make, bad):
    """CVE-2026-28753 and its kind: what the owner of an address says is its name."""
    def answer(question):
        if dns_type(question) != 12:
            return dns_reply(question, [(1, socket.inet_aton("192.0.2.1"))])
        return dns_reply(question, [(12, label(bad) + label(b"example") + b"\0")])

    it = make(port=EvilServer(answer).port)
    m = it.enter("192.0.2.1", filter="all")
    assert (m.rdns, m.name, m.code) == (NONE, "", 550)


def test_names_that_are_too_many(make):
    asked = []

    def answer(question):
        if dns_type(question) != 12:
            asked.append(question)
            return dns_reply(question, [])
        return dns_reply(question, [(12, label(b"n%d" % n) + label(b"example") + b"\0") for n in range(40)])

    it = make(port=EvilServer(answer).port)
    m = it.enter("192.0.2.1", filter="all")
    assert m.code == 550
    assert len(asked) == 8


def test_a_silent_server(make):
    """Nobody waits for ever; who leaves is forgotten; the others are served meanwhile."""
    def answer(question):
        if dns_type(question) == 12 and b"\x011\x012\x010\x03192" in question:
            return dns_reply(question, [(12, label(b"n%d" % n) + b"\0") for n in range(8)])
        return None

    it = make(port=EvilServer(answer).port)
    began = time.monotonic()
    waits = it.session.ask("client_enter", visit=1, client="192.0.2.1", filter="all")
    it.session.ask("client_enter", visit=2, client="192.0.2.2", filter="all")
    it.other.ask("client_enter", visit=1, client="192.0.2.3", filter="all")
    it.wait_counter("clients.waiting", 3)
    it.leave(2)
    it.wait_counter("clients.waiting", 2)
    it.other.close()
    it.wait_counter("clients.waiting", 1)
    assert it.code("192.0.2.4", visit=2) == 0
    assert it.rcpt(visit=2).code == 250
    m = it.session.receive(60)
    assert (m.type, m.req, m.code, m.status) == ("client_verdict", waits, 421, "4.4.3")
    assert time.monotonic() - began < 40
    assert it.counter("clients.open") == 1


def test_a_new_resolver_while_names_are_waited_for(make, nsd):
    evil = EvilServer(lambda q: None)
    it = make(port=evil.port)
    it.session.ask("client_enter", visit=1, client="192.0.2.1", filter="all")
    it.wait_counter("clients.waiting", 1)
    it.process.configure((CONF % {"port": nsd}).encode())
    it.process.wait_log("event=resolver-renewed")
    assert it.session.receive().code == 421
    assert it.code("192.0.2.1", visit=1, filter="all") == 0


# -- filters --


@pytest.mark.parametrize(
    "client, name, code, flags",
    [
        ("192.0.2.1", "all", 0, "bypass"),
        ("192.0.2.2", "all", 550, ""),
        ("192.0.2.8", "all", 421, ""),
        ("192.0.2.66", "quiet", 421, ""),
        ("192.0.2.67", "quiet", 0, "junk"),
        ("192.0.2.68", "quiet", 0, ""),
        ("192.0.2.68", "unsure", 421, ""),
        ("192.0.2.68", "no-such-filter", 421, ""),
    ],
)
def test_filters_at_the_door(make, client, name, code, flags):
    it = make()
    m = it.enter(client, filter=name, visit=1)
    assert (m.code, m.bypass, m.junk) == (code, flags == "bypass", flags == "junk")
    assert bool(m.text) == bool(m.status) == (code != 0)
    # Who is sent away has not come in.
    assert it.counter("clients.open") == (code == 0)


def test_filters_later(make):
    it = make()
    m = it.check(EHLO, helo="old.example")
    assert (m.code, m.value, m.filter) == (0, "new.example", "helo")
    m = it.check(EHLO, helo="other.example")
    assert (m.code, m.value, m.filter) == (0, "", "")
    m = it.check(MAIL_FROM, sender="x@bad.example", rdns=CONFIRMED, name="a.example")
    assert (m.code, m.status, m.text, m.disconnect) == (550, "5.7.1", "No", True)
    m = it.check(MAIL_FROM, sender="x@good.example", rdns=NAMED, name="a.example")
    assert (m.code, m.junk, m.filter) == (0, True, "names")
    m = it.check(MAIL_FROM, sender="x@good.example", rdns=TROUBLE)
    assert (m.code, m.status, m.disconnect) == (451, "4.4.3", False)
    assert it.check(COMMIT, sender="").code == 0
    assert it.check(EHLO, "no-such-filter").code == 451
    assert it.check(15).code == 451
    it.process.wait_log("event=filtered filter=sender phase=mail-from decision=disconnect client=198.51.100.9")
    assert it.counter("filters.asked") == 8
    assert it.counter("filters.refused") == 4


# -- the admin --


def test_clients_in_pages(make):
    it = make()
    for n in range(250):
        it.session.send("client_enter", visit=n, client="10.0.%d.%d" % (n // 100, n % 100), again=1)
    first = it.process.ask(it.control, "clients", "clients_end", limit=100)
    assert len(first) == 101 and first[-1].more and first[-1].open == 250
    assert it.process.ask(it.control, "clients", "clients_end", limit=0)[-1].more
    rows = it.rows()
    assert len(rows) == 250 and {m.open for m in rows.values()} == {1}
    assert list(rows)[:2] == ["10.0.0.0", "10.0.0.1"]


def test_a_client_is_shown_and_cleared(make):
    it = make("smtp max-refused-rate 1\n")
    assert it.code("2001:db8::1") == 0
    assert [it.rcpt("x@localhost", first=n == 0).code for n in range(2)] == [550, 421]
    row = it.rows()["2001:db8::/64"]
    assert (row.open, row.connections, row.messages, row.recipients, row.refused) == (1, 1, 1, 2, 2)
    assert row.over == "max-refused-rate"
    assert 0 < row.until_s - time.time() < 62
    assert [it.clear(c) for c in ("2001:db8:1::1", "192.0.2.1", "nonsense")] == ["GONE", "GONE", "FAIL"]
    assert it.rcpt().code == 421
    assert it.clear("2001:db8::/64") == "OK"
    assert it.rcpt().code == 250
    row = it.rows()["2001:db8::/64"]
    assert (row.open, row.recipients, row.over, row.until_s) == (1, 1, "", 0)
    assert [it.rcpt("x@localhost").code for _ in range(2)] == [550, 421]
    assert it.clear("") == "OK"
    assert it.rcpt().code == 250


# -- sessions that lie --


@pytest.mark.parametrize(
    "frames",
    [
        [encode("client_enter", visit=1, client="192.0.2.1")] * 2,
        [encode("client_enter", visit=1, client="192.0.2.1", again=1)] * 2,
        [encode("client_enter", visit=1, client="somebody")],
        [encode("client_enter", visit=1, client="")],
        [encode("client_verdict", code=250)],
        [encode("clients", limit=1)],
        [encode("clients_clear")],
    ],
)
def test_a_lie_costs_the_link(make, frames):
    it = make()
    assert it.code("192.0.2.9") == 0
    with pytest.raises(Closed):
        for frame in frames:
            it.other.send_raw(frame)
        while True:
            it.other.receive()
    it.process.wait_log("event=peer-cut-off peer=session")
    it.wait_counter("clients.open", 1)
    assert it.code("192.0.2.1") == 0


def resident_mib(pid):
    with open("/proc/%d/status" % pid) as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) // 1024


def test_floods_of_visits(make):
    """More visits, clients and departures than anybody has, from a session in wrong hands."""
    it = make("smtp max-connection-rate 10\n")
    before = resident_mib(it.process.child.pid)
    for start in range(0, 300000, 1000):
        frames = []
        for n in range(start, start + 1000):
            client = "2001:db8:%x:%x::1" % (n >> 16, n & 0xFFFF)
            frames.append(encode("client_enter", visit=n, client=client, again=1))
            frames.append(encode("client_leave", visit=(n * 7919) & 0xFFFFFFFF))
        it.other.send_raw(b"".join(frames))
    assert it.counter("clients.known") <= 131072
    assert it.counter("clients.open") <= 262144
    assert ADDRESS_SPACE == 0 or resident_mib(it.process.child.pid) - before < 150
    # There is no room for others until it is gone, but they are told so, and what they did is counted.
    assert it.code("192.0.2.1") == 421
    it.other.close()
    it.wait_counter("clients.open", 0)
    assert [it.code("192.0.2.77") for _ in range(11)] == [0] * 10 + [421]


# -- the whole server --


def test_whole_server(make_server):
    """A real client is put out, seen, let in again, and still counted after lookup was killed."""
    s = make_server(extra="smtp exempt-clients {{ 203.0.113.1 }}\nsmtp max-refused-rate 2\nsmtp rate-period 1h\n")

    def clients():
        done = s.ctl("show", "clients", "--json", check=False)
        return {o["client"]: o for o in map(json.loads, done.stdout.splitlines())}

    harvester = s.raw()
    assert harvester.reply()[0] == 220
    assert harvester.cmd("EHLO harvester.test")[0] == 250
    assert harvester.cmd("MAIL FROM:<a@example.net>")[0] == 250
    codes = [harvester.cmd("RCPT TO:<n%d@example.org>" % n)[0] for n in range(3)]
    assert codes == [550, 550, 421]
    with pytest.raises(EOFError):
        harvester.line()
    code, text = s.raw().reply()
    assert code == 421 and "too many refused recipients from 127.0.0.1 within 1h00m" in text
    seen = clients()["127.0.0.1"]
    assert (seen["limit"], seen["refused"], seen["recipients"]) == ("max-refused-rate", 3, 3)
    assert s.ctl("clear", "clients", "127.0.0.1").returncode == 0
    guest = s.raw()
    assert guest.reply()[0] == 220
    postern.wait_for(lambda: clients()["127.0.0.1"]["open"] == 1, "the others' ends told")
    os.kill(s.pids()["lookup/0"], signal.SIGKILL)
    postern.wait_for(lambda: clients().get("127.0.0.1", {"open": 0})["open"] == 1, "counted again")
    assert guest.cmd("NOOP")[0] == 250
    guest.cmd("QUIT")
    postern.wait_for(lambda: "127.0.0.1" not in clients(), "gone")
