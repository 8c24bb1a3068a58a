"""Processes that carry plans on are killed wherever they write something: no order goes twice, none is lost."""

from tests import plan_kills


def test_plans_survive_kills_with_every_order_sent_once_and_no_bound_passed() -> None:
    counted = plan_kills.run(6, 11)
    assert counted["wrong"] == []
    assert counted["plans"] == 6
    assert counted["kills"] > 0
    assert counted["orders"] > 0
