"""Values as JSON text."""

import json
from typing import Any

import orjson

_write_anything = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_json(value: Any) -> str:
    """A value as JSON text, as short as it can be: a model pays for every byte."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Half a surrogate pair, or an integer of more than 64 bits, in what a caller sent and an answer repeats.
        return _write_anything(value)
