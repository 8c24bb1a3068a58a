"""Where each adapter's orders go out: the last place before they are signed and written, at which one can be spoiled.

A place is patched for a whole run and asks the ``Spoiler`` of each body. Every write is taken for one of an order but
for those named here, so that a new kind of order is found by itself.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import Any

import ib_async.client

from brokers.crypto import ccxt_loading
from brokers.http import HttpClient
from brokers.ibkr.session import Session

Spoil = Callable[[str, Any], Any]
"""The name of a call and its body → the body to send in its place."""

_KRAKEN_READS = frozenset(
    (
        *("Balance", "BalanceEx", "TradeBalance", "OpenOrders", "ClosedOrders", "QueryOrders", "TradesHistory"),
        *("QueryTrades", "OpenPositions", "Ledgers", "QueryLedgers", "TradeVolume", "DepositMethods"),
        *("DepositAddresses", "DepositStatus", "WithdrawStatus", "Earn/Allocations", "Earn/Strategies"),
        *("GetApiKeyInfo", "GetWebSocketsToken"),
    )
)
_MARKET_READS = re.compile(r".*/market/[a-z]+")
_TWS_REFERENCE = 26
"""The place of our id in the message of an order."""
_IBKR_READS = re.compile(r"/(tickle|logout|iserver/auth/.*|iserver/secdef/search|iserver/account/[^/]+/orders/whatif)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    install: Callable[[Spoil], None]
    types: bool = True
    """Its bodies are JSON, in which a number is not a text."""


def _ccxt(
    venue: str, reads: Callable[[str, str], bool] = lambda method, path: method == "GET"
) -> Callable[[Spoil], None]:
    def install(spoil: Spoil) -> None:
        kind = ccxt_loading._exact_class(venue)
        sign = kind.sign

        @wraps(sign)
        def signed(
            self: Any, path: str, api: Any = "public", method: str = "GET", params: Any = None, *rest: Any, **named: Any
        ) -> Any:
            if not reads(method, path):
                params = spoil(f"{method} {path}", params or {})
            return sign(self, path, api, method, {} if params is None else params, *rest, **named)

        kind.sign = signed

    return install


def _over_http(spoil: Spoil) -> None:
    """The body, and the ids that stand in the path."""
    write = HttpClient.write

    @wraps(write)
    def written(self: HttpClient, method: str, path: str, *, body: Any = None, **named: Any) -> Any:
        if not _MARKET_READS.fullmatch(path):
            path, body = _spoiled(spoil, method, path, body)
        return write(self, method, path, body=body, **named)

    HttpClient.write = written  # type: ignore[method-assign]


def _over_ibkr(spoil: Spoil) -> None:
    """Before it is signed."""
    write = Session.write

    @wraps(write)
    def written(self: Session, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        if not _IBKR_READS.fullmatch(path):
            path, body = _spoiled(spoil, method, path, body)
        return write(self, method, path, body)

    Session.write = written  # type: ignore[method-assign]


def _spoiled(spoil: Spoil, method: str, path: str, body: Any) -> tuple[str, Any]:
    parts = path.split("/")
    ids = {str(place): part for place, part in enumerate(parts) if re.search(r"\d", part[1:]) and len(part) > 3}
    name = "/".join("{id}" if str(place) in ids else part for place, part in enumerate(parts))
    told = spoil(f"{method} {name}", {**({"(path)": ids} if ids else {}), **(body or {})})
    kept = {**ids, **dict.fromkeys(ids, ""), **told.pop("(path)", {})} if ids else {}
    path = "/".join(str(kept.get(str(place), part)) for place, part in enumerate(parts))
    return path, told if told or body is not None else None


def _over_tws(spoil: Spoil) -> None:
    """Messages of TWS: an order (3), which is a change where it was sent before, and a cancel (4). Fields by place."""
    kind: Any = ib_async.client.Client
    send = kind.sendMsg
    calls, placed = {"3": "place", "4": "cancel"}, set[str]()

    @wraps(send)
    def sent(self: Any, message: str) -> None:
        parts = message.split("\0")[:-1] if message else []
        if parts and parts[0] in calls:
            body = dict(enumerate(parts[1:], 1))
            call = calls[parts[0]]
            if call == "place":
                call = "change" if parts[_TWS_REFERENCE] in placed else call
                placed.add(parts[_TWS_REFERENCE])
            told = spoil(call, {f"{place:03}": each for place, each in body.items()})
            # A place cannot be left out: what is dropped is empty.
            message = "\0".join([parts[0], *(str(told.get(f"{place:03}", "")) for place in body), ""])
        send(self, message)

    kind.sendMsg = sent


def _in_paper(spoil: Spoil) -> None:
    """No wire: the order itself, as it is given to the adapter."""
    kind: Any = import_module("brokers.paper.adapter").PaperBroker  # wants the settings, which a run of tests makes
    submit, replace, cancel = kind.submit, kind.replace, kind.cancel

    @wraps(submit)
    def submitted(self: Any, account_id: str, request: Any) -> Any:
        told = spoil("submit", {"account_id": account_id, "request": request})
        return submit(self, told.get("account_id", ""), told["request"])

    @wraps(replace)
    def replaced(self: Any, account_id: str, client_order_id: str, changes: Any, new: str = "") -> Any:
        told = spoil("replace", {"account_id": account_id, "client_order_id": client_order_id, "changes": changes})
        return replace(self, told.get("account_id", ""), told.get("client_order_id", ""), told["changes"], new)

    @wraps(cancel)
    def cancelled(self: Any, account_id: str, client_order_id: str, *, symbol: str = "") -> Any:
        told = spoil("cancel", {"account_id": account_id, "client_order_id": client_order_id})
        return cancel(self, told.get("account_id", ""), told.get("client_order_id", ""), symbol=symbol)

    kind.submit, kind.replace, kind.cancel = submitted, replaced, cancelled


def _kraken_reads(method: str, path: str) -> bool:
    return method == "GET" or path in _KRAKEN_READS


WIRES: Mapping[str, Wire] = {
    "alpaca": Wire(install=_over_http),
    "ibkr": Wire(install=_over_ibkr),
    "tws": Wire(install=_over_tws, types=False),
    "crosstrade": Wire(install=_over_http),
    "okx": Wire(install=_ccxt("okx")),
    "binance": Wire(install=_ccxt("binance"), types=False),
    "kraken": Wire(install=_ccxt("kraken", _kraken_reads), types=False),
    "krakenfutures": Wire(install=_ccxt("krakenfutures"), types=False),
    "coinbase": Wire(install=_ccxt("coinbase")),
    "paper": Wire(install=_in_paper, types=False),
}
