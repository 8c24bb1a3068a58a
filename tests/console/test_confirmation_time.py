"""How long a confirmation lives stands once, in the settings: whoever changes it there finds it changed everywhere."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings as instance
from django.test import Client as Browser

from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.elapsed import span_text
from tests.console.pages import text_of, words_of

# The settings of an instance, with 175 seconds in place of its own, and what it says to models, programs and people.
_SAYS = """
import json, sys
from console import settings
settings.CONFIRMATION_SECONDS = 175
import django
django.setup()
from console import scopes
from console.api import openapi
from console.help.causes import CAUSES
from console.scopes import Scope
from mcpserver import catalog, server
json.dump({
    "a host": server.INSTRUCTIONS,
    "a model": next(tool.about for tool in catalog.TOOLS if tool.name == "confirm_trade"),
    "a program": json.dumps(openapi.document()),
    "somebody who allows an app": scopes.describe(Scope.TRADE),
    "somebody who looks up a code": CAUSES["confirmation_expired"],
}, sys.stdout)
"""
_OF_OLD = re.compile(r"\b120 s(econds)?\b|\b2 minutes|\btwo minutes")


@pytest.fixture(scope="module")
def says() -> dict[str, str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "console.settings"}
    ran = subprocess.run(
        [sys.executable, "-c", _SAYS], cwd=instance.BASE_DIR, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    said: dict[str, str] = json.loads(ran.stdout)
    return said


@pytest.mark.parametrize(
    "whom", ["a host", "a model", "a program", "somebody who allows an app", "somebody who looks up a code"]
)
def test_another_time_is_told_to(whom: str, says: dict[str, str]) -> None:
    assert "175 s" in says[whom]
    assert not _OF_OLD.search(says[whom])


@pytest.mark.parametrize("address", ["/orders/", "/orders/approvals/"])
def test_another_time_is_on_the_pages_of_orders(
    address: str, browser: Browser, app: ConnectedApp, settings: Any
) -> None:
    settings.CONFIRMATION_SECONDS = 175
    words = words_of(browser.get(address))
    assert "175 seconds" in words
    assert not _OF_OLD.search(words)


@pytest.mark.parametrize("policy", ["two_step", "owner_approval"])
def test_another_time_is_beside_who_releases_an_order(
    policy: str, browser: Browser, app: ConnectedApp, paper: Connection, settings: Any
) -> None:
    Connection.objects.filter(pk=paper.pk).update(policy=policy)
    settings.CONFIRMATION_SECONDS = 175
    words = words_of(browser.get(f"/connections/{paper.pk}/"))
    assert "175 seconds" in words
    assert not _OF_OLD.search(words)


def test_the_playground_is_told_another_time(browser: Browser, app: ConnectedApp, settings: Any) -> None:
    settings.CONFIRMATION_SECONDS = 175
    assert 'data-confirmation-time="175 seconds"' in text_of(browser.get("/playground/"))
    program = (instance.BASE_DIR / "console/static/console/playground.js").read_text()
    assert "dataset.confirmationTime" in program
    assert not _OF_OLD.search(program)


def test_every_text_that_help_shows_leaves_it_to_the_instance() -> None:
    """Where a text says it without a marker, Help would show another instance's."""
    for path in instance.DOCS_DIR.rglob("*.md"):
        assert not _OF_OLD.search(path.read_text()), path


def test_the_readme_says_the_default() -> None:
    said = re.search(r"valid for (\d+) seconds", (instance.BASE_DIR / "README.md").read_text())
    assert said is not None
    assert int(said[1]) == instance.CONFIRMATION_SECONDS


@pytest.mark.parametrize(("seconds", "text"), [(120, "2 minutes"), (60, "1 minute"), (90, "90 seconds")])
def test_it_is_said_in_minutes_where_they_are_whole(seconds: int, text: str) -> None:
    assert span_text(seconds) == text
