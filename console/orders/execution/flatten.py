"""What closing everything cancels first, and the checks of its closes."""

import logging

from brokers import spreads
from brokers.errors import BrokerError
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of, refusal_of_read
from console.orders import states
from console.orders.checks import check_rows, check_subject, order_access, pipeline, position_checks
from console.orders.checks.check_subject import Subject
from console.orders.checks.pipeline import About, Stage
from console.orders.execution import cancel as cancelling
from console.orders.models import Action, Confirmation, Order
from console.orders.states import Status
from console.orders.transitions import order_state

log = logging.getLogger(__name__)

_NOW = pipeline.EVERYTHING - {About.CONFIRMATION}


def cancel_conflicting(confirmation: Confirmation, going: list[Order], by: str, request_id: str) -> list[Order]:
    """Take back what works in the symbols that are closed, then check the closes in full; those that pass are returned.

    Orders without a position go, too. Those of a position that stays do not: they may be all that guards it. Of an
    app's own flatten, neither do those of others; see ``order_access``. Raises
    Refusal when no close goes, saying what was cancelled.
    """
    connection, account_id, app = going[0].connection, going[0].account_id, order_access.flatten_scope(confirmation)
    refused: list[tuple[Order, Refusal]] = []
    cleared: list[Order] = []
    taken: list[cancelling.CancelResult] = []

    def is_ours() -> bool:
        """Told before each cancel, so that the sweep takes over from a process that died and from no other."""
        return order_state.renew_lease(going)

    def take_back(symbol: str) -> list[cancelling.CancelResult]:
        results = cancelling.cancel_all(
            connection,
            account_id,
            symbol=symbol,
            app=app,
            exclude=confirmation,
            should_continue=is_ours,
            by=by,
            request_id=request_id,
        )
        taken.extend(results)
        return [each for each in results if _is_stuck(each)]

    for order in going:
        if not is_ours():
            break
        try:
            _check_still_valid(confirmation, order)
            order_access.check_no_other_orders(app, connection, account_id, order.symbol, exclude=confirmation)
            if stuck := take_back(order.symbol):
                why = stuck[0].refusal or "its broker has not reported the outcome yet."
                raise Refusal(
                    Code.OUTCOME_UNKNOWN if stuck[0].refusal is None else stuck[0].refusal.code,
                    f"Working order {stuck[0].order.public_id} could not be cancelled, so {order.symbol} was not "
                    f"closed: {why}",
                )
        except BrokerError as error:
            refused.append((order, refusal_of_read(error)))
        except Refusal as refusal:
            refused.append((order, refusal))
        else:
            cleared.append(order)
    if cleared:
        for symbol in _without_position(confirmation, connection, account_id):
            take_back(symbol)
    cancelling.wait_until_closed(taken)
    passed: list[Order] = []
    for order in cleared:
        try:
            _check_cancelled(order, taken)
            is_ours()
            # No sum of them is looked at: a short that is bought back frees what it held.
            pipeline.require(_close(confirmation, order), Stage.CONFIRMED, about=_NOW)
        except BrokerError as error:
            refused.append((order, refusal_of(error)))
        except Refusal as refusal:
            refused.append((order, refusal))
        else:
            passed.append(order)
    for order, no in refused:
        order_state.deny(order, no, by, request_id)
    if not passed:
        if not refused:
            raise Refusal(Code.CONFIRMATION_USED, "This confirmation was used already.", order_id=going[0].public_id)
        first = refused[0][1]
        cancelled = [each.order.public_id for each in taken if each.order.state is Status.CANCELLED]
        raise Refusal(
            first.code,
            f"{first} Working orders cancelled before: {', '.join(cancelled) or 'none'}.",
            order_id=refused[0][0].public_id,
        )
    return passed


def _check_cancelled(order: Order, taken: list[cancelling.CancelResult]) -> None:
    """What still stands in the symbol could fill after its close, and open a position anew. Raises Refusal."""
    for each in taken:
        if each.order.trades(order.symbol) and each.order.state in states.OPEN:
            raise Refusal(
                Code.OUTCOME_UNKNOWN,
                f"Working order {each.order.public_id} was cancelled, but its broker has not confirmed it yet, so "
                f"{order.symbol} was not closed. Wait a moment and prepare it again.",
            )


def _check_still_valid(confirmation: Confirmation, order: Order) -> None:
    """A halt, a revocation or another position since the release holds the close back: nothing is cancelled for it.

    Raises BrokerError, Refusal.
    """
    close = _close(confirmation, order, before_cancels=True)
    pipeline.require(close, Stage.CONFIRMED, about={About.ASKER, About.POSITION})


def _close(confirmation: Confirmation, order: Order, *, before_cancels: bool = False) -> Subject:
    """Of a plan that was released already: the yes is on record, and what was shown was compared with it."""
    asking = check_rows.app_rows(order.app_id)
    return check_subject.of_order(order, asking, confirmation, {}, before_cancels=before_cancels)


def _is_stuck(result: cancelling.CancelResult) -> bool:
    refusal = result.refusal
    return result.order.state in states.IN_FLIGHT or (refusal is not None and refusal.code is not Code.NOT_CANCELLABLE)


def _without_position(confirmation: Confirmation, connection: Connection, account_id: str) -> list[str]:
    """Symbols with working orders and nothing held; none where the broker does not tell all that is held."""
    working = Order.objects.filter(connection=connection, account_id=account_id, status__in=states.OPEN)
    symbols = set(working.exclude(confirmation=confirmation).values_list("symbol", flat=True))
    if symbols:
        try:
            broker = broker_access.broker_of(connection)
            positions, left_out = broker.positions(account_id), position_checks.unreadable(broker)
        except BrokerError as error:
            log.warning("Orders without a position are not cancelled, as the positions are not known: %s", error)
            return []
        if left_out:
            log.warning("Orders without a position are not cancelled, as these positions cannot be read: %s", left_out)
            return []
        held = {each.symbol for each in positions if each.quantity}
        symbols = {name for name in symbols if not any(spreads.is_part(each, name) for each in held)}
    return sorted(symbols)


def check_alone(confirmation: Confirmation, connection: Connection, lead: Order) -> None:
    """Two at once would each take the other's closes for orders in the way. Under the connection's lock."""
    others = Order.objects.filter(
        connection=connection,
        account_id=lead.account_id,
        confirmation__action=Action.FLATTEN,
        status__in=(Status.INTENT, Status.SENDING),
    )
    if others.exclude(confirmation=confirmation).exists():
        raise Refusal(
            Code.POSITION_CHANGED,
            "This account is already being closed. Nothing was sent; check its orders first.",
            order_id=lead.public_id,
        )
