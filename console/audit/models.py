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
        ]

    @property
    def duration_ms(self) -> float:
        return self.duration_us / 1000


class ChangeCategory(models.TextChoices):
    CHANGE = "change", "Change"
    SIGN_IN = "sign_in", "Sign-in"
    """Also what failed, sign-outs and recovery."""
    SYSTEM = "system", "By the system"


class ProofChoice(models.TextChoices):
    """``console.request_origin.ProofKind`` in words."""

    NONE = "", "No proof asked"
    PASSKEY = "passkey", "Passkey"
    PASSWORD = "password", "Password"
    CODE = "code", "Code"
    PASSWORD_AND_CODE = "password_code", "Password and code"
    OIDC = "oidc", "Identity provider"
    LINK = "link", "Link from an e-mail"
    APP = "app", "App's key or token"
    PLATFORM = "platform", "Platform"
    MANAGEMENT_KEY = "management_key", "Management key"


class Change(models.Model):
    """One change of who may do what, one sign-in, or one act of the system that changed something."""

    at = models.DateTimeField(db_index=True)
    category = models.CharField(max_length=8, choices=ChangeCategory.choices, default=ChangeCategory.CHANGE)
    user_id = models.BigIntegerField(null=True)
    """Who did it; None: nobody who is known, or the system."""
    user_label = models.CharField(max_length=254, blank=True)
    owner_id = models.BigIntegerField(null=True)
    """Whose it is: they see the row, whoever did it."""
    action = models.CharField(max_length=40)
    target = models.CharField(max_length=40)
    target_id = models.CharField(max_length=64)
    target_label = models.CharField(max_length=255, blank=True)
    connection_id = models.BigIntegerField(null=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    detail = models.JSONField(default=dict)
    times = models.IntegerField(default=1)
    """How often, where a flood is one row."""
    proof = models.CharField(max_length=16, choices=ProofChoice.choices, blank=True)
    ip = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=40, blank=True)
    app_id = models.BigIntegerField(null=True)
    app_label = models.CharField(max_length=255, blank=True)
    credential_id = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["user_id", "-id"], name="audit_change_user"),
            models.Index(fields=["owner_id", "-id"], name="audit_change_owner"),
            models.Index(fields=["target", "target_id", "-id"], name="audit_change_target"),
        ]


class FailedSignIns(models.Model):
    """How often a sign-in failed in one window of time. The first is a row of the record at once, the others one more
    row when the window is over."""

    window = models.DateTimeField()
    digest = models.CharField(max_length=64)
    """Of what follows: who was tried, from where and how."""
    action = models.CharField(max_length=40)
    email = models.CharField(max_length=254, blank=True)
    network = models.CharField(max_length=45, blank=True)
    proof = models.CharField(max_length=16, blank=True)
    user_id = models.BigIntegerField(null=True)
    times = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["window", "digest"], name="audit_failed_sign_ins_once")]
