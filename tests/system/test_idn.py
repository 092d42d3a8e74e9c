# SPDX-License-Identifier: ISC
"""Internationalized domains: one domain, however it is written, to rules, tables, mailboxes, the DNS and other hosts."""
import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import nameserver  # noqa: E402
import zones  # noqa: E402
from peer import Keep, Peer  # noqa: E402
from postern import Server, wait_for  # noqa: E402
from talk import hello  # noqa: E402
from test_relay import Script, make_peer, own_network  # noqa: E402, F401

U, A = "bücher.test", "xn--bcher-kva.test"
SAME = [U, "BÜCHER.Test", A, "XN--Bcher-KVA.test", "bücher。test", "bu\u0308cher.test"]
OTHER = ["bucher.test", "xn--bcher-kvb.test", "buecher.test"]
BODY = "Subject: x\r\n\r\nx\r\n"

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
queue retry-min 1h
table users {users}
table domains {domains}
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
listen on 127.0.0.1 port 0
action "demo" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <users> userbase <owners>
match from any for domain <domains> action "demo"
"""
# As an administrator may write them.
WRITTEN = [(f'{{{{ "demo@{x}" = "vmail", "@{y}" = "vmail" }}}}', f'{{{{ "{z}" }}}}')
           for x, y, z in ((U, U, U), (A, A, A), ("Bücher.test", A, "BÜCHER.test"), (A, U, "*b\xfccher.test"))]
FILES = [(f"demo@{U} vmail\n@{A} vmail\n", f"{A}\n"), (f"demo@{A}: vmail\n@BÜCHER.test: vmail\n", "Bücher.test\n")]


def utf8(server, sender, to, body=BODY):
    with server.smtp() as s:
        s.ehlo()
        s.sendmail(sender, to, body, mail_options=["SMTPUTF8"])


def statuses(server, addresses):
    with hello(server) as c:
        c.say("MAIL FROM:<you@example.net> SMTPUTF8")
        return [c.status(f"RCPT TO:<{a}>") for a in addresses]


@pytest.fixture
def make(make_server):
    def start(users, domains, extra="", files=(), **values):
        s = make_server(start=False)
        for name, text in dict(files).items():
            with open(s.path(name), "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(s.path(name), 0o644)
        s.write_conf(CONF.replace("{users}", users).replace("{domains}", domains) + extra, **values)
        return s.start()
    return start


# -- what comes in --


@pytest.mark.parametrize("users, domains", WRITTEN)
def test_rules_and_tables(make, users, domains):
    s = make(users, domains)
    assert statuses(s, [f"demo@{d}" for d in SAME]) == [(250, "2.1.5")] * len(SAME)
    assert statuses(s, [f"demo@{d}" for d in OTHER]) == [(550, "5.7.1")] * len(OTHER)


@pytest.mark.parametrize("users, domains", FILES)
def test_files(make, users, domains):
    s = make("file:{dir}/users", "file:{dir}/domains", files={"users": users, "domains": domains})
    assert statuses(s, [f"demo@{d}" for d in SAME] + [f"any@{d}" for d in SAME]) == [(250, "2.1.5")] * 2 * len(SAME)
    assert statuses(s, [f"demo@{d}" for d in OTHER]) == [(550, "5.7.1")] * len(OTHER)


@pytest.mark.parametrize("written", [U, A])
def test_an_indexed_table(make, make_server, written):
    """It is asked for A-labels, then for U-labels in lower case."""
    s = make_server(start=False)
    source = s.path("users")
    with open(source, "w", encoding="utf-8") as f:
        f.write(f"demo@{written} vmail\n")
    s.ctl("table", "build", source, s.path("users.cdb"))
    os.chmod(s.path("users.cdb"), 0o644)
    s.write_conf(CONF.replace("{users}", "cdb:{dir}/users.cdb").replace("{domains}", f'{{{{ "{U}" }}}}'))
    s.start()
    assert statuses(s, [f"demo@{d}" for d in SAME]) == [(250, "2.1.5")] * len(SAME)


def test_one_mailbox(make):
    """Each way to write it leads to the same."""
    s = make(*WRITTEN[0])
    for domain in SAME:
        utf8(s, "me@example.net", f"demo@{domain}")
    s.wait_mail(len(SAME), "demo", A)
    assert sorted(os.listdir(s.path("mail"))) == [A]


def test_what_was_said_is_shown(make):
    s = make(*WRITTEN[0])
    utf8(s, "me@example.net", f"demo@{U}")
    s.wait_mail(1, "demo", A)
    s.wait_log(r'event=accepted .*to="demo@b\\xc3\\xbccher\.test"')


def test_refused_by_a_rule(make):
    s = make('{{ "demo@example.org" = "vmail" }}', '{{ "example.org" }}',
             f'action "all" relay host "smtp://127.0.0.1:9"\nmatch from any for domain "{A}" reject\n'
             f'match from any mail-from {{{{ "@{U}" }}}} for any reject\nmatch from any for any action "all"\n')
    assert statuses(s, [f"x@{d}" for d in SAME]) == [(550, "5.7.1")] * len(SAME)
    assert statuses(s, ["x@example.com"]) == [(250, "2.1.5")]
    for domain in SAME:
        with hello(s) as c:
            c.say(f"MAIL FROM:<x@{domain}> SMTPUTF8")
            assert c.status("RCPT TO:<x@example.com>") == (550, "5.7.1"), domain


def test_explained(make):
    s = make(*WRITTEN[0], 'action "out" relay host "smtp://127.0.0.1:9"\nmatch from local for any action "out"\n')
    for domain in SAME[:2] + [A]:
        said = json.loads(s.ctl("explain", "--json", f"demo@{domain}", check=False).stdout)
        assert (said["code"], said["action"]) == (250, "demo"), said


# -- what goes out --

ZONE = """$TTL 60
@ SOA ns admin 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
xn--bcher-kva MX 10 xn--mx-xka
xn--mx-xka A 127.0.0.2
"""
OUT = """
action "out" relay
match from local for any action "out"
resolver forward 127.0.0.1
trust anchor "{anchor}"
"""


@pytest.mark.root
def test_by_mx(own_network, tmp_path, make, make_peer):  # noqa: F811
    """The DNS is asked for A-labels; one message for all ways to write a domain, though those who send it see their own."""
    key = zones.Key("far.example")
    with nameserver.serving(tmp_path, {"far.example": zones.sign(key, ZONE)}, 53):
        peer = make_peer(Script(), host="127.0.0.2", port=25)
        s = make('{{ "a@b.test" = "vmail" }}', '{{ "b.test" }}', OUT, anchor=key.ds)
        utf8(s, "me@bücher.far.example", ["a@bücher.far.example", "b@xn--bcher-kva.far.example",
                                          "c@BÜCHER.Far.example"])
        wait_for(lambda: peer.handler.mail, "the message")
        mail, = peer.handler.mail
        assert sorted(mail.rcpt_tos) == [f"{x}@xn--bcher-kva.far.example" for x in "abc"]
        assert mail.mail_from == "me@xn--bcher-kva.far.example"
        for who in ("a@b\\xc3\\xbccher.far.example", "b@xn--bcher-kva.far.example"):
            line = wait_for(lambda who=who: next((x for x in s.log if "event=delivered" in x and who in x), None), who)
            assert "relay=xn--mx-xka.far.example[127.0.0.2]" in line
        # No such name can be: it fails, and nobody is asked.
        utf8(s, "me@example.net", "a@☃.far.example")
        line = wait_for(lambda: next((x for x in s.log if "event=failed" in x and "to=" in x), None), "a failure")
        assert "status=5.1.2" in line


def test_routes_by_domain(make):
    """A table of relays has it in one way, a recipient in another; the host is told what it can bear."""
    plain, able = Peer(Keep()), Peer(Keep(), enable_SMTPUTF8=True)
    try:
        s = make('{{ "a@b.test" = "vmail" }}', '{{ "b.test" }}',
                 f'table routes {{{{ "Bücher.test" = "smtp://127.0.0.1:{plain.port}", "xn--mgba3a.test" = '
                 f'"smtp://127.0.0.1:{able.port}", "ü.test" = "smtp://127.0.0.1:{able.port}" }}}}\n'
                 'action "out" relay domain <routes>\nmatch from local for any action "out"\n')
        utf8(s, "me@example.net", [f"a@{U}", f"b@{A}"])
        wait_for(lambda: plain.handler.mail, "the message")
        assert sorted(plain.handler.mail[0].rcpt_tos) == [f"a@{A}", f"b@{A}"]
        utf8(s, "me@example.net", "a@xn--tda.test")
        utf8(s, "me@example.net", "jürgen@ü.test")
        wait_for(lambda: len(able.handler.mail) == 2, "both messages")
        assert sorted(r for m in able.handler.mail for r in m.rcpt_tos) == ["a@xn--tda.test", "jürgen@ü.test"]
        # A local part that isn't ASCII has no other form (RFC 6531 3.7.4).
        utf8(s, "me@example.net", f"jürgen@{U}")
        line = wait_for(lambda: next((x for x in s.log if "event=failed" in x), None), "a failure")
        assert "status=5.6.7" in line
    finally:
        plain.stop()
        able.stop()


def test_srs(make):
    """What is forwarded for such a sender has a sender of ASCII, which leads back to him however it is written."""
    peer = Peer(Keep())
    try:
        s = make(f'{{{{ "demo@{U}" = "ann@elsewhere.test" }}}}', f'{{{{ "{A}" }}}}',
                 f'srs key "a secret of the test"\naction "out" relay host "smtp://127.0.0.1:{peer.port}" srs\n'
                 'match from local for any action "out"\n')
        utf8(s, "me@späth.test", f"demo@{U}")
        wait_for(lambda: peer.handler.mail, "the message")
        sender = peer.handler.mail[0].mail_from
        assert sender.startswith("SRS0=") and sender.endswith(f"=xn--spth-moa.test=me@{A}"), sender
        local = sender.split("@")[0]
        utf8(s, "", f"{local}@{U}")
        wait_for(lambda: len(peer.handler.mail) == 2, "the report")
        assert peer.handler.mail[1].rcpt_tos == ["me@xn--spth-moa.test"]
    finally:
        peer.stop()
