"""Coinbase Advanced Trade's words. Source: docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from brokers.crypto import parse
from brokers.crypto.outcomes import Codes, Meaning
from brokers.decimals import plain
from brokers.errors import BrokerUnavailable
from brokers.reading import quoted_text
from brokers.types import (
    DepositAddress,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
    Transfer,
    TransferKind,
    TransferStatus,
)

_M = Meaning
MEANINGS: Mapping[str, Meaning] = {
    "INSUFFICIENT_FUND": _M.FUNDS,
    "PREVIEW_INSUFFICIENT_FUND": _M.FUNDS,
    "PREVIEW_INSUFFICIENT_FUNDS_FOR_FUTURES": _M.FUNDS,
    "UNSUPPORTED_ORDER_CONFIGURATION": _M.ORDER,
    "INVALID_SIDE": _M.ORDER,
    "INVALID_PRODUCT_ID": _M.SYMBOL,
    "PREVIEW_INVALID_PRODUCT_ID": _M.SYMBOL,
    "INVALID_SIZE_PRECISION": _M.ORDER,
    "INVALID_PRICE_PRECISION": _M.ORDER,
    "INVALID_LIMIT_PRICE": _M.ORDER,
    "INVALID_LIMIT_PRICE_POST_ONLY": _M.ORDER,
    "INVALID_NO_LIQUIDITY": _M.REJECTED,
    "INVALID_CANCEL_REQUEST": _M.REJECTED,
    "ORDER_ENTRY_DISABLED": _M.CLOSED,
    "INELIGIBLE_PAIR": _M.PERMISSION,
    "INVALID_REQUEST": _M.ORDER,
    "INVALID_ARGUMENT": _M.ORDER,
    "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL": _M.ORDER,
    "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE": _M.ORDER,
    "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL": _M.ORDER,
    "PREVIEW_INVALID_QUOTE_SIZE_TOO_LARGE": _M.ORDER,
    "PREVIEW_INVALID_LIMIT_PRICE": _M.ORDER,
    "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE": _M.ORDER,
    "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE": _M.ORDER,
    "PERMISSION_DENIED": _M.PERMISSION,
    "UNAUTHENTICATED": _M.AUTH,
    "RESOURCE_EXHAUSTED": _M.RATE,
    "rate_limit_exceeded": _M.RATE,
    "authentication_error": _M.AUTH,
    "invalid_scope": _M.PERMISSION,
    "NOT_FOUND": _M.NOT_FOUND,
    "COMMANDER_REJECTED_EDIT_ORDER": _M.REJECTED,
    "CANNOT_EDIT_TO_BELOW_FILLED_SIZE": _M.ORDER,
    "ORDER_NOT_FOUND": _M.NOT_FOUND,
    "ONLY_LIMIT_ORDER_EDITS_SUPPORTED": _M.ORDER,
    "INVALID_EDITED_SIZE": _M.ORDER,
    "INVALID_EDITED_PRICE": _M.ORDER,
    "EDIT_REQUEST_EQUAL_TO_ORIGINAL_REQUEST": _M.ORDER,
    "ONLY_OPEN_ORDERS_CAN_BE_EDITED": _M.ENDED,
    "ORDER_IS_ALREADY_BEING_REPLACED": _M.REJECTED,
    "CANNOT_EDIT_ORDER_PENDING_CANCEL": _M.REJECTED,
    "EXCEEDED_MAX_ALLOWED_EDIT_REQUEST_COUNT": _M.REJECTED,
    "UNKNOWN_EDIT_ORDER_FAILURE_REASON": _M.UNKNOWN,
    "UNKNOWN_FAILURE_REASON": _M.UNKNOWN,
    "INTERNAL": _M.UNKNOWN,
    "UNAVAILABLE": _M.UNKNOWN,
}


def codes(answer: Any) -> list[str]:
    """The reason of the failure before its kind, which may be "unknown" although the reason is there."""
    if not isinstance(answer, dict):
        return []
    told = answer.get("error_response")
    reasons = told if isinstance(told, dict) else {}
    found = [reasons.get(name) for name in ("preview_failure_reason", "new_order_failure_reason", "error")]
    errors = answer.get("errors") if answer.get("success") is False else None
    for each in errors if isinstance(errors, list) else [errors]:
        if isinstance(each, dict):
            found += [each.get("preview_failure_reason"), each.get("edit_failure_reason")]
    found += [answer.get("error"), answer.get("code")]
    # The wallet interface has a list of them.
    several = answer.get("errors")
    found += [each.get("id") for each in several if isinstance(each, dict)] if isinstance(several, list) else []
    texts = [str(each) for each in found if each not in (None, "", "UNKNOWN_PREVIEW_FAILURE_REASON")]
    return sorted(texts, key=lambda text: text in ("UNKNOWN_FAILURE_REASON", "UNKNOWN_EDIT_ORDER_FAILURE_REASON"))


CODES = Codes(venue="Coinbase", found=codes, meanings=MEANINGS)


def order_body(request: OrderRequest, instrument_id: str) -> dict[str, Any]:
    """Of POST /api/v3/brokerage/orders."""
    size = {"base_size": plain(request.quantity)} if request.quantity is not None else {}
    if request.notional is not None:
        size = {"quote_size": plain(request.notional)}
    if request.limit_price is not None:
        size["limit_price"] = plain(request.limit_price)
    terms: dict[str, Any]
    if request.order_type is OrderType.MARKET:
        terms = {"market_market_ioc": size}
    elif request.order_type is OrderType.STOP_LIMIT:
        assert request.stop_price is not None
        way = "STOP_DIRECTION_STOP_UP" if request.side is Side.BUY else "STOP_DIRECTION_STOP_DOWN"
        terms = {"stop_limit_stop_limit_gtc": {**size, "stop_price": plain(request.stop_price), "stop_direction": way}}
    elif request.tif is TimeInForce.IOC:
        terms = {"sor_limit_ioc": size}
    else:
        terms = {"limit_limit_gtc": {**size, "post_only": request.post_only}}
    return {
        "client_order_id": request.client_order_id,
        "product_id": instrument_id,
        "side": request.side.value,
        "order_configuration": terms,
    }


def edit_body(wanted: OrderRequest, order_id: str) -> dict[str, Any]:
    """Of POST /api/v3/brokerage/orders/edit: both terms each time, for one left out counts as zero there."""
    assert wanted.limit_price is not None
    return {"order_id": order_id, "price": plain(wanted.limit_price), "size": plain(wanted.units)}


def created(answer: Any, client_order_id: str) -> str:
    told = answer.get("success_response") if isinstance(answer, dict) and answer.get("success") is True else None
    ours = isinstance(told, dict) and told.get("client_order_id") == client_order_id
    return str(told.get("order_id") or "") if ours and isinstance(told, dict) else ""


Row = Mapping[str, Any]
_INTERNAL = frozenset({"transfer", "exchange_deposit", "exchange_withdrawal", "pro_deposit", "pro_withdrawal"})
_MOVED = _INTERNAL | {"send", "tx", "fiat_deposit", "fiat_withdrawal"}
_DONE = {
    "completed": TransferStatus.DONE,
    "failed": TransferStatus.FAILED,
    "expired": TransferStatus.FAILED,
    "canceled": TransferStatus.CANCELLED,
}


def currency(wallet: Row) -> str:
    """Of GET /v2/accounts: an object, or its code alone."""
    told = wallet.get("currency")
    return str(told.get("code") or "") if isinstance(told, dict) else str(told or "")


def transfer(row: Row) -> Transfer | None:
    """Of GET /v2/accounts/:id/transactions; None for what is a trade, a fee or a reward."""
    kind, amount = str(row.get("type")), row.get("amount") or {}
    if kind not in _MOVED:
        return None
    value = parse.number_or_zero(amount.get("amount"))
    network = row.get("network") if isinstance(row.get("network"), dict) else {}
    assert isinstance(network, dict)
    fee = (network.get("transaction_fee") or {}).get("amount")
    side = TransferKind.WITHDRAWAL if value < 0 else TransferKind.DEPOSIT
    try:
        at = datetime.fromisoformat(str(row.get("created_at")))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BrokerUnavailable("Coinbase sent a transfer without its time.")
    return Transfer(
        transfer_id=str(row.get("id") or ""),
        at=at,
        kind=TransferKind.INTERNAL if kind in _INTERNAL else side,
        status=_DONE.get(str(row.get("status")), TransferStatus.PENDING),
        asset=str(amount.get("currency") or ""),
        amount=abs(value),
        fee=parse.number(fee),
        network=quoted_text(network.get("network_name")),
        transaction_hash=quoted_text(network.get("hash")),
    )


def deposit_address(row: Row, asset: str) -> DepositAddress:
    """Of GET /v2/accounts/:id/addresses."""
    more = row.get("address_info") or {}
    return DepositAddress(
        asset=asset,
        address=parse.address(more.get("address") or row.get("address")),
        network=quoted_text(row.get("network")),
        tag=quoted_text(more.get("destination_tag") or row.get("destination_tag")),
    )
