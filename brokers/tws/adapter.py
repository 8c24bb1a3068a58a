"""Experimental: Interactive Brokers through a TWS or IB Gateway the person runs, with ib_async.

Never run against a real gateway. ib_async reads numbers as floats: an order of more than 15 digits is refused, for it
could not be read back. An order that TWS itself asks the person about waits there, and is unknown here until it is
answered.
"""

import asyncio
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Self

import ib_async

from brokers import allowed_hosts, symbol_lookup
from brokers.base import Extras
from brokers.decimals import plain
from brokers.errors import (
    BrokerUnavailable,
    CannotTell,
    InvalidAccount,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    NotCancellable,
    NotSupported,
    OrderNotFound,
    Rejected,
    UnknownOutcome,
)
from brokers.http import Garbled
from brokers.ibkr import parse
from brokers.ibkr import rules as ibkr_rules
from brokers.instrument_id import InstrumentId, InstrumentKind, ticker_of, venue_of
from brokers.lacking import Lacking, page_of_fills
from brokers.reading import quoted_text
from brokers.tws import line as lines
from brokers.tws import rules
from brokers.tws.line import BROKER, TwsConnection
from brokers.types import (
    Ability,
    Account,
    AccountState,
    AssetClass,
    BrokerOrder,
    BrokerStatus,
    Capabilities,
    Cash,
    ConnectionInfo,
    Fill,
    Health,
    Instrument,
    OrderChanges,
    OrderRequest,
    OrderType,
    Position,
    Preview,
    Quote,
    Side,
    TimeInForce,
)

_TYPES = {OrderType.MARKET: "MKT", OrderType.LIMIT: "LMT", OrderType.STOP: "STP", OrderType.STOP_LIMIT: "STP LMT"}
_TAKEN = ("PreSubmitted", "Submitted", "Filled")
_STATUSES = {"Filled": BrokerStatus.FILLED, "Cancelled": BrokerStatus.CANCELLED, "ApiCancelled": BrokerStatus.CANCELLED}
_POLL = 0.02
_CONTRACT_DAYS = timedelta(days=1)
_FLOAT_DIGITS = 15
_CANCELLED = 202
"""The code with which TWS tells of an order that ended, no refusal."""


class TwsBroker(Lacking, Extras):
    LACKS: ClassVar[Mapping[Ability, str]] = {
        Ability.BARS: f"Bars are not read from {BROKER} yet.",
        Ability.TRANSACTIONS: f"{BROKER} does not list transactions.",
        Ability.FEES: f"{BROKER} does not report fee rules.",
        Ability.SCREENING: f"{BROKER} has too many instruments to list.",
        Ability.ORDER_BOOK: f"The order book is not read from {BROKER}.",
        Ability.PRINTS: f"Single trades are not read from {BROKER}.",
        Ability.MARKET_HOURS: f"{BROKER} reports the hours of one contract, not of a market.",
        Ability.EXCHANGE_RATES: f"Rates are not read from {BROKER}.",
    }

    def __init__(self, line: TwsConnection) -> None:
        self._line = line

    @classmethod
    def open(cls, settings: Mapping[str, Any]) -> Self:
        """``settings``: ``host``, ``port`` (gateway 4002 paper, 4001 live; TWS 7497, 7496), ``client_id`` from 1 on,
        ours alone; ``may_reach``, the list of computers that may be called; ``state_dir``, a folder all our processes
        share, where more than one uses the client id; ``timeout`` in seconds. Raises InvalidRequest."""
        host, port, client_id = (settings.get(name) for name in ("host", "port", "client_id"))
        if not isinstance(host, str) or not re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", host):
            raise InvalidRequest("Give the host on which TWS or IB Gateway runs.", "host")
        if not isinstance(port, int) or not 0 < port < 65536:
            raise InvalidRequest("Give the port, such as 4002.", "port")
        if not isinstance(client_id, int) or not 0 < client_id < 2**31:
            raise InvalidRequest("Give a client id of 1 or higher that no other program uses.", "client_id")
        allowed = allowed_hosts.parse(settings.get("may_reach", allowed_hosts.LOOPBACK))
        turns = Path(settings["state_dir"]) if settings.get("state_dir") else None
        return cls(lines.shared(host, port, client_id, float(settings.get("timeout", 15.0)), allowed, turns))

    @property
    def capabilities(self) -> Capabilities:
        return rules.CAPABILITIES

    def connect(self) -> ConnectionInfo:
        accounts = tuple(self.accounts())
        return ConnectionInfo(
            accounts=accounts,
            environment=accounts[0].environment,
            can_trade=None,
            can_withdraw=False,
            note="Experimental: never run against a real gateway. Whether orders are allowed is a setting in TWS.",
        )

    def ping(self) -> Health:
        started = time.monotonic()

        async def work(ib: Any) -> datetime:
            told: datetime = await asyncio.wait_for(ib.reqCurrentTimeAsync(), self._line.timeout)
            return told

        theirs = self._line.read(work)
        return Health(latency=time.monotonic() - started, clock_skew=(theirs - _now()).total_seconds())

    # -- account -----------------------------------------------------------------------------------------------------

    def accounts(self) -> list[Account]:
        async def work(ib: Any) -> list[str]:
            return [each for each in ib.managedAccounts() if each]

        try:
            found = [
                Account(account_id=each, name=each, currency="USD", environment=parse.environment(each))
                for each in self._line.read(work)
            ]
        except Garbled as error:
            raise BrokerUnavailable(f"{BROKER} named an account that could not be understood.") from error
        if len({each.environment for each in found}) != 1:
            raise BrokerUnavailable(f"{BROKER} named paper and live accounts at once, or none.")
        return found

    def account_state(self, account_id: str) -> AccountState:
        values, _ = self._updates(account_id)
        base = next((each.currency for each in values if each.tag == "NetLiquidation" and each.currency != "BASE"), "")
        told = {each.tag: each.value for each in values if each.currency == base}
        try:
            equity, cash = _exact(told["NetLiquidation"]), _exact(told["TotalCashValue"])
            power = _exact(told["BuyingPower"])
        except KeyError as error:
            raise BrokerUnavailable(f"{BROKER} did not report the account's values.") from error
        purses = [each for each in values if each.tag == "TotalCashBalance" and each.currency != "BASE"]
        return AccountState(
            account_id=account_id,
            currency=base,
            cash=tuple(Cash(currency=each.currency, total=_exact(each.value), reserved=Decimal(0)) for each in purses),
            positions_value=equity - cash,
            equity=equity,
            buying_power=power,
            as_of=_now(),
        )

    def positions(self, account_id: str) -> list[Position]:
        _, held = self._updates(account_id)
        return [_position(each) for each in held if each.position and each.contract.secType in parse.CLASSES]

    def fills(
        self,
        account_id: str,
        *,
        client_order_id: str = "",
        symbol: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int,
        after: str = "",
    ) -> list[Fill]:
        """Today's."""
        self._check(account_id)
        _, told = self._look()
        return page_of_fills(
            _fills(account_id, told),
            client_order_id=client_order_id,
            symbol=symbol,
            start=start,
            end=end,
            limit=limit,
            after=after,
        )

    # -- instruments and prices --------------------------------------------------------------------------------------

    def find_instruments(
        self, query: str, *, asset_class: AssetClass | None = None, limit: int = 10, by_name: bool = False
    ) -> list[Instrument]:
        if by_name:
            return []
        try:
            found = [_instrument(each) for each in self._details(query)]
        except InvalidSymbol:
            return []
        return [each for each in found if asset_class in (None, each.asset_class)][: max(limit, 0)]

    def instrument(self, symbol: str) -> Instrument:
        """By ``TICKER@number``, or by a ticker one stock in US dollars alone has. Raises InvalidSymbol."""
        known = self._one(symbol)
        return replace(_instrument(known), fetched_at=self._line.contracts[str(known.contract.conId)][1])

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        known = [self._one(symbol) for symbol in symbols]

        async def work(ib: Any) -> Any:
            asked = ib.reqTickersAsync(*(each.contract for each in known))
            return await asyncio.wait_for(asked, self._line.timeout)

        tickers = {each.contract.conId: each for each in self._line.read(work)} if known else {}
        return [_quote(tickers.get(each.contract.conId), _instrument(each)) for each in known]

    # -- orders ------------------------------------------------------------------------------------------------------

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        """Our own estimate, the fee not in it."""
        state = self.account_state(account_id)
        (quote,) = self.quotes([request.symbol])
        known = self._checked(request)
        price = request.limit_price or request.stop_price or (quote.ask if request.side is Side.BUY else quote.bid)
        notional = price * request.units * _instrument(known).multiplier
        return Preview(
            price=price,
            notional=notional,
            fee=Decimal(0),
            cash_effect=-notional if request.side is Side.BUY else notional,
            buying_power=state.buying_power,
            buying_power_currency=state.currency,
            quote=quote,
        )

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        self._check(account_id)
        known = self._checked(request)
        sent = _order(account_id, request)

        async def work(ib: Any) -> Any:
            return await self._taken(ib, ib.placeOrder(known.contract, sent))

        trade = self._line.write(work)
        # What was executed is told by a look, with its fees: an order that has ended is looked at no more.
        placed = _broker_order(trade, [])
        return replace(placed, status=BrokerStatus.WORKING, filled_quantity=Decimal(0), average_price=None)

    async def _taken(self, ib: Any, trade: Any) -> Any:
        """The order as soon as TWS says that it has it. Raises Rejected, or UnknownOutcome where it says nothing."""
        until = asyncio.get_running_loop().time() + self._line.timeout
        while True:
            status = trade.orderStatus.status
            if status in _TAKEN:
                return trade
            refused = [entry for entry in trade.log if entry.errorCode not in (0, _CANCELLED)]
            if status in ("Cancelled", "ApiCancelled", "Inactive") and refused:
                raise Rejected(f"{BROKER} refused the order: {_message_text(refused[-1].message)}")
            if status in _STATUSES and trade.order.permId:
                return trade  # taken and ended at once, as what can fill only now may
            if not ib.isConnected() or asyncio.get_running_loop().time() > until:
                raise UnknownOutcome(f"{BROKER} did not confirm the order. It may be open.")
            await asyncio.sleep(_POLL)

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        """Never None: TWS lists working orders and today's executions, so that what is missing may have ended."""
        self._check(account_id)
        trades, told = self._look()
        fills = [fill for fill in _fills(account_id, told) if fill.client_order_id == client_order_id]
        mine = [each for each in trades if each.order.orderRef == client_order_id]
        if mine:
            return _broker_order(mine[-1], fills)
        if fills:
            return parse.executed(client_order_id, fills)
        raise CannotTell(
            "TWS lists only working orders and today's executions, and this order is in neither. Check in TWS whether "
            "it is open or has ended."
        )

    def orders(
        self, account_id: str, *, open_only: bool = False, since: datetime | None = None, limit: int = 100
    ) -> list[BrokerOrder]:
        """Those that work, and those that ended while this connection was up."""
        self._check(account_id)
        trades, told = self._look()
        fills = _fills(account_id, told)
        found = [
            _broker_order(each, [fill for fill in fills if fill.client_order_id == each.order.orderRef != ""])
            for each in trades
            if each.order.account == account_id
        ]
        return [
            order
            for order in reversed(found)
            if (order.status.is_open or not open_only) and (since is None or order.updated_at >= since)
        ][: max(limit, 0)]

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        raise NotSupported(f"Orders are not changed through {BROKER} yet. Cancel it and send another.")

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        """Only orders of this client id can be cancelled: that is TWS's rule."""
        self._check(account_id)
        trades, _ = self._look()
        mine = [each for each in trades if each.order.orderRef == client_order_id]
        if not mine:
            raise OrderNotFound("TWS lists no working order with that client order id.")
        if mine[-1].orderStatus.status in _STATUSES:
            raise NotCancellable(f"This order is already {_STATUSES[mine[-1].orderStatus.status]}.")

        async def work(ib: Any) -> Any:
            trade = _newest_order(ib, client_order_id) or await self._of_anew(ib, client_order_id)
            ib.cancelOrder(trade.order)
            until = asyncio.get_running_loop().time() + self._line.timeout
            while trade.orderStatus.status not in _STATUSES:
                if not ib.isConnected() or asyncio.get_running_loop().time() > until:
                    raise UnknownOutcome(f"{BROKER} did not confirm that the order ended. It may still be open.")
                await asyncio.sleep(_POLL)
            return trade

        trade = self._line.write(work)
        _, told = self._look()
        return _broker_order(
            trade, [fill for fill in _fills(account_id, told) if fill.client_order_id == client_order_id]
        )

    async def _of_anew(self, ib: Any, client_order_id: str) -> Any:
        """Over another connection than the one that was looked at a moment ago."""
        try:
            async with self._line.asking:
                await asyncio.wait_for(ib.reqAllOpenOrdersAsync(), self._line.timeout)
        except TimeoutError as error:
            raise BrokerUnavailable(f"{BROKER} did not answer. Nothing was sent.") from error
        trade = _newest_order(ib, client_order_id)
        if trade is None:
            raise OrderNotFound("TWS lists no working order with that client order id.")
        return trade

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _check(self, account_id: str) -> None:
        if account_id not in [each.account_id for each in self.accounts()]:
            raise InvalidAccount("This connection has no account with that id.")

    def _updates(self, account_id: str) -> tuple[list[Any], list[Any]]:
        self._check(account_id)

        async def work(ib: Any) -> tuple[list[Any], list[Any]]:
            await asyncio.wait_for(ib.reqAccountUpdatesAsync(account_id), self._line.timeout)
            return ib.accountValues(account_id), ib.portfolio(account_id)

        return self._line.read(work)

    def _look(self) -> tuple[list[Any], list[Any]]:
        async def work(ib: Any) -> tuple[list[Any], list[Any]]:
            working = await asyncio.wait_for(ib.reqAllOpenOrdersAsync(), self._line.timeout)
            await asyncio.wait_for(ib.reqExecutionsAsync(), self._line.timeout)
            # ib_async also keeps what was only sent, and what works no more without its having heard of that.
            known = {id(each) for each in working}
            return [each for each in ib.trades() if id(each) in known or each.isDone()], list(ib.fills())

        return self._line.read(work)

    def _details(self, symbol: str) -> list[Any]:
        conid, meant = parse.conid_of(symbol), symbol_lookup.parse_instrument_id(symbol)
        if conid is None and meant is None and not re.fullmatch(r"[A-Za-z0-9. ]{1,20}", symbol):
            raise InvalidSymbol(f"{BROKER} has no instrument called {symbol[:40]!r}.")
        if meant is not None:
            asked = _contract(meant)
        else:
            asked = ib_async.Contract(conId=int(conid)) if conid else ib_async.Stock(symbol.upper(), "SMART", "USD")

        async def work(ib: Any) -> Any:
            return await asyncio.wait_for(ib.reqContractDetailsAsync(asked), self._line.timeout)

        try:
            found = [each for each in self._line.read(work) if each.contract.secType in parse.CLASSES]
        except InvalidSymbol as error:
            raise InvalidSymbol(f"{BROKER} has no instrument called {symbol[:40]!r}.") from error
        if meant is not None:
            known = ((each, _instrument(each).identity) for each in found)
            found = [each for each, other in known if other is not None and meant.covers(other)]
        if not found:
            raise InvalidSymbol(f"{BROKER} has no instrument called {symbol[:40]!r} that can be traded here.")
        return found

    def _one(self, symbol: str) -> Any:
        known, at = self._line.contracts.get(parse.conid_of(symbol) or "", (None, None))
        if known is not None and at is not None and _now() - at < _CONTRACT_DAYS:
            return known
        found = self._details(symbol)
        if len(found) > 1:
            raise symbol_lookup.ambiguous(symbol, [_instrument(each) for each in found], BROKER)
        self._line.contracts[str(found[0].contract.conId)] = (found[0], _now())
        return found[0]

    def _checked(self, request: OrderRequest) -> Any:
        known = self._one(request.symbol)
        if not rules.CAPABILITIES.takes(request.order_type, request.tif):
            raise NotSupported(f"{request.order_type} orders with {request.tif} are not sent through {BROKER} yet.")
        ibkr_rules.check(request, _instrument(known))
        for field in ("quantity", "limit_price", "stop_price"):
            value = getattr(request, field)
            if value is not None and len(value.normalize().as_tuple().digits) > _FLOAT_DIGITS:
                raise InvalidOrder(
                    f"The {field} has more than the {_FLOAT_DIGITS} digits that can be read back.", field
                )
        return known


def _newest_order(ib: Any, client_order_id: str) -> Any:
    """The newest order of that id this connection knows; None where it knows none."""
    return next((each for each in reversed(ib.trades()) if each.order.orderRef == client_order_id), None)


def _order(account_id: str, request: OrderRequest) -> Any:
    """Numbers go out as text, with every digit they have."""
    order: Any = ib_async.Order(
        action=request.side.value,
        orderType=_TYPES[request.order_type],
        tif=request.tif.value,
        account=account_id,
        orderRef=request.client_order_id,
        outsideRth=request.outside_rth,
        transmit=True,
    )
    order.totalQuantity = plain(request.units)
    if request.limit_price is not None:
        order.lmtPrice = plain(request.limit_price)
    if request.stop_price is not None:
        order.auxPrice = plain(request.stop_price)
    return order


def _symbol(contract: Any) -> str:
    return parse.symbol_of(contract.localSymbol or contract.symbol, str(contract.conId))


def _contract(meant: InstrumentId) -> Any:
    """What TWS is asked for an instrument_id. Raises InvalidSymbol for a kind it has not."""
    ticker, day = meant.name.replace(".", " "), meant.expiry.replace("-", "")
    if meant.is_share:
        return ib_async.Stock(ticker, "SMART", meant.currency)
    if meant.kind is InstrumentKind.OPTION:
        # As a float because ib_async has no other: strikes have few digits, and what is found is compared exactly.
        strike = float(meant.strike or 0)
        return ib_async.Option(ticker, day, strike, meant.right, "SMART", currency=meant.currency)
    if meant.kind is InstrumentKind.FUTURE and not meant.settle:
        return ib_async.Future(ticker, day, currency=meant.currency)
    if meant.kind is InstrumentKind.FOREX:
        return ib_async.Forex(meant.name + meant.currency)
    raise InvalidSymbol(f"{BROKER} has no instrument {meant}.")


def _instrument(told: Any) -> Instrument:
    contract = told.contract
    kind = parse.CLASSES[contract.secType]
    option = symbol_lookup.parse_occ(contract.localSymbol) if kind is AssetClass.OPTION else None
    lot = Decimal(1) if kind is AssetClass.STOCK else (_maybe(told.sizeIncrement) or Decimal(1))
    return Instrument(
        symbol=_symbol(contract),
        name=told.longName or contract.symbol,
        asset_class=kind,
        exchange=contract.primaryExchange or contract.exchange,
        currency=contract.currency,
        tick=_exact(told.minTick),
        lot=lot,
        minimum=lot,
        price_source=BROKER,
        multiplier=_maybe(contract.multiplier) or Decimal(1),
        hours="As the exchange trades",
        fetched_at=_now(),
        ticker=option.root if option else ticker_of(contract.symbol),
        venue="" if option or kind is AssetClass.FOREX else venue_of(contract.primaryExchange or contract.exchange),
        expiry=option.expiry if option else parse.month(told.contractMonth),
        right=option.right if option else "",
        strike=option.strike if option else None,
    )


def _position(told: Any) -> Position:
    multiplier = _maybe(told.contract.multiplier) or Decimal(1)
    return Position(
        symbol=_symbol(told.contract),
        asset_class=parse.CLASSES[told.contract.secType],
        currency=told.contract.currency,
        quantity=_exact(told.position),
        reserved=Decimal(0),
        average_price=_exact(told.averageCost) / multiplier,
        last=_exact(told.marketPrice),
        market_value=_exact(told.marketValue),
        unrealized_pnl=_maybe(told.unrealizedPNL),
        source=BROKER,
        as_of=_now(),
    )


def _quote(told: Any, known: Instrument) -> Quote:
    bid, ask, last = (None if told is None else _maybe(each) for each in (told.bid, told.ask, told.last) if told)
    last = last or bid or ask
    if not last:
        raise BrokerUnavailable(f"{BROKER} sent no price of {known.symbol}. It may need a market data subscription.")
    return Quote(
        symbol=known.symbol,
        currency=known.currency,
        last=last,
        bid=bid or last,
        ask=ask or last,
        open=_maybe(told.open),
        high=_maybe(told.high),
        low=_maybe(told.low),
        change_percent=None,
        as_of=told.time or _now(),
        source=BROKER if bid and ask else f"{BROKER}, last trade (no quote)",
        instrument_id=known.instrument_id,
    )


def _broker_order(trade: Any, fills: list[Fill]) -> BrokerOrder:
    status, order = trade.orderStatus, trade.order
    filled = _maybe(status.filled) or Decimal(0)
    known = _STATUSES.get(status.status, BrokerStatus.PARTIALLY_FILLED if filled else BrokerStatus.WORKING)
    mine = tuple(fills)
    return BrokerOrder(
        broker_order_id=str(order.permId or order.orderId),
        client_order_id=order.orderRef,
        status=known,
        filled_quantity=filled,
        average_price=parse.average(mine, filled) or (_maybe(status.avgFillPrice) or None),
        fees=sum((fill.fee for fill in mine), Decimal(0)),
        updated_at=trade.log[-1].time if trade.log else _now(),
        fills=mine,
        symbol=_symbol(trade.contract),
        side=parse.side(order.action),
        order_type=parse.order_type(order.orderType),
        tif=parse.tif(order.tif) or TimeInForce.DAY,
        quantity=_exact(order.totalQuantity),
        limit_price=_maybe(order.lmtPrice) if order.orderType in ("LMT", "STP LMT") else None,
        stop_price=_maybe(order.auxPrice) if order.orderType in ("STP", "STP LMT") else None,
        currency=trade.contract.currency,
    )


def _fills(account_id: str, told: list[Any]) -> list[Fill]:
    return [
        Fill(
            fill_id=each.execution.execId,
            client_order_id=each.execution.orderRef,
            symbol=_symbol(each.contract),
            side=Side.BUY if each.execution.side == "BOT" else Side.SELL,
            quantity=_exact(each.execution.shares),
            price=_exact(each.execution.price),
            fee=_maybe(each.commissionReport.commission) or Decimal(0),
            currency=each.contract.currency,
            filled_at=each.execution.time.astimezone(UTC),
            source=BROKER,
        )
        for each in told
        if each.execution.acctNumber == account_id
    ]


def _exact(value: Any) -> Decimal:
    found = _maybe(value)
    if found is None:
        raise BrokerUnavailable(f"{BROKER} sent no number where one was expected.")
    return found


def _maybe(value: Any) -> Decimal | None:
    """The shortest decimal that the float stands for; None for what ib_async writes where there is nothing."""
    if value in (None, "") or (isinstance(value, float) and (not math.isfinite(value) or value > 1e300)):
        return None
    return Decimal(str(value)).normalize() + 0


def _message_text(message: str) -> str:
    """Without the number of the request, which ib_async puts before it."""
    return quoted_text(re.sub(r"^(Error|Warning) \d+, reqId -?\d+: ", "", message).partition(", contract:")[0])


def _now() -> datetime:
    return datetime.now(UTC)
