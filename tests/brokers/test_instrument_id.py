"""The one name of an instrument: what it looks like, that it reads back as it was, and when two mean the same."""

from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers import instrument_id
from brokers.decimals import plain
from brokers.errors import InvalidSymbol
from brokers.instrument_id import InstrumentId, InstrumentKind
from brokers.symbol_lookup import occ_symbol, parse_instrument_id, parse_occ
from brokers.types import AssetClass, Instrument

WRITTEN = {
    "STK:AAPL.USD@XNAS": InstrumentId(kind=InstrumentKind.STOCK, name="AAPL", currency="USD", venue="XNAS"),
    "STK:BRK.B.USD": InstrumentId(kind=InstrumentKind.STOCK, name="BRK.B", currency="USD"),
    "ETF:SPY.USD@ARCX": InstrumentId(kind=InstrumentKind.ETF, name="SPY", currency="USD", venue="ARCX"),
    "OPT:AAPL.USD:2026-12-18:C:250": InstrumentId(
        kind=InstrumentKind.OPTION, name="AAPL", currency="USD", expiry="2026-12-18", right="C", strike=Decimal(250)
    ),
    "OPT:F.USD:2026-12-18:P:12.5": InstrumentId(
        kind=InstrumentKind.OPTION, name="F", currency="USD", expiry="2026-12-18", right="P", strike=Decimal("12.5")
    ),
    "FUT:ES.USD:2026-09@XCME": InstrumentId(
        kind=InstrumentKind.FUTURE, name="ES", currency="USD", expiry="2026-09", venue="XCME"
    ),
    "FUT:BTC/USDT:USDT:2026-12-25@okx": InstrumentId(
        kind=InstrumentKind.FUTURE, name="BTC", currency="USDT", settle="USDT", expiry="2026-12-25", venue="okx"
    ),
    "CRY:BTC/USDT@kraken": InstrumentId(kind=InstrumentKind.CRYPTO, name="BTC", currency="USDT", venue="kraken"),
    "PERP:BTC/USDT:USDT@okx": InstrumentId(
        kind=InstrumentKind.PERPETUAL, name="BTC", currency="USDT", settle="USDT", venue="okx"
    ),
    "FX:EUR/USD": InstrumentId(kind=InstrumentKind.FOREX, name="EUR", currency="USD"),
}

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
names = st.builds(lambda first, more: first + more, st.sampled_from(LETTERS), st.text(LETTERS + ".-", max_size=9))
coins = st.text(LETTERS, min_size=1, max_size=8)
currencies = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3)
venues = st.one_of(st.just(""), st.text(LETTERS, min_size=2, max_size=8))
coin_venues = venues.map(str.lower)
days = st.dates(date(1990, 1, 1), date(2099, 12, 31)).map(date.isoformat)
strikes = st.decimals(Decimal("0.001"), Decimal("99999999"), places=3)
identities = st.one_of(
    st.builds(
        InstrumentId,
        kind=st.sampled_from([InstrumentKind.STOCK, InstrumentKind.ETF]),
        name=names,
        currency=currencies,
        venue=venues,
    ),
    st.builds(
        InstrumentId,
        kind=st.just(InstrumentKind.OPTION),
        name=names,
        currency=currencies,
        expiry=days,
        right=st.sampled_from("CP"),
        strike=strikes,
        venue=venues,
    ),
    st.builds(
        InstrumentId,
        kind=st.just(InstrumentKind.FUTURE),
        name=names,
        currency=currencies,
        expiry=days.map(lambda day: day[:7]),
        venue=venues,
    ),
    st.builds(
        InstrumentId,
        kind=st.just(InstrumentKind.FUTURE),
        name=coins,
        currency=coins,
        settle=coins,
        expiry=days,
        venue=coin_venues,
    ),
    st.builds(InstrumentId, kind=st.just(InstrumentKind.CRYPTO), name=coins, currency=coins, venue=coin_venues),
    st.builds(
        InstrumentId,
        kind=st.just(InstrumentKind.PERPETUAL),
        name=coins,
        currency=coins,
        settle=coins,
        venue=coin_venues,
    ),
    st.builds(InstrumentId, kind=st.just(InstrumentKind.FOREX), name=currencies, currency=currencies, venue=venues),
)


@pytest.mark.parametrize(("text", "meant"), WRITTEN.items())
def test_each_kind_has_its_form(text: str, meant: InstrumentId) -> None:
    assert instrument_id.parse(text) == meant
    assert str(meant) == text


@given(identities)
def test_what_is_written_reads_back_as_it_was(meant: InstrumentId) -> None:
    assert instrument_id.parse(str(meant)) == meant


@given(identities, st.sampled_from([str.lower, str.title, lambda text: f"  {text}\t"]))
def test_case_and_blanks_around_it_do_not_matter(meant: InstrumentId, spelled: object) -> None:
    assert callable(spelled)
    assert str(instrument_id.parse(spelled(str(meant)))) == str(meant)


@given(identities, identities)
def test_two_names_are_equal_only_if_they_mean_the_same(one: InstrumentId, other: InstrumentId) -> None:
    assert (str(one) == str(other)) == (one == other)


@given(st.text(max_size=70))
def test_whatever_is_asked_for_is_read_or_refused(text: str) -> None:
    try:
        found = parse_instrument_id(text)
    except InvalidSymbol as error:
        assert "not an instrument_id" in str(error)
    else:
        assert found is None or instrument_id.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        *("STK:AAPL", "STK:.USD", "STK:AAPL.DOLLAR", "STK:AAPL.USD@", "STK:AAPL.USD@X", "STK:A\u00c4.USD", "STK:"),
        *("OPT:AAPL.USD:2026-02-30:C:250", "OPT:AAPL.USD:2026-12-18:X:250", "OPT:AAPL.USD:2026-12-18:C:0"),
        *("OPT:AAPL.USD:2026-12-18:C:-1", "OPT:AAPL.USD:2026-12-18:C:1e3", "FUT:ES.USD:2026-13", "FUT:ES.USD"),
        *("PERP:BTC/USDT", "CRY:BTC", "FX:EURO/USD", f"STK:{'A' * 60}.USD", "STK:AAPL.USD\n@XNAS"),
    ],
)
def test_what_only_looks_like_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"month|day|instrument|strike"):
        instrument_id.parse(text)
    with pytest.raises(InvalidSymbol, match="search_security"):
        parse_instrument_id(text)


@pytest.mark.parametrize("symbol", ["AAPL", "FX", "STK", "BTC/USDT:USDT", "AAPL@265598", "ES 12-26", "ES=F", ""])
def test_no_symbol_of_a_broker_is_taken_for_one(symbol: str) -> None:
    assert parse_instrument_id(symbol) is None


def test_a_venue_that_nobody_told_is_no_difference_and_another_one_is() -> None:
    anywhere, nasdaq, mexico = (instrument_id.parse(f"STK:AAPL.USD{at}") for at in ("", "@XNAS", "@XMEX"))
    assert anywhere.agrees(nasdaq) and nasdaq.agrees(anywhere)
    assert not nasdaq.agrees(mexico)
    assert anywhere.covers(nasdaq) and not nasdaq.covers(anywhere)


def test_a_fund_that_a_broker_calls_a_stock_is_the_same_instrument() -> None:
    assert instrument_id.parse("ETF:SPY.USD").agrees(instrument_id.parse("STK:SPY.USD@ARCX"))


def test_everything_else_tells_two_apart() -> None:
    texts = [
        *("STK:AAPL.USD", "STK:AAPL.MXN", "OPT:AAPL.USD:2026-12-18:C:250", "OPT:AAPL.USD:2026-12-18:P:250"),
        *("OPT:AAPL.USD:2026-12-18:C:251", "OPT:AAPL.USD:2026-12-19:C:250", "CRY:BTC/USDT", "PERP:BTC/USDT:USDT"),
        *("PERP:BTC/USDT:USDC", "FUT:BTC/USDT:USDT:2026-12-25", "FUT:ES.USD:2026-09", "FUT:ES.USD:2026-12"),
        *("FX:EUR/USD", "CRY:EUR/USD"),
    ]
    for one, other in pairwise(map(instrument_id.parse, texts)):
        assert not one.agrees(other) and not other.covers(one)


def test_an_option_s_symbol_says_what_it_is() -> None:
    told = parse_occ("AAPL  261218C00012500")
    assert told is not None
    assert (told.root, told.expiry, told.right, plain(told.strike)) == ("AAPL", "2026-12-18", "C", "12.5")
    assert occ_symbol(instrument_id.parse("OPT:AAPL.USD:2026-12-18:C:12.5")) == "AAPL261218C00012500"
    assert parse_occ("AAPL261318C00012500") is None


def test_an_instrument_its_broker_tells_too_little_of_has_no_name() -> None:
    told = {"tick": Decimal(1), "lot": Decimal(1), "minimum": Decimal(1), "price_source": "test", "exchange": "CME"}
    future = Instrument(symbol="ESZ6@1", name="ES", asset_class=AssetClass.FUTURE, currency="USD", **told)  # type: ignore[arg-type]
    assert future.instrument_id == "" and future.identity is None
