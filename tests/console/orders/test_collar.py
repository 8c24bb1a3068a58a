"""Collar, freshness of the price and live's 2 % hold for what an order does now, whatever its type is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from brokers.paper.adapter import PaperBroker
from brokers.types import OrderChanges, OrderClass, OrderType, Preview, Quote, Side
from console import limits
from console.accounts.models import User
from console.connections import broker_access
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.models import Order
from console.orders.terms import Terms
from console.principal import Principal
from mcpserver import pipeline
from tests.console.api.rest import Rest
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db

LIVE = {"order_notional": "900000", "daily_notional": "9000000"}


@pytest.fixture
def market(paper: Connection, trader: Principal, monkeypatch: pytest.MonkeyPatch) -> Quote:
    """As it stands, with a spread of 3 % on either side; five are held to be sold."""
    five = Terms(symbol="AAPL", side=Side.BUY, quantity=Decimal(5))
    order_actions.confirm(trader, preparing.prepare(trader, five).confirmation.public_id)
    quote = broker_access.broker_of(paper).quotes(["AAPL"])[0]
    wide = replace(quote, bid=quote.last * Decimal("0.97"), ask=quote.last * Decimal("1.03"))
    served(monkeypatch, wide)
    return wide


def served(monkeypatch: pytest.MonkeyPatch, quote: Quote) -> None:
    """From now on, by every way that leads to a price."""
    seen = PaperBroker.preview

    def preview(self: PaperBroker, *args: Any) -> Preview:
        return replace(seen(self, *args), quote=quote)

    monkeypatch.setattr(PaperBroker, "preview", preview)
    monkeypatch.setattr(PaperBroker, "quotes", lambda self, symbols: [quote for _ in symbols])


def rounded(price: Decimal) -> Decimal:
    return price.quantize(Decimal("0.01"))


def order(market: Quote, side: Side = Side.BUY, **given: Any) -> Terms:
    """``stop``, ``limit``, ``target`` and ``loss`` as shares of the last price."""
    names = {"stop": "stop_price", "limit": "limit_price", "target": "take_profit", "loss": "stop_loss"}
    prices: dict[str, Any] = {
        names[name]: rounded(market.last * Decimal(share)) for name, share in given.items() if name in names
    }
    rest = {name: value for name, value in given.items() if name not in names}
    return Terms(symbol="AAPL", side=side, quantity=Decimal(1), **prices, **rest)


STOP: dict[str, Any] = {"order_type": OrderType.STOP}
STOP_LIMIT: dict[str, Any] = {"order_type": OrderType.STOP_LIMIT}
AT_ONCE: dict[str, dict[str, Any]] = {
    "a market order": {},
    "a stop below the market that buys": STOP | {"stop": "0.9"},
    "a stop between last and ask": STOP | {"stop": "1.01"},
    "a stop above the market that sells": STOP | {"stop": "1.1", "side": Side.SELL},
    "a trailing stop closer than the spread": {"order_type": OrderType.TRAIL, "trail_percent": Decimal(1)},
    "a stop-limit order that is through": STOP_LIMIT | {"stop": "0.9", "limit": "1.1"},
    "a stop-limit order far above the market": STOP_LIMIT | {"stop": "2", "limit": "2"},
    "a stop-limit order far below the market": STOP_LIMIT | {"stop": "0.5", "limit": "0.5", "side": Side.SELL},
    "a bracket": {"order_class": OrderClass.BRACKET, "target": "1.5", "loss": "0.5"},
    "a stop with an exit": STOP | {"stop": "0.9", "order_class": OrderClass.OTO, "target": "1.5"},
    "an entry at its limit whose stop is through": {
        "order_type": OrderType.LIMIT,
        "limit": "1.04",
        "order_class": OrderClass.OTO,
        "loss": "1.02",
    },
    "a pair whose stop is through": {
        "side": Side.SELL,
        "order_class": OrderClass.OCO,
        "target": "1.5",
        "loss": "1.2",
    },
}
WAITS: dict[str, dict[str, Any]] = {
    "a stop above the market that buys": STOP | {"stop": "1.2"},
    "a stop below the market that sells": STOP | {"stop": "0.8", "side": Side.SELL},
    "a trailing stop far away": {"order_type": OrderType.TRAIL, "trail_percent": Decimal(10)},
    "a stop-limit order just above the market": STOP_LIMIT | {"stop": "1.035", "limit": "1.036"},
    "a resting entry with its exits": {
        "order_type": OrderType.LIMIT,
        "limit": "0.8",
        "order_class": OrderClass.BRACKET,
        "target": "1.5",
        "loss": "0.7",
    },
    "an entry by a stop whose exit lies above the market": STOP
    | {"stop": "1.3", "order_class": OrderClass.OTO, "loss": "1.2"},
}


def refused(act: Callable[[], object]) -> Code | None:
    try:
        act()
    except Refusal as refusal:
        return refusal.code
    return None


@pytest.fixture
def collared(paper: Connection, owner: User) -> None:
    connections.set_limits(paper, limits.parse({"price_collar": "3.999"}), by=owner)


@pytest.fixture
def tight(paper: Connection, owner: User) -> None:
    connections.set_limits(paper, limits.parse({"price_collar": "2"}), by=owner)


@pytest.mark.parametrize("what", AT_ONCE)
def test_what_fills_at_once_is_held_to_the_collar(
    trader: Principal, market: Quote, tight: None, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr("console.orders.checks.facts.total_position", lambda *_: Decimal(0))
    assert refused(lambda: preparing.prepare(trader, order(market, **AT_ONCE[what]))) is Code.PRICE_OUTSIDE_COLLAR
    assert Order.objects.count() == 1


@pytest.mark.parametrize("what", WAITS)
def test_what_waits_for_its_price_is_not(trader: Principal, market: Quote, collared: None, what: str) -> None:
    assert refused(lambda: preparing.prepare(trader, order(market, **WAITS[what]))) is None


NO_LIMIT_PRICE = [what for what in AT_ONCE if "limit" not in AT_ONCE[what] and "target" not in AT_ONCE[what]]


@pytest.mark.parametrize("what", NO_LIMIT_PRICE)
def test_on_live_it_holds_without_being_asked_for(
    trader: Principal, paper: Connection, market: Quote, what: str
) -> None:
    Connection.objects.filter(pk=paper.pk).update(environment="live", limits=LIVE)
    assert refused(lambda: preparing.prepare(trader, order(market, **AT_ONCE[what]))) is Code.PRICE_OUTSIDE_COLLAR


THROUGH: dict[str, dict[str, Any]] = {
    "a limit far above the ask that buys": {"order_type": OrderType.LIMIT, "limit": "1.06"},
    "a limit far below the bid that sells": {"order_type": OrderType.LIMIT, "limit": "0.94", "side": Side.SELL},
    "a stop-limit order that is through": STOP_LIMIT | {"stop": "0.9", "limit": "1.06"},
}
NEAR: dict[str, dict[str, Any]] = {
    "a limit at the ask that buys": {"order_type": OrderType.LIMIT, "limit": "1.03"},
    "a limit at the bid that sells": {"order_type": OrderType.LIMIT, "limit": "0.97", "side": Side.SELL},
    "a limit that rests": {"order_type": OrderType.LIMIT, "limit": "0.5"},
    "a target far away": {"order_type": OrderType.LIMIT, "limit": "2", "side": Side.SELL},
}


@pytest.mark.parametrize("what", THROUGH)
def test_on_live_a_limit_far_through_the_book_is_no_way_to_take_any_price(
    trader: Principal, paper: Connection, market: Quote, watch: Watch, what: str
) -> None:
    Connection.objects.filter(pk=paper.pk).update(environment="live", limits=LIVE)
    assert refused(lambda: preparing.prepare(trader, order(market, **THROUGH[what]))) is Code.PRICE_OUTSIDE_COLLAR
    assert watch.submitted == []


@pytest.mark.parametrize("what", NEAR)
def test_on_live_a_limit_at_the_other_side_of_a_wide_spread_passes(
    trader: Principal, paper: Connection, market: Quote, what: str
) -> None:
    Connection.objects.filter(pk=paper.pk).update(environment="live", limits=LIVE)
    assert refused(lambda: preparing.prepare(trader, order(market, **NEAR[what]))) is None


@pytest.mark.parametrize("what", NO_LIMIT_PRICE)
def test_a_price_of_more_than_fifteen_minutes_ago_fills_nothing_at_once(
    trader: Principal, paper: Connection, owner: User, market: Quote, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    connections.set_limits(paper, limits.parse({"price_collar": "50"}), by=owner)
    assert refused(lambda: preparing.prepare(trader, order(market, **AT_ONCE[what]))) is not Code.LIMIT_UNPROVABLE
    served(monkeypatch, replace(market, as_of=market.as_of - timedelta(minutes=20)))
    assert refused(lambda: preparing.prepare(trader, order(market, **AT_ONCE[what]))) is Code.LIMIT_UNPROVABLE


def test_a_protective_stop_limit_order_stands_away_from_the_market(
    trader: Principal, market: Quote, tight: None
) -> None:
    guards: dict[str, Any] = STOP_LIMIT | {"stop": "0.8", "limit": "0.799", "side": Side.SELL}
    assert refused(lambda: preparing.prepare(trader, order(market, **guards))) is None
    too_far: dict[str, Any] = guards | {"limit": "0.7"}
    assert refused(lambda: preparing.prepare(trader, order(market, **too_far))) is Code.PRICE_OUTSIDE_COLLAR


@pytest.mark.parametrize("endpoint", ["place_order", "place_batch_orders", "REST"])
def test_it_holds_at_every_endpoint(
    trader: Principal, trade_key: str, market: Quote, tight: None, watch: Watch, endpoint: str
) -> None:
    given = {
        "symbol": "AAPL",
        "side": "BUY",
        "quantity": "1",
        "order_type": "STP",
        "stop_price": str(rounded(market.last * Decimal("0.9"))),
    }
    if endpoint == "REST":
        code = Rest(Browser(), trade_key).refused("POST", "/orders", given)["code"]
    else:
        arguments = {"orders": [given, given]} if endpoint == "place_batch_orders" else given
        answer = pipeline.attempt(trader, endpoint, arguments, request_id="req_test").answer()
        code = answer.content["error"]["code"]
    assert code == "price_outside_collar"
    assert watch.submitted == []


def test_a_change_that_puts_a_stop_through_is_held_to_it(
    trader: Principal, paper: Connection, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    quote = broker_access.broker_of(paper).quotes(["AAPL"])[0]
    waits = order(quote, **STOP, stop="1.2")
    resting = order_actions.confirm(trader, preparing.prepare(trader, waits).confirmation.public_id)
    connections.set_limits(paper, limits.parse({"price_collar": "2"}), by=owner)
    served(monkeypatch, replace(quote, ask=quote.last * Decimal("1.03")))
    through = OrderChanges(stop_price=rounded(quote.last * Decimal("0.9")))
    assert refused(lambda: preparing.prepare_change(trader, resting.public_id, through)) is Code.PRICE_OUTSIDE_COLLAR


@pytest.mark.parametrize(
    ("stop", "at_once", "code"),
    [
        ("1.01", False, Code.TRIGGER_ALREADY_MET),
        ("1.01", True, Code.TRIGGER_ALREADY_MET),
        ("0.99", True, Code.PRICE_OUTSIDE_COLLAR),
    ],
    ids=["waits", "waits though asked for at once", "meant"],
)
def test_a_stop_that_went_through_before_its_release_is_not_sent(
    trader: Principal,
    paper: Connection,
    tight: None,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    stop: str,
    at_once: bool,
    code: Code,
) -> None:
    quote = broker_access.broker_of(paper).quotes(["AAPL"])[0]
    prepared = preparing.prepare(trader, replace(order(quote, **STOP, stop=stop), at_once=at_once))
    served(monkeypatch, replace(quote, ask=quote.last * Decimal("1.03")))
    released = refused(lambda: order_actions.confirm(trader, prepared.confirmation.public_id))
    assert released is code
    assert watch.submitted == []
