# SPDX-License-Identifier: ISC
"""Mailboxes on a file system that answers nobody: they cost the mail for them, and nobody else's a second."""
import os
import signal
import time

import fuse
import pytest
from postern import VMAIL, wait_for

OTHER = VMAIL + 1   # the account whose mailboxes hang
CONF = """
hostname "mx.test"
queue directory "{{dir}}/spool"
control socket "{{dir}}/smtpd.sock"
queue retry-min 1s
queue retry-max 1s
lookup cache-time 0s
table boxes {{{{ {boxes} }}}}
table people {{{{ "u" = "{other}:{other}:{{dir}}/u", "bob" = "{{vmail}}:{{vmail}}:{{dir}}/bob" }}}}
listen on 127.0.0.1 port 0
action "stuck" maildir "{{dir}}/stuck/{below}%{{{{dest.user}}}}" virtual <boxes> userbase <people>
action "home" maildir "{{dir}}/bob/%{{{{dest.user}}}}" userbase <people>
match from any for domain "stuck.test" action "stuck"
match from any for domain "example.org" action "home"
"""


@pytest.fixture
def stuck(make_server):
    """Starts a server; n mailboxes of one user lie where one kind of question is never answered."""
    mounts = []

    def start(n, silent, below="", remembered=fuse.FOR_EVER):
        boxes = ", ".join(f'"u{i}@stuck.test" = "u"' for i in range(n))
        server = make_server(CONF.format(boxes=boxes, other=OTHER, below=below), start=False)
        for name, uid in (("bob", server.vmail), ("u", OTHER), ("stuck", OTHER), ("stuck/box", OTHER)):
            os.mkdir(server.path(name), 0o755)
            os.chown(server.path(name), uid, uid)
        try:
            mounts.append(fuse.Hanging(server.path("stuck"), OTHER, silent, remembered))
        except OSError as e:
            pytest.skip(f"no FUSE here: {e}")
        return server.start(), mounts[0]
    yield start
    for mount in mounts:
        mount.close()


def agents(server):
    return [pid for name, pid in server.pids().items() if name.startswith("agent")]


def seconds_for_bob(server):
    """From the message's acceptance until it is in the mailbox."""
    new = server.path("bob", "bob", "new")
    before = len(os.listdir(new)) if os.path.isdir(new) else 0
    server.send(to="bob@example.org")
    began = time.monotonic()
    wait_for(lambda: os.path.isdir(new) and len(os.listdir(new)) > before, "mail for bob")
    return time.monotonic() - began


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.root
@pytest.mark.parametrize("silent,below", [(fuse.ACCESS, ""), (fuse.LOOKUP, "box/")], ids=["there", "on the way"])
def test_the_way_to_a_mailbox_that_never_ends(stuck, silent, below):
    """The parent goes no step of it: other users' mail is there at once, all the time."""
    server, home = stuck(1, silent, below)
    server.send(to="u0@stuck.test")
    assert home.hanging.acquire(timeout=30)
    took = [seconds_for_bob(server) for _ in range(20)]
    assert max(took) < 1, took
    server.wait_log("event=killed process=agent/u why=\"did not enter its role\"")
    server.wait_log(r"event=deferred .*to=u0@stuck.test.*status=4\.2\.0 .*could not be opened")


@pytest.mark.root
def test_a_look_at_an_agent_that_hangs(stuck):
    """Its root directory is the file system that answers nobody, not even who only asks what that is."""
    server, home = stuck(1, fuse.LOOKUP, remembered=0)
    server.send(to="u0@stuck.test")
    assert home.hanging.acquire(timeout=30)
    home.silent += (fuse.GETATTR,)
    assert "agent" in server.ctl("show", "sandbox", check=False).stdout
    assert seconds_for_bob(server) < 1


@pytest.mark.root
def test_all_the_mailboxes_of_an_account_hang(stuck):
    """Far more than there may be agents.  They can't even be killed, but are few in the end; and end when they can."""
    server, home = stuck(60, fuse.LOOKUP)
    with server.smtp() as c:
        for n in range(60):
            c.sendmail("you@example.net", [f"u{n}@stuck.test"], "Subject: x\r\n\r\nx\r\n")
    wait_for(lambda: len(agents(server)) == 32, "as many agents as there may be")
    were = set(agents(server))
    seconds_for_bob(server)     # once it has to wait, until it is clear who hangs
    took = [seconds_for_bob(server) for _ in range(10)]
    assert max(took) < 1, took

    server.wait_log(r"event=deferred .*text=\"the mailboxes of this account do not answer\"", 60)
    mark = len(server.log)
    wait_for(lambda: sum("do not answer" in line for line in server.log[mark:]) > 60, "tries", 60)
    assert {p for p in agents(server) if not gone(p)} >= were and len(agents(server)) <= 33   # with bob's
    assert seconds_for_bob(server) < 1
    home.close()
    wait_for(lambda: all(gone(p) for p in were), "the end of all of them")
    server.wait_log(r"event=delivered .*to=u0@stuck.test")


@pytest.mark.root
def test_the_end_of_a_server_whose_agents_hang(stuck):
    """What can't be killed can't hold it either."""
    server, home = stuck(5, fuse.LOOKUP)
    for n in range(5):
        server.send(to=f"u{n}@stuck.test")
    were = wait_for(lambda: len(a := agents(server)) == 5 and a, "an agent for each")
    assert home.hanging.acquire(timeout=30)
    queue = server.pids()["queue/0"]
    assert server.stop() == 0
    assert "event=stopped" in server.log[-1]
    assert gone(queue) and not all(gone(p) for p in were)
    home.close()
    wait_for(lambda: all(gone(p) for p in were), "the end of all of them")


@pytest.mark.parametrize("lost", [False, True], ids=["let go", "delivery dies"])
def test_an_agent_that_does_not_end(server, lost):
    """It is let go, idle or with the process that it worked for; it is stopped, and can't heed that."""
    server.send()
    server.wait_log("event=delivered")  # by then it owes no answer
    agent, = agents(server)
    os.kill(agent, signal.SIGSTOP)
    try:
        if lost:
            os.kill(server.pids()["delivery/0"], signal.SIGKILL)
        server.wait_log("event=killed process=agent/vmail why=\"was let go but did not end\"")
        server.wait_log(r"event=process-ended process=agent/vmail .*name=KILL")
    finally:
        if not gone(agent):
            os.kill(agent, signal.SIGCONT)
    server.send()
    server.wait_mail(2)


@pytest.mark.root
def test_an_agent_stands_in_its_mailbox(make_server):
    """Its root directory is what its mailboxes lie below, wherever the server was started."""
    server = make_server(prefix=["env", "--chdir=/"])
    server.send()
    server.wait_mail()
    agent, = agents(server)
    assert os.path.samefile(f"/proc/{agent}/root", server.path("mail"))
    assert "agent" in server.ctl("show", "sandbox").stdout


@pytest.mark.root
def test_no_way_that_the_account_could_not_go(make_server):
    """Its home is a link, made by itself, into a directory that only root may enter."""
    server = make_server(start=False)
    server.write_conf(server.CONF.replace("{dir}/mail/%", "{dir}/own/home/%"))
    secret = server.path("secret")
    os.makedirs(secret + "/open")
    os.chmod(secret + "/open", 0o777)
    os.chmod(secret, 0o700)
    os.mkdir(server.path("own"), 0o755)
    os.chown(server.path("own"), server.vmail, server.vmail)
    os.symlink(secret + "/open", server.path("own", "home"))
    server.start()
    server.send()
    server.wait_log(r"event=deferred .*status=4\.2\.0")
    assert os.listdir(secret + "/open") == []


@pytest.mark.root
@pytest.mark.parametrize("home", ["", "work", "//", "/./", "/tmp/.."])
def test_a_home_that_is_no_wall(make_server, home):
    """An agent never stands in the real root directory, nor where the server was started."""
    server = make_server(start=False)
    os.makedirs(server.path("work/work"))
    for name in ("work", "work/work"):
        os.chown(server.path(name), server.vmail, server.vmail)
    server.prefix = ["env", f"--chdir={server.path('work')}"]
    server.write_conf(server.CONF.replace("{dir}/mail/%", "~/%").replace(":{dir}/mail", f":{home}"))
    server.start()
    server.send(sender="")
    server.wait_log(r"event=(failed|deferred) .*no home directory")
    assert os.listdir(server.path("work")) == ["work"] and os.listdir(server.path("work/work")) == []


@pytest.mark.root
def test_a_mailbox_elsewhere_needs_no_home(make_server):
    """Many accounts of programs have "/" for a home."""
    server = make_server(start=False)
    server.write_conf(server.CONF.replace(":{dir}/mail", ":/"))
    server.start()
    server.send()
    server.wait_mail()


@pytest.mark.root
@pytest.mark.parametrize("trap", ["mail/bob", "mail/bob/new"])
def test_a_mailbox_that_another_user_made(make_server, trap):
    """Where everybody may make directories: mail in it would be his to remove."""
    server = make_server(start=False)
    server.write_conf(server.CONF.replace("{dir}/mail/%{{dest.domain}}/%{{dest.user}}", "{dir}/mail/bob")
                      + "queue retry-min 1s\nqueue retry-max 1s\n")
    os.chown(server.path("mail"), 0, 0)
    os.chmod(server.path("mail"), 0o1777)
    for name in ("mail/bob", trap):
        os.makedirs(server.path(name), exist_ok=True)
        os.chmod(server.path(name), 0o777)
        os.chown(server.path(name), server.vmail, server.vmail)
    os.chown(server.path(trap), OTHER, OTHER)
    server.start()
    server.send()
    server.wait_log(r"event=mailbox-not-opened path=bob error=\"Operation not permitted\"")
    server.wait_log(r"event=deferred .*status=4\.2\.0")
    os.rename(server.path(trap), server.path("trap"))
    assert not [f for _, _, files in os.walk(server.path("trap")) for f in files]
    server.wait_log("event=delivered")
