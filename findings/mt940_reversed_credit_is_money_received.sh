#!/usr/bin/env bash
# mt-940 5.1.1: of the four marks of a statement line in SWIFT MT940 (field 61: C credit, D debit, RC credit reversed, RD debit
# reversed) only D makes an amount negative.
# Expected: RC takes away what C gave, so that the lines add up to the closing balance. Seen: C +12.50, D -12.50, RC +12.50, RD
# +12.50; a deposit that was taken back counts twice, and the lines of a statement whose balance did not move come to 25.00.
# For us: a reversal is told with the sign of what it does to the account; the broker's own words for it are in the contract suite
# that all adapters share.
source "$(dirname "$0")/lib/common.sh"
venv py mt-940==5.1.1
"$dir/py/bin/python" - << 'PY'
import mt940

LINE = ":20:STATEMENT\n:25:BANK/1\n:28C:1\n:60F:C260101EUR100,00\n{}:62F:C260102EUR{},00\n-"


def amounts(*marks, closing):
    lines = "".join(f":61:2601020102{mark}12,50NTRFDEPOSIT//{number}\n" for number, mark in enumerate(marks))
    return [line.data["amount"].amount for line in mt940.parse(LINE.format(lines, closing))]


seen = {mark: str(amounts(mark, closing=100)[0]) for mark in ("C", "D", "RC", "RD")}
moved = sum(amounts("C", "RC", closing=100))
print("mt-940 5.1.1:", seen, "; a credit and its reversal, balance unchanged:", moved)
assert seen == {"C": "12.50", "D": "-12.50", "RC": "12.50", "RD": "12.50"}
assert str(moved) == "25.00"
PY
