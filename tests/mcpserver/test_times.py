"""Times in answers: ISO 8601 in UTC, to the millisecond, whatever the zone and however round the time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mcpserver.tools import render

NEW_YORK = timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 11, 30, 14, 30, tzinfo=UTC), "2026-11-30T14:30:00.000Z"),
        (datetime(2026, 11, 30, 14, 30, 5, 1, tzinfo=UTC), "2026-11-30T14:30:05.000Z"),
        (datetime(2026, 11, 30, 14, 30, 5, 999_999, tzinfo=UTC), "2026-11-30T14:30:05.999Z"),
        (datetime(2026, 11, 30, 23, 30, 5, 120_000, tzinfo=NEW_YORK), "2026-12-01T04:30:05.120Z"),
        (datetime(70, 1, 2, 3, 4, 5, tzinfo=UTC), "0070-01-02T03:04:05.000Z"),
    ],
)
def test_a_time_is_written_in_utc_to_the_millisecond(value: datetime, written: str) -> None:
    assert render.moment(value) == written
