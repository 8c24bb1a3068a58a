"""OKX on loopback: api/v5 as www.okx.com/docs-v5/en/ describes it. Shapes are the examples given there."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.brokers.exchange import Asked, Listing, Reply, SimOrder, VenueRefuses
from tests.brokers.okx.algos import AlgoFake, AlgoRefused
from tests.brokers.sockets import FakeSocket
from tests.secrets.known import mint

KEY, SECRET, PASSPHRASE = mint("OKX key"), mint("OKX secret"), mint("OKX passphrase", 14) + "!9"
UID = "44705892343619584"

_REFUSALS = {
    "duplicate": ("51016", "Duplicated client order ID"),
    "funds": ("51008", "Order failed. Insufficient USDT balance in account."),
    "no_symbol": ("51001", "Instrument ID does not exist."),
    "not_found": ("51400", "Cancellation failed as the order does not exist."),
    "ended": ("51402", "Cancellation failed as the order is already completed."),
    "too_small": ("51020", "Your order should meet or exceed the minimum order amount."),
    "lot": ("51121", "Order quantity must be a multiple of the lot size."),
    "tick": ("51006", "Order price is not within the price limit"),
}
_CLIENT_ID = re.compile("[A-Za-z0-9]{1,32}")
_PUBLIC = ("/api/v5/public/", "/api/v5/market/", "/api/v5/finance/savings/lending-rate-summary")
_OPTIONS = [
    (f"BTC-USD-{day}-{strike}-{right}", at)
    for day, at in (("291228", "1893139200000"), ("300329", "1901001600000"))
    for strike in (25000, 30000, 35000)
    for right in "CP"
]
_STATES = {"open": "live", "filled": "filled", "canceled": "canceled"}


class OkxFake(AlgoFake):
    STREAMS = ("/ws/v5/private",)
    BAD = 200, {"code": "51000", "msg": "Parameter error", "data": []}

    def __init__(self) -> None:
        super().__init__(
            [
                Listing(
                    symbol="BTC/USDT", wire="BTC-USDT", base="BTC", quote="USDT", tick="0.1", lot="0.00000001",
                    minimum="0.00001",
                ),
                Listing(
                    symbol="TINY/USDT", wire="TINY-USDT", base="TINY", quote="USDT", tick="0.000000000000000001",
                    lot="0.000000000000000001", minimum="0.000000000000000001",
                    bid="0.000000000000000009", ask="0.000000000000000011", last="1E-17",
                ),
                Listing(
                    symbol="BTC/USDT:USDT", wire="BTC-USDT-SWAP", base="BTC", quote="USDT", tick="0.1", lot="0.01",
                    minimum="0.01", kind="swap", contract="0.01",
                ),
                Listing(
                    symbol="BTC/USDT:USDT-300329", wire="BTC-USDT-300329", base="BTC", quote="USDT", tick="0.1",
                    lot="0.01", minimum="0.01", kind="futures", contract="0.01", expires="1901001600000",
                ),
                Listing(
                    symbol="BTC/USDT:USDT-291228", wire="BTC-USDT-291228", base="BTC", quote="USDT", tick="0.1",
                    lot="0.01", minimum="0.01", kind="futures", contract="0.01", expires="1893139200000",
                ),
            ]
        )  # fmt: skip
        self.demo = True
        """What the key was made for."""
        self.perm = "read_only,trade"
        self.pos_mode = "net_mode"
        self.deposits = 3

    # -- what arrives ---------------------------------------------------------------------------------------------

    def client_id_of(self, asked: Asked) -> str | None:
        if asked.method == "POST" and asked.path == "/api/v5/trade/order-algo":
            return str((asked.body or {}).get("algoClOrdId"))
        if (asked.method, asked.path) != ("POST", "/api/v5/trade/order"):
            return None
        return str((asked.body or {}).get("clOrdId"))

    def duplicate(self) -> Reply:
        return 200, _placed("", "", "51016", "Duplicated client order ID")

    def other(self) -> Any:
        return _placed("312269865356374016", "somebodyelses", "0", "Order placed")

    def speak(self, asked: Asked) -> Reply:
        if asked.path.startswith(_PUBLIC):
            return self._public(asked)
        if (refusal := self._distrusted(asked)) is not None:
            return refusal
        found = getattr(self, "_" + asked.path.removeprefix("/api/v5/").replace("/", "_").replace("-", "_"), None)
        if found is None:
            return 404, {"code": "404", "msg": "no such path", "data": []}
        reply: Reply = found(asked)
        return reply

    def _distrusted(self, asked: Asked) -> Reply | None:
        """OK-ACCESS-SIGN is base64 of HMAC-SHA256 over timestamp + method + path with query + body."""
        headers = {name.upper(): value for name, value in asked.headers.items()}
        stamp = headers.get("OK-ACCESS-TIMESTAMP", "")
        text = stamp.encode() + asked.method.encode() + asked.target.encode() + asked.raw
        wanted = base64.b64encode(hmac.new(SECRET.encode(), text, hashlib.sha256).digest()).decode()
        if headers.get("OK-ACCESS-KEY") != KEY:
            return self._no("50111", "Invalid OK-ACCESS-KEY")
        if headers.get("OK-ACCESS-PASSPHRASE") != PASSPHRASE:
            return self._no("50105", "OK-ACCESS-PASSPHRASE incorrect")
        try:
            at = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        except ValueError:
            return self._no("50112", "Invalid OK-ACCESS-TIMESTAMP")
        if abs(at.timestamp() * 1000 - self.now()) > 30_000:
            return self._no("50102", "Timestamp request expired")
        if headers.get("OK-ACCESS-SIGN") != wanted:
            return self._no("50113", "Invalid Sign")
        if (headers.get("X-SIMULATED-TRADING") == "1") != self.demo:
            return self._no("50101", "APIKey does not match current environment")
        if asked.method == "POST" and "trade" not in self.perm:
            return self._no("50120", "This API key doesn't have permission to use this function", 200)
        return None

    def _no(self, code: str, message: str, status: int = 401) -> Reply:
        self.distrust(message)
        return status, {"msg": message, "code": code, "data": []}

    def _account_max_size(self, asked: Asked) -> Reply:
        """Five times the free USDT, as with a leverage of 5."""
        listing = self.listings[asked.query["instId"]]
        price, step = Decimal(asked.query.get("px") or 30_000), Decimal(listing.lot)
        most = str(self.balances["USDT"] * 5 / price // step * step)
        return _ok([{"ccy": "USDT", "instId": asked.query["instId"], "maxBuy": most, "maxSell": most}])

    # -- the stream -----------------------------------------------------------------------------------------------

    def stream_told(self, wire: FakeSocket, told: Any) -> None:
        """ "WebSocket", "Login" and "Order channel" of the documents."""
        if told == "ping":
            wire.say("pong")
        elif told.get("op") == "login":
            code, message = self._sign_in(told["args"][0])
            wire.notes["signed in"] = not code
            event = {"event": "error" if code else "login", "code": code or "0", "msg": message}
            wire.say(event | {"connId": "a4d3ae55"})
        elif not wire.notes.get("signed in"):
            wire.say({"event": "error", "code": "60011", "msg": "Please log in", "connId": "a4d3ae55"})
        elif told.get("op") == "subscribe":
            for about in told["args"]:
                wire.notes["subscribed"] = wire.notes.get("subscribed") or about["channel"] == "orders"
                wire.say({"event": "subscribe", "arg": about, "connId": "a4d3ae55"})

    def _sign_in(self, told: Mapping[str, Any]) -> tuple[str, str]:
        """sign is base64 of HMAC-SHA256 over timestamp + "GET" + "/users/self/verify"; the time is within 30 s."""
        text = f"{told['timestamp']}GET/users/self/verify"  # a number or text: OKX's own client sends a number
        wanted = base64.b64encode(hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()).decode()
        if told["apiKey"] != KEY:
            return "60005", "Invalid apiKey"
        if told["passphrase"] != PASSPHRASE:
            return "60024", "Wrong passphrase"
        if abs(int(told["timestamp"]) * 1000 - self.now()) > 30_000:
            return "60006", "Timestamp request expired"
        return ("", "") if told["sign"] == wanted else ("60007", "Invalid sign")

    def update(self, wire: FakeSocket, order: SimOrder) -> Any:
        about = {"channel": "orders", "instType": "ANY", "uid": UID}
        row = {"clOrdId": order.client_id, "ordId": order.order_id, "instId": order.wire, "accFillSz": order.filled,
               "state": _STATES[order.status], "uTime": str(self.now())}  # fmt: skip
        return {"arg": about, "data": [row]}

    # -- public ---------------------------------------------------------------------------------------------------

    def _public(self, asked: Asked) -> Reply:
        what = asked.path.removeprefix("/api/v5/")
        if what == "public/time":
            return _ok([{"ts": str(self.now())}])
        if what == "public/instruments":
            kind = asked.query["instType"]
            if kind == "OPTION":
                return self._options(asked.query.get("instFamily") or asked.query.get("uly", ""))
            return _ok([_instrument(each) for each in self.listings.values() if _type(each) == kind])
        if asked.query.get("instFamily"):
            return self._option_data(what, asked.query)
        if what == "finance/savings/lending-rate-summary":
            rows = [{"ccy": "USDT", "avgAmt": "10000", "avgAmtUsd": "10000000000", "avgRate": "0.01",
                     "preRate": "0.02", "estRate": "0.0123"},
                    {"ccy": "BTC", "avgAmt": "1", "avgAmtUsd": "30000", "avgRate": "0.01", "preRate": "0.02",
                     "estRate": "0.01"}]  # fmt: skip
            return _ok([row for row in rows if asked.query.get("ccy", row["ccy"]) == row["ccy"]])
        if what == "market/index-tickers":
            return _ok([{"instId": asked.query["instId"], "idxPx": "29998.1", "high24h": "30100", "sodUtc0": "1",
                         "open24h": "29900", "low24h": "29800", "sodUtc8": "1", "ts": str(self.now())}])  # fmt: skip
        listing = self.listings.get(asked.query.get("instId", ""))
        if listing is None:
            return 200, {"code": "51001", "msg": "Instrument ID does not exist", "data": []}
        if what.startswith("public/"):
            return self._contract(what.removeprefix("public/"), listing, asked.query)
        if what == "market/ticker":
            return _ok([self._ticker(listing)])
        if what == "market/books":
            return _ok(
                [{"asks": [[listing.ask, "0.6", "0", "1"]], "bids": [[listing.bid, "1.5", "0", "2"]],
                  "ts": str(self.now())}]
            )  # fmt: skip
        if what == "market/trades":
            return _ok(
                [{"instId": listing.wire, "side": "sell", "sz": "0.00001", "px": listing.last, "tradeId": "242720720",
                  "ts": str(self.now())}]
            )  # fmt: skip
        if what in ("market/candles", "market/history-candles"):
            start = self.now() // 60_000 * 60_000
            row = [listing.last, listing.ask, listing.bid, listing.last, "12.5", "375000", "375000", "1"]
            bars = [[str(start - back * 60_000), *row] for back in range(5)]
            return _ok(bars[: int(asked.query.get("limit", 100))])
        return 404, {"code": "404", "msg": "no such path", "data": []}

    def _options(self, family: str) -> Reply:
        if family == "ETH-USD":
            return _ok([])
        if family != "BTC-USD":
            return 200, {"code": "51000", "msg": "Parameter instFamily error", "data": []}
        return _ok(
            [
                {"instType": "OPTION", "instId": name, "uly": "BTC-USD", "instFamily": "BTC-USD", "settleCcy": "BTC",
                 "ctVal": "1", "ctMult": "0.01", "ctValCcy": "BTC", "optType": name[-1], "stk": name.split("-")[3],
                 "expTime": at, "tickSz": "0.0005", "lotSz": "1", "minSz": "1", "state": "live", "listTime": "1"}
                for name, at in _OPTIONS
            ]
        )  # fmt: skip

    def _option_data(self, what: str, query: Any) -> Reply:
        kind = {"instType": "OPTION"}
        if what == "market/tickers":
            return _ok(
                [
                    {**kind, "instId": name, "last": "0.021", "lastSz": "1", "askPx": "0.022", "askSz": "10",
                     "bidPx": "" if name.endswith("P") else "0.0205", "bidSz": "0", "ts": str(self.now())}
                    for name, _ in _OPTIONS
                ]
            )  # fmt: skip
        if what == "public/open-interest":
            return _ok([{**kind, "instId": name, "oi": "120", "oiCcy": "1.2", "ts": "1"} for name, _ in _OPTIONS])
        if what == "public/opt-summary":
            return _ok(
                [
                    {**kind, "instId": name, "uly": "BTC-USD", "delta": "0.7", "deltaBS": "0.55", "gammaBS": "0.00003",
                     "thetaBS": "-31.5", "vegaBS": "24.1", "markVol": "0.6412", "bidVol": "0.6", "askVol": "0.7",
                     "fwdPx": "30100", "ts": "1"}
                    for name, _ in _OPTIONS
                    if name.split("-")[2] == query["expTime"]
                ]
            )  # fmt: skip
        return 404, {"code": "404", "msg": "no such path", "data": []}

    def _ticker(self, listing: Listing) -> dict[str, str]:
        return {
            "instType": _type(listing), "instId": listing.wire, "last": listing.last, "lastSz": "0.1",
            "askPx": listing.ask, "askSz": "11", "bidPx": listing.bid, "bidSz": "5", "open24h": listing.last,
            "high24h": listing.ask, "low24h": listing.bid, "volCcy24h": "2222", "vol24h": "2222",
            "ts": str(self.now()),
        }  # fmt: skip

    def _contract(self, what: str, listing: Listing, query: Any) -> Reply:
        kind, at = {"instType": _type(listing), "instId": listing.wire}, self.now()
        if what == "funding-rate":
            return _ok([{**kind, "method": "current_period", "formulaType": "noRate", "fundingRate": "-0.0000182221",
                         "nextFundingRate": "", "fundingTime": "1893484800000", "nextFundingTime": "1893513600000",
                         "minFundingRate": "-0.00375", "maxFundingRate": "0.00375", "interestRate": "0",
                         "impactValue": "", "settState": "settled", "settFundingRate": "0.0000145824401745",
                         "premium": "0", "ts": str(at)}])  # fmt: skip
        if what == "mark-price":
            return _ok([{**kind, "markPx": "30000.2", "ts": str(at)}])
        if what == "open-interest":
            return _ok([{**kind, "oi": "2125419", "oiCcy": "21254.19", "oiUsd": "637625700", "ts": str(at)}])
        if what == "funding-rate-history":
            rows = [
                {**kind, "formulaType": "noRate", "fundingRate": "0.0000746604960499",
                 "fundingTime": str(1_703_059_200_000 - back * 28_800_000), "method": "next_period",
                 "realizedRate": "0.0000746572360545"}
                for back in range(5)
            ]  # fmt: skip
            return _ok(rows[: int(query["limit"])])
        return 404, {"code": "404", "msg": "no such path", "data": []}

    # -- private --------------------------------------------------------------------------------------------------

    def _account_config(self, asked: Asked) -> Reply:
        return _ok(
            [{"uid": UID, "mainUid": UID, "acctLv": self.level, "posMode": self.pos_mode, "autoLoan": False,
              "level": "Lv1", "label": "tradelatch", "ip": "", "perm": self.perm, "kycLv": "3"}]
        )  # fmt: skip

    def _account_balance(self, asked: Asked) -> Reply:
        details = [
            {"ccy": code, "eq": format(total, "f"), "cashBal": format(total, "f"), "availEq": "",
             "availBal": format(total - self.on_hold(code), "f"), "frozenBal": format(self.on_hold(code), "f"),
             "upl": "0", "uTime": str(self.now())}
            for code, total in self.balances.items()
            if code in asked.query.get("ccy", code).split(",")
        ]  # fmt: skip
        return _ok([{"totalEq": "160000", "uTime": str(self.now()), "details": details}])

    def _account_positions(self, asked: Asked) -> Reply:
        return _ok(
            [{"instType": "SWAP", "mgnMode": "cross", "posId": "307173036051017730", "posSide": "net", "pos": "-3.5",
              "ccy": "USDT", "avgPx": "29000.1", "upl": "-35.0035", "instId": "BTC-USDT-SWAP", "lever": "5",
              "markPx": "30000.2", "last": "30000", "cTime": str(self.now()), "uTime": str(self.now())}]
        )  # fmt: skip

    def _account_leverage_info(self, asked: Asked) -> Reply:
        sides = ("long", "short") if self.pos_mode == "long_short_mode" else ("net",)
        return _ok(
            [{"ccy": "", "instId": asked.query["instId"], "mgnMode": asked.query["mgnMode"], "posSide": side,
              "lever": "5"} for side in sides]
        )  # fmt: skip

    def _account_trade_fee(self, asked: Asked) -> Reply:
        return _ok(
            [{"category": "1", "instType": asked.query["instType"], "level": "Lv1", "maker": "-0.0008",
              "taker": "-0.001", "makerU": "-0.0002", "takerU": "-0.0005", "ts": str(self.now())}]
        )  # fmt: skip

    def _account_bills(self, asked: Asked) -> Reply:
        rows = [
            {"bal": "8694.2179403378290202", "balChg": "-0.0219338232210000", "billId": "623950854533513219",
             "ccy": "USDT", "fee": "-0.000021", "instId": "BTC-USDT", "instType": "SPOT", "ordId": "623950854525124608",
             "subType": "1", "sz": "0.0219", "ts": "1695033476167", "type": "2"},
            {"bal": "100", "balChg": "100", "billId": "623950854533513218", "ccy": "USDT", "fee": "0", "instId": "",
             "instType": "", "ordId": "", "subType": "11", "sz": "100", "ts": "1695033400000", "type": "1"},
        ]  # fmt: skip
        end = int(asked.query.get("end", 10**15))
        return _ok([row for row in rows if int(row["ts"]) < end])

    def _asset_deposit_history(self, asked: Asked) -> Reply:
        rows = [
            {"actualDepBlkConfirm": "2", "amt": "1.5", "areaCodeFrom": "", "ccy": "BTC", "chain": "BTC-Bitcoin",
             "depId": f"8875{number:02d}", "from": "", "fromWdId": "", "state": "2" if number else "0",
             "to": "bc1qfakefakefakefakefakefakefakefakefake0", "ts": str(1_674_103_661_000 - number * 1000),
             "txId": "16f3638329d6bc0a6a0a2b0e5f3a6b3f"}
            for number in range(self.deposits)
        ]  # fmt: skip
        return _ok(_between(asked, rows))

    def _asset_withdrawal_history(self, asked: Asked) -> Reply:
        rows = [
            {"note": "", "chain": "ETH-Ethereum", "fee": "0.007", "feeCcy": "ETH", "ccy": "ETH", "clientId": "",
             "toAddrType": "1", "amt": "0.029809", "txId": "0x35c360986dfa3a0b", "from": "156****359", "to":
             "0xa30d1fab********7CF18C7B6C579", "state": "2", "ts": "1655251200000", "nonTradableAsset": False,
             "wdId": "15447421"}
        ]  # fmt: skip
        return _ok(_between(asked, rows))

    def _asset_deposit_address(self, asked: Asked) -> Reply:
        if asked.query["ccy"] == "XRP":
            return _ok([{"addr": "rfakefakefakefakefakefakefake", "tag": "1248", "chain": "XRP-Ripple", "ctAddr": "",
                         "ccy": "XRP", "to": "6", "selected": True}])  # fmt: skip
        if asked.query["ccy"] != "BTC":
            return 200, {"code": "51000", "msg": "Parameter ccy error", "data": []}
        return _ok([{"addr": "bc1qfakefakefakefakefakefakefakefakefake0", "chain": "BTC-Bitcoin", "ctAddr": "",
                     "ccy": "BTC", "to": "6", "selected": True, "verifiedName": ""}])  # fmt: skip

    def _finance_savings_balance(self, asked: Asked) -> Reply:
        rows = [{"ccy": "USDT", "amt": "100.5", "earnings": "0.0010737388791526", "rate": "0.01",
                     "loanAmt": "100", "pendingAmt": "0.5", "redemptAmt": "0"}]  # fmt: skip
        return _ok([row for row in rows if asked.query.get("ccy", row["ccy"]) == row["ccy"]])

    def _finance_staking_defi_offers(self, asked: Asked) -> Reply:
        rows = [
            {"ccy": "DOT", "productId": "101", "protocol": "Polkadot", "protocolType": "staking", "term": "28",
             "apy": "0.1767", "earlyRedeem": False, "state": "purchasable", "earningData":
             [{"ccy": "DOT", "earningType": "0"}], "investData":
             [{"bal": "0", "ccy": "DOT", "maxAmt": "0", "minAmt": "2"}], "fastRedemptionDailyLimit": "",
             "redeemPeriod": ["28D", "28D"]},
            {"ccy": "ETH", "productId": "1", "protocol": "Aave", "protocolType": "defi", "term": "0", "apy": "0.0085",
             "earlyRedeem": False, "state": "purchasable", "earningData": [{"ccy": "ETH", "earningType": "0"}],
             "investData": [{"bal": "0", "ccy": "ETH", "maxAmt": "0", "minAmt": "0.001"}],
             "fastRedemptionDailyLimit": "", "redeemPeriod": ["1D", "1D"]},
        ]  # fmt: skip
        return _ok([row for row in rows if asked.query.get("ccy", row["ccy"]) == row["ccy"]])

    def _finance_staking_defi_orders_active(self, asked: Asked) -> Reply:
        return _ok([{"ordId": "2413499", "ccy": "DOT", "productId": "101", "state": "1", "protocol": "Polkadot",
                     "protocolType": "staking", "term": "28", "apy": "0.1014", "investData":
                     [{"ccy": "DOT", "amt": "2.5"}], "earningData":
                     [{"ccy": "DOT", "earningType": "0", "earnings": "0.10615025"}],
                     "purchasedTime": "1597026383085", "estSettlementTime": "", "tag": ""}])  # fmt: skip

    def _trade_order(self, asked: Asked) -> Reply:
        if asked.method == "GET":
            found = self.by_client(asked.query.get("clOrdId", "")) or self.orders.get(asked.query.get("ordId", ""))
            if found is None or found.wire != asked.query.get("instId"):
                return 200, {"code": "51603", "msg": "Order does not exist", "data": []}
            return _ok([self._order(found)])
        # An empty text counts as left out.
        body = {name: value for name, value in asked.body.items() if value not in ("", None)}
        kind, spot = body["ordType"], self._kind_of(body["instId"]) == "spot"
        # Of a market order: what its size is counted in, where that is not said.
        counted_in = body.get("tgtCcy", "quote_ccy" if body["side"] == "buy" else "base_ccy")
        cost = body["sz"] if kind == "market" and spot and counted_in == "quote_ccy" else ""
        ours = str(body.get("clOrdId", ""))
        if ours and not _CLIENT_ID.fullmatch(ours):
            return 200, _placed("", ours, "51000", "Parameter clOrdId error")
        if kind in ("limit", "ioc", "fok", "post_only") and "px" not in body:
            return 200, _placed("", ours, "51000", "Parameter px error")
        if body["tdMode"] not in (("cash",) if spot else ("cross", "isolated")):
            return 200, _placed("", ours, "51000", "Parameter tdMode error")
        exits = body.get("attachAlgoOrds", [])
        try:
            for each in exits:
                self.check_exits(each, "sell" if body["side"] == "buy" else "buy", body.get("px") or self._last(body))
            self.next_exits = dict(exits[0]) if exits else None
            made = self.place(
                {
                    "client_id": ours,
                    "wire": body["instId"],
                    "side": body["side"],
                    "kind": kind,
                    "tif": kind.upper() if kind in ("ioc", "fok") else "GTC",
                    "price": body.get("px", ""),
                    "cost": cost,
                    "amount": "" if cost else body["sz"],
                    "post_only": kind == "post_only",
                    "reduce_only": body.get("reduceOnly", False) is True,
                    "fee_in": "base" if spot and body["side"] == "buy" else "quote",
                    "shrinks": kind == "market" and spot and body.get("banAmend", False) is not True,
                }
            )
        except AlgoRefused as refused:
            return 200, _placed("", ours, refused.code, refused.message)
        except VenueRefuses as refusal:
            return 200, _placed("", ours, *_REFUSALS[refusal.why])
        return 200, _placed(made.order_id, made.client_id, "0", "Order placed")

    def _last(self, body: Mapping[str, str]) -> str:
        return self.listings[body["instId"]].last

    def _kind_of(self, wire: str) -> str:
        listing = self.listings.get(wire)
        return "spot" if listing is None else listing.kind

    def _meant(self, body: Mapping[str, str]) -> SimOrder | None:
        """By OKX's id, or else by the one its owner gave; in the instrument that is named."""
        found = self.orders.get(body.get("ordId") or "") or self.by_client(body.get("clOrdId") or "?")
        return found if found is not None and found.wire == body["instId"] else None

    def _trade_cancel_order(self, asked: Asked) -> Reply:
        try:
            ended = self.take_back(self._meant(asked.body))
        except VenueRefuses as refusal:
            return 200, _placed(asked.body.get("ordId", ""), "", *_REFUSALS[refusal.why])
        return 200, _placed(ended.order_id, ended.client_id, "0", "")

    def _trade_amend_order(self, asked: Asked) -> Reply:
        body = {name: value for name, value in asked.body.items() if value != ""}
        known = {"instId", "ordId", "clOrdId", "reqId", "newSz", "newPx", "cxlOnFail", "attachAlgoOrds"}
        if unknown := set(body) - known:
            return 200, _placed("", "", "51000", f"Parameter {sorted(unknown)} error")
        try:
            meant = self._meant(body)
            if meant is not None and "attachAlgoOrds" in body:
                self.amend_attached(meant, body["attachAlgoOrds"])
            made = self.change(meant, amount=body.get("newSz", ""), price=body.get("newPx", ""))
        except AlgoRefused as refused:
            return 200, _placed(body.get("ordId", ""), "", refused.code, refused.message)
        except VenueRefuses as refusal:
            code = {"not_found": "51503", "ended": "51510"}[refusal.why]
            return 200, _placed(body.get("ordId", ""), "", code, "Modification failed")
        return 200, _placed(made.order_id, made.client_id, "0", "")

    def _trade_orders_pending(self, asked: Asked) -> Reply:
        return _ok(self._page(asked, [each for each in self.newest() if each.status == "open"]))

    def _trade_orders_history(self, asked: Asked) -> Reply:
        kind = asked.query["instType"]
        return _ok(
            self._page(
                asked,
                [each for each in self.newest() if each.status != "open" and _type(self.listings[each.wire]) == kind],
            )
        )

    def _page(self, asked: Asked, rows: list[SimOrder]) -> list[dict[str, Any]]:
        after = int(asked.query.get("after", 10**18))
        limit = min(int(asked.query.get("limit") or 100), 100)
        wanted = {
            name: asked.query[name] for name in ("instType", "instId", "ordType", "state") if asked.query.get(name)
        }
        told = [self._order(each) for each in rows if int(each.order_id) < after]
        return [row for row in told if all(row[name] == value for name, value in wanted.items())][:limit]

    def _trade_fills_history(self, asked: Asked) -> Reply:
        rows = [
            {"instType": _type(self.listings[each.wire]), "instId": each.wire, "tradeId": each.trade_id,
             "ordId": each.order_id, "clOrdId": self.orders[each.order_id].client_id, "billId": each.trade_id,
             "fillPx": each.price, "fillSz": each.amount, "side": each.side, "posSide": "net", "execType": "T",
             "feeCcy": each.fee_currency, "fee": "-" + each.fee, "ts": str(each.at), "fillTime": str(each.at)}
            for each in self.trades()
            if _type(self.listings[each.wire]) == asked.query["instType"]
            and asked.query.get("instId", each.wire) == each.wire
        ]  # fmt: skip
        begin, end = int(asked.query.get("begin", 0)), int(asked.query.get("end", 10**15))
        return _ok([row for row in rows if begin <= int(str(row["ts"])) <= end][: int(asked.query.get("limit", 100))])

    def _order(self, order: SimOrder) -> dict[str, Any]:
        listing = self.listings[order.wire]
        algo = next((each for each in self.algos.values() if each.order_id == order.order_id), None)
        partly = order.status == "open" and order.filled != "0"
        paid_in = listing.base if order.fee_in == "base" else listing.quote
        return {
            "instType": _type(listing), "instId": order.wire, "ordId": order.order_id, "clOrdId": order.client_id,
            "tag": "", "px": order.price, "sz": order.cost or order.amount, "ordType": order.kind, "side": order.side,
            "posSide": "net", "tdMode": "cash", "accFillSz": order.filled, "fillPx": order.average,
            "tradeId": order.trades[-1].trade_id if order.trades else "", "fillSz": order.filled,
            "fillTime": str(order.updated) if order.trades else "", "avgPx": order.average,
            "state": order.reported_as or ("partially_filled" if partly else _STATES[order.status]), "lever": "",
            "feeCcy": paid_in, "fee": "-" + order.fee if Decimal(order.fee) else "0", "rebate": "0",
            "rebateCcy": listing.base, "tgtCcy": "quote_ccy" if order.cost else "base_ccy", "category": "normal",
            "attachAlgoOrds": self.attached_rows(order), "algoId": algo.algo_id if algo else "",
            "algoClOrdId": algo.client_id if algo else "",
            "reduceOnly": "true" if order.reduce_only else "false", "uTime": str(order.updated),
            "cTime": str(order.created),
        }  # fmt: skip


def _between(asked: Asked, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``before`` is the older end and ``after`` the newer one; neither is included."""
    after, before = int(asked.query.get("after", 10**15)), int(asked.query.get("before", 0))
    return [row for row in rows if before < int(row["ts"]) < after][: int(asked.query.get("limit", 100))]


def _ok(data: list[Any]) -> Reply:
    return 200, {"code": "0", "msg": "", "data": data}


def _placed(order_id: str, client_id: str, code: str, message: str) -> dict[str, Any]:
    return {
        "code": "0" if code == "0" else "1",
        "msg": "" if code == "0" else "All operations failed",
        "data": [{"clOrdId": client_id, "ordId": order_id, "tag": "", "sCode": code, "sMsg": message}],
        "inTime": "1695190491421339",
        "outTime": "1695190491423240",
    }


def _type(listing: Listing) -> str:
    return listing.kind.upper()


def _instrument(each: Listing) -> dict[str, str]:
    contract = each.kind != "spot"
    return {
        "instType": _type(each), "instId": each.wire, "uly": f"{each.base}-{each.quote}" if contract else "",
        "instFamily": f"{each.base}-{each.quote}" if contract else "", "baseCcy": "" if contract else each.base,
        "quoteCcy": "" if contract else each.quote, "settleCcy": each.quote if contract else "",
        "ctVal": each.contract if contract else "", "ctMult": "1" if contract else "",
        "ctValCcy": each.base if contract else "", "ctType": "linear" if contract else "", "lever": "10",
        "tickSz": each.tick, "lotSz": each.lot, "minSz": each.minimum, "maxLmtSz": "9999999999", "maxMktSz": "1000000",
        "state": "live", "listTime": "1606468572000", "expTime": each.expires,
        "instCategory": "3" if each.base in ("TSLA", "AAPLX") else "1",
    }  # fmt: skip
