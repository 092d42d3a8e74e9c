# SPDX-License-Identifier: ISC
"""Listeners on Unix sockets: made with their mode and group, and with respect for what is there."""
import grp
import os
import re
import signal
import socket
import stat
import subprocess

import pytest

from postern import PATIENCE, ROOT, Server

GROUP = grp.getgrnam("mail") if ROOT else grp.getgrgid(os.getegid())
LISTEN = 'listen on "{dir}/in.sock"'


def greeting(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(path)
        return s.recv(4096)


def bound(path, listening=False):
    """A socket with that name, of nobody or of us."""
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    if listening:
        s.listen()
    return s


def refused(server):
    """What a server that can't start says of its listener."""
    done = subprocess.run(server.prefix + server.argv("-d"), stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, text=True, check=False)
    assert done.returncode == 1
    said = re.search(r'event=listen-failed path=(\S+) error=(.*)', done.stderr)
    assert said.group(1) == server.path("in.sock")
    return said.group(2)


def reload(server, text):
    before = len(server.log)
    server.write_conf(Server.CONF + text)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("^smtpd: info: event=reloaded", after=before)   # the children say so too, later


@pytest.mark.parametrize("rootless", (False, True) if ROOT else (True,))
def test_made_and_removed(make_server, rootless):
    server = make_server(extra=LISTEN + '\nlisten on "{dir}/lmtp.sock" lmtp tag x\n', rootless=rootless)
    paths = [server.path("in.sock"), server.path("lmtp.sock")]
    for path in paths:
        st = os.lstat(path)
        assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o600
        assert greeting(path).startswith(b"220 ")
    assert server.stop() == 0
    assert not any(os.path.lexists(p) for p in paths)


def test_group(make_server):
    server = make_server(extra=LISTEN + f" group {GROUP.gr_name}\n")
    st = os.lstat(server.path("in.sock"))
    assert stat.S_IMODE(st.st_mode) == 0o660 and st.st_gid == GROUP.gr_gid
    assert greeting(server.path("in.sock")).startswith(b"220 ")


def test_stale_socket_is_replaced(make_server):
    server = make_server(extra=LISTEN, start=False)
    bound(server.path("in.sock")).close()
    server.start()
    assert greeting(server.path("in.sock")).startswith(b"220 ")


def test_after_a_kill(make_server):
    server = make_server(extra=LISTEN)
    server.kill()
    assert os.path.lexists(server.path("in.sock"))
    server.start()
    assert greeting(server.path("in.sock")).startswith(b"220 ")


def make_file(path):
    with open(path, "w", encoding="ascii") as f:
        f.write("kept")


@pytest.mark.parametrize("make, error", (
    (make_file, "Socket operation on non-socket"),
    (os.mkdir, "Socket operation on non-socket"),
    (lambda path: os.symlink(path + ".gone", path), "Socket operation on non-socket"),
    (lambda path: (bound(path + ".dead").close(), os.symlink(path + ".dead", path)),
     "Socket operation on non-socket"),
), ids=("file", "directory", "dangling-link", "link-to-socket"))
def test_nothing_else_is_removed(make_server, make, error):
    server = make_server(extra=LISTEN, start=False)
    make(server.path("in.sock"))
    before = {name: os.lstat(server.path(name)) for name in os.listdir(server.dir)}
    assert error in refused(server)
    for name, st in before.items():
        now = os.lstat(server.path(name))
        assert (now.st_ino, now.st_mode, now.st_size) == (st.st_ino, st.st_mode, st.st_size) or name == "spool"
    assert not os.path.lexists(server.path("in.sock.gone"))


def test_a_living_socket_is_left_alone(make_server):
    server = make_server(extra=LISTEN, start=False)
    with bound(server.path("in.sock"), listening=True) as other:
        assert "Address already in use" in refused(server)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(server.path("in.sock"))
            other.accept()[0].close()


def test_reload(make_server):
    server = make_server(extra=LISTEN + "\n")
    path = server.path("in.sock")
    first = os.lstat(path).st_ino
    reload(server, LISTEN + " tag x\n")
    assert os.lstat(path).st_ino == first                 # kept, without a gap
    reload(server, LISTEN + f" group {GROUP.gr_name}\n")
    st = os.lstat(path)
    assert stat.S_IMODE(st.st_mode) == 0o660 and st.st_gid == GROUP.gr_gid
    assert greeting(path).startswith(b"220 ")
    reload(server, "")
    assert not os.path.lexists(path)
    reload(server, LISTEN + "\n")
    assert stat.S_IMODE(os.lstat(path).st_mode) == 0o600
    assert greeting(path).startswith(b"220 ")


def test_reload_with_a_wrong_group(make_server):
    """The socket that works stays as it is; the log names the group, once."""
    server = make_server(extra=LISTEN + f" group {GROUP.gr_name}\n")
    path = server.path("in.sock")
    first = os.lstat(path)
    reload(server, "listen on 127.0.0.1 port 0 tag y\n" + LISTEN + " tag x group no-such-group-here\n")
    st = os.lstat(path)
    assert (st.st_ino, st.st_mode, st.st_gid) == (first.st_ino, first.st_mode, first.st_gid)
    assert greeting(path).startswith(b"220 ")
    said = [line for line in server.log if "event=listen-failed" in line]
    assert len(said) == 1 and said[0].endswith(
        f'path={path} error="group no-such-group-here: no such group"'), said
    reload(server, LISTEN + "\n")
    assert stat.S_IMODE(os.lstat(path).st_mode) == 0o600
    assert greeting(path).startswith(b"220 ")


def test_start_with_a_wrong_group(make_server):
    server = make_server(extra=LISTEN + " group no-such-group-here\n", start=False)
    assert refused(server) == '"group no-such-group-here: no such group"'
    assert not os.path.lexists(server.path("in.sock"))


# -- directories that others can change ----------------------------------------

def make_dir(mode, uid=None):
    def make(path):
        os.mkdir(path)
        if uid is not None:
            os.chown(path, uid, -1)
        os.chmod(path, mode)
    return make


def make_above(mode, uid=None):
    """The directory itself is safe, the one above it is not."""
    def make(path):
        make_dir(mode, uid)(path + ".above")
        os.mkdir(path + ".above/in", 0o755)
        os.symlink(path + ".above/in", path)
    return make


def make_link(uid=None, target=None):
    def make(path):
        os.mkdir(path + ".real", 0o755)
        os.symlink(target or os.path.basename(path) + ".real", path)
        if uid is not None:
            os.lchown(path, uid, -1)
    return make


def make_circle(path):
    os.symlink("d", path)


root = pytest.mark.root
UNSAFE = (
    pytest.param(make_dir(0o775), "/d can be written by others", id="group-writable"),
    pytest.param(make_dir(0o757), "/d can be written by others", id="world-writable"),
    pytest.param(make_above(0o777), "/d.above can be written by others", id="above"),
    pytest.param(make_file, "/d is not a directory", id="file"),
    pytest.param(make_circle, "/d Too many levels of symbolic links", id="circle"),
    pytest.param(make_dir(0o755, uid=65534), "/d belongs to another user", id="another's", marks=root),
    pytest.param(make_dir(0o1777, uid=65534), "/d belongs to another user", id="another's-sticky", marks=root),
    pytest.param(make_above(0o755, uid=65534), "/d.above belongs to another user", id="above-another's",
                 marks=root),
    pytest.param(make_link(uid=65534), "/d belongs to another user", id="another's-link", marks=root),
)
SAFE = (
    pytest.param(make_dir(0o755), id="plain"),
    pytest.param(make_dir(0o1777), id="sticky"),
    pytest.param(make_above(0o1777), id="above-sticky"),
    pytest.param(make_link(), id="link"),
    pytest.param(make_link(target="./d.real/..//d.real/."), id="long-way"),
)
IN = 'listen on "{dir}/d/in.sock"\n'
ADMIN = 'control socket "{dir}/d/admin.sock"\n'


def run(server, *options):
    return subprocess.run(server.argv(*options), stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                          text=True, check=False)


@pytest.mark.parametrize("make, why", UNSAFE)
def test_unsafe_directory(make_server, make, why):
    server = make_server(extra=IN, start=False)
    make(server.path("d"))
    for extra, option, said in (
            (IN, "-d", f'event=listen-failed path={server.path("d", "in.sock")} error="{server.dir}{why}"'),
            (IN, "-n", f'smtpd: socket {server.path("d", "in.sock")}: {server.dir}{why}'),
            (ADMIN, "-n", f'smtpd: admin socket {server.path("d", "admin.sock")}: {server.dir}{why}')):
        server.write_conf(Server.CONF + extra)
        done = run(server, option)
        assert done.returncode == 1 and said in done.stderr, done.stderr
    assert not any(name.endswith(".sock") for _, _, names in os.walk(server.dir) for name in names)


def test_the_admin_socket_where_its_admin_wants_it(make_server):
    """A checkout of another's, or of a group's: it is said, and done."""
    server = make_server(extra=ADMIN, start=False)
    os.mkdir(server.path("d"))
    os.chmod(server.path("d"), 0o775)
    server.start()
    server.wait_log(rf"event=admin-socket-unsafe path=\S+ error=\"{server.dir}/d can be written by others\"")
    assert stat.S_ISSOCK(os.lstat(server.path("d", "admin.sock")).st_mode)


@pytest.mark.parametrize("make", SAFE)
def test_safe_directory(make_server, make):
    server = make_server(extra=IN + ADMIN, start=False)
    make(server.path("d"))
    done = run(server, "-n")
    assert done.returncode == 0, done.stderr
    server.start()
    assert greeting(server.path("d", "in.sock")).startswith(b"220 ")
    assert stat.S_ISSOCK(os.lstat(server.path("d", "admin.sock")).st_mode)


def test_reload_into_an_unsafe_directory(make_server):
    """What works stays, with its group, when its directory became unsafe."""
    server = make_server(extra=IN, start=False)
    os.mkdir(server.path("d"), 0o755)
    server.start()
    first = os.lstat(server.path("d", "in.sock"))
    os.chmod(server.path("d"), 0o777)
    reload(server, IN.rstrip() + f" group {GROUP.gr_name}\n")
    st = os.lstat(server.path("d", "in.sock"))
    assert (st.st_ino, st.st_mode, st.st_gid) == (first.st_ino, first.st_mode, first.st_gid)
    assert greeting(server.path("d", "in.sock")).startswith(b"220 ")


def test_what_took_its_place_stays(make_server):
    server = make_server(extra=LISTEN + "\n")
    os.unlink(server.path("in.sock"))
    make_file(server.path("in.sock"))
    assert server.stop() == 0
    with open(server.path("in.sock"), encoding="ascii") as f:
        assert f.read() == "kept"


def test_check(make_server):
    """smtpd -n: the group and the directory."""
    server = make_server(extra='listen on "{dir}/no/in.sock" group no-such-group-here\n', start=False)
    done = subprocess.run(server.argv("-n"), stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                          text=True, check=False)
    assert done.returncode == 1
    assert f"socket {server.path('no', 'in.sock')}: {server.path('no')} does not exist" in done.stderr
    assert "group no-such-group-here: no such group" in done.stderr
    os.mkdir(server.path("no"))
    server.write_conf(Server.CONF + f'listen on "{{dir}}/no/in.sock" group {GROUP.gr_name}\n')
    done = subprocess.run(server.argv("-n"), stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
