"""News of what waits for its owner: an approval, or an answer to a broker.

A message leads to a page and does nothing by itself. However fast a model asks, its owner gets at most four e-mails
in a quarter of an hour, the last of them saying that no more follow, and ``MOST_MESSAGES`` by any other channel.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import Error, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from brokers.decimals import money, plain
from console.accounts.models import User
from console.audit import log as audit_log
from console.connections.models import Connection
from console.notifications import choices, news, wording
from console.notifications.models import NewsKind, NotificationChannel
from console.notifications.news import Told
from console.orders.models import Confirmation, Letter, NoLetters, Order, Question
from console.orders.owner import approvals, broker_questions, review
from console.orders.terms import describe
from console.outbox import mailer
from console.outbox.models import OutgoingMail
from console.scopes import Source

log = logging.getLogger(__name__)

MOST = 3
"""E-mails in ``WITHIN``, before the one that says no more follow."""
MOST_MESSAGES = 20
WITHIN = timedelta(minutes=15)
_AT_MOST = 100
_NAMED = 5


def notify() -> int:
    """Tell everybody whose approval something waits for that they were not told of. Returns how many were told."""
    now = timezone.now()
    owners = set(_unnotified_approvals(now).values_list("app__connection__owner", flat=True))
    owners |= set(_unnotified_questions(now).values_list("order__connection__owner", flat=True))
    told = 0
    for owner_id in sorted(owners)[:_AT_MOST]:
        try:
            told += _notify(owner_id)
        except Error:
            raise
        except Exception:  # one broken order must not leave all other owners untold
            log.exception("Person %s cannot be told what waits for them", owner_id)
    return told


def has_work() -> bool:
    """Whether anything may wait for a word to somebody: one short look, for the scheduler."""
    now = timezone.now()
    waiting = Confirmation.objects.filter(redeemed_at=None, told_at=None, expires_at__gt=now)
    return waiting.exists() or Question.objects.filter(answer="", told_at=None, expires_at__gt=now).exists()


def _unnotified_approvals(now: datetime) -> QuerySet[Confirmation]:
    return (
        approvals.undecided(now)
        .filter(told_at=None, app__connection__owner__is_active=True)
        .filter(approvals.OWNERS)
        .filter(Q(app__connection__no_letters=None) | Q(app__connection__owner__in=_WITH_CHANNELS))
        .exclude(app__source=Source.CONSOLE)
    )


def _unnotified_questions(now: datetime) -> QuerySet[Question]:
    """Whoever releases orders there: a broker's question is the owner's to answer on every connection."""
    return (
        broker_questions.unanswered(now)
        .filter(told_at=None, order__connection__owner__is_active=True)
        .filter(Q(order__connection__no_letters=None) | Q(order__connection__owner__in=_WITH_CHANNELS))
        .select_related("order__connection", "order__app")
    )


_WITH_CHANNELS = NotificationChannel.objects.values("user")


def _notify(owner_id: int) -> int:
    now = timezone.now()
    with transaction.atomic():
        owner = User.objects.select_for_update().get(pk=owner_id)
        lately = Letter.objects.filter(owner=owner, at__gt=now - WITHIN).order_by("at")
        before, first = lately.count(), lately.first()
        mine = list(_unnotified_approvals(now).filter(app__connection__owner=owner).order_by("pk"))
        asked = list(_unnotified_questions(now).filter(order__connection__owner=owner).order_by("pk"))
        waiting = [_of_approval(each) for each in mine] + [_of_question(each) for each in asked]
        written = [each for each in waiting if is_enabled(each.connection)] if before <= MOST else []
        kind = NewsKind.QUESTION if asked else NewsKind.APPROVAL
        by_others = bool(choices.channels_of(owner, kind)[1]) and _sent_lately(owner, now) < MOST_MESSAGES
        if not waiting or not (written or by_others):
            return 0
        Confirmation.objects.filter(pk__in=[each.pk for each in mine]).update(told_at=now)
        Question.objects.filter(pk__in=[each.pk for each in asked]).update(told_at=now)
        if written:
            Letter.objects.create(owner=owner, at=now)
        silent_until = first.at + WITHIN if first is not None and before == MOST else None
        more = approvals.for_owner(owner).count() - len(mine)
        about = _about(waiting, kind, now, more)
        ids = "-".join(str(each.pk) for each in (*mine, *asked))
        told = Told(
            kind=kind,
            source=f"{kind}:{hashlib.sha256(f'{len(mine)}:{ids}'.encode()).hexdigest()[:32]}",
            title=about.title,
            text=about.text,
            path=about.path,
            tag="approvals",
            is_urgent=True,
            good_for=max(each.expires_at for each in waiting) - now,
            facts={"waiting": [each.facts for each in waiting[:_NAMED]]},
            letter=_letter(_about(written, kind, now, 0), silent_until) if written else None,
        )
        news.tell(owner, told, by_email=bool(written), by_others=by_others)
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


@dataclass(frozen=True, slots=True)
class _About:
    title: str
    text: str
    path: str


def _about(waiting: list[_Waiting], kind: NewsKind, now: datetime, more: int) -> _About:
    """What waits, by its side, quantity, symbol, worth, money, app and time left; and the page where one decides.

    ``more``: how many wait of which their owner heard before; on a device this message takes the place of theirs.
    """
    first, is_question = waiting[0], kind is NewsKind.QUESTION
    if len(waiting) == 1:
        money_of = wording.money_label(is_live=first.connection.is_live)
        title = f"{'Answer the broker' if is_question else 'Approve'}: {first.what} ({money_of}, {first.app})"
        path = first.path
    else:
        live = sum(each.connection.is_live for each in waiting)
        with_real_money = f", {live} with real money" if live else ""
        wanted = "answer" if is_question else "approval"
        title = f"{len(waiting)} orders are waiting for your {wanted}{with_real_money}"
        path = "/orders/approvals/"
    lines = [
        f"{'' if len(waiting) == 1 else f'{each.what}. '}{each.detail}On {each.where}, from {each.app}. "
        f"{_left(each.expires_at, now)}"
        for each in waiting[:_NAMED]
    ]
    if (others := len(waiting) - _NAMED) > 0:
        lines.append(f"And {others} more.")
    if more > 0:
        lines.append(f"{more} more {'is' if more == 1 else 'are'} waiting under Approvals.")
    return _About(title, "\n".join(lines), path)


def _of_plan(confirmation: Confirmation) -> _Waiting:
    app, connection, terms = confirmation.app, confirmation.app.connection, confirmation.terms
    return _Waiting(
        what=wording.sentence(review.heading(confirmation), 140),
        detail=f"At most {terms['most_orders']} orders and {wording.name(terms['most_value'])} "
        f"{wording.name(connection.currency)} in all. ",
        app=wording.name(app.name, 40),
        connection=connection,
        path=f"/plans/{confirmation.plan_id}/",
        expires_at=confirmation.expires_at,
        facts={
            "plan_id": confirmation.plan_id,
            "action": confirmation.action,
            "symbol": terms["symbol"],
            "value": terms["value"],
            "currency": terms["currency"],
            "environment": connection.environment,
            "app": wording.name(app.name),
            "connection": wording.name(connection.name),
            "expires_at": confirmation.expires_at.isoformat(timespec="seconds"),
        },
    )


def _of_approval(confirmation: Confirmation) -> _Waiting:
    if confirmation.starts_plan:
        return _of_plan(confirmation)
    app, connection, order = confirmation.app, confirmation.app.connection, confirmation.order
    shown = confirmation.terms.get("orders") or [confirmation.terms]
    worth = {each["currency"]: Decimal(0) for each in shown if each.get("value") and each.get("currency")}
    for each in shown:
        if each.get("currency") in worth and each.get("value"):
            worth[each["currency"]] += Decimal(each["value"])
    named = review.plan(confirmation) if len(shown) > 1 else []
    parts = [f"{describe(each.request, each.currency)}. " for each in named[:_NAMED]]
    if worth:
        parts.append(
            f"Worth {' and '.join(f'{money(total)} {wording.name(currency)}' for currency, total in worth.items())}. "
        )
    return _Waiting(
        what=wording.sentence(review.heading(confirmation), 140),
        detail="".join(parts),
        app=wording.name(app.name, 40),
        connection=connection,
        path=f"/orders/{order.public_id}/",
        expires_at=confirmation.expires_at,
        facts=_facts(order, connection, app.name, confirmation.expires_at)
        | {"action": confirmation.action, "value": confirmation.terms.get("value")},
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


def _letter(about: _About, silent_until: datetime | None) -> mailer.Email:
    title = about.title
    body = f"""{title}

{about.text}

After that it expires unsent. Review and decide here:
{settings.PUBLIC_URL}{about.path}

This e-mail does nothing by itself. If you did not expect an order, decline it there and pause the app under
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


@transaction.atomic
def set_enabled(connection: Connection, *, on: bool, by: User) -> None:
    """Whether the owner gets letters about this connection. It says nothing about who may release an order."""
    if on:
        changed = NoLetters.objects.filter(connection=connection).delete()[0] > 0
    else:
        _, changed = NoLetters.objects.get_or_create(connection=connection)
    if changed:
        audit_log.record_change(
            by,
            "approval e-mails switched on" if on else "approval e-mails switched off",
            "connection",
            connection.pk,
            connection.name,
            owner_id=connection.owner_id,
            before={"approval_emails": not on},
            after={"approval_emails": on},
        )
