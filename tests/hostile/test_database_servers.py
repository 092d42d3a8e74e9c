# SPDX-License-Identifier: ISC
"""A database server that means harm: mail for its table waits, and nothing else does; nobody's memory or time is its."""
import itertools
import time

import pytest
from evil_postgres import EvilPostgres, notice, notification, repeats_the_password, scram, setting, without_end
from postern import BUILD, wait_for
from talk import hello

OK, UNKNOWN, LATER = (250, "2.1.5"), (550, "5.1.1"), (451, "4.4.3")
PASSWORD = "tops3cret-of-evil"
CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
lookup cache-time 0s
table evil postgres:{dir}/evil.conf
table good postgres:{dir}/good.conf
table here {{ "demo@here.test" = "vmail" }}
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
listen on 127.0.0.1 port 0
action "evil" maildir "{dir}/mail/%{{dest.user}}" virtual <evil> userbase <owners>
action "good" maildir "{dir}/mail/%{{dest.user}}" virtual <good> userbase <owners>
action "here" maildir "{dir}/mail/%{{dest.user}}" virtual <here> userbase <owners>
match from any for domain "here.test" action "here"
match from any for domain "good.test" action "good"
match from any for any action "evil"
"""
LIMIT_MIB = 128 if "asan" not in BUILD else 640    # of memory, of any process; a sanitizer keeps what was freed


@pytest.fixture
def start(make_server):
    servers = []

    def make(**evil):
        s = make_server(conf=CONF, start=False)
        good = EvilPostgres(lambda key: ["vmail"] if key == "demo@good.test" else [])
        servers.extend([EvilPostgres(**evil), good])
        for name, server in zip(("evil", "good"), servers[-2:]):
            with open(s.path(f"{name}.conf"), "w", encoding="utf-8") as f:
                f.write(server.conf(f"password={PASSWORD}"))
        s.start()
        wait_for(lambda: rcpt(s, "demo@good.test") == [OK], "the good server's answers")
        return s
    yield make
    for server in servers:
        server.close()


def rcpt(s, *addresses):
    with hello(s) as c:
        c.say("MAIL FROM:<>")
        return [c.status(f"RCPT TO:<{a}>") for a in addresses]


def others_are_well(s, seconds):
    """All the while; the longest that anything took."""
    end, worst = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        began = time.monotonic()
        assert rcpt(s, "demo@good.test", "demo@here.test", "nobody@good.test") == [OK, OK, UNKNOWN]
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.05)
    return worst


def memory_mib(s):
    """The most that lookup and the program of tables ever had."""
    most = 0
    for role, pid in s.pids().items():
        if role.startswith(("lookup", "table")):
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                most = max(most, int(f.read().split("VmHWM:")[1].split()[0]) // 1024)
    return most


def assert_unharmed(s, before):
    assert s.pids() == before
    assert not [line for line in s.log if "forbidden-call" in line or "process-ended" in line]
    assert not [line for line in s.log if PASSWORD in line]


@pytest.mark.parametrize("iterations", [300_000, 2**31 - 1])
def test_reckoning_without_end(start, iterations):
    """RFC 5802 lets the server say how many HMACs a login costs; libpq would do them all, and nothing else meanwhile."""
    s = start(greet=scram(iterations))
    before = s.pids()
    assert rcpt(s, "x@evil.test", "demo@here.test") == [LATER, OK]
    assert others_are_well(s, 4) < 2
    s.wait_log("event=table-server-down table=evil .*error=\"the server wants too many iterations of SCRAM\"")
    assert_unharmed(s, before)


@pytest.mark.parametrize("what", [notification, setting, notice])
def test_talk_without_end(start, what):
    """What nobody asked for is not kept, and not heard for ever."""
    s = start(greet=without_end(what))
    before = s.pids()
    assert rcpt(s, "x@evil.test", "demo@here.test") == [LATER, OK]
    others_are_well(s, 8)
    assert memory_mib(s) < LIMIT_MIB
    assert_unharmed(s, before)


def test_answers_without_end(start):
    """Each member of a list is a list of ten thousand others."""
    fresh = itertools.count()

    def values(_):
        n = next(fresh)
        return [f"{n:06d}x{i:05d}{'y' * 40}@{'d' * 30}.evil.test" for i in range(9000)]

    s = start(values=values)
    before = s.pids()
    with hello(s) as c:
        c.say("MAIL FROM:<>", "RCPT TO:<list@evil.test>", "DATA")
        c.send("Subject: x\r\n\r\nx\r\n.\r\n")
        assert c.reply()[0] == 250
    others_are_well(s, 10)
    assert next(fresh) > 20
    assert memory_mib(s) < LIMIT_MIB / 2
    assert_unharmed(s, before)


def test_password_is_not_logged(start):
    s = start(greet=repeats_the_password)
    assert rcpt(s, "x@evil.test", "demo@here.test") == [LATER, OK]
    s.wait_log("event=table-server-down table=evil .*not for a log")
    said = s.ctl("lookup", "evil", "virtual", "x@evil.test", check=False)
    assert PASSWORD not in said.stdout + said.stderr
    assert not [line for line in s.log if PASSWORD in line]
