# SPDX-License-Identifier: ISC
"""A next hop for the tests: aiosmtpd on a port that the kernel gives."""
import asyncio
import threading

from aiosmtpd.smtp import SMTP


class Peer:
    """Runs an aiosmtpd handler in a thread of its own; .port says where."""

    def __init__(self, handler, host="127.0.0.1", port=0, **options):
        self.loop = asyncio.new_event_loop()
        self.handler = handler
        ready = threading.Event()

        def serve():
            asyncio.set_event_loop(self.loop)
            self.server = self.loop.run_until_complete(self.loop.create_server(
                lambda: SMTP(handler, hostname="peer.test", loop=self.loop, **options), host, port))
            self.port = self.server.sockets[0].getsockname()[1]
            ready.set()
            self.loop.run_forever()
        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()
        assert ready.wait(30)

    def stop(self):
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)


class Keep:
    """The plainest handler: keeps every envelope it is given."""

    def __init__(self):
        self.mail = []

    async def handle_DATA(self, _server, _session, envelope):
        self.mail.append(envelope)
        return "250 OK kept"
