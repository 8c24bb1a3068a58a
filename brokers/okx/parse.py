"""OKX's words: its codes, the body of an order, what its key may do. Source: www.okx.com/docs-v5/en/."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
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
    FundingPayment,
    FundingRate,
    Instrument,
    OrderChanges,
    OrderRequest,
    OrderType,
    TimeInForce,
)

_M = Meaning
MEANINGS: Mapping[str, Meaning] = {
    "50001": _M.UNKNOWN,  # service temporarily unavailable
    "50004": _M.UNKNOWN,  # endpoint timed out: "does not indicate success or failure of order"
    "50013": _M.UNKNOWN,  # systems are busy
    "50026": _M.UNKNOWN,  # system error
    "51054": _M.UNKNOWN,  # request timed out
    "51149": _M.UNKNOWN,  # order timed out
    "50011": _M.RATE,
    "50061": _M.RATE,  # of the sub-account's orders
    "50102": _M.CLOCK,
    "50112": _M.CLOCK,
    "50030": _M.PERMISSION,
    "50110": _M.AUTH,  # this address is not on the key's list
    "50120": _M.PERMISSION,
    "50038": _M.PERMISSION,  # not in demo trading
    "50007": _M.PERMISSION,  # account blocked
    "50101": _M.AUTH,  # key of the other environment
    "50103": _M.AUTH,
    "50105": _M.AUTH,
    "50111": _M.AUTH,
    "50113": _M.AUTH,
    "50114": _M.AUTH,
    "50119": _M.AUTH,
    "51000": _M.ORDER,
    "51001": _M.SYMBOL,
    "51004": _M.ORDER,
    "51006": _M.ORDER,
    "51008": _M.FUNDS,
    "51010": _M.REJECTED,  # not in this account mode
    "51016": _M.DUPLICATE,
    "51020": _M.ORDER,
    "51121": _M.ORDER,
    "51127": _M.FUNDS,
    "51131": _M.FUNDS,
    "51155": _M.PERMISSION,  # not in this country
    "51400": _M.NOT_FOUND,
    "51401": _M.NOT_FOUND,
    "51402": _M.NOT_FOUND,
    "51410": _M.UNKNOWN,  # being cancelled already
    "51500": _M.ORDER,
    "51502": _M.FUNDS,
    "51503": _M.NOT_FOUND,  # of a change
    "51506": _M.ORDER,
    "51508": _M.CLOSED,
    "51509": _M.ENDED,
    "51510": _M.ENDED,
    "51511": _M.ORDER,
    "51603": _M.NOT_FOUND,
}


def codes(answer: Any) -> list[str]:
    """That of the order before that of the request."""
    if not isinstance(answer, dict):
        return []
    data = answer.get("data")
    rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    found = [str(row.get("sCode", "")) for row in rows] + [str(answer.get("code", ""))]
    return [code for code in found if code not in ("", "0", "1", "2")]


CODES = Codes(venue="OKX", found=codes, meanings=MEANINGS)

_KIND = {TimeInForce.GTC: "limit", TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}


def order_body(request: OrderRequest, instrument_id: str, *, contract: bool) -> dict[str, Any]:
    """Of POST /api/v5/trade/order. Every number is text, and ours to the digit."""
    market = request.order_type is OrderType.MARKET
    body: dict[str, Any] = {
        "instId": instrument_id,
        "clOrdId": request.client_order_id,
        "tdMode": "cross" if contract else "cash",
        "side": request.side.value.lower(),
        "ordType": "market" if market else "post_only" if request.post_only else _KIND[request.tif],
    }
    if request.quantity is None:
        assert request.notional is not None
        body["sz"], body["tgtCcy"] = plain(request.notional), "quote_ccy"
    else:
        body["sz"] = plain(request.quantity)
        if market and not contract:
            body["tgtCcy"] = "base_ccy"
    if request.limit_price is not None:
        body["px"] = plain(request.limit_price)
    if request.reduce_only:
        body["reduceOnly"] = True
    return body


def amend_body(changes: OrderChanges, instrument_id: str, order_id: str) -> dict[str, Any]:
    """Of POST /api/v5/trade/amend-order. ``newSz`` is the whole quantity, what has filled included."""
    body: dict[str, Any] = {"instId": instrument_id, "ordId": order_id}
    if changes.quantity is not None:
        body["newSz"] = plain(changes.quantity)
    if changes.limit_price is not None:
        body["newPx"] = plain(changes.limit_price)
    return body


def created(answer: Any, client_order_id: str) -> str:
    """The id of the one order in the answer, which names ours and no error; else nothing."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or len(rows) != 1 or not isinstance(rows[0], dict):
        return ""
    row = rows[0]
    ours = row.get("clOrdId") == client_order_id and str(row.get("sCode")) == "0" and str(answer.get("code")) == "0"
    return str(row.get("ordId") or "") if ours else ""


Row = Mapping[str, Any]
_HOUR = Decimal(3_600_000)
_SAVINGS = "savings"


def funding_rate(
    found: Instrument, told: Row, mark: Row, index: Row, interest: Row, paid: Sequence[Row], now: datetime
) -> FundingRate:
    """Of GET public/funding-rate, public/mark-price, market/index-tickers, public/open-interest and the history."""
    rate = parse.number(told.get("fundingRate"))
    if rate is None:
        raise BrokerUnavailable("OKX reported no funding rate.")
    due, after = parse.number(told.get("fundingTime")), parse.number(told.get("nextFundingTime"))
    return FundingRate(
        symbol=found.symbol,
        currency=found.currency,
        rate=rate,
        next_at=parse.moment(due),
        interval_hours=(after - due) / _HOUR if due and after and after > due else None,
        mark=parse.number(mark.get("markPx")),
        index=parse.number(index.get("idxPx")),
        open_interest=parse.number(interest.get("oiCcy")),
        open_interest_unit=found.base,
        history=tuple(_payments(paid)),
        as_of=parse.moment(told.get("ts")) or now,
        source=found.price_source,
    )


def _payments(paid: Sequence[Row]) -> Iterator[FundingPayment]:
    for row in paid:
        at = parse.moment(row.get("fundingTime"))
        rate = parse.number(row.get("realizedRate")) or parse.number(row.get("fundingRate"))
        if at is not None and rate is not None:
            yield FundingPayment(at=at, rate=rate)


def deposit_address(row: Row) -> DepositAddress:
    """Of GET asset/deposit-address. ``chain`` is the coin, a hyphen and the network."""
    more = row.get("addrEx")
    tag = row.get("tag") or row.get("memo") or row.get("pmtId") or (more.get("comment") if more else "")
    asset = str(row.get("ccy") or "")
    return DepositAddress(
        asset=asset,
        address=parse.address(row.get("addr")),
        network=quoted_text(row.get("chain")).removeprefix(f"{asset}-"),
        tag=quoted_text(tag),
    )


def savings_offer(row: Row) -> EarnOffer:
    """Of GET finance/savings/lending-rate-summary: what lenders are expected to earn in the next hour, by the year."""
    asset = str(row.get("ccy") or "")
    return EarnOffer(
        offer_id=f"{_SAVINGS}-{asset}", asset=asset, kind=_SAVINGS, yearly_rate=parse.number(row.get("estRate"))
    )


def savings_holding(row: Row) -> EarnHolding:
    """Of GET finance/savings/balance."""
    asset = str(row.get("ccy") or "")
    return EarnHolding(
        offer_id=f"{_SAVINGS}-{asset}",
        asset=asset,
        kind=_SAVINGS,
        amount=parse.number_or_zero(row.get("amt")),
        earned=parse.number(row.get("earnings")),
    )


def staking_offer(row: Row) -> EarnOffer:
    """Of GET finance/staking-defi/offers. A term of 0 days is one that ends when its owner wants."""
    asset = str(row.get("ccy") or "")
    mine: Row = next((each for each in row.get("investData") or [] if each.get("ccy") == asset), {})
    return EarnOffer(
        offer_id=str(row.get("productId") or ""),
        asset=asset,
        kind=quoted_text(row.get("protocolType")) or "staking",
        yearly_rate=parse.number(row.get("apy")),
        term_days=int(parse.number_or_zero(row.get("term"))) or None,
        minimum=parse.number(mine.get("minAmt")),
    )


def staking_holding(row: Row) -> Iterator[EarnHolding]:
    """Of GET finance/staking-defi/orders-active: one for each coin that was put in."""
    earned = {each.get("ccy"): parse.number(each.get("earnings")) for each in row.get("earningData") or []}
    for each in row.get("investData") or []:
        yield EarnHolding(
            offer_id=str(row.get("productId") or ""),
            asset=str(each.get("ccy") or ""),
            kind=quoted_text(row.get("protocolType")) or "staking",
            amount=parse.number_or_zero(each.get("amt")),
            earned=earned.get(each.get("ccy")),
            yearly_rate=parse.number(row.get("apy")),
        )
