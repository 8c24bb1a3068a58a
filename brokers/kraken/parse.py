"""Kraken's words. Source: docs.kraken.com/api/docs/rest-api/ and its page on errors."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from brokers import leg_ids
from brokers.crypto import parse, unknown_word_counts
from brokers.crypto.error_outcomes import Codes, Meaning, by_words, is_internal
from brokers.decimals import plain
from brokers.errors import BrokerUnavailable
from brokers.json_values import quoted_text
from brokers.types import (
    AssetClass,
    DepositAddress,
    EarnHolding,
    EarnOffer,
    LegRequest,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    TimeInForce,
    Transaction,
    Transfer,
    TransferKind,
    TransferStatus,
)

VENUE = "Kraken"
_M = Meaning
# What the documents name no words for, but would have to name the field: an id that an open order has.
DUPLICATE = "cl_ord_id"
MEANINGS: Mapping[str, Meaning] = {
    "EService:Timeout": _M.UNKNOWN,
    "EService:Busy": _M.UNKNOWN,
    "EService:Unavailable": _M.UNKNOWN,
    "EService:Deadline elapsed": _M.UNKNOWN,
    "EGeneral:Internal error": _M.UNKNOWN,
    "EDatabase:Internal error": _M.UNKNOWN,
    "EService:Market in cancel_only mode": _M.CLOSED,
    "EService:Market in post_only mode": _M.REJECTED,
    "EService:Market in limit_only mode": _M.REJECTED,
    "EAPI:Invalid key": _M.AUTH,
    "EAPI:Invalid signature": _M.AUTH,
    "EAPI:Invalid nonce": _M.NONCE,
    "EAPI:Rate limit exceeded": _M.RATE,
    "EAPI:Feature disabled": _M.PERMISSION,
    "EGeneral:Temporary lockout": _M.RATE,
    "EGeneral:Too many requests": _M.RATE,
    "EGeneral:Permission denied": _M.PERMISSION,
    "EGeneral:Invalid arguments": _M.ORDER,
    "EAccount:Invalid permissions": _M.PERMISSION,
    "EQuery:Unknown asset pair": _M.SYMBOL,
    "EQuery:Invalid asset pair": _M.SYMBOL,
    "EOrder:Rate limit exceeded": _M.RATE,
    "EOrder:Insufficient funds": _M.FUNDS,
    "EOrder:Insufficient margin": _M.FUNDS,
    "EOrder:Order minimum not met": _M.ORDER,
    "EOrder:Cost minimum not met": _M.ORDER,
    "EOrder:Tick size check failed": _M.ORDER,
    "EOrder:Invalid price": _M.ORDER,
    "EOrder:Invalid order": _M.ORDER,
    "EOrder:Post only order": _M.ORDER,
    "EOrder:Orders limit exceeded": _M.REJECTED,
    "EOrder:Positions limit exceeded": _M.REJECTED,
    "EOrder:Domain rate limit exceeded": _M.RATE,
    "EOrder:Trading agreement required": _M.PERMISSION,
    "EOrder:Unknown order": _M.NOT_FOUND,
    DUPLICATE: _M.DUPLICATE,
}


def codes(answer: Any) -> list[str]:
    """Each error whole, then without what follows its second colon; one of Kraken's own service before any other."""
    errors = sorted(_errors(answer), key=lambda each: not _is_of_service(each))
    found = [DUPLICATE] if any(DUPLICATE in each for each in errors) else []
    for each in errors:
        spaced = each.replace(": ", ":")
        found += [spaced, ":".join(spaced.split(":")[:2])]
    return found


def _errors(answer: Any) -> list[str]:
    told = answer.get("error") if isinstance(answer, dict) else None
    return [each for each in told if isinstance(each, str)] if isinstance(told, list) else []


def _is_of_service(error: str) -> bool:
    return error.startswith(("EService:", "EDatabase:")) or is_internal(error)


_FORM = re.compile("E[A-Z][A-Za-z]*:.+")
_OF_THE_ACCOUNT = ("EAuth:", "EAccount:")


def refuses(answer: Any, status: int) -> Meaning | None:
    """A list of errors is a refusal, E for error, then what it is about, unless one is of Kraken's own service."""
    errors = _errors(answer)
    if not errors or any(_is_of_service(each) or not _FORM.fullmatch(each) for each in errors):
        return None
    text = " ".join(errors)
    return by_words(text, _M.PERMISSION if text.startswith(_OF_THE_ACCOUNT) else _M.REJECTED)


CODES = Codes(venue=VENUE, found=codes, meanings=MEANINGS, refuses=refuses)

_MONEY = frozenset({"USD", "EUR", "GBP", "CAD", "JPY", "CHF", "AUD", "AED"})
_OF_SHARES = "tokenized_asset"


def kind_of(market: parse.Answer) -> dict[str, Any]:
    """Of a row of AssetPairs, as ccxt reads it: two currencies, or a token of a stock."""
    if market.get("base") in _MONEY and market.get("quote") in _MONEY:
        return {"asset_class": AssetClass.FOREX}
    return {"base_is": "stock"} if (market.get("info") or {}).get("aclass_base") == _OF_SHARES else {}


def class_in_order(market: parse.Answer) -> dict[str, str]:
    """Of POST AddOrder: named for every pair that is not of coins or currencies."""
    return {"asset_class": _OF_SHARES} if market.get("base_is") else {}


_KIND = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP: "stop-loss",
    OrderType.STOP_LIMIT: "stop-loss-limit",
    OrderType.TRAIL: "trailing-stop",
}


def order_body(request: OrderRequest, instrument_id: str) -> dict[str, Any]:
    """Of POST /0/private/AddOrder. The fee is asked for in the quote currency."""
    body: dict[str, Any] = {
        "pair": instrument_id,
        "type": request.side.value.lower(),
        "ordertype": _KIND[request.order_type],
        "volume": plain(request.units),
        "cl_ord_id": request.client_order_id,
        "oflags": "fciq,post" if request.post_only else "fciq",
    }
    if request.order_type is OrderType.LIMIT:
        body["timeinforce"] = request.tif.value
    body |= _prices(request)
    for leg in request.legs:
        terms = {"ordertype": _KIND[leg.order_type], **_prices(leg)}
        body |= {f"close[{name}]": value for name, value in terms.items()}
    return body


def _prices(order: OrderRequest | LegRequest) -> dict[str, str]:
    """What a trailing stop stays behind the price is written with a plus for either side."""
    if order.trail_percent is not None:
        return {"price": f"+{plain(order.trail_percent)}%"}
    if order.trail_amount is not None:
        return {"price": f"+{plain(order.trail_amount)}"}
    given = [each for each in (order.stop_price, order.limit_price) if each is not None]
    return {name: plain(each) for name, each in zip(("price", "price2"), given, strict=False)}


_TYPES = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "iceberg": OrderType.LIMIT,
    "stop-loss": OrderType.STOP,
    "stop-loss-limit": OrderType.STOP_LIMIT,
    "trailing-stop": OrderType.TRAIL,
}
_NO_WORD_HERE = frozenset({"take-profit", "take-profit-limit", "trailing-stop-limit", "settle-position"})
_TIFS = {"": TimeInForce.GTC, "GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
_PRICE = re.compile(r"[0-9]+(\.[0-9]+)?")
_TRAIL = re.compile(r"[+-]?([0-9]+(?:\.[0-9]+)?)(%?)")


def terms(row: "Row") -> parse.VenueTerms:
    """Of an order in OpenOrders or ClosedOrders. With ``viqc`` its volume is counted in the quote currency."""
    told = row.get("descr") or {}
    word, flags = str(told.get("ordertype") or ""), str(row.get("oflags") or "").split(",")
    kind = _TYPES.get(word)
    if kind is None and word not in _NO_WORD_HERE:
        unknown_word_counts.note(VENUE, "order type", word)
    triggers = word.endswith("-limit") or word in ("stop-loss", "take-profit", "trailing-stop")
    stop = (_price(told.get("price")) or _price(row.get("stopprice"))) if triggers else None
    limit = _price(told.get("price2" if triggers else "price")) or _price(row.get("limitprice"))
    amount = percent = None
    if word.startswith("trailing-stop"):
        stop, limit = _price(row.get("stopprice")), None
        if trail := _TRAIL.fullmatch(str(told.get("price") or "")):
            distance = parse.positive(trail[1])
            amount, percent = (None, distance) if trail[2] else (distance, None)
    if (kind is OrderType.TRAIL and amount is None and percent is None) or (kind and kind.needs_stop and stop is None):
        kind = None
    if kind is not None and kind.needs_limit and limit is None:
        kind = None
    ends = parse.positive(row.get("expiretm")) is not None
    return parse.VenueTerms(
        order_type=kind,
        tif=None if ends else _TIFS.get(str(row.get("timeinforce") or "").upper()),
        quantity=None if "viqc" in flags else parse.positive(row.get("vol")),
        limit_price=limit if kind is None or kind.needs_limit else None,
        stop_price=stop,
        trail_amount=amount,
        trail_percent=percent,
        reason=quoted_text(row.get("reason")),
        order_class=OrderClass.OTO if has_close(row) else OrderClass.SIMPLE,
    )


def _price(value: Any) -> Decimal | None:
    """None for a price that is given as a distance from another, or a share of it."""
    text = str(value or "")
    return parse.positive(text) if _PRICE.fullmatch(text) else None


# -- an order with a conditional close, and what that placed ---------------------------------------------------------

_CLOSE = re.compile(r"close position @ ([a-z ]+?) ([+-]?[0-9.]+%?)(?: -> limit ([+-]?[0-9.]+%?))?")


def placed_by(row: "Row") -> str:
    """Kraken's id of the order whose conditional close placed this one."""
    return str(row.get("refid") or "")


def has_close(row: "Row") -> bool:
    return bool((row.get("descr") or {}).get("close"))


def planned_close(row: "Row") -> parse.VenueTerms:
    """The conditional close of an order that has placed none yet, as its description words it."""
    told = row.get("descr") or {}
    found = _CLOSE.fullmatch(str(told.get("close") or "").strip())
    if found is None:
        unknown_word_counts.note(VENUE, "conditional close", told.get("close"))
        return parse.VenueTerms(order_type=None, tif=None)
    kind, price, limit = found[1].replace(" ", "-"), found[2], found[3]
    word = f"{kind}-limit" if limit else kind
    return terms({"descr": {"ordertype": word, "price": price, "price2": limit}, "vol": row.get("vol")})


def close_of(whole: parse.Answer, placed: Sequence[parse.Answer], now: datetime) -> parse.Answer:
    """The one exit of an order: all orders that its conditional close placed, one for each time it filled, or what it
    will place. Those that cannot be read are in it as open."""
    row, is_open = whole["info"], whole["status"] == "open"
    ours = leg_ids.of_exit(whole["clientOrderId"], 0)
    filled = sum((parse.number_or_zero(each.get("filled")) for each in placed), Decimal(0))
    states = {str(each.get("status")) for each in placed}
    open_ids = [each["id"] for each in placed if each.get("status") not in _OVER]
    planned, reason = planned_close(row), ""
    if is_open or open_ids:
        state = "open"
    elif placed:
        state = states.pop() if len(states) == 1 else "canceled"
    else:
        closed = parse.positive(row.get("closetm"))
        ended = None if closed is None else parse.at_milliseconds(closed * 1000)
        state, reason = parse.unplaced_exit(VENUE, parse.number_or_zero(whole.get("filled")), ended, now)
    first = next(iter(placed), None)
    told = (first or {}).get("terms") or planned
    quantities = [each["terms"].quantity for each in placed if each.get("terms")]
    quantity = planned.quantity
    if placed and not is_open and None not in quantities:
        quantity = sum((each for each in quantities if each is not None), Decimal(0))
    single = first if len(placed) == 1 else None
    return {
        "info": {
            "trades": [trade for each in placed for trade in (each.get("info") or {}).get("trades") or []],
            "oflags": ((first or {}).get("info") or {}).get("oflags"),
        },
        "id": next(iter(open_ids), first["id"] if first else ""),
        "clientOrderId": ours,
        "symbol": whole["symbol"],
        "side": "sell" if str(whole.get("side")) == "buy" else "buy",
        "terms": replace(
            told,
            quantity=quantity,
            reason=told.reason or reason,
            order_class=OrderClass.OTO,
            parent_client_order_id=whole["clientOrderId"],
            held=not placed,
        ),
        "status": state,
        "filled": filled,
        "average": single.get("average") if single else None,
        "fees": single.get("fees") if single else [],
        "timestamp": (first or whole).get("timestamp"),
        "open_ids": open_ids,
        "is_coming": is_open,
        "is_whole": not is_open and len(placed) == 1,
    }


_OVER = frozenset({"closed", "canceled", "expired", "rejected"})


def amend_body(changes: OrderChanges, order_id: str, *, post_only: bool) -> dict[str, Any]:
    """Of POST /0/private/AmendOrder. ``order_qty`` is the whole quantity, what has filled included."""
    body: dict[str, Any] = {"txid": order_id}
    for name, value in (
        ("order_qty", changes.quantity),
        ("limit_price", changes.limit_price),
        ("trigger_price", changes.stop_price),
    ):
        if value is not None:
            body[name] = plain(value)
    if post_only and changes.limit_price is not None:
        body["post_only"] = "true"
    return body


def amended(answer: Any) -> bool:
    """The answer does not name the order: it is looked at after this."""
    result = answer.get("result") if isinstance(answer, dict) and answer.get("error") == [] else None
    return isinstance(result, dict) and isinstance(result.get("amend_id"), str) and bool(result["amend_id"])


def created(answer: Any, request: OrderRequest) -> str:
    """The answer does not name our id: its description has to be of our order, and the id is looked up after it."""
    result = answer.get("result") if isinstance(answer, dict) and answer.get("error") == [] else None
    told = result.get("txid") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(told, list) or len(told) != 1:
        return ""
    described = str((result.get("descr") or {}).get("order", "")).split()
    try:
        ours = described[0] == request.side.value.lower() and Decimal(described[1]) == request.quantity
    except (IndexError, InvalidOperation):
        return ""
    return str(told[0]) if ours else ""


Row = Mapping[str, Any]
_DAY = 86400


Coded = Callable[[str], tuple[str, bool]]
"""Kraken's name of a coin → ours, and whether that is a coin with a market there."""
# Of the documents of BalanceEx: what earns at once is spent as the coin itself, what is staked or locked is not.
_SPENDABLE, _LOCKED = frozenset({"F"}), frozenset({"S", "M", "B", "P", "HOLD"})


def coin(asset: Any, coded: Coded) -> tuple[str, str]:
    """Our code of an asset of a balance or of the ledger, and the form it is held in: ``BTC`` and ``F`` of ``XBT.F``,
    ``DOT`` and ``S`` of ``DOT28.S``."""
    name, _, form = str(asset or "").partition(".")
    code, known = coded(name)
    if form and not known:  # a term of so many days stands behind the name of the coin
        bare, known = coded(name.rstrip("0123456789"))
        code = bare if known else code
    return code, form


def balances(rows: Any, coded: Coded) -> dict[str, dict[str, Decimal]]:
    """Of POST BalanceEx, by coin: all forms in which it is held together, in ccxt's form."""
    if not isinstance(rows, dict):
        raise BrokerUnavailable("Kraken sent balances that could not be read.")
    found: dict[str, dict[str, Decimal]] = {}
    for asset, row in rows.items():
        code, form = coin(asset, coded)
        total, used = parse.number_or_zero(row.get("balance")), parse.number_or_zero(row.get("hold_trade"))
        if form and form not in _SPENDABLE:
            used = total
            if form not in _LOCKED:
                unknown_word_counts.note(VENUE, "form of a balance", form)
        one = found.setdefault(code, {"total": Decimal(0), "used": Decimal(0), "free": Decimal(0)})
        one["total"], one["used"] = one["total"] + total, one["used"] + used
        one["free"] = one["total"] - one["used"]
    return found


_ENTRIES = {
    "trade": "trade",
    "deposit": "deposit",
    "withdrawal": "withdrawal",
    "transfer": "transfer",
    "margin": "trade",
    "rollover": "fee",
    "settled": "trade",
    "spend": "trade",
    "receive": "trade",
    "sale": "trade",
    "conversion": "trade",
    "staking": "interest",
    "reward": "interest",
    "dividend": "dividend",
    "earn": "transfer",
    "adjustment": "other",
    "credit": "other",
    "none": "other",
}
_OWN_EARNINGS = ("reward", "bonus")


def entry(row: Row, coded: Coded) -> Transaction:
    """Of POST Ledgers: a balance changes by the amount less the fee."""
    at = parse.positive(row.get("time"))
    if at is None:
        raise BrokerUnavailable("Kraken sent an entry without its time.")
    word = str(row.get("type") or "none")
    if word not in _ENTRIES:
        unknown_word_counts.note(VENUE, "kind of ledger entry", word)
    kind = _ENTRIES.get(word, "other")
    if word == "earn" and str(row.get("subtype") or "").startswith(_OWN_EARNINGS):
        kind = "interest"
    return Transaction(
        transaction_id=str(row["id"]),
        at=parse.at_milliseconds(at * 1000),
        kind=kind,
        currency=coin(row.get("asset"), coded)[0],
        amount=parse.number_or_zero(row.get("amount")) - parse.number_or_zero(row.get("fee")),
    )


def cancelled(answer: Any) -> bool | None:
    """Of POST CancelOrder and CancelOrderBatch: whether any was cancelled or will be; None where it does not tell."""
    result = answer.get("result") if isinstance(answer, dict) and answer.get("error") == [] else None
    if not isinstance(result, dict) or "count" not in result:
        return None
    return result.get("pending") is True or parse.number_or_zero(result["count"]) > 0


def withdrawal(entry: parse.Answer) -> Transfer:
    """A withdrawal as ccxt reads it from the ledger, where it stands once it is booked."""
    at = parse.moment(entry.get("timestamp"))
    if at is None:
        raise BrokerUnavailable("Kraken sent an entry without its time.")
    fee = (entry.get("fee") or {}).get("cost")
    return Transfer(
        transfer_id=str(entry.get("referenceId") or entry["id"]),
        at=at,
        kind=TransferKind.WITHDRAWAL,
        status=TransferStatus.DONE,
        asset=str(entry.get("currency") or ""),
        amount=abs(parse.number_or_zero(entry.get("amount"))),
        fee=None if fee is None else abs(parse.number_or_zero(str(fee))),
    )


def is_valid(row: Row, now: datetime) -> bool:
    """An address may end; 0 is one that does not."""
    ends = int(parse.number_or_zero(row.get("expiretm")))
    return not ends or ends > now.timestamp()


def deposit_address(row: Row, asset: str, method: str) -> DepositAddress:
    """Of POST DepositAddresses, which makes none unless it is told to."""
    return DepositAddress(
        asset=asset,
        address=parse.address(row.get("address")),
        network=quoted_text(method),
        tag=quoted_text(row.get("tag") or row.get("memo")),
    )


def strategy(row: Row, asset: str) -> EarnOffer | None:
    """Of POST Earn/Strategies: the low end of the yield it estimates; None for one that takes nobody in."""
    if row.get("can_allocate") is not True:
        return None
    low = parse.number((row.get("apr_estimate") or {}).get("low"))
    lock = row.get("lock_type") or {}
    return EarnOffer(
        offer_id=str(row.get("id") or ""),
        asset=asset,
        kind=quoted_text((row.get("yield_source") or {}).get("type")) or "earn",
        yearly_rate=None if low is None else low / 100,
        term_days=int(parse.number_or_zero(lock.get("duration"))) // _DAY or None,
        minimum=parse.number(row.get("user_min_allocation")),
    )


def allocation(row: Row, asset: str) -> EarnHolding:
    """Of POST Earn/Allocations."""
    return EarnHolding(
        offer_id=str(row.get("strategy_id") or ""),
        asset=asset,
        kind="earn",
        amount=parse.number_or_zero(((row.get("amount_allocated") or {}).get("total") or {}).get("native")),
        earned=parse.number((row.get("total_rewarded") or {}).get("native")),
    )
