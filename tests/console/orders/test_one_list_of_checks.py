"""Whatever shows, releases, changes or sends an order runs one list of checks, and asks no broker under the locks."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import transaction

from brokers.types import OrderChanges
from console.accounts.models import User
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders import preview as previewing
from console.orders.checks import check_rows, pipeline
from console.orders.checks.check_subject import Facts, Subject
from console.orders.checks.pipeline import About, Check, Stage
from console.orders.execution import reconcile, submit
from console.orders.models import Confirmation, Order
from console.orders.owner import close_all, review
from console.orders.prepare import PlanItem
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db

NO = "The probe says no."


def put_first(
    monkeypatch: pytest.MonkeyPatch, stage: Stage, about: About, run: Callable[[Subject, Facts], None] | None = None
) -> None:
    """A check of its own before all others, which refuses unless ``run`` is given."""

    def refuse(subject: Subject, facts: Facts) -> None:
        raise Refusal(Code.OUTSIDE_LIMITS, NO)

    probe = Check(name="probe", about=about, stages=frozenset({stage}), run=run or refuse)
    monkeypatch.setattr(pipeline, "CHECKS", (probe, *pipeline.CHECKS))


def place(trader: Principal, terms: Terms | None = None) -> Order:
    return order_actions.confirm(trader, preparing.prepare(trader, terms or bitcoin()).confirmation.public_id)


def resting(trader: Principal) -> Order:
    return place(trader, bitcoin(limit="1000"))


def two(trader: Principal) -> object:
    return preparing.prepare_plan(trader, [PlanItem(terms=bitcoin()), PlanItem(terms=bitcoin("0.2"))])


def change(trader: Principal, order: Order) -> str:
    made = preparing.prepare_change(trader, order.public_id, OrderChanges(limit_price=Decimal(900)))
    return made.confirmation.public_id


SHOWS: dict[str, Callable[[Principal], object]] = {
    "an order": lambda trader: preparing.prepare(trader, bitcoin()),
    "a plan": two,
    "a close": lambda trader: preparing.prepare_close(trader, "BTC/USD"),
    "a reverse": lambda trader: preparing.prepare_reverse(trader, "BTC/USD"),
    "a flatten": preparing.prepare_flatten,
    "a change": lambda trader: change(trader, Order.objects.get(limit_price=1000)),
}


@pytest.mark.parametrize("about", [About.ASKER, About.ORDER])
@pytest.mark.parametrize("what", SHOWS)
def test_what_is_prepared_passes_the_list(
    what: str, about: About, trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting(trader)
    place(trader)
    sent = len(watch.submitted)
    put_first(monkeypatch, Stage.SHOWN, about)
    with pytest.raises(Refusal, match=NO):
        SHOWS[what](trader)
    assert len(watch.submitted) == sent


def test_the_owners_flatten_passes_the_list(
    trader: Principal, paper: Connection, owner: User, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(trader)
    put_first(monkeypatch, Stage.SHOWN, About.ORDER)
    with pytest.raises(Refusal, match=NO):
        close_all.flatten_as_owner(paper, by=owner, account_id=trader.account_id)


@pytest.mark.parametrize("about", About)
def test_a_preview_shows_the_list(about: About, trader: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    put_first(monkeypatch, Stage.SHOWN, about)
    checks = previewing.preview(trader, bitcoin()).checks
    assert [(each.name, str(each.refusal)) for each in checks if each.refusal] == [("probe", NO)]


RELEASED: dict[str, Callable[[Principal], str]] = {
    "an order": lambda trader: preparing.prepare(trader, bitcoin()).confirmation.public_id,
    "a close": lambda trader: preparing.prepare_close(trader, "BTC/USD").confirmation.public_id,
    "a flatten": lambda trader: preparing.prepare_flatten(trader)[0].confirmation.public_id,
    "a change": lambda trader: change(trader, Order.objects.get(limit_price=1000)),
}


@pytest.mark.parametrize("stage", [Stage.CONFIRMED, Stage.LOCKED])
@pytest.mark.parametrize("about", About)
@pytest.mark.parametrize("what", RELEASED)
def test_what_is_released_passes_the_list(
    what: str, about: About, stage: Stage, trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting(trader)
    place(trader)
    confirmation = RELEASED[what](trader)
    sent = (len(watch.submitted), len(watch.replaced), len(watch.cancelled))
    put_first(monkeypatch, stage, about)
    with pytest.raises(Refusal, match=NO):
        order_actions.confirm(trader, confirmation)
    assert (len(watch.submitted), len(watch.replaced), len(watch.cancelled)) == sent


@pytest.mark.parametrize("stage", [Stage.CONFIRMED, Stage.LOCKED])
@pytest.mark.parametrize("about", About)
@pytest.mark.parametrize("what", RELEASED)
def test_the_approval_page_shows_what_its_release_checks(
    what: str, about: About, stage: Stage, trader: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting(trader)
    place(trader)
    confirmation = RELEASED[what](trader)
    put_first(monkeypatch, stage, about)
    assert NO in review.load(Confirmation.objects.get(public_id=confirmation)).standing


@pytest.mark.parametrize("about", [About.ASKER, About.ORDER])
def test_an_intent_that_is_resumed_passes_the_list(
    about: About, trader: Principal, watch: Watch, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    with monkeypatch.context() as dies:
        dies.setattr(submit, "send", lambda *_, **__: None)
        order_actions.confirm(trader, prepared.confirmation.public_id)
    clock.advance(seconds=31)
    put_first(monkeypatch, Stage.CONFIRMED, about)
    reconcile.sweep(clock.now)
    prepared.order.refresh_from_db()
    assert (prepared.order.state, prepared.order.reason, watch.submitted) == (Status.DENIED, NO, [])


def test_an_order_about_to_be_sent_passes_what_is_about_its_app(
    trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    send = submit.send

    def meanwhile(order: Order, *, by: str, request_id: str = "") -> Order:
        put_first(monkeypatch, Stage.LOCKED, About.ASKER)
        return send(order, by=by, request_id=request_id)

    monkeypatch.setattr(submit, "send", meanwhile)
    with pytest.raises(Refusal, match=NO):
        order_actions.confirm(trader, prepared.confirmation.public_id)
    prepared.order.refresh_from_db()
    assert (prepared.order.state, watch.submitted) == (Status.DENIED, [])


ASKS: dict[str, Callable[[Facts], object]] = {
    "broker": lambda facts: facts.broker.positions(facts.subject.account_id or ""),
    "position": lambda facts: facts.position,
}


@pytest.mark.parametrize("what", ASKS)
@pytest.mark.parametrize("order", RELEASED)
def test_a_check_that_asks_the_broker_under_the_locks_fails_and_nothing_is_sent(
    what: str, order: str, trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting(trader)
    place(trader)
    confirmation = RELEASED[order](trader)
    sent = (len(watch.submitted), len(watch.replaced), len(watch.cancelled))

    def asks(subject: Subject, facts: Facts) -> None:
        facts._known.pop("position", None)
        ASKS[what](facts)

    put_first(monkeypatch, Stage.LOCKED, About.ORDER, asks)
    with pytest.raises(AssertionError, match="under the locks"):
        order_actions.confirm(trader, confirmation)
    assert (len(watch.submitted), len(watch.replaced), len(watch.cancelled)) == sent


@pytest.mark.parametrize("order", RELEASED)
def test_between_the_locks_of_a_release_and_its_commit_no_broker_is_opened(
    order: str, trader: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting(trader)
    place(trader)
    confirmation = RELEASED[order](trader)
    lock, open_broker, outer = check_rows.locked, broker_access.broker_of, transaction.get_connection().savepoint_ids[:]
    opened: list[bool] = []

    def watched(connection: Connection) -> object:
        opened.append(transaction.get_connection().savepoint_ids == outer)
        return open_broker(connection)

    locked: list[bool] = []

    def locks(app_id: int) -> check_rows.AppRows:
        locked.append(transaction.get_connection().savepoint_ids != outer)
        return lock(app_id)

    monkeypatch.setattr(check_rows, "locked", locks)
    monkeypatch.setattr(broker_access, "broker_of", watched)
    order_actions.confirm(trader, confirmation)
    assert opened and all(opened)
    assert locked and all(locked)
