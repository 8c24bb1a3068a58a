"""An app takes back and changes what it made itself: no other app's order, nor its owner's, nor what waits for them.

Where the owner releases orders, what guards a position stays until the owner lets it go.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from brokers.errors import BrokerUnavailable
from brokers.paper.adapter import PaperBroker
from brokers.types import OrderChanges, OrderClass, OrderType, Position, Side
from console.accounts.models import User
from console.audit.models import Change as Journal
from console.authority import bearer
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.halts import services as halts
from console.halts.services import Proof
from console.keys import minting
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders import queries as order_queries
from console.orders.execution import reconcile
from console.orders.models import Action, Confirmation, Modification, Order
from console.orders.owner import approvals, close_all
from console.orders.owner.approvals import Evidence
from console.orders.states import AmendmentStatus, Status
from console.orders.terms import Terms
from console.practice import services as practice
from console.principal import Principal
from console.scopes import Scope
from mcpserver import pipeline
from mcpserver.context import ToolAnswer
from tests.clock import Clock
from tests.conftest import PASSWORD
from tests.console.api.rest import Rest
from tests.console.orders.conftest import bitcoin
from tests.console.pages import words_of
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


def said(who: Principal, tool: str, given: dict[str, Any]) -> ToolAnswer:
    """What a tool answers at ``/mcp``."""
    return pipeline.attempt(who, tool, given, request_id="req_test").answer()


Cancel = Callable[[Order], str]
"""Cancel it by one endpoint: the code it is refused with, or empty."""


@pytest.fixture
def second_key(owner: User, paper: Connection) -> str:
    _, raw = minting.mint(owner, paper, frozenset({Scope.TRADE}), name="second app")
    return raw


@pytest.fixture
def second(second_key: str) -> Principal:
    return bearer.authenticate(second_key)


def by_mcp(who: Principal, tool: str = "cancel_order", **more: str) -> Cancel:
    def run(order: Order) -> str:
        answer = said(who, tool, {"order_id": order.public_id, **more})
        return str(answer.content["error"]["code"]) if answer.is_error else ""

    return run


def by_rest(key: str) -> Cancel:
    def run(order: Order) -> str:
        answer = Rest(Browser(), key).send("POST", f"/orders/{order.public_id}/cancel")
        return "" if answer.status_code == 200 else str(answer.json()["code"])

    return run


@pytest.fixture(params=["cancel_order", "modify_order", "POST /orders/{id}/cancel"])
def reach(request: pytest.FixtureRequest, trader: Principal, trade_key: str) -> Cancel:
    """What the first app may try with an order."""
    if request.param == "modify_order":
        return by_mcp(trader, "modify_order", limit_price="101")
    return by_mcp(trader) if request.param == "cancel_order" else by_rest(trade_key)


def resting(trader: Principal, price: str = "100", quantity: str = "1") -> Order:
    return order_actions.confirm(
        trader, preparing.prepare(trader, bitcoin(quantity, limit=price)).confirmation.public_id
    )


def evidence() -> Evidence:
    return Evidence(proof=Proof.PASSWORD, label="the password")


def release(confirmation: Confirmation, owner: User) -> list[Order]:
    return approvals.approve(confirmation, by=owner, evidence=evidence(), seen=confirmation.terms_digest)


def state(order: Order) -> Status:
    order.refresh_from_db()
    return order.state


# -- whose it is ---------------------------------------------------------------------------------------------


def test_another_apps_order_is_out_of_reach(reach: Cancel, second: Principal) -> None:
    order = resting(second)
    assert reach(order) == "another_apps_order"
    assert state(order) is Status.WORKING
    assert not Modification.objects.exists()


def test_the_owner_cancels_it_all_the_same(second: Principal, browser: Browser) -> None:
    order = resting(second)
    browser.post(f"/orders/{order.public_id}/cancel/")
    assert state(order) is Status.CANCELLED


def test_an_order_of_the_owner_is_out_of_reach_waiting_and_working(
    reach: Cancel, trader: Principal, paper: Connection, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id)
    halts.halt_connection(paper, by=owner)
    account = close_all.accounts(paper)[0]
    prepared, _ = close_all.flatten_as_owner(paper, by=owner, account_id=account)
    code = reach(prepared.order)
    assert code in ("owners_order", "halted") and state(prepared.order) is Status.AWAITING
    Order.objects.filter(pk=prepared.order.pk).update(status=Status.WORKING)
    assert reach(prepared.order) in ("owners_order", "halted")
    assert by_mcp(trader)(prepared.order) == "owners_order"


def test_the_owners_closing_cannot_be_kept_from_its_release(trader: Principal, paper: Connection, owner: User) -> None:
    """Hole E2: the owner closes everything while an app takes the closing back in a loop."""
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id)
    prepared, _ = close_all.flatten_as_owner(paper, by=owner, account_id=close_all.accounts(paper)[0])
    assert by_mcp(trader)(prepared.order) == "owners_order"
    answer = said(trader, "cancel_all_orders", {})
    assert answer.content["results"] == []
    assert [order.state for order in release(prepared.confirmation, owner)] == [Status.FILLED]


def test_cancel_all_takes_the_apps_own_orders_and_no_others(trader: Principal, second: Principal) -> None:
    mine, theirs = resting(trader), resting(second)
    answer = said(trader, "cancel_all_orders", {})
    assert [each["order_id"] for each in answer.content["results"]] == [mine.public_id]
    assert (state(mine), state(theirs)) == (Status.CANCELLED, Status.WORKING)


def test_an_app_closes_no_position_over_another_apps_order(trader: Principal, second: Principal) -> None:
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id)
    order = resting(second)
    with pytest.raises(Refusal) as caught:
        preparing.prepare_flatten(trader)
    assert caught.value.code is Code.ANOTHER_APPS_ORDER
    assert state(order) is Status.WORKING


def test_an_order_that_another_app_placed_since_keeps_its_position_from_being_closed(
    trader: Principal, second: Principal
) -> None:
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id)
    prepared, _ = preparing.prepare_flatten(trader)
    order = resting(second)
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, prepared.confirmation.public_id)
    assert caught.value.code is Code.ANOTHER_APPS_ORDER
    assert (state(order), state(prepared.order)) == (Status.WORKING, Status.DENIED)


def test_an_app_resets_no_account_in_which_others_have_orders(
    trader: Principal, second: Principal, paper: Connection
) -> None:
    order = resting(second)
    app = ConnectedApp.objects.get(pk=trader.app_id)
    with pytest.raises(Refusal) as caught:
        practice.reset_account(paper, order.account_id, by=app)
    assert caught.value.code is Code.ANOTHER_APPS_ORDER
    assert state(order) is Status.WORKING


def test_another_persons_order_is_not_there(reach: Cancel, others_trader: Principal, other: User) -> None:
    prepared = preparing.prepare(others_trader, bitcoin(limit="100"))
    release(prepared.confirmation, other)
    assert reach(prepared.order) in ("unknown_order", "not_found")


# -- what waits for the owner ----------------------------------------------------------------------------------


@pytest.fixture
def asks(paper: Connection, owner: User) -> Connection:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    return paper


def test_what_waits_for_the_owners_release_is_the_owners_to_end(
    asks: Connection, trader: Principal, trade_key: str, owner: User
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    for cancel in (by_mcp(trader), by_rest(trade_key)):
        assert cancel(prepared.order) == "waits_for_owner"
    given = {"confirmation_id": prepared.confirmation.public_id}
    answer = said(trader, "discard_confirmation", given)
    assert answer.content["error"]["code"] == "waits_for_owner"
    assert said(trader, "cancel_all_orders", {}).content["results"] == []
    assert [order.state for order in release(prepared.confirmation, owner)] == [Status.FILLED]


@pytest.mark.parametrize("endpoint", ["confirm_trade", "REST"])
def test_a_policy_that_was_loosened_since_leaves_it_to_the_owner(
    asks: Connection, trader: Principal, trade_key: str, owner: User, watch: Watch, endpoint: str
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    connections.set_policy(asks, Policy.TWO_STEP, by=owner, may_loosen=True)
    given = {"confirmation_id": prepared.confirmation.public_id}
    if endpoint == "REST":
        assert Rest(Browser(), trade_key).refused("POST", "/orders/confirm", given)["code"] == "approval_required"
    else:
        answer = said(trader, "confirm_trade", given)
        assert answer.content["error"]["code"] == "approval_required"
    assert order_queries.pending_confirmations(trader) == []
    assert watch.submitted == []
    assert list(approvals.for_owner(owner)) == [prepared.confirmation]
    assert [order.state for order in release(prepared.confirmation, owner)] == [Status.FILLED]


def test_a_change_that_waits_for_the_owner_does_too(asks: Connection, trader: Principal, owner: User) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="100"))
    release(prepared.confirmation, owner)
    change = preparing.prepare_change(trader, prepared.order.public_id, OrderChanges(limit_price=Decimal(101)))
    connections.set_policy(asks, Policy.TWO_STEP, by=owner, may_loosen=True)
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, change.confirmation.public_id)
    assert caught.value.code is Code.APPROVAL_REQUIRED


# -- what guards a position ------------------------------------------------------------------------------------

ENTRY = Terms(symbol="BTC/USD", side=Side.BUY, quantity=Decimal("0.1"))
GUARDED: dict[str, dict[str, Any]] = {
    "bracket": {"order_class": OrderClass.BRACKET, "take_profit": Decimal(9_000_000), "stop_loss": Decimal(500)},
    "oto": {"order_class": OrderClass.OTO, "stop_loss": Decimal(500)},
}


def bought(trader: Principal, owner: User, **exits: Any) -> Order:
    terms = Terms(symbol="BTC/USD", side=Side.BUY, quantity=Decimal("0.1"), **exits)
    [order] = release(preparing.prepare(trader, terms).confirmation, owner)
    assert order.state is Status.FILLED
    return order


def stop(trader: Principal, owner: User, **terms: Any) -> Order:
    given: dict[str, Any] = {"order_type": OrderType.STOP, "stop_price": Decimal(500)} | terms
    sale = Terms(symbol="BTC/USD", side=Side.SELL, quantity=Decimal("0.1"), **given)
    [order] = release(preparing.prepare(trader, sale).confirmation, owner)
    return order


@pytest.fixture(params=["bracket", "oto", "a stop of its own", "a target of its own", "oco"])
def guard(request: pytest.FixtureRequest, asks: Connection, trader: Principal, owner: User) -> Order:
    if request.param in GUARDED:
        legs = bought(trader, owner, **GUARDED[request.param]).legs.order_by("pk")
        return next(leg for leg in legs if leg.order_type == OrderType.STOP)
    bought(trader, owner)
    if request.param == "oco":
        exits: dict[str, Any] = {"take_profit": Decimal(9_000_000), "stop_loss": Decimal(500)}
        return stop(trader, owner, order_type=OrderType.MARKET, stop_price=None, order_class=OrderClass.OCO, **exits)
    if request.param == "a target of its own":
        return stop(trader, owner, order_type=OrderType.LIMIT, stop_price=None, limit_price=Decimal(9_000_000))
    return stop(trader, owner)


def held(order: Order) -> Modification:
    return Modification.objects.get(order=order, cancels=True)


@pytest.mark.parametrize("endpoint", ["cancel_order", "REST"])
def test_its_cancel_waits_for_the_owner_and_the_owner_lets_it_go(
    guard: Order, trader: Principal, trade_key: str, owner: User, endpoint: str, watch: Watch
) -> None:
    cancel = by_rest(trade_key) if endpoint == "REST" else by_mcp(trader)
    assert [cancel(guard), cancel(guard)] == ["approval_required"] * 2
    assert state(guard) is Status.WORKING
    assert watch.cancelled == []
    waits = held(guard).confirmation
    assert (waits.action, list(approvals.for_owner(owner))) == (Action.CANCEL, [waits])
    [order] = release(waits, owner)
    assert (state(order), held(guard).state) == (Status.CANCELLED, AmendmentStatus.DONE)
    assert Journal.objects.filter(action=approvals.RELEASED, target_label__startswith="Cancel: ").count() == 1


def test_no_app_redeems_drops_or_lists_that_cancel(guard: Order, trader: Principal, trade_key: str) -> None:
    by_mcp(trader)(guard)
    given = {"confirmation_id": held(guard).confirmation.public_id}
    for tool, code in (("confirm_trade", "approval_required"), ("discard_confirmation", "waits_for_owner")):
        answer = said(trader, tool, given)
        assert answer.content["error"]["code"] == code
    assert Rest(Browser(), trade_key).refused("POST", "/orders/confirm", given)["code"] == "approval_required"
    assert order_queries.pending_confirmations(trader) == []
    assert state(guard) is Status.WORKING


def test_cancel_all_leaves_what_guards_and_takes_the_entries(guard: Order, trader: Principal, owner: User) -> None:
    [entry] = release(preparing.prepare(trader, bitcoin("0.01", limit="100")).confirmation, owner)
    answer = said(trader, "cancel_all_orders", {})
    told = {each["order_id"]: each.get("code", "") for each in answer.content["results"]}
    assert told[guard.public_id] == "approval_required"
    assert told[entry.public_id] == ""
    assert (state(guard), state(entry)) == (Status.WORKING, Status.CANCELLED)
    assert not Modification.objects.filter(cancels=True).exists()


def test_a_change_of_it_waits_for_the_owner_like_an_order(asks: Connection, trader: Principal, owner: User) -> None:
    bought(trader, owner)
    order = stop(trader, owner)
    change = preparing.prepare_change(trader, order.public_id, OrderChanges(stop_price=Decimal(400)))
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, change.confirmation.public_id)
    assert caught.value.code is Code.APPROVAL_REQUIRED
    order.refresh_from_db()
    assert order.stop_price == 500


def test_an_entry_is_the_apps_to_cancel_with_exits_or_without(
    asks: Connection, trader: Principal, trade_key: str, owner: User
) -> None:
    [entry] = release(preparing.prepare(trader, bitcoin("0.01", limit="100")).confirmation, owner)
    assert by_rest(trade_key)(entry) == ""
    exits: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_price": Decimal(1_000), **GUARDED["bracket"]}
    terms = Terms(symbol="BTC/USD", side=Side.BUY, quantity=Decimal("0.1"), **exits)
    [bracket] = release(preparing.prepare(trader, terms).confirmation, owner)
    assert by_mcp(trader)(bracket) == ""
    assert state(bracket) is Status.CANCELLED


def test_an_entry_that_has_filled_in_part_guards_what_it_filled(
    asks: Connection, trader: Principal, owner: User
) -> None:
    exits: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_price": Decimal(1_000), **GUARDED["bracket"]}
    terms = Terms(symbol="BTC/USD", side=Side.BUY, quantity=Decimal("0.1"), **exits)
    [bracket] = release(preparing.prepare(trader, terms).confirmation, owner)
    Order.objects.filter(pk=bracket.pk).update(filled_quantity=Decimal("0.04"), status=Status.PARTIALLY_FILLED)
    assert by_mcp(trader)(bracket) == "approval_required"
    assert state(bracket) is Status.PARTIALLY_FILLED


def test_where_the_positions_are_not_known_it_waits_for_the_owner(
    asks: Connection, trader: Principal, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    [entry] = release(preparing.prepare(trader, bitcoin("0.01", limit="100")).confirmation, owner)

    def down(self: PaperBroker, account_id: str) -> Any:
        raise BrokerUnavailable("The broker does not answer.")

    monkeypatch.setattr(PaperBroker, "positions", down)
    assert by_mcp(trader)(entry) == "approval_required"


def test_a_coin_is_guarded_by_a_stop_in_any_of_its_pairs(
    asks: Connection, trader: Principal, trade_key: str, owner: User, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    """Exchanges tell what is held of a coin by one pair, and the stop may stand in another."""
    bought(trader, owner)
    order = stop(trader, owner)
    told = PaperBroker.positions

    def by_another_pair(self: PaperBroker, account_id: str) -> list[Position]:
        return [replace(each, symbol="BTC/EUR") for each in told(self, account_id)]

    monkeypatch.setattr(PaperBroker, "positions", by_another_pair)
    assert [cancel(order) for cancel in (by_mcp(trader), by_rest(trade_key))] == ["approval_required"] * 2
    results = said(trader, "cancel_all_orders", {}).content["results"]
    assert [each["code"] for each in results] == ["approval_required"]
    assert watch.cancelled == []


def test_a_stop_that_its_broker_did_not_find_is_still_the_owners_to_let_go(
    asks: Connection, trader: Principal, trade_key: str, owner: User, watch: Watch
) -> None:
    """A lookup can be overtaken, and the cancel of such an order is sent all the same."""
    bought(trader, owner)
    order = stop(trader, owner)
    Order.objects.filter(pk=order.pk).update(status=Status.NOT_FOUND)
    assert [cancel(order) for cancel in (by_mcp(trader), by_rest(trade_key))] == ["approval_required"] * 2
    assert watch.cancelled == []
    [ended] = release(held(order).confirmation, owner)
    assert len(watch.cancelled) == 1
    assert ended.state is Status.CANCELLED


def test_where_the_assistant_confirms_it_is_the_apps_to_cancel(trader: Principal, owner: User) -> None:
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id)
    sale = Terms(
        symbol="BTC/USD", side=Side.SELL, quantity=Decimal("0.1"), order_type=OrderType.STOP, stop_price=Decimal(500)
    )
    order = order_actions.confirm(trader, preparing.prepare(trader, sale).confirmation.public_id)
    assert by_mcp(trader)(order) == ""
    assert state(order) is Status.CANCELLED


# -- the owner's page ------------------------------------------------------------------------------------------


@pytest.fixture
def asked(asks: Connection, trader: Principal, owner: User) -> Order:
    """A stop whose cancel an app has asked for."""
    bought(trader, owner)
    order = stop(trader, owner)
    by_mcp(trader)(order)
    return order


def page(order: Order, verb: str = "") -> str:
    return f"/orders/approvals/{held(order).confirmation.public_id}/" + (f"{verb}/" if verb else "")


def test_the_page_says_what_is_lost_and_the_password_lets_it_go(asked: Order, browser: Browser) -> None:
    words = words_of(browser.get(page(asked)))
    assert "asks to cancel this order" in words
    assert "If you cancel it, the position is unprotected." in words
    assert "A cancel of this order is waiting for your approval." in words_of(
        browser.get(f"/orders/{asked.public_id}/")
    )
    sent = {"seen": held(asked).confirmation.terms_digest, "proof-password": PASSWORD}
    assert "Approved. The order is cancelled." in words_of(browser.post(page(asked, "release"), sent, follow=True))
    assert state(asked) is Status.CANCELLED


def test_it_is_released_while_trading_is_halted(asked: Order, paper: Connection, owner: User) -> None:
    halts.halt_connection(paper, by=owner)
    release(held(asked).confirmation, owner)
    assert state(asked) is Status.CANCELLED


def test_nobody_else_sees_or_releases_it(asked: Order, others_browser: Browser, other: User) -> None:
    assert others_browser.get(page(asked)).status_code == 404
    sent = {"seen": held(asked).confirmation.terms_digest, "proof-password": PASSWORD}
    assert others_browser.post(page(asked, "release"), sent).status_code == 404
    with pytest.raises(Refusal) as caught:
        release(held(asked).confirmation, other)
    assert caught.value.code is Code.NOT_PERMITTED
    assert state(asked) is Status.WORKING


def test_rejected_the_order_stays_and_the_app_is_told(asked: Order, browser: Browser, trader: Principal) -> None:
    browser.post(page(asked, "reject"), {"reason": "other", "words": "Keep it."})
    assert (held(asked).state, held(asked).code) == (AmendmentStatus.REJECTED_BY_OWNER, Code.REJECTED_BY_OWNER)
    assert state(asked) is Status.WORKING
    answer = said(trader, "get_order_status", {"order_id": asked.public_id})
    told = answer.content["modifications"][0]
    assert (told["status"], told["cancels"]) == ("rejected_by_owner", True)


def test_unanswered_it_lapses_and_the_order_stays(asked: Order, owner: User, clock: Clock) -> None:
    reconcile.sweep(clock.advance(seconds=121))
    assert (held(asked).state, state(asked)) == (AmendmentStatus.LAPSED, Status.WORKING)
    with pytest.raises(Refusal) as caught:
        release(held(asked).confirmation, owner)
    assert caught.value.code is Code.CONFIRMATION_EXPIRED


def test_it_is_released_once(asked: Order, owner: User, watch: Watch) -> None:
    waits = held(asked).confirmation
    release(waits, owner)
    with pytest.raises(Refusal) as caught:
        release(Confirmation.objects.get(pk=waits.pk), owner)
    assert caught.value.code is Code.CONFIRMATION_USED
    assert len(watch.cancelled) == 1


def test_an_order_that_ended_meanwhile_is_told_as_that(asked: Order, owner: User, browser: Browser) -> None:
    browser.post(f"/orders/{asked.public_id}/cancel/")
    with pytest.raises(Refusal) as caught:
        release(held(asked).confirmation, owner)
    assert caught.value.code is Code.NOT_CANCELLABLE


def test_a_release_whose_process_died_is_carried_on_by_the_sweep(
    asked: Order, owner: User, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    from_here = "console.orders.execution.cancel.cancel_order"

    def dies(*_: Any, **__: Any) -> Order:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(from_here, dies)
        with pytest.raises(KeyboardInterrupt):
            release(held(asked).confirmation, owner)
    assert state(asked) is Status.WORKING
    reconcile.sweep(clock.advance(seconds=1))
    assert state(asked) is Status.CANCELLED


def test_a_revoked_apps_request_can_still_be_granted_or_refused(asked: Order, owner: User) -> None:
    grants.revoke(ConnectedApp.objects.get(pk=asked.app_id), by=owner, reason="Enough")
    release(held(asked).confirmation, owner)
    assert state(asked) is Status.CANCELLED
