# SPDX-License-Identifier: ISC
"""Which servers take mail, and which address it comes from, by tables: lists, senders, domains; wherever they are kept."""
import json
import os
import socket
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import fetched  # noqa: E402
import nameserver  # noqa: E402
from ipc import OUTCOMES  # noqa: E402
from peer import Keep, Peer  # noqa: E402
from postern import PATIENCE, Server, wait_for  # noqa: E402
from postgres import Postgres  # noqa: E402
from routes import Router  # noqa: E402

CONF = Server.CONF + "queue retry-min 1h\nlookup cache-time 0s\n"
ZONE = "$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
BODY = "Subject: x\r\n\r\nx\r\n"


class Seen(Keep):
    """Keeps whom each message came from: address, name, sender, recipients."""

    async def handle_DATA(self, _server, session, envelope):
        self.mail.append((session.peer[0], session.host_name, envelope.mail_from, sorted(envelope.rcpt_tos)))
        return "250 2.0.0 kept"


@pytest.fixture
def peers():
    made = []

    def make(**options):
        made.append(Peer(Seen(), **options))
        return made[-1]
    yield make
    for p in made:
        p.stop()


@pytest.fixture
def start(make_server):
    def make(text, files=(), **values):
        s = make_server(start=False)
        for name, contents in dict(files).items():
            write(s, name, contents)
        s.write_conf(CONF + text, **values)
        return s.start()
    return make


def write(server, name, contents):
    with open(server.path(name), "w", encoding="utf-8") as f:
        f.write(contents)
    os.chmod(server.path(name), 0o644)


def send(server, sender="me@example.net", to="you@far.example"):
    with server.smtp() as s:
        s.sendmail(sender, to, BODY)


def mail_of(peer, n=1):
    wait_for(lambda: len(peer.handler.mail) >= n, "the mail")
    return peer.handler.mail


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def status_of(server, event, to):
    return server.wait_log(rf"event={event} .*to={to}")


# -- lists --


@pytest.mark.parametrize("where", ["inline", "file"])
def test_the_next_of_a_list_takes_it(start, peers, where):
    """The first refuses connections; all recipients of a message travel together, whatever their domain."""
    peer, dead = peers(), closed_port()
    urls = [f"smtp://127.0.0.1:{dead}", f"smtp://127.0.0.1:{peer.port}"]
    table = "{{ " + ", ".join(f'"{u}"' for u in urls) + " }}" if where == "inline" else "file:{dir}/hosts"
    s = start(f'table hosts {table}\naction "out" relay host <hosts>\nmatch from local for any action "out"\n',
              {"hosts": "# ours\n" + "\n".join(urls) + "\n"})
    send(s, to=["a@far.example", "b@else.example"])
    assert mail_of(peer) == [("127.0.0.1", "mx.test", "me@example.net", ["a@far.example", "b@else.example"])]


def test_a_list_that_is_changed(start, peers):
    first, second = peers(), peers()
    s = start('table hosts file:{dir}/hosts\naction "out" relay host <hosts>\nmatch from local for any action "out"\n',
              {"hosts": f"smtp://127.0.0.1:{first.port}\n"})
    send(s)
    mail_of(first)
    write(s, "hosts", f"smtp://127.0.0.1:{second.port}\n")
    s.ctl("update", "table", "hosts")
    s.wait_log("event=table-loaded table=hosts")
    send(s)
    mail_of(second)
    assert len(first.handler.mail) == 1


@pytest.mark.parametrize("line,words", [
    ("http://127.0.0.1/", "is not the URL of a relay"), ("smtps://me@127.0.0.1", "no credentials")])
def test_a_list_that_is_wrong(start, peers, line, words):
    """Mail waits until it is mended, and the log says what is wrong."""
    peer = peers()
    s = start('table hosts file:{dir}/hosts\naction "out" relay host <hosts>\nmatch from local for any action "out"\n',
              {"hosts": line + "\n"})
    send(s)
    said = status_of(s, "deferred", r"you@far\.example")
    assert "status=4.3.5" in said and words in said
    write(s, "hosts", f"smtp://127.0.0.1:{peer.port}\n")
    s.ctl("update", "table", "hosts")
    s.wait_log("event=table-loaded table=hosts")
    s.ctl("schedule", "all")
    mail_of(peer)


# -- mappings --

BY_SENDER = """
table whose {{ "boss@example.net" = "smtp://127.0.0.1:{dead},smtp://127.0.0.1:{one}",
    "@example.net" = "smtp://127.0.0.1:{two}", "example.com" = "smtp://127.0.0.1:{one}", "*" = "127.0.0.1:{two}" }}
action "out" relay host <whose>
match from local for any action "out"
"""


def test_servers_by_sender(start, peers):
    one, two = peers(), peers()
    s = start(BY_SENDER, one=one.port, two=two.port, dead=closed_port())
    senders = {"boss@example.net": one, "Boss@Example.NET": one, "me@example.net": two, "x@example.com": one,
               "x@sub.example.com": two, "": two}
    for sender, peer in senders.items():
        n = len(peer.handler.mail)
        send(s, sender)
        assert mail_of(peer, n + 1)[-1][2].strip("<>").lower() == sender.lower()
    assert len(one.handler.mail) == 3 and len(two.handler.mail) == 3


def test_a_sender_without_a_server_goes_by_mx(start, peers, tmp_path):
    """Whose name server has trouble here: it waits for that one."""
    peer = peers()
    with nameserver.serving(tmp_path, {"ok.example": ZONE, "far.example": None}) as port:
        s = start('table whose {{ "@example.net" = "smtp://127.0.0.1:{port}" }}\naction "out" relay host <whose>\n'
                  'match from local for any action "out"\nresolver forward "127.0.0.1@{dns}"\n',
                  port=peer.port, dns=port)
        send(s, "me@example.org")
        assert "status=4.4.3" in status_of(s, "deferred", r"you@far\.example")
        send(s, "me@example.net")
        mail_of(peer)


def test_servers_by_domain(start, peers):
    """A domain that the table has not fails: its MX is not what was asked for."""
    one, two = peers(), peers()
    s = start('table routes {{ "far.example" = "smtp://127.0.0.1:{one}", "near.example" = "smtp://127.0.0.1:{two}" }}\n'
              'action "out" relay domain <routes>\nmatch from local for any action "out"\n',
              one=one.port, two=two.port)
    send(s, to=["a@far.example", "b@near.example", "c@Far.Example", "d@a.far.example"])
    assert mail_of(one)[0][3] == ["a@far.example", "c@far.example"]
    assert mail_of(two)[0][3] == ["b@near.example"]
    said = status_of(s, "failed", r"d@a\.far\.example")
    assert "status=5.4.4" in said and "<routes> has no relay for" in said


# -- where it comes from --


def test_sources_in_turn(start, peers):
    """Each message has a connection of its own here, so that all of the addresses have their turn."""
    peer = peers()
    s = start('table names {{ 127.0.0.5 = "five.example", 127.0.0.6 = "six.example" }}\n'
              'action "out" relay host "smtp://127.0.0.1:{port}" src {{ 127.0.0.5, 127.0.0.6 }} helo-src <names>\n'
              'match from local for any action "out"\nmta limit session-mail-max 1\n', port=peer.port)
    for n in range(4):
        send(s)
        mail_of(peer, n + 1)
    assert {m[:2] for m in peer.handler.mail} == {("127.0.0.5", "five.example"), ("127.0.0.6", "six.example")}


def test_sources_by_sender(start, peers):
    peer = peers()
    s = start('table pools {{ "@example.net" = "127.0.0.7", "news@example.org" = "127.0.0.8" }}\n'
              'table names {{ 127.0.0.8 = "news.example" }}\n'
              'action "out" relay host "smtp://127.0.0.1:{port}" src <pools> helo-src <names>\n'
              'match from local for any action "out"\n', port=peer.port)
    for n, (sender, address, name) in enumerate((("a@example.net", "127.0.0.7", "mx.test"),
                                                 ("News@example.org", "127.0.0.8", "news.example"),
                                                 ("other@example.org", "127.0.0.1", "mx.test"))):
        send(s, sender)
        assert mail_of(peer, n + 1)[-1][:2] == (address, name)


def test_a_source_that_is_not_ours(start, peers):
    """Mail waits, and does not leave from another address."""
    peer = peers()
    s = start('action "out" relay host "smtp://127.0.0.1:{port}" src "192.0.2.77"\n'
              'match from local for any action "out"\n', port=peer.port)
    send(s)
    assert "status=4." in status_of(s, "deferred", r"you@far\.example")
    assert not peer.handler.mail


# -- elsewhere: the ports that a data base names are opened by an action that has them, too --

PORTS = """
action "one" relay host "smtp://127.0.0.1:{one}"
action "two" relay host "smtp://127.0.0.1:{two}"
action "dead" relay host "smtp://127.0.0.1:{dead}"
"""

def test_servers_in_a_database(start, peers, tmp_path):
    """Several rows are several servers; what it lacks is no server, a database that is broken is waited for."""
    one, two, dead = peers(), peers(), closed_port()
    db = tmp_path / "routes.db"
    with sqlite3.connect(db) as c:
        c.execute("CREATE TABLE routes(key TEXT, url TEXT)")
        c.executemany("INSERT INTO routes VALUES (?, ?)", [
            ("far.example", f"smtp://127.0.0.1:{dead}"), ("far.example", f"smtp://127.0.0.1:{one.port}"),
            ("*", f"smtp://127.0.0.1:{two.port}")])
    c.close()
    os.chmod(tmp_path, 0o755)
    os.chmod(db, 0o644)
    s = start(PORTS + 'table routes sqlite:{dir}/routes.conf\naction "out" relay domain <routes>\n'
              'match from local for any action "out"\n', one=one.port, two=two.port, dead=dead, files={
                  "routes.conf": f"dbpath {db}\nquery_relayhost SELECT url FROM routes WHERE key = ?\n"})
    send(s, to=["a@far.example", "b@else.example"])
    assert mail_of(one)[0][3] == ["a@far.example"]
    assert mail_of(two)[0][3] == ["b@else.example"]


@pytest.fixture
def database():
    pg = fetched.or_skip(Postgres)
    try:
        yield pg.start()
    finally:
        pg.cleanup()


def test_servers_in_postgres(start, peers, database):
    """One that does not answer is waited for, and nothing goes another way meanwhile."""
    peer = peers()
    database.tables("mail", "CREATE TABLE routes(key text, url text);"
                            f"INSERT INTO routes VALUES ('@example.net', 'smtp://127.0.0.1:{peer.port}');")
    s = start(PORTS + 'table routes postgres:{dir}/routes.conf\naction "out" relay host <routes>\n'
              'match from local for any action "out"\n', one=peer.port, two=peer.port, dead=peer.port, files={
                  "routes.conf": database.conf("mail", relayhost="SELECT url FROM routes WHERE key = $1")})
    send(s)
    mail_of(peer)
    told = explain(s, "-f", "me@example.net", "you@far.example")
    asked = [x["subject"] for x in steps_of(told, "lookup") if "<routes>" in x["subject"]]
    assert asked == ["<routes> relayhost me@example.net", "<routes> relayhost @example.net"]
    assert [x["result"] for x in steps_of(told, "route")] == ["yes"]
    database.stop()
    assert [x["result"] for x in steps_of(explain(s, "you@far.example"), "route")] == ["trouble"]
    send(s)
    said = status_of(s, "deferred", r"you@far\.example")
    assert "status=4.4.3" in said and "<routes>" in said
    database.start()
    wait_for(lambda: s.ctl("schedule", "all") and len(peer.handler.mail) == 2, "the second", PATIENCE * 2)


# -- lookup alone: the test is delivery, and the program that knows the table --

ALONE = """
table far postgres:/nowhere
table pools { "*" = "192.0.2.5" }
action "slow" relay host <far> src <pools>
action "fast" relay host { "smtp://one.example", "smtp://two.example:26" }
"""


def link_table(router, instance):
    """Who is linked after it asks when it is there."""
    router.table = router.process.link("TABLE")
    router.delivery = router.process.link("DELIVERY", instance)


@pytest.fixture
def alone():
    r = Router(ALONE)
    link_table(r, 1)
    yield r
    r.process.stop()


def ask(router, link=None, action="slow", sender="a@b.example"):
    """The question, under way."""
    return (link or router.delivery).ask("relay_ask", action=action, sender=sender, dest="far.example")


def answers(link, req):
    got = link.answer_to(req, "relay_end")
    return ([m.url for m in got if m.type == "relay_url"], [m.address for m in got if m.type == "relay_source"],
            got[-1].outcome, got[-1].status)


def tell(router, outcome, *rows):
    """What the table says to the next question, which is returned."""
    m = router.table.receive()
    assert m.type == "table_ask" and m.table == "far"
    for row in rows:
        router.table.send("table_row", req=m.req, value=row)
    router.table.send("table_end", req=m.req, outcome=OUTCOMES.index(outcome))
    return m.key


def test_one_answer_each(alone):
    """Those that wait hold up nobody else, and each is answered for itself."""
    first, second = ask(alone), ask(alone, sender="x@y.example")
    assert answers(alone.delivery, ask(alone, action="fast")) == (
        ["smtp://one.example", "smtp://two.example:26"], [], "OK", "")
    assert tell(alone, "OK", "smtp://a.example", "smtp://b.example") == "a@b.example"
    assert answers(alone.delivery, first) == (
        ["smtp://a.example", "smtp://b.example"], ["192.0.2.5"], "OK", "")
    assert [tell(alone, "GONE") for _ in range(4)] == ["x@y.example", "@y.example", "y.example", "*"]
    assert answers(alone.delivery, second) == ([], ["192.0.2.5"], "OK", "")


@pytest.mark.parametrize("outcome, rows", [("RETRY", ()), ("OK", ("http://x",)), ("OK", ("smtp://ok", "smtp://a b"))])
def test_all_or_nothing(alone, outcome, rows):
    req = ask(alone)
    tell(alone, outcome, *rows)
    urls, sources, outcome, status = answers(alone.delivery, req)
    assert (urls, sources, outcome) == ([], [], "RETRY") and status in ("4.4.3", "4.3.5")


def test_an_action_that_is_none(alone):
    for action in ("gone", "", "x" * 64):
        assert answers(alone.delivery, ask(alone, action=action))[2:] == ("RETRY", "4.3.5")


def test_a_program_that_goes(alone):
    """Who waits for it is told so at once, and the next one is asked anew."""
    req = ask(alone)
    assert alone.table.receive().type == "table_ask"
    alone.table.close()
    assert answers(alone.delivery, req) == ([], [], "RETRY", "4.4.3")
    link_table(alone, 2)
    req = ask(alone)
    tell(alone, "OK", "smtp://a.example")
    assert answers(alone.delivery, req)[0] == ["smtp://a.example"]


def test_an_asker_that_goes(alone):
    other = alone.process.link("DELIVERY", 2)
    ask(alone, other)
    mine = ask(alone)
    other.close()
    m = alone.table.receive()
    alone.table.send("table_end", req=m.req, outcome=OUTCOMES.index("GONE"))
    for _ in range(3):
        tell(alone, "GONE")
    assert answers(alone.delivery, mine) == ([], ["192.0.2.5"], "OK", "")
    assert alone.stats()["relay.waiting"] == 0


def test_a_reload_meanwhile(alone):
    """The new configuration has other tables: nothing is answered by half of each."""
    req = ask(alone)
    assert alone.table.receive().type == "table_ask"
    alone.configure('action "slow" relay host "smtp://new.example"\n')
    urls, sources, outcome, _ = answers(alone.delivery, req)
    assert (urls, sources) in (([], []), (["smtp://new.example"], []))
    assert answers(alone.delivery, ask(alone))[0] == ["smtp://new.example"]


# -- what an admin is told --


def steps_of(said, kind):
    todo, found = list(said["steps"]), []
    while todo:
        step = todo.pop(0)
        found += [step] if step["kind"] == kind else []
        todo = step["steps"] + todo
    return found


def explain(server, *argv):
    return json.loads(server.ctl("explain", "--json", *argv, check=False).stdout)


def test_explained(start, peers):
    peer = peers()
    s = start('table pools {{ "@example.net" = "127.0.0.7" }}\ntable names {{ 127.0.0.7 = "seven.example" }}\n'
              'table keys {{ "label" = "user:secret" }}\n' + BY_SENDER.replace(
                  'relay host <whose>', 'relay host <whose> src <pools> helo-src <names> auth <keys>')
              .replace("smtp://127.0.0.1:{two}", "smtps://label@127.0.0.1:{two}"),
              one=peer.port, two=peer.port, dead=closed_port())
    said = explain(s, "-f", "boss@example.net", "you@far.example")
    route, = steps_of(said, "route")
    servers = steps_of(said, "server")
    assert (route["subject"], route["result"]) == ("far.example", "yes")
    assert [x["result"] for x in servers] == ["yes", "yes"] and servers[1]["subject"].endswith(f":{peer.port}")
    assert [(x["subject"], x["text"]) for x in steps_of(said, "source")] == [("127.0.0.7", "says HELO seven.example")]
    assert any("<whose> relayhost boss@example.net" in x["subject"] for x in steps_of(said, "lookup"))
    said = explain(s, "-f", "me@example.net", "you@far.example")
    assert not steps_of(said, "server") and steps_of(said, "login")[0]["subject"] == "label"
    assert "the certificate is checked" in [x["text"] for x in steps_of(said, "tls")][-1]


def test_explained_when_there_is_no_server(start):
    s = start('table routes {{ "far.example" = "smtp://127.0.0.1:9" }}\n'
              'action "out" relay domain <routes>\nmatch from local for any action "out"\n')
    said = explain(s, "you@else.example")
    route, = steps_of(said, "route")
    assert route["result"] == "no" and "5.4.4" in route["text"] and said["code"] == 250
    assert [x["result"] for x in steps_of(explain(s, "you@far.example"), "route")] == ["yes"]
