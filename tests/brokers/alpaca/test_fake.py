"""The fake takes what Alpaca's own client sends, and answers with what that client's models ask for."""

import httpx2
import pytest

from tests.brokers.alpaca.fake import EXPIRATIONS, KEY_ID, SECRET, FakeAlpaca
from tests.patience import at_most

HEADERS = {"APCA-API-KEY-ID": KEY_ID, "APCA-API-SECRET-KEY": SECRET}


@pytest.mark.parametrize("quantity", ["2", 2, 2.0])
def test_an_amount_is_taken_as_text_and_as_a_number(fake: FakeAlpaca, quantity: object) -> None:
    body = {"symbol": "AAPL", "side": "buy", "type": "limit", "time_in_force": "day", "limit_price": 100.5}
    answer = httpx2.post(f"{fake.url}/v2/orders", headers=HEADERS, json=body | {"qty": quantity}, timeout=at_most(5))
    assert answer.status_code == 200
    assert (float(answer.json()["qty"]), answer.json()["limit_price"]) == (2.0, "100.5")


def test_assets_and_contracts_have_every_field_that_is_always_there(fake: FakeAlpaca) -> None:
    def read(path: str) -> dict[str, object]:
        found: dict[str, object] = httpx2.get(f"{fake.url}{path}", headers=HEADERS, timeout=at_most(5)).json()
        return found

    assert "easy_to_borrow" in read("/v2/assets/AAPL")
    single = read("/v2/options/contracts/AAPL260618C00250000")
    listed = read(f"/v2/options/contracts?underlying_symbols=AAPL&expiration_date={EXPIRATIONS[0]}")
    rows = listed["option_contracts"]
    assert isinstance(rows, list)
    assert {"root_symbol", "underlying_asset_id"} <= set(single) & set(rows[0])


def test_the_exits_of_a_bracket_are_told_beside_it_and_take_numbers_too(fake: FakeAlpaca) -> None:
    body = {"symbol": "AAPL", "qty": 2, "side": "buy", "type": "limit", "time_in_force": "gtc", "limit_price": 90.0}
    exits = {"order_class": "bracket", "take_profit": {"limit_price": 200.0}, "stop_loss": {"stop_price": 80.0}}
    made = httpx2.post(f"{fake.url}/v2/orders", headers=HEADERS, json=body | exits, timeout=at_most(5)).json()
    path = f"{fake.url}/v2/orders/{made['id']}"
    told = httpx2.get(path, headers=HEADERS, params={"nested": "true"}, timeout=at_most(5)).json()
    assert [(each["limit_price"], each["stop_price"]) for each in told["legs"]] == [("200.0", None), (None, "80.0")]


def test_what_it_cannot_make_sense_of_is_refused_and_counts_as_a_violation() -> None:
    with FakeAlpaca() as fake:
        query = {"start": "soon", "end": "later"}
        answer = httpx2.get(f"{fake.url}/v2/calendar", headers=HEADERS, params=query, timeout=at_most(5))
        assert (answer.status_code, len(fake.violations)) == (422, 1)
