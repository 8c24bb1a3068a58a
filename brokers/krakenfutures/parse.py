"""Kraken Futures' words. Source: docs.kraken.com/api/docs/futures-api/ (trading, history) and ccxt's samples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from brokers.crypto import parse, unknown_word_counts
from brokers.crypto.error_outcomes import Codes, Meaning, by_words, is_internal
from brokers.decimals import plain
from brokers.errors import BrokerError, BrokerUnavailable, NotCancellable
from brokers.json_values import quoted_text
from brokers.types import Cash, FundingPayment, FundingRate, Instrument, OrderRequest, OrderType, TimeInForce

VENUE = "Kraken Futures"
_M = Meaning
Row = Mapping[str, Any]
Naming = Callable[[Any], str]
"""The venue's name of an instrument → ours."""
NOTHING_FILLED = "iocWouldNotExecute"
EITHER = "ioc"
MEANINGS: Mapping[str, Meaning] = {
    "apiLimitExceeded": _M.RATE,
    "authenticationError": _M.AUTH,
    "accountInactive": _M.PERMISSION,
    "nonceBelowThreshold": _M.NONCE,
    "nonceDuplicate": _M.NONCE,
    "requiredArgumentMissing": _M.ORDER,
    "invalidArgument": _M.ORDER,
    "contractNotFound": _M.SYMBOL,
    "marketUnavailable": _M.CLOSED,
    "insufficientFunds": _M.FUNDS,
    "INSUFFICIENT_MARGIN": _M.FUNDS,
    "unavailable": _M.UNKNOWN,
    "Unavailable": _M.UNKNOWN,
    "Server Error": _M.UNKNOWN,
    "unknownError": _M.UNKNOWN,
    # of the order itself
    "invalidOrderType": _M.ORDER,
    "invalidSide": _M.ORDER,
    "invalidSize": _M.ORDER,
    "invalidPrice": _M.ORDER,
    "insufficientAvailableFunds": _M.FUNDS,
    "selfFill": _M.REJECTED,
    "tooManySmallOrders": _M.REJECTED,
    "maxPositionViolation": _M.REJECTED,
    "marketSuspended": _M.CLOSED,
    "marketInactive": _M.CLOSED,
    "clientOrderIdAlreadyExist": _M.DUPLICATE,
    "clientOrderIdTooLong": _M.ORDER,
    "outsidePriceCollar": _M.ORDER,
    "postWouldExecute": _M.REJECTED,
    NOTHING_FILLED: _M.REJECTED,
    "wouldNotReducePosition": _M.REJECTED,
    "wouldCauseLiquidation": _M.REJECTED,
    "tooManyOrders": _M.REJECTED,
    "orderForEditNotFound": _M.NOT_FOUND,
    "orderForEditNotAStop": _M.ORDER,
    "invalidAccount": _M.ORDER,
    "invalidAmount": _M.ORDER,
    "invalidUnit": _M.ORDER,
    "Json Parse Error": _M.ORDER,
    "Bad Request": _M.ORDER,
    "notFound": _M.NOT_FOUND,
}
# Of an order that was taken, or of a cancel.
_NO_ERRORS = frozenset({"", "placed", "cancelled", "edited", "filled", "partiallyFilled", "untouched"})


def codes(answer: Any) -> list[str]:
    """That of the order before that of the request, and each without what follows its colon."""
    if not isinstance(answer, dict):
        return []
    told = [answer.get(name) for name in ("sendStatus", "cancelStatus")]
    found = [str(each.get("status") or "") for each in told if isinstance(each, dict)]
    several = answer.get("errors")
    if isinstance(several, list):
        found += [str(each.get("message") or "") for each in several if isinstance(each, dict)]
    found.append(str(answer.get("error") or ""))
    texts = [each for each in found if each not in _NO_ERRORS]
    return [form for each in texts for form in (each, each.partition(":")[0])]


def refuses(answer: Any, status: int) -> Meaning | None:
    """An order of which every event is a rejection; and an error from 400 on, unless it is about the venue itself."""
    found = codes(answer)
    if not found or any(is_internal(each) for each in found):
        return None
    told = answer.get("sendStatus")
    events = told.get("orderEvents") if isinstance(told, dict) else None
    kinds = [str(each.get("type")) for each in events if isinstance(each, dict)] if isinstance(events, list) else []
    if (kinds and set(kinds) == {"REJECT"}) or (400 <= status < 500 and answer.get("result") != "success"):
        return by_words(found[0], _M.REJECTED)
    return None


CODES = Codes(venue=VENUE, found=codes, meanings=MEANINGS, refuses=refuses)


def cancel_refusal(answer: Any) -> BrokerError | None:
    """Of POST cancelorder, for an order that was open a moment ago; None for a cancel that was taken."""
    told = answer.get("cancelStatus") if isinstance(answer, dict) else None
    status = told.get("status") if isinstance(told, dict) else None
    if status in ("filled", "notFound"):
        return NotCancellable("This order ended before it could be cancelled.")
    return None


_KIND = {
    OrderType.MARKET: "mkt",
    OrderType.LIMIT: "lmt",
    OrderType.STOP: "stp",
    OrderType.STOP_LIMIT: "stp",
    OrderType.TRAIL: "trailing_stop",
}
PERCENT, AMOUNT = "PERCENT", "QUOTE_CURRENCY"
TRAIL_PERCENT = (Decimal("0.1"), Decimal(50))
"""Least and most, of POST sendorder."""


def to_venue_id(client_order_id: str) -> str:
    """Our id as the UUID it is."""
    return str(UUID(hex=client_order_id))


def from_venue_id(told: Any) -> str:
    """What ``to_venue_id`` made of our id, read back; any other id as it is."""
    text = str(told or "")
    try:
        return UUID(text).hex
    except ValueError:
        return text


def order_body(request: OrderRequest, instrument_id: str) -> dict[str, Any]:
    """Of POST sendorder. Stops look at the last price."""
    kind = _KIND[request.order_type]
    if request.order_type is OrderType.LIMIT and request.tif is TimeInForce.IOC:
        kind = "ioc"
    body = {
        "orderType": "post" if request.post_only else kind,
        "symbol": instrument_id,
        "side": request.side.value.lower(),
        "size": plain(request.units),
        "cliOrdId": to_venue_id(request.client_order_id),
    }
    if request.limit_price is not None:
        body["limitPrice"] = plain(request.limit_price)
    if request.stop_price is not None:
        body["stopPrice"], body["triggerSignal"] = plain(request.stop_price), "last"
    for unit, distance in ((PERCENT, request.trail_percent), (AMOUNT, request.trail_amount)):
        if distance is not None:
            body |= {
                "trailingStopMaxDeviation": plain(distance),
                "trailingStopDeviationUnit": unit,
                "triggerSignal": "last",
            }
    if request.reduce_only:
        body["reduceOnly"] = "true"
    return body


def created(answer: Any, client_order_id: str) -> str:
    """The id of the order that was placed under our id; else nothing."""
    told = answer.get("sendStatus") if isinstance(answer, dict) and answer.get("result") == "success" else None
    if not isinstance(told, dict) or told.get("status") != "placed":
        return ""
    named = [told.get("cliOrdId")]
    for event in told.get("orderEvents") or []:
        inner = event.get("order") or event.get("orderTrigger") or event.get("orderPriorExecution") or {}
        named += [inner.get("cliOrdId"), inner.get("clientId")]
    return str(told.get("order_id") or "") if client_order_id in [from_venue_id(each) for each in named] else ""


_LIMITS = frozenset({"lmt", "limit", "post"})
_STOPS = frozenset({"stp", "stop"})
_TRAILS = "trailing_stop"
_NO_WORD_HERE = frozenset({"take_profit", _TRAILS, "liquidation", "assignment", "block", "unwind"})


def _terms(
    word: str,
    side: str,
    *,
    quantity: Decimal,
    limit: Decimal | None,
    stop: Decimal | None,
    trigger_side: str = "",
    trail: tuple[Any, Any] | None = None,
) -> parse.VenueTerms:
    """``word`` is the venue's for the kind of order. A trigger that waits for a better price takes a profit; one that
    follows the price has a distance, given with its unit."""
    word = word.lower()
    distance, unit = (parse.positive(trail[0]), trail[1]) if trail else (None, None)
    amount, percent = (distance if unit == each else None for each in (AMOUNT, PERCENT))
    waits = {"buy": "below", "sell": "above"}.get(side.lower(), "?") in trigger_side.lower()
    kind: OrderType | None = None
    if trail is not None or word == _TRAILS:
        is_known = limit is None and (amount is not None or percent is not None)
        kind = OrderType.TRAIL if is_known else None
    elif stop is not None:
        if word not in _NO_WORD_HERE and not waits:
            kind = OrderType.STOP if limit is None else OrderType.STOP_LIMIT
    elif word in _LIMITS or word in (EITHER, "fok"):
        kind = None if limit is None else OrderType.LIMIT
    elif word in ("mkt", "market"):
        kind = OrderType.MARKET
    if word not in _LIMITS | _STOPS | _NO_WORD_HERE | {EITHER, "fok", "mkt", "market"}:
        unknown_word_counts.note(VENUE, "order type", word)
    tifs = {EITHER: TimeInForce.IOC, "fok": TimeInForce.FOK}
    return parse.VenueTerms(
        order_type=kind,
        tif=TimeInForce.GTC if stop is not None or kind is OrderType.TRAIL else tifs.get(word, TimeInForce.GTC),
        quantity=quantity,
        limit_price=limit if kind is None or kind.needs_limit else None,
        stop_price=stop,
        trail_amount=amount,
        trail_percent=percent,
    )


def _trail(told: Any) -> tuple[Any, Any] | None:
    """Of ``trailingStopOptions``; None for an order that does not trail."""
    return (told.get("maxDeviation"), told.get("unit")) if isinstance(told, dict) and told else None


# -- orders, in the form ccxt would give them ------------------------------------------------------------------------


def open_order(row: Row, naming: Naming) -> parse.Answer:
    """Of GET openorders, which tells what is left and what has filled."""
    filled = parse.number_or_zero(row.get("filledSize"))
    stop, limit = parse.positive(row.get("stopPrice")), parse.positive(row.get("limitPrice"))
    return {
        "info": row,
        "id": str(row.get("order_id") or ""),
        "clientOrderId": from_venue_id(row.get("cliOrdId")),
        "symbol": naming(row.get("symbol")),
        "side": str(row.get("side") or "").lower(),
        "terms": _terms(
            str(row.get("orderType") or ""),
            str(row.get("side") or ""),
            quantity=filled + parse.number_or_zero(row.get("unfilledSize")),
            limit=limit,
            stop=stop,
            trail=_trail(row.get("trailingStopOptions")),
        ),
        "status": "open",
        "filled": filled,
        "timestamp": _milliseconds(row.get("receivedTime")),
        "lastUpdateTimestamp": _milliseconds(row.get("lastUpdateTime")),
    }


def event(row: Row, naming: Naming) -> parse.Answer | None:
    """Of GET history/v2/orders and triggers; None for what says nothing of an order's state.

    ``quantity`` is what was left after it, as in the documents' examples.
    """
    told = row.get("event")
    name, body = next(iter(told.items())) if isinstance(told, dict) and told else ("", {})
    if name not in _STATES or not isinstance(body, dict):
        if name not in _NO_STATES:
            unknown_word_counts.note(VENUE, "order event", name)
        return None
    order = next((body[each] for each in _INSIDE if isinstance(body.get(each), dict)), None)
    if order is None:
        raise BrokerUnavailable("Kraken Futures sent an order that could not be read.")
    kind = str(order.get("orderType") or order.get("type") or "").lower()
    left, filled = parse.number_or_zero(order.get("quantity")), parse.number_or_zero(order.get("filled"))
    at_once = kind in (EITHER, "market", "mkt")
    status = _STATES[name]
    if name in ("OrderPlaced", "OrderUpdated"):
        gone = at_once or "cancel" in str(body.get("reason") or "")
        status = "closed" if not left and filled else "canceled" if gone else "open"
    elif name == "OrderRejected" and at_once:
        status = "canceled"
    told_options = order.get("triggerOptions")
    options = told_options if isinstance(told_options, dict) else order
    stop, limit = parse.positive(options.get("triggerPrice")), parse.positive(order.get("limitPrice"))
    side = str(order.get("direction") or order.get("side") or "").lower()
    if stop is None and at_once:
        # One word for market orders and limits that fill at once, and a price of its own for both.
        terms = parse.VenueTerms(order_type=None, tif=TimeInForce.IOC, quantity=left + filled)
    else:
        terms = _terms(
            kind,
            side,
            quantity=left + filled,
            limit=None if at_once else limit,
            stop=stop,
            trigger_side=str(options.get("triggerSide") or ""),
            trail=_trail(options.get("trailingStopOptions")),
        )
    return {
        "info": row,
        "id": str(order.get("uid") or ""),
        "clientOrderId": from_venue_id(order.get("clientId")),
        "symbol": naming(order.get("tradeable") or order.get("symbol")),
        "side": side,
        "terms": replace(terms, reason=quoted_text(body.get("reason"))),
        "status": status,
        "filled": filled,
        "timestamp": _number(order.get("timestamp") or row.get("timestamp")),
        "lastUpdateTimestamp": _number(order.get("lastUpdateTimestamp") or row.get("timestamp")),
    }


_STATES = {
    "OrderPlaced": "open",
    "OrderUpdated": "open",
    "OrderEdited": "open",
    "OrderCancelled": "canceled",
    "OrderRejected": "rejected",
    "OrderTriggerPlaced": "open",
    "OrderTriggerUpdated": "open",
    "OrderTriggerActivated": "open",
    "OrderTriggerCancelled": "canceled",
}
_NO_STATES = frozenset({"OrderNotFound", "OrderEditRejected", "OrderTriggerEditRejected", "OrderTriggerNotFound"})
_INSIDE = ("order", "newOrder", "orderTrigger", "newOrderTrigger")
_JUST_MADE = {
    "FULLY_EXECUTED": "closed",
    "CANCELLED": "canceled",
    "REJECTED": "rejected",
    "TRIGGER_ACTIVATION_FAILURE": "rejected",
}


def just_made(row: Row, naming: Naming) -> parse.Answer:
    """Of POST orders/status: those that are open, or ended in the last 5 seconds. It does not tell their type."""
    order = row.get("order")
    if not isinstance(order, dict):
        raise BrokerUnavailable("Kraken Futures sent an order that could not be read.")
    filled, quantity = parse.number_or_zero(order.get("filled")), parse.number_or_zero(order.get("quantity"))
    return {
        "info": row,
        "id": str(order.get("orderId") or ""),
        "clientOrderId": from_venue_id(order.get("cliOrdId")),
        "symbol": naming(order.get("symbol")),
        "side": str(order.get("side") or "").lower(),
        "terms": parse.VenueTerms(
            order_type=None,
            quantity=max(filled, quantity),
            reason=quoted_text(row.get("updateReason")) or quoted_text(row.get("error")),
        ),
        "status": _JUST_MADE.get(str(row.get("status")), "open"),
        "filled": filled,
        "timestamp": _milliseconds(order.get("timestamp")),
        "lastUpdateTimestamp": _milliseconds(order.get("lastUpdateTimestamp")),
    }


def execution(row: Row, naming: Naming, currency: str) -> parse.Answer | None:
    """Of GET history/v2/executions; the fee is in the currency the contract settles in."""
    told = ((row.get("event") or {}).get("execution") or (row.get("event") or {}).get("Execution") or {}).get(
        "execution"
    )
    if not isinstance(told, dict):
        return None
    order = told.get("order") or {}
    return {
        "id": str(told.get("uid") or row.get("uid") or ""),
        "order": str(order.get("uid") or ""),
        "clientOrderId": from_venue_id(order.get("clientId")),
        "symbol": naming(order.get("tradeable")),
        "side": str(order.get("direction") or "").lower(),
        "price": parse.number(told.get("price")),
        "amount": parse.number(told.get("quantity")),
        "timestamp": _number(told.get("timestamp") or row.get("timestamp")),
        "fee": {"cost": str((told.get("orderData") or {}).get("fee") or "0"), "currency": currency},
    }


_ENTRIES = {
    "futures trade": "trade",
    "futures liquidation": "trade",
    "settlement": "trade",
    "conversion": "trade",
    "funding rate change": "interest",
    "interest payment": "interest",
    "kfee applied": "fee",
    "transfer": "transfer",
    "cross-exchange transfer": "transfer",
    "subaccount transfer": "transfer",
    "admin transfer": "transfer",
}


def entry(row: Row, coded: Callable[[str], Any]) -> parse.Answer:
    """Of GET history/v3/account-log: what a balance was before and after it."""
    at = _milliseconds(row.get("date"))
    if at is None:
        raise BrokerUnavailable("Kraken Futures sent an entry without its time.")
    asset = str(row.get("asset") or "")
    return {
        "id": str(row.get("booking_uid") or row.get("id") or ""),
        "timestamp": at,
        "type": _kind_of(str(row.get("info") or "")),
        "currency": str(coded(asset.upper())),
        "amount": parse.number_or_zero(row.get("new_balance")) - parse.number_or_zero(row.get("old_balance")),
        "is_money": bool(asset) and asset != row.get("contract"),
    }


def _kind_of(word: str) -> str:
    if word not in _ENTRIES:
        unknown_word_counts.note(VENUE, "kind of log entry", word)
    return _ENTRIES.get(word, "other")


# -- the account and what contracts cost -----------------------------------------------------------------------------


def cash(wallet: Row, coded: Callable[[str], Any]) -> tuple[tuple[Cash, ...], Row]:
    """Each collateral, and the wallet with its totals."""
    held = wallet.get("currencies")
    if not isinstance(held, dict):
        raise BrokerUnavailable("Kraken Futures sent an account that could not be read.")
    found = []
    for name, told in held.items():
        total, free = parse.number_or_zero(told.get("quantity")), parse.number(told.get("available"))
        if total:
            reserved = Decimal(0) if free is None else total - free
            found.append(Cash(currency=str(coded(name.upper())), total=total, reserved=reserved))
    return tuple(found), wallet


def funding_rate(found: Instrument, ticker: Row, paid: Sequence[Row], now: datetime) -> FundingRate:
    """Of GET tickers/:symbol, whose rate is in dollars a contract and hour, and of historicalfundingrates."""
    rate, mark = parse.number(ticker.get("fundingRate")), parse.number(ticker.get("markPrice"))
    if rate is None or not mark:
        raise BrokerUnavailable("Kraken Futures reported no funding rate.")
    history = [
        (parse.iso_moment(row.get("timestamp")), parse.number(row.get("relativeFundingRate"))) for row in reversed(paid)
    ]
    return FundingRate(
        symbol=found.symbol,
        currency=found.currency,
        rate=(rate / mark).quantize(_SHARE),
        next_at=now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1),
        interval_hours=Decimal(1),
        mark=mark,
        index=parse.number(ticker.get("indexPrice")),
        open_interest=parse.number(ticker.get("openInterest")),
        open_interest_unit=found.base,
        history=tuple(FundingPayment(at=at, rate=share) for at, share in history if at and share is not None),
        as_of=parse.iso_moment(ticker.get("lastTime")) or now,
        source=found.price_source,
    )


_SHARE = Decimal("1E-12")


def _milliseconds(text: Any) -> int | None:
    at = parse.iso_moment(text)
    return None if at is None else parse.milliseconds(at)


def _number(value: Any) -> int | None:
    found = parse.number(value)
    return None if found is None else int(found)
