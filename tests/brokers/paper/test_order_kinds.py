"""Trailing stops, times in force, legs, changes and partial fills, as the desk would send them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.errors import InsufficientPosition, InvalidOrder, NotCancellable, NotSupported, OrderNotFound
from brokers.paper import accounts
from brokers.paper.adapter import PaperBroker
from brokers.paper.bar_imports import import_bars
from brokers.paper.models import PaperAccount
from brokers.types import (
    AssetClass,
    BarSize,
    BrokerOrder,
    BrokerStatus,
    LegRequest,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)

from .support import Clock, new_id, order, script
from .support import open_broker as paper

pytestmark = pytest.mark.django_db
FLAT = "100 100 100 100"


class Desk:
    """One account on hand-written bars; the first one has just ended."""

    def __init__(self, *bars: str, cash: str = "100000", preset: str = "frictionless", volume: str = "1") -> None:
        self.first = script(*bars) if volume == "1" else _with_volume(bars, volume)
        self.clock = Clock(self.first + timedelta(minutes=1))
        self.account: PaperAccount = accounts.open_account("T", Decimal(cash), preset=preset, now=self.clock.now)
        self.broker = PaperBroker.open({"account": self.account.key}, clock=self.clock)

    def send(self, request: OrderRequest) -> BrokerOrder:
        return self.broker.submit(self.account.key, request)

    def now(self, client_order_id: str) -> BrokerOrder:
        found = self.broker.order(self.account.key, client_order_id)
        assert found is not None
        return found

    def bar(self, count: int = 1) -> None:
        self.clock.advance(minutes=count)
        accounts.match_resting(self.clock.now)

    @property
    def units(self) -> Decimal:
        return sum((found.quantity for found in self.broker.positions(self.account.key)), Decimal(0))

    @property
    def reserved(self) -> tuple[Decimal, Decimal]:
        state = self.broker.account_state(self.account.key)
        held = sum((found.reserved for found in self.broker.positions(self.account.key)), Decimal(0))
        return state.cash[0].reserved, held


def _with_volume(bars: tuple[str, ...], volume: str) -> datetime:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    lines = ["ts,open,high,low,close,volume"]
    for place, bar in enumerate(bars):
        lines.append(f"{(start + timedelta(minutes=place)).isoformat()},{','.join(bar.split())},{volume}")
    import_bars(lines, symbol="TEST/USD", name="Test", asset_class=AssetClass.CRYPTO)
    now = Clock().now.replace(second=0)
    minutes = (now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(minutes=1)
    return now + timedelta(minutes=-minutes % len(bars))


def buy(quantity: str = "1", **terms: str) -> OrderRequest:
    return order("BUY", quantity, "TEST/USD", **terms)


def sell(quantity: str = "1", **terms: str) -> OrderRequest:
    return order("SELL", quantity, "TEST/USD", **terms)


def trail(side: str, *, amount: str | None = None, percent: str | None = None) -> OrderRequest:
    return replace(
        order(side, "1", "TEST/USD"),
        order_type=OrderType.TRAIL,
        trail_amount=None if amount is None else Decimal(amount),
        trail_percent=None if percent is None else Decimal(percent),
    )


def leg(side: str, kind: str, price: str | None = None, **terms: object) -> LegRequest:
    order_type = OrderType(kind)
    value = None if price is None else Decimal(price)
    return LegRequest(
        client_order_id=new_id(),
        side=Side(side),
        order_type=order_type,
        limit_price=value if order_type.needs_limit else None,
        stop_price=value if order_type.needs_stop else None,
        **terms,  # type: ignore[arg-type]
    )


def with_legs(request: OrderRequest, order_class: OrderClass, *legs: LegRequest) -> OrderRequest:
    return replace(request, order_class=order_class, legs=legs)


def test_a_trailing_sell_follows_the_price_up_and_fills_where_it_comes_down_to() -> None:
    desk = Desk(FLAT, "101 110 101 110", "110 120 110 118", "118 118 105 106", FLAT)
    desk.send(buy())
    sent = desk.send(trail("SELL", amount="10"))
    assert desk.now(sent.client_order_id).status is BrokerStatus.WORKING
    desk.bar(2)
    assert desk.now(sent.client_order_id).status is BrokerStatus.WORKING
    desk.bar()
    found = desk.now(sent.client_order_id)
    assert (found.status, found.average_price) == (BrokerStatus.FILLED, Decimal(110))


def test_a_trailing_buy_by_percent_follows_the_price_down_and_pays_the_gap() -> None:
    desk = Desk(FLAT, "100 100 80 80", "90 95 90 95", FLAT)
    sent = desk.send(trail("BUY", percent="10"))
    desk.bar()
    desk.bar()
    # The lowest price was 80, so the stop had come to 88; the next bar opened at 90.
    assert desk.now(sent.client_order_id).average_price == Decimal(90)


def test_a_trailing_stop_needs_exactly_one_distance() -> None:
    desk = Desk(FLAT, FLAT)
    for bad in (trail("BUY"), trail("BUY", amount="1", percent="1")):
        with pytest.raises(InvalidOrder) as refused:
            desk.send(bad)
        assert refused.value.field == "trail_amount"
    with pytest.raises(InvalidOrder):
        desk.send(trail("BUY", percent="100"))
    with pytest.raises(InvalidOrder, match="no trailing distance"):
        desk.send(replace(buy(), trail_amount=Decimal(1)))


def test_a_thin_bar_fills_a_part_and_the_next_bars_the_rest() -> None:
    desk = Desk(FLAT, "100 100 89 100", "100 100 95 100", "88 90 88 89", preset="thin", volume="50")
    sent = desk.send(buy("2.5", limit="90"))
    before = desk.reserved[0]
    desk.bar()
    found = desk.now(sent.client_order_id)
    assert (found.status, found.filled_quantity) == (BrokerStatus.PARTIALLY_FILLED, Decimal(1))
    assert 0 < desk.reserved[0] < before
    desk.bar()
    assert desk.now(sent.client_order_id).filled_quantity == 1
    desk.bar()
    found = desk.now(sent.client_order_id)
    assert [(fill.quantity, fill.price) for fill in found.fills] == [
        (Decimal(1), Decimal(90)),
        (Decimal(1), Decimal(88)),
    ]
    assert found.average_price == 89
    assert {fill.model for fill in found.fills} == {"thin/1"}


def test_the_orders_of_an_account_share_what_a_bar_allows_the_oldest_first() -> None:
    desk = Desk(FLAT, "100 100 89 100", preset="thin", volume="50")
    first, second = desk.send(buy("0.7", limit="90")), desk.send(buy("0.7", limit="95"))
    desk.bar()
    assert desk.now(first.client_order_id).filled_quantity == Decimal("0.7")
    assert desk.now(second.client_order_id).filled_quantity == Decimal("0.3")


def test_what_of_a_market_order_is_too_much_for_the_last_bar_goes_to_the_next_opens() -> None:
    desk = Desk(FLAT, "103 105 101 104", preset="thin", volume="50")
    sent = desk.send(buy("1.5"))
    assert (sent.status, sent.filled_quantity) == (BrokerStatus.PARTIALLY_FILLED, Decimal(1))
    desk.bar()
    # 0.1 % slippage on 100 and on 103, to the next cent up
    assert [fill.price for fill in desk.now(sent.client_order_id).fills] == [Decimal("100.10"), Decimal("103.11")]


def test_ioc_takes_what_is_there_and_fok_all_or_nothing() -> None:
    desk = Desk(FLAT, FLAT, preset="thin", volume="50")
    whole = desk.send(buy("2", tif="FOK"))
    assert (whole.status, whole.filled_quantity) == (BrokerStatus.CANCELLED, Decimal(0))
    part = desk.send(buy("2", tif="IOC"))
    assert (part.status, part.filled_quantity) == (BrokerStatus.CANCELLED, Decimal(1))
    assert "cancelled" in part.reason
    assert desk.reserved == (Decimal(0), Decimal(0))
    desk.bar()
    assert desk.send(buy("1", limit="100", tif="FOK")).status is BrokerStatus.FILLED
    assert desk.send(buy("0.1", limit="99", tif="FOK")).status is BrokerStatus.CANCELLED


def test_a_bracket_waits_for_its_entry_and_one_exit_ends_the_other() -> None:
    desk = Desk(FLAT, "100 100 95 96", "96 111 96 110", FLAT)
    target, stop = leg("SELL", "LMT", "110"), leg("SELL", "STP", "90")
    sent = desk.send(with_legs(buy(limit="95"), OrderClass.BRACKET, target, stop))
    waiting = desk.now(target.client_order_id)
    assert waiting.held and waiting.status is BrokerStatus.WORKING
    assert waiting.parent_client_order_id == sent.client_order_id
    desk.bar()
    assert not desk.now(target.client_order_id).held
    assert desk.now(stop.client_order_id).quantity == 1
    assert desk.reserved == (Decimal(0), Decimal(1))
    desk.bar()
    assert desk.now(target.client_order_id).average_price == Decimal(110)
    ended = desk.now(stop.client_order_id)
    assert (ended.status, ended.reason) == (BrokerStatus.CANCELLED, "The other order of the OCO pair filled.")
    assert desk.units == 0


def test_when_a_bar_reaches_both_exits_the_stop_is_taken() -> None:
    desk = Desk(FLAT, "100 120 80 100", FLAT)
    target, stop = leg("SELL", "LMT", "110"), leg("SELL", "STP", "90")
    desk.send(with_legs(buy(), OrderClass.BRACKET, target, stop))
    desk.bar()
    assert desk.now(stop.client_order_id).average_price == Decimal(90)
    assert desk.now(target.client_order_id).status is BrokerStatus.CANCELLED


def test_a_target_that_a_gap_reaches_at_the_open_comes_before_the_stop() -> None:
    desk = Desk(FLAT, "115 120 80 100", FLAT)
    target, stop = leg("SELL", "LMT", "110"), leg("SELL", "STP", "90")
    desk.send(with_legs(buy(), OrderClass.BRACKET, target, stop))
    desk.bar()
    assert desk.now(target.client_order_id).average_price == Decimal(115)
    assert desk.now(stop.client_order_id).status is BrokerStatus.CANCELLED


def test_exits_grow_with_what_of_the_entry_has_filled() -> None:
    desk = Desk(FLAT, "100 100 89 100", "100 100 89 100", FLAT, preset="thin", volume="50")
    target, stop = leg("SELL", "LMT", "130"), leg("SELL", "STP", "50")
    desk.send(with_legs(buy("1.5", limit="90"), OrderClass.BRACKET, target, stop))
    desk.bar()
    assert desk.now(stop.client_order_id).quantity == 1
    desk.bar()
    assert desk.now(stop.client_order_id).quantity == desk.now(target.client_order_id).quantity == Decimal("1.5")
    assert desk.reserved == (Decimal(0), Decimal("1.5"))


def test_legs_end_with_an_entry_that_never_filled() -> None:
    desk = Desk(FLAT, FLAT)
    target, stop = leg("SELL", "LMT", "110"), leg("SELL", "STP", "90")
    sent = desk.send(with_legs(buy(limit="50"), OrderClass.BRACKET, target, stop))
    desk.broker.cancel(desk.account.key, sent.client_order_id)
    for one in (target, stop):
        assert desk.now(one.client_order_id).status is BrokerStatus.CANCELLED


def test_what_fills_of_one_oco_order_is_taken_from_the_other() -> None:
    desk = Desk(FLAT, "100 111 100 105", "105 105 85 85", FLAT, preset="thin", volume="50")
    desk.send(buy("0.9"))
    desk.bar(3)
    desk.bar()
    desk.send(buy("0.6"))
    stop = leg("SELL", "STP", "90")
    sent = desk.send(with_legs(sell("1.5", limit="110"), OrderClass.OCO, stop))
    assert desk.reserved == (Decimal(0), Decimal("1.5"))
    desk.bar()
    assert desk.now(sent.client_order_id).filled_quantity == 1
    assert desk.now(stop.client_order_id).quantity == Decimal("0.5")
    desk.bar()
    assert desk.now(stop.client_order_id).status is BrokerStatus.FILLED
    assert desk.now(sent.client_order_id).status is BrokerStatus.CANCELLED
    assert desk.units == 0


def test_an_oto_leg_with_its_own_quantity_waits_until_all_has_filled() -> None:
    desk = Desk(FLAT, "100 100 89 100", FLAT)
    then = leg("BUY", "STP", "120", quantity=Decimal(3))
    desk.send(with_legs(buy(limit="90"), OrderClass.OTO, then))
    assert desk.now(then.client_order_id).held
    desk.bar()
    found = desk.now(then.client_order_id)
    assert (found.held, found.quantity) == (False, Decimal(3))
    assert desk.reserved[0] == Decimal("367.20")  # 3 x 120 x 1.02


def test_a_leg_that_cannot_be_paid_for_is_rejected_when_its_turn_comes() -> None:
    desk = Desk(FLAT, FLAT, cash="150")
    then = leg("BUY", "STP", "120", quantity=Decimal(3))
    desk.send(with_legs(buy(), OrderClass.OTO, then))
    found = desk.now(then.client_order_id)
    assert (found.status, found.reason) == (
        BrokerStatus.REJECTED,
        "After its parent filled, there was not enough to cover it.",
    )


@pytest.mark.parametrize(
    "request_",
    [
        with_legs(buy(), OrderClass.SIMPLE, leg("SELL", "LMT", "110")),
        with_legs(buy(), OrderClass.BRACKET, leg("SELL", "LMT", "110")),
        with_legs(buy(), OrderClass.BRACKET, leg("BUY", "LMT", "110"), leg("SELL", "STP", "90")),
        with_legs(buy(limit="9"), OrderClass.OCO),
        with_legs(buy(limit="9"), OrderClass.OCO, leg("SELL", "STP", "190")),
        with_legs(buy(limit="9"), OrderClass.OCO, leg("BUY", "STP", "190", quantity=Decimal(7))),
        with_legs(buy(), OrderClass.OCO, leg("BUY", "STP", "190")),
        with_legs(buy(), OrderClass.OTO),
        with_legs(buy(tif="IOC"), OrderClass.OTO, leg("SELL", "LMT", "110")),
        with_legs(buy(), OrderClass.OTO, leg("SELL", "LMT", "110", tif=TimeInForce.IOC)),
        with_legs(buy(), OrderClass.OTO, leg("SELL", "LMT")),
    ],
)
def test_legs_that_make_no_sense_are_refused_and_nothing_stands(request_: OrderRequest) -> None:
    desk = Desk(FLAT, FLAT)
    with pytest.raises(InvalidOrder):
        desk.send(request_)
    assert desk.broker.orders(desk.account.key) == []


def test_a_changed_order_keeps_its_id_and_meets_the_market_anew() -> None:
    desk = Desk(FLAT, "100 100 94 100", FLAT)
    sent = desk.send(buy(limit="90"))
    changed = desk.broker.replace(
        desk.account.key, sent.client_order_id, OrderChanges(limit_price=Decimal(95), quantity=Decimal(2))
    )
    assert (changed.client_order_id, changed.limit_price, changed.quantity) == (
        sent.client_order_id,
        Decimal(95),
        Decimal(2),
    )
    assert desk.reserved[0] == 190
    desk.bar()
    assert desk.now(sent.client_order_id).average_price == Decimal(95)
    with pytest.raises(NotCancellable):
        desk.broker.replace(desk.account.key, sent.client_order_id, OrderChanges(limit_price=Decimal(1)))
    with pytest.raises(OrderNotFound):
        desk.broker.replace(desk.account.key, new_id(), OrderChanges(limit_price=Decimal(1)))


def test_a_change_that_makes_an_order_marketable_fills_it_at_once() -> None:
    desk = Desk(FLAT, FLAT)
    sent = desk.send(buy(limit="90"))
    changed = desk.broker.replace(desk.account.key, sent.client_order_id, OrderChanges(limit_price=Decimal(101)))
    assert (changed.status, changed.average_price) == (BrokerStatus.FILLED, Decimal(100))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (OrderChanges(), "quantity"),
        (OrderChanges(stop_price=Decimal(5)), "stop_price"),
        (OrderChanges(limit_price=Decimal("0.001")), "limit_price"),
        (OrderChanges(quantity=Decimal(-1)), "quantity"),
        (OrderChanges(tif=TimeInForce.IOC), "tif"),
    ],
)
def test_a_change_that_makes_no_sense_leaves_the_order_as_it_was(changes: OrderChanges, field: str) -> None:
    desk = Desk(FLAT, FLAT)
    sent = desk.send(buy(limit="90"))
    with pytest.raises(InvalidOrder) as refused:
        desk.broker.replace(desk.account.key, sent.client_order_id, changes)
    assert refused.value.field == field
    assert desk.now(sent.client_order_id) == sent


def test_post_only_is_refused_where_it_would_trade() -> None:
    desk = Desk(FLAT, FLAT)
    with pytest.raises(InvalidOrder, match="post-only"):
        desk.send(replace(buy(limit="100"), post_only=True))
    assert desk.send(replace(buy(limit="99.99"), post_only=True)).status is BrokerStatus.WORKING


def test_reduce_only_closes_no_more_than_is_held() -> None:
    desk = Desk(FLAT, "100 100 89 90", FLAT)
    desk.send(buy("2"))
    with pytest.raises(InsufficientPosition, match="can close 2"):
        desk.send(replace(sell("3"), reduce_only=True))
    with pytest.raises(InsufficientPosition):
        desk.send(replace(buy("1"), reduce_only=True))
    assert desk.send(replace(sell("2"), reduce_only=True)).status is BrokerStatus.FILLED


def test_an_amount_of_money_buys_whole_lots() -> None:
    desk = Desk(FLAT, FLAT)
    bought = desk.send(replace(buy(), quantity=None, notional=Decimal("55.55")))
    assert bought.filled_quantity == Decimal("0.5555")
    for bad in (
        replace(buy(), notional=Decimal(5)),
        replace(buy(limit="9"), quantity=None, notional=Decimal(5)),
        replace(order("BUY", "1"), quantity=None, notional=Decimal("0.00000001")),
    ):
        with pytest.raises(InvalidOrder) as refused:
            desk.send(bad)
        assert refused.value.field == "notional"


def stocks(moment: str) -> tuple[Clock, PaperBroker, PaperAccount]:
    clock = Clock(datetime.fromisoformat(moment).replace(tzinfo=UTC))
    broker, account = paper(clock, hours="venue")
    return clock, broker, account


def test_opening_and_closing_orders_fill_at_the_first_and_the_last_price_of_a_session() -> None:
    clock, broker, account = stocks("2026-11-20T12:00:00")
    opening = broker.submit(account.key, order("BUY", "3", tif="OPG"))
    closing = broker.submit(account.key, order("BUY", "2", tif="CLS"))
    hopeless = broker.submit(account.key, order("BUY", "1", limit="1", tif="OPG"))
    clock.now = datetime(2026, 11, 20, 21, 30, tzinfo=UTC)
    (day,) = broker.bars("AAPL", BarSize.DAY, limit=1)
    found = {each.client_order_id: each for each in broker.orders(account.key)}
    first = found[opening.client_order_id]
    last = found[closing.client_order_id]
    assert (first.average_price, first.updated_at) == (day.open, datetime(2026, 11, 20, 14, 31, tzinfo=UTC))
    assert (last.average_price, last.updated_at) == (day.close, datetime(2026, 11, 20, 21, tzinfo=UTC))
    assert found[hopeless.client_order_id].status is BrokerStatus.EXPIRED


def test_an_opening_order_sent_during_a_session_is_for_the_next_one() -> None:
    clock, broker, account = stocks("2026-11-20T15:00:00")
    sent = broker.submit(account.key, order("BUY", "3", tif="OPG"))
    clock.now = datetime(2026, 11, 23, 14, 30, 30, tzinfo=UTC)
    assert broker.orders(account.key)[0].status is BrokerStatus.WORKING
    clock.advance(minutes=1)
    assert broker.orders(account.key)[0].updated_at == datetime(2026, 11, 23, 14, 31, tzinfo=UTC)
    assert broker.orders(account.key)[0].client_order_id == sent.client_order_id


def test_a_market_that_never_closes_has_no_opening() -> None:
    desk = Desk(FLAT, FLAT)
    with pytest.raises(InvalidOrder, match="never closes"):
        desk.send(buy(tif="OPG"))


def test_trades_outside_the_session_are_refused_where_there_are_none() -> None:
    _, broker, account = stocks("2026-11-20T12:00:00")
    with pytest.raises(NotSupported, match="regular hours"):
        broker.submit(account.key, replace(order("BUY", "1", limit="100"), outside_rth=True))


def test_partial_fills_and_legs_end_the_same_whenever_anybody_looks() -> None:
    bars = (FLAT, "100 101 89 99", "99 104 93 103", "103 112 95 110", "110 113 86 87", "87 95 80 92")
    outcomes = []
    first = _with_volume(bars, "50")
    for step in (1, 2, 5, 17):
        clock = Clock(first + timedelta(minutes=1))
        account = accounts.open_account("T", Decimal(5000), preset="thin", now=clock.now)
        broker = PaperBroker.open({"account": account.key}, clock=clock)
        ids: list[str] = []

        def send(
            request: OrderRequest, broker: PaperBroker = broker, key: str = account.key, ids: list[str] = ids
        ) -> None:
            broker.submit(key, request)
            ids.extend([request.client_order_id, *(each.client_order_id for each in request.legs)])

        send(buy("3"))
        send(with_legs(buy("2.4", limit="90"), OrderClass.BRACKET, leg("SELL", "LMT", "111"), leg("SELL", "STP", "88")))
        send(with_legs(buy("1.1", limit="92"), OrderClass.OCO, leg("BUY", "STP", "109")))
        send(trail("BUY", amount="7"))
        end = clock.now + timedelta(minutes=17)
        while clock.now < end:
            clock.now = min(end, clock.now + timedelta(minutes=step))
            accounts.match_resting(clock.now)
        outcomes.append(
            [
                (one.status, one.quantity, one.average_price, one.fees, one.updated_at, len(one.fills), one.reason)
                for one in (broker.order(account.key, each) for each in ids)
                if one is not None
            ]
        )
    assert outcomes[0] == outcomes[1] == outcomes[2] == outcomes[3]
    assert sum(row[5] for row in outcomes[0]) > 6
