# SPDX-License-Identifier: ISC
"""The real OpenSMTPD, for comparison: Debian's own, unpacked, in namespaces in which alone its accounts and directories exist.

It takes mail and keeps it: deliveries are paused.
"""
import os
import re
import shutil
import signal
import subprocess

import fetched
import network
from postern import PATIENCE, wait_for

LIBRARIES = ("libdb5.3", "libpam0g")
ACCOUNTS = {"opensmtpd": 64295, "opensmtpq": 64296}
KEPT = ("hosts", "ld.so.cache", "ssl/openssl.cnf", "ssl/certs/ca-certificates.crt", "nsswitch.conf")
MOUNTS = {"etc": "/etc", "spool": "/var/spool", "lib": "/var/lib", "run": "/run"}


def fetch():
    """The directory it is unpacked in."""
    return fetched.debian("opensmtpd", *LIBRARIES)


class OpenSmtpd:
    """Started with a configuration, in a network of its own; stop() ends it."""

    def __init__(self, folder):
        self.dir, self.root, self.process, self.known = folder, fetch(), None, set()
        if os.geteuid() != 0:
            raise fetched.Unavailable("it has to be started by root")
        self.network = network.Network()
        for name in MOUNTS:
            os.makedirs(self.path(name))
        os.makedirs(self.path("lib/opensmtpd/empty"))
        self._lay_out_etc()
        # It insists on being set-group-id.
        shutil.copy(self.program("smtpctl"), self.path("smtpctl"))
        os.chown(self.path("smtpctl"), 0, ACCOUNTS["opensmtpq"])
        os.chmod(self.path("smtpctl"), 0o2755)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def _lay_out_etc(self):
        for name in KEPT:
            if os.path.exists(os.path.join("/etc", name)):
                os.makedirs(os.path.dirname(self.path("etc", name)), exist_ok=True)
                shutil.copy(os.path.join("/etc", name), self.path("etc", name))
        for file, more in (("passwd", "::/var/lib/opensmtpd/empty:/bin/false"), ("group", "")):
            with open(os.path.join("/etc", file), encoding="utf-8") as f, \
                    open(self.path("etc", file), "w", encoding="utf-8") as to:
                to.writelines(line for line in f if line.split(":")[0] not in ACCOUNTS)
                for name, number in ACCOUNTS.items():
                    to.write(f"{name}:x:{number}:" + (f"{number}{more}" if more else "") + "\n")
        for file, text in (("mailname", "mx.test\n"), ("resolv.conf", "nameserver 127.0.0.1\n")):
            with open(self.path("etc", file), "w", encoding="ascii") as f:
                f.write(text)

    def inside(self, *argv):
        """A command line that runs in its namespaces."""
        mounts = " && ".join(f'mount --bind "{self.path(name)}" {place}' for name, place in MOUNTS.items())
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", f'{mounts} && exec "$@"', "sh", *argv]

    def program(self, name):
        return os.path.join(self.root, "usr/sbin", name)

    def start(self, text, port):
        """Until it greets at a port."""
        with open(self.path("smtpd.conf"), "w", encoding="utf-8") as f:
            f.write(text)
        self.log = open(self.path("log"), "wb")
        with self.network.inside():
            self.process = subprocess.Popen(self.inside(self.program("smtpd"), "-d", "-f", self.path("smtpd.conf")),
                                            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                            start_new_session=True)
        wait_for(lambda: self._listens(port), "OpenSMTPD")
        wait_for(lambda: self.ctl("pause", "mda") and self.ctl("pause", "mta"), "its control socket")
        return self

    def said(self):
        with open(self.path("log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def _listens(self, port):
        assert self.process.poll() is None, self.said()
        with self.network.inside(), open("/proc/thread-self/net/tcp", encoding="ascii") as f:
            return re.search(rf":{port:04X} 00000000:0000 0A", f.read())

    def ctl(self, *words):
        with self.network.inside():
            done = subprocess.run(self.inside(self.path("smtpctl"), *words), stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=PATIENCE)
        return done.returncode == 0

    def taken(self):
        """[(recipient, where it leads, action)] of what it took since this was asked before."""
        found = []
        for place, _, files in os.walk(self.path("spool/smtpd/queue")):
            for name in files:
                if re.fullmatch("[0-9a-f]{16}", name) and name not in self.known:
                    self.known.add(name)
                    with open(os.path.join(place, name), encoding="utf-8") as f:
                        fields = dict(line.rstrip("\n").split(": ", 1) for line in f if ": " in line)
                    found.append((fields["rcpt"], fields["dest"], fields["dispatcher"]))
        return found

    def stop(self):
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                self.process.wait(PATIENCE)
            self.log.close()
        self.network.close()
