"""An order that nothing can say anything about is handed to its owner, who says what the broker shows."""

from decimal import Decimal

import pytest
from django.test import Client as Browser

from brokers.errors import BrokerUnavailable, UnknownOutcome
from brokers.types import OrderRequest
from console.accounts.models import User
from console.audit.models import Change
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks import daily_usage
from console.orders.execution import reconcile
from console.orders.models import Order
from console.orders.owner import manual_settlement
from console.orders.owner.manual_settlement import Observation
from console.orders.states import Status
from console.principal import Principal
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.console.pages import words_of
from tests.console.present import present
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


@pytest.fixture
def unknown(trader: Principal, watch: Watch) -> Order:
    """Its answer was lost, and the broker does not answer since."""

    def lose(_: OrderRequest) -> None:
        raise UnknownOutcome("The answer was lost.")

    def away(_: str) -> None:
        raise BrokerUnavailable("away")

    watch.before_submit, watch.on_lookup = lose, away
    return order_actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id)


def test_the_owner_is_asked_only_when_looking_up_has_led_nowhere(unknown: Order, owner: User, clock: Clock) -> None:
    with pytest.raises(Refusal) as caught:
        manual_settlement.settle(unknown, Observation.NOT_THERE, by=owner)
    assert caught.value.code is Code.NOT_PERMITTED
    clock.advance(seconds=600)
    reconcile.sweep()
    assert manual_settlement.settle(unknown, Observation.NOT_THERE, by=owner).state is Status.NOT_FOUND
    assert Change.objects.filter(action="settled by hand", target_id=unknown.public_id).count() == 1


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (Observation.WORKING, Status.WORKING),
        (Observation.FILLED, Status.FILLED),
        (Observation.CANCELLED, Status.CANCELLED),
    ],
)
def test_what_the_owner_saw_is_where_the_order_stands(
    unknown: Order, owner: User, clock: Clock, seen: Observation, status: Status
) -> None:
    clock.advance(seconds=600)
    assert manual_settlement.settle(unknown, seen, by=owner).state is status


def test_an_order_that_is_not_there_no_longer_counts_against_a_limit(
    unknown: Order, owner: User, paper: Connection, clock: Clock
) -> None:
    clock.advance(seconds=600)
    assert daily_usage.day_use(unknown, paper.currency) not in (None, 0)
    settled = manual_settlement.settle(unknown, Observation.NOT_THERE, by=owner)
    assert daily_usage.day_use(settled, paper.currency) == Decimal(0)


def test_the_page_asks_takes_a_fresh_proof_and_refuses_the_other_user(
    unknown: Order, owner: User, other: User, clock: Clock
) -> None:
    page = f"/orders/{unknown.public_id}/"
    mine, theirs = Browser(), Browser()
    mine.force_login(owner)
    theirs.force_login(other)
    assert "Check at your broker" not in words_of(mine.get(page))
    clock.advance(seconds=600)
    assert "Check at your broker" in words_of(mine.get(page))
    assert theirs.post(f"{page}settle/", {"seen": "not_there"}).status_code == 404
    assert mine.post(f"{page}settle/", {"seen": "not_there"}).status_code == 200
    assert Order.objects.get(pk=unknown.pk).state is Status.UNKNOWN
    mine = present(mine)
    mine.post(f"{page}settle/", {"seen": "not_there"})
    assert Order.objects.get(pk=unknown.pk).state is Status.NOT_FOUND
    assert "Check at your broker" not in words_of(mine.get(page))
