"""What cannot be seen is written out at every endpoint it leaves by, and refused in what people and apps name and
note.
"""

import csv
import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import models
from django.test import Client as Browser

from console import untrusted_text
from console.accounts.models import User
from console.audit import log as audit_log
from console.audit.models import Call, CallOutcome
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Refusal
from console.halts import services as halts
from console.halts.models import Halt
from console.journal import notes
from console.journal.models import Note, RoundTrip
from console.keys import management_keys, minting
from console.keys.models import ApiKey
from console.oauth import emails
from console.orders.models import Order
from console.platforms import services
from console.platforms.models import Platform, PlatformUser
from console.practice import services as practice
from console.scopes import Scope
from console.untrusted_text import escape_hidden, find_hidden
from tests.console.api.rest import Rest
from tests.console.pages import log, submit, text_of, words_of
from tests.console.present import at_the_browser
from tests.console.sent_mail import delivered
from tests.console.steps import order, pages, trade

__all__ = ["order", "pages", "trade"]

READ = frozenset({Scope.READ})
HIDDEN = {
    "an override": "Calm\u202eyenoM",
    "an isolate": "Calm\u2066",
    "a zero-width space": "Ca\u200blm",
    "a joiner between letters": "Ca\u200dlm",
    "a soft hyphen": "Ca\u00adlm",
    "a filler": "Calm\u3164",
    "a blank of braille": "Calm\u2800",
    "a choseong filler": "\u115fCalm",
    "fillers alone": "\u3164\u2800",
    "a selector alone": "Calm\ufe0f",
    "a tag": "Calm\U000e0041",
    "a line separator": "Ca\u2028lm",
    "a paragraph separator": "Ca\u2029lm",
    "an escape": "Calm\x1b[31m",
    "a delete": "Calm\x7f",
    "a byte order mark": "\ufeffCalm",
    "a private letter": "Calm\ue000",
}
SEEN = {
    "German": "Müller & Söhne",
    "Russian": "\u041c\u043e\u0439 \u0441\u0447\u0451\u0442",
    "Japanese": "\u53d6\u5f15",
    "Hebrew": "\u05e9\u05dc\u05d5\u05dd",
    "Arabic": "\u0645\u0631\u062d\u0628\u0627",
    "Thai": "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "Hindi": "\u0928\u092e\u0938\u094d\u0924\u0947",
    "Korean": "\ud55c\uad6d\uc5b4",
    "Persian with its joiner": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Devanagari with its joiner": "\u0915\u094d\u200d\u0937",
    "an ideograph's variant": "\u845b\U000e0100",
    "a face": "\U0001f600",
    "a profession": "\U0001f469\u200d\U0001f4bb",
    "a heart on fire": "\u2764\ufe0f\u200d\U0001f525",
    "a keycap": "1\ufe0f\u20e3",
    "an astronaut": "\U0001f9d1\U0001f3fd\u200d\U0001f680",
    "England's flag": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "the rainbow flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "an emoji newer than us": "\U0001fae8",
    "a copyright sign": "©\ufe0f",
}
each_hidden = pytest.mark.parametrize("what", HIDDEN)


def raw_in(told: str) -> set[str]:
    return {told[place] for place in find_hidden(told, lines=True)}


# -- what is hidden --------------------------------------------------------------------------------------------


@each_hidden
def test_a_hidden_character_is_written_out(what: str) -> None:
    shown = escape_hidden(HIDDEN[what])
    assert shown.isascii()
    assert "\\u" in shown.lower()
    assert not find_hidden(shown)


@pytest.mark.parametrize("what", SEEN)
def test_scripts_and_emoji_stay_as_they_are(what: str) -> None:
    written = SEEN[what]
    assert escape_hidden(written) == written
    assert untrusted_text.check_text(f" {written} ", field="name") == written


def test_lines_stay_lines_where_there_may_be_several() -> None:
    assert escape_hidden("a\r\nb\n\tc", lines=True) == "a\r\nb\n\tc"
    assert escape_hidden("a\rb", lines=True) == "a\\u000db"
    assert escape_hidden("a\nb") == "a\\u000ab"


# -- where it leaves -------------------------------------------------------------------------------------------


@pytest.fixture
def spoilt(
    pages: dict[str, str], owner: User, paper: Connection, app: ConnectedApp, trade: RoundTrip, order: Order
) -> str:
    """Rows from before names were checked, and the words of brokers and callers: all of them with an override."""
    mark = "\u202e\u3164"
    notes.add(paper.pk, trade.public_id, "Sold", ["tag"], by="Claude", app_id=app.pk)
    log(app, tool=f"get_accounts{mark}", arguments={f"a{mark}": f"b{mark}"}, message=f"No{mark}", outcome="refused")
    for model, names in (
        (Connection, ("name", "detail", "last_error", "next_step", "key_note")),
        (ConnectedApp, ("name", "last_used_agent")),
        (Call, ("tool", "message", "app_label", "connection_label", "user_agent")),
        (Halt, ("reason", "by_label")),
        (ApiKey, ("note",)),
        (Note, ("text", "by")),
        (Order, ("reason",)),
    ):
        rows: models.QuerySet[Any] = model._default_manager.all()
        rows.update(**dict.fromkeys(names, f"Seen {mark} words"))
    return mark


def test_no_page_holds_a_hidden_character(browser: Browser, owner: User, pages: dict[str, str], spoilt: str) -> None:
    shown = 0
    for name, url in pages.items():
        page = text_of(at_the_browser(owner).get(url))
        assert not raw_in(page), name
        shown += "\\u202e\\u3164" in page
    assert shown > 12, "and it is written out"


def test_no_answer_of_rest_holds_one(spoilt: str, browser: Browser, paper: Connection) -> None:
    for path in ("activity", "errors", "connected-apps", "keys", "connections", "halts", "orders", "journal/trades"):
        told = Rest(browser).send("GET", f"/{path}").content.decode()
        assert not raw_in(json.dumps(json.loads(told), ensure_ascii=False)), path
    assert "\\u202e" in Rest(browser).get("/activity")["items"][0]["tool"]


def test_a_refusal_over_rest_repeats_it_written_out(browser: Browser, paper: Connection) -> None:
    answer = Rest(browser).refused("POST", "/keys", {"name": "A\u202eB", "connection_id": paper.pk, "x\u202e": 1})
    assert answer["errors"][0]["field"] == "x\\u202e"
    assert not raw_in(json.dumps(answer, ensure_ascii=False))


def test_no_cell_of_an_export_holds_one(spoilt: str, browser: Browser) -> None:
    answer: Any = browser.get("/journal/trades.csv")
    sheet = b"".join(answer).decode()
    assert not raw_in(sheet)
    assert any("\\u202e" in cell for row in csv.reader(io.StringIO(sheet)) for cell in row)


def test_a_line_of_the_log_is_one_line_and_holds_none() -> None:
    (handler,) = [
        each for each in logging.getLogger().handlers if isinstance(each.formatter, untrusted_text.OneLineFormatter)
    ][:1]
    record = logging.LogRecord("t", logging.WARNING, "", 0, "Turned away %s", ("x\u202e\nforged line\x1b[2J",), None)
    told = handler.format(record)
    assert told.endswith("Turned away x\\u202e\\u000aforged line\\u001b[2J")


def test_a_letter_names_an_app_with_it_written_out(app: ConnectedApp) -> None:
    app.name = "Cl\u202eaude\u3164"
    emails.send_grant_email(app)
    assert 'App: "Cl\\u202eaude\\u3164"' in delivered()[0].body


def test_a_foreign_tool_name_is_cut(browser: Browser, app: ConnectedApp, read_key: str) -> None:
    audit_log.record_call(
        audit_log.Entry(request_id="req_x", outcome=CallOutcome.REFUSED, duration_us=1, tool="x" * 5000)
    )
    kept = Call.objects.get(request_id="req_x").tool
    assert (len(kept), kept[-1]) == (audit_log.LONGEST_TOOL, "…")


# -- where it is refused ---------------------------------------------------------------------------------------

NOT_SEEN = "an invisible character"


@each_hidden
def test_pages_refuse_it_in_names_notes_and_reasons(
    what: str, owner: User, paper: Connection, trade: RoundTrip, app: ConnectedApp
) -> None:
    browser, bad = at_the_browser(owner), HIDDEN[what]
    key = {"name": "nightly", "connection": paper.pk, "scope": "read", "expiry": "90"}
    client = {"redirect_uris": "https://x.example/cb", "scope": "read"}
    account = {"starting_cash": "1000.00", "currency": "USD", "hours": "always"}
    for answer in (
        submit(browser, "/keys/new/", {**key, "name": bad}),
        submit(browser, "/keys/new/", {**key, "note": bad}),
        submit(browser, "/clients/new/", {**client, "name": bad}),
        submit(browser, "/connections/add/", {**account, "name": bad}),
        browser.post(f"/journal/{trade.public_id}/", {"text": bad}),
        browser.post(f"/journal/{trade.public_id}/", {"text": "Fine", "tags": bad}),
        browser.post(f"/connections/{paper.pk}/practice/new/", {"name": bad, "preset": "standard"}),
    ):
        assert NOT_SEEN in words_of(answer) or answer.status_code == 400, words_of(answer)
    assert not Halt.objects.exists() and Note.objects.count() == 1
    assert Connection.objects.count() == 1 and ApiKey.objects.count() == 1


def test_rest_refuses_it_by_field(browser: Browser, paper: Connection, trade: RoundTrip) -> None:
    rest, bad = Rest(browser), HIDDEN["a filler"]
    for path, body in (
        ("/keys", {"name": bad, "connection_id": paper.pk, "scopes": ["mcp:read"]}),
        ("/connections", {"name": bad}),
        ("/halts", {"reason": bad}),
        (f"/journal/trades/{trade.public_id}/notes", {"text": bad}),
        (f"/connections/{paper.pk}/practice-accounts", {"name": bad}),
        ("/clients", {"name": bad, "redirect_uris": ["https://x.example/cb"], "scopes": ["mcp:read"]}),
    ):
        told = rest.refused("POST", path, body)
        assert NOT_SEEN in json.dumps(told["errors"]), (path, told)
    assert not Halt.objects.exists() and Note.objects.count() == 1


def test_a_persons_halt_stands_without_the_words_that_may_not_be_kept(
    browser: Browser, operators_browser: Browser, owner: User
) -> None:
    answer = browser.post("/halts/everything/", {"reason": HIDDEN["an override"]}, follow=True)
    assert "All your trading is halted." in words_of(answer)
    assert "The reason was not saved." in words_of(answer) and NOT_SEEN in words_of(answer)
    sent = {"others-who": str(owner.pk), "others-reason": HIDDEN["a filler"]}
    answer = operators_browser.post("/halts/others/", sent, follow=True)
    assert f"All trading of {owner.email} is halted." in words_of(answer)
    assert set(Halt.objects.values_list("reason", flat=True)) == {""}


@each_hidden
def test_every_verb_refuses_it_whatever_the_endpoint(
    what: str, owner: User, operator: User, paper: Connection, trade: RoundTrip, app: ConnectedApp
) -> None:
    bad = HIDDEN[what]
    platform, _ = services.create_platform(operator, name="Desk")
    verbs: tuple[Callable[[], object], ...] = (
        lambda: minting.mint(owner, paper, READ, name=bad),
        lambda: minting.mint(owner, paper, READ, name="Fine", note=bad),
        lambda: management_keys.mint(owner, name=bad, expires_at=None),
        lambda: management_keys.mint(owner, name="Fine", expires_at=None, note=bad),
        lambda: halts.halt_connection(paper, by=app, reason=bad),
        lambda: notes.add(paper.pk, trade.public_id, bad, by="Claude"),
        lambda: notes.add(paper.pk, trade.public_id, "Fine", [bad], by="Claude"),
        lambda: practice.open_account(paper, name=bad, by=owner),
        lambda: services.create_platform(operator, name=bad),
        lambda: services.provision_user(platform, reference=bad),
    )
    for verb in verbs:
        with pytest.raises(Refusal, match="invisible character"):
            verb()
    assert Platform.objects.count() == 1
    assert not PlatformUser.objects.exists() and not Halt.objects.exists() and Note.objects.count() == 1
