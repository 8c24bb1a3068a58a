from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from console.audit import log as audit_log
from console.clients import registration
from console.oauth.models import PendingConsent


@shared_task
def forget() -> None:
    """Delete what nobody can use again: sessions, codes, tokens, unanswered consent pages, unused clients."""
    call_command("clearsessions")
    call_command("cleartokens")
    unused = registration.forget_unused(timezone.now())
    audit_log.record_system_act("unused clients deleted", "clients", unused)
    PendingConsent.objects.filter(expires_at__lt=timezone.now()).delete()
