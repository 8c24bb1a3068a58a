"""How long a confirmation waited between being shown and being confirmed, and how long it has to.

A script confirms what it prepared in milliseconds, before anybody could read it. It binds what an app confirms by
itself: a user who answered the question in their client, and the owner in the console, have looked.
"""

import math

from django.utils import timezone

from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders.models import Confirmation
from console.principal import Redeemer


def check_delay(confirmation: Confirmation, connection: Connection, by: Redeemer) -> None:
    """Raises Refusal while it is too early for the app's own yes; the same confirmation may be used later."""
    least = connection.least_confirmation_seconds
    if by is not Redeemer.APP or not least:
        return
    passed = (timezone.now() - confirmation.created_at).total_seconds()
    if passed < least:
        left = math.ceil(least - passed)
        raise Refusal(
            Code.CONFIRMED_TOO_SOON,
            f"On {connection.name} an order is confirmed {least} s after it was shown at the earliest, so that "
            f"somebody can read it. Nothing was sent. Show the summary to the user; in {left} s the same confirmation "
            "works.",
            retry_after=left,
        )
