"""The paper broker behind the one interface every broker has."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Self

from django.db.models import Q
from django.utils import timezone

from brokers.errors import InvalidAccount, InvalidRequest, NotCancellable, NotSupported, OrderNotFound
from brokers.paper import depth as simulated_depth
from brokers.paper import exchange, intake, ledger, rates, sessions, tariff
from brokers.paper.books import catch_up
from brokers.paper.listings import market_of
from brokers.paper.models import OPEN_STATUSES, LedgerEntry, PaperAccount, PaperFill, PaperOrder
from brokers.paper.prices import Market, Tape
from brokers.paper.prices import bars as bars_of
from brokers.paper.prices import quote as quote_of
from brokers.types import (
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
    Health,
    Instrument,
    MarketDay,
    OrderBook,
    OrderChanges,
    OrderRequest,
    OrderType,
    Position,
    Preview,
    Print,
    Prints,
    Quote,
    Rate,
    Side,
    TimeInForce,
    Transaction,
)


class PaperBroker:
    """One paper account. What reads or changes it first matches its orders up to now."""

    def __init__(self, account: PaperAccount, *, clock: Callable[[], datetime] = timezone.now) -> None:
        self._account = account
        self._clock = clock

    @classmethod
    def open(cls, settings: Mapping[str, Any], *, clock: Callable[[], datetime] = timezone.now) -> Self:
        """``settings`` is ``{"account": key}``. Raises InvalidAccount."""
        return cls(ledger.account(str(settings.get("account", ""))), clock=clock)

    @property
    def capabilities(self) -> Capabilities:
        return intake.CAPABILITIES

    def connect(self) -> ConnectionInfo:
        return ConnectionInfo(
            accounts=tuple(self.accounts()), environment=Environment.PAPER, can_trade=True, can_withdraw=False
        )

    def ping(self) -> Health:
        return Health(latency=0.0, clock_skew=None)

    def accounts(self) -> list[Account]:
        mine = self._account
        return [Account(account_id=mine.key, name=mine.name, currency=mine.currency, environment=Environment.PAPER)]

    def account_state(self, account_id: str) -> AccountState:
        now = self._current(account_id)
        cash = ledger.cash(self._account)
        value = sum((position.market_value for position in self._positions(now)), Decimal(0))
        own = cash[self._account.currency]
        return AccountState(
            account_id=account_id,
            currency=self._account.currency,
            cash=tuple(
                Cash(currency=currency, total=held.total, reserved=held.reserved, settled=held.total)
                for currency, held in cash.items()
            ),
            positions_value=value,
            equity=own.total + value,
            buying_power=own.available,
            as_of=now,
        )

    def positions(self, account_id: str) -> list[Position]:
        return self._positions(self._current(account_id))

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
        self._current(account_id)
        entries = self._account.ledger.order_by("-at", "-pk")
        if after:
            entries = entries.filter(_older_than(self._account.ledger.filter(pk=_number(after)).first()))
        if kinds:
            entries = entries.filter(kind__in=kinds)
        if start is not None:
            entries = entries.filter(at__gte=start)
        if end is not None:
            entries = entries.filter(at__lt=end)
        return [_transaction(entry) for entry in entries[: max(limit, 0)]]

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
        self._current(account_id)
        mine = PaperFill.objects.filter(order__account=self._account)
        rows = mine.select_related("order").order_by("-at", "-pk")
        if after:
            rows = rows.filter(_older_than(mine.filter(fill_id=after).first()))
        if client_order_id:
            rows = rows.filter(order__client_order_id=client_order_id)
        if symbol:
            rows = rows.filter(order__symbol=symbol)
        if start is not None:
            rows = rows.filter(at__gte=start)
        if end is not None:
            rows = rows.filter(at__lt=end)
        return [_fill(row.order, row) for row in rows[: max(limit, 0)]]

    def fees(self, account_id: str) -> list[FeeRule]:
        self._check(account_id)
        return tariff.rules()

    def find_instruments(
        self, query: str, *, asset_class: AssetClass | None = None, limit: int = 10, by_name: bool = False
    ) -> list[Instrument]:
        return self._market().find(query, asset_class, limit, by_name=by_name)

    def instruments(self, *, asset_class: AssetClass | None = None, limit: int) -> list[Instrument]:
        fitting = (each for each in self._market().instruments() if asset_class in (None, each.asset_class))
        return list(islice(fitting, max(limit, 0)))

    def instrument(self, symbol: str) -> Instrument:
        tape = self._market().tape(symbol)
        return replace(tape.instrument, hours=sessions.words(tape.hours))

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        market, now = self._market(), self._clock()
        return [self._quote(market.tape(symbol), now) for symbol in symbols]

    def order_book(self, symbol: str, depth: int) -> OrderBook:
        return simulated_depth.book(self._market().tape(symbol), self._clock(), depth)

    def prints(self, symbol: str, limit: int) -> Prints:
        tape, now = self._market().tape(symbol), self._clock()
        size = BarSize.MINUTE if tape.step == 1 else BarSize.DAY
        found = bars_of(tape, size, start=None, end=None, limit=limit, now=now)
        return Prints(
            symbol=tape.instrument.symbol,
            currency=tape.instrument.currency,
            prints=tuple(
                Print(at=bar.start + timedelta(seconds=size.seconds), price=bar.close, size=bar.volume)
                for bar in reversed(found)
            ),
            source=tape.instrument.price_source,
            note=f"One print per {size.value} bar: its close and volume. Single trades are not known.",
        )

    def market_hours(self, *, day: date | None = None, market: str = "") -> list[MarketDay]:
        return sessions.markets(self._account.hours, self._clock(), day=day, market=market)

    def exchange_rate(self, base: str, quote: str) -> Rate:
        return rates.rate(self._market(), base, quote, self._clock())

    def bars(
        self,
        symbol: str,
        size: BarSize,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 100,
    ) -> list[Bar]:
        return self._market().bars(symbol, size, start, end, limit, self._clock())

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        now = self._current(account_id)
        return intake.preview(self._account, request, now)

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        self._check(account_id)
        return _broker_order(intake.submit(self._account, request, self._clock()))

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        self._current(account_id)
        found = self._account.orders.filter(client_order_id=client_order_id).first()
        return None if found is None else _broker_order(found)

    def orders(
        self, account_id: str, *, open_only: bool = False, since: datetime | None = None, limit: int = 100
    ) -> list[BrokerOrder]:
        self._current(account_id)
        found = self._account.orders.order_by("-created", "-pk")
        if open_only:
            found = found.filter(status__in=OPEN_STATUSES)
        if since is not None:
            found = found.filter(created__gte=since)
        return [_broker_order(order) for order in found[: max(limit, 0)]]

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        self._check(account_id)
        raise NotSupported("The paper broker cannot change an order. Cancel it and send another.")

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        now = self._current(account_id)
        with ledger.locked(self._account) as account:
            found = account.orders.filter(client_order_id=client_order_id).first()
            if found is None:
                raise OrderNotFound("This account has no order with that client order id.")
            if not BrokerStatus(found.status).is_open:
                raise NotCancellable(f"This order is {found.status} already.")
            ledger.end(found, BrokerStatus.CANCELLED, at=now, reason="Cancelled on request.")
        return _broker_order(found)

    def _check(self, account_id: str) -> None:
        if account_id != self._account.key:
            raise InvalidAccount("This connection has no account with that id.")

    def _current(self, account_id: str) -> datetime:
        """Now, with the account's orders matched up to it."""
        self._check(account_id)
        now = self._clock()
        catch_up(self._account, now)
        return now

    def _quote(self, tape: Tape, now: datetime) -> Quote:
        """Sizes come with computed prices alone: a recording has none, and made-up ones would look recorded."""
        quote = quote_of(tape, now)
        if quote.recorded_at is not None:
            return quote
        bid_size, ask_size = simulated_depth.top(tape, quote)
        return replace(quote, bid_size=bid_size, ask_size=ask_size)

    def _market(self) -> Market:
        return market_of(self._account)

    def _positions(self, now: datetime) -> list[Position]:
        market, reserved = self._market(), ledger.reserved_quantities(self._account)
        found = []
        for holding in self._account.holdings.order_by("symbol"):
            instrument, quote = market.tape(holding.symbol).instrument, market.quote(holding.symbol, now)
            value = exchange.gross(quote.last, holding.quantity)
            found.append(
                Position(
                    symbol=holding.symbol,
                    asset_class=instrument.asset_class,
                    currency=instrument.currency,
                    quantity=holding.quantity,
                    reserved=reserved.get(holding.symbol, Decimal(0)),
                    average_price=holding.average_price,
                    last=quote.last,
                    market_value=value,
                    unrealized_pnl=value - exchange.gross(holding.average_price, holding.quantity),
                    source=quote.source,
                )
            )
        return found


def _older_than(row: PaperFill | LedgerEntry | None) -> Q:
    """What comes after this row in a list that is newest first. Raises InvalidRequest when there is no row."""
    if row is None:
        raise InvalidRequest("This account has no such place to go on from.", "cursor")
    return Q(at__lt=row.at) | Q(at=row.at, pk__lt=row.pk)


def _number(transaction_id: str) -> int:
    """0, which no row has, for what cannot be one of our ids."""
    fits = transaction_id.isascii() and transaction_id.isdecimal() and len(transaction_id) <= 18
    return int(transaction_id) if fits else 0


def _broker_order(order: PaperOrder) -> BrokerOrder:
    return BrokerOrder(
        broker_order_id=order.broker_order_id,
        client_order_id=order.client_order_id,
        status=BrokerStatus(order.status),
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        fees=order.fees,
        updated_at=order.updated,
        reason=order.reason,
        fills=tuple(_fill(order, row) for row in order.fills.order_by("pk")),
        symbol=order.symbol,
        side=Side(order.side),
        order_type=OrderType(order.order_type),
        tif=TimeInForce(order.tif),
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        currency=order.currency,
        created_at=order.created,
    )


def _fill(order: PaperOrder, row: PaperFill) -> Fill:
    return Fill(
        fill_id=row.fill_id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=Side(order.side),
        quantity=row.quantity,
        price=row.price,
        fee=row.fee,
        currency=order.currency,
        filled_at=row.at,
        source=row.source,
    )


def _transaction(entry: LedgerEntry) -> Transaction:
    return Transaction(
        transaction_id=str(entry.pk),
        at=entry.at,
        kind=entry.kind,
        currency=entry.currency,
        amount=entry.amount,
        symbol=entry.symbol,
        quantity=entry.quantity,
        price=entry.price,
        client_order_id=entry.client_order_id,
    )
