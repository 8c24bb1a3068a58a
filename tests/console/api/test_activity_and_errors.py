from datetime import timedelta

import pytest

from console.audit import paging
from console.connected_apps.models import ConnectedApp
from tests.console.api.rest import Rest
from tests.console.pages import log


@pytest.fixture
def calls(app: ConnectedApp) -> list[str]:
    return [
        log(app, tool="get_quote", ago=timedelta(minutes=3)).request_id,
        log(app, tool="place_order", outcome="refused", code="insufficient_funds", arguments={"q": "1"}).request_id,
        log(app, tool="place_order", outcome="refused", code="insufficient_funds").request_id,
    ]


def test_calls_are_listed_newest_first_with_what_was_sent(session: Rest, calls: list[str]) -> None:
    items = session.get("/activity")["items"]
    assert [item["request_id"] for item in items] == calls[::-1]
    assert items[1]["arguments"] == {"q": "1"}
    assert session.get(f"/activity/{calls[0]}") == items[2]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tool=get_quote", [0]),
        ("outcome=refused", [2, 1]),
        ("code=insufficient_funds&tool=place_order", [2, 1]),
        ("code=market_closed", []),
        ("app_id=999999", []),
        ("connection_id=999999", []),
    ],
)
def test_filters_narrow_the_list(session: Rest, calls: list[str], query: str, found: list[int]) -> None:
    items = session.get(f"/activity?{query}")["items"]
    assert [item["request_id"] for item in items] == [calls[index] for index in found]


def test_a_filter_holds_on_the_next_page(session: Rest, calls: list[str]) -> None:
    first = session.get("/activity?outcome=refused&limit=1")
    second = session.get(first["next"])
    assert [page["items"][0]["request_id"] for page in (first, second)] == [calls[2], calls[1]]
    assert second["next"] is None


def test_a_page_of_what_seldom_fits_is_short_and_its_next_goes_on(
    session: Rest, calls: list[str], app: ConnectedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "WINDOW", 2)
    for _ in range(3):
        log(app, tool="get_positions")
    found, path, pages = [], "/activity?tool=get_quote", 0
    while path:
        answer = session.get(path)
        found += [item["request_id"] for item in answer["items"]]
        path, pages = answer["next"], pages + 1
    assert (found, pages) == ([calls[0]], 3)


def test_a_key_sees_the_calls_of_its_own_app_alone(reader: Rest, calls: list[str]) -> None:
    reader.get("/orders")
    assert [item["tool"] for item in reader.get("/activity")["items"]] == ["rest:list_orders"]
    assert reader.refused("GET", f"/activity/{calls[0]}")["code"] == "not_found"
    assert [group["tool"] for group in reader.get("/errors")["items"]] == ["rest:get_call"]


def test_an_operator_sees_everyones_when_asking_for_it(operators_session: Rest, calls: list[str]) -> None:
    assert operators_session.get("/activity")["items"] == []
    assert operators_session.refused("GET", f"/activity/{calls[0]}")["code"] == "not_found"
    assert len(operators_session.get("/activity?everyone=1")["items"]) == 3
    assert operators_session.get(f"/activity/{calls[0]}?everyone=1")["user"] == "olivia@example.com"
    assert operators_session.get("/errors")["items"] == []
    assert operators_session.get("/errors?everyone=1")["items"][0]["calls"] == 2


def test_nobody_else_may_ask_for_everyones(session: Rest, reader: Rest, others_session: Rest, calls: list[str]) -> None:
    for rest in (session, reader, others_session):
        for path in ("/activity?everyone=1", "/errors?everyone=1", f"/activity/{calls[0]}?everyone=1"):
            assert rest.refused("GET", path)["code"] == "not_permitted"


def test_errors_are_grouped_and_explained(session: Rest, calls: list[str]) -> None:
    [group] = session.get("/errors?span=24h")["items"]
    assert (group["code"], group["tool"], group["calls"], group["apps"]) == (
        "insufficient_funds",
        "place_order",
        2,
        1,
    )
    assert group["title"] == "Not enough buying power"
    assert group["blame"] == "the caller"
    assert session.refused("GET", "/errors?span=1y")["code"] == "invalid_argument"


def test_somebody_else_sees_none_of_it(others_session: Rest, calls: list[str]) -> None:
    assert others_session.get("/activity")["items"] == []
    assert others_session.get("/errors")["items"] == []
    assert others_session.refused("GET", f"/activity/{calls[0]}")["code"] == "not_found"
