"""Filters that a person names: kept for each page, shown as links to them alone, one of them opened first."""

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.orders.models import Order
from console.timeline import saved_views
from console.timeline.models import SavedView, ViewPage
from tests.console.pages import log, text_of, words_of
from tests.console.steps import order

__all__ = ["order"]

PAGES = {
    ViewPage.TIMELINE: ("/timeline/", "tool=get_*&not_outcome=ok"),
    ViewPage.ORDERS: ("/orders/", "symbol=AAPL&side=BUY"),
    ViewPage.ERRORS: ("/errors/", "span=7d&state=all"),
}


@pytest.mark.parametrize("page", ViewPage)
def test_a_filter_is_saved_found_opened_first_renamed_and_deleted(
    browser: Browser, app: ConnectedApp, order: Order, page: ViewPage
) -> None:
    address, query = PAGES[page]
    log(app, outcome="failed", code="internal_error")
    assert "Save this view" in words_of(browser.get(f"{address}?{query}"))
    assert "Save this view" not in words_of(browser.get(address)), "there is no filter to save"
    answer = browser.post(f"/timeline/views/{page}/", {"name": "Mine", "query": f"{query}&before=7&part=1"})
    view = SavedView.objects.get()
    assert answer["Location"] == f"{address}?{view.query}"
    shown = text_of(browser.get(answer["Location"]))
    assert "Mine" in shown and 'aria-current="true">Mine' in shown
    assert "Save this view" not in shown
    assert 'href="' + address + "?" + view.query.replace("&", "&amp;") in text_of(browser.get(address))

    browser.post(f"/timeline/views/{view.pk}/change/", {"name": "Ours", "is_default": "on"})
    assert browser.get(address)["Location"] == f"{address}?{view.query}"
    assert browser.get(f"{address}?all=1").status_code == 200
    assert 'value="Ours"' in text_of(browser.get(f"/timeline/views/{page}/"))
    browser.post(f"/timeline/views/{view.pk}/delete/")
    assert browser.get(address).status_code == 200
    assert not SavedView.objects.exists()


def test_one_view_of_a_page_is_opened_first(owner: User) -> None:
    first, second = (saved_views.save(owner, ViewPage.ORDERS, name=name, query="side=BUY") for name in ("A", "B"))
    other = saved_views.save(owner, ViewPage.ERRORS, name="A", query="state=all")
    for view in (other, first, second):
        saved_views.change(view, name=view.name, is_default=True)
    assert list(SavedView.objects.filter(is_default=True).order_by("pk")) == [second, other]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"name": "", "query": "side=BUY"}, "Name: This field is required."),
        ({"name": "A", "query": "side=SELL"}, "Another view of this page has this name"),
        ({"name": "C", "query": "before=3&nonsense=1&side="}, "There is no filter to save"),
        ({"name": "C", "query": "symbol=" + "A" * 2500}, "too long to save"),
    ],
)
def test_what_cannot_be_saved_says_why(browser: Browser, owner: User, sent: dict[str, str], said: str) -> None:
    saved_views.save(owner, ViewPage.ORDERS, name="A", query="side=BUY")
    assert said in words_of(browser.post("/timeline/views/orders/", sent, follow=True))
    assert SavedView.objects.count() == 1


def test_there_is_an_end_to_views(browser: Browser, owner: User) -> None:
    for number in range(saved_views.MOST):
        saved_views.save(owner, ViewPage.ORDERS, name=f"{number}", query="side=BUY")
    answer = browser.post("/timeline/views/orders/", {"name": "More", "query": "side=BUY"}, follow=True)
    assert "Delete one first" in words_of(answer)


def test_nobody_else_sees_changes_or_deletes_a_view(browser: Browser, others_browser: Browser, owner: User) -> None:
    view = saved_views.save(owner, ViewPage.TIMELINE, name="Olivias own", query="tool=get_*")
    saved_views.change(view, name=view.name, is_default=True)
    for address in ("/timeline/", "/timeline/views/timeline/"):
        answer = others_browser.get(address)
        assert answer.status_code == 200 and "Olivias own" not in words_of(answer)
    assert others_browser.post(f"/timeline/views/{view.pk}/change/", {"name": "Theirs"}).status_code == 404
    assert others_browser.post(f"/timeline/views/{view.pk}/delete/").status_code == 404
    assert SavedView.objects.get().name == "Olivias own"
    assert browser.get("/timeline/views/people/").status_code == 404
