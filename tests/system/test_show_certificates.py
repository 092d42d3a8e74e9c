# SPDX-License-Identifier: ISC
"""smtpctl show certificates: what is printed for what the vault says, and what the vault says."""
import json
import re
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from control import Bench  # noqa: E402
from talk import rows  # noqa: E402
from tls import TlsServer, certificate  # noqa: E402

OK, TEMPFAIL = 0, 75
DAY = 86400
NOW = int(time.time())


@pytest.fixture
def bench(tmp_path):
    b = Bench(tmp_path)
    yield b
    b.stop()


def row(name, **changes):
    return {"name": name, "subject": "CN=" + name, "issuer": "CN=Some CA", "names": name,
            "key_type": "ECDSA P-256", "fingerprint": "SHA256:" + "ab" * 32, "not_before_s": NOW - 30 * DAY,
            "not_after_s": NOW + 60 * DAY + 3600, "used_by": "127.0.0.1:25", **changes}


def day(when):
    return time.strftime("%Y-%m-%d", time.gmtime(when))


def lines(done):
    return done.stdout.decode().splitlines()


def test_none(bench):
    done = bench.smtpctl("show", "certificates")
    assert (done.returncode, done.stdout, done.stderr) == (OK, b"no certificates\n", b"")
    assert bench.smtpctl("show", "certificates", "--json").stdout == b""
    assert bench.smtpctl("-q", "show", "certificates").stdout == b""


def test_table(bench):
    users = ", ".join(f"192.0.2.{n}:{p}" for n in range(1, 4) for p in (25, 465, 587))
    bench.certificates = [
        row("mx.example.org", used_by="127.0.0.1:465, 127.0.0.1:587"),
        row("a-name-that-is-longer-than-its-column.example", key_type="RSA 2048", used_by=users),
        row("old", not_after_s=NOW - 5, used_by="",
            warnings="expired; the key of this certificate can be read by accounts other than root, "
                     "and it is too short; last"),
        row("nothing", key_type="", not_before_s=0, not_after_s=0, used_by="", warnings="no certificate"),
        row("\x1b[2J", used_by="\x1b[2J", warnings=b"\x1b[2J\n\xff"),
    ]
    done = bench.smtpctl("show", "certificates")
    got = lines(done)
    assert done.returncode == OK and done.stderr == b""
    assert max(map(len, got)) <= 80
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", done.stdout)
    assert got[0].split() == ["NAME", "KEY", "EXPIRES", "LEFT", "USED", "BY"]
    left = day(NOW + 60 * DAY + 3600)
    assert got[1].split() == ["mx.example.org", "ECDSA", "P-256", left, "60d", "127.0.0.1:465,"]
    assert got[2].split() == ["127.0.0.1:587"]
    assert {line.index("127.0.0.1:") for line in got[1:3]} == {got[0].index("USED BY")}
    assert got[3] == "a-name-that-is-longer-than-its-column.example"
    assert got[4].split()[:4] == ["RSA", "2048", left, "60d"]
    at = next(n for n, line in enumerate(got) if line.startswith("old"))
    assert "".join(" ".join(got[4:at]).split()[4:]) == users.replace(" ", "")
    assert got[at].split() == ["old", "ECDSA", "P-256", day(NOW - 5), "expired", "-"]
    assert got[at + 1] == "  warning: expired"
    assert got[at + 2].startswith("  warning: the key of") and got[at + 3].startswith(" " * 11)
    assert " ".join((got[at + 2] + got[at + 3]).split()) == (
        "warning: the key of this certificate can be read by accounts other than root, and it is too short")
    assert got[at + 4] == "  warning: last"
    assert got[at + 5].split() == ["nothing", "-", "-", "-", "-"]
    assert got[-1] == "5 certificates, 3 with warnings"
    assert lines(bench.smtpctl("-q", "sh", "ce")) == got[:-1]


def test_summary_of_one_without_warnings(bench):
    bench.certificates = [row("mx")]
    assert lines(bench.smtpctl("show", "certificates"))[-1] == "1 certificate"


def test_json(bench):
    bench.certificates = [
        row("mx", names="mx.example.org *.example.net", used_by="127.0.0.1:25, [::1]:25",
            warnings="expires soon; weak", signatures=7),
        row("bare", names="", used_by="", warnings=""),
    ]
    first, second = map(json.loads, lines(bench.smtpctl("show", "certificates", "--json")))
    assert first == {
        "name": "mx", "subject": "CN=mx", "issuer": "CN=Some CA", "names": ["mx.example.org", "*.example.net"],
        "key": "ECDSA P-256", "fingerprint": "SHA256:" + "ab" * 32, "not_before": NOW - 30 * DAY,
        "not_after": NOW + 60 * DAY + 3600, "used_by": ["127.0.0.1:25", "[::1]:25"],
        "warnings": ["expires soon", "weak"], "signatures": 7}
    assert (second["names"], second["used_by"], second["warnings"]) == ([], [], [])


def test_vault_down(tmp_path):
    b = Bench(tmp_path, with_vault=False)
    done = b.smtpctl("show", "certificates")
    b.stop()
    assert done.returncode == TEMPFAIL
    assert done.stderr == b"smtpctl: smtpd-vault is being restarted; try again\n"


# -- the whole server --

CONF = """
listen on 127.0.0.1 port 0 smtps pki ecdsa
listen on 127.0.0.1 port 0 tls pki rsa
"""


def test_whole_server():
    server = TlsServer(CONF, ("ecdsa", "rsa", "other"))
    try:
        server.start()
        with server.secure(1):
            pass
        got = {r["name"]: r for r in rows(server, "show", "certificates")}
        assert set(got) == {"ecdsa", "rsa", "other"}
        mine = got["ecdsa"]
        assert mine["fingerprint"] == certificate("ecdsa").fingerprint
        assert mine["key"] == "ECDSA P-256" and got["rsa"]["key"] == "RSA 2048"
        assert "mx.test" in mine["names"] and "ecdsa" in mine["subject"] and "Tests ca" in mine["issuer"]
        assert 29 * DAY < mine["not_after"] - time.time() < 31 * DAY
        assert mine["signatures"] == 1 and got["rsa"]["signatures"] == 0
        assert len(mine["used_by"]) == 1 and len(got["rsa"]["used_by"]) == 1 and got["other"]["used_by"] == []
        table = server.ctl("show", "certificates").stdout.splitlines()
        assert table[-1].startswith("3 certificates") and max(map(len, table)) <= 80
    finally:
        server.cleanup()


def test_expired_is_said():
    server = TlsServer("\nlisten on 127.0.0.1 port 0 tls pki expired\n", ("expired",))
    try:
        server.start()
        (got,) = rows(server, "show", "certificates")
        assert got["not_after"] < time.time() and any("expired" in w for w in got["warnings"])
        table = server.ctl("show", "certificates").stdout
        assert " expired " in table.splitlines()[1] and "\n  warning: " in table
        assert table.endswith("1 certificate, 1 with warnings\n")
    finally:
        server.cleanup()
