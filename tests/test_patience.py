"""Every bound in the tests goes by ``tests/patience.py``: one setting makes a whole run wait longer."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import at_most

TESTS = Path(__file__).resolve().parent
BY_HAND = ("bench", "hosts")
"""Folders that make test does not run."""
WAITS = {"wait", "join", "result", "fail_after", "timeout", "communicate"}
"""Methods that take how long they wait as their first argument."""
CLIENTS = {"get", "post", "put", "patch", "delete", "request", "Client", "AsyncClient"}
"""Of httpx2, which gives up after five seconds when nobody says how long."""


def test_no_test_has_a_bound_of_its_own() -> None:
    found = {
        path.relative_to(TESTS).as_posix(): _bounds(path.read_text())
        for path in sorted(TESTS.rglob("*.py"))
        if path.relative_to(TESTS).parts[0] not in BY_HAND
    }
    assert {where: what for where, what in found.items() if what} == {}, "at_most(seconds), or lasting(seconds)"


@pytest.mark.parametrize(
    "offence",
    [
        "subprocess.run(command, timeout=60)",
        "thread.join(5)",
        "assert go.wait(20)",
        "job.result(0.5)",
        "anyio.fail_after(5)",
        "asyncio.timeout(5)",
        "asyncio.wait_for(work, 5)",
        "httpx2.get(address)",
        "time.monotonic() - began < 3",
        "deadline = time.monotonic() + 5",
    ],
)
def test_a_bound_of_its_own_is_seen(offence: str) -> None:
    assert _bounds(offence)


@pytest.mark.parametrize(
    "fine",
    [
        "subprocess.run(command, timeout=at_most(60))",
        "thread.join(at_most(5))",
        "job.result(0)",
        "job.result()",
        "httpx2.get(address, timeout=lasting(0.2))",
        "', '.join(names)",
        "assert time.monotonic() - began > 0.2",
        "@pytest.mark.timeout(90)\ndef test_it() -> None: ...",
    ],
)
def test_what_scales_is_let_through(fine: str) -> None:
    assert _bounds(fine) == []


@pytest.mark.parametrize(("said", "seconds"), [("", 50.0), ("4", 200.0), ("0.5", 25.0)])
def test_one_setting_of_the_environment_makes_all_of_them_longer(said: str, seconds: float) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "from tests.patience import at_most; print(at_most(10))"],
        cwd=TESTS.parent,
        env=os.environ | {"TEST_PATIENCE": said},
        capture_output=True,
        text=True,
        timeout=at_most(10),
        check=True,
    )
    assert float(ran.stdout) == seconds


def _bounds(source: str) -> list[str]:
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if _is_bound(node)]


def _is_bound(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        below = isinstance(node.ops[0], ast.Lt | ast.LtE)
        return below and _is_number(node.comparators[0]) and _of_the_clock(node.left)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add) and _is_number(node.right) and _of_the_clock(node.left)
    if not isinstance(node, ast.Call):
        return False
    named = {each.arg: each.value for each in node.keywords}
    if "timeout" in named:
        return _is_number(named["timeout"])
    if not isinstance(node.func, ast.Attribute):
        return False
    owner, method = node.func.value, node.func.attr
    if method in CLIENTS and ast.unparse(owner) == "httpx2":
        return True
    if method == "wait_for" and ast.unparse(owner) == "asyncio":
        return any(map(_is_number, node.args[1:]))
    # What pytest.mark.timeout says is scaled by tests/conftest.py.
    return method in WAITS and any(map(_is_number, node.args[:1])) and ast.unparse(owner) != "pytest.mark"


def _of_the_clock(node: ast.AST) -> bool:
    return "monotonic()" in ast.unparse(node)


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value > 0
