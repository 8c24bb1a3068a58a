"""A gateway is a person's own program without a password: where it may be, whose it is, and that it is the same one."""

import asyncio
import datetime
import hashlib
import ipaddress
import re
import ssl
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.test import Client as Browser
from django.test import override_settings

from brokers import allowed_hosts, http, stream_connection
from brokers.errors import BrokerError
from brokers.ibkr import session
from brokers.order_streams import OrderStream, StreamEvent, StreamEventKind
from brokers.tws import api_connection
from brokers.types import Side
from console.accounts.models import User
from console.authority import bearer
from console.connections import broker_access, health
from console.connections import gateways as the_gateways
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys import minting
from console.orders import prepare as preparing
from console.orders.terms import Terms
from console.scopes import Scope
from tests.brokers.ibkr.fake import BASE, LIVE, PAPER, FakeIbkr
from tests.brokers.steps import named
from tests.brokers.tws.fake import FakeTws
from tests.console.connections.fakes import CROSSTRADE, IBKR, NO_GATEWAY, TWS, Linkable
from tests.console.connections.steps import link, linked, refusal
from tests.console.pages import text_of, words_of
from tests.console.passkeys import Passkey
from tests.console.present import at_the_browser
from tests.patience import at_most

gateways = pytest.mark.parametrize("linkable", [IBKR, TWS], ids=lambda each: each.broker)


@pytest.fixture
def browser(owner: User) -> Browser:
    return at_the_browser(owner, Passkey(owner))


def heard(fake: Any) -> int:
    return fake.connections if isinstance(fake, FakeTws) else len(fake.received)


# -- where it may be -----------------------------------------------------------------------------------------


@gateways
@pytest.mark.parametrize("listed", [[], ["10.0.0.0/8"], ["127.0.0.1:1"]], ids=["nothing", "elsewhere", "another port"])
def test_an_address_the_operator_did_not_list_is_never_called(
    browser: Browser, linkable: Linkable, listed: list[str]
) -> None:
    with linkable.running() as fake, override_settings(BROKER_ADDRESSES=listed):
        words = refusal(link(browser, linkable, fake))
        assert "Its operator lists the allowed gateways in TRADELATCH_BROKER_ADDRESSES." in words
        assert heard(fake) == 0


@gateways
def test_a_name_that_later_leads_elsewhere_is_not_followed(
    browser: Browser, linkable: Linkable, monkeypatch: pytest.MonkeyPatch
) -> None:
    with linkable.running() as fake:
        name = {"base_url": f"http://localhost:{_port(fake)}{BASE}"} if linkable is IBKR else {"host": "desk.lan"}
        named(monkeypatch, ["127.0.0.1"])
        made = linked(browser, linkable, fake, **name)
        _forget(fake)
        named(monkeypatch, ["10.9.9.9"])
        before = heard(fake)
        health.check(made)
        made.refresh_from_db()
        assert "This instance does not connect to" in made.last_error
        assert made.next_step.startswith("Ask the operator of this instance to allow the gateway")
        assert heard(fake) == before


@gateways
def test_what_is_connected_to_is_what_was_checked(
    browser: Browser, linkable: Linkable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name's next answer would lead elsewhere: a second look-up between check and connect would follow it."""
    with linkable.running() as fake:
        name = {"base_url": f"http://localhost:{_port(fake)}{BASE}"} if linkable is IBKR else {"host": "desk.lan"}
        named(monkeypatch, ["127.0.0.1"])
        made = linked(browser, linkable, fake, **name)
        _forget(fake)
        named(monkeypatch, ["127.0.0.1"], ["10.9.9.9"])
        health.check(made)
        made.refresh_from_db()
        assert made.last_error == ""


@gateways
def test_an_address_taken_off_the_list_is_called_no_more(browser: Browser, linkable: Linkable) -> None:
    with linkable.running() as fake:
        made = linked(browser, linkable, fake)
        before = heard(fake)
        with (
            override_settings(BROKER_ADDRESSES=["10.0.0.0/8"]),
            pytest.raises(BrokerError, match="does not connect to"),
        ):
            broker_access.broker_of(made).accounts()
        assert heard(fake) == before


def _port(fake: Any) -> int:
    return int(fake.port if isinstance(fake, FakeTws) else fake.server.server_address[1])


def _forget(fake: Any) -> None:
    """As another process, or the same after a while: nothing is connected."""
    session.close_shared()
    http.close_shared()
    if isinstance(fake, FakeTws):
        fake.hang_up()


@pytest.mark.parametrize("after", ["", "/"])
def test_an_address_without_the_path_of_the_api_is_completed(browser: Browser, after: str) -> None:
    with IBKR.running() as fake:
        made = linked(browser, IBKR, fake, base_url=fake.url + after)
        assert made.settings["base_url"] == fake.url + BASE


@pytest.mark.parametrize(
    "typed",
    [
        "localhost:5000",
        "ftp://localhost/",
        "gopher://localhost:5000/",
        "file:///etc/hosts",
        "https://",
        "https://localhost:99999/",
        "x",
    ],
)
def test_what_is_no_address_is_told_so(browser: Browser, typed: str) -> None:
    with IBKR.running() as fake:
        assert "https://localhost:5000/v1/api" in refusal(link(browser, IBKR, fake, base_url=typed))
        assert heard(fake) == 0


@pytest.mark.parametrize("base_url", ["http://10.0.0.5:5000/v1/api", "https://u:p@127.0.0.1:5000/v1/api"])
def test_an_address_that_gives_the_session_away_is_refused(browser: Browser, base_url: str) -> None:
    with IBKR.running() as fake, override_settings(BROKER_ADDRESSES=["10.0.0.5"]):
        assert Connection.objects.count() == 0
        refusal(link(browser, IBKR, fake, base_url=base_url))
        assert heard(fake) == 0


# -- whose it is ---------------------------------------------------------------------------------------------


@gateways
def test_a_gateway_one_person_linked_cannot_be_linked_by_another(
    browser: Browser, other: User, linkable: Linkable
) -> None:
    with linkable.running() as fake:
        linked(browser, linkable, fake)
        local = f"http://localhost:{_port(fake)}{BASE}"
        by_another_name = {"base_url": local} if linkable is IBKR else {"host": "localhost"}
        for more in ({}, by_another_name):
            before = heard(fake)
            words = words_of(link(at_the_browser(other), linkable, fake, **more))
            assert "Somebody else on this instance uses this gateway." in words
            assert heard(fake) == before
        assert not Connection.objects.filter(owner=other).exists()
        browser.post(f"/connections/{Connection.objects.get().pk}/unlink/")
        assert "Mine is ready" in words_of(link(at_the_browser(other), linkable, fake))


@gateways
def test_by_an_address_nobody_knew_the_account_gives_it_away(
    browser: Browser, other: User, linkable: Linkable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(the_gateways, "_check_alone", lambda *args: None)
    with linkable.running() as fake:
        linked(browser, linkable, fake)
        words = words_of(link(at_the_browser(other), linkable, fake))
        assert "Somebody else on this instance uses this gateway." in words
        assert not Connection.objects.filter(owner=other).exists()


@pytest.mark.parametrize(
    ("account", "what"),
    [(LIVE, "now shows a live account, but this connection is paper"), ("DU7777777", "now shows different accounts")],
    ids=["real money", "somebody else's"],
)
@gateways
def test_whoever_signs_in_there_later_the_connection_is_of_the_account_that_was_linked(
    browser: Browser, linkable: Linkable, account: str, what: str
) -> None:
    with linkable.running() as fake:
        made = linked(browser, linkable, fake)
        _, key = minting.mint(made.owner, made, frozenset({Scope.TRADE}), name="Trader")
        trader = bearer.authenticate(key)
        fake.account = account
        session.close_shared()
        api_connection.close_shared()
        terms = Terms(symbol=linkable.symbol, side=Side.BUY, quantity=Decimal(1))
        for account_id in (None, account, PAPER):
            with pytest.raises(Refusal, match=what):
                preparing.prepare(trader, terms, account_id=account_id)
        health.check(made, key_too=True)
        made.refresh_from_db()
        assert what in made.last_error
        assert "Sign in there with the account that was linked" in made.next_step


# -- that it is the same one -----------------------------------------------------------------------------------


class _Secured(FakeIbkr):
    """As the Client Portal Gateway comes: https by a certificate it made itself."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __enter__(self) -> Self:
        super().__enter__()
        self.fingerprint = self.show_another()
        plain = self.server.socket
        self.server.socket = self.tls.wrap_socket(plain, server_side=True)
        return self

    def show_another(self) -> str:
        """A new certificate from now on. Returns its fingerprint as openssl writes it."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.UTC)
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(alternative, critical=False)
            .sign(key, hashes.SHA256())
        )
        file = self.folder / "gateway.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
        if not hasattr(self, "tls"):
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(file)
        digest = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
        return ":".join(re.findall("..", digest))

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")


@contextmanager
def _gateway(folder: Path) -> Iterator[tuple[Linkable, _Secured]]:
    secured = Linkable(
        broker="ibkr",
        slug="ibkr-gateway",
        make=lambda: _Secured(folder),
        environment="paper",
        own=IBKR.own,
        symbol=IBKR.symbol,
        hints=IBKR.hints,
        quick=IBKR.quick,
    )
    with secured.running() as fake:
        yield secured, fake


def _confirmed(fake: _Secured) -> dict[str, str]:
    return {"fingerprint": fake.fingerprint.replace(":", "").lower(), "certificate_confirmed": "on"}


def test_a_certificate_nobody_vouches_for_is_shown_and_nothing_is_said_before_it_is_confirmed(
    browser: Browser, tmp_path: Path
) -> None:
    with _gateway(tmp_path) as (secured, fake):
        page = link(browser, secured, fake)
        words = refusal(page)
        assert "certificate is self-signed" in words
        assert fake.fingerprint in words
        assert f'name="fingerprint" value="{fake.fingerprint.replace(":", "").lower()}"' in text_of(page)
        not_ticked = {"fingerprint": fake.fingerprint.replace(":", "").lower()}
        assert fake.fingerprint in refusal(link(browser, secured, fake, **not_ticked))
        assert fake.received == []
        made = linked(browser, secured, fake, **_confirmed(fake))
        health.check(made)
        made.refresh_from_db()
        assert (made.last_error, made.equity is not None) == ("", True)


def test_another_certificate_than_the_confirmed_one_ends_the_call_before_anything_is_said(
    browser: Browser, tmp_path: Path
) -> None:
    with _gateway(tmp_path) as (secured, fake):
        made = linked(browser, secured, fake, **_confirmed(fake))
        _forget(fake)
        before = len(fake.received)
        fake.fingerprint = fake.show_another()
        health.check(made)
        made.refresh_from_db()
        assert "shows a different certificate from the one you confirmed" in made.last_error
        assert made.next_step.startswith("Find out who changed it.")
        assert len(fake.received) == before

        page = f"/connections/{made.pk}/key/"
        answer = browser.post(page, secured.credentials(fake))
        assert fake.fingerprint in words_of(answer)
        browser.post(page, {**secured.credentials(fake), **_confirmed(fake)})
        made.refresh_from_db()
        health.check(made)
        made.refresh_from_db()
        assert made.last_error == ""


def test_a_certificate_that_changes_between_looking_and_confirming_is_shown_again(
    browser: Browser, tmp_path: Path
) -> None:
    with _gateway(tmp_path) as (secured, fake):
        seen = _confirmed(fake)
        fake.fingerprint = fake.show_another()
        words = refusal(link(browser, secured, fake, **seen))
        assert "a different certificate from the one you just confirmed" in words
        assert fake.fingerprint in words
        assert fake.received == []


# -- its stream of order updates -------------------------------------------------------------------------------


def _first_event(stream: OrderStream) -> StreamEvent:
    async def run() -> StreamEvent:
        async with asyncio.timeout(at_most(10)), aclosing(stream_connection.follow(lambda: stream)) as events:
            return await anext(events)

    return asyncio.run(run())


def test_its_stream_is_reached_by_the_confirmed_certificate_and_by_no_other(browser: Browser, tmp_path: Path) -> None:
    with _gateway(tmp_path) as (secured, fake):
        made = linked(browser, secured, fake, **_confirmed(fake))
        stream = broker_access.broker_of(made).order_stream()
        assert _first_event(stream).kind is StreamEventKind.UP
        fake.fingerprint = fake.show_another()
        opened = len(fake.streams_opened)
        event = _first_event(stream)
        assert event.kind is StreamEventKind.DOWN
        assert "a different certificate from the one you confirmed" in event.reason
        assert len(fake.streams_opened) == opened


def test_its_stream_is_reached_only_where_the_operator_listed_it(browser: Browser) -> None:
    with IBKR.running() as fake:
        made = linked(browser, IBKR, fake)
        stream = broker_access.broker_of(made).order_stream()
        stream.address = replace(stream.address, reach=allowed_hosts.parse(["10.0.0.0/8"]))
        event = _first_event(stream)
        assert "TRADELATCH_BROKER_ADDRESSES" in event.reason
        assert fake.streams_opened == []


# -- what it says of itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mood", ["gone", "signed_out", "competing"])
def test_a_session_that_has_ended_says_sign_in_again_and_never_shows_an_empty_list(browser: Browser, mood: str) -> None:
    with IBKR.running() as fake:
        made = linked(browser, IBKR, fake)
        _, key = minting.mint(made.owner, made, frozenset({Scope.READ}), name="Reader")
        reader = bearer.authenticate(key)
        fake.session = mood
        session.close_shared()
        health.check(made)
        made.refresh_from_db()
        assert health.state(made) == "sign_in_again"
        words = words_of(browser.get(f"/connections/{made.pk}/"))
        assert "Sign in again:" in words
        assert "page in a browser and sign in, then press Check now." in words
        for read in ("accounts", "positions", "orders", "account_state"):
            with pytest.raises(Refusal) as caught, broker_access.broker_for(reader) as broker:
                getattr(broker, read)(*(() if read == "accounts" else (PAPER,)))
            assert caught.value.code is Code.BROKER_NEEDS_LOGIN, read
        fake.session = "good"
        browser.post(f"/connections/{made.pk}/check/")
        made.refresh_from_db()
        assert health.state(made) == "ok"


def test_linking_where_nobody_is_signed_in_says_what_to_do(browser: Browser) -> None:
    with IBKR.running() as fake:
        fake.session = "signed_out"
        assert NO_GATEWAY in refusal(link(browser, IBKR, fake))


@gateways
def test_the_accounts_number_proves_paper_or_live_whatever_was_ticked(browser: Browser, linkable: Linkable) -> None:
    limits = {"order_notional": "5000", "daily_notional": "20000"}
    with linkable.running() as fake:
        assert "reports a paper account, but you chose live" in refusal(
            link(browser, linkable, fake, environment="live", **limits)
        )
    with linkable.running() as fake:
        fake.account = LIVE
        assert "reports a live account, but you chose paper" in refusal(link(browser, linkable, fake))
        made = linked(browser, linkable, fake, environment="live", **limits)
        assert (made.environment, made.policy, made.default_account) == ("live", "owner_approval", LIVE)


# -- NinjaTrader's simulator -----------------------------------------------------------------------------------


def test_ninjatraders_simulator_is_paper_only_where_name_provider_and_person_say_so(browser: Browser) -> None:
    limits = {"order_notional": "5000", "daily_notional": "20000"}
    assert 'value="paper" checked' not in text_of(browser.get(CROSSTRADE.page))
    with CROSSTRADE.running() as fake:
        assert "Choose paper or live." in refusal(link(browser, CROSSTRADE, fake, environment=""))
        fake.account = "Apex-1"
        assert "reports a live key, but you chose paper" in refusal(link(browser, CROSSTRADE, fake, account="Apex-1"))
        fake.account, fake.provider = "Sim101", "Rithmic"
        assert "reports a live key, but you chose paper" in refusal(link(browser, CROSSTRADE, fake))
        fake.provider = "Simulator"
        assert linked(browser, CROSSTRADE, fake, environment="live", **limits).is_live
