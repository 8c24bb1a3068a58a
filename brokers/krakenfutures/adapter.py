"""Kraken Futures through ccxt: perpetuals and dated futures settled in dollars. Paper is its demo, another host.

A key belongs to one of the two hosts, so which one took it proves the environment. Calls carry no nonce: Kraken asks
for none, and an order that arrives twice is refused by its own id.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.crypto import parse as crypto_parse
from brokers.crypto import unknown_word_counts
from brokers.crypto.adapter import PAGES, CryptoBroker, environment
from brokers.crypto.client import Venue
from brokers.decimals import plain
from brokers.errors import BrokerError, BrokerUnavailable, InvalidOrder, NotSupported, Rejected
from brokers.krakenfutures import parse
from brokers.types import (
    USUAL,
    Ability,
    Account,
    AccountState,
    AssetClass,
    BrokerOrder,
    BrokerStatus,
    Capabilities,
    ConnectionInfo,
    Environment,
    FeeRule,
    FundingRate,
    Instrument,
    OrderRequest,
    OrderType,
    Position,
    TimeInForce,
)

ACCOUNT = "futures"
_ROWS = 100
_LOG_ROWS = 500
_HISTORY = timedelta(days=7)


def _config(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _prepare(exchange: Any, settings: Mapping[str, Any]) -> None:
    if environment(settings) is Environment.PAPER:
        exchange.set_sandbox_mode(True)


class KrakenFuturesBroker(CryptoBroker):
    """Multi-collateral contracts. Those that settle in a coin are not offered."""

    VENUE = Venue(
        title="Kraken Futures",
        library_name="krakenfutures",
        codes=parse.CODES,
        per_second=3,
        burst=10,
        credentials={"api_key": "apiKey", "secret": "secret"},
        config=_config,
        prepare=_prepare,
        follows_clock=False,
    )
    CAPABILITIES = Capabilities(
        abilities=USUAL - {Ability.SCREENING, Ability.FEES, Ability.EXCHANGE_RATES}
        | {Ability.FUTURES, Ability.FUNDING_RATES},
        asset_classes=frozenset({AssetClass.PERPETUAL, AssetClass.FUTURE}),
        order_types=frozenset(OrderType),
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
        pairs=dict.fromkeys((OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAIL), frozenset({TimeInForce.GTC})),
        not_found_after=120.0,
        short=True,
        reduce_only=True,
        post_only=True,
    )
    CURRENCY = "USD"

    def connect(self) -> ConnectionInfo:
        proved = environment(self._settings)
        self._wallet()
        account = Account(account_id=ACCOUNT, name="Kraken Futures", currency=self.CURRENCY, environment=proved)
        return ConnectionInfo(
            accounts=(account,),
            environment=proved,
            can_trade=None,
            can_withdraw=None,
            note="Kraken does not report what a key can do: check there that its withdrawal access is off.",
        )

    def account_state(self, account_id: str) -> AccountState:
        account = self._check(account_id)
        cash, wallet = parse.cash(self._wallet(), self._client.exchange.safe_currency_code)
        return AccountState(
            account_id=account_id,
            currency=account.currency,
            cash=cash,
            positions_value=crypto_parse.number_or_zero(wallet.get("totalUnrealized")),
            equity=crypto_parse.number_or_zero(wallet.get("portfolioValue")),
            buying_power=crypto_parse.number_or_zero(wallet.get("availableMargin")),
            as_of=datetime.now(UTC),
            initial_margin=crypto_parse.number(wallet.get("initialMargin")),
            maintenance_margin=crypto_parse.number(wallet.get("maintenanceMargin")),
        )

    def positions(self, account_id: str) -> list[Position]:
        self._check(account_id)
        return self._contracts()

    def _held(self) -> list[crypto_parse.Answer]:
        """Its documents show contracts in small letters too."""
        rows = _rows(self._client.read("private_get_openpositions"), "openPositions")
        parse_position = self._client.exchange.parse_position
        return [parse_position({**row, "symbol": self._market_id(row.get("symbol"))}) for row in rows]

    def fees(self, account_id: str) -> list[FeeRule]:
        raise NotSupported("Kraken Futures does not report fees here: they depend on the account's 30-day volume.")

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        """An order for what fills at once, where nothing did, has ended and was not refused."""
        try:
            return super().submit(account_id, request)
        except Rejected as error:
            if request.tif is not TimeInForce.IOC or parse.NOTHING_FILLED not in str(error):
                raise
            now = datetime.now(UTC)
            return BrokerOrder(
                broker_order_id="",
                client_order_id=request.client_order_id,
                status=BrokerStatus.CANCELLED,
                filled_quantity=Decimal(0),
                average_price=None,
                fees=Decimal(0),
                updated_at=now,
                reason="Nothing filled immediately.",
                symbol=request.symbol,
                side=request.side,
                order_type=request.order_type,
                tif=request.tif,
                quantity=request.quantity,
                limit_price=request.limit_price,
                currency=self.CURRENCY,
                created_at=now,
            )

    def _check_order(self, request: OrderRequest, found: Instrument, price: Decimal | None = None) -> None:
        super()._check_order(request, found, price)
        nearest, farthest = parse.TRAIL_PERCENT
        if request.trail_percent is not None and not nearest <= request.trail_percent <= farthest:
            raise InvalidOrder(
                f"At Kraken Futures a stop trails by {plain(nearest)} to {plain(farthest)} percent.", "trail_percent"
            )

    def _create(self, request: OrderRequest, market: crypto_parse.Answer) -> tuple[str, Any]:
        return "private_post_sendorder", parse.order_body(request, market["id"])

    def _created(self, answer: Any, request: OrderRequest) -> str:
        return parse.created(answer, request.client_order_id)

    def _cancel_refused(self, answer: Any, found: crypto_parse.Answer) -> BrokerError | None:
        return parse.cancel_refusal(answer) or super()._cancel_refused(answer, found)

    def _cancel(self, found: crypto_parse.Answer) -> tuple[str, Any]:
        return "private_post_cancelorder", {"order_id": found["id"]}

    def _find(self, client_order_id: str, symbol: str) -> crypto_parse.Answer | None:
        """Open orders, then what became of the others within seven days, then what was made a moment ago: the history
        may lag, and an order that ends while we read moves to a list that is read later."""
        for answer in self._open():
            if answer["clientOrderId"] == client_order_id:
                return answer
        market = {"tradeable": self._require(symbol)["id"]} if symbol else {}
        for answer in self._ended(datetime.now(UTC) - _HISTORY, market, strictly=True):
            if answer["clientOrderId"] == client_order_id:
                return answer
        # Documented as a POST, which ccxt has no name for.
        told = self._client.read(
            "request", "orders/status", ["private"], "POST", {"cliOrdIds": parse.to_venue_id(client_order_id)}
        )
        for row in _rows(told, "orders"):
            answer = parse.just_made(row, self._symbol)
            if answer["clientOrderId"] == client_order_id:
                return answer
        return None

    def _listed(self, *, open_only: bool, since: datetime | None, limit: int) -> list[crypto_parse.Answer]:
        """Those that have ended within seven days, or since then where that is later."""
        found = {str(each["id"]): each for each in self._open()}
        if not open_only:
            start = max(since or datetime.min.replace(tzinfo=UTC), datetime.now(UTC) - _HISTORY)
            for answer in self._ended(start, {}):
                found.setdefault(str(answer["id"]), answer)
        newest = sorted(found.values(), key=lambda each: each.get("timestamp") or 0, reverse=True)
        return newest[: max(limit, 0)]

    def _open(self) -> list[crypto_parse.Answer]:
        rows = _rows(self._client.read("private_get_openorders"), "openOrders")
        return [self._answer(row) for row in rows]

    def _answer(self, row: Mapping[str, Any]) -> crypto_parse.Answer:
        try:
            return parse.open_order(row, self._symbol)
        except crypto_parse.UNREADABLE:
            unknown_word_counts.note(self.VENUE.title, "unreadable order")
            ours = parse.from_venue_id(row.get("cliOrdId"))
            return {"id": row.get("order_id"), "clientOrderId": ours, "symbol": row.get("symbol"), "terms": None}

    def _ended(
        self, since: datetime, params: dict[str, str], *, strictly: bool = False
    ) -> Iterator[crypto_parse.Answer]:
        """By the newest event of each order; stops that never became one have a list of their own. ``strictly`` raises
        BrokerUnavailable for an event that cannot be read: it may be of the very order that is looked for."""
        seen: set[str] = set()
        for name in ("history_get_orders", "history_get_triggers"):
            asked = {"since": str(crypto_parse.milliseconds(since)), "opened": "true", "closed": "true", **params}
            for row in self._events(name, asked):
                try:
                    answer = parse.event(row, self._symbol)
                except crypto_parse.UNREADABLE:
                    if strictly:
                        raise BrokerUnavailable("Kraken Futures sent an order that could not be read.") from None
                    unknown_word_counts.note(self.VENUE.title, "unreadable order event")
                    continue
                if answer is not None and answer["id"] not in seen:
                    seen.add(answer["id"])
                    yield answer

    def _events(self, name: str, params: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Newest first, to the end. Raises BrokerUnavailable when there are more than we read."""
        token: dict[str, str] = {}
        for _ in range(PAGES):
            answer = self._client.read(name, {"sort": "desc", "count": str(_ROWS), **params, **token})
            rows = _rows(answer, "elements")
            yield from rows
            if not rows or not answer.get("continuationToken"):
                return
            token = {"continuation_token": str(answer["continuationToken"])}
        raise BrokerUnavailable("Kraken Futures has more orders than could be read at once.")

    def _order(self, answer: crypto_parse.Answer, *, with_fills: bool = False) -> BrokerOrder:
        made = super()._order(answer, with_fills=with_fills)
        if made.fills:
            worth = sum((each.price * each.quantity for each in made.fills), Decimal(0))
            made = replace(made, average_price=worth / sum((each.quantity for each in made.fills), Decimal(0)))
        return made

    def _trades_of(self, answer: crypto_parse.Answer) -> list[crypto_parse.Answer]:
        wanted, found = crypto_parse.number_or_zero(answer["filled"]), list[crypto_parse.Answer]()
        since = {} if answer["timestamp"] is None else {"since": str(int(answer["timestamp"]) - 1)}
        market = self._require(str(answer["symbol"]))["id"]
        for row in self._events("history_get_executions", {"tradeable": market, **since}):
            trade = self._trade(row)
            if trade is not None and trade["order"] == answer["id"]:
                found.append(trade)
                if sum((crypto_parse.number_or_zero(each["amount"]) for each in found), Decimal(0)) >= wanted:
                    break
        return found[::-1]

    def _trades(self, symbol: str | None, since: int | None, params: dict[str, Any]) -> list[crypto_parse.Answer]:
        asked = {"sort": "desc", "count": str(_ROWS)}
        if symbol is not None:
            asked["tradeable"] = self._require(symbol)["id"]
        if since is not None:
            asked["since"] = str(since)
        if "until" in params:
            asked["before"] = str(params["until"] + 1)
        rows = _rows(self._client.read("history_get_executions", asked), "elements")
        return [trade for row in rows if (trade := self._trade(row)) is not None]

    def _ledger(self, since: int | None, params: dict[str, Any]) -> list[crypto_parse.Answer]:
        """A page of entries of money, at least: the log tells of each trade in its contract too."""
        asked = {"sort": "desc", "count": str(_LOG_ROWS), **({} if since is None else {"since": str(since)})}
        until, found = params.get("until"), list[crypto_parse.Answer]()
        for _ in range(PAGES):
            before = {} if until is None else {"before": str(until + 1)}
            rows = _rows(self._client.read("history_get_account_log", {**asked, **before}), "logs")
            entries = [parse.entry(row, self._client.exchange.safe_currency_code) for row in rows]
            found += [each for each in entries if each["is_money"]]
            if len(rows) < _LOG_ROWS or len(found) >= self.ROWS:
                return found
            until = min(each["timestamp"] for each in entries)
        raise BrokerUnavailable("Kraken Futures has more entries than could be read at once. Request a shorter period.")

    def _trade(self, row: dict[str, Any]) -> crypto_parse.Answer | None:
        trade = parse.execution(row, self._symbol, self.CURRENCY)
        if trade is not None:
            self._client.remember(str(trade["order"]), str(trade["clientOrderId"]))
        return trade

    def _symbol(self, market_id: Any) -> str:
        return str(self._client.exchange.safe_symbol(self._market_id(market_id)))

    def _market_id(self, told: Any) -> str:
        """As the list of instruments writes it: some have a small letter in them, and not every answer keeps it."""
        name, known = str(told or ""), self._client.exchange.markets_by_id
        if name in known or name.upper() in known:
            return name if name in known else name.upper()
        return next((each for each in known if each.upper() == name.upper()), name.upper())

    def _wallet(self) -> dict[str, Any]:
        """The multi-collateral account. Raises BrokerUnavailable where there is none."""
        answer = self._client.read("private_get_accounts")
        accounts = answer.get("accounts") if isinstance(answer, dict) else None
        wallet = accounts.get("flex") if isinstance(accounts, dict) else None
        if not isinstance(wallet, dict):
            raise BrokerUnavailable("Kraken Futures reported no multi-collateral account.")
        return wallet

    def _free(self, balance: crypto_parse.Answer, found: Instrument) -> Decimal:
        """Any collateral serves for any contract."""
        return crypto_parse.number_or_zero(balance["info"]["accounts"]["flex"].get("availableMargin"))

    def _read_fee_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Of the first tier, for estimates: nobody pays more."""
        market = self._require(symbol)
        return crypto_parse.number_or_zero(market["maker"]), crypto_parse.number_or_zero(market["taker"])

    def _funding_rate(self, found: Instrument, market: crypto_parse.Answer, limit: int) -> FundingRate:
        ticker = self._public("public_get_tickers_symbol", {"symbol": market["id"]})
        paid = _rows(self._public("public_get_historicalfundingrates", {"symbol": market["id"]}), "rates")
        return parse.funding_rate(found, ticker.get("ticker") or {}, paid[-limit:], datetime.now(UTC))


def _rows(answer: Any, inside: str) -> list[dict[str, Any]]:
    rows = answer.get(inside) if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BrokerUnavailable("Kraken Futures sent a list that could not be read.")
    return rows
