"""Public ids: no two are equal, whoever makes them, and they sort by time."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from console import ids


def test_threads_never_get_the_same_id() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ids.new("req"), range(4000)))
    assert len({each[-16:] for each in made}) == len(made), "80 random bits were used twice"


def test_a_forked_process_does_not_repeat_its_parents_ids() -> None:
    ids.new("req")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "\n".join(ids.new("req")[-16:] for _ in range(70)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = set(os.read(reading, 4096).decode().split())
    os.close(reading)
    os.close(writing)
    assert len(theirs) == 70
    assert theirs.isdisjoint(ids.new("req")[-16:] for _ in range(70))


def test_an_id_of_a_later_millisecond_sorts_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.ids.time.time_ns", lambda: 1_700_000_000_000_000_000)
    earlier = ids.new("ord")
    monkeypatch.setattr("console.ids.time.time_ns", lambda: 1_700_000_000_001_000_000)
    assert earlier < ids.new("ord")
    assert len(earlier) == len("ord_") + 26


def test_every_letter_may_stand_in_every_random_place() -> None:
    made = [ids.new("req")[-16:] for _ in range(2000)]
    # One of 32 letters is missing in one of 16 places by chance once in 10**25 runs.
    assert all(len({each[place] for each in made}) == 32 for place in range(16))


def test_an_id_says_when_it_was_made() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    made = ids.made_at(ids.new("req"))
    assert made is not None and before <= made <= datetime.now(UTC)


@pytest.mark.parametrize("other", ["", "req_1", "req_" + "0" * 25 + "I", "req_" + "ü" * 26, "tl_live_x"])
def test_what_was_not_made_so_says_no_time(other: str) -> None:
    assert ids.made_at(other) is None
