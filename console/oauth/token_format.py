"""What tokens look like: a prefix by which logs and scanners know them, and 190 random bits."""

import secrets
import string

_BASE62 = string.ascii_letters + string.digits


def _random() -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(32))


def access_token(request: object) -> str:
    return f"tla_{_random()}"


def refresh_token(request: object) -> str:
    return f"tlr_{_random()}"
