# SPDX-License-Identifier: ISC
"""What Postern is measured with and against: smtp-source, smtp-sink and Postfix.

All three come from Debian's postfix package.  Where that is not installed it is
fetched and unpacked below build/bench: it never becomes this machine's mail system.
Postfix runs from there as root in a mount namespace of its own, in which alone its
account exists.
"""
import glob
import os
import shutil
import signal
import socket
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FETCHED = os.path.join(TOP, "build", "bench")
# What the postfix package's programs link besides libc; fetched when not installed.
LIBRARIES = ("libdb5.3", "libicu72", "libnsl2", "libtirpc3", "libsasl2-2", "libssl3")
PATIENCE = 30


class Unavailable(Exception):
    """A peer that can't be had here; the text says why."""


def run(*argv, **more):
    """Runs a helper command; its last words when it fails."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, check=False, **more)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Unavailable(f"{argv[0]}: {e}") from None
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise Unavailable(f"{' '.join(argv[:2])}: {words}")
    return done.stdout


def installed(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True,
                          text=True, check=False)
    return done.stdout == "install ok installed"


class Tools:
    """The postfix package's files, wherever they are: .program(name), .daemons, .environment."""

    def __init__(self):
        self.root = "/"
        if not os.path.exists("/usr/sbin/smtp-source"):
            self.root = os.path.join(FETCHED, "postfix")
            if not os.path.exists(self.program("smtp-source")):
                self._fetch()
        libraries = [os.path.join(self.root, "usr/lib/postfix")]
        libraries += glob.glob(os.path.join(self.root, "usr/lib/*-linux-gnu*"))
        self.daemons = os.path.join(libraries[0], "sbin")
        self.environment = dict(os.environ)
        if self.root != "/":
            self.environment["LD_LIBRARY_PATH"] = ":".join(libraries)
        run(self.program("postconf"), "-d", "mail_version", env=self.environment)

    def _fetch(self):
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            raise Unavailable("smtp-source is not installed, and this is not a Debian machine")
        packages = ["postfix"] + [p for p in LIBRARIES if not installed(p)]
        folder = os.path.join(FETCHED, "packages")
        os.makedirs(folder, exist_ok=True)
        print("fetching:", " ".join(packages), flush=True)
        run("apt-get", "download", "-qq", *packages, cwd=folder)
        half = self.root + ".half"
        shutil.rmtree(half, ignore_errors=True)
        for package in sorted(os.listdir(folder)):
            run("dpkg", "-x", os.path.join(folder, package), half)
        os.rename(half, self.root)

    def program(self, name):
        return os.path.join(self.root, "usr/sbin", name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    """A program that listens: start() returns when it greets, stop() when it is gone."""

    def __init__(self, tools):
        self.tools, self.port, self.process = tools, free_port(), None

    def spawn(self, argv, **more):
        more = {"stdout": subprocess.DEVNULL, **more}
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True, **more)
        deadline = time.monotonic() + PATIENCE
        while not self._greets():
            if self.process.poll() is not None:
                raise Unavailable(f"{self.name} ended with status {self.process.returncode}")
            if time.monotonic() > deadline:
                self.stop()
                raise Unavailable(f"{self.name} did not greet within {PATIENCE} s")
            time.sleep(0.05)
        return self

    def _greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as s:
                return s.recv(512).startswith(b"220")
        except OSError:
            return False

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)


class Sink(Peer):
    """Takes mail and drops it: no queue, no disk."""
    name = "smtp-sink"

    def start(self):
        account = ["-u", "nobody"] if os.geteuid() == 0 else []
        return self.spawn([self.tools.program("smtp-sink"), *account, f"127.0.0.1:{self.port}", "1024"],
                          env=self.tools.environment)


class Postfix(Peer):
    """Accepts into its hold queue: everything a message costs until it is safe, no delivery."""
    name = "Postfix"
    QUEUES = ("incoming", "active", "deferred", "bounce", "defer", "flush", "saved", "hold", "corrupt",
              "trace", "private", "public", "maildrop", "pid")
    ACCOUNT = 64291        # user and group, in the namespace only
    DROP_GROUP = 64292
    BASE = """
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = {root}/usr/sbin
daemon_directory = {daemons}
shlib_directory = no
mail_owner = postfix
setgid_group = postdrop
default_privs = nobody
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
myhostname = mx.test
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
local_recipient_maps =
alias_maps =
alias_database =
default_process_limit = {processes}
"""
    MAIN = BASE + """
mydestination = example.org
smtpd_data_restrictions = check_client_access static:HOLD
# Held mail never reaches the queue manager, whose lag this would wait for.
in_flow_delay = 0
"""
    TLS_MAIN = """
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
"""
    MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
local unix - n n - - local
error unix - - n - - error
retry unix - - n - - error
"""
    TLS_MASTER = """
127.0.0.1:{smtps} inet n - n - - smtpd
 -o smtpd_tls_wrappermode=yes
tlsmgr unix - - n 1000 1 tlsmgr
"""

    def __init__(self, tools, folder, processes=250, certificate=None):
        """A certificate has .crt and .key, paths of files: then there is TLS, at .smtps from the first octet."""
        super().__init__(tools)
        self.dir, self.processes, self.certificate = folder, processes, certificate
        self.smtps = free_port()

    def start(self):
        if os.geteuid() != 0:
            raise Unavailable("it has to be started by root")
        run("unshare", "-m", "true")
        self._lay_out()
        script = ('mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && '
                  'exec "$2/master" -c "$1" -d')
        return self.spawn(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh",
                           self.dir, self.tools.daemons], env=self.tools.environment)

    def _lay_out(self):
        values = dict(dir=self.dir, root=self.tools.root.rstrip("/"), daemons=self.tools.daemons,
                      port=self.port, processes=self.processes)
        main, master = self.MAIN, self.MASTER
        if self.certificate is not None:
            main, master = main + self.TLS_MAIN, master + self.TLS_MASTER
            values.update(smtps=self.smtps, certificate=self.certificate.crt, key=self.certificate.key)
        self._write("main.cf", main.format(**values))
        self._write("master.cf", master.format(**values))
        self._account("passwd", f"postfix:x:{self.ACCOUNT}:{self.ACCOUNT}::/nonexistent:/bin/false")
        self._account("group", f"postfix:x:{self.ACCOUNT}:", f"postdrop:x:{self.DROP_GROUP}:")
        for name in ("spool", "data") + tuple("spool/" + q for q in self.QUEUES):
            os.mkdir(os.path.join(self.dir, name), 0o755 if name in ("spool", "spool/pid") else 0o700)
            if name not in ("spool", "spool/pid"):
                os.chown(os.path.join(self.dir, name), self.ACCOUNT, -1)
        for name, mode in (("public", 0o710), ("maildrop", 0o730)):
            os.chown(os.path.join(self.dir, "spool", name), self.ACCOUNT, self.DROP_GROUP)
            os.chmod(os.path.join(self.dir, "spool", name), mode)

    def _write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def _account(self, name, *lines):
        """A copy of /etc/passwd or group in which our lines take the place of any by that name."""
        ours = {line.split(":")[0] for line in lines}
        with open(os.path.join("/etc", name), encoding="utf-8") as f:
            kept = [line for line in f.read().splitlines() if line.split(":")[0] not in ours]
        self._write(name, "\n".join(kept + list(lines)) + "\n")
