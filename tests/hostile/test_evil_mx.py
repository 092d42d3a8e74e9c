# SPDX-License-Identifier: ISC
"""Whoever mail is sent to, whatever they answer: nothing is lost, nothing is taken for delivered, nobody falls."""
import re
import ssl
import subprocess

import pytest
from evil import assert_well, hard_server, peak_mib
from evil_mx import POLITE, STEPS, EvilMX, Plan
from postern import PATIENCE, wait_for

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
listen on 127.0.0.1 port 0
action "out" relay host "smtp{scheme}://127.0.0.1:{port}"
match from local for any action "out"
queue retry-min 1h
smtp max-errors 1000
mta limit session-keepalive {keepalive}
"""


class Scene:
    """A server, and the evil MX that all its mail goes to."""

    def __init__(self, *plans, scheme="", keepalive="0"):
        self.mx = EvilMX(*plans)
        self.server = hard_server(start=False)
        self.server.write_conf(CONF, port=self.mx.port, scheme=scheme, keepalive=keepalive)
        self.server.start()
        self.forgiven = 0       # a place in the log

    def send(self, *rcpts, text="Subject: x\r\n\r\nx\r\n", alone=True):
        """A message without reports, alone to a host that nothing is known of; where the log was before it."""
        at = len(self.server.log)
        if alone and any("event=destination-dead" in line for line in self.server.log[self.forgiven:]):
            self.server.ctl("remove", "all", check=False)
            self.server.ctl("schedule", "all", check=False)
            self.forgiven = at = len(self.server.log)
        with self.server.smtp() as s:
            s.sendmail("me@example.net", rcpts, text, rcpt_options=["NOTIFY=NEVER"])
        return at

    def outcome(self, rcpt, at=0):
        """"delivered", "deferred" or "failed", and the line."""
        line = self.server.wait_log(rf"event=(delivered|deferred|failed) .*to={re.escape(rcpt)}\b", after=at)
        return re.search(r"event=(\w+)", line).group(1), line

    def kept(self, rcpt):
        return [text for r, text in self.mx.kept if r == rcpt]

    def seen(self, rcpt):
        return [text for r, text in self.mx.seen if r == rcpt]

    def again(self, rcpt):
        at = len(self.server.log)
        self.server.ctl("schedule", "all")
        return self.outcome(rcpt, at)

    def close(self):
        self.server.cleanup()
        self.mx.close()


@pytest.fixture
def scene():
    scenes = []

    def make(*plans, **more):
        scenes.append(Scene(*plans, **more))
        return scenes[-1]
    yield make
    for s in scenes:
        s.close()


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    where = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=evil.test", "-keyout", where / "key", "-out", where / "cert"],
                   check=True, capture_output=True, stdin=subprocess.DEVNULL)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(where / "cert", where / "key")
    return made


@pytest.mark.parametrize("step,reset", [(step, False) for step in STEPS] + [("RCPT", True), ("DOT", True)])
def test_cut_in_the_middle(scene, step, reset):
    """Never lost; a second copy only where the first got to its end: RFC 5321 6.1.  tests/unit/test_client_cuts.c
    has every octet of every reply; these are those of the last one, and some of the others."""
    s = scene()
    copies = 0
    octets = b"250-evil.test\r\n250-PIPELINING\r\n250 HELP\r\n" if step == "EHLO" else POLITE[step]
    places = range(0, len(octets), 1 if step == "DOT" and not reset else 4)
    for n in places:
        rcpt = f"{step}-{n}@far.example"
        s.mx.plans.append(Plan(cut=(step, n), reset=reset))
        at = s.send(rcpt)
        how, line = s.outcome(rcpt, at)
        assert how == "deferred", line
        assert not s.kept(rcpt)
        how, line = s.again(rcpt)
        assert how == "delivered", line
        assert len(s.kept(rcpt)) == 1
        copies += len(s.seen(rcpt))
    assert copies == (len(places) if step == "DOT" else 0)
    assert_well(s.server, mail=False)


CODES = (421, 450, 451, 452, 454, 500, 502, 521, 550, 552, 554, 556)
ANSWERS = [(step, code) for step in (*STEPS, "HELO") for code in CODES]


def test_every_refusal_at_every_step(scene):
    """4yz waits, 5yz to the message is the end of it, 5yz to ourselves is no message's fault but nobody's success."""
    s = scene()
    for step, code in ANSWERS:
        rcpt = f"{step}-{code}@far.example"
        answers = {step: b"%d no\r\n" % code}
        if step == "HELO":
            answers["EHLO"] = b"500 what\r\n"
        s.mx.plans.append(Plan(answers, only_once=True))
        at = s.send(rcpt)
        how, line = s.outcome(rcpt, at)
        if step == "EHLO" and code >= 500:      # then it is asked by HELO
            assert how == "delivered", line
            continue
        assert how != "delivered" and not s.kept(rcpt), line
        if code < 500 or (step == "RCPT" and code == 552):
            assert how == "deferred" and re.search(r"status=4\.", line), line
        elif step in ("MAIL", "RCPT", "DATA", "DOT"):
            assert how == "failed" and re.search(r"status=5\.", line), line
    assert_well(s.server, mail=False)


BROKEN = (b"\r\n", b"\n", b"250\n", b"25\r\n", b"2500 x\r\n", b"250_x\r\n", b"100 x\r\n", b"000 x\r\n",
          b"999 x\r\n", b"-50 x\r\n", b"250-a\r\n251 b\r\n", b"250-a\r\nb\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
          b"\x16\x03\x01\x02\x00\x01", b"\xff" * 64 + b"\r\n", b"\0" * 64 + b"\r\n",
          b"250 " + b"x" * 5000 + b"\r\n", b"2" * 70000,
          b"".join(b"250-%d\r\n" % i for i in range(200)) + b"250 ok\r\n")


@pytest.mark.parametrize("step", STEPS)
def test_broken_replies(scene, step):
    """What is no reply is no yes; its octets are nowhere but escaped, and cut."""
    s = scene()
    for i, reply in enumerate(BROKEN):
        rcpt = f"broken-{i}@far.example"
        s.mx.plans.append(Plan({step: reply}, cut=(step, len(reply))))
        at = s.send(rcpt)
        how, line = s.outcome(rcpt, at)
        assert how == "deferred", (reply, line)
        assert not s.kept(rcpt)
        assert len(line) < 4096 and line.isprintable()
    assert_well(s.server, mail=False)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("octets", (b"250-more\r\n" * 1000, b"x" * 16384), ids=("lines", "one-line"))
def test_endless_replies(scene, step, octets):
    """Whoever never comes to an end is heard for a while, in bounded memory, and given up."""
    s = scene(Plan(flood=(step, octets)))
    at = s.send("you@far.example")
    how, line = s.outcome("you@far.example", at)
    assert how == "deferred" and "status=4.5.0" in line, line
    wait_for(lambda: s.mx.visits[0].sock.fileno() == -1, "the end of the flood")
    assert s.mx.visits[0].sent < 64 << 20
    assert peak_mib(s.server, "delivery") < 600     # the sanitizer's own are hundreds
    assert_well(s.server, mail=False)


def test_replies_ahead_of_their_commands(scene):
    """A yes to what was not said yet is none: nothing is said to who talks out of turn."""
    s = scene()
    for step in STEPS:
        rcpt = f"ahead-{step}@far.example"
        ahead = POLITE[step] + b"250 2.0.0 ahead\r\n250 2.0.0 ahead\r\n354 ahead\r\n250 2.0.0 ahead\r\n"
        if step == "EHLO":
            ahead = b"250 evil.test\r\n" + b"250 2.0.0 ahead\r\n" * 5
        s.mx.plans.append(Plan({step: ahead}))
        at = s.send(rcpt)
        how, line = s.outcome(rcpt, at)
        if step == "DOT":       # its own yes came first; then it is hung up on
            assert how == "delivered", line
            continue
        assert how == "deferred" and not s.kept(rcpt), line
    assert_well(s.server, mail=False)


def test_injection_behind_starttls(scene, context):
    """Plain octets behind the 220 are not read as if they had come by TLS, and there is no second try in plain."""
    s = scene(*[Plan(tls=context, before_tls=b)
                for b in (b"250 2.0.0 fake\r\n", b"2", b"250-fake\r\n250 AUTH PLAIN\r\n" + b"250 2.0.0 ok\r\n" * 20)])
    for i in range(3):
        rcpt = f"injected-{i}@far.example"
        how, line = s.outcome(rcpt, s.send(rcpt))
        assert how == "deferred" and "status=4.7.0" in line, line
    assert not [line for line in s.mx.heard() if line.startswith((b"MAIL", b"RCPT", b"DATA"))]
    assert_well(s.server, mail=False)


def test_what_was_said_before_tls_is_forgotten(scene, context):
    """A limit, or an extension, that was offered in plain by who knows whom."""
    s = scene(Plan(tls=context, hidden=("SIZE 1", "DSN", "CHUNKING", "LIMITS MAILMAX=1 RCPTMAX=1"), only_once=True))
    how, line = s.outcome("you@far.example", s.send("you@far.example"))
    assert how == "delivered", line
    visit = s.mx.visits[0]
    assert visit.lines[:2] == [b"EHLO mx.test", b"STARTTLS"] and visit.secure[0] == b"EHLO mx.test"
    assert visit.secure[1] == b"MAIL FROM:<me@example.net>"


@pytest.mark.parametrize("plan", (Plan(), Plan(offers=("STARTTLS",), answers={"STARTTLS": b"454 4.7.0 no\r\n"}),
                                  Plan(offers=("STARTTLS",), answers={"STARTTLS": b"220 go\r\n500 no\r\n"}),
                                  Plan(answers={"EHLO": b"500 what\r\n"}),
                                  Plan(answers={"BANNER": b"220 hi\r\n250 ok\r\n250 ok\r\n"})),
                         ids=("stripped", "refused", "injected", "no-ehlo", "ahead"))
def test_no_plaintext_where_tls_is_a_must(scene, plan):
    s = scene(plan, plan, scheme="+tls")
    how, line = s.outcome("you@far.example", s.send("you@far.example"))
    assert how == "deferred" and re.search(r"status=4\.[57]\.", line), line
    how, line = s.again("you@far.example")
    assert how == "deferred", line
    assert not [x for x in s.mx.heard() if not re.match(rb"EHLO|HELO|STARTTLS|QUIT|\x16", x)]
    assert_well(s.server, mail=False)


def test_text_leaves_as_lines(scene):
    """Dots at every place: what the other side reads is the message, and it ends where ours does."""
    s = scene()
    text = "Subject: dots\r\n\r\n.\r\n..\r\n.x\r\nx.\r\n \r\n.\r\n\r\n..\r\nMAIL FROM:<x@y>\r\n.\r\n"
    how, line = s.outcome("you@far.example", s.send("you@far.example", text=text.replace("\r\n.", "\r\n.")))
    assert how == "delivered", line
    wire = s.mx.wire[0]
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", wire)
    assert not re.search(rb"^\.(?!\.)", wire, re.M)
    assert re.sub(rb"^\.", b"", wire, flags=re.M).endswith(text.encode())


LONG = "Subject: long\r\n\r\n" + "".join(f".{i}\r\n" for i in range(20000))


def test_chunks_arrive_as_they_were(scene):
    """BDAT (RFC 3030): each chunk as long as it says, dots and all."""
    s = scene(Plan(offers=("CHUNKING",)), keepalive="1m")
    for rcpt, text in (("short@far.example", "Subject: x\r\n\r\n.\r\n.x\r\n"), ("long@far.example", LONG)):
        how, line = s.outcome(rcpt, s.send(rcpt, text=text))
        assert how == "delivered", line
        assert s.kept(rcpt)[0].endswith(text.encode())
    heard = s.mx.heard()
    assert not [x for x in heard if x == b"DATA"] and len([x for x in heard if x.startswith(b"BDAT")]) > 3
    assert len(s.mx.visits) == 1


@pytest.mark.parametrize("step,octets", (("BDAT", b"452 4.3.1 full\r\n"), ("BDAT", b"354 go\r\n"),
                                         ("BDAT", b"junk\r\n"), ("DOT", b"452 4.3.1 full\r\n"), ("DOT", b"354 go\r\n")))
def test_chunks_that_are_refused(scene, step, octets):
    s = scene(Plan({step: octets}, offers=("CHUNKING",)), Plan({step: octets}, offers=("CHUNKING",), cut=(step, 4)))
    for _ in range(2):
        how, line = s.outcome("you@far.example", s.send("you@far.example", text=LONG))
        assert how == "deferred" and not s.kept("you@far.example"), line
    assert_well(s.server, mail=False)


def test_many_at_once(scene):
    """Every second connection is cut somewhere else, and all mail gets through in the end, once."""
    s = scene()
    for i in range(60):
        s.mx.plans.append(Plan(cut=(STEPS[i % 5], i % 7), reset=i % 2 == 0))
        s.mx.plans.append(Plan())
    rcpts = [f"r{i}@far.example" for i in range(60)]
    for rcpt in rcpts:
        s.send(rcpt, alone=False)

    def all_kept():
        s.server.ctl("schedule", "all", check=False)
        return {r for r, _ in s.mx.kept} >= set(rcpts)
    wait_for(all_kept, "all of them", PATIENCE * 4)
    for rcpt in rcpts:
        assert len(s.kept(rcpt)) == 1, rcpt
    assert_well(s.server, mail=False)
