"""Broker name → its adapter. The one place that names every adapter."""

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any

from brokers.alpaca import rules as alpaca_rules
from brokers.base import Broker
from brokers.binance.adapter import BinanceBroker
from brokers.coinbase.adapter import CoinbaseBroker
from brokers.crosstrade import rules as crosstrade_rules
from brokers.crypto.adapter import CryptoBroker
from brokers.errors import BrokerUnavailable
from brokers.ibkr import rules as ibkr_rules
from brokers.kraken.adapter import KrakenBroker
from brokers.krakenfutures.adapter import KrakenFuturesBroker
from brokers.okx.adapter import OkxBroker
from brokers.paper import adapter as paper
from brokers.paper import changed_orders
from brokers.paper import order_intake as paper_intake
from brokers.tws import rules as tws_rules
from brokers.types import Capabilities


def _lazily(module: str, name: str) -> Callable[[Mapping[str, Any]], Broker]:
    """Imported at the first connection to it: who has none does not pay for its libraries."""

    def opened(settings: Mapping[str, Any]) -> Broker:
        try:
            adapter = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            raise BrokerUnavailable(
                f"This installation is missing {error.name}, which this broker needs. Its operator can install it."
            ) from error
        broker: Broker = adapter.open(settings)
        return broker

    return opened


# Light to import: ccxt itself comes with the first call.
_CRYPTO: dict[str, type[CryptoBroker]] = {
    "binance": BinanceBroker,
    "coinbase": CoinbaseBroker,
    "kraken": KrakenBroker,
    "krakenfutures": KrakenFuturesBroker,
    "okx": OkxBroker,
}

_ADAPTERS: dict[str, Callable[[Mapping[str, Any]], Broker]] = {
    "alpaca": _lazily("brokers.alpaca.adapter", "AlpacaBroker"),
    "crosstrade": _lazily("brokers.crosstrade.adapter", "CrossTradeBroker"),
    "ibkr": _lazily("brokers.ibkr.adapter", "IbkrBroker"),
    "paper": paper.PaperBroker.open,
    "tws": _lazily("brokers.tws.adapter", "TwsBroker"),
    **{name: adapter.open for name, adapter in _CRYPTO.items()},
}

_CAPABILITIES: dict[str, Capabilities] = {
    "alpaca": alpaca_rules.CAPABILITIES,
    "crosstrade": crosstrade_rules.CAPABILITIES,
    "ibkr": ibkr_rules.CAPABILITIES,
    "paper": paper_intake.CAPABILITIES,
    "tws": tws_rules.CAPABILITIES,
    **{name: adapter.CAPABILITIES for name, adapter in _CRYPTO.items()},
}

NAMES = {
    "alpaca": "Alpaca",
    "crosstrade": "NinjaTrader (CrossTrade)",
    "ibkr": "Interactive Brokers",
    "tws": "Interactive Brokers TWS or IB Gateway (experimental)",
    "paper": "Tradelatch Paper",
    **{name: adapter.VENUE.title for name, adapter in _CRYPTO.items()},
}

CALLS_PER_MINUTE = {"alpaca": 180, "crosstrade": 140, "ibkr": 240}
"""Of one key, a little under what the broker allows, for adapters that do not count by themselves.

CrossTrade takes 180 requests a minute and 20 at once; IBKR 10 a second, and shuts out for ten minutes who sends more. A
call can be several requests. ib_async, below tws, counts by itself.
"""


TELLING = frozenset(name for name, known in _CAPABILITIES.items() if known.tells_changes)
"""Those that keep a row of each change of an order: see ``brokers.base.TellingBroker``."""


def has_changed_orders() -> bool:
    """Whether an order of a telling broker has changed and nobody has followed it yet."""
    return changed_orders.waiting()


def read_changed_orders(limit: int, account_id: str = "") -> list[tuple[int, str]]:
    """(row, client order id), the oldest change first, of one account or all. A row is read again until it is
    forgotten."""
    return changed_orders.read(limit, account_id)


def forget_changed_orders(rows: Collection[int]) -> None:
    """What they tell has been followed."""
    changed_orders.forget(rows)


def postpone_changed_orders(rows: Collection[int]) -> None:
    """What they tell cannot be followed now: all others come first."""
    changed_orders.postpone(rows)


def is_remote(name: str) -> bool:
    """Whether it answers over a network, and so may hang."""
    return name in _ADAPTERS and name != "paper"


def open_broker(name: str, settings: Mapping[str, Any]) -> Broker:
    """The adapter for one connection; ``settings`` is the connection's own record, opaque to everyone else."""
    try:
        adapter = _ADAPTERS[name]
    except KeyError:
        raise BrokerUnavailable(f"This installation has no adapter for the broker {name!r}.") from None
    return adapter(settings)


def capabilities(name: str) -> Capabilities | None:
    """What a kind of broker can do, known without opening a connection; None for a broker without an adapter."""
    return _CAPABILITIES.get(name)
