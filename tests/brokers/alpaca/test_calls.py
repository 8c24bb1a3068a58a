"""Every call of the broker interface against the fake, whose requests Alpaca's OpenAPI document allows."""

import dataclasses
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers import registry
from brokers.alpaca import parse
from brokers.alpaca.adapter import AlpacaBroker
from brokers.errors import (
    AuthFailed,
    BrokerUnavailable,
    DuplicateClientId,
    InsufficientFunds,
    InsufficientPosition,
    InvalidAccount,
    InvalidOrder,
    InvalidSymbol,
    NoRate,
    NotCancellable,
    OrderNotFound,
    Rejected,
)
from brokers.types import (
    AssetClass,
    BarSize,
    BrokerStatus,
    Environment,
    OrderChanges,
    OrderRequest,
    OrderType,
    SessionState,
    Side,
    TimeInForce,
)
from tests.brokers.alpaca.conftest import settings_for
from tests.brokers.alpaca.fake import ACCOUNT, SECRET, FakeAlpaca, asset
from tests.brokers.paper.support import new_id, order

OPTION = "AAPL260618C00250000"


@pytest.fixture(autouse=True)
def _only_what_alpaca_documents(fake: FakeAlpaca) -> Any:
    yield
    assert fake.violations == []


def test_the_account_says_whether_it_is_paper_and_must_agree_with_its_connection(fake: FakeAlpaca) -> None:
    (account,) = AlpacaBroker.open(settings_for(fake.url)).accounts()
    assert (account.account_id, account.environment, account.currency) == (ACCOUNT, Environment.PAPER, "USD")
    for wrong in ({"environment": "live"}, {"account": "PA000"}):
        with pytest.raises(Rejected):
            AlpacaBroker.open(settings_for(fake.url, **wrong)).accounts()


def test_linking_learns_what_the_keys_are_for_and_a_check_how_far_the_clocks_are_apart(
    alpaca: AlpacaBroker, fake: FakeAlpaca
) -> None:
    found = alpaca.connect()
    assert (found.environment, found.can_trade, found.can_withdraw) == (Environment.PAPER, True, None)
    assert alpaca.ping().clock_skew is not None
    wrong = AlpacaBroker.open(settings_for(fake.url, secret="another"))
    for call in (wrong.connect, wrong.ping):
        with pytest.raises(AuthFailed):
            call()


@pytest.mark.parametrize("wrong", [{"environment": "demo"}, {"feed": "other"}, {"secret": ""}, {"key_id": "ключ"}])
def test_a_record_that_is_not_complete_opens_no_connection(fake: FakeAlpaca, wrong: dict[str, str]) -> None:
    with pytest.raises(BrokerUnavailable):
        registry.open_broker("alpaca", settings_for(fake.url, **wrong))


def test_keys_that_alpaca_does_not_take_are_told_apart_from_an_empty_account(fake: FakeAlpaca) -> None:
    wrong = AlpacaBroker.open(settings_for(fake.url, secret="another"))
    with pytest.raises(AuthFailed):
        wrong.positions(ACCOUNT)
    with pytest.raises(AuthFailed):
        wrong.order(ACCOUNT, new_id())


def test_another_account_is_refused_by_every_call(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    for call in (
        lambda: alpaca.account_state("PA999"),
        lambda: alpaca.submit("PA999", order("BUY", "1", "BTC/USD")),
        lambda: alpaca.cancel("PA999", new_id()),
        lambda: alpaca.order("PA999", new_id()),
    ):
        with pytest.raises(InvalidAccount):
            call()
    assert fake.sent == []


def test_a_market_order_fills_and_moves_cash_and_position(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    bought = order("BUY", "0.123456789", "BTC/USD")
    placed = alpaca.submit(ACCOUNT, bought)
    assert (placed.status, placed.client_order_id) == (BrokerStatus.WORKING, bought.client_order_id)
    found = alpaca.order(ACCOUNT, bought.client_order_id)
    assert found is not None
    assert (found.status, found.filled_quantity, found.average_price) == (
        BrokerStatus.FILLED,
        Decimal("0.123456789"),
        Decimal(30_000),
    )
    (fill,) = found.fills
    assert (fill.quantity, fill.price, fill.side, fill.symbol) == (
        bought.quantity,
        Decimal(30_000),
        Side.BUY,
        "BTC/USD",
    )
    (held,) = alpaca.positions(ACCOUNT)
    assert (held.symbol, held.quantity, held.asset_class) == ("BTC/USD", bought.quantity, AssetClass.CRYPTO)
    state = alpaca.account_state(ACCOUNT)
    assert state.cash[0].total == 10_000_000 - Decimal("0.123456789") * 30_000
    (trade,) = alpaca.transactions(ACCOUNT, start=None, end=None, limit=5, kinds=["trade"])
    assert (trade.amount, trade.quantity) == (-Decimal("3703.70367"), bought.quantity)
    assert [each.client_order_id for each in alpaca.fills(ACCOUNT, limit=5)] == [bought.client_order_id]
    assert alpaca.fills(ACCOUNT, limit=5, client_order_id=new_id()) == []


def test_money_is_sent_as_text_and_comes_back_to_the_digit(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    fake.assets["BTC/USD"] |= dict.fromkeys(("min_trade_increment", "price_increment", "min_order_size"), "1e-18")
    asked = order("BUY", "0.000000000000000123", "BTC/USD", limit="12345.678901234567890123")
    alpaca.submit(ACCOUNT, asked)
    assert (fake.sent[0]["qty"], fake.sent[0]["limit_price"]) == ("0.000000000000000123", "12345.678901234567890123")
    found = alpaca.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert (found.quantity, found.limit_price) == (asked.quantity, asked.limit_price)
    told = fake.orders[found.broker_order_id]
    told["qty"], told["limit_price"] = "1.23E-16", "1.2345678901234567890123e4"
    found = alpaca.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert (found.quantity, found.limit_price) == (asked.quantity, asked.limit_price)


def test_partial_fills_are_listed_one_by_one_and_by_their_total_while_the_list_is_late(
    alpaca: AlpacaBroker, fake: FakeAlpaca
) -> None:
    asked = order("BUY", "3", "BTC/USD", limit="100")
    alpaca.submit(ACCOUNT, asked)
    for _ in range(2):
        fake.control("fill", {"client_order_id": asked.client_order_id, "qty": "1"})
    found = alpaca.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert (found.status, len(found.fills)) == (BrokerStatus.PARTIALLY_FILLED, 2)
    fake.activities.pop()
    found = alpaca.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert [fill.quantity for fill in found.fills] == [2]


def test_an_id_used_before_is_a_duplicate_and_not_a_rejection(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = order("BUY", "1", "BTC/USD", limit="100")
    alpaca.submit(ACCOUNT, asked)
    with pytest.raises(DuplicateClientId):
        alpaca.submit(ACCOUNT, asked)
    assert len(fake.orders) == 1


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (order("BUY", "1000000", "BTC/USD"), InsufficientFunds),
        (order("SELL", "1", "BTC/USD"), InsufficientPosition),
        (order("BUY", "1", "NOPE"), InvalidSymbol),
        (order("BUY", "1", "BTC/USD", tif="DAY"), InvalidOrder),
        (order("BUY", "1", "BTC/USD", stop="40000"), InvalidOrder),
        (order("BUY", "1", "AAPL", limit="181.555", tif="DAY"), InvalidOrder),
        (order("BUY", "0.5", "AAPL", tif="GTC"), InvalidOrder),
        (order("BUY", "1.5", OPTION, tif="DAY"), InvalidOrder),
        (order("BUY", "1", OPTION, tif="GTC"), InvalidOrder),
        (order("BUY", "0.0000000001", "BTC/USD"), InvalidOrder),
    ],
    ids=["money", "holding", "symbol", "tif", "type", "tick", "fraction", "option size", "option tif", "digits"],
)
def test_what_alpaca_would_refuse_is_refused(
    alpaca: AlpacaBroker, fake: FakeAlpaca, asked: OrderRequest, error: type[Rejected]
) -> None:
    with pytest.raises(error):
        alpaca.preview(ACCOUNT, asked)
    with pytest.raises(error):
        alpaca.submit(ACCOUNT, asked)
    assert fake.orders == {}


def test_every_order_kind_offered_is_sent_in_alpacas_words(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    prices: dict[OrderType, dict[str, Decimal]] = {
        OrderType.MARKET: {},
        OrderType.LIMIT: {"limit_price": Decimal("0.5")},
        OrderType.STOP: {"stop_price": Decimal(900)},
        OrderType.STOP_LIMIT: {"stop_price": Decimal(900), "limit_price": Decimal(901)},
        OrderType.TRAIL: {"trail_percent": Decimal("2.5")},
    }
    sent = 0
    for kind, terms in prices.items():
        for tif in sorted(alpaca.capabilities.times_in_force(kind)):
            request = OrderRequest(
                client_order_id=new_id(),
                symbol="AAPL",
                side=Side.BUY,
                order_type=kind,
                quantity=Decimal(1),
                tif=tif,
                **terms,  # type: ignore[arg-type]
            )
            assert alpaca.submit(ACCOUNT, request).order_type is kind
            sent += 1
    by_value = dataclasses.replace(
        order("BUY", "1", "AAPL", tif="DAY"), quantity=None, notional=Decimal("100.5"), client_order_id=new_id()
    )
    assert alpaca.submit(ACCOUNT, by_value).quantity is None
    assert fake.sent[-1]["notional"] == "100.5"
    early = dataclasses.replace(order("BUY", "1", "AAPL", limit="1", tif="DAY"), outside_rth=True)
    alpaca.submit(ACCOUNT, early)
    assert fake.sent[-1]["extended_hours"] is True
    assert len(fake.sent) == sent + 2 == 21
    assert alpaca.preview(ACCOUNT, by_value).notional == Decimal("100.5")


def test_a_resting_order_is_changed_under_a_new_id_and_the_old_one_reads_as_cancelled(
    alpaca: AlpacaBroker, fake: FakeAlpaca
) -> None:
    old, new = order("BUY", "2", "BTC/USD", limit="100"), new_id()
    alpaca.submit(ACCOUNT, old)
    changed = alpaca.replace(ACCOUNT, old.client_order_id, OrderChanges(limit_price=Decimal(99)), new)
    assert (changed.client_order_id, changed.limit_price, changed.quantity) == (new, Decimal(99), Decimal(2))
    before = alpaca.order(ACCOUNT, old.client_order_id)
    assert before is not None
    assert (before.status, before.reason) == (BrokerStatus.CANCELLED, "Replaced by another order.")
    fake.control("fill", {"client_order_id": new, "qty": "1"})
    with pytest.raises(InvalidOrder):
        alpaca.replace(ACCOUNT, new, OrderChanges(quantity=Decimal(5)), new_id())
    with pytest.raises(NotCancellable):
        alpaca.replace(ACCOUNT, old.client_order_id, OrderChanges(limit_price=Decimal(98)), new_id())
    with pytest.raises(DuplicateClientId):
        alpaca.replace(ACCOUNT, new, OrderChanges(limit_price=Decimal(98)), old.client_order_id)


def test_an_order_is_cancelled_and_one_that_has_ended_is_not(alpaca: AlpacaBroker) -> None:
    resting, done = order("BUY", "1", "BTC/USD", limit="100"), order("BUY", "1", "BTC/USD")
    alpaca.submit(ACCOUNT, resting)
    alpaca.submit(ACCOUNT, done)
    assert alpaca.cancel(ACCOUNT, resting.client_order_id).status is BrokerStatus.CANCELLED
    for ended in (resting, done):
        with pytest.raises(NotCancellable):
            alpaca.cancel(ACCOUNT, ended.client_order_id)
    with pytest.raises(OrderNotFound):
        alpaca.cancel(ACCOUNT, new_id())


def test_orders_are_listed_newest_first_over_more_than_one_page(
    alpaca: AlpacaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokers.alpaca.adapter._ORDERS_PAGE", 2)
    started = datetime.now(UTC)
    sent = [order("BUY", "1", "BTC/USD", limit="100") for _ in range(5)]
    for each in sent:
        alpaca.submit(ACCOUNT, each)
    names = [each.client_order_id for each in sent][::-1]
    assert [each.client_order_id for each in alpaca.orders(ACCOUNT, open_only=True)] == names
    assert [each.client_order_id for each in alpaca.orders(ACCOUNT, since=started, limit=3)] == names[:3]
    assert alpaca.orders(ACCOUNT, since=started + timedelta(minutes=1)) == []


def test_activities_are_read_over_more_than_one_page(alpaca: AlpacaBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokers.alpaca.adapter._PAGE", 2)
    for _ in range(5):
        alpaca.submit(ACCOUNT, order("BUY", "1", "BTC/USD"))
    every = alpaca.fills(ACCOUNT, limit=10)
    assert len({each.fill_id for each in every}) == 5
    assert alpaca.fills(ACCOUNT, limit=2, after=every[1].fill_id) == every[2:4]
    transactions = alpaca.transactions(ACCOUNT, start=None, end=None, limit=10)
    assert [each.transaction_id for each in transactions] == [each.fill_id for each in every]


@pytest.mark.parametrize(
    ("theirs", "filled", "ours"),
    [
        *(
            (status, "0", BrokerStatus.WORKING)
            for status in (
                *("new", "accepted", "pending_new", "accepted_for_bidding", "held", "pending_cancel"),
                *("pending_replace", "stopped", "suspended", "done_for_day"),
            )
        ),
        ("partially_filled", "1", BrokerStatus.PARTIALLY_FILLED),
        ("calculated", "1", BrokerStatus.PARTIALLY_FILLED),
        ("calculated", "3", BrokerStatus.FILLED),
        ("filled", "3", BrokerStatus.FILLED),
        ("canceled", "1", BrokerStatus.CANCELLED),
        ("expired", "0", BrokerStatus.EXPIRED),
        ("replaced", "0", BrokerStatus.CANCELLED),
        ("rejected", "0", BrokerStatus.REJECTED),
    ],
)
def test_every_status_has_a_meaning(fake: FakeAlpaca, theirs: str, filled: str, ours: BrokerStatus) -> None:
    told = fake.other() | {"status": theirs, "qty": "3", "filled_qty": filled}
    assert parse.order(told).status is ours


def test_an_instrument_id_leads_to_what_alpaca_calls_it(alpaca: AlpacaBroker) -> None:
    for named, symbol in (
        ("STK:AAPL.USD@XNAS", "AAPL"),
        ("CRY:BTC/USD@alpaca", "BTC/USD"),
        ("OPT:AAPL.USD:2026-06-18:C:250", OPTION),
    ):
        found = alpaca.instrument(named)
        assert (found.symbol, found.instrument_id) == (symbol, named)
        assert found.fetched_at is not None
    for other in ("STK:AAPL.USD@XNYS", "STK:AAPL.EUR", "CRY:BTC/USD@kraken", "FX:BTC/USD", "PERP:BTC/USD:USD"):
        with pytest.raises(InvalidSymbol):
            alpaca.instrument(other)


def test_options_are_read_previewed_and_bought_by_their_occ_symbol(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    found = alpaca.instrument(OPTION.lower())
    assert (found.asset_class, found.multiplier, found.lot) == (AssetClass.OPTION, Decimal(100), Decimal(1))
    asked = order("BUY", "2", OPTION, limit="4.25", tif="DAY")
    assert alpaca.preview(ACCOUNT, asked).notional == Decimal(850)
    assert alpaca.submit(ACCOUNT, asked).symbol == OPTION


def test_market_data_comes_as_exact_decimals(alpaca: AlpacaBroker) -> None:
    stock, coin = alpaca.quotes(["AAPL", "btc/usd"])
    assert (stock.last, stock.source, coin.ask) == (Decimal("181.5"), "Alpaca IEX", Decimal(30_000))
    bars = alpaca.bars("AAPL", BarSize.MINUTE, limit=3)
    assert len(bars) == 3 and bars[0].start < bars[2].start < datetime.now(UTC) - timedelta(minutes=1)
    assert bars[0].close == Decimal("178.21")
    book = alpaca.order_book("BTC/USD", 5)
    assert ([level.price for level in book.bids], len(book.asks)) == ([Decimal(29_999)], 1)
    assert alpaca.order_book("AAPL", 5).bids[0].size == 2
    assert alpaca.prints("BTC/USD", 5).prints[0].size == 2
    rate = alpaca.exchange_rate("USD", "JPY")
    assert rate.rate == Decimal("127.779")
    with pytest.raises(NoRate):
        alpaca.exchange_rate("USD", "XXX")


def test_hours_tell_holidays_and_early_closes(alpaca: AlpacaBroker) -> None:
    us, coins = alpaca.market_hours(day=date(2026, 11, 26))
    assert (us.opens, us.why, us.state) == (None, "holiday", SessionState.OPEN)
    assert us.exceptions == ((date(2026, 11, 26), "holiday"), (date(2026, 11, 27), "early_close"))
    assert coins.why == "always_open"
    (friday,) = alpaca.market_hours(day=date(2026, 11, 27), market="US")
    assert friday.closes == datetime(2026, 11, 27, 18, tzinfo=UTC)


def test_instruments_are_found_by_symbol_and_by_name(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    fake.assets["AAPD"] = asset("AAPD")
    fake.assets["GONE"] = asset("GONE", tradable=False)
    assert [each.symbol for each in alpaca.find_instruments("aap")] == ["AAPD", "AAPL"]
    assert [each.symbol for each in alpaca.find_instruments("AAPL")] == ["AAPL"]
    assert [each.symbol for each in alpaca.find_instruments("btc", by_name=True)] == ["BTC/USD"]
    with pytest.raises(InvalidSymbol):
        alpaca.instrument("GONE")


def test_what_alpaca_says_is_passed_on_without_addresses_and_secrets() -> None:
    assert parse.error_details({"code": 1, "message": "see https://evil"}) == (1, "")
    assert parse.error_details({"code": 1, "message": f"bad {SECRET}"}, SECRET) == (1, "")
    assert parse.error_details({"code": 1, "message": "in\u202eval\nid"}) == (1, "invalid")
    assert parse.error_details({"message": "no code"}) is None


def test_coins_in_positions_get_their_stroke_back() -> None:
    pairs = {"BTCUSD": "BTC/USD", "ETHBTC": "ETH/BTC", "BTCUSDT": "BTC/USDT", "USDTUSD": "USDT/USD"}
    assert {each: parse.pair(each, AssetClass.CRYPTO) for each in pairs} == pairs
    assert parse.guess_class(OPTION) is AssetClass.OPTION
    assert TimeInForce.DAY in AlpacaBroker.capabilities.fget(None).time_in_force  # type: ignore[attr-defined]
