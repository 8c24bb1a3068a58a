"""Sign-ins, those that failed, sign-outs and wrong proofs, on record.

What failed is bounded: of one account, from one network, by one kind of proof, the first in five minutes is a row at
once and all the others are one row with their number. Beyond twenty such sets of one account in a window the rest of
it is one more; addresses that nobody has share a hundred, and never hide what was tried on an account.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from console import request_origin
from console.accounts import presence
from console.accounts.models import User
from console.audit import log as audit_log
from console.audit.models import ChangeCategory, FailedSignIns
from console.ip_addresses import customer_network
from console.request_origin import ProofKind

WINDOW = timedelta(minutes=5)
SETS_IN_A_WINDOW = 100
"""Of addresses that nobody has."""
SETS_OF_AN_ACCOUNT = 20
FAILED, SIGNED_IN, SIGNED_OUT = "sign-in failed", "signed in", "signed out"
THROTTLED, RECOVERY = "sign-ins held back", "recovery asked for"
WRONG_PROOF = "proof failed"


def signed_in(user: User, *, first: ProofKind, second: ProofKind = ProofKind.NONE) -> None:
    """``second``: what was shown after ``first``, where the account asks for it."""
    steps: dict[str, Any] = {"first": first.value, "second": second.value} if second else {"first": first.value}
    both = ProofKind.PASSWORD_AND_CODE if (first, second) == (ProofKind.PASSWORD, ProofKind.CODE) else second or first
    request_origin.proved(both)
    audit_log.record_change(user, SIGNED_IN, "user", user.pk, user.email, category=ChangeCategory.SIGN_IN, **steps)


def failed(email: str, proof: ProofKind, *, user: User | None = None, action: str = FAILED) -> None:
    """Somebody could not show what they should. ``email`` as it was typed; "" where none was named."""
    email = email.strip().lower()[:254]
    if user is None and email:
        user = User.objects.filter(email__iexact=email).first()
    _count(email, user, action, proof)


def _count(email: str, user: User | None, action: str, proof: ProofKind) -> None:
    network = customer_network(request_origin.current().ip)
    window = _window(timezone.now())
    digest = _digest(action, email, network, proof.value)
    with transaction.atomic():
        sets = FailedSignIns.objects.filter(window=window)
        alike = sets.filter(user_id=user.pk if user else None)
        most = SETS_OF_AN_ACCOUNT if user else SETS_IN_A_WINDOW
        if not sets.filter(digest=digest).exists() and alike.count() >= most:
            digest, email, network = _digest("others", str(user.pk) if user else ""), user.email if user else "", ""
        _, is_first = sets.get_or_create(
            window=window,
            digest=digest,
            defaults={
                "action": action,
                "email": email,
                "network": network,
                "proof": proof.value,
                "user_id": user.pk if user else None,
            },
        )
        sets.filter(digest=digest).update(times=F("times") + 1)
        if is_first:
            _record(email, user.pk if user else None, action=action, times=1, tried=proof.value)


def throttled(email: str) -> None:
    """Too many failed before: one row of it in a window, for it costs whoever guesses nothing to go on."""
    email = email.strip().lower()[:254]
    network = customer_network(request_origin.current().ip)
    digest = _digest(THROTTLED, email, network)
    if cache.add(f"sign-in-throttled:{digest}", True, int(WINDOW.total_seconds())):
        failed(email, ProofKind.PASSWORD, action=THROTTLED)


def recovery_asked_for(email: str, user: User | None) -> None:
    """Whether or not the address is somebody's: how long it takes must not tell."""
    _count(email.strip().lower()[:254], user, RECOVERY, ProofKind.NONE)


def count_failed() -> int:
    """Put on record what else failed in the windows that are over. Returns how many rows that took."""
    rows = 0
    with transaction.atomic():
        for each in FailedSignIns.objects.select_for_update().filter(window__lt=_window(timezone.now())):
            if each.times > 1:
                origin = request_origin.Origin(ip=each.network.partition("/")[0])
                with request_origin.coming_from(origin):
                    _record(
                        each.email,
                        each.user_id,
                        action=each.action,
                        times=each.times - 1,
                        tried=each.proof,
                        network=each.network,
                        within_minutes=int(WINDOW.total_seconds() // 60),
                        since=each.window.isoformat(),
                    )
                rows += 1
            each.delete()
    return rows


def _record(email: str, user_id: int | None, *, action: str, times: int, **detail: Any) -> None:
    """By nobody: that it was tried with an address does not say that its owner did."""
    target_id = "" if user_id is None else user_id
    audit_log.record_change(
        None,
        action,
        "account",
        target_id,
        email,
        category=ChangeCategory.SIGN_IN,
        owner_id=user_id,
        times=times,
        **detail,
    )


def _window(now: datetime) -> datetime:
    seconds = int(WINDOW.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@receiver(user_logged_out)
def _signed_out(request: HttpRequest, user: User | None, **rest: object) -> None:
    if user is not None:
        audit_log.record_change(user, SIGNED_OUT, "user", user.pk, user.email, category=ChangeCategory.SIGN_IN)


@receiver(presence.wrong_proof)
def _wrong_proof(user: User, kind: ProofKind, **rest: object) -> None:
    failed(user.email, kind, user=user, action=WRONG_PROOF)
