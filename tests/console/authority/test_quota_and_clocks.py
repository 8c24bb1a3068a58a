"""A clock that jumps, forth or back, locks no app out and lets none call without end. In Redis and in this process."""

import time
from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from redis import Redis as Client

from console.authority import call_quota
from console.authority.call_quota import CallKind
from console.errors import Code, Refusal
from tests import redis
from tests.redis import Redis

HOURS = 7200.0


@pytest.fixture(scope="module")
def started() -> Iterator[Redis]:
    with redis.running() as server:
        yield server


def move_entries(url: str, seconds: float) -> None:
    """As if the clock of Redis had been set back by so many seconds since they were made."""
    with Client.from_url(url) as client:
        for key in client.keys("*user-1*"):
            entries = [float(each) + seconds for each in client.lrange(key, 0, -1)]
            client.delete(key)
            client.rpush(key, *entries)
            client.expire(key, 60 + max(0, int(seconds)))


@pytest.fixture(params=["in Redis", "in the process"])
def counted(request: pytest.FixtureRequest, settings: LazySettings) -> Iterator[None]:
    settings.REDIS_URL = request.getfixturevalue("started").url if request.param == "in Redis" else ""
    call_quota._limiter.cache_clear()
    call_quota.reset()
    yield
    call_quota.reset()
    call_quota._limiter.cache_clear()


@pytest.fixture
def in_redis(started: Redis, settings: LazySettings) -> Iterator[None]:
    settings.REDIS_URL = started.url
    call_quota._limiter.cache_clear()
    call_quota.reset()
    yield
    call_quota.reset()
    call_quota._limiter.cache_clear()


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """By how many seconds the clock of this process is off."""
    real, off = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + off[0])
    yield off


def taken() -> int:
    """How many calls pass until one is refused."""
    for count in range(100):
        try:
            call_quota.check(1, 1, CallKind.READ)
        except Refusal as refused:
            assert refused.code is Code.RATE_LIMITED
            assert refused.retry_after is not None and 1 <= refused.retry_after <= 60
            return count
    raise AssertionError("No limit holds.")


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("first", [HOURS, -HOURS])
def test_a_clock_of_ours_that_jumps_forth_and_back_gives_no_call_and_takes_none(
    jump: list[float], first: float
) -> None:
    assert taken() == 60
    for seconds in (first, -first, 0.0):
        jump[0] = seconds
        assert taken() == 0


@pytest.mark.usefixtures("in_redis")
def test_processes_with_clocks_hours_apart_share_one_minute(jump: list[float]) -> None:
    counts = []
    for _ in range(30):
        for seconds in (HOURS, 0.0):
            jump[0] = seconds
            call_quota.check(1, 1, CallKind.READ)
    for seconds in (HOURS, 0.0, -HOURS):
        jump[0] = seconds
        counts.append(taken())
    assert counts == [0, 0, 0]


@pytest.mark.usefixtures("in_redis")
def test_after_the_clock_of_redis_was_set_back_an_app_calls_on_at_once_and_within_its_limit(
    settings: LazySettings,
) -> None:
    assert taken() == 60
    move_entries(settings.REDIS_URL, HOURS)
    assert taken() == 60
    assert taken() == 0


@pytest.mark.usefixtures("in_redis")
def test_a_minute_later_an_app_calls_again(settings: LazySettings) -> None:
    assert taken() == 60
    move_entries(settings.REDIS_URL, -61)
    assert taken() == 60
