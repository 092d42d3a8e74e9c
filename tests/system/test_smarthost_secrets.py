# SPDX-License-Identifier: ISC
"""Where passwords and tokens for other servers are: in the vault, and nowhere else once they were shown.

Each search is proved on a process that holds what is looked for.
"""
import os

import pytest

import memory
import smarthost
import submission
from oauth_server import OAuthServer
from postern import wait_for
from smarthost import LABEL, account, arrived, consent, relay
from submission import USER, Submission

pytestmark = pytest.mark.root
# Not in this file as one piece, and not in what is compiled of it.
CANARY = "-".join(("canary", "password", "of", "a", "relay"))


@pytest.fixture
def servers():
    made = []
    yield made
    for s in made:
        s.stop()


def where(server, needles):
    """{process: what is in it} of those in which something is."""
    pids = {"parent": server.process.pid, **server.pids()}
    return {name: seen for name, pid in pids.items() if (seen := memory.found(pid, needles))}


def holders(server, needles):
    return {name.split("/")[0] for name in where(server, needles)}


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("refused", [False, True], ids=["taken", "refused"])
def test_a_password_is_in_the_vault_alone(make_server, servers, mechanism, refused):
    host = Submission(submission.PLAIN, mechanisms=(mechanism,))
    servers.append(host)
    host.passwords[USER] = "another" if refused else CANARY

    def make(text, **more):
        s = make_server(text, **more)
        with open(s.path("secrets"), "w", encoding="ascii") as f:
            f.write(f"{LABEL} {USER}:{CANARY}\n")
        os.chmod(s.path("secrets"), 0o600)
        return s
    server = smarthost.start(make, 'table secrets "{dir}/secrets"\n' +
                             relay(f"smtp+tls://{LABEL}@127.0.0.1:{host.port}", "auth <secrets>"))
    needles = memory.of_password(CANARY)
    assert memory.found_where_all_are(needles) == set(needles)
    assert holders(server, needles) == {"vault"}
    server.send(to="bob@example.net", sender=USER)
    if refused:
        wait_for(lambda: host.tried, "a login")
        server.wait_log("event=relay-login-refused")
    else:
        arrived(host)
        server.wait_log("event=delivered")
    wait_for(lambda: holders(server, needles) == {"vault"}, "nobody else to have it")


def test_tokens_are_in_the_vault_alone(make_server, servers):
    """Also while they are renewed as often as that can be."""
    oauth = OAuthServer(lifetime=2, rotate=True)
    host = Submission(submission.GMAIL, who=oauth.who)
    servers += [oauth, host]
    server = smarthost.start(make_server, account(oauth) + relay(f"smtp+tls://{LABEL}@127.0.0.1:{host.port}"))
    tokens = set()

    def renewals(n):
        tokens.update(t for t in oauth.secrets() if t != OAuthServer.SECRET)
        return oauth.count("/token", grant_type="refresh_token") >= n
    consent(server, oauth)
    server.send(to="bob@example.net", sender=USER)
    wait_for(lambda: renewals(2) and host.mail, "renewals, and mail")
    oauth.lifetime = 3600
    wait_for(lambda: renewals(3), "the last of them")
    renewals(0)
    needles = {t: t[-memory.PIECE:].encode() for t in tokens}       # what free() leaves of it
    assert len(needles) >= 6
    wait_for(lambda: holders(server, needles) == {"vault"}, "nobody else to have them")
    # Nor has the vault what is of no more use.
    assert len(where(server, needles)["vault/0"]) <= 2
    server.ctl("oauth", "logout", LABEL)
    assert where(server, needles) == {}
