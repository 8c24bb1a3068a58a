"""Experimental: Interactive Brokers through a TWS or IB Gateway the person runs, with ib_async.

Never run against a real gateway. ib_async reads numbers as floats: an order of more than 15 digits is refused, for it
could not be read back. An order that TWS itself asks the person about waits there, and is unknown here until it is
answered.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, ClassVar, Self

import ib_async

from brokers import allowed_hosts, symbol_lookup
from brokers.base import Extras
from brokers.decimals import plain
from brokers.errors import (
    BrokerError,
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
from brokers.ibkr import parse, refusals
from brokers.ibkr import rules as ibkr_rules
from brokers.instrument_id import InstrumentId, InstrumentKind, ticker_of, venue_of
from brokers.json_values import parsing, quoted_text
from brokers.tws import api_connection as lines
from brokers.tws import rules
from brokers.tws.api_connection import BROKER, TwsConnection
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
    Unreadable,
)
from brokers.unknown_words import UnknownWords
from brokers.unsupported_calls import Lacking, page_of_fills

_TYPES = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STP LMT",
    OrderType.TRAIL: "TRAIL",
}
_SHRINKS = 2
"""The kind of group in which what fills of one order is taken off the others."""
_TAKEN = ("PreSubmitted", "Submitted", "Filled")
_OPEN = (
    *_TAKEN,
    "ApiPending",
    "ApiUpdate",
    "Cancelled",
    "Inactive",
    "PendingCancel",
    "PendingSubmit",
    "ValidationError",
)
"""Words for an order that may still fill, where ``_ended`` does not say otherwise."""
_POLL = 0.02
_WORDS_AFTER = 0.3
"""Seconds in which the reason follows the news that an order is inactive."""
_CONTRACT_DAYS = timedelta(days=1)
_UNSET = Decimal("1e300")
"""Above it lies what ib_async writes for a number that was not told."""
_STOPS = (OrderType.STOP, OrderType.STOP_LIMIT)
_OURS = re.compile("[0-9a-f]{32}")
"""A reference that we gave: a client order id."""


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
        self._unknown = UnknownWords()

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

    @property
    def unknown_words(self) -> tuple[Unreadable, ...]:
        return self._unknown()

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

        found = self._unknown.read_each(
            self._line.read(work),
            lambda each: Account(account_id=each, name=each, currency="USD", environment=parse.environment(each)),
            lambda each: f"account {each}",
        )
        if len({each.environment for each in found}) != 1:
            raise BrokerUnavailable(f"{BROKER} named paper and live accounts at once, or none.")
        return found

    def account_state(self, account_id: str) -> AccountState:
        values, _ = self._updates(account_id)
        base = next((each.currency for each in values if each.tag == "NetLiquidation" and each.currency != "BASE"), "")
        told = {each.tag: each.value for each in values if each.currency in ("", "BASE")}
        told |= {each.tag: each.value for each in values if each.currency == base}
        with parsing(BROKER):
            equity, cash = (
                _first(told, "NetLiquidation"),
                _first(told, "TotalCashValue", "TotalCashBalance", "CashBalance"),
            )
            purses = self._purses(values) or (Cash(currency=base, total=cash, reserved=Decimal(0)),)
            return AccountState(
                account_id=account_id,
                currency=base,
                cash=purses,
                positions_value=equity - cash,
                equity=equity,
                buying_power=_first(told, "BuyingPower", "AvailableFunds"),
                as_of=_now(),
                initial_margin=_maybe(told.get("InitMarginReq")),
                maintenance_margin=_maybe(told.get("MaintMarginReq")),
            )

    def _purses(self, values: list[Any]) -> tuple[Cash, ...]:
        """Per currency. Which of two names it is told by differs between accounts."""
        rows = {
            each.currency: each
            for tag in ("CashBalance", "TotalCashBalance")
            for each in values
            if each.tag == tag and each.currency not in ("", "BASE")
        }
        return tuple(
            self._unknown.read_each(
                rows.values(),
                lambda each: Cash(currency=each.currency, total=_number(each.value), reserved=Decimal(0)),
                lambda each: f"cash in {each.currency}",
            )
        )

    def positions(self, account_id: str) -> list[Position]:
        _, held = self._updates(account_id)
        return self._unknown.read_each(
            [each for each in held if each.position],
            _position,
            lambda each: f"position {each.contract.localSymbol or each.contract.symbol}",
        )

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
            self._fills(account_id, told),
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

        async def work(ib: Any) -> Any:
            trades = [ib.placeOrder(known.contract, each) for each in _orders(ib, account_id, request)]
            with _errors_of(ib, trades) as heard:
                try:
                    await self._taken(ib, trades, heard)
                except Rejected:
                    if len(trades) > 1:
                        await self._take_away(ib, trades, heard)
                    raise
            return trades[0]

        trade = self._line.write(work)
        # What was executed is told by a look, with its fees: an order that has ended is looked at no more.
        placed = self._broker_order(trade, [])
        return replace(placed, status=BrokerStatus.WORKING, filled_quantity=Decimal(0), average_price=None)

    async def _taken(self, ib: Any, trades: list[Any], heard: list[tuple[int, str]]) -> None:
        """Returns once TWS itself says that it has them all. Raises Rejected, and UnknownOutcome where it does not.

        ib_async calls an order cancelled at nearly every error code: of those a refusal alone proves something.
        """
        loop = asyncio.get_running_loop()
        until, inactive_since = loop.time() + self._line.timeout, 0.0
        while True:
            if all(_is_taken(each) for each in trades):
                return
            if refused := [words for code, words in heard if rules.is_refusal(code)]:
                raise refusals.refusal(BROKER, refused[-1])
            if all(_is_taken(each) or each.orderStatus.status == "Inactive" for each in trades):
                inactive_since = inactive_since or loop.time()
                if loop.time() > inactive_since + _WORDS_AFTER:
                    return
            if not ib.isConnected() or loop.time() > until:
                if all(each.order.permId for each in trades):
                    return  # it listed them with numbers of its own, and no more
                if ended := [words for code, words in heard if code == rules.ENDED]:
                    raise refusals.refusal(BROKER, ended[-1])
                said = f" It said: {heard[-1][1]}" if heard and heard[-1][1] else ""
                raise UnknownOutcome(f"{BROKER} did not confirm the order. It may be open.{said}")
            await asyncio.sleep(_POLL)

    async def _take_away(self, ib: Any, trades: list[Any], heard: list[tuple[int, str]]) -> None:
        """One of several orders was refused: the first is cancelled, and the others with it, which hang on it.

        Raises UnknownOutcome where that is not certain.
        """
        refused = heard[-1][1]
        heard.clear()
        trades[0].order.transmit = True  # else ib_async calls it cancelled before TWS has said so
        ib.cancelOrder(trades[0].order)
        try:
            ended = await self._cancelled(ib, trades[0], heard)
        except NotCancellable as error:
            if any(code in rules.NOT_FOUND for code, _ in heard):
                return
            raise UnknownOutcome(f"{BROKER} refused an exit, and its order may be open: {refused}") from error
        if ended is BrokerStatus.FILLED or _maybe(trades[0].orderStatus.filled):
            raise UnknownOutcome(f"{BROKER} refused an exit, and its order has filled: {refused}")

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        """Never None: TWS lists working orders and today's executions, so that what is missing may have ended."""
        self._check(account_id)
        trades, told = self._look()
        fills = [fill for fill in self._fills(account_id, told) if fill.client_order_id == client_order_id]
        mine = [each for each in trades if each.order.orderRef == client_order_id]
        if mine:
            with parsing(BROKER):
                return self._broker_order(mine[-1], fills, _references(trades))
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
        fills, parents = self._fills(account_id, told), _references(trades)
        found = self._unknown.read_each(
            [each for each in trades if each.order.account == account_id],
            lambda each: self._broker_order(
                each, [fill for fill in fills if fill.client_order_id == each.order.orderRef != ""], parents
            ),
            _order_name,
        )
        return [
            order
            for order in reversed(found)
            if (order.status.is_open or not open_only) and (since is None or order.updated_at >= since)
        ][: max(limit, 0)]

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        """In place, under the same number, as TWS wants it: by the client id that sent the order."""
        self._check(account_id)
        trades, told = self._look()
        fills = [fill for fill in self._fills(account_id, told) if fill.client_order_id == client_order_id]
        mine = [each for each in trades if (each.order.orderRef, each.order.account) == (client_order_id, account_id)]
        if not mine and fills:
            raise NotCancellable("This order has filled, and TWS lists it no more.")
        if not mine:
            raise OrderNotFound("TWS lists no working order with that client order id.")
        with parsing(BROKER):
            current = self._broker_order(mine[-1], fills, _references(trades))
        if not current.status.is_open:
            raise NotCancellable(f"This order is already {current.status}.")
        self._check_is_ours(mine[-1].order)
        wanted = _wanted(current, changes, has_exits=_has_exits(mine[-1].order, trades))
        wanted = replace(wanted, outside_rth=bool(mine[-1].order.outsideRth))
        known = self._checked(wanted)
        keeps_trail = (wanted.trail_amount, wanted.trail_percent) == (current.trail_amount, current.trail_percent)

        async def work(ib: Any) -> Any:
            trade = await self._of_anew(ib, client_order_id)
            if (ended := _ended(trade)) is not None:
                raise NotCancellable(f"This order is already {ended}.")
            order = _changed(account_id, wanted, trade.order, keeps_trail=keeps_trail)
            with _errors_of(ib, [trade]) as heard:
                # Its placeOrder takes some states for an end and fails after it has sent.
                ib.client.placeOrder(order.orderId, known.contract, order)
                await self._told_changed(ib, trade, order, heard)
            return trade

        with parsing(BROKER):
            after = self._broker_order(self._line.write(work), fills, _references(trades))
        # What was executed meanwhile is told by a later look, with its fees.
        return replace(
            after, status=current.status, filled_quantity=current.filled_quantity, average_price=current.average_price
        )

    async def _told_changed(self, ib: Any, trade: Any, order: Any, heard: list[tuple[int, str]]) -> None:
        """Returns once TWS shows the order so, and still does when it is asked.

        Raises Rejected where it refused and the order stands as it was, NotCancellable where the order has ended, and
        UnknownOutcome where neither is certain.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._line.timeout
        while not (_shows(trade.order, order) or _refused_change(heard) or _ended(trade) is not None):
            if not ib.isConnected() or loop.time() > until:
                said = f" It said: {heard[-1][1]}" if heard and heard[-1][1] else ""
                raise UnknownOutcome(f"{BROKER} did not confirm the change. It may have been made.{said}")
            await asyncio.sleep(_POLL)
        try:
            stands = any(each is trade for each in await self._working(ib))
        except (TimeoutError, OSError) as error:
            if refused := _refused_change(heard):
                raise _not_changed(*refused) from error
            raise UnknownOutcome(f"{BROKER} did not show the order after its change. It may have been made.") from error
        is_changed, refused = _shows(trade.order, order), _refused_change(heard)
        if is_changed and refused:
            raise UnknownOutcome(f"{BROKER} shows the order as changed, and refused the change: {refused[1]}")
        if is_changed:
            return
        if (ended := _ended(trade)) is not None:
            raise NotCancellable(f"This order is already {ended}.")
        if refused:
            raise _not_changed(*refused, " The order stands as it was." if stands else "")
        raise UnknownOutcome(f"{BROKER} took the change and shows the order as it was. It may still be made.")

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        """Only orders of this client id can be cancelled: that is TWS's rule."""
        self._check(account_id)
        trades, _ = self._look()
        mine = [each for each in trades if each.order.orderRef == client_order_id]
        if not mine:
            raise OrderNotFound("TWS lists no working order with that client order id.")
        if (ended := _ended(mine[-1])) is not None:
            raise NotCancellable(f"This order is already {ended}.")

        async def work(ib: Any) -> Any:
            trade = _newest_order(ib, client_order_id) or await self._of_anew(ib, client_order_id)
            with _errors_of(ib, [trade]) as heard:
                ib.cancelOrder(trade.order)
                return trade, await self._cancelled(ib, trade, heard)

        trade, status = self._line.write(work)
        try:
            _, told = self._look()
            fills = [fill for fill in self._fills(account_id, told) if fill.client_order_id == client_order_id]
        except BrokerError:  # it has ended: what it filled is told by a later look
            fills = []
        with parsing(BROKER):
            return replace(self._broker_order(trade, fills), status=status)

    async def _cancelled(self, ib: Any, trade: Any, heard: list[tuple[int, str]]) -> BrokerStatus:
        """How the order ended, by TWS's own word. Raises NotCancellable, or UnknownOutcome where it says nothing."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._line.timeout
        while True:
            if (ended := _ended(trade)) is not None:
                return ended
            for code, words in heard:
                if code == rules.ENDED:
                    return BrokerStatus.CANCELLED
                # It also refuses a second request while the first one is under way.
                if code in rules.NOT_CANCELLED and "pendingcancel" not in words.casefold():
                    raise NotCancellable(f"{BROKER} did not cancel the order. {words}")
            if not ib.isConnected() or loop.time() > until:
                raise UnknownOutcome(f"{BROKER} did not confirm that the order ended. It may still be open.")
            await asyncio.sleep(_POLL)

    async def _of_anew(self, ib: Any, client_order_id: str) -> Any:
        """Over another connection than the one that was looked at a moment ago."""
        try:
            await self._working(ib)
        except TimeoutError as error:
            raise BrokerUnavailable(f"{BROKER} did not answer. Nothing was sent.") from error
        trade = _newest_order(ib, client_order_id)
        if trade is None:
            raise OrderNotFound("TWS lists no working order with that client order id.")
        return trade

    async def _working(self, ib: Any) -> list[Any]:
        async with self._line.asking:
            told: list[Any] = await asyncio.wait_for(ib.reqAllOpenOrdersAsync(), self._line.timeout)
            return told

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _check_is_ours(self, order: Any) -> None:
        """Raises NotSupported: TWS lets an order be changed by nobody else, and we send it whole as we write it."""
        if order.clientId != self._line.client_id:
            raise NotSupported(
                f"Client id {order.clientId} placed this order, and {BROKER} lets no other change it. Change it there."
            )
        if not _OURS.fullmatch(order.orderRef):
            raise NotSupported("This order was not placed from here: it may have terms that a change would lose.")

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
            trades = [each for each in ib.trades() if id(each) in known or _ended(each) is not None]
            return trades, list(ib.fills())

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
        rules.check(request, _instrument(known))
        return known

    def _broker_order(self, trade: Any, fills: list[Fill], parents: Mapping[int, str] | None = None) -> BrokerOrder:
        """``parents``: our reference of each order that is known, by its number. Raises Garbled."""
        status, order, name = trade.orderStatus, trade.order, _order_name(trade)
        executed = sum((fill.quantity for fill in fills), Decimal(0))
        filled = max(_maybe(status.filled) or Decimal(0), executed)
        ended = _ended(trade)
        reason = "" if ended in (None, BrokerStatus.FILLED) else _reason(trade)
        if ended is None and status.status not in _OPEN:
            self._unknown.add(name, f"status {status.status}")
            reason = f"{BROKER} reports the status {quoted_text(status.status, 40)!r}, which is not known here."
        kind = parse.order_type(order.orderType)
        if kind is None:
            self._unknown.add(name, f"order type {order.orderType}")
        tif = TimeInForce.DAY if not order.tif else parse.tif(order.tif)
        if tif is None:
            self._unknown.add(name, f"time in force {order.tif}")
        mine, stop = tuple(fills), _maybe(order.auxPrice) or None
        return BrokerOrder(
            broker_order_id=str(order.permId or order.orderId),
            client_order_id=order.orderRef,
            status=ended or (BrokerStatus.PARTIALLY_FILLED if filled else BrokerStatus.WORKING),
            filled_quantity=filled,
            average_price=parse.average(mine, filled) or (_maybe(status.avgFillPrice) or None),
            fees=sum((fill.fee for fill in mine), Decimal(0)),
            updated_at=trade.log[-1].time if trade.log else _now(),
            reason=reason,
            fills=mine,
            symbol=_symbol(trade.contract),
            side=parse.side_or_none(order.action, name, self._unknown),
            order_type=kind,
            tif=tif,
            quantity=_number(order.totalQuantity),
            limit_price=_maybe(order.lmtPrice) if kind is not None and kind.needs_limit else None,
            stop_price=_maybe(order.trailStopPrice) if kind is OrderType.TRAIL else stop if kind in _STOPS else None,
            trail_amount=stop if kind is OrderType.TRAIL else None,
            trail_percent=_maybe(order.trailingPercent) if kind is OrderType.TRAIL else None,
            currency=trade.contract.currency,
            parent_client_order_id=(parents or {}).get(order.parentId, "") if order.parentId else "",
            held=ended is None and "child" in status.whyHeld,
        )

    def _fills(self, account_id: str, told: list[Any]) -> list[Fill]:
        """Raises BrokerUnavailable where one of an order of ours cannot be read."""
        found: list[Fill] = []
        for each in told:
            if each.execution.acctNumber != account_id:
                continue
            if _OURS.fullmatch(each.execution.orderRef):
                with parsing(BROKER):
                    found.append(_fill(each))
            else:
                found += self._unknown.read_each([each], _fill, lambda each: f"execution {each.execution.execId}")
        return parse.without_corrected(found)


def _order_name(trade: Any) -> str:
    return f"order {trade.order.permId or trade.order.orderId}"


def _references(trades: list[Any]) -> dict[int, str]:
    return {each.order.orderId: each.order.orderRef for each in trades if each.order.orderId > 0}


@contextmanager
def _errors_of(ib: Any, trades: Sequence[Any]) -> Iterator[list[tuple[int, str]]]:
    """Code and words of each error that TWS reports of these orders meanwhile."""
    heard: list[tuple[int, str]] = []
    ids = {each.order.orderId for each in trades}

    def hear(request: int, code: int, words: str, contract: Any) -> None:
        if request in ids:
            heard.append((code, quoted_text(words)))

    ib.errorEvent += hear
    try:
        yield heard
    finally:
        ib.errorEvent -= hear


def _is_taken(trade: Any) -> bool:
    """Whether TWS has the order; taken and ended at once is what can fill only now."""
    status = trade.orderStatus.status
    return status in _TAKEN or (status != "Inactive" and bool(trade.order.permId) and _ended(trade) is not None)


def _ended(trade: Any) -> BrokerStatus | None:
    """How an order ended, by TWS's own word; None while it may still fill.

    ib_async calls an order cancelled at nearly every error code, whatever TWS said: a notice is no ending.
    """
    status, filled = trade.orderStatus.status, bool(_maybe(trade.orderStatus.filled))
    if status == "Filled":
        return BrokerStatus.FILLED
    if status == "Inactive":  # refused, unless it waits for something, as for shares to borrow
        if trade.orderStatus.whyHeld:
            return None
        return BrokerStatus.CANCELLED if filled else BrokerStatus.REJECTED
    if status not in ("Cancelled", "ApiCancelled"):
        return None
    steps = [entry for entry in trade.log if not entry.message.startswith("Fill ")]
    code = steps[-1].errorCode if steps else 0
    if code in (0, rules.ENDED):
        return BrokerStatus.CANCELLED
    was_taken = filled or any(entry.status in _TAKEN for entry in steps)
    return BrokerStatus.REJECTED if rules.is_refusal(code) and not was_taken else None


def _reason(trade: Any) -> str:
    """The last words of TWS with a code; empty where it gave none."""
    said = [entry.message for entry in trade.log if entry.errorCode]
    return _message_text(said[-1]) if said else ""


def _newest_order(ib: Any, client_order_id: str) -> Any:
    """The newest order of that id this connection knows; None where it knows none."""
    return next((each for each in reversed(ib.trades()) if each.order.orderRef == client_order_id), None)


def _orders(ib: Any, account_id: str, request: OrderRequest) -> list[Any]:
    """The order and its exits, which TWS holds back until the last one has come and then takes together."""
    first = _order(account_id, request)
    legs = [_order(account_id, each) for each in ibkr_rules.exits(request)]
    if legs:
        first.orderId = ib.client.getReqId()
        for each in (first, *legs[:-1]):
            each.transmit = False
        for each in legs:
            each.parentId = first.orderId
            if len(legs) > 1:
                each.ocaGroup, each.ocaType = request.client_order_id, _SHRINKS
    return [first, *legs]


def _wanted(current: BrokerOrder, changes: OrderChanges, *, has_exits: bool) -> OrderRequest:
    """The order as it is to be. Raises InvalidOrder, naming the field, or NotSupported."""
    kind = current.order_type
    if current.side is None or kind is None or current.tif is None or current.quantity is None:
        raise NotSupported(f"{BROKER} shows this order with terms that cannot be changed here.")
    if changes.tif not in (None, current.tif):
        raise NotSupported(f"The time in force of an order is not changed through {BROKER}.")
    if changes.quantity is not None and has_exits:
        raise NotSupported(
            f"{BROKER} holds an order and its exits each at its own quantity, so one of them is not changed alone. "
            "Cancel the order and send another."
        )
    if changes.quantity is not None and current.filled_quantity:
        # Whether what has filled counts in the new quantity is nowhere documented.
        raise InvalidOrder(f"The quantity of a partly filled order is not changed through {BROKER}.", "quantity")
    by_percent = current.trail_percent is not None
    for field, is_term in (
        ("limit_price", kind.needs_limit),
        ("stop_price", kind.needs_stop),
        ("trail_amount", kind.needs_trail and not by_percent),
        ("trail_percent", by_percent),
    ):
        if getattr(changes, field) is not None and not is_term:
            raise InvalidOrder(f"This order has no {field} that could be changed.", field)
    return OrderRequest(
        client_order_id=current.client_order_id,
        symbol=current.symbol,
        side=current.side,
        order_type=kind,
        quantity=_either(changes.quantity, current.quantity),
        tif=current.tif,
        limit_price=_either(changes.limit_price, current.limit_price),
        stop_price=None if kind.needs_trail else _either(changes.stop_price, current.stop_price),
        trail_amount=None if by_percent else _either(changes.trail_amount, current.trail_amount),
        trail_percent=_either(changes.trail_percent, current.trail_percent),
    )


def _either(new: Decimal | None, old: Decimal | None) -> Decimal | None:
    return old if new is None else new


def _has_exits(order: Any, trades: list[Any]) -> bool:
    """Whether it is an exit, or an order on which exits wait."""
    waiting = (each.order for each in trades if _ended(each) is None)
    return bool(order.parentId or order.ocaGroup) or any(
        (each.parentId, each.clientId) == (order.orderId, order.clientId) for each in waiting
    )


def _changed(account_id: str, wanted: OrderRequest, standing: Any, *, keeps_trail: bool) -> Any:
    """The order to be sent in place of the one that stands: TWS wants every other term as it is.

    Source: TWS API, modifying orders.
    """
    order = _order(account_id, wanted)
    order.orderId, order.parentId = standing.orderId, standing.parentId
    order.ocaGroup, order.ocaType = standing.ocaGroup, standing.ocaType
    stop = _maybe(standing.trailStopPrice)
    if wanted.order_type is OrderType.TRAIL and keeps_trail and stop:
        order.trailStopPrice = plain(stop)  # left out, it could start again from the price of now
    return order


def _shows(told: Any, sent: Any) -> bool:
    """Whether the order that TWS tells of has every number that was sent."""
    numbers = ("totalQuantity", "lmtPrice", "auxPrice", "trailingPercent")
    return all(_maybe(getattr(sent, each)) in (None, _maybe(getattr(told, each))) for each in numbers)


def _refused_change(heard: list[tuple[int, str]]) -> tuple[int, str] | None:
    """Code and words."""
    return next((each for each in reversed(heard) if rules.refuses_change(each[0])), None)


def _not_changed(code: int, words: str, stands: str = "") -> Rejected:
    said = f"{words.rstrip('. ')}.{stands}"
    if code in rules.NOT_CANCELLED:
        return NotCancellable(f"{BROKER} did not change the order. {said}")
    return refusals.refusal(BROKER, said, "change")


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
    distance = request.stop_price if request.trail_amount is None else request.trail_amount
    if distance is not None:
        order.auxPrice = plain(distance)
    if request.trail_percent is not None:
        order.trailingPercent = plain(request.trail_percent)
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
    """Without a price of now it is shown at what it is worth or cost, and its source says so. Raises Garbled."""
    contract = told.contract
    kind = parse.HELD.get(contract.secType)
    if kind is None:
        raise Garbled(f"security type {contract.secType}, worth {told.marketValue} {contract.currency}")
    multiplier, quantity = _maybe(contract.multiplier) or Decimal(1), _number(told.position)
    cost, worth, last = _maybe(told.averageCost), _maybe(told.marketValue), _maybe(told.marketPrice)
    average, source = None if cost is None else cost / multiplier, BROKER
    if last is None and worth is not None:
        last = worth / (quantity * multiplier)
    if last is None and average is not None:
        last, source = average, f"{BROKER}, at cost (no price)"
    if last is None:
        raise Garbled("no price")
    return Position(
        symbol=_symbol(contract),
        asset_class=kind,
        currency=contract.currency,
        quantity=quantity,
        reserved=Decimal(0),
        average_price=average,
        last=last,
        market_value=quantity * multiplier * last if worth is None else worth,
        unrealized_pnl=_maybe(told.unrealizedPNL),
        source=source,
        as_of=_now(),
    )


def _price(value: Any) -> Decimal | None:
    """None also for 0 and -1, which stand where nobody quotes."""
    found = _maybe(value)
    return None if found in (0, -1) else found


def _quote(told: Any, known: Instrument) -> Quote:
    """A side nobody quotes is shown at the last trade, and the source says so."""
    names = ("bid", "ask", "last", "close", "open", "high", "low")
    bid, ask, last, close, *day = (_price(getattr(told, name, None)) for name in names)
    source = BROKER if bid and ask else f"{BROKER}, last trade (no quote)"
    last = last or bid or ask
    if not last and close:
        last, source = close, f"{BROKER}, yesterday's close"
    if not last:
        raise BrokerUnavailable(f"{BROKER} sent no price of {known.symbol}. It may need a market data subscription.")
    return Quote(
        symbol=known.symbol,
        currency=known.currency,
        last=last,
        bid=bid or last,
        ask=ask or last,
        open=day[0],
        high=day[1],
        low=day[2],
        change_percent=None,
        as_of=told.time or _now(),
        source=source,
        instrument_id=known.instrument_id,
    )


def _fill(told: Any) -> Fill:
    """A fee in another currency than the contract's is told as what it was charged in. Raises Garbled."""
    execution, report, currency = told.execution, told.commissionReport, told.contract.currency
    fee, unit = _maybe(report.commission) or Decimal(0), report.currency or currency
    return Fill(
        fill_id=execution.execId,
        client_order_id=execution.orderRef,
        symbol=_symbol(told.contract),
        side=parse.side(execution.side),
        quantity=_number(execution.shares),
        price=_number(execution.price),
        fee=fee if unit == currency else Decimal(0),
        currency=currency,
        filled_at=execution.time.astimezone(UTC),
        source=BROKER,
        fee_asset="" if unit == currency else unit,
        fee_charged=None if unit == currency else fee,
    )


def _first(told: Mapping[str, Any], *names: str) -> Decimal:
    """The first of these values that is told. Raises Garbled."""
    found = next((value for name in names if (value := _maybe(told.get(name))) is not None), None)
    if found is None:
        raise Garbled(f"{names[0]} is missing.")
    return found


def _number(value: Any) -> Decimal:
    found = _maybe(value)
    if found is None:
        raise Garbled("A number was expected.")
    return found


def _exact(value: Any) -> Decimal:
    found = _maybe(value)
    if found is None:
        raise BrokerUnavailable(f"{BROKER} sent no number where one was expected.")
    return found


def _maybe(value: Any) -> Decimal | None:
    """The shortest decimal that the float stands for; None for words, and for what stands where there is nothing."""
    try:
        found = Decimal(str(value)) if value not in (None, "") else None
    except InvalidOperation:
        return None
    if found is None or not found.is_finite() or abs(found) > _UNSET:
        return None
    return found.normalize() + 0


def _message_text(message: str) -> str:
    """Without the number of the request, which ib_async puts before it, and without the news that the order ended."""
    words = re.sub(r"^(Error|Warning) \d+, reqId -?\d+: ", "", message).partition(", contract:")[0]
    return quoted_text(re.sub(r"^Order Cancell?ed - reason: *", "", words))


def _now() -> datetime:
    return datetime.now(UTC)
