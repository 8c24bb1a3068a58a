"""While a halt stands no order is prepared or sent under it; cancels pass; only a person lifts it."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from brokers.types import OrderRequest
from console.accounts.models import User
from console.audit.models import Change
from console.authority import bearer
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import paper_linking as paper_connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.halts import services as halts
from console.halts.models import Halt
from console.halts.services import GatedAction, Proof
from console.keys import minting
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks import limit_rules
from console.orders.execution import reconcile, submit
from console.orders.models import Order
from console.orders.states import Status
from console.principal import Principal
from console.scopes import Scope
from tests import watched_broker
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return watched_broker.install(monkeypatch)


@pytest.fixture
def trader(trade_key: str) -> Principal:
    return bearer.authenticate(trade_key)


@pytest.fixture
def mine(trader: Principal) -> ConnectedApp:
    return ConnectedApp.objects.select_related("owner", "connection").get(pk=trader.app_id)


@pytest.fixture(params=["app", "connection", "account", "user", "user by an operator", "instance"])
def stop(
    request: pytest.FixtureRequest, mine: ConnectedApp, owner: User, operator: User, trader: Principal
) -> Callable[[], Halt]:
    return {
        "app": lambda: halts.halt_app(mine, by=owner),
        "connection": lambda: halts.halt_connection(mine.connection, by=mine, reason="It falls too fast."),
        "account": lambda: halts.halt_connection(mine.connection, by=owner, account_id=trader.account_id),
        "user": lambda: halts.halt_user(owner, by=owner),
        "user by an operator": lambda: halts.halt_user(owner, by=operator),
        "instance": lambda: halts.halt_instance(by=operator, reason="Maintenance"),
    }[request.param]


def refused(act: Callable[[], object]) -> Code:
    with pytest.raises(Refusal) as caught:
        act()
    return caught.value.code


def test_nothing_is_prepared_or_released_and_what_waited_is_refused(
    trader: Principal, stop: Callable[[], Halt], watch: Watch
) -> None:
    waiting = preparing.prepare(trader, bitcoin())
    stop()
    assert refused(lambda: preparing.prepare(trader, bitcoin())) is Code.HALTED
    assert refused(lambda: order_actions.confirm(trader, waiting.confirmation.public_id)) is Code.HALTED
    waiting.order.refresh_from_db()
    assert (waiting.order.state, waiting.order.code) == (Status.DENIED, Code.HALTED)
    assert watch.submitted == []


def test_a_cancel_passes(trader: Principal, stop: Callable[[], Halt], watch: Watch) -> None:
    order = order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
    waiting = preparing.prepare(trader, bitcoin(limit="1000"))
    stop()
    assert order_actions.cancel(trader, order.public_id).state is Status.CANCELLED
    assert order_actions.cancel(trader, waiting.order.public_id).state is Status.CANCELLED
    assert watch.cancelled == [order.wire_id]


def test_a_halt_between_the_checks_and_the_release_stops_it(
    trader: Principal, stop: Callable[[], Halt], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = preparing.prepare(trader, bitcoin())
    monkeypatch.setattr(limit_rules, "check_drift", lambda *values: stop())
    assert refused(lambda: order_actions.confirm(trader, waiting.confirmation.public_id)) is Code.HALTED
    assert watch.submitted == []


def test_a_released_order_whose_process_died_is_not_sent_under_a_halt(
    trader: Principal, stop: Callable[[], Halt], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = preparing.prepare(trader, bitcoin())

    def die(*args: object, **kwargs: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(submit, "send", die)
        with pytest.raises(SystemExit):
            order_actions.confirm(trader, waiting.confirmation.public_id)
    stop()
    Order.objects.update(moved_at=waiting.order.created_at.replace(year=2020))
    reconcile.sweep()
    waiting.order.refresh_from_db()
    assert (waiting.order.state, waiting.order.code) == (Status.DENIED, Code.HALTED)
    assert watch.submitted == []


def test_the_order_that_was_on_its_way_already_is_not_cut_off(
    trader: Principal, mine: ConnectedApp, owner: User, watch: Watch
) -> None:
    def halt(request: OrderRequest) -> None:
        halts.halt_connection(mine.connection, by=owner)

    watch.before_submit = halt
    assert (
        order_actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id).state
        is Status.FILLED
    )


def test_it_stops_others_only_as_far_as_it_says(
    trader: Principal, mine: ConnectedApp, owner: User, other: User
) -> None:
    _, raw = minting.mint(owner, mine.connection, frozenset({Scope.TRADE}), name="second app")
    second = bearer.authenticate(raw)
    theirs = paper_connections.link_paper(other, name="Oscar's", starting_cash=Decimal(10_000))
    _, raw = minting.mint(other, theirs, frozenset({Scope.TRADE}), name="Oscar's app")
    stranger = bearer.authenticate(raw)
    halt = halts.halt_app(mine, by=owner)
    preparing.prepare(second, bitcoin())
    halts.lift(halt, by=owner, proof=Proof.PASSWORD)
    halts.halt_connection(mine.connection, by=owner, account_id="ANOTHER")
    preparing.prepare(second, bitcoin())
    halts.halt_connection(mine.connection, by=owner)
    assert refused(lambda: preparing.prepare(second, bitcoin())) is Code.HALTED
    halts.halt_user(owner, by=owner)
    preparing.prepare(stranger, bitcoin("0.001"))


def test_the_action_table(mine: ConnectedApp, owner: User) -> None:
    halts.halt_connection(mine.connection, by=owner)

    def allowed(action: GatedAction) -> bool:
        try:
            halts.check(action, mine.connection, mine.pk, "")
        except Refusal as refusal:
            assert refusal.code is Code.HALTED
            return False
        return True

    assert {action: allowed(action) for action in GatedAction} == {
        GatedAction.READ: True,
        GatedAction.PREPARE: False,
        GatedAction.RELEASE: False,
        GatedAction.FLATTEN: True,
        GatedAction.CANCEL: True,
        GatedAction.HALT: True,
    }


def test_asking_twice_makes_one_halt(mine: ConnectedApp, owner: User) -> None:
    first = halts.halt_connection(mine.connection, by=mine, reason="one")
    assert halts.halt_connection(mine.connection, by=mine, reason="two").pk == first.pk
    assert halts.halt_connection(mine.connection, by=owner).pk != first.pk


def test_after_every_halt_is_lifted_orders_go_again(
    trader: Principal, stop: Callable[[], Halt], owner: User, operator: User
) -> None:
    halt = stop()
    by = operator if halt.by_operator else owner
    assert halts.lift(halt, by=by, proof=Proof.PASSWORD)
    assert not halts.lift(halt, by=by, proof=Proof.PASSWORD)
    assert preparing.prepare(trader, bitcoin()).order.state is Status.AWAITING


def test_somebody_else_cannot_lift_it(stop: Callable[[], Halt], owner: User, operator: User, other: User) -> None:
    halt = stop()
    wrong = [other, owner if halt.by_operator else operator]
    for person in wrong:
        assert refused(lambda person=person: halts.lift(halt, by=person, proof=Proof.PASSKEY)) is Code.NOT_PERMITTED  # type: ignore[misc]
    halt.refresh_from_db()
    assert halt.lifted_at is None


def test_only_an_operator_halts_others(owner: User, other: User) -> None:
    assert refused(lambda: halts.halt_user(owner, by=other)) is Code.NOT_PERMITTED
    assert refused(lambda: halts.halt_instance(by=other)) is Code.NOT_PERMITTED
    assert not Halt.objects.exists()


def test_where_real_money_is_behind_it_lifting_takes_a_passkey(
    stop: Callable[[], Halt], owner: User, operator: User, paper: Connection
) -> None:
    halt = stop()
    Connection.objects.filter(pk=paper.pk).update(environment="live")
    halt = Halt.objects.get(pk=halt.pk)
    by = operator if halt.by_operator else owner
    assert refused(lambda: halts.lift(halt, by=by, proof=Proof.PASSWORD)) is Code.RE_AUTHENTICATION_REQUIRED
    assert halts.lift(halt, by=by, proof=Proof.PASSKEY)


def test_halting_and_lifting_are_on_record(mine: ConnectedApp, owner: User) -> None:
    halt = halts.halt_connection(mine.connection, by=mine, reason="It falls too fast.")
    halts.lift(halt, by=owner, proof=Proof.PASSWORD)
    lifted, halted = Change.objects.filter(target="halt").order_by("-id")
    assert (halted.action, halted.user_id, halted.detail["by"]) == ("halted", None, mine.name)
    assert halted.detail["reason"] == "It falls too fast."
    assert (lifted.action, lifted.user_id, lifted.detail["proof"]) == ("halt lifted", owner.pk, "password")


def test_a_revoked_app_leaves_its_halt_standing(trader: Principal, mine: ConnectedApp, owner: User) -> None:
    _, raw = minting.mint(owner, mine.connection, frozenset({Scope.TRADE}), name="second app")
    halts.halt_connection(mine.connection, by=mine)
    grants.revoke(mine, by=owner, reason="test")
    assert refused(lambda: preparing.prepare(bearer.authenticate(raw), bitcoin())) is Code.HALTED
