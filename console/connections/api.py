from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from brokers.types import Environment
from console.accounts.presence import PresenceAct as Presence
from console.api import parsing, trading_limits
from console.api.base import ApiView, Operation, PageQuery
from console.api.parsing import Amount, Choice, Flag, Strict, Text
from console.authority.drf import Need
from console.connections import paper_linking as paper_connections
from console.connections import queries as connection_queries
from console.connections import services as connections
from console.connections.models import LONGEST_CONFIRMATION_DELAY, Connection, Policy
from console.errors import Code, Refusal
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.orders.checks import daily_usage, limit_usage


class ConnectionOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    broker = serializers.CharField()
    environment = serializers.ChoiceField(choices=[each.value for each in Environment])
    trading_enabled = serializers.BooleanField()
    policy = serializers.ChoiceField(choices=Policy.choices)
    confirmation_delay_seconds = serializers.IntegerField(
        source="least_confirmation_seconds",
        help_text="How long after it was shown an app may confirm an order by itself, at the earliest.",
    )
    currency = serializers.CharField()
    equity = Amount(allow_null=True, help_text="When the broker was last asked; see checked_at.")
    checked_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField()
    created_at = serializers.DateTimeField()
    paused_at = serializers.DateTimeField(allow_null=True)


class OpenedOut(serializers.Serializer[Any]):
    connection = ConnectionOut()
    key = serializers.CharField(help_text="The connection's default key, which can read. Shown only this once.")


class PaperIn(Strict):
    name = Text(max_length=60)
    starting_cash = Amount(help_text="From 1 to 1,000,000,000, with at most 2 decimals.")
    currency = Choice(choices=["USD", "EUR", "GBP"], default="USD")
    hours = Choice(choices=list(paper_connections.HOURS), default="always")
    trading_enabled = Flag(
        required=False, help_text="Default on. A management key cannot switch trading on, so with one it is off."
    )

    def validate_starting_cash(self, value: Decimal) -> Decimal:
        if not 1 <= value <= 1_000_000_000 or value != round(value, 2):
            raise serializers.ValidationError("Write an amount from 1 to 1000000000, with at most 2 decimals.")
        return value


class _Connections(ApiView):
    tag = "Connections"

    def own(self) -> QuerySet[Connection]:
        return connection_queries.open_connections(self.caller.owner)


class Connections(_Connections):
    acts = {
        "GET": Operation(
            name="list_connections",
            needs=Need.MANAGE,
            about="Your open connections, newest first.",
            answers=ConnectionOut,
            paged=True,
            asks=PageQuery,
        ),
        "POST": Operation(
            name="open_paper_connection",
            needs=Need.MANAGE,
            about="Open a paper connection. The answer contains its default key, once.",
            answers=OpenedOut,
            status=201,
            takes=PaperIn,
        ),
    }

    def get(self, request: Request) -> Response:
        return self.page(self.own())

    def post(self, request: Request) -> Response:
        by_key = self.caller.by_key
        trading = self.given.setdefault("trading_enabled", not by_key)
        if trading and by_key:
            raise Refusal(
                Code.NOT_PERMITTED,
                "A management key cannot switch trading on, not even for a new connection. Leave it out; the owner "
                "can switch it on under Connections. Nothing was made.",
                field="trading_enabled",
            )
        connection, raw = connection_lifecycle.open_paper(self.caller.owner, **self.given, by_key=by_key)
        self.done = f"Made the connection {connection.pk} and the key {minting.public_id_of(raw)}."
        return self.answer({"connection": connection, "key": raw}, secret=True)


class OneConnection(_Connections):
    acts = {
        "GET": Operation(name="get_connection", needs=Need.MANAGE, about="One connection.", answers=ConnectionOut),
    }

    def get(self, request: Request, connection_id: int) -> Response:
        return self.answer(get_object_or_404(self.own(), pk=connection_id))


class ConnectionLimits(_Connections):
    acts = {
        "GET": Operation(
            name="get_connection_limits",
            needs=Need.MANAGE,
            about="The limits of a connection, with how much is used and left.",
            answers=trading_limits.StandingOut,
        ),
        "PUT": Operation(
            name="set_connection_limits",
            needs=Need.MANAGE,
            about="Replace all limits of a connection. A management key can only tighten them.",
            answers=trading_limits.StandingOut,
            takes=trading_limits.LimitsIn,
        ),
    }

    def get(self, request: Request, connection_id: int) -> Response:
        return self._told(get_object_or_404(self.own(), pk=connection_id))

    def put(self, request: Request, connection_id: int) -> Response:
        connection = get_object_or_404(self.own(), pk=connection_id)
        trading_limits.change_limits(self, partial(connections.set_limits, connection), live=connection.is_live)
        return self._told(connection)

    def _told(self, connection: Connection) -> Response:
        now, limits = timezone.now(), connection.limited
        use = daily_usage.connection_usage(connection, now)
        lines = limit_usage.limit_lines(limits, use, connection, equity=connection.equity, now=now)
        return self.answer(trading_limits.limits_data(limits, lines))


class PolicyIn(Strict):
    policy = Choice(choices=Policy.values)


class ConnectionPolicy(_Connections):
    acts = {
        "PUT": Operation(
            name="set_connection_policy",
            needs=Need.IN_PERSON,
            about="Who releases orders. Only a console session; loosening it needs a proof of presence.",
            answers=ConnectionOut,
            takes=PolicyIn,
        )
    }

    def put(self, request: Request, connection_id: int) -> Response:
        connection = get_object_or_404(self.own(), pk=connection_id)
        wanted, by = Policy(self.given["policy"]), self.caller.owner
        self.loosen(
            lambda may: connections.set_policy(connection, wanted, by=by, may_loosen=may),
            Presence.LOOSEN_POLICY,
            live=connection.is_live,
        )
        return self.answer(connection)


class DelayIn(Strict):
    confirmation_delay_seconds = parsing.Whole(
        min_value=0,
        max_value=LONGEST_CONFIRMATION_DELAY,
        help_text="3 on a live connection and 0 on paper, unless set.",
    )


class ConfirmationDelay(_Connections):
    acts = {
        "PUT": Operation(
            name="set_confirmation_delay",
            needs=Need.MANAGE,
            about="How long after an order was shown an app may confirm it by itself, at the earliest. A management "
            "key can only make it longer.",
            answers=ConnectionOut,
            takes=DelayIn,
        )
    }

    def put(self, request: Request, connection_id: int) -> Response:
        connection = get_object_or_404(self.own(), pk=connection_id)
        seconds, by = self.given["confirmation_delay_seconds"], self.caller.owner
        self.loosen(
            lambda may: connections.set_confirmation_delay(connection, seconds, by=by, may_shorten=may),
            Presence.SHORTEN_DELAY,
            live=connection.is_live,
        )
        return self.answer(connection)


class _ConnectionAct(_Connections):
    verb: ClassVar[Callable[..., bool]]
    presence: ClassVar[Presence | None] = None
    """What a session proves for it; None: it only tightens."""

    def post(self, request: Request, connection_id: int) -> Response:
        connection = get_object_or_404(self.own(), pk=connection_id)
        if self.presence is not None:
            self.prove(self.presence, live=connection.is_live)
        type(self).verb(connection, by=self.caller.owner)
        return self.answer(connection)


def _act(name: str, about: str, needs: Need = Need.STOP) -> dict[str, Operation]:
    return {"POST": Operation(name=name, needs=needs, about=about, answers=ConnectionOut)}


class PauseConnection(_ConnectionAct):
    acts = _act("pause_connection", "Refuse every call on the connection except cancels.")
    verb = staticmethod(connections.pause)


class ResumeConnection(_ConnectionAct):
    acts = _act("resume_connection", "Resume a paused connection. Not for a management key.", Need.WIDEN)
    verb = staticmethod(connections.resume)
    presence = Presence.RESUME_CONNECTION


class TradingOn(_ConnectionAct):
    acts = _act(
        "enable_trading", "Let apps with permission to trade place orders here. Not for a management key.", Need.WIDEN
    )
    verb = staticmethod(connections.enable_trading)
    presence = Presence.TRADING_ON


class TradingOff(_ConnectionAct):
    acts = _act("disable_trading", "Refuse new orders here, whatever an app's scope.")
    verb = staticmethod(connections.disable_trading)
