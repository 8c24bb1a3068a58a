"""The question an app's client puts to its user before an order goes: put, answered by a program, closed unanswered.

A yes and a no are confirm and discard, as everywhere; see ``actions``.
"""

from console.orders import queries as order_queries
from console.orders.models import Confirmation
from console.orders.transitions import confirmations
from console.principal import Principal


def put(principal: Principal, confirmation_id: str, *, instead_of: str = "") -> str:
    """The app's user is asked from now on. Returns the id of the question, which no model may learn. Raises Refusal.

    ``instead_of``: the id of the question it replaces.
    """
    confirmation = order_queries.confirmation_of(principal, confirmation_id)
    return confirmations.open_question(confirmation, instead_of=instead_of)


def answered_by_program(principal: Principal, confirmation_id: str, question: str) -> Confirmation:
    """Nobody was asked. On paper the app may confirm where the assistant may at all; else it waits for its owner.

    Where the same order was put to its user by another question too, it goes on waiting for that one's answer.
    Raises Refusal.
    """
    confirmation = order_queries.confirmation_of(principal, confirmation_id)
    if not confirmations.withdraw_question(confirmation, question) and confirmation.question == question:
        confirmations.hold_for_owner(confirmation)
    return confirmation


def closed(principal: Principal, confirmation_id: str) -> Confirmation:
    """Its user saw it and said neither yes nor no, so it waits for its owner in the console. Raises Refusal."""
    confirmation = order_queries.confirmation_of(principal, confirmation_id)
    confirmations.hold_for_owner(confirmation)
    return confirmation
