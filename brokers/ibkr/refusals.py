"""Why Interactive Brokers refused an order, from its own words: the same through the Web API and through TWS.

Source: the texts of order rejections in IBKR's message codes and its knowledge base.
"""

from collections.abc import Callable

from brokers.errors import (
    DuplicateClientId,
    InsufficientFunds,
    InsufficientPosition,
    InvalidOrder,
    InvalidSymbol,
    MarketClosed,
    PermissionDenied,
    Rejected,
)

_KINDS: tuple[tuple[type[Rejected] | Callable[[str], Rejected], tuple[str, ...]], ...] = (
    (PermissionDenied, ("trading permission", "not allowed for this account", "not permitted", "no permission")),
    (PermissionDenied, ("account is restricted", "closing-only", "closing only", "not eligible")),
    (MarketClosed, ("market is closed", "exchange is closed", "outside of trading hours", "outside regular trading")),
    (InsufficientPosition, ("short stock", "short position", "no position", "does not have enough", "you do not own")),
    (
        InsufficientFunds,
        ("insufficient", "available funds", "equity with loan", "buying power", "margin", "cash needed"),
    ),
    (InsufficientFunds, ("settled cash", "minimum equity", "net liquidation value")),
    (lambda said: InvalidOrder(said, "price"), ("price variation", "minimum price increment")),
    (lambda said: InvalidOrder(said, "quantity"), ("order size does not conform", "size value", "minimum order size")),
    (
        InvalidSymbol,
        ("no security definition", "contract is not available", "contract description", "unknown contract"),
    ),
)
_OPEN = ("timed out", "timeout", "internal error", "internal server", "try again later", "service unavailable")


def is_undecided(words: str) -> bool:
    """Whether the words are of a failure in the broker's own house, which says nothing of the order."""
    low = words.casefold()
    return any(each in low for each in _OPEN)


def refusal(broker: str, words: str, what: str = "order") -> Rejected:
    """Of an order, or of what else was asked. ``words`` are the broker's, fit to be shown."""
    low, said = words.casefold(), f"{broker} refused the {what}: {words}"
    if "already registered" in low:
        return DuplicateClientId(f"{broker} already has an order with this id.")
    make = next((make for make, marks in _KINDS if any(each in low for each in marks)), Rejected)
    return make(said)
