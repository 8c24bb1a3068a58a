"""Filters that people name: kept for each person and page, found again as links."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from django.http import QueryDict

from brokers.compiled_queries import Instances
from console.accounts.models import User
from console.errors import Code, Refusal
from console.timeline.filters import NAMES, NOT
from console.timeline.models import SavedView, ViewPage

MOST = 30
"""Of one page, for one person."""
WHOLE = "all"
"""In an address: show everything, although the page has a default view."""
_LONGEST = 2000
_KEPT: dict[str, frozenset[str]] = {
    ViewPage.TIMELINE: frozenset({*NAMES, *(NOT + name for name in NAMES), "from", "to", "everyone"}),
    ViewPage.ORDERS: frozenset({"symbol", "app", "connection", "side", "type", "status", "start", "end"}),
    ViewPage.ERRORS: frozenset({"span", "state", "connection", "kind", "everyone"}),
}
"""What of an address is a filter."""


_OWN = Instances(lambda owner_id, page: SavedView.objects.filter(owner_id=owner_id, page=page))


def own_views(user: User, page: str) -> list[SavedView]:
    """By name."""
    return _OWN.rows(user.pk, str(page))


def filter_of(page: str, query: QueryDict) -> str:
    """The filter alone of an address; empty where it has none."""
    kept = QueryDict(mutable=True)
    for name in query:
        if name in _KEPT[page] and (values := [value for value in query.getlist(name) if value.strip()]):
            kept.setlist(name, values)
    return kept.urlencode()


def save(user: User, page: ViewPage, *, name: str, query: str) -> SavedView:
    """Raises Refusal."""
    kept = filter_of(page, QueryDict(query[: 2 * _LONGEST]))
    if not kept:
        raise Refusal(Code.INVALID_ARGUMENT, "There is no filter to save. Choose one first.", field="query")
    if len(kept) > _LONGEST:
        raise Refusal(Code.INVALID_ARGUMENT, "This filter is too long to save. Nothing was saved.", field="query")
    if SavedView.objects.filter(owner=user, page=page).count() >= MOST:
        raise Refusal(Code.INVALID_ARGUMENT, f"You have {MOST} views of this page. Delete one first.", field="name")
    with _one_of_its_name():
        return SavedView.objects.create(owner=user, page=page, name=name, query=kept)


def change(view: SavedView, *, name: str, is_default: bool) -> None:
    """Raises Refusal. A page opens with one view at most: that of another ends."""
    with _one_of_its_name():
        if is_default:
            SavedView.objects.filter(owner=view.owner, page=view.page).exclude(pk=view.pk).update(is_default=False)
        view.name, view.is_default = name, is_default
        view.save(update_fields=["name", "is_default"])


@contextmanager
def _one_of_its_name() -> Iterator[None]:
    """Undo, and refuse, what would give two views of a page one name."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise Refusal(
            Code.INVALID_ARGUMENT, "Another view of this page has this name. Nothing was changed.", field="name"
        ) from error


def default_query(user: User, page: ViewPage, query: QueryDict) -> str:
    """Where the page goes on to when it is opened without any filter; empty: nowhere."""
    if query:
        return ""
    return next((view.query for view in own_views(user, page) if view.is_default), "")
