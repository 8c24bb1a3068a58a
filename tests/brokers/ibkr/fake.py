"""Interactive Brokers' Web API on loopback: its paths, bodies, questions and moods, and a market of one price.

Shapes: IBKR Web API 1.0 (OpenAPI, mirrored in github.com/promobase/ibkr-web-api) and the Web API documents at
ibkrcampus.com; texts of the questions: IBKR's list of suppressible messages. OAuth signatures are verified here with
code that shares nothing with the adapter's: RSA by bare exponentiation, Diffie-Hellman by pow, HMAC by hashlib.
"""

import base64
import hashlib
import json
import re
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.brokers.faults import Asked, FakeBroker, Fault, Reply, Switchboard
from tests.brokers.ibkr.requests import CALLS
from tests.brokers.requests import misfit
from tests.brokers.sockets import FakeSocket
from tests.secrets.known import keep

PAPER, LIVE = "DU1234567", "U7654321"
BASE = "/v1/api"
APPLE, APPLE_MEXICO, FUTURE, TINY = 265598, 38708077, 495512563, 76792991
FUTURE_MARCH, EVERSOURCE, TWIN_NYSE, TWIN_AMEX = 495512557, 181273384, 4711, 4712
CALL, EURO, BERKSHIRE = 731240095, 12087792, 72063691
FRANKFURT, SMART = 8001, 8002
LISTINGS, CROWD = 8100, 8200
"""Where the numbers begin of a share at twelve places, the last of them Xetra, and of one at more than forty."""
OPTION = 700_000_000
"""Where the numbers of options begin."""
OPTION_DAYS = {"DEC29": ("20291221", "20291228"), "JAN30": ("20300118",)}

QUESTION = (
    "The following order BUY 650 AAPL NASDAQ.NMS value estimate of 124,995.00 USD exceeds \n"
    "the Total Value Limit of 100,000 USD.\nAre you sure you want to submit this order?"
)

WORKING = ("PreSubmitted", "Submitted", "PendingSubmit")
# RFC 2409, section 6.1: enough for arithmetic that is tested and not attacked.
PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A3620FFFFFFFFFFFFFFFF",
    16,
)


@dataclass(frozen=True)
class Keys:
    """One person's OAuth keys, and what Interactive Brokers keeps of them."""

    settings: dict[str, str]
    modulus: int
    exponent: int
    secret: bytes


def make_keys() -> Keys:
    signature, encryption = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    secret = secrets.token_bytes(24)
    public = encryption.public_key().public_numbers()
    size = (public.n.bit_length() + 7) // 8
    filler = bytes(secrets.choice(range(1, 256)) for _ in range(size - 3 - len(secret)))
    sealed = pow(int.from_bytes(b"\0\2" + filler + b"\0" + secret, "big"), public.e, public.n).to_bytes(size, "big")
    numbers = signature.public_key().public_numbers()
    keep("Interactive Brokers token secret", base64.b64encode(sealed).decode())
    for key in (encryption, signature):
        keep("Interactive Brokers key", _pem(key))
    return Keys(
        settings={
            "consumer_key": "TESTCONSK",
            "access_token": keep("Interactive Brokers token", secrets.token_hex(10)),
            "access_token_secret": base64.b64encode(sealed).decode(),
            "encryption_key": _pem(encryption),
            "signature_key": _pem(signature),
            "dh_prime": f"{PRIME:x}",
        },
        modulus=numbers.n,
        exponent=numbers.e,
        secret=secret,
    )


def _pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class _OrderFaults(Switchboard):
    """A fault without a path is meant for what sends orders: other questions are asked by POST here too."""

    def take(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for place, fault in enumerate(self.waiting):
                meant = path.startswith(fault.path) if fault.path else method == "GET" or bool(_sends(path))
                if fault.method == method and meant:
                    return self.waiting.pop(place)
        return None


def _sends(path: str) -> re.Match[str] | None:
    return re.fullmatch(rf"{BASE}/iserver/(account/[^/]+/(orders|order/\d+)|reply/[^/]+)", path)


def _changed(now: Decimal, change: Decimal) -> dict[str, str]:
    return {"current": f"{now:,}", "change": f"{change:,}", "after": f"{now + change:,}"}


_SESSION_ID = "cb0f2f5202aab5d3ca020c118356f315"


class FakeIbkr(FakeBroker):
    STREAMS = (f"{BASE}/ws",)

    def __init__(self, keys: Keys | None = None, account: str = PAPER) -> None:
        super().__init__()
        self.faults = _OrderFaults()
        self.keys = keys
        self.account = account
        self.session = "good"
        """good, gone (401), signed_out or competing."""
        self.asked_accounts = self.asked_portfolio = False
        self.looked_at: set[str] = set()
        """What was asked for once: the first answer is empty."""
        self.questions: list[str] = []
        """Asked before the next order is taken, one after the other."""
        self.pending: dict[str, tuple[list[dict[str, Any]], list[str]]] = {}
        self.groups: list[set[str]] = []
        """Orders that end each other, by our ids."""
        self.live: dict[int, dict[str, Any]] = {}
        self.trades: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        """Every order that was posted, in the order of arrival, refused ones included."""
        self.replies: list[tuple[str, bool]] = []
        self.violations: list[str] = []
        self.token: bytes | None = None
        self.nonces: set[str] = set()
        self.price = Decimal("190.25")
        self.cash = {"USD": Decimal("100000.5"), "EUR": Decimal("250.25"), "BASE": Decimal("100270.75")}
        self.most = Decimal(10_000_000)
        self.earnings = ""
        """What field 7686 says, which only who subscribes to it is sent."""
        self.halted = False
        """What an order may be worth."""
        self.clock_ahead = 0.0
        self.option_prices: dict[int, tuple[str, str, str]] = {}
        """Last, bid and ask of some options; the others have one price."""
        self.held_options: dict[int, int] = {}
        self.tells_legs = self.tells_wholes = True
        """What of an order of several contracts the list of executions has; IBKR does not document which."""
        self.dead: set[int] = set()
        self.fills_before_cancel = Decimal(0)
        self.next_id = 1234567890

    # -- faults --------------------------------------------------------------------------------------------------

    def posted(self, asked: Asked) -> None:
        if asked.method == "POST" and re.fullmatch(rf"{BASE}/iserver/account/[^/]+/orders", asked.path):
            self.sent += _exact(asked)["orders"]

    def duplicate(self) -> Reply:
        return 200, {"error": f"Order couldn't be submitted: Local order ID={'0' * 32} is already registered."}

    def other(self) -> Any:
        return [{"order_id": "1", "local_order_id": "f" * 32, "order_status": "Submitted", "encrypt_message": "1"}]

    def not_understood(self, error: Exception) -> Reply:
        self.violations.append(repr(error))
        return 400, {"error": "Bad Request: the request could not be understood", "statusCode": 400}

    # -- the wire ------------------------------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Reply:
        path = asked.path.removeprefix(BASE)
        if self.keys is not None and path == "/oauth/live_session_token":
            return self._live_session_token(asked, self.keys)
        if self.keys is not None and (problem := self._unsigned(asked, self.keys)):
            self.violations.append(problem)
            return 401, {"error": problem}
        if self.session == "gone":
            return 401, {"error": "Unauthorized"}
        state = {
            "authenticated": self.session == "good",
            "competing": self.session == "competing",
            "connected": True,
            "message": "",
            "MAC": "98:F2:B3:23:BF:A0",
        }
        match asked.method, path:
            case "POST", "/tickle":
                return 200, {
                    "session": _SESSION_ID,
                    "ssoExpires": 460311,
                    "collission": False,
                    "userId": 123456789,
                    "hmds": {"error": "no bridge"},
                    "iserver": {"authStatus": state},
                }
            case "POST", "/iserver/auth/ssodh/init":
                if asked.body != {"publish": True, "compete": False}:
                    self.violations.append("Nobody may be thrown out of their session.")
                if self.session == "signed_out":
                    self.session = "good"
                return 200, state | {"authenticated": self.session == "good"}
        if self.session != "good" and path.startswith("/iserver"):
            return 200 if path == "/iserver/account/orders" else 401, {}
        return self._signed_in(asked, path)

    def _signed_in(self, asked: Asked, path: str) -> Reply:
        account = self.account
        path = path.rstrip("/")
        if problem := misfit(CALLS, asked, path):
            self.violations.append(problem)
            return 400, {"error": problem, "statusCode": 400}
        if path.startswith(("/iserver/account/", "/iserver/reply/")) and not self.asked_accounts:
            return 400, {"error": "Please query /accounts first", "statusCode": 400}
        if path.startswith(f"/portfolio/{account}/") and not self.asked_portfolio:
            return 400, {"error": "Please query /portfolio/accounts first", "statusCode": 400}
        match asked.method, path.strip("/").split("/"):
            case "GET", ["iserver", "accounts"]:
                self.asked_accounts = True
                return 200, {"accounts": [account], "aliases": {account: account}, "selectedAccount": account}
            case "GET", ["portfolio", "accounts"]:
                self.asked_portfolio = True
                row = {"id": account, "accountId": account, "displayName": "Jane Doe", "currency": "USD"}
                return 200, [row | {"type": "INDIVIDUAL", "clearingStatus": "O", "parent": {}}]
            case "GET", ["portfolio", _, "ledger"]:
                return 200, {name: self._purse(name) for name in ("USD", "EUR", "BASE")}
            case "GET", ["portfolio", _, "summary"]:
                amount = {"amount": 1234567.25, "currency": "USD", "isNull": False, "timestamp": 1702582422000}
                return 200, {"buyingpower": amount | {"value": None, "severity": 0}}
            case "GET", ["portfolio", _, "positions", page]:
                return 200, self._positions() if page == "0" else []
            case "GET", ["trsrv", "stocks"]:
                found: dict[str, Any] = {}
                for symbol in asked.query["symbols"].split(","):
                    found |= self._stocks(symbol)
                return 200, found
            case "GET", ["trsrv", "futures"]:
                return 200, _futures(asked.query["symbols"])
            case "GET", ["iserver", "secdef", "strikes"]:
                return 200, _strikes(asked.query)
            case "GET", ["iserver", "secdef", "info"]:
                return 200, [] if self._first_look("search AAPL") else _options(asked.query)
            case "GET", ["iserver", "currency", "pairs"]:
                pair: dict[str, Any] = {"symbol": "EUR.USD", "conid": EURO, "ccyPair": "EUR"}
                return 200, {asked.query["currency"]: [pair] if asked.query["currency"] == "USD" else []}
            case "POST", ["iserver", "secdef", "search"]:
                self.looked_at.add(f"search {asked.body['symbol']}")
                return self._search(asked.body)
            case "GET", ["iserver", "contract", conid, "info-and-rules"]:
                known = _contract_of(int(conid))
                return (404, {"error": "Contract not found"}) if known is None else (200, known)
            case "GET", ["iserver", "marketdata", "snapshot"]:
                return 200, self._snapshot(asked.query)
            case "GET", ["iserver", "marketdata", "history"]:
                return 200, self._history(asked.query)
            case "GET", ["iserver", "exchangerate"]:
                if asked.query["target"] == "XXX":
                    return 400, {"error": "Invalid currency pair", "statusCode": 400}
                return 200, {"rate": 0.9144}
            case "GET", ["iserver", "account", "orders"]:
                return 200, self._orders()
            case "GET", ["iserver", "account", "trades"]:
                return 200, list(self.trades)
            case "GET", ["iserver", "account", "order", "status", order_id]:
                found = self.live.get(int(order_id), {})
                told = {"order_id": int(order_id), "order_status": found.get("status")}
                told |= {"cum_fill": str(found.get("filledQuantity")), "total_size": str(found.get("totalSize"))}
                return 200, told | {"cannot_cancel_order": int(order_id) in self.dead}
            case "POST", ["iserver", "account", whose, "orders"] if whose == account:
                return self._place(_exact(asked)["orders"])
            case "POST", ["iserver", "account", whose, "orders", "whatif"] if whose == account:
                return self._what_if(_exact(asked)["orders"][0])
            case "POST", ["iserver", "account", whose, "order", order_id] if whose == account:
                return self._modify(int(order_id), _exact(asked))
            case "DELETE", ["iserver", "account", whose, "order", order_id] if whose == account:
                return self._cancel(int(order_id))
            case "POST", ["iserver", "reply", token]:
                return self._reply(token, asked.body)
        return 404, {"error": "Resource not found", "statusCode": 404}

    # -- reads ---------------------------------------------------------------------------------------------------

    def _purse(self, name: str) -> dict[str, Any]:
        cash = self.cash[name]
        return {
            "currency": name,
            "cashbalance": cash,
            "settledcash": cash,
            "netliquidationvalue": 119295.75 if name == "BASE" else cash,
            "exchangerate": 1,
            "key": "LedgerList",
        }

    def _positions(self) -> list[dict[str, Any]]:
        row = {
            "acctId": self.account,
            "conid": APPLE,
            "contractDesc": "AAPL",
            "position": 100.0,
            "mktPrice": 190.25,
            "mktValue": 19025.0,
            "currency": "USD",
            "avgCost": 150.125,
            "avgPrice": 150.125,
            "realizedPnl": 0.0,
            "unrealizedPnl": 4012.5,
            "assetClass": "STK",
            "ticker": "AAPL",
        }
        return [row, row | {"conid": 1, "position": 0.0, "ticker": "GONE"}, *self._option_positions(row)]

    def _option_positions(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        told = []
        for conid, held in self.held_options.items():
            known = _contract_of(conid)
            assert known is not None
            named = f"AAPL   DEC2029 180 C [{known['local_symbol']} 100]"
            more = {"conid": conid, "contractDesc": named, "position": float(held), "assetClass": "OPT", "ticker": None}
            told.append(row | more | {"multiplier": 100.0, "mktPrice": 4.1, "mktValue": 410.0 * held})
        return told

    def _stocks(self, symbol: str) -> dict[str, Any]:
        places = {
            "AAPL": [(APPLE, "NASDAQ", True), (APPLE_MEXICO, "MEXI", False)],
            "TWIN": [(TWIN_NYSE, "NYSE", True), (TWIN_AMEX, "AMEX", True)],
            "ES": [(EVERSOURCE, "NYSE", True)],
            "BRK B": [(BERKSHIRE, "NYSE", True)],
            "FRA": [(FRANKFURT, "FWB", False)],
            "SMRT": [(SMART, "NASDAQ", True)],
            "ABC": [(LISTINGS + place, "FWB" if place < 11 else "IBIS", False) for place in range(12)],
            "CROWD": [(CROWD + place, "FWB", False) for place in range(41)],
        }
        contracts = [{"conid": each, "exchange": at, "isUS": us} for each, at, us in places.get(symbol, [])]
        return {symbol: [{"name": "APPLE INC", "assetClass": "STK", "contracts": contracts}] if contracts else []}

    def _search(self, body: Any) -> Reply:
        if body["symbol"].upper() not in ("AAPL", "APPLE"):
            return 200, {"error": "No symbol found"}
        row = {"companyHeader": "APPLE INC - NASDAQ", "companyName": "APPLE INC", "symbol": "AAPL"}
        months = ";".join(OPTION_DAYS)
        sections = [
            {"secType": "STK"},
            {"secType": "OPT", "months": months, "exchange": "SMART;AMEX"},
            {"secType": "WAR"},
        ]
        return 200, [row | {"conid": str(APPLE), "sections": sections}, row | {"conid": "2147483647"}]

    def _first_look(self, what: str) -> bool:
        fresh = what not in self.looked_at
        self.looked_at.add(what)
        return fresh

    def _snapshot(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        rows = []
        for conid in query["conids"].split(","):
            row: dict[str, Any] = {"conid": int(conid), "conidEx": conid}
            if not self._first_look(f"price {conid}"):
                prices = {
                    "31": f"{'H' if self.halted else 'C'}{self.price:,}",
                    "84": "190.20",
                    "86": "190.30",
                    "85": "3",
                    "88": "12",
                }
                day = {"70": "191.00", "71": "188.5", "82": "1.25", "83": 0.66, "7295": "189", "7762": "45,000,100"}
                if int(conid) in range(OPTION, OPTION + 100_000):
                    prices = {"31": "4.10", "84": "4.15", "86": "4.30", "7308": "0.752", "7309": "0.062"}
                    day = {"7310": "-0.285", "7311": "0.048", "7633": "33.7%", "7638": "1.2K"}
                    if int(conid) in self.option_prices:
                        prices |= dict(zip(("31", "84", "86"), self.option_prices[int(conid)], strict=True))
                    if conid.endswith("685"):
                        prices, day = {}, {}
                if "7288" in query["fields"].split(","):
                    day = {"7286": "0.26", "7288": "20301108", "7686": self.earnings}
                row |= prices | day | {"55": "AAPL", "_updated": int(time.time() * 1000), "server_id": "q0"}
            rows.append(row)
        return rows

    def _history(self, query: Mapping[str, str]) -> dict[str, Any]:
        seconds = {"1min": 60, "5min": 300, "15min": 900, "1h": 3600, "1d": 86400}[query["bar"]]
        last = int(time.time()) // seconds * seconds
        rows = [
            {"o": 190.1, "c": 190.2, "h": 190.3, "l": 190.0, "v": 21.8, "t": (last - seconds * back) * 1000}
            for back in reversed(range(10))
        ]
        return {"symbol": "AAPL", "volumeFactor": 100, "priceFactor": 100, "barLength": seconds, "data": rows}

    def _orders(self) -> dict[str, Any]:
        if self._first_look("orders"):
            return {"orders": [], "snapshot": False}
        return {"orders": [dict(each) for each in self.live.values()], "snapshot": True}

    # -- orders --------------------------------------------------------------------------------------------------

    def _place(self, tickets: list[dict[str, Any]]) -> Reply:
        grouped = [each.get("isSingleGroup", False) for each in tickets]
        for ticket in tickets:
            problem = self._broken_rule(ticket)
            if len(tickets) > 1 and not all(grouped):
                problem = "several orders are one group or none"
            if problem:
                self.violations.append(problem)
                return 400, {"error": problem, "statusCode": 400}
            ticket.setdefault("cOID", "")  # an order can do without
            if ticket["cOID"] and any(each["order_ref"] == ticket["cOID"] for each in self.live.values()):
                text = f"Order couldn't be submitted: Local order ID={ticket['cOID']} is already registered."
                return 200, {"error": text}
            if ticket["quantity"] * self._worth(ticket) > self.most:
                return 200, {"error": "We cannot accept an order at the limit price you selected. Insufficient funds."}
        if self.questions:
            return self._ask(tickets[0], list(self.questions), *tickets[1:])
        return 200, self._accept_all(tickets)

    def _broken_rule(self, ticket: Mapping[str, Any]) -> str | None:
        if "conidex" in ticket:
            if "conid" in ticket:
                return "conidex stands instead of conid"
            known = [_contract_of(conid) for conid, _ in _legs(ticket["conidex"])]
            if any(each is None or each["instrument_type"] != "OPT" for each in known) or len(known) > 4:
                return "unknown conidex"
            if ticket["orderType"] not in ("MKT", "LMT"):
                return "several contracts go as MKT or LMT"
        elif _contract_of(ticket.get("conid", 0)) is None:
            return "unknown conid"
        elif ticket.get("price", 0) < 0:
            return "price is below zero"
        if ticket["orderType"] in ("LMT", "STP", "STOP_LIMIT") and "price" not in ticket:
            return "price is missing"
        if (ticket["orderType"] == "STOP_LIMIT") is not ("auxPrice" in ticket):
            return "auxPrice belongs to STOP_LIMIT"
        if (ticket["orderType"] == "TRAIL") is not ("trailingAmt" in ticket):
            return "trailingAmt belongs to TRAIL"
        return None

    def _worth(self, ticket: Mapping[str, Any]) -> Decimal:
        if "conidex" not in ticket:
            return self.price
        return 100 * (ticket["price"] if "price" in ticket else self._net(ticket["conidex"])).copy_abs()

    def _net(self, conidex: str) -> Decimal:
        return sum((ratio * self._last(conid) for conid, ratio in _legs(conidex)), Decimal(0))

    def _last(self, conid: int) -> Decimal:
        return Decimal(self.option_prices.get(conid, ("4.10", "", ""))[0])

    def _accept_all(self, tickets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        told = [self._accept(ticket) for ticket in tickets]
        if len(tickets) > 1:
            self.groups.append({ticket["cOID"] for ticket in tickets})
        return told

    def _ask(self, ticket: dict[str, Any], questions: list[str], *others: dict[str, Any]) -> Reply:
        token = str(uuid.uuid4())
        self.pending[token] = ([ticket, *others], questions)
        return 200, [
            {"id": token, "message": [questions[0]], "isSuppressed": False, "messageIds": ["o451"]},
        ]

    def _reply(self, token: str, body: Any) -> Reply:
        self.replies.append((token, body["confirmed"]))
        if token not in self.pending:
            return 400, {"error": f"reply id not found: '{token}'", "statusCode": 400}
        tickets, questions = self.pending.pop(token)
        if not body["confirmed"]:
            return 400, {"error": "order not confirmed", "statusCode": 400}
        if questions[1:]:
            return self._ask(tickets[0], questions[1:], *tickets[1:])
        return 200, self._accept_all(tickets)

    def _accept(self, ticket: dict[str, Any]) -> dict[str, Any]:
        self.next_id += 1
        order_id, conidex = self.next_id, ticket.get("conidex", "")
        contract = _contract_of(_legs(conidex)[0][0] if conidex else ticket["conid"])
        assert contract is not None
        kind = {"MKT": "MARKET", "LMT": "LIMIT", "STP": "STOP", "STOP_LIMIT": "STOP_LIMIT", "TRAIL": "TRAILING_STOP"}
        self.live[order_id] = {
            "acct": self.account,
            "account": self.account,
            "conid": int(conidex.partition(";")[0]) if conidex else ticket["conid"],
            "conidex": conidex or str(ticket["conid"]),
            "orderId": order_id,
            "cashCcy": "USD",
            "ticker": contract["symbol"],
            "secType": "BAG" if conidex else contract["instrument_type"],
            "totalSize": ticket["quantity"],
            "remainingQuantity": ticket["quantity"],
            "filledQuantity": 0,
            "status": "Submitted",
            "order_ref": ticket["cOID"],
            "origOrderType": kind[ticket["orderType"]],
            "side": ticket["side"],
            "timeInForce": "CLOSE" if ticket["tif"] == "DAY" else ticket["tif"],
            "lastExecutionTime_r": int(time.time() * 1000),
            **{name: str(ticket[name]) for name in ("price", "auxPrice") if name in ticket},
        }
        self._tell(self.live[order_id])
        if ticket["orderType"] == "MKT":
            self.fill(ticket["cOID"], ticket["quantity"], self._net(conidex) if conidex else self.price)
        return {
            "order_id": str(order_id),
            "local_order_id": ticket["cOID"],
            "order_status": "Submitted",
            "encrypt_message": "1",
        }

    def fill(self, order_ref: str, quantity: Decimal, price: Decimal, commission: str = "1.00") -> None:
        order = next(each for each in self.live.values() if each["order_ref"] == order_ref)
        order["filledQuantity"] += quantity
        order["remainingQuantity"] -= quantity
        if not order["remainingQuantity"]:
            order["status"] = "Filled"
            others = set().union(*(group for group in self.groups if order_ref in group)) - {order_ref}
            for each in self.live.values():
                if each["order_ref"] in others and each["status"] in WORKING:
                    each["status"] = "Cancelled"
        order["avgPrice"] = f"{price:,}"
        self._tell(order)
        if order["secType"] != "BAG":
            self._trade(order, order["conid"], order["side"], quantity, price, commission)
            return
        if self.tells_wholes:
            self._trade(order, order["conid"], order["side"], quantity, price, "0.00")
        for conid, ratio in _legs(order["conidex"]) if self.tells_legs else ():
            side = "BUY" if ratio > 0 else "SELL"
            self._trade(order, conid, side, quantity * abs(ratio), self._last(conid), commission)

    def _trade(
        self, order: Mapping[str, Any], conid: int, side: str, quantity: Decimal, price: Decimal, commission: str
    ) -> None:
        known = _contract_of(conid)
        self.trades.append(
            {
                "execution_id": f"0000e0d5.{len(self.trades):08x}.01.01",
                "symbol": order["ticker"],
                "side": side[0],
                "trade_time": time.strftime("%Y%m%d-%H:%M:%S", time.gmtime()),
                "trade_time_r": int(time.time() * 1000),
                "size": quantity,
                "price": f"{price:,}",
                "order_ref": order["order_ref"],
                "exchange": "NASDAQ",
                "commission": commission,
                "net_amount": quantity * price,
                "account": self.account,
                "accountCode": self.account,
                "sec_type": order["secType"] if known is None else known["instrument_type"],
                "conid": conid,
                "conidEx": order["conidex"] if known is None else str(conid),
            }
        )

    # -- the stream: ibkrcampus.com, "Websockets" ------------------------------------------------------------------

    def stream_opened(self, wire: FakeSocket) -> None:
        cookie = next((value for name, value in wire.headers.items() if name.lower() == "cookie"), "")
        knows = self.keys is None or f"oauth_token={self.keys.settings['access_token']}" in wire.path
        if knows and cookie == "api=" + json.dumps({"session": _SESSION_ID}):
            self._welcome(wire)
        else:
            wire.say({"message": "waiting for session"})

    def _welcome(self, wire: FakeSocket) -> None:
        wire.notes["signed in"] = True
        wire.say({"topic": "system", "success": "tester", "isFT": False, "isPaper": self.account == PAPER})
        wire.say({"topic": "sts", "args": {"authenticated": True, "competing": False, "connected": True}})

    def stream_told(self, wire: FakeSocket, told: Any) -> None:
        if isinstance(told, dict) and told.get("session") == _SESSION_ID:
            self._welcome(wire)
        elif told == "tic":
            wire.say({"topic": "system", "hb": int(time.time() * 1000)})
        elif str(told).startswith("sor+") and wire.notes.get("signed in"):
            wire.notes["subscribed"] = True
            for order in self.live.values():
                self._tell(order)

    def _tell(self, order: Mapping[str, Any]) -> None:
        for wire in self.sockets:
            if wire.notes.get("subscribed"):
                wire.say({"topic": "sor", "args": [dict(order)]})

    def _modify(self, order_id: int, ticket: dict[str, Any]) -> Reply:
        order = self.live.get(order_id)
        if order is None or order["status"] not in WORKING:
            return 400, {"error": f"OrderID {order_id} doesn't exist", "statusCode": 400}
        if problem := self._broken_rule(ticket):
            self.violations.append(problem)
            return 400, {"error": problem, "statusCode": 400}
        named = ticket.get("conidex") or str(ticket["conid"])
        if (named, ticket["side"]) != (order["conidex"], order["side"]):
            self.violations.append("a change names what the order is in")
            return 400, {"error": "Contract or side cannot be modified", "statusCode": 400}
        order["remainingQuantity"] = ticket["quantity"] - order["filledQuantity"]
        order["totalSize"] = ticket["quantity"]
        order |= {name: str(ticket[name]) for name in ("price", "auxPrice") if name in ticket}
        return 200, [{"order_id": str(order_id), "local_order_id": order["order_ref"], "order_status": "Submitted"}]

    def _cancel(self, order_id: int) -> Reply:
        order = self.live.get(order_id)
        if order is None or order["status"] not in WORKING:
            return 200, {"error": f"OrderID {order_id} doesn't exist"}
        if self.fills_before_cancel:
            self.fill(order["order_ref"], self.fills_before_cancel, self.price)
        order["status"] = "Cancelled"
        self._tell(order)
        return 200, {
            "msg": "Request was submitted",
            "order_id": order_id,
            "conid": order["conid"],
            "account": self.account,
        }

    def _what_if(self, ticket: dict[str, Any]) -> Reply:
        if problem := self._broken_rule(ticket):
            return 400, {"error": problem, "statusCode": 400}
        value = ticket["quantity"] * self._worth(ticket)
        if value > self.most:
            return 200, {"error": "Insufficient funds for this order.", "amount": None}
        return 200, {
            "amount": {"amount": f"{value:,} USD", "commission": "1.1 ... 1.2 USD", "total": f"{value:,} USD"},
            "equity": {"current": "119,295.75", "change": "-1.2", "after": "119,294.55"},
            "initial": _changed(Decimal(12_000), value / 4),
            "maintenance": _changed(Decimal(10_000), value / 5),
            "position": {"current": "100", "change": str(ticket["quantity"]), "after": "0"},
            "warn": None,
            "error": None,
        }

    # -- OAuth ---------------------------------------------------------------------------------------------------

    def _live_session_token(self, asked: Asked, keys: Keys) -> Reply:
        told, problem = self._words(asked, keys, "RSA-SHA256")
        if problem:
            self.violations.append(problem)
            return 401, {"error": problem}
        signature = int.from_bytes(base64.b64decode(unquote_plus(told.pop("oauth_signature"))), "big")
        base = keys.secret.hex() + _base("POST", self._address(asked), told)
        size = (keys.modulus.bit_length() + 7) // 8
        digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(base.encode()).digest()
        expected = b"\0\1" + b"\xff" * (size - 3 - len(digest)) + b"\0" + digest
        if pow(signature, keys.exponent, keys.modulus).to_bytes(size, "big") != expected:
            self.violations.append("RSA signature")
            return 401, {"error": "invalid signature"}
        mine = secrets.randbits(256)
        shared = pow(int(told["diffie_hellman_challenge"], 16), mine, PRIME)
        octets = shared.to_bytes((shared.bit_length() + 7) // 8, "big")
        if octets[0] & 0x80:
            octets = b"\0" + octets
        self.token = _hmac(octets, keys.secret, "sha1")
        return 200, {
            "diffie_hellman_response": f"{pow(2, mine, PRIME):x}",
            "live_session_token_signature": _hmac(self.token, b"TESTCONSK", "sha1").hex(),
            "live_session_token_expiration": int((time.time() + 86400) * 1000),
        }

    def _unsigned(self, asked: Asked, keys: Keys) -> str:
        told, problem = self._words(asked, keys, "HMAC-SHA256")
        if problem or self.token is None:
            return problem or "no live session token"
        signature = base64.b64decode(unquote_plus(told.pop("oauth_signature")))
        base = _base(asked.method, self._address(asked), {**told, **asked.query})
        return "" if signature == _hmac(self.token, base.encode(), "sha256") else "HMAC signature"

    def _words(self, asked: Asked, keys: Keys, method: str) -> tuple[dict[str, str], str]:
        header = asked.headers.get("Authorization", "")
        told = dict(re.findall(r'(\w+)="([^"]*)"', header.removeprefix("OAuth ")))
        if told.pop("realm", "") != "limited_poa" or told.get("oauth_signature_method") != method:
            return told, "realm or method"
        if told.get("oauth_consumer_key") != keys.settings["consumer_key"]:
            return told, "consumer key"
        if told.get("oauth_token") != keys.settings["access_token"]:
            return told, "access token"
        if abs(int(told["oauth_timestamp"]) - time.time() - self.clock_ahead) > 300:
            return told, "timestamp"
        if told["oauth_nonce"] in self.nonces:
            return told, "nonce"
        self.nonces.add(told["oauth_nonce"])
        return told, ""

    def _address(self, asked: Asked) -> str:
        return f"{self.url}{asked.path}"


def _base(method: str, address: str, words: Mapping[str, str]) -> str:
    joined = "&".join("=".join(pair) for pair in sorted(words.items()))
    return "&".join([method, quote_plus(address), quote_plus(joined)])


def _hmac(key: bytes, message: bytes, name: str) -> bytes:
    """RFC 2104, from the hash up."""
    padded = (hashlib.new(name, key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.new(name, bytes(each ^ 0x36 for each in padded) + message).digest()
    return hashlib.new(name, bytes(each ^ 0x5C for each in padded) + inner).digest()


def _exact(asked: Asked) -> Any:
    return json.loads(asked.raw, parse_float=Decimal)


def _contract(conid: int, symbol: str, kind: str, exchange: str, **more: Any) -> dict[str, Any]:
    rules = {"increment": 0.01, "incrementRules": [{"lowerEdge": 0.0, "increment": 0.01}], "sizeIncrement": 100}
    return {
        "con_id": conid,
        "symbol": symbol,
        "local_symbol": symbol,
        "company_name": "APPLE INC",
        "instrument_type": kind,
        "currency": "USD",
        "exchange": exchange,
        "multiplier": None,
        "maturity_date": None,
        **more,
        "rules": rules | more.get("rules", {}),
    }


def _futures(symbol: str) -> dict[str, Any]:
    """Example of GET /trsrv/futures; one that has ended, and two that have not, in no order."""
    days = {FUTURE_MARCH: ("20300315", "20300314"), FUTURE: ("20291221", "20291220"), 1: ("20200619", "20200618")}
    rows = [
        {"symbol": "ES", "conid": conid, "underlyingConid": 11004968, "expirationDate": int(ends), "ltd": int(last),
         "shortFuturesCutOff": int(last), "longFuturesCutOff": int(last)}
        for conid, (ends, last) in days.items()
    ]  # fmt: skip
    return {symbol: rows if symbol == "ES" else []}


def _strikes(query: Mapping[str, str]) -> dict[str, Any]:
    """Example of GET /iserver/secdef/strikes, which only knows a month that was searched for."""
    if query["conid"] != str(APPLE) or query["month"] not in OPTION_DAYS:
        return {"call": [], "put": []}
    if query["month"] == "JAN30":
        return {"call": [170.0 + 2.5 * step for step in range(14)], "put": [170.0]}
    return {"call": [180.0, 185.0, 190.0, 192.5], "put": [180.0, 185.0, 190.0, 192.5, 200.0]}


def _options(query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Example of GET /iserver/secdef/info: one contract for each day of the month that has this strike."""
    strike, right = Decimal(query["strike"]), query["right"]
    if (query["month"], right) == ("DEC29", "C") and strike == 250:
        return [{"conid": CALL, "symbol": "AAPL", "secType": "OPT", "maturityDate": "20291221"}]
    if all(float(strike) not in side for side in _strikes(query).values()):
        return []
    return [
        {"conid": OPTION + int(day) % 100 * 1000 + int(strike) + (0 if right == "C" else 500), "symbol": "AAPL",
         "secType": "OPT", "exchange": "SMART", "listingExchange": None, "right": right, "strike": float(strike),
         "currency": "USD", "cusip": None, "coupon": "No Coupon", "desc1": "AAPL", "desc2": "", "maturityDate": day,
         "multiplier": "100", "tradingClass": "AAPL", "validExchanges": "SMART,AMEX,CBOE"}
        for day in OPTION_DAYS[query["month"]]
    ]  # fmt: skip


def _legs(conidex: str) -> list[tuple[int, int]]:
    return [(int(conid), int(ratio)) for conid, ratio in (e.split("/") for e in conidex.split(";;;")[1].split(","))]


def _contract_of(conid: int) -> dict[str, Any] | None:
    """Also of the options that ``_options`` lists."""
    if conid not in range(OPTION, OPTION + 100_000):
        return _CONTRACTS.get(conid)
    place, strike = divmod(conid - OPTION, 1000)
    right, strike = ("C", strike) if strike < 500 else ("P", strike - 500)
    exact = 192_500 if strike == 192 else strike * 1000
    for day in (day for days in OPTION_DAYS.values() for day in days if int(day) % 100 == place):
        named = f"AAPL  {day[2:]}{right}{exact:08d}"
        rules = {"increment": 0.01, "incrementRules": [], "sizeIncrement": 1}
        return _contract(
            conid, "AAPL", "OPT", "SMART", local_symbol=named, multiplier="100", maturity_date=int(day), rules=rules
        )
    return None


_CONTRACTS = {
    APPLE: _contract(APPLE, "AAPL", "STK", "NASDAQ"),
    APPLE_MEXICO: _contract(APPLE_MEXICO, "AAPL", "STK", "MEXI", currency="MXN"),
    FUTURE: _contract(
        FUTURE,
        "ES",
        "FUT",
        "CME",
        local_symbol="ESZ9",
        company_name="E-mini S&P 500",
        multiplier="50",
        maturity_date=20291221,
        contract_month="202912",
        rules={"increment": 0.25, "incrementRules": [], "sizeIncrement": 1},
    ),
    FUTURE_MARCH: _contract(
        FUTURE_MARCH,
        "ES",
        "FUT",
        "CME",
        local_symbol="ESH0",
        company_name="E-mini S&P 500",
        multiplier="50",
        maturity_date=20300315,
        contract_month="203003",
        rules={"increment": 0.25, "incrementRules": [], "sizeIncrement": 1},
    ),
    EVERSOURCE: _contract(EVERSOURCE, "ES", "STK", "NYSE", company_name="EVERSOURCE ENERGY"),
    BERKSHIRE: _contract(BERKSHIRE, "BRK B", "STK", "NYSE", company_name="BERKSHIRE HATHAWAY INC-CL B"),
    TWIN_NYSE: _contract(TWIN_NYSE, "TWIN", "STK", "NYSE", company_name="TWIN ONE"),
    TWIN_AMEX: _contract(TWIN_AMEX, "TWIN", "STK", "AMEX", company_name="TWIN TWO"),
    CALL: _contract(
        CALL, "AAPL", "OPT", "SMART", local_symbol="AAPL  291221C00250000", multiplier="100", maturity_date=20291221
    ),
    EURO: _contract(
        EURO,
        "EUR",
        "CASH",
        "IDEALPRO",
        local_symbol="EUR.USD",
        company_name="European Monetary Union Euro",
        rules={"increment": 0.00005, "incrementRules": [], "sizeIncrement": 1},
    ),
    FRANKFURT: _contract(FRANKFURT, "FRA", "STK", "FWB", currency="EUR"),
    SMART: _contract(SMART, "SMRT", "STK", "SMART"),
    **{LISTINGS + place: _contract(LISTINGS + place, "ABC", "STK", "FWB", currency="EUR") for place in range(11)},
    LISTINGS + 11: _contract(LISTINGS + 11, "ABC", "STK", "IBIS", currency="EUR"),
    CROWD: _contract(CROWD, "CROWD", "STK", "IBIS", currency="EUR"),
    **{CROWD + place: _contract(CROWD + place, "CROWD", "STK", "MEXI", currency="MXN") for place in range(1, 41)},
    TINY: _contract(
        TINY,
        "TINY",
        "CASH",
        "IDEALPRO",
        rules={"increment": "0.000000000000000001", "incrementRules": [], "sizeIncrement": "0.000000000000000001"},
    ),
}
