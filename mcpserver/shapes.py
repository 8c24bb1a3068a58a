"""What results look like: the words their TypedDicts are made of, and the JSON Schema derived from them.

Each handler's module declares its results beside the handlers; what every result carries is declared here.
``NotRequired`` is for what may be absent: nothing is ever null. TypedDict is that of ``typing_extensions``, as pydantic
asks for below Python 3.12.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

Number = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
"""An exact decimal, as text."""
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""ISO 8601, in UTC."""


class Context(TypedDict):
    """Where a result comes from; the pipeline adds it to every one."""

    connection: str
    broker: str
    environment: str
    account_id: NotRequired[str]
    as_of: Instant
    request_id: str


class CandidateOut(TypedDict):
    symbol: str
    instrument_id: NotRequired[str]
    name: str
    exchange: str
    expiry: NotRequired[str]


class Error(TypedDict):
    code: str
    message: str
    retry: Literal["safe", "after_change", "check_status"]
    """Whether the call may be made again; see ``console.errors.Retry``."""
    help: str
    """The address of the code's page."""
    field: NotRequired[str]
    retry_after_seconds: NotRequired[float]
    order_id: NotRequired[str]
    limit: NotRequired[dict[str, str]]
    """Which limit said no."""
    candidates: NotRequired[list[CandidateOut]]
    """What an ambiguous name may mean."""


class Failure(TypedDict):
    """What a refused or failed call answers, whatever the tool."""

    error: Error


def schema(returns: Any) -> dict[str, Any]:
    """The closed JSON schema (2020-12) of a whole result: what the tool ``returns`` and the context."""
    made: dict[str, Any] = _closed(TypeAdapter(returns).json_schema())
    context = _closed(TypeAdapter(Context).json_schema())
    made["properties"] = {**made.get("properties", {}), "context": context}
    made["required"] = [*made.get("required", []), "context"]
    return made


def _closed(node: Any) -> Any:
    """Nothing beside what is declared, and none of the titles that only repeat a name."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _closed(value) for key, value in node.items() if key != "title" or not isinstance(value, str)}
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    return made
