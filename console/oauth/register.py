"""Dynamic client registration (RFC 7591): a request body into a client, a client into an answer.

Hosts send more than we use. Extra grant types and unknown fields are left out, not refused; a field that is null
counts as absent.
"""

import json
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache

from console import scopes
from console.clients import registration
from console.clients.models import Client
from console.errors import Refusal
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


def parse(body: bytes) -> Registration:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise _bad("The body is not valid JSON.") from error
    if not isinstance(data, dict):
        raise _bad("The body must be a JSON object.")
    uris = _texts(data, "redirect_uris", [], error="invalid_redirect_uri")
    if "authorization_code" not in _texts(data, "grant_types", GRANT_TYPES):
        raise _bad("grant_types must contain authorization_code, the one way to sign in here.")
    if "code" not in _texts(data, "response_types", RESPONSE_TYPES):
        raise _bad("response_types must contain code.")
    # RFC 7591 section 2: client_secret_basic is what leaving it out means.
    method = _text(data, "token_endpoint_auth_method", "client_secret_basic")
    if method not in AUTH_METHODS:
        raise _bad(f"token_endpoint_auth_method must be one of {', '.join(AUTH_METHODS)}.")
    return Registration(name=_text(data, "client_name", ""), redirect_uris=uris, auth_method=method)


def register(asked: Registration, *, ip: str) -> dict[str, Any]:
    """Make the client. The answer (section 3.2.1) tells what was registered, which may be less than was asked."""
    try:
        client, secret = registration.register_dynamic(
            name=asked.name,
            redirect_uris=asked.redirect_uris,
            confidential=asked.auth_method != "none",
            ip=ip,
        )
    except Refusal as refusal:
        raise BadRegistration("invalid_redirect_uri", str(refusal)) from refusal
    return _answer(client, secret, asked.auth_method)


def within_limit(ip: str) -> bool:
    """Counts one registration; anybody may register, so that only the number is held down."""
    key = f"oauth-registrations:{ip}"
    cache.add(key, 0, timeout=3600)
    try:
        return cache.incr(key) <= PER_HOUR
    except ValueError:  # the hour ended between the two calls
        return True


def _answer(client: Client, secret: str | None, method: str) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "client_id": client.client_id,
        "client_id_issued_at": int(client.created.timestamp()),
        "client_name": client.name,
        "redirect_uris": client.redirect_uris.split(),
        "grant_types": GRANT_TYPES,
        "response_types": RESPONSE_TYPES,
        "token_endpoint_auth_method": method,
        "scope": scopes.render(client.may_hold),
    }
    if secret is not None:
        answer |= {"client_secret": secret, "client_secret_expires_at": 0}
    return answer


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
