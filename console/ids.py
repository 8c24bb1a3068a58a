"""Public ids: a short prefix that says what it is, and 26 characters that sort by time (as ULID does)."""

import os
import secrets
import time
from datetime import UTC, datetime, timedelta

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_RANDOM_BYTES = 10
_AT_ONCE = 64

_drawn: list[bytes] = []
"""Random bits of the operating system that no id has yet: asked for each id, they were a tenth of a tool call."""
# A child would have the same as its parent.
os.register_at_fork(after_in_child=_drawn.clear)


def mask_account(number: str) -> str:
    """An account's number as far as it has to be told: its last four characters, and fewer of a short one."""
    return f"•••{number[-min(4, len(number) // 2) :]}" if len(number) > 1 else number


def new(prefix: str) -> str:
    """48 bits of milliseconds, then 80 random bits, in Crockford's base 32."""
    number = (time.time_ns() // 1_000_000) << 80 | _random_bits()
    return prefix + "_" + "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def made_at(public_id: str) -> datetime | None:
    """When ``new`` made it; None for what it cannot have made."""
    number = public_id.rpartition("_")[2]
    if len(number) != 26 or not set(number) <= _VALUES.keys():
        return None
    milliseconds = 0
    for letter in number[:10]:
        milliseconds = milliseconds << 5 | _VALUES[letter]
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def _random_bits() -> int:
    try:
        # One step, so that no two threads get the same.
        drawn = _drawn.pop()
    except IndexError:
        block = secrets.token_bytes(_RANDOM_BYTES * _AT_ONCE)
        drawn, *rest = (block[start : start + _RANDOM_BYTES] for start in range(0, len(block), _RANDOM_BYTES))
        _drawn.extend(rest)
    return int.from_bytes(drawn)
