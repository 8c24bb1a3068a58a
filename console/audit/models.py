"""What was asked and what was changed. Plain ids and labels, no foreign keys: a row outlives what it names."""

from django.db import models


class CallOutcome(models.TextChoices):
    OK = "ok", "Done"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


class Call(models.Model):
    """One call of one tool, or one request refused before any tool. Never holds a secret."""

    request_id = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField(db_index=True)
    user_id = models.BigIntegerField(null=True)
    user_label = models.CharField(max_length=254, blank=True)
    source = models.CharField(max_length=16, blank=True)
    credential_id = models.CharField(max_length=64, blank=True)
    scopes = models.CharField(max_length=100, blank=True)
    app_id = models.BigIntegerField(null=True)
    app_label = models.CharField(max_length=255, blank=True)
    connection_id = models.BigIntegerField(null=True)
    connection_label = models.CharField(max_length=100, blank=True)
    environment = models.CharField(max_length=8, blank=True)
    tool = models.CharField(max_length=128, blank=True)
    arguments = models.JSONField(default=dict)
    outcome = models.CharField(max_length=8, choices=CallOutcome.choices)
    code = models.CharField(max_length=40, blank=True)
    message = models.CharField(max_length=500, blank=True)
    order_id = models.CharField(max_length=40, blank=True)
    duration_us = models.BigIntegerField()
    ip = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    confirmed_after_ms = models.BigIntegerField(null=True)
    """Of a call that confirmed something: how long that had been shown."""

    class Meta:
        indexes = [
            models.Index(fields=["user_id", "-id"], name="audit_call_user"),
            models.Index(fields=["app_id", "-id"], name="audit_call_app"),
            models.Index(fields=["credential_id", "-id"], name="audit_call_credential"),
            models.Index(
                fields=["user_id", "code", "tool", "-id"],
                name="audit_call_errors",
                condition=~models.Q(outcome="ok"),
            ),
            # By time, as the timeline reads them.
            models.Index(fields=["user_id", "-at"], name="audit_call_user_at"),
            models.Index(fields=["app_id", "-at"], name="audit_call_app_at"),
            models.Index(fields=["user_id", "-at"], name="audit_call_not_ok", condition=~models.Q(outcome="ok")),
            models.Index(fields=["order_id", "-at"], name="audit_call_order", condition=~models.Q(order_id="")),
        ]

    @property
    def duration_ms(self) -> float:
        return self.duration_us / 1000


class Change(models.Model):
    """One change of who may do what: a key minted, an app revoked, a connection paused."""

    at = models.DateTimeField(db_index=True)
    user_id = models.BigIntegerField(null=True)
    user_label = models.CharField(max_length=254, blank=True)
    action = models.CharField(max_length=40)
    target = models.CharField(max_length=40)
    target_id = models.CharField(max_length=64)
    target_label = models.CharField(max_length=255, blank=True)
    detail = models.JSONField(default=dict)
    ip = models.CharField(max_length=45, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["user_id", "-id"], name="audit_change_user"),
            models.Index(fields=["user_id", "-at"], name="audit_change_user_at"),
            models.Index(fields=["target", "target_id", "-at"], name="audit_change_target"),
        ]
