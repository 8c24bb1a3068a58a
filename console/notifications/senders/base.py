"""What every sender makes of a message, and of the answer to it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Protocol

from django.utils import timezone

from console.notifications.news import Message
from console.public_http import Answer

Destination = Mapping[str, Any]
"""Where a channel leads and what is needed there, as it was sealed."""
LONGEST_WAIT = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One message on its way out."""

    message: Message
    message_id: str
    """The same at every attempt."""
    seconds_left: int
    is_urgent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    url: str
    headers: Mapping[str, str]
    body: bytes
    own_host: Collection[str] = ()
    """A private computer that the operator, not the person, named."""


class Result(Enum):
    SENT = "sent"
    LATER = "later"
    """It may be tried again."""
    REFUSED = "refused"
    """This message is not taken, however often it is sent."""
    GONE = "gone"
    """Nothing will ever be taken there again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    result: Result
    words: str
    """For the person whose channel it is."""
    after: float | None = None
    """Seconds that the other side asks us to wait."""


class Sender(Protocol):
    """A module of this folder."""

    def request(self, destination: Destination, posting: Posting) -> Request: ...

    def outcome(self, answer: Answer) -> Outcome: ...


def usual_outcome(answer: Answer, what: str) -> Outcome:
    """By the status alone (RFC 9110): what is busy or broken may work later, what is refused stays so."""
    said = f"{what} answered {answer.status}"
    if 200 <= answer.status < 300:
        return Outcome(Result.SENT, f"{what} took it")
    if answer.status in (404, 410):
        return Outcome(Result.GONE, f"{said}: it is gone")
    if answer.status in (408, 425, 429) or answer.status >= 500:
        return Outcome(Result.LATER, f"{said}: tried again", retry_after(answer))
    return Outcome(Result.REFUSED, said)


def retry_after(answer: Answer) -> float | None:
    """Seconds (RFC 9110, 10.2.3), an hour at most; None where nothing usable is said."""
    told = answer.headers.get("retry-after", "").strip()
    if told.isascii() and told.isdigit() and len(told) < 10:
        return min(float(told), LONGEST_WAIT)
    try:
        at: datetime = parsedate_to_datetime(told)
    except (ValueError, TypeError, IndexError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max((at - timezone.now()).total_seconds(), 0.0), LONGEST_WAIT)
