"""The recipe for a broker in CONTRIBUTING, walked on the template: what it registers can be linked and read.

Left out one by one, each step of it is missed by something that says so.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from brokers import registry
from brokers.base import Broker
from brokers.types import Environment
from console.accounts.models import User
from console.connections import broker_access, health, link_specs
from console.connections.link_specs import LinkField, LinkSpec, Right
from console.connections.models import Connection
from tests.brokers.contract import cases
from tests.brokers.template import fake as template
from tests.brokers.template.adapter import CAPABILITIES, TemplateBroker
from tests.console.connections.fakes import Linkable
from tests.console.connections.steps import linked
from tests.console.pages import text_of, words_of
from tests.console.present import at_the_browser

ROOT = Path(__file__).parents[3]
NAME = "template"
KIND = LinkSpec(
    broker=NAME,
    summary="An imaginary broker.",
    steps=("Make a token there.",),
    rights=(Right(name="Read", wanted=True, why="so that balances can be shown"),),
    fields=(LinkField(name="token", label="Token"),),
    environments={Environment.PAPER: "Its simulator", Environment.LIVE: "Real money"},
    addresses="It has no list of addresses.",
    binds_addresses=False,
)
LINKABLE = Linkable(
    broker=NAME,
    make=template.FakeTemplate,
    environment="paper",
    symbol="ACME",
    keys={"token": template.TOKEN},
    wrong={"token": "another"},
    quick={},
)


def opened(settings: Mapping[str, Any]) -> Broker:
    broker: Broker = TemplateBroker.open(settings)
    return broker


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 3, brokers/registry.py."""
    monkeypatch.setitem(registry._ADAPTERS, NAME, opened)
    monkeypatch.setitem(registry._CAPABILITIES, NAME, CAPABILITIES)
    monkeypatch.setitem(registry.NAMES, NAME, "Imaginary")
    monkeypatch.setitem(registry.CALLS_PER_MINUTE, NAME, 600)


@pytest.fixture
def offered(registered: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 5, console/connections/link_specs.py."""
    monkeypatch.setitem(link_specs.KINDS, NAME, KIND)


@pytest.fixture
def browser(owner: User) -> Browser:
    return at_the_browser(owner)


@contextmanager
def made(browser: Browser) -> Iterator[Connection]:
    with LINKABLE.running() as fake:
        yield linked(browser, LINKABLE, fake)


def test_it_is_offered_and_linked_and_read(offered: None, browser: Browser) -> None:
    assert LINKABLE.page in text_of(browser.get("/connections/add/"))
    with made(browser) as connection:
        assert (connection.broker, connection.environment) == (NAME, "paper")
        health.check(connection)
        connection.refresh_from_db()
        assert (connection.last_error, connection.equity) == ("", Decimal("1037.02"))
        positions = broker_access.broker_of(connection).positions(connection.default_account)
        assert [each.symbol for each in positions] == ["ACME"]
        assert "Imaginary" in words_of(browser.get(f"/connections/{connection.pk}/"))


def test_without_its_kind_nobody_can_link_it(registered: None, browser: Browser) -> None:
    assert LINKABLE.page not in text_of(browser.get("/connections/add/"))
    assert browser.get(LINKABLE.page).status_code == 404


def test_the_contract_has_its_case() -> None:
    assert cases.TEMPLATE.adapter is TemplateBroker


def test_the_recipe_names_every_file_that_knows_a_broker_by_name() -> None:
    """Those that name Alpaca, which is linked by one key and needs nothing special."""
    recipe = re.search(
        r"^### Add a broker\n(.*?)^### ", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert recipe is not None
    knowing = {
        str(path.relative_to(ROOT))
        for folder in ("brokers", "console", "mcpserver")
        for path in (ROOT / folder).rglob("*.py")
        if "alpaca" in path.read_text() and "brokers/alpaca" not in str(path)
    }
    assert {path for path in knowing if path not in recipe[1]} == set()
