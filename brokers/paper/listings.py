"""What an account can trade: a venue's coins at live prices, or the replay, the imported and the simulated market."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any

from django.db.models import CharField, Func

from brokers import market_hours as hours
from brokers.compiled_queries import Statement
from brokers.decimals import ExactDecimalField
from brokers.errors import InvalidAccount
from brokers.market_calendars import EXCHANGES
from brokers.paper import live_market, prices, replay_market, simulated_corporate_actions, simulated_market
from brokers.paper.models import CorporateAction, ImportedSeries, PaperAccount
from brokers.paper.simulated_corporate_actions import SimulatedAction
from brokers.shared_reads import shared
from brokers.types import AssetClass, BarSize, Instrument

_SERIES = Statement(
    lambda: ImportedSeries.objects.order_by("symbol").values_list(
        "pk", "imported", "symbol", "name", "asset_class", "exchange"
    )
)
_MARKETS = Statement(lambda key: PaperAccount.objects.filter(key=key).values_list("seed", "hours", "venue"))
_EMPTY = Func(template="''", output_field=CharField())
_NO_VALUE = Func(template="NULL", output_field=ExactDecimalField())
# Both tables in one statement, for every look at a market: a series has no value.
_IMPORTED = Statement(
    lambda: ImportedSeries.objects.values_list(
        "pk", "imported", "symbol", "name", "asset_class", "exchange", _NO_VALUE
    ).union(CorporateAction.objects.values_list("pk", "at", "symbol", _EMPTY, "kind", _EMPTY, "value"), all=True)
)


def market_of(account: PaperAccount) -> prices.Market:
    return market_for(account.seed, account.hours, account.venue)


def market_for(
    seed: int, market_hours: str, venue: str = "", imported: Iterable[tuple[Any, ...]] | None = None
) -> prices.Market:
    """``imported``: what is, where it was read. Raises BrokerUnavailable for a venue whose listing was never read."""
    if venue:
        return live_market.market(venue)
    rows = _IMPORTED.rows() if imported is None else imported
    return _market(seed, market_hours, tuple(sorted(rows, key=_in_order)))


def market_shown(key: str, now: datetime) -> prices.Market:
    """The market of the account with that key, to show prices of. Raises InvalidAccount.

    Raises BrokerUnavailable for a venue whose listing was never read and cannot be.

    Reads what those share that wait together. What is booked goes by ``market_of``, in the transaction that books it.
    """
    return shared((market_shown, key), partial(_market_shown, key, now))


def _market_shown(key: str, now: datetime) -> prices.Market:
    seed, market_hours, venue = origin(key)
    if venue:
        live_market.update_listings(venue, now)
        return live_market.market(venue)
    return _market(seed, market_hours, tuple(sorted(_IMPORTED.shared(), key=_in_order)))


def _in_order(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Series by symbol, then actions by time."""
    pk, when, symbol, *_, value = row
    return (False, symbol, pk) if value is None else (True, when, pk)


@lru_cache(maxsize=4096)
def origin(key: str) -> tuple[int, str, str]:
    """Seed, hours and venue: kept, because they are set when an account is opened and never again."""
    found = _MARKETS.first(key)
    if found is None:
        raise InvalidAccount("There is no such paper account.")
    return found[0], found[1], found[2]


@lru_cache(maxsize=64)
def _market(seed: int, market_hours: str, imported: tuple[tuple[Any, ...], ...]) -> prices.Market:
    """What is imported is looked up each time; the list is made anew only when that has changed."""
    ratios: dict[str, list[tuple[int, Decimal]]] = {}
    series = [row[:-1] for row in imported if row[-1] is None]
    actions = [
        SimulatedAction(at, symbol, kind, value, pk)
        for pk, at, symbol, _, kind, _, value in imported
        if value is not None
    ]
    for each in sorted((*actions, *simulated_corporate_actions.schedule(seed)), key=attrgetter("at")):
        if each.kind == "split":
            ratios.setdefault(each.symbol, []).append((hours.minute_of(each.at), each.value))
    listed = [*built_in(seed, market_hours), *_listed(series, market_hours)]
    return prices.Market([_with_splits(entry, ratios.get(entry.symbol)) for entry in listed], actions=actions)


def _with_splits(entry: prices.Listing, splits: list[tuple[int, Decimal]] | None) -> prices.Listing:
    if not splits:
        return entry
    return replace(entry, tape=lambda: prices.SplitTape(entry.tape(), splits))


@lru_cache(maxsize=64)
def built_in(seed: int, market_hours: str) -> tuple[prices.Listing, ...]:
    bitcoin = prices.Listing(replay_market.BTC_USD, replay_market.BTC_NAME, AssetClass.CRYPTO, replay_market.btc_usd)
    return (bitcoin, *simulated_market.listing(seed, market_hours))


def is_taken(symbol: str) -> bool:
    """Whether a symbol, or one that reads the same without its punctuation, is listed already."""
    return prices.Market([*built_in(0, hours.ALWAYS), *_listed(_SERIES.rows(), hours.ALWAYS)]).lists(symbol)


def exchanges() -> list[str]:
    """Those whose hours imported series keep, where an account has exchange hours."""
    return sorted({row[-1] for row in _SERIES.rows() if row[-1]})


def _listed(series: Iterable[tuple[Any, ...]], market_hours: str) -> list[prices.Listing]:
    return [
        prices.Listing(
            symbol,
            name,
            AssetClass(asset_class),
            partial(_series_tape, pk, imported, exchange if exchange and market_hours == hours.VENUE else hours.ALWAYS),
        )
        for pk, imported, symbol, name, asset_class, exchange in series
    ]


@lru_cache(maxsize=64)
def _series_tape(pk: int, imported: datetime, kind: str) -> replay_market.ReplayTape:
    """Kept for good, because a series never changes; ``imported`` tells two series of one number apart."""
    series = ImportedSeries.objects.get(pk=pk)
    rows = list(series.bars.order_by("start"))
    span = f"{_day(rows[0].start)} to {_day(rows[-1].start)}"
    instrument = Instrument(
        symbol=series.symbol,
        name=series.name,
        asset_class=AssetClass(series.asset_class),
        exchange=f"{EXCHANGES[series.exchange].name} (recorded)" if series.exchange else "Tradelatch Paper",
        currency=series.currency,
        tick=series.tick,
        lot=series.lot,
        minimum=series.minimum,
        price_source=f"replay of imported {series.symbol} bars ({span})",
        venue=series.exchange if series.exchange.startswith("X") else "",  # FX and CME are no market identifier codes
    )
    return replay_market.ReplayTape(
        instrument,
        [row.start for row in rows],
        [prices.Ohlcv(row.open, row.high, row.low, row.close, row.volume) for row in rows],
        step=hours.DAY_MINUTES if series.size == BarSize.DAY else 1,
        kind=kind,
    )


def _day(when: datetime) -> str:
    return f"{when.day} {when:%b %Y}"
