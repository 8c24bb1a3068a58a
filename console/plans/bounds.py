"""What a plan may never pass, and what has to hold for it to go on. Asked before each of its orders, and held under the
locks of its release.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from django.db.models import Max, Q
from django.utils import timezone

from brokers.decimals import amount
from console import toolsets
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.halts import services as halts
from console.keys.models import ApiKey
from console.orders.checks import check_rows, permission
from console.plans.models import PlanKind, TradingPlan
from console.plans.states import PlanStatus
from console.platforms.models import Access
from console.principal import Redeemer
from console.scopes import Source
from console.toolsets import Toolset

LATE = timedelta(minutes=5)
"""How long after its time an order of a plan still goes, as others do not have to wait for it."""
_LATE_OF = {PlanKind.DCA: timedelta(hours=2), PlanKind.TIME_EXIT: timedelta(hours=6), PlanKind.GRID: timedelta(days=90)}
_LATE_AT_LEAST = timedelta(minutes=1)
SPREAD = frozenset({PlanKind.TWAP, PlanKind.VWAP})
"""Their orders are apart for a reason: what was missed does not go all at once."""
_PAUSES = frozenset({Code.HALTED, Code.APP_PAUSED, Code.CONNECTION_PAUSED, Code.LIVE_FROZEN, Code.TRADING_DISABLED})
"""What somebody may lift again: the plan waits for its owner then. Anything else ends it."""


class PlanBound(Refusal):
    """An order would take its plan beyond what was confirmed."""


def late_after(plan: TradingPlan) -> timedelta:
    """How long after its time an order of this plan still goes: where orders are spread, hardly past the next one."""
    kind = PlanKind(plan.kind)
    if kind not in SPREAD:
        return _LATE_OF[kind]
    due = sorted(plan.children.values_list("after_seconds", flat=True))
    apart = min((later - sooner for sooner, later in pairwise(due)), default=int(LATE.total_seconds()))
    return min(LATE, max(_LATE_AT_LEAST, timedelta(seconds=apart)))


def check_toolset(app: ConnectedApp) -> None:
    """Raises Refusal."""
    if not toolsets.switched_on(app.toolsets, Toolset.ALGO):
        raise Refusal(Code.TOOLSET_OFF, "Its owner has switched plans off for this app.")


def check_credentials(app: ConnectedApp, now: datetime) -> None:
    """What nothing can call with any more has no orders sent either: its keys ended, or its platform did. An app that
    signed in stays until it is revoked. Raises Refusal."""
    if app.source == Source.API_KEY:
        found = ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), app=app, revoked_at=None)
        made = Q(made_by__revoked_at=None) & (Q(made_by__expires_at=None) | Q(made_by__expires_at__gt=now))
        if not found.filter(Q(made_by=None) | made).exists():
            raise Refusal(Code.APP_REVOKED, "The key of its app has expired.")
    elif app.source == Source.PLATFORM:
        works = {"platform_user__disabled_at": None, "platform_user__platform__disabled_at": None}
        if not Access.objects.filter(app=app, platform_user__platform__owner__is_active=True, **works).exists():
            raise Refusal(Code.APP_REVOKED, "The platform of its app, or its user there, was disabled.")


def check_policy(plan: TradingPlan, connection: Connection) -> None:
    """Whoever started it must still be enough: a policy that became stricter since counts. Raises Refusal."""
    if connection.policy != Policy.TWO_STEP and plan.confirmed_by != Redeemer.OWNER:
        raise Refusal(
            Code.APPROVAL_REQUIRED,
            "The owner approves orders on this connection by now, and the plan was started without them.",
        )


def check_running(plan: TradingPlan, connection: Connection, now: datetime) -> None:
    """``plan`` as it is now. Raises Refusal."""
    if plan.state is not PlanStatus.RUNNING:
        raise PlanBound(Code.CONFIRMATION_EXPIRED, f"The plan is {plan.status_words.lower()}, so it sends nothing.")
    if plan.ends_at is None or plan.ends_at <= now:
        raise PlanBound(Code.CONFIRMATION_EXPIRED, "The time of the plan is over.")
    check_policy(plan, connection)


def check_room(plan: TradingPlan, worst: Decimal | None, currency: str) -> Decimal:
    """What the plan comes to with an order that can come to ``worst``. Its row is locked. Raises Refusal."""
    if worst is None:
        raise Refusal(Code.LIMIT_UNPROVABLE, "What the order can come to is not known, so its plan cannot count it.")
    if plan.released_orders >= plan.most_orders:
        raise PlanBound(Code.LIMIT_EXCEEDED, f"The plan has sent all of its {plan.most_orders} orders.")
    after: Decimal = plan.released_value + worst
    if after > plan.most_value:
        raise PlanBound(
            Code.LIMIT_EXCEEDED,
            f"The plan may come to {amount(plan.most_value, currency)} in all. It has come to "
            f"{amount(plan.released_value, currency)}, and the next order could come to {amount(worst, currency)}.",
        )
    return after


def why_not(plan: TradingPlan) -> Refusal | None:
    """What stands in the way of every order of it now; None: nothing does."""
    asking = check_rows.app_rows(plan.app_id)
    if asking.connection.closed_at is not None:
        return PlanBound(Code.CONNECTION_PAUSED, f"The connection {asking.connection.name} was unlinked.")
    try:
        permission.check_permission(asking.app, asking.connection)
        check_toolset(asking.app)
        check_credentials(asking.app, timezone.now())
        check_policy(plan, asking.connection)
        asking.check_halts(halts.GatedAction.RELEASE, plan.account_id)
    except Refusal as refusal:
        return refusal
    return None


def pauses(refusal: Refusal) -> bool:
    """Whether the plan can go on once somebody lifted it; otherwise it is over."""
    return refusal.code in _PAUSES and not isinstance(refusal, PlanBound)


def ends(refusal: Refusal) -> bool:
    """Whether it concerns the plan as a whole, not one order of it."""
    return isinstance(refusal, PlanBound) or refusal.code in _PAUSES | {
        Code.APP_REVOKED,
        Code.INSUFFICIENT_SCOPE,
        Code.NOT_PERMITTED,
        Code.TOOLSET_OFF,
        Code.APPROVAL_REQUIRED,
    }


def is_silent(plan: TradingPlan, now: datetime) -> bool:
    """Whether its app has not called for longer than the plan allows."""
    if plan.silent_minutes is None:
        return False
    heard = ConnectedApp.objects.filter(plan.app.same).aggregate(last=Max("last_used_at"))["last"]
    last = max(each for each in (heard, plan.heard_since, plan.confirmed_at) if each is not None)
    return bool(last + timedelta(minutes=plan.silent_minutes) < now)
