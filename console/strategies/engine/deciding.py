"""What rules decide on closed bars, one symbol at a time: enter, leave, or nothing."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal

from brokers.types import Bar
from console.strategies.engine.measures import Push, RuleMeasure
from console.strategies.engine.rules import Comparison, Condition, EntrySession, Group, Rules

Test = Callable[[], bool]


class SymbolRules:
    """The rules for one symbol: its measures brought up to date, and whether its conditions hold."""

    def __init__(self, rules: Rules, length: timedelta) -> None:
        """``length``: of a bar."""
        self._places: dict[RuleMeasure, int] = {}
        self._of_own: list[tuple[int, Push]] = []
        self._of_ratio: list[tuple[int, str, Push]] = []
        self._now: list[Decimal | None] = []
        self._before: list[Decimal | None] = []
        self._length, self._session = length, rules.session
        self.enters = self._test(rules.entry)
        self.leaves = self._test(rules.exit) if rules.exit is not None else _never
        self._ranges = {
            each.length: self._place(RuleMeasure(f"ATR({each.length})", "value"))
            for each in rules.distances
            if each.kind == "atr"
        }

    def push(self, bar: Bar, bars: Mapping[str, Bar]) -> None:
        """A closed bar of the symbol, and those of all symbols at the same time."""
        now = self._now
        self._before[:] = now
        for place, push in self._of_own:
            now[place] = push(bar)
        for place, symbol, push in self._of_ratio:
            other = bars.get(symbol)
            now[place] = push(_ratio(bar, other)) if other is not None and other.close else None

    def average_range(self, length: int) -> Decimal | None:
        """The ATR that a stop or target is measured in; None until there were enough bars."""
        return self._now[self._ranges[length]]

    @property
    def knows_ranges(self) -> bool:
        return all(self._now[place] is not None for place in self._ranges.values())

    def in_session(self, bar: Bar) -> bool:
        return self._session is None or _is_in(self._session, bar, self._length)

    def _place(self, measure: RuleMeasure) -> int:
        if measure not in self._places:
            place = self._places[measure] = len(self._now)
            self._now.append(measure.number)
            self._before.append(measure.number)
            if measure.against:
                self._of_ratio.append((place, measure.against, measure.push()))
            elif measure.number is None:
                self._of_own.append((place, measure.push()))
        return self._places[measure]

    def _test(self, condition: Condition) -> Test:
        if isinstance(condition, Comparison):
            return self._compared(condition)
        tests = [self._test(part) for part in condition.parts]
        return tests[0] if condition.kind != "not" and len(tests) == 1 else _joined(condition, tests)

    def _compared(self, comparison: Comparison) -> Test:
        now, before = self._now, self._before
        left, right = self._place(comparison.left), self._place(comparison.right)

        def above() -> bool:
            one, two = now[left], now[right]
            return one is not None and two is not None and one > two

        def below() -> bool:
            one, two = now[left], now[right]
            return one is not None and two is not None and one < two

        def at_least() -> bool:
            one, two = now[left], now[right]
            return one is not None and two is not None and one >= two

        def at_most() -> bool:
            one, two = now[left], now[right]
            return one is not None and two is not None and one <= two

        def crosses_above() -> bool:
            one, two = now[left], now[right]
            if one is None or two is None or one <= two:
                return False
            one, two = before[left], before[right]
            return one is not None and two is not None and one <= two

        def crosses_below() -> bool:
            one, two = now[left], now[right]
            if one is None or two is None or one >= two:
                return False
            one, two = before[left], before[right]
            return one is not None and two is not None and one >= two

        return {
            "above": above,
            "below": below,
            "at_least": at_least,
            "at_most": at_most,
            "crosses_above": crosses_above,
            "crosses_below": crosses_below,
        }[comparison.relation]


def _joined(group: Group, tests: list[Test]) -> Test:
    if group.kind == "not":
        return lambda: not tests[0]()
    if group.kind == "all":
        return lambda: all(test() for test in tests)
    return lambda: any(test() for test in tests)


def _never() -> bool:
    return False


def _ratio(bar: Bar, other: Bar) -> Bar:
    """Of closes alone: nobody asks for more of it."""
    ratio = bar.close / other.close
    return Bar(start=bar.start, open=ratio, high=ratio, low=ratio, close=ratio, volume=Decimal(0))


def _is_in(session: EntrySession, bar: Bar, length: timedelta) -> bool:
    end = (bar.start + length).astimezone(session.zone)
    if end.weekday() not in session.days:
        return False
    if session.opens is None or session.closes is None:
        return True
    at = end.time()
    if session.opens <= session.closes:
        return session.opens <= at < session.closes
    return at >= session.opens or at < session.closes
