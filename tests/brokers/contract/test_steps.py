"""An order off its instrument's steps is refused before it is sent, with the nearest values that are on them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.decimals import nearest_steps, plain
from brokers.errors import InvalidOrder
from tests.brokers.contract.cases import Case, Rig


def test_a_price_off_the_tick_is_answered_with_those_on_either_side(rig: Rig) -> None:
    tick, order = rig.broker.instrument(rig.symbol).tick, rig.order()
    off = rig.low_price + tick / 4
    with pytest.raises(InvalidOrder) as refused:
        rig.broker.submit(rig.account_id, replace(order, limit_price=off))
    assert refused.value.field == "limit_price"
    assert f"The nearest are {plain(rig.low_price)} and {plain(rig.low_price + tick)}." in str(refused.value)
    assert rig.sent(order.client_order_id) == 0


def test_a_quantity_off_the_lot_is_answered_with_those_on_either_side(rig: Rig) -> None:
    lot, order = rig.broker.instrument(rig.symbol).lot, rig.order()
    with pytest.raises(InvalidOrder) as refused:
        rig.broker.submit(rig.account_id, replace(order, quantity=rig.quantity + lot / 4))
    assert refused.value.field == "quantity"
    assert f"The nearest are {plain(rig.quantity)} and {plain(rig.quantity + lot)}." in str(refused.value)
    assert rig.sent(order.client_order_id) == 0


def test_less_than_one_step_has_one_neighbour() -> None:
    assert nearest_steps(Decimal("0.004"), Decimal("0.01")) == "The nearest is 0.01."
    assert nearest_steps(Decimal("1E+2") + Decimal("0.1"), Decimal("0.25")) == "The nearest are 100 and 100.25."


def test_steps_that_a_broker_told_say_when_and_are_asked_for_once(wired: Case, wired_rig: Rig) -> None:
    first = wired_rig.broker.instrument(wired_rig.symbol)
    assert first.fetched_at is not None
    assert timedelta(0) <= datetime.now(UTC) - first.fetched_at < timedelta(minutes=2)
    before = list(wired_rig.server.received)
    assert wired_rig.broker.instrument(wired_rig.symbol) == first
    assert wired_rig.server.received == before
