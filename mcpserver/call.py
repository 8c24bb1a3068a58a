"""One tool call on its way through: who, with what, and what came of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from console.principal import Principal

write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""A value as JSON text, as short as it can be: a model pays for every byte."""


@dataclass(slots=True, kw_only=True)
class Call:
    principal: Principal
    request_id: str
    args: Mapping[str, Any]
    account_id: str = ""
    """The account the call turned out to be about; stamped on the result."""
    order_id: str = ""
    """The order it turned out to be about; kept in the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What leaves: one JSON object, and whether it is an error a model should read."""

    content: dict[str, Any] = field(default_factory=dict)
    is_error: bool = False
