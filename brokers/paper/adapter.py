"""The paper broker behind the one interface every broker has."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, Self

from django.db.models import Count, Max, Q
from django.utils import timezone

from brokers.base import Extras
from brokers.errors import InvalidAccount, InvalidRequest, NotCancellable, OrderNotFound
from brokers.market_hours import at_minute, minute_of
from brokers.paper import (
    account_rows,
    buying_power,
    corporate_actions,
    costs,
    exchange_rates,
    fee_descriptions,
    fill_rules,
    ledger,
    live_market,
    order_intake,
    public_price_feed,
    trading_sessions,
)
from brokers.paper import order_book as simulated_depth
from brokers.paper.accounts import CurrentAccount, bring_current, bring_matched
from brokers.paper.engine import Matcher
from brokers.paper.listings import exchanges, market_of, market_shown, origin
from brokers.paper.models import OPEN_STATUSES, LedgerEntry, PaperAccount, PaperFill, PaperOrder
from brokers.paper.prices import Market, newest
from brokers.paper.prices import bars as bars_of
from brokers.paper.prices import quote as quote_of
from brokers.types import (
    Account,
    AccountEquity,
    AccountState,
    AssetClass,
    Bar,
    BarSize,
    BrokerOrder,
    BrokerStatus,
    Capabilities,
    Cash,
    ConnectionInfo,
    Dividend,
    Environment,
    FeeRule,
    Fill,
    Health,
    Instrument,
    InstrumentEvents,
    MarketDay,
    OrderBook,
    OrderChanges,
    OrderClass,
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

_EVENTS_AHEAD = timedelta(days=366)
_AT_ONCE = 0.5
"""Seconds within which a call that follows another one uses what that read of the market."""


class PaperBroker(Extras):
    """One or more paper accounts. What reads or changes one first matches its orders up to now."""

    def __init__(self, keys: Sequence[str], *, clock: Callable[[], datetime] = timezone.now) -> None:
        self._keys = keys
        self._clock = clock
        self._just_read: tuple[float, account_rows.Glance] | None = None

    @cached_property
    def _accounts(self) -> dict[str, PaperAccount]:
        found = [account_rows.glance(key) for key in self._keys]
        self._just_read = time.monotonic(), found[0]
        return {rows.account.key: rows.account for rows in found}

    @property
    def _account(self) -> PaperAccount:
        return self._accounts[self._keys[0]]

    @classmethod
    def open(cls, settings: Mapping[str, Any], *, clock: Callable[[], datetime] = timezone.now) -> Self:
        """``settings`` is ``{"account": key}``, or ``{"accounts": [key, …]}`` with the main one first.

        Quotes, and orders in them, are those of the main account's market. Accounts are looked up when they are
        needed; where there is no such account, the method that needs it raises InvalidAccount.
        """
        keys = settings.get("accounts") or [settings.get("account", "")]
        return cls([str(key) for key in keys], clock=clock)

    @property
    def capabilities(self) -> Capabilities:
        return order_intake.CAPABILITIES

    def connect(self) -> ConnectionInfo:
        return ConnectionInfo(
            accounts=tuple(self.accounts()), environment=Environment.PAPER, can_trade=True, can_withdraw=False
        )

    def ping(self) -> Health:
        venue = self._venue
        if not venue:
            return Health(latency=0.0, clock_skew=None)
        began = time.monotonic()
        ahead = live_market.feed_of(venue).ping(self._clock())
        return Health(latency=time.monotonic() - began, clock_skew=-ahead.total_seconds())

    def accounts(self) -> list[Account]:
        return [
            Account(account_id=each.key, name=each.name, currency=each.currency, environment=Environment.PAPER)
            for each in self._accounts.values()
        ]

    def account_state(self, account_id: str) -> AccountState:
        found = self._priced(account_id)
        account = found.account
        cash = found.state.cash()
        value = sum((position.market_value for position in _positions(found)), Decimal(0))
        own = cash[account.currency]
        state = AccountState(
            account_id=account_id,
            currency=account.currency,
            cash=tuple(
                Cash(
                    currency=currency,
                    total=held.total,
                    reserved=held.reserved,
                    settled=held.total - held.unsettled,
                )
                for currency, held in cash.items()
            ),
            positions_value=value,
            equity=own.total + value,
            buying_power=own.available,
            as_of=found.now,
        )
        if account.kind == buying_power.CASH:
            return state
        margin = buying_power.margin_state(found.state, found.market)
        free = max(margin.equity - margin.initial - own.reserved, Decimal(0))
        return replace(
            state,
            buying_power=(free / costs.INITIAL_MARGIN).quantize(fill_rules.CENT),
            initial_margin=margin.initial,
            maintenance_margin=margin.maintenance,
        )

    def equity(self, account_id: str) -> AccountEquity:
        self._check_prices(account_id)
        found = bring_matched(account_id, self._clock())
        own = found.account.currency
        value = sum((_value(found, symbol, units) for symbol, (units, _) in found.state.holdings.items()), Decimal(0))
        cash = found.state.total(own)
        return AccountEquity(account_id=account_id, currency=own, equity=cash + value, cash=cash)

    def positions(self, account_id: str) -> list[Position]:
        return _positions(self._priced(account_id))

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
        account = self._matched(account_id)
        entries = account.ledger.order_by("-at", "-pk")
        if after:
            entries = entries.filter(_older_than(account.ledger.filter(pk=_number(after)).first()))
        if start is not None:
            entries = entries.filter(at__gte=start)
        if end is not None:
            entries = entries.filter(at__lt=end)
        if not kinds:
            return [_transaction(entry) for entry in entries[: max(limit, 0)]]
        # One by one: all together would be looked for among all that the account ever booked.
        found = [entry for kind in set(kinds) for entry in entries.filter(kind=kind)[: max(limit, 0)]]
        found.sort(key=lambda entry: (entry.at, entry.pk), reverse=True)
        return [_transaction(entry) for entry in found[: max(limit, 0)]]

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
        account = self._matched(account_id)
        mine = PaperFill.objects.filter(account=account)
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
        account = self._of(account_id)
        return fee_descriptions.fee_rules(costs.model_of(account.preset, account.overrides))

    def find_instruments(
        self, query: str, *, asset_class: AssetClass | None = None, limit: int = 10, by_name: bool = False
    ) -> list[Instrument]:
        return self._market().find(query, asset_class, limit, by_name=by_name)

    def instruments(self, *, asset_class: AssetClass | None = None, limit: int) -> list[Instrument]:
        fitting = (each for each in self._market().instruments() if asset_class in (None, each.asset_class))
        return list(islice(fitting, max(limit, 0)))

    def instrument(self, symbol: str) -> Instrument:
        return order_intake.described(self._market().tape(symbol))

    def instrument_events(self, symbol: str) -> InstrumentEvents:
        """The market's own dividends, which are known ahead."""
        known, now = self._market().tape(symbol).instrument, self._clock()
        for each in corporate_actions.upcoming(self._keys[0], now, now + _EVENTS_AHEAD):
            if (each.symbol, each.kind) == (known.symbol, "dividend"):
                return InstrumentEvents(
                    next_dividend=Dividend(ex_date=each.at.date(), amount=each.value, currency=known.currency)
                )
        return InstrumentEvents()

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        now = self._clock()
        market = market_shown(self._keys[0], now)
        if market.venue:
            return [_live_quote(market, symbol, now) for symbol in symbols]
        minute = minute_of(now)
        return [_cached_quote(market, symbol, minute) for symbol in symbols]

    def order_book(self, symbol: str, depth: int) -> OrderBook:
        tape = self._market().tape(symbol)
        if venue := self._venue:
            return live_market.feed_of(venue).book(tape.instrument, depth, self._clock())
        return simulated_depth.book(tape, self._clock(), depth)

    def prints(self, symbol: str, limit: int) -> Prints:
        tape, now = self._market().tape(symbol), self._clock()
        size = BarSize.MINUTE if tape.step == 1 else BarSize.DAY
        if venue := self._venue:
            found = live_market.bars(venue, tape.instrument.symbol, size, None, None, limit, now)
        else:
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
        venue = self._venue
        return trading_sessions.markets(
            self._account.hours,
            self._clock(),
            day=day,
            market=market,
            live=public_price_feed.title(venue) if venue else "",
            exchanges=exchanges(),
        )

    def exchange_rate(self, base: str, quote: str) -> Rate:
        market, now = self._market(), self._clock()
        if venue := self._venue:
            for pair in filter(market.lists, (f"{base}/{quote}", f"{quote}/{base}")):
                live_market.update_quote(venue, pair, now)
        return exchange_rates.rate(market, base, quote, now)

    def bars(
        self,
        symbol: str,
        size: BarSize,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 100,
    ) -> list[Bar]:
        market, now = self._market(), self._clock()
        if venue := self._venue:
            return live_market.bars(venue, market.tape(symbol).instrument.symbol, size, start, end, limit, now)
        return market.bars(symbol, size, start, end, limit, now)

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        self._bring(account_id, request.symbol)
        return order_intake.preview(self._current(account_id, named=request.client_order_id), request)

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        now = self._bring(account_id, request.symbol)
        return _broker_order(*order_intake.submit(account_id, request, now))

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        account = self._matched(account_id)
        found = ledger.order(account, client_order_id)
        return None if found is None else _broker_order(found, ledger.fills(found))

    def orders(
        self, account_id: str, *, open_only: bool = False, since: datetime | None = None, limit: int = 100
    ) -> list[BrokerOrder]:
        account = self._matched(account_id)
        found = account.orders.select_related("parent").prefetch_related("fills").order_by("-created", "-pk")
        if open_only:
            found = found.filter(status__in=OPEN_STATUSES)
        if since is not None:
            found = found.filter(created__gte=since)
        return [_broker_order(order) for order in found[: max(limit, 0)]]

    def named_orders(self, account_id: str, client_order_ids: Collection[str]) -> list[BrokerOrder]:
        found = self._matched(account_id).orders.filter(client_order_id__in=client_order_ids)
        found = found.select_related("parent").prefetch_related("fills").order_by("-created", "-pk")
        return [_broker_order(order) for order in found]

    def version_of_open(self, account_id: str) -> str:
        # Of so many up to this newest one there is one set: an order that has ended stays so.
        found = self._matched(account_id).orders.filter(status__in=OPEN_STATUSES)
        told = found.aggregate(count=Count("pk"), newest=Max("pk"))
        return f"{told['count']} up to {told['newest']}"

    def open_names(self, account_id: str) -> list[str]:
        found = self._matched(account_id).orders.filter(status__in=OPEN_STATUSES)
        return list(found.order_by("-created", "-pk").values_list("client_order_id", flat=True))

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        """In place: the order keeps its client order id, and loses its place in time."""
        if self._venue_of(account_id) and (found := self.order(account_id, client_order_id)) is not None:
            self._bring(account_id, found.symbol)
        with self._resting(account_id, client_order_id) as (account, order, now):
            order = order_intake.change(account, order, changes, now)
        return _broker_order(order)

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        if venue := self._venue_of(account_id):
            # Where the venue cannot be reached the order is taken back all the same.
            live_market.update_followed_bars(self._clock(), venue)
        with self._resting(account_id, client_order_id) as (account, order, now):
            Matcher(account, market_of(account), now).cancel(order)
        return _broker_order(order)

    @contextmanager
    def _resting(self, account_id: str, client_order_id: str) -> Iterator[tuple[PaperAccount, PaperOrder, datetime]]:
        """An open order with its account, locked. What has filled or ended by now stays so if the order has ended."""
        it = self._current(account_id)
        with ledger.locked(it.account) as mine:
            found = ledger.order(mine, client_order_id)
            if found is None:
                raise OrderNotFound("This account has no order with that client order id.")
            if not BrokerStatus(found.status).is_open:
                raise NotCancellable(f"This order is already {found.status}.")
            yield mine, found, it.now

    def _of(self, account_id: str) -> PaperAccount:
        self._check(account_id)
        return self._accounts[account_id]

    def _check(self, account_id: str) -> None:
        if account_id not in self._keys:
            raise InvalidAccount("This connection has no account with that id.")

    def _current(self, account_id: str, *, named: str = "") -> CurrentAccount:
        """The account as it is now, with its orders matched up to then."""
        self._check(account_id)
        return bring_current(account_id, self._clock(), named=named)

    def _matched(self, account_id: str) -> PaperAccount:
        """As ``_current``, where nothing of what the account has is asked for."""
        self._check(account_id)
        return bring_matched(account_id, self._clock()).account

    def _priced(self, account_id: str) -> CurrentAccount:
        """As ``_current``, with prices of now for what it holds. Raises BrokerUnavailable."""
        self._check_prices(account_id)
        return self._current(account_id)

    def _check_prices(self, account_id: str) -> None:
        """Those of what it holds are of now afterwards. Raises BrokerUnavailable."""
        if venue := self._venue_of(account_id):
            account, now = self._of(account_id), self._clock()
            live_market.update_listings(venue, now)
            live_market.check(venue, account.holdings.values_list("symbol", flat=True), now)

    def _bring(self, account_id: str, symbol: str) -> datetime:
        """Now, with the newest prices for a new order in ``symbol``. Raises BrokerUnavailable."""
        venue, now = self._venue_of(account_id), self._clock()
        if venue:
            live_market.update_listings(venue, now)
            name = live_market.market(venue).tape(symbol).instrument.symbol
            live_market.update_bars(venue, [name], now, behind=timedelta(minutes=1))
            live_market.update_quote(venue, name, now)
        return now

    @property
    def _venue(self) -> str:
        """Whose live prices the main account has; empty for none."""
        return self._venue_of(self._keys[0])

    def _venue_of(self, account_id: str) -> str:
        self._check(account_id)
        return origin(account_id)[2]

    def _market(self) -> Market:
        """To show what is listed; whatever is booked looks again."""
        if self._just_read is not None and time.monotonic() - self._just_read[0] < _AT_ONCE and not self._venue:
            return self._just_read[1].market
        return market_shown(self._keys[0], self._clock())


def _positions(it: CurrentAccount) -> list[Position]:
    reserved = it.state.reserved_quantities()
    found = []
    for symbol, (quantity, average_price) in it.state.holdings.items():
        instrument, quote = it.market.tape(symbol).instrument, it.market.quote(symbol, it.now)
        value = costs.notional_of(quote.last, quantity)
        found.append(
            Position(
                symbol=symbol,
                asset_class=instrument.asset_class,
                currency=instrument.currency,
                quantity=quantity,
                reserved=reserved.get(symbol, Decimal(0)),
                average_price=average_price,
                last=quote.last,
                market_value=value,
                unrealized_pnl=value - costs.notional_of(average_price, quantity),
                source=quote.source,
                as_of=quote.as_of,
            )
        )
    return found


def _value(it: CurrentAccount, symbol: str, units: Decimal) -> Decimal:
    return costs.notional_of(it.market.quote(symbol, it.now).last, units)


@lru_cache(maxsize=4096)
def _cached_quote(market: Market, symbol: str, minute: int) -> Quote:
    """Kept, because a quote is the same for the whole of a minute.

    Sizes come with computed prices alone: a recording has none, and made-up ones would look recorded.
    """
    tape = market.tape(symbol)
    quote = quote_of(tape, at_minute(minute))
    if quote.recorded_at is not None:
        return quote
    bid_size, ask_size = simulated_depth.top(tape, quote)
    return replace(quote, bid_size=bid_size, ask_size=ask_size)


def _live_quote(market: Market, symbol: str, now: datetime) -> Quote:
    tape = market.tape(symbol)
    live_market.update_quote(market.venue, tape.instrument.symbol, now)
    return newest(tape, now)


def _older_than(row: PaperFill | LedgerEntry | None) -> Q:
    """What comes after this row in a list that is newest first. Raises InvalidRequest when there is no row."""
    if row is None:
        raise InvalidRequest("This page of the list no longer exists. Start from the first page.", "cursor")
    # The first is for an index, which cannot use either of two.
    return Q(at__lte=row.at) & (Q(at__lt=row.at) | Q(pk__lt=row.pk))


def _number(transaction_id: str) -> int:
    """0, which no row has, for what cannot be one of our ids."""
    fits = transaction_id.isascii() and transaction_id.isdecimal() and len(transaction_id) <= 18
    return int(transaction_id) if fits else 0


def _broker_order(order: PaperOrder, fills: Sequence[PaperFill] | None = None) -> BrokerOrder:
    """``fills``: all it has, where they are known."""
    return BrokerOrder(
        broker_order_id=order.broker_order_id,
        client_order_id=order.client_order_id,
        status=BrokerStatus(order.status),
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        fees=order.fees,
        updated_at=order.updated,
        reason=order.reason,
        fills=tuple(
            _fill(order, row) for row in sorted(order.fills.all() if fills is None else fills, key=lambda row: row.pk)
        ),
        symbol=order.symbol,
        side=Side(order.side),
        order_type=OrderType(order.order_type),
        tif=TimeInForce(order.tif),
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_amount=order.trail_amount,
        trail_percent=order.trail_percent,
        currency=order.currency,
        order_class=OrderClass(order.order_class),
        parent_client_order_id="" if order.parent is None else order.parent.client_order_id,
        held=order.held,
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
        model=row.model,
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
