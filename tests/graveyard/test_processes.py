# SPDX-License-Identifier: ISC
"""What the processes have open, where clients come from, and what the sources must not contain."""
import contextlib
import ctypes
import glob
import os
import re
import socket
import subprocess
import threading

import pytest

import postern
from evil import Evil, assert_well, hard_server
from postern import Server, wait_for

# Descriptor targets that a role may have besides its links to other roles: patterns of readlink, at most so many.
COMMON = [(r"/dev/null", 3), (r"pipe:\[\d+\]", 3), (r"anon_inode:\[eventpoll\]", 1),
          (r"anon_inode:\[(eventfd|timerfd|signalfd)\]", 3)]
FILES = {
    "session": [], "lookup": [], "control": [], "delivery": [],
    "queue": [(r"{dir}/spool(/.*)?", 12), (r"/memfd:.*|/dev/shm/.*", 2)],
    "agent": [(r"{dir}/mail(/.*)?", 6)],
}


def targets(pid):
    out = {}
    with contextlib.suppress(FileNotFoundError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                out[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return out


def tcp_inodes():
    """Inodes of TCP sockets by state: "0A" listens."""
    out = {}
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(path, encoding="ascii") as f:
            out.update({f"socket:[{row.split()[9]}]": row.split()[3] for row in f.readlines()[1:]})
    return out


def check_descriptors(server, name, found):
    role = name.split("/")[0]
    allowed = COMMON + [(p.replace("{dir}", re.escape(server.dir)), n) for p, n in FILES[role]]
    counts, tcp = [0] * len(allowed), tcp_inodes()
    for fd, target in found.items():
        if target.startswith("socket:"):
            assert target not in tcp or role == "session", (name, fd, target)
            continue
        hits = [n for n, (pattern, _) in enumerate(allowed) if re.fullmatch(pattern, target)]
        assert hits, (name, fd, target)
        counts[hits[0]] += 1
    assert all(count <= most for count, (_, most) in zip(counts, allowed)), (name, counts, sorted(found.values()))
    if role == "agent":
        assert sum(t.startswith("socket:") for t in found.values()) <= 2, found


def test_35_52_descriptors_of_every_process(make_server):
    """With clients connected and mail on its way: no process has a file, a listener or a client's socket that is not its own."""
    server = make_server()
    agents, done = {}, threading.Event()

    def watch():
        while not done.is_set():
            for path in glob.glob(f"/proc/{server.process.pid}/task/*/children"):
                with contextlib.suppress(OSError), open(path, encoding="ascii") as f:
                    for pid in f.read().split():
                        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as c:
                            if c.read().split(b"\0")[0].endswith(b"smtpd-agent") and Server._entered(pid):
                                agents[pid] = targets(pid)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        clients = [Evil(server).envelope().to("DATA") for _ in range(5)]
        for n in range(200):
            server.send(body=f"Subject: {n}\r\n\r\nx\r\n")
            if agents and n > 20:
                break
        pids = server.pids()
        for role in ("session", "lookup", "control", "delivery", "queue"):
            for name, pid in pids.items():
                if name.startswith(role + "/"):
                    check_descriptors(server, name, targets(pid))
        for c in clients:
            c.close()
    finally:
        done.set()
        watcher.join()
    assert agents, "no agent was seen"
    for pid, found in agents.items():
        check_descriptors(server, "agent/" + pid, found)
    # What an exec would hand on: the close-on-exec mark is on every descriptor but the three.
    for pid in [server.process.pid, *server.pids().values()]:
        for fd in targets(pid):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
                flags = int(re.search(r"flags:\s+(\d+)", f.read()).group(1), 8)
                assert fd <= 3 or flags & os.O_CLOEXEC, (pid, fd, targets(pid).get(fd))


def test_35_descriptors_are_given_back(hard):
    """Hundreds of clients that end in every way: as many descriptors as before."""
    def count():
        return {n: len(targets(p)) for n, p in hard.pids().items() if n.split("/")[0] in ("session", "lookup")}
    assert_well(hard)
    before = count()
    for n in range(300):
        c = Evil(hard, greeted=bool(n % 3))
        if n % 3:
            c.send("EHLO a.example\r\n" if n % 2 else "EHLO ")
        c.reset() if n % 5 else c.close()
    wait_for(lambda: all(count().get(k, 0) <= v for k, v in before.items()), "the descriptors")


# -- addresses of clients -----------------------------------------------------------

CLONE_NEWNET = 0x40000000


@pytest.mark.root
def test_06_client_with_a_scope():
    """A client from a link-local address, with a scope: it is read back wherever it was written."""
    libc = ctypes.CDLL(None, use_errno=True)
    failures = []

    def own_network():
        if libc.unshare(CLONE_NEWNET) == -1:
            failures.append("skip")
            return
        try:
            for command in ("ip link set lo up", "ip link add v0 type veth peer name v1",
                            "ip addr add fe80::1/64 dev v0 nodad",
                            "ip addr add fe80::2/64 dev v1 nodad", "ip link set v0 up", "ip link set v1 up"):
                subprocess.run(command.split(), check=True)
            scoped()
        except BaseException as e:  # told to the test's own thread
            failures.append(e)

    def scoped():
        server = Server(Server.CONF.replace("127.0.0.1 port 0", ":: port 0"))
        try:
            server.start()
            for n, (host, *scope) in enumerate((("fe80::1", 0, socket.if_nametoindex("v0")), ("::1",),
                                                ("fe80::2", 0, socket.if_nametoindex("v1")))):
                with client(host, server.port, *scope) as c:
                    assert c.reply()[0] == 220
                    for command in ("EHLO client.test", "MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>"):
                        assert c.cmd(command)[0] == 250, command
                    assert c.cmd("DATA")[0] == 354
                    assert c.cmd("Subject: x\r\n\r\nx\r\n.")[0] == 250
                mail = server.wait_mail(n + 1)
                assert any(f"[IPv6:{host}]".encode() in m for m in mail), (host, mail)
            assert_well(server, mail=False)
        finally:
            server.cleanup()

    def client(*where):
        c = postern.Raw.__new__(postern.Raw)    # which knows no scopes
        c.sock, c.buffer = socket.socket(socket.AF_INET6), b""
        c.sock.settimeout(postern.PATIENCE)
        c.sock.connect(where)
        return c

    thread = threading.Thread(target=own_network)
    thread.start()
    thread.join()
    if failures == ["skip"]:
        pytest.skip("no network namespace can be made")
    for e in failures:
        raise e


@pytest.mark.parametrize("address",
                         ("fe80::1%lo", "IPV6:fe80::1%lo", "IPV6:fe80::1%999999999", "IPV6:::ffff:192.0.2.1%1",
                          "192.0.2.1%0", "IPV6:" + "0:" * 7 + "0%" + "x" * 300,
                                     "[IPV6:::1]", "unix", "/run/x", "192.0.2.1:25", "IPV6:1::2::3", "0300.0.2.1",
                                     "192.0.2.1 ADDR=192.0.2.2", "192.0.2.1+0D+0A"))
def test_06_address_of_a_wrong_form(xclient, address):
    with Evil(xclient) as c:
        c.to("EHLO evil.example")
        assert c.say(f"XCLIENT ADDR={address}") == "501 5.5.4"
        assert c.say("NOOP") == "250 2.0.0"


@pytest.mark.parametrize("address",
                         ("IPV6:fe80::1", "IPV6:::ffff:192.0.2.1", "IPV6:::", "IPV6:::1", "IPV6:2001:db8::1",
                          "0.0.0.0", "255.255.255.255", "224.0.0.1", "IPV6:ff02::1"))
def test_06_address_of_every_family(xclient, address):
    """Whoever the client is said to be, mail from there is taken, and its address is in the trace as it can be read again."""
    with Evil(xclient) as c:
        c.to("EHLO balancer.example")
        assert c.cmd(f"XCLIENT ADDR={address}")[0] == 220
        c.envelope("other@example.org").to("DATA")
        assert c.say(f"Subject: {address}\r\n\r\nx\r\n.\r\n".encode()) == "250 2.0.0"
    wait_for(lambda: [m for m in xclient.maildir("other") if f"Subject: {address}\n".encode() in m], "the message")
    mail = [m for m in xclient.maildir("other") if f"Subject: {address}\n".encode() in m][0]
    literal = re.search(rb"\[(?:IPv6:)?([0-9a-f.:]+)\]", mail).group(1).decode()
    given = address.removeprefix("IPV6:")
    family = socket.AF_INET6 if ":" in literal else socket.AF_INET
    packed = socket.inet_pton(family, literal)
    want = socket.inet_pton(socket.AF_INET6 if ":" in given else socket.AF_INET, given)
    assert packed == want or want == bytes(10) + b"\xff\xff" + packed


@pytest.fixture(scope="module")
def xclient():
    s = hard_server(Server.CONF.replace("port 0", "port 0 xclient {{ 127.0.0.1 }}"))
    yield s
    assert_well(s)
    s.cleanup()


# -- the sources --------------------------------------------------------------------

def code(*folders):
    """(path, text without comments and strings) of the server's sources."""
    for folder in folders or ("smtpd", "session", "queue", "lookup", "delivery", "control", "lib"):
        for path in glob.glob(os.path.join(postern.TOP, folder, "**", "*.c"), recursive=True):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            yield os.path.relpath(path, postern.TOP), re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', '""', text, flags=re.S)


def users(pattern, *folders):
    return {path for path, text in code(*folders) if re.search(pattern, text)}


def test_01_65_no_shell_is_ever_started():
    """Programs are started by their path and arguments, by the parent alone."""
    assert users(r"\b(system|popen|wordexp|execlp|execvp|execl|execle)\s*\(") == set()
    assert users(r"\b(execve|execv|fexecve|posix_spawn\w*|v?fork|clone)\s*\(") <= {p for p, _ in code("smtpd")}


def test_08_no_stack_that_input_sizes():
    """No alloca, no variable-length array: the build says -Wvla, and nothing silences it."""
    assert users(r"\balloca\s*\(|#pragma") == set()
    with open(os.path.join(postern.TOP, "Makefile"), encoding="utf-8") as f:
        assert re.search(r"(?m)^WARNINGS.*(\n.*)?-Wvla", f.read())


def test_39_statements_of_sql_are_constants():
    """What comes from outside is bound to a statement, never a part of one; tests/system/test_table_sqlite.py tries."""
    everywhere = ("smtpd", "session", "queue", "lookup", "delivery", "control", "vault", "table", "lib")
    assert all(p.startswith(("queue/", "lib/sqlite/")) for p in users(r"\bsqlite3_\w+\s*\(", *everywhere))
    # One is made of names: a column's of the administrator's database, as SQLite itself quotes them.
    assert users(r"\bsqlite3_(v?m?s?n?printf|vmprintf|get_table)\s*\(", *everywhere) == {"lib/sqlite/source.c"}
    with open(os.path.join(postern.TOP, "lib/sqlite/source.c"), encoding="utf-8") as f:
        (made,) = re.findall(r'sqlite3_mprintf\(\s*("(?:\\.|[^"\\])*")', f.read())
    assert made == r'''"SELECT 1 FROM main.\"%w\" WHERE instr(\"%w\", ?) LIMIT 1"'''


def test_49_no_long_jump():
    """Signal handlers of our own do nothing but set a mark; nobody jumps out of anything."""
    assert users(r"\b(sig)?(long|set)jmp\s*\(") == set()


def test_25_30_no_expansion_of_what_comes_from_outside():
    """Formats are constants: no printf, log or scan has a variable where its format goes."""
    pattern = r"\b(?:f|s|as|d)?printf\s*\(\s*(?!\s*\"\")[a-z_>.-]+\s*\)|\bsyslog\s*\([^,]+,\s*[a-z_]+\s*\)"
    assert users(pattern) == set()
