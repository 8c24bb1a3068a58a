"""Signing in, and the three ways in which a session at Interactive Brokers ends."""

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from brokers.errors import AuthFailed, BrokerUnavailable, InvalidRequest, NeedsLogin
from brokers.ibkr import session
from brokers.ibkr.adapter import IbkrBroker
from brokers.types import Environment
from tests.brokers.faults import Asked, Reply
from tests.brokers.ibkr.conftest import settings_for
from tests.brokers.ibkr.fake import LIVE, PAPER, FakeIbkr, Keys
from tests.brokers.paper.support import order

SYMBOL = "AAPL@265598"


@pytest.mark.parametrize("mood", ["gone", "signed_out", "competing"])
def test_a_session_that_has_ended_asks_a_person_to_sign_in_and_lists_nothing(
    ibkr: IbkrBroker, fake: FakeIbkr, mood: str
) -> None:
    fake.session = mood
    reads: list[Callable[[], object]] = [
        ibkr.accounts,
        ibkr.connect,
        ibkr.ping,
        lambda: ibkr.positions(PAPER),
        lambda: ibkr.orders(PAPER),
        lambda: ibkr.order(PAPER, "0" * 32),
        lambda: ibkr.quotes([SYMBOL]),
        lambda: ibkr.submit(PAPER, order("BUY", "1", SYMBOL)),
    ]
    for read in reads:
        with pytest.raises(NeedsLogin, match=r"[Ss]ign in"):
            read()
    assert fake.sent == []


@pytest.mark.parametrize("mood", ["gone", "signed_out", "competing"])
def test_a_session_that_ends_between_two_looks_is_never_an_empty_list_either(
    ibkr: IbkrBroker, fake: FakeIbkr, mood: str
) -> None:
    assert ibkr.orders(PAPER) == []
    fake.session = mood
    with pytest.raises(NeedsLogin):
        ibkr.orders(PAPER)


def test_one_that_took_part_of_the_session_is_named(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    fake.session = "competing"
    with pytest.raises(NeedsLogin, match="Another program"):
        ibkr.accounts()


def test_a_session_is_good_again_after_a_person_signed_in(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    fake.session = "gone"
    with pytest.raises(NeedsLogin):
        ibkr.accounts()
    fake.session = "good"
    assert [each.account_id for each in ibkr.accounts()] == [PAPER]


def test_a_gateway_that_was_started_anew_is_asked_for_its_accounts_again(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    ibkr.accounts()
    fake.asked_accounts = False
    with pytest.raises(InvalidRequest):
        ibkr.orders(PAPER)
    assert ibkr.orders(PAPER) == []


def test_the_session_is_kept_alive_once_a_minute_and_not_on_every_call(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        ibkr.accounts()
    assert fake.received.count(("POST", "/v1/api/tickle")) == 1
    monkeypatch.setattr(session, "TICKLE_EVERY", 0.0)
    ibkr.ping()
    ibkr.positions(PAPER)
    assert fake.received.count(("POST", "/v1/api/tickle")) > 2


@pytest.mark.parametrize(("account", "environment"), [(PAPER, Environment.PAPER), (LIVE, Environment.LIVE)])
def test_paper_and_live_are_told_by_the_account_number(account: str, environment: Environment) -> None:
    with FakeIbkr(account=account) as fake:
        info = IbkrBroker.open(settings_for(fake)).connect()
    assert info.environment is environment
    assert [(each.account_id, each.currency) for each in info.accounts] == [(account, "USD")]


def test_an_account_number_nobody_knows_is_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeIbkr(account="X1") as fake, pytest.raises(BrokerUnavailable):
        IbkrBroker.open(settings_for(fake)).connect()


def test_lists_ibkr_wants_to_be_asked_for_seldom_are_asked_for_seldom(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch
) -> None:
    ibkr.orders(PAPER)
    monkeypatch.setattr(session, "LIST_EVERY", 0.3)
    before, started = len(fake.received), time.monotonic()
    for _ in range(5):
        ibkr.orders(PAPER)
    assert len(fake.received) - before == 0
    ibkr.order(PAPER, "0" * 32)
    assert time.monotonic() - started > 0.2, "a look-up waits for its turn and is not answered from memory"
    assert len(fake.received) - before == 2


@pytest.mark.parametrize(
    "frame",
    [
        {"topic": "sor", "args": [{"acct": PAPER, "orderId": 7, "status": "Filled"}]},
        {"topic": "system", "success": "tester"},
    ],
)
def test_after_what_the_stream_says_no_list_from_before_it_is_shown(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch, frame: dict[str, Any]
) -> None:
    stream = ibkr.order_stream()
    ibkr.orders(PAPER)
    monkeypatch.setattr(session, "LIST_EVERY", 600.0)
    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None))
    before = len(fake.received)
    stream.heard(json.dumps({"topic": "system", "hb": 1}))
    ibkr.orders(PAPER)
    assert len(fake.received) - before == 0
    stream.heard(json.dumps(frame))
    for _ in "12":
        ibkr.orders(PAPER)
    assert len(fake.received) - before == 2


@pytest.mark.parametrize(
    "address",
    [
        "http://gateway.example/v1/api",
        "ftp://localhost/v1/api",
        "https://user:secret@localhost/v1/api",
        "localhost:5000",
        "",
        "https://localhost:5000/v1/api?x=1",
        "https://localhost:99999/v1/api",
    ],
)
def test_an_address_over_which_the_session_could_be_taken_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="https"):
        IbkrBroker.open({"base_url": address})


# -- OAuth -----------------------------------------------------------------------------------------------------------


def test_every_call_is_signed_with_a_key_both_sides_worked_out(keys: Keys) -> None:
    with FakeIbkr(keys) as fake:
        broker = IbkrBroker.open(settings_for(fake))
        asked = order("BUY", "1", SYMBOL)
        broker.submit(PAPER, asked)
        assert broker.quotes(["AAPL"])[0].last == fake.price
        found = broker.order(PAPER, asked.client_order_id)
        assert found is not None
        assert found.filled_quantity == 1
        assert fake.violations == []
        assert fake.received.count(("POST", "/v1/api/oauth/live_session_token")) == 1
        assert len(fake.nonces) == len(fake.received)


def test_the_brokerage_session_is_opened_without_throwing_anybody_out(keys: Keys) -> None:
    with FakeIbkr(keys) as fake:
        fake.session = "signed_out"
        assert IbkrBroker.open(settings_for(fake)).accounts()
        assert fake.violations == []
        fake.session = "competing"
        with pytest.raises(NeedsLogin, match="Another program"):
            IbkrBroker.open(settings_for(fake)).ping()
        assert fake.received.count(("POST", "/v1/api/iserver/auth/ssodh/init")) == 1


@pytest.mark.parametrize("name", ["consumer_key", "access_token", "access_token_secret", "signature_key"])
def test_wrong_keys_are_refused_and_never_shown(keys: Keys, other_keys: Keys, name: str) -> None:
    with FakeIbkr(keys) as fake:
        wrong = other_keys.settings[name] if name != "consumer_key" else "SOMEBODY"
        with pytest.raises(AuthFailed) as caught:
            IbkrBroker.open(settings_for(fake, **{name: wrong})).accounts()
    said = str(caught.value)
    assert not any(secret in said for secret in (wrong, *keys.settings.values()))


@pytest.mark.parametrize("name", ["encryption_key", "signature_key", "dh_prime", "access_token_secret"])
def test_keys_that_cannot_be_read_are_told_before_anything_is_asked(keys: Keys, name: str) -> None:
    with FakeIbkr(keys) as fake:
        with pytest.raises(AuthFailed, match="cannot be read"):
            IbkrBroker.open(settings_for(fake, **{name: "nonsense"})).accounts()
        assert fake.received == []
        with pytest.raises(AuthFailed, match=name):
            IbkrBroker.open(settings_for(fake, **{name: ""}))


def test_a_server_that_does_not_know_the_secret_is_not_believed(keys: Keys) -> None:
    class Impostor(FakeIbkr):
        def _live_session_token(self, asked: Asked, own: Keys) -> Reply:
            status, told = super()._live_session_token(asked, own)
            return status, told | {"diffie_hellman_response": "2"}

    with Impostor(keys) as fake, pytest.raises(AuthFailed, match="does not match"):
        IbkrBroker.open(settings_for(fake)).accounts()


def test_a_token_that_ran_out_is_made_anew(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeIbkr(keys) as fake:
        broker = IbkrBroker.open(settings_for(fake))
        broker.accounts()
        monkeypatch.setattr(session, "_TOKEN_MARGIN", 90_000.0)
        broker.ping()
        assert fake.received.count(("POST", "/v1/api/oauth/live_session_token")) > 1
        assert fake.violations == []


def test_a_clock_that_is_wrong_is_refused_by_the_broker_and_told(keys: Keys) -> None:
    with FakeIbkr(keys) as fake:
        fake.clock_ahead = 900
        with pytest.raises(AuthFailed):
            IbkrBroker.open(settings_for(fake)).accounts()
        assert fake.violations == ["timestamp"]
