from django.db import models

from console.connections.models import Connection


class PortfolioSnapshot(models.Model):
    """What a connection held when its broker was last asked: pages show it with its age and never wait.

    Written by ``console.desk.reading`` alone. It holds no secret and no order.
    """

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="portfolio")
    accounts = models.JSONField(default=list)
    """One record for each account, amounts as text: see ``reading.account_record``."""
    read_at = models.DateTimeField(null=True)
    """When ``accounts`` was read: the broker's last full answer."""
    asked_at = models.DateTimeField(null=True)
    """When somebody last began to ask: two open pages do not ask twice."""
    failed_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=300, blank=True)
    """Why the last attempt gave nothing; empty once one succeeds."""
    answers_ms = models.JSONField(default=list)
    """How long the broker took for each of its newest answers."""

    def __str__(self) -> str:
        return f"Portfolio of {self.connection_id}"
