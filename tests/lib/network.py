# SPDX-License-Identifier: ISC
"""Networks of a test's own: empty at first, joined by cables, gone with the test.  For root."""
import contextlib
import ctypes
import os
import subprocess

from fetched import Unavailable

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """A network namespace; what a thread makes or starts inside() it stays there."""

    def __init__(self):
        with open("/proc/thread-self/ns/net", "rb") as before:
            if libc.unshare(CLONE_NEWNET) == -1:
                raise Unavailable(f"a network namespace: {os.strerror(ctypes.get_errno())}")
            try:
                self.namespace = open("/proc/thread-self/ns/net", "rb")
            finally:
                assert libc.setns(before.fileno(), CLONE_NEWNET) == 0
        self.ip("link set lo up")

    @contextlib.contextmanager
    def inside(self):
        with open("/proc/thread-self/ns/net", "rb") as before:
            assert libc.setns(self.namespace.fileno(), CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert libc.setns(before.fileno(), CLONE_NEWNET) == 0

    def ip(self, *commands):
        """Commands of ip(8), a string each."""
        with self.inside():
            subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)

    def join(self, other, ours, theirs):
        """A cable between the two, with these addresses ("192.0.2.1/24") at its ends."""
        self.ip(f"link add cable type veth peer name cable netns /proc/{os.getpid()}/fd/{other.namespace.fileno()}")
        for network, addresses in ((self, ours), (other, theirs)):
            network.ip(*(f"address add {a} dev cable nodad" for a in addresses), "link set cable up")

    def close(self):
        self.namespace.close()
