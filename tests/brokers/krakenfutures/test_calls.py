"""What only Kraken Futures does: where its orders are found, its wallet, and what it calls things."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import (
    BrokerUnavailable,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    NotSupported,
    Rejected,
    UnknownOutcome,
)
from brokers.krakenfutures.adapter import ACCOUNT, KrakenFuturesBroker
from brokers.types import AssetClass, BrokerStatus, Environment, OrderType, Side, TimeInForce
from tests.brokers.contract.cases import KRAKEN_FUTURES, Rig
from tests.brokers.krakenfutures.fake import KEY, SECRET, KrakenFuturesFake

PERPETUAL = "BTC/USD:USD"


@pytest.fixture
def rig() -> Iterator[Rig]:
    with KRAKEN_FUTURES.opened() as opened:
        yield opened


@pytest.fixture
def futures(rig: Rig) -> KrakenFuturesBroker:
    assert isinstance(rig.broker, KrakenFuturesBroker)
    return rig.broker


@pytest.fixture
def fake(rig: Rig) -> KrakenFuturesFake:
    assert isinstance(rig.fake, KrakenFuturesFake)
    return rig.fake


@pytest.mark.parametrize(
    ("environment", "host"), [("paper", "demo-futures.kraken.com"), ("live", "futures.kraken.com")]
)
def test_paper_is_the_demo_and_live_the_real_host(environment: str, host: str) -> None:
    broker = KrakenFuturesBroker.open({"api_key": KEY, "secret": SECRET, "environment": environment})
    for of in ("private", "public", "history", "charts"):
        assert broker._client.exchange.urls["api"][of].startswith(f"https://{host}/")


def test_whose_key_it_is_and_what_it_cannot_be_asked(futures: KrakenFuturesBroker) -> None:
    found = futures.connect()
    assert (found.environment, found.can_trade, found.can_withdraw) == (Environment.PAPER, None, None)
    assert "withdrawal access is off" in found.note


def test_the_wallet_is_told_by_its_collateral_and_its_margins(futures: KrakenFuturesBroker) -> None:
    state = futures.account_state(ACCOUNT)
    assert {each.currency: each.total for each in state.cash} == {"USD": Decimal(100_000), "BTC": Decimal(2)}
    assert (state.equity, state.positions_value) == (Decimal("159850.75"), Decimal("-149.25"))
    assert state.buying_power == Decimal("133850.75")
    assert (state.initial_margin, state.maintenance_margin) == (Decimal("25000.25"), Decimal("12500.5"))


def test_an_account_without_the_wallet_is_unavailable_and_not_empty(
    futures: KrakenFuturesBroker, fake: KrakenFuturesFake
) -> None:
    assert futures.accounts()
    speak = fake.speak
    nothing = {"result": "success", "accounts": {"cash": {"type": "cashAccount", "balances": {}}}}
    fake.speak = lambda asked: (200, nothing) if asked.path.endswith("/accounts") else speak(asked)  # type: ignore[method-assign]
    with pytest.raises(BrokerUnavailable, match="multi-collateral"):
        futures.account_state(ACCOUNT)


def test_a_short_position_is_negative_with_its_profit(futures: KrakenFuturesBroker) -> None:
    (held,) = futures.positions(ACCOUNT)
    assert (held.symbol, held.asset_class) == (PERPETUAL, AssetClass.PERPETUAL)
    assert (held.quantity, held.average_price, held.last) == (Decimal("-1.5"), Decimal("29900.5"), Decimal(30000))
    assert held.unrealized_pnl == Decimal("-149.25")


def test_a_position_is_told_whatever_case_its_contract_is_written_in(
    futures: KrakenFuturesBroker, fake: KrakenFuturesFake
) -> None:
    fake.held = "pf_xbtusd"
    assert [(each.symbol, each.quantity) for each in futures.positions(ACCOUNT)] == [(PERPETUAL, Decimal("-1.5"))]


@pytest.mark.parametrize("held", ["pf_gonecoinusd", "FF_XBTUSD_200327", "PI_XBTUSD"])
def test_a_position_in_a_contract_that_is_not_known_here_never_vanishes(
    futures: KrakenFuturesBroker, fake: KrakenFuturesFake, held: str
) -> None:
    fake.held = held
    with pytest.raises(BrokerUnavailable, match="Check your positions at the broker"):
        futures.positions(ACCOUNT)


@pytest.mark.parametrize("wire", ["PI_XBTUSD", "FF_XBTUSD_200327"])
def test_what_was_traded_elsewhere_in_other_contracts_breaks_no_list(
    rig: Rig, fake: KrakenFuturesFake, wire: str
) -> None:
    done = rig.order(order_type=OrderType.MARKET, limit_price=None)
    rig.broker.submit(ACCOUNT, done)
    resting = rig.order()
    rig.broker.submit(ACCOUNT, resting)
    mine = {done.client_order_id, resting.client_order_id}
    for status in ("open", "filled"):
        for client_id in ("", "placed by hand"):
            foreign = rig.order(order_type=OrderType.MARKET, limit_price=None)
            rig.broker.submit(ACCOUNT, foreign)
            at_venue = fake.by_client(foreign.client_order_id)
            assert at_venue is not None
            at_venue.wire, at_venue.client_id, at_venue.status = wire, client_id, status
            at_venue.trades[0].wire = wire
    rig.broker._client.memory.client_ids.clear()  # type: ignore[attr-defined]
    assert {each.client_order_id for each in rig.broker.orders(ACCOUNT)} == mine
    assert [each.client_order_id for each in rig.broker.fills(ACCOUNT, limit=1)] == [done.client_order_id]
    assert rig.broker.cancel(ACCOUNT, resting.client_order_id).status is BrokerStatus.CANCELLED


def test_an_order_of_ours_whose_contract_is_gone_is_never_left_out(rig: Rig, fake: KrakenFuturesFake) -> None:
    order = rig.order(order_type=OrderType.MARKET, limit_price=None)
    rig.broker.submit(ACCOUNT, order)
    at_venue = fake.by_client(order.client_order_id)
    assert at_venue is not None
    at_venue.wire = at_venue.trades[0].wire = "FF_XBTUSD_200327"
    resting = rig.order()
    rig.broker.submit(ACCOUNT, resting)
    told = {each.client_order_id: each for each in rig.broker.orders(ACCOUNT)}
    assert set(told) == {order.client_order_id, resting.client_order_id}
    gone = told[order.client_order_id]
    assert (gone.symbol, gone.status, gone.filled_quantity) == ("FF_XBTUSD_200327", BrokerStatus.FILLED, rig.quantity)
    with pytest.raises(InvalidSymbol):
        rig.broker.fills(ACCOUNT, limit=5)


def test_contracts_that_settle_in_a_coin_are_not_offered(futures: KrakenFuturesBroker) -> None:
    offered = {each.symbol: each.asset_class for each in futures.instruments(limit=100)}
    assert offered[PERPETUAL] is AssetClass.PERPETUAL
    assert offered["BTC/USD:USD-291228"] is AssetClass.FUTURE
    assert "BTC/USD:BTC" not in offered
    with pytest.raises(InvalidSymbol):
        futures.instrument("BTC/USD:BTC")


def test_contract_months_come_nearest_first(futures: KrakenFuturesBroker) -> None:
    assert [(each.symbol, each.expires) for each in futures.futures_contracts("btc")] == [
        ("BTC/USD:USD-291228", date(2029, 12, 28)),
        ("BTC/USD:USD-300329", date(2030, 3, 29)),
    ]


def test_a_funding_rate_is_a_share_of_the_position_each_hour(futures: KrakenFuturesBroker) -> None:
    found = futures.funding_rate(PERPETUAL, 2)
    assert (found.rate, found.interval_hours) == (Decimal("-0.00005"), Decimal(1)), "-1.500025 dollars of 30,000.5"
    assert (found.mark, found.index, found.open_interest) == (
        Decimal("30000.5"),
        Decimal("29998.25"),
        Decimal("149655.25"),
    )
    assert [each.rate for each in found.history] == [Decimal("-0.000018715"), Decimal("-0.000018714")]
    assert found.next_at is not None
    assert timedelta(0) < found.next_at - datetime.now(UTC) <= timedelta(hours=1)
    with pytest.raises(InvalidRequest, match="not a perpetual"):
        futures.funding_rate("BTC/USD:USD-291228", 2)


def test_fees_are_not_told_and_an_order_is_estimated_at_the_first_tier(futures: KrakenFuturesBroker, rig: Rig) -> None:
    with pytest.raises(NotSupported):
        futures.fees(ACCOUNT)
    preview = futures.preview(ACCOUNT, rig.order(quantity=Decimal(1), limit_price=Decimal(20000)))
    assert (preview.fee, preview.buying_power) == (Decimal(10), Decimal("133850.75"))


def test_what_goes_over_the_wire_is_the_order_and_our_id_as_a_uuid(rig: Rig) -> None:
    order = rig.order(
        order_type=OrderType.STOP_LIMIT, limit_price=Decimal(31000), stop_price=Decimal(30900), reduce_only=True
    )
    rig.broker.submit(ACCOUNT, order)
    ours = order.client_order_id
    assert rig.wire.bodies[-1] == {
        "orderType": "stp",
        "symbol": "PF_XBTUSD",
        "side": "buy",
        "size": "0.5",
        "cliOrdId": f"{ours[:8]}-{ours[8:12]}-{ours[12:16]}-{ours[16:20]}-{ours[20:]}",
        "limitPrice": "31000",
        "stopPrice": "30900",
        "triggerSignal": "last",
        "reduceOnly": "true",
    }
    assert rig.wire.refused == []


def test_a_limit_that_finds_nothing_to_fill_at_once_has_ended_and_was_not_refused(rig: Rig) -> None:
    order = rig.order(tif=TimeInForce.IOC)
    ended = rig.broker.submit(ACCOUNT, order)
    assert (ended.status, ended.filled_quantity, ended.quantity) == (BrokerStatus.CANCELLED, Decimal(0), order.quantity)
    assert rig.wire.sent[order.client_order_id] == 1


def test_a_post_only_order_that_would_fill_is_refused(rig: Rig) -> None:
    with pytest.raises(Rejected, match="postWouldExecute"):
        rig.broker.submit(ACCOUNT, rig.order(post_only=True, limit_price=Decimal(40000)))


def test_an_order_that_the_history_does_not_know_yet_is_found_by_its_status(rig: Rig, fake: KrakenFuturesFake) -> None:
    fake.lags = True
    order = rig.order(order_type=OrderType.MARKET, limit_price=None)
    done = rig.broker.submit(ACCOUNT, order)
    assert (done.status, done.filled_quantity) == (BrokerStatus.FILLED, order.quantity)
    assert (done.order_type, done.limit_price, done.average_price) == (None, None, None), "not told there"
    fake.lags = False
    later = rig.broker.order(ACCOUNT, order.client_order_id, symbol=rig.symbol)
    assert later is not None
    assert (later.average_price, len(later.fills)) == (Decimal(30001), 1)
    assert later.fees == later.fills[0].fee > 0


def test_an_order_that_nobody_tells_of_is_unknown_after_the_send_and_none_when_asked(
    rig: Rig, fake: KrakenFuturesFake
) -> None:
    fake.lags, fake.remembers = True, False
    order = rig.order(order_type=OrderType.MARKET, limit_price=None)
    with pytest.raises(UnknownOutcome, match="does not list it yet"):
        rig.broker.submit(ACCOUNT, order)
    assert rig.broker.order(ACCOUNT, order.client_order_id, symbol=rig.symbol) is None


def test_every_page_of_the_history_is_read(rig: Rig, fake: KrakenFuturesFake) -> None:
    fake.page, fake.remembers = 1, False
    orders = [rig.order() for _ in range(3)]
    for order in orders:
        rig.broker.submit(ACCOUNT, order)
    fake.remembers = True
    for order in orders:
        rig.broker.cancel(ACCOUNT, order.client_order_id, symbol=rig.symbol)
    fake.remembers = False
    for order in orders:
        found = rig.broker.order(ACCOUNT, order.client_order_id)
        assert found is not None
        assert (found.status, found.limit_price) == (BrokerStatus.CANCELLED, order.limit_price)
    assert len(rig.broker.orders(ACCOUNT)) == 3
    assert len(rig.broker.orders(ACCOUNT, limit=2)) == 2


def test_a_cancelled_order_keeps_what_had_filled_of_it(rig: Rig, fake: KrakenFuturesFake) -> None:
    order = rig.order()
    rig.broker.submit(ACCOUNT, order)
    at_venue = fake.by_client(order.client_order_id)
    assert at_venue is not None
    fake.fill(at_venue, "15000", "0.2")
    ended = rig.broker.cancel(ACCOUNT, order.client_order_id, symbol=rig.symbol)
    assert (ended.status, ended.filled_quantity, ended.quantity) == (
        BrokerStatus.CANCELLED,
        Decimal("0.2"),
        order.quantity,
    )
    assert [fill.quantity for fill in ended.fills] == [Decimal("0.2")]


def test_a_limit_of_which_a_part_filled_at_once_has_ended_with_that_part(rig: Rig, fake: KrakenFuturesFake) -> None:
    order = rig.order(tif=TimeInForce.IOC, limit_price=Decimal(40000))
    rig.broker.submit(ACCOUNT, order)
    at_venue = fake.by_client(order.client_order_id)
    assert at_venue is not None
    at_venue.status, at_venue.filled, at_venue.trades[0].amount = "canceled", "0.2", "0.2"
    found = rig.broker.order(ACCOUNT, order.client_order_id)
    assert found is not None
    assert (found.status, found.filled_quantity, found.quantity) == (
        BrokerStatus.CANCELLED,
        Decimal("0.2"),
        order.quantity,
    )
    assert (found.tif, found.average_price) == (TimeInForce.IOC, Decimal(30001))


def test_the_log_tells_what_changed_the_money_and_leaves_out_contracts(
    futures: KrakenFuturesBroker, fake: KrakenFuturesFake
) -> None:
    found = futures.transactions(ACCOUNT, start=None, end=None, limit=10)
    assert [(each.kind, each.currency, each.amount) for each in found] == [
        ("trade", "USD", Decimal("-1.25")),
        ("interest", "USD", Decimal("0.00125")),
        ("transfer", "USD", Decimal(50)),
    ]
    assert [
        each.kind for each in futures.transactions(ACCOUNT, start=None, end=None, limit=10, kinds=["transfer"])
    ] == ["transfer"]
    fake.log_rows = 1200
    many = futures.transactions(ACCOUNT, start=None, end=None, limit=850)
    assert len({each.transaction_id for each in many}) == len(many) == 850
    after = futures.transactions(ACCOUNT, start=None, end=None, limit=5, after=many[2].transaction_id)
    assert after == many[3:8]


@pytest.mark.parametrize("kind", [OrderType.STOP, OrderType.STOP_LIMIT])
def test_a_stop_that_was_cancelled_is_found_among_the_triggers(rig: Rig, kind: OrderType) -> None:
    limit = Decimal(31000) if kind.needs_limit else None
    order = rig.order(order_type=kind, limit_price=limit, stop_price=Decimal(30900))
    rig.broker.submit(ACCOUNT, order)
    ended = rig.broker.cancel(ACCOUNT, order.client_order_id, symbol=rig.symbol)
    assert (ended.status, ended.order_type) == (BrokerStatus.CANCELLED, kind)
    assert (ended.stop_price, ended.limit_price) == (Decimal(30900), limit)


def test_fills_of_the_account_come_newest_first_with_our_ids_and_go_on_page_by_page(
    rig: Rig, fake: KrakenFuturesFake
) -> None:
    sent = [rig.order(order_type=OrderType.MARKET, limit_price=None, side=side) for side in (Side.BUY, Side.SELL)]
    for order in sent:
        rig.broker.submit(ACCOUNT, order)
    found = rig.broker.fills(ACCOUNT, limit=10)
    assert [each.client_order_id for each in found] == [order.client_order_id for order in reversed(sent)]
    assert [each.side for each in found] == [Side.SELL, Side.BUY]
    assert {each.currency for each in found} == {"USD"}
    assert rig.broker.fills(ACCOUNT, limit=10, after=found[0].fill_id) == found[1:]
    with pytest.raises(InvalidRequest):
        rig.broker.fills(ACCOUNT, limit=10, after="nothing")


@pytest.mark.parametrize(
    ("distance", "stop"),
    [({"trail_percent": Decimal(5)}, Decimal(29450)), ({"trail_amount": Decimal(500)}, Decimal(30500))],
)
def test_a_trailing_stop_follows_the_price_and_fills_under_our_id(
    rig: Rig, fake: KrakenFuturesFake, distance: dict[str, Any], stop: Decimal
) -> None:
    order = rig.order(side=Side.SELL, order_type=OrderType.TRAIL, limit_price=None, reduce_only=True, **distance)
    told = rig.broker.submit(rig.account_id, order)
    assert (told.order_type, told.trail_percent, told.trail_amount) == (
        OrderType.TRAIL,
        order.trail_percent,
        order.trail_amount,
    )
    for price in ("31000", "30900"):
        fake.move(rig.symbol, price)
    waiting = rig.look(order.client_order_id)
    assert waiting is not None
    assert (waiting.status, waiting.stop_price) == (BrokerStatus.WORKING, stop)
    fake.move(rig.symbol, str(stop))
    done = rig.look(order.client_order_id)
    assert done is not None
    assert (done.status, done.filled_quantity, done.average_price) == (BrokerStatus.FILLED, order.quantity, stop)


def test_a_trailing_stop_that_was_cancelled_keeps_its_distance(rig: Rig) -> None:
    order = rig.order(order_type=OrderType.TRAIL, limit_price=None, trail_percent=Decimal(5))
    rig.broker.submit(rig.account_id, order)
    ended = rig.broker.cancel(rig.account_id, order.client_order_id)
    assert (ended.status, ended.order_type, ended.trail_percent) == (
        BrokerStatus.CANCELLED,
        OrderType.TRAIL,
        Decimal(5),
    )


@pytest.mark.parametrize("percent", ["0.05", "50.5"])
def test_a_distance_that_kraken_futures_does_not_take_is_refused_before_it_is_sent(
    rig: Rig, fake: KrakenFuturesFake, percent: str
) -> None:
    order = rig.order(order_type=OrderType.TRAIL, limit_price=None, trail_percent=Decimal(percent))
    with pytest.raises(InvalidOrder, match=r"0\.1 to 50 percent"):
        rig.broker.submit(rig.account_id, order)
    assert fake.bodies == []
