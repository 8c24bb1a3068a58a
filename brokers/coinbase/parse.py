"""Coinbase Advanced Trade's words. Source: docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/."""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from brokers.crypto import parse, unknown_word_counts
from brokers.crypto.error_outcomes import Codes, Meaning, by_words, is_internal
from brokers.crypto.parse import VenueTerms
from brokers.decimals import plain
from brokers.errors import BrokerError, BrokerUnavailable, NotCancellable, Rejected, UnknownOutcome
from brokers.json_values import quoted_text
from brokers.types import (
    DepositAddress,
    LegRequest,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
    Transfer,
    TransferKind,
    TransferStatus,
)

VENUE = "Coinbase"
Row = Mapping[str, Any]
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


_SAYS_NOTHING = frozenset({"UNKNOWN_FAILURE_REASON", "UNKNOWN_EDIT_ORDER_FAILURE_REASON"})
_NO_REASON = frozenset({"", "None", "UNKNOWN_PREVIEW_FAILURE_REASON", "UNKNOWN_ORDER_FAILURE_REASON"})


def codes(answer: Any) -> list[str]:
    """The reason of the failure before its kind; a kind that is "unknown" only where no reason is there."""
    if not isinstance(answer, dict):
        return []
    told = answer.get("error_response")
    reasons = told if isinstance(told, dict) else {}
    found = [reasons.get(name) for name in ("preview_failure_reason", "new_order_failure_reason", "error")]
    errors = answer.get("errors") if answer.get("success") is False else None
    for each in errors if isinstance(errors, list) else [errors]:
        if isinstance(each, dict):
            found += [each.get("preview_failure_reason"), each.get("edit_failure_reason")]
    told = answer.get("failure_reason")
    found += [told if isinstance(told, str) else None, answer.get("error"), answer.get("code")]
    # The wallet interface has a list of them.
    several = answer.get("errors")
    found += [each.get("id") for each in several if isinstance(each, dict)] if isinstance(several, list) else []
    texts = [str(each) for each in found if str(each) not in _NO_REASON]
    return [each for each in texts if each not in _SAYS_NOTHING] or texts


_ORDER_WORDS = re.compile("INVALID|PRECISION|TOO_(SMALL|LARGE)|EXCEED|BELOW|ABOVE|REQUIRED|UNSUPPORTED")


def refuses(answer: Any, status: int) -> Meaning | None:
    """``success`` that is false says that nothing was made, whatever the reason; so does an error from 400 on."""
    if not isinstance(answer, dict):
        return None
    failed = answer.get("success") is False
    found = codes(answer)
    if not failed and not (400 <= status < 500 and found):
        return None
    if any(is_internal(each) or each == "UNKNOWN" for each in found):
        return None
    words = " ".join(found)
    return by_words(words, _M.ORDER if _ORDER_WORDS.search(words) else _M.REJECTED)


CODES = Codes(venue=VENUE, found=codes, meanings=MEANINGS, refuses=refuses)
_ENDED = frozenset({"UNKNOWN_CANCEL_ORDER", "ORDER_IS_FULLY_FILLED"})
_PERHAPS = frozenset({"UNKNOWN_CANCEL_FAILURE_REASON", "DUPLICATE_CANCEL_REQUEST", ""})


def cancel_refusal(answer: Any, order_id: str) -> BrokerError | None:
    """Of POST orders/batch_cancel, which answers for each order by itself; None for a cancel that was taken."""
    told = answer.get("results") if isinstance(answer, dict) else None
    mine = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    row = next((each for each in mine if each.get("order_id") == order_id), mine[0] if len(mine) == 1 else {})
    if row.get("success") is not False:
        return None
    reason = str(row.get("failure_reason") or "")
    if reason in _ENDED:
        return NotCancellable(f"This order ended before it could be cancelled ({reason}).")
    if reason in _PERHAPS or is_internal(reason):
        return UnknownOutcome(f"Coinbase did not say whether it cancels the order ({quoted_text(reason, 60)}).")
    return Rejected(f"Coinbase refused to cancel this order ({quoted_text(reason, 60)}).")


_TYPES = {
    "market_market": OrderType.MARKET,
    "limit_limit": OrderType.LIMIT,
    "sor_limit": OrderType.LIMIT,
    "stop_limit_stop_limit": OrderType.STOP_LIMIT,
}
_NO_WORD_HERE = frozenset({"trigger_bracket", "twap_limit", "scaled_limit"})
_TIFS = {"gtc": TimeInForce.GTC, "ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}
_ENDS_ITS_NAME = frozenset({*_TIFS, "gtd"})
_TAKES_PROFIT = frozenset({("BUY", "STOP_DIRECTION_STOP_DOWN"), ("SELL", "STOP_DIRECTION_STOP_UP")})


def terms(row: Row) -> VenueTerms:
    """Of an order, by its configuration: one object, whose name is the kind of order and how long it stands."""
    told = row.get("order_configuration")
    name, within = next(
        ((name, value) for name, value in (told if isinstance(told, dict) else {}).items() if isinstance(value, dict)),
        ("", {}),
    )
    word, _, end = name.rpartition("_")
    kind = _TYPES.get(word)
    if kind is None and word not in _NO_WORD_HERE:
        unknown_word_counts.note(VENUE, "order configuration", name)
    if end not in _ENDS_ITS_NAME:
        unknown_word_counts.note(VENUE, "time in force", end)
    limit = parse.positive(within.get("limit_price"))
    stop = parse.positive(within.get("stop_price")) or parse.positive(within.get("stop_trigger_price"))
    if (str(row.get("side")), within.get("stop_direction")) in _TAKES_PROFIT:
        kind = None
    missing = kind is not None and ((kind.needs_limit and limit is None) or (kind.needs_stop and stop is None))
    return VenueTerms(
        order_type=None if missing else kind,
        tif=_TIFS.get(end),
        quantity=parse.positive(within.get("base_size")),
        limit_price=limit if kind is not OrderType.MARKET else None,
        stop_price=stop,
        reason=_reason(row),
        order_class=OrderClass.BRACKET if has_exits(row) else OrderClass.SIMPLE,
    )


# -- a profit target and a stop, which are one order there --------------------------------------------------------

_BRACKET = "trigger_bracket_gtc"
_TRIGGERED = "STOP_TRIGGERED"
_OTHER_HALF = "The other exit took its place."
TARGET, STOP = 0, 1


def bracket(told: Any) -> Row | None:
    """The prices of a configuration that has a target and a stop in it; None for any other."""
    found = next((value for name, value in told.items() if name == _BRACKET), None) if isinstance(told, dict) else None
    return found if isinstance(found, dict) else None


def is_pair(row: Row) -> bool:
    """Whether it is a target and a stop that were sent by themselves."""
    return bracket(row.get("order_configuration")) is not None and not originating(row)


def has_exits(row: Row) -> bool:
    return bracket(row.get("attached_order_configuration")) is not None


def originating(row: Row) -> str:
    """Coinbase's id of the order whose exits it is."""
    return str(row.get("originating_order_id") or "")


def is_triggered(row: Row) -> bool:
    """Whether the stop of a target and a stop has taken over."""
    return row.get("trigger_status") == _TRIGGERED


def is_of_half(trade: parse.Answer, row: Row, half: int) -> bool:
    """A target fills at its price or better, and its stop, which waits on the other side, never does."""
    limit = parse.number_or_zero((bracket(row.get("order_configuration")) or {}).get("limit_price"))
    price = parse.number_or_zero(trade.get("price"))
    better = price <= limit if str(row.get("side")) == "BUY" else price >= limit
    return better is (half == TARGET)


def half_of(answer: parse.Answer, half: int, ours: str, whole: str, trades: Sequence[parse.Answer]) -> parse.Answer:
    """One of the two exits in an order, as an order of its own: ``ours`` is its id and ``whole`` that of the order it
    belongs to, "" for the first of a pair. ``trades`` are needed where the stop was triggered."""
    row = answer["info"]
    both: VenueTerms = answer["terms"]
    triggered, filled = is_triggered(row), parse.number_or_zero(answer.get("filled"))
    mine = filled if half == TARGET else Decimal(0)
    average = answer.get("average")
    target = filled
    if triggered:
        of_half = [each for each in trades if is_of_half(each, row, half)]
        mine = sum((parse.number_or_zero(each["amount"]) for each in of_half), Decimal(0))
        target = mine if half == TARGET else filled - mine
        worth = sum((parse.number_or_zero(each["amount"]) * each["price"] for each in of_half), Decimal(0))
        average = worth / mine if mine else None
    status = str(answer.get("status"))
    loses = triggered if half == TARGET else not triggered and status == "closed"
    quantity = both.quantity
    if half == STOP and quantity is not None:
        quantity -= target
    return {
        **answer,
        "clientOrderId": ours,
        "status": "canceled" if loses else status,
        "filled": mine,
        "average": average,
        "half": half,
        "terms": VenueTerms(
            order_type=OrderType.LIMIT if half == TARGET else OrderType.STOP,
            tif=both.tif,
            quantity=both.quantity if half == STOP and loses else quantity,
            limit_price=both.limit_price if half == TARGET else None,
            stop_price=both.stop_price if half == STOP else None,
            reason=_OTHER_HALF if loses else both.reason,
            order_class=OrderClass.OCO if is_pair(row) else OrderClass.BRACKET,
            parent_client_order_id=whole,
        ),
    }


def planned_half(answer: parse.Answer, half: int, ours: str, now: datetime) -> parse.Answer:
    """One of the two exits of an order that Coinbase has not placed yet."""
    row = answer["info"]
    prices = bracket(row.get("attached_order_configuration")) or {}
    status, reason = "open", ""
    if answer["status"] != "open":
        filled, ended = parse.number_or_zero(answer.get("filled")), parse.moment(answer.get("lastUpdateTimestamp"))
        status, reason = parse.unplaced_exit(VENUE, filled, ended, now)
    return {
        "info": row,
        "id": "",
        "clientOrderId": ours,
        "symbol": answer["symbol"],
        "side": "sell" if str(answer.get("side")) == "buy" else "buy",
        "status": status,
        "filled": Decimal(0),
        "timestamp": answer.get("timestamp"),
        "half": half,
        "terms": VenueTerms(
            order_type=OrderType.LIMIT if half == TARGET else OrderType.STOP,
            quantity=answer["terms"].quantity,
            limit_price=parse.positive(prices.get("limit_price")) if half == TARGET else None,
            stop_price=parse.positive(prices.get("stop_trigger_price")) if half == STOP else None,
            reason=reason,
            order_class=OrderClass.BRACKET,
            parent_client_order_id=answer["clientOrderId"],
            held=True,
        ),
    }


def _reason(row: Row) -> str:
    told = [quoted_text(row.get(name)) for name in ("reject_message", "cancel_message", "reject_reason")]
    return next((each for each in told if each not in ("", "REJECT_REASON_UNSPECIFIED")), "")


def last_change(row: Row) -> int | None:
    """The newest time of an order, in milliseconds."""
    names = ("last_update_time", "last_fill_time", "created_time")
    found = [at for name in names if (at := parse.iso_moment(row.get(name))) is not None]
    return parse.milliseconds(max(found)) if found else None


_WALLETS = frozenset({"CRYPTO", "FIAT"})
_VAULT = "VAULT"


def balances(accounts: Any, coded: Callable[[Any], Any]) -> dict[str, dict[str, Decimal]]:
    """Of GET accounts, by coin, in ccxt's form. A vault belongs to its owner and cannot be spent from here, and so does
    what stands in an account of a type that is not known."""
    if not isinstance(accounts, list):
        raise BrokerUnavailable("Coinbase sent accounts that could not be read.")
    found: dict[str, dict[str, Decimal]] = {}
    for row in accounts:
        available, hold = row.get("available_balance") or {}, row.get("hold") or {}
        code = str(coded(available.get("currency") or row.get("currency") or hold.get("currency")))
        free, used = parse.number_or_zero(available.get("value")), parse.number_or_zero(hold.get("value"))
        word = str(row.get("type") or "").removeprefix("ACCOUNT_TYPE_")
        if word not in _WALLETS:
            free, used = Decimal(0), free + used
            if word != _VAULT:
                unknown_word_counts.note(VENUE, "type of account", word)
        one = found.setdefault(code, {"total": Decimal(0), "free": Decimal(0), "used": Decimal(0)})
        one["free"], one["used"] = one["free"] + free, one["used"] + used
        one["total"] = one["free"] + one["used"]
    return found


_FILL, _REVERSAL = "FILL", "REVERSAL"
_ADJUSTED = frozenset({_REVERSAL, "CORRECTION", "SYNTHETIC"})


def trades(rows: Sequence[Row], naming: Callable[[Any], tuple[str, Decimal]]) -> list[parse.Answer]:
    """Of GET orders/historical/fills, in ccxt's form. A reversal undoes the fill of the same trade id: neither of the
    two counts, and ``void`` says so. ``naming`` gives an instrument's name and lot."""
    undone = {row.get("trade_id") for row in rows if row.get("trade_type") == _REVERSAL}
    return [_trade(row, undone, naming) for row in rows]


def _trade(row: Row, undone: set[Any], naming: Callable[[Any], tuple[str, Decimal]]) -> parse.Answer:
    word = str(row.get("trade_type") or _FILL)
    if word != _FILL and word not in _ADJUSTED:
        unknown_word_counts.note(VENUE, "type of fill", word)
    symbol, lot = naming(row.get("product_id"))
    price, size = parse.positive(row.get("price")), parse.number_or_zero(row.get("size"))
    if row.get("size_in_quote") is True and price is not None:
        size = (size / price).quantize(lot)
    at = parse.iso_moment(row.get("trade_time"))
    return {
        "id": str((row.get("trade_id") if word == _FILL else row.get("entry_id")) or row.get("entry_id") or ""),
        "order": str(row.get("order_id") or ""),
        "symbol": symbol,
        "side": str(row.get("side") or ""),
        "price": price,
        "amount": size,
        "timestamp": None if at is None else parse.milliseconds(at),
        "fee": {"cost": str(row.get("commission") or "0"), "currency": None},
        "void": word == _REVERSAL or (word == _FILL and row.get("trade_id") in undone),
    }


_ED25519_SIZES = frozenset({32, 64})


def is_other_key(secret: str) -> bool:
    """Whether this is surely no EC private key but one of Ed25519, in PEM or as its bytes in base64."""
    if "BEGIN" in secret:
        try:
            key = load_pem_private_key(secret.encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return False
        return not isinstance(key, EllipticCurvePrivateKey)
    try:
        return len(b64decode(secret.strip(), validate=True)) in _ED25519_SIZES
    except ValueError:
        return False


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
    body = {
        "client_order_id": request.client_order_id,
        "product_id": instrument_id,
        "side": request.side.value,
        "order_configuration": terms,
    }
    if request.order_class is OrderClass.OCO:
        body["order_configuration"] = {_BRACKET: {**size, "stop_trigger_price": plain(_stop_of(request.legs))}}
    elif request.take_profit is not None and request.take_profit.limit_price is not None:
        # Its size is that of the order.
        prices = {"limit_price": plain(request.take_profit.limit_price)}
        prices["stop_trigger_price"] = plain(_stop_of(request.legs))
        body["attached_order_configuration"] = {_BRACKET: prices}
    return body


def _stop_of(legs: Sequence[LegRequest]) -> Decimal:
    return next(leg.stop_price for leg in legs if leg.stop_price is not None)


def edit_body(wanted: OrderRequest, order_id: str) -> dict[str, Any]:
    """Of POST /api/v3/brokerage/orders/edit: both terms each time, for one left out counts as zero there."""
    assert wanted.limit_price is not None
    return {"order_id": order_id, "price": plain(wanted.limit_price), "size": plain(wanted.units)}


def created(answer: Any, client_order_id: str) -> str:
    told = answer.get("success_response") if isinstance(answer, dict) and answer.get("success") is True else None
    ours = isinstance(told, dict) and told.get("client_order_id") == client_order_id
    return str(told.get("order_id") or "") if ours and isinstance(told, dict) else ""


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
