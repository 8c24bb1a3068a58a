"""Binance spot on loopback: api/v3 and what we use of sapi/v1.

Shapes are the examples of developers.binance.com/docs/binance-spot-api-docs/rest-api.
"""

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from tests.brokers.binance.requests import CALLS
from tests.brokers.exchange import Asked, Listing, Reply, SimOrder, VenueRefuses
from tests.brokers.requests import misfit
from tests.brokers.sockets import FakeSocket
from tests.brokers.waiting import HELD, Group, WaitingOrders
from tests.secrets.known import mint

KEY, SECRET = mint("Binance key", 64), mint("Binance secret", 64)
UID = 354937868

_REFUSALS = {
    "duplicate": (-2010, "Duplicate order sent."),
    "funds": (-2010, "Account has insufficient balance for requested action."),
    "no_symbol": (-1121, "Invalid symbol."),
    "not_found": (-2011, "Unknown order sent."),
    "ended": (-2011, "Unknown order sent."),
    "too_small": (-1013, "Filter failure: LOT_SIZE"),
    "lot": (-1013, "Filter failure: LOT_SIZE"),
    "tick": (-1013, "Filter failure: PRICE_FILTER"),
    "post": (-2010, "Order would immediately match and take."),
    "trigger": (-2010, "Stop price would trigger immediately."),
    "prices": (-2010, "The relationship of the prices for the orders is not correct."),
    "trail": (-1013, "Filter failure: TRAILING_DELTA"),
}
_STATES = {"open": "NEW", "filled": "FILLED", "canceled": "CANCELED", HELD: "PENDING_NEW"}
_ORDER = "/api/v3/order"
_LIST = "/api/v3/orderList"
_STOPS = ("STOP_LOSS", "STOP_LOSS_LIMIT")
_OF_A_LOOK = frozenset({"time", "updateTime", "isWorking", "icebergQty", "stopPrice"})
"""What the answer to an order leaves out, or has only where it was given."""
_NEEDS = {
    "LIMIT": ("timeInForce", "quantity", "price"),
    "LIMIT_MAKER": ("quantity", "price"),
    "STOP_LOSS": ("quantity",),
    "STOP_LOSS_LIMIT": ("timeInForce", "quantity", "price"),
}


class BinanceFake(WaitingOrders):
    STREAMS = ("/ws-api/v3",)
    CLOSED_IDS_STAY = False
    POST_ONLY_STANDS = False
    BAD = 400, {"code": -1102, "msg": "A mandatory parameter was not sent, was empty/null, or malformed."}

    def __init__(self) -> None:
        super().__init__(
            [
                Listing(
                    symbol="BTC/USDT", wire="BTCUSDT", base="BTC", quote="USDT", tick="0.01", lot="0.00001",
                    minimum="0.00001", least_cost="5",
                ),
                Listing(
                    symbol="TINY/USDT", wire="TINYUSDT", base="TINY", quote="USDT", tick="0.000000000000000001",
                    lot="0.000000000000000001", minimum="0.000000000000000001",
                    bid="0.000000000000000009", ask="0.000000000000000011", last="1E-17",
                ),
            ]
        )  # fmt: skip
        self.live = False
        """The host with keys of real money, which also tells what a key may do."""
        self.withdrawals = False
        self.wallet_page = 1000
        self.offers = 1

    # -- what arrives ---------------------------------------------------------------------------------------------

    def client_id_of(self, asked: Asked) -> str | None:
        told = {**asked.query, **(asked.body or {})}
        if (asked.method, asked.path) == ("POST", _ORDER):
            return str(told.get("newClientOrderId"))
        if asked.method != "POST" or not asked.path.startswith(_LIST + "/"):
            return None
        first = "above" if told.get("aboveType") == "LIMIT_MAKER" else "below"
        return str(told.get("workingClientOrderId") or told.get(f"{first}ClientOrderId"))

    def posted(self, asked: Asked) -> None:
        super().posted(asked)
        if self.client_id_of(asked) is not None:
            self.bodies[-1] = {**asked.query, **(asked.body or {})}

    def duplicate(self) -> Reply:
        return 400, _refusal("duplicate")

    def other(self) -> Any:
        return {"symbol": "BTCUSDT", "orderId": 28, "orderListId": -1, "clientOrderId": "6gCrw2kRUAF9CvJDGP16IP",
                "transactTime": 1507725176595, "price": "1", "origQty": "1", "executedQty": "0",
                "cummulativeQuoteQty": "0", "status": "NEW", "timeInForce": "GTC", "type": "LIMIT",
                "side": "SELL"}  # fmt: skip

    def speak(self, asked: Asked) -> Reply:
        if problem := misfit(CALLS, asked, asked.path):
            self.misfits.append(problem)
            return 400, {"code": -1102, "msg": problem}
        public = {
            "/api/v3/time": self._time,
            "/api/v3/exchangeInfo": self._exchange_info,
            "/api/v3/ticker/24hr": self._ticker,
            "/api/v3/depth": self._depth,
            "/api/v3/aggTrades": self._agg_trades,
            "/api/v3/klines": self._klines,
        }
        if asked.path in public:
            return public[asked.path](asked.query)
        params: dict[str, str] = {**asked.query, **(asked.body or {})}
        if (refusal := self._distrusted(asked, params)) is not None:
            return refusal
        private: dict[tuple[str, str], Callable[[dict[str, str]], Reply]] = {
            ("GET", "/api/v3/account"): self._account,
            ("GET", "/api/v3/account/commission"): self._commission,
            ("GET", "/api/v3/openOrders"): self._open_orders,
            ("GET", "/api/v3/myTrades"): self._my_trades,
            ("POST", _ORDER): self._new_order,
            ("POST", _ORDER + "/cancelReplace"): self._cancel_replace,
            ("GET", _ORDER): self._order_of,
            ("DELETE", _ORDER): self._delete_order,
            ("GET", _LIST): self._list_of,
            ("GET", "/api/v3/openOrderList"): self._open_lists,
            ("POST", _LIST + "/oco"): self._new_pair,
            **{
                ("POST", f"{_LIST}/{name}"): partial(self._new_list, pays=name.startswith("opo"))
                for name in ("oto", "otoco", "opo", "opoco")
            },
        }
        if self.live:
            private["GET", "/sapi/v1/account/apiRestrictions"] = self._restrictions
            private["GET", "/sapi/v1/capital/deposit/hisrec"] = self._deposits
            private["GET", "/sapi/v1/capital/withdraw/history"] = self._withdrawals
            private["GET", "/sapi/v1/capital/config/getall"] = self._coins
            private["GET", "/sapi/v1/capital/deposit/address/list"] = self._addresses
            private["GET", "/sapi/v1/simple-earn/flexible/list"] = self._flexible
            private["GET", "/sapi/v1/simple-earn/locked/list"] = self._locked
            private["GET", "/sapi/v1/simple-earn/flexible/position"] = self._held_flexible
            private["GET", "/sapi/v1/simple-earn/locked/position"] = self._held_locked
        found = private.get((asked.method, asked.path))
        return found(params) if found else (404, {"code": -1, "msg": "no such path"})

    def _distrusted(self, asked: Asked, params: dict[str, str]) -> Reply | None:
        """HMAC-SHA256, in hex, over the query and the body, as they came, without the signature; a time within
        recvWindow. Parameters may stand in either."""
        headers = {name.lower(): value for name, value in asked.headers.items()}
        text, _, signature = (asked.target.partition("?")[2] + asked.raw.decode()).rpartition("&signature=")
        wanted = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        if headers.get("x-mbx-apikey") != KEY:
            return self._no(401, -2014, "API-key format invalid.")
        if signature != wanted or dict(parse_qsl(text)) != {k: v for k, v in params.items() if k != "signature"}:
            return self._no(400, -1022, "Signature for this request is not valid.")
        behind = self.now() - int(params["timestamp"])
        if behind < -1000 or behind > int(params.get("recvWindow", 5000)):
            return self._no(400, -1021, "Timestamp for this request is outside of the recvWindow.")
        return None

    def _no(self, status: int, code: int, message: str) -> Reply:
        self.distrust(message)
        return status, {"code": code, "msg": message}

    # -- the stream: developers.binance.com, "User Data Stream requests" -------------------------------------------

    def stream_told(self, wire: FakeSocket, told: Any) -> None:
        params = told.get("params", {})
        signed = {name: value for name, value in params.items() if name != "signature"}
        text = "&".join(f"{name}={signed[name]}" for name in sorted(signed))
        wanted = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        error: tuple[int, str] | None = None
        if told.get("method") != "userDataStream.subscribe.signature":
            error = -1003, "Unknown method."
        elif params.get("apiKey") != KEY:
            error = -2015, "Invalid API-key, IP, or permissions for action."
        elif params.get("signature") != wanted:
            error = -1022, "Signature for this request is not valid."
        elif abs(self.now() - int(params["timestamp"])) > int(params.get("recvWindow", 5000)):
            error = -1021, "Timestamp for this request is outside of the recvWindow."
        if error:
            wire.say({"id": told.get("id"), "status": 400, "error": {"code": error[0], "msg": error[1]}})
            return
        wire.notes["subscribed"] = True
        wire.say({"id": told["id"], "status": 200, "result": {"subscriptionId": 0}, "rateLimits": []})

    def update(self, wire: FakeSocket, order: SimOrder) -> Any:
        ended = order.status == "canceled"
        event = {"e": "executionReport", "E": self.now(), "s": order.wire, "S": order.side.upper(),
                 "c": "cancelOf" + order.client_id if ended else order.client_id, "C": order.client_id if ended else "",
                 "x": "CANCELED" if ended else "TRADE" if order.trades else "NEW", "i": int(order.order_id),
                 "z": order.filled, "T": self.now()}  # fmt: skip
        return {"subscriptionId": 0, "event": event}

    # -- wallet: developers.binance.com/docs/wallet/ and /docs/simple_earn/ ------------------------------------------

    def _deposits(self, params: dict[str, str]) -> Reply:
        rows = [
            {"id": f"7691834050{age}01112", "amount": "0.00999800", "coin": "PAXG", "network": "ETH", "status": 1,
             "address": "0x788cabe9236ce061e5a892e1a59395a81fc8d62c", "addressTag": "", "txId": "0xaad4654a",
             "insertTime": self.now() - age * 86_400_000, "transferType": 0, "confirmTimes": "12/12",
             "unlockConfirm": 12, "walletType": 0}
            for age in (1, 60, 100, 200, 300)
        ]  # fmt: skip
        return self._window(params, rows, "insertTime")

    def _withdrawals(self, params: dict[str, str]) -> Reply:
        at = self.now() - 2 * 86_400_000
        applied = datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows = [{"id": "b6ae22b3aa844210a7041aee7589627c", "amount": "8.91000000", "transactionFee": "0.004",
                 "coin": "USDT", "status": 6, "address": "0x94df8b352de7f46f64b01d3666bf6e936e44ce60",
                 "txId": "0xb5ef8c13b968a406cc62a93a8bd80f9e9a906ef1", "applyTime": applied, "network": "ETH",
                 "transferType": 0, "at": at}]  # fmt: skip
        return self._window(params, rows, "at")

    def _window(self, params: dict[str, str], rows: list[dict[str, Any]], key: str) -> Reply:
        end = int(params.get("endTime", self.now()))
        start = int(params.get("startTime", end - 90 * 86_400_000))
        if end - start > 90 * 86_400_000:
            return 400, {"code": -1, "msg": "Time interval must be within 0-90 days"}
        return 200, [row for row in rows if start <= int(row[key]) <= end][: self.wallet_page]

    def _coins(self, params: dict[str, str]) -> Reply:
        networks = [
            {"network": "BSC", "isDefault": False, "depositEnable": True, "name": "BNB Smart Chain (BEP20)"},
            {"network": "BTC", "isDefault": True, "depositEnable": True, "name": "Bitcoin"},
        ]
        return 200, [{"coin": "BTC", "depositAllEnable": True, "free": "0.08074558", "networkList": networks},
                     {"coin": "OLD", "networkList": [{"network": "ETH", "depositEnable": False}]}]  # fmt: skip

    def _addresses(self, params: dict[str, str]) -> Reply:
        return 200, [{"coin": params["coin"], "address": "1HPn8Rx2y6nNSfagQBKy27GB99Vbzg89wv", "tag": "",
                      "isDefault": 1, "network": params["network"]}]  # fmt: skip

    def _flexible(self, params: dict[str, str]) -> Reply:
        return 200, {"rows": [{"asset": "BTC", "latestAnnualPercentageRate": "0.05000000",
                               "tierAnnualPercentageRate": {"0-5BTC": "0.05"}, "canPurchase": True, "canRedeem": True,
                               "isSoldOut": False, "hot": True, "minPurchaseAmount": "0.01", "productId": "BTC001",
                               "subscriptionStartTime": 1646182276000, "status": "PURCHASING"}],
                     "total": self.offers}  # fmt: skip

    def _locked(self, params: dict[str, str]) -> Reply:
        return 200, {"rows": [{"projectId": "Axs*90", "detail": {
            "asset": "AXS", "rewardAsset": "AXS", "duration": 90, "renewable": True, "isSoldOut": True,
            "apr": "1.2069", "status": "CREATED", "subscriptionStartTime": 1646182276000},
            "quota": {"totalPersonalQuota": "2", "minimum": "0.001"}}], "total": 1}  # fmt: skip

    def _held_flexible(self, params: dict[str, str]) -> Reply:
        return 200, {"rows": [{"totalAmount": "75.46000000", "latestAnnualPercentageRate": "0.02599895",
                               "asset": "USDT", "canRedeem": True, "collateralAmount": "232.23123213",
                               "productId": "USDT001", "cumulativeBonusRewards": "0.22759183",
                               "cumulativeRealTimeRewards": "0.22759183", "cumulativeTotalRewards": "0.45459183",
                               "autoSubscribe": True}], "total": 1}  # fmt: skip

    def _held_locked(self, params: dict[str, str]) -> Reply:
        return 200, {"rows": [{"positionId": 123123, "projectId": "Axs*90", "asset": "AXS", "amount": "122.09202928",
                               "purchaseTime": "1646182276000", "duration": "60", "accrualDays": "4",
                               "rewardAsset": "AXS", "apy": "0.2032", "rewardAmt": "5.17181528",
                               "nextPay": "1.29295383", "payPeriod": "1", "deliverDate": "1651363200000",
                               "canRedeemEarly": True, "status": "HOLDING"}], "total": 1}  # fmt: skip

    # -- public ---------------------------------------------------------------------------------------------------

    def _time(self, query: Any) -> Reply:
        return 200, {"serverTime": self.now()}

    def _exchange_info(self, query: Any) -> Reply:
        return 200, {"timezone": "UTC", "serverTime": self.now(), "rateLimits": [], "exchangeFilters": [],
                     "symbols": [_symbol(each) for each in self.listings.values()]}  # fmt: skip

    def _ticker(self, query: Any) -> Reply:
        each = self.listings[query["symbol"]]
        return 200, {
            "symbol": each.wire, "priceChange": "0", "priceChangePercent": "0", "weightedAvgPrice": each.last,
            "prevClosePrice": each.last, "lastPrice": each.last, "lastQty": "1", "bidPrice": each.bid, "bidQty": "4",
            "askPrice": each.ask, "askQty": "4", "openPrice": each.last, "highPrice": each.ask, "lowPrice": each.bid,
            "volume": "8913.3", "quoteVolume": "15.3", "openTime": self.now() - 86_400_000, "closeTime": self.now(),
            "firstId": 28385, "lastId": 28460, "count": 76,
        }  # fmt: skip

    def _depth(self, query: Any) -> Reply:
        each = self.listings[query["symbol"]]
        return 200, {"lastUpdateId": 1027024, "bids": [[each.bid, "4.0"]], "asks": [[each.ask, "12.0"]]}

    def _agg_trades(self, query: Any) -> Reply:
        each = self.listings[query["symbol"]]
        return 200, [{"a": 26129, "p": each.last, "q": "4.70443515", "f": 27781, "l": 27781, "T": self.now(), "m": True,
                      "M": True}]  # fmt: skip

    def _klines(self, query: Any) -> Reply:
        each, start = self.listings[query["symbol"]], self.now() // 60_000 * 60_000
        return 200, [
            [start - back * 60_000, each.last, each.ask, each.bid, each.last, "148976.1",
             start - back * 60_000 + 59_999, "2434.1", 308, "1756.8", "28.4", "0"]
            for back in reversed(range(min(5, int(query.get("limit", 500)))))
        ]  # fmt: skip

    # -- private --------------------------------------------------------------------------------------------------

    def _account(self, params: dict[str, str]) -> Reply:
        balances = [
            {"asset": code, "free": format(total - self.on_hold(code), "f"), "locked": format(self.on_hold(code), "f")}
            for code, total in self.balances.items()
        ]
        return 200, {"makerCommission": 15, "takerCommission": 15, "canTrade": True, "canWithdraw": True,
                     "canDeposit": True, "updateTime": 123456789, "accountType": "SPOT", "balances": balances,
                     "permissions": ["SPOT"], "uid": UID}  # fmt: skip

    def _restrictions(self, params: dict[str, str]) -> Reply:
        return 200, {"ipRestrict": False, "createTime": 1698645219000, "enableReading": True,
                     "enableWithdrawals": self.withdrawals, "enableInternalTransfer": False,
                     "enableSpotAndMarginTrading": True}  # fmt: skip

    def _commission(self, params: dict[str, str]) -> Reply:
        none = {"maker": "0.00000000", "taker": "0.00000000", "buyer": "0.00000000", "seller": "0.00000000"}
        standard = {**none, "maker": "0.00080000", "taker": "0.00100000"}
        return 200, {"symbol": params["symbol"], "standardCommission": standard,
                     "specialCommission": none, "taxCommission": none,
                     "discount": {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB",
                                  "discount": "0.75000000"}}  # fmt: skip

    def _open_orders(self, params: dict[str, str]) -> Reply:
        return 200, [self._order(each) for each in self.newest() if each.status in ("open", HELD)]

    def _my_trades(self, params: dict[str, str]) -> Reply:
        wanted = [
            each
            for each in reversed(self.trades())
            if each.wire == params["symbol"] and params.get("orderId", each.order_id) == each.order_id
        ]
        return 200, [
            {"symbol": each.wire, "id": int(each.trade_id), "orderId": int(each.order_id), "orderListId": -1,
             "price": each.price, "qty": each.amount,
             "quoteQty": format(Decimal(each.price) * Decimal(each.amount), "f"), "commission": each.fee,
             "commissionAsset": each.fee_currency, "time": each.at, "isBuyer": each.side == "buy", "isMaker": False,
             "isBestMatch": True}
            for each in wanted
        ]  # fmt: skip

    def _new_order(self, params: dict[str, str]) -> Reply:
        kind = params["type"]
        lacks = [name for name in _NEEDS.get(kind, ()) if name not in params]
        if kind in _STOPS and not {"stopPrice", "trailingDelta"} & set(params):
            return self.BAD
        if lacks or (kind == "MARKET" and ("quantity" in params) == ("quoteOrderQty" in params)):
            return self.BAD
        try:
            made = self._made(kind, params["side"], params.get("quantity", ""), params)
        except VenueRefuses as refusal:
            return 400, _refusal(refusal.why)
        if made.tif in ("IOC", "FOK") and made.status == "canceled":
            made.reported_as = "EXPIRED"
        return 200, self._placed(made, params.get("newOrderRespType", "FULL" if kind in ("LIMIT", "MARKET") else "ACK"))

    def _terms(self, kind: str, side: str, quantity: str, params: dict[str, str], name: str = "") -> dict[str, Any]:
        """Of one order of a request, whose parameters may begin with a name."""

        def of(word: str) -> str:
            return params.get(f"{name}{word}" if name else word[0].lower() + word[1:], "")

        return {
            "client_id": of("ClientOrderId") or params.get("newClientOrderId") or f"own{next(self._ids)}",
            "wire": params["symbol"],
            "side": side.lower(),
            "kind": kind,
            "tif": of("TimeInForce") or "GTC",
            "price": of("Price"),
            "stop": of("StopPrice") or self._first_stop(params["symbol"], side, of("TrailingDelta")),
            "amount": quantity,
            "cost": params.get("quoteOrderQty", ""),
            "post_only": kind == "LIMIT_MAKER",
            "fee_in": "base" if side == "BUY" else "quote",
        }

    @staticmethod
    def _lacks(params: dict[str, str]) -> bool:
        """Whether an order of a list has no price or time in force where its kind needs one."""
        kinds = {name.removesuffix("Type"): kind for name, kind in params.items() if name.endswith("Type")}
        return any(
            f"{name}{word[0].upper()}{word[1:]}" not in params
            for name, kind in kinds.items()
            for word in _NEEDS.get(kind, ())
            if word != "quantity"
        )

    def _first_stop(self, wire: str, side: str, delta: str) -> str:
        if not delta:
            return ""
        if not 10 <= int(delta) <= 2000:
            raise VenueRefuses("trail")
        listing, share = self.listings[wire], Decimal(delta) / 10_000
        stop = Decimal(listing.last) * (1 + share if side == "BUY" else 1 - share)
        return format(stop // Decimal(listing.tick) * Decimal(listing.tick), "f")

    def _made(self, kind: str, side: str, quantity: str, params: dict[str, str], name: str = "") -> SimOrder:
        terms = self._terms(kind, side, quantity, params, name)
        if kind in _STOPS:
            self._check_stop(terms)
        made = self.place(terms)
        if delta := params.get(f"{name}TrailingDelta" if name else "trailingDelta"):
            self.trails[made.order_id] = Decimal(delta) / 10_000
        return made

    def _check_stop(self, terms: dict[str, Any]) -> None:
        listing = self.listings.get(terms["wire"])
        if listing is None or not terms["stop"]:
            raise VenueRefuses("no_symbol" if listing is None else "prices")
        last, stop = Decimal(listing.last), Decimal(terms["stop"])
        if stop <= last if terms["side"] == "buy" else stop >= last:
            raise VenueRefuses("trigger")

    def _group(self, params: dict[str, str], first: SimOrder | None = None) -> Group:
        number = len(self.groups) + 1
        made = Group(number=number, name=params.get("listClientOrderId", f"list{number}"), first=first)
        self.groups.append(made)
        return made

    def _undo(self, group: Group) -> None:
        for each in group.others:
            del self.orders[each.order_id]
        self.groups.remove(group)

    def _new_pair(self, params: dict[str, str]) -> Reply:
        if self._lacks(params):
            return self.BAD
        above, below = Decimal(self._level(params, "above")), Decimal(self._level(params, "below"))
        group = self._group(params)
        try:
            if above <= below or [params["aboveType"], params["belowType"]].count("LIMIT_MAKER") != 1:
                raise VenueRefuses("prices")
            halves = ("above", "below") if params["aboveType"] == "LIMIT_MAKER" else ("below", "above")
            for name in halves:
                if group.others:
                    group.others[0].status = "pairing"  # what it holds is for both
                made = self._made(params[f"{name}Type"], params["side"], params["quantity"], params, name)
                group.others.append(made)
            group.others[0].status = "open"
        except VenueRefuses as refusal:
            self._undo(group)
            return 400, _refusal(refusal.why)
        return 200, self._told_list(group, reports=True)

    def _level(self, params: dict[str, str], name: str) -> str:
        side = params.get("side") or params["pendingSide"]
        delta = params.get(f"{name}TrailingDelta", "")
        stop = params.get(f"{name}StopPrice") or self._first_stop(params["symbol"], side, delta)
        return stop or params[f"{name}Price"]

    def _new_list(self, params: dict[str, str], *, pays: bool) -> Reply:
        side, pair = params["pendingSide"], "pendingAboveType" in params
        if pays == ("pendingQuantity" in params) or (pays and (params["workingSide"], side) != ("BUY", "SELL")):
            return self.BAD
        if self._lacks(params):
            return self.BAD
        amount = "" if pays else params["pendingQuantity"]
        names: tuple[str, ...] = ("pendingAbove", "pendingBelow") if pair else ("pending",)
        try:
            waiting = [self._terms(params[f"{name}Type"], side, amount, params, name) for name in names]
            if pair and Decimal(self._level(params, names[0])) <= Decimal(self._level(params, names[1])):
                raise VenueRefuses("prices")
            if any(self.by_client(each["client_id"]) for each in waiting):
                raise VenueRefuses("duplicate")
            if amount and side == "SELL":
                base = self.listings[params["symbol"]].base
                if Decimal(amount) > self.balances.get(base, Decimal(0)) - self.on_hold(base):
                    raise VenueRefuses("funds")
            group = self._group(params)
            group.by_what_arrives = pays
            for name, terms in zip(names, waiting, strict=True):
                made = self.wait(group, terms)
                if delta := params.get(f"{name}TrailingDelta"):
                    self.trails[made.order_id] = Decimal(delta) / 10_000
            try:
                first = self._made(
                    params["workingType"], params["workingSide"], params["workingQuantity"], params, "working"
                )
            except VenueRefuses:
                self._undo(group)
                raise
            group.first = first
            if first.status == "filled":
                self.first_filled(group, first)
        except VenueRefuses as refusal:
            return 400, _refusal(refusal.why)
        return 200, self._told_list(group, reports=True)

    def _told_list(self, group: Group, *, reports: bool = False) -> dict[str, Any]:
        done = all(each.status in ("filled", "canceled") for each in group.orders)
        told = {
            "orderListId": group.number, "contingencyType": "OTO" if group.first else "OCO",
            "listStatusType": "ALL_DONE" if done else "EXEC_STARTED",
            "listOrderStatus": "ALL_DONE" if done else "EXECUTING", "listClientOrderId": group.name,
            "transactionTime": self.now(), "symbol": group.orders[0].wire,
            "orders": [
                {"symbol": each.wire, "orderId": int(each.order_id), "clientOrderId": each.client_id}
                for each in group.orders
            ],
        }  # fmt: skip
        return told | ({"orderReports": [self._placed(each, "RESULT") for each in group.orders]} if reports else {})

    def _list_of(self, params: dict[str, str]) -> Reply:
        wanted = (params.get("orderListId"), params.get("origClientOrderId"))
        found = next((each for each in self.groups if wanted[0] == str(each.number) or wanted[1] == each.name), None)
        return (200, self._told_list(found)) if found else (400, {"code": -2018, "msg": "Order list does not exist."})

    def _open_lists(self, params: dict[str, str]) -> Reply:
        told = [self._told_list(each) for each in self.groups]
        return 200, [each for each in told if each["listOrderStatus"] == "EXECUTING"]

    def ended_by_other(self, order: SimOrder) -> None:
        super().ended_by_other(order)
        order.reported_as = "EXPIRED"

    def _placed(self, made: SimOrder, form: str) -> dict[str, Any]:
        """The answer to an order, which is not what a look at it gives."""
        row = self._order(made)
        told = {name: row[name] for name in ("symbol", "orderId", "orderListId", "clientOrderId")}
        told["transactTime"] = made.created
        if form != "ACK":
            told |= {name: value for name, value in row.items() if name not in _OF_A_LOOK}
            if made.stop:
                told["stopPrice"] = made.stop
        if form == "FULL":
            told["fills"] = [
                {"price": each.price, "qty": each.amount, "commission": each.fee, "commissionAsset": each.fee_currency,
                 "tradeId": int(each.trade_id)} for each in made.trades
            ]  # fmt: skip
        return told

    def _cancelled(self, ended: SimOrder) -> dict[str, Any]:
        """A cancel has an id of its own; the order's is its original one."""
        told = self._placed(ended, "RESULT")
        return {**told, "origClientOrderId": ended.client_id, "clientOrderId": f"cancel-of-{ended.order_id}"}

    def _meant(self, order_id: str | None, client_id: str | None, symbol: str) -> SimOrder | None:
        found = self.orders.get(order_id) if order_id else self.by_client(client_id or "")
        return found if found is not None and found.wire == symbol else None

    def _cancel_replace(self, params: dict[str, str]) -> Reply:
        old = self._meant(params.get("cancelOrderId"), params.get("cancelOrigClientOrderId"), params["symbol"])
        done: dict[str, Any] = {"cancelResult": "FAILURE", "newOrderResult": "NOT_ATTEMPTED", "newOrderResponse": None}
        try:
            if old is not None and old.filled != "0" and params.get("cancelRestrictions") == "ONLY_NEW":
                restricted = {"code": -2011, "msg": "Order was not canceled due to cancel restrictions."}
                return 400, _failed(-2022, done | {"cancelResponse": restricted})
            done["cancelResponse"] = self._cancelled(self.take_back(old))
        except VenueRefuses as refusal:
            return 400, _failed(-2022, done | {"cancelResponse": _refusal(refusal.why)})
        done["cancelResult"] = "SUCCESS"
        status, done["newOrderResponse"] = self._new_order(params)
        done["newOrderResult"] = "SUCCESS" if status == 200 else "FAILURE"
        return (200, done) if status == 200 else (409, _failed(-2021, done))

    def _order_of(self, params: dict[str, str]) -> Reply:
        found = self._meant(params.get("orderId"), params.get("origClientOrderId"), params["symbol"])
        if found is None:
            return 400, {"code": -2013, "msg": "Order does not exist."}
        return 200, self._order(found)

    def _delete_order(self, params: dict[str, str]) -> Reply:
        try:
            meant = self._meant(params.get("orderId"), params.get("origClientOrderId"), params["symbol"])
            return 200, self._cancelled(self.take_back(meant))
        except VenueRefuses as refusal:
            return 400, _refusal(refusal.why)

    def _order(self, order: SimOrder) -> dict[str, Any]:
        partly, group = order.status == "open" and order.filled != "0", self.group_of(order)
        share = self.trails.get(order.order_id)
        worth = sum((Decimal(each.price) * Decimal(each.amount) for each in order.trades), Decimal(0))
        return {
            "symbol": order.wire, "orderId": int(order.order_id), "orderListId": group.number if group else -1,
            "clientOrderId": order.client_id, "price": order.price or "0.00000000",
            **({"origQty": order.amount} if order.amount else {}), "executedQty": order.filled,
            "origQuoteOrderQty": order.cost or "0.000000", "cummulativeQuoteQty": format(worth, "f"),
            "status": order.reported_as or ("PARTIALLY_FILLED" if partly else _STATES[order.status]),
            "timeInForce": order.tif, "type": order.kind, "side": order.side.upper(),
            "stopPrice": order.stop or "0.00000000",
            **({} if share is None else {"trailingDelta": int(share * 10_000), "trailingTime": order.created}),
            "icebergQty": "0.00000000", "time": order.created,
            "updateTime": order.updated, "isWorking": True, "workingTime": order.created,
            "selfTradePreventionMode": "NONE",
        }  # fmt: skip


def _failed(code: int, data: dict[str, Any]) -> dict[str, Any]:
    words = "partially failed" if code == -2021 else "failed"
    return {"code": code, "msg": f"Order cancel-replace {words}.", "data": data}


def _refusal(why: str) -> dict[str, Any]:
    code, message = _REFUSALS[why]
    return {"code": code, "msg": message}


def _symbol(each: Listing) -> dict[str, Any]:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": each.tick, "maxPrice": "1000000.00", "tickSize": each.tick},
        {"filterType": "LOT_SIZE", "minQty": each.minimum, "maxQty": "9000000000000000000", "stepSize": each.lot},
    ]
    if each.least_cost:
        filters.append({"filterType": "NOTIONAL", "minNotional": each.least_cost, "maxNotional": "9000000.00"})
    return {
        "symbol": each.wire, "status": "TRADING", "baseAsset": each.base, "baseAssetPrecision": 8,
        "quoteAsset": each.quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT",
                       "TAKE_PROFIT_LIMIT"], "icebergAllowed": True,
        "ocoAllowed": True, "otoAllowed": True, "opoAllowed": True, "allowTrailingStop": True,
        "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "filters": filters,
        "permissions": [], "permissionSets": [["SPOT"]],
    }  # fmt: skip
