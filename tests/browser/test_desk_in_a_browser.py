"""Home, Portfolio and Orders in Chromium: they fill and change while they are open, and nothing is cut off."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from brokers.paper.adapter import PaperBroker
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.desk.models import PortfolioSnapshot
from console.orders.models import Order
from console.orders.states import Status
from console.scopes import Scope, Source
from tests.brokers.paper.support import order as paper_order
from tests.browser.steps import beyond, reads_well, resize
from tests.console.orders.steps import make
from tests.console.pages import log

LONGEST = "Wide World of Wonderful Winning Weekly Wheel Wagers Number W"
BIG = "-123456789012.12345678"
WIDTHS = (360, 390, 760, 1024, 1320, 1920)


@pytest.fixture
def app(owner: Any, paper: Connection) -> ConnectedApp:
    scopes = frozenset({Scope.READ, Scope.TRADE})
    app = grants.grant(owner, paper, scopes, source=Source.OAUTH, name=LONGEST)
    grants.activate(app)
    return app


@pytest.fixture
def crowded(owner: Any, paper: Connection, app: ConnectedApp) -> Connection:
    """The longest names and the largest numbers, everywhere."""
    now = timezone.now()
    position = {
        "symbol": "SPREAD-OF-A-VERY-LONG-NAME/USDT:USDT-261225",
        "asset_class": "crypto",
        "currency": "USDT",
        "quantity": BIG,
        "average_price": BIG,
        "last": "98765.12345678",
        "market_value": BIG,
        "unrealized": BIG,
    }
    account = {
        "account_id": "A" * 64,
        "currency": "USD",
        "equity": BIG,
        "buying_power": BIG,
        "cash": [{"currency": each, "total": BIG} for each in ("USD", "EUR", "USDT")],
        "positions": [position, {**position, "symbol": "AAPL"}],
    }
    PortfolioSnapshot.objects.create(connection=paper, accounts=[account], read_at=now - timedelta(days=3))
    Connection.objects.filter(pk=paper.pk).update(
        name=LONGEST, equity=Decimal(BIG), currency="USDT", day=now.date(), day_equity=Decimal("1.5"),
        day_change_percent=Decimal("-12345.67"), limits={"daily_loss": "200"}, policy="owner_approval", key_expires=now,
        last_error="Nobody is signed in to the gateway. " * 5, next_step="Sign in at the gateway. " * 5,
    )  # fmt: skip
    for status in (Status.AWAITING, Status.WORKING, Status.UNKNOWN, Status.FILLED):
        order = make(app, status, symbol="BTC/USDT:USDT-261225")
        Order.objects.filter(pk=order.pk).update(
            quantity="123456789.12345678", order_type="STP_LIMIT", stop_price="98765432.12345678",
            limit_price="98765432.12345678", filled_quantity="12345678.12345678", average_price="98765432.12345678",
        )  # fmt: skip
    log(app, outcome="failed", code="broker_unavailable")
    return paper


@pytest.mark.long
def test_nothing_is_cut_off_at_any_width_with_the_longest_words_and_numbers(
    page: Page, home: str, crowded: Connection
) -> None:
    pages = ("/", "/portfolio/", "/orders/", f"/connections/{crowded.pk}/", "/connections/")
    cut_off = {}
    for url in pages:
        page.goto(home + url)
        for width in WIDTHS:
            resize(page, width)
            assert beyond(page) <= 0, (url, width)
            if found := _cut_off(page):
                cut_off[url, width] = found
        reads_well(page, 390, 1320)
    assert cut_off == {}


def test_positions_appear_without_reloading(page: Page, home: str, paper: Connection) -> None:
    PaperBroker.open(paper.settings).submit(paper.default_account, paper_order("BUY", "2", "BTC/USD"))
    page.goto(f"{home}/")
    expect(page.get_by_role("cell", name="BTC/USD").first).to_be_visible()


def test_the_last_step_of_setting_up_turns_green_and_orders_change_while_looked_at(
    page: Page, home: str, app: ConnectedApp
) -> None:
    page.goto(f"{home}/")
    expect(page.get_by_text("Wait for its first call")).to_be_visible()
    reads_well(page, 390, 1320)
    log(app)
    expect(page.get_by_text("The first call arrived")).to_be_visible()
    order = make(app, Status.WORKING)
    page.goto(f"{home}/orders/")
    expect(page.locator(".order-columns").get_by_text("Working", exact=True)).to_be_visible()
    Order.objects.filter(pk=order.pk).update(status=Status.FILLED, filled_quantity=10)
    expect(page.locator(".order-columns").get_by_text("Filled", exact=True)).to_be_visible()


def _cut_off(page: Page) -> list[str]:
    """What a card hides: an element whose words end beyond the card around it, and that no scrolling reaches."""
    found: list[str] = page.evaluate(
        """() => {
           const scrolls = each => {
             const box = each.closest('.columns');
             return box && box.scrollWidth > box.clientWidth;
           };
           return [...document.querySelectorAll('.card')].flatMap(card => {
             const edge = card.getBoundingClientRect().right + 1;
             return [...card.querySelectorAll('td, th, a, span, button, dd, dt, p, li, meter, svg')]
               .filter(each => !each.closest('.sr-only, thead') && !scrolls(each) && each.getClientRects().length
                 && each.getBoundingClientRect().right > edge)
               .map(each => each.outerHTML.slice(0, 120));
           });
         }"""
    )
    return found
