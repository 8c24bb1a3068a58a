"""Operators decide who may sign in; what they do holds at once and is journalled."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts import second_factors
from console.accounts.models import Link, User
from console.audit.models import Change
from console.authority import bearer
from console.people import roster
from tests.conftest import PASSWORD
from tests.console.pages import submit, text_of, words_of
from tests.console.present import at_the_browser
from tests.console.second_factors import give_app, sign_in

pytestmark = pytest.mark.django_db
NEW = "seven purple wardrobes"
ACTIONS = ("disable", "enable", "make-operator", "unmake-operator", "forget-factors")


@pytest.fixture
def running(operator: User) -> Browser:
    return at_the_browser(operator)


def invite(running: Browser, email: str = "ines@example.com", **fields: str) -> str:
    """The link's path."""
    page = text_of(submit(running, "/people/invite/", {"email": email, **fields}))
    found = re.search(r"http://localhost:\d+(/set-password/[^/]+/)", page)
    assert found is not None, page
    return found[1]


def accept(path: str) -> Any:
    return Browser().post(path, {"password": NEW, "again": NEW})


def changes() -> list[tuple[str, str, str]]:
    return list(
        Change.objects.exclude(category="sign_in").order_by("pk").values_list("user_label", "action", "target_label")
    )


def test_an_invitation_makes_an_account_whose_holder_sets_the_password(running: Browser, operator: User) -> None:
    path = invite(running, "Ines@Example.com")
    assert sign_in(User.objects.get(email="ines@example.com"), "")[1].status_code == 200
    assert accept(path)["Location"] == "/sign-in/"
    ines = User.objects.get(email="ines@example.com")
    assert not ines.is_operator
    assert ines.live_frozen_until is None
    assert sign_in(ines, NEW)[1]["Location"] == "/"
    assert changes() == [
        (operator.email, "invited", "ines@example.com"),
        ("ines@example.com", "invitation accepted", "ines@example.com"),
    ]


def test_an_operator_can_be_invited(running: Browser) -> None:
    invite(running, operator="on")
    assert User.objects.get(email="ines@example.com").is_operator


def test_the_link_works_once_and_for_48_hours(running: Browser) -> None:
    path = invite(running)
    assert timedelta(hours=47) < Link.objects.get().expires_at - timezone.now() <= timedelta(hours=48)
    accept(path)
    assert accept(path).status_code == 404
    late = invite(running, "late@example.com")
    Link.objects.update(expires_at=timezone.now())
    assert accept(late).status_code == 404


def test_the_link_is_shown_once(running: Browser) -> None:
    token = invite(running).split("/")[2]
    assert token not in text_of(running.get("/people/"))
    found = re.search(r'name="once" value="([^"]+)"', text_of(running.get("/people/invite/")))
    assert found
    running.post("/people/invite/", {"email": "a@example.com", "once": found[1]})
    assert running.post("/people/invite/", {"email": "b@example.com", "once": found[1]})["Location"] == "/people/"


def test_a_new_link_ends_the_old_one_and_is_only_for_those_without_a_password(running: Browser, owner: User) -> None:
    old = invite(running)
    ines = User.objects.get(email="ines@example.com")
    assert "Invited" in words_of(running.get("/people/"))
    page = text_of(running.post(f"/people/{ines.pk}/invite-again/"))
    assert accept(old).status_code == 404
    new = re.search(r"(/set-password/[^/]+/)", page)
    assert new and accept(new[1]).status_code == 302
    assert running.post(f"/people/{owner.pk}/invite-again/")["Location"] == "/people/"
    assert not Link.objects.filter(user=owner).exists()


def test_an_address_that_is_somebodys_is_not_invited_again(running: Browser, owner: User) -> None:
    assert "already an account with that address" in words_of(
        submit(running, "/people/invite/", {"email": owner.email.upper()})
    )


def test_disabling_ends_sessions_links_and_every_token_at_once(running: Browser, owner: User, read_key: str) -> None:
    theirs, _ = sign_in(owner, PASSWORD)
    assert bearer.authenticate(read_key)
    running.post(f"/people/{owner.pk}/disable/")
    assert theirs.get("/").status_code == 302
    with pytest.raises(bearer.Unauthenticated):
        bearer.authenticate(read_key)
    assert sign_in(owner, PASSWORD)[1].status_code == 200
    running.post(f"/people/{owner.pk}/enable/")
    assert bearer.authenticate(read_key)
    assert theirs.get("/").status_code == 302
    assert sign_in(owner, PASSWORD)[1].status_code == 302
    assert [change[1] for change in changes()][-2:] == ["disabled", "enabled"]


def test_an_invitation_that_was_disabled_opens_nothing(running: Browser) -> None:
    path = invite(running)
    running.post(f"/people/{User.objects.get(email='ines@example.com').pk}/disable/")
    assert accept(path).status_code == 404


def test_operators_are_made_and_unmade(running: Browser, owner: User, operator: User) -> None:
    running.post(f"/people/{owner.pk}/make-operator/")
    owner.refresh_from_db()
    assert owner.is_operator
    assert at_the_browser(owner).post(f"/people/{operator.pk}/unmake-operator/").status_code == 302
    assert running.get("/people/").status_code == 404
    assert [change[1] for change in changes()] == ["made operator", "operator no more"]


@pytest.mark.parametrize("action", ["disable", "unmake-operator"])
def test_the_last_operator_stays(running: Browser, operator: User, owner: User, action: str) -> None:
    disabled = User.objects.create_user("gone@example.com", PASSWORD, is_operator=True, is_active=False)
    running.post(f"/people/{operator.pk}/{action}/")
    assert "only operator" in words_of(running.get("/people/"))
    operator.refresh_from_db()
    assert operator.is_active and operator.is_operator
    assert changes() == []
    roster.enable(disabled, by=operator)
    running.post(f"/people/{operator.pk}/{action}/")
    operator.refresh_from_db()
    assert not (operator.is_active and operator.is_operator)


def test_somebody_who_lost_everything_gets_in_by_password_again(running: Browser, owner: User) -> None:
    give_app(owner)
    second_factors.new_codes(owner)
    running.post(f"/people/{owner.pk}/forget-factors/")
    assert sign_in(owner, PASSWORD)[1]["Location"] == "/"
    assert changes()[-1][1] == "second factors removed"


def test_the_list_says_who_is_what(running: Browser, owner: User, other: User) -> None:
    give_app(owner)
    User.objects.filter(pk=other.pk).update(is_active=False)
    page = words_of(running.get("/people/"))
    assert re.search(r"olivia@example.com Yes Never", page)
    assert re.search(r"oscar@example.com Disabled No Never", page)
    assert re.search(r"opal@example.com You Operator No", page)


def test_for_everybody_else_there_is_no_such_page(owner: User, other: User) -> None:
    browser = at_the_browser(owner)
    assert "/people/" not in text_of(browser.get("/"))
    for url in ("/people/", "/people/invite/", *(f"/people/{other.pk}/{action}/" for action in ACTIONS)):
        assert browser.get(url).status_code == 404, url
    assert browser.post("/people/invite/", {"email": "x@example.com"}).status_code == 404
    assert browser.post(f"/people/{other.pk}/invite-again/").status_code == 404
    for action in ACTIONS:
        assert browser.post(f"/people/{other.pk}/{action}/").status_code == 404, action
    other.refresh_from_db()
    assert other.is_active and not other.is_operator


def test_every_act_takes_a_proof(operators_browser: Browser, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(password="!")
    urls = ["/people/invite/", f"/people/{owner.pk}/invite-again/"]
    for url in [*urls, *(f"/people/{owner.pk}/{action}/" for action in ACTIONS)]:
        fields = {"email": "new@example.com"}
        assert 'name="proof-password"' in text_of(operators_browser.post(url, fields)), url
    assert changes() == []


def test_following_a_link_changes_nothing(running: Browser, owner: User) -> None:
    for action in ACTIONS:
        assert running.get(f"/people/{owner.pk}/{action}/").status_code == 200
    assert running.get(f"/people/{owner.pk}/invite-again/").status_code == 405
    assert changes() == []
    assert running.get(f"/people/{owner.pk}/promote/").status_code == 404
