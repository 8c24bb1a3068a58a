"""A gate never says no while its sweep has something to do, and says no once nothing is left."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import Call, Seal
from console.audit.seals import sealing
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.notifications import telegram_chats
from console.notifications.models import NewsItem, NewsKind, PendingChat
from console.orders.models import OrderEvent
from console.orders.owner import order_news
from console.recent_errors import rollup
from console.recent_errors.models import CallHour, ErrorGroup
from tests.clock import install
from tests.mcpserver.steps import call

pytestmark = pytest.mark.django_db(transaction=True)


def fill(key: str) -> None:
    prepared = call(key, "place_order", symbol="BTC/USD", side="BUY", quantity="0.1")
    call(key, "confirm_trade", confirmation_id=prepared["confirmation_id"])


def test_news_of_orders_before_the_first_look_there_is_work(owner: User) -> None:
    """Else what comes before it would be no news to anybody."""
    assert order_news.has_work()
    order_news.tell()
    assert not order_news.has_work()


def test_news_of_orders_from_the_event_until_nothing_can_come_before_it(
    trade_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = install(monkeypatch)
    order_news.tell()
    fill(trade_key)
    assert OrderEvent.objects.exists() and order_news.has_work()
    order_news.tell()
    assert NewsItem.objects.filter(kind=NewsKind.FILL).count() == 1
    assert order_news.has_work()  # a row with a lower id may still be on its way
    clock.advance(seconds=order_news.BEHIND.total_seconds() + 1)
    order_news.tell()
    assert not order_news.has_work()


def test_news_of_limits_from_the_call_on(trade_key: str, app: ConnectedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = install(monkeypatch)
    order_news.tell()
    call(trade_key, "get_quote", symbol="BTC/USD")
    assert not OrderEvent.objects.exists() and order_news.has_work()
    clock.advance(minutes=2)
    order_news.tell()
    assert not order_news.has_work()


def test_seals_from_the_row_until_it_is_sealed(trade_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = install(monkeypatch)
    clock.advance(minutes=2)
    while sealing.seal_due():
        pass
    assert not sealing.has_work()
    call(trade_key, "get_quote", symbol="BTC/USD")
    assert sealing.has_work()
    assert sealing.seal_due() == 0  # one row waits for a minute, in which the gate has to stay open
    assert sealing.has_work()
    clock.advance(minutes=2)
    assert sealing.seal_due() == 1
    assert not sealing.has_work()


def test_seals_where_a_file_of_copies_may_have_been_cut(
    trade_key: str, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = install(monkeypatch)
    clock.advance(minutes=2)
    settings.AUDIT_COPY_FILE = str(tmp_path / "seals.ndjson")
    while sealing.seal_due():
        pass
    assert Seal.objects.exists()
    (tmp_path / "seals.ndjson").unlink()
    assert sealing.has_work()
    sealing.seal_due()
    assert (tmp_path / "seals.ndjson").read_text().count("\n") == Seal.objects.count()


def test_counts_from_the_call_until_it_is_settled(trade_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not rollup.has_work()
    clock = install(monkeypatch)
    call(trade_key, "get_quote", symbol="BTC/USD")
    assert rollup.has_work()
    rollup.sweep()
    assert rollup.has_work()  # too young to be the last below its id
    clock.advance(minutes=1)
    rollup.sweep()
    assert not rollup.has_work()
    assert CallHour.objects.get().calls == 1


def test_counts_of_more_than_one_sweep_takes(trade_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "WINDOW", 1)
    monkeypatch.setattr(rollup, "_WINDOWS_OF_A_SWEEP", 2)
    for _ in range(3):
        call(trade_key, "get_quote", symbol="BTC/USD")
    Call.objects.update(at=timezone.now() - timedelta(minutes=5))
    rollup.sweep()
    assert rollup.has_work()
    rollup.sweep()
    assert not rollup.has_work()


def test_old_counts_are_deleted_without_a_call(owner: User) -> None:
    """Time alone opens no gate: their deletion has a job of its own."""
    long_ago = timezone.now() - timedelta(days=200)
    CallHour.objects.create(app_id=1, key="", hour=long_ago, calls=1)
    seen = {"first_seen": long_ago, "last_seen": long_ago}
    ErrorGroup.objects.create(user_id=owner.pk, fingerprint="f", code="timeout", **seen)
    assert not rollup.has_work()
    rollup.delete_old()
    assert not CallHour.objects.exists() and not ErrorGroup.objects.exists()


def test_telegram_chats_while_somebody_has_a_code(paper: Connection) -> None:
    assert not telegram_chats.has_work()
    telegram_chats.new_code(paper.owner)
    assert telegram_chats.has_work()
    PendingChat.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert telegram_chats.has_work()  # there is a row to delete
    telegram_chats.link_chats()
    assert not telegram_chats.has_work()
