"""What a code and a refresh token are worth, to whom and for how long. Time passes by rewriting rows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from console.accounts.models import User
from console.authority import bearer
from console.connected_apps import grants
from console.connections.models import Connection
from console.errors import Refusal
from console.oauth import tasks
from console.oauth.models import AccessToken, Grant, RefreshToken
from console.oauth.validator import digest
from console.orders.checks import permission
from tests.console.oauth.hosts import BOTH, Host, allowed_apps
from tests.console.pages import words_of
from tests.console.sent_mail import delivered


def pass_time(**by: int) -> None:
    earlier = timedelta(**by)
    Grant.objects.update(expires=F("expires") - earlier)
    AccessToken.objects.update(expires=F("expires") - earlier)
    RefreshToken.objects.update(created=F("created") - earlier, revoked=F("revoked") - earlier)


def refused(answer: Any) -> bool:
    assert answer.status_code == 400, answer.content
    told = answer.json()
    assert None not in told.values()
    return bool(told["error"] == "invalid_grant")


def opens(access_token: str) -> bool:
    """As the resource server looks: the row lives, and so does its app."""
    row = AccessToken.objects.filter(token_checksum=digest(access_token)).select_related("app").first()
    return bool(row and row.app and row.app.revoked_at is None and row.expires > timezone.now())


def test_a_code_lives_sixty_seconds(host: Host, paper: Connection) -> None:
    code = host.code(paper.pk)
    pass_time(seconds=59)
    other = host.code(paper.pk)
    assert host.redeem(code).status_code == 200
    pass_time(seconds=60)
    assert refused(host.redeem(other))


@pytest.mark.parametrize("code", ["", "x", "\x00", "\u00e9", "x" * 5000])
def test_an_unknown_code_is_refused(code: str, host: Host) -> None:
    assert refused(host.redeem(code)) if code else host.redeem(code).status_code == 400


def test_a_code_sent_twice_within_moments_is_refused_and_ends_nothing(host: Host, paper: Connection) -> None:
    code = host.code(paper.pk)
    tokens = host.redeem(code).json()
    pass_time(seconds=9)
    assert refused(host.redeem(code))
    assert opens(tokens["access_token"])
    assert host.refresh(tokens["refresh_token"]).status_code == 200


def test_a_code_sent_twice_later_ends_what_it_gave(host: Host, paper: Connection) -> None:
    code = host.code(paper.pk)
    tokens = host.redeem(code).json()
    newer = host.refresh(tokens["refresh_token"]).json()
    pass_time(seconds=10)
    assert refused(host.redeem(code))
    assert not opens(newer["access_token"])
    assert refused(host.refresh(newer["refresh_token"]))
    assert allowed_apps().get().revoked_reason == "Its sign-in code was used twice"


def test_a_refresh_gives_a_new_pair_and_the_old_access_token_lives_one_more_minute(
    host: Host, paper: Connection
) -> None:
    old = host.connect(paper.pk)
    new = host.refresh(old["refresh_token"]).json()
    assert {old["access_token"], old["refresh_token"]}.isdisjoint({new["access_token"], new["refresh_token"]})
    assert opens(old["access_token"]) and opens(new["access_token"])
    pass_time(seconds=61)
    assert not opens(old["access_token"])
    assert opens(new["access_token"])


def test_rotating_does_not_lengthen_an_access_token(host: Host, paper: Connection) -> None:
    old = host.connect(paper.pk)
    pass_time(minutes=59, seconds=50)
    host.refresh(old["refresh_token"])
    pass_time(seconds=11)
    assert not opens(old["access_token"])


def test_a_refresh_token_used_again_within_a_minute_gives_a_sibling_pair(host: Host, paper: Connection) -> None:
    used = host.connect(paper.pk)["refresh_token"]
    first = host.refresh(used).json()
    pass_time(seconds=59)
    second = host.refresh(used).json()
    for pair in (first, second):
        assert opens(pair["access_token"])
        assert host.refresh(pair["refresh_token"]).status_code == 200


REUSED = "A refresh token was used again after it was replaced"


def why(answer: Any) -> str:
    assert refused(answer)
    return str(answer.json()["error_description"])


def test_a_refresh_token_used_again_after_a_minute_ends_that_session_alone_and_its_owner_is_told(
    host: Host, paper: Connection, owner: User
) -> None:
    used = host.connect(paper.pk)["refresh_token"]
    newer = host.refresh(used).json()
    pass_time(seconds=60)
    assert "this session has ended" in why(host.refresh(used))
    assert opens(newer["access_token"])
    assert host.refresh(newer["refresh_token"]).status_code == 200
    told = delivered()[-1]
    assert (told.to, told.subject) == ([owner.email], "An old sign-in of an app was used again")
    assert f"/apps/{allowed_apps().get().pk}/" in told.body and "The app keeps its newer sign-in" in told.body
    assert used not in told.body


def test_a_host_that_tries_the_same_again_within_moments_is_one_reuse(host: Host, paper: Connection) -> None:
    used = host.connect(paper.pk)["refresh_token"]
    newer = host.refresh(used).json()
    pass_time(seconds=60)
    before = len(delivered())
    assert {why(host.refresh(used)) for _ in range(4)} == {why(host.refresh(used))}
    assert len(delivered()) == before + 1
    assert opens(newer["access_token"])


def test_the_second_reuse_ends_the_app_and_everything_it_has(host: Host, paper: Connection) -> None:
    used = host.connect(paper.pk)["refresh_token"]
    first, second = host.refresh(used).json(), host.refresh(used).json()
    third = host.refresh(first["refresh_token"]).json()
    pass_time(seconds=60)
    assert refused(host.refresh(used))
    RefreshToken.objects.update(reused_at=F("reused_at") - timedelta(seconds=60))
    assert why(host.refresh(first["refresh_token"])) == f"This app's access has ended. {REUSED}."
    for pair in (first, second, third):
        assert not opens(pair["access_token"])
        assert why(host.refresh(pair["refresh_token"])) == f"This app's access has ended. {REUSED}."
    assert allowed_apps().get().revoked_reason == REUSED
    assert "This is the second time" in delivered()[-1].body


def test_a_reuse_ends_the_app_at_once_when_nobody_has_a_newer_sign_in(host: Host, paper: Connection) -> None:
    used = host.connect(paper.pk)["refresh_token"]
    host.refresh(used)
    pass_time(days=29)
    RefreshToken.objects.filter(revoked=None).update(created=timezone.now() - timedelta(days=31))
    assert why(host.refresh(used)) == f"This app's access has ended. {REUSED}."


def test_signing_in_again_after_a_refused_reuse_ends_what_the_other_one_has(host: Host, paper: Connection) -> None:
    used = host.connect(paper.pk)["refresh_token"]
    taken = host.refresh(used).json()
    pass_time(seconds=60)
    assert refused(host.refresh(used))
    again = host.connect(paper.pk)
    assert opens(again["access_token"]) and not opens(taken["access_token"])
    assert why(host.refresh(taken["refresh_token"])) == "This app's access has ended. Replaced by a newer grant."


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (
            lambda app, host, tokens: host.browser.post(f"/apps/{app.pk}/revoke/"),
            "Revoked by its owner",
        ),
        (lambda app, host, tokens: host.revoke(tokens["access_token"]), "Signed out by the app"),
        (lambda app, host, tokens: grants.delete_client(app.client, by=None), "Its client was deleted"),
        (lambda app, host, tokens: host.connect(app.connection_id), "Replaced by a newer grant"),
    ],
    ids=["its owner", "the app", "its client", "a newer grant"],
)
def test_one_reason_is_told_at_every_endpoint_and_under_connected_apps(
    host: Host, paper: Connection, end: Callable[[Any, Host, Any], object], reason: str
) -> None:
    tokens = host.connect(paper.pk)
    app = allowed_apps().get()
    end(app, host, tokens)
    with pytest.raises(bearer.Unauthenticated) as caught:
        bearer.authenticate(tokens["access_token"])
    assert str(caught.value) == f"This app's access has ended. {reason}."
    if app.client is None or reason != "Its client was deleted":
        assert why(host.refresh(tokens["refresh_token"])) == str(caught.value)
    app.refresh_from_db()
    with pytest.raises(Refusal) as at_release:
        permission.check_permission(app, paper)
    assert str(at_release.value) == str(caught.value)
    assert f"{reason}." in words_of(host.browser.get(f"/apps/{app.pk}/"))


def test_the_token_endpoint_tells_the_recorded_reason(host: Host, paper: Connection, owner: User) -> None:
    tokens = host.connect(paper.pk)
    host.revoke(tokens["refresh_token"])
    assert why(host.refresh(tokens["refresh_token"])) == "This app's access has ended. Signed out by the app."
    other = host.connect(paper.pk)
    pass_time(days=30)
    assert why(host.refresh(other["refresh_token"])) == "The refresh token has expired. Sign in again."
    assert "not issued by this server" in why(host.refresh("x"))
    code = host.code(paper.pk)
    pass_time(seconds=61)
    assert why(host.redeem(code)) == "The code has expired. Sign in again."
    assert why(host.redeem("x")) == "The code is unknown or was used before. Sign in again."
    last = host.connect(paper.pk)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert why(host.refresh(last["refresh_token"])).endswith("is disabled.")


def test_a_refresh_token_lives_thirty_days_from_its_own_issue(host: Host, paper: Connection) -> None:
    first = host.connect(paper.pk)["refresh_token"]
    pass_time(days=29)
    second = host.refresh(first).json()["refresh_token"]
    pass_time(days=29)
    third = host.refresh(second).json()["refresh_token"]
    pass_time(days=30)
    assert refused(host.refresh(third))
    assert allowed_apps().get().revoked_at is None, "out of date is not misuse"


@pytest.mark.parametrize("token", ["x", "\x00", "\u00e9", "x" * 5000])
def test_an_unknown_refresh_token_is_refused(token: str, host: Host) -> None:
    assert refused(host.refresh(token))


def test_a_revoked_app_can_neither_start_nor_go_on(host: Host, paper: Connection, owner: User) -> None:
    code = host.code(paper.pk)
    grants.revoke(allowed_apps().get(), by=owner, reason="Taken back")
    assert refused(host.redeem(code))
    assert not AccessToken.objects.exists()
    tokens = host.connect(paper.pk)
    grants.revoke(allowed_apps().last(), by=owner, reason="Taken back")
    assert refused(host.refresh(tokens["refresh_token"]))
    assert AccessToken.objects.count() == 1


def test_a_paused_app_can_refresh_as_a_pause_is_not_the_end(host: Host, paper: Connection, owner: User) -> None:
    tokens = host.connect(paper.pk)
    grants.pause(allowed_apps().get(), by=owner)
    assert host.refresh(tokens["refresh_token"]).status_code == 200


def test_a_closed_connection_and_a_locked_account_end_refreshing(host: Host, paper: Connection, owner: User) -> None:
    tokens = host.connect(paper.pk)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert refused(host.refresh(tokens["refresh_token"]))
    User.objects.filter(pk=owner.pk).update(is_active=True)
    Connection.objects.filter(pk=paper.pk).update(closed_at=timezone.now())
    assert refused(host.refresh(tokens["refresh_token"]))


@pytest.mark.parametrize("asked", [None, BOTH, f"{BOTH} offline_access", "mcp:trade", "openid", ""])
def test_a_narrowed_app_goes_on_with_less(asked: str | None, host: Host, paper: Connection, owner: User) -> None:
    tokens = host.connect(paper.pk, BOTH)
    assert tokens["scope"] == BOTH
    grants.narrow(allowed_apps().get(), by=owner)
    answer = host.refresh(tokens["refresh_token"], scope=asked)
    assert answer.status_code == 200, answer.content
    assert answer.json()["scope"] == "mcp:read"


def test_an_app_narrowed_before_its_code_is_redeemed_starts_with_less(
    host: Host, paper: Connection, owner: User
) -> None:
    code = host.code(paper.pk, BOTH)
    grants.narrow(allowed_apps().get(), by=owner)
    assert host.redeem(code).json()["scope"] == "mcp:read"


@pytest.mark.parametrize("asked", [BOTH, "mcp:trade", f"{BOTH} openid profile", "mcp:manage"])
def test_a_refresh_never_gives_more_than_was_granted(asked: str, host: Host, paper: Connection) -> None:
    tokens = host.connect(paper.pk, "mcp:read")
    assert host.refresh(tokens["refresh_token"], scope=asked).json()["scope"] == "mcp:read"


def test_a_refresh_may_ask_for_less_and_later_for_all_of_it(host: Host, paper: Connection) -> None:
    tokens = host.connect(paper.pk, BOTH)
    less = host.refresh(tokens["refresh_token"], scope="mcp:read offline_access").json()
    assert less["scope"] == "mcp:read"
    assert host.refresh(less["refresh_token"]).json()["scope"] == BOTH


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "nonsense"])
def test_signing_out_ends_the_app(which: str, hint: str | None, host: Host, paper: Connection) -> None:
    tokens = host.connect(paper.pk)
    answer = host.revoke(tokens[which], token_type_hint=hint)
    assert (answer.status_code, answer.content) == (200, b"")
    assert not opens(tokens["access_token"])
    assert refused(host.refresh(tokens["refresh_token"]))
    assert allowed_apps().get().revoked_reason == "Signed out by the app"
    assert host.revoke(tokens[which]).status_code == 200, "a second time is no error"


def test_only_the_client_that_holds_a_token_can_revoke_it(
    host: Host, connect_host: Callable[..., Host], paper: Connection
) -> None:
    tokens = host.connect(paper.pk)
    assert connect_host("claude").revoke(tokens["refresh_token"]).status_code == 200
    assert host.revoke("nonsense\x00").status_code == 200
    assert host.revoke(tokens["refresh_token"], client_id="nobody").json()["error"] == "invalid_client"
    assert opens(tokens["access_token"])


def test_a_token_without_an_app_cannot_be_stored(host: Host, paper: Connection) -> None:
    with pytest.raises(IntegrityError):
        AccessToken.objects.create(token_checksum="0" * 64, scope=BOTH, expires=timezone.now())


def test_cleaning_up_leaves_everything_that_can_still_be_used(host: Host, paper: Connection) -> None:
    first = host.connect(paper.pk)
    second = host.refresh(first["refresh_token"]).json()
    sibling = host.refresh(first["refresh_token"]).json()
    # A day later: every access token has expired, no refresh token has.
    AccessToken.objects.update(expires=timezone.now() - timedelta(hours=23))
    RefreshToken.objects.filter(revoked__isnull=False).update(revoked=timezone.now() - timedelta(days=1))
    tasks.forget()
    for pair in (second, sibling):
        assert host.refresh(pair["refresh_token"]).status_code == 200
    late = host.refresh(first["refresh_token"])
    assert late.status_code == 400
    # A used token is still known, so that its replay is noticed.
    assert RefreshToken.objects.exclude(reused_at=None).count() == 1
