"""A venue's words that are not known here: counted, so that what they hide is seen, and never in the way of a list."""

import logging
from collections import Counter
from threading import Lock, local
from typing import Any

from brokers.json_values import quoted_text
from brokers.unknown_words import UnknownWords

logger = logging.getLogger(__name__)

_MOST = 256
_LONGEST = 60
_counts: Counter[tuple[str, str, str]] = Counter()
_lock = Lock()
_reader = local()


def collected() -> UnknownWords:
    """From now on what this thread notes is kept there too: an adapter is opened and used in one thread."""
    _reader.words = UnknownWords()
    found: UnknownWords = _reader.words
    return found


def note(venue: str, field: str, word: Any = "") -> None:
    """Counts one such word. ``field`` says what it stood in, such as "order status"; a row that could not be read at
    all has no word."""
    key = (venue, field, quoted_text(str(word), _LONGEST))
    if (words := getattr(_reader, "words", None)) is not None:
        words.add(venue, f"{field} {key[2]}".strip(), left_out=not key[2])
    with _lock:
        if key not in _counts and len(_counts) >= _MOST:
            return
        _counts[key] += 1
        first = _counts[key] == 1
    if first:
        logger.warning("%s sent a word that is not known here: %s %r.", *key)


def seen(venue: str) -> dict[tuple[str, str], int]:
    """Of one venue since this process began: field and word → how often."""
    with _lock:
        return {(field, word): count for (of, field, word), count in _counts.items() if of == venue}
