"""The largest order: one of that size passes its preview, and one of a step more is refused by what was named."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokers.paper import ledger
from brokers.paper.models import PaperAccount
from brokers.types import OrderType, Side
from console import limits
from console.accounts.models import User
from console.authority import bearer
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.halts import services as halts
from console.orders import actions as order_actions
from console.orders import max_order as sizing
from console.orders import prepare as preparing
from console.orders import preview as previewing
from console.orders.largest import at_broker, at_limits
from console.orders.largest.bounds import BoundKind, MaxOrder, SizeBound
from console.orders.models import Order
from console.orders.terms import Terms
from console.principal import Principal
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


def of_size(found: MaxOrder, quantity: Decimal) -> Terms:
    request = found.request
    return Terms(
        symbol=request.symbol,
        side=request.side,
        quantity=quantity,
        order_type=request.order_type,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
    )


def refusals(trader: Principal, terms: Terms) -> list[Refusal]:
    """Why the preview refuses an order, in the order of its checks."""
    try:
        seen = previewing.preview(trader, terms)
    except Refusal as refusal:
        return [refusal]
    return [each.refusal for each in seen.checks if each.refusal is not None]


def holds(trader: Principal, found: MaxOrder) -> None:
    """The promise."""
    assert found.size is not None
    assert found.is_exact
    assert found.bound is not None
    if found.size:
        assert refusals(trader, of_size(found, found.size)) == []
    over = found.size + found.step if found.size else found.request.units
    more = refusals(trader, of_size(found, over))
    assert more, over
    if found.bound.kind is BoundKind.LIMIT:
        assert more[0].limit is not None
        assert (more[0].limit["name"], more[0].limit["of"]) == (found.bound.name, found.bound.of)
    else:
        expected = {
            BoundKind.POSITION: Code.INSUFFICIENT_POSITION,
            BoundKind.FUNDS: Code.INSUFFICIENT_FUNDS,
            BoundKind.MARGIN: Code.INSUFFICIENT_FUNDS,
        }
        assert more[0].code is expected[found.bound.kind]


def bound(found: MaxOrder) -> tuple[str, str]:
    assert found.bound is not None
    return found.bound.bound, found.bound.of


@pytest.fixture
def limit(trader: Principal, paper: Connection, owner: User) -> Callable[..., None]:
    def set_(on: str, **given: Any) -> None:
        if on == "connection":
            connections.set_limits(Connection.objects.get(pk=paper.pk), limits.parse(given), by=owner, may_widen=True)
        else:
            app = ConnectedApp.objects.get(pk=trader.app_id)
            grants.set_limits(app, limits.parse(given), by=owner, may_widen=True)

    return set_


def test_a_buy_is_bound_by_the_cash_with_the_fee_in_it(trader: Principal, clock: Clock) -> None:
    found = sizing.max_order(trader, "BTC/USD", Side.BUY)
    holds(trader, found)
    assert found.bound is not None and found.preview is not None
    assert found.bound.kind is BoundKind.FUNDS
    assert found.bound.has == Decimal(100_000)
    assert found.preview.fee > 0
    assert Decimal("99999.9") < -found.preview.cash_effect <= 100_000
    assert found.summary.startswith(f"Buy at most {found.size:,f}".rstrip("0"))


def test_a_sell_is_bound_by_what_is_held_without_what_other_orders_hold(
    trader: Principal, clock: Clock, watch: Watch
) -> None:
    none = sizing.max_order(trader, "BTC/USD", Side.SELL)
    assert (none.size, bound(none)[0]) == (Decimal(0), "position")
    holds(trader, none)
    for terms in (bitcoin("2"), bitcoin("0.5", Side.SELL, limit="1000000")):
        order_actions.confirm(trader, preparing.prepare(trader, terms).confirmation.public_id)
    found = sizing.max_order(trader, "BTC/USD", Side.SELL)
    holds(trader, found)
    assert found.bound is not None
    assert (found.size, found.bound.has, found.bound.reserved) == (Decimal("1.5"), Decimal("1.5"), Decimal("0.5"))


@pytest.mark.parametrize("on", ["connection", "app"])
@pytest.mark.parametrize(
    "given",
    [
        {"order_notional": "1234.56"},
        {"daily_notional": "777"},
        {"position_value": "4321"},
        {"equity_share": "7.5"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_each_limit_binds_by_its_name_and_says_whose_it_is(
    trader: Principal, limit: Callable[..., None], clock: Clock, watch: Watch, on: str, given: dict[str, Any]
) -> None:
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin("0.01")).confirmation.public_id)
    limit(on, **given)
    for kind, price in ((OrderType.MARKET, None), (OrderType.LIMIT, Decimal("5000"))):
        found = sizing.max_order(trader, "BTC/USD", Side.BUY, order_type=kind, limit_price=price)
        holds(trader, found)
        assert bound(found)[0] == next(iter(given))
        assert bound(found)[1].startswith(f"the {on} ")
        assert {each.kind for each in found.bounds} == {BoundKind.FUNDS, BoundKind.LIMIT}


def test_a_limit_on_the_position_never_keeps_anybody_in_it(
    trader: Principal, limit: Callable[..., None], clock: Clock, watch: Watch
) -> None:
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin("1")).confirmation.public_id)
    limit("connection", position_value="10")
    found = sizing.max_order(trader, "BTC/USD", Side.SELL)
    holds(trader, found)
    assert (found.size, bound(found)[0]) == (Decimal(1), "position")


def test_nothing_passes_once_the_orders_of_the_minute_are_used(
    trader: Principal, limit: Callable[..., None], clock: Clock, watch: Watch
) -> None:
    limit("app", orders_per_minute=1)
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin("0.01")).confirmation.public_id)
    found = sizing.max_order(trader, "BTC/USD", Side.BUY)
    assert (found.size, bound(found)[0], found.preview) == (Decimal(0), "orders_per_minute", None)
    holds(trader, found)


def test_what_refuses_every_size_is_named_and_is_no_size(
    trader: Principal, limit: Callable[..., None], clock: Clock, paper: Connection, owner: User
) -> None:
    limit("connection", denied_symbols=["BTC/USD"])
    denied = sizing.max_order(trader, "BTC/USD", Side.BUY)
    assert (denied.size, denied.bound) == (Decimal(0), None)
    assert [each.refusal.code for each in denied.refused if each.refusal] == [Code.OUTSIDE_LIMITS]
    assert "do not allow BTC/USD" in denied.summary
    limit("connection")
    halts.halt_connection(Connection.objects.get(pk=paper.pk), by=owner)
    halted = sizing.max_order(trader, "BTC/USD", Side.BUY)
    assert halted.size
    assert [each.refusal.code for each in halted.refused if each.refusal] == [Code.HALTED]
    assert "of any size would be refused now" in halted.summary


def test_after_few_looks_the_size_passes_and_is_said_to_be_near(
    trader: Principal, limit: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_broker, "_PROBES", 2)
    found = sizing.max_order(trader, "BTC/USD", Side.BUY)
    assert (bound(found)[0], found.is_exact) == ("funds", False)
    assert found.size
    assert refusals(trader, of_size(found, found.size)) == []
    limit("app", order_notional="1234.56")
    limited = sizing.max_order(trader, "BTC/USD", Side.BUY)
    assert bound(limited)[0] == "order_notional"
    holds(trader, limited)


def test_where_the_account_changes_meanwhile_the_size_is_one_that_passed(
    trader: Principal, limit: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit("app", order_notional="50000")
    of_limits = at_limits.SizesAtLimits.bounds

    def spent_before(sizes: at_limits.SizesAtLimits) -> list[SizeBound]:
        account = PaperAccount.objects.get()
        ledger.post(account=account, at=clock.now, kind="transfer", currency="USD", amount=Decimal(-99_000))
        return of_limits(sizes)

    monkeypatch.setattr(at_limits.SizesAtLimits, "bounds", spent_before)
    found = sizing.max_order(trader, "BTC/USD", Side.BUY)
    assert found.bound is not None and found.size is not None and found.preview is not None
    assert (found.bound.name, found.is_exact) == ("order_notional", False)
    assert 0 < found.size < found.bound.size
    assert refusals(trader, of_size(found, found.size)) == []


def test_it_keeps_nothing_and_sends_nothing(trader: Principal, watch: Watch, clock: Clock) -> None:
    sizing.max_order(trader, "BTC/USD", Side.BUY)
    assert Order.objects.count() == 0
    assert watch.submitted == []


def test_a_reader_is_told_the_size_and_that_it_may_not_trade(read_key: str, clock: Clock) -> None:
    found = sizing.max_order(bearer.authenticate(read_key), "BTC/USD", Side.BUY)
    assert found.size
    assert [each.check.name for each in found.refused] == ["permission to trade"]


def test_a_trailing_stop_is_refused_with_what_to_give_instead(trader: Principal) -> None:
    with pytest.raises(Refusal) as refused:
        sizing.max_order(trader, "BTC/USD", Side.SELL, order_type=OrderType.TRAIL)
    assert (refused.value.code, refused.value.field) == (Code.INVALID_ARGUMENT, "order_type")


_AMOUNTS = st.sampled_from(["90.05", "2000", "33333.33", "150000"])
_LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "order_notional": _AMOUNTS,
        "daily_notional": _AMOUNTS,
        "position_value": _AMOUNTS,
        "equity_share": st.decimals(min_value=1, max_value=150, places=1).map(str),
        "price_collar": st.sampled_from(["1", "5"]),
    },
)


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    is_margin=st.booleans(),
    preset=st.sampled_from(["standard", "frictionless", "realistic"]),
    symbol=st.sampled_from(["BTC/USD", "AAPL"]),
    side=st.sampled_from(list(Side)),
    kind=st.sampled_from([OrderType.MARKET, OrderType.LIMIT, OrderType.STOP]),
    distance=st.sampled_from(["0.5", "0.99", "1.01", "1.5"]),
    held=st.sampled_from(["-120", "-7", "0", "3", "11.5"]),
    cash=st.decimals(min_value=0, max_value=90_000, places=2),
    of_connection=_LIMITS,
    of_app=_LIMITS,
)
def test_of_any_account_and_limits_the_largest_passes_and_a_step_more_is_refused_by_the_one_named(
    trader: Principal,
    limit: Callable[..., None],
    clock: Clock,
    is_margin: bool,
    preset: str,
    symbol: str,
    side: Side,
    kind: OrderType,
    distance: str,
    held: str,
    cash: Decimal,
    of_connection: dict[str, str],
    of_app: dict[str, str],
) -> None:
    with transaction.atomic():
        account = PaperAccount.objects.get()
        account.kind, account.preset = "margin" if is_margin else "cash", preset
        account.save()
        quantity = Decimal(held) if is_margin and symbol == "AAPL" else abs(Decimal(held))
        quantity = quantity if symbol == "BTC/USD" else Decimal(int(quantity))
        posted: Any = {"account": account, "at": clock.now, "kind": "transfer", "currency": "USD"}
        if quantity:
            ledger.post(**posted, amount=Decimal(0), symbol=symbol, quantity=quantity, price=Decimal(100))
        ledger.post(**posted, amount=-cash)
        limit("connection", **of_connection)
        limit("app", **of_app)
        with broker_access.broker_for(trader) as broker:
            last = broker.quotes([symbol])[0].last
            price = None if kind is OrderType.MARKET else round(last * Decimal(distance), 2)
        found = sizing.max_order(
            trader,
            symbol,
            side,
            order_type=kind,
            limit_price=price if kind is OrderType.LIMIT else None,
            stop_price=price if kind is OrderType.STOP else None,
        )
        if found.refused:
            assert found.size == 0 or found.refused[0].check.name != "limits"
        else:
            holds(trader, found)
        transaction.set_rollback(True)


def test_what_nobody_bids_for_is_refused(trader: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    with broker_access.broker_for(trader) as broker:
        quotes = type(broker).quotes
    monkeypatch.setattr(
        type(broker),
        "quotes",
        lambda self, symbols: [replace(each, bid=Decimal(0)) for each in quotes(self, symbols)],
    )
    found = sizing.max_order(trader, "AAPL", Side.SELL)
    assert found.size == 0
