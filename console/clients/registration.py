"""Registering, changing and reviewing OAuth clients (RFC 6749 section 2, RFC 7591, RFC 7592)."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from console import scopes
from console.accounts.models import User
from console.audit import log as audit_log
from console.clients.models import Client, ClientKind, ReviewState
from console.clients.redirect_uri_rules import check_redirect_uris, clean_name
from console.errors import Code, Refusal
from console.scopes import Scope

UNUSED_FOR = timedelta(days=30)


class ClosedDoor(Exception):
    """Self-registration is switched off: the operator registers every client by hand."""

    def __init__(self) -> None:
        super().__init__("Apps cannot register themselves on this server. Its operator registers them by hand.")


def register_static(
    owner: User,
    *,
    name: str,
    redirect_uris: list[str],
    scopes: frozenset[Scope],
    confidential: bool = False,
    by_key: str = "",
) -> tuple[Client, str | None]:
    """A client its owner registered by hand, and its secret when it is confidential: shown now, never again.

    ``by_key``: the public id of the owner's management key that registers it.
    """
    name = clean_name(name)
    if not name:
        raise Refusal(Code.INVALID_ARGUMENT, "Give the client a name.", field="name")
    if not scopes:
        raise Refusal(Code.INVALID_ARGUMENT, "Choose what the client can request.", field="scopes")
    return _register(
        owner,
        kind=ClientKind.STATIC,
        name=name,
        redirect_uris=redirect_uris,
        most=scopes,
        auth_method="client_secret_basic" if confidential else "none",
        by_key=by_key,
    )


@dataclass(frozen=True, slots=True)
class Registered:
    """A client that registered itself, with what it is told once and never again."""

    client: Client
    secret: str | None
    token: str


@transaction.atomic
def register_dynamic(*, name: str, redirect_uris: list[str], auth_method: str = "none", ip: str = "") -> Registered:
    """A client that registered itself. It may ask for every scope: a person decides on the consent page."""
    if settings.SELF_REGISTRATION == "off":
        raise ClosedDoor
    client, secret = _register(
        None,
        kind=ClientKind.DYNAMIC,
        name=clean_name(name) or "Unnamed app",
        redirect_uris=redirect_uris,
        most=frozenset(scopes.ALL),
        auth_method=auth_method,
        ip=ip,
    )
    token = secrets.token_urlsafe(32)
    client.registration_token_digest = secret_digest(token)
    client.save(update_fields=["registration_token_digest"])
    return Registered(client, secret, token)


@transaction.atomic
def update_dynamic(client: Client, *, name: str, redirect_uris: list[str]) -> None:
    """Replace what the client said of itself (RFC 7592 section 2.2). A review that was passed is due again."""
    before = _looks(client)
    client.name = clean_name(name) or "Unnamed app"
    client.redirect_uris = " ".join(check_redirect_uris(redirect_uris))
    client.review = first_review()
    client.save(update_fields=["name", "redirect_uris", "review", "updated"])
    audit_log.record_change(
        None,
        "changed",
        "client",
        client.pk,
        client.name,
        before=before,
        after=_looks(client),
        client_id=client.client_id,
    )


def _looks(client: Client) -> dict[str, object]:
    return {"name": client.name, "redirect_uris": client.redirect_uris.split(), "review": client.review}


def managed_by(client_id: str, token: str) -> Client | None:
    """The dynamic client that ``token`` manages, when it is the one named."""
    found = Client.objects.filter(client_id=client_id, kind=ClientKind.DYNAMIC, deleted_at=None).first()
    known = found.registration_token_digest if found else ""
    if not constant_time_compare(secret_digest(token), known or secret_digest("")):
        return None
    return found if known else None


@transaction.atomic
def accept(client: Client, *, by: User, seen: str) -> bool:
    """People may now allow the client. False when it does not wait for that, or is not what was ``seen``."""
    now = timezone.now()
    client = Client.objects.select_for_update().get(pk=client.pk)
    if not secrets.compare_digest(client.looks, seen):
        return False
    waiting = Client.objects.filter(pk=client.pk, review=ReviewState.WAITING, deleted_at=None)
    if not waiting.update(review=ReviewState.ACCEPTED, reviewed_at=now):
        return False
    audit_log.record_change(
        by,
        "accepted",
        "client",
        client.pk,
        client.name,
        before={"review": ReviewState.WAITING.value},
        after={"review": ReviewState.ACCEPTED.value},
        client_id=client.client_id,
    )
    return True


def forget_unused(now: datetime) -> int:
    """Delete self-registered clients of more than 30 days that nobody ever allowed. Hosts register at every
    attempt; one that was ever allowed stays, for its host would be lost without it."""
    unused = Client.objects.filter(
        kind=ClientKind.DYNAMIC,
        created__lt=now - UNUSED_FOR,
        connected_apps=None,
        review__in=(ReviewState.NOT_NEEDED, ReviewState.WAITING),
    )
    return unused.delete()[0]


def first_review() -> ReviewState:
    return ReviewState.WAITING if settings.SELF_REGISTRATION == "review" else ReviewState.NOT_NEEDED


@transaction.atomic
def _register(
    owner: User | None,
    *,
    kind: ClientKind,
    name: str,
    redirect_uris: list[str],
    most: frozenset[Scope],
    auth_method: str,
    ip: str = "",
    by_key: str = "",
) -> tuple[Client, str | None]:
    uris = check_redirect_uris(redirect_uris)
    confidential = auth_method != "none"
    secret = secrets.token_urlsafe(32) if confidential else None
    client = Client.objects.create(
        user=owner,
        kind=kind,
        name=name,
        redirect_uris=" ".join(uris),
        scopes=scopes.render(scopes.expand(most)),
        auth_method=auth_method,
        review=ReviewState.NOT_NEEDED if kind == ClientKind.STATIC else first_review(),
        client_type=Client.CLIENT_CONFIDENTIAL if confidential else Client.CLIENT_PUBLIC,
        authorization_grant_type=Client.GRANT_AUTHORIZATION_CODE,
        client_secret=secret_digest(secret) if secret else "",
        # The toolkit's own hash is the slow one for passwords. Ours are random, and a slow hash would be
        # computed while the token endpoint holds its transaction.
        hash_client_secret=False,
        registration_source=(
            Client.RegistrationSource.DCR if kind == ClientKind.DYNAMIC else Client.RegistrationSource.MANUAL
        ),
        registered_ip=ip[:45],
        registered_by_key=by_key,
    )
    record_registered(client, by=owner)
    return client, secret


def record_registered(client: Client, *, by: User | None) -> None:
    through: dict[str, Any] = {"management_key": client.registered_by_key} if client.registered_by_key else {}
    audit_log.record_change(
        by,
        "registered",
        "client",
        client.pk,
        client.name,
        after={"kind": client.kind, "review": client.review, "redirect_uris": client.redirect_uris.split()},
        client_id=client.client_id,
        **through,
    )


def secret_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
