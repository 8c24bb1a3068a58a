#!/usr/bin/env bash
# PyPortfolioOpt 1.6.0: weights of 0.5 and 0.25 buy half and a quarter of the money; add one short weight, and the longs are scaled up to
# all of it. 150 % long and 100 % long with the same short buy the same.
# Expected: a weight buys its share of the account, short or not. Seen: 50 and 12 shares become 66 and 17.
# For us: sizes are shares of a stated equity, shown in units and money on the approval, never scaled to fit.
source "$(dirname "$0")/lib/common.sh"
# packaging: needed by scikit-base, which does not ask for it.
venv py PyPortfolioOpt==1.6.0 packaging==26.4
"$dir/py/bin/python" -W ignore - << 'PY'
import pandas as pd
from pypfopt import DiscreteAllocation

prices = pd.Series({"A": 10.0, "B": 20.0, "C": 10.0})


def shares(**weights):
    return DiscreteAllocation(weights, prices, total_portfolio_value=1000).greedy_portfolio()[0]


plain, with_short = shares(A=0.5, B=0.25), shares(A=0.5, B=0.25, C=-0.25)
print("A 0.5, B 0.25 of 1,000:", plain, "; with C -0.25:", with_short)
assert plain == {"A": 50, "B": 12} and with_short == {"A": 66, "B": 17, "C": -25}
once, more = shares(A=1.0, C=-0.5), shares(A=1.5, C=-0.5)
print("A 1.0 and A 1.5, both with C -0.5:", once, more)
assert once == more == {"A": 100, "C": -50}
PY
