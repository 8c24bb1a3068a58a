"""What ``make run`` installs is what the tests ran with, and all that the project says it needs."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", re.MULTILINE)


def pinned(name: str) -> dict[str, str]:
    return dict(_PIN.findall((ROOT / name).read_text()))


def test_every_dependency_of_the_project_is_in_the_lock_that_make_run_installs() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[\[<>=;~! ]", line)[0] for line in needed}
    assert names - set(pinned("requirements.lock")) == set(), "run make lock"


def test_the_tests_run_with_the_versions_that_make_run_installs() -> None:
    run, tests = pinned("requirements.lock"), pinned("requirements-dev.lock")
    assert {name: tests.get(name) for name in run} == run, "run make lock"
