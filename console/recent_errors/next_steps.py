"""The one thing to do next about each error code: a page to open, or a check to make now."""

from dataclasses import dataclass
from enum import Enum

from django.urls import reverse

from console.errors import Code


class StepKind(Enum):
    """Where a step leads, and its button."""

    CHECK = "Check the connection now"
    RELINK = "Enter new credentials"
    CONNECTION = "Open the connection"
    LIMITS = "Open the limits"
    HALTS = "Open Halts"
    APP = "Open the app"
    KEY = "Open the key"
    ACCESS = "Review who has access"
    CONNECT = "Connect the assistant again"
    APPROVE = "Open Approvals"
    ORDER = "Open the order"
    ORDERS = "Open Orders"
    TOOLS = "Look up the tool"
    GUIDE = "Read the guide"


STEPS: dict[Code, StepKind] = {
    Code.INVALID_REQUEST: StepKind.GUIDE,
    Code.UNKNOWN_TOOL: StepKind.TOOLS,
    Code.UNKNOWN_ARGUMENT: StepKind.TOOLS,
    Code.MISSING_ARGUMENT: StepKind.TOOLS,
    Code.INVALID_ARGUMENT: StepKind.TOOLS,
    Code.BODY_TOO_LARGE: StepKind.GUIDE,
    Code.REQUEST_TIMEOUT: StepKind.GUIDE,
    Code.UNSUPPORTED_MEDIA_TYPE: StepKind.GUIDE,
    Code.ORIGIN_REFUSED: StepKind.GUIDE,
    Code.NOT_FOUND: StepKind.GUIDE,
    Code.METHOD_NOT_ALLOWED: StepKind.GUIDE,
    Code.UNAUTHENTICATED: StepKind.ACCESS,
    Code.WRONG_AUDIENCE: StepKind.KEY,
    Code.NOT_PERMITTED: StepKind.GUIDE,
    Code.CSRF_FAILED: StepKind.GUIDE,
    Code.RE_AUTHENTICATION_REQUIRED: StepKind.GUIDE,
    Code.IP_NOT_ALLOWED: StepKind.KEY,
    Code.INSUFFICIENT_SCOPE: StepKind.CONNECT,
    Code.TOOLSET_OFF: StepKind.APP,
    Code.NOT_OFFERED_BY_BROKER: StepKind.CONNECTION,
    Code.TRADING_DISABLED: StepKind.CONNECTION,
    Code.APP_PAUSED: StepKind.APP,
    Code.APP_REVOKED: StepKind.CONNECT,
    Code.CONNECTION_PAUSED: StepKind.CONNECTION,
    Code.LIVE_FROZEN: StepKind.GUIDE,
    Code.HALTED: StepKind.HALTS,
    Code.RATE_LIMITED: StepKind.APP,
    Code.UNKNOWN_USER: StepKind.GUIDE,
    Code.CONNECTION_REQUIRED: StepKind.CONNECTION,
    Code.UNKNOWN_SYMBOL: StepKind.TOOLS,
    Code.AMBIGUOUS_SYMBOL: StepKind.TOOLS,
    Code.UNKNOWN_ACCOUNT: StepKind.CONNECTION,
    Code.UNKNOWN_ORDER: StepKind.ORDERS,
    Code.INVALID_ORDER: StepKind.TOOLS,
    Code.INSUFFICIENT_FUNDS: StepKind.CONNECTION,
    Code.INSUFFICIENT_POSITION: StepKind.CONNECTION,
    Code.MARKET_CLOSED: StepKind.GUIDE,
    Code.SIGNAL_FORGED: StepKind.GUIDE,
    Code.SIGNAL_REPEATED: StepKind.GUIDE,
    Code.SIGNAL_LATE: StepKind.GUIDE,
    Code.SIGNAL_UNREADABLE: StepKind.GUIDE,
    Code.STALE_QUOTE: StepKind.CHECK,
    Code.NO_RATE: StepKind.GUIDE,
    Code.PRICE_MOVED: StepKind.ORDER,
    Code.NOT_CANCELLABLE: StepKind.ORDER,
    Code.NOT_MODIFIABLE: StepKind.ORDER,
    Code.NO_POSITION: StepKind.CONNECTION,
    Code.POSITION_CHANGED: StepKind.ORDER,
    Code.POSITION_UNREADABLE: StepKind.CHECK,
    Code.TRIGGER_ALREADY_MET: StepKind.GUIDE,
    Code.EXIT_ON_WRONG_SIDE: StepKind.GUIDE,
    Code.DUPLICATE_ORDER_ID: StepKind.ORDER,
    Code.APPROVAL_REQUIRED: StepKind.APPROVE,
    Code.USER_IS_ASKED: StepKind.APPROVE,
    Code.WAITS_FOR_OWNER: StepKind.APPROVE,
    Code.OWNERS_ORDER: StepKind.ORDER,
    Code.ANOTHER_APPS_ORDER: StepKind.ORDER,
    Code.CONFIRMATION_UNKNOWN: StepKind.ORDERS,
    Code.CONFIRMED_TOO_SOON: StepKind.CONNECTION,
    Code.CONFIRMATION_EXPIRED: StepKind.ORDER,
    Code.CONFIRMATION_USED: StepKind.ORDER,
    Code.CONFIRMATION_CHANGED: StepKind.ORDER,
    Code.REJECTED_BY_OWNER: StepKind.ORDER,
    Code.LIMIT_EXCEEDED: StepKind.LIMITS,
    Code.OUTSIDE_LIMITS: StepKind.LIMITS,
    Code.PRICE_OUTSIDE_COLLAR: StepKind.LIMITS,
    Code.LIMIT_UNPROVABLE: StepKind.CHECK,
    Code.LIMITS_REQUIRED: StepKind.LIMITS,
    Code.BROKER_REJECTED: StepKind.ORDER,
    Code.BROKER_UNAVAILABLE: StepKind.CHECK,
    Code.BROKER_SIGN_IN_REFUSED: StepKind.RELINK,
    Code.BROKER_NEEDS_LOGIN: StepKind.CHECK,
    Code.BROKER_PERMISSION_MISSING: StepKind.RELINK,
    Code.BROKER_BUSY: StepKind.CHECK,
    Code.BROKER_ASKS: StepKind.APPROVE,
    Code.QUESTION_UNANSWERED: StepKind.ORDER,
    Code.OUTCOME_UNKNOWN: StepKind.ORDER,
    Code.AUDIT_UNAVAILABLE: StepKind.GUIDE,
    Code.DATABASE_UNAVAILABLE: StepKind.GUIDE,
    Code.INTERNAL_ERROR: StepKind.GUIDE,
}
_ON_CONNECTION = {
    StepKind.CHECK: "connections:check",
    StepKind.RELINK: "connections:replace-key",
    StepKind.CONNECTION: "connections:detail",
    StepKind.LIMITS: "connections:limits",
}
_ANYWHERE = {
    StepKind.HALTS: "halts:list",
    StepKind.ACCESS: "apps:list",
    StepKind.CONNECT: "connect",
    StepKind.APPROVE: "orders:approvals",
    StepKind.ORDERS: "orders:list",
    StepKind.TOOLS: "tools",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What there still is to open, for the person who looks. None or empty: gone, or somebody else's."""

    is_own: bool
    connection_id: int | None = None
    has_credentials: bool = False
    """Whether the connection has any that could be replaced."""
    app_id: int | None = None
    key_id: str = ""
    order_id: str = ""


@dataclass(frozen=True, slots=True)
class NextStep:
    label: str
    url: str
    posts: bool = False
    """A button that does it, instead of a link that leads there."""


def next_step(code: str, reach: Reach) -> NextStep | None:
    """The step for a code, or the next best where what it would open is gone. None for a code of another version."""
    try:
        known = Code(code)
    except ValueError:
        return None
    way = STEPS[known]
    url = _url(way, reach) if reach.is_own else None
    if url is None:
        return NextStep(StepKind.GUIDE.value, reverse("help:error", args=[known.value]))
    return NextStep(way.value, url, posts=way is StepKind.CHECK)


def _url(way: StepKind, reach: Reach) -> str | None:
    if way in _ANYWHERE:
        return reverse(_ANYWHERE[way])
    if way is StepKind.RELINK and not reach.has_credentials:
        return None
    if way in _ON_CONNECTION and reach.connection_id is not None:
        return reverse(_ON_CONNECTION[way], args=[reach.connection_id])
    if way is StepKind.APP and reach.app_id is not None:
        return reverse("apps:detail", args=[reach.app_id])
    if way is StepKind.KEY and reach.key_id:
        return reverse("keys:traced", args=[reach.key_id])
    if way is StepKind.ORDER and reach.order_id:
        return reverse("orders:detail", args=[reach.order_id])
    return None
