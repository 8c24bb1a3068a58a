"""The fake Alpaca of the trials: more stocks, positions as a gift, and a count of every write that arrives; and the
fake Coinbase, for conversions.

``python -m tests.chaos.exchange SECONDS [coinbase]`` serves one until standard input ends, in a process that no kill
touches. SECONDS is how long it hangs: after that it does what was long given up. Coinbase reads the key that it is to
trust from its first line, as JSON.
"""

import json
import sys
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.brokers.alpaca.fake import FakeAlpaca, asset
from tests.brokers.coinbase import fake as coinbase
from tests.brokers.faults import Asked, run_alone

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


if __name__ == "__main__":
    made = Conversions if sys.argv[2:] == ["coinbase"] else Exchange
    made.patience = float(sys.argv[1])
    if made is Conversions:
        key = load_pem_private_key(json.loads(sys.stdin.readline()).encode(), None)
        vars(coinbase)["_PRIVATE"] = key
    run_alone(made)
