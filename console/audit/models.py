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
    # None: nobody said, or the row was written before it was asked.
    trace_id = models.CharField(max_length=32, null=True)
    """W3C Trace Context."""
    session_id = models.CharField(max_length=128, null=True)
    """``Mcp-Session-Id``, where the client sent one."""
    client_name = models.CharField(max_length=100, null=True)
    client_version = models.CharField(max_length=40, null=True)
    upstream_request_id = models.CharField(max_length=100, null=True)
    """The broker's, where it gives one: of what was sent there, else of what was read last."""

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
            models.Index(fields=["owner_id", "-at"], name="audit_change_owner_at"),
            models.Index(fields=["target", "target_id", "-id"], name="audit_change_target"),
            models.Index(fields=["user_id", "-id"], name="audit_change_of_orders", condition=models.Q(target="order")),
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


class Record(models.TextChoices):
    """What is sealed."""

    CALLS = "calls", "Calls"
    CHANGES = "changes", "Changes and sign-ins"


class SealKind(models.TextChoices):
    ROWS = "rows", "Rows sealed"
    DROPPED = "dropped", "Old rows deleted"
    """By the retention: whole seals' rows, and that it was so is sealed in the same chain."""


class Seal(models.Model):
    """One link of the chain: what the rows of a range were, signed. ``console.audit.seals`` says how it is made."""

    number = models.BigIntegerField(unique=True)
    """From 1, without gaps."""
    kind = models.CharField(max_length=8, choices=SealKind.choices)
    record = models.CharField(max_length=8, choices=Record.choices)
    form = models.SmallIntegerField()
    """Which fields of a row are covered, and how they are written: ``canonical.FIELDS``."""
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    rows = models.IntegerField()
    gaps = models.JSONField(default=list)
    """Pairs of ids, the first and the last, between which the range had no row."""
    leaves = models.BinaryField(default=bytes)
    """SHA-256 of each row, 32 bytes each, by id."""
    root = models.CharField(max_length=64)
    """SHA-256 over the leaves, in hex."""
    detail = models.JSONField(default=dict)
    through = models.DateTimeField()
    """When the last of its rows was written."""
    sealed_at = models.DateTimeField()
    previous = models.CharField(max_length=64, blank=True)
    """``digest`` of the seal before; "" in the first."""
    digest = models.CharField(max_length=64)
    public_key = models.CharField(max_length=44)
    """Ed25519, in base64."""
    signature = models.CharField(max_length=88)

    class Meta:
        indexes = [models.Index(fields=["record", "kind", "-last_id"], name="audit_seal_range")]


class Verification(models.Model):
    """What was found when the record was last checked."""

    at = models.DateTimeField(db_index=True)
    whole_chain = models.BooleanField()
    """Else the newest seals alone."""
    seals = models.BigIntegerField()
    rows = models.BigIntegerField()
    through = models.DateTimeField(null=True)
    """Up to when the sealed rows are what they were."""
    problem = models.JSONField(default=dict)
    """Empty where nothing is wrong: see ``verifying.Flaw``."""
    seconds = models.FloatField()

    @property
    def is_whole(self) -> bool:
        return not self.problem
