"""How an account has done, from stored rows alone: equity over time, its marks, and profit by symbol and month."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from brokers.decimals import percent_of, to_cents
from console.charts import figures
from console.charts.figures import BarChart, LineChart
from console.connections import equity
from console.connections.equity import FROM_OUTSIDE, Drawdown, Point
from console.connections.models import Connection, EquitySnapshot
from console.journal import sync
from console.journal.models import Execution, LedgerLine

PERIODS: dict[str, tuple[str, timedelta | None]] = {
    "1w": ("Week", timedelta(weeks=1)),
    "1m": ("Month", timedelta(days=30)),
    "3m": ("3 months", timedelta(days=91)),
    "1y": ("Year", timedelta(days=365)),
    "all": ("All", None),
}
GROUPS = {"symbol": "", "day": "%Y-%m-%d", "month": "%Y-%m"}
"""By what profit is told apart, and how a UTC day or month is written."""
MOST_FILLS = 100_000
DAYS = 30
"""How many days the chart of profits shows."""


@dataclass(frozen=True, slots=True)
class EquityChange:
    amount: Decimal
    percent: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Profit of one symbol or one month, fees apart."""

    name: str
    currency: str
    realized: Decimal
    fees: Decimal
    fills: int

    @property
    def net(self) -> Decimal:
        return self.realized - self.fees


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPerformance:
    currency: str
    equity: Decimal
    at: datetime
    day: EquityChange | None
    total: EquityChange | None
    since: datetime
    high: Point
    low: Point
    below: EquityChange | None
    """How far under the high it is now."""
    deepest: Drawdown | None


def accounts(connection: Connection) -> list[str]:
    """Account ids with anything stored, the connection's default first."""
    found = set(EquitySnapshot.objects.filter(connection=connection).values_list("account_id", flat=True).distinct())
    return sorted(found, key=lambda each: (each != connection.default_account, each))


def currency_of(connection: Connection, account_id: str) -> str:
    """Of an account with anything stored."""
    mine = EquitySnapshot.objects.filter(connection=connection, account_id=account_id)
    return str(mine.values_list("currency", flat=True)[0])


def account_performance(
    connection: Connection, account_id: str, now: datetime
) -> tuple[AccountPerformance, list[Point]] | None:
    """None while nothing has been stored yet. With it every point that is known, oldest first."""
    known = equity.points(connection.pk, account_id)
    if not known:
        return None
    first, last = known[0], known[-1]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    began = equity.equity_at(connection.pk, account_id, midnight)
    currency = currency_of(connection, account_id)
    high, low = max(known, key=lambda each: each.high), min(known, key=lambda each: each.low)
    under = high.high - last.equity
    told = AccountPerformance(
        currency=currency,
        equity=last.equity,
        at=last.at,
        day=_earned(connection, account_id, currency, last.equity, began),
        total=_earned(connection, account_id, currency, last.equity, (first.opened, first.opened_at)),
        since=first.opened_at,
        high=high,
        low=low,
        below=EquityChange(under, percent_of(under, high.high)) if under > 0 else None,
        deepest=equity.max_drawdown(known),
    )
    return told, known


def curve(known: Sequence[Point], since: datetime | None, currency: str) -> LineChart | None:
    """None for fewer than two points."""
    shown = [(point.at, point.equity) for point in known if since is None or point.at >= since]
    return figures.line(shown, label="Equity", unit=currency)


def by_day(connection: Connection, account_id: str, currency: str, now: datetime) -> BarChart | None:
    """Profit less fees of each of the last ``DAYS`` UTC days; None where nothing was traded in ``currency``."""
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    start = datetime.combine(days[0], time(), UTC)
    rows, _ = profit(connection, account_id, "day", start=start)
    earned = {row.name: row.net for row in rows if row.currency == currency}
    if not earned:
        return None
    values = [(f"{day.day} {day:%b}", earned.get(f"{day:%Y-%m-%d}", Decimal(0))) for day in days]
    return figures.bars(values, label="Profit by day, after fees", unit=currency, name="Day")


def profits(connection: Connection, account_id: str) -> tuple[list[Row], list[Row], bool]:
    """By symbol, by month newest first, and whether every fill is in; since the last reset of a practice account."""
    fills, whole = _fills(connection, account_id)
    return _grouped(fills, "symbol"), _grouped(fills, "month"), whole


def profit(
    connection: Connection, account_id: str, by: str, *, start: datetime | None = None, end: datetime | None = None
) -> tuple[list[Row], bool]:
    """By one of ``GROUPS``, of the fills in [start, end), and whether every fill is in; as ``profits`` otherwise."""
    fills, whole = _fills(connection, account_id, start, end)
    return _grouped(fills, by), whole


_Fill = tuple[str, datetime, Decimal, Decimal, str]


def _fills(
    connection: Connection, account_id: str, start: datetime | None = None, end: datetime | None = None
) -> tuple[list[_Fill], bool]:
    mine = {"connection": connection, "account_id": account_id}
    reset = LedgerLine.objects.filter(**mine, kind="reset").order_by("-at").values_list("at", flat=True).first()
    fills = Execution.objects.filter(**mine)
    if reset is not None:
        fills = fills.filter(at__gt=reset)
    if start is not None:
        fills = fills.filter(at__gte=start)
    if end is not None:
        fills = fills.filter(at__lt=end)
    rows = list(fills.order_by("-at").values_list("symbol", "at", "realized", "fee", "currency")[: MOST_FILLS + 1])
    return rows[:MOST_FILLS], len(rows) <= MOST_FILLS and sync.is_complete(connection.pk, account_id)


def _grouped(fills: Sequence[_Fill], by: str) -> list[Row]:
    """Symbols by what they earned, days and months newest first."""
    found: dict[tuple[str, str], list[tuple[Decimal, Decimal]]] = {}
    for symbol, at, realized, fee, currency in fills:
        name = symbol if by == "symbol" else at.strftime(GROUPS[by])
        found.setdefault((name, currency), []).append((realized, fee))
    rows = [_row(*key, earned) for key, earned in found.items()]
    if by == "symbol":
        return sorted(rows, key=lambda row: (-row.net, row.name))
    return sorted(rows, key=lambda row: row.name, reverse=True)


def _row(name: str, currency: str, found: list[tuple[Decimal, Decimal]]) -> Row:
    return Row(
        name=name,
        currency=currency,
        realized=sum((realized for realized, _ in found), Decimal(0)),
        fees=sum((fee for _, fee in found), Decimal(0)),
        fills=len(found),
    )


def _earned(
    connection: Connection, account_id: str, currency: str, now: Decimal, began: tuple[Decimal, datetime] | None
) -> EquityChange | None:
    """Without what was paid in or out since; None where nothing is known of the beginning."""
    if began is None:
        return None
    moved = LedgerLine.objects.filter(
        connection=connection, account_id=account_id, kind__in=FROM_OUTSIDE, currency=currency, at__gte=began[1]
    ).values_list("amount", flat=True)
    paid = sum(moved, Decimal(0))
    amount = now - began[0] - paid
    return EquityChange(to_cents(amount), percent_of(amount, began[0] + paid))
