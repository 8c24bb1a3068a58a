"""Which accounts there are, and which one a call means."""

from typing import Any

from typing_extensions import TypedDict

from brokers.types import Account
from console.connected_apps import grants
from console.connections import broker_access
from mcpserver.context import ToolCall
from mcpserver.tools.render import compact


class AccountOut(TypedDict):
    account_id: str
    name: str
    currency: str
    environment: str
    current: bool


class Accounts(TypedDict):
    accounts: list[AccountOut]


class OneAccount(TypedDict):
    account: AccountOut


def _account(value: Account, current: str) -> dict[str, Any]:
    return compact(
        account_id=value.account_id,
        name=value.name,
        currency=value.currency,
        environment=value.environment.value,
        current=value.account_id == current,
    )


def get_accounts(call: ToolCall) -> dict[str, Any]:
    with broker_access.broker_for(call.principal) as broker:
        current = broker_access.choose_account(broker, None, call.principal.account_id)
        call.account_id = current.account_id
        return {"accounts": [_account(each, current.account_id) for each in broker.accounts()]}


def get_current_account(call: ToolCall) -> dict[str, Any]:
    with broker_access.broker_for(call.principal) as broker:
        current = broker_access.choose_account(broker, None, call.principal.account_id)
    call.account_id = current.account_id
    return {"account": _account(current, current.account_id)}


def set_current_account(call: ToolCall) -> dict[str, Any]:
    with broker_access.broker_for(call.principal) as broker:
        chosen = broker_access.choose_account(broker, call.args["account_id"], "")
    grants.set_account(call.principal.app_id, chosen.account_id)
    call.account_id = chosen.account_id
    return {"account": _account(chosen, chosen.account_id)}
