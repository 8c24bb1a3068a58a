"""Every kind of order, and every tool that trades, through /mcp on the paper broker."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from console.errors import Code, Retry, retry_of
from tests import serving
from tests.mcpserver.wire import Wire
from tests.serving import Server

BUY = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving.serve(
        tmp_path_factory.mktemp("trade") / "home",
        TRADELATCH_CALLS_PER_MINUTE="10000",
        TRADELATCH_TRADE_CALLS_PER_MINUTE="10000",
        TRADELATCH_CANCELS_PER_MINUTE="10000",
    ) as server:
        yield server


@pytest.fixture
def trade(own: Server) -> Iterator[Wire]:
    wire = Wire(own.mcp_url, own.quickstart["paper_key_trade"])
    yield wire
    wire.result("cancel_all_orders", {})


def confirmed(trade: Wire, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    prepared = trade.result(tool, arguments)
    assert prepared["status"] == "needs_confirmation", prepared
    return trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})


def held(trade: Wire) -> Decimal:
    found = trade.result("get_positions", {"symbol": "BTC/USD"})["positions"]
    return Decimal(found[0]["quantity"]) if found else Decimal(0)


# -- kinds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "words", "status"),
    [
        ({}, "Buy 0.1 BTC/USD, market, day", "filled"),
        ({"tif": "IOC"}, ", immediate or cancel", "filled"),
        ({"tif": "FOK"}, ", fill or kill", "filled"),
        ({"quantity": None, "notional": "250"}, "Buy 250.00 USD of BTC/USD, market, day", "filled"),
        ({"order_type": "LMT", "limit_price": "100", "tif": "GTC"}, "limit 100.00 USD, GTC", "working"),
        ({"order_type": "LMT", "limit_price": "100", "post_only": True}, ", day, post only", "working"),
        ({"order_type": "STP", "stop_price": "7500"}, "stop 7,500.00 USD, day", "working"),
        (
            {"order_type": "STP_LIMIT", "stop_price": "7500", "limit_price": "7510"},
            "stop 7,500.00 USD limit 7,510.00 USD, day",
            "working",
        ),
        ({"order_type": "TRAIL", "trail_percent": "2", "tif": "GTC"}, "trailing stop 2%, GTC", "working"),
        ({"order_type": "TRAIL", "trail_amount": "150"}, "trailing stop 150.00 USD, day", "working"),
    ],
    ids=["MKT", "IOC", "FOK", "notional", "LMT", "post only", "STP", "STP_LIMIT", "TRAIL percent", "TRAIL amount"],
)
def test_each_kind_is_shown_in_words_and_reaches_the_broker(
    trade: Wire, terms: dict[str, Any], words: str, status: str
) -> None:
    arguments = {name: value for name, value in (BUY | terms).items() if value is not None}
    seen = trade.result("preview_order", arguments)
    assert (seen["execution"], seen["would_pass"]) == ("native", True)
    prepared = trade.result("place_order", arguments)
    assert words in prepared["summary"]
    assert words in seen["summary"]
    order = trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})["order"]
    assert order["status"] == status
    for name, value in terms.items():
        if value is not None:
            assert order[name] == value
    if status == "working":
        assert trade.result("cancel_order", {"order_id": order["order_id"]})["status"] == "cancelled"


def test_a_bracket_shows_its_exits_which_are_orders_that_end_with_it(trade: Wire) -> None:
    arguments = BUY | {
        "order_type": "LMT",
        "limit_price": "100",
        "tif": "GTC",
        "order_class": "bracket",
        "take_profit": "120",
        "stop_loss": "90",
    }
    prepared = trade.result("place_order", arguments)
    told = "once filled: take profit 120.00 USD or stop loss 90.00 USD"
    assert told in prepared["summary"]
    assert [leg["status"] for leg in prepared["legs"]] == ["awaiting_confirmation"] * 2
    sent = trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    parent = sent["order"]["order_id"]
    assert [(leg["order_type"], leg["status"], leg["parent_order_id"]) for leg in sent["legs"]] == [
        ("LMT", "working", parent),
        ("STP", "working", parent),
    ]
    leg = trade.result("get_order_status", {"order_id": sent["legs"][1]["order_id"]})["order"]
    assert (leg["stop_price"], leg["side"]) == ("90", "SELL")
    trade.result("cancel_order", {"order_id": parent})
    trade.result("get_orders", {})
    after = trade.result("get_order_status", {"order_id": parent})
    assert [each["status"] for each in (after["order"], *after["legs"])] == ["cancelled"] * 3


def test_one_cancels_the_other_and_one_triggers_the_other(trade: Wire) -> None:
    confirmed(trade, "place_order", BUY)
    oco = confirmed(
        trade,
        "place_order",
        {**BUY, "side": "SELL", "tif": "GTC", "order_class": "oco", "take_profit": "1000000", "stop_loss": "100"},
    )
    assert (oco["order"]["order_type"], oco["order"]["limit_price"]) == ("LMT", "1000000")
    assert [leg["stop_price"] for leg in oco["legs"]] == ["100"]
    trade.result("cancel_order", {"order_id": oco["order"]["order_id"]})
    both = trade.result("get_order_status", {"order_id": oco["order"]["order_id"]})
    assert [each["status"] for each in (both["order"], *both["legs"])] == ["cancelled"] * 2
    assert "external" not in trade.result("get_orders", {})
    oto = confirmed(
        trade,
        "place_order",
        BUY | {"order_type": "LMT", "limit_price": "100", "order_class": "oto", "stop_loss_trail_percent": "5"},
    )
    assert [(leg["order_type"], leg["trail_percent"], leg["tif"]) for leg in oto["legs"]] == [("TRAIL", "5", "GTC")]


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({"notional": "10"}, "invalid_argument", "quantity"),
        ({"quantity": None}, "missing_argument", "quantity"),
        ({"order_type": "TRAIL"}, "missing_argument", "trail_percent"),
        ({"order_type": "TRAIL", "trail_percent": "1", "trail_amount": "1"}, "invalid_argument", "trail_percent"),
        ({"trail_percent": "1"}, "invalid_argument", "trail_percent"),
        ({"order_type": "TRAIL", "trail_percent": "100"}, "invalid_argument", "trail_percent"),
        ({"post_only": True}, "invalid_argument", "post_only"),
        ({"outside_rth": True}, "invalid_argument", "outside_rth"),
        ({"order_type": "LMT", "limit_price": "9", "outside_rth": True}, "not_offered_by_broker", "outside_rth"),
        ({"take_profit": "9"}, "invalid_argument", "take_profit"),
        ({"order_class": "bracket", "take_profit": "9"}, "missing_argument", "stop_loss"),
        ({"order_class": "bracket", "take_profit": "9", "stop_loss": "10"}, "invalid_argument", "stop_loss"),
        (
            {"order_type": "LMT", "limit_price": "9", "order_class": "oto", "take_profit": "8"},
            "invalid_argument",
            "take_profit",
        ),
        ({"order_class": "oto"}, "missing_argument", "take_profit"),
        ({"order_class": "oco", "order_type": "LMT", "limit_price": "9"}, "invalid_argument", "order_type"),
        ({"legs": [{"symbol": "AAPL"}]}, "not_offered_by_broker", "legs"),
        ({"order_type": "STP", "stop_price": "9", "tif": "FOK"}, "not_offered_by_broker", "tif"),
    ],
)
def test_terms_that_make_no_sense_are_refused_by_name(
    trade: Wire, terms: dict[str, Any], code: str, field: str
) -> None:
    arguments = {name: value for name, value in (BUY | terms).items() if value is not None}
    for tool in ("preview_order", "place_order"):
        refusal = trade.refusal(tool, arguments)
        assert (refusal["code"], refusal["field"], refusal["retry"]) == (code, field, "after_change")


def test_capabilities_name_what_the_broker_takes(trade: Wire) -> None:
    trading = trade.result("get_capabilities", {})["trading"]
    assert trading["order_types"] == ["MKT", "LMT", "STP", "STP_LIMIT", "TRAIL"]
    assert trading["time_in_force_of"]["TRAIL"] == ["DAY", "GTC"]
    assert trading["order_classes"] == ["simple", "bracket", "oco", "oto"]
    assert {"modify", "notional", "reduce_only"} <= set(trading["also"])
    assert "outside_rth" not in trading["also"]


# -- modify and cancel ---------------------------------------------------------------------------------------

REST = BUY | {"order_type": "LMT", "limit_price": "100", "tif": "GTC"}


def test_a_working_order_is_modified_in_one_step_that_is_confirmed(trade: Wire) -> None:
    order_id = confirmed(trade, "place_order", REST)["order"]["order_id"]
    prepared = trade.result("modify_order", {"order_id": order_id, "limit_price": "110", "quantity": "0.2"})
    waiting = trade.result("get_pending_confirmations", {})["pending"]
    assert [(each["action"], each["order_id"]) for each in waiting] == [("modify", order_id)]
    done = trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    assert (done["status"], done["order"]["limit_price"], done["order"]["quantity"]) == ("done", "110", "0.2")
    status = trade.result("get_order_status", {"order_id": order_id})
    assert [(each["status"], each["limit_price"]) for each in status["modifications"]] == [("done", "110")]
    assert len(trade.result("get_orders", {})["orders"]) == 1


def test_cancel_all_says_what_became_of_each_and_takes_one_symbol_where_asked(trade: Wire) -> None:
    bitcoin = confirmed(trade, "place_order", REST)["order"]["order_id"]
    one_apple = REST | {"symbol": "AAPL", "quantity": "1", "limit_price": "10"}
    apple = confirmed(trade, "place_order", one_apple)["order"]["order_id"]
    first = trade.result("cancel_all_orders", {"symbol": "aapl"})
    assert (first["cancelled"], [each["order_id"] for each in first["results"]]) == (1, [apple])
    second = trade.result("cancel_all_orders", {})
    assert [(each["order_id"], each["status"]) for each in second["results"]] == [(bitcoin, "cancelled")]
    assert trade.result("cancel_all_orders", {})["results"] == []


# -- batch ---------------------------------------------------------------------------------------------------


def test_a_batch_is_shown_and_confirmed_as_one(trade: Wire) -> None:
    orders = [REST | {"client_order_id": f"batch-{number}", "limit_price": str(100 + number)} for number in range(3)]
    prepared = trade.result("place_batch_orders", {"orders": orders})
    assert prepared["execution"] == "synthesised"
    assert "3 orders" in prepared["summary"]
    assert "All must pass every check, or none is sent." in prepared["summary"]
    again = trade.result("place_batch_orders", {"orders": orders})
    assert again["confirmation_id"] == prepared["confirmation_id"]
    refusal = trade.refusal("place_batch_orders", {"orders": orders[:2]})
    assert (refusal["code"], refusal["retry"]) == ("duplicate_order_id", "after_change")
    sent = trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    assert [each["status"] for each in sent["orders"]] == ["working"] * 3
    assert sent["status"] == "working"


def test_a_batch_names_the_order_it_refuses(trade: Wire) -> None:
    refusal = trade.refusal("place_batch_orders", {"orders": [REST, REST | {"limit_price": "0.001"}]})
    assert (refusal["code"], refusal["field"]) == ("invalid_order", "orders[1].limit_price")
    refusal = trade.refusal("place_batch_orders", {"orders": [REST, {"symbol": "AAPL", "colour": "red"}]})
    assert (refusal["code"], refusal["field"]) == ("unknown_argument", "orders[1].colour")
    refusal = trade.refusal("place_batch_orders", {"orders": [REST] * 21})
    assert refusal["field"] == "orders"


def test_a_batch_must_be_payable_togapple(trade: Wire) -> None:
    power = Decimal(trade.result("get_account_summary", {})["buying_power"])
    half = (power * 6 / 10 / 100).quantize(Decimal("0.1"))
    orders = [REST | {"quantity": str(half)}] * 2
    assert trade.result("preview_order", orders[0])["would_pass"]
    assert trade.refusal("place_batch_orders", {"orders": orders})["code"] == "insufficient_funds"
    assert trade.result("get_orders", {})["orders"] == []


# -- positions -----------------------------------------------------------------------------------------------


def test_a_position_is_closed_in_part_and_whole(trade: Wire) -> None:
    confirmed(trade, "place_order", BUY)
    before = held(trade)
    half = trade.result("close_position", {"symbol": "BTC/USD", "percent": "50"})
    assert half["order"]["reduce_only"] is True
    trade.result("confirm_trade", {"confirmation_id": half["confirmation_id"]})
    assert 0 < held(trade) < before
    prepared = trade.result("close_position", {"symbol": "BTC/USD"})
    assert "This closes the whole position" in prepared["summary"]
    trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    assert held(trade) == 0
    assert trade.refusal("close_position", {"symbol": "BTC/USD"})["code"] == "no_position"


def test_a_close_whose_position_shrank_is_refused_and_never_turns_it(trade: Wire) -> None:
    confirmed(trade, "place_order", BUY)
    prepared = trade.result("close_position", {"symbol": "BTC/USD"})
    confirmed(trade, "place_order", BUY | {"side": "SELL", "quantity": "0.05"})
    refusal = trade.refusal("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    assert (refusal["code"], refusal["retry"]) == ("position_changed", "after_change")
    assert held(trade) > 0
    for wrong, field in (({"percent": "101"}, "percent"), ({"percent": "5", "quantity": "1"}, "percent")):
        assert trade.refusal("close_position", {"symbol": "BTC/USD", **wrong})["field"] == field
    assert trade.refusal("close_position", {"symbol": "BTC/USD", "quantity": "900"})["field"] == "quantity"


def test_an_account_is_flattened_its_orders_first(trade: Wire) -> None:
    confirmed(trade, "place_order", BUY)
    confirmed(trade, "place_order", BUY | {"symbol": "AAPL", "quantity": "1"})
    resting = confirmed(trade, "place_order", {**REST, "side": "SELL", "limit_price": "1000000"})["order"]
    prepared = trade.result("flatten_account", {})
    assert "1 working order will be cancelled first." in prepared["summary"]
    assert prepared["execution"] == "synthesised"
    assert trade.result("get_order_status", {"order_id": resting["order_id"]})["order"]["status"] == "working"
    done = trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    assert {each["status"] for each in done["orders"]} == {"filled"}
    assert trade.result("get_order_status", {"order_id": resting["order_id"]})["order"]["status"] == "cancelled"
    assert trade.result("get_positions", {})["positions"] == []
    assert trade.refusal("flatten_account", {})["code"] == "no_position"


# -- idempotency and orders made elsewhere -------------------------------------------------------------------


def test_the_same_client_order_id_is_the_same_order_and_another_body_a_conflict(trade: Wire) -> None:
    bracket = REST | {"order_class": "bracket", "take_profit": "120", "stop_loss": "90", "client_order_id": "mine"}
    first = trade.result("place_order", bracket)
    assert trade.result("place_order", bracket)["confirmation_id"] == first["confirmation_id"]
    for other in ({"stop_loss": "91"}, {"tif": "DAY"}, {"post_only": True}, {"order_class": "simple"}):
        arguments = bracket | other
        if other == {"order_class": "simple"}:
            del arguments["take_profit"], arguments["stop_loss"]
        assert trade.refusal("place_order", arguments)["code"] == "duplicate_order_id"
    trade.result("confirm_trade", {"confirmation_id": first["confirmation_id"]})
    again = trade.result("place_order", bracket)
    assert (again["status"], again["order"]["order_id"]) == ("working", first["order"]["order_id"])
    refusal = trade.refusal("confirm_trade", {"confirmation_id": first["confirmation_id"]})
    assert (refusal["code"], refusal["retry"]) == ("confirmation_used", "check_status")


def test_open_orders_made_elsewhere_are_shown_as_external(trade: Wire, own: Server) -> None:
    confirmed(trade, "place_order", REST)
    assert "external" not in trade.result("get_orders", {})
    own.query("UPDATE orders_order SET wire_id = 'elsewhere' WHERE status = 'working'")
    answer = trade.result("get_orders", {})
    assert [(each["symbol"], each["limit_price"]) for each in answer["external"]] == [("BTC/USD", "100")]
    own.query("UPDATE orders_order SET status = 'cancelled' WHERE wire_id = 'elsewhere'")


def test_every_code_says_whether_to_retry_and_only_what_did_nothing_is_safe() -> None:
    by_kind = {kind: {code for code in Code if retry_of(code) is kind} for kind in Retry}
    assert by_kind[Retry.SAFE] == {
        *(Code.REQUEST_TIMEOUT, Code.RATE_LIMITED, Code.CONFIRMED_TOO_SOON),
        *(Code.BROKER_UNAVAILABLE, Code.LIMIT_UNPROVABLE),
    }
    assert by_kind[Retry.CHECK_STATUS] == {
        *(Code.OUTCOME_UNKNOWN, Code.CONFIRMATION_USED, Code.AUDIT_UNAVAILABLE),
        *(Code.DATABASE_UNAVAILABLE, Code.INTERNAL_ERROR),
    }


def test_a_key_that_may_only_read_reaches_none_of_it(trade: Wire, own: Server) -> None:
    order_id = confirmed(trade, "place_order", REST)["order"]["order_id"]
    waiting = trade.result("modify_order", {"order_id": order_id, "limit_price": "90"})["confirmation_id"]
    reader = Wire(own.mcp_url, own.quickstart["paper_key_read"])
    assert reader.refusal("cancel_all_orders", {})["code"] == "insufficient_scope"
    assert reader.refusal("confirm_trade", {"confirmation_id": waiting})["code"] == "insufficient_scope"
    for tool, arguments in (
        ("modify_order", {"order_id": order_id, "quantity": "1"}),
        ("place_batch_orders", {"orders": [REST]}),
        ("close_position", {"symbol": "BTC/USD"}),
        ("reverse_position", {"symbol": "BTC/USD"}),
        ("flatten_account", {}),
    ):
        assert reader.refusal(tool, arguments)["code"] == "insufficient_scope"
    trade.result("discard_confirmation", {"confirmation_id": waiting})
