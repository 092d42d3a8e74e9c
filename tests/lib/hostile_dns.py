# SPDX-License-Identifier: ISC
"""A name server on loopback, over UDP and TCP, that answers each question as the test likes: wrongly, late, without end."""
import contextlib
import os
import random
import socket
import struct
import threading
import time

import dns.dnssec
import dns.message
import dns.name
import dns.rdata
import dns.rdataset
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.RRSIG

import nameserver

IN = dns.rdataclass.IN
RSASHA256 = dns.dnssec.Algorithm.RSASHA256


class Question:
    """.data: as it came; .name without the dot at the end, in lower case; .kind: a number; .peer: of UDP; .tcp"""

    def __init__(self, data, peer):
        self.data, self.peer, self.tcp = data, peer, peer is None
        self.name, self.kind = nameserver.dns_name(data), nameserver.dns_type(data)
        self.end = data.index(b"\0", 12) + 5

    def reply(self, records=(), rcode=0, truncated=False, ident=None, section=None, name=None):
        """records: (type, octets) of the name asked about, or (owner on the wire, type, octets)."""
        flags = 0x8580 | rcode | (0x0200 if truncated else 0)
        head = (self.data[:2] if ident is None else ident) + struct.pack(
            ">HHHHH", flags, 1, len(records), len(section or ()), 0)
        asked = self.data[12:self.end] if name is None else name + self.data[self.end - 4:self.end]
        return head + asked + b"".join(map(self.record, [*records, *(section or ())]))

    @staticmethod
    def record(row):
        owner, kind, data = row if len(row) == 3 else (b"\xc0\x0c", *row)
        return owner + struct.pack(">HHIH", kind, 1, 60, len(data)) + data


class Hostile:
    """
    answer(question) yields what to send, whole messages; over TCP a length goes before each, unless it
    is in a bytearray.  It may sleep between them: each question has a thread of its own.
    """

    def __init__(self, answer):
        self.answer, self.questions = answer, []
        while True:
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            with contextlib.suppress(OSError):
                self.tcp = socket.create_server(("127.0.0.1", self.port), backlog=128)
                break
            self.udp.close()
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def asked(self, suffix=""):
        return sum(q.name.endswith(suffix) for q in self.questions)

    def take(self, data, peer):
        question = Question(data, peer)
        self.questions.append(question)
        return self.answer(question) or ()

    def serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                data, peer = self.udp.recvfrom(4096)
                threading.Thread(target=self.answer_udp, args=(data, peer), daemon=True).start()

    def answer_udp(self, data, peer):
        with contextlib.suppress(OSError):
            for message in self.take(data, peer):
                self.udp.sendto(message, peer)

    def serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.tcp.accept()
                threading.Thread(target=self.answer_tcp, args=(sock,), daemon=True).start()

    def answer_tcp(self, sock):
        with contextlib.suppress(OSError, struct.error), sock, sock.makefile("rb") as stream:
            while True:
                size, = struct.unpack(">H", stream.read(2))
                for message in self.take(stream.read(size), None):
                    sock.sendall(message if isinstance(message, bytearray) else struct.pack(">H", len(message)) + message)

    def close(self):
        self.udp.close()
        self.tcp.close()


# -- zones that are costly to believe --


class Trap:
    """
    The zone of key, where every name has an address with many signatures, each of which may be
    by any of many keys (CVE-2023-50387), and no name is absent without much hashing (CVE-2023-50868).
    """
    KEYS = 60

    def __init__(self, key):
        self.key, self.origin = key, key.origin
        self.until = int(time.time()) + 86400
        first = self.rsa_key(None)
        self.tag = dns.dnssec.key_id(first)
        self.keys = [first] + [self.rsa_key(self.tag) for _ in range(self.KEYS - 1)]
        assert {dns.dnssec.key_id(k) for k in self.keys} == {self.tag}

    @staticmethod
    def rsa_key(tag):
        """A key of random numbers, as costly as can be, with that tag (RFC 4034 appendix B)."""
        number = bytearray(os.urandom(256))
        number[0] |= 0xc0
        number[-1] |= 1
        exponent = b"\0\1\0" + b"\xbf" + os.urandom(254) + b"\1"    # in three octets the length of it
        number[101:103] = b"\0\0"    # a word of the sum that the tag is
        key = dns.rdtypes.ANY.DNSKEY.DNSKEY(IN, dns.rdatatype.DNSKEY, 256, 3, RSASHA256, exponent + bytes(number))
        if tag is None:
            return key
        total = sum(struct.unpack(">260H", key.to_wire() + b"\0"))
        for guess in range(0x10000):
            if (total + guess + (total + guess >> 16)) & 0xffff == tag:
                number[101:103] = struct.pack(">H", guess)
                return key.replace(key=exponent + bytes(number))
        return Trap.rsa_key(tag)

    def signatures(self, name, covered):
        name = dns.name.from_text(name)
        for _ in range(self.KEYS):
            yield dns.rdtypes.ANY.RRSIG.RRSIG(
                IN, dns.rdatatype.RRSIG, covered, RSASHA256, len(name.labels) - 1, 60, self.until,
                self.until - 2 * 86400, self.tag, self.origin, b"\x3f" + os.urandom(255))

    def signed(self, name, *rdatas):
        """Rows of records that are rightly signed."""
        rdataset = dns.rdataset.from_rdata_list(60, rdatas)
        signature = self.key.sign(name, rdataset, self.until - 2 * 86400, self.until)
        return [(name.to_wire(), r.rdtype, r.to_wire()) for r in (*rdatas, signature)]

    def absence(self):
        """That something is not there: far from any proof, by hashes of many rounds."""
        rows = []
        for _ in range(8):
            at = random.randrange(32 ** 4)
            text = "".join("0123456789abcdefghijklmnopqrstuv"[at >> shift & 31] for shift in (0, 5, 10, 15))
            owner = dns.name.from_text(text + "0" * 28, self.origin)
            rows += self.signed(owner, dns.rdata.from_text(
                "IN", "NSEC3", f"1 0 150 {'ab' * 100} {text + '1' * 28} A RRSIG"))
        rows += self.signed(self.origin, dns.rdata.from_text("IN", "SOA", "a. b. 1 3600 600 86400 60"))
        return rows

    def answer(self, question):
        name = dns.name.from_text(question.name)
        if not name.is_subdomain(self.origin):
            yield question.reply(rcode=3)
        elif not question.tcp:
            yield question.reply(truncated=True)
        elif question.kind == dns.rdatatype.DNSKEY:
            yield question.reply(self.signed(self.origin, self.key.dnskey, *self.keys))
        elif question.kind == dns.rdatatype.A and not question.name.startswith("absent"):
            yield question.reply([(1, b"\xc0\0\2\1")] + [
                (46, s.to_wire()) for s in self.signatures(question.name, dns.rdatatype.A)])
        else:
            yield question.reply(rcode=3 if question.name.startswith("absent") else 0, section=self.absence())
