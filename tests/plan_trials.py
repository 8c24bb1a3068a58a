"""What ``tests.plan_kills`` does: plans on paper, processes that die, and what is left in the books."""

import os
import random
import signal
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, connections
from django.utils import timezone

from brokers.paper import accounts as paper_accounts
from brokers.paper.models import PaperOrder
from brokers.types import Side
from console.accounts.models import User
from console.authority import bearer
from console.connections.models import Connection
from console.errors import Refusal
from console.halts import services as halts
from console.halts.services import Proof
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.orders import actions as order_actions
from console.orders import prepare as order_preparing
from console.orders.execution import reconcile
from console.orders.models import Order
from console.orders.owner.approvals import Evidence
from console.orders.terms import Terms
from console.plans import deciding, execution, preparing
from console.plans.models import AtRefusal, PlanChild, PlanKind, TradingPlan
from console.plans.preparing import PlanWish
from console.plans.states import NOT_OVER, ChildStatus, PlanStatus
from console.principal import Principal
from console.scopes import Scope
from tests import prepared
from tests.console.plans.steps import switch_on

_REAL_NOW = timezone.now
_PARTS = (PlanKind.TWAP, PlanKind.VWAP)
"""Of one quantity."""
_WRITES = ("INSERT", "UPDATE", "DELETE")
_KILLED = 0.6
"""How many of the processes that carry plans on are killed."""
_PROOF = Evidence(proof=Proof.PASSWORD, label="the password")


class Trials:
    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - a test's dice
        self.offset = timedelta()
        self.kills = 0
        self.sweeps = 0
        self.kinds: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.surprises = Path(settings.HOME) / "surprises.log"
        self.statements = 10
        """About as many as a sweep writes: where to kill it."""
        prepared.migrate()
        self.owner = User.objects.create_user("olivia@example.com", "correct horse battery")
        timezone.now = self._now
        self.number = 0

    def _now(self) -> datetime:
        return _REAL_NOW() + self.offset

    # -- plans ---------------------------------------------------------------------------------------------------

    def batch(self, count: int, rounds: int) -> None:
        """Plans on an account of their own, until all of them are over."""
        self.number += 1
        linked, _ = connection_lifecycle.open_paper(
            self.owner, name=f"Killed {self.number}", starting_cash=Decimal(10_000_000)
        )
        _, key = minting.mint(self.owner, linked, frozenset({Scope.TRADE}), name="killed")
        switch_on(bearer.authenticate(key).app_id)
        who = bearer.authenticate(key)
        held = order_preparing.prepare(who, Terms(symbol="BTC/USD", side=Side.BUY, quantity=Decimal(20)))
        order_actions.confirm(who, held.confirmation.public_id)
        mine = [plan for plan in (self.begin(who) for _ in range(count)) if plan is not None]
        for done in range(rounds):
            if not TradingPlan.objects.filter(pk__in=mine, status__in=NOT_OVER).exists() and not self._at_work(mine):
                break
            self.meddle(mine, linked)
            self.carry_on(calm=done > rounds * 3 // 4)
            self.offset += timedelta(seconds=self.dice.choice((5, 40, 95, 300)))
        for pk in mine:
            plan = TradingPlan.objects.get(pk=pk)
            if plan.state in NOT_OVER:
                deciding.cancel(plan, by="the end of the trial")
        for _ in range(4):
            self.offset += timedelta(seconds=settings.SENDING_LEASE_SECONDS + 30)
            self.carry_on(calm=True)
        self.check(mine)

    @staticmethod
    def _at_work(plans: list[int]) -> bool:
        return PlanChild.objects.filter(plan__in=plans, status__in=(ChildStatus.WORKING, ChildStatus.OPEN)).exists()

    def begin(self, who: Principal) -> int | None:
        kind = self.dice.choice(list(PlanKind))
        size = Decimal(self.dice.randrange(4, 40)) / 1000
        bounds: dict[str, Any] = {"at_refusal": self.dice.choice(list(AtRefusal))}
        orders = self.dice.randrange(2, 7)
        match kind:
            case PlanKind.TWAP | PlanKind.VWAP:
                side = self.dice.choice(list(Side))
                minutes = self.dice.randrange(2, 20)
                wish = PlanWish(
                    kind=kind, symbol="BTC/USD", side=side, quantity=size * orders, orders=orders, minutes=minutes,
                    **bounds,
                )  # fmt: skip
            case PlanKind.DCA:
                at = f"{self._now() + timedelta(minutes=5):%H:%M}"
                wish = PlanWish(kind=kind, symbol="BTC/USD", quantity=size, orders=1, every="day", at=at, **bounds)
            case PlanKind.GRID:
                wish = PlanWish(
                    kind=kind, symbol="BTC/USD", quantity=size, minutes=self.dice.randrange(5, 60), **self._grid(who),
                    **bounds,
                )  # fmt: skip
            case PlanKind.TIME_EXIT:
                wish = PlanWish(
                    kind=kind, symbol="BTC/USD", quantity=size, minutes=self.dice.randrange(2, 15), **bounds
                )
        try:
            plan = preparing.prepare_plan(who, wish)
            if self.dice.random() < 0.4 and kind is not PlanKind.TIME_EXIT:  # a bound that it will meet
                least = Decimal(plan.confirmation.terms["value"])
                tight = (least * Decimal(self.dice.randrange(30, 100)) / 100).quantize(Decimal("0.01"))
                deciding.discard(who, plan.confirmation.public_id)
                plan = preparing.prepare_plan(who, PlanWish(**{**_given(wish), "most_value": tight}))
        except Refusal as refusal:
            self.wrong.append(f"{kind} was not prepared: {refusal}")
            return None
        self.kinds[kind.value] += 1
        # Killed in the middle of its start, it is started by the next.
        confirmation_id = plan.confirmation.public_id
        for kill in (True, True, False):
            self.process(lambda: deciding.confirm(who, confirmation_id), kill=kill, among=8)
        return plan.pk

    def _grid(self, who: Principal) -> dict[str, Any]:
        from console.connections import broker_access

        with broker_access.broker_for(who) as broker:
            bid = broker.quotes(["BTC/USD"])[0].bid
        middle = bid.quantize(Decimal(1))
        step = Decimal(self.dice.choice((2, 10, 50)))
        return {"lower": middle - 3 * step, "upper": middle + 2 * step, "levels": 6}

    # -- what happens to them ------------------------------------------------------------------------------------

    def meddle(self, plans: list[int], linked: Connection) -> None:
        """People, now and then."""
        with suppress(Refusal):
            roll = self.dice.random()
            plan = TradingPlan.objects.get(pk=self.dice.choice(plans))
            if roll < 0.06:
                deciding.pause(plan, by="Olivia", user=self.owner)
            elif roll < 0.16:
                for each in TradingPlan.objects.filter(pk__in=plans, status=PlanStatus.PAUSED):
                    deciding.resume(each, by=self.owner, evidence=_PROOF)
            elif roll < 0.18:
                deciding.cancel(plan, by="Olivia", user=self.owner)
            elif roll < 0.2:
                halts.halt_connection(linked, by=self.owner)
            elif roll < 0.35:
                for halt in halts.halts_on(linked):
                    halts.lift(halt, by=self.owner, proof=Proof.PASSKEY)

    def carry_on(self, *, calm: bool) -> None:
        """Every sweep once, each in a process of its own, some of which die; and now and then two at the same time."""
        paper_accounts.match_resting(timezone.now())
        kill = not calm and self.dice.random() < _KILLED
        beside = not calm and self.dice.random() < 0.15
        self.process(execution.sweep, kill=kill, among=self.statements, beside=beside)
        self.process(reconcile.sweep, kill=not calm and self.dice.random() < 0.2, among=8)
        self.sweeps += 1

    def process(self, act: Callable[[], object], *, kill: bool, among: int, beside: bool = False) -> None:
        """``act`` in a child that is killed, if at all, just before or just after it writes something."""
        children = []
        for _ in range(2 if beside else 1):
            at = self.dice.randrange(1, among) if kill else None
            after = self.dice.random() < 0.5
            connections.close_all()
            child = os.fork()
            if child == 0:
                self._child(act, at, after=after)
            children.append(child)
        for child in children:
            _, how = os.waitpid(child, 0)
            if os.WIFSIGNALED(how):
                self.kills += 1
            elif kill and among == self.statements and not beside:
                self.statements = max(3, int(self.statements * 0.9))  # it ended before: die sooner
            if os.WIFSIGNALED(how) and among == self.statements:
                self.statements = min(600, int(self.statements * 1.15) + 1)

    def _child(self, act: Callable[[], object], at: int | None, *, after: bool) -> None:
        left = [at or 0]

        def count(execute: Any, sql: str, *given: Any) -> Any:
            if not sql.lstrip().startswith(_WRITES):
                return execute(sql, *given)
            left[0] -= 1
            dies = at is not None and left[0] == 0
            if dies and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = execute(sql, *given)
            if dies:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            with connection.execute_wrapper(count):
                act()
        except Refusal:
            pass
        except BaseException:
            with self.surprises.open("a") as file:
                file.write(traceback.format_exc() + "\0")
        finally:
            os._exit(0)

    # -- what is left --------------------------------------------------------------------------------------------

    def check(self, plans: list[int]) -> None:
        for plan in TradingPlan.objects.filter(pk__in=plans).select_related("confirmation"):
            self.wrong += [f"{plan.kind} {plan.public_id} ({plan.status}): {what}" for what in _wrong_with(plan)]

    def account(self) -> dict[str, Any]:
        surprises = self.surprises.read_text().split("\0")[:-1] if self.surprises.exists() else []
        plans = TradingPlan.objects.exclude(status=PlanStatus.DISCARDED)
        return {
            "plans": sum(self.kinds.values()),
            "kinds": self.kinds,
            "kills": self.kills,
            "sweeps": self.sweeps,
            "orders": Order.objects.filter(plan_child__isnull=False).count(),
            "attempts_that_never_went": Order.objects.exclude(confirmation__plan_id="")
            .filter(released_at=None)
            .count(),
            "plan_statuses": Counter(plans.values_list("status", flat=True)),
            "order_statuses": Counter(PlanChild.objects.filter(plan__in=plans).values_list("status", flat=True)),
            "wrong": [*self.wrong, *(f"surprise: {each[-1500:]}" for each in surprises)],
        }


def _given(wish: PlanWish) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in PlanWish.__dataclass_fields__}


def _wrong_with(plan: TradingPlan) -> list[str]:
    """The books of the broker are the truth."""
    found = []
    if plan.state in NOT_OVER:
        found.append("it is not over")
    orders = list(Order.objects.filter(confirmation__plan_id=plan.public_id))
    books = {each.client_order_id: each for each in PaperOrder.objects.filter(
        client_order_id__in=[order.wire_id for order in orders]
    )}  # fmt: skip
    children = list(PlanChild.objects.filter(plan=plan).select_related("order"))
    for child in children:
        names = {child.client_order_id.removesuffix(f"-{child.attempt}") if child.attempt else child.client_order_id}
        base = names.pop()
        tries = [o for o in orders if o.client_order_id == base or o.client_order_id.startswith(f"{base}-")]
        reached = [o for o in tries if o.wire_id in books]
        if len(reached) > 1:
            found.append(f"order {child.number} reached the broker {len(reached)} times")
        if reached and child.order_id != reached[0].pk:
            found.append(f"order {child.number} reached the broker, and its plan does not know")
        if len([o for o in tries if o.released_at is not None]) > 1:
            found.append(f"order {child.number} was released twice")
        if child.state in (ChildStatus.WAITING, ChildStatus.WORKING, ChildStatus.OPEN):
            found.append(f"order {child.number} is {child.status}")
        if child.state is ChildStatus.SKIPPED and not child.reason:
            found.append(f"order {child.number} was skipped and nobody says why")
        if child.state is ChildStatus.DONE and child.order is None:
            found.append(f"order {child.number} is done without an order")
    with_order = [child.order for child in children if child.order is not None]
    if len(with_order) != plan.released_orders:
        found.append(f"it counted {plan.released_orders} orders and sent {len(with_order)}")
    if plan.released_value != sum((order.worst_notional or Decimal(0) for order in with_order), Decimal(0)):
        found.append("it counted another value than its orders have")
    if len(books) > plan.most_orders:
        found.append(f"{len(books)} orders reached the broker, above {plan.most_orders}")
    filled = sum((each.filled_quantity * (each.average_price or 0) for each in books.values()), Decimal(0))
    if plan.released_value > plan.most_value or filled > plan.most_value:
        found.append(f"it came to {filled}, counted as {plan.released_value}, above {plan.most_value}")
    if plan.ends_at is not None and any(order.released_at and order.released_at > plan.ends_at for order in with_order):
        found.append("an order went after its end")
    if plan.confirmed_at is None and books:
        found.append("orders went before it was confirmed")
    whole = Decimal(0)
    if plan.kind in _PARTS:
        whole = sum((child["quantity"] and Decimal(child["quantity"]) for child in plan.confirmation.terms["children"]),
                    Decimal(0))  # fmt: skip
    if plan.kind in _PARTS and sum((each.filled_quantity for each in books.values()), Decimal(0)) > whole:
        found.append("it traded more than was shown")
    return found
