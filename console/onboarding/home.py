"""What Home says in one line."""

from brokers.types import Environment
from console.accounts.models import User
from console.connections import queries as connection_queries

_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def has_live(owner: User) -> bool:
    """Whether real money is behind anything of this person's."""
    return connection_queries.open_connections(owner).filter(environment=Environment.LIVE).exists()


def status_sentence(reaching: int, reached: int, orders_waiting: int) -> str:
    """The state of the instance in one line: ``Two assistants can reach one account. Nothing is waiting.``"""
    if not reached:
        first = "No assistant or script has access to an account."
    else:
        first = (
            f"{_count(reaching, 'assistant or script', 'assistants and scripts')} can reach "
            f"{_count(reached, 'account', 'accounts').lower()}."
        )
    if not orders_waiting:
        return f"{first} Nothing is waiting."
    verb = "is" if orders_waiting == 1 else "are"
    return f"{first} {_count(orders_waiting, 'order', 'orders')} {verb} waiting for confirmation."


def _count(number: int, one: str, many: str) -> str:
    return f"{_NUMBERS[number] if number < len(_NUMBERS) else number} {one if number == 1 else many}"
