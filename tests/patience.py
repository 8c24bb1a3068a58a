"""How long tests wait, by one setting: ``TEST_PATIENCE``, 1 unless the environment says otherwise.

Numbers in tests are for a computer with nothing else to do. A wait that ends early when all is well is given several
times that, because it costs nothing then; a time that really passes is kept short. On a slower or a busier computer
``TEST_PATIENCE=4 make test`` makes both four times as long.
"""

import contextlib
import os
from collections.abc import Iterator

_GENEROUS = 5
"""Eight programs on two cores take about that long for what one of them does alone."""
PATIENCE = float(os.environ.get("TEST_PATIENCE") or 1)
_UNHURRIED = 10
_pace = [1]


def at_most(seconds: float) -> float:
    """For what ends as soon as it happens: a process that starts, an answer, a thread that ends."""
    return seconds * _GENEROUS * PATIENCE


def lasting(seconds: float) -> float:
    """For a time that is really spent: a client's timeout that a test runs into, how long a fake holds an answer."""
    return seconds * PATIENCE * _pace[-1]


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """``lasting`` gives ten times as long: where a client's timeout is set that the test does not run into."""
    _pace.append(_UNHURRIED)
    try:
        yield
    finally:
        _pace.pop()
