"""An app confirms no sooner than its connection allows, and how long it waited is on record wherever one looks."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from brokers.types import OrderChanges
from console.accounts.models import User
from console.authority import bearer
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal, Retry
from console.orders import actions
from console.orders import prepare as preparing
from console.orders.models import Order
from console.principal import Principal, Redeemer
from mcpserver import result_tables
from tests.clock import Clock
from tests.console.api.rest import Rest
from tests.console.orders.conftest import bitcoin
from tests.console.pages import words_of
from tests.mcpserver.ways import Way, call, request, short  # noqa: F401  fixtures
from tests.mcpserver.wire import MODERN


@pytest.fixture
def live(paper: Connection) -> Connection:
    Connection.objects.filter(pk=paper.pk).update(
        environment="live", limits={"order_notional": "90000", "daily_notional": "90000"}
    )
    paper.refresh_from_db()
    return paper


def too_soon(act: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        act()
    assert caught.value.code is Code.CONFIRMED_TOO_SOON
    assert caught.value.retry is Retry.SAFE
    return caught.value


def test_with_real_money_an_app_waits_three_seconds_and_the_same_confirmation_then_works(
    live: Connection, trade_key: str, clock: Clock
) -> None:
    trader = bearer.authenticate(trade_key)
    prepared = preparing.prepare(trader, bitcoin())
    clock.advance(milliseconds=20)
    refusal = too_soon(lambda: actions.confirm(trader, prepared.confirmation.public_id))
    assert refusal.retry_after == 3
    assert "in 3 s the same confirmation works" in str(refusal)
    clock.advance(milliseconds=2979)
    assert too_soon(lambda: actions.confirm(trader, prepared.confirmation.public_id)).retry_after == 1
    assert Order.objects.get().status == "awaiting_confirmation"
    clock.advance(milliseconds=1)
    assert actions.confirm(trader, prepared.confirmation.public_id).status == "filled"


def test_on_paper_it_does_not_wait_until_its_owner_says_so(
    trader: Principal, paper: Connection, owner: User, clock: Clock
) -> None:
    assert actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id).status == "filled"
    connections.set_confirmation_delay(paper, 5, by=owner)
    prepared = preparing.prepare(trader, bitcoin())
    assert too_soon(lambda: actions.confirm(trader, prepared.confirmation.public_id)).retry_after == 5
    clock.advance(seconds=5)
    assert actions.confirm(trader, prepared.confirmation.public_id).status == "filled"


def test_a_change_waits_like_an_order_and_is_not_lost_by_being_too_soon(
    trader: Principal, paper: Connection, owner: User, clock: Clock
) -> None:
    order = actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="100")).confirmation.public_id)
    connections.set_confirmation_delay(paper, 5, by=owner)
    change = preparing.prepare_change(trader, order.public_id, OrderChanges(limit_price=Decimal(101)))
    too_soon(lambda: actions.confirm(trader, change.confirmation.public_id))
    clock.advance(seconds=6)
    assert actions.confirm(trader, change.confirmation.public_id).status == "working"
    order.refresh_from_db()
    assert order.limit_price == 101


def test_a_users_own_answer_does_not_wait(trader: Principal, paper: Connection, owner: User) -> None:
    connections.set_confirmation_delay(paper, 5, by=owner)
    user = replace(trader, redeemer=Redeemer.USER)
    prepared = preparing.prepare(user, bitcoin())
    assert actions.confirm(user, prepared.confirmation.public_id).status == "filled"


def test_somebody_who_may_not_confirm_is_not_told_to_wait(trader: Principal, paper: Connection, owner: User) -> None:
    connections.set_confirmation_delay(paper, 5, by=owner)
    prepared = preparing.prepare(replace(trader, redeemer=Redeemer.USER), bitcoin())
    with pytest.raises(Refusal) as caught:
        actions.confirm(trader, prepared.confirmation.public_id)
    assert caught.value.code is Code.USER_IS_ASKED


@pytest.mark.parametrize("what", ["order", "change"])
def test_an_app_that_may_not_trade_is_told_so_and_not_to_wait(
    trader: Principal, paper: Connection, owner: User, what: str
) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="100")).confirmation
    if what == "change":
        order = actions.confirm(trader, prepared.public_id)
        change = preparing.prepare_change(trader, order.public_id, OrderChanges(limit_price=Decimal(101)))
        prepared = change.confirmation
    connections.set_confirmation_delay(paper, 60, by=owner)
    connections.disable_trading(paper, by=owner)
    with pytest.raises(Refusal) as caught:
        actions.confirm(trader, prepared.public_id)
    assert caught.value.code is Code.TRADING_DISABLED
    assert caught.value.retry is not Retry.SAFE


def test_over_rest_the_refusal_says_when_to_come_back(paper: Connection, owner: User, trade_key: str) -> None:
    connections.set_confirmation_delay(paper, 60, by=owner)
    rest = Rest(Browser(), trade_key)
    order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}
    confirmation = rest.post("/orders", order, status=201)["confirmation"]["id"]
    answer = rest.send("POST", "/orders/confirm", {"confirmation_id": confirmation})
    assert (answer.status_code, answer.json()["code"]) == (409, "confirmed_too_soon")
    assert answer["Retry-After"] == "60"


def test_the_time_between_is_in_the_answer_the_order_the_audit_log_and_on_the_page(
    short: Way,  # noqa: F811  the fixture
    trade_key: str,
    owner: User,
    clock: Clock,
) -> None:
    def send(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        [reply] = short.send(request(trade_key, MODERN, "tools/call", call(tool, arguments)))
        content: dict[str, Any] = result_tables.spread(reply.body["result"]["structuredContent"])
        return content

    prepared = send("place_order", {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"})
    clock.advance(milliseconds=4200)
    done = send("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    assert done["confirmed_after_ms"] == 4200
    assert Rest(Browser(), trade_key).get(f"/orders/{done['order']['order_id']}")["confirmed_after_ms"] == 4200
    calls = send("get_activity_log", {})["calls"]
    assert [each.get("confirmed_after_ms") for each in calls if each["tool"] == "confirm_trade"] == [4200]
    [event] = Order.objects.get().events.filter(after="intent")
    assert event.what == "Confirmed 4.2 s after it was shown, and recorded; it will be sent once."
    assert event.data["confirmed_after_ms"] == 4200
    browser = Browser()
    browser.force_login(owner)
    assert "4.2 s after it was shown" in words_of(browser.get(f"/orders/{done['order']['order_id']}/"))


# -- the same order again ---------------------------------------------------------------------------------------


def test_the_summary_says_when_the_same_order_was_confirmed_moments_ago(trader: Principal, clock: Clock) -> None:
    again = "The same order was confirmed"
    first = preparing.prepare(trader, bitcoin())
    assert again not in first.confirmation.terms["summary"]
    assert again not in preparing.prepare(trader, bitcoin()).confirmation.terms["summary"], "nobody confirmed it yet"
    actions.confirm(trader, first.confirmation.public_id)
    clock.advance(seconds=12)
    assert f"{again} 12 seconds ago." in preparing.prepare(trader, bitcoin()).confirmation.terms["summary"]
    for other in (bitcoin("0.2"), bitcoin(limit="100")):
        assert again not in preparing.prepare(trader, other).confirmation.terms["summary"]
    clock.advance(minutes=5)
    assert again not in preparing.prepare(trader, bitcoin()).confirmation.terms["summary"]


def test_of_several_orders_it_is_said_of_the_one_that_repeats(trader: Principal, clock: Clock) -> None:
    actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id)
    clock.advance(seconds=2)
    items = [preparing.PlanItem(terms=bitcoin("0.2")), preparing.PlanItem(terms=bitcoin())]
    summary = preparing.prepare_plan(trader, items).confirmation.terms["summary"]
    assert summary.count("The same order was confirmed 2 seconds ago.") == 1
    assert "The same order" not in summary.partition("2. ")[0]


def test_another_connections_orders_are_not_the_same(
    trader: Principal, others_trader: Principal, paper: Connection
) -> None:
    actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id)
    assert "The same order" not in preparing.prepare(others_trader, bitcoin()).confirmation.terms["summary"]


# -- who sets it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", ["61", "-1", "", "1.5", "three", "\u0663"])
def test_a_time_that_is_none_is_refused_with_what_fits(owner: User, paper: Connection, seconds: str) -> None:
    browser = Browser()
    browser.force_login(owner)
    answer = browser.post(f"/connections/{paper.pk}/confirmation-delay/", {"seconds": seconds}, follow=True)
    assert "Write whole seconds from 0 to 60." in words_of(answer)
    paper.refresh_from_db()
    assert paper.confirmation_delay is None


def test_only_the_owner_sets_it(other: User, paper: Connection) -> None:
    stranger = Browser()
    stranger.force_login(other)
    assert stranger.post(f"/connections/{paper.pk}/confirmation-delay/", {"seconds": "9"}).status_code == 404
    paper.refresh_from_db()
    assert paper.confirmation_delay is None


def test_making_it_longer_takes_no_proof_and_making_it_shorter_does(owner: User, paper: Connection) -> None:
    assert connections.set_confirmation_delay(paper, 9, by=owner)
    with pytest.raises(Refusal) as caught:
        connections.set_confirmation_delay(paper, 8, by=owner)
    assert caught.value.code is Code.RE_AUTHENTICATION_REQUIRED
    assert paper.least_confirmation_seconds == 9
    assert connections.set_confirmation_delay(paper, 0, by=owner, may_shorten=True)
