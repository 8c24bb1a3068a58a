"""What the crypto venues have in common behind the one interface; each says in its own room how it differs."""

import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from brokers import symbol_lookup
from brokers.base import Extras
from brokers.crypto import order_checks, parse, unknown_word_counts
from brokers.crypto.call_queue import Priority
from brokers.crypto.client import KeyClient, Venue, client_for
from brokers.errors import (
    BrokerError,
    BrokerUnavailable,
    InvalidAccount,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    NoRate,
    NotCancellable,
    NotSupported,
    OrderNotFound,
    Rejected,
    UnknownOutcome,
)
from brokers.json_values import quoted_text
from brokers.order_streams import socket_url
from brokers.types import (
    Ability,
    Account,
    AccountState,
    AssetClass,
    Bar,
    BarSize,
    BrokerOrder,
    BrokerStatus,
    Capabilities,
    Cash,
    ConnectionInfo,
    Environment,
    FeeRule,
    Fill,
    FundingRate,
    FuturesContract,
    Health,
    Instrument,
    MarketDay,
    OrderBook,
    OrderChanges,
    OrderRequest,
    OrderType,
    Position,
    Preview,
    Prints,
    Quote,
    Rate,
    SessionState,
    Side,
    Transaction,
    Transfer,
    Unreadable,
)

logger = logging.getLogger(__name__)

PAGE = 100
PAGES = 20
_OURS = re.compile("[0-9a-f]{32}")
"""A client order id as we give it."""
_FEES_KEPT = 3600.0
# Held as cash: what prices are told in. Every other coin is a position.
_CASH = frozenset(
    {"USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "TRY", "BRL", "AED", "USDT", "USDC", "FDUSD", "USDG", "DAI"}
)


class CryptoBroker(Extras, ABC):
    """One key at one venue, opened from ``{"api_key", "secret", …}``.

    Further settings: ``environment`` ("paper" or "live"), ``timeout`` (seconds without a byte; a call ends after twice
    as long), ``base_url`` (another host of the same venue), ``state_dir`` (a folder that all processes of this
    installation share), ``per_second`` (calls, where the venue allows this key more or fewer).
    """

    VENUE: Venue
    CAPABILITIES: Capabilities
    CURRENCY: str
    """What the account is valued in."""
    ROWS = PAGE
    """Entries in a full page of the account's history."""
    NAMES = ("id", "clientOrderId", "symbol")
    """Where a row of an order has the venue's id, ours and the instrument."""
    REPLACED_BY_NEW = False
    """A changed order is a new one with an id of its own; else it stays the same order."""

    def __init__(self, client: KeyClient, settings: Mapping[str, Any]) -> None:
        self._client = client
        self._settings = settings
        self._unknown = unknown_word_counts.collected()

    @property
    def unknown_words(self) -> tuple[Unreadable, ...]:
        return self._unknown()

    @classmethod
    def open(cls, settings: Mapping[str, Any]) -> Self:
        """Makes no call. Raises AuthFailed when a credential is missing."""
        return cls(client_for(cls.VENUE, settings), settings)

    def _stream_url(self, host: str, path: str = "") -> str:
        """At the venue's own address for streams, or beside the address that the connection names."""
        base = str(self._settings.get("base_url", ""))
        return socket_url(base, path) if base else host + path

    def _venue_time(self) -> float:
        """Seconds since 1970 by the venue's clock, read now."""
        return time.time() + self._client.skew()

    # What each venue does in its own way.

    @abstractmethod
    def connect(self) -> ConnectionInfo: ...

    @abstractmethod
    def _create(self, request: OrderRequest, market: parse.Answer) -> tuple[str, Any]:
        """The call that places the order, and its body."""

    @abstractmethod
    def _created(self, answer: Any, request: OrderRequest) -> str:
        """The venue's id for the order, or "" when this answer does not prove that it stands."""

    @abstractmethod
    def _find(self, client_order_id: str, symbol: str) -> parse.Answer | None:
        """ccxt's form of the order; None when every place it could be in was read to the end."""

    @abstractmethod
    def _cancel(self, found: parse.Answer) -> tuple[str, Any]:
        """The call that cancels the order, and its body."""

    def _cancel_refused(self, answer: Any, found: parse.Answer) -> BrokerError | None:
        """Of an answer to a cancel that came as a success: why it was not taken; None where it was, or may be."""
        return self.VENUE.codes.refusal(answer)

    def _amend(self, found: parse.Answer, wanted: OrderRequest, changes: OrderChanges) -> tuple[str, Any]:
        """The call that changes the order, and its body. Of those with ``replace`` among their capabilities."""
        raise NotImplementedError

    def _amended(self, answer: Any, found: parse.Answer, wanted: OrderRequest) -> bool:
        """Whether this answer proves that the change was taken."""
        raise NotImplementedError

    @abstractmethod
    def _listed(self, *, open_only: bool, since: datetime | None, limit: int) -> list[parse.Answer]:
        """Newest first."""

    # What all do alike.

    @property
    def capabilities(self) -> Capabilities:
        return self.CAPABILITIES

    def ping(self) -> Health:
        began = time.monotonic()
        self._client.read("fetch_balance")
        latency = time.monotonic() - began
        return Health(latency=latency, clock_skew=self._client.skew() if self.VENUE.follows_clock else None)

    def accounts(self) -> list[Account]:
        if self._client.memory.accounts is None:
            self._client.memory.accounts = self.connect().accounts
        return list(self._client.memory.accounts)

    def account_state(self, account_id: str) -> AccountState:
        account = self._check(account_id)
        now = datetime.now(UTC)
        balance = self._balance()
        held = self._spot(balance)
        contracts = self._contracts()
        cash = [
            self._cash(code, balance) for code in self._codes(balance) if code not in {each.base for each, _ in held}
        ]
        own = next((each for each in cash if each.currency == account.currency), None)
        rates = self._cash_rates(cash, account.currency)
        value = sum((parse.number_or_zero(balance[each.base]["total"]) * last for each, last in held), Decimal(0))
        value += sum((each.unrealized_pnl or Decimal(0) for each in contracts), Decimal(0))
        return AccountState(
            account_id=account_id,
            currency=account.currency,
            cash=tuple(cash),
            positions_value=value,
            equity=value + sum((each.total * rates.get(each.currency, Decimal(0)) for each in cash), Decimal(0)),
            buying_power=own.available if own else Decimal(0),
            as_of=now,
        )

    def positions(self, account_id: str) -> list[Position]:
        self._check(account_id)
        balance = self._balance()
        found = []
        for instrument, last in self._spot(balance):
            held = balance[instrument.base]
            quantity = parse.number_or_zero(held.get("total"))
            found.append(
                Position(
                    symbol=instrument.symbol,
                    asset_class=instrument.asset_class,
                    currency=instrument.currency,
                    quantity=quantity,
                    reserved=parse.number_or_zero(held.get("used")),
                    average_price=None,
                    last=last,
                    market_value=quantity * last,
                    unrealized_pnl=None,
                    source=self.VENUE.title,
                )
            )
        return [*found, *self._contracts()]

    def transactions(
        self,
        account_id: str,
        *,
        start: datetime | None,
        end: datetime | None,
        limit: int,
        kinds: Collection[str] = (),
        after: str = "",
    ) -> list[Transaction]:
        self._check(account_id)
        self._able(Ability.TRANSACTIONS, "does not list account transactions")

        def page(until: datetime | None) -> list[Transaction]:
            params = {} if until is None else {"until": parse.milliseconds(until)}
            since = None if start is None else parse.milliseconds(start)
            return self._transactions(since, params)

        def counts(each: Transaction) -> bool:
            return not kinds or each.kind in kinds

        wanted = self._walk(page, lambda each: (each.at, each.transaction_id), counts, start, end, limit, after)
        return [each for each in wanted if counts(each)][: max(limit, 0)]

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
        self._check(account_id)
        if client_order_id:
            order = self.order(account_id, client_order_id, symbol=symbol)
            mine = sorted(order.fills if order else (), key=lambda each: (each.filled_at, each.fill_id), reverse=True)
            return self._cut(mine, lambda each: (each.filled_at, each.fill_id), start, end, limit, after)
        market = self._instrument(symbol).symbol if symbol else None

        def page(until: datetime | None) -> list[tuple[datetime, str, Fill | None]]:
            params = {} if until is None else {"until": parse.milliseconds(until)}
            since = None if start is None else parse.milliseconds(start)
            return parse.readable(self._trades(market, since, params), self._told_fill, self.VENUE.title, "fill")

        def counts(each: tuple[datetime, str, Fill | None]) -> bool:
            return each[2] is not None

        walked = self._walk(page, lambda each: (each[0], each[1]), counts, start, end, limit, after)
        return [fill for _, _, fill in walked if fill is not None][: max(limit, 0)]

    def fees(self, account_id: str) -> list[FeeRule]:
        self._check(account_id)
        found = []
        for kind, symbol in self._fee_symbols().items():
            maker, taker = self._fee_rates(symbol)
            found.append(
                FeeRule(
                    asset_class=kind,
                    basis="notional",
                    rate=taker,
                    minimum=Decimal(0),
                    words=f"{_percent(taker)} of the order's value as taker, "
                    f"{_percent(maker)} as maker, as {self.VENUE.title} charges for {symbol} now.",
                )
            )
        return found

    def find_instruments(
        self, query: str, *, asset_class: AssetClass | None = None, limit: int = 10, by_name: bool = False
    ) -> list[Instrument]:
        wanted = "".join(query.upper().split())
        ranked = []
        for each in self._all(asset_class):
            texts = (each.name.upper(),) if by_name else (each.symbol, each.base)
            if wanted in (each.symbol, each.symbol.replace("/", ""), each.base):
                rank = 0 if wanted != each.base else 1
            elif any(wanted in "".join(text.split()) for text in texts):
                rank = 2
            else:
                continue
            ranked.append((rank, each.currency != self.CURRENCY, len(each.symbol), each.symbol, each))
        return [place[-1] for place in sorted(ranked, key=lambda place: place[:-1])[: max(limit, 0)]]

    def instruments(self, *, asset_class: AssetClass | None = None, limit: int) -> list[Instrument]:
        return self._all(asset_class)[: max(limit, 0)]

    def instrument(self, symbol: str) -> Instrument:
        return self._instrument(symbol)

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        wanted = [self._instrument(symbol) for symbol in symbols]
        return [parse.quote(self._public("fetch_ticker", each.symbol), each, datetime.now(UTC)) for each in wanted]

    def bars(
        self,
        symbol: str,
        size: BarSize,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 100,
    ) -> list[Bar]:
        found, now = self._instrument(symbol), datetime.now(UTC)
        step = timedelta(seconds=size.seconds)
        until = min(end or now, now)
        # One more than asked: the newest may still be running, and is left out.
        count = min(max(limit, 1) + 1, 300)
        since = max(start, until - step * count) if start else until - step * count
        rows = self._public("fetch_ohlcv", found.symbol, size.value, parse.milliseconds(since), count)
        told = parse.readable(rows, parse.bar, self.VENUE.title, "bar")
        bars = sorted(told, key=lambda each: each.start)
        fitting = [each for each in bars if (start is None or each.start >= start) and each.start + step <= until]
        return fitting[-limit:] if limit > 0 else []

    def order_book(self, symbol: str, depth: int) -> OrderBook:
        found = self._instrument(symbol)
        return parse.book(self._public("fetch_order_book", found.symbol), found, depth, datetime.now(UTC))

    def prints(self, symbol: str, limit: int) -> Prints:
        found = self._instrument(symbol)
        rows = self._public("fetch_trades", found.symbol, None, min(limit, PAGE))
        trades = parse.readable(rows, parse.print_of, self.VENUE.title, "trade")
        newest = sorted(trades, key=lambda each: each.at, reverse=True)[: max(limit, 0)]
        return Prints(symbol=found.symbol, currency=found.currency, prints=tuple(newest), source=found.price_source)

    def market_hours(self, *, day: date | None = None, market: str = "") -> list[MarketDay]:
        if market.upper() not in ("", "CRYPTO"):
            raise InvalidRequest(f"There is no market {market!r} here, only CRYPTO.", "market")
        day = day or datetime.now(UTC).date()
        opens = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return [
            MarketDay(
                market="CRYPTO",
                name=self.VENUE.title,
                time_zone="UTC",
                day=day,
                opens=opens,
                closes=opens + timedelta(days=1),
                why="always_open",
                state=SessionState.OPEN,
                next_open=None,
                next_close=None,
                asset_classes=self.CAPABILITIES.asset_classes,
            )
        ]

    def exchange_rate(self, base: str, quote: str) -> Rate:
        now = datetime.now(UTC)
        base, quote = base.upper(), quote.upper()
        if base == quote:
            return Rate(base=base, quote=quote, rate=Decimal(1), as_of=now, source=self.VENUE.title)
        for symbol, upside_down in ((f"{base}/{quote}", False), (f"{quote}/{base}", True)):
            if self._market(symbol) is not None:
                found = self.quotes([symbol])[0]
                rate = 1 / found.last if upside_down else found.last
                return Rate(base=base, quote=quote, rate=rate, as_of=found.as_of, source=found.source)
        raise NoRate(f"{self.VENUE.title} has no market between {base} and {quote}.")

    def futures_contracts(self, root: str) -> list[FuturesContract]:
        self._able(Ability.FUTURES, "has no contract months")
        wanted = root.strip().upper()
        found = [
            FuturesContract(
                symbol=each.symbol,
                expires=each.expires.date(),
                currency=each.currency,
                exchange=each.exchange,
                multiplier=each.multiplier,
            )
            for each in self._all(AssetClass.FUTURE)
            if each.base == wanted and each.expires is not None
        ]
        if not found:
            raise InvalidSymbol(f"{self.VENUE.title} has no futures on {root!r}. Name a coin, such as BTC.")
        return sorted(found, key=lambda each: (each.expires, each.symbol))

    def funding_rate(self, symbol: str, limit: int) -> FundingRate:
        self._able(Ability.FUNDING_RATES, "has no perpetuals")
        found = self._instrument(symbol)
        if found.asset_class is not AssetClass.PERPETUAL:
            raise InvalidRequest(f"{found.symbol} is not a perpetual, so it has no funding rate.", "symbol")
        return self._funding_rate(found, self._require(found.symbol), limit)

    def transfers(
        self, account_id: str, *, start: datetime | None = None, end: datetime | None = None, limit: int
    ) -> list[Transfer]:
        self._check(account_id)
        self._able(Ability.TRANSFERS, "does not list transfers")
        found: list[Transfer] = []
        for page in self._money_lists(start):
            found += self._walk(page, lambda each: (each.at, each.transfer_id), lambda _: True, start, end, limit, "")
        return sorted(found, key=lambda each: (each.at, each.transfer_id), reverse=True)[: max(limit, 0)]

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        self._check(account_id)
        found = self._instrument(request.symbol)
        quote = self.quotes([found.symbol])[0]
        price = request.limit_price or request.stop_price or (quote.ask if request.side is Side.BUY else quote.bid)
        self._check_order(request, found, price)
        worth = request.notional if request.quantity is None else price * request.quantity * found.multiplier
        assert worth is not None  # checked: one of the two is there
        _, taker = self._fee_rates(found.symbol)
        balance = self._balance()
        fee = worth * taker
        effect = Decimal(0) if found.settle else (-worth if request.side is Side.BUY else worth)
        return Preview(
            price=price,
            notional=worth,
            fee=fee,
            cash_effect=effect - fee,
            buying_power=self._free(balance, found),
            buying_power_currency=found.settle or found.currency,
            quote=quote,
        )

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        try:
            self._check(account_id)
            found = self._instrument(request.symbol)
        except Rejected:
            raise
        except BrokerError as error:
            raise BrokerUnavailable(f"{error} Nothing was sent.") from None
        self._check_order(request, found)
        name, body = self._create(request, self._require(found.symbol))
        answer = self._client.write(Priority.CREATE, name, body)
        broker_order_id = self._created(answer, request)
        if not broker_order_id:
            if (refused := self.VENUE.codes.refusal(answer)) is not None:
                raise refused
            raise UnknownOutcome(f"{self.VENUE.title} answered without the order's id. The order may be open.")
        self._client.remember(broker_order_id, request.client_order_id)
        try:
            seen = self.order(account_id, request.client_order_id, symbol=found.symbol)
        except BrokerError:
            return _accepted(request, found, broker_order_id)
        if seen is None:
            raise UnknownOutcome(f"{self.VENUE.title} accepted the order but does not list it yet. It may be open.")
        return seen

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        self._check(account_id)
        found = self._find(client_order_id, symbol)
        return None if found is None else self._order(found, with_fills=True)

    def orders(
        self, account_id: str, *, open_only: bool = False, since: datetime | None = None, limit: int = 100
    ) -> list[BrokerOrder]:
        self._check(account_id)
        told = self._listed(open_only=open_only, since=since, limit=limit)
        listed = [order for each in told if (order := self._told_order(each, open_only=open_only)) is not None]
        newest = sorted(listed, key=lambda each: each.created_at or each.updated_at, reverse=True)
        wanted = [each for each in newest if since is None or (each.created_at or each.updated_at) >= since]
        return [each for each in wanted if not open_only or each.status.is_open][: max(limit, 0)]

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        """Once, by the venue's own call, and then read: a change is told as made only when the order shows it."""
        if not self.CAPABILITIES.replace:
            raise NotSupported(f"Orders at {self.VENUE.title} cannot be changed: cancel this one and send another.")
        if self.REPLACED_BY_NEW and not new_client_order_id:
            raise InvalidOrder(
                f"{self.VENUE.title} replaces a changed order with a new one, which needs its own id.", "order_id"
            )
        self._check(account_id)
        found = self._find(client_order_id, "")
        if found is None:
            raise OrderNotFound(f"{self.VENUE.title} has no order with that client order id.")
        before = self._order(found)
        if not before.status.is_open:
            raise NotCancellable(f"This order is already {before.status}.")
        wanted = self._wanted(found, before, changes)
        if self.REPLACED_BY_NEW:
            wanted = replace(wanted, client_order_id=new_client_order_id)
        self._check_order(wanted, self._instrument(before.symbol))
        name, body = self._amend(found, wanted, changes)
        try:
            answer = self._client.write(Priority.CREATE, name, body)
        except OrderNotFound:
            # It was there a moment ago: it ended meanwhile.
            raise NotCancellable("This order ended, or began to fill, before it could be changed.") from None
        if not self._amended(answer, found, wanted):
            if (refused := self.VENUE.codes.refusal(answer)) is not None:
                raise refused
            raise UnknownOutcome(f"{self.VENUE.title} gave no clear answer. The change may have been made.")
        try:
            after = self.order(account_id, wanted.client_order_id, symbol=before.symbol)
        except BrokerError as error:
            raise UnknownOutcome(f"{self.VENUE.title} accepted the change but did not show the order.") from error
        if after is None or _terms(after) != (wanted.quantity, wanted.limit_price, wanted.stop_price):
            raise UnknownOutcome(f"{self.VENUE.title} accepted the change but has not made it yet.")
        return after

    def _wanted(self, found: parse.Answer, before: BrokerOrder, changes: OrderChanges) -> OrderRequest:
        """The order as it is to be. Raises NotSupported, InvalidOrder."""
        trails = (changes.trail_amount, changes.trail_percent) != (None, None)
        if trails or before.order_type is OrderType.TRAIL:
            raise NotSupported(f"{self.VENUE.title} cannot change a trailing stop: cancel it and send another.")
        if changes.tif not in (None, before.tif):
            raise NotSupported(f"{self.VENUE.title} cannot change an order's time in force.")
        if before.side is None or before.order_type is None or before.tif is None or before.quantity is None:
            raise NotSupported(f"{self.VENUE.title} shows this order with terms that cannot be changed here.")
        quantity = before.quantity if changes.quantity is None else changes.quantity
        if quantity <= before.filled_quantity:
            raise InvalidOrder("More than that has already filled.", "quantity")
        return OrderRequest(
            client_order_id=before.client_order_id,
            symbol=before.symbol,
            side=before.side,
            order_type=before.order_type,
            quantity=quantity,
            tif=before.tif,
            limit_price=before.limit_price if changes.limit_price is None else changes.limit_price,
            stop_price=before.stop_price if changes.stop_price is None else changes.stop_price,
            post_only=found.get("postOnly") is True and before.order_type is OrderType.LIMIT,
        )

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        self._check(account_id)
        found = self._find(client_order_id, symbol)
        if found is None:
            raise OrderNotFound(f"{self.VENUE.title} has no order with that client order id.")
        before = self._order(found)
        if not before.status.is_open:
            raise NotCancellable(f"This order is already {before.status}.")
        name, body = self._cancel(found)
        try:
            answer = self._client.write(Priority.CANCEL, name, body)
            if (refused := self._cancel_refused(answer, found)) is not None:
                raise refused
        except OrderNotFound:
            # It was there a moment ago: it ended meanwhile.
            raise NotCancellable("This order ended before it could be cancelled.") from None
        after = self.order(account_id, client_order_id, symbol=before.symbol)
        if after is None or after.status.is_open:
            raise UnknownOutcome(f"{self.VENUE.title} accepted the cancel but has not ended the order yet.")
        return after

    # Shared by the venues.

    def _check(self, account_id: str) -> Account:
        for account in self.accounts():
            if account.account_id == account_id:
                return account
        raise InvalidAccount("This connection has no account with that id.")

    def _able(self, ability: Ability, lacks: str) -> None:
        if ability not in self.CAPABILITIES.abilities:
            raise NotSupported(f"{self.VENUE.title} {lacks}.")

    def _check_order(self, request: OrderRequest, found: Instrument, price: Decimal | None = None) -> None:
        """What a venue refuses beyond the shared rules is added by it."""
        order_checks.check(request, found, self.CAPABILITIES, price)

    def _public(self, name: str, *args: Any) -> Any:
        self._client.public.load()
        return self._client.public.read(name, *args)

    def _market(self, symbol: str) -> parse.Answer | None:
        self._client.public.load()
        found: parse.Answer | None = self._client.public.exchange.markets.get(symbol)
        return found

    def _require(self, symbol: str) -> parse.Answer:
        market = self._market(symbol)
        if market is None:
            raise InvalidSymbol(f"{self.VENUE.title} has no instrument {symbol!r}.")
        return market

    def _instrument(self, symbol: str) -> Instrument:
        """By its own name; else by a coin, or a pair without its stroke, that is traded in one way alone.

        A contract is never meant by a loose name, nor by the name of a pair that is gone.
        """
        meant = symbol_lookup.parse_instrument_id(symbol)
        name = symbol.strip().upper() if meant is None else parse.native_symbol(meant)
        market = self._market(name) or self._market(symbol.strip())
        found = None if market is None else self._made(market)
        if found is not None and found.asset_class in self.CAPABILITIES.asset_classes:
            return symbol_lookup.check_match(meant, found)
        alike = self._alike(name) if meant is None and "/" not in name else []
        if not alike:
            raise InvalidSymbol(
                f"{self.VENUE.title} has no instrument {symbol[:40]!r}. Search for it to find its symbol."
            )
        if len(alike) == 1 and not alike[0].settle:
            return alike[0]
        raise symbol_lookup.ambiguous(symbol, alike, self.VENUE.title)

    def _alike(self, name: str) -> list[Instrument]:
        """All that are called so where punctuation does not count: BTCUSDT and BTC-USDT, or BTC; ours first."""
        letters = parse.alphanumerics(name)
        found = [
            each
            for each in self._all(None)
            if letters and letters in (parse.alphanumerics(each.base), parse.alphanumerics(each.base + each.currency))
        ]
        return sorted(found, key=lambda each: (each.currency != self.CURRENCY, bool(each.settle), each.symbol))

    def _all(self, asset_class: AssetClass | None) -> list[Instrument]:
        self._client.public.load()
        made = map(self._made, self._client.public.exchange.markets.values())
        kinds = self.CAPABILITIES.asset_classes if asset_class is None else {asset_class}
        fitting = [each for each in made if each and each.asset_class in kinds & self.CAPABILITIES.asset_classes]
        return sorted(fitting, key=lambda each: each.symbol)

    def _made(self, market: parse.Answer) -> Instrument | None:
        fetched_at = self._client.public.fetched_at
        return parse.instrument(market, self.VENUE.title, fetched_at, base_is=self._base_is(market))

    def _base_is(self, market: parse.Answer) -> str:
        """What is bought and sold there, where the venue says that it is no coin."""
        return str(market.get("base_is") or "")

    def _of_symbol(self, symbol: Any) -> Instrument:
        """For an order or fill that exists, even where its instrument is no longer offered."""
        market = self._require(str(symbol))
        found = self._made({**market, "active": True})
        if found is None:
            raise InvalidSymbol(f"{symbol} is not offered here.")
        return found

    def _order(self, answer: parse.Answer, *, with_fills: bool = False) -> BrokerOrder:
        if answer["terms"] is None:
            raise BrokerUnavailable(f"{self.VENUE.title} sent this order in a form that could not be read.")
        found = self._of_symbol(answer.get("symbol"))
        self._client.remember(str(answer.get("id") or ""), str(answer.get("clientOrderId") or ""))
        order = parse.order(answer, found, datetime.now(UTC))
        if not with_fills or not order.filled_quantity:
            return order
        fills = tuple(self._fill(each) for each in self._trades_of(answer))
        return parse.order(answer, found, datetime.now(UTC), fills)

    def _told_order(self, answer: parse.Answer, *, open_only: bool) -> BrokerOrder | None:
        """For a list: None for what was sent elsewhere for an instrument that is not offered here. An open order that
        cannot be read is listed by its ids alone."""
        try:
            return self._order(answer)
        except InvalidSymbol:
            if self._is_foreign(answer.get("symbol"), str(answer.get("clientOrderId") or "")):
                logger.info(
                    "%s reported an order for an instrument that is not offered here: left out.", self.VENUE.title
                )
                return None
        except parse.UNREADABLE:
            unknown_word_counts.note(self.VENUE.title, "unreadable order")
            if not open_only:
                return None
            answer = {**answer, "terms": None}
        return self._nameless(answer)

    def _nameless(self, answer: parse.Answer) -> BrokerOrder:
        """An order whose instrument is not known, or that cannot be read: what it goes by, and that it is there."""
        terms = answer["terms"] or parse.VenueTerms(order_type=None, tif=None)
        filled = Decimal(0) if answer["terms"] is None else parse.number_or_zero(answer.get("filled"))
        return BrokerOrder(
            broker_order_id=str(answer.get("id") or ""),
            client_order_id=str(answer.get("clientOrderId") or ""),
            status=BrokerStatus.WORKING if answer["terms"] is None else parse.status(answer, filled, self.VENUE.title),
            filled_quantity=filled,
            average_price=None,
            fees=Decimal(0),
            updated_at=datetime.now(UTC),
            symbol=str(answer.get("symbol") or ""),
            side=parse.side_of(answer.get("side")),
            order_type=terms.order_type,
            tif=terms.tif,
            quantity=terms.quantity,
            limit_price=terms.limit_price,
            stop_price=terms.stop_price,
        )

    def _told_fill(self, trade: parse.Answer) -> tuple[datetime, str, Fill | None]:
        """Its time and id, and the fill as ``_told_order`` would have it."""
        try:
            fill = self._fill(trade)
        except InvalidSymbol:
            known = self._client.memory.client_ids.get(str(trade.get("order"))) or trade.get("clientOrderId")
            at = parse.moment(trade.get("timestamp"))
            if at is None or not self._is_foreign(trade.get("symbol"), known):
                raise
            logger.info("%s reported a fill of an instrument that is not offered here: left out.", self.VENUE.title)
            return at, str(trade.get("id")), None
        return fill.filled_at, fill.fill_id, fill

    def _is_foreign(self, symbol: Any, client_order_id: str | None) -> bool:
        """Whether it is surely no order of ours; None for an id that the venue does not tell here."""
        market = self._market(str(symbol))
        if market is not None and (market.get("option") or market.get("inverse")):
            return True
        return client_order_id is not None and not _OURS.fullmatch(client_order_id)

    def _balance(self) -> parse.Answer:
        """What the account has, in ccxt's form: coin → total, free and used."""
        found: parse.Answer = self._client.read("fetch_balance")
        return found

    def _answers(self, rows: Sequence[Any]) -> list[parse.Answer]:
        """Orders as ccxt reads them, each with what the venue's own words say it is."""
        return parse.readable(rows, self._answer, self.VENUE.title, "order")

    def _answer(self, row: Mapping[str, Any]) -> parse.Answer:
        """One that cannot be read keeps the names it goes by: it must not pass for an order that is not there."""
        try:
            return {**self._client.exchange.parse_order(self._for_library(row)), "terms": self._terms(row)}
        except parse.UNREADABLE:
            theirs, ours, market = (row.get(name) for name in self.NAMES)
            unknown_word_counts.note(self.VENUE.title, "unreadable order")
            return {"id": theirs, "clientOrderId": ours, "symbol": market, "terms": None}

    def _for_library(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Without what ccxt cannot read of it."""
        return row

    def _terms(self, row: Mapping[str, Any]) -> parse.VenueTerms:
        """What kind of order the venue's own row is."""
        raise NotImplementedError

    def _transactions(self, since: int | None, params: dict[str, Any]) -> list[Transaction]:
        """One page of the account's history."""
        return parse.readable(self._ledger(since, params), parse.transaction, self.VENUE.title, "ledger entry")

    def _ledger(self, since: int | None, params: dict[str, Any]) -> list[parse.Answer]:
        """One page."""
        found: list[parse.Answer] = self._client.read("fetch_ledger", None, since, PAGE, params)
        return found

    def _trades(self, symbol: str | None, since: int | None, params: dict[str, Any]) -> list[parse.Answer]:
        """One page of the account's fills."""
        found: list[parse.Answer] = self._client.read("fetch_my_trades", symbol, since, PAGE, params)
        return found

    def _trades_of(self, answer: parse.Answer) -> list[parse.Answer]:
        """Of one order, oldest first."""
        trades = self._client.read("fetch_my_trades", answer["symbol"], answer.get("timestamp"), PAGE)
        return [each for each in trades if each.get("order") == answer.get("id")]

    def _fill(self, trade: parse.Answer) -> Fill:
        ours = self._client.memory.client_ids.get(str(trade.get("order")), "")
        return parse.fill(trade, self._of_symbol(trade.get("symbol")), ours)

    def _codes(self, balance: parse.Answer) -> list[str]:
        """What the account has something of."""
        skip = {"info", "free", "used", "total", "debt", "timestamp", "datetime"}
        return [code for code in balance if code not in skip and parse.number_or_zero(balance[code].get("total"))]

    def _cash(self, code: str, balance: parse.Answer) -> Cash:
        held = balance[code]
        total = parse.number_or_zero(held.get("total"))
        free = parse.number(held.get("free"))
        reserved = Decimal(0) if free is None else max(total - free, Decimal(0))
        return Cash(currency=code, total=total, reserved=reserved)

    def _spot(self, balance: parse.Answer) -> list[tuple[Instrument, Decimal]]:
        """Coins held that have a market against the account's currency, each with its last price there."""
        found = []
        for code in self._codes(balance):
            market = self._market(f"{code}/{self.CURRENCY}")
            if code in _CASH or market is None:
                continue
            instrument = self._made({**market, "active": True})
            if instrument is not None:
                last = parse.positive(self._public("fetch_ticker", instrument.symbol).get("last"))
                found.append((instrument, last or Decimal(0)))
        return found

    def _cash_rates(self, cash: Sequence[Cash], currency: str) -> dict[str, Decimal]:
        """What has no market to ``currency`` is missing: it has no worth that could be told."""
        found = {}
        for each in cash:
            try:
                found[each.currency] = self.exchange_rate(each.currency, currency).rate
            except NoRate:
                continue
        return found

    def _held(self) -> list[parse.Answer]:
        """The positions in contracts."""
        found: list[parse.Answer] = self._client.read("fetch_positions")
        return found

    def _contracts(self) -> list[Position]:
        """Raises BrokerUnavailable for one that is not offered here: what is held is never left out."""
        if not self.CAPABILITIES.asset_classes & {AssetClass.PERPETUAL, AssetClass.FUTURE}:
            return []
        found = []
        for each in self._held():
            size = parse.number_or_zero(each.get("contracts"))
            if not size:
                continue
            try:
                instrument = self._of_symbol(each.get("symbol"))
            except InvalidSymbol as error:
                name = quoted_text(each.get("symbol"), 40)
                raise BrokerUnavailable(
                    f"{self.VENUE.title} has a position in {name}, which cannot be shown here. Check your positions "
                    "at the broker."
                ) from error
            quantity = -abs(size) if each.get("side") == "short" else abs(size)
            last = parse.positive(each.get("markPrice")) or parse.positive(each.get("lastPrice"))
            if last is None:
                last = self.quotes([instrument.symbol])[0].last
            average = parse.positive(each.get("entryPrice"))
            profit = parse.number(each.get("unrealizedPnl"))
            if profit is None and average is not None:
                profit = (last - average) * quantity * instrument.multiplier
            found.append(
                Position(
                    symbol=instrument.symbol,
                    asset_class=instrument.asset_class,
                    currency=instrument.currency,
                    quantity=quantity,
                    reserved=Decimal(0),
                    average_price=average,
                    last=last,
                    market_value=quantity * last * instrument.multiplier,
                    unrealized_pnl=profit,
                    source=self.VENUE.title,
                    leverage=parse.positive(each.get("leverage")),
                    margin_mode=str(each.get("marginMode") or ""),
                )
            )
        return found

    def _free(self, balance: parse.Answer, found: Instrument) -> Decimal:
        """What can be put into the instrument."""
        return parse.number_or_zero(balance.get(found.settle or found.currency, {}).get("free"))

    def _funding_rate(self, found: Instrument, market: parse.Answer, limit: int) -> FundingRate:
        """Of those that have perpetuals."""
        raise NotSupported(f"{self.VENUE.title} has no perpetuals.")

    def _money_lists(self, start: datetime | None) -> Sequence[Callable[[datetime | None], list[Transfer]]]:
        """Each a list of its own: a page of it that ends before a time, newest first or not."""

        def of(name: str) -> Callable[[datetime | None], list[Transfer]]:
            def page(until: datetime | None) -> list[Transfer]:
                # One more millisecond: a page may end between two of the same instant.
                params = {} if until is None else {"until": parse.milliseconds(until) + 1}
                since = None if start is None else parse.milliseconds(start)
                rows = self._client.read(name, None, since, PAGE, params)
                return parse.readable(rows, parse.transfer, self.VENUE.title, "transfer")

            return page

        return [of("fetch_deposits"), of("fetch_withdrawals")]

    def _fee_symbols(self) -> dict[AssetClass, str]:
        """One instrument of each kind, whose fee stands for the kind's."""
        found: dict[AssetClass, str] = {}
        for kind in sorted(self.CAPABILITIES.asset_classes):
            of_kind = [each for each in self._all(kind) if each.currency == self.CURRENCY]
            if of_kind:
                found[kind] = next((each.symbol for each in of_kind if each.base == "BTC"), of_kind[0].symbol)
        return found

    def _fee_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Maker's and taker's share of an order's worth."""
        kept = self._client.memory.fee_rates.get(symbol)
        if kept is None or time.monotonic() - kept[0] > _FEES_KEPT:
            kept = (time.monotonic(), self._read_fee_rates(symbol))
            self._client.memory.fee_rates[symbol] = kept
        rates: tuple[Decimal, Decimal] = kept[1]
        return rates

    def _read_fee_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        found = self._client.read("fetch_trading_fee", symbol)
        return parse.number_or_zero(found.get("maker")), parse.number_or_zero(found.get("taker"))

    def _walk(
        self,
        page: Callable[[datetime | None], list[Any]],
        key: Callable[[Any], tuple[datetime, str]],
        counts: Callable[[Any], bool],
        start: datetime | None,
        end: datetime | None,
        limit: int,
        after: str,
    ) -> list[Any]:
        """Newest first: all that was read, as far back as it takes for ``limit`` that count.

        Raises InvalidRequest when ``after`` is not among what was read.
        """
        seen: dict[str, Any] = {}
        until = end
        for _ in range(PAGES):
            rows = page(until)
            fresh = [each for each in rows if key(each)[1] not in seen]
            seen.update((key(each)[1], each) for each in fresh)
            ordered = sorted(seen.values(), key=key, reverse=True)
            try:
                wanted = self._cut(ordered, key, start, end, len(ordered), after)
            except InvalidRequest:
                wanted = []
            full = (rows.rows if isinstance(rows, parse.Readable) else len(rows)) >= self.ROWS
            if not fresh or not full or sum(map(counts, wanted)) >= limit:
                break
            until = min(key(each)[0] for each in rows)
        return self._cut(ordered, key, start, end, len(ordered), after)

    @staticmethod
    def _cut(
        ordered: list[Any],
        key: Callable[[Any], tuple[datetime, str]],
        start: datetime | None,
        end: datetime | None,
        limit: int,
        after: str,
    ) -> list[Any]:
        if after:
            places = [place for place, each in enumerate(ordered) if key(each)[1] == after]
            if not places:
                raise InvalidRequest("This page of the list no longer exists. Start from the first page.", "cursor")
            ordered = ordered[places[0] + 1 :]
        fitting = [
            each for each in ordered if (start is None or key(each)[0] >= start) and (end is None or key(each)[0] < end)
        ]
        return fitting[: max(limit, 0)]


def _percent(rate: Decimal) -> str:
    return f"{(rate * 100).normalize():f}%"


def _terms(order: BrokerOrder) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    return order.quantity, order.limit_price, order.stop_price


def _accepted(request: OrderRequest, found: Instrument, broker_order_id: str) -> BrokerOrder:
    """What is known of an order that was taken, before it could be read."""
    now = datetime.now(UTC)
    return BrokerOrder(
        broker_order_id=broker_order_id,
        client_order_id=request.client_order_id,
        status=BrokerStatus.WORKING,
        filled_quantity=Decimal(0),
        average_price=None,
        fees=Decimal(0),
        updated_at=now,
        symbol=found.symbol,
        side=request.side,
        order_type=request.order_type,
        tif=request.tif,
        quantity=request.quantity,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        trail_amount=request.trail_amount,
        trail_percent=request.trail_percent,
        order_class=request.order_class,
        currency=found.currency,
        created_at=now,
    )


def environment(settings: Mapping[str, Any]) -> Environment:
    """What the connection was linked as. Raises InvalidRequest for anything but the two words."""
    try:
        return Environment(str(settings.get("environment", "")))
    except ValueError:
        raise InvalidRequest("A connection is either paper or live.", "environment") from None
