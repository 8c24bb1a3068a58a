"""Approving in Chromium: a new request appears by itself, and real money takes its virtual authenticator's finger."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from brokers.types import OrderClass
from console.authority import bearer
from console.connections import broker_access
from console.connections.models import Connection
from console.halts import services as halts
from console.journal import notes, sync
from console.journal.models import RoundTrip
from console.orders import prepare as preparing
from console.orders import summary
from console.orders.execution import external_orders
from console.orders.models import OutsideOrder
from console.orders.prepare import Prepared
from console.orders.states import Status
from tests import watched_broker
from tests.brokers.paper.support import order as paper_order
from tests.browser.proving import with_passkey
from tests.browser.steps import add_passkey, beyond, reads_well, resize, sign_in
from tests.conftest import PASSWORD
from tests.console.orders import rule_steps
from tests.console.orders.conftest import bitcoin
from tests.console.orders.steps import at_the_broker
from tests.watched_broker import Watch

BRACKET = replace(bitcoin(), order_class=OrderClass.BRACKET, take_profit=Decimal(9_000_000), stop_loss=Decimal(500))
LIMITS = {"order_notional": "90000", "daily_notional": "90000"}


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return watched_broker.install(monkeypatch)


@pytest.fixture
def live(paper: Connection) -> Connection:
    """The paper broker under a connection that says it is real money: every rule of a live one holds there."""
    Connection.objects.filter(pk=paper.pk).update(environment="live", policy="owner_approval", limits=LIMITS)
    return paper


@pytest.fixture
def asks(paper: Connection) -> Connection:
    Connection.objects.filter(pk=paper.pk).update(policy="owner_approval", limits=LIMITS)
    return paper


def prepare(key: str, **terms: Any) -> Prepared:
    return preparing.prepare(bearer.authenticate(key), bitcoin(**terms))


def status(prepared: Prepared) -> Status:
    prepared.order.refresh_from_db()
    return prepared.order.state


def test_a_passkey_releases_a_live_order(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection, trade_key: str, watch: Watch
) -> None:
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    prepared = prepare(trade_key)
    page.goto(summary.approval_url(prepared.order))
    expect(page.get_by_role("heading", name="Buy 0.1 BTC/USD, market, day Live")).to_be_visible()
    expect(page).to_have_title("(1) Buy 0.1 BTC/USD, market, day (Live) · Tradelatch")
    assert watch.submitted == []
    page.get_by_role("button", name="Approve with passkey").click()
    expect(page.get_by_text("Approved. The order is filled.")).to_be_visible()
    expect(page.get_by_text("with passkey Laptop", exact=False)).to_be_visible()
    assert status(prepared) is Status.FILLED
    assert len(watch.submitted) == 1


def test_without_a_passkey_a_live_order_cannot_be_released(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection, trade_key: str, watch: Watch
) -> None:
    sign_in(page, console, owner.email)
    prepared = prepare(trade_key)
    page.goto(summary.approval_url(prepared.order))
    expect(page.get_by_text("you do not have one yet")).to_be_visible()
    expect(page.get_by_role("button", name="Release")).to_have_count(0)
    expect(page.get_by_role("link", name="Add a passkey")).to_be_visible()
    assert status(prepared) is Status.AWAITING
    assert watch.submitted == []


def test_an_authenticator_that_verifies_nobody_releases_nothing(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection, trade_key: str, watch: Watch
) -> None:
    session, number = authenticator
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    prepared = prepare(trade_key)
    session.send("WebAuthn.setUserVerified", {"authenticatorId": number, "isUserVerified": False})
    page.goto(summary.approval_url(prepared.order))
    page.get_by_role("button", name="Approve with passkey").click()
    expect(page.get_by_text("No passkey was chosen. Try again.")).to_be_visible()
    assert status(prepared) is Status.AWAITING
    assert watch.submitted == []


def test_an_authenticator_that_is_gone_releases_nothing(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection, trade_key: str, watch: Watch
) -> None:
    session, number = authenticator
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    prepared = prepare(trade_key)
    session.send("WebAuthn.clearCredentials", {"authenticatorId": number})
    page.goto(summary.approval_url(prepared.order))
    page.get_by_role("button", name="Approve with passkey").click()
    expect(page.get_by_text("No passkey was chosen. Try again.")).to_be_visible()
    assert status(prepared) is Status.AWAITING
    assert watch.submitted == []


def test_a_request_appears_in_an_open_page_and_is_rejected(
    page: Page, owner: Any, console: str, asks: Connection, trade_key: str
) -> None:
    sign_in(page, console, owner.email)
    page.goto(f"{console}/connections/")
    prepared = prepare(trade_key)
    expect(page.get_by_text("An order is waiting for your approval.")).to_be_visible()
    expect(page).to_have_title("(1) Connections · Tradelatch")
    expect(page.get_by_role("link", name="Approvals 1 waiting")).to_be_visible()
    page.get_by_role("link", name="Review").first.click()
    second = prepare(trade_key, quantity="0.2")
    expect(page.get_by_role("link", name="Buy 0.2 BTC/USD, market, day")).to_be_visible()
    page.get_by_role("link", name="Buy 0.1 BTC/USD, market, day").click()
    page.get_by_label("Reason").select_option("Not now.")
    page.get_by_label("In your own words").fill("Ask me tomorrow")
    page.get_by_role("button", name="Decline").click()
    expect(page.get_by_text("Declined. Nothing was sent")).to_be_visible()
    prepared.order.refresh_from_db()
    assert prepared.order.reason.endswith('"Not now. Ask me tomorrow"')
    assert status(second) is Status.AWAITING


def test_the_password_releases_a_paper_order_and_the_countdown_runs(
    page: Page, owner: Any, console: str, asks: Connection, trade_key: str
) -> None:
    sign_in(page, console, owner.email)
    prepared = prepare(trade_key)
    page.goto(summary.approval_url(prepared.order))
    expect(page.locator("[data-left]")).to_contain_text("1 min")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Approve with password").click()
    expect(page.get_by_text("Approved. The order is filled.")).to_be_visible()
    assert status(prepared) is Status.FILLED


def test_on_a_phone_the_decision_is_one_tap_away(
    page: Page, owner: Any, console: str, asks: Connection, trade_key: str
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, console, owner.email)
    page.goto(summary.approval_url(prepare(trade_key).order))
    decision = page.get_by_role("heading", name="Your decision")
    expect(decision).not_to_be_in_viewport()
    expect(page.get_by_role("link", name="Decide", exact=True)).not_to_be_visible()
    page.get_by_role("link", name="Approve with password").click()
    expect(decision).to_be_in_viewport()
    page.get_by_role("button", name="Decline").first.click()
    expect(page.get_by_text("Declined. Nothing was sent")).to_be_visible()


def test_on_a_phone_one_thumb_approves_what_the_first_screen_shows(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection, trade_key: str, watch: Watch
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    prepared = prepare(trade_key)
    page.goto(summary.approval_url(prepared.order))
    glance = page.locator(".glance")
    for said in ("Value", "Maximum cost", "Market now", "Position in BTC/USD", "Value of one order"):
        expect(glance.get_by_text(said, exact=True)).to_be_in_viewport()
    expect(page.locator("[data-left]")).to_be_in_viewport()
    approve = page.locator(".thumb-bar").get_by_role("button", name="Approve with passkey")
    expect(approve).to_be_in_viewport()
    approve.click()
    expect(page.get_by_text("Approved. The order is filled.")).to_be_visible()
    assert status(prepared) is Status.FILLED
    assert len(watch.submitted) == 1


def test_on_a_phone_a_passkey_that_fails_says_so_where_one_looks(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection, trade_key: str
) -> None:
    session, number = authenticator
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    prepared = prepare(trade_key)
    session.send("WebAuthn.clearCredentials", {"authenticatorId": number})
    page.goto(summary.approval_url(prepared.order))
    page.locator(".thumb-bar").get_by_role("button", name="Approve with passkey").click()
    expect(page.get_by_text("No passkey was chosen. Try again.")).to_be_in_viewport()
    assert status(prepared) is Status.AWAITING


def test_a_passkey_makes_a_standing_rule_which_releases_and_is_ended(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection, trade_key: str, watch: Watch
) -> None:
    Connection.objects.filter(pk=live.pk).update(confirmation_delay=0)
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    page.goto(f"{console}/connections/{live.pk}/")
    page.get_by_role("link", name="Create a rule").click()
    page.get_by_label("Name").fill("Small buys")
    page.get_by_label("Symbols").fill("BTC/USD")
    page.get_by_label("Buy", exact=True).check()
    page.get_by_label("Limit", exact=True).check()
    page.get_by_label("Value of one order").fill("1000")
    page.get_by_label("Value of a day").fill("2500")
    page.get_by_label("Orders in a day").fill("5")
    for day in ("Sat", "Sun"):
        page.get_by_label(day, exact=True).check()
    page.get_by_label("Last day").fill(rule_steps.last_day().isoformat())
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("Buy BTC/USD, limit orders of any app", exact=False)).to_be_visible()
    with_passkey(page)
    expect(page.get_by_text("The rule Small buys is in force.")).to_be_visible()
    trader = bearer.authenticate(trade_key)
    placed = rule_steps.place(trader)
    assert rule_steps.confirm(trader, placed)["rule"] == "Small buys"
    page.reload()
    page.get_by_role("link", name="Buy 1 BTC/USD, limit 1,000.00 USD, day").click()
    expect(page.get_by_text("Your rule Small buys")).to_be_visible()
    page.get_by_role("link", name="Small buys").click()
    page.get_by_role("button", name="End this rule").click()
    expect(page.get_by_text("The rule Small buys has ended.")).to_be_visible()
    assert rule_steps.place(trader)["status"] == "needs_approval"


@pytest.fixture
def desk_pages(live: Connection, owner: Any, trade_key: str) -> list[str]:
    """Every page of the desk, each with something on it."""
    for side in ("BUY", "SELL"):
        broker_access.broker_of(live).submit(live.default_account, paper_order(side, "1", "BTC/USD"))
    sync.sync_connection(live)
    trip = RoundTrip.objects.get()
    notes.add(live.pk, trip.public_id, "Sold too soon", ["haste"], by="Claude", app_id=1)
    at_the_broker(live)
    external_orders.store(live)
    prepared = prepare(trade_key)
    guarded = preparing.prepare(bearer.authenticate(trade_key), BRACKET)
    rule = rule_steps.make(live, owner, symbols=("BTC/USD", "AAPL", "MSFT"), day_value=Decimal("1234567.89"))
    rule_steps.confirm(bearer.authenticate(trade_key), rule_steps.place(bearer.authenticate(trade_key)))
    rules = "/orders/approvals/rules"
    halt = halts.halt_app(prepared.order.app, by=owner)
    connection = f"/connections/{live.pk}"
    account = f"{connection}/practice/{live.default_account}"
    return [
        *("/", "/orders/", "/orders/approvals/", f"/orders/{prepared.order.public_id}/"),
        f"/orders/{guarded.order.public_id}/",
        *(f"{rules}/", f"{rules}/{rule.public_id}/", f"{rules}/new/{live.pk}/"),
        *(f"/orders/elsewhere/{OutsideOrder.objects.get().pk}/", f"/orders/closing/{live.pk}/"),
        *("/connections/", f"{connection}/", f"{connection}/limits/", f"{connection}/performance/"),
        *(f"{connection}/practice/", f"{connection}/practice/new/", f"{account}/reset/", f"{account}/model/"),
        *("/journal/", f"/journal/{trip.public_id}/", "/halts/", f"/halts/{halt.pk}/lift/"),
    ]


CUT = """[...document.querySelectorAll('.facts dd')]
    .filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.textContent.trim())"""
"""Facts that are wider than their place."""


def test_the_pages_are_in_order_for_everybody(page: Page, owner: Any, console: str, desk_pages: list[str]) -> None:
    sign_in(page, console, owner.email)
    for url in desk_pages:
        page.goto(console + url)
        for width in (390, 1320):
            reads_well(page, width)
            assert page.evaluate(CUT) == [], (url, width)


def test_nothing_of_an_approval_is_cut_off_at_any_width(
    page: Page, owner: Any, console: str, live: Connection, trade_key: str
) -> None:
    """With the longest numbers that an account of this size has."""
    limits = {"order_notional": "9876543210.12", "daily_notional": "9876543210.12", "position_value": "9876543210.12"}
    Connection.objects.filter(pk=live.pk).update(limits=limits)
    sign_in(page, console, owner.email)
    prepared = prepare(trade_key, quantity="7.12345678", limit="6543.21")
    page.goto(summary.approval_url(prepared.order))
    for width in (360, 390, 760, 1024, 1320, 1920):
        resize(page, width)
        assert beyond(page) <= 0, width
        assert page.evaluate(OUT_OF_ITS_CARD) == [], width


OUT_OF_ITS_CARD = """[...document.querySelectorAll('.card')].flatMap(card => {
    const edge = card.getBoundingClientRect().right;
    return [...card.querySelectorAll('*')].filter(each => each.getClientRects().length
      && each.getBoundingClientRect().right > edge + 1 && each.textContent.trim()).map(each => each.textContent.trim());
  })"""
"""What reaches beyond the card that it stands in."""
