"""The form in which answers leave: what says most first, rows under one header, and no longer than hosts show.

Hosts cut long results at their end or in their middle, some by whole lines. So ``context`` comes first, then what is
short, then the tables; a table names its columns once, counts its rows first, and is written with a line for each row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mcpserver.json_text import to_json

DEFAULT_BYTES = 10_800
"""Of an answer to a call that says nothing of how much it wants: what every known host shows whole."""
MOST_BYTES = 39_500
SHORTENED = "shortened"
"""Where an answer says what was left out to keep it short."""
_BESIDE_ROWS = 1_800
"""Left for everything but the rows."""
_ONE_LINE = 2_000
"""A text up to here is one line."""

_LONG = (dict, list)
_HEADS = {"count", "columns", "rows"}


def table(rows: Sequence[Mapping[str, Any]], order: Sequence[str] = ()) -> dict[str, Any]:
    """``{"count": 1, "columns": ["symbol", "last"], "rows": [["AAPL", "231.40"]]}``; what a row has not is "".

    ``order``: how the columns follow each other; those that no row has are left out.
    """
    used = {name for row in rows for name in row}
    columns = [name for name in order if name in used]
    columns += [name for name in dict.fromkeys(name for row in rows for name in row) if name not in columns]
    return {
        "count": len(rows),
        "columns": columns,
        "rows": [[row.get(name, "") for name in columns] for row in rows],
    }


def spread(value: Any) -> Any:
    """The same with each table as a list of objects again."""
    if isinstance(value, list):
        return [spread(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == _HEADS and isinstance(value["columns"], list) and isinstance(value["rows"], list):
        return [
            {name: spread(cell) for name, cell in zip(value["columns"], row, strict=True) if cell != ""}
            for row in value["rows"]
        ]
    return {name: spread(each) for name, each in value.items()}


def how_many_fit(rows: Sequence[Mapping[str, Any]], *, is_default: bool) -> int:
    """How many rows, from the first on, an answer holds; one at least, so that a list always goes on."""
    left = (DEFAULT_BYTES if is_default else MOST_BYTES) - _BESIDE_ROWS
    for number, row in enumerate(table(rows)["rows"]):
        left -= len(to_json(row)) + 2
        if left < 0:
            return max(number, 1)
    return len(rows)


def arrange(content: Mapping[str, Any], columns: Mapping[str, Sequence[str]]) -> tuple[dict[str, Any], str]:
    """An answer as it leaves, of any length, and its JSON. ``columns``: what is a table, by name, with its columns."""
    made: dict[str, Any] = {"context": content["context"]} if "context" in content else {}
    listed, others = dict[str, Any](), dict[str, Any]()
    for name, value in content.items():
        if not isinstance(value, _LONG):
            made[name] = value
        elif name in columns and isinstance(value, list):
            listed[name] = table(value, columns[name])
        elif name != "context":
            others[name] = value
    made.update(others)
    made.update(listed)
    return made, to_json(made)


def shorten(
    made: dict[str, Any], written: str, columns: Mapping[str, Sequence[str]], *, is_default: bool
) -> tuple[dict[str, Any], str]:
    """The same with rows left out, where it is longer than hosts show; it says so in front of what is long."""
    left_out = _cut(made, [name for name in made if name in columns], DEFAULT_BYTES if is_default else MOST_BYTES)
    if not left_out:
        return made, written
    first = {name: value for name, value in made.items() if name == "context" or not isinstance(value, dict | list)}
    made = {**first, SHORTENED: "; ".join(left_out), **made}
    return made, to_json(made)


def _cut(made: dict[str, Any], tables: list[str], most: int) -> list[str]:
    """Shorten tables, the last first, until it all fits; what was left out. A list that has a cursor goes on by it."""
    over = len(to_json(made)) - most
    left_out = []
    for name in reversed(tables[1:] if "next_cursor" in made else tables):
        if over <= 0:
            break
        rows = made[name]["rows"]
        kept = len(rows)
        over += 120  # for saying so
        while over > 0 and kept > 1:
            kept -= 1
            over -= len(to_json(rows[kept])) + 1
        if kept < len(rows):
            left_out.append(f"{len(rows) - kept} of {len(rows)} {name} are left out: the answer would be too long")
            made[name] = {**made[name], "count": kept, "rows": rows[:kept]}
    return left_out


def to_text(content: Mapping[str, Any], written: str) -> str:
    """The JSON text of an answer, of which ``written`` is the short form: with line breaks between rows."""
    if len(written) <= _ONE_LINE:
        return written
    return "{" + ",\n".join(f"{to_json(name)}:{_lines(value)}" for name, value in content.items()) + "}"


def _lines(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == _HEADS:
        head = to_json({name: each for name, each in value.items() if name != "rows"})
        return f'{head[:-1]},"rows":{_lines(value["rows"])}}}'
    if isinstance(value, list) and len(value) > 1:
        return "[\n" + ",\n".join(map(to_json, value)) + "\n]"
    return to_json(value)
