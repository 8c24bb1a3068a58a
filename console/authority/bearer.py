"""The one answer to "who is this?", for MCP and REST alike.

One indexed query per request and no permission remembered between requests: what is revoked stops at the next one.
Requests that wait together are one look, whosever they are: made after the last of them came, and milliseconds old at
most. What is made of a row is kept, and used while the database answers with exactly that row.
"""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from django.utils import timezone

from brokers.compiled_queries import Lookup, Statement
from brokers.shared_reads import shared
from brokers.types import Environment
from console import scopes
from console.authority import last_used, management_callers
from console.authority.credential_refusals import Unauthenticated, WrongAddress
from console.connected_apps.models import end_message
from console.keys import ip_allow_list, minting
from console.keys.models import ApiKey
from console.oauth.models import AccessToken
from console.platforms import tokens
from console.platforms.models import Access
from console.principal import Principal
from console.scopes import Scope, Source

_MAX_BEARER = 2048

_MOST_PRINCIPALS = 8

__all__ = ["Unauthenticated", "WrongAddress", "authenticate", "look_up_together"]


def look_up_together(bearers: Collection[str]) -> None:
    """Find what ``authenticate`` will ask about each of them, with one statement for keys and one for tokens.

    For requests that this thread answers together. Raises django.db.DatabaseError.
    """
    keys, tokens_ = list[str](), list[str]()
    for raw in bearers:
        if not raw or len(raw) > _MAX_BEARER:
            continue
        if raw.startswith("tl_"):
            public_id = _public_id_of(raw)
            if public_id is not None and not management_callers.is_management_key(raw):
                keys.append(public_id)
        elif raw.count(".") != 2:
            tokens_.append(_checksum(raw))
    if keys:
        _KEYS.find_together(keys)
    if tokens_:
        _TOKENS.find_together(tokens_)


def authenticate(raw: str, *, ip: str = "", user_agent: str = "") -> Principal:
    """The principal behind a bearer token (RFC 6750). Raises Unauthenticated or WrongAddress.

    The reason is worded for the holder of a credential that once worked; anything else is simply unknown.
    """
    return shared((authenticate, raw, ip, user_agent), partial(_authenticate, raw, ip, user_agent))


def _authenticate(raw: str, ip: str, user_agent: str) -> Principal:
    if not raw or len(raw) > _MAX_BEARER:
        raise Unauthenticated("This server did not issue this bearer token.")
    if management_callers.is_management_key(raw):
        manager = management_callers.authenticate(raw, ip=ip, user_agent=user_agent)
        raise Unauthenticated(
            "This is a management key: it only works for management under /api/v1. Use a connection's API key here.",
            manager,
        )
    if raw.startswith("tl_"):
        return _by_key(raw, ip, user_agent)
    if raw.count(".") == 2:
        return _by_platform(raw, ip, user_agent)
    return _by_token(raw, ip, user_agent)


class _App(NamedTuple):
    """What a request needs to know of an app, its owner and its connection."""

    app_id: int
    name: str
    source: str
    scopes: str
    toolsets: list[str] | None
    calls_per_minute: int | None
    ask_in_assistant: bool
    current_account: str
    paused_at: datetime | None
    revoked_at: datetime | None
    revoked_reason: str
    last_used_at: datetime | None
    last_used_ip: str
    owner_id: int
    owner_email: str
    owner_is_active: bool
    connection_id: int
    connection_name: str
    broker: str
    broker_settings: dict[str, Any]
    broker_sealed: str
    environment: str
    default_account: str
    trading_enabled: bool
    connection_paused_at: datetime | None
    connection_closed_at: datetime | None

    @property
    def granted(self) -> frozenset[Scope]:
        return scopes.parse(self.scopes)


_APP = (
    *("app__id", "app__name", "app__source", "app__scopes", "app__toolsets", "app__calls_per_minute"),
    *("app__ask_in_assistant", "app__current_account"),
    *("app__paused_at", "app__revoked_at", "app__revoked_reason", "app__last_used_at", "app__last_used_ip"),
    *("app__owner_id", "app__owner__email", "app__owner__is_active"),
    *("app__connection_id", "app__connection__name", "app__connection__broker"),
    *("app__connection__settings", "app__connection__sealed"),
    *("app__connection__environment", "app__connection__default_account", "app__connection__trading_enabled"),
    *("app__connection__paused_at", "app__connection__closed_at"),
)
_KEY = (
    *("public_id", "digest", "revoked_at", "expires_at", "networks", "last_used_at", "last_used_ip"),
    *("made_by__revoked_at", "made_by__expires_at"),
)
_TOKEN = ("pk", "scope", "expires")


@dataclass(slots=True)
class _Credential:
    """What the row of a key or a token says. One is kept for each row: only what a row holds may be in it."""

    app: _App
    source: Source
    credential_id: str
    held: frozenset[Scope]
    uses: Sequence[tuple[datetime | None, str]]
    """When and from where it was last used, as the app's row and its own have it."""
    _principals: dict[tuple[str, str, bool], Principal] = field(default_factory=dict)

    def principal(self, ip: str, user_agent: str) -> Principal:
        is_use_on_record = last_used.are_recent(self.uses, ip)
        told = (ip, user_agent, is_use_on_record)
        known = self._principals.get(told)
        if known is None:
            if len(self._principals) >= _MOST_PRINCIPALS:
                self._principals.clear()
            known = self._principals[told] = _principal(
                self.app, self.source, self.credential_id, self.held, ip, user_agent, is_use_on_record=is_use_on_record
            )
        return known


@dataclass(slots=True)
class _Key(_Credential):
    digest: str = ""
    revoked_at: datetime | None = None
    expires_at: datetime | None = None
    networks: Sequence[str] = ()
    maker_revoked_at: datetime | None = None
    maker_expires_at: datetime | None = None


@dataclass(slots=True)
class _Token(_Credential):
    expires: datetime | None = None


def _key(row: tuple[Any, ...]) -> _Key:
    app, own = _App(*row[: len(_APP)]), row[len(_APP) :]
    public_id, digest, revoked_at, expires_at, networks, last_used_at, last_used_ip, *maker = own
    uses = [(app.last_used_at, app.last_used_ip), (last_used_at, last_used_ip)]
    key = _Key(app, Source.API_KEY, public_id, app.granted, uses)
    key.digest, key.revoked_at, key.expires_at, key.networks = digest, revoked_at, expires_at, networks
    key.maker_revoked_at, key.maker_expires_at = maker
    return key


def _token(row: tuple[Any, ...]) -> _Token | None:
    # A row without an app is a registration access token (RFC 7592): it opens nothing here.
    if row[0] is None:
        return None
    app, (pk, scope, expires) = _App(*row[: len(_APP)]), row[len(_APP) :]
    # An app narrowed after the token was issued narrows the token with it.
    held = scopes.parse(scope) & app.granted
    token = _Token(app, Source.OAUTH, f"token-{pk}", held, [(app.last_used_at, app.last_used_ip)])
    token.expires = expires
    return token


_KEYS = Lookup(
    lambda *public_ids: ApiKey.objects.filter(public_id__in=public_ids).values_list("public_id", *_APP, *_KEY), _key
)
_TOKENS = Lookup(
    lambda *checksums: AccessToken.objects.filter(token_checksum__in=checksums).values_list(
        "token_checksum", *_APP, *_TOKEN
    ),
    _token,
)
_ACCESSES = Statement(
    lambda app_id: Access.objects.filter(app_id=app_id).values_list(*_APP, *tokens.TokenState._fields)
)


def _checksum(raw: str) -> str:
    return hashlib.sha256(raw.encode()).hexdigest()


def _public_id_of(raw: str) -> str | None:
    return shared((minting, raw), partial(minting.public_id_of, raw))


def _by_key(raw: str, ip: str, user_agent: str) -> Principal:
    public_id = _public_id_of(raw)
    if public_id is None:
        raise Unauthenticated("The API key is mistyped or cut off: its checksum does not match.")
    key = _KEYS.find(public_id)
    if key is None or not secrets.compare_digest(key.digest, minting.digest(raw)):
        raise Unauthenticated("This server did not issue this bearer token.")
    principal = key.principal(ip, user_agent)
    if key.revoked_at is not None:
        why = "" if key.app.revoked_at is None else f" {end_message(key.app.revoked_reason)}"
        raise Unauthenticated(f"This API key was revoked.{why}", principal)
    _check(key.app, principal, key.expires_at, "This API key has expired.")
    _check_maker(principal, key.maker_revoked_at, key.maker_expires_at)
    if key.networks and not ip_allow_list.contain(key.networks, ip):
        raise WrongAddress(principal)
    return principal


def _check_maker(principal: Principal, revoked_at: datetime | None, expires_at: datetime | None) -> None:
    """What a management key made is good for as long as that key is; nothing to check where a person made it."""
    if revoked_at is not None:
        raise Unauthenticated("The management key that made this API key was revoked.", principal)
    if expires_at is not None and expires_at <= timezone.now():
        raise Unauthenticated("The management key that made this API key has expired.", principal)


def _by_token(raw: str, ip: str, user_agent: str) -> Principal:
    token = _TOKENS.find(_checksum(raw))
    if token is None:
        raise Unauthenticated("This server did not issue this bearer token, or it has been replaced.")
    principal = token.principal(ip, user_agent)
    _check(token.app, principal, token.expires, "This access token has expired.")
    return principal


def _by_platform(raw: str, ip: str, user_agent: str) -> Principal:
    claims = tokens.claims_of(raw)
    row = None if claims is None else _ACCESSES.first(claims.app_id)
    if claims is None or row is None:
        raise Unauthenticated("This server did not issue this bearer token.")
    app, standing = _App(*row[: len(_APP)]), tokens.TokenState(*row[len(_APP) :])
    if not standing.is_of(claims):
        raise Unauthenticated("This server did not issue this bearer token.")
    held = scopes.parse(claims.scope) & app.granted
    used = last_used.are_recent([(app.last_used_at, app.last_used_ip)], ip)
    principal = _principal(app, Source.PLATFORM, claims.token_id, held, ip, user_agent, is_use_on_record=used)
    if claims.expired:
        raise Unauthenticated("This access token has expired.", principal)
    if standing.supersedes(claims):
        raise Unauthenticated(
            "The secret behind this token was changed, or its user or platform was disabled.", principal
        )
    _check(app, principal, None, "")
    return principal


def _check(app: _App, principal: Principal, expires_at: datetime | None, expired: str) -> None:
    if app.source in (Source.CONSOLE, Source.SIGNAL):
        raise Unauthenticated("This server did not issue this bearer token.")
    if app.revoked_at is not None:
        raise Unauthenticated(end_message(app.revoked_reason), principal)
    if expires_at is not None and expires_at <= timezone.now():
        raise Unauthenticated(expired, principal)
    if not app.owner_is_active:
        raise Unauthenticated("The account that owns this credential is disabled.", principal)
    if app.connection_closed_at is not None:
        raise Unauthenticated(
            f"This credential is for the connection {app.connection_name}, which was unlinked.", principal
        )


def _principal(
    app: _App,
    source: Source,
    credential_id: str,
    held: frozenset[Scope],
    ip: str,
    user_agent: str,
    *,
    is_use_on_record: bool,
) -> Principal:
    return Principal(
        user_id=app.owner_id,
        user_label=app.owner_email,
        source=source,
        credential_id=credential_id,
        app_id=app.app_id,
        app_label=app.name,
        paused=app.paused_at is not None,
        scopes=held,
        toolsets=None if app.toolsets is None else frozenset(app.toolsets),
        calls_per_minute=app.calls_per_minute,
        ask_in_assistant=app.ask_in_assistant,
        connection_id=app.connection_id,
        connection_label=app.connection_name,
        connection_paused=app.connection_paused_at is not None,
        trading_enabled=app.trading_enabled,
        broker=app.broker,
        broker_settings=app.broker_settings,
        broker_sealed=app.broker_sealed,
        environment=Environment(app.environment),
        account_id=app.current_account or app.default_account,
        ip=ip,
        user_agent=user_agent,
        is_use_on_record=is_use_on_record,
    )
