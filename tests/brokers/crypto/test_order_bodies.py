"""Every field of every order that is sent, to the letter: what one leaves out or turns round shows here."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.types import OrderChanges, OrderRequest, OrderType, Side, TimeInForce
from tests.brokers.contract.cases import BINANCE, COINBASE, KRAKEN, KRAKEN_FUTURES, OKX, CryptoCase, Rig, new_id
from tests.brokers.crypto.recorded import resting, steady
from tests.brokers.faults import Asked, Reply

Row = dict[str, Any]
_GTC, _IOC, _FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
_SENT_BY_THE_LIBRARY = frozenset({"timestamp", "signature", "recvWindow", "nonce"})
"""Of the signature."""


def _limit(rig: Rig, **terms: Any) -> OrderRequest:
    return rig.order(limit_price=Decimal(15000), **terms)


def _market(rig: Rig, **terms: Any) -> OrderRequest:
    return rig.order(order_type=OrderType.MARKET, tif=_IOC, limit_price=None, **terms)


def _spend(rig: Rig) -> OrderRequest:
    return _market(rig, quantity=None, notional=Decimal(100))


def _stop(rig: Rig) -> OrderRequest:
    return rig.order(order_type=OrderType.STOP, limit_price=None, stop_price=Decimal(31000))


def _stop_limit(rig: Rig, side: Side = Side.BUY) -> OrderRequest:
    """To buy above the price, or to sell below it."""
    stop, limit = (Decimal(31000), Decimal(31100)) if side is Side.BUY else (Decimal(29000), Decimal(28900))
    return rig.order(order_type=OrderType.STOP_LIMIT, side=side, limit_price=limit, stop_price=stop)


def _trail(rig: Rig, side: Side = Side.SELL, **distance: Decimal) -> OrderRequest:
    return rig.order(order_type=OrderType.TRAIL, limit_price=None, side=side, **distance)


def _sent(case: CryptoCase, make: Any) -> tuple[Row, str]:
    """The body, and our id."""
    with steady(case) as rig:
        order = make(rig)
        rig.broker.submit(rig.account_id, order)
        body = {name: value for name, value in rig.wire.bodies[-1].items() if name not in _SENT_BY_THE_LIBRARY}
        return body, order.client_order_id


_OKX = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "sz": "0.5"}
_SWAP = {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "sell", "sz": "0.5", "reduceOnly": True}
_BINANCE = {"symbol": "BTCUSDT", "side": "BUY", "newOrderRespType": "RESULT", "quantity": "0.5"}
_KRAKEN = {"pair": "XXBTZUSD", "type": "buy", "volume": "0.5", "oflags": "fciq"}
_FUTURES = {"symbol": "PF_XBTUSD", "side": "buy", "size": "0.5"}


def _of_contract(rig: Rig, **terms: Any) -> OrderRequest:
    return replace(_limit(rig, side=Side.SELL, reduce_only=True), symbol=rig.symbol + ":USDT", **terms)


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (_limit, {**_OKX, "ordType": "limit", "px": "15000"}),
        (lambda rig: _limit(rig, side=Side.SELL), {**_OKX, "side": "sell", "ordType": "limit", "px": "15000"}),
        (lambda rig: _limit(rig, tif=_IOC), {**_OKX, "ordType": "ioc", "px": "15000"}),
        (lambda rig: _limit(rig, tif=_FOK), {**_OKX, "ordType": "fok", "px": "15000"}),
        (lambda rig: _limit(rig, post_only=True), {**_OKX, "ordType": "post_only", "px": "15000"}),
        (_market, {**_OKX, "ordType": "market", "tgtCcy": "base_ccy", "banAmend": True}),
        (
            lambda rig: _market(rig, side=Side.SELL),
            {**_OKX, "side": "sell", "ordType": "market", "tgtCcy": "base_ccy", "banAmend": True},
        ),
        (_spend, {**_OKX, "ordType": "market", "sz": "100", "tgtCcy": "quote_ccy", "banAmend": True}),
        (_of_contract, {**_SWAP, "ordType": "limit", "px": "15000"}),
        (
            lambda rig: _of_contract(rig, order_type=OrderType.MARKET, tif=_IOC, limit_price=None),
            {**_SWAP, "ordType": "market"},
        ),
    ],
)
def test_okx(make: Any, body: Row) -> None:
    sent, ours = _sent(OKX, make)
    assert sent == {**body, "clOrdId": ours}


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (_limit, {**_BINANCE, "type": "LIMIT", "timeInForce": "GTC", "price": "15000"}),
        (lambda rig: _limit(rig, tif=_IOC), {**_BINANCE, "type": "LIMIT", "timeInForce": "IOC", "price": "15000"}),
        (lambda rig: _limit(rig, tif=_FOK), {**_BINANCE, "type": "LIMIT", "timeInForce": "FOK", "price": "15000"}),
        (lambda rig: _limit(rig, post_only=True), {**_BINANCE, "type": "LIMIT_MAKER", "price": "15000"}),
        (_market, {**_BINANCE, "type": "MARKET"}),
        (lambda rig: _market(rig, side=Side.SELL), {**_BINANCE, "side": "SELL", "type": "MARKET"}),
        (
            _spend,
            {
                "symbol": "BTCUSDT", "side": "BUY", "newOrderRespType": "RESULT", "type": "MARKET",
                "quoteOrderQty": "100",
            },
        ),
        (
            _stop_limit,
            {**_BINANCE, "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "price": "31100", "stopPrice": "31000"},
        ),
        (_stop, {**_BINANCE, "type": "STOP_LOSS", "stopPrice": "31000"}),
        (
            lambda rig: _trail(rig, Side.BUY, trail_percent=Decimal("5.25")),
            {**_BINANCE, "type": "STOP_LOSS", "trailingDelta": "525"},
        ),
    ],
)  # fmt: skip
def test_binance(make: Any, body: Row) -> None:
    sent, ours = _sent(BINANCE, make)
    assert sent == {**body, "newClientOrderId": ours}


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (_limit, {**_KRAKEN, "ordertype": "limit", "timeinforce": "GTC", "price": "15000"}),
        (lambda rig: _limit(rig, tif=_IOC), {**_KRAKEN, "ordertype": "limit", "timeinforce": "IOC", "price": "15000"}),
        (
            lambda rig: _limit(rig, post_only=True),
            {**_KRAKEN, "oflags": "fciq,post", "ordertype": "limit", "timeinforce": "GTC", "price": "15000"},
        ),
        (_market, {**_KRAKEN, "ordertype": "market"}),
        (lambda rig: _market(rig, side=Side.SELL), {**_KRAKEN, "type": "sell", "ordertype": "market"}),
        (_stop, {**_KRAKEN, "ordertype": "stop-loss", "price": "31000"}),
        (_stop_limit, {**_KRAKEN, "ordertype": "stop-loss-limit", "price": "31000", "price2": "31100"}),
    ],
)
def test_kraken(make: Any, body: Row) -> None:
    sent, ours = _sent(KRAKEN, make)
    assert sent == {**body, "cl_ord_id": ours}


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (_limit, {**_FUTURES, "orderType": "lmt", "limitPrice": "15000"}),
        (
            lambda rig: _limit(rig, side=Side.SELL, tif=_IOC, reduce_only=True),
            {**_FUTURES, "side": "sell", "orderType": "ioc", "limitPrice": "15000", "reduceOnly": "true"},
        ),
        (lambda rig: _limit(rig, post_only=True), {**_FUTURES, "orderType": "post", "limitPrice": "15000"}),
        (_market, {**_FUTURES, "orderType": "mkt"}),
        (_stop, {**_FUTURES, "orderType": "stp", "stopPrice": "31000", "triggerSignal": "last"}),
        (
            _stop_limit,
            {
                **_FUTURES, "orderType": "stp", "stopPrice": "31000", "limitPrice": "31100", "triggerSignal": "last",
            },
        ),
        (
            lambda rig: _trail(rig, trail_percent=Decimal("2.5")),
            {
                **_FUTURES, "side": "sell", "orderType": "trailing_stop", "trailingStopMaxDeviation": "2.5",
                "trailingStopDeviationUnit": "PERCENT", "triggerSignal": "last",
            },
        ),
        (
            lambda rig: replace(_trail(rig, trail_amount=Decimal(150)), reduce_only=True),
            {
                **_FUTURES, "side": "sell", "orderType": "trailing_stop", "trailingStopMaxDeviation": "150",
                "trailingStopDeviationUnit": "QUOTE_CURRENCY", "triggerSignal": "last", "reduceOnly": "true",
            },
        ),
    ],
)  # fmt: skip
def test_kraken_futures(make: Any, body: Row) -> None:
    sent, ours = _sent(KRAKEN_FUTURES, make)
    assert sent.pop("cliOrdId").replace("-", "") == ours
    assert sent == body


_UP, _DOWN = "STOP_DIRECTION_STOP_UP", "STOP_DIRECTION_STOP_DOWN"


@pytest.mark.parametrize(
    ("make", "side", "terms"),
    [
        (_limit, "BUY", {"limit_limit_gtc": {"base_size": "0.5", "limit_price": "15000", "post_only": False}}),
        (
            lambda rig: _limit(rig, post_only=True),
            "BUY",
            {"limit_limit_gtc": {"base_size": "0.5", "limit_price": "15000", "post_only": True}},
        ),
        (lambda rig: _limit(rig, tif=_IOC), "BUY", {"sor_limit_ioc": {"base_size": "0.5", "limit_price": "15000"}}),
        (lambda rig: _market(rig, side=Side.SELL), "SELL", {"market_market_ioc": {"base_size": "0.5"}}),
        (_spend, "BUY", {"market_market_ioc": {"quote_size": "100"}}),
        (
            _stop_limit,
            "BUY",
            {
                "stop_limit_stop_limit_gtc": {
                    "base_size": "0.5", "limit_price": "31100", "stop_price": "31000", "stop_direction": _UP,
                }
            },
        ),
        (
            lambda rig: _stop_limit(rig, Side.SELL),
            "SELL",
            {
                "stop_limit_stop_limit_gtc": {
                    "base_size": "0.5", "limit_price": "28900", "stop_price": "29000", "stop_direction": _DOWN,
                }
            },
        ),
    ],
)  # fmt: skip
def test_coinbase(make: Any, side: str, terms: Row) -> None:
    sent, ours = _sent(COINBASE, make)
    assert sent == {"client_order_id": ours, "product_id": "BTC-USD", "side": side, "order_configuration": terms}


_REPLACED = {
    **_BINANCE,
    "quantity": "0.25",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "price": "15001",
    "newClientOrderId": "NEW",
    "cancelOrderId": "ID",
    "cancelReplaceMode": "STOP_ON_FAILURE",
    "cancelRestrictions": "ONLY_NEW",
}


@pytest.mark.parametrize(
    ("case", "body"),
    [
        (OKX, {"instId": "BTC-USDT", "ordId": "ID", "newSz": "0.25", "newPx": "15001"}),
        (KRAKEN, {"txid": "ID", "order_qty": "0.25", "limit_price": "15001"}),
        (COINBASE, {"order_id": "ID", "size": "0.25", "price": "15001"}),
        (BINANCE, _REPLACED),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)  # fmt: skip
def test_a_change(case: CryptoCase, body: Row) -> None:
    with steady(case) as rig:
        order, seen = resting(rig), list[Row]()
        speak, (_, path) = rig.wire.speak, case.sends["replace"]  # type: ignore[index]

        def spoken(asked: Asked) -> Reply:
            if asked.method == "POST" and asked.path == path:
                seen.append(dict(asked.body))
            return speak(asked)

        rig.wire.speak = spoken  # type: ignore[method-assign]
        found, new = rig.wire.by_client(order.client_order_id), new_id()
        assert found is not None
        changes = OrderChanges(quantity=Decimal("0.25"), limit_price=Decimal(15001))
        rig.broker.replace(rig.account_id, order.client_order_id, changes, new)
        names = {"ID": found.order_id, "NEW": new}
        (sent,) = seen
        assert {name: value for name, value in sent.items() if name not in _SENT_BY_THE_LIBRARY} == {
            name: names.get(value, value) for name, value in body.items()
        }
