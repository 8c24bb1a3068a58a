#!/usr/bin/env bash
# ccxt 4.5.90: answers of four venues whose unified reading is other money, or another order, than the venue means.
# Expected: fees, balances, entries and orders as the venues' documents explain them.
# Seen: the fee of OKX contracts that settle in USDT is that of those that settle in the coin (0.1 % for 0.05 %), and OKX cash
# has unrealized profit in it; Coinbase accounts of type CRYPTO and VAULT vanish; a fee in Kraken's ledger changes no amount;
# an exit that hangs on an OKX limit order makes a stop of it; a Coinbase fill-or-kill order has neither price nor quantity.
# For us: ccxt signs and sends; balances, fees, ledgers and the terms of orders are read from the venue's own fields.
source "$(dirname "$0")/lib/common.sh"
venv py ccxt==4.5.90
"$dir/py/bin/python" -W ignore - << 'PY'
import ccxt

okx, coinbase, kraken = (kind({"number": str}) for kind in (ccxt.okx, ccxt.coinbase, ccxt.kraken))
fee = okx.parse_trading_fee({"taker": "-0.001", "takerU": "-0.0005", "maker": "-0.0008", "makerU": "-0.0002"})
print("OKX, taker fee of a contract:", fee["taker"])
assert fee["taker"] == "0.001"

detail = {"ccy": "USDT", "eq": "120", "cashBal": "100", "upl": "20", "availBal": "90"}
cash = okx.parse_trading_balance({"data": [{"details": [detail]}]})["USDT"]["total"]
print("OKX, cash with 100 and 20 of unrealized profit:", cash)
assert cash == "120"

accounts = [
    {"type": kind, "available_balance": {"value": "1", "currency": "BTC"}, "hold": {"value": "0", "currency": "BTC"}}
    for kind in ("CRYPTO", "ACCOUNT_TYPE_VAULT")
]
held = {name for name in coinbase.parse_custom_balance({"accounts": accounts}) if name == "BTC"}
print("Coinbase, coins in two accounts of 1 BTC:", held or "none")
assert not held

entry = kraken.parse_ledger_entry({"id": "L", "type": "rollover", "asset": "ZUSD", "amount": "0", "fee": "0.02", "time": 1})
print("Kraken, an entry of a rollover fee of 0.02:", entry["amount"])
assert entry["amount"] == "0"

limit = {"instId": "BTC-USDT", "ordType": "limit", "side": "buy", "px": "2300", "sz": "1", "state": "live", "ordId": "1"}
stop = okx.parse_order({**limit, "attachAlgoOrds": [{"slTriggerPx": "1500"}]})["stopLossPrice"]
print("OKX, the stop of a limit order with an exit at 1500:", stop)
assert stop == "1500"

fok = {"order_id": "1", "product_id": "BTC-USD", "side": "BUY", "status": "OPEN", "order_type": "LIMIT",
       "order_configuration": {"limit_limit_fok": {"base_size": "0.5", "limit_price": "100"}}}
told = coinbase.parse_order(fok)
print("Coinbase, fill or kill of 0.5 at 100:", told["amount"], told["price"])
assert (told["amount"], told["price"]) == (None, None)
PY
