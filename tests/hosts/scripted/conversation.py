"""What a model is given and what it answers, whatever dialect its host speaks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    """A tool as it stands in a request. ``schema`` is None where the host gives none."""

    name: str
    description: str = ""
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What the model reads of one call: all its text blocks, one after the other."""

    tool: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One request of a host to its model."""

    dialect: str
    model: str
    offered: Sequence[OfferedTool]
    results: Sequence[ToolResult]
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """The model calls a tool. ``script``: the text of a code mode, in place of arguments."""

    tool: str
    arguments: Mapping[str, Any]
    script: str = ""
    kind: str = "function"
    """``function``, ``custom`` (free text), or ``search``: the search of the OpenAI Responses interface."""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Say:
    text: str


Answer = Call | Say


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A tool of ours and what it is given, perhaps from what the model has read so far.

    ``words``: what a model searches for where the host shows no tools. ``before`` runs once, when the model is about
    to make the call: the host has listed the tools by then.
    """

    tool: str
    words: str
    arguments: Mapping[str, Any] | Callable[[Sequence[str]], Mapping[str, Any]]
    before: Callable[[], object] | None = None

    def given(self, read: Sequence[str]) -> Mapping[str, Any]:
        return self.arguments(read) if callable(self.arguments) else self.arguments
