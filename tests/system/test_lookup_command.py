# SPDX-License-Identifier: ISC
"""smtpctl lookup and update table: what a table says, what the vault does not say."""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import postern  # noqa: E402
from control import Bench  # noqa: E402
from ipc import OUTCOMES  # noqa: E402

OK, REFUSED, USAGE, TEMPFAIL = 0, 1, 2, 75
VALUE_MAX = 8192


class TableBench(Bench):
    """lookup and the vault as a test wants them: (pieces, outcome, text), and what they were asked."""

    def __init__(self, directory):
        self.found = self.secret = ([], "GONE", "")
        self.asked = []
        super().__init__(directory)

    def _answer(self, link, m, answer):
        pieces, outcome, text = answer
        for piece in pieces:
            link.send("find_row", req=m.req, value=piece)
        link.send("find_end", req=m.req, outcome=OUTCOMES.index(outcome), text=text)

    def _as_lookup(self, link, m):
        if m.type != "find_in":
            return super()._as_lookup(link, m)
        self.asked.append((m.table, m.service, m.key))
        return self._answer(link, m, self.found)

    def _as_vault(self, link, m):
        if m.type != "find_secret":
            return super()._as_vault(link, m)
        self.asked.append((m.table, m.key))
        return self._answer(link, m, self.secret)

    def _as_parent(self, link, m):
        if m.type != "table_update":
            return super()._as_parent(link, m)
        self.updated.append(m.table)
        there = m.table == "users"
        return link.send("done", req=m.req, outcome=OUTCOMES.index("OK" if there else "FAIL"),
                         text="" if there else "no table \x1b[31m%s" % m.table)


@pytest.fixture
def bench(tmp_path):
    b = TableBench(tmp_path)
    yield b
    b.stop()


# -- the command, with lookup and vault played here --


def test_a_value_in_pieces(bench):
    # The end of a piece may be within a character.
    value = ("x" * (VALUE_MAX - 1) + "\u00e9").encode() * 3
    bench.found = ([value[i: i + VALUE_MAX] for i in range(0, len(value), VALUE_MAX)], "OK", "")
    done = bench.smtpctl("lookup", "users", "virtual", "bob@example.org")
    assert (done.returncode, done.stdout, done.stderr) == (OK, value + b"\n", b"")
    said = json.loads(bench.smtpctl("lookup", "users", "virtual", "bob@example.org", "--json").stdout)
    assert said == {"table": "users", "service": "virtual", "key": "bob@example.org", "found": True,
                    "value": value.decode()}


def test_presence(bench):
    bench.found = ([], "OK", "")
    done = bench.smtpctl("lookup", "ours", "domain", "example.org")
    assert (done.returncode, done.stdout) == (OK, b"found\n")
    bench.found = ([], "GONE", "")
    done = bench.smtpctl("lookup", "ours", "domain", "example.net")
    assert (done.returncode, done.stdout) == (REFUSED, b"")
    assert done.stderr == b"smtpctl: ours: no 'example.net' in it\n"
    done = bench.smtpctl("lookup", "ours", "domain", "example.net", "--json")
    assert done.returncode == REFUSED and json.loads(done.stdout)["found"] is False


def test_trouble_and_refusal(bench):
    bench.found = ([], "RETRY", "table <pg> can't be asked now")
    done = bench.smtpctl("lookup", "pg", "alias", "root")
    assert (done.returncode, done.stderr) == (TEMPFAIL, b"smtpctl: table <pg> can't be asked now\n")
    bench.found = ([], "FAIL", 'no table usres, did you mean "users"?')
    done = bench.smtpctl("lookup", "usres", "alias", "root")
    assert (done.returncode, done.stderr) == (REFUSED, b'smtpctl: no table usres, did you mean "users"?\n')


def test_the_vault_is_asked_when_lookup_has_it_not(bench):
    bench.found = ([], "DENIED", "")
    bench.secret = ([b"yescrypt hash"], "OK", "")
    done = bench.smtpctl("lookup", "passwords", "auth", "bob")
    assert (done.returncode, done.stdout) == (OK, b"yescrypt hash\n")
    assert bench.asked == [("passwords", 3, "bob"), ("passwords", "bob")]


def test_what_a_table_holds_steers_no_terminal(bench):
    bench.found = ([b"\x1b[2Jx\r\n\xff\xe2\x80\xae"], "OK", "")
    done = bench.smtpctl("lookup", "t", "alias", "k")
    assert done.stdout == b"\\x1b[2Jx\\x0d\\x0a\\xff\\xe2\\x80\\xae\n"
    assert json.loads(bench.smtpctl("lookup", "t", "alias", "k", "--json").stdout)["value"][0] == "\x1b"


@pytest.mark.parametrize("words,complaint", [
    (("users", "virtul", "k"), "unknown service 'virtul', did you mean 'virtual'?"),
    (("users", "zzz", "k"), "unknown service 'zzz'; see 'smtpctl help lookup'"),
    (("users", "alias", ""), "the key is empty"),
    (("users", "alias", "k" * 600), "the key is too long"),
    (("u" * 65, "alias", "k"), "the table is too long"),
    (("users", "alias"), "'lookup' needs NAME SERVICE KEY"),
    (("users", "alias", "k", "l"), "'l' is one word too many"),
])
def test_words(bench, words, complaint):
    done = bench.smtpctl("lookup", *words)
    assert done.returncode == USAGE and complaint in done.stderr.decode()
    assert bench.asked == []


def test_help_names_the_services(bench):
    text = bench.smtpctl("help", "lookup").stdout.decode()
    for word in ("alias", "virtual", "domain", "auth", "credentials", "netaddr", "userinfo", "source",
                 "mailaddr", "mailaddrmap", "senders", "relayhost"):
        assert re.search(r"^ +%s +\w" % word, text, re.M), word


def test_update(bench):
    done = bench.smtpctl("update", "table", "users")
    assert (done.returncode, done.stdout) == (OK, b"users: updated\n")
    done = bench.smtpctl("update", "table", "ghost")
    assert (done.returncode, done.stderr) == (REFUSED, b"smtpctl: no table \\x1b[31mghost\n")
    assert bench.updated == ["users", "ghost"]
    bench.wait_log("verb=update-table table=users")


# -- a whole server --

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
table users file:{dir}/users
table domains {{ "example.org", ".wild.example" }}
table nets {{ "192.0.2.0/24", "2001:db8::/32" }}
table people {{ "bob@example.org", "@example.net" }}
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
table passwords file:{dir}/passwords
listen on 127.0.0.1 port 0 auth <passwords> tls
pki mx.test cert "{dir}/cert.pem"
pki mx.test key "{dir}/key.pem"
action "demo" maildir "{dir}/mail/%{{dest.user}}" virtual <users> userbase <owners>
match from src <nets> for domain <domains> action "demo"
match from mail-from <people> for domain <domains> action "demo"
"""


def encrypt(method, secret):
    return subprocess.run([f"{postern.BUILD}/bin/smtpctl", "encrypt", "-m", method, secret],
                          check=True, capture_output=True, text=True).stdout.strip()


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o644)


@pytest.fixture(scope="module")
def whole():
    s = postern.Server(CONF)
    write(s.path("users"), "bob@example.org: vmail\n@example.org: bob@example.org\n")
    secrets = {name: encrypt(method, "correct horse") for name, method in
               (("yes", "yescrypt"), ("scram", "scram-sha-256"), ("six", "sha512"), ("bc", "bcrypt"))}
    write(s.path("passwords"), "".join(f"{k} {v}\n" for k, v in secrets.items()) +
          f"both {secrets['yes']} {secrets['scram']}\n" + encrypt("token", "opensesame") + " bob\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "30", "-subj", "/CN=mx.test", "-keyout", s.path("key.pem"),
                    "-out", s.path("cert.pem")], check=True, capture_output=True)
    s.secrets = secrets
    yield s.start()
    s.cleanup()


@pytest.mark.parametrize("table,service,key,said", [
    ("users", "virtual", "bob@example.org", "vmail"),
    ("users", "virtual", "BOB@EXAMPLE.ORG", "vmail"),
    ("users", "virtual", "@example.org", "bob@example.org"),
    ("users", "virtual", "eve@example.org", None),
    ("domains", "domain", "example.org", "found"),
    ("domains", "domain", "a.b.wild.example", "found"),
    ("domains", "domain", "wild.example.com", None),
    ("nets", "netaddr", "192.0.2.77", "found"),
    ("nets", "netaddr", "192.0.3.77", None),
    ("nets", "netaddr", "2001:db8::5", "found"),
    ("nets", "netaddr", "unix", None),
    ("people", "mailaddr", "bob@example.org", "found"),
    ("people", "mailaddr", "any.one@example.net", "found"),
    ("people", "mailaddr", "eve@example.org", None),
    ("people", "mailaddr", "<>", None),
    ("owners", "userinfo", "vmail", "%d:%d:" % (postern.VMAIL, postern.VMAIL)),
])
def test_tables_in_memory(whole, table, service, key, said):
    done = whole.ctl("lookup", table, service, key, check=False)
    if said is None:
        assert (done.returncode, done.stdout) == (REFUSED, ""), done.stderr
    else:
        assert (done.returncode, done.stdout.startswith(said)) == (OK, True), done.stdout + done.stderr


@pytest.mark.parametrize("table,service,key,complaint", [
    ("usres", "virtual", "bob", 'no table usres, did you mean "users"?'),
    ("nets", "netaddr", "example.org", "the key of service netaddr is the address of a client"),
    ("people", "mailaddr", "bob", "the key of service mailaddr is an address"),
])
def test_questions_that_can_not_be_answered(whole, table, service, key, complaint):
    done = whole.ctl("lookup", table, service, key, check=False)
    assert done.returncode == REFUSED and complaint in done.stderr


@pytest.mark.parametrize("key,said", [
    ("yes", "yescrypt hash"), ("six", "SHA-512 hash"), ("bc", "bcrypt hash"),
    ("scram", r"SCRAM-SHA-256 keys, \d+ iterations"),
    ("both", r"yescrypt hash, SCRAM-SHA-256 keys, \d+ iterations"),
    (None, "token of bob"),
])
def test_a_secret_is_not_told(whole, key, said):
    key = key or encrypt("token", "opensesame")
    done = whole.ctl("lookup", "passwords", "auth", key)
    assert re.fullmatch(said, done.stdout.strip())
    for secret in whole.secrets.values():
        assert secret not in done.stdout
        for part in re.split(r"[$:]", secret):
            assert len(part) < 8 or part in said or part not in done.stdout


def test_a_login_that_is_not_there(whole):
    done = whole.ctl("lookup", "passwords", "auth", "nobody", check=False)
    assert (done.returncode, done.stdout) == (REFUSED, "")


def test_an_update_is_seen(whole):
    assert whole.ctl("lookup", "users", "virtual", "new@example.org", check=False).returncode == REFUSED
    with open(whole.path("users"), "a", encoding="utf-8") as f:
        f.write("new@example.org: vmail\n")
    assert whole.ctl("update", "table", "users").stdout == "users: updated\n"
    postern.wait_for(lambda: whole.ctl("lookup", "users", "virtual", "new@example.org",
                                       check=False).returncode == OK, "the new entry")
    done = whole.ctl("update", "table", "usres", check=False)
    assert done.returncode == REFUSED and 'did you mean "users"?' in done.stderr


# -- databases: what lookup asks, and what a hasher asks --

SQLITE_CONF = """
table people sqlite:{dir}/people.conf
table logins sqlite:{dir}/logins.conf
listen on 127.0.0.1 port 0 auth <logins> insecure-auth
action "sql" maildir "{dir}/mail/%{{dest.user}}" virtual <people> userbase <owners>
match from any for domain "sql.example" action "sql"
"""


def test_tables_in_sqlite(make_server):
    s = make_server(extra=SQLITE_CONF, start=False)
    stored = encrypt("yescrypt", "correct horse")
    with contextlib.closing(sqlite3.connect(s.path("t.db"), isolation_level=None)) as db:
        db.execute("CREATE TABLE t(k TEXT, v TEXT)")
        db.executemany("INSERT INTO t VALUES(?, ?)", [("bob@sql.example", "vmail"), ("bob", stored)])
    os.chmod(s.path("t.db"), 0o600)
    for name, service, columns in (("people", "virtual", "v"), ("logins", "credentials", "k, v")):
        write(s.path(f"{name}.conf"), f"dbpath {s.path('t.db')}\n"
              f"query_{service} SELECT {columns} FROM t WHERE k=?\n")
    s.start()
    assert s.ctl("lookup", "people", "virtual", "bob@sql.example").stdout == "vmail\n"
    assert s.ctl("lookup", "people", "virtual", "eve@sql.example", check=False).returncode == REFUSED
    assert s.ctl("lookup", "logins", "auth", "BOB").stdout == "yescrypt hash\n"
    assert s.ctl("lookup", "logins", "auth", "eve", check=False).returncode == REFUSED
