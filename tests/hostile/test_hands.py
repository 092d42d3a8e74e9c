# SPDX-License-Identifier: ISC
"""A user's home that answers nobody: it costs the mail for that user, and nothing else."""
import os
import signal
import time

import fuse
import pytest
from postern import VMAIL, wait_for

USERS = [f"u{n}" for n in range(8)]
CONF = """
hostname "mx.test"
queue directory "{{dir}}/spool"
control socket "{{dir}}/smtpd.sock"
queue retry-min 1s
queue retry-max 1s
lookup cache-time 0s
table people {{{{ {people}, "bob" = "{{vmail}}:{{vmail}}:{{dir}}/bob" }}}}
listen on 127.0.0.1 port 0
action "home" maildir "{{dir}}/bob/%{{{{dest.user}}}}" userbase <people>
match from any for domain "example.org" action "home"
"""
PEOPLE = ", ".join(f'"{n}" = "{{vmail}}:{{vmail}}:{{dir}}/hanging"' for n in USERS)


@pytest.fixture
def hanging(make_server):
    """Starts a server with a home that hangs at one kind of question."""
    mounts = []

    def start(silent):
        server = make_server(CONF.format(people=PEOPLE), start=False)
        for name in ("hanging", "bob"):
            os.mkdir(server.path(name), 0o755)
            os.chown(server.path(name), server.vmail, server.vmail)
        try:
            mounts.append(fuse.Hanging(server.path("hanging"), server.vmail, silent))
        except OSError as e:
            pytest.skip(f"no FUSE here: {e}")
        return server.start(), mounts[0]
    yield start
    for mount in mounts:
        mount.close()


def hands():
    """The server's processes that are the user's."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                status = f.read()
        except OSError:
            continue
        if status.startswith("Name:\tsmtpd\n") and f"\nUid:\t{VMAIL}\t" in status:
            found.add(pid)
    return found


@pytest.mark.root
@pytest.mark.parametrize("silent", [fuse.LOOKUP, fuse.READ], ids=["lookup", "read"])
def test_home_that_never_answers(hanging, silent):
    """Neither to be opened nor to be read: its mail waits, another's is there at once."""
    server, home = hanging(silent)
    server.send(to="u0@example.org")
    assert home.hanging.acquire(timeout=30)
    started = time.monotonic()
    server.send(to="bob@example.org")
    wait_for(lambda: os.path.isdir(server.path("bob", "bob", "new")) and
             os.listdir(server.path("bob", "bob", "new")), "mail for bob")
    assert time.monotonic() - started < 5
    server.wait_log(r"event=hand-killed")
    server.wait_log(r"event=deferred .*to=u0@example.org.*status=4\.4\.3")


@pytest.mark.root
def test_who_did_not_answer_is_left_alone(hanging):
    """A flood of mail for it would fill the queue's hands for as long as each try takes, again and again."""
    server, home = hanging(fuse.LOOKUP)
    server.send(to="u0@example.org")
    assert home.hanging.acquire(timeout=30)
    server.wait_log(r"event=deferred .*to=u0@example.org.*status=4\.4\.3")
    for n in range(3):
        mark, started = len(server.log), time.monotonic()
        server.send(to="u0@example.org", sender=f"n{n}@example.net")
        server.wait_log(r"event=deferred .*to=u0@example.org", after=mark)
        assert time.monotonic() - started < 5
    assert len(hands()) == 1


@pytest.mark.root
def test_who_can_not_be_killed_is_not_joined(hanging):
    """What waits for such a file system does not die, so that it must not become more and more."""
    server, home = hanging(fuse.LOOKUP)
    for name in USERS:
        server.send(to=f"{name}@example.org")
    were = wait_for(lambda: len(h := hands()) == len(USERS) and h, "a hand for each")

    def killed():
        return sum("event=hand-killed" in line for line in server.log) == len(USERS)

    wait_for(killed, "their deadlines", 60)
    mark = len(server.log)
    wait_for(lambda: sum("event=deferred" in line for line in server.log[mark:]) > 2 * len(USERS), "tries", 60)
    now = hands()   # a few more, if their first tries were more than a second apart
    assert were <= now and len(now) < len(were) + 4
    server.send(to="bob@example.org")
    server.wait_log("event=deferred .*to=bob@example.org.*status=4.4.3")  # the same account
    home.close()
    server.wait_log("event=delivered .*to=bob@example.org")
    wait_for(lambda: not hands() & now, "the end of all of them")


def test_more_lists_than_hands(make_server):
    """Each of many tables names a list: all of them are read, none is left out."""
    tables = range(50)
    conf = ('hostname "mx.test"\nqueue directory "{dir}/spool"\ncontrol socket "{dir}/smtpd.sock"\n'
            'queue retry-min 1s\nqueue retry-max 1s\ntable people {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}\nlisten on 127.0.0.1 port 0\n')
    conf += "".join(f"table t{n} file:{{dir}}/t{n}\n" for n in tables)
    conf += "".join(f'action "a{n}" maildir "{{dir}}/mail/d{n}" virtual <t{n}> userbase <people>\n'
                    f'match from any for domain "d{n}.test" action "a{n}"\n' for n in tables)
    server = make_server(conf, start=False)
    for n in tables:
        for name, text in ((f"t{n}", f"list@d{n}.test: :include:{server.path(f'l{n}')}\n"), (f"l{n}", "vmail\n")):
            with open(server.path(name), "w", encoding="ascii") as f:
                f.write(text)
    server.start()
    for n in tables:
        server.send(to=f"list@d{n}.test")
    wait_for(lambda: sum("event=delivered" in line for line in server.log) == len(tables), "all mail", 60)
    assert not [line for line in server.log if "includes-not-read" in line]


def walls(pid):
    """What the kernel says of a process, a word a key."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return {k: v.strip() for k, v in (line.split(":", 1) for line in f)}


@pytest.mark.root
@pytest.mark.parametrize("uid", [VMAIL, 0])
def test_what_a_hand_can_do(make_server, uid):
    """It has the account's rights and no group, capability or system call besides; as root it may read."""
    server = make_server(CONF.format(people=f'"u0" = "{uid}:{uid}:{{dir}}/hanging"'), start=False)
    os.mkdir(server.path("hanging"), 0o755)
    try:
        home = fuse.Hanging(server.path("hanging"), uid, fuse.READ)
    except OSError as e:
        pytest.skip(f"no FUSE here: {e}")
    try:
        server.start()
        server.send(to="u0@example.org")
        assert home.hanging.acquire(timeout=30)
        parent = server.process.pid
        pid, = [p for p in server._children() if walls(p)["Name"] == "smtpd"]
        found = walls(pid)
        assert found["PPid"] == str(parent)
        assert found["Uid"].split() == found["Gid"].split() == [str(uid)] * 4
        assert found["Groups"].split() == [str(uid)]
        assert found["NoNewPrivs"] == "1" and found["Seccomp"] == "2"
        assert int(found["CapPrm"], 16) == int(found["CapEff"], 16) == (0 if uid else 1 << 2)
        assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
        assert sorted(map(int, os.listdir(f"/proc/{pid}/fd")))[:3] == [0, 1, 2]
        kinds = [os.readlink(f"/proc/{pid}/fd/{n}").split(":")[0] for n in os.listdir(f"/proc/{pid}/fd") if int(n) > 2]
        assert sorted(kinds) == sorted(["socket", server.path("hanging"), server.path("hanging", ".forward"),
                                        "/memfd"])
        server.process.send_signal(signal.SIGTERM)
        server.wait_log("event=stopped")
    finally:
        home.close()
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the hand")
