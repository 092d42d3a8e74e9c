# SPDX-License-Identifier: ISC
"""AUTH (RFC 4954) as clients say it: every mechanism, and every way to say it wrong."""
import contextlib
import re
import smtplib

import pytest

from sasl import (BLOCKED, MALFORMED, NEEDS_TLS, NOT_NOW, OK, REFUSED, UNKNOWN, Scram, auth, b64, crypted, end_point,
                  login_steps, plain, scram_keys, scram_plus, table)
from talk import Client, envelope, hello, mailed, offered, status_of
from tls import V12, V13, TlsClient, TlsServer, context, only, starttls

PASSWORD = "correct horse, =battery"
LOGINS = {kind: f"{kind}@example.org" for kind in ("yescrypt", "bcrypt", "sha512", "sha256")}
ROWS = {
    **{login: crypted(PASSWORD, kind) for kind, login in LOGINS.items()},
    "scram@example.org": scram_keys(PASSWORD),
    "both@example.org": crypted(PASSWORD) + " " + scram_keys(PASSWORD, 5000, b"saltsalt"),
    "comma,=equals@example.org": scram_keys(PASSWORD),
    "weak@example.org": crypted(PASSWORD, "md5"),
    "weaker@example.org": crypted("correct", "des"),
    "clear@example.org": PASSWORD,
    "locked@example.org": "!" + crypted(PASSWORD),
    "star@example.org": "*",
    "empty@example.org": "",
}
CONF = table("logins", ROWS) + table("plainer", {"demo@example.org": crypted("demo")}) + """
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
smtp error-delay 0s
smtp max-errors 1000
smtp max-sessions-per-client 1000
table near {{ "127.0.0.0/8" }}
listen on 127.0.0.1 port 0 smtps pki ecdsa auth <logins>
listen on 127.0.0.1 port 0 tls pki ecdsa auth-optional <logins>
listen on 127.0.0.1 port 0 tls-require pki ecdsa auth <logins>
listen on 127.0.0.1 port 0 tls pki ecdsa auth-optional <logins> insecure-auth proxy <near>
listen on 127.0.0.1 port 0 smtps pki ecdsa auth <plainer>
listen on 127.0.0.1 port 0 smtps pki rsa pki other-384 auth <logins>
listen on 127.0.0.1 port 0 tls pki ecdsa auth-optional <logins> proxy <near>
listen on 127.0.0.1 port 0 auth-optional <logins> insecure-auth
"""
PLAIN, SMTPS, OPTIONAL, REQUIRE, INSECURE, PLAINER, SEVERAL, PROXY, WITHOUT_TLS = range(9)


@pytest.fixture(scope="module")
def s():
    server = TlsServer(CONF, ("ecdsa", "rsa", "other-384")).start()
    yield server
    server.cleanup()


@pytest.fixture
def c(s):
    with s.secure(SMTPS) as client:
        yield client


def scram(login, password=PASSWORD, **more):
    return Scram(login, password, **more).steps


# -- what is offered --------------------------------------------------------------------

def mechanisms(client):
    return offered(client).get("AUTH", "").split()


def test_what_is_offered(s):
    scram_too = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]
    with s.secure(SMTPS) as c:
        assert mechanisms(c) == scram_too
    with s.secure(PLAINER) as c:    # no row of this table has SCRAM keys
        assert mechanisms(c) == ["PLAIN", "LOGIN"]
    with starttls(s, REQUIRE) as c:
        assert mechanisms(c) == scram_too
    with hello(s, s.ports[WITHOUT_TLS]) as c:
        assert mechanisms(c) == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
    for port in (PLAIN, OPTIONAL, REQUIRE):
        with hello(s, s.ports[port]) as c:
            assert "AUTH" not in offered(c)


def test_not_before_tls(s):
    """538 (RFC 4954 6), whatever is asked for, and nothing that was said is looked at."""
    with hello(s, s.ports[OPTIONAL]) as c:
        for line in ("AUTH PLAIN", f"AUTH PLAIN {b64(plain('both@example.org', PASSWORD)[0])}", "AUTH LOGIN",
                     "AUTH SCRAM-SHA-256", "AUTH NOSUCH", "AUTH EXTERNAL ="):
            assert c.status(line) == NEEDS_TLS, line
        c.say("NOOP")
    with hello(s, s.ports[REQUIRE]) as c:
        assert c.status("AUTH PLAIN") in (NEEDS_TLS, (530, "5.7.0"))


def test_the_exception_is_for_clients_of_this_host(s):
    with Client(s.ports[INSECURE], greeted=False) as c:
        c.send("PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n")
        assert c.reply()[0] == 220
        assert "AUTH" not in offered(c)
        assert auth(c, "PLAIN", *plain("both@example.org", PASSWORD)) == NEEDS_TLS
    with Client(s.ports[INSECURE], greeted=False) as c:
        c.send("PROXY TCP4 127.0.0.1 127.0.0.1 56324 25\r\n")
        assert c.reply()[0] == 220
        assert "AUTH" in offered(c)
        assert auth(c, "PLAIN", *plain("both@example.org", PASSWORD)) == OK
    with hello(s, s.ports[WITHOUT_TLS]) as c:
        assert auth(c, "PLAIN", *plain("both@example.org", PASSWORD)) == OK
        c.say("RSET")
        assert " with ESMTPA " in received_from(s, c, "both@example.org")


def test_where_auth_is_a_must(s):
    for port in (SMTPS, REQUIRE):
        with (s.secure(port) if port == SMTPS else starttls(s, port)) as c:
            assert c.status("MAIL FROM:<both@example.org>") == (530, "5.7.0")
            assert auth(c, "PLAIN", *plain("both@example.org", PASSWORD)) == OK
            envelope_from(c, "both@example.org")
    with starttls(s, OPTIONAL) as c:
        envelope(c)


def envelope_from(c, sender):
    c.say(f"MAIL FROM:<{sender}>", "RCPT TO:<demo@example.org>")
    return c


def received_from(s, c, sender):
    mail = mailed(s, envelope_from(c, sender), "From: <x@example.org>\r\nSubject: x\r\n\r\nx\r\n").decode()
    return " ".join(mail[mail.index("Received:"):mail.index("\n\n")].split())


# -- every mechanism ------------------------------------------------------------------------

WAYS = pytest.mark.parametrize("initial", [True, False], ids=["initial", "asked"])


@WAYS
@pytest.mark.parametrize("login",
                         [*LOGINS.values(), "scram@example.org", "both@example.org", "comma,=equals@example.org"])
def test_plain(s, login, initial):
    with s.secure(SMTPS) as c:
        for password in ("", "wrong", PASSWORD + "x", PASSWORD[:-1], PASSWORD.upper()):
            assert auth(c, "PLAIN", *plain(login, password), initial=initial) in (REFUSED, MALFORMED), password
        assert auth(c, "PLAIN", *plain(login, PASSWORD), initial=initial) == OK
        if "," not in login:    # which is no address without quotes
            line = received_from(s, c, login)
            assert " with ESMTPSA " in line and "TLSv1.3" in line


@WAYS
@pytest.mark.parametrize("login", ["yescrypt@example.org", "scram@example.org"])
def test_login(c, login, initial):
    for password in ("", "wrong", PASSWORD + "x"):
        assert auth(c, "LOGIN", *login_steps(login, password), initial=initial) in (REFUSED, MALFORMED)
    assert auth(c, "LOGIN", *login_steps(login, PASSWORD), initial=initial) == OK
    envelope_from(c, login)


def test_login_asks_as_everybody_expects(c):
    """Clients look at these words, whatever no standard says of them."""
    assert c.cmd("AUTH LOGIN") == (334, b64("Username:"))
    assert c.cmd(b64("yescrypt@example.org")) == (334, b64("Password:"))
    assert status_of(c.cmd(b64(PASSWORD))) == OK


def test_the_empty_challenge_of_plain(c):
    c.send("AUTH PLAIN\r\n")
    assert c.line() == "334 \r\n"
    assert status_of(c.cmd(b64(plain("yescrypt@example.org", PASSWORD)[0]))) == OK


@WAYS
@pytest.mark.parametrize("login", ["scram@example.org", "both@example.org", "comma,=equals@example.org"])
def test_scram(s, login, initial):
    with starttls(s, OPTIONAL) as c:
        for password in ("", "wrong", PASSWORD + "x"):
            liar = Scram(login, password)
            assert auth(c, "SCRAM-SHA-256", *liar.steps, initial=initial) == REFUSED
            assert not liar.server_knew
        good = Scram(login, PASSWORD)
        assert auth(c, "SCRAM-SHA-256", *good.steps, initial=initial) == OK
        assert good.server_knew


@WAYS
@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_scram_plus(s, version, initial):
    with s.secure(SMTPS, ctx=only(version)) as c:
        assert auth(c, "SCRAM-SHA-256-PLUS", *scram_plus(c, "scram@example.org", "wrong").steps) == REFUSED
        good = scram_plus(c, "scram@example.org", PASSWORD)
        assert auth(c, "SCRAM-SHA-256-PLUS", *good.steps, initial=initial) == OK
        assert good.server_knew


@pytest.mark.parametrize("name, digest", [("mx.test", "sha256"), ("unknown.test", "sha256"), ("other.test", "sha384")])
def test_scram_plus_with_one_of_several_certificates(s, name, digest):
    with s.secure(SEVERAL, name=name) as c:
        assert auth(c, "SCRAM-SHA-256-PLUS", *scram_plus(c, "scram@example.org", PASSWORD, digest).steps) == OK


def test_scram_plus_binds_by_the_certificate_s_own_hash(make_server):
    """RFC 5929 4.1: a certificate that is signed with SHA-384 is hashed by that."""
    server = TlsServer(table("logins", {"scram@example.org": scram_keys(PASSWORD)}) +
                       "listen on 127.0.0.1 port 0 smtps pki p384 auth <logins>\nauth failure-delay 0s\n", ("p384",))
    try:
        server.start()
        with server.secure(1) as c:
            wrong = scram_plus(c, "scram@example.org", PASSWORD, "sha256")
            assert auth(c, "SCRAM-SHA-256-PLUS", *wrong.steps) == REFUSED
            assert auth(c, "SCRAM-SHA-256-PLUS", *scram_plus(c, "scram@example.org", PASSWORD, "sha384").steps) == OK
    finally:
        server.cleanup()


def test_a_resumed_session_is_bound_too(s):
    ctx = context()
    with s.secure(SMTPS, ctx=ctx) as c:
        session = c.sock.session
    with s.secure(SMTPS, ctx=ctx, session=session) as c:
        assert c.sock.session_reused
        assert "SCRAM-SHA-256-PLUS" in mechanisms(c)
        assert auth(c, "SCRAM-SHA-256-PLUS", *scram_plus(c, "scram@example.org", PASSWORD).steps) == OK


# -- liars: every way a SCRAM exchange can be wrong ---------------------------------------------

def test_scram_downgrade_is_seen(s):
    """A client that could bind and thinks that we can't was lied to (RFC 5802 6)."""
    with s.secure(SMTPS) as c:
        assert auth(c, "SCRAM-SHA-256", *scram("scram@example.org", flag="y")) in (REFUSED, MALFORMED)
    # Where it was not offered, it is the truth.
    with hello(s, s.ports[WITHOUT_TLS]) as c:
        assert auth(c, "SCRAM-SHA-256", *scram("scram@example.org", flag="y")) == OK


def test_scram_wrong_bindings(s):
    with s.secure(SMTPS) as c:
        right = end_point(c.sock)
        plus = "p=tls-server-end-point"
        for flag, binding, odd in [
                (plus, b"", {}), (plus, right[:-1], {}), (plus, right + b"\0", {}), (plus, bytes(32), {}),
                (plus, end_point(c.sock, "sha384"), {}), (plus, right, {"bound": b64("n,,")}),
                (plus, right, {"bound": b64(right)}), (plus, right, {"bound": ""}),
                ("p=tls-unique", right, {}), ("p=tls-exporter", right, {}), ("p=", right, {}),
                ("n", b"", {}), ("y", b"", {})]:
            steps = Scram("scram@example.org", PASSWORD, flag, binding, **odd).steps
            assert auth(c, "SCRAM-SHA-256-PLUS", *steps) in (REFUSED, MALFORMED), (flag, odd)
        assert auth(c, "SCRAM-SHA-256-PLUS", *scram_plus(c, "scram@example.org", PASSWORD).steps) == OK


@pytest.mark.parametrize("odd", [
    {"bound": b64("y,,")}, {"bound": b64("n,,x")}, {"bound": b64("n")}, {"bound": "????"}, {"bound": ""},
    {"final_nonce": "x"}, {"final_nonce": ""}, {"proof": ""}, {"proof": b64(bytes(31))}, {"proof": b64(bytes(33))},
    {"proof": b64(bytes(32))}, {"proof": "=" * 44}, {"final": ""}, {"final": "\0"}, {"final": "e=other-error"},
    {"final": "c=biws"}, {"final": "p=" + b64(bytes(32))}, {"nonce": ""}, {"nonce": "a,b"}, {"nonce": "a b"},
    {"nonce": "\x7f"}, {"nonce": "x" * 5000}, {"extension": "m=must-know,"}, {"authzid": "other@example.org"},
], ids=str)
def test_scram_wrong_messages(c, odd):
    authzid = odd.get("authzid", "")
    rest = {k: v for k, v in odd.items() if k != "authzid"}
    steps = Scram("scram@example.org", PASSWORD, authzid=authzid, **rest).steps
    assert auth(c, "SCRAM-SHA-256", *steps) in (REFUSED, MALFORMED)
    assert auth(c, "SCRAM-SHA-256", *scram("scram@example.org")) == OK


@pytest.mark.parametrize("first", ["", "n", "n,,", ",,n=x,r=y", "n,,n=x", "n,,r=y,n=x", "n,n=x,r=y", "x,,n=x,r=y",
                                   "n,a=,n=x,r=y", "n,,n=,r=y", "n,,n=a=2Zb,r=y", "n,,n=a=,r=y", "n,,n=x\0y,r=z",
                                   "n,,n=\xff\xfe,r=y", "n,,n=" + "x" * 6000 + ",r=y", "," * 2000],
                         ids=lambda f: repr(f[:20]))
def test_scram_wrong_first_messages(c, first):
    code = auth(c, "SCRAM-SHA-256", first.encode("latin-1"), "c=biws,r=y,p=" + b64(bytes(32)), "")
    assert code in (REFUSED, MALFORMED)
    c.say("NOOP")


def test_scram_is_the_same_for_nobody(s):
    """An unknown login gets a salt as real ones do, always the same, and fails as a wrong password does."""
    with s.secure(SMTPS) as c:
        seen = {}
        for login in ("nobody@example.org", "nobody@example.org", "noone@example.org", "yescrypt@example.org",
                      "scram@example.org"):
            one = Scram(login, PASSWORD + "x")
            assert auth(c, "SCRAM-SHA-256", *one.steps) == REFUSED
            assert one.iterations in (4096, 5000)
            assert len(one.salt) in (8, 16)
            assert seen.setdefault(login, (one.salt, one.iterations)) == (one.salt, one.iterations)
        assert len({salt for salt, _ in seen.values()}) == 4


def test_a_proof_is_good_once(s):
    """What was overheard of one exchange is no use in the next."""
    heard = Scram("scram@example.org", PASSWORD, nonce="fixed")
    with s.secure(SMTPS) as c:
        assert auth(c, "SCRAM-SHA-256", *heard.steps) == OK
    again = Scram("scram@example.org", PASSWORD, nonce="fixed", final=heard.final(heard.challenge.encode()))
    with s.secure(SMTPS) as c:
        assert auth(c, "SCRAM-SHA-256", *again.steps) == REFUSED
        assert again.challenge != heard.challenge


# -- who is who ------------------------------------------------------------------------------------

@pytest.mark.parametrize("authzid, end", [("", OK), ("yescrypt@example.org", OK), ("other@example.org", REFUSED),
                                          ("YESCRYPT", REFUSED), ("yescrypt@example.org ", REFUSED)])
def test_acting_as_somebody_else(c, authzid, end):
    assert auth(c, "PLAIN", *plain("yescrypt@example.org", PASSWORD, authzid)) == end


@pytest.mark.parametrize("login", ["nobody@example.org", "", "weak@example.org", "weaker@example.org",
                                   "clear@example.org",
                                   "locked@example.org", "star@example.org", "empty@example.org", "yescrypt@example.or",
                                   "yescrypt@example.org ", " yescrypt@example.org", "x" * 600, "%n%s%n",
                                   "../../etc/passwd",
                                   "' OR 1=1 --", "*", "\xff\xfe"], ids=lambda x: repr(x)[:24])
def test_who_is_refused(c, login):
    """Nobody of these can log in, by any mechanism, with any password that might be thought of."""
    for password in (PASSWORD, "correct", "", "*", "!"):
        assert auth(c, "PLAIN", *plain(login, password)) in (REFUSED, MALFORMED)
        assert auth(c, "LOGIN", *login_steps(login, password), initial=bool(login)) in (REFUSED, MALFORMED)
    assert auth(c, "SCRAM-SHA-256", *scram(login)) in (REFUSED, MALFORMED)
    assert c.status("MAIL FROM:<you@example.net>") == (530, "5.7.0")


def test_wrong_and_unknown_sound_the_same(c):
    answers = {}
    for login in ("yescrypt@example.org", "nobody@example.org", "locked@example.org", "weak@example.org"):
        answers[login] = [c.cmd(f"AUTH PLAIN {b64(plain(login, 'wrong')[0])}")]
        assert c.cmd("AUTH LOGIN")[0] == 334
        answers[login] += [c.cmd(b64(login)), c.cmd(b64("wrong"))]
    assert len({repr(a) for a in answers.values()}) == 1, answers


# -- lines ---------------------------------------------------------------------------------------------

def test_there_is_one_login_a_session(c):
    assert auth(c, "PLAIN", *plain("yescrypt@example.org", PASSWORD)) == OK
    for line in ("AUTH PLAIN", "AUTH LOGIN", "AUTH NOSUCH"):
        assert c.status(line) == NOT_NOW
    c.say("EHLO again.test")
    assert auth(c, "PLAIN", *plain("both@example.org", PASSWORD)) == NOT_NOW
    envelope_from(c, "yescrypt@example.org")


def test_not_inside_a_transaction(s):
    with starttls(s, OPTIONAL) as c:
        c.say("MAIL FROM:<you@example.net>")
        assert c.status("AUTH PLAIN") == NOT_NOW
        c.say("RCPT TO:<demo@example.org>")
        assert auth(c, "PLAIN", *plain("yescrypt@example.org", PASSWORD)) == NOT_NOW
        c.say("RSET")
        assert auth(c, "PLAIN", *plain("yescrypt@example.org", PASSWORD)) == OK


def test_not_before_ehlo(s):
    with TlsClient(s.ports[SMTPS]) as c:
        assert auth(c, "PLAIN", *plain("yescrypt@example.org", PASSWORD)) == NOT_NOW
        c.say("HELO client.test")
        assert auth(c, "PLAIN", *plain("yescrypt@example.org", PASSWORD)) == NOT_NOW


@pytest.mark.parametrize("name", ["NTLM", "CRAM-MD5", "DIGEST-MD5", "GSSAPI", "SCRAM-SHA-1", "ANONYMOUS", "EXTERNAL",
                                  "OAUTHBEARER", "XOAUTH2", "PLAINX", "PLAI", "X" * 31, "X" * 32, "X" * 500, "-",
                                  "\xe9"])
def test_mechanisms_that_are_not_offered(c, name):
    for line in (f"AUTH {name}", f"AUTH {name} =", f"AUTH {name} AAAA"):
        c.send(line.encode("latin-1") + b"\r\n")
        answer = status_of(c.reply())
        assert answer == UNKNOWN or not name.isascii() and answer[0] in (500, 501), answer
    assert auth(c, "plain", *plain("yescrypt@example.org", PASSWORD)) == OK    # names know no case


def test_a_command_without_a_mechanism(c):
    assert c.status("AUTH")[0] in (501, 504)
    assert c.status("AUTH ")[0] in (501, 504)
    assert c.status("NOOP")[0] == 250


@pytest.mark.parametrize("text", ["!", "A", "AA", "AAA", "AAAA=", "A===", "====", "==", "AAAA AAAA", "AAAA\tAAAA",
                                  "A*AA", "AA=A",
                                  "QUFB\0QUFB", "-_-_", "AGEAYg=", "AGEAYh==", " AGEAYg==", "AGEAYg== "], ids=repr)
def test_bad_base64(c, text):
    """501, and the session goes on, whether it comes with the command or when it was asked for."""
    c.send(f"AUTH PLAIN {text}\r\n")
    assert status_of(c.reply())[0] == 501
    assert c.cmd("AUTH PLAIN")[0] == 334
    c.send(f"{text}\r\n")
    assert status_of(c.reply())[0] == 501
    assert c.cmd("AUTH LOGIN")[0] == 334
    c.send(f"{text}\r\n")
    assert status_of(c.reply())[0] == 501
    assert auth(c, "PLAIN", *plain("yescrypt@example.org", PASSWORD)) == OK


@pytest.mark.parametrize("message", [b"", b"\0", b"\0\0", b"\0\0\0", b"a\0b", b"yescrypt@example.org",
                                     b"\0yescrypt@example.org",
                                     b"\0yescrypt@example.org\0" + PASSWORD.encode() + b"\0",
                                     b"\0yescrypt@example.org\0" + PASSWORD.encode() + b"\0more", b"\0a\0b\0c\0d",
                                     b"\0\0" + PASSWORD.encode(), b"x" * 9000, b"\0" * 9000],
                         ids=lambda m: repr(m)[:30])
def test_plain_messages_that_are_none(c, message):
    assert auth(c, "PLAIN", message) in (MALFORMED, REFUSED)
    assert auth(c, "PLAIN", *plain("yescrypt@example.org", PASSWORD)) == OK


@pytest.mark.parametrize("login", ["yescrypt\0@example.org", "\0yescrypt@example.org", "yescrypt@example.org\0\0", "\0",
                                   "\0" * 100])
def test_a_nul_in_a_login(c, login):
    assert auth(c, "LOGIN", *login_steps(login, PASSWORD)) in (MALFORMED, REFUSED)
    assert auth(c, "LOGIN", *login_steps("yescrypt@example.org", PASSWORD + "\0")) in (MALFORMED, REFUSED)
    assert auth(c, "LOGIN", *login_steps("yescrypt@example.org", PASSWORD)) == OK


def test_nothing_is_not_no_answer(c):
    """ "=" is an initial response of no octets; without one the server asks (RFC 4954 4)."""
    assert c.status("AUTH PLAIN =") in (MALFORMED, REFUSED)
    assert c.cmd("AUTH PLAIN")[0] == 334
    assert c.status("=")[0] == 501
    assert c.cmd("AUTH PLAIN")[0] == 334
    assert c.status("") in (MALFORMED, REFUSED)
    c.say("NOOP")


def test_the_client_gives_up(c):
    for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"):
        assert c.cmd(f"AUTH {mechanism}")[0] == 334
        assert c.status("*")[0] == 501
    assert c.cmd(f"AUTH LOGIN {b64('yescrypt@example.org')}")[0] == 334
    assert c.status("*")[0] == 501
    one = Scram("scram@example.org", PASSWORD)
    assert c.cmd(f"AUTH SCRAM-SHA-256 {b64(one.first())}")[0] == 334
    assert c.status("*")[0] == 501
    assert c.status("AUTH PLAIN *")[0] == 501
    # A star with more is no star, and what comes now is a command again.
    assert c.cmd("AUTH PLAIN")[0] == 334
    assert c.status("*x")[0] == 501
    assert auth(c, "PLAIN", *plain("yescrypt@example.org", PASSWORD)) == OK


def test_a_command_in_place_of_an_answer(c):
    """It is an answer, and a bad one; nothing is carried out."""
    for line in ("QUIT", "MAIL FROM:<you@example.net>", "RSET", "STARTTLS"):
        assert c.cmd("AUTH PLAIN")[0] == 334
        assert c.status(line)[0] in (501, 535)
    c.say("NOOP")


def test_who_talks_before_the_challenge(c):
    """A client may not say what it was not asked for yet."""
    c.send(f"AUTH PLAIN\r\n{b64(plain('yescrypt@example.org', PASSWORD)[0])}\r\nNOOP\r\n")
    heard = c.codes()
    assert 235 not in heard and heard[-1] in (503, 554, 421), heard


MAX = 12288         # octets of a line of AUTH, CRLF included (RFC 4954 4)


def filled(size):
    """A message of PLAIN whose base64 is so long."""
    return b64(b"\0yescrypt@example.org\0" + b"x" * (size // 4 * 3 - 22))[:size]


def test_long_lines(s):
    with s.secure(SMTPS) as c:
        room = (MAX - 2 - len("AUTH PLAIN ")) // 4 * 4
        assert c.status(f"AUTH PLAIN {filled(room)}") in (REFUSED, MALFORMED)
        assert c.cmd("AUTH PLAIN")[0] == 334
        assert c.status(filled((MAX - 2) // 4 * 4)) in (REFUSED, MALFORMED)
        c.say("NOOP")


@pytest.mark.parametrize("octets", [MAX - 12, MAX - 1, MAX, MAX + 1, 1 << 16, 1 << 20])
def test_lines_that_are_too_long(s, octets):
    """One is refused when its end was read; more of them are the end of the session."""
    for asked in (False, True):
        with s.secure(SMTPS) as c:
            def say():
                if asked:
                    assert c.cmd("AUTH PLAIN")[0] == 334
                with contextlib.suppress(OSError):      # the end may come before the line's
                    c.send((b"" if asked else b"AUTH PLAIN ") + b"A" * octets + b"\r\n")
            say()
            if asked and octets < MAX - 1:      # it is not
                assert c.reply()[0] == 501
                continue
            assert c.reply()[0] == 500
            c.say("NOOP")
            say()
            assert c.codes() in ([421], [] if octets > 1 << 15 else [421])


def test_other_commands_are_no_longer_than_before(c):
    """The room is for AUTH alone."""
    c.send(b"MAIL FROM:<" + b"a" * 4000 + b"@example.org>\r\n")
    assert status_of(c.reply())[0] == 500
    c.say("NOOP")


def test_the_auth_parameter_of_mail(s):
    """RFC 4954 5: taken from everybody, believed from nobody who is not trusted; syntax is checked."""
    with starttls(s, OPTIONAL) as c:
        c.say("MAIL FROM:<you@example.net> AUTH=<>", "RSET", "MAIL FROM:<you@example.net> AUTH=e+3Dmc2@example.com",
              "RSET")
        assert c.status("MAIL FROM:<you@example.net> AUTH=a+0D+0Ab")[0] == 501


# -- clients' libraries ------------------------------------------------------------------------------------

def test_smtplib(s):
    ctx = context()
    with smtplib.SMTP("127.0.0.1", s.ports[REQUIRE], timeout=30) as client:
        client.starttls(context=ctx)
        with pytest.raises(smtplib.SMTPAuthenticationError) as e:
            client.login("yescrypt@example.org", "wrong")
        assert e.value.smtp_code == 535
        assert client.login("yescrypt@example.org", PASSWORD)[0] == 235
        assert client.sendmail("yescrypt@example.org", "demo@example.org", "Subject: x\r\n\r\nx\r\n") == {}
    with smtplib.SMTP_SSL("127.0.0.1", s.ports[SMTPS], timeout=30, context=ctx) as client:
        client.user, client.password = "yescrypt@example.org", PASSWORD
        client.ehlo()
        assert client.auth("LOGIN", client.auth_login)[0] == 235


def test_nobody_is_blocked_here(s):
    """These tests fail thousands of times: were they held back for it, they would prove nothing."""
    with s.secure(SMTPS) as c:
        assert auth(c, "PLAIN", *plain("yescrypt@example.org", "wrong")) != BLOCKED
    # An agent that was idle for long ends in peace.
    fallen = re.compile(r"event=(process-ended (?!process=agent/\S+ pid=\d+ exit=0$)|killed|peer-cut-off)")
    assert not [line for line in s.log if fallen.search(line)]
    said = "\n".join(s.log)
    assert PASSWORD not in said and b64(PASSWORD)[:12] not in said
