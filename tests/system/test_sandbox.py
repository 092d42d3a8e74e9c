# SPDX-License-Identifier: ISC
"""The walls as they stand in living processes: nothing that is forbidden gets through, whatever the table says.

Each act of lib/role/probe.c is attempted in each real program with its real
rights (smtpd/roles.c), the filter and Landlock on; a sample of them through
the whole server, as root too where the test has it, to see the process die,
the call named in the log, and the next process take its place.
"""
import functools
import os
import re
import select
import shutil
import signal
import subprocess

import pytest

import postern
import table
from ipc import Link
from victim import Victim, program

ROLES = ("session", "queue", "lookup", "delivery", "control", "agent", "vault", "hasher", "table", "fetch")
RELEASE = os.path.join(postern.TOP, "build", "bin")
PROGRAMS = ["smtpd", "smtpctl", *map(program, ROLES)]

SAMPLE = {"execve": "execve", "mount": "mount", "bpf": "bpf", "socket packet": "socket"}  # act: its call


class ParentLink(Link):
    """Keeps the listener of the process's filter, as the real parent does."""

    listener = None

    def take_fd(self, fd):
        if self.listener is None:
            self.listener = fd
        else:
            os.close(fd)


class Suspect(Victim):
    """A process that is told to try things."""

    parent_link = ParentLink

    def serve_once(self, timeout=0):
        m = super().serve_once(timeout)
        if m.type == "probe_result":
            self.answers.append(m)
        return m

    def probe(self, act, run=True):
        """The answer, or None when the process can go no further."""
        self.answers = []
        self.parent.send_raw(table.frame("probe", req=1, act=act, run=int(run)))
        watched = [self.parent.sock] + [self.parent.listener] * (self.parent.listener is not None)
        while not self.answers:
            ready = self.parent.holds_frame() or select.select(watched, [], [], postern.PATIENCE)[0]
            assert ready, "neither an answer nor an end"
            if ready is True or self.parent.sock in ready:
                if not self.hear():
                    return None
            else:
                return None
        return self.answers[0]

    def end(self):
        """Ends it, which may be dead; how it died, None for "it waits for its parent to kill it"."""
        waits = self.parent.listener is not None and \
            bool(select.select([self.parent.listener], [], [], 0)[0]) and self.child.poll() is None
        if waits:
            self.child.kill()
        self.parent.close()
        status = self.child.wait(postern.PATIENCE)
        if self.parent.listener is not None:
            os.close(self.parent.listener)
        self.stderr.close()
        shutil.rmtree(self.directory)
        return None if waits else status


@functools.lru_cache(maxsize=None)
def acts():
    """The names of all acts, in order."""
    s, names = Suspect("control"), []
    while True:
        name = s.probe(len(names), run=False).name
        if name == "":
            break
        names.append(name)
    s.end()
    return names


@pytest.mark.parametrize("role", ROLES)
def test_every_act(role):
    """Each dies at the filter's hand, or is refused with the error that was declared, or is the role's right."""
    died, survivors, suspect = 0, [], Suspect(role)
    for n, name in enumerate(acts()):
        answer = suspect.probe(n)
        if answer is not None:
            if not answer.as_declared:
                survivors.append((name, "survived" if answer.survived else os.strerror(answer.error)))
            continue
        died += 1
        status = suspect.end()
        if status not in (None, -signal.SIGSYS):
            survivors.append((name, f"died of {status}, not by the filter"))
        suspect = Suspect(role)
    suspect.end()
    assert not survivors
    assert len(acts()) >= 40 and died >= 40


def pids_of(server, role):
    return {pid for name, pid in server.pids().items() if name.startswith(program(role).removeprefix("smtpd-") + "/")}


def forbidden(server, role, name, call):
    """Has a process of the running server do it: killed, the call named in the log, and succeeded by another."""
    said, before = len(server.log), pids_of(server, role)
    ctl = subprocess.Popen([f"{server.build}/bin/smtpctl", "-s", server.path("smtpd.sock"), "probe", role,
                            str(acts().index(name))], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    try:
        server.wait_log(rf"event=forbidden-call process={role}/0 pid=\d+ call={call} ", after=said)
    finally:
        ctl.kill()      # no answer will come, and smtpctl asks a second time where control was lost
        ctl.wait()
    server.wait_log(rf"event=restarted process={role}/0", after=said)
    postern.wait_for(lambda: len(now := pids_of(server, role)) == len(before) and now != before, "another process")


@pytest.fixture(scope="module")
def whole_server():
    """One that has every process there is; nobody listens where its table is, and its tokens come from."""
    s = postern.Server(extra='table pg postgres:{dir}/pg.conf\nmatch from any for domain <pg> action "demo"\n'
                       'vault key "{dir}/vault.key"\nvault directory "{dir}/vault"\n'
                       'oauth own user a@b client-id c auth-url https://127.0.0.1:1/ token-url https://127.0.0.1:1/\n')
    with open(s.path("pg.conf"), "w", encoding="ascii") as f:
        f.write("conninfo hostaddr=127.0.0.1 port=1 user=nobody\nquery_domain SELECT 1 WHERE $1 = 'x'\n")
    yield s.start()
    s.cleanup()


@pytest.mark.parametrize("role", [r for r in ROLES if r != "agent"])
def test_a_forbidden_call_is_named_and_the_process_replaced(whole_server, role):
    for name, call in SAMPLE.items():
        forbidden(whole_server, role, name, call)
    whole_server.send()


def test_show_sandbox_is_content(server):
    server.send()
    server.wait_mail()
    shown = server.ctl("show", "sandbox").stdout
    assert "weaker" not in shown
    vault = shown[shown.index("\nvault/0"):]
    assert re.search(r"^  calls +12 ", vault, re.M) and re.search(r"^  rights +core$", vault, re.M)


# -- what a process holds -----------------------------------------------------

def descriptors(pid):
    """{number: what it is} without numbers of inodes."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(fd)] = re.sub(r":\[\d+\]$", "", os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            continue
    return found


LIBEVENT = 2  # ends of the pipe that it would tell itself of signals by
EXPECTED = {
    # beyond 0 and 1 (/dev/null), 2 and the parent's channel: the loop, links, sockets, files it was handed
    "session": r"socket|anon_inode:\[eventpoll\]",
    "queue": r"socket|anon_inode:\[eventpoll\]|.*/spool(/spool\.db(-wal|-shm)?)?",
    "lookup": r"socket|anon_inode:\[eventpoll\]|/.*",
    "delivery": r"socket|anon_inode:\[eventpoll\]",
    "control": r"socket|anon_inode:\[eventpoll\]",
    "vault": r"socket|anon_inode:\[eventpoll\]",
    "hasher": r"socket|anon_inode:\[eventpoll\]",
}


def test_no_descriptor_leaks(server):
    """Each process holds what it was sent, and a day's work adds nothing."""
    for _ in range(3):
        server.send()
    server.wait_mail(3)
    first = {name: descriptors(pid) for name, pid in server.pids().items() if not name.startswith("agent")}
    for name, held in first.items():
        role = name.split("/")[0]
        assert held[0] == held[1] == "/dev/null", (name, held)
        assert held[2].startswith("pipe") and held[3] == "socket", (name, held)
        others = {fd: what for fd, what in held.items() if fd > 3 and what != "pipe"}
        assert len(held) <= 4 + LIBEVENT + len(others), (name, held)
        for fd, what in others.items():
            assert re.fullmatch(EXPECTED[role], what), (name, fd, what)
    for n in range(4, 24):
        server.send()
    server.wait_mail(23)

    def settled():
        now = {name: descriptors(pid) for name, pid in server.pids().items()}
        return all(len(now[name]) <= len(held) + (1 if name.startswith("delivery") else 0)
                   for name, held in first.items())
    postern.wait_for(settled, "descriptors as before")


# -- what is built ------------------------------------------------------------

def output(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.skipif(not os.path.isdir(RELEASE), reason="no release build here")
class TestRelease:
    def test_holds_no_probe(self, program):
        text = output("strings", "-a", f"{RELEASE}/{program}")
        assert "postern-probe" not in text and "probe_result" not in text
        assert "role_probe_run" not in output("readelf", "-sW", f"{RELEASE}/{program}")

    def test_is_hardened(self, program):
        path = f"{RELEASE}/{program}"
        assert "DYN (" in output("readelf", "-hW", path)
        segments = output("readelf", "-lW", path)
        assert "GNU_RELRO" in segments
        assert re.search(r"GNU_STACK\s.*\sRW\s", segments), "the stack is executable"
        assert not re.search(r"^\s+LOAD\s.*\sRWE\s", segments, re.M), "memory both writable and executable"
        dynamic = output("readelf", "-dW", path)
        assert "BIND_NOW" in dynamic and "PIE" in dynamic
        assert not re.search(r"RPATH|RUNPATH|TEXTREL", dynamic)
        symbols = output("readelf", "-sW", "--dyn-syms", path)
        assert "__stack_chk_fail" in symbols and re.search(r"__\w+_chk@", symbols)

    def test_is_not_set_id(self, program):
        assert os.stat(f"{RELEASE}/{program}").st_mode & 0o6022 == 0


LINKED = {"sqlite3": {"smtpd-queue", "smtpd-hasher", "smtpd-lookup"}, "unbound": {"smtpd-lookup"},
          "cdb": {"smtpctl"},
          "tls": {"smtpd-delivery", "smtpd-session"},
          "crypto": {"smtpd-session", "smtpd-vault", "smtpd-hasher", "smtpd-delivery", "smtpctl"},
          "curl": {"smtpd-fetch"}, "jansson": {"smtpd-vault"},
          "crypt": {"smtpd-vault", "smtpd-hasher", "smtpctl"},
          "pq": {"smtpd-table-postgres"},
          "seccomp": {p for p in PROGRAMS if p != "smtpctl"}}


@pytest.mark.skipif(not os.path.isdir(RELEASE), reason="no release build here")
@pytest.mark.parametrize("library", LINKED)
def test_only_who_needs_a_library_has_it(library):
    """One program, one job: what a process does not map it cannot be made to run."""
    have = {p for p in PROGRAMS if re.search(rf"NEEDED.*\[lib{library}\.so", output("readelf", "-dW", f"{RELEASE}/{p}"))}
    assert have <= LINKED[library] and have


# -- the traps of a jail ------------------------------------------------------

@pytest.mark.parametrize("zone,offset", [("Asia/Tokyo", "+0900"), ("America/Caracas", "-0400")])
def test_dates_carry_the_zone_of_the_host(make_server, monkeypatch, zone, offset):
    """Out of sight of /etc/localtime the C library falls back to UTC; Received must not."""
    monkeypatch.setenv("TZ", f":/usr/share/zoneinfo/{zone}")
    s = make_server()
    s.send()
    mail = s.wait_mail()[0].decode()
    assert re.search(r"for <demo@example.org>;\s+.* %s\b" % re.escape(offset), mail), mail
