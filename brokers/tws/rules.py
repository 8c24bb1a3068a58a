"""What is offered of TWS and IB Gateway: less than of the Web API, until somebody has run it on a real gateway."""

from dataclasses import replace

from brokers.errors import InvalidOrder, NotSupported
from brokers.ibkr import rules
from brokers.types import Ability, AssetClass, Instrument, OrderClass, OrderRequest, TimeInForce, Unchangeable

CAPABILITIES = replace(
    rules.CAPABILITIES,
    abilities=frozenset({Ability.ORDERS, Ability.FILLS}),
    asset_classes=frozenset({AssetClass.STOCK, AssetClass.FUTURE, AssetClass.OPTION, AssetClass.FOREX}),
    order_classes=frozenset({OrderClass.SIMPLE, OrderClass.BRACKET, OrderClass.OTO}),
    time_in_force=frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC}),
    change_may_rename=False,
    never_changes=frozenset(
        {Unchangeable.TIME_IN_FORCE, Unchangeable.SIZE_WITH_EXITS, Unchangeable.SIZE_PARTLY_FILLED}
    ),
    bars_outside_hours=False,
    margin_in_preview=False,
    spreads=False,
    events=frozenset(),
    order_stream=False,
)

_FLOAT_DIGITS = 15


def check(request: OrderRequest, instrument: Instrument) -> None:
    """Of an order and of each of its exits. Raises InvalidOrder, naming the field, or NotSupported."""
    if request.order_class is OrderClass.OCO:
        raise NotSupported("TWS takes the two orders of a pair one after the other, so that one could be left alone.")
    if request.order_class is OrderClass.OTO and len(request.legs) != 1:
        raise NotSupported("TWS lets all orders that wait for one other end each other, so it takes one of them.")
    for each in (replace(request, order_class=OrderClass.SIMPLE, legs=()), *rules.exits(request)):
        if not CAPABILITIES.takes(each.order_type, each.tif):
            raise NotSupported(f"{each.order_type} orders with {each.tif} are not sent through TWS or IB Gateway yet.")
        rules.check(each, instrument)
        for field in ("quantity", "limit_price", "stop_price", "trail_amount", "trail_percent"):
            value = getattr(each, field)
            if value is not None and len(value.normalize().as_tuple().digits) > _FLOAT_DIGITS:
                raise InvalidOrder(
                    f"The {field} has more than the {_FLOAT_DIGITS} digits that can be read back.", field
                )


_NOTICES = frozenset({105, 135, 136, 161, 162, 165, 166, 322, 323, 326, 329, 399, 404, 417, 420})
"""Between the codes of refused orders: of changes and cancels, of data, and of orders that stand all the same."""
_LATER_REFUSALS = frozenset({10052, 10243, 10244, 10245, 10268, 10269, 10270, 10289})

NOT_CANCELLED = frozenset({135, 136, 161, 10147, 10148, 10149})
"""With these TWS refuses to cancel an order."""
NOT_FOUND = frozenset({135, 10147})
"""Of these, those of an order that it has not."""
_CHANGE_REFUSED = NOT_CANCELLED | {105, 329, 2102, 10326}
"""Of an order that stands these say that it was not changed."""
ENDED = 202
"""With this it reports that an order has ended."""


def is_refusal(code: int) -> bool:
    """Whether TWS refuses a new order with this code. Of every other code it is not known what it says of an order.

    Source: the message codes of the TWS API.
    """
    named = code in (200, 201, 203) or 103 <= code <= 168 or 320 <= code <= 449
    return (named and code not in _NOTICES) or code in _LATER_REFUSALS


def refuses_change(code: int) -> bool:
    """Whether TWS refuses with this code to change an order that stands."""
    return is_refusal(code) or code in _CHANGE_REFUSED
