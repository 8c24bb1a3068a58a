from django.test import Client as Browser

from console.audit import log as audit_log
from console.audit.models import Call, Change
from console.connected_apps.models import ConnectedApp
from tests.console.pages import log, text_of, words_of


def test_one_call_shows_its_arguments_and_what_to_do(browser: Browser, app: ConnectedApp) -> None:
    call = log(app, tool="place_order", outcome="refused", code="market_closed", arguments={"symbol": "AAPL"})
    page = text_of(browser.get(f"/activity/{call.request_id}/"))
    assert "&quot;symbol&quot;: &quot;AAPL&quot;" in page
    assert "wait for the session to open" in page
    assert f'href="/apps/{app.pk}/"' in page
    assert f'href="/connections/{app.connection_id}/"' in page


def test_the_call_of_somebody_else_is_not_found(
    others_browser: Browser, operators_browser: Browser, app: ConnectedApp
) -> None:
    call = log(app)
    for part in ("", "?part=1"):
        assert others_browser.get(f"/activity/{call.request_id}/{part}").status_code == 404
        page = text_of(operators_browser.get(f"/activity/{call.request_id}/{part}"))
        assert call.request_id in page
        assert f'href="/apps/{app.pk}/"' not in page


def test_a_call_leads_to_its_trace_its_session_and_the_rules_it_was_judged_by(
    browser: Browser, operators_browser: Browser, app: ConnectedApp
) -> None:
    audit_log.record_change(app.owner, "limits changed", "connection", app.connection_id)
    before = Change.objects.latest("pk")
    call = log(app)
    audit_log.record_change(app.owner, "narrowed", "app", app.pk)
    later, other = log(app), log(app)
    told = {"session_id": "gateway 7", "client_name": "Claude", "client_version": "2.1", "upstream_request_id": "ALP-1"}
    Call.objects.filter(pk=call.pk).update(trace_id="ab" * 16, **told)
    response = browser.get(f"/activity/{call.request_id}/")
    page, words = text_of(response), words_of(response)
    assert f'href="/timeline/?trace={"ab" * 16}"' in page
    assert 'href="/timeline/?session=gateway%207"' in page
    assert f'href="/timeline/change/{before.pk}/"' in page
    assert "Limits changed" in words and "Claude 2.1" in words and "ALP-1" in words
    assert "Narrowed" in words_of(browser.get(f"/activity/{later.request_id}/"))
    assert f'?trace={"ab" * 16}&amp;everyone=1"' in text_of(operators_browser.get(f"/activity/{call.request_id}/"))
    for query in (f"trace={'AB' * 16}", "session=gateway 7", "not_trace=x&session=gateway 7"):
        shown = text_of(browser.get(f"/timeline/?{query}"))
        assert call.request_id in shown and other.request_id not in shown, query
    assert f'href="/timeline/?trace={"ab" * 16}"' in text_of(browser.get(f"/search/?q={'AB' * 16}"))
