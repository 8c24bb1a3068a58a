"""The walk of a bearer and of an order through the code: which rooms are entered, in which order, and none twice."""

import json
import re
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import serving
from tests.call_graph import walking_server
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.serving import Server

HERE = Path(__file__).resolve().parent
LIFE = HERE.parent / "docs" / "develop" / "order-lifecycle.md"
MARKET = {"symbol": "AAPL", "side": "BUY", "quantity": "1"}

Walk = tuple[str, ...]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("walk") / "home"
    with serving.serve(home, app="walking_server:application", PYTHONPATH=str(HERE / "call_graph")) as server:
        yield server


@pytest.fixture(scope="module")
def walks(walked: Server) -> dict[str, list[Walk]]:
    """Those of placing an order, and those of its confirmation until it is filled."""
    wire = Wire(walked.mcp_url, walked.quickstart["paper_key_trade"])

    def of(tool: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[Walk]]:
        answer = wire.result(tool, arguments)
        with urllib.request.urlopen(f"{walked.url}{walking_server.PATH}", timeout=at_most(60)) as told:
            return answer, [tuple(walk) for walk in json.loads(told.read())]

    of("get_quote", {"symbols": ["AAPL"]})  # whatever is imported or looked up once has been
    placed, prepare = of("place_order", MARKET)
    done, confirm = of("confirm_trade", {"confirmation_id": placed["confirmation_id"]})
    assert done["status"] == "filled"
    return {"prepare": prepare, "confirm": confirm}


def documented(part: str) -> list[Walk]:
    """The ways that the life of an order names for a part of it."""
    told = LIFE.read_text()
    found = re.search(rf"^```\n{part}:\n(.*?)^```", told, re.M | re.S)
    assert found is not None, f"{LIFE.name} names no ways of {part}"
    return [tuple(line.split(" → ")) for line in found[1].splitlines() if line]


@pytest.mark.parametrize("part", ["prepare", "confirm"])
def test_no_way_leads_back_into_a_room_that_it_has_left(part: str, walks: dict[str, list[Walk]]) -> None:
    twice = [" → ".join(walk) for walk in walks[part] if len(set(walk)) < len(walk)]
    assert twice == [], "move the step into the room that its callers call"


@pytest.mark.parametrize("part", ["prepare", "confirm"])
def test_the_life_of_an_order_names_the_ways_it_goes_in_their_order(part: str, walks: dict[str, list[Walk]]) -> None:
    ways = documented(part)
    gone = [way for walk in walks[part] for way in ways if walk[-len(way) :] == way]
    assert list(dict.fromkeys(gone)) == ways


@pytest.mark.parametrize("part", ["prepare", "confirm"])
def test_nothing_below_the_pipeline_is_reached_but_through_it(part: str, walks: dict[str, list[Walk]]) -> None:
    orders = [walk for walk in walks[part] if any(room.startswith("console.orders.") for room in walk)]
    assert orders
    assert all("mcpserver.pipeline" in walk[: _first_of_orders(walk)] for walk in orders)


def _first_of_orders(walk: Walk) -> int:
    return next(place for place, room in enumerate(walk) if room.startswith("console.orders."))


def test_calls_are_noted_in_that_server_and_in_no_test() -> None:
    hooks = sys.getprofile(), threading.getprofile()
    assert not any(getattr(hook, "__module__", "") == walking_server.__name__ for hook in hooks), "each call pays"
