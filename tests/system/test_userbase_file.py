# SPDX-License-Identifier: ISC
"""Accounts of a userbase that stands in a file."""
import os
import time

import homes
import pytest
from postern import wait_for

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
queue retry-min 1s
queue retry-max 1s
lookup cache-time 0s
listen on 127.0.0.1 port 0
table boxes {{ "ann@example.org" = "Ann", "bob@example.org" = "bob", "eve@example.org" = "eve", "all@example.org" = "MEMBERS" }}
table people file:{dir}/people
action "home" maildir "~/Maildir" virtual <boxes> userbase <people>
match from any for domain "example.org" action "home"
"""


@pytest.fixture
def server(make_server):
    s = make_server(CONF.replace("MEMBERS", ", ".join(f"m{n}" for n in range(100))), start=False)
    for name in ("ann", "bob", "new"):
        os.mkdir(s.path(name), 0o755)
        os.chown(s.path(name), s.vmail, s.vmail)
    put(s, f"# accounts\nann {line(s, 'ann')}\nbob: {line(s, 'bob')}\nANN {line(s, 'new')}\neve\n")
    return s.start()


def line(s, name):
    return f"{s.vmail}:{s.vmail}:{s.path(name)}"


def put(s, text):
    homes.write(s, "people.new", text)
    os.rename(s.path("people.new"), s.path("people"))


def test_names_and_what_changes(server):
    """Whatever their case, the first counts; what changed is seen with the next mail, without a reload."""
    server.send(to="ann@example.org")
    server.send(to="bob@example.org")
    homes.wait_counts(server, ann=1, bob=1)
    wait_for(lambda: "agent" not in " ".join(server.pids()), "the agents' end")
    put(server, f"ann {line(server, 'new')}\nbob {line(server, 'bob')}\n")
    server.send(to="ann@example.org")
    homes.wait_counts(server, ann=1, bob=1, new=1)


def test_while_it_is_gone(server):
    """Mail waits; it is there when the file is."""
    server.ctl("pause", "delivery")
    server.send(to="bob@example.org")
    os.rename(server.path("people"), server.path("away"))
    server.ctl("resume", "delivery")
    server.wait_log(r"event=deferred .*to=bob@example.org.*status=4\.")
    os.rename(server.path("away"), server.path("people"))
    homes.wait_counts(server, bob=1)


def test_many_accounts_and_many_questions(server):
    """A hundred thousand are read once, not with each question: the parent has time for others."""
    put(server, "".join(f"x{n} 1:1:/nowhere\n" for n in range(100000)) +
        "".join(f"m{n} {line(server, 'bob')}\n" for n in range(100)))
    server.ctl("update", "table", "people")
    os.utime(server.path("people"), (1, 1))
    wait_for(lambda: os.stat(server.path("people")).st_ctime < time.time() - 3, "it has settled")

    def cpu():
        with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    before = cpu()
    server.send(to="all@example.org")
    homes.wait_counts(server, bob=100)
    assert cpu() - before < 1, cpu() - before
