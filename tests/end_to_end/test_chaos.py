"""``make chaos`` in small: the same trials, walks and races, fewer of them. Each runs in processes of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.__main__ import failures, trials, worker
from tests.chaos.trials import Kind
from tests.patience import at_most

pytestmark = pytest.mark.long

TRIALS, STEPS = 66, 300


@pytest.mark.timeout(240)
def test_no_order_is_lost_or_sent_twice_whatever_breaks_at_the_broker_and_whenever_the_desk_is_killed() -> None:
    result = trials(TRIALS, seed=7, processes=1)
    assert failures(result) == []
    assert result["trials"].total() == TRIALS
    assert all(any(label.startswith(kind) for label in result["trials"]) for kind in Kind), result
    # Faults and kills have to fall into the middle of things, or this test shows nothing.
    assert result["kills"].total() >= TRIALS // 10, result
    assert result["accepted"] > TRIALS // 4, result
    assert result["changes_sent"] >= result["changes_done"] > 0, result
    assert result["left_by_kill"].total() > result["left_by_kill"]["awaiting_confirmation"], result


@pytest.mark.timeout(150)
def test_random_steps_leave_books_that_agree_to_the_last_digit() -> None:
    walked = worker("walk", str(STEPS), "7")
    assert walked["steps"] >= STEPS
    assert walked["did"]["fill"] and walked["did"]["crash"], walked


def test_a_walk_that_was_written_down_is_walked_again_to_the_same_end(tmp_path: Path) -> None:
    bought = {"step": "prepare", "symbol": "BTC/USD", "size": 0, "side": "BUY", "kind": "MKT", "tif": "IOC"}
    bought |= {"away": 0, "exits": "simple", "stop": "none", "at_once": False, "goes": False}
    steps: list[dict[str, Any]] = [{"step": "begin", "preset": "realistic", "hours": 68}, bought]
    steps += [{"step": "confirm", "which": 17, "dies": "after it was sent"}, {"step": "leap", "seconds": 61}]
    walk = tmp_path / "walk.json"
    walk.write_text(json.dumps({"steps": steps, "why": ""}))
    walked = worker("walk", "--replay", str(walk))
    assert walked["did"] == {"prepare": 1, "crash": 1, "leap of the clock": 1, "fill": 1}


@pytest.mark.timeout(150)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_whatever_is_asked_for_many_times_at_once_from_four_processes_goes_once(database: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.chaos.at_once", "--on", database],
        env={name: value for name, value in os.environ.items() if not name.startswith("TRADELATCH_")},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=at_most(120),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count(" rounds in ") == 9, ran.stdout
