from celery import shared_task
from django.utils import timezone

from console.onboarding import playground


@shared_task
def end_playgrounds() -> None:
    playground.end_expired(timezone.now())
