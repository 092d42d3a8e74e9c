# SPDX-License-Identifier: ISC
"""~/.forward as another's way in: what is not a plain file of its owner alone is not followed, and hangs nothing."""
import os
import stat
import time

import pytest

from postern import wait_for

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
queue retry-min 1s
queue retry-max 1s
table people {{ "ann" = "{vmail}:{vmail}:{dir}/ann", "bob" = "{vmail}:{vmail}:{dir}/bob" }}
listen on 127.0.0.1 port 0
action "home" maildir userbase <people>
match from any for domain "example.org" action "home"
"""


@pytest.fixture
def homes(make_server):
    server = make_server(CONF, start=False)
    for name in ("ann", "bob"):
        os.mkdir(server.path(name), 0o755)
        os.chown(server.path(name), server.vmail, server.vmail)
    return server


def put(server, text, mode=0o644, owner=None, name=".forward"):
    path = server.path("ann", name)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(path, mode)
    os.chown(path, *(owner or (server.vmail, server.vmail)))
    return path


def got(server, name):
    return glob_new(server.path(name, "Maildir", "new"))


def glob_new(path):
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def symlink(server):
    os.symlink(put(server, "bob", name="elsewhere"), server.path("ann", ".forward"))


def hard_link(server):
    os.link(put(server, "bob", name="elsewhere"), server.path("ann", ".forward"))


def fifo(server):
    os.mkfifo(server.path("ann", ".forward"), 0o644)
    os.chown(server.path("ann", ".forward"), server.vmail, server.vmail)


def directory(server):
    os.mkdir(server.path("ann", ".forward"), 0o755)


def device(server):
    os.mknod(server.path("ann", ".forward"), stat.S_IFCHR | 0o644, os.makedev(1, 5))  # zeroes without end


def huge(server):
    os.truncate(put(server, "bob"), 2 << 30)


def writable_by_others(server):
    put(server, "bob", 0o666)


def writable_by_the_group(server):
    put(server, "bob", 0o664)


def writable_home(server):
    put(server, "bob")
    os.chmod(server.path("ann"), 0o777)


def of_another(server):
    put(server, "bob", owner=(12345, 12345))


def unreadable(server):
    put(server, "bob", 0o000)


UNSAFE = [symlink, hard_link, fifo, directory, huge, writable_by_others, writable_by_the_group, writable_home,
          unreadable, pytest.param(of_another, marks=pytest.mark.root), pytest.param(device, marks=pytest.mark.root)]


@pytest.mark.parametrize("trick", UNSAFE)
def test_09_unsafe_forward(homes, trick):
    """It is not followed: the mail waits with 4.2.4, other mail goes on at once."""
    trick(homes)
    if trick is unreadable and homes.vmail == 0:
        pytest.skip("root reads everything")
    homes.start()
    homes.send(to="ann@example.org")
    homes.wait_log(r"event=deferred .*status=4\.2\.4")
    started = time.monotonic()
    homes.send(to="bob@example.org")
    wait_for(lambda: got(homes, "bob"), "mail for bob")
    assert time.monotonic() - started < 10
    assert not got(homes, "ann") and len(got(homes, "bob")) == 1


def test_09_mended_forward(homes):
    """The mail that waited follows it when nobody else can write to it any more."""
    writable_by_others(homes)
    homes.start()
    homes.send(to="ann@example.org")
    homes.wait_log(r"event=deferred .*status=4\.2\.4")
    put(homes, "bob")
    wait_for(lambda: got(homes, "bob"), "the waiting mail, forwarded")
    assert not got(homes, "ann")


def test_09_empty_forward(homes):
    """No octets at all are as good as no file."""
    put(homes, "")
    homes.start()
    homes.send(to="ann@example.org")
    wait_for(lambda: got(homes, "ann"), "mail for ann")


def test_09_swapped_again_and_again(homes):
    """A file that becomes a link while it is opened: what is read is never another's, and nothing is lost."""
    homes.start()
    stop = time.monotonic() + 3
    n = 0
    while time.monotonic() < stop:
        put(homes, "\\ann\n", name="safe")
        os.replace(homes.path("ann", "safe"), homes.path("ann", ".forward"))
        if n < 20:
            homes.send(to="ann@example.org")
            n += 1
        os.symlink("/etc/shadow", homes.path("ann", "link"))
        os.replace(homes.path("ann", "link"), homes.path("ann", ".forward"))
    os.unlink(homes.path("ann", ".forward"))
    wait_for(lambda: len(got(homes, "ann")) == n, f"{n} mails for ann")
    assert not any("root:" in line for line in homes.log)
