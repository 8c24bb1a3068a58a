from console.accounts.models import User
from console.outbox.mailer import Email
from console.security import services

_RECOVERY = """Somebody requested a new password for {email} at {host}. To set one, open this page within an hour:

{address}

If this was not you, ignore this e-mail: nothing changes unless the page above is used. After a new password is set,
live trading is frozen for 24 hours.
"""


def recovery_email(user: User) -> Email | None:
    """Written when it is sent, not while the page waits: how long that takes must not tell who has an account."""
    address = services.recovery_link(user)
    if address is None:
        return None
    host = address.split("/")[2]
    return Email("A new password for Tradelatch", _RECOVERY.format(email=user.email, host=host, address=address))
