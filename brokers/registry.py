"""Broker name → its adapter. The one place that names every adapter."""

from collections.abc import Callable, Mapping
from typing import Any

from brokers.base import Broker
from brokers.errors import BrokerUnavailable
from brokers.paper import adapter as paper
from brokers.paper import intake as paper_intake
from brokers.types import Capabilities

_ADAPTERS: dict[str, Callable[[Mapping[str, Any]], Broker]] = {
    "paper": paper.PaperBroker.open,
}

_CAPABILITIES: dict[str, Capabilities] = {
    "paper": paper_intake.CAPABILITIES,
}

NAMES = {"paper": "Tradelatch Paper"}


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
