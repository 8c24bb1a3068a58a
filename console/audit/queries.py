"""Which calls a person may see."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from console.accounts.models import User
from console.audit import newest
from console.audit.models import Call, CallOutcome, Change
from console.errors import Code
from console.principal import Principal


def own_calls(user: User) -> QuerySet[Call]:
    return Call.objects.filter(user_id=user.pk)


def first_of_apps(user: User, made: datetime) -> Call | None:
    """The first call of any app of this person, the oldest of which was made then.

    What followed that is asked first: the whole record is planned for each month there is.
    """
    calls = own_calls(user).filter(app_id__isnull=False).exclude(source="management").order_by("at")
    since = made - newest.SPARE
    for span in newest.SPANS:
        if (first := calls.filter(at__gte=since, at__lt=since + span).first()) is not None:
            return first
    return calls.first()


def sees_everyone(request: HttpRequest, user: User) -> bool:
    return user.is_operator and request.GET.get("everyone") == "1"


def visible_calls(user: User, *, everyone: bool) -> QuerySet[Call]:
    """A person's own calls; for an operator who asks, everybody's, and those turned away before a name was known."""
    return Call.objects.all() if everyone and user.is_operator else own_calls(user)


def last_hour(app_ids: Iterable[int]) -> dict[int, int]:
    """Calls in the last hour by app: what would stop if its access were taken back."""
    since = timezone.now() - timedelta(hours=1)
    rows = Call.objects.filter(app_id__in=list(app_ids), at__gte=since).values_list("app_id")
    return {app_id: count for app_id, count in rows.annotate(count=Count("id")) if app_id is not None}


def of_credential(credential_id: str) -> QuerySet[Call]:
    """All that came with one credential, whosever it was: the caller has asked whether the person may see it."""
    return Call.objects.filter(credential_id=credential_id)


def was_refused(who: Principal, code: Code, *, since: datetime) -> bool:
    """Whether a call with this very credential was refused for this reason."""
    refused = Call.objects.exclude(outcome=CallOutcome.OK).filter(user_id=who.user_id, code=code)
    return refused.filter(credential_id=who.credential_id, at__gte=since).exists()


def last_hour_of(credential_id: str) -> int:
    return of_credential(credential_id).filter(at__gte=timezone.now() - timedelta(hours=1)).count()


@dataclass(frozen=True, slots=True)
class Trace:
    """What a credential did, in numbers: of its newest ``TRACED`` calls, except for ``first``."""

    has_more: bool
    """There are earlier calls, which are not counted."""
    calls: int
    refused: int
    orders: int
    addresses: int
    first: datetime | None
    last: datetime | None
    tools: list[tuple[str, int]]
    """The most called first."""


TRACED = 10_000
"""Calls that are counted for one page: more take longer than somebody waits."""


def trace(calls: QuerySet[Call]) -> Trace:
    first = calls.order_by("id").values_list("at", flat=True).first()
    last_counted = calls.order_by("-id").values_list("id", flat=True)[TRACED : TRACED + 1].first()
    if last_counted is not None:
        calls = calls.filter(id__gt=last_counted)
    told = calls.aggregate(
        total=Count("id"),
        refused=Count("id", filter=~Q(outcome=CallOutcome.OK)),
        orders=Count("order_id", distinct=True, filter=~Q(order_id="")),
        addresses=Count("ip", distinct=True),
        last=Max("at"),
    )
    tools = calls.exclude(tool="").values_list("tool").annotate(count=Count("id")).order_by("-count", "tool")
    return Trace(
        has_more=last_counted is not None,
        calls=told["total"],
        refused=told["refused"],
        orders=told["orders"],
        addresses=told["addresses"],
        first=first,
        last=told["last"],
        tools=[(tool, count) for tool, count in tools[:20]],
    )


def own_changes(user: User) -> QuerySet[Change]:
    """Changes of what is this person's, whoever made them, with their sign-ins."""
    return Change.objects.filter(owner_id=user.pk)


def visible_changes(user: User, *, everyone: bool) -> QuerySet[Change]:
    """The same; for an operator who asks, everybody's, the system's and those tried with no account."""
    return Change.objects.all() if everyone and user.is_operator else own_changes(user)
