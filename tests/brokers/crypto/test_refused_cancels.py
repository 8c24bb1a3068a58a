"""A cancel that the venue refused is told as refused, and never as one that is under way."""

import pytest

from brokers.errors import BrokerError, NotCancellable, Rejected, UnknownOutcome
from tests.brokers.contract.cases import BINANCE, COINBASE, KRAKEN, KRAKEN_FUTURES, OKX, CryptoCase, Way
from tests.brokers.crypto.recorded import answers, at_venue, resting, steady
from tests.brokers.faults import Reply


def _coinbase(reason: str) -> Reply:
    return 200, {"results": [{"success": False, "failure_reason": reason, "order_id": "700000001"}]}


def _futures(status: str) -> Reply:
    return 200, {"result": "success", "cancelStatus": {"status": status, "order_id": "700000001", "orderEvents": []}}


def _okx(code: str) -> Reply:
    return 200, {"code": "1", "msg": "", "data": [{"ordId": "700000001", "clOrdId": "", "sCode": code, "sMsg": "No."}]}


@pytest.mark.parametrize(
    ("case", "reply", "kind"),
    [
        *(
            (COINBASE, _coinbase(reason), Rejected)
            for reason in (
                "COMMANDER_REJECTED_CANCEL_ORDER",
                "NOT_ALLOWED_TO_CANCEL",
                "ORDER_IS_BEING_REPLACED",
                "INVALID_CANCEL_REQUEST",
                "INVALID_CANCEL_PRODUCT_ID",
            )
        ),
        (COINBASE, _coinbase("UNKNOWN_CANCEL_ORDER"), NotCancellable),
        (COINBASE, _coinbase("ORDER_IS_FULLY_FILLED"), NotCancellable),
        (COINBASE, _coinbase("UNKNOWN_CANCEL_FAILURE_REASON"), UnknownOutcome),
        (COINBASE, _coinbase("DUPLICATE_CANCEL_REQUEST"), UnknownOutcome),
        (KRAKEN_FUTURES, _futures("notFound"), NotCancellable),
        (KRAKEN_FUTURES, _futures("filled"), NotCancellable),
        (KRAKEN_FUTURES, (200, {"result": "error", "error": "accountInactive"}), Rejected),
        (KRAKEN, (200, {"error": [], "result": {"count": 0}}), NotCancellable),
        (KRAKEN, (200, {"error": [], "result": {"count": 0, "pending": True}}), UnknownOutcome),
        (KRAKEN, (200, {"error": ["EOrder:Permanent order"]}), Rejected),
        (OKX, _okx("51402"), NotCancellable),
        (OKX, _okx("51403"), Rejected),
        (OKX, _okx("51410"), UnknownOutcome),
        (BINANCE, (400, {"code": -2011, "msg": "Unknown order sent."}), NotCancellable),
        (BINANCE, (400, {"code": -2011, "msg": "Order was not canceled due to cancel restrictions."}), NotCancellable),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_a_cancel_says_what_the_venue_made_of_it(case: CryptoCase, reply: Reply, kind: type[BrokerError]) -> None:
    with steady(case) as rig:
        order = resting(rig)
        method, path = case.sends[Way.CANCEL]
        answers(rig, path, reply, method)
        with pytest.raises(BrokerError) as failed:
            rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)
        assert type(failed.value) is kind or (kind is Rejected and isinstance(failed.value, Rejected))
        assert isinstance(failed.value, NotCancellable) is (kind is NotCancellable)
        assert at_venue(rig.wire, order.client_order_id).status == "open"
