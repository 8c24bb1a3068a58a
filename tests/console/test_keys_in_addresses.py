"""A whole key that is pasted into a filter or the search box does not stay in the address of a page."""

from urllib.parse import urljoin

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.connections.models import Connection
from console.keys import minting
from console.scopes import Scope
from tests.console.pages import words_of

PAGES = [
    "/orders/?symbol={}",
    "/journal/?symbol={}",
    "/timeline/?credential={}",
    "/timeline/?tool=get_quote&not_symbol={}",
    "/errors/?span={}",
    "/connections/add/okx/?name={}",
    "/search/?q={}",
    "/help/?q={}",
]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_goes_on_to_the_beginning_of_the_key(
    browser: Browser, owner: User, paper: Connection, page: str
) -> None:
    key, secret = minting.mint(owner, paper, frozenset({Scope.READ}), name="nightly")
    answer = browser.get(page.format(secret))
    assert answer.status_code == 302
    assert answer["Location"] == page.format(secret.rpartition("_")[0])
    assert key.public_id in answer["Location"]
    assert secret not in answer.content.decode()


def test_who_pasted_it_is_told_what_to_do(browser: Browser, read_key: str) -> None:
    page = browser.get(f"/orders/?symbol={read_key}", follow=True)
    assert "That was a whole key" in words_of(page)
    assert read_key not in page.content.decode()


def test_a_token_is_taken_out_whole(browser: Browser, db: None) -> None:
    token = "tla_" + "a1B2" * 10
    assert browser.get(f"/orders/?symbol=x{token}")["Location"] == "/orders/?symbol=x"


@pytest.mark.parametrize("path", ["//elsewhere.example/", "///elsewhere.example/", "/\\elsewhere.example/"])
def test_nobody_is_led_to_another_server(db: None, path: str) -> None:
    answer = Browser().get("/", {"q": "tla_" + "a1B2" * 10}, PATH_INFO=path)
    assert answer.status_code == 302
    where = urljoin("https://console.example/", answer["Location"].replace("\\", "/"))
    assert where.startswith("https://console.example/%") and where.endswith("elsewhere.example/?q=")


def test_the_beginning_of_a_key_and_other_words_stay(browser: Browser, read_key: str) -> None:
    beginning = read_key.rpartition("_")[0]
    assert browser.get(f"/timeline/?symbol={beginning}").status_code == 200
    assert browser.get("/orders/?symbol=BATL").status_code == 200


def test_the_list_beneath_the_search_box_still_warns(browser: Browser, read_key: str) -> None:
    page = browser.get("/search/", {"q": read_key, "part": "1"})
    assert "That is a whole key" in words_of(page)
    assert read_key not in page.content.decode()
