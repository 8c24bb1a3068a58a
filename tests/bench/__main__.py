"""``make bench``: what a guarded call costs, in ratios to the SDK's own server without any guard.

Every server runs in one uvicorn worker on one core, wrk on another. The cases are interleaved, so that a busy moment
of the machine hits all alike, and medians over the rounds are printed. CPU is the server's processes', without the
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

from tests import postgres, serving
from tests.bench import growth, running
from tests.bench.running import ECHO, LEGACY, LOADS, MODERN, Load, Measured, Server, measure

CONCURRENCIES = (1, 16, 64)
ECHO_NAME, BARE, SQLITE, POSTGRESQL = "raw ASGI echo", "bare SDK server", "Tradelatch, SQLite", "Tradelatch, PostgreSQL"
OTHERS = {SQLITE: "other, SQLite", POSTGRESQL: "other, PostgreSQL"}
"""Of the revision that this build is compared with."""


@contextlib.contextmanager
def _servers(folder: Path, against: str) -> Iterator[list[Server]]:
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        servers = [
            enter(running.started(ECHO_NAME, "tests.bench.floor:echo", folder / "echo")),
            enter(running.started(BARE, "tests.bench.floor:bare", folder / "bare")),
        ]
        trees = {"": serving.REPOSITORY}
        if against:
            trees["other-"] = enter(running.revision(against))
        for whose, tree in trees.items():
            for database, home in ((SQLITE, folder / f"{whose}sqlite"), (POSTGRESQL, folder / f"{whose}postgresql")):
                variables = dict(running.LIMITS)
                if database == POSTGRESQL:
                    variables["TRADELATCH_DATABASE_URL"] = enter(postgres.running())
                key = running.prepared(home, tree, **variables)["paper_key_read"]
                name = OTHERS[database] if whose else database
                servers.append(enter(running.started(name, "console.asgi:application", home, key, tree, **variables)))
        yield servers


def _cases(servers: list[Server]) -> list[tuple[Server, Load]]:
    echo, *others = servers
    return [(echo, ECHO), *((server, load) for load in LOADS.values() for server in others)]


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _compare(rounds: int, seconds: float, against: str) -> None:
    found: dict[tuple[str, str, str, int], list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder, _servers(Path(folder), against) as servers:
        cases = _cases(servers)
        for server, load in cases:
            measure(server, load, 4, 1)
        for _ in range(rounds):
            for concurrency in CONCURRENCIES:
                for server, load in cases:
                    one = measure(server, load, concurrency, seconds)
                    found[server.name, load.name, load.era, concurrency].append(one)
        _check_the_journal(Path(folder) / "sqlite", found)

    def cpu(*case: object) -> float:
        return statistics.median(one.cpu for one in found[case])  # type: ignore[index]

    def speed(*case: object) -> float:
        return statistics.median(one.per_second for one in found[case])  # type: ignore[index]

    write(
        f"{'':24}{'':12}{'':12}{'wrk':>4}{'req/s':>9}{'CPU us':>9}{'p50 us':>9}{'CPU x bare':>12}{'req/s x bare':>14}"
    )
    for (server_name, what, era, concurrency), measured in found.items():
        base = (BARE, "get_quote" if what == "echo" else what, era, concurrency)
        case = (server_name, what, era, concurrency)
        write(
            f"{server_name:24}{what:12}{era:12}{concurrency:4}{speed(*case):9.0f}{cpu(*case):9.0f}"
            f"{statistics.median(one.median for one in measured):9.0f}"
            f"{cpu(*case) / cpu(*base):12.2f}{speed(*case) / speed(*base):14.2f}"
        )
    if against:
        for database, other in OTHERS.items():
            for era in (MODERN, LEGACY):
                ratios = [
                    cpu(database, "get_quote", era, each) / cpu(other, "get_quote", era, each) for each in CONCURRENCIES
                ]
                shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
                write(f"{database}, {era}: CPU of get_quote against {against} at {CONCURRENCIES}: {shown}")
    write("synchronous=FULL on SQLite; each call authenticated, counted and in the journal before its answer left.")
    for name, era in ((POSTGRESQL, MODERN), (POSTGRESQL, LEGACY), (SQLITE, LEGACY), (SQLITE, MODERN)):
        quote = ("get_quote", era, 16)
        write(f"{name}, {era}, 16 connections: req/s ratio {speed(name, *quote) / speed(BARE, *quote):.2f}")
        if (name, era) != (SQLITE, MODERN):
            write(f"{name}, {era}, 16 connections: CPU ratio {cpu(name, *quote) / cpu(BARE, *quote):.2f}")
    write(f"CPU ratio: {cpu(SQLITE, 'get_quote', MODERN, 16) / cpu(BARE, 'get_quote', MODERN, 16):.2f}")


def _check_the_journal(home: Path, found: dict[tuple[str, str, str, int], list[Measured]]) -> None:
    """Every call that was answered has its row."""
    calls = sum(
        one.requests
        for (name, what, *_), all_ in found.items()
        for one in all_
        if (name, what) == (SQLITE, "get_quote")
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
    options = parser.parse_args()
    if options.growth:
        growth.run(options.rounds, options.seconds)
    else:
        _compare(options.rounds, options.seconds, options.against)


if __name__ == "__main__":
    main()
