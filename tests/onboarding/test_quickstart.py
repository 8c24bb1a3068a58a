"""quickstart makes what was never made, shows secrets once, and ends the old ones when asked to rotate."""

import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.authority import bearer
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys import minting
from console.keys.models import ApiKey
from console.onboarding import connection_lifecycle, quickstart
from console.scopes import Scope
from tests import serving

pytestmark = pytest.mark.django_db
FIELDS = ["console_url", "mcp_url", "username", "password", "paper_key_trade", "paper_key_read"]
SECRETS = ["password", "paper_key_trade", "paper_key_read"]


def _signed_in(prepared: quickstart.QuickstartResult) -> bool:
    return authenticate(username=prepared.username, password=prepared.password) is not None


def _counts() -> tuple[int, int, int, int]:
    return User.objects.count(), Connection.objects.count(), ConnectedApp.objects.count(), ApiKey.objects.count()


def _scopes(key: str | None) -> frozenset[Scope]:
    assert key is not None
    return bearer.authenticate(key).scopes


def test_the_first_run_makes_an_owner_a_connection_and_two_keys() -> None:
    made = quickstart.prepare()

    owner = User.objects.get()
    assert (owner.email, owner.is_operator) == ("owner@tradelatch.local", True)
    assert _signed_in(made)
    connection = Connection.objects.get()
    assert (connection.name, connection.broker, connection.environment) == ("Practice", "paper", "paper")
    assert (connection.equity, connection.currency, connection.trading_enabled) == (Decimal(100_000), "USD", True)
    assert _scopes(made.paper_key_trade) == {Scope.READ, Scope.TRADE}
    assert _scopes(made.paper_key_read) == {Scope.READ}
    assert set(ConnectedApp.objects.values_list("name", flat=True)) == {"quickstart trade", "quickstart read"}
    assert ApiKey.objects.get(is_default=True).app.name == "quickstart read"


def test_a_second_run_changes_nothing_and_shows_no_secret() -> None:
    first = quickstart.prepare()
    before = _counts()

    second = quickstart.prepare()

    assert (second.password, second.paper_key_trade, second.paper_key_read) == (None, None, None)
    assert (second.username, second.mcp_url) == (first.username, first.mcp_url)
    assert _counts() == before
    assert _signed_in(first)
    assert _scopes(first.paper_key_trade)


def test_what_a_person_revoked_closed_or_renamed_is_not_made_again() -> None:
    quickstart.prepare()
    owner = User.objects.get()
    for app in ConnectedApp.objects.all():
        grants.revoke(app, by=owner, reason="Revoked by its owner")
    Connection.objects.update(name="My desk", closed_at=timezone.now())
    User.objects.update(email="someone@example.com")
    before = _counts()

    again = quickstart.prepare()

    assert _counts() == before
    assert again.username == "someone@example.com"
    assert again.paper_key_trade is None


def test_an_operator_who_was_there_first_gets_the_connection_and_keeps_the_password(operator: User) -> None:
    made = quickstart.prepare()

    assert made.username == operator.email
    assert made.password is None
    assert operator.check_password("correct horse battery")
    assert bearer.authenticate(made.paper_key_trade or "").user_id == operator.pk


def test_an_address_of_somebody_else_is_never_promoted(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADELATCH_OWNER_EMAIL", owner.email.upper())
    with pytest.raises(CommandError, match="TRADELATCH_OWNER_EMAIL"):
        call_command("quickstart", json=True, stdout=io.StringIO())
    owner.refresh_from_db()
    assert not owner.is_operator


def test_the_owners_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADELATCH_OWNER_EMAIL", "Desk@Example.com")
    assert quickstart.prepare().username == "desk@example.com"


def test_an_owners_address_that_is_none_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADELATCH_OWNER_EMAIL", "no address")
    with pytest.raises(CommandError, match="is not an e-mail address"):
        call_command("quickstart", json=True, stdout=io.StringIO())


def test_rotating_ends_the_old_password_and_keys_and_keeps_the_apps() -> None:
    old = quickstart.prepare()
    apps = set(ConnectedApp.objects.values_list("pk", flat=True))

    new = quickstart.prepare(rotate=True)

    for secret in SECRETS:
        assert getattr(new, secret) and getattr(new, secret) != getattr(old, secret)
    assert _signed_in(new)
    assert not _signed_in(old)
    for key in (old.paper_key_trade, old.paper_key_read):
        with pytest.raises(bearer.Unauthenticated):
            bearer.authenticate(key or "")
    assert _scopes(new.paper_key_trade) == {Scope.READ, Scope.TRADE}
    assert _scopes(new.paper_key_read) == {Scope.READ}
    assert set(ConnectedApp.objects.values_list("pk", flat=True)) == apps
    assert ApiKey.objects.get(is_default=True, revoked_at=None).app.name == "quickstart read"


def test_rotating_signs_every_browser_out() -> None:
    quickstart.prepare()
    browser = Browser()
    browser.force_login(User.objects.get())
    assert browser.get("/").status_code == 200

    quickstart.prepare(rotate=True)

    assert browser.get("/").status_code == 302


def test_rotating_asks_for_a_revoked_key_by_name_and_gets_a_new_app() -> None:
    quickstart.prepare()
    trade = ConnectedApp.objects.get(name="quickstart trade")
    grants.revoke(trade, by=None, reason="Revoked by its owner")

    new = quickstart.prepare(rotate=True)

    assert bearer.authenticate(new.paper_key_trade or "").app_id != trade.pk
    trade.refresh_from_db()
    assert trade.revoked_at is not None


def test_a_narrowed_key_stays_narrow_when_rotated() -> None:
    quickstart.prepare()
    grants.narrow(ConnectedApp.objects.get(name="quickstart trade"), by=None)
    assert _scopes(quickstart.prepare(rotate=True).paper_key_trade) == {Scope.READ}


def test_rotating_opens_no_closed_connection() -> None:
    quickstart.prepare()
    Connection.objects.update(closed_at=timezone.now())
    new = quickstart.prepare(rotate=True)
    assert new.password is not None
    assert (new.paper_key_trade, new.paper_key_read) == (None, None)


def test_a_failure_half_way_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **fields: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(minting, "mint", fail)
    with pytest.raises(RuntimeError):
        quickstart.prepare()
    assert _counts() == (0, 0, 0, 0)


def test_on_an_empty_home_the_command_prints_one_json_object(tmp_path: Path) -> None:
    first = serving.manage(tmp_path / "home", 8123, "quickstart", "--json")
    second = serving.manage(tmp_path / "home", 8123, "quickstart", "--json")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stderr == ""
    made, known = json.loads(first.stdout), json.loads(second.stdout)
    assert list(made) == FIELDS
    assert made["console_url"] == "http://localhost:8123/"
    assert made["mcp_url"] == "http://localhost:8123/mcp"
    assert all(isinstance(made[secret], str) for secret in SECRETS)
    assert known == made | dict.fromkeys(SECRETS)


def test_without_json_it_speaks_in_lines() -> None:
    out = io.StringIO()
    call_command("quickstart", stdout=out)
    assert "http://localhost:8000/mcp" in out.getvalue()
    assert "owner@tradelatch.local" in out.getvalue()


def test_a_connections_default_key_can_read_and_not_trade(owner: User) -> None:
    connection, secret = connection_lifecycle.open_paper(
        owner, name="Second", starting_cash=Decimal(5_000), currency="EUR"
    )

    assert bearer.authenticate(secret).connection_id == connection.pk
    assert _scopes(secret) == {Scope.READ}
    key = ApiKey.objects.get()
    assert key.is_default
    assert key.app.name == "Default key of Second"
