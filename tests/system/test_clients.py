# SPDX-License-Identifier: ISC
"""What a client gets for its mail: a mailbox of its own account, or a refusal that says why."""
import os

import pytest

from postern import Server, VMAIL


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
