# SPDX-License-Identifier: ISC
"""Passwords for other servers that are kept in a file or in a SQLite database, and what smtpctl says of them."""
import os
import sqlite3

import pytest

import smarthost
import submission
from postern import wait_for
from smarthost import LABEL, arrived, relay
from submission import PASSWORD, USER, Submission


def in_file(s):
    write(s, "secrets", f"# of relays\n{LABEL} {USER}:{PASSWORD}\nbroken nothing\n")


def in_database(s):
    db = sqlite3.connect(s.path("secrets.db"))
    db.execute("CREATE TABLE relays(label TEXT PRIMARY KEY, value TEXT)")
    db.executemany("INSERT INTO relays VALUES(?, ?)", [(LABEL, f"{USER}:{PASSWORD}"), ("broken", "nothing")])
    db.commit()
    db.close()
    os.chmod(s.path("secrets.db"), 0o600)
    write(s, "sqlite.conf", f"dbpath {s.path('secrets.db')}\n"
                            "query_credentials SELECT label, value FROM relays WHERE label=?\n")


def write(s, name, text):
    with open(s.path(name), "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(s.path(name), 0o600)


@pytest.fixture
def host():
    h = Submission(submission.PLAIN, mechanisms=("PLAIN",))
    yield h
    h.stop()


PATHS = {in_file: "{dir}/secrets", in_database: "sqlite:{dir}/sqlite.conf"}


def start(make_server, host, where, label=LABEL):
    def make(text, **more):
        s = make_server(text, **more)
        where(s)
        return s
    return smarthost.start(make, f'table secrets "{PATHS[where]}"\n' +
                           relay(f"smtp+tls://{label}@127.0.0.1:{host.port}", "auth <secrets>"))


@pytest.mark.parametrize("where", [in_file, in_database], ids=lambda w: w.__name__)
def test_a_password_is_found(make_server, host, where):
    server = start(make_server, host, where)
    server.send(to="bob@example.net", sender=USER)
    assert (arrived(host).login, host.tried) == (USER, ["PLAIN"])
    for key, said in ((LABEL, f"user {USER} and a password for a relay"),
                      ("broken", "nothing that can be used: not of the form user:password")):
        told = server.ctl("lookup", "secrets", "credentials", key)
        assert said in told.stdout, told
        assert PASSWORD not in told.stdout
    assert "nothing" not in "\n".join(server.log) and PASSWORD not in "\n".join(server.log)


@pytest.mark.parametrize("where", [in_file, in_database], ids=lambda w: w.__name__)
@pytest.mark.parametrize("label, why", [("broken", "not of the form user:password"),
                                        ("none", "has nothing under this label")])
def test_no_password_is_found(make_server, host, where, label, why):
    """Mail waits, and says why; nobody was tried."""
    server = start(make_server, host, where, label)
    server.send(to="bob@example.net", sender=USER)
    wait_for(lambda: why in server.ctl("show", "queue", "--json").stdout, f"{why} in the queue")
    server.wait_log(f"event=relay-login-impossible .*label={label}")
    assert host.tried == []


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_of_logins_that_others_can_read(make_server, mode):
    def make(text, **more):
        s = make_server(text, **more)
        with open(s.path("secrets"), "w", encoding="ascii") as f:
            f.write(f"{LABEL} {USER}:secret\n")
        os.chmod(s.path("secrets"), mode)
        return s
    server = smarthost.start(make, 'table secrets "{dir}/secrets"\n' +
                             relay(f"smtp+tls://{LABEL}@127.0.0.1:587", "auth <secrets>"))
    told = [line for line in server.log if "event=table-unsafe" in line]
    assert len(told) == (mode == 0o644) and all("name=secrets" in line and "0600" in line for line in told)
