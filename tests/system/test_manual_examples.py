# SPDX-License-Identifier: ISC
"""The examples of aliases(5), forward(5) and postern-tables(7) are taken, and mean what is said there."""
import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess

import homes
import pytest
import tls
from postern import TOP, Server

NAMES = ("anna", "ben", "carla", "archive")

CONF = """
table aliases file:{dir}/aliases
action "local" maildir userbase <people> alias <aliases>
action "outbound" relay host "smtp://127.0.0.1:9"
match from any for domain "mx.test" action "local"
match for any action "outbound"
"""

ESCAPES = {r"\e": "\\", r"\(dq": '"', r"\(aq": "'", r"\&": ""}


def examples(page, section="EXAMPLES"):
    """The literal blocks of a section, as mdoc(7) shows them."""
    with open(os.path.join(TOP, "man", page), encoding="utf-8") as f:
        _, text = f.read().split(f"\n.Sh {section}\n")
    text = text.split("\n.Sh ")[0]
    blocks = re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed$", text, re.M)
    return [re.sub(r"\\(?:e|\(dq|\(aq|&)", lambda m: ESCAPES[m.group()], b) for b in blocks]


def leaves(steps, within=False):
    """Where the delivery that is explained ends: accounts and addresses, in their order."""
    found = []
    for s in steps:
        if within and s["kind"] in ("mailbox", "relay", "failed", "later"):
            found.append(s["subject"] if s["kind"] in ("mailbox", "relay") else f"{s['kind']} {s['subject']}")
        found += leaves(s["steps"], within or s["kind"] == "delivery")
    return found


def explained(server, who):
    answer = json.loads(server.ctl("explain", "--json", f"{who}@mx.test").stdout)
    assert answer["outcome"] == "accepted", answer
    return leaves(answer["steps"])


@pytest.fixture(scope="module")
def server():
    aliases, members, _ = examples("aliases.5")
    s = homes.make(lambda text, start: Server(text), NAMES, CONF, start=False)
    homes.write(s, "aliases", aliases.replace("/etc/postern/", s.path("")))
    homes.write(s, "staff", members)
    homes.forward(s, "archive", "anna\n")
    yield s.start()
    s.cleanup()


STAFF = ["anna", "ben", "carla", '"Dan Doe"@example.net']

ALIASES = {
    "postmaster": ["anna"],
    "root": ["anna"],
    "office": ["anna", "ben", "office@example.net"],
    "carla": ["carla", "anna"],
    "archive": ["archive"],
    "staff": STAFF,
    '"all staff"': STAFF,
    "sales+eu": ["ben"],
    "sales": ["anna"],
}


def test_aliases_all(server):
    """Each entry of the page is among those that are tried."""
    with open(server.path("aliases"), encoding="utf-8") as f:
        names = re.findall(r'^("[^"]*"|[^#\s:]+):', f.read(), re.M)
    assert names == list(ALIASES)
    assert not [line for line in server.log if "table-line-skipped" in line]


@pytest.mark.parametrize("name", ALIASES)
def test_aliases(server, name):
    assert explained(server, name) == ALIASES[name]


@pytest.mark.parametrize("n, wanted", enumerate([
    ["anna@example.net"],
    ["anna", "anna@example.net"],
    ["anna", "ben", "carla"],
]))
def test_forward(server, n, wanted):
    *files, command = examples("forward.5")
    assert len(files) == 3 and command.startswith("# smtpctl explain")
    homes.forward(server, "anna", files[n])
    try:
        assert explained(server, "anna") == wanted
    finally:
        os.unlink(server.path("anna", ".forward"))


# -- postern-tables(7) -------------------------------------------------------------

SCHEMA = """
CREATE TABLE users (address TEXT PRIMARY KEY, target TEXT);
CREATE TABLE domains (domain TEXT PRIMARY KEY);
CREATE TABLE logins (login TEXT PRIMARY KEY, value TEXT);
INSERT INTO users VALUES ('anna@example.org', 'anna');
INSERT INTO domains VALUES ('example.org');
"""


@pytest.fixture
def host():
    """A server whose files are the page's."""
    s = Server(conf="")
    yield s
    s.cleanup()


def configure(s, text, more):
    """What the page has, with the files in the directory of the test, and what it leaves out."""
    base = 'queue directory "{dir}/spool"\ncontrol socket "{dir}/smtpd.sock"\n' + more
    s.write_conf(base + text.replace("{", "{{").replace("}", "}}").replace("/etc/postern/", "{dir}/"))


def check(s):
    done = subprocess.run(s.argv("-n"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "smtpd: configuration OK\n")


def test_tables_on_a_server(host):
    statement, small = (b for b in examples("postern-tables.7", "KINDS OF TABLES") if "postgres:" in b or "conninfo" in b)
    conf, _ = examples("postern-tables.7")
    for path in [statement.split(":")[-1].strip(), "/etc/postern/mail.conf", "/etc/postern/logins.conf"]:
        homes.write(host, os.path.basename(path), small)
    shutil.copy(tls.certificate("ecdsa").crt, host.path("crt"))
    shutil.copy(tls.certificate("ecdsa").key, host.path("key"))
    configure(host, statement + conf, 'pki mx.example.org cert "{dir}/crt"\npki mx.example.org key "{dir}/key"\n')
    check(host)


def test_tables_in_sqlite(host):
    statement, small = (b for b in examples("postern-tables.7", "KINDS OF TABLES") if "sqlite:" in b or "dbpath" in b)
    homes.write(host, "users.conf", small.replace("/etc/postern/", host.path("")))
    with contextlib.closing(sqlite3.connect(host.path("users.db"))) as db:
        db.executescript(SCHEMA)
    configure(host, statement, """
action "local" maildir "{dir}/mail/%{{dest.user}}" virtual <users>
match from any for domain <users> action "local"
""")
    check(host)
    host.start()
    assert host.ctl("lookup", "users", "virtual", "anna@example.org").stdout == "anna\n"
    assert host.ctl("-q", "lookup", "users", "domain", "example.net", check=False).returncode == 1


def test_tables_in_a_file(host):
    (text,) = (b for b in examples("postern-tables.7", "KINDS OF TABLES") if b.startswith("# a comment"))
    homes.write(host, "users", text)
    configure(host, 'table users file:/etc/postern/users\naction "x" maildir virtual <users>\nmatch for any action "x"\n', "")
    host.start()
    values = {"postmaster": "root", "odd key": "root, admin@example.net"}
    for key, value in values.items():
        assert host.ctl("lookup", "users", "virtual", key).stdout == value + "\n"
    assert host.ctl("lookup", "users", "virtual", "info@example.org").stdout.split() == ["anna,", "bob"]
    assert host.ctl("lookup", "users", "domain", "example.org").returncode == 0
