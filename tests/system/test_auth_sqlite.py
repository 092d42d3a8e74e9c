# SPDX-License-Identifier: ISC
"""Logins in a SQLite database that other programs write to while the server runs."""
import os
import signal
import sqlite3

import pytest

from postern import ROOT, Server, wait_for
from sasl import BLOCKED, OK, REFUSED, Scram, auth, crypted, login_steps, plain, scram_keys
from talk import hello, offered

DEMO, PASSWORD = "demo@example.org", "correct horse"
CONF = """
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
smtp error-delay 0s
table accounts sqlite:{dir}/sqlite.conf
listen on 127.0.0.1 port 0 auth <accounts> insecure-auth
"""
QUERY = "SELECT login, value FROM users WHERE login=?"


class Database:
    def __init__(self, server):
        self.server, self.path = server, server.path("users.db")
        self.db = sqlite3.connect(self.path, isolation_level=None, timeout=30)
        os.chmod(self.path, 0o600)    # as root: the parent can read it, no other process can
        self.run("CREATE TABLE users(login TEXT PRIMARY KEY, value TEXT)")
        self.put(DEMO, crypted(PASSWORD))
        self.ask(QUERY)

    def run(self, sql, *values):
        return self.db.execute(sql, values).fetchall()

    def put(self, login, value):
        self.run("INSERT OR REPLACE INTO users VALUES(?, ?)", login, value)

    def ask(self, query):
        with open(self.server.path("sqlite.conf"), "w", encoding="utf-8") as f:
            f.write(f"# who may log in\ndbpath {self.path}\nquery_credentials {query}\n")


@pytest.fixture
def s(make_server):
    server = make_server(extra=CONF, start=False)
    server.database = Database(server)
    return server.start()


@pytest.fixture
def db(s):
    yield s.database
    s.database.db.close()


def log_in(s, login=DEMO, password=PASSWORD, mechanism="PLAIN"):
    steps = {"PLAIN": plain, "LOGIN": login_steps}[mechanism](login, password)
    with hello(s, s.ports[1]) as c:
        return auth(c, mechanism, *steps)


def test_logins(s, db):
    db.put("none@example.org", None)
    db.put("empty@example.org", "")
    db.put("locked@example.org", "!" + crypted(PASSWORD))
    db.put("weak@example.org", crypted(PASSWORD, "md5"))
    for mechanism in ("PLAIN", "LOGIN"):
        assert log_in(s, mechanism=mechanism) == OK
        assert log_in(s, password="wrong", mechanism=mechanism) == REFUSED
    for login in ("none@example.org", "empty@example.org", "locked@example.org", "weak@example.org",
                  "nobody@example.org", "%", "' OR 1=1 --", "demo@example.org' --"):
        assert log_in(s, login) == REFUSED, login


def test_changes_count_at_once(s, db):
    assert log_in(s) == OK
    db.put(DEMO, crypted("another"))
    assert log_in(s) == REFUSED
    assert log_in(s, password="another") == OK
    db.run("DELETE FROM users")
    assert log_in(s, password="another") == REFUSED
    db.put("new@example.org", crypted(PASSWORD))
    assert log_in(s, "new@example.org") == OK


def test_scram_keys(s, db):
    with hello(s, s.ports[1]) as c:
        assert offered(c)["AUTH"].split() == ["PLAIN", "LOGIN"]
    db.put("scram@example.org", scram_keys(PASSWORD))
    # Whether to offer it is found out when the server starts, and at a reload.
    s.process.send_signal(signal.SIGHUP)

    def offer():
        with hello(s, s.ports[1]) as c:
            return offered(c)["AUTH"].split()
    wait_for(lambda: offer() == ["SCRAM-SHA-256", "PLAIN", "LOGIN"], "SCRAM")
    with hello(s, s.ports[1]) as c:
        scram = Scram("scram@example.org", PASSWORD)
        assert auth(c, "SCRAM-SHA-256", *scram.steps) == OK and scram.server_knew
    with hello(s, s.ports[1]) as c:
        assert auth(c, "SCRAM-SHA-256", *Scram("scram@example.org", "wrong").steps) == REFUSED
    assert log_in(s, "scram@example.org") == OK
    assert log_in(s) == OK


def test_a_writer_is_passing_trouble(s, db):
    db.run("BEGIN EXCLUSIVE")
    assert log_in(s) == BLOCKED
    s.wait_log("event=table-trouble table=accounts .*why=.*locked")
    db.run("COMMIT")
    assert log_in(s) == OK


def test_wal_is_refused(s, db):
    assert db.run("PRAGMA journal_mode=WAL") == [("wal",)]
    db.put(DEMO, crypted(PASSWORD))
    assert log_in(s) == BLOCKED
    s.wait_log("event=table-trouble table=accounts .*why=.*WAL mode.*hint=.*journal_mode=DELETE")
    assert db.run("PRAGMA journal_mode=DELETE") == [("delete",)]
    assert log_in(s) == OK


def test_another_query_after_a_reload(s, db):
    db.run("CREATE TABLE old(name, hash)")
    db.run("INSERT INTO old VALUES('demo', ?)", crypted("older"))
    db.ask("SELECT name, hash FROM old WHERE name || '@example.org' = ?")
    s.process.send_signal(signal.SIGHUP)
    wait_for(lambda: log_in(s, password="older") == OK, "the new query")
    assert log_in(s) == REFUSED


@pytest.mark.parametrize("query, why", [
    ("SELECT login, value FROM nowhere WHERE login=?", "no such table: nowhere"),
    ("SELECT login FROM users WHERE login=?", "two columns"),
    ("SELECT 1, count(*) FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) SELECT n FROM c)"
     " WHERE n > ?", "takes too long"),
], ids=["table", "columns", "endless"])
def test_a_query_that_fails_is_passing_trouble(make_server, query, why):
    s = make_server(extra=CONF + "table more {{ \"more@example.org\" = \"" + crypted(PASSWORD) + "\" }}\n"
                    "listen on 127.0.0.1 port 0 auth <more> insecure-auth\n", start=False)
    Database(s).ask(query)
    s.start()
    assert log_in(s) == BLOCKED
    s.wait_log(f"event=table-trouble table=accounts .*why=.*{why}")
    # That is nobody else's trouble.
    with hello(s, s.ports[2]) as c:
        assert auth(c, "PLAIN", *plain("more@example.org", PASSWORD)) == OK


def test_a_file_that_is_no_database(s, db):
    """Whatever stands in the file, no process falls over it."""
    before = s.pids()
    with open(db.path, "rb") as f:
        good = f.read()
    for bad in (b"", b"no database at all\n" * 500, good[:1000], good[:100] + b"\xff" * (len(good) - 100),
                good[:4096] + b"\r" + b"\0\0\0\xff\xff" * 1000):
        with open(db.path, "r+b") as f:
            f.write(bad)
            f.truncate()
        assert log_in(s) == BLOCKED, bad[:20]
    with open(db.path, "r+b") as f:
        f.write(good)
        f.truncate()
    wait_for(lambda: log_in(s) == OK, "the database as it was")
    assert s.pids() == before


def test_no_such_file(make_server):
    s = make_server(extra=CONF, start=False)
    Database(s)
    os.unlink(s.path("users.db"))
    s.start()
    s.wait_log("event=file-not-read path=.*users.db")
    assert log_in(s) == BLOCKED


@pytest.mark.root
def test_no_process_can_write_to_it(s, db):
    """Of the database's descriptors, none is writable; the hashers alone have one."""
    assert ROOT and log_in(s) == OK
    holders = set()
    for name, pid in s.pids().items():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            if os.readlink(f"/proc/{pid}/fd/{fd}") != db.path:
                continue
            holders.add(name.split("/")[0])
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
                flags = int(f.read().split("flags:")[1].split()[0], 8)
            assert flags & os.O_ACCMODE == os.O_RDONLY
    assert holders == {"hasher"}
