"""What each way an answer can go wrong says about a write; and that no write is ever sent twice."""

import socket

import pytest

from brokers.alpaca.adapter import AlpacaBroker
from brokers.errors import BrokerUnavailable, NotSent, RateLimited, UnknownOutcome
from tests.brokers.alpaca.conftest import settings_for
from tests.brokers.alpaca.fake import ACCOUNT, FakeAlpaca
from tests.brokers.faults import Fault
from tests.brokers.paper.support import new_id, order


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
