# SPDX-License-Identifier: ISC
"""Mail that goes out by submission servers shaped like the large providers' ones, with passwords: each mechanism, each
kind of port, what such servers refuse, and that nothing secret is said to who has not proved who he is."""
import base64
import os
import re

import pytest

import smarthost
import submission
import tls
from postern import wait_for
from smarthost import LABEL, arrived
from submission import PASSWORD, USER, Submission

SECRETS = f'table secrets {{{{ "{LABEL}" = "{USER}:%s" }}}}\n'


@pytest.fixture
def start(make_server):
    """(server, submission server) with everything sent from the one by the other."""
    hosts = []

    def make(shape=submission.PLAIN, at_once=False, scheme=None, password=PASSWORD, options="", **more):
        host = Submission(shape, **more)
        hosts.append(host)
        url = f"smtps://{LABEL}@127.0.0.1:{host.tls_port}" if at_once else \
            f"{scheme or 'smtp+tls'}://{LABEL}@127.0.0.1:{host.port}"
        quoted = password.replace("{", "{{").replace("}", "}}").replace('"', '\\"')
        server = smarthost.start(make_server, SECRETS % quoted + smarthost.relay(url, "auth <secrets> " + options))
        return server, host
    yield make
    for h in hosts:
        h.stop()


def send(server, sender=USER):
    server.send(to=["bob@example.net", "eve@example.com"], sender=sender)


def why(server, pattern):
    return wait_for(lambda: re.search(pattern, server.ctl("show", "queue", "--json").stdout), f"{pattern} in the queue")


def no_password(server, host, password=PASSWORD):
    """Neither logged, nor said in the clear, nor shown, nor written anywhere but in the configuration."""
    secret = password.encode()
    forms = [secret, base64.b64encode(secret), base64.b64encode(f"\0{USER}\0{password}".encode())]
    texts = ["\n".join(server.log).encode(), b"\n".join(host.in_clear),
             server.ctl("show", "limits").stdout.encode(), server.ctl("show", "queue", "--json").stdout.encode()]
    for folder, _, names in os.walk(server.path("spool")):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                texts.append(f.read())
    for pid in server.pids().values():
        for file in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{file}", "rb") as f:
                texts.append(f.read())
    assert not [f for f in forms for t in texts if f in t]


MECHANISMS = [(submission.GMAIL, "PLAIN"), (submission.GMAIL, "LOGIN"), (submission.OFFICE, "LOGIN"),
              (submission.PLAIN, "SCRAM-SHA-256"), (submission.PLAIN, "PLAIN"), (submission.PLAIN, "LOGIN")]


@pytest.mark.parametrize("at_once", [False, True], ids=["starttls", "tls"])
@pytest.mark.parametrize("shape, mechanism", MECHANISMS, ids=lambda v: v if isinstance(v, str) else v.name)
def test_mechanisms(start, shape, mechanism, at_once):
    """One transaction for both recipients, after a login by the mechanism that is there."""
    server, host = start(shape, at_once, mechanisms=(mechanism,))
    send(server)
    mail = arrived(host)
    assert (mail.login, mail.mechanism, mail.sender) == (USER, mechanism, USER)
    assert sorted(mail.rcpts) == ["bob@example.net", "eve@example.com"]
    assert b"\r\nhello\r\n" in mail.body
    line = server.wait_log(r"event=delivered .*to=bob@example\.net")
    assert 'tls="verified TLSv1.3' in line, line
    if not at_once:
        assert host.in_clear == [b"EHLO mx.test", b"STARTTLS"]
    no_password(server, host)


@pytest.mark.parametrize("shape, best", [(submission.GMAIL, "PLAIN"), (submission.OFFICE, "LOGIN"),
                                         (submission.PLAIN, "SCRAM-SHA-256")], ids=lambda v: getattr(v, "name", v))
def test_the_best_mechanism(start, shape, best):
    """Of what is offered, the one that tells the server least."""
    server, host = start(shape)
    send(server)
    assert arrived(host).mechanism == best
    assert host.tried == [best]


@pytest.mark.parametrize("password", ["x", "p" * 255, 'quo"te', "{brace} and % and a\\b", "ünïcödé \N{KEY}"],
                         ids=["short", "long", "quote", "signs", "utf8"])
def test_passwords(start, password):
    for shape in (submission.PLAIN, submission.OFFICE):
        server, host = start(shape, password=password)
        host.passwords[USER] = password
        send(server)
        arrived(host)
        no_password(server, host, password) if len(password) > 1 else None


# -- who has not proved who he is -------------------------------------------

@pytest.mark.parametrize("certificate", ["other", "expired", "client-stranger"])
@pytest.mark.parametrize("at_once", [False, True], ids=["starttls", "tls"])
def test_not_verified(start, certificate, at_once):
    """No AUTH is said to it, and mail waits."""
    server, host = start(submission.GMAIL, at_once, certificate=certificate)
    send(server)
    why(server, r'"status": ?"4\.7')
    server.wait_log("event=tls-out .*policy=verify")
    assert not host.tried and not host.mail
    assert not [line for line in host.heard if b"AUTH" in line]


def test_no_tls_offered(start):
    """A server, or somebody in between, that offers AUTH and no TLS gets neither."""
    server, host = start(submission.PLAIN)
    host.auth_in_clear = True
    host.can("EHLO", *["250-smtp.test\r\n250 AUTH PLAIN LOGIN"] * 50)
    send(server)
    why(server, r'"status": ?"4\.7')
    assert not host.tried and not host.mail
    assert not [line for line in host.in_clear if line.split(b" ")[0] not in (b"EHLO", b"QUIT", b"HELO", b"STARTTLS")]


def test_starttls_is_refused(start):
    server, host = start(submission.PLAIN)
    host.auth_in_clear = True
    host.can("STARTTLS", *["454 4.7.0 TLS not available"] * 50)
    send(server)
    why(server, r'"status": ?"4\.7')
    assert not host.tried and not host.mail


def test_a_pinned_certificate(start):
    """Its fingerprint is as good as an authority, for who has none."""
    fingerprint = tls.certificate("client-stranger").fingerprint
    server, host = start(submission.PLAIN, certificate="client-stranger", options=f'tls fingerprint "{fingerprint}"')
    send(server)
    arrived(host)


@pytest.mark.parametrize("forges", [True, "silent"])
def test_who_only_claims_to_know_the_password(start, forges):
    """A server whose last message of SCRAM does not fit, or does not come, gets no mail."""
    server, host = start(submission.PLAIN, mechanisms=("SCRAM-SHA-256",))
    host.forges = forges
    send(server)
    why(server, r'"status": ?"4\.7')
    assert host.tried and not host.mail


# -- refusals ----------------------------------------------------------------

@pytest.mark.parametrize("shape", [submission.GMAIL, submission.OFFICE, submission.PLAIN], ids=lambda s: s.name)
def test_a_wrong_password(start, shape):
    """Is an alarm, and no reason to send mail back; when it is right, mail goes."""
    server, host = start(shape)
    host.passwords[USER] = "another"
    send(server)
    why(server, r'"status": ?"4\.7\.')
    line = server.wait_log("event=relay-login-refused")
    assert f"label={LABEL}" in line and "535" in line
    assert "for_s=300 " in server.wait_log("event=destination-dead")    # as long as the vault says
    assert len(host.tried) == 1
    send(server)
    server.wait_log(r"event=deferred .*put_off_s=")     # and is not tried again for each message
    assert len(host.tried) == 1
    host.passwords[USER] = PASSWORD
    server.ctl("schedule", "all")
    arrived(host, 2)
    no_password(server, host)


def test_trouble_with_logins(start):
    """What passes by itself is tried again."""
    server, host = start(submission.OFFICE)
    host.trouble = 1
    send(server)
    why(server, r'"status": ?"4\.')
    server.ctl("schedule", "all")
    arrived(host)


def test_a_sender_that_is_not_the_login(start):
    """Is the server's to refuse: that message alone comes back."""
    server, host = start(submission.OFFICE)
    send(server, sender="else@example.org")
    server.wait_log(r"event=failed .*status=5\.2\.252")
    send(server)
    arrived(host)


def test_no_mechanism_in_common(start):
    server, host = start(submission.PLAIN, mechanisms=("GSSAPI", "CRAM-MD5"))
    send(server)
    why(server, r'"status": ?"4\.7')
    assert not host.tried
