"""A model is told what of a broker's lists is not known: a list that is not whole must not look as if it were."""

import pytest

from console.accounts.models import User
from console.authority import call_quota
from mcpserver import pipeline
from tests.brokers.alpaca.fake import FakeAlpaca
from tests.brokers.paper.support import new_id
from tests.brokers.recorded import answer_with
from tests.console.connections.fakes import ALPACA
from tests.mcpserver.linked_brokers import call, link

LEFT_OUT = "position BOND1: asset class us_bond, left out"


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)


def odd_lists(patch: pytest.MonkeyPatch, fake: FakeAlpaca) -> None:
    fake.held["AAPL"] = 1
    good = fake._position("AAPL")
    answer_with(patch, fake, "GET", "/v2/positions", [good | {"symbol": "BOND1", "asset_class": "us_bond"}, good])
    order = fake.other() | {"status": "levitating", "client_order_id": new_id(), "id": "1"}
    answer_with(patch, fake, "GET", "/v2/orders", [order])


def test_lists_name_what_is_not_known_in_them_and_a_self_test_says_so(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ALPACA.running() as fake:
        key = link(owner, ALPACA, fake)
        assert "not_known" not in call(key, "get_positions")
        assert [each["check"] for each in call(key, "self_test")["connections"][0]["checks"]][-1] == "balances"
        odd_lists(monkeypatch, fake)
        for tool in ("get_positions", "get_portfolio"):
            answer = call(key, tool)
            assert (answer["not_known"], [each["symbol"] for each in answer["positions"]]) == ([LEFT_OUT], ["AAPL"])
        orders = call(key, "get_orders")
        assert [each["status"] for each in orders["external"]] == ["working"]
        assert orders["not_known"] == ["order 1: status levitating"]
        found = call(key, "self_test")
        check = found["connections"][0]["checks"][-1]
        assert (check["check"], check["ok"], found["ok"]) == ("words", False, False)
        assert LEFT_OUT in check["detail"]
