"""What somebody's connections are worth, hold and gained today, from stored rows alone: no page waits for a broker."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import quantiles
from typing import Any, NamedTuple

from django.db.models import Max

from brokers.decimals import percent_of, to_cents
from brokers.types import Environment
from console.accounts.models import User
from console.charts import figures
from console.charts.figures import Spark
from console.connections import equity as equity_kept
from console.connections import queries as connection_queries
from console.connections.models import Connection, EquitySnapshot, Policy
from console.desk.models import PortfolioSnapshot
from console.halts import services as halts
from console.halts.models import Halt, HaltScope
from console.journal.models import LedgerLine
from console.orders.checks import limit_usage

STALE_AFTER = timedelta(minutes=2)
"""Older than this a figure is shown greyed, with its age."""
_SPARK_SPAN = timedelta(hours=24)
_SPARK_STEPS = 48
_ZERO = Decimal(0)


class Reading(NamedTuple):
    """Equity of one account in one slot of time."""

    connection_id: int
    account_id: str
    currency: str
    opened_at: datetime
    at: datetime
    equity: Decimal


@dataclass(frozen=True, slots=True)
class Gain:
    """``percent`` of what it began with; None where that is nothing."""

    amount: Decimal
    percent: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPosition:
    connection: Connection
    account_id: str
    symbol: str
    asset_class: str
    currency: str
    quantity: Decimal
    average_price: Decimal | None
    last: Decimal
    market_value: Decimal
    unrealized: Gain | None
    read_at: datetime
    is_stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAccount:
    account_id: str
    currency: str
    equity: Decimal
    buying_power: Decimal
    cash: list[tuple[str, Decimal]]
    positions: list[HeldPosition]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossBar:
    """How much of the day's loss limit is used, in the connection's currency."""

    used: Decimal
    limit: Decimal

    @property
    def left(self) -> Decimal:
        return max(self.limit - self.used, _ZERO)

    @property
    def percent(self) -> int:
        return int(min(self.used / self.limit, Decimal(1)) * 100) if self.limit > 0 else 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLine:
    """One connection as the desk shows it."""

    connection: Connection
    accounts: list[HeldAccount]
    equity_at: datetime | None
    """When ``connection.equity`` was read; later attempts may have failed."""
    equity_is_stale: bool
    read_at: datetime | None
    """When positions were read; None: never."""
    is_stale: bool
    trouble: str
    today: Gain | None
    loss: LossBar | None
    is_halted: bool
    answers_ms: list[int] = field(default_factory=list)

    @property
    def releases(self) -> str:
        """Who lets an order go."""
        if self.connection.paused_at is not None:
            return "Paused"
        if not self.connection.trading_enabled:
            return "Read only"
        if self.is_halted:
            return "Halted"
        if self.connection.policy == Policy.OWNER_APPROVAL:
            return "You approve each order"
        return "Assistant, after you agree"

    @property
    def positions(self) -> list[HeldPosition]:
        return [each for account in self.accounts for each in account.positions]

    @property
    def median_ms(self) -> int | None:
        return _percentile(self.answers_ms, 50)

    @property
    def slow_ms(self) -> int | None:
        """19 of 20 answers were quicker."""
        return _percentile(self.answers_ms, 95)


@dataclass(slots=True, kw_only=True)
class CurrencyTotal:
    """One currency of one kind of money: paper and live are never added, nor are two currencies."""

    environment: str
    currency: str
    equity: Decimal = _ZERO
    counted: int = 0
    """How many connections it is the sum of."""
    oldest: datetime | None = None
    is_stale: bool = False
    gained: Decimal | None = None
    began: Decimal = _ZERO
    cash: Decimal | None = None
    buying_power: Decimal | None = None
    unrealized: Decimal | None = None
    spark: Spark | None = None

    @property
    def today(self) -> Gain | None:
        return None if self.gained is None else Gain(to_cents(self.gained), percent_of(self.gained, self.began))


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    lines: list[ConnectionLine]
    totals: list[CurrencyTotal]
    """Live before paper."""
    positions: list[HeldPosition]
    """Live before paper, the largest value first."""
    standing: list[Halt]
    """Halts that concern the person, everybody's among them."""

    @property
    def is_all_halted(self) -> bool:
        return any(halt.scope == HaltScope.USER for halt in self.standing)

    @property
    def mark(self) -> str:
        """Differs whenever something here may look different."""
        return "|".join(
            f"{line.connection.pk} {line.connection.checked_at} {line.connection.last_error} {line.releases} "
            f"{line.read_at} {line.trouble} {line.is_stale} {line.equity_is_stale}"
            for line in self.lines
        )


def load(owner: User, now: datetime, *, only: Connection | None = None) -> Desk:
    """Of all connections the person has open, or of one of them."""
    connections = list(connection_queries.open_connections(owner))
    if only is not None:
        connections = [each for each in connections if each.pk == only.pk]
    ids = [each.pk for each in connections]
    snapshots = {each.connection_id: each for each in PortfolioSnapshot.objects.filter(connection__in=ids)}
    readings = _readings(ids, now)
    read = _last_read(connections, readings)
    standing = list(halts.relevant_to(owner))
    paid = _paid_in_today(connections, readings, now)
    lines = [
        _line(each, snapshots.get(each.pk), read.get(each.pk), standing, paid.get(each.pk, {}), now)
        for each in connections
    ]
    lines.sort(key=lambda line: (not line.connection.is_live, line.connection.name, line.connection.pk))
    positions = [each for line in lines for each in line.positions]
    positions.sort(key=lambda each: (not each.connection.is_live, each.currency, -abs(each.market_value), each.symbol))
    return Desk(lines=lines, totals=_totals(lines, readings), positions=positions, standing=standing)


def has_halt(connection: Connection, standing: Sequence[Halt]) -> bool:
    """Whether one of ``standing`` holds back every order there."""
    return any(
        halt.scope in (HaltScope.USER, HaltScope.INSTANCE)
        or (halt.scope == HaltScope.CONNECTION and halt.connection_id == connection.pk and not halt.account_id)
        for halt in standing
    )


def _line(
    connection: Connection,
    snapshot: PortfolioSnapshot | None,
    equity_at: datetime | None,
    standing: Sequence[Halt],
    paid: dict[str, Decimal],
    now: datetime,
) -> ConnectionLine:
    read_at = snapshot.read_at if snapshot is not None else None
    trouble = snapshot.trouble if snapshot is not None else ""
    is_stale = bool(trouble) or read_at is None or read_at < now - STALE_AFTER
    if not connection.last_error and connection.checked_at is not None:
        equity_at = connection.checked_at
    limit = connection.limited.daily_loss
    lost = limit_usage.loss_today(connection, connection.equity, now)
    return ConnectionLine(
        connection=connection,
        accounts=_accounts(connection, snapshot, is_stale),
        equity_at=equity_at,
        equity_is_stale=bool(connection.last_error) or (equity_at is not None and equity_at < now - STALE_AFTER),
        read_at=read_at,
        is_stale=is_stale,
        trouble=trouble,
        today=_today(connection, paid, now),
        loss=None if limit is None or lost is None else LossBar(used=lost, limit=limit),
        is_halted=has_halt(connection, standing),
        answers_ms=[] if snapshot is None else snapshot.answers_ms,
    )


def _accounts(connection: Connection, snapshot: PortfolioSnapshot | None, is_stale: bool) -> list[HeldAccount]:
    if snapshot is None or snapshot.read_at is None:
        return []
    return [
        HeldAccount(
            account_id=record["account_id"],
            currency=record["currency"],
            equity=Decimal(record["equity"]),
            buying_power=Decimal(record["buying_power"]),
            cash=[(held["currency"], Decimal(held["total"])) for held in record["cash"]],
            positions=[
                _position(connection, record["account_id"], held, snapshot.read_at, is_stale)
                for held in record["positions"]
            ],
        )
        for record in snapshot.accounts
    ]


def _position(
    connection: Connection, account_id: str, held: dict[str, Any], read_at: datetime, is_stale: bool
) -> HeldPosition:
    value = Decimal(held["market_value"])
    unrealized = None
    if held["unrealized"] is not None:
        gained = Decimal(held["unrealized"])
        unrealized = Gain(to_cents(gained), percent_of(gained, abs(value - gained)))
    return HeldPosition(
        connection=connection,
        account_id=account_id,
        symbol=held["symbol"],
        asset_class=held["asset_class"],
        currency=held["currency"],
        quantity=Decimal(held["quantity"]),
        average_price=None if held["average_price"] is None else Decimal(held["average_price"]),
        last=Decimal(held["last"]),
        market_value=value,
        unrealized=unrealized,
        read_at=read_at,
        is_stale=is_stale,
    )


def _today(connection: Connection, paid: dict[str, Decimal], now: datetime) -> Gain | None:
    """Without what was paid in or out since the UTC day began; None where nothing is known of the day."""
    if connection.equity is None or connection.day != now.astimezone(UTC).date() or connection.day_equity is None:
        return None
    moved = paid.get(connection.currency, _ZERO)
    gained = connection.equity - connection.day_equity - moved
    return Gain(to_cents(gained), percent_of(gained, connection.day_equity + moved))


def _readings(ids: Sequence[int], now: datetime) -> list[Reading]:
    """Equity of the last day, oldest first."""
    rows = EquitySnapshot.objects.filter(connection__in=ids, at__gte=now - _SPARK_SPAN).order_by("at")
    found = rows.values_list("connection_id", "account_id", "currency", "opened_at", "at", "equity")
    return [Reading(*row) for row in found]


def _last_read(connections: Sequence[Connection], readings: Sequence[Reading]) -> dict[int, datetime]:
    found = {each.connection_id: each.at for each in readings}
    older = [each.pk for each in connections if each.pk not in found and each.equity is not None]
    if older:
        rows = EquitySnapshot.objects.filter(connection__in=older).values_list("connection").order_by()
        found.update(rows.annotate(Max("at")))
    return found


def _paid_in_today(
    connections: Sequence[Connection], readings: Sequence[Reading], now: datetime
) -> dict[int, dict[str, Decimal]]:
    """What came in since the reading that the day is measured from: of one made today, its first."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = {each.pk: midnight for each in connections}
    made_today = {each.pk for each in connections if each.created_at >= midnight}
    for each in reversed(readings):
        if each.connection_id in made_today:
            since[each.connection_id] = each.opened_at
    found: dict[int, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    rows = LedgerLine.objects.filter(connection__in=since, at__gte=midnight, kind__in=equity_kept.FROM_OUTSIDE)
    for connection_id, currency, amount, at in rows.values_list("connection_id", "currency", "amount", "at"):
        if at >= since[connection_id]:
            found[connection_id][currency] += amount
    return found


def _totals(lines: Sequence[ConnectionLine], readings: Sequence[Reading]) -> list[CurrencyTotal]:
    found: dict[tuple[str, str], CurrencyTotal] = {}

    def of(line: ConnectionLine, currency: str) -> CurrencyTotal:
        key = (line.connection.environment, currency)
        return found.setdefault(key, CurrencyTotal(environment=key[0], currency=currency))

    for line in lines:
        for currency, worth in _equities(line):
            total = of(line, currency)
            total.equity += worth
            total.counted += 1
            total.is_stale = total.is_stale or line.equity_is_stale
            if line.equity_at is not None:
                total.oldest = min(total.oldest or line.equity_at, line.equity_at)
            if line.today is not None and currency == line.connection.currency:
                total.gained = (total.gained or _ZERO) + line.today.amount
                assert line.connection.equity is not None
                total.began += line.connection.equity - line.today.amount
        for account in line.accounts:
            total = of(line, account.currency)
            total.buying_power = (total.buying_power or _ZERO) + account.buying_power
            for currency, held in account.cash:
                total = of(line, currency)
                total.cash = (total.cash or _ZERO) + held
        for each in line.positions:
            if each.unrealized is not None:
                total = of(line, each.currency)
                total.unrealized = (total.unrealized or _ZERO) + each.unrealized.amount
    for key, spark in _sparks(lines, readings).items():
        if key in found:
            found[key].spark = spark
    order = {Environment.LIVE.value: 0}
    return sorted(found.values(), key=lambda total: (order.get(total.environment, 1), -total.counted, total.currency))


def _equities(line: ConnectionLine) -> list[tuple[str, Decimal]]:
    """By currency. The connection's own figure is a sum, which accounts in several currencies do not have."""
    if len({account.currency for account in line.accounts}) > 1:
        by_currency: dict[str, Decimal] = defaultdict(Decimal)
        for account in line.accounts:
            by_currency[account.currency] += account.equity
        return list(by_currency.items())
    return [] if line.connection.equity is None else [(line.connection.currency, line.connection.equity)]


def _sparks(lines: Sequence[ConnectionLine], readings: Sequence[Reading]) -> dict[tuple[str, str], Spark]:
    """Equity of the last day, of all accounts of a currency together; each counts with what was last known of it."""
    environments = {line.connection.pk: line.connection.environment for line in lines}
    series: dict[tuple[str, str], dict[tuple[int, str], list[tuple[datetime, Decimal]]]] = defaultdict(dict)
    for each in readings:
        of_accounts = series[environments[each.connection_id], each.currency]
        of_accounts.setdefault((each.connection_id, each.account_id), []).append((each.at, each.equity))
    found = {}
    for key, of_accounts in series.items():
        summed = _summed(list(of_accounts.values()))
        spark = figures.spark(summed, label=f"Equity of the last 24 hours, {key[1]}")
        if spark is not None:
            found[key] = spark
    return found


def _summed(accounts: list[list[tuple[datetime, Decimal]]]) -> list[Decimal]:
    """Their sum at evenly spaced moments from the first reading to the last."""
    first, last = min(each[0][0] for each in accounts), max(each[-1][0] for each in accounts)
    if first == last:
        return []
    step = (last - first) / _SPARK_STEPS
    totals = [_ZERO] * (_SPARK_STEPS + 1)
    for points in accounts:
        index = 0
        for number in range(_SPARK_STEPS + 1):
            moment = last if number == _SPARK_STEPS else first + number * step
            while index + 1 < len(points) and points[index + 1][0] <= moment:
                index += 1
            totals[number] += points[index][1]
    return totals


def _percentile(answers: Sequence[int], percent: int) -> int | None:
    """Of at least five answers: of fewer it would say nothing."""
    if len(answers) < 5:
        return None
    return round(quantiles(answers, n=100, method="inclusive")[percent - 1])
