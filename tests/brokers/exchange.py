"""What the fakes of the crypto venues have in common: orders, fills and balances, without anybody's wire format."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

from tests.brokers.faults import Asked, FakeBroker, Reply
from tests.brokers.sockets import FakeSocket


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(kw_only=True)
class Listing:
    """One instrument. Text, as venues send it."""

    symbol: str
    """Ours: BTC/USDT."""
    wire: str
    """The venue's."""
    base: str
    quote: str
    tick: str
    lot: str
    minimum: str
    least_cost: str = ""
    kind: str = "spot"
    contract: str = "1"
    expires: str = ""
    """When a future does, in milliseconds."""
    bid: str = "29999"
    ask: str = "30001"
    last: str = "30000"


@dataclass(kw_only=True)
class SimTrade:
    trade_id: str
    order_id: str
    wire: str
    side: str
    price: str
    amount: str
    fee: str
    fee_currency: str
    at: int


@dataclass(kw_only=True)
class SimOrder:
    order_id: str
    client_id: str
    wire: str
    side: str
    kind: str
    tif: str = "GTC"
    price: str = ""
    stop: str = ""
    amount: str = ""
    cost: str = ""
    post_only: bool = False
    reduce_only: bool = False
    filled: str = "0"
    average: str = ""
    fee: str = "0"
    status: str = "open"
    """open, filled, canceled"""
    created: int = 0
    updated: int = 0
    trades: list[SimTrade] = field(default_factory=list)
    fee_in: str = "quote"
    """quote or base"""
    reported_as: str = ""
    """A word of the venue's that takes the place of the status, for tests."""
    trail: str = ""
    """How far its stop stays behind the price: 5% or 150."""
    triggered: bool = False
    exits: dict[str, str] = field(default_factory=dict)
    """What the venue places once it has filled, in the venue's words."""
    shrinks: bool = False
    """Made as small as the balance, where that does not cover it."""
    placed_by: str = ""
    """The order whose exit it is."""


class VenueRefuses(Exception):
    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        """duplicate, funds, no_symbol, not_found, ended, too_small, tick, lot, post, bad"""


class CryptoFake(FakeBroker):
    """Subclass: routes and shapes. ``signed`` checks what authenticates a call, by code of its own."""

    FEE = Decimal("0.001")
    REFUSES_SAME_ID = True
    BAD: Reply = (400, {})
    """The answer to a request that lacks what it needs."""
    POST_ONLY_STANDS = True
    """An order that may only rest and would not is taken, and cancelled at once; else it is refused."""
    CLOSED_IDS_STAY = True
    """The venue refuses an id it has seen, even of an order that has ended."""

    def __init__(self, listings: list[Listing]) -> None:
        super().__init__()
        self.listings = {each.wire: each for each in listings}
        self.orders: dict[str, SimOrder] = {}
        self.balances: dict[str, Decimal] = {"USDT": Decimal("100000"), "USD": Decimal("100000"), "BTC": Decimal("2")}
        self.sent: Counter[str] = Counter()
        """Orders that arrived, by our client order id, those a fault then broke included."""
        self.bodies: list[Any] = []
        self.refused: list[str] = []
        """Why requests were not believed."""
        self.misfits: list[str] = []
        """What of a request the venue's documents do not allow, where we have a table of them."""
        self.skew_ms = 0
        """How far the venue's clock is ahead."""
        self.says: list[Reply] = []
        """Answers to the next orders, in place of our own."""
        self._ids = count(700_000_001)

    # -- for subclasses -------------------------------------------------------------------------------------------

    def now(self) -> int:
        return now_ms() + self.skew_ms

    def client_id_of(self, asked: Asked) -> str | None:
        """Our id in a request that places an order; None for any other."""
        raise NotImplementedError

    def speak(self, asked: Asked) -> Reply:
        """The venue's answer to any request."""
        raise NotImplementedError

    def answer(self, asked: Asked) -> Reply:
        if self.says and self.client_id_of(asked) is not None:
            return self.says.pop(0)
        try:
            return self.speak(asked)
        except (KeyError, ValueError, TypeError, ArithmeticError):
            return self.BAD

    def posted(self, asked: Asked) -> None:
        found = self.client_id_of(asked)
        if found is not None:
            self.sent[found] += 1
            self.bodies.append(asked.body)

    def listing(self, symbol: str) -> Listing:
        return next(each for each in self.listings.values() if each.symbol == symbol)

    def by_client(self, client_id: str) -> SimOrder | None:
        return next((each for each in reversed(self.orders.values()) if each.client_id == client_id), None)

    def newest(self, wanted: Callable[[SimOrder], bool] = lambda each: True) -> list[SimOrder]:
        return [each for each in reversed(self.orders.values()) if wanted(each)]

    def trades(self) -> list[SimTrade]:
        return [trade for order in reversed(self.orders.values()) for trade in reversed(order.trades)]

    # -- the market -----------------------------------------------------------------------------------------------

    def place(self, order: Mapping[str, Any]) -> SimOrder:
        made = SimOrder(order_id=str(next(self._ids)), created=self.now(), updated=self.now(), **order)
        listing = self.listings.get(made.wire)
        if listing is None:
            raise VenueRefuses("no_symbol")
        if (
            self.REFUSES_SAME_ID
            and made.client_id
            and any(
                each.client_id == made.client_id and (self.CLOSED_IDS_STAY or each.status == "open")
                for each in self.orders.values()
            )
        ):
            raise VenueRefuses("duplicate")
        price = Decimal(listing.ask if made.side == "buy" else listing.bid)
        if made.cost:
            lot = Decimal(listing.lot)
            made.amount = _text(Decimal(made.cost) / price // lot * lot)
        amount = Decimal(made.amount)
        if amount % Decimal(listing.lot):
            raise VenueRefuses("lot")
        if any(Decimal(each) % Decimal(listing.tick) for each in (made.price, made.stop) if each):
            raise VenueRefuses("tick")
        if amount < Decimal(listing.minimum):
            raise VenueRefuses("too_small")
        at = Decimal(made.price) if made.price else price
        if listing.kind == "spot":
            coin, need = (listing.quote, at * amount) if made.side == "buy" else (listing.base, amount)
            free = self.balances.get(coin, Decimal(0)) - self.on_hold(coin)
            if need > free:
                lot, each = Decimal(listing.lot), at if made.side == "buy" else Decimal(1)
                if not made.shrinks or free / each < Decimal(listing.minimum):
                    raise VenueRefuses("funds")
                made.amount = _text(free / each // lot * lot)
        waits = bool(made.stop or made.trail)
        crosses = not waits and (not made.price or (at >= price if made.side == "buy" else at <= price))
        if crosses and made.post_only and not self.POST_ONLY_STANDS:
            raise VenueRefuses("post")
        self.orders[made.order_id] = made
        self.moved(made)
        if made.trail:
            self.follow(made, Decimal(listing.last))
        if crosses and made.post_only:
            made.status = "canceled"
        elif crosses:
            self.fill(made, str(price))
        elif made.tif in ("IOC", "FOK"):
            made.status = "canceled"
        return made

    def on_hold(self, coin: str) -> Decimal:
        """What open orders keep of it, for their fees nothing."""
        held = Decimal(0)
        for each in self.orders.values():
            listing = self.listings.get(each.wire)
            if each.status != "open" or listing is None or listing.kind != "spot":
                continue
            left = Decimal(each.amount) - Decimal(each.filled)
            if each.side == "sell" and listing.base == coin:
                held += left
            elif each.side == "buy" and listing.quote == coin:
                held += left * Decimal(each.price or each.stop or listing.ask)
        return held

    def fill(self, order: SimOrder, price: str, amount: str = "") -> None:
        """``amount`` or all that is left, at ``price``."""
        listing = self.listings[order.wire]
        part = Decimal(amount or order.amount) if not order.trades else Decimal(amount or "0")
        if not part:
            part = Decimal(order.amount) - Decimal(order.filled)
        worth = part * Decimal(price) * Decimal(listing.contract)
        in_base = order.fee_in == "base"
        fee = (part if in_base else worth) * self.FEE
        order.trades.append(
            SimTrade(
                trade_id=str(next(self._ids)),
                order_id=order.order_id,
                wire=order.wire,
                side=order.side,
                price=price,
                amount=_text(part),
                fee=_text(fee),
                fee_currency=listing.base if in_base else listing.quote,
                at=self.now(),
            )
        )
        filled = sum((Decimal(each.amount) for each in order.trades), Decimal(0))
        order.filled = _text(filled)
        order.average = _text(
            sum((Decimal(each.amount) * Decimal(each.price) for each in order.trades), Decimal(0)) / filled
        )
        order.fee = _text(sum((Decimal(each.fee) for each in order.trades), Decimal(0)))
        order.status = "filled" if filled >= Decimal(order.amount) else "open"
        order.updated = self.now()
        if listing.kind == "spot":
            sign = 1 if order.side == "buy" else -1
            coins, money = sign * part - fee * in_base, -sign * worth - fee * (not in_base)
            self.balances[listing.base] = self.balances.get(listing.base, Decimal(0)) + coins
            self.balances[listing.quote] = self.balances.get(listing.quote, Decimal(0)) + money
        self.moved(order)
        self.filled(order, part)

    def filled(self, order: SimOrder, part: Decimal) -> None:
        """Where the venue places something after a fill."""

    def moved(self, order: SimOrder) -> None:
        """Said on every stream that is signed in."""
        for wire in self.sockets:
            if wire.notes.get("subscribed"):
                wire.say(self.update(wire, order))

    def update(self, wire: FakeSocket, order: SimOrder) -> Any:
        """What the venue's stream says of an order."""
        raise NotImplementedError

    def move(self, symbol: str, price: str) -> None:
        """The market trades at ``price``: trailing stops follow, stops trigger, and what rests there fills."""
        listing = self.listing(symbol)
        listing.bid = listing.ask = listing.last = price
        for each in list(self.orders.values()):
            if each.wire == listing.wire and each.status == "open":
                self.meet(each, Decimal(price))

    def follow(self, order: SimOrder, at: Decimal) -> None:
        """The stop of an order that trails."""
        by = at * Decimal(order.trail[:-1]) / 100 if order.trail.endswith("%") else Decimal(order.trail)
        tick = Decimal(self.listings[order.wire].tick)
        stop = (at + by if order.side == "buy" else at - by) // tick * tick
        best = min if order.side == "buy" else max
        order.stop = _text(best(stop, Decimal(order.stop)) if order.stop else stop)

    def meet(self, order: SimOrder, at: Decimal) -> None:
        buys = order.side == "buy"
        if order.trail:
            self.follow(order, at)
        if order.stop and not order.triggered:
            if at < Decimal(order.stop) if buys else at > Decimal(order.stop):
                return
            order.triggered = True
        if order.price and (at > Decimal(order.price) if buys else at < Decimal(order.price)):
            return
        self.fill(order, _text(at))

    def take_back(self, order: SimOrder | None) -> SimOrder:
        if order is None:
            raise VenueRefuses("not_found")
        if order.status != "open":
            raise VenueRefuses("ended")
        order.status, order.updated = "canceled", self.now()
        self.moved(order)
        return order

    def change(self, order: SimOrder | None, *, amount: str = "", price: str = "", stop: str = "") -> SimOrder:
        if order is None:
            raise VenueRefuses("not_found")
        if order.status != "open":
            raise VenueRefuses("ended")
        order.amount, order.price, order.stop = amount or order.amount, price or order.price, stop or order.stop
        order.updated = self.now()
        self.moved(order)
        listing = self.listings[order.wire]
        best = Decimal(listing.ask if order.side == "buy" else listing.bid)
        if order.stop:
            return order
        at = Decimal(order.price)
        if at >= best if order.side == "buy" else at <= best:
            self.fill(order, str(best))
        return order

    def distrust(self, why: str) -> None:
        self.refused.append(why)


def _text(value: Decimal) -> str:
    return format(value, "f")


__all__ = ["Asked", "CryptoFake", "Listing", "Reply", "SimOrder", "SimTrade", "VenueRefuses", "now_ms"]
