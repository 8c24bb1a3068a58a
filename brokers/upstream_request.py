"""The broker's own id of the request that this thread made last, by which its support finds it.

Threads that a call starts are not seen, but for those of ``console.connections.bulkhead``: what is not known is None.
"""

import threading

_LONGEST = 100


class _Seen(threading.local):
    by_reading: str | None = None
    by_writing: str | None = None


_seen = _Seen()


def forget() -> None:
    """Before a call."""
    if _seen.by_reading or _seen.by_writing:
        _seen.by_reading = _seen.by_writing = None


def note(request_id: str, *, is_write: bool) -> None:
    """An answer came with this id."""
    if request_id and is_write:
        _seen.by_writing = request_id[:_LONGEST]
    elif request_id:
        _seen.by_reading = request_id[:_LONGEST]


def last() -> str | None:
    """Since ``forget``: of what was sent, whatever was read afterwards; else of what was read."""
    return _seen.by_writing or _seen.by_reading
