"""News of what waits for its owner: an approval, or an answer to a broker.

A message leads to a page and does nothing by itself. However fast a model asks, its owner gets at most four e-mails
in a quarter of an hour, the last of them saying that no more follow, and ``MOST_MESSAGES`` by any other channel.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from brokers.decimals import money, plain
from console.accounts.models import User
from console.connections.models import Connection
from console.notifications import news, wording
from console.notifications.models import NewsKind
from console.notifications.news import Told
from console.orders.models import Confirmation, Letter, NoLetters, Order, Question
from console.orders.owner import approvals, broker_questions, review
from console.orders.terms import describe
from console.outbox import mailer
from console.outbox.models import OutgoingMail
from console.scopes import Source

MOST = 3
"""E-mails in ``WITHIN``, before the one that says no more follow."""
MOST_MESSAGES = 20
WITHIN = timedelta(minutes=15)
_AT_MOST = 100
_NAMED = 5


def notify() -> int:
    """Write to everybody whose approval something waits for that they were not told of. Returns the letters."""
    now = timezone.now()
    owners = set(_unnotified_approvals(now).values_list("app__connection__owner", flat=True))
    owners |= set(_unnotified_questions(now).values_list("order__connection__owner", flat=True))
    return sum(_notify(owner_id) for owner_id in sorted(owners)[:_AT_MOST])


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
        by_email = before <= MOST
        by_others = _sent_lately(owner, now) < MOST_MESSAGES
        if not by_email and not by_others:
            return 0
        mine = list(_unnotified_approvals(now).filter(app__connection__owner=owner).order_by("pk"))
        asked = list(_unnotified_questions(now).filter(order__connection__owner=owner).order_by("pk"))
        if not mine and not asked:
            return 0
        Confirmation.objects.filter(pk__in=[each.pk for each in mine]).update(told_at=now)
        Question.objects.filter(pk__in=[each.pk for each in asked]).update(told_at=now)
        if by_email:
            Letter.objects.create(owner=owner, at=now)
        silent_until = first.at + WITHIN if first is not None and before == MOST else None
        news.tell(owner, _told(mine, asked, silent_until, now), by_email=by_email, by_others=by_others)
    return 1


def _sent_lately(owner: User, now: datetime) -> int:
    """To the channel that got most."""
    rows = OutgoingMail.objects.filter(
        user=owner, kind=OutgoingMail.Kind.ORDERS, channel__isnull=False, created_at__gt=now - WITHIN
    )
    counted = rows.order_by().values("channel").annotate(many=Count("pk")).order_by("-many").first()
    return 0 if counted is None else int(counted["many"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """One thing that waits for its owner, as it is told: every word of it is fit for a message."""

    what: str
    detail: str
    app: str
    connection: Connection
    path: str
    expires_at: datetime
    facts: dict[str, Any]

    @property
    def where(self) -> str:
        """On which connection, and whose money it is."""
        return f"{wording.name(self.connection.name)} ({wording.money_words(is_live=self.connection.is_live)})"


def _told(
    confirmations: list[Confirmation], asked: list[Question], silent_until: datetime | None, now: datetime
) -> Told:
    """What waits, by its side, quantity, symbol, worth, money, app and time left; and the page where one decides."""
    waiting = [_of_approval(each) for each in confirmations] + [_of_question(each) for each in asked]
    first, wanted = waiting[0], "approval" if not asked else "answer"
    if len(waiting) == 1:
        money = wording.money_label(is_live=first.connection.is_live)
        asks = f"{'Approve' if not asked else 'Answer the broker'}: {first.what} ({money}, {first.app})"
        title, path = asks, first.path
    else:
        live = sum(each.connection.is_live for each in waiting)
        title = f"{len(waiting)} orders are waiting for your {wanted}{f', {live} with real money' if live else ''}"
        path = "/orders/approvals/"
    lines = [
        f"{'' if len(waiting) == 1 else f'{each.what}. '}{each.detail}On {each.where}, from {each.app}. "
        f"{_left(each.expires_at, now)}"
        for each in waiting[:_NAMED]
    ]
    if len(waiting) > _NAMED:
        lines.append(f"And {len(waiting) - _NAMED} more.")
    text = "\n".join(lines)
    ids = "-".join(str(each.pk) for each in (*confirmations, *asked))
    kind = NewsKind.QUESTION if asked else NewsKind.APPROVAL
    last = max(each.expires_at for each in waiting)
    return Told(
        kind=kind,
        source=f"{kind}:{hashlib.sha256(f'{len(confirmations)}:{ids}'.encode()).hexdigest()[:32]}",
        title=title,
        text=text,
        path=path,
        tag="approvals",
        is_urgent=True,
        good_for=last - now,
        facts={"waiting": [each.facts for each in waiting[:_NAMED]]},
        letter=_letter(title, text, path, silent_until),
    )


def _of_approval(confirmation: Confirmation) -> _Waiting:
    app, connection, order = confirmation.app, confirmation.app.connection, confirmation.order
    worth, currency = confirmation.terms.get("value"), confirmation.terms.get("currency")
    is_one = isinstance(worth, str) and isinstance(currency, str)
    return _Waiting(
        what=wording.sentence(review.heading(confirmation), 140),
        detail=f"Worth {money(Decimal(worth))} {wording.name(currency)}. " if is_one else "",
        app=wording.name(app.name, 40),
        connection=connection,
        path=f"/orders/{order.public_id}/",
        expires_at=confirmation.expires_at,
        facts=_facts(order, connection, app.name, confirmation.expires_at)
        | {"action": confirmation.action, "value": worth if is_one else None},
    )


def _of_question(question: Question) -> _Waiting:
    order = question.order
    return _Waiting(
        what=wording.sentence(describe(order.request, order.currency), 140),
        detail="",
        app=wording.name(question.asker.name, 40),
        connection=order.connection,
        path=f"/orders/{order.public_id}/",
        expires_at=question.expires_at,
        facts=_facts(order, order.connection, question.asker.name, question.expires_at) | {"action": "answer"},
    )


def _facts(order: Order, connection: Connection, app: str, expires_at: datetime) -> dict[str, Any]:
    """For a program: as the REST API writes them."""
    return {
        "order_id": order.public_id,
        "side": order.side,
        "quantity": None if order.quantity is None else plain(order.quantity),
        "notional": None if order.notional is None else plain(order.notional),
        "symbol": order.symbol,
        "currency": order.currency,
        "environment": connection.environment,
        "app": wording.name(app),
        "connection": wording.name(connection.name),
        "expires_at": expires_at.isoformat(timespec="seconds"),
    }


def _left(expires_at: datetime, now: datetime) -> str:
    seconds = max(0, int((expires_at - now).total_seconds()))
    if seconds <= 120:
        left = f"{seconds} seconds"
    else:
        left = f"{seconds // 60} minutes" if seconds < 7200 else f"{seconds // 3600} hours"
    return f"{left} left, until {expires_at:%H:%M:%S} UTC."


def _letter(title: str, text: str, path: str, silent_until: datetime | None) -> mailer.Email:
    body = f"""{title}

{text}

After that it expires unsent. Review and decide here:
{settings.PUBLIC_URL}{path}

This e-mail does nothing by itself. If you did not expect an order, reject it there and pause the app under
Connected apps. Choose your notifications under Notifications.
"""
    if silent_until is not None:
        body += f"""
Many orders are coming in, so no further e-mail is sent before {silent_until:%H:%M} UTC. All of them are here:
{settings.PUBLIC_URL}/orders/approvals/
"""
        title = f"{title}; no more e-mails for now"
    return mailer.Email(title, body)


def is_enabled(connection: Connection) -> bool:
    return not NoLetters.objects.filter(connection=connection).exists()


def set_enabled(connection: Connection, *, on: bool) -> None:
    """Whether the owner gets letters about this connection. It says nothing about who may release an order."""
    if on:
        NoLetters.objects.filter(connection=connection).delete()
    else:
        NoLetters.objects.get_or_create(connection=connection)
