"""A small OpenID Connect provider on this computer, which can be told to lie."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, CLIENT_SECRET = "tradelatch", "a secret: with %signs"


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class OpenIdProvider:
    """``claims`` are those of the next ID token, over the true ones; a claim of None is left out."""

    def __init__(self) -> None:
        self.key, self.strangers_key = _key(), _key()
        self.claims: dict[str, Any] = {"email": "olivia@example.com", "email_verified": True}
        self.sign_with = self.key
        self.algorithm = "RS256"
        self.metadata: dict[str, Any] = {}
        self.token_status = 200
        self.codes: dict[str, dict[str, str]] = {}
        self.issuer = ""

    def authorize(self, url: str) -> str:
        """What a browser that signs in at ``url`` is sent back with: the address of the callback, as a path."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["client_id"] == CLIENT_ID
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        target = urlsplit(query["redirect_uri"])
        return f"{target.path}?code={code}&state={query['state']}"

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
        } | self.metadata

    def jwks(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [public | {"kid": "one", "use": "sig", "alg": "RS256"}]}

    def redeem(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(form.get("code", ""), None)
        expected = "tradelatch:a%20secret%3A%20with%20%25signs"
        basic = base64.b64decode(authorization.removeprefix("Basic ")).decode() == expected
        posted = (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or basic == posted
            or form["redirect_uri"] != asked["redirect_uri"]
            or challenge.rstrip(b"=").decode() != asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "1", "aud": CLIENT_ID, "iat": now, "exp": now + 300}
        claims |= {"nonce": asked["nonce"]} | self.claims
        told = {name: value for name, value in claims.items() if value is not None}
        key: Any = {"RS256": self.sign_with, "HS256": CLIENT_SECRET.ljust(32), "none": None}[self.algorithm]
        token = jwt.encode(told, key, algorithm=self.algorithm, headers={"kid": "one"})
        return self.token_status, {"access_token": "unused", "token_type": "Bearer", "id_token": token}


@contextmanager
def running() -> Iterator[OpenIdProvider]:
    provider = OpenIdProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages = {"/.well-known/openid-configuration": provider.document, "/jwks": provider.jwks}
            page = pages.get(self.path)
            self._answer(200, page()) if page else self._answer(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(*provider.redeem(form, self.headers.get("Authorization", "")))

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
