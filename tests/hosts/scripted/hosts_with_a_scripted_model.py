"""Each host buys on paper by its guide's own words, and its model reads refusals, long answers and ends of access.

Asserted is what the model was given, not what the server sent. Run by ``make hosts``; the tests of one host run in the
order of this file, and the last ones end its access.
"""

import contextlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from console.errors import Code
from tests.catalogued import ALL
from tests.hosts.scripted import recorded, sign_in
from tests.hosts.scripted.conftest import Case, Played
from tests.hosts.scripted.conversation import Step
from tests.hosts.scripted.dialects import LISTING
from tests.hosts.scripted.model import DONE, is_named
from tests.mcpserver.wire import Wire
from tests.person import Person
from tests.serving import until

_APP = "quickstart trade"
_ORDER = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}
# By which a host says that it gives its model a part.
_CUT = re.compile(r"truncat|too large|omitted|saved to|first [\d,]+ and last", re.IGNORECASE)
# What no host may say of a call that never ran.
_MAY_HAVE_RUN = re.compile(
    # Copilot CLI 1.0: "Failed to verify cached MCP tools" says that it asked for the list of tools first.
    r"may have (?:been )?(?:completed|executed|sent)|(?<!Failed to )verify",
    re.IGNORECASE,
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?=T00:00)")

QUOTE = Step(tool="get_quote", words="stock price", arguments={"symbols": ["BTC/USD"]})
ORDER = Step(tool="place_order", words="buy stock", arguments=_ORDER)
STATUS = Step(
    tool="get_order_status",
    words="order status",
    arguments=lambda read: {"order_id": _first(r"ord_\w+", read) or "ord_none"},
)
CONFIRM = Step(
    tool="confirm_trade",
    words="confirm order",
    arguments=lambda read: {"confirmation_id": _first(r"cnf_\w+", read) or "cnf_none"},
)
HISTORY = Step(tool="get_history", words="price history", arguments={"symbol": "AAPL"})
LONG_HISTORY = Step(tool="get_history", words="price history", arguments={"symbol": "AAPL", "limit": 500})
TRADE = (QUOTE, ORDER, CONFIRM, STATUS, HISTORY)


def _first(pattern: str, read: Sequence[str]) -> str | None:
    found = re.search(pattern, "\n".join(read))
    return found[0] if found else None


def _plain(text: str) -> str:
    """JSON that a host put into JSON, once or twice, reads as it did."""
    return text.replace("\\", "")


def _has_code(text: str, code: Code) -> bool:
    return f'"code":"{code}"' in _plain(text).replace('": "', '":"')


@pytest.fixture(scope="module")
def traded(case: Case) -> Played:
    """Quote, order, confirmation, status, history: in one conversation."""
    played = case.play(*TRADE)
    if os.environ.get("RECORD"):
        recorded.write(case.host, case.sent, bought=_bought(played))
    return played


def _bought(traded: Played) -> bool:
    filled = [_plain(text) for text in traded.read[2:4]]
    return len(filled) == 2 and all('"status":"filled"' in text for text in filled)


def test_the_model_is_given_every_tool(case: Case, traded: Played) -> None:
    case.table.words = len(TRADE)
    first = traded.model.turns[0]
    whole = {tool for tool in ALL if any(is_named(offered.name, tool) and offered.schema for offered in first.offered)}
    listed = next((result.text for result in traded.model.turns[-1].results if result.tool == LISTING), "")
    named = {tool for tool in ALL if re.search(rf"__{tool}\b", json.dumps(first.body) + listed)}
    by_words = sum(step.words not in traded.model.missed for step in TRADE)
    if whole:
        case.note("Tools", f"{len(whole)} in full")
    elif listed:
        case.note("Tools", f"{len(named)} by script")
    elif named:
        case.note("Tools", f"{len(named)} by name; {by_words} by words")
    else:
        case.note("Tools", f"by search alone; {by_words} by words")
    case.note("Protocol", _protocol(case.sent))
    assert traded.ran.code == 0 and DONE in traded.ran.said, traded
    assert len(traded.read) == len(TRADE), traded
    # Where they are given neither in full nor by name, the model could find those it needed.
    assert whole == set(ALL) or named == set(ALL) or not whole | named, (whole, named)
    assert '"quotes"' in _plain(traded.read[0]), traded


def _protocol(sent: Sequence[Mapping[str, Any]]) -> str:
    """The version it spoke when it called tools."""
    calls = [each for each in sent if each["body"].get("method") == "tools/call"]
    versions = {str(each["headers"].get("mcp-protocol-version", "")) for each in calls}
    return ", ".join(sorted(version or "no version header" for version in versions))


def test_it_buys_on_paper(case: Case, traded: Played) -> None:
    prepared = _plain(traded.read[1]) if len(traded.read) > 1 else ""
    bought = _bought(traded)
    case.note("Buys on paper", "yes" if bought else f"no: {_status(prepared)}")
    assert bought, traded
    assert '"status":"needs_confirmation"' in prepared
    assert "Buy 0.1 BTC/USD, market" in prepared
    orders = case.server.query("SELECT status FROM orders_order ORDER BY id DESC LIMIT 1")
    assert orders == [("filled",)]


def _status(text: str) -> str:
    found = re.search(r'"status":"(\w+)"', text)
    return found[1].replace("_", " ") if found else "nothing read"


def test_what_a_host_adds_to_a_tool_is_no_fault(case: Case, traded: Played) -> None:
    """Gemini CLI offers its model ``wait_for_previous`` with every tool and hands it on."""
    offered = traded.model.offered("get_quote")
    properties = (offered.schema or {}).get("properties", {}) if offered else {}
    theirs = {name: False for name, each in properties.items() if each.get("type") == "boolean"}
    if theirs:
        played = case.play(Step(tool="get_quote", words=QUOTE.words, arguments={"symbols": ["BTC/USD"]} | theirs))
        assert '"quotes"' in _plain(played.read[0]), played


def test_a_refusal_reaches_the_model(case: Case) -> None:
    played = case.play(Step(tool="place_order", words=ORDER.words, arguments=_ORDER | {"symbol": "NOSUCH"}))
    (text,) = played.read
    parts = {
        "code": _has_code(text, Code.UNKNOWN_SYMBOL),
        "message": "NOSUCH" in text,
        "link": f"/help/errors/{Code.UNKNOWN_SYMBOL}/" in text,
    }
    case.note("Refusal", ", ".join(part for part, there in parts.items() if there) or "lost")
    assert all(parts.values()), played


def test_a_history_is_whole_or_says_what_is_left_out(case: Case) -> None:
    wire = Wire(case.server.mcp_url, case.server.quickstart["paper_key_trade"])
    played = case.play(HISTORY, LONG_HISTORY)
    cells = []
    for step, text in zip((HISTORY, LONG_HISTORY), played.read, strict=True):
        assert isinstance(step.arguments, Mapping)
        sent = set(_DAY.findall(json.dumps(wire.result("get_history", step.arguments) | {"as_of": ""})))
        read = set(_DAY.findall(text)) & sent
        cells.append("whole" if read == sent else f"{len(read)} of {len(sent)}")
        if step is HISTORY:
            whole_by_default = read == sent
        else:
            says_so = read == sent or _CUT.search(text) is not None
            has_some = len(read) > 0
    case.note("History", f"{cells[0]}; of 500: {cells[1]}")
    assert whole_by_default and says_so and has_some, (cells, [text[:300] for text in played.read])


def test_a_scope_that_was_taken_is_told(case: Case) -> None:
    """With an access token, by which some hosts can ask for a wider scope: a key is told in the answer in any case.

    A host that looks like one of those is sent to sign in again once; when it comes back, its model is told.
    """
    signed_in = case.with_token(sign_in.access_token(case.server, "Scripted"))

    def take() -> None:
        case.server.query("UPDATE connected_apps_connectedapp SET scopes = 'mcp:read' WHERE name = 'Scripted'")

    order = Step(tool="place_order", words=ORDER.words, arguments=_ORDER, before=take)
    played = signed_in.play(QUOTE, order, replace(order, before=None))
    text = played.read[1] if len(played.read) > 1 else ""
    heard = _heard(text, Code.INSUFFICIENT_SCOPE, ended=len(played.read) < 2)
    assert not _MAY_HAVE_RUN.search(text), text
    is_told = _has_code(text, Code.INSUFFICIENT_SCOPE)
    if not is_told and len(played.read) > 2:
        text = played.read[2]
        is_told = _has_code(text, Code.INSUFFICIENT_SCOPE)
        heard += f"; again: {_heard(text, Code.INSUFFICIENT_SCOPE, ended=False)}"
    elif not is_told:
        # A new run lists the tools that are left.
        again = signed_in.play(QUOTE)
        is_told = '"quotes"' in _plain(again.read[0]) and again.model.offered("place_order") is None
        heard += f"; again: {'the tool is not listed' if is_told else 'listed'}"
    case.note("Scope taken", heard)
    assert is_told, (played, text)
    assert not _MAY_HAVE_RUN.search(text), text


@contextlib.contextmanager
def _all_calls_used_up(wire: Wire) -> Iterator[Callable[[], None]]:
    """What uses up the calls of the minute and takes each that comes free until a slow host has made its own."""
    ended = threading.Event()

    def is_used_up() -> bool:
        result = wire.call("get_quote", {"symbols": ["BTC/USD"]}).json()["result"]
        return bool(result.get("isError"))

    def fill() -> None:
        while not ended.wait(0.1):
            is_used_up()

    filling = threading.Thread(target=fill, daemon=True)

    def use_up() -> None:
        until(is_used_up, seconds=30, what="the calls of the minute are used up")
        filling.start()

    try:
        yield use_up
    finally:
        ended.set()
        if filling.is_alive():
            filling.join()


def test_a_throttle_is_told_with_the_time_to_wait(case: Case) -> None:
    wire = Wire(case.server.mcp_url, case.server.quickstart["paper_key_read"])
    with _all_calls_used_up(wire) as use_up:
        played = case.play(Step(tool="get_quote", words=QUOTE.words, arguments=QUOTE.arguments, before=use_up))
    (text,) = played.read
    case.note("Throttle", _heard(text, Code.RATE_LIMITED, ended=False))
    assert _has_code(text, Code.RATE_LIMITED), played
    assert "retry_after" in text


def test_after_a_revocation_the_model_gets_nothing(case: Case) -> None:
    quickstart = case.server.quickstart

    def revoke() -> None:
        with Person(case.server.url, quickstart["username"], quickstart["password"]) as person:
            person.revoke_app(_APP)

    played = case.play(Step(tool="get_cash", words="cash balance", arguments={}, before=revoke))
    text = "".join(played.read)
    case.note("After a revocation", _heard(text, Code.APP_REVOKED, ended=not played.read))
    assert '"balances"' not in _plain(text) and '"cash"' not in _plain(text), played
    assert not _MAY_HAVE_RUN.search(text), text


def _heard(text: str, code: Code, *, ended: bool) -> str:
    """How a refusal outside a tool's result arrives."""
    if ended:
        return "ends the run"
    if _has_code(text, code):
        return "code and message"
    if _MAY_HAVE_RUN.search(text):
        return "that it may have run"
    if re.search(r"\b40[13]\b", text):
        return "HTTP status"
    return "words of the host" if text else "nothing"
