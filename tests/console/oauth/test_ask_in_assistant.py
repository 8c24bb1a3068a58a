"""Whoever allows an app to trade chooses whether it asks them in its own window, and yes is what silence means."""

import pytest

from console.accounts.models import User
from console.connections.models import Connection
from tests.console.oauth.hosts import BOTH, REGISTRATIONS, Host, allowed_apps, shown_on
from tests.console.pages import words_of
from tests.console.present import at_the_browser


@pytest.mark.parametrize(
    ("said", "scope", "asks"),
    [({}, BOTH, True), ({"ask": "yes"}, BOTH, True), ({"ask": "no"}, BOTH, False), ({"ask": "no"}, "mcp:read", True)],
    ids=["nothing", "yes", "no", "no, of one that only reads"],
)
def test_the_choice_on_the_consent_page_is_the_apps(
    owner: User, paper: Connection, said: dict[str, str], scope: str, asks: bool
) -> None:
    person = at_the_browser(owner)
    page = Host.register(person, REGISTRATIONS["claude"]).page()
    opened = person.get(page)
    assert "Ask in the assistant before an order goes" in words_of(opened)
    fields = {"choice": "allow", "connection": paper.pk, "scope": scope, "shown": shown_on(opened), **said}
    assert person.post(page, fields).status_code == 302
    assert allowed_apps().get().ask_in_assistant is asks


def test_a_choice_that_is_none_allows_nothing(owner: User, paper: Connection) -> None:
    person = at_the_browser(owner)
    page = Host.register(person, REGISTRATIONS["claude"]).page()
    fields = {"choice": "allow", "connection": paper.pk, "scope": BOTH, "shown": shown_on(person.get(page))}
    assert person.post(page, {**fields, "ask": "perhaps"}).status_code == 400
    assert not allowed_apps().exists()
