"""Home and Portfolio: what accounts hold, with its age; what waits, with its button; nothing of anybody else."""

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers.errors import BrokerUnavailable
from brokers.paper.adapter import PaperBroker
from console.accounts.models import User
from console.clients.models import Client, ClientKind, ReviewState
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access, health
from console.connections.models import Connection
from console.desk import portfolio, reading
from console.desk.models import PortfolioSnapshot
from console.halts import services as halts
from console.journal.models import LedgerLine
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.orders.owner.pending_badge import PendingBadge
from console.orders.states import Status
from console.recent_errors import rollup
from console.scopes import Scope, Source
from tests.brokers.paper.support import order as paper_order
from tests.console.orders.steps import make
from tests.console.pages import log, text_of, words_of
from tests.patience import at_most

pytestmark = pytest.mark.django_db
READ = frozenset({Scope.READ})


@pytest.fixture
def held(paper: Connection) -> Connection:
    """With two bitcoins."""
    PaperBroker.open(paper.settings).submit(paper.default_account, paper_order("BUY", "2", "BTC/USD"))
    return paper


class Silent:
    """A broker that does not answer until the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def accounts(self) -> list[object]:
        self.over.wait(at_most(20))
        raise BrokerUnavailable("Connection refused.")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Silent]:
    broker = Silent()
    monkeypatch.setattr(broker_access, "broker_of", lambda connection: broker)
    monkeypatch.setattr(broker_access, "is_remote", lambda name: True)
    yield broker
    broker.over.set()


def read_at(connection: Connection, **ago: int) -> None:
    at = timezone.now() - timedelta(**ago)
    PortfolioSnapshot.objects.filter(connection=connection).update(read_at=at, asked_at=at)


class TestReading:
    def test_an_open_page_has_the_broker_asked_and_then_shows_what_is_held(
        self, browser: Browser, held: Connection
    ) -> None:
        assert "BTC/USD" not in words_of(browser.get("/portfolio/"))
        answer = browser.get(f"/portfolio/read/{held.pk}/")
        assert (answer.status_code, answer["HX-Trigger"]) == (204, "desk-read")
        for page in ("/portfolio/", "/"):
            assert "BTC/USD Practice Paper 2 " in words_of(browser.get(page)), page

    def test_two_pages_that_are_open_do_not_ask_twice(self, browser: Browser, held: Connection) -> None:
        assert "HX-Trigger" in browser.get(f"/portfolio/read/{held.pk}/")
        assert "HX-Trigger" not in browser.get(f"/portfolio/read/{held.pk}/")
        read_at(held, seconds=16)
        assert "HX-Trigger" in browser.get(f"/portfolio/read/{held.pk}/")

    def test_a_broker_that_hangs_holds_a_request_no_longer_than_its_patience(
        self, browser: Browser, held: Connection, silent: Silent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "PATIENCE", 0.1)
        assert browser.get(f"/portfolio/read/{held.pk}/").status_code == 204
        assert not silent.over.is_set()
        assert "did not answer within" in words_of(browser.get("/portfolio/"))

    def test_no_page_asks_a_broker_by_itself(self, browser: Browser, held: Connection, silent: Silent) -> None:
        silent.accounts = pytest.fail  # type: ignore[method-assign]  # stands for the broker
        for page in ("/", "/portfolio/", f"/connections/{held.pk}/", "/orders/"):
            assert browser.get(page).status_code == 200

    def test_a_broker_is_asked_outside_any_transaction(self, held: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        depths: list[int] = []
        outside = len(database.savepoint_ids)

        class Looking:
            def accounts(self) -> list[object]:
                depths.append(len(database.savepoint_ids) - outside)
                raise BrokerUnavailable("Connection refused.")

        monkeypatch.setattr(broker_access, "broker_of", lambda connection: Looking())
        reading.refresh(held)
        assert depths == [0]

    def test_what_was_read_stays_when_the_broker_fails_and_says_its_age(
        self, browser: Browser, held: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reading.refresh(held)
        read_at(held, minutes=3)

        class Broken:
            def accounts(self) -> list[object]:
                raise BrokerUnavailable("Connection refused.")

        monkeypatch.setattr(broker_access, "broker_of", lambda connection: Broken())
        reading.refresh(held)
        page = browser.get("/portfolio/")
        words = words_of(page)
        assert "Connection refused. The figures below are from 3 min ago" in words
        assert "BTC/USD" in words
        assert '<tr class="stale">' in text_of(page)

    def test_without_javascript_a_button_reads_again(self, browser: Browser, held: Connection) -> None:
        words = words_of(browser.post(f"/portfolio/read/{held.pk}/", follow=True))
        assert "Read just now" in words
        assert "BTC/USD" in words

    def test_somebody_elses_connection_is_not_found_and_not_asked(
        self, others_browser: Browser, operators_browser: Browser, held: Connection
    ) -> None:
        for browser in (others_browser, operators_browser):
            assert browser.get(f"/portfolio/read/{held.pk}/").status_code == 404
            assert browser.post(f"/portfolio/read/{held.pk}/").status_code == 404
        assert not PortfolioSnapshot.objects.exists()
        reading.refresh(held)
        for browser in (others_browser, operators_browser):
            for page in ("/", "/portfolio/"):
                words = words_of(browser.get(page))
                assert "BTC/USD" not in words and "Practice" not in words

    def test_the_time_of_answers_is_told_once_there_are_enough(self, owner: User, held: Connection) -> None:
        PortfolioSnapshot.objects.create(connection=held, answers_ms=[10, 20, 30, 40])
        [line] = portfolio.load(owner, timezone.now()).lines
        assert line.median_ms is None
        PortfolioSnapshot.objects.update(answers_ms=[*range(1, 101)])
        [line] = portfolio.load(owner, timezone.now()).lines
        assert (line.median_ms, line.slow_ms) == (50, 95)


class TestTotals:
    def test_paper_and_live_money_and_two_currencies_are_never_added(self, owner: User, paper: Connection) -> None:
        other, _ = connection_lifecycle.open_paper(owner, name="Euros", starting_cash=Decimal(1))
        third, _ = connection_lifecycle.open_paper(owner, name="Real", starting_cash=Decimal(1))
        Connection.objects.filter(pk=other.pk).update(equity=50, currency="EUR")
        Connection.objects.filter(pk=third.pk).update(equity=7, currency="USD", environment="live")
        Connection.objects.filter(pk=paper.pk).update(equity=1000, currency="USD")
        totals = portfolio.load(owner, timezone.now()).totals
        assert [(each.environment, each.currency, each.equity) for each in totals] == [
            ("live", "USD", Decimal(7)),
            ("paper", "EUR", Decimal(50)),
            ("paper", "USD", Decimal(1000)),
        ]

    def test_accounts_in_two_currencies_of_one_connection_are_not_added(self, owner: User, paper: Connection) -> None:
        accounts: list[dict[str, object]] = [
            {"account_id": name, "currency": name, "equity": "5", "buying_power": "1", "cash": [], "positions": []}
            for name in ("USD", "EUR")
        ]
        PortfolioSnapshot.objects.create(connection=paper, accounts=accounts, read_at=timezone.now())
        totals = portfolio.load(owner, timezone.now()).totals
        assert {each.currency: each.equity for each in totals} == {"USD": 5, "EUR": 5}

    def test_todays_gain_leaves_out_what_was_paid_in(self, owner: User, paper: Connection) -> None:
        now = timezone.now().replace(hour=12)
        Connection.objects.filter(pk=paper.pk).update(
            created_at=now - timedelta(days=3), day=now.date(), day_equity=1000, equity=1600, currency="USD"
        )
        LedgerLine.objects.create(
            connection=paper, account_id="x", entry_id="1", kind="deposit", amount=500, currency="USD",
            at=now - timedelta(hours=1), place=1, symbol="",
        )  # fmt: skip
        [total] = portfolio.load(owner, now).totals
        assert total.today == portfolio.Gain(Decimal("100.00"), Decimal("6.67"))

    def test_a_broker_that_is_down_greys_the_equity_and_says_when_it_was_read(
        self, browser: Browser, paper: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Broken:
            def accounts(self) -> list[object]:
                raise BrokerUnavailable("Connection refused.")

        health.check(paper)
        monkeypatch.setattr(broker_access, "broker_of", lambda connection: Broken())
        health.check(paper)
        for page in ("/", f"/connections/{paper.pk}/", "/connections/"):
            html = text_of(browser.get(page))
            assert '<span class="stale">100,000.00' in html, page
            assert "checked just now" not in words_of(browser.get(page)).lower(), page

    def test_the_loss_limit_is_a_bar(self, browser: Browser, paper: Connection) -> None:
        now = timezone.now()
        Connection.objects.filter(pk=paper.pk).update(
            limits={"daily_loss": "200"}, day=now.date(), day_equity=1000, equity=950, currency="USD"
        )
        html = text_of(browser.get("/"))
        assert 'max="100" value="25"' in html
        assert "50.00 of 200.00 loss limit" in words_of(browser.get("/"))


class TestNeedsYou:
    def test_as_many_wait_as_the_badge_counts_and_each_has_its_button(
        self, browser: Browser, owner: User, app: ConnectedApp
    ) -> None:
        Connection.objects.update(policy="owner_approval")
        for _ in range(3):
            make(app, Status.AWAITING)
        html = text_of(browser.get("/"))
        assert html.count("need-decides") == PendingBadge.of(owner).count == 3
        assert "3 to decide" in words_of(browser.get("/"))
        assert "Three orders are waiting for you." in words_of(browser.get("/"))
        assert html.count(">Review</a>") >= 3

    def test_more_than_ten_are_counted_in_full(self, browser: Browser, app: ConnectedApp) -> None:
        Connection.objects.update(policy="owner_approval")
        for _ in range(12):
            make(app, Status.AWAITING)
        words = words_of(browser.get("/"))
        assert "12 to decide" in words
        assert "2 more to decide" in words

    def test_a_halt_a_broken_link_a_failed_call_and_an_ending_key_are_there(
        self, browser: Browser, owner: User, paper: Connection, app: ConnectedApp
    ) -> None:
        assert "Needs you" not in words_of(browser.get("/"))
        halts.halt_connection(paper, by=owner)
        Connection.objects.filter(pk=paper.pk).update(last_error="Key refused.", next_step="Replace the key.")
        log(app, outcome="failed", code="broker_unavailable")
        log(app, outcome="refused", code="halted")
        rollup.catch_up()
        key, _ = minting.mint(owner, paper, READ, name="nightly", expires_at=timezone.now() + timedelta(days=3))
        minting.mint(owner, paper, READ, name="yearly", expires_at=timezone.now() + timedelta(days=300))
        html, words = text_of(browser.get("/")), words_of(browser.get("/"))
        assert "Halted: orders on Practice" in words
        assert "Practice fails Paper Key refused. Replace the key." in words
        assert "One open error" in words
        assert "The API key of nightly ends soon" in words and "yearly ends" not in words
        assert f'href="/keys/{key.public_id}/rotate/"' in html
        assert re.search(r'href="/errors/\d+/"', html)

    def test_apps_to_review_are_the_operators_alone(self, browser: Browser, operators_browser: Browser) -> None:
        Client.objects.create(name="Widget", kind=ClientKind.DYNAMIC, review=ReviewState.WAITING, client_id="c1")
        assert "1 app to review" in words_of(operators_browser.get("/"))
        assert "to review" not in words_of(browser.get("/")).replace("Apps to review", "")

    def test_a_page_that_asks_again_is_told_nothing_while_nothing_is_new(
        self, browser: Browser, app: ConnectedApp
    ) -> None:
        html = text_of(browser.get("/"))
        mark = html.split('hx-get="/?seen=')[1].split('"')[0]
        assert browser.get(f"/?seen={mark}").status_code == 204
        make(app, Status.WORKING)
        assert browser.get(f"/?seen={mark}").status_code == 200


class TestSetUp:
    def test_the_last_step_turns_green_when_the_first_call_arrives(
        self, browser: Browser, others_browser: Browser, app: ConnectedApp
    ) -> None:
        html = text_of(browser.get("/"))
        assert "Wait for its first call" in html
        address = html.split('id="setup" hx-get="')[1].split('"')[0]
        assert browser.get(address).status_code == 204
        call = log(app)
        answer = browser.get(address)
        assert "The first call arrived get_quote from Claude" in words_of(answer)
        assert f"/activity/{call.request_id}/" in text_of(answer)
        assert "hx-get" not in text_of(answer)
        assert "Wait for its first call" not in text_of(browser.get("/"))
        assert "Wait for its first call" in text_of(others_browser.get("/"))

    @pytest.mark.parametrize("waits", [2, 100, 900])
    def test_the_first_call_is_the_first_of_all_however_long_the_app_waited_for_it(
        self, browser: Browser, app: ConnectedApp, waits: int
    ) -> None:
        made = timezone.now() - timedelta(days=1000)
        ConnectedApp.objects.update(created_at=made)
        for days in (waits + 50, waits, waits + 1, 999):
            log(app, tool=f"after_{days}", at=made + timedelta(days=days))
        assert f"after_{waits} from Claude" in words_of(browser.get("/setup/"))

    def test_a_call_from_before_the_app_was_made_as_by_a_clock_set_back_is_one_too(
        self, browser: Browser, app: ConnectedApp
    ) -> None:
        log(app, ago=timedelta(days=3))
        assert "get_quote from Claude" in words_of(browser.get("/setup/"))

    def test_the_months_after_the_app_was_made_are_asked_and_no_others(
        self, browser: Browser, app: ConnectedApp
    ) -> None:
        log(app)
        with CaptureQueriesContext(database) as asked:
            browser.get("/setup/")
        of_calls = [each["sql"] for each in asked if 'FROM "audit_call"' in each["sql"]]
        assert len(of_calls) == 1
        assert all(f'"audit_call"."at" {bound} ' in of_calls[0] for bound in (">=", "<"))

    def test_a_key_that_nobody_used_is_no_assistant_and_an_app_that_signed_in_is_one(
        self, browser: Browser, owner: User, paper: Connection
    ) -> None:
        minting.mint(owner, paper, READ, name="quickstart trade")
        assert text_of(browser.get("/")).count('<li class="checked">') == 1
        grants.activate(grants.grant(owner, paper, READ, source=Source.OAUTH, name="Claude"))
        assert text_of(browser.get("/")).count('<li class="checked">') == 2


def test_closing_everything_shows_the_positions_that_go(
    browser: Browser, others_browser: Browser, held: Connection
) -> None:
    words = words_of(browser.get(f"/orders/closing/{held.pk}/"))
    assert "1 position, 0 open orders" in words
    assert "BTC/USD 2 " in words
    assert others_browser.get(f"/orders/closing/{held.pk}/").status_code == 404
