from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from console.accounts.models import User
from console.connections.models import Connection
from tests.console.oauth.hosts import REGISTRATIONS, Host

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def no_registrations_counted() -> None:
    cache.clear()


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("dana@example.com", PASSWORD)


@pytest.fixture
def other(db: None) -> User:
    return User.objects.create_user("eve@example.com", PASSWORD)


def _connection(owner: User, name: str, environment: str) -> Connection:
    return Connection.objects.create(
        owner=owner, name=name, broker="paper", environment=environment, trading_enabled=True
    )


@pytest.fixture
def paper(owner: User) -> Connection:
    return _connection(owner, "Practice", "paper")


@pytest.fixture
def live(owner: User) -> Connection:
    return _connection(owner, "Main account", "live")


@pytest.fixture
def others_paper(other: User) -> Connection:
    return _connection(other, "Practice", "paper")


@pytest.fixture
def browser(owner: User) -> Browser:
    """The owner's, signed in."""
    browser = Browser()
    browser.force_login(owner)
    return browser


@pytest.fixture
def connect_host(browser: Browser) -> Callable[..., Host]:
    def register(name: str = "claude", redirect_uri: str = "") -> Host:
        return Host.register(browser, REGISTRATIONS[name], redirect_uri)

    return register


@pytest.fixture
def host(connect_host: Callable[..., Host]) -> Host:
    return connect_host()
