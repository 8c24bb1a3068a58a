"""Coinbase Advanced Trade spot through ccxt, with keys of the developer platform. It has no sandbox."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

from brokers import leg_ids, symbol_lookup
from brokers.coinbase import conversions, parse
from brokers.coinbase import stream as order_updates
from brokers.crypto import order_checks, unknown_word_counts
from brokers.crypto import parse as crypto_parse
from brokers.crypto.adapter import PAGE, PAGES, CryptoBroker, environment
from brokers.crypto.call_queue import Priority
from brokers.crypto.client import Venue
from brokers.errors import (
    AuthFailed,
    BrokerError,
    BrokerUnavailable,
    InvalidRequest,
    InvalidSymbol,
    NoRate,
    NotCancellable,
    NotSupported,
    OrderNotFound,
    Rejected,
    UnknownOutcome,
)
from brokers.types import (
    USUAL,
    Ability,
    Account,
    AssetClass,
    BrokerOrder,
    Capabilities,
    ConnectionInfo,
    DepositAddress,
    Environment,
    Fill,
    Instrument,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Preview,
    Quote,
    Rate,
    Side,
    TimeInForce,
    Transfer,
    Unchangeable,
)

_MOST = 250
_SMALLEST = Decimal("1E-18")
_WALLETS = 20
_PAIRS_KEPT = 4096


def _config(settings: Mapping[str, Any]) -> dict[str, Any]:
    if environment(settings) is not Environment.LIVE:
        raise InvalidRequest("Coinbase has no paper trading: use a connection to Tradelatch Paper.", "environment")
    return {"options": {"fetchBalance": "v3PrivateGetBrokerageAccounts", "fetchTime": "v3PublicGetBrokerageTime"}}


def _prepare(exchange: Any, settings: Mapping[str, Any]) -> None:
    # Its tokens tell the time by this, which knows nothing of the venue's clock.
    exchange.seconds = lambda: int(exchange.nonce()) // 1000


class CoinbaseBroker(CryptoBroker):
    """``api_key`` is the key's name (organizations/…/apiKeys/…), ``secret`` its EC private key in PEM."""

    VENUE = Venue(
        title="Coinbase",
        library_name="coinbase",
        codes=parse.CODES,
        per_second=15,
        credentials={"api_key": "apiKey", "secret": "secret"},
        config=_config,
        prepare=_prepare,
    )
    CAPABILITIES = Capabilities(
        abilities=USUAL - {Ability.SCREENING, Ability.TRANSACTIONS} | {Ability.TRANSFERS, Ability.DEPOSIT_ADDRESSES},
        asset_classes=frozenset({AssetClass.CRYPTO}),
        order_types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT}),
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
        pairs={OrderType.STOP_LIMIT: frozenset({TimeInForce.GTC})},
        order_classes=frozenset({OrderClass.SIMPLE, OrderClass.BRACKET, OrderClass.OCO}),
        not_found_after=300.0,
        replace=True,
        never_changes=frozenset({Unchangeable.TIME_IN_FORCE, Unchangeable.WITH_EXITS}),
        notional=True,
        post_only=True,
        firm_quotes=True,
        order_stream=True,
    )
    CURRENCY = "USD"
    NAMES = ("order_id", "client_order_id", "product_id")

    @classmethod
    def open(cls, settings: Mapping[str, Any]) -> Self:
        """Raises AuthFailed for a key of a kind that is not taken: the venue would not say so."""
        if parse.is_other_key(str(settings.get("secret", ""))):
            raise AuthFailed("This Coinbase key is no ECDSA key. Make one with that signature algorithm there.")
        return super().open(settings)

    def connect(self) -> ConnectionInfo:
        may = self._client.read("v3_private_get_brokerage_key_permissions")
        if not isinstance(may, dict) or "can_view" not in may:
            raise BrokerUnavailable("Coinbase did not say what this key may do.")
        account = Account(
            account_id=str(may.get("portfolio_uuid") or "default"),
            name="Coinbase",
            currency=self.CURRENCY,
            environment=Environment.LIVE,
        )
        return ConnectionInfo(
            accounts=(account,),
            environment=Environment.LIVE,
            can_trade=may.get("can_trade") is True,
            # What it does not deny, it may do.
            can_withdraw=may.get("can_transfer") is not False,
        )

    def order_stream(self) -> order_updates.CoinbaseStream:
        signed = order_updates.token(str(self._settings["api_key"]), str(self._settings["secret"]), self._venue_time())
        return order_updates.CoinbaseStream(self._stream_url(order_updates.HOST), signed)

    def _instrument(self, symbol: str) -> Instrument:
        try:
            return super()._instrument(symbol)
        except InvalidSymbol:
            meant = symbol_lookup.parse_instrument_id(symbol)
            asked = symbol.strip().upper() if meant is None else crypto_parse.native_symbol(meant)
            if not (pair := conversions.pair_of(asked)):
                raise
            if pair != asked.replace("-", "/"):
                raise InvalidSymbol(f"Coinbase has this pair as {pair}.") from None
            return symbol_lookup.check_match(meant, conversions.INSTRUMENTS[pair])

    def _all(self, asset_class: AssetClass | None) -> list[Instrument]:
        found = super()._all(asset_class)
        if asset_class not in (None, AssetClass.CRYPTO):
            return found
        traded = {each.symbol for each in found}
        converted = [each for name, each in conversions.INSTRUMENTS.items() if name not in traded]
        return sorted([*found, *converted], key=lambda each: each.symbol)

    def _is_converted(self, symbol: str) -> bool:
        """Whether it is traded by no market, but by conversion."""
        return symbol in conversions.INSTRUMENTS and self._market(symbol) is None

    def _public(self, name: str, *args: Any) -> Any:
        if args and self._is_converted(str(args[0])):
            raise NotSupported(f"Coinbase converts {args[0]} one for one: there is no market with trades or bars.")
        return super()._public(name, *args)

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        now, found = datetime.now(UTC), list[Quote]()
        for each in map(self._instrument, symbols):
            converted = self._is_converted(each.symbol)
            found += [conversions.price(each, now)] if converted else super().quotes([each.symbol])
        return found

    def exchange_rate(self, base: str, quote: str) -> Rate:
        try:
            return super().exchange_rate(base, quote)
        except NoRate:
            pair = conversions.pair_of(f"{base}/{quote}")
            if not pair or not self._is_converted(pair):
                raise
            return Rate(
                base=base.upper(),
                quote=quote.upper(),
                rate=Decimal(1),
                as_of=datetime.now(UTC),
                source=conversions.INSTRUMENTS[pair].price_source,
            )

    def _check_order(self, request: OrderRequest, found: Instrument, price: Decimal | None = None) -> None:
        order_checks.check(request, found, self.CAPABILITIES, price)
        if self._is_converted(found.symbol):
            conversions.check_kind(request)
            return
        if request.order_type is OrderType.MARKET and request.side is Side.BUY and request.notional is None:
            raise NotSupported("Coinbase accepts market buys by amount, not by quantity. Give notional.")
        order_checks.check_ids(request)
        if any(leg.order_type not in (OrderType.LIMIT, OrderType.STOP) for leg in request.legs):
            raise NotSupported("At Coinbase the protective stop is a STP order, and cannot trail.")
        if request.legs and request.order_type is not OrderType.LIMIT:
            raise NotSupported("Coinbase accepts exits beside LMT orders alone.")

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        """Of a conversion by a quote of Coinbase's, which moves nothing."""
        found = self._instrument(request.symbol)
        if not self._is_converted(found.symbol):
            return super().preview(account_id, request)
        self._check(account_id)
        (quote,) = self.quotes([found.symbol])
        self._check_order(request, found, quote.last)
        balance = self._balance()
        conversions.check_covered(request, balance)
        offered = self._offered(request)
        worth = offered.units * quote.last
        return Preview(
            price=quote.last,
            notional=worth,
            fee=offered.fee,
            cash_effect=(-worth if request.side is Side.BUY else worth) - offered.fee,
            buying_power=self._free(balance, found),
            buying_power_currency=found.currency,
            quote=quote,
            notes=(
                "Coinbase converts this one for one and names its fee in a quote. It is asked for a new quote when the "
                "order is sent: at any other rate nothing is converted.",
            ),
        )

    def _offered(self, request: OrderRequest) -> conversions.Conversion:
        """Raises InvalidOrder, NotSupported where Coinbase offers something else than was asked for."""
        answer = self._client.read("v3_private_post_brokerage_convert_quote", conversions.quote_body(request))
        offered = conversions.read(answer, request)
        conversions.check_offer(answer, request, offered)
        return offered

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        if conversions.pair_of(request.symbol) and self._is_converted(request.symbol):
            raise NotSupported("A conversion is sent by its quote: ask for one first.")
        return super().submit(account_id, request)

    def firm_quote(self, account_id: str, request: OrderRequest, *, most_fee: Decimal | None = None) -> str:
        try:
            self._check(account_id)
            found = self._instrument(request.symbol)
            if not self._is_converted(found.symbol):
                return ""
            self._check_order(request, found)
            offered = self._offered(request)
            conversions.check_fee(request, offered, most_fee)
            return offered.trade_id
        except Rejected:
            raise
        except BrokerError as error:
            raise BrokerUnavailable(f"{error} Nothing was sent.") from None

    def commit(self, account_id: str, request: OrderRequest, quote_id: str) -> BrokerOrder:
        found = conversions.INSTRUMENTS[request.symbol]
        body = {"trade_id": quote_id, **conversions.accounts(request)}
        answer = self._client.write(Priority.CREATE, "v3_private_post_brokerage_convert_trade_trade_id", body)
        if (refused := self.VENUE.codes.refusal(answer)) is not None:
            raise refused
        try:
            done = conversions.read(answer, request)
        except BrokerUnavailable:
            done = None
        if done is None or done.status is None or done.trade_id != quote_id:
            raise UnknownOutcome("Coinbase did not say what became of the conversion. It may have been made.")
        return conversions.order(done, request, found)

    def order_of_quote(self, account_id: str, request: OrderRequest, quote_id: str) -> BrokerOrder | None:
        if not self._is_converted(request.symbol):
            made = self.order(account_id, request.client_order_id, symbol=request.symbol)
            if made is not None or request.symbol not in conversions.INSTRUMENTS:
                return made
            # It may have been converted before there was a market for it.
        self._check(account_id)
        asked = {"trade_id": quote_id, **conversions.accounts(request)}
        try:
            answer = self._client.read("v3_private_get_brokerage_convert_trade_trade_id", asked)
        except OrderNotFound:
            return None
        found = conversions.read(answer, request)
        if found.trade_id != quote_id:
            raise BrokerUnavailable("Coinbase answered with another conversion than the one asked for.")
        instrument = conversions.INSTRUMENTS[request.symbol]
        return None if found.status is None else conversions.order(found, request, instrument)

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        if symbol and self._is_converted(symbol):
            return None  # its quote's id was never kept, so no quote was committed
        return super().order(account_id, client_order_id, symbol=symbol)

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        if symbol and self._is_converted(symbol):
            raise NotCancellable("A conversion that Coinbase has taken cannot be cancelled.")
        return super().cancel(account_id, client_order_id, symbol=symbol)

    def _create(self, request: OrderRequest, market: crypto_parse.Answer) -> tuple[str, Any]:
        return "v3_private_post_brokerage_orders", parse.order_body(request, market["id"])

    def _created(self, answer: Any, request: OrderRequest) -> str:
        return parse.created(answer, request.client_order_id)

    def _find(self, client_order_id: str, symbol: str) -> crypto_parse.Answer | None:
        """An exit through its order: the two exits of an order are one order there, and so are those of a pair."""
        exit_of = leg_ids.parent(client_order_id)
        whole = self._find_whole(client_order_id if exit_of is None else exit_of[0], symbol)
        if whole is None or whole["terms"] is None:
            return None if whole is None else {**whole, "clientOrderId": client_order_id}
        mine = {each["clientOrderId"]: each for each in self._parts(whole)}
        return mine.get(client_order_id)

    def _parts(self, whole: crypto_parse.Answer) -> list[crypto_parse.Answer]:
        """An order and its exits, each by our id."""
        row, ours = whole["info"], str(whole["clientOrderId"])
        if not leg_ids.is_ours(ours):
            return [whole]
        first, second = (leg_ids.of_exit(ours, place) for place in (0, 1))
        if parse.is_pair(row):
            return self._halves(whole, {ours: "", first: ours})
        if not parse.has_exits(row):
            return [whole]
        if placed := str(row.get("attached_order_id") or ""):
            exits = self._read(placed)
            if exits is not None and exits["terms"] is not None:
                return [whole, *self._halves(exits, {first: ours, second: ours})]
            # They are there: that they cannot be read now must not pass for exits that never came.
            unread = {"id": placed, "symbol": whole["symbol"], "terms": None}
            return [whole, *({**unread, "clientOrderId": each} for each in (first, second))]
        now = datetime.now(UTC)
        return [whole, *(parse.planned_half(whole, half, name, now) for half, name in enumerate((first, second)))]

    def _halves(self, pair: crypto_parse.Answer, names: Mapping[str, str]) -> list[crypto_parse.Answer]:
        """The target and the stop in an order; ``names`` are our ids of them and of what each belongs to."""
        both, row, pairs = list(names), pair["info"], self._client.memory.pairs
        if len(pairs) >= _PAIRS_KEPT:
            pairs.clear()
        pairs[str(pair["id"])] = (both, row)
        trades = self._trades_of(pair) if parse.is_triggered(row) and pair.get("filled") else []
        return [parse.half_of(pair, half, ours, names[ours], trades) for half, ours in enumerate(both)]

    def _read(self, order_id: str) -> crypto_parse.Answer | None:
        try:
            answer = self._client.read("v3_private_get_brokerage_orders_historical_order_id", {"order_id": order_id})
        except OrderNotFound:
            return None
        row = answer.get("order") if isinstance(answer, dict) else None
        return self._answer(row) if isinstance(row, dict) else None

    def _find_whole(self, client_order_id: str, symbol: str) -> crypto_parse.Answer | None:
        """By its own id where this process knows it, else through the list: there is no look-up by ours."""
        if (known := self._client.broker_id(client_order_id)) is not None:
            found = self._read(known)
            if found is not None:
                return found
        product = {"product_ids": [self._require(symbol)["id"]]} if symbol else {}
        for found in self._rows(product):
            if found.get("clientOrderId") == client_order_id:
                return found
        return None

    def _cancel(self, found: crypto_parse.Answer) -> tuple[str, Any]:
        if "half" in found and not found["id"]:
            raise NotSupported(
                "Coinbase places this exit when its order has filled: to end it before, cancel the order."
            )
        is_pair = found["terms"].order_class is OrderClass.OCO
        if found.get("half") == parse.TARGET and not is_pair:
            # It would end the stop too, and leave the position without it.
            raise NotSupported("Coinbase keeps both exits in one order: cancel the stop, which ends both.")
        return "v3_private_post_brokerage_orders_batch_cancel", {"order_ids": [found["id"]]}

    def _wanted(self, found: crypto_parse.Answer, before: BrokerOrder, changes: OrderChanges) -> OrderRequest:
        if before.order_class is not OrderClass.SIMPLE:
            raise NotSupported("Coinbase changes no order with exits, nor an exit: cancel this one and send another.")
        return super()._wanted(found, before, changes)

    def _amend(self, found: crypto_parse.Answer, wanted: OrderRequest, changes: OrderChanges) -> tuple[str, Any]:
        if wanted.order_type is not OrderType.LIMIT:
            raise NotSupported("Coinbase can change only limit orders: cancel this one and send another.")
        return "v3_private_post_brokerage_orders_edit", parse.edit_body(wanted, str(found["id"]))

    def _amended(self, answer: Any, found: crypto_parse.Answer, wanted: OrderRequest) -> bool:
        return isinstance(answer, dict) and answer.get("success") is True and "success_response" not in answer

    def _listed(self, *, open_only: bool, since: datetime | None, limit: int) -> list[crypto_parse.Answer]:
        found: list[crypto_parse.Answer] = []
        for answer in self._rows({"order_status": ["OPEN"]} if open_only else {}):
            at = crypto_parse.moment(answer.get("timestamp"))
            if len(found) >= limit or (since and at and at < since):
                break
            found += self._with_parts(answer)
        return found

    def _with_parts(self, answer: crypto_parse.Answer) -> list[crypto_parse.Answer]:
        """Of one row of a list: an order with the exits that it has yet to place, and exits by our ids."""
        if answer["terms"] is None:
            return [answer]
        row = answer["info"]
        if not (whole_id := parse.originating(row)):
            if row.get("attached_order_id"):
                return [answer]  # they have a row of their own
            return [each for each in self._parts(answer) if each.get("id") or each["status"] == "open"]
        whole = self._client.memory.client_ids.get(whole_id)
        if whole is None:
            read = self._read(whole_id)
            whole = str(read["clientOrderId"]) if read is not None else ""
            self._client.remember(whole_id, whole)
        if not leg_ids.is_ours(whole):
            return [answer]
        return self._halves(answer, {leg_ids.of_exit(whole, place): whole for place in (0, 1)})

    def _rows(self, params: dict[str, Any]) -> Iterator[crypto_parse.Answer]:
        """Newest first, to the end. Raises BrokerUnavailable when there are more than we read."""
        cursor: dict[str, Any] = {}
        for _ in range(PAGES):
            answer = self._client.read(
                "v3_private_get_brokerage_orders_historical_batch", {"limit": _MOST, **params, **cursor}
            )
            rows = answer.get("orders") if isinstance(answer, dict) else None
            if not isinstance(rows, list):
                raise BrokerUnavailable("Coinbase sent a list of orders that could not be read.")
            yield from self._answers(rows)
            if answer.get("has_next") is not True or not answer.get("cursor"):
                return
            cursor = {"cursor": answer["cursor"]}
        raise BrokerUnavailable("Coinbase has more orders than could be read at once.")

    def _answer(self, row: Mapping[str, Any]) -> crypto_parse.Answer:
        found = dict(super()._answer(row))
        # Both are "canceled" to ccxt.
        if ended := {"EXPIRED": "expired", "FAILED": "rejected"}.get(str(row.get("status"))):
            found["status"] = ended
        return {**found, "lastUpdateTimestamp": parse.last_change(row)}

    def _terms(self, row: Mapping[str, Any]) -> crypto_parse.VenueTerms:
        return parse.terms(row)

    def _cancel_refused(self, answer: Any, found: crypto_parse.Answer) -> BrokerError | None:
        return parse.cancel_refusal(answer, str(found["id"])) or super()._cancel_refused(answer, found)

    def _balance(self) -> crypto_parse.Answer:
        told = self._client.read("fetch_balance")["info"]
        return parse.balances(told.get("accounts"), self._client.exchange.safe_currency_code)

    def _trades(self, symbol: str | None, since: int | None, params: dict[str, Any]) -> list[crypto_parse.Answer]:
        asked: dict[str, Any] = {} if symbol is None else {"product_ids": [self._require(symbol)["id"]]}
        iso = self._client.exchange.iso8601
        if since is not None:
            asked["start_sequence_timestamp"] = iso(since)
        if "until" in params:
            asked["end_sequence_timestamp"] = iso(params["until"])
        return self._fills({**asked, "limit": PAGE})

    def _trades_of(self, answer: crypto_parse.Answer) -> list[crypto_parse.Answer]:
        found = [each for each in self._fills({"order_ids": [answer["id"]], "limit": _MOST}) if not each["void"]]
        half = answer.get("half")
        return found if half is None else [each for each in found if parse.is_of_half(each, answer["info"], half)]

    def _fills(self, asked: dict[str, Any]) -> list[crypto_parse.Answer]:
        told = self._client.read("v3_private_get_brokerage_orders_historical_fills", asked)
        rows = told.get("fills") if isinstance(told, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise BrokerUnavailable("Coinbase sent a list of fills that could not be read.")
        return parse.trades(rows, self._name_and_lot)

    def _told_fill(self, trade: crypto_parse.Answer) -> tuple[datetime, str, Fill | None]:
        at = crypto_parse.moment(trade["timestamp"])
        return (at, str(trade["id"]), None) if trade["void"] and at is not None else super()._told_fill(trade)

    def _order(self, answer: crypto_parse.Answer, *, with_fills: bool = False) -> BrokerOrder:
        made = super()._order(answer, with_fills=with_fills)
        if "half" in answer and parse.is_pair(answer["info"]):
            # Coinbase has one order for two ids of ours: it is known by the first.
            self._client.remember(made.broker_order_id, made.parent_client_order_id or made.client_order_id)
        return made

    def _fill(self, trade: crypto_parse.Answer) -> Fill:
        made = super()._fill(trade)
        if (pair := self._client.memory.pairs.get(str(trade.get("order")))) is None:
            return made
        names, row = pair
        half = parse.TARGET if parse.is_of_half(trade, row, parse.TARGET) else parse.STOP
        return replace(made, client_order_id=names[half])

    def _name_and_lot(self, product: Any) -> tuple[str, Decimal]:
        symbol = str(self._client.exchange.safe_symbol(product, None, "-"))
        market = self._market(symbol)
        lot = crypto_parse.positive(market["precision"]["amount"]) if market is not None else None
        return symbol, lot or _SMALLEST

    def _read_fee_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        tier = self._client.read("v3_private_get_brokerage_transaction_summary").get("fee_tier") or {}
        return crypto_parse.number_or_zero(tier.get("maker_fee_rate")), crypto_parse.number_or_zero(
            tier.get("taker_fee_rate")
        )

    def transfers(
        self, account_id: str, *, start: datetime | None = None, end: datetime | None = None, limit: int
    ) -> list[Transfer]:
        """Of the 20 wallets used last: Coinbase lists what moved wallet by wallet."""
        self._check(account_id)
        used = [each for each in self._wallets() if each.get("updated_at") != each.get("created_at")]
        newest = sorted(used, key=lambda each: str(each.get("updated_at") or ""), reverse=True)[:_WALLETS]
        found: list[Transfer] = []
        for wallet in newest:
            found += self._moved(str(wallet["id"]), start, end, limit)
        return sorted(found, key=lambda each: (each.at, each.transfer_id), reverse=True)[: max(limit, 0)]

    def _moved(self, wallet_id: str, start: datetime | None, end: datetime | None, limit: int) -> list[Transfer]:
        """Newest first, as far back as it takes."""
        found: list[Transfer] = []
        asked = {"account_id": wallet_id, "limit": PAGE, "order": "desc"}
        for row in self._pages("v2_private_get_accounts_account_id_transactions", asked):
            try:
                each = parse.transfer(row)
            except crypto_parse.UNREADABLE:
                unknown_word_counts.note(self.VENUE.title, "unreadable transfer")
                continue
            if each is None or (end and each.at >= end):
                continue
            if (start and each.at < start) or len(found) >= limit:
                break
            found.append(each)
        return found

    def deposit_addresses(self, account_id: str, asset: str) -> list[DepositAddress]:
        self._check(account_id)
        wanted = asset.strip().upper()
        wallets = [each for each in self._wallets() if parse.currency(each) == wanted]
        if not wallets:
            raise InvalidSymbol(f"There is no wallet for {asset!r} at Coinbase.")
        name = "v2_private_get_accounts_account_id_addresses"
        return [
            parse.deposit_address(row, wanted)
            for wallet in wallets
            for row in self._pages(name, {"account_id": str(wallet["id"]), "limit": PAGE})
        ]

    def _wallets(self) -> list[dict[str, Any]]:
        return [each for each in self._pages("v2_private_get_accounts", {"limit": PAGE}) if each.get("id")]

    def _pages(self, name: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Of the wallet interface (v2), to the end. Raises BrokerUnavailable when there is more than we read."""
        after: dict[str, str] = {}
        for _ in range(PAGES):
            answer = self._client.read(name, {**params, **after})
            rows = answer.get("data") if isinstance(answer, dict) else None
            if not isinstance(rows, list):
                raise BrokerUnavailable("Coinbase sent a list that could not be read.")
            yield from rows
            following = (answer.get("pagination") or {}).get("next_starting_after")
            if not following or not rows:
                return
            after = {"starting_after": str(following)}
        raise BrokerUnavailable("Coinbase has more entries than could be read at once. Request a shorter period.")
