"""Interactive Brokers through its Web API: a Client Portal Gateway the person runs, or OAuth 1.0a.

Written from IBKR's documents and never run against IBKR itself.
"""

import ipaddress
import re
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace as with_changes
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from brokers import allowed_hosts, spread_prices, spreads, symbol_lookup
from brokers.base import Extras
from brokers.decimals import closest, plain
from brokers.errors import (
    AuthFailed,
    BrokerError,
    BrokerUnavailable,
    InvalidAccount,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    NeedsAnswer,
    NoRate,
    NotCancellable,
    NotSupported,
    OrderNotFound,
    PermissionDenied,
    UnknownOutcome,
)
from brokers.http import Garbled, HostAccess, HttpAnswer, Timeouts
from brokers.ibkr import parse, refusals, rules
from brokers.ibkr import session as sessions
from brokers.ibkr.session import BROKER, Session, error_of
from brokers.ibkr.signing import Credentials
from brokers.ibkr.stream import IbkrStream
from brokers.instrument_id import InstrumentId, InstrumentKind, venue_of
from brokers.json_values import code, number, parsing, quoted_text, record, records, text
from brokers.spreads import Spread
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
    ConnectionInfo,
    Fill,
    FuturesContract,
    Health,
    Instrument,
    InstrumentEvents,
    OptionChain,
    OptionExpiration,
    OptionRight,
    OrderChanges,
    OrderClass,
    OrderRequest,
    Position,
    Preview,
    Quote,
    Rate,
    Side,
    Unreadable,
)
from brokers.unknown_words import UnknownWords
from brokers.unsupported_calls import Lacking, page_of_fills

_OURS = re.compile("[0-9a-f]{32}")
"""An order_ref that we gave: a client order id."""
_OAUTH = ("consumer_key", "access_token", "access_token_secret", "encryption_key", "signature_key", "dh_prime")
_FIRST_LOOKS = 4
"""The first answer of a list or a quote is empty: IBKR only begins to fetch it then."""
_PRICE_PAUSE = 0.4
_CONTRACT_DAYS = timedelta(days=1)
_TRADE_DAYS = "7"
_MOST_PAGES = 100
_MOST_BARS = 1000
_MOST_LOOKED_AT = 40
"""Contracts, each a question to IBKR, to find the one that an instrument_id means."""
_MONTHS = 6
_STRIKES = 10


class IbkrBroker(Lacking, Extras):
    LACKS: ClassVar[Mapping[Ability, str]] = {
        Ability.TRANSACTIONS: f"{BROKER} does not list transactions of a whole account here.",
        Ability.FEES: f"{BROKER} reports the fee of one order, in its preview, but no fee schedule.",
        Ability.SCREENING: f"{BROKER} has too many instruments to list.",
        Ability.ORDER_BOOK: f"{BROKER} has no order book here.",
        Ability.PRINTS: f"{BROKER} does not list single trades here.",
        Ability.MARKET_HOURS: f"{BROKER} reports the hours of one contract, not of a market.",
    }

    def __init__(self, session: Session) -> None:
        self._session = session
        self._unknown = UnknownWords()

    @classmethod
    def open(cls, settings: Mapping[str, Any]) -> Self:
        """``settings`` is ``{"base_url": …}`` for a gateway, without TLS on this computer only, with the
        ``fingerprint`` of its certificate and ``may_reach``, the list of computers that may be called; for OAuth it is
        ``consumer_key access_token access_token_secret encryption_key signature_key dh_prime`` and, where they
        differ from IBKR's own, ``base_url`` and ``realm``; ``timeouts`` in seconds.
        Raises InvalidRequest, and AuthFailed where a credential is missing."""
        timeouts = Timeouts(**settings.get("timeouts", {"read": 15.0, "total": 30.0}))
        if not settings.get("consumer_key"):
            access = HostAccess(
                reach=allowed_hosts.parse(settings.get("may_reach", allowed_hosts.LOOPBACK)),
                fingerprint=str(settings.get("fingerprint") or ""),
            )
            return cls(sessions.shared(_checked_url(settings.get("base_url")), None, timeouts, access))
        missing = [name for name in _OAUTH if not isinstance(settings.get(name), str) or not settings[name]]
        if missing:
            raise AuthFailed(f"The OAuth settings of this connection lack {', '.join(missing)}.")
        credentials = Credentials(
            **{name: settings[name] for name in _OAUTH}, realm=str(settings.get("realm") or "limited_poa")
        )
        base_url = _checked_url(settings.get("base_url") or sessions.OAUTH_URL)
        return cls(sessions.shared(base_url, credentials, timeouts))

    @property
    def capabilities(self) -> Capabilities:
        return rules.CAPABILITIES

    @property
    def unknown_words(self) -> tuple[Unreadable, ...]:
        return self._unknown()

    # -- connection --------------------------------------------------------------------------------------------------

    def connect(self) -> ConnectionInfo:
        self._session.ready(now=True)
        accounts = tuple(self.accounts())
        return ConnectionInfo(
            accounts=accounts,
            environment=accounts[0].environment,
            can_trade=True,
            can_withdraw=None,
            note="Interactive Brokers does not report what else this session can do. Tradelatch only reads and trades.",
        )

    def ping(self) -> Health:
        started = time.monotonic()
        self._session.ready(now=True)
        return Health(latency=time.monotonic() - started, clock_skew=None)

    def order_stream(self) -> IbkrStream:
        return self._session.stream()

    # -- account -----------------------------------------------------------------------------------------------------

    def accounts(self) -> list[Account]:
        found = self._unknown.read_each(
            self._session.accounts().items(),
            lambda each: Account(
                account_id=each[0],
                name=str(each[1].get("displayName") or each[0]),
                currency=str(each[1].get("currency") or "USD"),
                environment=parse.environment(each[0]),
            ),
            lambda each: f"account {each[0]}",
        )
        if len({each.environment for each in found}) != 1:
            raise BrokerUnavailable(f"{BROKER} named paper and live accounts in one session, or none.")
        return found

    def account_state(self, account_id: str) -> AccountState:
        account = self._account(account_id)
        with parsing(BROKER):
            ledger = record(self._session.read(f"/portfolio/{account_id}/ledger"))
            summary = record(self._session.read(f"/portfolio/{account_id}/summary"))
            return parse.account_state(account_id, account.currency, ledger, summary, _now(), self._unknown)

    def positions(self, account_id: str) -> list[Position]:
        self._account(account_id)
        found: dict[str, Position] = {}
        before: list[dict[str, Any]] = []
        with parsing(BROKER):
            for page in range(_MOST_PAGES):
                rows = records(self._session.read(f"/portfolio/{account_id}/positions/{page}"))
                read = self._unknown.read_each(rows, lambda row: parse.position(row, _now()), parse.position_name)
                held = [position for position in read if position is not None]
                fresh = {position.symbol: position for position in held if position.symbol not in found}
                found |= fresh
                if not rows or (held and not fresh) or rows == before:
                    return list(found.values())
                before = rows
        raise BrokerUnavailable(f"{BROKER} did not finish listing the positions.")

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
        """Of today and the six days before it: IBKR tells no more here."""
        of_spread = bool(client_order_id) and spreads.parse(symbol) is not None
        return page_of_fills(
            self._fills(account_id, fresh=False),
            client_order_id=client_order_id,
            symbol="" if of_spread else symbol,  # its fills are those of its legs
            start=start,
            end=end,
            limit=limit,
            after=after,
        )

    # -- instruments and prices --------------------------------------------------------------------------------------

    def find_instruments(
        self, query: str, *, asset_class: AssetClass | None = None, limit: int = 10, by_name: bool = False
    ) -> list[Instrument]:
        if (conid := parse.conid_of(query)) is not None:
            return [self._contract(conid)]
        with parsing(BROKER):
            told = self._session.ask_any(
                "/iserver/secdef/search", {"symbol": query, "name": by_name, **_kind(asset_class, by_name)}
            )
            # What is not found is answered by an object with an error instead of a list.
            rows = records(told) if isinstance(told, list) else []
        found = []
        for row in rows[: max(limit, 0)]:
            with parsing(BROKER):
                conid = code(row.get("conid"))
            try:
                found.append(self._contract(conid))
            except InvalidSymbol:  # an index or a bond: nobody here trades it
                continue
        return [each for each in found if asset_class in (None, each.asset_class)]

    def instrument(self, symbol: str) -> Instrument:
        """By ``TICKER@number`` or instrument_id, or by a ticker that one US stock and no future has.

        Raises InvalidSymbol, AmbiguousSymbol.
        """
        if (spread := spreads.parse(symbol)) is not None:
            return self._spread(spread)
        conid = parse.conid_of(symbol)
        if conid is not None:
            return self._contract(conid)
        if (meant := symbol_lookup.parse_instrument_id(symbol)) is not None:
            return self._named(meant)
        if not re.fullmatch(r"[A-Za-z0-9. ]{1,20}", symbol):
            raise InvalidSymbol(f"{BROKER} has no instrument called {symbol[:40]!r}.")
        ticker = symbol.strip().upper()
        stocks, futures = self._stocks(ticker), self._futures(ticker)
        if len(stocks) == 1 and not futures:
            return self._contract(stocks[0])
        if not stocks and not futures:
            raise InvalidSymbol(f"{BROKER} has no stock and no future with the ticker {ticker}.")
        nearest = [conid for conid, _ in futures]
        # A root means another contract each month: it names none by itself, even where only one is listed.
        raise symbol_lookup.ambiguous(ticker, self._tradable([*stocks, *nearest]), BROKER)

    def _spread(self, spread: Spread) -> Instrument:
        """Raises InvalidSymbol for a leg that is no option in US dollars, or for legs of different sizes."""
        legs = self._legs(spread)
        if len({each.multiplier for each in legs}) > 1:
            raise InvalidSymbol("The legs have different sizes: trade them one by one.")
        return with_changes(
            spread_prices.as_one(spread, legs[0]),
            exchange="SMART",
            tick=min(each.tick for each in legs),
            lot=max(each.lot for each in legs),
            minimum=max(each.minimum for each in legs),
        )

    def _legs(self, spread: Spread) -> list[Instrument]:
        """The contract of each. Which number an option has stays, so it is searched for once."""
        found = []
        for leg in spread.legs:
            known = next((each for each in [*self._session.contracts.values()] if leg.is_called(each.symbol)), None)
            if known is not None and known.currency == "USD":
                found.append(self._contract(str(parse.conid_of(known.symbol))))
                continue
            meant = InstrumentId(
                kind=InstrumentKind.OPTION,
                name=leg.root,
                currency="USD",
                expiry=leg.expiry.isoformat(),
                right=leg.right,
                strike=leg.strike,
            )
            found.append(self._named(meant))
        return found

    def _alone(self, symbol: str) -> Instrument:
        """What is no spread. Raises InvalidRequest."""
        spread_prices.check_alone(symbol, BROKER)
        return self.instrument(symbol)

    def _ticket(self, request: OrderRequest, known: Instrument) -> dict[str, Any]:
        if known.spread is None:
            return parse.ticket(request, str(parse.conid_of(known.symbol)))
        legs = zip(known.spread.legs, self._legs(known.spread), strict=True)
        return parse.spread_ticket(
            request, known.spread, {leg.symbol: str(parse.conid_of(of.symbol)) for leg, of in legs}
        )

    def _named(self, meant: InstrumentId) -> Instrument:
        """What an instrument_id means. A venue that it does not name is the US one, where there is one; one that it
        names must be told by the contract, or for a share by the list of its contracts."""
        ticker = meant.name.replace(".", " ")
        venues: dict[str, str] = {}
        if meant.is_share:
            venues = self._listings(ticker, everywhere=bool(meant.venue) or meant.currency != "USD")
            conids = [conid for conid, venue in venues.items() if not meant.venue or venue in ("", meant.venue)]
        elif meant.kind is InstrumentKind.FUTURE and not meant.settle:
            conids = parse.near(self._futures(ticker), meant.expiry)
        elif meant.kind is InstrumentKind.OPTION:
            conids = self._options(meant)
        elif meant.kind is InstrumentKind.FOREX:
            conids = self._pairs(meant)
        else:
            conids = []
        if len(conids) > _MOST_LOOKED_AT:
            raise symbol_lookup.ambiguous(str(meant), self._tradable(conids), BROKER)
        fitting = []
        for each in self._tradable(conids, _MOST_LOOKED_AT):
            listed = venues.get(str(parse.conid_of(each.symbol)), "")
            identity = each.identity if each.venue or not listed else with_changes(each, venue=listed).identity
            if identity is not None and meant.covers(identity):
                fitting.append(each)
        return symbol_lookup.single_match(str(meant), fitting, BROKER)

    def _tradable(self, conids: Sequence[str], most: int = symbol_lookup.MOST_CANDIDATES) -> list[Instrument]:
        """What the first of these contracts are, as many as are shown to anybody."""
        found = []
        for conid in conids[:most]:
            with suppress(InvalidSymbol):
                found.append(self._contract(conid))
        return found

    def _stocks(self, ticker: str) -> list[str]:
        """The contracts of US stocks with that ticker, and where there is none, of all."""
        return list(self._listings(ticker))

    def _listings(self, ticker: str, *, everywhere: bool = False) -> dict[str, str]:
        """As ``_stocks``, or ``everywhere``: contract → the code of its exchange, empty for one that is not known."""
        with parsing(BROKER):
            told = record(self._session.read("/trsrv/stocks", {"symbols": ticker}))
            listed = [
                (
                    code(contract.get("conid")),
                    venue_of(str(contract.get("exchange") or "")),
                    contract.get("isUS") is True,
                )
                for row in records(told.get(ticker) or [])
                if row.get("assetClass") in (None, "STK")
                for contract in records(row.get("contracts") or [])
            ]
        american = {conid: venue for conid, venue, is_american in listed if is_american}
        return american if american and not everywhere else {conid: venue for conid, venue, _ in listed}

    def _futures(self, root: str) -> list[tuple[str, str]]:
        """Contract and last day (YYYYMMDD) of each future of a root, the nearest first."""
        with parsing(BROKER):
            told = record(self._session.read("/trsrv/futures", {"symbols": root}))
            rows = [row for row in records(told.get(root) or []) if row.get("symbol") in (None, root)]
            return sorted(
                ((code(row.get("conid")), code(row.get("expirationDate"))) for row in rows), key=lambda each: each[1]
            )

    def _options(self, meant: InstrumentId) -> list[str]:
        """Contracts of one month, right and strike. IBKR wants the underlying searched for first."""
        found: list[str] = []
        ticker, month = meant.name.replace(".", " "), date.fromisoformat(meant.expiry).strftime("%b%y").upper()
        for conid in self._stocks(ticker):
            asked = {"conid": conid, "sectype": "OPT", "month": month, "right": meant.right}
            asked |= {"strike": plain(meant.strike or Decimal(0)), "exchange": "SMART"}
            with parsing(BROKER):
                self._session.ask_any("/iserver/secdef/search", {"symbol": ticker, "name": False, "secType": "STK"})
                told = self._session.read("/iserver/secdef/info", asked)
                found += [
                    code(row.get("conid"))
                    for row in (records(told) if isinstance(told, list) else [])
                    if row.get("maturityDate") in (None, meant.expiry.replace("-", ""))
                ]
        return found

    def _pairs(self, meant: InstrumentId) -> list[str]:
        with parsing(BROKER):
            told = record(self._session.read("/iserver/currency/pairs", {"currency": meant.currency}))
            rows = [row for name in sorted(told) for row in records(told[name])]
            return [code(row.get("conid")) for row in rows if row.get("symbol") == f"{meant.name}.{meant.currency}"]

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        known = [self.instrument(symbol) for symbol in symbols]
        parts = [[each] if each.spread is None else self._legs(each.spread) for each in known]
        alone = list({part.symbol: part for some in parts for part in some}.values())
        told = self._snapshots(alone, parse.QUOTE_FIELDS)
        with parsing(BROKER):
            found = {each.symbol: parse.quote(row, each) for row, each in zip(told, alone, strict=True)}
        return [
            found[each.symbol]
            if each.spread is None
            else spread_prices.net_quote(
                each.spread,
                {leg.symbol: found[part.symbol] for leg, part in zip(each.spread.legs, some, strict=True)},
            )
            for each, some in zip(known, parts, strict=True)
        ]

    def instrument_events(self, symbol: str) -> InstrumentEvents:
        known = self._alone(symbol)
        (told,) = self._snapshots([known], parse.EVENT_FIELDS)
        return parse.events(told, known, _now().date(), self._unknown)

    def _snapshots(self, known: Sequence[Instrument], fields: Sequence[str]) -> list[dict[str, Any]]:
        """One row an instrument, once each has a price. Raises BrokerUnavailable where that takes too long."""
        conids = [str(parse.conid_of(each.symbol)) for each in known]
        if not conids:
            return []
        params = {"conids": ",".join(dict.fromkeys(conids)), "fields": ",".join(fields)}
        for look in range(_FIRST_LOOKS):
            if look:
                time.sleep(_PRICE_PAUSE)
            with parsing(BROKER):
                rows = records(self._session.read("/iserver/marketdata/snapshot", params))
                told = {code(row.get("conid")): row for row in rows if parse.has_prices(row)}
                if set(told) >= set(conids):
                    return [told[conid] for conid in conids]
        raise BrokerUnavailable(f"{BROKER} has not sent a price yet. Try again in a moment.")

    def bars(
        self,
        symbol: str,
        size: BarSize,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 100,
    ) -> list[Bar]:
        known, now = self._alone(symbol), _now()
        until = min(end or now, now)
        asked = min(max(limit, 1), _MOST_BARS)
        span = timedelta(seconds=size.seconds) * asked
        params = {
            "conid": str(parse.conid_of(known.symbol)),
            "bar": parse.BAR_SIZES[size],
            "period": _period(span, size, known),
            "startTime": until.astimezone(UTC).strftime("%Y%m%d-%H:%M:%S"),
        }
        with parsing(BROKER):
            told = parse.bars(record(self._session.read("/iserver/marketdata/history", params)))
        whole = [
            bar
            for bar in sorted(told, key=lambda bar: bar.start)
            if bar.start + timedelta(seconds=size.seconds) <= until and (start is None or bar.start >= start)
        ]
        return whole[-asked:]

    def option_expirations(self, symbol: str) -> list[OptionExpiration]:
        """Of the next six months that have any; IBKR tells strikes by the month, so each day has its month's."""
        known, months = self._option_months(symbol)
        found: dict[date, OptionExpiration] = {}
        for month in months[:_MONTHS]:
            strikes = self._strikes(known, month)
            if not strikes:
                continue
            with parsing(BROKER):
                days = [parse.date_of(each.get("maturityDate")) for each in self._options_at(known, month, strikes)]
            for day in days:
                found[day] = OptionExpiration(
                    day=day, strikes=len(strikes), lowest_strike=strikes[0], highest_strike=strikes[-1]
                )
        return [found[day] for day in sorted(found)]

    def option_chain(self, symbol: str, day: date, *, strikes: int, right: OptionRight | None = None) -> OptionChain:
        """Of at most ten strikes: IBKR tells its contracts one by one."""
        known, months = self._option_months(symbol)
        month = parse.month_of(day)
        every = self._strikes(known, month) if month in months else []
        price = self.quotes([known.symbol])[0].last
        near = closest(every, price, min(strikes, _STRIKES))
        rows: list[dict[str, Any]] = []
        for strike in near:
            for each in OptionRight if right is None else (right,):
                rows += self._options_at(known, month, [strike], each)
        with parsing(BROKER):
            wanted = {code(row.get("conid")): row for row in rows if parse.date_of(row.get("maturityDate")) == day}
            if not wanted:
                raise InvalidRequest(
                    f"{known.symbol} has no options that expire on {day} here. List its expiries first.", "expiration"
                )
            prices = self._option_prices(list(wanted))
            contracts = [parse.option_contract(row, prices.get(conid, {})) for conid, row in wanted.items()]
            size = max((number(row.get("multiplier")) for row in wanted.values()), default=Decimal(100))
        return OptionChain(
            underlying=known.symbol,
            underlying_price=price,
            day=day,
            currency=known.currency,
            multiplier=size,
            contracts=tuple(sorted(contracts, key=lambda each: (each.strike, each.right, each.symbol))),
            source=parse.SOURCE,
            note=f"The {_STRIKES} strikes closest to the price: {BROKER} does not report more at a time."
            if min(strikes, len(every)) > _STRIKES
            else "",
        )

    def _option_months(self, symbol: str) -> tuple[Instrument, list[str]]:
        """The underlying, and the months its options end in, as IBKR writes them: DEC26. Raises InvalidSymbol."""
        known = self._alone(symbol)
        conid, ticker = parse.conid_of(known.symbol), known.symbol.partition("@")[0]
        with parsing(BROKER):
            told = self._session.ask_any("/iserver/secdef/search", {"symbol": ticker, "name": False})
            rows = records(told) if isinstance(told, list) else []
            mine = next((row for row in rows if str(row.get("conid")) == conid), {})
            options = [each for each in records(mine.get("sections") or []) if each.get("secType") == "OPT"]
        months = [month for each in options for month in str(each.get("months") or "").split(";") if month]
        if not months:
            raise InvalidSymbol(f"{BROKER} lists no options on {known.symbol}.")
        return known, list(dict.fromkeys(months))

    def _strikes(self, known: Instrument, month: str) -> list[Decimal]:
        params = {"conid": str(parse.conid_of(known.symbol)), "sectype": "OPT", "month": month, "exchange": "SMART"}
        with parsing(BROKER):
            told = record(self._session.read("/iserver/secdef/strikes", params))
            return sorted({number(each) for side in ("call", "put") for each in told.get(side) or []})

    def _options_at(
        self, known: Instrument, month: str, strikes: Sequence[Decimal], right: OptionRight = OptionRight.CALL
    ) -> list[dict[str, Any]]:
        """Contracts of the month, of whatever day, at the middle one of the strikes."""
        params = {
            "conid": str(parse.conid_of(known.symbol)),
            "sectype": "OPT",
            "month": month,
            "exchange": "SMART",
            "strike": plain(strikes[len(strikes) // 2]),
            "right": "C" if right is OptionRight.CALL else "P",
        }
        with parsing(BROKER):
            return records(self._session.read("/iserver/secdef/info", params))

    def _option_prices(self, conids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """As far as IBKR has sent them: a contract that nobody quotes has none."""
        params = {"conids": ",".join(conids), "fields": ",".join(parse.OPTION_FIELDS)}
        told: dict[str, dict[str, Any]] = {}
        for look in range(_FIRST_LOOKS):
            if look:
                time.sleep(_PRICE_PAUSE)
            rows = records(self._session.read("/iserver/marketdata/snapshot", params))
            told |= {code(row.get("conid")): row for row in rows if parse.has_prices(row)}
            if set(told) >= set(conids):
                break
        return told

    def futures_contracts(self, root: str) -> list[FuturesContract]:
        ticker = root.strip().upper()
        if not re.fullmatch(r"[A-Z0-9.]{1,12}", ticker):
            raise InvalidSymbol(f"{BROKER} has no futures called {root!r}.")
        with parsing(BROKER):
            told = record(self._session.read("/trsrv/futures", {"symbols": ticker}))
            found = [parse.future(row) for row in records(told.get(ticker) or [])]
        today = _now().date()
        living = sorted((each for each in found if each.expires >= today), key=lambda each: (each.expires, each.symbol))
        if not living:
            raise InvalidSymbol(f"{BROKER} has no futures with the root {ticker}.")
        return living

    def exchange_rate(self, base: str, quote: str) -> Rate:
        if base == quote:
            return Rate(base=base, quote=quote, rate=Decimal(1), as_of=_now(), source=BROKER)
        try:
            with parsing(BROKER):
                told = record(self._session.read("/iserver/exchangerate", {"source": base, "target": quote}))
                return Rate(base=base, quote=quote, rate=number(told.get("rate")), as_of=_now(), source=BROKER)
        except InvalidRequest as error:
            raise NoRate(f"{BROKER} has no rate between {base} and {quote}.") from error

    # -- orders ------------------------------------------------------------------------------------------------------

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        state = self.account_state(account_id)
        known = self._checked(request)
        quote, price = spread_prices.fill_at(request, known, self.quotes)
        ticket = self._ticket(request, known)
        told = self._session.ask_any(f"/iserver/account/{account_id}/orders/whatif", {"orders": [ticket]})
        with parsing(BROKER):
            estimate = record(told[0] if isinstance(told, list) and told else told)
            if problem := quoted_text(estimate.get("error")):
                raise refusals.refusal(BROKER, problem)
            fee = parse.money(record(estimate.get("amount") or {}).get("commission")) or Decimal(0)
            margin = parse.margin(estimate, state.currency)
        notional = price * request.units * known.multiplier
        return Preview(
            price=price,
            notional=notional,
            fee=fee,
            cash_effect=(-notional if request.side is Side.BUY else notional) - fee,
            buying_power=state.buying_power,
            buying_power_currency=state.currency,
            quote=quote,
            margin=margin,
        )

    def largest_quantity(self, account_id: str, request: OrderRequest) -> Decimal | None:
        """Of several options in one order, by what they can lose; of other orders IBKR does not say."""
        known = self.instrument(request.symbol)
        state = self.account_state(account_id) if known.spread is not None else None
        if state is None or state.currency != known.currency:
            return None
        price = request.limit_price or self.quotes([known.symbol])[0].last
        return spread_prices.largest(known, request, price, state.buying_power)

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        """Raises NeedsAnswer where IBKR asks something first: a person may say yes, see ``answer``."""
        self._account(account_id)
        known = self._checked(request)
        every = [with_changes(request, order_class=OrderClass.SIMPLE, legs=()), *rules.exits(request)]
        tickets = [self._ticket(each, known) for each in every]
        if len(tickets) > 1:
            tickets = [{**each, "isSingleGroup": True} for each in tickets]
        answer = self._session.write("POST", f"/iserver/account/{account_id}/orders", {"orders": tickets})
        return _placed(answer, request.client_order_id, known, [each.client_order_id for each in every])

    def answer(self, account_id: str, client_order_id: str, token: str, yes: bool) -> BrokerOrder | None:
        """A person's answer to the question NeedsAnswer told of, sent once; None when the person said no.

        IBKR may ask a further question, which is NeedsAnswer again.
        """
        self._account(account_id)
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", token):
            raise InvalidRequest("This is not a question from Interactive Brokers.", "token")
        answer = self._session.write("POST", f"/iserver/reply/{token}", {"confirmed": yes})
        if yes:
            return _placed(answer, client_order_id, None)
        if answer.undecided:
            raise UnknownOutcome(f"{BROKER} gave no clear answer. The question may still be open there.")
        return None

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        """Among today's orders and all that work, then among the executions of seven days."""
        self._account(account_id)
        listed = self._listed(account_id, client_order_id)
        fills, wholes = self._executions(account_id, fresh=True, refs={client_order_id})
        with parsing(BROKER):
            if listed is not None:
                return self._order(listed, fills)
            if (spread := spreads.parse(symbol)) is not None:
                told = parse.executed_spread(client_order_id, spread, fills, wholes)
                if told is None and fills:
                    raise BrokerUnavailable(f"{BROKER} lists this order no more, and tells fills of some legs alone.")
                return told
            return parse.executed(client_order_id, fills or wholes) if fills or wholes else None

    def _order(self, row: Mapping[str, Any], fills: list[Fill]) -> BrokerOrder:
        """Raises Garbled."""
        legs = parse.spread_legs(row)
        told = parse.order(row, [] if legs else fills, dead=self._is_dead(row), unknown=self._unknown)
        if not legs:
            return told
        try:
            traded = parse.spread_of((self._contract(conid), signed) for conid, signed in legs)
        except InvalidSymbol:
            traded = None
        if traded is None:
            self._unknown.add(parse.order_name(row), "conidex: several contracts in one order")
            return with_changes(told, fills=tuple(fills))
        return parse.order_of_spread(told, traded, fills)

    def orders(
        self, account_id: str, *, open_only: bool = False, since: datetime | None = None, limit: int = 100
    ) -> list[BrokerOrder]:
        """Today's, and all that work: IBKR lists no older ones here."""
        self._account(account_id)
        with parsing(BROKER):
            live = self._live(account_id, fresh=False)
        fills: dict[str, list[Fill]] = {}
        for fill in self._fills(account_id, fresh=False, refs={str(row.get("order_ref") or "") for row in live} - {""}):
            fills.setdefault(fill.client_order_id, []).append(fill)
        with parsing(BROKER):
            found = self._unknown.read_each(
                live,
                lambda row: self._order(row, fills.get(str(row.get("order_ref") or "-"), [])),
                parse.order_name,
            )
        found.sort(key=lambda order: (len(order.broker_order_id), order.broker_order_id), reverse=True)
        return [
            order
            for order in found
            if (order.status.is_open or not open_only) and (since is None or order.updated_at >= since)
        ][: max(limit, 0)]

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        """In place, under the same id. Raises NeedsAnswer as ``submit`` does; the order then stands unchanged."""
        current = self._open_order(account_id, client_order_id)
        known = self.instrument(current.symbol)
        if current.side is None or current.order_type is None or current.tif is None or current.quantity is None:
            raise NotSupported("Interactive Brokers shows this order with terms that cannot be changed here.")
        if known.spread is not None and with_changes(changes, limit_price=None) != OrderChanges():
            raise NotSupported("Of an order of several options only the price is changed from here.")
        if current.order_type.needs_trail and changes.trail_amount is None and changes.trail_percent is None:
            raise InvalidOrder(
                "Give the new trailing distance too: Interactive Brokers does not report the current one.", "trail"
            )
        wanted = OrderRequest(
            client_order_id=client_order_id,
            symbol=known.symbol,
            side=current.side,
            order_type=current.order_type,
            quantity=changes.quantity or current.quantity,
            tif=changes.tif or current.tif,
            limit_price=changes.limit_price or current.limit_price,
            stop_price=None if current.order_type.needs_trail else changes.stop_price or current.stop_price,
            trail_amount=changes.trail_amount,
            trail_percent=changes.trail_percent,
        )
        rules.check(wanted, known)
        ticket = self._ticket(wanted, known)
        del ticket["cOID"]  # a change names no id: the order keeps the one it has
        path = f"/iserver/account/{account_id}/order/{current.broker_order_id}"
        placed = _placed(self._session.write("POST", path, ticket), client_order_id, known)
        return with_changes(
            placed,
            filled_quantity=current.filled_quantity,
            average_price=current.average_price,
            fees=current.fees,
            fills=current.fills,
            status=current.status if placed.status.is_open else placed.status,
        )

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        current = self._open_order(account_id, client_order_id)
        answer = self._session.write("DELETE", f"/iserver/account/{account_id}/order/{current.broker_order_id}")
        problem = "" if answer.undecided or _is_own_failure(answer) else error_of(answer)
        if problem and not refusals.is_undecided(problem):
            raise NotCancellable(f"{BROKER} did not cancel the order. {problem}")
        if not _is_about(answer, current.broker_order_id):
            raise UnknownOutcome(f"{BROKER} gave no clear answer. The order may still be open.")
        return self._after_cancel(current)

    def _after_cancel(self, current: BrokerOrder) -> BrokerOrder:
        """IBKR only says that the request was submitted: one look at what came of it.

        Called cancelled only if nothing was executed meanwhile: executions are told by a later look, in full.
        """
        try:
            told = record(self._session.read(f"/iserver/account/order/status/{current.broker_order_id}"))
            ended = (
                parse.word(told.get("order_status")) == "cancelled"
                and number(told.get("cum_fill")) == current.filled_quantity
            )
        except (BrokerError, Garbled):
            return current
        return with_changes(current, status=BrokerStatus.CANCELLED) if ended else current

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _account(self, account_id: str) -> Account:
        """Raises InvalidAccount: an id is never put into a path unless IBKR itself named it."""
        for account in self.accounts():
            if account.account_id == account_id:
                return account
        raise InvalidAccount("This connection has no account with that id.")

    def _contract(self, conid: str) -> Instrument:
        known = self._session.contracts.get(conid)
        if known is not None and known.fetched_at is not None and _now() - known.fetched_at < _CONTRACT_DAYS:
            return known
        try:
            # The rules differ by side in what we do not use; IBKR's document wants one named.
            told = record(self._session.read(f"/iserver/contract/{conid}/info-and-rules", {"isBuy": "true"}))
            known = parse.instrument(told, _now())
        except (InvalidRequest, Garbled) as error:
            raise InvalidSymbol(f"{BROKER} has no contract {conid} that can be traded here.") from error
        self._session.contracts[conid] = known
        return known

    def _checked(self, request: OrderRequest) -> Instrument:
        known = self.instrument(request.symbol)
        rules.check(request, known)
        return known

    def _live(self, account_id: str, *, fresh: bool) -> list[dict[str, Any]]:
        """Raises BrokerUnavailable while IBKR has not read the list: an empty one would look like no order."""
        for _ in range(_FIRST_LOOKS):
            told = record(self._session.listing("/iserver/account/orders", {"accountId": account_id}, fresh=fresh))
            rows = records(told.get("orders") or [])
            if rows or told.get("snapshot") is True:
                return [row for row in rows if (row.get("acct") or row.get("account") or account_id) == account_id]
            fresh = True
        self._session.ready(now=True)  # a session that has ended lists nothing either
        raise BrokerUnavailable(f"{BROKER} has not loaded the list of orders yet. Try again in a moment.")

    def _listed(self, account_id: str, client_order_id: str) -> dict[str, Any] | None:
        with parsing(BROKER):
            rows = [row for row in self._live(account_id, fresh=True) if row.get("order_ref") == client_order_id]
        return rows[0] if rows else None

    def _is_dead(self, row: Mapping[str, Any]) -> bool:
        """An inactive order was refused, or waits for shares to borrow: in the second case it can be cancelled."""
        if parse.word(row.get("status")) != "inactive":
            return False
        try:
            told = record(self._session.read(f"/iserver/account/order/status/{code(row.get('orderId'))}"))
        except InvalidRequest:  # of one order: the list stays
            return False
        return told.get("cannot_cancel_order") is True

    def _open_order(self, account_id: str, client_order_id: str) -> BrokerOrder:
        found = self.order(account_id, client_order_id)
        if found is None:
            raise OrderNotFound("This account has no order with that client order id.")
        if not found.status.is_open:
            raise NotCancellable(f"This order is already {found.status}.")
        return found

    def _fills(self, account_id: str, *, fresh: bool, refs: Collection[str] | None = None) -> list[Fill]:
        return self._executions(account_id, fresh=fresh, refs=refs)[0]

    def _executions(
        self, account_id: str, *, fresh: bool, refs: Collection[str] | None
    ) -> tuple[list[Fill], list[Fill]]:
        """Of the orders with these ids, or of all; and of orders of several options what is told of them as one. What
        was traded elsewhere and cannot be read is left out by name. Raises BrokerUnavailable where that is a fill of an
        order of ours."""
        self._account(account_id)
        found: list[Fill] = []
        wholes: list[Fill] = []
        with parsing(BROKER):
            rows = records(self._session.listing("/iserver/account/trades", {"days": _TRADE_DAYS}, fresh=fresh))
            for row in rows:
                ref = str(row.get("order_ref") or "")
                if (row.get("account") or row.get("accountCode") or account_id) != account_id:
                    continue
                if refs is not None and ref not in refs:
                    continue
                if parse.is_whole(row):
                    wholes += self._unknown.read_each([row], lambda row: parse.fill(row, "USD"), parse.fill_name)
                elif _OURS.fullmatch(ref):
                    found.append(self._fill(row))
                else:
                    found += self._unknown.read_each([row], self._fill, parse.fill_name)
        return parse.without_corrected(found), parse.without_corrected(wholes)

    def _fill(self, row: Mapping[str, Any]) -> Fill:
        known = self._traded(code(row.get("conid")))
        if known is None:
            raise Garbled("in a contract whose currency is not known")
        fill = parse.fill(row, known.currency)
        return with_changes(fill, symbol=known.symbol) if known.asset_class is AssetClass.OPTION else fill

    def _traded(self, conid: str) -> Instrument | None:
        """What was traded: a contract that has ended, as it was told before; None where it is not known."""
        try:
            return self._contract(conid)
        except InvalidSymbol:
            return self._session.contracts.get(conid)


def _is_about(answer: HttpAnswer, broker_order_id: str) -> bool:
    """Whether a request to cancel was taken, in the words IBKR has for it."""
    try:
        return answer.status < 300 and code(record(answer.json()).get("order_id")) == broker_order_id
    except Garbled:
        return False


def _is_own_failure(answer: HttpAnswer) -> bool:
    """Whether the body names another status than the answer has, and one that leaves a write open."""
    try:
        told = answer.json()
    except Garbled:
        return False
    inside = told.get("statusCode") if isinstance(told, dict) else None
    return isinstance(inside, int) and inside >= 400 and HttpAnswer(status=inside, body=b"").undecided


def _placed(
    answer: HttpAnswer, client_order_id: str, known: Instrument | None, every: Collection[str] = ()
) -> BrokerOrder:
    """What IBKR said to an order, a change or an answer to its question. ``every``: the ids that were sent together."""
    unclear = UnknownOutcome(f"{BROKER} gave no clear answer. The order may be open there.")
    if answer.undecided or _is_own_failure(answer):
        raise unclear
    if problem := error_of(answer):
        if refusals.is_undecided(problem):
            raise UnknownOutcome(f"{BROKER} gave no clear answer: {problem} The order may be open there.")
        if answer.status == 403:
            raise PermissionDenied(f"{BROKER} refused the order: {problem}")
        raise refusals.refusal(BROKER, problem)
    if answer.status >= 400:  # without a word of IBKR's own: it may come from something in between
        raise unclear
    try:
        rows = records(answer.json())
        if len(rows) == 1 and isinstance(rows[0].get("message"), list):
            asked = tuple(words for each in rows[0]["message"] if (words := _question(text(each))))
            raise NeedsAnswer(BROKER, asked or ("A question without text.",), text(rows[0].get("id")))
        mine = [row for row in rows if row.get("local_order_id") in (None, client_order_id) and row.get("order_id")]
        taken = {str(row.get("local_order_id")) for row in rows if row.get("order_id")}
        if len(every) > 1 and taken != set(every):
            raise unclear  # one may stand without the other
        broker_order_id = code(mine[0]["order_id"])
        if parse.word(mine[0].get("order_status")) == "rejected":
            raise refusals.refusal(BROKER, quoted_text(mine[0].get("text")) or "it gives no reason.")
        return BrokerOrder(
            broker_order_id=broker_order_id,
            client_order_id=client_order_id,
            status=BrokerStatus.WORKING,  # a fill is told by the executions alone
            filled_quantity=Decimal(0),
            average_price=None,
            fees=Decimal(0),
            updated_at=_now(),
            symbol=known.symbol if known else "",
            currency=known.currency if known else "",
        )
    except (Garbled, IndexError) as error:
        raise unclear from error


def _question(words: str) -> str:
    """All of it: a person answers what is shown. Without mark-up, and without the way to a page."""
    return quoted_text(re.sub(r"\S+://\S*", "(an address)", re.sub(r"<[^>]*>", " ", words)), 2000)


def _kind(asset_class: AssetClass | None, by_name: bool) -> dict[str, str]:
    return {} if asset_class is None or by_name else {"secType": parse.SEC_TYPES.get(asset_class, "STK")}


def _period(span: timedelta, size: BarSize, known: Instrument) -> str:
    """How far back to ask so that so many bars of trading time are in it, nights and holidays between them."""
    around_the_clock = known.asset_class in (AssetClass.FOREX, AssetClass.FUTURE)
    session = timedelta(hours=20 if around_the_clock else 6)
    days = span / timedelta(days=1) if size is BarSize.DAY else span / session
    return f"{min(int(days * 1.5) + 4, 1000)}d"


def _checked_url(value: Any) -> str:
    """https anywhere, http to this computer only: on any other way the session could be taken. InvalidRequest."""
    try:
        parts = urlsplit(str(value or ""))
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    more = host is None or parts.username or parts.password or parts.query or parts.fragment
    if more or not (parts.scheme == "https" or (parts.scheme == "http" and _is_here(str(host)))):
        raise InvalidRequest(
            "Give the gateway's address with https, such as https://localhost:5000/v1/api. "
            "http is accepted only for this computer.",
            "base_url",
        )
    return str(value).rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _now() -> datetime:
    return datetime.now(UTC)
