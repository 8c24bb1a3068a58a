"""The owner's way out: every order of an account cancelled and every position closed, also while it is halted.

Only the console leads here: no token of any kind does. Nothing but the halt is waived: a paused or closed connection,
trading switched off, live trading that rests and every limit still say no. Cancelling passes all of them.
"""

from collections.abc import Collection

from brokers.errors import BrokerError
from brokers.types import Environment
from console.accounts.models import User
from console.connected_apps import grants
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of_read
from console.orders import prepare as preparing
from console.orders import summary
from console.orders.checks import order_access
from console.orders.execution import cancel as cancelling
from console.orders.models import Action, Confirmation, Order
from console.principal import Principal
from console.scopes import Source


def flatten_as_owner(
    connection: Connection, *, by: User, account_id: str, request_id: str = ""
) -> tuple[preparing.Prepared, list[summary.Unclosable]]:
    """Hold a plan for the owner's own release, as ``prepare.prepare_flatten`` does. Raises Refusal."""
    _check(connection, by)
    app = grants.console_app(connection)
    principal = Principal(
        user_id=by.pk,
        user_label=by.email,
        source=Source.CONSOLE,
        credential_id="",
        app_id=app.pk,
        app_label=by.email,
        paused=False,
        scopes=app.granted,
        connection_id=connection.pk,
        connection_label=connection.name,
        connection_paused=connection.paused_at is not None,
        broker=connection.broker,
        broker_settings=connection.settings,
        environment=Environment(connection.environment),
        account_id=connection.default_account,
    )
    return preparing.prepare_flatten(principal, account_id=account_id, request_id=request_id)


def cancel_as_owner(connection: Connection, *, by: User, account_id: str) -> list[cancelling.CancelResult]:
    """Take every open order of the account back at once. Raises Refusal for anybody but the owner."""
    _check(connection, by)
    return cancelling.cancel_all(connection, account_id, by=by.email)


def accounts(connection: Connection) -> list[str]:
    """The accounts of the connection, by its broker. Raises Refusal when it cannot be asked."""
    try:
        return [account.account_id for account in broker_access.broker_of(connection).accounts()]
    except BrokerError as error:
        raise refusal_of_read(error) from error


def open_orders(connection: Connection) -> dict[str, list[Order]]:
    """Order to cancel, by account, newest first; exits that hang on an open order end with it."""
    found: dict[str, list[Order]] = {}
    for order in cancelling.open_root_orders(connection).order_by("-pk"):
        found.setdefault(order.account_id, []).append(order)
    return found


def cancelled_first(confirmation: Confirmation, kept: Collection[str] = ()) -> list[Order]:
    """What a plan that closes everything cancels when it is released, newest first; ``kept`` are further symbols that
    would not be closed as things stand."""
    if confirmation.action != Action.FLATTEN:
        return []
    order, stays = confirmation.order, {*confirmation.terms.get("stays", ()), *kept}
    closing = {each.symbol for each in confirmation.orders.all()} - stays
    rows = cancelling.open_root_orders(order.connection, order_access.flatten_scope(confirmation))
    return cancelling.going_with(
        rows.filter(account_id=order.account_id).order_by("-pk"),
        closing=closing,
        stays=stays,
        only_closed=bool(confirmation.terms.get("only_closed")),
    )


def _check(connection: Connection, user: User) -> None:
    if connection.owner_id != user.pk:
        raise Refusal(Code.NOT_PERMITTED, "Only the owner of the connection can close everything on it.")
    if connection.closed_at is not None:
        raise Refusal(Code.CONNECTION_PAUSED, f"The connection {connection.name} was removed. Nothing was done.")
