# SPDX-License-Identifier: ISC
"""What clients say in addresses and parameters: taken as the text it is, or refused; never as syntax of something else."""
import os
import random
import re

import pytest

import postern
from evil import Evil, assert_well, body_of, drain, hard_server
from postern import wait_for

CATCH_ALL = """
table all {{ "@catch.example" = "vmail" }}
action "all" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <all> userbase <owners>
match from any for domain "catch.example" action "all"
"""
ATEXT = "!#$%&'*+-/=?^_`{|}~"


@pytest.fixture(scope="module")
def catching():
    """Takes any local part at catch.example."""
    conf = postern.Server.CONF + CATCH_ALL
    s = hard_server(conf, "smtp max-recipients 10000\n")
    yield s
    s.cleanup()


def ask_all(server, lines, *before):
    """The answer to each line, after commands that go before each; pipelined, few enough a session that none is cut off."""
    out = []
    for at in range(0, len(lines), 900):
        with Evil(server) as c:
            c.to("EHLO evil.example")
            c.pour("".join("".join(part + "\r\n" for part in (*before, line)) for line in lines[at:at + 900]).encode())
            out += [[c.heard() for _ in range(len(before) + 1)][-1] for _ in lines[at:at + 900]]
    return out


def hostile_locals(n, seed=1):
    """Local parts with all that a shell, a path or a header is made of."""
    dice = random.Random(seed)
    pieces = [";", "|", "&", "$(id)", "`id`", "${IFS}", "\\", "'", '"', "<", ">", "(", ")", "{", "}", "*", "?", "[",
              "]",
              "~", "#", "!", "%", "^", ",", ":", "=", "..", "/", "../", " ", "\t", "id", "sh -c", "touch", "x", "-",
              "--",
              "i;for i in 0 1 2 3;do read r;done;sh;exit 0;", "\x7f", "\x01", "\u202e", "\u2028"]
    return ["".join(dice.choice(pieces) for _ in range(dice.randint(1, 6))) for _ in range(n)]


@pytest.mark.parametrize("command", ("MAIL FROM", "RCPT TO"))
@pytest.mark.parametrize("domain", ("", "@", "@example.org", "@[127.0.0.1]"))
def test_01_hostile_local_part(hard, command, domain):
    """Ten thousand of them, with a domain and without: refused for their syntax, or names that nobody has."""
    texts = hostile_locals(1250)
    before = ("RSET", "MAIL FROM:<a@b.example>") if command == "RCPT TO" else ("RSET",)
    heard = ask_all(hard, [f"{command}:<{text}{domain}>" for text in texts], *before)
    for text, answer in zip(texts, heard):
        if answer[:3] in ("501", "553"):
            continue
        # What is left is a dot-atom, quoted, or behind a source route; and nobody's name.
        atom = re.fullmatch(r"[A-Za-z0-9%s]+(\.[A-Za-z0-9%s]+)*" % ((re.escape(ATEXT),) * 2), text)
        assert atom and len(domain) > 1 or '"' in text or ":" in text, (text, answer)
        assert answer in (("550 5.1.1", "550 5.7.1") if command == "RCPT TO" else ("250 2.1.0",)), (text, answer)
    assert heard.count("501 5.1.3") + heard.count("501 5.1.7") > len(texts) / 2


def test_01_no_domain(hard):
    """Without a domain there is the null sender and postmaster, and nothing else."""
    for path in (";sleep 66;", ";id", "root", "demo", "$(id)", '";id"', "@", "@example.org", "demo@", "@:demo",
                 "postmaster@"):
        with Evil(hard) as c:
            c.to("EHLO evil.example")
            assert c.say(f"MAIL FROM:<{path}>") in ("501 5.1.7", "553 5.1.7"), path
            c.to("MAIL FROM:<>")
            assert c.say(f"RCPT TO:<{path}>")[:3] in ("501", "553"), path


# -- expansion --------------------------------------------------------------------

EXPANSIONS = [
    "${run{/usr/bin/touch {canary}}}", "${run{\\x2fusr\\x2fbin\\x2ftouch\\x20{canary}}}", "${sort{a}{b}{c}}",
    "${eval:1+1}",
    "${readfile{/etc/passwd}}", "${perl{x}}", "${lookup{x}lsearch{/etc/passwd}}", "$local_part", "$(touch {canary})",
    "`touch {canary}`", "|touch {canary}", "| /bin/sh -c 'touch {canary}'", "/etc/passwd", "../../../../etc/passwd",
    "..", ".",
    "/", ":include:/etc/passwd", ":fail:", ":blackhole:", "%{dest.user}", "%{rcpt.user:1,2|strip}", "%{sender}",
    "%s%s%n%n",
    "%d@elsewhere.example", "a%elsewhere.example", "elsewhere!a", "() { :; }; touch {canary}", "{a,b}", "~root",
    "-froot",
    "-oQ/tmp", "-X/tmp/x", "--help", "a\\nb", "<script>", "'; DROP TABLE message; --", "\" OR 1=1", "*", "?", "#",
    "(x)",
    "a b", "a\\b", "error", "\"|touch {canary}\"",
]


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.parametrize("row", ("25", "29", "46", "65"))
def test_25_29_46_65_expansion_languages(catching, row):
    """Expansions of all mail servers, shells and databases in the local part, the sender and the header:
    nothing of them is run or opened; the address is delivered to as it stands or refused."""
    canary = catching.path("mail", "canary")
    texts = [t.replace("{canary}", canary)[:64] for t in EXPANSIONS[int(row) % 4::4]]
    known = {}
    for n, text in enumerate(texts):
        with Evil(catching) as c:
            c.to("EHLO evil.example", f"MAIL FROM:<{quoted(text)}@example.net>")
            answer = c.say(f"RCPT TO:<{quoted(text)}@catch.example>")
            assert answer in ("250 2.1.5", "550 5.1.1", "501 5.1.3"), (text, answer)
            if answer != "250 2.1.5":
                continue
            c.to("DATA")
            body = f"Subject: {text}\r\nTo: {text}\r\nX-{row}: {n}\r\n\r\n{text}\r\n".encode()
            assert c.say(re.sub(rb"(?m)^\.", b"..", body) + b".\r\n") == "250 2.0.0"
            known[body] = text
    drain(catching)
    found = {}
    for folder, names, files in os.walk(catching.path("mail")):
        assert "canary" not in names + files
        for name in files:
            with open(os.path.join(folder, name), "rb") as f:
                mail = f.read()
            found[body_of(mail)] = mail
    for body, text in known.items():
        if body not in found:   # no folder can have that name
            assert "/" in text or text in (".", ".."), text
            continue
        delivered_to = re.search(rb"(?m)^Delivered-To: (.*)$", found[body]).group(1).decode()
        assert re.sub(r'\\(.)|"', r"\1", delivered_to.rsplit("@", 1)[0]).lower() == \
            re.sub(r'\\(.)|"', r"\1", quoted(text)).lower(), delivered_to
    assert not os.path.exists(canary)
    assert_well(catching)


def test_25_hostile_environment(tmp_path):
    """Whatever the environment of the one who starts it: no program of the server has it."""
    hostile = {"BASH_ENV": "/tmp/x", "ENV": "() { :; }; id", "IFS": "/", "LD_LIBRARY_PATH": "/nowhere",
               "PERL5LIB": "/nowhere",
               "MAILCONF": "x" * 100000, "POSTERN_SECRET": "open sesame", "SSL_CERT_FILE": "/nowhere",
               "TZ": ":/etc/passwd",
               "LOCALDOMAIN": "evil.example", "RES_OPTIONS": "debug", "HOSTALIASES": "/etc/passwd",
               "OPENSSL_CONF": "/nowhere"}
    server = postern.Server(prefix=["env", *(f"{k}={v}" for k, v in hostile.items())])
    try:
        server.start()
        server.send()
        server.wait_mail()
        for name, pid in server.pids().items():
            with open(f"/proc/{pid}/environ", "rb") as f:
                text = f.read()
            for variable, value in hostile.items():
                assert f"{variable}={value}".encode() not in text or variable == "TZ", (name, variable)
    finally:
        server.cleanup()


# -- one code path ----------------------------------------------------------------

def test_45_recipient_check_is_the_delivery_lookup(make_hard):
    """What RCPT accepts is delivered and what is not accepted has no mailbox, in every way to write it."""
    conf = "smtp postmaster demo@example.org\n" + postern.Server.CONF + CATCH_ALL.replace('"@catch.example" = "vmail"',
                                                   '"a+tag@catch.example" = "vmail", "b" = "vmail", "c@catch.example" = "demo@example.org"')
    server = make_hard(conf)
    names = ["a", "a+tag", "A+TAG", "a+other", "b", "B", "b+x", '"b"', '"b+x"', '"b\\+x"', "c", "c+y", "nobody", "+",
             "+b", "b+", '"b "',
             '"b@catch.example"', "postmaster", "b@catch.example", '"c"', "..b", "b."]
    accepted = 0
    for name in names:
        for domain in ("catch.example", "CATCH.Example", "catch.example.", "[127.0.0.1]", "sub.catch.example",
                       "catch.example\\"):
            with Evil(server) as c:
                c.to("EHLO evil.example", "MAIL FROM:<>")
                answer = c.say(f"RCPT TO:<{name}@{domain}>")
                assert answer[:3] in ("250", "501", "550", "553"), (name, domain, answer)
                if answer[:3] == "250":
                    c.to("DATA")
                    assert c.say(b"Subject: x\r\n\r\nx\r\n.\r\n") == "250 2.0.0"
                    accepted += 1
    assert accepted >= 12
    drain(server)
    delivered = sum(len(files) for _, _, files in os.walk(server.path("mail")))
    assert delivered == accepted
    assert not [line for line in server.log if re.search("event=(failed|deferred|bounce)", line)]


@pytest.mark.parametrize("name", ("a/b", '"../x"', '"."', '".."'))
def test_45_who_can_have_no_mailbox_is_refused_at_rcpt(catching, name):
    """A catch-all takes names that the maildir pattern can make no folder of: told at RCPT, not by a report to who knows whom."""
    with Evil(catching) as c:
        c.to("EHLO evil.example", "MAIL FROM:<a@b.example>")
        assert c.say(f"RCPT TO:<{name}@catch.example>")[:3] in ("550", "553")


def test_45_nothing_is_told(hard):
    """Answers about those who exist and those who do not are the same but for RCPT's verdict, and name nothing of the host."""
    with Evil(hard) as c:
        c.to("EHLO evil.example")
        for command in ("VRFY", "EXPN"):
            assert len({c.cmd(f"{command} {who}") for who in ("demo@example.org", "nobody", "root",
                                                              "<demo@example.org>")}) == 1
        c.to("MAIL FROM:<a@b.example>")
        refusals = {c.cmd(f"RCPT TO:<{who}@example.org>") for who in ("nobody", "root", "vmail", "demo.other")}
        assert len(refusals) == 1
        assert not re.search(r"vmail|/|table|alias|passwd", refusals.pop()[1])


# -- the parser -------------------------------------------------------------------

CRACKED = ["<" * 100 + ">" * 100, "<>" * 500, "(" * 500, "(\\" * 200, '"' * 500, "\\" * 500, "\xff" * 200, "a@" * 300,
           "@a," * 300 + ":u@b",
           "<@" + ",@".join(["a.example"] * 150) + ":demo@example.org>", "[" * 300, "a@[IPv6:" + ":" * 200 + "]",
           "a@[" + "1." * 200 + "]",
           "a@" + "b." * 200, "a@" + "b" * 64 + ".example", ":" * 500, "a:;" * 100, "a" * 1900,
           '"' + "\\a" * 64 + '"@example.org',
           "demo@example.org>" + "<" * 50, "demo@example.org> <x@y.example", "demo@example.org\\",
           "=?utf-8?q?demo?=@example.org"]


@pytest.mark.parametrize("text", CRACKED, ids=lambda t: repr(t)[1:13])
def test_48_address_parser(hard, text):
    """Paths that broke one-pass parsers: a refusal at once, or a domain that is not ours."""
    for command in ("MAIL FROM:", "RCPT TO:"):
        for path in (text, f"<{text}>", f"x <{text}>", f"<{text}@example.org>", f"<{text}"):
            with Evil(hard) as c:
                c.to("EHLO evil.example")
                if command == "RCPT TO:":
                    c.to("MAIL FROM:<a@b.example>")
                answer = c.say(command + path)
                sound = text.startswith(("<@a", '"\\', "=?"))
                assert answer[:3] in ("501", "550", "553", "500", "555") or sound and command == "MAIL FROM:" or \
                    text.startswith("<@a"), (path, answer)
                assert c.say("NOOP") == "250 2.0.0"


def test_48_the_corpus_of_the_address_fuzzer_is_replayed():
    """tests/run.py replays every corpus; this one is there, with a target that reads it."""
    folder = os.path.join(postern.TOP, "tests/fuzz")
    assert os.path.exists(os.path.join(folder, "fuzz_address.c"))
    assert len(os.listdir(os.path.join(folder, "corpus/address"))) >= 5


TAILS = [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xfe", b"\x80",
         b"\xc3\x28",
         b"\xe2\x80\xa8", b"\xc2\x85", b"\xf8\x88\x80\x80\x80", b"\xe2\x82\xac\xe2\x82"]


@pytest.mark.parametrize("tail", TAILS, ids=lambda t: t.hex())
def test_41_utf8_tail(hard, tail):
    """Characters that end too soon, are overlong, surrogates or line ends: refused wherever an address has them."""
    for command in (b"MAIL FROM:<a%s@b.example> SMTPUTF8\r\n", b"MAIL FROM:<a@b%s.example> SMTPUTF8\r\n",
                    b"MAIL FROM:<\"a%s\"@b.example> SMTPUTF8\r\n", b"MAIL FROM:<a@b.example%s> SMTPUTF8\r\n",
                    b"EHLO a%s.example\r\n"):
        with Evil(hard) as c:
            c.to("EHLO evil.example")
            assert c.say(command % tail) in ("501 5.1.7", "501 5.5.4"), command
    with Evil(hard) as c:
        c.to("EHLO evil.example", "MAIL FROM:<a@b.example> SMTPUTF8")
        for command in (b"RCPT TO:<a%s@example.org>\r\n", b"RCPT TO:<demo@example.org%s>\r\n"):
            assert c.say(command % tail) == "501 5.1.3"
        assert c.say(b"RCPT TO:<demo@example.org> ORCPT=utf-8;a%s@b.example\r\n" % tail) == "501 5.5.4"


# -- parameters -------------------------------------------------------------------

INJECTIONS = ["+0D+0AX-Evil:+20yes", "+0AX", "+0DX", "+00", "+7F", "+1B[31m", "+0d", "+", "+0", "+ZZ", "a=b", "a\tb",
              "+C2+85", "+80"]
MAIL_PARAMS = ["ENVID={}", "ENVID=a{}b", "AUTH={}", "AUTH=a{}@b.example", "RET={}", "RET=FULL{}", "BODY={}",
               "BODY=8BITMIME{}", "SIZE={}", "SIZE=1{}",
               "SMTPUTF8={}", "{}=1", "X{}"]
RCPT_PARAMS = ["ORCPT=rfc822;{}", "ORCPT=rfc822;a{}@b.example", "ORCPT={};a@b.example", "NOTIFY={}", "NOTIFY=NEVER,{}",
               "NOTIFY=SUCCESS{}", "X{}=1"]


@pytest.mark.parametrize("param", MAIL_PARAMS + RCPT_PARAMS)
def test_34_newline_in_a_parameter(hard, param):
    """CR, LF, NUL and other controls by xtext, raw or in UTF-8: refused in every parameter, before anything is stored."""
    rcpt = param in RCPT_PARAMS
    for injection in INJECTIONS:
        if injection == "a=b" and param.split("=")[0] in ("ENVID", "ORCPT"):
            continue    # RFC 3461 4 excludes "=" from xtext; see the next test
        with Evil(hard) as c:
            c.to("EHLO evil.example")
            if rcpt:
                c.to("MAIL FROM:<a@b.example>")
            text = param.format(injection)
            answer = c.say(f"RCPT TO:<demo@example.org> {text}" if rcpt else f"MAIL FROM:<a@b.example> {text}")
            assert answer in ("501 5.5.4", "555 5.5.4", "501 5.5.2"), (text, answer)


def test_34_equals_sign_in_xtext(hard):
    with Evil(hard) as c:
        c.to("EHLO evil.example")
        assert c.say("MAIL FROM:<a@b.example> ENVID=a=b") == "501 5.5.4"
        c.to("MAIL FROM:<a@b.example>")
        assert c.say("RCPT TO:<demo@example.org> ORCPT=rfc822;a=b@c.example") == "501 5.5.4"


@pytest.mark.parametrize("name",
                         ("a b", "a\tb", "a<b", "a\"b", "a;b", "(a)", "a@b", "[1.2.3]", "[IPv6:]", "[IPv6:::g]",
                          "a..b", "-", ".", "a\\b", "a/b", "$(id)",
                                  "() { :; };", "a" * 256, "", "\u00e9.example", "a\x7f"))
def test_34_name_of_hello(hard, name):
    """A name with octets that no host name has is refused, so that it reaches neither header nor log."""
    with Evil(hard) as c:
        for verb in ("EHLO", "HELO"):
            assert c.say(f"{verb} {name}") in ("501 5.5.4", "501 5.5.2"), name
        assert c.say("MAIL FROM:<a@b.example>") == "503 5.5.1"
