"""Requests held to what a broker documents: no call it does not name, no parameter it does not know, none left out.

Each table names the calls our adapter makes and the parameters we send, with the document they were compared with. It
holds facts of an interface, in words of our own, and no text of any document.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.brokers.faults import Asked

TEXT, WHOLE, NUMBER, YES_NO = ".+", "[0-9]+", r"[0-9]+(\.[0-9]+)?", "true|false"


def json_of(pattern: str) -> str:
    """A value that is written without quotation marks in JSON."""
    return f"#({pattern})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Name → the regular expression of its value, written out as text."""

    needs: Mapping[str, str] = field(default_factory=dict)
    takes: Mapping[str, str] = field(default_factory=dict)
    rows: "tuple[str, Call] | None" = None
    """A list in the body, and what each of its objects is held to."""

    def broken(self, given: Mapping[str, Any]) -> str:
        """What is wrong with it; empty where nothing is."""
        known = {**self.needs, **self.takes, **({self.rows[0]: ""} if self.rows else {})}
        if unknown := set(given) - set(known):
            return f"unknown {sorted(unknown)}"
        if missing := set(self.needs) - set(given):
            return f"missing {sorted(missing)}"
        for name, value in given.items():
            if self.rows and name == self.rows[0]:
                wrong = [found for each in value if (found := self.rows[1].broken(each))]
                if wrong:
                    return wrong[0]
            elif not re.fullmatch(known[name], _text(value)):
                return f"{name} is {_text(value)[:40]!r}"
        return ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"#{value:f}" if isinstance(value, Decimal) else f"#{json.dumps(value)}"


def misfit(calls: Mapping[str, Call], asked: Asked, path: str) -> str:
    """What of a request is not in the table: query, form and JSON alike. Empty where all is."""
    for name, call in calls.items():
        method, _, pattern = name.partition(" ")
        if method == asked.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
            body = asked.body or {}
            if (asked.headers.get("Content-Type") or "").startswith("application/json") and asked.raw:
                body = json.loads(asked.raw, parse_float=Decimal)
            problem = call.broken({**asked.query, **body})
            return problem and f"{name}: {problem}"
    return f"no such call: {asked.method} {path}"
