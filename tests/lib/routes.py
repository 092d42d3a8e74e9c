# SPDX-License-Identifier: ISC
"""smtpd-lookup alone, asked for routes as delivery asks."""
import collections

from ipc import ADDRESS_SPACE, Process

RIGHTS = 0x0001 | 0x0008 | 0x0100  # base, dns, read-fd: smtpd/roles.c
CONF = 'hostname "mx.test"\naction "out" relay\nmatch from local for any action "out"\n'

Answer = collections.namedtuple("Answer", "hosts tlsa outcome status text")
Host = collections.namedtuple("Host", "host address preference secure")
Record = collections.namedtuple("Record", "host base usage selector matching data")


class Router:
    """It asks the name server that conf names; ports: those that it may connect to."""

    def __init__(self, conf, port=53, files=()):
        self.process = Process("smtpd-lookup", "LOOKUP", RIGHTS, (CONF + conf).encode(), files, sorted({53, port}),
                               limits=(4096, ADDRESS_SPACE, 0, 0))
        self.delivery = self.process.link("DELIVERY")
        self.control = self.process.link("CONTROL")

    def configure(self, conf, generation=2):
        self.process.configure((CONF + conf).encode(), generation=generation)
        self.process.wait_log("event=reloaded")

    def route(self, name, mx=True, tlsa=True, port=25, backup=""):
        got = self.process.ask(self.delivery, "route", "route_end", name=name, mx=mx, tlsa=tlsa, port=port,
                               backup=backup)
        hosts = [Host(m.host, m.address, m.preference, m.secure) for m in got if m.type == "route_host"]
        tlsa = [Record(m.host, m.base, m.usage, m.selector, m.matching, m.data) for m in got if m.type == "route_tlsa"]
        told = [(m.host, m.type) for m in got[:-1]]
        for t in tlsa:
            assert told.index((t.host, "route_tlsa")) < told.index((t.host, "route_host"))
        return Answer(hosts, tlsa, got[-1].outcome, got[-1].status, got[-1].text)

    def stats(self):
        return {m.name: m.value for m in self.process.ask(self.control, "stats", "stats_end")[:-1]}

    def stop(self):
        assert self.process.stop() == 0
