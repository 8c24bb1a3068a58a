"""The terms of an order: a frozen value, validated before any broker sees it. No database."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

from brokers import spreads, symbol_lookup
from brokers.decimals import DECIMAL_PLACES, grouped, money, plain
from brokers.errors import InvalidSymbol
from brokers.instrument_id import InstrumentId, InstrumentKind
from brokers.types import (
    LONGEST_SYMBOL,
    Capabilities,
    LegRequest,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)
from console.errors import Code, Refusal

# Twenty digits before the point and eighteen after fit the column and every venue.
_LARGEST = Decimal(10) ** 15

MOST_RATIO, MOST_LEGS = spreads.MOST_RATIO, spreads.MOST_LEGS
"""Contracts of one leg for one spread."""

_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

TYPE_TEXT = {
    OrderType.MARKET: "Market",
    OrderType.LIMIT: "Limit",
    OrderType.STOP: "Stop",
    OrderType.STOP_LIMIT: "Stop limit",
    OrderType.TRAIL: "Trailing stop",
}
TIF_TEXT = {
    TimeInForce.DAY: "day",
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "immediate or cancel",
    TimeInForce.FOK: "fill or kill",
    TimeInForce.OPG: "on open",
    TimeInForce.CLS: "on close",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One order as requested, with its exits. Prices in the instrument's currency."""

    symbol: str
    side: Side
    quantity: Decimal | None = None
    """In units of the instrument. Either this or ``notional``."""
    notional: Decimal | None = None
    """Market orders only: what to spend or raise, in the instrument's currency, fee not included."""
    order_type: OrderType = OrderType.MARKET
    tif: TimeInForce | None = None
    """None: the broker's default, see ``Capabilities.usual_tif``."""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    outside_rth: bool = False
    reduce_only: bool = False
    post_only: bool = False
    order_class: OrderClass = OrderClass.SIMPLE
    take_profit: Decimal | None = None
    """Price of the profit target."""
    stop_loss: Decimal | None = None
    """Price of the protective stop."""
    stop_loss_trail_percent: Decimal | None = None
    """The protective stop follows the price at this distance, in percent of it."""
    at_once: bool = False
    """A trigger that is met already is meant: nothing of it is sent to the broker."""

    def check(self) -> None:
        """Raises Refusal, naming the field, for an order that makes no sense at any broker."""
        self._check_size()
        self._check_prices()
        self._check_flags()
        self._check_spread()
        self._check_exits()

    def check_offered(self, capabilities: Capabilities) -> None:
        """Raises Refusal, naming the field, for what this broker does not offer. We never imitate it."""
        if self.order_type not in capabilities.order_types:
            raise _not_offered("order_type", f"{self.order_type} orders", capabilities.order_types)
        if self.tif is not None and not capabilities.takes(self.order_type, self.tif):
            raise _not_offered(
                "tif", f"{self.order_type} orders with {self.tif}", capabilities.times_in_force(self.order_type)
            )
        if spreads.parse(self.symbol) is not None and not capabilities.spreads:
            raise no_spreads()
        if self.order_class not in capabilities.order_classes:
            raise _not_offered("order_class", f"{self.order_class} orders", capabilities.order_classes)
        for field, asked, offered, what in (
            (
                "notional",
                self.notional is not None,
                capabilities.notional,
                "notional orders; give a quantity",
            ),
            ("outside_rth", self.outside_rth, capabilities.extended_hours, "orders outside regular hours"),
            ("reduce_only", self.reduce_only, capabilities.reduce_only, "reduce-only orders"),
            ("post_only", self.post_only, capabilities.post_only, "post-only orders"),
        ):
            if asked and not offered:
                raise _not_offered(field, what)

    def _check_size(self) -> None:
        if (self.quantity is None) == (self.notional is None):
            raise Refusal(
                Code.MISSING_ARGUMENT if self.quantity is None else Code.INVALID_ARGUMENT,
                "Give either quantity or notional: one of the two, not both.",
                field="quantity",
            )
        if self.quantity is not None:
            _positive("quantity", self.quantity)
        if self.notional is not None:
            _positive("notional", self.notional)
            if self.order_type is not OrderType.MARKET or self.order_class is not OrderClass.SIMPLE:
                raise Refusal(
                    Code.INVALID_ARGUMENT,
                    "Only a simple MKT order can have a notional amount; give a quantity for any other.",
                    field="notional",
                )

    def _check_prices(self) -> None:
        if self.order_class is OrderClass.OCO:
            if self.order_type is not OrderType.MARKET or (self.limit_price, self.stop_price) != (None, None):
                raise Refusal(
                    Code.INVALID_ARGUMENT,
                    "An oco order is a profit target and a protective stop: leave out order_type, limit_price and "
                    "stop_price, and give take_profit and stop_loss.",
                    field="order_type",
                )
            return
        for field, price, needed in (
            ("limit_price", self.limit_price, self.order_type.needs_limit),
            ("stop_price", self.stop_price, self.order_type.needs_stop),
        ):
            if price is not None:
                _positive(field, price)
            if needed and price is None:
                raise Refusal(Code.MISSING_ARGUMENT, f"A {self.order_type} order needs a {field}.", field=field)
            if price is not None and not needed:
                raise Refusal(
                    Code.INVALID_ARGUMENT,
                    f"A {self.order_type} order has no {field}; leave it out or choose another order_type.",
                    field=field,
                )
        trails = [name for name in ("trail_amount", "trail_percent") if getattr(self, name) is not None]
        if self.order_type.needs_trail and len(trails) != 1:
            raise Refusal(
                Code.INVALID_ARGUMENT if trails else Code.MISSING_ARGUMENT,
                "A TRAIL order needs either trail_amount or trail_percent.",
                field="trail_percent",
            )
        if trails and not self.order_type.needs_trail:
            raise Refusal(
                Code.INVALID_ARGUMENT, f"Only TRAIL orders have {trails[0]}, not {self.order_type}.", field=trails[0]
            )
        if self.trail_amount is not None:
            _positive("trail_amount", self.trail_amount)
        if self.trail_percent is not None:
            _percent("trail_percent", self.trail_percent)

    def _check_spread(self) -> None:
        if spreads.parse(self.symbol) is None:
            return
        if self.order_type not in (OrderType.MARKET, OrderType.LIMIT):
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"Several options in one order go as LMT or MKT, not as {self.order_type}.",
                field="order_type",
            )
        if self.order_class is not OrderClass.SIMPLE:
            raise Refusal(
                Code.INVALID_ARGUMENT, "Several options in one order have no exits beside it.", field="order_class"
            )

    def _check_flags(self) -> None:
        if self.post_only and self.order_type is not OrderType.LIMIT:
            raise Refusal(Code.INVALID_ARGUMENT, "Only a LMT order can be post_only.", field="post_only")
        if self.post_only and self.tif in (TimeInForce.IOC, TimeInForce.FOK):
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"A post_only order has to rest, which {self.tif} does not allow.",
                field="post_only",
            )
        if self.outside_rth and self.order_type is not OrderType.LIMIT:
            raise Refusal(
                Code.INVALID_ARGUMENT, "Only LMT orders are accepted outside regular hours.", field="outside_rth"
            )

    def _check_exits(self) -> None:
        stops = [name for name in ("stop_loss", "stop_loss_trail_percent") if getattr(self, name) is not None]
        exits = (self.take_profit is not None) + bool(stops)
        if len(stops) > 1:
            raise Refusal(
                Code.INVALID_ARGUMENT, "Give stop_loss or stop_loss_trail_percent, not both.", field="stop_loss"
            )
        if self.order_class is OrderClass.SIMPLE:
            if exits:
                field = stops[0] if self.take_profit is None else "take_profit"
                alone = {"take_profit": "a LMT order at that price", "stop_loss": "a STP order at that price"}
                raise Refusal(
                    Code.INVALID_ARGUMENT,
                    f"{field} needs the order_class bracket, oco or oto. To protect by itself what is already held, "
                    f"send {alone.get(field, 'a TRAIL order')} on the other side.",
                    field=field,
                )
            return
        if self.tif not in (None, TimeInForce.DAY, TimeInForce.GTC):
            raise Refusal(
                Code.INVALID_ARGUMENT, f"A {self.order_class} order must be DAY or GTC, not {self.tif}.", field="tif"
            )
        if self.order_class is OrderClass.OTO:
            if exits != 1:
                raise Refusal(
                    Code.MISSING_ARGUMENT if not exits else Code.INVALID_ARGUMENT,
                    "An oto order has one exit: take_profit or stop_loss. With both it is a bracket.",
                    field="take_profit",
                )
        elif exits != 2:
            raise Refusal(
                Code.MISSING_ARGUMENT,
                f"A {self.order_class} order needs take_profit and stop_loss (or stop_loss_trail_percent).",
                field="take_profit" if self.take_profit is None else "stop_loss",
            )
        if self.take_profit is not None:
            _positive("take_profit", self.take_profit)
        if self.stop_loss is not None:
            _positive("stop_loss", self.stop_loss)
        if self.stop_loss_trail_percent is not None:
            _percent("stop_loss_trail_percent", self.stop_loss_trail_percent)
        self._check_sides()

    def _check_sides(self) -> None:
        """The target must lie on the winning side of the entry and the stop on the losing one."""
        up = (self.side is Side.BUY) is (self.order_class is not OrderClass.OCO)
        entry = self.limit_price or self.stop_price
        ladder = [("stop_loss", self.stop_loss), ("limit_price", entry), ("take_profit", self.take_profit)]
        known = [(name, price) for name, price in ladder if price is not None]
        for (low, below), (high, above) in pairwise(known):
            if (below >= above) if up else (below <= above):
                field = low if low != "limit_price" else high
                raise Refusal(
                    Code.INVALID_ARGUMENT,
                    f"For this order {high} must be {'above' if up else 'below'} {low}: {plain(above)} is not "
                    f"{'above' if up else 'below'} {plain(below)}.",
                    field=field,
                )

    def legs(self, name: Callable[[int], str]) -> tuple[LegRequest, ...]:
        """The exits of the order, each with its own client order id: ``name`` of its place, from 0."""
        if self.order_class is OrderClass.SIMPLE:
            return ()
        side = self.side if self.order_class is OrderClass.OCO else self.side.opposite
        made = list[LegRequest]()
        if self.take_profit is not None and self.order_class is not OrderClass.OCO:
            made.append(
                LegRequest(
                    client_order_id=name(len(made)),
                    side=side,
                    order_type=OrderType.LIMIT,
                    tif=self._exit_tif,
                    limit_price=self.take_profit,
                )
            )
        if self.stop_loss is not None or self.stop_loss_trail_percent is not None:
            made.append(
                LegRequest(
                    client_order_id=name(len(made)),
                    side=side,
                    order_type=OrderType.STOP if self.stop_loss is not None else OrderType.TRAIL,
                    tif=self._exit_tif,
                    stop_price=self.stop_loss,
                    trail_percent=self.stop_loss_trail_percent,
                )
            )
        return tuple(made)

    @property
    def _exit_tif(self) -> TimeInForce:
        # An exit that ended with the day would leave the position without it over night.
        return self._tif if self.order_class is OrderClass.OCO else TimeInForce.GTC

    @property
    def _tif(self) -> TimeInForce:
        assert self.tif is not None, "terms are given a tif before a request is made of them"
        return self.tif

    def as_sent(self) -> "Terms":
        """An oco order's first half is its profit target."""
        if self.order_class is not OrderClass.OCO:
            return self
        return replace(self, order_type=OrderType.LIMIT, limit_price=self.take_profit)

    def request(self, wire_id: str, legs: tuple[LegRequest, ...] = ()) -> OrderRequest:
        sent = self.as_sent()
        return OrderRequest(
            client_order_id=wire_id,
            symbol=sent.symbol,
            side=sent.side,
            order_type=sent.order_type,
            quantity=sent.quantity,
            notional=sent.notional,
            tif=sent._tif,
            limit_price=sent.limit_price,
            stop_price=sent.stop_price,
            trail_amount=sent.trail_amount,
            trail_percent=sent.trail_percent,
            outside_rth=sent.outside_rth,
            reduce_only=sent.reduce_only,
            post_only=sent.post_only,
            order_class=sent.order_class,
            legs=legs,
        )


_PRICED = ("quantity", "notional", "limit_price", "stop_price", "trail_amount", "trail_percent")


def shown_terms(request: OrderRequest) -> dict[str, Any]:
    """Every term of an order as text, those it does not have as None: what the digest binds."""
    flags = {name: getattr(request, name) for name in ("outside_rth", "reduce_only", "post_only")}
    return {
        "symbol": request.symbol,
        "order_class": request.order_class.value,
        **_each(request, _PRICED),
        **flags,
        "legs": [_each(leg, _PRICED[2:]) for leg in request.legs],
    }


def _each(order: OrderRequest | LegRequest, names: tuple[str, ...]) -> dict[str, Any]:
    prices: dict[str, Decimal | None] = {name: getattr(order, name) for name in names}
    return {
        "side": order.side.value,
        "order_type": order.order_type.value,
        "tif": order.tif.value,
        **{name: None if price is None else plain(price) for name, price in prices.items()},
    }


def describe(request: OrderRequest, currency: str) -> str:
    """One order in one line, as traders write it: ``Buy 10 AAPL, limit 181.50 USD, day``."""
    spread = spreads.parse(request.symbol)
    if spread is not None:
        return _describe_spread(request, spread, currency)
    if request.quantity is None:
        size = f"{_price(request.notional, currency)} of {request.symbol}"
    else:
        size = f"{grouped(request.quantity)} {request.symbol}"
    price = describe_price(request, currency)
    if request.order_class is OrderClass.OCO:
        price = f"OCO: {' or '.join([price, *(describe_price(leg, currency) for leg in request.legs)])}"
    parts = [f"{request.side.capitalize()} {size}", price, TIF_TEXT[request.tif]]
    for flag, text in (
        (request.outside_rth, "extended hours"),
        (request.reduce_only, "reduce only"),
        (request.post_only, "post only"),
    ):
        if flag:
            parts.append(text)
    line = ", ".join(parts)
    if not request.legs or request.order_class is OrderClass.OCO:
        return line
    exits = " or ".join(_exit(leg, currency) for leg in request.legs)
    return f"{line}; once filled: {exits}"


def _describe_spread(request: OrderRequest, spread: spreads.Spread, currency: str) -> str:
    """``2 spreads: buy 1 AAPL 2026-12-18 250 call, sell 1 AAPL 2026-12-18 260 call; net debit at most 1.20 USD each,
    day``."""
    buys = request.side is Side.BUY
    price = "at the market"
    if request.limit_price is not None:
        least = "net debit at most" if buys else "net credit at least"
        price = f"{least} {_price(request.limit_price, currency)} each"
    size = "Spread"
    if request.quantity is not None:
        size = "1 spread" if request.quantity == 1 else f"{grouped(request.quantity)} spreads"
    return f"{size}: {', '.join(spread.trades(buys=buys))}; {price}, {TIF_TEXT[request.tif]}"


def describe_price(order: OrderRequest | LegRequest, currency: str) -> str:
    """The kind of an order and its price: ``limit 181.50 USD``, ``trailing stop 5%``."""
    match order.order_type:
        case OrderType.MARKET:
            return "market"
        case OrderType.LIMIT:
            return f"limit {_price(order.limit_price, currency)}"
        case OrderType.STOP:
            return f"stop {_price(order.stop_price, currency)}"
        case OrderType.STOP_LIMIT:
            return f"stop {_price(order.stop_price, currency)} limit {_price(order.limit_price, currency)}"
        case OrderType.TRAIL:
            if order.trail_amount is not None:
                return f"trailing stop {_price(order.trail_amount, currency)}"
            return f"trailing stop {'' if order.trail_percent is None else grouped(order.trail_percent)}%"


def _exit(leg: LegRequest, currency: str) -> str:
    """One exit of a bracket or an oto order: ``take profit 195.00 USD``."""
    if leg.order_type is OrderType.LIMIT:
        return f"take profit {_price(leg.limit_price, currency)}"
    if leg.order_type is OrderType.STOP:
        return f"stop loss {_price(leg.stop_price, currency)}"
    return describe_price(leg, currency)


def _price(value: Decimal | None, currency: str) -> str:
    return "" if value is None else f"{money(value)} {currency}".rstrip()


@dataclass(frozen=True, slots=True)
class LegAsked:
    """One option of several in one order, as it was asked for."""

    symbol: str
    side: Side
    ratio: int


def spread_symbol(symbol: str, side: Side, legs: Sequence[LegAsked]) -> str:
    """What stands for several options on ``symbol`` in one order: ``side`` BUY pays a net debit for what the legs say,
    SELL receives a net credit for it. Raises Refusal.
    """
    made = [_leg(f"legs[{number}]", each, side) for number, each in enumerate(legs)]
    try:
        spread = spreads.make(made)
    except ValueError as error:
        raise Refusal(Code.INVALID_ARGUMENT, f"{error} Nothing was prepared.", field="legs") from error
    named = _parsed_id(symbol, "symbol")
    if spread.root not in (symbol.strip().upper(), None if named is None else named.name):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"symbol must be what the legs are options on: {spread.root}, not {symbol[:LONGEST_SYMBOL]}.",
            field="symbol",
        )
    return spread.symbol


def _leg(field: str, asked: LegAsked, side: Side) -> spreads.SpreadLeg:
    named = _parsed_id(asked.symbol, f"{field}.symbol")
    is_option = named is not None and named.kind is InstrumentKind.OPTION and named.strike is not None
    option = symbol_lookup.parse_occ(
        symbol_lookup.occ_symbol(named) if named and is_option else asked.symbol.partition("@")[0]
    )
    if option is None:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "A leg is one option by its symbol, such as AAPL261218C00250000; get_option_chain lists them. Shares "
            "cannot be a leg.",
            field=f"{field}.symbol",
        )
    return spreads.SpreadLeg(
        # Who sells the spread does the opposite of what its symbol says.
        sign=1 if asked.side is side else -1,
        ratio=asked.ratio,
        root=option.root,
        expiry=date.fromisoformat(option.expiry),
        right=option.right,
        strike=option.strike,
    )


def _parsed_id(symbol: str, field: str) -> InstrumentId | None:
    try:
        return symbol_lookup.parse_instrument_id(symbol)
    except InvalidSymbol as error:
        raise Refusal(Code.INVALID_ARGUMENT, str(error), field=field) from error


def check_client_order_id(value: str, *, plan_id: str = "") -> None:
    """``plan_id``: the trading plan whose order it names. Raises Refusal."""
    # Ours begin so; a caller's must never be taken for one.
    is_ours = value.startswith(("ord_", "cnf_", "pln_")) and not (plan_id and value.startswith(f"{plan_id}-"))
    if is_ours or not _CLIENT_ORDER_ID.fullmatch(value):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "client_order_id must be 1 to 64 letters, digits, dots, colons, hyphens or underscores, and must not "
            "begin with ord_, cnf_ or pln_.",
            field="client_order_id",
        )


def digest(shown: dict[str, Any]) -> str:
    """SHA-256 over everything that was shown, in one canonical form."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def shown_of_each(shown: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """What was shown of each order of a plan of ``count``; of none, where another plan was shown."""
    each: list[dict[str, Any]] = shown.get("orders", [shown])
    return each if len(each) == count else [{} for _ in range(count)]


def no_leverage() -> Refusal:
    """What an order is refused with that names leverage."""
    return Refusal(
        Code.NOT_OFFERED_BY_BROKER,
        "No broker here takes leverage with an order. Leave it out: what the account may borrow is set at the broker, "
        "and get_account_summary says the buying power.",
        field="leverage",
    )


def no_spreads() -> Refusal:
    """What an order of several options is refused with where the broker takes none."""
    return Refusal(
        Code.NOT_OFFERED_BY_BROKER,
        "This broker does not accept several options in one order. Trade them one by one. Exits of an order are "
        "no legs: use order_class with take_profit and stop_loss.",
        field="legs",
    )


def _not_offered(field: str, what: str, instead: frozenset[Any] = frozenset()) -> Refusal:
    message = f"This broker does not accept {what}."
    if instead:
        message += f" It accepts {', '.join(sorted(each.value for each in instead))}."
    return Refusal(Code.NOT_OFFERED_BY_BROKER, message, field=field)


def _percent(field: str, value: Decimal) -> None:
    _positive(field, value)
    if value >= 100:
        raise Refusal(Code.INVALID_ARGUMENT, f"{field} is in percent and must be below 100.", field=field)


def _positive(field: str, value: Decimal) -> None:
    if not value.is_finite():
        raise Refusal(Code.INVALID_ARGUMENT, f"{field} must be a finite number.", field=field)
    if value <= 0:
        raise Refusal(Code.INVALID_ARGUMENT, f"{field} must be greater than zero, not {plain(value)}.", field=field)
    if value >= _LARGEST:
        raise Refusal(Code.INVALID_ARGUMENT, f"{field} is too large: at most 15 digits.", field=field)
    exponent = value.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > DECIMAL_PLACES:
        raise Refusal(Code.INVALID_ARGUMENT, f"{field} has more than {DECIMAL_PLACES} decimals.", field=field)
