"""Looks up what alerts watch on one connection: one question a symbol, however many watch it.

Quotes come in batches, bars once for all indicators of a symbol and size. What an account holds and is worth comes from
what the desk keeps, and the broker is asked only where that is old.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from brokers.base import Broker
from brokers.errors import BrokerError, InvalidSymbol
from brokers.types import Bar, Quote, coin_of
from console.alerts.models import AlertKind, WatchedValue
from console.alerts.parts import in_parts
from console.alerts.terms import OF_BARS, WINDOWS, Measure
from console.connections import bar_series, broker_access, equity, health
from console.connections.bar_series import BarSpan
from console.connections.models import Connection
from console.desk import reading
from console.desk.models import PortfolioSnapshot
from console.orders import states
from console.orders.checks.limit_rules import QUOTE_FRESH_FOR
from console.orders.models import Order

_BATCH = 50
"""Symbols of one question for quotes."""
_HOLDINGS_FRESH_FOR = timedelta(minutes=2)
_EQUITY_FRESH_FOR = timedelta(minutes=10)
_HUNDRED = Decimal(100)
AT_BROKER = frozenset({AlertKind.PRICE, AlertKind.SPREAD}) | OF_BARS
"""Kinds that the broker itself is asked for."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A value and when it was so, or in ``trouble`` why there is none to compare with."""

    value: Decimal | None = None
    at: datetime | None = None
    trouble: str = ""


Found = dict[int, Observed]
"""By the key of the row."""


def ask_broker(connection: Connection, watched: Sequence[WatchedValue], now: datetime) -> Found:
    """Of the kinds in ``AT_BROKER``. Touches no row of ours but those of a broker that has its books here."""
    of_quotes: dict[str, list[WatchedValue]] = defaultdict(list)
    of_bars: dict[tuple[str, BarSpan], list[tuple[WatchedValue, Measure]]] = defaultdict(list)
    for each in watched:
        if each.kind in OF_BARS:
            measure = Measure.of(each.kind, each.measure)
            assert measure.span is not None
            of_bars[each.symbol, measure.span].append((each, measure))
        elif each.kind in AT_BROKER:
            of_quotes[each.symbol].append(each)
    if not of_quotes and not of_bars:
        return {}
    try:
        broker = broker_access.broker_of(connection)
    except BrokerError as error:
        return unanswered((each for each in watched if each.kind in AT_BROKER), str(error))
    found: Found = {}
    for symbols in in_parts(of_quotes, _BATCH):
        for symbol, quote in _quotes(broker, symbols).items():
            for each in of_quotes[symbol]:
                found[each.pk] = _of_quote(each, quote, now)
    for (symbol, span), wanted in of_bars.items():
        try:
            bars = bar_series.read(broker, symbol, span, limit=max(measure.wants for _, measure in wanted))
        except BrokerError as error:
            found |= unanswered((each for each, _ in wanted), str(error))
            continue
        for each, measure in wanted:
            found[each.pk] = _of_bars(measure, span, bars, now)
    return found


def unanswered(watched: Iterable[WatchedValue], why: str) -> Found:
    return {each.pk: Observed(trouble=why) for each in watched}


def look_at_rows(connection: Connection, watched: Sequence[WatchedValue], now: datetime) -> Found:
    """Of the other kinds, from our own rows."""
    found: Found = {}
    holdings: Mapping[str, dict[str, Any]] | Observed | None = None
    for each in watched:
        match each.kind:
            case AlertKind.PROFIT:
                if holdings is None:
                    holdings = _holdings(connection, now)
                found[each.pk] = holdings if isinstance(holdings, Observed) else _profit(each, holdings)
            case AlertKind.EQUITY | AlertKind.DRAWDOWN:
                found[each.pk] = _equity(each, now)
            case AlertKind.ORDER_AGE:
                found[each.pk] = Observed(_age_of_oldest(each, now), now)
            case AlertKind.CONNECTION:
                found[each.pk] = Observed(Decimal(int(health.state(connection) in ("error", "sign_in_again"))), now)
    return found


# -- quotes


def _quotes(broker: Broker, symbols: Sequence[str]) -> dict[str, Quote | str]:
    """By symbol; in words why there is none. One that is not known any more does not cost the others theirs."""
    try:
        return dict(zip(symbols, broker.quotes(symbols), strict=True))
    except InvalidSymbol as error:
        if len(symbols) == 1:
            return {symbols[0]: str(error)}
    except BrokerError as error:
        return dict.fromkeys(symbols, str(error))
    half = len(symbols) // 2
    return _quotes(broker, symbols[:half]) | _quotes(broker, symbols[half:])


def _of_quote(watched: WatchedValue, quote: Quote | str, now: datetime) -> Observed:
    if isinstance(quote, str):
        return Observed(trouble=quote)
    if now - quote.as_of > QUOTE_FRESH_FOR:
        return Observed(trouble=_old(quote.as_of))
    if watched.kind == AlertKind.PRICE:
        return Observed(quote.last, quote.as_of)
    if quote.bid <= 0 or quote.ask < quote.bid:
        return Observed(trouble="There is no bid and ask to compare.")
    spread = quote.ask - quote.bid
    if Measure.of(watched.kind, watched.measure).in_percent:
        spread = spread / (quote.ask + quote.bid) * 2 * _HUNDRED
    return Observed(spread, quote.as_of)


def _old(at: datetime) -> str:
    return f"The market is closed or the price is old: it is from {at:%Y-%m-%d %H:%M} UTC."


# -- bars


def _of_bars(measure: Measure, span: BarSpan, bars: Sequence[Bar], now: datetime) -> Observed:
    if not bars:
        return Observed(trouble="The broker has no bars of it.")
    ended = span.end_of(bars[-1])
    if now - ended > timedelta(seconds=span.seconds) + QUOTE_FRESH_FOR:
        return Observed(trouble=_old(ended))
    value = _change(measure, span, bars) if measure.window else _indicator(measure, bars)
    return Observed(trouble="The broker has too few bars of it.") if value is None else Observed(value, ended)


def _change(measure: Measure, span: BarSpan, bars: Sequence[Bar]) -> Decimal | None:
    """In percent, from the last close at least the window before the newest."""
    since = span.end_of(bars[-1]) - WINDOWS[measure.window][0]
    before = [bar.close for bar in bars if span.end_of(bar) <= since]
    return (bars[-1].close / before[-1] - 1) * _HUNDRED if before and before[-1] else None


def _indicator(measure: Measure, bars: Sequence[Bar]) -> Decimal | None:
    assert measure.left is not None
    left = measure.left.at_last(bars[-measure.left.wants :])
    if left is None or measure.right is None:
        return left
    right = measure.right.at_last(bars[-measure.right.wants :])
    return None if right is None else left - right


# -- what the desk keeps


def _holdings(connection: Connection, now: datetime) -> Mapping[str, dict[str, Any]] | Observed:
    """Records of accounts by their id, each with when it was read; asked for where they are old."""
    snapshot = PortfolioSnapshot.objects.filter(connection=connection).first()
    if snapshot is None or snapshot.read_at is None or now - snapshot.read_at > _HOLDINGS_FRESH_FOR:
        reading.refresh(connection)
        snapshot = PortfolioSnapshot.objects.get(connection=connection)
    if snapshot.read_at is None or timezone.now() - snapshot.read_at > _HOLDINGS_FRESH_FOR:
        return Observed(trouble=snapshot.trouble or "Positions could not be read.")
    return {record["account_id"]: record | {"read_at": snapshot.read_at} for record in snapshot.accounts}


def _profit(watched: WatchedValue, holdings: Mapping[str, dict[str, Any]]) -> Observed:
    account = holdings.get(watched.account_id)
    if account is None:
        return Observed(trouble="The account is no longer there.")
    held = next((each for each in account["positions"] if _is_in(each, watched.symbol)), None)
    if held is None:
        return Observed(trouble="There is no position in it.")
    if held["unrealized"] is None:
        return Observed(trouble="The broker does not report its profit.")
    gained = Decimal(held["unrealized"])
    if not Measure.of(watched.kind, watched.measure).in_percent:
        return Observed(gained, account["read_at"])
    paid = abs(Decimal(held["market_value"]) - gained)
    return Observed(gained / paid * _HUNDRED, account["read_at"]) if paid else Observed(trouble="It cost nothing.")


def _is_in(held: Mapping[str, Any], symbol: str) -> bool:
    """As ``Position.is_in``: a coin is one holding, by whichever of its pairs it is told."""
    coin = coin_of(symbol, held["asset_class"])
    return held["symbol"] == symbol or (bool(coin) and coin == coin_of(held["symbol"], held["asset_class"]))


def _equity(watched: WatchedValue, now: datetime) -> Observed:
    latest = equity.latest(watched.connection_id, watched.account_id)
    if latest is None or now - latest[1] > _EQUITY_FRESH_FOR:
        return Observed(trouble="The broker has not reported the equity lately.")
    worth, at = latest
    if watched.kind == AlertKind.EQUITY:
        return Observed(worth, at)
    marks = equity.marks(watched.connection_id, watched.account_id)
    high = max(worth, marks.high) if marks is not None else worth
    if high <= 0:
        return Observed(trouble="The equity is not above 0.")
    return Observed((high - worth) / high * _HUNDRED, at)


def _age_of_oldest(watched: WatchedValue, now: datetime) -> Decimal:
    """In minutes; 0 without an open order."""
    rests = Order.objects.filter(connection_id=watched.connection_id, status__in=states.AT_BROKER)
    if watched.account_id:
        rests = rests.filter(account_id=watched.account_id)
    oldest = rests.order_by("created_at").values_list("created_at", flat=True).first()
    return Decimal(0) if oldest is None else Decimal(int((now - oldest).total_seconds())) / 60
