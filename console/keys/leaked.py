"""A key that got out: find it by its text or its hash, and end it. The text is compared and forgotten."""

import re

from django.db import transaction
from django.db.models import QuerySet

from console.accounts.models import User
from console.audit import log as audit_log
from console.clients.models import Client
from console.connected_apps import grants
from console.keys import management_keys, minting
from console.keys.models import ApiKey, ManagementKey

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def find(text: str, *, by: User) -> ApiKey | ManagementKey | None:
    """The key that ``text`` holds, whole or as its SHA-256, revoked ones too.

    None also for somebody else's key: only an operator learns that it exists.
    """
    raw = minting.found_in(text)
    hashed = _DIGEST.search(text.lower())
    digest = minting.digest(raw) if raw else hashed[0] if hashed else None
    if digest is None:
        return None
    for found in (
        ApiKey.objects.select_related("app__connection", "app__owner").filter(digest=digest).first(),
        ManagementKey.objects.select_related("owner").filter(digest=digest).first(),
    ):
        if found is not None and _may_see(found, by):
            return found
    return None


def by_public_id(public_id: str, *, by: User) -> ApiKey | ManagementKey | None:
    for found in (
        ApiKey.objects.select_related("app__connection", "app__owner").filter(public_id=public_id).first(),
        ManagementKey.objects.select_related("owner").filter(public_id=public_id).first(),
    ):
        if found is not None and _may_see(found, by):
            return found
    return None


def owner_of(key: ApiKey | ManagementKey) -> User:
    return key.app.owner if isinstance(key, ApiKey) else key.owner


def _may_see(key: ApiKey | ManagementKey, person: User) -> bool:
    return person.is_operator or owner_of(key).pk == person.pk


@transaction.atomic
def report(key: ApiKey | ManagementKey, *, by: User) -> bool:
    """End it and what it made at once; False when it had ended already. The audit log learns of it either way.

    People allow a client that a management key registered for its name, which the thief may have chosen: it ends, too.
    """
    audit_log.record_change(by, "reported leaked", "key", key.public_id, after={"reported": "leaked"})
    if isinstance(key, ApiKey):
        return minting.revoke(key, by=by, reason="Reported as leaked")
    for client in registered_by(key):
        grants.delete_client(client, by=by)
    return management_keys.revoke(key, by=by, reason="Reported as leaked")


def registered_by(key: ManagementKey) -> QuerySet[Client]:
    """The OAuth clients it registered that still stand."""
    return Client.objects.filter(registered_by_key=key.public_id, deleted_at=None)
