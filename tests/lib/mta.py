# SPDX-License-Identifier: ISC
"""Postfix and Exim as upstream servers: Debian's own, unpacked where no system finds them.

Each runs as root in a mount namespace in which alone its account exists, hands everything
to the one port it is told, and takes mail on a port of its own or on its standard input.
"""
import glob
import os
import re
import shutil
import smtplib
import subprocess
import sys

import fetched
from postern import PATIENCE

sys.path.append(os.path.join(fetched.TOP, "tests", "bench"))
import peers  # noqa: E402


class Tools(peers.Tools):
    """The postfix package, fetched as the tests fetch: not twice at once, and with fresh package lists."""

    def _fetch(self):
        self.root = fetched.debian("postfix", *peers.LIBRARIES)


class Postfix(peers.Postfix):
    """Takes mail on .port and hands it to that smarthost."""
    # What stands twice counts as it stands last.
    MAIN = peers.Postfix.MAIN + """
myhostname = postfix.test
mydestination =
smtpd_data_restrictions =
relayhost = [127.0.0.1]:{smarthost}
smtp_tls_security_level = none
"""
    MASTER = peers.Postfix.MASTER + "smtp unix - - n - - smtp\n"

    def __init__(self, folder, smarthost):
        self.MAIN = self.MAIN.replace("{smarthost}", str(smarthost))
        try:
            super().__init__(Tools(), folder)
            self.start()
        except peers.Unavailable as e:
            raise fetched.Unavailable(str(e)) from None

    def take(self, mail, rcpts, message):
        with smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE) as s:
            s.ehlo()
            for line in [mail] + rcpts:
                code, text = s.docmd(line)
                assert code == 250, (line, text)
            assert s.data(message)[0] == 250


class EximFiles:
    """An Exim of one's own in a folder: what its programs need to run there."""
    LIBRARIES = ("libdb5.3", "libgnutls-dane0", "libgnutls30", "libidn12", "libidn2-0", "libnsl2", "libtirpc3",
                 "libunbound8", "libpcre2-8-0")
    ACCOUNT = 64293        # user and group, in the namespace only
    CONF = """
exim_path = {dir}/root/usr/sbin/exim4
spool_directory = {dir}/spool
log_file_path = {dir}/log/%slog
pid_file_path = {dir}/pid
keep_environment = LD_LIBRARY_PATH
local_interfaces = 127.0.0.1
acl_smtp_rcpt = accept
acl_smtp_data = accept
"""

    def __init__(self, folder, conf, **values):
        self.dir = folder
        fetched.run("unshare", "-m", "true")
        # Deliveries run as the account, which a directory of root's may be closed to.
        shutil.copytree(fetched.debian("exim4-daemon-light", *self.LIBRARIES), self.path("root"), symlinks=True)
        self.program = self.path("root/usr/sbin/exim4")
        os.chmod(self.program, 0o755)  # set-id, it would not look for libraries where it is told to
        for name in ("spool", "log"):
            os.mkdir(self.path(name), 0o750)
            os.chown(self.path(name), self.ACCOUNT, self.ACCOUNT)
        self.write("conf", (self.CONF + conf).format(dir=folder, **values))
        self.write("passwd", self.accounts("passwd", f"Debian-exim:x:{self.ACCOUNT}:{self.ACCOUNT}::/:/bin/false"))
        self.write("group", self.accounts("group", f"Debian-exim:x:{self.ACCOUNT}:"))

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    @staticmethod
    def accounts(name, line):
        with open(f"/etc/{name}", encoding="utf-8") as f:
            kept = [old for old in f.read().splitlines() if not old.startswith(line.split(":")[0] + ":")]
        return "\n".join(kept + [line]) + "\n"

    def argv(self, *options):
        script = ('mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && d=$1 p=$2 && '
                  'shift 2 && exec "$p" -C "$d/conf" "$@"')
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", self.dir, self.program,
                *options]

    @property
    def environment(self):
        return dict(os.environ, LD_LIBRARY_PATH=":".join(glob.glob(self.path("root/usr/lib/*-linux-gnu*"))))


class Exim:
    """Takes an SMTP dialog on its standard input and delivers before it ends."""
    CONF = """
primary_hostname = exim.test
tls_advertise_hosts =
dsn_advertise_hosts = *
log_selector = +all
begin routers
smarthost:
  driver = manualroute
  route_list = * 127.0.0.1 byname
  self = send
  transport = smarthost
begin transports
smarthost:
  driver = smtp
  port = {smarthost}
  allow_localhost
  hosts_avoid_tls = *
"""

    def __init__(self, folder, smarthost):
        self.files = EximFiles(folder, self.CONF, smarthost=smarthost)

    def take(self, mail, rcpts, message):
        """Delivers it, too, before it returns."""
        lines = ["EHLO client.test", mail, *rcpts, "DATA", ""]
        dialog = "\r\n".join(lines).encode() + re.sub(rb"(?m)^\.", b"..", message) + b".\r\nQUIT\r\n"
        done = subprocess.run(self.files.argv("-odi", "-bs"), input=dialog, capture_output=True, timeout=4 * PATIENCE,
                              env=self.files.environment)
        assert re.search(rb"(?m)^250 OK id=", done.stdout), done

    def stop(self):
        """Nothing of it runs between two messages."""


class EximDaemon(peers.Peer):
    """Listens on .port, and on .smtps with TLS from the first octet; a process for each client."""
    name = "Exim"
    CONF = """
primary_hostname = mx.test
daemon_smtp_ports = {port} : {smtps}
tls_on_connect_ports = {smtps}
tls_advertise_hosts = *
tls_certificate = {dir}/certificate
tls_privatekey = {dir}/key
smtp_accept_max = 0
smtp_connect_backlog = 1024
"""

    def __init__(self, folder, certificate):
        super().__init__(None)
        self.smtps = peers.free_port()
        self.files = EximFiles(folder, self.CONF, port=self.port, smtps=self.smtps)
        for source, name in ((certificate.crt, "certificate"), (certificate.key, "key")):
            shutil.copy(source, self.files.path(name))
            os.chown(self.files.path(name), EximFiles.ACCOUNT, EximFiles.ACCOUNT)

    def start(self):
        return self.spawn(self.files.argv("-bdf"), env=self.files.environment)
