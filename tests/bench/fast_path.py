"""``make bench-fast-path``: what each piece of the fast path of ``/mcp`` gains.

    python -m tests.bench.fast_path [--rounds 3] [--seconds 1]

The same reads with everything, then without one piece at a time, then through the SDK alone; the servers are measured
in turn, each one uvicorn worker on one core. A gain is the figure without the piece over that with everything: above 1
the piece pays for itself in CPU, below 1 in requests a second.
"""

import argparse
import contextlib
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from tests import postgres
from tests.bench import running
from tests.bench.__main__ import write
from tests.bench.running import LOADS, MODERN, Measured, measure

PIECES = {
    "": "everything",
    "threads": "without own threads (and what they share)",
    "shared": "without shared look-ups",
    "group": "without group commit",
    "answers": "without hand-built answers",
    "all": "through the SDK alone",
}
AT_ONCE = (1, 16, 64)
_LOAD = LOADS["get_quote", MODERN]


def _measure(database: str, url: str, rounds: int, seconds: float) -> None:
    found: dict[tuple[str, int], list[Measured]] = defaultdict(list)
    variables = running.LIMITS | ({"TRADELATCH_DATABASE_URL": url} if url else {})
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder, contextlib.ExitStack() as stack:
        home = Path(folder) / "home"
        key = running.prepared(home, **variables)["paper_key_read"]
        servers = {
            piece: stack.enter_context(
                running.started(
                    words, "tests.bench.partial_server:application", home, key, BENCH_WITHOUT=piece, **variables
                )
            )
            for piece, words in PIECES.items()
        }
        for server in servers.values():
            measure(server, _LOAD, 4, 1)
        for _ in range(rounds):
            for at_once in AT_ONCE:
                for piece, server in servers.items():
                    found[piece, at_once].append(measure(server, _LOAD, at_once, seconds))
    write(f"{database:44}{'at once':>8}{'CPU us':>9}{'req/s':>9}{'p50 us':>9}{'CPU gain':>10}{'req/s gain':>12}")
    for at_once in AT_ONCE:
        for piece, words in PIECES.items():
            cpu, speed, median = (
                statistics.median(getattr(one, name) for one in found[piece, at_once])
                for name in ("cpu", "per_second", "median")
            )
            whole = found["", at_once]
            write(
                f"{words:44}{at_once:8}{cpu:9.0f}{speed:9.0f}{median:9.0f}"
                f"{cpu / statistics.median(one.cpu for one in whole):10.2f}"
                f"{speed / statistics.median(one.per_second for one in whole):12.2f}"
            )
    write("")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fast_path", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    options = parser.parse_args()
    _measure("SQLite", "", options.rounds, options.seconds)
    with postgres.running() as url:
        _measure("PostgreSQL", url, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
