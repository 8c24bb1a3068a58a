"""The moving window that one process keeps: exact to the call, and no larger than it has to be."""

from console.authority import sliding_window
from console.authority.sliding_window import SlidingWindows


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_call_is_forgotten_a_minute_after_it_was_made_and_not_before() -> None:
    clock = Clock()
    counted = SlidingWindows(clock)
    assert counted.take([("a", 2)]) is None
    clock.now += 30
    assert counted.take([("a", 2)]) is None
    assert counted.take([("a", 2)]) == (0, 30.0)
    clock.now += 29.9
    assert counted.take([("a", 2)]) is not None
    clock.now += 0.2
    assert counted.take([("a", 2)]) is None
    assert counted.take([("a", 2)]) is not None


def test_a_call_that_one_limit_refuses_is_counted_under_none() -> None:
    counted = SlidingWindows(Clock())
    assert counted.take([("all", 3), ("trade", 1)]) is None
    for _ in range(5):
        refused = counted.take([("all", 3), ("trade", 1)])
        assert refused is not None and refused[0] == 1
    assert counted.take([("all", 3)]) is None
    assert counted.take([("all", 3)]) is None
    assert counted.take([("all", 3)]) is not None


def test_keys_that_fell_silent_are_swept_away() -> None:
    clock = Clock()
    counted = SlidingWindows(clock)
    for number in range(sliding_window._SWEEP_AT):
        counted.take([(f"silent-{number}", 5)])
    clock.now += 61
    counted.take([("new", 5)])
    assert set(counted._calls) == {"new"}
