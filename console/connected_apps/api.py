from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.accounts.models import User
from console.accounts.presence import PresenceAct as Presence
from console.api import trading_limits
from console.api.base import ApiView, Operation, PageQuery
from console.api.parsing import Choice, Flag, Strict
from console.authority.drf import Need
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.orders.checks import daily_usage, limit_usage
from console.scopes import Source
from console.toolsets import Toolset


class AppOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    source = serializers.ChoiceField(  # type: ignore[assignment]  # a field's name, not the attribute
        choices=[source.value for source in Source]
    )
    connection_id = serializers.IntegerField()
    connection = serializers.CharField(source="connection.name")
    environment = serializers.CharField(source="connection.environment")
    scopes = serializers.SerializerMethodField()
    toolsets = serializers.ListField(child=serializers.CharField(), source="toolset_names")
    ask_in_assistant = serializers.BooleanField()
    client_id = serializers.CharField(source="client.client_id", default=None, allow_null=True)
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    paused_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_reason = serializers.CharField()

    def get_scopes(self, app: ConnectedApp) -> list[str]:
        return app.scopes.split()


class AppPatch(Strict):
    toolsets = serializers.ListField(
        child=Choice(choices=[each.value for each in Toolset]),
        max_length=len(Toolset),
        help_text="The toolsets to switch on, by name; core is always on.",
    )


class AskingIn(Strict):
    ask_in_assistant = Flag(help_text="Whether its user is asked about each order in a client that can ask.")


class _Apps(ApiView):
    tag = "Connected apps"

    def own(self) -> QuerySet[ConnectedApp]:
        found = ConnectedApp.objects.filter(owner=self.caller.owner, activated_at__isnull=False)
        return found.select_related("connection", "client")


class Apps(_Apps):
    acts = {
        "GET": Operation(
            name="list_apps",
            needs=Need.MANAGE,
            about="Your connected apps, newest first, including those that have ended.",
            answers=AppOut,
            paged=True,
            asks=PageQuery,
        )
    }

    def get(self, request: Request) -> Response:
        return self.page(self.own())


class OneApp(_Apps):
    acts = {
        "GET": Operation(name="get_app", needs=Need.MANAGE, about="One connected app.", answers=AppOut),
        "PATCH": Operation(
            name="switch_toolsets",
            needs=Need.MANAGE,
            about="Switch toolsets on and off for the app; a management key can only switch them off. Its scopes stay "
            "the same.",
            answers=AppOut,
            takes=AppPatch,
        ),
    }

    def get(self, request: Request, app_id: int) -> Response:
        return self.answer(get_object_or_404(self.own(), pk=app_id))

    def patch(self, request: Request, app_id: int) -> Response:
        app = get_object_or_404(self.own(), pk=app_id)
        on, by = {Toolset(each) for each in self.given["toolsets"]}, self.caller.owner
        self.loosen(
            lambda may_widen: grants.set_toolsets(app, on, by=by, may_widen=may_widen),
            Presence.TOOLSETS_ON,
            live=app.connection.is_live,
        )
        return self.answer(app)


class AppAsking(_Apps):
    acts = {
        "PUT": Operation(
            name="set_app_asking",
            needs=Need.MANAGE,
            about="Whether the app's user is asked in their client before an order. A management key only says yes.",
            answers=AppOut,
            takes=AskingIn,
        )
    }

    def put(self, request: Request, app_id: int) -> Response:
        app = get_object_or_404(self.own(), pk=app_id)
        asks, by = self.given["ask_in_assistant"], self.caller.owner
        self.loosen(
            lambda may: grants.set_asking(app, asks, by=by, may_loosen=may),
            Presence.STOP_ASKING,
            live=app.connection.is_live,
        )
        return self.answer(app)


class AppLimits(_Apps):
    acts = {
        "GET": Operation(
            name="get_app_limits",
            needs=Need.MANAGE,
            about="An app's own limits, on top of its connection's, with how much is used and left.",
            answers=trading_limits.StandingOut,
        ),
        "PUT": Operation(
            name="set_app_limits",
            needs=Need.MANAGE,
            about="Replace all limits of an app. A management key can only tighten them.",
            answers=trading_limits.StandingOut,
            takes=trading_limits.LimitsIn,
        ),
    }

    def get(self, request: Request, app_id: int) -> Response:
        return self._told(get_object_or_404(self.own(), pk=app_id))

    def put(self, request: Request, app_id: int) -> Response:
        app = get_object_or_404(self.own(), pk=app_id)
        trading_limits.change_limits(self, partial(grants.set_limits, app), live=app.connection.is_live)
        return self._told(app)

    def _told(self, app: ConnectedApp) -> Response:
        now, limits, connection = timezone.now(), app.limited, app.connection
        use = daily_usage.app_usage(app, connection, now)
        lines = limit_usage.limit_lines(limits, use, connection, equity=connection.equity, now=now)
        return self.answer(trading_limits.limits_data(limits, lines))


class _AppAct(_Apps):
    verb: ClassVar[Callable[..., bool]]
    presence: ClassVar[Presence | None] = None
    """What a session proves for it; None: it only tightens."""

    def post(self, request: Request, app_id: int) -> Response:
        app = get_object_or_404(self.own(), pk=app_id)
        if self.presence is not None:
            self.prove(self.presence, live=app.connection.is_live)
        type(self).verb(app, by=self.caller.owner, by_key=self.caller.by_key)
        return self.answer(app)


def _act(name: str, about: str, needs: Need = Need.STOP) -> dict[str, Operation]:
    return {"POST": Operation(name=name, needs=needs, about=about, answers=AppOut)}


def _revoke(app: ConnectedApp, *, by: User, by_key: str) -> bool:
    reason = "Revoked with a management key" if by_key else "Revoked by its owner"
    return grants.revoke(app, by=by, reason=reason, by_key=by_key)


def _resume(app: ConnectedApp, *, by: User, by_key: str) -> bool:
    assert not by_key  # it resumes nothing: see drf.ALLOWED
    return grants.resume(app, by=by)


class Narrow(_AppAct):
    acts = _act("narrow_app", "From trade to read, in place: it stays connected and can do less.")
    verb = staticmethod(grants.narrow)


class PauseApp(_AppAct):
    acts = _act("pause_app", "Refuse every call of the app until it is resumed.")
    verb = staticmethod(grants.pause)


class ResumeApp(_AppAct):
    acts = _act("resume_app", "Resume a paused app. Not for a management key.", Need.WIDEN)
    verb = staticmethod(_resume)
    presence = Presence.RESUME_APP


class Revoke(_AppAct):
    acts = _act("revoke_app", "Revoke the app's access permanently, starting with its next request.")
    verb = staticmethod(_revoke)
