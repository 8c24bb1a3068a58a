"""Consent as a person gives it: in Chromium, on the whole server, until the access is taken back."""

import base64
import hashlib
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.patience import at_most
from tests.serving import Server


class Callback(BaseHTTPRequestHandler):
    """The page a host shows when the browser comes back to it."""

    arrived: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.arrived.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>Back</title><link rel=icon href=data:,><p>Back at the host.</p>")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def callback(elsewhere: set[str]) -> Iterator[str]:
    """The address of a host's callback, served on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Callback) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{host.server_port}"
        elsewhere.add(origin)
        yield f"{origin}/callback"
        host.shutdown()


def register(server: Server, callback: str) -> str:
    body = {"client_name": "Notebook", "redirect_uris": [callback], "token_endpoint_auth_method": "none"}
    answer = httpx2.post(f"{server.url}/oauth/register", json=body, timeout=at_most(10))
    assert answer.status_code == 201, answer.text
    client_id: str = answer.json()["client_id"]
    return client_id


def ping(server: Server, token: str) -> int:
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    return httpx2.post(server.mcp_url, json=body, headers=headers, timeout=at_most(10)).status_code


def test_a_person_signs_in_adds_a_connection_mints_a_key_consents_and_revokes(
    server: Server, page: Page, callback: str
) -> None:
    client_id, verifier = register(server, callback), secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": callback,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": "from-the-host",
        "scope": "mcp:read mcp:trade",
        "resource": server.mcp_url,
    }

    # The host opens the window; the person is not signed in yet, and comes to the consent page all the same.
    page.goto(f"{server.url}/oauth/authorize?{urlencode(asked)}")
    page.get_by_label("E-mail").fill(server.quickstart["username"])
    page.get_by_label("Password").fill(server.quickstart["password"])
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Let Notebook use one of your connections?")).to_be_visible()
    expect(page.get_by_label("Read only")).to_be_checked()

    # Closing the window loses nothing: first a connection and a key, then the same request again.
    page.goto(f"{server.url}/connections/add/")
    page.get_by_label("Name").fill("Swing")
    page.get_by_label("Starting cash").fill("25000")
    page.get_by_role("button", name="Add connection").click()
    expect(page.get_by_role("heading", name="Swing is ready")).to_be_visible()
    page.goto(f"{server.url}/keys/new/")
    page.get_by_label("Name").fill("nightly-report")
    page.get_by_label("Swing").check()
    page.get_by_role("button", name="Create key").click()
    assert page.locator(".secret code").inner_text().startswith("tl_paper_")

    page.goto(f"{server.url}/oauth/authorize?{urlencode(asked)}")
    page.get_by_label("Swing").check()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("Back at the host.")).to_be_visible()
    query = parse_qs(urlsplit(Callback.arrived[-1]).query)
    assert (query["state"], query["iss"]) == (["from-the-host"], [server.url])

    answer = httpx2.post(
        f"{server.url}/oauth/token",
        data={
            "grant_type": "authorization_code",
            "code": query["code"][0],
            "redirect_uri": callback,
            "client_id": client_id,
            "code_verifier": verifier,
        },
        timeout=at_most(10),
    )
    token = answer.json()["access_token"]
    assert ping(server, token) == 200

    page.goto(f"{server.url}/apps/")
    row = page.get_by_role("row", name="Notebook")
    expect(row).to_contain_text("Swing")
    expect(row).to_contain_text("Read only")
    row.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke Notebook").click()
    expect(page.get_by_text("No longer connected")).to_be_visible()
    assert ping(server, token) == 401
