"""Guessing secrets is slow, and so is minting without end: counted per caller's address and per client id."""

import hashlib

from django.core.cache import cache

from console.errors import Code, Refusal

WINDOW_SECONDS = 300
FAILURES_PER_IP = 30
FAILURES_PER_CLIENT_AND_IP = 10
CALLS_PER_WINDOW = 3000


def admit(ip: str, client_id: str, *, ends: bool = False) -> None:
    """Count one call; one that ends a user apart, so that no loop of the others keeps it out. Raises Refusal.

    A stranger's failures never lock the platform itself out: they are counted with the stranger's address.
    """
    failed_here, failed_pair = cache.get(_key("failed", ip), 0), cache.get(_key("failed", ip, client_id), 0)
    calls = _add(_key("ends" if ends else "calls", client_id, ip))
    if failed_here >= FAILURES_PER_IP or failed_pair >= FAILURES_PER_CLIENT_AND_IP or calls > CALLS_PER_WINDOW:
        raise Refusal(
            Code.RATE_LIMITED,
            "Too many calls or too many wrong secrets from this address. Wait 5 minutes.",
            retry_after=WINDOW_SECONDS,
        )


def failed(ip: str, client_id: str) -> None:
    _add(_key("failed", ip))
    _add(_key("failed", ip, client_id))


def _key(*parts: str) -> str:
    return "platform:" + hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _add(key: str) -> int:
    cache.add(key, 0, WINDOW_SECONDS)
    try:
        return cache.incr(key)
    except ValueError:  # it ran out between the two lines
        cache.set(key, 1, WINDOW_SECONDS)
        return 1
