"""Halts, pauses, revocation, trading off, an unlinked connection, a stricter policy and silence stop a plan at once."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.utils import timezone

from console.accounts.models import User
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.halts import services as halts
from console.halts.services import Proof
from console.notifications.models import NewsItem
from console.onboarding import connection_lifecycle
from console.orders.execution import reconcile, release
from console.orders.models import Order
from console.orders.owner.approvals import Evidence
from console.plans import deciding, execution, transitions
from console.plans.models import PlanChild, PlanKind, WhenSilent
from console.plans.preparing import PlanWish
from console.plans.states import PlanStatus
from console.platforms import services as platforms
from console.platforms.models import Access, PlatformUser
from console.principal import Principal
from console.scopes import Source
from console.toolsets import ON_BY_DEFAULT
from tests.clock import Clock
from tests.console.plans.steps import go_on, now_of, sent, started, statuses, twap
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db

PASSWORD = Evidence(proof=Proof.PASSWORD, label="the password")
Stop = Callable[[User, Connection, ConnectedApp], object]

STOPS: dict[str, tuple[Stop, PlanStatus, Code]] = {
    "a halt": (lambda owner, paper, app: halts.halt_connection(paper, by=owner), PlanStatus.PAUSED, Code.HALTED),
    "a halt of the app": (lambda owner, paper, app: halts.halt_app(app, by=owner), PlanStatus.PAUSED, Code.HALTED),
    "a pause of the connection": (
        lambda owner, paper, app: connections.pause(paper, by=owner),
        PlanStatus.PAUSED,
        Code.CONNECTION_PAUSED,
    ),
    "a pause of the app": (lambda owner, paper, app: grants.pause(app, by=owner), PlanStatus.PAUSED, Code.APP_PAUSED),
    "trading off": (
        lambda owner, paper, app: connections.disable_trading(paper, by=owner),
        PlanStatus.PAUSED,
        Code.TRADING_DISABLED,
    ),
    "revocation": (
        lambda owner, paper, app: grants.revoke(app, by=owner, reason="By its owner"),
        PlanStatus.STOPPED,
        Code.APP_REVOKED,
    ),
    "the end of its key": (
        lambda owner, paper, app: app.api_keys.update(expires_at=timezone.now()),
        PlanStatus.STOPPED,
        Code.APP_REVOKED,
    ),
    "plans off for the app": (
        lambda owner, paper, app: grants.set_toolsets(app, ON_BY_DEFAULT, by=owner),
        PlanStatus.STOPPED,
        Code.TOOLSET_OFF,
    ),
    "a stricter policy": (
        lambda owner, paper, app: connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner),
        PlanStatus.STOPPED,
        Code.APPROVAL_REQUIRED,
    ),
}


@pytest.mark.parametrize("name", STOPS)
def test_it_stops_before_its_next_order_and_says_why(
    clock: Clock, owner: User, paper: Connection, trader: Principal, name: str
) -> None:
    stop, status, code = STOPS[name]
    plan = started(trader, twap())
    execution.sweep()
    stop(owner, Connection.objects.get(pk=paper.pk), ConnectedApp.objects.get(pk=trader.app_id))
    execution.sweep()
    found = now_of(plan)
    assert (found.state, found.code) == (status, code)
    assert found.reason
    go_on(clock, minutes=10)
    assert len(sent(plan)) == 1
    assert NewsItem.objects.filter(user=owner, title__startswith=f"Plan {status}").count() == 1


@pytest.mark.parametrize("name", STOPS)
def test_the_release_of_an_order_itself_asks_too(
    clock: Clock, owner: User, paper: Connection, trader: Principal, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the sweep looked a moment before it came."""
    stop, _, _ = STOPS[name]
    plan = started(trader, twap())
    monkeypatch.setattr(execution, "_check", lambda plan, now: None)
    stop(owner, Connection.objects.get(pk=paper.pk), ConnectedApp.objects.get(pk=trader.app_id))
    execution.sweep()
    assert Order.objects.filter(released_at__isnull=False).count() == 0
    assert now_of(plan).state is not PlanStatus.RUNNING


@pytest.mark.parametrize("whole", [True, False], ids=["the platform", "its user"])
def test_a_platform_that_is_disabled_has_no_orders_sent(
    clock: Clock, owner: User, operator: User, paper: Connection, trader: Principal, whole: bool
) -> None:
    platform, _ = platforms.create_platform(operator, name="Desk")
    user = PlatformUser.objects.create(platform=platform, user=owner, public_id="tlu_1", digest="")
    ConnectedApp.objects.filter(pk=trader.app_id).update(source=Source.PLATFORM)
    Access.objects.create(platform_user=user, connection=paper, scopes="", app_id=trader.app_id)
    plan = started(trader, twap())
    execution.sweep()
    assert len(sent(plan)) == 1
    platforms.disable_platform(platform, by=operator) if whole else platforms.disable_user(user)
    go_on(clock, minutes=10)
    assert (now_of(plan).state, now_of(plan).code) == (PlanStatus.STOPPED, Code.APP_REVOKED)
    assert len(sent(plan)) == 1


def test_an_unlinked_connection_ends_its_plans(clock: Clock, owner: User, paper: Connection, trader: Principal) -> None:
    plan = started(trader, twap())
    execution.sweep()
    connection_lifecycle.unlink(paper, by=owner)
    go_on(clock, minutes=10)
    assert now_of(plan).state is PlanStatus.STOPPED
    assert len(sent(plan)) == 1


def test_what_is_paused_goes_on_only_with_its_owners_proof(
    clock: Clock, owner: User, other: User, trader: Principal
) -> None:
    plan = started(trader, twap())
    execution.sweep()
    assert deciding.pause(deciding.own(trader, plan.public_id), by=trader.app_label)
    go_on(clock, minutes=10)
    assert len(sent(plan)) == 1
    with pytest.raises(Refusal) as refused:
        deciding.resume(now_of(plan), by=other, evidence=PASSWORD)
    assert refused.value.code is Code.NOT_PERMITTED
    assert deciding.resume(now_of(plan), by=owner, evidence=PASSWORD)
    execution.sweep()
    assert len(sent(plan)) == 2


def test_what_a_halt_paused_is_not_resumed_while_it_stands(
    clock: Clock, owner: User, paper: Connection, trader: Principal
) -> None:
    plan = started(trader, twap())
    halts.halt_connection(paper, by=owner)
    execution.sweep()
    with pytest.raises(Refusal) as refused:
        deciding.resume(now_of(plan), by=owner, evidence=PASSWORD)
    assert refused.value.code is Code.HALTED


def test_a_cancelled_plan_sends_nothing_more(clock: Clock, trader: Principal) -> None:
    plan = started(trader, twap())
    execution.sweep()
    assert deciding.cancel(now_of(plan), by="Claude")
    go_on(clock, minutes=10)
    assert len(sent(plan)) == 1
    assert statuses(plan) == ["done", "left_out", "left_out"]
    assert not deciding.cancel(now_of(plan), by="Claude")


@pytest.mark.parametrize("pauses", [True, False])
def test_what_was_released_and_not_sent_stays_unsent_once_its_plan_stops(
    clock: Clock, owner: User, trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch, pauses: bool
) -> None:
    """Its process died in between, and the sweep of orders would send it."""
    plan = started(trader, twap())
    with monkeypatch.context() as patched:
        patched.setattr(release, "_send", lambda going, by, request_id: None)
        execution.sweep()
    assert Order.objects.get(plan_child__plan=plan).status == "intent"
    stop = deciding.pause if pauses else deciding.cancel
    assert stop(now_of(plan), by=owner.email, user=owner)
    clock.advance(seconds=35)
    reconcile.sweep()
    assert (Order.objects.get(plan_child__plan=plan).status, watch.submitted) == ("cancelled", [])


def test_an_order_that_is_put_back_while_its_plan_ends_is_left_out(clock: Clock, trader: Principal) -> None:
    plan = started(trader, twap())
    child = PlanChild.objects.get(plan=plan, number=1)
    PlanChild.objects.filter(pk=child.pk).update(status="working")
    deciding.cancel(now_of(plan), by="Claude")
    transitions.put_back(child, clock.now)
    assert statuses(plan) == ["left_out"] * 3


@pytest.mark.parametrize(
    ("then", "status"), [(WhenSilent.PAUSE, PlanStatus.PAUSED), (WhenSilent.CANCEL, PlanStatus.CANCELLED)]
)
def test_an_app_that_falls_silent_stops_its_plan_as_was_chosen(
    clock: Clock, trader: Principal, then: WhenSilent, status: PlanStatus
) -> None:
    plan = started(trader, twap(silent_minutes=6, when_silent=then))
    execution.sweep()
    go_on(clock, minutes=5)
    assert now_of(plan).state is PlanStatus.RUNNING
    ConnectedApp.objects.filter(pk=trader.app_id).update(last_used_at=timezone.now())
    go_on(clock, minutes=5)
    assert len(sent(plan)) == 2
    go_on(clock, minutes=2)
    assert now_of(plan).state is status
    go_on(clock, minutes=8)
    assert len(sent(plan)) == 2


def test_orders_that_rest_are_cancelled_when_their_plan_pauses(clock: Clock, trader: Principal) -> None:
    plan = started(trader, twap(limit_price=Decimal(1000)))
    execution.sweep()
    (order,) = Order.objects.filter(plan_child__plan=plan)
    assert order.status == "working"
    deciding.pause(now_of(plan), by="Claude")
    execution.sweep()
    order.refresh_from_db()
    assert order.cancel_requested_at is not None


def test_a_plan_of_somebody_elses_app_is_not_found(clock: Clock, trader: Principal, others_trader: Principal) -> None:
    plan = started(trader, twap())
    for act in (deciding.own,):
        with pytest.raises(Refusal) as refused:
            act(others_trader, plan.public_id)
        assert refused.value.code is Code.NOT_FOUND
    with pytest.raises(Refusal) as unknown:
        deciding.confirm(others_trader, plan.confirmation.public_id)
    assert unknown.value.code is Code.CONFIRMATION_UNKNOWN


def test_an_app_without_the_toolset_starts_none(clock: Clock, owner: User, trader: Principal) -> None:
    app = ConnectedApp.objects.get(pk=trader.app_id)
    wish = PlanWish(kind=PlanKind.TWAP, symbol="BTC/USD", **{k: getattr(twap(), k) for k in _SIZE})
    grants.set_toolsets(app, ON_BY_DEFAULT, by=owner)
    with pytest.raises(Refusal) as refused:
        started(trader, wish)
    assert refused.value.code is Code.TOOLSET_OFF


_SIZE = ("side", "quantity", "orders", "minutes")
