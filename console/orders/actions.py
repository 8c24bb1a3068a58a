"""What an app can do with its prepared or placed orders: confirm, discard, cancel."""

from dataclasses import dataclass

from django.utils import timezone

from brokers.errors import BrokerError
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of_read
from console.orders import prepare as preparing
from console.orders import queries as order_queries
from console.orders import summary
from console.orders.checks import check_rows, order_access, permission, standing_rules
from console.orders.execution import cancel as cancelling
from console.orders.execution import protective_cancels, release
from console.orders.models import Confirmation, Order, StandingRule
from console.orders.transitions import confirmations
from console.principal import Principal, Redeemer

# -- confirm -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What a confirmation led to."""

    confirmation: Confirmation
    orders: tuple[Order, ...]
    """All orders it covers, without their legs, or the one it changed, in the status the broker's answers gave."""
    rule: StandingRule | None = None
    """The owner's rule that released them."""


def confirm(principal: Principal, confirmation_id: str, *, request_id: str = "") -> Order:
    """``confirm_all``, of which it returns the first order."""
    return confirm_all(principal, confirmation_id, request_id=request_id).orders[0]


def confirm_all(principal: Principal, confirmation_id: str, *, request_id: str = "") -> Released:
    """Release the plan behind a confirmation and send it, once. Everything is checked again first.

    Raises Refusal; ``order_id`` tells which order a used confirmation had released.
    """
    plan = check_rows.plan_of(confirmation_id, principal.app_id)
    confirmation = order_queries.confirmation_of(principal, confirmation_id) if plan is None else plan.confirmation
    _check_no_plan(confirmation)
    if (rule := _rule_for(confirmation)) is not None:
        return _confirm_by_rule(principal, confirmation, plan, rule, request_id)
    may = permission.redeemable_by(principal.redeemer, confirmation)
    orders = release.release(confirmation, plan, authorize=may, by=principal.app_label, request_id=request_id)
    return Released(confirmation=confirmation, orders=tuple(orders))


def _check_no_plan(confirmation: Confirmation) -> None:
    """A trading plan has a confirmation of its own kind, and releases its orders by itself. Raises Refusal."""
    if confirmation.plan_id:
        raise Refusal(
            Code.NOT_PERMITTED,
            "This confirmation belongs to a plan. A plan is started and discarded with the tools confirm_trade and "
            "discard_confirmation or in the console, and its orders go by themselves. Nothing was sent.",
            field="confirmation_id",
        )


def _rule_for(confirmation: Confirmation) -> StandingRule | None:
    """The owner's rule that covers what only they would release."""
    if confirmation.rule_id is None or confirmation.decided_by(confirmation.app.connection) is not Redeemer.OWNER:
        return None
    return confirmation.rule


def _confirm_by_rule(
    principal: Principal,
    confirmation: Confirmation,
    plan: check_rows.PlanRows | None,
    rule: StandingRule,
    request_id: str,
) -> Released:
    """What the rule does not release after all waits for its owner from then on. Raises Refusal."""
    may = standing_rules.redeemable_by(principal.redeemer, confirmation, rule)
    try:
        orders = release.release(
            confirmation, plan, authorize=may, by=principal.app_label, request_id=request_id, rule=rule
        )
    except Refusal as refusal:
        if refusal.code is Code.APPROVAL_REQUIRED:
            confirmations.leave_to_owner(confirmation)
        raise
    return Released(confirmation=confirmation, orders=tuple(orders), rule=rule)


def discard(principal: Principal, confirmation_id: str, *, request_id: str = "") -> Order:
    """Discard what waits behind a confirmation: it can no longer be confirmed. Raises Refusal when it has moved on.

    What waits for its owner is the owner's to end, in the console or through the client that asks them.
    """
    confirmation = order_queries.confirmation_of(principal, confirmation_id)
    _check_no_plan(confirmation)
    if principal.redeemer is Redeemer.APP:
        order_access.check_not_owners_to_release(confirmation)
    what = "Discarded before it was confirmed."
    return release.discard(confirmation, what, by=principal.app_label, request_id=request_id)[0]


# -- cancel --------------------------------------------------------------------------------------------------


def cancel(principal: Principal, order_id: str, *, account_id: str | None = None, request_id: str = "") -> Order:
    """``cancel_with``, of which it returns the order that was named."""
    return cancel_with(principal, order_id, account_id=account_id, request_id=request_id)[0]


def cancel_with(
    principal: Principal, order_id: str, *, account_id: str | None = None, request_id: str = ""
) -> list[Order]:
    """Cancel an app's own order; see ``order_access`` and ``cancel.cancel_order``. After it come those that ended with
    it.

    Raises Refusal, with APPROVAL_REQUIRED where the cancel is held for the owner.
    """
    app, order = preparing.app_of(principal), order_queries.find_order(principal, order_id, account_id)
    order_access.check_may_change(app, order)
    if order_access.cancel_needs_owner(order):
        change = protective_cancels.prepare(app, order, by=principal.app_label, request_id=request_id)
        raise _hold_for_owner(order, f" until {change.confirmation.expires_at:%H:%M:%S} UTC. Then ask get_order_status")
    began = timezone.now()
    done = cancelling.cancel_order(order, by=principal.app_label, request_id=request_id)
    return [done] if done.sent_at is None else [done, *cancelling.ended_along(done, began)]


def _hold_for_owner(order: Order, until: str) -> Refusal:
    return Refusal(
        Code.APPROVAL_REQUIRED,
        f"Order {order.public_id} protects a position, so only the owner can cancel it, in the console at "
        f"{summary.approval_url(order)}{until}. Nothing was cancelled.",
        order_id=order.public_id,
    )


def cancel_all(
    principal: Principal, *, account_id: str | None = None, symbol: str | None = None, request_id: str = ""
) -> tuple[str, list[cancelling.CancelResult]]:
    """Every open order that the app made in one account, or those in one symbol; see ``cancel.cancel_all``.

    What guards a position stays where its owner releases orders, and nobody is asked for it. Raises Refusal.
    """
    app = preparing.app_of(principal)

    def may(order: Order) -> None:
        if order_access.cancel_needs_owner(order):
            raise _hold_for_owner(order, "; to cancel it, use cancel_order")

    connection = Connection.objects.get(pk=principal.connection_id)
    try:
        broker = broker_access.broker_of(connection)
        account_id = broker_access.choose_account(broker, account_id, principal.account_id).account_id
        if symbol is not None:
            symbol = broker.instrument(symbol).symbol
    except BrokerError as error:
        raise refusal_of_read(error) from error
    return account_id, cancelling.cancel_all(
        connection, account_id, symbol=symbol, app=app, may=may, by=principal.app_label, request_id=request_id
    )
