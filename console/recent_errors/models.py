"""What the calls of the audit log come to: failed ones by cause, and all of them by app and hour.

Everything here is counted from the audit log by ``rollup`` and could be counted again; only what a person decided about
a group (resolved, muted) stands nowhere else. Plain ids and labels, no foreign keys out of this app: as in the log.
"""

from datetime import datetime

from django.db import models
from django.db.models import F, Q


class CountProgress(models.Model):
    """How far the audit log is counted. One row, locked by whoever counts."""

    settled = models.BigIntegerField(default=0)
    """Every call up to this id is counted."""
    ahead = models.JSONField(default=list)
    """Ids beyond ``settled`` of failed calls that are in their groups already."""


class ErrorGroup(models.Model):
    """One person's failed calls with one cause: the same code, tool, connection and message but for its details."""

    user_id = models.BigIntegerField(null=True)
    """None: refused before anybody was known."""
    user_label = models.CharField(max_length=254, blank=True)
    fingerprint = models.CharField(max_length=40)
    """``v1:`` and a digest of what makes the group. Another way of grouping gets another number."""
    code = models.CharField(max_length=40, blank=True)
    tool = models.CharField(max_length=128, blank=True)
    connection_id = models.BigIntegerField(null=True)
    connection_label = models.CharField(max_length=100, blank=True)
    environment = models.CharField(max_length=8, blank=True)
    pattern = models.CharField(max_length=300, blank=True)
    """The message without the numbers, names and ids that differ from call to call."""
    is_meant = models.BooleanField(default=False)
    """A limit, halt, missing right or no that worked: nobody's fault."""
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    calls = models.BigIntegerField(default=0)
    message = models.CharField(max_length=500, blank=True)
    """Of the newest call, as the caller got it."""
    app_label = models.CharField(max_length=255, blank=True)
    samples = models.JSONField(default=list)
    """Request ids of the newest calls, the newest first."""
    resolved_at = models.DateTimeField(null=True)
    regressed_at = models.DateTimeField(null=True)
    """When it came again after it had been resolved."""
    muted_until = models.DateTimeField(null=True)
    muted_to = models.BigIntegerField(null=True)
    """Muted until ``calls`` reaches this."""

    class Meta:
        indexes = [models.Index(fields=["user_id", "-last_seen"], name="recent_errors_user_seen")]
        constraints = [
            models.UniqueConstraint(
                fields=["user_id", "fingerprint"], condition=Q(user_id__isnull=False), name="recent_errors_one_per_user"
            ),
            models.UniqueConstraint(
                fields=["fingerprint"], condition=Q(user_id__isnull=True), name="recent_errors_one_per_nobody"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.tool}".strip()

    @staticmethod
    def muted_at(now: datetime) -> Q:
        return Q(muted_until__gt=now) | Q(muted_to__gt=F("calls"))

    @classmethod
    def open_at(cls, now: datetime) -> Q:
        return Q(resolved_at=None) & ~cls.muted_at(now)

    def is_muted(self, now: datetime) -> bool:
        return (self.muted_until is not None and self.muted_until > now) or (
            self.muted_to is not None and self.muted_to > self.calls
        )


class GroupHour(models.Model):
    """Failed calls of a group in one hour, by app."""

    group = models.ForeignKey(ErrorGroup, on_delete=models.CASCADE, related_name="hours")
    hour = models.DateTimeField(db_index=True)
    app_id = models.BigIntegerField(default=0)
    """0: no app was known."""
    calls = models.BigIntegerField(default=0)
    last_seen = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "hour", "app_id"], name="recent_errors_group_hour")]


class CallHour(models.Model):
    """Calls in one hour, by app and key. For sparklines and the counts of a day, without reading the log."""

    app_id = models.BigIntegerField(default=0)
    """0: a management key, which is no app."""
    key = models.CharField(max_length=64, blank=True)
    """Public id of the key; empty where an app signs in with tokens."""
    hour = models.DateTimeField(db_index=True)
    calls = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    """Refused or failed."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["app_id", "key", "hour"], name="recent_errors_call_hour")]
        indexes = [models.Index(fields=["key", "hour"], name="recent_errors_key_hour")]


class LastGoodCall(models.Model):
    """The newest call of a tool on a connection that went well."""

    user_id = models.BigIntegerField()
    connection_id = models.BigIntegerField(default=0)
    """0: none."""
    tool = models.CharField(max_length=128)
    call_id = models.BigIntegerField()
    request_id = models.CharField(max_length=40)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user_id", "connection_id", "tool"], name="recent_errors_last_good")
        ]


class KeyUse(models.Model):
    """The first and the newest call that came with a key. For lists of keys, without reading the log."""

    key = models.CharField(max_length=64, unique=True)
    """Public id of the key, of an app or of management."""
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    tool = models.CharField(max_length=128, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
