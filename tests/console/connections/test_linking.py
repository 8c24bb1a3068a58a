"""A broker's account is linked after its key was tried there; what the broker answers decides, not what was ticked."""

import logging
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection as database
from django.test import Client as Browser
from django.test import override_settings

from brokers.errors import BrokerError
from console.accounts.models import User
from console.audit.models import Change
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access, health
from console.connections import services as connections
from console.connections.link_specs import KINDS
from console.connections.models import Connection
from console.errors import Refusal
from console.orders.models import Order
from tests.conftest import PASSWORD
from tests.console.connections.fakes import ALL, ALPACA, BINANCE, NO_ANSWER, NO_GATEWAY, OKX, Linkable, ibkr_oauth
from tests.console.connections.steps import link, linked, refusal
from tests.console.pages import text_of, words_of
from tests.console.passkeys import Passkey
from tests.console.present import at_the_browser
from tests.console.steps import order

__all__ = ["order"]

each_broker = pytest.mark.parametrize("linkable", [*ALL, ibkr_oauth()], ids=lambda each: each.slug or each.broker)


@pytest.fixture
def browser(owner: User) -> Browser:
    return at_the_browser(owner, Passkey(owner))


def test_every_broker_that_has_a_fake_here_is_offered(browser: Browser) -> None:
    html = text_of(browser.get("/connections/add/"))
    assert set(KINDS) == {each.slug or each.broker for each in (*ALL, ibkr_oauth())}
    assert all(each.page in html for each in (*ALL, ibkr_oauth()))
    assert browser.get("/connections/add/nowhere/").status_code == 404


def test_linking_takes_a_proof_in_the_same_form_and_a_passkey_where_it_is_real_money(owner: User) -> None:
    copied = Browser()
    copied.force_login(owner)
    with OKX.running():
        assert "you need a passkey. You do not have one yet" in words_of(link(copied, OKX, environment="live"))
        assert 'name="proof-password"' in text_of(link(copied, OKX, environment="paper"))
        assert "Wrong password" in words_of(link(copied, OKX, environment="paper", **{"proof-password": "guess"}))
        Passkey(owner)
        assert 'name="proof-credential"' in text_of(link(copied, OKX, **{"proof-password": PASSWORD}))
    assert not Connection.objects.exists()


@each_broker
def test_a_key_that_works_makes_a_connection_by_the_brokers_own_answer(browser: Browser, linkable: Linkable) -> None:
    with linkable.running() as fake:
        made = linked(browser, linkable, fake)
        assert (made.broker, made.environment, made.trading_enabled) == (linkable.broker, linkable.environment, True)
        assert made.policy == ("two_step" if linkable.environment == "paper" else "owner_approval")
        assert made.default_account == broker_access.broker_of(made).accounts()[0].account_id
        health.check(made)
        made.refresh_from_db()
        assert (made.last_error, made.equity is not None) == ("", True)
    if made.is_live:
        assert (made.limited.order_notional, made.limited.daily_notional) == (Decimal(5000), Decimal(20000))


@each_broker
def test_its_credentials_are_nowhere_in_clear(
    browser: Browser, linkable: Linkable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with linkable.running() as fake:
        failed = link(browser, linkable, fake, **linkable.wrong)
        made = linked(browser, linkable, fake)
        detail = browser.get(f"/connections/{made.pk}/")
        key = browser.get(f"/connections/{made.pk}/key/")
        with database.cursor() as cursor:
            cursor.execute("SELECT * FROM connections_connection")
            rows = str(cursor.fetchall())
        shown = [text_of(failed), text_of(detail), text_of(key), rows, caplog.text, repr(vars(made))]
        shown += [str(row.detail) for row in Change.objects.all()]
        for value in (*linkable.keys.values(), *(linkable.wrong.values() if linkable.keys else ())):
            line = value.splitlines()[1] if "\n" in value else value
            assert not any(line in text for text in shown), linkable.broker


def written_to_disk() -> bytes:
    """All that the database keeps, as its files have it."""
    if database.vendor == "sqlite":
        with database.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint")
        file = Path(settings.DATABASES["default"]["NAME"])
        return b"".join(each.read_bytes() for each in file.parent.glob(f"{file.name}*"))
    with database.cursor() as cursor:
        cursor.execute("CHECKPOINT")
        cursor.execute(
            "SELECT current_setting('data_directory'), oid FROM pg_database WHERE datname = current_database()"
        )
        folder, number = cursor.fetchone()
    return b"".join(each.read_bytes() for each in Path(folder, "base", str(number)).iterdir())


@pytest.mark.django_db(transaction=True)
def test_the_database_file_holds_none_of_them(owner: User) -> None:
    with OKX.running():
        linked(at_the_browser(owner, Passkey(owner)), OKX)
    held = written_to_disk()
    assert b"Mine" in held
    assert not any(value.encode() in held for value in OKX.keys.values())


@each_broker
def test_a_wrong_key_is_named_with_what_to_do(browser: Browser, linkable: Linkable) -> None:
    with linkable.running() as fake:
        words = refusal(link(browser, linkable, fake, **linkable.wrong))
    assert linkable.told_wrong in words
    assert ("Nothing was saved. Enter the key again" in words) is bool(linkable.keys)


@each_broker
def test_a_broker_that_cannot_be_reached_is_told_from_a_wrong_key(browser: Browser, linkable: Linkable) -> None:
    with linkable.running() as fake:
        gone = dict.fromkeys(linkable.hints(fake), "http://127.0.0.1:9")
        with override_settings(BROKER_OVERRIDES={linkable.broker: gone}):
            words = refusal(link(browser, linkable, fake, **(linkable.wrong if not gone else {})))
    assert (NO_ANSWER if gone else NO_GATEWAY) in words


def test_a_clock_that_is_off_is_told_from_a_wrong_key(browser: Browser) -> None:
    with OKX.running() as fake:
        answer = 401, {"code": "50102", "msg": "Timestamp request expired", "data": []}
        speak = fake.speak
        fake.speak = lambda asked: answer if asked.path == "/api/v5/account/config" else speak(asked)
        assert "clock is wrong. Correct it" in refusal(link(browser, OKX))


def test_a_key_without_the_right_to_read_is_told_so(browser: Browser) -> None:
    with OKX.running() as fake:
        speak = fake.speak
        no = 200, {"code": "50120", "msg": "This API key doesn't have permission", "data": []}
        fake.speak = lambda asked: no if asked.path == "/api/v5/account/config" else speak(asked)
        assert "the key cannot read the account. Give it the permissions listed" in refusal(link(browser, OKX))


@pytest.mark.parametrize(("picked", "demo"), [("paper", False), ("live", True)])
def test_a_key_of_the_other_environment_is_refused_whatever_was_ticked(
    browser: Browser, picked: str, demo: bool
) -> None:
    with OKX.running() as fake:
        fake.demo = demo
        proved = "paper" if demo else "live"
        limits = {"order_notional": "5000", "daily_notional": "20000"}
        words = refusal(link(browser, OKX, environment=picked, **limits))
    assert f"reports a {proved} key, but you chose {picked}." in words


def test_an_alpaca_paper_account_is_never_linked_as_live(browser: Browser) -> None:
    with ALPACA.running():
        words = refusal(link(browser, ALPACA, environment="live", order_notional="1", daily_notional="1"))
    assert "reports a paper key, but you chose live" in words


@pytest.mark.parametrize("left_out", ["order_notional", "daily_notional"])
def test_live_needs_both_limits_before_the_key_is_tried(browser: Browser, left_out: str) -> None:
    with BINANCE.running() as fake:
        words = refusal(link(browser, BINANCE, **{left_out: ""}))
        assert "A live connection always needs a limit for" in words
        assert fake.received == []


def test_a_key_that_can_withdraw_is_read_only_until_it_is_replaced(browser: Browser) -> None:
    with OKX.running() as fake:
        fake.perm = "read_only,trade,withdraw"
        made = linked(browser, OKX)
        assert not made.trading_enabled
        assert "Its key can withdraw money" in words_of(browser.get(f"/connections/{made.pk}/"))
        answer = browser.post(f"/connections/{made.pk}/trading-on/", follow=True)
        assert "read only until you replace the key" in words_of(answer)
        made.refresh_from_db()
        assert not made.trading_enabled
        fake.perm = "read_only,trade"
        browser.post(f"/connections/{made.pk}/key/", OKX.keys)
        browser.post(f"/connections/{made.pk}/trading-on/")
        made.refresh_from_db()
        assert made.trading_enabled


def test_a_right_to_withdraw_that_comes_later_switches_trading_off(browser: Browser) -> None:
    with OKX.running() as fake:
        made = linked(browser, OKX)
        fake.perm = "read_only,trade,withdraw"
        browser.post(f"/connections/{made.pk}/check/")
    made.refresh_from_db()
    assert (made.trading_enabled, made.key_can_withdraw) == (False, True)
    assert Change.objects.filter(action="trading disabled", user_id=None).exists()


def test_where_the_broker_does_not_tell_the_page_says_so(browser: Browser) -> None:
    with ALPACA.running():
        made = linked(browser, ALPACA)
    assert "Can withdraw Not reported by the broker" in words_of(browser.get(f"/connections/{made.pk}/"))


def test_replacing_the_key_keeps_the_connection_and_a_wrong_one_changes_nothing(browser: Browser) -> None:
    with OKX.running():
        made = linked(browser, OKX)
        before = made.sealed
        answer = browser.post(f"/connections/{made.pk}/key/", {**OKX.keys, **OKX.wrong})
        assert "The old key stays in use." in words_of(answer)
        made.refresh_from_db()
        assert made.sealed == before
        browser.post(f"/connections/{made.pk}/key/", OKX.keys)
        made.refresh_from_db()
        assert made.sealed != before
        assert broker_access.broker_of(made).accounts()
    assert Change.objects.filter(action="key replaced").count() == 1


def test_a_key_of_another_account_does_not_replace_it(browser: Browser) -> None:
    with OKX.running():
        made = linked(browser, OKX)
        Connection.objects.filter(pk=made.pk).update(default_account="another")
        answer = browser.post(f"/connections/{made.pk}/key/", OKX.keys)
    assert "This key belongs to a different account from another." in words_of(answer)


def test_unlinking_shreds_the_key_and_ends_its_apps(browser: Browser) -> None:
    with OKX.running():
        made = linked(browser, OKX)
        assert "This cannot be undone" in words_of(browser.get(f"/connections/{made.pk}/unlink/"))
        answer = browser.post(f"/connections/{made.pk}/unlink/", follow=True)
        assert "Mine is unlinked. Next, delete its key at the broker." in words_of(answer)
        made.refresh_from_db()
        assert (made.sealed, made.settings, made.closed_at is not None) == ("", {}, True)
        assert not ConnectedApp.objects.filter(connection=made, revoked_at=None).exists()
        with pytest.raises(BrokerError):
            broker_access.broker_of(made)
        linked_again = link(browser, OKX)
        assert "Mine is ready" in words_of(linked_again)


def test_sending_the_form_again_makes_no_second_connection(browser: Browser) -> None:
    with OKX.running():
        sent = link(browser, OKX)
        again = browser.post(OKX.page, {**OKX.form(None, name="Other"), "once": sent.wsgi_request.POST["once"]})
    assert again["Location"] == "/connections/"
    assert Connection.objects.count() == 1


def test_somebody_else_can_neither_replace_check_nor_unlink_it(browser: Browser, other: User) -> None:
    with OKX.running():
        made = linked(browser, OKX)
    stranger = at_the_browser(other)
    for page in ("key", "check", "unlink"):
        assert stranger.post(f"/connections/{made.pk}/{page}/", OKX.keys).status_code == 404
    made.refresh_from_db()
    assert made.sealed
    assert made.closed_at is None


def test_the_address_of_this_instance_is_named_where_it_is_known(browser: Browser) -> None:
    assert "Use the public IP address" in words_of(browser.get(OKX.page))
    with override_settings(OUTGOING_ADDRESSES=["203.0.113.7"]):
        assert "Calls come from 203.0.113.7." in words_of(browser.get(OKX.page))


def test_the_verb_refuses_a_trading_switch_too(browser: Browser, owner: User) -> None:
    with OKX.running() as fake:
        fake.perm = "read_only"
        made = linked(browser, OKX)
    with pytest.raises(Refusal, match="Its key cannot trade at the broker"):
        connections.enable_trading(made, by=owner)


def test_it_is_not_unlinked_while_an_order_is_being_sent(browser: Browser, order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(status="sending")
    connection = order.connection
    answer = browser.post(f"/connections/{connection.pk}/unlink/", follow=True)
    assert "An order is being sent there now." in words_of(answer)
    connection.refresh_from_db()
    assert connection.closed_at is None


# RFC 2409, section 6.1, as openssl dhparam writes it.
PARAMETERS = """-----BEGIN DH PARAMETERS-----
MGYCYQD//////////8kP2qIhaMI0xMZii4DcHNEpAk4IimfMdAILvqY7E5siUUoI
eY40BN3vlRmzzTpDGzArCm3yXxQ3T+E1bW1RwkXkhbV2Yl5+xvRMQummOjYg////
//////8CAQI=
-----END DH PARAMETERS-----
"""


def test_parameters_of_oauth_are_taken_as_the_file_openssl_makes(browser: Browser) -> None:
    oauth = ibkr_oauth()
    with oauth.running() as fake:
        for wrong in ("not hexadecimal", PARAMETERS.replace("//////8CAQI=\n", ""), PARAMETERS.replace("MGYCYQ", "")):
            words = refusal(link(browser, oauth, fake, dh_prime=wrong))
            assert "neither a Diffie-Hellman parameter file" in words
        assert linked(browser, oauth, fake, dh_prime=PARAMETERS).environment == "paper"
