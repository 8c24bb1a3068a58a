"""CrossTrade's words into ours and back."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.crosstrade.adapter import CrossTradeBroker
from brokers.errors import AmbiguousSymbol, InvalidAccount, InvalidOrder, InvalidRequest, InvalidSymbol, NotSupported
from brokers.types import BarSize, BrokerStatus, Environment, OrderChanges, OrderType, Side, TimeInForce
from tests.brokers.crosstrade.conftest import settings_for
from tests.brokers.crosstrade.fake import ACCOUNT, BASE, FakeCrossTrade
from tests.brokers.paper.support import order

SYMBOL = "ES 12-26"


@pytest.mark.parametrize(
    ("account", "provider", "simulation", "environment"),
    [
        ("Sim101", "Simulator", True, Environment.PAPER),
        ("Sim101", "Simulator", False, Environment.LIVE),
        ("Sim101", "Rithmic", True, Environment.LIVE),
        ("Simpson", "Simulator", True, Environment.LIVE),
        ("APEX-12345", "Simulator", True, Environment.LIVE),
    ],
)
def test_an_account_is_paper_only_if_its_name_its_provider_and_the_person_say_so(
    account: str, provider: str, simulation: bool, environment: Environment
) -> None:
    with FakeCrossTrade(account, provider) as fake:
        info = CrossTradeBroker.open(settings_for(fake, account=account, simulation=simulation)).connect()
    assert (info.environment, info.accounts[0].environment) == (environment, environment)


def test_one_connection_is_one_account_though_the_key_reaches_them_all(crosstrade: CrossTradeBroker) -> None:
    assert [each.account_id for each in crosstrade.accounts()] == [ACCOUNT]
    for call in (crosstrade.positions, crosstrade.orders, lambda it: crosstrade.submit(it, order("BUY", "1", SYMBOL))):
        with pytest.raises(InvalidAccount):
            call("Sim102")


def test_money_and_positions_are_read_to_the_digit(crosstrade: CrossTradeBroker) -> None:
    state = crosstrade.account_state(ACCOUNT)
    assert (state.equity, state.buying_power) == (Decimal("103502.75"), Decimal("99.5"))
    (held,) = crosstrade.positions(ACCOUNT)
    assert (held.quantity, held.market_value) == (Decimal(-2), Decimal("-661425.00"))


@pytest.mark.parametrize(
    "symbol", ["ES", "ES1!", "ESZ6", "es 12-26", "ES 13-26", "../ES 12-26", "ES 12-26,NQ 12-26", ""]
)
def test_only_a_contract_with_its_month_is_taken(
    crosstrade: CrossTradeBroker, fake: FakeCrossTrade, symbol: str
) -> None:
    with pytest.raises(InvalidSymbol, match="with its month"):
        crosstrade.instrument(symbol)
    assert fake.received == []


def test_a_root_is_ambiguous_and_an_instrument_id_names_one_month(crosstrade: CrossTradeBroker) -> None:
    with pytest.raises(AmbiguousSymbol):
        crosstrade.instrument("ES")
    known = crosstrade.instrument("fut:es.usd:2026-12")
    assert (known.symbol, known.instrument_id) == (SYMBOL, "FUT:ES.USD:2026-12@XCME")
    assert crosstrade.quotes([known.instrument_id])[0].instrument_id == known.instrument_id
    assert crosstrade.preview(ACCOUNT, order("BUY", "1", known.instrument_id)).quote.symbol == SYMBOL
    for other in ("FUT:ES.USD:2026-12@XEUR", "FUT:ES.EUR:2026-12", "STK:ES.USD", "FUT:ES/USD:USD:2026-12-18"):
        with pytest.raises(InvalidSymbol):
            crosstrade.instrument(other)


def test_a_contract_nobody_knows_or_in_a_currency_nobody_tells_is_refused(crosstrade: CrossTradeBroker) -> None:
    for symbol in ("XX 12-26", "FDAX 12-26"):
        with pytest.raises(InvalidSymbol, match=symbol):
            crosstrade.quotes([symbol])
    assert crosstrade.find_instruments("XX 12-26") == crosstrade.find_instruments("ES") == []
    assert [each.symbol for each in crosstrade.find_instruments("es 12-26")] == [SYMBOL]


def test_bars_are_asked_for_by_contract_size_and_days(crosstrade: CrossTradeBroker, fake: FakeCrossTrade) -> None:
    crosstrade.bars(SYMBOL, BarSize.FIVE_MINUTES, limit=3)
    path, _, body = fake.writes[-1].decode().partition("\n")
    assert path == f"{BASE}/market/bars"
    asked = {"instrument": SYMBOL, "periodType": "minute", "period": 5, "limit": 5000, "daysBack": 4}
    assert json.loads(body) == asked


def test_quotes_and_bars(crosstrade: CrossTradeBroker) -> None:
    quote = crosstrade.quotes([SYMBOL])[0]
    assert (quote.last, quote.ask, quote.change) == (Decimal("6617.75"), Decimal("6618.00"), Decimal("-8.25"))
    bars = crosstrade.bars(SYMBOL, BarSize.FIVE_MINUTES, limit=3)
    assert len(bars) == 3
    assert all(bar.start.second == 0 and bar.start < datetime.now(UTC) for bar in bars)


@pytest.mark.parametrize(
    ("limit", "stop", "kind"),
    [
        (None, None, OrderType.MARKET),
        ("6000.25", None, OrderType.LIMIT),
        (None, "6700", OrderType.STOP),
        ("6701", "6700", OrderType.STOP_LIMIT),
    ],
)
def test_every_kind_of_order_reads_back_as_it_was_sent(
    crosstrade: CrossTradeBroker, limit: str | None, stop: str | None, kind: OrderType
) -> None:
    asked = order("SELL", "3", SYMBOL, limit=limit, stop=stop, tif="DAY")
    crosstrade.submit(ACCOUNT, asked)
    found = crosstrade.order(ACCOUNT, asked.client_order_id, symbol=SYMBOL)
    assert found is not None
    assert (found.order_type, found.side, found.tif, found.quantity) == (kind, Side.SELL, TimeInForce.DAY, Decimal(3))
    assert (found.limit_price, found.stop_price) == (asked.limit_price, asked.stop_price)
    assert found.status is (BrokerStatus.FILLED if kind is OrderType.MARKET else BrokerStatus.WORKING)
    (listed,) = crosstrade.orders(ACCOUNT)
    assert listed == found


def test_eighteen_decimals_travel_both_ways_to_the_digit(crosstrade: CrossTradeBroker, fake: FakeCrossTrade) -> None:
    fake.tick = Decimal("0.000000000000000001")
    asked = order("BUY", "1", SYMBOL, limit="6000.000000000000000001")
    crosstrade.submit(ACCOUNT, asked)
    assert fake.sent[0]["limitPrice"] == asked.limit_price
    found = crosstrade.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert found.limit_price == asked.limit_price


def test_a_cancel_ends_the_order(crosstrade: CrossTradeBroker) -> None:
    asked = order("BUY", "1", SYMBOL, limit="6000")
    crosstrade.submit(ACCOUNT, asked)
    crosstrade.cancel(ACCOUNT, asked.client_order_id)
    assert [each.status for each in crosstrade.orders(ACCOUNT)] == [BrokerStatus.CANCELLED]
    assert crosstrade.orders(ACCOUNT, open_only=True) == []


def test_what_would_be_altered_or_refused_is_not_sent(crosstrade: CrossTradeBroker, fake: FakeCrossTrade) -> None:
    for wrong, field in (
        (order("BUY", "1.5", SYMBOL), "quantity"),
        (order("BUY", "1", SYMBOL, limit="6000.10"), "limit_price"),
        (order("BUY", "1", SYMBOL, tif="IOC"), "tif"),
    ):
        with pytest.raises(InvalidOrder) as caught:
            crosstrade.submit(ACCOUNT, wrong)
        assert caught.value.field == field
    with pytest.raises(NotSupported):
        crosstrade.replace(ACCOUNT, "0" * 32, OrderChanges(quantity=Decimal(2)))
    with pytest.raises(InvalidRequest):
        crosstrade.order(ACCOUNT, "../place")
    assert fake.sent == []


def test_a_preview_shows_what_is_moved_and_sends_nothing(crosstrade: CrossTradeBroker, fake: FakeCrossTrade) -> None:
    preview = crosstrade.preview(ACCOUNT, order("BUY", "2", SYMBOL, limit="6000"))
    assert (preview.notional, preview.fee) == (Decimal(600_000), Decimal(0))
    assert fake.sent == []


@pytest.mark.parametrize("name", ["token", "account"])
def test_settings_that_lack_something_are_refused(fake: FakeCrossTrade, name: str) -> None:
    for value in ("", None, "with\nline", "ünïcode"):
        with pytest.raises(InvalidRequest, match=name):
            CrossTradeBroker.open(settings_for(fake, **{name: value}))
