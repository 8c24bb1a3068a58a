"""How many files of one kind a person may take in an hour: each is a row of the record and a walk through a table."""

from django.core.cache import cache

from console.accounts.models import User
from console.errors import Code, Refusal

MOST_AN_HOUR = 10
_HOUR = 3600


def check(user: User, what: str) -> None:
    """Count one more file of ``what``, such as ``timeline``. Raises Refusal for too many in an hour."""
    key = f"{what}-exports:{user.pk}"
    cache.add(key, 0, _HOUR)
    try:
        count = cache.incr(key)
    except ValueError:  # it ran out between the two lines
        cache.set(key, 1, _HOUR)
        count = 1
    if count > MOST_AN_HOUR:
        raise Refusal(
            Code.RATE_LIMITED, f"You exported {MOST_AN_HOUR} times within an hour. Wait an hour, then try again."
        )
