"""Who manages an account over /api/v1: the holder of a management key, and nobody else."""

import secrets

from django.utils import timezone

from console.authority.credential_refusals import Unauthenticated, WrongAddress
from console.keys import ip_allow_list, management_keys, minting
from console.keys.models import ManagementKey
from console.principal import Manager


def is_management_key(raw: str) -> bool:
    return raw.startswith(management_keys.PREFIX)


def authenticate(raw: str, *, ip: str = "", user_agent: str = "") -> Manager:
    """The holder of a management key; one query, nothing remembered. Raises Unauthenticated or WrongAddress."""
    public_id = minting.public_id_of(raw) if is_management_key(raw) else None
    if public_id is None:
        raise Unauthenticated("This is not a management key, or it is mistyped or cut off.")
    key = ManagementKey.objects.select_related("owner").filter(public_id=public_id).first()
    if key is None or not secrets.compare_digest(key.digest, minting.digest(raw)):
        raise Unauthenticated("This server did not issue this management key.")
    manager = Manager(
        user_id=key.owner_id,
        user_label=key.owner.email,
        credential_id=public_id,
        label=key.name,
        ip=ip,
        user_agent=user_agent,
    )
    if key.revoked_at is not None:
        raise Unauthenticated("This management key was revoked.", manager)
    if key.expires_at is not None and key.expires_at <= timezone.now():
        raise Unauthenticated("This management key has expired.", manager)
    if not key.owner.is_active:
        raise Unauthenticated("The account that owns this credential is disabled.", manager)
    if key.networks and not ip_allow_list.contain(key.networks, ip):
        raise WrongAddress(manager)
    return manager
