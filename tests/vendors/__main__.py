"""Every vendor's client against our fake: a line for each call, and a table of how many were read alike.

Ends with an error where a call was not understood or read otherwise, but for the differences that are expected.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

from tests.patience import at_most

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from tests.brokers.contract.cases import (  # noqa: E402 - after django.setup()
    BINANCE,
    COINBASE,
    KRAKEN,
    KRAKEN_FUTURES,
    OKX,
    CryptoCase,
)
from tests.vendors.ours import Ours  # noqa: E402

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".test-tools" / "vendors"
_ORDERS = (
    "rests",
    "market",
    "stop",
    "ioc",
    "moved",
    "before_moved",
    "ended",
    "ended_by_our_id",
    "too_big",
    "never",
    "pair",
    "pair_stop",
    "entry",
    "target",
    "exit_stop",
)
IDS = {name: f"{place:032x}".replace("0", "a", 8) for place, name in enumerate(_ORDERS, 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    package: str
    """And its version."""
    environment: str
    case: CryptoCase
    expected: Mapping[str, str]
    """Call → why it is read otherwise, or not understood."""

    @property
    def module(self) -> str:
        return f"tests.vendors.clients.of_{self.case.name}"


CLIENTS = (
    Client(package="python-okx 0.4.4", environment="okx", case=OKX, expected={}),
    Client(package="binance-sdk-spot 13.3.0", environment="binance", case=BINANCE, expected={}),
    Client(package="python-kraken-sdk 3.5.1", environment="kraken", case=KRAKEN, expected={}),
    Client(package="python-kraken-sdk 3.5.1, futures", environment="kraken", case=KRAKEN_FUTURES, expected={}),
    Client(package="coinbase-advanced-py 1.8.4", environment="coinbase", case=COINBASE, expected={}),
)


def _probe(client: Client) -> list[tuple[str, str, str]]:
    """Call, verdict, and what there is to say of it."""
    settings = client.case.venue.settings
    with client.case.venue.fake() as fake:
        given = {
            "url": fake.url,
            "key": settings["api_key"],
            "secret": settings["secret"],
            "passphrase": settings.get("passphrase", ""),
            "ids": IDS,
        }
        python = ENVIRONMENTS / client.environment / "bin" / "python"
        done = subprocess.run(
            [str(python), "-m", client.module],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=at_most(120),
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if not lines:
            return [("all", "error", done.stderr[-400:])]
        # Its nonces count smaller parts of a second than ours: one key for both would lock the adapter out.
        vars(fake).update(nonce=0)
        broker = client.case.venue.adapter.open({**settings, "base_url": fake.url, "timeout": 5, "per_second": 1000})
        ours = Ours(broker, client.case.venue.symbol, IDS)
        return [(line["call"], *_verdict(line, ours)) for line in lines]


def _verdict(line: Mapping[str, Any], ours: Ours) -> tuple[str, str]:
    if "error" in line:
        return "not understood", line["error"]
    mine = ours.read(line["call"], line["read"])
    return ("alike", "") if mine == line["read"] else ("otherwise", f"client {line['read']}, ours {mine}")


def main() -> int:
    failed, totals = 0, list[tuple[str, Counter[str]]]()
    for client in CLIENTS:
        counts: Counter[str] = Counter()
        sys.stdout.write(f"\n{client.package} at {client.case.name}\n")
        for call, found, words in _probe(client):
            reason = client.expected.get(call, "") if found != "alike" else ""
            verdict = "expected" if reason else found
            counts[verdict] += 1
            failed += verdict not in ("alike", "expected")
            sys.stdout.write(f"  {call:24} {verdict:15} {reason or words}\n")
        totals.append((client.package, counts))
    names = ("alike", "expected", "otherwise", "not understood", "error")
    sys.stdout.write(f"\n{'client':34}{'calls':>7}" + "".join(f"{name:>16}" for name in names) + "\n")
    for package, counts in totals:
        sys.stdout.write(f"{package:34}{counts.total():>7}" + "".join(f"{counts[name]:>16}" for name in names) + "\n")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
