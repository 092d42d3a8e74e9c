# SPDX-License-Identifier: ISC
"""Unmodified clients hand in messages of every kind, and what they said lands in the Maildir, byte for byte.

Each client is a row: how it is told to send, and whether it takes a message as it is or
makes one of a text and a file.  What it put on the wire is compared with what arrived;
what it was told to send with what it put on the wire.
"""
import email
import email.policy
import json
import os
import smtplib
import subprocess
from typing import NamedTuple

import pytest

import fetched
from kinds import KINDS, SENDER, Kind, check_arrival
from postern import PATIENCE
from tap import Tap

NODEMAILER = ("nodemailer", "7.0.13",
              "sha512-PNDFSJdP+KFgdsG3ZzMXCgquO7I6McjY2vlqILjtJd0hy8wEvtugS9xKRF2NWlPNGxvLCXlTNIae4serI7dinw==")


class Job(NamedTuple):
    """One message to send, in the forms that clients want."""
    kind: Kind
    subject: str
    port: int
    folder: str

    def file(self, name, octets):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(octets)
        return path

    def message_file(self):
        return self.file("message.eml", self.kind.raw(self.subject))

    def attachment_file(self):
        return self.kind.attachment is not None and self.file("octets.bin", self.kind.attachment)

    def run(self, *argv, **more):
        if "input" not in more:
            more["stdin"] = subprocess.DEVNULL
        environment = dict(os.environ, HOME=self.folder, LC_ALL="C.UTF-8")
        done = subprocess.run(argv, capture_output=True, timeout=2 * PATIENCE, env=environment, cwd=self.folder, **more)
        assert done.returncode == 0, (argv, done.stdout[-2000:], done.stderr[-2000:])


# -- those that take a message as it is ---------------------------------------

def swaks(job):
    job.run("swaks", "--server", f"127.0.0.1:{job.port}", "--from", SENDER, "--to", ",".join(job.kind.to),
            "--data", job.message_file())


def curl(job):
    to = [word for address in job.kind.to for word in ("--mail-rcpt", address)]
    job.run("curl", "-sS", f"smtp://127.0.0.1:{job.port}/client.test", "--mail-from", SENDER, *to,
            "--upload-file", job.message_file())


def msmtp(job):
    job.run("msmtp", "--host=127.0.0.1", f"--port={job.port}", f"--from={SENDER}", "--tls=off", "--auth=off",
            *job.kind.to, input=job.kind.raw(job.subject).replace(b"\r\n", b"\n"))


def python(job):
    with smtplib.SMTP("127.0.0.1", job.port, timeout=PATIENCE) as s:
        assert s.sendmail(SENDER, job.kind.to, job.kind.raw(job.subject)) == {}


def node(job, message):
    package = fetched.or_skip(fetched.npm, *NODEMAILER)
    script = """
const [, library, port, message] = process.argv;
require(library).createTransport({host: "127.0.0.1", port: +port, secure: false})
    .sendMail(JSON.parse(message)).catch(e => { console.error(e); process.exit(1); });
"""
    job.run("node", "-e", script, package, str(job.port), json.dumps(message))


def nodemailer(job):
    node(job, {"envelope": {"from": SENDER, "to": job.kind.to}, "raw": {"path": job.message_file()}})


# -- those that make a message of a text and a file ---------------------------

def nodemailer_composing(job):
    attached = [{"path": job.attachment_file()}] if job.kind.attachment else []
    node(job, {"from": SENDER, "to": job.kind.to, "subject": job.subject, "text": job.kind.text,
               "attachments": attached})


def s_nail(job):  # says HELO where it need not log in
    attached = ("-a", job.attachment_file()) if job.kind.attachment else ()
    job.run("s-nail", "-:/", "-S", "v15-compat", "-S", f"mta=smtp://127.0.0.1:{job.port}",
            "-S", "smtp-auth=none", "-S", "sendwait", "-S", "hostname=client.test", "-S", "ttycharset=utf-8",
            "-S", "nosave", "-r", SENDER, "-s", job.subject, *attached, *job.kind.to, input=job.kind.text.encode())


def mutt(job):
    rc = job.file("muttrc", f"""set smtp_url="smtp://127.0.0.1:{job.port}/"
set from="{SENDER}" use_from=yes use_envelope_from=yes hostname=client.test
set copy=no ssl_starttls=no ssl_force_tls=no charset=utf-8 send_charset=utf-8 use_8bitmime=yes allow_8bit=yes
""".encode())
    attached = ("-a", job.attachment_file(), "--") if job.kind.attachment else ()
    job.run("mutt", "-n", "-F", rc, "-s", job.subject, *attached, *job.kind.to, input=job.kind.text.encode())


AS_IT_IS = (swaks, curl, msmtp, python, nodemailer)
COMPOSING = (nodemailer_composing, s_nail, mutt)


# -- the tests -----------------------------------------------------------------

@pytest.fixture
def hand_in(shared_server, tmp_path):
    """Lets a client send a message: the job, and what the client put on the wire."""
    def send(client, kind):
        with Tap(shared_server.port) as tap:
            job = Job(KINDS[kind], f"{client.__name__}-{kind}", tap.port, str(tmp_path))
            client(job)
            dialog = tap.dialog()
        (message,) = dialog.messages()
        for address in job.kind.to:
            check_arrival(shared_server, address, message, dialog, len(job.kind.to) == 1)
        return job, message
    return send


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("client", AS_IT_IS, ids=lambda c: c.__name__)
def test_as_it_is(hand_in, client, kind):
    job, message = hand_in(client, kind)
    if client is swaks:  # it ends the data with an empty line of its own
        message = message.removesuffix(b"\r\n")
    assert message == job.kind.raw(job.subject)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("client", COMPOSING, ids=lambda c: c.__name__)
def test_composed(hand_in, client, kind):
    job, message = hand_in(client, kind)
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    assert parsed["Subject"] == job.subject
    text = parsed.get_body(["plain"]).get_content().replace("\r\n", "\n")
    assert text.rstrip("\n") == job.kind.text.rstrip("\n")
    assert [a.get_content() for a in parsed.iter_attachments()] == \
        ([] if job.kind.attachment is None else [job.kind.attachment])
