# SPDX-License-Identifier: ISC
"""Connections to other servers: how many, how long, for how much mail, and what a dead destination costs."""
import signal
import socket
import threading
import time

import pytest

from next_hop import NextHop
from postern import PATIENCE, Server, wait_for

CONF = Server.CONF + """
action "out" relay host "smtp://127.0.0.1:{port}"
match from local for any action "out"
queue retry-min 1h
{more}
"""
BODY = "Subject: x\r\n\r\nx\r\n"


@pytest.fixture
def make_relay(make_server):
    def make(port, more="", conf=CONF):
        s = make_server(start=False)
        s.write_conf(conf, port=port, more=more)
        return s.start()
    return make


def send(server, count=1, start=0, sender="me@example.net", to="you{}@far.example"):
    with server.smtp() as s:
        for n in range(start, start + count):
            s.sendmail(sender, to.format(n), BODY)


def wait_mail(hop, count):
    return wait_for(lambda: len(m := hop.mail) >= count and m, f"{count} messages")


def hold(hop, verb):
    """reply_to that waits at a verb until the event is set."""
    event = threading.Event()

    def reply(_visit, seen, _line):
        if seen == verb:
            event.wait(PATIENCE)
        return ""
    hop.reply_to = reply
    return event


def test_one_connection_for_message_after_message(make_relay):
    with NextHop() as hop:
        server = make_relay(hop.port)
        for n in range(8):
            send(server, start=n)
            wait_mail(hop, n + 1)
        assert [len(v.mail) for v in hop.visits] == [8]
        assert hop.visits[0].lines.count("EHLO mx.test") == 1


def test_a_connection_is_left_when_there_is_no_more_mail(make_relay):
    with NextHop() as hop:
        server = make_relay(hop.port, "mta limit session-keepalive 1")
        send(server)
        wait_for(lambda: hop.visits and not hop.visits[0].open, "the end of the connection")
        assert hop.visits[0].lines[-1] == "QUIT"
        send(server)
        wait_mail(hop, 2)
        assert len(hop.visits) == 2


def test_more_connections_with_success_up_to_the_limit(make_relay):
    with NextHop() as hop:
        held = hold(hop, "EHLO")
        server = make_relay(hop.port, "mta max-connections-per-destination 4")
        send(server, 30)
        # Nobody knows yet whether there is anybody: one goes and sees.
        wait_for(lambda: len(hop.visits) == 1, "the first")
        server.wait_log(r"event=accepted .*to=you29@")
        assert len(hop.visits) == 1
        hop.reply_to = lambda visit, verb, line: time.sleep(0.05) or "" if verb == "DATA" else ""
        held.set()
        wait_mail(hop, 30)
        assert 2 <= hop.peak <= 4
        assert sorted(m["to"][0] for m in hop.mail) == sorted(f"<you{n}@far.example>" for n in range(30))


def test_messages_of_a_session(make_relay):
    with NextHop() as hop:
        server = make_relay(hop.port, "mta limit session-mail-max 2 max-conn-per-relay 1")
        send(server, 5)
        wait_mail(hop, 5)
        assert [len(v.mail) for v in hop.visits] == [2, 2, 1]


def test_a_server_that_takes_few_messages_says_so(make_relay):
    """RFC 9422: LIMITS MAILMAX."""
    with NextHop(extensions=("LIMITS MAILMAX=3",)) as hop:
        server = make_relay(hop.port, "mta limit max-conn-per-relay 1")
        send(server, 7)
        wait_mail(hop, 7)
        assert [len(v.mail) for v in hop.visits] == [3, 3, 1]


def test_delay_between_connections_and_messages(make_relay):
    with NextHop() as hop:
        server = make_relay(hop.port, "mta limit conn-delay-relay 1 session-mail-max 1")
        send(server, 3)
        wait_mail(hop, 3)
        starts = [v.began for v in hop.visits]
        assert len(starts) == 3 and all(b - a >= 0.95 for a, b in zip(starts, starts[1:]))


def test_messages_a_minute(make_relay):
    """What is over the rate waits in the queue, and that is no attempt."""
    with NextHop() as hop:
        server = make_relay(hop.port, "mta limit max-rate-per-domain 3")
        send(server, 5)
        wait_mail(hop, 3)
        for _ in range(2):
            line = server.wait_log(r"event=deferred .*put_off_s=")
            assert "status=4.3.2" in line
        assert len(hop.mail) == 3
        assert "3/3" in server.ctl("show", "limits").stdout


def test_a_dead_destination_costs_one_probe(make_relay):
    with NextHop(greeting=lambda visit: "421 4.3.2 closed") as hop:
        server = make_relay(hop.port)
        send(server)
        assert "status=4.3.2" in server.wait_log("event=deferred")
        server.wait_log("event=destination-dead")
        send(server, 20, 1)
        server.wait_log(r"event=deferred .*to=you20@.*put_off_s=\d+ status=4\.3\.2")
        assert len(hop.visits) == 1
        shown = server.ctl("show", "limits").stdout
        assert "dead" in shown and "closed" in shown
        # An admin knows better: one looks, and finds it dead again, for all of them.
        after = len(server.log)
        server.ctl("schedule", "all")
        server.wait_log("event=destination-dead", after=after)
        wait_for(lambda: sum("event=deferred" in line for line in server.log[after:]) >= 21, "all of them")
        assert len(hop.visits) == 2
        # Now it lives, and all is delivered by the first that looks and those that follow.
        hop.greeting = lambda visit: "220 next.test"
        server.ctl("schedule", "all")
        wait_mail(hop, 21)
        server.wait_log("event=destination-alive")


def test_try_again_in_some_time(make_relay):
    with NextHop(greeting=lambda visit: "421 4.7.0 try again in 20 minutes") as hop:
        server = make_relay(hop.port, "queue retry-min 2m")
        send(server)
        assert "for_s=1200" in server.wait_log("event=destination-dead")


def test_who_greets_and_takes_nothing_is_as_good_as_dead(make_relay):
    with NextHop(reply_to=lambda visit, verb, line: None if verb == "MAIL" else "") as hop:
        server = make_relay(hop.port)
        send(server, 40)
        server.wait_log("event=destination-dead")
        wait_for(lambda: sum("event=deferred" in line for line in server.log) >= 40, "all verdicts")
        assert len(hop.visits) <= 6


def test_a_connection_that_was_kept_too_long(make_relay):
    """It is lost, or 421, when it is used again: the message goes by another, and nobody hears of it."""
    for reply in ("421 4.4.2 idle too long", None):
        with NextHop() as hop:
            def second(visit, verb, _line, reply=reply):
                return reply if verb == "MAIL" and visit.mail and visit.number == 0 else ""
            hop.reply_to = second
            server = make_relay(hop.port)
            send(server)
            wait_mail(hop, 1)
            send(server, start=1)
            wait_mail(hop, 2)
            assert [len(v.mail) for v in hop.visits] == [1, 1]
            assert not any("event=deferred" in line for line in server.log)
            server.stop()


def test_fair_between_destinations(make_relay):
    """Twenty connections that hang leave room for who has none."""
    conf = CONF.replace("match from local", """
action "slow" relay host "smtp://127.0.0.1:{slow}"
match from local for domain "slow.example" action "slow"
match from local""")
    with NextHop() as hop, NextHop() as slow:
        held = hold(slow, "DATA")
        server = make_relay(hop.port, "mta max-connections 10\nmta max-connections-per-destination 10",
                            conf=conf.replace("{slow}", str(slow.port)))
        send(server, 3, to="you{}@slow.example")
        wait_for(lambda: any("DATA" in v.lines for v in slow.visits), "the slow one")
        send(server, 20, to="you{}@slow.example")
        send(server, 5)
        wait_mail(hop, 5)
        assert slow.peak <= 8
        held.set()
        wait_mail(slow, 23)


def test_the_next_server_of_a_list(make_relay):
    with socket.create_server(("127.0.0.1", 0)) as s:
        closed = s.getsockname()[1]
    conf = CONF.replace('host "smtp://127.0.0.1:{port}"',
                        'host {{ "smtp://127.0.0.1:%d", "smtp://127.0.0.1:{port}" }}' % closed)
    with NextHop() as hop:
        server = make_relay(hop.port, conf=conf)
        send(server, 3)
        wait_mail(hop, 3)
        assert not any("event=deferred" in line for line in server.log)


def test_source_and_name_of_the_sender(make_relay):
    conf = CONF.replace("relay host", "relay src <addresses> helo-src <names> host").replace("action \"out\" relay", """
table addresses {{ "a.example" = "127.0.0.11", "*" = "127.0.0.12" }}
table names {{ "127.0.0.11" = "a.mx.test", "127.0.0.12" = "b.mx.test" }}
action "out" relay""", 1)
    with NextHop() as hop:
        server = make_relay(hop.port, conf=conf)
        send(server, sender="me@a.example")
        wait_mail(hop, 1)
        send(server, sender="me@b.example")
        wait_mail(hop, 2)
        assert [(v.address[0], v.helo) for v in hop.visits] == [
            ("127.0.0.11", "a.mx.test"), ("127.0.0.12", "b.mx.test")]


def test_a_connection_of_another_configuration_takes_no_more(make_relay):
    """What the new one forbids does not go by a connection that was made under the old one."""
    keep = "mta limit session-keepalive 10m"
    with NextHop() as hop:
        server = make_relay(hop.port, keep)
        send(server)
        wait_mail(hop, 1)
        server.write_conf(CONF.replace('{port}"', '{port}" tls'), port=hop.port, more=keep)
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("event=reloaded")
        wait_for(lambda: not hop.visits[0].open, "the end of the old connection")
        send(server, start=1)
        assert "status=4.7.4" in server.wait_log(r"event=deferred .*to=you1@")
        assert len(hop.mail) == 1


# -- which host it was -------------------------------------------------------

HOSTS = CONF.replace('host "smtp://127.0.0.1:{port}"', "host {more}").replace("\n{more}\n", "\n")


def nobody(host):
    """A port of the address that refuses connections."""
    with socket.create_server((host, 0)) as listener:
        return listener.getsockname()[1]


def test_a_host_that_failed_is_told_of(make_relay):
    """Also where the next one has taken the mail."""
    with NextHop() as hop:
        server = make_relay(hop.port, f'{{ "smtp://127.0.0.2:{nobody("127.0.0.2")}", "smtp://127.0.0.1:{hop.port}" }}',
                            HOSTS)
        send(server)
        wait_mail(hop, 1)
        line = server.wait_log("event=host-failed")
        assert "dest=127.0.0.2 host=127.0.0.2[127.0.0.2] status=4.4.1" in line and "Connection refused" in line
        assert not [x for x in server.log if "event=destination-dead" in x]


def test_the_reason_is_that_of_its_host(make_relay):
    """What the first one said is not told of the last one that was tried."""
    with NextHop() as hop:
        dead = nobody("127.0.0.2")
        server = make_relay(hop.port, f'{{ "smtp+tls://127.0.0.1:{hop.port}", "smtp://127.0.0.2:{dead}" }}', HOSTS)
        send(server)
        assert "relay=127.0.0.1[127.0.0.1] status=4.7.4" in server.wait_log("event=deferred")
        assert "relay=127.0.0.1[127.0.0.1]" in server.wait_log("event=destination-dead")
        assert "host=127.0.0.2[127.0.0.2] status=4.4.1" in server.wait_log("event=host-failed")
