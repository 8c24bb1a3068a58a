from django.db import models
from oauth2_provider.models import AbstractApplication

from console import scopes


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
