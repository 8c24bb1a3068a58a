"""What this server is, what this client may do here, and whether it works."""

from typing import Any, Literal, NotRequired

from django.conf import settings
from typing_extensions import TypedDict

from brokers.types import InstrumentEvent, OrderClass, OrderType, TimeInForce
from console import scopes, toolsets
from console.connections import broker_access, health
from console.connections.models import Connection
from console.operations import heartbeat
from console.orders import preview as previewing
from console.principal import Principal
from console.scopes import Scope
from console.toolsets import Toolset
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant
from mcpserver.tools.render import compact


class Server(TypedDict):
    name: str
    version: str


class ToolsetOff(TypedDict):
    toolset: str
    why: str


class Toolsets(TypedDict):
    on: list[str]
    off: NotRequired[list[ToolsetOff]]


class Trading(TypedDict):
    allowed: bool
    """This app may trade and its connection lets orders through, both."""
    scope: bool
    enabled_on_connection: bool
    confirmation: str
    confirmation_seconds: int
    confirmation_delay_seconds: int
    """How long after it was shown confirm_trade takes an order, at the earliest."""
    ask_in_assistant: bool
    """Whether a client that can ask its user does so, and that answer decides."""
    order_types: list[str]
    """What the connection's broker takes, here and below."""
    time_in_force: list[str]
    time_in_force_of: NotRequired[dict[str, list[str]]]
    """Where an order type takes fewer."""
    order_classes: list[str]
    also: list[str]
    """What else it does: modify, notional, fractional, short, reverse, outside_rth, reduce_only, post_only."""
    not_reported: list[str]
    """What the broker does not report: margin_in_preview, next_dividend, earnings_date, trading_halt, tax_lots."""


class CallLimits(TypedDict):
    calls_per_minute: int
    trade_calls_per_minute: int
    cancels_per_minute: int


class ServerCapabilities(TypedDict):
    server: Server
    mode: Literal["paper", "live"]
    app: str
    scopes: list[str]
    toolsets: Toolsets
    trading: Trading
    limits: CallLimits
    manage_at: str


def get_capabilities(call: ToolCall) -> dict[str, Any]:
    who = call.principal
    connection = Connection.objects.get(pk=who.connection_id)
    return {
        "server": {"name": "Tradelatch", "version": settings.VERSION},
        "mode": who.environment.value,
        "app": who.app_label,
        "scopes": scopes.render(who.scopes).split(),
        "toolsets": _toolsets(who),
        "trading": {
            "allowed": who.may(Scope.TRADE) and connection.trading_enabled,
            "scope": who.may(Scope.TRADE),
            "enabled_on_connection": connection.trading_enabled,
            "confirmation": connection.policy,
            "confirmation_seconds": settings.CONFIRMATION_SECONDS,
            "confirmation_delay_seconds": connection.least_confirmation_seconds,
            "ask_in_assistant": who.ask_in_assistant,
            **_order_kinds(connection),
        },
        "limits": {
            "calls_per_minute": settings.CALLS_PER_MINUTE,
            "trade_calls_per_minute": settings.TRADE_CALLS_PER_MINUTE,
            "cancels_per_minute": settings.CANCELS_PER_MINUTE,
        },
        "manage_at": f"{settings.PUBLIC_URL}/apps/{who.app_id}/",
    }


def _order_kinds(connection: Connection) -> dict[str, Any]:
    can = broker_access.capabilities(connection.broker)
    if can is None:
        return {"order_types": [], "time_in_force": [], "order_classes": [], "also": [], "not_reported": []}
    also = {
        "modify": can.replace,
        "notional": can.notional,
        "fractional": can.fractional,
        "short": can.short,
        "reverse": can.crosses_zero,
        "outside_rth": can.extended_hours,
        "reduce_only": can.reduce_only,
        "post_only": can.post_only,
        "spreads": can.spreads,
    }
    return compact(
        order_types=[each.value for each in OrderType if each in can.order_types],
        time_in_force=[each.value for each in TimeInForce if each in can.time_in_force],
        time_in_force_of={
            kind.value: [tif.value for tif in TimeInForce if tif in some] for kind, some in can.pairs.items()
        }
        or None,
        order_classes=[each.value for each in OrderClass if each in can.order_classes],
        also=[name for name, does in also.items() if does],
        not_reported=[
            *(() if can.margin_in_preview else ("margin_in_preview",)),
            *(each.value for each in InstrumentEvent if each not in can.events),
            "tax_lots",  # no broker's interface that is used here has them
        ],
    )


def _toolsets(who: Principal) -> dict[str, Any]:
    tools = toolsets.provided()
    listed = {tool.toolset for tool in toolsets.listed(tools, who.scopes, who.toolsets, who.broker)}
    off = []
    for toolset in Toolset:
        inside = [tool for tool in tools if tool.toolset is toolset]
        if not inside or toolset in listed:
            continue
        if not toolsets.switched_on(who.toolsets, toolset):
            why = "It is switched off. The app's owner can switch it on."
        elif not any(who.may(tool.scope) for tool in inside):
            why = f"It needs the scope {inside[0].scope}."
        else:
            why = "The connection's broker cannot do it."
        off.append({"toolset": toolset.value, "why": why})
    return compact(on=[toolset.value for toolset in Toolset if toolset in listed], off=off or None)


class SelfTestCheck(TypedDict):
    check: str
    ok: bool
    detail: NotRequired[str]
    next: NotRequired[str]


class ConnectionTest(TypedDict):
    name: str
    ok: bool
    checks: list[SelfTestCheck]


class SelfTest(TypedDict):
    ok: bool
    connections: list[ConnectionTest]


def self_test(call: ToolCall) -> dict[str, Any]:
    who = call.principal
    connection = Connection.objects.select_related("owner").get(pk=who.connection_id)
    found = health.diagnose(connection)
    checks = [compact(check=each.check, ok=each.ok, detail=each.detail, next=each.next) for each in found]
    if who.may(Scope.TRADE):
        refusal = previewing.refusal_to_trade(who)
        checks.append(
            compact(
                check="trading",
                ok=refusal is None,
                detail="Orders can be prepared." if refusal is None else f"{refusal.code}: {refusal}",
                next=None if refusal is None else "Tell the user; only the owner can change this, in the console.",
            )
        )
    if heartbeat.is_late():
        checks.append(
            compact(
                check="worker",
                ok=False,
                detail="No background worker is at work: orders are not followed, and nothing expires or is sent.",
                next="Tell the user: whoever runs this instance must start its worker and its scheduler.",
            )
        )
    good = all(each["ok"] for each in checks)
    return {"ok": good, "connections": [{"name": connection.name, "ok": good, "checks": checks}]}


class ConnectionOut(TypedDict):
    connection_id: str
    name: str
    broker: str
    environment: Literal["paper", "live"]
    state: Literal["ok", "error", "sign_in_again", "paused", "not_checked"]
    last_error: NotRequired[str]
    checked_at: NotRequired[Instant]
    trading_enabled: bool
    confirmation: str


class Connections(TypedDict):
    connections: list[ConnectionOut]


def get_connections(call: ToolCall) -> dict[str, Any]:
    """The one connection the app was given. A stored snapshot: ``self_test`` asks the broker itself."""
    connection = Connection.objects.get(pk=call.principal.connection_id)
    return {
        "connections": [
            compact(
                connection_id=str(connection.pk),
                name=connection.name,
                broker=connection.broker,
                environment=connection.environment,
                state=health.state(connection),
                last_error=connection.last_error,
                checked_at=connection.checked_at,
                trading_enabled=connection.trading_enabled,
                confirmation=connection.policy,
            )
        ]
    }
