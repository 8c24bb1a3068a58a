"""The limits of calls a minute, at the door: a tool error that says when to retry, over all apps of a user."""

from collections.abc import Iterator

import pytest

from tests import serving
from tests.mcpserver.wire import Wire
from tests.serving import Server


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving.serve(
        tmp_path_factory.mktemp("tight") / "home",
        TRADELATCH_CALLS_PER_MINUTE="6",
        TRADELATCH_TRADE_CALLS_PER_MINUTE="2",
    ) as server:
        yield server


def test_the_limits_hold_over_all_apps_of_a_user_and_cancels_pass_them(tight: Server) -> None:
    trade = Wire(tight.mcp_url, tight.quickstart["paper_key_trade"])
    read = Wire(tight.mcp_url, tight.quickstart["paper_key_read"])
    order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1", "order_type": "LMT", "limit_price": "100"}
    prepared = trade.result("place_order", order)
    trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    refused = trade.refusal("place_order", order)
    assert refused["code"] == "rate_limited"
    assert 1 <= refused["retry_after_seconds"] <= 60
    assert f"Try again in {refused['retry_after_seconds']} s" in refused["message"]

    for _ in range(4):
        read.result("get_cash", {})
    assert read.refusal("get_cash", {})["code"] == "rate_limited"
    assert trade.refusal("get_cash", {})["code"] == "rate_limited", "the user's apps share the minute"
    cancelled = trade.result("cancel_order", {"order_id": prepared["order"]["order_id"]})
    assert cancelled["status"] == "cancelled"
