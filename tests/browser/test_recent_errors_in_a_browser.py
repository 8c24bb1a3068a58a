"""Recent errors, keys and apps with the longest words: a list beside one cause, or one of the two on a phone."""

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys import minting
from console.recent_errors import rollup
from console.recent_errors.models import ErrorGroup
from console.scopes import Scope, Source
from tests.browser.steps import reads_well, resize, sign_in
from tests.console.pages import log

_LONG = "an_unbroken_name_that_goes_on_" * 4


@pytest.fixture
def app(owner: Any, paper: Connection) -> ConnectedApp:
    app = grants.grant(
        owner, paper, frozenset({Scope.READ, Scope.TRADE}), source=Source.OAUTH, name="A Trading Assistant" * 4
    )
    grants.activate(app)
    now = timedelta(minutes=2)
    log(app, tool="place_order", ago=now)
    for code in ("insufficient_funds", "broker_unavailable", "internal_error", "limit_exceeded"):
        log(app, tool=_LONG[:64], outcome="refused", code=code, message=f"{_LONG} 1,204,881,992.00 USD", ago=now)
    key, _ = minting.mint(owner, paper, frozenset({Scope.READ}), name=_LONG[:100], note=_LONG)
    log(key.app, tool=_LONG[:64], ago=now, credential=key.public_id)
    rollup.sweep()
    return app


def test_the_pages_read_well_at_every_width(page: Page, console: str, owner: Any, app: ConnectedApp) -> None:
    sign_in(page, console, owner.email)
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    group = ErrorGroup.objects.filter(code="insufficient_funds").get()
    for url in ("/errors/", f"/errors/{group.pk}/", "/errors/?kind=meant", "/keys/", "/keys/new/", f"/apps/{app.pk}/"):
        page.goto(f"{console}{url}")
        reads_well(page, 360, 1024, 1320)


def test_a_phone_shows_the_list_then_one_cause_which_can_be_resolved(
    page: Page, console: str, owner: Any, app: ConnectedApp
) -> None:
    sign_in(page, console, owner.email)
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    resize(page, 390)
    page.goto(f"{console}/errors/")
    expect(page.get_by_role("button", name="Resolve")).to_be_hidden()
    page.get_by_role("link", name="Not enough buying power").click()
    expect(page.get_by_role("link", name="The broker could not be reached")).to_be_hidden()
    page.get_by_role("button", name="Resolve").click()
    expect(page.get_by_text("it is listed as a regression").first).to_be_visible()
    page.get_by_role("link", name="Recent errors").first.click()
    expect(page.get_by_role("link", name="The broker could not be reached")).to_be_visible()
    expect(page.get_by_role("link", name="Not enough buying power")).to_be_hidden()


def test_a_wide_window_shows_both(page: Page, console: str, owner: Any, app: ConnectedApp) -> None:
    sign_in(page, console, owner.email)
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    page.goto(f"{console}/errors/")
    detail = page.locator(".error-detail").bounding_box()
    page.get_by_role("link", name="The broker could not be reached").click()
    expect(page.get_by_role("link", name="Not enough buying power")).to_be_visible()
    expect(page.locator(".error-detail h2")).to_have_text("The broker could not be reached")
    assert detail is not None
    assert detail["y"] < 400
