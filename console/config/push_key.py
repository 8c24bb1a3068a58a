"""The key by which push services know this instance (VAPID, RFC 8292). Read once, by settings."""

import base64
import secrets

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (FIPS 186-5): a private key is a number between 1 and this."""


def generate() -> str:
    """A private P-256 key: 32 bytes as base64url without padding."""
    number = secrets.randbelow(_ORDER - 1) + 1
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def parse(text: str) -> int:
    """Raises ValueError where it is no such key."""
    number = int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
    if not 0 < number < _ORDER:
        raise ValueError("It is not a private P-256 key")
    return number
