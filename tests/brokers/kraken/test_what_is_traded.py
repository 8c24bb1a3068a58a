"""Kraken's one list of spot markets: coins, currencies and tokens of stocks, each told as what it is."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from brokers.errors import InvalidSymbol
from brokers.types import AssetClass, OrderType, Side
from tests.brokers.contract.cases import KRAKEN, Rig
from tests.brokers.exchange import Listing

EURO = Listing(
    symbol="EUR/USD", wire="ZEURZUSD", base="EUR", quote="USD", tick="0.00001", lot="0.00000001", minimum="0.5",
    bid="1.16", ask="1.17", last="1.165",
)  # fmt: skip
SHARE = Listing(
    symbol="AAPLX/USD", wire="AAPLxUSD", base="AAPLx", quote="USD", tick="0.01", lot="0.00000001", minimum="0.01",
    bid="249", ask="251", last="250",
)  # fmt: skip


@pytest.fixture
def rig() -> Iterator[Rig]:
    with KRAKEN.opened() as opened:
        opened.wire.listings |= {each.wire: each for each in (EURO, SHARE)}
        opened.wire.balances |= {"EUR": Decimal(1000), "AAPLx": Decimal(3)}
        yield opened


def test_two_currencies_are_a_currency_pair_and_no_coin(rig: Rig) -> None:
    found = rig.broker.instrument("EUR/USD")
    assert (found.asset_class, found.instrument_id, found.shortable) == (AssetClass.FOREX, "FX:EUR/USD", False)
    assert rig.broker.instrument("FX:EUR/USD") == found
    assert [each.symbol for each in rig.broker.instruments(asset_class=AssetClass.FOREX, limit=9)] == ["EUR/USD"]
    assert "EUR/USD" not in [each.symbol for each in rig.broker.instruments(asset_class=AssetClass.CRYPTO, limit=9)]
    with pytest.raises(InvalidSymbol):
        rig.broker.instrument("CRY:EUR/USD@kraken")
    assert {each.asset_class for each in rig.broker.fees(rig.account_id)} == {AssetClass.CRYPTO, AssetClass.FOREX}


def test_currencies_are_cash_and_are_sold_from_it(rig: Rig) -> None:
    order = rig.order(symbol="EUR/USD", side=Side.SELL, quantity=Decimal(100), limit_price=Decimal("1.2"))
    told = rig.broker.submit(rig.account_id, order)
    assert (told.symbol, told.quantity) == ("EUR/USD", Decimal(100))
    cash = {each.currency: each.reserved for each in rig.broker.account_state(rig.account_id).cash}
    assert cash["EUR"] == 100
    assert "EUR/USD" not in [each.symbol for each in rig.broker.positions(rig.account_id)]


def test_a_tokenised_stock_is_told_as_one_and_its_class_goes_out_with_the_order(rig: Rig) -> None:
    found = rig.broker.instrument("AAPLX/USD")
    assert (found.name, found.asset_class) == ("AAPLX in USD, tokenised stock", AssetClass.CRYPTO)
    for symbol in ("AAPLX/USD", "BTC/USD"):
        rig.broker.submit(
            rig.account_id,
            rig.order(symbol=symbol, side=Side.SELL, order_type=OrderType.MARKET, limit_price=None),
        )
    assert [each.get("asset_class") for each in rig.wire.bodies] == ["tokenized_asset", None]
