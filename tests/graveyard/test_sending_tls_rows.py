# SPDX-License-Identifier: ISC
"""Servers that lie about TLS to who sends to them: at each step, in each way, under each demand that an action can make.

Each lie under each demand has a server and an action of its own.  All mail is handed in at once; each test looks at
one lie.
"""
import contextlib
import datetime
import ipaddress
import os
import re
import signal
import socket
import ssl
import struct
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import nameserver
import tls
import zones
from evil import assert_well, hard_server, peak_mib
from evil_mx import EvilMX, Over, Plan
from postern import PATIENCE, wait_for

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
listen on 127.0.0.1 port 0
resolver forward 127.0.0.1@{dns}
trust anchor "{anchor}"
trust ca "{dir}/ca.crt"
table secrets {{ "me" = "me:a password" }}
queue retry-min 1h
mta limit session-keepalive 0
"""
HUB = "$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"

# What may be demanded: an action's URL and its options.
DEMANDS = {"may": ("smtp://{address}:{port}", ""), "must": ("smtp+tls://{address}:{port}", ""),
           "verify": ("smtp://{address}:{port}", "tls"), "pin": ("smtp://{address}:{port}", 'fingerprint "{pin}"'),
           "dane": ("smtp://{lie}.hub.example:{port}", ""), "login": ("smtp+tls://me@{address}:{port}", "auth <secrets>")}
PLAIN, TLS, NOT = "plain", "TLS", "not at all"      # how a message got there

own = tls.Certificate("lies", tls.Row(names=", ".join(f"IP:127.0.1.{n}" for n in range(1, 100))))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(own.crt, own.key)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Instead:
    """Takes TLS's place behind the 220: octets when the client has begun, and then the end, or a reset."""

    def __init__(self, octets, rst=False):
        self.octets, self.rst = octets, rst

    def wrap_socket(self, sock, server_side):
        assert server_side
        sock.recv(1 << 16)
        sock.sendall(self.octets)
        if self.rst:
            reset(sock)
        raise Over("no TLS")


class Before(Instead):
    """Octets when the client has begun, and TLS behind them."""

    def wrap_socket(self, sock, server_side):
        sock.recv(1, socket.MSG_PEEK)
        sock.sendall(self.octets)
        return context.wrap_socket(sock, server_side=server_side)


class Amid(Instead):
    """TLS, and in the middle of it octets that nobody sealed; goodbye: behind its end."""

    def __init__(self, octets, goodbye=False):
        super().__init__(octets)
        self.goodbye = goodbye

    def wrap_socket(self, sock, server_side):
        bare = socket.socket(fileno=os.dup(sock.fileno()))
        sock = context.wrap_socket(sock, server_side=server_side)
        sock.recv(1)        # of EHLO
        with bare:
            if self.goodbye:
                sock.setblocking(False)
                with contextlib.suppress(OSError):
                    sock.unwrap()
            bare.sendall(self.octets)
        raise Over("amid")


OK = b"250 2.0.0 ok\r\n"
HELLO = b"250-evil.test\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 HELP\r\n"
FIRST = b"250-evil.test\r\n250 STARTTLS\r\n"
ALL = b"220 evil.test\r\n" + HELLO + OK * 3 + b"354 go\r\n" + OK
ALERT = b"\x15\x03\x03\x00\x02"

# A plan, and how mail gets there that demands nothing; all other mail is put off but where it is TLS.
LIES = {
    # stripped: TLS is not offered, refused, or forgotten
    "stripped": (Plan(), PLAIN),
    "stripped-by-a-letter": (Plan({"EHLO": b"250-evil.test\r\n250-XTARTTLS\r\n250 STARTTLSX\r\n"}), PLAIN),
    "stripped-by-the-first-line": (Plan({"EHLO": b"250 STARTTLS\r\n"}), PLAIN),
    "no-ehlo": (Plan({"EHLO": b"500 5.5.1 what\r\n"}), PLAIN),
    "no-ehlo-but-starttls": (Plan({"EHLO": b"502 5.5.1 what\r\n", "HELO": b"250-evil.test\r\n250 X\r\n"}), PLAIN),
    "refused-454": (Plan({"STARTTLS": b"454 4.7.0 not now\r\n"}, tls=context), PLAIN),
    "refused-501": (Plan({"STARTTLS": b"501 5.5.4 no\r\n"}, tls=context), PLAIN),
    "refused-502": (Plan({"STARTTLS": b"502 5.5.1 no\r\n"}, tls=context), PLAIN),
    "refused-554": (Plan({"STARTTLS": b"554-5.7.0 no\r\n554 5.7.0 no\r\n"}, tls=context), PLAIN),
    "refused-421": (Plan({"STARTTLS": b"421 4.3.2 bye\r\n"}, tls=context), NOT),       # it closes
    "neither-nor": (Plan({"STARTTLS": b"354 go\r\n"}, tls=context), NOT),
    "no-reply": (Plan({"STARTTLS": b"STARTTLS ok\r\n"}, tls=context), NOT),
    "reply-in-two": (Plan({"STARTTLS": b"220-go\r\n250 2.0.0 ok\r\n"}, tls=context), NOT),
    # injected behind the 220, in one piece with it
    "injected-one": (Plan(tls=context, before_tls=b"2"), NOT),
    "injected-line-end": (Plan(tls=context, before_tls=b"\r\n"), NOT),
    "injected-nul": (Plan(tls=context, before_tls=b"\0"), NOT),
    "injected-hello": (Plan(tls=context, before_tls=HELLO), NOT),
    "injected-start": (Plan(tls=context, before_tls=b"220 go\r\n"), NOT),
    "injected-all": (Plan(tls=context, before_tls=ALL), NOT),
    "injected-refusal": (Plan(tls=context, before_tls=b"454 4.7.0 not now\r\n"), NOT),
    "injected-5": (Plan(tls=context, before_tls=b"554 5.7.1 go away for good\r\n"), NOT),
    "injected-record": (Plan(tls=context, before_tls=b"\x16\x03\x03\x00\x04\x0e\0\0\0"), NOT),
    "injected-alert": (Plan(tls=context, before_tls=ALERT + b"\1\0"), NOT),
    "injected-much": (Plan(tls=context, before_tls=OK * 5000), NOT),
    # a moment later, when TLS has begun: no octet of it is taken for TLS or for a reply
    "late-one": (Plan(tls=Before(b"2")), PLAIN),
    "late-hello": (Plan(tls=Before(HELLO)), PLAIN),
    "late-all": (Plan(tls=Before(ALL)), PLAIN),
    # ahead of its question
    "ahead-of-ehlo": (Plan({"BANNER": b"220 evil.test\r\n" + FIRST}, tls=context), NOT),
    "ahead-of-all": (Plan({"BANNER": ALL}, tls=context), NOT),
    "ahead-stripped": (Plan({"BANNER": b"220 evil.test\r\n250 evil.test\r\n"}, tls=context), NOT),
    "ahead-of-starttls": (Plan({"EHLO": FIRST + b"220 go\r\n"}, tls=context), NOT),
    "ahead-of-a-refusal": (Plan({"EHLO": FIRST + b"454 4.7.0 no\r\n"}, tls=context), NOT),
    # no TLS where it should be
    "instead-nothing": (Plan(tls=Instead(b"")), PLAIN),
    "instead-a-reset": (Plan(tls=Instead(b"", rst=True)), PLAIN),
    "instead-replies": (Plan(tls=Instead(ALL)), PLAIN),
    "instead-http": (Plan(tls=Instead(b"HTTP/1.1 400 Bad Request\r\n\r\n")), PLAIN),
    "instead-an-alert": (Plan(tls=Instead(ALERT + b"\2\x28")), PLAIN),
    "instead-a-goodbye": (Plan(tls=Instead(ALERT + b"\1\0")), PLAIN),
    "instead-a-hello": (Plan(tls=Instead(tls.Hello().octets())), PLAIN),
    "instead-empty-records": (Plan(tls=Instead(b"\x16\x03\x03\0\0" * 100)), PLAIN),
    "instead-a-long-record": (Plan(tls=Instead(b"\x16\x03\x03\xff\xff" + b"x" * 65535)), PLAIN),
    "instead-other-data": (Plan(tls=Instead(b"\x17\x03\x03\0\x0e" + OK)), PLAIN),
    # inside of TLS what was said before counts for nothing, and what was not sealed is not read
    "twice": (Plan(tls=context, offers=("STARTTLS", "AUTH PLAIN"), hidden=("AUTH PLAIN",)), TLS),
    "no-ehlo-inside": (Plan({"BANNER": b"220 x\r\n"}, tls=context, offers=("AUTH PLAIN",),
                            hidden=("SIZE 1", "DSN", "AUTH LOGIN")), TLS),
    "plain-inside": (Plan(tls=Amid(HELLO + OK * 3)), NOT),
    "goodbye-and-plain": (Plan(tls=Amid(HELLO + OK * 3, goodbye=True)), NOT),
}
SAID_IN_PLAIN = {b"EHLO mx.test", b"HELO mx.test", b"STARTTLS", b"QUIT"}


def begin(conf, dns=53, anchor=zones.Key("elsewhere.example").ds, ca=own.authority):
    """A server of the hardest build that trusts an authority."""
    server = hard_server(start=False)
    with open(ca, "rb") as f, open(server.path("ca.crt"), "wb") as out:
        out.write(f.read())
    server.write_conf(CONF + conf, dns=dns, anchor=anchor)
    return server.start()


def action(name, url, options=""):
    return f'action "{name}" relay host "{url}" {options}\nmatch from local for domain "{name}.example" action "{name}"\n'


def send(server, *names):
    for name in names:
        with server.smtp() as s:
            s.sendmail("me@example.net", f"you@{name}.example", f"Subject: {name}\r\n\r\nsecret\r\n",
                       rcpt_options=["NOTIFY=NEVER"])


def outcome(server, name, after=0):
    return server.wait_log(rf"event=(delivered|deferred|failed) .*to=you@{name}\.example\b", after=after)


class Liar(EvilMX):
    """Lies to each that comes; one for each lie has an address of its own, and one for each demand a port."""

    def __init__(self, lie, address, port):
        plan = LIES[lie][0]
        plan.answers.setdefault("AUTH", b"235 2.7.0 welcome\r\n")
        super().__init__(*[plan] * 4)
        self.close()
        self.listener = socket.create_server((address, port))
        self.address, self.port = address, port
        threading.Thread(target=self._accept, daemon=True).start()

    def statement(self, lie, demand):
        url, options = DEMANDS[demand]
        return action(f"{lie}-{demand}", url.format(lie=lie, address=self.address, port=self.port),
                      options.format(pin=own.fingerprint))


def free_ports(addresses):
    """A port for each demand that is free at all of the addresses."""
    found = []
    while len(found) < len(DEMANDS):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for a in addresses:
                stack.enter_context(socket.create_server((a, port)))
            found.append(port)
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server, and {"lie-demand": who lies}."""
    where = {lie: f"127.0.1.{n}" for n, lie in enumerate(LIES, 1)}
    ports = dict(zip(DEMANDS, free_ports(where.values())))
    tlsa = f"_{ports['dane']}._tcp.%s TLSA 3 0 0 {own.der.hex()}\n"
    hosts = "".join(f"{lie} A {address}\n" + tlsa % lie for lie, address in where.items())
    key = zones.Key("hub.example")
    with contextlib.ExitStack() as stack:
        mxs = {(lie, demand): Liar(lie, where[lie], ports[demand]) for lie in LIES for demand in DEMANDS}
        for mx in mxs.values():
            stack.callback(mx.close)
        dns = stack.enter_context(nameserver.serving(tmp_path_factory.mktemp("nsd"),
                                                     {"hub.example": zones.sign(key, HUB + hosts)}))
        server = begin("".join(mx.statement(*who) for who, mx in mxs.items()), dns, key.ds)
        stack.callback(server.cleanup)
        send(server, *map("-".join, mxs))
        yield server, mxs
        assert_well(server, mail=False)


@pytest.mark.parametrize("demand", DEMANDS)
@pytest.mark.parametrize("lie", LIES)
def test_17_55_lies_about_tls(world, lie, demand):
    """Stripped, refused, injected, late, ahead: where TLS is demanded, mail waits; never is it said in plain."""
    server, mxs = world
    mx, how = mxs[lie, demand], LIES[lie][1]
    line = outcome(server, f"{lie}-{demand}")
    if demand != "may" and how == PLAIN:
        how = NOT
    assert ("event=delivered" in line) == (how != NOT), line
    assert line.isprintable()
    if how == NOT:
        assert "event=deferred" in line and re.search(r"status=4\.[3-7]\.\d", line), line
        assert not mx.kept and not mx.wire and not [x for x in mx.heard() if x.startswith((b"MAIL", b"AUTH"))]
    for visit in mx.visits:
        plain = visit.lines[:len(visit.lines) - len(visit.secure)]
        assert how == PLAIN or not [x for x in plain if x not in SAID_IN_PLAIN and x.isascii()], plain
        assert plain.count(b"STARTTLS") <= 1 and b"STARTTLS" not in visit.secure
    if how == TLS:
        assert [v for v in mx.visits if [x for x in v.secure if x.startswith(b"MAIL FROM:<me@example.net>")]]
        assert not [x for x in mx.heard() if b"RET=" in x or b"SIZE=" in x]


# -- 7: what a connection needs goes away while TLS is set up ------------------------------

class Gate(dict):
    """The answers of one who thinks for long at one step, until he is let go on; "TLS": in the handshake."""

    def __init__(self, step):
        super().__init__()
        self.step, self.reached, self.open = step, threading.Event(), threading.Event()

    def __bool__(self):
        return True     # it is no empty dict, but TLS that there is

    def pass_by(self, step):
        if step == self.step and not self.open.is_set():
            self.reached.set()
            self.open.wait(PATIENCE)

    def get(self, step, default=None):
        self.pass_by(step)
        return default

    def wrap_socket(self, sock, server_side):
        self.pass_by("TLS")
        return context.wrap_socket(sock, server_side=server_side)


def reload(server, conf):
    at = len(server.log)
    server.write_conf(CONF + conf, dns=53, anchor=zones.Key("elsewhere.example").ds)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log(r"delivery\[\d+\]: event=reloaded", after=at)


def test_07_what_tls_needs_goes_away():
    """The message is removed, the action and its authorities are no more, while a slow server is at any step of it."""
    with contextlib.closing(EvilMX()) as mx, contextlib.ExitStack() as stack:
        nobody = action("other", f"smtp://127.0.0.1:{mx.port}")
        conf = 'ca theirs cert "{dir}/ca.crt"\n' + action("slow", f"smtp://127.0.0.1:{mx.port}", "tls ca theirs")
        server = begin(conf)
        stack.callback(server.cleanup)
        for step in ("BANNER", "EHLO", "STARTTLS", "TLS"):
            for removed, reloaded in ((True, False), (False, True), (True, True)):
                gate, plan = Gate(step), Plan()
                plan.answers, plan.tls = gate, gate
                mx.plans.append(plan)
                server.ctl("remove", "all", check=False)
                server.ctl("schedule", "all", check=False)
                reload(server, conf)
                send(server, "slow")
                assert gate.reached.wait(PATIENCE)
                if removed:
                    server.ctl("remove", "all")
                if reloaded:
                    reload(server, nobody)
                gate.open.set()
                wait_for(lambda: mx.visits[-1].sock.fileno() == -1, "the connection's end")
        assert not mx.kept
        assert_well(server, mail=False)


# -- 11: chains -------------------------------------------------------------------------------

KIB = 1024
# Certificates besides the server's own, octets that each has too many, whether each has signed the one before; what
# comes of it where TLS may be, must be, and must be with the one who was meant.
CHAINS = {
    "1-kib": (0, KIB, True, (TLS, TLS, TLS)),
    "9-deep": (9, 0, True, (TLS, TLS, TLS)),
    "12-deep": (12, 0, True, (TLS, TLS, NOT)),
    "100-deep": (100, 0, True, (TLS, TLS, NOT)),
    "200-others": (200, 0, False, (TLS, TLS, TLS)),
    "64-kib": (0, 64 * KIB, True, (TLS, TLS, TLS)),
    "2-of-30-kib": (1, 30 * KIB, True, (TLS, TLS, TLS)),
    "110-kib": (0, 110 * KIB, True, (PLAIN, NOT, NOT)),
    "200-of-1-kib": (200, KIB, False, (PLAIN, NOT, NOT)),
    "200-of-5-kib": (200, 5 * KIB, False, (PLAIN, NOT, NOT)),
    "1-mib": (0, KIB * KIB, True, (PLAIN, NOT, NOT)),
}


class Authority:
    """One key for all: what differs is the names."""

    def __init__(self, where):
        self.key, self.where = ec.generate_private_key(ec.SECP256R1()), where
        self.root = self.certify("root", "root")
        (where / "root.pem").write_bytes(self.root)
        (where / "key.pem").write_bytes(self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    def certify(self, name, by, octets=0, host=False):
        name, by = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in (name, by))
        now = datetime.datetime.now(datetime.timezone.utc)
        made = x509.CertificateBuilder(by, name, self.key.public_key(), x509.random_serial_number(),
                                       now - datetime.timedelta(1), now + datetime.timedelta(9))
        made = made.add_extension(x509.BasicConstraints(ca=not host, path_length=None), critical=True)
        if octets:
            made = made.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(octets)), False)
        if host:
            made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                                      critical=False)
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def context(self, name, n, octets, linked, version):
        chain = [self.certify("host", "ca-0" if linked and n else "root", octets, host=True)]
        chain += [self.certify(f"ca-{i}", f"ca-{i + 1}" if linked and i + 1 < n else "root", octets) for i in range(n)]
        (self.where / name).write_bytes(b"".join(chain))
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = made.maximum_version = version
        made.load_cert_chain(self.where / name, self.where / "key.pem")
        return made


@pytest.mark.parametrize("version", (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3), ids=("1.2", "1.3"))
def test_11_chains_of_servers(tmp_path, version):
    """From one certificate to 200, from 1 KiB to 1 MiB: whole, or no TLS; never half of it, in bounded memory."""
    authority, asked = Authority(tmp_path), ("may", "must", "verify")
    with contextlib.ExitStack() as stack:
        conf, mxs = "", {}
        for name, (n, octets, linked, _) in CHAINS.items():
            shown = authority.context(name, n, octets, linked, version)
            for demand in asked:
                mx = mxs[name, demand] = EvilMX(*[Plan(tls=shown), Plan(tls=shown)])
                stack.callback(mx.close)
                url, options = DEMANDS[demand]
                conf += action(f"{name}-{demand}", url.format(address="127.0.0.1", port=mx.port), options)
        server = begin(conf, ca=tmp_path / "root.pem")
        stack.callback(server.cleanup)
        send(server, *map("-".join, mxs))
        for name, (_, _, _, how) in CHAINS.items():
            for demand, what in zip(asked, how):
                line, mx = outcome(server, f"{name}-{demand}"), mxs[name, demand]
                assert ("event=delivered" in line) == (what != NOT), line
                assert "event=delivered" in line or "status=4.7.5" in line, line
                assert ("TLSv1" in line) == (what == TLS), line
                secure = [x for v in mx.visits for x in v.secure]
                said = secure if what == TLS else mx.heard()
                assert any(x.startswith(b"MAIL") for x in said) == (what != NOT)
        assert peak_mib(server, "delivery") < 700      # the sanitizer's own are hundreds
        assert_well(server, mail=False)
