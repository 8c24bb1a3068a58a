"""The fields of a body of any shape, and what can be done to one of them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

DROPPED = object()
"""What takes the place of a field that is to be left out."""


class Kind(StrEnum):
    DROP = "dropped"
    VALUE = "another value"
    TYPE = "another type"


@dataclass(frozen=True, slots=True, order=True)
class Field:
    """One field of one call: ``orders[].price`` of ``POST /orders``. All rows of a list are one field."""

    call: str
    name: str


def leaves(body: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Name and value of each field that holds no others."""
    if isinstance(body, Mapping):
        for key, value in body.items():
            yield from leaves(value, f"{name}.{key}" if name else str(key))
    elif isinstance(body, list | tuple):
        for each in body:
            yield from leaves(each, f"{name}[]")
    elif is_dataclass(body) and not isinstance(body, type):
        for each in fields(body):
            yield from leaves(getattr(body, each.name), f"{name}.{each.name}" if name else each.name)
    else:
        yield name, body


def changed(body: Any, wanted: str, make: Callable[[Any], Any], name: str = "") -> Any:
    """The body with ``make`` of the field's value in its place, in every row; left out where that is ``DROPPED``."""
    if name == wanted:
        return make(body)
    if isinstance(body, Mapping):
        made = {key: changed(value, wanted, make, f"{name}.{key}" if name else str(key)) for key, value in body.items()}
        return {key: value for key, value in made.items() if value is not DROPPED}
    if isinstance(body, list | tuple):
        rows = [changed(each, wanted, make, f"{name}[]") for each in body]
        return type(body)(each for each in rows if each is not DROPPED)
    if is_dataclass(body) and not isinstance(body, type):
        made = {
            each.name: changed(getattr(body, each.name), wanted, make, f"{name}.{each.name}" if name else each.name)
            for each in fields(body)
        }
        return replace(body, **{key: None if value is DROPPED else value for key, value in made.items()})
    return body


def other_value(value: Any, seen: frozenset[str]) -> Any:
    """A near one: another that the same field had, a digit or a letter more or less, or the contrary."""
    if isinstance(value, Enum):
        return next((each for each in type(value) if each.value != value.value and each.value in seen), value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, Decimal):
        return value + Decimal(1).scaleb(min(int(value.as_tuple().exponent), 0))
    if value is None:
        return Decimal(1)
    text = str(value)
    if is_number(text):
        return text[:-1] + str((int(text[-1]) + 1) % 10)
    if text in ("true", "false"):
        return "false" if text == "true" else "true"
    others = sorted(each for each in seen if each != text and not is_number(each) and not _is_id(each))
    if others and not _is_id(text):
        return others[0]
    return (text[:-1] + ("b" if text[-1] == "a" else "a")) if text else "1"


def other_type(value: Any) -> Any:
    """The same in another of JSON's types; ``DROPPED`` where there is none."""
    if value is None or isinstance(value, Enum):
        return DROPPED
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    if is_number(str(value)):
        return json.loads(str(value), parse_float=Decimal) if str(value)[0] not in "0+" else Decimal(str(value))
    return [value]


def is_number(text: str) -> bool:
    return bool(re.fullmatch(r"-?\d+(\.\d+)?", text))


def _is_id(text: str) -> bool:
    """Long, and different in each order."""
    return bool(re.search(r"\d", text)) and len(text) >= 12
