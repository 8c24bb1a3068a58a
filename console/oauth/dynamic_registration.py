"""Dynamic client registration (RFC 7591) and its management (RFC 7592).

Hosts send more than we use. Extra grant types and unknown fields are left out, not refused; a field that is null
counts as absent.
"""

import json
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.urls import reverse
from django.utils.crypto import constant_time_compare

from console import base_path, scopes
from console.clients import registration
from console.clients.models import Client
from console.errors import Refusal
from console.ip_addresses import customer_network
from console.oauth.metadata import AUTH_METHODS, GRANT_TYPES, RESPONSE_TYPES

MAX_BODY_BYTES = 64 * 1024
PER_HOUR = 20


class BadRegistration(Exception):
    """An error answer of RFC 7591 section 3.2.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


@dataclass(frozen=True, slots=True)
class Registration:
    name: str
    redirect_uris: list[str]
    auth_method: str
    client_id: str | None
    client_secret: str | None
    """The two that a request to change a registration repeats (RFC 7592 section 2.2)."""


def parse(body: bytes) -> Registration:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise _bad("The body is not valid JSON.") from error
    if not isinstance(data, dict):
        raise _bad("The body must be a JSON object.")
    uris = _texts(data, "redirect_uris", [], error="invalid_redirect_uri")
    if "authorization_code" not in _texts(data, "grant_types", GRANT_TYPES):
        raise _bad("grant_types must contain authorization_code, the only way to sign in here.")
    if "code" not in _texts(data, "response_types", RESPONSE_TYPES):
        raise _bad("response_types must contain code.")
    # RFC 7591 section 2: client_secret_basic is what leaving it out means.
    method = _text(data, "token_endpoint_auth_method", "client_secret_basic")
    if method not in AUTH_METHODS:
        raise _bad(f"token_endpoint_auth_method must be one of {', '.join(AUTH_METHODS)}.")
    return Registration(
        name=_text(data, "client_name", ""),
        redirect_uris=uris,
        auth_method=method,
        client_id=_text(data, "client_id", "") or None,
        client_secret=_text(data, "client_secret", "") or None,
    )


def register(asked: Registration, *, ip: str) -> dict[str, Any]:
    """Make the client. The answer (section 3.2.1) tells what was registered, which may be less than was asked."""
    try:
        made = registration.register_dynamic(
            name=asked.name, redirect_uris=asked.redirect_uris, auth_method=asked.auth_method, ip=ip
        )
    except Refusal as refusal:
        raise _refused(refusal) from refusal
    answer = describe(made.client) | {"registration_access_token": made.token}
    if made.secret is not None:
        answer |= {"client_secret": made.secret, "client_secret_expires_at": 0}
    return answer


def replace(client: Client, asked: Registration) -> None:
    """RFC 7592 section 2.2. What it proves itself with stays as it is: that would be another client."""
    if asked.client_id != client.client_id:
        raise _bad("client_id must match the one in the URL.")
    if asked.auth_method != client.auth_method:
        raise _bad("token_endpoint_auth_method cannot change. Register a new client.")
    if asked.client_secret is not None and not constant_time_compare(
        registration.secret_digest(asked.client_secret), client.client_secret
    ):
        raise _bad("client_secret is not the one that was issued.")
    try:
        registration.update_dynamic(client, name=asked.name, redirect_uris=asked.redirect_uris)
    except Refusal as refusal:
        raise _refused(refusal) from refusal


def within_limit(ip: str) -> bool:
    """Counts one registration; anybody may register, so that only the number is held down."""
    key = f"oauth-registrations:{customer_network(ip)}"
    cache.add(key, 0, timeout=3600)
    try:
        return cache.incr(key) <= PER_HOUR
    except ValueError:  # the hour ended between the two calls
        return True


def describe(client: Client) -> dict[str, Any]:
    """RFC 7592 section 3, without the secret and the token: only their digests are kept."""
    address = reverse("oauth2_provider:dcr-register-management", args=[client.client_id])
    return {
        "client_id": client.client_id,
        "client_id_issued_at": int(client.created.timestamp()),
        "client_name": client.name,
        "redirect_uris": client.redirect_uris.split(),
        "grant_types": GRANT_TYPES,
        "response_types": RESPONSE_TYPES,
        "token_endpoint_auth_method": client.auth_method,
        "scope": scopes.render(client.may_hold),
        "registration_client_uri": base_path.absolute(address),
    }


def _refused(refusal: Refusal) -> BadRegistration:
    about_uris = refusal.field == "redirect_uris"
    return BadRegistration("invalid_redirect_uri" if about_uris else "invalid_client_metadata", str(refusal))


def _text(data: dict[str, Any], field: str, absent: str) -> str:
    value = data.get(field)
    if value is None:
        return absent
    if not isinstance(value, str):
        raise _bad(f"{field} must be a string.")
    return value


def _texts(data: dict[str, Any], field: str, absent: list[str], *, error: str = "invalid_client_metadata") -> list[str]:
    value = data.get(field)
    if value is None:
        return absent
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadRegistration(error, f"{field} must be an array of strings.")
    return value


def _bad(description: str) -> BadRegistration:
    return BadRegistration("invalid_client_metadata", description)
