"""Keyset paging by id: the second page stays the second page while new rows arrive on top."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet

from console.audit import newest

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    rows: list[Row]
    next_before: int | None
    is_first: bool


WINDOW = 3_000
"""Rows that are looked through for one page where no index finds those that fit."""


def page(
    found: QuerySet[Row],
    before: str,
    *,
    size: int = 50,
    back_from: datetime | None = None,
    narrow: Callable[[QuerySet[Row], int], QuerySet[Row]] | None = None,
) -> Page[Row]:
    """Newest first. ``before`` is what the query string holds; anything but a number means the first page.

    ``back_from``: no row is newer. ``narrow``: of rows and a number, fewer rows with that many of the newest.
    """
    beyond = _number(before)
    if beyond is not None:
        found = found.filter(pk__lt=beyond)
    if narrow is not None:
        found = narrow(found, size + 1)
    rows = newest.by_id(found, size + 1, back_from=back_from)
    more = len(rows) > size
    return Page(rows[:size], rows[size - 1].pk if more else None, beyond is None)


def page_within(
    found: QuerySet[Row],
    fitting: dict[str, Any],
    before: str,
    *,
    size: int = 50,
    back_from: datetime | None = None,
) -> Page[Row]:
    """The same of the rows that fit, looked for in the newest ``WINDOW``: so it may be short, and not the last one.

    An index has to find ``found``; it is other rows that do not fit, however many, that no page waits for.
    """
    if not fitting:
        return page(found, before, size=size, back_from=back_from)
    beyond = _number(before)
    if beyond is not None:
        found = found.filter(pk__lt=beyond)
    behind = newest.row_at(found, WINDOW, back_from=back_from)
    if behind is None:
        looked = page(found.filter(**fitting), "", size=size, back_from=back_from)
        return Page(looked.rows, looked.next_before, beyond is None)
    fit = newest.above(found, behind).filter(**fitting)
    rows = list(fit.order_by("-pk")[: size + 1])
    more = len(rows) > size
    return Page(rows[:size], rows[size - 1].pk if more else behind.pk + 1, beyond is None)


def _number(before: str) -> int | None:
    return int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None
