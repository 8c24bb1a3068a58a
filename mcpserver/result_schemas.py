"""What results look like: the words their TypedDicts are made of, and the JSON Schema derived from them.

Each handler's module declares its results beside the handlers; what every result carries is declared here.
``NotRequired`` is for what may be absent: nothing is ever null. TypedDict is that of ``typing_extensions``, as pydantic
asks for below Python 3.12.
"""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, TypeVar, get_args, get_type_hints

from pydantic import Field, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import TypedDict, is_typeddict

from mcpserver import result_tables

Number = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
"""An exact decimal, as text."""
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""ISO 8601, in UTC."""


_Row = TypeVar("_Row")
_TABLE = "table"


class _Table:
    """Marks a list of rows that leaves as one table (``mcpserver.result_tables``): each column named once."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {_TABLE: True}


Rows = Annotated[list[_Row], _Table()]
"""Rows of one kind under one header. The handler answers them as objects."""


class Context(TypedDict):
    """Where a result comes from; the pipeline adds it to every one."""

    connection: str
    broker: str
    environment: str
    account_id: NotRequired[str]
    as_of: Instant
    request_id: str
    not_recorded: NotRequired[Literal[True]]
    """The cancel was made, but the activity log could not be written."""


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


_columns: dict[Any, Mapping[str, tuple[str, ...]]] = {}


def columns(returns: Any) -> Mapping[str, tuple[str, ...]]:
    """What of a result is a table, by name, with its columns in order; none for a row of changing columns."""
    if returns not in _columns:
        _columns[returns] = _tables_in(returns) if is_typeddict(returns) else {}
    return _columns[returns]


def _tables_in(returns: Any) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, hint in get_type_hints(returns, include_extras=True).items():
        inner = hint if hasattr(hint, "__metadata__") else next(iter(get_args(hint)), None)
        if any(isinstance(each, _Table) for each in getattr(inner, "__metadata__", ())):
            (row,) = get_args(get_args(inner)[0])
            found[name] = tuple(get_type_hints(row)) if is_typeddict(row) else ()
    return found


def schema(returns: Any, *, spread: bool = False) -> dict[str, Any]:
    """The closed JSON schema (2020-12) of a whole result: what the tool ``returns`` and the context.

    ``spread``: with each table as the list of objects it stands for.
    """
    made, context = deepcopy(_declared(returns)), deepcopy(_declared(Context))
    made["properties"] = {"context": context, **made.get("properties", {})}
    made["required"] = ["context", *made.get("required", [])]
    for node in made["properties"].values():
        if _TABLE in node and not spread:
            row = node["items"].get("$ref", "").rpartition("/")[2]
            names = list(made.get("$defs", {}).get(row, {}).get("properties", ()))
            node.clear()
            node |= _table_schema(names)
    if columns(returns):
        made["properties"].setdefault(result_tables.SHORTENED, {"type": "string"})
    return made


@cache
def _declared(returns: Any) -> dict[str, Any]:
    """Made once for each kind of result: it is a good part of a web server's start. Who changes it copies it first."""
    made: dict[str, Any] = _closed(TypeAdapter(returns).json_schema())
    return made


def _table_schema(names: list[str]) -> dict[str, Any]:
    column = {"type": "string", "enum": names} if names else {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "count": {"type": "integer"},
            "columns": {"type": "array", "items": column},
            "rows": {"type": "array", "items": {"type": "array"}},
        },
        "required": ["count", "columns", "rows"],
        "additionalProperties": False,
    }


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
