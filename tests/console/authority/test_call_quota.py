"""60 calls a minute and 30 trading calls a minute for one user, over all of the user's apps."""

import pytest
from django.conf import LazySettings

from console.authority import call_quota
from console.authority.call_quota import CallKind
from console.errors import Code, Refusal


@pytest.fixture(autouse=True)
def fresh() -> None:
    call_quota.reset()


def refusal(user_id: int, kind: CallKind) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call_quota.check(user_id, user_id, kind)
    return caught.value


def test_the_61st_call_of_a_minute_is_refused_and_says_when_to_retry() -> None:
    for _ in range(60):
        call_quota.check(1, 1, CallKind.READ)
    refused = refusal(1, CallKind.READ)
    assert refused.code is Code.RATE_LIMITED
    assert refused.retry_after is not None and 1 <= refused.retry_after <= 60
    assert f"{refused.retry_after} s" in str(refused)


def test_the_31st_trading_call_is_refused_while_reads_go_on() -> None:
    for _ in range(30):
        call_quota.check(1, 1, CallKind.TRADE)
    assert "30 trading calls" in str(refusal(1, CallKind.TRADE))
    call_quota.check(1, 1, CallKind.READ)


def test_trading_calls_count_as_calls_too() -> None:
    for _ in range(30):
        call_quota.check(1, 1, CallKind.TRADE)
    for _ in range(30):
        call_quota.check(1, 1, CallKind.READ)
    assert "60 calls" in str(refusal(1, CallKind.READ))


def test_a_refused_trading_call_does_not_use_up_reads() -> None:
    for _ in range(30):
        call_quota.check(1, 1, CallKind.TRADE)
    for _ in range(50):
        refusal(1, CallKind.TRADE)
    for _ in range(30):
        call_quota.check(1, 1, CallKind.READ)


def test_one_user_does_not_use_up_anothers_minute() -> None:
    for _ in range(60):
        call_quota.check(1, 1, CallKind.READ)
    call_quota.check(2, 2, CallKind.READ)


def test_cancels_pass_when_everything_else_is_used_up() -> None:
    for _ in range(60):
        call_quota.check(1, 1, CallKind.READ)
    call_quota.check(1, 1, CallKind.CANCEL)


def test_when_the_shared_counter_cannot_be_reached_only_cancels_pass(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    call_quota._limiter.cache_clear()
    try:
        for kind in (CallKind.READ, CallKind.TRADE):
            assert refusal(1, kind).code is Code.RATE_LIMITED
        call_quota.check(1, 1, CallKind.CANCEL)
    finally:
        call_quota._limiter.cache_clear()


def test_one_apps_cancels_do_not_use_up_anothers_of_the_same_user() -> None:
    for _ in range(120):
        call_quota.check(1, 1, CallKind.CANCEL)
    with pytest.raises(Refusal):
        call_quota.check(1, 1, CallKind.CANCEL)
    call_quota.check(1, 2, CallKind.CANCEL)
