"""The time zone a person's pages are in: theirs if known, UTC if not or if they prefer it."""

import zoneinfo
from datetime import UTC, tzinfo
from functools import cache

from django.contrib.auth.models import AnonymousUser

from console.accounts.models import User

COOKIE = "time_zone"
"""What app.js writes: the zone the browser is set to."""


@cache
def names() -> tuple[str, ...]:
    """By region and city, as people look for theirs; UTC first."""
    places = {name for name in _all() if "/" in name and not name.startswith(("Etc/", "US/"))}
    return ("UTC", *sorted(places))


def zone_of(user: User | AnonymousUser, guess: str) -> tzinfo:
    """The zone for this person's pages. The first guess of a browser is kept until they choose one themselves."""
    if not isinstance(user, User):
        return UTC
    if not user.time_zone and is_known(guess):
        choose(user, guess, only_first=True)
    if user.times_in_utc or not is_known(user.time_zone):
        return UTC
    return zoneinfo.ZoneInfo(user.time_zone)


def is_known(name: str) -> bool:
    return len(name) <= 64 and name in _all()


@cache
def _all() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones() - {"Factory", "localtime"})


def choose(user: User, name: str, *, only_first: bool = False) -> None:
    mine = User.objects.filter(pk=user.pk)
    if only_first:
        mine.filter(time_zone="").update(time_zone=name)
    else:
        mine.update(time_zone=name, times_in_utc=False)
        user.times_in_utc = False
    user.time_zone = name


def show_utc(user: User, yes: bool) -> None:
    User.objects.filter(pk=user.pk).update(times_in_utc=yes)
