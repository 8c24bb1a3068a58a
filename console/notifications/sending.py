"""Sends what is due by channels other than e-mail: claimed, sent outside any transaction, side by side, then recorded.

What was handed over and not yet recorded when the process died goes out again, with the same id. Nothing is sent that
came too late to be of use.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from console.notifications import channels, delivery_log
from console.notifications.models import ChannelKind, NotificationChannel
from console.notifications.news import Message
from console.notifications.senders import ntfy, push, telegram, webhook
from console.notifications.senders.base import Outcome, Posting, Request, Result, Sender
from console.outbox import mailer
from console.outbox.models import OutgoingMail
from console.public_http import Answer, Forbidden, Unreachable
from console.public_http import post as post_once

log = logging.getLogger(__name__)

SENDERS: Mapping[ChannelKind, Sender] = {
    ChannelKind.PUSH: push,
    ChannelKind.TELEGRAM: telegram,
    ChannelKind.NTFY: ntfy,
    ChannelKind.WEBHOOK: webhook,
}
SECONDS = 5.0
"""How long one attempt may take, its look-up of the name apart."""
RETRY_AFTER = tuple(timedelta(seconds=each) for each in (5, 10, 20, 40, 60, 300, 900, 3600, 3 * 3600, 6 * 3600))
"""Pauses between attempts; after the last one it is given up."""
_SIDE_BY_SIDE = 8
_AT_ONCE = 16
_LOOKED_AT = 200
_OF_ONE_PERSON = 6
_LEASE = timedelta(seconds=40)
"""Longer than a batch takes: two after each other, of which each may look up a name twice and call once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """One attempt."""

    at: datetime
    milliseconds: int
    status: int | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Parcel:
    row: OutgoingMail
    channel: NotificationChannel
    request: Request


def send_due(*, urgent_only: bool = False) -> int:
    """Returns how many were taken. Raises nothing of what the other sides do.

    Of what is not urgent one batch at a time in this process: servers that do not answer keep one thread busy, no more.
    """
    if urgent_only:
        return _send_batch(mailer.unsent().filter(is_urgent=True))
    if not _ONE_BATCH.acquire(blocking=False):
        return 0
    try:
        return _send_batch(mailer.unsent())
    finally:
        _ONE_BATCH.release()


def has_work() -> bool:
    """Whether a message waits, due or not yet: one short look, for the scheduler."""
    return mailer.unsent().filter(channel__isnull=False).exists()


_ONE_BATCH = threading.Lock()


def _send_batch(unsent: QuerySet[OutgoingMail]) -> int:
    due = unsent.filter(channel__isnull=False, next_at__lte=timezone.now()).select_related("channel__user")
    ready = [
        parcel
        for row in _fair(due.order_by("-is_urgent", "next_at", "pk")[:_LOOKED_AT])
        if mailer.claim(row, _LEASE) and (parcel := _pack(row)) is not None
    ]
    if not ready:
        return 0
    with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(ready)), thread_name_prefix="news") as threads:
        attempts = list(threads.map(_try, ready))
    for parcel, tried in zip(ready, attempts, strict=True):
        try:
            _record(parcel.row, parcel.channel, tried.outcome)
            if tried.outcome.result is not Result.GONE:  # with its channel went the row of the message
                delivery_log.record(
                    parcel.row,
                    parcel.channel,
                    at=tried.at,
                    milliseconds=tried.milliseconds,
                    status=tried.status,
                    words=tried.outcome.words,
                )
        except Exception:  # the others were sent too: unrecorded, they would go out again
            log.exception("What came of a message to channel %s cannot be recorded", parcel.channel.pk)
    return sum(tried.outcome.result is Result.SENT for tried in attempts)


def _fair(due: Iterable[OutgoingMail]) -> list[OutgoingMail]:
    """A batch in which nobody's messages keep those of others waiting."""
    taken: list[OutgoingMail] = []
    of_each: Counter[int | None] = Counter()
    for row in due:
        if of_each[row.user_id] < _OF_ONE_PERSON and len(taken) < _AT_ONCE:
            of_each[row.user_id] += 1
            taken.append(row)
    return taken


def _pack(row: OutgoingMail) -> _Parcel | None:
    """What is to be sent of a row that was claimed; None when it ended here. Touches no network."""
    channel, now = row.channel, timezone.now()
    assert channel is not None
    if not channel.user.is_active:
        row.delete()
        return None
    if row.good_until <= now:
        mailer.give_up(row, row.failure or "It was too late to send it")
        return None
    if channels.needs_renewal(channel):
        why = "This instance has a new key: press Enable on that device again"
        _record(row, channel, Outcome(Result.REFUSED, why))
        return None
    left = int((row.good_until - now).total_seconds())
    message_id = f"msg_{row.pk}_{row.created_at:%Y%m%d%H%M%S}"
    try:
        message = Message.unseal(row.sealed)
        posting = Posting(message=message, message_id=message_id, seconds_left=left, is_urgent=row.is_urgent)
        return _Parcel(
            row, channel, SENDERS[ChannelKind(channel.kind)].request(channels.destination_of(channel), posting)
        )
    except Exception as error:
        # One that cannot be opened or written stands in nobody else's way.
        log.exception("A message to channel %s cannot be made", channel.pk)
        mailer.give_up(row, f"It could not be made ({type(error).__name__})")
        return None


def _try(parcel: _Parcel) -> _Tried:
    """No database here: it runs in a thread."""
    at, began = timezone.now(), time.perf_counter_ns()
    status, outcome = _send(parcel)
    passed = (time.perf_counter_ns() - began) // 1_000_000
    return _Tried(at=at, milliseconds=passed, status=status, outcome=outcome)


def _send(parcel: _Parcel) -> tuple[int | None, Outcome]:
    status: int | None = None
    try:
        answer = deliver(parcel.request, parcel.channel)
        status = answer.status
        return status, SENDERS[ChannelKind(parcel.channel.kind)].outcome(answer)
    except Forbidden as error:
        return None, Outcome(Result.REFUSED, str(error))
    except Unreachable as error:
        return None, Outcome(Result.LATER, f"Not sent: {error}")
    except Exception as error:
        log.exception("Sending to channel %s failed", parcel.channel.pk)
        return status, Outcome(Result.LATER, f"Not sent ({type(error).__name__})")


def deliver(request: Request, channel: NotificationChannel) -> Answer:
    """Raises Forbidden, Unreachable."""
    listed = [*request.own_host, *([] if request.own_host else channels.listed_for(channel.user))]
    return post_once(request.url, headers=request.headers, body=request.body, seconds=SECONDS, listed=listed)


def _record(row: OutgoingMail, channel: NotificationChannel, outcome: Outcome) -> None:
    now = timezone.now()
    mine = OutgoingMail.objects.filter(pk=row.pk)
    known = {"tried_at": now, "last_answer": outcome.words[:200]}
    match outcome.result:
        case Result.SENT:
            mine.update(sent_at=now, sealed="", failure="")
            known["worked_at"] = now
        case Result.GONE:
            channels.remove_dead(channel, outcome.words)
            return
        case Result.REFUSED:
            mailer.give_up(row, outcome.words)
        case Result.LATER:
            _try_later(row, outcome)
    NotificationChannel.objects.filter(pk=channel.pk).update(**known)


def _try_later(row: OutgoingMail, outcome: Outcome) -> None:
    # The claim counted this attempt in the database, not in this row.
    made = row.attempts + 1
    if made > len(RETRY_AFTER):
        mailer.give_up(row, outcome.words)
        return
    pause = max(RETRY_AFTER[made - 1], timedelta(seconds=outcome.after or 0))
    next_at = timezone.now() + pause
    if next_at >= row.good_until:
        mailer.give_up(row, f"{outcome.words}, but that would be too late"[:200])
        return
    OutgoingMail.objects.filter(pk=row.pk).update(next_at=next_at, failure=outcome.words[:200])
