# SPDX-License-Identifier: ISC
"""Logins without a password: tokens of OAuth (RFC 7628, XOAUTH2) and certificates of clients (RFC 4422, appendix A)."""
import base64
import json
import time

import pytest

from sasl import (MALFORMED, NEEDS_TLS, OK, REFUSED, TROUBLE, UNKNOWN, auth, b64, crypted, oauthbearer, plain, table,
                  token_key, xoauth2)
from talk import hello, offered, status_of
from tls import V12, V13, TlsServer, certificate, context, only, starttls

DEMO, OTHER = "demo@example.org", "other@example.org"
NOW = int(time.time())
GOOD = {"for-demo": DEMO, "for-other": OTHER, "in-a-year": f"{DEMO} {NOW + 365 * 86400}",
        "in-words": f"{DEMO} 2099-12-31T23:59:59Z", "x" * 2000: DEMO, "aA0-._~+/==": DEMO}
BAD = {"yesterday": f"{DEMO} {NOW - 86400}", "in-the-past": f"{DEMO} 2020-01-01T00:00:00+01:00",
       "nonsense": f"{DEMO} soon",
       "empty": ""}
CONF = table("tokens", {token_key(t): v for t, v in {**GOOD, **BAD}.items()}) + """
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
smtp error-delay 0s
smtp max-errors 1000
ca clients cert "{dir}/ca.crt"
listen on 127.0.0.1 port 0 smtps pki ecdsa auth <logins> tokens <tokens>
listen on 127.0.0.1 port 0 tls pki ecdsa auth-optional <logins> tokens <tokens>
listen on 127.0.0.1 port 0 smtps pki ecdsa auth <logins> ca clients
listen on 127.0.0.1 port 0 tls pki ecdsa auth-optional <logins> ca clients
listen on 127.0.0.1 port 0 smtps pki ecdsa auth <other> ca clients
listen on 127.0.0.1 port 0 smtps pki ecdsa auth <locked> ca clients
"""
SMTPS, OPTIONAL, ASKS, ASKS_LATER, MAPPED, LOCKED = range(1, 7)


@pytest.fixture(scope="module")
def s():
    tables = table("logins", {DEMO: crypted("demo"), OTHER: "by certificate"}) + \
        table("other", {"cert:" + certificate("client-nameless").fingerprint: OTHER, DEMO: "by certificate"}) + \
        table("locked", {DEMO: "!" + crypted("demo"), OTHER: "*"})
    server = TlsServer(tables + CONF)
    server.copy(certificate("client").authority, "ca.crt")
    server.start()
    yield server
    server.cleanup()


@pytest.fixture
def c(s):
    with s.secure(SMTPS) as client:
        yield client


# -- tokens ---------------------------------------------------------------------------

MECHANISMS = pytest.mark.parametrize("mechanism, steps", [("OAUTHBEARER", oauthbearer), ("XOAUTH2", xoauth2)],
                                     ids=["oauthbearer", "xoauth2"])


def test_offered_where_there_are_tokens(s):
    with s.secure(SMTPS) as c:
        assert {"OAUTHBEARER", "XOAUTH2", "PLAIN"} <= set(offered(c)["AUTH"].split())
    with s.secure(ASKS) as c:
        assert not {"OAUTHBEARER", "XOAUTH2"} & set(offered(c)["AUTH"].split())
        assert auth(c, "OAUTHBEARER", *oauthbearer(DEMO, "for-demo")) == UNKNOWN
    with hello(s, s.ports[OPTIONAL]) as c:
        assert auth(c, "OAUTHBEARER", *oauthbearer(DEMO, "for-demo")) == NEEDS_TLS


@MECHANISMS
@pytest.mark.parametrize("initial", [True, False], ids=["initial", "asked"])
@pytest.mark.parametrize("token", GOOD, ids=lambda t: t[:12])
def test_good_tokens(c, mechanism, steps, initial, token):
    login = GOOD[token].split()[0]
    assert auth(c, mechanism, *steps(login, token), initial=initial) == OK
    assert c.status(f"MAIL FROM:<{login}>")[0] == 250


@MECHANISMS
@pytest.mark.parametrize("token", ["yesterday", "in-the-past", "nonsense", "empty", "unknown", "For-Demo", "for-demo ",
                                   "x" * 1999,
                                   "sha256:", token_key("for-demo"), "*"], ids=lambda t: t[:12])
def test_bad_tokens(c, mechanism, steps, token):
    broken = token in ("nonsense", "empty")     # rows that their writer has to mend
    assert auth(c, mechanism, *steps(DEMO, token)) in ((TROUBLE,) if broken else (REFUSED, MALFORMED))
    assert c.status(f"MAIL FROM:<{DEMO}>") == (530, "5.7.0")


@MECHANISMS
@pytest.mark.parametrize("login, token", [(OTHER, "for-demo"), (DEMO, "for-other"), ("nobody@example.org", "for-demo")])
def test_somebody_else_s_token(c, mechanism, steps, login, token):
    assert auth(c, mechanism, *steps(login, token)) == REFUSED


def test_a_token_that_says_itself_whose_it_is(c):
    """RFC 7628 3.1: the name may be left out."""
    assert auth(c, "OAUTHBEARER", *oauthbearer("", "for-other", authzid="")) == OK
    assert c.status(f"MAIL FROM:<{OTHER}>")[0] == 250


@MECHANISMS
def test_a_refusal_is_explained_and_answered(c, mechanism, steps):
    """A challenge of JSON comes first, and the client has to say something before it is told no."""
    message, farewell = steps(DEMO, "unknown")
    code, text = c.cmd(f"AUTH {mechanism} {b64(message)}")
    assert code == 334
    said = json.loads(base64.b64decode(text))
    assert str(said["status"]) in ("invalid_token", "401")
    assert status_of(c.cmd(b64(farewell))) == REFUSED
    # Whatever the answer is, it is a refusal, or the client giving up.
    for answer, codes in (("*", (501,)), (b64("more"), (535, 501)), ("", (535,))):
        assert c.cmd(f"AUTH {mechanism} {b64(message)}")[0] == 334
        assert c.status(answer)[0] in codes
    assert auth(c, mechanism, *steps(DEMO, "for-demo")) == OK


MALFORMED_TOKENS = ["", "\1", "\1\1", "n,,\1auth=Bearer for-demo\1", "n,,auth=Bearer for-demo\1\1",
                    "n,a=demo@example.org,\1\1",
                    "n,a=demo@example.org,\1auth=Basic for-demo\1\1", "n,a=demo@example.org,\1auth=Bearer\1\1",
                    "n,a=demo@example.org,\1auth=for-demo\1\1", "n,a=demo@example.org\1auth=Bearer for-demo\1\1",
                    "y,a=demo@example.org", "p=x,,\1auth=Bearer for-demo\1\1",
                    "user=demo@example.org\1auth=Bearer for-demo",
                    "user=\1auth=Bearer \1\1", "user=demo@example.org\1auth=Bearer for-demo\0\1\1",
                    "n,a=demo@example.org\0,\1auth=Bearer for-demo\1\1", "\1" * 5000, "a" * 8000]


@pytest.mark.parametrize("message", MALFORMED_TOKENS, ids=lambda m: repr(m[:24]))
def test_messages_that_are_none(c, message):
    for mechanism in ("OAUTHBEARER", "XOAUTH2"):
        assert auth(c, mechanism, message, "\1") in (REFUSED, MALFORMED)
    assert auth(c, "OAUTHBEARER", *oauthbearer(DEMO, "for-demo")) == OK


def test_a_token_is_no_password(c):
    for password in ("for-demo", token_key("for-demo")):
        assert auth(c, "PLAIN", *plain(DEMO, password)) == REFUSED


# -- certificates --------------------------------------------------------------------------------

VERSIONS = pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])


@VERSIONS
def test_external(s, version):
    """The first of the certificate's addresses that is a login; or the one that the table names for its fingerprint."""
    for port, mine, login in ((ASKS, "client", DEMO), (ASKS, "client-other", OTHER), (MAPPED, "client-nameless", OTHER),
                              (MAPPED, "client", DEMO)):
        with s.secure(port, ctx=only(version, mine=mine)) as c:
            assert "EXTERNAL" in offered(c)["AUTH"].split()
            assert auth(c, "EXTERNAL", "") == OK, mine
            assert c.status(f"MAIL FROM:<{login}>")[0] == 250
    with starttls(s, ASKS_LATER, ctx=only(version, mine="client")) as c:
        assert auth(c, "EXTERNAL", "", initial=False) == OK


def test_external_says_who(s):
    with s.secure(ASKS, ctx=context(mine="client")) as c:
        for name in (OTHER, "nobody@example.org", DEMO + "\0", "x" * 9000):
            assert auth(c, "EXTERNAL", name) in (REFUSED, MALFORMED)
        assert auth(c, "EXTERNAL", DEMO) == OK
        assert c.status(f"MAIL FROM:<{DEMO}>")[0] == 250


def test_external_for_whom_the_table_does_not_know(s):
    for port, mine in ((ASKS, "client-nameless"), (MAPPED, "client-other"), (LOCKED, "client"),
                       (LOCKED, "client-other")):
        with s.secure(port, ctx=context(mine=mine)) as c:
            assert auth(c, "EXTERNAL", "") == REFUSED
            assert auth(c, "EXTERNAL", DEMO) == REFUSED


def test_no_certificate_no_external(s):
    with s.secure(ASKS) as c:
        assert "EXTERNAL" not in offered(c)["AUTH"].split()
        assert auth(c, "EXTERNAL", "") == UNKNOWN
        assert auth(c, "PLAIN", *plain(DEMO, "demo")) == OK
    # Where nobody asks for it, a client's certificate is none.
    with s.secure(SMTPS, ctx=context(mine="client")) as c:
        assert "EXTERNAL" not in offered(c)["AUTH"].split()
        assert auth(c, "EXTERNAL", "") == UNKNOWN


@VERSIONS
def test_a_resumed_session_has_its_certificate_still_or_none(s, version):
    """It never has somebody else's."""
    ctx = only(version, mine="client")
    with s.secure(ASKS, ctx=ctx) as c:
        session = c.sock.session
    with s.secure(ASKS, ctx=ctx, session=session) as c:
        if "EXTERNAL" in offered(c)["AUTH"].split():
            assert auth(c, "EXTERNAL", OTHER) == REFUSED
            assert auth(c, "EXTERNAL", "") == OK
            assert c.status(f"MAIL FROM:<{DEMO}>")[0] == 250
        else:
            assert auth(c, "EXTERNAL", "") == UNKNOWN
