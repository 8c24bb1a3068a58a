import json
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from console.accounts.models import User
from console.config.telegram import Telegram
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.notifications import channels as linked
from console.notifications import sending
from console.notifications.models import NotificationChannel
from tests import clock as clocks
from tests.clock import Clock
from tests.console.notifications.listeners import Listener, Reply, listening
from tests.console.notifications.subscriber import Subscriber
from tests.console.orders.conftest import others_trader, trader
from tests.patience import at_most
from tests.secrets.known import keep
from tests.secrets.watch import INSTANCE

__all__ = ["others_trader", "trader"]

BOT_TOKEN = keep(INSTANCE, "8421:AAHq3yv9Zr2Kc7Wm5Xn1Lb6Td4Pe0Fg8Js")


@pytest.fixture(autouse=True)
def this_computer_is_listed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.NOTIFY_ADDRESSES, settings.NOTIFY_ADDRESSES_OF_EVERYBODY = ["127.0.0.1"], True
    monkeypatch.setattr(sending, "SECONDS", at_most(2.0))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clocks.install(monkeypatch)


@pytest.fixture
def asks(paper: Connection, owner: User) -> Connection:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    return paper


@pytest.fixture
def service() -> Iterator[Listener]:
    """In the place of a push service, an ntfy server or a person's own."""
    with listening(Reply(201)) as listener:
        yield listener


@pytest.fixture
def telegram(settings: Settings) -> Iterator[Listener]:
    usual = Reply(body=json.dumps({"ok": True, "result": {}}).encode())
    with listening(usual) as listener:
        settings.TELEGRAM = Telegram("tradelatch_test_bot", listener.url, BOT_TOKEN)
        yield listener


@pytest.fixture
def subscriber(service: Listener) -> Subscriber:
    return Subscriber(f"{service.url}/push/olivias-phone")


@pytest.fixture
def phone(owner: User, subscriber: Subscriber) -> NotificationChannel:
    return linked.add_browser(owner, subscriber.subscription, name="Chrome on Android")
