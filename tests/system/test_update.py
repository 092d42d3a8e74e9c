# SPDX-License-Identifier: ISC
"""smtpctl update table: one table's files are read again, and nothing else."""
import os
import signal
import sqlite3
import subprocess
import threading

import pytest

from postern import wait_for
from sasl import OK, REFUSED, auth, crypted, plain
from talk import hello
from tls import TlsServer, starttls

GOOD, UNKNOWN = (250, "2.1.5"), (550, "5.1.1")
EXTRA = """
smtp error-delay 0s
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
table more file:{dir}/users
table indexed cdb:{dir}/users.cdb
table passwords file:{dir}/passwords
table accounts sqlite:{dir}/sqlite.conf
listen on 127.0.0.1 port 0 auth <passwords> insecure-auth
listen on 127.0.0.1 port 0 auth <accounts> insecure-auth
action "more" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <more> userbase <owners>
action "indexed" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <indexed> userbase <owners>
match from any for domain "more.example" action "more"
match from any for domain "indexed.example" action "indexed"
"""


def write(s, name, text):
    """In one go, as editors do."""
    with open(s.path(name + ".new"), "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(s.path(name + ".new"), 0o600 if name == "passwords" else 0o644)
    os.rename(s.path(name + ".new"), s.path(name))


def write_accounts(s, **logins):
    path = s.path("accounts.db.new")
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE users(login TEXT, value TEXT)")
    for login, password in logins.items():
        db.execute("INSERT INTO users VALUES(?, ?)", (login, crypted(password)))
    db.commit()
    db.close()
    os.rename(path, s.path("accounts.db"))


def prepare(server):
    write(server, "users", "old@more.example vmail\n")
    write(server, "text", "old@indexed.example vmail\n")
    server.ctl("table", "build", server.path("text"), server.path("users.cdb"))
    write(server, "passwords", f"old {crypted('secret')}\n")
    write_accounts(server, old="secret")
    write(server, "sqlite.conf", f"dbpath {server.path('accounts.db')}\n"
          "query_credentials SELECT login, value FROM users WHERE login=?\n")


@pytest.fixture
def s(make_server):
    server = make_server(extra=EXTRA, start=False)
    prepare(server)
    server.start()
    server.before = server.pids()
    yield server
    assert server.pids() == server.before
    assert not any("event=reloaded" in line for line in server.log)


def rcpt(s, address):
    with hello(s) as c:
        c.say("MAIL FROM:<you@example.net>")
        return c.status(f"RCPT TO:<{address}>")


def log_in(s, port, login):
    with hello(s, s.ports[port]) as c:
        return auth(c, "PLAIN", *plain(login, "secret"))


def update(s, name, code=0):
    done = s.ctl("update", "table", name, check=False)
    assert done.returncode == code, (done.returncode, done.stderr)
    return done.stderr


def refused(s, name):
    done = s.ctl("update", "table", name, check=False)
    assert done.returncode != 0
    return done.stderr + done.stdout


def test_a_file(s):
    write(s, "users", "new@more.example vmail\n")
    assert (rcpt(s, "old@more.example"), rcpt(s, "new@more.example")) == (GOOD, UNKNOWN)
    update(s, "more")
    wait_for(lambda: rcpt(s, "new@more.example") == GOOD, "the new table")
    assert rcpt(s, "old@more.example") == UNKNOWN
    s.wait_log("event=table-update table=more read-by=lookup")


def test_a_file_that_is_no_text(s):
    """What was there stays."""
    for octets, why in ((b"new@more.example vmail\n\0", "a NUL octet: this is no text"), (b"#\n" * (33 << 20), "too large")):
        with open(s.path("users.new"), "wb") as f:
            f.write(octets)
        os.rename(s.path("users.new"), s.path("users"))
        assert f"users: {why}" in refused(s, "more")
        assert (rcpt(s, "old@more.example"), rcpt(s, "new@more.example")) == (GOOD, UNKNOWN)
        done = subprocess.run(s.argv("-n"), capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and f"users: {why}" in done.stderr


def test_an_indexed_file(s):
    write(s, "text", "new@indexed.example vmail\n")
    s.ctl("table", "build", s.path("text"), s.path("users.cdb"))
    assert (rcpt(s, "old@indexed.example"), rcpt(s, "new@indexed.example")) == (GOOD, UNKNOWN)
    update(s, "indexed")
    wait_for(lambda: rcpt(s, "new@indexed.example") == GOOD, "the new table")
    assert rcpt(s, "old@indexed.example") == UNKNOWN


def test_an_indexed_file_that_is_none(s):
    for octets in (b"", b"x" * 100, bytes(2048), os.urandom(4096)):
        with open(s.path("users.cdb.new"), "wb") as f:
            f.write(octets)
        os.rename(s.path("users.cdb.new"), s.path("users.cdb"))
        assert "damaged, or not made by smtpctl table build" in refused(s, "indexed")
        assert rcpt(s, "old@indexed.example") == GOOD
    done = subprocess.run(s.argv("-n"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "users.cdb: damaged, or not made by smtpctl table build" in done.stderr


def test_passwords(s):
    """The vault reads its tables again; its keys stay what they are."""
    assert (log_in(s, 1, "old"), log_in(s, 1, "new")) == (OK, REFUSED)
    write(s, "passwords", f"new {crypted('secret')}\n")
    update(s, "passwords")
    wait_for(lambda: log_in(s, 1, "new") == OK, "the new table")
    assert log_in(s, 1, "old") == REFUSED
    s.wait_log("event=table-update table=passwords read-by=vault")


def test_a_database_of_passwords(s):
    assert (log_in(s, 2, "old"), log_in(s, 2, "new")) == (OK, REFUSED)
    write_accounts(s, new="secret")
    assert log_in(s, 2, "new") == REFUSED
    update(s, "accounts")
    wait_for(lambda: log_in(s, 2, "new") == OK, "the new database")
    assert log_in(s, 2, "old") == REFUSED


@pytest.mark.parametrize("how", ["update", "reload"])
def test_nobody_is_refused_for_good_meanwhile(make_server, how):
    """Tables that are read again while they are asked may be in passing trouble, but never say no for it."""
    s = make_server(extra=EXTRA, start=False)
    prepare(s)
    s.start()
    seen, over = set(), threading.Event()

    def ask():
        with hello(s) as c:
            while not over.is_set():
                c.say("MAIL FROM:<you@example.net>")
                seen.add(c.status("RCPT TO:<old@more.example>"))
                seen.add(c.status("RCPT TO:<old@indexed.example>"))
                c.say("RSET")
    asker = threading.Thread(target=ask)
    asker.start()
    for n in range(20):
        write(s, "users", "".join(f"user{i}@more.example vmail\n" for i in range(20000)) + "old@more.example vmail\n")
        if how == "update":
            update(s, "more")
            update(s, "indexed")
        else:
            before = len(s.log)
            s.process.send_signal(signal.SIGHUP)
            s.wait_log(f"event=reloaded generation={n + 2}", after=before)
    over.set()
    asker.join()
    assert GOOD in seen and seen <= {GOOD, (451, "4.4.3")}, seen


def test_a_file_that_is_gone(s):
    """The reason is told, and what was there before stays."""
    for name, path in (("more", "users"), ("passwords", "passwords"), ("indexed", "users.cdb"), ("accounts", "accounts.db")):
        os.unlink(s.path(path))
        said = refused(s, name)
        assert s.path(path) in said and "No such file or directory" in said
    assert rcpt(s, "old@more.example") == GOOD
    assert rcpt(s, "old@indexed.example") == GOOD
    assert (log_in(s, 1, "old"), log_in(s, 2, "old")) == (OK, OK)


def test_a_small_configuration_that_is_wrong(s):
    write(s, "sqlite.conf", f"dbpath {s.path('accounts.db')}\nquery_credential SELECT 1\n")
    assert "line 2: unknown word 'query_credential', did you mean 'query_credentials'?" in refused(s, "accounts")
    assert log_in(s, 2, "old") == OK


def test_what_can_not_be(s):
    assert 'no such table, did you mean "more"?' in refused(s, "mor")
    assert "no such table" in refused(s, "zzzzzzzz")
    assert "written in smtpd.conf itself" in refused(s, "users")
    os.unlink(s.path("users"))
    os.mkfifo(s.path("users"))
    assert "not a plain file" in refused(s, "more")
    assert rcpt(s, "old@more.example") == GOOD


def test_keys_stay_what_they_are():
    """The vault is sent its tables again, and nothing of its keys: half a renewal on the disk changes nothing."""
    s = TlsServer("table passwords file:{dir}/passwords\nlisten on 127.0.0.1 port 0 tls pki ecdsa auth <passwords>\n")
    try:
        write(s, "passwords", f"old {crypted('secret')}\n")
        s.start()
        with starttls(s, 1) as c:
            first = c.sock.getpeercert(binary_form=True)
        os.unlink(s.path("ecdsa.key"))
        write(s, "passwords", f"new {crypted('secret')}\n")
        n = len(s.log)
        s.ctl("update", "table", "passwords")
        with starttls(s, 1) as c:
            assert c.sock.getpeercert(binary_form=True) == first
            assert auth(c, "PLAIN", *plain("new", "secret")) == OK
        assert not any("certificate" in line or "key" in line for line in s.log[n:])
    finally:
        s.cleanup()
