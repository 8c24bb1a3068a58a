"""What the tables of documented requests let through, and what they do not."""

import json
from typing import Any

import pytest

from tests.brokers.binance.requests import CALLS as BINANCE
from tests.brokers.faults import Asked
from tests.brokers.ibkr.requests import CALLS as IBKR
from tests.brokers.requests import misfit

_ORDER = {"conid": 265598, "orderType": "LMT", "side": "BUY", "tif": "DAY", "quantity": 1, "price": 1.5}


def _asked(method: str, path: str, *, query: dict[str, str] | None = None, body: Any = None) -> Asked:
    kind = {"Content-Type": "application/json"}
    raw = b"" if body is None else json.dumps(body).encode()
    return Asked(method=method, path=path, query=query or {}, headers=kind, body=body, raw=raw)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"price": "1.5"}, "price is '1.5'"),
        ({"quantity": True}, "quantity is '#true'"),
        ({"side": "SHORT"}, "side is 'SHORT'"),
        ({"limit": 1}, "unknown ['limit']"),
        ({"tif": None}, "missing ['tif']"),
    ],
)
def test_every_term_of_an_order_is_held_to_its_kind(change: dict[str, Any], words: str) -> None:
    order = {name: value for name, value in (_ORDER | change).items() if value is not None}
    path = "/iserver/account/DU1/orders"
    assert misfit(IBKR, _asked("POST", path, body={"orders": [order]}), path).endswith(words)
    assert bool(words) == bool(misfit(IBKR, _asked("POST", path, body={"orders": [order]}), path))


def test_what_a_call_needs_may_not_be_left_out_and_a_call_nobody_documents_is_none() -> None:
    path = "/iserver/contract/265598/info-and-rules"
    assert misfit(IBKR, _asked("GET", path, query={"isBuy": "true"}), path) == ""
    assert "missing ['isBuy']" in misfit(IBKR, _asked("GET", path), path)
    assert "no such call" in misfit(IBKR, _asked("DELETE", path), path)


def test_a_number_with_an_exponent_is_none_at_binance() -> None:
    path, signed = "/api/v3/order", {"timestamp": "1", "signature": "a" * 64}
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.00001", **signed}
    assert misfit(BINANCE, _asked("POST", path, query=order), path) == ""
    assert "quantity is '1E-5'" in misfit(BINANCE, _asked("POST", path, query=order | {"quantity": "1E-5"}), path)
