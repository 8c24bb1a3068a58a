"""A broker's stream says that something moved: the broker is asked, and what it answers is what counts."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from brokers import registry, stream_connection
from brokers.alpaca.adapter import AlpacaBroker
from brokers.alpaca.stream import AlpacaStream
from brokers.order_streams import StreamEvent, StreamEventKind
from brokers.types import OrderType, Side, TimeInForce
from console.accounts.models import User
from console.authority import bearer
from console.connections import order_streams
from console.connections.models import Connection, OrderStreamStatus
from console.keys import minting
from console.operations import figures, order_listener
from console.operations.models import Lease
from console.operations.order_listener import Listener
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.execution import reconcile
from console.orders.models import Order
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from console.scopes import Scope
from tests.brokers.faults import Fault
from tests.chaos.exchange import Exchange
from tests.chaos.venues import Alpaca
from tests.console.operations.listening import heard_by, until
from tests.console.pages import words_of
from tests.patience import at_most

pytestmark = pytest.mark.django_db(transaction=True)

WAITS = Decimal(100)
"""Far below the price: a buy at it rests."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two attempts, and between two looks."""
    monkeypatch.setattr(stream_connection, "PAUSES", (0.0,))
    monkeypatch.setattr(order_listener, "_LOOKS_APART", 0.0)
    monkeypatch.setattr(order_listener, "_LOOK_EVERY", 0.0)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with Exchange() as running:
        yield running


@pytest.fixture
def account(owner: User, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setattr(registry, "CALLS_PER_MINUTE", {})
    account = Alpaca(owner, exchange.url).connection
    account.settings.pop("timeouts")
    account.save()
    return account


@pytest.fixture
def order(owner: User, account: Connection) -> Order:
    """One that rests."""
    _, key = minting.mint(owner, account, frozenset({Scope.TRADE}), name="trades")
    return rest(bearer.authenticate(key))


def rest(trader: Principal) -> Order:
    terms = Terms(
        symbol="AAPL",
        side=Side.BUY,
        quantity=Decimal(1),
        order_type=OrderType.LIMIT,
        limit_price=WAITS,
        tif=TimeInForce.GTC,
    )
    return order_actions.confirm(trader, preparing.prepare(trader, terms).confirmation.public_id)


@pytest.fixture
def make() -> Iterator[Callable[[], Listener]]:
    made: list[Listener] = []

    def one() -> Listener:
        made.append(Listener())
        return made[-1]

    yield one
    for each in made:
        each.close()


@pytest.fixture
def listener(make: Callable[[], Listener], order: Order) -> Listener:
    """It hears the stream of the connection, and has had its first look."""
    listening = make()
    heard_by(listening, order.connection_id)
    return listening


def state(order: Order) -> Status:
    order.refresh_from_db()
    return order.state


def fill(exchange: Exchange, order: Order) -> None:
    exchange.control("price", {"symbol": "AAPL", "price": str(WAITS - 1)})


def test_a_fill_is_told_by_the_stream_without_any_sweep(listener: Listener, exchange: Exchange, order: Order) -> None:
    fill(exchange, order)
    until(listener, lambda: state(order) is Status.FILLED)
    assert order.filled_quantity == 1


def test_a_cancel_made_at_the_broker_is_told_too(listener: Listener, exchange: Exchange, order: Order) -> None:
    exchange.sockets[0].notes["streams"] = []  # it says so by hand below
    at_broker = next(iter(exchange.orders.values()))
    with exchange.lock:
        at_broker["status"] = "canceled"
    exchange.sockets[0].say({"stream": "trade_updates", "data": {"event": "canceled", "order": at_broker}})
    until(listener, lambda: state(order) is Status.CANCELLED)


@pytest.mark.parametrize(
    "frame",
    [
        {"stream": "trade_updates", "data": {"event": "fill", "order": {"client_order_id": "IT", "status": "filled"}}},
        {"stream": "trade_updates", "data": {"event": "fill", "qty": "1", "price": "1", "order": {"filled_qty": "1"}}},
        {"stream": "trade_updates", "data": {"event": "canceled", "order": None}},
        {"stream": "another", "data": {}},
        "no JSON",
        "[]",
        b"\xff\xfe",
    ],
)
def test_a_forged_or_garbled_frame_writes_nothing(
    listener: Listener, exchange: Exchange, order: Order, frame: Any
) -> None:
    events = order.events.count()
    if isinstance(frame, dict) and isinstance(frame["data"].get("order"), dict):
        frame["data"]["order"]["client_order_id"] = order.wire_id
    exchange.sockets[0].say(frame)
    for _ in "123":
        listener.step(0.05)
    until(listener, lambda: not listener.is_looking)
    assert state(order) is Status.WORKING
    assert (order.filled_quantity, order.events.count()) == (0, events)


def test_what_the_stream_says_of_one_connection_has_no_other_looked_at(
    listener: Listener, exchange: Exchange, order: Order, other: User
) -> None:
    with Exchange() as elsewhere:
        another = Alpaca(other, elsewhere.url).connection
        _, key = minting.mint(other, another, frozenset({Scope.TRADE}), name="theirs")
        theirs = rest(bearer.authenticate(key))
        heard_by(listener, another.pk)
        asked = len(elsewhere.received)
        fill(exchange, order)
        until(listener, lambda: state(order) is Status.FILLED and not listener.is_looking)
        assert len(elsewhere.received) == asked
        assert state(theirs) is Status.WORKING


def test_a_worker_listens_by_itself_and_gives_its_leases_back_when_it_stops(exchange: Exchange, order: Order) -> None:
    listening = Listener()
    listening.start()
    try:
        deadline = time.monotonic() + at_most(10)
        while state(order) is not Status.FILLED and time.monotonic() < deadline:
            if exchange.sockets and exchange.sockets[0].notes.get("streams"):
                fill(exchange, order)
            time.sleep(0.02)
    finally:
        listening.stop()
    assert state(order) is Status.FILLED
    assert not listening.is_running
    assert not Lease.objects.filter(name__startswith="order-stream").exists()


def test_of_two_workers_one_listens_and_the_other_takes_over(
    listener: Listener, make: Callable[[], Listener], exchange: Exchange, order: Order
) -> None:
    second = make()
    for _ in "123":
        second.step()
    assert len(exchange.sockets) == 1
    assert not order_listener.has_work()
    listener.close()
    assert order_listener.has_work()
    heard_by(second, order.connection_id)
    fill(exchange, order)
    until(second, lambda: state(order) is Status.FILLED)


def test_a_worker_that_was_killed_loses_its_stream_after_half_a_minute(
    listener: Listener, make: Callable[[], Listener], order: Order
) -> None:
    Lease.objects.update(until=timezone.now() - timedelta(seconds=1))
    heard_by(make(), order.connection_id)


def test_a_worker_whose_lease_another_has_lets_go_and_leaves_what_that_one_says(
    listener: Listener, exchange: Exchange, order: Order
) -> None:
    Lease.objects.filter(name__startswith="order-stream").update(
        holder="another", until=timezone.now() + timedelta(seconds=20)
    )
    for held in listener._held.values():
        held.holder._good_until = 0.0
    until(listener, lambda: not exchange.sockets)
    assert OrderStreamStatus.objects.get().is_up
    assert Lease.objects.filter(holder="another").exists()


def test_what_is_lost_of_the_record_is_written_again(
    listener: Listener, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_listener, "_RENEW_EVERY", 0.0)
    OrderStreamStatus.objects.all().delete()
    listener.step()
    assert OrderStreamStatus.objects.get().is_up


def test_while_the_stream_is_up_the_sweep_leaves_its_orders_alone_and_without_it_settles_them(
    listener: Listener, exchange: Exchange, order: Order
) -> None:
    until(listener, lambda: not listener.is_looking)
    exchange.sockets[0].notes["streams"] = []  # it says nothing more
    fill(exchange, order)
    reconcile.sweep()
    assert state(order) is Status.WORKING
    Order.objects.update(looked_up_at=timezone.now() - timedelta(seconds=31))
    reconcile.sweep()
    assert state(order) is Status.FILLED


def test_where_the_stream_is_down_the_sweep_settles_them_at_once(
    listener: Listener, exchange: Exchange, order: Order
) -> None:
    exchange.faults.set(*[Fault(kind="503", effect=False, method="STREAM")] * 1000)
    exchange.sockets[0].drop()
    until(listener, lambda: not OrderStreamStatus.objects.get().is_up)
    fill(exchange, order)
    reconcile.sweep()
    assert state(order) is Status.FILLED


def test_what_moved_while_the_stream_was_down_is_found_when_it_is_up_again(
    listener: Listener, exchange: Exchange, order: Order
) -> None:
    exchange.sockets[0].notes["streams"] = []
    fill(exchange, order)
    exchange.sockets[0].drop()
    until(listener, lambda: state(order) is Status.FILLED)


def test_a_look_that_the_broker_does_not_answer_is_made_anew_while_the_stream_is_up(
    listener: Listener, exchange: Exchange, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_listener, "_AGAIN_AFTER", 0.0)
    until(listener, lambda: not listener.is_looking)
    exchange.faults.set(*[Fault(kind="503", effect=False, method="GET", path="/v2/orders")] * 20)
    fill(exchange, order)
    until(listener, lambda: state(order) is Status.FILLED)


def look_that_ended(error: Exception | None = None) -> Future[bool]:
    """It reached nothing, or its thread could not give back its connection to the database."""
    look: Future[bool] = Future()
    if error is None:
        look.set_result(False)
    else:
        look.set_exception(error)
    return look


@pytest.mark.parametrize("error", [None, OperationalError("the connection is gone")])
@pytest.mark.parametrize(("is_up", "due"), [(True, 1.0 + order_listener._AGAIN_AFTER), (False, None)])
def test_a_look_that_reached_nothing_is_made_anew_while_the_stream_is_up_and_else_left_to_the_sweep(
    listener: Listener, order: Order, is_up: bool, due: float | None, error: Exception | None
) -> None:
    held = listener._held[order.connection_id]
    held.is_up, held.look_at, held.looking = is_up, None, look_that_ended(error)
    held.take_result(1.0)
    assert held.look_at == due
    held.look_at = None
    held.take_result(2.0)  # the same look is not taken for another one
    assert held.look_at is None


@pytest.mark.parametrize("kind", [StreamEventKind.UP, StreamEventKind.DOWN])
def test_what_a_stream_came_to_while_the_database_was_away_is_put_on_record_once_it_is_back(
    listener: Listener, order: Order, monkeypatch: pytest.MonkeyPatch, kind: StreamEventKind
) -> None:
    def away(*given: object, **named: object) -> None:
        raise OperationalError("the database is away")

    pk, trouble = order.connection_id, "" if kind is StreamEventKind.UP else "It was cut."
    order_streams.record(pk, is_up=kind is not StreamEventKind.UP)
    listener._events.put((pk, StreamEvent(kind=kind, reason=trouble)))
    with monkeypatch.context() as patched:
        patched.setattr(order_streams, "record", away)
        with pytest.raises(OperationalError):
            listener.step()
    listener.step()
    row = OrderStreamStatus.objects.get(connection_id=pk)
    assert (row.is_up, row.trouble) == (kind is StreamEventKind.UP, trouble)


def test_a_stream_that_ends_as_nobody_expected_is_opened_anew(
    make: Callable[[], Listener], order: Order, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = AlpacaBroker.order_stream

    def once(broker: AlpacaBroker) -> AlpacaStream:
        monkeypatch.setattr(AlpacaBroker, "order_stream", opened)
        raise KeyError("the secret")

    monkeypatch.setattr(AlpacaBroker, "order_stream", once)
    heard_by(make(), order.connection_id)
    assert "KeyError" in caplog.text and "the secret" not in caplog.text


def test_of_all_that_a_stream_names_no_more_is_kept_than_is_looked_for(
    listener: Listener, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_listener, "_MOST_NAMED", 3)
    until(listener, lambda: not listener.is_looking)
    looks: list[int] = []

    def look(pk: int, named: frozenset[str]) -> bool:
        looks.append(len(named))
        return True

    monkeypatch.setattr(order_listener, "wake", look)
    forged = tuple(f"forged-{place}" for place in range(9))
    for _ in "12":
        told = StreamEvent(kind=StreamEventKind.MOVED, client_order_ids=forged)
        listener._events.put((order.connection_id, told))
    until(listener, lambda: bool(looks))
    assert looks[0] == 3


def test_the_stream_of_a_connection_that_was_unlinked_ends(
    listener: Listener, exchange: Exchange, order: Order
) -> None:
    Connection.objects.filter(pk=order.connection_id).update(closed_at=timezone.now())
    asked = len(exchange.received)
    until(listener, lambda: not exchange.sockets)
    assert not OrderStreamStatus.objects.exists() and not Lease.objects.filter(name__startswith="order-stream").exists()
    assert len(exchange.received) == asked


def test_with_another_key_it_is_opened_anew(listener: Listener, exchange: Exchange, order: Order) -> None:
    (first,) = exchange.sockets
    connection = order.connection
    connection.settings |= {"feed": "sip"}
    connection.save(update_fields=["settings"])
    until(listener, lambda: bool(exchange.sockets) and first not in exchange.sockets)


def test_a_key_that_is_refused_is_said_and_not_tried_again_and_again(
    make: Callable[[], Listener], exchange: Exchange, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.brokers.alpaca.fake.SECRET", "another")
    listening = make()
    until(listening, lambda: OrderStreamStatus.objects.filter(trouble="The broker refused the sign-in.").exists())
    until(listening, lambda: not exchange.sockets)
    for _ in "123":
        listening.step(0.01)
    assert not exchange.sockets


def test_nothing_is_listened_to_where_no_order_rests_or_the_broker_has_no_stream(
    make: Callable[[], Listener], account: Connection, paper: Connection
) -> None:
    assert not order_listener.has_work()
    listening = make()
    listening.step()
    assert not OrderStreamStatus.objects.exists() and not Lease.objects.exists()


def test_no_frame_and_no_credential_is_logged(
    caplog: pytest.LogCaptureFixture, make: Callable[[], Listener], order: Order
) -> None:
    with caplog.at_level(logging.DEBUG):
        heard_by(make(), order.connection_id)
    assert "websockets" not in {record.name.partition(".")[0] for record in caplog.records}
    assert "authorized" not in caplog.text


def test_the_page_of_the_connection_says_which_of_both_it_is(listener: Listener, browser: Client, order: Order) -> None:
    page = f"/connections/{order.connection_id}/"
    assert "Sent by the broker since" in words_of(browser.get(page))
    order_streams.record(order.connection_id, is_up=False, trouble="The connection was cut.")
    words = words_of(browser.get(page))
    assert "Checked every few seconds The broker\u2019s stream is down: The connection was cut." in words
    OrderStreamStatus.objects.update(is_up=True, seen_at=timezone.now() - timedelta(seconds=31))
    assert "The worker that listened has stopped." in words_of(browser.get(page))


def test_metrics_count_streams_and_name_no_account(listener: Listener, order: Order) -> None:
    assert b'tradelatch_order_streams{state="up"} 1.0' in figures.text(0.0)[1]
    order_streams.record(order.connection_id, is_up=False)
    assert b'tradelatch_order_streams{state="down"} 1.0' in figures.text(0.0)[1]


def test_the_operator_sees_how_many_are_up_and_how_many_are_down(
    listener: Listener, operators_browser: Client, order: Order
) -> None:
    assert "Order streams 1 up" in words_of(operators_browser.get("/operator/system/"))
    order_streams.record(order.connection_id, is_up=False)
    words = words_of(operators_browser.get("/operator/system/"))
    assert "0 up, 1 down: those orders are checked every few seconds" in words
