# SPDX-License-Identifier: ISC
"""Each service of tables in each back end that can be asked for it, in use by a server and by smtpctl lookup: the same
contents mean the same wherever they stand."""
import contextlib
import os
import sqlite3
import subprocess

import pytest

import fetched
import sasl
from control import SMTPCTL
from postern import VMAIL, wait_for
from postgres import Postgres
from talk import Client, hello

OK, UNKNOWN, REJECTED, NOT_YOURS = (250, "2.1.5"), (550, "5.1.1"), (550, "5.7.1"), (550, "5.7.1")
KINDS = ["inline", "file", "cdb", "sqlite", "postgres"]
SECRET = "correct horse"
CLIENT, OUTSIDER = "127.0.5.9", "127.0.6.9"

# Mappings have values, lists have none.
MAPPINGS = {
    "alias": {"info": "anna", "team": "anna, bob", "bob": "bob"},
    "virtual": {"sales@v.test": "anna", "@catch.test": "bob", "loner": "bob", "a+b@v.test": "bob"},
    "userinfo": {name: f"{VMAIL}:{VMAIL}:%s" for name in ("anna", "bob")},
    "senders": {"anna": "anna@v.test, @own.test"},
    "mailaddrmap": {"from@v.test": "to@v.test"},
    "source": {"relay.test": "192.0.2.1"},
    "relayhost": {"relay.test": "smtp://out.test"},
}
LISTS = {
    "domain": ["v.test", "catch.test", ".wild.test"],
    "netaddr": [CLIENT, "127.0.7.0/24", "2001:db8::/32"],
    "mailaddr": ["bad@s.test", "@spam.test", "@.sub.test", "<>"],
    "string": ["word"],
}
LOGINS = {"anna": sasl.crypted(SECRET)}
SERVICES = list(MAPPINGS) + list(LISTS)

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
auth failure-delay 0s
lookup cache-time 0s
%s
listen on 127.0.0.1 port 0
listen on 127.0.0.1 port 0 auth <t_logins> insecure-auth senders <t_senders>
listen on 127.0.0.1 port 0 filter "strict"
listen on 127.0.0.1 port 0 proxy <t_netaddr>
smtp exempt-clients <t_netaddr>
smtp max-sessions-per-client 2
filter "strict" phase mail-from match mail-from <t_mailaddr> reject "550 5.7.1 filtered"
action "virtual" maildir "{dir}/mail/%%{{dest.user}}" virtual <t_virtual> userbase <t_userinfo>
action "alias" maildir "{dir}/mail/%%{{dest.user}}" alias <t_alias> userbase <t_userinfo>
match from any mail-from <t_mailaddr> for domain "strict.test" reject
match from src <t_netaddr> for domain "net.test" action "alias"
match from any helo <t_domain> for domain "helo.test" action "alias"
match from any auth <t_who> for domain "auth.test" action "alias"
match from any rcpt-to <t_mailaddr> for any reject
match from any for domain <t_domain> action "virtual"
match from any for domain "alias.test" action "alias"
"""


@pytest.fixture(scope="module")
def postgres():
    pg = fetched.or_skip(Postgres)
    try:
        yield pg.start()
    finally:
        pg.cleanup()


# -- the same contents in each kind ----------------------------------------------------

def contents(server):
    """{table: {key: value or None}}"""
    tables = {name: {k: v.replace("%s", server.path("mail")) for k, v in rows.items()} for name, rows in MAPPINGS.items()}
    tables.update({name: dict.fromkeys(keys) for name, keys in LISTS.items()})
    tables.update(who={"anna": None}, logins=LOGINS)
    return {f"t_{name}": rows for name, rows in tables.items()}


def inline(server, tables):
    def one(rows):
        return ", ".join(f'"{k}"' if v is None else f'"{k}" = "{v}"' for k, v in rows.items())
    return "\n".join(f"table {name} {{{{ {one(rows)} }}}}" for name, rows in tables.items())


def text_of(name, rows):
    lists = all(v is None for v in rows.values())
    return "# @list\n" * lists + "".join(f"{k}\n" if v is None else f'"{k}": {v}\n' for k, v in rows.items())


def write(server, name, text):
    with open(server.path(name), "w", encoding="utf-8") as f:
        f.write(text)


def of_files(server, tables):
    for name, rows in tables.items():
        write(server, name, text_of(name, rows))
    return "\n".join(f"table {name} file:{{dir}}/{name}" for name in tables)


def of_cdb(server, tables):
    """Passwords are not for an indexed file."""
    lines = of_files(server, tables).splitlines()
    for i, name in enumerate(tables):
        if name != "t_logins":
            subprocess.run([SMTPCTL, "table", "build", server.path(name), server.path(f"{name}.cdb")], check=True)
            lines[i] = f"table {name} cdb:{{dir}}/{name}.cdb"
    return "\n".join(lines)


def rows_of(tables):
    return [(name, k, v) for name, rows in tables.items() for k, v in rows.items()]


def small_files(server, tables, head, word, query):
    """One of queries for each table, as one data base may have them all."""
    for name in tables:
        service = {"t_who": "string", "t_logins": "credentials"}.get(name, name[2:])
        write(server, f"{name}.conf", f"{head}\n" + "\n".join([f"query_{service} " + query(name, service)]) + "\n")
    return "\n".join(f"table {name} {word}:{{dir}}/{name}.conf" for name in tables)


def of_sqlite(server, tables):
    """Only addresses themselves: a query for networks would need a function of SQLite's."""
    with contextlib.closing(sqlite3.connect(server.path("all.db"))) as db:
        db.execute("CREATE TABLE kept(name, key, value)")
        db.executemany("INSERT INTO kept VALUES(?, ?, ?)", rows_of(tables))
        db.commit()

    def query(name, service):
        what = {"credentials": "key, value"}.get(service, "coalesce(value, 1)")
        return f"SELECT {what} FROM kept WHERE name = '{name}' AND key = ?"
    return small_files(server, tables, "dbpath " + server.path("all.db"), "sqlite", query)


def of_postgres(pg):
    def make(server, tables):
        name = "db" + os.path.basename(server.dir).replace("-", "_").lower()
        values = ", ".join("('%s', '%s', %s)" % (n, k, "NULL" if v is None else "'%s'" % v) for n, k, v in rows_of(tables))
        pg.tables(name, f"CREATE TABLE kept(name text, key text, value text); INSERT INTO kept VALUES {values}")

        def query(name, service):
            if service == "netaddr":
                return f"SELECT 1 FROM kept WHERE name = '{name}' AND $1::inet <<= key::inet"
            what = {"credentials": "key, value"}.get(service, "coalesce(value, '1')")
            return f"SELECT {what} FROM kept WHERE name = '{name}' AND key = $1"
        return small_files(server, tables, pg.conf(name).splitlines()[0], "postgres", query)
    return make


def make_tables(kind, request):
    if kind == "postgres":
        return of_postgres(request.getfixturevalue("postgres"))
    return {"inline": inline, "file": of_files, "cdb": of_cdb, "sqlite": of_sqlite}[kind]


@pytest.fixture(params=KINDS)
def s(request, make_server):
    server = make_server(conf=CONF, start=False)
    tables = make_tables(request.param, request)(server, contents(server))
    server.write_conf(CONF % tables)
    server.kind = request.param
    return server.start()


# -- in use ---------------------------------------------------------------------------

def rcpt(s, address, sender="you@example.net", helo="client.test", **more):
    with hello(s, **more) as c:
        c.say(f"EHLO {helo}")
        code = c.status(f"MAIL FROM:<{sender}>")
        return c.status(f"RCPT TO:<{address}>") if code[0] == 250 else code


def test_services_in_use(s):
    """What each of them decides."""
    asked = {
        # virtual, and userinfo
        ("sales@v.test",): OK, ("SALES@V.TEST",): OK, ("sales+tag@v.test",): OK, ("nobody@v.test",): UNKNOWN,
        ("any@catch.test",): OK, ("loner@v.test",): OK, ("a+b@v.test",): OK,
        # domain
        ("loner@deep.wild.test",): OK, ("loner@wild.test",): REJECTED, ("x@elsewhere.test",): REJECTED,
        # alias
        ("info@alias.test",): OK, ("team@alias.test",): OK, ("anna@alias.test",): OK, ("none@alias.test",): UNKNOWN,
        # mailaddr, of a sender and of a recipient
        ("sales@v.test", "bad@s.test"): OK, ("x@strict.test", "bad@s.test"): REJECTED,
        ("x@strict.test", "a@SPAM.test"): REJECTED, ("bad@s.test",): REJECTED, ("x@a.sub.test",): REJECTED,
        # domain, of a greeting
        ("info@helo.test", "me@s.test", "x.wild.test"): OK, ("info@helo.test", "me@s.test", "wild.test"): REJECTED,
    }
    assert {words: rcpt(s, *words) for words in asked} == asked


def test_netaddr_in_use(s):
    assert rcpt(s, "info@net.test", source=CLIENT) == OK
    assert rcpt(s, "info@net.test", source=OUTSIDER) == REJECTED
    # SQLite knows no networks.
    assert rcpt(s, "info@net.test", source="127.0.7.77") == (REJECTED if s.kind == "sqlite" else OK)


def test_netaddr_of_balancers(s):
    """Who is in the list is believed, and nobody else."""
    header = "PROXY TCP4 192.0.2.55 192.0.2.1 1234 25"
    with Client(s.ports[3], source=CLIENT, greeted=False) as c:
        c.send(f"{header}\r\n")
        assert c.reply()[0] == 220
        c.say("EHLO client.test", "MAIL FROM:<you@example.net>")
        assert c.status("RCPT TO:<nobody@v.test>") == UNKNOWN
    s.wait_log("event=recipient-refused client=192.0.2.55 ")
    with Client(s.ports[3], source=OUTSIDER) as c:
        assert c.cmd(header)[0] == 500


def test_netaddr_of_exempt_clients(s):
    for source in (CLIENT, OUTSIDER):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(s.port, source=source, greeted=False)) for _ in range(4)]
            greetings = sorted(c.reply()[0] for c in clients)
            assert greetings == ([220] * 4 if source == CLIENT else [220, 220, 421, 421])


def test_filter_in_use(s):
    strict = s.ports[2]
    assert rcpt(s, "sales@v.test", "a@spam.test", where=strict) == (550, "5.7.1")
    assert rcpt(s, "sales@v.test", "a@b.sub.test", where=strict) == (550, "5.7.1")
    assert rcpt(s, "sales@v.test", "", where=strict) == (550, "5.7.1")
    assert rcpt(s, "sales@v.test", "good@s.test", where=strict) == OK


def test_logins_and_senders(s):
    with hello(s, s.ports[1]) as c:
        assert sasl.auth(c, "PLAIN", *sasl.plain("anna", "wrong")) == sasl.REFUSED
        assert sasl.auth(c, "PLAIN", *sasl.plain("anna", SECRET)) == sasl.OK
        assert c.status("MAIL FROM:<bob@v.test>")[0] == 550
        assert c.status("MAIL FROM:<any@own.test>")[0] == 250
        assert c.status("RCPT TO:<info@auth.test>") == OK
        assert c.status("RSET")[0] == 250
        assert c.status("MAIL FROM:<anna@v.test>")[0] == 250
    assert rcpt(s, "info@auth.test") == REJECTED


def test_mail_arrives(s):
    s.send(to=["sales@v.test", "team@alias.test"])
    for name, copies in (("sales", 1), ("team", 2)):
        new = s.path("mail", name, "new")
        wait_for(lambda: os.path.isdir(new) and len(os.listdir(new)) == copies, f"mail for {name}")


# -- by hand ---------------------------------------------------------------------------

def test_services_by_hand(s):
    """All of them, those too that nothing in a configuration asks for yet."""
    def ask(table, service, key):
        done = s.ctl("lookup", f"t_{table}", service, key, check=False)
        return done.returncode, done.stdout.strip()
    tables = contents(s)
    for service in MAPPINGS:
        for key, value in tables[f"t_{service}"].items():
            assert ask(service, service, key) == (0, value), (service, key)
        assert ask(service, service, "nowhere@nowhere.test") == (1, ""), service
    yes = {"domain": ["v.test", "x.wild.test"], "netaddr": [CLIENT], "string": ["word"],
           "mailaddr": ["bad@s.test", "x@spam.test", "x@y.sub.test", "<>"]}
    no = {"domain": ["wild.test", "test"], "netaddr": [OUTSIDER], "string": ["other"], "mailaddr": ["x@s.test"]}
    for service, keys in yes.items():
        assert {key: ask(service, service, key)[0] for key in keys} == dict.fromkeys(keys, 0), service
        assert {key: ask(service, service, key)[0] for key in no[service]} == dict.fromkeys(no[service], 1), service
    code, said = ask("logins", "auth", "anna")
    assert code == 0 and "yescrypt hash" in said and LOGINS["anna"] not in said
    assert ask("logins", "auth", "nobody")[0] == 1
    for service in ("auth", "credentials"):     # what is no secret here may be one in the same data base
        done = s.ctl("lookup", "t_virtual", service, "sales@v.test", check=False)
        assert (done.returncode, done.stdout) == (1, "") and "no table of passwords" in done.stderr
