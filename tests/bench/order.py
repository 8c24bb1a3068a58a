"""``make bench-order``: what an order costs, in SQL statements, CPU and time, from the quote to its confirmation.

    python -m tests.bench.order [--against REV] [--rounds 5] [--calls 16]

On SQLite and on PostgreSQL, with one call and with eight at once. ``--against`` starts the same of another revision,
from a git worktree in a temporary folder, beside this one; the two are measured in turn, so that a busy moment of the
machine hits both. Each server is one uvicorn worker on one core, the load comes from another. Figures are of one call:
medians over the rounds, wall time the median of the calls. CPU is the web server's process, without the database
server's. An order is 1 share at the market, which fills at once; five orders rest meanwhile.
"""

import argparse
import contextlib
import http.client
import json
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests import postgres, serving
from tests.bench import running
from tests.bench.running import MODERN, VERY_MANY, Load, Server

AT_ONCE = (1, 8)
STATEMENTS = "/bench/statements"
"""Where ``counting_server`` tells how many there were."""
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
THIS, OTHER = "this", "other"
TOOLS = ("get_quote", "get_portfolio", "get_orders", "preview_order", "place_order", "confirm_trade")
WHOLE = "place + confirm"
_LIMITS = {
    "TRADELATCH_CALLS_PER_MINUTE": VERY_MANY,
    "TRADELATCH_TRADE_CALLS_PER_MINUTE": VERY_MANY,
    "PYTHONPATH": str(Path(__file__).parent),
}
_MARKET = {"symbol": "AAPL", "quantity": "1"}
_RESTING = {"symbol": "AAPL", "side": "BUY", "quantity": "1", "order_type": "LMT", "limit_price": "1", "tif": "GTC"}
_READS: dict[str, dict[str, Any]] = {
    "get_quote": {"symbols": ["AAPL"]},
    "get_portfolio": {},
    "get_orders": {},
    "preview_order": _MARKET | {"side": "BUY"},
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one call."""

    statements: float
    cpu: float
    """Milliseconds of the server's process."""
    wall: float
    """Milliseconds until the answer, the median."""


class Caller:
    """Calls tools of one server, with a kept connection for each thread."""

    def __init__(self, server: Server) -> None:
        self._server, self._here = server, threading.local()
        self._address = urlsplit(server.url)

    @property
    def _line(self) -> http.client.HTTPConnection:
        if not hasattr(self._here, "line"):
            self._here.line = http.client.HTTPConnection(str(self._address.hostname), self._address.port, timeout=120)
        line: http.client.HTTPConnection = self._here.line
        return line

    def call(self, tool: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """What it answers, and the seconds it took. Raises SystemExit when it is refused."""
        load = Load(tool, MODERN, "tools/call", {"name": tool, "arguments": arguments}, "")
        began = time.perf_counter()
        self._line.request("POST", self._address.path, load.body(), load.headers(self._server.key))
        answer = json.loads(self._line.getresponse().read())
        took = time.perf_counter() - began
        if "result" not in answer or answer["result"]["isError"]:
            raise SystemExit(f"{tool} of {self._server.name} was refused: {answer}")
        content: dict[str, Any] = answer["result"]["structuredContent"]
        return content, took

    def measure(self, tool: str, calls: Sequence[dict[str, Any]], at_once: int) -> tuple[Cost, list[dict[str, Any]]]:
        """The cost of each of these calls, and their answers in the same order."""
        with ThreadPoolExecutor(at_once) as threads:
            statements, cpu = self._statements(), _cpu(self._server.pid)
            answers = list(threads.map(lambda arguments: self.call(tool, arguments), calls))
            cpu, statements = _cpu(self._server.pid) - cpu, self._statements() - statements
        cost = Cost(
            statements / len(calls), cpu / len(calls) * 1e3, statistics.median(took for _, took in answers) * 1e3
        )
        return cost, [content for content, _ in answers]

    def _statements(self) -> int:
        # On a connection of its own: the server closes one that was idle for some seconds.
        with urllib.request.urlopen(f"http://{self._address.netloc}{STATEMENTS}", timeout=30) as answer:
            return int(answer.read())


def _cpu(pid: int) -> float:
    """Seconds that all threads of a process have used, those that ended too: its clock (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def _round(caller: Caller, number: int, calls: int, at_once: int) -> dict[str, Cost]:
    """Every tool once; what one round buys the next sells."""
    found = {}
    for tool, arguments in _READS.items():
        found[tool], _ = caller.measure(tool, [arguments] * calls, at_once)
    order = _MARKET | {"side": "SELL" if number % 2 else "BUY"}
    found["place_order"], placed = caller.measure("place_order", [order] * calls, at_once)
    ids = [{"confirmation_id": each["confirmation_id"]} for each in placed]
    found["confirm_trade"], done = caller.measure("confirm_trade", ids, at_once)
    if any(each["status"] != "filled" for each in done):
        raise SystemExit(f"Not every order filled: {done}")
    return found


def _prepare(caller: Caller) -> None:
    """A position, and five orders that rest."""
    orders = [_MARKET | {"side": "BUY"}, *[_RESTING] * 5]
    _, placed = caller.measure("place_order", orders, 1)
    caller.measure("confirm_trade", [{"confirmation_id": each["confirmation_id"]} for each in placed], 1)


@contextlib.contextmanager
def _servers(against: str, folder: Path) -> Iterator[dict[tuple[str, str], Server]]:
    with contextlib.ExitStack() as stack:
        trees = {THIS: serving.REPOSITORY}
        if against:
            trees[OTHER] = stack.enter_context(running.revision(against))
        found = {}
        for whose, tree in trees.items():
            for database in (SQLITE, POSTGRESQL):
                home, variables = folder / f"{whose}-{database}".lower(), dict(_LIMITS)
                if database == POSTGRESQL:
                    variables["TRADELATCH_DATABASE_URL"] = stack.enter_context(postgres.running())
                key = running.prepared(home, tree, **variables)["paper_key_trade"]
                name = f"{whose}, {database}"
                found[database, whose] = stack.enter_context(
                    running.started(name, "counting_server:application", home, key, tree, **variables)
                )
        yield found


def _compare(against: str, rounds: int, calls: int) -> None:
    costs: dict[tuple[str, int, str, str], list[Cost]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder, _servers(against, Path(folder)) as servers:
        callers = {which: Caller(server) for which, server in servers.items()}
        for caller in callers.values():
            _prepare(caller)
            _round(caller, 0, 2, 2)
            _round(caller, 1, 2, 2)
        for number in range(2 * rounds):  # a round buys, the next one sells
            for at_once in AT_ONCE:
                turn = list(callers.items())[:: -1 if number // 2 % 2 else 1]
                for (database, whose), caller in turn:
                    for tool, cost in _round(caller, number, calls, at_once).items():
                        costs[database, at_once, tool, whose].append(cost)
    _write(costs, bool(against))


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(*(statistics.median(getattr(each, name) for each in costs) for name in Cost.__slots__))


def _write(costs: dict[tuple[str, int, str, str], list[Cost]], against: bool) -> None:
    sides = (THIS, OTHER) if against else (THIS,)
    worst = 0.0
    for database in (SQLITE, POSTGRESQL):
        for at_once in AT_ONCE:
            heads = "".join(
                f"{f'{what} {side}':>18}" for what in ("statements", "CPU ms", "wall ms") for side in sides
            ) + ("     CPU x  wall x" if against else "")
            _line(f"{f'{database}, {at_once} at once':24}{heads}")
            for tool in (*TOOLS, WHOLE):
                each = [_whole(costs, database, at_once, tool, side) for side in sides]
                row = "".join(f"{cost.statements:18.1f}" for cost in each)
                row += "".join(f"{cost.cpu:18.2f}" for cost in each) + "".join(f"{cost.wall:18.2f}" for cost in each)
                if against:
                    row += f"{each[0].cpu / each[1].cpu:10.2f}{each[0].wall / each[1].wall:8.2f}"
                if tool == WHOLE:
                    worst = max(worst, each[0].cpu / each[1].cpu if against else each[0].cpu)
                _line(f"{tool:24}{row}")
            _line("")
    _line(f"order CPU ratio: {worst:.2f}" if against else f"order CPU: {worst:.2f} ms")


def _whole(
    costs: dict[tuple[str, int, str, str], list[Cost]], database: str, at_once: int, tool: str, side: str
) -> Cost:
    parts = ("place_order", "confirm_trade") if tool == WHOLE else (tool,)
    each = [_median(costs[database, at_once, part, side]) for part in parts]
    return Cost(*(sum(getattr(one, name) for one in each) for name in Cost.__slots__))


def _line(text: str) -> None:
    sys.stdout.write(f"{text.rstrip()}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.order", description=__doc__)
    parser.add_argument("--against", default="", metavar="REV", help="a revision of this repository to compare with")
    parser.add_argument("--rounds", type=int, default=5, help="of a purchase and a sale each")
    parser.add_argument("--calls", type=int, default=16, help="of each tool in one round")
    options = parser.parse_args()
    os.sched_setaffinity(0, running.LOAD_CPU)
    # So that whoever ends it finds no server and no worktree left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _compare(options.against, options.rounds, options.calls)


if __name__ == "__main__":
    main()
