"""API keys: ``tl_<paper|live>_<public id>_<secret><checksum>``.

The prefix tells a key from any other bearer before a query runs, the public id finds its row, the checksum
lets a scanner tell a key from a look-alike offline. The secret has 30 base62 characters (178 bits), so its
plain SHA-256 cannot be searched; it is shown once and kept nowhere.
"""

import hashlib
import re
import secrets
import string
import zlib
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from console.accounts.models import User
from console.audit import journal
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys.models import ApiKey
from console.scopes import Scope, Source

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(r"(tl_(?:paper|live)_([0-9A-Za-z]{8})_[0-9A-Za-z]{30})([0-9A-Za-z]{6})")


def _random(length: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits.append(_BASE62[rest])
    return "".join(reversed(digits))


def public_id_of(raw: str) -> str | None:
    """The public id in a well-formed key, or None: not a key of ours, or mistyped."""
    match = _FORM.fullmatch(raw)
    if match is None or not secrets.compare_digest(match[3], _checksum(match[1])):
        return None
    return match[2]


def digest(raw: str) -> str:
    return hashlib.sha256(raw.encode()).hexdigest()


@transaction.atomic
def mint(
    owner: User,
    connection: Connection,
    granted: frozenset[Scope],
    *,
    name: str,
    expires_at: datetime | None = None,
    is_default: bool = False,
) -> tuple[ApiKey, str]:
    """A new app with one key. The returned text is the only copy there will ever be."""
    app = grants.grant(owner, connection, granted, source=Source.API_KEY, name=name)
    grants.activate(app)
    return add_secret(app, by=owner, expires_at=expires_at, is_default=is_default)


@transaction.atomic
def add_secret(
    app: ConnectedApp, *, by: User, expires_at: datetime | None = None, is_default: bool = False
) -> tuple[ApiKey, str]:
    """One more secret for the same app, for rotation."""
    public_id = _random(8)
    prefix = f"tl_{app.connection.environment}_{public_id}_"
    body = prefix + _random(30)
    raw = body + _checksum(body)
    key = ApiKey.objects.create(
        app=app,
        public_id=public_id,
        digest=digest(raw),
        hint=f"{prefix}…{raw[-4:]}",
        is_default=is_default,
        expires_at=expires_at,
    )
    journal.record_change(by, "minted", "key", key.public_id, app.name, scopes=app.scopes, hint=key.hint)
    return key, raw


@transaction.atomic
def revoke(key: ApiKey, *, by: User | None, reason: str = "Revoked by its owner") -> bool:
    """End one secret; when it was the app's last, the app ends with it."""
    now = timezone.now()
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
        return False
    key.revoked_at = now
    journal.record_change(by, "revoked", "key", key.public_id, key.app.name, reason=reason)
    if not ApiKey.objects.filter(app_id=key.app_id, revoked_at=None).exists():
        grants.revoke(key.app, by=by, reason=reason)
    return True
