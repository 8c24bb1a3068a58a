"""Which orders have changed since they were placed, so that whoever follows them need not ask about all of them.

A change and its row are one transaction: none is lost by a crash, and a row that is read twice does no harm.
"""

from collections.abc import Collection

from brokers.paper.models import ChangedOrder


def waiting() -> bool:
    return ChangedOrder.objects.exists()


def read(limit: int, account: str = "") -> list[tuple[int, str]]:
    """(row, client order id), the oldest change first: an order has a row for each of its changes.

    ``account``: the key of one account; those of all where it is left out.
    """
    rows = ChangedOrder.objects.filter(account__key=account) if account else ChangedOrder.objects.all()
    return list(rows.order_by("pk").values_list("pk", "client_order_id")[:limit])


def forget(rows: Collection[int]) -> None:
    """Those rows alone: what changed meanwhile has a row of its own."""
    ChangedOrder.objects.filter(pk__in=rows).delete()


def postpone(rows: Collection[int]) -> None:
    """Behind all others, one row for each order: what cannot be followed now keeps no other order waiting.

    Two workers that postpone the same rows leave one each, and the next time one of the two.
    """
    again = ChangedOrder.objects.filter(pk__in=rows).order_by().values_list("account_id", "client_order_id").distinct()
    ChangedOrder.objects.bulk_create([ChangedOrder(account_id=at, client_order_id=name) for at, name in again])
    forget(rows)
