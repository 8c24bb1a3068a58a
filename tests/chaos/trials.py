"""Orders through the desk to a broker that breaks, from a process that is killed; then what is left is counted.

``python -m tests.chaos.trials TRIALS SEED`` in a home of its own. The broker is the fake Alpaca in a process of its
own, which no kill touches: what it received and what it did is the truth here. Prints one JSON object.
"""

import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - after django.setup()
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from brokers import registry  # noqa: E402
from brokers.types import OrderType, Side, TimeInForce  # noqa: E402
from console.accounts.models import User  # noqa: E402
from console.authority import bearer  # noqa: E402
from console.connections.models import Connection  # noqa: E402
from console.errors import Code, Refusal  # noqa: E402
from console.keys import minting  # noqa: E402
from console.orders import desk, sweeps  # noqa: E402
from console.orders.models import Order  # noqa: E402
from console.orders.states import AT_BROKER, IN_FLIGHT, Status  # noqa: E402
from console.orders.terms import Terms  # noqa: E402
from console.principal import Principal  # noqa: E402
from console.scopes import Scope  # noqa: E402
from tests.brokers.alpaca.fake import ACCOUNT, KEY_ID, SECRET  # noqa: E402
from tests.brokers.faults import SENDING, Fault, as_control  # noqa: E402

BATCH = 20
_NONE = Fault(kind="none", effect=True)
_READS = tuple(
    Fault(kind=kind, effect=False, method="GET", path="/v2/orders:by")
    for kind in ("hang", "cut", "half", "reset", "500", "429", "404", "garbage", "empty", "null", "other")
)
_CANCELS = tuple(
    Fault(kind=kind, effect=effect, method="DELETE")
    for kind in ("hang", "cut", "reset", "500", "null")
    for effect in (False, True)
)
_TIMEOUTS = {"connect": 0.5, "read": 0.15, "total": 0.4}
_LATE = 0.3
"""Seconds after which the fake does what was long given up: see FakeAlpaca in ``broker``."""

_REAL_NOW = timezone.now
_BROKER = (
    "from tests.brokers.alpaca.fake import FakeAlpaca; from tests.brokers.faults import run_alone; "
    f"FakeAlpaca.patience = {_LATE}; run_alone(FakeAlpaca)"
)


class Chaos:
    def __init__(self, seed: int, url: str) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - a test's dice
        self.url = url
        self.offset = timedelta()
        self.faults: dict[str, str] = {}
        """Order → the fault its send met."""
        self.left: Counter[str] = Counter()
        self.kills = 0
        self.typical = 0.05
        call_command("migrate", verbosity=0)
        registry.CALLS_PER_MINUTE["alpaca"] = 10**9  # the fake has no such limit
        owner = User.objects.create_user("olivia@example.com", "correct horse battery")
        connection = Connection.objects.create(
            owner=owner,
            name="Alpaca",
            broker="alpaca",
            environment="paper",
            trading_enabled=True,
            default_account=ACCOUNT,
            currency="USD",
            settings={
                "environment": "paper",
                "key_id": KEY_ID,
                "secret": SECRET,
                "account": ACCOUNT,
                "trading_url": url,
                "data_url": url,
                "timeouts": _TIMEOUTS,
            },
        )
        self.connection = connection
        _, self.key = minting.mint(owner, connection, frozenset({Scope.TRADE}), name="killed")
        self.who: Principal = bearer.authenticate(self.key)
        timezone.now = self._now

    def _now(self) -> datetime:
        return _REAL_NOW() + self.offset

    def control(self, what: str, told: Any = None) -> Any:
        request = urllib.request.Request(f"{self.url}/-/{what}", json.dumps(told).encode(), method="POST")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def set(self, *faults: Fault) -> None:
        self.control("faults", as_control(*(fault for fault in faults if fault is not _NONE)))

    # -- one order ------------------------------------------------------------------------------------------------

    def trial(self, number: int) -> None:
        resting = self.dice.random() < 0.4
        terms = Terms(
            symbol="BTC/USD",
            side=Side.BUY,
            # Of a size no other trial has: an order sent again under another id would show.
            quantity=Decimal(number + 1).scaleb(-6),
            order_type=OrderType.LIMIT if resting else OrderType.MARKET,
            limit_price=Decimal(100) if resting else None,
            tif=TimeInForce.GTC,
        )
        prepared = persistent(lambda: desk.prepare(self.who, terms))
        fault = self.dice.choice((_NONE, _NONE, _NONE, _NONE, *SENDING))
        self.set(fault)
        self.faults[prepared.order.public_id] = fault.kind + (
            "" if fault is _NONE else " after" if fault.effect else ""
        )
        confirm = functools.partial(desk.confirm, self.who, prepared.confirmation.public_id)
        children = [fork(confirm) for _ in range(2 if self.dice.random() < 0.15 else 1)]
        patience = None
        if (roll := self.dice.random()) < 0.5:
            patience = self.dice.uniform(0.3, 1.2) * self.typical
        elif roll < 0.65:
            patience = self.typical + self.dice.uniform(0, 1.2) * _TIMEOUTS["read"]
        started = time.perf_counter()
        killed = sum(reap(child, patience) for child in children)
        if fault is _NONE and not killed and len(children) == 1:
            self.typical += 0.3 * (time.perf_counter() - started - self.typical)
        if killed:
            self.kills += killed
            self.left[Order.objects.get(pk=prepared.order.pk).status] += 1
        self.set()

    # -- what a restart and the beat do ------------------------------------------------------------------------------

    def settle(self) -> None:
        """Sweeps, some of them at once and some of them killed, until nothing is on its way."""
        self.offset += timedelta(seconds=31)
        self.set(*self.dice.sample(SENDING, 3), *self.dice.sample(_READS, 3))
        children = [fork(sweeps.sweep) for _ in range(2)]
        self.kills += reap(children[0], self.dice.uniform(0, 0.3))
        reap(children[1], None)
        self.set()
        time.sleep(_LATE)
        sweeps.sweep()
        for _ in range(4):
            self.offset += timedelta(seconds=125)
            sweeps.sweep()
            if not Order.objects.filter(status__in=[Status.AWAITING, *IN_FLIGHT]).exists():
                break
        self.end_resting()

    def end_resting(self) -> None:
        """Half of what rests is taken back, from a broker that breaks; the price meets the rest."""
        for order in Order.objects.filter(status__in=AT_BROKER).order_by("pk"):
            if self.dice.random() < 0.5:
                self.set(self.dice.choice((_NONE, *_CANCELS)))
                try:
                    desk.cancel(self.who, order.public_id)
                except Refusal as refusal:
                    assert refusal.code in (Code.OUTCOME_UNKNOWN, Code.NOT_CANCELLABLE), refusal
                self.set()
        sweeps.sweep()
        self.control("price", {"symbol": "BTC/USD", "price": "90"})
        self.control("price", {"symbol": "BTC/USD", "price": "30000"})
        sweeps.sweep()

    # -- the account of it -------------------------------------------------------------------------------------------

    def account(self) -> dict[str, Any]:
        state = self.control("state")
        orders = {order.wire_id: order for order in Order.objects.prefetch_related("events")}
        there = {told["client_order_id"]: told for told in state["orders"]}
        sent = [body["client_order_id"] for body in state["sent"]]
        sizes = [body["qty"] for body in state["sent"]]
        ended = {"filled": Status.FILLED, "new": Status.WORKING, "canceled": Status.CANCELLED}
        wrong = [
            f"{orders[name].public_id}: {told['status']} there, {orders[name].status} here"
            for name, told in there.items()
            if name in orders
            and (
                orders[name].status != ended[told["status"]]
                or orders[name].filled_quantity != Decimal(told["filled_qty"])
                or sum((Decimal(f["quantity"]) for f in desk.fills(orders[name])), Decimal(0))
                != Decimal(told["filled_qty"])
            )
        ]
        phantoms = [
            order.public_id
            for name, order in orders.items()
            if name not in there and (order.filled_quantity or order.status in (Status.FILLED, *AT_BROKER))
        ]
        bought = sum((order.filled_quantity for order in orders.values()), Decimal(0))
        table: dict[str, Counter[str]] = {}
        for order in orders.values():
            table.setdefault(self.faults[order.public_id], Counter())[order.status] += 1
        return {
            "trials": len(orders),
            "kills": self.kills,
            "left_by_kill": self.left,
            "table": table,
            "posts": len(sent),
            "accepted": len(there),
            "sent_twice": len(sent) - len(set(sent)) + len(sizes) - len(set(sizes)),
            "unknown_here": sorted(set(there) - set(orders)),
            "lost": wrong,
            "phantoms": phantoms,
            "stuck": [o.public_id for o in orders.values() if o.status in (Status.AWAITING, *IN_FLIGHT)],
            "for_a_person": sum(order.status == Status.NOT_FOUND for order in orders.values()),
            "bought_minus_held": str(bought - Decimal(state["held"].get("BTC/USD", "0"))),
            "against_the_documents": state["violations"],
        }


def persistent(act: Callable[[], Any]) -> Any:
    """On a busy machine even a whole answer may come too late; a read may be asked again."""
    for _ in range(20):
        try:
            return act()
        except Refusal as refusal:
            if refusal.code is not Code.BROKER_UNAVAILABLE:
                raise
    return act()


def fork(act: Callable[[], Any]) -> int:
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            # What the desk refuses or logs is not what this counts.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            act()
        finally:
            os._exit(0)
    return child


def reap(child: int, patience: float | None) -> int:
    """Wait for its end, or kill it after ``patience`` seconds. 1 when it was killed."""
    deadline = time.monotonic() + (20 if patience is None else patience)
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return 0
        time.sleep(0.001)
    if patience is None:
        raise SystemExit("A child did not end within 20 s.")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


@contextlib.contextmanager
def broker_apart() -> Iterator[str]:
    """The fake in a process of its own; its address."""
    with subprocess.Popen(
        [sys.executable, "-c", _BROKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def main() -> None:
    trials, seed = int(sys.argv[1]), int(sys.argv[2])
    with broker_apart() as url:
        chaos = Chaos(seed, url)
        for number in range(trials):
            chaos.trial(number)
            if number % BATCH == BATCH - 1 or number == trials - 1:
                chaos.settle()
        chaos.settle()
        result = chaos.account()
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
