"""Steps of orders that ended long ago are deleted where the settings say so; orders never are."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.audit.models import Change
from console.connected_apps.models import ConnectedApp
from console.orders.models import Order, OrderEvent
from console.orders.states import Status
from console.orders.transitions import old_events
from console.principal import Principal
from tests.console.orders import steps

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(days=100)


@pytest.fixture
def orders(trader: Principal) -> dict[str, Order]:
    app, now = ConnectedApp.objects.get(pk=trader.app_id), timezone.now()
    made = {
        "ended": steps.make(app, Status.FILLED, at=now - LONG_AGO),
        "open": steps.make(app, Status.WORKING, at=now - LONG_AGO),
        "ended lately": steps.make(app, Status.FILLED, at=now - LONG_AGO),
    }
    OrderEvent.objects.all().delete()
    for name, order in made.items():
        moved = now - (timedelta(days=1) if name == "ended lately" else LONG_AGO)
        Order.objects.filter(pk=order.pk).update(moved_at=moved)
        for number in range(2):
            OrderEvent.objects.create(order=order, at=now - LONG_AGO, after=order.status, what=f"Step {number}.")
    return made


def left() -> dict[int, int]:
    found: dict[int, int] = {}
    for pk in OrderEvent.objects.values_list("order_id", flat=True):
        found[pk] = found.get(pk, 0) + 1
    return found


def test_steps_are_kept_for_ever_unless_the_settings_say_a_number_of_days(orders: dict[str, Order]) -> None:
    assert old_events.drop_old() == 0
    assert set(left().values()) == {2}


def test_of_orders_that_ended_so_long_ago_they_go_and_the_record_says_so(
    orders: dict[str, Order], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEEP_DAYS = {**settings.KEEP_DAYS, "order_events": 90}
    monkeypatch.setattr(old_events, "_AT_ONCE", 2)
    assert old_events.drop_old() == 2
    assert left() == {orders["open"].pk: 2, orders["ended lately"].pk: 2}
    assert Order.objects.count() == 3
    told = Change.objects.get(action="old steps deleted")
    assert (told.times, told.detail) == (2, {"kept_days": 90})
    assert old_events.drop_old() == 0
