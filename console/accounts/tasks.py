from django.core.mail import send_mail

from console.accounts.models import User
from console.celery import app
from console.security import keeping

LETTER = """Somebody asked for a new password for {email} at {host}.

To set one, open this page within an hour:

{address}

If it was not you, do nothing: without the page above nothing changes.
After the password is set, live trading rests for 24 hours.
"""


@app.task
def send_recovery_link(user_id: int) -> None:
    """The letter goes out here, not while the page waits: how long that takes must not tell who has an account."""
    user = User.objects.filter(pk=user_id).first()
    address = keeping.recovery_link(user) if user else None
    if user is None or address is None:
        return
    host = address.split("/")[2]
    letter = LETTER.format(email=user.email, host=host, address=address)
    send_mail("A new password for Tradelatch", letter, None, [user.email])
