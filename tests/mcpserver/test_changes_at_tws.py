"""An order that rests at TWS is changed by the tool, in place; without an answer the next look says what it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from console.accounts.models import User
from console.authority import call_quota
from console.connections.models import Connection, Policy
from console.limits import Limits
from console.orders.execution import reconcile
from console.orders.models import Modification, Order
from mcpserver import pipeline
from tests.brokers.faults import Fault
from tests.brokers.tws.fake import FakeTws
from tests.console.connections.fakes import TWS
from tests.mcpserver.linked_brokers import call, link

pytestmark = pytest.mark.django_db(transaction=True)
BRACKET = {"order_class": "bracket", "take_profit": "300", "stop_loss": "90"}


@dataclass(frozen=True, slots=True)
class Desk:
    key: str
    fake: FakeTws

    def place(self, **terms: Any) -> Order:
        asked = {"symbol": TWS.symbol, "side": "BUY", "quantity": "2", "order_type": "LMT", "limit_price": "100"}
        return self._confirmed(call(self.key, "place_order", **asked | terms))

    def change(self, order: Order, **terms: Any) -> Order:
        return self._confirmed(call(self.key, "modify_order", order_id=order.public_id, **terms))

    def _confirmed(self, shown: dict[str, Any]) -> Order:
        assert "confirmation_id" in shown, shown
        done = call(self.key, "confirm_trade", confirmation_id=shown["confirmation_id"])
        assert "order" in done, done
        return Order.objects.get(public_id=done["order"]["order_id"])


@pytest.fixture
def desk(owner: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)
    with TWS.running() as fake:
        limits = Limits(order_notional=Decimal(100_000), daily_notional=Decimal(100_000))
        key = link(owner, TWS, fake, limits=limits)
        # The assistant's own yes, at once.
        Connection.objects.update(policy=Policy.TWO_STEP, confirmation_delay=0)
        yield Desk(key, fake)


def test_price_and_quantity_of_an_order_are_changed_in_place(desk: Desk) -> None:
    order = desk.place()
    changed = desk.change(order, limit_price="99.5", quantity="3")
    assert (changed.pk, changed.status) == (order.pk, "working")
    assert (changed.limit_price, changed.quantity) == (Decimal("99.5"), Decimal(3))
    first, second = desk.fake.sent
    assert (second[1], second[17], second[19], second[26]) == (first[1], "3", "99.5", first[26])


def test_the_stop_of_a_bracket_is_moved_and_still_waits_for_its_order(desk: Desk) -> None:
    order = desk.place(**BRACKET)
    stop = order.legs.get(order_type="STP")
    assert desk.change(stop, stop_price="85").stop_price == Decimal(85)
    *_, before, sent = desk.fake.sent
    assert (sent[1], sent[20], sent[22], sent[28]) == (before[1], "85", before[22], before[28])
    reconcile.sweep()
    assert set(Order.objects.values_list("status", flat=True)) == {"working"}


def test_the_quantity_of_an_order_with_exits_is_refused_before_it_is_shown(desk: Desk) -> None:
    order = desk.place(**BRACKET)
    refused = call(desk.key, "modify_order", order_id=order.public_id, quantity="1")
    assert (refused["error"]["code"], refused["error"]["field"]) == ("not_offered_by_broker", "quantity")
    assert "its exits" in refused["error"]["message"]
    order.refresh_from_db()
    assert (order.status, order.quantity, Modification.objects.exists()) == ("working", Decimal(2), False)
    assert len(desk.fake.sent) == 3


def test_a_time_in_force_is_refused_before_it_is_shown(desk: Desk) -> None:
    order = desk.place(tif="GTC")
    refused = call(desk.key, "modify_order", order_id=order.public_id, tif="DAY")
    assert (refused["error"]["code"], refused["error"]["field"]) == ("not_offered_by_broker", "tif")
    assert len(desk.fake.sent) == 1


def test_a_change_that_tws_refuses_says_so_in_its_words_and_the_order_stays(desk: Desk) -> None:
    order = desk.place()
    desk.fake.not_changed = (2102, "Unable to modify this order as it is still being processed.")
    shown = call(desk.key, "modify_order", order_id=order.public_id, limit_price="99")
    done = call(desk.key, "confirm_trade", confirmation_id=shown["confirmation_id"])
    assert "still being processed. The order stands as it was." in str(done)
    reconcile.sweep()
    order.refresh_from_db()
    assert (order.status, order.limit_price) == ("working", Decimal(100))


@pytest.mark.parametrize("made", [False, True])
def test_a_change_without_an_answer_is_looked_up_and_sent_once(desk: Desk, made: bool) -> None:
    order = desk.place()
    desk.fake.faults.set(Fault(kind="cut", effect=made, method="SEND", path="change"))
    desk.change(order, limit_price="99")
    reconcile.sweep()
    order.refresh_from_db()
    assert (order.status, order.limit_price) == ("working", Decimal(99 if made else 100))
    assert len(desk.fake.sent) == 2
