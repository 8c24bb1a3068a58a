"""The fake Alpaca of the trials: more stocks, positions as a gift, and a count of every write that arrives; the fake
Coinbase, for conversions, and the fake Interactive Brokers, for several options in one order.

``python -m tests.chaos.exchange SECONDS [coinbase|ibkr]`` serves one until standard input ends, in a process that no
kill touches. SECONDS is how long it hangs: after that it does what was long given up. Coinbase reads the key that it is
to trust from its first line, as JSON.
"""

import json
import sys
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.brokers.alpaca.fake import FakeAlpaca, asset
from tests.brokers.coinbase import fake as coinbase
from tests.brokers.faults import Asked, FakeBroker, run_alone
from tests.brokers.ibkr import fake as ibkr

STOCKS = {"AAPL": Decimal("181.5"), "MSFT": Decimal(434), "NVDA": Decimal(142)}


class Exchange(FakeAlpaca):
    def __init__(self) -> None:
        super().__init__()
        self.cash = Decimal(10**9)
        self.prices |= STOCKS
        self.assets |= {symbol: asset(symbol) for symbol in STOCKS}
        self.changed: list[str] = []
        """The new id in every PATCH that arrived, broken ones included."""
        self.given: dict[str, Decimal] = dict.fromkeys(STOCKS, Decimal(0))

    def posted(self, asked: Asked) -> None:
        super().posted(asked)
        if asked.method == "PATCH":
            self.changed.append(asked.body["client_order_id"])

    def control(self, what: str, told: Any) -> Any:
        if what == "give":
            with self.lock:
                size = Decimal(told["size"])
                self.held[told["symbol"]] += size  # type: ignore[assignment]  # a Counter of decimals
                self.given[told["symbol"]] += size
            return None
        answer = super().control(what, told)
        if what == "state":
            given = {symbol: format(size, "f") for symbol, size in self.given.items()}
            return answer | {"changed": self.changed, "given": given}
        return answer


class Conversions(coinbase.CoinbaseFake):
    def __init__(self) -> None:
        super().__init__()
        self.balances |= dict.fromkeys(("USD", "USDC"), CONVERTIBLE)

    def control(self, what: str, told: Any) -> Any:
        match what:
            case "takes":
                self.conversion_takes = told
                return None
            case "complete":
                with self.lock:
                    for each in self.conversions.values():
                        if each["status"] == "TRADE_STATUS_STARTED":
                            self.complete(each)
                return None
            case "state":
                with self.lock:
                    held = format(self.balances["USDC"], "f")
                    return {"trades": list(self.conversions.values()), "sent": list(self.sent.elements()), "held": held}
        return super().control(what, told)


CONVERTIBLE = Decimal(10**6)


class Combinations(ibkr.FakeIbkr):
    """Interactive Brokers, for several options in one order."""

    def __init__(self) -> None:
        super().__init__()
        self.option_prices |= {
            ibkr.OPTION + 21_180: ("4.20", "4.15", "4.25"),
            ibkr.OPTION + 21_185: ("2.90", "2.85", "2.95"),
        }

    def control(self, what: str, told: Any) -> Any:
        with self.lock:
            if what == "meet":
                for each in [row for row in self.live.values() if row["status"] == "Submitted"]:
                    self.fill(each["order_ref"], each["remainingQuantity"], Decimal(each["price"]))
                return None
            if what == "state":
                names = ("order_ref", "status", "totalSize", "filledQuantity", "price")
                rows = [{name: None if name not in row else str(row[name]) for name in names}
                        for row in self.live.values()]  # fmt: skip
                sent = [each["cOID"] for each in self.sent]
                return {"orders": rows, "sent": sent, "violations": self.violations}
        return super().control(what, told)


if __name__ == "__main__":
    made: type[FakeBroker] = {"coinbase": Conversions, "ibkr": Combinations}.get(" ".join(sys.argv[2:]), Exchange)
    made.patience = float(sys.argv[1])
    if made is Conversions:
        key = load_pem_private_key(json.loads(sys.stdin.readline()).encode(), None)
        vars(coinbase)["_PRIVATE"] = key
    run_alone(made)
