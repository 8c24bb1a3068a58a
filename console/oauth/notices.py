"""The e-mail that tells a person about a new grant. It leads to a page and does nothing by itself."""

import re

from django.conf import settings
from django.utils import timezone

from console.connected_apps.models import ConnectedApp
from console.outbox import post
from console.outbox.models import OutgoingMail
from console.outbox.post import Letter

_SUBJECT = "An app may now use one of your connections"
# A client names itself: nothing in its name may turn into a link or a line of ours.
_NO_WORD = re.compile(r"[^\w ()'&+-]+")


def tell_of_grant(app: ConnectedApp) -> None:
    """Call it in the transaction of the grant."""
    money = "real money" if app.connection.is_live else "paper, simulated money"
    body = f"""Somebody signed in as {app.owner.email} let an app use a connection.

App: "{_words(app.name)}" (the name it gives itself)
Connection: {_words(app.connection.name)} ({money})
May: {app.scope_label}
When: {timezone.now():%Y-%m-%d %H:%M} UTC

If that was you, there is nothing to do. If not, take its access back under Connected apps and change your password:
{settings.PUBLIC_URL}/apps/
"""
    post.put(app.owner, OutgoingMail.Kind.GRANT, Letter(_SUBJECT, body))


def _words(name: str) -> str:
    return " ".join(_NO_WORD.sub(" ", name).split())
