"""Management keys: made by an owner who proved for it who they are, and for /api/v1 alone."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from console.accounts.models import User
from console.audit import journal
from console.keys import minting
from console.keys.models import ManagementKey
from console.scopes import Scope

PREFIX = f"tl_{Scope.MANAGE}_"


@transaction.atomic
def mint(
    owner: User,
    *,
    name: str,
    expires_at: datetime | None,
    note: str = "",
    networks: Sequence[str] = (),
) -> tuple[ManagementKey, str]:
    """The caller has asked for the owner's proof of presence. The returned text is the only copy there will ever be."""
    made = minting.generate(Scope.MANAGE)
    key = ManagementKey.objects.create(
        owner=owner,
        name=name[:100],
        public_id=made.public_id,
        digest=made.digest,
        hint=made.hint,
        note=note,
        networks=list(networks),
        expires_at=expires_at,
    )
    journal.record_change(owner, "minted", "management key", key.public_id, key.name, hint=key.hint)
    return key, made.raw


@transaction.atomic
def revoke(key: ManagementKey, *, by: User | None, reason: str = "Revoked by its owner") -> bool:
    now = timezone.now()
    if not ManagementKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
        return False
    key.revoked_at = now
    journal.record_change(by, "revoked", "management key", key.public_id, key.name, reason=reason)
    return True
