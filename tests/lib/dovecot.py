# SPDX-License-Identifier: ISC
"""A private Dovecot that does nothing but authenticate: from Debian's package, unpacked, not installed."""
import base64
import grp
import hashlib
import hmac
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import fetched
from postern import NOBODY, ROOT, wait_for

LIBRARIES = ("libexttextcat-2.0-0", "libexttextcat-data", "libicu72", "liblua5.4-0", "libsodium23", "libstemmer0d",
             "libtirpc3", "libtirpc-common", "libunwind8", "libwrap0", "libapparmor1")
KEY = b"the issuer's key, of 32 octets.."

CONF = """
base_dir = {dir}/run
state_dir = {dir}/run
libexec_dir = {root}/usr/lib/dovecot
mail_plugin_dir = {root}/usr/lib/dovecot/modules
log_path = {dir}/log
import_environment = LD_LIBRARY_PATH
protocols =
listen = 127.0.0.1
ssl = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_verbose = yes
service auth {{
  user = {user}
  unix_listener client {{
    mode = 0600
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = passwd-file
  mechanisms = plain
  args = {dir}/users
}}
passdb {{
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = {dir}/oauth2
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home=/nonexistent
}}
"""

OAUTH2 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={dir}/keys/
username_attribute = sub
"""


class Dovecot:
    """Logins are those of users(); token() is a good OAuth token.  .socket is for auth clients."""

    def __init__(self, mechanisms="plain oauthbearer xoauth2"):
        self.root = fetched.debian("dovecot-core", *LIBRARIES)
        self.dir = tempfile.mkdtemp(prefix="dovecot-")
        os.chmod(self.dir, 0o755)
        me = pwd.getpwuid(NOBODY if ROOT else os.getuid())
        self.process, self.socket = None, os.path.join(self.dir, "run/client")
        self.write("dovecot.conf", CONF.format(dir=self.dir, root=self.root, mechanisms=mechanisms, user=me.pw_name,
                                               group=grp.getgrgid(me.pw_gid).gr_name, uid=me.pw_uid))
        self.write("oauth2", OAUTH2.format(dir=self.dir))
        self.write("keys/default/HS256/default", base64.b64encode(KEY).decode())
        self.users({})

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def users(self, passwords):
        """{login: password}, or {login: (password, "more fields")}"""
        lines = []
        for login, password in passwords.items():
            password, more = password if isinstance(password, tuple) else (password, "")
            lines.append(f"{login}:{{PLAIN}}{password}::::::{more}\n")
        self.write("users", "".join(lines))

    @staticmethod
    def token(login, key=KEY, lifetime=3600):
        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")
        now = int(time.time())
        text = b".".join(part(json.dumps(d).encode()) for d in (
            {"alg": "HS256", "typ": "JWT"}, {"sub": login, "iat": now - 10, "exp": now + lifetime}))
        return (text + b"." + part(hmac.digest(key, text, hashlib.sha256))).decode()

    def start(self):
        lib = os.path.join(self.root, "usr/lib")
        paths = [os.path.join(lib, "dovecot"), os.path.join(lib, "dovecot/modules/old-stats"),
                 os.path.join(lib, f"{os.uname().machine}-linux-gnu")]
        conf = os.path.join(self.dir, "dovecot.conf")
        # What it would run itself is not installed: doveconf hands the settings over.
        self.process = subprocess.Popen(
            [os.path.join(self.root, "usr/bin/doveconf"), "-c", conf, "-m", "master", "-p",
             "-e", os.path.join(self.root, "usr/sbin/dovecot"), "-F", "-c", conf],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"LD_LIBRARY_PATH": ":".join(paths), "PATH": "/usr/bin:/bin"})
        wait_for(lambda: os.path.exists(self.socket) or self.process.poll() is not None, "Dovecot's socket")
        if self.process.poll() is not None:
            raise fetched.Unavailable(f"Dovecot does not start here: {self.log()}")
        return self

    def log(self):
        try:
            with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        self.process = None

    def cleanup(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
