"""What an account has is told whatever form it is held in, once, and what cannot be spent is told as reserved."""

from decimal import Decimal
from typing import Any

import pytest

from brokers.crypto import unknown_word_counts
from brokers.types import AccountState
from tests.brokers.contract.cases import BINANCE, COINBASE, KRAKEN, OKX, CryptoCase
from tests.brokers.crypto.recorded import Row, answers, steady

_PLACES = {
    KRAKEN: "/BalanceEx",
    BINANCE: "/api/v3/account",
    COINBASE: "/brokerage/accounts",
    OKX: "/account/balance",
}


def _state(case: CryptoCase, body: Any) -> tuple[AccountState, dict[str, tuple[Decimal, Decimal]]]:
    """And its positions: coin → quantity and what of it is reserved."""
    with steady(case) as rig:
        account = rig.account_id
        answers(rig, _PLACES[case], (200, body))
        answers(rig, "/account/positions", (200, {"code": "0", "msg": "", "data": []}))
        held = {each.symbol: (each.quantity, each.reserved) for each in rig.broker.positions(account)}
        return rig.broker.account_state(account), held


def _cash(state: AccountState) -> dict[str, tuple[Decimal, Decimal]]:
    return {each.currency: (each.total, each.reserved) for each in state.cash}


def _kraken(**balances: str | tuple[str, str]) -> Row:
    rows = {
        name.replace("_", "."): {"balance": told, "hold_trade": "0"}
        if isinstance(told, str)
        else {"balance": told[0], "hold_trade": told[1]}
        for name, told in balances.items()
    }
    return {"error": [], "result": rows}


def _coinbase(*accounts: tuple[str, str, str, str]) -> Row:
    rows = [
        {"uuid": f"{number}", "currency": coin, "type": word, "ready": True, "active": True,
         "available_balance": {"value": free, "currency": coin}, "hold": {"value": hold, "currency": coin}}
        for number, (word, coin, free, hold) in enumerate(accounts)
    ]  # fmt: skip
    return {"accounts": rows, "has_next": False, "cursor": "", "size": len(rows)}


def _binance(**balances: tuple[str, str]) -> Row:
    rows = [{"asset": coin, "free": free, "locked": locked} for coin, (free, locked) in balances.items()]
    return {"uid": 354937868, "canTrade": True, "balances": rows}


def _okx(**more: str) -> Row:
    row = {"ccy": "USDT", "availEq": "", "frozenBal": "0", **more}
    return {"code": "0", "msg": "", "data": [{"totalEq": "120", "details": [row]}]}


def test_coins_of_kraken_that_earn_are_spent_as_the_coin_and_staked_ones_are_held() -> None:
    state, held = _state(
        KRAKEN,
        _kraken(
            ZUSD="100",
            USD_F="50",
            USD_M="25",
            XXBT=("1", "0.25"),
            XBT_F="0.5",
            XBT_M="0.125",
            XBT_S="0.0625",
            XBT_B="1",
        ),
    )
    assert _cash(state) == {"USD": (Decimal(175), Decimal(25))}
    assert state.buying_power == Decimal(150)
    assert held == {"BTC/USD": (Decimal("2.6875"), Decimal("1.4375"))}
    assert state.equity == Decimal(175) + Decimal("2.6875") * 30000


def test_a_form_of_balance_of_kraken_that_nobody_knows_is_held_and_counted() -> None:
    state, held = _state(KRAKEN, _kraken(XXBT="1", XBT_Q="2", XBT28_S="1", TINY7_S="3"))
    assert held["BTC/USD"] == (Decimal(4), Decimal(3))
    assert held["TINY/USD"] == (Decimal(3), Decimal(3))
    assert unknown_word_counts.seen("Kraken")["form of a balance", "Q"] >= 1
    assert state.equity >= 120000


def test_a_coin_has_one_name_in_the_balances_of_kraken_and_in_its_entries() -> None:
    rows = {
        name: {"type": "staking", "asset": asset, "amount": "0.1", "fee": "0", "time": 1688464484}
        for name, asset in (("a", "XBT.F"), ("b", "XXBT"), ("c", "XBT28.S"), ("d", "ZUSD"), ("e", "USD.M"))
    }
    with steady(KRAKEN) as rig:
        answers(rig, "/Ledgers", (200, {"error": [], "result": {"ledger": rows, "count": 5}}))
        found = rig.broker.transactions(rig.account_id, start=None, end=None, limit=10)
    assert {each.transaction_id: each.currency for each in found} == {
        "a": "BTC", "b": "BTC", "c": "BTC", "d": "USD", "e": "USD",
    }  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "ACCOUNT_TYPE_"])
def test_accounts_of_coinbase_of_every_type_are_told(prefix: str) -> None:
    state, held = _state(
        COINBASE,
        _coinbase(
            (prefix + "FIAT", "USD", "100", "20"),
            (prefix + "CRYPTO", "BTC", "1", "0.5"),
            (prefix + "VAULT", "BTC", "2", "0"),
        ),
    )
    assert _cash(state) == {"USD": (Decimal(120), Decimal(20))}
    assert state.buying_power == Decimal(100)
    assert held == {"BTC/USD": (Decimal("3.5"), Decimal("2.5"))}
    assert state.equity == Decimal(120) + Decimal("3.5") * 30000


def test_an_account_of_coinbase_of_a_type_that_nobody_knows_is_told_and_not_spent() -> None:
    state, _ = _state(COINBASE, _coinbase(("ACCOUNT_TYPE_NEW", "USD", "40", "0"), ("FIAT", "USD", "1", "0")))
    assert _cash(state) == {"USD": (Decimal(41), Decimal(40))}
    assert (state.equity, state.buying_power) == (Decimal(41), Decimal(1))
    assert unknown_word_counts.seen("Coinbase")["type of account", "NEW"] >= 1


def test_what_earns_at_binance_is_the_coin_and_cannot_be_sold_from_there() -> None:
    state, held = _state(
        BINANCE, _binance(USDT=("100", "10"), LDUSDT=("50", "0"), BTC=("1", "0"), LDBTC=("0.5", "0"), LDO=("7", "0"))
    )
    assert _cash(state) == {"USDT": (Decimal(160), Decimal(60)), "LDO": (Decimal(7), Decimal(0))}
    assert state.buying_power == Decimal(100)
    assert held == {"BTC/USDT": (Decimal("1.5"), Decimal("0.5"))}
    assert state.equity == Decimal(160) + Decimal("1.5") * 30000


def test_unrealized_profit_of_okx_is_counted_once() -> None:
    with steady(OKX) as rig:
        account = rig.account_id
        answers(rig, "/account/balance", (200, _okx(eq="120", cashBal="100", upl="20", availBal="90")))
        row = {"instType": "SWAP", "mgnMode": "cross", "posSide": "net", "pos": "1", "ccy": "USDT", "avgPx": "28000",
               "upl": "20", "instId": "BTC-USDT-SWAP", "markPx": "30000", "last": "30000"}  # fmt: skip
        answers(rig, "/account/positions", (200, {"code": "0", "msg": "", "data": [row]}))
        state = rig.broker.account_state(account)
    assert _cash(state) == {"USDT": (Decimal(100), Decimal(10))}
    assert (state.equity, state.positions_value) == (Decimal(120), Decimal(20))


def test_nothing_is_reserved_of_what_is_owed() -> None:
    state, _ = _state(OKX, _okx(eq="-25.5", cashBal="-25.5", upl="0", availBal="0"))
    assert _cash(state) == {"USDT": (Decimal("-25.5"), Decimal(0))}
    assert state.equity == Decimal("-25.5")


def test_a_loss_at_okx_lowers_what_can_be_spent() -> None:
    state, _ = _state(OKX, _okx(eq="80", cashBal="100", upl="-20", availEq="80", availBal="100"))
    assert (_cash(state), state.buying_power) == ({"USDT": (Decimal(100), Decimal(20))}, Decimal(80))
