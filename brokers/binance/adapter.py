"""Binance spot through ccxt. Paper is its testnet, another host with keys of its own."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.binance import parse
from brokers.crypto import words
from brokers.crypto.adapter import CryptoBroker, environment
from brokers.crypto.client import Venue
from brokers.errors import BrokerUnavailable, InvalidOrder, InvalidRequest, NotSupported, OrderNotFound
from brokers.types import (
    Ability,
    Account,
    AssetClass,
    Capabilities,
    ConnectionInfo,
    Environment,
    OrderChanges,
    OrderRequest,
    OrderType,
    TimeInForce,
)

_MOST = 1000


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
        abilities=frozenset(Ability) - {Ability.SCREENING, Ability.TRANSACTIONS},
        asset_classes=frozenset({AssetClass.CRYPTO}),
        order_types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT}),
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
        pairs={
            OrderType.MARKET: frozenset({TimeInForce.GTC, TimeInForce.IOC}),
            OrderType.STOP_LIMIT: frozenset({TimeInForce.GTC}),
        },
        not_found_after=120.0,
        replace=True,
        notional=True,
        post_only=True,
    )
    CURRENCY = "USDT"
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

    def _create(self, request: OrderRequest, market: words.Answer) -> tuple[str, Any]:
        return "private_post_order", parse.order_body(request, market["id"])

    def _created(self, answer: Any, request: OrderRequest) -> str:
        return parse.created(answer, request.client_order_id)

    def _find(self, client_order_id: str, symbol: str) -> words.Answer | None:
        if symbol:
            market = self._require(self._of_symbol(symbol).symbol)
            body = {"symbol": market["id"], "origClientOrderId": client_order_id}
            try:
                row = self._client.read("private_get_order", body)
            except OrderNotFound:
                return None
            found: words.Answer = self._client.exchange.parse_order(row)
            return found
        for answer in self._listed(open_only=True, since=None, limit=_MOST):
            if answer.get("clientOrderId") == client_order_id:
                return answer
        raise BrokerUnavailable("Binance finds an order that has ended by its symbol and id together.")

    def _cancel(self, found: words.Answer) -> tuple[str, Any]:
        market = self._require(str(found["symbol"]))
        return "private_delete_order", {"symbol": market["id"], "orderId": found["id"]}

    def _amend(self, found: words.Answer, wanted: OrderRequest, changes: OrderChanges) -> tuple[str, Any]:
        if words.known(found.get("filled")):
            raise InvalidOrder(
                "Binance makes a new order of a changed one, which is safe only before the first fill.", "order_id"
            )
        market = self._require(str(found["symbol"]))
        return "private_post_order_cancelreplace", parse.replace_body(wanted, market["id"], str(found["id"]))

    def _amended(self, answer: Any, found: words.Answer, wanted: OrderRequest) -> bool:
        return parse.replaced(answer, wanted.client_order_id)

    def _listed(self, *, open_only: bool, since: datetime | None, limit: int) -> list[words.Answer]:
        if not open_only:
            raise NotSupported("Binance lists orders that have ended for one symbol at a time only.")
        rows = self._client.read("private_get_openorders")
        return [self._client.exchange.parse_order(row) for row in rows]

    def _trades(self, symbol: str | None, since: int | None, params: dict[str, Any]) -> list[words.Answer]:
        """The newest 1,000 of one symbol."""
        if symbol is None:
            raise InvalidRequest("Binance lists fills for one symbol at a time. Name it.", "symbol")
        found: list[words.Answer] = self._client.read("fetch_my_trades", symbol, None, _MOST)
        return found

    def _trades_of(self, answer: words.Answer) -> list[words.Answer]:
        found: list[words.Answer] = self._client.read(
            "fetch_my_trades", answer["symbol"], None, _MOST, {"orderId": answer["id"]}
        )
        return found

    def _read_fee_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Standard, tax and special parts together, as they are charged."""
        told = self._client.read("private_get_account_commission", {"symbol": self._require(symbol)["id"]})
        parts = [told.get(name) or {} for name in ("standardCommission", "taxCommission", "specialCommission")]
        maker, taker = (sum((words.known(each.get(name)) for each in parts), Decimal(0)) for name in ("maker", "taker"))
        return maker, taker
