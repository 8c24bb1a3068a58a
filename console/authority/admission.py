"""The one gate: whether an app may come through a door now, whichever door it is.

Pause, scope, throttle, toolset and the state of the connection are looked at here and nowhere else, by ``/mcp`` on both
of its ways, by the REST API, and by streams for as long as they are open. The address was looked at by ``bearer``. All
of it is in the principal, so that the gate asks the database nothing.
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
    """What a door asks of the app that comes to it. A tool is one."""

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
    """A door that is no tool."""

    name: str
    toolset: Toolset
    scope: Scope = Scope.READ
    throttle: CallKind = CallKind.READ


def admit(who: Principal, door: AdmissionRules) -> None:
    """Let the app in and count the call. Raises Refusal."""
    check_running(who)
    check_scope(who, door)
    call_quota.check(who.user_id, who.app_id, door.throttle)
    check_switched_on(who, door.name, door.toolset)
    _check_connection(who, door)


def check_again(who: Principal, door: AdmissionRules) -> None:
    """The same for one who is inside already: nothing is counted. Raises Refusal."""
    check_running(who)
    check_scope(who, door)
    check_switched_on(who, door.name, door.toolset)
    _check_connection(who, door)


def check_running(who: Principal) -> None:
    if who.paused:
        raise Refusal(Code.APP_PAUSED, "This app is paused. Its owner can resume it under Connected apps.")


def check_scope(who: Principal, door: AdmissionRules) -> None:
    if not who.may(door.scope):
        raise scope_refusal(door)


def scope_refusal(door: AdmissionRules) -> Refusal:
    return Refusal(
        Code.INSUFFICIENT_SCOPE,
        f"{door.name} needs the scope {door.scope}, and this app may only read. Its owner can allow trading by "
        "connecting it again, or with a key that may trade.",
    )


def check_switched_on(who: Principal, name: str, toolset: Toolset) -> None:
    """What its owner switched off is off by every way to it. Raises Refusal."""
    if not switched_on(who.toolsets, toolset):
        raise Refusal(
            Code.TOOLSET_OFF,
            f"{name} belongs to the set {LABELS[toolset][0]!r} ({toolset}), which this app's owner switched off. The "
            "owner can switch it on under Connected apps.",
        )


def _check_connection(who: Principal, door: AdmissionRules) -> None:
    if door.throttle is CallKind.CANCEL:
        return
    if who.connection_paused:
        raise Refusal(
            Code.CONNECTION_PAUSED,
            f"The connection {who.connection_label} is paused. Its owner can resume it under Connections; "
            "orders can still be cancelled.",
        )
    if not who.trading_enabled and door.throttle is CallKind.TRADE and door.toolset in _TRADING:
        raise Refusal(
            Code.TRADING_DISABLED,
            f"Trading is switched off for the connection {who.connection_label}, whatever the app's scope. Its owner "
            "can switch it on under Connections; orders can still be cancelled.",
        )
