"""Every page of the URL conf in Chromium, as its owner, somebody else and an operator.

Nothing on it is cut off at any width, it does not scroll sideways, axe finds nothing in it in light and in dark, and
the browser's console stays empty. New routes are walked by themselves (tests/console/every_route.py).
"""

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page

from console.accounts.models import User
from tests.browser.overflow import cut_off
from tests.browser.steps import axe_finds, beyond, resize
from tests.console.every_route import Route, furnish, routes

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
PARTS = 5
"""A walk of some seventy pages is long for one test on a busy computer."""
SAME_FOR_ALL = ("help/", "docs/", "connect/", "developers/", "connections/add/")
WIDTHS = (360, 768, 1024, 1320, 1920)
_known: dict[str, tuple[Route, ...]] = {}
"""By e-mail the routes that are pages: every test is furnished alike, and to ask for all of them takes seconds."""


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


def pages_of(user: User, things: dict[str, Any]) -> list[tuple[Route, str]]:
    """Routes and addresses of what is a page with a frame, and not a file, a part of one or a way somewhere else."""
    if user.email not in _known:
        browser = Client()
        browser.force_login(user)
        _known[user.email] = tuple(route for route in routes() if _is_page(browser.get(route.address(things))))
    return [(route, route.address(things)) for route in _known[user.email]]


def _is_page(answer: Any) -> bool:
    return answer.status_code == 200 and b"<main" in b"".join(answer)


def go_to(page: Page, address: str) -> None:
    answer = page.goto(address)
    assert answer is not None
    assert (answer.status, answer.url) == (200, address)


def faults(page: Page, address: str, widths: tuple[int, ...], *, with_axe: bool = True) -> list[str]:
    found = []
    for width in widths:
        resize(page, width)
        found += [f"{address} at {width}: {each}" for each in cut_off(page)]
        if (pixels := beyond(page)) > 0:
            found.append(f"{address} at {width}: {pixels} px sideways")
    if not with_axe:
        return found
    resize(page, 1320)
    return found + [f"{address}: {each}" for each in axe_finds(page)]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_of_its_owner_reads_well_at_every_width(
    page: Page, console: str, owner: User, things: dict[str, Any], part: int
) -> None:
    addresses = [address for _, address in pages_of(owner, things)]
    assert len(addresses) > 60
    signed_in(page, console, owner)
    wrong = []
    for address in addresses[part::PARTS]:
        go_to(page, console + address)
        wrong += faults(page, address, WIDTHS)
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("who", ["other", "operator"])
def test_every_page_reads_well_for_those_who_own_nothing_of_it(
    page: Page, console: str, owner: User, other: User, operator: User, things: dict[str, Any], who: str
) -> None:
    user = {"other": other, "operator": operator}[who]
    owners = {route.path for route, _ in pages_of(owner, things)}
    signed_in(page, console, user)
    wrong = []
    for route, address in pages_of(user, things):
        if not route.path.startswith(SAME_FOR_ALL):
            go_to(page, console + address)
            # Other people's pages are those of their owner with less on them; an operator has some of their own.
            wrong += faults(page, address, (360,), with_axe=who == "operator" or route.path not in owners)
    assert wrong == [], "\n".join(wrong)
