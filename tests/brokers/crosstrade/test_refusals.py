"""What CrossTrade says no to is a refusal in the right class; who timed out may have passed the order on."""

import pytest

from brokers.crosstrade.adapter import CrossTradeBroker
from brokers.errors import (
    AuthFailed,
    BrokerError,
    InsufficientFunds,
    InvalidSymbol,
    MarketClosed,
    NotCancellable,
    PermissionDenied,
    Rejected,
    UnknownOutcome,
)
from tests.brokers.crosstrade.fake import ACCOUNT, BASE, FakeCrossTrade
from tests.brokers.paper.support import order
from tests.brokers.recorded import answer_with

SYMBOL = "ES 12-26"


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, "timeout", UnknownOutcome),
        (200, "Request to the add-on timed out", UnknownOutcome),
        (500, "rejected", UnknownOutcome),
        (200, "internal_error", UnknownOutcome),
        (400, "Exceeds account's buying power", InsufficientFunds),
        (400, "invalid_instrument", InvalidSymbol),
        (400, "The market is closed", MarketClosed),
        (403, "plan_required", PermissionDenied),
        (401, "unauthorized", AuthFailed),
        (400, "rejected", Rejected),
    ],
)
@pytest.mark.parametrize("way", ["place", "cancel"])
def test_an_answer_to_a_write_has_the_class_of_its_reason(
    crosstrade: CrossTradeBroker,
    fake: FakeCrossTrade,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    status: int,
    error: str,
    kind: type[BrokerError],
) -> None:
    asked = order("BUY", "1", SYMBOL, limit="6000")
    crosstrade.instrument(SYMBOL)
    if way == "cancel":
        crosstrade.submit(ACCOUNT, asked)
    answer_with(
        monkeypatch,
        fake,
        "POST",
        f"{BASE}/accounts/{ACCOUNT}/orders",
        {"success": False, "error": error},
        status=status,
    )
    with pytest.raises(BrokerError) as caught:
        if way == "place":
            crosstrade.submit(ACCOUNT, asked)
        else:
            crosstrade.cancel(ACCOUNT, asked.client_order_id)
    refused = kind not in (UnknownOutcome, AuthFailed, PermissionDenied)
    assert type(caught.value) is (NotCancellable if way == "cancel" and refused else kind)
