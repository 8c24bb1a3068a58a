"""Tokenised stocks at OKX, and contracts on stocks, are named as what they are."""

from collections.abc import Iterator

import pytest

from brokers.types import AssetClass
from tests.brokers.contract.cases import OKX, Rig
from tests.brokers.crypto.recorded import steady
from tests.brokers.exchange import Listing


@pytest.fixture
def rig() -> Iterator[Rig]:
    with steady(OKX) as opened:
        about = {"tick": "0.01", "lot": "0.001", "minimum": "0.001", "quote": "USDT"}
        for made in (
            Listing(symbol="AAPLX/USDT", wire="AAPLX-USDT", base="AAPLX", **about),
            Listing(symbol="TSLA/USDT:USDT", wire="TSLA-USDT-SWAP", base="TSLA", kind="swap", **about),
        ):
            opened.wire.listings[made.wire] = made
        yield opened


def test_each_says_what_is_bought_and_a_coin_says_nothing(rig: Rig) -> None:
    found = {symbol: rig.broker.instrument(symbol) for symbol in ("AAPLX/USDT", "TSLA/USDT:USDT", "BTC/USDT")}
    assert {symbol: (each.name, each.asset_class) for symbol, each in found.items()} == {
        "AAPLX/USDT": ("AAPLX in USDT, tokenised stock", AssetClass.CRYPTO),
        "TSLA/USDT:USDT": ("TSLA in USDT, perpetual on a stock", AssetClass.PERPETUAL),
        "BTC/USDT": ("BTC in USDT", AssetClass.CRYPTO),
    }


def test_they_are_found_by_what_they_are(rig: Rig) -> None:
    found = rig.broker.find_instruments("stock", by_name=True)
    assert {each.symbol for each in found} == {"AAPLX/USDT", "TSLA/USDT:USDT"}
