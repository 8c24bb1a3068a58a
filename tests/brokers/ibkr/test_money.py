"""Money and prices in every form Interactive Brokers has for them; what stands for nothing is nothing."""

from decimal import Decimal
from typing import Any

import pytest

from brokers.ibkr.adapter import IbkrBroker
from brokers.types import Quote
from tests.brokers.ibkr.fake import APPLE, APPLE_MEXICO, BASE, EURO, PAPER, FakeIbkr
from tests.brokers.paper.support import order
from tests.brokers.recorded import answer_with

SYMBOL = "AAPL@265598"


def quoted(
    patch: pytest.MonkeyPatch, broker: IbkrBroker, fake: FakeIbkr, fields: dict[str, Any], symbol: str = SYMBOL
) -> Quote:
    broker.instrument(symbol)
    row = {"conid": int(symbol.partition("@")[2]), "31": "190.25", "84": "190.20", "86": "190.30"} | fields
    answer_with(patch, fake, "GET", f"{BASE}/iserver/marketdata/snapshot", [row])
    return broker.quotes([symbol])[0]


@pytest.mark.parametrize(
    ("field", "value", "name", "meant"),
    [
        ("83", "0.84%", "change_percent", "0.84"),
        ("83", 0.42, "change_percent", "0.42"),
        ("82", "-1", "change", "-1"),
        ("82", "C168.42", "change", "168.42"),
        ("85", "1.2K", "ask_size", None),
        ("88", "n/a", "bid_size", None),
        ("7762", "1.2M", "volume", None),
        ("7762", "45,000,100", "volume", "45000100"),
        ("7295", "C298.43", "open", "298.43"),
        ("70", "", "high", None),
    ],
)
def test_a_side_field_that_is_no_plain_number_takes_no_quote_with_it(
    ibkr: IbkrBroker,
    fake: FakeIbkr,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    value: object,
    name: str,
    meant: str | None,
) -> None:
    quote = quoted(monkeypatch, ibkr, fake, {field: value})
    assert (quote.bid, quote.last, quote.ask) == (Decimal("190.2"), Decimal("190.25"), Decimal("190.3"))
    assert getattr(quote, name) == (None if meant is None else Decimal(meant))


@pytest.mark.parametrize("nothing", ["-1", -1, "0", "", None, "H"])
def test_a_side_that_nobody_quotes_is_shown_at_the_last_trade(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch, nothing: object
) -> None:
    quote = quoted(monkeypatch, ibkr, fake, {"84": nothing, "86": nothing})
    assert (quote.bid, quote.ask) == (Decimal("190.25"), Decimal("190.25"))
    assert "no quote" in quote.source


def test_a_halt_is_told_beside_the_price(ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch) -> None:
    assert quoted(monkeypatch, ibkr, fake, {"31": "H190.25"}).source.endswith("trading halted")


@pytest.mark.parametrize(
    ("symbol", "size"), [(f"AAPL@{APPLE}", 300), (f"AAPL@{APPLE_MEXICO}", 3), (f"EUR.USD@{EURO}", 3)]
)
def test_sizes_of_us_stocks_are_told_in_hundreds(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch, symbol: str, size: int
) -> None:
    quote = quoted(monkeypatch, ibkr, fake, {"85": "3", "88": 3}, symbol)
    assert (quote.bid_size, quote.ask_size) == (Decimal(size), Decimal(size))


def test_each_currency_is_told_and_one_that_cannot_be_read_is_named(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch
) -> None:
    ibkr.accounts()
    ledger = {name: fake._purse(name) for name in ("USD", "EUR", "BASE")}
    ledger["CHF"] = ledger["EUR"] | {"cashbalance": None}
    answer_with(monkeypatch, fake, "GET", f"{BASE}/portfolio/{PAPER}/ledger", ledger)
    assert [each.currency for each in ibkr.account_state(PAPER).cash] == ["EUR", "USD"]
    assert [each.row for each in ibkr.unknown_words] == ["cash in CHF"]


@pytest.mark.parametrize(
    ("summary", "power"),
    [
        ({"buyingpower": {"amount": 5, "isNull": False}}, "5"),
        ({"buyingpower": {"amount": 0, "isNull": True}, "availablefunds": {"amount": "7.5"}}, "7.5"),
    ],
)
def test_what_can_be_spent_is_read_where_it_is_told(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch, summary: dict[str, Any], power: str
) -> None:
    ibkr.accounts()
    margins = {"initmarginreq": {"amount": "12.5"}, "maintmarginreq": {"amount": "10"}}
    answer_with(monkeypatch, fake, "GET", f"{BASE}/portfolio/{PAPER}/summary", summary | margins)
    state = ibkr.account_state(PAPER)
    assert (state.buying_power, state.initial_margin, state.maintenance_margin) == (
        Decimal(power),
        Decimal("12.5"),
        Decimal(10),
    )


def test_an_order_that_filled_nothing_has_no_average_price(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = order("BUY", "2", SYMBOL, limit="100")
    ibkr.submit(PAPER, asked)
    fake.live[max(fake.live)]["avgPrice"] = "0.00"
    found = ibkr.order(PAPER, asked.client_order_id)
    assert found is not None
    assert found.average_price is None
