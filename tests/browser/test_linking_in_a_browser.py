"""Each broker's fake is linked, checked, traded on through a confirmation, and unlinked, in Chromium."""

import json
import re
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import serving
from tests.brokers.ibkr.fake import QUESTION
from tests.browser import proving
from tests.browser.playground_steps import answer, begin, choose, sign_in
from tests.browser.steps import WCAG, add_passkey, reads_well
from tests.console.connections.fakes import ALL, IBKR, Linkable

PRICES = {
    "AAPL": ("2", "180"),
    "AAPL@265598": ("2", "180"),
    "BTC/USDT": ("0.01", "29500"),
    "BTC/USD": ("0.01", "29500"),
    "ES 12-26": ("1", "6600"),
    "BTC/USD:USD": ("0.01", "29500"),
}


@pytest.fixture(scope="module")
def fakes() -> Any:
    with ExitStack() as stack:
        yield {each.broker: stack.enter_context(each.make()) for each in ALL}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, fakes: dict[str, Any]) -> Any:
    overrides = {each.broker: each.hints(fakes[each.broker]) for each in ALL}
    home = tmp_path_factory.mktemp("linked") / "home"
    with serving.serve(home, app="tests.browser.linked_app:application", FAKE_BROKERS=json.dumps(overrides)) as started:
        yield started


def link(page: Page, server: serving.Server, linkable: Linkable, fake: Any, **other: str) -> None:
    page.goto(f"{server.url}/connections/add/")
    page.locator(f"a[href='{linkable.page}']").click()
    page.locator(f"input[name=environment][value={linkable.environment}]").check()
    for name, value in {**linkable.credentials(fake), **other}.items():
        page.locator(f"[name={name}]").fill(value)
    if linkable.environment == "live":
        page.get_by_label("Maximum value of one order").fill("5000")
        page.get_by_label("Maximum value of all orders in a day").fill("20,000")
    page.get_by_label("Name", exact=True).fill(f"My {linkable.broker}")
    page.get_by_label("Allow trading").check()
    if (field := page.get_by_label("Your password")).is_visible():
        field.fill(server.quickstart["password"])
    page.get_by_role("button", name=re.compile("Test the (key|address) and link")).click()


def make_trade_key(page: Page, server: serving.Server, linkable: Linkable) -> None:
    page.goto(f"{server.url}/keys/new/")
    page.get_by_label("Name").fill(f"{linkable.broker} trader")
    page.locator("label.choice", has_text=f"My {linkable.broker}").locator("input").check()
    page.locator("input[name=scope]").last.check()
    page.get_by_role("button", name="Create key").click()
    proving.somehow(page, server.quickstart["password"])
    expect(page.locator(".secret code")).to_be_visible()


@pytest.mark.parametrize("linkable", ALL, ids=lambda each: each.broker)
def test_from_linking_to_unlinking(
    page: Page,
    server: serving.Server,
    fakes: dict[str, Any],
    linkable: Linkable,
    authenticator: Any,
    refused: set[int],
) -> None:
    refused.add(403)  # what trades is refused to the playground's script: the form goes in its place
    server.query("DELETE FROM mfa_authenticator")  # those of the test before
    sign_in(page, server)
    if linkable.environment == "live":
        add_passkey(page, server.url, server.quickstart["password"])
    fake = fakes[linkable.broker]
    link(page, server, linkable, fake, **linkable.wrong)
    expect(page.get_by_text(linkable.told_wrong)).to_be_visible()
    link(page, server, linkable, fake)
    expect(page.get_by_role("heading", name=f"My {linkable.broker} is ready")).to_be_visible()
    page.get_by_role("link", name=f"Open My {linkable.broker}").click()
    address = page.url
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text("is working: it answers, and its balances can be read.")).to_be_visible()
    if linkable.environment == "live":
        page.get_by_role("button", name="Let the assistant confirm").click()
        proving.with_passkey(page)
        expect(page.get_by_text("Assistants confirm orders on")).to_be_visible()
        page.get_by_label("Least time before it confirms, in seconds").fill("0")
        page.get_by_role("button", name="Save the time").click()
        proving.with_passkey(page)
        expect(page.get_by_text(f"The least time on My {linkable.broker} is now 0 s.")).to_be_visible()

    make_trade_key(page, server, linkable)
    page.goto(f"{server.url}/playground/")
    begin(page, f"{linkable.broker} trader", password=server.quickstart["password"])
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
    sent = len(fake.sent)
    page.get_by_role("button", name="Fill in confirm_trade").click()
    page.get_by_role("button", name="Call").click()
    expect(answer(page)).to_contain_text('"status": "working"')
    assert len(fake.sent) == sent + 1

    page.goto(address)
    page.get_by_role("link", name="Unlink").click()
    expect(page.get_by_text("may still be open at the broker")).to_be_visible()
    page.get_by_role("button", name="Unlink").click()
    expect(page.get_by_text(re.compile(r"is unlinked\. Next, (delete its key|end its session) at the"))).to_be_visible()
    assert server.query("SELECT sealed FROM connections_connection WHERE name = ?", f"My {linkable.broker}") == [("",)]
    held = "".join(each.read_bytes().decode(errors="replace") for each in server.home.glob("tradelatch.sqlite3*"))
    for value in linkable.keys.values():
        line = value.splitlines()[1] if "\n" in value else value
        assert line not in server.log + held


def test_what_interactive_brokers_asks_is_answered_by_its_owner(
    page: Page, server: serving.Server, fakes: dict[str, Any], refused: set[int]
) -> None:
    refused.add(403)
    server.query("DELETE FROM mfa_authenticator")
    fake = fakes["ibkr"]
    sign_in(page, server)
    link(page, server, IBKR, fake)
    make_trade_key(page, server, IBKR)
    page.goto(f"{server.url}/playground/")
    begin(page, "ibkr trader", password=server.quickstart["password"])
    choose(page, "place_order")
    page.get_by_text("Arguments as JSON").click()
    order = {"symbol": IBKR.symbol, "side": "BUY", "order_type": "LMT", "quantity": "3", "limit_price": "180"}
    page.get_by_label("Sent as arguments").fill(json.dumps(order))
    page.get_by_role("button", name="Call").click()
    expect(answer(page)).to_contain_text("awaiting_confirmation")
    replies, standing = len(fake.replies), len(fake.live)
    fake.questions = [QUESTION]
    try:
        page.get_by_role("button", name="Fill in confirm_trade").click()
        page.get_by_role("button", name="Call").click()
        expect(answer(page)).to_contain_text('"status": "awaiting_answer"')
        expect(answer(page)).to_contain_text("Only the owner can answer, in the console")
        page.goto(f"{server.url}/orders/approvals/")
        expect(page.get_by_text("exceeds the Total Value Limit")).to_be_visible()
        page.get_by_role("link", name="Review and answer").click()
        reads_well(page, 1320, rules=WCAG)
        page.get_by_label("Password").fill(server.quickstart["password"])
        page.get_by_role("button", name="Confirm with password").click()
        expect(page.get_by_text("You answered yes. Order: working.")).to_be_visible()
    finally:
        fake.questions = []
    assert (len(fake.replies), len(fake.live)) == (replies + 1, standing + 1)


def test_the_linking_pages_read_well(page: Page, server: serving.Server) -> None:
    sign_in(page, server)
    slugs = ("okx", "coinbase", "ibkr-gateway", "ibkr-oauth", "tws", "crosstrade")
    for address in ("/connections/add/", *(f"/connections/add/{slug}/" for slug in slugs)):
        page.goto(f"{server.url}{address}")
        reads_well(page, 390, 1320, rules=WCAG)
