"""Operators add platforms, change their secrets and disable them; nobody else finds the pages."""

import re
from decimal import Decimal

import pytest
from django.contrib.sessions.models import Session
from django.test import Client as Browser

from console.accounts.models import User
from console.audit.models import Change
from console.platforms import credentials, services
from console.platforms.models import Platform
from console.platforms.services import PaperTerms
from tests.console.pages import submit, text_of, words_of
from tests.console.platforms.conftest import Product
from tests.console.present import present


def secret_in(page: str) -> str:
    found = re.search(r"tlc_secret_[0-9A-Za-z]{30}", page)
    assert found is not None
    return found[0]


def test_adding_one_asks_who_is_there(operators_browser: Browser) -> None:
    assert "Add a platform?" in words_of(operators_browser.post("/platforms/new/", {"name": "X"}))
    assert not Platform.objects.exists()


def test_the_secret_is_shown_once_and_kept_nowhere(operators_browser: Browser) -> None:
    operators_browser = present(operators_browser)
    made = submit(operators_browser, "/platforms/new/", {"name": "Widget"})
    assert "no-store" in made["Cache-Control"]
    raw, platform = secret_in(text_of(made)), Platform.objects.get()
    assert credentials.platform(platform.client_id, raw) == platform
    assert raw not in str(Platform.objects.values())
    assert not any(raw in str(session.get_decoded()) for session in Session.objects.all())
    again = operators_browser.post("/platforms/new/", made.wsgi_request.POST.dict(), follow=True)
    assert "shown only once" in words_of(again)
    assert Platform.objects.count() == 1
    assert raw not in text_of(operators_browser.get(f"/platforms/{platform.client_id}/"))


def test_the_list_and_the_page_of_one(operators_browser: Browser, product: Product) -> None:
    user, _ = services.provision_user(
        product.platform, reference="customer-7", paper=PaperTerms("Practice", Decimal(1))
    )
    assert "Widget" in words_of(operators_browser.get("/platforms/"))
    words = words_of(operators_browser.get(f"/platforms/{product.platform.client_id}/"))
    assert "It acts for 1 user" in words
    assert "customer-7" in words and user.public_id in words


def test_without_one_the_list_says_what_it_is_for(operators_browser: Browser) -> None:
    assert "No platform" in words_of(operators_browser.get("/platforms/"))


def test_changing_the_secret_ends_the_old_one(operators_browser: Browser, product: Product) -> None:
    url = f"/platforms/{product.platform.client_id}/secret/"
    assert "Change the secret?" in words_of(operators_browser.post(url))
    assert product.send("GET", "/api/v1/platform/users").status_code == 200
    operators_browser = present(operators_browser)
    new = secret_in(text_of(submit(operators_browser, url, {})))
    assert product.send("GET", "/api/v1/platform/users").status_code == 401
    product.secret = new
    assert product.send("GET", "/api/v1/platform/users").status_code == 200


def test_a_disabled_one_can_do_nothing_until_it_is_enabled(operators_browser: Browser, product: Product) -> None:
    url = f"/platforms/{product.platform.client_id}/"
    assert "stops working immediately" in words_of(operators_browser.get(f"{url}disable/"))
    assert "no longer work" in words_of(operators_browser.post(f"{url}disable/", follow=True))
    assert product.send("GET", "/api/v1/platform/users").json()["field"] == "client-id"
    assert "Enable the platform?" in words_of(operators_browser.post(f"{url}enable/"))
    operators_browser = present(operators_browser)
    operators_browser.post(f"{url}enable/")
    assert product.send("GET", "/api/v1/platform/users").status_code == 200
    actions = Change.objects.filter(target="platform").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["added", "disabled", "enabled"]


@pytest.mark.parametrize("path", ["", "new/", "{id}/", "{id}/secret/", "{id}/disable/", "{id}/enable/"])
def test_to_everybody_else_there_is_no_such_page(browser: Browser, product: Product, path: str) -> None:
    browser = present(browser)
    url = "/platforms/" + path.format(id=product.platform.client_id)
    assert browser.post(url, {"name": "X"}).status_code in (404, 405)
    assert browser.get(url).status_code in (404, 405)
    product.platform.refresh_from_db()
    assert product.platform.disabled_at is None


def test_only_an_operator_finds_it_in_the_menu(browser: Browser, operators_browser: Browser) -> None:
    assert "/platforms/" not in text_of(browser.get("/"))
    assert "/platforms/" in text_of(operators_browser.get("/"))


def test_only_an_operator_can_own_one(owner: User) -> None:
    with pytest.raises(ValueError, match="operator"):
        services.create_platform(owner, name="Widget")
