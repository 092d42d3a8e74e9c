# SPDX-License-Identifier: ISC
"""What RCPT is answered, and the short reason that the log has: unknown user, no rule, or passing trouble."""
import os
import re
import signal
import socket

import pytest

import nameserver
import victim
from postern import Server, wait_for
from session import Session
from talk import hello

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
smtp error-delay 0s
smtp max-errors 1000
smtp max-refused-rate 0
trust anchor "/dev/null"
resolver forward 127.0.0.1@{port}
table users {{ "demo@v.test" = "vmail", "demo@here.test" = "vmail" }}
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
table late file:{dir}/late
table pg postgres:{dir}/pg.conf
table liked {{ "*.liked.test" }}
table broken file:{dir}/broken
filter "traps" phase rcpt-to match rcpt-to {{ "trap@here.test" }} reject "550 5.7.1 Not there"
filter "late" phase rcpt-to match rcpt-to <late> mail-from {{ "late@example.net" }} reject "550 No"
filter "of-rcpt" chain {{ "traps", "late" }}
listen on 127.0.0.1 port 0 xclient {{ 127.0.0.1 }} filter "of-rcpt"
action "virtual" maildir virtual <users> userbase <owners>
action "accounts" maildir userbase <owners>
action "owned" maildir userbase <late>
action "pg" maildir virtual <pg> userbase <owners>
action "relay" relay
match from any for domain "reject.test" reject
match from any for domain "v.test" action "virtual"
match from any for domain "accounts.test" action "accounts"
match from any for domain "owned.test" action "owned"
match from any for domain "pg.test" action "pg"
match from rdns <liked> for domain "named.test" action "relay"
match from any for domain "late.test" mail-from <late> action "relay"
match from any rcpt-to regex <broken> for domain "broken.test" reject
match from any !rcpt-to regex <broken> for domain "turned.test" action "relay"
match from any for domain {{ "broken.test", "here.test" }} action "virtual"
"""
PG = """conninfo hostaddr=127.0.0.1 port=%d dbname=x user=x
query_alias SELECT target FROM aliases WHERE address=$1
"""
ZONES = {"2.0.192.in-addr.arpa": """$ORIGIN 2.0.192.in-addr.arpa.
$TTL 60
@ SOA ns.example. admin.example. 1 3600 600 86400 60
@ NS ns.example.
1 PTR mail.liked.test.
2 PTR mail.other.test.
"""}
OK, UNKNOWN, DENIED, LATER = (250, "2.1.5"), (550, "5.1.1"), (550, "5.7.1"), (451, "4.4.3")


def line_of(server, what):
    """Where in the configuration that is."""
    with open(server.conf, encoding="utf-8") as f:
        return next(n for n, line in enumerate(f, 1) if what in line)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """With a table whose file is not there any more, one of a database that nobody serves, and names in the DNS."""
    with nameserver.serving(tmp_path_factory.mktemp("reasons") / "zones", ZONES) as port, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        s = Server("")
        s.write_conf(CONF, port=port)
        for name, text in (("late", ""), ("pg.conf", PG % nobody.getsockname()[1]), ("broken", "^bad@\n(unclosed\n")):
            with open(s.path(name), "w", encoding="utf-8") as f:
                f.write(text)
        os.chmod(s.path("late"), 0)
        if os.getuid() == 0:
            os.unlink(s.path("late"))
        yield s.start()
        s.cleanup()


def rcpt(server, to, client="192.0.2.9", sender="you@example.net"):
    """Both codes, and the log's rule and reason ("" and 0 of what was taken)."""
    before = len(server.log)
    with hello(server) as c:
        c.xclient(f"ADDR={client}")
        c.say("EHLO client.test", f"MAIL FROM:<{sender}>")
        got = c.status(f"RCPT TO:<{to}>")
    if got[0] == 250:
        return got, 0, ""
    line = server.wait_log(f"event=recipient-refused client={client} ", after=before)
    m = re.search(r" code=(\d+) status=(\S+) .* rule=(\d+) why=\"(.*)\"$", line)
    assert (int(m[1]), m[2]) == got, line
    return got, int(m[3]), m[4].replace('\\"', '"')


@pytest.mark.parametrize("to, status, rule, why", [
    ("demo@v.test", OK, None, ""),
    ("x@nowhere.test", DENIED, None, "no rule matches"),
    ("x@reject.test", DENIED, "reject.test", "rejected by the rule at line {line}"),
    ("x@v.test", UNKNOWN, 'for domain "v.test"', 'rule at line {line}, no recipient "x@v.test" in table <users>'),
    ("x@accounts.test", UNKNOWN, 'for domain "accounts.test"', 'rule at line {line}, no account "x" in table <owners>'),
    ("vmail@accounts.test", OK, None, ""),
    ("x@owned.test", LATER, 'for domain "owned.test"', "rule at line {line}, table <late> does not answer"),
    ("x@late.test", LATER, 'for domain "late.test"', "rule at line {line}, table <late> does not answer"),
    ("x@pg.test", LATER, 'for domain "pg.test"', "rule at line {line}, table <pg> does not answer"),
    ("demo@here.test", OK, None, ""),           # what does not need them goes on
    # an expression that is refused: nobody knows whom it would have matched, so no later rule takes him
    ("bad@broken.test", DENIED, "for domain \"broken.test\"", "rejected by the rule at line {line}"),
    ("demo@broken.test", LATER, 'for domain "broken.test"', "rule at line {line}, table <broken> does not answer"),
    ("bad@turned.test", DENIED, None, "no rule matches"),
    ("x@turned.test", LATER, 'for domain "turned.test"', "rule at line {line}, table <broken> does not answer"),
    ("trap@here.test", DENIED, None, 'filter "traps" at rcpt-to'),
])
def test_reason(server, to, status, rule, why):
    line = line_of(server, rule) if rule else 0
    assert rcpt(server, to) == (status, line, why.format(line=line))


def test_a_filter_that_nobody_can_judge(server):
    assert rcpt(server, "demo@here.test", sender="late@example.net") == (LATER, 0, 'filter "late" at rcpt-to')


@pytest.mark.parametrize("client, status, why", [
    ("192.0.2.1", OK, ""),
    ("192.0.2.2", DENIED, "no rule matches"),
    ("192.0.2.3", DENIED, "no rule matches"),    # has no name
    ("198.51.100.1", LATER, "rule at line {line}, the client's name is not known now"),
])
def test_name_of_the_client(server, client, status, why):
    line = line_of(server, "from rdns") if status == LATER else 0
    assert rcpt(server, "x@named.test", client) == (status, line, why.format(line=line))


def test_table_comes_late(server):
    """The file that was missing is there: after a reload nobody is put off any more."""
    with open(server.path("late"), "w", encoding="utf-8") as f:
        f.write(f"you@example.net\nvmail {server.vmail}:{server.vmail}:{server.dir}/mail\n")
    os.chmod(server.path("late"), 0o644)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: rcpt(server, "x@late.test")[0] == OK, "the table")
    assert rcpt(server, "x@late.test", sender="other@example.net")[0] == DENIED
    assert rcpt(server, "vmail@owned.test")[0] == OK
    assert rcpt(server, "x@owned.test")[0] == UNKNOWN


# -- without lookup: a session process alone ---------------------------------------------------

FILTERED = victim.CONF.replace("listen on 127.0.0.1 port 25", """
filter "f" phase rcpt-to match rcpt-to {{ "x@example.org" }} reject "550 no"
listen on 127.0.0.1 port 25 filter "f"
""")


@pytest.mark.parametrize("conf, question", [(victim.CONF, "rcpt_check"), (FILTERED, "filter_check")], ids=["rules", "filter"])
@pytest.mark.parametrize("asked", [True, False])
def test_lookup_is_down(conf, question, asked):
    """Whether it dies with the question in hand or before."""
    s = Session(conf)
    try:
        client = s.client()
        if asked:
            client.send("RCPT TO:<b@example.org>\r\n")
            assert s.expect(s.lookup, question)
            s.lookup.close()
        else:
            s.lookup.sock.shutdown(socket.SHUT_WR)
            assert s.is_cut_off(s.lookup)
            client.send("RCPT TO:<b@example.org>\r\n")
        code, text = client.reply()
        assert (code, text.split()[0]) == LATER
        s.wait_log_after(0, 'event=recipient-refused .* to=b@example.org code=451 status=4.4.3 .* why="lookup is down"')
        assert client.cmd("NOOP")[0] == 250
    finally:
        s.close()


def test_lookup_is_down_at_another_command():
    """There the trouble is ours in general."""
    s = Session(FILTERED.replace("phase rcpt-to match rcpt-to", "phase mail-from match mail-from"))
    try:
        client = s.greeted()
        client.send("MAIL FROM:<x@example.org>\r\n")
        assert s.expect(s.lookup, "filter_check")
        s.lookup.close()
        code, text = client.reply()
        assert (code, text.split()[0]) == (451, "4.3.0")
    finally:
        s.close()
