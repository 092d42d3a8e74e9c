# SPDX-License-Identifier: ISC
"""Tables in PostgreSQL, with the real server: what it says counts, what it lacks is a 451 for the mail that needs it
and for no other, and when it is back nobody has to be told."""
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import tempfile
import threading
import time

import pytest

import fetched
import sasl
from postern import BUILD, VMAIL, wait_for
from postgres import PASSWORD, USER, Postgres
from talk import hello, offered

OK, UNKNOWN, LATER, NO_RELAY = (250, "2.1.5"), (550, "5.1.1"), (451, "4.4.3"), (550, "5.7.1")
LOGIN, SECRET = "demo@pg.test", "correct horse"
DATABASE = "mail"
SCHEMA = f"""
CREATE TABLE users(address text PRIMARY KEY, target text);
INSERT INTO users VALUES ('demo@pg.test', 'demo'), ('list@pg.test', 'demo@pg.test, other@pg.test'),
    ('other@pg.test', 'other'), ('nothing@pg.test', NULL), ('empty@pg.test', ''),
    ('crlf@pg.test', E'demo\\r\\nX-Forged: yes'), ('slow@pg.test', 'demo'), ('ünï@pg.test', 'demo');
CREATE TABLE many(address text, target text);
INSERT INTO many SELECT 'rows@pg.test', i || '@pg.test' FROM generate_series(1, 20) i;
INSERT INTO many SELECT i || '@pg.test', 'demo' FROM generate_series(1, 20) i;
INSERT INTO many SELECT 'toomany@pg.test', i || '@pg.test' FROM generate_series(1, 20000) i;
CREATE TABLE domains(domain text PRIMARY KEY);
INSERT INTO domains VALUES ('pg.test');
CREATE TABLE homes(name text, uid int, gid int, home text);
CREATE TABLE networks(network inet);
INSERT INTO networks VALUES ('127.0.0.2/32'), ('2001:db8::/32');
CREATE TABLE logins(login text PRIMARY KEY, value text);
INSERT INTO logins VALUES ('{LOGIN}', '{sasl.crypted(SECRET)}');
"""
# One key is slow: only a query that asks for it sleeps.
USERS = ("SELECT target FROM users, LATERAL (SELECT CASE WHEN $1 = 'slow@pg.test' THEN pg_sleep(30) END) z "
         "WHERE address = $1 UNION ALL SELECT target FROM many WHERE address = $1")
QUERIES = {
    "virtual": USERS,
    "domain": "SELECT 1 FROM domains WHERE domain = $1",
    "userinfo": "SELECT uid, gid, home FROM homes WHERE name = $1",
    "netaddr": "SELECT 1 FROM networks WHERE $1::inet <<= network",
    "credentials": "SELECT login, value FROM logins WHERE login = $1",
}

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
lookup cache-time 0s
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
table pg postgres:{dir}/pg.conf
table here {{ "demo@here.test" = "vmail" }}
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
listen on 127.0.0.1 port 0
action "pg" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <pg> userbase <pg>
action "here" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <here> userbase <owners>
match from any for domain "here.test" action "here"
match from any for domain <pg> action "pg"
"""


@pytest.fixture(scope="module")
def installed():
    pg = fetched.or_skip(Postgres)
    try:
        pg.start().tables(DATABASE, SCHEMA)
        yield pg
    finally:
        pg.cleanup()


@pytest.fixture
def pg(installed):
    """It runs, and it is as it was."""
    yield installed
    if installed.process is None:
        installed.start()


def small_file(server, pg, more="", **queries):
    """Only the parent can read it, when it is root."""
    with open(server.path("pg.conf"), "w", encoding="utf-8") as f:
        f.write(pg.conf(DATABASE, more, **{**QUERIES, **queries}))
    os.chmod(server.path("pg.conf"), 0o600)


def settle(server, pg):
    """The accounts have their homes at this server."""
    pg.sql("TRUNCATE homes", DATABASE)
    for name in ("demo", "other"):
        pg.sql(f"INSERT INTO homes VALUES('{name}', {VMAIL}, {VMAIL}, '{server.path('mail')}')", DATABASE)


@pytest.fixture
def make(make_server, pg):
    def start(conf=CONF, more="", start=True, queries=None, **options):
        s = make_server(conf=conf, start=False, **options)
        small_file(s, pg, more, **(queries or {}))
        settle(s, pg)
        return s.start() if start else s
    return start


@pytest.fixture
def s(make):
    server = make()
    server.wait_log("event=started")
    return server


def rcpt(server, *addresses):
    """Both codes for each, in one transaction."""
    with hello(server) as c:
        c.say("MAIL FROM:<you@example.net>")
        found = [c.status(f"RCPT TO:<{a}>") for a in addresses]
        return found if len(found) > 1 else found[0]


def program(server):
    return server.pids().get("table-postgres/0")


# -- what it says --------------------------------------------------------------

def test_values(s):
    assert rcpt(s, "demo@pg.test", "DEMO@PG.TEST", "list@pg.test", "rows@pg.test") == [OK] * 4
    # What is not there, or has no value, and what no row of text can have.
    for address in ("nobody@pg.test", "nothing@pg.test", "empty@pg.test", "\"x' OR '1'='1\"@pg.test"):
        assert rcpt(s, address) == UNKNOWN, address
    assert rcpt(s, "demo@elsewhere.test") == NO_RELAY
    assert rcpt(s, "demo@here.test") == OK


def test_mail_arrives(s):
    s.send(to=["demo@pg.test"])
    assert b"hello" in s.wait_mail(1, "demo", "pg.test")[0]
    s.send(to=["list@pg.test"])
    s.wait_mail(2, "demo", "pg.test")
    s.wait_mail(1, "other", "pg.test")


def test_many_rows_are_one_list(s):
    s.send(to=["rows@pg.test"])
    for n in range(1, 21):
        s.wait_mail(1, str(n), "pg.test")
    assert rcpt(s, "toomany@pg.test") == LATER
    s.wait_log("event=table-query-failed table=pg service=virtual error=.*rows")


def test_a_value_is_text_or_trouble(s):
    assert rcpt(s, "crlf@pg.test") == LATER
    assert "X-Forged" not in " ".join(s.log)
    assert rcpt(s, "demo@pg.test") == OK


def test_changes_count_at_once(s, pg):
    assert rcpt(s, "new@pg.test") == UNKNOWN
    pg.sql("INSERT INTO users VALUES('new@pg.test', 'demo')", DATABASE)
    assert rcpt(s, "new@pg.test") == OK
    pg.sql("DELETE FROM users WHERE address = 'new@pg.test'", DATABASE)
    assert rcpt(s, "new@pg.test") == UNKNOWN


def test_a_schema_that_changes(s, pg):
    """What a prepared statement was made for is no more: it is made anew."""
    assert rcpt(s, "demo@pg.test") == OK
    pg.sql("ALTER TABLE users ALTER target TYPE varchar(500)", DATABASE)
    try:
        wait_for(lambda: rcpt(s, "demo@pg.test") == OK, "the query to be prepared again")
    finally:
        pg.sql("ALTER TABLE users ALTER target TYPE text", DATABASE)
    wait_for(lambda: rcpt(s, "demo@pg.test") == OK, "and again")


def test_networks(make):
    s = make(CONF + 'match from src <pg> for any action "here"\n')
    with hello(s, source="127.0.0.2") as c:
        c.say("MAIL FROM:<you@example.net>")
        assert c.status("RCPT TO:<demo@elsewhere.test>") != NO_RELAY
    assert rcpt(s, "demo@elsewhere.test") == NO_RELAY


def test_answers_are_remembered_for_a_moment(make, pg):
    s = make(CONF.replace("cache-time 0s", "cache-time 1h"))
    assert rcpt(s, "demo@pg.test") == OK
    pg.stop()
    assert rcpt(s, "demo@pg.test") == OK
    assert rcpt(s, "other@pg.test") == LATER


@pytest.mark.parametrize("how", ["update", "reload"])
def test_what_is_remembered_can_be_forgotten(make, pg, how):
    s = make(CONF.replace("cache-time 0s", "cache-time 1h"))
    assert rcpt(s, "new@pg.test") == UNKNOWN
    pg.sql("INSERT INTO users VALUES ('new@pg.test', 'demo')", DATABASE)
    try:
        assert rcpt(s, "new@pg.test") == UNKNOWN
        if how == "update":
            s.ctl("update", "table", "pg")
        else:
            s.process.send_signal(signal.SIGHUP)
        wait_for(lambda: rcpt(s, "new@pg.test") == OK, "asked anew")
    finally:
        pg.sql("DELETE FROM users WHERE address = 'new@pg.test'", DATABASE)


# -- when it is not there --------------------------------------------------------

def test_server_stops_and_starts(s, pg):
    assert rcpt(s, "demo@pg.test") == OK
    pg.stop()
    s.wait_log("event=table-server-down table=pg")
    began = time.monotonic()
    assert rcpt(s, "demo@pg.test") == LATER
    assert rcpt(s, "demo@here.test") == OK
    assert rcpt(s, "demo@pg.test", "demo@here.test") == [LATER, OK]
    assert time.monotonic() - began < 2, "a server that is down is not waited for"
    pg.start()
    s.wait_log("event=table-server-up table=pg")
    wait_for(lambda: rcpt(s, "demo@pg.test") == OK, "answers by itself")
    s.send(to=["demo@pg.test"])
    s.wait_mail(1, "demo", "pg.test")


def test_server_is_down_from_the_start(make, pg):
    s = make(start=False)
    pg.stop()
    s.start()
    assert rcpt(s, "demo@here.test") == OK
    assert rcpt(s, "demo@pg.test") == LATER
    pg.start()
    wait_for(lambda: rcpt(s, "demo@pg.test") == OK, "answers by itself")


def test_update_with_another_port(make, pg):
    """Its program may connect to the ports of the small file alone; the rights of a fresh one are the new ones."""
    s = make(start=False)
    with open(s.path("pg.conf"), "r+", encoding="utf-8") as f:
        text = f.read()
        f.seek(0)
        f.truncate()
        f.write(re.sub(r"port=\d+", "port=1", text))
    s.start()
    assert rcpt(s, "demo@pg.test") == LATER
    small_file(s, pg)
    s.ctl("update", "table", "pg")
    wait_for(lambda: rcpt(s, "demo@pg.test") == OK, "answers")


def test_slow_query_is_alone(s):
    """It holds up nobody; the server ends it, and the program gives it up sooner or later."""
    with hello(s) as slow:
        slow.say("MAIL FROM:<you@example.net>")
        slow.send("RCPT TO:<slow@pg.test>\r\n")
        began = time.monotonic()
        for _ in range(20):
            assert rcpt(s, "demo@pg.test", "nobody@pg.test", "demo@here.test") == [OK, UNKNOWN, OK]
        assert time.monotonic() - began < 4
        assert slow.reply()[0] == 451
    assert rcpt(s, "demo@pg.test") == OK


def test_many_slow_queries(s, pg):
    """More of them than there are connections: who comes then is told to come later, and later it is well."""
    clients = [hello(s) for _ in range(6)]
    for c in clients:
        c.say("MAIL FROM:<you@example.net>")
        c.send("RCPT TO:<slow@pg.test>\r\n")
    with hello(s) as c:
        c.say("MAIL FROM:<you@example.net>")
        assert c.status("RCPT TO:<demo@here.test>") == OK
    used = int(pg.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}'"))
    assert used <= 4
    for c in clients:
        assert c.reply()[0] == 451
        c.close()
    wait_for(lambda: rcpt(s, "demo@pg.test") == OK, "a connection that is free")


def test_wrong_password(make, pg):
    pg.sql(f"ALTER ROLE {USER} PASSWORD 'another'")
    try:
        s = make()
        assert rcpt(s, "demo@pg.test", "demo@here.test") == [LATER, OK]
        line = s.wait_log("event=table-server-down table=pg .*password authentication failed")
        assert PASSWORD not in line and "secret" not in line
    finally:
        pg.sql(f"ALTER ROLE {USER} PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
    wait_for(lambda: rcpt(s, "demo@pg.test") == OK, "answers by itself")


@pytest.mark.parametrize("small,why", [
    ("conninfo host=localhost user=x\nquery_virtual SELECT 1 WHERE $1 = ''\n", "no name is looked up here"),
    ("query_virtual SELECT 1 WHERE $1 = ''\n", "no 'conninfo'"),
    ("conninfo hostaddr=127.0.0.1 user=x\nquery_virtual DROP TABLE users\n", "line 2: the query must be a SELECT"),
])
def test_small_file_is_wrong(make, small, why):
    s = make(start=False)
    with open(s.path("pg.conf"), "w", encoding="utf-8") as f:
        f.write(small)
    s.start()
    s.wait_log("event=table-not-configured table=pg .*" + re.escape(why))
    assert rcpt(s, "demo@pg.test", "demo@here.test") == [LATER, OK]


def test_query_that_fails(make, pg):
    s = make(queries={"virtual": "SELECT target FROM nowhere WHERE address = $1"})
    assert rcpt(s, "demo@pg.test") == LATER
    s.wait_log('event=table-query-failed table=pg service=virtual error="relation .*nowhere.* does not exist"')
    pg.sql("CREATE VIEW nowhere AS SELECT * FROM users", DATABASE)
    pg.sql(f"GRANT SELECT ON nowhere TO {USER}", DATABASE)
    try:
        assert rcpt(s, "demo@pg.test") == OK
    finally:
        pg.sql("DROP VIEW nowhere", DATABASE)


def test_it_only_reads(make, pg):
    pg.sql("""CREATE TABLE scratch(n int); GRANT ALL ON scratch TO PUBLIC;
              CREATE FUNCTION spoil() RETURNS int LANGUAGE sql AS 'INSERT INTO scratch VALUES(1) RETURNING 1'""", DATABASE)
    try:
        s = make(queries={"virtual": "SELECT spoil()::text WHERE $1 <> ''"})
        assert rcpt(s, "demo@pg.test") == LATER
        s.wait_log("event=table-query-failed .*read-only transaction")
        assert pg.sql("SELECT count(*) FROM scratch", DATABASE) == "0"
    finally:
        pg.sql("DROP FUNCTION spoil; DROP TABLE scratch", DATABASE)


# -- TLS ---------------------------------------------------------------------------

def test_tls(make):
    pg = fetched.or_skip(Postgres)
    try:
        pg.use_tls()
        pg.start().tables(DATABASE, SCHEMA)
        s = make(start=False)
        settle(s, pg)
        small_file(s, pg, "sslmode=require channel_binding=require")
        s.start()
        assert rcpt(s, "demo@pg.test", "nobody@pg.test") == [OK, UNKNOWN]
        assert set(pg.sql("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                          f"WHERE usename = '{USER}'").split()) == {"t"}
    finally:
        pg.cleanup()


def test_tls_that_is_not_there(make):
    s = make(more="sslmode=require")
    assert rcpt(s, "demo@pg.test") == LATER
    s.wait_log("event=table-server-down .*server does not support SSL")


# -- servers that are none -----------------------------------------------------------

def message(kind, body=b""):
    return kind + struct.pack(">I", len(body) + 4) + body


READY = message(b"R", struct.pack(">I", 0)) + message(b"Z", b"I")
ROW = message(b"D", struct.pack(">HI", 1, 4) + b"demo")
DESCRIPTION = message(b"T", struct.pack(">H", 1) + b"target\0" + struct.pack(">IHIHIH", 0, 0, 25, 0xffff, 0, 0))
BOUND = message(b"1") + message(b"2") + DESCRIPTION
DONE = message(b"C", b"SELECT 1\0") + message(b"Z", b"I")


def error(text):
    return message(b"E", b"SERROR\0VERROR\0CXX000\0M" + text + b"\0\0")


LIARS = {
    "hangs up": (b"", None),
    "is silent": (None, b""),
    "does not speak it": (b"220 mx.test ESMTP\r\n" * 50, None),
    "refuses in odd words": (error(b"no\r\n\x1b[2Jsmtpd: info: event=forged"), None),
    "never answers": (READY, b""),
    "forgets what was asked": (READY, DONE + message(b"C", b"SELECT 1\0")),
    "breaks off": (READY, (BOUND + ROW)[:-3]),
    "answers without end": (READY, message(b"1") + DONE + BOUND + ROW * 200000),
    "promises a row of a gigabyte": (READY, message(b"1") + DONE + BOUND + b"D" + struct.pack(">I", 0x3fffffff)),
    "lies about a column": (READY, message(b"1") + DONE + BOUND + message(b"D", struct.pack(">HI", 1, 0x7fffffff)) + DONE),
    "talks unasked": (READY + message(b"N", b"SNOTICE\0Mhello\0\0") * 50000, b""),
}


class Liar:
    """Says one thing to whoever begins, another to what is asked, and then no more; None: hangs up, or goes on."""

    def __init__(self, greeting, answer):
        self.greeting, self.answer = greeting, answer
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        with c, contextlib.suppress(OSError):
            c.recv(4096)
            if self.greeting is not None:
                c.sendall(self.greeting)
            if self.answer is None:
                return
            while c.recv(65536):
                c.sendall(self.answer)

    def conf(self, _, more="", **queries):
        lines = [f"conninfo hostaddr=127.0.0.1 port={self.port} user=x sslmode=disable {more}"]
        return "\n".join(lines + [f"query_{service} {query}" for service, query in queries.items()]) + "\n"


@pytest.mark.parametrize("kind", LIARS)
def test_server_that_lies(make, pg, kind):
    """It gets nobody in, harms nothing else, and is forgotten when there is another."""
    s = make(start=False)
    liar = Liar(*LIARS[kind])
    try:
        small_file(s, liar)
        s.start()
        assert rcpt(s, "demo@pg.test", "demo@here.test") == [LATER, OK]
        for line in s.log:
            assert line.isprintable(), line
            assert not line.startswith("event=forged")
        assert not [line for line in s.log if "forbidden-call" in line]
        small_file(s, pg)
        reload(s, CONF)
        wait_for(lambda: rcpt(s, "demo@pg.test") == OK, "answers of an honest server")
    finally:
        liar.socket.close()


# -- the program -------------------------------------------------------------------

@pytest.fixture
def build():
    """A copy of what is installed, to take from."""
    place = tempfile.mkdtemp(prefix="postern-build-")
    os.chmod(place, 0o755)
    yield shutil.copytree(BUILD, os.path.join(place, "build"), ignore=shutil.ignore_patterns("obj", "lib"))
    shutil.rmtree(place)


def test_program_dies(s):
    assert rcpt(s, "demo@pg.test") == OK
    before = program(s)
    os.kill(before, signal.SIGKILL)
    s.wait_log("event=restarted process=table/0")
    wait_for(lambda: program(s) not in (None, before) and rcpt(s, "demo@pg.test") == OK, "another one to answer")


def test_program_is_not_installed(make, build):
    """The rest works; it is tried again, but not like mad."""
    os.unlink(f"{build}/bin/smtpd-table-postgres")
    s = make(build=build)
    assert rcpt(s, "demo@here.test") == OK
    assert rcpt(s, "demo@pg.test") == LATER
    began = time.monotonic()
    wait_for(lambda: sum("event=process-ended process=table/0" in line for line in s.log) >= 7, "seven deaths")
    assert time.monotonic() - began > 1
    assert rcpt(s, "demo@here.test") == OK


def test_program_that_always_dies(make, build):
    os.unlink(f"{build}/bin/smtpd-table-postgres")
    os.symlink("/bin/false", f"{build}/bin/smtpd-table-postgres")
    s = make(build=build)
    assert rcpt(s, "demo@pg.test", "demo@here.test") == [LATER, OK]


def reload(s, conf):
    said = len(s.log)
    s.write_conf(conf)
    s.process.send_signal(signal.SIGHUP)
    s.wait_log("event=reloaded", after=said)


def test_reload_begins_and_ends_it(make):
    without = CONF.replace("table pg postgres:{dir}/pg.conf\n", "table pg {{ pg.test }}\n").replace(
        "virtual <pg> userbase <pg>", "virtual <here> userbase <owners>")
    s = make(without)
    assert program(s) is None
    reload(s, CONF)
    wait_for(lambda: program(s) is not None and rcpt(s, "demo@pg.test") == OK, "the program")
    reload(s, without)
    s.wait_log("event=ending process=table/0")
    wait_for(lambda: program(s) is None, "the program's end")
    said = len(s.log)
    reload(s, without)
    reload(s, CONF)
    wait_for(lambda: program(s) is not None and rcpt(s, "demo@pg.test") == OK, "the program again")
    assert not [line for line in s.log[said:] if "event=killed" in line or "forbidden" in line]
    assert s.stop() == 0


def test_reload_keeps_connections(s, pg):
    """What did not change is not made anew."""
    def connections():
        return pg.sql(f"SELECT pid FROM pg_stat_activity WHERE usename = '{USER}' ORDER BY pid").split()
    assert rcpt(s, "demo@pg.test") == OK
    before, pid = connections(), program(s)
    reload(s, CONF)
    assert rcpt(s, "demo@pg.test") == OK
    assert connections() == before and program(s) == pid


def test_reload_follows_the_server(make, pg):
    """To another port, which the one that runs has no right to: a fresh process takes over."""
    other = fetched.or_skip(Postgres)
    try:
        other.start().tables(DATABASE, SCHEMA)
        other.sql("INSERT INTO users VALUES('moved@pg.test', 'demo')", DATABASE)
        s = make()
        assert rcpt(s, "moved@pg.test") == UNKNOWN
        settle(s, other)
        small_file(s, other)
        reload(s, CONF)
        wait_for(lambda: rcpt(s, "moved@pg.test") == OK, "answers of the other server")
    finally:
        other.cleanup()


def test_update_reads_the_small_file_again(s, pg):
    assert rcpt(s, "other@pg.test") == OK
    small_file(s, pg, virtual="SELECT target FROM users WHERE address = $1 AND target = 'demo'")
    assert rcpt(s, "other@pg.test") == OK
    s.ctl("update", "table", "pg")
    wait_for(lambda: rcpt(s, "other@pg.test", "demo@pg.test") == [UNKNOWN, OK], "the new query")


@pytest.mark.parametrize("how", ["update", "reload"])
@pytest.mark.parametrize("small, why", [
    ("conninfo host=localhost user=x\nquery_virtual SELECT 1 WHERE $1 = ''\n", "no name is looked up here"),
    ("conninfo hostaddr=127.0.0.1 user=x\nquery_virtual DROP TABLE users\n", "line 2: the query must be a SELECT"),
    ("", "no 'conninfo'"),
])
def test_a_small_file_that_is_wrong_changes_nothing(s, pg, how, small, why):
    assert rcpt(s, "demo@pg.test") == OK
    pid = program(s)
    with open(s.path("pg.conf"), "w", encoding="utf-8") as f:
        f.write(small)
    if how == "update":
        said = s.ctl("update", "table", "pg", check=False)
        assert said.returncode != 0 and why in said.stderr
    else:
        reload(s, CONF)
        s.wait_log("event=table-not-configured table=pg .*" + re.escape(why) + '.* meanwhile="as it was"')
    assert rcpt(s, "demo@pg.test", "nobody@pg.test") == [OK, UNKNOWN]
    assert program(s) == pid
    small_file(s, pg, virtual="SELECT target FROM users WHERE address = $1 AND target = 'other'")
    s.ctl("update", "table", "pg")
    wait_for(lambda: rcpt(s, "demo@pg.test", "other@pg.test") == [UNKNOWN, OK], "the good one after it")


@pytest.mark.parametrize("line", [
    "conninfo hostaddr=127.0.0.1 user=x password=hush hunter2=x",
    "conninfo hostaddr=127.0.0.1 user=x\npassword=hunter2",
    "conninfo hostaddr=127.0.0.1 user=x password='hunter2",
    "conninfo password=hunter2 hostaddr=127.0.0.1 user=x host=/hunter",
])
def test_no_part_of_a_password_in_an_error(make, pg, line):
    s = make(start=False)
    with open(s.path("pg.conf"), "w", encoding="utf-8") as f:
        f.write(line + "\nquery_virtual SELECT 1 WHERE $1 = ''\n")
    s.start()
    s.wait_log("event=table-not-configured table=pg")
    said = s.ctl("update", "table", "pg", check=False)
    assert said.returncode != 0 and "pg.conf: " in said.stderr and "hunter2" not in said.stderr
    assert not [line for line in s.log if "hunter2" in line]


def test_sandbox_is_as_declared(s):
    assert rcpt(s, "demo@pg.test") == OK
    shown = s.ctl("show", "sandbox").stdout
    assert "weaker" not in shown
    assert re.search(r"^  rights +base,connect,read-fd$", shown[shown.index("\ntable/0"):], re.M)


# -- logins -------------------------------------------------------------------------

LOGINS = CONF + "listen on 127.0.0.1 port 0 auth <logins> insecure-auth\ntable logins postgres:{dir}/pg.conf\n"
LOGINS = LOGINS.replace("listen on 127.0.0.1 port 0 auth", "table logins postgres:{dir}/pg.conf\nlisten on 127.0.0.1 "
                        "port 0 auth", 1).rsplit("table logins", 1)[0]


def log_in(s, login=LOGIN, password=SECRET, mechanism="PLAIN"):
    steps = {"PLAIN": sasl.plain, "LOGIN": sasl.login_steps}[mechanism](login, password)
    with hello(s, s.ports[1]) as c:
        return sasl.auth(c, mechanism, *steps)


def test_logins(make, pg):
    s = make(LOGINS)
    for mechanism in ("PLAIN", "LOGIN"):
        assert log_in(s, mechanism=mechanism) == sasl.OK
        assert log_in(s, password="wrong", mechanism=mechanism) == sasl.REFUSED
    assert log_in(s, LOGIN.upper()) == sasl.OK
    for login in ("nobody@pg.test", "%", "' OR 1=1 --", LOGIN + "' --"):
        assert log_in(s, login) == sasl.REFUSED, login
    pg.stop()
    s.wait_log("event=table-server-down table=logins")
    assert log_in(s) == sasl.TROUBLE
    pg.start()
    s.wait_log("event=table-server-up table=logins")
    wait_for(lambda: log_in(s) == sasl.OK, "answers by itself")


def offers_scram(s):
    c = hello(s, s.ports[1])
    if "SCRAM-SHA-256" in offered(c).get("AUTH", ""):
        return c
    c.close()
    return None


def test_scram_keys(make, pg):
    pg.sql(f"UPDATE logins SET value = '{sasl.scram_keys(SECRET)}'", DATABASE)
    try:
        s = make(LOGINS)
        assert log_in(s) == sasl.OK
        assert log_in(s, password="wrong") == sasl.REFUSED
        # That there are such keys is known now, and offered.
        with wait_for(lambda: offers_scram(s), "SCRAM to be offered") as c:
            scram = sasl.Scram(LOGIN, SECRET)
            assert sasl.auth(c, "SCRAM-SHA-256", *scram.steps) == sasl.OK and scram.server_knew
        with hello(s, s.ports[1]) as c:
            assert sasl.auth(c, "SCRAM-SHA-256", *sasl.Scram(LOGIN, "wrong").steps) == sasl.REFUSED
    finally:
        pg.sql(f"UPDATE logins SET value = '{sasl.crypted(SECRET)}'", DATABASE)


def test_passwords_are_the_vaults(make, pg):
    """Nobody but the vault is told what a table says of a login, not even an admin by way of lookup."""
    s = make(LOGINS)
    assert log_in(s) == sasl.OK
    told = s.ctl("lookup", "logins", "auth", LOGIN, check=False)
    assert "$" not in told.stdout + told.stderr
    told = s.ctl("lookup", "pg", "credentials", LOGIN, check=False)
    assert "$" not in told.stdout + told.stderr
