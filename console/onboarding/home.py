"""What Home says. Stored snapshots only: a page never waits for a broker."""

from django.db.models import F, QuerySet
from django.utils import timezone

from brokers.types import Environment
from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.orders.models import Order
from console.orders.states import Status

_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def connections(owner: User) -> QuerySet[Connection]:
    return Connection.objects.filter(owner=owner, closed_at=None)


def has_live(owner: User) -> bool:
    """Whether real money is behind anything of this person's."""
    return connections(owner).filter(environment=Environment.LIVE).exists()


def apps(owner: User) -> QuerySet[ConnectedApp]:
    """Those that can act, or could once resumed; last used first. A grant never redeemed is no app yet."""
    found = ConnectedApp.objects.filter(owner=owner, revoked_at=None, activated_at__isnull=False)
    return found.select_related("connection").order_by(F("last_used_at").desc(nulls_last=True), "-id")


def waiting(owner: User) -> QuerySet[Order]:
    """Orders that are not sent yet, by whomever they can be released; what hangs on one is not counted."""
    return Order.objects.filter(
        connection__owner=owner, parent=None, status=Status.AWAITING, confirmation__expires_at__gt=timezone.now()
    ).select_related("connection", "app", "confirmation")


def sentence(reaching: int, reached: int, orders_waiting: int) -> str:
    """The state of the house in one line: ``Two assistants can reach one account. Nothing is waiting.``"""
    if not reached:
        first = "No assistant or script can reach an account."
    else:
        first = (
            f"{_count(reaching, 'assistant or script', 'assistants and scripts')} can reach "
            f"{_count(reached, 'account', 'accounts').lower()}."
        )
    if not orders_waiting:
        return f"{first} Nothing is waiting."
    verb = "is" if orders_waiting == 1 else "are"
    return f"{first} {_count(orders_waiting, 'order', 'orders')} {verb} waiting for confirmation."


def _count(number: int, one: str, many: str) -> str:
    return f"{_NUMBERS[number] if number < len(_NUMBERS) else number} {one if number == 1 else many}"
