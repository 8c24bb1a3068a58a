"""The rows that one stage of the checks looks at, each stage's in one statement, read when it begins.

Nothing is kept from one stage to the next. What holds at a release is decided by ``locked`` and by the halts as they
are under its locks; what the others find refuses early.
"""

from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from brokers.compiled_queries import Instances
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.halts import services as halts
from console.orders.checks import repeated_orders
from console.orders.models import Confirmation, Order

_ASKING = Instances[ConnectedApp](
    lambda app, since: (
        ConnectedApp.objects.select_related("connection__owner")
        .annotate(is_halted=halts.any_over(), confirmed_lately=repeated_orders.confirmed_since(since))
        .filter(pk=app)
    )
)
_COVERED = Instances[Order](
    lambda confirmation, app: (
        Order.objects.select_related("app", "connection__owner", "confirmation")
        .annotate(is_halted=halts.any_over("app"))
        .filter(confirmation__public_id=confirmation, confirmation__app=app, parent=None)
        .order_by("pk")
    )
)


def _lock(app: int) -> QuerySet[ConnectedApp]:
    found = ConnectedApp.objects.select_related("connection__owner").filter(pk=app)
    if connection.features.has_select_for_update:
        # Never with the halts in the same statement: one that waited for its locks would see them as they were before.
        return found.select_for_update(of=("self", "connection"))
    return found.annotate(is_halted=halts.any_over())  # SQLite: the transaction has been alone since it began


_LOCKED = Instances[ConnectedApp](_lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRows:
    """The app that asks for something, and its connection."""

    app: ConnectedApp
    connection: Connection
    is_halted: bool | None
    """Whether a halt stands over any of its accounts; None: not read with these rows."""

    def check_halts(self, action: halts.GatedAction, account_id: str) -> None:
        """As ``services.check``, which is asked no more where none stood. Raises Refusal."""
        if self.is_halted is not False:
            halts.check(action, self.connection, self.app.pk, account_id)


def app_rows(app_id: int) -> AppRows:
    """Raises ConnectedApp.DoesNotExist."""
    app = _ASKING.first(app_id, timezone.now() - repeated_orders.LATELY)
    if app is None:
        raise ConnectedApp.DoesNotExist
    return AppRows(app=app, connection=app.connection, is_halted=app.is_halted)  # type: ignore[attr-defined]  # annotated


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRows:
    """The orders that a confirmation covers, without their legs, oldest first; all have one app and one connection."""

    asking: AppRows
    confirmation: Confirmation
    orders: list[Order]


def plan_of(confirmation_id: str, app_id: int, known: Confirmation | None = None) -> PlanRows | None:
    """What the app's confirmation covers; None where it has none of that id, or where that is about an order.

    ``known``: the row of the confirmation where it is at hand; it is then the orders' own.
    """
    orders = _COVERED.rows(confirmation_id, app_id)
    if not orders:
        return None
    lead = orders[0]
    confirmation = lead.confirmation if known is None else known
    confirmation.app = lead.app
    lead.app.connection = lead.connection
    for order in orders:
        order.app, order.connection, order.confirmation = lead.app, lead.connection, confirmation
    is_halted: bool = lead.is_halted  # type: ignore[attr-defined]  # annotated
    return PlanRows(
        asking=AppRows(app=lead.app, connection=lead.connection, is_halted=is_halted),
        confirmation=confirmation,
        orders=orders,
    )


def locked(app_id: int) -> AppRows:
    """An app and its connection as they are now, locked in this order until the transaction ends."""
    app = _LOCKED.first(app_id)
    if app is None:
        raise ConnectedApp.DoesNotExist
    return AppRows(app=app, connection=app.connection, is_halted=getattr(app, "is_halted", None))
