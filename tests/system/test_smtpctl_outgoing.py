# SPDX-License-Identifier: ISC
"""smtpctl show limits, show tls, forget tls and oauth: what is printed for what delivery, queue and vault say, what
these are asked, and that no text of theirs steers a terminal."""
import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from control import BROWSER, DEVICE, SMTPCTL, Bench  # noqa: E402
from ipc import OUTCOMES, encode  # noqa: E402
from test_smtpctl import Liar  # noqa: E402

OK, REFUSED, USAGE, ALARM, TEMPFAIL = 0, 1, 2, 3, 75
STEERING = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.fixture
def bench(tmp_path):
    b = Bench(tmp_path)
    b.add_link("DELIVERY")
    yield b
    b.stop()


def lines(done):
    return done.stdout.decode().splitlines()


def documents(done):
    return [json.loads(line) for line in lines(done)]


# -- show limits -----------------------------------------------------------

def limit(number, key, **changes):
    return {"number": number, "scope": "domain", "key": key, "connections": 3, "connections_max": 10, **changes}


def test_no_limits(bench):
    assert lines(bench.smtpctl("show", "limits")) == ["nothing goes out, and nothing is held back; "
                                                      "7 of 500 connections open"]
    assert bench.smtpctl("-q", "show", "limits").stdout == bench.smtpctl("show", "limits", "--json").stdout == b""


def test_limits(bench):
    now = int(time.time())
    bench.limits = [
        limit(1, "example.com", mails=20, mails_max=100, delay_ms=1500, waiting=14),
        limit(4, "192.0.2.1", scope="host", connections_max=0, until_s=now + 300, why="refused\x1b[2J"),
        limit(9, b"\x1b[2J\xe2\x80\xaex", scope="mx", until_s=now - 1, why="over"),
    ]
    done = bench.smtpctl("show", "limits")
    got = lines(done)
    assert done.returncode == OK and not STEERING.search(done.stdout)
    assert got[0].split() == ["SCOPE", "KEY", "OPEN", "MAILS/MIN", "DELAY", "WAITING", "NOT", "BEFORE"]
    assert got[1].split() == ["domain", "example.com", "3/10", "20/100", "1.5s", "14"]
    assert re.match(r"host +192\.0\.2\.1 +3/- +0/- +- +0 in (5m|4m5\ds).*: refused\\x1b\[2J", got[2])
    assert got[3].startswith("mx      \\x1b[2J") and got[3].endswith(" 0")
    assert got[4:] == ["7 of 500 connections open"]
    first, second, _ = documents(bench.smtpctl("show", "limits", "--json"))
    assert first == {"scope": "domain", "key": "example.com", "connections": 3, "max_connections": 10, "mails": 20,
                     "max_mails": 100, "delay_ms": 1500, "waiting": 14, "until": 0, "why": ""}
    assert second["max_connections"] == 0 and second["until"] == now + 300


def test_many_limits(bench, tmp_path):
    bench.limits = [limit(n, f"d{n}.test") for n in range(1, 251)]
    assert len(documents(bench.smtpctl("show", "limits", "--json"))) == 250
    assert bench.questions.count("limits") == 3
    again = encode("limits_row", req=1, **limit(0, "x")) + encode("limits_end", req=1, more=True)
    assert Liar(tmp_path / "s", again).smtpctl("show", "limits").returncode == OK


# -- show tls, forget tls -----------------------------------------------------

def domain(name, level=1, **changes):
    now = int(time.time())
    return {"domain": name, "level": level, "since_s": now - 86400, "seen_s": now - 60, **changes}


def test_tls(bench, tmp_path):
    assert lines(bench.smtpctl("show", "tls")) == ["nothing is remembered"]
    bench.domains = [domain("a.test"), domain("b.test", 2), domain("c.test\x1b[2J", 3), domain("d.test", 0)]
    done = bench.smtpctl("show", "tls")
    got = lines(done)
    assert not STEERING.search(done.stdout) and got[0].split() == ["DOMAIN", "LEVEL", "SINCE", "LAST"]
    assert [line.split()[1] for line in got[1:5]] == ["encrypted", "verified", "dane", "plain"]
    assert re.fullmatch(r"a\.test +encrypted +(1d|24h)\S* 1m\S*", got[1]) and got[5] == "4 domains"
    assert documents(bench.smtpctl("show", "tls", "--json"))[1] == {
        "domain": "b.test", "level": "verified", "since": bench.domains[1]["since_s"],
        "seen": bench.domains[1]["seen_s"]}
    bench.domains = [domain(f"d{n:04}.test") for n in range(250)]
    assert len(documents(bench.smtpctl("show", "tls", "--json"))) == 250
    again = encode("tls_domains_row", req=1, **domain("")) + encode("tls_domains_end", req=1, more=True)
    assert Liar(tmp_path / "s", again).smtpctl("show", "tls").returncode == OK


def test_forget(bench):
    bench.domains = [domain("a.test")]
    assert lines(bench.smtpctl("forget", "tls", "a.test")) == ["a.test: forgotten"]
    assert lines(bench.smtpctl("forget", "tls", "all")) == ["all domains: forgotten"]
    done = bench.smtpctl("forget", "tls", "b.test")
    assert (done.returncode, done.stderr) == (REFUSED, b"smtpctl: no such domain\n")
    assert bench.smtpctl("forget", "tls").returncode == USAGE
    assert bench.undone == ["a.test", "", "b.test"]
    bench.wait_log("event=admin verb=forget-tls domain=a.test")
    bench.wait_log("event=admin verb=forget-tls domain=all")


# -- oauth --------------------------------------------------------------------

def oauth(label="post", **changes):
    return {"label": label, "provider": "google", "user": "ann@example.org", "grant": "code", **changes}


def test_oauth_list(bench):
    assert lines(bench.smtpctl("oauth", "list")) == ['no "oauth" in the configuration']
    now = int(time.time())
    bench.oauths = [oauth(consent=True, consent_s=now - 90, expires_s=now + 3000), oauth("other"),
                    oauth("x" * 64, user=b"\x1b[2J", trouble="gone\x1b[2J", consent=True)]
    done = bench.smtpctl("oauth", "list")
    got = lines(done)
    assert not STEERING.search(done.stdout)
    assert got[0].split() == ["LABEL", "PROVIDER", "GRANT", "USER", "CONSENT", "TOKEN"]
    assert re.fullmatch(r"post +google +code +ann@example\.org +1m3\ds (50m|49m5\d).*", got[1])
    assert got[2].split() == ["other", "google", "code", "ann@example.org", "none", "none"]
    assert got[4] == "  gone\\x1b[2J"
    assert documents(bench.smtpctl("oauth", "list", "--json"))[0] == {
        "label": "post", "provider": "google", "user": "ann@example.org", "grant": "code", "consent": True,
        "consented": now - 90, "expires": now + 3000, "trouble": ""}
    three = bench.oauths
    for one, status in zip(three, (OK, ALARM, ALARM)):
        bench.oauths = [one]
        for words in ((), ("--json",)):
            assert bench.smtpctl("oauth", "list", *words).returncode == status


def test_oauth_logout(bench):
    assert lines(bench.smtpctl("oauth", "logout", "post")) == ["post: forgotten"]
    assert bench.codes == [("post", None, None)]
    bench.wait_log("event=admin verb=oauth-logout label=post")


def done_with(outcome, text=""):
    return "oauth_done", {"outcome": OUTCOMES.index(outcome), "text": text}


@pytest.mark.parametrize("outcome, status", [("OK", OK), ("FAIL", REFUSED), ("RETRY", TEMPFAIL), ("GONE", REFUSED)])
def test_device(bench, outcome, status):
    bench.oauths = [oauth(grant="device")]
    bench.login = [("oauth_prompt", {"how": DEVICE, "url": "https://x.test/\x1b[2J", "code": "AB\x1b[2J",
                                     "expires_s": int(time.time()) + 600}), done_with(outcome, "because\x1b[2J")]
    done = bench.smtpctl("oauth", "login", "post")
    assert done.returncode == status and not STEERING.search(done.stdout + done.stderr)
    assert b"https://x.test/\\x1b" in done.stdout and b"  AB\\x1b" in done.stdout
    assert (b"because" in done.stderr) == (status != OK)
    assert bench.redirects[0][0] == "post" and bench.redirects[0][1].startswith("http://127.0.0.1:")


def prompt(state="s3cr3t"):
    return "oauth_prompt", {"how": BROWSER, "url": f"https://x.test/?a=b&state={state}",
                            "expires_s": int(time.time()) + 600}


def test_browser_and_paste(bench):
    """The code goes to the vault with the state of the URL, however it came."""
    bench.oauths = [oauth(provider="microsoft")]
    bench.login = [prompt(), done_with("OK"), prompt(), done_with("OK"), prompt(), done_with("FAIL", "no")]
    with subprocess.Popen([SMTPCTL, "-s", bench.path, "oauth", "login", "--browser", "post"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True) as p:
        while not (found := re.search(r"port (\d+)", p.stdout.readline())):
            pass
        for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")):
            with socket.socket(family) as s:
                if s.connect_ex((host, int(found.group(1)))) != 0:
                    continue                                        # no IPv6 here
                for octet in b"GET /?code=c%2F1&state=s3cr3t HTTP/1.1\r\nHost: x\r\n\r\n":
                    s.sendall(bytes([octet]))
                answer = b"".join(iter(lambda: s.recv(4096), b""))
            break
        assert answer.startswith(b"HTTP/1.1 200 ") and b"Cache-Control: no-store" in answer
        assert p.wait(30) == OK
    for status, text in ((OK, b" 4/x \n"), (REFUSED, b"http://localhost/?code=y&state=s3cr3t")):
        done = subprocess.run([SMTPCTL, "-s", bench.path, "oauth", "login", "--paste", "post"], input=text,
                              capture_output=True, timeout=60, check=False)
        assert done.returncode == status, done
    assert bench.codes == [("post", c, "s3cr3t") for c in ("c/1", "4/x", "y")]
    assert all(r.startswith("http://localhost:") for _, r in bench.redirects)
    assert "c/1" not in "".join(bench.log)


def test_login_that_can_not_be(bench):
    done = bench.smtpctl("oauth", "login", "post")
    assert done.returncode == REFUSED and b'no "oauth post"' in done.stderr
    bench.oauths = [oauth()]
    bench.login = [prompt(state="")]
    done = bench.smtpctl("oauth", "login", "post")
    assert done.returncode == REFUSED and b"no state" in done.stderr
    bench.login = [("oauth_prompt", {**prompt()[1], "expires_s": int(time.time()) - 10})]
    done = bench.smtpctl("oauth", "login", "--browser", "post")
    assert done.returncode == REFUSED and b"in time" in done.stderr
    assert bench.codes == []
