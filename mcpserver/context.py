"""One tool call on its way through: who, with what, and what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from console.principal import Principal
from console.untrusted_text import escape_hidden_in


def readable(content: dict[str, Any]) -> dict[str, Any]:
    """What a model reads, with what is hidden in others' words written out."""
    made: dict[str, Any] = escape_hidden_in(content)
    return made


def is_readable(written: str) -> bool:
    """Whether nothing in this JSON can be hidden. Most answers hold nothing beyond ASCII."""
    return written.isascii() and "\\u" not in written and "\x7f" not in written


Report = Callable[[float, float | None, str], None]
"""How far a call has come: done, of how much (None: nobody knows), and a sentence for a person."""


def ignore_progress(done: float, total: float | None = None, message: str = "") -> None:
    """Where nobody asked for progress."""


@dataclass(slots=True, kw_only=True)
class ToolCall:
    principal: Principal
    request_id: str
    args: Mapping[str, Any]
    account_id: str = ""
    """The account the call turned out to be about; stamped on the result."""
    order_id: str = ""
    """The order it turned out to be about; kept in the audit log."""
    confirmed_after_ms: int | None = None
    """How long what it confirmed had been shown; kept in the audit log."""
    report: Report = ignore_progress
    """Tools marked ``reports`` say here how far they are; ``done`` must grow from one report to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAnswer:
    """What leaves: one JSON object, and whether it is an error a model should read."""

    content: dict[str, Any] = field(default_factory=dict)
    is_error: bool = False
