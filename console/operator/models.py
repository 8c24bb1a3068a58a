"""What is measured of the instance itself: nothing of anybody's positions, orders or money."""

from django.db import models


class SweepRun(models.Model):
    """When a periodic task last ran, and how that went."""

    task = models.CharField(max_length=100, unique=True)
    at = models.DateTimeField()
    seconds = models.FloatField()
    failed_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, blank=True)
    """The kind of the last error; its text is in the log."""


class BrokerChecks(models.Model):
    """How long a broker took to answer the checks of one hour, over everybody's connections."""

    broker = models.CharField(max_length=40)
    hour = models.DateTimeField()
    times = models.JSONField(default=dict)
    """Number of a bucket → how many answers took that long: see ``broker_checks``."""
    failures = models.IntegerField(default=0)
    last_error = models.CharField(max_length=60, blank=True)
    """The kind of the last one."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["broker", "hour"], name="operator_broker_checks_once")]
