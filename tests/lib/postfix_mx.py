# SPDX-License-Identifier: ISC
"""Debian's Postfix as the MX of others: a service on port 25 of each address, each with a certificate of its own or none."""
import glob
import os
import shutil

import mta
import peers
from fetched import Unavailable


class Service:
    """What is at one address: certificate is a tls.Certificate or None; settings are lines of main.cf for it alone."""

    def __init__(self, certificate=None, chain=False, **settings):
        self.certificate, self.chain, self.settings = certificate, chain, settings


class PostfixMx(peers.Postfix):
    """Takes mail for anybody and holds it."""
    MAIN = peers.Postfix.MAIN + """
myhostname = postfix.test
mydestination =
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
"""
    MASTER = peers.Postfix.MASTER + "tlsmgr unix - - n 1000 1 tlsmgr\n"

    def __init__(self, folder, services):
        """services: {address: Service}."""
        try:
            super().__init__(mta.Tools(), folder, processes=20)
        except peers.Unavailable as e:
            raise Unavailable(str(e)) from None
        self.services = services

    def start(self):
        try:
            return super().start()
        except peers.Unavailable as e:
            raise Unavailable(str(e)) from None

    def _lay_out(self):
        self.MASTER = self.MASTER + "".join(self._row(a, s) for a, s in self.services.items())
        super()._lay_out()

    def _row(self, address, service):
        settings = dict(service.settings)
        if service.certificate is not None:
            settings.update(smtpd_tls_security_level="may", smtpd_tls_chain_files=self._files(address, service))
        options = "".join(f" -o {{{{ {name} = {value} }}}}\n" for name, value in settings.items())
        return f"{address}:25 inet n - n - - smtpd\n{options}"

    def _files(self, address, service):
        """A key and its certificates in one file, in the order that Postfix wants."""
        path = os.path.join(self.dir, f"{address}.pem")
        c = service.certificate
        with open(path, "w", encoding="ascii") as out:
            for part in [c.key, c.crt] + [c.authority] * service.chain:
                with open(part, encoding="ascii") as f:
                    shutil.copyfileobj(f, out)
        os.chmod(path, 0o600)
        return path

    def held(self, recipient):
        """The text of each message for a recipient, its lines ended by LF."""
        found = []
        for path in glob.glob(os.path.join(self.dir, "spool", "hold", "*")):
            with open(path, "rb") as f:
                rows = list(records(f.read()))
            if (b"R", recipient.encode()) in rows:
                found.append(b"".join(data + b"\n" * (kind == b"N") for kind, data in rows if kind in (b"N", b"L")))
        return found


def records(octets):
    """(type, data) of a queue file: a letter, a length of seven bits an octet, and so many octets."""
    at = 0
    while at < len(octets):
        kind, at, size, shift = octets[at:at + 1], at + 1, 0, 0
        while True:
            size |= (octets[at] & 0x7f) << shift
            shift, at = shift + 7, at + 1
            if not octets[at - 1] & 0x80:
                break
        yield kind, octets[at:at + size]
        at += size
