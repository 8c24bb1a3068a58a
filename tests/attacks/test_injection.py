"""SQL, markup and header injection in every field that a stranger fills in: an answer, never a 500, and no effect."""

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.clients.models import Client
from console.connections.models import Connection
from tests.console.oauth.hosts import BOTH, Host, allowed_apps, location, post, register

HOSTILE = [
    "' OR '1'='1",
    "'; DROP TABLE clients_client; --",
    '" UNION SELECT * FROM accounts_user --',
    "1) OR 1=1",
    "%' ESCAPE '\\",
    "a\r\nX-Injected: yes",
    "a\nSet-Cookie: tradelatch_session=evil",
    "a\x00b",
    "<script>alert(1)</script>",
    "{{ settings.SECRET_KEY }}{% debug %}",
    "${jndi:ldap://evil.example}",
    "../../../etc/passwd",
    "%0d%0aX-Injected:%20yes",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "\U0001f600" * 50,
    "9" * 400,
    "-1",
    "NaN",
]
AUTHORIZE = [
    *("response_type", "client_id", "redirect_uri", "code_challenge", "code_challenge_method"),
    *("state", "scope", "resource", "prompt", "nonce", "request", "response_mode"),
]


def sound(answer: Any) -> None:
    assert answer.status_code < 500
    assert "X-Injected" not in answer
    assert "evil" not in str(answer.cookies)
    for name, value in answer.items():
        assert "\r" not in value and "\n" not in value, name
    if answer["Content-Type"].startswith("text/html") if answer.has_header("Content-Type") else False:
        assert "<script>alert" not in answer.content.decode()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_authorization_request(hostile: str, host: Host, paper: Connection) -> None:
    for field in AUTHORIZE:
        answer = host.begin(**{field: hostile})
        sound(answer)
        if answer.status_code == 302 and not answer["Location"].startswith("/oauth/consent/"):
            assert answer["Location"].startswith(host.redirect_uri + "?")
    sound(host.browser.get(f"/oauth/authorize?{quote(hostile)}={quote(hostile)}"))
    assert Client.objects.count() == 1


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_state_that_comes_back_stays_one_parameter(hostile: str, host: Host, paper: Connection) -> None:
    answer = host.allow(paper.pk, state=hostile)
    sound(answer)
    if "\x00" not in hostile:
        assert location(answer)["state"] == hostile
    assert location(host.allow(paper.pk)).keys() == {"code", "state", "iss"}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_consent_form_and_its_address(hostile: str, host: Host, paper: Connection) -> None:
    page = host.page()
    for fields in (
        {"choice": hostile},
        {"choice": "allow", "connection": hostile, "scope": BOTH},
        {"choice": "allow", "connection": str(paper.pk), "scope": hostile},
    ):
        sound(host.browser.post(page, fields))
    assert not allowed_apps().exists()
    sound(host.browser.get(f"/oauth/consent/{quote(hostile)}"))
    assert host.browser.get(page).status_code == 200


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_token_and_revocation_endpoints(hostile: str, host: Host, paper: Connection) -> None:
    tokens = host.connect(paper.pk)
    for field in ("grant_type", "code", "redirect_uri", "code_verifier", "resource", "client_id", "client_secret"):
        answer = host.redeem("x", **{field: hostile})
        sound(answer)
        assert answer.status_code in (400, 401)
    for field in ("refresh_token", "scope", "token_type_hint"):
        sound(host.token({"grant_type": "refresh_token", "refresh_token": "x", field: hostile}))
    for field in ("token", "token_type_hint", "client_id"):
        sound(host.token({"token": "x", field: hostile}, path="/oauth/revoke"))
    sound(post("/oauth/token", {hostile: hostile}))
    if hostile.isascii() and "\n" not in hostile and "\x00" not in hostile:
        for scheme in ("Basic", "Bearer", ""):
            sound(post("/oauth/token", {"grant_type": "x"}, headers={"authorization": f"{scheme} {hostile}"}))
    assert host.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_registration_and_its_management(hostile: str) -> None:
    good: dict[str, Any] = {"redirect_uris": ["https://x.example/"], "token_endpoint_auth_method": "none"}
    for field in ("client_name", "client_uri", "scope", "software_id", "token_endpoint_auth_method", "client_id"):
        sound(register(good | {field: hostile}))
    for field in ("redirect_uris", "grant_types", "response_types", "contacts"):
        sound(register(good | {field: [hostile]}))
    sound(register({hostile: hostile}))
    path = f"/oauth/register/{quote(hostile)}"
    for answer in (Browser().get(path), Browser().delete(path), Browser().put(path)):
        sound(answer)
        assert answer.status_code in (401, 404) or ("\0" in hostile and answer.status_code == 400)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_signing_in(hostile: str, owner: User) -> None:
    for fields in (
        {"username": hostile, "password": hostile},
        {"username": owner.email, "password": hostile},
        {"username": f"{owner.email}{hostile}", "password": "x"},
        {"username": owner.email, "password": "x", "next": hostile},
    ):
        answer = Browser().post("/sign-in/", fields)
        sound(answer)
        assert answer.status_code == 200
    sound(Browser().get("/sign-in/?" + urlencode({"next": hostile})))
    assert User.objects.count() == 1


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_client_registered_by_hand(hostile: str, browser: Browser, owner: User) -> None:
    good = {"name": "Mine", "redirect_uris": "https://x.example/", "scope": "read"}
    for field in good:
        sound(browser.post("/clients/new/", good | {field: hostile}))
    listed = browser.get("/clients/")
    sound(listed)
    assert listed.status_code == 200
