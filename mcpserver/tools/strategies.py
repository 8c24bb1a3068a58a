"""Declared strategies: checked, and tested on past bars. Nothing here trades."""

import json
from typing import Any, NotRequired

from typing_extensions import TypedDict

from console.errors import Code, Refusal
from console.strategies import services
from console.strategies.engine import rules as rule_book
from console.strategies.engine.rules import LONGEST, TIMEFRAMES, NotRules, Rules
from console.strategies.models import Backtest
from mcpserver import result_tables
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools.calling_app import app_of
from mcpserver.tools.listing import listed
from mcpserver.tools.render import compact

__all__ = ["LONGEST", "PARTS", "PRESETS", "TIMEFRAMES"]

PRESETS = services.PRESETS
BACKTESTS = "backtests"
"""What the cursor of the list is of."""
PARTS = ("trades", "curve", "months", "walk_forward")
_USUAL = 20


class ProblemOut(TypedDict):
    line: int
    column: int
    path: NotRequired[str]
    message: str


class CheckedRules(TypedDict):
    ok: bool
    problems: list[ProblemOut]
    name: NotRequired[str]
    universe: NotRequired[list[str]]
    timeframe: NotRequired[str]
    entry: NotRequired[str]
    """In words, such as ``SMA(20) crosses above SMA(50)``."""
    exit: NotRequired[str]
    bars_needed: NotRequired[int]
    """Before the conditions can hold."""
    next: NotRequired[str]


class LibraryOut(TypedDict):
    name: str
    title: str
    about: str
    timeframe: str


class Library(TypedDict):
    strategies: NotRequired[Rows[LibraryOut]]
    rules: NotRequired[str]
    """JSON, to be changed and sent to check_strategy or backtest_strategy."""
    schema: NotRequired[str]
    """JSON Schema of rules."""


class BacktestOut(TypedDict):
    backtest_id: str
    name: str
    status: str
    progress_percent: int
    start: Instant
    end: Instant
    cash: Number
    currency: str
    costs: str
    created_at: Instant
    ended_at: NotRequired[Instant]
    trouble: NotRequired[str]


class OneBacktest(TypedDict):
    backtest: BacktestOut
    next: str


class Figures(TypedDict):
    currency: str
    starting_cash: Number
    ending_equity: Number
    return_percent: Number
    benchmark_percent: Number
    """Of an equal part of the cash in each symbol, bought at its first open and held."""
    max_drawdown_percent: Number
    sharpe: NotRequired[Number]
    sortino: NotRequired[Number]
    exposure_percent: Number
    turnover: Number
    fees: Number
    slippage: Number
    bars: int
    trades: int
    open_positions: int


class TradeFigures(TypedDict):
    wins: NotRequired[int]
    win_percent: NotRequired[Number]
    mean_bars: NotRequired[Number]
    exits: NotRequired[dict[str, int]]
    mean_win: NotRequired[Number]
    mean_loss: NotRequired[Number]
    profit_factor: NotRequired[Number]
    best: NotRequired[Number]
    worst: NotRequired[Number]


class Stretch(TypedDict):
    start: Instant
    return_percent: Number
    max_drawdown_percent: Number
    sharpe: NotRequired[Number]
    trades: int


class YearOut(TypedDict):
    year: int
    return_percent: Number


class MonthOut(TypedDict):
    month: str
    return_percent: Number


class TradeOut(TypedDict):
    symbol: str
    opened: Instant
    closed: Instant
    quantity: Number
    entry_price: Number
    exit_price: Number
    fees: Number
    profit: Number
    bars: int
    exit: str


class CurvePoint(TypedDict):
    at: Instant
    equity: Number


class BacktestReport(TypedDict):
    backtest: NotRequired[BacktestOut]
    figures: NotRequired[Figures]
    trade_figures: NotRequired[TradeFigures]
    in_sample: NotRequired[Stretch]
    """The first 70 percent of the time."""
    out_of_sample: NotRequired[Stretch]
    years: NotRequired[list[YearOut]]
    warnings: NotRequired[list[str]]
    trades: NotRequired[Rows[TradeOut]]
    """The first 500."""
    curve: NotRequired[Rows[CurvePoint]]
    months: NotRequired[Rows[MonthOut]]
    walk_forward: NotRequired[Rows[Stretch]]
    """Ten equal parts of the time, one after the other."""
    backtests: NotRequired[Rows[BacktestOut]]
    """Without an id: this app's, newest first."""
    next_cursor: NotRequired[str]
    shortened: NotRequired[str]


def check_strategy(call: ToolCall) -> dict[str, Any]:
    try:
        rules = rule_book.parse(_rules(call))
    except NotRules as error:
        problems = [
            compact(line=each.line, column=each.column, path=each.path, message=each.message) for each in error.problems
        ]
        return {"ok": False, "problems": problems, "next": "get_strategies with schema has the JSON Schema of rules."}
    return {"ok": True, "problems": [], **_told(rules)}


def get_strategies(call: ToolCall) -> dict[str, Any]:
    if "library" in call.args:
        return {"rules": services.rules_of_library(call.args["library"])}
    if call.args.get("schema"):
        return {"schema": json.dumps(rule_book.schema(), separators=(",", ":"))}
    return {
        "strategies": [
            {"name": name, "title": each["name"], "about": each["about"], "timeframe": each["timeframe"]}
            for name, each in services.library().items()
        ]
    }


def backtest_strategy(call: ToolCall) -> dict[str, Any]:
    app, args = app_of(call), call.args
    asked = services.Asked(
        rules=_rules(call),
        starts_at=args.get("start"),
        ends_at=args.get("end"),
        cash=args.get("cash"),
        preset=args.get("costs"),
    )
    made = services.create(app.connection, asked, app=app)
    return {"backtest": _backtest(made), "next": "It runs now; ask get_backtest with its id until it is done."}


def get_backtest(call: ToolCall) -> dict[str, Any]:
    mine = services.of_app(app_of(call))
    if "backtest_id" not in call.args:
        return listed("backtests", BACKTESTS, mine.defer("report"), _backtest, call.args, usual=_USUAL)
    found = services.find(mine, call.args["backtest_id"])
    if found.report is None:
        return {"backtest": _backtest(found)}
    report = found.report
    if "part" in call.args:
        return _part(report, call.args["part"])
    return {
        "backtest": _backtest(found),
        "figures": compact(**report["figures"]),
        "trade_figures": report["trade_figures"],
        **compact(in_sample=report["in_sample"], out_of_sample=report["out_of_sample"]),
        "years": report["years"][-30:],
        "warnings": report["warnings"],
    }


def cancel_backtest(call: ToolCall) -> dict[str, Any]:
    found = services.cancel(services.find(services.of_app(app_of(call)), call.args["backtest_id"]))
    return {"backtest": _backtest(found), "next": "Nothing of it is kept but what was asked for."}


def _rules(call: ToolCall) -> str:
    """As given, or those of the library, changed as asked. Raises Refusal."""
    args = call.args
    if ("rules" in args) == ("library" in args):
        raise Refusal(Code.INVALID_ARGUMENT, "Give either rules or library.", field="rules")
    if "rules" in args:
        given: str = args["rules"]
        if "symbols" in args or "timeframe" in args:
            raise Refusal(
                Code.INVALID_ARGUMENT, "symbols and timeframe go with library: rules have their own.", field="symbols"
            )
        return given
    return services.rules_of_library(
        args["library"], symbols=args.get("symbols", ()), timeframe=args.get("timeframe", "")
    )


def _part(report: dict[str, Any], part: str) -> dict[str, Any]:
    """As many rows as an answer holds: of a curve evenly chosen ones, of the others the first."""
    rows: list[dict[str, Any]] = (
        [{"at": at, "equity": equity} for at, equity in report["curve"]]
        if part == "curve"
        else [compact(**each) for each in report[part]]
    )
    fit = result_tables.how_many_fit(rows, is_default=False) if rows else 0
    if fit >= len(rows):
        return {part: rows}
    if part == "curve":
        step = -(-len(rows) // fit)
        kept = [*rows[:-1:step], rows[-1]][:fit]
        return {part: kept, "shortened": f"Every {step}th of {len(rows)} points."}
    return {part: rows[:fit], "shortened": f"The first {fit} of {len(rows)}; all are on the page of the backtest."}


def _told(rules: Rules) -> dict[str, Any]:
    return {
        "name": rules.name,
        "universe": list(rules.universe),
        "timeframe": rules.timeframe,
        "bars_needed": rules.needs,
        **compact(entry=rule_book.in_words(rules.entry), exit=rule_book.in_words(rules.exit) if rules.exit else None),
    }


def _backtest(row: Backtest) -> dict[str, Any]:
    return compact(
        backtest_id=row.public_id,
        name=row.name,
        status=row.status,
        progress_percent=row.progress,
        start=row.starts_at,
        end=row.ends_at,
        cash=row.cash,
        currency=row.currency,
        costs=row.preset,
        created_at=row.created_at,
        ended_at=row.ended_at,
        trouble=row.trouble,
    )
