"""One word, one meaning: no two classes of the project share a name without a reason written here."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("brokers", "console", "mcpserver")

_BOTH_WAYS = "the same result over REST and over MCP: a serializer or view there, a TypedDict here"
_ARGUMENT = "the same kind of argument: a field of a REST request, and an argument of a tool"
SHARED = {
    "Activity": _BOTH_WAYS,
    "AlertOut": _BOTH_WAYS,
    "Alerts": _BOTH_WAYS,
    "ConnectionOut": _BOTH_WAYS,
    "Connections": _BOTH_WAYS,
    "ExecutionOut": _BOTH_WAYS,
    "FillOut": _BOTH_WAYS,
    "NoteOut": _BOTH_WAYS,
    "OneAlert": _BOTH_WAYS,
    "OneOrder": _BOTH_WAYS,
    "OrderOut": _BOTH_WAYS,
    "Orders": _BOTH_WAYS,
    "TradeOut": _BOTH_WAYS,
    "Trades": _BOTH_WAYS,
    "Amount": _ARGUMENT,
    "Choice": _ARGUMENT,
    "Flag": _ARGUMENT,
    "Moment": _ARGUMENT,
    "Text": _ARGUMENT,
    "Whole": _ARGUMENT,
    "Command": "Django finds a management command by this name",
}


def test_no_two_classes_share_a_name_without_a_reason() -> None:
    found = _classes(ROOT)
    shared = {name: where for name, where in found.items() if len(where) > 1 and name not in SHARED}
    assert not shared, f"Give one of each another name, or a reason in SHARED: {shared}"


def test_every_reason_is_still_needed() -> None:
    found = _classes(ROOT)
    assert [name for name in SHARED if len(found.get(name, [])) < 2] == []


def test_a_shared_name_is_seen(tmp_path: Path) -> None:
    for package in ("brokers", "console"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "kinds.py").write_text("class Kind:\n    class Meta:\n        pass\n")
    assert _classes(tmp_path) == {"Kind": ["brokers/kinds.py", "console/kinds.py"]}


def _classes(root: Path) -> dict[str, list[str]]:
    """Where each class of a module's top level is defined, by its name."""
    found: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(path.relative_to(root).as_posix())
    return dict(found)
