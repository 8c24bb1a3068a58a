"""Forged, replayed, late, too many, too large, of the wrong kind or not as its template says: refused and on the page.

Until a message has proved to be its sender's, its sender learns no more than from an address that does not exist.
"""

import base64
import hashlib
import hmac
import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client as Browser

from brokers.types import Side
from console.accounts.models import User
from console.audit.models import Call
from console.connected_apps import grants
from console.connections.models import Connection
from console.orders.models import Order
from console.signals import intake, senders
from console.signals.addresses import Made
from console.signals.mapping import Template
from console.signals.models import Signal, SignalOutcome
from tests.console.pages import words_of
from tests.console.signals import steps
from tests.console.signals.conftest import Clock


def refused(made: Made, browser: Browser) -> str:
    """The code of the newest signal, which is also on the page and in the activity log, and prepared nothing."""
    signal = steps.newest()
    assert (signal.outcome, signal.order) == (SignalOutcome.REFUSED, None)
    page = words_of(browser.get(f"/signals/{made.address.public_id}/"))
    assert signal.code in page
    assert Call.objects.get(request_id=signal.request_id).code == signal.code
    return signal.code


def is_told_nothing(answer: Any) -> bool:
    return (answer.status_code, answer.json()) == (404, {"error": "not_found"})


def test_an_address_that_does_not_exist_answers_like_one_without_proof(db: None) -> None:
    answer = Browser().post("/signals/in/tls_unknown", "{}", content_type="application/json")
    assert is_told_nothing(answer)
    assert Signal.objects.count() == 0


@pytest.mark.parametrize("verb", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_but_a_post_finds_it(made: Made, verb: str) -> None:
    assert Browser().generic(verb, f"/signals/in/{made.part}").status_code == 404
    assert Signal.objects.count() == 0


# -- forged --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["tls_wrong", "", None, 7, ["x"], {"a": 1}, True])
def test_a_wrong_secret_in_the_text(made: Made, browser: Browser, secret: object) -> None:
    assert is_told_nothing(steps.send(made, secret=secret))
    assert refused(made, browser) == "signal_forged"


def test_the_secret_of_another_address(made: Made, strict: Made, browser: Browser) -> None:
    assert is_told_nothing(steps.send(made, secret=strict.secret))
    assert refused(made, browser) == "signal_forged"


def standard(made: Made, body: str, at: int, message_id: str = "msg_1") -> dict[str, str]:
    """The headers of Standard Webhooks 1.0."""
    key = base64.b64decode(made.secret.removeprefix("whsec_"))
    signed = hmac.new(key, f"{message_id}.{at}.{body}".encode(), hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


BODY = json.dumps({"symbol": "AAPL", "side": "buy", "quantity": 3})


def test_a_signed_message_is_taken_once(owner: User, paper: Connection, browser: Browser, clock: Clock) -> None:
    made = steps.signed_address(owner, paper)
    headers = standard(made, BODY, int(clock.now.timestamp()))
    assert steps.post(made, BODY, headers=headers).status_code == 202
    signal = steps.newest()
    assert (signal.outcome, signal.sender_id) == (SignalOutcome.PREPARED, "msg_1")
    again = steps.post(made, BODY, headers=headers)
    assert (again.status_code, again.json()) == (409, {"error": "signal_repeated"})
    assert refused(made, browser) == "signal_repeated"
    other_id = {**headers, "webhook-id": "msg_2"}
    assert is_told_nothing(steps.post(made, BODY, headers=other_id)), "the id is part of what is signed"
    assert refused(made, browser) == "signal_forged"
    assert Order.objects.count() == 1


@pytest.mark.parametrize("spoiled", ["webhook-id", "webhook-timestamp", "webhook-signature", "body", "all"])
def test_a_signature_over_something_else(
    owner: User, paper: Connection, browser: Browser, clock: Clock, spoiled: str
) -> None:
    made = steps.signed_address(owner, paper)
    headers = standard(made, BODY, int(clock.now.timestamp()))
    body = BODY.replace("3", "4") if spoiled == "body" else BODY
    if spoiled == "all":
        headers = {}
    elif spoiled != "body":
        headers[spoiled] = headers[spoiled][:-4]
    assert is_told_nothing(steps.post(made, body, headers=headers))
    assert refused(made, browser) == "signal_forged"


def test_the_plain_signature_of_a_sender_without_the_standard(owner: User, paper: Connection, browser: Browser) -> None:
    made = steps.signed_address(owner, paper)
    right = hmac.new(made.secret.encode(), BODY.encode(), hashlib.sha256).hexdigest()
    assert is_told_nothing(steps.post(made, BODY, headers={"X-Signature-256": f"sha256={right[::-1]}"}))
    assert refused(made, browser) == "signal_forged"
    assert steps.post(made, BODY, headers={"X-Signature-256": f"sha256={right}"}).status_code == 202
    assert steps.newest().outcome == SignalOutcome.PREPARED


def test_a_secret_in_the_text_is_no_signature(owner: User, paper: Connection, browser: Browser) -> None:
    made = steps.signed_address(owner, paper)
    assert is_told_nothing(steps.send(made))
    assert refused(made, browser) == "signal_forged"


def test_another_computer_than_the_listed(owner: User, paper: Connection, browser: Browser) -> None:
    template = Template(secret="secret", quantity="quantity", instruments={"AAPL": "AAPL"})
    made = steps.address(owner, paper, template=template, networks=senders.TRADINGVIEW)
    assert is_told_nothing(steps.post(made, steps.text(made), REMOTE_ADDR="203.0.113.9"))
    assert refused(made, browser) == "ip_not_allowed"
    assert steps.post(made, steps.text(made), REMOTE_ADDR="52.89.214.238").status_code == 202
    assert steps.newest().outcome == SignalOutcome.PREPARED


def test_an_address_that_ended(made: Made, owner: User, browser: Browser) -> None:
    grants.revoke(made.address.app, by=owner, reason="Revoked by its owner")
    assert is_told_nothing(steps.send(made))
    assert refused(made, browser) == "app_revoked"


# -- replayed ------------------------------------------------------------------------------------------------


def test_the_same_text_within_its_time(made: Made, browser: Browser, clock: Clock) -> None:
    assert steps.send(made).status_code == 202
    steps.newest()
    again = steps.send(made)
    assert (again.status_code, again.json()) == (409, {"error": "signal_repeated"})
    assert refused(made, browser) == "signal_repeated"
    clock.pass_(299)
    assert steps.send(made).status_code == 409
    clock.pass_(2)
    assert steps.send(made).status_code == 202


def test_the_same_id_however_long_ago(strict: Made, browser: Browser, clock: Clock) -> None:
    assert steps.send(strict, id="a-1", time=clock.now.isoformat()).status_code == 202
    steps.newest()
    clock.pass_(30 * 86400)
    assert steps.send(strict, id="a-1", time=clock.now.isoformat(), quantity=4).status_code == 409
    assert refused(strict, browser) == "signal_repeated"
    assert steps.send(strict, id="a-2", time=clock.now.isoformat()).status_code == 202


def test_what_was_refused_may_be_sent_again(made: Made) -> None:
    assert steps.send(made, side="hold").status_code == 422
    assert steps.send(made).status_code == 202


# -- late ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "taken"), [(0, True), (-60, True), (-61, False), (60, True), (61, False), (-86400, False)]
)
def test_the_time_in_the_text(strict: Made, browser: Browser, clock: Clock, seconds: int, taken: bool) -> None:
    sent_at = clock.now + timedelta(seconds=seconds)
    answer = steps.send(strict, id="1", time=sent_at.isoformat())
    if taken:
        assert answer.status_code == 202
        return
    assert (answer.status_code, answer.json()) == (422, {"error": "signal_late"})
    assert refused(strict, browser) == "signal_late"


def test_the_time_of_the_signature(owner: User, paper: Connection, browser: Browser, clock: Clock) -> None:
    made = steps.signed_address(owner, paper)
    headers = standard(made, BODY, int(clock.now.timestamp()) - 62)
    assert steps.post(made, BODY, headers=headers).status_code == 422
    assert refused(made, browser) == "signal_late"


# -- too many ------------------------------------------------------------------------------------------------


def test_more_than_the_address_takes_in_a_minute(made: Made, browser: Browser, clock: Clock) -> None:
    for number in range(6):
        assert steps.send(made, quantity=number + 1).status_code == 202
        clock.pass_(1)
    one_more = steps.send(made, quantity=7)
    assert (one_more.status_code, one_more.json()) == (429, {"error": "rate_limited"})
    assert one_more["Retry-After"] == "54"
    assert refused(made, browser) == "rate_limited"
    clock.pass_(54)
    assert steps.send(made, quantity=7).status_code == 202


def test_of_a_flood_without_proof_the_rows_end_and_the_count_goes_on(
    made: Made, browser: Browser, clock: Clock
) -> None:
    for _ in range(intake.MOST_REFUSED + 5):
        assert is_told_nothing(steps.send(made, secret="tls_wrong"))
    assert Signal.objects.count() == Call.objects.count() == intake.MOST_REFUSED
    assert Signal.objects.order_by("-pk")[0].more == 5
    assert "5 more within that minute" in words_of(browser.get(f"/signals/{made.address.public_id}/"))
    assert steps.send(made).status_code == 202, "and keeps nobody out who has the secret"
    clock.pass_(61)
    steps.send(made, secret="tls_wrong")
    assert Signal.objects.count() == intake.MOST_REFUSED + 2


# -- not as it should be -------------------------------------------------------------------------------------


def test_a_text_that_is_too_large(made: Made, browser: Browser) -> None:
    exactly = steps.text(made, note="")
    exactly = exactly.replace('"note": ""', f'"note": "{"x" * (intake.MOST_BYTES - len(exactly))}"')
    assert steps.post(made, exactly).status_code == 202
    assert is_told_nothing(steps.post(made, exactly + " "))
    assert refused(made, browser) == "body_too_large"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data", "text/html", ""])
def test_a_content_type_of_something_else(made: Made, browser: Browser, kind: str) -> None:
    assert is_told_nothing(steps.post(made, steps.text(made), content_type=kind))
    assert refused(made, browser) == "unsupported_media_type"


@pytest.mark.parametrize(
    "body",
    [
        "buy AAPL", "[]", "null", " ", '{"secret": NaN}', '{"a": 1, "a": 2}', "[" * 8000, b"\xff\xfe", "{" * 3,
        '{"quantity": ' + "9" * 5000 + "}",
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_read(made: Made, browser: Browser, body: str | bytes) -> None:
    assert is_told_nothing(steps.post(made, body))
    assert refused(made, browser) == "signal_unreadable"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"symbol": None}, "signal_unreadable"),
        ({"symbol": 5}, "signal_unreadable"),
        ({"symbol": "TSLA"}, "outside_limits"),
        ({"symbol": "MSFT"}, "outside_limits"),
        ({"side": "hold"}, "signal_unreadable"),
        ({"side": None}, "signal_unreadable"),
        ({"quantity": None}, "signal_unreadable"),
        ({"quantity": 0}, "signal_unreadable"),
        ({"quantity": -3}, "signal_unreadable"),
        ({"quantity": True}, "signal_unreadable"),
        ({"quantity": "1e3"}, "signal_unreadable"),
        ({"quantity": "3 or 4"}, "signal_unreadable"),
        ({"quantity": "{{strategy.order.contracts}}"}, "signal_unreadable"),
        ({"quantity": 10**20}, "signal_unreadable"),
        ({"quantity": [3]}, "signal_unreadable"),
    ],
)
def test_values_that_the_template_does_not_take(
    made: Made, browser: Browser, values: dict[str, object], code: str
) -> None:
    answer = steps.send(made, **values)
    assert (answer.status_code, answer.json()) == (422, {"error": code})
    assert refused(made, browser) == code
    assert Order.objects.count() == 0


@pytest.mark.parametrize(
    "values",
    [{"time": None}, {"time": "yesterday"}, {"time": "2026-11-30T14:30:00"}, {"time": 10**30}, {"time": True},
     {"id": None}, {"id": "ä"}, {"id": "x" * 101}, {"id": ["1"]}, {"id": "two words"}],
)  # fmt: skip
def test_an_id_or_a_time_that_is_none(strict: Made, browser: Browser, clock: Clock, values: dict[str, object]) -> None:
    answer = steps.send(strict, **{"id": "1", "time": clock.now.isoformat(), **values})
    assert (answer.status_code, answer.json()) == (422, {"error": "signal_unreadable"})
    assert refused(strict, browser) == "signal_unreadable"


def test_a_side_that_the_owner_left_out(owner: User, paper: Connection, browser: Browser) -> None:
    template = Template(
        secret="secret", quantity="quantity", instruments={"AAPL": "AAPL"}, sides=frozenset({Side.SELL})
    )
    made = steps.address(owner, paper, template=template)
    assert steps.send(made).json() == {"error": "outside_limits"}
    assert refused(made, browser) == "outside_limits"


# -- what is kept and said -----------------------------------------------------------------------------------


def test_neither_the_address_nor_the_secret_is_kept_or_logged(
    made: Made, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        steps.send(made, note="words of somebody")
        steps.send(made, secret="tls_wrong")
        steps.send(made, secret=f"{made.secret}x")
    steps.newest()
    for text in (made.part, made.secret, "words of somebody"):
        assert text not in caplog.text
        for model in (Signal, Call):
            assert text not in str(list(model.objects.values()))
        assert text not in browser.get(f"/signals/{made.address.public_id}/").content.decode()


def test_names_of_a_sender_are_shown_as_they_are(made: Made, browser: Browser) -> None:
    steps.send(made, symbol="<b>\u202eLPAA")
    page = browser.get(f"/signals/{made.address.public_id}/").content.decode()
    assert "&lt;b&gt;\\u202eLPAA" in page


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [(KeyError, 500, "internal_error"), (OperationalError, 503, "database_unavailable")],
)
def test_what_fails_here_is_answered_without_the_address_in_a_log(
    made: Made,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[Exception],
    status: int,
    told: str,
) -> None:
    def fail(*_: object) -> None:
        raise error("of some kind")

    monkeypatch.setattr(intake, "receive", fail)
    with caplog.at_level(logging.DEBUG):
        answer = steps.send(made)
    assert (answer.status_code, answer.json()) == (status, {"error": told})
    assert made.part not in caplog.text
