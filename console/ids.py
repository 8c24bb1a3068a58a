"""Public ids: a short prefix that says what it is, and 26 characters that sort by time (as ULID does)."""

import os
import secrets
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_RANDOM_LETTERS = 16
_AT_ONCE = 64
_LETTER_OF_BYTE = bytes(ord(_ALPHABET[byte % len(_ALPHABET)]) for byte in range(256))
"""256 is a multiple of 32: each letter is as likely as any other."""

_drawn: list[str] = []
"""Random letters that no id has yet: for each id the operating system was asked, that was a tenth of a tool call."""
# A child would have the same as its parent.
os.register_at_fork(after_in_child=_drawn.clear)


def mask_account(number: str) -> str:
    """An account's number as far as it has to be told: its last four characters, and fewer of a short one."""
    return f"•••{number[-min(4, len(number) // 2) :]}" if len(number) > 1 else number


def new(prefix: str) -> str:
    """48 bits of milliseconds, then 80 random bits, in Crockford's base 32."""
    return f"{prefix}_{_letters_of(time.time_ns() // 1_000_000)}{_random_letters()}"


@lru_cache(maxsize=16)
def _letters_of(milliseconds: int) -> str:
    return "".join([_PAIRS[milliseconds >> shift & 1023] for shift in range(40, -1, -10)])


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


def _random_letters() -> str:
    try:
        # One step, so that no two threads get the same.
        return _drawn.pop()
    except IndexError:
        letters = secrets.token_bytes(_RANDOM_LETTERS * _AT_ONCE).translate(_LETTER_OF_BYTE).decode()
        drawn, *rest = (letters[start : start + _RANDOM_LETTERS] for start in range(0, len(letters), _RANDOM_LETTERS))
        _drawn.extend(rest)
        return drawn
