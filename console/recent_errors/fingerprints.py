"""Which failed calls belong together."""

import hashlib
import re

VERSION = "v1"
LONGEST_PATTERN = 300

# In this order: an id or an address would otherwise fall apart into numbers and names.
_DETAILS = (
    (re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”"), "[text]"),
    (re.compile(r"https?://\S+"), "[address]"),
    (re.compile(r"\b[A-Z]{2,6}:[^\s,;]*@?[^\s,;.]+"), "[instrument]"),
    (re.compile(r"\b(?:[a-z]{2,4}_[0-9A-Za-z]{6,}|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,})\b"), "[id]"),
    (re.compile(r"\b\d{4}-\d{2}-\d{2}(?:[T ][\d:.]+(?:Z|[+-]\d{2}:?\d{2})?)?"), "[time]"),
    (re.compile(r"(?<![\w.])[+\-\N{MINUS SIGN}]?\d[\d,.:]*\d|(?<![\w.])[+\-\N{MINUS SIGN}]?\d"), "[number]"),
    (re.compile(r"\b[A-Z][A-Z0-9]*(?:[./:-][A-Z0-9]+)+\b|\b[A-Z][A-Z0-9]+\b"), "[name]"),
)


def pattern_of(message: str) -> str:
    """The message with what differs from call to call left out: numbers, times, symbols, ids, quoted text."""
    for what, instead in _DETAILS:
        message = what.sub(instead, message)
    return " ".join(message.split())[:LONGEST_PATTERN]


def fingerprint(*, code: str, tool: str, connection_id: int | None, pattern: str) -> str:
    """``v1:`` and 16 hexadecimal digits."""
    parts = (code, tool, "" if connection_id is None else str(connection_id), pattern)
    return f"{VERSION}:{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"
