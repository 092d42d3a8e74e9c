# SPDX-License-Identifier: ISC
"""A private Postern for a test: own directory, own ports (the kernel gives them), own accounts."""
import atexit
import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROOT = os.geteuid() == 0


def reachable(directory, part="bin"):
    """The directory, or a copy with that part of it, where any account can run what is there: root's own
    directories are closed to the others."""
    path, closed = os.path.join(directory, part), False
    while ROOT and path != "/":
        closed = closed or not os.stat(path).st_mode & 0o001
        path = os.path.dirname(path)
    if not closed:
        return directory
    place = tempfile.mkdtemp(prefix="postern-build-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    os.chmod(place, 0o755)
    copy = os.path.join(place, os.path.basename(directory))
    shutil.copytree(os.path.join(directory, part), os.path.join(copy, part), symlinks=True)
    return copy


# Which build is tested: build-test has the hooks; POSTERN_BUILD=build-asan looks harder.
BUILD = reachable(os.path.join(TOP, os.environ.get("POSTERN_BUILD", "build-test")))
UID_BASE = 64200           # as root: role n runs as UID_BASE + n
NOBODY = 65534
VMAIL = 64290 if ROOT else os.getuid()
PATIENCE = 30              # seconds to wait for anything; generous, nothing is measured here


def wait_for(condition, what="condition", timeout=PATIENCE):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(0.01)


class Server:
    """Starts with start(); every line it logs is in .log; ends with stop()."""

    CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
table users {{ "demo@example.org" = "vmail", "other@example.org" = "vmail" }}
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
listen on 127.0.0.1 port 0
action "demo" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <users> userbase <owners>
match from any for domain "example.org" action "demo"
"""

    def __init__(self, conf=None, extra="", prefix=(), build=BUILD, options=(), rootless=False):
        self.as_root = ROOT and not rootless
        self.vmail = VMAIL if self.as_root else NOBODY if ROOT else os.getuid()
        if ROOT and rootless:  # root tests what an ordinary user would see
            prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *prefix]
        self.dir = tempfile.mkdtemp(prefix="postern-")
        os.chmod(self.dir, 0o755)
        os.mkdir(self.path("mail"), 0o700)
        if ROOT:
            os.chown(self.path("mail"), self.vmail, self.vmail)
        if ROOT and rootless:
            os.chown(self.dir, NOBODY, NOBODY)
        self.conf = self.path("smtpd.conf")
        self.write_conf((conf or self.CONF) + extra)
        self.build, self.prefix, self.options = build, list(prefix), list(options)
        self.process, self.log, self.ports = None, [], []

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write_conf(self, text, **more):
        """{dir}, {vmail} and more are replaced; {{ }} are braces."""
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text.format(dir=self.dir, vmail=self.vmail, **more))

    # -- life ---------------------------------------------------------------
    def argv(self, *more):
        uid = ["-U", str(UID_BASE)] if self.as_root else []
        return [f"{self.build}/bin/smtpd", "-L", f"{self.build}/bin", "-f", self.conf, *uid, *more]

    def start(self):
        self.log, self.ports = [], []
        self.process = subprocess.Popen(self.prefix + self.argv("-d", "-v", *self.options),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, start_new_session=True)
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self.reader.start()
        self.wait_log("event=started")
        wait_for(self._all_entered, "roles entered")
        return self

    def _all_entered(self):
        children, pids = self._children(), self.pids()
        return pids and len(pids) == len(children) and all(self._entered(p) for p in pids.values())

    def _children(self):
        try:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
                return sorted(map(int, f.read().split()))
        except (OSError, AttributeError):
            return []

    @staticmethod
    def _entered(pid):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                return re.search(r"^Seccomp:\s*2", f.read(), re.M)
        except OSError:
            return False

    def _read(self, pipe):
        for raw in pipe:
            line = raw.decode(errors="replace").rstrip("\n")
            self.log.append(line)
            m = re.search(r"event=listening address=(\S+) port=(\d+) listener=(\d+)", line)
            if m:
                self.ports.append(int(m.group(2)))

    def stop(self, how=signal.SIGTERM, timeout=PATIENCE):
        """Ends it and waits; the exit status.  Every process of it is gone after."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self.reader.join(timeout)
        self.process = None
        return status

    def kill(self):
        """The whole server at once, as a power cut of the mind would: no warning to anybody."""
        pids = [self.process.pid] + list(self.pids().values())
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.reader.join(PATIENCE)
        self.process = None

    def cleanup(self):
        try:
            if self.process is not None:
                self.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    # -- looking ------------------------------------------------------------
    def pids(self):
        """{"session/0": pid, ...} of the living children, by parentage and name."""
        found, seen = {}, {}
        for pid in self._children():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    name = os.path.basename(f.read().split(b"\0")[0].decode())
            except OSError:
                continue
            role = name.removeprefix("smtpd-")
            if not name.startswith("smtpd-"):
                continue
            n = seen.get(role, 0)
            seen[role] = n + 1
            found[f"{role}/{n}"] = pid
        return found

    def wait_log(self, pattern, timeout=PATIENCE, after=0):
        """The first line from index `after` on that matches."""
        def look():
            for line in self.log[after:]:
                if re.search(pattern, line):
                    return line
            if self.process is not None and self.process.poll() is not None and not self.reader.is_alive():
                raise AssertionError(f"the server ended: {self.log[-10:]}")
            return None
        try:
            return wait_for(look, f"log line {pattern!r}", timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}\n" + "\n".join(self.log[-20:])) from None

    def ctl(self, *argv, check=True):
        done = subprocess.run([f"{self.build}/bin/smtpctl", "-s", self.path("smtpd.sock"), *argv],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60, text=True)
        if check and done.returncode != 0:
            raise AssertionError(f"smtpctl {argv}: {done.returncode} {done.stderr}")
        return done

    # -- mail ---------------------------------------------------------------
    @property
    def port(self):
        return self.ports[0]

    def smtp(self, timeout=PATIENCE):
        return smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.test", timeout=timeout)

    def send(self, body="Subject: hello\r\n\r\nhello\r\n", to="demo@example.org", sender="you@example.net"):
        with self.smtp() as s:
            return s.sendmail(sender, to, body)

    def raw(self, timeout=PATIENCE):
        return Raw(("127.0.0.1", self.port), timeout)

    def maildir(self, user="demo", domain="example.org"):
        """The delivered messages' bytes, oldest name first."""
        new = self.path("mail", domain, user, "new")
        out = []
        for name in sorted(os.listdir(new)) if os.path.isdir(new) else []:
            with open(os.path.join(new, name), "rb") as f:
                out.append(f.read())
        return out

    def wait_mail(self, n=1, user="demo", domain="example.org", timeout=PATIENCE):
        return wait_for(lambda: len(m := self.maildir(user, domain)) >= n and m, f"{n} messages", timeout)


class Raw:
    """A client that says exactly what it is told."""

    def __init__(self, address, timeout=PATIENCE):
        self.sock = socket.create_connection(address, timeout)
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b"\n" not in self.buffer:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError(self.buffer)
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return (line + b"\n").decode("latin-1")

    def reply(self):
        """One whole reply: (code, text)."""
        lines = []
        while True:
            line = self.line()
            lines.append(line[4:].rstrip("\r\n"))
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)

    def cmd(self, text):
        self.send(text + "\r\n")
        return self.reply()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
