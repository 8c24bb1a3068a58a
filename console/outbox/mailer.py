"""The one way by which e-mail leaves: a row first, in the transaction of what it tells; then a sweep that sends it.

A lost message of the queue loses no letter, no two workers send the same one, and a mail server that is away is asked
again, less and less often. What was handed over and not yet marked as sent when the process died goes out twice, with
one Message-ID.
"""

import json
import logging
import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from console.accounts import seal
from console.accounts.models import User
from console.outbox.models import OutgoingMail

log = logging.getLogger(__name__)

RETRY_AFTER = tuple(timedelta(seconds=each) for each in (30, 60, 300, 900, 3600, 3 * 3600, 6 * 3600))
"""Pauses between attempts; after the last one it is given up."""
GOOD_FOR = timedelta(days=1)
_LEASE = timedelta(seconds=120)
"""How long one attempt may take: a worker that was killed meanwhile is succeeded by another after it."""
_AT_ONCE = 50
_MESSAGE_ERRORS = (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError, ValueError)


@dataclass(frozen=True, slots=True)
class Email:
    subject: str
    text: str


EmailWriter = Callable[[User], Email | None]
"""Writes a letter when it is first sent, for those that hold a secret; None when there is nothing to say."""


def enqueue(
    user: User | None, kind: OutgoingMail.Kind, letter: Email | None = None, *, good_for: timedelta = GOOD_FOR
) -> OutgoingMail:
    """Call it in the transaction of what the letter tells. Without ``letter``, its kind has a writer."""
    now = timezone.now()
    return OutgoingMail.objects.create(
        user=user, kind=kind, sealed=_seal(letter) if letter else "", good_until=now + good_for, next_at=now
    )


def send_due(writers: Mapping[OutgoingMail.Kind, EmailWriter]) -> int:
    """Send what is due. Returns how many letters went out. Raises nothing of what a mail server does."""
    due = list(unsent().filter(channel=None, next_at__lte=timezone.now()).order_by("next_at", "pk")[:_AT_ONCE])
    if not due:
        return 0
    sent = 0
    connection = mail.get_connection()
    try:
        for each in due:
            if not claim(each):
                continue
            try:
                letter = _written(each, writers)
                if letter is None:
                    continue
                _send(each, letter, connection)
            except _MESSAGE_ERRORS as error:
                _retry_or_give_up(each, error)
            except OSError as error:
                _retry_or_give_up(each, error)
                _postpone_all(error)
                break
            except Exception as error:
                # A letter that cannot be opened or written stands in nobody else's way.
                _retry_or_give_up(each, error)
            else:
                OutgoingMail.objects.filter(pk=each.pk).update(sent_at=timezone.now(), sealed="", failure="")
                sent += 1
    finally:
        connection.close()
    return sent


def failed(user: User, since: datetime, *, everyone: bool) -> QuerySet[OutgoingMail]:
    """Letters to a person that were given up since then, the newest first; for an operator who asks, to anybody."""
    found = (
        OutgoingMail.objects.filter(channel=None, failed_at__gte=since).select_related("user").order_by("-failed_at")
    )
    return found if everyone and user.is_operator else found.filter(user=user)


def delete_old() -> int:
    """Delete rows of letters that ended longer ago than the settings say."""
    long_ago = timezone.now() - timedelta(days=settings.KEEP_DAYS["letters"])
    deleted = OutgoingMail.objects.filter(Q(sent_at__lt=long_ago) | Q(failed_at__lt=long_ago)).delete()[1]
    return deleted.get(OutgoingMail._meta.label, 0)  # without what was kept of each


def has_work() -> bool:
    """Whether a letter waits, due or not yet: one short look, for the scheduler."""
    return unsent().filter(channel=None).exists()


def unsent() -> QuerySet[OutgoingMail]:
    return OutgoingMail.objects.filter(sent_at=None, failed_at=None)


def claim(each: OutgoingMail, lease: timedelta = _LEASE) -> bool:
    """For one attempt; False when another worker has it, or it is over."""
    now = timezone.now()
    mine = unsent().filter(pk=each.pk, next_at__lte=now)
    return bool(mine.update(next_at=now + lease, attempts=F("attempts") + 1))


def _written(each: OutgoingMail, writers: Mapping[OutgoingMail.Kind, EmailWriter]) -> Email | None:
    """The letter of a row that was claimed, or None when there is nothing to send. Raises whatever its writer does."""
    now = timezone.now()
    with transaction.atomic():
        found = OutgoingMail.objects.select_related("user").filter(pk=each.pk).first()
        if found is None or found.user is None or not found.user.is_active:
            OutgoingMail.objects.filter(pk=each.pk).delete()
            return None
        if found.good_until <= now:
            give_up(found, found.failure or "It was due while no worker ran")
            return None
        if found.sealed:
            return _unseal(found.sealed)
        letter = writers[OutgoingMail.Kind(found.kind)](found.user)
        if letter is None:
            OutgoingMail.objects.filter(pk=each.pk).delete()
            return None
        # Kept for the next attempt: a secret in it is made once.
        OutgoingMail.objects.filter(pk=each.pk).update(sealed=_seal(letter))
        return letter


def _send(each: OutgoingMail, letter: Email, connection: BaseEmailBackend) -> None:
    assert each.user is not None
    host = urlsplit(settings.PUBLIC_URL).hostname
    message = mail.EmailMessage(
        letter.subject,
        letter.text,
        to=[each.user.email],
        headers={"Message-ID": f"<letter-{each.pk}-{each.created_at:%Y%m%d%H%M%S}@{host}>"},
        connection=connection,
    )
    message.send()


def _retry_or_give_up(each: OutgoingMail, error: Exception) -> None:
    """Try again later, or give it up."""
    now = timezone.now()
    if not unsent().filter(pk=each.pk).exists():
        return
    each.refresh_from_db()
    words = "it cannot be opened with the keys of this instance" if isinstance(error, InvalidToken) else error
    each.failure = f"{type(error).__name__}: {words}"[:200]
    if each.attempts > len(RETRY_AFTER):
        give_up(each, each.failure)
        return
    next_at = now + RETRY_AFTER[each.attempts - 1]
    OutgoingMail.objects.filter(pk=each.pk).update(next_at=next_at, failure=each.failure)


def give_up(each: OutgoingMail, failure: str) -> None:
    OutgoingMail.objects.filter(pk=each.pk).update(failed_at=timezone.now(), failure=failure[:200], sealed="")
    log.warning(
        '%s was given up after %d attempts: "%s" of %s UTC. The page %s says to whom and why.',
        "An e-mail" if each.channel_id is None else "A message",
        each.attempts,
        each.get_kind_display(),
        f"{each.created_at:%Y-%m-%d %H:%M}",
        "Errors" if each.channel_id is None else "Notifications",
    )


def _postpone_all(error: Exception) -> None:
    """It is the mail server, not this letter: whatever is due waits too, and no worker hangs at it again and again."""
    now = timezone.now()
    held = unsent().filter(channel=None, next_at__lte=now).update(next_at=now + RETRY_AFTER[0])
    log.warning(
        "The mail server cannot be used (%s). %d letter%s: tried again in %.0f s.",
        type(error).__name__,
        held + 1,
        " waits" if held == 0 else "s wait",
        RETRY_AFTER[0].total_seconds(),
    )


def _seal(letter: Email) -> str:
    return seal.seal(json.dumps([letter.subject, letter.text]))


def _unseal(sealed: str) -> Email:
    return Email(*json.loads(seal.unseal(sealed)))
