"""How many calls this process has answered, by tool and outcome, and how long they took: for ``/metrics``."""

from bisect import bisect_left

BOUNDS_US = (1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000)
"""Upper ends of the groups of durations, in microseconds."""
_MOST_NAMES = 500
_GROUPS = len(BOUNDS_US) + 1

counts: dict[tuple[str, str], list[int]] = {}
"""By tool and outcome: how many calls took up to each bound and longer than the last; then the sum of microseconds."""


def count(tool: str, outcome: str, duration_us: int) -> None:
    """A dict and no lock, since it is in the path of each call."""
    known = counts.get((tool, outcome))
    if known is None:
        # A name that a caller made up is no reason to keep another row for ever.
        key = (tool if len(counts) < _MOST_NAMES else "other", outcome)
        known = counts.setdefault(key, [0] * (_GROUPS + 1))
    known[bisect_left(BOUNDS_US, duration_us)] += 1
    known[_GROUPS] += duration_us
