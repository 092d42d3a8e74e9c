# SPDX-License-Identifier: ISC
"""Power cuts under load: the file system is shut down as it is, unwritten journal and all, and mounted anew."""
import random

import pytest

from disk import Disk
from load import Book, Clients, QUICK_RETRY, Reckoning, accepts, drain
from postern import wait_for

SIZES = (200, 1000, 4000, 70_000)


@pytest.mark.root
@pytest.mark.parametrize("fs,cycles", (("ext4", 20), ("xfs", 8)))
def test_power_cut(make_server, tmp_path, fs, cycles):
    rng, book = random.Random(cycles), Book()
    server = make_server(start=False, extra=QUICK_RETRY)
    with Disk(server, fs, str(tmp_path)) as disk:
        server.start()
        with Clients(server, book, sizes=SIZES, seed=cycles):
            for _ in range(cycles):
                before, more = len(book.promised), rng.randint(1, 80)
                wait_for(lambda: len(book.promised) >= before + more, "messages taken")
                disk.cut()
                book.kill()
                disk.unmount()
                disk.mount()
                server.start()
        drain(server)
        found = Reckoning(server, book).check()
        assert len(book.promised) > cycles and found.delivered >= len(book.promised)


@pytest.mark.root
def test_mailbox_on_its_own_disk(make_server, tmp_path):
    """No other file's sync helps: what the agent called delivered, and the queue forgot, is there after a cut."""
    server = make_server(start=False)
    cuts = 4
    with Disk(server, "ext4", str(tmp_path), folder="mail") as disk:
        for n in range(cuts):
            server.start()
            accepts(server)
            drain(server)
            disk.cut()
            disk.unmount()
            disk.mount()
            got = server.maildir("other")
            assert len(got) == n + 1 and all(m.endswith(b"\nprobe\n") for m in got)
