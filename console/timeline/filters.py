"""What a timeline is narrowed to, read from the query string alone: it is the only state of a page or an export."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_datetime

from console.errors import Code
from console.untrusted_text import escape_hidden, truncate


class Kind(StrEnum):
    """What an entry is, the commonest first."""

    CALL = "call"
    REFUSAL = "refusal"
    ORDER = "order"
    BROKER = "broker"
    CHANGE = "change"
    SIGN_IN = "sign_in"
    JOB = "job"
    EMAIL = "email"


KIND_LABELS: dict[Kind, str] = {
    Kind.CALL: "Calls",
    Kind.REFUSAL: "Refused calls",
    Kind.ORDER: "Orders",
    Kind.BROKER: "Broker's answers",
    Kind.CHANGE: "Changes",
    Kind.SIGN_IN: "Sign-ins",
    Kind.JOB: "Done by the system",
    Kind.EMAIL: "E-mails",
}


class EntryOutcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"


OUTCOME_LABELS: dict[EntryOutcome, str] = {
    EntryOutcome.OK: "Done",
    EntryOutcome.REFUSED: "Refused",
    EntryOutcome.FAILED: "Failed",
}

NOT = "not_"
"""Before the name of a filter: everything else."""
MOST_VALUES = 20
_LONGEST = 128
_LARGEST_ID = 2**63 - 1
_SPAN = re.compile(r"([1-9][0-9]{0,4})(m|h|d|w)", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TEXTS = {
    "credential": "credentials",
    "tool": "tools",
    "symbol": "symbols",
    "order": "orders",
    "trace": "traces",
    "session": "sessions",
}
_IDS = {"person": "people", "app": "apps", "connection": "connections"}
_CHOICES: dict[str, tuple[str, tuple[str, ...]]] = {
    "kind": ("kinds", tuple(Kind)),
    "outcome": ("outcomes", tuple(EntryOutcome)),
    "code": ("codes", tuple(code.value for code in Code)),
}
NAMES = (*_CHOICES, *_IDS, *_TEXTS)
"""Of the filters that take values; each may be given several times, and after ``not_``."""
_ELSE = frozenset({"from", "to", "everyone", "before", "after", "part"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterValues:
    """Values by what they are compared with; nothing given: anything."""

    kinds: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    people: tuple[int, ...] = ()
    apps: tuple[int, ...] = ()
    connections: tuple[int, ...] = ()
    credentials: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()

    def given(self) -> dict[str, tuple[str, ...] | tuple[int, ...]]:
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name))}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineFilters:
    only: FilterValues = field(default_factory=FilterValues)
    without: FilterValues = field(default_factory=FilterValues)
    since: datetime | None = None
    """Included."""
    until: datetime | None = None
    """Not included."""
    problems: tuple[str, ...] = ()
    """What is wrong with the query, one sentence each. Nothing may be read with such filters."""

    @property
    def is_active(self) -> bool:
        return bool(self.only.given() or self.without.given() or self.since or self.until)


def parse(query: QueryDict, now: datetime) -> TimelineFilters:
    """What the query asks for. Every name and value that is not understood is named in ``problems``."""
    problems: list[str] = []
    sides: tuple[dict[str, tuple[str, ...] | tuple[int, ...]], dict[str, tuple[str, ...] | tuple[int, ...]]] = ({}, {})
    for name in query:
        bare = name.removeprefix(NOT)
        side = sides[bare != name]
        if bare in NAMES:
            attribute, values = _values(name, bare, query.getlist(name), problems)
            if values:
                side[attribute] = values
        elif name not in _ELSE:
            problems.append(f"There is no filter {_quoted(name)}. Filters are {', '.join(NAMES)}, from and to.")
    since = _moment("from", query.get("from", ""), now, problems)
    until = _moment("to", query.get("to", ""), now, problems)
    if since and until and since >= until:
        problems.append("from must be earlier than to.")
    return TimelineFilters(
        only=_wanted(sides[0]),
        without=_wanted(sides[1]),
        since=since,
        until=until,
        problems=tuple(problems[:MOST_VALUES]),
    )


def _wanted(values: Mapping[str, tuple[str, ...] | tuple[int, ...]]) -> FilterValues:
    return FilterValues(**values)  # type: ignore[arg-type]  # each is of its field's type, by ``_values``


def _values(
    name: str, bare: str, given: list[str], problems: list[str]
) -> tuple[str, tuple[str, ...] | tuple[int, ...]]:
    """The attribute of ``FilterValues`` and its values. Empty values are what an empty field of the form sends."""
    values = list(dict.fromkeys(value for raw in given if (value := raw.strip())))
    if len(values) > MOST_VALUES:
        problems.append(f"{name}: at most {MOST_VALUES} values.")
        values = values[:MOST_VALUES]
    if bare in _CHOICES:
        attribute, choices = _CHOICES[bare]
        for value in values:
            if value not in choices:
                shown = "" if bare == "code" else f" It is one of {', '.join(choices)}."
                problems.append(f"{name}: {_quoted(value)} is not {_article(bare)}.{shown}")
        return attribute, tuple(value for value in values if value in choices)
    if bare in _IDS:
        ids: list[int] = []
        for value in values:
            if value.isascii() and value.isdecimal() and len(value) < 20 and int(value) <= _LARGEST_ID:
                ids.append(int(value))
            else:
                problems.append(f"{name}: {_quoted(value)} is not a number of {_article(bare)}.")
        return _IDS[bare], tuple(ids)
    if any(len(value) > _LONGEST for value in values):
        problems.append(f"{name}: longer than {_LONGEST} characters.")
    return _TEXTS[bare], tuple(values)


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeio" else f"a {word}"


def _quoted(value: str) -> str:
    return f"“{escape_hidden(truncate(value, 40))}”"


def _moment(name: str, raw: str, now: datetime, problems: list[str]) -> datetime | None:
    """``24h``: that long ago; a date: its beginning in UTC; a time without a zone: in UTC."""
    raw = raw.strip()
    if not raw:
        return None
    if span := _SPAN.fullmatch(raw):
        return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        found = parse_datetime(raw.replace(" ", "+") if raw.count(" ") == 1 and "T" in raw else raw)
        if found is None and (day := parse_date(raw)):
            found = datetime(day.year, day.month, day.day)  # noqa: DTZ001  the zone follows
        if found is not None:
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    problems.append(
        f"{name}: {_quoted(raw)} is not a time. Write 30m, 24h, 7d or 4w, or a date such as 2026-11-30,"
        " or 2026-11-30T14:05."
    )
    return None
