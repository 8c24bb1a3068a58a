"""100 calls of ``confirm_trade`` at once for one confirmation, from four processes: one order.

``python -m tests.chaos.confirmations --on postgresql``; a home, a database and a broker of its own. The calls pass
the gate that every call of a model passes. Ends with an AssertionError unless one of them released the order, the
broker got it once, and all the others were told which order it was.
"""

import argparse
import json
import multiprocessing
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING, Any

from tests.races import instance

if TYPE_CHECKING:
    from tests.chaos.trials import Chaos

PROCESSES, THREADS = 4, 25


def confirming(key: str, confirmation: str, start: Barrier, told: Any) -> None:
    """One of the processes: its threads wait for everybody, then ask at the same time."""
    import django

    django.setup()

    from django.db import connection

    from console.authority import bearer
    from mcpserver import gate

    principal = bearer.authenticate(key)
    connection.close()

    def ask(number: int) -> tuple[str, str]:
        start.wait(timeout=60)
        request_id = f"req_{os.getpid()}_{number}"
        answer = gate.call(principal, "confirm_trade", {"confirmation_id": confirmation}, request_id=request_id).content
        error = answer.get("error")
        return (error["code"], error.get("order_id", "")) if error else ("", answer["order"]["order_id"])

    with ThreadPoolExecutor(THREADS) as pool:
        told.put(list(pool.map(ask, range(THREADS))))
    if connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's has one


def one_round(chaos: "Chaos") -> None:
    from brokers.types import Side, TimeInForce
    from console.orders import desk
    from console.orders.models import Order
    from console.orders.terms import Terms

    prepared = desk.prepare(
        chaos.who, Terms(symbol="BTC/USD", side=Side.BUY, quantity=Decimal("0.001"), tif=TimeInForce.GTC)
    )
    before = len(chaos.control("state")["sent"])
    apart = multiprocessing.get_context("spawn")
    start, told = apart.Barrier(PROCESSES * THREADS), apart.Queue()
    children = [
        apart.Process(target=confirming, args=(chaos.key, prepared.confirmation.public_id, start, told))
        for _ in range(PROCESSES)
    ]
    for child in children:
        child.start()
    answers = [answer for _ in children for answer in told.get(timeout=90)]
    for child in children:
        child.join(timeout=30)
    order = Order.objects.get(pk=prepared.order.pk)
    sent = [body["client_order_id"] for body in chaos.control("state")["sent"][before:]]
    assert sent == [order.wire_id], sent
    # Past the calls that one connection may have under way, a confirmation is refused before it is looked at.
    codes = [code for code, _ in answers]
    assert codes.count("") == 1 and set(codes) <= {"", "confirmation_used", "broker_unavailable"}, answers
    assert len(answers) == PROCESSES * THREADS
    assert {which for _, which in answers} == {order.public_id}, answers
    assert order.events.filter(after="sending").count() == 1


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m tests.chaos.confirmations", description=__doc__)
    asked.add_argument("--on", choices=["sqlite", "postgresql"], required=True)
    asked.add_argument("--rounds", type=int, default=1)
    chosen = asked.parse_args()
    # A person may make 30 such calls a minute; this is not about that.
    os.environ["TRADELATCH_CALLS_PER_MINUTE"] = os.environ["TRADELATCH_TRADE_CALLS_PER_MINUTE"] = "100000"
    # PostgreSQL takes 100 connections, and all of these calls are at once.
    os.environ["TRADELATCH_DATABASE_POOL"] = "22"
    with instance(chosen.on):
        from tests.chaos.trials import Chaos, broker_apart

        with broker_apart() as url:
            chaos = Chaos(1, url)
            chaos.connection.settings.pop("timeouts")
            chaos.connection.save()
            for _ in range(chosen.rounds):
                one_round(chaos)
    result = {"calls": PROCESSES * THREADS, "rounds": chosen.rounds}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
