"""The paper broker behind the one interface every broker has."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from django.utils import timezone

from brokers.errors import InvalidAccount, NotCancellable, OrderNotFound
from brokers.paper import exchange, intake, ledger
from brokers.paper.books import catch_up
from brokers.paper.listings import market_of
from brokers.paper.models import LedgerEntry, PaperAccount, PaperFill, PaperOrder
from brokers.paper.prices import Market
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
    Environment,
    Fill,
    Instrument,
    OrderRequest,
    OrderType,
    Position,
    Preview,
    Quote,
    Side,
    TimeInForce,
    Transaction,
)

CAPABILITIES = Capabilities(
    abilities=frozenset(Ability),
    asset_classes=frozenset(AssetClass),
    order_types=frozenset(OrderType),
    time_in_force=frozenset(TimeInForce),
    not_found_after=10.0,
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
        return CAPABILITIES

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
                Cash(currency=currency, total=held.total, reserved=held.reserved) for currency, held in cash.items()
            ),
            positions_value=value,
            equity=own.total + value,
            buying_power=own.available,
            as_of=now,
        )

    def positions(self, account_id: str) -> list[Position]:
        return self._positions(self._current(account_id))

    def transactions(
        self, account_id: str, *, start: datetime | None, end: datetime | None, limit: int
    ) -> list[Transaction]:
        self._current(account_id)
        entries = self._account.ledger.order_by("-at", "-pk")
        if start is not None:
            entries = entries.filter(at__gte=start)
        if end is not None:
            entries = entries.filter(at__lt=end)
        return [_transaction(entry) for entry in entries[: max(limit, 0)]]

    def find_instruments(
        self, query: str, *, asset_class: AssetClass | None = None, limit: int = 10
    ) -> list[Instrument]:
        return self._market().find(query, asset_class, limit)

    def instrument(self, symbol: str) -> Instrument:
        return self._market().tape(symbol).instrument

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        market, now = self._market(), self._clock()
        return [market.quote(symbol, now) for symbol in symbols]

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

    def order(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        self._current(account_id)
        found = self._account.orders.filter(client_order_id=client_order_id).first()
        return None if found is None else _broker_order(found)

    def cancel(self, account_id: str, client_order_id: str) -> BrokerOrder:
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
