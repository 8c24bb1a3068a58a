"""E-mail to owners whose approval an order waits for. A letter leads to a page and does nothing by itself.

However fast a model asks, its owner gets at most four letters in a quarter of an hour, the last of them saying that no
more follow.
"""

import logging
import re
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from console.accounts.models import User
from console.connections.models import Connection, Policy
from console.orders import approvals
from console.orders.models import Confirmation, Letter, NoLetters
from console.scopes import Source

log = logging.getLogger(__name__)

MOST = 3
"""Letters in ``WITHIN``, before the one that says no more follow."""
WITHIN = timedelta(minutes=15)
_AT_MOST = 100

# Apps and people name things: nothing in a name may turn into a link or a line of ours.
_NO_WORD = re.compile(r"[^\w ()'&+-]+")


def tell() -> int:
    """Write to everybody whose approval something waits for that they were not told of. Returns the letters sent."""
    owners = _untold(timezone.now()).values_list("app__connection__owner", flat=True).distinct()
    return sum(_tell_one(owner_id) for owner_id in list(owners.order_by("app__connection__owner")[:_AT_MOST]))


def _untold(now: datetime) -> QuerySet[Confirmation]:
    return (
        approvals.undecided(now)
        .filter(told_at=None, app__connection__owner__is_active=True, app__connection__no_letters=None)
        .exclude(app__connection__policy=Policy.TWO_STEP)
        .exclude(app__source=Source.CONSOLE)
    )


def _tell_one(owner_id: int) -> int:
    now = timezone.now()
    with transaction.atomic():
        owner = User.objects.select_for_update().get(pk=owner_id)
        lately = Letter.objects.filter(owner=owner, at__gt=now - WITHIN).order_by("at")
        before, first = lately.count(), lately.first()
        if before > MOST:
            return 0
        mine = list(_untold(now).filter(app__connection__owner=owner).order_by("pk"))
        if not mine:
            return 0
        # Before it is sent: the order still waits on the page if this letter is lost, and no letter goes twice.
        Confirmation.objects.filter(pk__in=[each.pk for each in mine]).update(told_at=now)
        Letter.objects.create(owner=owner, at=now)
    silent_until = first.at + WITHIN if first is not None and before == MOST else None
    try:
        send_mail(*_letter(mine, silent_until), None, [owner.email])
    except OSError:
        log.exception("A letter about what waits for approval could not be sent")
        return 0
    return 1


def _letter(confirmations: list[Confirmation], silent_until: datetime | None) -> tuple[str, str]:
    """Subject and text. No order, no price: who asks, where, and the page that shows the rest."""
    asks = "".join(
        f"- {_words(app)} asks on {_words(connection)} ({'real money' if is_live else 'paper, simulated money'})\n"
        for app, connection, is_live in dict.fromkeys(
            (each.app.name, each.app.connection.name, each.app.connection.is_live) for each in confirmations
        )
    )
    count = len(confirmations)
    subject = "An order waits for your approval" if count == 1 else f"{count} orders wait for your approval"
    if silent_until is not None:
        subject = "More orders wait for your approval; no more letters for now"
    text = f"""{"An app asks" if count == 1 else "Apps ask"} for your approval:

{asks}
Each waits {settings.CONFIRMATION_SECONDS // 60} minutes and then ends unsent. To look and decide:
{settings.PUBLIC_URL}/orders/approvals/

This letter does nothing by itself. If you expect no such order, reject it there and pause the app under Connected apps.
"""
    if silent_until is not None:
        text += f"""
So many ask that no further letter is sent before {silent_until:%H:%M} UTC. What waits is on that page all the same.
"""
    return subject, text


def _words(name: str) -> str:
    return " ".join(_NO_WORD.sub(" ", name).split())


def wanted(connection: Connection) -> bool:
    return not NoLetters.objects.filter(connection=connection).exists()


def switch(connection: Connection, *, on: bool) -> None:
    """Whether the owner gets letters about this connection. It says nothing about who may release an order."""
    if on:
        NoLetters.objects.filter(connection=connection).delete()
    else:
        NoLetters.objects.get_or_create(connection=connection)
