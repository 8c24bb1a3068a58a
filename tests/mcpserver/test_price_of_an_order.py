"""How many SQL statements the calls around an order take; ``make bench-order`` says more of their price."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import serving
from tests.bench.order import STATEMENTS
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.serving import Server

MARKET = {"symbol": "AAPL", "side": "BUY", "quantity": "1"}
RESTING = MARKET | {"order_type": "LMT", "limit_price": "1", "tif": "GTC"}
FOLDER = str(Path(__file__).parent.parent / "bench")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("price") / "home"
    with serving.serve(home, app="counting_server:application", PYTHONPATH=FOLDER) as server:
        yield server


@pytest.fixture(scope="module")
def trade(own: Server) -> Wire:
    wire = Wire(own.mcp_url, own.quickstart["paper_key_trade"])
    for order in (MARKET, RESTING):  # a position and a resting order; and whatever is looked up once has been
        placed = wire.result("place_order", order)
        wire.result("confirm_trade", {"confirmation_id": placed["confirmation_id"]})
    return wire


def told(own: Server) -> int:
    with urllib.request.urlopen(f"{own.url}{STATEMENTS}", timeout=at_most(30)) as answer:
        return int(answer.read())


def price(own: Server, trade: Wire, tool: str, arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The statements of one call, and its answer."""
    before = told(own)
    answer = trade.result(tool, arguments)
    return told(own) - before, answer


def test_an_order_takes_30_statements_from_its_preparation_to_its_fill(own: Server, trade: Wire) -> None:
    placing, placed = price(own, trade, "place_order", MARKET)
    confirming, done = price(own, trade, "confirm_trade", {"confirmation_id": placed["confirmation_id"]})
    assert done["status"] == "filled"
    assert placing + confirming <= 30, f"{placing} to place and {confirming} to confirm"


@pytest.mark.parametrize(
    ("tool", "arguments", "most"), [("get_portfolio", {}, 4), ("get_orders", {}, 11), ("preview_order", MARKET, 4)]
)
def test_a_look_before_an_order_takes_few_statements(
    own: Server, trade: Wire, tool: str, arguments: dict[str, Any], most: int
) -> None:
    statements, _ = price(own, trade, tool, arguments)
    assert statements <= most
