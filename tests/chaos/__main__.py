"""``python -m tests.chaos``: 1,000 trials of faults and kills, 20,000 random steps, and what they left, as a table.

Ends with an error when an order was sent twice, was lost, or is still on its way, or when the books do not agree.
``--seed`` repeats a run as far as the machine's timing lets it; ``--replay`` walks a failed walk again, step by step.
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

from console.orders.states import Status

_MUST_BE_NOTHING = ("sent_twice", "unknown_here", "lost", "phantoms", "stuck", "against_the_documents")
_SUMS = ("trials", "kills", "posts", "accepted", "for_a_person", "sent_twice")
_LISTS = ("unknown_here", "lost", "phantoms", "stuck", "against_the_documents")


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
    whole |= {name: [item for each in results for item in each[name]] for name in _LISTS}
    whole["left_by_kill"] = sum((Counter(each["left_by_kill"]) for each in results), Counter())
    table: dict[str, Counter[str]] = {}
    for each in results:
        for fault, row in each["table"].items():
            table.setdefault(fault, Counter()).update(row)
    whole["table"] = table
    whole["books_agree"] = all(float(each["bought_minus_held"]) == 0 for each in results)
    return whole


def failures(result: dict[str, Any]) -> list[str]:
    found = [f"{name}: {result[name]}" for name in _MUST_BE_NOTHING if result[name]]
    return found if result["books_agree"] else [*found, "What was bought is not what is held."]


def drawn(result: dict[str, Any]) -> str:
    columns = [status for status in Status if any(row[status] for row in result["table"].values())]
    lines = [f"{'the answer to the order':<24}" + "".join(f"{str(status)[:12]:>14}" for status in columns)]
    for fault, row in sorted(result["table"].items()):
        lines.append(f"{fault:<24}" + "".join(f"{row[status] or '':>14}" for status in columns))
    left = ", ".join(f"{count} {status}" for status, count in result["left_by_kill"].most_common())
    return "\n".join([*lines, f"{result['kills']} processes killed; their orders stood at: {left}"])


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
        sys.stdout.write(
            f"{drawn(result)}\n{result['trials']} trials: {result['posts']} orders posted, {result['accepted']} "
            f"accepted, {result['sent_twice']} sent twice, {len(result['lost'] + result['unknown_here'])} lost, "
            f"{len(result['stuck'])} unsettled, {result['for_a_person']} not at the broker and shown to a person\n"
        )
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
