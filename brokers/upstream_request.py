"""The broker's own id of the request that this thread made last, by which its support finds it.

Threads that a call starts for itself are not seen: what is not known is None.
"""

import threading

_LONGEST = 100


class _Seen(threading.local):
    id: str | None = None
    is_of_write: bool = False


_seen = _Seen()


def forget() -> None:
    """Before a call."""
    _seen.id, _seen.is_of_write = None, False


def note(request_id: str, *, is_write: bool) -> None:
    """An answer came with this id. That of what was sent stays, whatever is read afterwards."""
    if request_id and (is_write or not _seen.is_of_write):
        _seen.id, _seen.is_of_write = request_id[:_LONGEST], is_write


def last() -> str | None:
    """Since ``forget``."""
    return _seen.id
