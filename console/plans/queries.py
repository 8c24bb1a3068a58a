"""Which plans are whose."""

from django.db.models import QuerySet

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.plans.models import PlanChild, PlanEvent, TradingPlan
from console.plans.states import NOT_OVER
from console.principal import Principal

MOST_LISTED = 100


def with_rows() -> QuerySet[TradingPlan]:
    """With the rows that every look at a plan needs."""
    return TradingPlan.objects.select_related("connection__owner", "app", "confirmation__app__connection")


def visible(owner: User) -> QuerySet[TradingPlan]:
    """Every plan on this person's connections."""
    return with_rows().filter(connection__owner=owner)


def listed(owner: User) -> tuple[list[TradingPlan], list[TradingPlan]]:
    """Those that are not over, and the newest that are."""
    mine = visible(owner)
    return list(mine.filter(status__in=NOT_OVER)), list(mine.exclude(status__in=NOT_OVER)[:MOST_LISTED])


def of_app(principal: Principal, *, over: bool, limit: int) -> list[TradingPlan]:
    """Plans of the principal's own app, newest first; ``over``: also those that have ended."""
    app = ConnectedApp.objects.get(pk=principal.app_id)
    mine = with_rows().filter(app__in=ConnectedApp.objects.filter(app.same), connection_id=principal.connection_id)
    return list((mine if over else mine.filter(status__in=NOT_OVER))[:limit])


def children(plan: TradingPlan) -> list[PlanChild]:
    """With their orders, in the order of their numbers."""
    found = list(PlanChild.objects.filter(plan=plan).select_related("order").order_by("number"))
    for child in found:
        child.plan = plan
    return found


def events(plan: TradingPlan, most: int) -> list[PlanEvent]:
    """The newest first."""
    return list(PlanEvent.objects.filter(plan=plan).order_by("-pk")[:most])
