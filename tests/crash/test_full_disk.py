# SPDX-License-Identifier: ISC
"""A full disk: 452 4.3.1, nothing lost, and all by itself well again when there is room."""
import contextlib
import os
import random
import threading

import pytest

from disk import MB, Disk
from load import Book, Clients, QUICK_RETRY, Reckoning, Refused, accepts, counters, drain, stuffed
from postern import PATIENCE, wait_for

pytestmark = pytest.mark.root
DISK = 64 * MB
RESERVE = 16 * MB       # what the queue keeps free for what is under way
BIG = 4 * MB
TOGETHER = 10


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


def fill_to_the_last(server):
    fill(server, MB)
    with contextlib.suppress(OSError), open(server.path("spool", "filler"), "ab", 0) as f:
        while True:
            f.write(bytes(4096))


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


def test_not_an_octet_left(server):
    """The queue can't even write down what was delivered: it must not be delivered again for that."""
    server.ctl("pause", "delivery")
    for _ in range(3):
        accepts(server)
    fill_to_the_last(server)
    server.ctl("resume", "delivery")
    server.wait_mail(3, user="other")
    server.wait_log("event=.*-not-stored")
    tries = counters(server)["queue.delivered"]
    make_room(server)
    drain(server)
    assert tries == 3 and len(server.maildir("other")) == 3


def test_more_mail_than_disk(server):
    """What was delivered makes room for what comes: twice the disk's size goes through, full as it is at times."""
    book = Book()
    with Clients(server, book, n=3, sizes=(BIG,)):
        wait_for(lambda: len(book.promised) * BIG > 2 * DISK, "mail is taken", 2 * PATIENCE)
    drain(server)
    Reckoning(server, book).check()
    assert not set(book.replies) - {250, 452}, book.replies


def send_late(server, book, gate, number):
    """Is let in while there is room, and sends when all the others were let in too."""
    number, text = book.open(BIG, random.Random(number))
    with server.raw() as c:
        c.reply()
        for command in ("EHLO client.test", "MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>"):
            c.cmd(command)
        assert c.cmd("DATA")[0] == 354
        gate.wait(PATIENCE)
        c.send(stuffed(text))
        book.ended.add(number)
        c.send(b".\r\n")
        code, _ = c.reply()
        if code == 250:
            book.promise(number)
        else:
            book.reply(code)


def test_room_ends_under_way(server):
    """More is under way than the disk can hold: it is full to its last block in the middle of messages."""
    book, gate = Book(), threading.Barrier(TOGETHER)
    server.ctl("pause", "delivery")
    fill(server, RESERVE + MB)
    threads = [threading.Thread(target=send_late, args=(server, book, gate, n)) for n in range(TOGETHER)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(2 * PATIENCE)
    assert book.replies[452] > 0 and sum(book.replies.values()) == TOGETHER, book.replies
    make_room(server)
    wait_for(lambda: refusal(server) is None, "mail is taken again")
    server.ctl("resume", "delivery")
    drain(server)
    Reckoning(server, book).check()
