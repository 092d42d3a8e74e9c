# SPDX-License-Identifier: ISC
"""Messages that broke those who looked inside: here they are octets, and arrive as they came."""
import pytest

from evil import PATIENT, Evil, body_of, drain, peak_mib
from postern import Server


def multipart(depth, kind=b"multipart/mixed"):
    head = b"".join(b"Content-Type: %s; boundary=\"b%d\"\r\n\r\n--b%d\r\n" % (kind, n, n) for n in range(depth))
    return b"Subject: nested\r\nMIME-Version: 1.0\r\n" + head + b"Content-Type: text/plain\r\n\r\nx\r\n"


def rfc822(depth):
    return b"Subject: nested\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * depth


FILENAME = b"".join(b" filename*%d*=utf-8''%%2e%%65;\r\n" % n for n in (0, 2, 1, 10, 1, 0, 999999999999, 7))
BODIES = {
    "57 nested": multipart(100),
    "50 nested without end": multipart(100_000, b"multipart/alternative"),
    "57 rfc822": rfc822(1000),
    "57 rfc822 that contains itself": b"Content-Type: message/rfc822\r\n\r\n"
                                      b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" * 200 + b"--x--\r\n",
    "38 filename in pieces":
        b"Content-Disposition: attachment;\r\n" + FILENAME + b" filename=\"a.txt\r\n .exe\"\r\n\r\nMZ\r\n",
    "38 boundary that is none": b"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n----\r\n--\r\n",
    "38 encoded words": b"Subject: " + b"=?utf-8?b?" + b"=?utf-8?q?" * 100 + b"?=\r\n\r\nx\r\n",
    "38 base64 that is none": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 60 + b"\r\n\xff\xfe!\r\n",
    "50 uuencode and tnef":
        b"Content-Type: application/ms-tnef\r\n\r\nbegin 644 ../../etc/passwd\r\n\x01\x02\x78\x9f\x3e\x22\r\nend\r\n",
    "56 proto": b"__proto__: a\r\nconstructor: b\r\nhasOwnProperty: c\r\n__proto__.x: d\r\ntoString: e\r\n\r\nx\r\n",
    "56 every octet": b"".join(b"X-%c: %c\r\n" % (n, n) for n in range(1, 256) if n not in b"\r\n:") + b"\r\nx\r\n",
    "56 formats": b"%s%n%s%n: %s%n\r\n${x}: ${run{id}}\r\n%{sender}: %{rcpt}\r\n\r\n%n\r\n",
    "56 no name": b": nothing\r\n:\r\n::\r\n\r\nx\r\n",
    "56 long name": b"X" * 60000 + b": y\r\n\r\nx\r\n",
    "56 many names": b"".join(b"X%d: y\r\n" % n for n in range(20000)) + b"\r\nx\r\n",
    "56 no header": b"\r\n\r\n\r\n",
    "56 only a fold": b" x\r\n\t\r\n \r\n",
    "56 from line": b"From demo@example.org Thu Jan  1 00:00:00 1970\r\n>From x\r\n\r\nFrom y\r\n",
    "56 trace of others":
        b"Return-Path: <evil@evil.example>\r\nDelivered-To: demo@example.org.evil\r\nX-Spam: no\r\n\r\nx\r\n",
}


@pytest.fixture(scope="module")
def plain():
    """Of the plain build: its memory is real."""
    s = Server(extra=PATIENT).start()
    yield s
    s.cleanup()


@pytest.mark.parametrize("name", BODIES)
def test_38_50_56_57_untouched(plain, name):
    """Nested, malformed or strange: 250, the same octets in the mailbox, and no memory for it."""
    before = {role: peak_mib(plain, role) for role in ("session", "queue", "delivery")}
    body = b"X-Case: %s\r\n" % name.encode() + BODIES[name] if name[:2] != "56" else BODIES[name]
    with Evil(plain) as c:
        c.envelope(params=" BODY=8BITMIME").to("DATA")
        c.pour(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert c.heard() == "250 2.0.0"
    drain(plain)
    assert any(mail.replace(b"\n", b"\r\n").endswith(body) for mail in plain.maildir())
    assert all(peak_mib(plain, role) - mib < 6 for role, mib in before.items())


def test_56_header_without_a_sender_process(hard):
    """The same to the build with sanitizers, one after the other in one session."""
    with Evil(hard) as c:
        c.to("EHLO evil.example")
        for name, body in BODIES.items():
            c.to("MAIL FROM:<you@example.net> BODY=8BITMIME", "RCPT TO:<other@example.org>", "DATA")
            c.pour(body + b".\r\n")
            assert c.heard() == "250 2.0.0", name
    drain(hard)
    assert len(hard.maildir("other")) == len(BODIES)
    assert {body_of(m) for m in hard.maildir("other")} >= {BODIES["57 nested"], BODIES["50 nested without end"]}
