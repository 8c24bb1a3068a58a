"""The fakes read a request as their venues do, one made by another client too: by these lines a mutated order fails."""

import base64
import hashlib
import hmac
import time
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from tests.brokers.binance import fake as binance
from tests.brokers.exchange import CryptoFake
from tests.brokers.kraken import fake as kraken
from tests.brokers.krakenfutures import fake as krakenfutures
from tests.brokers.okx import fake as okx
from tests.patience import at_most

Row = dict[str, Any]


def _okx(fake: CryptoFake, path: str, body: Row | None = None) -> Row:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    method, raw = ("GET", b"") if body is None else ("POST", httpx2.Request("POST", fake.url, json=body).content)
    text = stamp.encode() + method.encode() + path.encode() + raw
    signed = base64.b64encode(hmac.new(okx.SECRET.encode(), text, hashlib.sha256).digest()).decode()
    headers = {"OK-ACCESS-KEY": okx.KEY, "OK-ACCESS-PASSPHRASE": okx.PASSPHRASE, "OK-ACCESS-TIMESTAMP": stamp,
               "OK-ACCESS-SIGN": signed, "x-simulated-trading": "1", "Content-Type": "application/json"}  # fmt: skip
    told: Row = httpx2.request(method, fake.url + path, content=raw, headers=headers, timeout=at_most(5)).json()
    return told


def _order_at_okx(fake: CryptoFake, **body: str) -> str:
    """Its code."""
    told = _okx(fake, "/api/v5/trade/order", {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", **body})
    return str(told["data"][0]["sCode"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"ordType": "market", "sz": "0.1", "tgtCcy": ""}, "51020"),
        ({"ordType": "market", "sz": "0.1"}, "51020"),
        ({"ordType": "market", "sz": "0.5", "tgtCcy": "base_ccy"}, "0"),
        ({"ordType": "limit", "sz": "0.5", "px": ""}, "51000"),
        ({"ordType": "limit", "sz": "0.5", "px": "15000", "clOrdId": "a-b"}, "51000"),
        ({"ordType": "limit", "sz": "0.5", "px": "15000", "clOrdId": ""}, "0"),
        ({"ordType": "limit", "sz": "0.5", "px": "15000", "tdMode": "cross"}, "51000"),
    ],
)
def test_okx_counts_an_empty_text_as_left_out_and_a_market_purchase_in_money(body: Row, code: str) -> None:
    with okx.OkxFake() as fake:
        assert _order_at_okx(fake, **body) == code
        if code == "0" and body.get("clOrdId") == "":
            assert _order_at_okx(fake, **body) == "0", "no id is no duplicate"


def test_okx_finds_an_order_by_its_owners_id_to_change_and_to_cancel_it() -> None:
    with okx.OkxFake() as fake:
        assert _order_at_okx(fake, ordType="limit", sz="0.5", px="15000", clOrdId="abc") == "0"
        meant = {"instId": "BTC-USDT", "clOrdId": "abc", "ordId": ""}
        changed = _okx(fake, "/api/v5/trade/amend-order", {**meant, "newSz": "", "newPx": "15001", "reqId": ""})
        assert changed["data"][0]["sCode"] == "0"
        listed = _okx(fake, "/api/v5/trade/orders-pending?instType=SPOT&ordType=limit")
        assert [row["px"] for row in listed["data"]] == ["15001"]
        assert _okx(fake, "/api/v5/trade/orders-pending?instType=SWAP")["data"] == []
        assert _okx(fake, "/api/v5/trade/cancel-order", meant)["data"][0]["sCode"] == "0"


@pytest.mark.parametrize(
    ("changes", "code"),
    [({}, "0"), ({"instId": ""}, "50014"), ({"instId": "TINY-USDT"}, "51503"), ({"algoId": "1"}, "51503")],
)
def test_okx_changes_an_algo_order_only_by_its_id_and_its_instrument(changes: Row, code: str) -> None:
    with okx.OkxFake() as fake:
        stop = {"instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "ordType": "conditional", "sz": "0.5"}
        made = _okx(fake, "/api/v5/trade/order-algo", {**stop, "slTriggerPx": "29000", "slOrdPx": "-1"})
        new = {"instId": "BTC-USDT", "algoId": made["data"][0]["algoId"], "newSlTriggerPx": "28000", **changes}
        assert _okx(fake, "/api/v5/trade/amend-algos", new)["data"][0]["sCode"] == code


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({"attachAlgoClOrdId": "exits"}, "0"),
        ({"attachAlgoClOrdId": "others"}, "51000"),
        ({"attachAlgoClOrdId": "exits", "attachAlgoId": "1"}, "51000"),
        ({}, "51000"),
    ],
)
def test_okx_changes_exits_that_wait_by_either_of_their_ids(named: Row, code: str) -> None:
    with okx.OkxFake() as fake:
        stop = {"attachAlgoClOrdId": "exits", "slTriggerPx": "14000", "slOrdPx": "-1"}
        order = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.5", "px": "15000"}
        made = _okx(fake, "/api/v5/trade/order", {**order, "attachAlgoOrds": [stop]})
        meant = {"instId": "BTC-USDT", "ordId": made["data"][0]["ordId"]}
        new = {**meant, "attachAlgoOrds": [{**named, "newSlTriggerPx": "13000"}]}
        assert _okx(fake, "/api/v5/trade/amend-order", new)["data"][0]["sCode"] == code


def _binance(fake: CryptoFake, method: str, path: str, in_body: bool = False, /, **params: str) -> httpx2.Response:
    text = urlencode({**params, "timestamp": str(time.time_ns() // 1_000_000)})
    text += "&signature=" + hmac.new(binance.SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = {"X-MBX-APIKEY": binance.KEY, "Content-Type": "application/x-www-form-urlencoded"}
    url = fake.url + path + ("" if in_body else "?" + text)
    return httpx2.request(method, url, content=text if in_body else None, headers=headers, timeout=at_most(5))


_LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.5",
    "price": "15000",
}


@pytest.mark.parametrize("in_body", [False, True])
def test_binance_takes_parameters_in_the_query_and_in_the_body(in_body: bool) -> None:
    with binance.BinanceFake() as fake:
        made = _binance(fake, "POST", "/api/v3/order", in_body, newClientOrderId="mine", **_LIMIT).json()
        assert (made["clientOrderId"], made["fills"], "transactTime" in made, "time" in made) == (
            "mine",
            [],
            True,
            False,
        )
        by_id = _binance(fake, "GET", "/api/v3/order", symbol="BTCUSDT", orderId=str(made["orderId"])).json()
        assert by_id["clientOrderId"] == "mine"
        ended = _binance(fake, "DELETE", "/api/v3/order", in_body, symbol="BTCUSDT", origClientOrderId="mine").json()
        assert (ended["origClientOrderId"], ended["status"]) == ("mine", "CANCELED")
        assert ended["clientOrderId"] != "mine"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": "15000.123"}, -1013),
        ({"quantity": "0.0000001"}, -1013),
        ({"type": "LIMIT_MAKER", "price": "31000"}, -2010),
        ({"type": "MARKET"}, None),
        ({"type": "STOP_LOSS_LIMIT"}, -1102),
        ({"timeInForce": "FOREVER"}, -1102),
    ],
)
def test_binance_refuses_what_its_filters_do_not_let_through(changes: Row, code: int | None) -> None:
    with binance.BinanceFake() as fake:
        assert _binance(fake, "POST", "/api/v3/order", **{**_LIMIT, **changes}).json().get("code") == code


_ENTRY = {
    "symbol": "BTCUSDT", "workingType": "LIMIT", "workingSide": "BUY", "workingPrice": "15000",
    "workingQuantity": "0.5", "workingTimeInForce": "GTC", "pendingSide": "SELL", "pendingQuantity": "0.5",
    "pendingAboveType": "LIMIT_MAKER", "pendingAbovePrice": "33000",
    "pendingBelowType": "STOP_LOSS_LIMIT", "pendingBelowStopPrice": "14000", "pendingBelowPrice": "13900",
    "pendingBelowTimeInForce": "GTC",
}  # fmt: skip


@pytest.mark.parametrize(
    ("left_out", "code"),
    [
        ("", None),
        *((each, -1102) for each in ("workingTimeInForce", "workingPrice", "pendingAbovePrice")),
        *((each, -1102) for each in ("pendingBelowTimeInForce", "pendingBelowPrice", "pendingQuantity")),
    ],
)
def test_binance_takes_a_list_only_with_what_the_kind_of_each_order_needs(left_out: str, code: int | None) -> None:
    with binance.BinanceFake() as fake:
        given = {name: value for name, value in _ENTRY.items() if name != left_out}
        assert _binance(fake, "POST", "/api/v3/orderList/otoco", **given).json().get("code") == code


def test_an_order_at_binance_that_fills_nothing_at_once_expires() -> None:
    with binance.BinanceFake() as fake:
        made = _binance(fake, "POST", "/api/v3/order", **{**_LIMIT, "timeInForce": "IOC"}).json()
        assert made["status"] == "EXPIRED"


def _kraken(fake: CryptoFake, name: str, **body: str) -> Row:
    path, nonce = f"/0/private/{name}", str(time.time_ns())
    raw = urlencode({"nonce": nonce, **body}).encode()
    digest = hashlib.sha256(nonce.encode() + raw).digest()
    signed = hmac.new(base64.b64decode(kraken.SECRET), path.encode() + digest, hashlib.sha512).digest()
    headers = {"API-Key": kraken.KEY, "API-Sign": base64.b64encode(signed).decode(),
               "Content-Type": "application/x-www-form-urlencoded"}  # fmt: skip
    told: Row = httpx2.post(fake.url + path, content=raw, headers=headers, timeout=at_most(5)).json()
    return told


_BUY = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.5", "price": "15000"}


def test_kraken_knows_a_pair_by_each_of_its_names_and_an_order_by_either_id() -> None:
    with kraken.KrakenFake() as fake:
        for number, pair in enumerate(("XBTUSD", "XXBTZUSD", "XBT/USD", "BTC/USD")):
            made = _kraken(fake, "AddOrder", **{**_BUY, "pair": pair, "cl_ord_id": f"mine{number}"})
            assert made["error"] == []
        assert _kraken(fake, "AmendOrder", cl_ord_id="mine0", limit_price="15001")["error"] == []
        assert _kraken(fake, "CancelOrder", cl_ord_id="mine0")["result"] == {"count": 1}
        assert _kraken(fake, "AddOrder", **{**_BUY, "pair": "NOPE"})["error"] == ["EQuery:Unknown asset pair"]
        assert _kraken(fake, "AddOrder", pair="XBTUSD")["error"] == ["EGeneral:Invalid arguments"]
        assert _kraken(fake, "DepositAddresses", asset="XBT", method="Bitcoin", new="False")["result"] != []
        ticker = httpx2.get(fake.url + "/0/public/Ticker?pair=XBTUSD", timeout=at_most(5)).json()
        assert list(ticker["result"]) == ["XXBTZUSD"]


def test_kraken_only_checks_what_it_is_asked_to_check_and_counts_a_volume_in_money_where_told() -> None:
    with kraken.KrakenFake() as fake:
        assert "txid" not in _kraken(fake, "AddOrder", **_BUY, validate="True")["result"]
        assert fake.orders == {}
        market = {"pair": "XBTUSD", "type": "buy", "ordertype": "market", "volume": "300"}
        assert "txid" in _kraken(fake, "AddOrder", **market, oflags="viqc")["result"]
        (made,) = fake.orders.values()
        assert made.filled == "0.00999966"


def _futures(fake: CryptoFake, name: str, **body: str) -> Row:
    path, text = f"/derivatives/api/v3/{name}", urlencode(body)
    digest = hashlib.sha256((text + "/api/v3/" + name).encode()).digest()
    signed = hmac.new(base64.b64decode(krakenfutures.SECRET), digest, hashlib.sha512).digest()
    headers = {"APIKey": krakenfutures.KEY, "Authent": base64.b64encode(signed).decode(),
               "Content-Type": "application/x-www-form-urlencoded"}  # fmt: skip
    told: Row = httpx2.post(fake.url + path, content=text, headers=headers, timeout=at_most(5)).json()
    return told


def test_kraken_futures_takes_an_order_as_a_form_with_any_id_or_none() -> None:
    with krakenfutures.KrakenFuturesFake() as fake:
        asked = {"orderType": "lmt", "symbol": "PF_XBTUSD", "side": "buy", "size": "0.5", "limitPrice": "15000"}
        named = _futures(fake, "sendorder", **asked, cliOrdId="free text")["sendStatus"]
        assert named["status"] == "placed"
        assert _futures(fake, "sendorder", **asked)["sendStatus"]["status"] == "placed"
        assert (
            _futures(fake, "sendorder", **asked, cliOrdId="x" * 101)["sendStatus"]["status"] == "clientOrderIdTooLong"
        )
        assert _futures(fake, "sendorder", symbol="PF_XBTUSD")["error"] == "requiredArgumentMissing"
        stop = {**asked, "orderType": "stp", "stopPrice": "31000"}
        assert _futures(fake, "sendorder", **stop)["error"] == "requiredArgumentMissing", "which price triggers it"
        for status in ("cancelled", "notFound"):
            told = _futures(fake, "cancelorder", order_id=named["order_id"])
            assert told["cancelStatus"]["status"] == status
        for public in ("tickers", "history?symbol=PF_XBTUSD"):
            assert (
                httpx2.get(f"{fake.url}/derivatives/api/v3/{public}", timeout=at_most(5)).json()["result"] == "success"
            )
