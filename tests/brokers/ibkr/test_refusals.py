"""What Interactive Brokers says no to is a refusal in the right class; what it does not decide stays open."""

import pytest

from brokers.errors import (
    BrokerError,
    DuplicateClientId,
    InsufficientFunds,
    InvalidOrder,
    MarketClosed,
    NeedsAnswer,
    NotCancellable,
    PermissionDenied,
    Rejected,
    UnknownOutcome,
)
from brokers.ibkr.adapter import IbkrBroker
from tests.brokers.ibkr.fake import BASE, PAPER, FakeIbkr
from tests.brokers.paper.support import order
from tests.brokers.recorded import answer_with

SYMBOL = "AAPL@265598"
ORDERS = f"{BASE}/iserver/account/{PAPER}/orders"
REJECT = {"orderId": 1, "reqId": "5", "dismissable": [], "text": "Order size is above the limit.", "options": ["Ok"]}


def answered(
    patch: pytest.MonkeyPatch, broker: IbkrBroker, fake: FakeIbkr, body: object, *, status: int = 200
) -> BrokerError:
    broker.instrument(SYMBOL)
    answer_with(patch, fake, "POST", ORDERS, body, status=status)
    with pytest.raises(BrokerError) as caught:
        broker.submit(PAPER, order("BUY", "1", SYMBOL, limit="100"))
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        REJECT | {"type": "reject"},
        [REJECT | {"type": "reject"}],
        {"advancedOrderReject": REJECT},
        {"error": "Order size is above the limit.", "statusCode": 400},
        [{"error": "Order size is above the limit."}],
        [{"order_id": "12", "order_status": "Rejected", "text": "Order size is above the limit."}],
    ],
)
def test_every_form_of_a_refusal_is_one_and_has_its_words(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch, body: object
) -> None:
    error = answered(monkeypatch, ibkr, fake, body)
    assert isinstance(error, Rejected)
    assert not isinstance(error, NeedsAnswer)
    assert "Order size is above the limit." in str(error)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"error": "Insufficient funds", "statusCode": 500}),
        (503, {"error": "Service Unavailable", "statusCode": 503}),
        (200, {"error": "Internal server error", "statusCode": 500}),
        (200, {"error": "Order failed", "statusCode": 503}),
        (200, {"error": "Request timed out"}),
        (429, {"error": "too many requests"}),
        (403, {}),
        (200, {"text": "hello"}),
    ],
)
def test_what_does_not_decide_the_order_leaves_it_open(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch, status: int, body: object
) -> None:
    assert isinstance(answered(monkeypatch, ibkr, fake, body, status=status), UnknownOutcome)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (
            "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR "
            "EQUITY WITH LOAN VALUE [1.00 USD] MUST EXCEED THE INITIAL MARGIN [2.00 USD].",
            InsufficientFunds,
        ),
        ("The available funds in your account are insufficient to cover the cost of the trade.", InsufficientFunds),
        ("You must have a minimum of 2,000 USD net liquidation value to trade on margin.", InsufficientFunds),
        ("No trading permissions.", PermissionDenied),
        ("The exchange is closed.", MarketClosed),
        ("The price does not conform to the minimum price variation for this contract.", InvalidOrder),
        ("Order couldn't be submitted: Local order ID=1 is already registered.", DuplicateClientId),
        ("The contract may not be traded today.", Rejected),
    ],
)
def test_a_refusal_has_the_class_of_its_reason(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch, words: str, kind: type[Rejected]
) -> None:
    assert type(answered(monkeypatch, ibkr, fake, {"error": words})) is kind


def test_a_write_that_is_forbidden_with_a_reason_is_not_permitted(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = answered(monkeypatch, ibkr, fake, {"error": "Access Denied"}, status=403)
    assert isinstance(error, PermissionDenied)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": "OrderID 12 doesn't exist"}, NotCancellable),
        (REJECT, NotCancellable),
        ({"error": "Internal server error", "statusCode": 500}, UnknownOutcome),
        ({"msg": "Request was submitted"}, UnknownOutcome),
    ],
)
def test_a_refused_cancel_is_one_and_an_unclear_one_is_not(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch, body: object, kind: type[BrokerError]
) -> None:
    asked = order("BUY", "1", SYMBOL, limit="100")
    ibkr.submit(PAPER, asked)
    answer_with(monkeypatch, fake, "DELETE", f"{BASE}/iserver/account/{PAPER}/order/", body)
    with pytest.raises(kind):
        ibkr.cancel(PAPER, asked.client_order_id)
