"""What each way an answer can go wrong says about a write; and that no write is ever sent twice."""

import pytest

from brokers.crosstrade.adapter import CrossTradeBroker
from brokers.errors import (
    AuthFailed,
    BrokerError,
    BrokerUnavailable,
    CannotTell,
    InsufficientFunds,
    NotCancellable,
    RateLimited,
    UnknownOutcome,
    WriteOutcome,
)
from tests.brokers.crosstrade.conftest import settings_for
from tests.brokers.crosstrade.fake import ACCOUNT, FakeCrossTrade
from tests.brokers.faults import Fault
from tests.brokers.paper.support import order

SYMBOL = "ES 12-26"


def test_an_order_that_is_not_found_is_left_to_a_person_for_an_older_add_on_forgets_our_id(
    crosstrade: CrossTradeBroker, fake: FakeCrossTrade
) -> None:
    fake.keeps_ids = False
    fake.faults.set(Fault(kind="hang", effect=True))
    asked = order("BUY", "1", SYMBOL, limit="6000")
    with pytest.raises(UnknownOutcome):
        crosstrade.submit(ACCOUNT, asked)
    with pytest.raises(CannotTell, match="Check in NinjaTrader") as caught:
        crosstrade.order(ACCOUNT, asked.client_order_id)
    assert caught.value.outcome is WriteOutcome.UNKNOWN
    assert len(fake.orders) == len(fake.sent) == 1


def test_a_ninjatrader_that_is_off_leaves_an_order_unknown_and_a_read_unavailable(
    crosstrade: CrossTradeBroker, fake: FakeCrossTrade
) -> None:
    crosstrade.instrument(SYMBOL)
    fake.running = False
    with pytest.raises(UnknownOutcome):
        crosstrade.submit(ACCOUNT, order("BUY", "1", SYMBOL))
    with pytest.raises(BrokerUnavailable, match="not running"):
        crosstrade.positions(ACCOUNT)


@pytest.mark.parametrize("kind", ["hang", "cut", "half", "reset", "500", "429", "garbage", "empty", "null", "other"])
def test_a_look_up_that_fails_never_says_that_there_is_no_such_order(
    crosstrade: CrossTradeBroker, fake: FakeCrossTrade, kind: str
) -> None:
    fake.faults.set(Fault(kind=kind, effect=False, method="GET", path="/v1/api/accounts/Sim101/orders"))
    with pytest.raises((BrokerUnavailable, RateLimited)):
        crosstrade.order(ACCOUNT, "0" * 32)


def test_a_refusal_in_their_own_words_is_one_and_any_other_is_not(
    crosstrade: CrossTradeBroker, fake: FakeCrossTrade
) -> None:
    with pytest.raises(InsufficientFunds, match="buying power"):
        crosstrade.submit(ACCOUNT, order("BUY", "2000", SYMBOL))
    fake.faults.set(Fault(kind="403", effect=False))
    with pytest.raises(UnknownOutcome):
        crosstrade.submit(ACCOUNT, order("BUY", "1", SYMBOL))


def test_a_cancel_of_what_has_ended_is_refused(crosstrade: CrossTradeBroker) -> None:
    done = order("BUY", "1", SYMBOL)
    crosstrade.submit(ACCOUNT, done)
    with pytest.raises(NotCancellable):
        crosstrade.cancel(ACCOUNT, done.client_order_id)


def test_a_wrong_key_is_refused_and_never_shown(fake: FakeCrossTrade) -> None:
    broker = CrossTradeBroker.open(settings_for(fake, token="another-key"))
    for call in (broker.connect, lambda: broker.submit(ACCOUNT, order("BUY", "1", SYMBOL))):
        with pytest.raises(BrokerError) as caught:
            call()
        assert isinstance(caught.value, AuthFailed)
        assert "another-key" not in str(caught.value)
