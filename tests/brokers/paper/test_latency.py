"""Orders, changes and cancels that take their time to arrive, whoever looks and whenever."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.errors import InsufficientFunds, InsufficientPosition
from brokers.paper import accounts, costs, model_settings
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import PaperAccount, PaperFill, PaperOrder
from brokers.types import (
    AssetClass,
    BrokerOrder,
    BrokerStatus,
    Fill,
    LegRequest,
    OrderChanges,
    OrderClass,
    OrderType,
    Side,
)

from .support import Clock, new_id, order, script

pytestmark = pytest.mark.django_db
FLAT = "100 100 100 100"
SLOW = {"latency_ms": Decimal(5000)}


def slow(
    clock: Clock, cash: str = "10000", *, margin: bool = False, hours: str = "always", **overrides: str
) -> tuple[PaperBroker, PaperAccount]:
    """Without costs, and five seconds from everything."""
    account = accounts.open_account("L", Decimal(cash), hours=hours, now=clock.now)
    tuned = SLOW | {name: Decimal(value) for name, value in overrides.items()}
    model_settings.set_model(account.key, preset="frictionless", overrides=tuned, margin=margin, now=clock.now)
    account.refresh_from_db()
    return PaperBroker.open({"account": account.key}, clock=clock), account


def found(broker: PaperBroker, account: PaperAccount, sent: BrokerOrder) -> BrokerOrder:
    there = broker.order(account.key, sent.client_order_id)
    assert there is not None
    return there


def at(first: datetime, minutes: int, seconds: int) -> datetime:
    return first + timedelta(minutes=minutes, seconds=seconds)


def test_an_order_is_working_until_it_arrives_and_then_meets_the_quote_of_that_moment() -> None:
    first = script(FLAT, "100 110 100 110", FLAT)
    clock = Clock(at(first, 1, 58))
    broker, account = slow(clock)
    sent = broker.submit(account.key, order("BUY", "1", "TEST/USD"))
    assert (sent.status, sent.fills) == (BrokerStatus.WORKING, ())
    clock.now = at(first, 2, 2)
    assert found(broker, account, sent).status is BrokerStatus.WORKING
    # The minute that ended at 110 lies between.
    clock.now = at(first, 2, 3)
    done = found(broker, account, sent)
    assert (done.status, done.average_price, done.fills[0].filled_at) == (BrokerStatus.FILLED, Decimal(110), clock.now)


def test_nothing_that_traded_before_it_arrived_fills_it() -> None:
    first = script(FLAT, FLAT, "100 100 80 100", FLAT, "100 100 89 100")
    clock = Clock(at(first, 1, 58))
    broker, account = slow(clock)
    sent = broker.submit(account.key, order("BUY", "1", "TEST/USD", limit="90"))
    clock.now = at(first, 4, 0)
    assert found(broker, account, sent).status is BrokerStatus.WORKING
    clock.now = at(first, 5, 0)
    assert found(broker, account, sent).fills[0].filled_at == clock.now


def outcome(first: datetime, looks: list[timedelta]) -> list[tuple[object, ...]]:
    """The same orders, with anybody looking only when said."""
    clock = Clock(at(first, 1, 55))
    broker, account = slow(clock, "20000", margin=True, volume_percent="20", slippage_percent="0.1")
    start = clock.now
    broker.submit(account.key, order("BUY", "10", "XYZ"))
    clock.advance(seconds=2)
    bracket = replace(
        order("BUY", "20", "XYZ", limit="102"),
        order_class=OrderClass.BRACKET,
        legs=(
            LegRequest(client_order_id=new_id(), side=Side.SELL, order_type=OrderType.LIMIT, limit_price=Decimal(104)),
            LegRequest(client_order_id=new_id(), side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal(95)),
        ),
    )
    broker.submit(account.key, bracket)
    doomed = broker.submit(account.key, order("SELL", "5", "XYZ", limit="104"))
    moved = broker.submit(account.key, order("SELL", "4", "XYZ", limit="120"))
    clock.advance(seconds=6)
    broker.replace(account.key, moved.client_order_id, OrderChanges(limit_price=Decimal(101)))
    clock.now = at(first, 2, 56)
    broker.cancel(account.key, doomed.client_order_id)
    broker.submit(account.key, order("BUY", "3", "XYZ"))
    for look in looks:
        clock.now = max(clock.now, start + look)
        accounts.match_resting(clock.now)
    clock.now = start + timedelta(minutes=4)
    broker.account_state(account.key)
    rows = [
        (row.status, row.filled_quantity, row.average_price, row.updated, row.reserved_cash, row.reserved_quantity)
        for row in PaperOrder.objects.filter(account=account).order_by("pk")
    ]
    fills = PaperFill.objects.filter(order__account=account).order_by("pk")
    return [*rows, *((fill.price, fill.quantity, fill.at, fill.model) for fill in fills)]


def test_what_happens_does_not_depend_on_when_anybody_looked() -> None:
    script_ = ["100 101 99 100", "100 103 99 101", "101 105 100 103", "103 103 94 96", "96 97 95 96", "96 99 96 98"]
    first = script(*script_, symbol="XYZ", asset_class=AssetClass.STOCK, volume="60")
    once = outcome(first, [])
    each_second = outcome(first, [timedelta(seconds=second) for second in range(1, 240)])
    now_and_then = outcome(first, [timedelta(seconds=second) for second in (7, 64, 65, 131)])
    assert once == each_second == now_and_then
    assert {"filled", "cancelled"} <= {row[0] for row in once if isinstance(row[0], str)}
    assert len([row for row in once if len(row) == 4]) == 5


@pytest.mark.parametrize(("sent_at", "status"), [(50, BrokerStatus.CANCELLED), (56, BrokerStatus.FILLED)])
def test_a_cancel_comes_too_late_for_a_bar_that_ended_before_it_arrived(sent_at: int, status: BrokerStatus) -> None:
    first = script(FLAT, FLAT, "100 100 89 100", FLAT)
    clock = Clock(at(first, 1, 0))
    broker, account = slow(clock)
    resting = broker.submit(account.key, order("BUY", "1", "TEST/USD", limit="90"))
    clock.now = at(first, 2, sent_at)
    assert broker.cancel(account.key, resting.client_order_id).status is BrokerStatus.WORKING
    clock.now = at(first, 2, sent_at + 4)
    # Asked again, it comes no later.
    if found(broker, account, resting).status.is_open:
        broker.cancel(account.key, resting.client_order_id)
    clock.now = at(first, 4, 0)
    done = found(broker, account, resting)
    assert (done.status, done.updated_at) == (
        status,
        at(first, 2, 55) if status is BrokerStatus.CANCELLED else at(first, 3, 0),
    )
    assert broker.account_state(account.key).cash[0].reserved == 0


def test_an_order_on_its_way_holds_the_most_it_may_cost() -> None:
    first = script(FLAT, FLAT)
    clock = Clock(at(first, 1, 0))
    broker, account = slow(clock, "1000")
    with pytest.raises(InsufficientFunds):
        broker.submit(account.key, order("BUY", "10", "TEST/USD"))
    broker.submit(account.key, order("BUY", "9", "TEST/USD"))
    assert broker.account_state(account.key).cash[0].reserved == 918
    clock.advance(seconds=5)
    assert broker.account_state(account.key).cash[0].total == 100
    broker.submit(account.key, order("SELL", "9", "TEST/USD"))
    with pytest.raises(InsufficientPosition):
        broker.submit(account.key, order("SELL", "1", "TEST/USD"))


def test_a_post_only_order_that_would_trade_when_it_arrives_is_rejected() -> None:
    first = script(FLAT, "100 100 89 89", FLAT)
    clock = Clock(at(first, 1, 58))
    broker, account = slow(clock)
    sent = broker.submit(account.key, replace(order("BUY", "1", "TEST/USD", limit="90"), post_only=True))
    clock.advance(seconds=5)
    done = found(broker, account, sent)
    assert (done.status, done.filled_quantity) == (BrokerStatus.REJECTED, Decimal(0))
    assert done.reason.startswith("Post only: ")


def test_a_market_order_that_arrives_after_the_bell_is_rejected_and_one_that_waits_is_for_the_next_day() -> None:
    clock = Clock(datetime(2026, 11, 20, 20, 59, 57, tzinfo=UTC))
    broker, account = slow(clock, hours="venue")
    market = broker.submit(account.key, order("BUY", "1", "AAPL"))
    limit = broker.submit(account.key, order("BUY", "1", "AAPL", limit="1", tif="DAY"))
    clock.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert (found(broker, account, market).status, found(broker, account, market).reason) == (
        BrokerStatus.REJECTED,
        "The market had closed when it arrived.",
    )
    assert found(broker, account, limit).status is BrokerStatus.WORKING
    clock.now = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
    assert found(broker, account, limit).status is BrokerStatus.EXPIRED


@pytest.mark.parametrize(("tif", "filled"), [("IOC", 10), ("FOK", 0)])
def test_what_may_not_wait_ends_when_it_arrives(tif: str, filled: int) -> None:
    first = script(FLAT, FLAT, volume="50")
    clock = Clock(at(first, 1, 0))
    broker, account = slow(clock, volume_percent="20")
    sent = broker.submit(account.key, order("BUY", "20", "TEST/USD", limit="101", tif=tif))
    clock.advance(seconds=5)
    done = found(broker, account, sent)
    assert (done.status, done.filled_quantity, done.updated_at) == (BrokerStatus.CANCELLED, Decimal(filled), clock.now)


def test_a_reduce_only_order_takes_what_is_left_of_the_position_when_it_arrives() -> None:
    first = script(FLAT, FLAT, FLAT, FLAT, symbol="XYZ", asset_class=AssetClass.STOCK)
    clock = Clock(at(first, 1, 0))
    broker, account = slow(clock, margin=True)
    broker.submit(account.key, order("BUY", "10", "XYZ"))
    clock.advance(seconds=5)
    reduces = broker.submit(account.key, replace(order("SELL", "10", "XYZ", limit="99"), reduce_only=True))
    model_settings.set_model(account.key, overrides={"latency_ms": Decimal(1000)}, now=clock.now)
    broker = PaperBroker.open({"account": account.key}, clock=clock)
    broker.submit(account.key, order("SELL", "6", "XYZ"))
    clock.advance(seconds=5)
    assert broker.positions(account.key) == []
    assert found(broker, account, reduces).filled_quantity == 4


def test_the_realistic_preset_has_its_latency_stamped_on_each_fill() -> None:
    first = script(FLAT, FLAT)
    clock = Clock(at(first, 1, 0))
    account = accounts.open_account("R", Decimal(1000), preset="realistic", now=clock.now)
    broker = PaperBroker.open({"account": account.key}, clock=clock)
    sent = broker.submit(account.key, order("BUY", "0.1", "TEST/USD"))
    assert found(broker, account, sent).status is BrokerStatus.WORKING
    clock.now += timedelta(milliseconds=200)
    fill: Fill = found(broker, account, sent).fills[0]
    assert (fill.filled_at, fill.model) == (clock.now, "realistic/2")
    assert costs.PRESETS["standard"].latency == costs.PRESETS["frictionless"].latency == 0


def test_live_prices_take_no_latency_of_ours() -> None:
    account = accounts.open_account("V", Decimal(1000), venue="kraken", preset="realistic")
    assert model_settings.settings_of(account.key).rates["latency_ms"] == 0
    with pytest.raises(ValueError, match="latency_ms can only be 0"):
        model_settings.set_model(account.key, overrides=SLOW, now=account.created)
