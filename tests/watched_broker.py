"""The paper broker behind a pane of glass: it counts what reaches the broker and breaks what a test tells it to."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from brokers import registry
from brokers.paper.adapter import PaperBroker
from brokers.types import BrokerOrder, OrderChanges, OrderRequest


class Watch:
    """What reached the broker, and what is to go wrong there."""

    def __init__(self) -> None:
        self.submitted: list[OrderRequest] = []
        self.cancelled: list[str] = []
        self.before_submit: Callable[[OrderRequest], None] = lambda request: None
        self.after_submit: Callable[[OrderRequest], None] = lambda request: None
        self.before_cancel: Callable[[str], None] = lambda client_order_id: None
        self.replaced: list[OrderChanges] = []
        self.before_replace: Callable[[OrderChanges], None] = lambda changes: None
        self.after_replace: Callable[[OrderChanges], None] = lambda changes: None
        self.on_lookup: Callable[[str], None] = lambda client_order_id: None


class WatchedBroker(PaperBroker):
    watch: Watch

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        self.watch.submitted.append(request)
        self.watch.before_submit(request)
        answer = super().submit(account_id, request)
        self.watch.after_submit(request)
        return answer

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        self.watch.replaced.append(changes)
        self.watch.before_replace(changes)
        answer = super().replace(account_id, client_order_id, changes, new_client_order_id)
        self.watch.after_replace(changes)
        return answer

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        self.watch.on_lookup(client_order_id)
        return super().order(account_id, client_order_id)

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        self.watch.cancelled.append(client_order_id)
        self.watch.before_cancel(client_order_id)
        return super().cancel(account_id, client_order_id)


def install(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()

    def opened(settings: Mapping[str, Any]) -> WatchedBroker:
        broker = WatchedBroker.open(settings)
        broker.watch = watch
        return broker

    monkeypatch.setitem(registry._ADAPTERS, "paper", opened)
    return watch
