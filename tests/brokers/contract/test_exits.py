"""Orders with exits over a network: every leg is found by our id, told as what it is, and ends with what it hangs on.

Those of the paper market are in ``tests/brokers/paper/test_order_kinds.py``.
"""

from collections.abc import Iterator

import pytest

from brokers.errors import InvalidOrder, NotSupported
from brokers.types import BrokerStatus, OrderChanges, OrderClass, Side
from tests.brokers.contract.cases import WIRED, Case, Rig, new_id

OFFERED = [(case, way.order_class) for case in WIRED for way in case.ways if way.order_class is not None]


@pytest.fixture(params=OFFERED, ids=lambda pair: f"{pair[0].name}-{pair[1]}")
def offer(request: pytest.FixtureRequest) -> tuple[Case, OrderClass]:
    found: tuple[Case, OrderClass] = request.param
    return found


@pytest.fixture
def rig(offer: tuple[Case, OrderClass], db: None) -> Iterator[Rig]:
    with offer[0].opened() as opened:
        yield opened


def test_each_leg_is_found_by_our_id_with_its_own_terms(offer: tuple[Case, OrderClass], rig: Rig) -> None:
    order = rig.with_exits(offer[1])
    rig.broker.submit(rig.account_id, order)
    first = rig.look(order.client_order_id)
    assert first is not None
    assert (first.held, first.side, first.quantity) == (False, order.side, order.quantity)
    for leg in order.legs:
        found = rig.look(leg.client_order_id)
        assert found is not None
        assert (found.client_order_id, found.side, found.order_type) == (leg.client_order_id, Side.SELL, leg.order_type)
        assert (found.limit_price, found.stop_price) == (leg.limit_price, leg.stop_price)
        assert found.status is BrokerStatus.WORKING
        assert found.held is (offer[1] is not OrderClass.OCO)
        # Of a pair not every broker tells which of the two is the first.
        pair = {""} if offer[1] is OrderClass.OCO else set()
        assert found.parent_client_order_id in {order.client_order_id} | pair


def test_the_list_of_open_orders_names_each_by_our_id_and_nothing_else(
    offer: tuple[Case, OrderClass], rig: Rig
) -> None:
    order = rig.with_exits(offer[1])
    rig.broker.submit(rig.account_id, order)
    listed = [each.client_order_id for each in rig.broker.orders(rig.account_id, open_only=True)]
    assert sorted(listed) == sorted([order.client_order_id, *(leg.client_order_id for leg in order.legs)])


def test_what_hangs_on_an_order_ends_with_it(offer: tuple[Case, OrderClass], rig: Rig) -> None:
    order = rig.with_exits(offer[1])
    rig.broker.submit(rig.account_id, order)
    rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)
    listed = {each.client_order_id for each in rig.broker.orders(rig.account_id, open_only=True)}
    left = listed & {leg.client_order_id for leg in order.legs}
    assert order.client_order_id not in listed
    # A broker may leave the other half of a pair, which the desk then ends too.
    assert left == set() or offer[1] is OrderClass.OCO


def test_an_exit_can_be_cancelled_by_itself_or_says_what_ends_it(offer: tuple[Case, OrderClass], rig: Rig) -> None:
    order = rig.with_exits(offer[1])
    rig.broker.submit(rig.account_id, order)
    leg = order.legs[-1].client_order_id
    if not offer[0].names_exits and offer[1] is not OrderClass.OCO:
        with pytest.raises(NotSupported, match="cancel the order"):
            rig.broker.cancel(rig.account_id, leg, symbol=rig.symbol)
        listed = {each.client_order_id for each in rig.broker.orders(rig.account_id, open_only=True)}
        assert {order.client_order_id, leg} <= listed
        return
    answered = rig.broker.cancel(rig.account_id, leg, symbol=rig.symbol)
    assert answered.client_order_id == leg
    assert leg not in [each.client_order_id for each in rig.broker.orders(rig.account_id, open_only=True)]


def test_an_exit_is_changed_by_itself_in_its_place_or_stands_as_it_was(
    offer: tuple[Case, OrderClass], rig: Rig
) -> None:
    order = rig.with_exits(offer[1])
    rig.broker.submit(rig.account_id, order)
    tick = rig.broker.instrument(rig.symbol).tick
    leg = next(each for each in order.legs if each.stop_price is not None)
    before = rig.look(leg.client_order_id)
    assert before is not None and before.stop_price is not None
    wanted = before.stop_price - tick
    try:
        after = rig.broker.replace(rig.account_id, leg.client_order_id, OrderChanges(stop_price=wanted), new_id())
    except (NotSupported, InvalidOrder):
        wanted, known = before.stop_price, leg.client_order_id
    else:
        known = after.client_order_id
    found = rig.look(known)
    assert found is not None
    assert (found.stop_price, found.status, found.held) == (wanted, BrokerStatus.WORKING, before.held)
    assert found.parent_client_order_id == before.parent_client_order_id
    assert len(rig.broker.orders(rig.account_id, open_only=True)) == 1 + len(order.legs)
