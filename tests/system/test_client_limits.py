# SPDX-License-Identifier: ISC
"""What one client, or all of them, may do at once and in a period: exact, whatever the number of session processes."""
import os
import re
import signal
import time

import pytest

from postern import wait_for
from talk import Client, clients, data, envelope, hello, rows, status_of

BASE = "smtp processes 2\nlisten on 127.0.0.1 port 0 xclient {{ 127.0.0.1 }}\nsmtp error-delay 0\nsmtp max-errors 1000\n"


@pytest.fixture
def make(make_server):
    return lambda extra: make_server(extra=BASE + extra)


def come(server, address):
    """A client from there; the connection, and what it is told instead of a greeting (None: it is in)."""
    c = Client(server.ports[1])
    v6 = "IPV6:" if ":" in address else ""
    answer = status_of(c.cmd(f"XCLIENT ADDR={v6}{address}"))
    return c, None if answer[0] == 220 else answer


def greeted(server, address):
    c, refused = come(server, address)
    assert refused is None, refused
    return c


def refusal(server, address):
    c, refused = come(server, address)
    with c:
        assert refused is None or c.is_closed()
    return refused


def ready(server, address):
    c = greeted(server, address)
    c.say("EHLO client.test")
    return c


def wait_open(server, client, n):
    def counted():
        if server.ctl("show", "clients", check=False).returncode != 0:
            return False        # lookup is being started again
        return clients(server).get(client, {"open": 0})["open"] == n
    wait_for(counted, f"{n} connections of {client}")


# -- at once -----------------------------------------------------------------------

def test_connections_at_once(make):
    """Of each client so many, over all processes; when one ends there is room again."""
    s = make("smtp max-sessions-per-client 7\n")
    held = [greeted(s, "192.0.2.1") for _ in range(7)]
    for _ in range(5):
        assert refusal(s, "192.0.2.1") == (421, "4.7.0")
    others = [greeted(s, "192.0.2.2") for _ in range(7)]
    assert refusal(s, "192.0.2.2") == (421, "4.7.0")
    held.pop().close()
    wait_open(s, "192.0.2.1", 6)
    held.append(greeted(s, "192.0.2.1"))
    assert refusal(s, "192.0.2.1") == (421, "4.7.0")
    for c in held + others:
        c.close()
    wait_open(s, "192.0.2.1", 0)


def test_local_clients_are_held_to_it_too(make):
    s = make("smtp max-sessions-per-client 3\n")
    held = [Client(s.port) for _ in range(3)]
    with Client(s.port, greeted=False) as c:
        assert c.refused() == (421, "4.7.0")
    with Client(s.port, source="127.0.0.2") as c:
        c.say("NOOP")
    for c in held:
        c.say("NOOP")


def test_all_connections_together(make):
    """The whole server's limit is exact over the processes, and who is turned away is told so."""
    s = make("smtp max-sessions 20\n")
    held = [Client(s.port, source=f"127.0.0.{n + 1}") for n in range(20)]
    for n in range(10):
        with Client(s.port, source=f"127.0.1.{n + 1}", greeted=False) as c:
            assert c.refused() == (421, "4.3.2")
    held.pop().close()

    def free():
        with Client(s.port, greeted=False) as c:
            return c.reply()[0] == 220
    wait_for(free, "a free place")
    assert all(c.cmd("NOOP")[0] == 250 for c in held)


def test_both_processes_have_clients(make):
    """The tests above would prove nothing if one of them served all."""
    s = make("smtp max-sessions-per-client 1000\n")     # on a busy machine the first takes many in a row
    held = []

    def both():
        held.append(Client(s.port))
        counts = [sum(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:") for fd in os.listdir(f"/proc/{pid}/fd"))
                  for name, pid in s.pids().items() if name.startswith("session/")]
        return len(counts) == 2 and max(counts) - min(counts) < len(held)
    wait_for(both, "both serve")


# -- IPv6 ----------------------------------------------------------------------------

@pytest.mark.parametrize("bits, same, other", [(64, "2001:db8::ffff:1", "2001:db8:0:1::1"),
                                              (48, "2001:db8:0:ffff::1", "2001:db8:1::1"),
                                              (128, "2001:db8::1", "2001:db8::2")])
def test_a_client_of_ipv6_is_a_prefix(make, bits, same, other):
    s = make(f"smtp max-sessions-per-client 2\nsmtp client-prefix6 {bits}\n")
    with greeted(s, "2001:db8::1"), greeted(s, same):
        assert refusal(s, "2001:db8::1") == (421, "4.7.0") == refusal(s, same)
        with greeted(s, other):
            names = set(clients(s))
    assert any(n.startswith("2001:db8::") for n in names), names


def test_a_client_of_ipv4_may_be_one(make):
    s = make("smtp max-sessions-per-client 2\nsmtp client-prefix4 24\n")
    with greeted(s, "192.0.2.1"), greeted(s, "192.0.2.200"):
        assert refusal(s, "192.0.2.3") == (421, "4.7.0")
        greeted(s, "192.0.3.3").close()


def test_ipv4_in_ipv6_is_ipv4(make):
    s = make("smtp max-sessions-per-client 2\n")
    with greeted(s, "192.0.2.1"), greeted(s, "::ffff:192.0.2.1"):
        assert refusal(s, "192.0.2.1") == (421, "4.7.0")
        with greeted(s, "::ffff:192.0.2.2"):
            pass


# -- in a period ------------------------------------------------------------------------

def test_connections_in_a_period(make):
    s = make("smtp max-connection-rate 5\nsmtp rate-period 1h\n")
    for _ in range(5):
        greeted(s, "192.0.2.1").close()
    for _ in range(3):
        assert refusal(s, "192.0.2.1") == (421, "4.7.0")
    greeted(s, "192.0.2.2").close()
    assert clients(s)["192.0.2.1"]["limit"] == "max-connection-rate"


def test_a_period_ends(make):
    s = make("smtp max-connection-rate 2\nsmtp rate-period 2s\n")
    before = time.monotonic()
    for _ in range(2):
        greeted(s, "192.0.2.1").close()
    assert refusal(s, "192.0.2.1") == (421, "4.7.0") or time.monotonic() - before > 2
    wait_for(lambda: refusal(s, "192.0.2.1") is None, "the next period")
    assert time.monotonic() - before > 1


def test_messages_in_a_period(make):
    s = make("smtp max-message-rate 3\nsmtp rate-period 1h\n")
    for _ in range(3):
        with ready(s, "192.0.2.1") as c:
            assert data(envelope(c), "Subject: x\r\n\r\n")[0] == 250
    with ready(s, "192.0.2.1") as c:
        c.say("MAIL FROM:<you@example.net>")
        assert c.status("RCPT TO:<demo@example.org>") == (451, "4.7.1")
        assert c.status("RCPT TO:<other@example.org>") == (451, "4.7.1")
        assert c.cmd("DATA")[0] in (503, 554)
        c.say("NOOP")
    with ready(s, "192.0.2.2") as c:
        assert data(envelope(c), "Subject: x\r\n\r\n")[0] == 250


def test_recipients_in_a_period(make):
    s = make("smtp max-recipient-rate 5\nsmtp rate-period 1h\n")
    with ready(s, "192.0.2.1") as c:
        c.say("MAIL FROM:<you@example.net>", *["RCPT TO:<demo@example.org>"] * 5)
        assert c.status("RCPT TO:<demo@example.org>") == (451, "4.7.1")
        assert data(c, "Subject: five\r\n\r\n")[0] == 250        # those that were taken


def test_refused_recipients_in_a_period(make):
    """Who tries out names is sent away, and not let in again before the period is over."""
    s = make("smtp max-refused-rate 5\nsmtp rate-period 1h\n")
    with ready(s, "192.0.2.1") as first, ready(s, "192.0.2.1") as second:
        first.say("MAIL FROM:<you@example.net>")
        for n in range(5):
            assert first.status(f"RCPT TO:<nobody{n}@example.org>") == (550, "5.1.1")
        second.say("MAIL FROM:<you@example.net>")
        second.send("RCPT TO:<nobody@example.org>\r\n")
        assert second.refused() == (421, "4.7.1")
        first.send("RCPT TO:<demo@example.org>\r\n")
        assert first.refused() == (421, "4.7.1")
    assert refusal(s, "192.0.2.1") == (421, "4.7.1")
    greeted(s, "192.0.2.2").close()


@pytest.mark.parametrize("limit", ["max-connection-rate", "max-message-rate", "max-recipient-rate", "max-refused-rate"])
def test_zero_is_no_limit(make, limit):
    s = make(f"smtp {limit} 0\nsmtp rate-period 1h\n")
    for _ in range(20):
        with ready(s, "192.0.2.1") as c:
            envelope(c)
            c.cmd("RCPT TO:<nobody@example.org>")


# -- exemptions -----------------------------------------------------------------------------

RATES = """
smtp rate-period 1h
smtp max-connection-rate 2
smtp max-message-rate 2
smtp max-recipient-rate 2
smtp max-refused-rate 2
"""


def test_local_clients_have_no_rates(make):
    s = make(RATES)
    for _ in range(5):
        with hello(s) as c:
            envelope(c)
            assert c.status("RCPT TO:<nobody@example.org>") == (550, "5.1.1")


def test_exempt_clients_have_no_limits(make):
    s = make(RATES + 'smtp max-sessions-per-client 2\nsmtp exempt-clients {{ 127.0.0.1, 192.0.2.0/24, "2001:db8::/32" }}\n')
    for address in ("192.0.2.1", "2001:db8::1"):
        held = [ready(s, address) for _ in range(6)]
        for c in held:
            envelope(c)
            assert c.status("RCPT TO:<nobody@example.org>") == (550, "5.1.1")
    with greeted(s, "198.51.100.1"), greeted(s, "198.51.100.1"):
        assert refusal(s, "198.51.100.1") == (421, "4.7.0")


def test_with_a_table_local_clients_have_rates(make):
    s = make(RATES + "smtp exempt-clients {{ 192.0.2.0/24 }}\n")
    for _ in range(2):
        Client(s.port).close()
    with Client(s.port, greeted=False) as c:
        assert c.refused() == (421, "4.7.0")


def test_the_whole_servers_limit_is_for_the_exempt_too(make):
    s = make("smtp max-sessions 5\nsmtp exempt-clients {{ 127.0.0.0/8 }}\n")
    held = [Client(s.port) for _ in range(5)]
    with Client(s.port, greeted=False) as c:
        assert c.refused() == (421, "4.3.2")
    assert len(held) == 5


# -- the admin's view ---------------------------------------------------------------------------

def test_what_the_admin_sees(make):
    s = make("smtp max-refused-rate 1\nsmtp rate-period 1h\n")
    with ready(s, "192.0.2.1") as c:
        c.say("MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>")
        assert c.cmd("RCPT TO:<nobody@example.org>")[0] == 550
        row = clients(s)["192.0.2.1"]
        assert [row[k] for k in ("open", "connections", "messages", "recipients", "refused")] == [1, 1, 1, 2, 1]
        c.send("RCPT TO:<nobody@example.org>\r\n")
        assert c.refused() == (421, "4.7.1")
    wait_open(s, "192.0.2.1", 0)
    assert clients(s)["192.0.2.1"]["limit"] == "max-refused-rate"
    assert re.search(r"^192\.0\.2\.1 +0 +1 +1 +3 +2 (59m|1h)", s.ctl("show", "clients").stdout, re.M)


@pytest.mark.parametrize("what", ["192.0.2.1", "all"])
def test_a_client_is_forgiven(make, what):
    s = make("smtp max-connection-rate 1\nsmtp rate-period 1h\n")
    held = greeted(s, "192.0.2.1")
    assert refusal(s, "192.0.2.1") == (421, "4.7.0")
    s.ctl("clear", "clients", what)
    greeted(s, "192.0.2.1").close()
    wait_open(s, "192.0.2.1", 1)        # what is open stays counted
    held.close()
    assert s.ctl("clear", "clients", "198.51.100.9", check=False).returncode != 0
    assert s.ctl("clear", "clients", "nonsense", check=False).returncode != 0


# -- deaths -----------------------------------------------------------------------------------

def killed(server, name):
    """Dead, and another in its place."""
    pid = server.pids()[name]
    os.kill(pid, signal.SIGKILL)
    role = name.split("/", maxsplit=1)[0]
    n = sum(k.startswith(role) for k in server.pids())
    wait_for(lambda: pid not in server.pids().values() and server._all_entered() and
             sum(k.startswith(role) for k in server.pids()) >= n, f"another {name}")


def busiest_session(server):
    """Who has most of the clients: which process takes whom is chance."""
    pids = {n: p for n, p in server.pids().items() if n.startswith("session/")}
    return max(pids, key=lambda n: len(os.listdir(f"/proc/{pids[n]}/fd")))


def test_the_count_comes_back_when_lookup_dies(make):
    s = make("smtp max-sessions-per-client 6\n")
    held = [greeted(s, "192.0.2.1") for _ in range(6)]
    killed(s, "lookup/0")
    wait_open(s, "192.0.2.1", 6)
    assert refusal(s, "192.0.2.1") == (421, "4.7.0")
    held.pop().close()
    wait_open(s, "192.0.2.1", 5)
    held.append(greeted(s, "192.0.2.1"))
    assert refusal(s, "192.0.2.1") == (421, "4.7.0")
    for c in held:
        assert c.cmd("NOOP")[0] == 250


def test_the_count_goes_with_the_session_process(make):
    s = make("smtp max-sessions-per-client 8\n")
    held = [greeted(s, "192.0.2.1") for _ in range(8)]
    killed(s, busiest_session(s))
    alive = []
    for c in held:
        try:
            alive.append(c.cmd("NOOP")[0] == 250)
        except (OSError, EOFError):
            pass
    assert len(alive) < 8
    wait_open(s, "192.0.2.1", len(alive))
    fresh = [greeted(s, "192.0.2.1") for _ in range(8 - len(alive))]
    assert refusal(s, "192.0.2.1") == (421, "4.7.0") and fresh


def test_nobody_comes_in_without_lookup(make):
    """The limits hold or nobody is served: never is anybody let in uncounted."""
    s = make("smtp max-sessions-per-client 2\n")
    os.kill(s.pids()["lookup/0"], signal.SIGSTOP)
    try:
        with Client(s.port, greeted=False, timeout=1) as c, pytest.raises(TimeoutError):
            c.reply()
    finally:
        os.kill(s.pids()["lookup/0"], signal.SIGCONT)
    wait_for(lambda: len(rows(s, "show", "clients")) >= 0 and Client(s.port).cmd("NOOP")[0] == 250, "service again")
