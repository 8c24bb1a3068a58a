"""What each way an answer can go wrong says about a write; and that no write is ever sent twice."""

import socket
import time

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
from brokers.types import BrokerStatus, OrderChanges
from tests.brokers.faults import SENDING, Fault
from tests.brokers.ibkr.conftest import settings_for
from tests.brokers.ibkr.fake import PAPER, FakeIbkr
from tests.brokers.paper.support import order

SYMBOL = "AAPL@265598"


def name(fault: Fault) -> str:
    return f"{fault.kind}, {'done' if fault.effect else 'not done'}"


@pytest.mark.parametrize("fault", SENDING, ids=name)
def test_an_order_is_posted_once_and_its_outcome_is_what_the_wire_proves(
    ibkr: IbkrBroker, fake: FakeIbkr, fault: Fault
) -> None:
    fake.faults.set(fault)
    asked = order("BUY", "5", SYMBOL, limit="100")
    if fault.kind == "slow":
        assert ibkr.submit(PAPER, asked).status is BrokerStatus.WORKING
    else:
        expected = DuplicateClientId if fault.kind == "duplicate" else UnknownOutcome
        with pytest.raises(expected) as caught:
            ibkr.submit(PAPER, asked)
        assert type(caught.value) is expected
        assert not any(part in str(caught.value) for part in (fake.url, "127.0.0.1", "Welcome"))
    if fault.kind == "late":
        time.sleep(fake.patience)
    found = ibkr.order(PAPER, asked.client_order_id)
    assert (found is not None) is fault.effect
    assert [each["cOID"] for each in fake.sent] == [asked.client_order_id]


@pytest.mark.parametrize("fault", [each for each in SENDING if each.kind not in ("slow", "duplicate")], ids=name)
def test_a_yes_whose_answer_was_lost_is_unknown_and_was_sent_once(
    ibkr: IbkrBroker, fake: FakeIbkr, fault: Fault
) -> None:
    fake.pending["a-token"] = (
        {"conid": 265598, "cOID": "c" * 32, "orderType": "LMT", "side": "BUY", "tif": "DAY", "quantity": 1, "price": 1},
        ["Are you sure?"],
    )
    fake.faults.set(fault)
    with pytest.raises(UnknownOutcome):
        ibkr.answer(PAPER, "c" * 32, "a-token", yes=True)
    if fault.kind == "late":
        time.sleep(fake.patience)
    assert (ibkr.order(PAPER, "c" * 32) is not None) is fault.effect
    assert sum(path.endswith("/reply/a-token") for _, path in fake.received) == 1


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


@pytest.mark.parametrize("effect", [False, True])
@pytest.mark.parametrize("kind", ["hang", "cut", "500", "redirect", "null", "other"])
def test_a_cancel_whose_answer_was_lost_is_unknown_and_was_sent_once(
    ibkr: IbkrBroker, fake: FakeIbkr, kind: str, effect: bool
) -> None:
    resting = order("BUY", "1", SYMBOL, limit="100")
    ibkr.submit(PAPER, resting)
    fake.faults.set(Fault(kind=kind, effect=effect, method="DELETE", path="/v1/api/iserver"))
    with pytest.raises(UnknownOutcome):
        ibkr.cancel(PAPER, resting.client_order_id)
    found = ibkr.order(PAPER, resting.client_order_id)
    assert found is not None
    assert found.status is (BrokerStatus.CANCELLED if effect else BrokerStatus.WORKING)
    assert [method for method, _ in fake.received].count("DELETE") == 1


@pytest.mark.parametrize("kind", ["hang", "cut", "500", "garbage", "null", "drip"])
def test_a_change_whose_answer_was_lost_is_unknown_and_was_sent_once(
    ibkr: IbkrBroker, fake: FakeIbkr, kind: str
) -> None:
    resting = order("BUY", "2", SYMBOL, limit="100")
    ibkr.submit(PAPER, resting)
    fake.faults.set(Fault(kind=kind, effect=True))
    with pytest.raises(UnknownOutcome):
        ibkr.replace(PAPER, resting.client_order_id, OrderChanges(limit_price=resting.limit_price))
    assert sum("/order/" in path and method == "POST" for method, path in fake.received) == 1


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
