"""A passkey that no browser would make is not offered: the pages say what it needs, before a live account is linked."""

import pytest
from django.test import Client as Browser
from pytest_django import Settings

from console.accounts.models import User
from tests.conftest import PASSWORD
from tests.console.pages import words_of
from tests.console.second_factors import sign_in

pytestmark = pytest.mark.django_db
NAMELESS = "http://tl.lan:8731"
PAGES = ("/security/", "/connections/add/kraken/")


@pytest.fixture
def browser(owner: User) -> Browser:
    return sign_in(owner, PASSWORD)[0]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (NAMELESS, f"Passkeys need https or localhost, but this Tradelatch is at {NAMELESS}."),
        (
            "http://192.168.1.20:8731",
            "Passkeys need a host name, but this Tradelatch is at the IP address 192.168.1.20.",
        ),
        ("https://192.168.1.20", "Passkeys need a host name, but this Tradelatch is at the IP address 192.168.1.20."),
        ("http://127.0.0.1:8000", "Passkeys need a host name, but this Tradelatch is at the IP address 127.0.0.1."),
        ("https://[2001:db8::1]", "Passkeys need a host name, but this Tradelatch is at the IP address 2001:db8::1."),
    ],
)
@pytest.mark.parametrize("page", PAGES)
def test_where_none_works_the_page_says_what_it_needs(
    browser: Browser, settings: Settings, address: str, why: str, page: str
) -> None:
    settings.PUBLIC_URL = address
    words = words_of(browser.get(page))
    assert why in words
    assert "Set TRADELATCH_PUBLIC_URL to an https address with a host name" in words
    assert "Add a passkey" not in words


def test_the_page_that_adds_one_leads_back_with_the_reason(browser: Browser, settings: Settings) -> None:
    settings.PUBLIC_URL = NAMELESS
    for answer in (browser.get("/security/passkey/"), browser.post("/security/passkey/", {"name": "x"})):
        assert (answer.status_code, answer["Location"]) == (302, "/security/")
    assert "Passkeys need https or localhost" in words_of(browser.get("/security/"))


@pytest.mark.parametrize(
    "address", ["http://localhost:8000", "http://tradelatch.localhost:8000", "https://desk.example.com"]
)
def test_where_they_work_nothing_is_said(browser: Browser, settings: Settings, address: str) -> None:
    settings.PUBLIC_URL = address
    assert "Add a passkey" in words_of(browser.get("/security/"))
    for page in PAGES:
        assert "Passkeys need" not in words_of(browser.get(page))
