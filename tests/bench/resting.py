"""``make bench-resting``: what orders cost that rest, on paper, SQLite, one account.

    python -m tests.bench.resting [--against REV] [--calls 20] [--seconds 180]

``get_orders`` with nothing resting and with 1,000 orders; a sweep of 10,000 with a new bar, by what paper tells of
changes and by one list, as other brokers are asked; and what the default instance does in a quiet minute with none and
with 10,000. ``--against`` measures that revision in the same run, with as many orders as it can look at in a sensible
time: its figures are of one order then.
"""

import argparse
import contextlib
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests import serving
from tests.bench import home as idle
from tests.bench import order, running

MANY_LISTED, MANY_SWEPT = 1_000, 10_000
OTHER_LISTED = OTHER_SWEPT = 100
"""Of the other revision: it asks about each order in turn."""
BOUNDS = {
    "get_orders, 1,000 resting to none": 3.0,
    "seconds of CPU of a sweep of 10,000": 2.0,
    "seconds of CPU of a sweep of 10,000 by list": 2.0,
    "seconds of CPU in a quiet minute, 10,000 resting less none": 0.05,
}
_SETTLED_SECONDS = 60.0
_SIDE = Path(__file__).with_name("resting_orders.py")
_APPLICATION = "console.asgi:application"
_LIMITS = {"TRADELATCH_CALLS_PER_MINUTE": running.VERY_MANY, "TRADELATCH_TRADE_CALLS_PER_MINUTE": running.VERY_MANY}


def _ran(home: Path, tree: Path, *arguments: str) -> list[float]:
    environment = serving.environment(home, 8000, **_LIMITS) | {"PYTHONPATH": str(tree)}
    command = [sys.executable, "-P", str(_SIDE), *arguments]  # beside it lies a console.py
    ran = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=1800, check=False)
    if ran.returncode:
        raise SystemExit(ran.stderr[-3000:])
    found: list[float] = json.loads(ran.stdout or "[]")
    return found


def _listing(home: Path, tree: Path, key: str, calls: int) -> float:
    """CPU milliseconds of one ``get_orders``."""
    with running.started("get_orders", _APPLICATION, home, key, tree, **_LIMITS) as server:
        caller = order.Caller(server)
        caller.call("get_orders", {})
        used = []
        for _ in range(calls):
            before = order._cpu(server.pid)
            caller.call("get_orders", {})
            used.append(order._cpu(server.pid) - before)
        return statistics.median(used) * 1e3


def _place(home: Path, tree: Path, key: str) -> None:
    """One that rests: the pattern of all others."""
    with running.started("place_order", _APPLICATION, home, key, tree, **_LIMITS) as server:
        caller = order.Caller(server)
        placed, _ = caller.call("place_order", order._RESTING)
        caller.call("confirm_trade", {"confirmation_id": placed["confirmation_id"]})


def _quiet(homes: Sequence[Path], tree: Path, seconds: float) -> list[float]:
    """Seconds of CPU in a minute, of each; side by side, so that whatever else the computer does hits all alike."""
    with contextlib.ExitStack() as instances:
        pids = [instances.enter_context(idle._started(tree, home))[0] for home in homes]
        time.sleep(_SETTLED_SECONDS)
        before, began = [idle._processor(pid) for pid in pids], time.monotonic()
        time.sleep(seconds)
        used = [idle._processor(pid) - earlier for pid, earlier in zip(pids, before, strict=True)]
        return [each * 60 / (time.monotonic() - began) for each in used]


@contextlib.contextmanager
def _prepared(folder: Path, tree: Path) -> Iterator[tuple[Path, str]]:
    home = folder / "home"
    yield home, running.prepared(home, tree, **_LIMITS)["paper_key_trade"]


def _measure(folder: Path, calls: int, seconds: float) -> dict[str, float]:
    tree = serving.REPOSITORY
    with _prepared(folder, tree) as (home, key):
        none = _listing(home, tree, key, calls)
        empty = folder / "empty"
        shutil.copytree(home, empty)
        _place(home, tree, key)
        _ran(home, tree, "grow", str(MANY_LISTED))
        many = _listing(home, tree, key, calls)
        _line(f"get_orders: {none:.1f} ms of CPU with none, {many:.1f} ms with {MANY_LISTED:,}")
        _ran(home, tree, "grow", str(MANY_SWEPT))
        told, listed = (statistics.median(_ran(home, tree, what, "3")) for what in ("sweep", "list"))
        _line(f"sweep of {MANY_SWEPT:,}: {told:.2f} s of CPU, by one list {listed:.2f} s")
        quiet, resting = _quiet([empty, home], tree, seconds)
        _line(f"quiet minute: {quiet:.2f} s of CPU with none, {resting:.2f} s with {MANY_SWEPT:,}")
    return dict(zip(BOUNDS, (many / none, told, listed, resting - quiet), strict=True))


def _measure_other(folder: Path, tree: Path, calls: int) -> None:
    with _prepared(folder, tree) as (home, key):
        none = _listing(home, tree, key, calls)
        _place(home, tree, key)
        _ran(home, tree, "grow", str(OTHER_LISTED))
        many = _listing(home, tree, key, 3)
        _line(
            f"  get_orders: {none:.1f} ms of CPU with none, {many:.1f} ms with {OTHER_LISTED}, {many / none:.1f} times"
        )
        swept = statistics.median(_ran(home, tree, "sweep", "3"))
        _line(f"  sweep of {OTHER_SWEPT}: {swept:.2f} s of CPU, {swept / OTHER_SWEPT * 1e3:.2f} ms an order")


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.resting", description=__doc__)
    parser.add_argument("--against", default="", metavar="REV", help="a revision of this repository to compare with")
    parser.add_argument("--calls", type=int, default=20, help="of get_orders")
    parser.add_argument("--seconds", type=float, default=180, help="of quiet")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder:
        if options.against:
            with running.revision(options.against) as tree:
                _line(f"{options.against}:")
                (Path(folder) / "other").mkdir()
                _measure_other(Path(folder) / "other", tree, options.calls)
        (Path(folder) / "this").mkdir()
        found = _measure(Path(folder) / "this", options.calls, options.seconds)
    for what, bound in BOUNDS.items():
        _line(f"{what}: {found[what]:.2f} (at most {bound:g})")
    if any(found[what] > bound for what, bound in BOUNDS.items()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
