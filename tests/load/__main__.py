"""``make load``: four processes of each kind, as deploy/ starts them, on PostgreSQL and Redis, through everything.

    python -m tests.load [--minutes 10] [--each 4] [--people 40] [--apps 200] [--seed 1]

Two hundred apps of forty people read, order, change and cancel at a fake broker that counts by client order id, while
keys are revoked, one process of each kind is killed, all are restarted one after another, Redis and PostgreSQL are
restarted. Then everything is counted: what each caller was answered, what the desk wrote, what the broker received. The
last lines are those counts; anything but 0 ends with 1.
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests import prepared, redis
from tests.load.fleet import KINDS, Fleet, Process
from tests.patience import at_most
from tests.postgres import Postgres
from tests.races import set_up
from tests.redis import Redis
from tests.serving import GENEROUS

if TYPE_CHECKING:
    from tests.load.people import People
    from tests.load.reckoning import Counts, Outage

POOL = 12
"""Of each process: what check --deploy asks of PostgreSQL is their number times this."""
RESTARTED_AFTER = 2.0
"""Seconds: RestartSec of the units."""
REDIS_AWAY = 3.0
RECOVERS_WITHIN = 6.0
"""Seconds after PostgreSQL or Redis is back until what they caused is over."""
_TRACEBACK_ENDS = re.compile(r"^(?!Traceback|During|The above)[A-Za-z_.]+(?:Error|Exception|Timeout|Refused)\b.*", re.M)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def broker_apart() -> Iterator[str]:
    """The fake broker's address."""
    command = [sys.executable, "-m", "tests.load.exchange"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def forget_sessions() -> None:
    """This process's own, which ended with the server."""
    from django.db import connection, connections

    connections.close_all()
    connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's has one


class Faults:
    """What goes wrong, in this order; each takes as long as it takes."""

    def __init__(self, fleet: Fleet, database: Postgres, cache: Redis) -> None:
        self.fleet, self.database, self.cache = fleet, database, cache
        self.outages: list[Outage] = []
        self.starts: dict[int, list[float]] = defaultdict(list)
        self.slowest_end = 0.0
        self._began = time.monotonic()

    @property
    def every(self) -> list[Callable[[], None]]:
        return [
            *(partial(self.kill, kind) for kind in KINDS),
            *(self.restart_redis, self.rolling_restart),
            *(partial(self.restart_database, how) for how in ("immediate", "fast")),
        ]

    @property
    def few(self) -> list[Callable[[], None]]:
        """Each kind of process killed, all at once, and each server restarted."""
        return [partial(self.kill, *KINDS), self.restart_redis, partial(self.restart_database, "immediate")]

    def kill(self, *kinds: str) -> None:
        """One of each; of schedulers the one that sends."""
        sender = self._sender()
        killed = [
            next((each for each in several if each.pid == sender), several[0]) for several in map(self.fleet.of, kinds)
        ]
        for each in killed:
            each.kill()
        time.sleep(RESTARTED_AFTER)
        self._start(*killed)
        names = ", ".join(each.name for each in killed)
        slowest = max(each.ready_after[-1] for each in killed)
        self._say(f"killed {names}; ready again {slowest:.0f} s after the start")

    def rolling_restart(self) -> None:
        for each in self.fleet.every:
            self.slowest_end = max(self.slowest_end, each.end())
            self._start(each)
        self._say(f"restarted one after another; the slowest took {self.slowest_end:.1f} s from SIGTERM to its end")

    def restart_redis(self) -> None:
        with self._outage():
            self.cache.stop()
            time.sleep(REDIS_AWAY)
            self.cache.start()
        self._say(f"Redis was away for {REDIS_AWAY:.0f} s, and all that it had is gone")

    def restart_database(self, how: Literal["immediate", "fast"]) -> None:
        with self._outage():
            self.database.restart(how)
            forget_sessions()
        self._say(f"PostgreSQL restarted, {how}")

    def _start(self, *several: Process) -> None:
        for each in several:
            each.launch()
        for each in several:
            each.wait()
            self.starts[each.port].append(each.started_at)

    def _sender(self) -> int:
        from console.operations.models import Lease

        holder = Lease.objects.values_list("holder", flat=True).first() or "::"
        return int(holder.split(":")[1] or 0)

    @contextlib.contextmanager
    def _outage(self) -> Iterator[None]:
        from tests.load.reckoning import Outage

        began = time.time()
        yield
        self.outages.append(Outage(began, time.time() + at_most(RECOVERS_WITHIN)))

    def _say(self, what: str) -> None:
        say(f"{time.monotonic() - self._began:6.0f} s  {what}")


def speeds(fleet: Fleet, people: "People", database: Postgres, seconds: float) -> None:
    """From one to two to four processes of ``/mcp``, which are started here."""
    from tests.load import speed

    say("Reads of the paper exchange, 64 keys of 8 people, 16 callers")
    say("processes  a second  ms of CPU a call, /mcp + PostgreSQL; cores in use")
    running: list[Process] = []
    for each in fleet.of("mcp"):
        each.launch()
        each.wait()
        running.append(each)
        if len(running) & (len(running) - 1):  # not a power of two
            continue
        pids = {"/mcp": [one.pid for one in running], "PostgreSQL": [database.pid]}
        ports = [one.port for one in running]
        speed.measure(ports, people.paper_keys, pids, 1)
        say(speed.measure(ports, people.paper_keys, pids, seconds).line)


def through_everything(
    fleet: Fleet, people: "People", database: Postgres, cache: Redis, chosen: argparse.Namespace
) -> "Counts":
    from tests.load import reckoning
    from tests.load.traffic import Traffic

    faults = Faults(fleet, database, cache)
    for each in fleet.every:
        faults.starts[each.port].append(each.started_at)
    seconds = chosen.minutes * 60
    traffic = Traffic(people.apps, fleet.ports, chosen.seed)
    used = 0
    with traffic.running(chosen.callers, revocations_every=seconds / 25):
        began = time.monotonic()
        waiting = faults.few if chosen.few else faults.every
        apart = seconds / (len(waiting) + 1)
        for place, fault in enumerate(waiting, start=1):
            time.sleep(max(0.0, began + place * apart - time.monotonic()))
            used = max(used, reckoning.sessions(database.url))
            fault()
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        took = time.monotonic() - began
    reckoning.settle()
    counts = reckoning.reckon(traffic, people.accounts, faults.outages, faults.starts)
    counts.lines.insert(0, f"{len(traffic.answers)} calls in {took:.0f} s, {len(traffic.answers) / took:.0f} a second")
    counts.lines.append(f"{used} sessions of PostgreSQL at most when looked")
    counts.lines.append(f"{faults.slowest_end:.1f} s from SIGTERM to the end of the slowest process")
    return counts


def tracebacks(logs: Sequence[Path]) -> Counter[str]:
    """The last lines of tracebacks in the processes' logs."""
    found: Counter[str] = Counter()
    for log in logs:
        found.update(line[:160] for line in _TRACEBACK_ENDS.findall(log.read_text(errors="replace")))
    return found


def run(chosen: argparse.Namespace) -> "Counts":
    with contextlib.ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="tl-load-")))
        broker = ending.enter_context(broker_apart())
        cache = ending.enter_context(redis.running())
        database = ending.enter_context(prepared.postgres_server())
        database.set(max_connections=4 * chosen.each * POOL + 20)
        database.restart("fast")
        ending.enter_context(set_up(folder / "home", database.url))
        from tests.load import people as making

        people = making.make(chosen.people, chosen.apps, broker)
        variables = GENEROUS | {
            "TRADELATCH_DATABASE_URL": database.url,
            "TRADELATCH_REDIS_URL": cache.url,
            "TRADELATCH_DATABASE_POOL": str(POOL),
            "TRADELATCH_SENDING_LEASE_SECONDS": "10",
        }
        fleet = Fleet(folder / "home", chosen.each, variables)
        if chosen.speed:
            try:
                speeds(fleet, people, database, chosen.speed)
            finally:
                for each in fleet.every:
                    each.kill()
        logs = [each.log for each in fleet.every]
        try:
            with fleet.running():
                say(f"{len(fleet.every)} processes are ready: {', '.join(each.name for each in fleet.every)}")
                counts = through_everything(fleet, people, database, cache, chosen)
        finally:
            if chosen.logs:
                chosen.logs.mkdir(parents=True, exist_ok=True)
                for log in logs:
                    (chosen.logs / log.name).write_bytes(log.read_bytes())
        counts.lines += [f"log, {count} times: {line}" for line, count in tracebacks(logs).most_common(20)]
        return counts


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    asked.add_argument("--minutes", type=float, default=10.0)
    asked.add_argument("--each", type=int, default=4, help="processes of each kind")
    asked.add_argument("--people", type=int, default=40)
    asked.add_argument("--apps", type=int, default=200)
    asked.add_argument("--callers", type=int, default=16)
    asked.add_argument("--speed", type=float, default=15.0, help="seconds for each line of the table; 0 leaves it out")
    asked.add_argument("--few", action="store_true", help="one kill of each kind, all at once; no rolling restart")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--logs", type=Path, help="a folder for what the processes wrote")
    chosen = asked.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # sixteen processes would each compile all of it
    counts = run(chosen)
    for line in counts.lines:
        say(line)
    for several in counts.wrong.values():
        for each in several[:20]:
            say(f"  {each}")
    for what, several in counts.wrong.items():
        say(f"{len(several)} {what}")
    if any(counts.wrong.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
