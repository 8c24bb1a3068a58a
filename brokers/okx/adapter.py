"""OKX through ccxt: spot, and contracts settled in a stablecoin. Demo trading is the same host with a header."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from brokers.crypto import parse as crypto_parse
from brokers.crypto.adapter import PAGE, PAGES, CryptoBroker, environment
from brokers.crypto.client import Venue
from brokers.decimals import plain
from brokers.errors import BrokerUnavailable, InvalidOrder, InvalidSymbol, NotSupported, OrderNotFound
from brokers.okx import parse
from brokers.types import (
    USUAL,
    Ability,
    Account,
    AssetClass,
    Capabilities,
    ConnectionInfo,
    DepositAddress,
    Earn,
    Environment,
    FundingRate,
    Instrument,
    OrderChanges,
    OrderRequest,
    OrderType,
    TimeInForce,
    Transaction,
)

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
            Ability.FUTURES,
            Ability.FUNDING_RATES,
            Ability.TRANSFERS,
            Ability.DEPOSIT_ADDRESSES,
            Ability.EARN,
        },
        asset_classes=frozenset({AssetClass.CRYPTO, AssetClass.PERPETUAL, AssetClass.FUTURE}),
        order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}),
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
        pairs={OrderType.MARKET: frozenset({TimeInForce.GTC, TimeInForce.IOC})},
        not_found_after=120.0,
        replace=True,
        notional=True,
        short=True,
        reduce_only=True,
        post_only=True,
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
        self._client.memory.traits["hedged"] = row.get("posMode") == "long_short_mode"
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
        return "private_post_trade_order", parse.order_body(request, market["id"], contract=contract)

    def _created(self, answer: Any, request: OrderRequest) -> str:
        return parse.created(answer, request.client_order_id)

    def _find(self, client_order_id: str, symbol: str) -> crypto_parse.Answer | None:
        """With the symbol one call; without it every list it could be in: open orders, and seven days of others."""
        if symbol:
            market = self._require(self._of_symbol(symbol).symbol)
            try:
                told = self._client.read(
                    "private_get_trade_order", {"instId": market["id"], "clOrdId": client_order_id}
                )
            except OrderNotFound:
                return None
            rows = _data(told)
            if not rows:
                raise BrokerUnavailable("OKX sent an order that could not be read.")
            return self._answer(rows[0])
        for name, params in self._lists():
            for answer in self._rows(name, params):
                if answer.get("clientOrderId") == client_order_id:
                    return answer
        return None

    def _cancel(self, found: crypto_parse.Answer) -> tuple[str, Any]:
        market = self._require(str(found["symbol"]))
        return "private_post_trade_cancel_order", {"instId": market["id"], "ordId": found["id"]}

    def _amend(self, found: crypto_parse.Answer, wanted: OrderRequest, changes: OrderChanges) -> tuple[str, Any]:
        market = self._require(str(found["symbol"]))
        return "private_post_trade_amend_order", parse.amend_body(changes, market["id"], str(found["id"]))

    def _amended(self, answer: Any, found: crypto_parse.Answer, wanted: OrderRequest) -> bool:
        return parse.created(answer, wanted.client_order_id) == str(found["id"])

    def _listed(self, *, open_only: bool, since: datetime | None, limit: int) -> list[crypto_parse.Answer]:
        found: dict[str, crypto_parse.Answer] = {}
        for name, params in self._lists()[: 1 if open_only else None]:
            for place, answer in enumerate(self._rows(name, params)):
                at = crypto_parse.moment(answer.get("timestamp"))
                if place >= limit or (since and at and at < since):
                    break
                found[str(answer["id"])] = answer
        return list(found.values())

    @staticmethod
    def _lists() -> list[tuple[str, dict[str, Any]]]:
        """Open orders first: an order that ends while we read moves to a list that is read later."""
        history = [("private_get_trade_orders_history", {"instType": kind}) for kind in ("SPOT", "SWAP", "FUTURES")]
        return [("private_get_trade_orders_pending", {}), *history]

    def _rows(self, name: str, params: dict[str, Any]) -> Iterator[crypto_parse.Answer]:
        """Newest first, to the end. Raises BrokerUnavailable when there are more than we read."""
        after: dict[str, Any] = {}
        for _ in range(PAGES):
            answer = self._client.read(name, {**params, **after, "limit": str(PAGE)})
            rows = answer.get("data") if isinstance(answer, dict) else None
            if not isinstance(rows, list):
                raise BrokerUnavailable("OKX sent a list of orders that could not be read.")
            yield from self._answers(rows)
            if len(rows) < PAGE:
                return
            after = {"after": rows[-1]["ordId"]}
        raise BrokerUnavailable("OKX has more orders than could be read at once.")

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
