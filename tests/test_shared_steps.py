"""What test modules share lives in a module of steps: no file imports from a ``test_*.py``, which would run for two."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


def test_nothing_is_imported_from_a_test_module() -> None:
    found = {path.relative_to(TESTS).as_posix(): _taken(path.read_text()) for path in sorted(TESTS.rglob("*.py"))}
    assert {where: names for where, names in found.items() if names} == {}, "move it to steps.py of that folder"


@pytest.mark.parametrize(
    "offence",
    [
        "from tests.console.test_linking import link",
        "from tests.console import test_linking",
        "import tests.console.test_linking as linking",
        "def later():\n    from tests.console.test_linking import link",
    ],
)
def test_an_import_from_a_test_module_is_seen(offence: str) -> None:
    assert _taken(offence) == ["tests.console.test_linking"]


def _taken(source: str) -> list[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return sorted(each for each in modules if each.startswith("tests.") and each.split(".")[-1].startswith("test_"))
