"""Coinbase Advanced Trade spot through ccxt, with keys of the developer platform. It has no sandbox."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from brokers.coinbase import parse
from brokers.crypto import order_checks, unknown_word_counts
from brokers.crypto import parse as crypto_parse
from brokers.crypto.adapter import PAGE, PAGES, CryptoBroker, environment
from brokers.crypto.client import Venue
from brokers.errors import (
    AuthFailed,
    BrokerError,
    BrokerUnavailable,
    InvalidRequest,
    InvalidSymbol,
    NotSupported,
    OrderNotFound,
)
from brokers.types import (
    USUAL,
    Ability,
    Account,
    AssetClass,
    Capabilities,
    ConnectionInfo,
    DepositAddress,
    Environment,
    Fill,
    Instrument,
    OrderChanges,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
    Transfer,
)

_MOST = 250
_SMALLEST = Decimal("1E-18")
_WALLETS = 20


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
        not_found_after=300.0,
        replace=True,
        notional=True,
        post_only=True,
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

    def _check_order(self, request: OrderRequest, found: Instrument, price: Decimal | None = None) -> None:
        order_checks.check(request, found, self.CAPABILITIES, price)
        if request.order_type is OrderType.MARKET and request.side is Side.BUY and request.notional is None:
            raise NotSupported("Coinbase accepts market buys by amount, not by quantity. Give notional.")

    def _create(self, request: OrderRequest, market: crypto_parse.Answer) -> tuple[str, Any]:
        return "v3_private_post_brokerage_orders", parse.order_body(request, market["id"])

    def _created(self, answer: Any, request: OrderRequest) -> str:
        return parse.created(answer, request.client_order_id)

    def _find(self, client_order_id: str, symbol: str) -> crypto_parse.Answer | None:
        """By its own id where this process knows it, else through the list: there is no look-up by ours."""
        if (known := self._client.broker_id(client_order_id)) is not None:
            try:
                answer = self._client.read("v3_private_get_brokerage_orders_historical_order_id", {"order_id": known})
            except OrderNotFound:
                answer = {}
            if isinstance(row := answer.get("order"), dict):
                return self._answer(row)
        product = {"product_ids": [self._require(symbol)["id"]]} if symbol else {}
        for found in self._rows(product):
            if found.get("clientOrderId") == client_order_id:
                return found
        return None

    def _cancel(self, found: crypto_parse.Answer) -> tuple[str, Any]:
        return "v3_private_post_brokerage_orders_batch_cancel", {"order_ids": [found["id"]]}

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
            found.append(answer)
        return found

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
        return [each for each in self._fills({"order_ids": [answer["id"]], "limit": _MOST}) if not each["void"]]

    def _fills(self, asked: dict[str, Any]) -> list[crypto_parse.Answer]:
        told = self._client.read("v3_private_get_brokerage_orders_historical_fills", asked)
        rows = told.get("fills") if isinstance(told, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise BrokerUnavailable("Coinbase sent a list of fills that could not be read.")
        return parse.trades(rows, self._name_and_lot)

    def _told_fill(self, trade: crypto_parse.Answer) -> tuple[datetime, str, Fill | None]:
        at = crypto_parse.moment(trade["timestamp"])
        return (at, str(trade["id"]), None) if trade["void"] and at is not None else super()._told_fill(trade)

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
