# SPDX-License-Identifier: ISC
"""A server's directory on a file system of its own, which a test may fill up or cut off.  Needs root and loop devices."""
import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess

import pytest

from postern import wait_for

FS_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2
MB = 1 << 20
MAKE = {
    "ext4": (128 * MB, ["mkfs.ext4", "-q", "-F", "-m", "0"]),
    "xfs": (320 * MB, ["mkfs.xfs", "-q", "-f"]),
}


def run(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def freeze(server):
    """The parent first, so that no child comes after."""
    stop(server.process.pid)
    for pid in server.pids().values():
        with contextlib.suppress(OSError):      # an agent whose time had come
            stop(pid)


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state_of(pid) in "TDZ", "stopped")


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


class Disk:
    """Mounted over the directory of a server that is not running, or a folder in it; taken away at the end."""

    def __init__(self, server, fs, scratch, folder=None, size=None):
        self.server, self.fs, self.size = server, fs, size
        self.where = server.path(folder) if folder else server.dir
        self.image = None if fs == "tmpfs" else os.path.join(scratch, f"{fs}.img")
        self.moved = os.path.join(scratch, "moved")
        if self.image:
            self._make()

    def _make(self):
        default, mkfs = MAKE[self.fs]
        if not shutil.which(mkfs[0]):
            pytest.skip(f"no {mkfs[0]} here")
        with open(self.image, "wb") as f:
            f.truncate(self.size or default)
        made = run(*mkfs, self.image)
        assert made.returncode == 0, made.stderr

    def __enter__(self):
        """What was there is there again, and durable."""
        assert run("cp", "-a", self.where, self.moved).returncode == 0
        self.mount()
        assert run("cp", "-a", f"{self.moved}/.", self.where).returncode == 0
        for folder, _, files in os.walk(self.where):
            for path in [os.path.join(folder, name) for name in files] + [folder]:
                sync(path)
        return self

    def __exit__(self, *_):
        if self.server.process is not None:
            self.server.kill()
        self.unmount()

    def mount(self):
        what = ["-t", "tmpfs", "-o", f"size={self.size}", "tmpfs"] if self.fs == "tmpfs" else ["-o", "loop", self.image]
        done = run("mount", *what, self.where)
        if done.returncode != 0:
            pytest.skip(f"can't mount {self.fs}: {done.stderr.strip()}")

    def unmount(self):
        """Processes that were killed need a moment to let go."""
        wait_for(lambda: run("umount", self.where).returncode == 0, "umount")

    def cut(self):
        """
        The power fails: what is not on the disk now never will be, not even the journal's last lines.  All processes
        stand still before: a file system that is shut down may answer 0 to an fsync that it gave up.
        """
        freeze(self.server)
        fd = os.open(self.where, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(fd)
        self.server.kill()
