# SPDX-License-Identifier: ISC
"""REQUIRETLS (RFC 8689) from end to end: only to servers that are proven to be the domain's, known, and promise as much."""
import hashlib
import re

import nameserver
import pytest
import tls
import zones
from fetched import or_skip
from network import Network
from postern import Server
from tls_mx import Mx

pytestmark = pytest.mark.root

PROMISE = b"250-REQUIRETLS\r\n"
HEAD = "$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
# (address, certificate, what it announces, its record); the domain of each is in a signed zone.
HOSTS = {
    "known": (2, "known", PROMISE, ""),
    "dane": (3, "stranger", PROMISE, "3 0 1 stranger"),
    "unusable": (4, "stranger", PROMISE, "1 0 1 stranger"),
    "stranger": (5, "stranger", PROMISE, ""),
    "silent": (6, "known", b"", ""),
}
ZONE = HEAD + "".join(f"{n} MX 10 mx.{n}\nmx.{n} A 127.0.0.{h[0]}\n" for n, h in HOSTS.items())
ZONE += "both MX 10 mx.silent\nboth MX 20 mx.known\nunsigned NS ns.unsigned\nns.unsigned A 127.0.0.1\n"
UNSIGNED = HEAD + "@ MX 10 mx.known.far.example.\n"
CONF = Server.CONF + """
action "out" relay
match from local for any action "out"
resolver forward 127.0.0.1
trust anchor "{anchor}"
trust ca "{dir}/ca.crt"
queue retry-min 1h
"""


class World:
    def __init__(self, server, mxs):
        self.server, self.mxs = server, mxs

    def send(self, domain, sender="me@example.net", options="REQUIRETLS"):
        before = len(self.server.log)
        with tls.starttls(self.server, 1) as c:
            c.say(f"MAIL FROM:<{sender}> {options}", f"RCPT TO:<you@{domain}>")
            assert c.cmd("DATA")[0] == 354
            assert c.cmd("Subject: x\r\n\r\nx\r\n.")[0] == 250
        return self.server.wait_log(rf"event=(delivered|deferred|failed) .*to=you@{re.escape(domain)} ", after=before)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    key = zones.Key("far.example")
    certificates = {"known": tls.Certificate("requiretls", tls.Row(names="DNS:mx.known.far.example, DNS:mx.silent.far.example")),
                    "stranger": tls.Certificate("requiretls-stranger", tls.Row(names="DNS:mx.stranger.far.example", ca="strangers"))}
    text = ZONE
    for name, (_, certificate, _, record) in HOSTS.items():
        if record:
            digest = hashlib.sha256(certificates[certificate].der).hexdigest()
            text += f"_25._tcp.mx.{name} TLSA {record.rsplit(' ', 1)[0]} {digest}\n"
    network = or_skip(Network)
    with network.inside():
        mxs = {n: Mx(certificates[c], f"127.0.0.{last}", 25, keywords=k) for n, (last, c, k, _) in HOSTS.items()}
        server = tls.TlsServer("listen on 127.0.0.1 port 0 tls pki ecdsa\n", conf=CONF.replace("{anchor}", key.ds))
        try:
            server.copy(certificates["known"].authority, "ca.crt")
            with nameserver.serving(tmp_path_factory.mktemp("nsd"), {
                    "far.example": zones.sign(key, text), "unsigned.far.example": UNSIGNED}, 53):
                server.start()
                yield World(server, mxs)
        finally:
            server.cleanup()
            for mx in mxs.values():
                mx.close()
    network.close()


@pytest.mark.parametrize("name, level", [("known", "verified"), ("dane", "dane")])
def test_known_and_promised(world, name, level):
    line = world.send(f"{name}.far.example")
    assert "event=delivered" in line and f'tls="{level} ' in line
    mail = [x for x in world.mxs[name].lines if x.startswith(b"MAIL")]
    assert mail and b" REQUIRETLS" in mail[-1]


@pytest.mark.parametrize("name, status", [("stranger", "5.7.10"), ("unusable", "5.7.10"), ("silent", "5.7.30")])
def test_not_to_others(world, name, status):
    line = world.send(f"{name}.far.example")
    assert "event=failed" in line and f"status={status}" in line
    assert not any(x.startswith(b"MAIL") for x in world.mxs[name].lines)


def test_not_where_nothing_proves_the_way(world):
    """The same host, by an MX record that anybody could have written."""
    line = world.send("unsigned.far.example")
    assert "event=failed" in line and "status=5.7.30" in line


def test_the_next_host_may_promise(world):
    line = world.send("both.far.example")
    assert "event=delivered" in line and "relay=mx.known.far.example[" in line


def test_who_does_not_ask_for_it(world):
    line = world.send("known.far.example", options="")
    assert "event=delivered" in line
    assert b"REQUIRETLS" not in [x for x in world.mxs["known"].lines if x.startswith(b"MAIL")][-1]
