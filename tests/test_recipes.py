"""A recipe in CONTRIBUTING names every file that its change touches: whatever knows the thing by name is in it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_SOURCES = ("brokers/**/*.py", "console/**/*.py", "mcpserver/**/*.py", "templates/**/*.html", "docs/**/*.md")
# Files that name it and need no change: each broker of its own, by ``brokers/<name>/…`` in the recipe, and what is
# generated.
_EACH_BROKER = r"brokers/(?!paper|crypto)\w+/\w+\.py"
_GENERATED = r"docs/reference/.*"


@pytest.mark.parametrize(
    ("recipe", "named", "others"),
    [
        ("Add an order class", r"\bOrderClass\b|\border_class\b", rf"{_EACH_BROKER}|docs/.*"),
        ("Add a limit", r"\btrading_hours_only\b|\bequity_share\b", rf"{_GENERATED}|console/practice/services\.py"),
        ("Add a scope", r"\bScope\.(READ|TRADE)\b", r""),
        ("Add an e-mail", r"\bmailer\.enqueue\b", r""),
        ("Change who approves", r"\bPolicy\.(TWO_STEP|OWNER_APPROVAL|values|choices)\b", r""),
        ("Add a kind of OAuth client", r"\bClientKind\b", r""),
        ("Change what a halt does to orders", r"\bGatedAction\b|\bWHILE_HALTED\b", r""),
        ("Change a broker's timeout", r"\bTimeouts\(|\bget\(\"timeout\"|\"timeout\":", r"console/onboarding/hosts\.py"),
        (
            "Change when unknown orders are looked up",
            r"\bnot_found_after\b|\bSENDING_LEASE_SECONDS\b|\b_LOOK_AGAIN_\w+|\b_LATE_FOR\b",
            _GENERATED,
        ),
        ("Add a CSV column", r"\bcsv_response\b", r""),
        ("Change a constant", r"instance:confirmation_seconds", _GENERATED),
    ],
)
def test_a_recipe_names_every_file_that_knows_it_by_name(recipe: str, named: str, others: str) -> None:
    text = _recipe(recipe)
    knowing = {
        str(path.relative_to(ROOT))
        for pattern in _SOURCES
        for path in ROOT.glob(pattern)
        if "migrations" not in path.parts and re.search(named, path.read_text())
    }
    assert knowing, "nothing is called so any more: give this test the new name"
    assert {path for path in knowing if path not in text and not re.fullmatch(others, path)} == set()


@pytest.mark.parametrize("recipe", ["Add a limit", "Change who approves", "Add a scope", "Add an order class"])
def test_a_recipe_names_no_file_twice(recipe: str) -> None:
    paths = re.findall(r"`([\w/]+/[\w./]+\.\w+)`", _recipe(recipe))
    assert sorted(paths) == sorted(set(paths))


def _recipe(title: str) -> str:
    found = re.search(
        rf"^### {re.escape(title)}\n(.*?)(?=^##|\Z)", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert found is not None, title
    return found[1]
