from celery import shared_task
from django.utils import timezone

from brokers.paper import accounts, live_market


@shared_task
def match_resting() -> None:
    """Match resting orders against the bars completed since, and expire what is past its day."""
    accounts.match_resting(timezone.now())


@shared_task
def follow_live_prices() -> None:
    """Store the new bars of what live accounts have orders and positions in. Slow venues keep nothing else waiting."""
    live_market.update_followed_bars(timezone.now())
