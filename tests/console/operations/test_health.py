"""``/livez`` and ``/readyz``: for load balancers, at both apps, with what is away told apart."""

import contextlib
from collections.abc import Iterator

import httpx2
import pytest

from tests import prepared, serving
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.serving import Server, until


def get(server: Server, path: str, method: str = "GET") -> httpx2.Response:
    return httpx2.request(method, f"{server.url}{path}", timeout=at_most(20))


@pytest.fixture(scope="module", params=["console.asgi:application", "mcpserver.asgi:application"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The whole web server, and ``/mcp`` alone."""
    with serving.serve(tmp_path_factory.mktemp("health") / "home", app=request.param) as started:
        yield started


def test_a_process_that_takes_requests_lives(either: Server) -> None:
    assert get(either, "/livez").json() == {"status": "alive"}
    assert get(either, "/livez", "HEAD").text == ""
    assert get(either, "/readyz", "POST").status_code == 405


def test_without_a_worker_and_a_schedule_it_is_degraded_and_takes_calls(either: Server) -> None:
    either.query("DELETE FROM operations_workerseen")
    answer = get(either, "/readyz")
    told = answer.json()
    assert (answer.status_code, told["status"]) == (200, "degraded")
    assert {name for name, check in told["checks"].items() if check["ok"]} == {"database", "migrations", "queue"}
    assert told["checks"]["worker"]["detail"] == "none was ever seen at work"
    tested = Wire(either.mcp_url, either.quickstart["paper_key_read"]).result("self_test", {})
    assert tested["ok"] is False
    assert tested["connections"][0]["checks"][-1]["check"] == "worker"


@pytest.mark.parametrize("seen", ["2026-01-01 00:00:00", "2999-01-01 00:00:00"])
def test_a_worker_that_was_last_seen_long_ago_or_before_the_clock_was_set_back_is_told(
    either: Server, seen: str
) -> None:
    either.query("INSERT OR REPLACE INTO operations_workerseen (name, at) VALUES ('gone', ?)", seen)
    either.query("INSERT OR REPLACE INTO operations_lease (name, holder, until) VALUES ('schedule', 'gone', ?)", seen)
    checks = get(either, "/readyz").json()["checks"]
    assert (checks["worker"]["ok"], checks["schedule"]["ok"]) == (False, False)


@pytest.mark.long
def test_an_instance_with_its_worker_becomes_ready(instance: Server) -> None:
    until(lambda: get(instance, "/readyz").json()["status"] == "ready", seconds=60, what="the worker was seen at work")


@pytest.mark.long
def test_a_database_that_is_away_takes_it_out_of_service(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("away") / "home"
    with contextlib.ExitStack() as database:
        url = database.enter_context(prepared.postgresql())
        with serving.fresh(home, supervised=False, TRADELATCH_DATABASE_URL=url) as server:
            assert get(server, "/readyz").status_code == 200
            database.close()
            answer = until(lambda: get(server, "/readyz"), seconds=30, what="an answer")
            assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
            assert get(server, "/livez").status_code == 200
