"""How often one user may call, over all of the user's apps together.

Reads and orders fail closed: when the shared counter cannot be reached, the call is refused. Cancels have a
bucket of their own that fails open, for a limit must never keep anyone from getting out.
"""

import functools
import logging
import math
import time
from enum import StrEnum

from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import MovingWindowRateLimiter

from console.errors import Code, Refusal

log = logging.getLogger(__name__)


_TURNED_AWAY = RateLimitItemPerMinute(120)


class Kind(StrEnum):
    READ = "read"
    TRADE = "trade"
    CANCEL = "cancel"


@functools.cache
def _limiter() -> MovingWindowRateLimiter:
    storage: Storage = RedisStorage(settings.REDIS_URL) if settings.REDIS_URL else MemoryStorage()
    return MovingWindowRateLimiter(storage)


def _limits(kind: Kind) -> list[tuple[str, RateLimitItem]]:
    if kind is Kind.CANCEL:
        return [("cancel", RateLimitItemPerMinute(settings.CANCELS_PER_MINUTE))]
    every: list[tuple[str, RateLimitItem]] = [("all", RateLimitItemPerMinute(settings.CALLS_PER_MINUTE))]
    if kind is Kind.TRADE:
        every.append(("trade", RateLimitItemPerMinute(settings.TRADE_CALLS_PER_MINUTE)))
    return every


def check(user_id: int, app_id: int, kind: Kind) -> None:
    """Count one call; cancels by app, so that no app can use up another's way out.

    Raises Refusal with ``retry_after`` in seconds when the minute is used up.
    """
    who = f"app-{app_id}" if kind is Kind.CANCEL else f"user-{user_id}"
    try:
        limiter = _limiter()
        buckets = _limits(kind)
        for bucket, limit in buckets:
            if not limiter.test(limit, bucket, who):
                raise _refusal(kind, limit, limiter.get_window_stats(limit, bucket, who).reset_time)
        for bucket, limit in buckets:
            if not limiter.hit(limit, bucket, who):
                raise _refusal(kind, limit, limiter.get_window_stats(limit, bucket, who).reset_time)
    except Refusal:
        raise
    except Exception as error:
        if kind is Kind.CANCEL:
            log.exception("The throttle cannot be reached; a cancel passes")
            return
        log.exception("The throttle cannot be reached; the call is refused")
        raise Refusal(
            Code.RATE_LIMITED, "The call counter cannot be reached; try again in a minute.", retry_after=60
        ) from error


def _refusal(kind: Kind, limit: RateLimitItem, reset_time: float) -> Refusal:
    wait = max(1, math.ceil(reset_time - time.time()))
    what = {Kind.READ: "calls", Kind.TRADE: "calls or trading calls", Kind.CANCEL: "cancels"}[kind]
    if kind is Kind.TRADE and limit.amount == settings.TRADE_CALLS_PER_MINUTE:
        what = "trading calls"
    return Refusal(
        Code.RATE_LIMITED,
        f"More than {limit.amount} {what} in a minute for this user. Try again in {wait} s.",
        retry_after=wait,
    )


def is_flood(credential_id: str) -> bool:
    """Whether this credential, or nobody in particular (""), was turned away so often this minute that no further
    row is due.

    Every row is a synchronous write; without a bound, calls that cost the caller nothing would fill the disk.
    """
    try:
        return not _limiter().hit(_TURNED_AWAY, "turned-away", credential_id or "nobody")
    except Exception:
        log.exception("The throttle cannot be reached; the row is written")
        return False


def reset() -> None:
    """Forget every count. For a new test, and for an operator who raised a limit."""
    _limiter().storage.reset()
