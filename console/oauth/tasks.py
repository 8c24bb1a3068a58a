from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from console.clients import registration
from console.oauth.models import PendingConsent


@shared_task
def forget() -> None:
    """Delete what nobody can use again: sessions, codes, tokens, unanswered consent pages, unused clients."""
    call_command("clearsessions")
    call_command("cleartokens")
    registration.forget_unused(timezone.now())
    PendingConsent.objects.filter(expires_at__lt=timezone.now()).delete()
