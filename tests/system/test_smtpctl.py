# SPDX-License-Identifier: ISC
"""smtpctl, what it shows, what it asks for, and how it ends: smtpctl(8)."""

import json
import os
import pty
import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from control import SMTPCTL, Bench, message, rcpt, run_smtpctl  # noqa: E402
from ipc import BUILD, DEADLINE, Link, encode  # noqa: E402

SCHEDULE, REMOVE, HOLD, RELEASE = range(4)  # enum ipc_change
PAUSE_SMTP, PAUSE_DELIVERY = range(2)  # enum ipc_pause

OK, REFUSED, USAGE, WEAKER, TEMPFAIL = 0, 1, 2, 3, 75


@pytest.fixture
def bench(tmp_path):
    b = Bench(tmp_path)
    yield b
    b.stop()


def lines(done):
    return done.stdout.decode().splitlines()


def objects(done):
    return [json.loads(line) for line in lines(done)]


# -- show --


def test_an_empty_queue_says_so(bench):
    done = bench.smtpctl("show", "queue")
    assert (done.returncode, done.stdout, done.stderr) == (OK, b"the queue is empty\n", b"")
    assert bench.smtpctl("show", "queue", "--json").stdout == b""


def test_queue_table(bench):
    bench.messages[0x2A] = message(
        0x2A, rcpts=[
            rcpt("bob@example.com", attempts=3, status="4.7.1", remote="mx.example.com",
                 text="come back later"),
            rcpt("carol@example.com", working=True),
        ],
    )
    bench.messages[0x2B] = message(0x2B, sender="", flags=1)
    done = bench.smtpctl("sh", "q")
    assert done.returncode == OK
    got = lines(done)
    assert got[0].split() == ["ID", "SIZE", "AGE", "NEXT", "STATE", "SENDER,", "RECIPIENTS"]
    assert got[1].split() == ["000000002a", "4.1K", "1h00m", "<alice@example.org>"]
    assert re.fullmatch(r" +(5m00s|4m5\ds)  deferred  bob@example.com", got[2])
    assert got[3].strip() == "3 tries: 4.7.1 mx.example.com: come back later"
    assert got[4].split() == ["sending", "carol@example.com"]
    assert got[5].split() == ["000000002b", "4.1K", "1h00m", "held", "<>"]
    assert got[6].split() == ["held", "bob@example.com"]
    assert got[7:] == ["2 messages, 3 recipients"]
    assert max(map(len, got)) <= 80


def test_queue_json_is_valid_whatever_strangers_wrote(bench):
    hostile = b'"\\\x1b[2J\x7f\xc3\xa9\xff\xed\xa0\x80\r\n'
    bench.messages[1] = message(1, sender=hostile, rcpts=[rcpt(hostile, text=hostile)])
    bench.messages[2] = message(2, rcpts=[])
    done = bench.smtpctl("show", "queue", "--json")
    first, second = objects(done)
    expected = '"\\\x1b[2J\x7f\xe9\xff\xed\xa0\x80\r\n'
    assert first["sender"] == first["recipients"][0]["text"] == expected
    assert first["id"] == "0000000001" and second["recipients"] == []
    assert set(first) == {
        "id", "sender", "client", "received", "expires", "size", "held", "flags", "priority",
        "release", "by", "by_time", "envid", "ret", "recipients"}
    assert set(first["recipients"][0]) == {
        "address", "original", "orcpt", "notify", "action", "destination", "state", "due", "attempts", "status",
        "remote", "text"}
    # The table shows the same without a byte that a terminal would obey.
    table = bench.smtpctl("show", "queue").stdout
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", table) and b"\\x1b[2J" in table


def test_a_long_queue_comes_in_pages(bench):
    for number in range(1, 251):
        bench.messages[number] = message(number)
    done = bench.smtpctl("show", "queue")
    assert lines(done)[-1] == "250 messages, 250 recipients"
    assert bench.questions == ["list"] * 3
    assert [o["id"] for o in objects(bench.smtpctl("show", "queue", "--json"))] == [
        "%010x" % n for n in range(1, 251)]


def test_mailq_by_name(bench, tmp_path):
    mailq = tmp_path / "mailq"
    mailq.symlink_to(SMTPCTL)
    assert bench.smtpctl(program=mailq).stdout == b"the queue is empty\n"


BODY = [b"Received: x\r\n", b"\r\ncaf\xc3", b"\xa9 \x1b[31mred\xff\r", b"\nover\rwrite\r\n"]


def test_message_text_is_not_changed_in_a_pipe(bench):
    bench.messages[7] = message(7, text=BODY)
    done = bench.smtpctl("show", "message", "0000000007")
    envelope, text = done.stdout.split(b"\n\n", 1)
    assert done.returncode == OK and text == b"".join(BODY)
    assert b"Message    0000000007\nSender     <alice@example.org>" in envelope


def test_message_steers_no_terminal(bench):
    bench.messages[7] = message(7, text=BODY)
    terminal, its = pty.openpty()
    child = subprocess.Popen(
        [SMTPCTL, "-s", bench.path, "show", "message", "0000000007"], stdout=its,
        stdin=subprocess.DEVNULL, env={"TERM": "xterm"})
    os.close(its)
    got = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not piece:
            break
        got += piece
    os.close(terminal)
    assert child.wait(DEADLINE) == OK
    text = got.decode().replace("\r\n", "\n").split("\n\n", 1)[1]
    assert text == "Received: x\n\ncafé \\x1b[31mred\\xff\nover\\x0dwrite\n"


def test_message_json_holds_the_text(bench):
    bench.messages[7] = message(7, text=BODY)
    (got,) = objects(bench.smtpctl("show", "message", "0000000007", "--json"))
    assert got["text"] == "Received: x\r\n\r\ncafé \x1b[31mred\xff\r\nover\rwrite\r\n"
    assert got["recipients"][0]["address"] == "bob@example.com"


def test_no_such_message(bench):
    for words in (["show", "message"], ["remove"], ["schedule"], ["pause"], ["resume"]):
        done = bench.smtpctl(*words, "0000000007")
        assert (done.returncode, done.stdout) == (REFUSED, b"")
        assert done.stderr == b"smtpctl: no such message\n"


ROWS = [
    {"role": "parent", "pid": 100, "uptime_s": 7260, "rss_bytes": 3 << 20,
     "declared": "uid=0 nnp=1", "actual": "uid=0 nnp=1 fds=20"},
    {"role": "session", "instance": 1, "pid": 102, "uptime_s": 30, "restarts": 2,
     "declared": 'uid=7 root="/a b" fds<=64 rights=base,accept', "actual": 'uid=7 root="/a b" fds=9'},
]


def test_status(bench):
    bench.processes = ROWS
    got = lines(bench.smtpctl("show", "status"))
    assert got[1].split() == ["parent", "100", "2h01m", "0", "3.0M"]
    assert got[2].split() == ["session/1", "102", "30s", "2", "0B"]
    assert got[-2:] == ["smtp: accepting", "delivery: running"]
    parent, session, server = objects(bench.smtpctl("show", "status", "--json"))
    assert session == {
        "process": "session", "instance": 1, "pid": 102, "uptime": 30, "restarts": 2, "memory": 0}
    assert server == {
        "version": "9.9", "uptime": 7260, "configuration": 2, "privileged": False,
        "smtp_paused": False, "delivery_paused": False}


def test_sandbox_as_declared(bench):
    bench.processes = ROWS
    done = bench.smtpctl("show", "sandbox")
    assert done.returncode == OK and lines(done)[-1] == "2 processes, all as declared"
    assert ["fds", "<=64", "9"] in [line.split() for line in lines(done)]
    _, session = objects(bench.smtpctl("show", "sandbox", "--json"))
    assert session["declared"] == {
        "uid": "7", "root": "/a b", "fds": "<=64", "rights": "base,accept"}
    assert session["actual"] == {"uid": "7", "root": "/a b", "fds": "9"}
    assert session["weaker"] == ""


def test_sandbox_weaker_than_declared(bench):
    bench.processes = [ROWS[0], dict(ROWS[1], weaker="seccomp,root")]
    for options in ([], ["--json"], ["-q"]):
        assert bench.smtpctl("show", "sandbox", *options).returncode == WEAKER
    assert b"WEAKER THAN DECLARED: seccomp,root" in bench.smtpctl("show", "sandbox").stdout
    # Nobody to look at is not "all as declared".
    bench.processes = []
    assert bench.smtpctl("show", "sandbox").returncode == WEAKER


def test_stats_are_added_up_and_bear_their_role(bench):
    bench.add_link("SESSION", 0)
    bench.add_link("SESSION", 1)
    bench.smtpctl("show", "queue")  # the thread has seen the new links
    got = {o["name"]: o["value"] for o in objects(bench.smtpctl("show", "stats", "--json"))}
    assert got["session.connections"] == 40 and got["queue.messages"] == 5
    assert got["parent.restarts"] == 3
    assert got["session.queue.forged"] == 2 and "queue.forged" not in got
    assert got["vault.auth.ok"] == 7
    assert "session.connections" in bench.smtpctl("show", "stats").stdout.decode()


def client(number, name, **changes):
    return {"number": number, "client": name, "open": 1, "connections": 2, "messages": 3,
            "recipients": 4, "refused": 5, **changes}


def test_no_clients(bench):
    done = bench.smtpctl("show", "clients")
    assert (done.returncode, done.stdout, done.stderr) == (OK, b"no clients\n", b"")
    assert bench.smtpctl("show", "clients", "--json").stdout == b""


def test_clients_table(bench):
    bench.clients = [
        client(1, "192.0.2.1", open=2),
        client(7, "2001:db8:1234:5678::/64", over="max-refused-rate", until_s=int(time.time()) + 45),
        client(9, b"\x1b[2J", open=0),
    ]
    done = bench.smtpctl("show", "clients")
    got = lines(done)
    assert done.returncode == OK
    assert got[0].split() == [
        "CLIENT", "OPEN", "CONNECTIONS", "MESSAGES", "RECIPIENTS", "REFUSED", "LIMITED", "FOR"]
    assert got[1].split() == ["192.0.2.1", "2", "2", "3", "4", "5"]
    assert re.fullmatch(r"2001:db8:1234:5678::/64    1           2        3          4       5 4[3-6]s", got[2])
    assert got[3].startswith("\\x1b[2J ")
    assert got[4:] == ["3 clients, 3 connections open"]
    assert max(map(len, got)) <= 80
    def without_for(rows):              # it runs on
        return [re.sub(r" \d+s$", "", row) for row in rows]
    assert without_for(lines(bench.smtpctl("-q", "show", "clients"))) == without_for(got[:4])


def test_clients_json(bench):
    until = int(time.time()) + 45
    bench.clients = [client(1, "192.0.2.1"), client(2, "unix", over="max-message-rate", until_s=until)]
    first, second = objects(bench.smtpctl("sh", "cl", "--json"))
    assert first == {"client": "192.0.2.1", "open": 1, "connections": 2, "messages": 3, "recipients": 4,
                     "refused": 5, "limit": "", "until": 0}
    assert (second["limit"], second["until"]) == ("max-message-rate", until)


def test_many_clients_come_in_pages(bench):
    bench.clients = [client(n, "10.0.%d.%d" % (n // 256, n % 256)) for n in range(1, 251)]
    assert lines(bench.smtpctl("show", "clients"))[-1] == "250 clients, 250 connections open"
    assert bench.questions == ["clients"] * 3


def test_clear_clients(bench):
    bench.clients = [client(1, "192.0.2.1")]
    done = bench.smtpctl("clear", "clients", "192.0.2.1")
    assert (done.returncode, done.stdout) == (OK, b"192.0.2.1: cleared\n")
    assert bench.smtpctl("clear", "clients", "all").stdout == b"all clients: cleared\n"
    assert bench.smtpctl("-q", "cl", "c", "all").stdout == b""
    done = bench.smtpctl("clear", "clients", "192.0.2.2")
    assert (done.returncode, done.stdout) == (REFUSED, b"")
    assert done.stderr == b"smtpctl: no such client\n"
    assert bench.cleared == ["192.0.2.1", "", "", "192.0.2.2"]
    bench.wait_log("event=admin verb=clear-clients client=192.0.2.1 uid=%d" % os.getuid())
    bench.wait_log("event=admin verb=clear-clients client=all uid=%d" % os.getuid())


def test_lookup_down(tmp_path):
    b = Bench(tmp_path, with_lookup=False)
    done = [b.smtpctl("show", "clients"), b.smtpctl("clear", "clients", "all")]
    b.stop()
    for d in done:
        assert d.returncode == TEMPFAIL
        assert d.stderr == b"smtpctl: smtpd-lookup is being restarted; try again\n"


def test_monitor(bench):
    got = lines(bench.smtpctl("monitor", "-n", "2"))
    assert got[0].split()[-1] == "queued" and [g.split()[-1] for g in got[1:]] == ["5", "5"]


# -- change --


def test_changes_reach_the_queue_and_are_logged(bench):
    bench.messages[0x2A] = message(0x2A)
    cases = [
        (["schedule", "all"], (SCHEDULE, 0), "verb=schedule id=all"),
        (["schedule", "000000002a"], (SCHEDULE, 0x2A), "verb=schedule id=000000002a"),
        (["rem", "000000002a"], (REMOVE, 0x2A), "verb=remove id=000000002a"),
        (["pause", "000000002a"], (HOLD, 0x2A), "verb=hold id=000000002a"),
        (["resume", "000000002a"], (RELEASE, 0x2A), "verb=release id=000000002a"),
    ]
    for words, change, logged in cases:
        done = bench.smtpctl(*words)
        assert done.returncode == OK and done.stdout != b"", done
        assert bench.changes[-1] == change
        bench.wait_log("event=admin %s uid=%d" % (logged, os.getuid()))
    assert bench.smtpctl("-q", "schedule", "all").stdout == b""


def test_pauses_reach_the_parent_and_are_logged(bench):
    for words, pause, logged in [
        (["pause", "smtp"], (PAUSE_SMTP, True), "verb=pause-smtp"),
        (["resume", "smtp"], (PAUSE_SMTP, False), "verb=resume-smtp"),
        (["pause", "del"], (PAUSE_DELIVERY, True), "verb=pause-delivery"),
        (["resume", "delivery"], (PAUSE_DELIVERY, False), "verb=resume-delivery"),
    ]:
        assert bench.smtpctl(*words).returncode == OK
        assert bench.pauses[-1] == pause
        bench.wait_log(logged)
    assert bench.changes == []


def test_looking_is_not_logged(bench):
    bench.smtpctl("show", "queue")
    bench.smtpctl("show", "status")
    bench.smtpctl("schedule", "all")
    bench.wait_log("verb=schedule")
    assert len([line for line in bench.log if "event=admin " in line]) == 1


# -- trouble --


@pytest.mark.parametrize(
    "words, error",
    [
        ([], "what shall it do?"),
        (["shw"], "did you mean 'show'?"),
        (["s"], "could be any of show, schedule"),
        (["show"], "show what? one of queue"),
        (["show", "queue", "now"], "one word too many"),
        (["remove"], "needs ID|all"),
        (["remove", "42"], "looks like 000000002a"),
        (["clear"], "clear what? one of clients"),
        (["clear", "clients"], "needs ADDRESS|all"),
        (["clear", "clients", ""], "is no ADDRESS|all"),
        (["clear", "clients", "x" * 65], "is no ADDRESS|all"),
        (["remove", "all", "--json"], "does not take --json"),
        (["show", "queue", "-n", "1"], "does not take -n"),
        (["monitor", "-n", "x"], "not a number"),
        (["show", "queue", "-m", "bcrypt"], "does not take -m"),
        (["show", "c"], "could be any of clients, certificates"),
        (["clear", "logins", ""], "is no address or login"),
        (["clear", "logins", "x" * 513], "is no address or login"),
        (["clear", "logins", "x", "y"], "one word too many"),
        (["--", "--json"], "unknown word '--json'"),
        (["show", "queue", "-x"], "unknown option -x"),
        (["show", "queue", "-n"], "needs a value"),
        (["x"] * 20, "too many words"),
    ],
)
def test_usage(words, error):
    done = run_smtpctl("/nonexistent", *words)
    assert done.returncode == USAGE and done.stdout == b""
    assert done.stderr.startswith(b"smtpctl: ") and error in done.stderr.decode()


def test_help_needs_no_server():
    for words in (["help"], ["-h"], ["--help"], ["help", "show", "queue"], ["--version"]):
        done = run_smtpctl("/nonexistent", *words)
        assert done.returncode == OK and done.stdout != b"" and done.stderr == b""


def test_server_not_running(tmp_path):
    done = run_smtpctl(str(tmp_path / "none"), "show", "queue")
    assert done.returncode == TEMPFAIL
    assert done.stderr.decode() == (
        "smtpctl: the server is not running (%s: No such file or directory)\n" % (tmp_path / "none"))
    assert run_smtpctl("x" * 200, "show", "queue").returncode == USAGE


def test_queue_down(tmp_path):
    b = Bench(tmp_path, with_queue=False)
    done = b.smtpctl("show", "queue")
    b.stop()
    assert done.returncode == TEMPFAIL
    assert done.stderr == b"smtpctl: smtpd-queue is being restarted; try again\n"


def test_queue_dies_while_it_is_asked(bench):
    bench.mute = True
    done = []
    thread = threading.Thread(target=lambda: done.append(bench.smtpctl("remove", "all")))
    thread.start()
    end = time.monotonic() + DEADLINE
    while "change" not in bench.questions:
        assert time.monotonic() < end
        time.sleep(0.01)
    bench.add_link("QUEUE")  # what the parent does once the queue is started again
    thread.join()
    assert done[0].returncode == TEMPFAIL and b"restarted" in done[0].stderr


def test_output_that_can_not_be_written(bench):
    bench.messages[1] = message(1)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [SMTPCTL, "-s", bench.path, "show", "queue"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == REFUSED and b"can't write" in done.stderr


class Liar:
    """A server that answers each connection with what the test says, in turn."""

    def __init__(self, path, *answers):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.listener.settimeout(DEADLINE)
        self.thread = threading.Thread(target=self._serve, args=(answers,))
        self.thread.start()

    def _serve(self, answers):
        for answer in answers:
            try:
                sock, _ = self.listener.accept()
            except TimeoutError:  # smtpctl gave up: its status tells
                break
            if answer is not None:
                Link(sock).receive(DEADLINE)
                sock.sendall(answer)
            sock.close()
        self.listener.close()

    def smtpctl(self, *words):
        done = run_smtpctl(self.path, *words)
        self.thread.join()
        return done


EMPTY = encode("list_end", req=1)


def test_a_lost_connection_is_made_again_once(tmp_path):
    done = Liar(tmp_path / "a", None, EMPTY).smtpctl("show", "queue")
    assert (done.returncode, done.stdout) == (OK, b"the queue is empty\n")
    done = Liar(tmp_path / "b", None, None).smtpctl("show", "queue")
    assert done.returncode == TEMPFAIL and b"closed the connection" in done.stderr


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff" * 64,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        encode("drain", req=1),
        encode("list_end", req=1, outcome=99),
        encode("list_message", req=1)[:-1] + b"x",
        encode("list_message", req=1)[:20],
    ],
)
def test_a_server_that_lies(tmp_path, answer):
    # An answer that is cut short may be a server that went away: asked once more.
    answers = [answer] * (2 if len(answer) == 20 else 1)
    done = Liar(tmp_path / "s", *answers).smtpctl("show", "queue")
    assert done.returncode == TEMPFAIL and done.stderr.startswith(b"smtpctl: ")


def test_pages_that_do_not_get_on_come_to_an_end(tmp_path):
    again = encode("list_message", req=1, id=0) + encode("list_end", req=1, more=True)
    assert Liar(tmp_path / "s", again).smtpctl("show", "queue").returncode == OK
    again = encode("clients_row", req=1, number=0) + encode("clients_end", req=1, more=True)
    assert Liar(tmp_path / "t", again).smtpctl("show", "clients").returncode == OK


# -- the whole server --

CONF = """
hostname "localhost.localdomain"
queue directory "%(top)s/spool"
control socket "%(top)s/smtpd.sock"
listen on 127.0.0.1 port 0
action "out" relay host "smtp://127.0.0.1:1"
match from any for any action "out"
"""


@pytest.fixture
def server(tmp_path):
    os.chmod(tmp_path, 0o755)
    (tmp_path / "smtpd.conf").write_text(CONF % {"top": tmp_path})
    accounts = ["-U", "64200"] if os.getuid() == 0 else []
    log = open(tmp_path / "log", "w+")
    child = subprocess.Popen(
        [BUILD / "bin/smtpd", "-d", *accounts, "-L", BUILD / "bin", "-f", tmp_path / "smtpd.conf"],
        stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    end = time.monotonic() + DEADLINE
    while "event=started" not in (tmp_path / "log").read_text():
        assert child.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
        time.sleep(0.05)
    port = int(re.search(r"event=listening.* port=(\d+)", (tmp_path / "log").read_text())[1])
    yield str(tmp_path / "smtpd.sock"), port
    child.send_signal(signal.SIGTERM)
    child.wait(DEADLINE)


def wait_for(predicate):
    end = time.monotonic() + DEADLINE
    while not predicate():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_whole_server(server):
    path, port = server
    wait_for(lambda: run_smtpctl(path, "show", "status").returncode == OK)
    assert run_smtpctl(path, "pause", "delivery").returncode == OK
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.sendmail("a@example.net", ["x@far.example", "y@far.example"], b"Subject: 1\r\n\r\none\r\n")
        smtp.sendmail("b@example.net", ["x@far.example"], b"Subject: 2\r\n\r\ntwo\r\n")
    first, second = objects(run_smtpctl(path, "show", "queue", "--json"))
    assert first["sender"] == "a@example.net" and len(first["recipients"]) == 2
    assert {r["attempts"] for r in first["recipients"]} == {0}

    done = run_smtpctl(path, "show", "message", first["id"])
    assert done.stdout.endswith(b"Subject: 1\r\n\r\none\r\n")
    assert run_smtpctl(path, "pause", second["id"]).returncode == OK
    assert run_smtpctl(path, "resume", "delivery").returncode == OK

    def attempts():
        return [
            [r["attempts"] for r in m["recipients"]]
            for m in objects(run_smtpctl(path, "show", "queue", "--json"))]

    wait_for(lambda: attempts() == [[1, 1], [0]])  # the held one is left alone
    assert run_smtpctl(path, "schedule", first["id"]).returncode == OK
    wait_for(lambda: attempts() == [[2, 2], [0]])
    assert run_smtpctl(path, "resume", second["id"]).returncode == OK
    assert run_smtpctl(path, "schedule", second["id"]).returncode == OK
    wait_for(lambda: attempts() == [[2, 2], [1]])  # though its destination is known to be dead
    assert run_smtpctl(path, "schedule", "all").returncode == OK
    wait_for(lambda: attempts() == [[3, 3], [2]])

    assert run_smtpctl(path, "remove", first["id"]).returncode == OK
    assert [m["id"] for m in objects(run_smtpctl(path, "show", "queue", "--json"))] == [second["id"]]
    assert run_smtpctl(path, "remove", "all").returncode == OK
    assert run_smtpctl(path, "show", "queue").stdout == b"the queue is empty\n"
    sandbox = run_smtpctl(path, "show", "sandbox")
    assert sandbox.returncode == OK, sandbox.stdout.decode()


def test_whole_server_paused_smtp_shows_in_status(server):
    path, _ = server
    wait_for(lambda: run_smtpctl(path, "pause", "smtp").returncode == OK)
    assert objects(run_smtpctl(path, "show", "status", "--json"))[-1]["smtp_paused"] is True
    assert b"smtp: paused" in run_smtpctl(path, "show", "status").stdout
    assert run_smtpctl(path, "resume", "smtp").returncode == OK
    assert objects(run_smtpctl(path, "show", "status", "--json"))[-1]["smtp_paused"] is False
