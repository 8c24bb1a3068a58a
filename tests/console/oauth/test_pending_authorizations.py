"""The authorization request waits on the server: nothing is lost by closing a window, and one answer uses it up."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import Settings

from console.accounts.models import User
from console.clients.models import Client
from console.connections.models import Connection
from console.oauth.models import Grant, PendingConsent
from console.outbox.models import OutgoingMail
from tests.console.oauth.hosts import BOTH, PASSWORD, Host, allowed_apps, location
from tests.console.oauth.steps import text_of
from tests.console.pages import words_of
from tests.console.passkeys import Passkey
from tests.console.present import present
from tests.console.sent_mail import delivered

READ = {"scope": "mcp:read"}


def ended(answer: Any) -> bool:
    return answer.status_code == 410 and "This request has ended" in text_of(answer)


def test_the_address_of_the_page_says_nothing_of_the_request(host: Host, paper: Connection) -> None:
    page = host.page()
    kept = PendingConsent.objects.get()
    handle = page.rpartition("/")[2]
    assert len(handle) >= 43
    assert handle not in str(vars(kept)), "only its digest is stored"
    html = host.browser.get(page).content.decode()
    for secret in (host.client_id, "st/at+e=1", "code_challenge"):
        assert secret not in html


def test_reading_the_page_again_changes_nothing(host: Host, paper: Connection) -> None:
    page = host.page()
    for _ in range(3):
        assert host.browser.get(page).status_code == 200
    assert location(host.choose(page, "allow", connection=paper.pk, **READ))["state"] == "st/at+e=1"


def test_starting_again_shows_it_again_and_either_may_be_answered(host: Host, paper: Connection) -> None:
    closed, opened = host.page(), host.page()
    assert closed != opened
    assert "code" in location(host.choose(closed, "allow", connection=paper.pk, **READ))
    assert "code" in location(host.choose(opened, "allow", connection=paper.pk, **READ))


@pytest.mark.parametrize("choice", ["allow", "cancel", "switch"])
def test_one_answer_uses_it_up(choice: str, host: Host, paper: Connection, owner: User) -> None:
    page = host.page()
    assert host.choose(page, choice, connection=paper.pk, **READ).status_code == 302
    host.browser.force_login(owner)
    assert ended(host.browser.get(page))
    for again in ("allow", "cancel", "switch"):
        assert ended(host.choose(page, again, connection=paper.pk, **READ))
    assert allowed_apps().count() == (1 if choice == "allow" else 0)


def test_a_wrong_form_does_not_use_it_up(host: Host, paper: Connection) -> None:
    page = host.page()
    assert host.choose(page, "allow").status_code == 400
    assert "code" in location(host.choose(page, "allow", connection=paper.pk, **READ))


def test_it_ends_after_ten_minutes_and_is_swept(host: Host, paper: Connection) -> None:
    page = host.page()
    PendingConsent.objects.update(expires_at=timezone.now() + timedelta(seconds=1))
    assert host.browser.get(page).status_code == 200
    PendingConsent.objects.update(expires_at=timezone.now())
    assert ended(host.browser.get(page))
    assert ended(host.choose(page, "allow", connection=paper.pk, **READ))
    host.page()
    assert PendingConsent.objects.count() == 1


def test_it_belongs_to_one_person(host: Host, paper: Connection, other: User) -> None:
    page = host.page()
    stranger = Browser()
    stranger.force_login(other)
    assert ended(stranger.get(page))
    assert ended(stranger.post(page, {"choice": "allow", "connection": paper.pk, **READ}))
    assert stranger.get("/oauth/consent/" + "x" * 43).status_code == 410, "as an unknown one"
    assert Browser().get(page)["Location"].startswith("/sign-in/")


def test_in_another_session_of_the_same_person_it_is_begun_anew(host: Host, paper: Connection, owner: User) -> None:
    page = host.page()
    elsewhere = Browser()
    elsewhere.force_login(owner)
    for answer in (elsewhere.get(page), elsewhere.post(page, {"choice": "allow", "connection": paper.pk, **READ})):
        assert answer["Location"] == host.url()
    assert not allowed_apps().exists()
    anew = elsewhere.get(elsewhere.get(host.url())["Location"])
    assert anew.status_code == 200


def test_a_client_deleted_meanwhile_gets_nothing(host: Host, paper: Connection) -> None:
    page = host.page()
    Client.objects.update(deleted_at=timezone.now())
    answer = host.choose(page, "allow", connection=paper.pk, **READ)
    assert answer.status_code == 400
    assert "This app is not known here" in text_of(answer)
    assert not allowed_apps().exists()


def test_trading_takes_a_proof_and_the_choice_goes_along(host: Host, paper: Connection) -> None:
    page = host.page()
    chosen = {"connection": str(paper.pk), "scope": BOTH}
    for more in ({}, {"proof-password": "wrong"}):
        asked = host.choose(page, "allow", **chosen, **more)
        assert "Let an app trade?" in words_of(asked)
        assert not allowed_apps().exists() and not Grant.objects.exists()
    shown = asked.content.decode()
    for name, value in (*chosen.items(), ("choice", "allow")):
        assert f'<input type="hidden" name="{name}" value="{value}">' in shown
    assert "code" in location(host.choose(page, "allow", **chosen, **{"proof-password": PASSWORD}))
    assert allowed_apps().get().can_trade


def test_trading_with_real_money_takes_a_passkey(host: Host, owner: User, live: Connection) -> None:
    page, chosen = host.page(), {"connection": str(live.pk), "scope": BOTH}
    refused = host.choose(page, "allow", **chosen, **{"proof-password": PASSWORD})
    assert "you need a passkey. You do not have one yet" in words_of(refused)
    assert not allowed_apps().exists()
    with_passkey = replace(host, browser=present(host.browser, Passkey(owner)))
    assert "code" in location(with_passkey.choose(page, "allow", **chosen))


def test_reading_takes_no_proof(host: Host, paper: Connection) -> None:
    assert "code" in location(host.choose(host.page(), "allow", connection=paper.pk, **READ))


def test_every_new_grant_is_told_by_e_mail_without_a_secret_or_a_link_of_the_clients(
    host: Host, paper: Connection, owner: User, settings: Settings
) -> None:
    Client.objects.update(name="Free money at http://evil.example/x?y=1 bcc: all@evil.example")
    code = host.code(paper.pk, BOTH)
    (told,) = delivered()
    assert (told.to, told.subject) == ([owner.email], "An app may now use one of your connections")
    body = str(told.body)
    assert "Practice (paper, simulated money)" in body
    assert "May: Read and trade" in body
    assert "Free money at http evil example x y 1 bcc all evil example" in body
    assert code not in body and host.client_id not in body
    assert [word for word in body.split() if "://" in word] == [f"{settings.PUBLIC_URL}/apps/"]
    assert not told.attachments


def test_nothing_is_told_when_nothing_was_granted(host: Host, paper: Connection) -> None:
    host.choose(host.page(), "cancel")
    host.open()
    assert delivered() == []


def test_a_mail_server_that_is_away_takes_the_grant_from_nobody(
    host: Host, paper: Connection, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    code = host.code(paper.pk)
    assert delivered() == []
    assert OutgoingMail.objects.get().sent_at is None
    assert host.redeem(code).status_code == 200
