"""What became of each message to a channel, attempt by attempt; and a webhook's message sent once more."""

from dataclasses import dataclass
from datetime import datetime

from cryptography.fernet import InvalidToken
from django.db import transaction
from django.db.models import Prefetch
from django.utils import timezone

from console.notifications.models import ChannelKind, DeliveryAttempt, MessageCopy, NotificationChannel
from console.notifications.news import GOOD_FOR, Message
from console.outbox.models import OutgoingMail

SHOWN = 50
"""Messages of one channel, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDelivery:
    """One message as its channel's page shows it."""

    mail: OutgoingMail
    title: str
    """Empty where no copy is kept."""
    attempts: list[DeliveryAttempt]
    can_send_again: bool


def record(
    mail: OutgoingMail,
    channel: NotificationChannel,
    *,
    at: datetime,
    milliseconds: int,
    status: int | None,
    words: str,
) -> None:
    """One attempt; before the first of a webhook's, a copy of what was sent."""
    DeliveryAttempt.objects.create(mail=mail, at=at, milliseconds=milliseconds, status=status, words=words[:200])
    if channel.kind == ChannelKind.WEBHOOK:
        MessageCopy.objects.get_or_create(mail=mail, defaults={"sealed": mail.sealed})


def of(channel: NotificationChannel) -> list[MessageDelivery]:
    """The newest messages, each with its attempts, the oldest first."""
    found = OutgoingMail.objects.filter(channel=channel).select_related("copy").order_by("-pk")
    attempts = Prefetch("deliveries", queryset=DeliveryAttempt.objects.order_by("pk"), to_attr="tried")
    return [_delivery(mail) for mail in found.prefetch_related(attempts)[:SHOWN]]


def _delivery(mail: OutgoingMail) -> MessageDelivery:
    copy: MessageCopy | None = getattr(mail, "copy", None)
    try:
        title = "" if copy is None else Message.unseal(copy.sealed).title
    except InvalidToken:
        copy, title = None, ""
    return MessageDelivery(
        mail=mail,
        title=title,
        attempts=getattr(mail, "tried"),  # noqa: B009  the prefetch sets it
        can_send_again=copy is not None and _is_over(mail),
    )


def _is_over(mail: OutgoingMail) -> bool:
    return mail.sent_at is not None or mail.failed_at is not None


@transaction.atomic
def send_again(channel: NotificationChannel, mail_id: int) -> bool:
    """A webhook's message, with the id it had and a new signature; tried again as a new one is.

    False where it is still being sent, no copy is kept, or it is not of this channel.
    """
    copy = MessageCopy.objects.filter(mail_id=mail_id, mail__channel=channel).first()
    if copy is None:
        return False
    now = timezone.now()
    mine = OutgoingMail.objects.filter(pk=mail_id, channel=channel).exclude(sent_at=None, failed_at=None)
    return bool(
        mine.update(
            sealed=copy.sealed,
            sent_at=None,
            failed_at=None,
            failure="",
            attempts=0,
            next_at=now,
            good_until=now + GOOD_FOR,
        )
    )
