"""An order ends by TWS's own word alone: ib_async calls it cancelled at nearly every error code."""

from decimal import Decimal

import pytest

from brokers.errors import (
    BrokerError,
    CannotTell,
    InsufficientFunds,
    InvalidOrder,
    NotCancellable,
    Rejected,
    UnknownOutcome,
)
from brokers.tws.adapter import TwsBroker
from brokers.types import BrokerStatus
from tests.brokers.paper.support import order
from tests.brokers.tws.fake import ACCOUNT, FakeTws

SYMBOL = "AAPL@265598"
TIF = "Order TIF was set to DAY based on order preset."


@pytest.mark.parametrize(
    "notice",
    [
        (10349, TIF),
        (399, "Order Message: your order will not be placed at the exchange until 2026-11-30 09:30:00 US/Eastern"),
        (404, "Shares for this order are not immediately available for short sale."),
        (2109, "Order Event Warning: Attribute Outside Regular Trading Hours is ignored."),
        (12345, "Something that was not there when this was written."),
    ],
)
def test_a_notice_after_which_the_order_stands_is_no_refusal(
    tws: TwsBroker, fake: FakeTws, notice: tuple[int, str]
) -> None:
    fake.notices = [notice]
    asked = order("BUY", "3", SYMBOL, limit="100")
    assert tws.submit(ACCOUNT, asked).status is BrokerStatus.WORKING
    found = tws.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert (found.status, found.quantity) == (BrokerStatus.WORKING, Decimal(3))
    assert tws.cancel(ACCOUNT, asked.client_order_id).status is BrokerStatus.CANCELLED


def test_a_notice_with_nothing_after_it_leaves_the_order_open_and_the_next_look_finds_it(
    tws: TwsBroker, fake: FakeTws
) -> None:
    fake.notices, fake.takes = [(10349, TIF)], False
    asked = order("BUY", "3", SYMBOL, limit="100")
    with pytest.raises(UnknownOutcome, match="Order TIF was set to DAY"):
        tws.submit(ACCOUNT, asked)
    found = tws.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert found.status is BrokerStatus.WORKING
    assert [each.status for each in tws.orders(ACCOUNT)] == [BrokerStatus.WORKING]


def test_a_notice_of_an_order_that_is_nowhere_proves_no_ending(tws: TwsBroker, fake: FakeTws) -> None:
    fake.notices, fake.takes = [(10349, TIF)], False
    asked = order("BUY", "3", SYMBOL, limit="100")
    with pytest.raises(UnknownOutcome):
        tws.submit(ACCOUNT, asked)
    fake.orders.clear()
    with pytest.raises(CannotTell):
        tws.order(ACCOUNT, asked.client_order_id)


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (201, "Order rejected - reason:YOUR EQUITY WITH LOAN VALUE MUST EXCEED THE INITIAL MARGIN", InsufficientFunds),
        (201, "Order rejected - reason:The contract may not be traded today.", Rejected),
        (203, "The security AAPL is not available or allowed for this account", Rejected),
        (110, "The price does not conform to the minimum price variation for this contract.", InvalidOrder),
        (200, "No security definition has been found for the request", Rejected),
        (321, "Error validating request.-'bN' : cause - Invalid account code", Rejected),
        (387, "Unsupported order type for this exchange and security type.", Rejected),
        (10243, "Fractional-sized order cannot be placed via API.", Rejected),
    ],
)
def test_a_refusal_is_one_at_once_and_has_the_class_of_its_reason(
    tws: TwsBroker, fake: FakeTws, code: int, words: str, kind: type[BrokerError]
) -> None:
    fake.notices, fake.takes = [(code, words)], False
    with pytest.raises(Rejected) as caught:
        tws.submit(ACCOUNT, order("BUY", "3", SYMBOL, limit="100"))
    assert isinstance(caught.value, kind)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (10148, "OrderId 7 that needs to be cancelled cannot be cancelled, state: Filled."),
        (10147, "OrderId 7 that needs to be cancelled is not found."),
        (161, "Cancel attempted when order is not in a cancellable state. Order permId = 1"),
        (135, "Can't find order with id = 7"),
    ],
)
def test_a_refused_cancel_is_told_as_refused(tws: TwsBroker, fake: FakeTws, code: int, words: str) -> None:
    asked = order("BUY", "2", SYMBOL, limit="100")
    tws.submit(ACCOUNT, asked)
    fake.not_cancelled = (code, words)
    with pytest.raises(NotCancellable, match=words[:20]):
        tws.cancel(ACCOUNT, asked.client_order_id)
    found = tws.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert found.status is BrokerStatus.WORKING


def test_a_cancel_that_came_too_late_leaves_the_order_filled_with_its_fill(tws: TwsBroker, fake: FakeTws) -> None:
    asked = order("BUY", "2", SYMBOL, limit="100")
    tws.submit(ACCOUNT, asked)
    fake.fills_before_cancel = True
    fake.not_cancelled = (10148, "OrderId 7 that needs to be cancelled cannot be cancelled, state: Filled.")
    with pytest.raises(NotCancellable, match="state: Filled"):
        tws.cancel(ACCOUNT, asked.client_order_id)
    found = tws.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert (found.status, found.filled_quantity) == (BrokerStatus.FILLED, Decimal(2))


def test_a_cancel_that_is_under_way_already_is_waited_for(tws: TwsBroker, fake: FakeTws) -> None:
    asked = order("BUY", "2", SYMBOL, limit="100")
    tws.submit(ACCOUNT, asked)
    fake.not_cancelled = (10148, "OrderId 7 that needs to be cancelled cannot be cancelled, state: PendingCancel.")
    with pytest.raises(UnknownOutcome, match="may still be open"):
        tws.cancel(ACCOUNT, asked.client_order_id)


def test_an_inactive_order_was_refused_and_says_why(tws: TwsBroker, fake: FakeTws) -> None:
    asked = order("BUY", "2", SYMBOL, limit="100")
    tws.submit(ACCOUNT, asked)
    fake.orders[asked.client_order_id] |= {"status": "Inactive", "listed": True}
    found = tws.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert found.status is BrokerStatus.REJECTED
    assert tws.orders(ACCOUNT, open_only=True) == []


def test_an_inactive_order_that_waits_for_shares_to_borrow_is_open(tws: TwsBroker, fake: FakeTws) -> None:
    asked = order("SELL", "2", SYMBOL, limit="100")
    tws.submit(ACCOUNT, asked)
    fake.orders[asked.client_order_id] |= {"status": "Inactive", "listed": True, "why_held": "locate"}
    found = tws.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert found.status is BrokerStatus.WORKING
