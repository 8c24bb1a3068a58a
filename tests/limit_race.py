"""50 orders that together exceed a daily limit, confirmed at once from four processes: the limit holds exactly.

``python -m tests.limit_race --on sqlite``; a home and a database of its own, gone afterwards. Each order comes to
1,000 and the limit is 20,500, so 20 go and 30 are refused, whichever are first. ``--by rule``: the same of the day of a
standing rule; the 30 then wait for their owner.
"""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any

from tests.patience import at_most
from tests.races import instance, processes

ORDERS, PROCESSES = 50, 4
LEAD = 0.2
"""Seconds until the moment, once every process is there: enough for its threads to begin."""
LIMIT, FIT = Decimal(20_500), 20


def confirm_share(app_key: str, share: list[str], together: Any, told: Any) -> None:
    """In one of the processes: what became of each confirmation, all sent at one moment."""
    from django.db import connection

    from console.authority import bearer
    from console.errors import Refusal
    from console.orders import actions as order_actions

    trader = bearer.authenticate(app_key)
    barrier = Barrier(len(share))
    together.wait(timeout=at_most(60))
    moment = time.time() + LEAD

    def confirm(confirmation_id: str) -> str:
        try:
            barrier.wait(timeout=at_most(30))
            time.sleep(max(0.0, moment - time.time()))
            return str(order_actions.confirm(trader, confirmation_id).status)
        except Refusal as refusal:
            return refusal.code.value
        finally:
            connection.close()

    with ThreadPoolExecutor(len(share)) as pool:
        told.put(list(pool.map(confirm, share)))
    if connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's has one


def run(by: str) -> Counter[str]:
    from console import limits
    from console.accounts.models import User
    from console.authority import bearer
    from console.connections import paper_linking as paper_connections
    from console.connections import services as connections
    from console.connections.models import Policy
    from console.keys import minting
    from console.orders import prepare as preparing
    from console.orders.checks import daily_usage
    from console.orders.models import Order, RuleRelease
    from console.scopes import Scope
    from tests.console.orders import rule_steps
    from tests.console.orders.conftest import bitcoin

    owner = User.objects.create_user("olivia@example.com", "correct horse battery")
    account = paper_connections.link_paper(owner, name="Practice", starting_cash=Decimal(1_000_000))
    if by == "rule":
        connections.set_policy(account, Policy.OWNER_APPROVAL, by=owner)
        connections.set_approval_wait(account, 3600, by=owner, may_lengthen=True)
        rule_steps.make(account, owner, day_value=LIMIT, orders_a_day=ORDERS)
    else:
        connections.set_limits(account, limits.parse({"daily_notional": str(LIMIT)}), by=owner)
    _, key = minting.mint(owner, account, frozenset({Scope.TRADE}), name="script")
    trader = bearer.authenticate(key)
    waiting = [preparing.prepare(trader, bitcoin("1", limit="1000")).confirmation.public_id for _ in range(ORDERS)]

    apart = processes()
    told, together = apart.Queue(), apart.Barrier(PROCESSES)
    shares = [waiting[number::PROCESSES] for number in range(PROCESSES)]
    workers = [apart.Process(target=confirm_share, args=(key, share, together, told)) for share in shares]
    for worker in workers:
        worker.start()
    became = Counter(each for _ in workers for each in told.get(timeout=at_most(90)))
    for worker in workers:
        worker.join(timeout=at_most(30))
    used = sum((daily_usage.day_use(order, "USD") or 0 for order in Order.objects.filter(status="working")), Decimal(0))
    refused = "approval_required" if by == "rule" else "limit_exceeded"
    assert became == {"working": FIT, refused: ORDERS - FIT}, became
    assert used == FIT * 1000 <= LIMIT
    if by == "rule":
        assert sum(RuleRelease.objects.values_list("value", flat=True), Decimal(0)) == FIT * 1000
        assert Order.objects.filter(status="awaiting_confirmation", confirmation__rule=None).count() == ORDERS - FIT
    else:
        assert Order.objects.filter(status="denied", code="limit_exceeded").count() == ORDERS - FIT
    return became


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--on", choices=["sqlite", "postgresql"], required=True)
    asked.add_argument("--by", choices=["limit", "rule"], default="limit")
    chosen = asked.parse_args()
    with instance(chosen.on):
        began = time.monotonic()
        became = run(chosen.by)
    sys.stdout.write(
        f"{chosen.on}: {ORDERS} orders from {PROCESSES} processes in {time.monotonic() - began:.1f} s: "
        f"{became['working']} went, {ORDERS - became['working']} did not; the {chosen.by} holds exactly\n"
    )


if __name__ == "__main__":
    main()
