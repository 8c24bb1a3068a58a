"""What the tests of exits at the crypto venues share: BTC/USDT at 30,000, to be sold at 33,000 or below 27,000."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from brokers import leg_ids
from brokers.types import BrokerOrder, LegRequest, OrderClass, OrderRequest, OrderType, Side
from tests.brokers.contract.cases import Rig, new_id


def exit_leg(kind: OrderType, side: Side = Side.SELL, **terms: Any) -> LegRequest:
    """Its id is given by its order."""
    return LegRequest(client_order_id="", side=side, order_type=kind, **terms)


def profit_leg(price: int = 33000, side: Side = Side.SELL) -> LegRequest:
    return exit_leg(OrderType.LIMIT, side, limit_price=Decimal(price))


def stop_leg(price: int = 27000, side: Side = Side.SELL) -> LegRequest:
    return exit_leg(OrderType.STOP, side, stop_price=Decimal(price))


def with_legs(rig: Rig, *legs: LegRequest, **terms: Any) -> OrderRequest:
    """With ids that follow from that of the order."""
    first = new_id()
    mine = tuple(replace(leg, client_order_id=leg_ids.of_exit(first, place)) for place, leg in enumerate(legs))
    return rig.order(client_order_id=first, legs=mine, **terms)


def bracket(rig: Rig, *legs: LegRequest, **terms: Any) -> OrderRequest:
    """To buy at 29,000, and then to sell at a profit or below a stop."""
    given = {"limit_price": Decimal(29000), "order_class": OrderClass.BRACKET, **terms}
    return with_legs(rig, *(legs or (profit_leg(), stop_leg())), **given)


def pair(rig: Rig, other: LegRequest | None = None, **terms: Any) -> OrderRequest:
    given = {"side": Side.SELL, "limit_price": Decimal(33000), "order_class": OrderClass.OCO, **terms}
    return with_legs(rig, other or stop_leg(), **given)


def ids(order: OrderRequest) -> list[str]:
    return [order.client_order_id, *(leg.client_order_id for leg in order.legs)]


def seen(rig: Rig, client_order_id: str) -> BrokerOrder:
    """As its broker tells it; by our id, whatever order the venue keeps it in."""
    found = rig.broker.order(rig.account_id, client_order_id, symbol=rig.symbol)
    assert found is not None
    assert found.client_order_id == client_order_id
    return found
