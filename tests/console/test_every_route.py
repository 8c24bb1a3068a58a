"""All routes of the URL conf, walked as their owner, as an operator, as somebody else and as a stranger."""

import json
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.contrib.sessions.models import Session
from django.core import serializers
from django.test import Client as Browser

from console.accounts.models import User
from console.recent_errors.models import CountProgress
from tests.console.every_route import PRIVATE, Route, furnish, routes

# The one address at which somebody else's walk would end.
LEAVING = "sign-out"
FOR_PROGRAMS = ("api/", "auth/", "oauth/", ".well-known/")
REFUSED = {400, 401, 403, 404, 405, 410, 415}


@pytest.fixture
def things(owner: User, operator: User, settings: LazySettings) -> dict[str, Any]:
    settings.CALLS_PER_MINUTE = settings.TRADE_CALLS_PER_MINUTE = 100_000
    return furnish(owner, operator)


def text_of(answer: Any) -> str:
    return (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode(errors="replace")


def kept(but: User) -> set[str]:
    """Every row of the database but sessions, ``but`` himself, and up to which call all errors are counted."""
    rows: set[str] = set()
    for model in apps.get_models():
        if model in (Session, CountProgress):
            continue
        for row in serializers.serialize("python", model._default_manager.all()):
            if (row["model"], row["pk"]) != ("accounts.user", but.pk):
                rows.add(json.dumps(row, default=str, sort_keys=True))
    return rows


def is_sent_to_a_list(answer: Any) -> bool:
    """As everybody is who asks for what is no longer there."""
    return answer.status_code == 302 and answer["Location"].strip("/") + "/" in {each.path for each in routes()}


def is_for_programs(route: Route) -> bool:
    return route.path.lstrip("^").replace("\\", "").startswith(FOR_PROGRAMS)


def test_no_route_breaks_for_anybody(
    browser: Browser, others_browser: Browser, operators_browser: Browser, things: dict[str, Any]
) -> None:
    for route in routes():
        for person in (browser, others_browser, operators_browser, Browser()):
            assert person.get(route.address(things)).status_code < 500, route


def test_somebody_else_reaches_nothing_and_changes_nothing(
    others_browser: Browser, other: User, things: dict[str, Any]
) -> None:
    before = kept(but=other)
    for route in routes():
        if route.name == LEAVING:
            continue
        address, programs = route.address(things), is_for_programs(route)
        answers = [others_browser.get(address), others_browser.post(address)]
        if programs:
            answers += [
                others_browser.generic(verb, address, "{}", "application/json")
                for verb in ("POST", "PUT", "PATCH", "DELETE")
            ]
        for answer in answers:
            said = text_of(answer)
            assert [name for name in PRIVATE if name in said] == [], (route, answer.status_code)
            if route.is_of_somebody and not is_sent_to_a_list(answer):
                assert answer.status_code in (REFUSED if programs else {404, 405}), (route, answer.status_code)
    changed = before - kept(but=other)
    assert changed == set()


def test_the_things_of_the_walk_are_there_for_their_owner(browser: Browser, things: dict[str, Any]) -> None:
    """Else somebody else's 404 would say nothing."""
    operators = {"platforms/<client_id>", "people/<pk>", "people/<pk>/<action>", "api/v1/platform/users/<user_id>"}
    by_credential = {"oauth/register/<client_id>", "oauth/consent/<handle>"}
    for route in routes():
        if not route.is_of_somebody or operators | by_credential & set(route.ids):
            continue
        assert browser.get(route.address(things)).status_code in (200, 302, 405), route


def test_a_stranger_is_led_to_the_sign_in_or_refused(things: dict[str, Any]) -> None:
    open_to_all = {
        *("help:contents", "help:error", "help:page", "help:picture"),
        *("sign-in", "sign-in-passkey", "recover", "set-password", "sign-out"),
        *("notifications:manifest", "notifications:push-worker"),  # a browser asks for them by itself
        *("heard", "orders:waiting", "orders:now"),  # parts of pages: a stranger's page loads itself again
    }
    for route in routes():
        answer = Browser().get(route.address(things))
        if is_for_programs(route) or route.name in open_to_all:
            assert not [name for name in PRIVATE if name in text_of(answer)], route
        else:
            assert answer.status_code in (302, 404), (route, answer.status_code)
            assert answer.status_code == 404 or answer["Location"].startswith("/sign-in/"), (route, answer["Location"])


def test_an_unknown_kind_of_id_stops_the_walk(things: dict[str, Any]) -> None:
    with pytest.raises(LookupError, match="say in furnish"):
        Route("wallets/<pk>/", "wallets:detail", None).address(things)
    with pytest.raises(LookupError, match="_EXPRESSIONS"):
        Route(r"^wallets/(\d+)$", "", None).address(things)
