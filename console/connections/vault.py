"""Brokers' credentials, sealed under keys that lie outside the database, each for one row alone.

What is sealed names its connection and broker: copied into another row, or into one of another broker, it does not
open. Nothing here logs, and no value that holds a secret shows it in its repr.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction

from brokers.errors import BrokerUnavailable
from console.connections.models import Connection

_CLOSED = (
    "The credentials of this connection cannot be decrypted with this instance's TRADELATCH_VAULT_KEYS. Restore "
    "the keys, or replace the connection's key in the console. Nothing was sent."
)


def seal(connection_id: int, broker: str, secrets: Mapping[str, str]) -> str:
    """For the column ``sealed`` of that row."""
    text = json.dumps({"connection": connection_id, "broker": broker, "secrets": dict(secrets)})
    return _keys().encrypt(text.encode()).decode()


def unseal(sealed: str, connection_id: int, broker: str) -> dict[str, str]:
    """Raises BrokerUnavailable when no key fits, or what is sealed belongs to another row."""
    if not sealed:
        return {}
    try:
        told = json.loads(_keys().decrypt(sealed.encode()))
    except InvalidToken:
        raise BrokerUnavailable(_CLOSED) from None
    if (told["connection"], told["broker"]) != (connection_id, broker):
        raise BrokerUnavailable(_CLOSED)
    return dict(told["secrets"])


@dataclass(frozen=True, slots=True)
class Rotated:
    anew: int
    """Sealed under the newest key now."""
    newest: int
    """Were so before."""
    closed: tuple[int, ...]
    """Ids of the connections that none of the keys opens; left as they are."""


def rotate() -> Rotated:
    """Seal everything under the newest key. Run twice, the second time changes nothing."""
    newest = _fernet(settings.CREDENTIAL_KEYS[0])
    anew, before, closed = 0, 0, []
    for pk in list(Connection.objects.exclude(sealed="").order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            row = Connection.objects.select_for_update().get(pk=pk)
            if not row.sealed:  # unlinked meanwhile
                continue
            try:
                newest.decrypt(row.sealed.encode())
                before += 1
            except InvalidToken:
                try:
                    secrets = unseal(row.sealed, row.pk, row.broker)
                except BrokerUnavailable:
                    closed.append(pk)
                    continue
                Connection.objects.filter(pk=pk).update(sealed=seal(row.pk, row.broker, secrets))
                anew += 1
    return Rotated(anew, before, tuple(closed))


def _keys() -> MultiFernet:
    return _multi(tuple(settings.CREDENTIAL_KEYS))


@lru_cache(maxsize=4)
def _multi(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([_fernet(key) for key in keys])


def _fernet(key: str) -> Fernet:
    digest = hashlib.sha256(b"tradelatch credentials\0" + key.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
