"""Every refusal Tradelatch can give, each with one stable code: the same in MCP, audit and console."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from django.db import InterfaceError, OperationalError

from brokers import errors as broker
from brokers.types import Candidate


class Code(StrEnum):
    # the request itself
    INVALID_REQUEST = "invalid_request"
    UNKNOWN_TOOL = "unknown_tool"
    UNKNOWN_ARGUMENT = "unknown_argument"
    MISSING_ARGUMENT = "missing_argument"
    INVALID_ARGUMENT = "invalid_argument"
    BODY_TOO_LARGE = "body_too_large"
    REQUEST_TIMEOUT = "request_timeout"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    ORIGIN_REFUSED = "origin_refused"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    # who may act
    UNAUTHENTICATED = "unauthenticated"
    WRONG_AUDIENCE = "wrong_audience"
    NOT_PERMITTED = "not_permitted"
    CSRF_FAILED = "csrf_failed"
    RE_AUTHENTICATION_REQUIRED = "re_authentication_required"
    IP_NOT_ALLOWED = "ip_not_allowed"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    TOOLSET_OFF = "toolset_off"
    NOT_OFFERED_BY_BROKER = "not_offered_by_broker"
    TRADING_DISABLED = "trading_disabled"
    APP_PAUSED = "app_paused"
    APP_REVOKED = "app_revoked"
    CONNECTION_PAUSED = "connection_paused"
    LIVE_FROZEN = "live_frozen"
    HALTED = "halted"
    RATE_LIMITED = "rate_limited"
    UNKNOWN_USER = "unknown_user"
    CONNECTION_REQUIRED = "connection_required"
    # a signal
    SIGNAL_FORGED = "signal_forged"
    SIGNAL_REPEATED = "signal_repeated"
    SIGNAL_LATE = "signal_late"
    SIGNAL_UNREADABLE = "signal_unreadable"
    # the order
    UNKNOWN_SYMBOL = "unknown_symbol"
    AMBIGUOUS_SYMBOL = "ambiguous_symbol"
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_ORDER = "unknown_order"
    INVALID_ORDER = "invalid_order"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    INSUFFICIENT_POSITION = "insufficient_position"
    MARKET_CLOSED = "market_closed"
    STALE_QUOTE = "stale_quote"
    NO_RATE = "no_rate"
    PRICE_MOVED = "price_moved"
    NOT_CANCELLABLE = "not_cancellable"
    NOT_MODIFIABLE = "not_modifiable"
    NO_POSITION = "no_position"
    POSITION_CHANGED = "position_changed"
    POSITION_UNREADABLE = "position_unreadable"
    TRIGGER_ALREADY_MET = "trigger_already_met"
    EXIT_ON_WRONG_SIDE = "exit_on_wrong_side"
    DUPLICATE_ORDER_ID = "duplicate_order_id"
    APPROVAL_REQUIRED = "approval_required"
    USER_IS_ASKED = "user_is_asked"
    WAITS_FOR_OWNER = "waits_for_owner"
    OWNERS_ORDER = "owners_order"
    ANOTHER_APPS_ORDER = "another_apps_order"
    CONFIRMATION_UNKNOWN = "confirmation_unknown"
    CONFIRMED_TOO_SOON = "confirmed_too_soon"
    CONFIRMATION_EXPIRED = "confirmation_expired"
    CONFIRMATION_USED = "confirmation_used"
    CONFIRMATION_CHANGED = "confirmation_changed"
    REJECTED_BY_OWNER = "rejected_by_owner"
    LIMIT_EXCEEDED = "limit_exceeded"
    OUTSIDE_LIMITS = "outside_limits"
    PRICE_OUTSIDE_COLLAR = "price_outside_collar"
    LIMIT_UNPROVABLE = "limit_unprovable"
    LIMITS_REQUIRED = "limits_required"
    # what came back
    BROKER_REJECTED = "broker_rejected"
    BROKER_UNAVAILABLE = "broker_unavailable"
    BROKER_SIGN_IN_REFUSED = "broker_sign_in_refused"
    BROKER_NEEDS_LOGIN = "broker_needs_login"
    BROKER_PERMISSION_MISSING = "broker_permission_missing"
    BROKER_BUSY = "broker_busy"
    BROKER_ASKS = "broker_asks"
    QUESTION_UNANSWERED = "question_unanswered"
    OUTCOME_UNKNOWN = "outcome_unknown"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    DATABASE_UNAVAILABLE = "database_unavailable"
    INTERNAL_ERROR = "internal_error"


class Blame(StrEnum):
    """Whose fault a refusal is."""

    CALLER = "the caller"
    GATEWAY = "Tradelatch"
    BROKER = "the broker"
    NETWORK = "the network"
    NOBODY = "nobody"
    """A limit, a halt, a missing right or a person's no did what it is for."""


@dataclass(frozen=True, slots=True)
class Explanation:
    title: str
    advice: str
    blame: Blame = Blame.CALLER


EXPLANATIONS: dict[Code, Explanation] = {
    Code.INVALID_REQUEST: Explanation(
        "The request was malformed",
        "Update the assistant or program that sent it; the message says what could not be read.",
    ),
    Code.UNKNOWN_TOOL: Explanation(
        "No such tool",
        "The assistant called a tool this server does not have. Ask it to list the tools again.",
    ),
    Code.UNKNOWN_ARGUMENT: Explanation(
        "Unknown argument",
        "Nothing was done. The tool list shows the arguments.",
    ),
    Code.MISSING_ARGUMENT: Explanation(
        "Missing argument", "Nothing was done. The assistant can call again with the argument."
    ),
    Code.INVALID_ARGUMENT: Explanation(
        "Invalid argument",
        "Nothing was done. The message names the argument and the values it accepts.",
    ),
    Code.BODY_TOO_LARGE: Explanation("The request was too large", "Send a request of at most 256 kB."),
    Code.REQUEST_TIMEOUT: Explanation(
        "The request did not arrive in time",
        "The connection stalled before the whole request had arrived. Nothing was done; send it again.",
        Blame.NETWORK,
    ),
    Code.UNSUPPORTED_MEDIA_TYPE: Explanation(
        "The request was not JSON", "Send Content-Type: application/json and accept application/json."
    ),
    Code.ORIGIN_REFUSED: Explanation(
        "A web page from another origin made the call",
        "Browsers may call only from this server's own address. Nothing was done.",
    ),
    Code.NOT_FOUND: Explanation(
        "Not found", "Check the list it should be in. Items that belong to other people are not listed."
    ),
    Code.METHOD_NOT_ALLOWED: Explanation("Method not allowed", "The Allow header and the schema list the methods."),
    Code.UNAUTHENTICATED: Explanation(
        "Not signed in, or the sign-in has ended",
        "Connect the assistant again, or check under Connected apps and API keys whether access was revoked.",
    ),
    Code.WRONG_AUDIENCE: Explanation(
        "A token for /mcp was sent to the REST API",
        "An assistant's sign-in works only at /mcp. Use an API key for the REST API.",
    ),
    Code.NOT_PERMITTED: Explanation(
        "This kind of sign-in cannot do this", "The message says which kind can. Nothing was done.", Blame.NOBODY
    ),
    Code.CSRF_FAILED: Explanation(
        "Missing or wrong CSRF token",
        "Send the session's CSRF token as X-CSRFToken, or use a key.",
    ),
    Code.RE_AUTHENTICATION_REQUIRED: Explanation(
        "Proof of presence required",
        "Do it in the console, which asks for your passkey or password, or send the request again with the proof the "
        "answer asks for.",
        Blame.NOBODY,
    ),
    Code.IP_NOT_ALLOWED: Explanation(
        "The key does not allow this IP address",
        "If the address is yours, rotate the key under API keys and add it. If not, revoke the key: it has leaked.",
    ),
    Code.INSUFFICIENT_SCOPE: Explanation(
        "The tool needs permission to trade",
        "Connect the assistant again and choose Read and trade, or use a key that may trade.",
        Blame.NOBODY,
    ),
    Code.TOOLSET_OFF: Explanation(
        "This toolset is switched off for the app",
        "Switch it on again on the app's page under Connected apps, if the app should have it.",
        Blame.NOBODY,
    ),
    Code.NOT_OFFERED_BY_BROKER: Explanation(
        "The connection's broker cannot do this",
        "Use another connection; the tool list shows only what this one can do.",
    ),
    Code.TRADING_DISABLED: Explanation(
        "Trading is switched off for the connection",
        "Switch trading on under Connections, if you want orders there.",
        Blame.NOBODY,
    ),
    Code.APP_PAUSED: Explanation(
        "The app is paused", "Resume it under Connected apps when you want it to act again.", Blame.NOBODY
    ),
    Code.APP_REVOKED: Explanation("The app's access has ended", "Connect the assistant again to give it access."),
    Code.CONNECTION_PAUSED: Explanation(
        "The connection is paused", "Resume it under Connections. Open orders can still be cancelled.", Blame.NOBODY
    ),
    Code.LIVE_FROZEN: Explanation(
        "Live trading is frozen after an account recovery",
        "For 24 hours, no order is sent to a live connection. Paper trading continues, and open orders can be "
        "cancelled.",
        Blame.NOBODY,
    ),
    Code.HALTED: Explanation(
        "Order entry is halted",
        "Orders can still be cancelled. Only a person can lift the halt, in the console under Halts.",
        Blame.NOBODY,
    ),
    Code.RATE_LIMITED: Explanation(
        "Too many calls in a minute",
        "The message says when to try again. All apps of one user share the limit.",
        Blame.NOBODY,
    ),
    Code.UNKNOWN_USER: Explanation(
        "The platform has no such user", "Use a user_id that this platform created and has not disabled."
    ),
    Code.CONNECTION_REQUIRED: Explanation(
        "A connection has to be specified",
        "Set connection_id to one of the connections in the answer. If there are none, add one first.",
    ),
    Code.SIGNAL_FORGED: Explanation(
        "The sender of a signal did not prove who it is",
        "Nothing was prepared. If it was yours, put the address's secret into its text, or sign it with the secret.",
    ),
    Code.SIGNAL_REPEATED: Explanation(
        "The signal was taken before", "Nothing was prepared. Give each new signal an id or a time of its own."
    ),
    Code.SIGNAL_LATE: Explanation(
        "The signal is too old",
        "Nothing was prepared. The message says by how much, and whose clock or delay to look at.",
        Blame.NOBODY,
    ),
    Code.SIGNAL_UNREADABLE: Explanation(
        "The text of a signal does not fit its address",
        "Nothing was prepared. The message says what is missing. Change the text, or create an address that fits it.",
    ),
    Code.UNKNOWN_SYMBOL: Explanation(
        "No such instrument", "Search for it with search_security and use the symbol exactly as listed."
    ),
    Code.AMBIGUOUS_SYMBOL: Explanation(
        "The symbol matches several instruments",
        "Choose one of the candidates in the answer and call again with its symbol or instrument_id.",
    ),
    Code.UNKNOWN_ACCOUNT: Explanation(
        "No such account on this connection", "Use an account_id from get_accounts, or leave it out."
    ),
    Code.UNKNOWN_ORDER: Explanation("No such order", "Use an order_id from get_orders."),
    Code.INVALID_ORDER: Explanation(
        "Order does not meet the instrument's rules", "The message names the rule. Nothing was sent."
    ),
    Code.INSUFFICIENT_FUNDS: Explanation(
        "Not enough buying power",
        "Lower the quantity or add funds. Open buy orders reserve cash until they end.",
    ),
    Code.INSUFFICIENT_POSITION: Explanation(
        "Not enough to sell", "Sell at most what you hold and what no other order is already selling."
    ),
    Code.MARKET_CLOSED: Explanation(
        "The market is closed", "Send a limit order that can rest, or wait for the session to open.", Blame.NOBODY
    ),
    Code.STALE_QUOTE: Explanation(
        "The latest price is too old to trade on",
        "Wait for a new price, or place a resting limit order (DAY or GTC).",
    ),
    Code.NO_RATE: Explanation(
        "No exchange rate available",
        "The connection's broker does not quote one for these currencies. Report the amounts separately; never guess "
        "a rate.",
    ),
    Code.PRICE_MOVED: Explanation(
        "The price moved too far before the confirmation",
        "Nothing was sent. Prepare the order again at today's price.",
        Blame.NOBODY,
    ),
    Code.NOT_CANCELLABLE: Explanation("The order had already ended", "There is nothing left to cancel."),
    Code.NOT_MODIFIABLE: Explanation(
        "The order cannot be changed now",
        "Only an open order at the broker can be changed, one change at a time. The message gives the reason.",
    ),
    Code.NO_POSITION: Explanation("There is no position to close", "Check get_positions. Nothing was prepared."),
    Code.POSITION_CHANGED: Explanation(
        "The position changed after the order was sized",
        "Nothing was sent. Check get_positions and prepare the order again.",
    ),
    Code.POSITION_UNREADABLE: Explanation(
        "The broker lists a position that could not be read",
        "It was left as it is, and so were orders in symbols without a known position. Look at it at the broker.",
        Blame.BROKER,
    ),
    Code.TRIGGER_ALREADY_MET: Explanation(
        "The stop price is already met",
        "Nothing was sent: the order would act at once. Give a stop on the other side of the market, use a limit "
        "order, or set at_once to true if it is meant.",
    ),
    Code.EXIT_ON_WRONG_SIDE: Explanation(
        "An exit is on the wrong side",
        "Nothing was sent: the exit would end the position as soon as it opens. The message says which price must lie "
        "above or below what.",
    ),
    Code.DUPLICATE_ORDER_ID: Explanation("Client order id already used", "Use a new client_order_id for a new order."),
    Code.APPROVAL_REQUIRED: Explanation(
        "Only the owner can release orders here", "On this connection, the owner approves each order.", Blame.NOBODY
    ),
    Code.USER_IS_ASKED: Explanation(
        "Waiting for the user's answer in their client",
        "Only the user's answer there or the owner in the console can send it. The app cannot.",
        Blame.NOBODY,
    ),
    Code.WAITS_FOR_OWNER: Explanation(
        "Waiting for the owner's decision",
        "The owner approves or declines it in the console; apps cannot withdraw it. Without a decision it expires "
        "unsent.",
        Blame.NOBODY,
    ),
    Code.OWNERS_ORDER: Explanation(
        "This order belongs to the owner",
        "Only the owner can cancel or change it, in the console. Nothing was done.",
        Blame.NOBODY,
    ),
    Code.ANOTHER_APPS_ORDER: Explanation(
        "This order belongs to another app",
        "That app or the owner in the console can cancel or change it. To stop all trading, use a halt.",
        Blame.NOBODY,
    ),
    Code.CONFIRMATION_UNKNOWN: Explanation(
        "No such confirmation for this app",
        "Only the app that prepared an order can confirm it. Prepare it again.",
    ),
    Code.CONFIRMED_TOO_SOON: Explanation(
        "The order was confirmed before anyone could read it",
        "Nothing was sent. The message says how long to wait; then the same confirmation works. The owner sets the "
        "minimum time on the connection's page.",
        Blame.NOBODY,
    ),
    Code.CONFIRMATION_EXPIRED: Explanation(
        "The confirmation expired", "Nothing was sent. Prepare the order again.", Blame.NOBODY
    ),
    Code.CONFIRMATION_USED: Explanation(
        "The confirmation was already used", "Check the order it released. Nothing was sent again."
    ),
    Code.CONFIRMATION_CHANGED: Explanation(
        "The order's terms changed after they were shown",
        "Nothing was sent. Prepare the order again.",
        Blame.GATEWAY,
    ),
    Code.REJECTED_BY_OWNER: Explanation(
        "The owner declined the order",
        "Nothing was sent. The app sees the reason, if one was given. It can prepare a new order.",
        Blame.NOBODY,
    ),
    Code.LIMIT_EXCEEDED: Explanation(
        "The order would exceed a limit",
        "The message names the limit, what is used and what is left. Its owner can change limits in the console.",
        Blame.NOBODY,
    ),
    Code.OUTSIDE_LIMITS: Explanation(
        "The limits do not allow this kind of order",
        "The message names what is allowed. Its owner can change limits in the console.",
        Blame.NOBODY,
    ),
    Code.PRICE_OUTSIDE_COLLAR: Explanation(
        "The price is too far from the last price", "Use a limit price closer to the last price, or wait.", Blame.NOBODY
    ),
    Code.LIMIT_UNPROVABLE: Explanation(
        "A limit could not be checked",
        "A price, balance or exchange rate needed for a limit was not available, so nothing was sent. Try again.",
        Blame.BROKER,
    ),
    Code.LIMITS_REQUIRED: Explanation(
        "A live connection needs limits",
        "Set a maximum value for one order and for a day's orders under the connection's Limits. Until then, nothing "
        "is sent.",
        Blame.NOBODY,
    ),
    Code.BROKER_REJECTED: Explanation("The broker rejected the order", "The broker's message says why.", Blame.BROKER),
    Code.BROKER_UNAVAILABLE: Explanation(
        "The broker could not be reached", "Nothing was sent. Try again in a minute.", Blame.NETWORK
    ),
    Code.BROKER_SIGN_IN_REFUSED: Explanation(
        "The broker did not accept the connection's key",
        "Nothing was done. Check at the broker that the key exists and allows this server's IP address, or link the "
        "account again.",
        Blame.BROKER,
    ),
    Code.BROKER_NEEDS_LOGIN: Explanation(
        "The session at the broker has ended",
        "Nothing was done. Sign in at the broker again; the connection then resumes automatically.",
        Blame.BROKER,
    ),
    Code.BROKER_PERMISSION_MISSING: Explanation(
        "The connection's key lacks a permission at the broker",
        "Nothing was done. Give the key permission to read and trade, never to withdraw.",
        Blame.BROKER,
    ),
    Code.BROKER_BUSY: Explanation(
        "Rate limited by the broker", "Nothing was done. Try again in a minute.", Blame.BROKER
    ),
    Code.BROKER_ASKS: Explanation(
        "The broker has a question about the order",
        "Nothing was placed yet. Only the owner can answer, on the order's page in the console.",
        Blame.NOBODY,
    ),
    Code.QUESTION_UNANSWERED: Explanation(
        "Nobody answered the broker's question in time",
        "Nothing was placed or changed. Prepare it again, and let the owner answer on the order's page in the console.",
        Blame.NOBODY,
    ),
    Code.OUTCOME_UNKNOWN: Explanation(
        "The broker's answer was lost",
        "The order may be open at the broker. It is being looked up and is never sent again. Check Orders before "
        "doing anything else.",
        Blame.BROKER,
    ),
    Code.AUDIT_UNAVAILABLE: Explanation(
        "The activity log could not be written",
        "No order is sent without a record. Check this server's disk and database.",
        Blame.GATEWAY,
    ),
    Code.DATABASE_UNAVAILABLE: Explanation(
        "The database did not answer",
        "Try again in a few seconds. If it lasts, check that the database runs and its disk has space. Until then, "
        "no order is sent.",
        Blame.GATEWAY,
    ),
    Code.INTERNAL_ERROR: Explanation(
        "Something went wrong in Tradelatch", "Look for the request id in the server's log.", Blame.GATEWAY
    ),
}


def explanation_of(code: str) -> Explanation:
    """Of a code as it was stored, also one of another version."""
    try:
        return EXPLANATIONS[Code(code)]
    except (ValueError, KeyError):
        return Explanation(code or "No code", "Look for the request id in the server's log.", Blame.GATEWAY)


class Retry(StrEnum):
    """Whether the call that was refused may be made again."""

    SAFE = "safe"
    """As it is, after ``retry_after_seconds`` or a minute: nothing was done."""
    AFTER_CHANGE = "after_change"
    """Not as it is: nothing was done, and nothing will be until what the message names has changed."""
    CHECK_STATUS = "check_status"
    """Not before get_order_status: something may have been done."""


_SAFE = frozenset(
    {
        *(Code.REQUEST_TIMEOUT, Code.RATE_LIMITED, Code.CONFIRMED_TOO_SOON),
        *(Code.BROKER_UNAVAILABLE, Code.LIMIT_UNPROVABLE),
    }
)
_CHECK_STATUS = frozenset(
    {
        *(Code.OUTCOME_UNKNOWN, Code.CONFIRMATION_USED),
        *(Code.AUDIT_UNAVAILABLE, Code.DATABASE_UNAVAILABLE, Code.INTERNAL_ERROR),
    }
)


def retry_of(code: Code) -> Retry:
    if code in _SAFE:
        return Retry.SAFE
    return Retry.CHECK_STATUS if code in _CHECK_STATUS else Retry.AFTER_CHANGE


class Refusal(Exception):
    """A clear no: what was wrong, where, what to do. ``str(refusal)`` is safe to show to a person or a model."""

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        field: str = "",
        retry_after: float | None = None,
        order_id: str = "",
        limit: Mapping[str, str] | None = None,
        candidates: Sequence[Mapping[str, str]] = (),
        retry: Retry | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.retry_after = retry_after
        """Seconds until the same call can succeed, where time is what is missing."""
        self.order_id = order_id
        self.retry = retry or retry_of(code)
        """By the code, unless what was done says otherwise."""
        self.limit = limit
        """Which limit said no: its name, whose it is, its value, what was used and what is left, as text."""
        self.candidates = candidates
        """The instruments that a name may mean: symbol, instrument_id, name, exchange and expiry, where known."""

    def at(self, where: str) -> "Refusal":
        """The same, saying which of several things it is about."""
        self.args = (f"{where}: {self}",)
        self.field = f"{where}.{self.field}" if self.field else where
        return self


DATABASE_AWAY = (OperationalError, InterfaceError)
"""What Django raises when the database cannot be reached, or cannot be written."""
DATABASE_RETRY_SECONDS = 5


def database_away(*, did_nothing: bool) -> Refusal:
    """``did_nothing``: it failed before anything was done, so that the same may be sent again."""
    then = "Nothing was done" if did_nothing else "Check your orders before you repeat anything"
    return Refusal(
        Code.DATABASE_UNAVAILABLE,
        f"Tradelatch's database does not answer. {then}; try again in {DATABASE_RETRY_SECONDS} seconds.",
        retry_after=DATABASE_RETRY_SECONDS,
        retry=Retry.SAFE if did_nothing else None,
    )


def first_line(error: BaseException) -> str:
    """For a log: what a database says of itself has several, and a name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


_FROM_BROKER: dict[type[broker.BrokerError], Code] = {
    broker.InvalidSymbol: Code.UNKNOWN_SYMBOL,
    broker.AmbiguousSymbol: Code.AMBIGUOUS_SYMBOL,
    broker.InvalidAccount: Code.UNKNOWN_ACCOUNT,
    broker.InvalidOrder: Code.INVALID_ORDER,
    broker.InsufficientFunds: Code.INSUFFICIENT_FUNDS,
    broker.InsufficientPosition: Code.INSUFFICIENT_POSITION,
    broker.MarketClosed: Code.MARKET_CLOSED,
    broker.StaleQuote: Code.STALE_QUOTE,
    broker.DuplicateClientId: Code.DUPLICATE_ORDER_ID,
    broker.OrderNotFound: Code.UNKNOWN_ORDER,
    broker.NotCancellable: Code.NOT_CANCELLABLE,
    broker.InvalidRequest: Code.INVALID_ARGUMENT,
    broker.NoRate: Code.NO_RATE,
    broker.AuthFailed: Code.BROKER_SIGN_IN_REFUSED,
    broker.NeedsLogin: Code.BROKER_NEEDS_LOGIN,
    broker.PermissionDenied: Code.BROKER_PERMISSION_MISSING,
    broker.RateLimited: Code.BROKER_BUSY,
    broker.NeedsAnswer: Code.BROKER_ASKS,
    broker.NotSupported: Code.NOT_OFFERED_BY_BROKER,
    broker.Rejected: Code.BROKER_REJECTED,
    broker.NotSent: Code.BROKER_UNAVAILABLE,
    broker.BrokerError: Code.OUTCOME_UNKNOWN,
}


def code_of(error: broker.BrokerError) -> Code:
    """Our code for a broker's error: that of the nearest named ancestor."""
    return next(_FROM_BROKER[kind] for kind in type(error).__mro__ if kind in _FROM_BROKER)


def refusal_of(error: broker.BrokerError) -> Refusal:
    """The broker's own words under our code."""
    return Refusal(
        code_of(error),
        str(error),
        field=getattr(error, "field", ""),
        retry_after=getattr(error, "retry_after", None),
        candidates=_candidates_text(error.candidates) if isinstance(error, broker.AmbiguousSymbol) else (),
    )


def _candidates_text(candidates: Sequence[Candidate]) -> list[dict[str, str]]:
    return [{name: value for name, value in asdict(each).items() if value} for each in candidates]


def refusal_of_read(error: broker.BrokerError) -> Refusal:
    """The same where nothing was to be written: a question without an answer changed nothing."""
    if error.outcome is broker.WriteOutcome.REJECTED:
        return refusal_of(error)
    return Refusal(Code.BROKER_UNAVAILABLE, str(error), retry_after=getattr(error, "retry_after", None))
