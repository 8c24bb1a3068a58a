"""OKX's words: its codes, the body of an order, what its key may do. Source: www.okx.com/docs-v5/en/."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.crypto import parse, unknown_word_counts
from brokers.crypto.error_outcomes import Codes, Meaning, by_words, is_internal
from brokers.decimals import plain
from brokers.errors import BrokerUnavailable
from brokers.json_values import quoted_text
from brokers.okx import algo_orders
from brokers.types import (
    DepositAddress,
    EarnHolding,
    EarnOffer,
    FundingPayment,
    FundingRate,
    Instrument,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
    Transaction,
)

VENUE = "OKX"
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
    "50009": _M.PERMISSION,  # account suspended because of a liquidation
    "50012": _M.PERMISSION,  # status of the account
    "50017": _M.PERMISSION,  # position frozen, as are the next
    "50018": _M.PERMISSION,
    "50019": _M.PERMISSION,
    "50020": _M.PERMISSION,
    "50021": _M.PERMISSION,
    "50022": _M.PERMISSION,  # account frozen
    "50023": _M.PERMISSION,
    "50027": _M.PERMISSION,  # account may not trade
    "50028": _M.PERMISSION,
    "50032": _M.PERMISSION,  # account blocked for this coin
    "50033": _M.PERMISSION,
    "50002": _M.ORDER,  # form of the request, as are the next
    "50006": _M.ORDER,
    "50014": _M.ORDER,
    "50015": _M.ORDER,
    "50016": _M.ORDER,
    "50024": _M.ORDER,
    "50025": _M.ORDER,
    "50040": _M.RATE,
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
    "51009": _M.PERMISSION,  # placing orders is blocked
    "51010": _M.REJECTED,  # not in this account mode
    "51016": _M.DUPLICATE,
    "51020": _M.ORDER,
    "51022": _M.CLOSED,
    "51024": _M.PERMISSION,  # account blocked
    "51027": _M.CLOSED,
    "51028": _M.CLOSED,
    "51029": _M.CLOSED,
    "51030": _M.CLOSED,
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
    "51732": _M.PERMISSION,  # who the owner is has to be proved first, as with the next
    "51733": _M.PERMISSION,
    "51734": _M.PERMISSION,
}


def codes(answer: Any) -> list[str]:
    """That of the order before that of the request."""
    if not isinstance(answer, dict):
        return []
    data = answer.get("data")
    rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    found = [str(row.get("sCode", "")) for row in rows] + [str(answer.get("code", ""))]
    return [code for code in found if code not in ("", "0", "1", "2")]


# What is wrong with an order, or with borrowing for it; then with a request, whose HTTP status is a refusal too.
_OF_THE_ORDER, _OF_THE_REQUEST = re.compile("5[14][0-9]{3}"), re.compile("50[0-9]{3}")


def refuses(answer: Any, status: int) -> Meaning | None:
    """A code of the order's own family, unless its words are about OKX itself."""
    found = codes(answer)
    if not found:
        return None
    data = answer.get("data")
    rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    words = " ".join([*(str(row.get("sMsg") or "") for row in rows), str(answer.get("msg") or "")])
    of_the_request = status >= 400 and _OF_THE_REQUEST.fullmatch(found[0])
    if is_internal(words) or not (_OF_THE_ORDER.fullmatch(found[0]) or of_the_request):
        return None
    return by_words(words, _M.REJECTED)


CODES = Codes(venue=VENUE, found=codes, meanings=MEANINGS, refuses=refuses)

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
    if market and not contract:
        # Without it, OKX makes an order smaller than was confirmed when the balance does not cover it.
        body["banAmend"] = True
    if request.limit_price is not None:
        body["px"] = plain(request.limit_price)
    if request.reduce_only:
        body["reduceOnly"] = True
    return body


def largest(rows: list[dict[str, Any]], side: Side) -> Decimal | None:
    """Of GET /api/v5/account/max-size: contracts, as an order has them."""
    told = rows[0].get("maxBuy" if side is Side.BUY else "maxSell") if rows else None
    return parse.number_or_zero(told) if told else None


_TYPES = {
    "market": (OrderType.MARKET, TimeInForce.IOC),
    "optimal_limit_ioc": (OrderType.MARKET, TimeInForce.IOC),
    "limit": (OrderType.LIMIT, TimeInForce.GTC),
    "post_only": (OrderType.LIMIT, TimeInForce.GTC),
    "mmp": (OrderType.LIMIT, TimeInForce.GTC),
    "mmp_and_post_only": (OrderType.LIMIT, TimeInForce.GTC),
    "rpi": (OrderType.LIMIT, TimeInForce.GTC),
    "ioc": (OrderType.LIMIT, TimeInForce.IOC),
    "fok": (OrderType.LIMIT, TimeInForce.FOK),
    "op_fok": (OrderType.LIMIT, TimeInForce.FOK),
}
_NO_WORD_HERE = frozenset({"conditional", "oco", "trigger", "move_order_stop", "iceberg", "twap", "chase"})


def terms(row: "Row") -> parse.VenueTerms:
    """Of an order. The exits that hang on it (``attachAlgoOrds``) are orders of their own, and no part of its kind."""
    word, limit = str(row.get("ordType") or ""), parse.positive(row.get("px"))
    kind, tif = _TYPES.get(word, (None, None))
    if kind is None and word not in _NO_WORD_HERE:
        unknown_word_counts.note(VENUE, "order type", word)
    by_worth = row.get("tgtCcy") == "quote_ccy" and word == "market" and row.get("instType", "SPOT") == "SPOT"
    return parse.VenueTerms(
        order_type=None if kind is OrderType.LIMIT and limit is None else kind,
        tif=tif,
        quantity=None if by_worth else parse.positive(row.get("sz")),
        limit_price=None if kind is OrderType.MARKET else limit,
        stop_price=parse.positive(row.get("triggerPx")) if kind is None else None,
        reason=quoted_text(row.get("cancelSourceReason")),
        order_class=next((part.order_class for part, _ in algo_orders.waiting(row)), OrderClass.SIMPLE),
    )


def balances(rows: Any, coded: Any) -> dict[str, dict[str, Decimal]]:
    """Of GET account/balance, by coin, in ccxt's form. ``eq`` has the unrealized profit of contracts in it, which
    comes with the positions: cash is without it."""
    if not isinstance(rows, list):
        raise BrokerUnavailable("OKX sent balances that could not be read.")
    found = {}
    for row in rows:
        equity = parse.number(row.get("eq"))
        total = parse.number_or_zero(row.get("cashBal"))
        if equity is not None:
            total = equity - parse.number_or_zero(row.get("upl"))
        free = parse.number(row.get("availEq"))
        if free is None:
            free = parse.number(row.get("availBal"))
        free = total if free is None else free
        found[str(coded(row.get("ccy")))] = {"total": total, "free": free, "used": max(total - free, Decimal(0))}
    return found


_BILLS = {
    "1": "transfer",
    "2": "trade",
    "3": "trade",  # delivery
    "4": "trade",
    "5": "trade",  # liquidation
    "6": "transfer",
    "7": "interest",
    "8": "fee",  # funding
    "9": "trade",
    "10": "trade",
    "11": "trade",
    "12": "transfer",  # to and from strategies
    "13": "trade",
    "14": "trade",
    "15": "transfer",
    "16": "other",  # borrowed
    "18": "other",
    "19": "other",
    "20": "trade",
    "22": "other",  # paid back
    "24": "trade",
    "26": "other",
    "27": "trade",  # conversion
    "28": "trade",
    "29": "other",
    "30": "trade",
    "32": "transfer",
    "33": "other",
    "34": "trade",  # settlement
    "250": "fee",
    "251": "fee",
}


def entry(told: parse.Answer) -> Transaction:
    """Of GET account/bills, as ccxt reads it but for its kind. The change of the balance has the fee in it."""
    word = str((told.get("info") or {}).get("type") or "")
    if word not in _BILLS:
        unknown_word_counts.note(VENUE, "kind of bill", word)
    return parse.transaction({**told, "type": _BILLS.get(word, "other")})


def fee_rates(row: "Row", market: parse.Answer) -> tuple[Decimal, Decimal]:
    """Maker's and taker's, of GET account/trade-fee, which reports them as the change they make. The plain names are of
    spot, and of contracts that settle in the coin; those that settle in USDT and in USDC have names of their own.
    Newer answers have groups of instruments instead."""
    usdc = "USDC" in (market.get("settle"), market.get("quote"))
    groups = [each for each in row.get("feeGroup") or [] if isinstance(each, dict)]
    mine = str((market.get("info") or {}).get("groupId") or "")
    group: Row = next((each for each in groups if str(each.get("groupId")) == mine), groups[0] if groups else {})
    suffixes = (*(("USDC",) if usdc else ()), *(("U", "") if market.get("contract") else ("",)))

    def of(side: str) -> Decimal:
        told = [parse.number(group.get(side)), *(parse.number(row.get(side + suffix)) for suffix in suffixes)]
        return -next((each for each in told if each is not None), Decimal(0))

    return of("maker"), of("taker")


_CATEGORIES = {"3": "stock", "4": "commodity", "5": "currency", "6": "bond"}


def base_is(row: "Row") -> str:
    """Of an instrument of GET public/instruments: what its first name is, where it is no coin (``instCategory``)."""
    word = str(row.get("instCategory") or "")
    if word not in ("", "1", *_CATEGORIES):
        unknown_word_counts.note(VENUE, "category of instrument", word)
    return _CATEGORIES.get(word, "")


def margin_note(symbol: str, rows: "Sequence[Row]", *, hedged: bool) -> str:
    """Of GET account/leverage-info: in long/short mode a row for each side."""
    told = {str(row.get("posSide") or "net"): parse.positive(row.get("lever")) for row in rows}
    sides = ", ".join(
        f"{plain(lever)}x leverage{'' if side == 'net' else f' {side}'}" for side, lever in told.items() if lever
    )
    mode = "long/short mode" if hedged else "net mode"
    return f"At OKX {symbol} is set to {sides or 'a leverage that OKX did not report'}, cross margin, {mode}."


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
