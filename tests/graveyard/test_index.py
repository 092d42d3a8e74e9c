# SPDX-License-Identifier: ISC
"""The rows of the list of what killed other mail servers: each has a test here, named by its number, or a place elsewhere.

A test is called test_NN_..., with several numbers where one mechanism had several
names.  What a row's mechanism is stands in the test's own first line.  Rows about
parts that are not built yet name the part; theirs are tests of that part.
"""
import glob
import os
import re

import postern

ROWS = range(1, 66)

# Proved by tests of another kind, in other folders.
ELSEWHERE = {
    4: ("tests/unit/test_table_memory.c", "test_questions_cost_no_memory", "a million look-ups of each kind"),
    10: ("tests/hostile/test_peers.py", "test_broken_frames", "frames and descriptors nobody asked for"),
    12: ("tests/hostile/test_admin_socket.py", "test_garbage", "the admin socket"),
    14: ("tests/crash/test_power_cut.py", "test_power_cut", "250 before the disk has it"),
    15: ("tests/crash/test_full_disk.py", "test_no_room", "a full disk at the end of data"),
    21: ("tests/unit/test_maildir.c", "test_no_links", "links in a mailbox's path"),
    24: ("tests/unit/test_base.c", "test_log_long", "the log's formatter"),
    26: ("tests/system/test_tls_secrets.py", "test_keys_are_in_the_vault_alone", "private keys in the memory of others"),
}

# About parts of the server that do not exist yet.
NOT_YET = {
    3: "packaging: set-id files and directories that others may write",
    37: "SPF",
    40: "packaging: no set-id program",
    53: "packaging: scripts of the service",
}


def named():
    """{row: tests} of this folder."""
    found = {}
    for path in sorted(glob.glob(os.path.join(postern.TOP, "tests/graveyard/test_*.py"))):
        with open(path, encoding="utf-8") as f:
            for name in re.findall(r"(?m)^def (test_\w+)\(", f.read()):
                for number in re.match(r"test((?:_\d\d(?=_))*)", name).group(1).split("_")[1:]:
                    found.setdefault(int(number), []).append(name)
    return found


def test_every_row_has_its_place():
    here = named()
    for row in ROWS:
        places = (row in here) + (row in ELSEWHERE) + (row in NOT_YET)
        assert places == 1, f"row {row}: {'nowhere' if not places else 'in several places'}"
    assert set(here) | set(ELSEWHERE) | set(NOT_YET) == set(ROWS)


def test_what_is_elsewhere_is_there():
    for row, (path, name, _) in ELSEWHERE.items():
        with open(os.path.join(postern.TOP, path), encoding="utf-8") as f:
            assert re.search(rf"(?m)^(def )?{name}\(", f.read()), (row, path, name)
