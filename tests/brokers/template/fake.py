"""The imaginary broker on loopback. A real one speaks the documented paths, checks signatures and names its source."""

from decimal import Decimal
from typing import Any

from tests.brokers.faults import Asked, FakeBroker, Reply
from tests.secrets.known import mint

TOKEN = mint("template token", 40)
ACCOUNT = "SIM1"


class FakeTemplate(FakeBroker):
    last = Decimal("12.34")

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"error": "unauthorized"}
        match asked.method, asked.path.strip("/").split("/"):
            case "GET", ["accounts"]:
                row = {"id": ACCOUNT, "name": "Simulated", "simulated": True, "cash": "1000.00", "held": "12.00"}
                return 200, {"accounts": [row]}
            case "GET", ["accounts", str(account), "positions"] if account == ACCOUNT:
                held = {"symbol": "ACME", "quantity": "3", "last": self.last, "average_price": "11.5"}
                return 200, {"positions": [held]}
            case "GET", ["instruments"]:
                acme = {"symbol": "ACME", "name": "Acme Corporation", "exchange": "Nowhere", "tick": "0.01"}
                return 200, {"instruments": [acme] if asked.query["query"].upper() == "ACME" else []}
            case "GET", ["quotes", "ACME"]:
                return 200, {"last": self.last, "bid": self.last, "ask": self.last + Decimal("0.01")}
        return 404, {"error": "not found"}

    def other(self) -> Any:
        return {"accounts": []}
