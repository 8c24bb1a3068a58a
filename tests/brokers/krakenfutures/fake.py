"""Kraken Futures on loopback: derivatives/api/v3, api/history and api/charts.

Shapes are the examples of docs.kraken.com/api/docs/futures-api/ and those ccxt keeps of its own calls.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.brokers.exchange import Asked, CryptoFake, Listing, Reply, SimOrder, VenueRefuses

KEY = "kraken-futures-key-a0b1c2"
SECRET = base64.b64encode(b"kraken-futures-secret-of-64-bytes-padded-with-more-text-01234567").decode()

_TRADING, _HISTORY, _CHARTS = "/derivatives/api/v3/", "/api/history/", "/api/charts/v1/"
_REFUSALS = {
    "duplicate": "clientOrderIdAlreadyExist",
    "no_symbol": "contractNotFound",
    "not_found": "notFound",
    "ended": "notFound",
    "too_small": "invalidSize",
    "lot": "invalidSize",
    "tick": "invalidPrice",
    "nothing": "iocWouldNotExecute",
    "post": "postWouldExecute",
}
_KINDS = {"lmt": "Limit", "post": "Post", "ioc": "IoC", "mkt": "IoC"}
_MS_A_MINUTE = 60_000


class KrakenFuturesFake(CryptoFake):
    BAD = 400, {"result": "error", "error": "requiredArgumentMissing"}

    def __init__(self) -> None:
        super().__init__(
            [
                Listing(
                    symbol="BTC/USD:USD", wire="PF_XBTUSD", base="XBT", quote="USD", tick="1", lot="0.0001",
                    minimum="0.0001", kind="perpetual",
                ),
                Listing(
                    symbol="TINY/USD:USD", wire="PF_TINYUSD", base="TINY", quote="USD", tick="0.000000000000000001",
                    lot="0.000000000000000001", minimum="0.000000000000000001", kind="perpetual",
                    bid="0.000000000000000009", ask="0.000000000000000011", last="1E-17",
                ),
                Listing(
                    symbol="BTC/USD:USD-300329", wire="FF_XBTUSD_300329", base="XBT", quote="USD", tick="1",
                    lot="0.0001", minimum="0.0001", kind="future", expires="2030-03-29T15:00:00.000Z",
                ),
                Listing(
                    symbol="BTC/USD:USD-291228", wire="FF_XBTUSD_291228", base="XBT", quote="USD", tick="1",
                    lot="0.0001", minimum="0.0001", kind="future", expires="2029-12-28T16:00:00.000Z",
                ),
                Listing(
                    symbol="BTC/USD:BTC", wire="PI_XBTUSD", base="XBT", quote="USD", tick="0.5", lot="1", minimum="1",
                    kind="inverse",
                ),
            ]
        )  # fmt: skip
        self.balances = {"USD": Decimal(100_000), "XBT": Decimal(2)}
        self.lags = False
        """The history knows nothing of the last orders yet."""
        self.remembers = True
        """The status of orders is told for five seconds after they ended."""
        self.page = 100
        self.nonce = 0
        self.log_rows = 4
        self.held = "PF_XBTUSD"
        """What the one position is in, as it is written there."""

    # -- what arrives ---------------------------------------------------------------------------------------------

    def client_id_of(self, asked: Asked) -> str | None:
        """Ours, without the hyphens it travels with."""
        if asked.path != _TRADING + "sendorder":
            return None
        return _given(asked).get("cliOrdId", "").replace("-", "")

    def posted(self, asked: Asked) -> None:
        super().posted(asked)
        if self.client_id_of(asked) is not None:
            self.bodies[-1] = _given(asked)

    def duplicate(self) -> Reply:
        return 200, self._sent(_REFUSALS["duplicate"])

    def other(self) -> Any:
        return self._sent("placed", order_id="179f9af8-e45e-469d-b3e9-2fd4675cb7d0")

    def speak(self, asked: Asked) -> Reply:
        name = asked.path.removeprefix(_TRADING).removeprefix(_HISTORY).removeprefix(_CHARTS)
        if asked.path.startswith(_CHARTS):
            return self._candles(name)
        if asked.path.startswith(_HISTORY + "v3/market/"):
            return self._prints(name)
        if asked.method == "GET" and asked.path.startswith(_TRADING):
            if name == "instruments":
                return self._ok(instruments=[_instrument(each) for each in self.listings.values()])
            if name == "tickers":
                return self._ok(tickers=[self._ticker(each) for each in self.listings.values()])
            if name == "history":
                return self._ok(history=[{"time": _iso(self.now()), "trade_id": 1, "price": 30000, "size": 1,
                                          "side": "buy", "type": "fill"}])  # fmt: skip
            if name == "orderbook":
                return self._book(asked.query["symbol"])
            if name.startswith("tickers/"):
                return self._ok(ticker=self._ticker(self.listings[name.partition("/")[2]]))
        if asked.path == "/derivatives/api/v4/historicalfundingrates":
            rows = [
                {"timestamp": f"2026-11-20T0{hour}:00:00Z", "fundingRate": Decimal("-8.15"),
                 "relativeFundingRate": Decimal(f"-0.00001871{hour}")} for hour in range(1, 6)
            ]  # fmt: skip
            return self._ok(rates=rows)
        if (why := self._distrusted(asked)) is not None:
            self.distrust(why)
            return 200, {"result": "error", "error": why, "serverTime": _iso(self.now())}
        private = {
            ("GET", "accounts"): self._accounts,
            ("GET", "openpositions"): self._positions,
            ("GET", "openorders"): self._open_orders,
            ("POST", "sendorder"): self._send_order,
            ("POST", "cancelorder"): self._cancel_order,
            ("POST", "orders/status"): self._status,
            ("GET", "fills"): self._fills,
            ("GET", "v2/orders"): self._order_events,
            ("GET", "v2/triggers"): self._trigger_events,
            ("GET", "v2/executions"): self._executions,
            ("GET", "v3/account-log"): self._account_log,
        }
        found = private.get((asked.method, name))
        return found(_given(asked)) if found else (404, {"result": "error", "error": "notFound"})

    def _distrusted(self, asked: Asked) -> str | None:
        """Authent is base64 of HMAC-SHA512, under the decoded secret, of SHA-256 over data, nonce and path, the path
        without what says which service is meant. A nonce is not asked for; one that comes must rise."""
        headers = {name.lower(): value for name, value in asked.headers.items()}
        data = asked.target.partition("?")[2] + asked.raw.decode()
        nonce = headers.get("nonce", "")
        path = asked.path.removeprefix("/derivatives")
        digest = hashlib.sha256((data + nonce + path).encode()).digest()
        wanted = base64.b64encode(hmac.new(base64.b64decode(SECRET), digest, hashlib.sha512).digest()).decode()
        if headers.get("apikey") != KEY or not hmac.compare_digest(headers.get("authent", ""), wanted):
            return "authenticationError"
        if nonce:
            if int(nonce) <= self.nonce:
                return "nonceBelowThreshold"
            self.nonce = int(nonce)
        return None

    def _ok(self, **told: Any) -> Reply:
        return 200, {"result": "success", **told, "serverTime": _iso(self.now())}

    # -- public ---------------------------------------------------------------------------------------------------

    def _ticker(self, each: Listing) -> dict[str, Any]:
        return {
            "tag": each.kind, "pair": f"{each.base}:{each.quote}", "symbol": each.wire,
            "markPrice": Decimal("30000.5"), "bid": Decimal(each.bid), "bidSize": Decimal("2.5"),
            "ask": Decimal(each.ask), "askSize": Decimal(1), "vol24h": Decimal("15304.4"), "volumeQuote": Decimal(1),
            "openInterest": Decimal("149655.25"), "open24h": Decimal(each.last), "high24h": Decimal(each.ask),
            "low24h": Decimal(each.bid), "last": Decimal(each.last), "lastTime": _iso(self.now()),
            "lastSize": Decimal("0.02"), "suspended": False, "fundingRate": Decimal("-1.500025"),
            "fundingRatePrediction": Decimal("-0.5"), "indexPrice": Decimal("29998.25"), "postOnly": False,
        }  # fmt: skip

    def _book(self, symbol: str) -> Reply:
        each = self.listings[symbol]
        asks, bids = [[Decimal(each.ask), Decimal(1)]], [[Decimal(each.bid), Decimal(2)]]
        return self._ok(orderBook={"asks": asks, "bids": bids})

    def _candles(self, name: str) -> Reply:
        each = self.listings[name.split("/")[1]]
        start = self.now() // _MS_A_MINUTE * _MS_A_MINUTE
        rows = [
            {"time": start - back * _MS_A_MINUTE, "open": each.last, "high": each.ask, "low": each.bid,
             "close": each.last, "volume": "23.13"} for back in reversed(range(5))
        ]  # fmt: skip
        return 200, {"candles": rows, "more_candles": False}

    def _prints(self, name: str) -> Reply:
        each = self.listings[name.split("/")[2]]
        taker = {"uid": "47ed7a57", "tradeable": each.wire, "direction": "Buy", "quantity": "1", "orderType": "IoC"}
        told = {"uid": "dcd32bbd", "takerOrder": taker, "makerOrder": {**taker, "direction": "Sell"},
                "timestamp": self.now(), "quantity": "0.5", "price": each.last, "markPrice": each.last}  # fmt: skip
        element = {"uid": "80ddc8af", "timestamp": self.now(), "event": {"Execution": {"execution": told}}}
        return 200, {"elements": [element], "len": 1}

    # -- private --------------------------------------------------------------------------------------------------

    def _accounts(self, query: dict[str, str]) -> Reply:
        held = {
            name: {"quantity": total, "value": total, "collateral": total, "available": total}
            for name, total in self.balances.items()
        }
        flex = {
            "currencies": held, "initialMargin": Decimal("25000.25"), "initialMarginWithOrders": Decimal(26000),
            "maintenanceMargin": Decimal("12500.5"), "balanceValue": Decimal(160000),
            "portfolioValue": Decimal("159850.75"), "collateralValue": Decimal(160000), "pnl": Decimal("-149.25"),
            "unrealizedFunding": Decimal(0), "totalUnrealized": Decimal("-149.25"),
            "availableMargin": Decimal("133850.75"), "marginEquity": Decimal("159850.75"),
            "type": "multiCollateralMarginAccount",
        }  # fmt: skip
        cash = {"balances": {"xbt": Decimal("141.31756797")}, "type": "cashAccount"}
        return self._ok(accounts={"cash": cash, "flex": flex})

    def _positions(self, query: dict[str, str]) -> Reply:
        row = {"side": "short", "symbol": self.held, "price": Decimal("29900.5"), "fillTime": _iso(self.now()),
               "size": Decimal("1.5"), "unrealizedFunding": Decimal("-0.00001045432180096817"),
               "pnlCurrency": "USD", "maxFixedLeverage": None}  # fmt: skip
        return self._ok(openPositions=[row])

    def _send_order(self, query: dict[str, str]) -> Reply:
        ours = query.get("cliOrdId", "")
        if len(ours) > 100:
            return 200, self._sent("clientOrderIdTooLong")
        kind = query["orderType"]
        triggers = ("stp", "take_profit", "trailing_stop")
        if kind in triggers and query.get("triggerSignal") not in ("mark", "last", "spot"):
            return self.BAD
        trail, unit = query.get("trailingStopMaxDeviation", ""), query.get("trailingStopDeviationUnit")
        if (kind == "trailing_stop") != bool(trail) or (trail and unit not in ("PERCENT", "QUOTE_CURRENCY")):
            return self.BAD
        if kind == "trailing_stop" and "stopPrice" in query:
            return self.BAD
        listing = self.listings.get(query["symbol"])
        price = query.get("limitPrice", "")
        if listing is not None and price and kind in ("ioc", "post"):
            buys, at = query["side"] == "buy", Decimal(price)
            crosses = at >= Decimal(listing.ask) if buys else at <= Decimal(listing.bid)
            if crosses is (kind == "post"):
                return 200, self._sent(_REFUSALS["post" if kind == "post" else "nothing"])
        try:
            made = self.place(
                {
                    "client_id": ours.replace("-", ""),
                    "wire": query["symbol"],
                    "side": query["side"],
                    "kind": kind,
                    "tif": "IOC" if kind == "ioc" else "GTC",
                    "price": price,
                    "stop": query.get("stopPrice", ""),
                    "trail": trail + "%" * (unit == "PERCENT"),
                    "amount": query["size"],
                    "reduce_only": query.get("reduceOnly") == "true",
                }
            )
        except VenueRefuses as refusal:
            if refusal.why == "no_symbol":
                return 200, {"result": "error", "error": _REFUSALS["no_symbol"], "serverTime": _iso(self.now())}
            return 200, self._sent(_REFUSALS[refusal.why])
        more = {"order_id": made.order_id, "orderEvents": [self._event(made)], **({"cliOrdId": ours} if ours else {})}
        return 200, self._sent("placed", **more)

    def _event(self, made: SimOrder) -> dict[str, Any]:
        """What came of an order at once."""
        order = {
            "orderId": made.order_id, "cliOrdId": _uuid(made.client_id) if made.client_id else None, "type": made.kind,
            "symbol": made.wire, "side": made.side, "quantity": Decimal(made.amount), "filled": Decimal(0),
            "limitPrice": Decimal(made.price or 0), "reduceOnly": made.reduce_only, "timestamp": _iso(made.created),
            "lastUpdateTimestamp": _iso(made.updated),
        }  # fmt: skip
        if made.status != "filled":
            return {"type": "PLACE", "order": order, "reducedQuantity": None}
        return {
            "type": "EXECUTION", "executionId": made.trades[0].trade_id, "price": Decimal(made.trades[0].price),
            "amount": Decimal(made.filled), "orderPriorEdit": None, "orderPriorExecution": order,
            "takerReducedQuantity": None,
        }  # fmt: skip

    def _sent(self, status: str, **more: Any) -> dict[str, Any]:
        told = {"status": status, "receivedTime": _iso(self.now()), "orderEvents": [], **more}
        return {"result": "success", "sendStatus": told, "serverTime": _iso(self.now())}

    def _cancel_order(self, query: dict[str, str]) -> Reply:
        order_id = query.get("order_id", "")
        found = self.orders.get(order_id) if order_id else self.by_client(query["cliOrdId"].replace("-", ""))
        try:
            self.take_back(found)
            status = "cancelled"
        except VenueRefuses as refusal:
            filled = found is not None and found.status == "filled"
            status = "filled" if filled else _REFUSALS[refusal.why]
        told = {"status": status, "order_id": order_id, "receivedTime": _iso(self.now()), "orderEvents": []}
        return self._ok(cancelStatus=told)

    def _open_orders(self, query: dict[str, str]) -> Reply:
        return self._ok(openOrders=[self._open(each) for each in self.newest() if each.status == "open"])

    def _open(self, order: SimOrder) -> dict[str, Any]:
        filled = Decimal(order.filled)
        row = {
            "order_id": order.order_id, "cliOrdId": _uuid(order.client_id), "symbol": order.wire, "side": order.side,
            "orderType": order.kind, "unfilledSize": Decimal(order.amount) - filled,
            "receivedTime": _iso(order.created), "status": "partiallyFilled" if filled else "untouched",
            "filledSize": filled, "reduceOnly": order.reduce_only, "lastUpdateTime": _iso(order.updated),
        }  # fmt: skip
        if order.price:
            row["limitPrice"] = Decimal(order.price)
        if order.stop:
            row |= {"stopPrice": Decimal(order.stop), "triggerSignal": "last"}
        if order.trail:
            row["trailingStopOptions"] = _trail(order)
        return row

    def _status(self, query: dict[str, str]) -> Reply:
        if "orderIds" in query:
            found = self.orders.get(query["orderIds"])
        else:
            found = self.by_client(query["cliOrdIds"].replace("-", ""))
        if found is None or not self.remembers:
            return self._ok(orders=[])
        words = {"open": "ENTERED_BOOK", "filled": "FULLY_EXECUTED", "canceled": "CANCELLED"}
        order = {
            "type": "ORDER", "orderId": found.order_id, "cliOrdId": _uuid(found.client_id), "symbol": found.wire,
            "side": found.side, "quantity": Decimal(found.amount), "filled": Decimal(found.filled),
            "limitPrice": Decimal(found.price or 0), "reduceOnly": found.reduce_only, "timestamp": _iso(found.created),
            "lastUpdateTimestamp": _iso(found.updated),
        }  # fmt: skip
        return self._ok(orders=[{"order": order, "status": words[found.status], "updateReason": None, "error": None}])

    def _order_events(self, query: dict[str, str]) -> Reply:
        rows = []
        for each in self._ended(query):
            if not each.stop or each.triggered:
                placed = {"order": self._told(each, left=each.amount, filled="0"), "reason": "new_user_order"}
                now = self._told(each, left=_less(each.amount, each.filled), filled=each.filled)
                after = {"OrderCancelled": {"order": now, "reason": "cancelled_by_user"}}
                if each.status == "filled":
                    after = {"OrderUpdated": {"newOrder": now, "oldOrder": placed["order"], "reason": "full_fill"}}
                if each.kind in ("mkt", "ioc") or (each.triggered and not each.price):
                    rows.append(_element(each, {"OrderPlaced": {"order": now, "reason": "new_user_order"}}))
                    continue
                rows += [_element(each, after), _element(each, {"OrderPlaced": placed})]
        return self._elements(query, rows)

    def _trigger_events(self, query: dict[str, str]) -> Reply:
        rows = []
        for each in self._ended(query):
            if each.stop:
                told = self._told(each, left=each.amount, filled="0", waits=True)
                ended = {"OrderTriggerCancelled": {"order": told, "reason": "cancelled_by_user"}}
                if each.triggered:
                    ended = {"OrderTriggerActivated": {"order": told, "reason": "stop_order_triggered"}}
                rows += [
                    _element(each, ended),
                    _element(each, {"OrderTriggerPlaced": {"order": told, "reason": "new_user_order"}}),
                ]
        return self._elements(query, rows)

    def _ended(self, query: dict[str, str]) -> list[SimOrder]:
        if self.lags or query.get("opened") != "true" or query.get("closed") != "true":
            return []
        wanted = query.get("tradeable")
        return self.newest(lambda each: each.status != "open" and wanted in (None, each.wire))

    def _told(self, order: SimOrder, *, left: str, filled: str, waits: bool = False) -> dict[str, Any]:
        """``quantity`` is what is left, and one word stands for market orders and limits that fill at once."""
        row: dict[str, Any] = {
            "uid": order.order_id, "accountId": 0, "accountUid": "f7d5571c-6d10-4cf1-944a-048d25682ed0",
            "tradeable": order.wire, "direction": order.side.capitalize(), "quantity": left, "filled": filled,
            "timestamp": order.created, "limitPrice": order.price or "31000",
            "orderType": _KINDS.get(order.kind, "IoC"),
            "clientId": _uuid(order.client_id), "reduceOnly": order.reduce_only, "lastUpdateTimestamp": order.updated,
        }  # fmt: skip
        if order.stop and (waits or not order.triggered):
            row["orderType"] = "lmt" if order.price else "ioc"
            row["triggerOptions"] = {
                "triggerPrice": order.stop, "triggerSignal": "LAST_PRICE",
                "triggerSide": "TRIGGER_ABOVE" if order.side == "buy" else "TRIGGER_BELOW",
                "trailingStopOptions": _trail(order), "limitPriceOffset": None,
            }  # fmt: skip
        return row

    def _executions(self, query: dict[str, str]) -> Reply:
        wanted = query.get("tradeable")
        rows = []
        for each in () if self.lags else self.trades():
            if wanted in (None, each.wire) and int(query.get("since", 0)) <= each.at < int(query.get("before", 10**15)):
                order = self.orders[each.order_id]
                told = {
                    "uid": each.trade_id, "order": self._told(order, left=order.amount, filled="0"),
                    "timestamp": each.at, "quantity": each.amount, "price": each.price, "markPrice": each.price,
                    "limitFilled": False, "executionType": "taker", "usdValue": "0",
                    "orderData": {"positionSize": "1.5", "fee": each.fee, "fillTime": each.at},
                }  # fmt: skip
                event = {"execution": {"execution": told, "takerReducedQuantity": ""}}
                rows.append({"uid": each.trade_id, "timestamp": each.at, "event": event})
        return self._elements(query, rows)

    def _fills(self, query: dict[str, str]) -> Reply:
        """The newest, without their fees."""
        return self._ok(fills=[
            {"fill_id": each.trade_id, "symbol": each.wire, "side": each.side, "order_id": each.order_id,
             "cliOrdId": _uuid(self.orders[each.order_id].client_id), "size": Decimal(each.amount),
             "price": Decimal(each.price), "fillTime": _iso(each.at), "fillType": "taker"} for each in self.trades()
        ])  # fmt: skip

    def _account_log(self, query: dict[str, str]) -> Reply:
        """Each trade changes its contract and the money; amounts are numbers here."""
        money = {"asset": "usd", "margin_account": "flex", "old_average_entry_price": None, "collateral": "usd"}
        rows = []
        for back in range(self.log_rows):
            at = 1_763_000_000_000 - back * 60_000
            told = {"id": 9000 - back, "date": _iso(at), "booking_uid": f"booking-{back}", "contract": "pf_xbtusd"}
            trade = {"info": "futures trade", "realized_pnl": None, "execution": "e1ec9f63"}
            kinds = (
                {**trade, "asset": "pf_xbtusd", "old_balance": Decimal(0), "new_balance": Decimal("0.1")},
                {**trade, **money, "old_balance": Decimal("1000.5"), "new_balance": Decimal("999.25"),
                 "fee": Decimal("1.25")},
                {"info": "funding rate change", **money, "old_balance": Decimal(10),
                 "new_balance": Decimal("10.00125")},
                {"info": "cross-exchange transfer", **money, "contract": "", "old_balance": Decimal(0),
                 "new_balance": Decimal(50)},
            )  # fmt: skip
            rows.append({**told, **kinds[back % 4]})
        start, end = int(query.get("since", 0)), int(query.get("before", 10**15))
        fitting = [row for row in rows if start <= _at(str(row["date"])) < end]
        return 200, {"accountUid": "f7d5571c", "logs": fitting[: min(int(query.get("count", 500)), 500)]}

    def _elements(self, query: dict[str, str], rows: list[dict[str, Any]]) -> Reply:
        begin = int(query.get("continuation_token", 0))
        size = min(int(query.get("count", 100)), self.page)
        answer: dict[str, Any] = {"accountUid": "f7d5571c", "len": len(rows), "elements": rows[begin : begin + size]}
        if begin + size < len(rows):
            answer["continuationToken"] = str(begin + size)
        return 200, answer


def _trail(order: SimOrder) -> dict[str, Any] | None:
    if not order.trail:
        return None
    distance = Decimal(order.trail.rstrip("%"))
    return {"maxDeviation": distance, "unit": "PERCENT" if order.trail.endswith("%") else "QUOTE_CURRENCY"}


def _given(asked: Asked) -> dict[str, str]:
    """Parameters may stand in the query or in a form."""
    return {**asked.query, **(asked.body if isinstance(asked.body, dict) else {})}


def _element(order: SimOrder, event: dict[str, Any]) -> dict[str, Any]:
    return {"uid": f"event-{order.order_id}-{next(iter(event))}", "timestamp": order.updated, "event": event}


def _less(amount: str, filled: str) -> str:
    return format(Decimal(amount) - Decimal(filled), "f")


def _uuid(client_id: str) -> str:
    try:
        return str(UUID(hex=client_id))
    except ValueError:
        return client_id


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _instrument(each: Listing) -> dict[str, Any]:
    inverse = each.kind == "inverse"
    return {
        "symbol": each.wire, "type": "futures_inverse" if inverse else "flexible_futures", "tradeable": True,
        "tickSize": Decimal(each.tick), "contractSize": 1, "impactMidSize": 1, "maxPositionSize": 1000000,
        "openingDate": "2022-01-01T00:00:00.000Z", "marginLevels": [], "fundingRateCoefficient": 8,
        "maxRelativeFundingRate": Decimal("0.001"), "contractValueTradePrecision": len(each.lot.partition(".")[2]),
        "postOnly": False, "feeScheduleUid": "7fc4d7c0-464f-4029-a9bb-55856d0c5247",
        **({"lastTradingTime": each.expires} if each.expires else {}),
    }  # fmt: skip
