"""ccxt, imported when the first crypto connection is used: it takes 0.3 s and 71 MB that others need not pay."""

import json
import logging
from contextlib import AbstractContextManager
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import Any

from brokers.decimals import refuse_constant

_silent = logging.Logger("brokers.crypto.silent")
_silent.addHandler(logging.NullHandler())


@cache
def library() -> Any:
    return import_module("ccxt")


def exact(text: str) -> Any:
    """JSON with its decimals as the text they came in: ccxt's own reader makes floats of them."""
    return json.loads(text, parse_float=str, parse_constant=refuse_constant)


def _level(self: Any, level: Any, price: Any = 0, amount: Any = 1, *_: Any) -> list[Decimal]:
    """One line of an order book, as numbers that sort: ccxt's own are floats."""
    return [Decimal(str(level[price])), Decimal(str(level[amount]))]


def _noted(self: Any, status: int, reason: Any, url: Any, method: Any, headers: Any, body: Any, *_: Any) -> Any:
    """Keeps the status of an answer: ccxt's errors do not tell it, and it decides what an answer proves."""
    self.last_status = status
    return body.strip()


@cache
def _exact_class(venue: str) -> type[Any]:
    overridden = {
        "last_status": None,
        "on_rest_response": _noted,
        "on_json_response": staticmethod(exact),
        "parse_order_book_bid_ask": _level,
        "logger": _silent,
    }
    return type(venue, (getattr(library(), venue),), overridden)


def exchange(venue: str, settings: dict[str, Any]) -> Any:
    """An instance that takes numbers as text, follows no redirect, repeats nothing and leaves the pace to us."""
    made = _exact_class(venue)({"number": str, "enableRateLimit": False, "enableLastJsonResponse": True, **settings})
    made.session.max_redirects = 0
    made.session.trust_env = False
    for scheme in ("http://", "https://"):
        made.session.mount(scheme, _wire().Adapter())
    return made


def within(seconds: float) -> AbstractContextManager[None]:
    """One call of ``exchange``, however slowly its answer drips: then it fails like one that was not answered."""
    held: AbstractContextManager[None] = _wire().within(seconds)
    return held


def _wire() -> Any:
    return import_module("brokers.crypto.call_deadline")


def never_connected(error: BaseException) -> bool:
    """No byte of the request went out: the name was not found, or the address refused or did not answer.

    Only urllib3's own word for it counts: a connection that closed after the request looks much the same to ccxt.
    """
    cause = error.__cause__
    if not isinstance(cause, import_module("requests.exceptions").ConnectionError) or not cause.args:
        return False
    urllib3 = import_module("urllib3.exceptions")
    inner = cause.args[0]
    return isinstance(inner, urllib3.MaxRetryError) and isinstance(inner.reason, urllib3.ConnectTimeoutError)
