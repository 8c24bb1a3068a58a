"""Which indicators are judged, on which bars. Read by the judge and by the suite, so it imports neither of them."""

import csv
import hashlib
from pathlib import Path

BARS = 620
"""Of the shipped recording, from its first on."""
LENGTHS = range(2, 201)
AFTER = (0, 50, 400)
"""Bars after the first value that are compared."""
RECORDING = Path(__file__).resolve().parents[2] / "brokers" / "paper" / "data" / "btcusd_minute.csv"


def rows() -> list[dict[str, str]]:
    with RECORDING.open(newline="", encoding="ascii") as file:
        return list(csv.DictReader(file))[:BARS]


def digest() -> str:
    return hashlib.sha256(repr(rows()).encode()).hexdigest()


def cases() -> list[str]:
    """As ``console.indicators.parse`` takes them. MACD's slow length is twice its fast one, its signal's half of it."""
    found = [f"{kind}({length})" for kind in ("SMA", "EMA", "RSI", "ATR", "VWAP") for length in LENGTHS]
    found += [f"BBANDS({length},2)" for length in LENGTHS]
    found += [f"MACD({length},{2 * length},{max(2, length // 2)})" for length in LENGTHS if 2 * length <= 200]
    return [*found, "VWAP"]
