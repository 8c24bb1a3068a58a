"""Where each price of an order stands against a quote, by values alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers.types import LegRequest, OrderClass, OrderRequest, OrderType, Quote, Side, TimeInForce
from console.errors import Code, Refusal
from console.orders.checks import market_standing

NOW = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)
QUOTE = Quote(
    symbol="AAPL",
    currency="USD",
    last=Decimal(100),
    bid=Decimal("99.9"),
    ask=Decimal("100.1"),
    open=None,
    high=None,
    low=None,
    change_percent=None,
    as_of=NOW,
    source="test",
)


def order(side: Side, kind: OrderType = OrderType.MARKET, **terms: Any) -> OrderRequest:
    stop, target = terms.pop("stop_loss", None), terms.pop("take_profit", None)
    legs = []
    if target is not None:
        legs.append(_leg(side, OrderType.LIMIT, limit_price=Decimal(target)))
    if stop is not None:
        legs.append(_leg(side, OrderType.STOP, stop_price=Decimal(stop)))
    return OrderRequest(
        client_order_id="a",
        symbol="AAPL",
        side=side,
        order_type=kind,
        quantity=Decimal(1),
        tif=TimeInForce.GTC,
        order_class=OrderClass.OTO if legs else OrderClass.SIMPLE,
        legs=tuple(legs),
        **_prices(terms),
    )


def _prices(terms: dict[str, str]) -> dict[str, Any]:
    return {name: Decimal(value) for name, value in terms.items()}


def _leg(side: Side, kind: OrderType, **prices: Any) -> LegRequest:
    return LegRequest(client_order_id=kind.value, side=side.opposite, order_type=kind, **prices)


def refused(request: OrderRequest, quote: Quote = QUOTE, *, at_once: bool = False) -> Code | None:
    try:
        market_standing.check_entry(request, quote, at_once=at_once)
        market_standing.check_exits(request, quote)
    except Refusal as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize(
    ("side", "kind", "terms", "code"),
    [
        (Side.BUY, OrderType.STOP, {"stop_price": "100"}, Code.TRIGGER_ALREADY_MET),
        (Side.BUY, OrderType.STOP, {"stop_price": "100.1"}, Code.TRIGGER_ALREADY_MET),
        (Side.BUY, OrderType.STOP, {"stop_price": "100.2"}, None),
        (Side.SELL, OrderType.STOP, {"stop_price": "99.9"}, Code.TRIGGER_ALREADY_MET),
        (Side.SELL, OrderType.STOP, {"stop_price": "99.8"}, None),
        (Side.BUY, OrderType.TRAIL, {"trail_amount": "0.1"}, Code.TRIGGER_ALREADY_MET),
        (Side.SELL, OrderType.TRAIL, {"trail_percent": "0.05"}, Code.TRIGGER_ALREADY_MET),
        (Side.SELL, OrderType.TRAIL, {"trail_percent": "1"}, None),
        (Side.BUY, OrderType.LIMIT, {"limit_price": "150"}, None),
        (Side.BUY, OrderType.MARKET, {"stop_loss": "100"}, Code.EXIT_ON_WRONG_SIDE),
        (Side.BUY, OrderType.MARKET, {"stop_loss": "99.9"}, Code.EXIT_ON_WRONG_SIDE),
        (Side.BUY, OrderType.MARKET, {"stop_loss": "99.8"}, None),
        (Side.BUY, OrderType.MARKET, {"take_profit": "100.1"}, Code.EXIT_ON_WRONG_SIDE),
        (Side.BUY, OrderType.MARKET, {"take_profit": "100.2"}, None),
        (Side.SELL, OrderType.MARKET, {"stop_loss": "100.1"}, Code.EXIT_ON_WRONG_SIDE),
        (Side.SELL, OrderType.MARKET, {"stop_loss": "100.2"}, None),
        (Side.SELL, OrderType.MARKET, {"take_profit": "99.9"}, Code.EXIT_ON_WRONG_SIDE),
        (Side.SELL, OrderType.MARKET, {"take_profit": "99.8"}, None),
        (Side.BUY, OrderType.LIMIT, {"limit_price": "90", "stop_loss": "95"}, Code.EXIT_ON_WRONG_SIDE),
        (Side.BUY, OrderType.LIMIT, {"limit_price": "90", "take_profit": "95"}, None),
        (Side.BUY, OrderType.LIMIT, {"limit_price": "120", "stop_loss": "110"}, Code.EXIT_ON_WRONG_SIDE),
        (Side.BUY, OrderType.STOP, {"stop_price": "110", "stop_loss": "105"}, None),
        (Side.BUY, OrderType.STOP, {"stop_price": "110", "take_profit": "108"}, Code.EXIT_ON_WRONG_SIDE),
        (Side.SELL, OrderType.STOP, {"stop_price": "90", "stop_loss": "85"}, Code.EXIT_ON_WRONG_SIDE),
        (Side.BUY, OrderType.TRAIL, {"trail_amount": "5", "take_profit": "104"}, Code.EXIT_ON_WRONG_SIDE),
        (Side.BUY, OrderType.TRAIL, {"trail_amount": "5", "take_profit": "106"}, None),
    ],
)
def test_what_is_met_or_passed_already_is_refused(
    side: Side, kind: OrderType, terms: dict[str, str], code: Code | None
) -> None:
    assert refused(order(side, kind, **terms)) is code


def test_a_met_trigger_that_is_meant_passes_and_its_exits_are_held_against_the_market() -> None:
    terms = {"stop_price": "90", "stop_loss": "95"}
    assert refused(order(Side.BUY, OrderType.STOP, **terms), at_once=True) is None
    assert refused(order(Side.BUY, OrderType.STOP, **terms | {"stop_loss": "101"}), at_once=True) is (
        Code.EXIT_ON_WRONG_SIDE
    )


@pytest.mark.parametrize("missing", ["0", "-1", "NaN"])
def test_a_missing_side_of_the_book_meets_no_trigger(missing: str) -> None:
    one_sided = replace(QUOTE, bid=Decimal(missing), ask=Decimal(missing))
    assert refused(order(Side.SELL, OrderType.STOP, stop_price="99"), one_sided) is None
    assert refused(order(Side.SELL, OrderType.STOP, stop_price="101"), one_sided) is Code.TRIGGER_ALREADY_MET
    unknown = replace(one_sided, last=Decimal(missing))
    met = order(Side.SELL, OrderType.STOP, stop_price="101")
    assert (refused(met, unknown), market_standing.describe(met, unknown, "USD", NOW)) == (None, "")


def test_an_old_price_says_how_old_it_is() -> None:
    waits = order(Side.BUY, OrderType.LIMIT, limit_price="90")
    assert market_standing.describe(waits, QUOTE, "USD", NOW) == (
        "Market: 100.00 USD. Limit 90.00: 10.0% below, waits."
    )
    later = market_standing.describe(waits, QUOTE, "USD", NOW + timedelta(hours=3))
    assert later.startswith("Market: 100.00 USD as of 2026-11-30 15:00 UTC.")


def test_a_limit_at_the_market_is_told_as_at_it() -> None:
    told = market_standing.describe(order(Side.BUY, OrderType.LIMIT, limit_price="100"), QUOTE, "USD", NOW)
    assert told == "Market: 100.00 USD. Limit 100.00: at the market, waits."
    near = market_standing.describe(order(Side.BUY, OrderType.LIMIT, limit_price="99.99"), QUOTE, "USD", NOW)
    assert "0.010% below" in near
