# SPDX-License-Identifier: ISC
"""Unmodified clients log in over TLS and hand in mail, on ports like 587 and 465; and what testssl.sh finds there."""
import json
import os
import re
import shutil
import smtplib
import subprocess
from typing import NamedTuple

import pytest

import fetched
from postern import PATIENCE, wait_for
from sasl import crypted, scram_keys, table
from test_real_clients import NODEMAILER
from tls import TlsServer, authority, context, s_client

LOGIN, PASSWORD = "demo@example.org", "it's $ecret \"indeed\""
CONF = table("logins", {LOGIN: crypted(PASSWORD) + " " + scram_keys(PASSWORD)}) + """
listen on 127.0.0.1 port 0 tls-require pki ecdsa pki rsa auth <logins>
listen on 127.0.0.1 port 0 smtps pki ecdsa pki rsa auth <logins>
auth failure-delay 0s
"""
STARTTLS, SMTPS = 1, 2
TEXT = b"From: demo@example.org\r\nTo: demo@example.org\r\nSubject: %s\r\n\r\nby a client\r\n"


@pytest.fixture(scope="module")
def s():
    server = TlsServer(CONF, ("ecdsa", "rsa")).start()
    yield server
    server.cleanup()


class Job(NamedTuple):
    """What a client is to do: log in, over TLS that it verifies, and hand in the message of that subject."""
    port: int
    implicit: bool
    folder: str
    subject: str
    mechanism: str
    password: str = PASSWORD

    @property
    def ca(self):
        return os.path.join(authority("ca"), "ca.crt")

    def message(self):
        path = os.path.join(self.folder, "message.eml")
        with open(path, "wb") as f:
            f.write(TEXT % self.subject.encode())
        return path

    def run(self, *argv, **more):
        if "input" not in more:
            more["stdin"] = subprocess.DEVNULL
        environment = dict(os.environ, HOME=self.folder, LC_ALL="C.UTF-8")
        return subprocess.run(argv, capture_output=True, timeout=2 * PATIENCE, env=environment, cwd=self.folder,
                              check=False, **more)


def swaks(job):
    how = ("--tls-on-connect",) if job.implicit else ("--tls",)
    return job.run("swaks", "--server", f"127.0.0.1:{job.port}", *how, "--tls-verify", "--tls-ca-path", job.ca,
                   "--tls-sni", "mx.test", "--from", LOGIN, "--to", LOGIN, "--auth", job.mechanism, "--auth-user",
                   LOGIN,
                   "--auth-password", job.password, "--data", job.message())


def curl(job):
    scheme, how = ("smtps", ()) if job.implicit else ("smtp", ("--ssl-reqd",))
    return job.run("curl", "-sS", f"{scheme}://127.0.0.1:{job.port}/client.test", *how, "--cacert", job.ca,
                   "--user", f"{LOGIN}:{job.password}", "--login-options", f"AUTH={job.mechanism}",
                   "--mail-from", LOGIN, "--mail-rcpt", LOGIN, "--upload-file", job.message())


def msmtp(job):
    with open(job.message(), "rb") as f:
        text = f.read().replace(b"\r\n", b"\n")
    return job.run("msmtp", "--host=127.0.0.1", f"--port={job.port}", f"--from={LOGIN}", "--tls=on",
                   f"--tls-starttls={'off' if job.implicit else 'on'}", f"--tls-trust-file={job.ca}",
                   f"--auth={job.mechanism.lower()}", f"--user={LOGIN}", f"--passwordeval={asking(job)}", LOGIN,
                   input=text)


def asking(job):
    """A command that prints the password."""
    path = os.path.join(job.folder, "password")
    with open(path, "w", encoding="ascii") as f:
        f.write(job.password + "\n")
    return f"cat {path}"


def nodemailer(job):
    package = fetched.or_skip(fetched.npm, *NODEMAILER)
    script = """
const [, library, options, message] = process.argv;
require(library).createTransport(JSON.parse(options)).sendMail(JSON.parse(message))
    .catch(e => { console.error(e); process.exit(1); });
"""
    with open(job.ca, encoding="ascii") as f:
        options = {"host": "127.0.0.1", "port": job.port, "secure": job.implicit, "requireTLS": True,
                   "tls": {"ca": f.read()}, "authMethod": job.mechanism, "auth": {"user": LOGIN, "pass": job.password}}
    message = {"envelope": {"from": LOGIN, "to": [LOGIN]}, "raw": {"path": job.message()}}
    return job.run("node", "-e", script, package, json.dumps(options), json.dumps(message))


def python(job):
    kind = smtplib.SMTP_SSL if job.implicit else smtplib.SMTP
    how = {"context": context()} if job.implicit else {}
    with open(job.message(), "rb") as f:
        text = f.read()
    try:
        with kind("127.0.0.1", job.port, timeout=PATIENCE, **how) as client:
            if not job.implicit:
                client.starttls(context=context())
            client.ehlo()
            client.user, client.password = LOGIN, job.password
            client.auth(job.mechanism, getattr(client, f"auth_{job.mechanism.lower()}"))
            client.sendmail(LOGIN, [LOGIN], text)
    except smtplib.SMTPException as e:
        return subprocess.CompletedProcess("", 1, b"", str(e).encode())
    return subprocess.CompletedProcess("", 0, b"", b"")


CLIENTS = [(swaks, "PLAIN"), (swaks, "LOGIN"), (curl, "PLAIN"), (curl, "LOGIN"), (msmtp, "PLAIN"), (msmtp, "LOGIN"),
           (nodemailer, "PLAIN"), (nodemailer, "LOGIN"), (python, "PLAIN"), (python, "LOGIN")]


@pytest.mark.parametrize("port", [STARTTLS, SMTPS], ids=["587", "465"])
@pytest.mark.parametrize("client, mechanism", CLIENTS, ids=lambda x: getattr(x, "__name__", x))
def test_log_in_and_hand_in(s, tmp_path, client, mechanism, port):
    job = Job(s.ports[port], port == SMTPS, str(tmp_path), f"{client.__name__} {mechanism} {port}", mechanism)
    done = client(job)
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    mark = f"Subject: {job.subject}\n".encode()
    mail = wait_for(lambda: next((m for m in s.maildir() if mark in m), None), "delivery").decode()
    line = " ".join(mail[mail.index("Received:"):].split("\n\n")[0].split())
    assert " with ESMTPSA " in line and re.search(r"TLSv1\.[23]", line), line
    assert mail.rstrip("\n").endswith("by a client")


@pytest.mark.parametrize("mechanism", [(), ("-m", "SCRAM-SHA-256-PLUS")], ids=["by itself", "asked for"])
@pytest.mark.parametrize("password, code", [(PASSWORD, b"235 2.7.0"), ("another", b"535 5.7.8")], ids=["right", "wrong"])
def test_scram_that_is_bound_to_the_connection(s, tmp_path, mechanism, password, code):
    """GNU SASL binds by what both ends alone know (RFC 9266), and wants the server's proof."""
    job = Job(s.ports[STARTTLS], False, str(tmp_path), "gsasl", "", password)
    done = job.run("gsasl", "--client", "--smtp", "--connect", f"127.0.0.1:{job.port}", "--starttls",
                   "--x509-ca-file", job.ca, "-a", LOGIN, "-p", password, "--hostname", "mx.test", *mechanism)
    said = done.stdout + done.stderr
    assert code in said and b"AUTH SCRAM-SHA-256-PLUS" in said, said[-2000:]
    assert (b"server trusted" in said) == (password == PASSWORD)


@pytest.mark.parametrize("client", [swaks, curl, msmtp, python], ids=lambda x: x.__name__)
def test_a_wrong_password_is_an_error(s, tmp_path, client):
    job = Job(s.ports[STARTTLS], False, str(tmp_path), "wrong", "PLAIN", password="wrong")
    done = client(job)
    assert done.returncode != 0 and re.search(b"5.7.8|Login denied", done.stdout + done.stderr), done
    s.ctl("clear", "logins")


def test_openssl(s):
    for port, how in ((STARTTLS, ("-starttls", "smtp", "-name", "client.test")), (SMTPS, ())):
        for version in ("-tls1_2", "-tls1_3"):
            said, status = s_client(s.ports[port], version, *how, "-crlf", "-verify_return_error", "-verify_hostname",
                                    "mx.test", said=b"EHLO client.test\nQUIT\n")
            assert status == 0 and "Verify return code: 0 (ok)" in said, said


# -- testssl.sh --------------------------------------------------------------------------

SEVERE = ("HIGH", "CRITICAL", "FATAL")


@pytest.mark.parametrize("port", [STARTTLS, SMTPS], ids=["587", "465"])
def test_testssl(s, tmp_path, port):
    """Its checks of versions, ciphers, the server's own choices and vulnerabilities: nothing above "medium"."""
    tool = shutil.which("testssl") or shutil.which("testssl.sh")
    if tool is None:
        pytest.skip("testssl.sh is not here")
    report = tmp_path / "report.json"
    starttls = ["--starttls", "smtp"] if port == STARTTLS else []
    done = subprocess.run([tool, "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "-p", "-s", "-P",
                           "-U", *starttls,
                           "--jsonfile", str(report), f"127.0.0.1:{s.ports[port]}"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=10 * PATIENCE, check=False)
    rows = json.loads(report.read_text())
    found = {row["id"]: (row["severity"], row["finding"]) for row in rows}
    assert len(found) > 20, (done.stdout[-3000:], found)
    assert found["TLS1_3"][0] == "OK" and found["TLS1_2"][0] == "OK", found
    assert [i for i, (severity, _) in found.items() if severity in SEVERE] == [], found
