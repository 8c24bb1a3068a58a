"""Orders that wait, in the fakes of crypto venues: stops that fire on a price, and orders of one group."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.brokers.exchange import CryptoFake, Listing, SimOrder, VenueRefuses

HELD = "held"
"""Status of an order that waits for the first of its group to fill."""


@dataclass(kw_only=True)
class Group:
    """Orders that belong together: the first, and what waits for it; or a pair, without a first."""

    number: int
    name: str
    first: SimOrder | None
    others: list[SimOrder] = field(default_factory=list)
    by_what_arrives: bool = False
    """The others have the quantity that the first one brought, its fee taken off."""

    @property
    def orders(self) -> list[SimOrder]:
        return [*([self.first] if self.first else []), *self.others]


class WaitingOrders(CryptoFake):
    """``move`` is the market: it fills what the price has reached."""

    def __init__(self, listings: list[Listing]) -> None:
        super().__init__(listings)
        self.groups: list[Group] = []
        self.trails: dict[str, Decimal] = {}
        """Order → share of the price that its stop stays behind."""

    def group_of(self, order: SimOrder) -> Group | None:
        return next((each for each in self.groups if any(one is order for one in each.orders)), None)

    def move(self, symbol: str, price: str) -> None:
        """The last price is ``price`` now, bought and sold at."""
        listing = self.listing(symbol)
        listing.bid = listing.ask = listing.last = price
        at = Decimal(price)
        for order in list(self.orders.values()):
            if order.status != "open" or order.wire != listing.wire:
                continue
            if (share := self.trails.get(order.order_id)) is not None:
                sign = 1 if order.side == "buy" else -1
                stop = at * (1 + sign * share)
                order.stop = format(min(stop, Decimal(order.stop)) if sign > 0 else max(stop, Decimal(order.stop)), "f")
            if order.stop:
                if at < Decimal(order.stop) if order.side == "buy" else at > Decimal(order.stop):
                    continue
                order.stop = ""
                self.triggered(order)
            if not order.price or (at <= Decimal(order.price) if order.side == "buy" else at >= Decimal(order.price)):
                self.fill(order, price)

    def triggered(self, order: SimOrder) -> None:
        """Its stop has fired: of a pair this ends the other."""
        group = self.group_of(order)
        for each in group.others if group and order in group.others else []:
            if each is not order and each.status in ("open", HELD):
                self.ended_by_other(each)

    def ended_by_other(self, order: SimOrder) -> None:
        order.status, order.updated = "canceled", self.now()

    def fill(self, order: SimOrder, price: str, amount: str = "") -> None:
        super().fill(order, price, amount)
        group = self.group_of(order)
        if group is None:
            return
        if order is not group.first:
            self.triggered(order)
        elif order.status == "filled":
            self.first_filled(group, order)

    def first_filled(self, group: Group, first: SimOrder) -> None:
        """The others stand from now on."""
        for each in group.others:
            if group.by_what_arrives:
                lot = Decimal(self.listings[first.wire].lot)
                arrived = Decimal(first.filled) - (Decimal(first.fee) if first.fee_in == "base" else 0)
                each.amount = format(arrived // lot * lot, "f")
            each.status = "open"

    def wait(self, group: Group, terms: dict[str, Any]) -> SimOrder:
        """One more of the group, which waits for its first."""
        made = SimOrder(order_id=str(next(self._ids)), created=self.now(), updated=self.now(), status=HELD, **terms)
        if self.by_client(made.client_id) is not None:
            raise VenueRefuses("duplicate")
        self.orders[made.order_id] = made
        group.others.append(made)
        return made

    def take_back(self, order: SimOrder | None) -> SimOrder:
        """With everything of its group that still stands."""
        if order is not None and order.status == HELD:
            order.status = "open"
        ended = super().take_back(order)
        group = self.group_of(ended)
        for each in group.orders if group else []:
            if each.status in ("open", HELD):
                each.status, each.updated = "canceled", self.now()
        return ended

    def on_hold(self, coin: str) -> Decimal:
        """Both of a pair are for the same units."""
        held, pairs = Decimal(0), set[int]()
        for each in self.orders.values():
            listing, group = self.listings.get(each.wire), self.group_of(each)
            if each.status != "open" or listing is None or listing.kind != "spot":
                continue
            if group is not None and each is not group.first:
                if group.number in pairs:
                    continue
                pairs.add(group.number)
            left = Decimal(each.amount) - Decimal(each.filled)
            if each.side == "sell" and listing.base == coin:
                held += left
            elif each.side == "buy" and listing.quote == coin:
                held += left * Decimal(each.price or listing.ask)
        return held
