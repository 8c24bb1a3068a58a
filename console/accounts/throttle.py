"""Guessing is slow: failures are counted over five minutes, and none of a stranger's keeps the account's owner out.

Each kind of guess has its own counts: passwords ("sign-in"), second steps, recovery, links. A password may be guessed
five times from one neighbourhood, and twenty times from all browsers that the account has not been used with: at most
5,760 times a day, however many computers guess. A browser that its owner signed in with before is counted by itself,
five times, and passes when all the others are used up; a passkey is never counted with passwords. What comes after
a password or a session (second steps, the password again) and letters stay at five for the account, from anywhere:
nobody gets there who only knows the address.
"""

import contextlib
import hashlib
from dataclasses import dataclass

from django.core.cache import cache

from console.ip_addresses import customer_network

WINDOW_SECONDS = 300
FAILURES_PER_IP = 10
FAILURES_PER_ACCOUNT = 5
FAILURES_OF_STRANGERS = 20
FAILURES_PER_KNOWN_BROWSER = 5
TOO_MANY = "Too many attempts. Wait 5 minutes, then try again."


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    ip: str
    email: str = ""
    """Empty where no account is named before the answer: then addresses alone are counted."""
    kind: str = "sign-in"
    browser: str = ""
    """What ``known_browsers.browser_of`` calls it; empty for one that the account has not been used with."""

    def begin(self) -> bool:
        """Count it before the password is looked at, so that parallel guesses cannot all slip through."""
        if self.browser and _add(self._browser_key) <= FAILURES_PER_KNOWN_BROWSER:
            return True
        if _add(self._ip_key) > FAILURES_PER_IP:
            return False  # and no new counter for whatever account it names
        if not self.email:
            return True
        if self.kind != "sign-in":
            return _add(self._account_key) <= FAILURES_PER_ACCOUNT
        if _add(self._here_key) > FAILURES_PER_ACCOUNT:
            return False  # and it takes nothing from others who guess, or know
        return _add(self._account_key) <= FAILURES_OF_STRANGERS

    def succeeded(self) -> None:
        if self.browser and cache.get(self._browser_key, 0) <= FAILURES_PER_KNOWN_BROWSER:
            cache.delete(self._browser_key)
            return
        cache.delete(self._here_key if self.kind == "sign-in" else self._account_key)
        for key in (self._ip_key, *([self._account_key] if self.kind == "sign-in" else [])):
            with contextlib.suppress(ValueError):  # the window ended while the password was checked
                cache.decr(key)

    @property
    def _ip_key(self) -> str:
        return f"{self.kind}:ip:{customer_network(self.ip)}"

    @property
    def _here_key(self) -> str:
        return f"{self._account_key}:{customer_network(self.ip)}"

    @property
    def _browser_key(self) -> str:
        return f"{self._account_key}:browser:{self.browser}"

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
