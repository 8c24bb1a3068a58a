"""A broker's own stream of order updates, as far as it concerns us: it says that something moved, never what.

What a frame says of an order is not taken over: it makes us ask the broker, by the same look-up that polling uses. So a
wrong, forged or repeated frame can cause a question and no wrong state (``docs/decisions/streams-only-wake.md``).

One ``OrderStream`` is one connection's worth of talk, without the connection: text in, text out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from brokers.allowed_hosts import AllowedHosts


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAddress:
    """Where a stream is, and how it is reached."""

    url: str = field(repr=False)
    """ws:// or wss://; some brokers have a token in it."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    reach: AllowedHosts | None = None
    """Of a host whose address a person typed: which computers may be called."""
    fingerprint: str = ""
    """SHA-256 of the one certificate that is taken, in hexadecimal; empty: one that the system's authorities sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameMeaning:
    """What one frame came to."""

    ready: bool = False
    """The broker has taken the subscription: from here on it says what moves."""
    moved: bool = False
    client_order_ids: tuple[str, ...] = ()
    """Ours, of the orders that moved, where the frame names them."""
    send: tuple[str, ...] = field(default=(), repr=False)
    """The next words of ours, such as the subscription once the sign-in is taken."""
    broken: str = ""
    """Why this connection is of no more use: a gap in its numbers, a subscription that ended. "" while it is."""


NOTHING = FrameMeaning()


class StreamEventKind(StrEnum):
    UP = "up"
    """It stands. What moved before it did is not known."""
    MOVED = "moved"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """What a stream comes to for who looks at orders."""

    kind: StreamEventKind
    client_order_ids: tuple[str, ...] = ()
    """Of what moved, where the broker named them; none: anything of the account may have."""
    reason: str = ""
    """Of DOWN, safe to show."""


class OrderStream:
    """Subclass: ``heard`` reads the broker's frames. One object for one connection, used by one thread."""

    beat = ""
    """What has to be said now and then so that the broker keeps the connection; "" where pings of the protocol do."""
    beat_every = 20.0
    """Seconds."""
    silent_after: float | None = None
    """Seconds without any frame after which the connection is taken for dead; None where the broker may be silent."""

    def __init__(self, address: StreamAddress, greeting: tuple[str, ...] = ()) -> None:
        """``greeting`` is said as soon as the connection stands."""
        self.address = address
        self.greeting = greeting

    def heard(self, frame: str) -> FrameMeaning:
        """Raises AuthFailed where the broker refuses the sign-in, ValueError for a frame that cannot be read."""
        raise NotImplementedError


def record(frame: str) -> dict[str, Any]:
    """A frame that has to be a JSON object. Raises ValueError."""
    try:
        told = json.loads(frame)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(told, dict):
        raise ValueError("not an object")
    return told


def records(told: object) -> list[dict[str, Any]]:
    """The objects of a list, where it is one."""
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def names(told: object, *keys: str) -> tuple[str, ...]:
    """What objects say under any of these keys, as text, each once."""
    found = [row.get(key) for row in records(told) for key in keys]
    return tuple(dict.fromkeys(each for each in found if isinstance(each, str) and each))


def socket_url(url: str, path: str) -> str:
    """The address of a stream beside an address for HTTP: ``https`` becomes ``wss``."""
    return "ws" + url.removeprefix("http").rstrip("/") + path
