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
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from console.authority.windows import Windows
from console.errors import Code, Refusal

log = logging.getLogger(__name__)


_TURNED_AWAY = 120


class Kind(StrEnum):
    READ = "read"
    TRADE = "trade"
    CANCEL = "cancel"


class _Shared:
    """The windows of all processes, in Redis. Raises what the client raises when it cannot be reached."""

    def __init__(self) -> None:
        self._storage = RedisStorage(settings.REDIS_URL)
        self._limiter = MovingWindowRateLimiter(self._storage)

    def take(self, limits: list[tuple[str, int]]) -> tuple[int, float] | None:
        items = [(key, RateLimitItemPerMinute(most)) for key, most in limits]
        for act in (self._limiter.test, self._limiter.hit):
            for place, (key, item) in enumerate(items):
                if not act(item, key):
                    return place, self._limiter.get_window_stats(item, key).reset_time - time.time()
        return None

    def clear(self) -> None:
        self._storage.reset()


@functools.cache
def _limiter() -> _Shared | Windows:
    # The library's own memory grows a thread and a walk over all entries into every call.
    return _Shared() if settings.REDIS_URL else Windows()


def _limits(user_id: int, app_id: int, kind: Kind) -> list[tuple[str, int]]:
    if kind is Kind.CANCEL:
        return [(f"cancel/app-{app_id}", settings.CANCELS_PER_MINUTE)]
    every = [(f"all/user-{user_id}", settings.CALLS_PER_MINUTE)]
    if kind is Kind.TRADE:
        every.append((f"trade/user-{user_id}", settings.TRADE_CALLS_PER_MINUTE))
    return every


def check(user_id: int, app_id: int, kind: Kind) -> None:
    """Count one call; cancels by app, so that no app can use up another's way out.

    Raises Refusal with ``retry_after`` in seconds when the minute is used up.
    """
    limits = _limits(user_id, app_id, kind)
    try:
        refused = _limiter().take(limits)
    except Exception as error:
        if kind is Kind.CANCEL:
            log.exception("The throttle cannot be reached; a cancel passes")
            return
        log.exception("The throttle cannot be reached; the call is refused")
        raise Refusal(
            Code.RATE_LIMITED, "The call counter cannot be reached; try again in a minute.", retry_after=60
        ) from error
    if refused is not None:
        place, seconds = refused
        raise _refusal(kind, limits[place][1], seconds)


def _refusal(kind: Kind, limit: int, seconds: float) -> Refusal:
    wait = max(1, math.ceil(seconds))
    what = {Kind.READ: "calls", Kind.TRADE: "calls or trading calls", Kind.CANCEL: "cancels"}[kind]
    if kind is Kind.TRADE and limit == settings.TRADE_CALLS_PER_MINUTE:
        what = "trading calls"
    return Refusal(
        Code.RATE_LIMITED,
        f"More than {limit} {what} in a minute for this user. Try again in {wait} s.",
        retry_after=wait,
    )


def is_flood(credential_id: str) -> bool:
    """Whether this credential, or nobody in particular (""), was turned away so often this minute that no further
    row is due.

    Every row is a synchronous write; without a bound, calls that cost the caller nothing would fill the disk.
    """
    try:
        return _limiter().take([(f"turned-away/{credential_id or 'nobody'}", _TURNED_AWAY)]) is not None
    except Exception:
        log.exception("The throttle cannot be reached; the row is written")
        return False


def reset() -> None:
    """Forget every count. For a new test, and for an operator who raised a limit."""
    _limiter().clear()
