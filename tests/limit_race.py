"""50 orders that together exceed a daily limit, confirmed at once from four processes: the limit holds exactly.

``python -m tests.limit_race --on sqlite``; a home and a database of its own, gone afterwards. Each order comes to
1,000 and the limit is 20,500, so 20 go and 30 are refused, whichever are first.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

from tests.patience import at_most
from tests.races import instance

ORDERS, PROCESSES = 50, 4
LIMIT, FIT = Decimal(20_500), 20


def confirm_share(app_key: str, share: list[str], start_at: float) -> list[str]:
    """In one of the processes: what became of each confirmation, all sent at one moment."""
    import django

    django.setup()
    from django.db import connection

    from console.authority import bearer
    from console.errors import Refusal
    from console.orders import actions as order_actions

    trader = bearer.authenticate(app_key)
    barrier = Barrier(len(share))

    def confirm(confirmation_id: str) -> str:
        try:
            barrier.wait(timeout=at_most(30))
            time.sleep(max(0.0, start_at - time.time()))
            return str(order_actions.confirm(trader, confirmation_id).status)
        except Refusal as refusal:
            return refusal.code.value
        finally:
            connection.close()

    with ThreadPoolExecutor(len(share)) as pool:
        return list(pool.map(confirm, share))


def run() -> Counter[str]:
    from console import limits
    from console.accounts.models import User
    from console.authority import bearer
    from console.connections import paper_linking as paper_connections
    from console.connections import services as connections
    from console.keys import minting
    from console.orders import prepare as preparing
    from console.orders.checks import daily_usage
    from console.orders.models import Order
    from console.scopes import Scope
    from tests.console.orders.conftest import bitcoin

    owner = User.objects.create_user("olivia@example.com", "correct horse battery")
    account = paper_connections.link_paper(owner, name="Practice", starting_cash=Decimal(1_000_000))
    connections.set_limits(account, limits.parse({"daily_notional": str(LIMIT)}), by=owner)
    _, key = minting.mint(owner, account, frozenset({Scope.TRADE}), name="script")
    trader = bearer.authenticate(key)
    waiting = [preparing.prepare(trader, bitcoin("1", limit="1000")).confirmation.public_id for _ in range(ORDERS)]

    start_at = str(time.time() + 8)
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.limit_race", "--work", key, "--at", start_at, *waiting[number::PROCESSES]],
            stdout=subprocess.PIPE,
            env=os.environ,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    became: Counter[str] = Counter()
    for worker in workers:
        told, _ = worker.communicate(timeout=at_most(90))
        assert worker.returncode == 0, told
        became.update(json.loads(told))
    used = sum((daily_usage.day_use(order, "USD") or 0 for order in Order.objects.filter(status="working")), Decimal(0))
    assert became == {"working": FIT, "limit_exceeded": ORDERS - FIT}, became
    assert used == FIT * 1000 <= LIMIT
    assert Order.objects.filter(status="denied", code="limit_exceeded").count() == ORDERS - FIT
    return became


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--on", choices=["sqlite", "postgresql"])
    asked.add_argument("--work")
    asked.add_argument("--at", type=float)
    asked.add_argument("confirmations", nargs="*")
    chosen = asked.parse_args()
    if chosen.work:
        sys.stdout.write(json.dumps(confirm_share(chosen.work, chosen.confirmations, chosen.at)))
        return
    with instance(chosen.on):
        began = time.monotonic()
        became = run()
    sys.stdout.write(
        f"{chosen.on}: {ORDERS} orders from {PROCESSES} processes in {time.monotonic() - began:.1f} s: "
        f"{became['working']} went, {became['limit_exceeded']} were refused; the limit holds exactly\n"
    )


if __name__ == "__main__":
    main()
