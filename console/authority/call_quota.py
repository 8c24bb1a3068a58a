"""How often one user may call, over all of the user's apps together; a session and a management key count apart.

Reads, lists and orders fail closed: when the shared counter cannot be reached, the call is refused. Cancels, and what
takes power away, have buckets of their own that fail open, for a limit must never keep anyone from getting out.
"""

import functools
import logging
import math
import time
from enum import StrEnum

from django.conf import settings
from limits import RateLimitItemPerMinute
from limits.strategies import MovingWindowRateLimiter

from console.authority.redis_windows import RedisWindows
from console.authority.sliding_window import SlidingWindows
from console.errors import Code, Refusal

log = logging.getLogger(__name__)


_TURNED_AWAY = 120
_OWN = "own/app-"


class CallKind(StrEnum):
    READ = "read"
    TRADE = "trade"
    CANCEL = "cancel"
    LIST = "list"
    """What an app is told before it calls anything: lists, greetings, discovery."""
    STOP = "stop"
    """A person, or their program, takes power away: revoke, pause, halt, narrow."""


_FAIL_OPEN = frozenset({CallKind.CANCEL, CallKind.STOP})
_WORDS = {
    CallKind.READ: "calls",
    CallKind.TRADE: "calls or trading calls",
    CallKind.CANCEL: "cancels",
    CallKind.LIST: "list and initialize requests",
    CallKind.STOP: "cancels and halts",
}


class _Shared:
    """The windows of all processes, in Redis. Raises what the client raises when it cannot be reached."""

    def __init__(self) -> None:
        self._storage = RedisWindows(settings.REDIS_URL)
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
def _limiter() -> _Shared | SlidingWindows:
    # The library's own memory grows a thread and a walk over all entries into every call.
    return _Shared() if settings.REDIS_URL else SlidingWindows()


def prepare() -> None:
    """Make the counter before the first call: the library loads its client when it is made, and not in two threads."""
    _limiter()


def check(user_id: int, app_id: int, kind: CallKind, *, own: int | None = None) -> None:
    """Count one call of an app: cancels and lists by app, so that no app can use up another's.

    ``own``: how many calls a minute its owner lets this app make, besides the user's limit; not for cancels and lists.

    Raises Refusal with ``retry_after`` in seconds when the minute is used up.
    """
    if kind is CallKind.CANCEL:
        limits = [(f"cancel/app-{app_id}", settings.CANCELS_PER_MINUTE)]
    elif kind is CallKind.LIST:
        limits = [(f"list/app-{app_id}", settings.LISTS_PER_MINUTE)]
    else:
        limits = [(f"all/user-{user_id}", settings.CALLS_PER_MINUTE)]
        if kind is CallKind.TRADE:
            limits.append((f"trade/user-{user_id}", settings.TRADE_CALLS_PER_MINUTE))
        if own is not None:
            limits.append((f"{_OWN}{app_id}", own))
    _count(limits, kind)


def check_person(holder: str, kind: CallKind) -> None:
    """Count one request of a console session or a management key, in windows that no app and no other key can use up.

    ``holder`` names it among all of them. Raises Refusal like ``check``.
    """
    if kind in _FAIL_OPEN:
        limits = [(f"{kind}/{holder}", settings.CANCELS_PER_MINUTE)]
    else:
        limits = [(f"all/{holder}", settings.CALLS_PER_MINUTE)]
        if kind is CallKind.TRADE:
            limits.append((f"trade/{holder}", settings.TRADE_CALLS_PER_MINUTE))
    _count(limits, kind)


def _count(limits: list[tuple[str, int]], kind: CallKind) -> None:
    try:
        refused = _limiter().take(limits)
    except Exception as error:
        if kind in _FAIL_OPEN:
            log.warning("The throttle cannot be reached (%s); what stops something passes", type(error).__name__)
            return
        log.warning("The throttle cannot be reached (%s); the call is refused", type(error).__name__)
        raise Refusal(
            Code.RATE_LIMITED, "The call counter cannot be reached; try again in a minute.", retry_after=60
        ) from error
    if refused is not None:
        place, seconds = refused
        raise _refusal(kind, *limits[place], seconds)


def _refusal(kind: CallKind, window: str, limit: int, seconds: float) -> Refusal:
    wait = max(1, math.ceil(seconds))
    if window.startswith(_OWN):
        return Refusal(
            Code.RATE_LIMITED,
            f"More than {limit} calls in a minute, the limit the owner set for this app. Try again in {wait} s.",
            retry_after=wait,
        )
    what = _WORDS[kind]
    if kind is CallKind.TRADE and limit == settings.TRADE_CALLS_PER_MINUTE:
        what = "trading calls"
    whose = "app" if kind in (CallKind.CANCEL, CallKind.LIST) else "user"
    return Refusal(
        Code.RATE_LIMITED,
        f"More than {limit} {what} in a minute for this {whose}. Try again in {wait} s.",
        retry_after=wait,
    )


def is_flood(credential_id: str) -> bool:
    """Whether this credential, or nobody in particular (""), was turned away so often this minute that no further
    row is due.

    Every row is a synchronous write; without a bound, calls that cost the caller nothing would fill the disk.
    """
    try:
        return _limiter().take([(f"turned-away/{credential_id or 'nobody'}", _TURNED_AWAY)]) is not None
    except Exception as error:
        log.warning("The throttle cannot be reached (%s); the row is written", type(error).__name__)
        return False


def reset() -> None:
    """Forget every count. For a new test, and for an operator who raised a limit."""
    _limiter().clear()
