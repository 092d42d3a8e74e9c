# SPDX-License-Identifier: ISC
"""smtpd -n: what the host lacks is said, and the certificates are looked at by the vault's program.

Of that program the server is sure of nothing: a script stands in for it here.
"""
import json
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import tempfile
import time

import pytest

import postern
import tls

PKI = 'pki mx.test cert "{dir}/mx.crt"\npki mx.test key "{dir}/mx.key"\n'
TLS = PKI + "listen on 127.0.0.1 port 0 tls pki mx.test\n"
AUTH = "listen on 127.0.0.1 port 0 tls pki mx.test auth <logins>\n"

TELLS = """#!/usr/bin/python3
import json, os, resource, sys
read = lambda fd: os.read(fd, 4096).decode()
print("warning: " + json.dumps({
    "argv": sys.argv[1:], "env": dict(os.environ), "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "fds": sorted(int(f) for f in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + f)),
    "text": [read(0), read(3), read(4)], "core": resource.getrlimit(resource.RLIMIT_CORE)[1]}))
"""


class Host(postern.Server):
    """A server that is only checked."""

    def __init__(self, extra="", program=None, **more):
        if program is not None:
            more["build"] = self.stand_in = tempfile.mkdtemp(prefix="postern-")
            os.chmod(self.stand_in, 0o755)
            os.mkdir(f"{self.stand_in}/bin")
            for name in os.listdir(f"{postern.BUILD}/bin"):
                if name != "smtpd-vault":
                    os.symlink(f"{postern.BUILD}/bin/{name}", f"{self.stand_in}/bin/{name}")
            with open(f"{self.stand_in}/bin/smtpd-vault", "w", encoding="utf-8") as f:
                f.write(program)
            os.chmod(f"{self.stand_in}/bin/smtpd-vault", 0o755)
        super().__init__(extra=extra, **more)
        self.put("mx.crt", "the certificate\n")
        self.put("mx.key", "the key\n")

    def put(self, name, text, mode=0o600):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def check(self):
        """(exit status, the lines)"""
        done = subprocess.run(self.prefix + self.argv("-n"), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)
        return done.returncode, [line.removeprefix("smtpd: ") for line in done.stderr.splitlines()]

    def cleanup(self):
        super().cleanup()
        if hasattr(self, "stand_in"):
            shutil.rmtree(self.stand_in)


@pytest.fixture
def host():
    hosts = []

    def make(*args, **more):
        hosts.append(Host(*args, **more))
        return hosts[-1]
    yield make
    for h in hosts:
        h.cleanup()


QUIET = "#!/bin/sh\n"


def saying(*lines, status=0):
    return "#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines) + f"exit {status}\n"


# -- certificates ---------------------------------------------------------------

def test_nothing_to_say(host):
    assert host(TLS, QUIET).check() == (0, ["configuration OK"])


def test_what_the_program_gets(host):
    h = host(TLS + 'pki mx.test ocsp "{dir}/mx.ocsp"\n', TELLS)
    h.put("mx.ocsp", "the response\n")
    os.environ["POSTERN_TEST"] = "secret"
    try:
        status, lines = h.check()
    finally:
        del os.environ["POSTERN_TEST"]
    assert status == 0 and lines[1:] == ["configuration OK"]
    prefix = 'certificate "mx.test": warning: '
    assert lines[0].startswith(prefix)
    # Its own words come escaped, for they may be anything.
    told = json.loads(lines[0].removeprefix(prefix).replace("\\\\", "\\"))
    assert told["argv"] == ["-c", "mx.test"]
    assert told["text"] == ["the certificate\n", "the key\n", "the response\n"]
    assert set(told["env"]) <= {"PATH", "LANG", "LC_CTYPE"}
    assert told["fds"] == [0, 1, 2, 3, 4] and told["core"] == 0
    if postern.ROOT:
        vault = postern.UID_BASE + 6
        assert (told["uid"], told["gid"], told["groups"]) == (vault, vault, [])


def test_each_line_is_shown(host):
    status, lines = host(TLS, saying("warning: it ends soon", "error: the key is another one", "error: \x1b[2J",
                                     status=1)).check()
    assert status == 1
    assert lines == ['certificate "mx.test": warning: it ends soon', 'certificate "mx.test": the key is another one',
                     'certificate "mx.test": \\x1b[2J', "2 problems"]


@pytest.mark.parametrize("program", [
    saying("warning: x", status=1), saying("error: x"), saying(status=2), "#!/bin/sh\nkill -SEGV $$\n",
    "#!/nonexistent\n"], ids=["fails without an error", "an error without failing", "odd status", "crash", "no program"])
def test_a_program_that_is_not_itself(host, program):
    status, lines = host(TLS, program).check()
    assert status == 1 and 'certificate "mx.test": could not be checked' in lines


def test_a_program_without_end(host):
    """It is killed, however much it says."""
    start = time.monotonic()
    status, lines = host(TLS, "#!/bin/sh\nwhile :; do echo 'warning: and on'; done\n").check()
    assert status == 1 and 'certificate "mx.test": could not be checked' in lines
    assert 100 < len(lines) < 2000
    h = host(TLS, f"#!/bin/sh\necho warning: $$\nexec sleep {postern.PATIENCE + 60}\n")
    status, lines = h.check()
    assert status == 1 and 'certificate "mx.test": could not be checked' in lines
    with pytest.raises(ProcessLookupError):
        os.kill(int(lines[0].split()[-1]), 0)  # it told its own
    assert time.monotonic() - start < postern.PATIENCE


def test_keys_of_others(host):
    h = host(TLS, QUIET)
    os.chmod(h.path("mx.key"), 0o640)
    assert h.check()[1] == [f"key {h.path('mx.key')}: others can read it; make it mode 0600", "1 problem"]
    if postern.ROOT:
        os.chmod(h.path("mx.key"), 0o600)
        os.chown(h.path("mx.key"), postern.VMAIL, -1)
        assert h.check()[1] == [f"key {h.path('mx.key')}: it belongs to another user", "1 problem"]


@pytest.mark.parametrize("make,why", [
    (lambda p: None, "No such file or directory"), (os.mkdir, "not a plain file"), (os.mkfifo, "not a plain file"),
    (lambda p: open(p, "w").close(), "empty"), (lambda p: os.truncate(os.open(p, os.O_CREAT | os.O_RDWR), 1 << 22),
                                                "too large")],
    ids=["none", "directory", "fifo", "empty", "large"])
@pytest.mark.parametrize("name", ["mx.crt", "mx.key", "ca.crt"])
def test_files_that_are_none(host, name, make, why):
    h = host(PKI + 'ca all cert "{dir}/ca.crt"\nlisten on 127.0.0.1 port 0 tls-require verify pki mx.test ca all\n', QUIET)
    h.put("ca.crt", "authorities\n")
    os.unlink(h.path(name))
    make(h.path(name))
    status, lines = h.check()
    assert status == 1
    assert any(line.endswith(f"{h.path(name)}: {why}") for line in lines), lines


# -- tables ---------------------------------------------------------------------

def test_database(host):
    h = host(PKI + "table logins sqlite:{dir}/db.conf\n" + AUTH, QUIET)
    with sqlite3.connect(h.path("users.db")) as db:
        db.execute("CREATE TABLE users (login, value)")
    db.close()
    good = f"dbpath {h.path('users.db')}\nquery_credentials SELECT login, value FROM users WHERE login=?\n"
    h.put("db.conf", good)
    assert h.check() == (0, ["configuration OK"])
    h.put("db.conf", good + "query_credentals SELECT 1\n")
    status, lines = h.check()
    assert status == 1 and lines[0].startswith(f"table file {h.path('db.conf')}: line 3: unknown word")
    h.put("db.conf", good.replace("users.db", "other.db"))
    assert h.check()[1][0] == f"database {h.path('other.db')}: No such file or directory"
    os.unlink(h.path("db.conf"))
    os.mkfifo(h.path("db.conf"))
    assert h.check()[0] == 1


def test_regular_expressions(host):
    h = host('table bad file:{dir}/bad\ntable names file:{dir}/names\nmatch from any !helo regex <bad> for local reject\n'
             'match from any helo <names> for local reject\nfilter "f" phase ehlo match helo regex <bad> junk\n')
    h.put("bad", "# @list\n^a b$\n(?i)^[a-z]+$\n")
    h.put("names", "(\n")
    assert h.check() == (0, ["configuration OK"])
    h.put("bad", "^good$\n\n(unclosed\n# a comment\n(a)\\1 x\n")
    status, lines = h.check()
    assert status == 1 and lines[:2] == [f"table file {h.path('bad')}: line 3: not a regular expression",
                                         f"table file {h.path('bad')}: line 5: back-reference"]


def test_sockets_of_back_ends(host):
    h = host(PKI + "table logins dovecot:{dir}/auth\n" + AUTH, QUIET)
    assert h.check()[1][0] == f"socket {h.path('auth')}: No such file or directory"
    h.put("auth", "")
    assert h.check()[1][0] == f"socket {h.path('auth')}: not a socket"
    os.unlink(h.path("auth"))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(h.path("auth"))
        assert stat.S_ISSOCK(os.stat(h.path("auth")).st_mode)
        assert h.check() == (0, ["configuration OK"])


@pytest.mark.root
def test_accounts_of_all_roles(host):
    """Named, when there is no -U: this host has none of them, or all."""
    h = host(TLS, QUIET)
    argv = [a for a in h.argv("-n") if a not in ("-U", str(postern.UID_BASE))]
    said = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60).stderr
    missing = [r for r in ("session", "queue", "lookup", "delivery", "control", "vault", "hasher")
               if f"account _postern-{r}: no such account" in said]
    assert missing in ([], ["session", "queue", "lookup", "delivery", "control", "vault", "hasher"])


# -- with the vault's own program -------------------------------------------------

@pytest.mark.parametrize("cert,key,errors,says", [
    ("ecdsa", "ecdsa", False, ""), ("rsa", "rsa", False, ""), ("p521", "p521", False, ""),
    ("ecdsa", "next", True, "does not match"), ("expired", "expired", True, "expired"),
    ("future", "future", True, "not yet"), ("ed25519", "ed25519", True, "ED25519"), ("weak", "weak", True, "weak")])
def test_real_certificates(host, cert, key, errors, says):
    h = host(TLS)
    shutil.copyfile(tls.certificate(cert).crt, h.path("mx.crt"))
    shutil.copyfile(tls.certificate(key).key, h.path("mx.key"))
    status, lines = h.check()
    assert status == int(errors), lines
    assert not says or any(says in line for line in lines), lines


# -- what relays and OAuth need ----------------------------------------------------

def test_addresses_to_connect_from(host):
    h = host('action "out" relay src {{ 127.0.0.1, 192.0.2.9 }}\nmatch for any action "out"\n', QUIET)
    status, lines = h.check()
    assert (status, lines[0]) == (1, "source address 192.0.2.9: Cannot assign requested address") and len(lines) == 2


def test_hosts_in_a_file(host):
    h = host('table hosts file:{dir}/hosts\naction "out" relay domain <hosts>\nmatch for any action "out"\n', QUIET)
    h.put("hosts", "a.test smtp://one.test:2525, two.test\nb.test: smtp://[2001:db8::1]\n")
    assert h.check() == (0, ["configuration OK"])
    h.put("hosts", "a.test one.test, smpt://two.test\n\nb.test label@three.test\nc.test smtp+notls://x@four.test\n")
    status, lines = h.check()
    assert status == 1 and lines[:3] == [
        f"table file {h.path('hosts')}: line 1: 'smpt://two.test': not a host such as smtp://mx.example.org:25",
        f"table file {h.path('hosts')}: line 3: 'label@three.test': its label needs 'auth', or an 'oauth' of that name",
        f"table file {h.path('hosts')}: line 4: 'smtp+notls://x@four.test': this needs TLS: not smtp+notls"]


@pytest.mark.parametrize("label, why", [("good", None), ("GOOD", None), ("none", "there is no such label"),
                                        ("bad", "not of the form user:password")])
@pytest.mark.parametrize("table", ["file:{dir}/secrets", '{{ good = "ann:secret", bad = "secret" }}'], ids=["file", "inline"])
def test_logins_of_relays(host, table, label, why):
    h = host(f'table secrets {table}\naction "out" relay host "smtp+tls://{label}@mx.test:587" auth <secrets>\n'
             'match for any action "out"\n', QUIET)
    h.put("secrets", "good ann:secret\nbad secret\n")
    status, said = h.check()
    assert "ann" not in str(said) and "secret:" not in str(said)
    if why is None:
        assert (status, said) == (0, ["configuration OK"])
    else:
        assert (status, said) == (1, [f"table <secrets> {label}: {why}", "1 problem"])


def test_socket_of_an_action(host):
    h = host('action "over" lmtp "{dir}/lmtp"\nmatch from any for domain over.test action "over"\n', QUIET)
    assert h.check()[1][0] == f"socket {h.path('lmtp')}: No such file or directory"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(h.path("lmtp"))
        assert h.check() == (0, ["configuration OK"])


def test_too_many_ports(host):
    hosts = " ".join(f"mx.test:{n}" for n in range(3000, 3070))
    h = host(f'action "out" relay host {{{{ {hosts} }}}}\nmatch for any action "out"\n', QUIET)
    assert h.check()[1][0] == 'action relay: they have more than 64 ports, and only the first can be connected to'


def test_nobody_to_believe(host):
    h = host('trust ca "{dir}/ca.pem"\naction "out" relay tls\nmatch for any action "out"\n', QUIET)
    assert h.check()[1][0] == f"CA certificates {h.path('ca.pem')}: No such file or directory"
    h.put("ca.pem", "those")
    assert h.check() == (0, ["configuration OK"])


OAUTH = ('vault key "{dir}/etc/vault.key"\nvault directory "{dir}/vault"\noauth o provider google grant jwt '
         'user a@b.test client-id c key "{dir}/robot.pem"\n')


def test_keys_of_oauth(host):
    h = host(OAUTH, QUIET)
    status, lines = h.check()
    assert status == 1 and lines[:2] == [f"vault key {h.path('etc/vault.key')}: {h.path('etc')} does not exist",
                                         f"key {h.path('robot.pem')}: No such file or directory"]
    os.mkdir(h.path("etc"), 0o700)
    h.put("robot.pem", "key")
    assert h.check() == (0, ["configuration OK"])
    assert not os.path.exists(h.path("etc/vault.key")) and not os.path.exists(h.path("vault"))
    h.put("etc/vault.key", "x" * 31)
    h.put("robot.pem", "key", 0o644)
    os.mkdir(h.path("vault"), 0o755)
    status, lines = h.check()
    assert status == 1 and lines[:3] == [
        f"vault key {h.path('etc/vault.key')}: not a key that the server made",
        f"vault directory {h.path('vault')}: others can look into it; make it mode 0700",
        f"key {h.path('robot.pem')}: others can read it; make it mode 0600"]
