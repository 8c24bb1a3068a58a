"""Skills: what a host's model reads before it uses this instance. A folder with a ``SKILL.md`` each (agentskills.io).

The texts are in ``texts/``, with this instance's address, limits and tools put in.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings

from console import toolsets
from console.scopes import Scope
from console.toolsets import LABELS, Toolset

FILE_NAME = "SKILL.md"
BASICS = "trading-with-tradelatch"
"""The one that the others build on."""
_FOLDER = Path(__file__).parent / "texts"
_VALUE = re.compile(r"<!-- (instance:\w+|tools) -->")


@dataclass(frozen=True, slots=True)
class Skill:
    name: str
    """Lower-case letters and hyphens; the name of its folder."""
    description: str
    """What it is for and when to read it: all that a model sees until it picks the skill."""
    text: str
    """The whole file, with its front matter."""


def skills() -> list[Skill]:
    """The basics first, then by name."""
    return [_filled(each) for each in _written()]


def find(name: str) -> Skill | None:
    return next((_filled(each) for each in _written() if each.name == name), None)


@cache
def _written() -> tuple[Skill, ...]:
    found = []
    for file in sorted(_FOLDER.glob("*.md"), key=lambda file: (file.stem != BASICS, file.stem)):
        text = file.read_text(encoding="utf-8")
        front = dict(line.split(": ", 1) for line in text.split("---\n", 2)[1].splitlines())
        found.append(Skill(front["name"], front["description"], text))
    return tuple(found)


def _filled(skill: Skill) -> Skill:
    values = {
        "instance:console": f"{settings.PUBLIC_URL}/",
        "instance:confirmation_seconds": str(settings.CONFIRMATION_SECONDS),
    }

    def put_in(found: re.Match[str]) -> str:
        return _tools() if found[1] == "tools" else values[found[1]]

    return Skill(skill.name, skill.description, _VALUE.sub(put_in, skill.text))


def _tools() -> str:
    """Every tool of this instance, a list for each toolset."""
    known = defaultdict(list)
    for tool in toolsets.provided():
        needs = " Needs the right to trade." if tool.scope is Scope.TRADE else ""
        known[tool.toolset].append(f"- `{tool.name}`: {tool.about}{needs}")
    return "\n\n".join(
        "\n".join([f"### {LABELS[toolset][0]}", "", *known[toolset]]) for toolset in Toolset if known[toolset]
    )
