"""Guessing is slow: failures are counted per address and per account over five minutes.

Each kind of guess has its own counts: passwords ("sign-in"), second steps, recovery, links.
"""

import contextlib
import hashlib
from dataclasses import dataclass

from django.core.cache import cache

from console.addresses import neighbourhood

WINDOW_SECONDS = 300
FAILURES_PER_IP = 10
FAILURES_PER_ACCOUNT = 5
TOO_MANY = "Too many attempts. Wait 5 minutes, then try again."


@dataclass(frozen=True, slots=True)
class Attempt:
    ip: str
    email: str = ""
    """Empty where no account is named before the answer: then addresses alone are counted."""
    kind: str = "sign-in"

    def begin(self) -> bool:
        """Count it before the password is looked at, so that parallel guesses cannot all slip through."""
        if _add(self._ip_key) > FAILURES_PER_IP:
            return False  # and no new counter for whatever account it names
        return not self.email or _add(self._account_key) <= FAILURES_PER_ACCOUNT

    def succeeded(self) -> None:
        cache.delete(self._account_key)
        with contextlib.suppress(ValueError):  # the window ended while the password was checked
            cache.decr(self._ip_key)

    @property
    def _ip_key(self) -> str:
        return f"{self.kind}:ip:{neighbourhood(self.ip)}"

    @property
    def _account_key(self) -> str:
        return f"{self.kind}:account:{hashlib.sha256(self.email.strip().lower().encode()).hexdigest()}"


def _add(key: str) -> int:
    cache.add(key, 0, WINDOW_SECONDS)
    try:
        return cache.incr(key)
    except ValueError:  # it ran out between the two lines
        cache.set(key, 1, WINDOW_SECONDS)
        return 1
