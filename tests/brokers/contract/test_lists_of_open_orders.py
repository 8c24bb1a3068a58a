"""The list of what is open: as many requests for many orders as for one, each as its own look-up tells it."""

from decimal import Decimal

from brokers.types import BrokerOrder
from tests.brokers.contract.cases import Case, Rig

FEW, MANY = 1, 6
TOLD = ("broker_order_id", "status", "filled_quantity", "quantity", "limit_price", "held")
"""What the desk compares of an order in a list."""


def _listed(rig: Rig) -> dict[str, BrokerOrder]:
    found = rig.broker.orders(rig.account_id, open_only=True, limit=500)
    return {each.client_order_id: each for each in found}


def test_many_orders_are_listed_by_as_many_requests_as_one_and_each_as_its_own_look_up_tells_it(
    case: Case, rig: Rig
) -> None:
    rig.set_cash("100000000")
    ours = [rig.order() for _ in range(MANY)]
    requests = {}
    for place, order in enumerate(ours, start=1):
        rig.broker.submit(rig.account_id, order)
        if place in (FEW, MANY):
            _listed(rig)  # what is kept of instruments is read once
            before = _received(rig)
            listed = _listed(rig)
            requests[place] = _received(rig) - before
    assert requests[FEW] == requests[MANY]
    assert {order.client_order_id for order in ours} <= set(listed)
    for order in ours:
        alone = rig.look(order.client_order_id)
        assert alone is not None
        in_list = listed[order.client_order_id]
        assert [getattr(in_list, name) for name in TOLD] == [getattr(alone, name) for name in TOLD]
        assert alone.filled_quantity == Decimal(0)


def _received(rig: Rig) -> int:
    """Requests so far; none of a broker without a wire."""
    return 0 if rig.fake is None else len(rig.fake.received)
