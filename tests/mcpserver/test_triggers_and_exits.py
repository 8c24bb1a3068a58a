"""Orders are told as they stand against the market: a stop that is met does not wait, and an exit has to be able to."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests import serving
from tests.mcpserver.wire import Wire
from tests.serving import Server

BUY = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1", "tif": "GTC"}
SELL = BUY | {"side": "SELL"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving.serve(tmp_path_factory.mktemp("triggers") / "home") as server:
        yield server


@pytest.fixture(scope="module")
def trade(own: Server) -> Wire:
    wire = Wire(own.mcp_url, own.quickstart["paper_key_trade"])
    held = wire.result("place_order", {"symbol": "BTC/USD", "side": "BUY", "quantity": "1"})
    wire.result("confirm_trade", {"confirmation_id": held["confirmation_id"]})
    return wire


@pytest.fixture(autouse=True)
def nothing_rests(trade: Wire) -> Iterator[None]:
    yield
    trade.result("cancel_all_orders", {})


def at(trade: Wire, percent: str) -> str:
    """A price so far from the market, in percent of it."""
    last = Decimal(trade.result("get_quote", {"symbols": ["BTC/USD"]})["quotes"][0]["last"])
    return str((last * (1 + Decimal(percent) / 100)).quantize(Decimal("0.01")))


def priced(trade: Wire, terms: dict[str, str]) -> dict[str, Any]:
    """Terms whose prices are given as percent of the market, such as ``-5%``."""
    return {name: at(trade, value[:-1]) if value.endswith("%") else value for name, value in terms.items()}


def verdict(trade: Wire, order: dict[str, Any]) -> dict[str, Any]:
    seen = trade.result("preview_order", order)
    (check,) = [each for each in seen["checks"] if each["check"] == "triggers and exits"]
    return {**check, "would_pass": seen["would_pass"], "summary": seen["summary"]}


MET = [
    (BUY | {"order_type": "STP", "stop_price": "-50%"}, "stop_price", "buys at once"),
    (SELL | {"order_type": "STP", "stop_price": "50%"}, "stop_price", "sells at once"),
    (BUY | {"order_type": "STP_LIMIT", "stop_price": "-5%", "limit_price": "5%"}, "stop_price", "buys at once"),
    (BUY | {"order_type": "STP_LIMIT", "stop_price": "-5%", "limit_price": "-10%"}, "stop_price", "limit order"),
]


@pytest.mark.parametrize(("terms", "field", "words"), MET, ids=["buy", "sell", "stop-limit", "far limit"])
def test_a_trigger_that_is_met_already_has_to_be_meant(
    trade: Wire, terms: dict[str, str], field: str, words: str
) -> None:
    order = priced(trade, terms)
    found = verdict(trade, order)
    assert (found["ok"], found["would_pass"], found["code"]) == (False, False, "trigger_already_met")
    assert "already met" in found["summary"] and "waits" not in found["summary"].split("already met")[0]
    refusal = trade.refusal("place_order", order)
    assert (refusal["code"], refusal["field"], refusal["retry"]) == ("trigger_already_met", field, "after_change")
    assert words in refusal["message"] and "at_once" in refusal["message"]
    batch = trade.refusal("place_batch_orders", {"orders": [BUY | {"tif": "IOC"}, order]})
    assert (batch["code"], batch["field"]) == ("trigger_already_met", f"orders[1].{field}")
    assert trade.result("get_pending_confirmations", {})["pending"] == []


def test_a_met_trigger_that_is_meant_is_shown_as_acting_at_once_and_does(trade: Wire) -> None:
    order = priced(trade, MET[0][0]) | {"at_once": True, "client_order_id": "meant"}
    assert verdict(trade, order)["would_pass"]
    prepared = trade.result("place_order", order)
    assert "already met: buys at once, at about" in prepared["summary"]
    unmeant = trade.refusal("place_order", order | {"at_once": False})
    assert unmeant["code"] == "duplicate_order_id"
    done = trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    assert done["status"] == "filled"


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (BUY | {"order_type": "LMT", "limit_price": "-20%"}, ": 20.0% below, waits."),
        (BUY | {"order_type": "LMT", "limit_price": "20%"}, ": 20.0% above, buys at once, at about"),
        (SELL | {"order_type": "LMT", "limit_price": "-5%"}, ": 5.0% below, sells at once, at about"),
        (BUY | {"order_type": "LMT", "limit_price": "-20%", "tif": "IOC"}, ": 20.0% below, not reached now."),
        (BUY | {"order_type": "STP", "stop_price": "10%"}, ": 10.0% above, waits."),
        (SELL | {"order_type": "TRAIL", "trail_percent": "5"}, ": 5.0% below, where it starts."),
        (BUY | {"order_class": "bracket", "take_profit": "10%", "stop_loss": "-10%"}, ": 10.0% below."),
        (SELL | {"order_class": "oco", "take_profit": "10%", "stop_loss": "-10%"}, ": 10.0% above."),
    ],
)
def test_every_price_is_told_with_its_distance_from_the_market(trade: Wire, terms: dict[str, str], words: str) -> None:
    order = priced(trade, terms)
    assert trade.result("preview_order", order)["would_pass"]
    prepared = trade.result("place_order", order)
    text, last = prepared["summary"], Decimal(prepared["estimate"]["last"])
    assert f"Market: {last:,.2f} USD" in text
    assert words in text
    several = trade.result("place_batch_orders", {"orders": [order, order]})["summary"]
    assert several.count(words) == 2


WRONG = [
    (BUY | {"stop_loss": "5%", "take_profit": "10%"}, "stop_loss"),
    (BUY | {"stop_loss": "-10%", "take_profit": "-5%"}, "take_profit"),
    (BUY | {"order_type": "LMT", "limit_price": "20%", "stop_loss": "10%", "take_profit": "30%"}, "stop_loss"),
    (
        BUY
        | {"order_type": "STP_LIMIT", "stop_price": "5%", "limit_price": "8%", "stop_loss": "6%", "take_profit": "9%"},
        "stop_loss",
    ),
    (BUY | {"order_type": "TRAIL", "trail_percent": "5", "stop_loss": "6%", "take_profit": "9%"}, "stop_loss"),
    (BUY | {"order_type": "TRAIL", "trail_percent": "5", "stop_loss": "-9%", "take_profit": "4%"}, "take_profit"),
]


@pytest.mark.parametrize(
    ("terms", "field"), WRONG, ids=["market stop", "market target", "limit", "stop-limit", "trail", "trail target"]
)
def test_exits_on_the_wrong_side_are_refused_for_every_kind_of_entry(
    trade: Wire, terms: dict[str, str], field: str
) -> None:
    order = priced(trade, terms) | {"order_class": "bracket"}
    found = verdict(trade, order)
    assert (found["ok"], found["code"]) == (False, "exit_on_wrong_side")
    refusal = trade.refusal("place_order", order | {"at_once": True})
    assert (refusal["code"], refusal["field"]) == ("exit_on_wrong_side", field)
    other = "take_profit" if field == "stop_loss" else "stop_loss"
    alone = {name: value for name, value in order.items() if name != other} | {"order_class": "oto"}
    assert trade.refusal("place_order", alone)["code"] == "exit_on_wrong_side"


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"stop_loss": "5%", "take_profit": "10%"}, "stop_loss"),
        ({"stop_loss": "-9%", "take_profit": "-5%"}, "take_profit"),
    ],
)
def test_a_pair_of_exits_must_both_be_able_to_wait(trade: Wire, terms: dict[str, str], field: str) -> None:
    refusal = trade.refusal("place_order", priced(trade, SELL | terms) | {"order_class": "oco"})
    assert (refusal["code"], refusal["field"]) == ("exit_on_wrong_side", field)


def placed(trade: Wire, order: dict[str, Any]) -> dict[str, Any]:
    prepared = trade.result("place_order", order)
    return trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})


def test_a_change_onto_the_other_side_of_the_market_has_to_be_meant(trade: Wire) -> None:
    order_id = placed(trade, priced(trade, BUY | {"order_type": "STP", "stop_price": "10%"}))["order"]["order_id"]
    change = {"order_id": order_id, "stop_price": at(trade, "-10")}
    refusal = trade.refusal("modify_order", change)
    assert (refusal["code"], refusal["field"]) == ("trigger_already_met", "stop_price")
    larger = trade.result("modify_order", {"order_id": order_id, "quantity": "0.2"})
    assert "10.0% above, waits." in larger["summary"]
    meant = trade.result("modify_order", change | {"at_once": True})
    assert "already met: buys at once" in meant["summary"]
    done = trade.result("confirm_trade", {"confirmation_id": meant["confirmation_id"]})
    assert done["order"]["status"] == "filled"


def test_a_changed_exit_still_has_to_be_able_to_wait(trade: Wire) -> None:
    pair = priced(trade, {"take_profit": "10%", "stop_loss": "-10%"})
    live = placed(trade, BUY | pair | {"order_class": "bracket"})
    target, stop = (each["order_id"] for each in live["legs"])
    for order_id, name, price in ((target, "limit_price", "-5"), (stop, "stop_price", "5")):
        refusal = trade.refusal("modify_order", {"order_id": order_id, name: at(trade, price)})
        assert refusal["code"] == "exit_on_wrong_side"
    held = trade.result("modify_order", {"order_id": stop, "stop_price": at(trade, "-5")})
    assert "Stop loss" in held["summary"] and "5.0% below" in held["summary"]
    rests = placed(trade, priced(trade, BUY | {"order_type": "LMT", "limit_price": "-20%"} | {
        "order_class": "bracket", "take_profit": "-10%", "stop_loss": "-30%"}))  # fmt: skip
    target, stop = (each["order_id"] for each in rests["legs"])
    refusal = trade.refusal("modify_order", {"order_id": stop, "stop_price": at(trade, "-15")})
    assert (refusal["code"], "entered at" in refusal["message"]) == ("exit_on_wrong_side", True)
    refusal = trade.refusal("modify_order", {"order_id": rests["order"]["order_id"], "limit_price": at(trade, "-5")})
    assert refusal["code"] == "exit_on_wrong_side"


def test_the_most_a_limit_costs_is_told_with_its_fee(trade: Wire) -> None:
    order = priced(trade, BUY | {"order_type": "LMT", "limit_price": "1%"})
    text = trade.result("place_order", order)["summary"]
    at_limit = Decimal(order["limit_price"]) / 10
    told = Decimal(text.split("At most ")[1].split(" USD with the fee")[0].replace(",", ""))
    assert at_limit < told < at_limit * Decimal("1.01")


def test_warnings_speak_of_the_order_that_is_sent(trade: Wire) -> None:
    waits = trade.result("preview_order", priced(trade, BUY | {"order_type": "STP", "stop_price": "10%"}))
    assert waits["warnings"] == [
        "There is no limit price: once its stop is met, it fills at whatever the market then is."
    ]
    pair = priced(trade, SELL | {"take_profit": "10%", "stop_loss": "-10%"}) | {"order_class": "oco"}
    assert "warnings" not in trade.result("preview_order", pair)


def test_a_close_names_the_orders_that_hold_the_rest(trade: Wire) -> None:
    rests = placed(trade, priced(trade, SELL | {"order_type": "LMT", "limit_price": "20%"}))["order"]["order_id"]
    for tool, arguments in (
        ("close_position", {"symbol": "BTC/USD"}),
        ("place_order", SELL | {"quantity": "100", "tif": "IOC"}),
    ):
        refusal = trade.refusal(tool, arguments)
        assert refusal["code"] == "insufficient_position"
        assert f"Open orders hold the rest: {rests} (Sell 0.1 BTC/USD, limit " in refusal["message"]
