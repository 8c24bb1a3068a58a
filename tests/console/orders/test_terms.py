"""An order that makes no sense, or that its broker does not do, is refused by the field that is wrong."""

from decimal import Decimal
from typing import Any

import pytest

from brokers import registry
from brokers.types import AssetClass, Capabilities, OrderClass, OrderType, Side, TimeInForce
from console.errors import Code, Refusal
from console.orders.terms import Terms, describe

ONE = Decimal(1)
BUY: dict[str, Any] = {"symbol": "AAPL", "side": Side.BUY, "quantity": Decimal(10)}
BRACKET = BUY | {"order_class": OrderClass.BRACKET, "take_profit": Decimal(120), "stop_loss": Decimal(90)}
OCO = BRACKET | {"order_class": OrderClass.OCO, "side": Side.SELL}


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (BUY | {"quantity": None}, "quantity"),
        (BUY | {"notional": ONE}, "quantity"),
        (BUY | {"quantity": None, "notional": ONE, "order_type": OrderType.LIMIT, "limit_price": ONE}, "notional"),
        (BUY | {"order_type": OrderType.LIMIT}, "limit_price"),
        (BUY | {"limit_price": ONE}, "limit_price"),
        (BUY | {"order_type": OrderType.TRAIL}, "trail_percent"),
        (BUY | {"order_type": OrderType.TRAIL, "trail_amount": ONE, "trail_percent": ONE}, "trail_percent"),
        (BUY | {"order_type": OrderType.TRAIL, "trail_percent": Decimal(100)}, "trail_percent"),
        (BUY | {"trail_amount": ONE}, "trail_amount"),
        (BUY | {"post_only": True}, "post_only"),
        (BUY | {"outside_rth": True}, "outside_rth"),
        (BUY | {"take_profit": ONE}, "take_profit"),
        (BUY | {"stop_loss_trail_percent": ONE}, "stop_loss_trail_percent"),
        (BRACKET | {"stop_loss": None}, "stop_loss"),
        (BRACKET | {"take_profit": None}, "take_profit"),
        (BRACKET | {"stop_loss_trail_percent": ONE}, "stop_loss"),
        (BRACKET | {"stop_loss": Decimal(130)}, "stop_loss"),
        (BRACKET | {"order_type": OrderType.LIMIT, "limit_price": Decimal(80)}, "stop_loss"),
        (BRACKET | {"order_type": OrderType.LIMIT, "limit_price": Decimal(125)}, "take_profit"),
        (BRACKET | {"side": Side.SELL}, "stop_loss"),
        (BRACKET | {"tif": TimeInForce.IOC}, "tif"),
        (BRACKET | {"order_class": OrderClass.OTO}, "take_profit"),
        (OCO | {"order_type": OrderType.LIMIT, "limit_price": ONE}, "order_type"),
        (OCO | {"side": Side.BUY}, "stop_loss"),
    ],
)
def test_terms_that_contradict_each_other_are_refused(terms: dict[str, Any], field: str) -> None:
    with pytest.raises(Refusal) as refused:
        Terms(**terms).check()
    assert refused.value.code in (Code.INVALID_ARGUMENT, Code.MISSING_ARGUMENT)
    assert refused.value.field == field, refused.value


PLAIN = Capabilities(
    abilities=frozenset(),
    asset_classes=frozenset(AssetClass),
    order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}),
    time_in_force=frozenset({TimeInForce.DAY, TimeInForce.GTC}),
    pairs={OrderType.MARKET: frozenset({TimeInForce.DAY})},
    not_found_after=1.0,
)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (BUY | {"order_type": OrderType.TRAIL, "trail_percent": ONE}, "order_type"),
        (BUY | {"tif": TimeInForce.OPG}, "tif"),
        (BUY | {"tif": TimeInForce.GTC}, "tif"),
        (BRACKET, "order_class"),
        (BUY | {"quantity": None, "notional": ONE}, "notional"),
        (BUY | {"reduce_only": True}, "reduce_only"),
        (BUY | {"order_type": OrderType.LIMIT, "limit_price": ONE, "post_only": True}, "post_only"),
        (BUY | {"order_type": OrderType.LIMIT, "limit_price": ONE, "outside_rth": True}, "outside_rth"),
    ],
)
def test_what_the_broker_does_not_do_is_refused_and_never_imitated(terms: dict[str, Any], field: str) -> None:
    made = Terms(**terms)
    made.check()
    with pytest.raises(Refusal) as refused:
        made.check_offered(PLAIN)
    assert refused.value.code is Code.NOT_OFFERED_BY_BROKER
    assert refused.value.field == field, refused.value


def line(**terms: Any) -> str:
    made = Terms(**{"tif": TimeInForce.DAY} | BUY | terms)
    made.check()
    return describe(made.request("a" * 32, made.legs(lambda place: "b" * 32)), "USD")


LIMIT = {"order_type": OrderType.LIMIT, "limit_price": Decimal("5411.19")}


def test_an_order_is_one_line_in_the_words_of_the_market() -> None:
    assert line() == "Buy 10 AAPL, market, day"
    assert (
        line(quantity=Decimal("12500.5"), tif=TimeInForce.GTC, **LIMIT) == "Buy 12,500.5 AAPL, limit 5,411.19 USD, GTC"
    )
    assert line(quantity=None, notional=Decimal(500)) == "Buy 500.00 USD of AAPL, market, day"
    assert (
        line(order_type=OrderType.LIMIT, limit_price=Decimal("0.00001234")) == "Buy 10 AAPL, limit 0.00001234 USD, day"
    )
    assert (
        line(side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal(90)) == "Sell 10 AAPL, stop 90.00 USD, day"
    )
    assert (
        line(order_type=OrderType.STOP_LIMIT, stop_price=Decimal(90), limit_price=Decimal("90.5"))
        == "Buy 10 AAPL, stop 90.00 USD limit 90.50 USD, day"
    )
    assert (
        line(side=Side.SELL, order_type=OrderType.TRAIL, trail_percent=Decimal(2), tif=TimeInForce.GTC)
        == "Sell 10 AAPL, trailing stop 2%, GTC"
    )
    assert (
        line(side=Side.SELL, order_type=OrderType.TRAIL, trail_amount=Decimal(2))
        == "Sell 10 AAPL, trailing stop 2.00 USD, day"
    )


def test_the_line_names_every_time_in_force_and_every_flag() -> None:
    assert line(tif=TimeInForce.IOC) == "Buy 10 AAPL, market, immediate or cancel"
    assert line(tif=TimeInForce.FOK, **LIMIT) == "Buy 10 AAPL, limit 5,411.19 USD, fill or kill"
    assert line(tif=TimeInForce.OPG) == "Buy 10 AAPL, market, on open"
    assert line(tif=TimeInForce.CLS) == "Buy 10 AAPL, market, on close"
    assert line(outside_rth=True, **LIMIT) == "Buy 10 AAPL, limit 5,411.19 USD, day, extended hours"
    assert line(reduce_only=True, post_only=True, **LIMIT) == (
        "Buy 10 AAPL, limit 5,411.19 USD, day, reduce only, post only"
    )


def test_the_line_names_the_exits() -> None:
    assert line(**BRACKET) == "Buy 10 AAPL, market, day; once filled: take profit 120.00 USD or stop loss 90.00 USD"
    assert line(**BRACKET | {"stop_loss": None, "stop_loss_trail_percent": Decimal(5)}) == (
        "Buy 10 AAPL, market, day; once filled: take profit 120.00 USD or trailing stop 5%"
    )
    assert line(**OCO) == "Sell 10 AAPL, OCO: limit 120.00 USD or stop 90.00 USD, day"


def test_exits_are_on_the_other_side_and_outlive_the_day_of_their_entry() -> None:
    target, stop = Terms(**BRACKET).legs(lambda place: "c" * 32)
    assert (target.side, target.order_type, target.limit_price, target.tif) == (
        Side.SELL,
        OrderType.LIMIT,
        Decimal(120),
        TimeInForce.GTC,
    )
    assert (stop.side, stop.order_type, stop.stop_price, stop.tif) == (
        Side.SELL,
        OrderType.STOP,
        Decimal(90),
        TimeInForce.GTC,
    )


@pytest.mark.parametrize("broker", sorted(set(registry.NAMES) - {"alpaca", "ibkr"}))
def test_several_options_in_one_order_are_refused_by_every_broker_that_takes_none(broker: str) -> None:
    known = registry.capabilities(broker)
    assert known is not None
    with pytest.raises(Refusal) as found:
        Terms(**BUY | {"symbol": "AAPL+261218C250-C260"}).check_offered(known)
    assert (found.value.code, found.value.field) == (Code.NOT_OFFERED_BY_BROKER, "legs")
