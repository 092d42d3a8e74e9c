# SPDX-License-Identifier: ISC
"""System accounts: their passwords are in /etc/shadow, which the parent reads for the vault."""
import concurrent.futures
import os
import time

import pytest

import memory
from postern import Server, wait_for
from sasl import BLOCKED, OK, REFUSED, auth, crypted, login_steps, plain
from talk import hello, offered

PASSWORD = "correct horse"
TODAY = int(time.time()) // 86400
CONF = """
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
smtp error-delay 0s
smtp max-sessions-per-client 1000
listen on 127.0.0.1 port 0 auth insecure-auth
"""


def account(stored, changed=TODAY - 100, longest=99999, idle="", expires=""):
    """A line of shadow(5), without the name: the last fields are days."""
    return f"{stored}:{changed}:0:{longest}:7:{idle}:{expires}:"


HASH = crypted(PASSWORD, "sha512")
GOOD = {
    "sha512": account(HASH),
    "yescrypt": account(crypted(PASSWORD)),
    "bcrypt": account(crypted(PASSWORD, "bcrypt")),
    "today": account(HASH, TODAY, 1),
    "nearly": account(HASH, TODAY - 29, 30),
    "until.tomorrow": account(HASH, expires=TODAY + 1),
    "no-limits": f"{HASH}:{TODAY}::::::",
    "nothing_known": f"{HASH}:::::::",
    "twice": account(HASH),
}
BAD = {
    "locked": account("!" + HASH),
    "locked2": account("!!"),
    "star": account("*"),
    "lk": account("*LK*"),
    "empty": account(""),
    "x": account("x"),
    "md5": account(crypted(PASSWORD, "md5")),
    "clear": account(PASSWORD),
    "expired": account(HASH, expires=TODAY),
    "long-expired": account(HASH, expires=1),
    "old": account(HASH, TODAY - 30, 30),
    "old-idle": account(HASH, TODAY - 100, 30, idle=365),
    "to-be-changed": account(HASH, 0),
    "future": account(crypted("another"), TODAY + 100, 30),
}


class SystemServer(Server):
    """Sees an /etc/passwd and an /etc/shadow of its own, in a mount namespace of its own."""

    def __init__(self, **more):
        script = 'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow && shift && exec "$@"'
        super().__init__(extra=CONF, **more)
        self.prefix = ["unshare", "-m", "sh", "-c", script, "sh", self.dir]
        with open("/etc/passwd", encoding="utf-8") as f:
            passwd = f.read()
        with open(self.path("passwd"), "w", encoding="utf-8") as f:
            f.write(passwd + "".join(f"{name}:x:{64300 + n}:64300::/nonexistent:/usr/sbin/nologin\n"
                                     for n, name in enumerate({**GOOD, **BAD})))
        self.shadow({**GOOD, **BAD})

    def shadow(self, accounts, more=""):
        """In place: what is bind-mounted is this very file."""
        with open(self.path("shadow"), "w", encoding="utf-8") as f:
            os.fchmod(f.fileno(), 0o640)
            f.write("root:*:19000:0:99999:7:::\n# no account\n\nno colon\n" +
                    "".join(f"{name}:{rest}\n" for name, rest in accounts.items()) + more)


@pytest.fixture(scope="module")
def s():
    server = SystemServer()
    server.shadow({**GOOD, **BAD}, f"twice:{account(crypted('another'))}\n")
    server.start()
    yield server
    server.cleanup()


def try_once(s, login, password=PASSWORD, mechanism="PLAIN"):
    steps = {"PLAIN": plain, "LOGIN": login_steps}[mechanism](login, password)
    with hello(s, s.ports[1]) as c:
        return auth(c, mechanism, *steps)


def log_in(s, *args, **more):
    """The file is looked at so many times a second: these tests can be faster."""
    def again():
        answer = try_once(s, *args, **more)
        return answer != BLOCKED and answer
    return wait_for(again, "a look at the file")


@pytest.mark.root
@pytest.mark.parametrize("login", GOOD)
def test_good(s, login):
    assert log_in(s, login) == OK
    assert log_in(s, login, mechanism="LOGIN") == OK
    assert log_in(s, login, "another") == REFUSED


@pytest.mark.root
@pytest.mark.parametrize("login", [*BAD, "nobody-at-all", "root", "no colon", "# no account", "sha512:", "", "../passwd"])
def test_bad(s, login):
    for password in (PASSWORD, "", "x", "*", "!", HASH):
        if login and password:
            assert log_in(s, login, password) == REFUSED


@pytest.mark.root
def test_offered(s):
    with hello(s, s.ports[1]) as c:
        assert offered(c)["AUTH"].split() == ["PLAIN", "LOGIN"]


@pytest.mark.root
def test_changes_count_at_once(make_server):
    s = SystemServer()
    try:
        s.start()
        assert log_in(s, "sha512") == OK
        s.shadow({"sha512": account(crypted("another", "sha512"))})
        assert log_in(s, "sha512") == REFUSED
        assert log_in(s, "sha512", "another") == OK
        s.shadow({"sha512": account("!" + HASH)})
        assert log_in(s, "sha512") == REFUSED
        # Something that is no file of passwords.
        with open(s.path("shadow"), "wb") as f:
            f.write(os.urandom(100000) + b":" * 100000)
        assert log_in(s, "sha512") == REFUSED
        s.shadow(GOOD)
        assert log_in(s, "sha512") == OK
    finally:
        s.cleanup()


@pytest.mark.root
def test_no_process_but_the_parent_reads_it(s):
    assert log_in(s, "sha512") == OK
    for name, pid in s.pids().items():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            assert "shadow" not in os.readlink(f"/proc/{pid}/fd/{fd}"), name


@pytest.mark.root
def test_no_hash_is_left_in_memory(s):
    """Of all that the file holds, nothing stays anywhere, neither of who was asked for nor of the others."""
    needles = {name: line.encode().split(b":")[0][-24:] for name, line in GOOD.items()}
    for name in ("sha512", "yescrypt", "bcrypt"):
        assert log_in(s, name) == OK
    # The search finds what is there.
    assert memory.found_where_all_are(needles) == set(needles)
    for process, pid in {"parent": s.process.pid, **s.pids()}.items():
        wait_for(lambda: not memory.found(pid, needles), f"{process} without hashes")


@pytest.mark.root
def test_a_storm_is_passing_trouble(s):
    """Each question costs the parent a look at the file: so many a second, and no more; nobody is refused for it."""
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = set(pool.map(lambda n: try_once(s, "nobody-at-all"), range(200)))
    assert REFUSED in answers and answers <= {REFUSED, BLOCKED}
    assert log_in(s, "sha512") == OK


def test_without_root_there_are_no_accounts(make_server):
    s = make_server(extra=CONF, rootless=True)
    assert try_once(s, "root", "x") == BLOCKED
    s.wait_log('event=shadow-not-read path=/etc/shadow error="Permission denied"')
