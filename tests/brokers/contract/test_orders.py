"""The contract's second half: orders, where nothing goes wrong on the way."""

from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.errors import (
    BrokerUnavailable,
    CannotTell,
    DuplicateClientId,
    InvalidOrder,
    InvalidSymbol,
    NotCancellable,
    NotSupported,
    OrderNotFound,
)
from brokers.types import Ability, BrokerStatus, OrderChanges, OrderClass, OrderRequest, OrderType, Side, TimeInForce
from tests.brokers.contract.cases import CASES, Case, Rig, Way, new_id


def _of_kind(rig: Rig, kind: OrderType, tif: TimeInForce) -> OrderRequest:
    """One that fits the instrument: stops above the price for a buy."""
    tick = rig.broker.instrument(rig.symbol).tick
    high = rig.price * 2 // tick * tick
    spend = kind is OrderType.MARKET and not rig.market_by_units
    return rig.order(
        order_type=kind,
        tif=tif,
        limit_price=high if kind is OrderType.STOP_LIMIT else rig.low_price if kind.needs_limit else None,
        stop_price=high if kind.needs_stop else None,
        trail_percent=Decimal(5) if kind.needs_trail else None,
        quantity=None if spend else rig.quantity,
        notional=Decimal(100) if spend else None,
    )


def test_every_kind_of_order_offered_is_taken_and_no_other(rig: Rig) -> None:
    can = rig.broker.capabilities
    rig.set_cash("1000000")
    for kind in OrderType:
        for tif in TimeInForce:
            order = _of_kind(rig, kind, tif)
            if not can.takes(kind, tif):
                with pytest.raises((NotSupported, InvalidOrder)):
                    rig.broker.submit(rig.account_id, order)
                assert rig.look(order.client_order_id) is None
                assert rig.sent(order.client_order_id) == 0
            elif tif in (TimeInForce.OPG, TimeInForce.CLS):
                continue  # only before an auction
            else:
                taken = rig.broker.submit(rig.account_id, order)
                assert taken.client_order_id == order.client_order_id
                assert taken.status is not BrokerStatus.REJECTED
                assert taken.order_type in (kind, None)


def test_what_the_capabilities_leave_out_is_refused_and_nothing_stands(rig: Rig) -> None:
    can = rig.broker.capabilities
    spend = rig.order(order_type=OrderType.MARKET, quantity=None, limit_price=None, notional=Decimal(500))
    asked = [
        (can.notional, spend),
        (can.reduce_only, rig.order(reduce_only=True, side=Side.SELL)),
        (can.post_only, rig.order(post_only=True)),
        *((each in can.order_classes, rig.with_exits(each)) for each in OrderClass if each is not OrderClass.SIMPLE),
    ]
    for offered, order in asked:
        if not offered:
            with pytest.raises((NotSupported, InvalidOrder)):
                rig.broker.submit(rig.account_id, order)
            assert rig.look(order.client_order_id) is None
            assert rig.sent(order.client_order_id) == 0


def test_a_resting_order_keeps_our_id_and_reads_back_to_the_digit(case: Case, rig: Rig) -> None:
    order = rig.order()
    taken = rig.broker.submit(rig.account_id, order)
    assert taken.status is BrokerStatus.WORKING
    found = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
    assert found is not None
    assert found.broker_order_id != "" != taken.broker_order_id
    assert found.broker_order_id == taken.broker_order_id or not case.keeps_broker_id
    assert (found.client_order_id, found.symbol, found.side) == (order.client_order_id, rig.symbol, Side.BUY)
    assert (found.quantity, found.limit_price, found.tif) == (order.quantity, order.limit_price, TimeInForce.GTC)
    assert order.client_order_id in [each.client_order_id for each in rig.broker.orders(rig.account_id, open_only=True)]


def test_an_order_is_found_by_our_id_alone_or_the_adapter_says_that_it_cannot(rig: Rig) -> None:
    order = rig.order()
    rig.broker.submit(rig.account_id, order)
    found = rig.broker.order(rig.account_id, order.client_order_id)
    assert found is not None
    assert found.client_order_id == order.client_order_id


def test_a_market_order_fills_and_its_fills_add_up(rig: Rig) -> None:
    tif = TimeInForce.IOC if rig.can.takes(OrderType.MARKET, TimeInForce.IOC) else TimeInForce.DAY
    order = _of_kind(rig, OrderType.MARKET, tif)
    rig.broker.submit(rig.account_id, order)
    done = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
    assert done is not None
    assert done.status is BrokerStatus.FILLED
    assert order.quantity in (None, done.filled_quantity)
    assert done.average_price is not None
    if Ability.FILLS not in rig.can.abilities:
        assert done.fills == ()
        with pytest.raises(NotSupported):
            rig.broker.fills(rig.account_id, limit=10)
        return
    assert sum(fill.quantity for fill in done.fills) == done.filled_quantity
    assert sum(fill.fee for fill in done.fills) == done.fees
    assert {fill.client_order_id for fill in done.fills} == {order.client_order_id}
    listed = rig.broker.fills(rig.account_id, client_order_id=order.client_order_id, symbol=rig.symbol, limit=10)
    assert {fill.fill_id for fill in listed} == {fill.fill_id for fill in done.fills}


def test_a_cancel_ends_the_order_and_a_second_one_says_so(rig: Rig) -> None:
    order = rig.order()
    rig.broker.submit(rig.account_id, order)
    answered = rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)
    assert answered.client_order_id == order.client_order_id
    # Some brokers only take the request: the next look tells.
    ended = answered if not answered.status.is_open else rig.look(order.client_order_id)
    assert ended is not None
    assert ended.status is BrokerStatus.CANCELLED
    with pytest.raises(NotCancellable):
        rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)
    assert order.client_order_id not in [
        each.client_order_id for each in rig.broker.orders(rig.account_id, open_only=True)
    ]


CHANGING = [case for case in CASES if Way.REPLACE in case.ways]
changing = pytest.mark.parametrize("case", CHANGING, ids=lambda case: case.name)


@pytest.mark.django_db
@changing
def test_a_change_of_price_or_size_reads_back_to_the_digit_under_the_id_it_goes_by(case: Case) -> None:
    with case.opened() as rig:
        order, tick = rig.order(), rig.broker.instrument(rig.symbol).tick
        rig.broker.submit(rig.account_id, order)
        known = order.client_order_id
        for changes in (
            OrderChanges(limit_price=rig.low_price + tick),
            OrderChanges(quantity=rig.quantity * 2),
            OrderChanges(limit_price=rig.low_price - tick, quantity=rig.quantity * 3),
        ):
            before = rig.look(known)
            assert before is not None
            new = new_id()
            after = rig.broker.replace(rig.account_id, known, changes, new)
            assert after.client_order_id == (new if case.new_id_when_replaced else known)
            assert after.limit_price in (None, changes.limit_price or before.limit_price)
            if case.new_id_when_replaced:
                replaced = rig.look(known)
                assert replaced is not None
                assert replaced.status is BrokerStatus.CANCELLED
            known = after.client_order_id
            found = rig.look(known)
            assert found is not None
            assert found.status is BrokerStatus.WORKING
            assert found.limit_price == (changes.limit_price or before.limit_price)
            assert found.quantity == (changes.quantity or before.quantity)
        assert [each.client_order_id for each in rig.broker.orders(rig.account_id, open_only=True)] == [known]


@pytest.mark.django_db
@changing
def test_a_change_off_the_steps_is_refused_and_the_order_stays_as_it_was(case: Case) -> None:
    with case.opened() as rig:
        order, instrument = rig.order(), rig.broker.instrument(rig.symbol)
        rig.broker.submit(rig.account_id, order)
        for field, changes in {
            "limit_price": OrderChanges(limit_price=rig.low_price + instrument.tick / 7),
            "quantity": OrderChanges(quantity=rig.quantity + instrument.lot / 3),
        }.items():
            with pytest.raises(InvalidOrder) as refused:
                rig.broker.replace(rig.account_id, order.client_order_id, changes, new_id())
            assert refused.value.field == field
        found = rig.look(order.client_order_id)
        assert found is not None
        assert (found.limit_price, found.quantity) == (order.limit_price, order.quantity)


@pytest.mark.django_db
@changing
def test_what_has_ended_or_never_was_cannot_be_changed(case: Case) -> None:
    with case.opened() as rig:
        order, changes = rig.order(), OrderChanges(limit_price=rig.low_price)
        rig.broker.submit(rig.account_id, order)
        rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)
        # One venue finds what has ended by its symbol alone, which a change does not bring: it is unavailable there.
        with pytest.raises((NotCancellable, BrokerUnavailable)):
            rig.broker.replace(rig.account_id, order.client_order_id, changes, new_id())
        with pytest.raises((OrderNotFound, BrokerUnavailable)):
            rig.broker.replace(rig.account_id, new_id(), changes, new_id())


def test_a_cancel_of_no_order_says_so_and_sends_nothing(rig: Rig) -> None:
    with pytest.raises(OrderNotFound if rig.tells_absence else (OrderNotFound, CannotTell)):
        rig.broker.cancel(rig.account_id, new_id(), symbol=rig.symbol)


@pytest.mark.django_db
@pytest.mark.parametrize("case", [each for each in CASES if each.tells_duplicates], ids=lambda case: case.name)
def test_the_same_id_twice_is_a_duplicate_never_a_second_order(case: Case) -> None:
    with case.opened() as rig:
        order = rig.order()
        rig.broker.submit(rig.account_id, order)
        with pytest.raises(DuplicateClientId):
            rig.broker.submit(rig.account_id, replace(order, limit_price=rig.low_price))
        assert len(rig.broker.orders(rig.account_id, open_only=True)) == 1


def test_an_order_off_the_steps_of_its_instrument_is_refused_and_never_rounded(rig: Rig) -> None:
    found = rig.broker.instrument(rig.symbol)
    wrong = {
        "quantity": rig.order(quantity=rig.quantity + found.lot / 3),
        "limit_price": rig.order(limit_price=rig.low_price + found.tick / 7),
    }
    for field, order in wrong.items():
        with pytest.raises(InvalidOrder) as refused:
            rig.broker.submit(rig.account_id, order)
        assert refused.value.field == field
        assert rig.look(order.client_order_id) is None
        assert rig.sent(order.client_order_id) == 0


def test_an_order_below_the_minimum_or_of_nothing_is_refused(rig: Rig) -> None:
    found = rig.broker.instrument(rig.symbol)
    for quantity in (Decimal(0), -rig.quantity, found.minimum - found.lot):
        with pytest.raises(InvalidOrder):
            rig.broker.submit(rig.account_id, rig.order(quantity=quantity))


def test_an_order_in_no_instrument_is_refused(rig: Rig) -> None:
    with pytest.raises(InvalidSymbol):
        rig.broker.submit(rig.account_id, rig.order(symbol="NO-SUCH-THING"))
