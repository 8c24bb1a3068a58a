"""What Alpaca says no to is a refusal with its reason, in the right class; what it does not decide stays open."""

import pytest

from brokers.alpaca.adapter import AlpacaBroker
from brokers.errors import (
    AuthFailed,
    BrokerError,
    InsufficientFunds,
    InsufficientPosition,
    InvalidSymbol,
    MarketClosed,
    NotCancellable,
    OrderNotFound,
    PermissionDenied,
    Rejected,
    UnknownOutcome,
)
from brokers.types import OrderChanges, OrderRequest
from tests.brokers.alpaca.fake import ACCOUNT, FakeAlpaca
from tests.brokers.paper.support import new_id, order
from tests.brokers.recorded import answer_with

CODE = 40310000


def refused(
    patch: pytest.MonkeyPatch, broker: AlpacaBroker, fake: FakeAlpaca, request: OrderRequest, status: int, body: object
) -> BrokerError:
    broker.instrument(request.symbol)
    answer_with(patch, fake, "POST", "/v2/orders", body, status=status)
    with pytest.raises(BrokerError) as caught:
        broker.submit(ACCOUNT, request)
    return caught.value


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"message": "unauthorized"}),
        (401, {"message": "unauthorized."}),
        (403, {"message": "forbidden."}),
        (401, {"code": 40110000, "message": "request is not authorized"}),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_keys_that_are_not_taken_are_a_refusal_of_every_write(
    alpaca: AlpacaBroker, fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch, method: str, status: int, body: object
) -> None:
    asked = order("BUY", "1", "BTC/USD", limit="100")
    if method != "POST":
        alpaca.submit(ACCOUNT, asked)
    else:
        alpaca.instrument("BTC/USD")
    answer_with(monkeypatch, fake, method, "/v2/orders", body, status=status)
    with pytest.raises(AuthFailed):
        match method:
            case "POST":
                alpaca.submit(ACCOUNT, asked)
            case "PATCH":
                alpaca.replace(ACCOUNT, asked.client_order_id, OrderChanges(limit_price=asked.limit_price), new_id())
            case _:
                alpaca.cancel(ACCOUNT, asked.client_order_id)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, {}),
        (403, {"error": "forbidden"}),
        (422, []),
        (500, {"code": 50010000, "message": "internal server error occurred"}),
        (503, {"message": "Service Unavailable"}),
        (504, {"code": CODE, "message": "insufficient buying power"}),
        (408, {"message": "request timed out"}),
        (429, {"message": "too many requests."}),
        (422, {"code": 50010000, "message": "internal server error occurred"}),
    ],
)
def test_what_does_not_decide_the_order_leaves_it_open(
    alpaca: AlpacaBroker, fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch, status: int, body: object
) -> None:
    error = refused(monkeypatch, alpaca, fake, order("BUY", "1", "BTC/USD", limit="100"), status, body)
    assert isinstance(error, UnknownOutcome)


@pytest.mark.parametrize(
    ("side", "symbol", "message", "kind"),
    [
        ("BUY", "BTC/USD", "insufficient balance for USD (requested: 100, available: 3)", InsufficientFunds),
        ("BUY", "BTC/USD", "insufficient balance for USDT", InsufficientFunds),
        ("SELL", "BTC/USD", "insufficient balance for BTC (requested: 1, available: 0)", InsufficientPosition),
        ("SELL", "AAPL", "insufficient qty available for order (requested: 10, available: 5)", InsufficientPosition),
        (
            "SELL",
            "AAPL",
            "insufficient underlying qty available for covered call (requested: 100, available: 0)",
            InsufficientPosition,
        ),
        ("SELL", "AAPL", "insufficient options buying power for cash-secured put", InsufficientFunds),
        ("BUY", "AAPL", "insufficient day trading buying power", InsufficientFunds),
        ("BUY", "AAPL", "asset AAPL is not active", InvalidSymbol),
        ("BUY", "AAPL", "options market orders are only allowed during market hours", MarketClosed),
        ("BUY", "AAPL", "account is not allowed to short", PermissionDenied),
        ("BUY", "AAPL", "account is restricted to liquidation only", PermissionDenied),
        ("BUY", "AAPL", "cost basis must be >= minimal amount of order 1", Rejected),
    ],
)
def test_a_refusal_has_the_class_of_its_reason(
    alpaca: AlpacaBroker,
    fake: FakeAlpaca,
    monkeypatch: pytest.MonkeyPatch,
    side: str,
    symbol: str,
    message: str,
    kind: type[Rejected],
) -> None:
    asked = order(side, "1", symbol, limit="100")
    error = refused(monkeypatch, alpaca, fake, asked, 403, {"code": CODE, "message": message})
    assert type(error) is kind
    assert message in str(error)


def test_a_refused_cancel_says_so_and_a_404_without_a_code_proves_no_absence(
    alpaca: AlpacaBroker, fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = order("BUY", "1", "BTC/USD", limit="100")
    alpaca.submit(ACCOUNT, asked)
    for status, body, kind in (
        (422, {"code": 42210000, "message": "order is not cancelable"}, NotCancellable),
        (404, {"code": 40410000, "message": "order not found for 1"}, OrderNotFound),
    ):
        with monkeypatch.context() as patch:
            answer_with(patch, fake, "DELETE", "/v2/orders", body, status=status)
            with pytest.raises(kind):
                alpaca.cancel(ACCOUNT, asked.client_order_id)
    answer_with(monkeypatch, fake, "GET", "/v2/orders:by", {"message": "Not Found"}, status=404)
    with pytest.raises(BrokerError) as caught:
        alpaca.order(ACCOUNT, asked.client_order_id)
    assert not isinstance(caught.value, Rejected)
