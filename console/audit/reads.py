"""Which calls a person may see."""

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import Call


def own(user: User) -> QuerySet[Call]:
    return Call.objects.filter(user_id=user.pk)


def sees_everyone(request: HttpRequest, user: User) -> bool:
    return user.is_operator and request.GET.get("everyone") == "1"


def visible(user: User, *, everyone: bool) -> QuerySet[Call]:
    """A person's own calls; for an operator who asks, everybody's, and those turned away before a name was known."""
    return Call.objects.all() if everyone and user.is_operator else own(user)


def last_hour(app_ids: Iterable[int]) -> dict[int, int]:
    """Calls in the last hour by app: what would stop if its access were taken back."""
    since = timezone.now() - timedelta(hours=1)
    rows = Call.objects.filter(app_id__in=list(app_ids), at__gte=since).values_list("app_id")
    return {app_id: count for app_id, count in rows.annotate(count=Count("id")) if app_id is not None}
