"""A plan sends its own orders alone: an id that an app chose never makes another order one of them."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from brokers.types import Side
from console.errors import Code, Refusal
from console.orders import prepare as order_preparing
from console.orders import terms
from console.orders.models import Order
from console.plans import execution
from console.plans.models import TradingPlan
from console.principal import Principal
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.console.plans.steps import go_on, sent, started, statuses, twap

pytestmark = pytest.mark.django_db


def _named_like_the_second(plan: TradingPlan, trader: Principal, quantity: str) -> Order:
    return order_preparing.prepare(trader, bitcoin(quantity, Side.BUY), client_order_id=f"{plan.public_id}-2").order


@pytest.fixture
def any_id(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """As though such an id had been taken all the same."""

    def taken() -> None:
        monkeypatch.setattr(order_preparing, "check_client_order_id", lambda value, plan_id="": None)

    return taken


def test_no_app_names_an_order_like_one_of_a_plan(clock: Clock, trader: Principal) -> None:
    plan = started(trader, twap())
    with pytest.raises(Refusal) as refused:
        _named_like_the_second(plan, trader, "0.11")
    assert (refused.value.code, refused.value.field) == (Code.INVALID_ARGUMENT, "client_order_id")
    with pytest.raises(Refusal):
        terms.check_client_order_id("pln_1-2", plan_id="pln_12")


@pytest.mark.parametrize("quantity", ["0.11", "0.1"])
def test_an_order_of_an_app_under_the_id_of_one_of_its_plan_is_not_sent_by_the_plan(
    clock: Clock, trader: Principal, any_id: Callable[[], None], quantity: str
) -> None:
    """Of other terms or of the same: its own confirmation is the one way it goes."""
    plan = started(trader, twap())
    execution.sweep()
    any_id()
    clock.advance(minutes=9, seconds=50)
    named = _named_like_the_second(plan, trader, quantity)
    go_on(clock, seconds=15)
    named.refresh_from_db()
    assert (named.status, named.released_at) == ("awaiting_confirmation", None)
    go_on(clock, seconds=30)
    assert statuses(plan)[1] != "skipped"
    assert [each.quantity for each in sent(plan)] == [Decimal("0.1"), Decimal("0.1")]
