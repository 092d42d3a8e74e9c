# SPDX-License-Identifier: ISC
"""A server whose accounts live in a table: each has a home below the test's directory, and a Maildir in it."""
import os

from postern import wait_for

CONF = """
hostname "mx.test"
queue directory "{{dir}}/spool"
control socket "{{dir}}/smtpd.sock"
queue retry-min 1s
queue retry-max 1s
lookup cache-time 0s
listen on 127.0.0.1 port 0
table people {{{{ {people} }}}}
"""


def conf(names, more):
    """The configuration: {dir} and {vmail} stand for the test's own, "ann" is an account named so."""
    people = ", ".join(f'"{n}" = "{{vmail}}:{{vmail}}:{{dir}}/{n}"' for n in names)
    return CONF.format(people=people) + more


def make(make_server, names, more, start=True, **options):
    server = make_server(conf(names, more), start=False, **options)
    for name in names:
        os.mkdir(server.path(name), 0o755)
        os.chown(server.path(name), server.vmail, server.vmail)
    return server.start() if start else server


def forward(server, name, text):
    """Writes ~/.forward, in one step."""
    path = server.path(name, ".forward")
    with open(path + ".new", "w", encoding="utf-8", newline="") as f:
        f.write(text)
    os.chmod(path + ".new", 0o644)
    os.chown(path + ".new", server.vmail, server.vmail)
    os.rename(path + ".new", path)


def write(server, name, text):
    """A file that the server reads."""
    with open(server.path(name), "w", encoding="utf-8", newline="") as f:
        f.write(text)
    os.chmod(server.path(name), 0o644)
    return server.path(name)


def mail(server, name):
    """The delivered messages' octets."""
    new, out = server.path(name, "Maildir", "new"), []
    for entry in sorted(os.listdir(new)) if os.path.isdir(new) else []:
        with open(os.path.join(new, entry), "rb") as f:
            out.append(f.read())
    return out


def counts(server, *names):
    return [len(mail(server, n)) for n in names]


def wait_counts(server, **wanted):
    """Until each has at least so many, and then: exactly."""
    wait_for(lambda: all(len(mail(server, n)) >= k for n, k in wanted.items()), f"mail for {wanted}")
    assert {n: len(mail(server, n)) for n in wanted} == wanted


def drained(server):
    """Until the queue owes nothing to anybody."""
    wait_for(lambda: server.ctl("show", "queue", "--json").stdout == "", "an empty queue")
