# SPDX-License-Identifier: ISC
"""smtpctl show logins and clear logins: what is printed for what the vault says, and what the vault says."""
import json
import os
import re
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from control import Bench  # noqa: E402
from ipc import encode  # noqa: E402
from sasl import BLOCKED, OK as LOGGED_IN, REFUSED as NO, auth, crypted, plain, table  # noqa: E402
from talk import hello, rows, stat  # noqa: E402
from test_smtpctl import Liar  # noqa: E402
from postern import Server  # noqa: E402

OK, REFUSED, TEMPFAIL = 0, 1, 75


@pytest.fixture
def bench(tmp_path):
    b = Bench(tmp_path)
    yield b
    b.stop()


def row(number, what, **changes):
    return {"number": number, "what": what, "login": False, "failures": 3, "last_s": int(time.time()) - 90, **changes}


def lines(done):
    return done.stdout.decode().splitlines()


def test_none(bench):
    done = bench.smtpctl("show", "logins")
    assert (done.returncode, done.stdout, done.stderr) == (OK, b"nobody failed to log in\n", b"")
    assert bench.smtpctl("show", "logins", "--json").stdout == b""
    assert bench.smtpctl("-q", "show", "logins").stdout == b""


def test_table(bench):
    now = int(time.time())
    bench.logins = [
        row(1, "192.0.2.1", failures=12, until_s=now + 300),
        row(3, "2001:db8:1234:5678::/64", until_s=now - 1),
        row(4, "bob@example.org", login=True, failures=1),
        row(9, b"\x1b[2J\xe2\x80\xaex", login=True),
        row(10, "x" * 100, login=True),
    ]
    done = bench.smtpctl("show", "logins")
    got = lines(done)
    assert done.returncode == OK and not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", done.stdout)
    assert got[0].split() == ["KIND", "ADDRESS", "OR", "LOGIN", "FAILURES", "LAST", "BLOCKED", "FOR"]
    assert re.fullmatch(r"address 192\.0\.2\.1 +12 +1m3\ds (5m00s|4m5\ds)", got[1])
    assert got[2].split()[:3] == ["address", "2001:db8:1234:5678::/64", "3"] and len(got[2].split()) == 4
    assert got[3].split()[:3] == ["login", "bob@example.org", "1"]
    assert got[4].startswith("login   \\x1b[2J\\xe2\\x80\\xaex")
    assert got[6:] == ["5 failed to log in, 1 blocked"]
    assert max(map(len, got[:5])) <= 80
    end = got[0].index("FAILURES") + len("FAILURES")
    assert [line[:end].split()[-1] for line in got[1:4]] == ["12", "3", "1"]
    quiet = lines(bench.smtpctl("-q", "sh", "lo"))
    assert [line[:50] for line in quiet] == [line[:50] for line in got[:6]]


def test_json(bench):
    now = int(time.time())
    bench.logins = [row(1, "192.0.2.1", last_s=now, until_s=now + 300), row(2, b"bob\xff", login=True)]
    first, second = map(json.loads, lines(bench.smtpctl("show", "logins", "--json")))
    assert first == {"kind": "address", "name": "192.0.2.1", "failures": 3, "last": now, "until": now + 300}
    assert (second["kind"], second["name"], second["until"]) == ("login", "bob\xff", 0)


def test_many_come_in_pages(bench):
    bench.logins = [row(n, "10.0.%d.%d" % (n // 256, n % 256)) for n in range(1, 251)]
    assert lines(bench.smtpctl("show", "logins"))[-1] == "250 failed to log in, 0 blocked"
    assert bench.questions == ["logins"] * 3


def test_pages_that_do_not_get_on_come_to_an_end(tmp_path):
    again = encode("logins_row", req=1, number=0) + encode("logins_end", req=1, more=True)
    assert Liar(tmp_path / "s", again).smtpctl("show", "logins").returncode == OK


def test_clear(bench):
    bench.logins = [row(1, "192.0.2.1"), row(2, "bob@example.org", login=True)]
    for words, said, logged in (
            (["192.0.2.1"], b"192.0.2.1: cleared\n", "192.0.2.1"),
            (["bob@example.org"], b"bob@example.org: cleared\n", "bob@example.org"),
            (["all"], b"all addresses and logins: cleared\n", "all"),
            ([], b"all addresses and logins: cleared\n", "all")):
        done = bench.smtpctl("clear", "logins", *words)
        assert (done.returncode, done.stdout, done.stderr) == (OK, said, b"")
        bench.wait_log("event=admin verb=clear-logins login=%s uid=%d" % (logged, os.getuid()))
    assert bench.forgotten == ["192.0.2.1", "bob@example.org", "", ""]
    assert bench.smtpctl("-q", "cl", "l").stdout == b""
    done = bench.smtpctl("clear", "logins", "eve")
    assert (done.returncode, done.stdout) == (REFUSED, b"")
    assert done.stderr == b"smtpctl: no such address or login\n"


def test_looking_is_not_logged(bench):
    bench.smtpctl("show", "logins")
    bench.smtpctl("show", "certificates")
    bench.smtpctl("clear", "logins")
    bench.wait_log("verb=clear-logins")
    assert len([line for line in bench.log if "event=admin " in line]) == 1


def test_vault_down(tmp_path):
    b = Bench(tmp_path, with_vault=False)
    done = [b.smtpctl("show", "logins"), b.smtpctl("clear", "logins")]
    b.stop()
    for d in done:
        assert d.returncode == TEMPFAIL
        assert d.stderr == b"smtpctl: smtpd-vault is being restarted; try again\n"


# -- the whole server --

CONF = table("logins", {"demo@example.org": crypted("demo"), "other@example.org": crypted("other")}) + """
auth failure-delay 0s
auth max-failures 100
auth free-failures 3
listen on 127.0.0.1 port 0 auth <logins> insecure-auth
"""


def guess(server, login, password="wrong", source="127.0.0.1"):
    with hello(server, server.ports[1], source=source) as c:
        return auth(c, "PLAIN", *plain(login, password))


def failures(server):
    return {(r["kind"], r["name"]): r["failures"] for r in rows(server, "show", "logins")}


def test_whole_server(make_server):
    server = make_server(extra=CONF)
    assert failures(server) == {}
    assert server.ctl("show", "logins").stdout == "nobody failed to log in\n"
    for n in range(3):
        assert guess(server, f"nobody{n}@example.org", source="127.0.0.2") == NO
    assert failures(server)["address", "127.0.0.2"] == 3
    assert guess(server, "demo@example.org", source="127.0.0.2") == NO
    assert guess(server, "demo@example.org", "demo", source="127.0.0.2") == BLOCKED
    assert (stat(server, "vault.auth.refused"), stat(server, "vault.auth.blocked")) == (4, 1)
    row_of = {r["name"]: r for r in rows(server, "show", "logins")}
    assert row_of["127.0.0.2"]["until"] > time.time() and row_of["demo@example.org"]["until"] == 0
    assert row_of["demo@example.org"]["kind"] == "login"
    assert re.search(r"(?m)^address 127\.0\.0\.2 .* \d+s$", server.ctl("show", "logins").stdout)
    # One is let in again, and what the others did is not forgotten.
    server.ctl("clear", "logins", "127.0.0.2")
    assert ("address", "127.0.0.2") not in failures(server) and ("login", "demo@example.org") in failures(server)
    assert guess(server, "demo@example.org", "demo", source="127.0.0.2") == LOGGED_IN
    with hello(server, server.ports[1], source="127.0.0.77") as c:
        c.say("NOOP")       # it did nothing wrong: there is nothing to forget
    done = server.ctl("clear", "logins", "127.0.0.77", check=False)
    assert done.returncode == REFUSED and done.stderr.startswith("smtpctl: ")
    guess(server, "other@example.org", source="127.0.0.3")
    server.ctl("clear", "logins")
    assert failures(server) == {}
