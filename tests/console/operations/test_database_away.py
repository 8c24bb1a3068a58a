"""The database away: every endpoint says so with 503, a request id and when to ask again, and goes on by itself."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests import prepared, serving
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.person import Person
from tests.postgres import Postgres
from tests.serving import Server, manage, until

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with prepared.postgres_server() as started:
        yield started


@pytest.fixture(scope="module")
def desk(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("away") / "home"
    made = manage(home, 8000, "quickstart", "--json", TRADELATCH_DATABASE_URL=database.url)
    assert made.returncode == 0, made.stderr
    with serving.fresh(home, supervised=False, TRADELATCH_DATABASE_URL=database.url) as started:
        started.quickstart = json.loads(made.stdout)
        yield started


def test_each_endpoint_answers_503_and_works_again_when_the_database_is_back(desk: Server, database: Postgres) -> None:
    key = desk.quickstart["paper_key_trade"]
    wire = Wire(desk.mcp_url, key)
    with Person(desk.url, desk.quickstart["username"], desk.quickstart["password"]) as person:
        assert person.get("/orders/").status_code == 200 and wire.result("get_cash", {})
        sign_in = httpx2.get(f"{desk.url}/sign-in/", timeout=at_most(20))
        written = len(desk.log)
        bearer = {"Authorization": f"Bearer {key}"}
        asks: dict[str, Callable[[], httpx2.Response]] = {
            "a call": lambda: wire.call("get_cash", {}),
            "a list": lambda: wire.rpc("tools/list", {}),
            "REST": lambda: httpx2.get(f"{desk.url}/api/v1/orders", headers=bearer, timeout=at_most(20)),
            "a page": lambda: person.get("/orders/"),
            "a form": lambda: person.post("/halts/everything/", sign_in),
        }
        # Each waits five seconds for the pool, so all of them at once.
        with database.away(), ThreadPoolExecutor(len(asks)) as pool:
            answers = {what: pool.submit(ask) for what, ask in asks.items()}
            refused = {what: answer.result() for what, answer in answers.items()}
        for what, answer in refused.items():
            assert answer.status_code == 503, (what, answer.status_code, answer.text[:500])
            assert answer.headers["x-request-id"].startswith("req_"), what
            assert answer.headers["retry-after"] == "5", what
            assert answer.headers["x-request-id"] in desk.log, what
        for what in ("a call", "a list"):
            told = refused[what].json()["error"]
            assert told["data"]["code"] == "database_unavailable" and "Nothing was done" in told["message"]
        assert (refused["REST"].headers["content-type"], refused["REST"].json()["code"]) == (
            "application/problem+json",
            "database_unavailable",
        )
        assert "The database does not answer" in refused["a page"].text
        assert "Check your orders before you repeat anything" in refused["a form"].text
        assert "Traceback" not in desk.log[written:], desk.log[written:]

        def works() -> bool:
            return wire.call("get_cash", {}).status_code == 200 and person.get("/orders/").status_code == 200

        until(works, seconds=20, what="everything works again")
