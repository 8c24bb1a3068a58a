"""The fake Alpaca of the load: an account of its own for each key, so that nobody sees another's orders.

``python -m tests.load.exchange`` serves it until standard input ends, in a process that no kill touches.
"""

from dataclasses import replace
from typing import Any

from tests.brokers.alpaca.fake import KEY_ID
from tests.brokers.faults import Asked, FakeBroker, Reply, run_alone
from tests.chaos.exchange import Exchange

_KEY = "APCA-API-KEY-ID"


def key_of(number: int) -> str:
    """The key id of one account; the secret is the same for all."""
    return f"{KEY_ID[:-4]}{number:04}"


class Accounts(FakeBroker):
    def __init__(self) -> None:
        super().__init__()
        self._accounts: dict[str, Exchange] = {}

    def posted(self, asked: Asked) -> None:
        account, asked = self._account_of(asked)
        account.posted(asked)

    def answer(self, asked: Asked) -> Reply:
        account, asked = self._account_of(asked)
        return account.answer(asked)

    def control(self, what: str, told: Any) -> Any:
        """``state``: of the account whose key is told."""
        if what == "state":
            return self._account(told).control("state", None)
        return super().control(what, told)

    def _account_of(self, asked: Asked) -> tuple[Exchange, Asked]:
        """The account, and the request as the fake of a single one expects it."""
        headers = {name.upper(): value for name, value in asked.headers.items()}
        return self._account(headers.get(_KEY, "")), replace(asked, headers=headers | {_KEY: KEY_ID})

    def _account(self, key: str) -> Exchange:
        with self.lock:
            if key not in self._accounts:
                account = Exchange()
                account.keeps_to_document = False  # the contract suite looks at that
                self._accounts[key] = account
            return self._accounts[key]


if __name__ == "__main__":
    run_alone(Accounts)
