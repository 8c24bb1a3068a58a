"""How an account has done, from stored rows alone: equity over time, its marks, and profit by symbol and month."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from brokers.decimals import percent_of, to_cents
from console.charts import figures
from console.charts.figures import BarChart, LineChart
from console.connections import equity
from console.connections.equity import FROM_OUTSIDE, Marks
from console.connections.models import Connection, EquitySnapshot
from console.journal import profit_rollups, sync
from console.journal.models import LedgerLine
from console.journal.profit_rollups import Grain, ProfitSum

PERIODS: dict[str, tuple[str, timedelta | None]] = {
    "1w": ("Week", timedelta(weeks=1)),
    "1m": ("Month", timedelta(days=30)),
    "3m": ("3 months", timedelta(days=91)),
    "1y": ("Year", timedelta(days=365)),
    "all": ("All", None),
}
GROUPS = {"symbol": "", "day": "%Y-%m-%d", "month": "%Y-%m"}
"""By what profit is told apart, and how a UTC day or month is written."""
MOST_ROWS = 100_000
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
    marks: Marks
    below: EquityChange | None
    """How far under the high it is now."""


def accounts(connection: Connection) -> list[str]:
    """Account ids with anything stored, the connection's default first."""
    found = set(EquitySnapshot.objects.filter(connection=connection).values_list("account_id", flat=True).distinct())
    return sorted(found, key=lambda each: (each != connection.default_account, each))


def currency_of(connection: Connection, account_id: str) -> str:
    """Of an account with anything stored."""
    mine = EquitySnapshot.objects.filter(connection=connection, account_id=account_id)
    return str(mine.values_list("currency", flat=True)[0])


def account_performance(connection: Connection, account_id: str, now: datetime) -> AccountPerformance | None:
    """None while nothing has been stored yet."""
    first = equity.equity_at(connection.pk, account_id)
    last = equity.latest(connection.pk, account_id)
    marks = equity.marks(connection.pk, account_id)
    if first is None or last is None or marks is None:
        return None
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    began = equity.equity_at(connection.pk, account_id, midnight)
    currency = currency_of(connection, account_id)
    under = marks.high - last[0]
    return AccountPerformance(
        currency=currency,
        equity=last[0],
        at=last[1],
        day=_earned(connection, account_id, currency, last[0], began),
        total=_earned(connection, account_id, currency, last[0], first),
        since=first[1],
        marks=marks,
        below=EquityChange(under, percent_of(under, marks.high)) if under > 0 else None,
    )


def curve(connection: Connection, account_id: str, since: datetime | None, currency: str) -> LineChart | None:
    """None for fewer than two points."""
    shown = [(point.at, point.equity) for point in equity.points(connection.pk, account_id, since=since)]
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


def profits(connection: Connection, account_id: str, most: int) -> tuple[list[Row], list[Row], bool]:
    """By symbol, by month newest first and at most ``most``, and whether every fill is in; since the last reset of a
    practice account."""
    symbols, whole = profit(connection, account_id, "symbol")
    months, _ = profit(connection, account_id, "month", most=most)
    return symbols[:most], months, whole


def profit(
    connection: Connection,
    account_id: str,
    by: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    most: int = MOST_ROWS,
) -> tuple[list[Row], bool]:
    """By one of ``GROUPS``, of the fills in [start, end), and whether every fill is in; as ``profits`` otherwise."""
    start = since_reset(connection.pk, account_id, start)
    if by == "symbol":
        symbols = profit_rollups.by_symbol(connection.pk, account_id, start, end)
        rows = [_row(name, currency, told) for (name, currency), told in symbols.items()]
        rows.sort(key=lambda row: (-row.net, row.name))
    else:
        grain: Grain = "day" if by == "day" else "month"
        periods = profit_rollups.by_period(connection.pk, account_id, grain, start, end, most)
        rows = [_row(day.strftime(GROUPS[by]), currency, told) for (day, currency), told in periods.items()]
        rows.sort(key=lambda row: row.name, reverse=True)
    return rows[:most], sync.is_complete(connection.pk, account_id)


def since_reset(connection_id: int, account_id: str, start: datetime | None) -> datetime | None:
    """``start``, or where later the first moment after the last reset of a practice account."""
    resets = LedgerLine.objects.filter(connection_id=connection_id, account_id=account_id, kind="reset")
    reset = resets.order_by("-at").values_list("at", flat=True).first()
    if reset is None:
        return start
    after = reset + timedelta(microseconds=1)
    return after if start is None else max(start, after)


def _row(name: str, currency: str, told: ProfitSum) -> Row:
    return Row(name=name, currency=currency, realized=told.realized, fees=told.fees, fills=told.fills)


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
