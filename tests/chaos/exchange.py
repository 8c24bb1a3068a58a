"""The fake Alpaca of the trials: more stocks, positions as a gift, and a count of every write that arrives.

``python -m tests.chaos.exchange SECONDS`` serves it until standard input ends, in a process that no kill touches.
SECONDS is how long it hangs: after that it does what was long given up.
"""

import sys
from decimal import Decimal
from typing import Any

from tests.brokers.alpaca.fake import FakeAlpaca, asset
from tests.brokers.faults import Asked, run_alone

STOCKS = {"AAPL": Decimal("181.5"), "MSFT": Decimal(434), "NVDA": Decimal(142)}


class Exchange(FakeAlpaca):
    def __init__(self) -> None:
        super().__init__()
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


if __name__ == "__main__":
    Exchange.patience = float(sys.argv[1])
    run_alone(Exchange)
