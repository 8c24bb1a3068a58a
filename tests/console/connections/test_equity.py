"""What an account was worth over time: kept fine for days, coarse for years, and never a high or a low lost."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from console.accounts.models import User
from console.connections import equity, health
from console.connections.models import Connection, EquityMarks, EquitySnapshot
from console.onboarding import connection_lifecycle

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def blank(paper: Connection) -> Connection:
    EquitySnapshot.objects.all().delete()
    return paper


def keep(connection: Connection, *values: str, start: datetime = START, every: int = 5) -> None:
    for place, value in enumerate(values):
        equity.record(
            connection,
            "A",
            currency="USD",
            equity=Decimal(value),
            cash=Decimal(1),
            now=start + timedelta(minutes=every * place),
        )


def test_the_first_is_kept_when_the_account_is_opened(paper: Connection) -> None:
    (row,) = EquitySnapshot.objects.all()
    assert (row.connection, row.account_id) == (paper, paper.default_account)
    assert (row.opened, row.equity, row.cash, row.currency) == (100_000, 100_000, 100_000, "USD")


def test_a_health_check_keeps_what_every_account_is_worth_and_again_changes_nothing(blank: Connection) -> None:
    for _ in range(2):
        health.check(blank)
    rows = EquitySnapshot.objects.all()
    assert len(rows) <= 2, "two only when the checks met the turn of five minutes"
    assert {(row.account_id, row.equity) for row in rows} == {(blank.default_account, Decimal(100_000))}


def test_one_slot_keeps_its_first_last_highest_and_lowest(blank: Connection) -> None:
    keep(blank, "100.01", "120", "90.5", "95.123456789012345678", every=1)
    (point,) = equity.points(blank.pk, "A")
    assert (point.opened, point.high, point.low, point.equity) == (
        Decimal("100.01"),
        Decimal(120),
        Decimal("90.5"),
        Decimal("95.123456789012345678"),
    )
    assert (point.opened_at, point.at) == (START, START + timedelta(minutes=3))


def test_an_answer_that_comes_late_does_not_overwrite_a_newer_one(blank: Connection) -> None:
    keep(blank, "100", "110", every=1)
    keep(blank, "50")
    (point,) = equity.points(blank.pk, "A")
    assert point.equity == 110


def test_thinning_puts_old_rows_together_and_keeps_their_highs_and_lows(blank: Connection) -> None:
    values = [str(100 + 7 * place % 31) for place in range(48)]
    keep(blank, *values)
    now = START + timedelta(days=3)
    assert equity.compact(now) == 48 - 4
    assert equity.compact(now) == 0
    hours = equity.points(blank.pk, "A")
    assert [(point.high, point.low, point.equity) for point in hours] == [
        (max(part), min(part), part[-1])
        for part in ([Decimal(value) for value in values[first : first + 12]] for first in range(0, 48, 12))
    ]
    assert equity.compact(START + timedelta(days=92)) == 3
    (day,) = equity.points(blank.pk, "A")
    whole = [Decimal(value) for value in values]
    assert (day.start, day.opened, day.high, day.low, day.equity) == (
        START.replace(hour=0),
        whole[0],
        max(whole),
        min(whole),
        whole[-1],
    )


def test_thinning_leaves_the_last_two_days_and_other_accounts_alone(blank: Connection, other: User) -> None:
    theirs, _ = connection_lifecycle.open_paper(other, name="Theirs", starting_cash=Decimal(5))
    EquitySnapshot.objects.all().delete()
    keep(blank, "1", "2", "3")
    keep(theirs, "7", start=START + timedelta(days=2))
    assert equity.compact(START + timedelta(days=1, hours=23)) == 0
    assert equity.compact(START + timedelta(days=2, hours=2)) == 2
    assert [point.equity for point in equity.points(theirs.pk, "A")] == [7]
    assert equity.points(theirs.pk, blank.default_account) == []


def test_the_deepest_fall_is_that_from_the_highest_point_before_it(blank: Connection) -> None:
    keep(blank, "100", "150", "120", "160", "112", "130", "170", "160")
    fall = equity.max_drawdown(equity.points(blank.pk, "A"))
    assert fall is not None
    assert [fall.peak, fall.trough, fall.amount, fall.percent] == [Decimal(each) for each in (160, 112, 48, 30)]
    assert (fall.peak_at, fall.trough_at) == (START + timedelta(minutes=15), START + timedelta(minutes=20))


def test_an_equity_that_only_rises_has_no_fall(blank: Connection) -> None:
    keep(blank, "100", "150", "150", "160")
    assert equity.max_drawdown(equity.points(blank.pk, "A")) is None


def test_what_was_known_at_a_moment_is_the_last_before_it_else_the_first(blank: Connection) -> None:
    assert equity.equity_at(blank.pk, "A", timezone.now()) is None
    keep(blank, "100", "101", "102")
    assert equity.equity_at(blank.pk, "A", START + timedelta(minutes=6)) == (Decimal(101), START + timedelta(minutes=5))
    assert equity.equity_at(blank.pk, "A", START) == (Decimal(100), START)
    assert equity.equity_at(blank.pk, "A") == (Decimal(100), START)


def test_the_marks_are_those_of_every_reading_though_thinning_has_put_them_together(blank: Connection) -> None:
    rng = random.Random(7)  # noqa: S311  the same at every run
    values = [Decimal(rng.randrange(50_000, 150_000)) / 100 for _ in range(150)]
    each = [
        equity.Point(start=at, opened_at=at, opened=value, at=at, equity=value, high=value, low=value, cash=value)
        for at, value in ((START + timedelta(minutes=13 * place), value) for place, value in enumerate(values))
    ]
    for point in each:
        keep(blank, str(point.equity), start=point.at)
    assert equity.marks(blank.pk, "A") == equity.marks_of(each)
    equity.compact(START + timedelta(days=120))
    assert EquitySnapshot.objects.count() == 2
    assert equity.marks(blank.pk, "A") == equity.marks_of(each)
    assert equity.max_drawdown(equity.points(blank.pk, "A")) != equity.max_drawdown(each), "thinned points do not tell"


def test_an_account_from_before_there_were_marks_has_those_of_its_points(blank: Connection) -> None:
    keep(blank, "100", "150", "120", "160", "112")
    known = equity.marks(blank.pk, "A")
    EquityMarks.objects.all().delete()
    assert equity.marks(blank.pk, "A") == known
    keep(blank, "111", start=START + timedelta(minutes=30))
    marks = equity.marks(blank.pk, "A")
    assert EquityMarks.objects.get().trough == 111
    assert marks is not None and marks.deepest is not None and marks.deepest.peak == 160


def test_the_newest_points_are_read_backwards_and_only_so_many(blank: Connection) -> None:
    keep(blank, *(str(100 + place) for place in range(40)))
    every = equity.points(blank.pk, "A", bar=equity.HOUR)
    assert equity.points(blank.pk, "A", bar=equity.HOUR, most=2) == every[-2:]
    assert len(every) == 4


def test_an_account_that_starts_anew_has_new_marks(blank: Connection) -> None:
    keep(blank, "100", "10")
    equity.forget(blank.pk, "A")
    assert equity.marks(blank.pk, "A") is None
    keep(blank, "50")
    marks = equity.marks(blank.pk, "A")
    assert marks is not None and marks.high == marks.low == 50 and marks.deepest is None
