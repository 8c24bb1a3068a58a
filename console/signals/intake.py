"""What comes to a signal address: checked, written down, answered. A sweep prepares the order afterwards.

Until a message has proved to be its sender's, every refusal looks like an address that does not exist. Each has a row
with its code, for the owner alone; without proof at most ``MOST_REFUSED`` a minute, and the others are counted.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone

from brokers.decimals import plain
from console import ids
from console.audit import log as audit_log
from console.audit.masking import masked
from console.audit.models import CallOutcome
from console.authority import last_used
from console.errors import Code, Refusal
from console.keys import ip_allow_list
from console.orders.terms import Terms
from console.signals import addresses, mapping, senders
from console.signals.mapping import Mapped, Template
from console.signals.models import Signal, SignalAddress, SignalOutcome
from console.signals.senders import Proved

log = logging.getLogger(__name__)

MOST_BYTES = 16 * 1024
MOST_REFUSED = 30
"""Rows of refused messages of one address in a minute."""
TOOL = "signal"
"""What a signal is called in the audit log, beside the tools of assistants."""
_MINUTE = timedelta(seconds=60)
_AHEAD = timedelta(seconds=60)
"""As far as a sender's clock may be ahead of ours."""
_STATUS = {Code.SIGNAL_REPEATED: 409, Code.RATE_LIMITED: 429, Code.UNSUPPORTED_MEDIA_TYPE: 415}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One request to an address."""

    part: str
    """The last part of the address."""
    body: bytes | None
    """None: it was larger than ``MOST_BYTES``."""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    ip: str = ""
    user_agent: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    told: dict[str, str]
    retry_after: int | None = None


NOTHING_HERE = Reply(status=404, told={"error": "not_found"})


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What is known of a message so far."""

    is_proved: bool = False
    proved: Proved = field(default_factory=Proved)
    mapped: Mapped | None = None

    @property
    def sender_id(self) -> str:
        """Signed rather than written in the text, where it has both."""
        return self.proved.sender_id or (self.mapped.sender_id if self.mapped else "")

    @property
    def times(self) -> list[datetime]:
        found = (self.proved.sent_at, self.mapped.sent_at if self.mapped else None)
        return [each for each in found if each is not None]

    @property
    def wanted(self) -> dict[str, str]:
        return {} if self.mapped is None else wanted_of(self.mapped.terms)


def wanted_of(terms: Terms) -> dict[str, str]:
    told = {"symbol": terms.symbol, "side": terms.side.value, "order_type": terms.order_type.value}
    for name, value in (("quantity", terms.quantity), ("limit_price", terms.limit_price)):
        if value is not None:
            told[name] = plain(value)
    return told


def receive(delivery: Delivery) -> Reply:
    """Take one message. Raises django.db.DatabaseError, when nothing was taken."""
    address = (
        SignalAddress.objects.select_related("app__connection", "app__owner")
        .filter(path_digest=senders.digest(delivery.part))
        .first()
    )
    if address is None:
        return NOTHING_HERE
    now, reading = timezone.now(), _Reading()
    try:
        _read(address, delivery, reading)
        _check_times(address, reading, now)
        signal = _take(address, delivery, reading, now)
    except Refusal as refusal:
        _record(address, delivery, reading, refusal, now)
        if not reading.is_proved:
            return NOTHING_HERE
        return Reply(
            status=_STATUS.get(refusal.code, 422),
            told={"error": refusal.code.value},
            retry_after=None if refusal.retry_after is None else int(refusal.retry_after),
        )
    return Reply(status=202, told={"id": signal.public_id})


def _read(address: SignalAddress, delivery: Delivery, reading: _Reading) -> None:
    """Raises Refusal."""
    app, template = address.app, address.loaded
    if app.revoked_at is not None:
        raise Refusal(Code.APP_REVOKED, f"{app.why_ended} Nothing was prepared.")
    if address.networks and not ip_allow_list.contain(address.networks, delivery.ip):
        raise Refusal(
            Code.IP_NOT_ALLOWED,
            f"The message came from {delivery.ip or 'an unknown address'}, which is none of this address's senders. "
            "Nothing was prepared.",
        )
    if delivery.body is None:
        raise Refusal(Code.BODY_TOO_LARGE, f"A signal can have at most {MOST_BYTES:,} bytes. Nothing was prepared.")
    if address.is_signed:
        reading.proved = senders.check_signature(address, delivery.headers, delivery.body)
        reading.is_proved = True
    _check_content_type(template, delivery.content_type)
    values = mapping.values_of(template.form, delivery.body)
    if not address.is_signed:
        reading.proved = senders.check_secret(address, mapping.value_at(values, template.secret))
        reading.is_proved = True
    reading.mapped = mapping.order_of(template, values)


def _check_content_type(template: Template, given: str) -> None:
    taken = mapping.CONTENT_TYPES[template.form]
    if given.lower() not in taken:
        raise Refusal(
            Code.UNSUPPORTED_MEDIA_TYPE,
            f"The Content-Type of the message is not {' or '.join(sorted(taken))}. Nothing was prepared.",
        )


def _check_times(address: SignalAddress, reading: _Reading, now: datetime) -> None:
    for sent_at in reading.times:
        if now - sent_at > timedelta(seconds=address.oldest):
            raise Refusal(
                Code.SIGNAL_LATE,
                f"The signal was sent {(now - sent_at).total_seconds():,.0f} s before it arrived, and this address "
                f"takes none older than {address.oldest} s. Nothing was prepared.",
            )
        if sent_at - now > _AHEAD:
            raise Refusal(
                Code.SIGNAL_LATE,
                f"The signal says it was sent {(sent_at - now).total_seconds():,.0f} s from now. Check the clocks of "
                "its sender and of this server. Nothing was prepared.",
            )


@transaction.atomic
def _take(address: SignalAddress, delivery: Delivery, reading: _Reading, now: datetime) -> Signal:
    """Write it down, unless it is a repeat or one too many. One at a time for each address. Raises Refusal."""
    SignalAddress.objects.select_for_update().get(pk=address.pk)
    taken = address.signals.filter(is_taken=True)
    digest, sender_id = _digest(delivery), reading.sender_id
    if sender_id:
        repeated = taken.filter(sender_id=sender_id).first()
    else:
        repeated = taken.filter(digest=digest, at__gt=now - timedelta(seconds=address.same_after)).first()
    if repeated is not None:
        what = "A signal with the same id" if sender_id else "The same text"
        raise Refusal(
            Code.SIGNAL_REPEATED, f"{what} was taken at {repeated.at:%Y-%m-%d %H:%M:%S} UTC. Nothing was prepared."
        )
    lately = list(taken.filter(at__gt=now - _MINUTE).order_by("at").values_list("at", flat=True))
    if len(lately) >= address.per_minute:
        wait = max(1, round((lately[-address.per_minute] + _MINUTE - now).total_seconds()))
        raise Refusal(
            Code.RATE_LIMITED,
            f"This address takes {address.per_minute} signals a minute, and this was one more. Nothing was prepared.",
            retry_after=wait,
        )
    return _row(address, delivery, reading, now, outcome=SignalOutcome.WAITING, is_taken=True, next_at=now)


def _digest(delivery: Delivery) -> str:
    return hashlib.sha256(delivery.body).hexdigest() if delivery.body is not None else ""


def _row(address: SignalAddress, delivery: Delivery, reading: _Reading, now: datetime, **more: Any) -> Signal:
    return Signal.objects.create(
        public_id=ids.new("sig"),
        address=address,
        at=now,
        ip=delivery.ip[:45],
        user_agent=masked(delivery.user_agent[:400], 200),
        request_id=delivery.request_id[:40],
        sender_id=reading.sender_id if reading.is_proved else "",
        digest=_digest(delivery),
        sent_at=min(reading.times, default=None) if reading.is_proved else None,
        wanted=reading.wanted,
        **more,
    )


def _record(address: SignalAddress, delivery: Delivery, reading: _Reading, refusal: Refusal, now: datetime) -> None:
    """A row for the owner and one in the audit log; of a flood the count alone."""
    refused = address.signals.filter(outcome=SignalOutcome.REFUSED, is_taken=False, at__gt=now - _MINUTE)
    newest = list(refused.values_list("pk", flat=True)[:MOST_REFUSED])
    if len(newest) == MOST_REFUSED:
        Signal.objects.filter(pk=newest[0]).update(more=F("more") + 1)
        return
    signal = _row(
        address, delivery, reading, now, outcome=SignalOutcome.REFUSED, code=refusal.code, message=str(refusal)[:500]
    )
    try:
        record_call(signal, refusal, duration_us=0)
    except DatabaseError:
        log.exception("The refusal of a signal cannot be written to the activity log")


def record_call(signal: Signal, refusal: Refusal | None, *, duration_us: int, order_id: str = "") -> None:
    """Its row in the audit log, beside the calls of tools. Raises django.db.DatabaseError."""
    principal = addresses.principal_of(signal.address, ip=signal.ip, user_agent=signal.user_agent)
    audit_log.record_call(
        audit_log.Entry(
            request_id=signal.request_id,
            principal=principal,
            tool=TOOL,
            arguments={"signal_id": signal.public_id, **signal.wanted},
            outcome=CallOutcome.OK if refusal is None else CallOutcome.REFUSED,
            code=None if refusal is None else refusal.code,
            message="" if refusal is None else str(refusal),
            order_id=order_id,
            duration_us=duration_us,
            ip=signal.ip,
            user_agent=signal.user_agent,
        )
    )
    if signal.is_taken:
        last_used.record(principal)
