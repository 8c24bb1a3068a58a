"""At a broker that makes a new order of a changed one, the end of the old one is not the order's end."""

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from brokers import registry
from brokers.alpaca.adapter import AlpacaBroker
from brokers.errors import UnknownOutcome
from brokers.types import BrokerOrder, OrderChanges, OrderType, Side
from console.accounts.models import User
from console.authority import bearer
from console.keys import minting
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.execution import reconcile
from console.orders.models import Modification, Order
from console.orders.states import AmendmentStatus, Status
from console.orders.terms import Terms
from console.principal import Principal
from console.scopes import Scope
from tests.chaos.exchange import Exchange
from tests.chaos.venues import Alpaca
from tests.clock import Clock

# Lookups run in threads of their own, which see what is committed.
pytestmark = pytest.mark.django_db(transaction=True)


class Died(BaseException):
    """The process ends here: nothing catches it."""


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with Exchange() as running:
        yield running


@pytest.fixture
def trader(owner: User, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Principal:
    monkeypatch.setattr(registry, "CALLS_PER_MINUTE", {})
    account = Alpaca(owner, exchange.url).connection
    account.settings.pop("timeouts")
    account.save()
    _, key = minting.mint(owner, account, frozenset({Scope.TRADE}), name="trades")
    return bearer.authenticate(key)


@pytest.fixture
def resting(trader: Principal) -> Order:
    terms = Terms(
        symbol="AAPL", side=Side.BUY, quantity=Decimal(1), order_type=OrderType.LIMIT, limit_price=Decimal(100)
    )
    order = order_actions.confirm(trader, preparing.prepare(trader, terms).confirmation.public_id)
    assert order.state is Status.WORKING
    return order


@pytest.fixture
def change(trader: Principal, resting: Order) -> Modification:
    return preparing.prepare_change(trader, resting.public_id, OrderChanges(limit_price=Decimal(101)))


def once(monkeypatch: pytest.MonkeyPatch, method: str, beside: Callable[[], object]) -> None:
    """Do something else when the adapter's method is called next, before it has any effect."""
    real = getattr(AlpacaBroker, method)

    def called(broker: AlpacaBroker, *args: Any, **named: Any) -> Any:
        monkeypatch.setattr(AlpacaBroker, method, real)
        beside()
        if threading.current_thread() is not threading.main_thread():
            connection.close()
        return real(broker, *args, **named)

    monkeypatch.setattr(AlpacaBroker, method, called)


def open_there(exchange: Exchange) -> list[tuple[str, str]]:
    return [
        (each["client_order_id"], each["limit_price"]) for each in exchange.orders.values() if each["status"] == "new"
    ]


def list_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker's list is cut, so that each order is asked for by itself."""
    monkeypatch.setattr(AlpacaBroker, "orders", lambda *args, **named: [])


@pytest.mark.parametrize("question", ["order", "orders"])
def test_a_look_that_a_change_overtakes_does_not_take_the_order_for_cancelled(
    trader: Principal,
    resting: Order,
    change: Modification,
    exchange: Exchange,
    monkeypatch: pytest.MonkeyPatch,
    question: str,
) -> None:
    if question == "order":
        list_nothing(monkeypatch)
    once(monkeypatch, question, lambda: order_actions.confirm(trader, change.confirmation.public_id))
    reconcile.sweep()
    change.refresh_from_db()
    resting.refresh_from_db()
    assert change.state is AmendmentStatus.DONE
    assert (resting.state, resting.limit_price) == (Status.WORKING, Decimal(101))
    assert open_there(exchange) == [(resting.wire_id, "101")]
    reconcile.sweep()
    resting.refresh_from_db()
    assert resting.state is Status.WORKING


def test_nor_while_the_change_that_overtook_it_is_still_on_its_way(
    trader: Principal,
    resting: Order,
    change: Modification,
    exchange: Exchange,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    real = AlpacaBroker.replace

    def dies(broker: AlpacaBroker, *args: Any) -> BrokerOrder:
        real(broker, *args)
        raise Died

    def confirmed() -> None:
        monkeypatch.setattr(AlpacaBroker, "replace", dies)
        with pytest.raises(Died):
            order_actions.confirm(trader, change.confirmation.public_id)

    list_nothing(monkeypatch)
    once(monkeypatch, "order", confirmed)
    reconcile.sweep()
    resting.refresh_from_db()
    change.refresh_from_db()
    assert (resting.state, change.state) == (Status.WORKING, AmendmentStatus.SENDING)
    clock.advance(seconds=31)
    reconcile.sweep()
    resting.refresh_from_db()
    change.refresh_from_db()
    assert (resting.state, resting.limit_price, change.state) == (Status.WORKING, Decimal(101), AmendmentStatus.DONE)
    assert open_there(exchange) == [(resting.wire_id, "101")]


@pytest.mark.parametrize("method", ["order", "cancel"])
def test_a_cancel_that_a_change_overtakes_cancels_what_the_change_made(
    trader: Principal,
    resting: Order,
    change: Modification,
    exchange: Exchange,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    once(monkeypatch, method, lambda: order_actions.confirm(trader, change.confirmation.public_id))
    assert order_actions.cancel(trader, resting.public_id).state is Status.CANCELLED
    resting.refresh_from_db()
    assert (resting.state, resting.limit_price) == (Status.CANCELLED, Decimal(101))
    assert open_there(exchange) == []


def test_a_change_that_the_broker_makes_after_it_was_given_up_is_still_found(
    trader: Principal,
    resting: Order,
    change: Modification,
    exchange: Exchange,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    real = AlpacaBroker.replace
    held_up: list[Callable[[], BrokerOrder]] = []

    def slow(broker: AlpacaBroker, *args: Any) -> BrokerOrder:
        held_up.append(lambda: real(broker, *args))
        raise UnknownOutcome("No answer arrived.")

    monkeypatch.setattr(AlpacaBroker, "replace", slow)
    order_actions.confirm(trader, change.confirmation.public_id)
    clock.advance(seconds=600)
    reconcile.sweep()
    assert Modification.objects.get().state is AmendmentStatus.NOT_DONE
    held_up[0]()
    reconcile.sweep()
    change.refresh_from_db()
    resting.refresh_from_db()
    assert change.state is AmendmentStatus.DONE
    assert (resting.state, resting.limit_price) == (Status.WORKING, Decimal(101))
    assert open_there(exchange) == [(resting.wire_id, "101")]
