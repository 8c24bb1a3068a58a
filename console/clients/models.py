import hashlib
from typing import Any
from urllib.parse import urlsplit

from django.db import models
from oauth2_provider.models import AbstractApplication

from console import scopes
from console.clients import redirect_uri_rules
from console.scopes import Scope


class ClientKind(models.TextChoices):
    STATIC = "static", "Registered by its owner"
    DYNAMIC = "dynamic", "Registered itself"
    DOCUMENT = "document", "Identified by its own address"


class ReviewState(models.TextChoices):
    """What operators said of a client that nobody here registered by hand."""

    NOT_NEEDED = "", "Not needed"
    WAITING = "waiting", "Waiting for an operator"
    ACCEPTED = "accepted", "Accepted by an operator"
    REFUSED = "refused", "Refused by an operator"


class Client(AbstractApplication):
    """An OAuth client (RFC 6749 section 2). ``user`` is the owner of a static one, empty for the others."""

    kind = models.CharField(max_length=8, choices=ClientKind.choices, default=ClientKind.STATIC)
    scopes = models.CharField(max_length=100, default=scopes.render(frozenset(scopes.ALL)))
    """The most a grant to this client may hold."""
    auth_method = models.CharField(max_length=20, default="none")
    """How it proves itself at the token endpoint, in the words of RFC 7591 section 2."""
    registered_ip = models.CharField(max_length=45, blank=True)
    registered_by_key = models.CharField(max_length=16, blank=True)
    """Public id of the management key that registered a static one; empty: its owner did, in person."""
    registration_token_digest = models.CharField(max_length=64, blank=True)
    """SHA-256 of the token that manages a dynamic client (RFC 7592). It is no access token and opens nothing else."""
    document_fetched_at = models.DateTimeField(null=True)
    """When its metadata document was last read; empty for a document client that stands on a known copy."""
    review = models.CharField(max_length=8, choices=ReviewState.choices, default=ReviewState.NOT_NEEDED, blank=True)
    reviewed_at = models.DateTimeField(null=True)
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
        return self.kind == ClientKind.DYNAMIC

    @property
    def document_host(self) -> str:
        """The host that vouches for a document client: its id is an address there. Empty for the others."""
        return urlsplit(self.client_id).netloc if self.kind == ClientKind.DOCUMENT else ""

    @property
    def stands_on_a_copy(self) -> bool:
        return self.kind == ClientKind.DOCUMENT and self.document_fetched_at is None

    @property
    def looks(self) -> str:
        """A digest of what an operator judges it by, so that a decision holds for what was seen."""
        return hashlib.sha256(f"{self.name}\n{self.redirect_uris}".encode()).hexdigest()

    @property
    def awaits_review(self) -> bool:
        return self.review == ReviewState.WAITING

    def redirect_uri_allowed(self, uri: str) -> bool:
        return redirect_uri_rules.redirect_allowed(uri, self.redirect_uris.split())

    def is_usable(self, request: Any) -> bool:
        return self.deleted_at is None and self.review != ReviewState.REFUSED
