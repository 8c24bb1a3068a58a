"""Looking at one connection's orders now, because its broker's stream says that something moved there.

What the stream said of the order is not known here: the broker is asked, by the same look-ups as in a sweep.
"""

from collections.abc import Collection

from console.connections import broker_access
from console.orders import states
from console.orders.execution import reconcile, sync
from console.orders.models import Order
from console.orders.states import Status

_AT_BROKER = (*states.AT_BROKER, Status.UNKNOWN)


def wake(connection_id: int, named: Collection[str] = ()) -> bool:
    """Bring the orders of one connection up to date: those ``named`` by our id one by one, the others by one list.

    False: some could not be looked at, and while the stream is up a sweep leaves them alone for half a minute. Nothing
    is asked of a connection that was unlinked. Raises BrokerError where its credentials do not open.
    """
    orders = Order.objects.filter(connection_id=connection_id, connection__closed_at=None, status__in=_AT_BROKER)
    orders = orders.order_by("pk")
    by_name = orders.filter(wire_id__in=named).select_related("app", "connection", "confirmation")
    # Where more are named at once, the list finds them.
    first = list(by_name[: reconcile.MOST_ALONE]) if named else []
    all_looked_at = not reconcile.for_each(first, sync.refresh)
    others = orders.exclude(pk__in=[each.pk for each in first])
    for account_id in others.order_by("account_id").values_list("account_id", flat=True).distinct():
        of_account = others.filter(account_id=account_id)
        if (any_of_them := of_account.first()) is not None:
            broker = broker_access.broker_of(any_of_them.connection)
            all_looked_at &= reconcile.compare_with_list(of_account, broker, account_id)
    return all_looked_at
