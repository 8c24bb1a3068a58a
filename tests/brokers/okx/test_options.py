"""Options at OKX are read: what is listed on a coin, and one day's chain with prices in the coin."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import InvalidRequest, InvalidSymbol, NotSupported
from brokers.okx.adapter import OkxBroker
from brokers.types import OptionRight
from tests.brokers.contract.cases import OKX, Rig
from tests.brokers.crypto.recorded import answers, steady

DAY = date(2029, 12, 28)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with steady(OKX) as opened:
        yield opened


@pytest.fixture
def okx(rig: Rig) -> OkxBroker:
    assert isinstance(rig.broker, OkxBroker)
    return rig.broker


@pytest.mark.parametrize("name", ["BTC", "btc/usdt", "BTC/USDT:USDT"])
def test_the_days_are_those_of_the_coin_however_it_is_named(okx: OkxBroker, name: str) -> None:
    found = okx.option_expirations(name)
    assert [(each.day, each.strikes, each.lowest_strike, each.highest_strike) for each in found] == [
        (DAY, 3, Decimal(25000), Decimal(35000)),
        (date(2030, 3, 29), 3, Decimal(25000), Decimal(35000)),
    ]


def test_a_chain_has_the_strikes_nearest_to_the_index_with_what_okx_tells_of_each(okx: OkxBroker) -> None:
    found = okx.option_chain("BTC", DAY, strikes=1)
    assert (found.underlying, found.underlying_price, found.currency, found.multiplier) == (
        "BTC", Decimal("29998.1"), "BTC", Decimal("0.01"),
    )  # fmt: skip
    call, put = found.contracts
    assert (call.symbol, call.right, call.strike) == ("BTC-USD-291228-30000-C", OptionRight.CALL, Decimal(30000))
    assert (call.bid, call.ask, call.last, call.open_interest) == (
        Decimal("0.0205"), Decimal("0.022"), Decimal("0.021"), Decimal(120),
    )  # fmt: skip
    assert (call.implied_volatility, call.delta, call.theta) == (Decimal("0.6412"), Decimal("0.55"), Decimal("-31.5"))
    assert put.bid is None
    assert [each.right for each in okx.option_chain("BTC", DAY, strikes=3, right=OptionRight.PUT).contracts] == [
        OptionRight.PUT
    ] * 3


def test_what_has_no_options_or_none_on_a_day_is_refused_by_name(okx: OkxBroker) -> None:
    with pytest.raises(InvalidSymbol, match="OKX has no options on TINY"):
        okx.option_expirations("TINY/USDT")
    with pytest.raises(InvalidRequest, match="no options that expire on 2031-01-01"):
        okx.option_chain("BTC", date(2031, 1, 1), strikes=1)


def test_an_option_that_cannot_be_read_leaves_the_rest(rig: Rig, okx: OkxBroker) -> None:
    told: list[dict[str, Any]] = [
        {"instId": "BTC-USD-291228-30000-C", "optType": "C", "stk": "30000", "expTime": "1893139200000",
         "state": "live"},
        {"instId": "BTC-USD-291228-X", "optType": "X", "stk": "", "expTime": "", "state": "live"},
    ]  # fmt: skip
    okx.instrument(rig.symbol)
    answers(rig, "public/instruments", (200, {"code": "0", "msg": "", "data": told}))
    assert [each.strikes for each in okx.option_expirations("BTC")] == [1]
    assert [each.word for each in okx.unknown_words if "option" in f"{each.row} {each.word}"] != []


def test_an_order_in_an_option_is_refused_and_not_sent(rig: Rig, okx: OkxBroker) -> None:
    order = rig.order(symbol="BTC-USD-291228-30000-C")
    with pytest.raises((InvalidSymbol, NotSupported)):
        okx.submit(rig.account_id, order)
    assert rig.wire.sent[order.client_order_id] == 0
