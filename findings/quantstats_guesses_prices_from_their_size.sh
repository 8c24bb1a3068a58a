#!/usr/bin/env bash
# quantstats 0.0.86: whether a series holds prices or returns is guessed from its values. A coin priced below one, or a
# strategy whose worst day is not a loss and whose best passes 100 %, is taken for the other kind.
# Expected: the same fall gives the same drawdown at any price. Seen: 1.5 to 1.4 is -6.7 %, 0.5 to 0.4 is 0.
# For us: performance is worked out from equity in a stated currency; nothing is guessed from the size of a number.
source "$(dirname "$0")/lib/common.sh"
venv py quantstats==0.0.86
"$dir/py/bin/python" -W ignore - << 'PY'
import pandas
from quantstats import stats

days = pandas.bdate_range("2026-01-05", periods=3)
above = float(stats.max_drawdown(pandas.Series([1.5, 1.4, 1.6], index=days)))
below = float(stats.max_drawdown(pandas.Series([0.5, 0.4, 0.6], index=days)))
print(f"quantstats 0.0.86, drawdown of 1.5 1.4 1.6: {above:.4f}; of 0.5 0.4 0.6: {below:.4f}")
assert round(above, 4) == -0.0667 and below == 0
returns = pandas.Series([1.5, 0.5, 0.2], index=days)  # three good days: +150 %, +50 %, +20 %
told, true = float(stats.volatility(returns)), float(returns.std() * 252**0.5)
print(f"quantstats 0.0.86, yearly volatility of +150 %, +50 %, +20 %: {told:.2f}; by its own formula on returns: {true:.2f}")
assert round(told, 2) == 0.75 and round(true, 1) == 10.8
PY
