"""What oauthlib asks while it answers a token or revocation request, answered from our rows.

An app has one family of tokens: the app is made on the consent page, its code is redeemed once, and every
refresh token descends from that. So whatever ends a family ends the app, and whoever writes a token first locks
the row of the app: a refresh that was under way when the app was revoked cannot mint after it.

A refresh token that comes again later than ``SIBLING_WINDOW`` after it was replaced is refused, and its owner is told
by mail. RFC 9700 section 4.14.2 would end the family there and then, as nobody can tell which of the two is the thief.
Hosts run one sign-in in several processes, and one that slept presents the old token: ending the family each time
teaches people to sign in again without a thought. So the first time ends that session alone, which has to sign in again
and thereby replaces this grant, a thief's copy included; the second time ends the app.

oauthlib's ``Request`` answers for a missing attribute with a parameter that the client sent. What this class
puts on a request is therefore read from ``request.__dict__``, never as an attribute.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from console import scopes
from console.audit import log as audit_log
from console.audit.models import ChangeCategory
from console.clients.models import Client
from console.clients.registration import secret_digest
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.oauth import emails, resource_indicator
from console.oauth.models import AccessToken, Grant, RefreshToken
from console.oauth.toolkit import OAuth2Validator, errors, set_token_value
from console.scopes import Scope

REFRESH_LIFETIME = timedelta(seconds=settings.OAUTH2_PROVIDER["REFRESH_TOKEN_EXPIRE_SECONDS"])
# Hosts refresh from several processes at once and retry when an answer is lost: a refresh token that was just
# used works again this long, with a new pair, and the access token it replaced lives as long.
SIBLING_WINDOW = timedelta(seconds=60)
# A second redemption this soon is a host's own retry; later it means that the code leaked.
CODE_RETRY_WINDOW = timedelta(seconds=10)

_REUSED_ONCE = (
    "This refresh token was used again after it was replaced, so this session has ended. Sign in again. If "
    "an old token is used once more, the app's access ends."
)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Validator(OAuth2Validator):
    # The client

    def _check_secret(self, provided_secret: str, stored_secret: str) -> bool:
        return bool(stored_secret) and constant_time_compare(secret_digest(provided_secret), stored_secret)

    # The authorization endpoint

    def validate_scopes(
        self, client_id: str, scopes: list[str], client: Client, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Hosts ask for ``openid``, ``email`` or ``offline_access``: what we do not know is left out, unrefused.

        RFC 6749 section 3.3 allows it, as the token answer names the scope.
        """
        return True

    def _load_application(self, client_id: str | None, request: Any) -> Any:
        # PostgreSQL refuses a NUL in a query, with an error that the toolkit does not expect.
        if "\0" in (client_id or ""):
            return None
        return super()._load_application(client_id, request)  # type: ignore[no-untyped-call]  # the toolkit has no types

    def get_default_scopes(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:
        return [scope.value for scope in scopes.ALL]

    # Redeeming a code (RFC 6749 section 4.1.3)

    def validate_code(self, client_id: str, code: str, client: Client, request: Any, *args: Any, **kwargs: Any) -> bool:
        _check_resource(request)
        now = timezone.now()
        unlocked = Grant.objects.filter(code=digest(code), application=client).first()
        if unlocked is not None:
            app = _lock(unlocked.app_id)
            grant = Grant.objects.filter(pk=unlocked.pk).first()
            if grant is not None:
                _check_is_active(app, request)
                if grant.expires <= now:
                    raise _invalid("The code has expired. Sign in again.", request)
                request.app, request.grant = app, grant
                request.user = app.owner
                request.scopes = _scopes_text(scopes.parse(grant.scope) & app.granted)
                return bool(request.scopes)
        self._refuse_replayed_code(code, client, now)
        raise _invalid("The code is unknown or was used before. Sign in again.", request)

    def _refuse_replayed_code(self, code: str, client: Client, now: datetime) -> None:
        """A code that was redeemed before: what it gave ends, except within moments (OAuth 2.1, 4.1.3)."""
        first = RefreshToken.objects.filter(code_digest=digest(code), application=client).first()
        if first is not None and first.created <= now - CODE_RETRY_WINDOW:
            grants.revoke(_lock(first.app_id), by=None, reason="Its sign-in code was used twice")

    def get_code_challenge(self, code: str, request: Any) -> str:
        return str(request.__dict__["grant"].code_challenge)

    def get_code_challenge_method(self, code: str, request: Any) -> str:
        return str(request.__dict__["grant"].code_challenge_method)

    def get_default_redirect_uri(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> str:
        """OAuth 2.1 section 10.2: clients with PKCE may leave ``redirect_uri`` out of the token request."""
        grant = request.__dict__.get("grant")
        return str(grant.redirect_uri if grant else request.client.default_redirect_uri)

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, client: Client, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        if redirect_uri != request.__dict__["grant"].redirect_uri:
            raise errors.InvalidGrantError(
                description="redirect_uri differs from the one in the authorization request.", request=request
            )
        return True

    def invalidate_authorization_code(self, client_id: str, code: str, request: Any, *args: Any, **kwargs: Any) -> None:
        request.__dict__["grant"].delete()

    # Refreshing (RFC 6749 section 6, rotation as of OAuth 2.1 section 4.3.1)

    def validate_refresh_token(
        self, refresh_token: str, client: Client, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        _check_resource(request)
        now = timezone.now()
        unlocked = RefreshToken.objects.filter(token_checksum=digest(refresh_token), application=client).first()
        if unlocked is None:
            raise _invalid(
                "The refresh token was not issued by this server, or not to this client. Sign in again.", request
            )
        app = _lock(unlocked.app_id)
        used = RefreshToken.objects.get(pk=unlocked.pk)
        _check_is_active(app, request)
        if used.revoked is not None and used.revoked <= now - SIBLING_WINDOW:
            _refuse_reused(app, used, now)
            raise _invalid(app.why_ended or _REUSED_ONCE, request)
        if used.created <= now - REFRESH_LIFETIME:
            raise _invalid("The refresh token has expired. Sign in again.", request)
        request.app, request.used = app, used
        request.user = app.owner
        return True

    def get_original_scopes(self, refresh_token: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:
        return _scopes_text(request.__dict__["app"].granted)

    def is_within_original_scope(
        self, request_scopes: list[str], refresh_token: str, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """A host repeats what it asked for at first, though the person granted less or narrowed it since."""
        granted = request.__dict__["app"].granted
        request.scopes = _scopes_text(scopes.parse(" ".join(request_scopes)) & granted or granted)
        return True

    # Minting

    def save_bearer_token(self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any) -> None:
        app: ConnectedApp = request.__dict__["app"]
        used: RefreshToken | None = request.__dict__.get("used")
        grant: Grant | None = request.__dict__.get("grant")
        now = timezone.now()
        bound = {"user": app.owner, "app": app, "application": request.client, "resource": [settings.MCP_URL]}
        access = AccessToken(scope=token["scope"], expires=now + timedelta(seconds=token["expires_in"]), **bound)
        set_token_value(access, token["access_token"])
        access.save()
        refresh = RefreshToken(access_token=access, code_digest=grant.code if grant else "", **bound)
        set_token_value(refresh, token["refresh_token"])
        refresh.save()
        if used is None:
            grants.activate(app)
        elif used.revoked is None:
            _rotate_out(used, now)
        token["resource"] = settings.MCP_URL

    # Ending (RFC 7009)

    def revoke_token(self, token: str, token_type_hint: str, request: Any, *args: Any, **kwargs: Any) -> None:
        """Either token of a pair ends the app. One that is unknown, or another client's, changes nothing."""
        for model in (RefreshToken, AccessToken):
            row = model.objects.filter(token_checksum=digest(token), application=request.client).first()
            if row is not None and row.app is not None:
                grants.revoke(row.app, by=None, reason="Signed out by the app")


def _check_resource(request: Any) -> None:
    resource_indicator.check((value for key, value in request.decoded_body or [] if key == "resource"), request)


def _lock(app_id: int) -> ConnectedApp:
    return ConnectedApp.objects.select_for_update().get(pk=app_id)


def _check_is_active(app: ConnectedApp, request: Any) -> None:
    """Raises invalid_grant with the recorded reason when the app's access has ended."""
    if app.revoked_at is not None:
        raise _invalid(app.why_ended, request)
    if not app.owner.is_active:
        raise _invalid("The account of the person who allowed this app is disabled.", request)
    if app.connection.closed_at is not None:
        raise _invalid("The connection this app was allowed to use was unlinked.", request)


def _invalid(description: str, request: Any) -> Exception:
    """RFC 6749 section 5.2, with a reason for people."""
    error: Exception = errors.InvalidGrantError(description=description, request=request)
    return error


def _refuse_reused(app: ConnectedApp, used: RefreshToken, now: datetime) -> None:
    """The first time is noted; what comes within moments of it is the same host trying again; the next ends the app."""
    first = RefreshToken.objects.filter(app=app, reused_at__isnull=False).order_by("reused_at").first()
    if first is not None and first.reused_at is not None and first.reused_at > now - SIBLING_WINDOW:
        return
    is_alive = RefreshToken.objects.filter(app=app, revoked=None, created__gt=now - REFRESH_LIFETIME).exists()
    RefreshToken.objects.filter(pk=used.pk, reused_at=None).update(reused_at=now)
    if first is None and is_alive:
        audit_log.record_change(
            None,
            "refused an old sign-in of",
            "app",
            app.pk,
            app.name,
            category=ChangeCategory.SYSTEM,
            owner_id=app.owner_id,
            connection_id=app.connection_id,
            after={"refused": "a refresh token that had been replaced"},
        )
        emails.send_reuse_email(app, ended=False)
        return
    grants.revoke(app, by=None, reason="A refresh token was used again after it was replaced")
    emails.send_reuse_email(app, ended=True)


def _scopes_text(held: frozenset[Scope]) -> list[str]:
    return scopes.render(held).split()


def _rotate_out(used: RefreshToken, now: datetime) -> None:
    """Calls that are under way with the old access token still get their answer."""
    until = now + SIBLING_WINDOW
    AccessToken.objects.filter(refresh_token=used, expires__gt=until).update(expires=until)
    RefreshToken.objects.filter(pk=used.pk).update(revoked=now, access_token=None)
