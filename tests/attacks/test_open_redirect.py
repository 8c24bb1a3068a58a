"""Nobody is sent from one of our pages to an address that a stranger chose (RFC 9700 section 4.11)."""

from urllib.parse import urlencode

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.connections.models import Connection
from tests.console.oauth.hosts import PASSWORD, Host

ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "https:evil.example",
    "https:///evil.example",
    "http://localhost:8000@evil.example/",
    "http://localhost.evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "/\t/evil.example/",
    "\x01https://evil.example",
    " https://evil.example",
    "https://evil.example\r\nX-Injected: 1",
]


@pytest.mark.parametrize("next_", ELSEWHERE)
def test_signing_in_leads_nowhere_else(next_: str, owner: User) -> None:
    fields = {"username": owner.email, "password": PASSWORD, "next": next_}
    answer = Browser().post("/sign-in/", fields)
    assert answer["Location"] == "/"
    signed_in = Browser()
    signed_in.force_login(owner)
    assert signed_in.get(f"/sign-in/?{urlencode({'next': next_})}")["Location"] == "/"


@pytest.mark.parametrize("next_", ELSEWHERE)
def test_signing_out_leads_nowhere_else(next_: str, browser: Browser) -> None:
    assert browser.post("/sign-out/", {"next": next_})["Location"] == "/sign-in/"


@pytest.mark.parametrize("next_", ELSEWHERE)
def test_adding_a_connection_leads_nowhere_else(next_: str, browser: Browser) -> None:
    page = browser.get(f"/connections/add/?{urlencode({'next': next_})}").content.decode()
    assert "evil.example" not in page and "javascript:" not in page and "data:" not in page


@pytest.mark.parametrize("uri", ELSEWHERE)
@pytest.mark.parametrize("broken", [{}, {"response_type": "x"}, {"resource": "https://x.example"}, {"scope": "\x00"}])
def test_no_answer_of_the_authorization_endpoint_goes_to_an_unregistered_address(
    uri: str, broken: dict[str, str], host: Host, paper: Connection
) -> None:
    answer = host.begin(redirect_uri=uri, **broken)
    assert answer.status_code == 400
    assert "Location" not in answer


@pytest.mark.parametrize("client_id", ["nobody", "", "https://evil.example/c"])
def test_nor_for_a_client_that_nobody_knows(client_id: str, host: Host) -> None:
    for answer in (host.begin(client_id=client_id), host.begin(client_id=client_id, response_type="x")):
        assert answer.status_code == 400
        assert "Location" not in answer


def test_a_registered_address_is_not_followed_before_somebody_signed_in(host: Host) -> None:
    stranger = Browser()
    for changes in ({}, {"response_type": "token"}, {"scope": "x"}, {"code_challenge": None}):
        assert stranger.get(host.url(**changes))["Location"].startswith("/sign-in/?next=/oauth/authorize")
