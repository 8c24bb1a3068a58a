"""What the default instance takes when nobody calls it: memory, processor time, and the time until it answers.

    python -m tests.bench.home [--against REV] [--seconds 60]

SQLite, a queue of files, nothing else. Memory is the proportional set size of all its processes: what they share is
counted once. ``--against`` starts the same of another revision in the same run.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import serving
from tests.bench import running

_SETTLED_SECONDS = 15.0
"""After the first page, before the quiet begins: workers look at what waited for them."""
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    memory: float
    """MiB."""
    idle: float
    """Seconds of processor time in a minute."""
    first: float
    """Seconds from an empty home to the first page."""
    again: float
    """The same on a home that is there."""


def _family(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _processor(pid: int) -> float:
    total = 0
    for each in _family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(field) for field in fields[11:15])
    return total / _TICK


def _memory(pid: int) -> float:
    found = 0
    for each in _family(pid):
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                found += int(line.split()[1])
    return found / 1024


@contextlib.contextmanager
def _started(tree: Path, home: Path) -> Iterator[tuple[int, float]]:
    """The instance, and how long it took to its first page."""
    port = serving.free_port()
    with (home.parent / f"{home.name}.log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=tree,
            env=serving.environment(home, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )

        def answers() -> bool:
            assert process.poll() is None, Path(log.name).read_text()[-3000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in/", timeout=5)
            except urllib.error.HTTPError:
                return True
            except OSError:
                return False
            return True

        try:
            serving.until(answers, seconds=120, what="the instance answers")
            yield process.pid, time.monotonic() - began
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def _measured(tree: Path, home: Path, seconds: float) -> Cost:
    with _started(tree, home) as (_, first):
        pass
    with _started(tree, home) as (pid, again):
        time.sleep(_SETTLED_SECONDS)
        before, began = _processor(pid), time.monotonic()
        time.sleep(seconds)
        used = (_processor(pid) - before) * 60 / (time.monotonic() - began)
        return Cost(_memory(pid), used, first, again)


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.home", description=__doc__)
    parser.add_argument("--against", default="", metavar="REV", help="a revision of this repository to compare with")
    parser.add_argument("--seconds", type=float, default=60, help="of quiet")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tl-bench-")))
        this = _measured(serving.REPOSITORY, folder / "this", options.seconds)
        costs = [("this", this)]
        if options.against:
            tree = stack.enter_context(running.revision(options.against))
            costs.append((options.against, _measured(tree, folder / "other", options.seconds)))
    for name, cost in costs:
        _line(
            f"{name:>10}: {cost.memory:.0f} MiB, {cost.idle:.2f} s of CPU a minute, first page {cost.first:.1f} s, "
            f"on a home that is there {cost.again:.1f} s"
        )
    if options.against:
        other = costs[1][1]
        _line(
            f"ratios: memory {this.memory / other.memory:.2f}, idle CPU {this.idle / other.idle:.2f}, "
            f"first start {this.first / other.first:.2f}, start {this.again / other.again:.2f}"
        )


if __name__ == "__main__":
    main()
