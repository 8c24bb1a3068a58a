"""One order from the request to its fills, on one page."""

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.orders import prepare as preparing
from console.orders.prepare import Prepared
from console.orders.states import Status
from console.principal import Principal
from tests.conftest import PASSWORD
from tests.console.orders.conftest import bitcoin, trader
from tests.console.pages import log, text_of, words_of

__all__ = ["trader"]


@pytest.fixture
def asks(paper: Connection, owner: User) -> Connection:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    return paper


def page_of(prepared: Prepared) -> str:
    return f"/timeline/orders/{prepared.order.public_id}/"


def released(browser: Browser, prepared: Prepared) -> None:
    browser.post(
        f"/orders/approvals/{prepared.confirmation.public_id}/release/",
        {"seen": prepared.confirmation.terms_digest, "proof-password": PASSWORD},
    )


def test_it_shows_checks_approval_the_brokers_answer_and_the_fills(
    browser: Browser, asks: Connection, trader: Principal
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    released(browser, prepared)
    prepared.order.refresh_from_db()
    words = words_of(browser.get(page_of(prepared)))
    for said in (
        "Before it was shown",
        "permission to trade, halts",
        "Passed",
        "Order released by olivia@example.com, with the password",
        "after it was shown",
        "Sent ",
        "0.1 of 0.1",
        f"{prepared.order.average_price}",
    ):
        assert said in words, said
    assert "Not run" not in words


def test_it_begins_with_the_call_that_asked_for_it(browser: Browser, asks: Connection, trader: Principal) -> None:
    app = ConnectedApp.objects.get(pk=trader.app_id)
    asked = log(app, tool="place_order", arguments={"symbol": "BTC/USD", "quantity": "0.1"})
    prepared = preparing.prepare(trader, bitcoin(), request_id=asked.request_id)
    page = text_of(browser.get(page_of(prepared)))
    assert f'href="/activity/{asked.request_id}/"' in page
    assert "&quot;quantity&quot;: &quot;0.1&quot;" in page


def test_what_was_refused_at_the_release_says_why_and_was_not_sent(
    browser: Browser, owner: User, asks: Connection, trader: Principal
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    Connection.objects.filter(pk=asks.pk).update(limits={"order_notional": "1"})
    released(browser, prepared)
    prepared.order.refresh_from_db()
    assert prepared.order.state is Status.DENIED
    words = words_of(browser.get(page_of(prepared)))
    assert f"{prepared.order.reason} Refused" in words
    assert "It was not sent" in words
    assert "No fills are on record" in words


def test_what_nobody_confirmed_ran_no_further_checks(browser: Browser, asks: Connection, trader: Principal) -> None:
    words = words_of(browser.get(page_of(preparing.prepare(trader, bitcoin()))))
    assert words.count("Not run") == 2
    assert "Nobody confirmed it" in words
    assert "No call is on record for it" in words


def test_it_is_its_owners_alone(
    browser: Browser, others_browser: Browser, operators_browser: Browser, asks: Connection, trader: Principal
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    assert browser.get(page_of(prepared)).status_code == 200
    assert others_browser.get(page_of(prepared)).status_code == 404
    assert operators_browser.get(page_of(prepared) + "?everyone=1").status_code == 404
    assert f'href="{page_of(prepared)}"' not in text_of(others_browser.get("/timeline/"))
