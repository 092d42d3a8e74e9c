# SPDX-License-Identifier: ISC
"""`match`: each condition by itself and turned around, with a real client, and the same by smtpctl explain."""
import json
import os
import signal
import socket
from typing import NamedTuple

import pytest

import family
from nameserver import serve
from postern import Server, wait_for
from talk import Client
from tls import certificate

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
resolver forward 127.0.0.1@{dns}
trust anchor "/dev/null"
smtp error-delay 0
smtp max-refused-rate 0
pki mx.test cert "{dir}/etc/mx.test.crt"
pki mx.test key "{dir}/etc/mx.test.key"
table passwords file:{dir}/etc/passwords
table people {{ "anna", "carl@example.org" }}
table hosts {{ "mail.example.net", "*.relays.example" }}
table nets {{ 192.0.2.0/29, 2001:db8::/32 }}
table froms {{ "you@example.net", "@friends.example", "<>" }}
listen on 127.0.0.1 port 0 tls pki mx.test auth-optional <passwords> tag "one" proxy 127.0.0.2
listen on 127.0.0.1 port 0 tag "other" proxy 127.0.0.2
listen on "{dir}/in.sock" tag "by-socket"
action "yes" relay host "smtp://127.0.0.1:9"
{rules}
"""
FAR = {"client": "198.51.100.9"}
NEAR = {"client": "local"}
SOCKET = {"client": "socket"}
NAMED = {"client": "192.0.2.7"}         # mail.example.net
ANNA, BERT = ({"login": login, "sender": f"{login}@mx.test"} for login in ("anna", "bert"))
CARL = {"login": "carl@example.org", "sender": "carl@example.org"}


class Row(NamedTuple):
    condition: str
    holds: tuple
    fails: tuple = ()


def of(**words):
    return words


ROWS = (
    Row("from any", (FAR, NEAR, SOCKET, ANNA)),
    Row("from local", (NEAR, SOCKET), (FAR, ANNA)),
    Row("from socket", (SOCKET,), (NEAR, FAR)),
    Row("from auth", (ANNA, BERT), (FAR, NEAR, SOCKET)),
    Row("from auth <people>", (ANNA, CARL), (BERT, FAR, NEAR)),
    Row('from auth regex "@example[.]org$"', (CARL,), (ANNA, FAR)),
    Row("from src <nets>", (NAMED, of(client="2001:db8::5")), (FAR, NEAR, SOCKET, of(client="192.0.2.8"))),
    Row("from src 198.51.100.9", (FAR,), (NAMED, NEAR)),
    Row('from src regex "^2001:db8:"', (of(client="2001:db8::5"),), (FAR, NEAR)),
    Row("from rdns", (NAMED, of(client="192.0.2.9")), (FAR,)),
    Row("from rdns <hosts>", (NAMED, of(client="192.0.2.8")), (of(client="192.0.2.9"), FAR)),
    Row('from rdns regex "(?i)-DYN-"', (of(client="192.0.2.67"),), (NAMED, FAR)),
    Row("from mail-from <froms>", (of(sender="you@example.net"), of(sender="YOU@Example.NET"), of(sender="x@friends.example"),
                                     of(sender="")), (of(sender="me@example.net"), of(sender="x@sub.friends.example"))),
    Row('from mail-from regex "^y.*@"', (of(sender="yes@a.test"),), (of(sender="no@a.test"), of(sender=""))),
    Row("auth", (ANNA,), (FAR, NEAR)),
    Row("auth <people>", (ANNA,), (BERT, FAR)),
    Row('auth regex "^b"', (BERT,), (ANNA, FAR)),
    Row('helo { "a.test", "*.b.test" }', (of(helo="a.test"), of(helo="A.TEST"), of(helo="c.b.test")),
        (of(helo="b.test"), of(helo="[192.0.2.1]"))),
    Row('helo regex "^[[]"', (of(helo="[192.0.2.1]"),), (of(helo="a.test"),)),
    Row("mail-from <froms>", (of(sender="you@example.net"), of(sender="")), (of(sender="me@example.net"),)),
    Row('mail-from regex "example[.]net$"', (of(sender="you@example.net"),), (of(sender=""),)),
    Row('tag "one"', ({},), (of(listener=2), SOCKET)),
    Row('tag { "other", "by-socket" }', (of(listener=2), SOCKET), ({},)),
    Row('tag regex "^by-"', (SOCKET,), ({},)),
    Row("tls", (of(tls=True), ANNA), (FAR, NEAR, SOCKET, of(listener=2))),
    Row('rcpt-to { "a@x.test", "@y.test" }', (of(to="a@x.test"), of(to="A@X.TEST"), of(to="b@y.test")), (of(to="b@x.test"),)),
    Row('rcpt-to regex "^a@"', (of(to="a@x.test"),), (of(to="b@x.test"),)),
    Row("for any", (of(to="a@x.test"), of(to="a@mx.test"))),
    Row("for local", (of(to="a@mx.test"), of(to="a@localhost"), of(to="a@[127.0.0.1]")), (of(to="a@x.test"), of(to="a@[192.0.2.1]"))),
    Row('for domain { "x.test", "*.y.test" }', (of(to="a@x.test"), of(to="a@X.Test"), of(to="a@b.y.test")), (of(to="a@y.test"),)),
    Row('for domain regex "^x"', (of(to="a@x.test"),), (of(to="a@y.test"),)),
    Row('for rcpt-to { "a@x.test", "b" }', (of(to="a@x.test"), of(to="b@anywhere.test")), (of(to="c@x.test"),)),
    Row('for rcpt-to regex "^a[+]"', (of(to="a+b@x.test"),), (of(to="a@x.test"),)),
)


def is_of_recipient(condition):
    return condition.startswith(("for ", "rcpt-to "))


def rule(n, condition, negated):
    """Nobody else's question meets it: where the condition is of the recipient the sender says whose it is, else the
    recipient's domain."""
    name = f"{'n' if negated else 'p'}{n}.rules.test"
    words = [("!" if negated else "") + condition]
    if not condition.startswith("from "):
        words.append("from any")
    if is_of_recipient(condition):
        words.append(f'mail-from "@{name}"')
    if not condition.startswith("for "):
        words.append("for any" if is_of_recipient(condition) else f'for domain "{name}"')
    return f"match {' '.join(words)} action \"yes\"", name


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    for dns in serve(tmp_path_factory.mktemp("nsd"), family.ZONES):
        s = Server("")
        os.mkdir(s.path("etc"))
        family.lay_out(s.path("etc"), certificate("ecdsa"))
        rules = "\n".join(rule(n, row.condition, negated)[0] for n, row in enumerate(ROWS) for negated in (False, True))
        s.write_conf(CONF.replace("{rules}", rules.replace("{", "{{").replace("}", "}}")), dns=dns)
        yield s.start()
        s.cleanup()


def live(server, q):
    """The reply to RCPT."""
    if q.client != "socket":
        return family.reply_of(q, server.ports[q.listener - 1], False)
    with Client(server.path("in.sock")) as c:
        c.say(f"EHLO {q.helo}", f"MAIL FROM:<{q.sender}>")
        return c.cmd(f"RCPT TO:<{q.to}>")


def explained(server, q):
    tag = "by-socket" if q.client == "socket" else ("one", "other")[q.listener - 1]
    words = ["-c", q.client, "-H", q.helo, "-a", q.login, "-f", f"<{q.sender}>", "-l", tag]
    done = server.ctl("explain", "--json", *words, *["-t"] * q.secured, q.to, check=False)
    said = json.loads(done.stdout or pytest.fail(done.stderr))
    return said["code"], f"{said['status']} {said['text']}", said["line"]


@pytest.mark.parametrize("negated", [False, True], ids=["", "not"])
@pytest.mark.parametrize("n", range(len(ROWS)), ids=[row.condition for row in ROWS])
def test_condition(server, n, negated):
    text, name = rule(n, ROWS[n].condition, negated)
    with open(server.conf, encoding="utf-8") as f:
        line = f.read().splitlines().index(text) + 1
    for holds, questions in ((True, ROWS[n].holds), (False, ROWS[n].fails)):
        for words in questions:
            scope = {"sender": f"x@{name}"} if is_of_recipient(ROWS[n].condition) else {"to": f"x@{name}"}
            q = family.Question(**{"answer": "", **words, **scope})
            yes, said = holds != negated, live(server, q)
            assert (said[0], said[1][:5]) == ((250, "2.1.5") if yes else (550, "5.7.1")), (text, q)
            assert explained(server, q) == (*said, line if yes else 0), (text, q)


@pytest.mark.parametrize("text, why", [
    ('match form any for any action "yes"', "unknown condition 'form', did you mean 'for'?"),
    ('match from anyone for any action "yes"', "unknown condition 'anyone'"),
    ('match from any for any action "no"', "undefined action 'no'"),
    ('match from any from local for any action "yes"', "a rule has one 'from'"),
    ('match from any for any !for local action "yes"', "a rule has one 'for'"),
    ('match tls tls from any for any action "yes"', "'tls' was given before"),
    ('match from any for domain <nowhere> action "yes"', "undefined table 'nowhere'"),
    ('match from any for any', "expected 'action' or 'reject'"),
    ('match from any ! action "yes"', "unknown condition"),
    ('match from any for any reject action "yes"', "end of the line"),
    ('match from any for domain regex "(x" reject', "not a regular expression"),
    ('match from any for domain <passwords> reject', "has passwords"),
])
def test_words(server, text, why):
    """What is no rule is said with its place, and the server goes on with the rules it has."""
    with open(server.conf, encoding="utf-8") as f:
        good = f.read()
    mark = len(server.log)
    try:
        with open(server.conf, "a", encoding="utf-8") as f:
            f.write(text + "\n")
        server.process.send_signal(signal.SIGHUP)
        line = server.wait_log(f"smtpd.conf:{len(good.splitlines()) + 1}:", after=mark)
        assert why in line, line
        server.wait_log("event=reload-refused", after=mark)
    finally:
        with open(server.conf, "w", encoding="utf-8") as f:
            f.write(good)


# -- a table that does not answer ---------------------------------------------------------------

SILENT = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
smtp error-delay 0
table pg {pg}
listen on 127.0.0.1 port 0 proxy 127.0.0.2
action "out" relay host "smtp://127.0.0.1:9"
{rules}
"""
REJECTS = """match from any mail-from <pg> for any reject
match from any !mail-from <pg> for domain "turned.test" action "out"
match from any for any action "out"
"""
TAKES = """match from any for domain "here.test" action "out"
match from any for any reject
"""


@pytest.fixture
def silent():
    """A server that asks a database which takes connections and says nothing; .use() gives it other rules."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        s = Server("")

        def use(rules, pg="postgres:{dir}/pg.conf"):
            s.write_conf(SILENT.replace("{pg}", pg), rules=rules)
            if s.process is not None:
                mark = len(s.log)
                s.process.send_signal(signal.SIGHUP)
                s.wait_log("event=reloaded", after=mark)
        s.use = use
        with open(s.path("pg.conf"), "w", encoding="utf-8") as f:
            f.write(f"conninfo hostaddr=127.0.0.1 port={nobody.getsockname()[1]} dbname=x user=x password=GEHEIM\n"
                    "query_mailaddr SELECT a FROM x WHERE address=$1\n")
        use(REJECTS)
        yield s.start()
        s.cleanup()


def askers(server, *to):
    """Clients that have said RCPT, and have no answer yet."""
    clients = [family.Asker(family.Question(to=rcpt, answer=""), server.ports[0], False) for rcpt in to]
    for client in clients:
        client.say("MAIL FROM:<you@example.net>")
        client.send(f"RCPT TO:<{client.q.to}>\r\n")
    wait_for(lambda: counter(server, "lookup.rcpt.waiting") == len(to), "questions that wait")
    return clients


def counter(server, name):
    rows = [json.loads(line) for line in server.ctl("show", "stats", "--json").stdout.splitlines()]
    return next(row["value"] for row in rows if row["name"] == name)


def test_no_later_rule_has_its_say(silent):
    later = (451, "4.4.3 recipient can't be checked now, try again later")
    clients = askers(silent, "x@here.test", "x@turned.test")
    assert [c.reply() for c in clients] == [later] * 2
    said = silent.ctl("explain", "-c", "198.51.100.9", "-f", "you@example.net", "x@here.test", check=False)
    assert said.returncode == 75 and "<pg> does not answer" in said.stdout
    assert not any("GEHEIM" in line for line in [*silent.log, said.stdout])


def test_a_reload_while_it_is_waited_for(silent):
    """The new rules decide, all of them."""
    clients = askers(silent, "x@here.test", "x@turned.test")
    silent.use(TAKES, "{{ x@example.net }}")
    assert [c.reply()[0] for c in clients] == [250, 550]
    silent.use(REJECTS)
    clients = askers(silent, "x@here.test", "x@turned.test")
    silent.use(REJECTS, "{{ you@example.net }}")
    assert [c.reply()[0] for c in clients] in ([550, 550], [451, 451])     # as it stands now, or nobody knows
    assert not any("event=exited" in line for line in silent.log)
