"""A name typed into limits that fits nothing at the broker is refused there and then, with what was probably meant."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from brokers.errors import BrokerUnavailable
from brokers.paper.adapter import PaperBroker
from brokers.types import Instrument
from console import limits
from console.accounts.models import User
from console.authority import bearer
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys import management_keys
from console.limits import Limits
from console.orders import prepare as preparing
from console.orders.models import Order
from tests.console.api.rest import Rest
from tests.console.orders.conftest import bitcoin
from tests.console.pages import words_of
from tests.console.present import present

pytestmark = pytest.mark.django_db

# The list, what was typed, and what the refusal offers; None: it names something.
TYPED: list[tuple[str, str, str | None]] = [
    ("denied_symbols", "XBT", "Did you mean BTC?"),
    ("denied_symbols", "XBT/USD", "Did you mean BTC/USD?"),
    ("denied_symbols", "AAPPL", "Did you mean AAPL?"),
    ("denied_symbols", "ZZZZ", ""),
    ("denied_symbols", "FUT:ES.USD:2026-12", ""),
    ("denied_symbols", "BTC", None),
    ("denied_symbols", "USD", None),
    ("denied_symbols", "btc-usd", None),
    ("denied_symbols", "CRY:BTC/USD", None),
    ("symbols", "XBT/USD", "Did you mean BTC/USD?"),
    ("symbols", "BTC", "Did you mean BTC/USD?"),
    ("symbols", "ZZZZ", ""),
    ("symbols", "STK:AAPL.USD", None),
]


def said(field: str, typed: str, answer: str) -> None:
    assert f"{limits.TITLES[field]}: " in answer and f"does not know {typed.upper()}." in answer
    assert "Nothing was changed." in answer


@pytest.mark.parametrize(("field", "typed", "hint"), TYPED)
@pytest.mark.parametrize("whose", ["connection", "app"])
def test_at_the_rest_api(
    owner: User, paper: Connection, trade_key: str, whose: str, field: str, typed: str, hint: str | None
) -> None:
    _, raw = management_keys.mint(owner, name="terraform", expires_at=None)
    app_id = bearer.authenticate(trade_key).app_id
    path = f"/connections/{paper.pk}/limits" if whose == "connection" else f"/connected-apps/{app_id}/limits"
    answer = Rest(Browser(), raw).send("PUT", path, {field: [typed]})
    row: Any = Connection.objects.get(pk=paper.pk) if whose == "connection" else ConnectedApp.objects.get(pk=app_id)
    if hint is None:
        assert answer.status_code == 200, answer.content
        assert row.limited != Limits()
        return
    told = answer.json()
    assert (answer.status_code, told["code"], told["errors"][0]["field"]) == (422, "unknown_symbol", field)
    said(field, typed, told["detail"])
    assert hint in told["detail"]
    assert row.limited == Limits()


@pytest.mark.parametrize("whose", ["connection", "app"])
def test_on_the_page(browser: Browser, paper: Connection, app: ConnectedApp, whose: str) -> None:
    url = f"/connections/{paper.pk}/limits/" if whose == "connection" else f"/apps/{app.pk}/limits/"
    browser = present(browser)
    words = words_of(browser.post(url, {"denied_symbols": "AAPL, XBT"}))
    said("denied_symbols", "XBT", words)
    assert "Did you mean BTC?" in words
    assert Connection.objects.get(pk=paper.pk).limited == Limits()
    assert ConnectedApp.objects.get(pk=app.pk).limited == Limits()


def test_a_name_that_stands_already_keeps_nobody_from_tightening(paper: Connection, owner: User) -> None:
    Connection.objects.filter(pk=paper.pk).update(limits={"denied_symbols": ["GONE"]})
    paper.refresh_from_db()
    tighter = Limits(denied_symbols=frozenset({"GONE", "AAPL"}), order_notional=Decimal(100))
    assert connections.set_limits(paper, tighter, by=owner)


def test_while_the_broker_does_not_answer_no_new_name_is_taken(
    paper: Connection, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(self: PaperBroker, symbol: str) -> Instrument:
        raise BrokerUnavailable("The broker does not answer.")

    monkeypatch.setattr(PaperBroker, "instrument", down)
    with pytest.raises(Refusal) as caught:
        connections.set_limits(paper, Limits(denied_symbols=frozenset({"AAPL"})), by=owner)
    assert caught.value.code is Code.BROKER_UNAVAILABLE
    assert connections.set_limits(paper, Limits(order_notional=Decimal(100)), by=owner)


def test_never_btc_lets_no_pair_bring_it_in(
    paper: Connection, owner: User, trade_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hole G: the other side of the pair is the forbidden coin."""
    connections.set_limits(paper, limits.parse({"denied_symbols": ["SPY"]}), by=owner)
    trader = bearer.authenticate(trade_key)
    preparing.prepare(trader, bitcoin(limit="100"))
    known = PaperBroker.instrument

    def against_it(self: PaperBroker, symbol: str) -> Instrument:
        return replace(known(self, symbol), currency="SPY")

    monkeypatch.setattr(PaperBroker, "instrument", against_it)
    before = Order.objects.count()
    with pytest.raises(Refusal) as caught:
        preparing.prepare(trader, bitcoin(limit="100"))
    assert caught.value.code is Code.OUTSIDE_LIMITS
    assert Order.objects.count() == before
