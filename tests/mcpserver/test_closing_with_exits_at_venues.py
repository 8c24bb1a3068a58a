"""Closing everything at a venue while exits wait there: nothing stays open that could trade after it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from console.accounts.models import User
from console.authority import call_quota
from console.connections.models import Connection, Policy
from console.limits import Limits
from console.orders.execution import reconcile
from console.orders.models import Order
from mcpserver import pipeline
from tests.console.connections.fakes import BINANCE, COINBASE, KRAKEN, OKX, Linkable
from tests.mcpserver.linked_brokers import call, link

pytestmark = pytest.mark.django_db(transaction=True)

BOTH = {"order_class": "bracket", "take_profit": "33000", "stop_loss": "27000"}
ONE = {"order_class": "oto", "stop_loss": "27000"}
_VENUES = [(BINANCE, BOTH), (OKX, BOTH), (KRAKEN, ONE), (COINBASE, BOTH)]


@pytest.fixture(autouse=True)
def _no_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)


@pytest.fixture(params=_VENUES, ids=[venue.broker for venue, _ in _VENUES])
def placed(request: pytest.FixtureRequest, owner: User) -> Iterator[tuple[str, Any, str]]:
    """A key, the venue, and the symbol of an entry that waits there with its exits."""
    linkable: Linkable = request.param[0]
    with linkable.running() as fake:
        key = link(owner, linkable, fake, limits=Limits(order_notional=Decimal(10**6), daily_notional=Decimal(10**7)))
        Connection.objects.update(policy=Policy.TWO_STEP, confirmation_delay=0)
        terms = {"symbol": linkable.symbol, "side": "BUY", "quantity": "0.5", "order_type": "LMT"}
        shown = call(key, "place_order", **terms, limit_price="29000", tif="GTC", **request.param[1])
        call(key, "confirm_trade", confirmation_id=shown["confirmation_id"])
        yield key, fake, linkable.symbol


def _open(fake: Any) -> list[Any]:
    waiting = [each for each in fake.orders.values() if each.status not in ("filled", "canceled")]
    return waiting + [each for each in getattr(fake, "algos", {}).values() if each.state == "live"]


@pytest.mark.parametrize("filled", [(), ("0.2",), ("0.2", "0.3"), ("0.5",)], ids=["no", "part", "two parts", "whole"])
def test_nothing_is_left_at_the_venue(placed: tuple[str, Any, str], filled: tuple[str, ...]) -> None:
    key, fake, symbol = placed
    entry = fake.by_client(Order.objects.get(parent=None).wire_id)
    for part in filled:
        fake.fill(entry, "29000", part)
    reconcile.sweep()
    shown = call(key, "flatten_account")
    done = call(key, "confirm_trade", confirmation_id=shown["confirmation_id"])
    assert "error" not in done, done
    reconcile.sweep()
    assert _open(fake) == []
    open_here = Order.objects.exclude(status__in=("filled", "cancelled"))
    assert [(each.order_type, each.status) for each in open_here] == []
    assert fake.balances[symbol.split("/")[0]] == 0


@pytest.mark.parametrize("tool", ["flatten_account", "close_position"])
def test_a_coin_is_closed_but_for_what_is_less_than_a_lot(placed: tuple[str, Any, str], tool: str) -> None:
    key, fake, symbol = placed
    call(key, "cancel_all_orders")
    coin, held = symbol.split("/")[0], Decimal("1.234567891234")
    rest = held % Decimal(fake.listing(symbol).lot)
    fake.balances[coin] = held
    shown = call(key, tool, **({"symbol": symbol} if tool == "close_position" else {}))
    assert f"Sell {(held - rest).normalize()} {symbol}" in shown["summary"], shown
    done = call(key, "confirm_trade", confirmation_id=shown["confirmation_id"])
    assert "error" not in done, done
    assert fake.balances[coin] == rest > 0


def test_a_cancel_tells_which_other_orders_ended_with_it(placed: tuple[str, Any, str]) -> None:
    key, fake, _ = placed
    order = Order.objects.get(parent=None)
    fake.fill(fake.by_client(order.wire_id), "29000", "0.5")
    reconcile.sweep()
    exits = list(order.legs.order_by("-pk"))
    done = call(key, "cancel_order", order_id=exits[0].public_id)
    told = {each["order_id"]: each["status"] for each in done.get("orders", [done["order"]])}
    assert told == {each.public_id: "cancelled" for each in exits}
    assert ("still protected" in done.get("next", "")) is (len(exits) > 1)


def test_a_cancel_before_anything_was_sent_ends_one_order(placed: tuple[str, Any, str]) -> None:
    key, _, symbol = placed
    terms = {"symbol": symbol, "side": "BUY", "quantity": "0.5", "order_type": "LMT", "limit_price": "28000"}
    shown = call(key, "place_order", **terms)
    done = call(key, "cancel_order", order_id=shown["order"]["order_id"])
    assert (done["status"], "orders" in done) == ("cancelled", False)


def test_exits_of_what_filled_before_a_cancel_are_told_with_that_quantity(placed: tuple[str, Any, str]) -> None:
    key, fake, _ = placed
    order = Order.objects.get(parent=None)
    fake.fill(fake.by_client(order.wire_id), "29000", "0.2")
    reconcile.sweep()
    call(key, "cancel_order", order_id=order.public_id)
    reconcile.sweep()
    stands = {each.public_id for each in order.legs.filter(status="working")}
    # Binance ends the exits with their order, whatever of it has filled.
    assert len(stands) == (0 if order.connection.broker == "binance" else order.legs.count())
    told = call(key, "get_orders")["orders"]
    assert {each["order_id"]: each["quantity"] for each in told if each["order_id"] in stands} == dict.fromkeys(
        stands, "0.2"
    )
