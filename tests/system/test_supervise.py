# SPDX-License-Identifier: ISC
"""Deaths of processes one at a time, what is remembered across them, and the orderly end."""
import os
import random
import signal
import socket
import threading
import time

import pytest

from load import QUICK_RETRY, accepts, drain, time_to_serve
from postern import Server, wait_for

SERVING_S = 2
DEATHS = 5              # in a row: the back-off grows


def kill(server, role):
    """All processes of the role; when, by the monotonic clock."""
    victims = wait_for(lambda: [p for n, p in server.pids().items() if n.startswith(role + "/")], role)
    when = time.monotonic()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    for pid in victims:
        server.wait_log(rf"event=process-ended process={role}/\S+ pid={pid} signal=9 name=KILL")
    return when


def served(server, role, since, n):
    """Seconds until what the role is for works again."""
    if role == "control":
        wait_for(lambda: server.ctl("show", "status", check=False).returncode == 0, "smtpctl")
        return time.monotonic() - since
    taken = time_to_serve(server, since)
    server.wait_mail(n, user="other")
    return taken if role != "delivery" else time.monotonic() - since


@pytest.mark.parametrize("role", ("session", "queue", "lookup", "delivery", "control", "agent", "vault", "hasher"))
def test_killed_again_and_again(make_server, role):
    server = make_server(extra=QUICK_RETRY)
    accepts(server)
    server.wait_mail(1, user="other")
    for n in range(DEATHS):
        assert served(server, role, kill(server, role), n + 2) < SERVING_S
    accepts(server)
    drain(server)
    assert server.stop() == 0


def test_parent_killed_and_started_at_once(make_server):
    """Its children go by themselves, in their time; the next server waits for their ports and files."""
    port = free_port()
    server = make_server(Server.CONF.replace("port 0", f"port {port}"), extra=QUICK_RETRY)
    for _ in range(3):
        assert time_to_serve(server, time.monotonic()) < 2
        slow = list(server.pids().values())
        for pid in slow:
            os.kill(pid, signal.SIGSTOP)
        server.process.kill()
        server.process.wait()
        threading.Timer(0.3, wake, [slow]).start()
        server.start()
    assert time_to_serve(server, time.monotonic()) < 2  # the old queue may hold the spool a moment longer
    drain(server)
    assert server.port == port and len(server.maildir("other")) >= 4


def wake(pids):
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def free_port():
    """Below those that the kernel gives to clients."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) != 0:
                return port


def test_pause_survives_deaths(make_server):
    server = make_server(extra=QUICK_RETRY)
    server.ctl("pause", "delivery")
    for role in ("queue", "delivery", "lookup"):
        kill(server, role)
        time_to_serve(server, time.monotonic())
    assert server.maildir("other") == [] and "paused" in server.ctl("show", "status").stdout
    server.ctl("resume", "delivery")
    server.wait_mail(3, user="other")

    server.ctl("pause", "smtp")
    wait_for(lambda: not is_greeted(server), "smtp paused")
    kill(server, "session")
    server.wait_log("event=restarted process=session/0")
    server.wait_log("event=restarted process=session/1")
    wait_for(lambda: server.ctl("show", "status").stdout.count("session/") == 2, "sessions back")
    assert not is_greeted(server)
    server.ctl("resume", "smtp")
    assert accepts(server)


def is_greeted(server):
    """Paused, the port stays open but nobody takes the connection up."""
    with server.raw(timeout=0.5) as c:
        try:
            return c.reply()[0] == 220
        except TimeoutError:
            return False


def is_refused(server):
    """A connection that meets the very end of a port is reset: by then it's no longer accepted, but not yet refused."""
    try:
        server.raw().close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass
    return False


def begin(server):
    """A client in the middle of DATA."""
    c = server.raw()
    for command in (None, "EHLO client.test", "MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>", "DATA"):
        reply = c.reply() if command is None else c.cmd(command)
    assert reply[0] == 354
    c.send("Subject: late\r\n\r\nbegun before the end\r\n")
    return c


@pytest.mark.parametrize("sig", (signal.SIGTERM, signal.SIGINT))
def test_drain(server, sig):
    busy, idle = begin(server), server.raw()
    assert idle.reply()[0] == 220
    children = list(server.pids().values())
    server.process.send_signal(sig)
    assert idle.reply()[0] == 421
    with pytest.raises(EOFError):
        idle.line()
    server.wait_log("event=draining")
    wait_for(lambda: is_refused(server), "ports closed")
    busy.send("and done\r\n.\r\n")
    assert busy.reply()[0] == 250
    assert server.process.wait(10) == 0
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), "children gone")
    server.stop()
    server.start()
    assert server.wait_mail()[0].endswith(b"and done\n")


def test_second_signal_ends_at_once(server):
    busy = begin(server)
    children = list(server.pids().values())
    server.process.send_signal(signal.SIGTERM)
    server.wait_log("event=draining")
    since = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(10)
    assert time.monotonic() - since < 5
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), "children gone")
    with pytest.raises((EOFError, ConnectionResetError)):
        busy.line()
    server.stop()
    assert server.start() and accepts(server)
    drain(server)
    assert server.maildir() == []


@pytest.mark.parametrize("other", ["its", "a file", "a link", "another's"])
def test_only_its_own_admin_socket_goes(server, other):
    """What somebody put in its place, another server perhaps, stays when it ends."""
    path = server.path("smtpd.sock")
    if other != "its":
        os.unlink(path)
    if other == "a file":
        with open(path, "w", encoding="ascii"):
            pass
    elif other == "a link":
        os.symlink("elsewhere", path)
    elif other == "another's":
        successor = socket.socket(socket.AF_UNIX)
        successor.bind(path)
    assert server.stop() == 0
    assert os.path.lexists(path) == (other != "its")
