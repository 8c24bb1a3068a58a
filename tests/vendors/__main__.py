"""Every vendor's client against our fake: a line for each call, and a table of how many were read alike.

Ends with an error where a call was not understood or read otherwise, but for the differences that are expected, and
where one that is expected is not there any more. Writes docs/build/vendors.md. ``CLIENT=alpaca make vendors`` for some.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import django

from tests.patience import at_most

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from brokers.errors import BrokerError  # noqa: E402 - after django.setup()
from tests.brokers.contract.cases import (  # noqa: E402
    BINANCE,
    COINBASE,
    KRAKEN,
    KRAKEN_FUTURES,
    OKX,
    CryptoCase,
)
from tests.vendors import opened, page  # noqa: E402
from tests.vendors.opened import Opening  # noqa: E402
from tests.vendors.ours import Ours  # noqa: E402

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".test-tools" / "vendors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    package: str
    """And its version."""
    broker: str
    module: str
    environment: str = ""
    """Of its own; empty for ours, where the package is one that an adapter stands on."""
    opening: Opening
    expected: Mapping[str, str]
    """Call → why it is read otherwise, or not understood."""


def _venue(case: CryptoCase, package: str, environment: str) -> Client:
    module = f"of_{case.name}"
    return Client(
        package=package,
        broker=case.name,
        module=module,
        environment=environment,
        opening=opened.crypto(case),
        expected={},
    )


def _ccxt(case: CryptoCase) -> Client:
    return Client(
        package=f"ccxt {version('ccxt')}",
        broker=case.name,
        module="of_ccxt",
        opening=opened.crypto(case),
        expected=CCXT.get(case.name, {}),
    )


_BY_GET = "ccxt asks for the status of an order by GET, the documents have POST"
CCXT: Mapping[str, Mapping[str, str]] = {
    "krakenfutures": {
        "get_by_our_id": "ccxt leaves out the price of an open order",
        **dict.fromkeys(("get_by_their_id", "get_sale", "get_market"), _BY_GET),
        "fills": "ccxt reads the list of fills, which has no fees; the adapter reads the executions",
    },
    "kraken": {
        "fills": "ccxt takes every fee for one in money; that of a sale is in coins, unless the order says otherwise",
    },
}
CLIENTS = (
    Client(
        package="alpaca-py 0.44.0",
        broker="alpaca",
        module="of_alpaca",
        environment="alpaca",
        opening=opened.alpaca,
        expected={},
    ),
    Client(
        package="ibind 0.2.2",
        broker="ibkr",
        module="of_ibkr",
        environment="ibind",
        opening=opened.ibkr,
        expected={},
    ),
    Client(
        package=f"ib_async {version('ib_async')}",
        broker="tws",
        module="of_tws",
        opening=opened.tws,
        expected={"get_market": "TWS lists no order that has ended: the adapter has its executions, and no terms"},
    ),
    _venue(OKX, "python-okx 0.4.4", "okx"),
    _venue(BINANCE, "binance-sdk-spot 13.3.0", "binance"),
    _venue(KRAKEN, "python-kraken-sdk 3.5.1", "kraken"),
    _venue(KRAKEN_FUTURES, "python-kraken-sdk 3.5.1", "kraken"),
    _venue(COINBASE, "coinbase-advanced-py 1.8.4", "coinbase"),
    *map(_ccxt, (OKX, BINANCE, KRAKEN, KRAKEN_FUTURES, COINBASE)),
)


def _probe(client: Client) -> list[tuple[str, str, str]]:
    """Call, verdict, and what there is to say of it."""
    with client.opening() as (given, ours):
        own = str(ENVIRONMENTS / client.environment / "bin" / "python")
        done = subprocess.run(
            [own if client.environment else sys.executable, "-m", f"tests.vendors.clients.{client.module}"],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=at_most(120),
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if not lines:
            return [("all", "error", done.stderr[-1000:])]
        reader = ours()
        return [(line["call"], *_verdict(line, reader)) for line in lines]


def _verdict(line: Mapping[str, Any], ours: Ours) -> tuple[str, str]:
    if "error" in line:
        return "not understood", line["error"]
    try:
        mine = ours.read(line["call"], line["read"])
    except BrokerError as error:
        return "otherwise", f"client {line['read']}, ours {type(error).__name__}: {error}"
    return ("alike", "") if mine == line["read"] else ("otherwise", f"client {line['read']}, ours {mine}")


def main() -> int:
    wanted = os.environ.get("CLIENT", "").split()
    chosen = [each for each in CLIENTS if not wanted or {each.broker, each.package.split()[0]} & set(wanted)]
    failed, rows = 0, list[page.Row]()
    for client in chosen:
        counts: Counter[str] = Counter()
        sys.stdout.write(f"\n{client.package} at {client.broker}\n")
        told = _probe(client)
        for call, found, words in told:
            reason = client.expected.get(call, "") if found != "alike" else ""
            verdict = "expected" if reason else found
            counts[verdict] += 1
            failed += verdict not in ("alike", "expected")
            sys.stdout.write(f"  {call:24} {verdict:15} {reason or words}\n")
        gone = set(client.expected) - {call for call, found, _ in told if found != "alike"}
        failed += len(gone)
        sys.stdout.writelines(f"  {call:24} no longer differs: take it out of the expected\n" for call in sorted(gone))
        rows.append(page.Row(client.package, client.broker, [call for call, *_ in told], counts, client.expected))
    sys.stdout.write("\n" + page.table(rows))
    if not wanted and not failed:
        page.write(rows)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
