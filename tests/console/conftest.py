from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client as Browser


@pytest.fixture(autouse=True)
def nothing_counted_yet() -> None:
    """Sign-ins and registrations are counted in the cache, which outlives a test."""
    cache.clear()


@pytest.fixture
def app(owner: Any, paper: Any) -> Any:
    """An assistant that may trade on the owner's paper connection."""
    from console.connected_apps import grants
    from console.scopes import Scope, Source

    app = grants.grant(owner, paper, frozenset({Scope.READ, Scope.TRADE}), source=Source.OAUTH, name="Claude")
    grants.activate(app)
    return app


@pytest.fixture
def browser(owner: Any) -> Browser:
    return _signed_in(owner)


@pytest.fixture
def others_browser(other: Any) -> Browser:
    return _signed_in(other)


@pytest.fixture
def operators_browser(operator: Any) -> Browser:
    return _signed_in(operator)


def _signed_in(user: Any) -> Browser:
    browser = Browser()
    browser.force_login(user)
    return browser
