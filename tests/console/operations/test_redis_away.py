"""Redis away: what stops trading needs least, and a new process refuses none of its first calls."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests import redis, serving
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.redis import Redis
from tests.serving import Server

pytestmark = pytest.mark.long
FAILURES = 5


@pytest.fixture(scope="module")
def shared() -> Iterator[Redis]:
    with redis.running() as started:
        yield started


@pytest.fixture
def desk(shared: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving.serve(tmp_path_factory.mktemp("redis") / "home", TRADELATCH_REDIS_URL=shared.url) as started:
        yield started


class Person:
    """At a browser, with a session of their own."""

    def __init__(self, desk: Server) -> None:
        self._desk = desk
        self._client = httpx2.Client(base_url=desk.url, headers={"Origin": desk.url}, timeout=at_most(30))

    def __enter__(self) -> "Person":
        return self

    def __exit__(self, *raised: object) -> None:
        self._client.close()

    def post(self, path: str, **fields: str) -> httpx2.Response:
        page = self._client.get("/sign-in/" if path == "/sign-in/" else "/halts/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None, page.text
        return self._client.post(path, data={"csrfmiddlewaretoken": token[1], **fields})

    def sign_in(self, password: str) -> httpx2.Response:
        return self.post("/sign-in/", username=self._desk.quickstart["username"], password=password)


def test_the_first_calls_of_a_new_process_are_all_taken(desk: Server) -> None:
    wire = Wire(desk.mcp_url, desk.quickstart["paper_key_read"])
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: wire.call("get_cash", {}), range(16)))
    assert [answer.json()["result"]["isError"] for answer in answers] == [False] * 16


def test_without_redis_people_sign_in_halt_and_cancel_and_guesses_are_still_counted(
    desk: Server, shared: Redis
) -> None:
    wire = Wire(desk.mcp_url, desk.quickstart["paper_key_trade"])
    order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1", "order_type": "LMT", "limit_price": "100"}
    placed = wire.result("place_order", order)
    wire.result("confirm_trade", {"confirmation_id": placed["confirmation_id"]})
    shared.stop()
    try:
        assert wire.result("cancel_order", {"order_id": placed["order"]["order_id"]})["order"]["status"] == "cancelled"
        assert wire.refusal("get_cash", {})["code"] == "rate_limited"
        with Person(desk) as person, Person(desk) as stranger:
            assert person.sign_in(desk.quickstart["password"]).status_code == 302
            assert person.post("/halts/everything/").status_code == 302
            assert desk.query("SELECT count(*) FROM halts_halt WHERE lifted_at IS NULL") == [(1,)]
            answers = [stranger.sign_in("wrong") for _ in range(FAILURES + 1)]
            assert "Too many attempts" not in answers[-2].text and "Too many attempts" in answers[-1].text
        assert httpx2.get(f"{desk.url}/readyz", timeout=at_most(20)).json()["checks"]["queue"]["ok"] is False
        assert "Traceback" not in desk.log
    finally:
        shared.start()
    assert wire.result("get_cash", {})
