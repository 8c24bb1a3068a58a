"""Options, contract months and perpetuals, as the connection's broker lists them."""

from decimal import Decimal
from typing import Any, NotRequired

from typing_extensions import TypedDict

from brokers.types import OptionContract, OptionRight
from console.connections import broker_access
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools import render
from mcpserver.tools.render import compact

RIGHTS = tuple(each.value for each in OptionRight)
MOST_STRIKES = 50
MOST_PAYMENTS = 100
_STRIKES = 10
_PAYMENTS = 3


class Expiration(TypedDict):
    expiration: str
    strikes: int
    lowest_strike: Number
    highest_strike: Number


class Expirations(TypedDict):
    symbol: str
    expirations: Rows[Expiration]


class OptionOut(TypedDict):
    symbol: str
    right: str
    strike: Number
    bid: NotRequired[Number]
    ask: NotRequired[Number]
    last: NotRequired[Number]
    open_interest: NotRequired[Number]
    implied_volatility_percent: NotRequired[Number]
    delta: NotRequired[Number]
    gamma: NotRequired[Number]
    theta: NotRequired[Number]
    vega: NotRequired[Number]
    rho: NotRequired[Number]
    as_of: NotRequired[Instant]


class Chain(TypedDict):
    symbol: str
    underlying_price: NotRequired[Number]
    expiration: str
    currency: str
    multiplier: Number
    contracts: Rows[OptionOut]
    source: str
    note: NotRequired[str]


class ContractMonth(TypedDict):
    symbol: str
    expiration: str
    last_trade: NotRequired[str]
    front_month: NotRequired[bool]
    currency: NotRequired[str]
    exchange: NotRequired[str]
    multiplier: NotRequired[Number]


class ContractMonths(TypedDict):
    root: str
    contracts: Rows[ContractMonth]


class Payment(TypedDict):
    at: Instant
    funding_percent: Number


class FundingOut(TypedDict):
    symbol: str
    currency: str
    funding_percent: Number
    longs_pay: bool
    next_at: NotRequired[Instant]
    interval_hours: NotRequired[Number]
    mark: NotRequired[Number]
    index: NotRequired[Number]
    open_interest: NotRequired[Number]
    open_interest_unit: NotRequired[str]
    history: Rows[Payment]
    as_of: Instant
    delay_seconds: int
    source: str


def get_option_expirations(call: ToolCall) -> dict[str, Any]:
    with broker_access.broker_for(call.principal) as broker:
        found = broker.option_expirations(call.args["symbol"])
    return {
        "symbol": call.args["symbol"].upper(),
        "expirations": [
            compact(
                expiration=each.day.isoformat(),
                strikes=each.strikes,
                lowest_strike=each.lowest_strike,
                highest_strike=each.highest_strike,
            )
            for each in found
        ],
    }


def get_option_chain(call: ToolCall) -> dict[str, Any]:
    args = call.args
    right = OptionRight(args["right"]) if "right" in args else None
    with broker_access.broker_for(call.principal) as broker:
        found = broker.option_chain(
            args["symbol"], args["expiration"], strikes=args.get("strikes", _STRIKES), right=right
        )
    return compact(
        symbol=found.underlying,
        underlying_price=found.underlying_price,
        expiration=found.day.isoformat(),
        currency=found.currency,
        multiplier=found.multiplier,
        contracts=[_option(each) for each in found.contracts],
        source=found.source,
        note=found.note,
    )


def get_futures_contracts(call: ToolCall) -> dict[str, Any]:
    with broker_access.broker_for(call.principal) as broker:
        found = broker.futures_contracts(call.args["root"])
    front = min((each.expires for each in found), default=None)
    return {
        "root": call.args["root"].upper(),
        "contracts": [
            compact(
                symbol=each.symbol,
                expiration=each.expires.isoformat(),
                last_trade=each.last_trade.isoformat() if each.last_trade else None,
                front_month=True if each.expires == front else None,
                currency=each.currency,
                exchange=each.exchange,
                multiplier=each.multiplier,
            )
            for each in found
        ],
    }


def get_funding_rate(call: ToolCall) -> dict[str, Any]:
    with broker_access.broker_for(call.principal) as broker:
        found = broker.funding_rate(call.args["symbol"], call.args.get("limit", _PAYMENTS))
    return compact(
        symbol=found.symbol,
        currency=found.currency,
        funding_percent=_percent(found.rate),
        longs_pay=found.rate >= 0,
        next_at=found.next_at,
        interval_hours=found.interval_hours,
        mark=found.mark,
        index=found.index,
        open_interest=found.open_interest,
        open_interest_unit=None if found.open_interest is None else found.open_interest_unit,
        history=[compact(at=each.at, funding_percent=_percent(each.rate)) for each in found.history],
        as_of=found.as_of,
        delay_seconds=render.delay(found.as_of),
        source=found.source,
    )


def _option(value: OptionContract) -> dict[str, Any]:
    volatility = value.implied_volatility
    return compact(
        symbol=value.symbol,
        right=value.right.value,
        strike=value.strike,
        bid=value.bid,
        ask=value.ask,
        last=value.last,
        open_interest=value.open_interest,
        implied_volatility_percent=None if volatility is None else _percent(volatility),
        delta=value.delta,
        gamma=value.gamma,
        theta=value.theta,
        vega=value.vega,
        rho=value.rho,
        as_of=value.as_of,
    )


def _percent(share: Decimal) -> Decimal:
    return share * 100
