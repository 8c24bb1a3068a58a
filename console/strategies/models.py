from django.conf import settings
from django.db import models

from brokers.decimals import ExactDecimalField
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection


class BacktestStatus(models.TextChoices):
    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


UNFINISHED = (BacktestStatus.WAITING, BacktestStatus.RUNNING)


class Backtest(models.Model):
    """Rules run over past bars of a connection's broker. Created and cancelled by ``services``, run by ``running``.

    It holds no order and leads to none.
    """

    public_id = models.CharField(max_length=40, unique=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="backtests")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="backtests")
    app = models.ForeignKey(ConnectedApp, on_delete=models.SET_NULL, null=True, related_name="backtests")
    """Which asked for it; None: its owner, on the page."""
    name = models.CharField(max_length=80)
    rules = models.TextField()
    """JSON, as it was given."""
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    cash = ExactDecimalField()
    currency = models.CharField(max_length=8)
    preset = models.CharField(max_length=20)
    """Of ``brokers.paper.costs``."""
    status = models.CharField(max_length=10, choices=BacktestStatus.choices, default=BacktestStatus.WAITING)
    progress = models.PositiveSmallIntegerField(default=0)
    """Percent of its time that is done."""
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    heard_at = models.DateTimeField(null=True)
    """When its worker last said that it still runs."""
    attempts = models.PositiveSmallIntegerField(default=0)
    trouble = models.CharField(max_length=300, blank=True)
    """Why it failed."""
    report = models.JSONField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-id"], name="backtests_of_owner"),
            models.Index(
                fields=["id"], name="backtests_unfinished", condition=models.Q(status__in=["waiting", "running"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"

    @property
    def is_over(self) -> bool:
        return self.status not in UNFINISHED
