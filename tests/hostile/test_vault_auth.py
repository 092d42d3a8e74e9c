# SPDX-License-Identifier: ISC
"""AUTH in the vault, with the test as parent, session process and, where it matters, hasher."""
import hashlib
import os
import re
import signal
import subprocess
import time

import pytest

from ipc import OUTCOMES, Closed
from vaulted import DEADLINE, Scram, Vault, scram_keys

# All of the password "secret".
SHA512 = ("$6$rounds=1000$saltsalt$hflGV6Ibq9e9BaJcmm3VHNb3bOJvP5ZOEKtiqcpU6kjBGiYUPYwgBAYgkx9PSmdMEwKaLZUA3F"
          "j5P1lH9XOVq/")
SCRAM = scram_keys("secret")
TOKEN = "sha256:" + hashlib.sha256(b"t0ken").hexdigest()
PRINT = "SHA256:" + "ab" * 32
LISTEN = "listen on 127.0.0.1 port 2525 insecure-auth auth <users> tokens <tokens>\n"


def hashed(method, password="secret"):
    return subprocess.run(["mkpasswd", "-m", method, password], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


def conf(users, tokens=(), more=""):
    def table(name, rows):
        return "table %s { %s }\n" % (name, ", ".join('"%s" = "%s"' % row for row in rows))
    return table("users", users) + table("tokens", tokens or [("x", "x")]) + LISTEN + more


@pytest.fixture
def start():
    vaults = []

    def make(*args, **kwargs):
        vaults.append(Vault(*args, **kwargs))
        return vaults[-1]
    yield make
    for v in vaults:
        assert v.stop() == 0
