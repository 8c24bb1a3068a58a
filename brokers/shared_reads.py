"""Reads that requests answered together by one thread do once."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class _Here(threading.local):
    shared: dict[Any, Any] | None = None


_here = _Here()


def share_reads() -> None:
    """From here on this thread answers ``shared`` from what it reads now; what it read before is forgotten.

    For requests that wait together: a read after the last of them came is a fresh read for each.
    """
    _here.shared = {}


def stop_sharing() -> None:
    _here.shared = None


def shared(key: Any, read: Callable[[], T]) -> T:
    """What ``read`` gives: for requests that this thread answers together once, and without ``share_reads`` each time.

    What it raises is not kept. ``key`` is equal for equal reads alone.
    """
    known = _here.shared
    if known is None:
        return read()
    if key in known:
        return cast(T, known[key])
    found = known[key] = read()
    return found


def put(key: Any, found: Any) -> None:
    """What ``shared`` shall give from here on, read after ``share_reads``; without that nothing is kept."""
    if _here.shared is not None:
        _here.shared[key] = found
