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
