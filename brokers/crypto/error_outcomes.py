"""What an error of ccxt means for a write, by our own tables: ccxt's classes alone cannot tell.

The order is fixed: what is proved never to have left; then the status of the answer, for a server's failure proves
nothing whatever its body says; then the venue's own code, by a table per venue; then the classes that only a refusal
raises; then the form of the answer, where that alone is a refusal; and all else may stand.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from brokers.crypto.ccxt_loading import library, never_connected
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
    PLACE = "does not serve the location of this server"
    NEITHER = "cancelled the old order and refused the new one"


_ERRORS: dict[Meaning, Callable[[str], BrokerError]] = {
    Meaning.UNKNOWN: UnknownOutcome,
    Meaning.REJECTED: Rejected,
    Meaning.AUTH: AuthFailed,
    Meaning.PERMISSION: PermissionDenied,
    Meaning.PLACE: PermissionDenied,
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
    ("AccountSuspended", Meaning.PERMISSION),
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
_TOO_MANY = frozenset({418, 429})
_UNPROVED = frozenset({408, 425})
# What a server says of a request that it did not take; of 408, 409, 425, 429 and what is from 500 on that is not sure.
_REFUSING = frozenset({400, 401, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 416, 417, 422, 426, 431, 451})
_BY_STATUS = {401: Meaning.AUTH, 403: Meaning.PERMISSION, 451: Meaning.PLACE}
_INTERNAL = re.compile(
    r"\b(internal|time[sd]?.?out|unavailable|busy|overload(ed)?|server error|system (error|busy)|unknown ?error|"
    r"deadline|disconnected|try again)\b",
    re.IGNORECASE,
)
_WORDS = (
    (re.compile(r"insufficient|not enough", re.IGNORECASE), Meaning.FUNDS),
    (re.compile(r"rate.?limit|too many requests|too frequent", re.IGNORECASE), Meaning.RATE),
)


def is_internal(text: str) -> bool:
    """Words of a venue about itself: they do not say what became of the request."""
    return bool(_INTERNAL.search(text.replace("_", " ")))


def by_words(text: str, else_: Meaning) -> Meaning:
    """What kind of refusal these words are about; ``else_`` where they are about nothing we know."""
    return next((meaning for words, meaning in _WORDS if words.search(text.replace("_", " "))), else_)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back on the wire for one call. ``status`` is None where no answer came."""

    status: int | None
    body: Any


def _no_form(answer: Any, status: int) -> Meaning | None:
    return None


@dataclass(frozen=True, slots=True)
class Codes:
    """A venue's codes: where they stand in its answer, and what each means for the write it answers."""

    venue: str
    found: Callable[[Any], Sequence[str]]
    """Most exact first."""
    meanings: Mapping[str, Meaning]
    refuses: Callable[[Any, int], Meaning | None] = _no_form
    """Of an answer whose form proves that nothing was done, whatever its words: what kind of refusal it is."""

    def judge(self, answer: Any, status: int = 200) -> tuple[Meaning, str] | None:
        """What the answer to a write proves, with the venue's code; None where that is nothing."""
        code = next(iter(self.found(answer)), "")
        known = self.meaning(answer)
        if status >= 500 or status in _UNPROVED:
            return Meaning.UNKNOWN, code
        if status in _TOO_MANY:
            return known if known and known[0] is Meaning.RATE else (Meaning.UNKNOWN, code)
        if known is not None or status == 451:
            return known or (Meaning.PLACE, "")
        proved = self.refuses(answer, status)
        return None if proved is None else (proved, code)

    def refusal(self, answer: Any) -> BrokerError | None:
        """Of an answer that came as a success; None where it proves no refusal."""
        judged = self.judge(answer)
        return None if judged is None else self.error(*judged)

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


def write_error(error: Exception, codes: Codes, answered: Answered) -> BrokerError:
    """``answered`` is what the venue sent for this very call."""
    if (unsent := _unsent(error, codes, answered)) is not None:
        return unsent
    code = next(iter(codes.found(answered.body)), "")
    judged = None if answered.status is None else codes.judge(answered.body, answered.status)
    by_class = _by_class(error)
    if judged is not None and (codes.meaning(answered.body) or judged[0] is Meaning.UNKNOWN or by_class is None):
        return codes.error(*judged)
    if by_class is not None:
        return codes.error(by_class, code)
    if answered.status in _REFUSING and not code and not is_internal(str(answered.body)):
        return codes.error(_BY_STATUS.get(answered.status, Meaning.REJECTED))
    return codes.error(Meaning.UNKNOWN, code)


def read_error(error: Exception, codes: Codes, answered: Answered) -> BrokerError:
    """A read that failed changed nothing: what a write would leave open is "unavailable" here, and only a code or a
    class that says so is a refusal: "no such order" is never taken from the form of an answer."""
    ccxt = library()
    if (unsent := _unsent(error, codes, answered)) is not None:
        return unsent
    status = answered.status or 200
    known = codes.meaning(answered.body)
    if known is not None and status < 500 and status not in _UNPROVED and known[0] is not Meaning.UNKNOWN:
        return codes.error(*known)
    if status == 451 and known is None:
        return codes.error(Meaning.PLACE)
    by_class = None if status >= 500 or known is not None else _by_class(error)
    if by_class is not None:
        return codes.error(by_class, next(iter(codes.found(answered.body)), ""))
    if isinstance(error, (ccxt.RateLimitExceeded, ccxt.DDoSProtection)):
        return codes.error(Meaning.RATE)
    return BrokerUnavailable(f"{codes.venue} gave an answer that could not be read. Nothing was changed.")


def _unsent(error: Exception, codes: Codes, answered: Answered) -> BrokerError | None:
    ccxt = library()
    if never_connected(error):
        return BrokerUnavailable(f"{codes.venue} could not be reached. Nothing was sent.")
    if answered.status is None and isinstance(error, tuple(getattr(ccxt, name) for name in _UNSENT_CLASSES)):
        return BrokerUnavailable(f"{codes.venue} does not accept this order in this form. Nothing was sent.")
    return None


def _by_class(error: Exception) -> Meaning | None:
    ccxt = library()
    return next((meaning for name, meaning in _CLASSES if isinstance(error, getattr(ccxt, name))), None)
