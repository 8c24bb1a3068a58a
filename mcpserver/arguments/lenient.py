"""What hosts and models are known to send in another form than the schema's, where it can mean one thing only.

Every such case is here, and holds for every tool, prompt and order of a batch. What could mean two things is refused.
"""

import difflib
import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from brokers.decimals import refuse_constant

HOST_ADDED = frozenset({"wait_for_previous", "toolCallId", "sessionId"})
"""Arguments that hosts add to every tool of every server: Gemini CLI the first (0.61), n8n the others."""

# Names that other brokers' interfaces have for our arguments.
_USUAL = {
    **dict.fromkeys(("qty", "size", "amount", "shares", "units"), "quantity"),
    **dict.fromkeys(("dollars", "value", "quote_quantity"), "notional"),
    **dict.fromkeys(("price", "limit"), "limit_price"),
    **dict.fromkeys(("stop", "trigger_price"), "stop_price"),
    **dict.fromkeys(("type", "kind"), "order_type"),
    **dict.fromkeys(("ticker", "instrument", "pair", "security", "underlying"), "symbol"),
    **dict.fromkeys(("tickers", "instruments", "pairs"), "symbols"),
    **dict.fromkeys(("timeframe", "interval", "resolution", "granularity"), "bar"),
    **dict.fromkeys(("range", "lookback", "duration"), "period"),
    **dict.fromkeys(("from", "since", "after", "start_date", "start_time"), "start"),
    **dict.fromkeys(("to", "until", "before", "end_date", "end_time"), "end"),
    **dict.fromkeys(("count", "max", "page_size"), "limit"),
    **dict.fromkeys(("action", "direction"), "side"),
    "time_in_force": "tif",
    "account": "account_id",
    "page": "cursor",
    "id": "order_id",
    "text": "query",
}


def by_our_names(given: Mapping[str, Any], declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments without what hosts add, and ``symbol`` or ``symbols`` under the name the tool has for it."""
    if "symbol" not in given and given.keys() <= declared.keys():
        return given
    found = {name: value for name, value in given.items() if name in declared or name not in HOST_ADDED}
    if "symbol" not in found and "symbols" not in found:
        return found
    if "symbols" in declared and "symbol" in found and found.get("symbols") is None:
        found["symbols"] = found.pop("symbol")
    elif "symbol" in declared and "symbols" in found and "symbols" not in declared and found.get("symbol") is None:
        found["symbol"] = found.pop("symbols")
    if "symbol" in declared and isinstance(found.get("symbol"), str | list):
        found["symbol"] = _only(found["symbol"])
    return found


def _only(value: Any) -> Any:
    """The one item of a list of one."""
    items = from_json_text(value)
    return items[0] if isinstance(items, list) and len(items) == 1 else value


def from_json_text(value: Any, parse_float: Callable[[str], float] = float) -> Any:
    """A list or an object that was sent as its JSON text; anything else as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value, parse_float=parse_float, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return value


def whole_number(value: Any) -> Any:
    """``3.0`` and ``"3"`` as 3: JSON Schema counts the first as an integer. Anything else as it is."""
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(\.0{1,9})?", value):
        return int(value.partition(".")[0])
    return value


def nearest(name: str, known: Collection[str]) -> str:
    """The argument that was meant by another name; "" where none is near."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    by_letters = {re.sub(r"[^a-z]", "", each): each for each in known}
    usual = {re.sub(r"[^a-z]", "", each): meant for each, meant in _USUAL.items()}.get(letters)
    if usual in known:
        return str(usual)
    close = difflib.get_close_matches(letters[:60], by_letters, n=1, cutoff=0.7)
    return by_letters[close[0]] if close else ""
