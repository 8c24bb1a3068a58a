"""Looking at orders, looking before ordering, and dropping what was prepared."""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from tests import serving
from tests.mcpserver.wire import Wire
from tests.serving import Server

LIMIT: dict[str, Any] = {
    "symbol": "BTC/USD",
    "side": "BUY",
    "quantity": "0.01",
    "order_type": "LMT",
    "limit_price": "100",
    "tif": "GTC",
}
MARKET = {"symbol": "AAPL", "side": "BUY", "quantity": "1"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving.serve(tmp_path_factory.mktemp("orders") / "home") as server:
        yield server


@pytest.fixture
def trade(own: Server) -> Wire:
    return Wire(own.mcp_url, own.quickstart["paper_key_trade"])


@pytest.fixture
def read(own: Server) -> Wire:
    return Wire(own.mcp_url, own.quickstart["paper_key_read"])


def place(trade: Wire, **terms: str) -> dict[str, Any]:
    """Confirmed, and at the broker."""
    prepared = trade.result("place_order", LIMIT | terms)
    order: dict[str, Any] = trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})["order"]
    return order


def ids(answer: dict[str, Any]) -> list[str]:
    return [order["order_id"] for order in answer["orders"]]


def count(own: Server) -> int:
    found: int = own.query("SELECT count(*) FROM orders_order")[0][0]
    return found


# -- get_orders ----------------------------------------------------------------------------------------------


def test_pages_follow_each_other_while_new_orders_come_in(trade: Wire) -> None:
    placed = [place(trade)["order_id"] for _ in range(5)]
    first = trade.result("get_orders", {"limit": 2})
    assert ids(first) == placed[:-3:-1]
    place(trade)
    second = trade.result("get_orders", {"limit": 2, "cursor": first["next_cursor"]})
    assert ids(second) == [placed[2], placed[1]]
    rest = trade.result("get_orders", {"limit": 200, "cursor": second["next_cursor"]})
    assert ids(rest)[0] == placed[0]
    assert "next_cursor" not in rest


def test_a_page_that_is_just_full_says_that_there_is_no_more(trade: Wire) -> None:
    place(trade)
    total = len(ids(trade.result("get_orders", {"limit": 200})))
    assert "next_cursor" not in trade.result("get_orders", {"limit": total})


def test_orders_are_found_by_status_and_open_ones_by_default(trade: Wire) -> None:
    resting, gone = place(trade)["order_id"], place(trade)["order_id"]
    trade.result("cancel_order", {"order_id": gone})
    waiting = trade.result("place_order", LIMIT)["order"]["order_id"]

    def holds(**wanted: str) -> set[str]:
        return set(ids(trade.result("get_orders", wanted))) & {resting, gone, waiting}

    assert holds() == holds(status="open") == {resting}
    assert holds(status="closed") == holds(status="cancelled") == {gone}
    assert holds(status="awaiting_confirmation") == {waiting}
    assert holds(status="all") == {resting, gone, waiting}
    assert trade.refusal("get_orders", {"status": "lost"})["field"] == "status"


def test_orders_are_found_by_symbol_and_by_time(trade: Wire) -> None:
    order = place(trade, symbol="AAPL", quantity="1")["order_id"]
    assert ids(trade.result("get_orders", {"symbol": "aapl"})) == [order]
    now = timezone.now()
    later, earlier = (now + timedelta(minutes=5)).isoformat(), (now - timedelta(minutes=5)).isoformat()
    assert order in ids(trade.result("get_orders", {"start": earlier, "end": later}))
    assert trade.result("get_orders", {"start": later})["orders"] == []
    assert trade.result("get_orders", {"end": earlier})["orders"] == []
    assert trade.refusal("get_orders", {"start": later, "end": earlier})["field"] == "start"


@pytest.mark.parametrize("cursor", ["b3JkZXJzOm9yZF8x", "b3JkZXJzOjI", "2", "' OR 1=1 --"])
def test_a_cursor_of_nobodys_is_refused(trade: Wire, cursor: str) -> None:
    refused = trade.refusal("get_orders", {"cursor": cursor})
    assert (refused["code"], refused["field"]) == ("invalid_argument", "cursor")


# -- get_order_status ----------------------------------------------------------------------------------------


def test_one_order_is_found_by_either_id_with_its_fills_and_history(trade: Wire) -> None:
    prepared = trade.result("place_order", MARKET | {"client_order_id": "mine-1"})
    order = trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})["order"]
    by_ours = trade.result("get_order_status", {"order_id": order["order_id"]})
    by_theirs = trade.result("get_order_status", {"client_order_id": "mine-1", "account_id": order["account_id"]})
    assert by_ours["order"] == by_theirs["order"]
    assert [step["status"] for step in by_ours["history"]][:3] == ["awaiting_confirmation", "intent", "sending"]
    assert by_ours["fills"][0]["quantity"] == "1"


def test_an_order_is_not_found_under_another_account(trade: Wire) -> None:
    order = place(trade)["order_id"]
    for tool in ("get_order_status", "cancel_order"):
        refused = trade.refusal(tool, {"order_id": order, "account_id": "ELSEWHERE"})
        assert refused["code"] == "unknown_order"


# -- preview_order -------------------------------------------------------------------------------------------


def test_a_preview_tells_the_cost_and_keeps_nothing(trade: Wire, own: Server) -> None:
    before = count(own)
    seen = trade.result("preview_order", MARKET)
    assert seen["would_pass"] is True
    assert float(seen["estimate"]["cash_effect"]) < 0 <= float(seen["estimate"]["fee"])
    after = float(seen["estimate"]["buying_power"]) + float(seen["estimate"]["cash_effect"])
    assert float(seen["buying_power_after"]) == pytest.approx(after)
    assert all(check["ok"] for check in seen["checks"])
    assert "no limit price" in seen["warnings"][0]
    assert count(own) == before


def test_what_is_shown_by_the_preview_is_what_is_shown_for_the_order(trade: Wire) -> None:
    seen, prepared = trade.result("preview_order", LIMIT), trade.result("place_order", LIMIT)
    ago = re.compile(r"\d+ seconds? ago")  # how long since the same order was confirmed, where another test did that
    assert ago.sub("", seen["summary"]) == ago.sub("", prepared["summary"])
    assert seen["estimate"] == prepared["estimate"]
    assert "warnings" not in seen


def test_a_reader_may_look_and_is_told_that_it_could_not_place_it(read: Wire) -> None:
    seen = read.result("preview_order", MARKET)
    assert seen["would_pass"] is False
    assert [check["code"] for check in seen["checks"] if not check["ok"]] == ["insufficient_scope"]


@pytest.mark.parametrize(
    ("side", "limit", "word"), [("BUY", "100000", "ask"), ("SELL", "0.01", "bid")], ids=["buy", "sell"]
)
def test_a_limit_through_the_market_is_pointed_out(trade: Wire, side: str, limit: str, word: str) -> None:
    prepared = trade.result("place_order", MARKET)
    trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    seen = trade.result("preview_order", MARKET | {"side": side, "order_type": "LMT", "limit_price": limit})
    assert seen["warnings"] == [seen["warnings"][0]]
    assert f"through the {word}" in seen["warnings"][0]


def test_a_client_order_id_that_is_taken_is_pointed_out(trade: Wire) -> None:
    trade.result("place_order", LIMIT | {"client_order_id": "mine-2"})
    seen = trade.result("preview_order", LIMIT | {"client_order_id": "mine-2"})
    assert "mine-2 is already used by an order" in seen["warnings"][0]


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"quantity": "0"}, "invalid_argument"),
        ({"quantity": "100000"}, "insufficient_funds"),
        ({"symbol": "DOGECOIN"}, "unknown_symbol"),
        ({"side": "SELL", "quantity": "1000"}, "insufficient_position"),
        ({"colour": "red"}, "unknown_argument"),
        ({"leverage": "10"}, "not_offered_by_broker"),
        ({"account_id": "ELSEWHERE"}, "unknown_account"),
    ],
)
def test_what_no_permission_could_save_is_refused(trade: Wire, terms: dict[str, str], code: str) -> None:
    assert trade.refusal("preview_order", MARKET | terms)["code"] == code


# -- get_max_order -------------------------------------------------------------------------------------------


def test_the_largest_order_passes_its_preview_and_a_cent_more_does_not(trade: Wire, own: Server) -> None:
    before = count(own)
    asked = {"symbol": "BTC/USD", "side": "BUY", "order_type": "LMT", "limit_price": "100"}
    found = trade.result("get_max_order", asked)
    assert (found["bound_by"]["bound"], found["bound_by"]["refused_by"]) == ("funds", "preview")
    assert found["summary"].startswith("Buy at most ")
    assert Decimal(found["bound_by"]["has"]) >= -Decimal(found["estimate"]["cash_effect"]) > 0
    assert trade.result("preview_order", asked | {"quantity": found["quantity"]})["would_pass"] is True
    more = str(Decimal(found["quantity"]) + Decimal(found["step"]))
    assert trade.refusal("preview_order", asked | {"quantity": more})["code"] == "insufficient_funds"
    assert count(own) == before


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({"symbol": "DOGECOIN"}, "unknown_symbol", None),
        ({"account_id": "ELSEWHERE"}, "unknown_account", "account_id"),
        ({"order_type": "LMT"}, "missing_argument", "limit_price"),
        ({"order_type": "TRAIL"}, "invalid_argument", "order_type"),
        ({"quantity": "1"}, "unknown_argument", "quantity"),
    ],
)
def test_terms_that_no_size_could_save_are_refused(
    trade: Wire, terms: dict[str, str], code: str, field: str | None
) -> None:
    refused = trade.refusal("get_max_order", {"symbol": "BTC/USD", "side": "BUY"} | terms)
    assert (refused["code"], refused.get("field")) == (code, field)


# -- what waits ----------------------------------------------------------------------------------------------


def test_what_waits_is_listed_until_it_is_discarded(trade: Wire, own: Server) -> None:
    prepared = trade.result("place_order", LIMIT)
    confirmation = {"confirmation_id": prepared["confirmation_id"]}
    waiting = trade.result("get_pending_confirmations", {})["pending"]
    assert waiting[0] == {
        "confirmation_id": prepared["confirmation_id"],
        "action": "place",
        "expires_at": prepared["expires_at"],
        "summary": prepared["summary"],
        "order_id": prepared["order"]["order_id"],
        "account_id": prepared["order"]["account_id"],
    }
    assert trade.result("get_pending_confirmations", {"account_id": "ELSEWHERE"})["pending"] == []
    discarded = trade.result("discard_confirmation", confirmation)
    assert discarded["status"] == "cancelled"
    assert prepared["confirmation_id"] not in str(trade.result("get_pending_confirmations", {}))
    for tool in ("confirm_trade", "discard_confirmation"):
        assert trade.refusal(tool, confirmation)["code"] == "confirmation_used"
    status = own.query("SELECT sent_at FROM orders_order WHERE public_id = ?", prepared["order"]["order_id"])
    assert status == [(None,)]


def test_what_was_confirmed_cannot_be_discarded(trade: Wire) -> None:
    prepared = trade.result("place_order", LIMIT)
    confirmation = {"confirmation_id": prepared["confirmation_id"]}
    trade.result("confirm_trade", confirmation)
    assert trade.refusal("discard_confirmation", confirmation)["code"] == "confirmation_used"
    found = trade.result("get_order_status", {"order_id": prepared["order"]["order_id"]})
    assert found["order"]["status"] == "working"
