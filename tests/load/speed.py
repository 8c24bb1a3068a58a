"""How many reads a second one, two and four processes of ``/mcp`` answer, and what bound them."""

import http.client
import itertools
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.running import MODERN, QUOTE, Load, cpu_seconds
from tests.patience import at_most

CALLERS = 16
_TICK = os.sysconf("SC_CLK_TCK")
_LOAD = Load("get_quote", MODERN, "tools/call", QUOTE, '"isError":false')


@dataclass(frozen=True, slots=True)
class Speed:
    processes: int
    per_second: float
    busy: Mapping[str, float]
    """Cores in use, by who used them."""

    @property
    def line(self) -> str:
        cores = os.cpu_count() or 1
        shares = ", ".join(
            f"{name} {share:.2f}" for name, share in sorted(self.busy.items(), key=lambda item: -item[1])
        )
        used = sum(self.busy.values())
        most = max(self.busy, key=lambda name: self.busy[name])
        bound = f"the {cores} cores, most of them by {most}" if used > 0.9 * cores else f"one core of {most}"
        cost = {name: self.busy[name] / self.per_second * 1000 for name in ("/mcp", "PostgreSQL")}
        per_call = " + ".join(f"{each:.1f}" for each in cost.values())
        return f"{self.processes:9} {self.per_second:9.0f} {per_call:>12}   {shares}; bound by {bound}"


def measure(ports: Sequence[int], keys: Sequence[str], pids: Mapping[str, Sequence[int]], seconds: float) -> Speed:
    """Sixteen callers over all ``ports``, each call with the next key. ``pids``: by name, whose time is taken."""
    over = time.monotonic() + seconds
    done = [0] * CALLERS
    body = _LOAD.body()
    turns = itertools.count()

    def ask(place: int) -> None:
        line = http.client.HTTPConnection("localhost", ports[place % len(ports)], timeout=at_most(30))
        while time.monotonic() < over:
            line.request("POST", "/mcp", body, _LOAD.headers(keys[next(turns) % len(keys)]))
            answer = line.getresponse().read()
            if not json.loads(answer)["result"].get("isError"):
                done[place] += 1
        line.close()

    before, others_before, began = _used(pids), _all_used(), time.monotonic()
    own_before = time.process_time()
    threads = [threading.Thread(target=ask, args=[place]) for place in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    busy = {name: (after - before[name]) / took for name, after in _used(pids).items()}
    busy["the callers"] = (time.process_time() - own_before) / took
    busy["other work of this machine"] = max(0.0, (_all_used() - others_before) / took - sum(busy.values()))
    return Speed(len(ports), sum(done) / took, busy)


def _used(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    return {name: sum(cpu_seconds(pid) for pid in several) for name, several in pids.items()}


def _all_used() -> float:
    """Seconds of all cores together that were not idle."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(int(each) for place, each in enumerate(fields[:8]) if place not in (3, 4)) / _TICK
