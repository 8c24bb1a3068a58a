"""OKX's algo orders in the fake: nothing is held for them, and one becomes an order when its price is reached."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from brokers.leg_ids import following
from tests.brokers.exchange import Asked, CryptoFake, Listing, Reply, SimOrder, VenueRefuses

WRONG_SIDE = {
    ("tp", "buy"): ("51277", "TP trigger price cannot be higher than the last price."),
    ("sl", "buy"): ("51278", "SL trigger price cannot be lower than the last price."),
    ("tp", "sell"): ("51279", "TP trigger price cannot be lower than the last price."),
    ("sl", "sell"): ("51280", "SL trigger price cannot be higher than the last price."),
}
_TERMS = ("tpTriggerPx", "tpOrdPx", "slTriggerPx", "slOrdPx", "callbackRatio", "callbackSpread", "triggerPx")


@dataclass(kw_only=True)
class Algo:
    algo_id: str
    client_id: str
    wire: str
    side: str
    kind: str
    amount: str
    terms: dict[str, str]
    tag: str = ""
    trade_mode: str = "cash"
    state: str = "live"
    actual: str = ""
    order_id: str = ""
    fail: str = ""
    moving: Decimal | None = None
    """The trigger of a trailing stop."""
    created: int = 0
    updated: int = 0


class AlgoRefused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class AlgoFake(CryptoFake):
    def __init__(self, listings: list[Listing]) -> None:
        super().__init__(listings)
        self.algos: dict[str, Algo] = {}
        self.attached: dict[str, dict[str, str]] = {}
        """Order → the exits that wait for it."""
        self.next_exits: dict[str, str] | None = None
        """Of the order that is placed next."""
        self.exits_late = False
        """It places no exits for now."""
        self.level = "2"

    # -- the market -----------------------------------------------------------------------------------------------

    def move(self, symbol: str, price: str) -> None:
        """The last price is ``price`` now, bought and sold at."""
        listing = self.listing(symbol)
        listing.bid = listing.ask = listing.last = price
        for order in list(self.orders.values()):
            reached = order.price and self._reached(order.side, "tp", order.price, price)
            if order.status == "open" and order.wire == listing.wire and reached:
                self.fill(order, price)
        for algo in list(self.algos.values()):
            if algo.wire == listing.wire and algo.state == "live":
                self._look(algo, price)

    @staticmethod
    def _reached(side: str, half: str, trigger: str, price: str) -> bool:
        """A target to sell is above, and a stop to sell below."""
        rises = (side == "sell") == (half == "tp")
        return Decimal(price) >= Decimal(trigger) if rises else Decimal(price) <= Decimal(trigger)

    def _look(self, algo: Algo, price: str) -> None:
        if algo.kind == "move_order_stop":
            self._trail(algo, Decimal(price))
            if self._reached(algo.side, "sl", str(algo.moving), price):
                self._become(algo, "", "-1")
            return
        for half in ("tp", "sl"):
            if (trigger := algo.terms.get(f"{half}TriggerPx")) and self._reached(algo.side, half, trigger, price):
                self._become(algo, half, algo.terms[f"{half}OrdPx"])
                return

    def _trail(self, algo: Algo, price: Decimal) -> None:
        sign = 1 if algo.side == "buy" else -1
        behind = Decimal(algo.terms.get("callbackSpread") or price * Decimal(algo.terms.get("callbackRatio") or 0))
        stop = price + sign * behind
        best = min if sign > 0 else max
        algo.moving = stop if algo.moving is None else best(algo.moving, stop)

    def _become(self, algo: Algo, half: str, price: str) -> None:
        market = price == "-1"
        terms = {
            "client_id": "",
            "wire": algo.wire,
            "side": algo.side,
            "kind": "market" if market else "limit",
            "price": "" if market else price,
            "amount": algo.amount,
            "fee_in": "base" if self.listings[algo.wire].kind == "spot" and algo.side == "buy" else "quote",
        }
        algo.actual, algo.updated = half, self.now()
        try:
            made = self.place(terms)
        except VenueRefuses:
            algo.state, algo.fail = "order_failed", "51008"
            return
        algo.state, algo.order_id = "effective", made.order_id

    def fill(self, order: SimOrder, price: str, amount: str = "") -> None:
        super().fill(order, price, amount)
        exits = self.attached.get(order.order_id)
        if exits is not None and order.status == "filled":
            self._place_exits(order, exits)

    def take_back(self, order: SimOrder | None) -> SimOrder:
        """What had filled keeps its exits."""
        ended = super().take_back(order)
        exits = self.attached.get(ended.order_id)
        if exits is not None and Decimal(ended.filled):
            self._place_exits(ended, exits)
        return ended

    def _place_exits(self, order: SimOrder, exits: dict[str, str]) -> None:
        if self.exits_late:
            return
        terms = {name: exits[name] for name in _TERMS if name in exits}
        kind = "oco" if {"tpTriggerPx", "slTriggerPx"} <= set(terms) else "conditional"
        side = "sell" if order.side == "buy" else "buy"
        self._keep(exits["attachAlgoClOrdId"], order.wire, side, kind, order.filled, terms)

    def place(self, order: Mapping[str, Any]) -> SimOrder:
        """What it fills at once takes its exits with it."""
        exits, self.next_exits = self.next_exits, None
        made = super().place(order)
        if exits is not None:
            self.attached[made.order_id] = exits
            if made.status == "filled":
                self._place_exits(made, exits)
        return made

    def _keep(self, name: str, wire: str, side: str, kind: str, amount: str, terms: dict[str, str]) -> Algo:
        algo_id = str(next(self._ids))
        made = Algo(
            algo_id=algo_id, client_id=name, wire=wire, side=side, kind=kind, amount=amount, terms=terms,
            created=self.now(), updated=self.now(),
        )  # fmt: skip
        self.algos[algo_id] = made
        return made

    def amount_of_algo(self, client_id: str) -> str | None:
        """Of a live algo order, or of exits that wait. A stop beside a target shares the target's name."""
        names = [(each.client_id, each.terms, each.amount) for each in self.algos.values() if each.state == "live"]
        for order_id, exits in self.attached.items():
            order = self.orders[order_id]
            if order.status == "open":
                names.append((exits["attachAlgoClOrdId"], exits, order.amount))
        for name, terms, amount in names:
            pair = {"tpTriggerPx", "slTriggerPx"} <= set(terms)
            if client_id in ((name, following(name)) if pair else (name,)):
                return amount
        return None

    # -- the wire -------------------------------------------------------------------------------------------------

    def check_exits(self, exits: dict[str, str], side: str, around: str) -> None:
        """On the right side of ``around``, for exits of ``side``."""
        for half in ("tp", "sl"):
            trigger = exits.get(f"{half}TriggerPx")
            if bool(trigger) != (f"{half}OrdPx" in exits):
                raise AlgoRefused("51000", f"Parameter {half}OrdPx error")
            if trigger and self._reached(side, half, trigger, around):
                raise AlgoRefused(*WRONG_SIDE[half, side])

    def take_algo(self, body: dict[str, Any]) -> Algo:
        listing, kind = self.listings.get(body["instId"]), body["ordType"]
        if listing is None:
            raise AlgoRefused("51001", "Instrument ID does not exist.")
        name, terms = str(body.get("algoClOrdId", "")), {each: body[each] for each in _TERMS if body.get(each)}
        spot = listing.kind == "spot"
        if body["tdMode"] not in ((("cross",) if self.level in ("3", "4") else ("cash",)) if spot else ("cross",)):
            raise AlgoRefused("51000", "Parameter tdMode error")
        if spot and body["side"] == "buy" and body.get("tgtCcy", "quote_ccy") != "base_ccy":
            raise AlgoRefused("51000", "Parameter sz error")  # so many USDT, of which no test asks
        if any(each.client_id == name and each.state == "live" for each in self.algos.values() if name):
            raise AlgoRefused("51016", "Duplicated client order ID")
        if Decimal(body["sz"]) % Decimal(listing.lot):
            raise AlgoRefused("51121", "Order quantity must be a multiple of the lot size.")
        halves = {half for half in ("tp", "sl") if f"{half}TriggerPx" in terms}
        wanted = {"oco": halves == {"tp", "sl"}, "conditional": len(halves) == 1, "move_order_stop": not halves}
        if not wanted.get(kind) or (kind == "move_order_stop" and not {"callbackRatio", "callbackSpread"} & set(terms)):
            raise AlgoRefused("51000", "Parameter ordType error")
        self.check_exits(terms, body["side"], listing.last)
        made = self._keep(name, body["instId"], body["side"], kind, body["sz"], terms)
        made.tag, made.trade_mode = body.get("tag", ""), body["tdMode"]
        if kind == "move_order_stop":
            self._trail(made, Decimal(listing.last))
        return made

    def algo_row(self, algo: Algo) -> dict[str, Any]:
        listing = self.listings[algo.wire]
        terms = {name: algo.terms.get(name, "") for name in _TERMS}
        return {
            "activePx": "", "actualPx": "", "actualSide": algo.actual if algo.state == "effective" else "",
            "actualSz": algo.amount if algo.order_id else "0", "algoClOrdId": algo.client_id, "algoId": algo.algo_id,
            "amendPxOnTriggerType": "0", "attachAlgoOrds": [], "cTime": str(algo.created), "ccy": "", "clOrdId": "",
            "closeFraction": "", "failCode": algo.fail, "instId": algo.wire, "instType": listing.kind.upper(),
            "last": listing.last, "lever": "", "linkedOrd": {"ordId": ""},
            "moveTriggerPx": "" if algo.moving is None else format(algo.moving, "f"), "ordId": algo.order_id,
            "ordIdList": [algo.order_id] if algo.order_id else [], "ordPx": "", "ordType": algo.kind,
            "posSide": "net", "quickMgnType": "", "reduceOnly": "false", "side": algo.side, "state": algo.state,
            "slTriggerPxType": "last" if terms["slTriggerPx"] else "", "sz": algo.amount, "tag": algo.tag,
            "tdMode": algo.trade_mode, "tgtCcy": "base_ccy", "tpTriggerPxType": "last" if terms["tpTriggerPx"] else "",
            "triggerPxType": "", "triggerTime": str(algo.updated) if algo.order_id else "",
            "uTime": str(algo.updated), **terms,
        }  # fmt: skip

    def attached_rows(self, order: SimOrder) -> list[dict[str, Any]]:
        exits = self.attached.get(order.order_id)
        if exits is None:
            return []
        blank = dict.fromkeys((*_TERMS, "failCode", "failReason", "sz", "tpOrdKind"), "")
        return [{**blank, "attachAlgoId": _id_of_exits(order), "amendPxOnTriggerType": "0", **exits}]

    def _meant_algo(self, asked: dict[str, Any]) -> Algo | None:
        found = self.algos.get(str(asked.get("algoId") or ""))
        if found is None and (name := asked.get("algoClOrdId")):
            found = next((each for each in reversed(self.algos.values()) if each.client_id == name), None)
        return found

    def _trade_order_algo(self, asked: Asked) -> Reply:
        if asked.method == "GET":
            found = self._meant_algo(dict(asked.query))
            if found is None:
                return 200, {"code": "51603", "msg": "Order does not exist", "data": []}
            return 200, {"code": "0", "msg": "", "data": [self.algo_row(found)]}
        body = {name: value for name, value in asked.body.items() if value not in ("", [])}
        try:
            made = self.take_algo(body)
        except AlgoRefused as refused:
            return 200, _told("", "", refused.code, refused.message)
        return 200, _told(made.algo_id, made.client_id)

    def _trade_cancel_algos(self, asked: Asked) -> Reply:
        (one,) = asked.body
        found = self._meant_algo(one)
        if found is None or found.wire != one["instId"] or found.state != "live":
            return 200, _told(one.get("algoId", ""), "", "51400", "Cancellation failed as the order does not exist.")
        found.state, found.updated = "canceled", self.now()
        return 200, _told(found.algo_id, "")

    def _trade_amend_algos(self, asked: Asked) -> Reply:
        body = {name: value for name, value in asked.body.items() if value not in ("", [])}
        if "instId" not in body:
            return 200, _told("", "", "50014", "Parameter instId can not be empty.")
        found = self._meant_algo(body)
        if found is None or found.wire != body["instId"] or found.state != "live" or found.kind == "move_order_stop":
            return 200, _told(body.get("algoId", ""), "", "51503", "Modification failed as the order does not exist.")
        try:
            terms = {**found.terms, **_new(body)}
            self.check_exits(terms, found.side, self.listings[found.wire].last)
        except AlgoRefused as refused:
            return 200, _told(found.algo_id, found.client_id, refused.code, refused.message)
        found.terms, found.amount, found.updated = terms, body.get("newSz", found.amount), self.now()
        return 200, _told(found.algo_id, found.client_id)

    def _trade_orders_algo_pending(self, asked: Asked) -> Reply:
        return self._algo_list(asked, lambda each: each.state == "live")

    def _trade_orders_algo_history(self, asked: Asked) -> Reply:
        return self._algo_list(asked, lambda each: each.state == asked.query["state"])

    def _algo_list(self, asked: Asked, fits: Any) -> Reply:
        kinds, after = asked.query["ordType"].split(","), int(asked.query.get("after", 10**18))
        rows = [
            self.algo_row(each)
            for each in reversed(self.algos.values())
            if each.kind in kinds and fits(each) and asked.query.get("instId", each.wire) == each.wire
            and int(each.algo_id) < after
        ]  # fmt: skip
        return 200, {"code": "0", "msg": "", "data": rows[: int(asked.query.get("limit", 100))]}

    def amend_attached(self, order: SimOrder, new: list[dict[str, str]]) -> None:
        """Raises AlgoRefused."""
        exits = self.attached.get(order.order_id)
        (one,) = new
        names = {"attachAlgoId": _id_of_exits(order), "attachAlgoClOrdId": (exits or {}).get("attachAlgoClOrdId")}
        given = {name: one[name] for name in names if name in one}
        if exits is None or not given or any(names[name] != value for name, value in given.items()):
            raise AlgoRefused("51000", "Parameter attachAlgoOrds error")
        self.attached[order.order_id] = {**exits, **_new(one)}


def _id_of_exits(order: SimOrder) -> str:
    return f"9{order.order_id}"


def _new(body: dict[str, str]) -> dict[str, str]:
    names = {f"new{name[0].upper()}{name[1:]}": name for name in _TERMS}
    return {names[name]: value for name, value in body.items() if name in names}


def _told(algo_id: str, client_id: str, code: str = "0", message: str = "") -> dict[str, Any]:
    row = {"algoClOrdId": client_id, "algoId": algo_id, "clOrdId": "", "sCode": code, "sMsg": message, "tag": ""}
    return {"code": "0" if code == "0" else "1", "msg": "", "data": [row]}
