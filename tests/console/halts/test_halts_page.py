"""Halting is one press; lifting asks who it is, there and then; everybody sees what is halted on every page."""

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.halts import services as halts
from console.halts.models import Halt
from tests.conftest import PASSWORD
from tests.console.pages import text_of, words_of
from tests.console.present import present


@pytest.fixture
def halt(app: ConnectedApp) -> Halt:
    return halts.halt_connection(app.connection, by=app, reason="Sell <b>everything</b>: see https://evil.example")


def test_a_halt_is_seen_on_every_page_with_the_models_words_as_a_quotation(browser: Browser, halt: Halt) -> None:
    for url in ("/keys/", "/orders/", "/connections/", "/security/"):
        page = browser.get(url)
        assert "Halted: orders on Practice. By Claude" in words_of(page), url
        assert "<q>Sell &lt;b&gt;everything&lt;/b&gt;: see https://evil.example</q>" in text_of(page)
        assert 'href="https://evil' not in text_of(page)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/halts/everything/", "all orders of olivia@example.com"),
        ("/halts/connection/{paper}/", "orders on Practice"),
        ("/halts/app/{app}/", "orders of Claude on Practice"),
    ],
)
def test_one_press_halts(browser: Browser, paper: Connection, app: ConnectedApp, url: str, words: str) -> None:
    browser.post(url.format(paper=paper.pk, app=app.pk))
    assert [halt.what for halt in Halt.objects.all()] == [words]
    shown = "All your trading is halted." if url == "/halts/everything/" else f"Halted: {words}."
    assert shown in words_of(browser.get("/keys/"))


@pytest.mark.parametrize("url", ["/halts/connection/{paper}/", "/halts/app/{app}/", "/halts/{halt}/lift/"])
def test_somebody_else_finds_nothing_to_halt_or_lift(
    others_browser: Browser, paper: Connection, app: ConnectedApp, halt: Halt, url: str
) -> None:
    others_browser = present(others_browser)
    address = url.format(paper=paper.pk, app=app.pk, halt=halt.pk)
    assert others_browser.post(address, {"proof-password": PASSWORD}).status_code == 404
    halt.refresh_from_db()
    assert (Halt.objects.count(), halt.lifted_at) == (1, None)
    assert "Practice" not in words_of(others_browser.get("/halts/"))


def test_lifting_asks_for_the_password(browser: Browser, halt: Halt) -> None:
    lift = f"/halts/{halt.pk}/lift/"
    for sent in ({}, {"proof-password": ""}, {"proof-password": "wrong"}, {"proof-credential": "{}"}):
        assert browser.post(lift, sent).status_code == 200
        halt.refresh_from_db()
        assert halt.lifted_at is None
    assert browser.post(lift, {"proof-password": PASSWORD})["Location"] == "/halts/"
    halt.refresh_from_db()
    assert halt.lifted_by == "olivia@example.com"
    assert "Halted:" not in words_of(browser.get("/"))


def test_behind_real_money_the_password_is_not_enough(browser: Browser, halt: Halt, paper: Connection) -> None:
    Connection.objects.filter(pk=paper.pk).update(environment="live")
    lift = f"/halts/{halt.pk}/lift/"
    page = browser.get(lift)
    assert "you need a passkey" in words_of(page)
    assert 'type="password"' not in text_of(page)
    assert "you need a passkey. You do not have one yet" in words_of(browser.post(lift, {"proof-password": PASSWORD}))
    halt.refresh_from_db()
    assert halt.lifted_at is None


def test_an_operator_halts_everybody_and_one_person_and_only_operators_lift_that(
    operators_browser: Browser, browser: Browser, owner: User
) -> None:
    operators_browser.post("/halts/others/", {"others-who": "", "others-reason": "Maintenance"})
    operators_browser.post("/halts/others/", {"others-who": owner.pk})
    everybody, one = Halt.objects.order_by("pk")
    assert (everybody.scope, one.scope, one.owner) == ("instance", "user", owner)
    assert "All trading is halted, for everyone. By opal@example.com" in words_of(browser.get("/keys/"))
    for halt in (everybody, one):
        assert browser.get(f"/halts/{halt.pk}/lift/").status_code == 404
        assert browser.post(f"/halts/{halt.pk}/lift/", {"proof-password": PASSWORD}).status_code == 404
        assert operators_browser.post(f"/halts/{halt.pk}/lift/", {"proof-password": PASSWORD}).status_code == 302
    assert not Halt.objects.filter(lifted_at=None).exists()


def test_nobody_but_an_operator_halts_others(browser: Browser, other: User) -> None:
    assert browser.post("/halts/others/", {"others-who": other.pk}).status_code == 404
    assert not Halt.objects.exists()
    assert "For operators" not in words_of(browser.get("/halts/"))


@pytest.mark.parametrize("url", ["/halts/everything/", "/halts/connection/{paper}/"])
def test_a_halted_connection_does_not_look_alive(browser: Browser, paper: Connection, url: str) -> None:
    def row() -> str:
        return text_of(browser.get("/connections/")).split("<tbody>")[1]

    assert "dot-paused" not in row()
    browser.post(url.format(paper=paper.pk))
    assert "dot-paused" in row()
    assert ">Halted<" in row()


def test_a_halted_app_leaves_its_connection_alive(browser: Browser, app: ConnectedApp) -> None:
    browser.post(f"/halts/app/{app.pk}/")
    assert ">Halted<" not in text_of(browser.get("/connections/"))
