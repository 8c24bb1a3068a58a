"""CrossTrade on loopback, with a NinjaTrader behind it that can be switched off.

Shapes: the answers shown at crosstrade.io/docs/api (accounts, positions, orders, market) and its llms-full.txt.
``keeps_ids`` is an add-on of the present; an older one gives an order a number of its own and forgets ours.
"""

import json
import re
import time
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.brokers.faults import Asked, FakeBroker, Fault, Reply, Switchboard
from tests.secrets.known import mint

TOKEN = mint("CrossTrade token", 36)
ACCOUNT = "Sim101"
BASE = "/v1/api"
_PLACE = {
    *("instrument", "action", "quantity", "orderType", "timeInForce", "limitPrice", "stopPrice", "ocoId"),
    *("strategy", "orderId", "requireMarketPosition", "maxPositions"),
}


class _OrderFaults(Switchboard):
    """A fault without a path is meant for what sends orders: bars are asked for by POST here too."""

    def take(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for place, fault in enumerate(self.waiting):
                meant = path.startswith(fault.path) if fault.path else method == "GET" or "/orders/" in path
                if fault.method == method and meant:
                    return self.waiting.pop(place)
        return None


class FakeCrossTrade(FakeBroker):
    def __init__(self, account: str = ACCOUNT, provider: str = "Simulator") -> None:
        super().__init__()
        self.faults = _OrderFaults()
        self.account, self.provider = account, provider
        self.keeps_ids = True
        self.running = True
        self.orders: dict[str, dict[str, Any]] = {}
        """By our id."""
        self.sent: list[dict[str, Any]] = []
        self.violations: list[str] = []
        self.says: Reply | None = None
        self.last = Decimal("6617.75")
        self.tick = Decimal("0.25")
        self.cash = Decimal("100565.25")
        self.most = 1000
        """Contracts in one order."""

    def posted(self, asked: Asked) -> None:
        if asked.path.endswith("/orders/place"):
            self.sent.append(json.loads(asked.raw, parse_float=Decimal))

    def duplicate(self) -> Reply:
        return 400, {"success": False, "error": "duplicate_order_id", "detail": "The order id is in use."}

    def other(self) -> Any:
        return {"status": "ok", "orderIds": []}

    def not_understood(self, error: Exception) -> Reply:
        self.violations.append(repr(error))
        return 400, {"success": False, "error": "invalid_request", "detail": "The request could not be understood."}

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"success": False, "error": "unauthorized"}
        if not self.running:
            return 408, {"success": False, "error": "timeout", "detail": "The add-on did not answer."}
        if self.says is not None:
            return self.says
        match asked.method, asked.path.removeprefix(BASE).strip("/").split("/"):
            case "GET", ["market", "quote"]:
                return self._quote(asked.query["instrument"])
            case "POST", ["market", "bars"]:
                return 200, self._bars(json.loads(asked.raw))
            case method, ["accounts", account, *rest] if account == self.account:
                return self._of_account(method, rest, asked)
            case _, ["accounts", account, *_]:
                return 400, {"success": False, "error": "invalid_account", "detail": f"Account {account} not found"}
        return 404, {"success": False, "error": "not_found", "did_you_mean": []}

    def _of_account(self, method: str, rest: list[str], asked: Asked) -> Reply:
        match method, rest:
            case "GET", []:
                return 200, self._told()
            case "GET", ["positions"]:
                return 200, {"positions": self._positions(), "count": 2, "success": True}
            case "GET", ["orders"]:
                return 200, {"orders": list(self.orders.values()), "success": True}
            case "GET", ["orders", order_id]:
                found = self._find(order_id)
                return (404, {"error": f"Order '{order_id}' not found."}) if found is None else (200, found)
            case "POST", ["orders", "place"]:
                return self._place(json.loads(asked.raw, parse_float=Decimal))
            case "POST", ["orders", order_id, "cancel"]:
                found = self._find(order_id)
                if found is None or found["orderState"] in ("Filled", "Cancelled"):
                    return 400, {"error": f"Order linked to '{order_id}' not found or already terminal."}
                found["orderState"] = "Cancelled"
                return 200, {"orderId": order_id, "success": True}
        return 404, {"success": False, "error": "not_found"}

    def _find(self, order_id: str) -> dict[str, Any] | None:
        if self.keeps_ids and order_id in self.orders:
            return self.orders[order_id]
        return next((each for each in self.orders.values() if each["orderId"] == order_id), None)

    def _told(self) -> dict[str, Any]:
        item = {"buyingPower": 0.0, "cashValue": self.cash, "netLiquidation": 103502.75, "excessInitialMargin": 99.5}
        return {
            "id": 2,
            "name": self.account,
            "displayName": self.account,
            "provider": self.provider,
            "denomination": "UsDollar",
            "status": "Enabled",
            "connectionStatus": "Connected",
            "item": item,
            "success": True,
        }

    def _positions(self) -> list[dict[str, Any]]:
        row = {"type": "NinjaTrader.Cbi.Position", "account": self.account, "instrumentType": "Future"}
        return [
            row
            | {
                "instrument": "ES 12-26",
                "marketPosition": "Short",
                "quantity": 2,
                "averagePrice": 6600.25,
                "marketPrice": 6614.25,
                "unrealizedProfitLoss": -1400.0,
            },
            row | {"instrument": "NQ 12-26", "marketPosition": "Flat", "quantity": 0},
        ]

    def _quote(self, instrument: str) -> Reply:
        names = {"ES": "ES 12-26", "ES 12-26": "ES 12-26", "NQ 12-26": "NQ 12-26", "FDAX 12-26": "FDAX 12-26"}
        if instrument not in names:
            return 400, {"success": False, "error": "invalid_instrument", "detail": f"{instrument} not found"}
        return 200, {
            "description": "E-mini S&P 500 Futures",
            "type": "Future",
            "tickSize": self.tick,
            "pointValue": 50.0,
            "tickValue": 12.5,
            "exchange": "Hkfe" if instrument.startswith("FDAX") else "Globex",
            "expiration": "2026-12-01",
            "tradingHours": "CME US Index Futures ETH",
            "instrument": names[instrument],
            "bid": self.last,
            "ask": self.last + self.tick,
            "last": self.last,
            "open": 6722.5,
            "high": 6762.25,
            "low": 6604.0,
            "close": 6626.0,
            "volume": 204962,
            "epoch": int(time.time()),
            "dataSource": {"status": "Live", "connectedFeeds": ["Live"]},
            "isMarketOpen": True,
        }

    def _bars(self, body: Mapping[str, Any]) -> dict[str, Any]:
        seconds = {"minute": 60, "day": 86400}[body["periodType"]] * body["period"]
        newest = int(time.time()) // seconds * seconds
        rows = [
            {
                "epoch": (newest - seconds * back) * 1000,
                "open": 1.5,
                "high": 2.0,
                "low": 1.25,
                "close": 1.75,
                "volume": 9,
            }
            for back in reversed(range(5))
        ]
        return {"instrument": body["instrument"], "count": 5, "bars": rows, "success": True}

    def _place(self, body: dict[str, Any]) -> Reply:
        if problem := self._broken_rule(body):
            self.violations.append(problem)
            return 400, {"success": False, "error": "invalid_request", "detail": problem}
        if body["quantity"] > self.most:
            return 400, {"success": False, "error": "rejected", "detail": "Exceeds account's buying power"}
        ours = body["orderId"]
        if self.keeps_ids and ours in self.orders:
            return self.duplicate()
        market = body["orderType"] == "MARKET"
        theirs = uuid.uuid4().hex
        self.orders[ours] = {
            "account": self.account,
            "orderId": theirs,
            "instrument": body["instrument"],
            "instrumentType": "Future",
            "orderType": body["orderType"].title(),
            "orderState": "Filled" if market else "Working",
            "orderAction": body["action"].title(),
            "quantity": body["quantity"],
            "averageFillPrice": self.last if market else 0.0,
            "filled": body["quantity"] if market else 0,
            "limitPrice": body.get("limitPrice", 0.0),
            "stopPrice": body.get("stopPrice", 0.0),
            "timeInForce": body["timeInForce"].title(),
            "epoch": int(time.time() * 1000),
            "success": True,
            **({"originalOrderId": ours} if self.keeps_ids else {}),
        }
        return 200, {"orderId": ours if self.keeps_ids else theirs, "success": True}

    def _broken_rule(self, body: Mapping[str, Any]) -> str | None:
        if unknown := set(body) - _PLACE:
            return f"unknown fields {sorted(unknown)}"
        if not isinstance(body["quantity"], int) or body["action"] not in ("BUY", "SELL"):
            return "quantity and action"
        if body["orderType"] not in ("MARKET", "LIMIT", "STOPMARKET", "STOPLIMIT"):
            return "orderType"
        if body["timeInForce"] not in ("DAY", "GTC"):
            return "timeInForce"
        if ("limitPrice" in body) is not (body["orderType"] in ("LIMIT", "STOPLIMIT")):
            return "limitPrice"
        if ("stopPrice" in body) is not (body["orderType"] in ("STOPMARKET", "STOPLIMIT")):
            return "stopPrice"
        if not re.fullmatch(r"\w+ \d\d-\d\d", body["instrument"]):
            return "instrument"
        return None
