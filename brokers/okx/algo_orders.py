"""OKX's algo orders: stops, trailing stops, pairs, and the exits that hang on an order.

A profit target and a stop are one algo order there, with one id: that of the target. The stop's is the one that
follows from it (``brokers.leg_ids``), as the target's follows from the order they hang on.
Source: www.okx.com/docs-v5/en/ (order book trading, algo trading; place order, ``attachAlgoOrds``).
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.crypto import order_checks, parse, unknown_word_counts
from brokers.decimals import plain
from brokers.errors import NotSupported
from brokers.json_values import quoted_text
from brokers.leg_ids import following
from brokers.types import LegRequest, OrderChanges, OrderClass, OrderRequest, OrderType, Side, TimeInForce

VENUE = "OKX"
TARGET, STOP = "tp", "sl"
KINDS = ("conditional,oco", "move_order_stop", "trigger")
"""What one question about algo orders can be of."""
ENDED = ("effective", "canceled", "order_failed")
_PAIR = "pair"
"""Tag of two orders that were sent as a pair, and are not the exits of another."""
_AT_MARKET = "-1"
_STATUS = {
    "live": "open",
    "pause": "open",
    "partially_effective": "open",
    "effective": "closed",
    "canceled": "canceled",
    "order_failed": "rejected",
    "partially_failed": "rejected",
}
_WITH_THE_OTHER = "OKX ended it when the other order of the pair was triggered."
_ENDED_ENTRY = frozenset({"filled", "canceled", "mmp_canceled"})
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One order of ours in a row that may stand for two."""

    client_order_id: str
    half: str
    """TARGET, STOP, or "" of what is neither."""
    order_class: OrderClass = OrderClass.SIMPLE
    parent: str = ""


def check(request: OrderRequest) -> None:
    """Raises NotSupported, InvalidOrder."""
    if any(leg.order_type is OrderType.TRAIL for leg in request.legs):
        raise NotSupported("At OKX an exit is a LMT, STP or STP_LIMIT order, not a trailing stop.")
    if request.post_only and request.order_class is OrderClass.OCO:
        raise NotSupported("At OKX a pair is not post-only.")
    if request.trail_percent is not None and request.trail_percent * 100 % 1:
        raise NotSupported("OKX accepts trail_percent in steps of 0.01.")
    target_first = sorted(request.legs, key=lambda leg: leg.order_type is not OrderType.LIMIT)
    order_checks.check_ids(replace(request, legs=tuple(target_first)))


def is_algo(request: OrderRequest) -> bool:
    """Whether it goes out as an algo order, and not as an order with or without exits."""
    stops = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAIL)
    return request.order_class is OrderClass.OCO or request.order_type in stops


def body(request: OrderRequest, instrument_id: str, trade_mode: str, *, spot: bool) -> dict[str, Any]:
    """Of POST trade/order-algo. ``clOrdId`` is no field of its documents: without it ccxt adds one, and a tag, of its
    own. It is a name that nothing else has, should the order that is triggered be called so."""
    told: dict[str, Any] = {
        "instId": instrument_id,
        "tdMode": trade_mode,
        "side": request.side.value.lower(),
        "sz": plain(request.units),
        "algoClOrdId": request.client_order_id,
        "clOrdId": uuid.uuid5(uuid.NAMESPACE_OID, request.client_order_id).hex,
    }
    if spot and request.side is Side.BUY:
        told["tgtCcy"] = "base_ccy"
    if request.reduce_only:
        told["reduceOnly"] = True
    if request.order_class is OrderClass.OCO:
        (stop,) = request.legs
        return told | {"ordType": "oco", "tag": _PAIR} | _half(request) | _half(stop)
    if request.order_type is not OrderType.TRAIL:
        return told | {"ordType": "conditional"} | _half(request)
    told["ordType"] = "move_order_stop"
    if request.trail_percent is not None:
        told["callbackRatio"] = plain(request.trail_percent / 100)
    elif request.trail_amount is not None:
        told["callbackSpread"] = plain(request.trail_amount)
    return told


def attached(request: OrderRequest) -> list[dict[str, str]]:
    """``attachAlgoOrds`` of POST trade/order."""
    told = {"attachAlgoClOrdId": following(request.client_order_id)}
    for leg in request.legs:
        told |= _half(leg)
    return [told]


def _half(order: OrderRequest | LegRequest, new: str = "") -> dict[str, str]:
    """A limit is a target that is placed at its price when that is reached: OKX takes it for its trigger too."""
    target = order.order_type is OrderType.LIMIT
    name, trigger = ("tp", order.limit_price) if target else ("sl", order.stop_price)
    assert trigger is not None
    name = f"new{name.capitalize()}" if new else name
    price = _AT_MARKET if order.limit_price is None else plain(order.limit_price)
    told = {f"{name}TriggerPx": plain(trigger), f"{name}OrdPx": price}
    return told if new else {**told, f"{name}TriggerPxType": "last"}


def created(answer: Any, client_order_id: str) -> str:
    row = _done(answer)
    return str(row.get("algoId") or "") if row and row.get("algoClOrdId") == client_order_id else ""


def is_amended(answer: Any, found: parse.Answer) -> bool:
    """Of a change: taken for the algo order, for the order that it became, or for the order whose exits wait."""
    row = _done(answer) or {}
    if "entry" in found:
        return bool(row) and row.get("ordId") == found["entry"]["ordId"]
    child = found.get("child")
    return bool(row) and (row.get("ordId") == child if child else row.get("algoId") == found["algo"]["algoId"])


def _done(answer: Any) -> Row | None:
    """The one row of an answer that tells of no error."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or len(rows) != 1 or not isinstance(rows[0], dict) or str(answer.get("code")) != "0":
        return None
    return rows[0] if str(rows[0].get("sCode")) == "0" else None


def amend(wanted: OrderRequest, changes: OrderChanges, found: parse.Answer) -> dict[str, Any]:
    """Of POST trade/amend-algos; of exits that still wait the part of POST trade/amend-order. Raises NotSupported."""
    part: Part = found["part"]
    if changes.quantity is not None and part.order_class is not OrderClass.SIMPLE:
        raise NotSupported("At OKX an exit has the quantity of its order, and both orders of a pair have one.")
    told: dict[str, Any] = _half(wanted, "new")
    return told if changes.quantity is None else {**told, "newSz": plain(changes.quantity)}


def parts(row: Row) -> list[Part]:
    """Of an algo order."""
    ours = str(row.get("algoClOrdId") or "")
    halves = _halves(row)
    if len(halves) < 2:
        return [Part(client_order_id=ours, half=halves[0] if halves else "")]
    pair = row.get("tag") == _PAIR
    kind = OrderClass.OCO if pair else OrderClass.BRACKET
    return [
        Part(client_order_id=ours, half=TARGET, order_class=kind),
        Part(client_order_id=following(ours), half=STOP, order_class=kind, parent=ours if pair else ""),
    ]


def waiting(row: Row) -> Iterator[tuple[Part, Row]]:
    """Of an order: each exit that hangs on it, with its terms."""
    for each in row.get("attachAlgoOrds") or ():
        halves, ours = _halves(each), str(each.get("attachAlgoClOrdId") or "")
        kind = OrderClass.BRACKET if len(halves) > 1 else OrderClass.OTO
        for half in halves:
            name = following(ours) if half == STOP and len(halves) > 1 else ours
            parent = str(row.get("clOrdId") or "")
            yield Part(client_order_id=name, half=half, order_class=kind, parent=parent), each


def _halves(row: Row) -> list[str]:
    found = [half for half in (TARGET, STOP) if parse.positive(row.get(f"{half}TriggerPx")) is not None]
    limit = row.get("tpOrdKind") == "limit" and TARGET not in found and parse.positive(row.get("tpOrdPx")) is not None
    return [TARGET, *found] if limit else found


def terms(row: Row, part: Part, *, quantity: Any, held: bool = False, reason: str = "") -> parse.VenueTerms:
    """Of one part of a row of an algo order, or of exits that wait."""
    word = str(row.get("ordType") or "")
    size = parse.positive(quantity)
    if part.half:
        trigger, limit = parse.positive(row.get(f"{part.half}TriggerPx")), _price(row.get(f"{part.half}OrdPx"))
        if part.half == STOP:
            kind: OrderType | None = OrderType.STOP if limit is None else OrderType.STOP_LIMIT
        else:
            # A target at another price than its trigger, or at the market's, has no word here.
            kind = OrderType.LIMIT if limit is not None and trigger in (None, limit) else None
            trigger = None if kind is OrderType.LIMIT else trigger
        ratio = spread = None
    else:
        ratio, spread = parse.positive(row.get("callbackRatio")), parse.positive(row.get("callbackSpread"))
        kind = OrderType.TRAIL if word == "move_order_stop" and (ratio or spread) else None
        trigger = parse.positive(row.get("moveTriggerPx")) or parse.positive(row.get("triggerPx"))
        limit = _price(row.get("ordPx"))
        if kind is None and word not in ("trigger", "twap", "iceberg", "chase", "smart_iceberg"):
            unknown_word_counts.note(VENUE, "order type", word)
    return parse.VenueTerms(
        order_type=kind,
        tif=TimeInForce.GTC,
        quantity=size,
        limit_price=limit,
        stop_price=trigger,
        trail_percent=None if ratio is None else ratio * 100,
        trail_amount=spread,
        reason=reason,
        order_class=part.order_class,
        parent_client_order_id=part.parent,
        held=held,
    )


def _price(value: Any) -> Decimal | None:
    """None for what is done at the market."""
    return parse.positive(value)


def answer(row: Row, part: Part, symbol: str, child: parse.Answer | None) -> parse.Answer:
    """One order in the form of ccxt. ``child`` is the order that was made when this one was triggered."""
    state = str(row.get("state") or "")
    if state not in _STATUS:
        unknown_word_counts.note(VENUE, "order status", state)
    status, reason = _STATUS.get(state, "open"), ""
    if status == "rejected":
        reason = f"OKX could not place it ({quoted_text(row.get('failCode')) or 'no reason given'})."
    triggered = str(row.get("actualSide") or ("?" if len(_halves(row)) > 1 else part.half))
    if status == "closed" and triggered == "?":
        status, child = "open", None  # which of the two it was is not told yet, and one fills
    elif status == "closed" and triggered != part.half:
        status, reason, child = "canceled", _WITH_THE_OTHER, None
    elif status == "closed" and child is None:
        status = "open"  # triggered, and its order is not told yet
    second = part.half == STOP and part.order_class is not OrderClass.SIMPLE
    told = {
        "id": f"{row.get('algoId')}{'-sl' if second else ''}",
        "clientOrderId": part.client_order_id,
        "symbol": symbol,
        "side": row.get("side"),
        "status": status,
        "timestamp": _milliseconds(row.get("cTime")),
        "lastUpdateTimestamp": _milliseconds(row.get("uTime")),
        "algo": row,
        "part": part,
    }
    if child is not None:
        taken = ("status", "filled", "average", "fee", "fees", "lastTradeTimestamp", "lastUpdateTimestamp")
        told |= {name: child.get(name) for name in taken} | {"child": str(child.get("id") or "")}
    mine = terms(row, part, quantity=row.get("sz"), reason=reason)
    made = None if child is None else child.get("terms")
    if made is not None and made.limit_price is not None:
        # In the market it may have been changed since.
        mine = replace(mine, limit_price=made.limit_price, quantity=made.quantity)
    return {**told, "terms": mine}


def answer_waiting(row: Row, part: Part, exits: Row, entry: parse.Answer, now: datetime) -> parse.Answer:
    """One exit that hangs on ``entry`` and has no row of its own. OKX places it once nothing of the order is open any
    more, for what has filled."""
    failed, filled = quoted_text(exits.get("failCode")), parse.number_or_zero(row.get("accFillSz"))
    status, reason = "open", ""
    if failed not in ("", "0"):
        status, reason = "rejected", f"OKX could not place it ({failed})."
    elif has_ended(row):
        status, reason = parse.unplaced_exit(VENUE, filled, parse.moment(row.get("uTime")), now)
    side = Side(str(row.get("side")).upper()).opposite
    return {
        "id": f"{row.get('ordId')}-{part.half}",
        "clientOrderId": part.client_order_id,
        "symbol": entry["symbol"],
        "side": side.value.lower(),
        "status": status,
        "timestamp": _milliseconds(row.get("cTime")),
        "lastUpdateTimestamp": _milliseconds(row.get("uTime")),
        "entry": row,
        "exits": exits,
        "part": part,
        "terms": terms(
            exits, part, quantity=filled if filled and has_ended(row) else row.get("sz"), held=True, reason=reason
        ),
    }


def has_ended(row: Row) -> bool:
    """Of an order, not of an algo order."""
    return str(row.get("state") or "") in _ENDED_ENTRY


def _milliseconds(value: Any) -> int | None:
    """As ccxt has them."""
    found = parse.positive(value)
    return None if found is None else int(found)


def is_settled(row: Row, exits: Row) -> bool:
    """Whether the row of the entry says what became of its exits: once it has ended and filled, in part or in whole,
    their own rows do. Source: OKX's announcement of 1 July 2026 on attached take-profit and stop-loss orders."""
    failed = quoted_text(exits.get("failCode")) not in ("", "0")
    return failed or not has_ended(row) or not parse.number_or_zero(row.get("accFillSz"))
