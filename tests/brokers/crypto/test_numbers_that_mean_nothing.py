"""Zero, minus one and an empty text stand for "there is none", and are never told as a price or an average."""

from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import BrokerUnavailable
from brokers.types import BrokerStatus, OrderType
from tests.brokers.contract.cases import BINANCE, COINBASE, CRYPTO, KRAKEN, KRAKEN_FUTURES, OKX, CryptoCase
from tests.brokers.crypto.recorded import answers, at_venue, resting, rewritten, steady


@pytest.mark.parametrize("case", CRYPTO, ids=lambda case: case.name)
@pytest.mark.parametrize("price", ["0", "0.00000000", "-1"])
@pytest.mark.parametrize("side", ["bid", "ask", "last"])
def test_a_market_without_a_price_has_no_quote(case: CryptoCase, price: str, side: str) -> None:
    with steady(case) as rig:
        setattr(rig.wire.listing(rig.symbol), side, price)
        with pytest.raises(BrokerUnavailable, match="quotes no price"):
            rig.broker.quotes([rig.symbol])


@pytest.mark.parametrize("fills", [True, False])
def test_a_worth_of_binance_below_zero_gives_no_average(fills: bool) -> None:
    with steady(BINANCE) as rig:
        order = rig.order(order_type=OrderType.MARKET, limit_price=None)
        rig.broker.submit(rig.account_id, order)
        rewritten(rig, lambda row: {**row, "cummulativeQuoteQty": "-1.00000000"})
        if not fills:
            rig.wire.orders[at_venue(rig.wire, order.client_order_id).order_id].trades.clear()
        found = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
        assert found is not None
        assert (found.status, found.filled_quantity) == (BrokerStatus.FILLED, rig.quantity)
        assert found.average_price == (Decimal(30001) if fills else None)


@pytest.mark.parametrize(
    ("case", "name"),
    [(OKX, "avgPx"), (KRAKEN, "price"), (COINBASE, "average_filled_price"), (BINANCE, "cummulativeQuoteQty")],
    ids=lambda value: str(getattr(value, "name", value)),
)
@pytest.mark.parametrize("nothing", ["0", "-1", ""])
def test_an_order_that_filled_nothing_has_no_average(case: CryptoCase, name: str, nothing: str) -> None:
    with steady(case) as rig:
        order = resting(rig)
        rewritten(rig, lambda row: {**row, name: nothing})
        found = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
        assert found is not None
        assert (found.average_price, found.filled_quantity) == (None, Decimal(0))


@pytest.mark.parametrize("nothing", ["0", "-1", ""])
def test_a_position_whose_marks_are_not_known_is_told_at_the_last_price(nothing: str) -> None:
    row: dict[str, Any] = {"instType": "SWAP", "mgnMode": "cross", "posSide": "net", "pos": "1", "ccy": "USDT",
                           "avgPx": nothing, "upl": "20", "instId": "BTC-USDT-SWAP", "markPx": nothing,
                           "last": nothing}  # fmt: skip
    with steady(OKX) as rig:
        account = rig.account_id
        answers(rig, "/account/positions", (200, {"code": "0", "msg": "", "data": [row]}))
        (held,) = [each for each in rig.broker.positions(account) if each.symbol.endswith(":USDT")]
        assert (held.last, held.average_price) == (Decimal(30000), None)


def test_a_time_of_zero_is_no_time() -> None:
    with steady(KRAKEN_FUTURES) as rig:
        order = resting(rig)
        rewritten(rig, lambda row: {**row, "lastUpdateTime": "1970-01-01T00:00:00.000Z"})
        found = rig.broker.order(rig.account_id, order.client_order_id)
        assert found is not None
        assert found.created_at is not None
        assert found.updated_at == found.created_at
