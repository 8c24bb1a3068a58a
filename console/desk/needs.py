"""What waits for a person, the most urgent first: each with what it is, where it leads and what its button says."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.urls import reverse

from console.accounts.models import User
from console.clients.models import Client, ReviewState
from console.connections import broker_access
from console.desk.portfolio import Desk
from console.errors import explanation_of
from console.halts import services as halts
from console.halts.models import Halt
from console.keys.models import ApiKey
from console.orders.owner import approvals, broker_questions, review
from console.orders.terms import describe
from console.recent_errors import queries as recent_errors

ENDS_WITHIN = timedelta(days=7)
_MOST_EACH = 10
_NAMED = 3


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


def of(owner: User, now: datetime, desk: Desk, *, waiting: int, faults: int) -> ActionItems:
    """``waiting`` and ``faults`` are the two counts of the menu: nothing is read of what there is none of."""
    decisions = _decisions(owner) if waiting else []
    items = [
        *decisions[:_MOST_EACH],
        *_halts(owner, desk.standing),
        *_links(desk, now),
        *_errors(owner, faults),
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


def _errors(owner: User, found: int) -> list[ActionItem]:
    """Causes that are open, without the refusals that worked as they were meant to."""
    newest = recent_errors.newest_faults(owner, _NAMED) if found else []
    if not newest:
        return []
    more = f" and {found - len(newest)} more" if found > len(newest) else ""
    return [
        ActionItem(
            kind="errors",
            title=f"{found} open errors" if found > 1 else "One open error",
            detail="; ".join(explanation_of(each.code).title for each in newest) + more,
            url=reverse("errors") if found > 1 else reverse("error-group", args=[newest[0].pk]),
            button="See errors" if found > 1 else "See the error",
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
