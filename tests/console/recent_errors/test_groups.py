"""What makes a group, what a person decides about it, and that each call is counted once."""

from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import Call, Change
from console.connected_apps.models import ConnectedApp
from console.recent_errors import queries, rollup
from console.recent_errors.fingerprints import fingerprint, pattern_of
from console.recent_errors.models import CallHour, ErrorGroup, GroupHour
from tests.console.pages import log, text_of, words_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It needs 1,204.00 USD, 980.12 USD are free.", "It needs 7 EUR, 6.99 EUR are free."),
        ("No order ord_01JD4T7M9Q.", "No order ord_01JD4T7MZZ."),
        ("AAPL is closed until 2026-11-30T14:30Z.", "BTC/USD is closed until 2027-01-02."),
        ("There is no argument 'foo'.", "There is no argument 'bar baz'."),
        ("STK:AAPL.USD@XNAS is unknown.", "STK:MSFT.USD@XNAS is unknown."),
        ("Price -1 is too low.", "Price 100.5 is too low."),
    ],
)
def test_messages_that_differ_in_details_have_one_pattern(one: str, other: str) -> None:
    assert pattern_of(one) == pattern_of(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The order exceeds the limit per order.", "The order exceeds the limit of a day."),
        ("No such symbol.", "No such account."),
    ],
)
def test_messages_that_say_something_else_have_another(one: str, other: str) -> None:
    assert pattern_of(one) != pattern_of(other)


def test_a_fingerprint_says_which_way_of_grouping_made_it() -> None:
    made = [
        fingerprint(code="a", tool="b", connection_id=1, pattern="c"),
        fingerprint(code="a", tool="b", connection_id=2, pattern="c"),
        fingerprint(code="a", tool="b", connection_id=None, pattern="c"),
        fingerprint(code="ab", tool="", connection_id=1, pattern="c"),
        fingerprint(code="a", tool="b", connection_id=1, pattern=""),
    ]
    assert len(set(made)) == 5
    assert all(each.startswith("v1:") and len(each) == 19 for each in made)


@pytest.fixture
def group(app: ConnectedApp) -> ErrorGroup:
    _fail(app, ago=timedelta(minutes=5))
    rollup.catch_up()
    return ErrorGroup.objects.get()


def _fail(
    app: ConnectedApp, *, ago: timedelta = timedelta(), tool: str = "get_quote", code: str = "broker_busy"
) -> Call:
    return log(app, tool=tool, outcome="refused", code=code, message="Wait 5 s.", ago=ago)


def test_each_call_is_counted_once_also_while_it_may_still_be_overtaken(group: ErrorGroup, app: ConnectedApp) -> None:
    _fail(app)  # just now: not settled
    for _ in range(3):
        rollup.catch_up()
    group.refresh_from_db()
    assert group.calls == 2
    Call.objects.update(at=timezone.now() - timedelta(minutes=1))  # time has passed
    for _ in range(3):
        rollup.catch_up()
    group.refresh_from_db()
    assert group.calls == 2
    assert sum(GroupHour.objects.values_list("calls", flat=True)) == 2


def test_a_call_that_commits_after_a_newer_one_is_counted(group: ErrorGroup, app: ConnectedApp) -> None:
    late, newer = _fail(app), _fail(app)
    Call.objects.filter(pk=late.pk).delete()
    rollup.catch_up()
    late.save(force_insert=True)  # with the lower id
    assert newer.pk > late.pk
    _fail(app)
    rollup.catch_up()
    group.refresh_from_db()
    assert group.calls == 4


def test_a_long_log_is_counted_in_windows(app: ConnectedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "WINDOW", 10)
    for _ in range(35):
        _fail(app, ago=timedelta(minutes=5))
    assert rollup.catch_up()
    assert ErrorGroup.objects.get().calls == 10
    rollup.sweep()
    assert ErrorGroup.objects.get().calls == 35


def test_calls_are_counted_by_app_and_key_and_hour(app: ConnectedApp) -> None:
    now = timezone.now()
    log(app, ago=timedelta(minutes=2))
    log(app, ago=timedelta(minutes=2), outcome="refused", code="broker_busy")
    log(app, ago=timedelta(days=3))
    log(app, ago=timedelta(days=40))
    rollup.sweep()
    rollup.delete_old()
    counts = queries.calls_of_apps([app.pk, 999])
    assert (counts[app.pk].day, counts[app.pk].day_failed, counts[app.pk].month) == (2, 1, 3)
    assert len(counts[app.pk].days) == 30
    assert (sum(counts[app.pk].days), sum(counts[app.pk].days_failed)) == (3, 1)
    assert sum(good + bad for _, (good, bad) in queries.by_day(counts[app.pk])) == 3
    assert counts[999].month == 0
    assert not CallHour.objects.filter(hour__lt=now - timedelta(days=31)).exists()


def test_a_caller_cannot_make_groups_without_end(app: ConnectedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "MOST_GROUPS", 5)
    for place in range(20):
        _fail(app, tool=f"made_up_{place}", code="unknown_tool")
    rollup.catch_up()
    assert ErrorGroup.objects.count() == 6
    assert ErrorGroup.objects.get(tool="").calls == 15


def test_resolved_it_is_gone_until_it_comes_again_as_a_regression(
    browser: Browser, group: ErrorGroup, app: ConnectedApp, owner: User
) -> None:
    assert queries.open_faults(owner) == 1
    assert browser.post(f"/errors/{group.pk}/resolve/")["Location"] == f"/errors/{group.pk}/"
    assert queries.open_faults(owner) == 0
    assert "Nothing failed" not in words_of(browser.get("/errors/?state=resolved"))
    assert "No fault" in words_of(browser.get("/errors/"))
    _fail(app)
    assert "Regression" in words_of(browser.get("/errors/"))
    assert queries.open_faults(owner) == 1
    assert [each.action for each in Change.objects.filter(target="errors")] == ["resolved"]


def test_a_call_from_before_the_resolution_does_not_reopen_it(
    browser: Browser, group: ErrorGroup, app: ConnectedApp, owner: User
) -> None:
    browser.post(f"/errors/{group.pk}/resolve/")
    _fail(app, ago=timedelta(minutes=1))
    rollup.catch_up()
    assert queries.open_faults(owner) == 0


def test_muted_for_some_calls_it_comes_back_with_the_last_of_them(
    browser: Browser, group: ErrorGroup, app: ConnectedApp, owner: User
) -> None:
    browser.post(f"/errors/{group.pk}/mute/", {"until": "10"})
    assert queries.open_faults(owner) == 0
    assert "until 11 calls, of which 1 have failed" in words_of(browser.get(f"/errors/{group.pk}/"))
    for _ in range(9):
        _fail(app)
    rollup.catch_up()
    assert queries.open_faults(owner) == 0
    _fail(app)
    rollup.catch_up()
    assert queries.open_faults(owner) == 1


def test_muted_until_a_date_it_comes_back_then(browser: Browser, group: ErrorGroup, owner: User) -> None:
    browser.post(f"/errors/{group.pk}/mute/", {"until": "7d"})
    assert queries.open_faults(owner) == 0
    assert "Rate limited by the broker" in words_of(browser.get("/errors/?state=muted"))
    ErrorGroup.objects.update(muted_until=timezone.now() - timedelta(seconds=1))
    assert queries.open_faults(owner) == 1
    browser.post(f"/errors/{group.pk}/mute/", {"until": "30d"})
    browser.post(f"/errors/{group.pk}/reopen/")
    assert queries.open_faults(owner) == 1


def test_an_unknown_time_to_mute_changes_nothing(browser: Browser, group: ErrorGroup, owner: User) -> None:
    answer = browser.post(f"/errors/{group.pk}/mute/", {"until": "for ever"}, follow=True)
    assert "Nothing was changed." in words_of(answer)
    assert queries.open_faults(owner) == 1


def test_the_menu_counts_open_faults_and_no_refusal_that_was_meant(
    browser: Browser, others_browser: Browser, group: ErrorGroup, app: ConnectedApp
) -> None:
    _fail(app, code="halted", tool="place_order")
    browser.get("/errors/")
    assert "Recent errors 1 open" in words_of(browser.get("/"))
    assert "badge-quiet" not in text_of(others_browser.get("/"))
    browser.post(f"/errors/{group.pk}/resolve/")
    assert "badge-quiet" not in text_of(browser.get("/"))


def test_calls_without_a_name_are_the_operators_to_resolve(operators_browser: Browser, browser: Browser) -> None:
    Call.objects.create(
        request_id="req_nobody", at=timezone.now(), outcome="refused", code="unauthenticated", duration_us=1
    )
    assert "Not signed in" in words_of(operators_browser.get("/errors/?everyone=1"))
    group = ErrorGroup.objects.get()
    assert browser.get(f"/errors/{group.pk}/").status_code == 404
    assert browser.post(f"/errors/{group.pk}/resolve/").status_code == 404
    assert operators_browser.post(f"/errors/{group.pk}/resolve/").status_code == 302
    group.refresh_from_db()
    assert group.resolved_at is not None
