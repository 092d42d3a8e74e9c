# SPDX-License-Identifier: ISC
"""Mail on its way out: TLS that can't be set up, names in certificates, replies that run ahead."""
import contextlib
import re
import struct

import pytest

import tls
import zones
from evil import Names, hard_server
from evil_mx import EvilMX, Plan
from tls_mx import Mx

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
listen on 127.0.0.1 port 0
resolver forward 127.0.0.1@{dns}
trust anchor "{anchor}"
trust ca "{dir}/ca.crt"
smtp max-errors 1000
queue retry-min 1h
"""
ADDRESS, A = b"\x7f\0\0\1", 1


def send(server, rcpt):
    """The line that tells what became of it."""
    server.ctl("schedule", "all", check=False)      # what was found to be dead is forgiven
    at = len(server.log)
    with server.smtp() as s:
        s.sendmail("me@example.net", [rcpt], "Subject: x\r\n\r\nx\r\n", rcpt_options=["NOTIFY=NEVER"])
    return server.wait_log(rf"event=(delivered|deferred|failed) .*to={re.escape(rcpt)}\b", after=at)


@pytest.fixture
def make_sender(make_hard):
    """A server whose names all are 127.0.0.1."""
    with contextlib.closing(Names(lambda _name, kind: [(A, ADDRESS)] if kind == A else [])) as names:
        def make(authority, actions):
            s = make_hard(start=False)
            s.write_conf(CONF + actions, dns=names.port, anchor=zones.Key("elsewhere.example").ds)
            with open(authority, "rb") as f, open(s.path("ca.crt"), "wb") as out:
                out.write(f.read())
            return s.start()
        yield make


# -- 7: TLS that fails while it is set up ----------------------------------------------

@pytest.mark.parametrize("kind", ("part", "bent"))
def test_07_a_handshake_that_fails_anywhere(make_sender, kind):
    """What was allocated for TLS is given back once, wherever it ends: behind each octet, by each wrong one."""
    own = tls.certificate("ecdsa")
    context = tls.ssl.SSLContext(tls.ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.crt, own.key)
    with contextlib.closing(EvilMX()) as mx:
        server = make_sender(own.authority, f'action "out" relay host "smtp+tls://127.0.0.1:{mx.port}"\n'
                             'match from local for any action "out"\n')
        for n in range(0, 700, 23):
            mx.plans.append(Plan(tls=context, **{kind: n}))
            line = send(server, f"{kind}-{n}@far.example")
            assert "event=deferred" in line and re.search(r"status=4\.(7\.5|4\.2)", line), line
            server.ctl("remove", "all")
        mx.plans.append(Plan(tls=context))
        assert "event=delivered" in send(server, "whole@far.example")
        assert not [x for v in mx.visits[:-1] for x in v.lines if x.startswith(b"MAIL")]


# -- 51: names in certificates ---------------------------------------------------------------

def names_of(*names):
    """What openssl takes for a subjectAltName of exactly these octets."""
    entries = b"".join(b"\x82" + struct.pack("B", len(n)) + n for n in names)
    return "DER:" + (b"\x30" + struct.pack("B", len(entries)) + entries).hex(":")


NAME = b"smart.hub.example"
OTHERS = {"nul": NAME + b"\0.evil.example", "nul-at-the-end": NAME + b"\0", "nul-first": b"\0" + NAME, "star": b"*",
          "star-nul": b"*.hub.example\0", "stars": b"*.*", "star-inside": b"sm*.hub.example", "space": NAME + b" ",
          "line": NAME + b"\r\nevil", "backslash": NAME + b"\\0", "high": NAME + b"\xff", "empty": b"",
          "two": NAME + b",evil.example", "dot": b".hub.example", "long": NAME + b"." + b"a" * 90}


def test_51_names_in_certificates(make_sender):
    """A name is all of its octets: what a C string, a pattern or a list would make of it does not count."""
    mxs, actions = {}, ""
    for name, octets in {**OTHERS, "good": NAME}.items():
        made = tls.Certificate(f"nul-{name}", tls.Row(names=names_of(octets)))
        mxs[name] = Mx(made)
        actions += (f'action "{name}" relay host "smtp://smart.hub.example:{mxs[name].port}" tls\n'
                    f'match from local for domain "{name}.example" action "{name}"\n')
    try:
        server = make_sender(made.authority, actions)
        assert "event=delivered" in send(server, "you@good.example")
        for name in OTHERS:
            line = send(server, f"you@{name}.example")
            assert "event=deferred" in line and "status=4.7.5" in line and line.isprintable(), (name, line)
            assert not mxs[name].mail
    finally:
        for mx in mxs.values():
            mx.close()


# -- 17, 55: replies of before the handshake -------------------------------------------------------

@pytest.mark.parametrize("octets", (b"2", b"\r\n", b"250 2.0.0 ok\r\n", b"250-smart.hub.example\r\n250 AUTH PLAIN\r\n",
                                    b"\x16\x03\x01", b"250 ok\r\n" * 500))
def test_17_55_replies_before_the_handshake(make_sender, octets):
    """They were sent by who knows whom: the connection ends, and there is no second try in plain."""
    own = tls.certificate("ecdsa")
    context = tls.ssl.SSLContext(tls.ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.crt, own.key)
    with contextlib.closing(EvilMX(*[Plan(tls=context, before_tls=octets)] * 3)) as mx:
        server = make_sender(own.authority, f'action "out" relay host "smtp://127.0.0.1:{mx.port}"\n'
                             'match from local for any action "out"\n')
        line = send(server, "you@far.example")
        assert "event=deferred" in line and "status=4.7.0" in line, line
        assert {x.split()[0] for x in mx.heard()} <= {b"EHLO", b"STARTTLS", b"QUIT"}
