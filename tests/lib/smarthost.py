# SPDX-License-Identifier: ISC
"""A Postern that sends everything by a submission server, which wants a password or a token."""
import contextlib
import json
import os
import re
import subprocess

import tls
from oauth_server import OAuthServer
from postern import PATIENCE, wait_for
from submission import USER

LABEL = "post"
CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
vault directory "{dir}/vault"
vault key "{dir}/vault.key"
trust ca "{dir}/ca.pem"
mta timeout 20s
listen on 127.0.0.1 port 0
"""
RULES = """
action "out" relay host "{url}" %s
match from any for any action "out"
"""


def relay(url, options=""):
    """The statements that send everything by a URL."""
    return (RULES % options).replace("{url}", url)


def account(server, grant="code", provider="", more=""):
    """The statement of an oauth whose endpoints are an OAuthServer's."""
    urls = {"code": f'auth-url "{server.url("/auth")}"', "device": f'device-url "{server.url("/device")}"'}
    provider = f"provider {provider}" if provider else ""
    return (f'oauth {LABEL} {provider} grant {grant} user "{USER}" client-id "{OAuthServer.CLIENT}" '
            f'client-secret "{OAuthServer.SECRET}" scope "{OAuthServer.SCOPE}" {urls.get(grant, "")} '
            f'token-url "{server.url("/token")}" {more}\n')


def start(make_server, conf):
    """A server of CONF and conf that trusts the tests' authority."""
    s = make_server(CONF + conf, start=False)
    with open(tls.certificate("submission").authority, encoding="ascii") as f, \
            open(s.path("ca.pem"), "w", encoding="ascii") as to:
        to.write(f.read())
    os.chmod(s.path("ca.pem"), 0o644)
    return s.start()


def row(server):
    """What `oauth list` says of the one account."""
    done = server.ctl("oauth", "list", "--json", check=False)
    account = json.loads(done.stdout)
    assert done.returncode == (0 if account["consent"] and not account["trouble"] else 3), done
    return account


class Login:
    """A running `smtpctl oauth login`: what it printed is .text, and .url in it."""

    def __init__(self, server, *options, label=LABEL):
        self.process = subprocess.Popen(
            [f"{server.build}/bin/smtpctl", "-s", server.path("smtpd.sock"), "oauth", "login", *options, label],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.text = ""

    def until(self, pattern):
        """Reads on until the pattern is printed; its match."""
        while not (found := re.search(pattern, self.text)):
            line = self.process.stdout.readline()
            assert line, (self.text, self.process.stderr.read())
            self.text += line
        return found

    @property
    def url(self):
        return self.until(r"(?m)^  (https://\S+)$").group(1)

    def paste(self, text):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(text)
            self.process.stdin.flush()

    def end(self):
        """(exit status, what was printed, what was complained of)"""
        out, err = self.process.communicate(timeout=PATIENCE)
        self.text += out
        return self.process.returncode, self.text, err

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def consent(server, oauth):
    """Somebody gives consent, by a pasted URL."""
    with Login(server, "--paste") as login:
        login.paste(oauth.consent(login.url) + "\n")
        status, _, err = login.end()
    assert status == 0, err
    server.ctl("schedule", "all")


def arrived(submission, n=1):
    return wait_for(lambda: len(submission.mail) >= n and submission.mail[-1], f"message {n}")
