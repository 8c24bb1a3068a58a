"""How an account has done: profit and loss, its equity over time, its highest and lowest points."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, NotRequired

from django.utils import timezone
from typing_extensions import TypedDict

from brokers.decimals import percent_of, to_cents
from brokers.types import AccountState, Position
from console.connections import broker_access, equity
from console.connections.equity import Point
from console.connections.models import Connection
from console.journal import performance, realized_profit
from console.journal.profit_rollups import ProfitSum
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools.render import check_span, compact, day_of

PERIODS: dict[str, timedelta | None] = {
    "1d": timedelta(days=1),
    "1w": timedelta(weeks=1),
    "1m": timedelta(days=30),
    "3m": timedelta(days=91),
    "1y": timedelta(days=365),
    "all": None,
}
BARS = {"5m": equity.FINE, "1h": equity.HOUR, "1d": equity.DAY}
_BAR_OF = {"1d": "5m", "1w": "1h"}
_MOST_POINTS = 300
_MOST_GROUPS = 200
_MOST_DAYS = 31

GROUPS = tuple(performance.GROUPS)
_NOTHING = ProfitSum()
METHOD = (
    "Average cost over all fills, per symbol. realized_pnl is before fees; net_realized_pnl is after fees paid in the "
    "requested period."
    " unrealized_pnl is at the last price now, before fees. Days and months are UTC."
)


class ProfitFigures(TypedDict):
    currency: str
    realized_pnl: Number
    fees: Number
    net_realized_pnl: Number
    unrealized_pnl: NotRequired[Number]
    fills: int


class ProfitGroup(ProfitFigures):
    symbol: NotRequired[str]
    day: NotRequired[str]
    month: NotRequired[str]


class ProfitAndLoss(TypedDict):
    totals: list[ProfitFigures]
    groups: NotRequired[Rows[ProfitGroup]]
    truncated: NotRequired[bool]
    method: str


class EquityPoint(TypedDict):
    start: Instant
    equity: Number
    high: Number
    low: Number


class History(TypedDict):
    currency: str
    bar: str
    equity: Number
    change: NotRequired[Number]
    change_percent: NotRequired[Number]
    since: NotRequired[Instant]
    points: Rows[EquityPoint]
    truncated: NotRequired[bool]


class Mark(TypedDict):
    equity: Number
    at: Instant


class Fall(TypedDict):
    amount: Number
    percent: Number
    peak: Number
    peak_at: Instant
    trough: NotRequired[Number]
    trough_at: NotRequired[Instant]


class DayRange(TypedDict):
    day: str
    high: Number
    low: Number
    close: Number


class Watermarks(TypedDict):
    currency: str
    equity: Number
    high: Mark
    low: Mark
    drawdown: NotRequired[Fall]
    max_drawdown: NotRequired[Fall]
    days: Rows[DayRange]
    note: str


def get_pnl(call: ToolCall) -> dict[str, Any]:
    args = call.args
    check_span(args)
    group_by = args.get("group_by")
    connection = Connection.objects.get(pk=call.principal.connection_id)
    with broker_access.account_for(call.principal, args.get("account_id")) as (broker, account):
        call.account_id = account.account_id
        span = {"start": args.get("start"), "end": args.get("end")}
        earned = realized_profit.up_to_now(
            broker, connection, account.account_id, group_by, **span, most=_MOST_GROUPS + 1
        )
        held = broker.positions(account.account_id)
    open_profit = _open_profit(held, lambda position: "")
    answer: dict[str, Any] = {
        "totals": [
            _profit(currency, earned.totals.get(currency, _NOTHING), open_profit.get((currency, ""), Decimal(0)))
            for currency in sorted({*earned.totals, *(currency for currency, _ in open_profit)} or {account.currency})
        ]
    }
    if group_by:
        by_symbol = _open_profit(held, lambda position: position.symbol) if group_by == "symbol" else {}
        keys = sorted({*earned.groups, *by_symbol}, key=lambda key: (key[1], key[0]), reverse=group_by != "symbol")
        answer["groups"] = [
            {group_by: key[1]} | _profit(key[0], earned.groups.get(key, _NOTHING), by_symbol.get(key))
            for key in keys[:_MOST_GROUPS]
        ]
        answer |= compact(truncated=len(keys) > _MOST_GROUPS or None)
    return answer | {"method": METHOD}


def get_portfolio_history(call: ToolCall) -> dict[str, Any]:
    period = call.args.get("period", "1m")
    bar = call.args.get("bar", _BAR_OF.get(period, "1d"))
    state, account_id = _state(call)
    connection_id, now, back = call.principal.connection_id, timezone.now(), PERIODS[period]
    since = now - back if back else None
    known = equity.points(connection_id, account_id, since=since, bar=BARS[bar], most=_MOST_POINTS + 1)
    known = equity.with_current(known, state, now, BARS[bar])
    first = equity.first_in(connection_id, account_id, since) or (known[0].opened, known[0].opened_at)
    change = state.equity - first[0]
    return compact(
        currency=state.currency,
        bar=bar,
        equity=state.equity,
        change=change,
        change_percent=percent_of(change, first[0]),
        since=first[1],
        truncated=len(known) > _MOST_POINTS or None,
        points=[
            compact(start=each.start, equity=each.equity, high=each.high, low=each.low)
            for each in known[-_MOST_POINTS:]
        ],
    )


def get_watermarks(call: ToolCall) -> dict[str, Any]:
    state, account_id = _state(call)
    connection_id, now, back = call.principal.connection_id, timezone.now(), PERIODS[call.args.get("period", "all")]
    since = now - back if back else None
    days = equity.points(connection_id, account_id, since=since, bar=equity.DAY, most=_MOST_DAYS)
    days = equity.with_current(days, state, now, equity.DAY)
    known = equity.points(connection_id, account_id, since=since) if back else []
    marks = (None if back else equity.marks(connection_id, account_id)) or equity.marks_of(known or days)
    marks = marks.with_reading(state.equity, now)
    deepest, below = marks.deepest, marks.high - state.equity
    return compact(
        currency=state.currency,
        equity=state.equity,
        high=compact(equity=marks.high, at=marks.high_at),
        low=compact(equity=marks.low, at=marks.low_at),
        drawdown=compact(amount=below, percent=percent_of(below, marks.high), peak=marks.high, peak_at=marks.high_at)
        if below > 0
        else None,
        max_drawdown=compact(
            amount=deepest.amount,
            percent=percent_of(deepest.amount, deepest.peak),
            peak=deepest.peak,
            peak_at=deepest.peak_at,
            trough=deepest.trough,
            trough_at=deepest.trough_at,
        )
        if deepest
        else None,
        days=_days(days),
        note="Equity as sampled, at most every 30 seconds; deposits and withdrawals move it too.",
    )


def _state(call: ToolCall) -> tuple[AccountState, str]:
    """What the account is worth now, and its id."""
    with broker_access.account_for(call.principal, call.args.get("account_id")) as (broker, account):
        call.account_id = account.account_id
        return broker.account_state(account.account_id), account.account_id


def _days(days: Sequence[Point]) -> list[dict[str, Any]]:
    return [
        compact(day=day_of(each.start), high=each.high, low=each.low, close=each.equity) for each in days[-_MOST_DAYS:]
    ]


def _open_profit(held: Iterable[Position], key: Callable[[Position], str]) -> dict[tuple[str, str], Decimal | None]:
    """None where the broker does not tell the profit of one of them."""
    found: dict[tuple[str, str], Decimal | None] = {}
    for position in held:
        place = (position.currency, key(position))
        so_far, its = found.get(place, Decimal(0)), position.unrealized_pnl
        found[place] = None if so_far is None or its is None else so_far + its
    return found


def _profit(currency: str, total: ProfitSum, unrealized: Decimal | None) -> dict[str, Any]:
    return compact(
        currency=currency,
        realized_pnl=to_cents(total.realized),
        fees=to_cents(total.fees),
        net_realized_pnl=to_cents(total.net),
        unrealized_pnl=None if unrealized is None else to_cents(unrealized),
        fills=total.fills,
    )
