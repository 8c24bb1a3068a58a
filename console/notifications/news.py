"""The one writer of news: a row of what happened and a row for each message, in the transaction of what they tell.

A message leads to a page and does nothing by itself; it holds no secret.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console.accounts import seal
from console.accounts.models import User
from console.notifications import choices
from console.notifications.models import NewsItem, NewsKind, NotificationChannel
from console.notifications.wording import LONGEST_TEXT, LONGEST_TITLE
from console.outbox import mailer
from console.outbox.mailer import Email
from console.outbox.models import OutgoingMail
from console.untrusted_text import escape_hidden, truncate

MOST_PER_HOUR = 30
"""Of one kind to one person; what is more is on the page alone."""
GOOD_FOR = timedelta(hours=12)
_KEPT = timedelta(days=30)
_MAIL_KINDS = {
    NewsKind.APPROVAL: OutgoingMail.Kind.ORDERS,
    NewsKind.QUESTION: OutgoingMail.Kind.ORDERS,
    NewsKind.GRANT: OutgoingMail.Kind.GRANT,
}


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out by channels other than e-mail."""

    kind: str
    title: str
    text: str
    path: str
    tag: str = ""
    """A newer message replaces an older one of the same tag that was not yet seen."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The same for programs, as JSON."""

    @property
    def url(self) -> str:
        return f"{settings.PUBLIC_URL}{self.path}"

    def sealed(self) -> str:
        return seal.seal(json.dumps(asdict(self)))

    @classmethod
    def unseal(cls, sealed: str) -> Self:
        """Raises cryptography.fernet.InvalidToken."""
        return cls(**json.loads(seal.unseal(sealed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What happened, in the words in which a person is told of it; those of others went through ``wording``."""

    kind: NewsKind
    source: str
    """What it tells of, such as ``event:17``: of that a person is told once."""
    title: str
    text: str = ""
    path: str
    tag: str = ""
    is_urgent: bool = False
    good_for: timedelta = GOOD_FOR
    facts: Mapping[str, Any] = field(default_factory=dict)
    letter: Email | None = None
    """The e-mail, where it says more than the message."""


@transaction.atomic
def tell(
    user: User, told: Told, *, by_email: bool = True, by_others: bool = True, but: NotificationChannel | None = None
) -> bool:
    """Write it down, and a message for each channel that the person chose; False when they were told before.

    Call it in the transaction of what it tells. ``but``: the one channel that cannot be used.
    """
    now = timezone.now()
    title = truncate(escape_hidden(told.title), LONGEST_TITLE)
    text = truncate(escape_hidden(told.text, lines=True), LONGEST_TEXT)
    _, is_new = NewsItem.objects.get_or_create(
        user=user,
        source=told.source,
        defaults={"kind": told.kind, "at": now, "title": title, "text": text, "path": told.path},
    )
    if not is_new:
        return False
    lately = NewsItem.objects.filter(user=user, kind=told.kind, at__gt=now - timedelta(hours=1)).count()
    if lately > MOST_PER_HOUR:
        return True
    if lately == MOST_PER_HOUR:
        text = f"{truncate(text, LONGEST_TEXT - 100)}\nThere is a lot of this, so no more is sent for now.".strip()
    email, others = choices.channels_of(user, told.kind)
    if email and by_email:
        letter = told.letter or _letter(title, text, told.path)
        mailer.enqueue(user, _MAIL_KINDS.get(told.kind, OutgoingMail.Kind.NEWS), letter, good_for=told.good_for)
    message = Message(told.kind.value, title, text, told.path, told.tag, told.facts)
    for channel in others if by_others else []:
        if but is None or channel.pk != but.pk:
            enqueue(channel, message, good_for=told.good_for, is_urgent=told.is_urgent)
    return True


def enqueue(
    channel: NotificationChannel, message: Message, *, good_for: timedelta, is_urgent: bool = False
) -> OutgoingMail:
    now = timezone.now()
    return OutgoingMail.objects.create(
        user_id=channel.user_id,
        kind=_MAIL_KINDS.get(NewsKind(message.kind), OutgoingMail.Kind.NEWS),
        channel=channel,
        is_urgent=is_urgent,
        sealed=message.sealed(),
        good_until=now + good_for,
        next_at=now,
    )


def enqueue_test_email(user: User) -> None:
    text = f"Notifications work here.\n\n{settings.PUBLIC_URL}/notifications/\n"
    mailer.enqueue(user, OutgoingMail.Kind.NEWS, Email("Test from Tradelatch", text), good_for=timedelta(minutes=30))


def _letter(title: str, text: str, path: str) -> Email:
    return Email(title, f"{text or title}\n\n{settings.PUBLIC_URL}{path}\n{footer()}")


def footer() -> str:
    return f"""
This e-mail does nothing by itself. Choose your notifications here:
{settings.PUBLIC_URL}/notifications/
"""


def delete_old() -> int:
    return NewsItem.objects.filter(at__lt=timezone.now() - _KEPT).delete()[0]
