"""The same strategy for ``tests.bench.backtest`` in backtesting.py, run in an environment that has it."""

import json
import sys
import time
import warnings

import pandas
from backtesting import Backtest, Strategy
from backtesting.lib import crossover


def mean(values: object, length: int) -> object:
    return pandas.Series(values).rolling(length).mean()


class TwoMeans(Strategy):  # type: ignore[misc]  # of a package that is not there
    def init(self) -> None:
        self.fast = self.I(mean, self.data.Close, 10)
        self.slow = self.I(mean, self.data.Close, 30)

    def next(self) -> None:
        if crossover(self.fast, self.slow):
            self.buy(size=1)
        elif crossover(self.slow, self.fast):
            self.position.close()


def main() -> None:
    warnings.simplefilter("ignore")
    rows = pandas.read_csv(sys.argv[1], index_col=0, parse_dates=True)
    test = Backtest(rows, TwoMeans, cash=100_000, commission=0, finalize_trades=False)
    began = time.perf_counter()
    found = test.run()
    seconds = time.perf_counter() - began
    trades = found["_trades"]
    prices = [
        [repr(float(one)), repr(float(two))] for one, two in zip(trades.EntryPrice, trades.ExitPrice, strict=True)
    ]
    print(json.dumps({"seconds": seconds, "trades": len(trades), "prices": prices[:1000]}))  # noqa: T201


if __name__ == "__main__":
    main()
