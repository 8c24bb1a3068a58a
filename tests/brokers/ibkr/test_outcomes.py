"""What each way an answer can go wrong says about a write; and that no write is ever sent twice."""

import socket

import pytest

from brokers.errors import (
    BrokerUnavailable,
    DuplicateClientId,
    InsufficientFunds,
    NotSent,
    RateLimited,
    Rejected,
    UnknownOutcome,
)
from brokers.ibkr.adapter import IbkrBroker
from tests.brokers.faults import Fault
from tests.brokers.ibkr.conftest import settings_for
from tests.brokers.ibkr.fake import PAPER, FakeIbkr
from tests.brokers.paper.support import order

SYMBOL = "AAPL@265598"


def test_a_connection_that_cannot_be_made_sends_nothing(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    ibkr.quotes([SYMBOL])
    ibkr.accounts()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/v1/api"
        away = IbkrBroker.open(settings_for(fake, base_url=nobody))
        ibkr._session._client = away._session._client
        with pytest.raises(NotSent) as caught:
            ibkr._session.write("POST", f"/iserver/account/{PAPER}/orders", {"orders": []})
    assert "127.0.0.1" not in str(caught.value)
    assert fake.sent == []


@pytest.mark.parametrize("listing", ["orders", "trades"])
@pytest.mark.parametrize(
    "kind", ["hang", "cut", "half", "reset", "500", "404", "429", "garbage", "empty", "null", "drip", "redirect"]
)
def test_a_look_up_that_fails_never_says_that_there_is_no_such_order(
    ibkr: IbkrBroker, fake: FakeIbkr, kind: str, listing: str
) -> None:
    ibkr.accounts()
    path = f"/v1/api/iserver/account/{listing}"
    fake.faults.set(*(Fault(kind=kind, effect=kind == "drip", method="GET", path=path) for _ in range(9)))
    with pytest.raises(RateLimited if kind == "429" else (BrokerUnavailable, Rejected)):
        ibkr.order(PAPER, "0" * 32)


def test_a_refusal_in_ibkrs_own_words_is_one_and_any_other_is_not(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    with pytest.raises(InsufficientFunds, match="Insufficient funds"):
        ibkr.submit(PAPER, order("BUY", "1000000", SYMBOL))
    fake.faults.set(Fault(kind="403", effect=False))
    with pytest.raises(UnknownOutcome):
        ibkr.submit(PAPER, order("BUY", "1", SYMBOL))


def test_an_id_that_stands_already_is_told_apart(ibkr: IbkrBroker) -> None:
    asked = order("BUY", "1", SYMBOL, limit="100")
    ibkr.submit(PAPER, asked)
    with pytest.raises(DuplicateClientId):
        ibkr.submit(PAPER, asked)
