"""What a broker's JSON holds, value by value. Raises Garbled for what its documents do not promise."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from brokers.decimals import plain
from brokers.errors import BrokerUnavailable
from brokers.http import Garbled


@contextmanager
def parsing(broker: str) -> Iterator[None]:
    """Around what is read: what nobody understands changed nothing, so it is unavailable. ``broker`` is its name."""
    try:
        yield
    except Garbled as error:
        raise BrokerUnavailable(f"{broker} gave an answer that could not be understood: {error}") from error


def record(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Garbled("An object was expected.")
    return value


def records(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise Garbled("A list was expected.")
    return [record(each) for each in value]


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Garbled("A text was expected.")
    return value


def optional_number(value: Any) -> Decimal | None:
    """Exact; commas between thousands are read over. None for null and for an empty text."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Garbled("A number was expected.")
    try:
        found = Decimal(value.replace(",", "") if isinstance(value, str) else value)
    except InvalidOperation as error:
        raise Garbled("A number was expected.") from error
    if not found.is_finite():
        raise Garbled("A finite number was expected.")
    return found


def number(value: Any) -> Decimal:
    found = optional_number(value)
    if found is None:
        raise Garbled("A number is missing.")
    return found


def code(value: Any) -> str:
    """An id that is a number with some brokers and a text with others."""
    return plain(number(value)) if isinstance(value, int | Decimal) else text(value)


def epoch(value: Any, *, per_second: int = 1000) -> datetime:
    """Unix time, in milliseconds unless told otherwise."""
    try:
        return datetime.fromtimestamp(float(number(value) / per_second), UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise Garbled("A time was expected.") from error


def quoted_text(value: Any, limit: int = 300) -> str:
    """A broker's own words, fit to be quoted: one line, no mark-up, no address."""
    if not isinstance(value, str):
        return ""
    words = " ".join("".join(each if each.isprintable() else " " for each in value).split())
    return "" if "://" in words else words[:limit]
