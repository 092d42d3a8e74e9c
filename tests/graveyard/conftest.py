# SPDX-License-Identifier: ISC
"""Servers for the graveyard's tests: each must be as well after a test as before it."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

from evil import assert_well, hard_server  # noqa: E402


@pytest.fixture(scope="module")
def module_server():
    s = hard_server()
    yield s
    s.cleanup()


@pytest.fixture
def hard(module_server):
    """The module's server, of the sanitizer build."""
    yield module_server
    assert_well(module_server)


@pytest.fixture
def make_hard():
    """Starts servers of the sanitizer build with statements of their own."""
    servers = []

    def make(*args, **more):
        servers.append(hard_server(*args, **more))
        return servers[-1]
    yield make
    try:
        for s in servers:
            assert_well(s, mail=False)
    finally:
        for s in servers:
            s.cleanup()
