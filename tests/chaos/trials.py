"""Orders, changes, cancels, batches, brackets, closes and flattens through the desk to a broker that breaks, from a
process that is killed; then what is left is counted.

``python -m tests.chaos.trials TRIALS SEED`` in a home of its own. What the two brokers received and what stands there
is the truth here; see ``venues``. Prints one JSON object.
"""

import functools
import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from django.conf import settings  # noqa: E402 - after django.setup()
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from brokers.types import OrderChanges, OrderClass, OrderType, Side  # noqa: E402
from console.accounts.models import User  # noqa: E402
from console.authority import bearer  # noqa: E402
from console.errors import Code, Refusal  # noqa: E402
from console.keys import minting  # noqa: E402
from console.orders import actions as order_actions  # noqa: E402
from console.orders import prepare as preparing  # noqa: E402
from console.orders.execution import reconcile  # noqa: E402
from console.orders.models import Action, Confirmation, Modification, Order  # noqa: E402
from console.orders.states import AT_BROKER, Status  # noqa: E402
from console.orders.terms import Terms  # noqa: E402
from console.principal import Principal  # noqa: E402
from console.scopes import Scope  # noqa: E402
from tests import prepared  # noqa: E402
from tests.chaos import WRONG, books  # noqa: E402
from tests.chaos.venues import LATE, TIMEOUTS, Alpaca, Coinbase, Ibkr, Paper, Venue, Write, exchange_apart  # noqa: E402
from tests.patience import at_most  # noqa: E402

SETTLED_AFTER = 20
"""Trials between two times that the sweeps bring everything to an end."""
_REAL_NOW = timezone.now


class Kind(StrEnum):
    ORDER = "order"
    CHANGE = "change"
    CANCEL = "cancel"
    BATCH = "batch"
    WHOLE = "all-or-none batch"
    BRACKET = "bracket"
    CLOSE = "close"
    FLATTEN = "flatten"
    SPREAD = "spread"
    CONVERSION = "conversion"


_OFTEN = {
    Kind.ORDER: 7,
    Kind.CHANGE: 5,
    Kind.CANCEL: 3,
    Kind.BATCH: 2,
    Kind.WHOLE: 3,
    Kind.BRACKET: 4,
    Kind.CLOSE: 2,
    Kind.FLATTEN: 2,
    Kind.SPREAD: 4,
    Kind.CONVERSION: 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a trial does, after everything before it went well."""

    write: Write
    run: Callable[[], object]
    of: Confirmation | None = None
    order: Order | None = None
    """What a cancel takes back."""
    writes: int = 1
    """How many there are, of which any may break."""
    beside: Callable[[], object] | None = None
    """What is done at the same time now and then, beside ``run`` itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    kind: Kind
    venue: str
    fault: str
    act: Act

    @property
    def label(self) -> str:
        if self.kind is Kind.CHANGE:
            return f"{self.kind} {'in place' if self.venue == Paper.name else 'by replacement'}"
        return f"{self.kind} at {self.venue}"

    def ended(self) -> list[str]:
        """How what it was about stands."""
        if self.kind is Kind.CHANGE:
            return [Modification.objects.get(confirmation=self.act.of).status]
        if self.act.order is not None:
            return [Order.objects.get(pk=self.act.order.pk).status]
        return list(Order.objects.filter(confirmation=self.act.of, parent=None).values_list("status", flat=True))


class Chaos:
    def __init__(self, seed: int, url: str, conversions: str = "", combinations: str = "") -> None:
        self.dice = random.Random(seed)  # noqa: S311 - a test's dice
        self.offset = timedelta()
        self.deck: list[tuple[Kind, Venue]] = []
        """What is tried next, so that every kind has its turn."""
        self.trials: list[Trial] = []
        self.left: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.typical: dict[str, float] = {}
        self.first_ids: set[str] = set()
        """Of orders that a change may have given another one."""
        self.number = 0
        self.surprises = Path(settings.HOME) / "surprises.log"
        prepared.migrate()
        owner = User.objects.create_user("olivia@example.com", "correct horse battery")
        timezone.now = self._now
        self.alpaca = Alpaca(owner, url)
        paper = Paper(owner, Path(settings.HOME) / "paper.log")
        self.venues: list[Venue] = [self.alpaca, paper]
        if conversions:
            self.venues += [Coinbase(owner, conversions), Ibkr(owner, combinations)]
        self.keys = {
            each.name: minting.mint(owner, each.connection, frozenset({Scope.TRADE}), name="killed")[1]
            for each in self.venues
        }
        self.who: dict[str, Principal] = {name: bearer.authenticate(key) for name, key in self.keys.items()}

    def _now(self) -> datetime:
        return _REAL_NOW() + self.offset

    # -- one trial ----------------------------------------------------------------------------------------------------

    def trial(self) -> None:
        if not self.deck:
            self.deck = [
                (kind, venue)
                for venue in self.venues
                for kind, times in _OFTEN.items()
                for _ in range(times)
                if kind not in venue.lacks
            ]
            self.dice.shuffle(self.deck)
        kind, venue = self.deck.pop()
        act = None
        while act is None:
            act = getattr(self, kind.name.lower())(venue)
        fault, inside = venue.fault(self.dice, act.write, self.dice.randrange(act.writes))
        trial = Trial(kind=kind, venue=venue.name, fault=fault, act=act)
        self.trials.append(trial)
        runs = [act.run]
        if self.dice.random() < 0.15:
            runs.append(act.run)
        elif act.beside is not None and self.dice.random() < 0.3:
            runs.append(act.beside)
        typical = self.typical.setdefault(trial.label, venue.opens_in + 0.05 + 0.03 * act.writes)
        patience = None
        if (roll := self.dice.random()) < 0.5:
            patience = self.dice.uniform(0.3, 1.2) * typical
        elif roll < 0.65:
            patience = typical + self.dice.uniform(0, 1.2) * TIMEOUTS["read"]
        children = [fork(self.surprises, inside, run) for run in runs]
        started = time.perf_counter()
        killed = sum(reap(child, patience) for child in children)
        if fault == "none" and not killed and len(children) == 1:
            self.typical[trial.label] = typical + 0.3 * (time.perf_counter() - started - typical)
        venue.mend()
        if killed:
            self.kills[trial.label] += killed
            left = trial.ended()[0]
            self.left[left] += 1
            if left == Status.AWAITING:  # too early to fall into the middle of anything
                self.typical[trial.label] *= 1.15

    def next(self) -> int:
        """Every order and every gift is of a number, and so of a size, that no other has."""
        self.number += 1
        return self.number

    def terms(self, venue: Venue, *, resting: bool, **more: Any) -> Terms:
        return Terms(
            symbol=venue.main,
            side=Side.BUY,
            quantity=venue.size(self.next()),
            order_type=OrderType.LIMIT if resting else OrderType.MARKET,
            limit_price=Decimal(100) if resting else None,
            tif=venue.tif,
            **more,
        )

    def releases(self, venue: Venue, prepared: preparing.Prepared) -> Act:
        held = prepared.confirmation
        run = functools.partial(order_actions.confirm, self.who[venue.name], held.public_id)
        beside = functools.partial(order_actions.cancel, self.who[venue.name], prepared.order.public_id)
        return Act(write=Write.SEND, run=run, of=held, writes=max(1, len(prepared.orders)), beside=beside)

    def order(self, venue: Venue) -> Act:
        terms = self.terms(venue, resting=self.dice.random() < 0.4)
        return self.releases(venue, persistent(lambda: preparing.prepare(self.who[venue.name], terms)))

    def bracket(self, venue: Venue) -> Act:
        exits = {"order_class": OrderClass.BRACKET, "take_profit": Decimal(10_000_000), "stop_loss": Decimal(50)}
        terms = self.terms(venue, resting=self.dice.random() < 0.4, **exits)
        return self.releases(venue, persistent(lambda: preparing.prepare(self.who[venue.name], terms)))

    def spread(self, venue: Venue) -> Act:
        rests = self.dice.random() < 0.4
        terms = Terms(
            symbol=venue.spread,
            side=Side.BUY,
            quantity=Decimal(self.next()),
            order_type=OrderType.LIMIT if rests else OrderType.MARKET,
            limit_price=Decimal("0.8") if rests else None,
            tif=venue.tif,
        )
        return self.releases(venue, persistent(lambda: preparing.prepare(self.who[venue.name], terms)))

    def conversion(self, venue: Venue) -> Act:
        side = self.dice.choice((Side.BUY, Side.SELL))
        terms = Terms(
            symbol=venue.main,
            side=side,
            quantity=venue.size(self.next()),
            order_type=OrderType.MARKET,
            tif=venue.tif,
        )
        act = self.releases(venue, persistent(lambda: preparing.prepare(self.who[venue.name], terms)))
        return replace(act, beside=None)  # a cancel would always be the first of the two

    def batch(self, venue: Venue, *, all_or_none: bool = False) -> Act:
        count = self.dice.randint(2, 4)
        items = [preparing.PlanItem(terms=self.terms(venue, resting=self.dice.random() < 0.4)) for _ in range(count)]
        return self.releases(
            venue,
            persistent(
                lambda: preparing.prepare_plan(
                    self.who[venue.name], items, action=Action.BATCH, all_or_none=all_or_none
                )
            ),
        )

    def whole(self, venue: Venue) -> Act:
        return self.batch(venue, all_or_none=True)

    def close(self, venue: Venue) -> Act:
        symbol = self.dice.choice(venue.symbols[1:])
        self.calm()
        venue.give(symbol, self.next())
        return self.releases(venue, persistent(lambda: preparing.prepare_close(self.who[venue.name], symbol)))

    def flatten(self, venue: Venue) -> Act:
        self.calm()
        for symbol in self.dice.sample(venue.symbols[1:], self.dice.randint(1, 2)):
            venue.give(symbol, self.next())
        if self.dice.random() < 0.7:
            self.rest(venue)
        held, _ = persistent(lambda: preparing.prepare_flatten(self.who[venue.name]))
        act = self.releases(venue, held)
        if self.dice.random() < 0.3:
            return Act(write=Write.CANCEL, run=act.run, of=act.of)
        return act

    def rest(self, venue: Venue) -> Order | None:
        """An order that rests at the broker, unharmed. None where the machine was too slow for that."""
        terms = self.terms(venue, resting=True)
        prepared = persistent(lambda: preparing.prepare(self.who[venue.name], terms))
        order = persistent(lambda: order_actions.confirm(self.who[venue.name], prepared.confirmation.public_id))
        self.first_ids.add(order.wire_id)
        return order if order.state in AT_BROKER else None

    def change(self, venue: Venue) -> Act | None:
        who = self.who[venue.name]
        if (order := self.rest(venue)) is None:
            return None
        price = 101 + Decimal(self.next() % 5000).scaleb(-2)
        size = venue.size(self.next()) if self.dice.random() < 0.5 else None
        asked = OrderChanges(limit_price=price, quantity=size)
        held = persistent(lambda: preparing.prepare_change(who, order.public_id, asked)).confirmation
        beside = functools.partial(order_actions.cancel, who, order.public_id)
        run = functools.partial(order_actions.confirm, who, held.public_id)
        return Act(write=Write.CHANGE, run=run, of=held, beside=beside)

    def cancel(self, venue: Venue) -> Act | None:
        if (order := self.rest(venue)) is None:
            return None
        run = functools.partial(order_actions.cancel, self.who[venue.name], order.public_id)
        return Act(write=Write.CANCEL, run=run, order=order)

    # -- what a restart and the beat do ------------------------------------------------------------------------------

    def calm(self) -> None:
        """Time goes by until what is under way has been looked up for long enough."""
        for _ in range(2):
            self.offset += timedelta(seconds=125)
            reconcile.sweep()

    def settle(self) -> None:
        """Sweeps, some of them at once and some of them killed, until nothing is on its way."""
        self.offset += timedelta(seconds=31)
        for venue in self.venues:
            venue.disturb(self.dice)
        children = [fork(self.surprises, reconcile.sweep) for _ in range(2)]
        self.kills["sweep"] += reap(children[0], self.dice.uniform(0, 0.3)) + reap(children[1], None)
        for venue in self.venues:
            venue.mend()
        time.sleep(LATE)
        reconcile.sweep()
        for _ in range(4):
            self.offset += timedelta(seconds=125)
            reconcile.sweep()
            if not (books.under_way().exists() or books.changes_under_way().exists()):
                break
        self.end_resting()

    def end_resting(self) -> None:
        """Most of what rests is taken back, from a broker that breaks; the price meets the rest where it can."""
        for venue in self.venues:
            resting = Order.objects.filter(connection=venue.connection, status__in=AT_BROKER, parent=None)
            for order in resting.order_by("pk"):
                if self.dice.random() < 0.6:
                    _, inside = venue.fault(self.dice, Write.CANCEL)
                    cancel = functools.partial(order_actions.cancel, self.who[venue.name], order.public_id)
                    self.kills["cancel at the end"] += reap(fork(self.surprises, inside, cancel), None)
                    venue.mend()
        reconcile.sweep()
        for venue in self.venues:
            venue.meet_what_rests()
        reconcile.sweep()

    # -- the account of it -------------------------------------------------------------------------------------------

    def account(self) -> dict[str, Any]:
        found: dict[str, list[str]] = {name: [] for name in WRONG}
        counts: Counter[str] = Counter()
        for venue in self.venues:
            books.compare(venue, found, counts, first_ids=self.first_ids)
        surprises = self.surprises.read_text().split("\0") if self.surprises.exists() else []
        found["surprises"] = [each for each in surprises if each]
        answers: dict[str, Counter[str]] = {}
        kinds: dict[str, Counter[str]] = {}
        for trial in self.trials:
            ended = trial.ended()
            kinds.setdefault(trial.label, Counter()).update(ended)
            if trial.kind is Kind.ORDER:
                answers.setdefault(trial.fault, Counter()).update(ended)
        return {
            **found,
            **counts,
            "trials": Counter(each.label for each in self.trials),
            "kills": self.kills,
            "left_by_kill": self.left,
            "answers": answers,
            "kinds": kinds,
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


def fork(surprises: Path, *acts: Callable[[], object]) -> int:
    """A child that does one after another. What is no refusal and no break of ours goes to ``surprises``."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            # What the desk refuses or logs is not what this counts.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            for act in acts:
                act()
        except Refusal:
            pass
        except BaseException as error:
            if str(error) != "Not an answer.":
                with surprises.open("a") as file:
                    file.write(traceback.format_exc() + "\0")
        finally:
            os._exit(0)
    return child


def reap(child: int, patience: float | None) -> int:
    """Wait for its end, or kill it after ``patience`` seconds. 1 when it was killed, by us or by itself."""
    deadline = time.monotonic() + (at_most(20) if patience is None else patience)
    while time.monotonic() < deadline:
        ended, how = os.waitpid(child, os.WNOHANG)
        if ended:
            return int(os.WIFSIGNALED(how))
        time.sleep(0.001)
    if patience is None:
        raise SystemExit("A child did not end.")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def main() -> None:
    trials, seed = int(sys.argv[1]), int(sys.argv[2])
    with exchange_apart() as url, exchange_apart("coinbase") as conversions, exchange_apart("ibkr") as combinations:
        chaos = Chaos(seed, url, conversions, combinations)
        for number in range(trials):
            chaos.trial()
            if number % SETTLED_AFTER == SETTLED_AFTER - 1 or number == trials - 1:
                chaos.settle()
        chaos.settle()
        result = chaos.account()
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
