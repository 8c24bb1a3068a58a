"""Round trips worked out by hand: where one begins and ends, what it earned, how far it went."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.types import Bar, Fill, Side
from console.connections import pnl
from console.journal import round_trips
from console.journal.round_trips import PositionStep, Trip

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def steps(*lines: str) -> list[PositionStep]:
    """Each "kind quantity price fee", ten minutes apart; the quantity is signed."""
    made = []
    for place, line in enumerate(lines):
        kind, quantity, price, fee = line.split()
        made.append(
            PositionStep(
                at=START + timedelta(minutes=10 * place),
                place=place,
                ref=str(place),
                kind=kind,
                quantity=Decimal(quantity),
                price=Decimal(price),
                fee=Decimal(fee),
            )
        )
    return made


def numbers(*values: object) -> list[object]:
    """Beside decimals, mypy takes no whole numbers in a tuple."""
    return list(values)


def match(*lines: str) -> list[Trip]:
    return round_trips.match(steps(*lines))[0]


def test_a_trip_runs_from_flat_to_flat() -> None:
    (trip,) = match("fill 10 100 1", "fill 30 120 2", "fill -20 125 1", "fill -20 105 1")
    assert numbers(trip.is_long, trip.entered, trip.entry_price, trip.exit_price) == numbers(True, 40, 115, 115)
    assert numbers(trip.realized, trip.fees, trip.fills) == numbers(0, 5, 4)
    assert trip.closed_at == START + timedelta(minutes=30)


def test_a_short_trip_earns_when_it_is_bought_back_lower() -> None:
    (trip,) = match("fill -10 50 0", "fill -10 60 0", "fill 20 40 0")
    assert numbers(trip.is_long, trip.entry_price, trip.exit_price, trip.realized) == numbers(False, 55, 40, 300)


def test_a_fill_through_zero_ends_one_trip_and_begins_the_next_with_its_share_of_the_fee() -> None:
    first, second = match("fill 3 10 0", "fill -5 12 5", "fill 2 11 1")
    assert numbers(first.realized, first.fees, first.fills) == numbers(6, 3, 2)
    assert numbers(second.is_long, second.realized, second.fees, second.fills) == numbers(False, 2, 3, 2)
    assert first.closed_at == second.opened_at
    assert first.fresh_start and not second.fresh_start


def test_an_open_trip_has_no_end() -> None:
    first, second = match("fill 1 10 0", "fill -1 11 0", "fill 2 12 0")
    assert second.closed_at is None and second.held == 2 and first.closed_at is not None


def test_a_reset_ends_a_trip_without_earning_anything() -> None:
    (trip,) = match("fill 4 10 1", "fill -1 12 1", "reset -3 10 0")
    assert numbers(trip.ended_by, trip.realized, trip.fees, trip.held) == numbers("reset", 2, 2, 0)
    assert trip.closed_at == START + timedelta(minutes=20)


def test_a_split_changes_units_and_not_what_was_paid() -> None:
    (trip,) = match("fill 2 100 0", "split 2 0 0", "fill -4 60 0")
    assert numbers(trip.entered, trip.entry_price, trip.exit_price, trip.realized) == numbers(4, 50, 60, 40)


def test_what_was_brought_in_begins_a_trip_at_what_it_had_cost() -> None:
    (trip,) = match("transfer 5 20 0", "fill -5 22 1")
    assert numbers(trip.entry_price, trip.realized, trip.fills) == numbers(20, 10, 1)


def test_a_contract_for_a_hundred_units_earns_a_hundred_times_as_much() -> None:
    made, _ = round_trips.match(steps("fill 2 1.50 0", "fill -2 2.10 0"), Decimal(100))
    assert made[0].realized == 120


def bar(minute: int, high: str, low: str) -> tuple[datetime, Bar]:
    start = START + timedelta(minutes=minute)
    price = Decimal(low)
    found = Bar(start=start, open=price, high=Decimal(high), low=price, close=price, volume=Decimal(1))
    return start + timedelta(minutes=1), found


def test_how_far_a_trip_went_is_told_by_the_bars_between_its_fills() -> None:
    (trip,) = match("fill 2 100 0", "fill 2 110 0", "fill -4 105 0")
    bars = [bar(1, "104", "97"), bar(12, "120", "101"), bar(19, "106", "104")]
    assert numbers(*round_trips.extremes(trip, bars)) == numbers(60, -16)  # 4 x (120 - 105), 4 x (101 - 105)


def test_a_bar_from_before_a_trip_or_with_a_fill_inside_does_not_count() -> None:
    (trip,) = match("fill 1 100 0", "fill -1 103 0")
    before, across, after = bar(-1, "150", "50"), bar(10, "150", "50"), bar(30, "150", "50")
    assert numbers(*round_trips.extremes(trip, [before, across, after])) == numbers(3, 0)


def test_a_short_trip_is_hurt_by_the_highs() -> None:
    (trip,) = match("fill -2 50 0", "fill 2 49 0")
    assert numbers(*round_trips.extremes(trip, [bar(3, "57", "44")])) == numbers(12, -14)


@given(
    st.lists(
        st.tuples(
            st.sampled_from((1, -1)),
            st.decimals("0.001", "50", places=3),
            st.decimals("0.01", "900", places=2),
            st.decimals("0", "3", places=2),
        ),
        max_size=40,
    )
)
def test_all_trips_together_earned_what_average_cost_says_and_lose_no_fee(
    rows: list[tuple[int, Decimal, Decimal, Decimal]],
) -> None:
    made = [
        PositionStep(
            at=START + timedelta(minutes=place // 3),  # several at one moment
            place=place,
            ref=str(place),
            kind="fill",
            quantity=sign * quantity,
            price=price,
            fee=fee,
        )
        for place, (sign, quantity, price, fee) in enumerate(rows)
    ]
    fills = [
        Fill(
            fill_id=step.ref,
            client_order_id="",
            symbol="A",
            side=Side.BUY if step.quantity > 0 else Side.SELL,
            quantity=abs(step.quantity),
            price=step.price,
            fee=step.fee,
            currency="USD",
            filled_at=step.at,
            source="",
        )
        for step in made
    ]
    found, realized = round_trips.match(made)
    assert {each.fill.fill_id: round_trips.rounded(each.profit) for each in pnl.realize(fills)} == realized
    assert sum((trip.fees for trip in found), Decimal(0)) == sum((fill.fee for fill in fills), Decimal(0))
    assert all(trip.closed_at is not None for trip in found[:-1])
    assert [trip.first for trip in found] == list(dict.fromkeys(trip.first for trip in found))
