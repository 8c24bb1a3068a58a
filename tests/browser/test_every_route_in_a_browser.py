"""Every page of the URL conf in Chromium, as its owner, somebody else and an operator.

Nothing on it is cut off at any width, it does not scroll sideways, axe finds nothing in it in light and in dark, and
the browser's console stays empty. New routes are walked by themselves (tests/console/every_route.py).
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page

from console.accounts.models import User
from tests.browser.overflow import cut_off
from tests.browser.steps import axe_finds, beyond, resize
from tests.console.every_route import Route, furnish, routes

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
WIDTHS = (360, 768, 1024, 1320, 1920)


@pytest.fixture
def things(owner: User, operator: User) -> dict[str, Any]:
    return furnish(owner, operator)


def session_of(user: User) -> str:
    browser = Client()
    browser.force_login(user)
    return browser.cookies["tradelatch_session"].value


def signed_in(page: Page, console: str, user: User) -> None:
    page.context.clear_cookies()
    page.context.add_cookies([{"name": "tradelatch_session", "value": session_of(user), "url": console}])


def pages_of(user: User, things: dict[str, Any]) -> Iterator[tuple[Route, str]]:
    """What is a page with a frame, and not a file, a part of one or a way somewhere else."""
    browser = Client()
    browser.force_login(user)
    for route in routes():
        address = route.address(things)
        answer = browser.get(address)
        if answer.status_code == 200 and b"<main" in b"".join(answer):
            yield route, address


@pytest.mark.parametrize("who", ["owner", "other", "operator"])
def test_every_page_reads_well(
    page: Page, console: str, owner: User, other: User, operator: User, things: dict[str, Any], who: str
) -> None:
    user = {"owner": owner, "other": other, "operator": operator}[who]
    pages = list(pages_of(user, things))
    assert len(pages) > 30
    signed_in(page, console, user)
    wrong = []
    for route, address in pages:
        # What is nobody's own looks the same to all: its owner sees it here.
        if who != "owner" and route.path.startswith(("help/", "docs/", "connect/", "developers/", "connections/add/")):
            continue
        page.goto(console + address)
        for width in WIDTHS if who == "owner" else (360, 1320):
            resize(page, width)
            wrong += [f"{address} at {width}: {each}" for each in cut_off(page)]
            if (pixels := beyond(page)) > 0:
                wrong.append(f"{address} at {width}: {pixels} px sideways")
        resize(page, 1320)
        wrong += [f"{address}: {each}" for each in axe_finds(page)]
    assert wrong == []
