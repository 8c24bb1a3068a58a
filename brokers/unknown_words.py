"""What a broker answered and its adapter does not know: the row is reported as far as it can be, and named."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from brokers.http import Garbled
from brokers.json_values import quoted_text
from brokers.types import Unreadable

R = TypeVar("R")
T = TypeVar("T")

_LONGEST = 80
_MOST = 200
"""Rows of one object: a list of which nothing can be read is not repeated in full."""


class UnknownWords:
    """Of one opened adapter, in the order in which they were found, each row and word once."""

    def __init__(self) -> None:
        self._found: dict[Unreadable, None] = {}

    def __call__(self) -> tuple[Unreadable, ...]:
        return tuple(self._found)

    def add(self, row: str, word: str, *, left_out: bool = False) -> None:
        if len(self._found) < _MOST:
            found = Unreadable(row=_shown(row), word=_shown(word), left_out=left_out)
            self._found.setdefault(found)

    def read_each(self, rows: Iterable[R], read: Callable[[R], T], name: Callable[[R], str]) -> list[T]:
        """What can be read of a list. A row that cannot be is named, and takes no other with it."""
        found = []
        for row in rows:
            try:
                found.append(read(row))
            except Garbled as error:
                self.add(name(row), str(error), left_out=True)
        return found


def _shown(value: str) -> str:
    """Fit for a page: it is the broker's text, or comes from it."""
    return quoted_text(value, _LONGEST) or "text that cannot be shown"
