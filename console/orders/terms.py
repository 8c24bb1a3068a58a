"""What an order asks for: a frozen value, checked for sense before any broker sees it. No database."""

import hashlib
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from brokers.decimals import DECIMAL_PLACES, plain
from brokers.types import OrderRequest, OrderType, Side, TimeInForce
from console.errors import Code, Refusal

# Twenty digits before the point and eighteen after fit the column and every venue.
_LARGEST = Decimal(10) ** 15
ORDER_TYPES = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)
"""What the desk takes, whatever a broker could do."""
TIMES_IN_FORCE = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC)

_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One order as it was asked for. Prices in the instrument's currency, quantity in its units."""

    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    tif: TimeInForce = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None

    def check(self) -> None:
        """Raises Refusal, naming the field, for an order that makes no sense at any broker."""
        if self.order_type not in ORDER_TYPES:
            raise Refusal(Code.INVALID_ARGUMENT, f"{self.order_type} orders are not offered.", field="order_type")
        if self.tif not in TIMES_IN_FORCE:
            raise Refusal(Code.INVALID_ARGUMENT, f"{self.tif} orders are not offered.", field="tif")
        _positive("quantity", self.quantity)
        for field, price, needed in (
            ("limit_price", self.limit_price, self.order_type.needs_limit),
            ("stop_price", self.stop_price, self.order_type.needs_stop),
        ):
            if price is not None:
                _positive(field, price)
            if needed and price is None:
                raise Refusal(Code.MISSING_ARGUMENT, f"A {self.order_type} order needs a {field}.", field=field)
            if price is not None and not needed:
                raise Refusal(
                    Code.INVALID_ARGUMENT,
                    f"A {self.order_type} order takes no {field}; leave it out or choose another order_type.",
                    field=field,
                )

    def request(self, wire_id: str) -> OrderRequest:
        return OrderRequest(
            client_order_id=wire_id,
            symbol=self.symbol,
            side=self.side,
            order_type=self.order_type,
            quantity=self.quantity,
            tif=self.tif,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
        )

    def words(self) -> str:
        """ "Buy 10 AAPL at 181.5 limit, day" """
        at = {
            OrderType.MARKET: "at market",
            OrderType.LIMIT: f"at {_text(self.limit_price)} limit",
            OrderType.STOP: f"when the price reaches {_text(self.stop_price)}",
            OrderType.STOP_LIMIT: (
                f"when the price reaches {_text(self.stop_price)}, at {_text(self.limit_price)} limit"
            ),
            OrderType.TRAIL: "at a trailing stop",
        }[self.order_type]
        until = {
            TimeInForce.DAY: "day",
            TimeInForce.GTC: "until cancelled",
            TimeInForce.IOC: "at once or not at all",
            TimeInForce.FOK: "all at once or not at all",
            TimeInForce.OPG: "at the next opening",
            TimeInForce.CLS: "at the next closing",
        }[self.tif]
        return f"{self.side.capitalize()} {plain(self.quantity)} {self.symbol} {at}, {until}"


def check_client_order_id(value: str) -> None:
    # Ours begin so; a caller's must never be taken for one.
    if not _CLIENT_ORDER_ID.fullmatch(value) or value.startswith(("ord_", "cnf_")):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "client_order_id takes 1 to 64 letters, digits, dots, colons, hyphens or underscores, and does not begin "
            "with ord_ or cnf_.",
            field="client_order_id",
        )


def digest(shown: dict[str, Any]) -> str:
    """SHA-256 over everything that was shown, in one canonical form."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _text(value: Decimal | None) -> str:
    return "" if value is None else plain(value)


def _positive(field: str, value: Decimal) -> None:
    if not value.is_finite():
        raise Refusal(Code.INVALID_ARGUMENT, f"{field} must be a finite number.", field=field)
    if value <= 0:
        raise Refusal(Code.INVALID_ARGUMENT, f"{field} must be greater than zero, not {plain(value)}.", field=field)
    if value >= _LARGEST:
        raise Refusal(Code.INVALID_ARGUMENT, f"{field} is too large: at most 15 digits.", field=field)
    exponent = value.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > DECIMAL_PLACES:
        raise Refusal(Code.INVALID_ARGUMENT, f"{field} has more than {DECIMAL_PLACES} decimals.", field=field)
