"""E-mail to owners whose approval, or whose answer to a broker, an order waits for.

A letter leads to a page and does nothing by itself. However fast a model asks, its owner gets at most four letters in a
quarter of an hour, the last of them saying that no more follow.
"""

import re
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from console.accounts.models import User
from console.connections.models import Connection
from console.elapsed import span_text
from console.orders.models import Confirmation, Letter, NoLetters, Question
from console.orders.owner import approvals, broker_questions
from console.outbox import mailer
from console.outbox.models import OutgoingMail
from console.scopes import Source
from console.untrusted_text import escape_hidden

MOST = 3
"""Letters in ``WITHIN``, before the one that says no more follow."""
WITHIN = timedelta(minutes=15)
_AT_MOST = 100

# Apps and people name things: nothing in a name may turn into a link or a line of ours.
_NO_WORD = re.compile(r"[^\w ()'&+\\-]+")


def notify() -> int:
    """Write to everybody whose approval something waits for that they were not told of. Returns the letters."""
    now = timezone.now()
    owners = set(_unnotified_approvals(now).values_list("app__connection__owner", flat=True))
    owners |= set(_unnotified_questions(now).values_list("order__connection__owner", flat=True))
    return sum(_notify(owner_id) for owner_id in sorted(owners)[:_AT_MOST])


def has_work() -> bool:
    """Whether anything may wait for a word to somebody: one short look, for the scheduler."""
    now = timezone.now()
    waiting = Confirmation.objects.filter(redeemed_at=None, told_at=None, expires_at__gt=now)
    return waiting.exists() or Question.objects.filter(answer="", told_at=None, expires_at__gt=now).exists()


def _unnotified_approvals(now: datetime) -> QuerySet[Confirmation]:
    return (
        approvals.undecided(now)
        .filter(told_at=None, app__connection__owner__is_active=True, app__connection__no_letters=None)
        .filter(approvals.OWNERS)
        .exclude(app__source=Source.CONSOLE)
    )


def _unnotified_questions(now: datetime) -> QuerySet[Question]:
    """Whoever releases orders there: a broker's question is the owner's to answer on every connection."""
    return (
        broker_questions.unanswered(now)
        .filter(told_at=None, order__connection__owner__is_active=True, order__connection__no_letters=None)
        .select_related("order__connection", "order__app")
    )


def _notify(owner_id: int) -> int:
    now = timezone.now()
    with transaction.atomic():
        owner = User.objects.select_for_update().get(pk=owner_id)
        lately = Letter.objects.filter(owner=owner, at__gt=now - WITHIN).order_by("at")
        before, first = lately.count(), lately.first()
        if before > MOST:
            return 0
        mine = list(_unnotified_approvals(now).filter(app__connection__owner=owner).order_by("pk"))
        asked = list(_unnotified_questions(now).filter(order__connection__owner=owner).order_by("pk"))
        if not mine and not asked:
            return 0
        Confirmation.objects.filter(pk__in=[each.pk for each in mine]).update(told_at=now)
        Question.objects.filter(pk__in=[each.pk for each in asked]).update(told_at=now)
        Letter.objects.create(owner=owner, at=now)
        silent_until = first.at + WITHIN if first is not None and before == MOST else None
        good_for = mailer.GOOD_FOR if asked else max(each.expires_at for each in mine) - now
        mailer.enqueue(owner, OutgoingMail.Kind.ORDERS, _compose(mine, asked, silent_until), good_for=good_for)
    return 1


def _compose(confirmations: list[Confirmation], asked: list[Question], silent_until: datetime | None) -> mailer.Email:
    """Subject and text. No order, no price: who asks, where, and the page that shows the rest."""
    who = [(f"an order from {_name(each.app.name)}", each.app.connection) for each in confirmations]
    who += [
        (f"a question from the broker about an order from {_name(each.order.app.name)}", each.order.connection)
        for each in asked
    ]
    asks = "".join(
        f"- {asker} on {_name(connection.name)} ({'real money' if connection.is_live else 'paper, simulated money'})\n"
        for asker, connection in dict.fromkeys(who)
    )
    soonest = min([*(each.expires_at for each in confirmations), *(each.expires_at for each in asked)])
    count, wanted = len(who), "approval" if not asked else "answer"
    subject = (
        f"An order is waiting for your {wanted}" if count == 1 else f"{count} orders are waiting for your {wanted}"
    )
    if silent_until is not None:
        subject = f"More orders are waiting for your {wanted}; no more e-mails for now"
    text = f"""Waiting for your {wanted}:

{asks}
{"It expires" if count == 1 else "The first of them expires"} {_time_left(soonest)}. Review and decide here:
{settings.PUBLIC_URL}/orders/approvals/

This e-mail does nothing by itself. If you did not expect an order, reject it there and pause the app under
Connected apps.
"""
    if silent_until is not None:
        text += f"""
Many orders are coming in, so no further e-mail is sent before {silent_until:%H:%M} UTC. The page above shows them all.
"""
    return mailer.Email(subject, text)


def _time_left(until: datetime) -> str:
    """``in 4 minutes, at 14:05 UTC``, rounded down."""
    seconds = max(0, int((until - timezone.now()).total_seconds()))
    whole = next((unit for unit in (3600, 60) if seconds >= 2 * unit), 1)
    return f"in {span_text(seconds // whole * whole)}, at {until.astimezone(UTC):%H:%M} UTC"


def _name(name: str) -> str:
    return " ".join(_NO_WORD.sub(" ", escape_hidden(name)).split())


def is_enabled(connection: Connection) -> bool:
    return not NoLetters.objects.filter(connection=connection).exists()


def set_enabled(connection: Connection, *, on: bool) -> None:
    """Whether the owner gets letters about this connection. It says nothing about who may release an order."""
    if on:
        NoLetters.objects.filter(connection=connection).delete()
    else:
        NoLetters.objects.get_or_create(connection=connection)
