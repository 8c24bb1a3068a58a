"""Admission: whether an app may use an endpoint now, whichever it is.

Pause, scope, throttle, toolset and the state of the connection are looked at here and nowhere else, by ``/mcp`` on both
of its ways, by the REST API, and by streams for as long as they are open. The address was looked at by ``bearer``. All
of it is in the principal, so that nothing is asked of the database.
"""

from dataclasses import dataclass
from typing import Protocol

from console.authority import call_quota
from console.authority.call_quota import CallKind
from console.errors import Code, Refusal
from console.principal import Principal
from console.scopes import Scope
from console.toolsets import LABELS, Toolset, switched_on

_TRADING = frozenset({Toolset.TRADE, Toolset.PAPER})


class AdmissionRules(Protocol):
    """What an endpoint asks of the app that calls it. A tool is one."""

    @property
    def name(self) -> str:
        """As a refusal names it."""
        ...

    @property
    def scope(self) -> Scope: ...

    @property
    def toolset(self) -> Toolset: ...

    @property
    def throttle(self) -> CallKind: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainEndpoint:
    """An endpoint that is no tool."""

    name: str
    toolset: Toolset
    scope: Scope = Scope.READ
    throttle: CallKind = CallKind.READ


def admit(who: Principal, endpoint: AdmissionRules) -> None:
    """Let the app in and count the call. Raises Refusal."""
    check_running(who)
    check_scope(who, endpoint)
    call_quota.check(who.user_id, who.app_id, endpoint.throttle, own=who.calls_per_minute)
    check_switched_on(who, endpoint.name, endpoint.toolset)
    _check_connection(who, endpoint)


def check_again(who: Principal, endpoint: AdmissionRules) -> None:
    """The same for one who is inside already: nothing is counted. Raises Refusal."""
    check_running(who)
    check_scope(who, endpoint)
    check_switched_on(who, endpoint.name, endpoint.toolset)
    _check_connection(who, endpoint)


def check_running(who: Principal) -> None:
    if who.paused:
        raise Refusal(Code.APP_PAUSED, "This app is paused. Its owner can resume it under Connected apps.")


def check_scope(who: Principal, endpoint: AdmissionRules) -> None:
    if not who.may(endpoint.scope):
        raise scope_refusal(endpoint)


def scope_refusal(endpoint: AdmissionRules) -> Refusal:
    return Refusal(
        Code.INSUFFICIENT_SCOPE,
        f"{endpoint.name} needs the scope {endpoint.scope}, and this app can only read. Nothing was done. Its owner "
        "can allow trading by connecting it again or by using a key that can trade.",
    )


def check_switched_on(who: Principal, name: str, toolset: Toolset) -> None:
    """What its owner switched off is off by every way to it. Raises Refusal."""
    if not switched_on(who.toolsets, toolset):
        raise Refusal(
            Code.TOOLSET_OFF,
            f"{name} belongs to the toolset {LABELS[toolset][0]!r} ({toolset}), which is switched off for this app. "
            "Its owner can switch it on under Connected apps.",
        )


def _check_connection(who: Principal, endpoint: AdmissionRules) -> None:
    if endpoint.throttle is CallKind.CANCEL:
        return
    if who.connection_paused:
        raise Refusal(
            Code.CONNECTION_PAUSED,
            f"The connection {who.connection_label} is paused. Its owner can resume it under Connections; "
            "orders can still be cancelled.",
        )
    if not who.trading_enabled and endpoint.throttle is CallKind.TRADE and endpoint.toolset in _TRADING:
        raise Refusal(
            Code.TRADING_DISABLED,
            f"Trading is switched off for the connection {who.connection_label}, whatever the app's scope. Its owner "
            "can switch it on under Connections; orders can still be cancelled.",
        )
