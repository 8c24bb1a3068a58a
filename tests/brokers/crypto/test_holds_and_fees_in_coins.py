"""What open orders keep is reserved, and a fee that is taken of the coins bought lowers what was bought."""

from decimal import Decimal

import pytest

from brokers.errors import InsufficientFunds
from brokers.types import OrderType, Side
from tests.brokers.contract.cases import BINANCE, COINBASE, KRAKEN, OKX, CryptoCase
from tests.brokers.crypto.recorded import resting, steady

SPOT = (OKX, BINANCE, KRAKEN, COINBASE)
spot = pytest.mark.parametrize("case", SPOT, ids=lambda case: case.name)


@spot
def test_open_orders_reserve_the_money_of_a_purchase_and_the_coins_of_a_sale(case: CryptoCase) -> None:
    with steady(case) as rig:
        currency = case.venue.adapter.CURRENCY
        before = rig.broker.account_state(rig.account_id)
        resting(rig, limit_price=Decimal(15000))
        resting(rig, side=Side.SELL, limit_price=Decimal(40000), quantity=Decimal("0.25"))
        after = rig.broker.account_state(rig.account_id)
        (cash,) = [each for each in after.cash if each.currency == currency]
        assert (cash.total, cash.reserved, cash.available) == (Decimal(100000), Decimal(7500), Decimal(92500))
        assert (after.equity, after.buying_power) == (before.equity, Decimal(92500))
        (held,) = [each for each in rig.broker.positions(rig.account_id) if each.symbol == rig.symbol]
        assert (held.quantity, held.reserved) == (Decimal(2), Decimal("0.25"))
        assert rig.broker.preview(rig.account_id, rig.order()).buying_power == Decimal(92500)


@pytest.mark.parametrize("case", [OKX, BINANCE], ids=lambda case: case.name)
def test_a_fee_in_the_coin_bought_is_told_in_it_and_at_its_worth(case: CryptoCase) -> None:
    with steady(case) as rig:
        order = rig.order(order_type=OrderType.MARKET, limit_price=None)
        rig.broker.submit(rig.account_id, order)
        found = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
        assert found is not None
        (fill,) = found.fills
        assert (fill.fee_asset, fill.fee_charged, fill.fee) == ("BTC", Decimal("0.0005"), Decimal("15.0005"))
        assert (found.fees, found.filled_quantity) == (fill.fee, Decimal("0.5"))
        (held,) = [each for each in rig.broker.positions(rig.account_id) if each.symbol == rig.symbol]
        assert held.quantity == Decimal("2.4995")


def test_a_sale_at_kraken_gives_coins_alone_and_pays_its_fee_in_money() -> None:
    with steady(KRAKEN) as rig:
        order = rig.order(order_type=OrderType.MARKET, limit_price=None, side=Side.SELL)
        sold = rig.broker.submit(rig.account_id, order)
        assert sold.fees == Decimal("14.9995")
        assert rig.wire.balances == {"BTC": Decimal("1.5"), "USD": Decimal("114984.5005")}


def test_a_market_purchase_at_okx_is_of_so_many_coins_and_one_by_worth_of_so_much_money() -> None:
    with steady(OKX) as rig:
        bought = rig.broker.submit(rig.account_id, rig.order(order_type=OrderType.MARKET, limit_price=None))
        assert (bought.filled_quantity, rig.wire.balances["USDT"]) == (Decimal("0.5"), Decimal("84999.5"))
        spent = rig.broker.submit(
            rig.account_id,
            rig.order(order_type=OrderType.MARKET, limit_price=None, quantity=None, notional=Decimal(300)),
        )
        assert (spent.filled_quantity, spent.quantity) == (Decimal("0.00999966"), Decimal("0.00999966"))


@pytest.mark.parametrize("side", list(Side))
def test_a_market_order_that_the_balance_does_not_cover_is_refused_at_okx_and_not_made_smaller(side: Side) -> None:
    with steady(OKX) as rig:
        before = dict(rig.wire.balances)
        order = rig.order(order_type=OrderType.MARKET, limit_price=None, side=side, quantity=Decimal(5))
        with pytest.raises(InsufficientFunds):
            rig.broker.submit(rig.account_id, order)
        assert rig.wire.balances == before
