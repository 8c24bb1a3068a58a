"""Alpaca (stocks, options, coins) over its Trading API v2 and Market Data API.

``settings`` of a connection::

    {"environment": "paper" | "live", "key_id": "…", "secret": "…"}

and, where they differ from what Alpaca documents, ``account`` (its number, checked against every call), ``feed``
(``iex`` or ``sip``), ``trading_url``, ``data_url`` and ``timeouts`` (seconds: ``connect``, ``read``, ``total``).

An order always carries our client order id. Alpaca refuses one it has seen, for good, and finds an order by it,
so a lost answer can be looked up whenever it was lost. Nothing is sent twice.
"""

import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Self
from urllib.parse import quote as encoded

from brokers import http, spread_prices, spreads, symbol_lookup
from brokers.alpaca import parse, rules
from brokers.alpaca.stream import AlpacaStream
from brokers.base import Extras
from brokers.decimals import closest, plain
from brokers.errors import (
    AuthFailed,
    BrokerError,
    BrokerUnavailable,
    DuplicateClientId,
    InsufficientFunds,
    InsufficientPosition,
    InvalidAccount,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    MarketClosed,
    NoRate,
    NotCancellable,
    NotSupported,
    OrderNotFound,
    PermissionDenied,
    RateLimited,
    Rejected,
    UnknownOutcome,
)
from brokers.http import Garbled, HttpAnswer, Timeouts
from brokers.spreads import Spread
from brokers.types import (
    Account,
    AccountState,
    AssetClass,
    Bar,
    BarSize,
    BrokerOrder,
    Capabilities,
    ConnectionInfo,
    Environment,
    FeeRule,
    Fill,
    Health,
    Instrument,
    InstrumentEvents,
    LegRequest,
    MarketDay,
    OptionChain,
    OptionExpiration,
    OptionRight,
    OrderBook,
    OrderChanges,
    OrderClass,
    OrderRequest,
    Position,
    Preview,
    Prints,
    Quote,
    Rate,
    SessionState,
    Side,
    Transaction,
    Transfer,
    Unreadable,
)
from brokers.unknown_words import UnknownWords

_TRADING = {
    Environment.PAPER: "https://paper-api.alpaca.markets",
    Environment.LIVE: "https://api.alpaca.markets",
}
_DATA = "https://data.alpaca.markets"
_FEEDS = ("iex", "sip")
_PAGE = 100
_PAGES = 20
_FARTHEST = timedelta(days=365 * 5)
_DIVIDEND_SLACK, _DIVIDENDS_AHEAD = timedelta(days=7), timedelta(days=180)
_ORDERS_PAGE = 500
_MANY_ASSETS = 64 * 1024 * 1024
_ASSETS_STAY = 3600.0
_SLACK = timedelta(seconds=2)
_QUIET = "Alpaca's answer could not be read."

_assets: dict[tuple[str, str], tuple[float, Instrument]] = {}
_lists: dict[tuple[str, str], tuple[float, list[Instrument]]] = {}
_lists_lock = threading.Lock()
_MOST_LEGS = 50_000
_LISTED_WITHIN = timedelta(minutes=5)
"""After that long an exit that no order of ours lists was made elsewhere."""
_legs: dict[str, dict[str, Any]] = {}
"""What is ours in the row of a leg, by Alpaca's id of it; nothing where it was made elsewhere."""
_spread_legs: dict[str, Any] = {}
"""The legs of an order of several, by Alpaca's id of that."""


class AlpacaBroker(Extras):
    """One account at Alpaca."""

    def __init__(
        self,
        environment: Environment,
        key_id: str,
        secret: str,
        *,
        account: str = "",
        feed: str = "iex",
        trading_url: str = "",
        data_url: str = "",
        timeouts: Timeouts | None = None,
    ) -> None:
        self._environment = environment
        self._secrets = (secret, key_id)
        self._account = account
        self._feed = feed
        self._timeouts = timeouts or Timeouts()
        self._headers = {"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": secret}
        self._trading_url = trading_url or _TRADING[environment]
        self._trading = http.shared(self._trading_url, "Alpaca")
        self._data = http.shared(data_url or _DATA, "Alpaca's market data")
        self._unknown = UnknownWords()

    @classmethod
    def open(cls, settings: Mapping[str, Any]) -> Self:
        """Raises BrokerUnavailable when the record of the connection is not complete."""
        try:
            environment = Environment(str(settings["environment"]))
            key_id, secret = str(settings["key_id"]), str(settings["secret"])
        except (KeyError, ValueError) as error:
            raise BrokerUnavailable("The connection's record lacks its environment or its keys.") from error
        feed = str(settings.get("feed", "iex"))
        if feed not in _FEEDS or not (key_id.isascii() and secret.isascii() and key_id and secret):
            raise BrokerUnavailable("The connection's record does not describe an Alpaca account.")
        return cls(
            environment,
            key_id,
            secret,
            account=str(settings.get("account", "")),
            feed=feed,
            trading_url=str(settings.get("trading_url", "")),
            data_url=str(settings.get("data_url", "")),
            timeouts=Timeouts(**settings.get("timeouts", {})),
        )

    @property
    def capabilities(self) -> Capabilities:
        return rules.CAPABILITIES

    @property
    def unknown_words(self) -> tuple[Unreadable, ...]:
        return self._unknown()

    def connect(self) -> ConnectionInfo:
        with _parsing():
            told = parse.record(self._get("/v2/account"))
        blocked = any(
            told.get(name) is True for name in ("trading_blocked", "account_blocked", "trade_suspended_by_user")
        )
        return ConnectionInfo(
            accounts=tuple(self.accounts()),
            environment=self._environment,
            can_trade=told.get("status") == "ACTIVE" and not blocked,
            can_withdraw=None,
            note="Alpaca's keys have no separate permissions: anyone who has them can do everything the API offers.",
        )

    def ping(self) -> Health:
        started = time.monotonic()
        with _parsing():
            there = parse.moment(parse.record(self._get("/v2/clock")).get("timestamp"))
        return Health(latency=time.monotonic() - started, clock_skew=(there - datetime.now(UTC)).total_seconds())

    def order_stream(self) -> AlpacaStream:
        secret, key_id = self._secrets
        return AlpacaStream(self._trading_url, key_id, secret)

    # -- account -------------------------------------------------------------------------------------------------

    def accounts(self) -> list[Account]:
        """Raises Rejected when the account is not of the environment the connection is of."""
        with _parsing():
            told = parse.record(self._get("/v2/account"))
            number, currency = parse.text(told.get("account_number")), parse.text(told.get("currency"))
        # The key pairs differ, so that the host answered proves it; the account's number must say the same.
        is_paper = number.startswith("PA")
        if is_paper is not (self._environment is Environment.PAPER):
            raise Rejected(
                f"This is a {self._environment} connection, but the Alpaca account is not a {self._environment} "
                "account."
            )
        if self._account and number != self._account:
            raise Rejected("These keys belong to a different Alpaca account from the one that was linked.")
        self._account = number
        return [Account(account_id=number, name=f"Alpaca {number}", currency=currency, environment=self._environment)]

    def account_state(self, account_id: str) -> AccountState:
        self._check(account_id)
        with _parsing():
            return parse.account_state(parse.record(self._get("/v2/account")), datetime.now(UTC))

    def positions(self, account_id: str) -> list[Position]:
        self._check(account_id)
        with _parsing():
            rows = parse.records(self._get("/v2/positions"))
            return self._unknown.read_each(rows, lambda each: parse.position(each, "USD"), parse.position_name)

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
        self._check(account_id)
        types = [theirs for kind in kinds for theirs in parse.KINDS.get(kind, ())]
        found: list[Transaction] = []
        if kinds and not types and "other" not in kinds:
            return found
        with _parsing():
            for told in self._activities(() if "other" in kinds else types, start, end, after):
                if parse.is_cancelled(told):
                    continue
                found += [
                    each
                    for each in self._unknown.read_each([told], parse.transaction, parse.activity_name)
                    if _within(each.at, start, end) and (not kinds or each.kind in kinds)
                ]
                if len(found) >= limit:
                    break
        return found

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
        self._check(account_id)
        names: dict[str, str] = {}
        with _parsing():
            if client_order_id:
                order = self._find(client_order_id, symbol)
                if order is None:
                    return []
                rows = parse.with_legs(order)[1:] if parse.is_spread(order) else [order]
                names = {parse.text(each.get("id")): client_order_id for each in rows}
                symbol = "" if parse.is_spread(order) else symbol
                start = max(start or datetime.min.replace(tzinfo=UTC), parse.moment(order.get("created_at")) - _SLACK)
            wanted = set(names)
            found: list[Fill] = []
            for told in self._activities(["FILL"] if client_order_id else parse.FILLS, start, end, after):
                order_id = str(told.get("order_id") or "")
                if (client_order_id and order_id not in wanted) or parse.is_cancelled(told):
                    continue
                found += [
                    each
                    for each in self._unknown.read_each([told], self._named_fill(names), parse.activity_name)
                    if (not symbol or each.symbol == symbol) and _within(each.filled_at, start, end)
                ]
                if len(found) >= limit:
                    break
        return found

    def _named_fill(self, names: dict[str, str]) -> Callable[[dict[str, Any]], Fill]:
        """Reads a fill; ``names`` has the client order id of each order, as far as it was needed."""

        def read(told: dict[str, Any]) -> Fill:
            if parse.text(told.get("activity_type")).upper() in parse.OPTION_EVENTS:
                return parse.option_event(told)
            order_id = parse.text(told.get("order_id"))
            if order_id not in names:
                row = self._with_our_id(parse.record(self._get(f"/v2/orders/{order_id}")))
                names[order_id] = parse.our_ids(parse.text(row.get("client_order_id")))[0]
            return parse.fill(told, names[order_id])

        return read

    def fees(self, account_id: str) -> list[FeeRule]:
        return rules.FEES

    # -- instruments and prices ------------------------------------------------------------------------------------

    def find_instruments(
        self, query: str, *, asset_class: AssetClass | None = None, limit: int = 10, by_name: bool = False
    ) -> list[Instrument]:
        sought = query.strip().casefold()
        if not by_name and sought:
            try:
                exact = self.instrument(query.strip())
            except InvalidSymbol:
                pass
            else:
                if asset_class in (None, exact.asset_class):
                    others = self._search(sought, asset_class, by_name)
                    return [exact, *(each for each in others if each.symbol != exact.symbol)][:limit]
        return self._search(sought, asset_class, by_name)[:limit]

    def _search(self, sought: str, asset_class: AssetClass | None, by_name: bool) -> list[Instrument]:
        ranked = []
        for each in self.instruments(asset_class=asset_class, limit=1_000_000):
            symbol, name = each.symbol.casefold(), each.name.casefold()
            if not by_name and symbol.startswith(sought):
                ranked.append((len(symbol), symbol, each))
            elif sought in name:
                ranked.append((100 + name.index(sought), symbol, each))
        return [each for _, _, each in sorted(ranked, key=lambda row: row[:2])]

    def instruments(self, *, asset_class: AssetClass | None = None, limit: int) -> list[Instrument]:
        """Stocks and coins that can be traded now. Options are found by their OCC symbol alone."""
        found: list[Instrument] = []
        for theirs, kind in parse.CLASSES.items():
            if kind is not AssetClass.OPTION and asset_class in (None, kind):
                found += self._list(theirs)
        return found[: max(limit, 0)]

    def _list(self, theirs: str) -> list[Instrument]:
        with _lists_lock:
            kept = _lists.get((self._trading_url, theirs))
        if kept and kept[0] > time.monotonic():
            return kept[1]
        with _parsing():
            told = self._get("/v2/assets", {"status": "active", "asset_class": theirs}, most=_MANY_ASSETS)
            now = datetime.now(UTC)
            tradable = [each for each in parse.records(told) if each.get("tradable") is True]
            found = self._unknown.read_each(
                tradable, lambda each: parse.instrument(each, now), lambda each: f"asset {each.get('symbol')}"
            )
        with _lists_lock:
            _lists[self._trading_url, theirs] = time.monotonic() + _ASSETS_STAY, found
        return found

    def instrument(self, symbol: str) -> Instrument:
        if (spread := spreads.parse(symbol)) is not None:
            return self._spread(spread)
        meant = symbol_lookup.parse_instrument_id(symbol)
        return symbol_lookup.check_match(meant, self._asset(symbol if meant is None else parse.native_symbol(meant)))

    def _spread(self, spread: Spread) -> Instrument:
        """Raises InvalidSymbol for a leg that is no option of a common size."""
        legs = [self._asset(leg.symbol) for leg in spread.legs]
        if any(each.multiplier != parse.multiplier(AssetClass.OPTION) for each in legs):
            raise InvalidSymbol("A leg has another size than 100: Alpaca takes such an option alone, not in a spread.")
        return spread_prices.as_one(spread, legs[0])

    def _alone(self, symbol: str) -> Instrument:
        """What is no spread. Raises InvalidRequest."""
        spread_prices.check_alone(symbol, "Alpaca")
        return self.instrument(symbol)

    def _asset(self, symbol: str) -> Instrument:
        wanted = symbol.strip().upper()
        kept = _assets.get((self._trading_url, wanted))
        if kept and kept[0] > time.monotonic():
            return kept[1]
        if not wanted or not wanted.isascii() or len(wanted) > 32:
            raise InvalidSymbol(f"Alpaca has no instrument {symbol[:32]!r}.")
        is_option = parse.guess_class(wanted) is AssetClass.OPTION
        path = "/v2/options/contracts/" if is_option else "/v2/assets/"
        answer = self._ask(self._trading, path + encoded(wanted, safe=""))
        if answer.status in (404, 422):
            raise InvalidSymbol(f"Alpaca has no instrument {wanted!r}.")
        with _parsing():
            told = parse.record(self._content(answer))
            tradable = told.get("tradable") is True and told.get("status") == "active"
            if not tradable or (not is_option and parse.word(told.get("class")) not in parse.CLASSES):
                raise InvalidSymbol(f"{wanted} cannot be traded at Alpaca.")
            now = datetime.now(UTC)
            found = parse.option(told, now) if is_option else parse.instrument(told, now)
        _assets[self._trading_url, wanted] = time.monotonic() + _ASSETS_STAY, found
        return found

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        known = [self.instrument(symbol) for symbol in symbols]
        found: dict[str, Quote] = {}
        alone = [(each.symbol, each.asset_class) for each in known if each.spread is None]
        combined = [each.spread for each in known if each.spread is not None]
        alone += [(leg.symbol, AssetClass.OPTION) for spread in combined for leg in spread.legs]
        with _parsing():
            for kind in AssetClass:
                names = list(dict.fromkeys(name for name, its in alone if its is kind))
                if not names:
                    continue
                told = self._market(kind, "snapshots", ",".join(names))
                for name in names:
                    if name not in told:
                        raise BrokerUnavailable(f"Alpaca has no price for {name} now.")
                    found[name] = parse.quote(parse.record(told[name]), name, self._source(kind))
        found |= {spread.symbol: spread_prices.net_quote(spread, found) for spread in combined}
        return [replace(found[each.symbol], instrument_id=each.instrument_id) for each in known]

    def bars(
        self,
        symbol: str,
        size: BarSize,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 100,
    ) -> list[Bar]:
        instrument = self._alone(symbol)
        now = datetime.now(UTC)
        params = {
            "timeframe": parse.TIMEFRAMES[size],
            "start": parse.stamp(start or _long_enough_ago(now, size, limit)),
            "end": parse.stamp(end or now),
            "limit": str(min(max(limit + 1, 1), 10_000)),
            "sort": "desc",
        }
        with _parsing():
            told = self._market(instrument.asset_class, "bars", instrument.symbol, params)
            rows = [parse.bar(each) for each in parse.records(told.get(instrument.symbol) or [])]
        whole = [each for each in rows if each.start + timedelta(seconds=size.seconds) <= min(end or now, now)]
        return whole[: max(limit, 0)][::-1]

    def order_book(self, symbol: str, depth: int) -> OrderBook:
        """Of coins all levels; of stocks and options the best bid and ask, which is all that Alpaca tells."""
        instrument = self._alone(symbol)
        with _parsing():
            if instrument.asset_class is AssetClass.CRYPTO:
                told = self._market(instrument.asset_class, "latest/orderbooks", instrument.symbol)
                return parse.book(parse.record(told.get(instrument.symbol)), instrument.symbol, depth)
            snapshot = parse.record(
                self._market(instrument.asset_class, "snapshots", instrument.symbol).get(instrument.symbol)
            )
            top = parse.record(snapshot.get("latestQuote"))
            told = {
                "b": [{"p": top.get("bp"), "s": top.get("bs")}],
                "a": [{"p": top.get("ap"), "s": top.get("as")}],
                "t": top.get("t"),
            }
            book = parse.book(told, instrument.symbol, depth)
        return replace(book, source=f"{self._source(instrument.asset_class)}, best bid and ask")

    def prints(self, symbol: str, limit: int) -> Prints:
        instrument = self._alone(symbol)
        params = {
            "start": parse.stamp(datetime.now(UTC) - timedelta(days=5)),
            "limit": str(min(max(limit, 1), 10_000)),
            "sort": "desc",
        }
        with _parsing():
            told = self._market(instrument.asset_class, "trades", instrument.symbol, params)
            rows = parse.records(told.get(instrument.symbol) or [])
            return Prints(
                symbol=instrument.symbol,
                currency=instrument.currency,
                prints=tuple(parse.one_print(each) for each in rows[:limit]),
                source=self._source(instrument.asset_class),
            )

    def instrument_events(self, symbol: str) -> InstrumentEvents:
        """The next cash dividend: Alpaca reports neither earnings nor halts here."""
        known = self.instrument(symbol)
        if known.asset_class is not AssetClass.STOCK:
            return InstrumentEvents()
        today = datetime.now(parse.NEW_YORK).date()
        asked = {
            "symbols": known.symbol,
            "types": "cash_dividend",
            # By the day it is processed on, which may be before its ex-date.
            "start": (today - _DIVIDEND_SLACK).isoformat(),
            "end": (today + _DIVIDENDS_AHEAD).isoformat(),
            "limit": "100",
        }
        with _parsing():
            told = parse.record(self._content(self._ask(self._data, "/v1/corporate-actions", asked)))
            rows = parse.records(parse.record(told.get("corporate_actions") or {}).get("cash_dividends") or [])
            found = self._unknown.read_each(rows, parse.dividend, lambda row: f"dividend of {row.get('symbol')}")
        ahead = [each for each in found if each.ex_date >= today]
        return InstrumentEvents(next_dividend=min(ahead, key=lambda each: each.ex_date, default=None))

    def option_expirations(self, symbol: str) -> list[OptionExpiration]:
        told = self._contracts(symbol, {"expiration_date_lte": (datetime.now(UTC) + _FARTHEST).date().isoformat()})
        strikes: dict[date, set[Decimal]] = {}
        with _parsing():
            for each in told:
                strikes.setdefault(parse.day(each.get("expiration_date")), set()).add(
                    parse.number(each.get("strike_price"))
                )
        return [
            OptionExpiration(day=day, strikes=len(some), lowest_strike=min(some), highest_strike=max(some))
            for day, some in sorted(strikes.items())
        ]

    def option_chain(self, symbol: str, day: date, *, strikes: int, right: OptionRight | None = None) -> OptionChain:
        asked = {"expiration_date": day.isoformat()}
        if right is not None:
            asked["type"] = right.value
        told = self._contracts(symbol, asked)
        if not told:
            raise InvalidRequest(
                f"{symbol.upper()} has no options that expire on {day}. List its expiries first.", "expiration"
            )
        underlying = self.quotes([symbol])[0]
        with _parsing():
            known = [(parse.number(each.get("strike_price")), each) for each in told]
            near = closest((strike for strike, _ in known), underlying.last, strikes)
            kept = [each for strike, each in known if strike in near]
            prices = self._chain_prices(underlying.symbol, asked, near)
            contracts = [parse.chain_row(each, prices.get(parse.text(each.get("symbol")), {})) for each in kept]
            sizes = {parse.number(each.get("multiplier")) for each in kept}
        return OptionChain(
            underlying=underlying.symbol,
            underlying_price=underlying.last,
            day=day,
            currency=underlying.currency,
            multiplier=max(sizes, default=Decimal(100)),
            contracts=tuple(sorted(contracts, key=lambda each: (each.strike, each.right, each.symbol))),
            source="Alpaca market data",
            note="Some of these contracts have a different size: check each one before trading it."
            if len(sizes) > 1
            else "",
        )

    def _contracts(self, symbol: str, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        """Of options on a stock. Raises InvalidSymbol for what is none, or has no options."""
        underlying = self.instrument(symbol)
        if underlying.asset_class is not AssetClass.STOCK:
            raise InvalidSymbol(f"Alpaca lists options on stocks only, and {underlying.symbol} is not a stock.")
        params = {"underlying_symbols": underlying.symbol, "status": "active", "limit": "10000", **asked}
        with _parsing():
            return list(self._pages(self._trading, "/v2/options/contracts", params, "option_contracts"))

    def _chain_prices(
        self, symbol: str, asked: Mapping[str, str], near: Sequence[Decimal]
    ) -> dict[str, dict[str, Any]]:
        """Snapshots by the symbol of the option; one that never traded nor was quoted is missing."""
        if not near:
            return {}
        span = {"strike_price_gte": plain(near[0]), "strike_price_lte": plain(near[-1]), "limit": "1000"}
        path = f"/v1beta1/options/snapshots/{encoded(symbol, safe='')}"
        return dict(self._pages(self._data, path, {**asked, **span}, "snapshots"))

    def _pages(self, client: http.HttpClient, path: str, params: Mapping[str, str], inside: str) -> Iterator[Any]:
        """Rows, or pairs of a name and a row. Raises BrokerUnavailable where there are more than can be read."""
        token: dict[str, str] = {}
        for _ in range(_PAGES):
            told = parse.record(self._content(self._ask(client, path, {**params, **token}, _MANY_ASSETS)))
            rows = told.get(inside) or []
            yield from (parse.records(rows) if isinstance(rows, list) else parse.record(rows).items())
            if not told.get("next_page_token"):
                return
            token = {"page_token": parse.text(told["next_page_token"])}
        raise BrokerUnavailable("Alpaca lists more options than can be read at once.")

    def transfers(
        self, account_id: str, *, start: datetime | None = None, end: datetime | None = None, limit: int
    ) -> list[Transfer]:
        """Of money and of securities moved as they are; coins sent to or from a wallet are not among them."""
        self._check(account_id)
        found: list[Transfer] = []
        with _parsing():
            for told in self._activities(parse.MOVES, start, end, ""):
                read = self._unknown.read_each([told], parse.transfer, parse.activity_name)
                found += [each for each in read if _within(each.at, start, end)]
                if len(found) >= limit:
                    break
        return found[: max(limit, 0)]

    def market_hours(self, *, day: date | None = None, market: str = "") -> list[MarketDay]:
        market = market.upper()
        if market not in ("", "US", "CRYPTO"):
            raise InvalidRequest("Alpaca has the markets US and CRYPTO.", "market")
        found = []
        now = datetime.now(UTC)
        if market in ("", "US"):
            first = day or now.astimezone(parse.NEW_YORK).date()
            last = first + timedelta(days=60)
            with _parsing():
                calendar = self._get("/v2/calendar", {"start": first.isoformat(), "end": last.isoformat()})
                clock = self._get("/v2/clock")
                found.append(parse.us_day(parse.records(calendar), parse.record(clock), first, last))
        if market in ("", "CRYPTO"):
            found.append(
                MarketDay(
                    market="CRYPTO",
                    name="Coins",
                    time_zone="UTC",
                    day=day or now.date(),
                    opens=None,
                    closes=None,
                    why="always_open",
                    state=SessionState.OPEN,
                    next_open=None,
                    next_close=None,
                    asset_classes=frozenset({AssetClass.CRYPTO}),
                )
            )
        return found

    def exchange_rate(self, base: str, quote: str) -> Rate:
        if base == quote:
            return Rate(base=base, quote=quote, rate=Decimal(1), as_of=datetime.now(UTC), source="the same currency")
        answer = self._ask(self._data, "/v1beta1/forex/latest/rates", {"currency_pairs": f"{base}{quote}"})
        if answer.status in (400, 404, 422):
            raise NoRate(f"Alpaca has no exchange rate from {base} to {quote}.")
        with _parsing():
            told = parse.record(self._content(answer)).get("rates") or {}
            if f"{base}{quote}" not in told:
                raise NoRate(f"Alpaca has no exchange rate from {base} to {quote}.")
            row = parse.record(told[f"{base}{quote}"])
            return Rate(
                base=base,
                quote=quote,
                rate=parse.number(row.get("mp")),
                as_of=parse.moment(row.get("t")),
                source="Alpaca",
            )

    # -- orders ----------------------------------------------------------------------------------------------------

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        """Our estimate: Alpaca has no preview."""
        self._check(account_id)
        instrument = self.instrument(request.symbol)
        rules.check(request, instrument)
        quote, price = spread_prices.fill_at(request, instrument, self.quotes)
        if price <= 0:
            raise InvalidOrder("Nobody offers a price for this now. Give a LMT order.", "order_type")
        buys = request.side is Side.BUY
        at_once = quote.ask if buys else quote.bid
        units = request.quantity if request.quantity is not None else (request.notional or Decimal(0)) / at_once
        notional = request.notional or price * units * instrument.multiplier
        fee = rules.fee(instrument.asset_class, notional)
        with _parsing():
            told = parse.record(self._get("/v2/account"))
            account = parse.account_state(told, datetime.now(UTC))
            power = account.buying_power
            if instrument.asset_class is not AssetClass.STOCK:
                # Coins and options are bought with cash, never on margin.
                power = account.cash[0].available
        needed = notional if buys else Decimal(0)
        if instrument.spread is not None:
            needed = (instrument.spread.lost(price, buys=buys) or Decimal(0)) * units * instrument.multiplier
        if needed > power and quote.currency == account.currency:
            raise InsufficientFunds(
                f"It costs about {plain(round(needed, 2))} USD, but only {plain(power)} USD is available."
                if instrument.spread is None
                else f"It can lose {plain(round(needed, 2))} USD, but only {plain(power)} USD is available.",
                needed=needed,
                available=power,
            )
        if not buys and not instrument.shortable and instrument.spread is None:
            self._check_holding(account_id, instrument, units)
        return Preview(
            price=price,
            notional=notional,
            fee=fee,
            cash_effect=-notional if buys else notional - fee,
            buying_power=power,
            buying_power_currency=account.currency,
            quote=quote,
            held_back=Decimal(0) if instrument.spread is None else needed,
        )

    def largest_quantity(self, account_id: str, request: OrderRequest) -> Decimal | None:
        """Of several options by what they can lose, as ``preview`` holds it against the cash."""
        instrument = self.instrument(request.symbol)
        if instrument.spread is None:
            return None
        price = request.limit_price or self.quotes([instrument.symbol])[0].last
        return spread_prices.largest(instrument, request, price, self.account_state(account_id).cash[0].available)

    def _check_holding(self, account_id: str, instrument: Instrument, units: Decimal) -> None:
        held = next((each for each in self.positions(account_id) if each.symbol == instrument.symbol), None)
        free = Decimal(0) if held is None else held.quantity - held.reserved
        if units > free and instrument.asset_class is not AssetClass.OPTION:
            raise InsufficientPosition(
                f"You can sell {plain(free)} {instrument.symbol} now, not {plain(units)}.", available=free
            )

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        self._check(account_id)
        instrument = self.instrument(request.symbol)
        rules.check(request, instrument)
        body: dict[str, Any] = {
            "symbol": instrument.symbol,
            "side": request.side.lower(),
            "type": parse.TYPES[request.order_type],
            "time_in_force": request.tif.lower(),
            "client_order_id": parse.name_of(request),
        }
        if instrument.spread is not None:
            del body["symbol"], body["side"]
            body |= {"order_class": parse.SPREAD, "legs": parse.legs_of(request.side, instrument.spread)}
        for name, value in (
            ("qty", request.quantity),
            ("notional", request.notional),
            ("limit_price", request.limit_price),
            ("stop_price", request.stop_price),
            ("trail_price", request.trail_amount),
            ("trail_percent", request.trail_percent),
        ):
            if value is not None:
                body[name] = plain(value)
        if instrument.spread is not None and request.limit_price is not None:
            body["limit_price"] = plain(parse.net_price(request.side, request.limit_price))
        if request.outside_rth:
            body["extended_hours"] = True
        if request.order_class is not OrderClass.SIMPLE:
            body |= {"order_class": request.order_class.value, **_exits(request)}
        answer = self._send("POST", "/v2/orders", body)
        return self._placed(answer, request.client_order_id, instrument.base or instrument.symbol.partition("/")[0])

    def _placed(self, answer: HttpAnswer, client_order_id: str, base: str = "") -> BrokerOrder:
        """The order in the answer to a write, or what its status says. Anything unclear is UnknownOutcome.

        ``base`` is what the order buys or sells, which tells whether money or the coin itself is missing.
        """
        if answer.undecided:
            raise UnknownOutcome(f"Alpaca returned {answer.status}: the order may be open there.")
        try:
            if 200 <= answer.status < 300:
                placed = parse.order(parse.record(answer.json()), unknown=self._unknown)
                if placed.client_order_id == client_order_id:
                    return placed
                raise Garbled("The answer was for another order.")
            told = parse.error_details(answer.json(), *self._secrets)
            alone = parse.message_alone(answer.json(), *self._secrets)
        except Garbled as error:
            raise UnknownOutcome(f"{_QUIET} The order may be open there.") from error
        if told is None and alone:
            raise _refusal(answer.status, None, alone, base)
        if told is None:
            # Not Alpaca's own error body: something between us and Alpaca spoke.
            raise UnknownOutcome(f"Alpaca returned {answer.status} without a reason: the order may be open there.")
        if str(told[0]).startswith("5"):
            raise UnknownOutcome("Alpaca reported an internal error: the order may be open there.")
        raise _refusal(answer.status, *told, base)

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        self._check(account_id)
        with _parsing():
            told = self._find(client_order_id, symbol)
            if told is None:
                return None
            return parse.order(told, self._fills_of(told), self._unknown)

    def _fills_of(self, told: dict[str, Any]) -> list[Fill]:
        """Oldest first. The order's own total stands in while its executions are not all listed."""
        filled, order_id = parse.number(told.get("filled_qty")), parse.text(told.get("id"))
        if not filled:
            return []
        if parse.is_spread(told):
            fills = [fill for leg in parse.with_legs(told)[1:] for fill in self._fills_of(leg)]
            return sorted(fills, key=lambda fill: fill.filled_at)
        since = parse.moment(told.get("created_at")) - _SLACK
        found: list[Fill] = []
        for each in self._activities(["FILL"], since, None, "", direction="asc"):
            if each.get("order_id") == order_id and not parse.is_cancelled(each):
                found.append(parse.fill(each, parse.text(told.get("client_order_id"))))
                if sum(fill.quantity for fill in found) >= filled:
                    break
        if sum(fill.quantity for fill in found) != filled:
            return [parse.order_total(told)]
        return found

    def orders(
        self, account_id: str, *, open_only: bool = False, since: datetime | None = None, limit: int = 100
    ) -> list[BrokerOrder]:
        self._check(account_id)
        params = {"status": "open" if open_only else "all", "direction": "desc"}
        if since is not None:
            params["after"] = parse.stamp(since - timedelta(microseconds=1))
        found: list[BrokerOrder] = []
        with _parsing():
            while len(found) < limit:
                most = min(limit - len(found), _ORDERS_PAGE)
                page = parse.records(self._get("/v2/orders", params | {"limit": str(most)}))
                found += self._unknown.read_each(
                    [each for each in page if not parse.is_leg_of_spread(each)],
                    lambda each: parse.order(self._with_our_id(self._with_legs(each)), unknown=self._unknown),
                    parse.order_name,
                )
                if len(page) < most:
                    break
                params = {name: value for name, value in params.items() if name != "after"}
                params["before_order_id"] = parse.text(page[-1].get("id"))
                if since is not None and found and (found[-1].created_at or since) < since:
                    break
        return [each for each in found if since is None or (each.created_at and each.created_at >= since)][:limit]

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        if not new_client_order_id:
            raise InvalidOrder("Alpaca replaces a changed order with a new one, which needs its own id.", "order_id")
        told = self._standing(account_id, client_order_id)
        order = parse.order(told)
        if order.order_class is not OrderClass.SIMPLE:
            raise NotSupported("An order with exits cannot be changed at Alpaca from here. Cancel it and send another.")
        if changes.quantity is not None and order.filled_quantity:
            # Whether what has filled counts in the new quantity is nowhere documented.
            raise InvalidOrder("Alpaca does not let the quantity of a partly filled order be changed here.", "quantity")
        asked = {
            "qty": changes.quantity,
            "limit_price": changes.limit_price,
            "stop_price": changes.stop_price,
            "trail": changes.trail_amount if changes.trail_amount is not None else changes.trail_percent,
        }
        if (changes.trail_amount is not None and order.trail_amount is None) or (
            changes.trail_percent is not None and order.trail_percent is None
        ):
            raise InvalidOrder(
                "Alpaca changes how far a stop trails, but not from an amount to percent.", "trail_percent"
            )
        body: dict[str, Any] = {name: plain(value) for name, value in asked.items() if value is not None}
        if changes.tif is not None:
            body["time_in_force"] = changes.tif.lower()
        if parse.is_spread(told):
            if order.side is None or set(body) != {"limit_price"} or changes.limit_price is None:
                raise NotSupported("Of an order of several legs Alpaca changes the price from here, and nothing else.")
            body["limit_price"] = plain(parse.net_price(order.side, changes.limit_price))
        self._check_changes(order, changes)
        body["client_order_id"] = new_client_order_id
        answer = self._send("PATCH", f"/v2/orders/{order.broker_order_id}", body)
        try:
            return self._placed(answer, new_client_order_id, order.symbol.partition("/")[0])
        except DuplicateClientId:
            raise  # the new order stands: it is looked up by its own id
        except Rejected as error:
            raise self._told_again(client_order_id, error) from error

    def _check_changes(self, order: BrokerOrder, changes: OrderChanges) -> None:
        instrument = self.instrument(order.symbol)
        for field in ("limit_price", "stop_price", "trail_amount"):
            price = getattr(changes, field)
            if price is not None:
                rules.check_price(field, price, instrument)
        if changes.quantity is not None:
            rules.check_quantity(changes.quantity, instrument)

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        order_id = parse.order(self._standing(account_id, client_order_id, symbol)).broker_order_id
        answer = self._send("DELETE", f"/v2/orders/{order_id}", None)
        if answer.status == 204:
            # What became of it is a read: its failure leaves the cancel standing.
            try:
                found = self.order(account_id, client_order_id, symbol=symbol)
            except BrokerError as error:
                raise UnknownOutcome("Alpaca accepted the cancel but did not report the outcome.") from error
            if found is None:
                raise UnknownOutcome("Alpaca accepted the cancel but then could not find the order.")
            return found
        try:
            return self._placed(answer, client_order_id)
        except Rejected as error:
            raise self._told_again(client_order_id, error, symbol) from error

    def _standing(self, account_id: str, client_order_id: str, symbol: str = "") -> dict[str, Any]:
        self._check(account_id)
        with _parsing():
            told = self._find(client_order_id, symbol)
            if told is None:
                raise OrderNotFound("Alpaca has no order with that client order id.")
            if not parse.order(told).status.is_open:
                raise NotCancellable(f"This order is already {parse.order(told).status}.")
        return told

    def _told_again(self, client_order_id: str, error: Rejected, symbol: str = "") -> Rejected:
        """Why a change or a cancel was refused: mostly because the order ended meanwhile, which a read can tell."""
        try:
            with _parsing():
                told = self._find(client_order_id, symbol)
                status = None if told is None else parse.order(told).status
        except BrokerUnavailable:
            return error
        if status is None or status.is_open:
            return error
        return NotCancellable(f"This order is already {status}.")

    # -- the wire ----------------------------------------------------------------------------------------------------

    def _check(self, account_id: str) -> None:
        if not self._account:
            self.accounts()
        if account_id != self._account:
            raise InvalidAccount("This connection has no account with that id.")

    def _find(self, client_order_id: str, symbol: str = "") -> dict[str, Any] | None:
        """The order by our id; None only when Alpaca itself says that it has none, neither by itself nor with exits."""
        params = {"client_order_id": client_order_id}
        answer = self._ask(self._trading, "/v2/orders:by_client_order_id", params)
        if answer.status == 404:
            if parse.error_details(answer.json()) is None:
                raise Garbled("Not Alpaca's own words.")
            if symbol and parse.guess_class(symbol) is not AssetClass.STOCK:
                return None  # only stocks have exits
            rows = (row for root in self._with_exits(symbol) for row in parse.with_legs(root))
            return next((row for row in rows if row["client_order_id"] == client_order_id), None)
        found = parse.record(self._content(answer))
        if found.get("client_order_id") != client_order_id:
            raise Garbled("The answer was for another order.")
        return self._whole(found)

    def _whole(self, told: dict[str, Any]) -> dict[str, Any]:
        """The row with its legs, where it is an order of several whose row came without them."""
        if not parse.is_spread(told) or told.get("legs"):
            return told
        return parse.record(self._get(f"/v2/orders/{parse.text(told.get('id'))}", {"nested": "true"}))

    def _with_legs(self, told: dict[str, Any]) -> dict[str, Any]:
        """As ``_whole``, each order asked about once: which legs it has stays."""
        if not parse.is_spread(told) or told.get("legs"):
            return told
        order_id = parse.text(told.get("id"))
        if order_id not in _spread_legs:
            if len(_spread_legs) > _MOST_LEGS:
                _spread_legs.clear()
            _spread_legs[order_id] = self._whole(told).get("legs")
        return {**told, "legs": _spread_legs[order_id]}

    def _with_exits(self, symbol: str) -> Iterator[dict[str, Any]]:
        """Every order of ours that has exits, and every spread, newest first. Of all symbols where none is named.

        Raises BrokerUnavailable where there are more orders than can be read.
        """
        params = {"status": "all", "nested": "true", "direction": "desc", "limit": str(_ORDERS_PAGE)}
        params |= {"symbols": symbol} if symbol and parse.guess_class(symbol) is AssetClass.STOCK else {}
        for _ in range(_PAGES):
            page = parse.records(self._get("/v2/orders", params, _MANY_ASSETS))
            yield from (
                each for each in page if len(parse.our_ids(each.get("client_order_id"))) > 1 or parse.is_spread(each)
            )
            if len(page) < _ORDERS_PAGE:
                return
            params["before_order_id"] = parse.text(page[-1].get("id"))
        raise BrokerUnavailable("Alpaca lists more orders than can be read at once.")

    def _with_our_id(self, told: dict[str, Any]) -> dict[str, Any]:
        """The row of an order that is listed by itself; a leg gets our id, which stands in that of its order alone."""
        if not parse.may_be_leg(told):
            return told
        order_id = parse.text(told.get("id"))
        if order_id not in _legs:
            found: dict[str, dict[str, Any]] = {}
            for root in self._with_exits(str(told.get("symbol") or "")):
                for row in parse.with_legs(root)[1:]:
                    found[parse.text(row.get("id"))] = {name: row[name] for name in parse.OF_A_LEG}
            if parse.moment(told.get("created_at")) < datetime.now(UTC) - _LISTED_WITHIN:
                found.setdefault(order_id, {})
            if len(_legs) > _MOST_LEGS:
                _legs.clear()
            _legs.update(found)
        return {**told, **_legs.get(order_id, {})}

    def _activities(
        self,
        types: Collection[str],
        start: datetime | None,
        end: datetime | None,
        after: str,
        *,
        direction: str = "desc",
    ) -> Iterator[dict[str, Any]]:
        params = {"direction": direction, "page_size": str(_PAGE)}
        if types:
            params["activity_types"] = ",".join(types)
        if start is not None:
            params["after"] = parse.stamp(start - _SLACK)
        if end is not None:
            params["until"] = parse.stamp(end + _SLACK)
        if after:
            params["page_token"] = after
        while True:
            page = parse.records(self._get("/v2/account/activities", params))
            yield from page
            if len(page) < _PAGE:
                return
            params["page_token"] = parse.text(page[-1].get("id"))

    def _market(
        self, kind: AssetClass, what: str, symbols: str, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """By symbol. Stock snapshots alone come without an envelope."""
        asked = {"symbols": symbols} | dict(params or {})
        path = f"/v1beta3/crypto/us/{what}"
        if kind is AssetClass.OPTION:
            path = f"/v1beta1/options/{what}"
        elif kind is not AssetClass.CRYPTO:
            path, asked["feed"] = f"/v2/stocks/{what}", self._feed
        told = parse.record(self._content(self._ask(self._data, path, asked)))
        bare = kind is AssetClass.STOCK and what == "snapshots"
        return told if bare else parse.record(told.get(what.rpartition("/")[2]) or {})

    def _source(self, kind: AssetClass) -> str:
        return f"Alpaca {self._feed.upper()}" if kind is AssetClass.STOCK else "Alpaca market data"

    def _get(self, path: str, params: Mapping[str, str] | None = None, most: int = 8 * 1024 * 1024) -> Any:
        return self._content(self._ask(self._trading, path, params, most))

    def _ask(
        self, client: http.HttpClient, path: str, params: Mapping[str, str] | None = None, most: int = 8 * 1024 * 1024
    ) -> HttpAnswer:
        return client.read(path, headers=self._headers, params=params, timeouts=self._timeouts, most=most)

    def _content(self, answer: HttpAnswer) -> Any:
        """What a read brought. Raises Rejected for a refusal in Alpaca's own words, else BrokerUnavailable."""
        if 200 <= answer.status < 300:
            return answer.json()
        told = parse.error_details(_json_of(answer), *self._secrets)
        if answer.status == 401 or (answer.status == 403 and told is None):
            raise AuthFailed("Alpaca does not accept these keys. Link the account again with valid keys.")
        if answer.status == 429:
            wait = float(answer.retry_after) if answer.retry_after.isdecimal() else 60.0
            raise RateLimited("Alpaca is limiting calls. Try again in a minute.", wait)
        if answer.undecided:
            raise BrokerUnavailable(f"Alpaca could not answer ({answer.status}). Try again.")
        raise Rejected(f"Alpaca refused to answer: {told[1] if told and told[1] else answer.status}")

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> HttpAnswer:
        return self._trading.write(method, path, headers=self._headers, body=body, timeouts=self._timeouts)


class _parsing:
    """What a read cannot make sense of is unavailable, and may be asked again."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Garbled):
            raise BrokerUnavailable(_QUIET) from error


def _json_of(answer: HttpAnswer) -> Any:
    try:
        return answer.json()
    except Garbled:
        return None


def _refusal(status: int, code: int | None, message: str, base: str) -> Rejected:
    """Alpaca's refusal of an order. Source: its order guide and the answers 403 and 422 of its OpenAPI document."""
    said = message or f"Alpaca's code is {code}."
    low = message.casefold()
    if "client_order_id" in low:
        return DuplicateClientId("Alpaca already has an order with this client order id.")
    kinds: list[tuple[bool, Callable[[str], Rejected]]] = [
        (status == 401 or (status == 403 and code is None), AuthFailed),
        (status == 404 and "order" in low, OrderNotFound),
        (_lacks_units(low, base), InsufficientPosition),
        (any(each in low for each in _NO_MONEY), InsufficientFunds),
        ("asset" in low and any(each in low for each in _NO_ASSET), InvalidSymbol),
        ("not cancelable" in low or "already in" in low, NotCancellable),
        (any(each in low for each in _CLOSED), MarketClosed),
        (any(each in low for each in _MAY_NOT), PermissionDenied),
    ]
    make = next((kind for fits, kind in kinds if fits), Rejected)
    return make(f"Alpaca refused: {said}")


_NO_MONEY = ("buying power", "insufficient")
_NO_ASSET = ("not found", "not tradable", "not active", "does not exist")
_CLOSED = ("market is closed", "market is not open", "market hours", "market is currently closed")
_MAY_NOT = ("not allowed to", "not authorized", "not permitted", "not eligible", "is restricted", "is blocked")


def _lacks_units(low: str, base: str) -> bool:
    """Whether the thing sold is missing, and not money: a purchase of coins lacks the balance of what it pays with."""
    if "insufficient qty" in low or "insufficient underlying qty" in low:
        return True
    lacking = re.search(r"insufficient balance for ([a-z0-9]+)", low)
    return lacking is not None and (lacking[1] == base.casefold() if base else lacking[1] not in _MONEY)


_MONEY = ("usd", "usdt", "usdc", "eur", "gbp")


def _exits(request: OrderRequest) -> dict[str, Any]:
    """Each exit under the name that Alpaca has for it; of a pair the first is the profit target itself."""
    told: dict[str, Any] = {}
    pair: tuple[OrderRequest | LegRequest, ...] = (request, *request.legs)
    for each in pair if request.order_class is OrderClass.OCO else request.legs:
        prices = (("stop_price", each.stop_price), ("limit_price", each.limit_price))
        name = "stop_loss" if each.order_type.needs_stop else "take_profit"
        told[name] = {field: plain(price) for field, price in prices if price is not None}
    return told


def _within(at: datetime, start: datetime | None, end: datetime | None) -> bool:
    return (start is None or at >= start) and (end is None or at < end)


def _long_enough_ago(now: datetime, size: BarSize, limit: int) -> datetime:
    """Stocks trade about a fifth of the hours of a week, and holidays come on top."""
    return now - max(timedelta(seconds=size.seconds * limit) * 6, timedelta(days=7))
