"""OKX through ccxt: spot, and contracts settled in a stablecoin. Demo trading is the same host with a header."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from brokers import leg_ids
from brokers.crypto import parse as crypto_parse
from brokers.crypto import unknown_word_counts
from brokers.crypto.adapter import PAGE, PAGES, CryptoBroker, environment
from brokers.crypto.client import Venue
from brokers.decimals import plain
from brokers.errors import BrokerUnavailable, InvalidOrder, InvalidRequest, InvalidSymbol, NotSupported, OrderNotFound
from brokers.okx import algo_orders, options, parse
from brokers.okx import stream as order_updates
from brokers.types import (
    USUAL,
    Ability,
    Account,
    AssetClass,
    BrokerOrder,
    Capabilities,
    ConnectionInfo,
    DepositAddress,
    Earn,
    Environment,
    FundingRate,
    Instrument,
    OptionChain,
    OptionExpiration,
    OptionRight,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Preview,
    TimeInForce,
    Transaction,
    Unchangeable,
)

# Modes of an account in which all coins stand as margin together: multi-currency and portfolio margin.
_ONE_BALANCE = ("3", "4")
_ID = re.compile("[A-Za-z0-9]{1,32}")
_KINDS = ("SPOT", "SWAP", "FUTURES")
_AMEND, _AMEND_ALGO = "private_post_trade_amend_order", "private_post_trade_amend_algos"
_EXIT_NAMES = ("attachAlgoId", "attachAlgoClOrdId")
_ORDER, _ALGO = "private_get_trade_order", "private_get_trade_order_algo"


@dataclass(frozen=True, slots=True)
class _Place:
    """One list that orders are in."""

    name: str
    params: dict[str, Any]
    key: str = "ordId"

    @property
    def is_of_algos(self) -> bool:
        return self.key == "algoId"


_HEADER = "x-simulated-trading"
# Where people register with another company of the group, keys work on its own host alone.
_HOSTS = {"eea": "eea.okx.com", "us": "us.okx.com"}


def _config(settings: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {"options": {"fetchMarkets": {"types": ["spot", "swap", "future"]}}}
    if host := _HOSTS.get(str(settings.get("region", ""))):
        config["hostname"] = host
    return config


def _prepare(exchange: Any, settings: Mapping[str, Any]) -> None:
    if environment(settings) is Environment.PAPER:
        exchange.headers = {**(exchange.headers or {}), _HEADER: "1"}


class OkxBroker(CryptoBroker):
    """Further settings: ``passphrase``; ``region`` "eea" or "us" for accounts of those companies."""

    VENUE = Venue(
        title="OKX",
        library_name="okx",
        codes=parse.CODES,
        per_second=15,
        credentials={"api_key": "apiKey", "secret": "secret", "passphrase": "password"},
        config=_config,
        prepare=_prepare,
    )
    CAPABILITIES = Capabilities(
        abilities=USUAL - {Ability.SCREENING}
        | {
            Ability.OPTION_CHAINS,
            Ability.FUTURES,
            Ability.FUNDING_RATES,
            Ability.TRANSFERS,
            Ability.DEPOSIT_ADDRESSES,
            Ability.EARN,
        },
        asset_classes=frozenset({AssetClass.CRYPTO, AssetClass.PERPETUAL, AssetClass.FUTURE}),
        order_types=frozenset(OrderType),
        order_classes=frozenset(OrderClass),
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
        pairs={
            OrderType.MARKET: frozenset({TimeInForce.GTC, TimeInForce.IOC}),
            **dict.fromkeys((OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAIL), frozenset({TimeInForce.GTC})),
        },
        not_found_after=120.0,
        replace=True,
        never_changes=frozenset({Unchangeable.TIME_IN_FORCE}),
        notional=True,
        short=True,
        reduce_only=True,
        never_reduce_only=frozenset({AssetClass.CRYPTO}),
        post_only=True,
        order_stream=True,
    )
    CURRENCY = "USDT"
    NAMES = ("ordId", "clOrdId", "instId")

    def connect(self) -> ConnectionInfo:
        """A key works in the one environment it was made for, so the answer proves which this is."""
        answer = self._client.read("private_get_account_config")
        rows = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or not rows or not rows[0].get("uid"):
            raise BrokerUnavailable("OKX did not say whose key this is.")
        row, proved = rows[0], environment(self._settings)
        may = {each.strip() for each in str(row.get("perm", "")).split(",")}
        self._client.memory.traits |= {
            "hedged": row.get("posMode") == "long_short_mode",
            "one_balance": str(row.get("acctLv")) in _ONE_BALANCE,
        }
        account = Account(
            account_id=str(row["uid"]),
            name=str(row.get("label") or "OKX"),
            currency=self.CURRENCY,
            environment=proved,
        )
        unbound = not row.get("ip")
        return ConnectionInfo(
            accounts=(account,),
            environment=proved,
            can_trade="trade" in may,
            can_withdraw="withdraw" in may,
            note="OKX deletes a trading key that is not restricted to an IP address after 14 days without use."
            if unbound
            else "",
        )

    def order_stream(self) -> order_updates.OkxStream:
        host = order_updates.host(
            str(self._settings.get("region", "")), demo=environment(self._settings) is Environment.PAPER
        )
        return order_updates.OkxStream(self._stream_url(host, order_updates.PATH), self._settings, self._venue_time())

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        """Of a contract with the leverage and the position mode that the account has set for it at OKX."""
        made = super().preview(account_id, request)
        found = self._instrument(request.symbol)
        if not found.settle:
            return made
        asked = {"instId": self._require(found.symbol)["id"], "mgnMode": "cross"}
        rows = _data(self._client.read("private_get_account_leverage_info", asked))
        hedged = bool(self._client.memory.traits.get("hedged"))
        return replace(made, notes=(parse.margin_note(found.symbol, rows, hedged=hedged),))

    def largest_quantity(self, account_id: str, request: OrderRequest) -> Decimal | None:
        """Of a contract: what is bought with cash is bounded by that."""
        self._check(account_id)
        market = self._require(self._of_symbol(request.symbol).symbol)
        if not market["contract"]:
            return None
        price = request.limit_price or request.stop_price
        asked = {"instId": market["id"], "tdMode": "cross"} | ({} if price is None else {"px": plain(price)})
        rows = _data(self._client.read("private_get_account_max_size", asked))
        return parse.largest(rows, request.side)

    def _create(self, request: OrderRequest, market: crypto_parse.Answer) -> tuple[str, Any]:
        contract = bool(market["contract"])
        if contract and self._client.memory.traits.get("hedged"):
            raise NotSupported("This OKX account is in long/short mode. Set it to net mode to trade here.")
        if algo_orders.is_algo(request):
            one_balance = self._client.memory.traits.get("one_balance")
            mode = "cross" if contract or one_balance else "cash"
            return "private_post_trade_order_algo", algo_orders.body(request, market["id"], mode, spot=not contract)
        body = parse.order_body(request, market["id"], contract=contract)
        if request.legs:
            body["attachAlgoOrds"] = algo_orders.attached(request)
        return "private_post_trade_order", body

    def _created(self, answer: Any, request: OrderRequest) -> str:
        read = algo_orders.created if algo_orders.is_algo(request) else parse.created
        return read(answer, request.client_order_id)

    def _check_order(self, request: OrderRequest, found: Instrument, price: Decimal | None = None) -> None:
        super()._check_order(request, found, price)
        algo_orders.check(request)

    def _find(self, client_order_id: str, symbol: str) -> crypto_parse.Answer | None:
        """Most orders by one call or two. A stop beside a target shares the target's id at OKX, and exits that wait
        are part of their order: those are looked for in every list they could be in, and so is everything where the
        symbol is not known: open orders, seven days of others, three months of algo orders."""
        market = self._require(self._of_symbol(symbol).symbol) if symbol else None
        if market is not None:
            row = self._one(_ORDER, {"instId": market["id"], "clOrdId": client_order_id})
            if row is not None:
                return self._answer(row)
        row = self._one(_ALGO, {"algoClOrdId": client_order_id}) if _ID.fullmatch(client_order_id) else None
        for found in self._parts(row, client_order_id) if row else ():
            return found
        unsettled = None
        for place in self._places(market):
            for row in self._rows(place):
                for found in self._of_row(place, row, client_order_id):
                    if found.get("settled") is not False:
                        return found
                    unsettled = found
        return unsettled

    def _places(self, market: crypto_parse.Answer | None) -> Iterator[_Place]:
        """Where an order can be that is not found by its id alone. In the order in which one moves through them, so
        that it is in a list that is read later if it leaves one meanwhile."""
        only = {} if market is None else {"instId": market["id"]}
        kinds = [market["info"]["instType"]] if market is not None else _KINDS
        yield _Place("private_get_trade_orders_pending", only)
        yield _Place("private_get_trade_orders_algo_pending", {**only, "ordType": algo_orders.KINDS[0]}, "algoId")
        for kind in kinds:
            yield _Place("private_get_trade_orders_history", {**only, "instType": kind})
        for state in algo_orders.ENDED:
            wanted = {**only, "ordType": algo_orders.KINDS[0], "state": state}
            yield _Place("private_get_trade_orders_algo_history", wanted, "algoId")

    def _of_row(self, place: _Place, row: dict[str, Any], wanted: str = "") -> Iterator[crypto_parse.Answer]:
        """What a row of a list stands for: an order and the exits that wait for it, or one or two of an algo order."""
        if place.is_of_algos:
            yield from self._parts(row, wanted)
            return
        if row.get("algoId") and not wanted:
            # Made when an algo order was triggered: it goes by the names of that.
            algo = self._one(_ALGO, {"algoId": row["algoId"]})
            if algo is not None:
                yield from self._parts(algo)
                return
        entry, now = self._answer(row), datetime.now(UTC)
        if wanted in ("", str(row.get("clOrdId"))):
            yield entry
        try:
            waiting = [
                {
                    **algo_orders.answer_waiting(row, part, exits, entry, now),
                    "settled": algo_orders.is_settled(row, exits),
                }
                for part, exits in algo_orders.waiting(row)
            ]
        except crypto_parse.UNREADABLE:
            unknown_word_counts.note(self.VENUE.title, "unreadable order")
            if wanted and (leg_ids.parent(wanted) or ("",))[0] == row.get("clOrdId"):
                yield {"id": row.get("ordId"), "clientOrderId": wanted, "symbol": entry["symbol"], "terms": None}
            return
        yield from (each for each in waiting if wanted == each["clientOrderId"] or (each["settled"] and not wanted))

    def _parts(self, row: dict[str, Any], wanted: str = "") -> Iterator[crypto_parse.Answer]:
        """Those of an algo order, or the one of that id."""
        symbol = str(self._client.exchange.safe_symbol(row.get("instId"), None, "-"))
        try:
            parts = [each for each in algo_orders.parts(row) if wanted in ("", each.client_order_id)]
        except crypto_parse.UNREADABLE:
            parts = [algo_orders.Part(client_order_id=str(row.get("algoClOrdId") or ""), half="")]
        if not parts:
            return
        child = self._child(row)
        for part in parts:
            try:
                yield algo_orders.answer(row, part, symbol, child)
            except crypto_parse.UNREADABLE:
                unknown_word_counts.note(self.VENUE.title, "unreadable order")
                yield {"id": row.get("algoId"), "clientOrderId": part.client_order_id, "symbol": symbol, "terms": None}

    def _child(self, row: dict[str, Any]) -> crypto_parse.Answer | None:
        """The order that an algo order became. OKX forgets one that was cancelled unfilled after two hours."""
        if row.get("state") != "effective":
            return None
        order_id = next(iter(reversed(row.get("ordIdList") or [])), "") or row.get("ordId")
        if not order_id:
            return None
        told = self._one(_ORDER, {"instId": row.get("instId"), "ordId": order_id})
        return self._answer(told) if told is not None else {"id": order_id, "status": "canceled", "filled": "0"}

    def _one(self, name: str, params: dict[str, Any]) -> dict[str, Any] | None:
        try:
            rows = _data(self._client.read(name, params))
        except OrderNotFound:
            return None
        if not rows:
            raise BrokerUnavailable("OKX sent an order that could not be read.")
        return rows[0]

    def _order(self, answer: crypto_parse.Answer, *, with_fills: bool = False) -> BrokerOrder:
        self._client.remember(str(answer.get("child") or ""), str(answer.get("clientOrderId") or ""))
        return super()._order(answer, with_fills=with_fills)

    def _trades_of(self, answer: crypto_parse.Answer) -> list[crypto_parse.Answer]:
        """Of an algo order those of the order that it became."""
        return super()._trades_of({**answer, "id": answer["child"]} if answer.get("child") else answer)

    def _cancel(self, found: crypto_parse.Answer) -> tuple[str, Any]:
        """Exits that wait end with their order, and both of a pair together: nothing is left that its owner takes for
        protected, and what is left can be told from OKX's own rows."""
        market, entry = self._require(str(found["symbol"])), found.get("entry")
        if "algo" in found and not found.get("child"):
            return "private_post_trade_cancel_algos", [{"instId": market["id"], "algoId": found["algo"]["algoId"]}]
        if entry and algo_orders.has_ended(entry):
            raise BrokerUnavailable("OKX has not placed this exit yet. Nothing was cancelled.")
        if entry and crypto_parse.number_or_zero(entry.get("accFillSz")):
            # It would end the order, and what has filled would have its exits only to lose them.
            raise NotSupported(
                "Part of its order has filled: OKX places this exit for that once the order has ended. To end it "
                "before, cancel the order."
            )
        order_id = found.get("child") or (entry["ordId"] if entry else found["id"])
        return "private_post_trade_cancel_order", {"instId": market["id"], "ordId": order_id}

    def _amend(self, found: crypto_parse.Answer, wanted: OrderRequest, changes: OrderChanges) -> tuple[str, Any]:
        instrument_id = self._require(str(found["symbol"]))["id"]
        if found.get("child"):
            if changes.stop_price is not None:
                raise NotSupported("This stop was triggered: its order is in the market, and has no stop price now.")
            return _AMEND, parse.amend_body(changes, instrument_id, found["child"])
        if "algo" in found:
            body = algo_orders.amend(wanted, changes, found)
            return _AMEND_ALGO, {"instId": instrument_id, "algoId": found["algo"]["algoId"], **body}
        if "entry" in found:
            exits = {name: found["exits"][name] for name in _EXIT_NAMES if found["exits"].get(name)}
            new = [{**exits, **algo_orders.amend(wanted, changes, found)}]
            return _AMEND, {"instId": instrument_id, "ordId": found["entry"]["ordId"], "attachAlgoOrds": new}
        return _AMEND, parse.amend_body(changes, instrument_id, str(found["id"]))

    def _amended(self, answer: Any, found: crypto_parse.Answer, wanted: OrderRequest) -> bool:
        if "part" in found:
            return algo_orders.is_amended(answer, found)
        return parse.created(answer, wanted.client_order_id) == str(found["id"])

    def _listed(self, *, open_only: bool, since: datetime | None, limit: int) -> list[crypto_parse.Answer]:
        found: dict[str, crypto_parse.Answer] = {}
        for place in self._lists(open_only=open_only):
            for count, row in enumerate(self._rows(place)):
                at = crypto_parse.moment(row.get("cTime"))
                if count >= limit or (since and at and at < since):
                    break
                found.update((str(each["id"]), each) for each in self._of_row(place, row))
        return list(found.values())

    @staticmethod
    def _lists(*, open_only: bool) -> Iterator[_Place]:
        """Algo orders first, as one that is triggered becomes an order; open ones before those that have ended. Of
        algo orders that were triggered the orders tell."""
        for kind in algo_orders.KINDS:
            yield _Place("private_get_trade_orders_algo_pending", {"ordType": kind}, "algoId")
        yield _Place("private_get_trade_orders_pending", {})
        if open_only:
            return
        for kind in _KINDS:
            yield _Place("private_get_trade_orders_history", {"instType": kind})
        for kind in algo_orders.KINDS:
            for state in algo_orders.ENDED[1:]:
                wanted = {"ordType": kind, "state": state}
                yield _Place("private_get_trade_orders_algo_history", wanted, "algoId")

    def _rows(self, place: _Place) -> Iterator[dict[str, Any]]:
        """Newest first, to the end. Raises BrokerUnavailable when there are more than we read."""
        after: dict[str, Any] = {}
        for _ in range(PAGES):
            rows = _data(self._client.read(place.name, {**place.params, **after, "limit": str(PAGE)}))
            yield from rows
            if len(rows) < PAGE:
                return
            after = {"after": rows[-1][place.key]}
        raise BrokerUnavailable("OKX has more orders than could be read at once.")

    def _for_library(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of an order that a trigger made, ccxt takes the algo order's id for its own."""
        return {name: value for name, value in row.items() if name != "algoId"}

    def _terms(self, row: Mapping[str, Any]) -> crypto_parse.VenueTerms:
        return parse.terms(row)

    def _balance(self) -> crypto_parse.Answer:
        told = self._client.read("private_get_account_balance")
        details = [each.get("details") for each in _data(told)]
        return parse.balances(details[0] if details else None, self._client.exchange.safe_currency_code)

    def _transactions(self, since: int | None, params: dict[str, Any]) -> list[Transaction]:
        return crypto_parse.readable(self._ledger(since, params), parse.entry, self.VENUE.title, "bill")

    def _read_fee_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        market = self._require(symbol)
        told = self._client.read("fetch_trading_fee", symbol)
        row = told.get("info") if isinstance(told, dict) else None
        if not isinstance(row, dict) or not row:
            raise BrokerUnavailable("OKX reported no fees.")
        return parse.fee_rates(row, market)

    def _trades(self, symbol: str | None, since: int | None, params: dict[str, Any]) -> list[crypto_parse.Answer]:
        kinds = [{}] if symbol else [{"type": "spot"}, {"type": "swap"}, {"type": "future"}]
        return [
            trade
            for kind in kinds
            for trade in self._client.read("fetch_my_trades", symbol, since, PAGE, {**params, **kind})
        ]

    def _funding_rate(self, found: Instrument, market: crypto_parse.Answer, limit: int) -> FundingRate:
        contract = {"instId": market["id"]}
        return parse.funding_rate(
            found,
            self._row("public_get_public_funding_rate", contract),
            self._row("public_get_public_mark_price", {"instType": "SWAP", **contract}),
            self._row("public_get_market_index_tickers", {"instId": f"{found.base}-{found.currency}"}),
            self._row("public_get_public_open_interest", {"instType": "SWAP", **contract}),
            _data(self._public("public_get_public_funding_rate_history", {**contract, "limit": str(limit)})),
            datetime.now(UTC),
        )

    def _base_is(self, market: crypto_parse.Answer) -> str:
        return parse.base_is(market["info"])

    def option_expirations(self, symbol: str) -> list[OptionExpiration]:
        """Of options on a coin, named by itself or by any of its pairs."""
        return options.expirations(self._options(self._coin(symbol)))

    def option_chain(self, symbol: str, day: date, *, strikes: int, right: OptionRight | None = None) -> OptionChain:
        coin = self._coin(symbol)
        rows = options.of_day(self._options(coin), day, right)
        if not rows:
            raise InvalidRequest(f"{coin} has no options that expire on {day}. List its expiries first.", "expiration")
        family = {"instFamily": f"{coin}-USD"}
        (index,) = _data(self._public("public_get_market_index_tickers", {"instId": f"{coin}-USD"}))[:1] or [{}]
        price = crypto_parse.positive(index.get("idxPx"))
        if price is None:
            raise BrokerUnavailable(f"OKX quotes no price for {coin} now.")
        tickers, interest = (
            _data(self._public(name, {**family, "instType": "OPTION"}))
            for name in ("public_get_market_tickers", "public_get_public_open_interest")
        )
        summary = _data(self._public("public_get_public_opt_summary", {**family, "expTime": f"{day:%y%m%d}"}))
        return options.chain(coin, day, rows, price, strikes, tickers, summary, interest)

    def _coin(self, symbol: str) -> str:
        name = symbol.strip().upper()
        return name if name.isalnum() and len(name) <= 10 and self._alike(name) else self._instrument(symbol).base

    def _options(self, coin: str) -> list[Mapping[str, Any]]:
        asked = {"instType": "OPTION", "instFamily": f"{coin}-USD"}
        try:
            rows = options.contracts(_data(self._public("public_get_public_instruments", asked)))
        except (InvalidSymbol, InvalidOrder):  # its words for a family that it does not have
            rows = []
        if not rows:
            raise InvalidSymbol(f"OKX has no options on {coin}.")
        return rows

    def deposit_addresses(self, account_id: str, asset: str) -> list[DepositAddress]:
        self._check(account_id)
        try:
            rows = _data(self._client.read("private_get_asset_deposit_address", {"ccy": asset.strip().upper()}))
        except InvalidOrder:  # its word for any argument that is wrong
            raise InvalidSymbol(f"OKX has no coin {asset!r}.") from None
        return [parse.deposit_address(row) for row in rows]

    def earn(self, account_id: str, asset: str = "") -> Earn:
        """Simple Earn (savings) and On-chain Earn (staking)."""
        self._check(account_id)
        coin = {"ccy": asset.strip().upper()} if asset else {}
        rates = _data(self._public("public_get_finance_savings_lending_rate_summary", coin))
        saved = _data(self._client.read("private_get_finance_savings_balance", coin))
        staking = _data(self._client.read("private_get_finance_staking_defi_offers", coin))
        staked = _data(self._client.read("private_get_finance_staking_defi_orders_active", coin))
        return Earn(
            offers=(*map(parse.savings_offer, rates), *map(parse.staking_offer, staking)),
            holdings=(
                *map(parse.savings_holding, saved),
                *(each for row in staked for each in parse.staking_holding(row)),
            ),
        )

    def _row(self, name: str, params: dict[str, str]) -> dict[str, Any]:
        rows = _data(self._public(name, params))
        if not rows:
            raise BrokerUnavailable("OKX has no funding rate for this instrument now.")
        return rows[0]


def _data(answer: Any) -> list[dict[str, Any]]:
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BrokerUnavailable("OKX sent a list that could not be read.")
    return rows
