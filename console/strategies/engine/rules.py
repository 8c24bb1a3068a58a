"""A strategy as declared rules: JSON that anybody can read, checked whole, with each fault told by its line.

The published schema, ``rules.schema.json`` beside this file, says the same of its form; what only a look at several
fields can tell is said here alone. Nothing in rules is ever run.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, time, tzinfo
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path as FilePath
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from brokers.types import LONGEST_SYMBOL
from console.indicators import MOST
from console.strategies.engine import measures
from console.strategies.engine.located_json import LocatedJson, NotJson, Path, RuleProblem
from console.strategies.engine.measures import RuleMeasure

SCHEMA = FilePath(__file__).parent.parent / "data" / "rules.schema.json"
TIMEFRAMES = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")
RELATIONS = ("above", "below", "at_least", "at_most", "crosses_above", "crosses_below")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_SYMBOLS = 20
MOST_COMPARISONS = 50
DEEPEST = 5
LONGEST = 20_000
"""Characters of rules."""
MOST_PROBLEMS = 20
_LARGEST = Decimal(10) ** 12
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_SIZES = ("quantity", "worth", "percent_of_equity", "risk_percent")


@dataclass(frozen=True, slots=True)
class Comparison:
    left: RuleMeasure
    relation: str
    right: RuleMeasure


@dataclass(frozen=True, slots=True)
class Group:
    """``kind`` is all, any or not; of not there is one part."""

    kind: str
    parts: tuple["Comparison | Group", ...]


Condition = Comparison | Group


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a stop or target is from the price of entry. ``kind``: percent, amount, atr or times_risk."""

    kind: str
    value: Decimal
    length: int = 14
    """Of the ATR."""


@dataclass(frozen=True, slots=True)
class EntrySession:
    """When an entry may be decided on. The end of the bar counts."""

    days: frozenset[int] = frozenset(range(7))
    opens: time | None = None
    closes: time | None = None
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class StrategyLimits:
    positions: int = MOST_SYMBOLS
    worth: Decimal | None = None
    """Most that all positions may be worth when one more is opened."""
    trades_a_day: int | None = None
    """Entries in a UTC day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    name: str
    about: str = ""
    universe: tuple[str, ...] = ()
    timeframe: str = "1d"
    entry: Condition
    exit: Condition | None = None
    size_kind: str = "percent_of_equity"
    size: Decimal = Decimal(100)
    stop: Distance | None = None
    target: Distance | None = None
    trailing: Distance | None = None
    hold: int | None = None
    """Bars after which a position is closed."""
    session: EntrySession | None = None
    limits: StrategyLimits = field(default_factory=StrategyLimits)

    @property
    def distances(self) -> list[Distance]:
        return [each for each in (self.stop, self.target) if each is not None]

    @property
    def others(self) -> frozenset[str]:
        """Symbols that are only measured against."""
        return frozenset(each.against for each in self.measures if each.against) - frozenset(self.universe)

    @property
    def measures(self) -> list[RuleMeasure]:
        found = [*_measures(self.entry), *(_measures(self.exit) if self.exit else ())]
        found += [RuleMeasure(f"ATR({each.length})", "value") for each in self.distances if each.kind == "atr"]
        return list(dict.fromkeys(found))

    @property
    def needs(self) -> int:
        """Bars before every condition has its values."""
        crossing = any(each.relation.startswith("crosses") for each in _comparisons(self.entry, self.exit))
        return max((each.needs for each in self.measures), default=0) + crossing


class NotRules(ValueError):
    """``problems`` are all that was found, in order of their lines, at most twenty."""

    def __init__(self, problems: Sequence[RuleProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def parse(text: str) -> Rules:
    """Raises NotRules."""
    if len(text) > LONGEST:
        raise NotRules(
            [RuleProblem(1, 1, "", f"Rules can have at most {LONGEST:,} characters; these have {len(text):,}.")]
        )
    try:
        document = LocatedJson(text)
    except NotJson as error:
        raise NotRules([error.problem]) from None
    reader = _Reader(document)
    rules = reader.rules()
    problems = sorted(
        {*reader.problems, *document.repeated()}, key=lambda each: (each.line, each.column, each.path, each.message)
    )
    if problems or rules is None:
        raise NotRules(problems[:MOST_PROBLEMS])
    return rules


@cache
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return found


def in_words(condition: Condition) -> str:
    if isinstance(condition, Comparison):
        return f"{_shown(condition.left)} {condition.relation.replace('_', ' ')} {_shown(condition.right)}"
    if condition.kind == "not":
        return f"not ({in_words(condition.parts[0])})"
    joined = (" and " if condition.kind == "all" else " or ").join(
        in_words(each) if isinstance(each, Comparison) or each.kind == "not" else f"({in_words(each)})"
        for each in condition.parts
    )
    return joined


def _shown(measure: RuleMeasure) -> str:
    if measure.number is not None:
        return format(measure.number, "f")
    text = measure.text if measure.line in ("", "value") else f"{measure.text}.{measure.line}"
    text += f" against {measure.against}" if measure.against else ""
    text += f" {measure.ago} bar{'s' if measure.ago > 1 else ''} ago" if measure.ago else ""
    return text if measure.times == 1 else f"{format(measure.times, 'f')} x {text}"


def _comparisons(*conditions: Condition | None) -> list[Comparison]:
    found: list[Comparison] = []
    for each in conditions:
        if isinstance(each, Comparison):
            found.append(each)
        elif each is not None:
            found += _comparisons(*each.parts)
    return found


def _measures(condition: Condition) -> list[RuleMeasure]:
    return [side for each in _comparisons(condition) for side in (each.left, each.right) if side.number is None]


class _Reader:
    """Reads what is right and collects what is wrong. A method gives None for what it could not use."""

    def __init__(self, document: LocatedJson) -> None:
        self.document = document
        self.problems: list[RuleProblem] = []
        self._comparisons = 0

    def rules(self) -> Rules | None:
        top = self._object(
            self.document.value,
            (),
            {
                *("name", "about", "universe", "timeframe", "entry", "exit", "size", "stop", "target"),
                *("trailing", "hold", "sessions", "limits"),
            },
            {"name", "universe", "timeframe", "entry", "size"},
        )
        if top is None:
            return None
        name = self._text(top, "name", 80)
        about = self._text(top, "about", 500) or ""
        universe = self._universe(top)
        timeframe = self._choice(top, "timeframe", TIMEFRAMES)
        entry = self._condition(top["entry"], ("entry",)) if "entry" in top else None
        leave = self._condition(top["exit"], ("exit",)) if "exit" in top else None
        size = self._one_of(top, "size", _SIZES)
        stop = self._distance(top, "stop", ("percent", "amount", "atr"))
        target = self._distance(top, "target", ("percent", "amount", "atr", "times_risk"))
        trailing = self._distance(top, "trailing", ("percent", "amount"))
        hold = self._whole(top, (), "hold", 10_000)
        session = self._session(top)
        limits = self._limits(top)
        self._together(top, size, stop, target)
        if self.problems or name is None or timeframe is None or entry is None or size is None or not universe:
            return None
        return Rules(
            name=name,
            about=about,
            universe=universe,
            timeframe=timeframe,
            entry=entry,
            exit=leave,
            size_kind=size[0],
            size=size[1],
            stop=stop,
            target=target,
            trailing=trailing,
            hold=hold,
            session=session,
            limits=limits,
        )

    def _together(
        self, top: Mapping[str, Any], size: tuple[str, Decimal] | None, stop: Distance | None, target: Distance | None
    ) -> None:
        """What only several fields can tell."""
        if not {"exit", "stop", "target", "trailing", "hold"} & set(top):
            self._wrong((), "A position would never end: add exit, stop, target, trailing or hold.")
        if "stop" in top and "trailing" in top:
            self._wrong(("trailing",), "A position has one stop: give either stop or trailing, not both.")
        if size is not None and size[0] == "risk_percent" and "stop" not in top and "trailing" not in top:
            self._wrong(("size",), "risk_percent is measured to the stop: add stop or trailing.")
        if target is not None and target.kind == "times_risk" and "stop" not in top and "trailing" not in top:
            self._wrong(("target",), "times_risk is measured to the stop: add stop or trailing.")
        if size is not None and size[0] in ("percent_of_equity", "risk_percent") and size[1] > 100:
            self._wrong(("size", size[0]), "At most 100 percent: nothing is borrowed.")
        for name in ("stop", "trailing"):
            given = top.get(name)
            value = self._decimal(given.get("percent")) if isinstance(given, dict) else None
            if value is not None and value >= 100:
                self._wrong((name, "percent"), "It must be less than 100 percent.")

    # -- parts ----------------------------------------------------------------------------------------------------

    def _universe(self, top: Mapping[str, Any]) -> tuple[str, ...]:
        if "universe" not in top:
            return ()
        given = top["universe"]
        if not isinstance(given, list) or not 1 <= len(given) <= MOST_SYMBOLS:
            self._wrong(("universe",), f"It must be a list of 1 to {MOST_SYMBOLS} symbols.")
            return ()
        found: list[str] = []
        for place, each in enumerate(given):
            symbol = self._symbol(each, ("universe", place))
            if symbol in found:
                self._wrong(("universe", place), f"{symbol} is in the list twice.")
            elif symbol is not None:
                found.append(symbol)
        return tuple(found)

    def _symbol(self, given: Any, path: Path) -> str | None:
        if not isinstance(given, str) or not 1 <= len(given.strip()) <= LONGEST_SYMBOL:
            self._wrong(path, f"A symbol is text of 1 to {LONGEST_SYMBOL} characters.")
            return None
        return given.strip().upper()

    def _condition(self, given: Any, path: Path, depth: int = 1) -> Condition | None:
        if depth > DEEPEST:
            self._wrong(path, f"Conditions can be at most {DEEPEST} deep.")
            return None
        if not isinstance(given, dict):
            self._wrong(path, 'It must be {"left": …, "is": …, "right": …}, {"all": […]}, {"any": […]} or {"not": …}.')
            return None
        for kind in ("all", "any"):
            if kind in given:
                self._object(given, path, {kind}, {kind})
                parts = given[kind]
                if not isinstance(parts, list) or not 1 <= len(parts) <= 20:
                    self._wrong((*path, kind), "It must be a list of 1 to 20 conditions.")
                    return None
                read = [self._condition(each, (*path, kind, place), depth + 1) for place, each in enumerate(parts)]
                return Group(kind, tuple(each for each in read if each is not None))
        if "not" in given:
            self._object(given, path, {"not"}, {"not"})
            inner = self._condition(given["not"], (*path, "not"), depth + 1)
            return None if inner is None else Group("not", (inner,))
        return self._comparison(given, path)

    def _comparison(self, given: Mapping[str, Any], path: Path) -> Comparison | None:
        self._comparisons += 1
        if self._comparisons == MOST_COMPARISONS + 1:
            self._wrong(path, f"Rules can have at most {MOST_COMPARISONS} comparisons.")
        if self._object(given, path, {"left", "is", "right"}, {"left", "is", "right"}) is None:
            return None
        left = self._measure(given["left"], (*path, "left")) if "left" in given else None
        right = self._measure(given["right"], (*path, "right")) if "right" in given else None
        relation = self._choice(given, "is", RELATIONS, path)
        if left is None or right is None or relation is None:
            return None
        if left.number is not None and right.number is not None:
            self._wrong(path, "It compares two numbers, which never changes.")
        return Comparison(left, relation, right)

    def _measure(self, given: Any, path: Path) -> RuleMeasure | None:
        more: dict[str, Any] = {}
        if isinstance(given, dict):
            self._object(given, path, {"value", "ago", "times", "against"}, {"value"})
            if "value" not in given:
                return None
            ago = self._whole(given, path, "ago", measures.MOST_AGO)
            times = self._amount(given, path, "times")
            against = self._symbol(given["against"], (*path, "against")) if "against" in given else ""
            more = {"ago": ago or 0, "times": Decimal(1) if times is None else times, "against": against or ""}
            given, path = given["value"], (*path, "value")
        if isinstance(given, Decimal):
            given = format(given, "f") if abs(given) < _LARGEST else str(given)
        if not isinstance(given, str) or len(given) > 60:
            self._wrong(path, "It must be a number, or text such as close or SMA(50).")
            return None
        try:
            return measures.parse(given, **more)
        except ValueError as error:
            self._wrong(path, str(error))
            return None

    def _one_of(self, top: Mapping[str, Any], name: str, kinds: tuple[str, ...]) -> tuple[str, Decimal] | None:
        if name not in top:
            return None
        inside = self._object(top[name], (name,), set(kinds), set())
        if inside is None:
            return None
        given = [kind for kind in kinds if kind in inside]
        if len(given) != 1:
            self._wrong((name,), f"It must have exactly one of {', '.join(kinds)}.")
            return None
        value = self._amount(inside, (name,), given[0])
        return None if value is None else (given[0], value)

    def _distance(self, top: Mapping[str, Any], name: str, kinds: tuple[str, ...]) -> Distance | None:
        if name not in top:
            return None
        inside = self._object(top[name], (name,), {*kinds, *(("length",) if "atr" in kinds else ())}, set())
        if inside is None:
            return None
        found = self._one_of({name: {key: inside[key] for key in inside if key in kinds}}, name, kinds)
        length = self._whole(inside, (name,), "length", MOST, least=2)
        if "length" in inside and found is not None and found[0] != "atr":
            self._wrong((name, "length"), "Only atr has a length.")
        return None if found is None else Distance(*found, 14 if length is None else length)

    def _session(self, top: Mapping[str, Any]) -> EntrySession | None:
        if "sessions" not in top:
            return None
        path: Path = ("sessions",)
        inside = self._object(top["sessions"], path, {"days", "from", "to", "zone"}, set())
        if inside is None:
            return None
        days = inside.get("days", list(DAYS))
        if not isinstance(days, list) or not days or any(each not in DAYS for each in days):
            self._wrong((*path, "days"), f"It must be a list of {', '.join(DAYS)}.")
            days = []
        zone = inside.get("zone", "UTC")
        if not isinstance(zone, str) or zone not in _zones():
            self._wrong((*path, "zone"), "It must be the name of a time zone, such as America/New_York.")
            zone = "UTC"
        if ("from" in inside) != ("to" in inside):
            self._wrong(path, "Give both from and to, or neither.")
        clocks: list[time | None] = []
        for word in ("from", "to"):
            text = inside.get(word)
            if text is not None and not (isinstance(text, str) and _CLOCK.fullmatch(text)):
                self._wrong((*path, word), "It must be a time of the day such as 09:30.")
                text = None
            clocks.append(None if text is None else time.fromisoformat(text))
        return EntrySession(frozenset(map(DAYS.index, days)), clocks[0], clocks[1], ZoneInfo(zone))

    def _limits(self, top: Mapping[str, Any]) -> StrategyLimits:
        path: Path = ("limits",)
        inside = self._object(top.get("limits", {}), path, {"positions", "worth", "trades_a_day"}, set())
        if inside is None:
            return StrategyLimits()
        positions = self._whole(inside, path, "positions", MOST_SYMBOLS)
        return StrategyLimits(
            MOST_SYMBOLS if positions is None else positions,
            self._amount(inside, path, "worth"),
            self._whole(inside, path, "trades_a_day", 1000),
        )

    # -- values ---------------------------------------------------------------------------------------------------

    def _wrong(self, path: Path, message: str) -> None:
        self.problems.append(self.document.problem(path, message))

    def _object(self, given: Any, path: Path, known: set[str], needed: set[str]) -> Mapping[str, Any] | None:
        if not isinstance(given, dict):
            self._wrong(path, "It must be an object in braces.")
            return None
        for name in given:
            if name not in known:
                self._wrong((*path, name), f"{name[:40]!r} is unknown here; known are {', '.join(sorted(known))}.")
        for name in sorted(needed - set(given)):
            self._wrong(path, f"{name} is missing.")
        return given

    def _text(self, top: Mapping[str, Any], name: str, longest: int) -> str | None:
        if name not in top:
            return None
        given = top[name]
        if not isinstance(given, str) or not 1 <= len(given.strip()) <= longest or not given.isprintable():
            self._wrong((name,), f"It must be one line of text, 1 to {longest} characters long.")
            return None
        return given.strip()

    def _choice(self, inside: Mapping[str, Any], name: str, choices: tuple[str, ...], path: Path = ()) -> str | None:
        if name not in inside:
            return None
        if inside[name] not in choices:
            self._wrong((*path, name), f"It must be one of {', '.join(choices)}.")
            return None
        chosen: str = inside[name]
        return chosen

    def _whole(self, inside: Mapping[str, Any], path: Path, name: str, most: int, *, least: int = 1) -> int | None:
        if name not in inside:
            return None
        value = self._decimal(inside[name])
        if value is None or value != value.to_integral_value() or not least <= value <= most:
            self._wrong((*path, name), f"It must be a whole number from {least} to {most}.")
            return None
        return int(value)

    def _amount(self, inside: Mapping[str, Any], path: Path, name: str) -> Decimal | None:
        if name not in inside:
            return None
        value = self._decimal(inside[name])
        if value is None or not 0 < value <= _LARGEST:
            self._wrong((*path, name), "It must be a number greater than 0, with at most 12 decimals.")
            return None
        return value

    def _decimal(self, given: Any) -> Decimal | None:
        """A JSON number, or the same as text."""
        if isinstance(given, bool) or not isinstance(given, Decimal | str):
            return None
        try:
            value = Decimal(given)
        except InvalidOperation:
            return None
        if not value.is_finite() or abs(value) > _LARGEST or int(value.as_tuple().exponent) < -12:
            return None
        return value


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
