"""Ten of the random strategies of ``python -m tests.strategy_parity``: a backtest fills as a paper account does."""

import random

import pytest

from tests import strategy_parity

pytestmark = pytest.mark.django_db


def test_a_backtest_fills_as_a_paper_account_does_to_the_cent() -> None:
    draw, steps = random.Random(20261201), strategy_parity.recorded(45)  # noqa: S311 - repeatable, no secret
    first = strategy_parity.import_replay(steps)
    fills = 0
    for _ in range(10):
        case = strategy_parity.drawn(draw)
        wrong, made = strategy_parity.compare(case, steps, first)
        assert wrong == [], case
        fills += made
    assert fills > 40
