from django.db import models
from django.utils import timezone

from console.connected_apps.models import ConnectedApp


class StandIn(models.Model):
    """An app of a few minutes that the playground calls through, as ``instead_of`` would."""

    app = models.OneToOneField(ConnectedApp, on_delete=models.CASCADE, related_name="stand_in")
    instead_of = models.ForeignKey(ConnectedApp, on_delete=models.CASCADE, related_name="stand_ins")
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.app)


class SealingKey(models.Model):
    """A key that has sealed secrets in this database, by its fingerprint: an instance with none of them is refused."""

    class Kind(models.TextChoices):
        VAULT_KEYS = "vault_keys"
        SEED_KEYS = "seed_keys"

    kind = models.CharField(max_length=20, choices=Kind)
    fingerprint = models.CharField(max_length=64)
    first_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "fingerprint"], name="one_row_for_each_sealing_key")]

    def __str__(self) -> str:
        return f"{self.kind} {self.fingerprint[:8]}"
