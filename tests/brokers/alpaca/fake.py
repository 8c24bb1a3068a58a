"""Alpaca on loopback: its paths, headers, bodies and errors, and a market small enough to reckon by hand.

Shapes: the examples in Alpaca's OpenAPI documents (Trading API 2.0.1, Market Data API), as published in
github.com/alpacahq/alpaca-mcp-server. Error bodies: docs.alpaca.markets, "Working with /orders" and its forum posts
for the codes 40310000 and 40010001. Requests and answers are checked against ``openapi.json``, which comes from there
too.

An order is answered as it stands on arrival and matched right after, as at Alpaca. ``python -m
tests.brokers.alpaca.fake`` serves it until standard input ends.
"""

import decimal
import json
import re
import string
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from tests.brokers.faults import Asked, FakeBroker, Reply, as_sent, run_alone
from tests.brokers.sockets import FakeSocket
from tests.secrets.known import mint

KEY_ID = mint("Alpaca key", 20, string.ascii_uppercase + string.digits)
SECRET = mint("Alpaca secret", 40, string.ascii_letters + string.digits)
ACCOUNT = "PA3TESTTEST1"
EXPIRATIONS = tuple((datetime.now(UTC) + timedelta(days=ahead)).date() for ahead in (28, 56))
OPEN = (
    *("new", "accepted", "pending_new", "partially_filled", "held", "pending_cancel", "pending_review"),
    "done_for_day",
)

ENDED = ("filled", "canceled", "expired", "replaced", "rejected")

decimal.DefaultContext.prec = 76  # the threads of the server take it over

_NOT_FOUND = {"code": 40410000, "message": "order not found"}


def _plain(value: Decimal) -> str:
    return format(value, "f")


def _written_out(body: Any) -> Any:
    """The document has amounts as text, and Alpaca takes numbers too: its own client sends them."""
    if isinstance(body, dict):
        return {name: _written_out(value) for name, value in body.items()}
    if isinstance(body, list):
        return [_written_out(each) for each in body]
    return str(body) if type(body) in (int, float) else body


def _told(order: Mapping[str, Any]) -> dict[str, Any]:
    """As it is answered: a leg does not name its order."""
    told = {name: value for name, value in order.items() if name not in ("parent", "net")}
    # Of an order of several options what it has not is left out.
    return {name: value for name, value in told.items() if value is not None or name not in ("side", "asset_id")}


# Not in that document. Source: Alpaca's reference of market data, "Corporate actions"; alpaca-py's
# ``CorporateActionsRequest`` has the same names.
_CORPORATE_ACTIONS = {
    "query": {name: {} for name in ("symbols", "types", "start", "end", "limit", "page_token", "sort")},
    "required": [],
}


@cache
def _spec() -> dict[str, Any]:
    spec: dict[str, Any] = json.loads((Path(__file__).parent / "openapi.json").read_text())["requests"]
    spec["GET /v1/corporate-actions"] = _CORPORATE_ACTIONS
    for told in spec.values():
        if "body" in told:
            told["check"] = jsonschema_rs.validator_for(told["body"] | {"additionalProperties": False})
    return spec


@cache
def _answers() -> list[tuple[str, str, Any]]:
    """Call, the expression its path fits, and what checks its answer."""
    told: dict[str, Any] = json.loads((Path(__file__).parent / "openapi.json").read_text())["answers"]
    paths = {call: re.sub(r"\\\{\w+\\\}", "[^?]+", re.escape(call)) for call in told}
    return [(call, paths[call], jsonschema_rs.validator_for(_with_coins(schema))) for call, schema in told.items()]


def _with_coins(schema: Any) -> Any:
    """The document's exchanges, and the one of coins, which it leaves out and Alpaca's own client lists."""
    if isinstance(schema, list):
        return [_with_coins(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _with_coins(each) for name, each in schema.items()}
    return made | {"enum": [*made["enum"], "CRYPTO"]} if "NASDAQ" in made.get("enum", ()) else made


def unlike_document(asked: Asked, body: Any) -> str | None:
    """What of an answer Alpaca's OpenAPI document does not allow."""
    for call, path, check in _answers():
        if re.fullmatch(path, f"{asked.method} {asked.path}"):
            error = next(check.iter_errors(json.loads(as_sent(body))), None)
            return None if error is None else f"{call}: {error.message} at {error.instance_path}"
    return None


def broken_rule(asked: Asked) -> str | None:
    """What of a request Alpaca's OpenAPI document does not allow."""
    for name, told in _spec().items():
        method, _, path = name.partition(" ")
        if method == asked.method and re.fullmatch(re.sub(r"\{\w+\}", "[^?]+", path), asked.path):
            unknown = set(asked.query) - set(told["query"])
            missing = set(told["required"]) - set(asked.query)
            if unknown or missing:
                return f"{name}: unknown {sorted(unknown)}, missing {sorted(missing)}"
            for each, value in asked.query.items():
                kinds = told["query"][each]
                if "enum" in kinds and value not in kinds["enum"]:
                    return f"{name}: {each}={value}"
            if "check" in told:
                error = next(told["check"].iter_errors(_written_out(asked.body)), None)
                return None if error is None else f"{name}: {error.message}"
            return None if asked.body is None else f"{name} takes no body"
    return f"no such call: {asked.method} {asked.path}"


def asset(symbol: str, kind: str = "us_equity", **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, symbol)),
        "class": kind,
        "exchange": "NASDAQ" if kind == "us_equity" else "CRYPTO",
        "symbol": symbol,
        "name": f"{symbol} of the tests",
        "status": "active",
        "tradable": True,
        "marginable": kind == "us_equity",
        "shortable": kind == "us_equity",
        "fractionable": True,
        "easy_to_borrow": kind == "us_equity",
        **more,
    }


_COIN = {"min_order_size": "0.000000001", "min_trade_increment": "0.000000001", "price_increment": "0.000000001"}


class FakeAlpaca(FakeBroker):
    STREAMS = ("/stream",)

    def __init__(self, cash: Decimal = Decimal(10_000_000)) -> None:
        super().__init__()
        self.cash = cash
        self.prices = {"AAPL": Decimal("181.5"), "BTC/USD": Decimal(30_000), "AAPL260618C00250000": Decimal("4.2")}
        self.prices |= {"AAPL260618C00260000": Decimal("2.9"), "AAPL260618C00270000": Decimal("1.8")}
        self.assets = {
            "AAPL": asset("AAPL"),
            "BTC/USD": asset("BTC/USD", "crypto", **_COIN),
        }
        self.orders: dict[str, dict[str, Any]] = {}
        self.fills: list[dict[str, Any]] = []
        self.activities: list[dict[str, Any]] = []
        self.held: Counter[str] = Counter()
        self.dividends: list[dict[str, Any]] = []
        self.page = 10_000
        self.sent: list[dict[str, Any]] = []
        """The body of every POST of an order, broken ones included."""
        self.violations: list[str] = []
        self.unlike: list[str] = []
        """What of our answers is not as the document has it."""
        self.keeps_to_document = True
        self._ticks = 0

    # -- control --------------------------------------------------------------------------------------------------

    def control(self, what: str, told: Any) -> Any:
        match what:
            case "state":
                with self.lock:
                    return {
                        "orders": list(self.orders.values()),
                        "sent": self.sent,
                        "fills": self.fills,
                        "held": {symbol: _plain(Decimal(size)) for symbol, size in self.held.items()},
                        "violations": self.violations,
                    }
            case "price":
                with self.lock:
                    self.prices[told["symbol"]] = Decimal(told["price"])
                    self._match_all()
                return None
            case "fill":
                with self.lock:
                    order = next(o for o in self.orders.values() if o["client_order_id"] == told["client_order_id"])
                    self._fill(order, Decimal(told["qty"]), self.prices[order["symbol"]])
                return None
        return super().control(what, told)

    def posted(self, asked: Asked) -> None:
        if asked.method == "POST" and asked.path == "/v2/orders":
            self.sent.append(asked.body)

    def duplicate(self) -> Reply:
        return 422, {"code": 40010001, "message": "client_order_id must be unique"}

    def other(self) -> Any:
        return self._order({"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"})

    def not_understood(self, error: Exception) -> Reply:
        self.violations.append(repr(error))
        return 422, {"code": 42210000, "message": "request could not be understood"}

    # -- the stream -----------------------------------------------------------------------------------------------

    def stream_opened(self, wire: FakeSocket) -> None:
        wire.binary = True  # the paper address; the live one sends text

    def stream_told(self, wire: FakeSocket, told: Any) -> None:
        """docs.alpaca.markets, "Websocket Streaming"; its own client signs in by the older words of that page."""
        match told:
            case {"action": "auth", "key": key, "secret": secret}:
                self._sign_in(wire, (key, secret))
            case {"action": "authenticate", "data": {"key_id": key, "secret_key": secret}}:
                self._sign_in(wire, (key, secret))
            case {"action": "listen", "data": {"streams": list(wanted)}} if wire.notes.get("authorized"):
                wire.notes["streams"] = wanted
                wire.say({"stream": "listening", "data": {"streams": wanted}})
            case _:
                wire.say({"stream": "listening", "data": {"error": "not authenticated"}})

    def _sign_in(self, wire: FakeSocket, key: tuple[str, str]) -> None:
        wire.notes["authorized"] = key == (KEY_ID, SECRET)
        status = "authorized" if wire.notes["authorized"] else "unauthorized"
        wire.say({"stream": "authorization", "data": {"status": status, "action": "authenticate"}})

    def _tell(self, event: str, order: Mapping[str, Any], **more: str) -> None:
        for wire in self.sockets:
            if "trade_updates" in wire.notes.get("streams", ()):
                data = {"event": event, "order": _told(order), "timestamp": self._now(), **more}
                wire.say({"stream": "trade_updates", "data": data | {"execution_id": str(uuid.uuid4())}})

    # -- the protocol ---------------------------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Reply:
        status, body = self._answer(asked)
        if status == 200 and self.keeps_to_document and (problem := unlike_document(asked, body)):
            self.unlike.append(problem)
        return status, body

    def _answer(self, asked: Asked) -> Reply:
        headers = {name.upper(): value for name, value in asked.headers.items()}
        if (headers.get("APCA-API-KEY-ID"), headers.get("APCA-API-SECRET-KEY")) != (KEY_ID, SECRET):
            return 403, {"message": "forbidden."}
        if broken := broken_rule(asked):
            self.violations.append(broken)
            return 422, {"code": 42210000, "message": broken}
        path, query = asked.path, asked.query
        match asked.method, path:
            case "GET", "/v2/account":
                return 200, self._account()
            case "GET", "/v2/positions":
                return 200, [self._position(symbol) for symbol, size in sorted(self.held.items()) if size]
            case "GET", "/v2/account/activities":
                return self._list_activities(query)
            case "GET", "/v2/clock":
                return 200, {
                    "timestamp": "2026-11-20T10:33:20-05:00",
                    "is_open": True,
                    "next_open": "2026-11-23T09:30:00-05:00",
                    "next_close": "2026-11-20T16:00:00-05:00",
                }
            case "GET", "/v2/calendar":
                return 200, _calendar(query["start"], query["end"])
            case "GET", "/v2/assets":
                return 200, [each for each in self.assets.values() if each["class"] == query.get("asset_class")]
            case "GET", "/v2/orders":
                return self._list_orders(query)
            case "POST", "/v2/orders":
                return self._place(_written_out(asked.body))
            case "GET", "/v2/orders:by_client_order_id":
                wanted = query["client_order_id"]
                found = next((o for o in self.orders.values() if o["client_order_id"] == wanted), None)
                return (
                    (404, _NOT_FOUND | {"message": f"order not found for {wanted}"})
                    if found is None
                    else (200, _told(found))
                )
            case "GET", "/v1/corporate-actions" if query["types"] == "cash_dividend":
                return 200, {"corporate_actions": {"cash_dividends": self.dividends}, "next_page_token": None}
            case "GET", "/v1beta1/forex/latest/rates":
                pair = query["currency_pairs"]
                row = {"ap": 128.112, "bp": 127.752, "mp": 127.779, "t": "2022-05-20T05:38:41.311530885Z"}
                return (200, {"rates": {"USDJPY": row}}) if pair == "USDJPY" else (400, {"message": "invalid pair"})
        if path.startswith("/v2/orders/"):
            return self._one_order(asked, path.removeprefix("/v2/orders/"))
        if path.startswith("/v2/assets/"):
            found = self.assets.get(path.removeprefix("/v2/assets/"))
            missing = {"code": 40410000, "message": f"asset not found for {path.removeprefix('/v2/assets/')}"}
            return (404, missing) if found is None else (200, found)
        if path == "/v2/options/contracts":
            return self._contracts(query)
        if path.startswith("/v1beta1/options/snapshots/"):
            return self._chain(path.rpartition("/")[2], query)
        if path.startswith("/v2/options/contracts/"):
            return self._contract(path.removeprefix("/v2/options/contracts/"))
        return self._market_data(path, query)

    def _account(self) -> dict[str, Any]:
        # Trading API 2.0.1, example of GET /v2/account.
        worth = sum((self.prices[symbol] * Decimal(size) for symbol, size in self.held.items()), Decimal(0))
        free = self.cash - self._reserved()
        return {
            "id": "1d9eed04-be39-4e01-9b84-a48ac5bbafcf",
            "account_number": ACCOUNT,
            "status": "ACTIVE",
            "currency": "USD",
            "cash": _plain(self.cash),
            "buying_power": _plain(free),
            "non_marginable_buying_power": _plain(free),
            "equity": _plain(self.cash + worth),
            "long_market_value": _plain(worth),
            "short_market_value": "0",
            "trading_blocked": False,
            "account_blocked": False,
            "shorting_enabled": True,
        }

    def _reserved(self) -> Decimal:
        resting = [
            o for o in self.orders.values() if o["status"] in OPEN and o["side"] == "buy" and o["order_class"] != "mleg"
        ]
        return sum(
            (
                (Decimal(o["qty"]) - Decimal(o["filled_qty"])) * Decimal(o["limit_price"] or o["stop_price"] or 0)
                for o in resting
                if o["qty"]
            ),
            Decimal(0),
        )

    def _position(self, symbol: str) -> dict[str, Any]:
        size, price = Decimal(self.held[symbol]), self.prices[symbol]
        kind = "crypto" if "/" in symbol else "us_option" if len(symbol) > 15 else "us_equity"
        known = self.assets.get(symbol, {"id": str(uuid.uuid5(uuid.NAMESPACE_DNS, symbol)), "exchange": ""})
        return {
            "asset_id": known["id"],
            "symbol": symbol.replace("/", ""),
            "exchange": known["exchange"],
            "asset_class": kind,
            "avg_entry_price": _plain(price),
            "qty": _plain(size),
            "qty_available": _plain(abs(size)),
            "side": "long" if size > 0 else "short",
            "market_value": _plain(size * price),
            "cost_basis": _plain(size * price),
            "unrealized_pl": "0",
            "unrealized_plpc": "0",
            "unrealized_intraday_pl": "0",
            "unrealized_intraday_plpc": "0",
            "current_price": _plain(price),
            "lastday_price": _plain(price),
            "change_today": "0",
            "asset_marginable": True,
        }

    def _now(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"

    def _order(self, told: Mapping[str, Any]) -> dict[str, Any]:
        # Trading API 2.0.1, examples EquityOrderResponse and CryptoOrderResponse.
        now = self._now()
        symbol = str(told["symbol"])
        kind = "crypto" if "/" in symbol else "us_option" if len(symbol) > 15 else "us_equity"
        return {
            "id": str(uuid.uuid4()),
            "client_order_id": told.get("client_order_id") or str(uuid.uuid4()),
            "created_at": now,
            "updated_at": now,
            "submitted_at": now,
            "filled_at": None,
            "expired_at": None,
            "canceled_at": None,
            "failed_at": None,
            "replaced_at": None,
            "replaced_by": None,
            "replaces": None,
            "asset_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, symbol)),
            "symbol": symbol,
            "asset_class": kind,
            "notional": told.get("notional"),
            "qty": told.get("qty"),
            "filled_qty": "0",
            "filled_avg_price": None,
            "order_class": "",
            "order_type": told["type"],
            "type": told["type"],
            "side": told["side"],
            "time_in_force": told["time_in_force"],
            "limit_price": told.get("limit_price"),
            "stop_price": told.get("stop_price"),
            "trail_price": told.get("trail_price"),
            "trail_percent": told.get("trail_percent"),
            "hwm": None,
            "status": "pending_new",
            "extended_hours": told.get("extended_hours", False),
            "legs": None,
        }

    def _place(self, body: Any) -> Reply:
        if any(o["client_order_id"] == body.get("client_order_id") for o in self.orders.values()):
            return self.duplicate()
        if body.get("order_class") == "mleg":
            return self._place_spread(body)
        if body["symbol"] not in self.prices:
            return 422, {"code": 42210000, "message": f'asset "{body["symbol"]}" not found'}
        order = self._order(body)
        price = Decimal(body.get("limit_price") or self.prices[order["symbol"]])
        cost = Decimal(body.get("notional") or 0) or price * Decimal(body["qty"])
        if order["side"] == "buy" and cost > self.cash - self._reserved():
            return 403, {"code": 40310000, "message": "insufficient buying power"}
        if order["side"] == "sell" and "/" in order["symbol"] and Decimal(order["qty"]) > self.held[order["symbol"]]:
            return 403, {"code": 40310000, "message": f"insufficient balance for {order['symbol'][:3]}"}
        if problem := self._add_legs(order, body):
            return 422, {"code": 42210000, "message": problem}
        self.orders[order["id"]] = order
        answered = self._nested(order)
        order["status"] = "new"
        self._tell("new", order)
        self._match(order)
        if order["time_in_force"] in ("ioc", "fok") and order["status"] in OPEN:
            order["status"], order["canceled_at"] = "canceled", self._now()
        return 200, answered

    def _place_spread(self, body: Mapping[str, Any]) -> Reply:
        """Options Level 3 Trading: 2 to 4 options of the same day's order, at a net debit above zero or a net credit
        below; the order has no symbol and no side of its own, and each leg is an order with an id of Alpaca's.
        """
        legs = body.get("legs") or []
        if not 2 <= len(legs) <= 4 or {"symbol", "side", "notional"} & set(body):
            return 422, {"code": 42210000, "message": "mleg orders take 2 to 4 legs and no symbol or side"}
        if body["type"] not in ("limit", "market") or body["time_in_force"] != "day":
            return 422, {"code": 42210000, "message": "mleg orders must be limit or market, and day"}
        if missing := [each["symbol"] for each in legs if each["symbol"] not in self.prices]:
            return 422, {"code": 42210000, "message": f'asset "{missing[0]}" not found'}
        order = self._order({**body, "symbol": "", "side": "buy"})
        order |= {"side": None, "asset_id": None, "asset_class": "", "order_class": "mleg", "net": True}
        cost = Decimal(body.get("limit_price") or 0) * Decimal(body["qty"]) * 100
        if cost > self.cash - self._reserved():
            return 403, {"code": 40310000, "message": "insufficient buying power"}
        self.orders[order["id"]] = order
        for each in legs:
            quantity = _plain(Decimal(each["ratio_qty"]) * Decimal(body["qty"]))
            terms = {"type": body["type"], "time_in_force": "day", "qty": quantity}
            leg = self._order({**terms, "symbol": each["symbol"], "side": each["side"]})
            leg |= {"status": "new", "order_class": "mleg", "parent": order["id"], "ratio_qty": each["ratio_qty"]}
            self.orders[leg["id"]] = leg
        answered = self._nested(order)
        order["status"] = "new"
        self._match_spread(order)
        return 200, answered

    def _match_spread(self, order: dict[str, Any]) -> None:
        legs = self._legs(order)
        signs = {"buy": 1, "sell": -1}
        each = [signs[leg["side"]] * Decimal(leg["ratio_qty"]) * self.prices[leg["symbol"]] for leg in legs]
        net = sum(each, Decimal(0))
        if order["limit_price"] is not None and net > Decimal(order["limit_price"]):
            return
        for leg in legs:
            self._fill(leg, Decimal(leg["qty"]) - Decimal(leg["filled_qty"]), self.prices[leg["symbol"]])
        order |= {"status": "filled", "filled_qty": order["qty"], "filled_avg_price": _plain(net)}
        order["updated_at"] = order["filled_at"] = self._now()

    def _add_legs(self, order: dict[str, Any], body: Mapping[str, Any]) -> str:
        """Trading API 2.0.1, order classes: exits with ids of Alpaca's own. What is wrong with them, if anything."""
        order["order_class"] = kind = body.get("order_class") or ""
        profit, loss = body.get("take_profit") or {}, body.get("stop_loss") or {}
        if kind in ("bracket", "oco") and not (profit.get("limit_price") and loss.get("stop_price")):
            return f"{kind} orders require take_profit.limit_price and stop_loss.stop_price"
        if kind == "oto" and bool(profit) is bool(loss):
            return "oto orders require either take_profit or stop_loss"
        if kind == "oco" and (body["type"] != "limit" or profit["limit_price"] != body["limit_price"]):
            return "oco orders must be limit orders"
        if kind and (order["time_in_force"] not in ("day", "gtc") or "notional" in body or Decimal(order["qty"]) % 1):
            return f"{kind} orders must be whole and day or gtc"
        side = order["side"] if kind == "oco" else {"buy": "sell", "sell": "buy"}[order["side"]]
        for name, prices in (("limit", {} if kind == "oco" else profit), ("stop", loss)):
            if prices:
                terms = {
                    "type": "stop_limit" if len(prices) == 2 else name,
                    "side": side,
                    "qty": order["qty"],
                    **prices,
                }
                leg = self._order({**terms, "symbol": order["symbol"], "time_in_force": order["time_in_force"]})
                leg |= {"status": "held", "order_class": kind, "parent": order["id"]}
                self.orders[leg["id"]] = leg
        return ""

    def _legs(self, order: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [each for each in self.orders.values() if each.get("parent") == order["id"]]

    def our_id(self, order: Mapping[str, Any]) -> str:
        """Whom our adapter means by an order: its id has those of its exits behind it."""
        parent = self.orders.get(str(order.get("parent")))
        if parent is None:
            return str(order["client_order_id"]).partition("-")[0]
        place = [each["id"] for each in self._legs(parent)].index(order["id"])
        return str(parent["client_order_id"]).split("-")[place + 1]

    def _nested(self, order: Mapping[str, Any]) -> dict[str, Any]:
        legs = [_told(each) for each in self._legs(order)]
        return _told(order) | {"legs": legs or None}

    def _end_others(self, order: Mapping[str, Any]) -> None:
        """What hangs on an order that has ended: its exits begin, or end with it and with each other."""
        filled = order["status"] == "filled"
        if order["order_class"] == "mleg":
            for leg in self._legs(order):
                leg["status"] = order["status"] if leg["status"] in OPEN else leg["status"]
            return
        for leg in self._legs(order):
            if leg["status"] in OPEN:
                begins = filled and leg["order_class"] != "oco"
                # Of two exits the stop is held while the other one has the shares.
                leg["status"] = ("held" if leg["stop_price"] else "new") if begins else "canceled"
        parent = self.orders.get(str(order.get("parent")))
        if parent is not None:
            for each in (parent, *self._legs(parent)):
                if each["id"] != order["id"] and each["status"] in OPEN and parent["order_class"] in ("oco", "bracket"):
                    each["status"] = "canceled"

    def _match_all(self) -> None:
        for order in list(self.orders.values()):
            if order["status"] in OPEN:
                self._match(order)

    def _match(self, order: dict[str, Any]) -> None:
        if order["status"] == "held" and not self._is_live(order):
            return
        if order["order_class"] == "mleg":
            if order.get("net"):
                self._match_spread(order)
            return
        price, buys = self.prices[order["symbol"]], order["side"] == "buy"
        stop = Decimal(order["stop_price"]) if order["stop_price"] else None
        limit = Decimal(order["limit_price"]) if order["limit_price"] else None
        if order["type"] == "trailing_stop":
            return
        if stop is not None and not order["hwm"]:
            if (price < stop) if buys else (price > stop):
                return
            order["hwm"] = _plain(price)
        if limit is not None and ((price > limit) if buys else (price < limit)):
            return
        quantity = Decimal(order["qty"]) if order["qty"] else Decimal(order["notional"]) / price
        self._fill(order, quantity - Decimal(order["filled_qty"]), price)

    def _is_live(self, leg: Mapping[str, Any]) -> bool:
        parent = self.orders[leg["parent"]]
        return bool(leg["order_class"] == "oco" or parent["status"] == "filled")

    def _fill(self, order: dict[str, Any], quantity: Decimal, price: Decimal) -> None:
        before = Decimal(order["filled_qty"])
        filled = before + quantity
        spent = before * Decimal(order["filled_avg_price"] or 0) + quantity * price
        whole = order["qty"] is None or filled == Decimal(order["qty"])
        order["filled_qty"], order["filled_avg_price"] = _plain(filled), _plain(spent / filled)
        order["status"] = "filled" if whole else "partially_filled"
        order["updated_at"] = self._now()
        if whole:
            order["filled_at"] = self._now()
            self._end_others(order)
        fill = {"price": _plain(price), "qty": _plain(quantity)}
        self._tell("fill" if whole else "partial_fill", order, **fill)
        sign = 1 if order["side"] == "buy" else -1
        self.cash -= sign * quantity * price
        self.held[order["symbol"]] += sign * quantity  # type: ignore[assignment]  # a Counter of decimals
        self._ticks += 1
        # Trading API 2.0.1, example of TradingActivities.
        told = {
            "id": f"{datetime.now(UTC):%Y%m%d%H%M%S}{self._ticks:09d}::{uuid.uuid4()}",
            "activity_type": "FILL",
            "transaction_time": self._now(),
            "type": "fill" if whole else "partial_fill",
            "price": _plain(price),
            "qty": _plain(quantity),
            "side": order["side"],
            "symbol": order["symbol"],
            "leaves_qty": "0" if whole else _plain(Decimal(order["qty"]) - filled),
            "order_id": order["id"],
            "cum_qty": _plain(filled),
            "order_status": order["status"],
        }
        self.fills.append(told)
        self.activities.append(told)

    def _one_order(self, asked: Asked, order_id: str) -> Reply:
        order = self.orders.get(order_id)
        if order is None:
            return 404, _NOT_FOUND | {"message": f"order not found for {order_id}"}
        if asked.method == "GET":
            return 200, self._nested(order) if asked.query.get("nested", "").lower() == "true" else _told(order)
        if order["status"] not in OPEN:
            return 422, {"code": 42210000, "message": f'order is already in "{order["status"]}" state'}
        if asked.method == "DELETE":
            order["status"], order["canceled_at"] = "canceled", self._now()
            self._end_others(order)
            self._tell("canceled", order)
            return 204, None
        if any(o["client_order_id"] == asked.body.get("client_order_id") for o in self.orders.values()):
            return self.duplicate()
        if order.get("net"):
            return self._replace_spread(order, asked.body)
        new = self._order(order | {"client_order_id": asked.body.get("client_order_id")})
        new |= {name: value for name, value in asked.body.items() if name in order}
        if "trail" in asked.body:
            new["trail_percent" if order["trail_percent"] else "trail_price"] = asked.body["trail"]
        new["replaces"], order["replaced_by"], order["status"] = order["id"], new["id"], "replaced"
        self.orders[new["id"]] = new
        answered = dict(new)
        new["status"] = "new"
        self._match(new)
        return 200, answered

    def _replace_spread(self, order: dict[str, Any], body: Mapping[str, Any]) -> Reply:
        legs = self._legs(order)
        new = order | {"id": str(uuid.uuid4()), "replaces": order["id"], **body}
        order["replaced_by"], order["status"] = new["id"], "replaced"
        self.orders[new["id"]] = new
        for leg in legs:
            leg["status"] = "replaced"
            again = leg | {"id": str(uuid.uuid4()), "client_order_id": str(uuid.uuid4()), "status": "new"}
            self.orders[again["id"]] = again | {"parent": new["id"]}
        answered = self._nested(new)
        self._match(new)
        return 200, answered

    def _list_orders(self, query: Mapping[str, str]) -> Reply:
        rows = list(self.orders.values())[::-1]
        nested = query.get("nested", "").lower() == "true"
        if nested:
            rows = [o for o in rows if not o.get("parent")]
        if "symbols" in query:
            rows = [o for o in rows if o["symbol"] in query["symbols"].split(",")]
        status = query.get("status", "open")
        if status != "all":
            rows = [o for o in rows if (o["status"] not in ENDED) is (status == "open")]
        if "after" in query:
            rows = [o for o in rows if _at(o["submitted_at"]) > _at(query["after"])]
        if "before_order_id" in query:
            ids = [o["id"] for o in rows]
            rows = rows[ids.index(query["before_order_id"]) + 1 :]
        rows = rows[: int(query.get("limit", 50))]
        return 200, [self._nested(o) if nested else _told(o) for o in rows]

    def _list_activities(self, query: Mapping[str, str]) -> Reply:
        rows = list(self.activities)
        if query.get("direction", "desc") == "desc":
            rows.reverse()
        if "activity_types" in query:
            wanted = query["activity_types"].split(",")
            rows = [each for each in rows if each["activity_type"] in wanted]
        when = {
            each["id"]: _at(each.get("transaction_time") or each.get("created_at") or each["date"]) for each in rows
        }
        if "after" in query:
            rows = [each for each in rows if when[each["id"]] > _at(query["after"])]
        if "until" in query:
            rows = [each for each in rows if when[each["id"]] < _at(query["until"])]
        if "page_token" in query:
            ids = [each["id"] for each in rows]
            rows = rows[ids.index(query["page_token"]) + 1 :]
        return 200, rows[: int(query.get("page_size", 100))]

    def _contract(self, symbol: str) -> Reply:
        if symbol not in self.prices:
            return 404, {"code": 40410000, "message": f"option contract not found for {symbol}"}
        return 200, {
            "id": "98359ef7-5124-49f3-85ea-5cf02df6defa",
            "symbol": symbol,
            "name": "AAPL Jun 18 2026 250 Call",
            "status": "active",
            "tradable": True,
            "expiration_date": "2026-06-18",
            "root_symbol": "AAPL",
            "underlying_symbol": "AAPL",
            "underlying_asset_id": self.assets["AAPL"]["id"],
            "type": "call",
            "style": "american",
            "strike_price": "250",
            "multiplier": "100",
            "size": "100",
        }

    def _options(self, underlying: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Trading API 2.0.1, schema OptionContract: two dates, five strikes, calls and puts."""
        rows: list[dict[str, Any]] = []
        for day in EXPIRATIONS if underlying == "AAPL" else ():
            for strike in ("170", "175.5", "180", "185", "190"):
                for kind in ("call", "put"):
                    symbol = f"AAPL{day:%y%m%d}{kind[0].upper()}{int(Decimal(strike) * 1000):08d}"
                    rows.append(
                        {"id": str(uuid.uuid5(uuid.NAMESPACE_DNS, symbol)), "symbol": symbol, "name": symbol,
                         "status": "active", "tradable": True, "expiration_date": day.isoformat(),
                         "root_symbol": "AAPL", "underlying_symbol": "AAPL", "type": kind, "style": "american",
                         "underlying_asset_id": self.assets["AAPL"]["id"],
                         "strike_price": strike, "multiplier": "100", "size": "100", "open_interest": "237",
                         "close_price": "148.38"}
                    )  # fmt: skip
        return [
            row
            for row in rows
            if query.get("expiration_date", row["expiration_date"]) == row["expiration_date"]
            and row["expiration_date"] <= query.get("expiration_date_lte", "9999")
            and query.get("type", row["type"]) == row["type"]
            and Decimal(query.get("strike_price_gte", "0")) <= Decimal(row["strike_price"])
            and Decimal(row["strike_price"]) <= Decimal(query.get("strike_price_lte", "100000"))
        ]

    def _contracts(self, query: Mapping[str, str]) -> Reply:
        """Without a date Alpaca lists those of the next weekend alone."""
        if not {"expiration_date", "expiration_date_lte"} & set(query):
            return 200, {"option_contracts": [], "next_page_token": None}
        rows = self._options(query["underlying_symbols"], query)
        begin = int(query.get("page_token", 0))
        more = begin + self.page < len(rows)
        return 200, {
            "option_contracts": rows[begin : begin + self.page],
            "next_page_token": str(begin + self.page) if more else None,
        }

    def _chain(self, underlying: str, query: Mapping[str, str]) -> Reply:
        """Market Data API, example of the path; what was never quoted is left out."""
        rows = [row["symbol"] for row in self._options(underlying, query) if row["strike_price"] != "185"]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        snapshot = {
            "greeks": {"delta": 0.7521304109871954, "gamma": 0.06241426404871288, "rho": 0.009910739032549095,
                       "theta": -0.2847623059595503, "vega": 0.047540520834498785},
            "impliedVolatility": 0.3372405712050441,
            "latestQuote": {"ap": 4.3, "as": 91, "ax": "B", "bp": 4.15, "bs": 16, "bx": "C", "c": "A", "t": now},
            "latestTrade": {"c": "I", "p": 4.1, "s": 1, "t": now, "x": "A"},
        }  # fmt: skip
        return 200, {"snapshots": dict.fromkeys(rows, snapshot), "next_page_token": None}

    def _market_data(self, path: str, query: Mapping[str, str]) -> Reply:
        """Market Data API, examples of each path; prices as JSON numbers, as Alpaca sends them."""
        what = path.rpartition("/")[2]
        named = {symbol: self.prices[symbol] for symbol in query["symbols"].split(",") if symbol in self.prices}
        if what == "snapshots":
            rows: dict[str, Any] = {symbol: _snapshot(price, path) for symbol, price in named.items()}
            return 200, rows if path.startswith("/v2/stocks") else {"snapshots": rows, "next_page_token": None}
        if what == "orderbooks":
            rows = {
                symbol: {
                    "a": [{"p": float(price) + 1, "s": 0.0097}, {"p": float(price) + 9, "s": 0}],
                    "b": [{"p": float(price) - 1, "s": 0.1902}],
                    "t": "2022-06-24T08:00:14.137774336Z",
                }
                for symbol, price in named.items()
            }
            return 200, {"orderbooks": rows}
        if what == "trades":
            rows = {
                symbol: [{"i": 1, "p": float(price), "s": 2, "t": self._now(), **_of_a_trade(path)}]
                for symbol, price in named.items()
            }
            return 200, {"trades": rows, "next_page_token": None}
        start = datetime.now(UTC).replace(second=0, microsecond=0)
        bars = [
            {
                "t": (start - timedelta(minutes=ago)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "o": 178.26,
                "h": 178.26,
                "l": 178.21,
                "c": 178.21,
                "v": 1118,
                "n": 65,
                "vw": 178.235733,
            }
            for ago in range(int(query["limit"]))
        ]
        return 200, {"bars": dict.fromkeys(named, bars), "next_page_token": None}


def _of_a_trade(path: str) -> dict[str, Any]:
    """What a trade has beside price and size, in each kind of market."""
    if "/crypto/" in path:
        return {"tks": "B"}
    return {"x": "A", "c": "I"} if "/options/" in path else {"x": "P", "c": ["@", "T"], "z": "C"}


def _snapshot(price: Decimal, path: str) -> dict[str, Any]:
    number = price
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    day = {"c": number, "h": number, "l": number, "n": 515139, "o": number, "t": now, "v": 56457696, "vw": number}
    return {
        "dailyBar": day,
        "latestQuote": {
            "ap": number,
            "as": 5,
            "ax": "Q",
            "bp": number,
            "bs": 2,
            "bx": "Q",
            "c": ["R"],
            "t": now,
            "z": "C",
        },
        "latestTrade": {"i": 1, "p": number, "s": 3, "t": now, **_of_a_trade(path)},
        "minuteBar": day,
        "prevDailyBar": day,
    }


def _at(text: str) -> datetime:
    """A date alone is its beginning."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _calendar(start: str, end: str) -> list[dict[str, str]]:
    """Weekdays, less Thanksgiving, with the early close on the day after it."""
    day, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    rows = []
    while day <= last:
        text = day.date().isoformat()
        if day.weekday() < 5 and text != "2026-11-26":
            close = "13:00" if text == "2026-11-27" else "16:00"
            rows.append(
                {
                    "date": text,
                    "open": "09:30",
                    "close": close,
                    "session_open": "0400",
                    "session_close": "2000",
                    "settlement_date": text,
                }
            )
        day += timedelta(days=1)
    return rows


if __name__ == "__main__":
    run_alone(FakeAlpaca)
