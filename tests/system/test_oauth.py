# SPDX-License-Identifier: ISC
"""Consent, tokens, and mail that is sent with them: smtpctl, vault, fetch and delivery together, an OAuth server and a
submission server that knows the tokens it gave."""
import os
import re
import signal
import socket
import urllib.error
import urllib.parse
import urllib.request

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import smarthost
import submission
from oauth_server import JWT_GRANT, OAuthServer
from postern import wait_for
from smarthost import LABEL, Login, account, arrived, consent, relay, row
from submission import USER, Submission


# Trouble passes soon, and each message is a login of its own.
SOON = "queue retry-min 1s\nqueue retry-max 2s\nmta limit session-mail-max 1\n"


class Scene:
    """The three servers; .oauth, .host and .server."""

    def __init__(self, make_server, shape=submission.GMAIL, conf=None, at_once=False, **more):
        self.oauth = OAuthServer(**more)
        self.host = Submission(shape, who=self.oauth.who)
        self.url = f"smtps://{LABEL}@127.0.0.1:{self.host.tls_port}" if at_once else \
            f"smtp+tls://{LABEL}@127.0.0.1:{self.host.port}"
        self.server = smarthost.start(make_server, SOON + (conf or account)(self.oauth) + relay(self.url))

    def send(self, to="bob@example.net"):
        self.server.send(to=to, sender=USER)

    def goes(self):
        """A message that is sent now arrives."""
        n = len(self.host.mail)
        self.send()
        return arrived(self.host, n + 1)

    def waits(self, pattern):
        """A message stays in the queue, and says why."""
        def why():
            queued = self.server.ctl("show", "queue", "--json").stdout
            return re.search(pattern, queued)
        return wait_for(why, f"{pattern} in the queue")

    def stop(self):
        self.oauth.stop()
        self.host.stop()
        self.no_secrets()

    def no_secrets(self):
        """No token, code or secret was logged, stored in the clear, or said without TLS."""
        texts = {"log": "\n".join(self.server.log).encode(), "clear": b"\n".join(self.host.in_clear)}
        for folder, _, names in os.walk(self.server.dir):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and path != self.server.conf:
                    with open(path, "rb") as f:
                        texts[path] = f.read()
        for secret in self.oauth.secrets():
            for place, text in texts.items():
                assert secret.encode() not in text, place
                assert urllib.parse.quote(secret, safe="").encode() not in text, place


@pytest.fixture
def make_scene(make_server):
    scenes = []

    def make(**more):
        scenes.append(Scene(make_server, **more))
        return scenes[-1]
    yield make
    for s in scenes:
        s.stop()


def browse(url):
    """A browser opens a page of smtpctl's: (status, text)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=30) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


# -- authorization code ----------------------------------------------------

def test_browser(make_scene):
    """Consent in a browser on this host; then mail goes out with a token."""
    s = make_scene()
    s.send()
    s.waits("4.7.")
    assert not row(s.server)["consent"]
    with Login(s.server, "--browser") as login:
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(login.url).query))
        assert asked["login_hint"] == USER and asked["scope"] == OAuthServer.SCOPE
        back = s.oauth.consent(login.url)
        here = urllib.parse.urlsplit(back)
        assert here.hostname == "127.0.0.1"
        assert browse(f"http://{here.netloc}/favicon.ico")[0] == 404
        assert browse(back.replace("state=", "state=x"))[0] == 400          # somebody else's
        with socket.create_connection((here.hostname, here.port)) as idle, \
                socket.create_connection((here.hostname, here.port)) as rude:
            rude.sendall(b"\0" * 9000)
            status, page = browse(back)
            idle.close()
        assert status == 200 and "close this page" in page
        status, out, err = login.end()
    assert status == 0, err
    assert f"{LABEL}: mail can be sent as {USER}" in out
    s.server.ctl("schedule", "all")
    mail = arrived(s.host)
    assert (mail.login, mail.mechanism, mail.sender) == (USER, mail.mechanism, USER)
    assert mail.mechanism in ("XOAUTH2", "OAUTHBEARER")
    r = row(s.server)
    assert r["consent"] and r["trouble"] == "" and r["user"] == USER and r["grant"] == "code"
    s.server.wait_log("event=admin verb=oauth-login label=post")


def test_paste(make_scene):
    """Consent in a browser elsewhere: what it ended at is pasted, or the code alone."""
    s = make_scene()
    with Login(s.server, "--paste") as login:
        back = s.oauth.consent(login.url)
        with pytest.raises(OSError):
            browse(back)                            # nobody listens
        here = urllib.parse.urlsplit(back)
        with socket.socket() as thief, pytest.raises(OSError):
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            thief.bind((here.hostname, here.port))  # nor may anybody else
            thief.listen()
        login.paste("\nnonsense with blanks\n" + back.replace("state=", "state=x") + "\n")
        login.paste(back + "\n")
        status, _, err = login.end()
    assert status == 0 and "neither" in err and "another login" in err, err
    s.goes()
    with Login(s.server) as login:                  # both ways are open
        back = s.oauth.consent(login.url)
        login.until("paste")
        login.paste(urllib.parse.parse_qs(urllib.parse.urlsplit(back).query)["code"][0] + "\n")
        assert login.end()[0] == 0
    s.goes()


@pytest.mark.parametrize("options, said, complaint", [
    (["--paste"], "", "no code was given"),
    (["--paste"], "4/wrong\n", "invalid_grant|refused|consent"),
])
def test_no_code(make_scene, options, said, complaint):
    s = make_scene()
    with Login(s.server, *options) as login:
        assert login.url
        login.paste(said)
        status, _, err = login.end()
    assert status == 1 and re.search(complaint, err), err
    assert not row(s.server)["consent"]


def test_consent_is_refused(make_scene):
    s = make_scene()
    s.oauth.refuse = "access_denied"
    with Login(s.server) as login:
        status, page = browse(s.oauth.consent(login.url))
        assert status == 200 and "No consent" in page
        status, out, err = login.end()
    assert status == 1 and "access_denied" in err and "\x1b" not in out + err


def test_the_port_can_be_chosen(make_scene):
    s = make_scene()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Login(s.server, "-p", str(port)) as login:
            status, _, err = login.end()
        assert status == 1 and "no port" in err
    with Login(s.server, "-p", str(port)) as login:
        back = s.oauth.consent(login.url)
        assert urllib.parse.urlsplit(back).port == port
        assert browse(back)[0] == 200
        assert login.end()[0] == 0


def test_words(make_scene):
    """What smtpctl says to what is not there, or not so."""
    s = make_scene()
    for words, status, complaint in ((["oauth", "login", "nobody"], 1, "no \"oauth nobody\""),
                                     (["oauth", "logout", "nobody"], 1, ""),
                                     (["oauth", "login", "--browser", "-p", "x", LABEL], 2, "not a port"),
                                     (["show", "queue", "--paste"], 2, "does not take"),
                                     (["oauth", "list", "-p", "1"], 2, "does not take")):
        done = s.server.ctl(*words, check=False)
        assert done.returncode == status and complaint in done.stderr, (words, done)
    done = s.server.ctl("oauth", "list", check=False)
    assert LABEL in done.stdout and done.returncode == 3        # nobody has given consent


# -- device code -----------------------------------------------------------

def device(server):
    return account(server, "device")


def test_device(make_scene):
    """A code is typed elsewhere; who polls too often is told, and heeds it."""
    s = make_scene(conf=device, shape=submission.OFFICE)
    s.oauth.slow_downs = 1
    with Login(s.server) as login:
        assert login.url == s.oauth.url("/activate")
        login.until("WDJB-MJHT")
        wait_for(lambda: s.oauth.count("/token") >= 2, "polls")
        s.oauth.device_ready = True
        status, out, err = login.end()
    assert status == 0 and f"mail can be sent as {USER}" in out, err
    times = [t for t, (path, _, _) in zip(s.oauth.moments, s.oauth.posts) if path == "/token"]
    assert times[1] - times[0] >= 5
    assert not any(d.get("early") for d in s.oauth.devices.values())
    assert s.goes().mechanism == "XOAUTH2"


def test_logins_meet_reloads_and_deaths(make_scene):
    """A reload in the middle changes nothing; a vault that dies ends a login, which begins anew."""
    s = make_scene()
    with Login(s.server, "--paste") as login:
        first = s.oauth.consent(login.url)
        with Login(s.server, "--paste") as late:
            second = s.oauth.consent(late.url)              # the newer one counts
            mark = len(s.server.log)
            s.server.process.send_signal(signal.SIGHUP)
            s.server.wait_log("event=reloaded", after=mark)
            login.paste(first + "\n")
            status, _, err = login.end()
            assert status == 1 and "another login" in err, err
            late.paste(second + "\n")
            assert late.end()[0] == 0
    s.goes()
    with Login(s.server, "--paste") as login:
        back = s.oauth.consent(login.url)
        pid = s.server.pids()["vault/0"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: s.server.pids().get("vault/0") not in (None, pid), "another vault")
        wait_for(lambda: s.server.ctl("oauth", "list", check=False).returncode == 0, "what it was told")
        login.paste(back + "\n")
        status, _, err = login.end()
        assert status == 1 and "smtpctl oauth login" in err, err
    s.goes()


def test_device_login_meets_a_death(make_scene):
    s = make_scene(conf=device, shape=submission.OFFICE)
    with Login(s.server) as login:
        assert login.url
        os.kill(s.server.pids()["vault/0"], signal.SIGKILL)
        status, _, err = login.end()
    assert status == 75 and err, (status, err)


@pytest.mark.parametrize("error", ["access_denied", "expired_token"])
def test_device_refused(make_scene, error):
    s = make_scene(conf=device, shape=submission.OFFICE)
    s.oauth.refuse = error
    with Login(s.server) as login:
        status, _, err = login.end()
    assert status == 1 and err, err
    assert not row(s.server)["consent"]


# -- without anybody's consent ----------------------------------------------

def test_client_credentials(make_scene):
    s = make_scene(conf=lambda o: account(o, "client"), shape=submission.OFFICE)
    assert s.goes().mechanism == "XOAUTH2"
    with Login(s.server) as login:
        assert login.end()[0] == 0
    assert s.oauth.count("/token", grant_type="client_credentials") >= 1


@pytest.mark.parametrize("provider, more, grant", [
    ("", 'key-id k1 audience "{url}"', JWT_GRANT),
    ("microsoft", 'tenant t.test key-id ' + "5c" * 32, "client_credentials")], ids=["google", "microsoft"])
def test_signed_assertion(make_server, provider, more, grant):
    """A service account's key signs: for the user, or in the place of the client's secret."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    oauth = OAuthServer(lifetime=5)
    oauth.keys[OAuthServer.CLIENT] = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    host = Submission(submission.GMAIL, who=oauth.who)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption())
    s = make_server("", start=False)
    with open(s.path("account.pem"), "wb") as f:
        os.fchmod(f.fileno(), 0o600)
        os.fchown(f.fileno(), os.stat(s.dir).st_uid, os.stat(s.dir).st_gid)
        f.write(pem)
    with open(s.path("ca.pem"), "wb") as f, open(host.authority, "rb") as ca:
        f.write(ca.read())
    more = f'key "{s.path("account.pem")}" ' + more.replace("{url}", oauth.url("/token"))
    s.write_conf(smarthost.CONF + SOON + account(oauth, "jwt", provider, more) +
                 relay(f"smtp+tls://{LABEL}@127.0.0.1:{host.port}"))
    s.start()
    s.send(to="bob@example.net", sender=USER)
    assert arrived(host).login == USER
    wait_for(lambda: oauth.count("/token", grant_type=grant) == 3, "more of them")
    host.stop()
    oauth.stop()


# -- tokens end, and are renewed ---------------------------------------------

def test_renewed_before_it_ends(make_scene):
    """Mail never meets a token that has ended, and needs no login of its own for the next."""
    s = make_scene(lifetime=3)
    consent(s.server, s.oauth)
    wait_for(lambda: s.oauth.count("/token", grant_type="refresh_token") >= 3, "renewals")
    s.goes()
    assert s.host.tried == [s.host.tried[0]]


def test_ended_early(make_scene):
    """A token that the server takes no more is renewed at once, and mail goes."""
    s = make_scene()
    consent(s.server, s.oauth)
    s.goes()
    s.oauth.expire()
    s.send()
    s.waits("535 5.7.8")
    wait_for(lambda: s.server.ctl("schedule", "all") and s.oauth.count("/token", grant_type="refresh_token"), "renewal")
    wait_for(lambda: s.server.ctl("schedule", "all") and len(s.host.mail) == 2, "mail")


@pytest.mark.parametrize("rotate", [False, True])
def test_restart(make_scene, rotate):
    """What was consented to once is there after a restart, and after a death."""
    s = make_scene(rotate=rotate)
    consent(s.server, s.oauth)
    s.goes()
    s.server.stop()
    s.server.start()
    s.goes()
    os.kill(s.server.pids()["vault/0"], signal.SIGKILL)
    s.goes()
    s.server.kill()
    s.server.start()
    s.goes()
    mode = os.stat(s.server.path("vault")).st_mode & 0o777, os.stat(s.server.path("vault.key")).st_mode & 0o777
    assert mode == (0o700, 0o600)


def test_revoked(make_scene):
    """Revoked consent is an alarm; mail waits, and goes when there is consent again."""
    s = make_scene(lifetime=5)
    consent(s.server, s.oauth)
    s.goes()
    s.oauth.revoke()
    s.server.wait_log("event=oauth-consent-lost .*label=post")
    s.oauth.lifetime = 3600
    s.send()
    s.waits("4.7.")
    assert row(s.server)["trouble"]
    consent(s.server, s.oauth)
    assert row(s.server)["trouble"] == ""
    arrived(s.host, 2)


def test_death_before_a_rotated_token_is_kept(make_scene):
    """The server has taken the old one back, and nobody has the new one: that is an alarm, and no silence."""
    s = make_scene(rotate=True, lifetime=6)
    consent(s.server, s.oauth)

    def die(handler):
        answer = s.oauth.token(s.oauth.posts[-1][1])
        os.kill(s.server.pids()["vault/0"], signal.SIGKILL)
        handler.answer(200, answer)
    s.oauth.can("/token", die)
    s.server.wait_log("event=oauth-consent-lost .*label=post")
    s.oauth.lifetime = 3600
    assert not row(s.server)["consent"]
    s.send()
    s.waits("4.7.")
    consent(s.server, s.oauth)
    arrived(s.host)


def test_logout(make_scene):
    s = make_scene()
    consent(s.server, s.oauth)
    s.goes()
    s.server.ctl("oauth", "logout", LABEL)
    assert not row(s.server)["consent"]
    assert not os.listdir(s.server.path("vault"))
    s.send()
    s.waits("4.7.")
    s.server.stop()
    s.server.start()
    assert not row(s.server)["consent"]


@pytest.mark.parametrize("answer", [(503, b"<html>later</html>", "text/html"), (200, b"{" * 9000)])
def test_trouble_at_the_provider(make_scene, answer):
    """Errors and nonsense of the server pass: consent stays, and mail goes when it is well again."""
    s = make_scene(lifetime=5)
    consent(s.server, s.oauth)
    s.goes()
    s.oauth.can("/token", *[answer] * 50)       # for as long as it takes to look
    s.server.wait_log("event=oauth-renewal-failed")
    wait_for(lambda: row(s.server)["expires"] == 0, "the token's end")
    s.send()
    s.waits("4.7.")
    assert row(s.server)["consent"]
    s.oauth.heal()
    wait_for(lambda: s.server.ctl("schedule", "all") and len(s.host.mail) == 2, "mail", 120)


def test_fetch_dies(make_scene):
    s = make_scene(lifetime=5)
    consent(s.server, s.oauth)
    n = s.oauth.count("/token")
    s.oauth.can("/token", lambda _: os.kill(s.server.pids()["fetch/0"], signal.SIGKILL))
    wait_for(lambda: s.oauth.count("/token") > n + 1, "renewals", 60)
    s.goes()


def test_tls_at_once(make_scene):
    s = make_scene(at_once=True)
    consent(s.server, s.oauth)
    s.goes()
