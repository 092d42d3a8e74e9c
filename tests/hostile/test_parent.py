# SPDX-License-Identifier: ISC
"""The root process and a child in wrong hands: a script that stands in for a program of the server.

The parent cuts it off, kills it and starts another; it never stops, never
runs what it should not, and goes on serving whoever is left.
"""
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time

import pytest

import postern
import table
from postern import wait_for

PROGRAMS = ("session", "queue", "lookup", "delivery", "agent", "control", "vault", "hasher", "fetch")

CHILD = """#!/usr/bin/python3
import array, json, os, socket, sys, time
plan = json.load(open(__file__ + ".json"))
parent = socket.socket(fileno=3)
parent.setblocking(True)
for octets, nfds in plan["frames"]:
    while octets == "":
        if os.path.exists(__file__ + ".go"):
            break
        time.sleep(0.01)
    fds = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * nfds))] if nfds else []
    try:
        data = bytes.fromhex(octets)
        if data:
            data = data[parent.sendmsg([data], fds):]
            parent.sendall(data)
    except OSError:
        break
if plan["close"]:
    parent.close()
    while b"/smtpd" in open("/proc/%d/cmdline" % os.getppid(), "rb").read():
        time.sleep(0.1)
    sys.exit()
while parent.recv(65536):
    pass
"""

ENTERED = table.frame("entered", landlock_denies=1, privileges_gone=1, landlock_abi=7, nsyscalls=30)


class Server(postern.Server):
    """The real parent; one of its programs is the script."""

    def __init__(self, role, frames, close=False, entered=True, extra=""):
        build = tempfile.mkdtemp(prefix="postern-")
        os.chmod(build, 0o755)
        os.mkdir(f"{build}/bin")
        for name in ["smtpd", "smtpctl", *(f"smtpd-{r}" for r in PROGRAMS if r != role)]:
            os.symlink(f"{postern.BUILD}/bin/{name}", f"{build}/bin/{name}")
        path = self.child = f"{build}/bin/smtpd-{role}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(CHILD)
        os.chmod(path, 0o755)
        with open(path + ".json", "w", encoding="utf-8") as f:
            frames = [(ENTERED, 0)] * entered + frames
            json.dump({"frames": [(o.hex(), n) for o, n in frames], "close": close}, f)
        super().__init__(build=build, extra=extra)

    def start(self):
        self.process = subprocess.Popen(self.argv("-d", "-v"), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self.reader.start()
        self.wait_log("event=started")
        return self

    def go(self):
        """It waits for that at a frame without octets."""
        with open(self.child + ".go", "w", encoding="ascii"):
            pass

    def cleanup(self):
        super().cleanup()
        shutil.rmtree(self.build)


@pytest.fixture
def with_child():
    servers = []

    def make(*args, **more):
        servers.append(Server(*args, **more))
        return servers[-1].start()
    yield make
    for s in servers:
        assert s.process.poll() is None, s.log[-5:]
        s.kill()  # a script does not heed an order to drain
        s.cleanup()


def breaches():
    """One of each kind; all of them would be a restart each."""
    seen = {}
    for what, octets, fds, ends in table.broken_frames("delivery", "parent"):
        kind = re.sub(r"\d+", "n", re.sub(r"^\w+(\.\w+)? (?!octets)", "", what)) if "." in what or " is not" in what \
            else what
        if not ends:
            seen.setdefault(kind, pytest.param(octets, fds, id=what))
    return list(seen.values())


@pytest.mark.parametrize("octets,fds", breaches())
def test_a_breach_costs_the_child_its_life(with_child, octets, fds):
    s = with_child("delivery", [(octets, fds)])
    s.wait_log(r"event=peer-cut-off peer=delivery")
    s.wait_log(r"event=process-ended process=delivery/0 .*name=KILL")
    s.wait_log(r"event=restarted process=delivery/0")
    with s.smtp() as c:
        assert c.ehlo()[0] == 250


@pytest.mark.parametrize("role", ["session", "lookup", "delivery", "vault", "hasher"])
def test_valid_frames_without_sense(with_child, role):
    """Questions, answers and claims at random, thousands of them."""
    dice = random.Random(role)
    names = [n for n in table.allowed(role, "parent") if n not in ("entered", "seccomp_listener", "probe_result")]
    frames = [(table.frame(dice.choice(names), high=dice.random() < 0.5, req=dice.getrandbits(32)), 0)
              for _ in range(2000)] + [(table.frame("log", level=2, line=b"the-last-word"), 0)]
    s = with_child(role, frames)
    s.wait_log("the-last-word")
    # The script has no filter, whatever it says of itself, and that is seen.
    shown = s.ctl("show", "sandbox", check=False)
    assert shown.returncode != 0 and "weaker than declared" in shown.stdout


def test_a_line_stays_a_line(with_child):
    """What a child logs stands under its name, on one line, without a control character."""
    forged = b"x\nsmtpd: info: event=forged\r\x1b[2J\x7f\xc3\xa9"
    s = with_child("delivery", [(table.frame("log", level=2, line=forged), 0)])
    line = s.wait_log("event=forged")
    assert re.search(r"delivery\[\d+\]: x\\x0asmtpd: info", line) and line.isascii() and line.isprintable()


def test_agents_for_nobody(with_child):
    """An agent for root, for a name that is no name, outside of every mailbox: refused, and none is run."""
    asks = [{"action": "demo", "user": b"root"}, {"action": "none", "user": b"vmail"},
            {"action": "demo", "user": b"../../etc"}, {"action": "demo", "user": b""},
            {"action": "demo", "user": b"vmail\x01", "path": b"x"}]
    frames = [(table.frame("agent_start", req=n, **{k: v.encode() if isinstance(v, str) else v for k, v in a.items()}), 0)
              for n, a in enumerate(asks, 1)]
    s = with_child("delivery", frames + [(table.frame("log", level=2, line=b"the-last-word"), 0)])
    s.wait_log("the-last-word")
    assert not [n for n in s.pids() if n.startswith("agent")]


@pytest.mark.root
def test_agents_for_another():
    """Where smtpd.conf says who it is that all mail is delivered as, delivery has no say."""
    s = Server("delivery", [(table.frame("agent_start", req=1, action=b"demo", user=b"other", path=b"box"), 0)])
    other = s.vmail + 1
    s.write_conf(s.CONF.replace(' userbase', ' user vmail userbase')
                 .replace('table owners {{', f'table owners {{{{ "other" = "{other}:{other}:{{dir}}/mail",'))
    try:
        s.start()
        wait_for(lambda: os.path.isdir(s.path("mail", "box", "new")), "an agent in the mailbox")
        assert os.stat(s.path("mail", "box")).st_uid == s.vmail
    finally:
        s.kill()
        s.cleanup()


def test_agents_without_end(with_child):
    """As many as it may have, and no more."""
    frame = table.frame("agent_start", action=b"demo", user=b"vmail", path=b"example.org/x")
    s = with_child("delivery", [(frame, 0)] * 300 + [(table.frame("log", level=2, line=b"the-last-word"), 0)])
    s.wait_log("the-last-word")
    assert len([n for n in s.pids() if n.startswith("agent")]) <= 128
    with s.smtp() as c:
        assert c.ehlo()[0] == 250


def test_a_flood_of_lines(with_child):
    """A hundred thousand lines are the log's burden, not the parent's memory."""
    line = (table.frame("log", level=2, line=b"y" * 1000) * 100, 0)
    s = with_child("lookup", [line] * 1000 + [(table.frame("log", level=2, line=b"the-last-word"), 0)])
    s.wait_log("the-last-word")
    with open(f"/proc/{s.process.pid}/status", encoding="ascii") as f:
        assert int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) < 64 << 10


def test_entering_twice(with_child):
    s = with_child("lookup", [(ENTERED, 0)])
    s.wait_log(r"event=peer-cut-off peer=lookup .*entered twice")


def test_a_child_that_hangs_up_but_stays(with_child):
    """It has its links still: it must not live on without its parent's hand on it."""
    s = with_child("lookup", [], close=True)
    s.wait_log(r"event=killed process=lookup/0 ")
    s.wait_log(r"event=restarted process=lookup/0")


def test_a_listener_that_is_none(with_child):
    """What it calls its seccomp listener is /dev/null; that is its own loss."""
    frames = [(table.frame("seccomp_listener"), 1), (ENTERED, 0), (table.frame("log", level=2, line=b"last"), 0)]
    s = with_child("lookup", frames, entered=False)
    s.wait_log(r"event=violations-unwatched process=lookup/0|last")


# -- what questions cost ------------------------------------------------------

STRANGE = [b"", b".", b"..", b"-x", b"--help", b"a/b", b"../../etc/passwd", b"x\ny", b"x\r", b"*", b"%s%n", b"x" * 64,
           b"\xff\xfe", b"$(id)", b"nobody:x", b"0", b"root", b"vmail", b"nobody"]
TABLES = [b"owners", b"users", b"none", b"", b"../owners", b"owners\n"]
QUESTIONS = {
    "lookup": [("user", {"name": n}) for n in STRANGE] +
              [("forward_get", {"user": n, "userbase": t}) for n in STRANGE for t in TABLES] +
              [("userinfo", {"value": v}) for v in (b"", b"0:0:/", b"x", b"1:1:/tmp", b"::", b"-1:-1:/x")],
    "delivery": [("agent_start", {"action": a, "user": n, "path": p}) for n in STRANGE for a in (b"demo", b"none")
                 for p in (b"example.org/x", b"../x", b"/etc", b"", b"a//b", b"x\ny")] + [("agent_end", {})] +
                [("lmtp_connect", {"action": a}) for a in (b"demo", b"none", b"/run/x", b"")],
    "vault": [("shadow", {"name": n}) for n in STRANGE] + [("helper_get", {"table": t}) for t in TABLES] +
             [("seal", {"name": n, "data": d}) for n in STRANGE for d in (b"", b"x")],
    "control": [("table_update", {"table": t}) for t in TABLES] + [("stats", {}), ("procs", {})] +
               [("pause", {"what": 1, "on": on}) for on in (0, 1)],
}


def descriptors(s):
    return sorted(os.listdir(f"/proc/{s.process.pid}/fd"))


def dead(s):
    return [pid for pid in s._children() if "\nState:\tZ" in open(f"/proc/{pid}/status", encoding="ascii").read()]


@pytest.mark.parametrize("role", QUESTIONS)
def test_questions_leave_nothing_behind(with_child, role):
    """A thousand of each kind, most of them refused: no descriptor, no process, no dead child is left."""
    dice = random.Random(role)
    kinds = sorted({k for k, _ in QUESTIONS[role]})
    few = []
    for kind in kinds:
        of_kind = [q for q in QUESTIONS[role] if q[0] == kind]
        few += [dice.choice(of_kind) for _ in range(1000)]
    dice.shuffle(few)
    asks = [(table.frame(name, req=n, **values), 0) for n, (name, values) in enumerate(few, 1)]
    s = with_child(role, [(b"", 0)] + asks + [(table.frame("log", level=2, line=b"the-last-word"), 0)])
    with open(s.path("mail", ".forward"), "w", encoding="ascii") as f:
        f.write("demo@example.net\n")
    if postern.ROOT:
        os.chown(f.name, s.vmail, s.vmail)
    os.chmod(f.name, 0o600)
    before = settled(s)
    s.go()
    s.wait_log("the-last-word", 60)
    wait_for(lambda: len(descriptors(s)) <= len(before) and not dead(s), f"descriptors: {before}", 60)
    assert not [line for line in s.log if re.search(r"event=(process-ended|peer-cut-off) .*" + role, line)]


OAUTH = """
vault key "{dir}/vault.key"
vault directory "{dir}/vault"
oauth "own" user me@example.net client-id x grant device device-url "https://id.test/d" token-url "https://id.test/t"
"""


@pytest.mark.parametrize("extra, kept", [(OAUTH, {"own": b"the last"}), (OAUTH.rpartition("oauth")[0], None)],
                         ids=["oauth", "none"])
def test_only_what_is_configured_is_kept(with_child, extra, kept):
    """A vault in wrong hands has one small file for each oauth of the configuration, and no more of the disk."""
    names = [n for n in [*STRANGE, b"other", b".new", b"own.new"] if len(n) <= 64]
    asks = [table.frame("seal", req=1, name=n, data=b"x" * 9000) for n in names]
    asks += [table.frame("seal", req=2, name=b"own", data=d) for d in (b"the first", b"the last")]
    s = with_child("vault", [(f, 0) for f in asks] + [(table.frame("log", level=2, line=b"the-last-word"), 0)],
                   extra=extra)
    s.wait_log("the-last-word")
    if kept is None:
        assert not os.path.exists(s.path("vault"))
        return
    found = {}
    for name in os.listdir(s.path("vault")):
        with open(s.path("vault", name), "rb") as f:
            found[name] = f.read()
    assert found == kept


def settled(s):
    """The parent's descriptors, when they are the same for a while."""
    last, since = descriptors(s), time.monotonic()
    while time.monotonic() - since < 0.5:
        if descriptors(s) != last:
            last, since = descriptors(s), time.monotonic()
        time.sleep(0.02)
    return last
