"""Whether an app may trade on a connection now, and who may release an order."""

from collections.abc import Callable

from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.orders.checks.confirmation_delay import check_delay
from console.orders.models import Confirmation
from console.principal import Redeemer


def check_permission(app: ConnectedApp, connection: Connection) -> None:
    """May this app trade on this connection now? Trading takes the scope and the connection's own switch."""
    if app.revoked_at is not None:
        raise Refusal(Code.APP_REVOKED, app.why_ended)
    if app.paused_at is not None:
        raise Refusal(Code.APP_PAUSED, "This app is paused. Its owner can resume it under Connected apps.")
    if not app.can_trade:
        raise Refusal(
            Code.INSUFFICIENT_SCOPE,
            "This app may only read. Trading needs the scope mcp:trade; its owner can grant it in the console.",
        )
    if not connection.owner.is_active:
        raise Refusal(
            Code.NOT_PERMITTED,
            f"The account that owns the connection {connection.name} is disabled. Nothing was sent.",
        )
    if connection.closed_at is not None:
        raise Refusal(
            Code.CONNECTION_PAUSED,
            f"The connection {connection.name} was unlinked. Its owner can link the account again.",
        )
    if connection.paused_at is not None:
        raise Refusal(
            Code.CONNECTION_PAUSED,
            f"The connection {connection.name} is paused. Its owner can resume it under Connections.",
        )
    if not connection.trading_enabled:
        raise Refusal(
            Code.TRADING_DISABLED,
            f"Trading is switched off for the connection {connection.name}, whatever the app's scope. "
            "Its owner can switch it on under Connections.",
        )
    if connection.is_live and connection.owner.live_is_frozen:
        raise Refusal(
            Code.LIVE_FROZEN,
            f"Live trading is frozen until {connection.owner.live_frozen_until:%Y-%m-%d %H:%M} UTC, because the "
            "owner's account was recovered. Nothing was sent.",
        )


def check_policy(connection: Connection) -> None:
    """May an assistant redeem a confirmation here? Any policy this code does not know is one that says no."""
    if connection.policy != Policy.TWO_STEP:
        raise only_the_owner(connection)


def only_the_owner(connection: Connection) -> Refusal:
    return Refusal(
        Code.APPROVAL_REQUIRED,
        f"On {connection.name} only its owner can release an order, in the console. Nothing was sent; the order "
        "waits for the owner until its confirmation expires.",
    )


def check_redeemer(decided_by: Redeemer, connection: Connection, by: Redeemer) -> None:
    """May a call that stands for the yes of ``by`` redeem what takes that of ``decided_by``? Raises Refusal."""
    if decided_by is Redeemer.OWNER:
        raise only_the_owner(connection)
    if by.rank < decided_by.rank:
        raise Refusal(
            Code.USER_IS_ASKED,
            "The user is being asked about this in their client, so only their answer there sends it, or its owner in "
            "the console. No call of an app can. Nothing was sent; ask get_order_status.",
        )


def redeemable_by(by: Redeemer, confirmation: Confirmation) -> Callable[[Connection], None]:
    """``check_redeemer`` and ``check_delay`` of this confirmation, as it is when they are called."""

    def check(connection: Connection) -> None:
        check_redeemer(confirmation.decided_by(connection), connection, by)
        check_delay(confirmation, connection, by)

    return check
