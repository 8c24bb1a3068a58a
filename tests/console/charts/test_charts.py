"""Charts: round axes, words for each point, the numbers behind, and nothing that a strict policy would refuse."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from django.template import Context, Template

from console.charts import figures, scales
from console.charts.figures import BarChart, LineChart, Spark

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def drawn(chart: LineChart | BarChart | Spark | None) -> str:
    return Template("{% load chart_tags %}{% chart drawn %}").render(Context({"drawn": chart}))


def equity(*values: str, apart: timedelta = timedelta(hours=1)) -> list[tuple[datetime, Decimal]]:
    return [(NOON + index * apart, Decimal(value)) for index, value in enumerate(values)]


class TestScales:
    def test_levels_are_round_and_hold_every_value(self) -> None:
        for low, high in (("0", "1"), ("99812.4", "100212.7"), ("-37.5", "112"), ("0.00012", "0.00031"), ("7", "7")):
            levels = scales.values(Decimal(low), Decimal(high))
            assert levels[0] <= Decimal(low) <= Decimal(high) <= levels[-1], (low, high, levels)
            assert 2 <= len(levels) <= 5, levels
            steps = {two - one for one, two in pairwise(levels)}
            assert len(steps) == 1, levels
            assert len(steps.pop().normalize().as_tuple().digits) <= 2, levels

    def test_moments_are_round_and_few_for_every_span(self) -> None:
        for minutes in (7, 180, 1440, 7 * 1440, 30 * 1440):
            span = timedelta(minutes=minutes)
            marks = scales.moments(NOON - span, NOON)
            assert 2 <= len(marks) <= 6, (span, marks)
        week = [mark.label for mark in scales.moments(NOON - timedelta(days=7), NOON)]
        assert week == ["25 Nov", "27 Nov", "29 Nov"]
        assert [mark.label for mark in scales.moments(NOON - timedelta(hours=3), NOON)][-1] == "12:00"
        years = [mark.label for mark in scales.moments(NOON - timedelta(days=800), NOON)]
        assert 2 <= len(years) <= 6, years

    def test_a_span_of_nothing_has_no_marks(self) -> None:
        assert scales.moments(NOON, NOON) == []


class TestLine:
    def test_each_point_is_said_on_hover_and_in_the_table_with_its_currency(self) -> None:
        page = drawn(figures.line(equity("100000", "100250.5"), label="Equity", unit="USD"))
        assert "<title>30 Nov 2026 12:00 UTC: 100,000.00 USD</title>" in page
        assert "<title>30 Nov 2026 13:00 UTC: 100,250.50 USD</title>" in page
        assert "<td>100,250.50" in page
        assert '<th scope="col" class="num">USD</th>' in page

    def test_it_has_no_inline_style_and_no_script(self) -> None:
        page = drawn(figures.line(equity("1", "2", "3"), label="Equity", unit="USD"))
        assert "style=" not in page
        assert "<script" not in page

    def test_a_spike_among_many_points_stays_in_the_drawing(self) -> None:
        values = ["100"] * 5000
        values[3333] = "900"
        chart = figures.line(equity(*values, apart=timedelta(minutes=5)), label="Equity", unit="USD")
        assert chart is not None
        assert len(chart.line.split()) <= figures.MOST_POINTS
        assert any("900.00 USD" in band.title for band in chart.bands)
        assert len(chart.bands) == len(chart.frame.rows) == figures.MOST_ROWS

    def test_one_point_makes_no_line(self) -> None:
        assert figures.line(equity("1"), label="Equity", unit="USD") is None
        assert drawn(None) == ""

    def test_a_name_is_escaped(self) -> None:
        page = drawn(figures.bars([("<b>", Decimal(1))], label="By symbol", unit="USD", name="Symbol"))
        assert "<b>" not in page
        assert "&lt;b&gt;" in page


class TestBars:
    def test_gains_stand_above_zero_and_losses_beneath(self) -> None:
        chart = figures.bars([("1 Nov", Decimal(50)), ("2 Nov", Decimal(-25))], label="Profit", unit="USD", name="Day")
        assert chart is not None
        gain, loss = chart.rects
        zero = float(chart.zero)
        assert (gain.look, loss.look) == ("gain", "loss")
        assert float(gain.y) + float(gain.height) == zero
        assert float(loss.y) == zero
        assert [row.values for row in chart.frame.rows] == [("\N{MINUS SIGN}25.00",), ("50.00",)]

    def test_parts_of_a_stacked_bar_stand_on_each_other_and_axes_are_whole_numbers(self) -> None:
        keys = [("plain", "Calls"), ("loss", "Errors")]
        chart = figures.stacked([("12:00", (3, 1)), ("13:00", (0, 0))], label="Calls", name="Hour", keys=keys)
        assert chart is not None
        calls, errors = chart.rects
        assert float(errors.y) + float(errors.height) == float(calls.y)
        assert all("." not in words for _, words in chart.frame.levels)
        assert chart.bands[0].title == "12:00: 3 calls, 1 errors"

    def test_bars_of_nothing_but_zero_can_be_drawn(self) -> None:
        assert "chart-zero" in drawn(figures.bars([("a", Decimal(0))], label="x", unit="", name="n"))
        assert figures.bars([], label="x", unit="", name="n") is None
        assert figures.stacked([], label="x", name="n", keys=[]) is None


class TestSparks:
    def test_a_spark_says_itself_in_words_and_looks_as_it_ended(self) -> None:
        up = figures.spark([Decimal(1), Decimal(3)], label="Up by 2")
        flat = figures.spark([Decimal(1), Decimal(1)], label="The same")
        assert up is not None and flat is not None
        assert (up.look, flat.look) == ("gain", "")
        assert 'aria-label="Up by 2"' in drawn(up)
        assert figures.spark([Decimal(1)], label="x") is None
