# SPDX-License-Identifier: ISC
"""The walls as they stand in living processes: nothing that is forbidden gets through, whatever the table says.

Each act of lib/role/probe.c is attempted in each real program with its real
rights (smtpd/roles.c), the filter and Landlock on; a sample of them through
the whole server, as root too where the test has it, to see the process die,
the call named in the log, and the next process take its place.
"""
import fcntl
import os
import re
import struct
import subprocess

import pytest

import postern
import table
from ipc import Closed
from victim import Victim

ROLES = ("session", "queue", "lookup", "delivery", "control", "agent")
RELEASE = os.path.join(postern.TOP, "build", "bin")
PROGRAMS = ["smtpd", "smtpctl", *(f"smtpd-{r}" for r in ROLES)]

# struct seccomp_notif: id, pid, flags, nr, arch, instruction pointer, 6 arguments
NOTIF_RECV = 0xC0502100
NOTIF = struct.Struct("<QIIiIQ6Q")


class Suspect(Victim):
    """A process that is told to try things; the test is who sees its violations."""

    listener = None

    def serve_once(self, timeout=0):
        m = super().serve_once(timeout)
        self.answers = getattr(self, "answers", [])
        if m.type == "probe_result":
            self.answers.append(m)
        return m

    def ask_probe(self, act, run):
        """(name, survived, errno, as declared), or None: the process waits to be killed, or is dead."""
        self.answers = []
        self.parent.send_raw(table.frame("probe", req=1, act=act, run=int(run)))
        while not self.answers:
            if self.violated() or not self.hear(0.02) or self.child.poll() is not None:
                return None
        return self.answers[0]

    def violated(self):
        """The number of the system call that its filter holds back, if any."""
        if self.listener is None:
            return None
        note = bytearray(NOTIF.size)
        try:
            fcntl.ioctl(self.listener, NOTIF_RECV, note)
        except OSError:
            return None
        return NOTIF.unpack(note)
