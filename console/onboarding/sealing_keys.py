"""Whether the keys of this process are those of the database: with others, brokers' keys and second factors stay shut.

A key leaves its fingerprint in the database when an instance first starts with it. A rotation adds one (the old key
stays in the list for a while), so at least one of them is always known.
"""

import contextlib
import hashlib

from allauth.mfa.models import Authenticator
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction

from brokers.errors import BrokerUnavailable
from console.accounts import seal
from console.connections import vault
from console.connections.models import Connection
from console.onboarding import migrate
from console.onboarding.models import SealingKey


def refuse_unfitting() -> None:
    """Remember the keys of this process. Raises ImproperlyConfigured where the database knows only others.

    Whoever starts calls it: run, quickstart, the web server, the worker and the scheduler.
    """
    if SealingKey._meta.db_table not in connection.introspection.table_names():
        return  # not migrated yet, which /readyz says
    with contextlib.ExitStack() as alone:
        if set(SealingKey.objects.values_list("kind", flat=True)) != set(_keys()):
            # The first start: of two machines with keys of their own, one has to find those of the other.
            alone.enter_context(migrate.migration_lock())
        _refuse_unfitting()


def _refuse_unfitting() -> None:
    for kind, keys in _keys().items():
        known = set(SealingKey.objects.filter(kind=kind).values_list("fingerprint", flat=True))
        mine = {_fingerprint(kind, key) for key in keys}
        if known.isdisjoint(mine) if known else not _opens(kind):
            name, variable = kind.value, f"TRADELATCH_{kind.value.upper()}"
            raise ImproperlyConfigured(
                f"The database was used with another {variable}: what it encrypted cannot be decrypted here. "
                f"Restore {settings.HOME / 'secrets' / name}, or set {variable} to the same on every machine. "
                "If the old keys are lost, run manage.py accept_keys: people then link their brokers and set up their "
                "second factors again."
            )
        remember(kind, mine - known)


def remember(kind: SealingKey.Kind, fingerprints: set[str]) -> None:
    SealingKey.objects.bulk_create(
        [SealingKey(kind=kind, fingerprint=each) for each in sorted(fingerprints)], ignore_conflicts=True
    )


@transaction.atomic
def accept_own() -> None:
    """Forget all others: what they sealed is given up. Raises django.db.Error."""
    SealingKey.objects.all().delete()
    for kind, keys in _keys().items():
        remember(kind, {_fingerprint(kind, key) for key in keys})


def _keys() -> dict[SealingKey.Kind, list[str]]:
    return {SealingKey.Kind.VAULT_KEYS: settings.CREDENTIAL_KEYS, SealingKey.Kind.SEED_KEYS: settings.SEED_KEYS}


def _fingerprint(kind: SealingKey.Kind, key: str) -> str:
    """Keys are long and random: nothing can be tried out on it."""
    return hashlib.sha256(f"tradelatch fingerprint of {kind.value}\0{key}".encode()).hexdigest()


def _opens(kind: SealingKey.Kind) -> bool:
    """For a database from before there were fingerprints: whether the newest sealed row can be read."""
    if kind == SealingKey.Kind.VAULT_KEYS:
        linked = Connection.objects.exclude(sealed="").order_by("-pk").first()
        try:
            return linked is None or vault.unseal(linked.sealed, linked.pk, linked.broker) is not None
        except BrokerUnavailable:
            return False
    factor = Authenticator.objects.filter(type=Authenticator.Type.TOTP).order_by("-pk").first()
    try:
        return factor is None or bool(seal.unseal(factor.data["secret"]))
    except InvalidToken:
        return False
