"""Many who ask for the same thing at once, from four processes: it goes once.

``python -m tests.chaos.at_once --on postgresql``; a home, a database and a broker of its own. The calls pass the gate
that every call of a model passes; what the broker received is counted there.

100 confirmations of one order, 50 of one change, one batch, one close, one flatten; a change beside a cancel, two
changes of one order, an owner's release beside the sweep that ends what nobody confirmed. Ends with an AssertionError
at the first that went twice, or was told to have gone when it had not.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.patience import at_most
from tests.races import instance, processes

if TYPE_CHECKING:
    from console.orders.models import Confirmation, Modification, Order
    from console.principal import Principal
    from tests.chaos.trials import Chaos

PROCESSES, THREADS = 4, 25
LEAD = 0.4
"""Seconds until the moment: enough for every process to have read what it is to do."""
PAIRS = 8
"""Races of two that are run at the same moment."""
# Past the calls that one connection may have under way, a call is refused before it is looked at.
REFUSED = {"confirmation_used", "broker_unavailable"}


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to do at the moment; ``about`` is a confirmation or an order, by its public id."""

    what: str
    """confirm, cancel, approve or lapse."""
    about: str
    after: float = 0.0
    """Seconds after the moment."""


@dataclass(frozen=True, slots=True)
class Answer:
    code: str
    """Empty when it went."""
    order_id: str = ""


def act(who: "Principal", ask: Ask, number: int) -> Answer:
    from console.errors import Refusal
    from console.halts.services import Proof
    from console.orders.execution import reconcile
    from console.orders.models import Confirmation
    from console.orders.owner import approvals
    from mcpserver import pipeline

    if ask.what == "lapse":
        reconcile.sweep()
        return Answer("")
    if ask.what == "approve":
        held = Confirmation.objects.select_related("app__connection__owner").get(public_id=ask.about)
        evidence = approvals.Evidence(proof=Proof.PASSWORD, label="password")
        try:
            approvals.approve(held, by=held.app.connection.owner, evidence=evidence, seen=held.terms_digest)
        except Refusal as refusal:
            return Answer(refusal.code.value)
        return Answer("")
    tool, argument = ("confirm_trade", "confirmation_id") if ask.what == "confirm" else ("cancel_order", "order_id")
    request_id = f"req_{os.getpid()}_{number}_{ask.about[-8:]}"
    told = pipeline.call(who, tool, {argument: ask.about}, request_id=request_id).content
    error = told.get("error")
    return Answer(error["code"], error.get("order_id", "")) if error else Answer("", told["order"]["order_id"])


def working(key: str, jobs: Any, told: Any) -> None:
    """One of the processes: each of its threads waits for the moment, then asks. None ends it."""
    from django.db import connection
    from django.utils import timezone

    from brokers import registry
    from console.authority import bearer

    registry.CALLS_PER_MINUTE["alpaca"] = 10**9  # the fake has no such limit

    real_now, offset = timezone.now, timedelta()
    timezone.now = lambda: real_now() + offset

    def ask(number: int, each: Ask, moment: float) -> tuple[Ask, Answer]:
        time.sleep(max(0.0, moment + each.after - time.time()))
        try:
            return each, act(who, each, number)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        told.put([])  # ready
        while (job := jobs.get(timeout=at_most(300))) is not None:
            asks, moment, offset = job
            who = bearer.authenticate(key)
            connection.close()
            made = [pool.submit(ask, number, each, moment) for number, each in enumerate(asks)]
            told.put([each.result(timeout=at_most(90)) for each in made])
    if connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's has one


class Crew:
    """The four processes."""

    def __init__(self, key: str) -> None:
        apart = processes()
        self.told = apart.Queue()
        self.jobs = [apart.Queue() for _ in range(PROCESSES)]
        self.children = [apart.Process(target=working, args=(key, jobs, self.told)) for jobs in self.jobs]
        for child in self.children:
            child.start()
        for _ in self.children:
            self.told.get(timeout=at_most(60))

    def at_once(self, asks: Sequence[Ask], offset: timedelta) -> list[tuple[Ask, Answer]]:
        """Neighbours in ``asks`` go to different processes, all of them as far ahead of the time as ``offset``."""
        moment = time.time() + LEAD
        for number, jobs in enumerate(self.jobs):
            jobs.put((asks[number::PROCESSES], moment, offset))
        return [answer for _ in self.children for answer in self.told.get(timeout=at_most(120))]

    def dismiss(self) -> None:
        for jobs in self.jobs:
            jobs.put(None)
        for child in self.children:
            child.join(timeout=at_most(30))


@dataclass
class Races:
    chaos: "Chaos"
    crew: Crew
    done: Counter[str] = field(default_factory=Counter)

    def at_once(self, asks: Sequence[Ask]) -> list[tuple[Ask, Answer]]:
        return self.crew.at_once(asks, self.chaos.offset)

    # -- one thing, many times ------------------------------------------------------------------------------------

    def order(self) -> None:
        """100 confirmations of one order."""
        self.goes_once(self.chaos.order(self.chaos.alpaca).of, 100)

    def batch(self) -> None:
        self.goes_once(self.chaos.batch(self.chaos.alpaca).of, 50)

    def all_or_none(self) -> None:
        self.goes_once(self.chaos.whole(self.chaos.alpaca).of, 50)

    def close(self) -> None:
        self.goes_once(self.chaos.close(self.chaos.alpaca).of, 50)
        assert not any(self.positions().values()), self.positions()

    def flatten(self) -> None:
        resting = self.rests()
        self.goes_once(self.chaos.flatten(self.chaos.alpaca).of, 50)
        assert min(self.positions().values()) >= 0, self.positions()
        assert self.fresh(resting).status == "cancelled"

    def goes_once(self, held: "Confirmation | None", times: int) -> None:
        from console.orders.models import Order

        assert held is not None
        before = len(self.sent())
        answers = [answer for _, answer in self.at_once([Ask("confirm", held.public_id)] * times)]
        plan = list(Order.objects.filter(confirmation=held, parent=None).order_by("pk"))
        assert len(answers) == times
        went = [answer for answer in answers if not answer.code]
        assert len(went) == 1 and {answer.code for answer in answers} <= {"", *REFUSED}, Counter(answers)
        # Whoever came too late is told which order it was.
        assert {answer.order_id for answer in answers if answer.order_id} <= {order.public_id for order in plan}
        # A close that could not be looked up among so many calls is refused, and says so.
        going = [order for order in plan if order.code != "broker_unavailable"]
        assert going and all(order.status == "denied" for order in plan if order not in going), plan
        told = [(order.symbol, order.status, order.reason) for order in plan]
        assert sorted(self.sent()[before:]) == sorted(order.wire_id for order in going), told
        assert all(order.events.filter(after="sending").count() == 1 for order in going)

    def change(self) -> None:
        change = self.changes(self.rests(), "101.5")
        asks = [Ask("confirm", change.confirmation.public_id)] * 50
        answers = [answer for _, answer in self.at_once(asks)]
        codes = Counter(answer.code for answer in answers)
        # Read a moment before it was used and looked at a moment after, it is refused for what the first one did.
        assert codes[""] == 1 and set(codes) <= {
            "",
            *REFUSED,
            "not_modifiable",
            "confirmation_changed",
            "invalid_argument",
        }, codes
        assert self.patched().count(change.wire_id) == 1
        self.is_changed(change)

    # -- two things -----------------------------------------------------------------------------------------------

    def change_beside_cancel(self) -> None:
        pairs = [(order := self.rests(), self.changes(order, "101.5")) for _ in range(PAIRS)]
        self.at_once(
            [
                ask
                for order, change in pairs
                for ask in (Ask("confirm", change.confirmation.public_id), Ask("cancel", order.public_id))
            ]
        )
        self.sweep()
        for order, change in pairs:
            row, (change,) = self.fresh(order), order.modifications.all()
            assert row.status == "cancelled", (row.status, [str(each.what) for each in row.events.all()])
            assert self.there(row)["status"] == "canceled", self.there(row)
            assert change.status in ("done", "denied", "rejected", "not_done"), change.status
            assert self.patched().count(change.wire_id) <= 1
            assert (row.limit_price == change.limit_price) is (change.status == "done")

    def two_changes(self) -> None:
        orders = [self.rests() for _ in range(PAIRS)]
        both = [(self.changes(order, "101.5"), self.changes(order, "102.5")) for order in orders]
        self.at_once([Ask("confirm", each.confirmation.public_id) for pair in both for each in pair])
        self.sweep()
        for order, pair in zip(orders, both, strict=True):
            for each in pair:
                each.refresh_from_db()
            done = [each for each in pair if each.status == "done"]
            assert len(done) == 1, [(each.status, each.reason) for each in pair]
            assert {each.status for each in pair} == {"done", "denied"} or self.still_waits(pair), pair
            assert sum(self.patched().count(each.wire_id) for each in pair) == 1
            assert self.fresh(order).wire_id == done[0].wire_id
            self.is_changed(done[0])

    @staticmethod
    def still_waits(pair: "Sequence[Modification]") -> bool:
        """The other of two was refused without an end: its confirmation runs out by itself."""
        return {each.status for each in pair} == {"done", "awaiting_confirmation"}

    def release_beside_lapse(self) -> None:
        """The owner says yes in the very moment in which the sweep ends what nobody confirmed."""
        from django.utils import timezone

        from console.connections.models import Policy
        from console.orders.models import Order

        connection = self.chaos.alpaca.connection
        connection.policy = Policy.OWNER_APPROVAL
        connection.save()
        try:
            held = [self.chaos.order(self.chaos.alpaca).of for _ in range(PAIRS)]
            orders = [Order.objects.get(confirmation=each) for each in held]
            waiting = [self.changes(self.rests(by_owner=True), "101.5") for _ in range(PAIRS)]
            all_of_them = [each for each in held if each is not None] + [each.confirmation for each in waiting]
            now = timezone.now()
            soon = LEAD + 0.25
            for each in all_of_them:
                each.expires_at = now + timedelta(seconds=soon)
                each.save()
            # A release looks at the broker first, and takes longer than a sweep.
            asks = [
                Ask("approve", each.public_id, 0.25 * place / len(all_of_them))
                for place, each in enumerate(all_of_them)
            ]
            lapses = [Ask("lapse", "", 0.25 + after) for after in (0.0, 0.02, 0.05, 0.1)]
            answers = self.at_once([*lapses, *asks])
        finally:
            connection.policy = Policy.TWO_STEP
            connection.save()
        said = {ask.about: answer.code for ask, answer in answers if ask.what == "approve"}
        self.sweep()
        for order in map(self.fresh, orders):
            code, sent = said[order.confirmation.public_id], self.sent().count(order.wire_id)
            assert (code, sent) in (("", 1), ("confirmation_expired", 0)), (code, sent)
            assert order.status in (("filled", "working") if sent else ("lapsed",)), order.status
            self.done["released" if sent else "lapsed"] += 1
        for change in waiting:
            change.refresh_from_db()
            code, sent = said[change.confirmation.public_id], self.patched().count(change.wire_id)
            assert (code, sent) in (("", 1), ("confirmation_expired", 0)), (code, sent)
            assert change.status == ("done" if sent else "lapsed"), change.status
            self.done["released" if sent else "lapsed"] += 1

    # -- what they need -------------------------------------------------------------------------------------------

    def rests(self, *, by_owner: bool = False) -> "Order":
        from console.halts.services import Proof
        from console.orders import prepare as preparing
        from console.orders.owner import approvals

        alpaca = self.chaos.alpaca
        if not by_owner:
            order = self.chaos.rest(alpaca)
        else:
            terms = self.chaos.terms(alpaca, resting=True)
            held = preparing.prepare(self.chaos.who[alpaca.name], terms).confirmation
            evidence = approvals.Evidence(proof=Proof.PASSWORD, label="password")
            (order,) = approvals.approve(held, by=alpaca.connection.owner, evidence=evidence, seen=held.terms_digest)
        assert order is not None and order.status == "working"
        return order

    def changes(self, order: "Order", price: str) -> "Modification":
        from brokers.types import OrderChanges
        from console.orders import prepare as preparing

        who = self.chaos.who[self.chaos.alpaca.name]
        return preparing.prepare_change(who, order.public_id, OrderChanges(limit_price=Decimal(price)))

    def is_changed(self, change: "Modification") -> None:
        change.refresh_from_db()
        order = self.fresh(change.order)
        assert change.status == "done", (change.status, change.reason)
        assert order.wire_id == change.wire_id and order.limit_price == change.limit_price
        assert Decimal(self.there(order)["limit_price"]) == change.limit_price

    def sweep(self) -> None:
        """Until what is under way has been looked up for long enough."""
        from console.orders.execution import reconcile

        self.chaos.offset += timedelta(seconds=31)
        reconcile.sweep()

    def fresh(self, order: "Order") -> "Order":
        from console.orders.models import Order

        return Order.objects.get(pk=order.pk)

    def state(self) -> Any:
        return self.chaos.alpaca.control("state")

    def sent(self) -> list[str]:
        return [body["client_order_id"] for body in self.state()["sent"]]

    def patched(self) -> list[str]:
        changed: list[str] = self.state()["changed"]
        return changed

    def positions(self) -> dict[str, Decimal]:
        return {symbol: Decimal(size) for symbol, size in self.state()["held"].items() if symbol != "AAPL"}

    def there(self, order: "Order") -> dict[str, Any]:
        (found,) = [each for each in self.state()["orders"] if each["client_order_id"] == order.wire_id]
        return dict(found)


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m tests.chaos.at_once", description=__doc__)
    asked.add_argument("--on", choices=["sqlite", "postgresql"], required=True)
    asked.add_argument("--rounds", type=int, default=1)
    asked.add_argument("--only", action="append", help="one of the races, by its name")
    chosen = asked.parse_args()
    # A person may make 30 such calls a minute; this is not about that.
    for bucket in ("CALLS", "TRADE_CALLS", "CANCEL_CALLS"):
        os.environ[f"TRADELATCH_{bucket}_PER_MINUTE"] = "100000"
    # PostgreSQL takes 100 connections, and all of these calls are at once.
    os.environ["TRADELATCH_DATABASE_POOL"] = "22"
    with instance(chosen.on):
        from tests.chaos.trials import Chaos
        from tests.chaos.venues import exchange_apart

        with exchange_apart() as url:
            chaos = Chaos(1, url)
            chaos.alpaca.connection.settings.pop("timeouts")
            chaos.alpaca.connection.save()
            races = Races(chaos, Crew(chaos.keys[chaos.alpaca.name]))
            every: list[Callable[[], None]] = [
                *(races.order, races.batch, races.all_or_none, races.close, races.flatten, races.change),
                *(races.change_beside_cancel, races.two_changes, races.release_beside_lapse),
            ]
            try:
                if unknown := set(chosen.only or ()) - {race.__name__ for race in every}:
                    raise SystemExit(f"No such race: {', '.join(sorted(unknown))}.")
                for race in every:
                    if chosen.only and race.__name__ not in chosen.only:
                        continue
                    began = time.monotonic()
                    for _ in range(chosen.rounds):
                        race()
                    took = time.monotonic() - began
                    sys.stdout.write(f"{chosen.on}: {race.__name__}, {chosen.rounds} rounds in {took:.1f} s\n")
                    sys.stdout.flush()
            finally:
                races.crew.dismiss()
    counted = "".join(f", {count} {what}" for what, count in sorted(races.done.items()))
    sys.stdout.write(f"{chosen.on}: each went once{counted}\n")


if __name__ == "__main__":
    main()
