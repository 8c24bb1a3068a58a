"""The fake takes what IBKR documents and other clients send, which our adapter does not."""

from typing import Any

import httpx2
import pytest

from tests.brokers.ibkr.fake import APPLE, BASE, PAPER, FakeIbkr
from tests.patience import at_most


def asked(fake: FakeIbkr, path: str, **params: str) -> httpx2.Response:
    for first in ("/iserver/accounts", "/portfolio/accounts"):
        httpx2.get(fake.url + BASE + first, timeout=at_most(5))
    return httpx2.get(fake.url + BASE + path, params=params, timeout=at_most(5))


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/iserver/account/orders", {"filters": "filled", "force": "true"}),
        (f"/iserver/contract/{APPLE}/info-and-rules", {"isBuy": "True"}),
        ("/iserver/account/trades/", {}),
        ("/iserver/account/trades/", {"days": "1", "accountId": PAPER}),
        ("/iserver/account/orders", {"force": "True"}),
    ],
)
def test_what_is_documented_is_taken(fake: FakeIbkr, path: str, params: dict[str, str]) -> None:
    assert asked(fake, path, **params).status_code == 200


def test_several_tickers_are_answered_one_by_one(fake: FakeIbkr) -> None:
    found = asked(fake, "/trsrv/stocks", symbols="AAPL,ES").json()
    assert {ticker: bool(rows) for ticker, rows in found.items()} == {"AAPL": True, "ES": True}


def test_an_order_may_name_its_account_and_its_hours_in_either_way(fake: FakeIbkr) -> None:
    asked(fake, "/iserver/accounts")
    ticket: dict[str, Any] = {
        "conid": APPLE,
        "orderType": "LMT",
        "side": "BUY",
        "tif": "DAY",
        "quantity": 1,
        "price": 9,
    }
    forms: list[dict[str, Any]] = [{"acctId": PAPER}, {"outsideRth": False}, {"outsideRTH": False}]
    for order, more in enumerate(forms):
        body = {"orders": [ticket | {"cOID": f"{order:032x}"} | more]}
        answer = httpx2.post(f"{fake.url}{BASE}/iserver/account/{PAPER}/orders", json=body, timeout=at_most(5))
        assert answer.json()[0]["order_status"] == "Submitted"


def test_an_order_can_do_without_an_id_of_its_owner(fake: FakeIbkr) -> None:
    asked(fake, "/iserver/accounts")
    ticket = {"conid": APPLE, "orderType": "LMT", "side": "BUY", "tif": "DAY", "quantity": 1, "price": 100}
    for _ in range(2):
        path = f"{fake.url}{BASE}/iserver/account/{PAPER}/orders"
        assert "order_id" in httpx2.post(path, json={"orders": [ticket]}, timeout=at_most(5)).json()[0]


def test_what_it_cannot_make_sense_of_is_refused_and_counts_as_a_violation() -> None:
    with FakeIbkr() as fake:
        answer = asked(fake, "/iserver/marketdata/history", conid=str(APPLE), period="1d", bar="7min")
        assert (answer.status_code, len(fake.violations)) == (400, 1)
