# SPDX-License-Identifier: ISC
"""How well a domain could be talked to is remembered: what is worse is told, or refused."""
import hashlib

import nameserver
import pytest
import tls
import zones
from fetched import or_skip
from network import Network
from postern import Server, wait_for
from tls_mx import Mx

pytestmark = pytest.mark.root

ZONE = """$TTL 60
@ SOA ns admin 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
@ MX 10 mx
mx A 127.0.0.2
"""
CONF = Server.CONF + """
action "out" relay
match from local for any action "out"
resolver forward 127.0.0.1
trust anchor "{anchor}"
trust ca "{dir}/ca.crt"
queue retry-min 1h
"""


class Far:
    """The domain far.example, and a server that sends there: in a network of their own."""

    def __init__(self, make_server, folder, setting):
        self.key, self.folder, self.starts = zones.Key("far.example"), folder, 0
        self.certificate = tls.Certificate("remembered", tls.Row(names="DNS:mx.far.example"))
        self.mx = Mx(self.certificate, "127.0.0.2", 25)
        self.server = make_server(start=False)
        self.server.write_conf(CONF + setting, anchor=self.key.ds)
        with open(self.certificate.authority, "rb") as f, open(self.server.path("ca.crt"), "wb") as out:
            out.write(f.read())

    def tlsa(self):
        return f"_25._tcp.mx TLSA 3 0 1 {hashlib.sha256(self.certificate.der).hexdigest()}\n"

    def serving(self, more=""):
        """With its zone as it is now.  The server is started anew: it would know the old one."""
        self.starts += 1
        return nameserver.serving(self.folder / f"nsd{self.starts}", {"far.example": zones.sign(self.key, ZONE + more)}, 53)

    def worse(self):
        """The MX offers no TLS any more; who is connected to it has to come again."""
        self.mx.starttls = False
        self.server.stop()
        self.server.start()

    def send(self):
        """The line of the log that says what became of it."""
        before = len(self.server.log)
        with self.server.smtp() as s:
            s.sendmail("me@example.net", "you@far.example", "Subject: x\r\n\r\nx\r\n")
        return self.server.wait_log(r"event=(delivered|deferred|failed) .*to=you@far\.example", after=before)

    def remembered(self):
        return [x for x in self.server.ctl("show", "tls").stdout.splitlines() if "far.example" in x]


@pytest.fixture
def far(make_server, tmp_path):
    made = []

    def make(setting=""):
        made.append(Far(make_server, tmp_path, setting))
        return made[-1]
    network = or_skip(Network)
    with network.inside():
        yield make
        for f in made:
            f.mx.close()
            f.server.stop()
    network.close()


def test_warned_of(far):
    far = far()
    with far.serving():
        far.server.start()
        assert 'tls="verified ' in far.send()
        assert "verified" in wait_for(far.remembered, "a remembered level")[0]
        far.worse()
        assert "event=delivered" in far.send()
        line = far.server.wait_log("event=tls-weaker")
        assert "far.example" in line and "level=plain" in line and "remembered=verified" in line
        assert "verified" in far.remembered()[0], "the best counts, not the last"


def test_not_remembered_when_told_not_to(far):
    far = far("mta remember-tls off\n")
    with far.serving():
        far.server.start()
        assert 'tls="verified ' in far.send()
        assert not far.remembered()
        far.worse()
        assert "event=delivered" in far.send()
        assert not any("event=tls-weaker" in x for x in far.server.log)


def test_refused_until_forgotten(far):
    far = far("mta remember-tls enforce\n")
    with far.serving():
        far.server.start()
        assert 'tls="verified ' in far.send()
        wait_for(far.remembered, "a remembered level")
        far.worse()
        line = far.send()
        assert "event=deferred" in line and "status=4.7.4" in line
        assert len(far.mx.mail) == 1 and not any(w == b"MAIL" and not secure for secure, w in far.mx.heard)
        far.server.ctl("forget", "tls", "far.example")
        assert not far.remembered()
        far.server.ctl("schedule", "all")
        far.server.wait_log(r"event=delivered .*to=you@far\.example", after=far.server.log.index(line))
        assert [secure for secure, _ in far.mx.mail] == [True, False]


def test_a_worse_certificate_is_refused(far):
    far = far("mta remember-tls enforce\n")
    with far.serving():
        far.server.start()
        assert 'tls="verified ' in far.send()
        wait_for(far.remembered, "a remembered level")
        other = tls.Certificate("remembered-other", tls.Row(names="DNS:elsewhere.example"))
        far.mx.context = far.mx.create_context(other, False)
        far.server.stop()
        far.server.start()
        line = far.send()
        assert "event=deferred" in line and "status=4.7.5" in line and "better protected before" in line
        assert "the certificate is for elsewhere.example" in line
        assert len(far.mx.mail) == 1


def test_records_that_are_gone(far):
    """A certificate by whomever is less than the domain's own word, also where it is good."""
    far = far("mta remember-tls enforce\n")
    with far.serving(far.tlsa()):
        far.server.start()
        assert 'tls="dane ' in far.send()
        assert "dane" in wait_for(far.remembered, "a remembered level")[0]
        far.server.stop()
    with far.serving():
        far.server.start()
        line = far.send()
        assert "event=deferred" in line and "status=4.7.5" in line and "better protected before" in line
        far.server.stop()
    with far.serving(far.tlsa()):
        far.server.start()
        assert 'tls="dane ' in far.send()


def test_a_connection_from_before(far):
    """One that was good enough when it was made takes no mail once better is known."""
    far = far("mta remember-tls enforce\nmta limit session-keepalive 60\n")
    far.mx.starttls = False
    with far.serving():
        far.server.start()
        assert "event=delivered" in far.send()
        far.mx.starttls = True
        before = len(far.server.log)
        with far.server.smtp() as s:    # the first keeps the connection busy, the second has one of its own
            for who, text in (("long", "x" * 70 + "\r\n"), ("short", "x\r\n")):
                s.sendmail("me@example.net", f"{who}@far.example", "Subject: x\r\n\r\n" + text * 8000 * (who == "long"))
        assert 'tls="verified ' in far.server.wait_log(r"event=delivered .*to=short@far\.example", after=before)
        far.server.wait_log(r"event=delivered .*to=long@far\.example", after=before)
        wait_for(far.remembered, "a remembered level")
        assert 'tls="verified ' in far.send()
        assert [secure for secure, _ in far.mx.mail].count(False) == 2
