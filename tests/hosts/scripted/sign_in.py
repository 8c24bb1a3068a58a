"""An access token as a host gets one by signing in: registration, consent, code, token (OAuth 2.1 with PKCE)."""

import base64
import hashlib
import secrets
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from tests.person import Person
from tests.serving import Server

_REDIRECT = "http://127.0.0.1/callback"
_SCOPE = "mcp:read mcp:trade"


def access_token(server: Server, app: str) -> str:
    """One that may trade on the paper connection, for a client of this name."""
    registered = httpx2.post(
        f"{server.url}/oauth/register",
        json={"client_name": app, "redirect_uris": [_REDIRECT], "token_endpoint_auth_method": "none", "scope": _SCOPE},
    )
    assert registered.status_code == 201, registered.text
    client_id = registered.json()["client_id"]
    verifier = secrets.token_urlsafe(48)
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": _REDIRECT,
        "scope": _SCOPE,
        "state": "scripted",
        "resource": server.mcp_url,
        "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        address = f"{server.url}/oauth/authorize?{urlencode(asked)}"
        returned = person.consent(address, connection="Practice", scope=_SCOPE)
    redeemed = httpx2.post(
        f"{server.url}/oauth/token",
        data={
            "grant_type": "authorization_code",
            "code": parse_qs(urlsplit(returned).query)["code"][0],
            "client_id": client_id,
            "redirect_uri": _REDIRECT,
            "code_verifier": verifier,
            "resource": server.mcp_url,
        },
    )
    assert redeemed.status_code == 200, redeemed.text
    token: str = redeemed.json()["access_token"]
    return token
