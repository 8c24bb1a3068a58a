"""Each broker's fake is linked, checked, traded on through a confirmation, and unlinked, in Chromium."""

import json
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import serving
from tests.browser.test_console_in_a_browser import AXE
from tests.browser.test_playground_in_a_browser import answer, begin, choose, sign_in
from tests.console.connections.fakes import ALL, OKX, Linkable

PRICES = {
    "AAPL": ("2", "180"),
    "BTC/USDT": ("0.01", "29500"),
    "BTC/USD": ("0.01", "29500"),
    "BTC/USD:USD": ("0.01", "29500"),
}


@pytest.fixture(scope="module")
def fakes() -> Any:
    with ExitStack() as stack:
        yield {each.broker: stack.enter_context(each.make()) for each in ALL}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, fakes: dict[str, Any]) -> Any:
    overrides = {each.broker: dict.fromkeys(each.hints, fakes[each.broker].url) for each in ALL}
    home = tmp_path_factory.mktemp("linked") / "home"
    with serving.serve(home, app="tests.browser.linked_app:application", FAKE_BROKERS=json.dumps(overrides)) as started:
        yield started


def link(page: Page, server: serving.Server, linkable: Linkable, **other: str) -> None:
    page.goto(f"{server.url}/connections/add/")
    page.locator(f"a[href='/connections/add/{linkable.broker}/']").click()
    page.locator(f"input[name=environment][value={linkable.environment}]").check()
    for name, value in {**linkable.credentials, **other}.items():
        page.locator(f"[name={name}]").fill(value)
    if linkable.environment == "live":
        page.get_by_label("Value of one order, at most").fill("5000")
        page.get_by_label("Value of all orders in a day").fill("20,000")
    page.get_by_label("Name", exact=True).fill(f"My {linkable.broker}")
    page.get_by_label("Allow trading").check()
    page.get_by_role("button", name="Try the key and link").click()


def make_trade_key(page: Page, server: serving.Server, linkable: Linkable) -> None:
    page.goto(f"{server.url}/keys/new/")
    page.get_by_label("Name").fill(f"{linkable.broker} trader")
    page.locator("label.choice", has_text=f"My {linkable.broker}").locator("input").check()
    page.locator("input[name=scope]").last.check()
    page.get_by_role("button", name="Make key").click()
    expect(page.locator(".secret code")).to_be_visible()


@pytest.mark.parametrize("linkable", ALL, ids=lambda each: each.broker)
def test_from_linking_to_unlinking(
    page: Page, server: serving.Server, fakes: dict[str, Any], linkable: Linkable
) -> None:
    sign_in(page, server)
    link(page, server, linkable, **linkable.wrong)
    expect(page.get_by_text("does not take this key")).to_be_visible()
    link(page, server, linkable)
    expect(page.get_by_role("heading", name=f"My {linkable.broker} is ready")).to_be_visible()
    page.get_by_role("link", name=f"Open My {linkable.broker}").click()
    address = page.url
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text("answers, and its balances can be read.")).to_be_visible()
    if linkable.environment == "live":
        page.get_by_role("button", name="Let the assistant confirm").click()

    make_trade_key(page, server, linkable)
    page.goto(f"{server.url}/playground/")
    begin(page, f"{linkable.broker} trader")
    choose(page, "place_order")
    quantity, price = PRICES[linkable.symbol]
    page.get_by_text("Arguments as JSON").click()
    order = {
        "symbol": linkable.symbol,
        "side": "BUY",
        "order_type": "LMT",
        "quantity": quantity,
        "limit_price": price,
        "tif": "GTC",
    }
    page.get_by_label("Sent as arguments").fill(json.dumps(order))
    page.get_by_role("button", name="Call").click()
    expect(answer(page)).to_contain_text("awaiting_confirmation")
    sent = len(fakes[linkable.broker].sent)
    page.get_by_role("button", name="Fill in confirm_trade").click()
    page.get_by_role("button", name="Call").click()
    expect(answer(page)).to_contain_text('"status": "working"')
    assert len(fakes[linkable.broker].sent) == sent + 1

    page.goto(address)
    page.get_by_role("link", name="Unlink").click()
    expect(page.get_by_text("may still be open at the broker")).to_be_visible()
    page.get_by_role("button", name="Unlink").click()
    expect(page.get_by_text("Now delete its key at the broker.")).to_be_visible()
    assert server.query("SELECT sealed FROM connections_connection WHERE name = ?", f"My {linkable.broker}") == [("",)]
    held = "".join(each.read_bytes().decode(errors="replace") for each in server.home.glob("tradelatch.sqlite3*"))
    for value in linkable.credentials.values():
        line = value.splitlines()[1] if "\n" in value else value
        assert line not in server.log + held


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1320])
def test_the_linking_page_reads_well(page: Page, server: serving.Server, scheme: Any, width: int) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(page, server)
    for address in ("/connections/add/", f"/connections/add/{OKX.broker}/", "/connections/add/coinbase/"):
        page.goto(f"{server.url}{address}")
        beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beyond <= 0
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})")
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
