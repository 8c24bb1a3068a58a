#!/usr/bin/env bash
# pandas-ta-classic 0.8.32: an indicator asked for with a negative length is made with the default length of that indicator; a MACD
# with its fast and slow lengths the wrong way round is turned; too few rows give None instead of an empty column.
# Expected: an error. Seen: sma(-5) is SMA_10, rsi(-5) is RSI_14, zscore(-5) is ZS_30, macd(26, 12) is MACD_12_26_9, sma(5) of two rows
# is None.
# For us: lengths have bounds in the schema and are refused outside them; the answer repeats the length it used.
source "$(dirname "$0")/lib/common.sh"
venv py pandas-ta-classic==0.8.32
"$dir/py/bin/python" -W ignore - << 'PY'
import pandas as pd
import pandas_ta_classic as ta

prices = pd.Series(range(1, 100), dtype=float)
seen = {name: getattr(ta, name)(prices, length=-5).name for name in ("sma", "rsi", "zscore", "hma")}
print("pandas-ta-classic 0.8.32, length -5:", seen)
assert seen == {"sma": "SMA_10", "rsi": "RSI_14", "zscore": "ZS_30", "hma": "HMA_10"}
turned = ta.macd(prices, fast=26, slow=12).columns[0]
short = ta.sma(prices[:2], length=5)
print("macd(fast=26, slow=12):", turned, "; sma(5) of two rows:", short)
assert turned == "MACD_12_26_9" and short is None
PY
