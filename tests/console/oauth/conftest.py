from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from tests.console.oauth.hosts import REGISTRATIONS, Host

# Models are imported late: this file may be read before Django is set up.


@pytest.fixture(autouse=True)
def no_registrations_counted() -> None:
    cache.clear()


def _connection(owner: Any, name: str, environment: str) -> Any:
    from console.connections.models import Connection

    return Connection.objects.create(
        owner=owner, name=name, broker="none", environment=environment, trading_enabled=True
    )


@pytest.fixture
def live(owner: Any) -> Any:
    return _connection(owner, "Main account", "live")


@pytest.fixture
def others_paper(other: Any) -> Any:
    return _connection(other, "Practice", "paper")


@pytest.fixture
def browser(owner: Any) -> Browser:
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
