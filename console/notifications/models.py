from django.conf import settings
from django.db import models

from console.outbox.models import OutgoingMail


class NewsKind(models.TextChoices):
    """What people are told of, in the order of the page."""

    APPROVAL = "approval", "An order waits for your approval"
    QUESTION = "question", "The broker asks you something"
    FILL = "fill", "An order is filled"
    END = "end", "An order ended without being filled"
    LIMIT = "limit", "A limit stopped an order"
    HALT = "halt", "Trading is halted, or goes on"
    ALERT = "alert", "An alert fired, or an app sent you a message"
    LINK = "link", "A connection does not work"
    GRANT = "grant", "An app got access"
    KEY = "key", "A key ends soon"
    SIGN_IN = "sign_in", "Somebody signed in with a new browser"
    CHANNEL = "channel", "A new place gets your notifications"
    TEST = "test", "A test"


class ChannelKind(models.TextChoices):
    """How a message reaches a person."""

    EMAIL = "email", "E-mail"
    PUSH = "push", "Devices"
    TELEGRAM = "telegram", "Telegram"
    NTFY = "ntfy", "ntfy"
    WEBHOOK = "webhook", "Webhook"


class NotificationChannel(models.Model):
    """One place that a person's messages go to besides their e-mail address: a browser, a chat, a topic, a server."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="channels")
    kind = models.CharField(
        max_length=10, choices=[each for each in ChannelKind.choices if each[0] != ChannelKind.EMAIL]
    )
    name = models.CharField(max_length=100)
    """What its owner knows it by. Nothing of it is secret."""
    sealed = models.TextField()
    """Where it leads and what is needed there, as ``channels.seal_destination`` writes it."""
    digest = models.CharField(max_length=64)
    """Of the destination: one is linked once. A browser belongs to whoever switched it on last."""
    push_key = models.CharField(max_length=16, blank=True)
    """Of a browser: which of our keys it listens to; see ``push_keys.key_id``."""
    made_at = models.DateTimeField(auto_now_add=True)
    tried_at = models.DateTimeField(null=True)
    """When something was last sent to it, or tried to be."""
    worked_at = models.DateTimeField(null=True)
    """When it last took something."""
    last_answer = models.CharField(max_length=200, blank=True)
    """What came of the last try, in words."""

    class Meta:
        ordering = ["kind", "id"]
        constraints = [
            models.UniqueConstraint(fields=["user", "kind", "digest"], name="notifications_channel_once"),
            models.UniqueConstraint(
                fields=["digest"], condition=models.Q(kind="push"), name="notifications_browser_of_one_person"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PendingChat(models.Model):
    """A code that a person sends to the bot, so that their chat is linked. One for each person."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True)
    """Of the code, which is shown once."""
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"until {self.expires_at:%H:%M}"


class NewsChoice(models.Model):
    """Which kinds of news a person gets by which channels; a kind that is not in it goes by ``choices.DEFAULTS``."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    chosen = models.JSONField(default=dict)
    """NewsKind → list of ChannelKind."""

    def __str__(self) -> str:
        return str(self.chosen)


class NewsItem(models.Model):
    """One thing that a person was told of. Its messages are rows of ``OutgoingMail``, of the same transaction."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="news")
    kind = models.CharField(max_length=10, choices=NewsKind.choices)
    source = models.CharField(max_length=80)
    """What it tells of, such as ``event:17``: of that a person is told once."""
    at = models.DateTimeField()
    title = models.CharField(max_length=200)
    text = models.CharField(max_length=1000, blank=True)
    path = models.CharField(max_length=200)
    """The page it leads to."""

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["user", "source"], name="notifications_told_once")]
        indexes = [models.Index(fields=["user", "kind", "at"], name="notifications_lately")]

    def __str__(self) -> str:
        return self.title


class DeliveryAttempt(models.Model):
    """One try to send a message by a channel, and what came of it."""

    mail = models.ForeignKey(OutgoingMail, on_delete=models.CASCADE, related_name="deliveries")
    at = models.DateTimeField()
    """When it began."""
    status = models.PositiveSmallIntegerField(null=True)
    """Of the answer (RFC 9110); None: there was none."""
    milliseconds = models.PositiveIntegerField()
    words = models.CharField(max_length=200)
    """What came of it, for the channel's owner."""

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.words


class MessageCopy(models.Model):
    """What a webhook was sent, sealed, so that its owner can have it sent again. It ends with the message's row."""

    mail = models.OneToOneField(OutgoingMail, on_delete=models.CASCADE, related_name="copy")
    sealed = models.TextField()

    def __str__(self) -> str:
        return f"of {self.mail_id}"


class ReadMark(models.Model):
    """How far a sweep has read in a table that others write, or in Telegram's updates."""

    name = models.CharField(max_length=30, unique=True)
    value = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"
