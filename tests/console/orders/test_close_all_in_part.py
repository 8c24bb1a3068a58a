"""Closing everything where not everything can be closed: what guards a position that stays is never cancelled."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from brokers.errors import BrokerUnavailable, InvalidOrder, MarketClosed, RateLimited, UnknownOutcome
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import PaperAccount
from brokers.types import OrderClass, OrderRequest, OrderType, Preview, Side, TimeInForce, Unreadable
from console import limits
from console.accounts.models import User
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.halts import services as halts
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks import check_rows
from console.orders.execution import cancel as cancelling
from console.orders.execution import flatten, reconcile, release
from console.orders.models import Confirmation, Order
from console.orders.owner import approvals, review
from console.orders.states import Status
from console.orders.terms import Terms
from console.practice import services as practice
from console.principal import Principal
from tests.conftest import PASSWORD
from tests.console.orders.conftest import bitcoin
from tests.console.pages import words_of
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


def shares(side: Side, quantity: str = "2", *, stop: str | None = None, symbol: str = "AAPL") -> Terms:
    return Terms(
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        order_type=OrderType.STOP if stop else OrderType.MARKET,
        tif=TimeInForce.GTC if stop else TimeInForce.DAY,
        stop_price=Decimal(stop) if stop else None,
    )


def go(trader: Principal, terms: Terms) -> Order:
    return order_actions.confirm(trader, preparing.prepare(trader, terms).confirmation.public_id)


@pytest.fixture
def guards(trader: Principal, watch: Watch) -> dict[str, Order]:
    """Two positions with a stop each, and an order where nothing is held."""
    go(trader, bitcoin("0.1"))
    go(trader, shares(Side.BUY))
    return {
        "BTC/USD": go(
            trader,
            Terms(
                symbol="BTC/USD",
                side=Side.SELL,
                quantity=Decimal("0.1"),
                order_type=OrderType.STOP,
                stop_price=Decimal(100),
                tif=TimeInForce.GTC,
            ),
        ),
        "AAPL": go(trader, shares(Side.SELL, stop="1")),
        "MSFT": go(trader, Terms(symbol="MSFT", side=Side.BUY, quantity=Decimal(1), order_type=OrderType.LIMIT,
                                 limit_price=Decimal(1), tif=TimeInForce.GTC)),
    }  # fmt: skip


def stand(guards: dict[str, Order]) -> set[str]:
    """Symbols whose order still works."""
    for order in guards.values():
        order.refresh_from_db()
    return {symbol for symbol, order in guards.items() if order.state is Status.WORKING}


def held(paper: Connection) -> set[str]:
    broker = PaperBroker.open(paper.settings)
    return {each.symbol for each in broker.positions(paper.default_account) if each.quantity}


def cancelled_first(browser: Browser, confirmation: Confirmation) -> set[str]:
    """By what the page of the approval lists."""
    answer = browser.get(f"/orders/approvals/{confirmation.public_id}/")
    assert "Cancelled first" in words_of(answer)
    return {order.symbol for order in answer.context["cancels"]}


def refuse(monkeypatch: pytest.MonkeyPatch, error: Exception, symbol: str = "AAPL") -> None:
    """The broker takes no order in ``symbol``."""
    real = PaperBroker.preview

    def preview(self: PaperBroker, account_id: str, request: OrderRequest) -> Preview:
        if request.symbol == symbol:
            raise error
        return real(self, account_id, request)

    monkeypatch.setattr(PaperBroker, "preview", preview)


def test_a_position_that_cannot_be_read_is_named_and_orders_without_a_known_position_stay(
    trader: Principal, paper: Connection, guards: dict[str, Order], browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left_out = PaperBroker.positions, Unreadable(row="position AAPL", word="type odd", left_out=True)
    unknown = property(lambda self: (left_out, Unreadable(row="order 7", word="type odd", left_out=True)))
    with monkeypatch.context() as patched:
        patched.setattr(PaperBroker, "positions", lambda *of: [each for each in real(*of) if each.symbol != "AAPL"])
        patched.setattr(PaperBroker, "unknown_words", unknown)
        prepared, kept = preparing.prepare_flatten(trader)
        assert [(each.symbol, each.refusal.code) for each in kept] == [("AAPL", Code.POSITION_UNREADABLE)]
        summary = prepared.confirmation.terms["summary"]
        assert "Close all positions except AAPL" in summary and "1 working order will be cancelled first." in summary
        assert "lists a position AAPL that this version cannot read (type odd)" in summary
        assert cancelled_first(browser, prepared.confirmation) == {"BTC/USD"}
        order_actions.confirm(trader, prepared.confirmation.public_id)
        with pytest.raises(Refusal) as nothing_else:
            preparing.prepare_flatten(trader)
    assert nothing_else.value.code is Code.POSITION_UNREADABLE
    assert (held(paper), stand(guards)) == ({"AAPL"}, {"AAPL", "MSFT"})


ERRORS = [MarketClosed("The market is closed."), InvalidOrder("AAPL is halted at its exchange.", "symbol")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_position_that_cannot_be_closed_keeps_its_orders_and_the_plan_says_so(
    trader: Principal,
    paper: Connection,
    guards: dict[str, Order],
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    refuse(monkeypatch, error)
    prepared, left_out = preparing.prepare_flatten(trader)
    assert [each.symbol for each in left_out] == ["AAPL"]
    summary = prepared.confirmation.terms["summary"]
    assert summary.startswith(
        f"Close all positions except AAPL in account {paper.default_account}. 2 working orders will be cancelled "
        "first. "
        f"AAPL stays open with 1 working order: {error} "
    )
    page = words_of(browser.get(f"/orders/approvals/{prepared.confirmation.public_id}/"))
    assert f"AAPL stays open with 1 working order: {error}" in page
    assert cancelled_first(browser, prepared.confirmation) == {"BTC/USD", "MSFT"}
    assert f"close all positions in {paper.default_account}, except in AAPL" in page
    assert "It cannot be released now." not in page

    order_actions.confirm(trader, prepared.confirmation.public_id)
    assert (held(paper), stand(guards)) == ({"AAPL"}, {"AAPL"})


@pytest.mark.parametrize("by", ["connection", "app"])
def test_nor_does_one_that_the_limits_do_not_let_go(
    trader: Principal, paper: Connection, owner: User, guards: dict[str, Order], by: str
) -> None:
    denied = limits.parse({"denied_symbols": ["AAPL"]})
    if by == "connection":
        connections.set_limits(paper, denied, by=owner)
    else:
        grants.set_limits(ConnectedApp.objects.get(pk=trader.app_id), denied, by=owner)
    prepared, left_out = preparing.prepare_flatten(trader)
    assert [(each.symbol, each.refusal.code) for each in left_out] == [("AAPL", Code.OUTSIDE_LIMITS)]
    order_actions.confirm(trader, prepared.confirmation.public_id)
    assert (held(paper), stand(guards)) == ({"AAPL"}, {"AAPL"})


@pytest.mark.parametrize("what", ["limit", "price", "position", "under the locks"])
def test_a_close_that_is_refused_at_release_leaves_the_orders_of_its_position(
    trader: Principal,
    paper: Connection,
    owner: User,
    guards: dict[str, Order],
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    prepared, _ = preparing.prepare_flatten(trader)
    close = prepared.confirmation.orders.get(symbol="AAPL")
    if what == "limit":
        connections.set_limits(paper, limits.parse({"denied_symbols": ["AAPL"]}), by=owner)
    elif what == "price":
        Order.objects.filter(pk=close.pk).update(shown_price=close.shown_price * 2)
    elif what == "position":
        go(trader, shares(Side.BUY, "1"))
    else:
        lock = check_rows.locked

        def overtaken(app_id: int) -> check_rows.AppRows:
            connections.set_limits(paper, limits.parse({"denied_symbols": ["AAPL"]}), by=owner)
            return lock(app_id)

        monkeypatch.setattr(check_rows, "locked", overtaken)
    if what != "under the locks":
        assert cancelled_first(browser, prepared.confirmation) == {"BTC/USD", "MSFT"}
    order_actions.confirm(trader, prepared.confirmation.public_id)
    close.refresh_from_db()
    assert close.state is Status.DENIED
    assert (held(paper), stand(guards)) == ({"AAPL"}, {"AAPL"})


def test_an_order_that_cannot_be_cancelled_keeps_only_its_own_position(
    trader: Principal, paper: Connection, guards: dict[str, Order], watch: Watch
) -> None:
    prepared, _ = preparing.prepare_flatten(trader)

    def lose(client_order_id: str) -> None:
        if client_order_id == guards["AAPL"].wire_id:
            raise UnknownOutcome("The answer was lost.")

    watch.before_cancel = lose
    order_actions.confirm(trader, prepared.confirmation.public_id)
    close = prepared.confirmation.orders.get(symbol="AAPL")
    assert (close.state, close.code) == (Status.DENIED, Code.OUTCOME_UNKNOWN)
    assert f"{guards['AAPL'].public_id} could not be cancelled, so AAPL was not closed" in close.reason
    assert (held(paper), stand(guards)) == ({"AAPL"}, {"AAPL"})


def test_orders_elsewhere_stay_where_the_positions_cannot_be_read(
    trader: Principal, paper: Connection, guards: dict[str, Order], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, _ = preparing.prepare_flatten(trader)
    real = PaperBroker.positions
    away: list[bool] = []

    def positions(self: PaperBroker, account_id: str) -> Sequence[object]:
        if away:
            away.pop()
            raise BrokerUnavailable("The broker is away.")
        return real(self, account_id)

    def last_cancel(client_order_id: str) -> None:
        if len(watch.cancelled) == 2:
            away.append(True)

    monkeypatch.setattr(PaperBroker, "positions", positions)
    watch.before_cancel = last_cancel
    order_actions.confirm(trader, prepared.confirmation.public_id)
    assert (held(paper), stand(guards)) == (set(), {"MSFT"})


@pytest.mark.parametrize("stop", ["halt", "revoke"])
def test_what_is_stopped_between_the_yes_and_the_cancel_cancels_nothing(
    trader: Principal,
    paper: Connection,
    owner: User,
    guards: dict[str, Order],
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    stop: str,
) -> None:
    prepared, _ = preparing.prepare_flatten(trader)

    def stopped() -> object:
        if stop == "halt":
            return halts.halt_connection(paper, by=owner)
        return grants.revoke(ConnectedApp.objects.get(pk=trader.app_id), by=owner, reason="Test")

    redeemed = release._redeem

    def redeem(*args: Any) -> object:
        found = redeemed(*args)
        stopped()
        return found

    monkeypatch.setattr(release, "_redeem", redeem)
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, prepared.confirmation.public_id)
    assert caught.value.code is (Code.HALTED if stop == "halt" else Code.APP_REVOKED)
    assert {order.state for order in prepared.confirmation.orders.all()} == {Status.DENIED}
    assert (watch.cancelled, stand(guards)) == ([], {"BTC/USD", "AAPL", "MSFT"})


@pytest.mark.parametrize("what", ["position", "broker"])
def test_nothing_is_cancelled_for_a_position_that_is_another_one_once_it_was_released(
    trader: Principal,
    paper: Connection,
    guards: dict[str, Order],
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    prepared, _ = preparing.prepare_flatten(trader)
    redeemed, real = release._redeem, PaperBroker.positions
    away: list[bool] = []

    def positions(self: PaperBroker, account_id: str) -> Sequence[object]:
        if away:
            away.pop()
            raise BrokerUnavailable("The broker is away.")
        return real(self, account_id)

    def redeem(*args: Any) -> object:
        found = redeemed(*args)
        monkeypatch.setattr(release, "_redeem", redeemed)
        if what == "position":
            go(trader, bitcoin("0.01"))
        else:
            away.append(True)  # for the first read, which is about the first close
        return found

    monkeypatch.setattr(release, "_redeem", redeem)
    monkeypatch.setattr(PaperBroker, "positions", positions)
    order_actions.confirm(trader, prepared.confirmation.public_id)
    stays = "BTC/USD" if what == "position" else prepared.order.symbol
    close = prepared.confirmation.orders.get(symbol=stays)
    assert close.code == (Code.POSITION_CHANGED if what == "position" else Code.BROKER_UNAVAILABLE)
    assert (held(paper), stand(guards)) == ({stays}, {stays})


def test_what_is_said_of_the_connection_is_not_taken_for_one_position(
    trader: Principal, guards: dict[str, Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, RateLimited("Too many calls.", 5.0))
    with pytest.raises(Refusal) as caught:
        preparing.prepare_flatten(trader)
    assert caught.value.code is Code.BROKER_BUSY
    assert not Confirmation.objects.filter(action="flatten").exists()


def test_the_owner_can_release_it_while_every_position_is_guarded(
    browser: Browser, trader: Principal, owner: User, paper: Connection, guards: dict[str, Order]
) -> None:
    browser.post(f"/orders/closing/{paper.pk}/prepare/")
    confirmation = Confirmation.objects.get(action="flatten")
    assert review.load(confirmation).standing == []
    address = f"/orders/approvals/{confirmation.public_id}/"
    assert "It cannot be released now." not in words_of(browser.get(address))
    assert list(approvals.for_owner(owner)) == [confirmation]
    browser.post(f"{address}release/", {"seen": confirmation.terms_digest, "proof-password": PASSWORD})
    assert (held(paper), stand(guards)) == (set(), set())


# -- nobody is locked in -------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [{"position_value": "1"}, {"equity_share": "0.01"}, {"daily_loss": "1"}])
def test_no_limit_on_a_position_keeps_a_guarded_one_from_being_closed(
    trader: Principal, paper: Connection, owner: User, guards: dict[str, Order], given: dict[str, str]
) -> None:
    connections.set_limits(paper, limits.parse(given), by=owner)
    Connection.objects.filter(pk=paper.pk).update(equity=Decimal(1_000_000), day=None)
    prepared, left_out = preparing.prepare_flatten(trader)
    assert (left_out, review.load(prepared.confirmation).standing) == ([], [])
    order_actions.confirm(trader, prepared.confirmation.public_id)
    assert (held(paper), stand(guards)) == (set(), set())


def test_exits_whose_entry_has_filled_are_told_and_cancelled(
    trader: Principal, paper: Connection, browser: Browser
) -> None:
    entry = go(
        trader,
        Terms(
            symbol="BTC/USD",
            side=Side.BUY,
            quantity=Decimal("0.1"),
            order_class=OrderClass.BRACKET,
            take_profit=Decimal(1_000_000),
            stop_loss=Decimal(1),
        ),
    )
    assert entry.state is Status.FILLED
    prepared, _ = preparing.prepare_flatten(trader)
    assert "2 working orders will be cancelled first." in prepared.confirmation.terms["summary"]
    assert cancelled_first(browser, prepared.confirmation) == {"BTC/USD"}
    order_actions.confirm(trader, prepared.confirmation.public_id)
    assert held(paper) == set()
    assert {leg.state for leg in entry.legs.all()} == {Status.CANCELLED}


def test_shorts_are_bought_back_together_whatever_buying_power_they_left(
    trader: Principal, paper: Connection, watch: Watch
) -> None:
    PaperAccount.objects.update(kind="margin")
    broker = PaperBroker.open(paper.settings)
    for quote in broker.quotes(["AAPL", "MSFT"]):
        go(trader, shares(Side.SELL, str(int(80_000 / quote.last)), symbol=quote.symbol))
    assert broker.account_state(paper.default_account).buying_power < 80_000
    assert held(paper) == {"AAPL", "MSFT"}
    prepared, left_out = preparing.prepare_flatten(trader)
    assert left_out == []
    order_actions.confirm(trader, prepared.confirmation.public_id)
    assert held(paper) == set()


@pytest.mark.parametrize("latency", ["0", "400"], ids=["at once", "after a while"])
def test_what_guards_a_position_has_ended_before_it_is_closed(
    latency: str, guards: dict[str, Order], trader: Principal, paper: Connection
) -> None:
    overrides = {"latency_ms": Decimal(latency)}
    practice.set_model(paper, paper.default_account, by=paper.owner, overrides=overrides)
    prepared, *_ = preparing.prepare_flatten(trader)
    order_actions.confirm(trader, prepared.confirmation.public_id)
    for guard in guards.values():
        guard.refresh_from_db()
        assert guard.state is Status.CANCELLED
    closes = prepared.confirmation.orders.all()
    assert {order.symbol for order in closes} == {"BTC/USD", "AAPL"}
    assert {order.state for order in closes} <= {Status.WORKING, Status.FILLED}


# -- a close that is overtaken, or whose process dies ------------------------------------------------------------


def flattened(trader: Principal) -> Confirmation:
    return preparing.prepare_flatten(trader)[0].confirmation


def test_while_it_is_cleared_the_sweep_does_not_take_it_over(
    guards: dict[str, Order], trader: Principal, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the cancels take together: each is told of before it is sent."""
    confirmation, take_back = flattened(trader), cancelling.cancel_order

    def slowly(order: Order, **named: Any) -> Order:
        reconcile.sweep()  # the lease of the closes was renewed before this cancel
        rows = Order.objects.filter(confirmation=confirmation)
        assert {row.state for row in rows} == {Status.INTENT}
        ended = take_back(order, **named)
        rows.update(moved_at=confirmation.created_at - timedelta(hours=1))  # and then it took an hour
        return ended

    monkeypatch.setattr(cancelling, "cancel_order", slowly)
    order_actions.confirm(trader, confirmation.public_id)
    assert {order.state for order in confirmation.orders.all()} == {Status.FILLED}
    for guard in guards.values():
        guard.refresh_from_db()
        assert guard.state is Status.CANCELLED


def test_after_its_process_died_what_was_to_be_cancelled_first_is_cancelled_first(
    guards: dict[str, Order], trader: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmation = flattened(trader)

    def die(*args: object, **named: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(cancelling, "cancel_all", die)
        with pytest.raises(SystemExit):
            order_actions.confirm(trader, confirmation.public_id)
    Order.objects.filter(confirmation=confirmation).update(moved_at=confirmation.created_at - timedelta(hours=1))
    reconcile.sweep()
    for guard in guards.values():
        guard.refresh_from_db()
        assert guard.state is Status.CANCELLED
    assert {order.state for order in confirmation.orders.all()} == {Status.FILLED}


def test_two_at_once_do_not_end_each_other(
    guards: dict[str, Order], trader: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = flattened(trader), flattened(trader)
    clear = flatten.cancel_conflicting
    said: list[Code] = []

    def beside_another(*args: Any) -> list[Order]:
        monkeypatch.setattr(flatten, "cancel_conflicting", clear)
        with pytest.raises(Refusal) as caught:
            order_actions.confirm(trader, second.public_id)
        said.append(caught.value.code)
        return clear(*args)

    monkeypatch.setattr(flatten, "cancel_conflicting", beside_another)
    order_actions.confirm(trader, first.public_id)
    assert said == [Code.POSITION_CHANGED]
    assert {order.state for order in first.orders.all()} == {Status.FILLED}
    assert {order.state for order in second.orders.all()} == {Status.AWAITING}


def test_what_the_broker_would_refuse_anyhow_is_known_before_a_guard_is_cancelled(
    guards: dict[str, Order], trader: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmation, preview = flattened(trader), PaperBroker.preview

    def closed(self: PaperBroker, account_id: str, request: OrderRequest) -> Preview:
        if request.symbol == "AAPL":
            raise MarketClosed("The market is closed.")
        return preview(self, account_id, request)

    monkeypatch.setattr(PaperBroker, "preview", closed)
    order_actions.confirm(trader, confirmation.public_id)
    guards["AAPL"].refresh_from_db()
    guards["BTC/USD"].refresh_from_db()
    assert (guards["AAPL"].state, guards["BTC/USD"].state) == (Status.WORKING, Status.CANCELLED)


def test_nothing_is_closed_beside_an_order_that_has_not_ended_yet(
    trader: Principal, paper: Connection, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "_PATIENCE_SECONDS", 0.0)
    go(trader, bitcoin("0.1"))
    buying = go(trader, bitcoin("0.1", limit="1000"))
    practice.set_model(paper, paper.default_account, by=paper.owner, overrides={"latency_ms": Decimal(60_000)})
    with pytest.raises(Refusal, match="has not confirmed it yet"):
        order_actions.confirm(trader, flattened(trader).public_id)
    buying.refresh_from_db()
    assert buying.state is Status.WORKING
    assert [each.quantity for each in PaperBroker.open(paper.settings).positions(paper.default_account)] == [
        Decimal("0.1")
    ]
