# SPDX-License-Identifier: ISC
"""How many recipients a second are checked, and how long one RCPT takes, with many virtual users in each kind of table.

Each session says RCPT for users taken at random and waits for the answer: nothing
is pipelined.  What is remembered of a table elsewhere is as smtpd.conf has it by
default.
"""
import sqlite3
import subprocess
import time

import latency
import peers
import server

import fetched
import postgres

PARTS = ("file", "cdb", "sqlite", "postgres")
CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
table users {table}
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
listen on 127.0.0.1 port 0
action "demo" maildir "{dir}/mail/%{{dest.user}}" virtual <users> userbase <owners>
match from any for domain "example.org" action "demo"
"""


class Server(server.Postern):
    """One kind of table; its users are user0@example.org and so on."""

    def __init__(self, kind, users):
        super().__init__(CONF.replace("{table}", "file:{dir}/users"))
        self.kind, self.users, self.database = kind, users, None
        getattr(self, kind)()

    def keys(self):
        return (f"user{n}@example.org" for n in range(self.users))

    def use(self, table):
        self.write_conf((CONF + server.LIMITS).replace("{table}", table))

    def file(self):
        with open(self.path("users"), "w", encoding="ascii") as f:
            f.writelines(f"{key}\tvmail\n" for key in self.keys())

    def cdb(self):
        self.file()
        subprocess.run([f"{self.build}/bin/smtpctl", "table", "build", self.path("users"), self.path("users.cdb")],
                       check=True, stdout=subprocess.DEVNULL)
        self.use(f"cdb:{self.path('users.cdb')}")

    def write(self, text):
        with open(self.path("users.conf"), "w", encoding="utf-8") as f:
            f.write(text)
        self.use(f"{self.kind}:{self.path('users.conf')}")

    def sqlite(self):
        db = sqlite3.connect(self.path("users.db"))
        db.execute("CREATE TABLE users (address TEXT PRIMARY KEY, target TEXT NOT NULL)")
        db.executemany("INSERT INTO users VALUES (?, 'vmail')", ((key,) for key in self.keys()))
        db.commit()
        db.close()
        self.write(f"dbpath {self.path('users.db')}\nquery_virtual SELECT target FROM users WHERE address = ?\n")

    def postgres(self):
        self.database = postgres.Postgres().start()
        self.database.tables("mail", "CREATE TABLE users (address TEXT PRIMARY KEY, target TEXT NOT NULL);"
                                     " INSERT INTO users SELECT 'user' || n || '@example.org', 'vmail'"
                                     f" FROM generate_series(0, {self.users - 1}) AS n; ANALYZE users")
        self.write(self.database.conf("mail", virtual="SELECT target FROM users WHERE address = $1"))

    def cleanup(self):
        super().cleanup()
        if self.database is not None:
            self.database.cleanup()


def measure(kind, sessions, options):
    with server.running(Server(kind, options.users)) as ours:
        arguments = ("-u", options.users, "-n", sessions, ours.port)
        server.samples(1, *arguments)       # warm
        us, seconds = [], max(1, round(options.seconds))
        cpu, started = server.cpu_s(ours.pid), time.monotonic()
        for _ in range(options.runs):
            us += [n for n, in server.samples(seconds, *arguments)]
        elapsed, cpu = time.monotonic() - started, server.cpu_s(ours.pid) - cpu
    p50, p99 = (latency.percentile(us, p) / 1000 for p in (0.50, 0.99))
    print(f"{kind:10} {sessions:8} {len(us) / elapsed:9.0f} {p50:8.2f} {p99:8.2f} {cpu / len(us) * 1e6:12.0f}", flush=True)


def run(options):
    """The table; whether it is complete."""
    complete = True
    print(f"\nRCPT checks with {options.users} virtual users; a session asks again when it is answered\n"
          f"{'table':10} {'sessions':>8} {'checks/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'CPU us each':>12}")
    for kind in PARTS:
        for sessions in options.rcpt:
            try:
                measure(kind, sessions, options)
            except (AssertionError, OSError, fetched.Unavailable, subprocess.SubprocessError) as e:
                print(f"{kind:10} {sessions:8} failed: {e}", flush=True)
                complete = False
    return complete
