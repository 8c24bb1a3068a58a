"""``make bench``: what a guarded call costs, in ratios to the SDK's own server without any guard.

With one caller, and with 64 keys of 8 people in turn; the cost of those has bounds, and above one the exit code is 1.
Every server runs in one uvicorn worker on one core, wrk on another. The cases are interleaved, so that a busy moment of
the machine hits all alike, and medians over the rounds are printed. CPU is the server's processes', without the
database server's. Of a ratio, below 1 is better for CPU, above 1 for req/s.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests import postgres, serving
from tests.bench import growth, running
from tests.bench.running import ECHO, LEGACY, LOADS, MANY, MODERN, Load, Measured, Server, measure

CONCURRENCIES = (1, 16, 64)
ECHO_NAME, BARE, SQLITE, POSTGRESQL = "raw ASGI echo", "bare SDK server", "Tradelatch, SQLite", "Tradelatch, PostgreSQL"
ONE, SEVERAL = "one", "many"
OTHERS = {SQLITE: "other, SQLite", POSTGRESQL: "other, PostgreSQL"}
"""Of the revision that this build is compared with."""
BOUNDS = {SQLITE: 0.8, POSTGRESQL: 1.1}
"""CPU of a call of many callers against the bare server's, with several calls at once."""
ALONE = 1.5
"""The same with one call at a time."""


class Case(NamedTuple):
    server: str
    what: str
    era: str
    keys: int
    at_once: int


@contextlib.contextmanager
def _servers(folder: Path, against: str) -> Iterator[list[Server]]:
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        trees = {"": serving.REPOSITORY}
        if against:
            trees["other-"] = enter(running.revision(against))
        guarded = []
        for whose, tree in trees.items():
            for database, home in ((SQLITE, folder / f"{whose}sqlite"), (POSTGRESQL, folder / f"{whose}postgresql")):
                variables = dict(running.LIMITS)
                if database == POSTGRESQL:
                    variables["TRADELATCH_DATABASE_URL"] = enter(postgres.running())
                key = running.prepared(home, tree, **variables)["paper_key_read"]
                keys = tuple(running.many_keys(home, tree, **variables))
                name = OTHERS[database] if whose else database
                server = running.started(name, "console.asgi:application", home, key, tree, keys, **variables)
                guarded.append(enter(server))
        yield [
            enter(running.started(ECHO_NAME, "tests.bench.floor:echo", folder / "echo")),
            # Any keys: it reads as many bytes, and looks at none of them.
            enter(running.started(BARE, "tests.bench.floor:bare", folder / "bare", "", serving.REPOSITORY, keys)),
            *guarded,
        ]


def _cases(servers: list[Server], only: str) -> list[tuple[Server, Load]]:
    echo, *others = servers
    loads = [load for load in (*LOADS.values(), *MANY.values()) if only in ("", _callers(load.keys))]
    cases = [(server, load) for load in loads for server in others]
    return cases if only == SEVERAL else [(echo, ECHO), *cases]


def _callers(keys: int) -> str:
    return ONE if keys == 1 else SEVERAL


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


class _Found:
    """What was measured, by case."""

    def __init__(self) -> None:
        self.by_case: dict[Case, list[Measured]] = defaultdict(list)

    def cpu(self, case: Case) -> float:
        return statistics.median(one.cpu for one in self.by_case[case])

    def speed(self, case: Case) -> float:
        return statistics.median(one.per_second for one in self.by_case[case])

    def delay(self, case: Case) -> float:
        return statistics.median(one.median for one in self.by_case[case])

    def cpu_ratio(self, case: Case, to: str = BARE) -> float:
        return self.cpu(case) / self.cpu(_same(case, to))

    def speed_ratio(self, case: Case) -> float:
        return self.speed(case) / self.speed(_same(case, BARE))


def _same(case: Case, server: str) -> Case:
    return case._replace(server=server, what="get_quote" if case.what == ECHO.name else case.what)


def _compare(rounds: int, seconds: float, against: str, only: str) -> None:
    found = _Found()
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder, _servers(Path(folder), against) as servers:
        cases = _cases(servers, only)
        for server, load in cases:
            measure(server, load, 4, 1)
        for _ in range(rounds):
            for at_once in CONCURRENCIES:
                for server, load in cases:
                    case = Case(server.name, load.name, load.era, load.keys, at_once)
                    found.by_case[case].append(measure(server, load, at_once, seconds))
        _check_the_journal(Path(folder) / "sqlite", found)
    _show(found)
    if against:
        _show_against(found, against, only)
    write("synchronous=FULL on SQLite; each call authenticated, counted and in the journal before its answer left.")
    if only != SEVERAL:
        _show_one(found)
    passed = [] if only == ONE else _show_many(found)
    if only != SEVERAL:
        write(f"CPU ratio: {found.cpu_ratio(Case(SQLITE, 'get_quote', MODERN, 1, 16)):.2f}")
    if passed:
        raise SystemExit(f"Above their bounds: {', '.join(passed)}.")


def _show(found: _Found) -> None:
    write(
        f"{'':24}{'':12}{'':12}{'keys':>4}{'wrk':>4}{'req/s':>9}{'CPU us':>9}{'p50 us':>9}{'CPU x bare':>12}"
        f"{'req/s x bare':>14}"
    )
    for case in found.by_case:
        base = _same(case, BARE)
        write(
            f"{case.server:24}{case.what:12}{case.era:12}{case.keys:4}{case.at_once:4}"
            f"{found.speed(case):9.0f}{found.cpu(case):9.0f}{found.delay(case):9.0f}"
            f"{found.cpu(case) / found.cpu(base):12.2f}{found.speed(case) / found.speed(base):14.2f}"
        )


def _show_one(found: _Found) -> None:
    for name, era in ((POSTGRESQL, MODERN), (POSTGRESQL, LEGACY), (SQLITE, LEGACY), (SQLITE, MODERN)):
        quote = Case(name, "get_quote", era, 1, 16)
        write(f"{name}, {era}, 16 connections: req/s ratio {found.speed_ratio(quote):.2f}")
        if (name, era) != (SQLITE, MODERN):
            write(f"{name}, {era}, 16 connections: CPU ratio {found.cpu_ratio(quote):.2f}")


def _show_against(found: _Found, against: str, only: str) -> None:
    for database, other in OTHERS.items():
        for era in (MODERN, LEGACY):
            for keys in (1, MANY[era].keys):
                if only not in ("", _callers(keys)):
                    continue
                ratios = [
                    found.cpu_ratio(Case(database, "get_quote", era, keys, each), other) for each in CONCURRENCIES
                ]
                shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
                write(f"{database}, {era}, keys {keys}: CPU of get_quote against {against}, {CONCURRENCIES}: {shown}")


def _show_many(found: _Found) -> list[str]:
    """The ratios of many callers beside their bounds; those that are above."""
    passed = []
    for name, bound in BOUNDS.items():
        for era, load in MANY.items():
            for at_once in CONCURRENCIES:
                ratio, most = found.cpu_ratio(Case(name, load.name, era, load.keys, at_once)), bound
                if at_once == 1:
                    most = ALONE
                told = f"{name}, {era}, {load.keys} keys, {at_once} at once: CPU ratio {ratio:.2f}, at most {most}"
                write(told)
                if ratio > most:
                    passed.append(told)
    return passed


def _check_the_journal(home: Path, found: _Found) -> None:
    """Every call that was answered has its row."""
    calls = sum(
        one.requests
        for case, all_ in found.by_case.items()
        for one in all_
        if (case.server, case.what) == (SQLITE, "get_quote")
    )
    rows = growth.count_calls(home)
    if rows < calls:
        raise SystemExit(f"{calls} calls were answered, and only {rows} are in the journal.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument("--growth", action="store_true", help="does the cost grow with apps and with the journal?")
    parser.add_argument("--against", default="", metavar="REV", help="a revision of this repository to compare with")
    parser.add_argument("--only", default="", choices=(ONE, SEVERAL), help="the cases of one key, or those of 64 keys")
    options = parser.parse_args()
    if options.growth:
        growth.run(options.rounds, options.seconds)
    else:
        _compare(options.rounds, options.seconds, options.against, options.only)


if __name__ == "__main__":
    main()
