"""MCP hosts as they behave on the wire, and the steps of a sign-in that the tests share."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.conf import settings
from django.test import Client as Browser

PASSWORD = "correct horse battery"
BOTH = "mcp:read mcp:trade"
REFRESHING = ["authorization_code", "refresh_token"]

# Registration bodies as hosts send them: the first four were captured, the others are put together from public
# issue threads.
REGISTRATIONS: dict[str, dict[str, Any]] = {
    "codex": {
        "client_name": "Codex",
        "redirect_uris": ["http://127.0.0.1:46589/callback"],
        "grant_types": REFRESHING,
        "token_endpoint_auth_method": "none",
        "response_types": ["code"],
        "scope": BOTH,
        "application_type": "native",
    },
    "mcp-remote": {
        "redirect_uris": ["http://localhost:37917/oauth/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": REFRESHING,
        "response_types": ["code"],
        "client_name": "MCP CLI Client",
        "client_uri": "https://github.com/modelcontextprotocol/mcp-cli",
        "software_id": "2e6dc280-f3c3-4e01-99a7-8181dbd1d23d",
        "software_version": "0.15.1",
        "scope": f"{BOTH} offline_access",
        "application_type": "native",
    },
    "inspector": {
        "redirect_uris": ["http://127.0.0.1:6276/oauth/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": REFRESHING,
        "response_types": ["code"],
        "client_name": "MCP Inspector",
        "client_uri": "https://github.com/modelcontextprotocol/inspector",
        "scope": f"{BOTH} offline_access",
        "application_type": "native",
    },
    "fastmcp": {
        "response_types": ["code"],
        "scope": f"{BOTH} offline_access",
        "client_name": "FastMCP Client",
        "redirect_uris": ["http://localhost:49543/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": REFRESHING,
        "application_type": "native",
    },
    "cursor": {
        "client_name": "Cursor",
        "redirect_uris": [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ],
        "token_endpoint_auth_method": "none",
        "grant_types": REFRESHING,
        "response_types": ["code"],
    },
    "vscode": {
        "client_name": "Visual Studio Code",
        "redirect_uris": ["http://127.0.0.1:33418/", "http://127.0.0.1/", "https://vscode.dev/redirect"],
        "token_endpoint_auth_method": "none",
        "grant_types": [*REFRESHING, "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"],
        "application_type": "native",
    },
    "claude": {
        "client_name": "Claude",
        "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": REFRESHING,
        "response_types": ["code"],
        "scope": " offline_access",
    },
    "chatgpt": {
        "client_name": "ChatGPT",
        "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
        "token_endpoint_auth_method": "none",
        "grant_types": REFRESHING,
        "response_types": ["code"],
        "scope": "openid email offline_access profile",
    },
    "copilot-studio": {
        "client_name": "Microsoft Copilot Studio",
        "redirect_uris": ["https://global.consent.azure-apim.net/redirect/example-connector"],
        "grant_types": REFRESHING,
        "response_types": ["code"],
    },
}


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def location(response: Any) -> dict[str, str]:
    """The parameters of a redirect, each of which must be there once."""
    assert response.status_code in (302, 303), response.content.decode()
    values = parse_qs(urlsplit(response["Location"]).query, keep_blank_values=True)
    assert all(len(each) == 1 for each in values.values()), values
    return {name: each[0] for name, each in values.items()}


@dataclass
class Host:
    """A host that registered itself, and the browser of the person who connects it."""

    browser: Browser
    client_id: str
    redirect_uri: str
    secret: str = ""
    verifier: str = "v" * 64

    @classmethod
    def register(cls, browser: Browser, body: dict[str, Any], redirect_uri: str = "") -> "Host":
        answer = register(body)
        assert answer.status_code == 201, answer.content.decode()
        told = answer.json()
        return cls(
            browser=browser,
            client_id=told["client_id"],
            redirect_uri=redirect_uri or body["redirect_uris"][0],
            secret=told.get("client_secret", ""),
        )

    def url(self, **changes: str | None) -> str:
        """The authorization request; a parameter given as None is left out."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            "state": "st/at+e=1",
            "scope": BOTH,
            "resource": settings.MCP_URL,
            **changes,
        }
        kept = {name: value for name, value in parameters.items() if value is not None}
        return "/oauth/authorize?" + urlencode(kept)

    def begin(self, **changes: str | None) -> Any:
        """The answer to the authorization request itself: for a good one, a redirect to the consent page."""
        return self.browser.get(self.url(**changes))

    def page(self, **changes: str | None) -> str:
        """The address of the consent page."""
        answer = self.begin(**changes)
        assert answer.status_code == 302, answer.content.decode()
        assert answer["Location"].startswith("/oauth/consent/"), answer["Location"]
        return str(answer["Location"])

    def open(self, **changes: str | None) -> Any:
        """The consent page, or what the host or the person gets instead of it."""
        answer = self.begin(**changes)
        there = answer.get("Location", "")
        return self.browser.get(there) if there.startswith("/oauth/consent/") else answer

    def choose(self, page: str, choice: str, **fields: object) -> Any:
        """Press a button of the page as it is now; of an older one, when ``shown`` is what that had."""
        shown = {"shown": shown_on(self.browser.get(page))} if choice == "allow" else {}
        return self.browser.post(page, {"choice": choice, **shown, **fields})

    def allow(self, connection_id: object, granted: str = "mcp:read", /, **changes: str | None) -> Any:
        """Start over, choose and allow; the password on the way, when it is asked for."""
        answer = self.begin(**changes)
        page = str(answer.get("Location", ""))
        if not page.startswith("/oauth/consent/"):
            return answer
        chosen = {"connection": str(connection_id), "scope": granted}
        answer = self.choose(page, "allow", **chosen)
        if answer.status_code == 200 and b'name="proof-password"' in answer.content:
            answer = self.choose(page, "allow", **chosen, **{"proof-password": PASSWORD})
        return answer

    def code(self, connection_id: object, granted: str = "mcp:read", /, **changes: str | None) -> str:
        return location(self.allow(connection_id, granted, **changes))["code"]

    def redeem(self, code: str, /, **changes: str | None) -> Any:
        return self.token(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.redirect_uri,
                "code_verifier": self.verifier,
                "resource": settings.MCP_URL,
                **changes,
            }
        )

    def refresh(self, refresh_token: str, /, **changes: str | None) -> Any:
        return self.token({"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    def revoke(self, token: str, **changes: str | None) -> Any:
        return self.token({"token": token, **changes}, path="/oauth/revoke")

    def token(self, fields: dict[str, Any], path: str = "/oauth/token") -> Any:
        named = {"client_id": self.client_id, "client_secret": self.secret or None} | fields
        return post(path, {name: value for name, value in named.items() if value is not None})

    def connect(self, connection_id: object, scope: str = "mcp:read") -> dict[str, Any]:
        answer = self.redeem(self.code(connection_id, scope))
        assert answer.status_code == 200, answer.content.decode()
        told: dict[str, Any] = answer.json()
        return told


def shown_on(page: Any) -> str:
    """What the form of a consent page says that the page showed."""
    found = re.search(r'name="shown" value="([^"]*)"', page.content.decode())
    return found[1] if found else ""


def post(path: str, fields: dict[str, Any], **headers: Any) -> Any:
    return Browser().post(path, urlencode(fields), content_type="application/x-www-form-urlencoded", **headers)


def register(body: object, **headers: Any) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Browser().generic("POST", "/oauth/register", raw, content_type="application/json", **headers)


def allowed_apps() -> Any:
    """The apps that came through the consent page, oldest first."""
    from console.connected_apps.models import ConnectedApp  # late: this file may be read before Django is set up

    return ConnectedApp.objects.filter(source="oauth").order_by("pk")
