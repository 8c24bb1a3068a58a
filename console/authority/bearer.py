"""The one answer to "who is this?", for MCP and REST alike.

One indexed query per request and nothing remembered between requests: what is revoked stops at the next one.
"""

import hashlib
import secrets
from datetime import datetime

from django.utils import timezone

from brokers.types import Environment
from console import scopes
from console.authority import management
from console.authority.refusals import Unauthenticated, WrongAddress
from console.connected_apps.models import ConnectedApp
from console.keys import minting, networks
from console.keys.models import ApiKey
from console.oauth.models import AccessToken
from console.platforms import tokens
from console.principal import Principal
from console.scopes import Source

_JOINS = ("app__connection", "app__owner")
_MAX_BEARER = 2048

__all__ = ["Unauthenticated", "WrongAddress", "authenticate"]


def authenticate(raw: str, *, ip: str = "", user_agent: str = "") -> Principal:
    """The principal behind a bearer token (RFC 6750). Raises Unauthenticated or WrongAddress.

    The reason is worded for the holder of a credential that once worked; anything else is simply unknown.
    """
    if not raw or len(raw) > _MAX_BEARER:
        raise Unauthenticated("The bearer token is not one of this server's.")
    if management.is_management_key(raw):
        manager = management.authenticate(raw, ip=ip, user_agent=user_agent)
        raise Unauthenticated(
            "This is a management key: it works for /api/v1 management alone. Use an API key of a connection here.",
            manager,
        )
    if raw.startswith("tl_"):
        return _by_key(raw, ip, user_agent)
    if raw.count(".") == 2:
        return _by_platform(raw, ip, user_agent)
    return _by_token(raw, ip, user_agent)


def _by_key(raw: str, ip: str, user_agent: str) -> Principal:
    public_id = minting.public_id_of(raw)
    if public_id is None:
        raise Unauthenticated("The API key is mistyped or cut off: its checksum does not fit.")
    key = ApiKey.objects.select_related(*_JOINS).filter(public_id=public_id).first()
    if key is None or not secrets.compare_digest(key.digest, minting.digest(raw)):
        raise Unauthenticated("The bearer token is not one of this server's.")
    principal = _principal(key.app, Source.API_KEY, public_id, key.app.scopes, ip, user_agent)
    if key.revoked_at is not None:
        raise Unauthenticated("This API key was revoked.", principal)
    _check(key.app, principal, key.expires_at, "This API key has expired.")
    if key.networks and not networks.contain(key.networks, ip):
        raise WrongAddress(principal)
    return principal


def _by_token(raw: str, ip: str, user_agent: str) -> Principal:
    checksum = hashlib.sha256(raw.encode()).hexdigest()
    token = AccessToken.objects.select_related(*_JOINS).filter(token_checksum=checksum).first()
    # A row without an app is a registration access token (RFC 7592): it opens nothing here.
    if token is None or token.app is None:
        raise Unauthenticated("The bearer token is not one of this server's, or has been replaced.")
    # An app narrowed after the token was issued narrows the token with it.
    held = scopes.render(scopes.parse(token.scope) & token.app.granted)
    principal = _principal(token.app, Source.OAUTH, f"token-{token.pk}", held, ip, user_agent)
    _check(token.app, principal, token.expires, "This access token has expired.")
    return principal


def _by_platform(raw: str, ip: str, user_agent: str) -> Principal:
    held = tokens.look_up(raw)
    if held is None:
        raise Unauthenticated("The bearer token is not one of this server's.")
    app = held.access.app
    scope = scopes.render(scopes.parse(held.scope) & app.granted)
    principal = _principal(app, Source.PLATFORM, held.token_id, scope, ip, user_agent)
    if held.expired:
        raise Unauthenticated("This access token has expired.", principal)
    if held.superseded:
        raise Unauthenticated("A secret behind this token was changed, or its user or platform disabled.", principal)
    _check(app, principal, None, "")
    return principal


def _check(app: ConnectedApp, principal: Principal, expires_at: datetime | None, expired: str) -> None:
    if app.revoked_at is not None:
        raise Unauthenticated("This app's access was taken back in the console.", principal)
    if expires_at is not None and expires_at <= timezone.now():
        raise Unauthenticated(expired, principal)
    if not app.owner.is_active or app.connection.closed_at is not None:
        raise Unauthenticated("The account behind this credential is closed.", principal)


def _principal(app: ConnectedApp, source: Source, credential_id: str, held: str, ip: str, user_agent: str) -> Principal:
    return Principal(
        user_id=app.owner_id,
        user_label=app.owner.email,
        source=source,
        credential_id=credential_id,
        app_id=app.pk,
        app_label=app.name,
        paused=app.paused_at is not None,
        scopes=scopes.parse(held),
        toolsets=None if app.toolsets is None else frozenset(app.toolsets),
        connection_id=app.connection_id,
        connection_label=app.connection.name,
        connection_paused=app.connection.paused_at is not None,
        broker=app.connection.broker,
        environment=Environment(app.connection.environment),
        account_id=app.current_account or app.connection.default_account,
        ip=ip,
        user_agent=user_agent,
    )
