"""What can go wrong at a broker, each with what it means for a write that was under way.

BrokerError
├── NotSent                 nothing reached the broker
│   └── BrokerUnavailable
│       ├── Busy            too many calls of ours are under way; says when to try again
│       └── OtherCertificate  the host is not the one whose certificate a person confirmed
├── Rejected                the broker, or its rules read back to us, said no
│   ├── InvalidSymbol
│   │   └── AmbiguousSymbol it means several instruments; names them
│   ├── InvalidAccount
│   ├── InvalidOrder        names the field
│   ├── InsufficientFunds
│   ├── InsufficientPosition
│   ├── MarketClosed
│   ├── StaleQuote          the newest price is too old to fill anything
│   ├── DuplicateClientId
│   ├── OrderNotFound
│   ├── NotCancellable
│   ├── InvalidRequest      a read asked for what cannot be; names the argument
│   ├── NoRate
│   ├── AuthFailed          the key is wrong, was deleted, or is not for this address
│   │   ├── ClockSkew       our clock or the broker's is off
│   │   └── NeedsLogin      a person has to sign in at the broker again
│   ├── PermissionDenied    the key is good, but may not do this
│   ├── RateLimited         says when to try again
│   ├── NeedsAnswer         the broker asks a person something before it takes the order
│   └── NotSupported        the broker has no such thing
└── UnknownOutcome          it may be open: never resend, look it up
    └── CannotTell          the broker cannot say whether it is open: a person has to check
"""

from decimal import Decimal
from enum import StrEnum

from brokers.types import Candidate


class WriteOutcome(StrEnum):
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class BrokerError(Exception):
    """``str(error)`` is safe to show: no URL, no credential, no raw body."""

    outcome = WriteOutcome.UNKNOWN


class NotSent(BrokerError):
    outcome = WriteOutcome.NOT_SENT


class BrokerUnavailable(NotSent):
    pass


class Busy(BrokerUnavailable):
    """We did not ask: too many calls are under way there. ``retry_after`` is in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OtherCertificate(BrokerUnavailable):
    """The host shows a different certificate from the one a person confirmed."""


class Rejected(BrokerError):
    outcome = WriteOutcome.REJECTED


class OtherAccount(Rejected):
    """The account behind the session or the key is not the one that was linked."""


class InvalidSymbol(Rejected):
    pass


class AmbiguousSymbol(InvalidSymbol):
    """What was asked for means several instruments. ``candidates`` are some of them, none where they are not known."""

    def __init__(self, message: str, candidates: tuple[Candidate, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates


class InvalidAccount(Rejected):
    pass


class InvalidOrder(Rejected):
    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class InsufficientFunds(Rejected):
    """``needed`` and ``available`` are the two sums it compares, in one currency, where they are known."""

    def __init__(self, message: str, *, needed: Decimal | None = None, available: Decimal | None = None) -> None:
        super().__init__(message)
        self.needed = needed
        self.available = available


class InsufficientPosition(Rejected):
    """``available`` is how many units can be sold, where that is known."""

    def __init__(self, message: str, *, available: Decimal | None = None) -> None:
        super().__init__(message)
        self.available = available


class MarketClosed(Rejected):
    pass


class StaleQuote(Rejected):
    """The latest price is too old to trade on."""


class DuplicateClientId(Rejected):
    """An order with this client order id already exists: look it up, never report a rejection."""


class OrderNotFound(Rejected):
    pass


class NotCancellable(Rejected):
    pass


class NotSupported(Rejected):
    pass


class InvalidRequest(Rejected):
    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class NoRate(Rejected):
    """This broker has no exchange rate between the two currencies."""


class AuthFailed(Rejected):
    """The broker did not accept the credentials."""


class ClockSkew(AuthFailed):
    """The broker rejects the signature's time: the clocks differ too much."""


class NeedsLogin(AuthFailed):
    """The session at the broker has ended, and only a person can begin a new one."""


class PermissionDenied(Rejected):
    """The broker knows the key and does not let it do this."""


class RateLimited(Rejected):
    """The broker is limiting calls and did nothing. ``retry_after`` is in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NeedsAnswer(Rejected):
    """The broker asks before it takes the order. Nothing is placed unless a person answers yes; no program may.

    ``questions`` are the broker's own words; ``token`` is what its adapter's ``answer`` wants.
    """

    def __init__(self, broker: str, questions: tuple[str, ...], token: str) -> None:
        asked = " ".join(f"“{question}”" for question in questions)
        super().__init__(f"{broker} has a question before it accepts this order, so nothing was placed: {asked}")
        self.questions = questions
        self.token = token


class UnknownOutcome(BrokerError):
    outcome = WriteOutcome.UNKNOWN


class CannotTell(UnknownOutcome):
    """Nothing this broker reports proves whether the order is open."""
