# SPDX-License-Identifier: ISC
"""A backup MX: it keeps mail for the better hosts of a domain, and sends it to no others."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import nameserver  # noqa: E402
import zones  # noqa: E402
from ipc import DEADLINE  # noqa: E402
from postern import Server, wait_for  # noqa: E402
from routes import Router  # noqa: E402
from test_relay import BODY, Script, make_peer, own_network  # noqa: E402, F401

FAR = """$TTL 60
@ SOA ns admin 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
@ MX 10 mx
@ MX 20 bu
@ MX 20 equal
@ MX 30 worse
mx A 127.0.0.2
bu A 127.0.0.9
equal A 127.0.0.4
worse A 127.0.0.4
best MX 5 bu
best MX 10 mx
named MX 10 mx
named MX 20 mx.test.
other MX 10 mx
other MX 20 worse
here MX 10 mx
here MX 20 home
here MX 30 worse
home A 127.0.0.3
alias MX 10 mx
alias MX 20 byname
alias MX 30 worse
byname CNAME bu
sole A 127.0.0.2
bücher MX 10 mx
"""
TEST = """$TTL 60
@ SOA ns admin 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
mx A 127.0.0.1
"""
CONF = Server.CONF + """
listen on 127.0.0.3 port 25
action "backup" relay backup mx "BU.far.example"
action "own" relay backup
match from any for domain {{ "far.example", "*.far.example" }} action "backup"
resolver forward 127.0.0.1
trust anchor "{anchor}"
queue retry-min 1h
"""


def send(server, to):
    with server.smtp() as s:
        s.sendmail("me@example.net", to, BODY)


@pytest.fixture
def dns(own_network, tmp_path):  # noqa: F811
    """On port 53 of a network of the test's own: the trust anchor of the zone."""
    key = zones.Key("far.example")
    text = FAR.replace("bücher", "xn--bcher-kva")
    with nameserver.serving(tmp_path, {"far.example": zones.sign(key, text), "test": TEST}, 53):
        yield key.ds


@pytest.mark.root
def test_mail_is_kept_for_the_better_ones(dns, make_server, make_peer):  # noqa: F811
    others = make_peer(Script(), host="127.0.0.4", port=25)
    server = make_server(start=False)
    server.write_conf(CONF, anchor=dns)
    server.start()
    send(server, "you@far.example")
    line = server.wait_log(r"event=deferred .*to=you@far\.example")
    assert "relay=mx.far.example[127.0.0.2]" in line and "status=4.4.1" in line
    # Those that are as good or worse would bring it back.
    first = make_peer(Script(), host="127.0.0.2", port=25)
    server.ctl("schedule", "all")
    wait_for(lambda: first.handler.mail, "the message")
    assert first.handler.mail[0].content.endswith(BODY.encode())
    # We are the best of them: nobody is left.
    send(server, "you@best.far.example")
    assert "status=5.4.6" in server.wait_log(r"event=failed .*to=you@best\.far\.example")
    # Known by the name that the host calls itself, by its address, by an alias of the name.
    for n, name in enumerate(("named", "here", "alias", "sole"), 2):
        send(server, f"you@{name}.far.example")
        server.wait_log(rf"event=delivered .*to=you@{name}\.far\.example .*127\.0\.0\.2")
        assert len(first.handler.mail) == n
    assert not others.handler.mail


@pytest.mark.root
def test_explained(dns, make_server):
    server = make_server(start=False)
    server.write_conf(CONF, anchor=dns)
    server.start()
    said = server.ctl("explain", "you@far.example", check=False).stdout
    assert "mx.far.example" in said and "worse" not in said and "the better ones than this" in said
    said = server.ctl("explain", "you@best.far.example", check=False).stdout
    assert "5.4.6" in said and "loops back to this host" in said


ALL = ["mx.far.example", "bu.far.example", "equal.far.example", "worse.far.example"]


@pytest.mark.root
@pytest.mark.parametrize("name, backup, hosts, status", [
    ("far.example", "", ALL, ""),
    ("far.example", "bu.far.example", ALL[:1], ""),
    ("far.example", "BU.Far.Example", ALL[:1], ""),
    ("far.example", "elsewhere.example", ALL, ""),
    ("best.far.example", "bu.far.example", [], "5.4.6"),
    ("alias.far.example", "bu.far.example", ALL[:1], ""),
    ("other.far.example", "bu.far.example", [ALL[0], ALL[3]], ""),
    ("bu.far.example", "bu.far.example", [], "5.4.6"),
    ("bücher.far.example", "", ALL[:1], ""),
])
def test_routes(dns, name, backup, hosts, status):
    router = Router(f'resolver forward 127.0.0.1\ntrust anchor "{dns}"\nmta address-family ipv4\n')
    try:
        answer = router.route(name, backup=backup)
        assert answer.status == status
        assert sorted({h.host for h in answer.hosts}, key=ALL.index) == hosts
    finally:
        router.stop()


@pytest.mark.root
def test_who_fetches_asks_for_addresses(dns):
    """A role that posts to OAuth endpoints knows the way by the same answers."""
    router = Router(f'resolver forward 127.0.0.1\ntrust anchor "{dns}"\nmta address-family ipv4\n')
    try:
        fetch = router.process.link("FETCH")
        got = router.process.ask(fetch, "route", "route_end", name="mx.far.example", port=443)
        assert [(m.host, m.address) for m in got[:-1]] == [("mx.far.example", "127.0.0.2")]
        got = router.process.ask(fetch, "route", "route_end", name="127.0.0.7", port=443)
        assert [m.address for m in got[:-1]] == ["127.0.0.7"]
        got = router.process.ask(fetch, "route", "route_end", name="gone.far.example", port=443)
        assert len(got) == 1 and got[0].status == "4.4.4"
        # It may ask for nothing else: its channel is closed.
        fetch.send("expand", req=99, address="x@far.example")
        with pytest.raises(Exception):
            fetch.receive(DEADLINE)
    finally:
        router.stop()
