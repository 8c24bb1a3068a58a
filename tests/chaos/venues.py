"""The brokers of the trials: one over a wire, where a changed order is a new one; paper, which changes an order in
place and takes exits; one that converts what is asked for by a quote; one for several options in one order. What each
received and what stands there is the truth of the trials.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from django.utils import timezone

from brokers import registry
from brokers.coinbase.adapter import CoinbaseBroker
from brokers.errors import BrokerError, BrokerUnavailable, DuplicateClientId, Rejected, UnknownOutcome
from brokers.ibkr import adapter as ibkr_adapter
from brokers.ibkr import session as ibkr_session
from brokers.paper.adapter import PaperBroker
from brokers.types import BrokerOrder, OrderChanges, OrderRequest, OrderType, Quote, Side, TimeInForce
from console.accounts.models import User
from console.connections import paper_linking as paper_connections
from console.connections import vault
from console.connections.models import Connection, Policy
from console.limits import Limits
from console.orders.models import Order
from console.orders.states import FROM_BROKER, Status
from tests.brokers.alpaca.fake import ACCOUNT, KEY_ID, SECRET
from tests.brokers.coinbase import fake as coinbase
from tests.brokers.faults import SENDING, Fault, as_control
from tests.brokers.ibkr import fake as ibkr
from tests.chaos.exchange import CONVERTIBLE
from tests.patience import at_most, lasting

LATE = lasting(0.3)
"""Seconds after which the exchange does what was long given up."""
TIMEOUTS = {"connect": lasting(0.5), "read": lasting(0.15), "total": lasting(0.4)}


class Write(StrEnum):
    SEND = "send"
    CHANGE = "change"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """An order as it stands at the broker, under the id it goes by there now."""

    status: Status
    quantity: Decimal
    limit_price: Decimal | None
    filled: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    orders: Mapping[str, There]
    """By client order id."""
    replaced: frozenset[str]
    """Ids of those that a change made another order of."""
    sent: Sequence[str]
    """The id in every order that arrived, broken ones included."""
    changed: Sequence[str]
    """The same for changes: the id each was given by us."""
    gained: Mapping[str, Decimal]
    """Symbol → what it holds now beyond what it was given."""
    broken_rules: Sequence[str] = ()


class Venue(Protocol):
    name: str
    connection: Connection
    main: str
    """The symbol in which orders rest and rests are filled."""
    symbols: tuple[str, ...]
    tif: TimeInForce
    lacks: frozenset[str]
    """Kinds of trials that are not for it."""
    spread: str
    """Several options in one order; empty where it takes none here."""
    opens_in: float
    """Seconds that a process takes before its first call."""
    in_place: bool
    """Whether a changed order stays the same order."""

    def fault(self, dice: random.Random, write: Write, nth: int = 0) -> tuple[str, Callable[[], None]]:
        """Break the write after the next ``nth``, or nothing. Its name, and what a child does first."""

    def disturb(self, dice: random.Random) -> None:
        """Break a few writes and lookups of whoever comes next."""

    def mend(self) -> None: ...

    def size(self, number: int) -> Decimal:
        """A quantity of its own for each number."""

    def give(self, symbol: str, number: int) -> None:
        """A position from nowhere."""

    def meet_what_rests(self) -> None:
        """Let the price come to the orders that rest, where that can be told."""

    def truth(self) -> Truth: ...


# -- over a wire -----------------------------------------------------------------------------------------------------

_METHODS = {Write.SEND: "POST", Write.CHANGE: "PATCH", Write.CANCEL: "DELETE"}
_PASSES = Fault(kind="slow", effect=True, seconds=0.001)
_READS = tuple(
    Fault(kind=kind, effect=False, method="GET", path="/v2/orders:by")
    for kind in ("hang", "cut", "half", "reset", "500", "429", "404", "garbage", "empty", "null", "other")
)


class Alpaca:
    name = "alpaca"
    main = "AAPL"
    symbols: tuple[str, ...] = ("AAPL", "MSFT", "NVDA")
    tif = TimeInForce.DAY
    lacks = frozenset({"bracket", "conversion"})
    spread = "AAPL+260618C250-C260"
    opens_in = 0.0
    in_place = False

    def __init__(self, owner: User, url: str) -> None:
        registry.CALLS_PER_MINUTE["alpaca"] = 10**9  # the fake has no such limit
        self.url = url
        self.connection = Connection.objects.create(
            owner=owner,
            name="Alpaca",
            broker="alpaca",
            environment="paper",
            trading_enabled=True,
            default_account=ACCOUNT,
            currency="USD",
            settings={
                "environment": "paper",
                "account": ACCOUNT,
                "trading_url": url,
                "data_url": url,
                "timeouts": TIMEOUTS,
            },
        )
        self.connection.sealed = vault.seal(self.connection.pk, "alpaca", {"key_id": KEY_ID, "secret": SECRET})
        self.connection.save(update_fields=["sealed"])

    def control(self, what: str, told: Any = None) -> Any:
        return ask_fake(self.url, what, told)

    def fault(self, dice: random.Random, write: Write, nth: int = 0) -> tuple[str, Callable[[], None]]:
        kinds = [each for each in SENDING if write is not Write.CANCEL or each.kind != "duplicate"]
        chosen: Fault | None = dice.choice((None, None, None, None, *kinds))
        if chosen is None:
            return "none", _nothing
        method = _METHODS[write]
        self.control("faults", as_control(*(replace(each, method=method) for each in (*[_PASSES] * nth, chosen))))
        return chosen.kind + (" after" if chosen.effect else ""), _nothing

    def disturb(self, dice: random.Random) -> None:
        writes = [replace(each, method=dice.choice(["POST", "DELETE"])) for each in dice.sample(SENDING, 3)]
        self.control("faults", as_control(*writes, *dice.sample(_READS, 3)))

    def mend(self) -> None:
        self.control("faults", [])

    def size(self, number: int) -> Decimal:
        return Decimal(number).scaleb(-6)

    def give(self, symbol: str, number: int) -> None:
        self.control("give", {"symbol": symbol, "size": str(self.size(number))})

    def meet_what_rests(self) -> None:
        self.control("price", {"symbol": self.main, "price": "90"})
        self.control("price", {"symbol": self.main, "price": "181.5"})
        for price in ("3.5", "4.2"):  # a spread is worth 0.60, and again 1.30
            self.control("price", {"symbol": "AAPL260618C00250000", "price": price})

    def truth(self) -> Truth:
        return alpaca_truth(self.control("state"))


def alpaca_truth(state: Mapping[str, Any]) -> Truth:
    """What the fake's ``state`` says."""
    ended = {"filled": Status.FILLED, "new": Status.WORKING, "canceled": Status.CANCELLED}
    told = state["orders"]
    return Truth(
        orders={
            each["client_order_id"]: There(
                status=ended[each["status"]],
                quantity=Decimal(each["qty"]),
                limit_price=None if each["limit_price"] is None else Decimal(each["limit_price"]),
                filled=Decimal(each["filled_qty"]),
            )
            for each in told
            if each["status"] != "replaced" and not each.get("parent")
        },
        replaced=frozenset(each["client_order_id"] for each in told if each["status"] == "replaced"),
        sent=[body["client_order_id"] for body in state["sent"]],
        changed=state["changed"],
        gained={
            symbol: Decimal(state["held"].get(symbol, "0")) - Decimal(given) for symbol, given in state["given"].items()
        },
        broken_rules=state["violations"],
    )


def ask_fake(url: str, what: str, told: Any) -> Any:
    request = urllib.request.Request(f"{url}/-/{what}", json.dumps(told).encode(), method="POST")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=at_most(10)) as answer:
        body = answer.read()
    return json.loads(body) if body else None


def _nothing() -> None:
    pass


@contextlib.contextmanager
def exchange_apart(*which: str) -> Iterator[str]:
    """The fake Alpaca, or the one of ``which``, in a process of its own; its address."""
    command = [sys.executable, "-m", "tests.chaos.exchange", str(LATE), *which]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        if "coinbase" in which:
            process.stdin.write(json.dumps(coinbase.SECRET) + "\n")
            process.stdin.flush()
        yield process.stdout.readline().strip()
        process.stdin.close()


_CONVERT = "/api/v3/brokerage/convert/"


class CoinbaseInStep(CoinbaseBroker):
    """Its prices are of now by the clock of the trials, which leaps."""

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        return [replace(each, as_of=timezone.now()) for each in super().quotes(symbols)]


class Coinbase:
    """Conversions alone: each is known there by the id of its quote."""

    name = "coinbase"
    main = "USDC/USD"
    symbols: tuple[str, ...] = ("USDC/USD",)
    tif = TimeInForce.IOC
    lacks = frozenset(
        {"order", "change", "cancel", "batch", "all-or-none batch", "bracket", "spread", "close", "flatten"}
    )
    spread = ""
    opens_in = 0.5
    in_place = True

    def __init__(self, owner: User, url: str) -> None:
        registry.CALLS_PER_MINUTE["coinbase"] = 10**9
        registry._ADAPTERS["coinbase"] = CoinbaseInStep.open
        self.url = url
        self.connection = Connection.objects.create(
            owner=owner,
            name="Coinbase",
            broker="coinbase",
            environment="live",
            trading_enabled=True,
            policy=Policy.TWO_STEP,
            confirmation_delay=0,
            default_account=coinbase.PORTFOLIO,
            currency="USD",
            limits=Limits(order_notional=Decimal(10**6), daily_notional=Decimal(10**9)).stored(),
            settings={"environment": "live", "base_url": url, "timeout": TIMEOUTS["total"], "per_second": 1000},
        )
        keys = {"api_key": coinbase.KEY, "secret": coinbase.SECRET}
        self.connection.sealed = vault.seal(self.connection.pk, "coinbase", keys)
        self.connection.save(update_fields=["sealed"])

    def control(self, what: str, told: Any = None) -> Any:
        return ask_fake(self.url, what, told)

    def fault(self, dice: random.Random, write: Write, nth: int = 0) -> tuple[str, Callable[[], None]]:
        self.control("takes", dice.choice(("", "", "TRADE_STATUS_STARTED", "TRADE_STATUS_CANCELED")))
        kinds = [each for each in SENDING if each.kind != "duplicate"]
        chosen: Fault | None = dice.choice((None, None, None, *kinds))
        if chosen is None:
            return "none", _nothing
        path = _CONVERT + dice.choice(("quote", "trade/", "trade/"))
        self.control("faults", as_control(replace(chosen, method="POST", path=path)))
        return chosen.kind + (" after" if chosen.effect else ""), _nothing

    def disturb(self, dice: random.Random) -> None:
        some = [each for each in dice.sample(SENDING, 2) if each.kind != "duplicate"]
        looks = [replace(each, method="GET", path=_CONVERT + "trade/", effect=True) for each in some]
        self.control("faults", as_control(*looks))

    def mend(self) -> None:
        self.control("faults", [])

    def size(self, number: int) -> Decimal:
        return Decimal(number).scaleb(-2)

    def give(self, symbol: str, number: int) -> None:
        """What can be converted is there."""

    def meet_what_rests(self) -> None:
        self.control("complete")

    def truth(self) -> Truth:
        state = self.control("state")
        rows = Order.objects.filter(connection=self.connection).exclude(broker_order_id="")
        ours = dict(rows.values_list("broker_order_id", "wire_id"))
        ended = {"COMPLETED": Status.FILLED, "STARTED": Status.WORKING, "CANCELED": Status.REJECTED}
        made = {ours.get(each["id"], each["id"]): each for each in state["trades"] if "CREATED" not in each["status"]}
        sizes = {name: Decimal(each["amount"]["value"]) for name, each in made.items()}
        return Truth(
            orders={
                name: There(
                    status=ended[each["status"].removeprefix("TRADE_STATUS_")],
                    quantity=sizes[name],
                    limit_price=None,
                    filled=sizes[name] if "COMPLETED" in each["status"] else Decimal(0),
                )
                for name, each in made.items()
            },
            replaced=frozenset(),
            sent=[ours.get(each, each) for each in state["sent"]],
            changed=[],
            gained={self.main: Decimal(state["held"]) - CONVERTIBLE},
        )


class Ibkr:
    """Several options in one order, at a gateway of Interactive Brokers."""

    name = "ibkr"
    main = ""
    symbols: tuple[str, ...] = ()
    tif = TimeInForce.DAY
    lacks = Coinbase.lacks - {"spread"} | {"conversion"}
    spread = "AAPL+291221C180-C185"
    opens_in = 0.3
    in_place = True

    def __init__(self, owner: User, url: str) -> None:
        registry.CALLS_PER_MINUTE["ibkr"] = 10**9
        vars(ibkr_session)["LIST_EVERY"] = vars(ibkr_adapter)["_PRICE_PAUSE"] = 0.0
        self.url = url
        own = {"environment": "paper", "base_url": url + ibkr.BASE, "timeouts": TIMEOUTS}
        self.connection = Connection.objects.create(
            owner=owner,
            name="IBKR",
            broker="ibkr",
            environment="paper",
            trading_enabled=True,
            default_account=ibkr.PAPER,
            currency="USD",
            settings=own,
        )
        self.connection.sealed = vault.seal(self.connection.pk, "ibkr", {})
        self.connection.save(update_fields=["sealed"])

    def control(self, what: str, told: Any = None) -> Any:
        return ask_fake(self.url, what, told)

    def fault(self, dice: random.Random, write: Write, nth: int = 0) -> tuple[str, Callable[[], None]]:
        chosen: Fault | None = dice.choice((None, None, None, *SENDING))
        if chosen is None or (write is Write.CANCEL and chosen.kind == "duplicate"):
            return "none", _nothing
        self.control("faults", as_control(replace(chosen, method=_METHODS[write])))
        return chosen.kind + (" after" if chosen.effect else ""), _nothing

    def disturb(self, dice: random.Random) -> None:
        self.control("faults", as_control(*(replace(each, method="DELETE") for each in dice.sample(SENDING[:-1], 2))))

    def mend(self) -> None:
        self.control("faults", [])

    def size(self, number: int) -> Decimal:
        return Decimal(number)

    def give(self, symbol: str, number: int) -> None:
        """Nothing is closed here."""

    def meet_what_rests(self) -> None:
        self.control("meet")

    def truth(self) -> Truth:
        state = self.control("state")
        ended = {"Filled": Status.FILLED, "Submitted": Status.WORKING, "Cancelled": Status.CANCELLED}
        return Truth(
            orders={
                each["order_ref"]: There(
                    status=ended[each["status"]],
                    quantity=Decimal(each["totalSize"]),
                    limit_price=None if each["price"] is None else Decimal(each["price"]),
                    filled=Decimal(each["filledQuantity"]),
                )
                for each in state["orders"]
            },
            replaced=frozenset(),
            sent=state["sent"],
            changed=[],
            gained={},
            broken_rules=state["violations"],
        )


# -- paper -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """What happens to one call of the adapter, and whether the broker did what was asked before it does."""

    kind: str
    """lost, nonsense, refused, unreachable, duplicate, slow, or killed."""
    effect: bool


_BREAKS = (
    *(Break(kind=kind, effect=effect) for kind in ("lost", "nonsense", "killed") for effect in (False, True)),
    *(Break(kind=kind, effect=False) for kind in ("refused", "unreachable")),
    *(Break(kind=kind, effect=True) for kind in ("duplicate", "slow")),
)

T = TypeVar("T")


class BreakingPaper(PaperBroker):
    """Paper, with a log of the calls that reach it, and the breaks of this process."""

    log: ClassVar[Path]
    breaks: ClassVar[dict[Write, list[Break | None]]] = {}
    lookups: ClassVar[list[BrokerError]] = []

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        answer = super().submit
        return self._through(Write.SEND, request.client_order_id, lambda: answer(account_id, request))

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        answer = super().replace
        return self._through(
            Write.CHANGE,
            new_client_order_id,
            lambda: answer(account_id, client_order_id, changes, new_client_order_id),
        )

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        answer = super().cancel
        return self._through(Write.CANCEL, client_order_id, lambda: answer(account_id, client_order_id, symbol=symbol))

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        if self.lookups:
            raise self.lookups.pop()
        return super().order(account_id, client_order_id, symbol=symbol)

    def _through(self, write: Write, name: str, act: Callable[[], T]) -> T:
        with self.log.open("a") as log:  # one short line at the end of the file is one write
            log.write(f"{write} {name}\n")
        waiting = self.breaks.get(write) or [None]
        chosen = waiting.pop(0)
        if chosen is None:
            return act()
        answer = act() if chosen.effect else None
        match chosen.kind:
            case "lost":
                raise UnknownOutcome("No answer arrived.")
            case "nonsense":
                raise ValueError("Not an answer.")
            case "refused":
                raise Rejected("The broker says no.")
            case "unreachable":
                raise BrokerUnavailable("The broker cannot be reached.")
            case "duplicate":
                raise DuplicateClientId("The broker has that order.")
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(LATE)
        assert answer is not None
        return answer


class Paper:
    name = "paper"
    main = "BTC/USD"
    symbols: tuple[str, ...] = ("BTC/USD", "AAPL", "MSFT")
    tif = TimeInForce.GTC
    lacks = frozenset({"spread", "conversion"})
    spread = ""
    opens_in = 0.0
    in_place = True

    def __init__(self, owner: User, log: Path) -> None:
        BreakingPaper.log = log
        log.touch()
        registry._ADAPTERS["paper"] = lambda settings: BreakingPaper.open(settings, clock=lambda: timezone.now())
        self.connection = paper_connections.link_paper(owner, name="Practice", starting_cash=Decimal(10**9))

    @property
    def broker(self) -> PaperBroker:
        return PaperBroker.open(self.connection.settings, clock=lambda: timezone.now())

    def fault(self, dice: random.Random, write: Write, nth: int = 0) -> tuple[str, Callable[[], None]]:
        chosen: Break | None = dice.choice((None, None, None, *_BREAKS))
        if chosen is None:
            return "none", _nothing

        def inside() -> None:
            BreakingPaper.breaks[write] = [*[None] * nth, chosen]

        return chosen.kind + (" after" if chosen.effect else ""), inside

    def disturb(self, dice: random.Random) -> None:
        # Not "killed": the sweeps of the trials' own process meet these too.
        some = [each for each in _BREAKS if each.kind != "killed"]
        BreakingPaper.breaks = {write: [dice.choice(some)] for write in Write}
        BreakingPaper.lookups = [BrokerUnavailable("Not now."), UnknownOutcome("No answer arrived.")]

    def mend(self) -> None:
        BreakingPaper.breaks, BreakingPaper.lookups = {}, []

    def size(self, number: int) -> Decimal:
        return Decimal(number).scaleb(-3)

    def give(self, symbol: str, number: int) -> None:
        size = self.size(number) if "/" in symbol else Decimal(number)
        bought = OrderRequest(
            client_order_id=f"given-{number}",
            symbol=symbol,
            side=Side.BUY,
            order_type=OrderType.MARKET,
            quantity=size,
            tif=TimeInForce.GTC,
        )
        self.broker.submit(self.connection.default_account, bought)

    def meet_what_rests(self) -> None:
        """Its price goes where it goes."""

    def truth(self) -> Truth:
        account = self.connection.default_account
        arrived = [line.split() for line in BreakingPaper.log.read_text().splitlines()]
        gained = dict.fromkeys(self.symbols, Decimal(0))
        gained |= {each.symbol: each.quantity for each in self.broker.positions(account)}
        orders = {}
        for each in self.broker.orders(account, limit=10**6):
            if each.client_order_id.startswith("given-"):
                gained[each.symbol] -= each.filled_quantity
                continue
            assert each.quantity is not None
            orders[each.client_order_id] = There(
                status=FROM_BROKER[each.status],
                quantity=each.quantity,
                limit_price=each.limit_price,
                filled=each.filled_quantity,
            )
        return Truth(
            orders=orders,
            replaced=frozenset(),
            sent=[name for write, name in arrived if write == Write.SEND],
            changed=[name for write, name in arrived if write == Write.CHANGE],
            gained=gained,
        )
