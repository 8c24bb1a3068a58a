from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from console.oauth.models import PendingConsent


@shared_task
def forget() -> None:
    """Delete what has run out and nobody can use again: sessions, codes, tokens, unanswered consent pages."""
    call_command("clearsessions")
    call_command("cleartokens")
    PendingConsent.objects.filter(expires_at__lt=timezone.now()).delete()
