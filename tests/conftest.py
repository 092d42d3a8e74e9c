# SPDX-License-Identifier: ISC
"""Fixtures of all pytest suites.  A test that needs root says so with @pytest.mark.root."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import postern  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "root: needs root (namespaces, accounts, mounts)")


def pytest_runtest_setup(item):
    if item.get_closest_marker("root") and not postern.ROOT:
        pytest.skip("needs root")


@pytest.fixture
def make_server():
    """Starts servers; ends them and removes what they left."""
    servers = []

    def make(*args, start=True, **more):
        s = postern.Server(*args, **more)
        servers.append(s)
        return s.start() if start else s
    yield make
    for s in servers:
        s.cleanup()


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture(scope="module")
def shared_server():
    """One server for the tests of a module that leave it as they found it."""
    s = postern.Server().start()
    yield s
    s.cleanup()
