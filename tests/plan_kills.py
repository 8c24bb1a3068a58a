"""``python -m tests.plan_kills --plans 500``: plans of every kind, carried on by processes that are killed at random
statements, while people pause, halt and cancel; then the broker's books are held against the plans.

Ends with an error when an order of a plan reached the broker twice, when one is lost, or when a plan passed a bound.
``--seed`` repeats a run. Everything happens in a home of its own, on paper.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import django

_TOGETHER = 20
"""Plans at the same time."""
_MOST_ROUNDS = 120


def run(plans: int, seed: int) -> dict[str, Any]:
    """One run in a home of its own, and what it counted."""
    with tempfile.TemporaryDirectory(prefix="tradelatch-plans-") as home:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRADELATCH_")}
        ran = subprocess.run(
            [sys.executable, "-m", "tests.plan_kills", "--inside", "--plans", str(plans), "--seed", str(seed)],
            env=inherited | {"TRADELATCH_HOME": home},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode:
        raise SystemExit(f"{ran.stderr}\nIt ended with {ran.returncode}; seed {seed}.")
    counted: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return counted


def inside(plans: int, seed: int) -> dict[str, Any]:
    """The run itself."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()

    from tests.plan_trials import Trials  # what it imports needs Django

    trials = Trials(seed)
    for first in range(0, plans, _TOGETHER):
        trials.batch(min(_TOGETHER, plans - first), _MOST_ROUNDS)
    return trials.account()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=500)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    counted = (inside if asked.inside else run)(asked.plans, asked.seed)
    sys.stdout.write(json.dumps(counted) if asked.inside else json.dumps(counted, indent=2) + "\n")
    if not asked.inside and counted["wrong"]:
        raise SystemExit(f"{len(counted['wrong'])} things are wrong; seed {asked.seed}.")


if __name__ == "__main__":
    main()
