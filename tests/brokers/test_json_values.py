"""The words all brokers share."""

from decimal import Decimal

import pytest

from brokers.types import (
    AssetClass,
    Capabilities,
    LegRequest,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)


def bracket(order_class: OrderClass = OrderClass.BRACKET) -> OrderRequest:
    return OrderRequest(
        client_order_id="a" * 32,
        symbol="AAPL",
        side=Side.BUY,
        order_type=OrderType.MARKET,
        quantity=None,
        notional=Decimal(500),
        tif=TimeInForce.DAY,
        order_class=order_class,
        legs=(
            LegRequest(
                client_order_id="b" * 32, side=Side.SELL, order_type=OrderType.TRAIL, trail_percent=Decimal("1.5")
            ),
            LegRequest(client_order_id="c" * 32, side=Side.SELL, order_type=OrderType.LIMIT, limit_price=Decimal(200)),
        ),
    )


def test_a_bracket_knows_its_target_and_its_stop_in_whatever_order_they_came() -> None:
    stop, target = bracket().legs
    assert (bracket().take_profit, bracket().stop_loss) == (target, stop)


def test_other_classes_have_legs_and_no_bracket() -> None:
    assert bracket(OrderClass.OTO).take_profit is bracket(OrderClass.OTO).stop_loss is None


def test_an_order_by_notional_has_no_units() -> None:
    with pytest.raises(ValueError, match="by notional"):
        bracket().units  # noqa: B018


def test_a_type_may_take_fewer_times_in_force_than_its_broker() -> None:
    capabilities = Capabilities(
        abilities=frozenset(),
        asset_classes=frozenset(AssetClass),
        order_types=frozenset({OrderType.MARKET, OrderType.STOP}),
        time_in_force=frozenset({TimeInForce.DAY, TimeInForce.IOC}),
        not_found_after=1.0,
        pairs={OrderType.STOP: frozenset({TimeInForce.DAY})},
    )
    assert capabilities.takes(OrderType.MARKET, TimeInForce.IOC)
    assert not capabilities.takes(OrderType.STOP, TimeInForce.IOC)
    assert not capabilities.takes(OrderType.LIMIT, TimeInForce.DAY)
