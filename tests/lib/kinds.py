# SPDX-License-Identifier: ISC
"""Messages of every kind that clients send, and what must be true of them in the Maildir."""
import base64
import re
from typing import NamedTuple, Optional

from postern import wait_for

SENDER = "you@example.net"


class Kind(NamedTuple):
    """What is in a message."""
    text: str = "one\ntwo\n"
    attachment: Optional[bytes] = None
    to: tuple = ("demo@example.org",)

    def raw(self, subject):
        """The whole message; nobody has a reason to add to it."""
        head = (f"From: You <{SENDER}>\nTo: {', '.join(self.to)}\nSubject: {subject}\n"
                f"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <{subject}@example.net>\nMIME-Version: 1.0\n")
        text = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + self.text
        if self.attachment is not None:
            text = (f"Content-Type: multipart/mixed; boundary=\"=_b\"\n\n--=_b\n{text}\n--=_b\n"
                    "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
                    "Content-Disposition: attachment; filename=\"octets.bin\"\n\n"
                    f"{base64.encodebytes(self.attachment).decode()}\n--=_b--\n")
        return (head + text).replace("\n", "\r\n").encode()


KINDS = {
    "plain": Kind(),
    "attachment": Kind(attachment=bytes(range(256)) * 300),
    "dots": Kind(text=".\n..\n...\n.two\n..three\n. four\nend.\n \n\ttab\n.\nlast\n"),
    "utf8": Kind(text="Grüße, 世界, 🐘\nçà et là\n"),
    "long": Kind(text="x" * 998 + "\n" + "." + "y" * 996 + "\nz\n"),
    "empty": Kind(text=""),
    "several": Kind(to=("demo@example.org", "other@example.org")),
}

RECEIVED = rb"Received: .*\n(?:[ \t].*\n)*"
TRACE = re.compile(rb"Return-Path: <(.*)>\nDelivered-To: (.*)\n(" + RECEIVED + rb")")


def check_arrival(server, address, message, dialog, alone):
    """The message that a dialog handed in lies in the mailbox as it was on the wire, with the right trace before it."""
    wanted = message.replace(b"\r\n", b"\n")
    (whole,) = wait_for(lambda: [m for m in server.maildir(address.partition("@")[0]) if m.endswith(wanted)],
                        f"the message for {address}")
    trace = TRACE.match(whole)
    assert trace and whole[trace.end():] == wanted, whole[:500]
    assert (trace[1].decode(), trace[2].decode()) == (SENDER, address)
    greeting = dialog.command("EHLO") or dialog.command("HELO")
    protocol = "ESMTP" if dialog.command("EHLO") else "SMTP"
    # RFC 5321 7.2: who else got it is nobody's business.
    named = rf" for <{re.escape(address)}>" if alone else ""
    assert re.fullmatch(
        rf"Received: from {re.escape(greeting[-1].split()[1])} \(unknown \[127\.0\.0\.1\]\) by mx\.test "
        rf"with {protocol} id [0-9a-f]{{10}}{named}; \w{{3}}, \d\d? \w{{3}} \d{{4}} \d\d:\d\d:\d\d [+-]\d{{4}} ",
        re.sub(r"\s+", " ", trace[3].decode())), trace[3]
