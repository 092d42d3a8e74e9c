# SPDX-License-Identifier: ISC
"""A full disk: 452 4.3.1, nothing lost, and all by itself well again when there is room."""
import contextlib
import os

import pytest

from disk import MB, Disk
from load import Book, Clients, QUICK_RETRY, Reckoning, Refused, accepts, drain
from postern import VMAIL, wait_for

DISK = 64 * MB
RESERVE = 16 * MB       # what the queue keeps free for what is under way
BIG = 3 * MB
CONF = 'queue directory "{dir}/disk/spool"\n'


def fill(server, leave):
    """All but so many octets of the disk are somebody else's."""
    fs = os.statvfs(server.path("disk"))
    with open(server.path("disk", "filler"), "ab") as f:
        os.posix_fallocate(f.fileno(), 0, os.path.getsize(f.name) + fs.f_bavail * fs.f_frsize - leave)


def make_room(server):
    os.unlink(server.path("disk", "filler"))


def refusal(server):
    """What a client hears that tries to send; None when its message is taken."""
    try:
        accepts(server)
    except Refused as why:
        return why.args[0]
    return None


@pytest.fixture
def on_disk(make_server, tmp_path):
    """A server whose spool is on a small disk of its own."""
    with contextlib.ExitStack() as stack:
        def make(fs):
            conf = make_server.__globals__ if False else None
            server = make_server(start=False, extra=QUICK_RETRY)
            os.mkdir(server.path("disk"))
            stack.enter_context(Disk(server, fs, str(tmp_path), folder="disk", size=DISK))
            with open(server.conf, encoding="utf-8") as f:
                conf = f.read().replace(server.path("spool"), server.path("disk", "spool"))
            with open(server.conf, "w", encoding="utf-8") as f:
                f.write(conf)
            return server.start()
        yield make
