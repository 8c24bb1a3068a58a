"""Which instruments the symbols of limits name: what is forbidden reaches far, what alone is allowed reaches no further
than it says."""

import pytest

from brokers import instrument_id
from brokers.types import AssetClass
from console import limits
from console.errors import Code, Refusal

# Symbol at its broker, its instrument_id.
APPLE_AT_IBKR = ("AAPL@265598", "STK:AAPL.USD@XNAS")
APPLE_IN_MEXICO = ("AAPL@38708077", "STK:AAPL.MXN@XMEX")
APPLE_CALL = ("AAPL261218C00250000", "OPT:AAPL.USD:2026-12-18:C:250")
APPLE_CALL_AFTER_A_SPLIT = ("AAPL1261218C00250000", "OPT:AAPL1.USD:2026-12-18:C:250")
ES = ("ESZ6@495512563", "FUT:ES.USD:2026-12@XCME")
ES_AT_NINJATRADER = ("ES 12-26", "FUT:ES.USD:2026-12@XCME")
EVERSOURCE = ("ES@181273384", "STK:ES.USD@XNYS")
BITCOIN = ("BTC/USDT", "CRY:BTC/USDT@okx")
PERPETUAL = ("BTC/USDT:USDT", "PERP:BTC/USDT:USDT@okx")
UNTOLD = ("ESZ6@7", "")


def denies(
    listed: str, what: tuple[str, str], kind: AssetClass = AssetClass.STOCK, told: tuple[str, ...] = ()
) -> bool | None:
    symbol, named = what
    known = instrument_id.parse(named) if named else None
    return limits.parse({"denied_symbols": [listed]}).denies(symbol, known, asset_class=kind, told=told)


def allows(listed: str, what: tuple[str, str]) -> bool:
    symbol, named = what
    return limits.parse({"symbols": [listed]}).allows(symbol, instrument_id.parse(named) if named else None)


@pytest.mark.parametrize("what", [APPLE_AT_IBKR, APPLE_IN_MEXICO, APPLE_CALL, APPLE_CALL_AFTER_A_SPLIT])
def test_a_forbidden_ticker_forbids_every_listing_of_it_and_its_options(what: tuple[str, str]) -> None:
    assert denies("aapl", what) is True


@pytest.mark.parametrize("what", [ES, ES_AT_NINJATRADER, EVERSOURCE])
def test_a_forbidden_root_forbids_every_month_and_the_stock_of_that_name(what: tuple[str, str]) -> None:
    assert denies("ES", what) is True


@pytest.mark.parametrize("listed", ["BTC", "BTC/USDT", "BTC-USDT", "btcusdt"])
def test_a_forbidden_coin_or_pair_forbids_the_contracts_on_it(listed: str) -> None:
    assert denies(listed, BITCOIN) is True
    assert denies(listed, PERPETUAL) is True


@pytest.mark.parametrize("listed", ["BTC", "XBT", "btc"])
@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (("ETH/BTC", "CRY:ETH/BTC@kraken"), AssetClass.CRYPTO),
        (("ETH/BTC", ""), AssetClass.CRYPTO),
        (("BTC/USD", "CRY:BTC/USD@kraken"), AssetClass.CRYPTO),
        (("ETH/USD:BTC", "PERP:ETH/USD:BTC@okx"), AssetClass.PERPETUAL),
        (("ETH/USD:BTC-261225", "FUT:ETH/USD:BTC:2026-12-25@okx"), AssetClass.FUTURE),
        (("WBTC/USD", "CRY:WBTC/USD@kraken"), AssetClass.CRYPTO),
        (("USD/WBTC", ""), AssetClass.CRYPTO),
        (("BTC3L/USDT", "CRY:BTC3L/USDT@okx"), AssetClass.CRYPTO),
        (("MBTZ6@9", "FUT:MBT.USD:2026-12@XCME"), AssetClass.FUTURE),
        # As IBKR lists CME's bitcoin future.
        (("BTCZ6@11", "FUT:BRR.USD:2026-12@XCME"), AssetClass.FUTURE),
        (("QBTCZ6@12", "FUT:QBTC.USD:2026-12@XCME"), AssetClass.FUTURE),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_forbidden_coin_is_forbidden_on_either_side_and_in_what_is_built_on_it(
    listed: str, what: tuple[str, str], kind: AssetClass
) -> None:
    assert denies(listed, what, kind) is True


@pytest.mark.parametrize(
    ("listed", "what", "kind"),
    [
        ("AAPL", ("AAPLX/USD", "CRY:AAPLX/USD@kraken"), AssetClass.CRYPTO),
        ("ETH", ("ETH.S/USD", "CRY:ETH.S/USD@kraken"), AssetClass.CRYPTO),
        ("PEPE", ("1000PEPE/USDT:USDT", "PERP:1000PEPE/USDT:USDT@okx"), AssetClass.PERPETUAL),
        ("USD", ("EUR/USD", "FX:EUR/USD"), AssetClass.FOREX),
        ("ES", ("MESZ6@3", "FUT:MES.USD:2026-12@XCME"), AssetClass.FUTURE),
        ("ETH", ("ETHZ6@13", "FUT:ETHUSDRR.USD:2026-12@XCME"), AssetClass.FUTURE),
    ],
)
def test_tokens_multiples_and_small_contracts_stand_for_what_they_are_built_on(
    listed: str, what: tuple[str, str], kind: AssetClass
) -> None:
    assert denies(listed, what, kind) is True


@pytest.mark.parametrize(
    ("listed", "what", "kind"),
    [
        ("USD", APPLE_AT_IBKR, AssetClass.STOCK),
        ("WBTC", BITCOIN, AssetClass.CRYPTO),
        ("ETH", BITCOIN, AssetClass.CRYPTO),
        ("GM", ("GMX/USD", "CRY:GMX/USD@kraken"), AssetClass.CRYPTO),
        ("BTC", ("AAPL", "STK:AAPL.USD@XNAS"), AssetClass.STOCK),
    ],
)
def test_what_only_resembles_a_forbidden_name_is_not_forbidden(
    listed: str, what: tuple[str, str], kind: AssetClass
) -> None:
    assert denies(listed, what, kind) is False


def test_a_forbidden_instrument_id_forbids_that_instrument_alone() -> None:
    assert denies("STK:AAPL.USD@XNAS", APPLE_AT_IBKR) is True
    assert denies("STK:AAPL.USD", APPLE_AT_IBKR) is True
    assert denies("STK:AAPL.USD", APPLE_IN_MEXICO) is False
    assert denies("STK:AAPL.USD", APPLE_CALL) is False
    assert denies("FUT:ES.USD:2026-12", ES_AT_NINJATRADER) is True
    assert denies("CRY:BTC/USDT", PERPETUAL) is False


def test_whether_an_instrument_nobody_describes_is_forbidden_cannot_be_told() -> None:
    assert denies("FUT:ES.USD:2026-12", UNTOLD) is None
    assert denies("AAPL", UNTOLD) is False


@pytest.mark.parametrize("kind", [AssetClass.OPTION, AssetClass.FUTURE, AssetClass.PERPETUAL])
def test_what_is_built_on_something_unknown_passes_no_list_of_forbidden_names(kind: AssetClass) -> None:
    assert denies("BMW", ("C BMW DEC 26 9000@7", ""), kind) is None
    assert denies("BMW", ("C BMW DEC 26 9000@7", ""), kind, ("BMW", "")) is True
    assert denies("BMW", ("P5XQ@8", ""), kind, ("", "bmw1")) is True
    assert limits.NONE.denies("P5XQ@8", None, asset_class=kind) is False


def test_a_share_nobody_describes_is_told_by_its_symbol_and_ticker() -> None:
    assert denies("BMW", ("SAP@7", "")) is False
    assert denies("BMW", ("SAP@7", ""), told=("BMW", "")) is True


def test_an_allowed_ticker_allows_the_share_and_nothing_built_on_it() -> None:
    assert allows("AAPL", APPLE_AT_IBKR)
    assert allows("AAPL@265598", APPLE_AT_IBKR)
    assert not allows("AAPL@265598", APPLE_IN_MEXICO)
    assert not allows("AAPL", APPLE_CALL)
    assert not allows("ES", ES)
    assert not allows("BTC/USDT", PERPETUAL)


def test_an_allowed_instrument_id_allows_what_surely_is_it() -> None:
    assert allows("STK:AAPL.USD", APPLE_AT_IBKR)
    assert allows("fut:es.usd:2026-12@xcme", ES)
    assert not allows("STK:AAPL.USD@XNYS", APPLE_AT_IBKR)
    assert not allows("STK:AAPL.USD@XNAS", ("AAPL", "STK:AAPL.USD"))
    assert not allows("FUT:ES.USD:2026-12", UNTOLD)


def test_one_instrument_id_is_kept_in_one_spelling() -> None:
    spelled = limits.parse({"denied_symbols": ["cry:btc/usdt@OKX", " CRY:BTC/USDT@okx"]})
    assert spelled.stored() == {"denied_symbols": ["CRY:BTC/USDT@okx"]}
    assert limits.parse(spelled.stored()) == spelled


@pytest.mark.parametrize("name", ["STK:AAPL", "OPT:AAPL.USD:2026-02-30:C:250", "FUT:ES"])
def test_what_only_looks_like_an_instrument_id_is_refused(name: str) -> None:
    with pytest.raises(Refusal, match="which is not an instrument_id") as refused:
        limits.parse({"denied_symbols": [name]})
    assert refused.value.code is Code.INVALID_ARGUMENT
