"""What is offered of TWS and IB Gateway: less than of the Web API, until somebody has run it on a real gateway."""

from dataclasses import replace

from brokers.ibkr import rules
from brokers.types import Ability, AssetClass, OrderType, TimeInForce

CAPABILITIES = replace(
    rules.CAPABILITIES,
    abilities=frozenset({Ability.ORDERS, Ability.FILLS}),
    asset_classes=frozenset({AssetClass.STOCK, AssetClass.FUTURE, AssetClass.OPTION, AssetClass.FOREX}),
    order_types=frozenset(OrderType) - {OrderType.TRAIL},
    time_in_force=frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC}),
    replace=False,
    bars_outside_hours=False,
)

_NOTICES = frozenset({105, 135, 136, 161, 162, 165, 166, 322, 323, 326, 329, 399, 404, 417, 420})
"""Between the codes of refused orders: of changes and cancels, of data, and of orders that stand all the same."""
_LATER_REFUSALS = frozenset({10052, 10243, 10244, 10245, 10268, 10269, 10270, 10289})

NOT_CANCELLED = frozenset({135, 136, 161, 10147, 10148, 10149})
"""With these TWS refuses to cancel an order."""
ENDED = 202
"""With this it reports that an order has ended."""


def is_refusal(code: int) -> bool:
    """Whether TWS refuses a new order with this code. Of every other code it is not known what it says of an order.

    Source: the message codes of the TWS API.
    """
    named = code in (200, 201, 203) or 103 <= code <= 168 or 320 <= code <= 449
    return (named and code not in _NOTICES) or code in _LATER_REFUSALS
