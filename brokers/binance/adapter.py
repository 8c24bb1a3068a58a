"""Binance spot through ccxt. Paper is its testnet, another host with keys of its own."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.binance import order_lists, parse
from brokers.binance import stream as order_updates
from brokers.crypto import parse as crypto_parse
from brokers.crypto.adapter import PAGES, CryptoBroker, environment
from brokers.crypto.client import Venue
from brokers.decimals import plain
from brokers.errors import (
    BrokerUnavailable,
    InsufficientPosition,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    NotCancellable,
    NotSupported,
    OrderNotFound,
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
    Earn,
    Environment,
    Instrument,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Preview,
    TimeInForce,
    Transfer,
    Unchangeable,
)

_MOST = 1000
_EARN_ROWS = 100
_LISTS_KEPT = 1000
_WINDOW = timedelta(days=90)
_WINDOWS = 4
_WALLET = frozenset({Ability.TRANSFERS, Ability.DEPOSIT_ADDRESSES, Ability.EARN})


def _config(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {"options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}}


def _prepare(exchange: Any, settings: Mapping[str, Any]) -> None:
    if environment(settings) is Environment.PAPER:
        exchange.set_sandbox_mode(True)


class BinanceBroker(CryptoBroker):
    """Orders are found by symbol and our id together: without the symbol only while they are open."""

    VENUE = Venue(
        title="Binance",
        library_name="binance",
        codes=parse.CODES,
        per_second=15,
        credentials={"api_key": "apiKey", "secret": "secret"},
        config=_config,
        prepare=_prepare,
    )
    CAPABILITIES = Capabilities(
        abilities=USUAL - {Ability.SCREENING, Ability.TRANSACTIONS} | _WALLET,
        asset_classes=frozenset({AssetClass.CRYPTO}),
        order_types=frozenset(OrderType),
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
        pairs={
            OrderType.MARKET: frozenset({TimeInForce.GTC, TimeInForce.IOC}),
            **dict.fromkeys((OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAIL), frozenset({TimeInForce.GTC})),
        },
        not_found_after=120.0,
        order_classes=frozenset(OrderClass),
        replace=True,
        never_changes=frozenset({Unchangeable.TIME_IN_FORCE, Unchangeable.WITH_EXITS}),
        notional=True,
        post_only=True,
        order_stream=True,
    )
    CURRENCY = "USDT"
    NAMES = ("orderId", "clientOrderId", "symbol")
    REPLACED_BY_NEW = True

    def connect(self) -> ConnectionInfo:
        """Keys of the testnet work at its host alone, so the answer proves which this is."""
        proved = environment(self._settings)
        mine = self._client.read("private_get_account")
        if not isinstance(mine, dict) or not mine.get("uid"):
            raise BrokerUnavailable("Binance did not say whose key this is.")
        can_trade, can_withdraw = bool(mine.get("canTrade")), False
        if proved is Environment.LIVE:
            key = self._client.read("sapi_get_account_apirestrictions")
            can_trade = can_trade and key.get("enableSpotAndMarginTrading") is True
            # What it does not deny, it may do.
            can_withdraw = key.get("enableWithdrawals") is not False or key.get("enableInternalTransfer") is True
        account = Account(account_id=str(mine["uid"]), name="Binance spot", currency=self.CURRENCY, environment=proved)
        return ConnectionInfo(accounts=(account,), environment=proved, can_trade=can_trade, can_withdraw=can_withdraw)

    def order_stream(self) -> order_updates.BinanceStream:
        paper = environment(self._settings) is Environment.PAPER
        url = self._stream_url(order_updates.TESTNET if paper else order_updates.LIVE, order_updates.PATH)
        return order_updates.BinanceStream(url, self._settings, self._venue_time())

    def _create(self, request: OrderRequest, market: crypto_parse.Answer) -> tuple[str, Any]:
        if request.order_class is not OrderClass.SIMPLE:
            return order_lists.call(request, market["id"], market["info"])
        return "private_post_order", parse.order_body(request, market["id"])

    def _created(self, answer: Any, request: OrderRequest) -> str:
        if request.order_class is not OrderClass.SIMPLE:
            return order_lists.created(answer, request.client_order_id)
        return parse.created(answer, request.client_order_id)

    def _check_order(self, request: OrderRequest, found: Instrument, price: Decimal | None = None) -> None:
        super()._check_order(request, found, price)
        order_lists.check(request, self._require(found.symbol)["info"])

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        found = self._instrument(request.symbol)
        seen = super().preview(account_id, request)
        if order_lists.needs_coins(request, self._require(found.symbol)["info"]):
            free = crypto_parse.number_or_zero(self._balance().get(found.base, {}).get("free"))
            if request.units > free:
                raise InsufficientPosition(
                    f"In {found.symbol} Binance takes exits of a purchase only for coins that are there already, and "
                    f"{plain(free)} {found.base} are free. Buy first, then place the exits as an oco order.",
                    available=free,
                )
        return seen

    def _find(self, client_order_id: str, symbol: str) -> crypto_parse.Answer | None:
        if symbol:
            market = self._require(self._of_symbol(symbol).symbol)
            body = {"symbol": market["id"], "origClientOrderId": client_order_id}
            try:
                row = self._client.read("private_get_order", body)
            except OrderNotFound:
                return None
            except NotCancellable:
                return parse.archived(client_order_id, str(market["symbol"]))
            return self._answers_in_lists([row])[0]
        for answer in self._listed(open_only=True, since=None, limit=_MOST):
            if answer.get("clientOrderId") == client_order_id:
                return answer
        raise BrokerUnavailable("Binance finds an ended order only by symbol and id together.")

    def _cancel(self, found: crypto_parse.Answer) -> tuple[str, Any]:
        market = self._require(str(found["symbol"]))
        return "private_delete_order", {"symbol": market["id"], "orderId": found["id"]}

    def _amend(self, found: crypto_parse.Answer, wanted: OrderRequest, changes: OrderChanges) -> tuple[str, Any]:
        if crypto_parse.number_or_zero(found.get("filled")):
            raise InvalidOrder(
                "Binance replaces a changed order with a new one, which is safe only before the first fill.", "order_id"
            )
        market = self._require(str(found["symbol"]))
        return "private_post_order_cancelreplace", parse.replace_body(wanted, market["id"], str(found["id"]))

    def _amended(self, answer: Any, found: crypto_parse.Answer, wanted: OrderRequest) -> bool:
        return parse.replaced(answer, wanted.client_order_id)

    def _listed(self, *, open_only: bool, since: datetime | None, limit: int) -> list[crypto_parse.Answer]:
        if not open_only:
            raise NotSupported("Binance lists orders that have ended for one symbol at a time only.")
        rows = self._client.read("private_get_openorders")
        if not isinstance(rows, list):
            raise BrokerUnavailable("Binance sent a list of orders that could not be read.")
        return self._answers_in_lists(rows)

    def _terms(self, row: Mapping[str, Any]) -> crypto_parse.VenueTerms:
        return parse.terms(row, self._lists.get(order_lists.id_of(row)))

    @property
    def _lists(self) -> OrderedDict[str, Mapping[str, Any]]:
        """By number. What a list is made of never changes, so each is asked for once."""
        known: OrderedDict[str, Mapping[str, Any]] = self._client.memory.traits.setdefault("lists", OrderedDict())
        return known

    def _answers_in_lists(self, rows: Sequence[Any]) -> list[crypto_parse.Answer]:
        """With the lists they belong to read before: a list that cannot be had must not pass for an odd order."""
        numbers = {order_lists.id_of(row) for row in rows if isinstance(row, dict)} - {""}
        missing = numbers - set(self._lists)
        told: Any = []
        if len(missing) == 1:
            told = [self._client.read("private_get_orderlist", {"orderListId": missing.pop()})]
        elif missing:
            told = self._client.read("private_get_openorderlist")
        for each in told if isinstance(told, list) else []:
            if isinstance(each, dict) and "orderListId" in each:
                self._lists[order_lists.id_of(each)] = each
        while len(self._lists) > _LISTS_KEPT:
            self._lists.popitem(last=False)
        return self._answers(rows)

    def _wanted(self, found: crypto_parse.Answer, before: BrokerOrder, changes: OrderChanges) -> OrderRequest:
        if before.order_class is not OrderClass.SIMPLE:
            raise NotSupported(
                "Binance ends all orders of a list with one of them, and changes none. Cancel it and send another."
            )
        return super()._wanted(found, before, changes)

    def _balance(self) -> crypto_parse.Answer:
        mine, exchange = self._client.read("private_get_account"), self._client.exchange
        rows = mine.get("balances") if isinstance(mine, dict) else None
        return parse.balances(rows, exchange.safe_currency_code, exchange.currencies)

    def _trades(self, symbol: str | None, since: int | None, params: dict[str, Any]) -> list[crypto_parse.Answer]:
        """The newest 1,000 of one symbol."""
        if symbol is None:
            raise InvalidRequest("Binance lists fills for one symbol at a time. Name it.", "symbol")
        found: list[crypto_parse.Answer] = self._client.read("fetch_my_trades", symbol, None, _MOST)
        return found

    def _trades_of(self, answer: crypto_parse.Answer) -> list[crypto_parse.Answer]:
        found: list[crypto_parse.Answer] = self._client.read(
            "fetch_my_trades", answer["symbol"], None, _MOST, {"orderId": answer["id"]}
        )
        return found

    def _read_fee_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Standard, tax and special parts together, as they are charged."""
        told = self._client.read("private_get_account_commission", {"symbol": self._require(symbol)["id"]})
        parts = [told.get(name) or {} for name in ("standardCommission", "taxCommission", "specialCommission")]
        maker, taker = (
            sum((crypto_parse.number_or_zero(each.get(name)) for each in parts), Decimal(0))
            for name in ("maker", "taker")
        )
        return maker, taker

    @property
    def capabilities(self) -> Capabilities:
        """The testnet has no wallet."""
        if environment(self._settings) is Environment.LIVE:
            return self.CAPABILITIES
        return replace(self.CAPABILITIES, abilities=self.CAPABILITIES.abilities - _WALLET)

    def transfers(
        self, account_id: str, *, start: datetime | None = None, end: datetime | None = None, limit: int
    ) -> list[Transfer]:
        """Of the last 90 days, or of up to 360 where ``start`` says so: Binance lists 90 days at a time."""
        self._check_wallet(account_id)
        newest = end or datetime.now(UTC)
        oldest = start or newest - _WINDOW
        if newest - oldest > _WINDOW * _WINDOWS:
            raise InvalidRequest("Binance lists transfers of 360 days at most. Give a later start.", "start")
        found = {
            (each.kind, each.transfer_id): each
            for kind, name in parse.TRANSFERS.items()
            for each in self._moved(kind, name, oldest, newest, limit)
            if oldest <= each.at < newest
        }
        return sorted(found.values(), key=lambda each: (each.at, each.transfer_id), reverse=True)[: max(limit, 0)]

    def _moved(self, kind: str, name: str, oldest: datetime, newest: datetime, limit: int) -> Iterator[Transfer]:
        """Window by window, newest first, until there are enough; a full page is read on from where it ends."""
        until, count = newest, 0
        for _ in range(PAGES):
            since = max(oldest, until - _WINDOW)
            span = {
                "startTime": crypto_parse.milliseconds(since),
                "endTime": crypto_parse.milliseconds(until),
                "limit": _MOST,
            }
            rows = self._client.read(name, span)
            if not isinstance(rows, list):
                raise BrokerUnavailable("Binance sent a list of transfers that could not be read.")
            page = crypto_parse.readable(
                rows,
                lambda row: crypto_parse.transfer(self._client.exchange.parse_transaction({**row, "type": kind})),
                self.VENUE.title,
                kind,
            )
            yield from page
            count += len(page)
            until = min(each.at for each in page) if page and page.rows >= _MOST else since
            if until <= oldest or count >= limit:
                return

    def deposit_addresses(self, account_id: str, asset: str) -> list[DepositAddress]:
        """On the coin's usual network, which is named."""
        self._check_wallet(account_id)
        wanted = asset.strip().upper()
        coins = self._client.read("sapi_get_capital_config_getall")
        network = parse.usual_network(coins, wanted)
        if not network:
            raise InvalidSymbol(f"Binance does not accept deposits of {asset!r}.")
        rows = self._client.read("sapi_get_capital_deposit_address_list", {"coin": wanted, "network": network})
        return [parse.deposit_address(row, network) for row in _rows(rows)]

    def earn(self, account_id: str, asset: str = "") -> Earn:
        """Simple Earn, flexible and locked: the first 100 offers of each, so name an asset where it matters."""
        self._check_wallet(account_id)
        asked: dict[str, Any] = {"size": _EARN_ROWS, **({"asset": asset.strip().upper()} if asset else {})}
        told = [self._client.read(f"sapi_get_simple_earn_{name}", asked) for name in parse.EARN]
        flexible, locked, held_flexible, held_locked = (_rows(each) for each in told)
        more = any(int(crypto_parse.number_or_zero(each.get("total"))) > _EARN_ROWS for each in told)
        return Earn(
            offers=(*map(parse.flexible, flexible), *map(parse.locked, locked)),
            holdings=(*map(parse.flexible_holding, held_flexible), *map(parse.locked_holding, held_locked)),
            note="There are more than the first 100 of a kind: name an asset to see only its own." if more else "",
        )

    def _check_wallet(self, account_id: str) -> None:
        self._check(account_id)
        if environment(self._settings) is not Environment.LIVE:
            raise NotSupported("Binance's testnet has no wallet: no deposits, no addresses and no earn products.")


def _rows(answer: Any) -> list[dict[str, Any]]:
    rows = answer.get("rows") if isinstance(answer, dict) else answer
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BrokerUnavailable("Binance sent a list that could not be read.")
    return rows
