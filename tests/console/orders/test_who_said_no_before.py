"""Orders that ended before a status of its own said who ended them are told alike, by the code they ended with."""

from importlib import import_module

import pytest
from django.apps import apps

from console.orders import prepare as preparing
from console.orders.models import Order
from console.principal import Principal
from tests.console.orders.conftest import bitcoin

pytestmark = pytest.mark.django_db

MIGRATION = import_module("console.orders.migrations.0012_who_said_no")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("cancelled", "rejected_by_owner"), ("rejected_by_owner", "rejected_by_owner")),
        (("rejected", "broker_asks"), ("unanswered", "question_unanswered")),
        (("rejected", "broker_rejected"), ("rejected", "broker_rejected")),
        (("cancelled", ""), ("cancelled", "")),
    ],
)
def test_an_order_of_an_older_version_says_who_said_no(
    trader: Principal, before: tuple[str, str], after: tuple[str, str]
) -> None:
    order = preparing.prepare(trader, bitcoin()).order
    Order.objects.filter(pk=order.pk).update(status=before[0], code=before[1])
    MIGRATION.name_who_said_no(apps, None)
    assert Order.objects.values_list("status", "code").get() == after
    MIGRATION.as_before(apps, None)
    assert Order.objects.values_list("status", "code").get() == before
