# SPDX-License-Identifier: ISC
"""A full disk: 452 4.3.1, nothing lost, and all by itself well again when there is room."""
import os

import pytest

from disk import MB, Disk
from load import Book, Clients, QUICK_RETRY, Reckoning, Refused, accepts, drain
from postern import wait_for

pytestmark = pytest.mark.root
DISK = 64 * MB
RESERVE = 16 * MB       # what the queue keeps free for what is under way
BIG = 3 * MB


@pytest.fixture(params=("ext4", "tmpfs"))
def server(request, make_server, tmp_path):
    """Its spool is on a small disk of its own."""
    s = make_server(extra=QUICK_RETRY)
    s.stop()
    with Disk(s, request.param, str(tmp_path), folder="spool", size=DISK):
        yield s.start()


def fill(server, leave):
    """All but so many octets of the disk are somebody else's."""
    fs = os.statvfs(server.path("spool"))
    with open(server.path("spool", "filler"), "wb") as f:
        os.posix_fallocate(f.fileno(), 0, fs.f_bavail * fs.f_frsize - leave)


def make_room(server):
    os.unlink(server.path("spool", "filler"))


def refusal(server):
    """What a client hears; None when its message is taken."""
    try:
        accepts(server)
    except Refused as why:
        return why.args[0]
    return None


def test_no_room(server):
    """Refused before the body is sent; what is in the queue goes out all the same."""
    server.ctl("pause", "delivery")
    for _ in range(3):
        accepts(server)
    fill(server, RESERVE - MB)
    for _ in range(3):
        code, text = refusal(server)
        assert code == 452 and text.startswith("4.3.1 ")
    server.ctl("resume", "delivery")
    server.wait_mail(3, user="other")
    assert refusal(server)[0] == 452
    make_room(server)
    wait_for(lambda: refusal(server) is None, "mail is taken again")
    drain(server)
    assert len(server.maildir("other")) == 4


def test_room_ends_under_way(server):
    """More is under way than the reserve holds: the disk is full to its last block in the middle of messages."""
    book = Book()
    server.ctl("pause", "delivery")
    fill(server, RESERVE + BIG)
    with Clients(server, book, n=10, sizes=(1000, BIG, BIG)):
        wait_for(lambda: book.replies[452] >= 20, "452")
        assert set(book.replies) <= {250, 452}, book.replies
        make_room(server)
        before = len(book.promised)
        server.ctl("resume", "delivery")
        wait_for(lambda: len(book.promised) > before + 10, "mail is taken again")
    drain(server)
    Reckoning(server, book).check()
    assert len(book.ended) > len(book.promised), "none was refused at its end: the disk never was full"
