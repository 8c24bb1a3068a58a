"""Management keys: made by an owner who proved for it who they are, and for /api/v1 alone."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from console import display_name_rules, untrusted_text
from console.accounts.models import User
from console.audit import log as audit_log
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
    makes_trade_keys: bool = False,
) -> tuple[ManagementKey, str]:
    """The caller has asked for the owner's proof of presence. The returned text is the only copy there will ever be.

    Raises Refusal for a name or a note that cannot be seen, or a name that speaks for us.
    """
    name, note = display_name_rules.clean_display_name(name), untrusted_text.check_text(note, field="note", what="note")
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
        makes_trade_keys=makes_trade_keys,
    )
    audit_log.record_change(
        owner,
        "minted",
        "management key",
        key.public_id,
        key.name,
        after={
            "hint": key.hint,
            "makes_trade_keys": makes_trade_keys,
            "expires_at": expires_at,
            "networks": key.networks,
        },
    )
    return key, made.raw


@transaction.atomic
def revoke(key: ManagementKey, *, by: User | None, reason: str = "Revoked by its owner") -> bool:
    """End it and every key it made. A key that is being made with it is waited for; none is made after."""
    now = timezone.now()
    if not ManagementKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
        return False
    key.revoked_at = now
    audit_log.record_change(
        by,
        "revoked",
        "management key",
        key.public_id,
        key.name,
        before={"works": True},
        after={"works": False},
        owner_id=key.owner_id,
        reason=reason,
    )
    for child in key.made.select_related("app").filter(revoked_at=None):
        minting.revoke(child, by=by, reason=f"The management key that made it ended: {reason}"[:100])
    return True
