"""What Home says in one line."""

from brokers.types import Environment
from console.accounts.models import User
from console.connections import queries as connection_queries

_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def has_live(owner: User) -> bool:
    """Whether real money is behind anything of this person's."""
    return connection_queries.open_connections(owner).filter(environment=Environment.LIVE).exists()


def status_sentence(reaching: int, reached: int, for_owner: int, for_apps: int) -> str:
    """The state of the instance in one line: ``Two assistants can reach one account. Nothing is waiting.``

    ``for_owner``: orders that wait for the owner, as the badge in the menu counts them; ``for_apps``: those that an
    app may confirm.
    """
    if not reached:
        said = ["No assistant or script has access to an account."]
    else:
        said = [
            f"{_count(reaching, 'assistant or script', 'assistants and scripts')} can reach "
            f"{_count(reached, 'account', 'accounts').lower()}."
        ]
    for waiting, what in ((for_owner, "for you"), (for_apps, "for confirmation")):
        if waiting:
            said.append(f"{_count(waiting, 'order is', 'orders are')} waiting {what}.")
    return " ".join(said if for_owner or for_apps else [*said, "Nothing is waiting."])


def _count(number: int, one: str, many: str) -> str:
    return f"{_NUMBERS[number] if number < len(_NUMBERS) else number} {one if number == 1 else many}"
