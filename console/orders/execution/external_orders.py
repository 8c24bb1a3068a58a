"""Open orders that were made elsewhere, at the broker itself or by another program: looked at, kept for pages, ended.

They never become orders of ours: nobody was asked to confirm them here, no limit counts them, and nothing but
cancelling is done to them. What they fill counts as position, as everything the broker says.
"""

import logging
import time
from functools import cached_property
from typing import Any, cast

from django.db import DatabaseError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from brokers.base import Broker, TellingBroker
from brokers.decimals import grouped
from brokers.errors import BrokerError, WriteOutcome
from brokers.types import LONGEST_SYMBOL, BrokerOrder, LegRequest, OrderType, Side, TimeInForce
from console.accounts.models import User
from console.audit import log as audit_log
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of, refusal_of_read
from console.orders import states, terms
from console.orders.models import LookedOutside, Modification, Order, OutsideOrder

log = logging.getLogger(__name__)

CANCELLED = "order made elsewhere cancelled"
_MOST = 500
"""Of one account: a page is for looking at, not for everything a market maker has resting."""


_UNKNOWN: dict[tuple[int, str], tuple[str, list[str]]] = {}
"""By connection and account: the names that no open order of ours had, and of which version of the broker's list ("":
of one that was not asked for).

Kept, because the same list has no other ones later: an order of ours is on record before it is sent.
"""
_KEPT = 1_000
_FEW = 100
"""Names that are compared each time."""


class AtBroker:
    """An account's open orders by the word of its broker, asked once, when they are first needed."""

    def __init__(self, broker: Broker, account_id: str, *, most: int = _MOST) -> None:
        self.broker, self.account_id, self._most = broker, account_id, most
        self._told: list[BrokerOrder] | BrokerError | None = None

    def orders(self) -> list[BrokerOrder]:
        """Newest first. Raises BrokerError, the same each time."""
        if self._told is None:
            try:
                self._told = self.broker.orders(self.account_id, open_only=True, limit=self._most)
            except BrokerError as error:
                self._told = error
        if isinstance(self._told, BrokerError):
            raise self._told
        return self._told

    @property
    def tells_changes(self) -> bool:
        return self.broker.capabilities.tells_changes

    @cached_property
    def version(self) -> str:
        """Of ``names``, or of those before; "" where they were read already. Raises BrokerError."""
        if "names" in self.__dict__:
            return ""
        return cast(TellingBroker, self.broker).version_of_open(self.account_id)

    @cached_property
    def names(self) -> list[str]:
        """Of a broker that tells of changes: the client order ids of what is open, newest first. Raises BrokerError."""
        return cast(TellingBroker, self.broker).open_names(self.account_id)


def fetch(broker: Broker, connection_id: int, account_id: str) -> list[BrokerOrder]:
    """Open orders of the account that were made elsewhere, newest first, by the broker's word now. Raises BrokerError.

    The broker is asked before our own orders are read: what we send meanwhile is on record before it is sent.
    """
    return made_elsewhere(AtBroker(broker, account_id), connection_id)


def made_elsewhere(at_broker: AtBroker, connection_id: int) -> list[BrokerOrder]:
    """As ``fetch``, of a list that may be at hand already."""
    found = _unknown_here(at_broker, connection_id) if at_broker.tells_changes else at_broker.orders()
    ids = {name for each in found for name in (each.client_order_id, each.parent_client_order_id) if name}
    ours = set(Order.objects.filter(connection_id=connection_id, wire_id__in=ids).values_list("wire_id", flat=True))
    changed = Modification.objects.filter(order__connection_id=connection_id, wire_id__in=ids)
    ours |= set(changed.values_list("wire_id", flat=True))
    return [each for each in found if not ours & {each.client_order_id, each.parent_client_order_id}]


def _unknown_here(at_broker: AtBroker, connection_id: int) -> list[BrokerOrder]:
    """Of a broker that gives the names alone: the orders whose names are those of no open order of ours."""
    place = (connection_id, at_broker.account_id)
    before = _UNKNOWN.get(place)
    # Asked before the names: what changes in between is seen the next time. Where few rest it is not asked at all.
    version = "" if before is None else at_broker.version
    if before is not None and version and before[0] == version:
        unknown = before[1]
    else:
        ours = Order.objects.filter(connection=connection_id, status__in=states.OPEN)
        known = set(ours.values_list("wire_id", flat=True))
        unknown = [name for name in at_broker.names if name not in known][:_MOST]
        _UNKNOWN.pop(place, None)
        if len(at_broker.names) > _FEW:
            _UNKNOWN[place] = version, unknown
        for oldest in list(_UNKNOWN)[:-_KEPT]:
            _UNKNOWN.pop(oldest, None)
    broker = cast(TellingBroker, at_broker.broker)
    return broker.named_orders(at_broker.account_id, unknown) if unknown else []


def store(connection: Connection) -> None:
    """Bring what pages show of one connection up to date. Raises BrokerError; what was known stays then."""
    LookedOutside.objects.update_or_create(connection=connection, defaults={"tried_at": timezone.now()})
    broker = broker_access.broker_of(connection)
    began = timezone.now()
    found = {
        (account.account_id, each.broker_order_id[:64]): each
        for account in broker.accounts()
        for each in fetch(broker, connection.pk, account.account_id)
    }
    with transaction.atomic():
        looked = LookedOutside.objects.select_for_update().get(connection=connection)
        if looked.looked_at is not None and looked.looked_at > began:
            return  # somebody looked later and was quicker
        OutsideOrder.objects.bulk_create(
            [
                OutsideOrder(
                    connection=connection,
                    account_id=account_id,
                    broker_order_id=broker_order_id,
                    **_price_text(each),
                    seen_at=began,
                )
                for (account_id, broker_order_id), each in found.items()
            ],
            update_conflicts=True,
            unique_fields=["connection", "account_id", "broker_order_id"],
            update_fields=[*_FIELDS, "seen_at"],
        )
        OutsideOrder.objects.filter(connection=connection, seen_at__lt=began).delete()
        looked.looked_at = began
        looked.save(update_fields=["looked_at"])


def store_all(seconds: float = 5) -> int:
    """As many connections as fit into the time, those first that have waited longest; returns how many."""
    until = time.monotonic() + seconds
    open_ones = Connection.objects.filter(closed_at=None)
    count = 0
    for connection in open_ones.order_by(F("looked_outside__tried_at").asc(nulls_first=True), "pk"):
        if time.monotonic() >= until:
            break
        count += 1
        try:
            store(connection)
        except BrokerError as error:
            log.warning("Connection %s did not list the orders made elsewhere: %s", connection.pk, error)
        except Exception:  # one broken connection must not keep the others from being looked at
            log.exception("Looking for orders made elsewhere on connection %s failed", connection.pk)
    return count


def seen_by(owner: User) -> QuerySet[OutsideOrder]:
    """As last seen, on the connections the person has open, newest first."""
    mine = OutsideOrder.objects.filter(connection__owner=owner, connection__closed_at=None)
    return mine.select_related("connection").order_by(F("made_at").desc(nulls_last=True), "-pk")


def cancel(row: OutsideOrder, *, by: User) -> BrokerOrder:
    """End it at its broker, for the connection's owner alone. As every cancel it passes limits, halts and pauses.

    Brokers are told by the client order id, so it must name this one order there. Raises Refusal.
    """
    connection = row.connection
    if connection.owner_id != by.pk:
        raise Refusal(Code.NOT_PERMITTED, "Only the owner of the connection can cancel orders made elsewhere.")
    if connection.closed_at is not None:
        raise Refusal(Code.CONNECTION_PAUSED, f"The connection {connection.name} was removed. Nothing was done.")
    if not row.can_be_cancelled:
        raise Refusal(
            Code.NOT_CANCELLABLE,
            "It has no client order id, which Tradelatch needs to cancel an order. Cancel it at the broker.",
        )
    try:
        broker = broker_access.broker_of(connection)
        standing = fetch(broker, connection.pk, row.account_id)
    except BrokerError as error:
        raise refusal_of_read(error) from error
    named = [each for each in standing if each.client_order_id == row.client_order_id]
    if row.broker_order_id not in [each.broker_order_id for each in named]:
        row.delete()
        raise Refusal(Code.NOT_CANCELLABLE, "It is no longer open at the broker. Nothing was done.")
    if len(named) > 1:
        raise Refusal(
            Code.NOT_CANCELLABLE,
            "Several open orders have this client order id, so the wrong one could be cancelled. Cancel it at the "
            "broker.",
        )
    try:
        answer = broker.cancel(row.account_id, row.client_order_id, symbol=row.symbol)
    except BrokerError as error:
        if error.outcome is WriteOutcome.UNKNOWN:
            raise Refusal(
                Code.OUTCOME_UNKNOWN,
                "The broker did not say whether it ended. Check again in a minute, or check at the broker.",
            ) from error
        raise refusal_of(error) from error
    _record_answer(row, answer, by)
    return answer


def _record_answer(row: OutsideOrder, answer: BrokerOrder, by: User) -> None:
    detail: dict[str, Any] = {
        "broker_order_id": row.broker_order_id,
        "account": row.account_id,
        "symbol": row.symbol,
        "status": answer.status.value,
        "environment": row.connection.environment,
    }
    try:
        audit_log.record_change(
            by,
            CANCELLED,
            "connection",
            row.connection_id,
            row.connection.name,
            before={"status": row.status},
            after={"status": answer.status.value},
            **detail,
        )
        if answer.status.is_open:
            OutsideOrder.objects.filter(pk=row.pk).update(status=answer.status)
        else:
            OutsideOrder.objects.filter(pk=row.pk).delete()
    except DatabaseError:  # it has ended: a full disk must not make it look as if it had not
        log.exception("The cancel of order %s, made elsewhere, could not be put on record", row.broker_order_id)


def describe_external(row: OutsideOrder) -> str:
    """``Buy 10 AAPL, limit 181.50 USD``, as far as its broker reports it."""
    if not row.side or not row.order_type:
        return f"{row.symbol or 'An order'} (the broker reports no details)"
    shape = LegRequest(
        client_order_id=row.client_order_id,
        side=Side(row.side),
        order_type=OrderType(row.order_type),
        limit_price=row.limit_price,
        stop_price=row.stop_price,
        trail_amount=row.trail_amount,
        trail_percent=row.trail_percent,
    )
    size = "" if row.quantity is None else f"{grouped(row.quantity)} "
    line = f"{shape.side.capitalize()} {size}{row.symbol}, {terms.describe_price(shape, row.currency)}"
    return f"{line}, {terms.TIF_TEXT[TimeInForce(row.tif)]}" if row.tif else line


_FIELDS = (
    *("client_order_id", "status", "symbol", "side", "order_type", "tif", "quantity", "limit_price", "stop_price"),
    *("trail_amount", "trail_percent", "filled_quantity", "average_price", "currency", "made_at"),
)


def _price_text(each: BrokerOrder) -> dict[str, Any]:
    return {
        "client_order_id": each.client_order_id[:128],
        "status": each.status.value,
        "symbol": each.symbol[:LONGEST_SYMBOL],
        "side": each.side.value if each.side else "",
        "order_type": each.order_type.value if each.order_type else "",
        "tif": each.tif.value if each.tif else "",
        "quantity": each.quantity,
        "limit_price": each.limit_price,
        "stop_price": each.stop_price,
        "trail_amount": each.trail_amount,
        "trail_percent": each.trail_percent,
        "filled_quantity": each.filled_quantity,
        "average_price": each.average_price,
        "currency": each.currency[:8],
        "made_at": each.created_at,
    }
