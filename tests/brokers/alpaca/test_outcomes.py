"""What each way an answer can go wrong says about a write; and that no write is ever sent twice."""

import socket
import time

import pytest

from brokers.alpaca.adapter import AlpacaBroker
from brokers.errors import BrokerUnavailable, DuplicateClientId, NotSent, RateLimited, UnknownOutcome
from brokers.types import BrokerStatus, OrderChanges
from tests.brokers.alpaca.conftest import settings_for
from tests.brokers.alpaca.fake import ACCOUNT, KEY_ID, SECRET, FakeAlpaca
from tests.brokers.faults import SENDING, Fault
from tests.brokers.paper.support import new_id, order


def name(fault: Fault) -> str:
    return f"{fault.kind}, {'done' if fault.effect else 'not done'}"


@pytest.mark.parametrize("fault", SENDING, ids=name)
def test_an_order_is_posted_once_and_its_outcome_is_what_the_wire_proves(
    alpaca: AlpacaBroker, fake: FakeAlpaca, fault: Fault
) -> None:
    alpaca.instrument("BTC/USD")
    fake.faults.set(fault)
    asked = order("BUY", "0.5", "BTC/USD", limit="100")
    if fault.kind == "slow":
        assert alpaca.submit(ACCOUNT, asked).status is BrokerStatus.WORKING
    else:
        expected = DuplicateClientId if fault.kind == "duplicate" else UnknownOutcome
        with pytest.raises(expected) as caught:
            alpaca.submit(ACCOUNT, asked)
        assert type(caught.value) is expected
        said = str(caught.value)
        assert not any(secret in said for secret in (KEY_ID, SECRET, fake.url, "127.0.0.1", "Welcome"))
    if fault.kind == "late":
        assert alpaca.order(ACCOUNT, asked.client_order_id) is None
        time.sleep(fake.patience)
    found = alpaca.order(ACCOUNT, asked.client_order_id)
    assert (found is not None) is fault.effect
    assert [each["client_order_id"] for each in fake.sent] == [asked.client_order_id]
    assert fake.violations == []


def test_a_connection_that_cannot_be_made_sends_nothing(fake: FakeAlpaca) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        broker = AlpacaBroker.open(settings_for(fake.url))
        broker.instrument("BTC/USD")
        broker._trading = AlpacaBroker.open(settings_for(nobody))._trading
        with pytest.raises(NotSent) as caught:
            broker.submit(ACCOUNT, order("BUY", "1", "BTC/USD"))
    assert "127.0.0.1" not in str(caught.value)
    assert fake.sent == []


@pytest.mark.parametrize("kind", ["hang", "cut", "500", "garbage", "null", "drip"])
def test_a_change_whose_answer_was_lost_is_found_under_its_new_id(
    alpaca: AlpacaBroker, fake: FakeAlpaca, kind: str
) -> None:
    old, new = order("BUY", "1", "BTC/USD", limit="100"), new_id()
    alpaca.submit(ACCOUNT, old)
    fake.faults.set(Fault(kind=kind, effect=True, method="PATCH"))
    with pytest.raises(UnknownOutcome):
        alpaca.replace(ACCOUNT, old.client_order_id, OrderChanges(limit_price=old.limit_price), new)
    before, after = alpaca.order(ACCOUNT, old.client_order_id), alpaca.order(ACCOUNT, new)
    assert before is not None and after is not None
    assert (before.status, after.status) == (BrokerStatus.CANCELLED, BrokerStatus.WORKING)
    assert [method for method, _ in fake.received].count("PATCH") == 1


@pytest.mark.parametrize("effect", [False, True])
@pytest.mark.parametrize("kind", ["hang", "cut", "500", "redirect", "null"])
def test_a_cancel_whose_answer_was_lost_is_unknown_and_was_sent_once(
    alpaca: AlpacaBroker, fake: FakeAlpaca, kind: str, effect: bool
) -> None:
    resting = order("BUY", "1", "BTC/USD", limit="100")
    alpaca.submit(ACCOUNT, resting)
    fake.faults.set(Fault(kind=kind, effect=effect, method="DELETE"))
    with pytest.raises(UnknownOutcome):
        alpaca.cancel(ACCOUNT, resting.client_order_id)
    found = alpaca.order(ACCOUNT, resting.client_order_id)
    assert found is not None
    assert found.status is (BrokerStatus.CANCELLED if effect else BrokerStatus.WORKING)
    assert [method for method, _ in fake.received].count("DELETE") == 1


@pytest.mark.parametrize(
    "kind", ["hang", "cut", "half", "reset", "500", "429", "garbage", "empty", "null", "drip", "redirect", "other"]
)
def test_a_look_up_that_fails_never_says_that_there_is_no_such_order(
    alpaca: AlpacaBroker, fake: FakeAlpaca, kind: str
) -> None:
    fake.faults.set(Fault(kind=kind, effect=kind == "drip", method="GET", path="/v2/orders:by"))
    with pytest.raises(RateLimited if kind == "429" else BrokerUnavailable):
        alpaca.order(ACCOUNT, new_id())


def test_a_404_that_is_not_in_alpacas_own_words_proves_nothing(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    fake.faults.set(Fault(kind="404", effect=False, method="GET", path="/v2/orders:by"))
    with pytest.raises(BrokerUnavailable):
        alpaca.order(ACCOUNT, new_id())
    fake.faults.set(Fault(kind="403", effect=False))
    with pytest.raises(UnknownOutcome):
        alpaca.submit(ACCOUNT, order("BUY", "1", "BTC/USD"))
