"""The playground's way in: an app of its own for ten minutes, which sees and may what the chosen app does.

Not a second secret of the chosen app: what the person tries is not done in the assistant's name, cannot confirm
an order that the assistant prepared, and ends without ending the assistant.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.dispatch import receiver
from django.utils import timezone

from console.accounts.models import User
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.errors import Code, Refusal
from console.halts import services as halts
from console.halts.models import HaltScope
from console.keys import minting
from console.keys.models import ApiKey
from console.onboarding.models import StandIn
from console.scopes import Scope

LASTS = timedelta(minutes=10)
_OVER = "Its ten minutes in the playground are over"


@dataclass(frozen=True, slots=True)
class Playground:
    key: ApiKey
    secret: str
    """The only copy there will ever be."""


def choices(owner: User) -> QuerySet[ConnectedApp]:
    """The apps of ``owner`` that a playground can stand in for, last made first."""
    found = ConnectedApp.objects.filter(
        owner=owner, revoked_at=None, activated_at__isnull=False, stand_in=None, connection__closed_at=None
    )
    return found.select_related("connection").order_by("-id")


@transaction.atomic
def start(owner: User, app: ConnectedApp, granted: frozenset[Scope]) -> Playground:
    """A key for a stand-in of ``app``, with ``granted`` or, as the caller chose, less than the app holds.

    The one before it ends, and this one when what the app may do changes: see ``end_of``. Raises Refusal when the
    app has ended or may not do what is asked for.
    """
    app = choices(owner).select_for_update(of=("self",)).filter(pk=app.pk).first() or _ended()
    if not granted or not granted <= app.granted:
        raise Refusal(Code.INSUFFICIENT_SCOPE, f"{app.name} cannot trade, so its playground cannot either.")
    if Scope.TRADE in granted and halts.halts_on(app.connection, app.pk).filter(scope=HaltScope.APP).exists():
        raise Refusal(Code.HALTED, f"{app.name} is halted, so its playground can only read until you lift the halt.")
    for earlier in _open().filter(instead_of=app):
        grants.revoke(earlier.app, by=owner, reason="Replaced by a newer playground")
    ends = timezone.now() + LASTS
    key, secret = minting.mint(
        owner, app.connection, granted, name=f"Playground: {app.name}", expires_at=ends, note="Made by the playground"
    )
    ConnectedApp.objects.filter(pk=key.app_id).update(
        toolsets=app.toolsets, current_account=app.current_account, limits=app.limits
    )
    if app.paused_at is not None:
        grants.pause(key.app, by=owner)
    StandIn.objects.create(app=key.app, instead_of=app, expires_at=ends)
    return Playground(key, secret)


def stop(owner: User, public_id: str) -> bool:
    """End a playground before its time; False when there is none, or it has ended."""
    key = ApiKey.objects.filter(public_id=public_id, app__owner=owner, app__stand_in__isnull=False).first()
    return key is not None and minting.revoke(key, by=owner, reason="Closed in the playground")


@receiver(grants.changed)
def end_of(app: ConnectedApp, **signal: object) -> None:
    """What ``app`` may do has changed, so what stands in for it as it was ends at once."""
    for stale in _open().filter(instead_of=app):
        grants.revoke(stale.app, by=None, reason="The app it stood in for was changed", leaves_bounds=False)


def end_expired(now: datetime) -> None:
    """Take out of the lists what nobody can use again: an expired key is refused at once, without this."""
    for over in _open().filter(expires_at__lte=now):
        grants.revoke(over.app, by=None, reason=_OVER, leaves_bounds=False)


def _open() -> QuerySet[StandIn]:
    return StandIn.objects.filter(app__revoked_at=None).select_related("app")


def _ended() -> ConnectedApp:
    raise Refusal(Code.NOT_FOUND, "That app no longer exists. Choose another.", field="app")
