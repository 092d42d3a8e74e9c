# SPDX-License-Identifier: ISC
"""A small OAuth 2.0 authorization server: what RFC 6749, 7523, 7636 and 8628 say, and what goes wrong with such servers.

It issues what a submission server (submission.py) then believes: who() tells whose an access token is.
"""
import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

import tls
from postern import PATIENCE

tls.CERTIFICATES.setdefault("oauth", tls.Row(names="DNS:oauth.test, IP:127.0.0.1"))
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
USER = "ann@example.org"


class Refusal(Exception):
    """An error of RFC 6749 5.2."""

    def __init__(self, error, status=400, **more):
        super().__init__(error)
        self.status, self.body = status, dict(error=error, **more)


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def log_message(self, *_):
        pass

    def setup(self):
        self.request.settimeout(PATIENCE)
        try:
            self.request.do_handshake()     # in the thread of the connection: who does not speak delays nobody
        except OSError:
            self.server.oauth.handshakes_failed += 1
            raise
        super().setup()

    def handle(self):
        try:
            super().handle()
        except (OSError, ValueError):
            pass

    def answer(self, status, body, kind="application/json", headers=()):
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(octets)))
        self.send_header("Cache-Control", "no-store")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)
        self.close_connection = True

    def do_GET(self):
        oauth = self.server.oauth
        path, _, query = self.path.partition("?")
        if path != "/auth":
            self.answer(404, {})
            return
        try:
            self.answer(302, b"", headers=[("Location", oauth.consent(query))])
        except Refusal as e:
            self.answer(e.status, e.body)

    def do_POST(self):
        oauth = self.server.oauth
        octets = self.rfile.read(int(self.headers["Content-Length"]))
        form = dict(urllib.parse.parse_qsl(octets.decode(), keep_blank_values=True, strict_parsing=True))
        with oauth.lock:
            oauth.posts.append((self.path, form, self.headers))
            oauth.moments.append(time.monotonic())
        canned = oauth.next_canned(self.path)
        if canned is not None:
            if callable(canned):
                canned(self)
            else:
                self.answer(*canned)
            return
        try:
            act = {"/token": oauth.token, "/device": oauth.device}[self.path]
            if self.headers["Content-Type"] != "application/x-www-form-urlencoded":
                raise Refusal("invalid_request")
            self.answer(200, act(form))
        except KeyError:
            self.answer(404, {})
        except Refusal as e:
            self.answer(e.status, e.body)


class Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Who breaks off is no news."""


class OAuthServer:
    """Started by its constructor; .url("/token") is where; .posts are all forms it was sent."""

    CLIENT, SECRET = "postern-tests", "client & secret=1"
    SCOPE = "https://mail.test/ offline_access"

    def __init__(self, certificate="oauth", host="127.0.0.1", rotate=False, lifetime=3600, interval=1, device_s=900):
        self.rotate, self.lifetime, self.interval, self.device_s = rotate, lifetime, interval, device_s
        self.user = USER                # who consents
        self.refuse = None              # an error to send browsers, and devices, back with
        self.device_ready = False       # the user typed the code
        self.slow_downs = 0             # so many polls are told to slow down
        self.without_refresh = False    # no refresh token is given with consent
        self.keys = {}                  # client id: public key (PEM), for signed assertions
        self.lock = threading.RLock()
        self.posts, self.moments, self.canned, self.handshakes_failed = [], [], [], 0
        self.codes, self.devices, self.refreshes, self.access = {}, {}, {}, {}
        c = tls.certificate(certificate)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(c.crt, c.key)
        self.authority = c.authority
        self.http = Listener((host, 0), Handler)
        self.http.oauth = self
        self.http.socket = self.context.wrap_socket(self.http.socket, server_side=True,
                                                    do_handshake_on_connect=False)
        self.host, self.port = host, self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(PATIENCE)

    def url(self, path, host=None):
        return f"https://{host or self.host}:{self.port}{path}"

    # -- what a test decides --

    def can(self, path, *answers):
        """The next posts to a path are answered so: (status, body) or what is called with the handler."""
        with self.lock:
            self.canned += [(path, a) for a in answers]

    def heal(self):
        """From now on it answers as it should."""
        with self.lock:
            self.canned.clear()

    def next_canned(self, path):
        with self.lock:
            for i, (where, answer) in enumerate(self.canned):
                if where == path:
                    del self.canned[i]
                    return answer
        return None

    def revoke(self):
        """Consent is withdrawn: no token of before is good any more."""
        with self.lock:
            self.refreshes.clear()
            self.access.clear()

    def expire(self):
        """Every access token ends now."""
        with self.lock:
            self.access.clear()

    def who(self, token):
        """Whose access token it is, None when it is not good."""
        with self.lock:
            user, until = self.access.get(token, (None, 0))
        return user if until > time.monotonic() else None

    def secrets(self):
        """Every token and code that was ever given out, and the client's secret."""
        with self.lock:
            return [*self.codes, *self.refreshes, *self.access, *self.devices, self.SECRET]

    def count(self, path, **fields):
        with self.lock:
            return sum(p == path and all(f.get(k) == v for k, v in fields.items()) for p, f, _ in self.posts)

    # -- the browser --

    def consent(self, query):
        """The user's browser opens the URL of that query and is sent back: the URL that it is sent to."""
        asked = dict(urllib.parse.parse_qsl(query.partition("?")[2] or query, strict_parsing=True))
        redirect = urllib.parse.urlsplit(asked["redirect_uri"])
        if asked["client_id"] != self.CLIENT or asked["response_type"] != "code":
            raise Refusal("invalid_request")
        if redirect.scheme != "http" or redirect.hostname not in ("127.0.0.1", "localhost"):
            raise Refusal("invalid_request", error_description="redirect_uri")
        if asked.get("code_challenge_method") != "S256" or len(asked["code_challenge"]) != 43 or \
                len(asked["state"]) < 16:
            raise Refusal("invalid_request", error_description="PKCE and state are required")
        back = {"state": asked["state"]}
        if self.refuse:
            back.update(error=self.refuse, error_description="the user\x1b[2J said no")
        else:
            back["code"] = "4/" + secrets.token_urlsafe(24)
            with self.lock:
                self.codes[back["code"]] = asked
        return asked["redirect_uri"] + "?" + urllib.parse.urlencode(back)

    # -- /device --

    def device(self, form):
        if form.get("client_id") != self.CLIENT or "scope" not in form:
            raise Refusal("invalid_client", 401)
        code = secrets.token_urlsafe(24)
        with self.lock:
            self.devices[code] = {"until": time.monotonic() + self.device_s, "last": None, "interval": self.interval}
        return {"device_code": code, "user_code": "WDJB-MJHT", "verification_uri": self.url("/activate"),
                "expires_in": self.device_s, "interval": self.interval}

    def poll(self, form):
        with self.lock:
            d = self.devices.get(form.get("device_code"))
            if d is None:
                raise Refusal("invalid_grant")
            now = time.monotonic()
            if now > d["until"]:
                raise Refusal("expired_token")
            # Half a second is left to clocks and the way here.
            early = d["last"] is not None and now - d["last"] < d["interval"] - 0.5
            d["last"] = now
            if early or self.slow_downs > 0:
                self.slow_downs = max(0, self.slow_downs - 1)
                d["interval"] += 5
                d["early"] = d.get("early", 0) + early
                raise Refusal("slow_down")
            if self.refuse:
                raise Refusal(self.refuse)
            if not self.device_ready:
                raise Refusal("authorization_pending")
            del self.devices[form["device_code"]]
        return self.issue(True)

    # -- /token --

    def issue(self, with_refresh, user=None):
        token = "ya29." + secrets.token_urlsafe(32)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime, "scope": self.SCOPE}
        with self.lock:
            self.access[token] = user or self.user, time.monotonic() + self.lifetime
            if with_refresh and not self.without_refresh:
                answer["refresh_token"] = "1//" + secrets.token_urlsafe(32)
                self.refreshes[answer["refresh_token"]] = self.user
        return answer

    def token(self, form):
        grants = {"authorization_code": self.by_code, "refresh_token": self.by_refresh, DEVICE_GRANT: self.poll,
                  "client_credentials": self.by_client, JWT_GRANT: self.by_assertion}
        grant = grants.get(form.get("grant_type"))
        if grant is None:
            raise Refusal("unsupported_grant_type")
        if grant != self.by_assertion and form.get("client_id") != self.CLIENT:
            raise Refusal("invalid_client", 401)
        if "client_secret" in form and form["client_secret"] != self.SECRET:
            raise Refusal("invalid_client", 401)
        return grant(form)

    def by_code(self, form):
        with self.lock:
            asked = self.codes.pop(form.get("code"), None)
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri"):
            raise Refusal("invalid_grant")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            raise Refusal("invalid_grant", error_description="code_verifier")
        return self.issue(True)

    def by_refresh(self, form):
        with self.lock:
            user = self.refreshes.get(form.get("refresh_token"))
            if user is None:
                raise Refusal("invalid_grant", error_description="Token has been expired or revoked.")
            if self.rotate:
                del self.refreshes[form["refresh_token"]]
        return self.issue(self.rotate)

    def by_client(self, form):
        if "client_assertion" in form:
            if form.get("client_assertion_type") != CLIENT_ASSERTION:
                raise Refusal("invalid_client", 401)
            self.claims(form["client_assertion"])
        elif form.get("client_secret") != self.SECRET:
            raise Refusal("invalid_client", 401)
        return self.issue(False)

    def by_assertion(self, form):
        return self.issue(False, user=self.claims(form.get("assertion", "")).get("sub"))

    def claims(self, assertion):
        """What a signed assertion says (RFC 7519)."""
        try:
            head, claims, signature = assertion.split(".")
            header, said = json.loads(unpadded(head)), json.loads(unpadded(claims))
            key = serialization.load_pem_public_key(self.keys[said["iss"]])
            key.verify(unpadded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except (KeyError, ValueError, InvalidSignature):
            raise Refusal("invalid_grant", error_description="assertion") from None
        now = time.time()
        if header["alg"] != "RS256" or said["aud"] != self.url("/token") or not \
                now - 300 < said["iat"] <= now + 60 < said["exp"] + 60 <= said["iat"] + 3660:
            raise Refusal("invalid_grant", error_description="claims")
        return said
