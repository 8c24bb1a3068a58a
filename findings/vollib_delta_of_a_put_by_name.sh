#!/usr/bin/env bash
# py_vollib 1.0.12: the price refuses a kind of option that it does not know, the delta takes any such word for a call.
# Expected: delta("put", ...) is negative, or refused as the price is. Seen: +0.637, the call's; KeyError from the price.
# For us: a word of an option is read once, into an enum, before any number is worked out from it.
source "$(dirname "$0")/lib/common.sh"
venv py py-vollib==1.0.12 setuptools==80.9.0
"$dir/py/bin/python" -W ignore - << 'PY'
from py_vollib.black_scholes import black_scholes
from py_vollib.black_scholes.greeks.analytical import delta

terms = (100, 100, 1.0, 0.05, 0.2)
seen = {kind: round(float(delta(kind, *terms)), 4) for kind in ("c", "p", "put", "C")}
print("py_vollib 1.0.12, delta", seen)
assert seen == {"c": 0.6368, "p": -0.3632, "put": 0.6368, "C": 0.6368}
try:
    black_scholes("put", *terms)
except KeyError as error:
    print("py_vollib 1.0.12, price of", error, "is refused")
else:
    raise AssertionError("the price took the word too")
PY
