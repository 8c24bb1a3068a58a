"""What people are told of: once, with its words bounded, by the channels they chose, and nobody else."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.test import Client as Browser
from django.utils import timezone

from brokers.errors import AuthFailed, BrokerUnavailable, NeedsLogin
from brokers.types import OrderRequest
from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access, health
from console.connections.models import Connection
from console.errors import Refusal
from console.halts import services as halts
from console.keys import ending_keys
from console.keys.models import ApiKey
from console.limits import Limits
from console.notifications import choices, news, sending
from console.notifications.models import ChannelKind, NewsItem, NewsKind, NotificationChannel
from console.notifications.news import Told
from console.oauth import emails
from console.orders import prepare as preparing
from console.orders.execution import reconcile
from console.orders.models import Order, OrderEvent
from console.orders.owner import approvals, order_news
from console.orders.owner.approvals import Evidence
from console.orders.terms import describe
from console.outbox.models import OutgoingMail
from console.principal import Principal
from tests.clock import Clock
from tests.conftest import PASSWORD
from tests.console.notifications.listeners import Listener
from tests.console.orders.conftest import bitcoin
from tests.console.sent_mail import delivered

pytestmark = pytest.mark.django_db


def titles(user: User, kind: NewsKind) -> list[str]:
    return list(NewsItem.objects.filter(user=user, kind=kind).order_by("pk").values_list("title", flat=True))


def release(prepared: "preparing.Prepared", owner: User) -> None:
    evidence = Evidence(proof=halts.Proof.PASSWORD, label="password")
    approvals.approve(prepared.confirmation, by=owner, evidence=evidence, seen=prepared.confirmation.terms_digest)


@pytest.fixture
def since() -> None:
    """The sweep has looked once: what was before it is no news."""
    order_news.tell()


# -- orders


def test_a_fill_is_told_with_its_price_once(since: None, asks: Connection, trader: Principal, owner: User) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    release(prepared, owner)
    assert [order_news.tell(), order_news.tell()] == [1, 0]
    [told] = NewsItem.objects.filter(user=owner, kind=NewsKind.FILL)
    order = Order.objects.get(pk=prepared.order.pk)
    assert told.title == "Filled: Buy 0.1 BTC/USD, market, day (Paper)"
    assert told.text.startswith(f"Buy 0.1 BTC/USD at {order.average_price:,.2f}"[:22])
    assert told.path == f"/orders/{order.public_id}/"


@pytest.mark.parametrize("how", ["lapsed", "rejected by the owner", "refused"])
def test_an_end_is_told_with_its_reason_and_the_owners_own_no_is_not(
    how: str, since: None, asks: Connection, trader: Principal, owner: User, clock: Clock
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    if how == "lapsed":
        clock.advance(seconds=121)
        reconcile.sweep()
    elif how == "rejected by the owner":
        approvals.reject(prepared.confirmation, by=owner, reason="price")
    else:
        ConnectedApp.objects.filter(pk=trader.app_id).update(revoked_at=timezone.now())
        with pytest.raises(Refusal):
            release(prepared, owner)
    order_news.tell()
    expected = {
        "lapsed": ["Not confirmed in time: Buy 0.1 BTC/USD, market, day (Paper)"],
        "rejected by the owner": [],
        "refused": ["Refused by Tradelatch: Buy 0.1 BTC/USD, market, day (Paper)"],
    }
    assert titles(owner, NewsKind.END) == expected[how]


def test_an_event_that_cannot_be_told_of_stands_before_no_other(
    since: None, asks: Connection, trader: Principal, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = preparing.prepare(trader, bitcoin()), preparing.prepare(trader, bitcoin("0.2"))
    for each in (broken, whole):
        release(each, owner)

    def described(request: OrderRequest, currency: str) -> str:
        if request.quantity == broken.order.quantity:
            raise ValueError("no words for it")
        return describe(request, currency)

    monkeypatch.setattr(order_news, "describe", described)
    assert order_news.tell() == 1
    assert [title.partition(" BTC")[0] for title in titles(owner, NewsKind.FILL)] == ["Filled: Buy 0.2"]


def test_an_event_whose_transaction_ends_late_is_told_all_the_same(
    since: None, asks: Connection, trader: Principal, owner: User, clock: Clock
) -> None:
    """On PostgreSQL a row can be seen after others with a higher id."""
    first, second = preparing.prepare(trader, bitcoin()), preparing.prepare(trader, bitcoin("0.2"))
    release(first, owner)
    release(second, owner)
    late = OrderEvent.objects.get(order=first.order, after="filled")
    values = {field.attname: getattr(late, field.attname) for field in OrderEvent._meta.concrete_fields}
    late.delete()
    assert order_news.tell() == 1
    OrderEvent.objects.create(**values)
    clock.advance(seconds=30)
    assert order_news.tell() == 1
    clock.advance(seconds=90)
    assert [order_news.tell(), order_news.tell()] == [0, 0]
    assert len(titles(owner, NewsKind.FILL)) == 2


def test_what_was_before_the_first_look_is_no_news(asks: Connection, trader: Principal, owner: User) -> None:
    release(preparing.prepare(trader, bitcoin()), owner)
    assert [order_news.tell(), order_news.tell()] == [0, 0]


def test_a_limit_is_told_once_an_hour_for_each_app(
    since: None, browser: Browser, paper: Connection, trade_key: str, owner: User, clock: Clock
) -> None:
    Connection.objects.filter(pk=paper.pk).update(limits=Limits(order_notional=Decimal(5)).stored())
    order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "1", "order_type": "LMT", "limit_price": "100"}
    for _ in range(3):
        answer = Browser().post(
            "/api/v1/orders", order, content_type="application/json", headers={"Authorization": f"Bearer {trade_key}"}
        )
        assert answer.json()["code"] == "limit_exceeded", answer.content
    order_news.tell()
    assert titles(owner, NewsKind.LIMIT) == ["A limit stopped Test key mcp trade (Paper)"]


# -- the rest


def test_a_halt_and_its_end_are_told_to_its_owner_alone(paper: Connection, owner: User, other: User) -> None:
    halt = halts.halt_connection(paper, by=owner, reason="see http://evil.example now")
    halts.lift(halt, by=owner, proof=halts.Proof.PASSWORD)
    assert titles(owner, NewsKind.HALT) == [
        "Trading is halted: orders on Practice",
        "Trading goes on: orders on Practice",
    ]
    assert (
        NewsItem.objects.get(title__contains="halted").text
        == "By olivia@example.com. Reason: see http evil example now"
    )
    assert not NewsItem.objects.filter(user=other).exists()


def test_a_halt_that_is_rolled_back_is_no_news(paper: Connection, owner: User) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        halts.halt_connection(paper, by=owner)
        raise ZeroDivisionError
    assert not NewsItem.objects.exists()
    assert not OutgoingMail.objects.exists()


_TROUBLES = [(NeedsLogin("Sign in."), True), (AuthFailed("No."), True), (BrokerUnavailable("Away."), False)]


@pytest.mark.parametrize(("error", "is_news"), _TROUBLES)
def test_a_link_that_needs_its_owner_is_told_once_a_day(
    error: Exception, is_news: bool, paper: Connection, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(connection: Connection) -> None:
        raise error

    monkeypatch.setattr(broker_access, "broker_of", refuse)
    for _ in range(3):
        health.check(paper)
    assert titles(owner, NewsKind.LINK) == (["Practice (Paper) does not work"] if is_news else [])


def test_a_new_grant_is_told_by_e_mail_whatever_was_chosen(app: ConnectedApp, owner: User) -> None:
    choices.choose(owner, dict.fromkeys(choices.CHOSEN, frozenset()))
    emails.send_grant_email(app)
    assert titles(owner, NewsKind.GRANT) == ["New access: Claude on Practice (Paper)"]
    assert [letter.subject for letter in delivered()] == ["An app may now use one of your connections"]


def test_a_key_is_told_a_week_and_a_day_before_it_ends(trade_key: str, owner: User, clock: Clock) -> None:
    ApiKey.objects.filter(is_default=False).update(expires_at=clock.now + timedelta(days=8))
    made = []
    for _ in range(9):
        made.append(ending_keys.tell_of_ends())
        clock.advance(days=1)
    assert made == [0, 1, 0, 0, 0, 0, 0, 1, 0]
    assert titles(owner, NewsKind.KEY) == [
        "A key ends within 7 days: Test key mcp trade",
        "A key ends within a day: Test key mcp trade",
    ]


def test_a_sign_in_with_a_new_browser_is_told_and_with_a_known_one_not(owner: User) -> None:
    browser = Browser(headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
    for _ in range(2):
        browser.post("/sign-in/", {"username": owner.email, "password": PASSWORD})
        browser.post("/sign-out/")
    assert titles(owner, NewsKind.SIGN_IN) == ["New sign-in: Firefox on Linux"]
    [letter] = delivered()
    assert letter.subject == "New sign-in: Firefox on Linux"
    assert "from 127.0.0.1" in letter.body


# -- what all have in common


def told(number: int = 0, kind: NewsKind = NewsKind.HALT) -> Told:
    return Told(kind=kind, source=f"n:{number}", title=f"Number {number}", path="/halts/")


def test_the_same_is_told_once(owner: User, phone: NotificationChannel) -> None:
    assert [news.tell(owner, told()), news.tell(owner, told())] == [True, False]
    assert OutgoingMail.objects.filter(channel=phone, kind="news").count() == 1


def test_a_flood_is_written_down_and_sent_only_in_part(owner: User, phone: NotificationChannel) -> None:
    before = OutgoingMail.objects.filter(channel=phone).count()
    for number in range(news.MOST_PER_HOUR + 20):
        news.tell(owner, told(number))
    assert NewsItem.objects.filter(kind=NewsKind.HALT).count() == news.MOST_PER_HOUR + 20
    assert OutgoingMail.objects.filter(channel=phone).count() - before == news.MOST_PER_HOUR


@pytest.mark.parametrize("channels", [frozenset(), frozenset({ChannelKind.EMAIL}), frozenset({ChannelKind.PUSH})])
def test_each_kind_goes_by_the_channels_that_were_chosen(
    channels: frozenset[ChannelKind], owner: User, phone: NotificationChannel
) -> None:
    OutgoingMail.objects.all().delete()
    choices.choose(owner, {NewsKind.HALT: channels})
    news.tell(owner, told())
    rows = OutgoingMail.objects.all()
    sent = {ChannelKind.EMAIL if row.channel_id is None else ChannelKind.PUSH for row in rows}
    assert sent == channels


def test_a_channel_of_somebody_else_gets_nothing(owner: User, other: User, phone: NotificationChannel) -> None:
    OutgoingMail.objects.all().delete()
    news.tell(other, told())
    assert not OutgoingMail.objects.filter(channel__isnull=False).exists()
    assert set(OutgoingMail.objects.values_list("user", flat=True)) == {other.pk}


def test_nothing_is_sent_to_a_person_who_was_disabled(
    owner: User, phone: NotificationChannel, service: Listener
) -> None:
    OutgoingMail.objects.all().delete()
    news.tell(owner, told())
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert sending.send_due() == 0
    assert service.received == []
    assert delivered() == []


def test_old_news_is_deleted_after_a_month(owner: User, clock: Clock) -> None:
    news.tell(owner, told())
    clock.advance(days=29)
    assert news.delete_old() == 0
    clock.advance(days=2)
    assert news.delete_old() == 1
