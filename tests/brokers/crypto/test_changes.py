"""What only one venue does when an order is changed: in place or as a new one, partly filled, with a stop."""

import json
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import (
    BrokerError,
    DuplicateClientId,
    InvalidOrder,
    NotCancellable,
    NotSupported,
    Rejected,
    UnknownOutcome,
)
from brokers.types import BrokerStatus, OrderChanges, OrderType, TimeInForce
from tests.brokers.contract.cases import BINANCE, COINBASE, KRAKEN, OKX, CryptoCase, Rig, new_id
from tests.brokers.exchange import SimOrder
from tests.brokers.faults import Asked, Reply

IN_PLACE = (OKX, KRAKEN, COINBASE)


def _at_venue(rig: Rig, client_order_id: str) -> SimOrder:
    found = rig.wire.by_client(client_order_id)
    assert found is not None
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("case", IN_PLACE, ids=lambda case: case.name)
def test_a_quantity_counts_what_has_filled_already_where_the_order_stays_the_same(case: CryptoCase) -> None:
    with case.opened() as rig:
        order = rig.order(quantity=Decimal("0.3"))
        rig.broker.submit(rig.account_id, order)
        rig.wire.fill(_at_venue(rig, order.client_order_id), str(order.limit_price), "0.1")
        with pytest.raises(InvalidOrder, match="already filled"):
            rig.broker.replace(rig.account_id, order.client_order_id, OrderChanges(quantity=Decimal("0.1")))
        after = rig.broker.replace(rig.account_id, order.client_order_id, OrderChanges(quantity=Decimal("0.2")))
        assert (after.status, after.quantity) == (BrokerStatus.PARTIALLY_FILLED, Decimal("0.2"))
        assert (after.client_order_id, after.filled_quantity) == (order.client_order_id, Decimal("0.1"))


@pytest.mark.django_db
def test_binance_changes_an_order_before_its_first_fill_alone_whoever_is_faster() -> None:
    with BINANCE.opened() as rig:
        order = rig.order(quantity=Decimal("0.3"))
        rig.broker.submit(rig.account_id, order)
        at_venue, speak = _at_venue(rig, order.client_order_id), rig.wire.speak

        def filled_meanwhile(asked: Asked) -> Reply:
            if asked.path.endswith("/cancelReplace"):
                rig.wire.fill(at_venue, str(order.limit_price), "0.1")
            return speak(asked)

        rig.wire.speak = filled_meanwhile  # type: ignore[method-assign]
        changes = OrderChanges(limit_price=rig.low_price - 1)
        with pytest.raises(NotCancellable, match="began to fill"):
            rig.broker.replace(rig.account_id, order.client_order_id, changes, new_id())
        assert (at_venue.status, at_venue.filled, len(rig.wire.orders)) == ("open", "0.1", 1)
        sent = len(rig.wire.received)
        with pytest.raises(InvalidOrder, match="before the first fill"):
            rig.broker.replace(rig.account_id, order.client_order_id, changes, new_id())
        assert not any(path.endswith("/cancelReplace") for _, path in rig.wire.received[sent:])


@pytest.mark.django_db
def test_a_new_order_that_binance_refuses_leaves_the_old_one_cancelled_and_says_so() -> None:
    with BINANCE.opened() as rig:
        order, new = rig.order(), new_id()
        rig.broker.submit(rig.account_id, order)
        rig.wire.balances["USDT"] = Decimal(1)
        with pytest.raises(Rejected) as refused:
            rig.broker.replace(rig.account_id, order.client_order_id, OrderChanges(quantity=Decimal(1)), new)
        assert type(refused.value) is Rejected, "never one that sounds as if the old order still stood"
        assert str(refused.value) == "The old order was cancelled and the new one refused: nothing is open now."
        old = rig.look(order.client_order_id)
        assert old is not None
        assert old.status is BrokerStatus.CANCELLED
        assert rig.look(new) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        ({"code": -1003, "msg": "Too many requests."}, Rejected),
        ({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, Rejected),
        ({"code": -9999, "msg": "Something new."}, Rejected),
        ({"code": -1007, "msg": "Timeout waiting for response from backend server."}, UnknownOutcome),
        ({"code": -2010, "msg": "Duplicate order sent."}, DuplicateClientId),
    ],
)
def test_of_a_change_that_half_failed_nothing_stands_unless_the_new_order_may(
    inner: dict[str, Any], kind: type[BrokerError]
) -> None:
    with BINANCE.opened() as rig:
        order, speak = rig.order(), rig.wire.speak
        rig.broker.submit(rig.account_id, order)
        data = {"cancelResult": "SUCCESS", "newOrderResult": "FAILURE", "cancelResponse": {}, "newOrderResponse": inner}
        half = {"code": -2021, "msg": "Order cancel-replace partially failed.", "data": data}
        rig.wire.speak = lambda asked: (409, half) if asked.path.endswith("/cancelReplace") else speak(asked)  # type: ignore[method-assign]
        with pytest.raises(kind) as refused:
            rig.broker.replace(rig.account_id, order.client_order_id, OrderChanges(quantity=Decimal(1)), new_id())
        assert type(refused.value) is kind
        assert ("nothing is open now" in str(refused.value)) is (kind is Rejected)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("case", "words"),
    [(BINANCE, (b"cancelReplaceMode=", b"type=LIMIT_MAKER")), (KRAKEN, (b"txid=", b"post_only=true"))],
)
def test_a_post_only_order_stays_one(case: CryptoCase, words: tuple[bytes, ...]) -> None:
    with case.opened() as rig:
        order = rig.order(post_only=True)
        rig.broker.submit(rig.account_id, order)
        changes = OrderChanges(limit_price=rig.low_price - 1)
        rig.broker.replace(rig.account_id, order.client_order_id, changes, new_id())
        assert any(all(each in body for each in words) for body in rig.server.writes)


@pytest.mark.django_db
def test_a_stop_moves_at_kraken_and_not_at_coinbase() -> None:
    for case in (KRAKEN, COINBASE):
        with case.opened() as rig:
            high = rig.price * 2
            order = rig.order(order_type=OrderType.STOP_LIMIT, limit_price=high, stop_price=high)
            rig.broker.submit(rig.account_id, order)
            changes = OrderChanges(stop_price=high + 100, limit_price=high + 200)
            if case is COINBASE:
                with pytest.raises(NotSupported, match="only limit orders"):
                    rig.broker.replace(rig.account_id, order.client_order_id, changes)
                continue
            after = rig.broker.replace(rig.account_id, order.client_order_id, changes)
            assert (after.stop_price, after.limit_price) == (high + 100, high + 200)


@pytest.mark.django_db
def test_how_long_an_order_stands_and_how_it_trails_is_not_changed() -> None:
    for case in (*IN_PLACE, BINANCE):
        with case.opened() as rig:
            order = rig.order()
            rig.broker.submit(rig.account_id, order)
            for changes in (OrderChanges(tif=TimeInForce.IOC), OrderChanges(trail_percent=Decimal(1))):
                with pytest.raises(NotSupported):
                    rig.broker.replace(rig.account_id, order.client_order_id, changes, new_id())


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("case", "path", "taken"),
    [
        (OKX, "/amend-order", {"code": "0", "msg": "", "data": [{"ordId": "ID", "clOrdId": "OURS", "sCode": "0"}]}),
        (KRAKEN, "/AmendOrder", {"error": [], "result": {"amend_id": "TEZA4R-DSDGT-IJBOJK"}}),
        (COINBASE, "/orders/edit", {"success": True, "errors": []}),
    ],
)
def test_a_change_that_was_taken_and_not_made_yet_is_unknown(case: CryptoCase, path: str, taken: Any) -> None:
    with case.opened() as rig:
        order, speak = rig.order(), rig.wire.speak
        rig.broker.submit(rig.account_id, order)
        ours, theirs = order.client_order_id, _at_venue(rig, order.client_order_id).order_id
        answer = json.loads(json.dumps(taken).replace("OURS", ours).replace("ID", theirs, 1))

        def slow(asked: Asked) -> Reply:
            return (200, answer) if asked.path.endswith(path) else speak(asked)

        rig.wire.speak = slow  # type: ignore[method-assign]
        with pytest.raises(UnknownOutcome, match="has not made it yet"):
            rig.broker.replace(rig.account_id, ours, OrderChanges(limit_price=rig.low_price - 1))
