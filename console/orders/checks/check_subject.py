"""One order, or one change of an order, as the checks see it, and the facts that they hold it against."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum, auto
from functools import cache, partial
from typing import Any, TypeVar, cast

from brokers.base import Broker
from brokers.decimals import plain
from brokers.errors import BrokerError, InsufficientFunds, InsufficientPosition, Rejected
from brokers.types import Instrument, OrderChanges, OrderRequest, Preview, Quote, Side
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from console.halts import services as halts
from console.orders.checks import change_checks, position_checks
from console.orders.checks import facts as check_facts
from console.orders.checks.check_rows import AppRows
from console.orders.checks.limit_rules import RiskInputs
from console.orders.checks.position_checks import PositionSnapshot
from console.orders.models import Confirmation, Modification, Order, StandingRule
from console.orders.terms import shown_terms

T = TypeVar("T")

Authorize = Callable[[Connection], None]
"""Whether this way of saying yes is good enough for the connection. Raises Refusal."""


class PositionRule(Enum):
    """How an order is held against the position that its quantity comes from."""

    COVERS = auto()
    """The position still bears it, beside what other orders can fill."""
    AS_SHOWN = auto()
    """It is what was shown; the orders that stand against it are cancelled first."""
    COVERS_INCREASE = auto()
    """It bears the order, which is made larger."""


class PriceSource(Enum):
    """Where the price of an order comes from."""

    PREVIEW = auto()
    """The broker's own preview, which holds it against rules and funds."""
    PREVIEW_OR_QUOTE = auto()
    """The same, but that funds or position are short now says nothing: other orders hold them, and are cancelled."""
    QUOTE = auto()
    """Quotes, where a preview would estimate another order, or could undo what the broker asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    asking: AppRows
    action: halts.GatedAction
    account_id: str | None = None
    """None: not chosen yet."""
    wanted: OrderRequest | None = None
    """The order as it would stand; None while only who asks is checked."""
    order: Order | None = None
    """None before it is on record."""
    asked: OrderChanges | None = None
    """What is to change of ``order``; None for an order that is to be sent."""
    change: Modification | None = None
    confirmation: Confirmation | None = None
    shown: Mapping[str, Any] | None = None
    """What the person was shown of it."""
    shown_price: Decimal | None = None
    """What its price must still be near to."""
    position: PositionRule | None = None
    """None: its quantity comes from no position."""
    estimate: PriceSource = PriceSource.PREVIEW
    closes: bool = False
    at_once: bool = False
    """A trigger that is met already is meant; once it was shown, as one that is met."""
    market_shown: Decimal | None = None
    """The last price when a met trigger was shown: the order takes the market, which must still be near to that."""
    authorize: Authorize | None = None
    """None: nobody has said yes yet, or the yes is on record."""
    rule: StandingRule | None = None
    """The owner's, that gave their yes beforehand."""

    @property
    def app(self) -> ConnectedApp:
        return self.asking.app

    @property
    def connection(self) -> Connection:
        return self.asking.connection

    @property
    def request(self) -> OrderRequest:
        assert self.wanted is not None, "Nothing is known of the order yet"
        return self.wanted

    @property
    def placed_by(self) -> ConnectedApp | None:
        """The app whose order it is, where another changes it."""
        return None if self.order is None or self.order.app_id == self.app.pk else self.order.app

    @property
    def current(self) -> dict[str, Any]:
        """Of what was shown, that which must not change: as it is now."""
        assert self.order is not None
        order = self.order
        now = {
            "connection_id": order.connection_id,
            "environment": self.connection.environment,
            "account_id": order.account_id,
        }
        if self.asked is not None:
            before, after = shown_terms(order.request), shown_terms(self.request)
            return {**now, "order_id": order.public_id, "before": before, "after": after}
        position = None if order.position_shown is None else plain(order.position_shown)
        return {**now, "position": position, **shown_terms(self.request)}

    def under_locks(self, asking: AppRows, order: Order | None = None) -> "Subject":
        """With the locked rows; a change stands against the locked row of its order."""
        if order is None:
            return replace(self, asking=asking)
        assert self.asked is not None
        wanted = change_checks.amended_request(order.request, self.asked)
        return replace(self, asking=asking, order=order, wanted=wanted)


def of_order(
    order: Order,
    asking: AppRows,
    confirmation: Confirmation,
    shown: Mapping[str, Any],
    *,
    authorize: Authorize | None = None,
    before_cancels: bool = False,
    by_quote: bool = False,
    rule: StandingRule | None = None,
) -> Subject:
    """An order that waits for its release, or was released. ``shown`` is its own part of what was shown.

    ``before_cancels``: orders that stand against its position are still to be cancelled. ``by_quote``: its broker asks
    about it.
    """
    estimate, position = PriceSource.QUOTE if by_quote else PriceSource.PREVIEW, PositionRule.COVERS
    if before_cancels:
        estimate, position = PriceSource.PREVIEW_OR_QUOTE, PositionRule.AS_SHOWN
    return Subject(
        asking=asking,
        action=confirmation.at_halts,
        account_id=order.account_id,
        wanted=order.request,
        order=order,
        confirmation=confirmation,
        shown=shown,
        shown_price=order.shown_price,
        position=None if order.position_shown is None else position,
        estimate=estimate,
        closes=order.closes,
        at_once=order.at_once and shown.get("already_met") is not False,
        market_shown=Decimal(shown["last"]) if order.at_once and shown.get("already_met") else None,
        authorize=authorize,
        rule=rule,
    )


def of_change(
    order: Order,
    asked: OrderChanges,
    asking: AppRows,
    *,
    action: halts.GatedAction = halts.GatedAction.RELEASE,
    change: Modification | None = None,
    at_once: bool = False,
    authorize: Authorize | None = None,
) -> Subject:
    """A change of an order; ``change`` is its row, once it was shown, and ``at_once`` is then its own."""
    grows = order.closes and asked.quantity is not None and asked.quantity > (order.quantity or 0)
    confirmation = None if change is None else change.confirmation
    terms = None if confirmation is None else confirmation.terms
    return Subject(
        asking=asking,
        action=action,
        account_id=order.account_id,
        wanted=change_checks.amended_request(order.request, asked),
        order=order,
        asked=asked,
        change=change,
        confirmation=confirmation,
        shown=terms,
        shown_price=None if terms is None else Decimal(terms["last"]),
        position=PositionRule.COVERS_INCREASE if grows else None,
        estimate=PriceSource.QUOTE,
        at_once=at_once if change is None else change.at_once and (terms or {}).get("already_met") is not False,
        authorize=authorize,
    )


def opener(connection: Connection) -> Callable[[], Broker]:
    """Opens the connection's broker when it is first needed, once."""
    return cache(partial(broker_access.broker_of, connection))


class Facts:
    """What is known of one subject: each is read when a check first needs it, once; so is an error, raised again.

    Under the locks nothing is read any more: the broker is never asked inside a transaction.
    """

    def __init__(
        self,
        subject: Subject,
        broker: Broker | Callable[[], Broker] | None = None,
        *,
        instrument: Instrument | None = None,
    ) -> None:
        """``broker``: the connection's, or what opens it, see ``opener``, where several subjects share one."""
        self.subject = subject
        self._open_broker = broker if callable(broker) else partial(broker_access.broker_of, subject.connection)
        self._known: dict[str, object] = {}
        if broker is not None and not callable(broker):
            self._known["broker"] = broker
        if instrument is not None:
            self._known["instrument"] = instrument
        self._is_locked = False
        self.worst: Decimal | None = None
        """The most the order can come to, in the connection's currency, once its limits were checked; None: not
        known."""

    def under_locks(self) -> "Facts":
        """The same, and nothing more is read."""
        made = Facts(self.subject, self._open_broker)
        made._known, made._is_locked = self._known, True
        return made

    def _once(self, name: str, read: Callable[[], T]) -> T:
        if name not in self._known:
            if self._is_locked:
                raise AssertionError(f"Nothing is read under the locks, and the {name} was not read before")
            try:
                self._known[name] = read()
            except BrokerError as error:
                self._known[name] = error
        found = self._known[name]
        if isinstance(found, BrokerError):
            raise found
        return cast(T, found)

    def if_read(self, name: str) -> Any:
        """The fact of that name as it was read; None where no check needed it, or where it could not be had."""
        found = self._known.get(name)
        return None if isinstance(found, BrokerError) else found

    @property
    def broker(self) -> Broker:
        """Raises BrokerError, as every fact does that is read from it."""
        if self._is_locked:
            raise AssertionError("No broker is asked under the locks")
        return self._once("broker", self._open_broker)

    @property
    def preview(self) -> Preview | None:
        """The broker's estimate of the order; None where it is not to be had, see ``PriceSource``."""
        return self._once("preview", self._preview)

    def _preview(self) -> Preview | None:
        subject = self.subject
        if subject.estimate is PriceSource.QUOTE:
            return None
        try:
            return self.broker.preview(subject.account_id or "", subject.request)
        except (InsufficientPosition, InsufficientFunds) as error:
            if subject.estimate is PriceSource.PREVIEW_OR_QUOTE:
                return None
            if isinstance(error, InsufficientPosition) and (held := self._held_by_orders()):
                raise InsufficientPosition(f"{error} {held}") from error
            raise

    def _held_by_orders(self) -> str:
        """Which open orders hold what the position is short of, as a sentence; empty where none is known."""
        subject, request = self.subject, self.subject.request
        itself = None if subject.order is None else subject.order.pk
        return position_checks.held_by_orders(
            subject.connection, subject.account_id or "", request.symbol, request.side, exclude=itself
        )

    @property
    def quote(self) -> Quote:
        return self._once("quote", self._quote)

    def _quote(self) -> Quote:
        try:
            preview = self.preview
        except Rejected:  # by the broker's rules; its price is another matter
            preview = None
        return self.broker.quotes([self.subject.request.symbol])[0] if preview is None else preview.quote

    @property
    def price(self) -> Decimal:
        """What one unit costs now: what the price that was shown is compared with."""
        request, preview = self.subject.request, self.preview
        if self.subject.asked is not None:
            return self.quote.last
        if preview is not None:
            return preview.price
        side = self.quote.bid if request.side is Side.SELL else self.quote.ask
        return request.limit_price or request.stop_price or side

    @property
    def instrument(self) -> Instrument:
        return self._once("instrument", self._instrument)

    def _instrument(self) -> Instrument:
        preview = self.if_read("preview")
        if preview is not None and preview.instrument is not None:
            found: Instrument = preview.instrument
            return found
        return self.broker.instrument(self.subject.request.symbol)

    @property
    def position(self) -> PositionSnapshot:
        """The position that its quantity comes from."""
        order = self.subject.order
        assert order is not None
        return self._once("position", lambda: position_checks.snapshot(order, self.broker))

    @property
    def inputs(self) -> RiskInputs:
        """What the limits need."""
        return self._once("inputs", self._inputs)

    def _inputs(self) -> RiskInputs:
        subject = self.subject
        return check_facts.load(
            self.broker,
            subject.connection,
            subject.app,
            self.instrument,
            self.quote,
            subject.placed_by,
            request=subject.request,
        )
