"""The timeline page: what a line says, its filters, its pages, who sees what."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.audit import log as audit_log
from console.audit import sign_ins
from console.audit.models import Call, Change, ChangeCategory
from console.connected_apps.models import ConnectedApp
from console.notifications import news
from console.notifications.models import ChannelKind, NewsKind, NotificationChannel
from console.notifications.news import Message
from console.orders.models import Order
from console.orders.transitions import order_state
from console.outbox import mailer
from console.outbox.models import OutgoingMail
from console.timeline import sources, stream
from tests.console.pages import log, text_of, words_of
from tests.console.steps import order

__all__ = ["order"]


def like(call: Call, **changed: Any) -> Call:
    """Another call, the same but for what is changed."""
    fields = {each.attname: getattr(call, each.attname) for each in Call._meta.concrete_fields if not each.primary_key}
    return Call.objects.create(**{**fields, "request_id": f"{call.request_id}_like", **changed})


def add_event(order: Order, *, by: str = "Claude", request_id: str = "") -> None:
    order_state.add_event(order, "", "Prepared and shown. Nothing was sent.", by, request_id, {"fee": "0.10"})


def test_the_empty_list_says_what_to_do_next(browser: Browser) -> None:
    assert "Nothing yet" in words_of(browser.get("/timeline/"))


def test_a_call_is_one_line_with_everything_that_matters(browser: Browser, app: ConnectedApp) -> None:
    log(
        app,
        tool="place_order",
        outcome="refused",
        code="market_closed",
        arguments={"symbol": "AAPL", "side": "buy", "quantity": "10", "limit_price": "181.50"},
    )
    words = words_of(browser.get("/timeline/"))
    assert "place_order Buy 10 AAPL at 181.50 market_closed Claude · Practice just now" in words


def test_calls_orders_changes_and_emails_stand_in_one_list_newest_first(
    browser: Browser, owner: User, app: ConnectedApp, order: Order
) -> None:
    log(app, tool="get_quote")
    add_event(order)
    audit_log.record_change(owner, "minted", "key", "K", "nightly")
    mailer.enqueue(owner, OutgoingMail.Kind.GRANT)
    log(app, tool="get_cash")
    words = words_of(browser.get("/timeline/"))
    expected = (
        "get_cash",
        "E-mail waiting to be sent An app got access",
        "Minted key nightly",
        "Waiting for confirmation Buy 10 AAPL, limit 181.50 USD, day",
        "get_quote",
    )
    places = [words.index(each) for each in expected]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("action", "target", "line"),
    [
        ("minted", "key", "Minted key"),
        ("switched toolsets of", "app", "Switched toolsets of app"),
        ("policy changed", "connection", "Policy changed"),
        ("key replaced", "key", "Key replaced"),
    ],
)
def test_a_change_says_in_words_what_was_changed(
    browser: Browser, owner: User, action: str, target: str, line: str
) -> None:
    audit_log.record_change(owner, action, target, 7, "Harbour", before={"a": 1}, after={"a": 2})
    assert f"{line} Harbour" in words_of(browser.get("/timeline/"))


def test_a_message_by_another_channel_is_not_called_an_email(browser: Browser, owner: User) -> None:
    phone = NotificationChannel.objects.create(user=owner, kind=ChannelKind.TELEGRAM, name="Phone", digest="1")
    message = Message(NewsKind.TEST, "A test", "", "/notifications/")
    news.enqueue(phone, message, good_for=timedelta(minutes=5))
    words = words_of(browser.get("/timeline/?kind=email"))
    assert "Message waiting to be sent Notification" in words and "E-mail waiting" not in words


def test_a_call_about_an_order_says_the_order_in_words(browser: Browser, app: ConnectedApp, order: Order) -> None:
    log(app, tool="confirm_order", order_id=order.public_id)
    assert "confirm_order Buy 10 AAPL, limit 181.50 USD, day" in words_of(browser.get("/timeline/?kind=call"))


def test_each_filter_narrows_the_list_and_its_negation_leaves_the_rest(
    browser: Browser, app: ConnectedApp, order: Order
) -> None:
    plain = log(
        app,
        tool="place_order",
        outcome="refused",
        code="market_closed",
        credential="K1",
        arguments={"symbol": "AAPL"},
    )
    wanted = like(plain, order_id=order.public_id, app_id=app.pk + 1000, connection_id=10_000)
    noise = log(app, tool="get_quote", credential="K2", arguments={"symbol": "MSFT"})
    for query in (
        "tool=place_order",
        "outcome=refused",
        "code=market_closed",
        "kind=refusal",
        "connection=10000",
        f"app={app.pk + 1000}",
        "credential=K1",
        "symbol=aapl",
        f"order={order.public_id}",
    ):
        page = text_of(browser.get(f"/timeline/?{query}"))
        assert f"/activity/{wanted.request_id}/" in page, query
        assert f"/activity/{noise.request_id}/" not in page, query
        page = text_of(browser.get(f"/timeline/?not_{query}"))
        assert f"/activity/{wanted.request_id}/" not in page, query
        assert f"/activity/{noise.request_id}/" in page, query


@pytest.mark.parametrize("kind", ["order", "broker", "change", "job", "email", "sign_in"])
def test_a_kind_shows_that_kind_alone(
    browser: Browser, owner: User, app: ConnectedApp, order: Order, kind: str
) -> None:
    log(app)
    add_event(order)
    add_event(order, by="broker")
    audit_log.record_change(owner, "minted", "key", "K", "nightly")
    audit_log.record_change(owner, sign_ins.SIGNED_IN, "user", owner.pk, owner.email, category=ChangeCategory.SIGN_IN)
    audit_log.record_change(
        None,
        "trading disabled",
        "connection",
        app.connection_id,
        "Practice",
        owner_id=owner.pk,
        category=ChangeCategory.SYSTEM,
    )
    mailer.enqueue(owner, OutgoingMail.Kind.GRANT)
    viewer = sources.Viewer.of(owner, everyone=False)
    found = stream.page(sources.only(kinds=(kind,)), viewer).entries
    assert {each.kind for each in found} == {kind}
    for each in found:
        assert each.title in words_of(browser.get(f"/timeline/?kind={kind}"))


def test_a_time_range_takes_its_beginning_and_leaves_its_end(browser: Browser, app: ConnectedApp) -> None:
    at = datetime.fromisoformat("2026-03-02T12:00:00+00:00")
    before, first, last, after = (log(app, at=at + timedelta(seconds=seconds)) for seconds in (-1, 0, 3599, 3600))
    page = text_of(browser.get("/timeline/?from=2026-03-02T12:00&to=2026-03-02T13:00"))
    for call, shown in ((before, False), (first, True), (last, True), (after, False)):
        assert (f"/activity/{call.request_id}/" in page) is shown


def test_a_span_counts_back_from_now(browser: Browser, app: ConnectedApp) -> None:
    young, old = log(app, ago=timedelta(hours=23)), log(app, ago=timedelta(hours=25))
    page = text_of(browser.get("/timeline/?from=24h"))
    assert young.request_id in page
    assert old.request_id not in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("outcome=maybe", "outcome: “maybe” is not an outcome. It is one of ok, refused, failed."),
        ("connection=x", "connection: “x” is not a number of a connection."),
        ("app=99999999999999999999", "is not a number of an app"),
        ("from=yesterday", "from: “yesterday” is not a time. Write 30m, 24h"),
        ("from=2026-02-30", "from: “2026-02-30” is not a time."),
        ("from=2026-03-02&to=2026-03-01", "from must be earlier than to."),
        ("tol=get_quote", "There is no filter “tol”."),
        ("code=oops", "code: “oops” is not a code."),
        (urlencode([("tool", str(n)) for n in range(21)]), "tool: at most 20 values."),
        ("symbol=" + "A" * 129, "symbol: longer than 128 characters."),
    ],
)
def test_a_filter_that_makes_no_sense_is_named_and_nothing_is_shown(
    browser: Browser, app: ConnectedApp, query: str, said: str
) -> None:
    call = log(app)
    for address in ("/timeline/", "/timeline/counts/"):
        response = browser.get(f"{address}?{query}")
        assert response.status_code == 400
        assert said in words_of(response)
        assert call.request_id not in text_of(response)


def test_the_pages_together_show_every_entry_once_while_new_ones_arrive(
    browser: Browser, owner: User, app: ConnectedApp, order: Order
) -> None:
    at = timezone.now() - timedelta(hours=1)
    known = Change.objects.filter(owner_id=owner.pk).count()
    for number in range(60):  # several of each at the same moment
        moment = at + timedelta(seconds=number // 7)
        log(app, at=moment)
        add_event(order)
        Change.objects.create(at=at, user_id=owner.pk, owner_id=owner.pk, action="minted", target="key", target_id="K")
    order.events.update(at=at)
    viewer = sources.Viewer.of(owner, everyone=False)
    seen, before = [], None
    while True:
        page = stream.page(sources.only(), viewer, before=before)
        seen += [(each.source, each.position.id) for each in page.entries]
        log(app)
        if page.following is None:
            break
        before = stream.parse_mark(stream.mark(page.following))
    assert len(seen) == len(set(seen)) == 180 + known


def test_what_is_rare_is_found_page_by_page_and_never_reads_more_than_the_window(
    browser: Browser, app: ConnectedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "WINDOW", 10)
    start = timezone.now() - timedelta(hours=1)
    rare = log(app, tool="get_cash", at=start)
    for number in range(25):
        log(app, at=start + timedelta(seconds=number + 1))
    address, pages = "/timeline/?tool=get_cash", 0
    while rare.request_id not in (page := text_of(browser.get(address))):
        assert "Nothing found so far" in page
        pages += 1
        address = "/timeline/" + page.split('class="button" href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert pages == 2


def test_somebody_else_sees_nothing_by_any_filter(
    browser: Browser, others_browser: Browser, owner: User, app: ConnectedApp, order: Order
) -> None:
    call = log(
        app,
        tool="place_order",
        code="market_closed",
        credential="K1",
        arguments={"symbol": "AAPL"},
        order_id=order.public_id,
    )
    add_event(order)
    audit_log.record_change(owner, "minted", "key", "K1", "nightly-report")
    mailer.enqueue(owner, OutgoingMail.Kind.GRANT)
    queries = [
        *("", "everyone=1", "everyone=1&kind=change", f"app={app.pk}", f"connection={app.connection_id}"),
        *("credential=K1", f"order={order.public_id}", "symbol=AAPL", f"person={owner.pk}", "kind=email", "kind=job"),
        *(f"everyone=1&person={owner.pk}", "tool=place_order", "code=market_closed", "not_tool=get_quote"),
    ]
    for query in queries:
        assert words_of(others_browser.get(f"/timeline/new/?{query}&after=0-0-0")) == "", query
        for address in ("/timeline/", "/timeline/counts/"):
            page = text_of(others_browser.get(f"{address}?{query}"))
            for private in (call.request_id, "Claude", "Practice", "nightly", "An app got access", "olivia"):
                assert private not in page, (address, query, private)
    for query in queries:
        cache.clear()
        exported = b"".join(others_browser.post(f"/timeline/export/ndjson/?{query}"))
        others = [line for line in exported.splitlines() if b'"title": "Exported timeline"' not in line]
        for private in ("olivia", "AAPL", "Claude", "nightly", call.request_id):
            assert not any(private.encode() in line for line in others), (query, private)


def test_an_operator_sees_everyone_but_nobody_elses_orders(
    operators_browser: Browser, browser: Browser, owner: User, app: ConnectedApp, order: Order
) -> None:
    call = log(app)
    add_event(order)
    audit_log.record_change(owner, "released", "order", order.public_id, "Buy AAPL on Practice")
    audit_log.record_change(owner, "minted", "key", "K1", "nightly-report")
    assert call.request_id not in text_of(operators_browser.get("/timeline/"))
    page = text_of(operators_browser.get("/timeline/?everyone=1"))
    assert call.request_id in page
    assert "nightly-report" in page
    assert "olivia@example.com" in page
    assert "AAPL" not in page
    one = text_of(operators_browser.get(f"/timeline/?everyone=1&person={owner.pk}"))
    assert call.request_id in one
    assert call.request_id not in text_of(operators_browser.get("/timeline/?everyone=1&person=99999"))
    event = order.events.get()
    assert operators_browser.get(f"/timeline/event/{event.pk}/").status_code == 404
    assert browser.get(f"/timeline/event/{event.pk}/").status_code == 200


def test_an_entry_opens_in_full_for_its_person_alone(
    browser: Browser, others_browser: Browser, owner: User, order: Order
) -> None:
    add_event(order, request_id="req_x")
    audit_log.record_change(owner, "minted", "key", "K1", "nightly-report", scopes="mcp:read")
    mailer.enqueue(owner, OutgoingMail.Kind.GRANT)
    change, mail = Change.objects.latest("pk"), OutgoingMail.objects.get()
    for address, holds in (
        (f"/timeline/event/{order.events.get().pk}/", "&quot;fee&quot;: &quot;0.10&quot;"),
        (f"/timeline/change/{change.pk}/", "mcp:read"),
        (f"/timeline/email/{mail.pk}/", "An app got access"),
    ):
        assert holds in text_of(browser.get(address))
        part = text_of(browser.get(f"{address}?part=1"))
        assert holds in part and "<html" not in part
        assert others_browser.get(address).status_code == 404
        assert others_browser.get(f"{address}?part=1&everyone=1").status_code == 404
    assert browser.get("/timeline/nonsense/1/").status_code == 404


def test_a_call_can_be_copied_as_json_and_as_a_command(browser: Browser, app: ConnectedApp) -> None:
    call = log(app, tool="get_quote", arguments={"symbol": "O'NEIL"})
    page = text_of(browser.get(f"/activity/{call.request_id}/?part=1"))
    assert "<html" not in page
    assert "Bearer $TRADELATCH_KEY" in page
    assert "O&#x27;&quot;&#x27;&quot;&#x27;NEIL" in page
    rest = log(app, tool="rest:list_orders")
    assert "TRADELATCH_KEY" not in text_of(browser.get(f"/activity/{rest.request_id}/"))


def test_old_addresses_lead_to_the_timeline_with_their_filters(browser: Browser, app: ConnectedApp) -> None:
    call = log(app)
    assert browser.get("/activity/?tool=get_quote&before=3")["Location"] == "/timeline/?tool=get_quote"
    found = browser.get(f"/activity/?request={call.request_id}", follow=True)
    assert found.redirect_chain[-1][0] == f"/activity/{call.request_id}/"


def test_the_page_says_how_long_things_are_kept(browser: Browser, app: ConnectedApp) -> None:
    log(app, at=datetime.fromisoformat("2026-01-05T08:00:00+00:00"))
    words = words_of(browser.get("/timeline/"))
    assert "Calls are never deleted, changes and sign-ins are never deleted, e-mails are kept for 30 days" in words
    assert "Oldest entry: 5 Jan 2026 08:00:00.000 UTC" in words_of(browser.get("/timeline/"))


def test_fifty_lines_stay_small(browser: Browser, app: ConnectedApp) -> None:
    for _ in range(50):
        log(app, tool="place_order", arguments={"symbol": "AAPL", "side": "buy", "quantity": "10"})
    assert len(text_of(browser.get("/timeline/?kind=call"))) < 30_000


def test_a_filter_that_is_on_can_be_removed_or_turned_round(browser: Browser, app: ConnectedApp) -> None:
    log(app)
    page = text_of(browser.get("/timeline/?tool=get_quote&outcome=ok"))
    assert 'href="?outcome=ok&amp;not_tool=get_quote"' in page
    assert 'href="?outcome=ok"' in page
