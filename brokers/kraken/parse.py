"""Kraken's words. Source: docs.kraken.com/api/docs/rest-api/ and its page on errors."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from brokers.crypto import parse
from brokers.crypto.outcomes import Codes, Meaning
from brokers.decimals import plain
from brokers.errors import BrokerUnavailable
from brokers.reading import quoted_text
from brokers.types import (
    DepositAddress,
    EarnHolding,
    EarnOffer,
    OrderChanges,
    OrderRequest,
    OrderType,
    Transfer,
    TransferKind,
    TransferStatus,
)

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
    """Each error whole, then without what follows its second colon."""
    told = answer.get("error") if isinstance(answer, dict) else None
    errors = [each for each in told if isinstance(each, str)] if isinstance(told, list) else []
    found = [DUPLICATE] if any(DUPLICATE in each for each in errors) else []
    for each in errors:
        spaced = each.replace(": ", ":")
        found += [spaced, ":".join(spaced.split(":")[:2])]
    return found


CODES = Codes(venue="Kraken", found=codes, meanings=MEANINGS)

_KIND = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP: "stop-loss",
    OrderType.STOP_LIMIT: "stop-loss-limit",
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
    if request.stop_price is not None:
        body["price"] = plain(request.stop_price)
        if request.limit_price is not None:
            body["price2"] = plain(request.limit_price)
    elif request.limit_price is not None:
        body["price"] = plain(request.limit_price)
    return body


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
