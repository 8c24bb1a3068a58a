"""What an error of ccxt means for a write, by our own tables: ccxt's classes alone cannot tell.

The order is fixed: what is proved never to have left; then the venue's own code, by a table per venue; then the
classes that only a refusal raises; and all else may stand.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from brokers.crypto.library import library, never_connected
from brokers.errors import (
    AuthFailed,
    BrokerError,
    BrokerUnavailable,
    ClockSkew,
    DuplicateClientId,
    InsufficientFunds,
    InvalidOrder,
    InvalidSymbol,
    MarketClosed,
    NotCancellable,
    OrderNotFound,
    PermissionDenied,
    RateLimited,
    Rejected,
    UnknownOutcome,
)


class Meaning(Enum):
    """What a venue's code says, in our words."""

    UNKNOWN = "did not report the outcome"
    REJECTED = "refused it"
    AUTH = "did not accept the key"
    PERMISSION = "says the key has no permission for this"
    CLOCK = "says our clock is wrong: check this server's time"
    NONCE = "has seen a later call with this key: create a key that no other program uses"
    RATE = "is limiting calls"
    FUNDS = "says there are not enough funds"
    ORDER = "says the order does not meet the market's rules"
    SYMBOL = "does not know the instrument"
    CLOSED = "says the market is closed"
    DUPLICATE = "already has an order with this client order id"
    NOT_FOUND = "has no such order"
    ENDED = "says the order has already ended"
    NEITHER = "cancelled the old order and refused the new one"


_ERRORS: dict[Meaning, Callable[[str], BrokerError]] = {
    Meaning.UNKNOWN: UnknownOutcome,
    Meaning.REJECTED: Rejected,
    Meaning.AUTH: AuthFailed,
    Meaning.PERMISSION: PermissionDenied,
    Meaning.CLOCK: ClockSkew,
    Meaning.NONCE: AuthFailed,
    Meaning.RATE: lambda words: RateLimited(words, 10.0),
    Meaning.FUNDS: InsufficientFunds,
    Meaning.ORDER: lambda words: InvalidOrder(words, ""),
    Meaning.SYMBOL: InvalidSymbol,
    Meaning.CLOSED: MarketClosed,
    Meaning.DUPLICATE: DuplicateClientId,
    Meaning.NOT_FOUND: OrderNotFound,
    Meaning.ENDED: NotCancellable,
}

# Only a refusal raises these. The first that fits counts, so the special come before the general.
_CLASSES = (
    ("PermissionDenied", Meaning.PERMISSION),
    ("AuthenticationError", Meaning.AUTH),
    ("InsufficientFunds", Meaning.FUNDS),
    ("DuplicateOrderId", Meaning.DUPLICATE),
    ("OrderNotFound", Meaning.NOT_FOUND),
    ("InvalidOrder", Meaning.ORDER),
    ("BadSymbol", Meaning.SYMBOL),
    ("MarketClosed", Meaning.CLOSED),
)
_UNSENT_CLASSES = ("ArgumentsRequired", "NotSupported")
_SAFE_CODE = re.compile(r"[\w :.\-]{1,60}")


@dataclass(frozen=True, slots=True)
class Codes:
    """A venue's codes: where they stand in its answer, and what each means for the write it answers."""

    venue: str
    found: Callable[[Any], Sequence[str]]
    """Most exact first."""
    meanings: Mapping[str, Meaning]

    def meaning(self, answer: Any) -> tuple[Meaning, str] | None:
        for code in self.found(answer):
            if (known := self.meanings.get(code)) is not None:
                return known, code
        return None

    def error(self, meaning: Meaning, code: str = "") -> BrokerError:
        """Our words and the venue's code alone: what ccxt says holds addresses and whole answers."""
        safe = f" ({code})" if code and _SAFE_CODE.fullmatch(code) else ""
        if meaning is Meaning.UNKNOWN:
            return UnknownOutcome(f"{self.venue} did not confirm the order{safe}. It may be open.")
        if meaning is Meaning.NEITHER:
            return Rejected("The old order was cancelled and the new one refused: nothing is open now.")
        return _ERRORS[meaning](f"{self.venue} {meaning.value}{safe}.")


def write_error(error: Exception, codes: Codes, answer: Any) -> BrokerError:
    """``answer`` is what the venue sent for this very call, None where it sent nothing that could be read."""
    ccxt = library()
    if never_connected(error):
        return BrokerUnavailable(f"{codes.venue} could not be reached. Nothing was sent.")
    if isinstance(error, tuple(getattr(ccxt, name) for name in _UNSENT_CLASSES)):
        return BrokerUnavailable(f"{codes.venue} does not accept this order in this form. Nothing was sent.")
    if (known := codes.meaning(answer)) is not None:
        return codes.error(*known)
    code = next(iter(codes.found(answer)), "")
    for name, meaning in _CLASSES:
        if isinstance(error, getattr(ccxt, name)):
            return codes.error(meaning, code)
    return codes.error(Meaning.UNKNOWN, code)


def read_error(error: Exception, codes: Codes, answer: Any) -> BrokerError:
    """A read that failed changed nothing: what a write would leave open is "unavailable" here."""
    ccxt = library()
    found = write_error(error, codes, answer)
    if isinstance(found, UnknownOutcome):
        if isinstance(error, (ccxt.RateLimitExceeded, ccxt.DDoSProtection)):
            return codes.error(Meaning.RATE)
        return BrokerUnavailable(f"{codes.venue} gave an answer that could not be read. Nothing was changed.")
    return found
