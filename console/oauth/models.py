"""Grants and tokens of the authorization server, each bound to the ConnectedApp it proves to be.

Only the SHA-256 of a token is stored. A token row without an app opens nothing: the registration access
token of RFC 7591 is such a row.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from oauth2_provider.models import AbstractAccessToken, AbstractGrant, AbstractIDToken, AbstractRefreshToken

from console.connected_apps.models import ConnectedApp

REGISTRATION_SCOPE = "oauth2_provider:registration"


class Grant(AbstractGrant):
    app = models.ForeignKey(ConnectedApp, on_delete=models.CASCADE, related_name="grants")

    class Meta(AbstractGrant.Meta):
        swappable = "OAUTH2_PROVIDER_GRANT_MODEL"


class AccessToken(AbstractAccessToken):
    app = models.ForeignKey(ConnectedApp, on_delete=models.CASCADE, null=True, related_name="access_tokens")

    class Meta(AbstractAccessToken.Meta):
        swappable = "OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL"
        constraints = [
            models.CheckConstraint(
                condition=Q(app__isnull=False) | Q(scope=REGISTRATION_SCOPE), name="oauth_access_token_has_app"
            )
        ]


class RefreshToken(AbstractRefreshToken):
    app = models.ForeignKey(ConnectedApp, on_delete=models.CASCADE, related_name="refresh_tokens")
    code_digest = models.CharField(max_length=64, blank=True, db_index=True)
    """SHA-256 of the authorization code the family began with, so that a replayed code can end it."""
    reused_at = models.DateTimeField(null=True)
    """When it came again after it had been replaced, for the first time: the next such time ends the app."""

    class Meta(AbstractRefreshToken.Meta):
        swappable = "OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL"
        constraints = [models.UniqueConstraint(fields=["token_checksum"], name="oauth_refresh_token_once")]


class IDToken(AbstractIDToken):
    """Unused (OpenID Connect is off), but swapped with the others: unswapped it ties a knot of apps."""

    class Meta(AbstractIDToken.Meta):
        swappable = "OAUTH2_PROVIDER_ID_TOKEN_MODEL"


class PendingConsent(models.Model):
    """An authorization request that was found valid and waits for a person's answer, once, for ten minutes.

    The browser holds a handle, of which only the digest is kept; the request itself never leaves the server again.
    """

    handle_digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session_digest = models.CharField(max_length=64)
    query = models.TextField()
    """As the client sent it. It is read anew each time: its client may have been deleted or changed meanwhile."""
    expires_at = models.DateTimeField(db_index=True)
