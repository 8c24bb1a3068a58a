"""Ticks a second that the paper exchange matches, and how that grows with the orders resting and the orders touched.

    python -m tests.bench.paper [--minutes 5]

A tick is one new minute bar of one instrument, shown to every order resting in it. 1,008 instruments: 24 simulated
stocks in 42 markets, with 420 accounts. Most orders rest far from the market; so many as the table says rest near
enough to be touched. SQLite in a file, one process, fills and their ledger committed account by account.
"""

import argparse
import os
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import django
from django.core.management import call_command
from django.db import connection

SEEDS, ACCOUNTS_PER_SEED = 42, 10
START = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
CASES = ((1_000, 0), (10_000, 0), (100_000, 0), (1_000, 500), (100_000, 500), (100_000, 1_000), (100_000, 2_000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=int, default=5, help="new bars of each instrument")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as home:
        os.environ["TRADELATCH_HOME"] = home
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
        django.setup()
        call_command("migrate", verbosity=0)
        print("  resting   touched   ticks   seconds   ticks/s   CPU ms per order touched")  # noqa: T201
        idle = 0.0
        for resting, near in CASES:
            ticks, ended, seconds, used = measure(resting, near, minutes)
            if not near:
                idle = used
            each = f"{1000 * max(0.0, used - idle) / ended:.1f}" if ended else "-"
            print(f"{resting:>9,} {ended:>9,} {ticks:>7,} {seconds:>9.2f} {ticks / seconds:>9,.0f} {each:>26}")  # noqa: T201
        connection.close()


def measure(resting: int, near: int, minutes: int) -> tuple[int, int, float, float]:
    """(ticks, orders that ended, seconds, seconds of CPU) of matching ``minutes`` new bars of every instrument."""
    # Imported here, because Django must have been set up.
    from brokers.paper import accounts as paper_accounts
    from brokers.paper import prices, simulated_market
    from brokers.paper.listings import market_for
    from brokers.paper.models import MatchedTape, PaperAccount, PaperOrder

    PaperAccount.objects.all().delete()
    MatchedTape.objects.all().delete()
    accounts = {
        seed: [
            paper_accounts.open_account(f"{seed}.{place}", Decimal(10) ** 9, seed=seed, now=START)
            for place in range(ACCOUNTS_PER_SEED)
        ]
        for seed in range(1, SEEDS + 1)
    }
    symbols = [entry.symbol for entry in simulated_market.listing(1, "always")]
    tapes = [(seed, market_for(seed, "always").tape(symbol)) for seed in accounts for symbol in symbols]
    for seed, tape in tapes:
        paper_accounts.watch(accounts[seed][0], tape, START)
    draw = random.Random(7)  # noqa: S311 - a repeatable load, not a secret
    rows = []
    for place in range(resting):
        seed, tape = tapes[place % len(tapes)]
        last = prices.quote(tape, START).last
        # A limit above the market is touched by the next bar; prices near zero are never reached.
        factor = Decimal("1.05") if place < near else Decimal(draw.randint(100, 500)) / 1000
        rows.append(_order(draw.choice(accounts[seed]), tape, (last * factor).quantize(Decimal("0.01")), place))
    PaperOrder.objects.bulk_create(rows, batch_size=2000)
    for _, tape in tapes:
        tape.aggregate(0, 1)
    ended = 0
    began, used = time.perf_counter(), time.process_time()
    for minute in range(1, minutes + 1):
        ended += paper_accounts.match_resting(START + timedelta(minutes=minute))
    return len(tapes) * minutes, ended, time.perf_counter() - began, time.process_time() - used


def _order(account: Any, tape: Any, limit: Decimal, place: int) -> Any:
    from brokers.paper.engine import set_bounds
    from brokers.paper.models import PaperOrder

    order = PaperOrder(
        account=account,
        client_order_id=f"{place:032x}",
        broker_order_id=f"B-{place}",
        symbol=tape.instrument.symbol,
        currency="USD",
        side="BUY",
        order_type="LMT",
        tif="GTC",
        quantity=Decimal(1),
        limit_price=limit,
        status="working",
        filled_quantity=Decimal(0),
        fees=Decimal(0),
        reserved_cash=limit + 1,
        reserved_quantity=Decimal(0),
        created=START,
        updated=START,
        matched_until=START,
        tape=tape.key,
    )
    set_bounds(order, tape)
    return order


if __name__ == "__main__":
    main()
