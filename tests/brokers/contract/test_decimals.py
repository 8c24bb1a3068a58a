"""Prices and quantities reach the wire and come back to the digit, with 18 decimals and with exponents."""

from decimal import Decimal

import pytest

from tests.brokers.contract.cases import Rig

QUANTITIES = ("0.123456789012345678", "1E-18", "1E+3", "98765432109876.123456789012345678", "1000000000000000000")
PRICES = ("1E-18", "0.000000000000000003", "0.000000123456789012")


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_quantity_survives_both_ways(exact_rig: Rig, quantity: str) -> None:
    rig = exact_rig
    order = rig.order(symbol=rig.exact_symbol, quantity=Decimal(quantity), limit_price=Decimal("1E-18"))
    rig.broker.submit(rig.account_id, order)
    at_broker = rig.wire.by_client(order.client_order_id)
    assert at_broker is not None
    assert Decimal(at_broker.amount) == Decimal(quantity)
    assert "e" not in at_broker.amount.lower()
    found = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.exact_symbol)
    assert found is not None
    assert found.quantity == Decimal(quantity)


@pytest.mark.parametrize("price", PRICES)
def test_a_price_survives_both_ways(exact_rig: Rig, price: str) -> None:
    rig = exact_rig
    rig.wire.listing(rig.exact_symbol).ask = "0.000001"
    order = rig.order(symbol=rig.exact_symbol, quantity=Decimal("1000000000"), limit_price=Decimal(price))
    rig.broker.submit(rig.account_id, order)
    at_broker = rig.wire.by_client(order.client_order_id)
    assert at_broker is not None
    assert Decimal(at_broker.price) == Decimal(price)
    found = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.exact_symbol)
    assert found is not None
    assert found.limit_price == Decimal(price)


@pytest.mark.parametrize("text", ["1E-17", "0.123456789012345678", "1.5e+3", "98765432109876543.210987654321098765"])
def test_a_price_is_read_as_it_was_written(exact_rig: Rig, text: str) -> None:
    listing = exact_rig.wire.listing(exact_rig.exact_symbol)
    listing.last = listing.bid = listing.ask = text
    quote = exact_rig.broker.quotes([exact_rig.exact_symbol])[0]
    assert (quote.last, quote.bid, quote.ask) == (Decimal(text),) * 3


@pytest.mark.parametrize("total", ["0.123456789012345678", "12345678901234567.890123456789012345"])
def test_a_balance_is_read_as_it_was_written(exact_rig: Rig, total: str) -> None:
    exact_rig.wire.balances = {"USDT": Decimal(total), "USD": Decimal(total)}
    state = exact_rig.broker.account_state(exact_rig.account_id)
    assert {each.total for each in state.cash} == {Decimal(total)}
