"""Letters about who may use a connection. They lead to a page and do nothing by themselves."""

import re

from django.conf import settings
from django.utils import timezone

from console.connected_apps.models import ConnectedApp
from console.notifications import news, wording
from console.notifications.models import NewsKind
from console.notifications.news import Told
from console.outbox import mailer
from console.outbox.mailer import Email
from console.outbox.models import OutgoingMail
from console.untrusted_text import escape_hidden

_SUBJECT = "An app may now use one of your connections"
_REUSED = "An old sign-in of an app was used again"
# A client names itself: nothing in its name may turn into a link or a line of ours.
_NO_WORD = re.compile(r"[^\w ()'&+\\-]+")


def send_grant_email(app: ConnectedApp) -> None:
    """Call it in the transaction of the grant."""
    money = "real money" if app.connection.is_live else "paper, simulated money"
    body = f"""Somebody signed in as {app.owner.email} let an app use a connection.

App: "{_safe_name(app.name)}" (the name it gives itself)
Connection: {_safe_name(app.connection.name)} ({money})
May: {app.scope_label}
When: {timezone.now():%Y-%m-%d %H:%M} UTC

If that was you, there is nothing to do. If not, revoke its access under Connected apps and change your password:
{settings.PUBLIC_URL}/apps/
"""
    title = f"New access: {wording.name(app.name)} on {wording.name(app.connection.name)}"
    told = Told(
        kind=NewsKind.GRANT,
        source=f"grant:{app.pk}",
        title=f"{title} ({wording.money_label(is_live=app.connection.is_live)})",
        text=f"It may: {app.scope_label}.\nIf that was not you, revoke it and change your password.",
        path=f"/apps/{app.pk}/",
        letter=Email(_SUBJECT, body),
    )
    news.tell(app.owner, told)


def send_reuse_email(app: ConnectedApp, *, ended: bool) -> None:
    """Call it in the transaction in which a refresh token came again after it had been replaced."""
    done = (
        "This is the second time, so the app's access has ended. Nobody can use it until you connect it again."
        if ended
        else "The call was refused. The app keeps its newer sign-in; if this happens again, its access ends."
    )
    body = f"""An old sign-in of an app was used after the app had replaced it with a newer one.

App: "{_safe_name(app.name)}" (the name it gives itself)
Connection: {_safe_name(app.connection.name)} ({"real money" if app.connection.is_live else "paper, simulated money"})
When: {timezone.now():%Y-%m-%d %H:%M} UTC

{done}

This can happen when the same app runs twice and one copy was asleep. It can also mean that somebody copied the app's
sign-in. If the app runs only once, revoke its access under Connected apps:
{settings.PUBLIC_URL}/apps/{app.pk}/
"""
    mailer.enqueue(app.owner, OutgoingMail.Kind.TOKEN_REUSED, Email(_REUSED, body))


def _safe_name(name: str) -> str:
    return " ".join(_NO_WORD.sub(" ", escape_hidden(name)).split())
