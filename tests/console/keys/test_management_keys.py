"""Management keys: made by a person who is there, for the REST API alone."""

import re
from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console import scopes
from console.accounts.models import User
from console.authority import bearer, management_callers
from console.authority.bearer import Unauthenticated
from console.connected_apps import grants
from console.connections.models import Connection
from console.keys import management_keys
from console.keys.models import ManagementKey
from console.principal import Manager
from console.scopes import Scope, Source
from tests.console.pages import submit, text_of, words_of
from tests.console.present import present

pytestmark = pytest.mark.django_db
FORM = {"name": "terraform", "expiry": "90"}


def why_not(raw: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        management_callers.authenticate(raw)
    return str(caught.value)


def test_making_one_asks_who_is_there(browser: Browser) -> None:
    assert "Create a management key?" in words_of(browser.post("/keys/manage/new/", FORM))
    assert not ManagementKey.objects.exists()


def test_it_is_shown_once_and_manages_its_owners_account(browser: Browser, owner: User) -> None:
    browser = present(browser)
    made = submit(browser, "/keys/manage/new/", FORM)
    found = re.search(r"tl_manage_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}", text_of(made))
    assert found is not None
    assert "no-store" in made["Cache-Control"]
    who = management_callers.authenticate(found[0], ip="203.0.113.9")
    assert (who.user_id, who.user_label, who.label, who.ip) == (owner.pk, owner.email, "terraform", "203.0.113.9")
    assert who.scopes == {Scope.MANAGE}
    assert found[0] not in text_of(browser.get("/keys/"))
    assert ManagementKey.objects.get().hint in text_of(browser.get("/keys/"))
    again = browser.post("/keys/manage/new/", made.wsgi_request.POST.dict(), follow=True)
    assert "shown only once" in words_of(again)
    assert ManagementKey.objects.count() == 1


def test_it_costs_one_query(owner: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    _, raw = management_keys.mint(owner, name="terraform", expires_at=None)
    with django_assert_num_queries(1):
        management_callers.authenticate(raw)


def test_it_is_no_bearer_of_an_app_and_the_refusal_knows_whose_it_is(owner: User) -> None:
    _, raw = management_keys.mint(owner, name="terraform", expires_at=None)
    with pytest.raises(Unauthenticated, match="management key") as caught:
        bearer.authenticate(raw)
    assert isinstance(caught.value.principal, Manager)
    assert caught.value.principal.user_id == owner.pk


def test_a_key_of_a_connection_manages_nothing(trade_key: str) -> None:
    assert "not a management key" in why_not(trade_key)


def test_what_has_ended_opens_nothing(owner: User) -> None:
    _, raw_expired = management_keys.mint(owner, name="old", expires_at=timezone.now() - timedelta(seconds=1))
    revoked, raw_revoked = management_keys.mint(owner, name="gone", expires_at=None)
    _, raw = management_keys.mint(owner, name="good", expires_at=None)
    management_keys.revoke(revoked, by=owner)
    assert "expired" in why_not(raw_expired)
    assert "revoked" in why_not(raw_revoked)
    assert "mistyped" in why_not(raw[:-1] + ("A" if raw[-1] != "A" else "B"))
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert "disabled" in why_not(raw)


def test_it_is_revoked_on_its_page_by_its_owner_only(browser: Browser, others_browser: Browser, owner: User) -> None:
    key, raw = management_keys.mint(owner, name="terraform", expires_at=None)
    url = f"/keys/manage/{key.public_id}/revoke/"
    assert others_browser.post(url).status_code == 404
    assert "stops working immediately" in words_of(browser.get(url))
    assert "no longer works" in words_of(browser.post(url, follow=True))
    assert "revoked" in why_not(raw)
    assert "No longer working (1)" in words_of(browser.get("/keys/"))


def test_no_app_can_hold_the_scope(owner: User, paper: Connection) -> None:
    assert scopes.parse("manage mcp:read") == {Scope.READ}
    for source in (Source.OAUTH, Source.API_KEY, Source.PLATFORM):
        with pytest.raises(ValueError, match="cannot hold"):
            grants.grant(owner, paper, frozenset({Scope.MANAGE}), source=source, name="Sly")
