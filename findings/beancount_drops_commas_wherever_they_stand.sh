#!/usr/bin/env bash
# beancount 3.2.3: its reader of amounts takes every comma and space out before it reads the number.
# Expected: "1,5" or "1.234,5" is refused. Seen: 15, and 1.2345 (a thousandth). Empty text is 0.
# For us: a ledger export writes amounts with a dot and without separators; an import refuses a comma and says so.
source "$(dirname "$0")/lib/common.sh"
venv py beancount==3.2.3
"$dir/py/bin/python" -W ignore - << 'PY'
from beancount.core.number import D

seen = {text: str(D(text)) for text in ("1,5", "1.234,5", "1 000", "")}
print("beancount 3.2.3 reads", seen)
assert seen == {"1,5": "15", "1.234,5": "1.2345", "1 000": "1000", "": "0"}
PY
