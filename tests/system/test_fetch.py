# SPDX-License-Identifier: ISC
"""smtpd-fetch alone, with the test as its parent, as the vault and as lookup: what it posts, to whom, and what it
makes of servers that are not what they should be."""
import contextlib
import json
import os
import re
import select
import socket
import ssl
import threading
import time
import urllib.parse

import pytest

import memory
import tls
from ipc import DEADLINE, OUTCOMES, Closed, Process
from oauth_server import OAuthServer
from postern import PATIENCE, wait_for

BASE, CONNECT, READ_FD = 0x1, 0x10, 0x100      # of lib/role/role.h, as the role table has them
FILE_CA = 1
NAMED = "oauth.test"
FORM = b"grant_type=refresh_token&refresh_token=1%2F%2Fsecret"


def configuration(*urls):
    return "".join(f'oauth l{i} elsewhere token-url "{url}"\n' for i, url in enumerate(urls))


class Fetch:
    """The process; ask() posts, and answers route questions from .addresses meanwhile."""

    def __init__(self, *urls, ca=None, ports=()):
        ports = ports or [urllib.parse.urlsplit(u).port or 443 for u in urls]
        files = [(FILE_CA, "ca", ca)] if ca else []
        self.process = Process("smtpd-fetch", "FETCH", BASE | CONNECT | READ_FD, configuration(*urls), files,
                               ports, limits=(256, 0, 0, 0))
        self.vault = self.process.link("VAULT")
        self.lookup = self.process.link("LOOKUP")
        self.addresses = {NAMED: ["127.0.0.1"]}
        self.routes = []

    def send(self, url, form=FORM):
        return self.vault.ask("fetch", url=url, form=form)

    def serve(self, timeout=DEADLINE):
        """One message to any of the three; that of fetch to the vault is returned."""
        links = (self.vault, self.lookup, self.process.parent)
        socks = {link.sock: link for link in links if link.sock.fileno() != -1}
        end = time.monotonic() + timeout
        while True:
            ready = [link for link in socks.values() if link.holds_frame()]
            left = end - time.monotonic()
            if not ready:
                if left <= 0:
                    raise TimeoutError
                ready = [socks[s] for s in select.select(list(socks), [], [], left)[0]]
            for link in ready:
                if link is self.vault:
                    return link.receive(0)
                if link is self.process.parent:
                    self.process.serve_once(0)
                else:
                    self.answer_route(link.receive(0))

    def answer_route(self, m):
        assert m.type == "route" and not m.mx and not m.tlsa, m
        self.routes.append((m.name, m.port))
        found = self.addresses.get(m.name)
        if found is None:
            return
        for address in found:
            self.lookup.send("route_host", req=m.req, host=m.name, address=address)
        self.lookup.send("route_end", req=m.req, outcome=OUTCOMES.index("OK" if found else "FAIL"),
                         status="" if found else "5.1.2", text="" if found else "no such host")

    def ask(self, url, form=FORM):
        req = self.send(url, form)
        m = self.serve()
        assert m.type == "fetched" and m.req == req, m
        return m

    def refused(self, url, why, form=FORM):
        m = self.ask(url, form)
        assert m.outcome == "RETRY" and why in m.text and not m.body and not m.code, m

    def soon(self, url, code=200, why=""):
        """What was told to it over another channel has come to it, too."""
        def as_wanted():
            m = self.ask(url)
            return m.code == code and why in m.text and m
        return wait_for(as_wanted, f"{code} {why}")

    def stop(self):
        return self.process.stop()


@pytest.fixture
def oauth():
    servers = []

    def make(**more):
        servers.append(OAuthServer(**more))
        return servers[-1]
    yield make
    for s in servers:
        s.stop()


@pytest.fixture
def start():
    """Starts smtpd-fetch; it has to be alive, and to end well, at the end."""
    started = []

    def make(*urls, **more):
        started.append(Fetch(*urls, **more))
        return started[-1]
    yield make
    for f in started:
        assert f.process.is_alive()
        assert f.stop() == 0


class Raw:
    """A server that speaks TLS and then does what it is told: act(socket, request) in a thread a connection."""

    def __init__(self, act, certificate="oauth", context=None, host="127.0.0.1"):
        c = tls.certificate(certificate)
        self.context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(c.crt, c.key)
        self.act, self.requests = act, []
        self.listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, plain):
        plain.settimeout(PATIENCE)
        with contextlib.suppress(OSError), plain:
            if self.act is None:
                plain.recv(1 << 16)
                plain.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                return
            with self.context.wrap_socket(plain, server_side=True) as s:
                request = b""
                while not (whole := re.search(rb"(?s)\r\nContent-Length: (\d+)\r\n.*?\r\n\r\n", request)) or \
                        len(request) < whole.end() + int(whole.group(1)):
                    octets = s.recv(1 << 16)
                    if not octets:
                        return
                    request += octets
                self.requests.append(request)
                self.act(s, request)

    def close(self):
        self.listener.close()


def says(octets):
    return lambda s, _: s.sendall(octets)


AUTHORITY = tls.certificate("oauth").authority


# -- what is posted --------------------------------------------------------

def test_a_form_and_its_answer(oauth, start):
    """The answer comes as it is, be it a token or an error, with its number."""
    s = oauth()
    f = start(s.url("/token"), ca=s.authority)
    s.can("/token", (200, {"access_token": "x"}), (400, {"error": "invalid_grant"}), (503, b"later", "text/plain"))
    m = f.ask(s.url("/token"))
    assert (m.outcome, m.code, json.loads(m.body)) == ("OK", 200, {"access_token": "x"})
    m = f.ask(s.url("/token"))
    assert (m.outcome, m.code, json.loads(m.body)) == ("OK", 400, {"error": "invalid_grant"})
    m = f.ask(s.url("/token"))
    assert (m.outcome, m.code, m.body) == ("OK", 503, b"later")
    path, form, headers = s.posts[0]
    assert path == "/token" and form == {"grant_type": "refresh_token", "refresh_token": "1//secret"}
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["Accept"] == "application/json"
    assert headers["Host"] == f"127.0.0.1:{s.port}"
    assert not {"Cookie", "Authorization", "Expect", "Accept-Encoding", "Proxy-Connection"} & set(headers)
    assert not f.routes
    f.process.wait_log(r"event=fetched host=127\.0\.0\.1 code=200 ms=\d+")
    assert "secret" not in "".join(f.process.log)


def test_a_name_is_looked_up(oauth, start):
    """It connects to the addresses that lookup gives, and asks for the name of the URL."""
    s = oauth()
    url = s.url("/token", NAMED)
    f = start(url, ca=s.authority)
    s.can("/token", *[(200, {})] * 4)
    assert f.ask(url).code == 200
    assert f.routes == [(NAMED, s.port)]
    assert s.posts[0][2]["Host"] == f"{NAMED}:{s.port}"
    f.addresses[NAMED] = ["::1", "127.0.0.2", "no address", "127.0.0.1"]     # nobody listens but at the last
    assert f.ask(url).code == 200
    f.addresses[NAMED] = ["::1"] * 30 + ["127.0.0.1"]
    assert f.ask(url).code == 200
    f.addresses[NAMED] = [f"127.0.0.{i}" for i in range(10, 40)] + ["127.0.0.1"]
    f.refused(url, "connect")                                               # more than it tries
    f.addresses[NAMED] = []
    f.refused(url, "no such host")
    f.addresses[NAMED] = ["unix:/run/x"]
    f.refused(url, "no address")
    f.addresses[NAMED] = ["127.0.0.1"]
    assert f.ask(url).code == 200                                           # what failed before is not remembered


def test_ipv6(start):
    try:
        s = Raw(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    url = f"https://{NAMED}:{s.port}/token"
    f = start(url, ca=AUTHORITY)
    f.addresses[NAMED] = ["::1"]
    assert f.ask(url).body == b"{}"
    s.close()


def test_only_endpoints(oauth, start):
    """What is not to the letter an endpoint of the configuration is not connected to."""
    s = oauth()
    f = start(s.url("/token"), ca=s.authority)
    for url in (s.url("/token?x"), s.url("/device"), s.url("/TOKEN"), s.url("/token") + "/", "", "file:///etc/passwd",
                f"https://127.0.0.1:{s.port}", f"http://127.0.0.1:{s.port}/token"):
        f.refused(url, "no endpoint")
    assert not s.posts and not s.handshakes_failed
    f.process.configure(configuration(s.url("/device")))
    s.can("/device", (200, {}))
    f.soon(s.url("/device"))
    f.refused(s.url("/token"), "no endpoint")


def test_many_at_once(start):
    """64 are under way together; one more is told to come back, and who has no patience delays nobody."""
    gate = threading.Event()

    def wait(s, request):
        if b"POST /slow" in request:
            gate.wait(PATIENCE)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    server = Raw(wait)
    slow, quick = (f"https://127.0.0.1:{server.port}{p}" for p in ("/slow", "/quick"))
    f = start(slow, quick, ca=AUTHORITY)
    under_way = {f.send(slow) for _ in range(63)}
    assert f.ask(quick).code == 200
    under_way.add(f.send(slow))
    f.refused(quick, "too much")
    gate.set()
    while under_way:
        m = f.serve()
        assert m.code == 200
        under_way.remove(m.req)
    assert f.ask(quick).code == 200
    server.close()


def test_the_longest_form_and_answer(start):
    body = b"x" * 16384
    server = Raw(lambda s, _: s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n" + body +
                                        b"\r\n0\r\n\r\n"))
    url = f"https://127.0.0.1:{server.port}/token"
    f = start(url, ca=AUTHORITY)
    assert f.ask(url, form=b"a=" + b"y" * 16382).body == body
    assert b"\r\nContent-Length: 16384\r\n" in server.requests[0]
    assert f.ask(url, form=b"").body == body
    server.close()


@pytest.mark.root
def test_nothing_is_kept(start):
    """When the vault has the answer, neither form nor answer is in memory; the URL, which is no secret, is."""
    form, body = b"refresh_token=" + os.urandom(16).hex().encode(), b'{"access_token": "' + os.urandom(400).hex().encode()
    headers = b"HTTP/1.1 200 OK\r\nX-Token: " + os.urandom(16).hex().encode() + b"\r\nContent-Length: "
    gate = threading.Event()

    def answer(s, _):
        gate.wait(PATIENCE)
        s.sendall(headers + b"%d\r\n\r\n" % len(body) + body)
    server = Raw(answer)
    url = f"https://127.0.0.1:{server.port}/{os.urandom(8).hex()}"
    f = start(url, ca=AUTHORITY)
    pieces = {"form": form[14:], "body": body[40:80], "more": body[-60:-20], "header": headers[26:50],
              "url": url[-16:].encode()}
    req = f.send(url, form)
    wait_for(lambda: server.requests, "the request")
    assert {"form", "url"} <= memory.found(f.process.child.pid, pieces)     # it could be seen
    gate.set()
    m = f.serve()
    assert (m.req, m.body) == (req, body)
    assert memory.found(f.process.child.pid, pieces) == {"url"}
    f.refused(url + "x", "no endpoint")
    server.close()


# -- whom it trusts --------------------------------------------------------

@pytest.mark.parametrize("certificate, host", [
    ("expired", "127.0.0.1"), ("future", "127.0.0.1"), ("other", "127.0.0.1"), ("other", NAMED),
    ("client-stranger", "127.0.0.1"), ("client", "127.0.0.1"), ("ecdsa", NAMED)])
def test_bad_certificates(start, certificate, host):
    """Nothing is said to who can't prove who it is."""
    server = Raw(says(b"HTTP/1.1 200 OK\r\n\r\n"), certificate)
    url = f"https://{host}:{server.port}/token"
    f = start(url, ca=AUTHORITY)
    f.refused(url, "SSL")
    assert not server.requests
    f.process.wait_log(rf'event=fetch-failed host={host} error="SSL')
    server.close()


def test_old_tls(start):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    server = Raw(says(b"HTTP/1.1 200 OK\r\n\r\n"), context=context)
    url = f"https://127.0.0.1:{server.port}/token"
    f = start(url, ca=AUTHORITY)
    f.refused(url, "SSL")
    server.close()


def test_no_tls(start):
    server = Raw(None)
    url = f"https://127.0.0.1:{server.port}/token"
    f = start(url, ca=AUTHORITY)
    f.refused(url, "SSL")
    server.close()


def test_whom_to_trust_may_change(oauth, start):
    s = oauth()
    f = start(s.url("/token"))
    f.refused(s.url("/token"), "trusted certificates")
    stranger = os.path.join(tls.authority("strangers"), "ca.crt")
    s.can("/token", (200, {}))
    f.process.configure(configuration(s.url("/token")), [(FILE_CA, "ca", stranger)])
    f.soon(s.url("/token"), 0, "SSL")
    f.process.configure(configuration(s.url("/token")), [(FILE_CA, "ca", s.authority)])
    f.soon(s.url("/token"))
    f.process.configure(configuration(s.url("/token")), [(FILE_CA, "ca", "/dev/null")])     # in vain
    f.process.wait_log("event=file-not-read")
    s.can("/token", (200, {}))
    assert f.ask(s.url("/token")).code == 200


# -- servers that are not what they should be -------------------------------

def drip(s, _):
    with contextlib.suppress(OSError):
        s.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            s.sendall(b"X-More: yes\r\n" * 64)


def endless(piece, head=b"HTTP/1.1 200 OK\r\n\r\n"):
    def act(s, _):
        with contextlib.suppress(OSError):
            s.sendall(head)
            while True:
                s.sendall(piece)
    return act


@pytest.mark.parametrize("act, why", [
    (drip, "headers"),
    (endless(b"x" * 4096), "too long"),
    (endless(b"fff\r\n" + b"x" * 0xfff + b"\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "too long"),
    (endless(b"HTTP/1.1 100 Continue\r\n\r\n", b""), "headers"),
    (endless(b"x" * 4096, b"HTTP/1.1 200 OK\r\nX-Long: "), ""),
    (says(b""), ""),
    (says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"), ""),
    (says(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"), ""),
    (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), ""),
    (says(b"HTTP/1.1 abc OK\r\n\r\n"), ""),
    (says(b"{}"), ""),
    (says(b"220 smtp\r\n" * 3), ""),
    (says(bytes(range(256))), ""),
], ids=lambda v: v if isinstance(v, str) else None)
def test_answers_that_are_none(start, act, why):
    """Told as trouble, in printable words; the next answer is as good as any."""
    wrong = threading.Event()

    def once(s, request):
        if wrong.is_set():
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")(s, request)
        else:
            act(s, request)
    server = Raw(once)
    url = f"https://127.0.0.1:{server.port}/token"
    f = start(url, ca=AUTHORITY)
    f.refused(url, why)
    wrong.set()
    assert f.ask(url).body == b"{}"
    assert all(c.isprintable() for line in f.process.log for c in line)
    server.close()


def test_nobody_is_followed(oauth, start):
    """A redirection is an answer like any other; so is one that wants a login, sets a cookie or compresses."""
    s, other = oauth(), oauth()
    f = start(s.url("/token"), ca=s.authority, ports=[s.port, other.port])
    for status, name, value in ((301, "Location", other.url("/token")), (307, "Location", other.url("/token")),
                                (307, "Location", "file:///etc/passwd"), (401, "WWW-Authenticate", "Basic realm=x"),
                                (407, "Proxy-Authenticate", "Basic realm=x"), (200, "Set-Cookie", "a=b; Path=/"),
                                (200, "Alt-Svc", f'h2=":{other.port}"'), (200, "Content-Encoding", "gzip"),
                                (200, "Strict-Transport-Security", "max-age=1000")):
        s.can("/token", (status, b"{}", "application/json", [(name, value)]))
        m = f.ask(s.url("/token"))
        assert (m.outcome, m.code, m.body) == ("OK", status, b"{}"), (name, m)
    assert len(s.posts) == 9 and not other.posts
    assert not [h for _, _, h in s.posts if "Cookie" in h or "Authorization" in h]


def test_nobody_there(start):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    url = f"https://127.0.0.1:{port}/token"
    f = start(url, ca=AUTHORITY)
    f.refused(url, "connect")


def test_a_port_that_is_not_declared(oauth, start):
    """Landlock has the last word on where it connects to."""
    s = oauth()
    f = start(s.url("/token"), ca=s.authority, ports=[1])
    if not f.process.entered.landlock_denies or f.process.entered.landlock_abi < 4:
        pytest.skip("no Landlock for ports here")
    f.refused(s.url("/token"), "")
    assert not s.posts


def test_who_asked_is_gone(start):
    """What is under way for a vault that died is given up; the next one is served."""
    gate = threading.Event()
    server = Raw(lambda s, request: (b"/slow" in request and gate.wait(PATIENCE)) or
                 s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
    slow, quick, named = (f"https://{h}:{server.port}{p}" for h, p in
                          (("127.0.0.1", "/slow"), ("127.0.0.1", "/quick"), (NAMED, "/quick")))
    f = start(slow, quick, named, ca=AUTHORITY)
    f.addresses = {}            # lookup says nothing
    for _ in range(8):
        f.send(slow)
        f.send(named)
    assert f.ask(quick).code == 200
    f.vault.close()
    f.vault = f.process.link("VAULT")
    assert f.ask(quick).code == 200
    f.lookup.close()
    f.refused(named, "resolver")
    f.lookup = f.process.link("LOOKUP")
    f.addresses[NAMED] = ["127.0.0.1"]
    f.soon(named)
    gate.set()
    server.close()


def test_drain(oauth):
    """Told to end, it ends what is under way, and then itself."""
    gate = threading.Event()
    server = Raw(lambda s, _: gate.wait(PATIENCE) and s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
    url = f"https://127.0.0.1:{server.port}/token"
    f = Fetch(url, ca=AUTHORITY)
    f.send(url)
    f.process.parent.send("drain", deadline_ms=PATIENCE * 1000)
    gate.set()
    assert f.serve().code == 200
    with pytest.raises(Closed):
        f.serve()
    assert f.process.child.wait(PATIENCE) == 0
    server.close()
