"""The paper broker behind a pane of glass: it counts what reaches the broker and breaks what a test tells it to."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from brokers import registry
from brokers.paper import order_intake
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
        self.on_list: Callable[[list[BrokerOrder]], list[BrokerOrder]] = lambda told: told


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

    def orders(
        self, account_id: str, *, open_only: bool = False, since: datetime | None = None, limit: int = 100
    ) -> list[BrokerOrder]:
        return self.watch.on_list(super().orders(account_id, open_only=open_only, since=since, limit=limit))

    def named_orders(self, account_id: str, client_order_ids: Collection[str]) -> list[BrokerOrder]:
        for name in client_order_ids:
            self.watch.on_lookup(name)
        return super().named_orders(account_id, client_order_ids)

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


def without_telling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paper, asked as the brokers are that tell of no change of an order."""
    monkeypatch.setattr(registry, "TELLING", frozenset())
    silent = replace(order_intake.CAPABILITIES, tells_changes=False)
    monkeypatch.setattr(PaperBroker, "capabilities", property(lambda self: silent))
