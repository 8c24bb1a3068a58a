#!/usr/bin/env bash
# price-parser 0.5.1: a price with exactly three decimals is read as thousands, even where it begins with a zero; an exponent is
# cut off and a minus sign is dropped.
# Expected: 0.123 is 0.123. Seen: 123. "1e-8" is 1, "-5.00 USD" is 5.00, "(5.00)" is 5.00.
# For us: amounts in alerts and imports are plain decimal text in one stated form; anything else is refused by name.
source "$(dirname "$0")/lib/common.sh"
venv py price-parser==0.5.1
"$dir/py/bin/python" -W ignore - << 'PY'
from price_parser import Price

seen = {text: str(Price.fromstring(text).amount) for text in ("0.123", "0.1234", "1e-8", "-5.00 USD", "(5.00)")}
print("price-parser 0.5.1 reads", seen)
assert seen == {"0.123": "123", "0.1234": "0.1234", "1e-8": "1", "-5.00 USD": "5.00", "(5.00)": "5.00"}
PY
