"""What a person or a model reads is plain English: templates, refusals, letters and documents have no stiff phrase."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.errors import EXPLANATIONS, Code
from console.help.causes import CAUSES
from tests.plain_english import stiff_phrases

ROOT = Path(__file__).parents[1]
# The log is a record, and the glossary lists the words that are not used.
_QUOTES_THEM = {"CHANGELOG.md", "glossary.md"}
DOCUMENTS = [path for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]) if path.name not in _QUOTES_THEM]
TEMPLATES = sorted(ROOT.glob("templates/**/*.html"))
MODULES = sorted(
    path
    for folder in ("brokers", "console", "mcpserver")
    for path in ROOT.glob(f"{folder}/**/*.py")
    if "migrations" not in path.parts
)


def strings_of(source: str) -> Iterator[str]:
    """Every string of a module that is not a docstring; the values within an f-string are left out."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    skipped = docstrings | {
        id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


def found_in(texts: Iterator[tuple[Path, str]]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {found}"
        for path, text in texts
        for found in stiff_phrases(re.sub(r"\s+", " ", text))
    ]


def test_documents_are_plain() -> None:
    assert found_in((path, path.read_text()) for path in DOCUMENTS) == []


def test_templates_are_plain() -> None:
    assert found_in((path, re.sub(r"<[^>]+>", " ", path.read_text())) for path in TEMPLATES) == []


def test_refusals_letters_and_every_other_text_of_the_code_are_plain() -> None:
    assert found_in((path, text) for path in MODULES for text in strings_of(path.read_text())) == []


@pytest.mark.parametrize("code", Code)
def test_the_title_of_a_refusal_is_short_and_says_one_thing(code: Code) -> None:
    title = EXPLANATIONS[code].title
    assert len(title) <= 60, title
    assert not title.endswith("."), title
    assert stiff_phrases(f"{title}. {EXPLANATIONS[code].advice} {CAUSES[code]}") == []


def test_a_stiff_phrase_is_found() -> None:
    (found,) = stiff_phrases("If you agree, look and decide under Approvals.")
    assert found.endswith("write: review")
