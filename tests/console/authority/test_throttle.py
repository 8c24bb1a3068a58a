"""60 calls a minute and 30 trading calls a minute for one user, over all of the user's apps."""

import pytest
from django.conf import LazySettings

from console.authority import throttle
from console.authority.throttle import Kind
from console.errors import Code, Refusal


@pytest.fixture(autouse=True)
def fresh() -> None:
    throttle.reset()


def refusal(user_id: int, kind: Kind) -> Refusal:
    with pytest.raises(Refusal) as caught:
        throttle.check(user_id, user_id, kind)
    return caught.value


def test_the_61st_call_of_a_minute_is_refused_and_says_when_to_retry() -> None:
    for _ in range(60):
        throttle.check(1, 1, Kind.READ)
    refused = refusal(1, Kind.READ)
    assert refused.code is Code.RATE_LIMITED
    assert refused.retry_after is not None and 1 <= refused.retry_after <= 60
    assert f"{refused.retry_after} s" in str(refused)


def test_the_31st_trading_call_is_refused_while_reads_go_on() -> None:
    for _ in range(30):
        throttle.check(1, 1, Kind.TRADE)
    assert "30 trading calls" in str(refusal(1, Kind.TRADE))
    throttle.check(1, 1, Kind.READ)


def test_trading_calls_count_as_calls_too() -> None:
    for _ in range(30):
        throttle.check(1, 1, Kind.TRADE)
    for _ in range(30):
        throttle.check(1, 1, Kind.READ)
    assert "60 calls" in str(refusal(1, Kind.READ))


def test_a_refused_trading_call_does_not_use_up_reads() -> None:
    for _ in range(30):
        throttle.check(1, 1, Kind.TRADE)
    for _ in range(50):
        refusal(1, Kind.TRADE)
    for _ in range(30):
        throttle.check(1, 1, Kind.READ)


def test_one_user_does_not_use_up_anothers_minute() -> None:
    for _ in range(60):
        throttle.check(1, 1, Kind.READ)
    throttle.check(2, 2, Kind.READ)


def test_cancels_pass_when_everything_else_is_used_up() -> None:
    for _ in range(60):
        throttle.check(1, 1, Kind.READ)
    throttle.check(1, 1, Kind.CANCEL)


def test_when_the_shared_counter_cannot_be_reached_only_cancels_pass(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    throttle._limiter.cache_clear()
    try:
        for kind in (Kind.READ, Kind.TRADE):
            assert refusal(1, kind).code is Code.RATE_LIMITED
        throttle.check(1, 1, Kind.CANCEL)
    finally:
        throttle._limiter.cache_clear()


def test_one_apps_cancels_do_not_use_up_anothers_of_the_same_user() -> None:
    for _ in range(120):
        throttle.check(1, 1, Kind.CANCEL)
    with pytest.raises(Refusal):
        throttle.check(1, 1, Kind.CANCEL)
    throttle.check(1, 2, Kind.CANCEL)
