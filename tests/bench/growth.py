"""Does a call cost more on an instance that is full? 1 connected app or 10,000, an empty journal or 1,000,000 rows."""

import contextlib
import sqlite3
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import running
from tests.bench.running import LOADS, MODERN, Measured, Server, measure

APPS = 10_000
CALLS = 1_000_000
BOUND = 1.1
_EMPTY, _APPS, _CALLS = "1 app, empty journal", f"{APPS:,} apps, each with a key", f"{CALLS:,} rows in the journal"


def count_calls(home: Path) -> int:
    with contextlib.closing(sqlite3.connect(home / "tradelatch.sqlite3", timeout=20)) as connection:
        found: int = connection.execute("SELECT count(*) FROM audit_call").fetchone()[0]
    return found


def _copy_rows(connection: sqlite3.Connection, table: str, count: int, **differing: str) -> None:
    """``count`` more rows like the first one; ``differing``: columns by an expression of ``n.i``, 1 to ``count``."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "id"]
    values = ", ".join(differing.get(column, f"t.{column}") for column in columns)
    connection.execute(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "  # noqa: S608
        f"INSERT INTO {table} ({', '.join(columns)}) "
        f"SELECT {values} FROM n, (SELECT * FROM {table} ORDER BY id LIMIT 1) t"
    )


def _fill_apps(connection: sqlite3.Connection) -> None:
    last = connection.execute("SELECT max(id) FROM connected_apps_connectedapp").fetchone()[0]
    _copy_rows(connection, "connected_apps_connectedapp", APPS)
    _copy_rows(
        connection,
        "keys_apikey",
        APPS,
        app_id=f"{last} + n.i",
        public_id="printf('g%07d', n.i)",
        digest="hex(randomblob(32))",
    )


def _fill_calls(connection: sqlite3.Connection) -> None:
    _copy_rows(
        connection,
        "audit_call",
        CALLS,
        request_id="printf('req_%026d', n.i)",
        user_id="n.i % 100",
        app_id="n.i % 1000",
        credential_id="printf('g%07d', n.i % 1000)",
    )


@contextlib.contextmanager
def _servers(folder: Path) -> Iterator[list[Server]]:
    with contextlib.ExitStack() as stack:
        found = []
        fills: list[tuple[str, Callable[[sqlite3.Connection], None] | None]] = [
            (_EMPTY, None),
            (_APPS, _fill_apps),
            (_CALLS, _fill_calls),
        ]
        for place, (name, fill) in enumerate(fills):
            home = folder / str(place)
            key = running.prepared(home)["paper_key_read"]
            server = stack.enter_context(running.started(name, "console.asgi:application", home, key, **running.LIMITS))
            measure(server, LOADS["get_quote", MODERN], 4, 1)
            if fill is not None:
                with contextlib.closing(sqlite3.connect(home / "tradelatch.sqlite3", timeout=60)) as connection:
                    fill(connection)
                    connection.commit()
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            found.append(server)
        yield found


def run(rounds: int, seconds: float) -> None:
    """Print the ratios to the empty instance. Raises SystemExit where one is above the bound."""
    found: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder, _servers(Path(folder)) as servers:
        for _ in range(rounds):
            for what in ("get_quote", "tools/list"):
                for server in servers:
                    found[server.name, what].append(measure(server, LOADS[what, MODERN], 16, seconds))
    worst = 0.0
    for (name, what), measured in found.items():
        cpu = statistics.median(one.cpu for one in measured)
        ratio = cpu / statistics.median(one.cpu for one in found[_EMPTY, what])
        worst = max(worst, ratio)
        sys.stdout.write(f"{name:34}{what:12}{cpu:7.0f} us CPU a request, {ratio:.2f} x\n")
    sys.stdout.write(f"Worst growth: {worst:.2f}\n")
    if worst > BOUND:
        raise SystemExit(f"Cost grows: more than {BOUND} x.")
