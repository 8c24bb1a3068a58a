"""What failed among others is run once more alone, and never passes unnamed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import serving

PYTEST = (sys.executable, "-m", "pytest", "-p", "no:xdist", "-q")


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(serving.REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def failed_then_again(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_of_a_run.py").write_text(f"from pathlib import Path\n{tests}")
    assert run(folder, sys.executable, "-m", "pytest", "-q").returncode == 1
    return run(folder, sys.executable, "-m", "tests.again")


def test_what_passes_alone_is_named(tmp_path: Path) -> None:
    second_time = (
        "def test_unsteady():\n    seen = Path('seen')\n    was = seen.exists()\n    seen.touch()\n    assert was\n"
    )
    ended = failed_then_again(tmp_path, second_time + "def test_steady():\n    pass\n")
    assert ended.returncode == 0
    assert "Passed alone, failed among others." in ended.stdout
    assert ended.stdout.rstrip().endswith("test_of_a_run.py::test_unsteady")
    assert "test_steady" not in ended.stdout


@pytest.mark.parametrize(("failing", "is_tried"), [(1, True), (4, False)])
def test_what_fails_again_or_is_many_fails(failing: int, is_tried: bool, tmp_path: Path) -> None:
    ended = failed_then_again(tmp_path, "".join(f"def test_{each}():\n    assert False\n" for each in range(failing)))
    assert ended.returncode == 1
    assert ("run once more" in ended.stdout) is is_tried
