"""What Interactive Brokers documents of the calls we make, and of its lists of contracts.

Compared with IBKR Web API 1.0 (OpenAPI) as mirrored in github.com/promobase/ibkr-web-api, commit 37303a9. What is
newer than that mirror is from ibkrcampus.com and marked so.
"""

from tests.brokers.requests import NUMBER, TEXT, WHOLE, YES_NO, Call, json_of

_NUMBER, _YES_NO = json_of(NUMBER), json_of(YES_NO)
_LIST = r"[0-9]+(,[0-9]+)*"
_PRICES = {"price": json_of(f"-?{NUMBER}"), "auxPrice": _NUMBER}
"""Below zero for several contracts that bring money in."""
_WHAT = {"conid": json_of(WHOLE), "conidex": "28812380;;;[0-9]+/-?[1-9][0-9]*(,[0-9]+/-?[1-9][0-9]*)+"}
"""One of them: the second is newer, of several contracts in one order."""
_ORDER = {
    "orderType": "MKT|LMT|STP|STOP_LIMIT|TRAIL",
    "side": "BUY|SELL",
    "tif": "DAY|GTC|IOC|OPG",
    "quantity": _NUMBER,
}
_MONTH = {"conid": WHOLE, "sectype": "OPT", "month": "[A-Z]{3}[0-9]{2}"}
_TRAIL = {"trailingAmt": _NUMBER, "trailingType": "amt|%"}
_HOURS = {"outsideRTH": _YES_NO, "outsideRth": _YES_NO}
"""IBKR writes it in both ways."""
_TICKET = Call(
    needs=_ORDER,
    takes={
        **_WHAT,
        "cOID": "[0-9a-f]{32}",
        "acctId": TEXT,
        "secType": TEXT,
        "isSingleGroup": _YES_NO,
        **_HOURS,
        **_PRICES,
        **_TRAIL,
    },
)

CALLS = {
    "POST /tickle": Call(),
    "POST /iserver/auth/ssodh/init": Call(needs={"publish": _YES_NO, "compete": _YES_NO}),  # newer
    "GET /iserver/accounts": Call(),
    "GET /portfolio/accounts": Call(),
    "GET /portfolio/{account}/ledger": Call(),
    "GET /portfolio/{account}/summary": Call(),
    "GET /portfolio/{account}/positions/{page}": Call(),
    "GET /trsrv/stocks": Call(needs={"symbols": TEXT}),
    "GET /trsrv/futures": Call(needs={"symbols": TEXT}),
    "GET /iserver/secdef/strikes": Call(needs=_MONTH, takes={"exchange": TEXT}),
    "GET /iserver/secdef/info": Call(
        needs={"conid": WHOLE, "sectype": "OPT"},
        takes={**_MONTH, "exchange": TEXT, "strike": NUMBER, "right": "C|P"},
    ),
    "GET /iserver/currency/pairs": Call(needs={"currency": "[A-Z]{3}"}),  # newer
    "POST /iserver/secdef/search": Call(needs={"symbol": TEXT}, takes={"name": _YES_NO, "secType": TEXT}),
    "GET /iserver/contract/{conid}/info-and-rules": Call(needs={"isBuy": f"{YES_NO}|True|False"}),
    "GET /iserver/marketdata/snapshot": Call(
        needs={"conids": r"[0-9]+(,[0-9]+)*"}, takes={"fields": r"[0-9]+(,[0-9]+)*"}
    ),
    "GET /iserver/marketdata/history": Call(
        needs={"conid": WHOLE, "period": "[0-9]{1,4}(min|h|d|w|m|y)"},
        takes={"bar": "[0-9]{1,2}(min|h|d|w|m)", "startTime": "[0-9]{8}-[0-9:]{8}"},  # startTime is newer
    ),
    "GET /iserver/exchangerate": Call(needs={"source": "[A-Z]{3}", "target": "[A-Z]{3}"}),  # newer
    "GET /iserver/account/orders": Call(
        takes={"accountId": TEXT, "filters": TEXT, "force": f"{YES_NO}|True|False"}  # accountId is newer
    ),
    "GET /iserver/account/trades": Call(takes={"days": "[1-7]", "accountId": TEXT}),  # both are newer
    "GET /iserver/account/order/status/{order}": Call(),
    "POST /iserver/account/{account}/orders": Call(rows=("orders", _TICKET)),
    "POST /iserver/account/{account}/orders/whatif": Call(rows=("orders", _TICKET)),
    "POST /iserver/account/{account}/order/{order}": Call(
        needs=_ORDER,
        takes={**_WHAT, "acctId": TEXT, "cOID": TEXT, **_HOURS, **_PRICES, **_TRAIL},  # how it trails is newer
    ),
    "DELETE /iserver/account/{account}/order/{order}": Call(),
    "POST /iserver/reply/{question}": Call(needs={"confirmed": _YES_NO}),
}
