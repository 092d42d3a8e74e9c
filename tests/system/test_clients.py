# SPDX-License-Identifier: ISC
"""Unmodified clients hand in a message and it lands in the Maildir, byte for byte."""
import os
import re
import smtplib
import subprocess

import pytest

from postern import Server, VMAIL

BODY = ("From: you@example.net\r\nTo: demo@example.org\r\nSubject: caf\xe9 test\r\n\r\n"
        "one\r\n.\r\n..two\r\n...three\r\n \r\n\ttab\r\nlast line\r\n").encode("latin-1")


@pytest.fixture
def message(tmp_path):
    f = tmp_path / "message.eml"
    f.write_bytes(BODY)
    return f


def run(argv, **more):
    done = subprocess.run(argv, capture_output=True, timeout=60, **more)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)


def swaks(server, message):
    run(["swaks", "--server", f"127.0.0.1:{server.port}", "--from", "you@example.net",
         "--to", "demo@example.org", "--data", str(message)], stdin=subprocess.DEVNULL)


def curl(server, message):
    run(["curl", "-sS", f"smtp://127.0.0.1:{server.port}", "--mail-from", "you@example.net",
         "--mail-rcpt", "demo@example.org", "-T", str(message)])


def msmtp(server, message):
    run(["msmtp", "--host=127.0.0.1", f"--port={server.port}", "--from=you@example.net",
         "--tls=off", "--auth=off", "demo@example.org"],
        input=message.read_bytes().replace(b"\r\n", b"\n"))


def python(server, message):
    with smtplib.SMTP("127.0.0.1", server.port, timeout=30) as s:
        s.sendmail("you@example.net", ["demo@example.org"], message.read_bytes())


@pytest.mark.parametrize("client", [swaks, curl, msmtp, python], ids=lambda c: c.__name__)
def test_byte_for_byte(server, message, client):
    client(server, message)
    got = server.wait_mail()[0]
    head, rest = got.split(b"From: you@example.net\n", 1)
    expected = BODY.replace(b"\r\n", b"\n").split(b"From: you@example.net\n", 1)[1]
    # swaks ends the data with an empty line of its own.
    assert rest.rstrip(b"\n") == expected.rstrip(b"\n")
    if client is not swaks:
        assert rest == expected
    lines = head.decode().splitlines()
    assert lines[0] == "Return-Path: <you@example.net>"
    assert lines[1] == "Delivered-To: demo@example.org"
    assert lines[2].startswith("Received: from ")
    received = re.sub(r"\s+", " ", " ".join(lines[2:]))
    assert re.search(r"\(unknown \[127\.0\.0\.1\]\) by mx\.test with ESMTP id [0-9a-f]{10} "
                     r"for <demo@example\.org>; \w{3}, \d\d? \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}( Date: .* Message-ID: .*)?$", received), received  # msmtp adds those


def test_mailbox_belongs_to_its_account(server):
    server.send()
    server.wait_mail()
    for folder, names, files in os.walk(server.path("mail")):
        for name in names + files:
            st = os.lstat(os.path.join(folder, name))
            assert st.st_uid == VMAIL and st.st_mode & 0o077 == 0, name


def test_two_recipients_two_mailboxes(server):
    with server.smtp() as s:
        assert s.sendmail("you@example.net", ["demo@example.org", "other@example.org"],
                          "Subject: both\r\n\r\nx\r\n") == {}
    for user in ("demo", "other"):
        mail = server.wait_mail(user=user)[0].decode()
        assert f"Delivered-To: {user}@example.org\n" in mail
        # RFC 5321 7.2: who else got it is nobody's business.
        assert "for <" not in mail


def test_unknown_recipient_is_refused_at_rcpt(server):
    with server.smtp() as s:
        s.ehlo()
        assert s.mail("you@example.net")[0] == 250
        code, text = s.rcpt("nobody@example.org")
        assert code == 550 and text.startswith(b"5.1.1")


def test_no_relay_for_strangers(make_server):
    s = make_server(Server.CONF.replace("match from any", "match from src \"192.0.2.0/24\""))
    with s.smtp() as c:
        c.ehlo()
        c.mail("you@example.net")
        code, text = c.rcpt("somebody@elsewhere.example")
        assert code == 550 and text.startswith(b"5.7.1")


def test_submission_ports_refuse_mail_and_say_so(make_server):
    s = make_server(extra="""
pki t cert "{dir}/c"
pki t key "{dir}/k"
table pw {{ "a" = "b" }}
listen on 127.0.0.1 port 0 tls-require pki t auth <pw>
listen on 127.0.0.1 port 0 smtps pki t auth <pw>
""")
    c = smtplib.SMTP("127.0.0.1", s.ports[1], timeout=30)
    c.ehlo()
    code, text = c.mail("you@example.net")
    assert code == 530 and b"not built" in text
    with pytest.raises(smtplib.SMTPConnectError) as e:
        smtplib.SMTP("127.0.0.1", s.ports[2], timeout=30)
    assert e.value.smtp_code == 421 and b"TLS is not built" in e.value.smtp_error
