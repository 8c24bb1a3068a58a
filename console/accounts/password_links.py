"""Links that lead to a page where a password is set: single use, short-lived, kept as a hash."""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from console import base_path
from console.accounts.models import Link, User

LIFETIMES = {Link.Purpose.INVITE: timedelta(hours=48), Link.Purpose.RECOVERY: timedelta(hours=1)}


@transaction.atomic
def make(user: User, purpose: Link.Purpose) -> str:
    """The only copy of a new link's address; an older one that was not used stops working."""
    token = secrets.token_urlsafe(32)
    revoke(user)
    Link.objects.create(
        user=user, purpose=purpose, digest=_digest(token), expires_at=timezone.now() + LIFETIMES[purpose]
    )
    return base_path.absolute(reverse("set-password", args=[token]))


def find(token: str) -> Link | None:
    """The link, if it still opens something."""
    usable = Link.objects.select_related("user").filter(
        used_at=None, expires_at__gt=timezone.now(), user__is_active=True
    )
    return usable.filter(digest=_digest(token)).first()


def use(link: Link) -> bool:
    """Use it up. False for whoever comes second; call it inside the transaction that sets the password."""
    now = timezone.now()
    return bool(Link.objects.filter(pk=link.pk, used_at=None, expires_at__gt=now).update(used_at=now))


def revoke(user: User) -> None:
    Link.objects.filter(user=user, used_at=None).delete()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
