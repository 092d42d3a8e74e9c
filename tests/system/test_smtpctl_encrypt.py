# SPDX-License-Identifier: ISC
"""smtpctl encrypt: every method checked by another implementation, and where the secret does not stay."""
import base64
import contextlib
import crypt
import fcntl
import hashlib
import hmac
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import memory  # noqa: E402
from control import SMTPCTL  # noqa: E402
from ipc import DEADLINE  # noqa: E402
from postern import wait_for  # noqa: E402

OK, REFUSED, USAGE = 0, 1, 2
SECRET = "correct horse, =battery'\\ stäple"
HASHES = {"yescrypt": r"\$y\$j9T\$", "bcrypt": r"\$2b\$1[0-4]\$", "sha512": r"\$6\$rounds=\d{5,}\$"}


def encrypt(*words, text=b"", **more):
    return subprocess.run([SMTPCTL, "encrypt", *words], input=text, capture_output=True, timeout=DEADLINE, **more)


def word(*words, **more):
    """The one line that is printed, without its end."""
    done = encrypt(*words, **more)
    assert (done.returncode, done.stderr) == (OK, b""), done
    assert re.fullmatch(rb"[!-~]+\n", done.stdout), done.stdout
    return done.stdout.decode().rstrip("\n")


# -- what is printed --


@pytest.mark.parametrize("method", HASHES)
def test_crypt(method):
    first, second = (word("-m", method, SECRET) for _ in range(2))
    for value in (first, second):
        assert re.match(HASHES[method], value), value
        assert crypt.crypt(SECRET, value) == value
        assert crypt.crypt(SECRET + "x", value) != value
    assert first != second      # each has a salt of its own


def test_scram():
    value = word("-m", "scram-sha-256", SECRET)
    count, salt, stored, server = re.fullmatch(
        r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*):([A-Za-z0-9+/]+=*)", value).groups()
    assert int(count) >= 4096 and len(base64.b64decode(salt)) >= 16
    salted = hashlib.pbkdf2_hmac("sha256", SECRET.encode(), base64.b64decode(salt), int(count))
    key = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    assert base64.b64decode(stored) == hashlib.sha256(key).digest()
    assert base64.b64decode(server) == hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    assert word("-m", "scram-sha-256", SECRET) != value


def test_token():
    assert word("-m", "token", "abc") == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert word("-m", "token", text=b"abc\n") == word("-m", "token", "abc")


def test_yescrypt_is_what_it_does_unasked():
    assert word(SECRET).startswith("$y$")
    assert word(text=SECRET.encode()).startswith("$y$")


# -- where it comes from --


@pytest.mark.parametrize("text", [b"demo\n", b"demo", b"demo\nnext line\n"])
def test_a_line_of_stdin(text):
    value = word("-m", "sha512", text=text)
    assert crypt.crypt("demo", value) == value


def test_blanks_are_part_of_it():
    value = word("-m", "sha512", text=b" de mo \t\n")
    assert crypt.crypt(" de mo \t", value) == value


def test_what_follows_the_line_is_left_for_others():
    script = '"$0" encrypt -m sha512; "$0" encrypt -m sha512; cat'
    done = subprocess.run(["sh", "-c", script, SMTPCTL], input=b"one\ntwo\nrest\n", capture_output=True, timeout=DEADLINE)
    one, two, rest = done.stdout.decode().splitlines()
    assert crypt.crypt("one", one) == one and crypt.crypt("two", two) == two and rest == "rest"


def test_a_word_that_looks_like_an_option():
    assert word("-m", "token", "--", "--json") == "sha256:" + hashlib.sha256(b"--json").hexdigest()
    assert word("--", "-q").startswith("$y$")


def test_no_server_and_no_home_is_needed(tmp_path):
    assert word("demo", cwd=tmp_path, env={}).startswith("$y$")


@pytest.mark.parametrize(
    "words, text, status, said",
    [
        ([], b"", REFUSED, "nothing was given"),
        ([], b"\n", REFUSED, "nothing was given"),
        ([""], b"", REFUSED, "nothing was given"),
        ([], b"a\0b\n", REFUSED, "NUL"),
        ([], b"x" * 1025, REFUSED, "longer than 1024 octets"),
        (["x" * 1025], b"", REFUSED, "longer than 1024 octets"),
        (["-m", "bcrypt"], b"x" * 73, REFUSED, "too long for bcrypt"),
        (["-m", "md5", "x"], b"", USAGE, "expected one of yescrypt, bcrypt, sha512, scram-sha-256, token"),
        (["-m", "", "x"], b"", USAGE, "expected one of"),
        (["x", "y"], b"", USAGE, "one word too many"),
        (["-m"], b"", USAGE, "needs a value"),
        (["x", "--json"], b"", USAGE, "does not take --json"),
    ],
)
def test_refused(words, text, status, said):
    done = encrypt(*words, text=text)
    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr.startswith(b"smtpctl: ") and said in done.stderr.decode()
    assert b"xxx" not in done.stderr


def test_the_longest():
    assert crypt.crypt("x" * 72, value := word("-m", "bcrypt", text=b"x" * 72)) == value
    assert word("-m", "scram-sha-256", text=b"x" * 1024).startswith("SCRAM-SHA-256$")


def test_help():
    done = encrypt("--help")
    assert done.returncode == OK and b"yescrypt, bcrypt, sha512, scram-sha-256, token" in done.stdout


# -- a terminal --


def take_terminal():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # A shell ignores them for what it runs in the background, and nohup the last.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Terminal:
    """smtpctl with a terminal of its own; stdout is a pipe when a test wants to tell it from stderr."""

    def __init__(self, *words, stdout=None, prefix=(), enter=take_terminal):
        self.fd, its = pty.openpty()
        self.seen = b""
        self.child = subprocess.Popen([*prefix, SMTPCTL, "encrypt", *words], stdin=its, stdout=stdout or its, stderr=its,
                                      preexec_fn=enter)
        self.its = its              # kept open, so that its settings can be looked at when the child is gone

    @property
    def echoes(self):
        return bool(termios.tcgetattr(self.its)[3] & termios.ECHO)

    def read(self, until):
        """All that was written up to there."""
        end = time.monotonic() + DEADLINE
        while until not in self.seen:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], self.seen
            self.seen += os.read(self.fd, 4096)
        head, self.seen = self.seen.split(until, 1)
        return head

    def type(self, text):
        os.write(self.fd, text)

    def asked(self, prompt=b"Password: "):
        """The prompt is there, and nothing that is typed will be."""
        self.read(prompt)
        assert not self.echoes

    def end(self):
        status = self.child.wait(DEADLINE)
        assert self.echoes
        return status

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self.fd)
        os.close(self.its)


# What a shell does for a command in the foreground: it is above it, so that the command can be stopped.
SHELL = """
import fcntl, os, signal, subprocess, sys, termios
def enter():
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.write(2, b'%d\\n' % os.getpid())
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = subprocess.Popen(sys.argv[1:], preexec_fn=enter)
sys.exit(child.wait())
"""


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


@pytest.fixture
def terminal():
    with contextlib.ExitStack() as stack:
        def start(*words, **more):
            return stack.enter_context(contextlib.closing(Terminal(*words, **more)))
        yield start


def test_typed_twice_and_not_shown(terminal):
    t = terminal("-m", "sha512", stdout=subprocess.PIPE)
    t.asked()
    t.type(b"hello\n")
    assert t.read(b"Once more: ") == b"\r\n"
    t.type(b"hello\n")
    assert t.end() == OK
    value = t.child.stdout.read().decode().rstrip("\n")
    assert crypt.crypt("hello", value) == value
    t.type(b"shown again")
    assert t.read(b"shown again") == b"\r\n"        # and the secret is nowhere


def test_typed_differently(terminal):
    for first, second in ((b"hello\n", b"hallo\n"), (b"hello\n", b"\n"), (b"hello\n", b"\x04")):
        t = terminal()
        t.asked()
        t.type(first)
        t.asked(b"Once more: ")
        t.type(second)
        assert t.end() == REFUSED
        t.read(b"smtpctl: the two are not the same\r\n")


def test_nothing_typed(terminal):
    for what in (b"\n", b"\x04"):
        t = terminal()
        t.asked()
        t.type(what)
        assert t.end() == REFUSED
        t.read(b"nothing was given")


@pytest.mark.parametrize("how", ["key", signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_finds_the_terminal_as_it_was(terminal, how):
    t = terminal()
    t.asked()
    t.type(b"hel")
    if how == "key":
        t.type(b"\x03")
    else:
        t.child.send_signal(how)
    assert t.end() == -(signal.SIGINT if how == "key" else how)


def test_stopped_and_continued(terminal):
    t = terminal("-m", "sha512", stdout=subprocess.PIPE, prefix=(sys.executable, "-c", SHELL), enter=None)
    pid = int(t.read(b"\r\n"))
    t.asked()
    for key in (b"\x1a", b"hel\x1a"):
        t.type(key)
        wait_for(lambda: state(pid) == "T", "stop")
        assert t.echoes
        os.kill(pid, signal.SIGCONT)
        t.asked()
    os.kill(pid, signal.SIGSTOP)        # nothing can be done about this one, but after it
    wait_for(lambda: state(pid) == "T", "stop")
    echoing = termios.tcgetattr(t.its)
    echoing[3] |= termios.ECHO
    termios.tcsetattr(t.its, termios.TCSANOW, echoing)
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not t.echoes, "silence")
    t.type(b"hello\n")
    t.asked(b"Once more: ")
    t.type(b"hello\n")
    assert t.end() == OK
    value = t.child.stdout.read().decode().rstrip("\n")
    assert crypt.crypt("hello", value) == value


def test_a_new_token(terminal):
    seen = set()
    for _ in range(2):
        t = terminal("-m", "token", stdout=subprocess.PIPE)
        assert t.end() == OK
        t.read(b"token: ")
        token = t.read(b"\r\n")
        assert re.fullmatch(rb"[0-9a-f]{64}", token)
        assert t.child.stdout.read().decode() == "sha256:%s\n" % hashlib.sha256(token).hexdigest()
        seen.add(token)
    assert len(seen) == 2


# -- where it does not stay --


class Full:
    """A pipe without room: whoever writes to it waits."""

    def __init__(self):
        self.out, self.into = os.pipe()
        os.set_blocking(self.into, False)
        self.filled = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self.filled += os.write(self.into, b"x" * 4096)
        os.set_blocking(self.into, True)

    def read(self):
        """What was written after it was full, up to the end of a line."""
        got = b""
        while len(got) < self.filled or not got.endswith(b"\n"):
            got += os.read(self.out, 65536)
        return got[self.filled:].decode()

    def close(self):
        os.close(self.out)
        os.close(self.into)


def is_writing(pid):
    with open(f"/proc/{pid}/wchan", encoding="ascii") as f:
        return "pipe_write" in f.read()


LONG = "Zn9-secret-that-is-like-no-other-text"


@pytest.mark.root
@pytest.mark.parametrize("method", [*HASHES, "scram-sha-256", "token"])
@pytest.mark.parametrize("words", [[LONG], []])
def test_nothing_is_left_of_it(method, words):
    with contextlib.closing(Full()) as pipe:
        # As the release is linked: a function that is looked up at its first call leaves registers on the stack.
        child = subprocess.Popen([SMTPCTL, "encrypt", "-m", method, *words], stdin=subprocess.PIPE, stdout=pipe.into,
                                 env={**os.environ, "LD_BIND_NOW": "1"})
        try:
            child.stdin.write(LONG.encode() + b"\n")
            child.stdin.flush()
            wait_for(lambda: is_writing(child.pid), "the result")
            # The search does find what is there: what it is called with.
            needles = {"secret": LONG[:12].encode(), "end": LONG[-12:].encode(), "method": b"-m\0" + method.encode()}
            assert memory.found(child.pid, needles) == {"method"}
            with open(f"/proc/{child.pid}/cmdline", "rb") as f:
                assert LONG[:8].encode() not in f.read()
            assert len(pipe.read()) > 60
            assert child.wait(DEADLINE) == OK
        finally:
            child.kill()
            child.wait()
            child.stdin.close()
