"""What an account holds and is worth now."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any, NotRequired

from django.utils import timezone
from typing_extensions import TypedDict

from brokers.decimals import percent_of
from brokers.types import AccountState, AssetClass
from console.connections import broker_access, equity
from mcpserver import result_tables
from mcpserver.arguments.types import cursor
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools import render
from mcpserver.tools.render import compact

POSITIONS = "positions"
"""What the cursor of the list is of."""


class CashOut(TypedDict):
    currency: str
    total: Number
    settled: NotRequired[Number]
    unsettled: NotRequired[Number]
    reserved: Number
    available: Number


class CashState(TypedDict):
    cash: list[CashOut]
    buying_power: Number


class PositionOut(TypedDict):
    symbol: str
    asset_class: str
    currency: str
    quantity: Number
    reserved: Number
    average_price: NotRequired[Number]
    last: Number
    market_value: Number
    unrealized_pnl: NotRequired[Number]
    unrealized_percent: NotRequired[Number]
    leverage: NotRequired[Number]
    margin_mode: NotRequired[str]
    as_of: NotRequired[Instant]
    delay_seconds: NotRequired[int]
    source: str


class Positions(TypedDict):
    positions: Rows[PositionOut]
    next_cursor: NotRequired[str]
    not_known: NotRequired[list[str]]
    """What the broker listed and this version does not know, by its row."""


class Totals(TypedDict):
    currency: str
    equity: Number
    positions_value: Number
    buying_power: Number


class Portfolio(TypedDict):
    totals: Totals
    cash: list[CashOut]
    positions: Rows[PositionOut]
    not_known: NotRequired[list[str]]


class Earned(TypedDict):
    amount: Number
    percent: NotRequired[Number]
    since: Instant


class Summary(TypedDict):
    currency: str
    equity: Number
    positions_value: Number
    cash: Number
    reserved: Number
    buying_power: Number
    unrealized_pnl: NotRequired[Number]
    day_pnl: NotRequired[Earned]
    total_pnl: NotRequired[Earned]


def get_account_summary(call: ToolCall) -> dict[str, Any]:
    """Day and total P&L are changes of equity since UTC midnight and since the account was linked, less what was
    paid in."""
    connection_id = call.principal.connection_id
    midnight = equity.floor(timezone.now(), timedelta(days=1))
    with broker_access.account_for(call.principal, call.args.get("account_id")) as (broker, account):
        call.account_id = account.account_id
        state = broker.account_state(account.account_id)
        held = broker.positions(account.account_id)
        known = [
            equity.equity_at(connection_id, account.account_id, midnight),
            equity.equity_at(connection_id, account.account_id),
        ]
        paid_in = [
            equity.net_deposits(broker, account.account_id, state.currency, at) if at else Decimal(0)
            for at in (each[1] if each else None for each in known)
        ]
    cash = next((each for each in state.cash if each.currency == state.currency), None)
    day, total = (
        _earned(state.equity, began, paid) if began else None for began, paid in zip(known, paid_in, strict=True)
    )
    return compact(
        **_totals(state),
        cash=cash.total if cash else None,
        reserved=cash.reserved if cash else None,
        unrealized_pnl=_sum_known(each.unrealized_pnl for each in held if each.currency == state.currency),
        day_pnl=day,
        total_pnl=total,
    )


def _sum_known(values: Iterable[Decimal | None]) -> Decimal | None:
    """None as soon as one of them is not known: a part of the sum would look like all of it."""
    found = list(values)
    return None if None in found else sum((each for each in found if each is not None), Decimal(0))


def get_cash(call: ToolCall) -> dict[str, Any]:
    with broker_access.account_for(call.principal, call.args.get("account_id")) as (broker, account):
        call.account_id = account.account_id
        state = broker.account_state(account.account_id)
    return {"cash": _cash(state), **compact(buying_power=state.buying_power)}


def get_positions(call: ToolCall) -> dict[str, Any]:
    wanted, asset_class = call.args.get("symbol"), call.args.get("asset_class")
    with broker_access.account_for(call.principal, call.args.get("account_id")) as (broker, account):
        call.account_id = account.account_id
        symbol = broker.instrument(wanted).symbol if wanted else None
        held = broker.positions(account.account_id)
        unknown = broker.unknown_words
    kind = AssetClass(asset_class) if asset_class else None
    after = call.args.get("cursor", "")
    rows = [
        render.position(each)
        for each in sorted(held, key=lambda each: each.symbol)
        if symbol in (None, each.symbol) and kind in (None, each.asset_class) and each.symbol > after
    ]
    shown = rows[: result_tables.how_many_fit(rows, is_default=True)]
    going_on = cursor(POSITIONS, shown[-1]["symbol"]) if len(rows) > len(shown) else None
    return {"positions": shown, **compact(next_cursor=going_on), **render.not_known(unknown)}


def get_portfolio(call: ToolCall) -> dict[str, Any]:
    with broker_access.account_for(call.principal, call.args.get("account_id")) as (broker, account):
        call.account_id = account.account_id
        state = broker.account_state(account.account_id)
        held = broker.positions(account.account_id)
        unknown = broker.unknown_words
    return {
        "totals": _totals(state),
        "cash": _cash(state),
        "positions": [render.position(each) for each in held],
        **render.not_known(unknown),
    }


def _totals(state: AccountState) -> dict[str, Any]:
    return compact(
        currency=state.currency,
        equity=state.equity,
        positions_value=state.positions_value,
        buying_power=state.buying_power,
    )


def _cash(state: AccountState) -> list[dict[str, Any]]:
    return [
        compact(
            currency=each.currency,
            total=each.total,
            settled=each.settled,
            unsettled=None if each.settled is None else each.total - each.settled,
            reserved=each.reserved,
            available=each.available,
        )
        for each in state.cash
    ]


def _earned(now: Decimal, began: tuple[Decimal, Any], paid_in: Decimal) -> dict[str, Any]:
    amount = now - began[0] - paid_in
    return compact(amount=amount, percent=percent_of(amount, began[0] + paid_in), since=began[1])
