# SPDX-License-Identifier: ISC
"""smtpd-control between a real smtpctl and a queue and a parent made here."""

import os
import select
import socket
import subprocess
import threading
import time

from ipc import BUILD, DEADLINE, OUTCOMES, Closed, Link, Process

RIGHTS = 0x0001 | 0x0002  # base, accept: smtpd/roles.c
SMTPCTL = BUILD / "bin" / "smtpctl"
OK, GONE = OUTCOMES.index("OK"), OUTCOMES.index("GONE")
DEVICE, BROWSER, NONE = range(3)  # enum ipc_oauth


def message(number, **changes):
    """A queued message as the spool would show it."""
    m = {
        "id": number, "sender": "alice@example.org", "client": "[192.0.2.1] helo.example",
        "received_s": int(time.time()) - 3600, "expires_s": int(time.time()) + 3600,
        "size_bytes": 4200, "flags": 0, "rcpts": [rcpt("bob@example.com")],
        "text": [b"Received: by test\r\n", b"Subject: hello\r\n\r\nbody\r\n"],
    }
    m.update(changes)
    return m


def rcpt(address, **changes):
    r = {
        "address": address, "original": address, "action": "out", "dest": "example.com",
        "state": 1, "due_s": int(time.time()) + 300,
    }
    r.update(changes)
    return r


def run_smtpctl(path, *words, **options):
    return subprocess.run(
        [options.pop("program", SMTPCTL), "-s", path, *words], capture_output=True,
        timeout=DEADLINE * 4, stdin=subprocess.DEVNULL, **options
    )


class Bench:
    """The process, and a thread that is its queue, its lookup, its vault, its sessions and its parent."""

    def __init__(self, directory, with_queue=True, with_lookup=True, with_vault=True):
        self.path = str(directory / "smtpd.sock")
        self.messages = {}
        self.clients = []  # rows as lookup has them, by number
        self.changes = []  # (what, id) as the queue got them
        self.cleared = []  # clients as lookup got them
        self.certificates = []  # rows as the vault has them
        self.logins = []  # rows as the vault has them, by number
        self.forgotten = []  # addresses and logins as the vault got them
        self.pauses = []  # (what, on) as the parent got them
        self.updated = []  # tables as the parent got them
        self.limits = []  # rows as delivery has them, by number
        self.domains = []  # rows as the queue has them, by name
        self.undone = []  # domains as the queue got them
        self.oauths = []  # rows as the vault has them
        self.login = []  # what it answers to a login and to a code: (name, fields)
        self.codes = []  # (label, code, state) as it got them
        self.redirects = []  # (label, redirect) likewise
        self.questions = []  # names, as they came
        self.processes = []  # rows for procs
        self.log = []
        self.links = {}
        self.mute = False  # the queue does not answer
        self.wake, self.woken = socket.socketpair()
        self.process = Process("smtpd-control", "CONTROL", RIGHTS, 'control socket "%s"\n' % self.path)
        if with_queue:
            self.add_link("QUEUE")
        if with_lookup:
            self.add_link("LOOKUP")
        if with_vault:
            self.add_link("VAULT")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(self.path)
        listener.listen(128)
        self.process.parent.send("listen", fd=listener.fileno(), index=0)
        listener.close()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def add_link(self, role, instance=0):
        """A peer that the thread plays; takes the place of the one before."""
        self.links[role, instance] = self.process.link(role, instance)
        self.wake.send(b"x")
        return self.links[role, instance]

    def stop(self):
        self.wake.close()
        self.thread.join()
        for link in list(self.links.values()):
            link.close()
        status = self.process.stop()
        assert status == 0, "smtpd-control ended with %s" % status

    @property
    def pid(self):
        return self.process.child.pid

    def smtpctl(self, *words, **options):
        return run_smtpctl(self.path, *words, **options)

    def connect(self):
        """A raw connection of an admin.  It waits its turn, as smtpctl does."""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.path)
        sock.settimeout(DEADLINE)
        return Link(sock)

    def wait_log(self, text):
        end = time.monotonic() + DEADLINE
        while not any(text in line for line in self.log):
            assert time.monotonic() < end, "no %r in %s" % (text, self.log)
            time.sleep(0.01)

    # -- the other side --

    def _serve(self):
        while True:
            ends = {self.process.parent.sock: (self.process.parent, self._as_parent)}
            for (role, _), link in list(self.links.items()):
                act = {"QUEUE": self._as_queue, "LOOKUP": self._as_lookup,
                       "VAULT": self._as_vault, "DELIVERY": self._as_delivery}.get(role, self._as_other)
                ends[link.sock] = (link, act)
            ready = select.select([self.woken, *ends], [], [])[0]
            if self.woken in ready and self.woken.recv(1) == b"":
                return
            for sock in ready:
                if sock in ends:
                    self._serve_link(*ends[sock])

    def _serve_link(self, link, act):
        try:
            self._drain(link, act)
        except Closed:
            assert link is not self.process.parent, "smtpd-control died"
            for key in [k for k, v in self.links.items() if v is link]:
                del self.links[key]

    @staticmethod
    def _drain(link, act):
        while True:
            try:
                m = link.receive(0)
            except TimeoutError:
                return
            act(link, m)

    def _as_parent(self, link, m):
        if m.type == "log":
            self.log.append(m.line)
        elif m.type == "pause":
            self.pauses.append((m.what, m.on))
            link.send("done", req=m.req, outcome=OK)
        elif m.type == "table_update":
            self.updated.append(m.table)
            link.send("done", req=m.req, outcome=OK)
        elif m.type == "procs":
            for row in self.processes:
                link.send("procs_row", req=m.req, **row)
            link.send("procs_end", req=m.req, version="9.9", uptime_s=7260, generation=2)
        elif m.type == "stats":
            link.send("stats_row", req=m.req, name="parent.restarts", value=3)
            link.send("stats_end", req=m.req)

    @staticmethod
    def _as_other(link, m):
        if m.type == "stats":
            link.send("stats_row", req=m.req, name="session.connections", value=20)
            link.send("stats_row", req=m.req, name="queue.forged", value=1)
            link.send("stats_end", req=m.req)

    def _as_delivery(self, link, m):
        if m.type != "limits":
            link.send("stats_end", req=m.req)
            return
        self.questions.append(m.type)
        page = [r for r in self.limits if r["number"] > m.after]
        for row in page[: m.limit]:
            link.send("limits_row", req=m.req, **row)
        link.send("limits_end", req=m.req, connections=7, connections_max=500, more=len(page) > m.limit)

    def _as_lookup(self, link, m):
        if m.type == "clients":
            self.questions.append(m.type)
            page = [r for r in self.clients if r["number"] > m.after]
            for row in page[: m.limit]:
                link.send("clients_row", req=m.req, **row)
            link.send("clients_end", req=m.req, open=sum(r["open"] for r in self.clients),
                      more=len(page) > m.limit)
        elif m.type == "clients_clear":
            self.cleared.append(m.client)
            there = m.client in ["", *(r["client"] for r in self.clients)]
            link.send("done", req=m.req, outcome=OK if there else GONE,
                      text="" if there else "no such client")
        elif m.type == "find_in":
            link.send("find_end", req=m.req, outcome=GONE)
        elif m.type == "explain":
            link.send("explain_end", req=m.req, code=250)
        else:
            link.send("stats_end", req=m.req)

    def _as_vault(self, link, m):
        if m.type == "certificates":
            for row in self.certificates:
                link.send("certificates_row", req=m.req, **row)
            link.send("certificates_end", req=m.req)
        elif m.type == "logins":
            self.questions.append(m.type)
            page = [r for r in self.logins if r["number"] > m.after]
            for row in page[: m.limit]:
                link.send("logins_row", req=m.req, **row)
            link.send("logins_end", req=m.req, more=len(page) > m.limit)
        elif m.type == "logins_clear":
            self.forgotten.append(m.what)
            there = m.what in ["", *(r["what"] for r in self.logins)]
            link.send("done", req=m.req, outcome=OK if there else GONE,
                      text="" if there else "no such address or login")
        elif m.type == "find_secret":
            link.send("find_end", req=m.req, outcome=GONE)
        elif m.type.startswith("oauth_"):
            self._on_oauth(link, m)
        else:
            link.send("stats_row", req=m.req, name="auth.ok", value=7)
            link.send("stats_end", req=m.req)

    def _on_oauth(self, link, m):
        if m.type == "oauth_list":
            for row in self.oauths:
                link.send("oauth_row", req=m.req, **row)
            link.send("oauth_end", req=m.req)
        elif m.type == "oauth_forget":
            self.codes.append((m.label, None, None))
            link.send("done", req=m.req, outcome=OK)
        else:
            if m.type == "oauth_login":
                self.redirects.append((m.label, m.redirect))
            else:
                self.codes.append((m.label, m.code, m.state))
            while self.login:
                name, fields = self.login.pop(0)
                link.send(name, req=m.req, **fields)
                if name == "oauth_done" or fields.get("how") == BROWSER:
                    return

    def _as_queue(self, link, m):
        self.questions.append(m.type)
        if not self.mute:
            getattr(self, "_on_" + m.type)(link, m)

    @staticmethod
    def _send_message(link, req, m):
        fields = {k: v for k, v in m.items() if k not in ("rcpts", "text")}
        link.send("list_message", req=req, nchunks=len(m["text"]), **fields)
        for n, r in enumerate(m["rcpts"]):
            link.send("list_rcpt", req=req, key=m["id"] << 20 | n, **r)

    def _on_list(self, link, m):
        page = sorted(i for i in self.messages if i > m.after)
        for number in page[: m.limit]:
            self._send_message(link, m.req, self.messages[number])
        link.send("list_end", req=m.req, outcome=OK, more=len(page) > m.limit)

    def _on_get(self, link, m):
        if m.id in self.messages:
            self._send_message(link, m.req, self.messages[m.id])
        link.send("list_end", req=m.req, outcome=OK if m.id in self.messages else GONE)

    def _on_read(self, link, m):
        if m.id in self.messages:
            link.send("read_data", req=m.req, data=self.messages[m.id]["text"][m.seq])
        else:
            link.send("read_data", req=m.req, outcome=GONE)

    def _on_change(self, link, m):
        self.changes.append((m.what, m.id))
        there = m.id == 0 or m.id in self.messages
        link.send("done", req=m.req, outcome=OK if there else GONE)

    def _on_tls_domains(self, link, m):
        page = [r for r in self.domains if r["domain"] > m.after]
        for row in page[: m.limit]:
            link.send("tls_domains_row", req=m.req, **row)
        link.send("tls_domains_end", req=m.req, more=len(page) > m.limit)

    def _on_tls_forget(self, link, m):
        self.undone.append(m.domain)
        there = m.domain in ["", *(r["domain"] for r in self.domains)]
        link.send("done", req=m.req, outcome=OK if there else GONE, text="" if there else "no such domain")

    @staticmethod
    def _on_stats(link, m):
        link.send("stats_row", req=m.req, name="queue.messages", value=5)
        link.send("stats_end", req=m.req)


def open_descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def resident_kib(pid, key="VmRSS"):
    with open("/proc/%d/status" % pid) as status:
        for line in status:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise AssertionError("no such process")
