"""Who may sign in to this instance, and who runs it. Accounts are made here and by quickstart, nowhere else."""

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from console.accounts import password_links, sessions
from console.accounts.models import Link, User
from console.audit import log as audit_log


class LastOperator(Exception):
    """Without this operator nobody could run the instance."""


class AlreadyHere(Exception):
    """Somebody has that address."""


def people() -> QuerySet[User]:
    second = Authenticator.objects.filter(user=OuterRef("pk")).filter(Q(type="totp") | Q(type="webauthn"))
    return User.objects.annotate(has_second_factor=Exists(second)).order_by("email")


@transaction.atomic
def invite(email: str, *, operator: bool, by: User) -> tuple[User, str]:
    """The new user and the only copy of the link that lets them set a password. Raises AlreadyHere."""
    if User.objects.filter(email__iexact=email).exists():
        raise AlreadyHere
    user = User.objects.create_user(email, is_operator=operator)
    audit_log.record_change(by, "invited", "user", user.pk, user.email, after={"operator": operator})
    return user, password_links.make(user, Link.Purpose.INVITE)


@transaction.atomic
def invite_again(user: User, *, by: User) -> str:
    """A new link for somebody who has not set a password yet; the old one stops working."""
    audit_log.record_change(by, "invited again", "user", user.pk, user.email, after={"link": "new"})
    return password_links.make(user, Link.Purpose.INVITE)


@transaction.atomic
def disable(user: User, *, by: User) -> None:
    """Sessions and links end, and no token or key of theirs is answered any more. Raises LastOperator."""
    _spare_the_last_operator(user)
    user.is_active = False
    user.save(update_fields=["is_active"])
    sessions.end_sessions(user)
    password_links.revoke(user)
    audit_log.record_change(
        by, "disabled", "user", user.pk, user.email, before={"active": True}, after={"active": False}
    )


@transaction.atomic
def enable(user: User, *, by: User) -> None:
    user.is_active = True
    user.save(update_fields=["is_active"])
    audit_log.record_change(
        by, "enabled", "user", user.pk, user.email, before={"active": False}, after={"active": True}
    )


@transaction.atomic
def make_operator(user: User, *, by: User) -> None:
    user.is_operator = True
    user.save(update_fields=["is_operator"])
    _role_changed(user, by, "made operator", operator=True)


@transaction.atomic
def unmake_operator(user: User, *, by: User) -> None:
    """Raises LastOperator."""
    _spare_the_last_operator(user)
    user.is_operator = False
    user.save(update_fields=["is_operator"])
    _role_changed(user, by, "operator no more", operator=False)


@transaction.atomic
def forget_factors(user: User, *, by: User) -> None:
    """For somebody who lost their phone and their recovery codes: the password alone lets them in again."""
    gone, _ = Authenticator.objects.filter(user=user).delete()
    sessions.end_sessions(user)
    audit_log.record_change(
        by, "second factors removed", "user", user.pk, user.email, before={"factors": gone}, after={"factors": 0}
    )


def _role_changed(user: User, by: User, action: str, *, operator: bool) -> None:
    audit_log.record_change(
        by, action, "user", user.pk, user.email, before={"operator": not operator}, after={"operator": operator}
    )


def _spare_the_last_operator(user: User) -> None:
    # All of them are locked, so that two operators cannot each disable the other at once.
    operators = User.objects.select_for_update().filter(is_operator=True, is_active=True).order_by("pk")
    if {operator.pk for operator in operators} == {user.pk}:
        raise LastOperator
