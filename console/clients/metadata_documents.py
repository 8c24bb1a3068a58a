"""Clients whose id is the https address of their own metadata (draft-ietf-oauth-client-id-metadata-document).

Hosts offer more than we use: other grants and other ways to prove themselves are left out, unrefused, as long as the
authorization code without a secret remains.
"""

import hashlib
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from oauth2_provider.settings import oauth2_settings

from console import scopes
from console.audit import log as audit_log
from console.clients import fallback_metadata_documents, registration
from console.clients.metadata_fetching import CIMDError
from console.clients.models import Client, ClientKind, ReviewState
from console.clients.redirect_uri_rules import MAX_REDIRECT_URIS, check_redirect_uri, clean_name
from console.errors import Refusal

MAX_CLIENT_ID_LENGTH = 255
# A document that cannot be read any more goes on for a week, as a vendor's bad day should lock nobody out.
STALE_FOR = timedelta(days=7)
TRY_AGAIN = timedelta(seconds=60)
_fetches = threading.BoundedSemaphore(4)


class DocumentRefused(Exception):
    """No client stands behind the address. The message says why, for the makers of the app."""


@dataclass(frozen=True, slots=True)
class Document:
    name: str
    redirect_uris: list[str]


def is_address(client_id: str) -> bool:
    return client_id[:8].lower() == "https://"


def resolve(client_id: str, *, ip: str = "") -> Client:
    """The client behind an address, from its row while that is fresh. Raises DocumentRefused.

    May wait for a stranger's server: never call it inside a transaction.
    """
    if len(client_id) > MAX_CLIENT_ID_LENGTH or "\x00" in client_id:
        raise DocumentRefused(
            f"its address is longer than {MAX_CLIENT_ID_LENGTH} characters or contains an invalid character"
        )
    row = Client.objects.filter(client_id=client_id).first()
    if row is not None and (row.kind != ClientKind.DOCUMENT or row.deleted_at or _is_fresh(row)):
        return row
    if row is None and settings.SELF_REGISTRATION == "off":
        raise DocumentRefused("apps cannot register themselves on this server; its operator registers them by hand")
    try:
        document, fresh_for = _fetch(client_id)
    except DocumentRefused as refused:
        return _without_document(row, client_id, refused, ip)
    now = timezone.now()
    return _store(client_id, document, fetched_at=now, expires_at=now + fresh_for, ip=ip)


def normalise(client_id: str, metadata: dict[str, Any]) -> Document:
    """What we use of a document. Raises DocumentRefused when that is no public client of the code grant."""
    if metadata.get("client_id") != client_id:
        raise DocumentRefused("its client_id is not the address it was fetched from")
    if "client_secret" in metadata or "client_secret_expires_at" in metadata:
        raise DocumentRefused("a public document must not hold a secret")
    if "authorization_code" not in _texts(metadata, "grant_types", ["authorization_code"]):
        raise DocumentRefused("its grant_types lack authorization_code")
    if "code" not in _texts(metadata, "response_types", ["code"]):
        raise DocumentRefused("its response_types lack code")
    method = metadata.get("token_endpoint_auth_method") or "none"
    if "none" not in (method, *_texts(metadata, "token_endpoint_auth_methods_supported", [])):
        raise DocumentRefused("it does not offer the token_endpoint_auth_method none")
    uris = list(dict.fromkeys(filter(_may_return_to, _texts(metadata, "redirect_uris", []))))
    if not uris:
        raise DocumentRefused("it has no redirect_uri that is allowed here")
    name = metadata.get("client_name") or ""
    if not isinstance(name, str):
        raise DocumentRefused("its client_name is not text")
    try:
        return Document(name=clean_name(name) or "Unnamed app", redirect_uris=uris[:MAX_REDIRECT_URIS])
    except Refusal as refusal:
        raise DocumentRefused(str(refusal)) from refusal


def _fetch(client_id: str) -> tuple[Document, timedelta]:
    key = f"client-document-failed:{hashlib.sha256(client_id.encode('utf-8', 'surrogatepass')).hexdigest()}"
    if reason := cache.get(key):
        raise DocumentRefused(reason)
    if not _fetches.acquire(blocking=False):
        raise DocumentRefused("this server is reading too many documents at once, try again in a moment")
    try:
        metadata, seconds = oauth2_settings.CIMD_METADATA_FETCHER().fetch(client_id)
        return normalise(client_id, metadata), timedelta(seconds=seconds)
    except (CIMDError, DocumentRefused) as error:
        cache.set(key, str(error), TRY_AGAIN.total_seconds())
        raise DocumentRefused(str(error)) from error
    finally:
        _fetches.release()


def _without_document(row: Client | None, client_id: str, refused: DocumentRefused, ip: str) -> Client:
    now = timezone.now()
    if row is not None and row.document_fetched_at is not None and row.document_fetched_at > now - STALE_FOR:
        Client.objects.filter(pk=row.pk).update(cimd_expires_at=now + TRY_AGAIN)
        return row
    copy = fallback_metadata_documents.COPIES.get(client_id)
    if copy is None:
        raise refused
    return _store(client_id, normalise(client_id, copy), fetched_at=None, expires_at=now + TRY_AGAIN, ip=ip)


@transaction.atomic
def _store(client_id: str, document: Document, *, fetched_at: datetime | None, expires_at: datetime, ip: str) -> Client:
    uris = " ".join(document.redirect_uris)
    client, made = Client.objects.select_for_update().get_or_create(
        client_id=client_id,
        defaults={
            "kind": ClientKind.DOCUMENT,
            "scopes": scopes.render(frozenset(scopes.ALL)),
            "review": registration.first_review(),
            "client_type": Client.CLIENT_PUBLIC,
            "authorization_grant_type": Client.GRANT_AUTHORIZATION_CODE,
            "client_secret": "",
            "hash_client_secret": False,
            "registration_source": Client.RegistrationSource.CIMD,
            "registered_ip": ip[:45],
        },
    )
    if client.kind != ClientKind.DOCUMENT:
        raise DocumentRefused("another client has this id")
    changed = (client.name, client.redirect_uris) != (document.name, uris)
    if changed and not made and client.review == ReviewState.ACCEPTED:
        client.review = registration.first_review()  # it is not what the operator saw
    before = {"name": client.name, "redirect_uris": client.redirect_uris.split()}
    client.name, client.redirect_uris = document.name, uris
    client.document_fetched_at, client.cimd_expires_at = fetched_at, expires_at
    client.save()
    if made:
        registration.record_registered(client, by=None)
    elif changed:
        audit_log.record_change(
            None,
            "changed",
            "client",
            client.pk,
            client.name,
            before=before,
            after={"name": client.name, "redirect_uris": uris.split(), "review": client.review},
            client_id=client_id,
        )
    return client


def _is_fresh(client: Client) -> bool:
    return client.cimd_expires_at is not None and timezone.now() < client.cimd_expires_at


def _may_return_to(uri: str) -> bool:
    try:
        check_redirect_uri(uri)
    except Refusal:
        return False
    return True


def _texts(metadata: dict[str, Any], field: str, absent: list[str]) -> list[str]:
    value = metadata.get(field)
    if value is None:
        return absent
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DocumentRefused(f"its {field} is not a list of strings")
    return value
