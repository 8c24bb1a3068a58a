"""Long lists read a piece at a time: a short query for each, so that neither memory nor a transaction grows with them.

A cursor of the database would keep a snapshot for as long as the one who downloads takes.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

ROWS = 1_000

Row = TypeVar("Row", bound=Model)


def walk(
    rows: QuerySet[Row],
    *fields: str,
    newest_first: bool = False,
    size: int | None = None,
    narrow: Callable[[QuerySet[Row], int], QuerySet[Row]] | None = None,
) -> Iterator[Row]:
    """Every row by ``fields``, which are never null, and then by primary key; from the last one backwards, or not.

    A row that is written meanwhile is seen if it lies ahead. ``narrow``: of rows and a number, fewer rows with that
    many of the first.
    """
    names, size = (*fields, "pk"), ROWS if size is None else size
    ordered = rows.order_by(*(f"-{name}" if newest_first else name for name in names))
    ahead = "lt" if newest_first else "gt"
    beyond = Q()
    while True:
        ahead_of_it = ordered.filter(beyond)
        found = list((ahead_of_it if narrow is None else narrow(ahead_of_it, size))[:size])
        yield from found
        if len(found) < size:
            return
        beyond = _beyond({name: getattr(found[-1], name) for name in names}, ahead)


def _beyond(last: dict[str, Any], ahead: str) -> Q:
    """(a, b, c) > (x, y, z), with a bound on the first alone, which an index can use."""
    found, equal = Q(), Q()
    for name, value in last.items():
        found |= equal & Q(**{f"{name}__{ahead}": value})
        equal &= Q(**{name: value})
    first = next(iter(last))
    return found if len(last) == 1 else Q(**{f"{first}__{ahead}e": last[first]}) & found
