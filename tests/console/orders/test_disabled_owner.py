"""Once an operator has disabled an account, no order of its apps is sent any more; cancels go on."""

from typing import Any

import pytest

from brokers.paper.adapter import PaperBroker
from console.accounts.models import User
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.execution import reconcile, submit
from console.orders.models import Order
from console.orders.prepare import PlanItem
from console.orders.states import Status
from console.people import roster
from console.principal import Principal
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


def test_what_was_shown_before_is_not_released(
    trader: Principal, owner: User, operator: User, other: User, watch: Watch
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    roster.disable(other, by=operator)  # somebody else's account says nothing
    shown = preparing.prepare(trader, bitcoin())
    roster.disable(owner, by=operator)
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, prepared.confirmation.public_id)
    assert caught.value.code is Code.NOT_PERMITTED
    with pytest.raises(Refusal):
        preparing.prepare(trader, bitcoin())
    assert watch.submitted == []
    order_actions.discard(trader, shown.confirmation.public_id)


def test_an_intent_whose_process_died_is_not_sent(
    trader: Principal, owner: User, operator: User, watch: Watch, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    with monkeypatch.context() as dying:
        dying.setattr(submit, "send", lambda *about, **more: None)
        order_actions.confirm(trader, prepared.confirmation.public_id)
    roster.disable(owner, by=operator)
    clock.advance(seconds=31)
    reconcile.sweep()
    order = Order.objects.get()
    assert (order.state, order.code) == (Status.DENIED, Code.NOT_PERMITTED)
    assert watch.submitted == []


def test_of_a_batch_under_way_nothing_more_is_sent(
    trader: Principal, owner: User, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [PlanItem(terms=bitcoin(limit=price)) for price in ("100", "101")]
    prepared = preparing.prepare_plan(trader, items)
    send = PaperBroker.submit

    def sends(self: PaperBroker, *about: Any) -> Any:
        done = send(self, *about)
        roster.disable(owner, by=operator)
        return done

    monkeypatch.setattr(PaperBroker, "submit", sends)
    order_actions.confirm_all(trader, prepared.confirmation.public_id)
    assert [each.state for each in Order.objects.order_by("pk")] == [Status.WORKING, Status.DENIED]


def test_what_is_open_can_still_be_cancelled(trader: Principal, owner: User, operator: User) -> None:
    shown = preparing.prepare(trader, bitcoin(limit="100"))
    order = order_actions.confirm(trader, shown.confirmation.public_id)
    roster.disable(owner, by=operator)
    assert order_actions.cancel(trader, order.public_id).state is Status.CANCELLED
