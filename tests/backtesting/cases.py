"""Which strategies are run in both engines, on which bars. Read by the recorder and by the suite."""

import random
from typing import Any

from tests.indicators.cases import RECORDING as RECORDING
from tests.indicators.cases import digest as digest
from tests.indicators.cases import rows as rows

COUNT = 60


def drawn() -> list[dict[str, Any]]:
    """Rules whose every order is at market, and so fills at the next open in both."""
    draw, found = random.Random(20261130), []  # noqa: S311 - repeatable, no secret
    for _ in range(COUNT):
        fast, slow = sorted(draw.sample(range(2, 20), 2))
        length = draw.randint(3, 15)
        entry, leave = draw.choice(
            [
                (f"SMA({fast}) crosses_above SMA({slow})", f"SMA({fast}) crosses_below SMA({slow})"),
                (f"SMA({fast}) above SMA({slow})", f"close below SMA({slow})"),
                (f"CHANGE({length}) above 0.1", f"CHANGE({length}) below -0.1"),
                (f"close at_least HIGHEST({length})", f"close at_most LOWEST({fast})"),
                (f"close below SMA({slow})", f"close crosses_above SMA({fast})"),
            ]
        )
        rules: dict[str, Any] = {
            "name": "Drawn",
            "universe": ["BTC/USD"],
            "timeframe": "1m",
            "entry": compared(entry),
            "exit": compared(leave),
            "size": {"quantity": 1},
        }
        if draw.random() < 0.3:
            rules["hold"] = draw.randint(2, 12)
        found.append(rules)
    return found


def compared(text: str) -> dict[str, str]:
    left, relation, right = text.split()
    return {"left": left, "is": relation, "right": right}
