"""Where an order can stand, and every move between. No database.

DENIED is ours, REJECTED_BY_OWNER the owner's, REJECTED the broker's; UNANSWERED is nobody's: the broker asked, and no
answer came. UNKNOWN is open until it is looked up.
"""

from enum import StrEnum

from brokers.types import BrokerStatus


class Status(StrEnum):
    AWAITING = "awaiting_confirmation"
    """Prepared and shown; nothing was sent."""
    LAPSED = "lapsed"
    """Nobody confirmed in time; nothing was sent."""
    DENIED = "denied"
    """Refused by us at release; nothing was sent."""
    REJECTED_BY_OWNER = "rejected_by_owner"
    """The owner said no, to the order or to what its broker asked; nothing was placed."""
    INTENT = "intent"
    """Confirmed and committed; about to be sent, once."""
    SENDING = "sending"
    """On its way. A crash here leaves it UNKNOWN."""
    ASKED = "awaiting_answer"
    """The broker asks a person something before it takes it. Nothing stands unless its owner says yes."""
    UNKNOWN = "unknown"
    """It may stand at the broker. Looked up by its id, never sent again."""
    NOT_SENT = "not_sent"
    """The broker could not be reached; nothing was sent."""
    NOT_FOUND = "not_found"
    """The broker has no such order, long enough after the send to be sure."""
    REJECTED = "rejected"
    """By the broker."""
    UNANSWERED = "unanswered"
    """The broker asked something and nobody answered in time; nothing was placed."""
    WORKING = "working"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


AT_BROKER = frozenset({Status.WORKING, Status.PARTIALLY_FILLED})
IN_FLIGHT = frozenset({Status.INTENT, Status.SENDING, Status.UNKNOWN})
OPEN = AT_BROKER | IN_FLIGHT | {Status.ASKED}
ENDED = frozenset(Status) - OPEN - {Status.AWAITING}

_ANSWERS = frozenset(
    {
        Status.WORKING,
        Status.PARTIALLY_FILLED,
        Status.FILLED,
        Status.CANCELLED,
        Status.EXPIRED,
        Status.REJECTED,
    }
)

MOVES: dict[Status, frozenset[Status]] = {
    Status.AWAITING: frozenset(
        {Status.INTENT, Status.DENIED, Status.LAPSED, Status.REJECTED_BY_OWNER, Status.CANCELLED}
    ),
    Status.INTENT: frozenset({Status.SENDING, Status.DENIED, Status.CANCELLED}),
    Status.SENDING: _ANSWERS | {Status.ASKED, Status.UNKNOWN, Status.NOT_SENT},
    # Back to SENDING: its owner's yes is sent once, as the order was.
    Status.ASKED: frozenset(
        {Status.SENDING, Status.REJECTED_BY_OWNER, Status.UNANSWERED, Status.DENIED, Status.CANCELLED}
    ),
    Status.UNKNOWN: _ANSWERS | {Status.NOT_FOUND},
    # Some brokers accept an order first and reject it a moment later.
    Status.WORKING: _ANSWERS - {Status.WORKING},
    Status.PARTIALLY_FILLED: frozenset({Status.FILLED, Status.CANCELLED, Status.EXPIRED, Status.REJECTED}),
    # A lookup that said "no such order" can be overtaken by a broker that was merely late.
    Status.NOT_FOUND: _ANSWERS,
}

FROM_BROKER: dict[BrokerStatus, Status] = {
    BrokerStatus.WORKING: Status.WORKING,
    BrokerStatus.PARTIALLY_FILLED: Status.PARTIALLY_FILLED,
    BrokerStatus.FILLED: Status.FILLED,
    BrokerStatus.CANCELLED: Status.CANCELLED,
    BrokerStatus.EXPIRED: Status.EXPIRED,
    BrokerStatus.REJECTED: Status.REJECTED,
}

STATUS_LABELS: dict[Status, str] = {
    Status.AWAITING: "Waiting for confirmation",
    Status.LAPSED: "Not confirmed in time",
    Status.DENIED: "Refused by Tradelatch",
    Status.REJECTED_BY_OWNER: "Declined by the owner",
    Status.INTENT: "Confirmed",
    Status.SENDING: "Being sent",
    Status.ASKED: "Waiting for the owner's answer",
    Status.UNKNOWN: "Being looked up",
    Status.NOT_SENT: "Not sent",
    Status.NOT_FOUND: "Not found at the broker",
    Status.REJECTED: "Rejected by the broker",
    Status.UNANSWERED: "Broker's question not answered",
    Status.WORKING: "Working",
    Status.PARTIALLY_FILLED: "Partly filled",
    Status.FILLED: "Filled",
    Status.CANCELLED: "Cancelled",
    Status.EXPIRED: "Expired",
}


def allowed(before: Status, after: Status) -> bool:
    return after in MOVES.get(before, frozenset())


class AmendmentStatus(StrEnum):
    """Every status of an amendment. It is sent once; a lost answer is looked up, never sent again."""

    AWAITING = "awaiting_confirmation"
    LAPSED = "lapsed"
    DENIED = "denied"
    DISCARDED = "discarded"
    REJECTED_BY_OWNER = "rejected_by_owner"
    INTENT = "intent"
    SENDING = "sending"
    ASKED = "awaiting_answer"
    """The broker asks a person something before it changes the order, which stands as it was until then."""
    UNKNOWN = "unknown"
    """It may hold at the broker: the order itself is read to learn whether it does."""
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    """By the broker."""
    UNANSWERED = "unanswered"
    """The broker asked something and nobody answered in time."""
    DONE = "done"
    NOT_DONE = "not_done"
    """The broker still has, or ended, the order as it was, long enough after the send to be sure."""


UNSETTLED = frozenset({AmendmentStatus.INTENT, AmendmentStatus.SENDING, AmendmentStatus.ASKED, AmendmentStatus.UNKNOWN})

AMENDMENT_MOVES: dict[AmendmentStatus, frozenset[AmendmentStatus]] = {
    # Straight to DONE: the cancel of an order, which from then on is the order's own.
    AmendmentStatus.AWAITING: frozenset(
        {
            AmendmentStatus.INTENT,
            AmendmentStatus.DONE,
            AmendmentStatus.DENIED,
            AmendmentStatus.LAPSED,
            AmendmentStatus.DISCARDED,
            AmendmentStatus.REJECTED_BY_OWNER,
        }
    ),
    AmendmentStatus.INTENT: frozenset({AmendmentStatus.SENDING, AmendmentStatus.DENIED}),
    AmendmentStatus.SENDING: frozenset(
        {
            AmendmentStatus.DONE,
            AmendmentStatus.REJECTED,
            AmendmentStatus.NOT_SENT,
            AmendmentStatus.ASKED,
            AmendmentStatus.UNKNOWN,
        }
    ),
    # Back to SENDING: its owner's yes is sent once, as the change was.
    AmendmentStatus.ASKED: frozenset(
        {
            AmendmentStatus.SENDING,
            AmendmentStatus.REJECTED_BY_OWNER,
            AmendmentStatus.UNANSWERED,
            AmendmentStatus.DENIED,
        }
    ),
    AmendmentStatus.UNKNOWN: frozenset({AmendmentStatus.DONE, AmendmentStatus.NOT_DONE}),
    # As with an order: "not there" can be overtaken by a broker that was merely late.
    AmendmentStatus.NOT_DONE: frozenset({AmendmentStatus.DONE}),
}

AMENDMENT_LABELS: dict[AmendmentStatus, str] = {
    AmendmentStatus.AWAITING: "Waiting for confirmation",
    AmendmentStatus.LAPSED: "Not confirmed in time",
    AmendmentStatus.DENIED: "Refused by Tradelatch",
    AmendmentStatus.DISCARDED: "Discarded",
    AmendmentStatus.REJECTED_BY_OWNER: "Declined by the owner",
    AmendmentStatus.INTENT: "Confirmed",
    AmendmentStatus.SENDING: "Being sent",
    AmendmentStatus.ASKED: "Waiting for the owner's answer",
    AmendmentStatus.UNKNOWN: "Being looked up",
    AmendmentStatus.NOT_SENT: "Not sent",
    AmendmentStatus.REJECTED: "Rejected by the broker",
    AmendmentStatus.UNANSWERED: "Broker's question not answered",
    AmendmentStatus.DONE: "Changed",
    AmendmentStatus.NOT_DONE: "Not changed",
}
