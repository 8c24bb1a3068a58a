"""What stands at a broker against what stands here. Django is set up."""

from collections import Counter
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any, Protocol

from brokers.types import Side
from console.connections.models import Connection
from console.orders import queries as order_queries
from console.orders.models import Action, Confirmation, Modification, Order
from console.orders.states import AT_BROKER, ENDED, IN_FLIGHT, UNSETTLED, AmendmentStatus, Status
from tests.chaos.venues import Truth


class Venue(Protocol):
    name: str
    connection: Connection
    in_place: bool
    """Whether a changed order stays the same order."""

    def truth(self) -> Truth: ...


def compare(
    venue: Venue, found: dict[str, list[str]], counts: Counter[str], *, first_ids: Collection[str] = ()
) -> None:
    """Add to ``found`` whatever is not at the venue as it is here, under the names of ``WRONG``; and to ``counts``.

    ``first_ids``: of orders that a change may have given another one.
    """
    truth = venue.truth()
    rows = list(Order.objects.filter(connection=venue.connection).order_by("pk"))
    changes = list(Modification.objects.filter(order__connection=venue.connection).select_related("order"))
    here = {order.wire_id: order for order in rows}
    counts.update(
        posts=len(truth.sent),
        accepted=len(truth.orders),
        changes_sent=len(truth.changed),
        changes_done=sum(each.state is AmendmentStatus.DONE for each in changes),
        for_a_person=sum(order.state is Status.NOT_FOUND for order in rows),
    )
    found["sent_twice"] += _twice([*truth.sent, *truth.changed])
    ours = here.keys() | set(first_ids) | {each.wire_id for each in changes}
    found["unknown_here"] += sorted({*truth.sent, *truth.changed} - ours)
    found["unknown_here"] += sorted(set(truth.orders) - here.keys())
    for name, there in truth.orders.items():
        if (order := here.get(name)) is not None:
            size = order.quantity if order.parent_id is None else there.quantity  # what an exit is for shrinks there
            told = (there.status, there.quantity, there.limit_price, there.filled)
            if told != (order.state, size, order.limit_price, order.filled_quantity):
                found["lost"].append(f"{order.public_id}: {there} there, {_told(order)} here")
            if there.filled != _units_filled(order):
                found["lost"].append(f"{order.public_id}: its fills do not add up to {there.filled}")
    for name, order in here.items():
        stands = order.filled_quantity or order.state is Status.FILLED or order.state in AT_BROKER
        if name not in truth.orders and stands:
            found["phantoms"].append(f"{order.public_id}: {_told(order)} here alone")
        if order.cancel_requested_at is not None and order.state in AT_BROKER:
            found["not_cancelled"].append(f"{order.public_id}: {_told(order)}")
    if not venue.in_place:
        for change in changes:
            made = change.wire_id in truth.orders or change.wire_id in truth.replaced
            if made is not (change.state is AmendmentStatus.DONE):
                found["lost"].append(f"{change.public_id}: {change.status} here, {made} there")
    found["stuck"] += [f"{each.public_id}: {each.status}" for each in under_way().filter(pk__in=[*_ids(rows)])]
    found["stuck"] += [
        f"{each.public_id}: {each.status}" for each in changes_under_way().filter(pk__in=[*_ids(changes)])
    ]
    for symbol, gained in truth.gained.items():
        mine = sum(
            (
                order.filled_quantity if order.side == Side.BUY else -order.filled_quantity
                for order in rows
                if order.symbol == symbol
            ),
            Decimal(0),
        )
        if mine != gained:
            found["books"].append(f"{venue.name}: {gained} of {symbol} there, {mine} here")
    found["halves"] += _halves(venue, {*truth.sent, *truth.changed})
    found["against_the_documents"] += truth.broken_rules


def _units_filled(order: Order) -> Decimal:
    """By its fills, of which a spread has one for each leg."""
    units = sum((Decimal(fill["quantity"]) for fill in order_queries.fills(order)), Decimal(0))
    return units if order.spread is None else units / sum(leg.ratio for leg in order.spread.legs)


def _halves(venue: Venue, sent: set[str]) -> list[str]:
    """Plans that went in part without every order saying what became of it, or went without a yes."""
    wrong = []
    for plan in Confirmation.objects.filter(app__connection=venue.connection).exclude(action=Action.MODIFY):
        orders = list(plan.orders.filter(parent=None))
        arrived = [order for order in orders if order.wire_id in sent]
        if arrived and plan.redeemed_at is None:
            wrong.append(f"{plan.public_id} was never confirmed, and {arrived[0].public_id} was sent")
        if plan.redeemed_at is None or not plan.all_or_none:
            continue
        wrong += [
            f"{plan.public_id} went in part, and {order.public_id} is {_told(order)}"
            for order in orders
            if order.state in (Status.AWAITING, Status.LAPSED)
            or (order.wire_id not in sent and not (order.state in ENDED and order.reason))
        ]
    return wrong


def under_way() -> Any:
    return Order.objects.filter(status__in=[Status.AWAITING, *IN_FLIGHT])


def changes_under_way() -> Any:
    return Modification.objects.filter(status__in=[AmendmentStatus.AWAITING, *UNSETTLED])


def _ids(rows: Iterable[Order | Modification]) -> Iterable[int]:
    return (row.pk for row in rows)


def _told(order: Order) -> str:
    return f"{order.status}, {order.filled_quantity} of {order.quantity} at {order.limit_price}"


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
