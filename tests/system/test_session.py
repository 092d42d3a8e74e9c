# SPDX-License-Identifier: ISC
"""What a session owes to clients that pipeline, half-close, do not read, or come in crowds."""
import socket
import struct
import threading

import pytest

from postern import Raw, wait_for
from talk import envelope, hello, stat, wait_stat

TEXT = "Subject: half\r\n\r\nclosed\r\n"
GROUP = "MAIL FROM:<you@example.net>\r\nRCPT TO:<demo@example.org>\r\n"


def in_data(server):
    c = envelope(hello(server))
    c.say("DATA")
    return c


def test_half_closed_client_is_answered_to_the_end(server):
    with in_data(server) as c:
        c.send(TEXT + ".\r\nNOOP\r\nQUIT\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        assert c.codes() == [250, 250, 221]
    assert b"closed" in server.wait_mail()[0]


def test_half_close_without_quit(server):
    with in_data(server) as c:
        c.send(TEXT + ".\r\nNOOP\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        assert c.codes() == [250, 250]
    server.wait_mail()


def test_half_close_after_a_whole_message_in_one_group(server):
    with hello(server) as c:
        c.send(GROUP + f"BDAT {len(TEXT)} LAST\r\n{TEXT}" + GROUP + "DATA\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        assert c.codes() == [250, 250, 250, 250, 250, 354]
    assert b"closed" in server.wait_mail()[0]


def test_half_close_inside_data_stores_nothing(server):
    with in_data(server) as c:
        c.send(TEXT)
        c.sock.shutdown(socket.SHUT_WR)
        assert c.codes() == []
    wait_stat(server, "session.open", 0)
    assert stat(server, "queue.messages") == 0


def test_half_close_inside_a_chunk_stores_nothing(server):
    with hello(server) as c:
        c.send(GROUP + f"BDAT {len(TEXT) + 1} LAST\r\n{TEXT}")
        c.sock.shutdown(socket.SHUT_WR)
        assert c.codes() == [250, 250]
    wait_stat(server, "session.open", 0)
    assert stat(server, "queue.messages") == 0


def flood(server):
    """A client that asks and asks and reads nothing, until the server takes no more."""
    c = hello(server, timeout=5)
    c.sock.setblocking(False)
    sent = 0
    for _ in range(20000):
        try:
            sent += c.sock.send(b"HELP\r\n" * 1000)
        except BlockingIOError:
            break
    else:
        pytest.fail("the server reads without end")
    c.sock.setblocking(True)
    c.sock.settimeout(30)
    return c, sent


def test_unread_replies_are_all_there_when_read(server):
    c, sent = flood(server)
    whole, rest = divmod(sent, 6)
    tail = threading.Thread(target=c.send, args=(b"HELP\r\n"[rest:] * bool(rest) + b"NOOP\r\nQUIT\r\n",))
    tail.start()  # there is room for it only when replies are read
    got = c.codes()
    tail.join()
    assert got == [214] * (whole + bool(rest)) + [250, 221]


def test_a_client_that_never_reads_leaves_nothing_behind(server):
    for _ in range(3):
        c, _ = flood(server)
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()  # a reset
    wait_stat(server, "session.open", 0)
    server.send()
    server.wait_mail()


def test_connections_per_client_are_limited(make_server):
    s = make_server(extra="smtp processes 2\nsmtp max-sessions-per-client 3\n")
    held = [s.raw() for _ in range(3)]
    assert [c.reply()[0] for c in held] == [220] * 3
    with s.raw() as one_more:
        assert one_more.reply()[0] == 421
    held.pop().close()

    def free():
        with s.raw() as again:
            return again.reply()[0] == 220
    wait_for(free, "a free place")
    for c in held:
        c.close()


def test_two_reloads_and_a_look_at_the_sandbox(make_server):
    s = make_server()
    for n in (2, 3):
        after = len(s.log)
        s.process.send_signal(1)
        s.wait_log(f"event=reloaded generation={n}", after=after)
    assert s.ctl("show", "sandbox").returncode == 0


def test_another_address_on_the_same_port(make_server):
    s = make_server()
    port = s.port
    with open(s.conf, encoding="utf-8") as f:
        text = f.read()
    for host in ("0.0.0.0", "127.0.0.1"):
        with open(s.conf, "w", encoding="utf-8") as f:
            f.write(text.replace("listen on 127.0.0.1 port 0", f"listen on {host} port {port}"))
        after = len(s.log)
        s.process.send_signal(1)
        s.wait_log("event=reloaded", after=after)

        def greeted():
            try:
                with Raw(("127.0.0.1", port)) as c:
                    return c.reply()[0] == 220
            except OSError:
                return False
        wait_for(greeted, f"a greeting on {host}")
