"""One desk behind two endpoints, on a real server."""

import httpx2

from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.serving import Server


def test_an_order_placed_over_rest_is_the_same_order_over_mcp(server: Server) -> None:
    key = server.quickstart["paper_key_trade"]
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=server.url, headers=headers, timeout=at_most(30)) as rest:
        order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}
        made = rest.post("/api/v1/orders", json=order).json()
        answer = rest.post("/api/v1/orders/confirm", json={"confirmation_id": made["confirmation"]["id"]})
        assert (answer.status_code, answer.json()["status"]) == (200, "filled")
        seen = Wire(server.mcp_url, key).result("get_order_status", {"order_id": made["order"]["id"]})
        assert seen["order"]["status"] == "filled"
        assert seen["order"]["average_price"] == answer.json()["average_price"]
        tools = {call["tool"] for call in rest.get("/api/v1/activity").json()["items"]}
    assert {"rest:place_order", "rest:confirm_order", "get_order_status"} <= tools
