"""Letters of a test: sent as the worker sends them."""

from django.core import mail
from django.core.mail import EmailMessage

from console.outbox import tasks


def delivered() -> list[EmailMessage]:
    """Send what is due, and look at everything that was sent in this test."""
    tasks.send_due()
    return list(mail.outbox)
