"""Kraken spot on loopback: /0/public and /0/private. Shapes are the examples of docs.kraken.com/api/docs/rest-api/."""

import base64
import hashlib
import hmac
import re
from decimal import Decimal
from typing import Any

from tests.brokers.exchange import Asked, CryptoFake, Listing, Reply, SimOrder, VenueRefuses
from tests.brokers.sockets import FakeSocket
from tests.secrets.known import keep, mint

KEY = mint("Kraken key", 56)
SECRET = keep("Kraken secret", base64.b64encode(mint("Kraken secret, plain", 64).encode()).decode())

_REFUSALS = {
    "duplicate": "EOrder:Invalid cl_ord_id:duplicate",
    "funds": "EOrder:Insufficient funds",
    "no_symbol": "EQuery:Unknown asset pair",
    "not_found": "EOrder:Unknown order",
    "ended": "EOrder:Unknown order",
    "too_small": "EOrder:Order minimum not met",
    "lot": "EGeneral:Invalid arguments:volume",
    "tick": "EOrder:Invalid price",
    "bad": "EGeneral:Invalid arguments",
}
_YES = ("true", "True", "1")
_STATES = {"open": "open", "filled": "closed", "canceled": "canceled"}
_ASSETS = {"BTC": "XXBT", "USD": "ZUSD", "EUR": "ZEUR"}


class KrakenFake(CryptoFake):
    STREAMS = ("/v2",)
    CLOSED_IDS_STAY = False
    BAD = 200, {"error": ["EGeneral:Invalid arguments"]}

    def __init__(self) -> None:
        super().__init__(
            [
                Listing(
                    symbol="BTC/USD", wire="XXBTZUSD", base="BTC", quote="USD", tick="0.1", lot="0.00000001",
                    minimum="0.00005", least_cost="0.5",
                ),
                Listing(
                    symbol="TINY/USD", wire="TINYUSD", base="TINY", quote="USD", tick="0.000000000000000001",
                    lot="0.000000000000000001", minimum="0.000000000000000001",
                    bid="0.000000000000000009", ask="0.000000000000000011", last="1E-17",
                ),
            ]
        )  # fmt: skip
        self.balances.pop("USDT")
        self.nonce = 0
        self.tokens: set[str] = set()
        """For streams."""
        self.page = 50
        self.closes_late = False
        """A conditional close is not placed yet when its order has filled."""

    # -- what arrives ---------------------------------------------------------------------------------------------

    def client_id_of(self, asked: Asked) -> str | None:
        body = asked.body or {}
        return str(body.get("cl_ord_id")) if asked.path == "/0/private/AddOrder" and not _validates(body) else None

    def duplicate(self) -> Reply:
        return 200, {"error": [_REFUSALS["duplicate"]]}

    def other(self) -> Any:
        return {"error": [], "result": {"descr": {"order": "buy 1.25000000 XBTUSD @ limit 27500.0"},
                                        "txid": ["OU22CG-KLAF2-FWUDD7"]}}  # fmt: skip

    def speak(self, asked: Asked) -> Reply:
        name = asked.path.rpartition("/")[2]
        if asked.path.startswith("/0/public/"):
            found = getattr(self, f"_public_{name.lower()}", None)
            try:
                return found(asked.query) if found else (404, {"error": ["EGeneral:Unknown method"]})
            except VenueRefuses as refusal:
                return 200, {"error": [_REFUSALS[refusal.why]]}
        if (why := self._distrusted(asked)) is not None:
            self.distrust(why)
            return 200, {"error": [why]}
        name = "earn_" + name if "/Earn/" in asked.path else name
        found = getattr(self, f"_{name.lower()}", None)
        if asked.method != "POST" or found is None:
            return 404, {"error": ["EGeneral:Unknown method"]}
        try:
            return 200, {"error": [], "result": found(asked.body)}
        except VenueRefuses as refusal:
            return 200, {"error": [_REFUSALS[refusal.why]]}

    def _distrusted(self, asked: Asked) -> str | None:
        """API-Sign: base64 of HMAC-SHA512, with the decoded secret, over the path + SHA256(nonce + body)."""
        headers = {name.lower(): value for name, value in asked.headers.items()}
        nonce = asked.body["nonce"]
        digest = hashlib.sha256(nonce.encode() + asked.raw).digest()
        wanted = hmac.new(base64.b64decode(SECRET), asked.path.encode() + digest, hashlib.sha512).digest()
        if headers.get("api-key") != KEY:
            return "EAPI:Invalid key"
        if headers.get("api-sign") != base64.b64encode(wanted).decode():
            return "EAPI:Invalid signature"
        if int(nonce) <= self.nonce:
            return "EAPI:Invalid nonce"
        self.nonce = int(nonce)
        return None

    # -- the stream -----------------------------------------------------------------------------------------------

    def _getwebsocketstoken(self, body: Any) -> Any:
        token = f"1Dwc4lzSwNWOAwkMdqhssNNFhs1ed606d1WcF3XfEMw{next(self._ids)}"
        self.tokens.add(token)
        return {"token": token, "expires": 900}

    def stream_opened(self, wire: FakeSocket) -> None:
        wire.say({"channel": "status", "type": "update", "data": [{"system": "online", "api_version": "v2"}]})

    def stream_told(self, wire: FakeSocket, told: Any) -> None:
        """ "Executions" and "Ping" of the documents of WebSocket API v2."""
        asked = told.get("params", {})
        at = {"time_in": "2026-11-30T12:00:00.000000Z", "time_out": "2026-11-30T12:00:00.000100Z"}
        if told["method"] == "ping":
            wire.say({"method": "pong", **at})
        elif asked.get("token") not in self.tokens:
            wire.say({"error": "ESession:Invalid session", "method": told["method"], "success": False, **at})
        elif told["method"] == "subscribe" and asked.get("channel") == "executions":
            wire.notes |= {"subscribed": True, "sequence": 1}
            taken = {"channel": "executions", "snap_orders": False, "snap_trades": False}
            wire.say({"method": "subscribe", "result": taken, "success": True, **at})
            wire.say({"channel": "executions", "type": "snapshot", "data": [], "sequence": 1})
            wire.say({"channel": "heartbeat"})

    def update(self, wire: FakeSocket, order: SimOrder) -> Any:
        wire.notes["sequence"] += 1
        row = {"order_id": order.order_id, "exec_type": "trade" if order.trades else "new", "symbol": "BTC/USD",
               "side": order.side, "order_status": order.status, "timestamp": "2026-11-30T12:00:00.0Z"}  # fmt: skip
        named = {"cl_ord_id": order.client_id} if order.client_id else {}
        return {"channel": "executions", "type": "update", "data": [row | named], "sequence": wire.notes["sequence"]}

    # -- public ---------------------------------------------------------------------------------------------------

    def _public_time(self, query: Any) -> Reply:
        return 200, {"error": [], "result": {"unixtime": self.now() // 1000, "rfc1123": ""}}

    def _public_assetpairs(self, query: Any) -> Reply:
        wanted = [self._pair_of(name) for name in query["pair"].split(",")] if "pair" in query else None
        rows = {each.wire: _pair(each) for each in self.listings.values() if wanted is None or each in wanted}
        return 200, {"error": [], "result": rows}

    def _pair_of(self, name: str) -> Listing:
        """Pairs go by their own name, by one without the classes of their coins, and by one with a stroke."""
        for each in self.listings.values():
            if name in (each.wire, _pair(each)["altname"], _pair(each)["wsname"], each.symbol):
                return each
        raise VenueRefuses("no_symbol")

    def _public_ticker(self, query: Any) -> Reply:
        each = self._pair_of(query["pair"])
        return 200, {"error": [], "result": {each.wire: {
            "a": [each.ask, "1", "1.000"], "b": [each.bid, "1", "1.000"], "c": [each.last, "0.00067643"],
            "v": ["4083.67001100", "4412.73601799"], "p": [each.last, each.last], "t": [34619, 38907],
            "l": [each.bid, each.bid], "h": [each.ask, each.ask], "o": each.last,
        }}}  # fmt: skip

    def _public_depth(self, query: Any) -> Reply:
        each, at = self._pair_of(query["pair"]), self.now() // 1000
        return 200, {"error": [], "result": {each.wire: {"asks": [[each.ask, "2.059", at]],
                                                         "bids": [[each.bid, "1.115", at]]}}}  # fmt: skip

    def _public_trades(self, query: Any) -> Reply:
        each = self._pair_of(query["pair"])
        rows = [[each.last, "0.34507674", self.now() / 1000, "b", "m", "", 61044952]]
        return 200, {"error": [], "result": {each.wire: rows, "last": "1688671969993150842"}}

    def _public_ohlc(self, query: Any) -> Reply:
        each, start = self._pair_of(query["pair"]), self.now() // 60_000 * 60
        rows = [
            [start - back * 60, each.last, each.ask, each.bid, each.last, each.last, "3.39243896", 23]
            for back in reversed(range(5))
        ]
        return 200, {"error": [], "result": {each.wire: rows, "last": start}}

    # -- private --------------------------------------------------------------------------------------------------

    def _balanceex(self, body: dict[str, str]) -> Any:
        return {
            _ASSETS.get(code, code): {"balance": format(total, "f"), "hold_trade": format(self.on_hold(code), "f")}
            for code, total in self.balances.items()
        }

    def _balance(self, body: dict[str, str]) -> Any:
        return {_ASSETS.get(code, code): format(total, "f") for code, total in self.balances.items()}

    def _tradevolume(self, body: dict[str, str]) -> Any:
        tier = {"minfee": "0.1000", "maxfee": "0.2600", "nextfee": "0.2400", "tiervolume": "0.0000"}
        return {"currency": "ZUSD", "volume": "200709587.4223", "fees": {body["pair"]: {"fee": "0.1000", **tier}},
                "fees_maker": {body["pair"]: {"fee": "0.0800", **tier}}}  # fmt: skip

    def _depositstatus(self, body: dict[str, str]) -> Any:
        rows = [
            {"method": "Bitcoin", "aclass": "currency", "asset": "XXBT", "refid": "FTQcuak-V6Za8qrWnhzTx67yYHz8Tg",
             "txid": "6544b41b607d8b2512baf801755a3a87b6890eacdb451be8a94059fb11f0a8d9",
             "info": "2Myd4eaAW96ojk38A2uDK4FbioCayvkEgVq", "amount": "0.78125000", "fee": "0.0000000000",
             "time": 1688992722, "status": "Success"},
            {"method": "Ether (Hex)", "aclass": "currency", "asset": "XETH", "refid": "FTQcuak-V6Za8qrPnhsTx47yYLz8Tg",
             "txid": "0x339c505eba389bf2c6bebb982cc30c6d82d0bd6a37521fa292890b6b180affc0",
             "info": "0xca210f4121dc891c9154026c3ae3d1832a005048", "amount": "0.1383862742", "fee": "0.0000000000",
             "time": 1688992700, "status": "Settled", "status-prop": "on-hold"},
        ]  # fmt: skip
        begin, end = float(body.get("start", 0)), float(body.get("end", 10**12))
        return [row for row in rows if begin <= int(str(row["time"])) <= end]

    def _depositmethods(self, body: dict[str, str]) -> Any:
        return [{"method": name, "limit": False, "fee": "0.0000000000", "gen-address": True, "minimum": "0.00010000"}
                for name in ("Bitcoin", "Bitcoin Lightning")]  # fmt: skip

    def _depositaddresses(self, body: dict[str, str]) -> Any:
        if body.get("new") in _YES or body["method"] != "Bitcoin":
            return []
        return [{"address": "2N9fRkx5JTWXWHmXzZtvhQsufvoYRMq9ExV", "expiretm": "0", "new": True},
                {"address": "2NCpXUCEYr8ur9WXM1tAjZSem2w3aQeTcAo", "expiretm": "1600000000"}]  # fmt: skip

    def _earn_strategies(self, body: dict[str, str]) -> Any:
        items = [
            {"id": "ESRFUO3-Q62XD-WIOIL7", "asset": "DOT", "lock_type": {"type": "instant", "payout_frequency": 604800},
             "apr_estimate": {"low": "8.0000", "high": "12.0000"}, "user_min_allocation": "0.01",
             "allocation_fee": "0.0000", "deallocation_fee": "0.0000", "auto_compound": {"type": "enabled"},
             "yield_source": {"type": "staking"}, "can_allocate": True, "can_deallocate": True,
             "allocation_restriction_info": []},
            {"id": "ESCLOSE-DDDDD-DDDDDD", "asset": "XXBT", "lock_type": {"type": "flex"}, "yield_source":
             {"type": "off_chain"}, "can_allocate": False, "can_deallocate": True, "allocation_restriction_info":
             ["tier"]},
            {"id": "ESXUM7H-SJHQ6-KOQNNI", "asset": "ETH", "lock_type": {"type": "timed", "duration": 2592000},
             "apr_estimate": {"low": "2.5000", "high": "7.0000"}, "user_min_allocation": "0.005", "allocation_fee":
             "0.0000", "deallocation_fee": "0.0000", "auto_compound": {"type": "enabled"}, "yield_source":
             {"type": "staking"}, "can_allocate": True, "can_deallocate": True, "allocation_restriction_info": []},
        ]  # fmt: skip
        fitting = [each for each in items if body.get("asset", each["asset"]) == each["asset"]]
        begin = int(body.get("cursor", 0))
        following = str(begin + 2) if begin + 2 < len(fitting) else None
        return {"next_cursor": following, "items": fitting[begin : begin + 2]}

    def _earn_allocations(self, body: dict[str, str]) -> Any:
        return {"converted_asset": "USD", "total_allocated": "49.2398", "total_rewarded": "0.0675", "next_cursor": "2",
                "items": [{"strategy_id": "ESDQCOL-WTZEU-NU55QF", "native_asset": "ETH", "amount_allocated":
                           {"total": {"native": "0.0210000000", "converted": "39.0645"}}, "total_rewarded":
                           {"native": "0.00002", "converted": "0.0675"}}]}  # fmt: skip

    def _ledgers(self, body: dict[str, str]) -> Any:
        if body.get("type") == "withdrawal":
            at = 1688464400.5
            row = {"aclass": "currency", "amount": "-0.7250000000", "asset": "XXBT", "balance": "0.1", "fee":
                   "0.0000200000", "refid": "FTQcuak-V6Za8qrPnhsTx47yYLz8Tg-W", "time": at, "type": "withdrawal",
                   "subtype": ""}  # fmt: skip
            return {"ledger": {"LWITHD-RAWAL1-UFO4T5": row} if at < float(body.get("end", 10**12)) else {}, "count": 1}
        return {"ledger": {"L4UESK-KG3EQ-UFO4T5": {
            "aclass": "currency", "amount": "-24.5000", "asset": "ZUSD", "balance": "459567.9171", "fee": "0.0490",
            "refid": "TJKLXF-PGMUI-4NTLXU", "time": 1688464484.1787, "type": "trade", "subtype": ""}},
            "count": 1}  # fmt: skip

    def _addorder(self, body: dict[str, str]) -> Any:
        kind = body["ordertype"]
        stops, trails = kind.startswith(("stop-loss", "take-profit")), kind == "trailing-stop"
        if trails and not _TRAIL.fullmatch(body.get("price", "")):
            raise VenueRefuses("bad")
        close = {name[6:-1]: value for name, value in body.items() if name.startswith("close[")}
        if close and not _closes(close):
            raise VenueRefuses("bad")
        if (kind != "market" and "price" not in body) or (kind.endswith("-limit") and "price2" not in body):
            raise VenueRefuses("bad")
        listing, flags = self._pair_of(body["pair"]), body.get("oflags", "").split(",")
        if _class_of(listing.base) != body.get("asset_class", "currency"):
            raise VenueRefuses("no_symbol")
        words = f"{body['type']} {body['volume']} {listing.wire} @ {kind} {body.get('price', '')}"
        if _validates(body):
            return {"descr": {"order": words}}
        # Without a flag the fee is taken of what is received.
        in_base = "fcib" in flags or ("fciq" not in flags and body["type"] == "sell")
        made = self.place(
            {
                "client_id": body.get("cl_ord_id", ""),
                "wire": listing.wire,
                "side": body["type"],
                "kind": kind,
                "tif": body.get("timeinforce", "GTC"),
                "price": "" if trails else body.get("price2" if stops else "price", ""),
                "stop": body.get("price", "") if stops else "",
                "trail": body["price"].lstrip("+") if trails else "",
                "exits": close,
                "amount": "" if "viqc" in flags else body["volume"],
                "cost": body["volume"] if "viqc" in flags else "",
                "post_only": "post" in flags,
                "fee_in": "base" if in_base else "quote",
            }
        )
        return {"descr": {"order": words}, "txid": [made.order_id]}

    def filled(self, order: SimOrder, part: Decimal) -> None:
        """A conditional close: an order of its own for what has filled, with the other side."""
        if not order.exits or self.closes_late:
            return
        kind, price = order.exits["ordertype"], order.exits["price"]
        stops, trails = kind.startswith(("stop-loss", "take-profit")), kind == "trailing-stop"
        made = self.place(
            {
                "client_id": "",
                "wire": order.wire,
                "side": "sell" if order.side == "buy" else "buy",
                "kind": kind,
                "price": "" if trails else order.exits.get("price2", "") if stops else price,
                "stop": price if stops else "",
                "trail": price.lstrip("+") if trails else "",
                "amount": format(part, "f"),
                "placed_by": order.order_id,
                "fee_in": "base" if order.side == "buy" else "quote",
            }
        )
        assert made.status == "open" or not stops

    def _queryorders(self, body: dict[str, str]) -> Any:
        return {each: self._order(self.orders[each]) for each in body["txid"].split(",") if each in self.orders}

    def _cancelorder(self, body: dict[str, str]) -> Any:
        self.take_back(self._meant(body))
        return {"count": 1}

    def _cancelorderbatch(self, body: dict[str, Any]) -> Any:
        """Of 2 to 50 orders; what has ended already does not count."""
        if not 2 <= len(body["orders"]) <= 50:
            raise VenueRefuses("bad")
        meant = [self.orders[each] for each in body["orders"]]
        return {"count": len([self.take_back(each) for each in meant if each.status == "open"])}

    def _meant(self, body: dict[str, str]) -> SimOrder | None:
        """By Kraken's id, or else by the one its owner gave."""
        return self.orders.get(body["txid"]) if "txid" in body else self.by_client(body["cl_ord_id"])

    def _amendorder(self, body: dict[str, str]) -> Any:
        self.change(
            self._meant(body),
            amount=body.get("order_qty", ""),
            price=body.get("limit_price", ""),
            stop=body.get("trigger_price", ""),
        )
        return {"amend_id": "TEZA4R-DSDGT-IJBOJK"}

    def _openorders(self, body: dict[str, str]) -> Any:
        return {"open": self._chosen(body, lambda each: each.status == "open")}

    def _closedorders(self, body: dict[str, str]) -> Any:
        found = self._chosen(body, lambda each: each.status != "open")
        begin = int(body.get("ofs", 0))
        return {"closed": dict(list(found.items())[begin : begin + self.page]), "count": len(found)}

    def _chosen(self, body: dict[str, str], wanted: Any) -> dict[str, Any]:
        ours = body.get("cl_ord_id")
        return {
            each.order_id: self._order(each)
            for each in self.newest()
            if wanted(each) and (ours is None or each.client_id == ours)
        }

    def _querytrades(self, body: dict[str, str]) -> Any:
        wanted = body["txid"].split(",")
        return {each.trade_id: self._trade(each) for each in self.trades() if each.trade_id in wanted}

    def _tradeshistory(self, body: dict[str, str]) -> Any:
        rows = {each.trade_id: self._trade(each) for each in self.trades()[: self.page]}
        return {"trades": rows, "count": len(self.trades())}

    def _trade(self, each: Any) -> dict[str, Any]:
        return {"ordertxid": each.order_id, "postxid": "TKH2SE-M7IF5-CFI7LT", "pair": each.wire, "time": each.at / 1000,
                "type": each.side, "ordertype": "limit", "price": each.price,
                "cost": format(Decimal(each.price) * Decimal(each.amount), "f"), "fee": each.fee, "vol": each.amount,
                "margin": "0.00000", "leverage": "0", "misc": "", "trade_id": 40274859, "maker": True}  # fmt: skip

    def _order(self, order: SimOrder) -> dict[str, Any]:
        stops = bool(order.stop) and not order.trail
        price = _distance(order.trail) if order.trail else (order.stop if stops else order.price) or "0"
        return {
            "refid": order.placed_by or None, "userref": 0, "cl_ord_id": order.client_id or None,
            "status": order.reported_as or _STATES[order.status], "opentm": order.created / 1000, "starttm": 0,
            "expiretm": 0,
            "descr": {"pair": order.wire, "type": order.side, "ordertype": order.kind,
                      "price": price, "price2": (order.price or "0") if stops else "0",
                      "leverage": "none", "order": "", "close": _close_text(order.exits)},
            "vol": order.amount, "vol_exec": order.filled, "cost": "0", "fee": order.fee, "price": order.average or "0",
            "stopprice": order.stop if order.trail else "0.00000", "limitprice": "0.00000", "misc": "",
            "oflags": ("fcib" if order.fee_in == "base" else "fciq")
            + (",post" if order.post_only else "") + (",viqc" if order.cost else ""),
            "trades": [each.trade_id for each in order.trades],
            **({} if order.status == "open" else {"closetm": order.updated / 1000, "reason": ""}),
        }  # fmt: skip


def _closes(close: dict[str, str]) -> bool:
    """Whether it is a conditional close of the documents: one order with its price, whose side is not named."""
    kind, price = close.get("ordertype", ""), close.get("price", "")
    given = {"ordertype", "price", *(("price2",) if kind.endswith("-limit") else ())}
    fits = _TRAIL if kind == "trailing-stop" else _PLAIN
    known = ("limit", "stop-loss", "take-profit", "stop-loss-limit", "take-profit-limit", "trailing-stop")
    return kind in known and set(close) == given and fits.fullmatch(price) is not None


def _distance(trail: str) -> str:
    return f"+{Decimal(trail[:-1]):.4f}%" if trail.endswith("%") else f"+{trail}"


def _close_text(close: dict[str, str]) -> str:
    if not close:
        return ""
    price = close["price"]
    told = _distance(price.lstrip("+")) if price.startswith("+") else price
    words = close["ordertype"].removesuffix("-limit").replace("-", " ") or "limit"
    return f"close position @ {words} {told}" + (f" -> limit {close['price2']}" if "price2" in close else "")


_PLAIN = re.compile(r"[0-9]+(\.[0-9]+)?")
_TRAIL = re.compile(r"\+[0-9]+(\.[0-9]+)?%?")


def _validates(body: dict[str, str]) -> bool:
    return body.get("validate") in _YES


def _class_of(base: str) -> str:
    return "tokenized_asset" if base.endswith("x") else "currency"


def _pair(each: Listing) -> dict[str, Any]:
    decimals = len(each.tick.partition(".")[2])
    return {
        "altname": each.wire.replace("XXBTZ", "XBT"), "wsname": f"{each.base}/{each.quote}".replace("BTC", "XBT"),
        "aclass_base": _class_of(each.base), "base": _ASSETS.get(each.base, each.base), "aclass_quote": "currency",
        "quote": _ASSETS.get(each.quote, each.quote), "lot": "unit", "cost_decimals": 5, "pair_decimals": decimals,
        "lot_decimals": len(each.lot.partition(".")[2]), "lot_multiplier": 1, "leverage_buy": [], "leverage_sell": [],
        "fees": [[0, 0.26]], "fees_maker": [[0, 0.16]], "fee_volume_currency": "ZUSD", "margin_call": 80,
        "margin_stop": 40, "ordermin": each.minimum, "costmin": each.least_cost or None, "tick_size": each.tick,
        "status": "online",
    }  # fmt: skip
