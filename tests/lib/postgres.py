# SPDX-License-Identifier: ISC
"""A PostgreSQL server of a test's own: Debian's, unpacked where no system finds it, in a directory that goes with
the test.  It listens on loopback, knows passwords by SCRAM, and offers TLS when it is told to."""
import functools
import os
import shutil
import socket
import subprocess
import tempfile
import time

import fetched
from postern import NOBODY, PATIENCE, ROOT, reachable

# What the server and psql need beyond the C library; those that are installed are not fetched.
LIBRARIES = ("postgresql-client-15", "libpq5", "libicu72", "libxml2", "libxslt1.1", "liblz4-1", "libzstd1", "libpam0g",
             "libldap-2.5-0", "libsasl2-2", "libgssapi-krb5-2", "libkrb5-3", "libk5crypto3", "libkrb5support0",
             "libkeyutils1", "libcom-err2", "libsystemd0", "libselinux1", "libuuid1", "libreadline8", "libedit2",
             "libbsd0", "libmd0", "libtinfo6", "libaudit1", "libcap-ng0", "libcap2", "libgcrypt20", "libgpg-error0",
             "liblzma5", "libllvm14", "libz3-4", "libstdc++6", "zlib1g", "libssl3")
USER, PASSWORD = "postern", "it's \\ a secret"

SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{dir}'
fsync = off
max_connections = 40
shared_buffers = 16MB
dynamic_shared_memory_type = mmap
jit = off
lc_messages = 'C'
log_min_messages = fatal
"""

HBA = """
local all postgres trust
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@functools.cache
def unpacked():
    return reachable(fetched.debian("postgresql-15", *LIBRARIES), "usr")


class Postgres:
    """sql() is the superuser's; tables() makes a database for conf(), which is a table's small file."""

    def __init__(self):
        self.root = unpacked()
        self.dir = tempfile.mkdtemp(prefix="postgres-")
        self.data, self.port, self.process = os.path.join(self.dir, "data"), free_port(), None
        os.chmod(self.dir, 0o755)
        if ROOT:
            os.chown(self.dir, NOBODY, NOBODY)
        try:
            self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        except subprocess.CalledProcessError as e:
            raise fetched.Unavailable(f"initdb: {e.stderr.strip().splitlines()[-1:]}") from None
        self.write("postgresql.auto.conf", SETTINGS.format(dir=self.dir, port=self.port))
        self.write("pg_hba.conf", HBA)

    def write(self, name, text):
        path = os.path.join(self.data, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o600)
        if ROOT:
            os.chown(path, NOBODY, NOBODY)

    def options(self):
        """initdb and the server refuse to be root."""
        lib = os.path.join(self.root, "usr/lib")
        env = {"LD_LIBRARY_PATH": f"{lib}/{os.uname().machine}-linux-gnu:{lib}", "PATH": "/usr/bin:/bin", "LC_ALL": "C",
               "HOME": self.dir}
        return {"env": env, "cwd": self.dir, "stdin": subprocess.DEVNULL,
                **({"user": NOBODY, "group": NOBODY, "extra_groups": []} if ROOT else {})}

    def program(self, name):
        """Unpacked, or installed."""
        path = os.path.join("usr/lib/postgresql/15/bin", name)
        unpacked = os.path.join(self.root, path)
        return unpacked if os.path.exists(unpacked) else os.path.join("/", path)

    def run(self, program, *args):
        return subprocess.run([self.program(program), *args], check=True, text=True, capture_output=True,
                              timeout=PATIENCE, **self.options()).stdout

    def start(self):
        """Ready when it answers."""
        self.process = subprocess.Popen([self.program("postgres"), "-D", self.data],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.options())
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.sql("SELECT 1")
                return self
            except subprocess.CalledProcessError as e:
                assert self.process.poll() is None and time.monotonic() < deadline, e.stderr
                time.sleep(0.02)

    def stop(self):
        """At once: its clients are cut off."""
        if self.process is not None:
            self.run("pg_ctl", "stop", "-D", self.data, "-m", "fast")
            self.process.wait(PATIENCE)
            self.process = None

    def cleanup(self):
        if self.process is not None:
            self.process.terminate()
            self.process.send_signal(2)     # fast: does not wait for clients
            self.process.wait(PATIENCE)
        shutil.rmtree(self.dir, ignore_errors=True)

    def sql(self, text, database="postgres"):
        return self.run("psql", "-h", self.dir, "-p", str(self.port), "-U", "postgres", "-d", database, "-qAtX",
                        "-v", "ON_ERROR_STOP=1", "-c", text).strip()

    def use_tls(self):
        """With a certificate of its own making; at its next start."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=db",
                        "-keyout", f"{self.data}/server.key", "-out", f"{self.data}/server.crt"], check=True,
                       capture_output=True)
        for name in ("server.key", "server.crt"):
            os.chmod(os.path.join(self.data, name), 0o600)
            if ROOT:
                os.chown(os.path.join(self.data, name), NOBODY, NOBODY)
        self.write("postgresql.auto.conf", SETTINGS.format(dir=self.dir, port=self.port) + "ssl = on\n")

    def tables(self, database, text):
        """A database with these tables, which USER may read and no more."""
        if self.sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{USER}'") == "":
            self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
        self.sql(f"CREATE DATABASE {database}")
        self.sql(text, database)
        self.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {USER}", database)

    def conf(self, database, more="", **queries):
        """A small file: conf("mail", alias="SELECT ... $1")"""
        password = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        lines = [f"conninfo hostaddr=127.0.0.1 port={self.port} dbname={database} user={USER} "
                 f"password='{password}' {more}"]
        return "\n".join(lines + [f"query_{service} {query}" for service, query in queries.items()]) + "\n"
