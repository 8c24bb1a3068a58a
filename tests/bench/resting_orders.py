"""Run by ``tests.bench.resting`` with the home and the modules of the revision that it measures.

python resting_orders.py grow COUNT       more orders like the one that rests, until there are so many
python resting_orders.py sweep MINUTES    after one sweep, the CPU seconds of each further one
python resting_orders.py list             the same, with paper asked for a list as other brokers are
"""

import dataclasses
import json
import os
import sys
import time
import uuid
from datetime import timedelta
from importlib import import_module
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from django.utils import timezone  # noqa: E402

from brokers import registry  # noqa: E402
from brokers.paper import tasks as paper_tasks  # noqa: E402
from brokers.paper.models import PaperOrder  # noqa: E402
from console.orders import tasks as order_tasks  # noqa: E402
from console.orders.models import Order  # noqa: E402

_AT_ONCE = 1000


def _copies(rows: list[Any], changed: Any) -> None:
    for row in rows:
        row.pk, row._state.adding = None, True
        changed(row)
    type(rows[0]).objects.bulk_create(rows, batch_size=_AT_ONCE)


def grow(count: int) -> None:
    """By rows, as they would be: to place ten thousand orders takes longer than to measure them."""
    first = Order.objects.filter(status="working").earliest("pk")
    paper = PaperOrder.objects.get(client_order_id=first.wire_id)
    missing = count - Order.objects.filter(status="working").count()
    names = [(uuid.uuid4().hex, f"P-{uuid.uuid4().hex[:20]}") for _ in range(missing)]
    taken = iter(names)

    def of_ours(row: Any) -> None:
        row.wire_id, row.broker_order_id = next(taken)
        row.public_id, row.client_order_id = f"ord_{row.wire_id[:26]}", row.wire_id

    def of_paper(row: Any) -> None:
        row.client_order_id, row.broker_order_id = next(taken)

    if missing > 0:
        _copies([Order.objects.get(pk=first.pk) for _ in names], of_ours)
        taken = iter(names)
        _copies([PaperOrder.objects.get(pk=paper.pk) for _ in names], of_paper)


def _cpu_of_sweeps(minutes: int) -> list[float]:
    """Each with a new bar of every instrument: a minute later by the clock of the broker and of the sweep."""
    real, ahead = timezone.now, timedelta(0)
    found = []
    timezone.now = lambda: real() + ahead
    for minute in range(minutes + 1):
        ahead = timedelta(minutes=minute)
        began = time.process_time()
        paper_tasks.match_resting()
        order_tasks.sweep()
        found.append(time.process_time() - began)
    timezone.now = real
    return found[1:]


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "grow":
        grow(int(rest[0]))
        return
    if what == "list":
        order_intake: Any = import_module("brokers.paper.order_intake")  # by this name since there is a list to ask for
        silent = dataclasses.replace(order_intake.CAPABILITIES, tells_changes=False)
        registry.TELLING, order_intake.CAPABILITIES = frozenset(), silent
    sys.stdout.write(json.dumps(_cpu_of_sweeps(int(rest[0]) if rest else 3)) + "\n")


if __name__ == "__main__":
    main()
