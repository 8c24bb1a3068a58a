"""A run of pytest that goes through a broker's tests once to see what each sends, then spoils one field after another.

For each mutation the tests that send this field are run until one fails: those that noticed most, and the quick ones,
first. A mutation that every test passes has survived.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.mutations.bodies import DROPPED, Field, Kind, changed, leaves, other_type, other_value
from tests.mutations.wires import WIRES


@dataclass(frozen=True, slots=True)
class Mutation:
    field: Field
    kind: Kind


@dataclass
class Spoiler:
    """Called with each body. Notes its fields, and spoils the one it is told to."""

    wanted: Mutation | None = None
    hits: int = 0
    fields: set[Field] = field(default_factory=set)
    """Of the test that runs."""
    seen: dict[Field, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Values of each field in any test."""
    typed: dict[Field, bool] = field(default_factory=lambda: defaultdict(bool))
    """Whether it has another type to be spoiled into."""

    def __call__(self, call: str, body: Any) -> Any:
        for name, value in leaves(body):
            self.fields.add(Field(call, name))
            if self.wanted is None:
                self.seen[Field(call, name)].add(str(getattr(value, "value", value)))
                self.typed[Field(call, name)] |= other_type(value) is not DROPPED
        if self.wanted is None or self.wanted.field.call != call:
            return body
        return changed(body, self.wanted.field.name, self._make)

    def _make(self, value: Any) -> Any:
        wanted = self.wanted
        assert wanted is not None
        match wanted.kind:
            case Kind.DROP:
                made = DROPPED
            case Kind.VALUE:
                made = other_value(value, frozenset(self.seen[wanted.field]))
            case Kind.TYPE:
                made = other_type(value)
                made = value if made is DROPPED else made
        self.hits += made is not value
        return made


@dataclass
class _AnyOther:
    """Told to pytest as the test after this one: it shares the session alone."""

    session: pytest.Session
    path: Path

    def listchain(self) -> list[pytest.Session]:
        return [self.session]


@dataclass
class Plugin:
    broker: str
    spoiler: Spoiler = field(default_factory=Spoiler)
    items: list[pytest.Item] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    noticed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    survivors: list[Mutation] = field(default_factory=list)
    fields: int = 0
    mutations: int = 0
    failed_before: list[str] = field(default_factory=list)
    only: str = ""
    """A part of the names of the fields to try; empty for all."""

    def pytest_configure(self) -> None:
        WIRES[self.broker].install(self.spoiler)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [each for each in items if self._is_of_this_broker(each)]

    def _is_of_this_broker(self, item: pytest.Item) -> bool:
        if item.path.name in _SLOW or item.get_closest_marker("server"):
            return False
        given = getattr(item, "callspec", None)
        named = set(re.split("[-_]", item.name.replace("kraken_futures", "krakenfutures").partition("[")[0]))
        named |= set(given.id.split("-")) if given else set()
        named |= {getattr(each, "name", None) for each in given.params.values()} if given else set()
        others = named & (set(WIRES) | {"template"})
        return not others or self.broker in others

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = list(session.items)
        touching = self._recorded()
        self.fields = len(touching)
        for each in sorted(touching):
            if self.only not in f"{each.call} {each.name}":
                continue
            for kind in self._kinds(each):
                self.mutations += 1
                mutation = Mutation(each, kind)
                began = time.monotonic()
                by = self._who_notices(mutation, touching[each])
                if not by:
                    self.survivors.append(mutation)
                self._say(mutation, by, time.monotonic() - began)
        session.testsfailed = 0
        return True

    def _say(self, mutation: Mutation, by: str, seconds: float) -> None:
        words = f"noticed by {by.rpartition('/')[2]}" if by else "SURVIVED"
        line = f"  {mutation.field.call:34} {mutation.field.name:44} {mutation.kind:14} {words} ({seconds:.1f} s)"
        print(line, flush=True)  # noqa: T201

    def _recorded(self) -> dict[Field, list[pytest.Item]]:
        touching = defaultdict(list)
        for item in self.items:
            self.spoiler.fields.clear()
            began = time.monotonic()
            passed = self._passes(item)
            self.seconds[item.nodeid] = time.monotonic() - began
            if not passed:
                self.failed_before.append(item.nodeid)
            if not passed or self.seconds[item.nodeid] > _QUICK:
                continue
            for each in self.spoiler.fields:
                touching[each].append(item)
        return touching

    def _kinds(self, each: Field) -> Iterator[Kind]:
        """An empty place of a message can only be filled, and the id in a path has no type."""
        holds = self.spoiler.seen[each]
        if holds - {"", "None"}:
            yield Kind.DROP
        yield Kind.VALUE
        if WIRES[self.broker].types and not each.name.startswith("(path)") and self.spoiler.typed[each]:
            yield Kind.TYPE

    def _who_notices(self, mutation: Mutation, tests: list[pytest.Item]) -> str:
        """The id of a test; empty where there is none."""
        tests = sorted(tests, key=self._turn)
        with self._spoiling(mutation):
            for item in tests:
                self.spoiler.hits = 0
                if not self._passes(item) and self.spoiler.hits:
                    self.noticed[item.nodeid] += 1
                    return item.nodeid
        return ""

    def _turn(self, item: pytest.Item) -> tuple[int, bool, float]:
        """First those that noticed most, then those that compare whole bodies, then the quick ones."""
        whole = item.path.name == "test_order_bodies.py"
        return -self.noticed[item.nodeid], not whole, self.seconds[item.nodeid]

    @contextmanager
    def _spoiling(self, mutation: Mutation) -> Iterator[None]:
        self.spoiler.wanted = mutation
        try:
            yield
        finally:
            self.spoiler.wanted = None

    def _passes(self, item: pytest.Item) -> bool:
        """With its fixtures made anew, but for those of the session."""
        item._initrequest()  # type: ignore[attr-defined]
        reports = runtestprotocol(item, log=False, nextitem=_AnyOther(item.session, item.path))  # type: ignore[arg-type]
        return all(each.passed for each in reports)


_SLOW = frozenset(
    (
        *("test_faults.py", "test_call_deadline.py", "test_call_queue.py", "test_ccxt_loading.py"),
        *("test_books_balance.py", "test_books_of_every_kind.py", "test_differential_fills.py"),
        *("test_another_engine.py", "test_latency.py", "test_live_prices.py", "test_live_venues.py"),
    )
)
"""What breaks the wire on purpose, goes through thousands of orders, or makes none."""
_QUICK = 5.0
"""Seconds: a test that takes longer is not asked."""
