# SPDX-License-Identifier: ISC
"""The admin socket and the links of smtpd-control, misused.

Whatever comes, smtpd-control goes on answering: a local user must not be able
to stop it (security.md's row of a control socket that could), nor a peer
process that was taken over.
"""

import os
import random
import re
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from control import Bench, message, open_descriptors, rcpt, resident_kib  # noqa: E402
from ipc import DEADLINE, HEADER, MESSAGES, TOP, Closed, encode  # noqa: E402

LIST = encode("list", req=1, limit=100)
ADMINS_MAX = int(re.search(r"ADMINS_MAX\s+(\d+)", (TOP / "control/socket.h").read_text())[1])
QUESTIONS = ("list", "get", "read", "change", "pause", "stats", "procs", "clients", "clients_clear", "certificates",
             "logins", "logins_clear", "table_update", "find_in", "find_secret", "explain", "limits",
             "tls_domains", "tls_forget", "oauth_login", "oauth_code", "oauth_list", "oauth_forget")


@pytest.fixture
def bench(tmp_path):
    b = Bench(tmp_path)
    b.messages = {n: message(n) for n in range(1, 11)}
    yield b
    still_serves(b)
    b.stop()


@pytest.fixture
def public_bench():
    """One that everybody can reach, which the parent's mode 0660 would not allow."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        b = Bench(Path(directory))
        os.chmod(b.path, 0o666)
        yield b
        b.stop()


def still_serves(bench):
    """In less than a second, however busy the machine: it is not waiting for any time-out."""
    assert bench.process.is_alive()
    best = DEADLINE
    for _ in range(5):
        started = time.monotonic()
        done = bench.smtpctl("-q", "show", "queue")
        best = min(best, time.monotonic() - started)
        assert done.returncode == 0 and done.stderr == b"", done
        if best < 1:
            return
    raise AssertionError("an answer takes %.1f s" % best)


def is_small(pid):
    """Never held 100 MB.  A sanitizer, which maps terabytes, keeps what was freed."""
    return resident_kib(pid, "VmSize") > 1 << 30 or resident_kib(pid, "VmHWM") < 100 * 1024


def is_closed(link):
    """Whether the server closes it; what it says before does not matter."""
    try:
        while True:
            link.receive(DEADLINE)
    except Closed:
        return True
    except TimeoutError:
        return False


def throw(link, data, fds=()):
    """Sends what may be too much for the server: it may close before it has it all."""
    try:
        link.send_raw(data, fds)
    except Closed:
        pass


def test_garbage(bench):
    rng = random.Random(1)
    for _ in range(300):
        admin = bench.connect()
        throw(admin, rng.randbytes(rng.randrange(12, 200)))
        assert is_closed(admin)
        admin.close()
    bench.wait_log('event=peer-cut-off peer=admin instance=0 why="not a frame"')


def test_mutated_frames(bench):
    """Real questions with a few octets changed: each is answered, or costs the connection."""
    rng = random.Random(2)
    frames = [encode(name, req=1, **({"limit": 5} if name == "list" else {})) for name in QUESTIONS]
    for n in range(500):
        frame = bytearray(rng.choice(frames))
        for _ in range(rng.randrange(1, 4)):
            frame[rng.randrange(len(frame))] = rng.randrange(256)
        admin = bench.connect()
        throw(admin, bytes(frame))
        admin.close()
        if n % 100 == 0:
            still_serves(bench)


def test_a_thousand_half_frames_keep_nobody_out(bench):
    held = []
    for n in range(1000):
        admin = bench.connect()
        throw(admin, LIST[: n % len(LIST)])
        held.append(admin)
        if n % 200 == 199:
            still_serves(bench)
    still_serves(bench)
    assert open_descriptors(bench.pid) < ADMINS_MAX + 40
    for admin in held:
        admin.close()


def test_who_is_at_work_is_not_put_out(bench):
    """Idle connections make room for each other, not an admin who waits for an answer."""
    bench.mute = True
    waiting = bench.connect()
    waiting.send_raw(LIST)
    end = time.monotonic() + DEADLINE
    while "list" not in bench.questions:
        assert time.monotonic() < end
        time.sleep(0.01)
    held = [bench.connect() for _ in range(3 * ADMINS_MAX)]
    assert is_closed(held[0])  # so it has been through them
    bench.mute = False
    bench.links["QUEUE", 0].send("list_end", req=1)
    assert waiting.receive().type == "list_end"
    for admin in held:
        admin.close()


def test_all_at_work_refuses_one_more(bench):
    bench.mute = True
    busy = []
    for _ in range(ADMINS_MAX):
        busy.append(bench.connect())
        busy[-1].send_raw(LIST)
    end = time.monotonic() + DEADLINE
    while bench.questions.count("list") < ADMINS_MAX:
        assert time.monotonic() < end
        time.sleep(0.01)
    one_more = bench.connect()
    assert is_closed(one_more)
    bench.wait_log("event=admin-refused")
    bench.mute = False
    for admin in busy:
        admin.close()


def test_a_second_question_before_the_answer(bench):
    bench.mute = True
    admin = bench.connect()
    throw(admin, LIST * 3)
    assert is_closed(admin)
    bench.wait_log("a second request before the answer to the first")
    bench.mute = False


def test_no_message_but_questions_gets_in(bench):
    for name, _, _ in MESSAGES:
        if name in QUESTIONS or name == "probe":  # the test build's own question
            continue
        admin = bench.connect()
        throw(admin, encode(name, req=1))
        assert is_closed(admin), name
        admin.close()
    assert bench.changes == bench.pauses == bench.cleared == bench.forgotten == bench.updated == []


def test_unasked_descriptors_are_closed(bench):
    still_serves(bench)
    before = open_descriptors(bench.pid)
    for count in (1, 8, 16):
        for _ in range(20):
            admin = bench.connect()
            null = os.open("/dev/null", os.O_RDONLY)
            throw(admin, LIST, [null] * count)
            os.close(null)
            assert is_closed(admin)
            admin.close()
    still_serves(bench)
    assert open_descriptors(bench.pid) <= before + 1


def test_who_does_not_read_costs_little(bench):
    """Answers pile up for admins who ask and never read: they are closed, nobody else notices."""
    bench.messages = {n: message(n, rcpts=[rcpt("x" * 400, text="y" * 1000)] * 40)
                      for n in range(1, 101)}  # 6 MB a page
    deaf = []
    for _ in range(8):
        deaf.append(bench.connect())
        throw(deaf[-1], LIST)
    bench.wait_log('peer=admin instance=0 why="does not read"')
    bench.messages = {}
    still_serves(bench)
    assert is_small(bench.pid)
    for admin in deaf:
        admin.close()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be somebody else")
def test_strangers(public_bench):
    bench = public_bench
    admin = bench.connect()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            for _ in range(200):
                stranger = bench.connect()
                throw(stranger, encode("change", what=1, id=0))
                got = stranger.receive()
                assert (got.type, got.outcome) == ("done", "DENIED")
                assert is_closed(stranger)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert bench.changes == []
    bench.wait_log("event=admin-refused count=")
    # They were turned away at the door: the connection made before them is still there.
    throw(admin, encode("procs", req=5))
    assert admin.receive().req == 5
    assert len([line for line in bench.log if "admin-refused" in line]) < 50


# -- a peer process that was taken over --


def replaced_queue(bench):
    """Our own end of a fresh link, with nobody who answers for us."""
    return bench.process.link("QUEUE")


def question_of(link, admin, frame):
    admin.send_raw(frame)
    return link.receive()


def test_forged_ids_reach_nobody(bench):
    queue, admin = replaced_queue(bench), bench.connect()
    asked = question_of(queue, admin, LIST)
    for req in (0, asked.req + 1, asked.req - 1, 0xFFFFFFFF):
        queue.send("list_message", req=req, id=99)
        queue.send("list_end", req=req)
    queue.send("list_end", req=asked.req)
    assert admin.receive().type == "list_end"
    admin.close()
    queue.close()
    bench.add_link("QUEUE")


def test_another_process_can_not_answer_for_the_queue(bench):
    queue, session = replaced_queue(bench), bench.process.link("SESSION")
    admin = bench.connect()
    asked = question_of(queue, admin, LIST)
    session.send("stats_row", req=asked.req, name="session.connections", value=666)
    session.send("stats_end", req=asked.req)
    still_asked = bench.connect()  # by now what the session said has been looked at
    throw(still_asked, encode("procs", req=2))
    assert still_asked.receive().type == "procs_end"
    queue.send("list_end", req=asked.req)
    assert admin.receive().type == "list_end"
    session.close()
    queue.close()
    bench.add_link("QUEUE")


@pytest.mark.parametrize(
    "frame",
    [
        lambda req: encode("read_data", req=req, data=b"not what was asked for"),
        lambda req: encode("stats_end", req=req),
        lambda req: encode("done", req=req),
        lambda req: encode("procs_end", req=req),  # the parent's
        lambda req: encode("list", req=req, limit=1),  # an admin's
        lambda req: encode("list_end", req=req)[:-1] + b"\x07",  # no such boolean
        lambda req: HEADER.pack(1 << 31, 0, 0, 0, req),
        lambda req: b"\xff" * 64,
    ],
)
def test_a_queue_that_lies_is_cut_off(bench, frame):
    queue, admin = replaced_queue(bench), bench.connect()
    asked = question_of(queue, admin, LIST)
    queue.send_raw(frame(asked.req))
    assert is_closed(queue)
    bench.wait_log("event=peer-cut-off peer=queue")
    got = admin.receive()
    assert (got.type, got.req, got.outcome) == ("done", 1, "RETRY")
    bench.add_link("QUEUE")


def test_a_queue_that_floods(bench):
    """More than a page, and no end: the admin who does not read is lost, nothing else."""
    queue, admin = replaced_queue(bench), bench.connect()
    asked = question_of(queue, admin, LIST)
    row = encode("list_rcpt", req=asked.req, address="x" * 500, text="y" * 1000)
    for _ in range(10000):
        throw(queue, row)
    bench.wait_log('why="does not read"')
    assert is_small(bench.pid)
    queue.close()
    bench.add_link("QUEUE")


def test_an_admin_who_leaves_while_it_is_asked_for(bench):
    queue = replaced_queue(bench)
    for _ in range(100):
        admin = bench.connect()
        asked = question_of(queue, admin, LIST)
        admin.close()
        queue.send("list_message", req=asked.req, id=1)
        queue.send("list_end", req=asked.req)
    queue.close()
    bench.add_link("QUEUE")
