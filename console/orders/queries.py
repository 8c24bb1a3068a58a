"""Which orders are whose, and what an app may look up. Open orders are brought up to date first."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection as database
from django.db.models import Max, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from brokers.errors import BrokerError
from brokers.types import BrokerOrder
from console.accounts.models import User
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal, refusal_of_read
from console.orders import states
from console.orders.execution import external_orders as orders_elsewhere
from console.orders.execution import reconcile
from console.orders.execution.external_orders import AtBroker
from console.orders.models import Confirmation, Order
from console.orders.states import AmendmentStatus, Status
from console.principal import Principal, Redeemer


def awaiting(owner: User) -> QuerySet[Order]:
    """Orders that are not sent yet, by whomever they can be released; what hangs on one is not counted."""
    return Order.objects.filter(
        connection__owner=owner, parent=None, status=Status.AWAITING, confirmation__expires_at__gt=timezone.now()
    ).select_related("connection", "app", "confirmation")


def unfinished(owner: User, connection: Connection | None = None) -> QuerySet[Order]:
    """Orders that may still fill, those that wait for a yes among them; newest first.

    Looked up one status at a time: with several, or with "or", SQLite reads every order of the connection instead.
    """
    own = Order.objects.filter(connection__owner=owner).order_by().values("pk")
    if connection is not None:
        own = own.filter(connection=connection)
    waiting, *others = (own.filter(status=status) for status in (Status.AWAITING, *sorted(states.OPEN)))
    can_fill = ~Q(status=Status.AWAITING) | Q(confirmation__expires_at__gt=timezone.now(), parent=None)
    found = Order.objects.filter(can_fill, pk__in=waiting.union(*others, all=True))
    return found.select_related("connection", "app", "confirmation").order_by("-pk")


def near_newest(orders: QuerySet[Order], owner: User, count: int) -> QuerySet[Order]:
    """Of somebody's orders those from the newest ``count`` of one connection on: no more than as many of each.

    Without it SQLite sorts every order of somebody's connections for one page; PostgreSQL stops when it has enough.
    """
    if database.vendor == "postgresql":
        return orders
    last_of_each = orders.filter(connection=OuterRef("pk")).order_by("-pk").values("pk")[count - 1 : count]
    connections = Connection.objects.filter(owner=owner).annotate(last=Subquery(last_of_each))
    since = connections.aggregate(since=Max("last"))["since"]
    return orders if since is None else orders.filter(pk__gte=since)


_IN_ROWS = (
    *("public_id", "symbol", "currency", "side", "order_type", "quantity", "notional", "limit_price", "stop_price"),
    *("trail_amount", "trail_percent", "status", "filled_quantity", "average_price", "created_at", "moved_at"),
    *("app__name", "app__source", "connection__name", "connection__environment"),
)


def for_rows(orders: QuerySet[Order]) -> QuerySet[Order]:
    """With what a row of a table shows and no more: of the rest, most is in their confirmations."""
    return orders.select_related(None).select_related("app", "connection").only(*_IN_ROWS)


_MOST_PENDING = 50


def confirmation_of(principal: Principal, confirmation_id: str) -> Confirmation:
    """A confirmation of the principal's own app, whether or not it can still be used. Raises Refusal."""
    found = Confirmation.objects.filter(public_id=confirmation_id, app_id=principal.app_id).first()
    if found is None:
        raise Refusal(
            Code.CONFIRMATION_UNKNOWN,
            "This app has no such confirmation. Prepare the order again with place_order.",
            field="confirmation_id",
        )
    return found


# -- discard -------------------------------------------------------------------------------------------------


def pending_confirmations(principal: Principal, account_id: str | None = None) -> list[Confirmation]:
    """What this app prepared and may still confirm itself, newest first: what somebody else decides is not among it."""
    waiting = Q(orders__status=Status.AWAITING) | Q(modification__status=AmendmentStatus.AWAITING)
    mine = Confirmation.objects.filter(
        waiting,
        Q(redeemer=Redeemer.APP, app__connection__policy=Policy.TWO_STEP) | Q(rule__isnull=False),
        app_id=principal.app_id,
        redeemed_at=None,
        expires_at__gt=timezone.now(),
    ).distinct()
    if account_id:
        mine = mine.filter(terms__account_id=account_id)
    return list(mine.order_by("-id")[:_MOST_PENDING])


# -- read ----------------------------------------------------------------------------------------------------


def find_order(principal: Principal, order_id: str, account_id: str | None = None) -> Order:
    """An order of the principal's own connection, by our id or by the caller's. Raises Refusal."""
    mine = _orders_of(principal)
    order = mine.filter(public_id=order_id).first() or mine.filter(client_order_id=order_id).first()
    if order is None or account_id not in (None, order.account_id):
        where = "connection" if account_id is None else f"connection's account {account_id}"
        raise Refusal(Code.UNKNOWN_ORDER, f"This {where} has no order {order_id!r}.", field="order_id")
    return order


def _orders_of(principal: Principal) -> QuerySet[Order]:
    return Order.objects.select_related("app", "connection", "confirmation", "parent").filter(
        connection_id=principal.connection_id
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderQuery:
    """Which orders of an account. Times are when the order was prepared: ``start`` is included, ``end`` is not."""

    statuses: frozenset[Status] | None = states.OPEN
    """None: whatever the status."""
    symbol: str | None = None
    start: datetime | None = None
    end: datetime | None = None


def list_orders(
    principal: Principal, at_broker: AtBroker, wanted: OrderQuery, *, limit: int = 50, after: str | None = None
) -> tuple[list[Order], str | None]:
    """Orders of one account, newest first, open ones brought up to date with the broker first. For showing them.

    With them comes the id to give as ``after`` for those that follow, None when these were the last. Keyset: a page
    stays what it is while new orders come in. Raises Refusal for an ``after`` that is no order of the connection.
    """
    mine = Order.objects.filter(connection_id=principal.connection_id, account_id=at_broker.account_id)
    if wanted.symbol is not None:
        mine = mine.filter(symbol=wanted.symbol)
    if wanted.start is not None:
        mine = mine.filter(created_at__gte=wanted.start)
    if wanted.end is not None:
        mine = mine.filter(created_at__lt=wanted.end)
    if after is not None:
        last = _orders_of(principal).filter(public_id=after).first()
        if last is None:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                "cursor is not a next_cursor of this connection. Leave it out to start with the newest.",
                field="cursor",
            )
        mine = mine.filter(pk__lt=last.pk)
    reconcile.refresh_all(mine.filter(status__in=(*states.AT_BROKER, Status.UNKNOWN)).order_by("-id"), at_broker)
    if wanted.statuses is not None:
        mine = mine.filter(status__in=wanted.statuses)
    found = list(mine.select_related("parent").order_by("-id")[: limit + 1])
    return found[:limit], found[limit - 1].public_id if len(found) > limit else None


def external_orders(principal: Principal, at_broker: AtBroker, *, symbol: str | None = None) -> list[BrokerOrder]:
    """Open orders of the account that were made elsewhere, newest first. Read now, kept nowhere.

    Limits do not count them; what they fill counts as position. Raises Refusal.
    """
    try:
        found = orders_elsewhere.made_elsewhere(at_broker, principal.connection_id)
    except BrokerError as error:
        raise refusal_of_read(error) from error
    return [each for each in found if symbol in (None, each.symbol)]


def fills(order: Order) -> list[dict[str, str]]:
    """The order's fills, as the broker last told them."""
    told = [event.data["fills"] for event in order.events.all() if "fills" in event.data]
    return [each | {"filled_at": _in_utc(each["filled_at"])} for each in told[-1]] if told else []


def _in_utc(stored: str) -> str:
    """In the one form that times have in answers, whatever form they were stored in."""
    return datetime.fromisoformat(stored).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
