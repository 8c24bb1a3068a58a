from typing import Any

from django.db import models
from oauth2_provider.models import AbstractApplication

from console import scopes
from console.clients import rules
from console.scopes import Scope


class Kind(models.TextChoices):
    STATIC = "static", "Registered by its owner"
    DYNAMIC = "dynamic", "Registered itself"


class Client(AbstractApplication):
    """An OAuth client (RFC 6749 section 2). ``user`` is the owner of a static one, empty for the others."""

    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.STATIC)
    scopes = models.CharField(max_length=100, default=scopes.render(frozenset(scopes.ALL)))
    """The most a grant to this client may hold."""
    registered_ip = models.CharField(max_length=45, blank=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta(AbstractApplication.Meta):
        swappable = "OAUTH2_PROVIDER_APPLICATION_MODEL"

    def __str__(self) -> str:
        return self.name or self.client_id

    @property
    def may_hold(self) -> frozenset[Scope]:
        return scopes.parse(self.scopes)

    @property
    def registered_itself(self) -> bool:
        return self.kind == Kind.DYNAMIC

    def redirect_uri_allowed(self, uri: str) -> bool:
        return rules.redirect_allowed(uri, self.redirect_uris.split())

    def is_usable(self, request: Any) -> bool:
        return self.deleted_at is None
