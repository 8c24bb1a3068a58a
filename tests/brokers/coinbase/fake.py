"""Coinbase Advanced Trade on loopback: api/v3/brokerage.

Shapes are the examples of docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/.
"""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.brokers.exchange import Asked, CryptoFake, Listing, Reply, SimOrder, VenueRefuses
from tests.brokers.sockets import FakeSocket
from tests.secrets.known import keep

KEY = "organizations/3b910e93-1f6e/apiKeys/9ba1-coinbase-key"
_PRIVATE = ec.generate_private_key(ec.SECP256R1())
SECRET, WRONG_SECRET = (
    key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    for key in (_PRIVATE, ec.generate_private_key(ec.SECP256R1()))
)
keep("Coinbase key", SECRET)
PORTFOLIO = "b87a2d3f-8a1e-49b3-a4ea-402d8c389aca"

_REFUSALS = {
    "funds": ("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND"),
    "no_symbol": ("INVALID_PRODUCT_ID", "PREVIEW_INVALID_PRODUCT_ID"),
    "too_small": ("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"),
    "lot": ("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_SIZE_PRECISION"),
    "tick": ("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_PRICE_PRECISION"),
    "post": ("INVALID_LIMIT_PRICE_POST_ONLY", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY"),
    "below": ("UNKNOWN_FAILURE_REASON", "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE"),
    "above": ("UNKNOWN_FAILURE_REASON", "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"),
    "target": ("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_LIMIT_PRICE"),
    "bad": ("UNSUPPORTED_ORDER_CONFIGURATION", "UNKNOWN_PREVIEW_FAILURE_REASON"),
}
_NEEDS = {
    "market_market_ioc": set(),
    "market_market_fok": set(),
    "limit_limit_gtc": {"base_size", "limit_price"},
    "limit_limit_gtd": {"base_size", "limit_price", "end_time"},
    "limit_limit_fok": {"base_size", "limit_price"},
    "sor_limit_ioc": {"base_size", "limit_price"},
    "stop_limit_stop_limit_gtc": {"base_size", "limit_price", "stop_price", "stop_direction"},
    "stop_limit_stop_limit_gtd": {"base_size", "limit_price", "stop_price", "stop_direction", "end_time"},
    "trigger_bracket_gtc": {"base_size", "limit_price", "stop_trigger_price"},
    "trigger_bracket_gtd": {"base_size", "limit_price", "stop_trigger_price", "end_time"},
}
_OF_AN_ORDER = {"client_order_id", "product_id", "side", "order_configuration", "attached_order_configuration",
                "self_trade_prevention_id", "leverage", "margin_type", "retail_portfolio_id"}  # fmt: skip
_ATTACHED = {"trigger_bracket_gtc": {"limit_price", "stop_trigger_price"}}
_TIFS = {
    "gtc": "GOOD_UNTIL_CANCELLED",
    "gtd": "GOOD_UNTIL_DATE_TIME",
    "ioc": "IMMEDIATE_OR_CANCEL",
    "fok": "FILL_OR_KILL",
}
_STATES = {"open": "OPEN", "filled": "FILLED", "canceled": "CANCELLED"}
_CONVERTED = ({"USDC", "USD"}, {"PYUSD", "USD"}, {"PYUSD", "USDC"}, {"EURC", "EUR"})
_ORDERS = "/api/v3/brokerage/orders"


def _read_token(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Head and claims. Raises jwt.InvalidTokenError."""
    unchecked: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    told = jwt.decode(token, _PRIVATE.public_key(), algorithms=["ES256"], options=unchecked)
    return jwt.get_unverified_header(token), told


class CoinbaseFake(CryptoFake):
    STREAMS = ("/",)
    POST_ONLY_STANDS = False
    BAD = 400, {"error": "INVALID_ARGUMENT", "error_details": "", "message": "argument missing"}
    REFUSES_SAME_ID = False
    """What it does with an id it has seen is not established: here it takes the order."""

    def __init__(self) -> None:
        super().__init__(
            [
                Listing(
                    symbol="BTC/USD", wire="BTC-USD", base="BTC", quote="USD", tick="0.01", lot="0.00000001",
                    minimum="0.00000001", least_cost="1",
                ),
                Listing(
                    symbol="TINY/USD", wire="TINY-USD", base="TINY", quote="USD", tick="0.000000000000000001",
                    lot="0.000000000000000001", minimum="0.000000000000000001",
                    bid="0.000000000000000009", ask="0.000000000000000011", last="1E-17",
                ),
            ]
        )  # fmt: skip
        self.balances.pop("USDT")
        self.balances["USDC"] = Decimal("5000")
        self.conversions: dict[str, dict[str, Any]] = {}
        """Quotes by their ids, committed or not."""
        self.conversion_fee, self.conversion_rate = "0", "1"
        self.conversion_takes = ""
        """How a commit goes on; empty: to its end."""
        self.convert_bodies: list[Any] = []
        self.can_transfer = False
        self.exits_late = False
        """The exits of an order are not placed yet when it has filled."""
        self.page = 250
        self.refuses: set[str] = set()
        self.nonces: set[str] = set()

    # -- what arrives ---------------------------------------------------------------------------------------------

    def posted(self, asked: Asked) -> None:
        super().posted(asked)
        if asked.method == "POST" and "/convert/trade/" in asked.path:
            self.sent[asked.path.rpartition("/")[2]] += 1
        if asked.method == "POST" and "/convert/" in asked.path:
            self.convert_bodies.append(asked.body)

    def client_id_of(self, asked: Asked) -> str | None:
        return str((asked.body or {}).get("client_order_id")) if asked.path == _ORDERS else None

    def other(self) -> Any:
        return {"success": True, "order_configuration": {}, "success_response": {
            "order_id": "11111-00000-000000", "product_id": "BTC-USD", "side": "BUY",
            "client_order_id": "0000-00000-000000"}}  # fmt: skip

    def speak(self, asked: Asked) -> Reply:
        path = asked.path.removeprefix("/api/v3/brokerage")
        if path == "/time":
            at = self.now()
            return 200, {"iso": _iso(at), "epochSeconds": str(at // 1000), "epochMillis": str(at)}
        if path.startswith("/market/"):
            return self._public(path, asked.query)
        if (why := self._distrusted(asked)) is not None:
            self.distrust(why)
            return 401, {"error": "UNAUTHENTICATED", "error_details": why, "message": why}
        if asked.path.startswith("/v2/"):
            return self._wallet(asked)
        found = {
            ("GET", "/key_permissions"): self._permissions,
            ("GET", "/accounts"): self._accounts,
            ("GET", "/transaction_summary"): self._summary,
            ("POST", "/orders"): self._new_order,
            ("POST", "/orders/batch_cancel"): self._batch_cancel,
            ("POST", "/orders/edit"): self._edit,
            ("GET", "/orders/historical/batch"): self._batch,
            ("GET", "/orders/historical/fills"): self._fills,
        }.get((asked.method, path))
        if found is not None:
            return found(asked)
        if path == "/convert/quote":
            return self._convert_quote(asked)
        if path.startswith("/convert/trade/"):
            return self._convert_trade(asked, path.rpartition("/")[2])
        if path.startswith("/orders/historical/"):
            order = self.orders.get(path.rpartition("/")[2])
            return (200, {"order": self._order(order)}) if order else (404, {"error": "NOT_FOUND"})
        return 404, {"error": "no such path"}

    def _wallet(self, asked: Asked) -> Reply:
        """docs.cdp.coinbase.com/coinbase-app/: api/v2 with the same tokens."""
        if "show_accounts" in self.refuses:
            return 403, {"errors": [{"id": "invalid_scope", "message": "Invalid scope"}]}
        wallet = {
            "id": "2bbf394c-193b-5b2a-9155-3b4732659ede", "name": "BTC Wallet", "primary": True, "type": "wallet",
            "currency": {"code": "BTC", "name": "Bitcoin", "type": "crypto"},
            "balance": {"amount": "39.59000000", "currency": "BTC"}, "created_at": "2015-01-31T20:49:02Z",
            "updated_at": "2024-01-31T20:49:02Z", "resource": "account",
            "resource_path": "/v2/accounts/2bbf394c-193b-5b2a-9155-3b4732659ede",
        }  # fmt: skip
        unused = {**wallet, "id": "82de7fcd-db72-5085-8ceb-bee19303080b", "currency": {"code": "XRP"},
                  "updated_at": "2015-01-31T20:49:02Z"}  # fmt: skip
        if asked.path == "/v2/accounts":
            return _paged(asked, [wallet, unused])
        account, _, what = asked.path.removeprefix("/v2/accounts/").partition("/")
        if what == "addresses":
            row = {"id": "dd3183eb-af1d-5f5d-a90d-cbff946435ff", "address": "mswUGcPHp1YnkLCgF1TtoryqSc5E9Q8xFa",
                   "address_info": {"address": "mswUGcPHp1YnkLCgF1TtoryqSc5E9Q8xFa"}, "name": None, "network":
                   "bitcoin", "created_at": "2015-01-31T20:49:02Z", "resource": "address"}  # fmt: skip
            tagged = {**row, "address_info": {"address": "rw2ciyaNshpHe7bCHo4bRWq6pqqynnWKQg",
                                              "destination_tag": "1170"}, "network": "ripple"}  # fmt: skip
            return _paged(asked, [row if account == wallet["id"] else tagged])
        if what == "transactions" and account == wallet["id"]:
            return _paged(asked, self._transactions())
        return 404, {"errors": [{"id": "not_found", "message": "Not found"}]}

    def _transactions(self) -> list[dict[str, Any]]:
        base = {"native_amount": {"amount": "-50.00", "currency": "USD"}, "resource": "transaction"}
        rows = [
            {"type": "send", "status": "pending", "amount": {"amount": "-0.00100000", "currency": "BTC"},
             "network": {"status": "unconfirmed", "hash": "463397c87beddd9a61ade61359a13adc9efea260",
                         "network_name": "bitcoin", "transaction_fee": {"amount": "0.00001", "currency": "BTC"}}},
            {"type": "buy", "status": "completed", "amount": {"amount": "0.5", "currency": "BTC"}},
            {"type": "send", "status": "completed", "amount": {"amount": "0.25", "currency": "BTC"},
             "network": {"status": "off_blockchain"}},
            {"type": "exchange_deposit", "status": "canceled", "amount": {"amount": "-1", "currency": "BTC"}},
        ]  # fmt: skip
        return [
            {"id": f"57ffb4ae-0c59-5430-bcd3-3f98f797a66{number}", "created_at": f"2024-01-{20 - number}T20:49:02Z",
             **base, **row}
            for number, row in enumerate(rows)
        ]  # fmt: skip

    def _distrusted(self, asked: Asked) -> str | None:
        """A token of ES256 for this method, host and path, not older than two minutes, with a nonce of its own. Who
        issued it and whom it is for is written in one way by ccxt and in another by Coinbase's own client."""
        headers = {name.lower(): value for name, value in asked.headers.items()}
        token = headers.get("authorization", "").removeprefix("Bearer ")
        try:
            head, told = _read_token(token)
        except jwt.InvalidTokenError as error:
            return str(error)
        place = told["uri"].removeprefix(asked.method + " ")
        split = urlsplit(place if "://" in place else "//" + place)
        nonce, now = head.get("nonce", ""), self.now() / 1000
        if told["sub"] != KEY or head["kid"] != KEY or told["iss"] not in ("coinbase-cloud", "cdp"):
            return "not this key"
        if "retail_rest_api_proxy" not in told.get("aud", "retail_rest_api_proxy"):
            return "not for this interface"
        if place == told["uri"] or split.netloc != headers["host"] or split.path != asked.path:
            return "not for this call"
        if not told["nbf"] - 5 <= now <= told["exp"]:
            return "not at this time"
        if not nonce or nonce in self.nonces:
            return "nonce used"
        self.nonces.add(nonce)
        return None

    # -- the stream -----------------------------------------------------------------------------------------------

    def stream_told(self, wire: FakeSocket, told: Any) -> None:
        """ "Sending Messages with CDP Keys", "User Channel" and "Heartbeats Channel" of the documents."""
        try:
            head, claims = _read_token(told["jwt"])
        except (jwt.InvalidTokenError, KeyError):
            head, claims = {}, {}
        now = self.now() / 1000
        believed = claims.get("sub") == KEY == head.get("kid") and claims["nbf"] - 5 <= now <= claims["exp"]
        if not believed or "uri" in claims or told["type"] != "subscribe":
            wire.say({"type": "error", "message": "authentication failure"})
            return
        wire.notes.setdefault("channels", []).append(told["channel"])
        named = {each: [""] if each == "user" else ["heartbeats"] for each in wire.notes["channels"]}
        self._say(wire, "subscriptions", [{"subscriptions": named}])
        if told["channel"] == "user":
            wire.notes["subscribed"] = True
            self._say(wire, "user", [{"type": "snapshot", "orders": [], "positions": {}}])
        else:
            counted = {"current_time": "2026-11-30 12:00:00.000000000 +0000 UTC m=+1.5", "heartbeat_counter": 1}
            self._say(wire, "heartbeats", [counted])

    def _say(self, wire: FakeSocket, channel: str, events: list[Any]) -> None:
        wire.say(self._numbered(wire, channel, events))

    def _numbered(self, wire: FakeSocket, channel: str, events: list[Any]) -> Any:
        number = wire.notes["number"] = wire.notes.get("number", -1) + 1
        head = {"channel": channel, "client_id": "", "timestamp": "2026-11-30T12:00:00.000000000Z"}
        return {**head, "sequence_num": number, "events": events}

    def update(self, wire: FakeSocket, order: SimOrder) -> Any:
        row = {"order_id": order.order_id, "client_order_id": order.client_id, "product_id": order.wire,
               "status": _STATES[order.status], "cumulative_quantity": order.filled,
               "order_side": order.side.upper()}  # fmt: skip
        return self._numbered(wire, "user", [{"type": "update", "orders": [row], "positions": {}}])

    # -- public ---------------------------------------------------------------------------------------------------

    def _public(self, path: str, query: Any) -> Reply:
        parts = path.split("/")[2:]
        if parts == ["products"]:
            future = query.get("product_type") == "FUTURE"
            return 200, {"products": [] if future else [_product(each) for each in self.listings.values()]}
        if parts == ["product_book"]:
            each = self.listings[query["product_id"]]
            bids, asks = [{"price": each.bid, "size": "0.5"}], [{"price": each.ask, "size": "0.7"}]
            return 200, {"pricebook": {"product_id": each.wire, "bids": bids, "asks": asks, "time": _iso(self.now())}}
        each = self.listings[parts[1]]
        if parts[2] == "ticker":
            trade = {"trade_id": "34b080bf-fcfd-445a-832b-46b5ddc65601", "product_id": each.wire, "price": each.last,
                     "size": "4", "time": _iso(self.now()), "side": "BUY", "bid": "", "ask": ""}  # fmt: skip
            return 200, {"trades": [trade], "best_bid": each.bid, "best_ask": each.ask}
        start = self.now() // 60_000 * 60
        return 200, {"candles": [
            {"start": str(start - back * 60), "low": each.bid, "high": each.ask, "open": each.last, "close": each.last,
             "volume": "56437345"}
            for back in range(5)
        ]}  # fmt: skip

    # -- private --------------------------------------------------------------------------------------------------

    def _permissions(self, asked: Asked) -> Reply:
        return 200, {"can_view": True, "can_trade": True, "can_transfer": self.can_transfer,
                     "portfolio_uuid": PORTFOLIO, "portfolio_type": "DEFAULT"}  # fmt: skip

    def _accounts(self, asked: Asked) -> Reply:
        rows = []
        for code, total in self.balances.items():
            held = self.on_hold(code)
            rows.append(
                {"uuid": f"8bfc20d7-{code}", "name": f"{code} Wallet", "currency": code,
                 "available_balance": {"value": format(total - held, "f"), "currency": code}, "default": True,
                 "active": True, "type": "ACCOUNT_TYPE_CRYPTO", "ready": True,
                 "hold": {"value": format(held, "f"), "currency": code}}
            )  # fmt: skip
        return 200, {"accounts": rows, "has_next": False, "cursor": "", "size": len(rows)}

    def _summary(self, asked: Asked) -> Reply:
        return 200, {"total_volume": 1000.5, "total_fees": 25, "fee_tier": {
            "pricing_tier": "<$10k", "taker_fee_rate": "0.0010", "maker_fee_rate": "0.0020"}}  # fmt: skip

    def _new_order(self, asked: Asked) -> Reply:
        body = asked.body
        kind, terms = next(iter(body["order_configuration"].items()))
        attached = body.get("attached_order_configuration") or {}
        try:
            self._check_terms(kind, terms, body)
            if set(body) - _OF_AN_ORDER:
                raise VenueRefuses("bad")
            # The exits have the size of their order.
            if attached and {name: set(each) for name, each in attached.items()} != _ATTACHED:
                raise VenueRefuses("bad")
            made = self.place(
                {
                    "client_id": body["client_order_id"],
                    "wire": body["product_id"],
                    "side": body["side"].lower(),
                    "kind": kind,
                    "tif": kind[-3:].upper() if kind.endswith(("_ioc", "_fok")) else "GTC",
                    "price": terms.get("limit_price", ""),
                    "stop": terms.get("stop_price", "") or terms.get("stop_trigger_price", ""),
                    "exits": dict(attached.get("trigger_bracket_gtc", {})),
                    "amount": terms.get("base_size", ""),
                    "cost": terms.get("quote_size", ""),
                    "post_only": terms.get("post_only", False),
                }
            )
        except VenueRefuses as refusal:
            error, why = _REFUSALS[refusal.why]
            return 200, {"success": False, "order_configuration": body["order_configuration"], "error_response": {
                "error": error, "message": "The order configuration was invalid", "error_details": "",
                "preview_failure_reason": why}}  # fmt: skip
        return 200, {"success": True, "order_configuration": body["order_configuration"], "success_response": {
            "order_id": made.order_id, "product_id": made.wire, "side": body["side"],
            "client_order_id": made.client_id}}  # fmt: skip

    def _convert_quote(self, asked: Asked) -> Reply:
        """The amounts in the currency that is converted; a quote holds nothing back."""
        body = asked.body
        source, target, amount = body["from_account"], body["to_account"], Decimal(body["amount"])
        if set(body) - {"from_account", "to_account", "amount", "trade_incentive_metadata"} or amount <= 0:
            return self.BAD
        if {source, target} not in _CONVERTED:
            return 400, {"error": "INVALID_ARGUMENT", "error_details": "Unsupported account in this conversion",
                         "message": "Unsupported account in this conversion"}  # fmt: skip
        if amount > self.balances.get(source, Decimal(0)) - self.on_hold(source):
            return 400, {"error": "INVALID_ARGUMENT", "error_details": "Insufficient balance", "message": ""}
        fee = Decimal(self.conversion_fee)

        def money(value: Decimal, currency: str = source) -> dict[str, str]:
            return {"value": format(value, "f"), "currency": currency}

        charged = {"title": "Fee", "description": "", "amount": money(fee), "label": ""}
        rate = Decimal(self.conversion_rate)
        made = {
            "id": str(uuid.UUID(int=next(self._ids))), "status": "TRADE_STATUS_CREATED",
            "user_entered_amount": money(amount), "amount": money(amount), "subtotal": money(amount - fee),
            "total": money(amount), "fees": [charged] if fee else [], "total_fee": charged,
            "source": {"type": "LEDGER_ACCOUNT", "network": ""}, "target": {"type": "LEDGER_ACCOUNT", "network": ""},
            "unit_price": {"target_to_source": {"amount": money(rate), "scale": 2}}, "user_warnings": [],
            "user_reference": "", "source_currency": source, "target_currency": target,
            "cancellation_reason": {"message": "", "code": "", "error_code": "", "error_cta": ""},
            "source_id": f"8bfc20d7-{source}", "target_id": f"8bfc20d7-{target}", "exchange_rate": money(rate),
            "tax_details": [], "total_fee_without_tax": charged, "fiat_denoted_total": money(amount, "USD"),
        }  # fmt: skip
        self.conversions[str(made["id"])] = made
        return 200, {"trade": made}

    def _convert_trade(self, asked: Asked, trade_id: str) -> Reply:
        found = self.conversions.get(trade_id)
        told = asked.query if asked.method == "GET" else asked.body
        if found is None:
            return 404, {"error": "NOT_FOUND", "error_details": "trade not found", "message": "trade not found"}
        if (told["from_account"], told["to_account"]) != (found["source_currency"], found["target_currency"]):
            return self.BAD
        if asked.method == "GET":
            return 200, {"trade": found}
        if set(asked.body) - {"from_account", "to_account"} or found["status"] != "TRADE_STATUS_CREATED":
            return self.BAD
        found["status"] = self.conversion_takes or "TRADE_STATUS_COMPLETED"
        if found["status"] == "TRADE_STATUS_CANCELED":
            found["cancellation_reason"]["message"] = "Your bank declined this conversion."
        if found["status"] == "TRADE_STATUS_COMPLETED":
            self.complete(found)
        return 200, {"trade": found}

    def complete(self, trade: dict[str, Any]) -> None:
        trade["status"] = "TRADE_STATUS_COMPLETED"
        source, target = trade["source_currency"], trade["target_currency"]
        self.balances[source] -= Decimal(trade["total"]["value"])
        self.balances[target] = self.balances.get(target, Decimal(0)) + Decimal(trade["subtotal"]["value"])

    def _check_terms(self, kind: str, terms: dict[str, Any], body: dict[str, Any]) -> None:
        """A stop waits on the side of the market that it names."""
        sized = ("base_size" in terms) != ("quote_size" in terms)
        if kind not in _NEEDS or _NEEDS[kind] - set(terms) or not sized:
            raise VenueRefuses("bad")
        listing = self.listings.get(body["product_id"])
        if listing is not None and "stop_trigger_price" in terms:
            last, buys = Decimal(listing.last), body["side"] == "BUY"
            limit, stop = Decimal(terms["limit_price"]), Decimal(terms["stop_trigger_price"])
            if (stop <= last) if buys else (stop >= last):
                raise VenueRefuses("below" if buys else "above")
            if (limit >= last) if buys else (limit <= last):
                raise VenueRefuses("target")
        if listing is not None and "stop_direction" in terms:
            up, stop = terms["stop_direction"] == "STOP_DIRECTION_STOP_UP", Decimal(terms["stop_price"])
            if up is (stop <= Decimal(listing.last)):
                raise VenueRefuses("below" if up else "above")

    def filled(self, order: SimOrder, part: Decimal) -> None:
        """The exits of an order are one order, for what has filled so far."""
        if not order.exits or self.exits_late:
            return
        placed = next((each for each in self.orders.values() if each.placed_by == order.order_id), None)
        if placed is not None:
            placed.amount = order.filled
            return
        self.place(
            {
                "client_id": f"0000-{order.order_id}",
                "wire": order.wire,
                "side": "sell" if order.side == "buy" else "buy",
                "kind": "trigger_bracket_gtc",
                "price": order.exits["limit_price"],
                "stop": order.exits["stop_trigger_price"],
                "amount": order.filled,
                "placed_by": order.order_id,
            }
        )

    def meet(self, order: SimOrder, at: Decimal) -> None:
        """A target and a stop in one order: the stop, once triggered, sells or buys at the market's price."""
        if not order.kind.startswith("trigger_bracket"):
            super().meet(order, at)
            return
        buys = order.side == "buy"
        target, stop = Decimal(order.price), Decimal(order.stop)
        if at <= target if buys else at >= target:
            self.fill(order, str(target))
        elif at >= stop if buys else at <= stop:
            order.triggered = True
            self.fill(order, str(at))

    def _batch_cancel(self, asked: Asked) -> Reply:
        results = []
        for order_id in asked.body["order_ids"]:
            try:
                self.take_back(self.orders.get(order_id))
                results.append(
                    {"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": order_id}
                )
            except VenueRefuses:
                results.append({"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": order_id})
        return 200, {"results": results}

    def _edit(self, asked: Asked) -> Reply:
        body, order = asked.body, self.orders.get(asked.body["order_id"])
        why = ""
        if order is not None and order.kind != "limit_limit_gtc":
            why = "ONLY_LIMIT_ORDER_EDITS_SUPPORTED"
        elif not body.get("size") or not body.get("price"):
            why = "INVALID_EDITED_SIZE"
        else:
            try:
                self.change(order, amount=body["size"], price=body["price"])
            except VenueRefuses as refusal:
                why = {"not_found": "ORDER_NOT_FOUND", "ended": "ONLY_OPEN_ORDERS_CAN_BE_EDITED"}[refusal.why]
        errors = [{"edit_failure_reason": why, "preview_failure_reason": "UNKNOWN_PREVIEW_FAILURE_REASON"}]
        return 200, {"success": not why, "errors": errors if why else []}

    def _batch(self, asked: Asked) -> Reply:
        states, products, ids = (_several(asked, name) for name in ("order_status", "product_ids", "order_ids"))
        rows = self.newest(
            lambda each: (
                (not states or _STATES[each.status] in states)
                and (not products or each.wire in products)
                and (not ids or each.order_id in ids)
            )
        )
        begin = int(asked.query.get("cursor", 0))
        page = rows[begin : begin + self.page]
        more = begin + self.page < len(rows)
        return 200, {"orders": [self._order(each) for each in page], "sequence": "0", "has_next": more,
                     "cursor": str(begin + self.page) if more else ""}  # fmt: skip

    def _fills(self, asked: Asked) -> Reply:
        ids, products, trades = (_several(asked, name) for name in ("order_ids", "product_ids", "trade_ids"))
        rows = [
            {"entry_id": each.trade_id, "trade_id": each.trade_id, "order_id": each.order_id,
             "trade_time": _iso(each.at), "trade_type": "FILL", "price": each.price, "size": each.amount,
             "commission": each.fee, "product_id": each.wire, "sequence_timestamp": _iso(each.at),
             "liquidity_indicator": "TAKER", "size_in_quote": False, "user_id": "3333", "side": each.side.upper()}
            for each in self.trades()
            if (not ids or each.order_id in ids)
            and (not products or each.wire in products)
            and (not trades or each.trade_id in trades)
        ]  # fmt: skip
        return 200, {"fills": rows, "cursor": ""}

    def _order(self, order: SimOrder) -> dict[str, Any]:
        size = {"quote_size": order.cost} if order.cost else {"base_size": order.amount}
        is_pair = order.kind.startswith("trigger_bracket")
        stop = "stop_trigger_price" if is_pair else "stop_price"
        prices = {name: value for name, value in (("limit_price", order.price), (stop, order.stop)) if value}
        exits = next((each.order_id for each in self.orders.values() if each.placed_by == order.order_id), "")
        trigger = "STOP_TRIGGERED" if order.triggered else "STOP_PENDING" if order.stop else "INVALID_ORDER_TYPE"
        market = order.kind.startswith("market_market")
        return {
            "order_id": order.order_id, "product_id": order.wire, "user_id": "2222-000000-000000",
            "order_configuration": {order.kind: {**size, **prices}}, "side": order.side.upper(),
            "client_order_id": order.client_id, "status": order.reported_as or _STATES[order.status],
            "time_in_force": _TIFS.get(order.kind[-3:], "UNKNOWN_TIME_IN_FORCE"),
            "created_time": _iso(order.created), "completion_percentage": "50", "filled_size": order.filled,
            "average_filled_price": order.average or "0", "fee": "", "number_of_fills": str(len(order.trades)),
            "filled_value": "10000", "pending_cancel": False, "size_in_quote": bool(order.cost),
            "total_fees": order.fee, "size_inclusive_of_fees": False, "total_value_after_fees": "0",
            "trigger_status": trigger, "originating_order_id": order.placed_by, "attached_order_id": exits,
            "attached_order_configuration": {"trigger_bracket_gtc": order.exits} if order.exits else None,
            "order_type": "BRACKET" if is_pair else "MARKET" if market else "STOP_LIMIT" if order.stop else "LIMIT",
            "reject_reason": "REJECT_REASON_UNSPECIFIED", "settled": True, "product_type": "SPOT", "reject_message": "",
            "cancel_message": "", "last_fill_time": _iso(order.updated),
        }  # fmt: skip


def _several(asked: Asked, name: str) -> set[str]:
    """Of a parameter that may come more than once."""
    return {value for key, value in parse_qsl(asked.target.partition("?")[2]) if key == name}


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _product(each: Listing) -> dict[str, Any]:
    return {
        "product_id": each.wire, "price": each.last, "price_percentage_change_24h": "0", "volume_24h": "1908432",
        "base_increment": each.lot, "quote_increment": "0.000000000000000001", "quote_min_size": each.least_cost,
        "quote_max_size": "10000000", "base_min_size": each.minimum, "base_max_size": "1000000000000000000000",
        "base_name": each.base, "quote_name": each.quote, "status": "online", "cancel_only": False,
        "limit_only": False, "post_only": False, "trading_disabled": False, "auction_mode": False,
        "product_type": "SPOT", "quote_currency_id": each.quote, "base_currency_id": each.base, "alias": "",
        "alias_to": [], "price_increment": each.tick,
    }  # fmt: skip


def _paged(asked: Asked, rows: list[dict[str, Any]]) -> Reply:
    """Cursors of api/v2: the id of the row the page starts after."""
    after = asked.query.get("starting_after")
    begin = next((place + 1 for place, row in enumerate(rows) if row["id"] == after), 0)
    page = rows[begin : begin + 2]
    more = len(rows) > begin + len(page)
    return 200, {"pagination": {"ending_before": None, "starting_after": after, "limit": 2, "order": "desc",
                                "next_starting_after": page[-1]["id"] if more else None}, "data": page}  # fmt: skip
