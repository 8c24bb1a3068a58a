"""A clock that can be set, behind ``django.utils.timezone.now``. Imported before anything that keeps hold of it."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone


class Clock:
    def __init__(self) -> None:
        self.behind = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self.behind

    def set(self, moment: datetime) -> None:
        self.behind = datetime.now(UTC) - moment


CLOCK = Clock()
timezone.now = CLOCK
