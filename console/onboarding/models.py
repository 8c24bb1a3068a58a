from django.db import models

from console.connected_apps.models import ConnectedApp


class StandIn(models.Model):
    """An app of a few minutes that the playground calls through, as ``instead_of`` would."""

    app = models.OneToOneField(ConnectedApp, on_delete=models.CASCADE, related_name="stand_in")
    instead_of = models.ForeignKey(ConnectedApp, on_delete=models.CASCADE, related_name="stand_ins")
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.app)
