"""The timeline as a person uses it: open an entry, see what is new without losing one's place, search by keyboard."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.orders.models import Order
from tests.browser.steps import reads_well
from tests.console.conftest import app
from tests.console.pages import log
from tests.console.steps import order

__all__ = ["app", "order"]


@pytest.fixture
def busy(app: ConnectedApp, order: Order) -> ConnectedApp:
    for number in range(60):
        log(app, tool="get_quote", arguments={"symbol": f"SYM{number}"})
    log(app, tool="place_order", outcome="refused", code="market_closed", arguments={"symbol": "BRK.B-" + "X" * 40})
    return app


def test_an_entry_opens_beneath_its_line_and_closes_again(page: Page, home: str, busy: ConnectedApp) -> None:
    page.goto(f"{home}/timeline/")
    page.get_by_role("link", name="place_order").click()
    drawer = page.locator(".drawer")
    expect(drawer).to_contain_text("market_closed")
    expect(drawer).to_contain_text("203.0.113.9")
    assert page.url == f"{home}/timeline/"
    page.get_by_role("link", name="place_order").click()
    expect(drawer).to_have_count(0)


def test_what_is_new_is_counted_and_nothing_moves_until_one_asks(page: Page, home: str, busy: ConnectedApp) -> None:
    page.goto(f"{home}/timeline/?tool=get_quote")
    page.evaluate("window.scrollTo(0, 400)")
    before = page.evaluate("[scrollY, document.querySelectorAll('.entries > li').length]")
    log(busy, tool="get_quote", arguments={"symbol": "NEWEST"})
    page.evaluate("document.body.dispatchEvent(new Event('look'))")
    pill = page.get_by_role("link", name="1 new")
    expect(pill).to_be_visible()
    assert page.evaluate("[scrollY, document.querySelectorAll('.entries > li').length]") == before
    page.get_by_role("button", name="Pause").click()
    log(busy, tool="get_quote", arguments={"symbol": "LATER"})
    page.evaluate("document.body.dispatchEvent(new Event('look'))")
    page.get_by_role("button", name="Resume").click()
    page.evaluate("document.body.dispatchEvent(new Event('look'))")
    page.get_by_role("link", name="2 new").click()
    expect(page.get_by_text("LATER")).to_be_visible()


def test_the_counts_open_in_place_and_lead_to_the_filter(page: Page, home: str, busy: ConnectedApp) -> None:
    page.goto(f"{home}/timeline/")
    page.get_by_text("Counts", exact=True).click()
    page.get_by_role("link", name="market_closed", exact=True).click()
    expect(page).to_have_url(f"{home}/timeline/?code=market_closed")
    expect(page.locator(".entries > li")).to_have_count(1)


def test_the_palette_finds_by_the_keyboard_alone(page: Page, home: str, busy: ConnectedApp, order: Order) -> None:
    page.goto(f"{home}/connections/")
    page.keyboard.press("Control+k")
    page.keyboard.type("AAPL")
    expect(page.locator("dialog.palette")).to_contain_text("Everything about AAPL")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{home}/timeline/?symbol=AAPL")
    page.wait_for_load_state()  # before that no script listens to the keyboard
    page.keyboard.press("/")
    page.keyboard.type(order.public_id)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{home}/orders/{order.public_id}/")


def test_it_works_without_scripts(page: Page, home: str, busy: ConnectedApp, chromium: Any) -> None:
    plain = chromium.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    try:
        bare = plain.new_page()
        bare.goto(f"{home}/timeline/")
        bare.get_by_label("Tool").fill("place_order")
        bare.get_by_role("button", name="Show").click()
        bare.get_by_role("link", name="place_order", exact=True).click()
        expect(bare.get_by_role("heading", name="place_order")).to_be_visible()
        bare.get_by_label("Search").fill("SYM")
        bare.get_by_label("Search").press("Enter")
        expect(bare.get_by_role("heading", name="Search")).to_be_visible()
        bare.goto(f"{home}/timeline/")
        with bare.expect_download() as download:
            bare.get_by_role("button", name="NDJSON").click()
        assert download.value.suggested_filename.endswith(".ndjson")
    finally:
        plain.close()


def test_its_pages_are_in_order_for_everybody(
    page: Page, home: str, busy: ConnectedApp, order: Order, paper: Connection
) -> None:
    for address in (
        "/timeline/",
        "/timeline/?tool=get_quote&not_symbol=SYM1",
        "/timeline/?code=insufficient_funds",
        "/timeline/counts/",
        f"/timeline/orders/{order.public_id}/",
        "/search/?q=AAPL",
    ):
        page.goto(home + address)
        reads_well(page, 1320, 768, 390, 360)
