"""Paper accounts: opened, cloned, reset, and brought up to date. ``engine`` has the rules."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from brokers import market_hours
from brokers.compiled_queries import Statement
from brokers.paper import (
    account_rows,
    buying_power,
    costs,
    engine,
    fill_rules,
    ledger,
    prices,
    public_price_feed,
    tapes_in_use,
)
from brokers.paper.listings import market_for, market_of
from brokers.paper.models import OPEN_STATUSES, CashBalance, Holding, LivePair, MatchedTape, PaperAccount, PaperOrder
from brokers.types import BrokerStatus

logger = logging.getLogger(__name__)

DEFAULT_SEED = 1
"""Accounts share one simulated market unless somebody asks for another."""
LONGEST_SETTLEMENT = 5
_BATCH = 500
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_BY_CLOCK = ("expires_at", "arrives_at", "cancels_at")
_FRESH_FROM_VENUE = Q(next_at=None) & Exists(
    LivePair.objects.filter(venue=OuterRef("venue"), symbol=OuterRef("symbol"), known_until__gt=OuterRef("seen"))
)
_MARKS = Statement(lambda tape: MatchedTape.objects.filter(tape=tape).values_list("seen"))
# Two statements in one, because each half has an index of its own, and in SQL, because it runs for every tick.
_TABLE = PaperOrder._meta.db_table
_TOUCHED = (
    f"SELECT id, account_id FROM {_TABLE} WHERE tape = %s AND touch_below >= %s"  # noqa: S608 - our own table's name
    f" UNION SELECT id, account_id FROM {_TABLE} WHERE tape = %s AND touch_above <= %s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """A position to start with: units, negative when short, and what was paid for one."""

    symbol: str
    quantity: Decimal
    average_price: Decimal


def open_account(
    name: str,
    starting_cash: Decimal,
    currency: str = "USD",
    hours: str = market_hours.ALWAYS,
    *,
    seed: int = DEFAULT_SEED,
    kind: str = buying_power.CASH,
    preset: str = costs.STANDARD.name,
    settlement_days: int = 0,
    venue: str = "",
    now: datetime | None = None,
) -> PaperAccount:
    """A new account with its first deposit. Raises ValueError.

    ``hours`` is "always" or "venue", ``kind`` "cash" or "margin", ``preset`` a name in ``costs.PRESETS``;
    ``settlement_days`` are business days, for stocks in a cash account (1 is what US brokers have had since 2024).
    ``venue`` is a name in ``public_price_feed.VENUES``, whose coins it then trades at live prices and nothing else.
    """
    now = now or timezone.now()
    _check_opening(name, starting_cash, currency, hours)
    if kind not in (buying_power.CASH, buying_power.MARGIN):
        raise ValueError('The kind must be "cash" or "margin".')
    if preset not in costs.PRESETS:
        raise ValueError(f"The preset must be one of {', '.join(costs.PRESETS)}.")
    if not 0 <= settlement_days <= LONGEST_SETTLEMENT:
        raise ValueError(f"Settlement must be 0 to {LONGEST_SETTLEMENT} business days.")
    if venue:
        _check_live(venue, currency, kind)
    with transaction.atomic():
        account = PaperAccount.objects.create(
            key=ledger.new_code(8),
            name=name.strip(),
            currency=currency,
            starting_cash=starting_cash,
            hours=hours,
            seed=seed,
            kind=kind,
            preset=preset,
            settlement_days=settlement_days,
            venue=venue,
            created=now,
        )
        CashBalance.objects.create(account=account, currency=currency, amount=Decimal(0))
        ledger.post(account, at=now, kind="deposit", currency=currency, amount=starting_cash)
    return account


def clone(
    name: str,
    cash: Decimal,
    positions: Sequence[Lot],
    currency: str = "USD",
    market_hours: str = market_hours.ALWAYS,
    *,
    kind: str = buying_power.CASH,
    preset: str = costs.STANDARD.name,
    settlement_days: int = 0,
    now: datetime | None = None,
) -> tuple[PaperAccount, list[str]]:
    """A new account that starts with somebody's cash and positions, and the symbols the paper market does not have.

    Those are left out; so is what the market lists in another currency, and short positions outside a margin account.
    Raises ValueError.
    """
    now = now or timezone.now()
    left_out: list[str] = []
    with transaction.atomic():
        account = open_account(
            name, cash, currency, market_hours, kind=kind, preset=preset, settlement_days=settlement_days, now=now
        )
        market = market_of(account)
        for lot in positions:
            if not lot.quantity:
                continue
            if not market.lists(lot.symbol) or (lot.quantity < 0 and kind == buying_power.CASH):
                left_out.append(lot.symbol)
                continue
            instrument = market.tape(lot.symbol).instrument
            if instrument.currency != currency:
                left_out.append(lot.symbol)
                continue
            ledger.post(
                account,
                at=now,
                kind="transfer",
                currency=currency,
                amount=Decimal(0),
                symbol=instrument.symbol,
                quantity=lot.quantity,
                price=lot.average_price,
            )
            ledger.move_holding(account, instrument.symbol, lot.quantity, lot.average_price, now)
    return account, left_out


def reset(account: PaperAccount, now: datetime, cash: Decimal | None = None) -> None:
    """Back to the starting cash, or to a new one: open orders are cancelled, the rest is written off in the ledger.

    Raises ValueError for an amount that no account can start with.
    """
    if cash is not None:
        check_cash(cash)
    with ledger.locked(account) as mine:
        if cash is not None:
            mine.starting_cash = cash
        match_locked(mine, now)
        for order in mine.orders.filter(status__in=OPEN_STATUSES).order_by("pk"):
            ledger.end(order, BrokerStatus.CANCELLED, at=now, reason="The account was reset.")
        for holding in list(mine.holdings.order_by("pk")):
            ledger.post(
                mine,
                at=now,
                kind="reset",
                currency=mine.currency,
                amount=Decimal(0),
                symbol=holding.symbol,
                quantity=-holding.quantity,
                price=holding.average_price,
            )
        Holding.objects.filter(account=mine).delete()
        mine.ledger.filter(settles_at__gt=now).update(settles_at=now)
        for balance in mine.balances.all():
            target = mine.starting_cash if balance.currency == mine.currency else Decimal(0)
            ledger.post(mine, at=now, kind="reset", currency=balance.currency, amount=target - balance.amount)
        mine.accrues_at = None
        mine.save(update_fields=["accrues_at", "starting_cash"])


def has_work(now: datetime | None = None) -> bool | datetime:
    """Whether a new bar or the clock may move an order that rests: True, or when it may at the earliest.

    False where nothing rests. Short looks at an index each, for the scheduler.
    """
    if not PaperOrder.objects.filter(status__in=OPEN_STATUSES).exists():
        return False
    if MatchedTape.objects.filter(_FRESH_FROM_VENUE).exists():
        return True
    marks = MatchedTape.objects.filter(next_at__gte=_EVER).order_by("next_at").values_list("next_at")
    times = [
        PaperOrder.objects.filter(**{f"{what}__gte": _EVER}, held=False).order_by(what).values_list(what)
        for what in _BY_CLOCK
    ]
    nearest = [row[0] for rows in (marks, *times) for row in rows[:1]]
    earliest = min(nearest, default=None)
    if earliest is None:
        return False
    return True if earliest <= (now or timezone.now()) else earliest


def match_resting(now: datetime) -> int:
    """Match every open order that a new bar touches; returns how many ended.

    The work grows with the instruments that have orders and with the orders touched, not with the orders resting:
    one indexed look per instrument finds them. An account in trouble does not delay the others, and is tried again.
    """
    keys: dict[int, set[int]] = {}
    tapes: dict[int, set[str]] = {}
    shown: dict[tuple[datetime, datetime | None], list[str]] = {}
    markets: dict[tuple[int, str, str], prices.Market] = {}
    for mark in MatchedTape.objects.filter(Q(next_at__lte=now) | Q(next_at=None)).order_by("pk"):
        place = (mark.seed, mark.hours, mark.venue)
        if place not in markets:
            markets[place] = market_for(*place)
        done, next_at, found = _touched(mark, markets[place], now)
        if done is not None:
            shown.setdefault((done, next_at), []).append(mark.tape)
        for order, owner in found:
            keys.setdefault(owner, set()).add(order)
            tapes.setdefault(owner, set()).add(mark.tape)
    for order, owner, name in due_by_time(now):
        keys.setdefault(owner, set()).add(order)
        tapes.setdefault(owner, set()).add(name)
    ended = 0
    missed: set[str] = set()
    for account in PaperAccount.objects.filter(pk__in=list(keys)).order_by("pk"):
        try:
            with ledger.locked(account) as mine:
                market = markets.get((mine.seed, mine.hours, mine.venue)) or market_of(mine)
                ended += engine.Matcher(mine, market, now).run(keys[mine.pk])
        except Exception:
            logger.exception("Matching the orders of paper account %s failed.", account.key)
            missed |= tapes.get(account.pk, set())
    for (done, next_at), names in shown.items():
        kept = [name for name in names if name not in missed]
        for start in range(0, len(kept), _BATCH):
            marks = MatchedTape.objects.filter(tape__in=kept[start : start + _BATCH], seen__lt=done)
            marks.update(seen=done, next_at=next_at)
    return ended


def due_by_time(now: datetime) -> QuerySet[PaperOrder, tuple[int, int, str]]:
    """(order, account, tape) of those that expire, arrive or are cancelled by the clock alone."""
    # Apart, because each has an index of its own: asked for any of them at once, SQLite would read every order.
    expiring, arriving, cancelling = (
        PaperOrder.objects.filter(**{f"{what}__lte": now}, held=False).values_list("pk", "account", "tape")
        for what in _BY_CLOCK
    )
    return expiring.union(arriving, cancelling)


@dataclass(frozen=True, slots=True)
class CurrentAccount:
    """An account with its orders matched up to a time, and what was read of it then."""

    account: PaperAccount
    market: prices.Market
    now: datetime
    state: ledger.AccountSnapshot


def bring_current(key: str, now: datetime, *, named: str = "") -> CurrentAccount:
    """Bring one account up to ``now``. Takes the lock only when there may be something to do. Raises InvalidAccount.

    ``named``: as for ``ledger.AccountSnapshot``.
    """
    rows = account_rows.read(key, now, named=named)
    account, market, state = rows.account, rows.market, rows.state
    if engine.due(state, market) or engine.pending(account, market, now):
        with account_rows.locked(key, now, named=named) as mine:
            account, market = mine.account, mine.market
            state = match_locked(account, now, market, mine.state)
    return CurrentAccount(account, market, now, state)


def bring_matched(key: str, now: datetime) -> CurrentAccount:
    """As ``bring_current``, for whoever asks nothing of the orders that rest: where those are many, what a bar or the
    clock may have reached is looked for by indexes, and the others are not read. Raises InvalidAccount."""
    rows = account_rows.glance(key)
    account, market = rows.account, rows.market
    if not rows.many_rest or engine.pending(account, market, now) or _is_due(account, market, now):
        return bring_current(key, now)
    return CurrentAccount(account, market, now, ledger.AccountSnapshot(account, now))


def _is_due(account: PaperAccount, market: prices.Market, now: datetime) -> bool:
    """Whether ``engine.due`` may find anything."""
    if any(owner == account.pk for _, owner, _ in due_by_time(now)):
        return True
    tapes = tapes_in_use.of_account(account.pk)
    marks = MatchedTape.objects.filter(tape__in=tapes).values_list("tape", "symbol", "seen")
    if len(marks) < len(tapes):
        return True
    for key, symbol, until in marks:
        tape = market.tape(symbol)
        first, end = market_hours.minute_of(until - engine.GRACE), prices.completed(tape, now)
        bar = tape.aggregate(first - first % tape.step, end) if first < end else None
        if bar is not None and any(owner == account.pk for _, owner in _touched_by(bar, key)):
            return True
    return False


def match_locked(
    account: PaperAccount,
    now: datetime,
    market: prices.Market | None = None,
    state: ledger.AccountSnapshot | None = None,
    *,
    named: str = "",
) -> ledger.AccountSnapshot:
    """Bring an account up to ``now`` within the caller's transaction and lock; what it has then.

    ``state``: what it has, where that was read under the lock.
    """
    market = market or market_of(account)
    state = state or ledger.AccountSnapshot(account, now, named=named)
    found = engine.due(state, market)
    if found or engine.pending(account, market, now):
        engine.Matcher(account, market, now).run(found)
        state = ledger.AccountSnapshot(account, now, named=state.named)
    return state


def watch(account: PaperAccount, tape: prices.Tape, now: datetime) -> None:
    """Have ``match_resting`` look at this tape from now on: in the transaction that has an order rest in it."""
    if (known := _MARKS.first(tape.key)) is not None and known[0] <= now:
        return
    mark, made = MatchedTape.objects.get_or_create(
        tape=tape.key,
        defaults={
            "symbol": tape.instrument.symbol,
            "seed": account.seed,
            "hours": account.hours,
            "venue": account.venue,
            "seen": now,
            "next_at": _next_bar(tape, now),
        },
    )
    # Where the clock was set back, bars that come again have not been shown to this order.
    if not made and mark.seen > now:
        MatchedTape.objects.filter(pk=mark.pk).update(seen=now, next_at=_next_bar(tape, now))


def _next_bar(tape: prices.Tape, now: datetime) -> datetime | None:
    """When a bar will be complete that is not yet; None where only its venue can tell."""
    if isinstance(tape, prices.StoredTape):
        return None
    return market_hours.at_minute(prices.completed(tape, now) + tape.step)


_Touched = tuple[datetime | None, datetime | None, list[tuple[int, int]]]


def _touched(mark: MatchedTape, market: prices.Market, now: datetime) -> _Touched:
    """Up to when the tape is complete, None without a new bar; when its next bar will be; and (order, account) of those
    the new bars touch, or a split cancels."""
    try:
        tape = market.tape(mark.symbol)
    except Exception:
        logger.exception("The bars of %s cannot be read.", mark.tape)
        return None, None, []
    end = prices.completed(tape, now)
    done, next_at = market_hours.at_minute(end), _next_bar(tape, now)
    if done <= mark.seen:
        if next_at != mark.next_at:
            MatchedTape.objects.filter(pk=mark.pk, seen=mark.seen).update(next_at=next_at)
        return None, None, []
    if engine.was_split(mark.seed, market, mark.symbol, mark.seen - engine.GRACE, done):
        rows = PaperOrder.objects.filter(tape=mark.tape, status__in=OPEN_STATUSES, held=False)
        return done, next_at, list(rows.values_list("pk", "account"))
    first = market_hours.minute_of(mark.seen - engine.GRACE)
    bar = tape.aggregate(first - first % tape.step, end)
    if bar is None:
        return done, next_at, []
    return done, next_at, _touched_by(bar, mark.tape)


def _touched_by(bar: prices.Ohlcv, tape: str) -> list[tuple[int, int]]:
    low, high = engine.touched(bar)
    with connection.cursor() as cursor:
        cursor.execute(_TOUCHED, [tape, low, tape, high])
        found: list[tuple[int, int]] = cursor.fetchall()
    return found


def check_cash(starting_cash: Decimal) -> None:
    """Raises ValueError for an amount that no account can start with."""
    if not starting_cash.is_finite() or not 0 < starting_cash <= ledger.LARGEST:
        raise ValueError("The starting cash must be more than 0 and at most 1,000,000,000,000.")
    if starting_cash % fill_rules.CENT:
        raise ValueError("The starting cash must be in whole cents.")


def _check_opening(name: str, starting_cash: Decimal, currency: str, kind: str) -> None:
    if not name.strip() or len(name.strip()) > 100:
        raise ValueError("The account needs a name of at most 100 characters.")
    check_cash(starting_cash)
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha() or not currency.isupper():
        raise ValueError("The currency must be a three-letter code such as USD.")
    if kind not in (market_hours.ALWAYS, market_hours.VENUE):
        raise ValueError('The hours must be "always" or "venue".')


def _check_live(venue: str, currency: str, kind: str) -> None:
    if venue not in public_price_feed.VENUES:
        raise ValueError(f"There are live prices of {', '.join(public_price_feed.VENUES)} only.")
    if currency not in public_price_feed.currencies(venue):
        known = " or ".join(public_price_feed.currencies(venue))
        raise ValueError(f"At {public_price_feed.title(venue)} coins trade for {known} here.")
    if kind != buying_power.CASH:
        raise ValueError("Live prices are those of coins, which need a cash account.")
