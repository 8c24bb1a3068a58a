"""Profit and loss by average cost, worked out by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from brokers.types import Fill, Side
from console.connections import pnl

START = datetime(2026, 3, 2, tzinfo=UTC)


def fills(*lines: str) -> list[Fill]:
    """Each "SIDE quantity SYMBOL price fee", a day apart."""
    found = []
    for place, line in enumerate(lines):
        side, quantity, symbol, price, fee = line.split()
        found.append(
            Fill(
                fill_id=str(place),
                client_order_id="",
                symbol=symbol,
                side=Side(side),
                quantity=Decimal(quantity),
                price=Decimal(price),
                fee=Decimal(fee),
                currency="USD",
                filled_at=START + timedelta(days=place),
                source="",
            )
        )
    return found


def profits(*lines: str) -> list[Decimal]:
    return [each.profit for each in pnl.realize(fills(*lines))]


def test_a_sale_earns_the_difference_to_the_average_of_what_was_bought() -> None:
    assert profits("BUY 10 A 100 1", "BUY 30 A 120 1", "SELL 20 A 125 1", "SELL 20 A 105 1") == [0, 0, 200, -200]


def test_selling_some_leaves_the_average_as_it_was() -> None:
    assert profits("BUY 4 A 10 0", "SELL 1 A 11 0", "BUY 1 A 30 0", "SELL 4 A 15 0") == [0, 1, 0, 0]


def test_a_short_position_earns_when_it_is_bought_back_lower() -> None:
    assert profits("SELL 10 A 50 0", "SELL 10 A 60 0", "BUY 20 A 40 0") == [0, 0, 300]


def test_a_fill_through_zero_closes_one_side_and_opens_the_other_at_its_own_price() -> None:
    closing, opening = list(pnl.realize(fills("BUY 3 A 10 0", "SELL 5 A 12 0", "BUY 2 A 11 0")))[1:]
    assert closing.profit == 6 and closing.closed == 3
    assert opening.profit == 2 and opening.closed == 2


def test_every_symbol_has_its_own_average() -> None:
    assert profits("BUY 1 A 10 0", "BUY 1 B 100 0", "SELL 1 A 11 0", "SELL 1 B 99 0") == [0, 0, 1, -1]


def test_a_third_of_a_cost_adds_up_to_the_whole_again() -> None:
    found = profits("BUY 3 A 10.01 0", "BUY 4 A 9.99 0", *["SELL 1 A 10 0"] * 7)
    assert abs(sum(found, Decimal(0)) - (70 - Decimal("30.03") - Decimal("39.96"))) < Decimal("1e-60")


def test_only_fills_in_the_time_asked_for_count_but_earlier_ones_make_the_average() -> None:
    made = fills("BUY 2 A 10 1", "SELL 1 A 15 1.5", "SELL 1 A 18 2")
    (total,) = pnl.totals(pnl.realize(made), lambda fill: "", start=START + timedelta(days=2)).values()
    assert total.profit == 8 and total.fees == 2 and total.net == 6 and total.fills == 1
    (total,) = pnl.totals(
        pnl.realize(made), lambda fill: "", start=START + timedelta(days=1), end=START + timedelta(days=2)
    ).values()
    assert total.profit == 5 and total.net == Decimal("3.5")
