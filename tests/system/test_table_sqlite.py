# SPDX-License-Identifier: ISC
"""Recipients, domains and owners in a SQLite database that other programs write to while the server runs."""
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from postern import ROOT, Server, wait_for
from talk import hello

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
smtp error-delay 0s
smtp max-errors 1000
smtp max-refused-rate 0
table mail sqlite:{dir}/mail.conf
table plain {{ "demo@plain.example" = "vmail" }}
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
listen on 127.0.0.1 port 0
action "database" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <mail> userbase <mail>
action "plain" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <plain> userbase <owners>
match from any for domain "plain.example" action "plain"
match from any for domain <mail> action "database"
"""
QUERIES = {
    "query_alias": "SELECT target FROM aliases WHERE address=? ORDER BY rowid",
    "query_domain": "SELECT domain FROM domains WHERE domain=?",
    "query_userinfo": "SELECT uid, gid, home FROM owners WHERE name=?",
}
SCHEMA = """CREATE TABLE aliases(address TEXT, target TEXT);
CREATE TABLE domains(domain TEXT PRIMARY KEY);
CREATE TABLE owners(name TEXT PRIMARY KEY, uid INT, gid INT, home TEXT);
"""
SLOW = "SELECT count(*) FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) SELECT n FROM c) WHERE n > ?"

GOOD, UNKNOWN, NO_RULE, PASSING = (250, "2.1.5"), (550, "5.1.1"), (550, "5.7.1"), (451, "4.4.3")


def sqlite_tool(path, sql):
    """Debian's own tool; what it writes is what administrators have."""
    subprocess.run(["sqlite3", "-bail", path], input=sql, text=True, check=True, timeout=60)


class Database:
    def __init__(self, server):
        self.server, self.path = server, server.path("mail.db")
        sqlite_tool(self.path, SCHEMA)
        os.chmod(self.path, 0o600)    # as root: the parent can read it, no other process can
        self.db = sqlite3.connect(self.path, isolation_level=None, timeout=30)
        self.run("INSERT INTO domains VALUES('example.org')")
        self.run("INSERT INTO owners VALUES('vmail', ?, ?, ?)", server.vmail, server.vmail, server.path("mail"))
        self.put("demo@example.org", "vmail")
        self.ask()

    def run(self, sql, *values):
        return self.db.execute(sql, values).fetchall()

    def put(self, address, *targets):
        for target in targets:
            self.run("INSERT INTO aliases VALUES(?, ?)", address, target)

    def ask(self, **queries):
        with open(self.server.path("mail.conf"), "w", encoding="utf-8") as f:
            f.write(f"# who gets mail\ndbpath {self.path}\n")
            for word, query in {**QUERIES, **queries}.items():
                f.write(f"{word} {query}\n")

    def replace(self, sql):
        """Another database in its place, as tools do that write a new file."""
        self.db.close()
        sqlite_tool(self.path + ".new", SCHEMA + sql)
        os.rename(self.path + ".new", self.path)
        self.db = sqlite3.connect(self.path, isolation_level=None, timeout=30)


@pytest.fixture
def s(make_server):
    server = make_server(conf=CONF, start=False)
    server.database = Database(server)
    return server.start()


@pytest.fixture
def db(s):
    yield s.database
    s.database.db.close()


def rcpt(s, address):
    with hello(s) as c:
        c.say("MAIL FROM:<you@example.net>")
        return c.status(f"RCPT TO:<{address}>")


class Clock:
    """How long others wait meanwhile: a session that asks again and again for what no database is needed for."""

    def __init__(self, s):
        self.s, self.longest, self.n, self.over = s, 0.0, 0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        with hello(self.s) as c:
            c.say("MAIL FROM:<other@example.net>")
            while not self.over.is_set():
                began = time.monotonic()
                assert c.status("RCPT TO:<demo@plain.example>") == GOOD
                c.say("RSET", "MAIL FROM:<other@example.net>")
                self.longest = max(self.longest, time.monotonic() - began)
                self.n += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


# -- what it says ---------------------------------------------------------------

def test_mail_arrives(s, db):
    db.put("both@example.org", "demo@example.org", None, "", "vmail")
    s.send(to="demo@example.org")
    s.wait_mail(1)
    s.send(to="both@example.org")
    s.wait_mail(2)
    s.wait_mail(1, user="both")


def test_changes_count_at_once(s, db):
    assert rcpt(s, "demo@example.org") == GOOD
    assert rcpt(s, "DEMO@Example.ORG") == GOOD
    assert rcpt(s, "new@example.org") == UNKNOWN
    assert rcpt(s, "new@example.com") == NO_RULE
    db.put("new@example.org", "vmail")
    assert rcpt(s, "new@example.org") == GOOD
    db.run("INSERT INTO domains VALUES('example.com')")
    assert rcpt(s, "new@example.com") == UNKNOWN
    db.put("@example.com", "vmail")
    assert rcpt(s, "new@example.com") == GOOD
    db.run("DELETE FROM aliases")
    assert rcpt(s, "demo@example.org") == UNKNOWN
    db.run("ALTER TABLE domains ADD COLUMN more")
    db.run("DELETE FROM domains")
    assert rcpt(s, "demo@example.org") == NO_RULE


@pytest.mark.parametrize("local", ["' OR 1=1 --", "%", "*", "demo' --", "x'; DROP TABLE aliases; --", "?1", ":a"])
def test_keys_are_never_sql(s, db, local):
    assert rcpt(s, f'"{local}"@example.org') == UNKNOWN
    assert rcpt(s, "demo@example.org") == GOOD
    assert not any("table-trouble" in line for line in s.log)


def test_values_that_could_end_a_line(s, db):
    """They are trouble for who asked, named in the log, and nobody else's."""
    for name, value in (("cr", "vmail\r"), ("lf", "vmail\nRCPT TO:<x@example.net>"), ("nul", "vm\0ail"), ("esc", "\x1b[2J")):
        db.put(f"{name}@example.org", value)
    for name in ("cr", "lf", "nul", "esc"):
        assert rcpt(s, f"{name}@example.org") == PASSING
        assert rcpt(s, "demo@example.org") == GOOD
    s.wait_log("event=table-value-refused table=mail key=cr@example.org why=.*control character")
    assert not any("\x1b" in line or "x@example.net" in line for line in s.log)


def test_many_rows(s, db):
    """A list of as many rows as it has members."""
    db.run("BEGIN")
    for n in range(300):
        db.put("list@example.org", f"member{n}@example.org")
        db.put(f"member{n}@example.org", "vmail")
    db.run("COMMIT")
    assert rcpt(s, "list@example.org") == GOOD
    s.send(to="list@example.org")
    s.wait_mail(1, user="member0")
    s.wait_mail(1, user="member299")


# -- trouble ----------------------------------------------------------------------

def test_a_writer_is_waited_for(s, db):
    db.run("BEGIN EXCLUSIVE")
    db.put("new@example.org", "vmail")
    got = []
    with Clock(s) as clock:
        asker = threading.Thread(target=lambda: got.append(rcpt(s, "new@example.org")))
        asker.start()
        n = clock.n
        wait_for(lambda: clock.n > n + 20, "others go on")
        assert got == []
        db.run("COMMIT")
        asker.join()
    assert got == [GOOD]
    assert clock.longest < 2


def test_a_writer_that_never_ends_is_passing_trouble(s, db):
    db.run("BEGIN EXCLUSIVE")
    began = time.monotonic()
    with Clock(s) as clock:
        assert rcpt(s, "demo@example.org") == PASSING
    assert time.monotonic() - began >= 5
    assert clock.n > 20 and clock.longest < 2
    s.wait_log("event=table-trouble table=mail service=.* why=.*locked")
    db.run("COMMIT")
    assert rcpt(s, "demo@example.org") == GOOD
    s.wait_log("event=table-works table=mail")


def test_a_slow_query_is_nobody_elses_trouble(make_server):
    s = make_server(conf=CONF, start=False)
    db = Database(s)
    db.ask(query_alias=SLOW)
    s.start()
    with Clock(s) as clock:
        for _ in range(10):
            assert rcpt(s, "demo@example.org") == PASSING
        n = clock.n
        wait_for(lambda: clock.n > n + 20, "others go on")
    assert clock.longest < 5
    s.wait_log("event=table-trouble table=mail service=.* why=.*takes too long")
    db.db.close()


def test_wal_is_refused(s, db):
    assert db.run("PRAGMA journal_mode=WAL") == [("wal",)]
    db.put("new@example.org", "vmail")
    assert rcpt(s, "new@example.org") == PASSING
    s.wait_log("event=table-trouble table=mail .*why=.*WAL mode.*hint=.*journal_mode=DELETE")
    assert db.run("PRAGMA journal_mode=DELETE") == [("delete",)]
    assert rcpt(s, "new@example.org") == GOOD


def test_a_file_that_is_no_database(s, db):
    """Whatever stands in the file, no process falls over it, and no mail is refused for good."""
    before = s.pids()
    with open(db.path, "rb") as f:
        good = f.read()
    for bad in (b"", b"no database at all\n" * 500, good[:1000], good[:100] + b"\xff" * (len(good) - 100),
                good[:4096] + b"\r" + b"\0\0\0\xff\xff" * 1000):
        with open(db.path, "r+b") as f:
            f.write(bad)
            f.truncate()
        assert rcpt(s, "demo@example.org") == PASSING, bad[:20]
        assert rcpt(s, "demo@plain.example") == GOOD
    with open(db.path, "r+b") as f:
        f.write(good)
        f.truncate()
    wait_for(lambda: rcpt(s, "demo@example.org") == GOOD, "the database as it was")
    assert s.pids() == before


@pytest.mark.parametrize("queries, why", [
    ({"query_alias": "SELECT target FROM nowhere WHERE address=?"}, "no such table: nowhere"),
    ({"query_alias": "SELECT target, 1 FROM aliases WHERE address=?"}, "one column"),
    ({"query_alias": "SELECT load_extension(?)"}, "not authorized"),
], ids=["table", "columns", "extension"])
def test_a_query_that_fails_is_passing_trouble(make_server, queries, why):
    s = make_server(conf=CONF, start=False)
    db = Database(s)
    db.ask(**queries)
    s.start()
    assert rcpt(s, "demo@example.org") == PASSING
    s.wait_log(f"event=table-trouble table=mail .*why=.*{why}")
    assert rcpt(s, "demo@plain.example") == GOOD
    db.db.close()


def test_no_such_file(make_server):
    s = make_server(conf=CONF, start=False)
    db = Database(s)
    db.db.close()
    os.rename(db.path, db.path + ".away")
    s.start()
    s.wait_log("event=file-not-read path=.*mail.db")
    assert rcpt(s, "demo@example.org") == PASSING
    os.rename(db.path + ".away", db.path)
    s.ctl("update", "table", "mail")
    wait_for(lambda: rcpt(s, "demo@example.org") == GOOD, "the database")


# -- another database, other queries ----------------------------------------------------

@pytest.mark.parametrize("how", ["reload", "update"])
def test_a_database_that_took_its_place(s, db, how):
    assert rcpt(s, "demo@example.org") == GOOD
    db.replace(f"""INSERT INTO domains VALUES('fresh.example'); INSERT INTO aliases VALUES('demo@fresh.example', 'vmail');
        INSERT INTO owners VALUES('vmail', {s.vmail}, {s.vmail}, '{s.path("mail")}');""")
    assert rcpt(s, "demo@fresh.example") == NO_RULE    # nobody said so yet
    if how == "reload":
        s.process.send_signal(signal.SIGHUP)
    else:
        s.ctl("update", "table", "mail")
    wait_for(lambda: rcpt(s, "demo@fresh.example") == GOOD, "the new database")
    assert rcpt(s, "demo@example.org") == NO_RULE


@pytest.mark.parametrize("how", ["reload", "update"])
@pytest.mark.parametrize("bad, why", [(b"no database at all\n" * 500, "not a SQLite database"), ("wal", "in WAL mode")])
def test_a_wrong_one_that_took_its_place(s, db, how, bad, why):
    """What was there stays."""
    assert rcpt(s, "demo@example.org") == GOOD
    said = len(s.log)
    if bad == "wal":
        with contextlib.closing(sqlite3.connect(db.path + ".new")) as new:
            new.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
    else:
        with open(db.path + ".new", "wb") as f:
            f.write(bad)
    os.rename(db.path, db.path + ".old")
    os.rename(db.path + ".new", db.path)
    if how == "reload":
        s.process.send_signal(signal.SIGHUP)
        s.wait_log("event=reloaded", after=said)
    else:
        answer = s.ctl("update", "table", "mail", check=False)
        assert (answer.returncode, why in answer.stderr) == ((0, False) if bad == "wal" else (1, True))
    s.wait_log(f"(file-not-read|table-trouble) .*{why}", after=said)
    assert rcpt(s, "demo@example.org") == GOOD
    os.rename(db.path + ".old", db.path)
    s.ctl("update", "table", "mail")
    assert rcpt(s, "demo@example.org") == GOOD


def test_a_table_that_a_reload_brings(make_server):
    """SQLite is made ready inside the sandbox, too."""
    s = make_server()
    db = Database(s)
    s.write_conf(CONF)
    before = s.pids()["lookup/0"]
    s.process.send_signal(signal.SIGHUP)
    wait_for(lambda: rcpt(s, "demo@plain.example") == GOOD, "the reload")
    assert rcpt(s, "demo@example.org") == GOOD
    assert rcpt(s, "other@example.org") == UNKNOWN
    assert s.pids()["lookup/0"] == before
    db.db.close()


@pytest.mark.root
def test_only_lookup_has_it_and_can_not_write(s, db):
    assert ROOT and rcpt(s, "demo@example.org") == GOOD
    holders = set()
    for name, pid in s.pids().items():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            if os.readlink(f"/proc/{pid}/fd/{fd}") != db.path:
                continue
            holders.add(name.split("/")[0])
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
                flags = int(f.read().split("flags:")[1].split()[0], 8)
            assert flags & os.O_ACCMODE == os.O_RDONLY
    assert holders == {"lookup"}


# -- smtpd -n -------------------------------------------------------------------------

def check(s):
    done = subprocess.run(s.argv("-n"), capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("change, said", [
    (None, "configuration OK"),
    (lambda db: db.ask(query_alias="SELECT target FROM nowhere WHERE address=?"),
     'table "mail": query_alias: no such table: nowhere'),
    (lambda db: db.ask(query_alias="SELECT 1, 2 WHERE ?"), 'table "mail": query_alias must be one query'),
    (lambda db: db.ask(query_alais="SELECT 1 WHERE ?"), "line 6: unknown word 'query_alais', did you mean 'query_alias'?"),
    (lambda db: QUERIES.items() and os.remove(db.path), "mail.db: No such file or directory"),
    (lambda db: db.run("PRAGMA journal_mode=WAL"), 'table "mail": the database is in WAL mode'),
    (lambda db: shutil.copy("/dev/null", db.path), 'table "mail": query_'),
    (lambda db: shutil.copy("/etc/passwd", db.path), 'table "mail": this is not a SQLite database'),
], ids=["good", "no-table", "columns", "word", "gone", "wal", "empty", "other"])
def test_check(make_server, change, said):
    s = make_server(conf=CONF, start=False)
    db = Database(s)
    if change is not None:
        change(db)
    status, text = check(s)
    db.db.close()
    assert said in text and (status == 0) == (change is None), text


def test_check_finds_queries_that_are_missing(make_server):
    s = make_server(conf=CONF, start=False)
    db = Database(s)
    with open(s.path("mail.conf"), "w", encoding="utf-8") as f:
        f.write(f"dbpath {db.path}\nquery_alias {QUERIES['query_alias']}\nquery_userinfo {QUERIES['query_userinfo']}\n")
    status, text = check(s)
    db.db.close()
    assert status == 1 and "table <mail> is asked for 'domain': no 'query_domain'" in text
