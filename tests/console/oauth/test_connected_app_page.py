"""What a person sees of an app that signed in: who its client is, where it leads, and whether it stays connected."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.clients.models import Client
from console.connections.models import Connection
from console.oauth.models import AccessToken, RefreshToken
from tests.console.oauth.hosts import Host, allowed_apps
from tests.console.pages import text_of, words_of

pytestmark = pytest.mark.django_db


def test_its_client_its_redirects_and_its_live_tokens(browser: Browser, host: Host, paper: Connection) -> None:
    told = host.connect(paper.pk)
    app = allowed_apps().get()
    listed, page = words_of(browser.get("/apps/")), browser.get(f"/apps/{app.pk}/")
    for words in (listed, words_of(page)):
        assert "Registered itself" in words and "Unverified" in words
    assert host.redirect_uri in text_of(page)
    assert "Live access tokens 1" in words_of(page)
    assert "Can stay connected without you, until you revoke it" in words_of(page)

    AccessToken.objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert "Live access tokens 0" in words_of(browser.get(f"/apps/{app.pk}/"))
    assert host.refresh(told["refresh_token"]).status_code == 200
    assert "Live access tokens 1" in words_of(browser.get(f"/apps/{app.pk}/"))


def test_without_a_refresh_token_it_ends_with_its_access_token(browser: Browser, host: Host, paper: Connection) -> None:
    host.connect(paper.pk)
    RefreshToken.objects.update(revoked=timezone.now())
    assert "Ends with its access token" in words_of(browser.get(f"/apps/{allowed_apps().get().pk}/"))


def test_a_client_that_an_operator_accepted_is_not_called_unverified(
    browser: Browser, host: Host, paper: Connection
) -> None:
    host.connect(paper.pk)
    Client.objects.update(review="accepted")
    for page in ("/apps/", f"/apps/{allowed_apps().get().pk}/"):
        words = words_of(browser.get(page))
        assert "Registered itself" in words and "Unverified" not in words


def test_revoked_it_has_neither_tokens_nor_a_way_to_stay(browser: Browser, host: Host, paper: Connection) -> None:
    told = host.connect(paper.pk)
    app = allowed_apps().get()
    browser.post(f"/apps/{app.pk}/revoke/")
    words = words_of(browser.get(f"/apps/{app.pk}/"))
    assert "Live access tokens" not in words and "stay connected" not in words
    assert host.refresh(told["refresh_token"]).status_code == 400


def test_nobody_else_sees_it(host: Host, paper: Connection, other: Any) -> None:
    host.connect(paper.pk)
    stranger = Browser()
    stranger.force_login(other)
    assert stranger.get(f"/apps/{allowed_apps().get().pk}/").status_code == 404
    assert "No app has access" in words_of(stranger.get("/apps/"))
