# SPDX-License-Identifier: ISC
"""Started by an ordinary user, the same server runs behind the same walls, less accounts and chroot."""
import pytest


@pytest.fixture
def rootless(make_server):
    return make_server(rootless=True)


def test_delivers(rootless):
    rootless.wait_log("event=rootless")
    rootless.send(body="Subject: r\r\n\r\nrootless\r\n")
    assert b"rootless\n" in rootless.wait_mail()[0]


def test_walls_stand(rootless):
    out = rootless.ctl("show", "sandbox").stdout
    assert "WEAKER" not in out
    for role, pid in rootless.pids().items():
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            status = f.read()
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status, role
        assert "CapPrm:\t0000000000000000" in status, role


def test_cannot_deliver_as_another(make_server):
    from postern import Server
    s = make_server(Server.CONF.replace("{vmail}:{vmail}", "12345:12345"), rootless=True)
    s.send()
    line = s.wait_log("event=deferred")
    assert "not started as root" in line
