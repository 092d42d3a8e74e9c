# SPDX-License-Identifier: ISC
"""smtpctl explain: what it shows of a decision, and that it is the decision of live mail."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import nameserver  # noqa: E402
import postern  # noqa: E402
from control import Bench  # noqa: E402
from ipc import OUTCOMES, encode  # noqa: E402
from talk import Client  # noqa: E402

OK, REFUSED, USAGE, TEMPFAIL = 0, 1, 2, 75
STEP = {"kind", "subject", "result", "text", "line", "decides", "steps"}
WHOLE = {"recipient", "sender", "client", "helo", "login", "tls", "listener", "steps", "outcome", "code",
         "status", "text", "why", "action", "line"}


class ExplainBench(Bench):
    """lookup as a test wants it: rows, then the end."""

    def __init__(self, directory):
        self.rows, self.end, self.done = [], {}, None
        self.asked = []
        super().__init__(directory)

    def _as_lookup(self, link, m):
        if m.type != "explain":
            return super()._as_lookup(link, m)
        self.asked.append({k: getattr(m, k) for k in ("client", "listener", "helo", "auth", "tls", "sender",
                                                      "rcpt")})
        for row in self.rows:
            link.send("explain_row", req=m.req, **row)
        if self.done:
            return link.send("done", req=m.req, outcome=OUTCOMES.index(self.done[0]), text=self.done[1])
        return link.send("explain_end", req=m.req, **self.end)


@pytest.fixture
def bench(tmp_path):
    b = ExplainBench(tmp_path)
    b.rows = [
        {"depth": 0, "kind": "client", "subject": "192.0.2.1", "text": "another host"},
        {"depth": 1, "kind": "helo", "subject": "[192.0.2.1]"},
        {"depth": 0, "kind": "rule", "subject": 'action "out"', "result": "no", "text": 'not "from local"',
         "line": 12},
        {"depth": 1, "kind": "test", "subject": "from local", "result": "no"},
        {"depth": 0, "kind": "rule", "subject": 'action "demo"', "result": "match", "line": 13, "decides": True},
        {"depth": 1, "kind": "test", "subject": "for domain <ours>", "result": "yes"},
        {"depth": 2, "kind": "lookup", "subject": "<ours> domain example.org", "result": "yes"},
    ]
    b.end = {"outcome": OUTCOMES.index("OK"), "code": 250, "status": "2.1.5", "text": "recipient ok",
             "why": "the rule at line 13", "action": "demo", "rule_line": 13}
    yield b
    b.stop()


# -- the command, with lookup played here --


def test_lines(bench):
    done = bench.smtpctl("explain", "bob@example.org")
    assert done.returncode == OK and done.stderr == b""
    assert done.stdout.decode() == """\
             client 192.0.2.1: another host
               helo [192.0.2.1]
   no        rule action "out": not "from local" (line 12)
   no          test from local
=> match     rule action "demo" (line 13)
   yes         test for domain <ours>
   yes           lookup <ours> domain example.org

=> accepted: 250 2.1.5 recipient ok
   because: the rule at line 13
"""
    assert bench.smtpctl("-q", "explain", "bob@example.org").stdout.decode() == (
        "=> accepted: 250 2.1.5 recipient ok\n   because: the rule at line 13\n")


def test_json_is_one_object(bench):
    done = bench.smtpctl("explain", "--json", "-c", "192.0.2.1", "bob@example.org")
    assert done.stdout.count(b"\n") == 1
    said = json.loads(done.stdout)
    assert set(said) == WHOLE
    assert (said["outcome"], said["code"], said["action"], said["line"]) == ("accepted", 250, "demo", 13)
    client, first, second = said["steps"]
    assert client["steps"][0]["subject"] == "[192.0.2.1]"
    assert second["steps"][0]["steps"][0]["subject"] == "<ours> domain example.org"
    assert (first["decides"], second["decides"], second["line"]) == (False, True, 13)

    def check(step):
        assert set(step) == STEP
        for s in step["steps"]:
            check(s)
    for step in said["steps"]:
        check(step)


@pytest.mark.parametrize("outcome,code,status", [
    ("OK", 250, OK), ("FAIL", 550, REFUSED), ("RETRY", 451, TEMPFAIL)])
def test_exit_status(bench, outcome, code, status):
    bench.end.update(outcome=OUTCOMES.index(outcome), code=code)
    word = {OK: "accepted", REFUSED: "refused", TEMPFAIL: "deferred"}[status]
    for more in ([], ["-q"], ["--json"]):
        done = bench.smtpctl("explain", *more, "bob@example.org")
        assert done.returncode == status and word in done.stdout.decode()


def test_the_question(bench):
    plain = {"client": "local", "listener": "", "helo": "", "auth": "", "tls": False, "sender": "",
             "rcpt": "bob@example.org"}
    for words, more in (
            ([], {}),
            (["-c", "socket"], {"client": "socket"}),
            (["-a", "ann@example.org"], {"auth": "ann@example.org", "sender": "ann@example.org"}),
            (["-a", "ann"], {"auth": "ann"}),
            (["-a", "ann@example.org", "-f", "<>"], {"auth": "ann@example.org"}),
            (["-f", "<ann@example.org>"], {"sender": "ann@example.org"}),
            (["-f", "x@y", "-H", "h", "-l", "587", "-t"],
             {"sender": "x@y", "helo": "h", "listener": "587", "tls": True})):
        for rcpt in ("bob@example.org", "<bob@example.org>"):
            bench.smtpctl("explain", *words, rcpt)
            assert bench.asked[-1] == {**plain, **more}, words


@pytest.mark.parametrize("words,complaint", [
    (["explain"], "'explain' needs RECIPIENT"),
    (["explain", "a", "b"], "one word too many"),
    (["explain", "x" * 600], "the recipient is too long"),
    (["explain", "-c", "x" * 80, "a@b"], "the client is too long"),
    (["explain", "-f"], "-f needs a value"),
    (["explain", "-n", "3", "a@b"], "'explain' does not take -n"),
    (["show", "queue", "-t"], "'show' does not take -t"),
    (["show", "queue", "-c", "x"], "'show' does not take -c"),
])
def test_words(bench, words, complaint):
    done = bench.smtpctl(*words)
    assert done.returncode == USAGE and complaint in done.stderr.decode()
    assert bench.asked == []


def test_nothing_steers_a_terminal(bench):
    hostile = "\x1b[2J\r\n\u202ex\x07"
    bench.rows = [{"depth": 0, "kind": hostile, "subject": hostile, "result": hostile, "text": hostile}]
    bench.end.update(text=hostile, why=hostile, status="\x1b[2J")
    out = bench.smtpctl("explain", "a@b").stdout
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", out) and "\u202e".encode() not in out
    assert out.count(b"\n") == 4
    said = json.loads(bench.smtpctl("explain", "--json", "a@b").stdout)
    assert said["why"] == said["steps"][0]["text"] == hostile


@pytest.mark.parametrize("depths", [[5, 0, 200], [0, 9, 1, 7, 2], [255], [0, 1, 2, 3, 2, 1, 0]])
def test_any_depths_make_json(bench, depths):
    bench.rows = [{"depth": d, "kind": "k"} for d in depths]

    def count(steps):
        return sum(1 + count(s["steps"]) for s in steps)
    said = json.loads(bench.smtpctl("explain", "--json", "a@b").stdout)
    assert count(said["steps"]) == len(depths)
    assert bench.smtpctl("explain", "a@b").returncode == OK


def test_a_server_that_does_not_explain(bench):
    bench.rows, bench.done = [], ("FAIL", "there is no listener 99")
    for more in ([], ["--json"]):
        done = bench.smtpctl("explain", *more, "a@b")
        assert (done.returncode, done.stdout) == (REFUSED, b"")
        assert done.stderr == b"smtpctl: there is no listener 99\n"
    bench.done = ("RETRY", "too much is being explained; try again")
    assert bench.smtpctl("explain", "a@b").returncode == TEMPFAIL


def test_what_was_begun_is_ended(bench):
    bench.done = ("RETRY", "")
    done = bench.smtpctl("explain", "--json", "a@b")
    said = json.loads(done.stdout)
    assert done.returncode == TEMPFAIL and said["outcome"] == "unknown" and len(said["steps"]) == 3


# -- a whole server: what is explained is what happens --

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
smtp error-delay 0
table users {{ "bob@example.org" = "vmail", "ann@example.org" = "bob@example.org" }}
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
table lists {{ "team@lists.example" = "bob@example.org, ann@example.org, eve@elsewhere.example",
    "void@lists.example" = "nobody@example.org, nemo@example.org" }}
filter "spam" phase mail-from match mail-from {{ "@spam.example" }} reject "550 5.7.1 No spam here"
filter "nohelo" phase ehlo match helo {{ "bad.example" }} reject "550 5.7.9 Not by that name"
filter "other" phase rcpt-to match rcpt-to {{ "old@example.org" }} rewrite "bob@example.org"
filter "all" chain {{ "nohelo", "spam", "other" }}
listen on 127.0.0.1 port 0 tag "MX" filter "all" xclient {{ 127.0.0.1 }}
listen on 127.0.0.1 port 0 tag "IN" xclient {{ 127.0.0.1 }}
action "demo" maildir "{dir}/mail/%{{dest.user}}" virtual <users> userbase <owners>
action "list" expand-only virtual <lists>
action "out" relay host "smtp://127.0.0.1:9"
match from src {{ 203.0.113.0/24 }} for domain "example.org" reject
match from any for domain "example.org" action "demo"
match from any for domain "lists.example" action "list"
match from local for any action "out"
match from any tag "IN" for domain "inner.example" action "out"
"""


@pytest.fixture(scope="module")
def whole():
    s = postern.Server(CONF)
    yield s.start()
    s.cleanup()


def explain(server, *words):
    """The object, and its exit status goes with it."""
    done = server.ctl("explain", "--json", *words, check=False)
    said = json.loads(done.stdout)
    assert done.returncode == {"accepted": OK, "refused": REFUSED, "deferred": TEMPFAIL}[said["outcome"]]
    return said


def walk(steps):
    for step in steps:
        yield step
        yield from walk(step["steps"])


def steps_of(said, kind):
    return [s for s in walk(said["steps"]) if s["kind"] == kind]


CASES = [  # listener, client, helo, sender, recipient
    ("MX", "192.0.2.7", "client.test", "you@example.net", "bob@example.org"),
    ("MX", "192.0.2.7", "client.test", "you@example.net", "nobody@example.org"),
    ("MX", "192.0.2.7", "client.test", "you@example.net", "ann+tag@example.org"),
    ("MX", "192.0.2.7", "client.test", "you@example.net", "old@example.org"),
    ("MX", "192.0.2.7", "client.test", "you@example.net", "someone@far.example"),
    ("MX", "192.0.2.7", "client.test", "you@example.net", "team@lists.example"),
    ("MX", "192.0.2.7", "client.test", "you@example.net", "none@lists.example"),
    ("MX", "192.0.2.7", "client.test", "you@example.net", "x@inner.example"),
    ("IN", "192.0.2.7", "client.test", "you@example.net", "x@inner.example"),
    ("MX", "192.0.2.7", "client.test", "you@spam.example", "bob@example.org"),
    ("IN", "192.0.2.7", "client.test", "you@spam.example", "bob@example.org"),
    ("MX", "192.0.2.7", "bad.example", "you@example.net", "bob@example.org"),
    ("MX", "203.0.113.5", "client.test", "you@example.net", "bob@example.org"),
    ("MX", "203.0.113.5", "client.test", "you@example.net", "team@lists.example"),
    ("MX", "2001:db8::5", "client.test", "", "bob@example.org"),
    ("MX", "127.0.0.1", "client.test", "you@example.net", "someone@far.example"),
    ("MX", "127.0.0.1", "client.test", "you@example.net", "postmaster@example.org"),
]


def live(server, listener, client, helo, sender, rcpt):
    """The first reply that is no success, or that to RCPT."""
    words = f"ADDR={'IPV6:' if ':' in client else ''}{client}"
    with Client(server.ports[("MX", "IN").index(listener)]).xclient(words) as c:
        for command in (f"EHLO {helo}", f"MAIL FROM:<{sender}>", f"RCPT TO:<{rcpt}>"):
            code, text = c.cmd(command)
            if code >= 400 or command.startswith("RCPT"):
                return code, *text.split(" ", 1)
    raise AssertionError("no reply")


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1]}-{c[2]}-{c[3]}-{c[4]}")
def test_as_live_mail(whole, case):
    listener, client, helo, sender, rcpt = case
    said = explain(whole, "-l", listener, "-c", client, "-H", helo, "-f", sender or "<>", rcpt)
    assert (said["code"], said["status"], said["text"]) == live(whole, *case)
    assert said["why"] and (said["action"] != "") == (said["code"] == 250)
    assert any(s["decides"] for s in walk(said["steps"]))


def test_the_reason(whole):
    said = explain(whole, "-c", "192.0.2.7", "nobody@example.org")
    rule = [s for s in steps_of(said, "rule") if s["decides"]][0]
    text = Path(whole.conf).read_text(encoding="utf-8").split("\n")
    assert text[rule["line"] - 1].startswith('match from any for domain "example.org" action "demo"')
    assert said["line"] == rule["line"] and str(rule["line"]) in said["why"]
    assert "nobody@example.org" in said["why"] and "<users>" in said["why"]
    recipient = steps_of(said, "recipient")[0]
    assert recipient["result"] == "no" and recipient["decides"]
    asked = [s["subject"] for s in recipient["steps"] if s["kind"] == "lookup"]
    assert any("users" in a and "nobody@example.org" in a for a in asked)


def test_rules_that_do_not_match_say_why(whole):
    said = explain(whole, "-c", "192.0.2.7", "someone@far.example")
    rules = steps_of(said, "rule")
    assert len(rules) == 5 and {r["result"] for r in rules} == {"no"}
    assert 'from local' in rules[3]["text"]
    assert [t["result"] for t in rules[3]["steps"] if t["kind"] == "test"] == ["no", "yes"]
    assert not any(r["decides"] for r in rules)


def test_filters_are_named(whole):
    said = explain(whole, "-c", "192.0.2.7", "-f", "you@spam.example", "bob@example.org")
    filters = {s["subject"]: s for s in steps_of(said, "filter")}
    assert filters['"nohelo" at ehlo']["result"] == "pass"
    spam = filters['"spam" at mail-from']
    assert (spam["result"], spam["decides"]) == ("reject", True) and "No spam here" in spam["text"]
    assert "spam" in said["why"] and not steps_of(said, "rule")
    said = explain(whole, "-c", "192.0.2.7", "old@example.org")
    rewrite = [s for s in steps_of(said, "filter") if s["result"] == "rewrite"]
    assert "bob@example.org" in rewrite[0]["text"] and said["code"] == 250


def test_the_tree_of_a_list(whole):
    said = explain(whole, "-c", "192.0.2.7", "team@lists.example")
    delivery = steps_of(said, "delivery")[0]
    leaves = {s["subject"]: s for s in walk(delivery["steps"]) if not any(part["kind"] != "lookup" for part in s["steps"])}
    assert any(s["kind"] == "mailbox" for s in leaves.values())
    assert any(s["kind"] == "relay" for s in leaves.values())
    assert len([s for s in leaves.values() if s["kind"] == "mailbox"]) == 1     # ann is bob
    route = steps_of(said, "route")[0]
    assert (route["result"], route["subject"]) == ("yes", "smtp://127.0.0.1:9")
    assert [s["subject"] for s in steps_of(said, "address")] == ["127.0.0.1"]


def test_what_is_looked_up_for_a_list(whole):
    """Once, and below whom it is for, also where he is not found."""
    said = explain(whole, "-c", "192.0.2.7", "void@lists.example")
    delivery = steps_of(said, "delivery")[0]
    asked = [s["subject"] for s in walk(delivery["steps"]) if s["kind"] == "lookup"]
    assert len(asked) == len(set(asked)) and "<lists> virtual void@lists.example" in asked
    for name in ("nobody", "nemo"):
        member = [s for s in walk(delivery["steps"]) if s["subject"] == f"{name}@example.org" and s["kind"] == "failed"][0]
        below = {s["subject"]: s["result"] for s in member["steps"]}
        assert below[f"<users> virtual {name}@example.org"] == "no"


def documented(words):
    """The words in .Cm of the manual that come between two."""
    page = (Path(postern.TOP) / "man/smtpctl.8").read_text(encoding="utf-8")
    text = page.split(words[0], 1)[1].split(words[1], 1)[0]
    return {word for line in re.findall(r"^\.Cm (.*)$", text, re.M) for word in line.split() if word.isalpha()}


@pytest.mark.parametrize("words", [
    ("bob@example.org",), ("-c", "192.0.2.7", "team@lists.example"), ("void@lists.example",), ("x@far.example",),
    ("-f", "a@spam.example", "bob@example.org"), ("-c", "192.0.2.7", "x@far.example"), ("old@example.org",), ("nonsense",)])
def test_kinds_and_results_are_documented(whole, words):
    kinds, results = documented(("The kinds are", "The results are")), documented(("The results are", "Keys, kinds"))
    assert len(kinds) == 36 and len(results) == 13, (kinds, results)
    for step in walk(explain(whole, *words)["steps"]):
        assert step["kind"] in kinds
        assert step["result"] in results | {""} or step["kind"] == "limit" and re.fullmatch(r"\d+(/\d+)?", step["result"])


def test_accepted_but_not_deliverable(whole):
    said = explain(whole, "-c", "192.0.2.7", "void@lists.example")
    assert said["code"] == 250 and "delivery fails" in said["why"]
    assert steps_of(said, "delivery")[0]["result"] == "no"


def test_lines_fit_the_object(whole):
    words = ("-c", "192.0.2.7", "nobody@example.org")
    lines = whole.ctl("explain", *words, check=False).stdout.split("\n")
    said = explain(whole, *words)
    assert len(lines) == len(list(walk(said["steps"]))) + 4
    assert lines[-3].startswith("=> refused: 550 5.1.1 ") and lines[-2] == f"   because: {said['why']}"
    marked = [line for line in lines[:-4] if line.startswith("=>")]
    assert len(marked) == len([s for s in walk(said["steps"]) if s["decides"]])


@pytest.mark.parametrize("words,complaint", [
    (("-c", "nonsense"), '"local" and "socket" are words'),
    (("-c", ""), "no address of a client"),
    (("-l", "99"), "there is no listener 99"),
    (("-l", "\x1b[2J"), "\\x1b[2J"),
])
def test_questions_that_make_no_sense(whole, words, complaint):
    done = whole.ctl("explain", *words, "bob@example.org", check=False)
    assert (done.returncode, done.stdout) == (REFUSED, "") and complaint in done.stderr


@pytest.mark.parametrize("rcpt", ["nonsense", "@", "a@b@c", "x" * 500, "<<bob@example.org>>", ""])
def test_what_is_no_recipient(whole, rcpt):
    said = explain(whole, "-c", "192.0.2.7", rcpt)
    assert said["code"] == 553 and said["status"] == "5.1.3"


def test_nothing_is_counted(whole):
    before = (whole.ctl("show", "clients", "--json").stdout, counters(whole))
    for n in range(20):
        explain(whole, "-c", "198.51.100.77", f"guess{n}@example.org")
    assert (whole.ctl("show", "clients", "--json").stdout, counters(whole)) == before


def counters(server):
    rows = map(json.loads, server.ctl("show", "stats", "--json").stdout.splitlines())
    return {r["name"]: r["value"] for r in rows if r["name"].startswith(("lookup.rcpt", "lookup.filters", "lookup.clients"))}


def test_the_limits_of_a_client(make_server):
    s = make_server(extra="smtp max-message-rate 2\nsmtp exempt-clients {{ 192.0.2.0/24 }}\n"
                          "listen on 127.0.0.1 port 0 xclient {{ 127.0.0.1 }}\n")
    for n in range(2):
        assert explain(s, "-c", "198.51.100.9", "demo@example.org")["code"] == 250, n
        with Client(s.ports[1]).xclient("ADDR=198.51.100.9") as c:
            c.say("EHLO client.test", "MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>")
    said = explain(s, "-c", "198.51.100.9", "demo@example.org")
    limit = [x for x in steps_of(said, "limit") if x["decides"]]
    assert [x["subject"] for x in limit] == ["max-message-rate"] and limit[0]["result"] == "3/2"
    with Client(s.ports[1]).xclient("ADDR=198.51.100.9") as c:
        c.say("EHLO client.test", "MAIL FROM:<you@example.net>")
        code, text = c.cmd("RCPT TO:<demo@example.org>")
    assert (said["code"], said["status"]) == (code, text.split(" ")[0]) and said["outcome"] == "deferred"
    for _ in range(3):
        with Client(s.ports[1]).xclient("ADDR=192.0.2.9") as c:
            c.say("EHLO client.test", "MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>")
    said = explain(s, "-c", "192.0.2.9", "demo@example.org")
    limits = {x["subject"]: x for x in steps_of(said, "limit")}
    assert said["code"] == 250 and limits["max-message-rate"]["text"] == "does not apply"


LIMITED = """smtp max-message-rate 2
smtp max-refused-rate 3
filter "spam" phase mail-from match mail-from {{ "@spam.example" }} reject "550 5.7.1 No spam here"
listen on 127.0.0.1 port 0 xclient {{ 127.0.0.1 }} filter "spam" tag "X"
"""


def as_live(server, client, sender, rcpt):
    """What is explained; then the same is tried, and answered to the letter, with that reason in the log."""
    said, mark = explain(server, "-l", "X", "-c", client, "-f", sender, rcpt), len(server.log)
    with Client(server.ports[1]).xclient(f"ADDR={client}") as c:
        for command in ("EHLO client.test", f"MAIL FROM:<{sender}>", f"RCPT TO:<{rcpt}>"):
            code, text = c.cmd(command)
            if code >= 400:
                break
    assert re.sub(r"\d+ \w+$", "", f"{said['code']} {said['status']} {said['text']}") == re.sub(r"\d+ \w+$", "", f"{code} {text}")
    if command.startswith("RCPT") and code >= 400:
        line = server.wait_log(f"event=recipient-refused client={client} ", after=mark)
        assert line.endswith(json.dumps(said["why"])), line
    return said


def test_limits_are_met_when_they_are_met(make_server):
    """A rate of messages at RCPT, behind the filters; one of refused recipients when one more is refused."""
    s = make_server(extra=LIMITED)
    for _ in range(2):
        assert as_live(s, "192.0.2.1", "a@b.test", "demo@example.org")["code"] == 250
    assert as_live(s, "192.0.2.1", "a@spam.example", "demo@example.org")["status"] == "5.7.1"
    said = as_live(s, "192.0.2.1", "a@b.test", "x@example.org")
    assert (said["code"], said["status"], said["why"]) == (451, "4.7.1", "over max-message-rate")
    s = make_server(extra=LIMITED.replace("max-message-rate 2", "max-message-rate 0"))
    for _ in range(3):
        assert as_live(s, "192.0.2.2", "a@b.test", "x@example.org")["status"] == "5.1.1"
    said = explain(s, "-l", "X", "-c", "192.0.2.2", "-f", "a@b.test", "demo@example.org")
    assert said["code"] == 250
    said = as_live(s, "192.0.2.2", "a@b.test", "x@example.org")
    assert (said["code"], said["status"], said["why"]) == (421, "4.7.1", "over max-refused-rate")
    assert [x["subject"] for x in steps_of(said, "limit") if x["decides"]] == ["max-refused-rate"]
    said = explain(s, "-l", "X", "-c", "192.0.2.2", "-f", "a@spam.example", "demo@example.org")
    assert said["code"] == 421 and not steps_of(said, "filter")         # it does not come in any more


def test_an_answer_that_is_waited_for(make_server):
    """The parent is asked for an account the first time; the steps are those of the second time."""
    s = make_server(extra='action "local" maildir "{dir}/mail/%{{user.username}}"\nmatch from any for local action "local"\n')
    for rcpt, code in (("root@mx.test", 250), ("no-such-account@mx.test", 550)):
        first, second = (explain(s, "-c", "192.0.2.7", rcpt) for _ in range(2))
        assert first["code"] == code and first["steps"] == second["steps"]
        asked = [x["subject"] for x in steps_of(first, "lookup")]
        assert asked.count("accounts " + rcpt.split("@")[0]) == 1, asked


def test_many_at_once(whole):
    """Each gets one answer, or is told to try again; live mail goes on."""
    argv = [f"{whole.build}/bin/smtpctl", "-s", whole.path("smtpd.sock"), "explain", "--json", "-c",
            "192.0.2.7", "team@lists.example"]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(40)]
    with whole.smtp() as s:
        s.ehlo()
        assert s.docmd("MAIL FROM:<you@example.net>")[0] == 250
        assert s.docmd("RCPT TO:<bob@example.org>")[0] == 250
    for child in running:
        out, err = child.communicate(timeout=postern.PATIENCE)
        assert child.returncode in (OK, TEMPFAIL), err
        assert child.returncode == TEMPFAIL or json.loads(out)["code"] == 250
    assert whole.process.poll() is None


def test_a_silent_dns_holds_nobody_up(make_server):
    """While one waits for the DNS others are explained; a reload begins it anew; the asker may leave."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(postern.PATIENCE)
        s = make_server(extra=f'action "mx" relay\nmatch from local for any action "mx"\n'
                              f"resolver forward 127.0.0.1@{silent.getsockname()[1]}\n")
        argv = [f"{s.build}/bin/smtpctl", "-s", s.path("smtpd.sock"), "explain", "x@far.example"]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as waiting:
            silent.recv(512)
            assert explain(s, "demo@example.org")["code"] == 250
            mark = len(s.log)
            s.process.send_signal(signal.SIGHUP)
            s.wait_log("event=reloaded", after=mark)
            assert explain(s, "demo@example.org")["code"] == 250
            assert waiting.poll() is None
            waiting.kill()
        assert explain(s, "demo@example.org")["code"] == 250
        assert s.process.poll() is None and not any("event=exited" in line for line in s.log)


def test_what_the_listener_requires(make_server):
    s = make_server(extra='pki mx.test cert "{dir}/cert.pem"\npki mx.test key "{dir}/key.pem"\n'
                          'table logins {{ "ann" = "x" }}\ntable owned {{ "ann" = "ann@example.org, @example.net" }}\n'
                          'listen on 127.0.0.1 port 0 tls-require auth <logins> senders <owned> tag "SUB"\n'
                          'match auth from any for any action "demo"\n', start=False)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", "/CN=mx.test", "-keyout", s.path("key.pem"), "-out", s.path("cert.pem")],
                   check=True, capture_output=True)
    s.start()
    with Client(s.ports[1]) as c:
        c.say("EHLO client.test")
        code, text = c.cmd("MAIL FROM:<ann@example.org>")
    sub = ("-l", "SUB", "-c", "192.0.2.7", "demo@example.org")
    said = explain(s, *sub)
    assert (said["code"], f"{said['status']} {said['text']}") == (code, text) and "TLS" in said["why"]
    said = explain(s, *sub, "-t")
    assert (said["code"], said["status"], said["text"]) == (530, "5.7.0", "Authentication is required")
    assert explain(s, *sub, "-t", "-a", "ann", "-f", "ann@example.org")["code"] == 250
    said = explain(s, *sub, "-t", "-a", "ann", "-f", "eve@example.org")
    assert (said["code"], said["status"]) == (550, "5.7.1") and "ann" in said["why"]
    sender = steps_of(said, "sender")[0]
    assert sender["decides"] and sender["steps"][0]["text"] == "ann@example.org, @example.net"
    assert explain(s, "demo@example.org")["code"] == 250    # the first listener wants nothing


ZONES = {
    "example": """$ORIGIN example.
$TTL 60
@ SOA ns.example. admin.example. 1 3600 600 86400 60
@ NS ns.example.
ns A 127.0.0.1
mail A 192.0.2.1
far MX 20 second
far MX 10 first
first A 192.0.2.11
first AAAA 2001:db8::11
second A 192.0.2.12
null MX 0 .
""",
    "2.0.192.in-addr.arpa": """$ORIGIN 2.0.192.in-addr.arpa.
$TTL 60
@ SOA ns.example. admin.example. 1 3600 600 86400 60
@ NS ns.example.
1 PTR mail.example.
2 PTR mail.example.
""",
}

DNS_CONF = """
trust anchor "/dev/null"
resolver forward 127.0.0.1@%d
filter "named" phase connect match !fcrdns reject "550 5.7.25 Your address has no name"
listen on 127.0.0.1 port 0 filter "named" tag "MX"
action "mx" relay
match from rdns regex {{ "^mail" }} for any action "mx"
"""


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    with nameserver.serving(tmp_path_factory.mktemp("explain") / "zones", ZONES) as port:
        s = postern.Server(extra=DNS_CONF % port).start()
        yield s
        s.cleanup()


@pytest.mark.parametrize("client,result,name,code", [
    ("192.0.2.1", "confirmed", "mail.example", 250),
    ("192.0.2.2", "named", "mail.example", 550),
    ("192.0.2.3", "none", "", 550),
])
def test_names_of_clients(named, client, result, name, code):
    said = explain(named, "-l", "MX", "-c", client, "x@far.example")
    row = steps_of(said, "name")[0]
    assert (row["result"], row["subject"], said["code"]) == (result, name, code)
    assert code == 250 or (said["status"] == "5.7.25" and "named" in said["why"])


def test_a_rule_that_nobody_can_judge(make_server):
    """Of a table that did not load: the rule decides, and nothing is said of the recipient."""
    s = make_server(extra='table gone file:{dir}/gone\nmatch from src <gone> for any action "demo"\n', start=False)
    with open(s.path("gone"), "w", encoding="utf-8"):
        pass
    s.start()
    os.unlink(s.path("gone"))
    os.kill(s.pids()["lookup/0"], signal.SIGKILL)
    s.wait_log("event=restarted process=lookup/0")
    said = postern.wait_for(lambda: s.ctl("explain", "--json", "-c", "192.0.2.7", "x@far.example", check=False).stdout,
                            "an explanation")
    said = json.loads(said)
    rule = [x for x in walk(said["steps"]) if x["decides"]]
    assert [(x["kind"], x["result"]) for x in rule] == [("rule", "trouble")] and "<gone>" in rule[0]["text"]
    assert said["outcome"] == "deferred" and not steps_of(said, "recipient")


def test_the_hosts_of_a_domain(named):
    said = explain(named, "-c", "192.0.2.1", "x@far.example")
    route = steps_of(said, "route")[0]
    hosts = [h for h in route["steps"] if h["kind"] == "host"]
    assert (route["subject"], route["result"]) == ("far.example", "yes")
    assert [(h["subject"], sorted(a["subject"] for a in h["steps"])) for h in hosts] == [
        ("first.example", ["192.0.2.11", "2001:db8::11"]), ("second.example", ["192.0.2.12"])]
    assert "preference 10" in hosts[0]["text"] and "without DNSSEC" in hosts[0]["text"]


@pytest.mark.parametrize("domain,words", [("null.example", "null MX"), ("ghost.example", "no such domain")])
def test_a_domain_that_takes_no_mail(named, domain, words):
    said = explain(named, "-c", "192.0.2.1", f"x@{domain}")
    route = steps_of(said, "route")[0]
    assert route["result"] == "no" and words in route["text"] and said["code"] == 250


@pytest.fixture(scope="module")
def thousands():
    s = postern.Server(extra='table lists file:{dir}/lists\naction "list" expand-only virtual <lists>\n'
                             'match from any for domain "lists.example" action "list"\n')
    with open(s.path("lists"), "w", encoding="utf-8") as f:
        f.write("all@lists.example: " + ", ".join(f"m{n}@lists.example" for n in range(4500)) + "\n" +
                "".join(f"m{n}@lists.example: demo@example.org\n" for n in range(4500)))
    os.chmod(s.path("lists"), 0o644)
    yield s.start()
    s.cleanup()


def test_a_list_of_thousands(thousands):
    """As many steps as there is room for, and the number of the others."""
    said = explain(thousands, "-c", "192.0.2.7", "all@lists.example")
    steps = list(walk(said["steps"]))
    more = [x for x in steps if x["kind"] == "more"]
    assert said["code"] == 250 and len(steps) <= 5020
    shown, dropped = len(steps) - 1, int(re.search(r"\d+", more[0]["text"]).group())
    assert len(more) == 1 and shown + dropped > 9000
    assert any(x["decides"] for x in steps) and steps_of(said, "delivery")[0]["result"] == "yes"


def test_askers_who_do_not_read(thousands):
    """They cost themselves alone: mail is answered meanwhile, and so are other admins."""
    pids = thousands.pids()
    question = encode("explain", req=1, client="192.0.2.7", rcpt="all@lists.example")
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.connect(thousands.path("smtpd.sock"))
            sock.sendall(question)
        with thousands.smtp() as c:
            c.ehlo()
            began = time.monotonic()
            assert c.docmd("MAIL FROM:<you@example.net>")[0] == 250
            assert c.docmd("RCPT TO:<demo@example.org>")[0] == 250
            assert time.monotonic() - began < postern.PATIENCE / 2
        postern.wait_for(lambda: thousands.ctl("explain", "demo@example.org", check=False).returncode == OK,
                         "an explanation for who reads")
    assert thousands.pids() == pids
    assert postern.wait_for(lambda: explain(thousands, "all@lists.example"), "another one")["code"] == 250


# -- the manual --

MANUAL_CONF = """hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
table users {{ "bob@example.org" = "vmail" }}
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
listen on 127.0.0.1 port 0
action "in" maildir "{dir}/mail" virtual <users> userbase <owners>
action "out" relay
match from local for any action "out"
match from any for domain "example.org" action "in"
"""


def manual_output(server):
    out = server.ctl("explain", "-c", "192.0.2.7", "-f", "ann@example.net", "rob@example.org", check=False).stdout
    return out.replace("127.0.0.1:0", "192.0.2.1:25")


def test_the_example_of_the_manual(make_server):
    page = (Path(postern.TOP) / "man/smtpctl.8").read_text(encoding="utf-8")
    start = "# smtpctl explain -c 192.0.2.7 -f ann@example.net rob@example.org\n"
    example = page.split(start, 2)[1].split(".Ed", 1)[0]
    assert example == manual_output(make_server(MANUAL_CONF))
