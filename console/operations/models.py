"""What the processes of an instance tell each other through the database."""

from django.db import models


class Lease(models.Model):
    """Held by one process at a time, and lost when it does not renew it."""

    name = models.CharField(max_length=40, primary_key=True)
    holder = models.CharField(max_length=100)
    until = models.DateTimeField()
    """By the database's clock, which is one for all machines."""


class ScheduledJob(models.Model):
    """When a job that is due once a minute or less often was last asked for: a restart does not put it off."""

    name = models.CharField(max_length=60, primary_key=True)
    sent_at = models.DateTimeField()


class WorkerSeen(models.Model):
    """When a worker last did what the schedule asked for: the proof that schedule, queue and worker all go."""

    name = models.CharField(max_length=100, primary_key=True)
    at = models.DateTimeField(db_index=True)
