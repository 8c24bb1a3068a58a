"""A met trigger is meant as it was shown: not one that waited then, and not at another price of the market."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.paper.adapter import PaperBroker
from brokers.types import OrderChanges, OrderRequest, OrderType, Preview, Quote, Side
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal

pytestmark = pytest.mark.django_db


class Market:
    def __init__(self, quote: Quote) -> None:
        self.first, self.now = quote, quote

    def move(self, share: str) -> None:
        at = (self.first.last * Decimal(share)).quantize(Decimal("0.01"))
        self.now = replace(self.first, last=at, bid=at, ask=at)

    def at(self, share: str) -> Decimal:
        return (self.first.last * Decimal(share)).quantize(Decimal("0.01"))


@pytest.fixture
def market(paper: Connection, monkeypatch: pytest.MonkeyPatch) -> Market:
    """One that moves as told; a preview has the price of a stop for that of the order, as most brokers' have."""
    made = Market(broker_access.broker_of(paper).quotes(["BTC/USD"])[0])
    made.move("1")
    seen = PaperBroker.preview

    def preview(self: PaperBroker, account_id: str, request: OrderRequest) -> Preview:
        found = seen(self, account_id, request)
        return replace(found, quote=made.now, price=request.limit_price or request.stop_price or made.now.ask)

    monkeypatch.setattr(PaperBroker, "preview", preview)
    monkeypatch.setattr(PaperBroker, "quotes", lambda self, symbols: [made.now for _ in symbols])
    return made


def stop(price: Decimal, **given: Any) -> Terms:
    return Terms(
        symbol="BTC/USD",
        side=Side.BUY,
        quantity=Decimal("0.01"),
        order_type=OrderType.STOP,
        stop_price=price,
        at_once=True,
        **given,
    )


def code_of(act: Any) -> Code | None:
    try:
        act()
    except Refusal as refusal:
        return refusal.code
    return None


def test_a_stop_that_was_shown_as_waiting_is_not_sent_once_it_is_met(trader: Principal, market: Market) -> None:
    shown = preparing.prepare(trader, stop(market.at("1.05"))).confirmation
    market.move("1.06")
    assert code_of(lambda: order_actions.confirm(trader, shown.public_id)) is Code.TRIGGER_ALREADY_MET


def test_a_stop_that_waited_and_waits_is_sent(trader: Principal, market: Market) -> None:
    shown = preparing.prepare(trader, stop(market.at("1.05"))).confirmation
    market.move("1.01")
    assert order_actions.confirm(trader, shown.public_id).state is Status.WORKING


@pytest.mark.parametrize(("share", "code"), [("1.01", None), ("1.03", Code.PRICE_MOVED), ("0.97", Code.PRICE_MOVED)])
def test_a_stop_that_was_shown_as_met_is_sent_only_near_the_market_that_was_shown(
    trader: Principal, market: Market, share: str, code: Code | None
) -> None:
    shown = preparing.prepare(trader, stop(market.at("0.9"))).confirmation
    market.move(share)
    assert code_of(lambda: order_actions.confirm(trader, shown.public_id)) is code


def test_a_change_to_a_stop_that_waits_is_not_made_once_that_is_met(trader: Principal, market: Market) -> None:
    first = preparing.prepare(trader, stop(market.at("1.2")))
    order = order_actions.confirm(trader, first.confirmation.public_id)
    asked = OrderChanges(stop_price=market.at("1.01"))
    shown = preparing.prepare_change(trader, order.public_id, asked, at_once=True).confirmation
    market.move("1.015")
    assert code_of(lambda: order_actions.confirm(trader, shown.public_id)) is Code.TRIGGER_ALREADY_MET


def test_an_order_that_is_asked_for_again_is_the_same_though_it_is_not_met(trader: Principal, market: Market) -> None:
    once, twice = (
        preparing.prepare(trader, stop(market.at("1.05")), client_order_id="again").order.public_id for _ in range(2)
    )
    assert once == twice
