# SPDX-License-Identifier: ISC
"""What the parent does for OAuth and relays: the process that fetches comes and goes with the configuration, the
vault's key is made once, ports follow the hosts that are named, wherever they are named."""
import json
import os
import stat
import subprocess

import pytest

import postern
from postern import Server, wait_for

VAULT = 'vault key "{dir}/vault.key"\nvault directory "{dir}/vault"\n'
OAUTH = ('oauth "own" user me@example.net client-id "the client" client-secret "S3CRET" grant device '
         'device-url "https://id.test:8443/device" token-url "https://id.test:8444/token" scope "mail"\n')


def reload(server, extra):
    mark = len(server.log)
    server.write_conf(Server.CONF + extra)
    server.process.send_signal(1)
    server.wait_log("event=reloaded", after=mark)


def fetchers(server):
    return [pid for name, pid in server.pids().items() if name.startswith("fetch/")]


def ports(server, role):
    """That it may connect to, as it was told."""
    for line in server.ctl("show", "sandbox", "--json", check=False).stdout.splitlines():
        row = json.loads(line)
        if row["process"] == role:
            return sorted(map(int, row["declared"].get("ports", "0").split(",")))
    return []


@pytest.fixture
def server(make_server):
    return make_server(extra=VAULT)


def test_fetch_comes_and_goes(server):
    assert not fetchers(server) and not os.path.exists(server.path("vault.key"))
    reload(server, VAULT + OAUTH)
    pid, = wait_for(lambda: fetchers(server), "smtpd-fetch")
    with open(server.path("vault.key"), "rb") as f:
        key = f.read()
    assert len(key) == 32 and len(set(key)) > 8
    assert stat.S_IMODE(os.stat(server.path("vault.key")).st_mode) == 0o600
    assert not os.path.exists(server.path("vault"))          # nothing to keep yet
    wait_for(lambda: ports(server, "fetch") == [8443, 8444], "its ports")
    os.kill(pid, 9)
    wait_for(lambda: fetchers(server) not in ([], [pid]), "another")
    reload(server, VAULT)
    wait_for(lambda: not fetchers(server), "no smtpd-fetch")
    reload(server, VAULT + OAUTH)
    wait_for(lambda: fetchers(server), "smtpd-fetch again")
    with open(server.path("vault.key"), "rb") as f:
        assert f.read() == key
    server.send()
    server.wait_mail()
    assert server.stop() == 0


def test_key_outlives_the_server(make_server):
    server = make_server(extra=VAULT + OAUTH)
    before = os.stat(server.path("vault.key"))
    assert server.stop() == 0
    server.start()
    after = os.stat(server.path("vault.key"))
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_key_cannot_be_made(make_server):
    """The server is for more than this: it starts, and says so."""
    server = make_server(extra=VAULT.replace("{dir}/vault.key", "{dir}/none/vault.key") + OAUTH)
    server.wait_log('event=vault-key-not-made .*error="No such file or directory"')
    server.send()
    server.wait_mail()


def test_secret_is_not_shown(make_server):
    server = make_server(extra=VAULT + OAUTH)
    shown = subprocess.run(server.argv("-n", "-v"), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=60)
    assert 'oauth "own"' in shown.stdout and "client-secret elsewhere" in shown.stdout
    assert "S3CRET" not in shown.stdout + shown.stderr
    for pid in [server.process.pid, *server.pids().values()]:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            assert b"S3CRET" not in f.read()


def test_ports_follow_the_hosts(make_server):
    hosts = 'table hosts file:{dir}/hosts\naction "out" relay domain <hosts>\nmatch from any for any action "out"\n'
    server = make_server(extra=VAULT, start=False)
    with open(server.path("hosts"), "w", encoding="utf-8") as f:
        f.write("one.test: smtp://127.0.0.1:2601\n")
    server.write_conf(Server.CONF + VAULT + hosts)
    server.start()
    assert ports(server, "delivery") == [25, 465, 587, 2601]
    mark = len(server.log)
    with open(server.path("hosts"), "a", encoding="utf-8") as f:
        f.write("two.test: smtp://127.0.0.1:2602, smtp://127.0.0.1:2603\n")
    server.ctl("update", "table", "hosts")
    server.wait_log('event=restarting process=delivery/0 why="other ports', after=mark)
    wait_for(lambda: ports(server, "delivery") == [25, 465, 587, 2601, 2602, 2603], "the new ports")
    mark = len(server.log)
    server.ctl("update", "table", "hosts")                   # the same again: nobody is disturbed
    reload(server, VAULT + hosts)
    assert not [line for line in server.log[mark:] if "event=restarting" in line]


@pytest.mark.parametrize("how, why", [
    ("readable", "others can read it; make it mode 0600"), ("elsewhere", "others can read it; make it mode 0600"),
    pytest.param("of another", "it belongs to another user",
                 marks=pytest.mark.skipif(not postern.ROOT, reason="rights of others need root"))])
def test_key_that_is_not_ours_alone(make_server, how, why):
    """Nothing is sealed by a key that others may have; the server is for more than this."""
    server = make_server(extra=VAULT + OAUTH, start=False)
    path = server.path("vault.key")
    if how == "elsewhere":
        os.symlink(path := server.path("real.key"), server.path("vault.key"))
    with open(path, "wb") as f:
        os.fchmod(f.fileno(), 0o600 if how == "of another" else 0o644)
        f.write(os.urandom(32))
    if how == "of another":
        os.chown(path, postern.UID_BASE + 6, -1)
    server.start()
    server.wait_log(f'event=key-refused kind="vault key" .*error="{why}"')
    mark = len(server.log)
    os.chown(path, 0 if postern.ROOT else -1, -1)
    os.chmod(path, 0o600)
    reload(server, VAULT + OAUTH)
    server.send()
    server.wait_mail()
    assert not [line for line in server.log[mark:] if "event=key-" in line]


def test_passwords_for_everybody(make_server):
    """Who can log in here can't be told from a hash; what we log in with elsewhere is there as it is."""
    extra = ('table secrets file:{dir}/secrets\ntable hashes file:{dir}/hashes\n'
             'listen on 127.0.0.1 port 0 auth-optional <hashes> insecure-auth\n'
             'action "o" relay host smtp+tls://l@mail.test auth <secrets>\n')
    server = make_server(extra=extra, start=False)
    for name, text in (("secrets", "l user:pass\n"), ("hashes", "me $6$x$y\n")):
        with open(server.path(name), "w", encoding="ascii") as f:
            os.fchmod(f.fileno(), 0o644)
            f.write(text)
    server.start()
    server.wait_log("event=table-unsafe kind=table name=secrets .*everybody can read")
    assert not [line for line in server.log if "event=table-unsafe" in line and "hashes" in line]
    mark = len(server.log)
    os.chmod(server.path("secrets"), 0o640)
    reload(server, extra)
    assert not [line for line in server.log[mark:] if "event=table-unsafe" in line]


@pytest.mark.skipif(not postern.ROOT, reason="rights of others need root")
def test_directory_of_another(make_server):
    """What the vault's account could have put there is not believed."""
    server = make_server(extra=VAULT + OAUTH, start=False)
    os.mkdir(server.path("vault"), 0o700)
    os.chown(server.path("vault"), postern.UID_BASE + 6, -1)
    server.start()
    server.wait_log('event=vault-directory .*error="it belongs to another user"')
