# SPDX-License-Identifier: ISC
"""tests/family: small configurations of the OpenSMTPD family load unchanged, and mean what they say.

Each is also put before the real OpenSMTPD, Debian's own, unpacked and not installed.
"""
import json
import os
import socket
import subprocess

import pytest

import family
import fetched
import opensmtpd
from nameserver import free_port, serve, serving
from postern import Server
from talk import rows
from tls import certificate

# What the server of a test needs besides; it stands before the configuration.
OURS = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
resolver forward 127.0.0.1@{dns}
trust anchor "signed.test DS 1 13 1 0000000000000000000000000000000000000000"
smtp error-delay 0
"""


@pytest.fixture(scope="module")
def nsd(tmp_path_factory):
    yield from serve(tmp_path_factory.mktemp("nsd"), family.ZONES)


@pytest.fixture(scope="module", params=family.NAMES)
def it(request, nsd):
    """A server with a configuration, .questions, and .smtps: whether each listener has TLS from the first octet."""
    s = Server("")
    mail = s.path("etc")
    os.mkdir(mail)
    family.lay_out(mail, certificate("ecdsa"))
    text = family.text_of(request.param, mail)
    s.questions, s.smtps = family.questions(request.param), family.listeners(text)
    with open(s.conf, "w", encoding="utf-8") as f:
        f.write(OURS.format(dir=s.dir, dns=nsd) + family.behind_balancer(text, [free_port(socket.SOCK_STREAM) for _ in s.smtps]))
    try:
        s.start()
        s.ctl("pause", "delivery")          # an action is looked up when RCPT is answered; nothing is to leave
        yield s
    finally:
        s.cleanup()


def assert_right(answers):
    wrong = [f"{q}: {answer}" for q, answer in answers if answer != q.answer]
    assert answers and not wrong, "\n".join(wrong)


def test_meaning(it):
    def action(said):
        (message,) = [m for m in rows(it, "show", "queue") if m["id"] in said]
        return message["recipients"][-1]["action"]
    assert_right([(q, family.ask(q, it.ports[q.listener - 1], it.smtps[q.listener - 1], action)) for q in it.questions])


def explained(it, q):
    words = ["-c", q.client, "-H", q.helo, "-a", q.login, "-f", f"<{q.sender}>", "-l", f"127.0.0.1:{it.ports[q.listener - 1]}"]
    words += ["-t"] if q.secured or it.smtps[q.listener - 1] else []
    return json.loads(it.ctl("explain", "--json", *words, q.to, check=False).stdout)


def about_one(it):
    """The questions that explain has words for: not how many recipients a message has, nor its size."""
    return [q for q in it.questions if "," not in q.to and not q.size]


def test_explained(it):
    """The same is explained: no client comes, nothing is said but to the admin."""
    said = [(q, explained(it, q)) for q in about_one(it)]
    assert_right([(q, s["action"] if s["outcome"] == "accepted" else f"{s['code']} {s['status']}") for q, s in said])


def test_explained_as_it_is_answered(it):
    """To the letter, unless it is refused only behind RCPT."""
    wrong = []
    for q in about_one(it):
        live, s = family.reply_of(q, it.ports[q.listener - 1], it.smtps[q.listener - 1]), explained(it, q)
        if (s["code"], f"{s['status']} {s['text']}") != live and not (live[0] == 250 and q.answer[0].isdigit()):
            wrong.append(f"{q}: {live}, but explained: {s['code']} {s['status']} {s['text']}")
    assert not wrong, "\n".join(wrong)


def test_there_are_enough():
    assert len(family.NAMES) >= 30
    for name in family.NAMES:
        answers = {q.answer for q in family.questions(name)}
        assert len(answers) >= 2, f"{name} can't fail"


# -- the real one ------------------------------------------------------------------------------

@pytest.mark.parametrize("name", family.NAMES)
def test_the_real_one_takes_it(tmp_path, name):
    root = fetched.or_skip(opensmtpd.fetch)
    family.lay_out(tmp_path, certificate("ecdsa"))
    conf = tmp_path / "smtpd.conf"
    conf.write_text(family.text_of(name, str(tmp_path)))
    done = subprocess.run([os.path.join(root, "usr/sbin/smtpd"), "-n", "-f", conf], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def real(tmp_path):
    tmp_path.chmod(0o755)
    it = fetched.or_skip(opensmtpd.OpenSmtpd, str(tmp_path / "real"))
    yield it
    it.stop()


def is_the_same(q, answer):
    """Of refusals the class counts.  Where a recipient leads elsewhere, it names the action of that."""
    wanted = q.real or q.answer
    if isinstance(answer, str) or wanted[0].isdigit():
        return answer[0] == wanted[0]
    return any(action == wanted or dest.endswith("@elsewhere.example") != rcpt.endswith("@elsewhere.example")
               for rcpt, dest, action in answer)


@pytest.mark.root
@pytest.mark.parametrize("name", family.NAMES)
def test_the_real_one_says_the_same(real, tmp_path, name):
    """But for TLS, and so logins: Debian's OpenSMTPD 6.8 has none that works with its OpenSSL 3."""
    family.lay_out(str(tmp_path), certificate("ecdsa"))
    text = family.text_of(name, str(tmp_path))
    smtps = family.listeners(text)
    ports = range(2501, 2501 + len(smtps))
    wrong = []
    with real.network.inside(), serving(tmp_path / "nsd", family.ZONES, port=53):
        real.start(family.behind_balancer(text, ports, "proxy-v2"), ports[0])
        for q in family.questions(name):
            if not q.secured and not smtps[q.listener - 1]:
                answer = family.ask(q, ports[q.listener - 1], False, lambda said: real.taken(), always=True)
                if not is_the_same(q, answer):
                    wrong.append(f"{q}: {answer}")
    assert not wrong, "\n".join(wrong)
