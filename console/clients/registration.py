"""Registering and deleting OAuth clients (RFC 6749 section 2, RFC 7591)."""

import hashlib
import secrets

from django.db import transaction

from console import scopes
from console.accounts.models import User
from console.audit import journal
from console.clients.models import Client, Kind
from console.clients.rules import check_redirect_uris, clean_name
from console.errors import Code, Refusal
from console.scopes import Scope


def register_static(
    owner: User,
    *,
    name: str,
    redirect_uris: list[str],
    scopes: frozenset[Scope],
    confidential: bool = False,
) -> tuple[Client, str | None]:
    """A client its owner registered by hand, and its secret when it is confidential: shown now, never again."""
    name = clean_name(name)
    if not name:
        raise Refusal(Code.INVALID_ARGUMENT, "Give the client a name.", field="name")
    if not scopes:
        raise Refusal(Code.INVALID_ARGUMENT, "Choose what the client may ask for.", field="scopes")
    return _register(
        owner,
        kind=Kind.STATIC,
        name=name,
        redirect_uris=redirect_uris,
        most=scopes,
        confidential=confidential,
    )


def register_dynamic(
    *, name: str, redirect_uris: list[str], confidential: bool = False, ip: str = ""
) -> tuple[Client, str | None]:
    """A client that registered itself. It may ask for every scope: a person decides on the consent page."""
    return _register(
        None,
        kind=Kind.DYNAMIC,
        name=clean_name(name) or "Unnamed app",
        redirect_uris=redirect_uris,
        most=frozenset(scopes.ALL),
        confidential=confidential,
        ip=ip,
    )


@transaction.atomic
def _register(
    owner: User | None,
    *,
    kind: Kind,
    name: str,
    redirect_uris: list[str],
    most: frozenset[Scope],
    confidential: bool,
    ip: str = "",
) -> tuple[Client, str | None]:
    uris = check_redirect_uris(redirect_uris)
    secret = secrets.token_urlsafe(32) if confidential else None
    client = Client.objects.create(
        user=owner,
        kind=kind,
        name=name,
        redirect_uris=" ".join(uris),
        scopes=scopes.render(scopes.expand(most)),
        client_type=Client.CLIENT_CONFIDENTIAL if confidential else Client.CLIENT_PUBLIC,
        authorization_grant_type=Client.GRANT_AUTHORIZATION_CODE,
        client_secret=secret_digest(secret) if secret else "",
        # The toolkit's own hash is the slow one for passwords. Ours are random, and a slow hash would be
        # computed while the token endpoint holds its transaction.
        hash_client_secret=False,
        registration_source=(
            Client.RegistrationSource.DCR if kind == Kind.DYNAMIC else Client.RegistrationSource.MANUAL
        ),
        registered_ip=ip[:45],
    )
    journal.record_change(
        owner,
        "registered",
        "client",
        client.pk,
        name,
        ip=ip,
        client_id=client.client_id,
        kind=kind.value,
        redirect_uris=uris,
    )
    return client, secret


def secret_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
