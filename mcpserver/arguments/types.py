"""Kinds of arguments that reading takes beside those of ``base``: flags, days, lists, cursors and filters."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from brokers.types import LONGEST_SYMBOL, Side
from console.errors import Code, Refusal
from console.orders.terms import MOST_LEGS, MOST_RATIO, LegAsked, no_leverage
from mcpserver.arguments.base import Amount, Arg, Choice, InexactNumber, Text, Whole, parse, parse_number
from mcpserver.arguments.lenient import from_json_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Arg):
    def schema(self) -> dict[str, Any]:
        return self._described({"type": "boolean"})

    def words(self) -> str:
        return "true or false"

    def parse(self, value: Any) -> bool:
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        if not isinstance(value, bool):
            raise self._wrong("must be true or false.")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(Arg):
    """A calendar day."""

    def schema(self) -> dict[str, Any]:
        return self._described({"type": "string"})

    def words(self) -> str:
        return "date"

    def parse(self, value: Any) -> date:
        if isinstance(value, str) and len(value) == 10:
            try:
                day = date.fromisoformat(value)
            except ValueError:
                pass
            else:
                if 1970 < day.year < 2200:
                    return day
        raise self._wrong("must be a date such as 2026-11-20.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts(Arg):
    """A list of words; one word alone is taken as a list of one."""

    is_structured = True
    most: int = 10
    choices: tuple[str, ...] = ()
    is_listed: bool = True
    """False where the tool's own text says what the choices are."""

    def schema(self) -> dict[str, Any]:
        items: dict[str, Any] = {"type": "string"}
        if self.choices and self.is_listed:
            items["enum"] = list(self.choices)
        return self._described({"type": "array", "items": items})

    def words(self) -> str:
        return f"list of up to {self.most}: " + (", ".join(self.choices) or "text")

    def parse(self, value: Any) -> list[str]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not items:
            raise self._wrong("must be a list of text.")
        if len(items) > self.most:
            raise self._wrong(f"can have at most {self.most} entries.")
        plural = {f"{each}S".upper(): each for each in self.choices}
        one = (
            Choice(name=self.name, choices=self.choices, also=plural)
            if self.choices
            else Text(name=self.name, longest=40)
        )
        return list(dict.fromkeys(one.parse(item) for item in items))


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonText(Arg):
    """A JSON object as the text it was written in, whose lines can then be named. An object is taken too."""

    longest: int

    def schema(self) -> dict[str, Any]:
        return self._described({"type": "string"})

    def words(self) -> str:
        return f"JSON text of up to {self.longest:,} characters"

    def parse(self, value: Any) -> str:
        if isinstance(value, dict):
            if _has_inexact(value):
                raise self._wrong("has a number with more digits than a JSON number keeps; send it as text.")
            value = json.dumps(value, indent=2, ensure_ascii=False)
        if isinstance(value, str):
            Text(name=self.name, longest=self.longest).parse(_BETWEEN.sub(" ", value))
            return value
        raise self._wrong("must be JSON text.")


_BETWEEN = re.compile(r"[\r\n\t]")
"""What JSON has between its words, and no other text of an argument."""


def _has_inexact(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_inexact, value.values() if isinstance(value, dict) else value))
    return isinstance(value, InexactNumber)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts(Arg):
    """Decimals and switches by name: ``{"slippage_percent": "0.05", "margin": true}``."""

    is_structured = True
    names: tuple[str, ...]
    switches: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        return self._described({"type": "object", "additionalProperties": {"type": "string"}})

    def words(self) -> str:
        return f"object; decimal text for {', '.join(self.names)}; true or false for {', '.join(self.switches)}"

    def parse(self, value: Any) -> dict[str, Decimal | bool]:
        if not isinstance(value, dict):
            raise self._wrong(f'must be an object such as {{"{self.names[0]}": "0.1"}}.')
        found: dict[str, Decimal | bool] = {}
        for name, given in value.items():
            if name in self.switches:
                found[name] = Flag(name=f"{self.name}.{name}").parse(given)
            elif name in self.names:
                found[name] = Amount(name=f"{self.name}.{name}").parse(given)
            else:
                raise self._wrong(f"accepts {', '.join((*self.names, *self.switches))}, not {str(name)[:40]!r}.")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency(Arg):
    def schema(self) -> dict[str, Any]:
        return self._described({"type": "string"})

    def words(self) -> str:
        return "three letters of a currency"

    def parse(self, value: Any) -> str:
        text = value.strip().upper() if isinstance(value, str) else ""
        if not (len(text) == 3 and text.isascii() and text.isalpha()):
            raise self._wrong("must be the three letters of a currency, such as USD.")
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor(Arg):
    """Where a list goes on: the ``next_cursor`` of the same tool's last answer. Parsed, it is the row's id."""

    name: str = "cursor"
    of: str
    """What is listed: a cursor of another list is refused."""

    def schema(self) -> dict[str, Any]:
        return self._described({"type": "string"})

    def words(self) -> str:
        return "next_cursor of the last answer"

    def parse(self, value: Any) -> str:
        text = Text(name=self.name, longest=120).parse(value)
        try:
            plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            plain = ""
        of, _, row = plain.partition(":")
        if of != self.of or not row or not row.isprintable():
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"{self.name} must be the next_cursor from this tool's last answer, unchanged.",
                field=self.name,
            )
        return row


def cursor(of: str, row: str) -> str:
    """The opaque text that ``Cursor(of=of)`` reads back as ``row``."""
    return base64.urlsafe_b64encode(f"{of}:{row}".encode("ascii")).decode("ascii").rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leverage(Arg):
    """How much of an order is borrowed. No broker here takes it, so naming it is refused, never dropped."""

    def schema(self) -> dict[str, Any]:
        return self._described({"type": "string"})

    def words(self) -> str:
        return "leverage of an order; no broker here takes it"

    def parse(self, value: Any) -> Any:
        raise no_leverage()


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionLegs(Arg):
    """The options of a spread. Whether the broker takes several in one order is for the order's own checks."""

    is_structured = True
    args: ClassVar[tuple[Arg, ...]] = (
        Text(name="symbol", required=True, longest=LONGEST_SYMBOL),
        Choice(name="side", required=True, choices=tuple(each.value for each in Side)),
        Whole(name="ratio", most=MOST_RATIO),
    )

    def schema(self) -> dict[str, Any]:
        item = {
            "type": "object",
            "properties": {arg.name: {"type": "string"} for arg in self.args},
            "required": [arg.name for arg in self.args if arg.required],
            "additionalProperties": False,
        }
        return self._described({"type": "array", "items": item})

    def words(self) -> str:
        return "list of 2 to 4 options in one order: symbol, side, ratio"

    def parse(self, value: Any) -> list[LegAsked]:
        if not isinstance(value, list):
            raise self._wrong("must be a list of options, each with symbol, side and ratio.")
        if len(value) > MOST_LEGS:
            raise self._wrong(f"can have at most {MOST_LEGS} options.")
        return [self._one(number, item) for number, item in enumerate(value)]

    def _one(self, number: int, item: Any) -> LegAsked:
        where, item = f"{self.name}[{number}]", from_json_text(item, parse_number)
        if not isinstance(item, dict):
            raise Refusal(Code.INVALID_ARGUMENT, f"{where} must be an object.", field=where)
        try:
            found = parse(self.args, item)
        except Refusal as refusal:
            raise refusal.at(where) from None
        return LegAsked(found["symbol"], Side(found["side"]), found.get("ratio", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderItems(Arg):
    """Several orders, each with the arguments of one. Listed short: the tool for one order spells them out."""

    is_structured = True
    args: tuple[Arg, ...]
    most: int = 20

    def schema(self) -> dict[str, Any]:
        # Those of every order; the rest is text too, flags among them. Hosts refuse an object they know nothing of.
        item = {
            "type": "object",
            "properties": {arg.name: {"type": "string"} for arg in self.args if arg.required or arg.name == "quantity"},
            "required": [arg.name for arg in self.args if arg.required],
            "additionalProperties": {"type": "string"},
        }
        return self._described({"type": "array", "items": item})

    def words(self) -> str:
        return f"list of up to {self.most} orders, each with the arguments of place_order but account_id"

    def parse(self, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not value:
            raise self._wrong("must be a list of orders.")
        if len(value) > self.most:
            raise self._wrong(f"can have at most {self.most} orders.")
        return [self._one(number, item) for number, item in enumerate(value)]

    def _one(self, number: int, item: Any) -> dict[str, Any]:
        where, item = f"{self.name}[{number}]", from_json_text(item, parse_number)
        if not isinstance(item, dict):
            raise Refusal(Code.INVALID_ARGUMENT, f"{where} must be an object.", field=where)
        try:
            return parse(self.args, item)
        except Refusal as refusal:
            raise refusal.at(where) from None


@dataclass(frozen=True, slots=True)
class Filter:
    field: str
    op: str
    value: Decimal | str
    """A number, or the field it is compared with."""


OPS = (">", ">=", "<", "<=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters(Arg):
    """Conditions that all must hold: ``{"field": "rsi_14", "op": "<", "value": "30"}``."""

    is_structured = True
    fields: tuple[str, ...]
    most: int = 10

    def schema(self) -> dict[str, Any]:
        return self._described(
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": {"type": "string", "enum": list(self.fields)},
                        "op": {"type": "string", "enum": list(OPS)},
                        "value": {"type": "string"},
                    },
                    "required": ["field", "op", "value"],
                },
            }
        )

    def words(self) -> str:
        return f"list of up to {self.most} conditions: field, op and value"

    def parse(self, value: Any) -> list[Filter]:
        if not isinstance(value, list):
            raise self._wrong('must be a list such as [{"field": "price", "op": ">", "value": "100"}].')
        if len(value) > self.most:
            raise self._wrong(f"can have at most {self.most} conditions.")
        return [self._one(item) for item in value]

    def _one(self, item: Any) -> Filter:
        item = from_json_text(item, parse_number)
        if not isinstance(item, dict) or set(item) != {"field", "op", "value"}:
            raise self._wrong("need a field, an op and a value each, and nothing else.")
        field, op, given = item["field"], item["op"], item["value"]
        if field not in self.fields:
            raise self._wrong(f"know the fields {', '.join(self.fields)}.")
        if op not in OPS:
            raise self._wrong(f"know the ops {', '.join(OPS)}.")
        if isinstance(given, str) and given.strip().lower() in self.fields:
            return Filter(field, op, given.strip().lower())
        try:
            return Filter(field, op, Amount(name=self.name).parse(given))
        except Refusal:
            raise self._wrong(f"compare {field} with a decimal number or with another field.") from None


def decide(op: str, left: Decimal, right: Decimal) -> bool:
    return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[op]
