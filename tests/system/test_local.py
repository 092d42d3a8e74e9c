# SPDX-License-Identifier: ISC
"""Local delivery: agents, what they store, and what stops them."""
import os
import re
import signal
import subprocess

import pytest

from postern import ROOT, Server, VMAIL, wait_for

SLOW_RETRY = "queue retry-min 1h\n"


def make_dir(server, *names, mode=0o700):
    path = server.path(*names)
    os.makedirs(path, mode=0o755, exist_ok=True)
    os.chmod(path, mode)
    if ROOT:
        os.chown(path, VMAIL, VMAIL)
    return path


def peak_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"^VmHWM:\s+(\d+) kB", f.read(), re.M).group(1)) // 1024


def in_tmp(server):
    return os.listdir(server.path("mail", "example.org", "demo", "tmp"))


def test_a_run_of_messages_by_one_agent(server):
    """Every message whole, every name unique, one agent for all of them, which then leaves."""
    with server.smtp() as s:
        for n in range(60):
            assert s.sendmail("you@example.net", "demo@example.org", f"X-N: {n}\r\n\r\n{n}\r\n") == {}
    mail = server.wait_mail(60)
    assert sorted(int(re.search(rb"^X-N: (\d+)$", m, re.M).group(1)) for m in mail) == list(range(60))
    new = server.path("mail", "example.org", "demo", "new")
    for name in os.listdir(new):
        size = int(re.fullmatch(r"\d+\.M\d+P\d+Q\d+\.[^,]+,S=(\d+)", name).group(1))
        assert os.path.getsize(os.path.join(new, name)) == size
    assert in_tmp(server) == []
    wait_for(lambda: not [p for p in server.pids() if p.startswith("agent")], "the agent to leave")


def test_every_octet_but_line_ends(server):
    lines = [bytes(range(1, 10)), bytes(range(14, 128)), bytes(range(128, 256)), b"", b" ", b".",
             b"..", b"From the start", b">From", b"x" * 900]
    body = b"Subject: octets\r\n\r\n" + b"\r\n".join(lines) + b"\r\n"
    with server.smtp() as s:
        s.sendmail("you@example.net", "demo@example.org", body)
    got = server.wait_mail()[0]
    assert got.endswith(body.replace(b"\r\n", b"\n"))
    assert b"\r" not in got


@pytest.mark.parametrize("size", [0, 1, 32767, 32768, 32769, 65536, 5_000_000])
def test_sizes_around_the_chunks(shared_server, size):
    mark = f"size{size}@example.org".encode()
    line = b"0123456789abcde\r\n"
    body = b"Message-ID: <" + mark + b">\r\n\r\n" + (line * (size // len(line) + 1))[:size].rstrip(b"\r\n") + b"\r\n"
    with shared_server.smtp() as s:
        s.sendmail("you@example.net", "demo@example.org", body)

    def look():
        return [m for m in shared_server.maildir() if b"<" + mark + b">" in m]
    assert wait_for(look, "the message")[0].endswith(body.replace(b"\r\n", b"\n"))


def test_memory_does_not_grow_with_what_is_under_way(make_server):
    """512 megabytes for 32 mailboxes at once pass through a process that never holds a tenth of it."""
    users = [f"u{n}" for n in range(32)]
    tables = {"users": ", ".join(f'"{u}@example.org" = "{u}"' for u in users),
              "owners": ", ".join(f'"{u}" = "{{vmail}}:{{vmail}}:{{dir}}/mail"' for u in users)}
    server = make_server(re.sub(r"table (users|owners) .*",
                                lambda m: f"table {m[1]} {{{{ {tables[m[1]]} }}}}", Server.CONF))
    delivery = server.pids()["delivery/0"]
    line = "0123456789abcde" * 4 + "\r\n"
    body = "Subject: large\r\n\r\n" + line * (2**20 // len(line))

    server.ctl("pause", "delivery")  # so that all of it is due at once
    with server.smtp() as s:
        for _ in range(16):
            assert s.sendmail("you@example.net", [f"{u}@example.org" for u in users], body) == {}
    server.ctl("resume", "delivery")

    def stored():
        new = [server.path("mail", "example.org", u, "new") for u in users]
        return sum(len(os.listdir(d)) for d in new if os.path.isdir(d))
    wait_for(lambda: stored() == 512, "512 messages", 120)
    assert server.pids()["delivery/0"] == delivery
    assert not [line for line in server.log if "event=deferred" in line]
    if "asan" not in server.build:
        assert peak_mib(delivery) < 40


def test_null_sender(server):
    server.send(sender="")
    assert server.wait_mail()[0].startswith(b"Return-Path: <>\n")


def test_a_loop_is_ended(server):
    server.send("Delivered-To: demo@example.org\r\nSubject: again\r\n\r\nx\r\n", sender="")
    assert "status=5.4.6" in server.wait_log(r"event=failed .*to=demo@example\.org")
    server.send("Delivered-To: other@example.org\r\nSubject: again\r\n\r\n"
                "Delivered-To: demo@example.org\r\n")
    assert len(server.wait_mail()) == 1
    assert in_tmp(server) == []


@pytest.mark.parametrize("address", ["Demo@example.org", "DEMO@EXAMPLE.ORG", "demo+tag@example.org",
                                     "Demo+Other@Example.org", '"demo"@example.org'])
def test_one_mailbox_however_it_is_written(shared_server, address):
    before = len(shared_server.maildir())
    shared_server.send(to=["demo@example.org", address])
    mail = shared_server.wait_mail(before + 2)
    local, _, domain = address.rpartition("@")
    given = f"{local.strip(chr(34))}@{domain.lower()}"
    assert any(b"Delivered-To: " + given.encode() in m for m in mail)
    assert set(os.listdir(shared_server.path("mail", "example.org"))) <= {"demo", "other"}


def test_tag_with_a_mailbox_of_its_own(make_server):
    """What the table has with its tag is another user, not the one before the tag."""
    server = make_server(Server.CONF.replace('"other@example.org"', '"demo+eu@example.org"'))
    server.send(to=["Demo+EU@example.org", "demo+us@example.org", "demo@example.org"])
    assert len(server.wait_mail(1, user="demo+eu")) == 1
    assert len(server.wait_mail(2, user="demo")) == 2


def test_one_account_many_mailboxes(make_server):
    """Members of an alias that share the account do not share the mailbox."""
    server = make_server(Server.CONF.replace(
        '"other@example.org" = "vmail"', '"other@example.org" = "vmail", "team@example.org" = '
        '"demo@example.org, other@example.org, Demo+x@example.org"'))
    server.send(to="team@example.org")
    assert len(server.wait_mail(user="other")) == 1
    assert len(server.wait_mail(user="demo")) == 1
    wait_for(lambda: "empty" in server.ctl("show", "queue").stdout, "an empty queue")
    assert len(server.maildir()) == 1


def test_name_that_no_path_can_have(make_server):
    """Refused where it is named; where an alias leads there, told when it is tried."""
    server = make_server(Server.CONF.replace(
        '"other@example.org"', '"team@example.org" = "a/b@example.org, demo@example.org", "@example.org"'))
    with server.smtp() as c:
        c.ehlo()
        c.mail("")
        assert c.rcpt("a/b@example.org")[0] == 550
    server.send(to="team@example.org", sender="")
    line = server.wait_log(r"event=failed .*to=a/b@example\.org")
    assert "status=5.1.3" in line and "slash" in line
    server.send(to=["o'brien@example.org", "o&brien@example.org"], sender="")
    server.wait_mail(user="o'brien")
    server.wait_mail(user="o&brien")


def test_members_that_fail_are_reported(make_server):
    """Those of an alias that can be delivered are; the sender hears of the others."""
    server = make_server(Server.CONF.replace(
        '"other@example.org" = "vmail"', '"other@example.org" = "vmail", "team@example.org" = '
        '"demo@example.org, nobody@example.org, you@refused.example, a@@b"'))
    server.send(to="team@example.org", sender="other@example.org")
    server.wait_mail()
    report = server.wait_mail(user="other")[0].decode()
    assert "Reporting-MTA:" in report
    for member, status in (("nobody@example.org", "5.1.1"), ("you@refused.example", "5.7.1"),
                           ("a@@b", "5.2.4")):
        assert re.search(rf"Final-Recipient: rfc822; ?{re.escape(member)}\nAction: failed\nStatus: {status}",
                         report), report
    assert "demo@example.org" not in report.split("Reporting-MTA:")[1].split("\n--")[0]


@pytest.mark.parametrize("local", ["../other", "a/b", "..", "$(id)", "`id`", "a;b", "|x", "~root", "-x"])
def test_hostile_local_parts_stay_below(make_server, local):
    """Whatever the name, nothing appears outside the directory of its domain."""
    server = make_server(Server.CONF.replace('"other@example.org"', '"@example.org"'))
    try:
        server.send(to=f'"{local}"@example.org', sender="")
    except Exception as refused:  # at RCPT: as good
        assert any(code in str(refused) for code in ("550", "553", "501"))
        return
    server.wait_log(r"event=(delivered|failed|deferred) ")
    assert set(os.listdir(server.path("mail"))) <= {"example.org"}
    if os.path.isdir(server.path("mail", "example.org")):
        for entry in os.scandir(server.path("mail", "example.org")):
            assert sorted(os.listdir(entry.path)) == ["cur", "new", "tmp"]


def test_symbolic_links_are_not_followed(make_server, tmp_path):
    server = make_server(extra=SLOW_RETRY)
    os.chmod(tmp_path, 0o777)
    make_dir(server, "mail", "example.org")
    link = server.path("mail", "example.org", "demo")
    os.symlink(tmp_path, link)
    server.send()
    assert "status=4." in server.wait_log(r"event=deferred .*to=demo@example\.org")
    assert "path=example.org/demo" in server.wait_log("event=mailbox-not-opened")
    assert os.listdir(tmp_path) == []
    os.unlink(link)
    server.ctl("schedule", "all")
    server.wait_mail()


def test_mailbox_that_is_a_file(make_server):
    server = make_server(extra=SLOW_RETRY)
    make_dir(server, "mail", "example.org")
    with open(server.path("mail", "example.org", "demo"), "w", encoding="ascii") as f:
        f.write("keep me")
    server.send()
    assert "status=4." in server.wait_log(r"event=deferred .*to=demo@example\.org")
    with open(server.path("mail", "example.org", "demo"), encoding="ascii") as f:
        assert f.read() == "keep me"


def test_one_bad_mailbox_does_not_stop_another(make_server):
    server = make_server(extra=SLOW_RETRY)
    make_dir(server, "mail", "example.org")
    with open(server.path("mail", "example.org", "demo"), "w", encoding="ascii"):
        pass
    server.send(to=["demo@example.org", "other@example.org"])
    server.wait_mail(user="other")
    server.wait_log(r"event=deferred .*to=demo@example\.org")


def test_dead_agent_costs_nothing(make_server):
    """An agent killed again and again under load: every message arrives in the end."""
    server = make_server(extra="queue retry-min 1s\n")
    wanted = set(range(80))

    def have():
        return {int(re.search(rb"^X-N: (\d+)$", m, re.M).group(1)) for m in server.maildir()}
    with server.smtp() as s:
        for n in wanted:
            s.sendmail("you@example.net", "demo@example.org", f"X-N: {n}\r\n\r\n{n}\r\n")
            if n % 8 == 0:
                for name, pid in server.pids().items():
                    if name.startswith("agent"):
                        os.kill(pid, signal.SIGKILL)

    def all_there():
        server.ctl("schedule", "all")
        return have() == wanted
    wait_for(all_there, "all messages")
    for m in server.maildir():
        assert re.search(rb"\n\n\d+\n$", m), m


@pytest.mark.root
def test_full_file_system(make_server):
    server = make_server(extra=SLOW_RETRY, start=False)
    mail = server.path("mail")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=256k,mode=700,uid={VMAIL},gid={VMAIL}",
                    "tmpfs", mail], check=True)
    try:
        server.start()
        server.send()
        server.wait_mail()
        large = "X-Large: yes\r\n\r\n" + "0123456789\r\n" * 40000
        server.send(large)
        assert "status=4.3.1" in server.wait_log(r"event=deferred .*to=demo@example\.org")
        assert in_tmp(server) == [] and len(server.maildir()) == 1
        subprocess.run(["mount", "-o", "remount,size=4m", mail], check=True)
        server.ctl("schedule", "all")
        assert any(large.replace("\r\n", "\n").encode() in m for m in server.wait_mail(2))
    finally:
        server.stop()
        subprocess.run(["umount", mail], check=True)


@pytest.mark.root
def test_mail_for_root_is_never_delivered(make_server):
    server = make_server(Server.CONF.replace("{vmail}:{vmail}:{dir}/mail", "0:0:{dir}/mail"))
    server.send(sender="")
    assert "root" in server.wait_log(r"event=failed .*to=demo@example\.org")
    assert server.maildir() == []
