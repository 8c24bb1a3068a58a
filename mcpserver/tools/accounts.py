"""Accounts, cash, positions and what happened to them."""

from typing import Any

from typing_extensions import TypedDict

from brokers.types import Account, AccountState
from console.connected_apps import grants
from console.connections import reads
from mcpserver.call import Call
from mcpserver.tools import render
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


def get_accounts(call: Call) -> dict[str, Any]:
    with reads.broker_for(call.principal) as broker:
        current = reads.choose_account(broker, None, call.principal.account_id)
        call.account_id = current.account_id
        return {"accounts": [_account(each, current.account_id) for each in broker.accounts()]}


def get_current_account(call: Call) -> dict[str, Any]:
    with reads.broker_for(call.principal) as broker:
        current = reads.choose_account(broker, None, call.principal.account_id)
    call.account_id = current.account_id
    return {"account": _account(current, current.account_id)}


def set_current_account(call: Call) -> dict[str, Any]:
    with reads.broker_for(call.principal) as broker:
        chosen = reads.choose_account(broker, call.args["account_id"], "")
    grants.set_account(call.principal.app_id, chosen.account_id)
    call.account_id = chosen.account_id
    return {"account": _account(chosen, chosen.account_id)}


def _cash(state: AccountState) -> list[dict[str, Any]]:
    return [
        compact(currency=each.currency, total=each.total, reserved=each.reserved, available=each.available)
        for each in state.cash
    ]


def _totals(state: AccountState) -> dict[str, Any]:
    return compact(
        currency=state.currency,
        equity=state.equity,
        positions_value=state.positions_value,
        buying_power=state.buying_power,
    )


def get_cash(call: Call) -> dict[str, Any]:
    with reads.broker_for(call.principal) as broker:
        account = reads.choose_account(broker, call.args.get("account_id"), call.principal.account_id)
        call.account_id = account.account_id
        state = broker.account_state(account.account_id)
    return {"cash": _cash(state), "buying_power": render.compact(amount=state.buying_power)["amount"]}


def get_positions(call: Call) -> dict[str, Any]:
    with reads.broker_for(call.principal) as broker:
        account = reads.choose_account(broker, call.args.get("account_id"), call.principal.account_id)
        call.account_id = account.account_id
        wanted = call.args.get("symbol")
        symbol = broker.instrument(wanted).symbol if wanted else None
        held = broker.positions(account.account_id)
    return {"positions": [render.position(each) for each in held if symbol in (None, each.symbol)]}


def get_portfolio(call: Call) -> dict[str, Any]:
    with reads.broker_for(call.principal) as broker:
        account = reads.choose_account(broker, call.args.get("account_id"), call.principal.account_id)
        call.account_id = account.account_id
        state = broker.account_state(account.account_id)
        held = broker.positions(account.account_id)
    return {
        "totals": _totals(state),
        "cash": _cash(state),
        "positions": [render.position(each) for each in held],
    }


def get_transactions(call: Call) -> dict[str, Any]:
    with reads.broker_for(call.principal) as broker:
        account = reads.choose_account(broker, call.args.get("account_id"), call.principal.account_id)
        call.account_id = account.account_id
        rows = broker.transactions(
            account.account_id,
            start=call.args.get("start"),
            end=call.args.get("end"),
            limit=call.args.get("limit", 50),
        )
    return {"transactions": [render.transaction(each) for each in rows]}
