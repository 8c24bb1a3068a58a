"""Binance's words. Source: developers.binance.com/docs/binance-spot-api-docs/ (rest-api, errors)."""

import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any

from brokers.binance import order_lists
from brokers.crypto import parse, unknown_word_counts
from brokers.crypto.error_outcomes import Codes, Meaning, by_words, is_internal
from brokers.decimals import plain
from brokers.errors import BrokerUnavailable
from brokers.json_values import quoted_text
from brokers.types import DepositAddress, EarnHolding, EarnOffer, OrderRequest, OrderType, TimeInForce

VENUE = "Binance"
_M = Meaning
DUPLICATE = "Duplicate order sent."
NEITHER = "-2021 of both halves"
MEANINGS: Mapping[str, Meaning] = {
    "-1000": _M.UNKNOWN,  # unknown error while processing
    "-1001": _M.UNKNOWN,  # disconnected: unable to process
    "-1006": _M.UNKNOWN,  # unexpected response from the message bus: execution status unknown
    "-1007": _M.UNKNOWN,  # timeout waiting for the backend: execution status unknown
    "-1002": _M.AUTH,
    "-1003": _M.RATE,
    "-1008": _M.RATE,  # overloaded: the request was not taken
    "-1015": _M.RATE,  # too many new orders
    "-1013": _M.ORDER,  # a filter of the market
    "-1016": _M.REJECTED,
    "-1020": _M.REJECTED,
    "-1021": _M.CLOCK,
    "-1022": _M.AUTH,
    "-1034": _M.RATE,
    "-1100": _M.ORDER,
    "-1102": _M.ORDER,
    "-1111": _M.ORDER,  # more decimals than the market has
    "-1121": _M.SYMBOL,
    f"-2010 {DUPLICATE}": _M.DUPLICATE,
    "-2010 Account has insufficient balance for requested action.": _M.FUNDS,
    "-2010 Market is closed.": _M.CLOSED,
    "-2010": _M.REJECTED,
    "-2011": _M.NOT_FOUND,  # of a cancel
    "-2013": _M.NOT_FOUND,
    NEITHER: _M.NEITHER,
    "-2021": _M.REJECTED,  # of a replacement of which one half was done
    "-2022": _M.REJECTED,  # of a replacement: neither half was done
    "-2026": _M.ENDED,  # ended unfilled more than 90 days ago
    "-2014": _M.AUTH,
    "-2015": _M.AUTH,  # key, address or permission
}


def codes(answer: Any) -> list[str]:
    """With its words first: one code stands for a duplicate and for a rejection."""
    if not isinstance(answer, dict) or "code" not in answer:
        return []
    found = [code for each in _part_errors(answer) for code in codes(each)]
    code = str(answer["code"])
    if code == "-2021" and _is_fully_cancelled(answer.get("data")):
        found.insert(0, NEITHER)
    return [*found, f"{code} {answer.get('msg', '')}", code]


def _is_fully_cancelled(told: Any) -> bool:
    """Whether the old order was cancelled and the new one surely does not stand: what the refusal of the new one alone
    would mean, such as "try again later", is not so of the change."""
    if not isinstance(told, dict) or (told.get("cancelResult"), told.get("newOrderResult")) != ("SUCCESS", "FAILURE"):
        return False
    why = next((MEANINGS[code] for code in codes(told.get("newOrderResponse")) if code in MEANINGS), _M.REJECTED)
    return why not in (_M.UNKNOWN, _M.DUPLICATE)


def _part_errors(answer: Mapping[str, Any]) -> list[Any]:
    """Of a replacement that failed: why each half did, the new order's first. A half that was done says no code."""
    told = answer.get("data")
    return [told.get("newOrderResponse"), told.get("cancelResponse")] if isinstance(told, dict) else []


# 11xx: the request, 10xx and 20xx: what the venue made of it.
_FAMILY = re.compile("-[12][0-9]{3}")


def refuses(answer: Any, status: int) -> Meaning | None:
    """From 400 to 499 the sender is at fault, by the documents; a code of none of their families proves nothing."""
    if not isinstance(answer, dict) or not 400 <= status < 500 or not _FAMILY.fullmatch(str(answer.get("code"))):
        return None
    words, of_request = str(answer.get("msg") or ""), str(answer["code"]).startswith("-11")
    return None if is_internal(words) else by_words(words, _M.ORDER if of_request else _M.REJECTED)


CODES = Codes(venue=VENUE, found=codes, meanings=MEANINGS, refuses=refuses)


def order_body(request: OrderRequest, instrument_id: str) -> dict[str, Any]:
    """Of POST /api/v3/order."""
    body: dict[str, Any] = {
        "symbol": instrument_id,
        "side": request.side.value,
        "newClientOrderId": request.client_order_id,
        "newOrderRespType": "RESULT",
    }
    if request.order_type is OrderType.MARKET:
        body["type"] = "MARKET"
    elif request.order_type is OrderType.STOP_LIMIT:
        body["type"], body["timeInForce"] = "STOP_LOSS_LIMIT", request.tif.value
    elif request.order_type in (OrderType.STOP, OrderType.TRAIL):
        body["type"] = "STOP_LOSS"
    elif request.post_only:
        body["type"] = "LIMIT_MAKER"
    else:
        body["type"], body["timeInForce"] = "LIMIT", request.tif.value
    for name, value in (
        ("quantity", request.quantity),
        ("quoteOrderQty", request.notional),
        ("price", request.limit_price),
        ("stopPrice", request.stop_price),
        ("trailingDelta", None if request.trail_percent is None else request.trail_percent * 100),
    ):
        if value is not None:
            body[name] = plain(value)
    return body


_TYPES = {
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_LOSS": OrderType.STOP,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
}
_WITH_ITS_LIST = "Binance ended it with another order of its list."
_NO_WORD_HERE = frozenset({"TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})


def terms(row: "Row", told: "Row | None" = None) -> parse.VenueTerms:
    """Of an order, and of the list it belongs to. With ``trailingDelta``, in hundredths of a percent, its trigger
    follows the price."""
    word = str(row.get("type") or "")
    kind = _TYPES.get(word)
    if kind is None and word not in _NO_WORD_HERE:
        unknown_word_counts.note(VENUE, "order type", word)
    limit, stop = parse.positive(row.get("price")), parse.positive(row.get("stopPrice"))
    if (delta := parse.positive(row.get("trailingDelta"))) is not None:
        kind = OrderType.TRAIL if kind is OrderType.STOP else None
    missing = kind is not None and ((kind.needs_limit and limit is None) or (kind.needs_stop and stop is None))
    tif = str(row.get("timeInForce") or "GTC")
    order_class, parent = order_lists.place_in(told or {}, str(row.get("clientOrderId") or ""))
    return parse.VenueTerms(
        order_type=None if missing else kind,
        tif=TimeInForce.GTC if word == "LIMIT_MAKER" else parse.TIFS.get(tif),
        quantity=parse.positive(row.get("origQty")),
        limit_price=limit if kind is None or kind.needs_limit else None,
        stop_price=stop,
        trail_percent=None if delta is None else delta / 100,
        reason=_reason(row) or (_WITH_ITS_LIST if told and row.get("status") == "EXPIRED" else ""),
        order_class=order_class,
        parent_client_order_id=parent,
        held=row.get("status") == "PENDING_NEW",
    )


def _reason(row: "Row") -> str:
    """Binance's words where it has any; of what ended by matching its owner's own order the status says so."""
    told = [quoted_text(row.get(name)) for name in ("expiryReason", "rejectReason")]
    word = str(row.get("status") or "")
    return next((each for each in told if each not in ("", "NONE")), word if word == "EXPIRED_IN_MATCH" else "")


def archived(client_order_id: str, symbol: str) -> parse.Answer:
    """What is known of an order that Binance answers with -2026."""
    reason = "Binance archived it: it was cancelled or expired unfilled more than 90 days ago."
    return {
        "id": "",
        "clientOrderId": client_order_id,
        "symbol": symbol,
        "status": "canceled",
        "filled": "0",
        "terms": parse.VenueTerms(order_type=None, tif=None, reason=reason),
    }


_EARNING = "LD"


def balances(rows: Any, coded: Callable[[Any], Any], coins: Collection[str]) -> dict[str, dict[str, Decimal]]:
    """Of GET account, by coin, in ccxt's form. What earns in Simple Earn is shown beside them, as LD and the coin: it
    is the coin, and cannot be traded with before it is taken out."""
    if not isinstance(rows, list):
        raise BrokerUnavailable("Binance sent balances that could not be read.")
    found: dict[str, dict[str, Decimal]] = {}
    for row in rows:
        code, free, used = str(coded(row.get("asset"))), parse.number(row.get("free")), parse.number(row.get("locked"))
        free, used = free or Decimal(0), used or Decimal(0)
        inner = str(coded(code.removeprefix(_EARNING)))
        if code.startswith(_EARNING) and code not in coins and inner in coins:
            code, free, used = inner, Decimal(0), free + used
        one = found.setdefault(code, {"total": Decimal(0), "free": Decimal(0), "used": Decimal(0)})
        one["free"], one["used"] = one["free"] + free, one["used"] + used
        one["total"] = one["free"] + one["used"]
    return found


def replace_body(wanted: OrderRequest, instrument_id: str, order_id: str) -> dict[str, Any]:
    """Of POST /api/v3/order/cancelReplace: no new order unless the old one could be cancelled before its first fill."""
    return order_body(wanted, instrument_id) | {
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelOrderId": order_id,
        "cancelRestrictions": "ONLY_NEW",
    }


def replaced(answer: Any, client_order_id: str) -> bool:
    done = isinstance(answer, dict) and answer.get("cancelResult") == answer.get("newOrderResult") == "SUCCESS"
    return done and bool(created(answer.get("newOrderResponse"), client_order_id))


def created(answer: Any, client_order_id: str) -> str:
    ours = isinstance(answer, dict) and answer.get("clientOrderId") == client_order_id
    return str(answer.get("orderId") or "") if ours else ""


Row = Mapping[str, Any]
TRANSFERS = {"deposit": "sapi_get_capital_deposit_hisrec", "withdrawal": "sapi_get_capital_withdraw_history"}
"""What ccxt calls an entry → the list it is in."""
EARN = ("flexible_list", "locked_list", "flexible_position", "locked_position")


def usual_network(coins: Any, asset: str) -> str:
    """Of GET capital/config/getall; "" for a coin that cannot be deposited."""
    if not isinstance(coins, list):
        raise BrokerUnavailable("Binance sent a list of coins that could not be read.")
    networks = next((each.get("networkList") or [] for each in coins if each.get("coin") == asset), [])
    taken = [each for each in networks if each.get("depositEnable") is True]
    usual = sorted(taken, key=lambda each: each.get("isDefault") is not True)
    return str(usual[0].get("network") or "") if usual else ""


def deposit_address(row: Row, network: str) -> DepositAddress:
    """Of GET capital/deposit/address/list."""
    return DepositAddress(
        asset=str(row.get("coin") or ""),
        address=parse.address(row.get("address")),
        network=quoted_text(network),
        tag=quoted_text(row.get("tag")),
    )


def flexible(row: Row) -> EarnOffer:
    """Of GET simple-earn/flexible/list."""
    return EarnOffer(
        offer_id=str(row.get("productId") or ""),
        asset=str(row.get("asset") or ""),
        kind="flexible",
        yearly_rate=parse.number(row.get("latestAnnualPercentageRate")),
        minimum=parse.number(row.get("minPurchaseAmount")),
    )


def locked(row: Row) -> EarnOffer:
    """Of GET simple-earn/locked/list."""
    detail, quota = row.get("detail") or {}, row.get("quota") or {}
    return EarnOffer(
        offer_id=str(row.get("projectId") or ""),
        asset=str(detail.get("asset") or ""),
        kind="locked",
        yearly_rate=parse.number(detail.get("apr")),
        term_days=int(parse.number_or_zero(detail.get("duration"))) or None,
        minimum=parse.number(quota.get("minimum")),
    )


def flexible_holding(row: Row) -> EarnHolding:
    """Of GET simple-earn/flexible/position."""
    return EarnHolding(
        offer_id=str(row.get("productId") or ""),
        asset=str(row.get("asset") or ""),
        kind="flexible",
        amount=parse.number_or_zero(row.get("totalAmount")),
        earned=parse.number(row.get("cumulativeTotalRewards")),
        yearly_rate=parse.number(row.get("latestAnnualPercentageRate")),
    )


def locked_holding(row: Row) -> EarnHolding:
    """Of GET simple-earn/locked/position; what it earned is told where it is paid in the same coin."""
    same = row.get("rewardAsset") in (None, "", row.get("asset"))
    return EarnHolding(
        offer_id=str(row.get("projectId") or ""),
        asset=str(row.get("asset") or ""),
        kind="locked",
        amount=parse.number_or_zero(row.get("amount")),
        earned=parse.number(row.get("rewardAmt")) if same else None,
        yearly_rate=parse.number(row.get("apy") or row.get("APY")),
        ends=parse.moment(row.get("deliverDate")),
    )
