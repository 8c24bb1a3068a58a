"""Whether a broker still shows the account that was linked: whoever signs in at a gateway decides what it shows.

Paper or live never changes on a connection, nor does whose account it is: limits, policy and approvals rest on both.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from brokers.base import Broker
from brokers.errors import OtherAccount
from brokers.types import Account, ConnectionInfo

ACCOUNT = "linked_account"
"""Under which settings keep the account that was proved when the connection was made."""


def with_account(settings: Mapping[str, Any], info: ConnectionInfo) -> dict[str, Any]:
    return {**settings, ACCOUNT: info.accounts[0].account_id}


class _GuardedBroker:
    """A ``Broker`` that tells its accounts only while they are those of its connection. Raises OtherAccount."""

    def __init__(self, broker: Broker, settings: Mapping[str, Any]) -> None:
        self._broker, self._settings = broker, settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def accounts(self) -> list[Account]:
        found = self._broker.accounts()
        self._check(found)
        return found

    def connect(self) -> ConnectionInfo:
        info = self._broker.connect()
        self._check(info.accounts)
        return info

    def _check(self, found: Iterable[Account]) -> None:
        environment, mine = self._settings.get("environment"), self._settings.get(ACCOUNT)
        for account in found:
            if environment and account.environment.value != environment:
                raise OtherAccount(
                    f"The broker now shows a {account.environment.value} account, but this connection is "
                    f"{environment}. Nothing was done."
                )
        if mine and mine not in {account.account_id for account in found}:
            raise OtherAccount(
                "The broker now shows different accounts from the one that was linked. Nothing was done."
            )


def guard_account(broker: Broker, settings: Mapping[str, Any]) -> Broker:
    return cast(Broker, _GuardedBroker(broker, settings))
