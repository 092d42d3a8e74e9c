# SPDX-License-Identifier: ISC
"""A file system of a user's own making: one plain file, ".forward", and questions that are never answered."""
import ctypes
import errno
import os
import stat
import struct
import threading

LOOKUP, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT, ACCESS = 1, 3, 14, 15, 18, 25, 26, 34
UNANSWERED = (2, 36, 42)  # FORGET, INTERRUPT, BATCH_FORGET: the kernel waits for nothing
HEADER = struct.Struct("<IIQQIIII")
ROOT, FILE = 1, 2
FOR_EVER = 3600  # seconds that the kernel may remember an attribute
MS_NOSUID, MS_NODEV, MNT_FORCE = 2, 4, 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Hanging:
    """Mounted on a directory; each request of a kind in `silent` hangs until close().  Needs root.

    silent may change; attributes are asked for anew after `remembered` seconds.
    """

    def __init__(self, where, uid, silent, remembered=FOR_EVER):
        self.where, self.uid, self.silent = where, uid, silent if isinstance(silent, tuple) else (silent,)
        self.remembered = remembered
        self.hanging = threading.Semaphore(0)  # one up for each request that hangs
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.fd},rootmode=40000,user_id={uid},group_id={uid},allow_other"
        if LIBC.mount(b"test", where.encode(), b"fuse", MS_NOSUID | MS_NODEV, options.encode()) == -1:
            error = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(error, "mount")
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        """Who hangs goes on with an error."""
        if self.fd == -1:
            return
        LIBC.umount2(self.where.encode(), MNT_FORCE)
        LIBC.umount2(self.where.encode(), 2)  # MNT_DETACH: somebody may stand in it
        self.thread.join(10)
        os.close(self.fd)
        self.fd = -1

    def _serve(self):
        while True:
            try:
                request = os.read(self.fd, 1 << 17)
            except OSError:
                return
            _, kind, number, node, *_ = HEADER.unpack_from(request)
            if kind in self.silent:
                self.hanging.release()
            elif kind not in UNANSWERED:
                self._answer(number, *self._reply(kind, node, request[HEADER.size:]))

    def _answer(self, number, error, data=b""):
        try:
            os.write(self.fd, struct.pack("<IiQ", 16 + len(data), -error, number) + data)
        except OSError:
            pass  # whoever asked is gone

    def _reply(self, kind, node, body):
        if kind == INIT:
            return 0, struct.pack("<IIIIHHI36x", 7, 31, 65536, 0, 12, 10, 65536)
        if kind == LOOKUP and body.rstrip(b"\0") == b".forward":
            return 0, struct.pack("<QQQQII", FILE, 0, FOR_EVER, FOR_EVER, 0, 0) + self._attributes(FILE)
        if kind == GETATTR:
            return 0, struct.pack("<QII", self.remembered, 0, 0) + self._attributes(node)
        if kind == OPEN:
            return 0, struct.pack("<QII", 1, 0, 0)
        if kind in (FLUSH, RELEASE):
            return (0,)
        return (errno.ENOENT if kind == LOOKUP else errno.ENOSYS,)

    def _attributes(self, node):
        mode, size, links = (stat.S_IFDIR | 0o755, 0, 2) if node == ROOT else (stat.S_IFREG | 0o644, 20, 1)
        return struct.pack("<QQQ3Q3I7I", node, size, 1, 0, 0, 0, 0, 0, 0, mode, links, self.uid, self.uid, 0, 4096, 0)
