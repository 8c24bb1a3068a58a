"""Many steps at random: orders, fills, cancels, crashes and leaps of the clock, with simple books kept beside.

``python -m tests.chaos.walk STEPS SEED`` in a home of its own. After every step the paper broker's cash, positions,
reserves and ledger must be what the books say, to the last digit, and no order may have moved outside the table of
moves. The books know the rules that are written in the paper broker's documents and none of its code: they take the
price and size of each fill and work out the rest. Prints one JSON object.

A walk that fails is written down step by step as it was walked, whatever Hypothesis makes of it afterwards, and
``python -m tests.chaos --replay FILE`` walks it again.
"""

import functools
import json
import os
import sys
import traceback
import typing
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from django.db import connection as database  # noqa: E402
from django.utils import timezone  # noqa: E402
from hypothesis import HealthCheck, Phase, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.stateful import (  # noqa: E402
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from brokers import registry  # noqa: E402
from brokers.paper import accounts as paper_accounts  # noqa: E402
from brokers.paper.adapter import PaperBroker  # noqa: E402
from brokers.paper.models import PaperAccount  # noqa: E402
from brokers.types import (  # noqa: E402
    BrokerOrder,
    BrokerStatus,
    Fill,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)
from console.accounts.models import User  # noqa: E402
from console.authority import bearer  # noqa: E402
from console.connections import paper_linking as paper_connections  # noqa: E402
from console.errors import Code, Refusal  # noqa: E402
from console.keys import minting  # noqa: E402
from console.orders import actions as order_actions  # noqa: E402
from console.orders import prepare as preparing  # noqa: E402
from console.orders import states  # noqa: E402
from console.orders.execution import reconcile  # noqa: E402
from console.orders.models import Confirmation, Modification, Order, OrderEvent  # noqa: E402
from console.orders.states import AT_BROKER, IN_FLIGHT, AmendmentStatus, Status  # noqa: E402
from console.orders.terms import Terms  # noqa: E402
from console.scopes import Scope  # noqa: E402
from tests import prepared  # noqa: E402

CENT = Decimal("0.01")
CUSHION = Decimal("1.02")
CASH = Decimal(100_000)
# preset → (maker, taker) of coins; each stock order pays 0.005 a share, 1.00 at least, in these two.
COIN_FEES = {"standard": ("0.0025", "0.0025"), "realistic": ("0.0016", "0.0026")}
LATENCY = {"standard": timedelta(0), "realistic": timedelta(milliseconds=200)}
SIZES = {"BTC/USD": ("0.5", "0.0375", "2"), "AAPL": ("1", "37", "250")}
BOUNDS = {
    Code.INSUFFICIENT_FUNDS,
    Code.INSUFFICIENT_POSITION,
    Code.PRICE_MOVED,
    Code.CONFIRMATION_USED,
    Code.CONFIRMATION_EXPIRED,
    Code.CONFIRMATION_CHANGED,  # of two changes of one order, the second no longer fits what was shown
    Code.NOT_CANCELLABLE,
    Code.NOT_MODIFIABLE,
    Code.BROKER_REJECTED,
    Code.NOT_OFFERED_BY_BROKER,
    Code.INVALID_ARGUMENT,
    Code.OUTCOME_UNKNOWN,
    Code.MARKET_CLOSED,
    Code.TRIGGER_ALREADY_MET,
    Code.EXIT_ON_WRONG_SIDE,
}
"""What the desk may refuse here; any other refusal is a finding."""


class Crash(BaseException):
    """The process dies here: nothing catches it."""


START = datetime(2026, 11, 20, 15, 33, 20, tzinfo=UTC)


class Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


CLOCK = Clock()
DID: Counter[str] = Counter()
KINDS: Counter[str] = Counter()
"""Orders asked for, by class and type."""


class MortalBroker(PaperBroker):
    dies: str = ""
    sent: Counter[str] = Counter()

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        MortalBroker.sent[request.client_order_id] += 1
        self._die("before it is sent")
        answer = super().submit(account_id, request)
        self._die("after it was sent")
        return answer

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        self._die("before it is cancelled")
        answer = super().cancel(account_id, client_order_id, symbol=symbol)
        self._die("after it was cancelled")
        return answer

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        MortalBroker.sent[new_client_order_id] += 1
        self._die("before it is changed")
        answer = super().replace(account_id, client_order_id, changes, new_client_order_id)
        self._die("after it was changed")
        return answer

    def _die(self, where: str) -> None:
        if MortalBroker.dies == where:
            MortalBroker.dies = ""
            raise Crash


DEATHS = ("before it is sent", "after it was sent", "before it is cancelled", "after it was cancelled")
CHANGING = ("before it is changed", "after it was changed")


def opened(settings: Mapping[str, Any]) -> MortalBroker:
    return MortalBroker.open(settings, clock=CLOCK)


# -- a walk that can be walked again ---------------------------------------------------------------------------------

FAILED = Path(__file__).parents[2] / ".cache" / "walks"


class Diary:
    """The steps of the walk under way, with their values, and those of the first one that failed."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self.failed: list[dict[str, Any]] | None = None
        self.why = ""

    def came(self, what: str) -> None:
        if self.steps:
            self.steps[-1]["came"] = what

    def fails(self, where: str) -> None:
        if self.failed is None:
            self.failed, self.why = list(self.steps), f"in {where}: {traceback.format_exc()}"

    def keep(self, name: str) -> Path:
        """The file that the failed walk was written to."""
        FAILED.mkdir(parents=True, exist_ok=True)
        file = FAILED / f"{name}.json"
        file.write_text(json.dumps({"steps": self.failed, "why": self.why}, indent=1))
        return file


DIARY = Diary()
_Step = typing.TypeVar("_Step", bound=Callable[..., None])


def kept(act: _Step) -> _Step:
    """A step with its values goes into the diary before it is taken, and so does its failure."""

    @functools.wraps(act)
    def taken(walk: Any, **values: Any) -> None:
        if act.__name__ == "begin":
            DIARY.steps.clear()
        if values or act.__name__ == "begin":
            DIARY.steps.append({"step": act.__name__, **values})
        try:
            act(walk, **values)
        except Exception:
            DIARY.fails(act.__name__)
            raise

    return typing.cast(_Step, taken)


def walk_again(steps: list[dict[str, Any]]) -> None:
    """Raises what the walk raised when it failed."""
    walk = Walk()
    for number, step in enumerate(steps):
        values = dict(step)
        values.pop("came", None)
        act = getattr(walk, values.pop("step"))
        kinds = typing.get_type_hints(act)
        for name, value in values.items():
            if issubclass(kinds[name], StrEnum):
                values[name] = kinds[name](value)
        sys.stderr.write(f"{number + 1}. {json.dumps(step)}\n")
        act(**values)
        for name in INVARIANTS:
            getattr(walk, name)()
    walk.teardown()


# -- the books beside ------------------------------------------------------------------------------------------------


def cents(value: Decimal, rounding: str = ROUND_HALF_UP) -> Decimal:
    return value.quantize(CENT, rounding)


@dataclass
class Books:
    """What an account has, from nothing but its orders' terms and the prices and sizes of their fills."""

    preset: str
    cash: Decimal = CASH
    units: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    """Client order id → units."""
    held: dict[str, Decimal] = field(default_factory=dict)
    """Client order id → cash set aside."""
    known: dict[str, tuple[Decimal | None, ...]] = field(default_factory=dict)
    """Client order id → its quantity and prices as they were last seen."""

    def fees(self, symbol: str, price: Decimal, quantity: Decimal, before: Decimal) -> set[Decimal]:
        """What one fill may cost: a maker's or a taker's fee."""
        if "/" in symbol:
            return {cents(cents(price * quantity) * Decimal(rate)) for rate in COIN_FEES[self.preset]}
        whole = max(Decimal(1), cents((before + quantity) * Decimal("0.005")))
        return {whole - (max(Decimal(1), cents(before * Decimal("0.005"))) if before else 0)}

    def place(self, order: BrokerOrder, last: Decimal, ask: Decimal) -> None:
        """A buy, new or changed, sets aside the most that the rest of it may cost and the taker's fee of that."""
        assert order.quantity is not None
        if order.side is Side.SELL:
            return
        done = Decimal(self.filled[order.client_order_id])
        worst = order.limit_price
        if worst is None:
            trigger = order.stop_price or ask
            if order.order_type is OrderType.TRAIL:
                assert order.trail_percent is not None
                trigger = cents(last * (1 + order.trail_percent / 100), ROUND_CEILING)
            worst = cents(max(ask, trigger) * CUSHION, ROUND_CEILING)
        fee = max(self.fees(order.symbol, worst, order.quantity - done, done))
        self.held[order.client_order_id] = cents(worst * (order.quantity - done)) + fee

    def book(self, fill: Fill, quantity: Decimal) -> None:
        """One fill of an order of ``quantity`` units."""
        before = Decimal(self.filled[fill.client_order_id])
        allowed = self.fees(fill.symbol, fill.price, fill.quantity, before)
        assert fill.fee in allowed, f"{fill} cost {fill.fee}, not one of {allowed}"
        sign = 1 if fill.side is Side.BUY else -1
        self.cash -= sign * cents(fill.price * fill.quantity) + fill.fee
        self.units[fill.symbol] += sign * fill.quantity  # type: ignore[assignment]  # a Counter of decimals
        self.filled[fill.client_order_id] += fill.quantity  # type: ignore[assignment]
        left = quantity - before
        if fill.client_order_id in self.held:
            rest = self.held[fill.client_order_id] * (left - fill.quantity) / left
            self.held[fill.client_order_id] = cents(rest, ROUND_CEILING)


def _beat() -> None:
    """What the schedule does every two seconds."""
    paper_accounts.match_resting(timezone.now())
    reconcile.sweep()


class Walk(RuleBasedStateMachine):
    accounts = 0

    def __init__(self) -> None:
        super().__init__()
        Walk.accounts += 1
        self.waiting: list[Confirmation] = []
        self.last_event = OrderEvent.objects.order_by("pk").values_list("pk", flat=True).last() or 0

    @initialize(preset=st.sampled_from(sorted(COIN_FEES)), hours=st.integers(0, 200))
    @kept
    def begin(self, preset: str, hours: int) -> None:
        # Nothing of the walk before, or a failure could not be walked again.
        CLOCK.now = START + timedelta(hours=hours)
        MortalBroker.dies = ""
        for model in (OrderEvent, Modification):
            model.objects.all().delete()
        Order.objects.exclude(parent=None).delete()
        Order.objects.all().delete()
        name = f"walker{Walk.accounts}"
        owner = User.objects.create(email=f"{name}@example.com")
        self.connection = paper_connections.link_paper(owner, name=name, starting_cash=CASH)
        PaperAccount.objects.filter(key=self.connection.default_account).update(preset=preset, seed=1)
        _, raw = minting.mint(owner, self.connection, frozenset({Scope.TRADE}), name=name)
        self.who = bearer.authenticate(raw)
        self.account = self.connection.default_account
        self.books = Books(preset)

    # -- what happens ----------------------------------------------------------------------------------------------

    @rule(
        symbol=st.sampled_from(sorted(SIZES)),
        size=st.integers(0, 2),
        side=st.sampled_from(Side),
        kind=st.sampled_from(OrderType),
        tif=st.sampled_from([TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
        away=st.integers(-300, 300),
        exits=st.sampled_from([OrderClass.SIMPLE, OrderClass.SIMPLE, *OrderClass]),
        stop=st.sampled_from(["price", "trail", "none"]),
        at_once=st.booleans(),
        goes=st.booleans(),
    )
    @kept
    def prepare(
        self,
        symbol: str,
        size: int,
        side: Side,
        kind: OrderType,
        tif: TimeInForce,
        away: int,
        exits: OrderClass,
        stop: str,
        at_once: bool,
        goes: bool,
    ) -> None:
        """Every kind of order, by itself, with exits of every kind, and as a pair of them for what is held."""
        if exits is not OrderClass.SIMPLE:
            side, tif = (Side.SELL if exits is OrderClass.OCO else Side.BUY), TimeInForce.GTC
            if exits is OrderClass.OCO:
                kind = OrderType.MARKET
            if kind is OrderType.MARKET:
                away //= 10  # else most of it is on the wrong side of the market
        if not self.broker().capabilities.takes(kind, tif):
            tif = TimeInForce.GTC
        price = cents(self.broker().quotes([symbol])[0].last * (1 + Decimal(away) / 10_000))
        prices: dict[str, Any] = {}
        if kind.needs_limit:
            prices["limit_price"] = price
        if kind.needs_stop:
            prices["stop_price"] = price
        if kind.needs_trail:
            prices["trail_percent"] = Decimal("1.5")
        if exits is not OrderClass.SIMPLE:
            prices["order_class"] = exits
            if exits is not OrderClass.OTO or stop == "none":
                prices["take_profit"] = cents(price * Decimal("1.01"))
            if stop == "trail" and exits is not OrderClass.OCO:
                prices["stop_loss_trail_percent"] = Decimal(1)
            elif stop == "price" or exits is not OrderClass.OTO:
                prices["stop_loss"] = cents(price * Decimal("0.99"))
        terms = Terms(
            symbol=symbol,
            side=side,
            quantity=Decimal(SIZES[symbol][size]),
            order_type=kind,
            tif=tif,
            at_once=at_once,
            **prices,
        )
        KINDS[f"{exits} {kind}"] += 1
        prepared = self.asked("prepare", lambda: preparing.prepare(self.who, terms))
        if prepared is None:
            return
        if goes:
            self.asked("confirm", lambda: order_actions.confirm(self.who, prepared.confirmation.public_id))
        else:
            self.waiting.append(prepared.confirmation)

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 50), dies=st.sampled_from(["", "", "", "", *DEATHS[:2], *CHANGING]))
    @kept
    def confirm(self, which: int, dies: str) -> None:
        chosen = self.waiting[which % len(self.waiting)]
        MortalBroker.dies = dies
        self.asked(
            "confirm" if not dies else f"crash {dies}", lambda: order_actions.confirm(self.who, chosen.public_id)
        )
        MortalBroker.dies = ""

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 50))
    @kept
    def discard(self, which: int) -> None:
        chosen = self.waiting.pop(which % len(self.waiting))
        self.asked("discard", lambda: order_actions.discard(self.who, chosen.public_id))

    @rule(which=st.integers(0, 50), dies=st.sampled_from(["", "", *DEATHS[2:]]))
    @kept
    def cancel(self, which: int, dies: str) -> None:
        mine = list(self.orders().filter(status__in=[*AT_BROKER, Status.UNKNOWN, Status.AWAITING]))
        if mine:
            MortalBroker.dies = dies
            chosen = mine[which % len(mine)]
            self.asked(
                "cancel" if not dies else f"crash {dies}", lambda: order_actions.cancel(self.who, chosen.public_id)
            )
            MortalBroker.dies = ""

    @rule(which=st.integers(0, 50), away=st.integers(-300, 300), larger=st.booleans())
    @kept
    def change(self, which: int, away: int, larger: bool) -> None:
        mine = [each for each in self.orders().filter(status__in=AT_BROKER) if self.can_change(each)]
        if mine:
            chosen = mine[which % len(mine)]
            if chosen.order_type == OrderType.TRAIL:
                asked = OrderChanges(trail_percent=Decimal("1.5") + Decimal(away) / 300)
                held = self.asked("change", lambda: preparing.prepare_change(self.who, chosen.public_id, asked))
                if held is not None:
                    self.waiting.append(held.confirmation)
                return
            price = cents((chosen.limit_price or chosen.stop_price) * (1 + Decimal(away) / 10_000))
            asked = OrderChanges(
                quantity=chosen.quantity * 2 if larger else None,
                limit_price=price if chosen.limit_price else None,
                stop_price=None if chosen.limit_price else price,
            )
            held = self.asked("change", lambda: preparing.prepare_change(self.who, chosen.public_id, asked))
            if held is not None:
                self.waiting.append(held.confirmation)

    @staticmethod
    def can_change(order: Order) -> bool:
        """What a bought trailing stop holds after a change rests on the lowest price since, which no book here has."""
        if order.order_type == OrderType.TRAIL:
            return order.side == Side.SELL
        return bool(order.limit_price or order.stop_price)

    @rule(seconds=st.sampled_from([1, 20, 31, 61, 130, 600, 3600, 40_000, 90_000]))
    @kept
    def leap(self, seconds: int) -> None:
        CLOCK.now += timedelta(seconds=seconds)
        DID["leap of the clock"] += 1

    @rule(dies=st.sampled_from(["", "", *DEATHS]))
    @kept
    def sweep(self, dies: str) -> None:
        MortalBroker.dies = dies
        self.asked("sweep", _beat)
        MortalBroker.dies = ""

    # -- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    @kept
    def the_books_agree(self) -> None:
        if not hasattr(self, "books"):
            return
        broker = self.broker()
        state = broker.account_state(self.account)
        orders = {each.client_order_id: each for each in broker.orders(self.account, limit=1000)}
        self.follow(broker, orders)
        books = self.books
        (cash,) = state.cash
        ledger = broker.transactions(self.account, start=None, end=None, limit=10_000)
        assert cash.total == books.cash == sum(each.amount for each in ledger), (cash.total, books.cash)
        assert cash.available >= 0 or not any(o.status.is_open for o in orders.values()), cash
        held = {each.symbol: each for each in broker.positions(self.account)}
        for symbol in SIZES:
            mine = Decimal(books.units[symbol])
            there = held[symbol].quantity if symbol in held else Decimal(0)
            moved = sum((each.quantity or Decimal(0) for each in ledger if each.symbol == symbol), Decimal(0))
            assert there == mine == moved >= 0, (symbol, there, mine, moved)
        resting = [each for each in orders.values() if each.status.is_open]
        waiting = {each.client_order_id for each in resting if each.held}
        reserve = sum((books.held.get(each.client_order_id, Decimal(0)) for each in resting), Decimal(0))
        assert cash.reserved == reserve, (
            cash.reserved,
            {o.client_order_id: books.held.get(o.client_order_id) for o in resting},
        )
        for symbol in held:
            sells = [
                o for o in resting if o.symbol == symbol and o.side is Side.SELL and o.client_order_id not in waiting
            ]
            alone = sum((left(o) for o in sells if o.order_class is OrderClass.SIMPLE), Decimal(0))
            pairs = {self.pair_of(o): left(o) for o in sells if o.order_class is not OrderClass.SIMPLE}
            expected = alone + sum(pairs.values(), Decimal(0))
            assert held[symbol].reserved == expected <= held[symbol].quantity, (symbol, held[symbol].reserved, expected)

    @invariant()
    @kept
    def exits_close_no_more_than_was_opened(self) -> None:
        """Of a pair whatever fills ends or shrinks the other, and an exit waits for its entry."""
        if not hasattr(self, "books"):
            return
        orders = {each.client_order_id: each for each in self.broker().orders(self.account, limit=1000)}
        parents: dict[str, list[BrokerOrder]] = {}
        for each in orders.values():
            if each.parent_client_order_id:
                parents.setdefault(each.parent_client_order_id, []).append(each)
        for name, legs in parents.items():
            entry = orders[name]
            assert entry.quantity is not None
            is_pair = entry.order_class is OrderClass.OCO
            closing = [entry, *legs] if is_pair else legs
            opened = entry.quantity if is_pair else entry.filled_quantity
            if is_pair:  # its quantity is what is left of it
                opened = max(left(each) for each in closing) + sum(
                    (each.filled_quantity for each in closing), Decimal(0)
                )
            closed = sum((each.filled_quantity for each in closing), Decimal(0))
            assert closed <= opened, (entry, legs)
            if not is_pair and not entry.filled_quantity:
                assert all(each.held or not each.status.is_open for each in legs), (entry, legs)
            if any(each.status is BrokerStatus.FILLED for each in closing) and len(closing) > 1 and closed == opened:
                assert not any(each.status.is_open for each in closing), (entry, legs)
                KINDS["steps with an ended pair"] += 1

    @invariant()
    @kept
    def every_move_is_in_the_table(self) -> None:
        for event in OrderEvent.objects.filter(pk__gt=self.last_event).order_by("pk"):
            self.last_event = event.pk
            before, after = event.before, Status(event.after)
            if before in ("", after):
                assert before or after is Status.AWAITING, f"{event.order_id} began as {after}"
            else:
                assert states.allowed(Status(before), after), f"{event.order_id}: {before} → {after}"

    @invariant()
    @kept
    def nothing_is_sent_twice(self) -> None:
        assert not MortalBroker.sent or max(MortalBroker.sent.values()) == 1

    @kept
    def teardown(self) -> None:
        """Whatever crashed, a few beats later the desk knows all that the broker does."""
        if not hasattr(self, "books"):
            return
        MortalBroker.dies = ""
        for _ in range(3):
            CLOCK.now += timedelta(seconds=130)
            _beat()
        broker = self.broker()
        there = {each.client_order_id: each for each in broker.orders(self.account, limit=1000)}
        here = {order.wire_id: order for order in self.orders()}
        assert set(there) <= set(here), "The broker has an order the desk does not know."
        for name, order in here.items():
            assert order.status not in (Status.AWAITING, *IN_FLIGHT), f"{order.public_id} is {order.status} for good"
            if name in there:
                told = [f"{each.before} → {each.after}: {each.what}" for each in order.events.all()]
                assert states.FROM_BROKER[there[name].status] == order.status, (there[name], order.status, told)
                assert order.filled_quantity == there[name].filled_quantity
                assert order.fees == there[name].fees
            else:
                assert not order.filled_quantity and order.status not in AT_BROKER
        unsettled = Modification.objects.filter(order__connection=self.connection)
        assert not unsettled.filter(status__in=[AmendmentStatus.AWAITING, *states.UNSETTLED]).exists()
        self.every_move_is_in_the_table()

    # -- helpers ---------------------------------------------------------------------------------------------------

    def broker(self) -> PaperBroker:
        return opened(self.connection.settings)

    def orders(self) -> Any:
        return Order.objects.filter(connection=self.connection).order_by("pk")

    def asked(self, what: str, act: Any) -> Any:
        DID[what.partition(" ")[0]] += 1
        try:
            return act()
        except Crash:
            DIARY.came("died")
        except Refusal as refusal:
            DIARY.came(refusal.code)
            assert refusal.code in BOUNDS, refusal
        return None

    def follow(self, broker: PaperBroker, orders: dict[str, BrokerOrder]) -> None:
        """Book the orders and fills that are new, in the order in which they came to be."""
        for order in reversed(list(orders.values())):
            stop = None if order.order_type is OrderType.TRAIL else order.stop_price
            terms = (order.quantity, order.limit_price, stop)
            if self.books.known.get(order.client_order_id) != terms:
                assert order.created_at is not None
                made = CLOCK.now if order.client_order_id in self.books.known else order.created_at
                self.books.known[order.client_order_id] = terms
                then = PaperBroker.open(self.connection.settings, clock=lambda made=made: made)  # type: ignore[misc]
                quote = then.quotes([order.symbol])[0]
                self.books.place(order, quote.last, quote.ask)
            assert order.quantity is not None
            done = Decimal(self.books.filled[order.client_order_id])
            for fill in order.fills:
                if done:
                    done -= fill.quantity
                    continue
                self.books.book(fill, order.quantity)
                DID["fill"] += 1
                if order.limit_price is not None:
                    good = fill.price <= order.limit_price if fill.side is Side.BUY else fill.price >= order.limit_price
                    assert good, f"{order} filled at {fill.price}"
            assert order.filled_quantity == self.books.filled[order.client_order_id] <= order.quantity
            if order.order_class is OrderClass.SIMPLE:  # what fills of a pair's other order makes this one smaller
                assert (order.status is BrokerStatus.FILLED) is (order.filled_quantity == order.quantity)
            if order.tif is TimeInForce.FOK:
                assert order.filled_quantity in (0, order.quantity)
                assert order.created_at is not None
                assert not order.status.is_open or CLOCK.now - order.created_at < LATENCY[self.books.preset]

    @staticmethod
    def pair_of(order: BrokerOrder) -> str:
        return order.parent_client_order_id or order.client_order_id


def left(order: BrokerOrder) -> Decimal:
    assert order.quantity is not None
    return order.quantity - order.filled_quantity


INVARIANTS = (
    "the_books_agree",
    "exits_close_no_more_than_was_opened",
    "every_move_is_in_the_table",
    "nothing_is_sent_twice",
)


def main() -> None:
    prepared.migrate()
    with database.cursor() as cursor:
        cursor.execute("PRAGMA synchronous = OFF")
    timezone.now = CLOCK
    registry._ADAPTERS["paper"] = opened
    if sys.argv[1] == "--replay":
        walk_again(json.loads(Path(sys.argv[2]).read_text())["steps"])
        result: dict[str, Any] = {"steps": sum(DID.values()), "accounts": Walk.accounts, "did": DID}
    else:
        result = walk_at_random(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(json.dumps(result) + "\n")


def walk_at_random(steps: int, start: int) -> dict[str, Any]:
    """Raises what a walk raised, once the walk is in a file."""
    each = min(50, steps)
    turn = 0
    taken = 0
    while taken < steps:
        profile = settings(
            max_examples=max(1, min(20, (steps - taken) // each)),
            stateful_step_count=each,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        try:
            run_state_machine_as_test(seed(start + turn)(Walk), settings=profile)
        except BaseException:
            if DIARY.failed is not None:
                file = DIARY.keep(f"{start}-{start + turn}-{os.getpid()}")
                told = "\n".join(f"{number}. {json.dumps(step)}" for number, step in enumerate(DIARY.failed, 1))
                sys.stderr.write(f"{told}\n{DIARY.why}\nAgain: python -m tests.chaos --replay {file}\n")
            raise
        turn += 1
        taken = sum(count for name, count in DID.items() if name != "fill")
    return {"steps": taken, "accounts": Walk.accounts, "did": DID, "kinds": KINDS}


if __name__ == "__main__":
    main()
