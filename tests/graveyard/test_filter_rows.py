# SPDX-License-Identifier: ISC
"""Filters that stall, die or answer too little; and replies built of what others say."""
import os
import re
import signal
import socket
import subprocess

import pytest

from evil import HARD, Evil, assert_well, settle
from postern import PATIENCE, Raw, Server, wait_for
from victim import Victim

PHASES = ("connect", "helo", "ehlo", "mail-from", "rcpt-to", "data", "commit")
FILTERED = Server.CONF.replace("port 0", "port 0 filter \"all\"") + \
    "".join(f'filter "{p}" phase {p} match !src {{{{ 127.0.0.0/8 }}}} reject "550 5.7.1 not you"\n' for p in PHASES) + \
    'filter "all" chain {{ "%s" }}\n' % '", "'.join(PHASES) + "listen on 127.0.0.1 port 0\n"
# A filter must be defined before its listener names it.
FILTERED = "".join(sorted(re.findall(r"(?m)^filter.*\n", FILTERED), key=lambda line: "chain" in line)) + \
    re.sub(r"(?m)^filter.*\n", "", FILTERED)
DIALOGUE = [b"EHLO evil.example\r\n", b"MAIL FROM:<you@example.net>\r\n", b"RCPT TO:<demo@example.org>\r\n",
            b"DATA\r\n",
            b"Subject: x\r\n\r\nx\r\n.\r\n", b"QUIT\r\n"]
WELL = ["250", "250", "250", "354", "250", "221"]


@pytest.mark.parametrize("how", ("close", "reset", "half-close"))
def test_05_client_goes_in_every_phase(make_hard, how):
    """A client that goes at each octet while filters are asked at every phase: nothing dies, nothing is kept."""
    server = make_hard(FILTERED)
    for step, command in enumerate(DIALOGUE):
        for at in sorted({0, 1, len(command) // 2, len(command) - 1, len(command)}):
            c = Evil(server)
            for done in DIALOGUE[:step]:
                assert c.say(done)[0] in "23"
            c.send(command[:at])
            if how == "reset":
                c.reset()
            elif how == "close":
                c.close()
            else:
                c.sock.shutdown(socket.SHUT_WR)
                c.rest()
                c.close()
    settle(server)
    assert_well(server)


def stages(server):
    """Clients before each thing that is asked of another process, and the command that asks it."""
    out = []
    for n in range(len(DIALOGUE) - 1):
        c = Evil(server)
        for done in DIALOGUE[:n]:
            assert c.say(done)[0] in "23"
        out.append((c, DIALOGUE[n]))
    return out


def stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "T"


@pytest.mark.parametrize("role", ("lookup", "queue"))
def test_05_13_the_one_who_is_asked_dies(make_hard, role):
    """Asked at every step, stalled, then killed: each client gets a 4xx, none a 250 for its mail, and all is well again."""
    server = make_hard(FILTERED)
    clients = stages(server)
    pid = server.pids()[f"{role}/0"]
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: stopped(pid), "the stop")
    for c, command in clients:
        c.send(command)
    newcomer = Raw(("127.0.0.1", server.port))  # waits for the greeting
    os.kill(pid, signal.SIGKILL)
    server.wait_log(rf"event=process-ended process={role}/\S+ pid={pid} ")
    for c, command in clients:
        heard = c.heard()
        if role == "lookup":
            assert heard[0] == "4", (command, heard)
        assert heard[0] != "5" and (heard, command) != ("250 2.0.0", DIALOGUE[4]), (command, heard)
        c.close()
    newcomer.sock.settimeout(PATIENCE)
    assert newcomer.reply()[0] in (220, 421)
    newcomer.close()

    def serves():
        with Evil(server, greeted=False) as c:
            return c.reply()[0] == 220 and [c.say(command)[:3] for command in DIALOGUE] == WELL
    wait_for(serves, "service")
    wait_for(lambda: server.maildir(), "the message")
    server.log[:] = [line for line in server.log if f"pid={pid} " not in line and f"process={role}/" not in line]


@pytest.mark.parametrize("role", ("lookup", "queue"))
@pytest.mark.parametrize("how", ("close", "reset"))
def test_13_client_goes_while_each_question_is_pending(make_hard, role, how):
    """Every question is asked and its client gone before the answer comes: nobody is there to be told."""
    server = make_hard(FILTERED)
    for _ in range(3):
        clients = stages(server)
        pid = server.pids()[f"{role}/0"]
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: stopped(pid), "the stop")
        clients += [(Evil(server, greeted=False), b"") for _ in range(3 * (role == "lookup"))]
        for c, command in clients:
            c.send(command)
        for c, _ in clients:
            c.reset() if how == "reset" else c.close()
        os.kill(pid, signal.SIGCONT)
        settle(server)
    assert_well(server)


# -- replies that are too short or too long -----------------------------------------

@pytest.mark.parametrize("reply",
                         ("550 5.7.2", "550", "550 ", "", "5.7.2", "250 2.0.0 fine", "550-5.7.1 more", "650 x",
                          "550 5.7.1 a\\r\\n250 ok", "550 5.7.1 " + "x" * 257,
                                   "550 5.7.1 \u00fcber"))
def test_20_reply_of_a_filter_is_checked_when_it_is_read(tmp_path, reply):
    """A code without a text, half a code, the wrong class, more than a line: an error with its line, not a reply."""
    s = Server()
    try:
        text = reply.replace("\\r", "\r").replace("\\n", "\n")
        with open(s.conf, "a", encoding="utf-8") as f:
            f.write(f'filter "x" phase connect match src {{ 127.0.0.1 }} reject "{text}"\n')
        done = subprocess.run(s.argv("-n"), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode != 0 and f"{s.conf}:10:" in done.stdout + done.stderr, done
    finally:
        s.cleanup()


@pytest.mark.parametrize("reply,heard",
                         [("550 5.7. none", "550 5.7.1 5.7. none"),
                          ("450 5.7.2 other class", "450 4.7.1 5.7.2 other class"), ("421 4.7.2 x", "421 4.7.2 x"),
                                         ("550 5.7.1 " + "x" * 256, "550 5.7.1 " + "x" * 256),
                                         ("550 5.999.999 %s%n", "550 5.999.999 %s%n")])
def test_20_62_reply_of_a_filter(make_hard, reply, heard):
    """What is said is the reply, with a code of its own class before it, whatever its text looks like."""
    server = make_hard(f'filter "x" phase mail-from match src {{{{ 127.0.0.1 }}}} reject "{reply}"\n' +
                       Server.CONF.replace("port 0", "port 0 filter \"x\""))
    with Evil(server) as c:
        c.to("EHLO evil.example")
        c.send("MAIL FROM:<a@b.example>\r\nNOOP\r\n")
        assert c.line() == heard + "\r\n"
        assert c.heard() == "250 2.0.0"


def test_62_lines_of_a_long_reply(make_hard):
    """The longest names there are: every line of every reply ends in CRLF and is 512 octets at most."""
    name = ".".join(["x" * 63] * 3 + ["y" * 61])
    server = make_hard(Server.CONF.replace("mx.test", name), "smtp max-mails 999999\n")
    with Evil(server, greeted=False) as c:
        lines = [c.line()]
        for command in ("EHLO evil.example", "HELP", "VRFY x", "MAIL FROM:<" + "a" * 64 + "@" + name + ">",
                        "RCPT TO:<" + "b" * 64 + "@" + name + ">",
                        "RCPT TO:<" + "b" * 64 + "@example.org>", "QUIT"):
            c.send(command + "\r\n")
            lines.append(c.line())
            while lines[-1][3] == "-":
                lines.append(c.line())
    assert all(len(line) <= 512 and line.endswith("\r\n") and line.count("\r") == 1 for line in lines)
    assert lines[0].startswith("220 " + name) and lines[1].startswith("250-" + name)


# -- a lookup in wrong hands ----------------------------------------------------------

class Session(Victim):
    """A session process whose lookup is the test."""

    def __init__(self, build):
        super().__init__("session", build)
        self.queue, self.lookup = self.link("QUEUE"), self.link("LOOKUP")
        self.address = self.listen()

    def answer(self, name, answer, **values):
        while (m := self.lookup.receive()).type != name:
            pass
        self.lookup.send(answer, req=m.req, **values)


@pytest.fixture
def session():
    v = Session(HARD)
    yield v
    v.close()


WORDS = [("5.7.2", ""), ("5.7.", "x"), ("", ""), ("", "x"), (".", "."), ("5.7.1", "x" * 256),
         ("999999999999", "%s%n%d"), ("5.7.1", "a\tb"),
         ("5.7.1", "a\r\n250 2.1.5 ok"), ("5.7.1", "a\nb"), ("5.7.1\r\n250", "x"), ("5.7.1", "\x1b[31m"),
         ("5.7.1", "\u00fc")]


@pytest.mark.parametrize("status,text", WORDS, ids=lambda w: repr(w)[1:14])
def test_20_59_verdict_without_sense(session, status, text):
    """Whatever status and text a verdict has, the client hears one line, or none; the next is the next command's."""
    c = Raw(session.address)
    session.answer("client_enter", "client_verdict")
    assert c.reply()[0] == 220
    assert c.cmd("EHLO a.example")[0] == 250
    assert c.cmd("MAIL FROM:<a@b.example>")[0] == 250
    c.send("RCPT TO:<b@example.org>\r\nNOOP\r\n")
    session.answer("rcpt_check", "rcpt_verdict", code=550, status=status, text=text)
    try:
        first = c.line()
    except EOFError:
        return      # lookup was cut off, or the client let go
    assert first[:3] in ("550", "451", "421") and first.endswith("\r\n") and len(first) <= 512
    assert not re.search(r"[^ -~]", first[:-2]), repr(first)
    if first[:3] != "421":
        assert c.line() == "250 2.0.0 OK\r\n"
    c.close()


@pytest.mark.parametrize("code", (0, 1, 200, 250, 299, 354, 399, 599))
def test_20_verdict_with_another_code(session, code):
    """A recipient is accepted by 250 and an action; other codes are no reply to RCPT."""
    c = Raw(session.address)
    session.answer("client_enter", "client_verdict")
    c.reply()
    c.cmd("EHLO a.example")
    c.cmd("MAIL FROM:<a@b.example>")
    c.send("RCPT TO:<b@example.org>\r\n")
    session.answer("rcpt_check", "rcpt_verdict", code=code, status="2.1.5", text="x", action="")
    try:
        heard = c.line()[:3]
    except EOFError:
        return
    assert heard in ("451", "421") or code == 599 and heard == "599" or code == 250 and heard == "250", heard
    c.close()
