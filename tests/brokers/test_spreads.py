"""What a spread's symbol says of its legs, and what it can lose."""

from datetime import date
from decimal import Decimal

import pytest

from brokers import spreads
from brokers.spreads import Spread, SpreadLeg


def leg(sign: int, right: str, strike: str, *, ratio: int = 1, month: int = 12, root: str = "AAPL") -> SpreadLeg:
    return SpreadLeg(
        sign=sign, ratio=ratio, root=root, expiry=date(2026, month, 18), right=right, strike=Decimal(strike)
    )


def spread(symbol: str) -> Spread:
    found = spreads.parse(symbol)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "symbol",
    [
        "AAPL+261218C250-C260",
        "AAPL-261120C250+261218C250",
        "BRK.B-2*261218P400+P410.5",
        "SPXW-261218C4195+C4200+P4165-P4170",
    ],
)
def test_a_symbol_says_its_legs_and_is_written_one_way(symbol: str) -> None:
    found = spread(symbol)
    assert found.symbol == symbol
    assert spread(found.turned.symbol).turned == found


def test_the_same_legs_in_another_order_are_the_same_spread() -> None:
    assert spread("aapl-261218C260+C250").symbol == "AAPL+261218C250-C260"
    assert [each.symbol for each in spread("AAPL+261218C250-C260").legs] == [
        "AAPL261218C00250000",
        "AAPL261218C00260000",
    ]


@pytest.mark.parametrize(
    "symbol",
    [
        *("AAPL", "AAPL261218C00250000", "OPT:AAPL.USD:2026-12-18:C:250", "BTC/USD", "BTC-USD-261218-50000-C"),
        *(
            "AAPL+261218C250",
            "AAPL+C250-C260",
            "AAPL+261318C250-C260",
            "AAPL+261218C250-C250",
            "AAPL+2*261218C250-2*C260",
        ),
        *("AAPL+0*261218C250-C260", "AAPL+261218C250-C260+C270-C280+C290"),
    ],
)
def test_what_names_no_spread_is_none(symbol: str) -> None:
    assert spreads.parse(symbol) is None


@pytest.mark.parametrize(
    ("legs", "words"),
    [
        ([leg(1, "C", "250")], "2 to 4 legs"),
        ([leg(1, "C", "250"), leg(-1, "C", "260", root="MSFT")], "same underlying"),
        ([leg(1, "C", "250"), leg(-1, "C", "250")], "one leg only"),
        ([leg(1, "C", "250", ratio=2), leg(-1, "C", "260", ratio=4)], "lowest terms"),
        ([leg(1, "C", "250", ratio=100), leg(-1, "C", "260")], "1 to 99"),
    ],
)
def test_legs_that_make_no_spread_are_refused_by_what_is_wrong(legs: list[SpreadLeg], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        spreads.make(legs)


@pytest.mark.parametrize(
    ("symbol", "bought", "sold"),
    [
        ("AAPL+261218C250-C260", "0", "10"),  # a call spread: what is paid, or the width
        ("AAPL+261218P250-P260", "10", "0"),
        ("AAPL+261218C260-C270-P240+P230", "10", "10"),  # both wings, of which one loses
        ("AAPL+261218C250-2*C260+C270", "0", "10"),  # a butterfly
        ("AAPL+261218C250+P250", "0", None),  # a straddle: who sells it can lose without end
        ("AAPL+261218C250-2*C260", None, "10"),
        ("AAPL+261218P250-2*P240", "230", "10"),  # two puts sold against one: down to nothing
        ("AAPL-261120C250+261218C250", "0", None),  # what is sold ends first, or last
        ("AAPL-261120C250+261218C260", "10", None),
    ],
)
def test_what_can_be_owed_beside_the_price_is_the_worst_exercise(symbol: str, bought: str, sold: str | None) -> None:
    told = spread(symbol)
    expected = [None if each is None else Decimal(each) for each in (bought, sold)]
    assert [told.most_owed, told.turned.most_owed] == expected
