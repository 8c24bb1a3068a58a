"""Keyset paging by id: the second page stays the second page while new rows arrive on top."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    rows: list[Row]
    next_before: int | None
    is_first: bool


def page(found: QuerySet[Row], before: str, *, size: int = 50) -> Page[Row]:
    """Newest first. ``before`` is what the query string holds; anything but a number means the first page."""
    beyond = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None
    if beyond is not None:
        found = found.filter(pk__lt=beyond)
    rows = list(found.order_by("-pk")[: size + 1])
    more = len(rows) > size
    return Page(rows[:size], rows[size - 1].pk if more else None, beyond is None)
