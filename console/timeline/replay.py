"""One order from the request to its fills, from what was recorded at the time. No broker is asked."""

from dataclasses import dataclass

from console.accounts.models import User
from console.audit import newest
from console.audit.models import Call, Change
from console.orders import queries as order_queries
from console.orders.checks.pipeline import CHECKS, Stage
from console.orders.models import Order, OrderEvent
from console.orders.states import Status
from console.timeline import entries

PASSED, REFUSED, NOT_RUN = "Passed", "Refused", "Not run"
_MOST_CALLS = 50
_STAGES = {
    Stage.SHOWN: "Before it was shown",
    Stage.CONFIRMED: "After the confirmation, with the broker's newest prices",
    Stage.LOCKED: "At the release, with other orders held back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageVerdict:
    title: str
    verdict: str
    checks: list[str]
    """What is checked at this stage, where it applies to the order, in the order it is checked."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    order: Order
    asked: Call | None
    """The call that prepared it; None: it was none, or its row is no longer kept."""
    stages: list[StageVerdict]
    confirmed: Call | None
    """The app's own call that confirmed it."""
    decisions: list[Change]
    """The owner's."""
    steps: list[OrderEvent]
    broker: list[OrderEvent]
    fills: list[dict[str, str]]
    calls: list[Call]
    """Every call about it, oldest first."""


def replay(user: User, public_id: str) -> Replay | None:
    """None where the person has no such order."""
    mine = Order.objects.filter(connection__owner=user, public_id=public_id)
    order = mine.select_related("app", "connection", "confirmation", "parent").first()
    if order is None:
        return None
    steps = list(order.events.all())
    own = Call.objects.filter(user_id=user.pk)
    first = next((step.request_id for step in steps if step.request_id), "")
    calls = list(
        newest.since_made(own, public_id)
        .filter(order_id=public_id)
        .exclude(order_id="")
        .order_by("at", "pk")[:_MOST_CALLS]
    )
    confirmed = next((call for call in calls if call.confirmed_after_ms is not None), None)
    if confirmed is None and order.confirmation.redeemed_at is not None:
        ids = {step.request_id for step in steps if step.request_id} - {first}
        told = newest.of_requests(own, ids)
        confirmed = next((call for call in told if call.confirmed_after_ms is not None), None)
    return Replay(
        order=order,
        asked=newest.of_request(own, first) if first else None,
        stages=_stages(order, steps),
        confirmed=confirmed,
        decisions=list(Change.objects.filter(target="order", target_id=public_id, owner_id=user.pk).order_by("at")),
        steps=steps,
        broker=[step for step in steps if step.by == entries.BROKER],
        fills=order_queries.fills(order),
        calls=calls,
    )


def _stages(order: Order, steps: list[OrderEvent]) -> list[StageVerdict]:
    """An order is stored only once it passed what is checked before it is shown; the first refusal ends a stage."""
    denied = next((step for step in steps if step.after == Status.DENIED), None)
    found = []
    for stage, title in _STAGES.items():
        verdict, reason = PASSED, ""
        if stage is not Stage.SHOWN:
            if denied is not None:
                verdict, reason = REFUSED, denied.what
            elif order.released_at is None:
                verdict = NOT_RUN
        found.append(
            StageVerdict(
                title=title,
                verdict=verdict,
                reason=reason,
                checks=[check.name for check in CHECKS if stage in check.stages],
            )
        )
        if verdict == REFUSED:
            break
    return found
