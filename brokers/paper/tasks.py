from celery import shared_task
from django.utils import timezone

from brokers.paper import books


@shared_task
def match_resting() -> None:
    """Match resting orders against the bars completed since, and expire what is past its day."""
    books.match_resting(timezone.now())
