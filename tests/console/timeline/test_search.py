"""The search box: an exact id leads to its page, a name to what is called so, and nothing to somebody else's."""

import pytest
from django.test import Client as Browser

from console import toolsets
from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys import management_keys, minting
from console.orders.models import Order
from console.scopes import Scope
from tests.console.pages import log, text_of, words_of
from tests.console.steps import order

__all__ = ["order"]


@pytest.fixture
def named(owner: User, paper: Connection, app: ConnectedApp, order: Order) -> dict[str, str]:
    """What can be typed, by the page it leads to."""
    Order.objects.filter(pk=order.pk).update(broker_order_id="B-77", wire_id="a" * 32)
    call = log(app)
    key, secret = minting.mint(owner, paper, frozenset({Scope.READ}), name="nightly-report")
    managing, _ = management_keys.mint(owner, name="terraform", expires_at=None)
    return {
        call.request_id: f"/activity/{call.request_id}/",
        "ord_1": "/orders/ord_1/",
        "mine-1": "/orders/ord_1/",
        "B-77": "/orders/ord_1/",
        "a" * 32: "/orders/ord_1/",
        "cnf_1": "/orders/approvals/cnf_1/",
        key.public_id: f"/keys/{key.public_id}/activity/",
        f"tl_paper_{key.public_id}": f"/keys/{key.public_id}/activity/",
        f"tl_paper_{key.public_id}_…{secret[-4:]}": f"/keys/{key.public_id}/activity/",
        managing.public_id: f"/keys/{managing.public_id}/activity/",
    }


def test_an_exact_id_leads_to_its_page(browser: Browser, named: dict[str, str]) -> None:
    for typed, page in named.items():
        assert browser.get("/search/", {"q": f" {typed} "}).get("Location") == page, typed
        part = text_of(browser.get("/search/", {"q": typed, "part": "1"}))
        assert f'href="{page}"' in part, typed


def test_nobody_elses_id_leads_anywhere(others_browser: Browser, named: dict[str, str]) -> None:
    for typed in [*named, "Claude", "Practice", "nightly", "terraform", "AAPL", "olivia"]:
        for part in ({}, {"part": "1"}):
            response = others_browser.get("/search/", {"q": typed, **part})
            assert response.status_code == 200, typed
            for page in set(named.values()):
                assert page not in text_of(response), typed
            assert "Buy 10 AAPL" not in text_of(response)
            assert "olivia@example.com" not in text_of(response)


@pytest.mark.parametrize(
    ("typed", "title", "href"),
    [
        ("claude", "Claude on Practice", "/apps/"),
        ("pract", "Practice paper", "/connections/"),
        ("AAPL", "Everything about AAPL", "/timeline/?symbol=AAPL"),
        ("aapl", "Buy 10 AAPL, limit 181.50 USD, day", "/orders/ord_1/"),
        ("quote", "get_quote", "/timeline/?tool=get_quote"),
        ("market closed", "market_closed", "/help/errors/market_closed/"),
        ("halt", "Halts", "/halts/"),
    ],
)
def test_a_name_finds_what_is_called_so(
    browser: Browser, named: dict[str, str], typed: str, title: str, href: str
) -> None:
    assert toolsets.provided()
    response = browser.get("/search/", {"q": typed})
    assert title in words_of(response)
    assert f'href="{href}' in text_of(response)


def test_only_an_operator_finds_people(browser: Browser, operators_browser: Browser, owner: User) -> None:
    page = text_of(operators_browser.get("/search/?q=olivia"))
    assert f"/timeline/?everyone=1&amp;person={owner.pk}" in page
    assert "person=" not in text_of(browser.get("/search/?q=olivia"))


def test_a_whole_key_is_not_repeated_and_leads_to_its_report(browser: Browser, owner: User, paper: Connection) -> None:
    _, secret = minting.mint(owner, paper, frozenset({Scope.READ}), name="nightly-report")
    response = browser.get("/search/", {"q": secret, "part": "1"})
    assert secret not in text_of(response)
    assert "report it as leaked" in words_of(response)


def test_nothing_and_nonsense_find_nothing(browser: Browser) -> None:
    assert browser.get("/search/").status_code == 200
    assert "Nothing of yours is called “<b>zz</b>”." in words_of(browser.get("/search/?q=<b>zz</b>")).replace(
        "&lt;", "<"
    ).replace("&gt;", ">")
    assert browser.get("/search/", {"q": "x" * 5_000}).status_code == 200


def test_every_page_has_the_box_as_a_plain_form(browser: Browser) -> None:
    page = text_of(browser.get("/connections/"))
    assert '<form class="search-box" action="/search/" role="search">' in page
