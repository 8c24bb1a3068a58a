"""The pages of signals: an address is made with a proof, shown once, and nobody else finds it."""

import html
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.audit.models import Change
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.signals import addresses, history, senders
from console.signals.addresses import Made
from console.signals.mapping import MOST_NAMES, Template, instruments_of
from console.signals.models import SenderProof, Signal, SignalAddress
from tests.conftest import PASSWORD
from tests.console.pages import submit, text_of, words_of
from tests.console.present import Person, at_the_browser
from tests.console.signals import steps
from tests.console.signals.conftest import Clock

NEW = "/signals/new/"
ID = "{{ticker}}-{{strategy.order.action}}-{{strategy.order.contracts}}-{{strategy.position_size}}-{{timenow}}"


@pytest.fixture
def person(owner: User) -> Person:
    return at_the_browser(owner)


def shown(answer: Any) -> list[str]:
    """The address, the secret and the example of the page that shows them once."""
    found = re.findall(r'<div class="copyable secret"><code>(.*?)</code>', text_of(answer), re.S)
    return [html.unescape(each) for each in found]


def test_the_page_shows_an_address_once_and_its_example_prepares_an_order(person: Person, paper: Connection) -> None:
    answer = submit(person, NEW, {**steps.FORM, "connection": paper.pk})
    url, secret, example = shown(answer)
    assert url.startswith("http://localhost:8000/signals/in/tls_")
    told = json.loads(example)
    assert told == {
        "secret": secret, "symbol": "{{ticker}}", "side": "{{strategy.order.action}}",
        "quantity": "{{strategy.order.contracts}}", "time": "{{timenow}}",
    }  # fmt: skip
    address = SignalAddress.objects.get()
    page = text_of(person.get(f"/signals/{address.public_id}/"))
    assert secret not in page
    assert url.rpartition("/")[2] not in page
    assert secret not in str(list(SignalAddress.objects.values()))
    text = {**told, "symbol": "AAPL", "side": "buy", "quantity": "3", "time": Clock().now.isoformat()}
    path = url.removeprefix("http://localhost:8000")
    assert Browser().post(path, json.dumps(text), content_type="application/json").status_code == 202
    signal = steps.newest()
    assert signal.order is not None
    assert "BUY 3 AAPL Order prepared" in words_of(person.get("/signals/"))


def test_the_form_sent_twice_makes_one_address(person: Person, paper: Connection) -> None:
    once = re.search(r'name="once" value="([^"]+)"', text_of(person.get(NEW)))
    assert once is not None
    fields = {**steps.FORM, "connection": paper.pk, "once": once[1]}
    shown(person.post(NEW, fields))
    assert "already sent" in words_of(person.post(NEW, fields, follow=True))
    assert SignalAddress.objects.count() == 1


def test_its_bounds_are_the_limits_of_its_app(person: Person, paper: Connection) -> None:
    shown(submit(person, NEW, {**steps.FORM, "connection": paper.pk, "tradingview": "on", "networks": "203.0.113.7"}))
    address = SignalAddress.objects.get()
    limits = address.app.limited
    assert (limits.order_notional, limits.symbols) == (Decimal(5000), frozenset({"AAPL", "MSFT"}))
    assert {str(each) for each in limits.order_types or ()} == {"MKT"}
    assert address.networks == [*senders.TRADINGVIEW, "203.0.113.7/32"]
    assert {each.action for each in Change.objects.filter(target__in=("app", "signal address"))} == {
        "granted",
        "created",
    }
    app = words_of(person.get(f"/apps/{address.app_id}/"))
    assert "Its signals prepare orders on Practice. Each waits for your approval." in app
    assert "Narrow to read only" not in app
    assert "Ask in the assistant" not in app
    assert "Tools it sees" not in app


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"instruments": "NOSUCHTHING"}, "does not know NOSUCHTHING"),
        ({"instruments": " \n"}, "This field is required."),
        ({"instruments": "A = AAPL\na = MSFT"}, "a stands for two instruments."),
        ({"instruments": "= AAPL"}, "Write one instrument per line"),
        ({"instruments": "AAPL ="}, "Write one instrument per line"),
        ({"quantity": "", "fixed_quantity": ""}, "Give either the name of the quantity or a fixed quantity."),
        ({"quantity": "size", "fixed_quantity": "3"}, "Give either the name of the quantity or a fixed quantity."),
        ({"side": "symbol"}, "symbol is the name of another value."),
        ({"side": "secret"}, "secret is the name of another value."),
        ({"symbol": "{{ticker}}"}, "A name has up to 30 letters"),
        ({"networks": "somewhere"}, "somewhere is not an IP address."),
        ({"most_value": "0"}, "greater than or equal to 0.01"),
        ({"per_minute": "61"}, "less than or equal to 60"),
        ({"name": "a\u202eb"}, "invisible"),
    ],
)
def test_what_does_not_fit_is_told_beside_its_field(
    person: Person, paper: Connection, changed: dict[str, str], told: str
) -> None:
    answer = submit(person, NEW, {**steps.FORM, "connection": paper.pk, **changed})
    assert told in words_of(answer)
    assert SignalAddress.objects.count() == 0


def test_a_person_has_so_many_addresses_and_no_more(
    owner: User, paper: Connection, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "MOST_OPEN", 2)
    first = steps.address(owner, paper)
    steps.address(owner, paper)
    assert "You have 2 signal addresses." in words_of(submit(person, NEW, {**steps.FORM, "connection": paper.pk}))
    person.post(f"/apps/{first.address.app_id}/revoke/")
    assert len(shown(submit(person, NEW, {**steps.FORM, "connection": paper.pk}))) == 3


def test_a_connection_of_somebody_else_is_not_offered(others_browser: Browser, paper: Connection) -> None:
    fields = {**steps.FORM, "connection": paper.pk, "proof-password": PASSWORD}
    assert others_browser.post(NEW, fields).status_code == 200
    assert SignalAddress.objects.count() == 0


def test_nobody_else_finds_an_address_or_its_signals_not_even_an_operator(
    made: Made, others_browser: Browser, operators_browser: Browser
) -> None:
    steps.refused(made.address)
    for browser in (others_browser, operators_browser):
        assert browser.get(f"/signals/{made.address.public_id}/").status_code == 404
        for page in ("/signals/", "/signals/?everyone=1"):
            words = words_of(browser.get(page))
            assert "My strategy" not in words
            assert "signal_late" not in words


def test_the_owner_ends_it_and_sees_what_came_since(made: Made, person: Person) -> None:
    person.post(f"/apps/{made.address.app_id}/revoke/")
    assert ConnectedApp.objects.get(pk=made.address.app_id).revoked_at is not None
    steps.send(made)
    page = words_of(person.get(f"/signals/{made.address.public_id}/"))
    assert "This address ended" in page
    assert "app_revoked" in page
    assert "Ended (1)" in words_of(person.get("/signals/"))


def test_the_history_has_pages(made: Made, person: Person) -> None:
    for number in range(52):
        steps.refused(made.address, sender_id=f"number-{number}")
    address = f"/signals/{made.address.public_id}/"
    first = text_of(person.get(address))
    assert "number-51" in first
    assert "number-1<" not in first
    older = re.search(r'href="(\?before=\d+)"', first)
    assert older is not None
    assert "number-1<" in text_of(person.get(address + older[1]))


def test_old_signals_are_deleted(made: Made) -> None:
    now = Clock().now
    old = steps.refused(made.address, at=now - history.KEPT * 1.01)
    waiting = steps.refused(made.address, at=now - history.KEPT * 1.01, outcome="waiting", code="")
    new = steps.refused(made.address)
    assert history.delete_old() == 1
    assert set(Signal.objects.values_list("pk", flat=True)) == {waiting.pk, new.pk}
    assert old.pk not in {waiting.pk, new.pk}


def test_an_example_of_pairs_and_of_objects(person: Person, paper: Connection) -> None:
    pairs = {**steps.FORM, "connection": paper.pk, "form": "pairs", "proof": "signature", "price": "close", "id": "id"}
    answer = submit(person, NEW, pairs)
    _, secret, example = shown(answer)
    assert secret.startswith("whsec_")
    assert example.splitlines() == [
        "symbol={{ticker}}", "side={{strategy.order.action}}", "quantity={{strategy.order.contracts}}",
        "close={{close}}", "time={{timenow}}", f"id={ID}",
    ]  # fmt: skip
    nested = {**steps.FORM, "connection": paper.pk, "symbol": "order.symbol", "side": "order.side"}
    told = json.loads(shown(submit(person, NEW, nested))[2])
    assert told["order"] == {"symbol": "{{ticker}}", "side": "{{strategy.order.action}}"}


@pytest.mark.parametrize("form", ["json", "pairs"])
def test_the_example_is_taken_as_tradingview_fills_it_in(person: Person, paper: Connection, form: str) -> None:
    """By its list of placeholders: an order's id is the author's own text, such as Long Entry."""
    names = {"price": "close", "id": "id"}
    url, _, example = shown(submit(person, NEW, {**steps.FORM, **names, "connection": paper.pk, "form": form}))
    filled = {
        "ticker": "AAPL", "close": "191.25", "timenow": Clock().now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "strategy.order.action": "sell", "strategy.order.contracts": "3", "strategy.position_size": "-2.5",
        "strategy.order.id": "Close entry(s) order Long",
    }  # fmt: skip
    body = re.sub(r"{{(.+?)}}", lambda found: filled[found[1]], example)
    kind = "application/json; charset=utf-8" if form == "json" else "text/plain; charset=utf-8"
    answer = Browser().post(url.removeprefix("http://localhost:8000"), body, content_type=kind)
    assert answer.status_code == 202, answer.content


def test_a_template_is_stored_and_loaded_as_it_was() -> None:
    for template in (steps.TEMPLATE, Template(fixed_quantity=Decimal("0.50"), price="close", instruments={"A": "B"})):
        assert Template.load(json.loads(json.dumps(template.stored()))) == template


def test_more_instruments_than_a_person_can_read_are_refused() -> None:
    assert len(instruments_of("\n".join(f"A{number}" for number in range(MOST_NAMES)))) == MOST_NAMES
    with pytest.raises(ValueError, match="at most 50"):
        instruments_of("\n".join(f"A{number}" for number in range(MOST_NAMES + 1)))


def test_a_secret_that_is_checked_by_signature_is_sealed_and_one_in_the_text_only_hashed(
    owner: User, paper: Connection
) -> None:
    in_text, signed = steps.address(owner, paper).address, steps.signed_address(owner, paper)
    assert in_text.sealed == ""
    assert signed.address.sealed not in ("", signed.secret)
    assert signed.address.proof == SenderProof.SIGNATURE
