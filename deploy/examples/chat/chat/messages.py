"""A conversation as every model gets it, whatever interface its server speaks."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    about: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolUse:
    use_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UserSaid:
    text: str


@dataclass(frozen=True, slots=True)
class ModelSaid:
    text: str
    uses: Sequence[ToolUse] = ()


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    use_id: str
    text: str
    is_error: bool = False


Message = UserSaid | ModelSaid | ToolAnswered


class ModelError(Exception):
    """The model's server refused, or could not be reached. The text is for the person in front of the page."""


class Model(Protocol):
    def answer(self, system: str, messages: Sequence[Message], tools: Sequence[Tool]) -> AsyncIterator[str | ToolUse]:
        """Pieces of text as they come, then the tools it wants called. Raises ModelError."""
