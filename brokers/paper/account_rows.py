"""An account with all that a look at it needs, in one statement: what it has, its open orders, what is imported."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Subquery, When

from brokers.compiled_queries import JsonRows, Statement
from brokers.errors import InvalidAccount
from brokers.paper.ledger import AccountSnapshot, OpenOrder
from brokers.paper.listings import market_for
from brokers.paper.models import (
    OPEN_STATUSES,
    CashBalance,
    CorporateAction,
    Holding,
    ImportedSeries,
    LedgerEntry,
    MatchedTape,
    PaperAccount,
    PaperOrder,
)
from brokers.paper.prices import Market

FEW = 100
"""Orders that are read with their account sooner than looked for one by one."""
# What SQLite writes of a float has 15 digits: the bounds are taken this much wider, so that no order is missed.
_ROUNDED = 2e-14

_FIELDS = [field.attname for field in PaperAccount._meta.concrete_fields]


def _build(key: str, named: str, first: str, second: str, at: datetime) -> QuerySet[PaperAccount, tuple[Any, ...]]:
    its = OuterRef("pk")
    # The account in both: SQLite would else read every order it ever had.
    orders = PaperOrder.objects.filter(
        Q(account=its, client_order_id=named) | Q(account=its, status__in=[first, second])
    )
    seen = MatchedTape.objects.filter(tape=OuterRef("tape")).values("seen")
    coming = JsonRows(LedgerEntry.objects.filter(account=its, settles_at__gt=at), "currency", "amount")
    return PaperAccount.objects.filter(key=key).values_list(
        *_FIELDS,
        JsonRows(Holding.objects.filter(account=its), "symbol", "quantity", "average_price"),
        JsonRows(CashBalance.objects.filter(account=its), "currency", "amount"),
        # Where nothing settles later the ledger is not searched for it: it only grows.
        Case(When(settlement_days__gt=0, then=coming)),
        JsonRows(orders.annotate(seen=Subquery(seen)), "id", *OpenOrder._fields[1:]),
        JsonRows(ImportedSeries.objects.all(), "id", "imported", "symbol", "name", "asset_class", "exchange"),
        JsonRows(CorporateAction.objects.all(), "id", "at", "symbol", "kind", "value"),
    )


def _build_glance(key: str, first: str, second: str) -> QuerySet[PaperAccount, tuple[Any, ...]]:
    open_ones = (PaperOrder.objects.filter(account=OuterRef("pk"), status=status) for status in (first, second))
    more = (Exists(orders.order_by()[FEW : FEW + 1]) for orders in open_ones)
    return PaperAccount.objects.filter(key=key).values_list(
        *_FIELDS,
        Case(When(next(more), then=True), When(next(more), then=True), default=False),
        JsonRows(ImportedSeries.objects.all(), "id", "imported", "symbol", "name", "asset_class", "exchange"),
        JsonRows(CorporateAction.objects.all(), "id", "at", "symbol", "kind", "value"),
    )


_ROWS = Statement(_build)
_GLANCE = Statement(_build_glance)
_LOCK = Statement(lambda key: PaperAccount.objects.select_for_update().filter(key=key).values_list("pk"))


@dataclass(frozen=True, slots=True)
class Glance:
    """An account without what it has."""

    account: PaperAccount
    many_rest: bool
    """Whether more than ``FEW`` orders of one status are open."""
    imported: tuple[tuple[Any, ...], ...]
    """As ``listings.market_for`` takes it."""

    @property
    def market(self) -> Market:
        """Raises BrokerUnavailable for a venue whose listing was never read."""
        return market_for(self.account.seed, self.account.hours, self.account.venue, self.imported)


@dataclass(frozen=True, slots=True)
class AccountRows(Glance):
    """What was read of an account at one time."""

    state: AccountSnapshot


def glance(key: str) -> Glance:
    """Raises InvalidAccount."""
    row = _GLANCE.first(key, *OPEN_STATUSES)
    if row is None:
        raise InvalidAccount("There is no such paper account.")
    *own, many, series, actions = row
    return Glance(PaperAccount.from_db(DEFAULT_DB_ALIAS, _FIELDS, own), bool(many), _imported(series, actions))


def _imported(series: list[tuple[Any, ...]], actions: list[tuple[Any, ...]]) -> tuple[tuple[Any, ...], ...]:
    return (
        *((*one, None) for one in series),
        *((pk, when, symbol, "", kind, "", value) for pk, when, symbol, kind, value in actions),
    )


def read(key: str, at: datetime, *, named: str = "") -> AccountRows:
    """``named``: a client order id to look for with the open orders. Raises InvalidAccount."""
    row = _ROWS.first(key, named, *OPEN_STATUSES, at)
    if row is None:
        raise InvalidAccount("There is no such paper account.")
    *own, held, cash, coming, orders, series, actions = row
    account = PaperAccount.from_db(DEFAULT_DB_ALIAS, _FIELDS, own)
    book = [
        *(("held", symbol, units, price) for symbol, units, price in held),
        *(("cash", currency, amount, None) for currency, amount in cash),
        *(("unsettled", currency, amount, None) for currency, amount in coming),
    ]
    found = [_wider(OpenOrder(*order)) for order in orders]
    state = AccountSnapshot(account, at, named=named, orders=found, book=book)
    return AccountRows(account, len(state.orders) > FEW, _imported(series, actions), state)


def _wider(order: OpenOrder) -> OpenOrder:
    below, above = order.touch_below, order.touch_above
    return order._replace(
        touch_below=None if below is None else below + abs(below) * _ROUNDED,
        touch_above=None if above is None else above - abs(above) * _ROUNDED,
    )


@contextmanager
def locked(key: str, at: datetime, *, named: str = "") -> Iterator[AccountRows]:
    """As ``ledger.locked``, with what the account has then. Raises InvalidAccount."""
    with transaction.atomic():
        # By itself: a statement that waited for the lock would see the other rows as they were before it waited.
        if connection.features.has_select_for_update and _LOCK.first(key) is None:
            raise InvalidAccount("There is no such paper account.")
        yield read(key, at, named=named)
