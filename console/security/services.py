"""What changes how a person gets in. Each change is journalled, and each ends what it must end."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console.accounts import password_links, second_factors, sessions
from console.accounts.models import Link, User
from console.accounts.second_factors import Factor
from console.audit import log as audit_log
from console.audit.models import ChangeCategory

FREEZE = timedelta(hours=24)


class LastFactor(Exception):
    """The operator requires a second factor of everyone, and this is the person's last."""


@transaction.atomic
def change_password(user: User, password: str, *, session: str | None) -> None:
    """Every other session ends, and so do links that would set the password once more."""
    _set(user, password)
    sessions.end_sessions(user, but=session)
    audit_log.record_change(user, "password changed", "user", user.pk, user.email, after={"other_sessions": "ended"})


@transaction.atomic
def set_password(link: Link, password: str) -> bool:
    """Use the link. After recovery live trading rests for a day: who holds the mailbox is not proved to be the owner.

    False when somebody else was faster.
    """
    if not password_links.use(link):
        return False
    user = User.objects.select_for_update().get(pk=link.user_id)
    _set(user, password)
    sessions.end_sessions(user)
    if link.purpose == Link.Purpose.INVITE:
        audit_log.record_change(
            user,
            "invitation accepted",
            "user",
            user.pk,
            user.email,
            before={"password": "none"},
            after={"password": "set"},
        )
        return True
    before, user.live_frozen_until = user.live_frozen_until, timezone.now() + FREEZE
    user.save(update_fields=["live_frozen_until"])
    audit_log.record_change(
        user,
        "account recovered",
        "user",
        user.pk,
        user.email,
        category=ChangeCategory.SIGN_IN,
        before={"live_frozen_until": before},
        after={"live_frozen_until": user.live_frozen_until},
    )
    return True


def _set(user: User, password: str) -> None:
    user.set_password(password)
    user.save(update_fields=["password"])
    password_links.revoke(user)


def recovery_link(user: User) -> str | None:
    """None for somebody who never had a password here: the operator's invitation is their way in."""
    if not user.is_active or not user.has_usable_password():
        return None
    with transaction.atomic():
        address = password_links.make(user, Link.Purpose.RECOVERY)
        audit_log.record_change(
            None,
            "recovery link sent",
            "user",
            user.pk,
            user.email,
            category=ChangeCategory.SIGN_IN,
            after={"good_until": "an hour later"},
        )
    return address


@transaction.atomic
def factor_added(user: User, factor: Factor) -> list[str]:
    """Journal it. The recovery codes, when this is the first factor; otherwise none."""
    audit_log.record_change(
        user, "second factor added", "user", user.pk, user.email, after={"factor": describe(factor)}
    )
    if second_factors.has(user, second_factors.CODES):
        return []
    return second_factors.new_codes(user)


@transaction.atomic
def remove_factor(user: User, factor: Factor) -> None:
    """Raises LastFactor."""
    User.objects.select_for_update().get(pk=user.pk)
    if settings.REQUIRE_SECOND_FACTOR and len(second_factors.list_factors(user)) == 1:
        raise LastFactor
    audit_log.record_change(
        user, "second factor removed", "user", user.pk, user.email, before={"factor": describe(factor)}
    )
    second_factors.remove(factor)


@transaction.atomic
def new_codes(user: User) -> list[str]:
    audit_log.record_change(
        user,
        "recovery codes replaced",
        "user",
        user.pk,
        user.email,
        before={"codes_left": second_factors.codes_left(user)},
        after={"codes_left": 10},
    )
    return second_factors.new_codes(user)


@transaction.atomic
def end_other_sessions(user: User, *, session: str | None) -> int:
    ended = sessions.end_sessions(user, but=session)
    audit_log.record_change(
        user,
        "other sessions ended",
        "user",
        user.pk,
        user.email,
        before={"other_sessions": ended},
        after={"other_sessions": 0},
    )
    return ended


def describe(factor: Factor) -> str:
    return f"passkey {factor}" if factor.type == second_factors.PASSKEY else "authenticator app"
