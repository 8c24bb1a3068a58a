"""Kill a process that runs the desk at random moments between confirmation and answer, and look at what is left.

Run by test_kill_desk.py in a home of its own: ``python -m tests.end_to_end.kill_desk ROUNDS SEED``. Prints one JSON
object that says where the kills fell and what became of every order.
"""

import collections
import functools
import json
import os
import random
import signal
import sys
import time
from datetime import datetime, timedelta
from decimal import Decimal

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from brokers.paper.models import Holding, PaperOrder  # noqa: E402
from brokers.types import OrderType, Side, TimeInForce  # noqa: E402
from console.accounts.models import User  # noqa: E402
from console.authority import bearer  # noqa: E402
from console.connections import paper_linking as paper_connections  # noqa: E402
from console.keys import minting  # noqa: E402
from console.orders import actions as order_actions  # noqa: E402
from console.orders import prepare as preparing  # noqa: E402
from console.orders.execution import reconcile  # noqa: E402
from console.orders.models import Order  # noqa: E402
from console.orders.terms import Terms  # noqa: E402
from console.principal import Principal  # noqa: E402
from console.scopes import Scope  # noqa: E402
from tests import prepared  # noqa: E402

_REAL_NOW = timezone.now


def _later(by: timedelta) -> datetime:
    return _REAL_NOW() + by


def trader() -> Principal:
    prepared.migrate()
    owner = User.objects.create_user("olivia@example.com", "correct horse battery")
    paper = paper_connections.link_paper(owner, name="Practice", starting_cash=Decimal(10_000_000))
    _, raw = minting.mint(owner, paper, frozenset({Scope.TRADE}), name="killed")
    return bearer.authenticate(raw)


def one_round(who: Principal, number: int, patience: float) -> str:
    """Prepare here, confirm in a child, kill it after ``patience`` seconds. The status it left, or "answered"."""
    resting = number % 4 == 0
    terms = Terms(
        symbol="BTC/USD",
        side=Side.BUY,
        quantity=Decimal("0.001"),
        order_type=OrderType.LIMIT if resting else OrderType.MARKET,
        limit_price=Decimal(100) if resting else None,
        tif=TimeInForce.GTC,
    )
    prepared = preparing.prepare(who, terms)
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            order_actions.confirm(who, prepared.confirmation.public_id)
        finally:
            os._exit(0)
    deadline = time.perf_counter() + patience
    while time.perf_counter() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return "answered"
        time.sleep(0.0005)  # a hundredth of a child's life: without it the wait would take a core from the child
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return str(Order.objects.get(pk=prepared.order.pk).status)


def how_long(who: Principal) -> float:
    """How long an unharmed child takes, so that the kills fall over all of its life."""
    started = time.perf_counter()
    if one_round(who, 1, patience=30) != "answered":
        raise SystemExit("An unharmed confirmation took more than 30 s.")
    return time.perf_counter() - started


def main() -> None:
    rounds, seed = int(sys.argv[1]), int(sys.argv[2])
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    who = trader()
    typical = min(how_long(who) for _ in range(3))
    left: collections.Counter[str] = collections.Counter()
    for number in range(rounds):
        started = time.perf_counter()
        became = one_round(who, number, patience=dice.uniform(0.2, 1.1) * typical)
        if became == "answered":
            # Follow the machine's mood, so that the kills keep falling over the whole of a child's life.
            typical += 0.3 * (time.perf_counter() - started - typical)
        else:
            typical *= 1.01
        left[became] += 1

    # What a restart does, later: first while the person's yes is fresh, then after everything has run out.
    for later in (timedelta(seconds=60), timedelta(seconds=200)):
        timezone.now = functools.partial(_later, later)
        for _ in range(rounds // 100 + 2):
            reconcile.sweep()

    orders = list(Order.objects.all())
    at_broker = collections.Counter(PaperOrder.objects.values_list("client_order_id", flat=True))
    bought = sum((o.filled_quantity for o in orders if o.symbol == "BTC/USD"), Decimal(0))
    held = Holding.objects.get(symbol="BTC/USD").quantity
    print(  # noqa: T201 - the result
        json.dumps(
            {
                "left_by_kill": left,
                "ended_as": collections.Counter(o.status for o in orders),
                "orders": len(orders),
                "sent_twice": sum(count > 1 for count in at_broker.values()),
                "lost": [
                    o.public_id for o in orders if (o.wire_id in at_broker) != (o.status in ("filled", "working"))
                ],
                "unknown_to_the_desk": len(set(at_broker) - {o.wire_id for o in orders}),
                "bought_minus_held": str(bought - held),
            }
        )
    )


if __name__ == "__main__":
    main()
