"""What waits for a person, the most urgent first: each with what it is, where it leads and what its button says."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.urls import reverse

from console.accounts.models import User
from console.audit import failed_calls
from console.audit import queries as call_queries
from console.audit.models import CallOutcome
from console.clients.models import Client, ReviewState
from console.connections import broker_access
from console.desk.portfolio import Desk
from console.errors import Code
from console.halts import services as halts
from console.halts.models import Halt
from console.keys.models import ApiKey
from console.orders.owner import approvals, broker_questions, review
from console.orders.terms import describe

ENDS_WITHIN = timedelta(days=7)
_LOOKED_AT = 200
"""Of the newest calls: a count over all of a day would take as long as the day was busy."""
_MOST_EACH = 10
_MEANT = frozenset(
    {
        *(Code.APPROVAL_REQUIRED, Code.USER_IS_ASKED, Code.WAITS_FOR_OWNER, Code.OWNERS_ORDER, Code.REJECTED_BY_OWNER),
        *(Code.HALTED, Code.TRADING_DISABLED, Code.APP_PAUSED, Code.CONNECTION_PAUSED, Code.LIVE_FROZEN),
        *(Code.LIMIT_EXCEEDED, Code.OUTSIDE_LIMITS, Code.PRICE_OUTSIDE_COLLAR, Code.LIMITS_REQUIRED),
        *(Code.TOOLSET_OFF, Code.INSUFFICIENT_SCOPE, Code.CONFIRMATION_EXPIRED, Code.QUESTION_UNANSWERED),
    }
)
"""Refusals that somebody decided on: they need nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionItem:
    kind: str
    title: str
    detail: str
    url: str
    button: str
    quote: str = ""
    """Words of an app, to be shown as such."""
    environment: str = ""
    ends_at: datetime | None = None
    decides: bool = False
    """An order or a broker's question: what the badge in the menu counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionItems:
    items: list[ActionItem]
    decisions: int
    """As the badge in the menu has it: those shown here and those beyond."""

    @property
    def beyond(self) -> int:
        """Decisions that are not shown."""
        return self.decisions - sum(need.decides for need in self.items)


def of(owner: User, now: datetime, desk: Desk) -> ActionItems:
    decisions = _decisions(owner)
    items = [
        *decisions[:_MOST_EACH],
        *_halts(owner, desk.standing),
        *_links(desk, now),
        *_errors(owner, now),
        *_keys(owner, now),
    ]
    return ActionItems(items=[*items, *_reviews(owner)], decisions=len(decisions))


def _decisions(owner: User) -> list[ActionItem]:
    found = [
        ActionItem(
            kind="question",
            title=f"{broker_access.broker_title(asked.order.connection.broker)} asks a question",
            detail=f"{describe(asked.order.request, asked.order.currency)}, on {asked.order.connection.name}",
            url=reverse("orders:question", args=[asked.public_id]),
            button="Answer",
            environment=asked.order.connection.environment,
            ends_at=asked.expires_at,
            decides=True,
        )
        for asked in broker_questions.open_questions(owner)
    ]
    found += [
        ActionItem(
            kind="approval",
            title=review.heading(waiting),
            detail=f"{'You' if waiting.app.is_console else waiting.app.name}, on {waiting.app.connection.name}",
            url=reverse("orders:approval", args=[waiting.public_id]),
            button="Review",
            environment=waiting.app.connection.environment,
            ends_at=waiting.expires_at,
            decides=True,
        )
        for waiting in approvals.for_owner(owner)
    ]
    return sorted(found, key=lambda need: str(need.ends_at))


def _halts(owner: User, standing: list[Halt]) -> list[ActionItem]:
    return [
        ActionItem(
            kind="halt",
            title=f"Halted: {halt.what}.",
            detail=f"By {halt.by_label}." + (f" {halt.reason}" if halt.reason and not halt.is_quoted else ""),
            quote=halt.reason if halt.is_quoted else "",
            url=reverse("halts:lift", args=[halt.pk]) if halts.may_lift(halt, owner) else reverse("halts:list"),
            button="Lift" if halts.may_lift(halt, owner) else "See halts",
        )
        for halt in standing[:_MOST_EACH]
    ]


def _links(desk: Desk, now: datetime) -> list[ActionItem]:
    """Connections that do not work, and those whose key at the broker ends."""
    found = []
    for connection in (line.connection for line in desk.lines):
        url = reverse("connections:detail", args=[connection.pk])
        if connection.last_error:
            title = f"Sign in again at {connection.name}" if connection.needs_sign_in else f"{connection.name} fails"
            detail = f"{connection.last_error} {connection.next_step}".strip()
            found.append(
                ActionItem(
                    kind="link", title=title, detail=detail, url=url, button="Fix", environment=connection.environment
                )
            )
        if connection.key_expires is not None and connection.key_expires < now + ENDS_WITHIN:
            ended = connection.key_expires <= now
            found.append(
                ActionItem(
                    kind="key",
                    title=f"The broker key of {connection.name} {'has ended' if ended else 'ends soon'}",
                    detail="Make a new one at the broker, then replace it here",
                    url=reverse("connections:replace-key", args=[connection.pk]),
                    button="Replace key",
                    environment=connection.environment,
                    ends_at=connection.key_expires,
                )
            )
    return found


def _errors(owner: User, now: datetime) -> list[ActionItem]:
    """Calls that failed lately, without the refusals that somebody meant."""
    newest = call_queries.own_calls(owner).order_by("-id").values_list("at", "outcome", "code")[:_LOOKED_AT]
    since = now - timedelta(hours=24)
    failed = [code for at, outcome, code in newest if at >= since and outcome != CallOutcome.OK and code not in _MEANT]
    if not failed:
        return []
    count, kinds = len(failed), sorted({failed_calls.explain(code).title for code in failed})
    more = f" and {len(kinds) - 3} more" if len(kinds) > 3 else ""
    return [
        ActionItem(
            kind="errors",
            title=f"{count} of your newest calls failed" if count > 1 else "One of your newest calls failed",
            detail="; ".join(kinds[:3]) + more,
            url=f"{reverse('errors')}?span=24h",
            button="See errors",
        )
    ]


def _keys(owner: User, now: datetime) -> list[ActionItem]:
    ending = ApiKey.objects.filter(
        Q(replaced_by=None),
        app__owner=owner,
        app__revoked_at=None,
        revoked_at=None,
        expires_at__gt=now,
        expires_at__lt=now + ENDS_WITHIN,
    ).select_related("app__connection")
    return [
        ActionItem(
            kind="key",
            title=f"The API key of {key.app.name} ends soon",
            detail=f"{key.hint}, on {key.app.connection.name}",
            url=reverse("keys:rotate", args=[key.public_id]),
            button="Replace",
            environment=key.app.connection.environment,
            ends_at=key.expires_at,
        )
        for key in ending.order_by("expires_at")[:_MOST_EACH]
    ]


def _reviews(owner: User) -> list[ActionItem]:
    """Only operators accept apps."""
    if not owner.is_operator:
        return []
    count = Client.objects.filter(review=ReviewState.WAITING, deleted_at=None).count()
    if not count:
        return []
    return [
        ActionItem(
            kind="review",
            title=f"{count} app{'' if count == 1 else 's'} to review",
            detail="Nobody can connect it until an operator accepts it",
            url=reverse("clients:review"),
            button="Review",
        )
    ]
