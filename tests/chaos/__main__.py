"""``python -m tests.chaos``: 1,000 trials of faults and kills, 20,000 random steps, and what they left, as a table.

Ends with an error when an order or a change was sent twice, was lost, or is still on its way, when a plan went in part
without saying so, or when the books do not agree. ``--seed`` repeats a run as far as the machine's timing lets it;
``--replay`` walks a failed walk again, step by step.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from console.orders.states import AmendmentStatus, Status
from tests.chaos import WRONG

_SUMS = ("posts", "accepted", "changes_sent", "changes_done", "for_a_person")
_COUNTS = ("trials", "kills", "left_by_kill")
_TABLES = ("answers", "kinds")


def worker(module: str, *arguments: str) -> dict[str, Any]:
    """One process in a home of its own; what it printed."""
    with tempfile.TemporaryDirectory(prefix="tradelatch-chaos-") as home:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRADELATCH_")}
        ran = subprocess.run(
            [sys.executable, "-m", f"tests.chaos.{module}", *arguments],
            env=inherited | {"TRADELATCH_HOME": home},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode:
        raise SystemExit(f"{ran.stderr}\n{module} {' '.join(arguments)} ended with {ran.returncode}.")
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return result


def trials(count: int, seed: int, processes: int) -> dict[str, Any]:
    """The results of all the processes as one."""
    shares = [count // processes + (place < count % processes) for place in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        results = list(
            pool.map(lambda row: worker("trials", str(row[1]), str(seed + row[0])), enumerate(s for s in shares if s))
        )
    whole: dict[str, Any] = {name: sum(each[name] for each in results) for name in _SUMS}
    whole |= {name: [item for each in results for item in each[name]] for name in WRONG}
    whole |= {name: sum((Counter(each[name]) for each in results), Counter()) for name in _COUNTS}
    for name in _TABLES:
        table: dict[str, Counter[str]] = {}
        for each in results:
            for label, row in each[name].items():
                table.setdefault(label, Counter()).update(row)
        whole[name] = table
    return whole


def failures(result: dict[str, Any]) -> list[str]:
    return [f"{words}: {item}" for name, words in WRONG.items() for item in result[name]]


def drawn(title: str, table: dict[str, Counter[str]]) -> list[str]:
    every = list(dict.fromkeys([*map(str, Status), *map(str, AmendmentStatus)]))
    columns = [status for status in every if any(row[status] for row in table.values())]
    lines = [f"{title:<27}" + "".join(f"{status[:12]:>14}" for status in columns)]
    return [
        *lines,
        *(
            f"{label:<27}" + "".join(f"{row[status] or '':>14}" for status in columns)
            for label, row in sorted(table.items())
        ),
    ]


def told(result: dict[str, Any]) -> str:
    """Two tables, where the kills fell, and one closing line with the counts."""
    left = ", ".join(f"{count} {status}" for status, count in result["left_by_kill"].most_common())
    lost = len(result["lost"] + result["unknown_here"] + result["phantoms"] + result["not_cancelled"])
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(result["trials"].items()))
    return "\n".join(
        [
            *drawn("the answer to the order", result["answers"]),
            *drawn("what was asked", result["kinds"]),
            f"{result['kills'].total()} processes killed; what they did stood at: {left}",
            f"{result['trials'].total()} trials ({kinds}): {result['posts']} orders posted, {result['accepted']} "
            f"accepted, {result['changes_sent']} changes sent, {result['changes_done']} done, "
            f"{len(result['sent_twice'])} sent twice, {lost} lost, {len(result['stuck'])} unsettled, "
            f"{len(result['halves'])} plans half sent unsaid, {result['for_a_person']} not at the broker and shown to "
            "a person\n",
        ]
    )


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    asked.add_argument("--trials", type=int, default=1000)
    asked.add_argument("--steps", type=int, default=20_000)
    asked.add_argument("--seed", type=int, default=None)
    asked.add_argument("--processes", type=int, choices=[1, 2], default=2)
    asked.add_argument("--replay", type=Path, help="a file that a failed walk left")
    chosen = asked.parse_args()
    if chosen.replay:
        walked = worker("walk", "--replay", str(chosen.replay.resolve()))
        sys.stdout.write(f"{walked['steps']} steps walked again, and the books agreed after each\n")
        return
    seed = secrets.randbelow(1_000_000) if chosen.seed is None else chosen.seed
    sys.stdout.write(f"seed {seed}\n")
    wrong: list[str] = []
    if chosen.trials:
        result = trials(chosen.trials, seed, chosen.processes)
        wrong = failures(result)
        sys.stdout.write(told(result))
    if chosen.steps:
        walked = worker("walk", str(chosen.steps), str(seed))
        counted = ", ".join(f"{count} {name}" for name, count in sorted(walked["did"].items()))
        sys.stdout.write(
            f"{walked['steps']} random steps ({counted}): cash, positions, reserves and ledger agree after each\n"
        )
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
