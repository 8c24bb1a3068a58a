"""Bringing recorded bars in: the command, the checks, and how a series plays."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from brokers.errors import InvalidRequest
from brokers.paper.bar_imports import ImportRefused, import_bars
from brokers.paper.models import ImportedBar, ImportedSeries
from brokers.types import AssetClass, BarSize, BrokerStatus

from .support import Clock, open_broker, order, script

pytestmark = pytest.mark.django_db

HEADER = "ts,open,high,low,close,volume"
GOOD = "2024-05-01T00:00:00Z,3000,3010,2990,3005,12.5"


def run(file: Path, *extra: str) -> None:
    call_command("import_bars", str(file), "--symbol", "ETH/USD", "--name", "Ether", "--asset-class", "crypto", *extra)


def test_the_command_imports_a_file_that_can_then_be_traded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "eth.csv"
    file.write_text(f"\ufeff{HEADER}\n{GOOD}\n2024-05-01T00:01:00Z,3005,3006,3001,3002,1\n", encoding="utf-8")
    run(file)
    assert "Imported 2 bars of ETH/USD" in capsys.readouterr().out
    broker, account = open_broker(Clock())
    instrument = broker.instrument("eth")
    assert (instrument.name, instrument.lot) == ("Ether", Decimal("0.00000001"))
    (quote,) = broker.quotes(["ETH-USD"])
    assert quote.last in (Decimal(3005), Decimal(3002))
    assert quote.recorded_at is not None and quote.recorded_at.year == 2024
    assert quote.source == "replay of imported ETH/USD bars (1 May 2024 to 1 May 2024)"
    assert broker.submit(account.key, order("BUY", "0.5", "ETH/USD")).status is BrokerStatus.FILLED
    assert "ETH/USD" in [found.symbol for found in broker.find_instruments("ether")]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("2024-05-01T00:01:00Z,3,2,1,2,1", "open and close must lie between low and high"),
        ("2024-05-01T00:01:00Z,2,3,2.5,3,1", "open and close must lie between low and high"),
        ("2024-05-01T00:01:00Z,NaN,3,2,3,1", "open 'NaN' is not a number"),
        ("2024-05-01T00:01:00Z,2,Infinity,2,3,1", "high 'Infinity' is not a number"),
        ("2024-05-01T00:01:00Z,2,x,2,3,1", "high 'x' is not a number"),
        ("2024-05-01T00:01:00Z,2.001,3,2,3,1", "open 2.001 is not a multiple of the tick 0.01"),
        ("2024-05-01T00:01:00Z,0,3,0,3,1", "open must be greater than 0"),
        ("2024-05-01T00:01:00Z,2,3,2,3,-1", "volume is negative"),
        ("2024-05-01T00:01:30Z,2,3,2,3,1", "not the start of a minute"),
        ("yesterday,2,3,2,3,1", "ts 'yesterday' is not a time"),
        ("2024-05-01T00:00:00Z,2,3,2,3,1", "ts must be later than on the line before"),
        ("2024-05-01T00:01:00Z,2,3,2,3", "5 values where the header has 6"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_nothing_is_imported(tmp_path: Path, row: str, problem: str) -> None:
    file = tmp_path / "eth.csv"
    file.write_text(f"{HEADER}\n{GOOD}\n{row}\n", encoding="utf-8")
    with pytest.raises(CommandError) as refused:
        run(file)
    assert "Nothing was imported." in str(refused.value)
    assert "Line 3: " in str(refused.value)
    assert problem in str(refused.value)
    assert not ImportedSeries.objects.exists()
    assert not ImportedBar.objects.exists()


def test_every_bad_row_is_reported_at_once() -> None:
    with pytest.raises(ImportRefused) as refused:
        import_bars(
            [HEADER, "x,1,1,1,1,1", GOOD, "y,1,1,1,1,1"], symbol="ETH/USD", name="E", asset_class=AssetClass.CRYPTO
        )
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["Line 2", "Line 4"]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "Line 1: the header is missing ts or date, open, high, low, close, volume."),
        (["ts,open,high,low,close", GOOD], "Line 1: the header is missing volume."),
        ([HEADER], "The file has a header and no bars."),
    ],
)
def test_a_file_without_header_or_bars_is_refused(lines: list[str], problem: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        import_bars(lines, symbol="ETH/USD", name="Ether", asset_class=AssetClass.CRYPTO)
    assert refused.value.problems == (problem,)


@pytest.mark.parametrize("symbol", ["AAPL", "btc-usd", "BRKB", "ETH USD", "", "A" * 30])
def test_a_symbol_that_is_taken_or_strange_is_refused(symbol: str) -> None:
    with pytest.raises(ImportRefused):
        import_bars([HEADER, GOOD], symbol=symbol, name="X", asset_class=AssetClass.CRYPTO)


def test_the_same_symbol_cannot_be_imported_twice() -> None:
    script("1 1 1 1")
    with pytest.raises(ImportRefused, match="already"):
        script("1 1 1 1", symbol="TESTUSD")


def test_a_missing_file_and_a_bad_option_are_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        run(tmp_path / "none.csv")
    (tmp_path / "eth.csv").write_text(f"{HEADER}\n{GOOD}\n")
    with pytest.raises(CommandError, match="tick 'much' is not a number"):
        run(tmp_path / "eth.csv", "--tick", "much")


def test_a_daily_series_plays_a_bar_a_day_and_has_no_finer_ones() -> None:
    lines = ["date,open,high,low,close,volume"]
    lines += [f"2024-05-0{day},{day}0,{day}5,{day}0,{day}5,7" for day in range(1, 6)]
    import_bars(lines, symbol="SHOP", name="Shop", asset_class=AssetClass.STOCK)
    clock = Clock()
    broker, account = open_broker(clock)
    today = clock.now.replace(hour=0, minute=0, second=0)
    (quote,) = broker.quotes(["SHOP"])
    days = broker.bars("SHOP", BarSize.DAY, limit=10)
    assert [bar.start for bar in days] == [today - timedelta(days=back) for back in range(10, 0, -1)]
    assert [bar.close for bar in days[:5]] == [bar.close for bar in days[5:]]
    assert (quote.last, quote.as_of) == (days[-1].close, today)
    with pytest.raises(InvalidRequest) as refused:
        broker.bars("SHOP", BarSize.MINUTE)
    assert refused.value.field == "bar"
    resting = broker.submit(account.key, order("BUY", "1", "SHOP", limit="12"))
    if resting.status is BrokerStatus.WORKING:
        clock.advance(days=7)
        found = broker.order(account.key, resting.client_order_id)
        assert found is not None and found.average_price == Decimal(10)


def test_the_hole_in_a_recording_is_closed_up() -> None:
    start = datetime(2024, 5, 1, tzinfo=UTC)
    times = [start, start + timedelta(hours=5)]
    lines = [HEADER] + [f"{when.isoformat()},1,1,1,1,1" for when in times]
    import_bars(lines, symbol="HOLE", name="Hole", asset_class=AssetClass.STOCK)
    clock = Clock()
    broker, _ = open_broker(clock)
    seen = []
    for _ in range(4):
        seen.append(broker.quotes(["HOLE"])[0].recorded_at)
        clock.advance(minutes=1)
    assert sorted(filter(None, seen)) == [times[0], times[0], times[1], times[1]]
