"""One-hour access tokens of platform users.

A token proves to be a ConnectedApp, like a grant or a key. Its claims say which, and under which versions of the
platform's and the user's secrets; whether that still holds is read from the database on every call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console import ids, scopes
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.platforms import token_signing
from console.platforms.models import Access, PlatformUser
from console.scopes import Scope, Source

LIFETIME = timedelta(hours=1)
AUDIENCES = [settings.MCP_URL, f"{settings.PUBLIC_URL}/api/v1"]


@dataclass(frozen=True, slots=True)
class Token:
    raw: str
    expires_in: int
    scope: str
    connection: Connection


class ChooseConnection(Refusal):
    """Which connection is meant is unclear: ``choices`` are those that fit."""

    def __init__(self, message: str, choices: list[Connection]) -> None:
        super().__init__(Code.CONNECTION_REQUIRED, message, field="connection_id")
        self.choices = choices


def mint(user: PlatformUser, wanted: frozenset[Scope], *, connection_id: int | None = None) -> Token:
    """Raises Refusal. The platform and the user have just proved who they are."""
    connection = _connection(user, connection_id)
    wanted = scopes.expand(wanted)
    if connection.is_live and Scope.TRADE in wanted and not user.user.has_usable_password():
        raise Refusal(
            Code.INSUFFICIENT_SCOPE,
            "This user has not signed in here yet. Until then, they can only read a live connection.",
            field="scopes",
        )
    app = _app(user, connection, wanted)
    granted = app.granted & wanted
    now = timezone.now()
    claims = {
        "iss": settings.ISSUER,
        "aud": AUDIENCES,
        "sub": user.public_id,
        "client_id": user.platform.client_id,
        "scope": scopes.render(granted),
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
        "jti": ids.new("tok"),
        "cv": version(user),
        "app": app.pk,
    }
    return Token(token_signing.sign(claims), int(LIFETIME.total_seconds()), scopes.render(granted), connection)


def version(user: PlatformUser) -> str:
    return f"{user.platform.credential_version}.{user.credential_version}"


def _connection(user: PlatformUser, connection_id: int | None) -> Connection:
    found = list(Connection.objects.filter(owner=user.user_id, closed_at=None).order_by("id")[:100])
    if connection_id is not None:
        for connection in found:
            if connection.pk == connection_id:
                return connection
        raise ChooseConnection(f"This user has no connection {connection_id}.", found)
    if not found:
        raise ChooseConnection("This user has no connection yet. Add one first.", found)
    if len(found) > 1:
        raise ChooseConnection("This user has several connections. Set connection_id to one of them.", found)
    return found[0]


@transaction.atomic
def _app(user: PlatformUser, connection: Connection, wanted: frozenset[Scope]) -> ConnectedApp:
    # Two tokens minted at once must come to stand for one app: the second waits for this row.
    PlatformUser.objects.select_for_update().get(pk=user.pk)
    accesses = list(Access.objects.select_related("app").filter(platform_user=user, connection=connection))
    for access in accesses:
        if access.app.revoked_at is not None and scopes.parse(access.scopes) <= wanted:
            raise Refusal(
                Code.APP_REVOKED,
                "This access was revoked. The platform cannot restore it on this connection itself.",
            )
    for access in accesses:
        if scopes.parse(access.scopes) == wanted:
            return access.app
    app = grants.grant(user.user, connection, wanted, source=Source.PLATFORM, name=user.platform.name)
    grants.activate(app)
    Access.objects.create(platform_user=user, connection=connection, scopes=scopes.render(wanted), app=app)
    return app


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says, under a signature of ours. Whether it still holds, its ``TokenState`` says."""

    app_id: int
    token_id: str
    scope: str
    subject: str
    client_id: str
    version: str
    expired: bool


class TokenState(NamedTuple):
    """The platform and the user behind an ``Access``, as they are now. The fields are those of its query."""

    platform_user__public_id: str
    platform_user__credential_version: int
    platform_user__disabled_at: datetime | None
    platform_user__platform__client_id: str
    platform_user__platform__credential_version: int
    platform_user__platform__disabled_at: datetime | None
    platform_user__platform__owner__is_active: bool

    def is_of(self, claims: Claims) -> bool:
        return (
            claims.subject == self.platform_user__public_id
            and claims.client_id == self.platform_user__platform__client_id
        )

    def supersedes(self, claims: Claims) -> bool:
        """A secret was changed, or somebody was disabled, since the token was minted."""
        return (
            claims.version
            != f"{self.platform_user__platform__credential_version}.{self.platform_user__credential_version}"
            or self.platform_user__disabled_at is not None
            or self.platform_user__platform__disabled_at is not None
            or not self.platform_user__platform__owner__is_active
        )


def claims_of(raw: str) -> Claims | None:
    """None for what is no token of ours. No query."""
    claims = token_signing.read(raw)
    if claims is None or not _well_formed(claims):
        return None
    return Claims(
        app_id=claims["app"],
        token_id=claims["jti"],
        scope=claims["scope"],
        subject=claims["sub"],
        client_id=claims["client_id"],
        version=claims["cv"],
        expired=claims["exp"] <= timezone.now().timestamp(),
    )


def _well_formed(claims: Mapping[str, Any]) -> bool:
    """Ours to the letter: another use of the same key, or another instance, is not (RFC 9068 section 4)."""
    texts = all(isinstance(claims.get(name), str) for name in ("sub", "client_id", "scope", "jti", "cv"))
    numbers = all(type(claims.get(name)) is int for name in ("exp", "iat", "app"))
    return texts and numbers and claims.get("iss") == settings.ISSUER and claims.get("aud") == AUDIENCES
