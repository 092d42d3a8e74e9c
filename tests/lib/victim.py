# SPDX-License-Identifier: ISC
"""One real process of the server among peers that the test plays, as its own parent.

It is started as smtpd starts it, rootless, with the rights and limits of smtpd/roles.c.
"""
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import postern
import table
from ipc import DEADLINE, ROLE, Closed, Link, Process

CONF = """
hostname "mx.test"
queue directory "{dir}"
control socket "{dir}/control.sock"
table users {{ "demo@example.org" = "vmail" }}
table owners {{ "vmail" = "{uid}:{uid}:{dir}" }}
listen on 127.0.0.1 port 25
action "demo" maildir "{dir}/mail/%{{dest.user}}" virtual <users> userbase <owners>
action "out" relay host "smtp://127.0.0.1:2526"
match from any for domain "example.org" action "demo"
"""
NOBODY = 65534
PROGRAMS = {"table": "smtpd-table-postgres"}    # of roles that are not named as their programs are


def program(role):
    return PROGRAMS.get(role, f"smtpd-{role}")


class Victim(Process):
    """Its parent's link is .parent; others come by link(ROLE)."""

    parent_link = Link

    def __init__(self, role, build=postern.BUILD):
        self.name, self.role = role, role.upper()
        self.directory = tempfile.mkdtemp(prefix="postern-")
        self.log, self.accounts, self.asked = [], {}, []
        self.instances = 0
        self.stderr = open(os.path.join(self.directory, "stderr"), "w+b")
        mine, its = socket.socketpair()
        self.parent = self.parent_link(mine)
        self.child = subprocess.Popen(
            [f"{build}/bin/{program(role)}"], pass_fds=[3], preexec_fn=lambda: os.dup2(its.fileno(), 3),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.stderr, cwd=self.directory,
            env={"PATH": "/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0"},
            **self._account())
        its.close()
        self._enter(role, "asan" in build)

    def _account(self):
        # An agent refuses to be root whatever its parent says.
        if os.geteuid() != 0 or self.name != "agent":
            return {}
        os.chown(self.directory, NOBODY, NOBODY)
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def _enter(self, role, sanitized):
        row = table.role_row(role)
        self.parent.send("enter", role=ROLE[self.role], rights=row["rights"], root=self.directory,
                         descriptors=row["descriptors"], file_bytes=row["file_bytes"],
                         address_space=0 if sanitized else row["address_space"],
                         connect_ports=struct.pack("<2H", 2526, 53), verbose=True)
        if role == "agent":
            self.parent.send("mailbox", path="Maildir")
        else:
            self.configure(CONF.format(dir=self.directory, uid=os.getuid()))
        self.parent.send("lock")
        self.entered = self.until("entered")

    def fresh_link(self, role):
        """A link to yet another process of that role."""
        self.instances = (self.instances + 1) % 64
        return self.link(role.upper(), self.instances)

    def listen(self):
        """A listening socket of its own; where it is."""
        s = socket.create_server(("127.0.0.1", 0), backlog=512)
        s.setblocking(False)
        self.parent.send("listen", fd=s.fileno(), index=0)
        address = s.getsockname()
        s.close()
        return address

    def hear(self, timeout=0):
        """One message to the parent, if there is one in time; false at its end."""
        try:
            self.serve_once(timeout)
        except TimeoutError:
            pass
        except Closed:
            return False
        return True

    def pump(self, *links, timeout=0.0):
        """Serves the parent's end until there is nothing to hear, or one of links has something to read."""
        while True:
            ready = select.select([self.parent.sock, *(k.sock for k in links)], [], [], timeout)[0]
            heard = self.parent.sock in ready or self.parent.holds_frame()
            if not heard or not self.hear() or len(ready) > 1:
                return

    def is_cut_off(self, link):
        """Waits for the other end of link to be closed, whatever comes before."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            self.pump(link, timeout=1)
            try:
                while True:
                    link.receive(0)
            except TimeoutError:
                continue
            except (Closed, OSError):
                return True
        return False

    def wait_log_after(self, start, pattern):
        """As wait_log(), but of the lines from number `start` on."""
        end = time.monotonic() + DEADLINE
        while not any(re.search(pattern, line) for line in self.log[start:]):
            assert time.monotonic() < end, (pattern, self.log[start:], self.fault())
            self.hear(1)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def memory_mib(self):
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) // 1024

    def fault(self):
        """What a sanitizer had to say, or how it died; empty when it is well."""
        self.stderr.seek(0)
        said = self.stderr.read().decode(errors="replace")
        if self.child.poll() not in (None, 0) or self.child.returncode == 0 and self.name != "agent":
            return f"exit {self.child.returncode}: {said[-3000:]} {self.log[-5:]}"
        return said if "Sanitizer" in said or "runtime error" in said else ""

    def close(self):
        """Ends it; nothing may have gone wrong until the end."""
        fault = self.fault()
        self.parent.close()
        try:
            status = self.child.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            status = self.child.wait()
        fault = fault or self.fault() if status != 0 else fault
        self.stderr.close()
        shutil.rmtree(self.directory)
        assert not fault and status == 0, (status, fault)
