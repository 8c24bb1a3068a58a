import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import at_most

pytestmark = pytest.mark.long

ROUNDS = 200


@pytest.mark.timeout(150)
def test_a_desk_killed_200_times_between_confirmation_and_answer_loses_nothing_and_sends_nothing_twice(
    tmp_path: Path,
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.kill_desk", str(ROUNDS), "7"],
        env=os.environ | {"TRADELATCH_HOME": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=at_most(120),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["lost"] == []
    assert result["sent_twice"] == 0
    assert result["unknown_to_the_desk"] == 0
    assert float(result["bought_minus_held"]) == 0
    stuck = {"awaiting_confirmation", "intent", "sending", "unknown"} & set(result["ended_as"])
    assert not stuck, f"never settled: {stuck}"
    # The kills have to fall into the middle of things, or this test shows nothing.
    killed = result["left_by_kill"]
    assert killed.get("intent", 0) + killed.get("sending", 0) >= ROUNDS // 20, killed
