"""Keys: ``tl_<paper|live|manage>_<public id>_<secret><checksum>``.

The prefix tells a key from any other bearer before a query runs, the public id finds its row, the checksum
lets a scanner tell a key from a look-alike offline. The secret has 30 base62 characters (178 bits), so its
plain SHA-256 cannot be searched; it is shown once and kept nowhere.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from console import display_name_rules, untrusted_text
from console.accounts.models import User
from console.audit import log as audit_log
from console.connected_apps import grants
from console.connected_apps.grants import AppRestrictions
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys.models import ApiKey, ManagementKey
from console.scopes import Scope, Source

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PAIRS = [first + second for first in _BASE62 for second in _BASE62]
LONGEST_WAIT = timedelta(days=30)
"""How long a key that is being replaced waits for the first use of the new one."""
_FORM = re.compile(r"(tl_(?:paper|live|manage)_([0-9A-Za-z]{8})_[0-9A-Za-z]{30})([0-9A-Za-z]{6})")


def _random(length: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def _checksum(text: str) -> str:
    high, low = divmod(zlib.crc32(text.encode()), 62**2)
    high, middle = divmod(high, 62**2)
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]


def public_id_of(raw: str) -> str | None:
    """The public id in a well-formed key, or None: not a key of ours, or mistyped."""
    match = _FORM.fullmatch(raw)
    if match is None or not secrets.compare_digest(match[3], _checksum(match[1])):
        return None
    return match[2]


def digest(raw: str) -> str:
    return hashlib.sha256(raw.encode()).hexdigest()


def found_in(text: str) -> str | None:
    """The first well-formed key anywhere in a text, such as a line of a configuration file."""
    return next((match[0] for match in _FORM.finditer(text) if public_id_of(match[0]) is not None), None)


@dataclass(frozen=True, slots=True)
class NewSecret:
    raw: str
    """The only copy there will ever be."""
    public_id: str
    digest: str
    hint: str


def generate(kind: str) -> NewSecret:
    public_id = _random(8)
    prefix = f"tl_{kind}_{public_id}_"
    body = prefix + _random(30)
    raw = body + _checksum(body)
    return NewSecret(raw, public_id, digest(raw), f"{prefix}…{raw[-4:]}")


@transaction.atomic
def mint(
    owner: User,
    connection: Connection,
    granted: frozenset[Scope],
    *,
    name: str,
    expires_at: datetime | None = None,
    is_default: bool = False,
    note: str = "",
    networks: Sequence[str] = (),
    never_reason: str = "",
    made_by: ManagementKey | None = None,
    start: AppRestrictions | None = None,
) -> tuple[ApiKey, str]:
    """A new app with one key. The returned text is the only copy there will ever be. Raises Refusal.

    A person does this; for what a management key makes, see ``console.keys.child_keys``. The default key's name is
    ours, made with that of the connection.
    """
    if not is_default:
        name = display_name_rules.clean_display_name(name)
    by_key = made_by.public_id if made_by else ""
    app = grants.grant(owner, connection, granted, source=Source.API_KEY, name=name, start=start, by_key=by_key)
    grants.activate(app)
    return add_secret(
        app,
        by=owner,
        expires_at=expires_at,
        is_default=is_default,
        note=note,
        networks=networks,
        never_reason=never_reason,
        made_by=made_by,
    )


@transaction.atomic
def add_secret(
    app: ConnectedApp,
    *,
    by: User,
    expires_at: datetime | None = None,
    is_default: bool = False,
    note: str = "",
    networks: Sequence[str] = (),
    never_reason: str = "",
    made_by: ManagementKey | None = None,
) -> tuple[ApiKey, str]:
    """One more secret for the same app. One that a management key made ends no later than that key.

    Raises Refusal for a note that cannot be seen.
    """
    note = untrusted_text.check_text(note, field="note", what="note")
    never_reason = untrusted_text.check_text(never_reason, field="never_reason", what="reason")
    if made_by is not None and made_by.expires_at is not None:
        expires_at = min(expires_at or made_by.expires_at, made_by.expires_at)
    made = generate(app.connection.environment)
    key = ApiKey.objects.create(
        app=app,
        public_id=made.public_id,
        digest=made.digest,
        hint=made.hint,
        is_default=is_default,
        expires_at=expires_at,
        never_reason="" if expires_at else never_reason,
        note=note,
        networks=list(networks),
        made_by=made_by,
    )
    through = grants.made_by_key(made_by.public_id if made_by else "")
    audit_log.record_change(
        by,
        "minted",
        "key",
        key.public_id,
        app.name,
        after={"scopes": app.scopes, "hint": key.hint, "expires_at": key.expires_at, "networks": key.networks},
        owner_id=app.owner_id,
        connection_id=app.connection_id,
        **through,
    )
    return key, made.raw


@transaction.atomic
def rotate(
    key: ApiKey,
    *,
    by: User,
    overlap: timedelta,
    expires_at: datetime | None = None,
    note: str = "",
    networks: Sequence[str] = (),
    never_reason: str = "",
) -> tuple[ApiKey, str]:
    """A new secret for the same app. The old one works on until ``overlap`` after the first use of the new one, at most
    LONGEST_WAIT beyond that, and never longer than it would have.

    Raises Refusal when the old one has ended or was replaced before.
    """
    now = timezone.now()
    made, raw = add_secret(
        key.app,
        by=by,
        expires_at=expires_at,
        is_default=key.is_default,
        note=note,
        networks=networks,
        never_reason=never_reason,
        made_by=key.made_by,
    )
    latest = now + overlap + LONGEST_WAIT if overlap else now
    ends = latest if key.expires_at is None else min(key.expires_at, latest)
    grace = int(overlap.total_seconds()) or None
    usable = ApiKey.objects.filter(pk=key.pk, revoked_at=None, replaced_by=None, app__revoked_at=None)
    if ends < now or not usable.update(replaced_by=made, expires_at=ends, grace_seconds=grace):
        raise Refusal(Code.INVALID_ARGUMENT, "That key has ended or was already replaced.")
    before = key.expires_at
    key.replaced_by, key.expires_at, key.grace_seconds = made, ends, grace
    audit_log.record_change(
        by,
        "replaced",
        "key",
        key.public_id,
        key.app.name,
        before={"expires_at": before},
        after={"expires_at": ends, "replaced_by": made.public_id},
        owner_id=key.app.owner_id,
        connection_id=key.app.connection_id,
    )
    if not overlap:
        revoke(key, by=by, reason="Replaced")
    return made, raw


@transaction.atomic
def start_grace(new_id: str) -> None:
    """The key with this public id is used for the first time: from now on the one it replaces has its grace left."""
    now = timezone.now()
    waiting = ApiKey.objects.select_for_update(of=("self",)).filter(
        replaced_by__public_id=new_id, grace_seconds__isnull=False, revoked_at=None
    )
    for old in waiting.select_related("app"):
        before, ends = old.expires_at, now + timedelta(seconds=old.grace_seconds or 0)
        old.expires_at = ends if before is None else min(before, ends)
        old.grace_seconds = None
        old.save(update_fields=["expires_at", "grace_seconds"])
        audit_log.record_change(
            None,
            "grace started",
            "key",
            old.public_id,
            old.app.name,
            before={"expires_at": before},
            after={"expires_at": old.expires_at},
            owner_id=old.app.owner_id,
            connection_id=old.app.connection_id,
            used=new_id,
        )


@transaction.atomic
def revoke(
    key: ApiKey, *, by: User | None, reason: str = "Revoked by its owner", by_key: str = "", note: str = ""
) -> bool:
    """End one secret; when it was the app's last, the app ends with it. ``by_key``: the management key that asks.

    ``reason`` is told to whoever still calls with it, ``note`` is the owner's own.
    """
    now = timezone.now()
    kept = {"revoked_at": now, "revoked_reason": (note or reason)[:200]}
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(**kept):
        return False
    key.revoked_at, key.revoked_reason = now, (note or reason)[:200]
    audit_log.record_change(
        by,
        "revoked",
        "key",
        key.public_id,
        key.app.name,
        before={"works": True},
        after={"works": False},
        owner_id=key.app.owner_id,
        connection_id=key.app.connection_id,
        reason=reason,
        note=note,
        **grants.made_by_key(by_key),
    )
    if not ApiKey.objects.filter(app_id=key.app_id, revoked_at=None).exists():
        grants.revoke(key.app, by=by, reason=reason, by_key=by_key)
    return True
