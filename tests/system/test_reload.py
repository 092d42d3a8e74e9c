# SPDX-License-Identifier: ISC
"""SIGHUP: a good file is in force for who comes next; a wrong one changes nothing."""
import os
import re
import signal

from load import accepts
from postern import Raw, Server, wait_for


def reload(server, text):
    """The line that tells how it went."""
    before = len(server.log)
    if text is None:
        os.unlink(server.conf)
    else:
        server.write_conf(text)
    server.process.send_signal(signal.SIGHUP)
    return server.wait_log(r"event=reload(ed|-refused)", after=before)


def rcpt(client, address):
    client.cmd("EHLO client.test")
    client.cmd("MAIL FROM:<you@example.net>")
    return client.cmd(f"RCPT TO:<{address}>")[0]


def test_good_file(server):
    old = server.raw()
    assert old.reply()[0] == 220
    assert rcpt(old, "new@example.org") == 550
    children = server.pids()
    text = Server.CONF.replace('"other@example.org" = "vmail"', '"new@example.org" = "vmail"')
    assert "event=reloaded" in reload(server, text + "listen on 127.0.0.1 port 0 tag second\n")
    assert len(server.ports) == 2 and server.pids() == children
    # Who was there goes on, under the new rules; so does the old port, and the new one serves.
    wait_for(lambda: old.cmd("RSET")[0] == 250 and rcpt(old, "new@example.org") == 250, "the new rules")
    assert rcpt(old, "other@example.org") != 250
    for port in server.ports:
        with Raw(("127.0.0.1", port)) as c:
            assert c.reply()[0] == 220 and rcpt(c, "new@example.org") == 250
            c.cmd("DATA")
            assert c.cmd("Subject: x\r\n\r\nx\r\n.")[0] == 250
    server.wait_mail(2, user="new")


def test_listener_goes_away(make_server):
    server = make_server(extra="listen on 127.0.0.1 port 0 tag second\n")
    first, second = server.ports
    with Raw(("127.0.0.1", second)) as c:
        assert c.reply()[0] == 220
        assert "event=reloaded" in reload(server, Server.CONF)
        assert c.cmd("NOOP")[0] == 250
    with Raw(("127.0.0.1", first)) as c:
        assert c.reply()[0] == 220


def test_wrong_file(server):
    before = len(server.log)
    reason = reload(server, Server.CONF + "acton \"demo\" maildir\n")
    assert "event=reload-refused" in reason
    line = Server.CONF.count("\n") + 1
    said = server.wait_log(re.escape(server.conf) + rf":{line}:1: ", after=before)
    assert "action" in said
    assert accepts(server)
    server.wait_mail(1, user="other")
    # And the next good one is taken.
    assert "event=reloaded generation=2" in reload(server, Server.CONF)


def test_file_that_is_gone(server):
    assert "event=reload-refused" in reload(server, None)
    assert accepts(server)


def test_spool_stays_where_it_is(server):
    reason = reload(server, Server.CONF.replace("{dir}/spool", "{dir}/elsewhere"))
    assert "event=reload-refused" in reason and "spool directory" in reason
    assert accepts(server)
    server.wait_mail(1, user="other")
