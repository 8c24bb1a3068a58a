"""One-hour access tokens of platform users.

A token proves to be a ConnectedApp, like a grant or a key. Its claims say which, and under which versions of the
platform's and the user's secrets; whether that still holds is read from the database on every call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console import ids, scopes
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.platforms import signing
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
    """The user has several connections, or none: ``choices`` are those that fit."""

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
            "This user has not signed in here yet, and until then may only read a live connection.",
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
    return Token(signing.sign(claims), int(LIFETIME.total_seconds()), scopes.render(granted), connection)


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
        raise ChooseConnection("This user has several connections. Name one as connection_id.", found)
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
                "This access was taken back. The platform cannot give it to itself again on this connection.",
            )
    for access in accesses:
        if scopes.parse(access.scopes) == wanted:
            return access.app
    app = grants.grant(user.user, connection, wanted, source=Source.PLATFORM, name=user.platform.name)
    grants.activate(app)
    Access.objects.create(platform_user=user, connection=connection, scopes=scopes.render(wanted), app=app)
    return app


@dataclass(frozen=True, slots=True)
class Held:
    """A token whose signature and claims are ours, with the rows that decide whether it still holds."""

    access: Access
    token_id: str
    scope: str
    expired: bool
    superseded: bool
    """A secret was changed, or somebody was disabled, since it was minted."""


def look_up(raw: str) -> Held | None:
    """One query; None for what is no token of ours."""
    claims = signing.read(raw)
    if claims is None or not _well_formed(claims):
        return None
    access = (
        Access.objects.select_related("app__connection", "app__owner", "platform_user__platform__owner")
        .filter(app_id=claims["app"])
        .first()
    )
    if access is None:
        return None
    user, platform = access.platform_user, access.platform_user.platform
    if claims["sub"] != user.public_id or claims["client_id"] != platform.client_id:
        return None
    return Held(
        access=access,
        token_id=claims["jti"],
        scope=claims["scope"],
        expired=claims["exp"] <= timezone.now().timestamp(),
        superseded=(
            claims["cv"] != version(user)
            or user.disabled_at is not None
            or platform.disabled_at is not None
            or not platform.owner.is_active
        ),
    )


def _well_formed(claims: Mapping[str, Any]) -> bool:
    """Ours to the letter: another use of the same key, or another instance, is not (RFC 9068 section 4)."""
    texts = all(isinstance(claims.get(name), str) for name in ("sub", "client_id", "scope", "jti", "cv"))
    numbers = all(type(claims.get(name)) is int for name in ("exp", "iat", "app"))
    return texts and numbers and claims.get("iss") == settings.ISSUER and claims.get("aud") == AUDIENCES
