"""Prices and quantities reach the wire and come back to the digit, with 18 decimals and with exponents.

Where an instrument's own steps, or what can be read back, leave no room for so many, the order is refused unsent.
"""

import re
from decimal import Decimal

import pytest

from brokers.decimals import is_multiple
from brokers.errors import InvalidOrder
from brokers.types import OrderRequest
from tests.brokers.contract.cases import Case, Rig

QUANTITIES = ("0.123456789012345678", "1E-18", "1E+3", "98765432109876.123456789012345678", "1000000000000000000")
PRICES = ("1E-18", "0.000000000000000003", "0.000000123456789012", "0.000000234567890123456789")
TEXTS = ("1E-17", "0.123456789012345678", "1.5e+3", "98765432109876543.210987654321098765")


def _fits(case: Case, value: Decimal, step: Decimal) -> bool:
    few = not case.read_digits or len(value.normalize().as_tuple().digits) <= case.read_digits
    return few and is_multiple(value, step)


def _survives(rig: Rig, order: OrderRequest, fits: bool) -> None:
    account = rig.account_id
    if not fits:
        with pytest.raises(InvalidOrder):
            rig.broker.submit(account, order)
        assert rig.sent(order.client_order_id) == 0
        return
    rig.broker.submit(account, order)
    at_broker = rig.at_broker(order.client_order_id)
    assert at_broker is not None
    assert (at_broker.quantity, at_broker.limit_price) == (order.quantity, order.limit_price)
    found = rig.look(order.client_order_id, rig.exact_symbol)
    assert found is not None
    assert (found.quantity, found.limit_price) == (order.quantity, order.limit_price)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_quantity_survives_both_ways_or_is_refused(wired: Case, exact_rig: Rig, quantity: str) -> None:
    rig, wanted = exact_rig, Decimal(quantity)
    known = rig.broker.instrument(rig.exact_symbol)
    order = rig.order(symbol=rig.exact_symbol, quantity=wanted, limit_price=known.tick)
    _survives(rig, order, _fits(wired, wanted, known.lot))


@pytest.mark.parametrize("price", PRICES)
def test_a_price_survives_both_ways_or_is_refused(wired: Case, exact_rig: Rig, price: str) -> None:
    rig, wanted = exact_rig, Decimal(price)
    order = rig.order(symbol=rig.exact_symbol, quantity=Decimal("1000000000"), limit_price=wanted)
    _survives(rig, order, _fits(wired, wanted, rig.broker.instrument(rig.exact_symbol).tick))


def test_one_instrument_at_least_moves_in_steps_of_18_decimals(exact_rig: Rig) -> None:
    assert exact_rig.broker.instrument(exact_rig.exact_symbol).tick == Decimal("1E-18")


def test_no_number_goes_out_with_an_exponent(exact_rig: Rig) -> None:
    rig = exact_rig
    order = rig.order(symbol=rig.exact_symbol, quantity=Decimal("1E+3"), limit_price=Decimal("1E-18"))
    rig.broker.submit(rig.account_id, order)
    sent = next(body for body in rig.server.writes if order.client_order_id.encode() in body.replace(b"-", b""))
    assert b"0.000000000000000001" in sent
    assert re.search(rb"[0-9][eE][-+]", sent) is None


@pytest.mark.parametrize("text", TEXTS)
def test_a_price_is_read_as_it_was_written(wired: Case, exact_rig: Rig, text: str) -> None:
    exact_rig.set_price(text)
    quote = exact_rig.broker.quotes([exact_rig.exact_symbol])[0]
    exact = not wired.read_digits or len(Decimal(text).normalize().as_tuple().digits) <= wired.read_digits
    assert quote.last == (Decimal(text) if exact else Decimal(str(float(text))))


@pytest.mark.parametrize("total", ["0.123456789012345678", "12345678901234567.890123456789012345"])
def test_a_balance_is_read_as_it_was_written(exact_rig: Rig, total: str) -> None:
    exact_rig.set_cash(total)
    state = exact_rig.broker.account_state(exact_rig.account_id)
    assert {each.total for each in state.cash} == {Decimal(total)}
