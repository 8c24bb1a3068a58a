"""Every tool, declared once: what a model reads, what we check, what runs, what comes back.

The list, the documentation in the console, the table in docs/reference and the sizes an owner sees are all derived from
here.
"""

import difflib
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from django.conf import settings

from brokers.types import LONGEST_SYMBOL, Ability, AssetClass, OrderClass, OrderType, Side, TimeInForce
from console.alerts import services as alert_services
from console.authority.call_quota import CallKind
from console.connections import broker_access
from console.connections.bar_series import BarSpan
from console.errors import Code, Refusal
from console.orders.states import Status
from console.orders.terms import no_spreads
from console.principal import Principal
from console.scopes import Scope
from console.toolsets import Toolset, switched_on
from mcpserver import result_schemas, result_tables
from mcpserver.arguments import lenient
from mcpserver.arguments.base import Amount, Arg, Choice, Moment, Symbols, Text, Whole
from mcpserver.arguments.types import (
    Amounts,
    Currency,
    Cursor,
    Day,
    Filters,
    Flag,
    Leverage,
    OptionLegs,
    OrderItems,
    Texts,
)
from mcpserver.context import ToolAnswer, ToolCall
from mcpserver.tools import (
    account_selection,
    alerts,
    derivatives,
    earn,
    executions,
    funding,
    holdings,
    journal,
    market,
    orders,
    paper,
    performance,
    plans,
    risk,
    screeners,
    server_info,
    signals,
)


class ToolAccess(StrEnum):
    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tool:
    """One of ``TOOLS``: equal to itself alone, so that a list of them is quickly compared with another."""

    name: str
    toolset: Toolset
    about: str
    run: Callable[[ToolCall], dict[str, Any]]
    returns: type[Any]
    """The TypedDict of its result, declared beside the handler; the pipeline adds ``context``. Not sent in the list."""
    args: tuple[Arg, ...] = ()
    access: ToolAccess = ToolAccess.READ
    throttle: CallKind = CallKind.READ
    ability: Ability | None = None
    """What the connection's broker must be able to do; None: every broker can."""
    asks: bool = False
    """May answer with a question to the user, where the client can ask one."""
    reports: bool = False
    """Takes long enough to report progress."""
    scope: Scope = field(init=False)
    """Reading takes the one, the rest the other; only who may prepare an order has any to look at."""

    def __post_init__(self) -> None:
        reads_only = self.access is ToolAccess.READ and self.toolset is not Toolset.TRADE
        object.__setattr__(self, "scope", Scope.READ if reads_only else Scope.TRADE)

    @property
    def annotations(self) -> dict[str, bool]:
        """Hints of MCP (2025-11-25, "ToolAnnotations"), those left out that say what is so without them.

        Idempotent and destructive mean something for writes alone; every tool speaks to a world outside.
        """
        if self.access is ToolAccess.READ:
            return {"readOnlyHint": True}
        if self.access is ToolAccess.WRITE:
            return {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": True}
        return {"readOnlyHint": False, "destructiveHint": True}


ACCOUNT = Text(name="account_id", longest=64)
ORDER_ID = Text(name="order_id", longest=64)
CLIENT_ORDER_ID = Text(name="client_order_id", longest=64)
LIMIT = Whole(name="limit", most=200)
SYMBOL = Text(name="symbol", required=True, longest=LONGEST_SYMBOL)
SYMBOLS = Symbols(name="symbols", required=True)
ASSET_CLASS = Choice(name="asset_class", choices=tuple(each.value for each in AssetClass))
BAR = Choice(name="bar", choices=tuple(each.value for each in BarSpan), also=market.SAME_BARS)
PERIOD = Choice(name="period", choices=tuple(market.PERIODS), also=market.SAME_PERIODS)

# What an order is asked for with, whether to place it or to look at it first.
ORDER: tuple[Arg, ...] = (
    SYMBOL,
    Choice(name="side", required=True, choices=tuple(each.value for each in Side)),
    Amount(name="quantity", about='Units as decimal text, e.g. "0.1".'),
    Amount(name="notional", about="Or: money to spend or raise, MKT."),
    Choice(
        name="order_type",
        choices=tuple(each.value for each in OrderType),
        also={
            "MARKET": "MKT",
            "LIMIT": "LMT",
            "STOP": "STP",
            "STP_LMT": "STP_LIMIT",
            "STOP_LIMIT": "STP_LIMIT",
        },
        about="Default MKT.",
    ),
    Amount(name="limit_price"),
    Amount(name="stop_price"),
    Amount(name="trail_amount"),
    Amount(name="trail_percent"),
    Choice(name="tif", choices=tuple(each.value for each in TimeInForce), about="Default DAY, else GTC."),
    Flag(name="outside_rth"),
    Flag(name="reduce_only"),
    Flag(name="post_only"),
    Choice(name="order_class", choices=tuple(each.value for each in OrderClass)),
    Amount(name="take_profit"),
    Amount(name="stop_loss"),
    Amount(name="stop_loss_trail_percent"),
    Flag(name="at_once"),
    Leverage(name="leverage", in_schema=False),
    OptionLegs(
        name="legs",
        about="2 to 4 options on symbol as one order; side BUY pays limit_price net, SELL receives it.",
        in_schema=False,
    ),
)

ALERT_ID = Text(name="alert_id", required=True, longest=40)

_SIZING = frozenset({"symbol", "side", "order_type", "limit_price", "stop_price"})
"""Which of them say how large an order may be."""


def _listed_elsewhere(arg: Arg) -> Arg:
    """As short as it can be listed, where another tool's list says what it takes."""
    return replace(arg, about="", is_listed=False) if isinstance(arg, Choice) else replace(arg, about="")


# What can be changed of an order that rests.
MODIFY: tuple[Arg, ...] = (
    Amount(name="quantity", about="New total, filled part included."),
    Amount(name="limit_price"),
    Amount(name="stop_price"),
    Amount(name="trail_amount"),
    Amount(name="trail_percent"),
    Choice(name="tif", choices=tuple(each.value for each in TimeInForce), is_listed=False),
    Flag(name="at_once"),
)

TOOLS: tuple[Tool, ...] = (
    Tool(
        name="get_capabilities",
        toolset=Toolset.CORE,
        about="Capabilities: what you can do, are allowed to; permissions, paper or live, order types, who confirms.",
        run=server_info.get_capabilities,
        returns=server_info.ServerCapabilities,
    ),
    Tool(
        name="self_test",
        toolset=Toolset.CORE,
        about="Check the connection now; says what is broken and what to do.",
        run=server_info.self_test,
        returns=server_info.SelfTest,
    ),
    Tool(
        name="get_connections",
        toolset=Toolset.CORE,
        about="Broker connection: state, environment, last error.",
        run=server_info.get_connections,
        returns=server_info.Connections,
    ),
    Tool(
        name="get_accounts",
        toolset=Toolset.CORE,
        about="Accounts this app may see, with environment.",
        run=account_selection.get_accounts,
        returns=account_selection.Accounts,
    ),
    Tool(
        name="get_current_account",
        toolset=Toolset.CORE,
        about="Account used when account_id is omitted.",
        run=account_selection.get_current_account,
        returns=account_selection.OneAccount,
    ),
    Tool(
        name="set_current_account",
        toolset=Toolset.CORE,
        about="Set the account used when account_id is omitted.",
        run=account_selection.set_current_account,
        returns=account_selection.OneAccount,
        args=(Text(name="account_id", required=True, longest=64),),
        access=ToolAccess.WRITE,
    ),
    Tool(
        name="get_account_summary",
        toolset=Toolset.ACCOUNT,
        ability=Ability.TRANSACTIONS,
        about="Account balance and value (net worth): equity, cash, buying power, profit and loss.",
        run=holdings.get_account_summary,
        returns=holdings.Summary,
        args=(ACCOUNT,),
    ),
    Tool(
        name="get_portfolio",
        toolset=Toolset.ACCOUNT,
        about="Portfolio: holdings, cash and total value in one call.",
        run=holdings.get_portfolio,
        returns=holdings.Portfolio,
        args=(ACCOUNT,),
    ),
    Tool(
        name="get_positions",
        toolset=Toolset.ACCOUNT,
        about="Holdings you own: open positions with cost, value, profit or loss.",
        run=holdings.get_positions,
        returns=holdings.Positions,
        args=(
            ACCOUNT,
            Text(name="symbol", longest=LONGEST_SYMBOL),
            _listed_elsewhere(ASSET_CLASS),
            Cursor(of=holdings.POSITIONS),
        ),
    ),
    Tool(
        name="get_cash",
        toolset=Toolset.ACCOUNT,
        about="How much money you have: cash balance by currency, settled, reserved, available.",
        run=holdings.get_cash,
        returns=holdings.CashState,
        args=(ACCOUNT,),
    ),
    Tool(
        name="get_transactions",
        toolset=Toolset.ACCOUNT,
        ability=Ability.TRANSACTIONS,
        about="Transactions, newest first: deposits, withdrawals, transfers, trades, fees, dividends, interest.",
        run=executions.get_transactions,
        returns=executions.Transactions,
        args=(
            ACCOUNT,
            Moment(name="start"),
            Moment(name="end"),
            Texts(name="types", choices=executions.TRANSACTION_TYPES, is_listed=False),
            LIMIT,
            Cursor(of=executions.TRANSACTIONS),
        ),
    ),
    Tool(
        name="get_executions",
        toolset=Toolset.ACCOUNT,
        ability=Ability.FILLS,
        about="Executions (fills), newest first, with price and fee.",
        run=executions.get_executions,
        returns=executions.Executions,
        args=(
            ACCOUNT,
            Text(name="order_id", longest=64),
            Text(name="symbol", longest=LONGEST_SYMBOL),
            Moment(name="start"),
            Moment(name="end"),
            LIMIT,
            Cursor(of=executions.EXECUTIONS),
        ),
    ),
    Tool(
        name="get_pnl",
        toolset=Toolset.ACCOUNT,
        ability=Ability.FILLS,
        about="Profit and loss (P&L, PnL): gains and losses, realized and unrealized, fees apart.",
        run=performance.get_pnl,
        returns=performance.ProfitAndLoss,
        args=(
            ACCOUNT,
            Moment(name="start"),
            Moment(name="end"),
            Choice(name="group_by", choices=performance.GROUPS),
        ),
    ),
    Tool(
        name="get_portfolio_history",
        toolset=Toolset.ACCOUNT,
        about="Performance: account value (equity curve) over time, with its change.",
        run=performance.get_portfolio_history,
        returns=performance.History,
        args=(
            ACCOUNT,
            Choice(name="period", choices=tuple(performance.PERIODS), is_listed=False),
            Choice(name="bar", choices=tuple(performance.BARS), is_listed=False),
        ),
    ),
    Tool(
        name="get_watermarks",
        toolset=Toolset.ACCOUNT,
        about="Highest and lowest equity; drawdown now and at its worst.",
        run=performance.get_watermarks,
        returns=performance.Watermarks,
        args=(ACCOUNT, Choice(name="period", choices=tuple(performance.PERIODS), is_listed=False)),
    ),
    Tool(
        name="get_trading_fees",
        toolset=Toolset.ACCOUNT,
        ability=Ability.FEES,
        about="Trading fees and commission, in numbers and words.",
        run=executions.get_trading_fees,
        returns=executions.Fees,
        args=(ACCOUNT, Text(name="symbol", longest=LONGEST_SYMBOL)),
    ),
    Tool(
        name="search_security",
        toolset=Toolset.MARKET,
        about="Search: find a stock, fund or coin by ticker symbol or name.",
        run=market.search_security,
        returns=market.Instruments,
        args=(
            Text(name="query", required=True),
            ASSET_CLASS,
            Flag(name="by_name"),
            Whole(name="limit", most=50),
        ),
    ),
    Tool(
        name="get_security",
        toolset=Toolset.MARKET,
        about="Contract details: tick, lot, hours, shortable; next dividend, earnings date, halt.",
        run=market.get_security,
        returns=market.OneInstrument,
        args=(SYMBOL,),
    ),
    Tool(
        name="get_quote",
        toolset=Toolset.MARKET,
        about="Quote: current, latest market price of stock, share, crypto (bitcoin); bid, ask, spread, volume.",
        run=market.get_quote,
        returns=market.Quotes,
        args=(SYMBOLS,),
    ),
    Tool(
        name="get_order_book",
        toolset=Toolset.MARKET,
        ability=Ability.ORDER_BOOK,
        about="Market depth (level 2): bids and asks in the book.",
        run=market.get_order_book,
        returns=market.BookOut,
        args=(SYMBOL, Whole(name="depth", most=market.MOST_LEVELS)),
    ),
    Tool(
        name="get_history",
        toolset=Toolset.MARKET,
        ability=Ability.BARS,
        about="Price history (historical prices) for a chart: OHLCV bars, OHLC candles, oldest first.",
        run=market.get_history,
        returns=market.Bars,
        args=(
            SYMBOL,
            BAR,
            PERIOD,
            Moment(name="start"),
            Moment(name="end"),
            Flag(name="outside_rth"),
            Choice(name="adjust", choices=market.ADJUSTMENTS),
            Whole(name="limit", most=market.MOST_BARS),
            Cursor(of=market.BARS),
        ),
    ),
    Tool(
        name="get_change",
        toolset=Toolset.MARKET,
        ability=Ability.BARS,
        about="Price change in percent over a period.",
        run=market.get_change,
        returns=market.PriceChanges,
        args=(SYMBOLS, replace(PERIOD, is_listed=False, about="Default 1d.")),
    ),
    Tool(
        name="get_trades",
        toolset=Toolset.MARKET,
        ability=Ability.PRINTS,
        about="Recent market prints, newest first.",
        run=market.get_trades,
        returns=market.PrintsOut,
        args=(SYMBOL, Whole(name="limit", most=market.MOST_PRINTS)),
    ),
    Tool(
        name="get_indicators",
        toolset=Toolset.MARKET,
        ability=Ability.BARS,
        about="Technical indicators: RSI, MACD, moving average (SMA, EMA), BBANDS, ATR, VWAP.",
        run=screeners.get_indicators,
        returns=screeners.Indicators,
        args=(
            SYMBOL,
            Texts(name="indicators", required=True, about='e.g. ["RSI(14)", "MACD(12,26,9)"].'),
            _listed_elsewhere(BAR),
            _listed_elsewhere(PERIOD),
            Whole(name="last", most=screeners.MOST_VALUES),
        ),
    ),
    Tool(
        name="screen_securities",
        toolset=Toolset.MARKET,
        ability=Ability.SCREENING,
        about="Stock screener: what passes all filters; daily indicators.",
        run=screeners.screen_securities,
        returns=screeners.Screened,
        reports=True,
        args=(
            Filters(
                name="filters", required=True, fields=screeners.FIELDS, about="value: decimal text or another field."
            ),
            _listed_elsewhere(ASSET_CLASS),
            Text(name="sort", longest=20, about="A field; -field for largest first."),
            Whole(name="limit", most=50),
        ),
    ),
    Tool(
        name="get_movers",
        toolset=Toolset.MARKET,
        ability=Ability.SCREENING,
        about="Top gainers, losers or most active of the last 24 h.",
        run=screeners.get_movers,
        returns=screeners.Screened,
        args=(
            Choice(name="kind", required=True, choices=screeners.MOVERS),
            _listed_elsewhere(ASSET_CLASS),
            Whole(name="limit", most=50),
        ),
    ),
    Tool(
        name="get_market_hours",
        toolset=Toolset.MARKET,
        ability=Ability.MARKET_HOURS,
        about="Trading hours: is the market open, session now, hours of a day, holidays ahead.",
        run=market.get_market_hours,
        returns=market.Markets,
        args=(Day(name="date"), Text(name="market", longest=20)),
    ),
    Tool(
        name="get_exchange_rate",
        toolset=Toolset.MARKET,
        ability=Ability.EXCHANGE_RATES,
        about="Currency exchange rate (forex).",
        run=market.get_exchange_rate,
        returns=market.RateOut,
        args=(Currency(name="base", required=True), Currency(name="quote", required=True)),
    ),
    Tool(
        name="get_orders",
        toolset=Toolset.TRADE_READ,
        about="List orders, newest first; open orders by default.",
        run=orders.get_orders,
        returns=orders.Orders,
        args=(
            ACCOUNT,
            Choice(
                name="status",
                choices=(*orders.STATUSES, *(status.value for status in Status)),
                is_listed=False,
                about="open (default), closed, all, or one status.",
            ),
            Text(name="symbol", longest=LONGEST_SYMBOL),
            Moment(name="start"),
            Moment(name="end"),
            LIMIT,
            Cursor(of=orders.LISTING),
        ),
    ),
    Tool(
        name="get_order_status",
        toolset=Toolset.TRADE_READ,
        about="Status, fills and history by order_id. Ask it when an outcome is unknown; never place again.",
        run=orders.get_order_status,
        returns=orders.OneOrder,
        args=(ORDER_ID, CLIENT_ORDER_ID, ACCOUNT),
    ),
    Tool(
        name="preview_order",
        toolset=Toolset.TRADE_READ,
        ability=Ability.ORDERS,
        about="Preview how much it would cost: fee, cash effect, checks. Sends nothing. Arguments as place_order.",
        run=orders.preview_order,
        returns=orders.Previewed,
        args=(*map(_listed_elsewhere, ORDER), CLIENT_ORDER_ID, ACCOUNT),
    ),
    Tool(
        name="get_max_order",
        toolset=Toolset.TRADE_READ,
        ability=Ability.ORDERS,
        about="Max size: how much can I buy or sell, and what binds.",
        run=orders.get_max_order,
        returns=orders.LargestOrder,
        args=(
            *(_listed_elsewhere(each) for each in ORDER if each.name in _SIZING),
            ACCOUNT,
        ),
    ),
    Tool(
        name="place_order",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about=(
            "Place an order to buy or sell stock, shares, crypto: market order, limit order, stop loss, take profit. "
            "Sends nothing: show its summary, then confirm_trade."
        ),
        run=orders.place_order,
        returns=orders.Placed,
        asks=True,
        args=(
            *ORDER,
            replace(CLIENT_ORDER_ID, about="Your id; repeated, the same order."),
            ACCOUNT,
        ),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="confirm_trade",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about=(
            "Confirm a prepared order: send it, once the user agreed to its summary. Single use, "
            f"{settings.CONFIRMATION_SECONDS} s. Outcome unknown: get_order_status."
        ),
        run=orders.confirm_trade,
        returns=orders.Moved,
        args=(Text(name="confirmation_id", required=True, longest=64),),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="get_pending_confirmations",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about="What this app prepared and may still be sent.",
        run=orders.get_pending_confirmations,
        returns=orders.Waiting,
        args=(ACCOUNT,),
    ),
    Tool(
        name="discard_confirmation",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about="Drop what was prepared, unsent.",
        run=orders.discard_confirmation,
        returns=orders.Moved,
        args=(Text(name="confirmation_id", required=True, longest=64),),
        access=ToolAccess.WRITE,
        throttle=CallKind.CANCEL,
    ),
    Tool(
        name="modify_order",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about="Modify an open order of this app: prepare a change of price or quantity; then confirm_trade.",
        run=orders.modify_order,
        asks=True,
        returns=orders.Placed,
        args=(ORDER_ID, CLIENT_ORDER_ID, *MODIFY, ACCOUNT),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="cancel_order",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about="Cancel an open order of this app.",
        run=orders.cancel_order,
        returns=orders.Moved,
        args=(ORDER_ID, CLIENT_ORDER_ID, ACCOUNT),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.CANCEL,
    ),
    Tool(
        name="cancel_all_orders",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about="Cancel all open orders of this app in an account, or those in one symbol.",
        run=orders.cancel_all_orders,
        returns=orders.AllCancelled,
        args=(ACCOUNT, Text(name="symbol", longest=LONGEST_SYMBOL)),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.CANCEL,
    ),
    Tool(
        name="place_batch_orders",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about="Prepare up to 20 orders under one confirmation; then confirm_trade.",
        run=orders.place_batch_orders,
        asks=True,
        returns=orders.Placed,
        args=(
            OrderItems(
                name="orders",
                required=True,
                args=(*ORDER, CLIENT_ORDER_ID),
                about="Each as place_order, without account_id.",
            ),
            ACCOUNT,
            Flag(name="all_or_none", about="Default true: one refused stops all."),
        ),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="close_position",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about="Close, exit or sell all or part of a position: prepares it; then confirm_trade.",
        run=orders.close_position,
        asks=True,
        returns=orders.Placed,
        args=(
            SYMBOL,
            ACCOUNT,
            Amount(name="quantity"),
            Amount(name="percent"),
            Choice(name="order_type", choices=("MKT", "LMT"), is_listed=False),
            Amount(name="limit_price"),
        ),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="reverse_position",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about="Prepare turning a position into the opposite one; then confirm_trade.",
        run=orders.reverse_position,
        asks=True,
        returns=orders.Placed,
        args=(SYMBOL, ACCOUNT),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="flatten_account",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about="Liquidate, sell everything: prepare to close all positions, cancel all orders; then confirm_trade.",
        run=orders.flatten_account,
        asks=True,
        returns=orders.Placed,
        args=(ACCOUNT,),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="prepare_plan",
        toolset=Toolset.ALGO,
        ability=Ability.ORDERS,
        about=(
            f"Plan orders over time: twap, vwap, dca, grid, time_exit ({plans.KINDS_LEFT}). Sends nothing: show its "
            "summary, then confirm_trade."
        ),
        run=plans.prepare_plan,
        asks=True,
        returns=plans.PlanPrepared,
        args=(
            Choice(name="kind", required=True, choices=plans.KINDS),
            SYMBOL,
            _listed_elsewhere(Choice(name="side", choices=tuple(each.value for each in Side))),
            Amount(name="quantity", about="twap, vwap: in all."),
            Amount(name="notional", about="Or, dca."),
            Amount(name="limit_price"),
            Whole(name="orders", most=plans.MOST_ORDERS),
            Moment(name="start", about="time_exit: when."),
            Whole(name="minutes", most=plans.LONGEST_MINUTES),
            Choice(name="every", choices=plans.EVERY),
            Text(name="at", longest=5, about="10:30, exchange time."),
            Amount(name="lower"),
            Amount(name="upper"),
            Whole(name="levels", most=plans.MOST_LEVELS),
            Amount(name="most_value"),
            Whole(name="most_orders", most=plans.MOST_ORDERS),
            Choice(name="at_refusal", choices=plans.AT_REFUSAL),
            Whole(name="silent_minutes", most=plans.LONGEST_MINUTES),
            Choice(name="when_silent", choices=plans.WHEN_SILENT),
            ACCOUNT,
        ),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="get_plans",
        toolset=Toolset.ALGO,
        ability=Ability.ORDERS,
        about="Plans of this app, newest first; with plan_id, all that one did.",
        run=plans.get_plans,
        returns=plans.Plans,
        args=(
            Text(name="plan_id", longest=40),
            Flag(name="over", about="Ended ones, too."),
            Whole(name="limit", most=100),
        ),
    ),
    Tool(
        name="pause_plan",
        toolset=Toolset.ALGO,
        ability=Ability.ORDERS,
        about="Pause a plan of this app; only its owner resumes it.",
        run=plans.pause_plan,
        returns=plans.PlanMoved,
        args=(Text(name="plan_id", required=True, longest=40),),
        access=ToolAccess.WRITE,
        throttle=CallKind.CANCEL,
    ),
    Tool(
        name="cancel_plan",
        toolset=Toolset.ALGO,
        ability=Ability.ORDERS,
        about="End a plan of this app and cancel its open orders.",
        run=plans.cancel_plan,
        returns=plans.PlanMoved,
        args=(Text(name="plan_id", required=True, longest=40),),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.CANCEL,
    ),
    Tool(
        name="get_risk_status",
        toolset=Toolset.RISK,
        about="Risk limits, used today, headroom, halts, who confirms orders. Ask before planning trades.",
        run=risk.get_risk_status,
        returns=risk.RiskStatus,
        args=(ACCOUNT,),
    ),
    Tool(
        name="halt_trading",
        toolset=Toolset.RISK,
        about="Halt, emergency stop (kill switch): stop all trading of every app now. Only a person can lift it.",
        run=risk.halt_trading,
        returns=risk.Stopped,
        args=(ACCOUNT, Text(name="reason", longest=300, about="Shown to the owner.")),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.CANCEL,
    ),
    Tool(
        name="get_journal_trades",
        toolset=Toolset.JOURNAL,
        ability=Ability.FILLS,
        about="Journal of past trades (trade history): round trips, profit, MFE/MAE, holding time, notes.",
        run=journal.get_journal_trades,
        returns=journal.Trades,
        args=(
            ACCOUNT,
            Text(name="symbol", longest=LONGEST_SYMBOL),
            Moment(name="start"),
            Moment(name="end"),
            LIMIT,
            Cursor(of=journal.TRADES),
        ),
    ),
    Tool(
        name="add_journal_note",
        toolset=Toolset.JOURNAL,
        about="Attach a note or tags to a trade or order.",
        run=journal.add_journal_note,
        returns=journal.Noted,
        args=(
            Text(name="id", required=True, longest=40),
            Text(name="text", required=True, longest=1000),
            Texts(name="tags"),
        ),
        access=ToolAccess.WRITE,
    ),
    Tool(
        name="get_activity_log",
        toolset=Toolset.JOURNAL,
        about="What this app did: calls, results, refusals.",
        run=journal.get_activity_log,
        returns=journal.Activity,
        args=(
            Moment(name="start"),
            Moment(name="end"),
            Choice(name="status", choices=journal.OUTCOMES, is_listed=False),
            LIMIT,
            Cursor(of=journal.ACTIVITY),
        ),
    ),
    Tool(
        name="get_signals",
        toolset=Toolset.SIGNALS,
        about="Signal history: webhook alerts (TradingView), what was prepared of each, refusals.",
        run=signals.get_signals,
        returns=signals.Signals,
        args=(
            Moment(name="start"),
            Moment(name="end"),
            Choice(name="status", choices=signals.OUTCOMES),
            LIMIT,
            Cursor(of=signals.SIGNALS),
        ),
    ),
    Tool(
        name="create_paper_account",
        toolset=Toolset.PAPER,
        about="Open one more paper (practice) account, or a copy of one.",
        run=paper.create_paper_account,
        returns=paper.Opened,
        args=(
            Text(name="name", required=True, longest=100),
            Amount(name="cash"),
            Currency(name="currency"),
            Choice(name="preset", choices=paper.PRESETS),
            Text(name="clone_account_id", longest=64),
        ),
        access=ToolAccess.WRITE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="reset_paper_account",
        toolset=Toolset.PAPER,
        about="Cancel its orders, write off its positions, restore its first cash. Ask the user first.",
        run=paper.reset_paper_account,
        returns=paper.Reset,
        args=(Text(name="account_id", required=True, longest=64), Amount(name="cash")),
        access=ToolAccess.DESTRUCTIVE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="set_paper_model",
        toolset=Toolset.PAPER,
        about="Fees, slippage, latency, fills, borrow, margin of a practice account.",
        run=paper.set_paper_model,
        returns=paper.Tuned,
        args=(
            Text(name="account_id", required=True, longest=64),
            Choice(name="preset", choices=paper.PRESETS, is_listed=False),
            Amounts(
                name="overrides",
                names=tuple(paper.KNOBS),
                switches=("margin",),
                about="e.g. slippage_percent, margin.",
            ),
        ),
        access=ToolAccess.WRITE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="get_option_expirations",
        toolset=Toolset.DERIVATIVES,
        ability=Ability.OPTION_CHAINS,
        about="Expirations of the options on a symbol, with the range of strikes.",
        run=derivatives.get_option_expirations,
        returns=derivatives.Expirations,
        args=(SYMBOL,),
    ),
    Tool(
        name="get_option_chain",
        toolset=Toolset.DERIVATIVES,
        ability=Ability.OPTION_CHAINS,
        about="Options of one expiration near the money: bid, ask, last, greeks.",
        run=derivatives.get_option_chain,
        returns=derivatives.Chain,
        args=(
            SYMBOL,
            Day(name="expiration", required=True),
            Whole(name="strikes", most=derivatives.MOST_STRIKES, about="Default 10."),
            Choice(name="right", choices=derivatives.RIGHTS),
        ),
    ),
    Tool(
        name="get_futures_contracts",
        toolset=Toolset.DERIVATIVES,
        ability=Ability.FUTURES,
        about="Contract months of a root, nearest first; front month marked.",
        run=derivatives.get_futures_contracts,
        returns=derivatives.ContractMonths,
        args=(Text(name="root", required=True, longest=20, about="e.g. ES or BTC."),),
    ),
    Tool(
        name="get_funding_rate",
        toolset=Toolset.DERIVATIVES,
        ability=Ability.FUNDING_RATES,
        about="Perpetual: mark, index, funding now and before, open interest.",
        run=derivatives.get_funding_rate,
        returns=derivatives.FundingOut,
        args=(SYMBOL, Whole(name="limit", most=derivatives.MOST_PAYMENTS)),
    ),
    Tool(
        name="get_transfers",
        toolset=Toolset.FUNDING,
        ability=Ability.TRANSFERS,
        about="Deposits, withdrawals and transfers with status, newest first.",
        run=funding.get_transfers,
        returns=funding.Transfers,
        args=(ACCOUNT, Moment(name="start"), Moment(name="end"), LIMIT),
    ),
    Tool(
        name="get_deposit_address",
        toolset=Toolset.FUNDING,
        ability=Ability.DEPOSIT_ADDRESSES,
        about="Addresses where an asset reaches the account; none is made.",
        run=funding.get_deposit_address,
        returns=funding.Addresses,
        args=(Text(name="asset", required=True, longest=20), ACCOUNT),
    ),
    Tool(
        name="get_earn_offers",
        toolset=Toolset.EARN,
        ability=Ability.EARN,
        about="Staking and savings: offers, and what the account has in them.",
        run=earn.get_earn_offers,
        returns=earn.Earnings,
        args=(ACCOUNT, Text(name="asset", longest=20)),
    ),
    Tool(
        name="create_alert",
        toolset=Toolset.ALERTS,
        about="Notify the user once a price, indicator, spread, profit, equity, drawdown or order age passes a value.",
        run=alerts.create_alert,
        returns=alerts.OneAlert,
        args=(
            Choice(name="kind", required=True, choices=alerts.KINDS),
            Choice(name="condition", choices=alerts.CONDITIONS),
            Amount(name="value"),
            Text(name="symbol", longest=LONGEST_SYMBOL),
            ACCOUNT,
            Choice(name="window", choices=alerts.WINDOW_NAMES, is_listed=False, about="Of change: 5m to 7d."),
            Text(name="indicator", about="e.g. RSI(14), PRICE."),
            Text(name="against", about="Instead of value, e.g. BBANDS(20,2).upper."),
            Choice(name="bar", choices=alerts.BAR_NAMES, is_listed=False),
            Flag(name="percent"),
            Flag(name="repeat"),
            Whole(name="cooldown_minutes", most=alert_services.LONGEST_COOLDOWN),
            Moment(name="expires"),
            Text(name="note"),
        ),
        access=ToolAccess.WRITE,
        throttle=CallKind.TRADE,
    ),
    Tool(
        name="get_alerts",
        toolset=Toolset.ALERTS,
        about="This app's alerts, what they last saw and when they fired.",
        run=alerts.get_alerts,
        returns=alerts.Alerts,
        args=(Flag(name="active"), LIMIT, Cursor(of=alerts.ALERTS)),
    ),
    Tool(
        name="update_alert",
        toolset=Toolset.ALERTS,
        about="Change an active alert; what is left out stays.",
        run=alerts.update_alert,
        returns=alerts.OneAlert,
        args=(
            ALERT_ID,
            Choice(name="condition", choices=alerts.CONDITIONS, is_listed=False),
            Amount(name="value"),
            Flag(name="repeat"),
            Whole(name="cooldown_minutes", most=alert_services.LONGEST_COOLDOWN),
            Moment(name="expires"),
            Text(name="note"),
        ),
        access=ToolAccess.WRITE,
    ),
    Tool(
        name="cancel_alert",
        toolset=Toolset.ALERTS,
        about="Switch an alert off for good.",
        run=alerts.cancel_alert,
        returns=alerts.CancelledAlert,
        args=(ALERT_ID,),
        access=ToolAccess.WRITE,
    ),
    Tool(
        name="get_alert_history",
        toolset=Toolset.ALERTS,
        about="When alerts fired and at which value, and this app's messages.",
        run=alerts.get_alert_history,
        returns=alerts.AlertHistory,
        args=(Text(name="alert_id", longest=40), LIMIT, Cursor(of=alerts.HISTORY)),
    ),
    Tool(
        name="emit_alert",
        toolset=Toolset.ALERTS,
        about="Send the user a short notification in your own words.",
        run=alerts.emit_alert,
        returns=alerts.SentMessage,
        args=(Text(name="text", required=True, longest=alert_services.LONGEST_MESSAGE),),
        access=ToolAccess.WRITE,
        throttle=CallKind.TRADE,
    ),
)

# Accepted when called, not listed: a second name costs every model's context.
ALIASES = {"create_order": "place_order"}

_BY_NAME = {tool.name: tool for tool in TOOLS}


def find(name: str) -> Tool | None:
    return _BY_NAME.get(ALIASES.get(name, name))


def arranged(answer: ToolAnswer, tool: Tool | None, given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """What a call of a tool answers, in the form in which it leaves, and its JSON; see ``mcpserver.result_tables``."""
    columns = {} if tool is None or answer.is_error else result_schemas.columns(tool.returns)
    made, written = result_tables.arrange(answer.content, columns)
    if tool is None or len(written) <= result_tables.DEFAULT_BYTES:
        return made, written
    asked = {name for name, value in given.items() if value is not None} - lenient.HOST_ADDED - {"account_id"}
    is_default = asked <= {arg.name for arg in tool.args if arg.required}
    return result_tables.shorten(made, written, columns, is_default=is_default)


_WORDS = {tool.name: frozenset(re.findall(r"[a-z]{2,}", f"{tool.name} {tool.about}".lower())) for tool in TOOLS}
_IDLE = frozenset({"get", "list", "show", "fetch", "read", "the", "of", "all", "my", "tool"})


def similar(principal: Principal, name: str, most: int = 3) -> list[str]:
    """Names of tools this principal may use that may have been meant: nearly the same, else with the same words."""
    tools = visible(principal)
    # camelCase as snake_case, so that it can be compared.
    asked = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name[:64]).lower().replace("-", "_")
    if close := difflib.get_close_matches(asked, [tool.name for tool in tools], n=most, cutoff=0.8):
        return close
    words = set(re.findall(r"[a-z]{2,}", asked)) - _IDLE
    shared = {tool.name: len(words & _WORDS[tool.name]) for tool in tools}
    return [each for each in sorted(shared, key=lambda each: -shared[each]) if shared[each]][:most]


def _listing_legs(arg: Arg) -> Arg:
    return replace(arg, in_schema=True) if isinstance(arg, OptionLegs) else arg


_WITH_LEGS = {
    tool.name: replace(tool, args=tuple(map(_listing_legs, tool.args)))
    for tool in TOOLS
    if any(isinstance(arg, OptionLegs) for arg in tool.args)
}
"""As they are listed where the broker takes several options in one order; everybody else is spared the bytes."""


def visible(principal: Principal) -> tuple[Tool, ...]:
    """The tools this principal may use, in their one fixed order: by scope, broker and what its owner left on."""
    return _visible(principal.scopes, principal.toolsets, principal.broker)


@functools.lru_cache(maxsize=1024)
def _visible(scopes: frozenset[Scope], toolsets: frozenset[str] | None, broker: str) -> tuple[Tool, ...]:
    takes_spreads = _takes_spreads(broker)
    return tuple(
        _WITH_LEGS.get(tool.name, tool) if takes_spreads else tool
        for tool in TOOLS
        if tool.scope in scopes and switched_on(toolsets, tool.toolset) and can(broker, tool)
    )


def _takes_spreads(broker: str) -> bool:
    known = broker_access.capabilities(broker)
    return known is not None and known.spreads


def can(broker: str, tool: Tool) -> bool:
    """Whether a kind of broker can do what the tool does."""
    known = broker_access.capabilities(broker)
    if known is None:
        return tool.ability is None and tool.toolset is not Toolset.PAPER
    has = tool.ability is None or tool.ability in known.abilities
    return has and (known.practice or tool.toolset is not Toolset.PAPER)


def check_offered(principal: Principal, tool: Tool) -> None:
    """A tool that the connection's broker cannot do is not in the list, and cannot be called either. Raises Refusal."""
    if not can(principal.broker, tool):
        raise Refusal(
            Code.NOT_OFFERED_BY_BROKER,
            f"The broker of {principal.connection_label} cannot do {tool.name}.",
        )


def check_legs_offered(principal: Principal, tool: Tool, given: Mapping[str, Any]) -> None:
    """Where the broker takes no spreads, legs are refused however they are written. Raises Refusal."""
    if not given.get("legs") or _takes_spreads(principal.broker):
        return
    if any(isinstance(arg, OptionLegs) for arg in tool.args):
        raise no_spreads()
