"""An instrument is asked for by its instrument_id as well as by the broker's own symbol, in any case."""

import pytest

from brokers import instrument_id
from brokers.errors import InvalidSymbol
from brokers.types import AssetClass
from tests.brokers.contract.cases import Rig


def test_an_instrument_says_its_name_and_is_found_by_it(rig: Rig) -> None:
    found = rig.broker.instrument(rig.symbol)
    assert instrument_id.parse(found.instrument_id) == found.identity
    for asked in (found.instrument_id, found.instrument_id.lower(), found.instrument_id.partition("@")[0]):
        assert rig.broker.instrument(asked).symbol == found.symbol


def test_a_quote_says_which_instrument_it_is_of(rig: Rig) -> None:
    known = rig.broker.instrument(rig.symbol)
    (quote,) = rig.broker.quotes([known.instrument_id])
    assert (quote.symbol, quote.instrument_id) == (known.symbol, known.instrument_id)


def test_an_order_by_the_name_is_one_in_the_symbol(rig: Rig) -> None:
    known = rig.broker.instrument(rig.symbol)
    sent = rig.order(symbol=known.instrument_id)
    rig.broker.submit(rig.account_id, sent)
    found = rig.broker.order(rig.account_id, sent.client_order_id, symbol=known.symbol)
    assert found is not None and found.symbol == known.symbol


def test_what_is_traded_elsewhere_is_not_what_is_traded_here(rig: Rig) -> None:
    known = rig.broker.instrument(rig.symbol)
    name, at, _ = known.instrument_id.partition("@")
    if at:
        with pytest.raises(InvalidSymbol):
            rig.broker.instrument(f"{name}@elsewhere")
    with pytest.raises(InvalidSymbol):
        rig.broker.instrument(_another(known.asset_class))


def _another(kind: AssetClass) -> str:
    """What none of these brokers has."""
    return "STK:NOBODY.USD" if kind is AssetClass.STOCK else "PERP:NOBODY/USD:USD"


def test_a_name_that_cannot_be_read_is_refused(rig: Rig) -> None:
    with pytest.raises(InvalidSymbol, match="instrument_id"):
        rig.broker.instrument("STK:AAPL")
