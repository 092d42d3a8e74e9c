# SPDX-License-Identifier: ISC
"""A login must own its MAIL FROM: smtpd-lookup alone, and a whole server; the rules that ask for a login."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from ipc import ADDRESS_SPACE, Process  # noqa: E402
from postern import wait_for  # noqa: E402
from sasl import OK, auth, crypted, plain, table  # noqa: E402
from talk import hello, stat  # noqa: E402

RIGHTS = 0x0001 | 0x0008 | 0x0100 | 0x0800  # base, dns, read-fd, read-db: smtpd/roles.c
TABLE = 0  # enum ipc_file
MAIL_FROM, RCPT_TO = 3, 4  # enum conf_phase
MINE, NOT_MINE, NOBODY_KNOWS = (0, ""), (550, "5.7.1"), (451, "4.4.3")

OWN = {"bob": "bob@example.org, Sales@example.org", "carol@example.org": "@example.net, carol+*@example.org",
       "root": "@*"}
CONF = """
hostname "mx.example.org"
table own { %s }
table file file:%s
table missing file:/nonexistent
table boss { "boss@example.org" }
table staff { "bob", "carol@example.org" }
filter f phase mail-from match auth <staff> mail-from <boss> bypass
filter r phase mail-from match auth <staff> mail-from { "@alias.example" } rewrite "bob@example.org"
filter n phase mail-from match mail-from <boss> reject "550 5.7.9 no"
filter all chain { f, r }
action out relay host "smtp://127.0.0.1:1"
match from auth <staff> tls for domain "tls.example" action out
match from auth <staff> for domain "staff.example" action out
match from auth for domain "any.example" action out
match tag "sub" auth from any for domain "tag.example" action out
match !from auth for domain "nobody.example" action out
match from auth <missing> for domain "missing.example" action out
""" % (", ".join('"%s" = "%s"' % row for row in OWN.items()), "%s")


@pytest.fixture(scope="module")
def lookup(tmp_path_factory):
    path = tmp_path_factory.mktemp("lookup") / "file"
    path.write_text("# who sends as whom\nbob: bob@example.org,\n  @example.net\n")
    process = Process("smtpd-lookup", "LOOKUP", RIGHTS, CONF % path, [(TABLE, "file", path)], [53],
                      limits=(4096, ADDRESS_SPACE, 0, 0))
    process.session = process.link("SESSION")
    process.control = process.link("CONTROL")
    process.path = path
    yield process
    process.session.close()
    process.control.close()
    assert process.stop() == 0


def ask(lookup, login, sender, senders="", filter="", **more):
    values = {"phase": MAIL_FROM, "owned": True, "client": "192.0.2.1", **more}
    return lookup.ask(lookup.session, "filter_check", "filter_verdict", auth=login, sender=sender,
                      senders=senders, filter=filter, **values)[-1]


def codes(*words, **more):
    m = ask(*words, **more)
    return m.code, m.status


@pytest.mark.parametrize(
    "login, sender, senders, want",
    [
        ("bob@example.org", "bob@example.org", "", MINE),
        ("bob@example.org", "BOB@Example.ORG", "", MINE),
        ("bob@example.org", "bob+x@example.org", "", NOT_MINE),
        ("bob@example.org", "eve@example.org", "", NOT_MINE),
        ("bob", "bob@mx.example.org", "", MINE),
        ("bob", "bob@localhost", "", MINE),
        ("bob", "bob@example.org", "", NOT_MINE),
        ("bob", "", "", MINE),
        ("bob", "bob@example.org", "own", MINE),
        ("bob", "Sales@example.org", "own", MINE),
        ("bob", "sales@example.org", "own", NOT_MINE),
        ("carol@example.org", "x@EXAMPLE.net", "own", MINE),
        ("carol@example.org", "carol+x@example.org", "own", MINE),
        ("carol@example.org", "carol@example.org", "own", NOT_MINE),
        ("root", "anybody@anywhere.example", "own", MINE),
        ("eve", "eve@mx.example.org", "own", NOT_MINE),
        ("bob", "x@example.net", "file", MINE),
        ("bob", "x@example.com", "file", NOT_MINE),
        ("bob", "bob@example.org", "missing", NOBODY_KNOWS),
        ("bob", "bob@example.org", "no-such-table", NOBODY_KNOWS),
        ("bob", "no address", "own", NOBODY_KNOWS),
        ("", "bob@example.org", "own", NOT_MINE),
    ],
)
def test_owner(lookup, login, sender, senders, want):
    assert codes(lookup, login, sender, senders) == want


def test_asked_only_for_logins_that_must(lookup):
    assert codes(lookup, "bob", "eve@example.org", "own", owned=False) == MINE


def test_with_filters(lookup):
    # What lets a message pass by the filters does not make an address one's own.
    m = ask(lookup, "bob", "boss@example.org", "own", "all")
    assert (m.code, m.bypass) == (550, False)
    m = ask(lookup, "root", "boss@example.org", "own", "all")
    assert (m.code, m.bypass, m.filter) == (0, False, "")
    # The filter's word comes first.
    assert codes(lookup, "bob", "boss@example.org", "own", "n") == (550, "5.7.9")
    # What the filter makes of it is what counts, and is said.
    m = ask(lookup, "bob", "x@alias.example", "own", "all")
    assert (m.code, m.value) == (0, "bob@example.org")
    m = ask(lookup, "carol@example.org", "x@alias.example", "own", "all")
    assert (m.code, m.value) == (550, "")


def test_refusals_are_logged_and_counted(lookup):
    def refused():
        got = lookup.ask(lookup.control, "stats", "stats_end")
        return {m.name: m.value for m in got[:-1]}["senders.refused"]
    before = refused()
    m = ask(lookup, "bob\n\x1b[2J", "eve@example.org", "own")
    assert m.text == "your login may not send as this address"
    lookup.wait_log(r'event=sender-refused login="bob\\x0a\\x1b\[2J" sender=eve@example\.org client=192\.0\.2\.1$')
    ask(lookup, "bob", "eve@example.org", "missing")
    lookup.wait_log(r"event=senders-unknown login=bob sender=eve@example\.org client=192\.0\.2\.1$")
    assert refused() == before + 2


def test_table_that_changes(lookup):
    lookup.path.write_text("bob new@example.org\n")
    assert codes(lookup, "bob", "new@example.org", "file") == NOT_MINE
    lookup.configure(CONF % lookup.path, [(TABLE, "file", lookup.path)])
    wait_for(lambda: codes(lookup, "bob", "new@example.org", "file") == MINE, "the new contents")


@pytest.mark.parametrize(
    "rcpt, more, want",
    [
        ("x@any.example", {}, 550),
        ("x@any.example", {"auth": "eve"}, 250),
        ("x@any.example", {"local": True}, 550),
        ("x@staff.example", {"auth": "eve"}, 550),
        ("x@staff.example", {"auth": "bob"}, 250),
        ("x@staff.example", {"auth": "Carol@Example.org"}, 250),
        ("x@tls.example", {"auth": "bob"}, 550),
        ("x@tls.example", {"auth": "bob", "tls": True}, 250),
        ("x@tls.example", {"tls": True}, 550),
        ("x@tag.example", {"auth": "bob"}, 550),
        ("x@tag.example", {"auth": "bob", "tag": "sub"}, 250),
        ("x@tag.example", {"tag": "sub"}, 550),
        ("x@nobody.example", {"auth": "bob"}, 550),
        ("x@nobody.example", {}, 250),
        ("x@missing.example", {"auth": "bob"}, 451),
        ("x@missing.example", {}, 550),
    ],
)
def test_rules(lookup, rcpt, more, want):
    values = {"client": "192.0.2.1", "sender": "a@b.example", "helo": "c.example", **more}
    m = lookup.ask(lookup.session, "rcpt_check", "rcpt_verdict", rcpt=rcpt, **values)[-1]
    assert m.code == want


# -- the whole server --

LOGINS = {name: crypted("secret") for name in ("demo@example.org", "bob", "carol@example.org")}
SERVER = table("logins", LOGINS) + table("own", {"bob": "bob@example.org, @example.net"}) + """
table file file:{dir}/senders
table carol {{ "carol@example.org" }}
filter friend phase connect match src {{ 127.0.0.0/8 }} bypass
filter say phase mail-from match mail-from {{ "@alias.example" }} rewrite "demo@example.org"
listen on 127.0.0.1 port 0 auth <logins> insecure-auth tag own
listen on 127.0.0.1 port 0 auth <logins> insecure-auth senders <own>
listen on 127.0.0.1 port 0 auth <logins> insecure-auth senders <file>
listen on 127.0.0.1 port 0 auth-optional <logins> insecure-auth filter friend
listen on 127.0.0.1 port 0 auth <logins> insecure-auth filter say
action "relay" relay host "smtp://127.0.0.1:1"
match from auth <carol> for domain "carol.example" action "relay"
match auth tag "own" from any for domain "own.example" action "relay"
match from auth tls for domain "tls.example" action "relay"
"""
PLAIN, OWN_ADDRESS, LISTED, FILE, OPTIONAL, FILTERED = range(6)


@pytest.fixture(scope="module")
def server():
    from postern import Server
    s = Server(extra=SERVER)
    (Path(s.dir) / "senders").write_text("bob bob@example.org\ndemo@example.org\t@example.org\n")
    s.start()
    yield s
    s.cleanup()


def logged_in(server, where, login):
    c = hello(server, server.ports[where])
    assert auth(c, "PLAIN", *plain(login, "secret")) == OK
    return c


def mail(client, sender):
    status = client.status(f"MAIL FROM:<{sender}>")
    client.cmd("RSET")
    return status


@pytest.mark.parametrize(
    "where, login, mine, others",
    [
        (OWN_ADDRESS, "demo@example.org", ["demo@example.org", "Demo@Example.org", ""],
         ["other@example.org", "demo@mx.test", "demo+x@example.org"]),
        (OWN_ADDRESS, "bob", ["bob@mx.test", "bob@localhost", "bob@[127.0.0.1]", ""], ["bob@example.org", "eve@mx.test"]),
        (LISTED, "bob", ["bob@example.org", "x@example.net", ""], ["bob@mx.test", "Bob@example.org"]),
        (LISTED, "demo@example.org", [""], ["demo@example.org"]),
        (FILE, "bob", ["bob@example.org"], ["bob@mx.test", "x@example.net"]),
        (FILE, "demo@example.org", ["demo@example.org", "other@example.org"], ["demo@example.net"]),
        (OPTIONAL, "demo@example.org", ["demo@example.org"], ["other@example.org"]),
        (FILTERED, "demo@example.org", ["demo@example.org", "x@alias.example"], ["other@example.org"]),
        (FILTERED, "bob", ["bob@mx.test"], ["x@alias.example"]),
    ],
)
def test_mail_from(server, where, login, mine, others):
    with logged_in(server, where, login) as c:
        for sender in others:
            assert mail(c, sender) == (550, "5.7.1"), sender
        for sender in mine:
            assert mail(c, sender)[0] == 250, sender


def test_who_did_not_log_in_owns_what_it_says(server):
    for where in (PLAIN, OPTIONAL):
        with hello(server, server.ports[where]) as c:
            assert mail(c, "other@example.org")[0] == 250


def test_a_refused_sender_leaves_no_transaction(server):
    with logged_in(server, OWN_ADDRESS, "demo@example.org") as c:
        assert c.status("MAIL FROM:<other@example.org>") == (550, "5.7.1")
        assert c.status("RCPT TO:<demo@example.org>")[0] == 503
        c.say("MAIL FROM:<demo@example.org>", "RCPT TO:<demo@example.org>")
        assert c.cmd("RSET")[0] == 250
    server.wait_log(r"event=sender-refused login=demo@example\.org sender=other@example\.org client=127\.0\.0\.1")
    assert stat(server, "lookup.senders.refused") > 0


def test_pipelined(server):
    with logged_in(server, OWN_ADDRESS, "demo@example.org") as c:
        c.send("MAIL FROM:<other@example.org>\r\nRCPT TO:<demo@example.org>\r\nRSET\r\nMAIL FROM:<demo@example.org>\r\n")
        assert [c.reply()[0] for _ in range(4)] == [550, 503, 250, 250]


def test_rules_know_the_login(server):
    for where, login, rcpt, want in (
            (OWN_ADDRESS, "carol@example.org", "x@carol.example", 250),
            (OWN_ADDRESS, "demo@example.org", "x@carol.example", 550),
            (OWN_ADDRESS, "demo@example.org", "x@own.example", 250),
            (OPTIONAL, "demo@example.org", "x@own.example", 550),
            (OWN_ADDRESS, "demo@example.org", "x@tls.example", 550)):
        with logged_in(server, where, login) as c:
            c.say(f"MAIL FROM:<{login}>")
            assert c.cmd(f"RCPT TO:<{rcpt}>")[0] == want, (login, rcpt)
    with hello(server, server.ports[OPTIONAL]) as c:
        c.say("MAIL FROM:<carol@example.org>")
        assert c.cmd("RCPT TO:<x@carol.example>")[0] == 550


def test_the_message_says_so(server):
    """What goes out carries the address that was judged."""
    with logged_in(server, FILTERED, "demo@example.org") as c:
        c.say("MAIL FROM:<x@alias.example>", "RCPT TO:<other@example.org>", "DATA")
        c.send("Subject: hello\r\n\r\nhello\r\n")
        assert c.cmd(".")[0] == 250
    text = server.wait_mail(user="other")[0]
    assert b"Return-Path: <demo@example.org>" in text and b"alias.example" not in text
