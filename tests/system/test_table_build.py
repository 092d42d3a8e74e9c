# SPDX-License-Identifier: ISC
"""smtpctl table build, dump and query, and a server whose tables are indexed files."""
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from control import SMTPCTL  # noqa: E402
from ipc import DEADLINE  # noqa: E402
from postern import ROOT, wait_for  # noqa: E402
from talk import hello  # noqa: E402

OK, REFUSED, USAGE = 0, 1, 2

TEXT = """# who gets mail
Bob@Example.org: alice,
  carol
@example.net: all@example.com
"with blank" value of it
plain
bob@EXAMPLE.org: second
192.0.2.77/24
198.51.100.7/32
2001:DB8:0::/32
::ffff:203.0.113.9
.example.com
"""
DUMP = """bob@example.org: alice,  carol
@example.net: all@example.com
"with blank": value of it
plain
192.0.2.0/24
198.51.100.7
"2001:db8::/32"
203.0.113.9
.example.com
"""


def table(*words, **more):
    return subprocess.run([SMTPCTL, "table", *words], capture_output=True, text=True, timeout=DEADLINE, **more)


def build(path, text, *more, status=OK):
    path.write_text(text)
    done = table("build", path, *more)
    assert done.returncode == status, done
    return done


def cdb(path, key):
    """What tinycdb's own command finds; None: nothing."""
    done = subprocess.run(["cdb", "-q", path, key], capture_output=True, text=True, timeout=DEADLINE)
    return done.stdout if done.returncode == 0 else None


# -- the command --


def test_build(tmp_path):
    done = build(tmp_path / "users", TEXT)
    assert done.stdout == f"{tmp_path}/users.cdb: 9 entries, 1 left out whose key was there before\n"
    assert done.stderr == ""
    assert table("dump", tmp_path / "users.cdb").stdout == DUMP
    for key, value in (("bob@example.org", "alice,  carol"), ("plain", ""), ("192.0.2.0/24", ""),
                       ("Bob@Example.org", None), ("", "postern-table 1 9")):
        assert cdb(tmp_path / "users.cdb", key) == value
    assert sorted(os.listdir(tmp_path)) == ["users", "users.cdb"]


def test_what_is_dumped_builds_the_same(tmp_path):
    build(tmp_path / "a", TEXT)
    build(tmp_path / "b", table("dump", tmp_path / "a.cdb").stdout)
    assert (tmp_path / "a.cdb").read_bytes() == (tmp_path / "b.cdb").read_bytes()


@pytest.mark.parametrize("key, value", [
    ("BOB@example.ORG", "alice,  carol"), ("plain", ""), ("192.0.2.1/24", ""), ("2001:db8:0:0::/32", ""),
    ("203.0.113.9", ""), ("with blank", "value of it"), ("nobody", None), ("", None), ("x" * 2000, None)])
def test_query(tmp_path, key, value):
    build(tmp_path / "users", TEXT)
    done = table("query", tmp_path / "users.cdb", key)
    if value is None:
        assert (done.returncode, done.stdout) == (REFUSED, "") and "no such key" in done.stderr
    else:
        assert (done.returncode, done.stdout, done.stderr) == (OK, value + "\n", "")


def test_lines_skipped(tmp_path):
    """Each is named with its number; the others are in the index all the same."""
    done = build(tmp_path / "users", 'good: a\n"open: b\n*.example.org\nlist: a, :include:/etc/list\n: x\n'
                 + "k" * 1025 + ": long\nlarge: " + "v" * (1 << 20) + "v\nlast: z\n", status=REFUSED)
    assert [line.split(": ")[1:3] for line in done.stderr.splitlines()[:-1]] == [
        [f"{tmp_path}/users:2", "open quote; skipped"],
        [f"{tmp_path}/users:3", "an index has no patterns with '*'; \".example.org\" is all names below; skipped"],
        [f"{tmp_path}/users:4", "an index has no :include:; skipped"],
        [f"{tmp_path}/users:5", "no key; skipped"],
        [f"{tmp_path}/users:6", "key too long; skipped"],
        [f"{tmp_path}/users:7", "value longer than 1 MiB; skipped"]]
    assert "6 lines skipped" in done.stderr.splitlines()[-1]
    assert table("dump", tmp_path / "users.cdb").stdout == "good: a\nlast: z\n"


def test_many_lines_skipped(tmp_path):
    done = build(tmp_path / "users", "*x\n" * 1000, status=REFUSED)
    assert len(done.stderr.splitlines()) == 21
    assert "1000 lines skipped" in done.stderr.splitlines()[-1]


def test_another_name(tmp_path):
    build(tmp_path / "users", "a: b\n", tmp_path / "index")
    assert cdb(tmp_path / "index", "a") == "b"
    assert not (tmp_path / "users.cdb").exists()


def test_quiet(tmp_path):
    (tmp_path / "users").write_text("a: b\n")
    done = table("build", "-q", "users", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (OK, "", "")
    assert cdb(tmp_path / "users.cdb", "a") == "b"


def test_rights_are_those_of_the_text(tmp_path):
    users = tmp_path / "users"
    users.write_text("a: b\n")
    users.chmod(0o640)
    if ROOT:
        os.chown(users, 65534, 65533)
    assert table("build", users).returncode == OK
    st = (tmp_path / "users.cdb").stat()
    assert stat.S_IMODE(st.st_mode) == 0o640
    assert (st.st_uid, st.st_gid) == ((65534, 65533) if ROOT else (os.getuid(), users.stat().st_gid))


@pytest.mark.parametrize("what", ["missing", "directory", "no folder", "too large"])
def test_failure_leaves_the_old_one(tmp_path, what):
    """Whatever goes wrong, the index is the one before, and nothing lies about beside it."""
    users, limits, words = tmp_path / "users", None, []
    build(users, "a: b\n")
    before = (tmp_path / "users.cdb").read_bytes()
    if what == "missing":
        users.unlink()
    elif what == "directory":
        users.unlink()
        users.mkdir()
    elif what == "no folder":
        words = [tmp_path / "none" / "users.cdb"]
    else:
        users.write_text("".join(f"user{i}: value\n" for i in range(10000)))

        def limits():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    done = table("build", users, *words, preexec_fn=limits)
    assert done.returncode == REFUSED and done.stdout == "" and done.stderr.startswith("smtpctl: ")
    assert (tmp_path / "users.cdb").read_bytes() == before
    assert sorted(set(os.listdir(tmp_path)) - {"users"}) == ["users.cdb"]


@pytest.mark.parametrize("damage", ["text", "foreign", "short", "empty", "missing", "garbage"])
def test_no_index(tmp_path, damage):
    path = tmp_path / "x.cdb"
    build(tmp_path / "x", TEXT)
    octets = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "foreign":   # another tool's, where keys may be in any case
        subprocess.run(["cdb", "-c", "-m", path], input="Bob alice\n\n", text=True, check=True, timeout=DEADLINE)
    else:
        path.write_bytes({"text": TEXT.encode(), "short": octets[:2100], "empty": b"",
                          "garbage": bytes(i * 7 % 256 for i in range(5000))}[damage])
    for words in (["dump", path], ["query", path, "plain"]):
        done = table(*words)
        assert done.returncode == REFUSED and done.stdout == ""
        assert ("No such file" if damage == "missing" else "damaged, or not made by") in done.stderr


@pytest.mark.parametrize("words", [[], ["build"], ["build", "a", "b", "c"], ["dump"], ["query", "x"], ["x"]])
def test_usage(words):
    done = table(*words)
    assert done.returncode == USAGE and done.stdout == ""


def test_control_characters(tmp_path):
    """To a file it goes as it stands."""
    build(tmp_path / "x", "a: \x1b[2Jb\n")
    assert table("dump", tmp_path / "x.cdb").stdout == "a: \x1b[2Jb\n"


# -- a server --

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
smtp error-delay 0s
smtp max-errors 1000
smtp max-refused-rate 0
table users cdb:{dir}/users.cdb
table domains cdb:{dir}/domains.cdb
table nets cdb:{dir}/nets.cdb
table spammers cdb:{dir}/spammers.cdb
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
listen on 127.0.0.1 port 0
action "users" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <users> userbase <owners>
match from any mail-from <spammers> for any reject
match !from src <nets> for domain "nets.example" reject
match from any for domain <domains> action "users"
"""
GOOD, UNKNOWN, NO_RULE, PASSING = (250, "2.1.5"), (550, "5.1.1"), (550, "5.7.1"), (451, "4.4.3")


@pytest.fixture
def s(make_server):
    server = make_server(conf=CONF, start=False)
    put(server, "users", "demo@example.org: vmail\n@catch.example: vmail\nlist@example.org: demo, vmail\n"
        "x@sub.below.example: vmail\nn@nets.example: vmail\nbroken@example.org: demo\n")
    put(server, "domains", "example.org\ncatch.example\n.below.example\nnets.example\n")
    put(server, "nets", "127.0.0.0/8\n")
    put(server, "spammers", "spam@example.net\n@spam.example\n@.spam.example\nroot\n")
    return server.start()


def put(server, name, text):
    path = Path(server.path(name))
    build(path, text)
    os.chmod(f"{path}.cdb", 0o600)     # as root: the parent can read it, no other process can


def rcpt(server, address, sender="you@example.net"):
    with hello(server) as c:
        c.say(f"MAIL FROM:<{sender}>")
        return c.status(f"RCPT TO:<{address}>")


@pytest.mark.parametrize("address, want", [
    ("demo@example.org", GOOD), ("DEMO@Example.ORG", GOOD), ("nobody@example.org", UNKNOWN),
    ("any@catch.example", GOOD), ("x@sub.below.example", GOOD), ("y@sub.below.example", UNKNOWN),
    ("x@below.example", NO_RULE), ("demo@elsewhere.example", NO_RULE), ("n@nets.example", GOOD)])
def test_recipients(s, address, want):
    assert rcpt(s, address) == want


@pytest.mark.parametrize("sender, want", [
    ("spam@example.net", NO_RULE), ("SPAM@example.net", NO_RULE), ("x@spam.example", NO_RULE),
    ("x@a.b.spam.example", NO_RULE), ("root@anywhere.example", NO_RULE), ("you@example.net", GOOD),
    ('"spam@example.net"@x.example', GOOD), ("", GOOD)])
def test_senders(s, sender, want):
    assert rcpt(s, "demo@example.org", sender) == want


def test_delivery(s):
    s.send(to="demo@example.org")
    s.wait_mail(1)


def test_update(s):
    """A new index counts from the update on, not before."""
    assert rcpt(s, "fresh@example.org") == UNKNOWN
    put(s, "users", "fresh@example.org: vmail\n")
    assert rcpt(s, "fresh@example.org") == UNKNOWN
    assert rcpt(s, "demo@example.org") == GOOD
    s.ctl("update", "table", "users")
    assert wait_for(lambda: rcpt(s, "fresh@example.org") == GOOD, "the new index")
    assert rcpt(s, "demo@example.org") == UNKNOWN


def test_sighup(s):
    put(s, "nets", "192.0.2.0/24\n")
    s.process.send_signal(signal.SIGHUP)
    wait_for(lambda: rcpt(s, "n@nets.example") == NO_RULE, "the new networks")


def test_damaged_while_in_use(s):
    """Who does that must not: but it is trouble for this table, and nothing worse."""
    with open(s.path("users.cdb"), "r+b") as f:
        f.truncate(2100)
    assert rcpt(s, "demo@example.org") == PASSING
    assert rcpt(s, "x@elsewhere.example") == NO_RULE
    s.wait_log(r"event=table-trouble table=users why=\"damaged index\"")
    put(s, "users", "demo@example.org: vmail\n")
    s.ctl("update", "table", "users")
    wait_for(lambda: rcpt(s, "demo@example.org") == GOOD, "the mended index")


def test_bad_update(s):
    """What is no index changes nothing but the log."""
    Path(s.path("users.cdb")).unlink()
    Path(s.path("users.cdb")).write_text("demo@example.org: vmail\n")
    said = s.ctl("update", "table", "users", check=False)
    assert said.returncode == 1 and "damaged, or not made by smtpctl table build" in said.stderr
    s.wait_log(r"event=file-not-read path=\S+users.cdb .*damaged, or not made by smtpctl table build")
    assert rcpt(s, "demo@example.org") == GOOD
    assert rcpt(s, "nobody@example.org") == UNKNOWN
