# SPDX-License-Identifier: ISC
"""Certificates, servers that show them, and clients that speak TLS with every part of it in reach.

The openssl command makes a certificate when a test first asks for it, in a directory of this test process.
"""
import atexit
import contextlib
import functools
import hashlib
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
from typing import NamedTuple

from postern import PATIENCE, Server, wait_for
from talk import Client

KEYS = {"p256": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "p384": ("ec", "-pkeyopt", "ec_paramgen_curve:P-384"),
        "p521": ("ec", "-pkeyopt", "ec_paramgen_curve:P-521"), "rsa": ("rsa:2048",), "rsa1024": ("rsa:1024",),
        "ed25519": ("ed25519",)}
MX = "DNS:mx.test, IP:127.0.0.1"


class Row(NamedTuple):
    """What a certificate is like."""
    key: str = "p256"
    names: str = MX
    use: str = "serverAuth"
    ca: str = "ca"
    digest: str = "sha256"
    start: str = ""         # "20200101000000Z"; empty: now
    end: str = ""


CERTIFICATES = {
    "ecdsa": Row(),
    "next": Row(),                                      # takes the place of the one before
    "rsa": Row("rsa"),
    "p384": Row("p384", digest="sha384"),
    "p521": Row("p521", digest="sha512"),
    "ed25519": Row("ed25519"),
    "weak": Row("rsa1024"),
    "expired": Row(start="20200101000000Z", end="20210101000000Z"),
    "future": Row(start="20400101000000Z", end="20410101000000Z"),
    "other": Row(names="DNS:other.test"),
    "other-384": Row("p384", names="DNS:other.test", digest="sha384"),
    "wild": Row("rsa", names="DNS:*.wild.test"),
    "client": Row(names="email:demo@example.org", use="clientAuth"),
    "client-other": Row("rsa", names="email:nobody@example.org, email:other@example.org", use="clientAuth"),
    "client-nameless": Row(names="DNS:client.test", use="clientAuth"),
    "client-expired": Row(names="email:demo@example.org", use="clientAuth", start="20200101000000Z",
                          end="20210101000000Z"),
    "client-stranger": Row(names="email:demo@example.org", use="clientAuth", ca="strangers"),
}

CONF = """
[ca]
default_ca = d
[d]
database = ./index.txt
new_certs_dir = ./new
serial = ./serial
policy = p
unique_subject = no
default_days = 30
[p]
commonName = supplied
"""


def openssl(*argv, **more):
    done = subprocess.run(["openssl", *argv], stdin=subprocess.DEVNULL, capture_output=True, check=False, **more)
    assert done.returncode == 0, (argv, done.stderr.decode())
    return done.stdout


@functools.lru_cache(maxsize=None)
def directory():
    place = tempfile.mkdtemp(prefix="postern-certificates-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    os.chmod(place, 0o755)
    return place


@functools.lru_cache(maxsize=None)
def authority(name):
    """The directory of one that signs: ca.crt, ca.key, and its index of what it signed."""
    place = os.path.join(directory(), name)
    os.makedirs(os.path.join(place, "new"))
    for file, text in (("ca.cnf", CONF), ("index.txt", ""), ("serial", "1000\n")):
        with open(os.path.join(place, file), "w", encoding="ascii") as f:
            f.write(text)
    openssl("req", "-x509", "-newkey", *KEYS["p256"], "-nodes", "-days", "30", "-subj", f"/CN=Tests {name}",
            "-keyout", "ca.key", "-out", "ca.crt", cwd=place)
    return place


class Certificate:
    """.crt and .key are paths of PEM files, .authority that of the signer's certificate."""

    def __init__(self, name, row):
        place = authority(row.ca)
        self.crt, self.key = (os.path.join(place, f"{name}.{kind}") for kind in ("crt", "key"))
        self.authority = os.path.join(place, "ca.crt")
        openssl("req", "-new", "-newkey", *KEYS[row.key], "-nodes", "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", f"{name}.csr", cwd=place)
        with open(os.path.join(place, f"{name}.ext"), "w", encoding="ascii") as f:
            f.write(f"subjectAltName={row.names}\nextendedKeyUsage={row.use}\n")
        openssl("ca", "-config", "ca.cnf", "-batch", "-notext", "-cert", "ca.crt", "-keyfile", "ca.key",
                "-md", row.digest, "-in", f"{name}.csr", "-out", self.crt, "-extfile", f"{name}.ext",
                *(("-startdate", row.start, "-enddate", row.end) if row.start else ()), cwd=place)

    @functools.cached_property
    def der(self):
        with open(self.crt, encoding="ascii") as f:
            return ssl.PEM_cert_to_DER_cert(f.read())

    @property
    def fingerprint(self):
        return "SHA256:" + hashlib.sha256(self.der).hexdigest()

    def ocsp(self):
        """The path of a response of its authority that says it is good."""
        path = self.crt.replace(".crt", ".ocsp")
        openssl("ocsp", "-index", "index.txt", "-CA", "ca.crt", "-rsigner", "ca.crt", "-rkey", "ca.key",
                "-issuer", "ca.crt", "-cert", self.crt, "-ndays", "7", "-respout", path, cwd=os.path.dirname(self.crt))
        return path

    def secrets(self):
        """{name: octets} of the numbers of its private key, most significant octet first."""
        text = openssl("pkey", "-in", self.key, "-noout", "-text").decode()
        found = {}
        for name, octets in re.findall(r"(?m)^(\w+):\n((?:    .*\n)+)", text):
            found[name] = bytes.fromhex(re.sub(r"[\s:]", "", octets)).lstrip(b"\0")
        return {n: v for n, v in found.items() if n not in ("modulus", "pub")}


@functools.lru_cache(maxsize=None)
def certificate(name):
    return Certificate(name, CERTIFICATES[name])


class TlsServer(Server):
    """The plain Server's listener, then those of extra; pkis are certificates, and the names they have there."""

    def __init__(self, extra="", pkis=("ecdsa",), conf=None, **more):
        super().__init__((conf or Server.CONF) + self.statements(pkis) + extra, **more)
        for name in pkis:
            self.install(name)

    RELOADED = r"^smtpd: \w+: event=reload(ed|-refused)"     # what the parent says, not one of its children

    @staticmethod
    def statements(pkis):
        return "".join(f'pki {n} cert "{{dir}}/{n}.crt"\npki {n} key "{{dir}}/{n}.key"\n' for n in pkis)

    def put(self, octets, name, mode=0o644):
        """A file in its directory, in one step, belonging to whom the directory belongs to."""
        path = self.path(name)
        with open(path + ".new", "wb") as f:
            os.fchmod(f.fileno(), mode)
            f.write(octets if isinstance(octets, bytes) else octets.encode())
        owner = os.stat(self.dir)
        os.chown(path + ".new", owner.st_uid, owner.st_gid)
        os.rename(path + ".new", path)
        return path

    def copy(self, source, name, mode=0o644):
        with open(source, "rb") as f:
            return self.put(f.read(), name, mode)

    def install(self, name, pki=None):
        """A certificate and its key as the files of a pki."""
        c = certificate(name)
        self.copy(c.crt, f"{pki or name}.crt")
        self.copy(c.key, f"{pki or name}.key", 0o600)

    def reload(self):
        """SIGHUP, and the new configuration is in force everywhere."""
        before = len(self.log)
        self.process.send_signal(signal.SIGHUP)
        line = self.wait_log(self.RELOADED, after=before)
        generation = re.search(r"event=reloaded generation=(\d+)", line)
        assert generation, line
        for pid in self.pids().values():
            self.wait_log(rf"\[{pid}\]: {generation.group()}\b", after=before)

    def secure(self, port, **more):
        """A client that said EHLO over TLS, be it by STARTTLS or from the first octet."""
        c = TlsClient(self.ports[port], **more)
        c.say("EHLO client.test")
        return c

    def restarted(self, role, pid):
        """A new process of the role in place of that one, ready."""
        wait_for(lambda: self.pids().get(role, pid) != pid and self._all_entered(), f"a new {role}")
        return self.pids()[role]


def context(low=ssl.TLSVersion.TLSv1_2, high=ssl.TLSVersion.TLSv1_3, ciphers=None, mine=None, verify=True):
    """What a client is willing to do; mine: its own certificate's name."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    c.load_verify_locations(os.path.join(authority("ca"), "ca.crt"))
    if ciphers:
        c.set_ciphers(ciphers)
    c.minimum_version, c.maximum_version = low, high
    if mine:
        c.load_cert_chain(certificate(mine).crt, certificate(mine).key)
    return c


def only(version, **more):
    return context(version, version, **more)


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class TlsClient(Client):
    """Greeted and secured: by STARTTLS where the port greets in the clear, else from the first octet."""

    def __init__(self, where, ctx=None, name="mx.test", session=None, implicit=True, **more):
        super().__init__(where, greeted=False, **more)
        self.how = ctx, name, session
        if implicit:
            self.secure()
        code, text = self.reply()
        assert code == 220, text

    def secure(self):
        ctx, name, session = self.how
        assert not self.buffer, self.buffer
        self.sock = (ctx or context()).wrap_socket(self.sock, server_hostname=name, session=session)
        return self

    def starttls(self):
        """STARTTLS and the handshake; nothing of what was said before counts any more."""
        code, text = self.cmd("STARTTLS")
        assert code == 220, (code, text)
        return self.secure()

    def ends_well(self):
        """Whether the server says that it is the end, rather than only being gone."""
        self.sock.suppress_ragged_eofs = False
        try:
            return self.sock.recv(1) == b""
        except (ssl.SSLError, ConnectionError):
            return False


def starttls(server, port, **more):
    """A client that said EHLO, STARTTLS and EHLO."""
    c = TlsClient(server.ports[port], implicit=False, **more)
    c.say("EHLO client.test")
    c.starttls().say("EHLO client.test")
    return c


class Wire:
    """TLS over a socket, each octet in reach: what TLS wants to send waits in .out until it is sent."""

    def __init__(self, sock, ctx=None, name="mx.test"):
        self.sock, self.into, self.out = sock, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (ctx or context()).wrap_bio(self.into, self.out, server_hostname=name)

    def hello(self):
        """The octets of the first message."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.out.read()

    def flush(self):
        octets = self.out.read()
        if octets:
            self.sock.sendall(octets)

    def _until(self, act):
        while True:
            try:
                value = act()
                self.flush()
                return value
            except ssl.SSLWantReadError:
                self.flush()
                octets = self.sock.recv(65536)
                if not octets:
                    raise EOFError from None
                self.into.write(octets)

    def handshake(self):
        self._until(self.tls.do_handshake)
        return self

    def recv(self, size):
        return self._until(lambda: self.tls.read(size))

    def sendall(self, octets):
        self.tls.write(octets)
        self.flush()

    def sealed(self, octets):
        """These octets as records, not sent."""
        self.tls.write(octets)
        return self.out.read()

    def goodbye(self):
        """The record of a close_notify, not sent."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self.out.read()

    def fileno(self):
        return self.sock.fileno()

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def getsockname(self):
        return self.sock.getsockname()

    def getpeername(self):
        return self.sock.getpeername()

    def shutdown(self, how):
        self.sock.shutdown(how)

    def setsockopt(self, *what):
        self.sock.setsockopt(*what)

    def close(self):
        self.sock.close()


def wired(where, octets=b"", **how):
    """A client of a port that speaks TLS at once, by a Wire; octets go before the first message, in one segment."""
    c = Client(where, greeted=False)
    wire = Wire(c.sock, **how)
    c.sock.sendall(octets + wire.hello())
    c.sock = wire.handshake()
    code, text = c.reply()
    assert code == 220, text
    return c


class Hello:
    """A client's first message taken apart: .session, .ciphers, .extensions [(number, octets)]; each may be changed."""

    def __init__(self, octets=None, **how):
        octets = octets or Wire(None, **how).hello()
        assert octets[0] == 0x16 and octets[5] == 1
        self.version, self.random, at = octets[9:11], octets[11:43], 43
        self.session, at = self._field(octets, at, 1)
        self.ciphers, at = self._field(octets, at, 2)
        self.compression, at = self._field(octets, at, 1)
        block, at = self._field(octets, at, 2)
        self.extensions = []
        while block:
            number = int.from_bytes(block[:2], "big")
            body, end = self._field(block, 2, 2)
            self.extensions.append((number, body))
            block = block[end:]

    @staticmethod
    def _field(octets, at, width):
        end = at + width + int.from_bytes(octets[at:at + width], "big")
        return octets[at + width:end], end

    @staticmethod
    def sized(octets, width):
        return len(octets).to_bytes(width, "big") + octets

    def change(self, **fields):
        for name, octets in fields.items():
            setattr(self, name, octets)
        return self

    def set(self, number, body):
        """One extension, in place of another of that number."""
        self.extensions = [(n, b) for n, b in self.extensions if n != number]
        self.extensions.insert(0, (number, body))
        return self

    def names(self, *names, kind=0):
        """server_name (RFC 6066 3)."""
        return self.set(0, self.sized(b"".join(bytes([kind]) + self.sized(n, 2) for n in names), 2))

    def message(self):
        extensions = b"".join(n.to_bytes(2, "big") + self.sized(b, 2) for n, b in self.extensions)
        body = self.version + self.random + self.sized(self.session, 1) + self.sized(self.ciphers, 2) + \
            self.sized(self.compression, 1) + self.sized(extensions, 2)
        return b"\x01" + self.sized(body, 3)

    def octets(self, size=16384):
        """As records of at most that many octets."""
        return records(self.message(), size)


def record(octets, kind=0x16, version=0x0301):
    return bytes([kind]) + version.to_bytes(2, "big") + len(octets).to_bytes(2, "big") + octets


def records(octets, size=16384, **more):
    return b"".join(record(octets[at:at + size], **more) for at in range(0, len(octets), size))


def s_client(port, *options, said=b"QUIT\r\n", timeout=PATIENCE):
    """What `openssl s_client` printed, and its status."""
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", os.path.join(authority("ca"), "ca.crt"),
            "-servername", "mx.test", *options]
    done = subprocess.run(argv, input=said, capture_output=True, timeout=timeout, check=False)
    return done.stdout.decode("latin-1") + done.stderr.decode("latin-1"), done.returncode


def s_client_dialog(port, options, turns, timeout=PATIENCE):
    """As s_client(), said piece by piece: each of turns is what is said, and what is then waited for (or the end)."""
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", os.path.join(authority("ca"), "ca.crt"),
            *options]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        timer = threading.Timer(timeout, p.kill)
        timer.start()
        heard, start = b"", 0
        for said, until in turns:
            if said:
                with contextlib.suppress(BrokenPipeError):
                    p.stdin.write(said)
                    p.stdin.flush()
            while until not in heard[start:] and (more := os.read(p.stdout.fileno(), 4096)):
                heard += more
            start = len(heard)
        with contextlib.suppress(BrokenPipeError):
            p.stdin.close()
        p.kill()
        timer.cancel()
    return heard.decode("latin-1")
