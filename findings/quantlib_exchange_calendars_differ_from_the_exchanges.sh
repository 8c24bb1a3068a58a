#!/usr/bin/env bash
# QuantLib 1.44 against exchange_calendars 4.13.2, every weekday of 2026: equal for New York, London, Tokyo, Toronto, Sydney and
# Milan. QuantLib has Xetra open on 31 December and Warsaw open on Good Friday (both exchanges are shut), and Paris shut
# on 24 and 31 December (Euronext trades until early afternoon).
# Expected: a calendar named after an exchange has its days. Seen: some are the country's bank holidays with changes.
# For us: sessions come from one checked table per exchange that says when it ends; where two sources differ it is decided by name.
source "$(dirname "$0")/lib/common.sh"
venv py QuantLib==1.44 exchange_calendars==4.13.2
"$dir/py/bin/python" -W ignore - << 'PY'
import exchange_calendars
import pandas
import QuantLib as ql

venues = {
    "XNYS": ql.UnitedStates(ql.UnitedStates.NYSE),
    "XLON": ql.UnitedKingdom(ql.UnitedKingdom.Exchange),
    "XTKS": ql.Japan(),
    "XTSE": ql.Canada(ql.Canada.TSX),
    "XASX": ql.Australia(ql.Australia.ASX),
    "XMIL": ql.Italy(ql.Italy.Exchange),
    "XETR": ql.Germany(ql.Germany.Xetra),
    "XPAR": ql.France(ql.France.Exchange),
    "XWAR": ql.Poland(ql.Poland.WSE),
}
expected = {
    "XETR": {"2026-12-31": "open in QuantLib alone"},
    "XPAR": {"2026-12-24": "shut in QuantLib alone", "2026-12-31": "shut in QuantLib alone"},
    "XWAR": {"2026-04-03": "open in QuantLib alone"},
}
for name, calendar in venues.items():
    other = exchange_calendars.get_calendar(name, start="2025-12-01", end="2027-01-31")
    seen = {}
    for day in pandas.bdate_range("2026-01-01", "2026-12-31"):
        here = calendar.isBusinessDay(ql.Date(day.day, day.month, day.year))
        if here != other.is_session(day):
            seen[f"{day:%Y-%m-%d}"] = f"{'open' if here else 'shut'} in QuantLib alone"
    print(name, seen or "equal")
    assert seen == expected.get(name, {}), name
PY
