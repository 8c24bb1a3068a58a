from django.db import models

from console.connected_apps.models import ConnectedApp


class ApiKey(models.Model):
    """One secret that proves to be its app. Only a hash is kept; ``hint`` is what a person recognises it by."""

    app = models.ForeignKey(ConnectedApp, on_delete=models.CASCADE, related_name="api_keys")
    public_id = models.CharField(max_length=16, unique=True)
    digest = models.CharField(max_length=64)
    hint = models.CharField(max_length=40)
    is_default = models.BooleanField(default=False)
    """The read-only key that came with the connection."""
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.hint
